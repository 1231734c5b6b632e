/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Mail that a tracker, which the test plays, hands out or has taken: damaged, forged, too much, not
 * to be opened, or while the tracker goes. */

#include "test.h"

#include "crypto/hpke.h"
#include "stack-lab.h"
#include "store/mail.h"
#include "store/prekey.h"
#include "store/presence-key.h"
#include "tracker-lab.h"

#define PREKEY 7

typedef struct Mailbox {
        Sim sim;
        FakeTracker tracker;
        Stack bob;
        Person alice;
        PrekeyRow prekey;
} Mailbox;

static void mailbox_new(Mailbox *b) {
        uint8_t seed[HPKE_SEED_SIZE] = {1};
        EndpointKey at;

        *b = (Mailbox){.prekey = {.id = PREKEY, .suite = MAIL_SUITE_HPKE}};
        sim_new(&b->sim, 1);
        tracker_new(&b->sim, &b->tracker);
        stack_new(&b->sim, "bob", &b->bob);
        person_new(&b->sim, "alice", &b->alice);
        b->prekey.made = loop_realtime(b->sim.loop);
        hpke_key_derive(seed, b->prekey.secret, b->prekey.public);
        CHECK_OK(prekey_put(b->bob.store, &b->prekey));
        CHECK_OK(store_commit(b->bob.store));
        at = tracker_address(&b->tracker);
        CHECK_OK(directory_set_trackers(b->bob.directory, &at, 1));
        directory_announce(b->bob.directory, true, (Bytes){});
        directory_start(b->bob.directory);
        tracker_greet(&b->tracker);
        tracker_ok(&b->tracker, far_take(&b->tracker.far, FRAME_REGISTER).request);
}

static void mailbox_free(Mailbox *b) {
        stack_free(&b->bob);
        tracker_free(&b->tracker);
        person_done(&b->alice);
        sim_free(&b->sim);
}

/* From Alice, says its record; SIGNER is who has really signed. */
static void letter_new(Mailbox *b, const SignKey *signer, Buffer *ret) {
        const uint8_t *bob = person_account(&b->bob.who);
        const Prekey to = {.suite = b->prekey.suite,
                .id = b->prekey.id,
                .key = {b->prekey.public, sizeof(b->prekey.public)}};
        _cleanup_(buffer_done) Buffer inner = BUFFER_NULL, plain = BUFFER_NULL;
        usec_t now = loop_realtime(b->sim.loop);
        uint8_t hash[SHA256_SIZE], seed[MAIL_KEY_SIZE];
        Inner m = {.epoch = b->alice.epoch,
                .seq = 1,
                .hlc = now / USEC_PER_MSEC << 16,
                .sent = now,
                .expires = now + USEC_PER_DAY,
                .kind = KIND_TEXT,
                .body = text_bytes("hi")};
        Content content = {.kind = CONTENT_MESSAGE,
                .certificate = b->alice.local.certificate,
                .record = b->alice.local.record};

        loop_random(b->sim.loop, &m.id, sizeof(m.id));
        loop_random(b->sim.loop, seed, sizeof(seed));
        conversation_direct(person_account(&b->alice), bob, m.conversation);
        memcpy(m.account, person_account(&b->alice), KEY_SIZE);
        memcpy(m.device, sign_key_public(&b->alice.device), KEY_SIZE);
        CHECK_OK(inner_encode(&inner, &m));
        content.body = buffer_bytes(&inner);
        sha256(content.body.data, content.body.size, hash);
        CHECK_OK(entry_sign(signer, hash, content.signature));
        CHECK_OK(content_encode(&plain, &content));
        CHECK_OK(envelope_seal(ret, bob, &to, buffer_bytes(&plain), seed));
}

