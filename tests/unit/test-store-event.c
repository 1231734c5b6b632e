/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What has happened, who has heard of it, and what has been read. */

#include "store-lab.h"

typedef struct Heard {
        EventRow rows[64];
        size_t n, max;
} Heard;

static bool hear(void *userdata, DbTxn *txn, const EventRow *e) {
        Heard *h = userdata;

        if (h->n == h->max)
                return false;
        h->rows[h->n++] = *e;
        return true;
}

static Heard heard_after(Person *p, uint64_t cursor) {
        Heard h = {.max = ELEMENTSOF(h.rows)};

        CHECK_OK(event_each(txn_of(p), cursor, hear, &h));
        return h;
}

static int add_presence(Person *p, usec_t time) {
        return event_add(p->store,
                &(EventRow){.kind = EVENT_PRESENCE,
                        .time = time,
                        .account = p->other.number,
                        .presence = PRESENCE_ONLINE});
}

static EventBounds bounds(Person *p) {
        EventBounds b;

        CHECK_OK(event_bounds(txn_of(p), &b));
        return b;
}

static void on_delivered(void *userdata, const Uuid *id) {
}

/* Alice's first N messages, which bob takes in. */
static void chat_to_bob(Lab *lab, Made *m, size_t n) {
        make_chain(m, n);
        for (size_t i = 0; i < n; i++)
                CHECK_EQ(receive(lab, &m[i]), RECEIVED_NEW);
}

TEST(what_is_received_is_an_event_once) {
        Made m[3];
        Heard h;
        Lab lab;

        lab_new(&lab);
        chat_to_bob(&lab, m, 3);
        CHECK_EQ(receive(&lab, &m[1]), RECEIVED_AGAIN);
        h = heard_after(&lab.bob, 0);
        CHECK_EQ(h.n, 3);
        for (size_t i = 0; i < 3; i++) {
                CHECK_EQ(h.rows[i].kind, EVENT_RECEIVED);
                CHECK_EQ(h.rows[i].cursor, EVENT_CURSOR_FIRST + i);
                CHECK_EQ(h.rows[i].seq, i + 1);
                CHECK_EQ(h.rows[i].time, NOW + MINUTE);
                CHECK(!h.rows[i].request);
        }
        chain_done(m, 3);
        lab_free(&lab);
}

TEST(being_replaced_is_an_event_of_its_own) {
        Heard h;
        Lab lab;

        lab_new(&lab);
        CHECK_OK(event_add(lab.alice.store, &(EventRow){.kind = EVENT_REPLACED, .time = 77}));
        CHECK_OK(add_presence(&lab.alice, 78));
        h = heard_after(&lab.alice, 0);
        CHECK_EQ(h.n, 2);
        CHECK_EQ(h.rows[0].kind, EVENT_REPLACED);
        CHECK_EQ(h.rows[0].time, 77);
        CHECK_EQ(h.rows[1].kind, EVENT_PRESENCE);
        lab_free(&lab);
}

TEST(a_strangers_message_says_that_it_is_a_request) {
        Made m[1];
        Lab lab;

        lab_new(&lab);
        CHECK_OK(contact_set_flags(
                lab.bob.store, lab.bob.other.account, CONTACT_REQUEST, CONTACT_PINNED));
        CHECK_EQ(contact_get(txn_of(&lab.bob), lab.bob.other.account, &lab.bob.other), 1);
        chat_to_bob(&lab, m, 1);
        CHECK(heard_after(&lab.bob, 0).rows[0].request);
        chain_done(m, 1);
        lab_free(&lab);
}

