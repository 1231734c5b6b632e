/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Accounts that are deleted: who may, what goes, and that nothing of it comes back. */

#include "account-lab.h"
#include "full-disk.h"
#include "mail-lab.h"

#include "node/node-account.h"

#define PASSWORD "correct horse"

static Buffer deletion_new(Lab *lab, const User *u, uint64_t seq) {
        AccountStatement s = {
                .seq = seq, .issued = loop_realtime(&lab->loop.loop), .deleted = true};
        Buffer out = BUFFER_NULL;

        memcpy(s.account, user_account(u), KEY_SIZE);
        CHECK_OK(account_statement_encode(&s, &u->account, &out));
        return out;
}

/* With a seq that is higher than that of any password here. */
static Code caller_delete(Caller *c, const User *u) {
        _cleanup_(buffer_done) Buffer b =
                deletion_new(c->lab, u, loop_realtime(&c->lab->loop.loop) / USEC_PER_MSEC + 100);

        return caller_put(c, &b);
}

static bool has_key(AccountLab *x, const User *u, uint64_t id) {
        OprfKey k;
        int r = oprf_keys_get(x->keys, user_account(u), id, &k);

        CHECK(r >= 0);
        return r > 0;
}

static void on_row(void *userdata, int error, Bytes blob) {
        CHECK_OK(error);
        *(bool *)userdata = blob.size > 0;
}

static bool has_row(AccountLab *x, DirectoryKind kind, const User *u) {
        DStore *store = x->lab.store;
        uint8_t key[SHA256_SIZE];
        bool is;

        directory_key_account(kind, user_account(u), key);
        store->ops->rec_get(store, kind, key, on_row, &is);
        return is;
}

static Code hello(Lab *lab, const User *u) {
        Code code;
        Caller c;

        caller_connect(lab, &u->device, &c);
        caller_send_hello(&c, buffer_view(&u->certificate), buffer_view(&u->record));
        code = caller_bye(&c);
        caller_free(&c);
        return code;
}

/* Alice with a password, and a letter that waits for her. */
static void alice_new(AccountLab *x, User *alice, Caller *c) {
        Caller d;
        Asked a;

        account_lab_new(x);
        lab_take_mail(&x->lab);
        recipient_new(&x->lab, "alice", alice, c);
        CHECK_EQ(caller_enrol(c, alice, PASSWORD, &a), CODE_OK);
        CHECK_EQ(caller_put_new(c, alice, &a, lab_seq(&x->lab)), CODE_OK);
        caller_new(&x->lab, NULL, &d);
        CHECK_EQ(deposit_stamped(&x->lab, &d, alice, 1), CODE_OK);
        caller_free(&d);
}

static unsigned n_deleted;

static void on_registered(void *userdata, const Record *record) {
}

static void on_store(void *userdata, NodeStoreUse use, int error) {
        CHECK_OK(error);
}

static void on_deleted(void *userdata, const char *name, const uint8_t account[static KEY_SIZE]) {
        const User *u = userdata;

        CHECK_STR(name, u->name);
        CHECK(key_equal(account, user_account(u)));
        n_deleted++;
}

