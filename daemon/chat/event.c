/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What has happened: told after the commit, and read again from where a client got to. */

#include <stdio.h>

#include "chat/room.h"

/* Strings of a ChatEvent, which points into it. */
typedef struct EventView {
        ChatEvent event;
        char id[UUID_TEXT_SIZE];
        char account[BASE32_KEY_SIZE + 1], other[BASE32_KEY_SIZE + 1];
        char name[SHOWN_NAME_SIZE];
        char room_name[ROOM_SHOWN_SIZE], room_id[BASE32_KEY_SIZE + 1];
        char topic[ROOM_TOPIC_MAX + 1];
        char inviter[SHOWN_NAME_SIZE], inviter_account[BASE32_KEY_SIZE + 1];
        uint32_t feed; /* whose people the strings above name; 0: none */
        uint32_t room; /* that the feed is of; 0: none, and */
        Contact peer; /* the other one in the conversation of that feed */
        bool own; /* it is a feed of this account's */
        FeedCache cache;
        MessageView message;
} EventView;

/* Most of it is room for a text, which need not be cleared. */
static EventView *view_new(void) {
        EventView *v = malloc(sizeof(*v));

        if (v) {
                v->feed = 0;
                v->cache.feed.number = 0;
                message_view_init(&v->message);
        }
        return v;
}

static int view_room(Chat *c, DbTxn *txn, uint32_t room, EventView *v) {
        RoomRow row;
        int r;

        r = room_get(txn, room, &row);
        if (r <= 0)
                return r;
        room_row_name(c, txn, &row, v->room_name);
        base32_encode_key(row.id, v->room_id);
        return 1;
}

/* A feed of a room: its author is the other one, or it is one's own. */
static int view_room_feed(Chat *c, DbTxn *txn, const Feed *f, EventView *v) {
        const uint8_t *account = sign_key_public(&chat_self(c)->account);
        int r;

        r = view_room(c, txn, f->conversation, v);
        if (r > 0 && f->account != SELF_NUMBER) {
                r = contact_get_by_number(txn, f->account, &v->peer);
                account = v->peer.account;
        }
        if (r <= 0)
                return r;
        base32_encode_key(account, v->account);
        v->feed = f->number;
        v->room = f->conversation;
        v->own = f->account == SELF_NUMBER;
        return 1;
}

/* The other one in the conversation of a feed. Many events in a row are about the same. */
static int view_feed(Chat *c, DbTxn *txn, uint32_t feed, EventView *v) {
        Conversation conversation;
        Feed f;
        int r;

        if (v->feed == feed)
                return 1;
        v->feed = v->room = 0;
        r = feed_get(txn, feed, &f);
        if (r > 0)
                r = conversation_get(txn, f.conversation, &conversation);
        if (r > 0 && conversation.peer == 0)
                return view_room_feed(c, txn, &f, v);
        if (r > 0)
                r = contact_get_by_number(txn, conversation.peer, &v->peer);
        if (r <= 0)
                return r;
        contact_shown_name(txn, &v->peer, v->name);
        base32_encode_key(v->peer.account, v->account);
        v->feed = feed;
        v->own = f.account == SELF_NUMBER;
        return 1;
}

static int view_received(Chat *c, DbTxn *txn, const EventRow *row, EventView *v) {
        HistoryRow h;
        int r;

        r = view_feed(c, txn, row->feed, v);
        if (r > 0)
                r = history_get_next(txn, row->feed, row->seq, &v->cache, &h);
        if (r <= 0)
                return r;
        if (v->room != 0)
                room_view_message(c, txn, &h, v->room, &v->message);
        else
                chat_view_message(c, txn, &h, &v->peer, &v->message);
        v->event.message = &v->message.message;
        v->event.account = v->message.message.from_account;
        v->event.request = row->request;
        return 1;
}

