/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whether a password is the one of the account. */

#include "account/password.h"

#include "util/log.h"

int account_find_password(Account *a, uint8_t ret_tracker[static KEY_SIZE], AccountStatement *ret) {
        PasswordRow row;
        int r;

        r = store_get_password(store_write(a->store), &row);
        if (r > 0 && account_statement_parse(row.statement, ret) < 0)
                r = -EUCLEAN;
        if (r > 0)
                memcpy(ret_tracker, row.tracker, KEY_SIZE);
        return r;
}

static void done(Account *a, Code code, const char *text, const DirectoryLogin *l) {
        if (a->operation == OPERATION_ASK)
                a->proven(a, code == _CODE_MAX ? CODE_NOT_ALLOWED : code, text, l);
}

/* It answers with another key than that of the statement. Another device may have set another
 * password; while this one is the active one, it is a tracker that was set up anew: nobody can
 * prove the password to it any more, and this device has the account without it. */
static bool is_lost(Account *a) {
        uint8_t tracker[KEY_SIZE];
        AccountStatement s;

        return !a->identity.replaced && account_find_password(a, tracker, &s) > 0 &&
                s.has_password && s.key_id != a->kept.key_id;
}

static void on_proven(void *userdata, Code code, const char *text, const DirectoryLogin *l) {
        done(userdata, code, text, code == CODE_OK ? l : NULL);
}

static void on_tried(Account *a, Code code, const char *text, const PasswordKept *kept) {
        SignKey login;
        int r;

        if (code != CODE_OK) {
                done(a, code, text, NULL);
                return;
        }
        a->kept = *kept;
        if (is_lost(a)) {
                log_warning("The tracker has lost the password of this account: set it again with "
                            "chatc passwd");
                done(a, CODE_OK, "", NULL);
                return;
        }
        sign_key_from_seed(kept->keys.login_seed, &login);
        r = directory_login(a->directory, kept->tracker, &login, &kept->asked, on_proven, a);
        sign_key_wipe(&login);
        if (r < 0)
                done(a, CODE_TRACKER_UNREACHABLE, PASSWORD_GONE, NULL);
}

void password_prove(Account *a, const char *password, const uint8_t *tracker, ProvenFn fn) {
        uint8_t home[KEY_SIZE];
        OprfRequest what = {};
        AccountStatement s;
        const char *text;
        Code code;

        a->proven = fn;
        if (tracker)
                memcpy(what.name, a->login_name, NAME_SIZE);
        else if (account_find_password(a, home, &s) > 0)
                memcpy(what.account, sign_key_public(&a->identity.account), KEY_SIZE);
        else {
                done(a, CODE_STORAGE, "the store cannot be read", NULL);
                return;
        }
        code = password_try(a, password, tracker ?: home, &what, on_tried, &a->password, &text);
        if (code != CODE_OK)
                done(a, code, text, NULL);
}
