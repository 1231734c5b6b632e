/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A store handed over to another device of the account. */

#include "handover-lab.h"
#include "store/presence-key.h"

/* Alice's entries as they are in her store, brought to P. */
static void bring(const Lab *lab, Person *p, uint64_t seq, usec_t now) {
        Made m = {};
        Entry e;

        CHECK_EQ(entry_get(txn_of(&lab->alice), own_feed(&lab->alice).number, seq, &e), 1);
        CHECK_OK(buffer_append(&m.bytes, e.inner.data, e.inner.size));
        CHECK_OK(inner_decode(buffer_bytes(&m.bytes), &m.inner));
        sha256(buffer_data(&m.bytes), buffer_size(&m.bytes), m.hash);
        CHECK_EQ(receive_at(p, &m, now), RECEIVED_NEW);
        made_done(&m);
}

/* Ten messages of Alice's that Bob has, of which he has read six, and three of his own, of which
 * Alice has one and one was taken back. */
static void talk(Lab *lab) {
        Uuid id = uuid_number(6), taken_back = uuid_number(102);
        Person *bob = &lab->bob;

        for (uint32_t i = 1; i <= 10; i++) {
                CHECK_OK(send_text(&lab->alice, i, "text", NOW + i * USEC_PER_MSEC));
                bring(lab, bob, i, NOW + MINUTE + i * USEC_PER_MSEC);
        }
        CHECK_EQ(store_mark_read(bob->store, bob->other.number, &id, NOW + 2 * MINUTE, true, NULL),
                1);
        for (uint32_t i = 101; i <= 103; i++)
                CHECK_OK(send_text(bob, i, "answer", NOW + 3 * MINUTE));
        CHECK_EQ(store_cancel(bob->store, &taken_back, NOW + 4 * MINUTE), 1);
}

typedef struct Shown {
        char text[4096];
        size_t n;
} Shown;

static bool on_row(void *userdata, DbTxn *txn, const HistoryRow *h) {
        Shown *s = userdata;

        s->n += (size_t)snprintf(s->text + s->n, sizeof(s->text) - s->n, "%u%s%s%s%s ",
                uuid_to_number(&h->inner.id), h->own ? "o" : "", h->delivered ? "d" : "",
                h->read ? "r" : "", h->entry.state == ENTRY_FAILED ? "f" : "");
        return true;
}

/* All that a user sees of the conversation: ids, delivered, read, failed; and how many are
 * unread. */
static const char *shown(const Person *p, Shown *s) {
        Conversation v = conversation_of(p);
        HistoryPage page = {.conversation = v.number, .peer = v.peer, .limit = 1000};
        bool more;

        *s = (Shown){};
        CHECK_OK(history_read(txn_of(p), &page, on_row, s, &more));
        snprintf(s->text + s->n, sizeof(s->text) - s->n, "u%u", v.unread);
        return s->text;
}

/* The outbox in its order. */
static const char *waiting(const Person *p, Shown *s) {
        OutboxRow row = {};
        OutboxWalk w;

        *s = (Shown){};
        CHECK_OK(outbox_walk_all(txn_of(p), NULL, &w));
        while (outbox_walk_next(&w, &row) > 0)
                s->n += (size_t)snprintf(
                        s->text + s->n, sizeof(s->text) - s->n, "%u ", uuid_to_number(&row.id));
        outbox_walk_end(&w);
        return s->text;
}

static void check_same(const Person *a, Person *b) {
        Shown x, y;

        CHECK_EQ(contact_get(txn_of(b), a->other.account, &b->other), 1);
        CHECK_STR(shown(a, &x), shown(b, &y));
        CHECK_STR(waiting(a, &x), waiting(b, &y));
        CHECK_EQ(a->other.flags, b->other.flags);
        CHECK_STR(a->other.name, b->other.name);
}

