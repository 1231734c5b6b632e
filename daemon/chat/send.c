/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Accepting a message: whom it is for, and that it is on disk. */

#include <stdio.h>

#include <utlist.h>

#include "chat/room.h"

/* Sends that wait for a look-up are bounded: each holds its text. */
#define PENDING_MAX 1024

struct Pending {
        Chat *chat;
        char to[128];
        char *text;
        Uuid id;
        bool has_reply_to;
        Uuid reply_to;
        usec_t expires;
        ChatIdFn fn;
        void *userdata;
        Pending *prev, *next;
};

static void pending_free(Pending *p) {
        DL_DELETE(p->chat->pending, p);
        directory_forget(p->chat->parts.directory, p);
        free(p->text);
        free(p);
}

void pending_free_all(Chat *c) {
        while (c->pending)
                pending_free(c->pending);
}

void pending_forget(Chat *c, void *userdata) {
        Pending *p;

        DL_FOREACH (c->pending, p)
                if (p->userdata == userdata)
                        p->fn = NULL;
}

/* After the commit */

static void on_committed(void *userdata, int error) {
        Chat *c = userdata;
        Accepted *list = TAKE_PTR(c->accepted);
        const uint8_t *woken = NULL;
        size_t n = c->n_accepted;
        ChatError e;

        c->n_accepted = c->allocated_accepted = 0;
        c->committing = false;
        if (error < 0)
                chat_error(&e, CODE_STORAGE,
                        "%s: the message may or may not have been kept. Repeat it with its id.",
                        error == -ENOSPC ? "The disk is full" : "The disk could not be written");
        for (size_t i = 0; i < n; i++) {
                char id[UUID_TEXT_SIZE];

                if (list[i].fn)
                        list[i].fn(list[i].userdata, error < 0 ? &e : NULL,
                                uuid_format(&list[i].id, id));
        }
        /* A batch usually has one recipient; waking it once is enough. */
        for (size_t i = 0; error >= 0 && i < n; i++) {
                if (list[i].again || list[i].room || (woken && key_equal(list[i].account, woken)))
                        continue;
                woken = list[i].account;
                objects_written_to(c, woken);
                delivery_wake(c->parts.delivery, woken);
        }
        if (error >= 0)
                chat_properties_changed(c, CHAT_QUEUED);
        free(list);
}

/* Makes sure of the answer before anything is written: what is in the batch will be kept. */
static int expect_commit(Chat *c) {
        int r;

        if (c->n_accepted == c->allocated_accepted) {
                size_t n = MAX(2 * c->allocated_accepted, (size_t)64);
                Accepted *list = reallocarray(c->accepted, n, sizeof(*list));

                if (!list)
                        return -ENOMEM;
                c->accepted = list;
                c->allocated_accepted = n;
        }
        if (c->committing)
                return 0;
        r = store_after_commit(c->parts.store, on_committed, c);
        c->committing = r >= 0;
        return r;
}

static void answer_after_commit(Chat *c, const Pending *p, const uint8_t *account, bool again) {
        Accepted *a = &c->accepted[c->n_accepted++];

        *a = (Accepted){.fn = p->fn, .userdata = p->userdata, .id = p->id, .again = again};
        memcpy(a->account, account, KEY_SIZE);
}

static int refuse_id(ChatError *error) {
        return chat_error(error, CODE_INVALID_ARGS,
                "This id was used for another message: choose a new one.");
}

/* The recipient is known: write the message, answer when it is on disk. Writing to somebody makes
 * them a contact. */
static int send_to(Chat *c, const Pending *p, const Contact *to, ChatError *error) {
        Store *s = c->parts.store;
        NewMessage m = {.self = chat_self(c),
                .to = to,
                .id = p->id,
                .has_reply_to = p->has_reply_to,
                .reply_to = p->reply_to,
                .text = text_bytes(p->text),
                .expires = p->expires,
                .now = loop_realtime(c->parts.loop)};
        char why[STORE_TEXT_SIZE];
        bool again;
        int r;

        if (to->flags & CONTACT_BLOCKED)
                return contact_blocked_error(p->to, error);
        r = expect_commit(c);
        if (r >= 0)
                r = store_send(s, &m);
        if (r == -EEXIST)
                return refuse_id(error);
        again = r > 0;
        if (r >= 0 && !(to->flags & CONTACT_PINNED))
                r = contact_pin(s, to->account);
        if (r < 0)
                return chat_error(error, CODE_STORAGE, "The message was not kept. %s",
                        store_error_text(r, why));
        answer_after_commit(c, p, to->account, again);
        (void)directory_watch(c->parts.directory, to->account);
        return 0;
}