/* Alice's receipt about what AUTHOR has written to her, with a key for Bob. */
static void receipt_new(Mailbox *b, const uint8_t *author, Buffer *ret) {
        static const uint8_t key[BOX_KEY_SIZE] = {9};
        const Prekey to = {.suite = b->prekey.suite,
                .id = b->prekey.id,
                .key = {b->prekey.public, sizeof(b->prekey.public)}};
        _cleanup_(buffer_done) Buffer object = BUFFER_NULL, plain = BUFFER_NULL;
        uint8_t seed[MAIL_KEY_SIZE] = {2};
        Content content = {.kind = CONTENT_RECEIPT,
                .certificate = b->alice.local.certificate,
                .presence_key = {key, sizeof(key)}};
        Receipt rc = {.epoch = 1, .state = RECEIPT_DELIVERED, .n_ranges = 1};

        rc.ranges[0] = (SeqRange){1, 1};
        memcpy(rc.author, author, KEY_SIZE);
        memcpy(rc.reader, person_account(&b->alice), KEY_SIZE);
        conversation_direct(person_account(&b->alice), author, rc.conversation);
        CHECK_OK(receipt_encode(&object, &rc, &b->alice.device));
        content.body = buffer_bytes(&object);
        CHECK_OK(content_encode(&plain, &content));
        CHECK_OK(envelope_seal(ret, person_account(&b->bob.who), &to, buffer_bytes(&plain), seed));
}

/* About a room, with Alice's record. */
static void notice_new(Mailbox *b, Bytes notice, Buffer *ret) {
        const Prekey to = {.suite = b->prekey.suite,
                .id = b->prekey.id,
                .key = {b->prekey.public, sizeof(b->prekey.public)}};
        _cleanup_(buffer_done) Buffer plain = BUFFER_NULL;
        uint8_t seed[MAIL_KEY_SIZE] = {3};
        Content content = {.kind = CONTENT_ROOM,
                .body = notice,
                .certificate = b->alice.local.certificate,
                .record = b->alice.local.record};

        CHECK_OK(content_encode(&plain, &content));
        CHECK_OK(envelope_seal(ret, person_account(&b->bob.who), &to, buffer_bytes(&plain), seed));
}

/* Answers the COLLECT that must come, and asks what is after WHERE, with one item; AFTER: there is
 * more. */
static void hand_out(Mailbox *b, Bytes where, Bytes envelope, Bytes after) {
        Frame f = far_take(&b->tracker.far, FRAME_COLLECT);
        CollectAnswer page = {.n_items = envelope.size > 0, .after = after};
        Collect asked;

        CHECK_OK(collect_decode(&f, &asked));
        CHECK(bytes_equal(asked.after, where));
        page.items[0].envelope = envelope;
        page.items[0].expires = loop_realtime(b->sim.loop) + USEC_PER_DAY;
        far_sent(&b->tracker.far,
                collect_answer_encode(conn_output(b->tracker.far.conn), f.request, &page));
}

/* The next COLLECTED is for this one. */
static void check_collected(Mailbox *b, Bytes envelope) {
        Frame f = far_take(&b->tracker.far, FRAME_COLLECTED);
        uint8_t ids[COLLECTED_MAX][SHA256_SIZE], id[SHA256_SIZE];
        Collected x;

        CHECK_OK(collected_decode(&f, ids, &x));
        envelope_id(envelope, id);
        CHECK(x.ids.size == SHA256_SIZE && memcmp(ids[0], id, SHA256_SIZE) == 0);
        tracker_ok(&b->tracker, f.request);
}

TEST(what_cannot_be_kept_keeps_nothing_behind_it) {
        const Bytes second = text_bytes("the second page"), junk = text_bytes("no envelope");
        _cleanup_(buffer_done) Buffer letter = BUFFER_NULL;
        Mailbox b;

        mailbox_new(&b);
        stack_knows(&b.bob, &b.alice, CONTACT_PINNED);
        letter_new(&b, &b.alice.device, &letter);
        store_set_max_size(b.bob.store, 1);
        hand_out(&b, (Bytes){}, buffer_bytes(&letter), second);
        hand_out(&b, second, junk, (Bytes){});
        check_collected(&b, junk);
        CHECK_EQ(b.bob.n_shown, 0);
        store_set_max_size(b.bob.store, 0);
        hand_out(&b, (Bytes){}, buffer_bytes(&letter), (Bytes){}); /* all over again */
        check_collected(&b, buffer_bytes(&letter));
        CHECK_EQ(b.bob.n_shown, 1);
        mailbox_free(&b);
}

static unsigned count_unopened(Mailbox *b) {
        DeliveryMail m;

        delivery_get_mail(b->bob.delivery, &m);
        return m.unopened;
}

