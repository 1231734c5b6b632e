/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Looking at conversations. */

#include <stdio.h>

#include "chat/room.h"
#include "store/mail.h"

static const char *own_state(const HistoryRow *row) {
        static const char *const names[] = {
                [ENTRY_QUEUED] = "queued",
                [ENTRY_STORED] = "stored",
                [ENTRY_FAILED] = "failed",
                [ENTRY_EXPIRED] = "expired",
                [ENTRY_RECEIVED] = "received",
        };

        if (row->read)
                return "read";
        if (row->delivered)
                return "delivered";
        return (size_t)row->entry.state < ELEMENTSOF(names) ? names[row->entry.state] : "queued";
}

bool message_text_is_shown(Bytes text) {
        return text.size <= TEXT_SIZE_MAX && utf8_is_valid(text.data, text.size) &&
                (text.size == 0 || !memchr(text.data, 0, text.size));
}

static void view_text(const HistoryRow *row, MessageView *v) {
        bool known = row->inner.kind == KIND_TEXT && message_text_is_shown(row->inner.body);

        v->message.kind = known ? "text" : "unsupported";
        v->message.text = v->text;
        if (known)
                copy_bytes(v->text, row->inner.body.data, row->inner.body.size);
        v->text[known ? row->inner.body.size : 0] = 0;
}

/* Most of it is room for a text, which need not be cleared. */
MessageView *message_view_new(void) {
        MessageView *v = malloc(sizeof(*v));

        if (v)
                message_view_init(v);
        return v;
}

void message_view_init(MessageView *v) {
        v->peer = v->room = 0;
}

/* Many messages in a row are of the same two. */
static void view_people(Chat *c, DbTxn *txn, const Contact *peer, MessageView *v) {
        if (v->peer == peer->number && v->room == 0)
                return;
        v->room = 0;
        contact_shown_name(txn, peer, v->peer_name);
        base32_encode_key(peer->account, v->peer_account);
        base32_encode_key(sign_key_public(&chat_self(c)->account), v->self_account);
        v->peer = peer->number;
}

unsigned chat_count_replicas(DbTxn *txn, uint32_t recipient, uint32_t feed, uint64_t seq) {
        MailItem item;

        return mail_item_get(txn, recipient, (OutboxPosition){.feed = feed, .seq = seq}, &item) > 0
                ? (unsigned)item.n_trackers
                : 0;
}

void message_view_begin(const HistoryRow *row, MessageView *v) {
        v->message = (ChatMessage){.id = uuid_format(&row->inner.id, v->id),
                .state = own_state(row),
                .sent = row->inner.sent,
                .stored = row->entry.stored,
                .received = row->entry.received,
                .expires = row->inner.expires,
                .gap_before = row->gap_before,
                .late = row->entry.flags & ENTRY_LATE,
                .clock_ahead = row->entry.flags & ENTRY_CLOCK_AHEAD,
                .old_device = row->entry.flags & ENTRY_OLD_DEVICE};
        if (row->inner.has_reply_to)
                v->message.reply_to = uuid_format(&row->inner.reply_to, v->reply_to);
}

void chat_view_message(
        Chat *c, DbTxn *txn, const HistoryRow *row, const Contact *peer, MessageView *v) {
        ChatMessage *m = &v->message;

        message_view_begin(row, v);
        view_people(c, txn, peer, v);
        m->from = row->own ? chat_self(c)->name : v->peer_name;
        m->to = row->own ? v->peer_name : chat_self(c)->name;
        m->from_account = row->own ? v->self_account : v->peer_account;
        m->to_account = row->own ? v->peer_account : v->self_account;
        if (row->own && !row->delivered &&
                (row->entry.state == ENTRY_FAILED || row->entry.state == ENTRY_EXPIRED))
                m->reason = code_name(row->entry.reason);
        if (row->own && streq(m->state, "stored"))
                m->replicas =
                        chat_count_replicas(txn, peer->number, row->entry.feed, row->entry.seq);
        view_text(row, v);
}

