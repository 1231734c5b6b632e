/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Messages of rooms: whose they are, what they say, who has them. */

#include "chat/room.h"

#include <stdio.h>

/* Who has left is called as he was. */
const char *room_author_name(Chat *c, DbTxn *txn, uint32_t room,
        const uint8_t account[static KEY_SIZE], char buf[static SHOWN_NAME_SIZE]) {
        return room_member_name(
                c, txn, account, rooms_claimed_name(c->parts.rooms, room, account), buf);
}

/* Many messages in a row are of one room, and many of them of one author. */
static void view_people(Chat *c, DbTxn *txn, const HistoryRow *row, uint32_t room, MessageView *v) {
        RoomRow r;

        if (v->room != room) {
                v->room_id[0] = v->peer_account[0] = 0;
                if (room_get(txn, room, &r) > 0) {
                        room_row_name(c, txn, &r, v->room_name);
                        base32_encode_key(r.id, v->room_id);
                }
                base32_encode_key(sign_key_public(&chat_self(c)->account), v->self_account);
                v->room = room;
                v->peer = 0;
                memset(v->author, 0, KEY_SIZE);
        }
        if (row->own || key_equal(v->author, row->inner.account))
                return;
        memcpy(v->author, row->inner.account, KEY_SIZE);
        room_author_name(c, txn, room, v->author, v->peer_name);
        base32_encode_key(v->author, v->peer_account);
}

static void view_text(Chat *c, DbTxn *txn, const HistoryRow *row, uint32_t room, MessageView *v) {
        _cleanup_(buffer_done) Buffer text = {};
        int r = 0;

        v->message.text = v->text;
        v->text[0] = 0;
        if (row->inner.kind == KIND_TEXT)
                r = rooms_read_text(c->parts.rooms, txn, room, &row->inner, &text);
        if (row->inner.kind == KIND_TEXT && r == 0) {
                v->message.kind = "sealed"; /* its key may come, but: */
                if (rooms_is_barred(c->parts.rooms, room, &row->inner))
                        v->message.reason = "before-joining";
        } else if (r > 0 && message_text_is_shown(buffer_bytes(&text))) {
                v->message.kind = "text";
                copy_bytes(v->text, buffer_data(&text), buffer_size(&text));
                v->text[buffer_size(&text)] = 0;
        } else
                v->message.kind = "unsupported";
}

void room_count_message(
        Chat *c, DbTxn *txn, uint32_t room, uint32_t feed, uint64_t seq, RoomCount *ret) {
        *ret = (RoomCount){};
        if (rooms_count_delivered(c->parts.rooms, txn, room, feed, seq, &ret->held, &ret->read,
                    &ret->members) < 0)
                *ret = (RoomCount){};
}

static const char *own_state(const RoomCount *n) {
        if (n->held == 0)
                return "queued"; /* nobody else has it */
        if (n->held < n->members)
                return "stored";
        return n->read < n->members ? "delivered" : "read";
}

const char *room_message_state(Chat *c, DbTxn *txn, uint32_t room, const HistoryRow *row) {
        RoomCount n;

        if (!row->own)
                return row->read ? "read" : "received";
        room_count_message(c, txn, room, row->entry.feed, row->entry.seq, &n);
        return own_state(&n);
}

void room_view_message(Chat *c, DbTxn *txn, const HistoryRow *row, uint32_t room, MessageView *v) {
        ChatMessage *m = &v->message;
        RoomCount n;

        message_view_begin(row, v);
        view_people(c, txn, row, room, v);
        m->room = m->to = v->room_name;
        m->room_id = v->room_id;
        m->from = row->own ? chat_self(c)->name : v->peer_name;
        m->from_account = row->own ? v->self_account : v->peer_account;
        m->expires = 0; /* nobody gives up */
        m->gap_before = 0; /* a feed of a room has none */
        if (row->own) {
                room_count_message(c, txn, room, row->entry.feed, row->entry.seq, &n);
                m->state = own_state(&n);
                m->replicas = m->delivered_to = n.held;
                m->read_by = n.read;
                m->members = n.members;
        }
        view_text(c, txn, row, room, v);
}