/* It was sealed to another device of Bob's, whose prekeys come later. */
TEST(mail_that_cannot_be_opened_is_counted_until_it_can) {
        _cleanup_(buffer_done) Buffer letter = BUFFER_NULL;
        Mailbox b;
        Frame f;

        mailbox_new(&b);
        stack_knows(&b.bob, &b.alice, CONTACT_PINNED);
        b.prekey.id++;
        letter_new(&b, &b.alice.device, &letter);
        hand_out(&b, (Bytes){}, buffer_bytes(&letter), (Bytes){});
        f = far_take(&b.tracker.far, FRAME_COLLECTED);
        tracker_ok(&b.tracker, f.request);
        SIM_UNTIL(&b.sim, count_unopened(&b) == 1);
        CHECK_EQ(b.bob.n_shown, 0);
        CHECK_OK(prekey_put(b.bob.store, &b.prekey));
        delivery_handed_over(b.bob.delivery);
        hand_out(&b, (Bytes){}, buffer_bytes(&letter), (Bytes){});
        check_collected(&b, buffer_bytes(&letter));
        SIM_UNTIL(&b.sim, count_unopened(&b) == 0);
        CHECK_EQ(b.bob.n_shown, 1);
        mailbox_free(&b);
}

/* The tracker does not know whom Bob asks about. */
static void refuse_lookup(Mailbox *b) {
        tracker_error(
                &b->tracker, far_take(&b->tracker.far, FRAME_LOOKUP).request, CODE_UNKNOWN_PEER);
}

TEST(strangers_without_room_are_not_fetched_without_a_pause) {
        const Bytes second = text_bytes("the second page");
        _cleanup_(buffer_done) Buffer letter = BUFFER_NULL, other = BUFFER_NULL;
        Mailbox b;
        Person first;

        mailbox_new(&b);
        letter_new(&b, &b.alice.device, &letter);
        first = b.alice;
        person_new(&b.sim, "carol", &b.alice);
        letter_new(&b, &b.alice.device, &other);
        store_set_max_size(b.bob.store, 1);
        hand_out(&b, (Bytes){}, buffer_bytes(&letter), second);
        refuse_lookup(&b);
        hand_out(&b, (Bytes){}, buffer_bytes(&letter), second);
        hand_out(&b, second, buffer_bytes(&other), (Bytes){});
        refuse_lookup(&b);
        sim_run(&b.sim, 30 * USEC_PER_SEC);
        CHECK(!far_has(&b.tracker.far, FRAME_COLLECT));
        person_done(&first);
        mailbox_free(&b);
}

TEST(nobody_is_known_by_what_he_has_not_signed) {
        _cleanup_(buffer_done) Buffer letter = BUFFER_NULL;
        Mailbox b;
        Contact c;

        mailbox_new(&b);
        letter_new(&b, &b.bob.who.device, &letter);
        hand_out(&b, (Bytes){}, buffer_bytes(&letter), (Bytes){});
        SIM_UNTIL(&b.sim,
                far_has(&b.tracker.far, FRAME_COLLECTED) || far_has(&b.tracker.far, FRAME_LOOKUP));
        check_collected(&b, buffer_bytes(&letter)); /* nor is his name asked about */
        CHECK_EQ(contact_get(store_write(b.bob.store), person_account(&b.alice), &c), 0);
        mailbox_free(&b);
}

/* Whose first message comes by mail is a contact like those who come by a link. */
TEST(a_new_contact_by_mail_is_watched) {
        uint8_t accounts[2 * WATCH_ACCOUNTS_MAX][KEY_SIZE];
        _cleanup_(buffer_done) Buffer letter = BUFFER_NULL;
        DeliverySettings s;
        Mailbox b;
        Watch w;
        Frame f;

        mailbox_new(&b);
        s = b.bob.settings;
        s.accept_all = true;
        delivery_set_settings(b.bob.delivery, &s);
        letter_new(&b, &b.alice.device, &letter);
        hand_out(&b, (Bytes){}, buffer_bytes(&letter), (Bytes){});
        refuse_lookup(&b);
        hand_out(&b, (Bytes){}, buffer_bytes(&letter), (Bytes){});
        f = far_take(&b.tracker.far, FRAME_WATCH);
        CHECK_OK(watch_decode(&f, accounts, &w));
        CHECK(bytes_equal(w.add, (Bytes){.data = person_account(&b.alice), .size = KEY_SIZE}));
        mailbox_free(&b);
}

/* Fields beside what is signed: whoever has a receipt of Alice's about his own messages could put a
 * key of his own to it. */
