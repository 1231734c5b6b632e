/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Clients of another device, and the events that they have not acknowledged there. */

#include <stdio.h>

#include "store/handover-private.h"
#include "store/room-private.h"

/* Reading */

typedef struct Clients {
        HandoverWalk *walk;
        int error;
} Clients;

static bool on_client(void *userdata, const char *name, uint64_t cursor, usec_t time) {
        Clients *c = userdata;
        HandoverWalk *w = c->walk;
        HandoverClient h = {.cursor = cursor, .time = time};
        size_t before = buffer_size(w->out);
        Bytes key = text_bytes(name);
        int r;

        /* In the order of their names; few enough to walk over those that are done. */
        r = memcmp(key.data, w->at.data, MIN(key.size, w->at.size));
        if (r < 0 || (r == 0 && key.size <= w->at.size))
                return true;
        snprintf(h.name, sizeof(h.name), "%s", name);
        c->error = handover_put_client(w->out, &h);
        if (c->error < 0 || !walk_take(w, before, c->error))
                return false;
        walk_done(w, key);
        return !w->full;
}

int walk_clients(HandoverWalk *w) {
        Clients c = {.walk = w};
        int r;

        r = event_client_each(w->txn, on_client, &c);
        return r < 0 ? r : c.error < 0 ? c.error : w->full;
}

static int fill_account(HandoverWalk *w, uint32_t number, HandoverEvent *h) {
        Contact c;
        int r;

        if (number == SELF_NUMBER)
                return 1;
        r = contact_get_by_number(w->txn, number, &c);
        if (r <= 0)
                return r;
        h->has_account = true;
        memcpy(h->account, c.account, KEY_SIZE);
        return 1;
}

static int fill_place(HandoverWalk *w, HandoverEvent *h) {
        Conversation v;
        Contact peer;
        Feed f;
        int r;

        r = feed_get(w->txn, h->row.feed, &f);
        if (r > 0)
                r = conversation_get(w->txn, f.conversation, &v);
        if (r > 0)
                r = fill_account(w, f.account, h);
        if (r <= 0)
                return r;
        h->epoch = f.epoch;
        memcpy(h->device, f.device, KEY_SIZE);
        h->has_room = v.peer == 0;
        if (h->has_room) {
                memcpy(h->room, v.hash, ROOM_ID_SIZE);
                return 1;
        }
        r = contact_get_by_number(w->txn, v.peer, &peer);
        if (r <= 0)
                return r;
        h->has_peer = true;
        memcpy(h->peer, peer.account, KEY_SIZE);
        return 1;
}

/* 0: what it is about is no more. */
static int event_fill(HandoverWalk *w, const EventRow *e, HandoverEvent *h) {
        Conversation v;
        int r;

        h->row = *e;
        switch (e->kind) {
        case EVENT_RECEIVED:
        case EVENT_STATE:
        case EVENT_REQUEST:
                return fill_place(w, h);
        case EVENT_PRESENCE:
        case EVENT_KEY:
                return fill_account(w, e->account, h);
        case EVENT_ROOM:
                r = conversation_get(w->txn, e->room, &v);
                if (r <= 0 || v.peer != 0)
                        return MIN(r, 0);
                h->has_room = true;
                memcpy(h->room, v.hash, ROOM_ID_SIZE);
                return fill_account(w, e->account, h);
        default:
                return 0; /* that this device was replaced is its own affair */
        }
}

typedef struct Events {
        HandoverWalk *walk;
        int error;
} Events;

static bool on_event(void *userdata, DbTxn *txn, const EventRow *e) {
        Events *v = userdata;
        HandoverWalk *w = v->walk;
        size_t before = buffer_size(w->out);
        HandoverEvent h = {};
        uint8_t key[8];
        int r;

        r = event_fill(w, e, &h);
        if (r > 0)
                r = handover_put_event(w->out, &h);
        else if (r == 0)
                r = 1;
        v->error = MIN(r, 0);
        if (r < 0 || (r == 0 && !walk_take(w, before, r)))
                return false;
        db_set_u64(key, e->cursor);
        walk_done(w, (Bytes){.data = key, .size = sizeof(key)});
        return !w->full;
}