typedef struct Reading {
        Chat *chat;
        const Contact *peer; /* or of a room, with this number: */
        uint32_t room;
        MessageView *view;
        ChatMessageFn fn;
        void *userdata;
} Reading;

static bool on_row(void *userdata, DbTxn *txn, const HistoryRow *row) {
        Reading *r = userdata;

        if (r->room != 0)
                room_view_message(r->chat, txn, row, r->room, r->view);
        else
                chat_view_message(r->chat, txn, row, r->peer, r->view);
        return r->fn(r->userdata, &r->view->message);
}

static int parse_id(const char *text, const char *what, Uuid *ret, ChatError *error) {
        if (text && uuid_parse(text, ret) < 0)
                return chat_error(
                        error, CODE_INVALID_ARGS, "%s must be the id of a message.", what);
        return 0;
}

/* 1 with the conversation and the other one in it, or the room; 0: nothing was said. */
static int find_conversation(Chat *c, DbTxn *txn, const char *with, uint32_t *ret, Contact *peer,
        uint32_t *ret_room, ChatError *error) {
        uint8_t hash[SHA256_SIZE];
        Conversation v;
        RoomText t;
        RoomRow room;
        int r;

        *ret_room = 0;
        if (with[0] == '#') {
                r = room_text_parse(with, &t, error);
                if (r >= 0)
                        r = room_resolve(txn, &t, &room, error);
                if (r > 0)
                        *ret = *ret_room = room.number;
                return r;
        }
        r = chat_find_contact(txn, with, peer, error);
        if (r <= 0)
                return r; /* nobody known: nothing to show */
        conversation_direct(sign_key_public(&chat_self(c)->account), peer->account, hash);
        r = conversation_find(txn, hash, &v);
        if (r < 0) {
                chat_storage_error(error, r);
                return -ECANCELED;
        }
        *ret = v.number;
        return r;
}

static int read_page(Chat *c, DbTxn *txn, const ChatListMessages *args, ChatMessageFn fn,
        void *userdata, bool *ret_more, ChatError *error) {
        _cleanup_(freep) MessageView *view = message_view_new();
        Reading reading = {.chat = c, .view = view, .fn = fn, .userdata = userdata};
        HistoryPage page = {.limit = args->limit};
        Uuid before, after;
        char why[STORE_TEXT_SIZE];
        Contact peer;
        int r;

        r = parse_id(args->before, "before", &before, error);
        if (r >= 0)
                r = parse_id(args->after, "after", &after, error);
        if (r < 0)
                return r;
        r = find_conversation(c, txn, args->with, &page.conversation, &peer, &reading.room, error);
        if (r <= 0)
                return r;
        if (!view)
                return chat_error(error, CODE_STORAGE, "%s", store_error_text(-ENOMEM, why));
        reading.peer = &peer;
        page.peer = reading.room != 0 ? 0 : peer.number;
        page.before = args->before ? &before : NULL;
        page.after = args->after ? &after : NULL;
        r = history_read(txn, &page, on_row, &reading, ret_more);
        if (r == -ENOENT)
                return chat_error(error, CODE_INVALID_ARGS,
                        "before and after must name messages of this conversation.");
        if (r < 0)
                return chat_error(error, CODE_STORAGE, "%s", store_error_text(r, why));
        return 0;
}

int chat_list_messages(Chat *c, const ChatListMessages *args, ChatMessageFn fn, void *userdata,
        bool *ret_more, ChatError *error) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        char why[STORE_TEXT_SIZE];
        int r;

        *ret_more = false;
        r = chat_require_account(c, error);
        if (r < 0)
                return r;
        r = store_read_begin(c->parts.store, &txn);
        if (r < 0)
                return chat_error(error, CODE_STORAGE, "%s", store_error_text(r, why));
        return read_page(c, txn, args, fn, userdata, ret_more, error);
}

/* Conversations, newest first. They are as many as the people one has written with: sorted in
 * memory, by number and time only. */

typedef struct ConversationItem {
        uint32_t number;
        usec_t last_time;
} ConversationItem;

