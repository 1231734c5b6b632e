/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is left of an account that was deleted: keys, then mail, then that it was ever seen. */

#include "node/node-account.h"

/* Of a mailbox, in one step. */
#define CLEAR_BUDGET 200

struct Deletion {
        NodeAccounts *accounts;
        uint8_t account[KEY_SIZE];
        bool begun; /* the stores call back with it */
        Deletion *prev, *next;
};

static DStoreMerge row(DirectoryKind kind, MergeFn fn, const uint8_t *account, Bytes statement) {
        DStoreMerge m = {.kind = kind, .merge = fn, .blob = statement};

        directory_key_account(kind, account, m.key);
        return m;
}

void deletion_rows(const uint8_t account[static KEY_SIZE], const char *name, Bytes statement,
        DStoreMerge rows[static DELETION_ROWS]) {
        rows[0] = row(DIRECTORY_GONE, merge_gone, account, statement);
        rows[1] = row(DIRECTORY_USER, merge_record_removed, account, statement);
        rows[2] = row(DIRECTORY_OWNED, merge_removed, account, statement);
        rows[3] = row(DIRECTORY_NAME, merge_record_removed, account, statement);
        directory_key_name(name, rows[3].key);
}

static void deletion_free(Deletion *x) {
        DL_DELETE(x->accounts->deletions, x);
        free(x);
}

/* What was done of it needs not be done again, and does no harm. */
static void deletion_fail(Deletion *x) {
        NodeAccounts *a = x->accounts;

        loop_timer_set(a->delete_again, loop_now(a->node->loop) + DELETION_RETRY);
        deletion_free(x);
}

static void on_done(void *userdata, int error, const MergeResult *results) {
        Deletion *x = userdata;

        node_write_told(x->accounts->node, error, false);
        if (error < 0)
                deletion_fail(x);
        else
                deletion_free(x);
}

static void deletion_end(Deletion *x) {
        DStore *store = x->accounts->node->store;
        const DStoreMerge rows[] = {row(DIRECTORY_GONE, merge_removed, x->account, (Bytes){}),
                row(DIRECTORY_SEEN, merge_removed, x->account, (Bytes){})};

        store->ops->rec_merge(store, rows, ELEMENTSOF(rows), on_done, x);
}

static void deletion_clear(Deletion *x);

static void on_cleared(void *userdata, int error, uint64_t more) {
        Deletion *x = userdata;

        node_write_told(x->accounts->node, error, false);
        node_count_mail(x->accounts->node);
        if (error < 0)
                deletion_fail(x);
        else if (more)
                deletion_clear(x);
        else
                deletion_end(x);
}

static void deletion_clear(Deletion *x) {
        DStore *store = x->accounts->node->store;
        uint8_t key[SHA256_SIZE];

        directory_key_account(DIRECTORY_MAIL, x->account, key);
        store->ops->set_clear(store, key, CLEAR_BUDGET, on_cleared, x);
}

static void on_keys_removed(void *userdata, int error) {
        Deletion *x = userdata;

        accounts_keys_told(x->accounts, error, true);
        if (error < 0)
                deletion_fail(x);
        else
                deletion_clear(x);
}

static void deletion_start(Deletion *x) {
        int r;

        x->begun = true;
        r = oprf_keys_remove(x->accounts->keys, x->account, on_keys_removed, x);

        if (r < 0) {
                accounts_keys_told(x->accounts, r, false);
                deletion_fail(x);
        }
}

static Deletion *deletion_new(NodeAccounts *a, const uint8_t account[static KEY_SIZE]) {
        Deletion *x = calloc(1, sizeof(*x));

        if (!x)
                return NULL;
        x->accounts = a;
        memcpy(x->account, account, KEY_SIZE);
        DL_APPEND(a->deletions, x);
        return x;
}

void accounts_deleted(NodeAccounts *a, const uint8_t account[static KEY_SIZE], const char *name) {
        const NodeCallbacks *callbacks = a->node->callbacks;
        Person *p = person_find(a->node, account);
        Deletion *x = deletion_new(a, account);

        if (callbacks && callbacks->deleted)
                callbacks->deleted(a->node->userdata, name, account);
        if (p)
                person_forget(p);
        if (x)
                deletion_start(x);
        else
                loop_timer_set(a->delete_again, loop_now(a->node->loop) + DELETION_RETRY);
}

static bool is_under_way(const NodeAccounts *a, const uint8_t *account) {
        const Deletion *x;

        DL_FOREACH (a->deletions, x)
                if (key_equal(x->account, account))
                        return true;
        return false;
}

static bool on_gone(void *userdata, const uint8_t key[static SHA256_SIZE], Bytes blob) {
        AccountStatement s;

        return account_statement_parse(blob, &s) < 0 || is_under_way(userdata, s.account) ||
                deletion_new(userdata, s.account);
}

/* Written is not inside of the scan. */
void accounts_go_on_deleting(NodeAccounts *a) {
        DStore *store = a->node->store;
        Deletion *x, *next;
        int r;

        r = store->ops->range_scan(store, DIRECTORY_GONE, NULL, on_gone, a);
        node_store_told(a->node, NODE_STORE_READ, r);
        DL_FOREACH_SAFE (a->deletions, x, next)
                if (!x->begun)
                        deletion_start(x);
}

void accounts_stop_deleting(NodeAccounts *a) {
        while (a->deletions) {
                oprf_keys_forget(a->keys, a->deletions);
                a->node->store->ops->forget(a->node->store, a->deletions);
                deletion_free(a->deletions);
        }
}