TEST(an_account_that_is_deleted_is_gone) {
        static const NodeCallbacks callbacks = {
                .registered = on_registered, .deleted = on_deleted, .store = on_store};
        LookupAnswer found;
        User alice, other;
        Caller c, bob, d;
        AccountLab x;
        uint64_t key;
        LoggedIn l;

        alice_new(&x, &alice, &c);
        member_new(&x.lab, "bob", &other, &bob);
        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_ONLINE), CODE_OK);
        CHECK_EQ(caller_watch(&bob, user_account(&alice), NULL), CODE_OK);
        CHECK(caller_take_presence(&bob).online);
        l = caller_log_in(&c, "alice", NULL, PASSWORD);
        CHECK_EQ(l.code, CODE_OK);
        key = l.statement.key_id;
        node_set_callbacks(x.lab.node, &callbacks, &alice);
        CHECK_EQ(caller_delete(&c, &alice), CODE_OK);
        CHECK_EQ(caller_bye(&c), CODE_NOT_ALLOWED); /* after the answer */
        CHECK_EQ(n_deleted, 1);
        CHECK(!caller_take_presence(&bob).online);
        CHECK_EQ(caller_lookup(&bob, "alice", NULL, &found), CODE_UNKNOWN_PEER);
        CHECK_EQ(caller_lookup(&bob, NULL, user_account(&alice), &found), CODE_UNKNOWN_PEER);
        CHECK_EQ(deposit_stamped(&x.lab, &bob, &alice, 2), CODE_UNKNOWN_PEER);
        l = lab_log_in(&x.lab, "alice", PASSWORD);
        CHECK_EQ(l.code, CODE_BAD_PASSWORD);
        LAB_UNTIL(&x.lab, !has_row(&x, DIRECTORY_GONE, &alice));
        CHECK(!has_key(&x, &alice, key));
        CHECK_EQ(node_stats(x.lab.node)->mail_items, 0);
        lab_advance(&x.lab, 2 * SEEN_DELAY);
        lab_settle(&x.lab);
        CHECK(!has_row(&x, DIRECTORY_SEEN, &alice) && !has_row(&x, DIRECTORY_USER, &alice));

        CHECK_EQ(hello(&x.lab, &alice), CODE_NOT_ALLOWED);
        caller_free(&c);
        caller_free(&bob);
        account_lab_stop(&x);
        account_lab_start(&x);
        CHECK_EQ(hello(&x.lab, &alice), CODE_NOT_ALLOWED); /* it is on disk */
        user_done(&other);
        user_new(&x.lab, "alice", &other); /* the name is free */
        caller_new(&x.lab, &other, &d);
        CHECK_EQ(caller_register(&d, &other), CODE_OK);
        caller_free(&d);
        user_done(&alice);
        user_done(&other);
        account_lab_free(&x);
}

TEST(whoever_deletes_has_proven_the_password) {
        Caller c, d, bob;
        User alice, other;
        AccountLab x;
        Asked next;
        LoggedIn l;

        alice_new(&x, &alice, &c);
        CHECK_EQ(caller_delete(&c, &alice), CODE_BAD_PASSWORD);
        l = caller_log_in(&c, "alice", NULL, "wrong");
        CHECK_EQ(l.code, CODE_BAD_PASSWORD);
        CHECK_EQ(caller_delete(&c, &alice), CODE_BAD_PASSWORD);

        account_new(&x.lab, "bob", "another one", &other, &bob); /* nobody else's will do */
        l = caller_log_in(&c, "bob", NULL, "another one");
        CHECK_EQ(l.code, CODE_OK);
        l = caller_log_in(&bob, "alice", NULL, PASSWORD); /* nor over another session */
        CHECK_EQ(l.code, CODE_OK);
        CHECK_EQ(caller_delete(&c, &alice), CODE_BAD_PASSWORD);
        CHECK_EQ(caller_delete(&bob, &alice), CODE_INVALID_ARGS);
        CHECK_EQ(caller_delete(&bob, &other), CODE_BAD_PASSWORD);

        l = caller_log_in(&c, NULL, user_account(&alice), PASSWORD);
        CHECK_EQ(l.code, CODE_OK);
        lab_advance(&x.lab, ACCOUNT_PROOF_TIME); /* too long ago */
        lab_settle(&x.lab);
        CHECK_EQ(caller_delete(&c, &alice), CODE_BAD_PASSWORD);
        l = caller_log_in(&c, NULL, user_account(&alice), PASSWORD);
        CHECK_EQ(l.code, CODE_OK);
        caller_free(&c); /* and it goes with the session */
        caller_new(&x.lab, &alice, &c);
        CHECK_EQ(caller_delete(&c, &alice), CODE_BAD_PASSWORD);

        l = caller_log_in(&c, NULL, user_account(&alice), PASSWORD);
        CHECK_EQ(l.code, CODE_OK);
        CHECK_EQ(caller_enrol(&c, &alice, "next", &next), CODE_OK); /* it is another one now */
        CHECK_EQ(caller_put_new(&c, &alice, &next, lab_seq(&x.lab) + 1), CODE_OK);
        CHECK_EQ(caller_delete(&c, &alice), CODE_BAD_PASSWORD);
        l = caller_log_in(&c, NULL, user_account(&alice), "next");
        CHECK_EQ(l.code, CODE_OK);
        CHECK_EQ(caller_delete(&c, &alice), CODE_OK);
        caller_new(&x.lab, NULL, &d); /* who says nothing of himself has nothing to delete */
        CHECK_EQ(caller_delete(&d, &other), CODE_NOT_LOGGED_IN);
        caller_free(&c);
        caller_free(&d);
        caller_free(&bob);
        user_done(&alice);
        user_done(&other);
        account_lab_free(&x);
}

