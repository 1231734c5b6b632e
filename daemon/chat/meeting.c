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
        char at[ENDPOINT_SIZE]; /* where he is visited, or "" */
        bool block;
        Meeting *prev, *next;
};

static void meeting_free(Meeting *m) {
        DL_DELETE(m->chat->meetings, m);
        directory_forget(m->chat->parts.directory, m);
        delivery_forget_visits(m->chat->parts.delivery, m);
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
        return MIN(r, 0);
}

static int older_device_error(const Meeting *m, ChatError *error) {
        return chat_error(error, CODE_KEY_CHANGED,
                "What was said of %.40s is of an older device than was seen before.", m->name);
}

/* What a directory said. Who has written is known here, even where none knows him or answers; but
 * not who once was a contact, under a name that has become another's. */
static int take_answer(Meeting *m, Code code, const DirectoryFound *found, ChatError *e) {
        const Record *record = code == CODE_OK ? found->record : NULL;
        Chat *c = m->chat;
        Store *s = c->parts.store;
        Contact k;
        int r;

        if (code != CODE_OK) {
                r = chat_find_contact(store_write(s), m->name, &k, e);
                if (r > 0 && !k.has_rival && code != CODE_AMBIGUOUS_NAME)
                        return take_known(c, &k, m->block);
                return r < 0 ? r : chat_lookup_error(c, m->name, code, found, e);
        }
        if (key_equal(record->account, sign_key_public(&chat_self(c)->account)))
                return chat_error(e, CODE_INVALID_ARGS, "That is you yourself.");
        r = chat_check_claims(c, m->name, record->account, e);
        if (r >= 0)
                r = contact_get(store_write(s), record->account, &k);
        if (r > 0 && k.flags & CONTACT_BLOCKED && !m->block)
                return contact_blocked_error(m->name, e);
        if (r >= 0)
                r = contact_learn(s, record, found->outer, loop_realtime(c->parts.loop),
                        (uint8_t)flags_for(m->block), found->confirmed, &k);
        if (r == -ESTALE)
                return older_device_error(m, e);
        if (r < 0)
                return r;
        contact_follow(c, k.account);
        if (!m->block)
                directory_learn(
                        c->parts.directory, record, found->presence, loop_realtime(c->parts.loop));
        return 0;
}

static void on_lookup(void *userdata, Code code, const DirectoryFound *found) {
        Meeting *m = userdata;
        Operation *o = m->operation;
        ChatError e;
        int r;

        r = take_answer(m, code, found, &e);
        meeting_free(m);
        operation_settle(o, r, &e);
}

static int meeting_new(Chat *c, Operation *o, const char *name, Meeting **ret, ChatError *error) {
        Meeting *m, *other;
        unsigned n;

        DL_COUNT(c->meetings, other, n);
        if (n >= MEETINGS_MAX)
                return chat_error(error, CODE_TOO_MANY,
                        "Too many people are being looked for: wait for answers.");
        m = malloc(sizeof(*m));
        if (!m)
                return -ENOMEM;
        *m = (Meeting){.chat = c, .operation = o};
        snprintf(m->name, sizeof(m->name), "%s", name);
        DL_APPEND(c->meetings, m);
        *ret = m;
        return 0;
}

/* 1: the answer comes later. */
static int look_up(Chat *c, Operation *o, const char *name, bool block, ChatError *error) {
        Meeting *m;
        int r;

        r = meeting_new(c, o, name, &m, error);
        if (r < 0)
                return r;
        m->block = block;
        r = chat_look_up(c, name, on_lookup, m);
        if (r == -ENOENT) {
                meeting_free(m);
                return chat_error(error, CODE_UNKNOWN_PEER, "Nobody known here is %s.", name);
        }
        if (r < 0)
                on_lookup(m, CODE_TRACKER_UNREACHABLE, NULL);
        return 1;
}

/* Visiting */

/* Who has proved to be the account claims this name, which is to be that of whom the user adds. */
static int take_visited(Meeting *m, const Record *record, Bytes outer, ChatError *e) {
        char name[NAME_SIZE], account[BASE32_KEY_SIZE + 1];
        Contact k;
        int r;

        if (m->name[0] != '@' && name_fold(m->name, strlen(m->name), name) >= 0 &&
                !streq(name, record->name))
                return chat_error(e, CODE_UNKNOWN_PEER,
                        "Who answers at %.80s is not %s but %s, @%s.", m->at, name, record->name,
                        base32_encode_key(record->account, account));
        r = contact_learn(m->chat->parts.store, record, outer, loop_realtime(m->chat->parts.loop),
                CONTACT_PINNED, false, &k);
        if (r == -ESTALE)
                return older_device_error(m, e);
        if (r >= 0)
                contact_follow(m->chat, record->account);
        return r;
}

