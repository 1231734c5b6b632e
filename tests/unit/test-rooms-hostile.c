/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Members, and others, who say what is not so, or too much of it. */

#include "test.h"

#include "sync-lab.h"

#define ALICE (&lab.mate[0])
#define BOB (&lab.mate[1])
#define CAROL (&lab.mate[2])

/* Carol's program speaks no more: what goes over her links is the test's. */
static void carol_turns_evil(SyncLab *lab) {
        lab->mate[2].evil = true;
        rooms_stop(lab->mate[2].rooms);
        sim_run(&lab->sim, 5 * USEC_PER_SEC);
}

static Link *link_of(Mate *m, const Mate *to) {
        Link *const *l = &m->links[to - m->lab->mate];

        SIM_UNTIL(&m->lab->sim, *l);
        return *l;
}

static void tell(Mate *m, const Mate *to, RoomSync *x) {
        Link *l = link_of(m, to);

        if (x->op != ROOM_SYNC_ASK && x->room[0] == 0)
                memcpy(x->room, m->lab->id, ROOM_ID_SIZE);
        CHECK_OK(room_sync_encode(link_output(l), x));
        link_queued(l);
}

/* The next of M's feed, after PREV. */
typedef struct Forged {
        Buffer inner;
        uint8_t hash[SHA256_SIZE], signature[SIGNATURE_SIZE];
} Forged;

static void forge(Mate *m, uint64_t seq, const uint8_t *prev, const char *body, Forged *ret) {
        const Person *who = &m->stack.who;
        _cleanup_(buffer_done) Buffer head = BUFFER_NULL;
        usec_t now = loop_realtime(m->lab->sim.loop);
        RoomHead at = {};
        RoomPosition place;
        Inner x = {.epoch = who->epoch,
                .seq = seq,
                .hlc = now / USEC_PER_MSEC << 16,
                .sent = now,
                .expires = now + USEC_PER_DAY,
                .kind = KIND_TEXT,
                .body = text_bytes(body)};

        *ret = (Forged){};
        at.epoch = room_head(mate_room(m), at.hash);
        CHECK_OK(room_head_encode(&head, &at));
        x.control_head = buffer_bytes(&head);
        loop_random(m->lab->sim.loop, &x.id, sizeof(x.id));
        memcpy(x.conversation, m->lab->id, ROOM_ID_SIZE);
        memcpy(x.account, mate_account(m), KEY_SIZE);
        memcpy(x.device, sign_key_public(&who->device), KEY_SIZE);
        if (prev)
                memcpy(x.prev, prev, SHA256_SIZE);
        CHECK_OK(inner_encode(&ret->inner, &x));
        sha256(buffer_data(&ret->inner), buffer_size(&ret->inner), ret->hash);
        place = room_position(&x);
        CHECK_OK(room_entry_sign(&who->device, &place, ret->hash, ret->signature));
}

static void give_forged(Mate *m, const Mate *to, const Forged *list, size_t n, bool done) {
        RoomEntries *e = calloc(1, sizeof(*e));
        Link *l = link_of(m, to);

        CHECK(e);
        memcpy(e->room, m->lab->id, ROOM_ID_SIZE);
        for (size_t i = 0; i < n; i++)
                e->items[e->n_items++] = (RoomEntriesItem){.inner = buffer_bytes(&list[i].inner),
                        .signature = list[i].signature,
                        .certificate = m->stack.who.local.certificate};
        e->done = done;
        CHECK_OK(room_entries_encode(link_output(l), e));
        link_queued(l);
        free(e);
}

static void lab_begin(SyncLab *lab) {
        lab_new(lab, 3);
        lab_room_of(lab, ROOM_ACCESS_OPEN);
        mate_says(&lab->mate[0], "one");
        SIM_UNTIL(&lab->sim, lab_is_level(lab) && mate_count(&lab->mate[1]) == 1);
        carol_turns_evil(lab);
}

static RoomState mate_state(Mate *m) {
        RoomState st;
        DbTxn *txn;

        CHECK_OK(store_read_begin(m->stack.store, &txn));
        CHECK_OK(read_state(sync_find_room(m->rooms->sync, m->room), txn, &st, NULL));
        store_read_end(txn);
        return st;
}

/* What Alice said over the link to Carol was so before Bob gave her what she lacked. She hears that
 * Carol has it too, who could not know that of Alice. */
