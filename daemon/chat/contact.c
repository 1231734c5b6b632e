/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the user makes of people who are known here. */

#include <assert.h>

#include "chat/private.h"
#include "crypto/safety-number.h"

void contact_watch(Chat *c, DbTxn *txn, const Contact *k) {
        Directory *d = c->parts.directory;
        uint8_t key[BOX_KEY_SIZE];
        Bytes token;

        if (directory_watch(d, k->account) < 0)
                return;
        if (store_get_token(txn, k->number, &token) > 0)
                directory_set_token(d, k->account, k->record, token);
        if (store_get_contact_key(txn, k->number, key) > 0)
                directory_set_presence_key(d, k->account, key);
        explicit_bzero(key, sizeof(key));
}

void contact_follow(Chat *c, const uint8_t *account) {
        Directory *d = c->parts.directory;
        Contact k;

        if (contact_get(store_write(c->parts.store), account, &k) <= 0)
                return;
        objects_follow(c, &k);
        c->names.counted = false;
        if (contact_is_accepted(&k)) {
                contact_watch(c, store_write(c->parts.store), &k);
                delivery_wake(c->parts.delivery, account);
        } else if (k.flags & CONTACT_BLOCKED) {
                delivery_block(c->parts.delivery, account);
                if (account_change_presence_key(c->parts.account) >= 0)
                        delivery_grant_anew(c->parts.delivery);
                directory_unwatch(d, account);
        } else if (!delivery_has_link(c->parts.delivery, account))
                directory_unwatch(d, account);
}

/* What is to be done with somebody, in the words of who asked for it. */
typedef struct Change {
        Chat *chat;
        const char *name, *alias;
        Contact contact;
} Change;

typedef int (*ChangeFn)(const Change *x, ChatError *error);

static void change_contact(Chat *c, const char *name, const char *alias, ChangeFn change,
        ChatDoneFn fn, void *userdata) {
        Operation *o = operation_new(c, fn, userdata);
        Change x = {.chat = c, .name = name, .alias = alias};
        ChatError e;
        int r;

        if (!o)
                return;
        r = chat_require_login(c, &e);
        if (r >= 0)
                r = chat_find_known(c, store_write(c->parts.store), name, &x.contact, &e);
        if (r >= 0)
                r = change(&x, &e);
        if (r >= 0)
                contact_follow(c, x.contact.account);
        operation_settle(o, r, &e);
}

int contact_blocked_error(const char *name, ChatError *error) {
        return chat_error(
                error, CODE_BLOCKED, "You have blocked %.64s: chatc unblock first.", name);
}

static int accept_request(const Change *x, ChatError *error) {
        const Contact *k = &x->contact;

        if (k->flags & CONTACT_BLOCKED)
                return contact_blocked_error(x->name, error);
        if (!(k->flags & (CONTACT_PINNED | CONTACT_REQUEST)))
                return chat_error(error, CODE_INVALID_ARGS,
                        "%.64s has not written to you: chatc add makes somebody a contact.",
                        x->name);
        if (k->flags & CONTACT_PINNED)
                return contact_trust(x->chat, k);
        return contact_pin(x->chat->parts.store, k->account);
}

void chat_accept(Chat *c, const char *name, ChatDoneFn fn, void *userdata) {
        if (chat_is_readable(c) && chat_is_self(c, name)) {
                hand_over_accept(c, fn, userdata);
                return;
        }
        change_contact(c, name, NULL, accept_request, fn, userdata);
}

static int rename_contact(const Change *x, ChatError *error) {
        char alias[NAME_SIZE] = "";
        int r;

        if (!(x->contact.flags & CONTACT_PINNED))
                return chat_error(error, CODE_UNKNOWN_PEER,
                        "%.64s is no contact of yours: chatc add first.", x->name);
        if (x->alias[0] && name_fold(x->alias, strlen(x->alias), alias) < 0)
                return chat_error(error, CODE_BAD_NAME,
                        "An alias is 1 to 32 of a-z 0-9 . _ - and begins with a letter or digit.");
        if (streq(alias, chat_self(x->chat)->name))
                return chat_error(error, CODE_NAME_TAKEN, "%s is your own name.", alias);
        r = contact_rename(x->chat->parts.store, x->contact.account, alias);
        if (r == -EEXIST)
                return chat_error(error, CODE_NAME_TAKEN,
                        "Another contact is called %s: rename or remove that one first.", alias);
        return r;
}

