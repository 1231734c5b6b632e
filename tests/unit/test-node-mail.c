/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Mailboxes of a directory node, as senders, recipients and those who mean no good see them. */

#include "full-disk.h"
#include "mail-lab.h"

typedef struct Mail {
        Lab lab;
        User bob;
        Caller recipient, sender; /* the sender is nobody in particular */
        Letter letter; /* to bob, stamped */
} Mail;

static void mail_new(Mail *m) {
        *m = (Mail){};
        lab_new(&m->lab);
        lab_take_mail(&m->lab);
        recipient_new(&m->lab, "bob", &m->bob, &m->recipient);
        caller_new(&m->lab, NULL, &m->sender);
        letter_new(&m->lab, &m->bob, 1, 300, &m->letter);
        letter_stamp(&m->letter);
}

static void mail_free(Mail *m) {
        caller_free(&m->recipient);
        caller_free(&m->sender);
        user_done(&m->bob);
        lab_free(&m->lab);
}

static Bytes nothing;

TEST(mail_waits_until_it_is_collected) {
        CollectAnswer a;
        Mail m;

        mail_new(&m);
        CHECK_EQ(mail_state(&m.sender, &m.letter, NULL), MAIL_UNKNOWN);
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_OK);
        CHECK_EQ(caller_take_waiting(&m.recipient), 1);
        CHECK_EQ(mail_state(&m.sender, &m.letter, NULL), MAIL_HELD);
        CHECK_EQ(collect(&m.recipient, nothing, 10, &a), CODE_OK);
        CHECK_EQ(a.n_items, 1);
        CHECK(bytes_equal(a.items[0].envelope, (Bytes){m.letter.envelope, m.letter.size}));
        CHECK_EQ(a.items[0].expires, m.letter.deposit.expires);
        CHECK_EQ(a.after.size, 0);
        CHECK_EQ(count_mail(&m.recipient), 1); /* it stays until it is said to be safe */
        CHECK_EQ(collected(&m.recipient, &m.letter, nothing), CODE_OK);
        CHECK_EQ(count_mail(&m.recipient), 0);
        CHECK_EQ(mail_state(&m.sender, &m.letter, NULL), MAIL_GONE);
        CHECK_EQ(node_stats(m.lab.node)->mail_items, 0);
        mail_free(&m);
}

TEST(the_same_deposit_again_is_the_same_item) {
        Mail m;

        mail_new(&m);
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_OK);
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_OK);
        CHECK_EQ(count_mail(&m.recipient), 1);
        CHECK_EQ(node_stats(m.lab.node)->mail_items, 1);
        CHECK_EQ(collected(&m.recipient, &m.letter, nothing), CODE_OK);
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_OK); /* it was collected, says the state */
        CHECK_EQ(mail_state(&m.sender, &m.letter, NULL), MAIL_GONE);
        CHECK_EQ(count_mail(&m.recipient), 0);
        mail_free(&m);
}

/* Whoever changes an item in another's name: the first deposit counts. */
TEST(a_second_depositor_changes_nothing) {
        Letter other;
        Mail m;

        mail_new(&m);
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_OK);
        other = m.letter;
        other.secret[0] ^= 1;
        other.deposit.expires = loop_realtime(&m.lab.loop.loop) + USEC_PER_MINUTE;
        sha256(other.secret, sizeof(other.secret), other.deposit.withdraw_hash);
        CHECK_EQ(deposit(&m.sender, &other), CODE_OK);
        CHECK_EQ(withdraw(&m.sender, &other, 0), CODE_NOT_ALLOWED);
        lab_advance(&m.lab, 9 * USEC_PER_DAY);
        CHECK_EQ(count_mail(&m.recipient), 1);
        mail_free(&m);
}

/* What is refused, in the order in which it is looked at: each row is right up to what it names. */