TEST(who_has_caught_up_elsewhere_says_so) {
        RoomSync x = {.op = ROOM_SYNC_STATE};
        SyncLab lab;
        unsigned n;

        lab_begin(&lab);
        mate_goes(ALICE);
        sim_run(&lab.sim, USEC_PER_SEC);
        mate_says(BOB, "while alice is away");
        mate_comes(ALICE);
        SIM_UNTIL(&lab.sim, mate_count(ALICE) == 2 && CAROL->links[0]);
        sim_run(&lab.sim, 2 * USEC_PER_SEC);
        x.state = mate_state(BOB);
        n = CAROL->heard[ROOM_SYNC_STATE];
        tell(CAROL, ALICE, &x);
        sim_run(&lab.sim, 5 * USEC_PER_SEC);
        CHECK(CAROL->heard[ROOM_SYNC_STATE] > n);
        lab_free(&lab);
}

/* Three who are level are enough for everything but this: who has what Alice wrote. Carol says that
 * she has not, and in the end that she has. */
TEST(who_has_not_said_that_he_has_it_is_asked_again) {
        RoomSync x = {.op = ROOM_SYNC_STATE};
        unsigned n, held, readers, members;
        SyncLab lab;
        DbTxn *txn;

        lab_new(&lab, 5);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        carol_turns_evil(&lab);
        x.state = mate_state(BOB);
        mate_says(ALICE, "hello");
        tell(CAROL, ALICE, &x);
        sim_run(&lab.sim, USEC_PER_HOUR);
        n = CAROL->heard[ROOM_SYNC_STATE];
        sim_run(&lab.sim, USEC_PER_HOUR);
        CHECK(CAROL->heard[ROOM_SYNC_STATE] > n);
        x.state = mate_state(BOB);
        tell(CAROL, ALICE, &x);
        sim_run(&lab.sim, USEC_PER_MINUTE);
        CHECK_OK(store_read_begin(ALICE->stack.store, &txn));
        CHECK(rooms_count_delivered(ALICE->rooms, txn, ALICE->room, mate_room(ALICE)->own, 1, &held,
                      &readers, &members) >= 0);
        store_read_end(txn);
        CHECK_EQ(held, 4);
        n = CAROL->heard[ROOM_SYNC_STATE];
        sim_run(&lab.sim, USEC_PER_HOUR);
        CHECK_EQ(CAROL->heard[ROOM_SYNC_STATE], n);
        lab_free(&lab);
}

/* A feed that she claims to have, and another one's that she claims to have more of. */
TEST(who_claims_what_he_has_not_is_passed_over) {
        RoomSync x = {.op = ROOM_SYNC_VECTOR};
        _cleanup_(buffer_done) Buffer items = BUFFER_NULL;
        RoomVectorItem item = {.seq = 1000, .hash = {1}};
        SyncLab lab;

        lab_begin(&lab);
        mate_goes(ALICE);
        sim_run(&lab.sim, USEC_PER_SEC);
        for (unsigned i = 0; i < 50; i++)
                mate_says(BOB, "while alice is away");
        mate_comes(ALICE);
        room_feed_tag(mate_account(BOB), 1, sign_key_public(&BOB->stack.who.device), item.tag);
        CHECK_OK(room_vector_append(&items, &item));
        item.tag[0] ^= 1;
        CHECK_OK(room_vector_append(&items, &item));
        x.vector = (RoomVector){.items = buffer_bytes(&items), .full = true};
        tell(CAROL, ALICE, &x);
        sim_run(&lab.sim, USEC_PER_MINUTE);
        CHECK(CAROL->heard[ROOM_SYNC_WANT] >= 1);
        CHECK(CAROL->heard[ROOM_SYNC_WANT] <= 3);
        CHECK_EQ(mate_count(ALICE), 51);
        CHECK(mates_are_level(ALICE, BOB));
        lab_free(&lab);
}

TEST(what_is_beyond_a_gap_is_not_held) {
        SyncLab lab;
        SyncRoom *sr;
        RoomLink *rl;
        uint64_t before;

        lab_begin(&lab);
        before = mate_count(ALICE);
        for (unsigned frame = 0; frame < 100; frame++) {
                Forged list[100];

                for (unsigned i = 0; i < 100; i++)
                        forge(CAROL, 5 + frame * 100 + i, i ? list[i - 1].hash : list[0].hash,
                                "far beyond", &list[i]);
                give_forged(CAROL, ALICE, list, 100, false);
                for (unsigned i = 0; i < 100; i++)
                        buffer_done(&list[i].inner);
                sim_run(&lab.sim, 10 * USEC_PER_MSEC);
        }
        sim_run(&lab.sim, 5 * USEC_PER_SEC);
        CHECK_EQ(mate_count(ALICE), before);
        sr = sync_find_room(ALICE->rooms->sync, ALICE->room);
        rl = room_link_find(sr, sync_find_peer(ALICE->rooms->sync, mate_account(CAROL)));
        CHECK(rl && buffer_size(&rl->claims) <= ROOM_WANT_ITEM_SIZE);
        CHECK(CAROL->heard[ROOM_SYNC_WANT] >= 1); /* for what is before */
        CHECK(CAROL->heard[ROOM_SYNC_WANT] < 10);

        /* The room goes on. */
        mate_says(BOB, "two");
        SIM_UNTIL(&lab.sim, mate_count(ALICE) == before + 1);
        lab_free(&lab);
}

