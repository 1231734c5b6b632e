/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What one device of an account has of rooms comes to the next one, and back. */

#include "test.h"

#include "rooms-lab.h"
#include "rooms/handover.h"
#include "store/handover.h"

static bool count_event(void *userdata, DbTxn *txn, const EventRow *e) {
        ++*(unsigned *)userdata;
        return true;
}

static unsigned count_events(Mate *m) {
        unsigned n = 0;

        CHECK_OK(event_each(mate_txn(m), 0, count_event, &n));
        return n;
}

static unsigned unread(Mate *m) {
        Conversation v;

        CHECK_EQ(conversation_get(mate_txn(m), m->room->row.number, &v), 1);
        return v.unread;
}

static Bytes next_item(Bytes *in) {
        uint64_t kind;
        Bytes item;

        CHECK_EQ(handover_item_next(in, &item, &kind), 1);
        return item;
}

/* What the store hands over by itself. */
static void hand_over_store(Mate *from, Mate *to, HandoverPart part) {
        _cleanup_(buffer_done) Buffer items = BUFFER_NULL, next = BUFFER_NULL;
        Bytes left;
        uint64_t n;
        DbTxn *txn;

        CHECK_OK(store_read_begin(from->store, &txn));
        CHECK_EQ(handover_read(txn, &from->self, part, (Bytes){}, SIZE_MAX, &items, &n, &next), 0);
        store_read_end(txn);
        left = buffer_bytes(&items);
        while (left.size > 0)
                CHECK(handover_merge(to->store, &to->self, next_item(&left),
                              loop_realtime(to->lab->sim.loop)) >= 0);
        lab_commit(to);
}

static uint64_t take_piece(Mate *to, const Buffer *items) {
        Bytes left = buffer_bytes(items);
        uint64_t n = 0;

        while (left.size > 0) {
                CHECK_EQ(rooms_handover_merge(to->rooms, next_item(&left)), 1);
                n++;
        }
        lab_commit(to);
        to->room = room_of(to->rooms, to->lab->id);
        return n;
}

/* All that FROM has, in pieces of MAX; TO is started again after each EVERY-th one (0: never). */
static uint64_t hand_over(Mate *from, Mate *to, size_t max, unsigned every) {
        _cleanup_(buffer_done) Buffer items = BUFFER_NULL, at = BUFFER_NULL, next = BUFFER_NULL;
        uint64_t all = 0, n, count;
        unsigned pieces = 0;
        DbTxn *txn;
        int more;

        lab_commit(from);
        hand_over_store(from, to, HANDOVER_BEFORE_ROOMS);
        do {
                buffer_clear(&items);
                CHECK_OK(store_read_begin(from->store, &txn));
                CHECK_OK(rooms_handover_count(txn, &count));
                more = rooms_handover_read(
                        txn, &from->self, buffer_bytes(&at), max, &items, &n, &next);
                CHECK(more >= 0);
                CHECK(buffer_size(&next) <= ROOMS_HANDOVER_POSITION_MAX);
                CHECK(n <= 1 || buffer_size(&items) <= max);
                CHECK_EQ(take_piece(to, &items), n);
                store_read_end(txn);
                all += n;
                buffer_clear(&at);
                CHECK_OK(buffer_append(&at, buffer_data(&next), buffer_size(&next)));
                if (every > 0 && ++pieces % every == 0)
                        mate_restart(to);
        } while (more > 0);
        hand_over_store(from, to, HANDOVER_AFTER_ROOMS);
        CHECK(all <= count);
        return all;
}

/* The first items, up to where the room is as all are and no entry is here. */
static void hand_over_until_joined(Mate *from, Mate *to) {
        _cleanup_(buffer_done) Buffer items = BUFFER_NULL, at = BUFFER_NULL, next = BUFFER_NULL;
        uint64_t n;
        DbTxn *txn;

        lab_commit(from);
        CHECK_OK(store_read_begin(from->store, &txn));
        for (;;) {
                buffer_clear(&items);
                CHECK_EQ(rooms_handover_read(
                                 txn, &from->self, buffer_bytes(&at), 1, &items, &n, &next),
                        1);
                take_piece(to, &items);
                buffer_clear(&at);
                CHECK_OK(buffer_append(&at, buffer_data(&next), buffer_size(&next)));
                if (to->room->row.status == ROOM_JOINED)
                        break;
                CHECK_EQ(to->room->row.status, ROOM_LEFT);
        }
        store_read_end(txn);
}