/* Into a room: rooms/ brings it to the others. */
static int send_to_room(Chat *c, const Pending *p, const char *to, ChatError *error) {
        RoomsMessage m = {.id = p->id,
                .has_reply_to = p->has_reply_to,
                .reply_to = p->reply_to,
                .text = text_bytes(p->text),
                .now = loop_realtime(c->parts.loop)};
        RoomsError e = {};
        RoomRow room;
        int r;

        r = room_find_known(c, store_write(c->parts.store), to, &room, error);
        if (r < 0)
                return r;
        r = expect_commit(c);
        if (r >= 0)
                r = rooms_send(c->parts.rooms, room.number, &m, &e);
        if (r == -EEXIST)
                return refuse_id(error);
        r = room_error(r, &e, error);
        if (r < 0)
                return r;
        c->accepted[c->n_accepted++] =
                (Accepted){.fn = p->fn, .userdata = p->userdata, .id = p->id, .room = true};
        return 0;
}

/* A name never seen before */

static void pending_answer(Pending *p, const ChatError *e) {
        ChatIdFn fn = p->fn;
        void *userdata = p->userdata;

        pending_free(p);
        if (fn)
                fn(userdata, e, NULL);
}

/* A refused message makes nobody a contact: to who is none yet the id cannot have been used. */
static bool id_is_of_another(Chat *c, const Pending *p, const uint8_t *account) {
        DbTxn *txn = store_write(c->parts.store);
        uint32_t feed;
        uint64_t seq;
        Contact to;

        return (contact_get(txn, account, &to) <= 0 || !(to.flags & CONTACT_PINNED)) &&
                store_find_id(txn, SELF_NUMBER, &p->id, &feed, &seq) > 0;
}

/* What the directory said of a name, for one of those who wait. */
static int take_lookup(
        Chat *c, const Pending *p, Code code, const DirectoryFound *found, ChatError *e) {
        const Record *record = code == CODE_OK ? found->record : NULL;
        char why[STORE_TEXT_SIZE];
        Contact to;
        int r;

        r = chat_require_login(c, e); /* which he was when he asked */
        if (r < 0)
                return r;
        if (code != CODE_OK) {
                r = chat_find_contact(store_write(c->parts.store), p->to, &to, e);
                if (r > 0 && !to.has_rival && code != CODE_AMBIGUOUS_NAME)
                        return send_to(c, p, &to, e); /* who claims the name, if nobody else does */
                return r < 0 ? r : chat_lookup_error(c, p->to, code, found, e);
        }
        if (key_equal(record->account, sign_key_public(&chat_self(c)->account)))
                return chat_error(e, CODE_INVALID_ARGS, "That is you yourself.");
        r = chat_check_claims(c, p->to, record->account, e);
        if (r < 0)
                return r;
        if (id_is_of_another(c, p, record->account))
                return refuse_id(e);
        if (contact_get(store_write(c->parts.store), record->account, &to) > 0 &&
                to.flags & CONTACT_BLOCKED)
                return send_to(c, p, &to, e); /* which says so */
        r = contact_learn(c->parts.store, record, found->outer, loop_realtime(c->parts.loop),
                CONTACT_PINNED, found->confirmed, &to);
        if (r == -ESTALE)
                return chat_error(e, CODE_KEY_CHANGED,
                        "The tracker shows an older device of %s than was seen before.", p->to);
        if (r < 0)
                return chat_error(
                        e, CODE_STORAGE, "The message was not kept. %s", store_error_text(r, why));
        (void)directory_watch(c->parts.directory, to.account);
        directory_learn(c->parts.directory, record, found->presence, loop_realtime(c->parts.loop));
        return send_to(c, p, &to, e);
}

/* The answer is for all who wait for this name, in the order in which they came. */
static void on_lookup(void *userdata, Code code, const DirectoryFound *found) {
        Pending *asked = userdata, *p, *tmp;
        Chat *c = asked->chat;
        char to[sizeof(asked->to)];
        ChatError e;

        memcpy(to, asked->to, sizeof(to));
        DL_FOREACH_SAFE (c->pending, p, tmp) {
                if (!streq(p->to, to))
                        continue;
                if (take_lookup(c, p, code, found, &e) < 0)
                        pending_answer(p, &e);
                else
                        pending_free(p); /* the answer comes with the commit */
        }
}

static Pending *pending_find(Chat *c, const char *to) {
        Pending *p;

        DL_FOREACH (c->pending, p)
                if (streq(p->to, to))
                        return p;
        return NULL;
}

