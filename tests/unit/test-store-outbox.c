/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Receipts and the outbox. */

#include "store-lab.h"

typedef struct Told {
        uint32_t ids[64];
        size_t n;
} Told;

static void on_delivered(void *userdata, const Uuid *id) {
        Told *t = userdata;

        CHECK(t->n < ELEMENTSOF(t->ids));
        t->ids[t->n++] = uuid_to_number(id);
}

/* What bob would say of alice's feed if he had FIRST to LAST. */
static Receipt receipt_for(const Lab *lab, uint64_t first, uint64_t last) {
        const Person *a = &lab->alice;
        Feed f = own_feed(a);
        Receipt rc = {.epoch = f.epoch,
                .ranges = {{first, last}},
                .n_ranges = 1,
                .state = RECEIPT_DELIVERED};

        memcpy(rc.conversation, conversation_of(a).hash, SHA256_SIZE);
        memcpy(rc.author, sign_key_public(&a->self.account), KEY_SIZE);
        memcpy(rc.device, f.device, KEY_SIZE);
        memcpy(rc.reader, a->other.account, KEY_SIZE);
        if (last <= f.seq)
                hash_at(a, f.number, last, rc.hash);
        return rc;
}

static int take(Lab *lab, const Receipt *rc, Told *told) {
        *told = (Told){};
        return store_take_receipt(
                lab->alice.store, &lab->alice.self, &lab->alice.other, rc, NOW, on_delivered, told);
}

static int fail(Person *p, const Uuid *id, EntryState state, Code reason) {
        return store_fail_message(p->store, p->other.number,
                &(Failure){.id = id, .state = state, .reason = reason, .now = NOW});
}

static bool is_delivered(const Lab *lab, uint64_t seq) {
        HistoryRow h;

        CHECK_EQ(history_get(txn_of(&lab->alice), own_feed(&lab->alice).number, seq, &h), 1);
        CHECK(h.own);
        return h.delivered;
}

static void send_ten(Lab *lab) {
        for (uint32_t i = 1; i <= 10; i++)
                CHECK_OK(send_text(&lab->alice, i, "text", NOW));
        CHECK_EQ(outbox_count(txn_of(&lab->alice)), 10);
}

TEST(a_receipt_ends_each_envelope_once) {
        Receipt rc;
        Told told;
        Lab lab;

        lab_new(&lab);
        send_ten(&lab);
        rc = receipt_for(&lab, 2, 4);
        CHECK_OK(take(&lab, &rc, &told));
        CHECK_EQ(told.n, 3);
        CHECK(told.ids[0] == 2 && told.ids[1] == 3 && told.ids[2] == 4);
        CHECK_EQ(outbox_count(txn_of(&lab.alice)), 7);
        CHECK(!is_delivered(&lab, 1) && is_delivered(&lab, 2) && !is_delivered(&lab, 5));
        CHECK_OK(take(&lab, &rc, &told));
        CHECK_EQ(told.n, 0);

        /* Less than before takes nothing back; more adds only the new ones. */
        rc = receipt_for(&lab, 1, 1);
        CHECK_OK(take(&lab, &rc, &told));
        CHECK(told.n == 1 && told.ids[0] == 1);
        CHECK(is_delivered(&lab, 4));
        person_reopen(&lab, &lab.alice);
        rc = receipt_for(&lab, 3, 10);
        CHECK_OK(take(&lab, &rc, &told));
        CHECK(told.n == 6 && told.ids[0] == 5 && told.ids[5] == 10);
        CHECK_EQ(outbox_count(txn_of(&lab.alice)), 0);
        for (uint64_t seq = 1; seq <= 10; seq++)
                CHECK(is_delivered(&lab, seq));
        lab_free(&lab);
}