/* The user goes to another device: SLOT is his from now on, and has nothing. */
static Mate *move(RoomsLab *lab, unsigned from, unsigned slot) {
        lab_pause(lab);
        lab_clone(lab, from, slot, true);
        lab->mate[slot].next_id = lab->mate[from].next_id + 1000;
        return &lab->mate[slot];
}

/* And back, to the device that he had before. */
static void move_back(Mate *from, Mate *to) {
        lab_pause(from->lab);
        CHECK(key_equal(mate_account(from), mate_account(to)));
        to->who.epoch = from->who.epoch + 1;
        person_sign(&to->who, IDENTITY_LIFETIME);
        to->self.epoch = to->who.epoch;
        buffer_clear(&to->self.certificate);
        CHECK_OK(buffer_append(&to->self.certificate, buffer_data(&to->who.certificate),
                buffer_size(&to->who.certificate)));
        to->next_id = from->next_id + 1000;
        mate_restart(to);
}

/* Every two of them tell each other all, but none of OFF. */
static void level_without(RoomsLab *lab, const Mate *off) {
        for (unsigned round = 0; round < 6; round++) {
                lab_pause(lab);
                for (unsigned i = 0; i < lab->n; i++)
                        for (unsigned k = 0; k < lab->n; k++)
                                if (i != k && &lab->mate[i] != off && &lab->mate[k] != off)
                                        give(&lab->mate[i], &lab->mate[k]);
        }
}

static void mate_reads_up_to(Mate *m, const Uuid *id) {
        CHECK_EQ(store_room_mark_read(
                         m->store, m->room->row.number, id, loop_realtime(m->lab->sim.loop), true),
                1);
        rooms_read(m->rooms, m->room->row.number);
        lab_commit(m);
}

static void begin(RoomsLab *lab, uint64_t seed, RoomAccess access) {
        RoomsError e = {};
        Mate *alice = &lab->mate[0];

        lab_new(lab, seed, 4);
        CHECK_OK(lab_create(lab, access, ROOM_HISTORY_ALL, &e));
        for (unsigned i = 1; i < 3; i++) {
                CHECK_OK(rooms_invite(
                        alice->rooms, alice->room->row.number, mate_account(&lab->mate[i]), &e));
                lab_commit(alice);
                mate_join(&lab->mate[i], alice);
        }
        level_without(lab, &lab->mate[3]);
}

TEST(a_room_comes_over_with_all_that_belongs_to_it) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;
        Uuid read;

        begin(&lab, 1, ROOM_ACCESS_HIDDEN);
        mate_says(alice, "one");
        read = mate_uuid(alice, alice->next_id);
        mate_says(bob, "two");
        level_without(&lab, &lab.mate[3]);
        mate_reads_up_to(bob, &read);
        mate_says(alice, "@bob: three");
        level_without(&lab, &lab.mate[3]);
        CHECK_EQ(unread(bob), 1);

        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        CHECK(new->room);
        CHECK_EQ(new->room->row.status, ROOM_JOINED);
        CHECK_EQ(new->room->row.joined, bob->room->row.joined);
        CHECK_STR(new->room->row.topic, "soup");
        CHECK_STR(mate_reads(new), "one|two|@bob: three|");
        CHECK_EQ(unread(new), 1);
        CHECK_EQ(count_events(new), 0);
        check_level(new, bob);
        check_level(new, alice);

        mate_says(new, "four");
        lab_pause(&lab);
        give(new, alice);
        CHECK_STR(mate_reads(alice), "one|two|@bob: three|four|");
        mate_says(alice, "five");
        give(alice, new);
        CHECK_EQ(unread(new), 2);
        CHECK_EQ(mate_say(bob, "late", &e), 0); /* who does not know yet is not heard */
        give(bob, alice);
        CHECK_STR(mate_reads(alice), "one|two|@bob: three|four|five|");
        lab_free(&lab);
}

/* Not that they were told to somebody, but that they are here is what counts. */
TEST(what_was_written_while_alone_comes_to_the_others) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;

        begin(&lab, 2, ROOM_ACCESS_PRIVATE);
        mate_says(bob, "one");
        level_without(&lab, &lab.mate[3]);
        mate_says(bob, "alone");
        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        mate_says(new, "here");
        give(new, alice);
        CHECK_STR(mate_reads(alice), "one|alone|here|");
        level_without(&lab, bob);
        CHECK_STR(mate_reads(&lab.mate[2]), "one|alone|here|");
        check_level(alice, new);
        lab_free(&lab);
}