static int look_up(Chat *c, const Pending *args, ChatError *error) {
        bool asked = pending_find(c, args->to) != NULL;
        int room = store_check_room(c->parts.store, STORE_PERCENT_OWN);
        char why[STORE_TEXT_SIZE];
        Pending *p, *other;
        unsigned n;

        if (room < 0)
                return chat_error(error, CODE_STORAGE, "The message was not kept. %s",
                        store_error_text(room, why));

        DL_COUNT(c->pending, other, n);
        if (n >= PENDING_MAX)
                return chat_error(error, CODE_TOO_MANY,
                        "Too many names are being looked up: wait for answers.");
        p = malloc(sizeof(*p));
        if (!p)
                return chat_error(error, CODE_STORAGE, "Out of memory.");
        *p = *args;
        p->text = strdup(args->text);
        DL_APPEND(c->pending, p);
        if (p->text && (asked || chat_look_up(c, p->to, on_lookup, p) >= 0))
                return 0;
        pending_free(p);
        if (strchr(args->to, '~'))
                return chat_error(error, CODE_UNKNOWN_PEER, "Nobody known here is %s.", args->to);
        return chat_lookup_error(c, args->to, CODE_TRACKER_UNREACHABLE, NULL, error);
}

static int check_text(const char *text, ChatError *error) {
        size_t n = strlen(text);

        if (n == 0)
                return chat_error(error, CODE_INVALID_ARGS, "The text is empty.");
        if (n > TEXT_SIZE_MAX)
                return chat_error(error, CODE_TOO_LONG,
                        "The text has %zu bytes; at most 65,536 fit into a message.", n);
        if (!utf8_is_valid(text, n))
                return chat_error(error, CODE_INVALID_ARGS, "The text is not valid UTF-8.");
        return 0;
}

static int check_expires(Chat *c, usec_t expires, ChatError *error) {
        usec_t now = loop_realtime(c->parts.loop);

        if (expires != 0 && (expires <= now || expires > now + MESSAGE_EXPIRES_MAX))
                return chat_error(error, CODE_INVALID_ARGS,
                        "expires must be in the future, at most 365 days from now.");
        return 0;
}

static int read_ids(Chat *c, const ChatSend *args, Pending *p, ChatError *error) {
        uint8_t random[10];

        loop_random(c->parts.loop, random, sizeof(random));
        p->id = uuid_make_v7(loop_realtime(c->parts.loop), random);
        if (args->id && uuid_parse(args->id, &p->id) < 0)
                return chat_error(error, CODE_INVALID_ARGS, "id must be a UUID such as %s.",
                        "018f0000-0000-7000-8000-000000000000");
        if (args->reply_to && uuid_parse(args->reply_to, &p->reply_to) < 0)
                return chat_error(
                        error, CODE_INVALID_ARGS, "reply-to must be the id of a message.");
        p->has_reply_to = args->reply_to != NULL;
        return 0;
}

static bool is_repeated(Chat *c, const Pending *p) {
        uint32_t feed;
        uint64_t seq;

        return store_find_id(store_write(c->parts.store), SELF_NUMBER, &p->id, &feed, &seq) > 0;
}

static int send_message(
        Chat *c, const ChatSend *args, ChatIdFn fn, void *userdata, ChatError *error) {
        Pending p = {.chat = c,
                .text = (char *)args->text,
                .expires = args->expires,
                .fn = fn,
                .userdata = userdata};
        bool claimed;
        Contact to;
        int r;

        r = chat_require_login(c, error);
        if (r >= 0)
                r = check_text(args->text, error);
        if (r >= 0)
                r = check_expires(c, args->expires, error);
        if (r >= 0)
                r = read_ids(c, args, &p, error);
        if (r < 0)
                return r;
        if (args->to[0] == '#')
                return send_to_room(c, &p, args->to, error);
        if (strlen(args->to) >= sizeof(p.to))
                return chat_error(error, CODE_BAD_NAME, "A name has at most 32 characters.");
        for (size_t i = 0; args->to[i]; i++)
                p.to[i] = ascii_lower(args->to[i]);
        if (pending_find(c, p.to))
                return look_up(c, &p, error); /* behind those that wait for the same name */
        r = chat_find_contact(store_write(c->parts.store), args->to, &to, error);
        if (r < 0)
                return r;
        if (r > 0 && to.has_rival && !chat_is_exact(args->to)) {
                if (to.flags & CONTACT_KEY_CHANGED && !is_repeated(c, &p))
                        return key_changed_error(&to, args->to, error);
                r = to.flags & CONTACT_PINNED; /* else another may be meant */
        }
        if (r > 0 && !chat_is_claim(store_write(c->parts.store), args->to, &to))
                return send_to(c, &p, &to, error);
        claimed = r > 0;
        r = look_up(c, &p, error);
        if (r < 0 && claimed && streq(error->name, code_name(CODE_TRACKER_UNREACHABLE)))
                return send_to(c, &p, &to, error); /* nobody can be asked */
        return r;
}

void chat_send(Chat *c, const ChatSend *args, ChatIdFn fn, void *userdata) {
        ChatError e;

        if (send_message(c, args, fn, userdata, &e) < 0)
                fn(userdata, &e, NULL);
}