TEST(each_new_state_is_an_event_once) {
        Person *p;
        Receipt rc = {.epoch = 1, .ranges = {{1, 3}}, .n_ranges = 1, .state = RECEIPT_DELIVERED};
        Uuid second = uuid_number(2);
        Heard h;
        Entry e;
        Lab lab;
        Feed f;

        lab_new(&lab);
        p = &lab.alice;
        for (uint32_t i = 1; i <= 4; i++)
                CHECK_OK(send_text(p, i, "hi", NOW));
        CHECK_EQ(store_cancel(p->store, &second, NOW), 1);
        f = own_feed(p);
        memcpy(rc.conversation, conversation_of(p).hash, SHA256_SIZE);
        memcpy(rc.author, sign_key_public(&p->self.account), KEY_SIZE);
        memcpy(rc.device, f.device, KEY_SIZE);
        memcpy(rc.reader, p->other.account, KEY_SIZE);
        CHECK_EQ(entry_get(txn_of(p), f.number, 3, &e), 1);
        sha256(e.inner.data, e.inner.size, rc.hash);
        for (int i = 0; i < 2; i++)
                CHECK_EQ(store_take_receipt(
                                 p->store, &p->self, &p->other, &rc, NOW, on_delivered, NULL),
                        0);
        h = heard_after(p, 0);
        CHECK_EQ(h.n, 4);
        CHECK_EQ(h.rows[0].state, MESSAGE_FAILED);
        CHECK_EQ(h.rows[0].reason, CODE_CANCELLED);
        CHECK_EQ(uuid_to_number(&h.rows[0].id), 2);
        for (uint32_t i = 1; i < 4; i++) {
                CHECK_EQ(h.rows[i].kind, EVENT_STATE);
                CHECK_EQ(h.rows[i].state, MESSAGE_DELIVERED); /* the one taken back as well */
                CHECK_EQ(uuid_to_number(&h.rows[i].id), i);
        }
        CHECK_EQ(outbox_count(txn_of(p)), 1);
        lab_free(&lab);
}

TEST(only_what_waits_can_be_taken_back) {
        Uuid first = uuid_number(1), unknown = uuid_number(9);
        HistoryRow row;
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        CHECK_OK(send_text(p, 1, "hi", NOW));
        CHECK_EQ(store_cancel(p->store, &unknown, NOW), -ENOENT);
        CHECK_EQ(store_cancel(p->store, &first, NOW), 1);
        CHECK_EQ(store_cancel(p->store, &first, NOW), -EALREADY);
        CHECK_EQ(outbox_count(txn_of(p)), 0);
        CHECK_EQ(history_get(txn_of(p), own_feed(p).number, 1, &row), 1);
        CHECK_EQ(row.entry.state, ENTRY_FAILED);
        CHECK_EQ(row.entry.reason, CODE_CANCELLED);
        CHECK_EQ(send_text(p, 1, "hi", NOW), 1); /* the id is remembered */
        CHECK_EQ(outbox_count(txn_of(p)), 0);
        lab_free(&lab);
}

TEST(a_long_receipt_is_taken_in_pieces) {
        const uint32_t n = 2 * RECEIPT_ENTRIES_MAX + 10;
        Receipt rc = {.epoch = 1, .ranges = {{1, n}}, .n_ranges = 1, .state = RECEIPT_DELIVERED};
        Person *p;
        Entry e;
        Lab lab;
        Feed f;

        lab_new(&lab);
        p = &lab.alice;
        for (uint32_t i = 1; i <= n; i++)
                CHECK_OK(send_text(p, i, "hi", NOW));
        f = own_feed(p);
        memcpy(rc.conversation, conversation_of(p).hash, SHA256_SIZE);
        memcpy(rc.author, sign_key_public(&p->self.account), KEY_SIZE);
        memcpy(rc.device, f.device, KEY_SIZE);
        memcpy(rc.reader, p->other.account, KEY_SIZE);
        CHECK_EQ(entry_get(txn_of(p), f.number, n, &e), 1);
        sha256(e.inner.data, e.inner.size, rc.hash);
        for (unsigned left = n, i = 0; i < 3; i++) {
                CHECK_EQ(store_take_receipt(
                                 p->store, &p->self, &p->other, &rc, NOW, on_delivered, NULL),
                        i < 2);
                left -= MIN(left, (unsigned)RECEIPT_ENTRIES_MAX);
                CHECK_EQ(outbox_count(txn_of(p)), left);
                CHECK_OK(store_commit(p->store));
        }
        CHECK_EQ(bounds(p).last, EVENT_CURSOR_FIRST + n - 1);
        lab_free(&lab);
}