TEST(a_receipt_that_says_what_cannot_be_is_refused) {
        SignKey carol = sample_key(CAROL);
        Receipt good, bad;
        Told told;
        Lab lab;

        lab_new(&lab);
        send_ten(&lab);
        good = receipt_for(&lab, 1, 3);

        bad = good;
        bad.hash[0] ^= 1;
        CHECK_EQ(take(&lab, &bad, &told), -EBADMSG);
        bad = good;
        memcpy(bad.author, sign_key_public(&carol), KEY_SIZE);
        CHECK_EQ(take(&lab, &bad, &told), -EBADMSG);
        bad = good;
        memcpy(bad.reader, sign_key_public(&carol), KEY_SIZE);
        CHECK_EQ(take(&lab, &bad, &told), -EBADMSG);
        bad = good;
        bad.conversation[5] ^= 1;
        CHECK_EQ(take(&lab, &bad, &told), -EBADMSG);
        bad = good;
        bad.epoch++;
        CHECK_EQ(take(&lab, &bad, &told), -EBADMSG);
        bad = good;
        bad.device[0] ^= 1;
        CHECK_EQ(take(&lab, &bad, &told), -EBADMSG);
        bad = receipt_for(&lab, 1, 11);
        CHECK_EQ(take(&lab, &bad, &told), -EBADMSG);
        bad = receipt_for(&lab, 1, UINT64_MAX);
        CHECK_EQ(take(&lab, &bad, &told), -EBADMSG);

        CHECK_EQ(told.n, 0);
        CHECK_EQ(outbox_count(txn_of(&lab.alice)), 10);
        CHECK_OK(take(&lab, &good, &told));
        CHECK_EQ(told.n, 3);
        lab_free(&lab);
}

TEST(nobody_gives_a_receipt_for_somebody_else) {
        Contact carol;
        Conversation v;
        Receipt rc;
        Told told;
        Person *p;
        Lab lab;
        Feed f;

        lab_new(&lab);
        p = &lab.alice;
        CHECK(learn(p->store, CAROL, "carol", 1, 1, CONTACT_PINNED, true, &carol) > 0);
        CHECK_OK(send_text(p, 1, "to bob", NOW));
        CHECK_OK(send_as(p, 2, "to carol", 0, NOW + MINUTE, &carol));
        rc = receipt_for(&lab, 1, 1);

        /* Bob knows, by whatever way, what alice has written to carol. */
        conversation_direct(sign_key_public(&p->self.account), carol.account, rc.conversation);
        memcpy(rc.reader, carol.account, KEY_SIZE);
        CHECK_EQ(conversation_find(txn_of(p), rc.conversation, &v), 1);
        CHECK_EQ(feed_find(txn_of(p), v.number, SELF_NUMBER, 1, rc.device, &f), 1);
        hash_at(p, f.number, 1, rc.hash);
        CHECK_EQ(take(&lab, &rc, &told), -EBADMSG);
        CHECK_EQ(store_take_receipt(p->store, &p->self, &carol, &rc, NOW, on_delivered, &told), 0);
        CHECK_EQ(told.n, 1);
        lab_free(&lab);
}

TEST(a_receipt_of_the_whole_way_round_is_taken) {
        _cleanup_(buffer_done) Buffer object = BUFFER_NULL;
        Entry e;
        Made m;
        Receipt rc, again;
        Told told;
        Lab lab;
        Feed f;

        lab_new(&lab);
        send_ten(&lab);
        for (uint64_t seq = 10; seq > 0; seq -= 3) { /* 10, 7, 4, 1 */
                CHECK_EQ(entry_get(txn_of(&lab.alice), own_feed(&lab.alice).number, seq, &e), 1);
                m = (Made){};
                CHECK_OK(buffer_append(&m.bytes, e.inner.data, e.inner.size));
                CHECK_OK(inner_decode(buffer_bytes(&m.bytes), &m.inner));
                sha256(m.bytes.data, buffer_size(&m.bytes), m.hash);
                CHECK_EQ(receive(&lab, &m), RECEIVED_NEW);
                made_done(&m);
                if (seq == 1)
                        break;
        }
        f = foreign_feed(&lab.bob);
        CHECK_EQ(make_receipt(&lab, f.number, &rc), 1);
        CHECK_OK(receipt_encode(&object, &rc, &lab.bob.self.device));
        CHECK_OK(receipt_decode(
                buffer_bytes(&object), sign_key_public(&lab.bob.self.device), &again));
        CHECK_OK(take(&lab, &again, &told));
        CHECK_EQ(told.n, 4);
        CHECK_EQ(outbox_count(txn_of(&lab.alice)), 6);
        CHECK_EQ(make_receipt(&lab, 99, &rc), 0);
        lab_free(&lab);
}