static void view_room_state(Chat *c, DbTxn *txn, const EventRow *row, EventView *v) {
        RoomCount n;

        v->event.to = v->event.room = v->room_name;
        v->event.room_id = v->room_id;
        if (!v->own)
                return;
        room_count_message(c, txn, v->room, row->feed, row->seq, &n);
        v->event.replicas = v->event.delivered_to = n.held;
        v->event.read_by = n.read;
        v->event.members = n.members;
}

static int view_state(Chat *c, DbTxn *txn, const EventRow *row, EventView *v) {
        int r;

        r = view_feed(c, txn, row->feed, v);
        if (r <= 0)
                return r;
        v->event.id = uuid_format(&row->id, v->id);
        v->event.to = v->own ? v->name : chat_self(c)->name;
        v->event.account = v->account;
        v->event.state = message_state_name(row->state);
        v->event.reason = row->reason == CODE_OK ? NULL : code_name(row->reason);
        if (v->room != 0)
                view_room_state(c, txn, row, v);
        else if (row->state == MESSAGE_STORED)
                v->event.replicas = chat_count_replicas(txn, v->peer.number, row->feed, row->seq);
        return 1;
}

static int view_presence(DbTxn *txn, const EventRow *row, EventView *v) {
        Contact peer;
        int r;

        v->feed = 0;
        r = contact_get_by_number(txn, row->account, &peer);
        if (r <= 0)
                return r;
        v->event.name = contact_shown_name(txn, &peer, v->name);
        v->event.account = base32_encode_key(peer.account, v->account);
        v->event.presence = presence_name(row->presence);
        v->event.key = row->kind == EVENT_KEY;
        v->event.key_changed = row->key_changed;
        if (row->key_changed)
                v->event.other_account = base32_encode_key(row->other, v->other);
        return 1;
}

static void view_inviter(DbTxn *txn, uint32_t room, EventView *v) {
        Contact k;
        RoomRow row;

        if (room_get(txn, room, &row) <= 0 || row.inviter == SELF_NUMBER ||
                contact_get_by_number(txn, row.inviter, &k) <= 0)
                return;
        v->event.inviter = contact_shown_name(txn, &k, v->inviter);
        v->event.inviter_account = base32_encode_key(k.account, v->inviter_account);
        v->event.request = !contact_is_accepted(&k);
}

static int view_change(Chat *c, DbTxn *txn, const EventRow *row, EventView *v) {
        const uint8_t *account = sign_key_public(&chat_self(c)->account);
        Contact k;
        int r;

        v->feed = 0;
        r = view_room(c, txn, row->room, v);
        if (r > 0 && row->account != SELF_NUMBER) {
                r = contact_get_by_number(txn, row->account, &k);
                account = k.account;
        }
        if (r <= 0)
                return r;
        v->event.room = v->room_name;
        v->event.room_id = v->room_id;
        v->event.change = room_event_name(row->change);
        if (row->says && row->change == ROOM_EVENT_TOPIC) {
                copy_bytes(v->topic, row->topic.data, row->topic.size);
                v->topic[row->topic.size] = '\0';
                v->event.topic = v->topic;
        }
        if (row->change == ROOM_EVENT_INVITED && row->account == SELF_NUMBER)
                view_inviter(txn, row->room, v);
        v->event.name = room_author_name(c, txn, row->room, account, v->name);
        v->event.account = base32_encode_key(account, v->account);
        if (row->says && row->role != ROOM_ROLE_NONE)
                v->event.role = room_role_name(row->role);
        return 1;
}