TEST(everything_comes_along) {
        HandLab h;
        Shown s;

        hand_lab_new(&h);
        talk(&h.lab);
        CHECK_STR(shown(&h.lab.bob, &s), "1r 2r 3r 4r 5r 6r 7 8 9 10 101o 102of 103o u4");
        hand_over(&h, &h.lab.bob, &h.new, HANDOVER_PIECE_SIZE);
        CHECK_EQ(h.refused, 0);
        check_same(&h.lab.bob, &h.new);
        hand_lab_free(&h);
}

TEST(it_comes_in_pieces_of_any_size) {
        for (size_t max = 1; max < 4000; max = max * 3 + 1) {
                HandLab h;

                hand_lab_new(&h);
                talk(&h.lab);
                hand_over(&h, &h.lab.bob, &h.new, max);
                CHECK_EQ(h.refused, 0);
                check_same(&h.lab.bob, &h.new);
                hand_lab_free(&h);
        }
}

TEST(what_comes_again_changes_nothing) {
        HandLab h;

        hand_lab_new(&h);
        talk(&h.lab);
        for (int i = 0; i < 3; i++) {
                hand_over(&h, &h.lab.bob, &h.new, 300);
                CHECK_EQ(h.refused, 0);
                check_same(&h.lab.bob, &h.new);
        }
        CHECK_EQ(h.changed, 0);
        hand_lab_free(&h);
}

/* Events as clients hear them: the cursor within its epoch, what and which message. */
static bool on_event(void *userdata, DbTxn *txn, const EventRow *e) {
        Shown *s = userdata;

        s->n += (size_t)snprintf(s->text + s->n, sizeof(s->text) - s->n, "%u.%u%s%u ",
                (unsigned)(e->cursor >> 40), (unsigned)(e->cursor & 0xffff),
                e->kind == EVENT_RECEIVED        ? "m"
                        : e->kind == EVENT_STATE ? "s"
                                                 : "?",
                (unsigned)e->seq);
        return true;
}

static const char *events_after(const Person *p, uint64_t cursor, Shown *s) {
        *s = (Shown){};
        CHECK_OK(event_each(txn_of(p), cursor, on_event, s));
        return s->text;
}

static void begin_epochs(HandLab *h) {
        CHECK_OK(store_save_identity(h->lab.bob.store, &h->lab.bob.self));
        CHECK_OK(store_save_identity(h->new.store, &h->new.self));
}

TEST(what_clients_have_not_acknowledged_comes_along) {
        uint64_t cursor;
        EventBounds b;
        HandLab h;
        Shown s;

        hand_lab_new(&h);
        begin_epochs(&h);
        for (uint32_t i = 1; i <= 4; i++) {
                CHECK_OK(send_text(&h.lab.alice, i, "text", NOW + i * USEC_PER_MSEC));
                bring(&h.lab, &h.lab.bob, i, NOW + MINUTE);
        }
        CHECK_STR(events_after(&h.lab.bob, 0, &s), "0.2m1 0.3m2 0.4m3 0.5m4 ");
        CHECK_OK(event_client_ack(h.lab.bob.store, "bot", 3, NOW));
        hand_over(&h, &h.lab.bob, &h.new, 200);
        CHECK_EQ(h.refused, 0);
        CHECK_EQ(event_client_get(txn_of(&h.new), "bot", &cursor), 1);
        CHECK_EQ(cursor, 3);
        CHECK_STR(events_after(&h.new, cursor, &s), "0.4m3 0.5m4 ");
        hand_over(&h, &h.lab.bob, &h.new, 200);
        CHECK_STR(events_after(&h.new, cursor, &s), "0.4m3 0.5m4 ");
        CHECK_OK(event_bounds(txn_of(&h.new), &b));
        CHECK_EQ(b.last, (UINT64_C(1) << 40) - 1);

        /* And goes on with the numbers of this epoch. */
        CHECK_OK(send_text(&h.lab.alice, 5, "text", NOW + 5 * USEC_PER_MSEC));
        CHECK_EQ(contact_get(txn_of(&h.new), h.lab.bob.other.account, &h.new.other), 1);
        bring(&h.lab, &h.new, 5, NOW + 40 * MINUTE);
        CHECK_STR(events_after(&h.new, 3, &s), "0.4m3 0.5m4 1.0m5 ");
        hand_lab_free(&h);
}