TEST(without_a_password_the_device_is_enough) {
        AccountLab x;
        User alice;
        Caller c;

        account_lab_new(&x);
        member_new(&x.lab, "alice", &alice, &c);
        CHECK_EQ(caller_delete(&c, &alice), CODE_OK);
        CHECK_EQ(caller_bye(&c), CODE_NOT_ALLOWED);
        caller_free(&c);
        CHECK_EQ(hello(&x.lab, &alice), CODE_NOT_ALLOWED);
        user_done(&alice);
        account_lab_free(&x);
}

/* Nobody can prove what has no key any more. */
TEST(whose_key_is_lost_can_be_deleted) {
        AccountLab x;
        User alice;
        Caller c;

        alice_new(&x, &alice, &c);
        caller_free(&c);
        account_lab_stop(&x);
        CHECK_OK(nftw(x.dir, lab_unlink, 8, FTW_DEPTH | FTW_PHYS));
        account_lab_start(&x);
        caller_new(&x.lab, &alice, &c);
        CHECK_EQ(caller_delete(&c, &alice), CODE_OK);
        caller_free(&c);
        user_done(&alice);
        account_lab_free(&x);
}

TEST(deletions_that_do_not_hold) {
        _cleanup_(buffer_done) Buffer old = BUFFER_NULL, early = BUFFER_NULL;
        LookupAnswer found;
        AccountLab x;
        User alice;
        Caller c;

        account_lab_new(&x);
        member_new(&x.lab, "alice", &alice, &c);
        CHECK_EQ(caller_put_new(&c, &alice, NULL, lab_seq(&x.lab)), CODE_OK);
        old = deletion_new(&x.lab, &alice, lab_seq(&x.lab) - 1);
        CHECK_EQ(caller_put(&c, &old), CODE_NOT_ALLOWED);
        early = deletion_new(&x.lab, &alice, lab_seq(&x.lab) + 1);
        lab_advance(&x.lab, USEC_PER_DAY + USEC_PER_MINUTE); /* it would be over too early */
        lab_settle(&x.lab);
        caller_free(&c);
        caller_new(&x.lab, &alice, &c);
        CHECK_EQ(caller_put(&c, &early), CODE_INVALID_ARGS);
        CHECK_EQ(caller_lookup(&c, "alice", NULL, &found), CODE_OK);
        caller_free(&c);
        user_done(&alice);
        account_lab_free(&x);
}

