/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What has not been delivered, taking it back, and what has been read. */

#include "chat/room.h"

typedef struct Page {
        Chat *chat;
        Contact to; /* the recipient of the rows at hand */
        FeedCache *cache;
        MessageView *view;
        ChatMessageFn fn;
        void *userdata;
        unsigned left;
} Page;

/* 1 to go on, 0 when no more fit. */
static int show_row(Page *p, DbTxn *txn, const OutboxRow *row) {
        HistoryRow h;
        int r;

        if (p->to.number != row->recipient) {
                r = contact_get_by_number(txn, row->recipient, &p->to);
                if (r <= 0)
                        return r < 0 ? r : store_damaged(txn);
        }
        r = history_get_next(txn, row->at.feed, row->at.seq, p->cache, &h);
        if (r <= 0)
                return r < 0 ? r : store_damaged(txn);
        chat_view_message(p->chat, txn, &h, &p->to, p->view);
        return p->fn(p->userdata, &p->view->message);
}

static int show_rows(Page *p, DbTxn *txn, const OutboxRow *after, bool *ret_more) {
        OutboxWalk w;
        OutboxRow row;
        int r;

        r = outbox_walk_all(txn, after, &w);
        if (r < 0)
                return r;
        while ((r = outbox_walk_next(&w, &row)) > 0) {
                *ret_more = p->left == 0;
                if (*ret_more)
                        break;
                r = show_row(p, txn, &row);
                if (r <= 0) {
                        *ret_more = r == 0;
                        break;
                }
                p->left--;
        }
        outbox_walk_end(&w);
        return r < 0 ? r : 0;
}

/* Messages of rooms come after all others. */
typedef struct RoomPage {
        Page *page;
        const Uuid *after; /* NULL: from the first */
        bool more;
        int error;
} RoomPage;

static bool show_room_row(void *userdata, DbTxn *txn, uint32_t room, uint32_t feed, uint64_t seq) {
        RoomPage *rp = userdata;
        Page *p = rp->page;
        HistoryRow h;
        int r;

        r = history_get_next(txn, feed, seq, p->cache, &h);
        if (r <= 0) {
                rp->error = r < 0 ? r : store_damaged(txn);
                return false;
        }
        if (rp->after) {
                if (uuid_equal(rp->after, &h.inner.id))
                        rp->after = NULL;
                return true;
        }
        rp->more = p->left == 0;
        if (rp->more)
                return false;
        room_view_message(p->chat, txn, &h, room, p->view);
        rp->more = !p->fn(p->userdata, &p->view->message);
        p->left--;
        return !rp->more;
}

static int show_rooms(Page *p, DbTxn *txn, const Uuid *after, bool *ret_more) {
        RoomPage rp = {.page = p, .after = after};
        int r;

        r = rooms_each_waiting(txn, show_room_row, &rp, NULL);
        *ret_more = rp.more;
        return r < 0 ? r : rp.error;
}

int chat_list_outbox(Chat *c, const char *after, unsigned limit, ChatMessageFn fn, void *userdata,
        bool *ret_more, ChatError *error) {
        _cleanup_(freep) MessageView *view = message_view_new();
        _cleanup_(freep) FeedCache *cache = calloc(1, sizeof(*cache));
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        Page p = {.chat = c,
                .cache = cache,
                .view = view,
                .fn = fn,
                .userdata = userdata,
                .left = limit};
        bool in_rooms = false;
        OutboxRow start;
        Uuid id;
        int r;

        *ret_more = false;
        r = chat_require_account(c, error);
        if (r < 0)
                return r;
        if (after && uuid_parse(after, &id) < 0)
                return chat_error(error, CODE_INVALID_ARGS, "after must be the id of a message.");
        r = view && cache ? store_read_begin(c->parts.store, &txn) : -ENOMEM;
        if (r >= 0 && after) {
                r = outbox_find(txn, &id, &start);
                in_rooms = r == 0 && room_has_id(c, &id) > 0;
                if (r == 0 && !in_rooms)
                        return chat_error(error, CODE_INVALID_ARGS,
                                "after must name a message that was sent from here.");
        }
        if (r >= 0 && !in_rooms)
                r = show_rows(&p, txn, after ? &start : NULL, ret_more);
        if (r >= 0 && !*ret_more)
                r = show_rooms(&p, txn, in_rooms ? &id : NULL, ret_more);
        if (r < 0)
                return chat_error(
                        error, CODE_STORAGE, "The store could not be read: %s.", strerror(-r));
        return 0;
}