TEST(a_client_that_is_ahead_already_hears_it_at_the_end) {
        HandLab h;
        Shown s;

        hand_lab_new(&h);
        begin_epochs(&h);
        for (uint32_t i = 1; i <= 3; i++)
                CHECK_OK(send_text(&h.lab.alice, i, "text", NOW + i * USEC_PER_MSEC));
        bring(&h.lab, &h.lab.bob, 1, NOW + MINUTE);
        bring(&h.lab, &h.lab.bob, 2, NOW + MINUTE);
        CHECK_OK(event_client_ack(h.lab.bob.store, "bot", 2, NOW));
        CHECK(learn(h.new.store, ALICE, "alice", 1, 1, CONTACT_PINNED, true, &h.new.other) > 0);
        bring(&h.lab, &h.new, 3, NOW + 40 * MINUTE);
        CHECK_STR(events_after(&h.new, 0, &s), "1.0m3 ");
        CHECK_OK(event_client_ack(h.new.store, "bot", UINT64_C(1) << 40, NOW));
        hand_over(&h, &h.lab.bob, &h.new, 200);
        CHECK_STR(events_after(&h.new, UINT64_C(1) << 40, &s), "1.1m2 ");
        CHECK_STR(events_after(&h.new, 0, &s), "1.0m3 1.1m2 ");
        hand_lab_free(&h);
}

TEST(what_came_to_the_old_device_too_late_is_news) {
        HandLab h;
        Shown s;

        hand_lab_new(&h);
        begin_epochs(&h);
        for (uint32_t i = 1; i <= 2; i++)
                CHECK_OK(send_text(&h.lab.alice, i, "text", NOW + i * USEC_PER_MSEC));
        CHECK_OK(event_client_ack(h.lab.bob.store, "bot", 1, NOW));
        bring(&h.lab, &h.lab.bob, 1, NOW + MINUTE);
        bring(&h.lab, &h.lab.bob, 2, NOW + 40 * MINUTE); /* the new one is from NOW + 30 min on */
        hand_over(&h, &h.lab.bob, &h.new, 200);
        CHECK_STR(events_after(&h.new, 0, &s), "0.2m1 1.0m2 ");
        hand_lab_free(&h);
}

/* The other way round, with what has changed since. */
TEST(and_back_again) {
        Uuid id = uuid_number(9);
        HandLab h;
        Shown s;

        hand_lab_new(&h);
        begin_epochs(&h);
        talk(&h.lab);
        hand_over(&h, &h.lab.bob, &h.new, 1000);
        CHECK_EQ(contact_get(txn_of(&h.new), h.lab.bob.other.account, &h.new.other), 1);
        CHECK_EQ(
                store_mark_read(h.new.store, h.new.other.number, &id, NOW + 2 * MINUTE, true, NULL),
                1);
        id = uuid_number(103);
        CHECK_EQ(store_cancel(h.new.store, &id, NOW + 41 * MINUTE), 1);
        CHECK_OK(send_text(&h.new, 104, "from the new one", NOW + 42 * MINUTE));
        CHECK_STR(shown(&h.new, &s), "1r 2r 3r 4r 5r 6r 7r 8r 9r 10 101o 102of 103of 104o u1");
        CHECK_STR(waiting(&h.new, &s), "101 104 ");
        certificate_for(&h.lab.bob, BOB, BOB + 1, 3);
        CHECK_OK(store_save_identity(h.lab.bob.store, &h.lab.bob.self));
        hand_over(&h, &h.new, &h.lab.bob, 1000);
        CHECK_EQ(h.refused, 0);
        check_same(&h.new, &h.lab.bob);
        hand_lab_free(&h);
}

static uint32_t next_random(uint32_t *state) {
        *state = *state * 1664525 + 1013904223;
        return *state >> 8;
}

