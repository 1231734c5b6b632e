/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The password of the account: whether it is the one that somebody says, and setting another. */

#include "account/password.h"
#include "util/log.h"

#define GONE "the tracker that keeps the password is not there: try again later"

/* Where there is one, it is at one tracker, and another one is set there too: else the one before
 * would still open the account. */
static int find_home(Account *a, uint8_t tracker[static KEY_SIZE], AccountStatement *ret) {
        PasswordRow row;
        int r;

        r = store_get_password(store_write(a->store), &row);
        if (r > 0 && account_statement_parse(row.statement, ret) < 0)
                r = -EUCLEAN;
        if (r > 0)
                memcpy(tracker, row.tracker, KEY_SIZE);
        return r;
}

/* Setting */

static void on_set(void *userdata, Code code, const char *text) {
        Account *a = userdata;
        PasswordRow row = {.statement = buffer_bytes(&a->statement)};
        int r;

        if (code == CODE_OK) {
                memcpy(row.tracker, a->password_at, KEY_SIZE);
                r = store_set_password(a->store, &row);
                if (r < 0) {
                        code = CODE_STORAGE;
                        text = "the account could not be written to disk";
                }
        }
        operation_password_done(a, code == _CODE_MAX ? CODE_NOT_ALLOWED : code, text);
}

static int seal_backup(
        Account *a, const PasswordKept *kept, const AccountStatement *s, Buffer *out) {
        const Identity *i = &a->identity;
        uint8_t nonce[BOX_NONCE_SIZE];
        AccountBackup b = {
                .epoch = i->epoch, .record_seq = i->record_seq, .made = loop_realtime(a->loop)};
        int r;

        memcpy(b.seed, sign_key_seed(&i->account), KEY_SIZE);
        memcpy(b.name, i->name, NAME_SIZE);
        loop_random(a->loop, nonce, sizeof(nonce));
        r = account_backup_seal(&b, s, kept->keys.backup, nonce, out);
        account_backup_wipe(&b);
        return r;
}

static int make_statement(Account *a, const PasswordKept *kept) {
        _cleanup_(buffer_done) Buffer backup = BUFFER_NULL;
        usec_t now = loop_realtime(a->loop);
        uint8_t tracker[KEY_SIZE];
        AccountStatement last = {},
                         s = {.has_password = true,
                                 .key_id = kept->key_id,
                                 .memory = kept->cost.memory,
                                 .passes = kept->cost.passes,
                                 .issued = now};
        SignKey login;
        int r;

        r = find_home(a, tracker, &last);
        if (r < 0)
                return r;
        s.seq = account_next_seq(last.seq, now);
        memcpy(s.account, sign_key_public(&a->identity.account), KEY_SIZE);
        sign_key_from_seed(kept->keys.login_seed, &login);
        memcpy(s.login, sign_key_public(&login), KEY_SIZE);
        sign_key_wipe(&login);
        r = seal_backup(a, kept, &s, &backup);
        if (r < 0)
                return r;
        s.backup = buffer_bytes(&backup);
        buffer_clear(&a->statement);
        return account_statement_encode(&s, &a->identity.account, &a->statement);
}

static void on_enrolled(Account *a, Code code, const char *text, const PasswordKept *kept) {
        int r;

        if (code != CODE_OK) {
                operation_password_done(a, code, text);
                return;
        }
        memcpy(a->password_at, kept->tracker, KEY_SIZE);
        r = make_statement(a, kept);
        if (r >= 0)
                r = directory_set_password(
                        a->directory, a->password_at, buffer_bytes(&a->statement), on_set, a);
        if (r == -ENOTCONN || r == -EBUSY)
                operation_password_done(a, CODE_TRACKER_UNREACHABLE, GONE);
        else if (r < 0)
                operation_password_done(a, CODE_STORAGE, "the backup could not be made");
}

void account_set_password(Account *a) {
        uint8_t tracker[KEY_SIZE];
        AccountStatement s;
        const char *text;
        Code code;
        int r;

        r = find_home(a, tracker, &s);
        if (r < 0) {
                operation_password_done(a, CODE_STORAGE, "the store cannot be read");
                return;
        }
        code = password_try(
                a, a->new_password, r > 0 ? tracker : NULL, true, on_enrolled, &a->password, &text);
        if (code != CODE_OK)
                operation_password_done(a, code, text);
}

/* Proving */

static void on_proven(void *userdata, Code code, const char *text, const DirectoryLogin *l) {
        operation_password_done(userdata, code == _CODE_MAX ? CODE_NOT_ALLOWED : code, text);
}

/* A tracker that was set up anew answers with another key than that of the statement: nobody can
 * prove the password to it any more, and this device has the account without it. */
static bool is_lost(Account *a, const PasswordKept *kept) {
        uint8_t tracker[KEY_SIZE];
        AccountStatement s;

        return find_home(a, tracker, &s) > 0 && s.has_password && s.key_id != kept->key_id;
}

static void on_tried(Account *a, Code code, const char *text, const PasswordKept *kept) {
        SignKey login;
        int r;

        if (code != CODE_OK) {
                operation_password_done(a, code, text);
                return;
        }
        if (is_lost(a, kept)) {
                log_warning("The tracker has lost the password of this account: set it again with "
                            "chatc passwd");
                operation_password_done(a, CODE_OK, "");
                return;
        }
        sign_key_from_seed(kept->keys.login_seed, &login);
        r = directory_login(a->directory, kept->tracker, &login, &kept->asked, on_proven, a);
        sign_key_wipe(&login);
        if (r < 0)
                operation_password_done(a, CODE_TRACKER_UNREACHABLE, GONE);
}

void account_prove_password(Account *a, const char *password) {
        uint8_t tracker[KEY_SIZE];
        AccountStatement s;
        const char *text;
        Code code;

        if (find_home(a, tracker, &s) <= 0) {
                operation_password_done(a, CODE_STORAGE, "the store cannot be read");
                return;
        }
        code = password_try(a, password, tracker, false, on_tried, &a->password, &text);
        if (code != CODE_OK)
                operation_password_done(a, code, text);
}