/* As it may come in any piece, and again. */
TEST(it_does_not_matter_in_which_pieces_it_comes) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;
        uint64_t n;

        begin(&lab, 3, ROOM_ACCESS_PRIVATE);
        for (unsigned i = 0; i < 5; i++) {
                mate_says(bob, "b");
                mate_says(alice, "a");
                level_without(&lab, &lab.mate[3]);
        }
        new = move(&lab, 1, 3);
        n = hand_over(bob, new, 1, 1);
        CHECK_EQ(unread(new), 5);
        check_level(new, alice);
        for (unsigned i = 1; i < 4; i++) {
                CHECK_EQ(hand_over(bob, new, 1000 * i, i - 1), n);
                CHECK_EQ(unread(new), 5);
                CHECK_EQ(count_events(new), 0);
                CHECK_EQ(new->room->row.status, ROOM_JOINED);
                check_level(new, alice);
        }
        lab_free(&lab);
}

TEST(a_send_is_known_by_its_id_on_the_next_device) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *bob = &lab.mate[1], *new;
        RoomsMessage m = {.text = text_bytes("once")};

        begin(&lab, 4, ROOM_ACCESS_OPEN);
        m.id = mate_uuid(bob, 4711);
        m.now = loop_realtime(lab.sim.loop);
        CHECK_OK(rooms_send(bob->rooms, bob->room->row.number, &m, &e));
        level_without(&lab, &lab.mate[3]);
        new = move(&lab, 1, 3);
        clone_joins(new, &lab.mate[0]); /* the others have brought it, and not said under what id */
        hand_over(bob, new, 64 * 1024, 0);
        CHECK_EQ(rooms_send(new->rooms, new->room->row.number, &m, &e), 1);
        m.text = text_bytes("twice");
        CHECK_EQ(rooms_send(new->rooms, new->room->row.number, &m, &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_INVALID_ARGS);
        lab_commit(new);
        CHECK_STR(mate_reads(new), "once|");
        lab_free(&lab);
}

TEST(what_others_have_of_own_messages_is_not_forgotten) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2], *new;
        unsigned held, read, members;
        FeedsSeen feeds;
        Uuid id;

        begin(&lab, 5, ROOM_ACCESS_OPEN);
        mate_says(bob, "one");
        id = mate_uuid(bob, bob->next_id);
        level_without(&lab, &lab.mate[3]);
        mate_reads_up_to(alice, &id);
        mate_reads_up_to(carol, &id);
        level_without(&lab, &lab.mate[3]);
        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        feeds = mate_feeds(new);
        CHECK_EQ(feeds.n, 1);
        CHECK_EQ(rooms_count_delivered(new->rooms, mate_txn(new), new->room->row.number,
                         feeds.list[0].feed.number, 1, &held, &read, &members),
                1);
        CHECK_EQ(held, 2);
        CHECK_EQ(read, 2);
        CHECK_EQ(members, 2);
        lab_free(&lab);
}

/* What the others bring before all of it is here has been heard on the device before. */
TEST(what_members_bring_meanwhile_is_no_news) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;
        Uuid id;

        begin(&lab, 6, ROOM_ACCESS_PRIVATE);
        mate_says(alice, "read");
        id = mate_uuid(alice, alice->next_id);
        level_without(&lab, &lab.mate[3]);
        mate_reads_up_to(bob, &id);
        mate_says(alice, "unread");
        level_without(&lab, &lab.mate[3]);
        new = move(&lab, 1, 3);
        mate_says(alice, "new");
        hand_over_until_joined(bob, new);
        CHECK_STR(mate_reads(new), "");
        give(alice, new);
        CHECK_STR(mate_reads(new), "read|unread|new|");
        CHECK_EQ(unread(new), 2);
        CHECK_EQ(count_events(new), 1);
        hand_over(bob, new, 64 * 1024, 0);
        CHECK_EQ(unread(new), 2);
        CHECK_EQ(count_events(new), 1);
        lab_free(&lab);
}