TEST(a_key_comes_with_what_was_said_to_bob) {
        _cleanup_(buffer_done) Buffer other = BUFFER_NULL, good = BUFFER_NULL;
        static const uint8_t mallory[KEY_SIZE] = {1};
        uint8_t key[BOX_KEY_SIZE];
        Mailbox b;
        Contact c;

        mailbox_new(&b);
        c = stack_knows(&b.bob, &b.alice, CONTACT_PINNED);
        receipt_new(&b, mallory, &other);
        receipt_new(&b, person_account(&b.bob.who), &good);
        hand_out(&b, (Bytes){}, buffer_bytes(&other), text_bytes("more"));
        check_collected(&b, buffer_bytes(&other));
        CHECK_EQ(store_get_contact_key(store_write(b.bob.store), c.number, key), 0);
        hand_out(&b, text_bytes("more"), buffer_bytes(&good), (Bytes){});
        check_collected(&b, buffer_bytes(&good));
        CHECK_EQ(store_get_contact_key(store_write(b.bob.store), c.number, key), 1);
        mailbox_free(&b);
}

/* The first of all who hear of the commit. */
static void on_kept(void *userdata, int error) {
        Mailbox *b = userdata;

        stack_on_events(&b->bob, error);
        CHECK_OK(directory_set_trackers(b->bob.directory, NULL, 0));
}

TEST(a_tracker_goes_while_its_mail_is_written) {
        _cleanup_(buffer_done) Buffer letter = BUFFER_NULL;
        Mailbox b;

        mailbox_new(&b);
        stack_knows(&b.bob, &b.alice, CONTACT_PINNED);
        letter_new(&b, &b.alice.device, &letter);
        store_set_events_fn(b.bob.store, on_kept, &b);
        hand_out(&b, (Bytes){}, buffer_bytes(&letter), (Bytes){});
        SIM_UNTIL(&b.sim, b.bob.n_shown == 1);
        sim_run(&b.sim, USEC_PER_MINUTE);
        CHECK_EQ(directory_n_trackers(b.bob.directory), 0);
        mailbox_free(&b);
}

TEST(old_prekeys_go_though_nobody_writes) {
        PrekeyRow newer;
        Mailbox b;

        mailbox_new(&b);
        newer = b.prekey;
        newer.id++;
        CHECK_OK(prekey_put(b.bob.store, &newer));
        while (loop_realtime(b.sim.loop) < newer.made + 33 * USEC_PER_DAY) {
                if (far_has(&b.tracker.far, FRAME_COLLECT))
                        hand_out(&b, (Bytes){}, (Bytes){}, (Bytes){});
                sim_run(&b.sim, 5 * USEC_PER_SEC);
        }
        CHECK_EQ(prekey_get(store_write(b.bob.store), PREKEY, &b.prekey), 0);
        CHECK_EQ(prekey_get(store_write(b.bob.store), newer.id, &b.prekey), 1);
        mailbox_free(&b);
}

/* An own message to Alice, of which Bob remembers that it lies at the tracker. */
static MailItem item_put(Mailbox *b) {
        MailItem m = {.id = {1}, .secret = {2}, .n_trackers = 1};
        Contact c = stack_knows(&b->bob, &b->alice, CONTACT_PINNED);
        OutboxRow row;

        (void)stack_put(&b->bob, &b->alice, text_bytes("hi"), 0);
        CHECK_EQ(outbox_next(store_write(b->bob.store), c.number, (OutboxPosition){}, &row), 1);
        m.recipient = c.number;
        m.at = row.at;
        m.sealed = loop_realtime(b->sim.loop);
        m.expires = m.sealed + USEC_PER_DAY;
        memcpy(m.trackers[0], tracker_address(&b->tracker).key, KEY_SIZE);
        CHECK_OK(mail_item_put(b->bob.store, &m));
        CHECK_OK(store_commit(b->bob.store));
        return m;
}