TEST(a_refused_message_leaves_the_outbox_and_may_still_be_delivered) {
        Uuid id = uuid_number(2), unknown = uuid_number(99);
        Person *p;
        Receipt rc;
        Told told;
        Entry e;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        send_ten(&lab);
        CHECK_EQ(fail(p, &id, ENTRY_FAILED, CODE_BLOCKED), 1);
        CHECK_EQ(fail(p, &id, ENTRY_EXPIRED, CODE_EXPIRED), 0);
        CHECK_EQ(fail(p, &unknown, ENTRY_FAILED, CODE_BLOCKED), 0);
        CHECK_EQ(outbox_count(txn_of(p)), 9);
        CHECK_EQ(entry_get(txn_of(p), own_feed(p).number, 2, &e), 1);
        CHECK_EQ(e.state, ENTRY_FAILED);
        CHECK_EQ(e.reason, CODE_BLOCKED);
        rc = receipt_for(&lab, 1, 3);
        CHECK_OK(take(&lab, &rc, &told));
        CHECK(told.n == 3 && told.ids[1] == 2);
        CHECK(is_delivered(&lab, 2));
        lab_free(&lab);
}

TEST(the_outbox_is_walked_by_recipient_feed_and_seq) {
        Contact carol, dave;
        OutboxPosition at = {};
        uint32_t number = 0;
        OutboxRow row;
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        CHECK_EQ(outbox_next_recipient(txn_of(p), 0, &number), 0);
        CHECK(learn(p->store, CAROL, "carol", 1, 1, CONTACT_PINNED, true, &carol) > 0);
        CHECK(learn(p->store, 7, "dave", 1, 1, CONTACT_PINNED, true, &dave) > 0);
        for (uint32_t i = 0; i < 300; i++)
                CHECK_OK(
                        send_as(p, i + 1, "text", 0, NOW + MINUTE, i % 3 == 0 ? &p->other : &dave));
        for (uint32_t i = 0; i < 100; i++) {
                CHECK_EQ(outbox_next(txn_of(p), p->other.number, at, &row), 1);
                CHECK_EQ(row.recipient, p->other.number);
                CHECK_EQ(row.at.seq, i + 1);
                CHECK_EQ(uuid_to_number(&row.id), 3 * i + 1);
                CHECK_EQ(row.expires, NOW + MINUTE);
                at = row.at;
        }
        CHECK_EQ(outbox_next(txn_of(p), p->other.number, at, &row), 0);
        CHECK_EQ(outbox_next(txn_of(p), carol.number, (OutboxPosition){}, &row), 0);
        CHECK_EQ(outbox_next_recipient(txn_of(p), 0, &number), 1);
        CHECK_EQ(number, p->other.number);
        CHECK_EQ(outbox_next_recipient(txn_of(p), number, &number), 1);
        CHECK_EQ(number, dave.number);
        CHECK_EQ(outbox_next_recipient(txn_of(p), number, &number), 0);
        CHECK_EQ(outbox_next_recipient(txn_of(p), UINT32_MAX, &number), 0);
        CHECK_EQ(outbox_remove(p->store, p->other.number, at), 1);
        CHECK_EQ(outbox_remove(p->store, p->other.number, at), 0);
        CHECK_EQ(outbox_count(txn_of(p)), 299);
        lab_free(&lab);
}

