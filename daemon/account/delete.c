/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The end of an account. Its rooms are left, as far as that needs no waiting; then its tracker
 * hears of it, and from then on nobody can use it; then the store is given up, which cannot be
 * undone, and everything that is in memory goes. Where the answer of the tracker is lost, what is
 * asked once more finds the account deleted there.
 */

#include "account/private.h"

/* What is kept here is given up. */
static void delete_here(Account *a) {
        int r;

        a->deleting = true;
        r = store_give_up(a->store);
        if (r < 0)
                operation_fail_storage(a, r);
        else
                operation_commit(a, false);
}

static int make_tombstone(Account *a, const AccountStatement *last) {
        usec_t now = loop_realtime(a->loop);
        AccountStatement s = {
                .seq = account_next_seq(last->seq, now), .issued = now, .deleted = true};

        memcpy(s.account, sign_key_public(&a->identity.account), KEY_SIZE);
        buffer_clear(&a->statement);
        return account_statement_encode(&s, &a->identity.account, &a->statement);
}

static void on_told(void *userdata, Code code, const char *text) {
        /* It forgets the account in time. */
}

/* Those that have the name beside the one that keeps the password. */
static void tell_others(Account *a) {
        for (size_t i = 0; i < directory_n_trackers(a->directory); i++)
                if (directory_ready_session(a->directory, i))
                        (void)directory_delete_account(a->directory,
                                directory_tracker(a->directory, i)->key,
                                buffer_bytes(&a->statement), on_told, a);
}

static void on_deleted(void *userdata, Code code, const char *text) {
        Account *a = userdata;

        if (a->operation != OPERATION_ASK)
                return;
        if (code != CODE_OK) {
                operation_fail(a, code == _CODE_MAX ? CODE_NOT_ALLOWED : code, text);
                return;
        }
        tell_others(a);
        delete_here(a);
}

static void ask_tracker(Account *a) {
        uint8_t tracker[KEY_SIZE];
        AccountStatement last = {};
        int found, r;

        found = r = account_find_password(a, tracker, &last);
        if (r >= 0)
                r = make_tombstone(a, &last);
        if (r < 0) {
                operation_fail(a, CODE_STORAGE, "the store cannot be read");
                return;
        }
        r = directory_delete_account(a->directory, found > 0 ? tracker : NULL,
                buffer_bytes(&a->statement), on_deleted, a);
        if (r == -EALREADY)
                delete_here(a);
        else if (r == -EOPNOTSUPP)
                operation_fail(a, CODE_NOT_SUPPORTED,
                        "the tracker does not know how an account is deleted: use another one");
        else if (r < 0)
                operation_fail(a, CODE_TRACKER_UNREACHABLE,
                        "the tracker that has the account is not there: try again later");
}

static void leave_rooms(Account *a);

static void on_left(void *userdata, int error) {
        Account *a = userdata;

        if (a->operation != OPERATION_ASK || a->ask != leave_rooms)
                return;
        if (error < 0)
                operation_fail_storage(a, error);
        else if (account_is_lan_only(a))
                delete_here(a);
        else
                ask_tracker(a);
}

/* What others are to hear of it is said over what is open still. */
static void leave_rooms(Account *a) {
        int r;

        a->operation = OPERATION_ASK;
        a->ask = leave_rooms;
        a->asked = true;
        a->callbacks->giving_up(a->userdata);
        r = store_after_commit(a->store, on_left, a);
        if (r < 0)
                operation_fail_storage(a, r);
}

/* Without what was proven (NULL) the tracker has lost the password, and asks for none. */
static void on_proven(Account *a, Code code, const char *text, const DirectoryLogin *l) {
        if (code != CODE_OK)
                operation_fail(a, code, text);
        else
                leave_rooms(a);
}

static void prove(Account *a) {
        password_prove(a, a->old_password, NULL, on_proven);
}

static bool delete_is_possible(
        Account *a, const char *password, bool has, AccountDoneFn fn, void *userdata) {
        if (!account_exists(a))
                fn(userdata, CODE_NOT_LOGGED_IN, "there is no account on this device");
        else if (account_is_replaced(a) || account_is_lan_only(a))
                return true;
        else if (!account_is_active(a))
                fn(userdata, CODE_NOT_LOGGED_IN,
                        "log in first, with chatc login: the tracker is to forget the account too");
        else if (has && !password[0])
                fn(userdata, CODE_BAD_PASSWORD, "this account has a password: give it");
        else if (!has && password[0])
                fn(userdata, CODE_BAD_PASSWORD, "this account has no password: give none");
        else
                return true;
        return false;
}

void account_delete(Account *a, const char *password, AccountDoneFn fn, void *userdata) {
        uint8_t tracker[KEY_SIZE];
        AccountStatement s;
        int r = account_find_password(a, tracker, &s);
        bool has = r > 0;

        if (r < 0) {
                fn(userdata, CODE_STORAGE, "the store cannot be read");
                return;
        }
        if (!delete_is_possible(a, password, has, fn, userdata) ||
                !operation_begin(a, fn, userdata))
                return;
        if (account_is_replaced(a) || directory_is_deleted(a->directory, has ? tracker : NULL))
                delete_here(a);
        else if (account_is_lan_only(a))
                leave_rooms(a);
        else if (!has)
                operation_at_tracker(a, leave_rooms);
        else if (operation_note_password(a, &a->old_password, password))
                operation_at_tracker(a, prove);
}