TEST(a_room_that_is_not_here_is_not_spoken_of) {
        RoomSync x = {.op = ROOM_SYNC_STATE};
        SyncLab lab;

        lab_begin(&lab);
        for (unsigned i = 0; i < 1000; i++) {
                memset(x.room, 1 + i % 200, ROOM_ID_SIZE);
                tell(CAROL, ALICE, &x);
        }
        sim_run(&lab.sim, USEC_PER_SEC);
        CHECK_EQ(CAROL->refused, CODE_UNKNOWN_ROOM);
        CHECK(CAROL->heard[ROOM_SYNC_REFUSED] <= 21);
        CHECK(delivery_has_link(CAROL->stack.delivery, mate_account(ALICE)));
        lab_free(&lab);
}

TEST(who_is_no_member_is_told_nothing) {
        static const RoomSyncOp ops[] = {
                ROOM_SYNC_STATE, ROOM_SYNC_VECTOR, ROOM_SYNC_WANT, ROOM_SYNC_TYPING};
        SyncLab lab;

        lab_new(&lab, 3);
        lab_create(&lab, ROOM_ACCESS_PRIVATE);
        stack_send(&CAROL->stack, &ALICE->stack.who, "hi");
        SIM_UNTIL(&lab.sim, CAROL->stack.rooms);
        CAROL->evil = true;
        for (size_t i = 0; i < ELEMENTSOF(ops); i++) {
                RoomSync x = {.op = ops[i]};

                if (ops[i] == ROOM_SYNC_WANT)
                        x.want.has_control = x.want.proposals = true;
                tell(CAROL, ALICE, &x);
                sim_run(&lab.sim, USEC_PER_SEC);
                CHECK_EQ(CAROL->heard[ROOM_SYNC_REFUSED], i + 1);
                CHECK_EQ(CAROL->refused, CODE_NOT_MEMBER);
        }
        for (RoomSyncOp op = 1; op < _ROOM_SYNC_MAX; op++)
                CHECK_EQ(CAROL->heard[op], op == ROOM_SYNC_REFUSED ? ELEMENTSOF(ops) : 0);
        CHECK_EQ(CAROL->n_entries, 0);
        lab_free(&lab);
}

/* However often something is said that is not so, or asked for, the answers are few. */
TEST(a_flood_of_states_and_wants_is_answered_seldom) {
        SyncLab lab;
        unsigned n;

        lab_begin(&lab);
        memset(CAROL->heard, 0, sizeof(CAROL->heard));
        for (unsigned i = 0; i < 20000; i++) {
                RoomSync x = {.op = ROOM_SYNC_STATE, .state.head.epoch = 1 + i};

                loop_random(lab.sim.loop, x.state.head.hash, 3 * ROOM_DIGEST_SIZE);
                tell(CAROL, ALICE, &x);
                if (i % 1000 == 999)
                        sim_run(&lab.sim, 100 * USEC_PER_MSEC);
        }
        sim_run(&lab.sim, USEC_PER_SEC);
        CHECK(CAROL->heard[ROOM_SYNC_VECTOR] <= 6);
        CHECK(CAROL->heard[ROOM_SYNC_PROPOSALS] + CAROL->heard[ROOM_SYNC_FORK] <= 4);
        CHECK(CAROL->heard[ROOM_SYNC_WANT] <= 4);
        CHECK(CAROL->heard[ROOM_SYNC_STATE] <= 30);

        sim_run(&lab.sim, USEC_PER_MINUTE);
        n = CAROL->heard[ROOM_SYNC_CONTROL];
        for (unsigned i = 0; i < 20000; i++) {
                RoomSync x = {.op = ROOM_SYNC_WANT,
                        .want = {.has_control = true, .proposals = true, .forks = true}};

                tell(CAROL, ALICE, &x);
        }
        sim_run(&lab.sim, USEC_PER_SEC);
        CHECK(CAROL->heard[ROOM_SYNC_CONTROL] - n < 600);

        sim_run(&lab.sim, USEC_PER_MINUTE);
        mate_says(BOB, "two");
        SIM_UNTIL(&lab.sim, mate_count(ALICE) == 2);
        lab_free(&lab);
}