void chat_rename_contact(
        Chat *c, const char *name, const char *alias, ChatDoneFn fn, void *userdata) {
        change_contact(c, name, alias, rename_contact, fn, userdata);
}

/* What a stranger may leave here is counted anew when he writes again. */
static int forget_share(Chat *c, const Contact *k) {
        DbTxn *txn = store_write(c->parts.store);
        uint8_t hash[SHA256_SIZE];
        Conversation v;
        int r;

        conversation_direct(sign_key_public(&chat_self(c)->account), k->account, hash);
        r = conversation_find(txn, hash, &v);
        if (r <= 0 || v.stranger_messages == 0)
                return r;
        v.stranger_messages = 0;
        v.stranger_bytes = 0;
        return conversation_write(c->parts.store, &v);
}

static int remove_contact(const Change *x, ChatError *error) {
        Store *s = x->chat->parts.store;
        const Contact *k = &x->contact;
        OutboxRow row;
        int r;

        if (!(k->flags & (CONTACT_PINNED | CONTACT_REQUEST)))
                return chat_error(
                        error, CODE_UNKNOWN_PEER, "%.64s is no contact of yours.", x->name);
        r = outbox_next(store_write(s), k->number, (OutboxPosition){}, &row);
        if (r > 0)
                return chat_error(error, CODE_NOT_ALLOWED,
                        "Messages to %.64s wait to be delivered: chatc outbox lists them, chatc "
                        "cancel takes them back.",
                        x->name);
        if (r >= 0)
                r = contact_unpin(s, k->account);
        return r < 0 ? r : forget_share(x->chat, k);
}

void chat_remove_contact(Chat *c, const char *name, ChatDoneFn fn, void *userdata) {
        change_contact(c, name, NULL, remove_contact, fn, userdata);
}

/* Of who was blocked by his account and never seen there is nothing to keep. */
static int unblock(const Change *x, ChatError *error) {
        Store *s = x->chat->parts.store;
        int r;

        r = contact_set_flags(s, x->contact.account, 0, CONTACT_BLOCKED);
        if (r >= 0 && !x->contact.name[0] && !(x->contact.flags & CONTACT_MEMBER))
                r = contact_forget(s, &x->contact); /* unless he has written in a room */
        return r;
}

void chat_unblock(Chat *c, const char *name, ChatDoneFn fn, void *userdata) {
        change_contact(c, name, NULL, unblock, fn, userdata);
}

/* Safety numbers */

int chat_verify(Chat *c, const char *name, ChatVerification *ret, ChatError *error) {
        static_assert(sizeof(ret->safety_number) == SAFETY_NUMBER_SIZE + 1, "digits and a zero");
        Contact k;
        int r;

        r = chat_look_at_known(c, name, &k, error);
        if (r < 0)
                return r;
        safety_number(sign_key_public(&chat_self(c)->account), k.account, ret->safety_number);
        ret->verified = k.flags & CONTACT_VERIFIED;
        return 0;
}

/* Who has compared numbers knows whom the name means. */
static int set_verified(const Change *x, ChatError *error) {
        int r;

        r = contact_trust(x->chat, &x->contact);
        return r < 0
                ? r
                : contact_set_flags(x->chat->parts.store, x->contact.account, CONTACT_VERIFIED, 0);
}

static int take_verified_back(const Change *x, ChatError *error) {
        return contact_set_flags(x->chat->parts.store, x->contact.account, 0, CONTACT_VERIFIED);
}

void chat_set_verified(Chat *c, const char *name, bool verified, ChatDoneFn fn, void *userdata) {
        change_contact(c, name, NULL, verified ? set_verified : take_verified_back, fn, userdata);
}