typedef struct ConversationList {
        ConversationItem *items;
        size_t n, allocated;
        bool failed;
} ConversationList;

static bool on_conversation(void *userdata, DbTxn *txn, const Conversation *v) {
        ConversationList *l = userdata;

        if (l->n == l->allocated) {
                size_t n = MAX(2 * l->allocated, (size_t)64);
                ConversationItem *items = reallocarray(l->items, n, sizeof(*items));

                if (!items) {
                        l->failed = true;
                        return false;
                }
                l->items = items;
                l->allocated = n;
        }
        l->items[l->n++] = (ConversationItem){.number = v->number, .last_time = v->last_time};
        return true;
}

static int newest_first(const void *a, const void *b) {
        const ConversationItem *x = a, *y = b;

        if (x->last_time != y->last_time)
                return x->last_time < y->last_time ? 1 : -1;
        return x->number < y->number ? -1 : x->number > y->number;
}

/* Whose conversation it is: a name, and the account or the id of the room. */
static int name_conversation(Chat *c, DbTxn *txn, const Conversation *v,
        char name[static SHOWN_NAME_SIZE], uint8_t *ret_key) {
        Contact peer;
        RoomRow room;
        int r;

        if (v->peer == 0) {
                r = room_get(txn, v->number, &room);
                if (r <= 0)
                        return r;
                room_row_name(c, txn, &room, name);
                memcpy(ret_key, room.id, KEY_SIZE);
                return 1;
        }
        r = contact_get_by_number(txn, v->peer, &peer);
        if (r <= 0)
                return r;
        contact_shown_name(txn, &peer, name);
        memcpy(ret_key, peer.account, KEY_SIZE);
        return 1;
}

static bool show_conversation(Chat *c, DbTxn *txn, uint32_t number, const char *after, bool *found,
        ChatConversationFn fn, void *userdata) {
        char id[UUID_TEXT_SIZE], text[BASE32_KEY_SIZE + 1], name[SHOWN_NAME_SIZE];
        uint8_t key[KEY_SIZE];
        const char *state;
        Conversation v;
        HistoryRow last;

        _Static_assert(ROOM_SHOWN_SIZE <= SHOWN_NAME_SIZE, "rooms are conversations as well");
        if (conversation_get(txn, number, &v) <= 0 || name_conversation(c, txn, &v, name, key) <= 0)
                return true;
        if (after && !*found) {
                *found = streq(name, after);
                return true;
        }
        if (history_last(txn, number, &last) <= 0)
                return true;
        base32_encode_key(key, text);
        state = v.peer == 0 ? room_message_state(c, txn, number, &last) : own_state(&last);
        return fn(userdata,
                &(ChatConversation){.with = name,
                        .account = v.peer == 0 ? NULL : text,
                        .room_id = v.peer == 0 ? text : NULL,
                        .last_id = uuid_format(&last.inner.id, id),
                        .state = state,
                        .last_time = v.last_time,
                        .unread = v.unread});
}

int chat_list_conversations(Chat *c, const char *after, unsigned limit, ChatConversationFn fn,
        void *userdata, bool *ret_more, ChatError *error) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        ConversationList list = {};
        bool found = false;
        unsigned shown = 0;
        int r;

        *ret_more = false;
        r = chat_require_account(c, error);
        if (r < 0)
                return r;
        r = store_read_begin(c->parts.store, &txn);
        if (r >= 0)
                r = conversation_each(txn, on_conversation, &list);
        if (r < 0 || list.failed) {
                free(list.items);
                return chat_error(error, CODE_STORAGE, "The store could not be read.");
        }
        if (list.n > 0)
                qsort(list.items, list.n, sizeof(*list.items), newest_first);
        for (size_t i = 0; i < list.n; i++) {
                bool before = found || !after;

                if (shown >= limit ||
                        !show_conversation(
                                c, txn, list.items[i].number, after, &found, fn, userdata)) {
                        *ret_more = true;
                        break;
                }
                shown += before;
        }
        free(list.items);
        return 0;
}