/* A block that is well made, beside one of the owner's, by somebody who may write none: it is
 * looked at in the light of all before it. */
TEST(who_brings_useless_blocks_is_not_listened_to_for_a_while) {
        RoomSync x = {.op = ROOM_SYNC_CONTROL};
        _cleanup_(buffer_done) Buffer outer = BUFFER_NULL;
        RoomBlock *b = calloc(1, sizeof(*b));
        const Person *who;
        SyncLab lab;
        Bytes held;

        CHECK(b);
        lab_begin(&lab);
        who = &CAROL->stack.who;
        CHECK_EQ(room_block_get(store_write(ALICE->stack.store), ALICE->room,
                         roster_head(mate_room(ALICE)->roster)->epoch, &held),
                1);
        CHECK_OK(room_block_parse(held, b));
        memcpy(b->account, mate_account(CAROL), KEY_SIZE);
        memcpy(b->device, sign_key_public(&who->device), KEY_SIZE);
        b->device_epoch = who->epoch;
        b->term++;
        CHECK_OK(room_block_encode(&outer, b, &who->device, b->hash));
        x.objects.objects[x.objects.n_objects++] = buffer_bytes(&outer);
        x.objects.certificates[x.objects.n_certificates++] = who->local.certificate;
        for (unsigned i = 0; i < 200; i++)
                tell(CAROL, ALICE, &x);
        sim_run(&lab.sim, USEC_PER_SEC);
        CHECK_EQ(CAROL->refused, CODE_RATE_LIMITED);
        CHECK_EQ(roster_head(mate_room(ALICE)->roster)->term, 1);
        mate_says(BOB, "two");
        SIM_UNTIL(&lab.sim, mate_count(ALICE) == 2);
        free(b);
        lab_free(&lab);
}

/* Proposals that come in one frame. */
typedef struct Bundle {
        RoomSync x;
        Buffer outer[ROOM_SYNC_OBJECTS_MAX];
} Bundle;

static void bundle_add(Bundle *b, const Mate *by, const RoomChange *c) {
        const Person *who = &by->stack.who;
        RoomProposal *p = calloc(1, sizeof(*p));
        RoomObjects *o = &b->x.objects;
        bool again = false;

        CHECK(p && o->n_objects < ELEMENTSOF(b->outer));
        *p = (RoomProposal){
                .change = *c, .device_epoch = who->epoch, .sent = loop_realtime(by->lab->sim.loop)};
        p->hlc = (p->sent / USEC_PER_MSEC << 16) + o->n_objects;
        p->head.epoch = room_head(mate_room(&by->lab->mate[1]), p->head.hash);
        memcpy(p->room, by->lab->id, ROOM_ID_SIZE);
        memcpy(p->account, mate_account(by), KEY_SIZE);
        memcpy(p->device, sign_key_public(&who->device), KEY_SIZE);
        CHECK_OK(room_proposal_encode(&b->outer[o->n_objects], p, &who->device, p->hash));
        o->objects[o->n_objects] = buffer_bytes(&b->outer[o->n_objects]);
        o->n_objects++;
        for (size_t i = 0; i < o->n_certificates; i++)
                again |= bytes_equal(o->certificates[i], who->local.certificate);
        if (!again)
                o->certificates[o->n_certificates++] = who->local.certificate;
        free(p);
}

static void bundle_done(Bundle *b) {
        for (size_t i = 0; i < b->x.objects.n_objects; i++)
                buffer_done(&b->outer[i]);
        *b = (Bundle){.x.op = ROOM_SYNC_PROPOSALS};
}

typedef struct Topics {
        unsigned n;
        uint32_t by;
        char last[ROOM_TOPIC_MAX + 1];
} Topics;

static bool add_topic(void *userdata, DbTxn *txn, const EventRow *e) {
        Topics *t = userdata;

        if (e->kind != EVENT_ROOM || e->change != ROOM_EVENT_TOPIC)
                return true;
        t->n++;
        t->by = e->account;
        snprintf(t->last, sizeof(t->last), "%.*s", (int)e->topic.size, (const char *)e->topic.data);
        return true;
}

static Topics mate_topics(Mate *m) {
        Topics t = {};
        DbTxn *txn;

        CHECK_OK(store_read_begin(m->stack.store, &txn));
        CHECK_OK(event_each(txn, 0, add_topic, &t));
        store_read_end(txn);
        return t;
}