static bool note_lowest(void *userdata, const char *name, uint64_t cursor, usec_t time) {
        uint64_t *lowest = userdata;

        *lowest = MIN(*lowest, cursor);
        return true;
}

/* Those that some client has not acknowledged: without a client there are none. */
int walk_events(HandoverWalk *w) {
        Events v = {.walk = w};
        uint64_t after = UINT64_MAX;
        int r = 0;

        if (w->at.size == 8)
                after = db_get_u64(w->at.data);
        else
                r = event_client_each(w->txn, note_lowest, &after);
        if (r >= 0)
                r = event_each(w->txn, after, on_event, &v);
        return r < 0 ? r : v.error < 0 ? v.error : w->full;
}

/* Merging. What a client that is ahead here had not acknowledged there comes again at the end: from
 * the lowest such cursor on, which is kept until the transfer is over. */

#define AGAIN "handover-again"

static int again_get(DbTxn *txn, uint64_t *ret) {
        RowReader row;
        DbValue v;
        int r;

        *ret = UINT64_MAX;
        r = store_meta_get(txn, AGAIN, &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        *ret = row_u64(&row);
        return row_end(&row);
}

static int again_note(Store *s, uint64_t cursor) {
        DbKey k = store_meta_key(AGAIN);
        uint64_t before;
        int r;

        r = again_get(db_write(s->db), &before);
        if (r < 0 || cursor >= before)
                return MIN(r, 0);
        row_start(&s->row);
        row_put_u64(&s->row, cursor);
        return row_write(db_write(s->db), TABLE_META, &k, &s->row);
}

int handover_merge_reset(Store *s) {
        DbKey k = store_meta_key(AGAIN);
        int r;

        r = db_del(db_write(s->db), TABLE_META, &k);
        return MIN(r, 0);
}

int merge_client(HandoverMerge *m, Bytes item) {
        uint64_t here;
        HandoverClient c;
        int r;

        r = handover_get_client(item, &c);
        if (r >= 0)
                r = event_client_get(db_write(m->store->db), c.name, &here);
        if (r < 0)
                return r;
        if (r > 0 && here > c.cursor) {
                r = again_note(m->store, c.cursor);
                return MIN(r, 0);
        }
        r = event_client_merge(m->store, c.name, c.cursor, c.time, m->now);
        return r == -EUSERS ? 0 : r;
}

static int find_account(HandoverMerge *m, const HandoverEvent *h, uint32_t *ret) {
        Contact c;
        int r;

        *ret = SELF_NUMBER;
        if (!h->has_account)
                return 1;
        r = contact_get(db_write(m->store->db), h->account, &c);
        *ret = c.number;
        return r;
}

static int find_room(HandoverMerge *m, const HandoverEvent *h, uint32_t *ret) {
        Conversation v;
        int r;

        r = conversation_find_room(db_write(m->store->db), h->room, &v);
        *ret = v.number;
        return r;
}

static int find_direct(HandoverMerge *m, const HandoverEvent *h, uint32_t *ret) {
        uint8_t hash[SHA256_SIZE];
        Conversation v;
        int r;

        conversation_direct(sign_key_public(&m->self->account), h->peer, hash);
        r = conversation_find(db_write(m->store->db), hash, &v);
        *ret = v.number;
        return r;
}

static int find_place(HandoverMerge *m, const HandoverEvent *h, EventRow *e) {
        uint32_t conversation, account;
        Feed f;
        int r;

        r = h->has_room ? find_room(m, h, &conversation) : find_direct(m, h, &conversation);
        if (r > 0)
                r = find_account(m, h, &account);
        if (r > 0)
                r = feed_find(
                        db_write(m->store->db), conversation, account, h->epoch, h->device, &f);
        e->feed = f.number;
        return r;
}

/* A message that came here by itself, or only after this device had taken over, is told of by an
 * event of this device. */
static int is_told(HandoverMerge *m, const HandoverEvent *h, const EventRow *e) {
        Entry entry;
        int r;

        if (e->kind != EVENT_RECEIVED && e->kind != EVENT_REQUEST)
                return 0;
        r = entry_get(db_write(m->store->db), e->feed, e->seq, &entry);
        if (r <= 0)
                return r < 0 ? r : 1; /* there is nothing to tell */
        if (h->has_room)
                return !(entry.flags & ENTRY_UNTOLD);
        if (e->kind == EVENT_RECEIVED)
                return !(entry.flags & ENTRY_UNTOLD) ||
                        (m->taken_over > 0 && entry.received > m->taken_over);
        return entry.received != e->time || (m->taken_over > 0 && e->time > m->taken_over);
}

/* Rows of this device that are looked through for one that is told of already. */
#define HEARD_MAX 4096

typedef struct Hearing {
        const EventRow *wanted;
        unsigned left;
        bool found;
} Hearing;

static bool on_own_event(void *userdata, DbTxn *txn, const EventRow *e) {
        Hearing *h = userdata;

        h->found |= e->kind == h->wanted->kind && e->feed == h->wanted->feed &&
                e->seq == h->wanted->seq;
        return !h->found && --h->left > 0;
}

/* The event that there is of it here is before the cursors of all clients, which are those of the
 * other device where that knows them to be further on: there it has not been acknowledged. */
static int is_passed_over(HandoverMerge *m, const EventRow *e) {
        Hearing h = {.wanted = e, .left = HEARD_MAX};
        uint64_t lowest = UINT64_MAX;
        int r;

        r = event_client_each(db_write(m->store->db), note_lowest, &lowest);
        if (r >= 0)
                r = event_each(db_write(m->store->db), lowest, on_own_event, &h);
        return r < 0 ? r : lowest < UINT64_MAX && !h.found && h.left > 0;
}

/* To be read, and nothing that is news. */
static int import_passed_over(HandoverMerge *m, const EventRow *e) {
        int r;

        r = is_passed_over(m, e);
        if (r > 0)
                r = event_import(m->store, e);
        return r == -ERANGE ? 0 : r;
}

/* 0: what it is about is not here. */
static int event_place(HandoverMerge *m, const HandoverEvent *h, EventRow *e) {
        int r;

        switch (e->kind) {
        case EVENT_RECEIVED:
        case EVENT_STATE:
        case EVENT_REQUEST:
                return find_place(m, h, e);
        case EVENT_ROOM:
                r = find_room(m, h, &e->room);
                return r <= 0 ? r : find_account(m, h, &e->account);
        default:
                return h->has_account ? find_account(m, h, &e->account) : 0;
        }
}

int merge_event(HandoverMerge *m, Bytes item) {
        DbTxn *txn = db_write(m->store->db);
        HandoverEvent h;
        uint64_t again;
        EventRow e;
        int r;

        r = handover_get_event(item, &h);
        if (r < 0)
                return r;
        e = h.row;
        r = event_place(m, &h, &e);
        if (r <= 0)
                return r;
        r = is_told(m, &h, &e);
        if (r > 0 && e.kind == EVENT_RECEIVED)
                return import_passed_over(m, &e);
        if (r != 0)
                return MIN(r, 0);
        r = again_get(txn, &again);
        if (r < 0)
                return r;
        r = e.cursor > again ? -ERANGE : event_import(m->store, &e);
        if (r == -ERANGE) {
                r = event_add(m->store, &e);
                r = r < 0 ? r : 1;
        }
        if (r > 0 && e.kind == EVENT_RECEIVED) {
                r = handover_told(m, e.feed, e.seq);
                r = r < 0 ? r : 1;
        }
        return r;
}