/* Both believe to be the active one, and both write. */
TEST(what_an_older_device_wrote_too_late_is_written_anew) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2], *new;

        begin(&lab, 7, ROOM_ACCESS_OPEN);
        new = move(&lab, 1, 3);
        clone_joins(new, alice);
        mate_says(new, "here");
        give(new, alice);
        lab_pause(&lab);
        mate_says(bob, "late");
        mate_says(bob, "later");
        give(bob, carol); /* who has not heard of the new one */
        CHECK_STR(mate_reads(carol), "late|later|");
        for (unsigned i = 0; i < 2; i++) {
                hand_over(bob, new, 64 * 1024, 0);
                CHECK_STR(mate_reads(new), "here|late|later|");
                level_without(&lab, bob);
                CHECK_STR(mate_reads(alice), "here|late|later|");
                CHECK_STR(mate_reads(carol), "here|late|later|");
                check_level(alice, new);
                check_level(carol, new);
        }
        lab_free(&lab);
}

/* What the next one writes comes after it, or it would be cut off everywhere. */
TEST(what_was_written_with_a_clock_ahead_stays) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;

        begin(&lab, 41, ROOM_ACCESS_OPEN);
        loop_virtual_step_realtime(lab.sim.loop, (int64_t)USEC_PER_DAY);
        mate_says(bob, "far");
        loop_virtual_step_realtime(lab.sim.loop, -(int64_t)USEC_PER_DAY);
        level_without(&lab, &lab.mate[3]);
        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        mate_says(new, "here");
        level_without(&lab, bob);
        CHECK_STR(mate_reads(alice), "far|here|");
        check_level(alice, new);
        lab_free(&lab);
}

/* An older copy of its store, whose user has gone on writing. */
TEST(a_device_that_was_put_back_hands_over_what_it_said_since) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *copy = &lab.mate[2], *new;

        begin(&lab, 40, ROOM_ACCESS_OPEN);
        mate_says(bob, "one");
        level_without(&lab, &lab.mate[3]);
        lab_clone(&lab, 1, 2, false);
        clone_joins(copy, alice);
        copy->next_id = 5000;
        mate_says(bob, "two");
        mate_says(bob, "three");
        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        give(new, alice);
        mate_says(copy, "deux");
        mate_says(copy, "trois");
        for (unsigned i = 0; i < 2; i++) {
                hand_over(copy, new, 64 * 1024, 0);
                CHECK_STR(mate_reads(new), "one|two|three|deux|trois|");
        }
        give(new, alice);
        CHECK_STR(mate_reads(alice), "one|two|three|deux|trois|");
        CHECK(bytes_are_zero(alice->room->row.forks_digest, SHA256_SIZE));
        check_level(new, alice);
        lab_free(&lab);
}

/* It came to a device that did not know that it was not meant any more. */
TEST(what_an_older_device_took_in_too_late_is_news) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;

        for (unsigned i = 0; i < 2; i++) {
                begin(&lab, 8, ROOM_ACCESS_OPEN);
                mate_says(alice, "one");
                level_without(&lab, &lab.mate[3]);
                new = move(&lab, 1, 3);
                lab_pause(&lab);
                mate_says(alice, "two");
                give(alice, bob);
                CHECK_OK(store_set_replaced_by(bob->store, buffer_bytes(&new->who.record)));
                if (i == 1) { /* alice brings it as well, just before */
                        hand_over_until_joined(bob, new);
                        CHECK_STR(mate_reads(new), "");
                        give(alice, new);
                }
                hand_over(bob, new, 64 * 1024, 0);
                CHECK_STR(mate_reads(new), "one|two|");
                CHECK_EQ(unread(new), 2);
                CHECK_EQ(count_events(new), 1);
                lab_free(&lab);
        }
}

TEST(who_moves_back_finds_what_was_said_meanwhile) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;
        RoomsError e = {};
        Uuid id;

        begin(&lab, 9, ROOM_ACCESS_PRIVATE);
        mate_says(bob, "one");
        level_without(&lab, &lab.mate[3]);
        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        mate_says(new, "two");
        mate_says(alice, "three");
        id = mate_uuid(alice, alice->next_id);
        level_without(&lab, bob);
        mate_reads_up_to(new, &id);
        CHECK_OK(rooms_set_topic(alice->rooms, alice->room->row.number, "tea", &e));
        lab_commit(alice);
        mate_says(alice, "four");
        level_without(&lab, bob);

        move_back(new, bob);
        hand_over(new, bob, 64 * 1024, 0);
        CHECK_STR(mate_reads(bob), "one|two|three|four|");
        CHECK_STR(bob->room->row.topic, "tea");
        CHECK_EQ(unread(bob), 1);
        mate_says(bob, "five");
        level_without(&lab, new);
        CHECK_STR(mate_reads(alice), "one|two|three|four|five|");
        check_level(alice, bob);
        lab_free(&lab);
}