static void collect(const Person *from, HandoverPart part, Buffer *ret) {
        _cleanup_(buffer_done) Buffer next = BUFFER_NULL;
        uint64_t n;

        CHECK_EQ(
                handover_read(txn_of(from), &from->self, part, (Bytes){}, SIZE_MAX, ret, &n, &next),
                0);
}

/* A device that lies can lie about history, and no more: the store stays one that can be read, and
 * takes what is true afterwards. */
TEST(altered_items_damage_nothing) {
        _cleanup_(buffer_done) Buffer items = BUFFER_NULL;
        uint32_t random = 1;
        StoreHealth health;
        HandLab h;

        hand_lab_new(&h);
        begin_epochs(&h);
        talk(&h.lab);
        CHECK_OK(event_client_ack(h.lab.bob.store, "bot", 3, NOW));
        collect(&h.lab.bob, HANDOVER_BEFORE_ROOMS, &items);
        collect(&h.lab.bob, HANDOVER_AFTER_ROOMS, &items);
        for (unsigned round = 0; round < 300; round++) {
                Bytes piece = buffer_bytes(&items), item;
                uint64_t kind;

                while (handover_item_next(&piece, &item, &kind) > 0) {
                        uint8_t *copy = malloc(item.size);
                        int r;

                        CHECK(copy);
                        memcpy(copy, item.data, item.size);
                        for (unsigned i = next_random(&random) % 3; i > 0; i--)
                                copy[next_random(&random) % item.size] ^=
                                        (uint8_t)(1 << next_random(&random) % 8);
                        r = handover_merge(h.new.store, &h.new.self,
                                (Bytes){.data = copy, .size = item.size}, NOW + 60 * MINUTE);
                        free(copy);
                        CHECK(r >= 0 || r == -EBADMSG);
                }
                CHECK_OK(store_commit(h.new.store));
        }
        buffer_clear(&items);
        collect(&h.new, HANDOVER_BEFORE_ROOMS, &items);
        store_get_health(h.new.store, &health);
        CHECK(!health.damaged);
        hand_over(&h, &h.lab.bob, &h.new, 1000);
        CHECK_EQ(h.refused, 0);
        hand_lab_free(&h);
}

/* The old device believed to be active, and had been put back to an older copy of its store: what
 * its user wrote has the numbers of what is here already. */
TEST(what_was_written_in_a_taken_place_is_entered_anew) {
        HandLab h;
        Shown s;

        hand_lab_new(&h);
        begin_epochs(&h);
        CHECK_OK(send_text(&h.lab.bob, 101, "first", NOW));
        hand_over(&h, &h.lab.bob, &h.new, 1000);
        h.lab.bob.store = store_close(h.lab.bob.store);
        CHECK_OK(nftw(h.lab.bob.dir, lab_remove, 8, FTW_DEPTH | FTW_PHYS));
        CHECK_OK(store_open(h.lab.bob.dir, h.lab.loop, &h.lab.bob.store));
        CHECK(learn(h.lab.bob.store, ALICE, "alice", 1, 1, CONTACT_PINNED, true, &h.lab.bob.other) >
                0);
        CHECK_OK(send_text(&h.lab.bob, 102, "in its place", NOW + MINUTE));
        hand_over(&h, &h.lab.bob, &h.new, 1000);
        CHECK_EQ(h.refused, 0);
        CHECK_STR(waiting(&h.new, &s), "101 102 ");
        hand_over(&h, &h.lab.bob, &h.new, 1000);
        CHECK_STR(waiting(&h.new, &s), "101 102 ");
        hand_lab_free(&h);
}