/* However many come together: what is pending is looked at once for them. */
TEST(what_is_proposed_together_is_told_as_one) {
        Bundle b = {.x.op = ROOM_SYNC_PROPOSALS};
        RoomsError e = {};
        Contact carol;
        SyncLab lab;
        Topics t;

        lab_begin(&lab);
        CHECK_OK(rooms_set_role(
                ALICE->rooms, ALICE->room, mate_account(CAROL), ROOM_ROLE_ADMIN, &e));
        mate_commit(ALICE);
        SIM_UNTIL(&lab.sim, room_rank(mate_room(BOB), mate_account(CAROL)) == ROOM_ROLE_ADMIN);
        for (unsigned i = 0; i < ROOM_SYNC_OBJECTS_MAX; i++) {
                char text[32];

                snprintf(text, sizeof(text), "topic %u", i);
                bundle_add(&b, CAROL,
                        &(RoomChange){.type = ROOM_CHANGE_TOPIC, .text = text_bytes(text)});
        }
        tell(CAROL, BOB, &b.x);
        SIM_UNTIL(&lab.sim, streq(roster_topic(mate_room(BOB)->roster), "topic 63"));
        mate_commit(BOB);
        t = mate_topics(BOB);
        CHECK_EQ(t.n, 1);
        CHECK_STR(t.last, "topic 63");
        CHECK_EQ(contact_get(store_write(BOB->stack.store), mate_account(CAROL), &carol), 1);
        CHECK_EQ(t.by, carol.number);
        SIM_UNTIL(&lab.sim, mates_are_level(ALICE, BOB));
        bundle_done(&b);
        lab_free(&lab);
}

/* Who lets somebody in, and what he proposes then, may come at once. */
TEST(who_is_let_in_proposes_in_the_same_frame) {
        Bundle b = {.x.op = ROOM_SYNC_PROPOSALS};
        RoomChange add = {.type = ROOM_CHANGE_ADD, .text = text_bytes("dave")};
        RoomChange invite = {.type = ROOM_CHANGE_INVITE};
        Mate *dave, *erin;
        SyncLab lab;

        lab_new(&lab, 5);
        lab_create(&lab, ROOM_ACCESS_OPEN);
        mate_join(BOB, ALICE);
        mate_join(CAROL, ALICE);
        carol_turns_evil(&lab);
        mate_goes(ALICE); /* who would settle it */
        dave = &lab.mate[3];
        erin = &lab.mate[4];
        memcpy(add.account, mate_account(dave), KEY_SIZE);
        memcpy(invite.account, mate_account(erin), KEY_SIZE);
        bundle_add(&b, CAROL, &add);
        bundle_add(&b, dave, &invite);
        tell(CAROL, BOB, &b.x);
        SIM_UNTIL(&lab.sim, room_is_member(mate_room(BOB), mate_account(dave)));
        CHECK(roster_is_invited(mate_room(BOB)->roster, mate_account(erin)));
        bundle_done(&b);
        lab_free(&lab);
}

/* Frames of what nobody may propose: each costs its sender as much as if it had come alone. */
TEST(who_brings_useless_proposals_is_not_listened_to_for_a_while) {
        Bundle b = {.x.op = ROOM_SYNC_PROPOSALS};
        RoomChange c = {.type = ROOM_CHANGE_ROLE, .role = ROOM_ROLE_ADMIN};
        size_t n;
        SyncLab lab;

        lab_begin(&lab);
        memcpy(c.account, mate_account(CAROL), KEY_SIZE);
        for (unsigned i = 0; i < 2 * 4000 / COST_REFUSED; i++) {
                bundle_add(&b, CAROL, &c);
                if (b.x.objects.n_objects < ROOM_SYNC_OBJECTS_MAX)
                        continue;
                tell(CAROL, BOB, &b.x);
                sim_run(&lab.sim, 10 * USEC_PER_MSEC); /* another time, another hash */
                bundle_done(&b);
        }
        sim_run(&lab.sim, USEC_PER_SEC);
        CHECK_EQ(CAROL->refused, CODE_RATE_LIMITED);
        CHECK_OK(room_proposal_count(store_write(BOB->stack.store), BOB->room, &n));
        CHECK_EQ(n, 0);
        mate_says(ALICE, "two");
        SIM_UNTIL(&lab.sim, mate_count(BOB) == 2);
        bundle_done(&b);
        lab_free(&lab);
}