TEST(deposits_that_are_refused) {
        User stranger, old;
        Caller c;
        Letter l;
        Said s;
        Mail m;

        mail_new(&m);
        member_new(&m.lab, "old", &old, &c); /* whose record has no key for mail */
        user_new(&m.lab, "stranger", &stranger);

        m.lab.limits.mailbox = false;
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_NOT_SUPPORTED);
        m.lab.limits.mailbox = true;

        l = m.letter;
        l.deposit.envelope.size--;
        CHECK_EQ(deposit(&m.sender, &l), CODE_INVALID_ARGS);
        l = m.letter;
        l.deposit.expires = loop_realtime(&m.lab.loop.loop);
        CHECK_EQ(deposit(&m.sender, &l), CODE_INVALID_ARGS);
        l.deposit.expires = loop_realtime(&m.lab.loop.loop) + 31 * USEC_PER_DAY;
        s = try_deposit(&m.sender, &l, NULL);
        CHECK_EQ(s.code, CODE_INVALID_ARGS);
        CHECK(strstr(s.text, "30 days"));

        letter_new(&m.lab, &stranger, 1, 300, &l);
        CHECK_EQ(deposit(&m.sender, &l), CODE_UNKNOWN_PEER);
        letter_new(&m.lab, &old, 1, 300, &l);
        CHECK_EQ(deposit(&m.sender, &l), CODE_NOT_ALLOWED);
        letter_stamp(&l);
        CHECK_EQ(deposit(&m.sender, &l), CODE_NOT_SUPPORTED);

        CHECK_EQ(node_stats(m.lab.node)->mail_items, 0);
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_OK);
        caller_free(&c);
        user_done(&stranger);
        user_done(&old);
        mail_free(&m);
}

TEST(a_superseded_prekey_is_answered_with_the_record) {
        Record rec;
        Bytes record;
        Mail m;

        mail_new(&m);
        m.bob.prekey = PREKEY + 1;
        user_sign(&m.lab, &m.bob, LIFETIME);
        CHECK_EQ(caller_register(&m.recipient, &m.bob), CODE_OK);
        CHECK_EQ(try_deposit(&m.sender, &m.letter, &record).code, CODE_OK);
        CHECK_OK(record_decode(record, &rec));
        CHECK_EQ(rec.prekeys[0].id, PREKEY + 1);
        CHECK_EQ(count_mail(&m.recipient), 0);
        CHECK_EQ(mail_state(&m.sender, &m.letter, NULL), MAIL_UNKNOWN);
        mail_free(&m);
}

TEST(a_stamp_is_good_for_one_item_in_one_mailbox) {
        User carol;
        Caller c;
        Letter l;
        Mail m;

        mail_new(&m);
        recipient_new(&m.lab, "carol", &carol, &c);
        m.lab.limits.stamp_bits = 24; /* or one in 256 that does not hold would */
        l = m.letter;
        CHECK_EQ(deposit(&m.sender, &l), CODE_NOT_ALLOWED);
        memcpy(l.deposit.account, user_account(&carol), KEY_SIZE);
        CHECK_EQ(deposit(&m.sender, &l), CODE_NOT_ALLOWED);
        m.lab.limits.stamp_bits = LAB_STAMP_BITS;
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_OK);
        caller_free(&c);
        user_done(&carol);
        mail_free(&m);
}

static Code deposit_with(Mail *m, Buffer token) {
        Letter l;
        Code code;

        letter_new(&m->lab, &m->bob, 2, 300, &l);
        l.deposit.token = buffer_view(&token);
        code = deposit(&m->sender, &l);
        buffer_done(&token);
        return code;
}

TEST(a_token_is_of_the_recipient_and_of_its_time) {
        User carol;
        Buffer t;
        Mail m;

        mail_new(&m);
        user_new(&m.lab, "carol", &carol);
        CHECK_EQ(deposit_with(&m, token_new(&m.lab, &carol, 1, LIFETIME)), CODE_NOT_ALLOWED);
        CHECK_EQ(deposit_with(&m, token_new(&m.lab, &m.bob, 1, 0)), CODE_NOT_ALLOWED);
        t = token_new(&m.lab, &m.bob, 1, LIFETIME);
        buffer_data(&t)[10] ^= 1;
        CHECK_EQ(deposit_with(&m, t), CODE_NOT_ALLOWED);
        t = token_new(&m.lab, &m.bob, 1, LIFETIME);
        buffer_data(&t)[buffer_size(&t) - 1] ^= 1;
        CHECK_EQ(deposit_with(&m, t), CODE_NOT_ALLOWED);
        CHECK_EQ(count_mail(&m.recipient), 0);
        CHECK_EQ(deposit_with(&m, token_new(&m.lab, &m.bob, 1, LIFETIME)), CODE_OK);
        CHECK_EQ(count_mail(&m.recipient), 1);
        user_done(&carol);
        mail_free(&m);
}

/* Who may take it out */

