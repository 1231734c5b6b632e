/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Setting the password of the account, and keeping what the tracker has for it up to date. */

#include "account/password.h"

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

        r = account_find_password(a, tracker, &last);
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

static void set_statement(Account *a, const PasswordKept *kept) {
        int r;

        memcpy(a->password_at, kept->tracker, KEY_SIZE);
        r = make_statement(a, kept);
        if (r >= 0)
                r = directory_set_password(
                        a->directory, a->password_at, buffer_bytes(&a->statement), on_set, a);
        if (r == -ENOTCONN || r == -EBUSY)
                operation_password_done(a, CODE_TRACKER_UNREACHABLE, PASSWORD_GONE);
        else if (r < 0)
                operation_password_done(a, CODE_STORAGE, "the backup could not be made");
}

static void on_enrolled(Account *a, Code code, const char *text, const PasswordKept *kept) {
        if (code == CODE_OK)
                set_statement(a, kept);
        else
                operation_password_done(a, code, text);
}

void account_renew_backup(Account *a) {
        set_statement(a, &a->kept);
}

/* Where there is a password, it is at one tracker, and another one is set there too: else the one
 * before would still open the account. */
void account_set_password(Account *a) {
        OprfRequest what = {.enrol = true};
        uint8_t tracker[KEY_SIZE];
        AccountStatement s;
        const char *text;
        Code code;
        int r;

        r = account_find_password(a, tracker, &s);
        if (r < 0) {
                operation_password_done(a, CODE_STORAGE, "the store cannot be read");
                return;
        }
        memcpy(what.account, sign_key_public(&a->identity.account), KEY_SIZE);
        code = password_try(a, a->new_password, r > 0 ? tracker : NULL, &what, on_enrolled,
                &a->password, &text);
        if (code != CODE_OK)
                operation_password_done(a, code, text);
}