/* The answer would say who is in a room of which only the name is known. */
TEST(who_is_no_member_does_not_learn_who_is_in_a_private_room) {
        RoomSync x = {.op = ROOM_SYNC_ASK};
        SyncLab lab;
        Room *room;

        lab_new(&lab, 3);
        lab_create(&lab, ROOM_ACCESS_PRIVATE);
        room = mate_room(ALICE);
        stack_send(&CAROL->stack, &ALICE->stack.who, "hi");
        SIM_UNTIL(&lab.sim, CAROL->stack.rooms);
        CAROL->evil = true;
        memcpy(x.ask.name, roster_name(room->roster), NAME_SIZE);
        tell(CAROL, ALICE, &x);
        sim_run(&lab.sim, USEC_PER_SEC);
        CHECK_EQ(CAROL->heard[ROOM_SYNC_OFFER], 1);
        CHECK_EQ(CAROL->n_offers, 0);
        lab_free(&lab);
}

/* He learns that he was removed, and not how the room went on. */
TEST(who_was_removed_does_not_read_on_in_the_log) {
        RoomSync x = {.op = ROOM_SYNC_WANT, .want = {.has_control = true}};
        RoomsError e = {};
        uint64_t removed;
        SyncLab lab;

        lab_begin(&lab);
        CHECK_OK(rooms_kick(ALICE->rooms, ALICE->room, mate_account(CAROL), &e));
        mate_commit(ALICE);
        removed = roster_head(mate_room(ALICE)->roster)->epoch;
        for (unsigned i = 0; i < 5; i++) {
                CHECK_OK(rooms_set_topic(
                        ALICE->rooms, ALICE->room, i % 2 ? "one thing" : "another", &e));
                mate_commit(ALICE);
        }
        sim_run(&lab.sim, USEC_PER_SEC);
        stack_send(&CAROL->stack, &ALICE->stack.who, "why?");
        SIM_UNTIL(&lab.sim, CAROL->links[0]);
        CAROL->n_blocks = 0;
        tell(CAROL, ALICE, &x);
        sim_run(&lab.sim, 10 * USEC_PER_SEC);
        CHECK_EQ(CAROL->n_blocks, removed);
        CHECK_EQ(roster_head(mate_room(BOB)->roster)->epoch, removed + 5);
        lab_free(&lab);
}

/* Nor does he see by the digests that they talk. */
TEST(who_was_removed_does_not_learn_that_anything_is_said) {
        RoomSync x = {.op = ROOM_SYNC_STATE};
        RoomsError e = {};
        uint8_t removed[SHA256_SIZE];
        uint64_t epoch;
        SyncLab lab;

        lab_begin(&lab);
        CHECK_OK(rooms_kick(ALICE->rooms, ALICE->room, mate_account(CAROL), &e));
        mate_commit(ALICE);
        epoch = room_head(mate_room(ALICE), removed);
        CHECK_OK(rooms_set_topic(ALICE->rooms, ALICE->room, "gone", &e));
        mate_commit(ALICE);
        mate_says(ALICE, "without carol");
        SIM_UNTIL(&lab.sim, mate_count(BOB) == 2);
        stack_send(&CAROL->stack, &ALICE->stack.who, "why?");
        SIM_UNTIL(&lab.sim, CAROL->links[0]);
        CAROL->heard[ROOM_SYNC_STATE] = 0;
        tell(CAROL, ALICE, &x);
        SIM_UNTIL(&lab.sim, CAROL->heard[ROOM_SYNC_STATE] > 0);
        CHECK_EQ(CAROL->state.head.epoch, epoch);
        CHECK(memcmp(CAROL->state.head.hash, removed, SHA256_SIZE) == 0);
        CHECK(bytes_are_zero(CAROL->state.feeds, ROOM_DIGEST_SIZE));
        CHECK(bytes_are_zero(CAROL->state.proposals, ROOM_DIGEST_SIZE));
        CHECK(bytes_are_zero(CAROL->state.forks, ROOM_DIGEST_SIZE));
        lab_free(&lab);
}

