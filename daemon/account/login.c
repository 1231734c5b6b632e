/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Logging in: with the account that is kept here, or with one that was on another device until now.
 *
 * Whoever takes an account over has an epoch that nobody has seen. It is on disk before anybody
 * hears of it; then a tracker takes the record, by which the other device hears that it is not the
 * active one any more; then the backup is made anew. Whatever of this a crash leaves undone is done
 * by logging in once more.
 */

#include "account/private.h"

#include <stdio.h>

#include "util/log.h"

/* In this batch */
static int begin_epoch(Account *a) {
        Identity *i = &a->identity;

        a->taking_over = a->epoch_taken = true;
        i->epoch = account_newest_epoch(a) + 1;
        i->claimed |= !i->lan_only;
        i->replaced = i->logged_in = false;
        return account_renew(a);
}

static void take_over(Account *a) {
        int r;

        r = begin_epoch(a);
        if (r >= 0) {
                operation_save(a);
                return;
        }
        login_undo(a);
        operation_fail_storage(a, r);
}

void login_undo(Account *a) {
        if (account_load_again(a) < 0)
                a->identity.logged_in = false; /* nothing is said until the store can be read */
        if (!account_exists(a))
                a->seen_epoch = 0;
}

void login_beaten(Account *a) {
        if (a->operation != OPERATION_SAVE) /* else what is being written is looked at then */
                take_over(a);
}

bool login_saved(Account *a) {
        if (account_newest_epoch(a) > a->identity.epoch) {
                take_over(a);
                return false;
        }
        directory_stop(a->directory); /* what is asked without a name is known */
        directory_begin_anew(a->directory, false);
        return true;
}

void login_registered(Account *a) {
        if (a->kept.key_id > 0) {
                a->operation = OPERATION_ASK;
                account_renew_backup(a);
        } else
                operation_commit(a, true);
}

/* What the tracker says */

/* A tracker, or somebody who writes into its disk, may give what was so before. The epoch is above
 * both. */
static void look_at_age(const DirectoryLogin *l, const AccountBackup *b) {
        if (b->epoch < l->record->epoch)
                log_warning("The backup of this account was made in epoch %llu, and its record in "
                            "epoch %llu: the tracker may have kept an older state",
                        (unsigned long long)b->epoch, (unsigned long long)l->record->epoch);
        else if (b->epoch > l->record->epoch || b->record_seq > l->record->seq)
                log_warning("The record of this account is older than its backup: the tracker may "
                            "have kept an older state");
}

static int keep_password(Account *a, const DirectoryLogin *l) {
        PasswordRow row = {.statement = l->statement_outer};

        memcpy(row.tracker, a->kept.tracker, KEY_SIZE);
        return store_set_password(a->store, &row);
}

/* Where the device is that had the account until now, as it says until it is replaced: it may have
 * something to hand over, and not be able to call. */

static void on_met(void *userdata, Code code, const Record *record, Bytes outer,
        const PresenceRecord *presence) {
        Account *a = userdata;
        Endpoints *e = &a->login_met_at;

        *e = (Endpoints){};
        if (code != CODE_OK || !presence)
                return;
        memcpy(a->login_met, record->account, KEY_SIZE);
        for (size_t i = 0; i < presence->n_endpoints && e->n < ENDPOINTS_MAX; i++)
                if (presence->endpoints[i].size < sizeof(e->text[0]))
                        copy_bytes(e->text[e->n++], presence->endpoints[i].data,
                                presence->endpoints[i].size);
}

/* Without it that one has to call. */
static void keep_where_it_was(Account *a) {
        if (a->login_met_at.n > 0 && key_equal(a->login_met, sign_key_public(&a->identity.account)))
                (void)store_set_endpoints(a->store, ENDPOINTS_OWN, &a->login_met_at);
}

/* The account that the password opens becomes that of this device. */
static void take_account(Account *a, const DirectoryLogin *l) {
        Identity *i = &a->identity;
        AccountBackup b;
        int r;

        if (!streq(l->record->name, a->login_name) ||
                account_backup_open(l->statement, a->kept.keys.backup, &b) < 0) {
                operation_fail(a, CODE_TRACKER_UNREACHABLE,
                        "what the tracker keeps for this account does not hold");
                return;
        }
        look_at_age(l, &b);
        sign_key_from_seed(b.seed, &i->account);
        memcpy(i->name, l->record->name, NAME_SIZE);
        i->record_seq = MAX(l->record->seq, b.record_seq);
        a->seen_epoch = MAX(l->record->epoch, b.epoch);
        account_backup_wipe(&b);
        keep_where_it_was(a);
        r = keep_password(a, l);
        if (r >= 0)
                take_over(a);
        else {
                login_undo(a);
                operation_fail_storage(a, r);
        }
}

/* The newest that the tracker has was made here. */
static bool is_settled(const Account *a, const Record *record) {
        const Identity *i = &a->identity;

        return !i->replaced && record->epoch == i->epoch && record->seq <= i->record_seq &&
                key_equal(record->device.device, sign_key_public(&i->device));
}