static int parse_id(const char *id, Uuid *ret, ChatError *error) {
        if (uuid_parse(id, ret) >= 0)
                return 0;
        return chat_error(error, CODE_INVALID_ARGS, "An id is a UUID, as Send answers it.");
}

static int cancel(Chat *c, const char *text, ChatError *error) {
        Uuid id;
        int r;

        r = chat_require_login(c, error);
        if (r >= 0)
                r = parse_id(text, &id, error);
        if (r < 0)
                return r;
        r = store_cancel(c->parts.store, &id, loop_realtime(c->parts.loop));
        if (r == -ENOENT && room_has_id(c, &id) > 0)
                return chat_error(error, CODE_NOT_ALLOWED,
                        "What was said in a room cannot be taken back: its members have it.");
        if (r == -ENOENT)
                return chat_error(error, CODE_INVALID_ARGS,
                        "No message with this id was sent from here: chatc outbox lists them.");
        if (r == -EALREADY)
                return chat_error(error, CODE_NOT_ALLOWED,
                        "This message has been delivered, or was given up before: it cannot be "
                        "taken back.");
        if (r < 0)
                chat_storage_error(error, r);
        return r;
}

void chat_cancel(Chat *c, const char *id, ChatDoneFn fn, void *userdata) {
        Operation *o = operation_new(c, fn, userdata);
        ChatError e;

        if (!o)
                return;
        if (cancel(c, id, &e) < 0)
                operation_end(o, &e);
        else
                operation_await_commit(o);
}

/* Nobody prevents two people from giving their messages the same id: all of them are meant. */
typedef struct Reading {
        Uuid id;
        uint32_t *peers;
        size_t n;
        bool failed;
} Reading;

static bool note_peer(void *userdata, DbTxn *txn, const Conversation *v) {
        Reading *r = userdata;
        uint32_t feed, *peers;
        uint64_t seq;

        if (v->peer == 0)
                return true; /* a room */
        if (store_find_id(txn, v->peer, &r->id, &feed, &seq) <= 0)
                return true;
        peers = reallocarray(r->peers, r->n + 1, sizeof(*peers));
        r->failed = !peers;
        if (r->failed)
                return false;
        r->peers = peers;
        r->peers[r->n++] = v->peer;
        return true;
}

/* Up to ID of the account NUMBER. That it is to be told is kept in the same batch, else a crash
 * could forget it. */
static int mark_read_up_to(Chat *c, uint32_t number, const Uuid *id) {
        Store *s = c->parts.store;
        Contact author;
        uint32_t peer;
        int r;

        r = store_mark_read(s, number, id, loop_realtime(c->parts.loop),
                delivery_says_read(c->parts.delivery), &peer);
        if (r > 0 && contact_get_by_number(store_write(s), peer, &author) > 0)
                delivery_read(c->parts.delivery, author.account);
        return r;
}

static int mark_read(Chat *c, const char *text, ChatError *error) {
        Store *s = c->parts.store;
        Reading v = {};
        bool found = false;
        int r;

        r = chat_require_login(c, error);
        if (r >= 0)
                r = parse_id(text, &v.id, error);
        if (r < 0)
                return r;
        r = mark_read_up_to(c, SELF_NUMBER, &v.id);
        found = r >= 0;
        if (r >= 0 || r == -ENOENT)
                r = conversation_each(store_write(s), note_peer, &v);
        if (v.failed)
                r = -ENOMEM;
        for (size_t i = 0; r >= 0 && i < v.n; i++) {
                r = mark_read_up_to(c, v.peers[i], &v.id);
                found |= r >= 0;
        }
        free(v.peers);
        if (r >= 0) {
                r = room_mark_read_all(c, &v.id);
                found |= r > 0;
        }
        if (r < 0)
                chat_storage_error(error, r);
        else if (!found)
                return chat_error(error, CODE_INVALID_ARGS, "There is no message with this id.");
        return r;
}

void chat_mark_read(Chat *c, const char *id, ChatDoneFn fn, void *userdata) {
        Operation *o = operation_new(c, fn, userdata);
        ChatError e;

        if (!o)
                return;
        if (mark_read(c, id, &e) < 0)
                operation_end(o, &e);
        else
                operation_await_commit(o);
}