TEST(who_is_out_of_a_room_is_out_of_it_on_the_next_device) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;

        for (unsigned i = 0; i < 3; i++) {
                begin(&lab, 10 + i, ROOM_ACCESS_OPEN);
                mate_says(alice, "one");
                level_without(&lab, &lab.mate[3]);
                if (i == 0)
                        CHECK_OK(rooms_leave(bob->rooms, bob->room->row.number, &e));
                else if (i == 1)
                        CHECK_OK(rooms_kick(
                                alice->rooms, alice->room->row.number, mate_account(bob), &e));
                else
                        CHECK_OK(rooms_delete(alice->rooms, alice->room->row.number, &e));
                lab_commit(alice);
                lab_commit(bob);
                if (i > 0)
                        level_without(&lab, &lab.mate[3]);
                new = move(&lab, 1, 3);
                hand_over(bob, new, i == 0 ? 1 : 64 * 1024, 0);
                CHECK_EQ(bob->room->row.status,
                        i == 0           ? ROOM_LEFT
                                : i == 1 ? ROOM_KICKED
                                         : ROOM_DELETED);
                CHECK_EQ(new->room->row.status, bob->room->row.status);
                CHECK_EQ(new->room->row.farewell, i == 0);
                CHECK_EQ(new->room->row.read_only, true);
                CHECK_STR(mate_reads(new), "one|");
                CHECK_EQ(count_events(new), 0);
                mate_restart(new);
                CHECK_EQ(new->room->row.status, bob->room->row.status);
                if (i == 0) {
                        CHECK(room_is_member(alice->room, mate_account(bob)));
                        give(new, alice);
                        CHECK(!room_is_member(alice->room, mate_account(bob)));
                }
                lab_free(&lab);
        }
}

TEST(an_invitation_comes_over) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;
        Contact c;

        lab_new(&lab, 20, 4);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_PRIVATE, ROOM_HISTORY_ALL, &e));
        CHECK_OK(rooms_invite(alice->rooms, alice->room->row.number, mate_account(bob), &e));
        lab_commit(alice);
        CHECK_OK(contact_mark(bob->store, mate_account(alice), CONTACT_NAMED));
        CHECK_EQ(contact_get(mate_txn(bob), mate_account(alice), &c), 1);
        CHECK_OK(room_begin(bob->rooms, lab.id, "kitchen", ROOM_INVITED, c.number, &bob->room));
        bob->room->row.invited = loop_realtime(lab.sim.loop);
        CHECK_OK(room_keep(bob->room));
        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        CHECK_EQ(new->room->row.status, ROOM_INVITED);
        CHECK_STR(new->room->row.name, "kitchen");
        CHECK_EQ(new->room->row.invited, bob->room->row.invited);
        CHECK_EQ(contact_get_by_number(mate_txn(new), new->room->row.inviter, &c), 1);
        CHECK(key_equal(c.account, mate_account(alice)));
        lab_free(&lab);
}