static int visit_error(const Meeting *m, Code code, const char *text, ChatError *e) {
        if (code == CODE_KEY_CHANGED)
                return chat_error(e, CODE_KEY_CHANGED,
                        "Another account answers at %.80s: ask for the address again.", m->at);
        return chat_error(e, code == CODE_TIMEOUT ? CODE_TIMEOUT : CODE_UNKNOWN_PEER,
                "Nobody was reached at %.80s: %.120s. Nothing was kept.", m->at, text);
}

static bool on_visited(
        void *userdata, Code code, const char *text, const Record *record, Bytes outer) {
        Meeting *m = userdata;
        Operation *o = m->operation;
        ChatError e;
        int r;

        r = code == CODE_OK ? take_visited(m, record, outer, &e) : visit_error(m, code, text, &e);
        meeting_free(m);
        operation_settle(o, r, &e);
        return r >= 0;
}

/* There is a link already, which has proved as much. */
static int take_linked(Meeting *m, const Contact *k, ChatError *e) {
        Record record;
        int r;

        r = record_parse(k->record, &record);
        return r < 0 ? r : take_visited(m, &record, k->record, e);
}

static int parse_at(Chat *c, const char *at, EndpointKey *ret, ChatError *error) {
        if (endpoint_key_parse(at, ret) < 0)
                return chat_error(error, CODE_INVALID_ARGS,
                        "at is HOST:PORT#ACCOUNT, the account being its 52 characters.");
        if (key_equal(ret->key, sign_key_public(&chat_self(c)->account)))
                return chat_error(error, CODE_INVALID_ARGS, "That is you yourself.");
        return 0;
}

/* Nobody else may be meant by the name. */
static int check_name(Chat *c, const char *name, const uint8_t *account, ChatError *error) {
        uint8_t meant[KEY_SIZE];
        Contact k;
        int r;

        r = contact_resolve(store_write(c->parts.store), name, meant);
        if (r == -EINVAL)
                return chat_find_contact(store_write(c->parts.store), name, &k, error);
        if (r <= 0 || key_equal(meant, account))
                return 0;
        if (name[0] == '@')
                return chat_error(error, CODE_INVALID_ARGS,
                        "The account in at is another one than %s.", name);
        r = contact_get(store_write(c->parts.store), meant, &k);
        if (r > 0 && k.flags & CONTACT_PINNED)
                return chat_error(error, CODE_NAME_TAKEN,
                        "Another contact is called %s: rename or remove that one first.", name);
        return MIN(r, 0);
}

/* 0: done with the batch; 1: the answer comes later. */
static int visit(Chat *c, Operation *o, const char *name, const char *at, ChatError *error) {
        EndpointKey to;
        Meeting *m;
        bool known;
        Contact k;
        int r;

        r = parse_at(c, at, &to, error);
        if (r >= 0)
                r = check_name(c, name, to.key, error);
        if (r >= 0)
                r = contact_get(store_write(c->parts.store), to.key, &k);
        if (r < 0)
                return r;
        if (r > 0 && k.flags & CONTACT_BLOCKED)
                return contact_blocked_error(name, error);
        known = r > 0;
        r = meeting_new(c, o, name, &m, error);
        if (r < 0)
                return r;
        endpoint_format(to.host, to.port, m->at);
        if (known && delivery_has_link(c->parts.delivery, to.key)) {
                r = take_linked(m, &k, error);
                meeting_free(m);
                return MIN(r, 0);
        }
        r = delivery_visit(c->parts.delivery, to.key, to.host, to.port, on_visited, m);
        if (r < 0)
                meeting_free(m);
        return r < 0 ? r : 1;
}

/* Both */

/* 0: done with the batch; 1: the answer comes later. */
static int meet(
        Chat *c, Operation *o, const char *name, const char *at, bool block, ChatError *error) {
        bool exact = name[0] == '@' || strchr(name, '~');
        uint8_t account[KEY_SIZE];
        Contact k;
        int r;

        r = chat_require_login(c, error);
        if (r >= 0 && strlen(name) >= sizeof(((Meeting *)NULL)->name))
                return chat_error(error, CODE_BAD_NAME, "A name has at most 32 characters.");
        if (r >= 0 && at)
                return visit(c, o, name, at, error);
        if (r >= 0)
                r = chat_find_contact(store_write(c->parts.store), name, &k, error);
        if (r < 0)
                return r;
        if (r == 0 && chat_is_self(c, name))
                return chat_error(error, CODE_INVALID_ARGS, "That is you yourself.");
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

static void begin(
        Chat *c, const char *name, const char *at, bool block, ChatDoneFn fn, void *userdata) {
        Operation *o = operation_new(c, fn, userdata);
        ChatError e;
        int r;

        if (!o)
                return;
        r = meet(c, o, name, at, block, &e);
        if (r <= 0)
                operation_settle(o, r, &e);
}

void chat_add_contact(Chat *c, const char *name, const char *at, ChatDoneFn fn, void *userdata) {
        begin(c, name, at, false, fn, userdata);
}

void chat_block(Chat *c, const char *name, ChatDoneFn fn, void *userdata) {
        begin(c, name, NULL, true, fn, userdata);
}