TEST(the_oldest_are_forgotten_and_no_cursor_comes_again) {
        EventBounds b;
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        CHECK_EQ(bounds(p).first, EVENT_CURSOR_FIRST);
        CHECK_EQ(bounds(p).last, EVENT_CURSOR_FIRST - 1);
        for (unsigned i = 0; i < EVENTS_MAX + 1000; i++)
                CHECK_OK(add_presence(p, NOW));
        b = bounds(p);
        CHECK_EQ(b.last, EVENT_CURSOR_FIRST + EVENTS_MAX + 1000 - 1);
        CHECK(b.last - b.first + 1 >= EVENTS_MAX && b.last - b.first + 1 <= EVENTS_MAX + 64);
        CHECK_EQ(heard_after(p, b.last).n, 0);
        CHECK_EQ(heard_after(p, 0).rows[0].cursor, b.first);
        lab_free(&lab);
}

TEST(what_is_older_than_a_month_is_forgotten) {
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        for (unsigned i = 0; i < 100; i++)
                CHECK_OK(add_presence(p, NOW));
        for (unsigned i = 0; i < 64; i++)
                CHECK_OK(add_presence(p, NOW + EVENTS_AGE + 1));
        CHECK_EQ(bounds(p).first, EVENT_CURSOR_FIRST + 100);
        person_reopen(&lab, p);
        for (unsigned i = 0; i < 64; i++)
                CHECK_OK(add_presence(p, NOW + 3 * EVENTS_AGE));
        CHECK_EQ(bounds(p).first, EVENT_CURSOR_FIRST + 164);
        CHECK_EQ(bounds(p).last, EVENT_CURSOR_FIRST + 227);
        lab_free(&lab);
}

TEST(a_client_goes_on_and_never_back) {
        uint64_t cursor;
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        for (unsigned i = 0; i < 10; i++)
                CHECK_OK(add_presence(p, NOW));
        CHECK_EQ(event_client_get(txn_of(p), "bot", &cursor), 0);
        CHECK_OK(event_client_ack(p->store, "bot", 5, NOW));
        CHECK_OK(event_client_ack(p->store, "other", 7, NOW));
        CHECK_OK(event_client_ack(p->store, "bot", 4, NOW));
        CHECK_EQ(event_client_get(txn_of(p), "bot", &cursor), 1);
        CHECK_EQ(cursor, 5);
        CHECK_EQ(event_client_ack(p->store, "bot", bounds(p).last + 1, NOW), -ERANGE);
        CHECK_OK(event_client_ack(p->store, "bot", bounds(p).last, NOW));
        person_reopen(&lab, p);
        CHECK_EQ(event_client_get(txn_of(p), "bot", &cursor), 1);
        CHECK_EQ(cursor, bounds(p).last);
        lab_free(&lab);
}

TEST(clients_are_bounded_and_forgotten_ones_make_room) {
        char name[16];
        uint64_t cursor;
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        for (unsigned i = 0; i < EVENT_CLIENTS_MAX; i++) {
                snprintf(name, sizeof(name), "c%u", i);
                CHECK_OK(event_client_ack(p->store, name, 0, i == 7 ? NOW : NOW + MINUTE));
        }
        CHECK_EQ(event_client_ack(p->store, "new", 0, NOW + EVENTS_AGE), -EUSERS);
        CHECK_OK(event_client_ack(p->store, "c8", 1, NOW + MINUTE));
        CHECK_OK(event_client_ack(p->store, "new", 1, NOW + EVENTS_AGE + 1));
        CHECK_EQ(event_client_get(txn_of(p), "c7", &cursor), 0);
        CHECK_EQ(event_client_ack(p->store, "newer", 0, NOW + EVENTS_AGE + 1), -EUSERS);
        lab_free(&lab);
}

TEST(names_of_clients) {
        CHECK(event_client_name_is_valid("a"));
        CHECK(event_client_name_is_valid("My-Bot_2.0"));
        CHECK(event_client_name_is_valid(
                "1234567890123456789012345678901234567890123456789012345678901234"));
        CHECK(!event_client_name_is_valid(""));
        CHECK(!event_client_name_is_valid("a b"));
        CHECK(!event_client_name_is_valid("\xc3\xa4"));
        CHECK(!event_client_name_is_valid(
                "12345678901234567890123456789012345678901234567890123456789012345"));
}