/* What was signed before is not taken again, also where it comes in the same moment. */
TEST(nothing_comes_back) {
        _cleanup_(buffer_done) Buffer deletion = BUFFER_NULL, password = BUFFER_NULL;
        LookupAnswer found;
        AccountLab x;
        User alice;
        Caller c, d;
        Asked a;
        Frame f;

        account_lab_new(&x);
        member_new(&x.lab, "alice", &alice, &c);
        CHECK_EQ(caller_enrol(&c, &alice, PASSWORD, &a), CODE_OK);
        password = statement_new(&x.lab, &alice, &a, lab_seq(&x.lab) + 200);
        deletion = deletion_new(&x.lab, &alice, lab_seq(&x.lab) + 100);
        user_sign(&x.lab, &alice, LIFETIME);
        caller_sent(&c, account_encode(conn_output(c.conn), 101, buffer_view(&deletion)));
        caller_sent(&c, account_encode(conn_output(c.conn), 102, buffer_view(&password)));
        caller_sent(&c,
                record_frame_encode(
                        conn_output(c.conn), FRAME_REGISTER, 103, buffer_view(&alice.record)));
        f = caller_take(&c, FRAME_ERROR);
        CHECK_EQ(f.request, 102);
        f = caller_take(&c, FRAME_OK);
        CHECK_EQ(f.request, 101);
        LAB_UNTIL(&x.lab, c.is_closed || caller_has(&c, FRAME_BYE));
        caller_new(&x.lab, NULL, &d);
        CHECK_EQ(caller_lookup(&d, "alice", NULL, &found), CODE_UNKNOWN_PEER);
        CHECK_EQ(hello(&x.lab, &alice), CODE_NOT_ALLOWED);
        CHECK(!has_row(&x, DIRECTORY_USER, &alice));
        lab_advance(&x.lab, ACCOUNT_DELETED_TIME + USEC_PER_DAY);
        lab_settle(&x.lab);
        CHECK_EQ(hello(&x.lab, &alice), CODE_EXPIRED); /* whatever was signed before */
        caller_free(&c);
        caller_free(&d);
        user_done(&alice);
        account_lab_free(&x);
}

/* The newest device, and only that. */
TEST(a_device_that_was_replaced_changes_nothing) {
        AccountLab x;
        User old, new;
        Caller c, d;
        Asked a;

        account_lab_new(&x);
        account_new(&x.lab, "alice", PASSWORD, &old, &c);
        user_on_device(&x.lab, &old, 2, &new);
        caller_new(&x.lab, &new, &d);
        CHECK_EQ(caller_register(&d, &new), CODE_OK);
        LAB_UNTIL(&x.lab, c.is_closed || caller_has(&c, FRAME_BYE));
        CHECK_EQ(hello(&x.lab, &old), CODE_REPLACED);
        CHECK_EQ(caller_enrol(&d, &new, "next", &a), CODE_OK);
        caller_free(&c);
        caller_free(&d);
        user_done(&old);
        user_done(&new);
        account_lab_free(&x);
}

static void on_added(void *userdata, int error, uint64_t result) {
        CHECK_OK(error);
        CHECK_EQ(result, SET_OK);
}

/* More than goes in one step. */
static void fill_mailbox(AccountLab *x, const User *u) {
        DStoreAdd a = {.item = {.expires = loop_realtime(&x->lab.loop.loop) + USEC_PER_DAY,
                               .blob = text_bytes("a letter")},
                .of_set = {1000, 1 << 20},
                .of_by = {1000, 1 << 20}};

        directory_key_account(DIRECTORY_MAIL, user_account(u), a.key);
        for (unsigned i = 0; i < 450; i++) {
                memcpy(a.item.id, &i, sizeof(i));
                x->lab.store->ops->set_add(x->lab.store, &a, on_added, NULL);
        }
}