static void say_rekey(Mailbox *b, const MailItem *m) {
        MailStatusAnswer answer = {.n_items = 1, .items = {{.state = MAIL_HELD}}};
        _cleanup_(buffer_done) Buffer outer = BUFFER_NULL;
        Rekey k = {.n_items = 1, .prekey = {MAIL_SUITE_HPKE, 99, {m->id, MAIL_KEY_SIZE}}};
        Frame f = far_take(&b->tracker.far, FRAME_MAIL_STATUS);

        memcpy(k.account, person_account(&b->alice), KEY_SIZE);
        memcpy(k.items[0], m->id, SHA256_SIZE);
        CHECK_OK(rekey_encode(&outer, &k, &b->alice.account));
        answer.items[0].rekey = buffer_bytes(&outer);
        far_sent(&b->tracker.far,
                mail_status_answer_encode(conn_output(b->tracker.far.conn), f.request, &answer));
}

TEST(what_its_recipient_cannot_open_is_withdrawn) {
        Mailbox b;
        Withdraw w;
        MailItem m;
        Frame f;

        mailbox_new(&b);
        m = item_put(&b);
        say_rekey(&b, &m);
        f = far_take(&b.tracker.far, FRAME_WITHDRAW);
        CHECK_OK(withdraw_decode(&f, &w));
        CHECK(memcmp(w.id, m.id, SHA256_SIZE) == 0);
        CHECK(memcmp(w.secret, m.secret, WITHDRAW_SECRET_SIZE) == 0);
        CHECK_EQ(stack_count_outbox(&b.bob), 1); /* to be sealed again */
        mailbox_free(&b);
}

TEST(nothing_is_known_of_mail_while_nobody_answers) {
        Mailbox b;
        MailItem m;

        mailbox_new(&b);
        m = item_put(&b);
        m.n_trackers = 0; /* it was collected, a moment ago */
        CHECK_OK(mail_item_put(b.bob.store, &m));
        CHECK_OK(store_commit(b.bob.store));
        tracker_error(
                &b.tracker, far_take(&b.tracker.far, FRAME_MAIL_STATUS).request, CODE_STORAGE);
        sim_run(&b.sim, USEC_PER_MINUTE);
        CHECK_EQ(mail_item_get(store_write(b.bob.store), m.recipient, m.at, &m), 1);
        mailbox_free(&b);
}

/* More people than there is room for in memory: all are asked about, and then there is peace. */

#define PEOPLE 1500

static void people_put(Mailbox *b) {
        Person p = {.sim = &b->sim};

        for (unsigned i = 0; i < PEOPLE; i++) {
                MailItem m = {.n_trackers = 1, .expires = USEC_INFINITY - 1};
                OutboxRow row;
                Contact c;

                person_key(&b->sim, &p.account);
                CHECK_OK(contact_mark(b->bob.store, person_account(&p), CONTACT_PINNED));
                (void)stack_put(&b->bob, &p, text_bytes("hi"), 0);
                CHECK_EQ(contact_get(store_write(b->bob.store), person_account(&p), &c), 1);
                CHECK_EQ(outbox_next(store_write(b->bob.store), c.number, (OutboxPosition){}, &row),
                        1);
                m.recipient = c.number;
                m.at = row.at;
                memcpy(m.trackers[0], tracker_address(&b->tracker).key, KEY_SIZE);
                CHECK_OK(mail_item_put(b->bob.store, &m));
        }
        CHECK_OK(store_commit(b->bob.store));
}

TEST(more_people_than_there_is_room_for) {
        const MailStatusAnswer held = {.n_items = 1, .items = {{.state = MAIL_HELD}}};
        bool asked[UINT16_MAX + 1] = {};
        unsigned n = 0, distinct = 0;
        MailStatus s;
        Mailbox b;
        Contact c;

        mailbox_new(&b);
        people_put(&b);
        for (unsigned second = 0; second < 3600; second++) {
                sim_run(&b.sim, USEC_PER_SEC);
                while (far_has(&b.tracker.far, FRAME_MAIL_STATUS)) {
                        Frame f = far_take(&b.tracker.far, FRAME_MAIL_STATUS);

                        CHECK_OK(mail_status_decode(&f, &s));
                        CHECK_EQ(contact_get(store_write(b.bob.store), s.account, &c), 1);
                        n++;
                        distinct += !asked[c.number];
                        asked[c.number] = true;
                        far_sent(&b.tracker.far,
                                mail_status_answer_encode(
                                        conn_output(b.tracker.far.conn), f.request, &held));
                }
        }
        CHECK_EQ(distinct, PEOPLE);
        CHECK_EQ(n, PEOPLE);
        mailbox_free(&b);
}