/* The ids in the order in which their time is over, and none of anything else. */
static void check_expiry(Person *p, const uint32_t *ids, size_t n) {
        CHECK_EQ(db_count(txn_of(p), TABLE_EXPIRY), n);
        for (size_t i = 0; i < n; i++) {
                OutboxRow row;

                CHECK_EQ(outbox_first_to_expire(p->store, &row), 1);
                CHECK_EQ(uuid_to_number(&row.id), ids[i]);
                CHECK_EQ(outbox_remove(p->store, row.recipient, row.at), 1);
        }
}

TEST(what_expires_first_is_known) {
        Contact carol;
        OutboxRow row;
        Receipt rc;
        Person *p;
        Told told;
        Lab lab;
        Uuid id;

        lab_new(&lab);
        p = &lab.alice;
        CHECK_EQ(outbox_first_to_expire(p->store, &row), 0);
        CHECK(learn(p->store, CAROL, "carol", 1, 1, CONTACT_PINNED, true, &carol) > 0);
        for (uint32_t i = 1; i <= 10; i++)
                CHECK_OK(send_as(
                        p, i, "text", 0, NOW + (20 - i) * MINUTE, i % 5 == 0 ? &carol : &p->other));
        CHECK_OK(send_as(p, 11, "text", 0, NOW + 11 * MINUTE, &p->other)); /* as 9 */
        rc = receipt_for(&lab, 7, 8); /* 8 and 9 */
        CHECK_OK(take(&lab, &rc, &told));
        CHECK(told.n == 2 && told.ids[1] == 9);
        id = uuid_number(7);
        CHECK_EQ(fail(p, &id, ENTRY_FAILED, CODE_BLOCKED), 1);
        check_expiry(p, (const uint32_t[]){10, 11, 6, 5, 4, 3, 2, 1}, 8);
        CHECK_EQ(outbox_first_to_expire(p->store, &row), 0);
        CHECK_EQ(outbox_count(txn_of(p)), 0);
        lab_free(&lab);
}

TEST(a_store_without_an_index_by_time_gets_one) {
        static const uint32_t ids[] = {10, 9, 8, 7, 6, 5, 4, 3, 2, 1};
        OutboxRow row;
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        for (uint32_t i = 1; i <= 10; i++)
                CHECK_OK(send_as(p, i, "text", 0, NOW + (20 - i) * MINUTE, &p->other));
        while (outbox_first_to_expire(p->store, &row) > 0) {
                DbKey k = DB_KEY_NULL;

                db_key_u64(&k, row.expires);
                db_key_u32(&k, row.recipient);
                db_key_u32(&k, row.at.feed);
                db_key_u64(&k, row.at.seq);
                CHECK_EQ(db_del(txn_of(p), TABLE_EXPIRY, &k), 1);
        }
        person_reopen(&lab, p);
        check_expiry(p, ids, ELEMENTSOF(ids));
        lab_free(&lab);
}

TEST(a_certificate_is_kept_once) {
        Certificate c = sample_certificate(ALICE);
        Bytes given, outer;
        Lab lab;

        lab_new(&lab);
        given = buffer_bytes(&lab.alice.self.certificate);
        CHECK_EQ(store_get_certificate(txn_of(&lab.bob), c.device, 1, &outer), 0);
        for (int i = 0; i < 2; i++)
                CHECK_OK(store_keep_certificate(lab.bob.store, &c, given));
        CHECK_EQ(store_get_certificate(txn_of(&lab.bob), c.device, 1, &outer), 1);
        CHECK_EQ(outer.size, given.size);
        CHECK(memcmp(outer.data, given.data, given.size) == 0);
        CHECK_EQ(store_get_certificate(txn_of(&lab.bob), c.device, 2, &outer), 0);
        lab_free(&lab);
}