/* What nobody else has yet, as the outbox shows it */

typedef struct HeldSearch {
        uint64_t head, held;
} HeldSearch;

static bool on_mark(void *userdata, DbTxn *txn, uint32_t account, const RoomMark *m) {
        HeldSearch *s = userdata;

        s->held = MAX(s->held, m->held);
        return s->held < s->head;
}

typedef struct Waiting {
        RoomWaitingFn fn;
        void *userdata;
        uint32_t room;
        uint64_t n;
        bool stopped;
        int error;
} Waiting;

static bool on_entry(void *userdata, DbTxn *txn, const Entry *e) {
        Waiting *w = userdata;

        w->stopped = !w->fn(w->userdata, txn, w->room, e->feed, e->seq);
        return !w->stopped;
}

static bool on_own_feed(void *userdata, DbTxn *txn, const RoomFeed *f) {
        HeldSearch s = {.head = f->feed.seq};
        Waiting *w = userdata;
        int r;

        r = f->feed.seq > 0 ? room_mark_each(txn, w->room, f->feed.number, on_mark, &s) : 0;
        if (r >= 0 && s.held < s.head) {
                w->n += s.head - s.held;
                if (w->fn)
                        r = store_room_entries(txn, f->feed.number, s.held, on_entry, w);
        }
        if (r < 0)
                w->error = r;
        return r >= 0 && !w->stopped;
}

static bool on_room(void *userdata, DbTxn *txn, const RoomRow *row) {
        Waiting *w = userdata;
        int r;

        if (row->status != ROOM_JOINED && row->status != ROOM_JOINING)
                return true;
        w->room = row->number;
        r = room_feed_each_of(txn, row->number, SELF_NUMBER, on_own_feed, w);
        if (r < 0)
                w->error = r;
        return w->error >= 0 && !w->stopped;
}

int rooms_each_waiting(DbTxn *txn, RoomWaitingFn fn, void *userdata, uint64_t *ret_n) {
        Waiting w = {.fn = fn, .userdata = userdata};
        int r;

        r = room_each(txn, on_room, &w);
        if (ret_n)
                *ret_n = w.n;
        return r < 0 ? r : w.error;
}

/* Reading and ids */

typedef struct IdSearch {
        Chat *chat;
        const Uuid *id;
        uint32_t *numbers;
        size_t n;
        bool failed;
} IdSearch;

static bool look_for_id(void *userdata, DbTxn *txn, const RoomRow *row) {
        IdSearch *s = userdata;
        uint32_t feed, *numbers;
        uint64_t seq;

        if (store_room_find_id(txn, row->number, s->id, &feed, &seq) <= 0)
                return true;
        numbers = reallocarray(s->numbers, s->n + 1, sizeof(*numbers));
        s->failed = !numbers;
        if (s->failed)
                return false;
        s->numbers = numbers;
        s->numbers[s->n++] = row->number;
        return true;
}

int room_mark_read_all(Chat *c, const Uuid *id) {
        Store *s = c->parts.store;
        IdSearch search = {.id = id};
        int r;

        r = room_each(store_write(s), look_for_id, &search);
        if (search.failed)
                r = -ENOMEM;
        for (size_t i = 0; r >= 0 && i < search.n; i++) {
                r = store_room_mark_read(s, search.numbers[i], id, loop_realtime(c->parts.loop),
                        delivery_says_read(c->parts.delivery));
                if (r > 0)
                        rooms_read(c->parts.rooms, search.numbers[i]);
        }
        free(search.numbers);
        return r < 0 ? r : search.n > 0;
}

int room_has_id(Chat *c, const Uuid *id) {
        IdSearch search = {.id = id};
        int r;

        r = room_each(store_write(c->parts.store), look_for_id, &search);
        free(search.numbers);
        return r < 0 ? r : search.n > 0;
}