TEST(claims_are_bounded) {
        RoomSync x = {.op = ROOM_SYNC_VECTOR};
        SyncLab lab;
        SyncRoom *sr;
        RoomLink *rl;

        lab_begin(&lab);
        for (unsigned frame = 0; frame < 20; frame++) {
                _cleanup_(buffer_done) Buffer items = BUFFER_NULL;

                for (unsigned i = 0; i < ROOM_VECTOR_MAX; i++) {
                        RoomVectorItem item = {.seq = UINT64_MAX / 4};

                        loop_random(lab.sim.loop, item.tag, sizeof(item.tag));
                        CHECK_OK(room_vector_append(&items, &item));
                }
                x.vector = (RoomVector){.items = buffer_bytes(&items), .full = true, .more = true};
                tell(CAROL, ALICE, &x);
                sim_run(&lab.sim, 100 * USEC_PER_MSEC);
        }
        sr = sync_find_room(ALICE->rooms->sync, ALICE->room);
        rl = room_link_find(sr, sync_find_peer(ALICE->rooms->sync, mate_account(CAROL)));
        CHECK(rl && buffer_size(&rl->claims) <= CLAIMS_MAX * ROOM_WANT_ITEM_SIZE);
        CHECK(HASH_COUNT(sr->fetches) <= WANT_FEEDS_MAX);
        sim_run(&lab.sim, USEC_PER_HOUR);
        CHECK_EQ(HASH_COUNT(sr->fetches), 0);
        CHECK(CAROL->heard[ROOM_SYNC_WANT] < 30);
        mate_says(BOB, "two");
        SIM_UNTIL(&lab.sim, mate_count(ALICE) == 2);
        lab_free(&lab);
}

/* One to Alice, the other to Bob: both find out, and keep the proof. */
static void fork_at(SyncLab *lab, unsigned before, unsigned after) {
        Forged common[64], a[64], b[64];

        for (unsigned i = 0; i < before; i++)
                forge(&lab->mate[2], 1 + i, i ? common[i - 1].hash : NULL, "common", &common[i]);
        for (unsigned i = 0; i < after; i++) {
                const uint8_t *prev = before ? common[before - 1].hash : NULL;

                forge(&lab->mate[2], 1 + before + i, i ? a[i - 1].hash : prev, "to alice", &a[i]);
                forge(&lab->mate[2], 1 + before + i, i ? b[i - 1].hash : prev, "to bob", &b[i]);
        }
        for (unsigned i = 0; i < 2; i++) {
                if (before)
                        give_forged(&lab->mate[2], &lab->mate[i], common, before, false);
                give_forged(&lab->mate[2], &lab->mate[i], i ? b : a, after, false);
        }
        for (unsigned i = 0; i < before; i++)
                buffer_done(&common[i].inner);
        for (unsigned i = 0; i < after; i++) {
                buffer_done(&a[i].inner);
                buffer_done(&b[i].inner);
        }
}

static void check_forked(unsigned before, unsigned after) {
        SyncLab lab;

        lab_begin(&lab);
        fork_at(&lab, before, after);
        sim_run(&lab.sim, 3 * USEC_PER_MINUTE);
        CHECK(mates_are_level(ALICE, BOB));
        CHECK_EQ(mate_count(ALICE), 1 + before);
        lab_free(&lab);
}

TEST(a_fork_is_found_and_proven_at_the_head) {
        check_forked(3, 1);
}

TEST(a_fork_is_found_and_proven_far_behind) {
        check_forked(5, 60);
        check_forked(0, 40);
}

/* Anything, in any order: objects that are real, of the wrong kind, or cut short; numbers of all
 * sizes; feeds that there are and that there are not. */

typedef struct Pool {
        Buffer object[32];
        size_t n;
} Pool;

static int pool_add(Pool *p, Bytes x) {
        if (p->n < ELEMENTSOF(p->object))
                CHECK_OK(buffer_append(&p->object[p->n++], x.data, x.size));
        return 0;
}

static int pool_given(void *userdata, const RoomGiven *g) {
        return pool_add(userdata, g->outer);
}

static uint64_t any(SyncLab *lab, uint64_t limit) {
        return loop_random_below(lab->sim.loop, limit);
}

static uint64_t any_number(SyncLab *lab) {
        return any(lab, 3) ? any(lab, 8) : UINT64_MAX >> (1 + any(lab, 63));
}

static void any_tag(SyncLab *lab, uint8_t *ret) {
        const Mate *m = &lab->mate[any(lab, lab->n)];

        room_feed_tag(mate_account(m), 1, sign_key_public(&m->stack.who.device), ret);
        ret[0] ^= any(lab, 4) == 0;
}

static void any_feeds(SyncLab *lab, Buffer *ret, bool vector) {
        for (size_t i = any(lab, 5); i > 0; i--) {
                RoomVectorItem x = {.seq = any_number(lab), .hash = {(uint8_t)any(lab, 256)}};
                RoomWantItem y = {.seq = x.seq};

                any_tag(lab, x.tag);
                memcpy(y.tag, x.tag, ROOM_TAG_SIZE);
                CHECK_OK(vector ? room_vector_append(ret, &x) : room_want_append(ret, &y));
        }
}