/* What will never come */

static uint64_t gap_before(Person *p, const Made *m) {
        uint32_t feed;
        uint64_t seq;
        HistoryRow row;

        CHECK_EQ(store_find_id(txn_of(p), p->other.number, &m->inner.id, &feed, &seq), 1);
        CHECK_EQ(history_get(txn_of(p), feed, seq, &row), 1);
        return row.gap_before;
}

static Void void_of(const Made *m, uint64_t first, uint64_t last, uint64_t reason) {
        Void v = {.epoch = 1, .ranges = {{first, last}}, .n_ranges = 1, .reason = reason};

        memcpy(v.conversation, m->inner.conversation, SHA256_SIZE);
        memcpy(v.author, m->inner.account, KEY_SIZE);
        memcpy(v.device, m->inner.device, KEY_SIZE);
        return v;
}

TEST(what_the_author_has_given_up_is_not_missing) {
        Person *bob;
        Made m[9];
        Void v;
        Lab lab;

        lab_new(&lab);
        bob = &lab.bob;
        make_chain(m, 9);
        CHECK_EQ(receive(&lab, &m[0]), RECEIVED_NEW);
        CHECK_EQ(receive(&lab, &m[7]), RECEIVED_NEW); /* 2 to 7 are missing */
        CHECK_EQ(gap_before(bob, &m[7]), 6);
        v = void_of(&m[0], 3, 4, VOID_CANCELLED);
        CHECK_OK(store_take_void(bob->store, &bob->other, &v));
        CHECK_EQ(gap_before(bob, &m[7]), 4);
        v = void_of(&m[0], 4, 5, VOID_EXPIRED);
        CHECK_OK(store_take_void(bob->store, &bob->other, &v));
        CHECK_EQ(gap_before(bob, &m[7]), 3); /* 2, 6, 7 */
        CHECK_EQ(receive(&lab, &m[6]), RECEIVED_NEW);
        CHECK_EQ(gap_before(bob, &m[6]), 2);
        CHECK_EQ(gap_before(bob, &m[7]), 0);
        v = void_of(&m[0], 1, 1000, VOID_REFUSED);
        CHECK_OK(store_take_void(bob->store, &bob->other, &v));
        CHECK_EQ(gap_before(bob, &m[6]), 0);
        CHECK_EQ(receive(&lab, &m[3]), RECEIVED_NEW); /* it came after all */
        CHECK_EQ(conversation_of(bob).unread, 4);
        chain_done(m, 9);
        lab_free(&lab);
}

TEST(only_gaps_of_feeds_that_are_known_are_closed) {
        Person *bob;
        Made m[2];
        Void v;
        Lab lab;

        lab_new(&lab);
        bob = &lab.bob;
        make_chain(m, 2);
        v = void_of(&m[0], 1, 1, VOID_CANCELLED);
        CHECK_EQ(store_take_void(bob->store, &bob->other, &v), 0); /* no such feed here */
        CHECK_EQ(receive(&lab, &m[1]), RECEIVED_NEW);
        CHECK_EQ(gap_before(bob, &m[1]), 1);
        v.reason = 77; /* of a later version */
        CHECK_EQ(store_take_void(bob->store, &bob->other, &v), 0);
        CHECK_EQ(gap_before(bob, &m[1]), 0);
        chain_done(m, 2);
        lab_free(&lab);
}

typedef struct Said {
        Void list[8];
        size_t n;
} Said;

static void say_void(void *userdata, const Void *v) {
        Said *s = userdata;

        CHECK(s->n < ELEMENTSOF(s->list));
        s->list[s->n++] = *v;
}