TEST(only_the_account_itself_collects) {
        User other, second;
        Caller c, d;
        CollectAnswer a;
        Mail m;

        mail_new(&m);
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_OK);
        CHECK_EQ(collect(&m.sender, nothing, 10, &a), CODE_NOT_LOGGED_IN);
        CHECK_EQ(collected(&m.sender, &m.letter, nothing), CODE_NOT_LOGGED_IN);
        recipient_new(&m.lab, "other", &other, &c);
        CHECK_EQ(count_mail(&c), 0);
        CHECK_EQ(collected(&c, &m.letter, nothing), CODE_OK); /* which is not in this mailbox */
        CHECK_EQ(count_mail(&m.recipient), 1);

        user_on_device(&m.lab, &m.bob, 2, &second); /* the same account, taken over */
        second.prekey = PREKEY;
        user_sign(&m.lab, &second, LIFETIME);
        caller_new(&m.lab, &second, &d);
        CHECK_EQ(caller_take_waiting(&d), 1);
        CHECK_EQ(caller_bye(&m.recipient), CODE_REPLACED);
        CHECK_EQ(count_mail(&d), 1);
        caller_free(&c);
        caller_free(&d);
        user_done(&other);
        user_done(&second);
        mail_free(&m);
}

TEST(who_has_the_secret_may_withdraw) {
        Mail m;

        mail_new(&m);
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_OK);
        CHECK_EQ(withdraw(&m.sender, &m.letter, 1), CODE_NOT_ALLOWED);
        CHECK_EQ(count_mail(&m.recipient), 1);
        CHECK_EQ(withdraw(&m.sender, &m.letter, 0), CODE_OK);
        CHECK_EQ(count_mail(&m.recipient), 0);
        CHECK_EQ(mail_state(&m.sender, &m.letter, NULL), MAIL_GONE);
        CHECK_EQ(withdraw(&m.sender, &m.letter, 0), CODE_OK);
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_OK);
        CHECK_EQ(count_mail(&m.recipient), 0);
        mail_free(&m);
}

/* REKEY */

static Buffer rekey_new(const User *signer, const User *of, const Letter *l) {
        Rekey k = {.n_items = 1, .prekey = {MAIL_SUITE_HPKE, 99, {of->certificate.data, KEY_SIZE}}};
        Buffer out = BUFFER_NULL;

        memcpy(k.account, user_account(of), KEY_SIZE);
        memcpy(k.items[0], l->id, SHA256_SIZE);
        CHECK_OK(rekey_encode(&out, &k, &signer->account));
        return out;
}

TEST(an_item_whose_key_is_lost_waits_for_its_sender) {
        _cleanup_(buffer_done) Buffer own = BUFFER_NULL, forged = BUFFER_NULL, others = BUFFER_NULL;
        User carol;
        Bytes rekey;
        Mail m;

        mail_new(&m);
        user_new(&m.lab, "carol", &carol);
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_OK);
        own = rekey_new(&m.bob, &m.bob, &m.letter);
        others = rekey_new(&carol, &carol, &m.letter);
        forged = rekey_new(&carol, &m.bob, &m.letter);
        CHECK_EQ(collected(&m.recipient, NULL, buffer_view(&others)), CODE_INVALID_ARGS);
        CHECK_EQ(collected(&m.recipient, NULL, buffer_view(&forged)), CODE_INVALID_ARGS);
        CHECK_EQ(mail_state(&m.sender, &m.letter, NULL), MAIL_HELD);
        CHECK_EQ(collected(&m.recipient, NULL, buffer_view(&own)), CODE_OK);
        CHECK_EQ(count_mail(&m.recipient), 0);
        CHECK_EQ(mail_state(&m.sender, &m.letter, &rekey), MAIL_HELD);
        CHECK(bytes_equal(rekey, buffer_view(&own)));
        CHECK_EQ(withdraw(&m.sender, &m.letter, 0), CODE_OK);
        CHECK_EQ(mail_state(&m.sender, &m.letter, NULL), MAIL_GONE);
        user_done(&carol);
        mail_free(&m);
}

/* Being told */

