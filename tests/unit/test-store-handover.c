/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A store handed over to another device of the account. */

#include "handover-lab.h"

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