/* The key was given to Alice while she was a contact. */
TEST(who_is_blocked_on_the_new_device_only_has_the_key) {
        static const uint8_t key[BOX_KEY_SIZE] = {7};
        uint8_t here[BOX_KEY_SIZE];
        HandLab h;

        hand_lab_new(&h);
        CHECK_OK(store_set_presence_key(h.lab.bob.store, key));
        hand_over(&h, &h.lab.bob, &h.new, 1000);
        CHECK_EQ(store_get_presence_key(txn_of(&h.new), here), 1);
        CHECK(memcmp(here, key, sizeof(key)) == 0);
        CHECK_EQ(handover_key_is_known(h.new.store), 0);
        CHECK_OK(contact_mark(h.new.store, h.lab.bob.other.account, CONTACT_BLOCKED));
        hand_over(&h, &h.lab.bob, &h.new, 1000);
        CHECK_EQ(handover_key_is_known(h.new.store), 1);
        CHECK_EQ(handover_key_is_known(h.new.store), 0);
        hand_lab_free(&h);
}

/* What P thinks of the other one. */
static const char *thinks(Person *p, Shown *s) {
        CHECK_EQ(contact_get(txn_of(p), p->other.account, &p->other), 1);
        snprintf(s->text, sizeof(s->text), "%s%s%s%s", p->other.alias,
                p->other.flags & CONTACT_PINNED ? " pinned" : "",
                p->other.flags & CONTACT_VERIFIED ? " verified" : "",
                p->other.flags & CONTACT_BLOCKED ? " blocked" : "");
        return s->text;
}

TEST(what_the_user_decided_last_about_somebody_counts) {
        const uint8_t *alice;
        HandLab h;
        Shown s;

        hand_lab_new(&h);
        begin_epochs(&h);
        talk(&h.lab);
        alice = h.lab.bob.other.account;
        CHECK_OK(contact_pin(h.lab.bob.store, alice));
        CHECK_OK(contact_set_flags(h.lab.bob.store, alice, CONTACT_VERIFIED, 0));
        CHECK_OK(contact_rename(h.lab.bob.store, alice, "ally"));

        /* He writes to her on the new device before anything has come there. */
        h.new.other = h.lab.bob.other;
        CHECK_OK(contact_mark(h.new.store, alice, CONTACT_PINNED));
        hand_over(&h, &h.lab.bob, &h.new, 1000);
        CHECK_STR(thinks(&h.new, &s), "ally pinned verified");

        CHECK_OK(contact_rename(h.new.store, alice, "liz"));
        CHECK_OK(contact_set_flags(h.new.store, alice, CONTACT_BLOCKED, CONTACT_VERIFIED));
        hand_over(&h, &h.lab.bob, &h.new, 1000);
        CHECK_STR(thinks(&h.new, &s), "liz pinned blocked");

        certificate_for(&h.lab.bob, BOB, BOB + 1, 3);
        CHECK_OK(store_save_identity(h.lab.bob.store, &h.lab.bob.self));
        CHECK_OK(contact_rename(h.lab.bob.store, alice, "lizzy"));
        hand_over(&h, &h.new, &h.lab.bob, 1000);
        CHECK_STR(thinks(&h.lab.bob, &s), "lizzy pinned blocked");
        hand_lab_free(&h);
}

TEST(who_was_removed_on_the_new_device_is_no_contact_when_the_account_moves_back) {
        const uint8_t *alice;
        HandLab h;
        Shown s;

        hand_lab_new(&h);
        begin_epochs(&h);
        talk(&h.lab);
        alice = h.lab.bob.other.account;
        CHECK_OK(contact_pin(h.lab.bob.store, alice));
        CHECK_OK(contact_rename(h.lab.bob.store, alice, "ally"));
        h.new.other = h.lab.bob.other;
        hand_over(&h, &h.lab.bob, &h.new, 1000);
        CHECK_STR(thinks(&h.new, &s), "ally pinned");
        CHECK_OK(contact_unpin(h.new.store, alice));
        certificate_for(&h.lab.bob, BOB, BOB + 1, 3);
        CHECK_OK(store_save_identity(h.lab.bob.store, &h.lab.bob.self));
        hand_over(&h, &h.new, &h.lab.bob, 1000);
        CHECK_STR(thinks(&h.lab.bob, &s), "");
        hand_lab_free(&h);
}