static void take_back(Account *a, const DirectoryLogin *l) {
        int r;

        r = account_is_ahead(a, l->record) ? store_set_send_anew(a->store, true) : 0;
        a->seen_epoch = MAX(a->seen_epoch, l->record->epoch);
        a->identity.record_seq = MAX(a->identity.record_seq, l->record->seq);
        if (r >= 0)
                r = keep_password(a, l);
        if (r >= 0)
                take_over(a);
        else
                operation_fail_storage(a, r);
}

static void ask(Account *a);

static void on_proven(Account *a, Code code, const char *text, const DirectoryLogin *l) {
        if (code != CODE_OK && a->login_name[0]) {
                if (a->login_refused == CODE_OK || code == CODE_BAD_PASSWORD) {
                        a->login_refused = code;
                        snprintf(a->login_text, sizeof(a->login_text), "%s", text);
                }
                ask(a);
        } else if (code != CODE_OK)
                operation_fail(a, code, text);
        else if (!l)
                operation_commit(a, true);
        else if (a->login_name[0])
                take_account(a, l);
        else if (!key_equal(l->record->account, sign_key_public(&a->identity.account)))
                operation_fail(a, CODE_TRACKER_UNREACHABLE,
                        "the tracker has answered for another account");
        else if (is_settled(a, l->record))
                operation_commit(a, true);
        else
                take_back(a, l);
}

/* Any of them may be the one that keeps the password, and each says of an account that it does not
 * know that the password is wrong. */
static void ask_next(Account *a) {
        const char *none = "no tracker that could be reached keeps passwords: use another one";
        bool wait = false;

        for (size_t i = 0; i < directory_n_trackers(a->directory); i++) {
                int r = directory_keeps_passwords(a->directory, i);

                if (a->login_asked & UINT32_C(1) << i)
                        continue;
                wait |= r == -EAGAIN;
                if (r < 0)
                        continue;
                a->login_asked |= UINT32_C(1) << i;
                password_prove(
                        a, a->old_password, directory_tracker(a->directory, i)->key, on_proven);
                return;
        }
        a->asked = !wait;
        if (!wait && a->login_refused != CODE_OK)
                operation_fail(a, a->login_refused, a->login_text);
        else if (!wait)
                operation_fail(a, CODE_NOT_SUPPORTED, none);
}

static void ask(Account *a) {
        if (a->login_name[0] && a->login_asked == 0)
                (void)directory_lookup(a->directory, a->login_name, NULL, on_met, a);
        if (a->login_name[0])
                ask_next(a);
        else
                password_prove(a, a->old_password, NULL, on_proven);
}

/* What the user asks */

/* 1, 0, or an error of the store. */
static int has_password(Account *a) {
        PasswordRow row;

        return store_get_password(store_write(a->store), &row);
}

static bool login_is_possible(Account *a, const char *name, const char *password,
        const char *tracker, AccountDoneFn fn, void *userdata) {
        char folded[NAME_SIZE];

        if (name_fold(name, strlen(name), folded) < 0)
                fn(userdata, CODE_BAD_NAME, BAD_NAME);
        else if (!account_tracker_is_good(tracker))
                fn(userdata, CODE_INVALID_ARGS, BAD_TRACKER);
        else if (!account_exists(a) && !password[0])
                fn(userdata, CODE_NOT_LOGGED_IN,
                        "no account is kept on this device: one that has a password is taken over "
                        "with it, and chatc register NAME makes one");
        else if (!account_exists(a))
                return true;
        else if (!streq(folded, a->identity.name))
                fn(userdata, CODE_ACCOUNT_EXISTS,
                        "the account that is kept on this device has another name");
        else if (account_is_lan_only(a) && tracker && tracker[0])
                fn(userdata, CODE_INVALID_ARGS,
                        "this account is for the LAN alone: chatc register with its name and "
                        "--tracker publishes it");
        else if (has_password(a) < 0)
                fn(userdata, CODE_STORAGE, "the store cannot be read");
        else if (has_password(a) > 0 && !password[0])
                fn(userdata, CODE_BAD_PASSWORD, "this account has a password: give it");
        else if (has_password(a) == 0 && password[0])
                fn(userdata, CODE_BAD_PASSWORD, "this account has no password: give none");
        else
                return true;
        return false;
}

/* Nobody but this device can say whether it may: there is no password. */
static void login_here(Account *a) {
        int r = a->identity.replaced ? begin_epoch(a) : 0;

        if (r >= 0) {
                operation_commit(a, true);
                return;
        }
        login_undo(a);
        operation_fail_storage(a, r);
}

void account_login(Account *a, const char *name, const char *password, const char *tracker,
        AccountDoneFn fn, void *userdata) {
        if (!login_is_possible(a, name, password, tracker, fn, userdata) ||
                !operation_begin(a, fn, userdata) ||
                !operation_note_password(a, &a->old_password, password))
                return;
        a->login_asked = 0;
        a->login_refused = CODE_OK;
        if (!account_exists(a))
                (void)name_fold(name, strlen(name), a->login_name);
        a->login_met_at = (Endpoints){};
        account_set_tracker(a->identity.tracker, tracker);
        if (password[0])
                operation_at_tracker(a, ask);
        else
                login_here(a);
}