/* The directory has it, and nothing else has happened: the state after some crash. */
static uint64_t deleted_and_crashed(AccountLab *x, User *alice) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        DStoreMerge rows[1 + DELETION_ROWS];
        uint64_t key;
        LoggedIn l;
        Caller c;

        alice_new(x, alice, &c);
        fill_mailbox(x, alice);
        l = caller_log_in(&c, "alice", NULL, PASSWORD);
        key = l.statement.key_id;
        caller_free(&c);
        b = deletion_new(&x->lab, alice, lab_seq(&x->lab) + 1);
        rows[0] =
                (DStoreMerge){.kind = DIRECTORY_ACCT, .merge = merge_acct, .blob = buffer_view(&b)};
        directory_key_account(DIRECTORY_ACCT, user_account(alice), rows[0].key);
        deletion_rows(user_account(alice), "alice", buffer_view(&b), rows + 1);
        x->lab.store->ops->rec_merge(x->lab.store, rows, ELEMENTSOF(rows), NULL, NULL);
        account_lab_stop(x);
        account_lab_start(x);
        CHECK(has_key(x, alice, key) && has_row(x, DIRECTORY_GONE, alice));
        node_count_mail(x->lab.node);
        CHECK_EQ(node_stats(x->lab.node)->mail_items, 451);
        return key;
}

TEST(what_a_crash_leaves_of_an_account_goes_after_the_next_start) {
        AccountLab x;
        uint64_t key;
        User alice;

        key = deleted_and_crashed(&x, &alice);
        CHECK_EQ(hello(&x.lab, &alice), CODE_NOT_ALLOWED);
        LAB_UNTIL(&x.lab, !has_row(&x, DIRECTORY_GONE, &alice));
        CHECK(!has_key(&x, &alice, key));
        CHECK_EQ(node_stats(x.lab.node)->mail_items, 0);
        user_done(&alice);
        account_lab_free(&x);
}

static void on_told(void *userdata, NodeStoreUse use, int error) {
        if (use == NODE_STORE_PASSWORDS)
                *(int *)userdata = error;
}

TEST(what_fails_is_done_an_hour_later) {
        static const NodeCallbacks callbacks = {.store = on_told};
        AccountLab x;
        int told = 0;
        uint64_t key;
        User alice;

        key = deleted_and_crashed(&x, &alice);
        node_set_callbacks(x.lab.node, &callbacks, &told);
        broken = true;
        LAB_UNTIL(&x.lab, told < 0);
        broken = false;
        lab_advance(&x.lab, DELETION_RETRY / 2);
        lab_settle(&x.lab);
        CHECK(has_key(&x, &alice, key) && has_row(&x, DIRECTORY_GONE, &alice));
        lab_advance(&x.lab, DELETION_RETRY / 2);
        LAB_UNTIL(&x.lab, !has_row(&x, DIRECTORY_GONE, &alice));
        CHECK(!has_key(&x, &alice, key));
        CHECK_EQ(node_stats(x.lab.node)->mail_items, 0);
        user_done(&alice);
        account_lab_free(&x);
}

/* To delete makes room. */
TEST(a_full_disk_does_not_keep_anybody) {
        AccountLab x;
        User alice;
        LoggedIn l;
        Caller c;
        Asked a;

        alice_new(&x, &alice, &c);
        snprintf(reserve_path, sizeof(reserve_path), "%s/reserve", x.lab.dir);
        disk_free = reserve_size(); /* and nothing beside it */
        CHECK_EQ(caller_enrol(&c, &alice, "next", &a), CODE_STORAGE);
        CHECK_EQ(caller_put_new(&c, &alice, NULL, lab_seq(&x.lab) + 1), CODE_STORAGE);
        l = caller_log_in(&c, "alice", NULL, PASSWORD);
        CHECK_EQ(l.code, CODE_OK);
        CHECK_EQ(caller_delete(&c, &alice), CODE_OK);
        CHECK_EQ(caller_bye(&c), CODE_NOT_ALLOWED);
        CHECK(!has_row(&x, DIRECTORY_USER, &alice));
        LAB_UNTIL(&x.lab, !has_row(&x, DIRECTORY_GONE, &alice));
        CHECK(!has_key(&x, &alice, l.statement.key_id));
        CHECK_EQ(node_stats(x.lab.node)->mail_items, 0);
        disk_free = 100 * MIB;
        caller_free(&c);
        user_done(&alice);
        account_lab_free(&x);
}