/* 0: what it is about is not here any more. */
static int view_event(Chat *c, DbTxn *txn, const EventRow *row, EventView *v) {
        static const ChatEventKind kinds[] = {
                [EVENT_RECEIVED] = CHAT_EVENT_MESSAGE,
                [EVENT_STATE] = CHAT_EVENT_STATE,
                [EVENT_PRESENCE] = CHAT_EVENT_PEER,
                [EVENT_REQUEST] = CHAT_EVENT_REQUEST,
                [EVENT_KEY] = CHAT_EVENT_PEER,
                [EVENT_ROOM] = CHAT_EVENT_ROOM,
                [EVENT_REPLACED] = CHAT_EVENT_REPLACED,
        };

        v->event = (ChatEvent){.kind = kinds[row->kind], .cursor = row->cursor, .time = row->time};
        switch (row->kind) {
        case EVENT_RECEIVED:
        case EVENT_REQUEST:
                return view_received(c, txn, row, v);
        case EVENT_STATE:
                return view_state(c, txn, row, v);
        case EVENT_ROOM:
                return view_change(c, txn, row, v);
        case EVENT_REPLACED:
                v->feed = 0;
                v->event.name = chat_self(c)->name;
                v->event.account =
                        base32_encode_key(sign_key_public(&chat_self(c)->account), v->account);
                return 1;
        default:
                return view_presence(txn, row, v);
        }
}

/* Telling */

typedef struct Telling {
        Chat *chat;
        EventView *view;
        bool states;
} Telling;

static bool is_given_up(const EventRow *row) {
        return row->kind == EVENT_STATE &&
                (row->state == MESSAGE_FAILED || row->state == MESSAGE_EXPIRED);
}

static bool tell(void *userdata, DbTxn *txn, const EventRow *row) {
        Telling *t = userdata;
        Chat *c = t->chat;

        c->told_event = row->cursor;
        t->states |= row->kind == EVENT_STATE;
        if (is_given_up(row) && view_feed(c, txn, row->feed, t->view) > 0 && t->view->own &&
                t->view->room == 0)
                delivery_gave_up(c->parts.delivery, t->view->peer.account);
        if (c->n_listeners == 0 || view_event(c, txn, row, t->view) <= 0)
                return true;
        if (row->kind == EVENT_RECEIVED && t->view->room != 0)
                room_objects_follow(c, txn, t->view->room);
        else if (row->kind == EVENT_RECEIVED && chat_is_readable(c))
                objects_add(c, &t->view->peer);
        if (row->kind == EVENT_REQUEST)
                names_confirm(c, txn, &t->view->peer);
        for (size_t i = 0; i < c->n_listeners; i++)
                c->listeners[i].listener->event(c->listeners[i].userdata, &t->view->event);
        return true;
}

void chat_on_events(Chat *c, int error) {
        _cleanup_(freep) EventView *view = NULL;
        Telling t = {.chat = c};
        DbTxn *txn;

        if (error < 0) {
                told_free_all(c); /* what was news is news again */
                return;
        }
        view = view_new();
        if (!view || store_read_begin(c->parts.store, &txn) < 0)
                return; /* the next batch tells them */
        t.view = view;
        (void)event_each(txn, c->told_event, tell, &t);
        store_read_end(txn);
        if (t.states)
                chat_properties_changed(c, CHAT_QUEUED);
}

static bool read_bounds(Chat *c, EventBounds *ret) {
        DbTxn *txn;
        int r;

        if (store_read_begin(c->parts.store, &txn) < 0)
                return false;
        r = event_bounds(txn, ret);
        store_read_end(txn);
        return r >= 0;
}

/* What happened before is for those who ask. */
void chat_events_start(Chat *c) {
        EventBounds b;

        if (read_bounds(c, &b))
                c->told_event = b.last;
}

/* And so is what happened on another device, in an epoch before. */
void chat_events_begin_epoch(Chat *c) {
        EventBounds b;

        if (read_bounds(c, &b))
                c->told_event = MAX(c->told_event, b.epoch - 1);
}

/* Asking */

typedef struct Listing {
        Chat *chat;
        EventView *view;
        ChatEventFn fn;
        void *userdata;
        unsigned left;
        uint64_t next;
        int error;
} Listing;