TEST(a_recipient_is_told_at_once_and_then_once_a_second) {
        uint64_t said = 0, times = 0;
        usec_t start;
        Mail m;

        mail_new(&m);
        start = loop_now(&m.lab.loop.loop);
        for (unsigned i = 0; i < 10; i++) {
                CHECK_EQ(deposit_stamped(&m.lab, &m.sender, &m.bob, 10 + i), CODE_OK);
                caller_sync(&m.recipient);
                for (; caller_has(&m.recipient, FRAME_MAIL_WAITING); times++)
                        said = caller_take_waiting(&m.recipient);
                CHECK(i > 0 || said == 1);
        }
        /* Stamps take their time. */
        CHECK(times <= 1 + (loop_now(&m.lab.loop.loop) - start) / USEC_PER_SEC);
        lab_advance(&m.lab, USEC_PER_SEC);
        while (said < 10)
                said = caller_take_waiting(&m.recipient);
        CHECK_EQ(said, 10);
        caller_sync(&m.recipient);
        CHECK(!caller_has(&m.recipient, FRAME_MAIL_WAITING));
        mail_free(&m);
}

TEST(a_recipient_who_leaves_before_he_is_told_is_told_when_he_is_back) {
        Mail m;

        mail_new(&m);
        for (unsigned i = 0; i < 2; i++)
                CHECK_EQ(deposit_stamped(&m.lab, &m.sender, &m.bob, 10 + i), CODE_OK);
        caller_free(&m.recipient);
        lab_advance(&m.lab, USEC_PER_SEC);
        caller_sync(&m.sender);
        caller_new(&m.lab, &m.bob, &m.recipient);
        CHECK_EQ(caller_take_waiting(&m.recipient), 2);
        CHECK_EQ(count_mail(&m.recipient), 2);
        mail_free(&m);
}

/* Floods */

static Said deposit_by(Mail *m, const Buffer *token, unsigned number, size_t size) {
        static Letter l;

        letter_new(&m->lab, &m->bob, number, size, &l);
        if (token)
                l.deposit.token = buffer_view(token);
        else
                letter_stamp(&l);
        return try_deposit(&m->sender, &l, NULL);
}

TEST(nobody_fills_a_mailbox_and_each_is_told_why) {
        _cleanup_(buffer_done) Buffer one = BUFFER_NULL, two = BUFFER_NULL;
        Mail m;
        Said s;

        mail_new(&m);
        m.lab.limits.mailbox_items = 200;
        one = token_new(&m.lab, &m.bob, 1, LIFETIME);
        two = token_new(&m.lab, &m.bob, 2, LIFETIME);
        for (unsigned i = 0; i < 32; i++)
                CHECK_EQ(deposit_by(&m, NULL, i, 300).code, CODE_OK);
        s = deposit_by(&m, NULL, 32, 300);
        CHECK_EQ(s.code, CODE_TOO_MANY);
        CHECK(strstr(s.text, "strangers") && s.retry_after > 0);
        for (unsigned i = 0; i < 50; i++)
                CHECK_EQ(deposit_by(&m, &one, 100 + i, 300).code, CODE_OK);
        s = deposit_by(&m, &one, 200, 300);
        CHECK_EQ(s.code, CODE_TOO_MANY);
        CHECK(strstr(s.text, "one contact") && s.retry_after > 0);
        CHECK_EQ(deposit_by(&m, &two, 300, 300).code, CODE_OK);
        CHECK_EQ(node_stats(m.lab.node)->mail_items, 83);

        m.lab.limits.mailbox_items = 83;
        s = deposit_by(&m, &two, 301, 300);
        CHECK_EQ(s.code, CODE_TOO_MANY);
        CHECK(strstr(s.text, "is full") && s.retry_after > 0);
        mail_free(&m);
}

TEST(room_is_counted_in_bytes_as_well) {
        _cleanup_(buffer_done) Buffer one = BUFFER_NULL;
        unsigned n = 0;
        Mail m;

        mail_new(&m);
        m.lab.limits.mailbox_bytes = 1 << 20;
        one = token_new(&m.lab, &m.bob, 1, LIFETIME);
        while (deposit_by(&m, NULL, n, 60000).code == CODE_OK)
                n++;
        CHECK_EQ(n, 2); /* of an eighth */
        while (deposit_by(&m, &one, n, 60000).code == CODE_OK)
                n++;
        CHECK_EQ(n, 2 + 4); /* of a quarter */
        mail_free(&m);
}