TEST(a_notice_about_a_room_is_handed_up) {
        _cleanup_(buffer_done) Buffer letter = BUFFER_NULL;
        Mailbox b;

        mailbox_new(&b);
        notice_new(&b, text_bytes("something is new"), &letter);
        hand_out(&b, (Bytes){}, buffer_bytes(&letter), (Bytes){});
        check_collected(&b, buffer_bytes(&letter));
        CHECK_EQ(b.bob.n_notices, 1);
        CHECK_EQ(b.bob.notice_size, strlen("something is new"));
        CHECK_EQ(b.bob.notice_record, b.alice.local.record.size);
        mailbox_free(&b);
}

/* Somebody away, with a prekey in his record. */
static const uint8_t *carol_is_known(Mailbox *b, Person *carol) {
        uint8_t seed[HPKE_SEED_SIZE] = {4}, secret[HPKE_KEY_SIZE];
        static uint8_t public[HPKE_KEY_SIZE];
        usec_t now = loop_realtime(b->sim.loop);
        Record rec = {.epoch = 1, .seq = 200, .issued = now, .expires = now + IDENTITY_LIFETIME};

        hpke_key_derive(seed, secret, public);
        person_new(&b->sim, "carol", carol);
        rec.certificate = carol->local.certificate;
        rec.prekeys[rec.n_prekeys++] =
                (Prekey){.suite = MAIL_SUITE_HPKE, .id = PREKEY, .key = {public, sizeof(public)}};
        memcpy(rec.account, person_account(carol), KEY_SIZE);
        memcpy(rec.name, carol->name, NAME_SIZE);
        buffer_clear(&carol->record);
        CHECK_OK(record_encode(&rec, &carol->account, &carol->record));
        carol->local.record = buffer_bytes(&carol->record);
        stack_knows(&b->bob, carol, CONTACT_PINNED);
        return person_account(carol);
}

TEST(a_notice_about_a_room_is_left_once) {
        const uint8_t *carol;
        Person who;
        Mailbox b;
        Deposit d;
        Frame f;

        mailbox_new(&b);
        CHECK_EQ(delivery_leave_room_notice(
                         b.bob.delivery, person_account(&b.alice), text_bytes("to nobody")),
                -ENOENT);
        carol = carol_is_known(&b, &who);
        delivery_start(b.bob.delivery);
        CHECK_OK(delivery_leave_room_notice(b.bob.delivery, carol, text_bytes("news")));
        CHECK_OK(delivery_leave_room_notice(b.bob.delivery, carol, text_bytes("news")));
        f = far_take(&b.tracker.far, FRAME_DEPOSIT);
        CHECK_OK(deposit_decode(&f, &d));
        CHECK(key_equal(d.account, carol));
        CHECK(d.has_stamp);
        far_sent(&b.tracker.far,
                deposit_answer_encode(conn_output(b.tracker.far.conn), f.request,
                        &(DepositAnswer){.replicas = 1}));
        sim_run(&b.sim, USEC_PER_HOUR);
        CHECK(!far_has(&b.tracker.far, FRAME_DEPOSIT));
        person_done(&who);
        mailbox_free(&b);
}

TEST(a_notice_that_nobody_takes_is_given_up) {
        const uint8_t *carol;
        unsigned n = 0;
        Person who;
        Mailbox b;

        mailbox_new(&b);
        carol = carol_is_known(&b, &who);
        for (char c = 'a'; c < 'a' + 4; c++)
                CHECK_OK(delivery_leave_room_notice(
                        b.bob.delivery, carol, (Bytes){(uint8_t *)&c, 1}));
        CHECK_EQ(delivery_leave_room_notice(b.bob.delivery, carol, text_bytes("one more")),
                -ENOBUFS);
        for (unsigned i = 0; i < 48; i++) {
                sim_run(&b.sim, USEC_PER_HOUR);
                while (far_has(&b.tracker.far, FRAME_DEPOSIT)) {
                        Frame f = far_take(&b.tracker.far, FRAME_DEPOSIT);

                        n++;
                        far_sent(&b.tracker.far,
                                error_encode(conn_output(b.tracker.far.conn), f.request,
                                        CODE_TOO_MANY, "the mailbox is full", 0));
                        sim_run(&b.sim, USEC_PER_SEC);
                }
        }
        CHECK_EQ(n, 4 * 8);
        person_done(&who);
        mailbox_free(&b);
}