static void any_message(SyncLab *lab, const Pool *p, RoomSync *x, Buffer feeds[static 2]) {
        *x = (RoomSync){.op = 1 + any(lab, _ROOM_SYNC_MAX - 1)};
        if (x->op != ROOM_SYNC_ASK && x->op != ROOM_SYNC_OFFER)
                memcpy(x->room, lab->id, ROOM_ID_SIZE);
        any_feeds(lab, &feeds[0], x->op == ROOM_SYNC_VECTOR);
        any_feeds(lab, &feeds[1], false);
        switch (x->op) {
        case ROOM_SYNC_STATE:
                x->state.head.epoch = any_number(lab);
                loop_random(lab->sim.loop, x->state.feeds, ROOM_DIGEST_SIZE);
                loop_random(lab->sim.loop, x->state.forks, ROOM_DIGEST_SIZE);
                break;
        case ROOM_SYNC_VECTOR:
                x->vector = (RoomVector){.items = buffer_bytes(&feeds[0]),
                        .full = any(lab, 2),
                        .more = any(lab, 2),
                        .read = buffer_bytes(&feeds[1])};
                break;
        case ROOM_SYNC_WANT:
                x->want = (RoomWant){.feeds = buffer_bytes(&feeds[0]),
                        .has_control = any(lab, 2),
                        .control.epoch = any(lab, 4),
                        .keys = {1 + any(lab, 4)},
                        .n_keys = any(lab, 2),
                        .proposals = any(lab, 2),
                        .forks = any(lab, 2)};
                if (room_want_count(buffer_bytes(&feeds[1])) <= ROOM_WANT_ENTRIES_MAX)
                        x->want.entries = buffer_bytes(&feeds[1]);
                break;
        case ROOM_SYNC_REFUSED:
                x->refused = (RoomRefused){
                        .code = 1 + any(lab, _CODE_MAX - 1), .text = text_bytes("no")};
                break;
        case ROOM_SYNC_NOTICE:
                x->notice = buffer_bytes(&p->object[any(lab, p->n)]);
                break;
        case ROOM_SYNC_TYPING:
                x->typing = any(lab, 2);
                break;
        case ROOM_SYNC_JOIN:
                snprintf(x->join.name, sizeof(x->join.name), "carol");
                x->join.record = lab->mate[2].stack.who.local.record;
                break;
        case ROOM_SYNC_ASK:
        case ROOM_SYNC_OFFER:
                break;
        default:
                for (size_t i = 1 + any(lab, 3); i > 0; i--) {
                        Bytes o = buffer_bytes(&p->object[any(lab, p->n)]);

                        o.size -= any(lab, 4) ? 0 : any(lab, o.size);
                        x->objects.objects[x->objects.n_objects++] = o;
                }
                break;
        }
}

TEST(whatever_is_said_the_others_go_on) {
        Pool pool = {};
        SyncLab lab;
        RoomsError e;
        unsigned said = 0;

        lab_begin(&lab);
        CHECK_OK(rooms_set_topic(BOB->rooms, BOB->room, "not his to say", &e) < 0 ? 0 : -1);
        CHECK_OK(room_blocks_each(
                mate_room(ALICE), store_write(ALICE->stack.store), 0, pool_given, &pool));
        pool_add(&pool, ALICE->stack.who.local.record);
        pool_add(&pool, CAROL->stack.who.local.record);
        pool_add(&pool, text_bytes("nothing that anybody has signed"));
        for (unsigned i = 0; i < 3000; i++) {
                Buffer feeds[2] = {BUFFER_NULL, BUFFER_NULL};
                Link *l = link_of(CAROL, any(&lab, 2) ? ALICE : BOB);
                RoomSync x;

                any_message(&lab, &pool, &x, feeds);
                if (room_sync_encode(link_output(l), &x) >= 0)
                        said++; /* what no reader would take is not made */
                link_queued(l);
                buffer_done(&feeds[0]);
                buffer_done(&feeds[1]);
                if (i % 10 == 0)
                        sim_run(&lab.sim, any(&lab, 2 * USEC_PER_SEC));
        }
        CHECK(said > 1000);
        mate_says(ALICE, "still here");
        mate_says(BOB, "so am I");
        SIM_UNTIL(&lab.sim, mates_are_level(ALICE, BOB) && mate_count(BOB) == 3);
        CHECK_EQ(mate_count_readable(ALICE), 3);
        for (size_t i = 0; i < pool.n; i++)
                buffer_done(&pool.object[i]);
        lab_free(&lab);
}