TEST(who_says_nothing_of_himself_is_charged_to_his_address) {
        static Letter l;
        Caller other;
        Mail m;
        Said s = {.code = CODE_OK};
        unsigned n = 0;

        mail_new(&m);
        letter_new(&m.lab, &m.bob, 1, 300, &l); /* no stamp: refused, and charged */
        for (; n < 2000 && s.code != CODE_RATE_LIMITED; n++)
                s = try_deposit(&m.sender, &l, NULL);
        CHECK_EQ(s.code, CODE_RATE_LIMITED);
        CHECK(s.retry_after > 0);
        CHECK_EQ(n, 1001);
        caller_new(&m.lab, NULL, &other); /* another session does not help */
        CHECK_EQ(deposit(&other, &l), CODE_RATE_LIMITED);
        CHECK_EQ(withdraw(&other, &l, 0), CODE_RATE_LIMITED);
        CHECK_EQ(deposit(&m.recipient, &l), CODE_NOT_ALLOWED); /* he has said who he is */
        caller_free(&other);
        mail_free(&m);
}

/* Pages */

TEST(a_full_mailbox_comes_page_by_page) {
        Buffer tokens[2];
        uint8_t after[COLLECT_AFTER_MAX];
        CollectAnswer a = {};
        size_t n = 0, pages = 0;
        Mail m;

        mail_new(&m);
        for (unsigned i = 0; i < 2; i++)
                tokens[i] = token_new(&m.lab, &m.bob, (uint8_t)i, LIFETIME);
        for (unsigned i = 0; i < 100; i++)
                CHECK_EQ(
                        deposit_by(&m, &tokens[i % 2], i, i % 10 == 9 ? 70000 : 300).code, CODE_OK);
        do {
                Bytes from = {after, a.after.size};

                copy_bytes(after, a.after.data, a.after.size);
                CHECK_EQ(collect(&m.recipient, from, 1000, &a), CODE_OK);
                CHECK(a.n_items > 0 && a.n_items <= COLLECT_MAX);
                for (size_t i = 0; i < a.n_items; i++, n++) {
                        Envelope e;

                        CHECK_OK(envelope_decode(a.items[i].envelope, &e));
                        CHECK_EQ(e.enc[0], n); /* in the order of arrival */
                }
                pages++;
        } while (a.after.size > 0);
        CHECK_EQ(n, 100);
        CHECK(pages >= 10);
        CHECK_EQ(collect(&m.recipient, (Bytes){after, 3}, 10, &a), CODE_INVALID_ARGS);
        for (unsigned i = 0; i < 2; i++)
                buffer_done(&tokens[i]);
        mail_free(&m);
}

/* Time, restarts, changes of the configuration */

TEST(what_nobody_collects_is_removed_in_time) {
        Mail m;

        mail_new(&m);
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_OK);
        CHECK_EQ(deposit_stamped(&m.lab, &m.sender, &m.bob, 5), CODE_OK);
        CHECK_EQ(node_stats(m.lab.node)->mail_items, 2);
        caller_free(&m.recipient);
        caller_free(&m.sender);
        for (unsigned day = 0; day < 10; day++) {
                CHECK_EQ(node_stats(m.lab.node)->mail_items, 2);
                lab_advance(&m.lab, USEC_PER_DAY);
                lab_turn(&m.lab, 0);
        }
        lab_advance(&m.lab, 2 * USEC_PER_MINUTE);
        LAB_UNTIL(&m.lab, node_stats(m.lab.node)->mail_items == 0);
        CHECK_EQ(node_stats(m.lab.node)->mail_bytes, 0);
        mail_free(&m);
}

TEST(a_tracker_may_keep_mail_for_a_shorter_time_than_its_sender_wants) {
        CollectAnswer a;
        Mail m;

        mail_new(&m);
        m.lab.limits.mailbox_days = 3;
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_OK); /* for ten days */
        CHECK_EQ(collect(&m.recipient, nothing, 10, &a), CODE_OK);
        CHECK(a.items[0].expires <= loop_realtime(&m.lab.loop.loop) + 3 * USEC_PER_DAY);
        caller_free(&m.recipient);
        caller_free(&m.sender);
        lab_advance(&m.lab, 3 * USEC_PER_DAY);
        caller_new(&m.lab, &m.bob, &m.recipient);
        caller_new(&m.lab, NULL, &m.sender);
        CHECK_EQ(mail_state(&m.sender, &m.letter, NULL), MAIL_UNKNOWN);
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_OK);
        CHECK_EQ(mail_state(&m.sender, &m.letter, NULL), MAIL_HELD);
        CHECK_EQ(collected(&m.recipient, &m.letter, nothing), CODE_OK);

        caller_free(&m.recipient); /* but what was collected is gone until it is over for all */
        caller_free(&m.sender);
        lab_advance(&m.lab, 5 * USEC_PER_DAY);
        caller_new(&m.lab, NULL, &m.sender);
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_OK);
        CHECK_EQ(mail_state(&m.sender, &m.letter, NULL), MAIL_GONE);
        mail_free(&m);
}

