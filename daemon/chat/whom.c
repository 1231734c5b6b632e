/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whom the user means: what is known here, and what a directory says. */

#include "chat/private.h"

#include <stdio.h>
#include <strings.h>

/* Of the account, after the '~' of a name that is only claimed. */
#define SUFFIX_LENGTH 4

int chat_find_contact(DbTxn *txn, const char *text, Contact *ret, ChatError *error) {
        char why[STORE_TEXT_SIZE], candidates[CANDIDATES_SIZE];
        uint8_t account[KEY_SIZE];
        int r;

        if (text[0] == '#')
                return chat_error(error, CODE_BAD_NAME,
                        "%.40s is a room, and here somebody is to be named.", text);
        r = contact_resolve(txn, text, account);
        if (r > 0)
                r = contact_get(txn, account, ret);
        if (r == -EINVAL)
                return chat_error(error, CODE_BAD_NAME,
                        "A name is 1 to 32 of a-z 0-9 . _ - and begins with a letter or digit; an "
                        "account is @ and its 52 characters.");
        if (r == -ENOTUNIQ)
                return chat_error(error, CODE_AMBIGUOUS_NAME,
                        "Several accounts claim the name %.40s: say which one, %s (chatc peers "
                        "--all shows them all).",
                        text, contact_candidates(txn, text, candidates));
        if (r < 0)
                return chat_error(error, CODE_STORAGE, "%s", store_error_text(r, why));
        return r;
}

bool chat_is_exact(const char *text) {
        return text[0] == '@' || strchr(text, '~');
}

bool chat_is_self(const Chat *c, const char *text) {
        const Identity *self = chat_self(c);
        uint8_t account[KEY_SIZE];
        char name[NAME_SIZE];

        if (text[0] == '@')
                return base32_decode_key(text + 1, strlen(text + 1), account) >= 0 &&
                        key_equal(account, sign_key_public(&self->account));
        return name_fold(text, strlen(text), name) >= 0 && streq(name, self->name);
}

int chat_find_known(Chat *c, DbTxn *txn, const char *text, Contact *ret, ChatError *error) {
        int r;

        r = chat_find_contact(txn, text, ret, error);
        if (r != 0)
                return r;
        if (chat_is_self(c, text))
                return chat_error(error, CODE_INVALID_ARGS, "That is you yourself.");
        return chat_error(error, CODE_UNKNOWN_PEER,
                "Nobody known here is %.64s: chatc peers --all shows who is.", text);
}

/* "name~abcd": somebody on the LAN, by what he calls himself and the first of his account. */
typedef struct Suffixed {
        char name[NAME_SIZE];
        const char *suffix;
        unsigned n;
        uint8_t account[KEY_SIZE];
} Suffixed;

static bool take_suffixed(void *userdata, const LanPerson *p) {
        char account[BASE32_KEY_SIZE + 1];
        Suffixed *s = userdata;

        base32_encode_key(p->account, account);
        if (!streq(p->name, s->name) || strncasecmp(account, s->suffix, SUFFIX_LENGTH) != 0)
                return true;
        memcpy(s->account, p->account, KEY_SIZE);
        s->n++;
        return true;
}

static int look_up_suffixed(
        Chat *c, const char *text, const char *tilde, DirectoryFindFn fn, void *userdata) {
        Suffixed s = {.suffix = tilde + 1};

        if (strlen(s.suffix) != SUFFIX_LENGTH ||
                name_fold(text, (size_t)(tilde - text), s.name) < 0)
                return -ENOENT;
        directory_lan_each(c->parts.directory, take_suffixed, &s);
        if (s.n != 1)
                return -ENOENT;
        return directory_find(c->parts.directory, NULL, s.account, fn, userdata);
}

int chat_look_at_known(Chat *c, const char *text, Contact *ret, ChatError *error) {
        DbTxn *txn;
        int r;

        r = chat_require_account(c, error);
        if (r < 0)
                return r;
        r = store_read_begin(c->parts.store, &txn);
        if (r < 0) {
                chat_storage_error(error, r);
                return r;
        }
        r = chat_find_known(c, txn, text, ret, error);
        store_read_end(txn);
        return r;
}

int chat_look_up(Chat *c, const char *text, DirectoryFindFn fn, void *userdata) {
        const char *tilde = strchr(text, '~');
        uint8_t account[KEY_SIZE];
        char name[NAME_SIZE];

        if (text[0] == '@') {
                (void)base32_decode_key(text + 1, strlen(text + 1), account);
                return directory_find(c->parts.directory, NULL, account, fn, userdata);
        }
        if (tilde)
                return look_up_suffixed(c, text, tilde, fn, userdata);
        (void)name_fold(text, strlen(text), name);
        return directory_find(c->parts.directory, name, NULL, fn, userdata);
}

bool chat_is_claim(DbTxn *txn, const char *text, const Contact *k) {
        char shown[SHOWN_NAME_SIZE];

        return text[0] != '@' && !strchr(text, '~') && !(k->flags & CONTACT_PINNED) &&
                !streq(contact_shown_name(txn, k, shown), k->name);
}

int chat_check_claims(Chat *c, const char *text, const uint8_t *account, ChatError *error) {
        char shown[SHOWN_NAME_SIZE], other[BASE32_KEY_SIZE + 1];
        DbTxn *txn = store_write(c->parts.store);
        Contact k;
        int r;

        r = chat_find_contact(txn, text, &k, error);
        if (r <= 0 || key_equal(k.account, account) || k.flags & CONTACT_BLOCKED || k.has_rival ||
                !chat_is_claim(txn, text, &k))
                return r;
        return chat_error(error, CODE_AMBIGUOUS_NAME,
                "The name %.40s is claimed by %s, who is known here, and by @%s: say which one.",
                text, contact_shown_name(txn, &k, shown), base32_encode_key(account, other));
}

static int ambiguous_error(const char *text, const DirectoryFound *found, ChatError *error) {
        char list[DIRECTORY_CLAIMANTS_MAX * (BASE32_KEY_SIZE + 8)] = "";
        char account[BASE32_KEY_SIZE + 1];
        size_t n = 0;

        for (size_t i = 0; i < found->n_claimants; i++)
                n += (size_t)snprintf(list + n, sizeof(list) - n, "%s@%s",
                        i == 0                                ? ""
                                : i + 1 == found->n_claimants ? " or "
                                                              : ", ",
                        base32_encode_key(found->claimants[i], account));
        return chat_error(error, CODE_AMBIGUOUS_NAME,
                "Several accounts claim the name %.40s: say which one, %s.", text, list);
}

int chat_lookup_error(
        Chat *c, const char *text, Code code, const DirectoryFound *found, ChatError *error) {
        if (code == CODE_AMBIGUOUS_NAME)
                return ambiguous_error(text, found, error);
        if (code == CODE_UNKNOWN_PEER)
                return chat_error(error, CODE_UNKNOWN_PEER, "Nobody is registered as %s.", text);
        if (code == CODE_RATE_LIMITED)
                return chat_error(
                        error, CODE_RATE_LIMITED, "The tracker limits look-ups: try again later.");
        if (account_is_lan_only(c->parts.account))
                return chat_error(error, CODE_TRACKER_UNREACHABLE,
                        "Nobody known here or on the local network is %.64s: chatc add "
                        "NAME --at HOST:PORT#ACCOUNT makes somebody a contact.",
                        text);
        return chat_error(error, CODE_TRACKER_UNREACHABLE,
                "No tracker could say who %s is: %s. Nothing was kept.", text,
                directory_error(c->parts.directory));
}