/* Two blocks with one number would end the room. */
TEST(the_owner_writes_no_block_before_he_has_those_of_his_device_before) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2], *new;
        uint64_t epoch;

        lab_new(&lab, 21, 4);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        level_without(&lab, &lab.mate[3]);
        new = move(&lab, 0, 3);
        clone_joins(new, bob);
        epoch = roster_head(new->room->roster)->epoch;
        /* Nobody else has this block. */
        CHECK_OK(rooms_set_role(
                alice->rooms, alice->room->row.number, mate_account(bob), ROOM_ROLE_ADMIN, &e));
        lab_commit(alice);
        mate_join(carol, bob);
        CHECK_OK(rooms_set_topic(new->rooms, new->room->row.number, "tea", &e));
        CHECK_EQ(rooms_set_role(
                         new->rooms, new->room->row.number, mate_account(bob), ROOM_ROLE_ADMIN, &e),
                -ECANCELED);
        CHECK_EQ(e.code, CODE_NOT_ALLOWED);
        CHECK_EQ(rooms_delete(new->rooms, new->room->row.number, &e), -ECANCELED);
        lab_commit(new);
        level_without(&lab, alice);
        CHECK_EQ(roster_head(new->room->roster)->epoch, epoch);
        CHECK_STR(roster_topic(bob->room->roster), "tea");

        hand_over(alice, new, 64 * 1024, 0);
        level_without(&lab, alice);
        CHECK(roster_head(new->room->roster)->epoch > epoch + 1);
        CHECK(!(bob->room->row.flags & ROOM_FLAG_FORKED));
        CHECK_EQ(room_rank(carol->room, mate_account(bob)), ROOM_ROLE_ADMIN);
        CHECK_STR(roster_topic(carol->room->roster), "tea");
        CHECK(!roster_member(carol->room->roster, mate_account(carol))->provisional);
        check_level(bob, new);
        check_level(carol, new);
        mate_restart(new);
        CHECK_OK(rooms_set_role(
                new->rooms, new->room->row.number, mate_account(carol), ROOM_ROLE_ADMIN, &e));
        lab_free(&lab);
}

TEST(the_owner_does_not_wait_for_ever) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;
        size_t pending;

        lab_new(&lab, 22, 4);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        level_without(&lab, &lab.mate[3]);
        new = move(&lab, 0, 3);
        clone_joins(new, bob);
        CHECK_OK(rooms_set_topic(new->rooms, new->room->row.number, "tea", &e));
        lab_commit(new);
        CHECK(key_equal(roster_head(new->room->roster)->author, mate_account(new)));
        CHECK_STR(roster_topic(new->room->roster), "tea");
        sim_run(&lab.sim, USEC_PER_DAY + 2 * USEC_PER_SEC);
        lab_commit(new);
        CHECK_OK(room_proposal_count(mate_txn(new), new->room->row.number, &pending));
        CHECK_EQ(pending, 0);
        CHECK_OK(rooms_set_role(
                new->rooms, new->room->row.number, mate_account(bob), ROOM_ROLE_ADMIN, &e));
        lab_free(&lab);
}

TEST(a_room_that_was_handed_to_the_user_keeps_what_that_rests_on) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;

        begin(&lab, 23, ROOM_ACCESS_OPEN);
        CHECK_OK(rooms_set_role(
                alice->rooms, alice->room->row.number, mate_account(bob), ROOM_ROLE_OWNER, &e));
        lab_commit(alice);
        level_without(&lab, &lab.mate[3]);
        CHECK_EQ(room_rank(alice->room, mate_account(bob)), ROOM_ROLE_OWNER);
        new = move(&lab, 1, 3);
        hand_over(bob, new, 1, 1);
        CHECK_EQ(room_rank(new->room, mate_account(bob)), ROOM_ROLE_OWNER);
        check_level(new, alice);
        lab_free(&lab);
}

TEST(forks_come_over) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2], *new, *twin;

        begin(&lab, 24, ROOM_ACCESS_OPEN);
        lab_clone(&lab, 2, 3, false);
        twin = &lab.mate[3];
        clone_joins(twin, alice);
        twin->next_id = 5000;
        mate_says(carol, "one");
        mate_says(twin, "another");
        give(carol, bob);
        give(twin, bob);
        CHECK(memcmp(bob->room->row.forks_digest, alice->room->row.forks_digest, 32) != 0);
        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        check_level(new, bob);
        lab_free(&lab);

        begin(&lab, 25, ROOM_ACCESS_OPEN);
        mate_says(bob, "one");
        level_without(&lab, &lab.mate[3]);
        lab_clone(&lab, 0, 3, false);
        clone_joins(&lab.mate[3], bob);
        CHECK_OK(rooms_set_topic(alice->rooms, alice->room->row.number, "tea", &e));
        lab_commit(alice);
        CHECK_OK(rooms_set_topic(lab.mate[3].rooms, lab.mate[3].room->row.number, "beer", &e));
        lab_commit(&lab.mate[3]);
        give(alice, bob);
        give(&lab.mate[3], bob);
        CHECK(bob->room->row.flags & ROOM_FLAG_FORKED);
        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        CHECK(new->room->row.flags &ROOM_FLAG_FORKED);
        CHECK(new->room->row.read_only);
        CHECK_STR(mate_reads(new), "one|");
        CHECK_EQ(count_events(new), 0);
        lab_free(&lab);
}