TEST(mail_outlives_the_node_and_what_was_taken_stays_away) {
        Letter second;
        Mail m;

        mail_new(&m);
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_OK);
        letter_new(&m.lab, &m.bob, 2, 300, &second);
        letter_stamp(&second);
        CHECK_EQ(deposit(&m.sender, &second), CODE_OK);
        CHECK_EQ(collected(&m.recipient, &second, nothing), CODE_OK);
        caller_free(&m.recipient);
        caller_free(&m.sender);
        lab_stop_node(&m.lab);
        lab_start_node(&m.lab);
        LAB_UNTIL(&m.lab, node_stats(m.lab.node)->mail_items == 1);
        caller_new(&m.lab, &m.bob, &m.recipient);
        CHECK_EQ(caller_take_waiting(&m.recipient), 1);
        caller_new(&m.lab, NULL, &m.sender);
        CHECK_EQ(deposit(&m.sender, &second), CODE_OK);
        CHECK_EQ(mail_state(&m.sender, &second, NULL), MAIL_GONE);
        CHECK_EQ(count_mail(&m.recipient), 1);
        mail_free(&m);
}

TEST(mailboxes_that_are_switched_off_are_still_emptied) {
        Mail m;

        mail_new(&m);
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_OK);
        m.lab.limits.mailbox = false;
        CHECK_EQ(deposit_stamped(&m.lab, &m.sender, &m.bob, 5), CODE_NOT_SUPPORTED);
        CHECK_EQ(mail_state(&m.sender, &m.letter, NULL), MAIL_HELD);
        CHECK_EQ(count_mail(&m.recipient), 1);
        CHECK_EQ(collected(&m.recipient, &m.letter, nothing), CODE_OK);
        CHECK_EQ(count_mail(&m.recipient), 0);
        mail_free(&m);
}

/* A disk without room */

typedef struct Told {
        unsigned n;
        int error;
} Told;

static void on_told(void *userdata, NodeStoreUse use, int error) {
        Told *t = userdata;

        CHECK_EQ(use, NODE_STORE_WRITE);
        t->n++;
        t->error = error;
}

TEST(a_full_disk_takes_no_mail_and_gives_out_what_it_has) {
        static const NodeCallbacks callbacks = {.store = on_told};
        Letter second, third;
        Told told = {};
        Said s;
        Mail m;

        mail_new(&m);
        node_set_callbacks(m.lab.node, &callbacks, &told);
        snprintf(reserve_path, sizeof(reserve_path), "%s/reserve", m.lab.dir);
        CHECK(reserve_size() >= 8 * MIB);
        CHECK_EQ(deposit(&m.sender, &m.letter), CODE_OK);
        letter_new(&m.lab, &m.bob, 2, 300, &second);
        letter_stamp(&second);
        CHECK_EQ(deposit(&m.sender, &second), CODE_OK);
        letter_new(&m.lab, &m.bob, 3, 300, &third);
        letter_stamp(&third);

        disk_free = reserve_size(); /* and nothing beside it */
        for (unsigned i = 0; i < 3; i++) {
                s = try_deposit(&m.sender, &third, NULL);
                CHECK_EQ(s.code, CODE_STORAGE);
                CHECK(strstr(s.text, "full") && s.retry_after > 0);
                CHECK_EQ(deposit(&m.sender, &second), CODE_OK); /* it is there */
                CHECK_EQ(mail_state(&m.sender, &m.letter, NULL), MAIL_HELD);
        }
        CHECK_EQ(collected(&m.recipient, &m.letter, nothing), CODE_OK);
        CHECK_EQ(withdraw(&m.sender, &second, 0), CODE_OK);
        CHECK_EQ(count_mail(&m.recipient), 0);
        CHECK_EQ(told.n, 1); /* that something could be removed is not that there is room */
        CHECK_EQ(told.error, -ENOSPC);

        disk_free = 100 * MIB;
        lab_advance(&m.lab, 2 * USEC_PER_SEC);
        CHECK_EQ(deposit(&m.sender, &third), CODE_OK);
        CHECK_EQ(told.n, 2);
        CHECK_EQ(told.error, 0);
        mail_free(&m);
}
