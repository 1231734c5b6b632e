/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whom the user adds or blocks, known here or not: a name never seen is looked up first. */

#include <stdio.h>

#include <utlist.h>

#include "chat/private.h"

/* Of those that wait for an answer. */
#define MEETINGS_MAX 256

struct Meeting {
        Chat *chat;
        Operation *operation;
        char name[128];
        bool block;
        Meeting *prev, *next;
};

static void meeting_free(Meeting *m) {
        DL_DELETE(m->chat->meetings, m);
        directory_forget(m->chat->parts.directory, m);
        free(m);
}

void meetings_free_all(Chat *c) {
        while (c->meetings)
                meeting_free(c->meetings);
}

static int flags_for(bool block) {
        return block ? CONTACT_BLOCKED : CONTACT_PINNED;
}

/* Somebody with a row. */
static int take_known(Chat *c, const Contact *k, bool block) {
        int r;

        r = block ? contact_set_flags(c->parts.store, k->account, CONTACT_BLOCKED, 0)
                  : contact_pin(c->parts.store, k->account);
        if (r >= 0)
                contact_follow(c, k->account);
        return r;
}

/* What a directory said. Who has written is known here, even where none knows him or answers; but
 * not who once was a contact, under a name that has become another's. */
static int take_answer(Meeting *m, Code code, const Record *record, Bytes outer,
        const PresenceRecord *presence, ChatError *e) {
        Chat *c = m->chat;
        Store *s = c->parts.store;
        Contact k;
        int r;

        if (code != CODE_OK) {
                r = chat_find_contact(store_write(s), m->name, &k, e);
                if (r > 0 && !k.has_rival)
                        return take_known(c, &k, m->block);
                return r < 0 ? r : chat_lookup_error(c, m->name, code, e);
        }
        if (key_equal(record->account, sign_key_public(&chat_self(c)->account)))
                return chat_error(e, CODE_INVALID_ARGS, "That is you yourself.");
        r = contact_get(store_write(s), record->account, &k);
        if (r > 0 && k.flags & CONTACT_BLOCKED && !m->block)
                return contact_blocked_error(m->name, e);
        if (r >= 0)
                r = contact_learn(s, record, outer, (uint8_t)flags_for(m->block), true, &k);
        if (r < 0)
                return r;
        contact_follow(c, k.account);
        if (!m->block)
                directory_learn(c->parts.directory, record, presence, loop_realtime(c->parts.loop));
        return 0;
}

static void on_lookup(void *userdata, Code code, const Record *record, Bytes outer,
        const PresenceRecord *presence) {
        Meeting *m = userdata;
        Operation *o = m->operation;
        ChatError e;
        int r;

        r = take_answer(m, code, record, outer, presence, &e);
        meeting_free(m);
        operation_settle(o, r, &e);
}

/* 1: the answer comes later. */
static int look_up(Chat *c, Operation *o, const char *name, bool block, ChatError *error) {
        Meeting *m, *other;
        unsigned n;

        DL_COUNT(c->meetings, other, n);
        if (n >= MEETINGS_MAX)
                return chat_error(error, CODE_TOO_MANY,
                        "Too many names are being looked up: wait for answers.");
        m = malloc(sizeof(*m));
        if (!m)
                return -ENOMEM;
        *m = (Meeting){.chat = c, .operation = o, .block = block};
        snprintf(m->name, sizeof(m->name), "%s", name);
        DL_APPEND(c->meetings, m);
        if (chat_look_up(c, name, on_lookup, m) < 0)
                on_lookup(m, CODE_TRACKER_UNREACHABLE, NULL, (Bytes){}, NULL);
        return 1;
}

/* 0: done with the batch; 1: the answer comes later. */
static int meet(Chat *c, Operation *o, const char *name, bool block, ChatError *error) {
        bool exact = name[0] == '@' || strchr(name, '~');
        uint8_t account[KEY_SIZE];
        Contact k;
        int r;

        r = chat_require_login(c, error);
        if (r >= 0 && strlen(name) >= sizeof(((Meeting *)NULL)->name))
                return chat_error(error, CODE_BAD_NAME, "A name has at most 32 characters.");
        if (r >= 0)
                r = chat_find_contact(store_write(c->parts.store), name, &k, error);
        if (r < 0)
                return r;
        if (r == 0 && chat_is_self(c, name))
                return chat_error(error, CODE_INVALID_ARGS, "That is you yourself.");
        if (r == 0 && strchr(name, '~'))
                return chat_error(error, CODE_UNKNOWN_PEER, "Nobody known here is %s.", name);
        if (r > 0 && !block && k.flags & CONTACT_BLOCKED)
                return contact_blocked_error(name, error);
        if (r > 0 && !block && !exact && k.flags & CONTACT_KEY_CHANGED)
                return key_changed_error(&k, name, error);
        if (r > 0 && (block || exact || k.flags & CONTACT_PINNED))
                return take_known(c, &k, block);
        if (!block || name[0] != '@')
                return look_up(c, o, name, block, error);
        (void)base32_decode_key(name + 1, strlen(name + 1), account);
        r = contact_mark(c->parts.store, account, CONTACT_BLOCKED);
        contact_follow(c, account);
        return r;
}

static void begin(Chat *c, const char *name, bool block, ChatDoneFn fn, void *userdata) {
        Operation *o = operation_new(c, fn, userdata);
        ChatError e;
        int r;

        if (!o)
                return;
        r = meet(c, o, name, block, &e);
        if (r <= 0)
                operation_settle(o, r, &e);
}

void chat_add_contact(Chat *c, const char *name, const char *at, ChatDoneFn fn, void *userdata) {
        begin(c, name, false, fn, userdata);
}

void chat_block(Chat *c, const char *name, ChatDoneFn fn, void *userdata) {
        begin(c, name, true, fn, userdata);
}