TEST(what_was_given_up_is_said_by_reason) {
        static Said said;
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        for (uint32_t i = 1; i <= 6; i++)
                CHECK_OK(send_text(p, i, "hi", NOW));
        for (uint32_t i = 2; i <= 6; i++) {
                Uuid id = uuid_number(i);

                if (i == 4)
                        continue;
                CHECK_EQ(store_fail_message(p->store, p->other.number,
                                 &(Failure){.id = &id,
                                         .state = i == 6 ? ENTRY_EXPIRED : ENTRY_FAILED,
                                         .reason = i == 6 ? CODE_EXPIRED
                                                 : i == 5 ? CODE_BLOCKED
                                                          : CODE_CANCELLED,
                                         .now = NOW}),
                        1);
        }
        said = (Said){};
        CHECK_OK(store_make_voids(txn_of(p), &p->self, conversation_of(p).hash, say_void, &said));
        CHECK_EQ(said.n, 3);
        CHECK_EQ(said.list[0].reason, VOID_CANCELLED);
        CHECK_EQ(said.list[0].n_ranges, 1);
        CHECK_EQ(said.list[0].ranges[0].first, 2);
        CHECK_EQ(said.list[0].ranges[0].last, 3);
        CHECK_EQ(said.list[1].reason, VOID_EXPIRED);
        CHECK_EQ(said.list[1].ranges[0].first, 6);
        CHECK_EQ(said.list[2].reason, VOID_REFUSED);
        CHECK_EQ(said.list[2].ranges[0].first, 5);
        CHECK(key_equal(said.list[0].author, sign_key_public(&p->self.account)));
        CHECK(key_equal(said.list[0].device, sign_key_public(&p->self.device)));
        lab_free(&lab);
}

/* Reading */

static bool is_read(Person *p, uint64_t seq) {
        SignKey device = sample_key(ALICE + 1);
        Conversation v = conversation_of(p);
        HistoryRow row;
        Feed f;

        CHECK_EQ(feed_find(txn_of(p), v.number, p->other.number, 1, sign_key_public(&device), &f),
                1);
        CHECK_EQ(history_get(txn_of(p), f.number, seq, &row), 1);
        return row.read;
}

static int mark(Person *p, uint32_t account, uint32_t id) {
        Uuid u = uuid_number(id);

        return store_mark_read(p->store, account, &u, NOW + MINUTE, true, NULL);
}

TEST(reading_a_message_reads_those_before_it) {
        uint64_t before;
        Person *bob;
        Made m[10];
        Heard h;
        Lab lab;

        lab_new(&lab);
        bob = &lab.bob;
        chat_to_bob(&lab, m, 10);
        CHECK_EQ(conversation_of(bob).unread, 10);
        before = bounds(bob).last;
        CHECK_EQ(mark(bob, bob->other.number, 4), 1);
        CHECK_EQ(conversation_of(bob).unread, 6);
        CHECK(is_read(bob, 1) && is_read(bob, 4) && !is_read(bob, 5) && !is_read(bob, 10));
        h = heard_after(bob, before);
        CHECK_EQ(h.n, 1);
        CHECK_EQ(h.rows[0].state, MESSAGE_READ);
        CHECK_EQ(uuid_to_number(&h.rows[0].id), 4);
        CHECK_EQ(mark(bob, bob->other.number, 3), 0);
        CHECK_EQ(mark(bob, bob->other.number, 4), 0);
        CHECK_EQ(heard_after(bob, before).n, 1);
        CHECK_EQ(mark(bob, bob->other.number, 99), -ENOENT);
        CHECK_EQ(mark(bob, bob->other.number, 10), 1);
        CHECK_EQ(conversation_of(bob).unread, 0);
        CHECK(is_read(bob, 10));
        person_reopen(&lab, bob);
        CHECK(is_read(bob, 10));
        chain_done(m, 10);
        lab_free(&lab);
}

TEST(reading_an_own_message_reads_what_was_shown_before_it) {
        Person *bob;
        Made m[4];
        Lab lab;

        lab_new(&lab);
        bob = &lab.bob;
        make_chain(m, 4);
        CHECK_EQ(receive(&lab, &m[0]), RECEIVED_NEW);
        CHECK_EQ(receive(&lab, &m[1]), RECEIVED_NEW);
        CHECK_OK(send_text(bob, 77, "an answer", NOW + 2 * USEC_PER_MSEC));
        CHECK_EQ(receive(&lab, &m[2]), RECEIVED_NEW);
        CHECK_EQ(receive(&lab, &m[3]), RECEIVED_NEW);
        CHECK_EQ(mark(bob, SELF_NUMBER, 77), 1);
        CHECK(is_read(bob, 2) && !is_read(bob, 3));
        CHECK_EQ(conversation_of(bob).unread, 2);
        chain_done(m, 4);
        lab_free(&lab);
}