static bool list_row(void *userdata, DbTxn *txn, const EventRow *row) {
        Listing *l = userdata;
        int r;

        if (l->left == 0)
                return false;
        r = view_event(l->chat, txn, row, l->view);
        if (r < 0)
                l->error = r;
        if (r < 0 || (r > 0 && !l->fn(l->userdata, &l->view->event)))
                return false;
        l->left -= r > 0;
        l->next = row->cursor;
        return true;
}

/* Where to begin: RET_AFTER, before which LOST events are not kept any more. A cursor from the
 * future belongs to a store that was there before this copy of it was restored. Events of earlier
 * epochs may have come from another device, which leaves out what is told here already. */
static void find_start(const EventBounds *b, uint64_t cursor, uint64_t *ret_after, uint64_t *lost) {
        uint64_t oldest = b->first - 1, from = MAX(cursor, b->epoch - 1);

        *lost = cursor > 0 && from < oldest ? oldest - from : 0;
        *ret_after = CLAMP(cursor, oldest, b->last);
}

static int list_events(DbTxn *txn, const ChatListEvents *args, Listing *l) {
        uint64_t cursor = args->cursor, lost;
        EventBounds b;
        int r;

        r = event_bounds(txn, &b);
        if (r >= 0 && args->client && cursor == 0)
                r = event_client_get(txn, args->client, &cursor);
        if (r < 0)
                return r;
        find_start(&b, cursor, &l->next, &lost);
        if ((lost > 0 || (cursor > b.last && cursor != CHAT_CURSOR_END)) &&
                (!l->fn(l->userdata,
                         &(ChatEvent){.kind = CHAT_EVENT_GAP, .cursor = l->next, .lost = lost}) ||
                        --l->left == 0))
                return 0;
        r = event_each(txn, l->next, list_row, l);
        return r < 0 ? r : l->error;
}

static int check_client(const char *client, ChatError *error) {
        if (!client || event_client_name_is_valid(client))
                return 0;
        return chat_error(error, CODE_INVALID_ARGS,
                "The name of a client is 1 to %d of a-z A-Z 0-9 . _ -", EVENT_CLIENT_NAME_MAX);
}

int chat_list_events(Chat *c, const ChatListEvents *args, ChatEventFn fn, void *userdata,
        uint64_t *ret_next, ChatError *error) {
        _cleanup_(freep) EventView *view = view_new();
        Listing l = {.chat = c, .view = view, .fn = fn, .userdata = userdata, .left = args->max};
        DbTxn *txn;
        int r;

        r = check_client(args->client, error);
        if (r < 0)
                return r;
        r = view ? store_read_begin(c->parts.store, &txn) : -ENOMEM;
        if (r >= 0) {
                r = list_events(txn, args, &l);
                store_read_end(txn);
        }
        if (r < 0)
                return chat_error(
                        error, CODE_STORAGE, "The store could not be read: %s.", strerror(-r));
        *ret_next = l.next;
        return 0;
}

static int ack_events(Chat *c, const char *client, uint64_t cursor, ChatError *error) {
        int r;

        r = check_client(client, error);
        if (r < 0)
                return r;
        r = event_client_ack(c->parts.store, client, cursor, loop_realtime(c->parts.loop));
        if (r == -ERANGE)
                return chat_error(error, CODE_INVALID_ARGS,
                        "There is no event %llu yet: acknowledge cursors that ListEvents gave.",
                        (unsigned long long)cursor);
        if (r == -EUSERS)
                return chat_error(error, CODE_TOO_MANY,
                        "%d clients are remembered already, all of them in use lately.",
                        EVENT_CLIENTS_MAX);
        if (r < 0)
                chat_storage_error(error, r);
        return r;
}

void chat_ack_events(Chat *c, const char *client, uint64_t cursor, ChatDoneFn fn, void *userdata) {
        Operation *o = operation_new(c, fn, userdata);
        ChatError e;

        if (!o)
                return;
        if (ack_events(c, client, cursor, &e) < 0)
                operation_end(o, &e);
        else
                operation_await_commit(o);
}