TEST(what_is_no_item_is_refused) {
        _cleanup_(buffer_done) Buffer items = BUFFER_NULL, next = BUFFER_NULL, bad = BUFFER_NULL;
        RoomsLab lab;
        Mate *bob = &lab.mate[1], *new;
        uint64_t n;
        Bytes item;
        DbTxn *txn;

        begin(&lab, 26, ROOM_ACCESS_OPEN);
        mate_says(bob, "one");
        new = move(&lab, 1, 3);
        CHECK_OK(store_read_begin(bob->store, &txn));
        CHECK_EQ(rooms_handover_read(txn, &bob->self, (Bytes){.data = (const uint8_t *)"x", 1},
                         1000, &items, &n, &next),
                -EINVAL);
        CHECK_EQ(rooms_handover_read(txn, &bob->self, (Bytes){}, 64 * 1024, &items, &n, &next), 0);
        CHECK_EQ(rooms_handover_read(txn, &bob->self, buffer_bytes(&next), 1000, &bad, &n, &next),
                0);
        CHECK_EQ(n, 0);
        store_read_end(txn);
        item = buffer_bytes(&items);
        for (Bytes left = item; left.size > 0;) {
                item = next_item(&left);
                for (size_t i = 0; i < item.size; i += 1 + item.size / 8)
                        CHECK_EQ(rooms_handover_merge(
                                         new->rooms, (Bytes){.data = item.data, .size = i}),
                                -EBADMSG);
        }
        lab_commit(new);
        CHECK(!room_of(new->rooms, lab.id));
        lab_free(&lab);
}

/* A copy of the store from before what the room has. */

static void on_behind(void *userdata, const char *why) {
        Mate *m = userdata;

        m->who.epoch++;
        person_sign(&m->who, IDENTITY_LIFETIME);
        m->self.epoch = m->who.epoch;
        buffer_clear(&m->self.certificate);
        CHECK_OK(buffer_append(&m->self.certificate, buffer_data(&m->who.certificate),
                buffer_size(&m->who.certificate)));
}

static const RoomsCallbacks with_epochs = {.behind = on_behind};

static Mate *restored(RoomsLab *lab, Mate *by) {
        Mate *m = &lab->mate[3];

        lab_clone(lab, 2, 3, false);
        clone_joins(m, by);
        m->next_id = 1000;
        m->rooms->callbacks = &with_epochs;
        return m;
}

TEST(a_restored_store_that_hears_of_it_goes_on_in_another_epoch) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2], *again;

        begin(&lab, 30, ROOM_ACCESS_PRIVATE);
        mate_says(carol, "one");
        level_without(&lab, &lab.mate[3]);
        again = restored(&lab, alice);
        mate_says(carol, "two");
        give(carol, bob);
        give(bob, again);
        CHECK_EQ(again->self.epoch, 2);
        mate_says(again, "three");
        level_without(&lab, carol);
        CHECK_STR(mate_reads(alice), "one|two|three|");
        CHECK_STR(mate_reads(bob), "one|two|three|");
        check_level(alice, again);
        CHECK(bytes_are_zero(alice->room->row.forks_digest, SHA256_SIZE));
        lab_free(&lab);
}

TEST(what_a_restored_store_said_before_it_heard_of_it_is_not_lost) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2], *again;

        for (unsigned i = 0; i < 2; i++) {
                begin(&lab, 31 + i, ROOM_ACCESS_PRIVATE);
                mate_says(carol, "one");
                level_without(&lab, &lab.mate[3]);
                again = restored(&lab, alice);
                mate_says(carol, "two");
                give(carol, bob);
                lab_pause(&lab);
                mate_says(again, "three");
                if (i == 1)
                        mate_says(again, "four");
                give(again, alice);
                if (i == 1) /* somebody else has found out */
                        give(alice, bob);
                give(bob, again);
                CHECK_EQ(again->self.epoch, 2);
                level_without(&lab, carol);
                CHECK_STR(mate_reads(alice), i == 0 ? "one|three|two|" : "one|three|four|");
                CHECK_STR(mate_reads(bob), i == 0 ? "one|three|two|" : "one|three|four|");
                check_level(alice, again);
                mate_says(again, "five");
                give(again, alice);
                CHECK(strstr(mate_reads(alice), "five|"));
                lab_free(&lab);
        }
}