/* What came late, into the middle of what has been read, has not been seen by anybody. */
TEST(of_two_of_one_time_the_account_decides_which_was_shown_before) {
        Inner own, other;
        Person *bob;
        Made m;
        Lab lab;

        lab_new(&lab);
        bob = &lab.bob;
        CHECK_OK(send_text(bob, 77, "at once", NOW));
        own = inner_at(bob, own_feed(bob).number, 1);
        other = inner_for(1, NULL);
        other.hlc = own.hlc;
        make(&m, &other);
        CHECK_EQ(receive(&lab, &m), RECEIVED_NEW);
        CHECK(mark(bob, SELF_NUMBER, 77) >= 0);
        CHECK_EQ(is_read(bob, 1), memcmp(other.account, own.account, KEY_SIZE) < 0);
        made_done(&m);
        lab_free(&lab);
}

TEST(what_comes_late_is_unread) {
        Person *bob;
        Made m[5];
        Lab lab;

        lab_new(&lab);
        bob = &lab.bob;
        make_chain(m, 5);
        for (size_t i = 0; i < 5; i++)
                if (i != 2)
                        CHECK_EQ(receive(&lab, &m[i]), RECEIVED_NEW);
        CHECK_EQ(mark(bob, bob->other.number, 5), 1);
        CHECK_EQ(conversation_of(bob).unread, 0);
        CHECK_EQ(receive(&lab, &m[2]), RECEIVED_NEW);
        CHECK_EQ(conversation_of(bob).unread, 1);
        CHECK(!is_read(bob, 3) && is_read(bob, 4));
        CHECK_EQ(mark(bob, bob->other.number, 5), 1);
        CHECK(is_read(bob, 3));
        CHECK_EQ(conversation_of(bob).unread, 0);
        chain_done(m, 5);
        lab_free(&lab);
}

/* Telling */

static void count_batch(void *userdata, int error) {
        unsigned *n = userdata;

        n[error < 0]++;
}

static void add_another(void *userdata, int error) {
        CHECK_OK(add_presence(userdata, NOW));
}

/* What a commit leads to is in the next batch, whoever hears of the commit first. */
TEST(an_event_that_is_added_after_a_commit_is_told_with_the_next) {
        unsigned n[2] = {};
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        CHECK_OK(store_commit(p->store));
        store_set_events_fn(p->store, count_batch, n);
        CHECK_OK(store_after_commit(p->store, add_another, p));
        CHECK_OK(add_presence(p, NOW));
        CHECK_OK(store_commit(p->store));
        CHECK_EQ(n[0], 1);
        CHECK_OK(store_commit(p->store));
        CHECK_EQ(n[0], 2);
        CHECK_EQ(bounds(p).last, EVENT_CURSOR_FIRST + 1);
        lab_free(&lab);
}

TEST(a_batch_with_events_is_told_once_after_its_commit) {
        unsigned n[2] = {};
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        CHECK_OK(store_commit(p->store));
        store_set_events_fn(p->store, count_batch, n);
        CHECK_OK(add_presence(p, NOW));
        CHECK_OK(add_presence(p, NOW));
        CHECK_EQ(n[0], 0);
        CHECK_OK(store_commit(p->store));
        CHECK_EQ(n[0], 1);
        CHECK_OK(send_text(p, 1, "no event", NOW));
        CHECK_OK(store_commit(p->store));
        CHECK_EQ(n[0], 1);
        CHECK_OK(add_presence(p, NOW));
        db_fail(txn_of(p), -EIO);
        CHECK(store_commit(p->store) < 0);
        CHECK_EQ(n[0], 1);
        CHECK_EQ(n[1], 1);
        CHECK_EQ(bounds(p).last, EVENT_CURSOR_FIRST + 1);
        lab_free(&lab);
}
