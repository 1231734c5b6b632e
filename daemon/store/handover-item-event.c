/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/handover-cbor.h"
#include "util/text.h"

/* Clients and events */

int handover_put_client(Buffer *out, const HandoverClient *c) {
        CborWriter w;

        item_begin(&w, out, HANDOVER_CLIENT);
        cbor_pair_text(&w, 1, c->name);
        cbor_pair_uint(&w, 2, c->cursor);
        cbor_pair_uint(&w, 3, c->time);
        return item_end(&w);
}

int handover_get_client(Bytes item, HandoverClient *ret) {
        ItemReader i = item_open(item, HANDOVER_CLIENT);
        uint64_t key;
        Bytes b;

        *ret = (HandoverClient){};
        while (item_next(&i, &key))
                switch (key) {
                case 1:
                        b = cbor_read_text(&i.r, EVENT_CLIENT_NAME_MAX);
                        copy_bytes(ret->name, b.data, b.size);
                        break;
                case 2:
                        ret->cursor = cbor_read_uint(&i.r);
                        break;
                case 3:
                        ret->time = cbor_read_uint(&i.r);
                        break;
                default:
                        cbor_unknown_key(&i.r, key);
                }
        if (!event_client_name_is_valid(ret->name))
                cbor_refuse(&i.r);
        return item_close(&i, CBOR_BIT(1) | CBOR_BIT(2) | CBOR_BIT(3));
}

static void put_place(CborWriter *w, const HandoverEvent *e) {
        cbor_pair_uint(w, 7, e->epoch);
        cbor_pair_bytes(w, 8, e->device, KEY_SIZE);
        cbor_pair_uint(w, 9, e->row.seq);
}

static void put_what(CborWriter *w, const EventRow *e) {
        if (e->kind == EVENT_STATE)
                cbor_pair_bytes(w, 10, &e->id, sizeof(e->id));
        pair_positive(w, 11, e->state);
        pair_positive(w, 12, e->reason);
        pair_true(w, 13, e->request);
        pair_positive(w, 14, e->presence);
        pair_true(w, 15, e->key_changed);
        if (e->kind == EVENT_KEY)
                cbor_pair_bytes(w, 16, e->other, KEY_SIZE);
        if (e->kind != EVENT_ROOM)
                return;
        cbor_pair_uint(w, 17, e->change);
        if (e->says)
                cbor_pair_uint(w, 18, e->role);
        cbor_pair_some(w, 19, e->topic);
}

int handover_put_event(Buffer *out, const HandoverEvent *e) {
        CborWriter w;

        item_begin(&w, out, HANDOVER_EVENT);
        cbor_pair_uint(&w, 1, e->row.cursor);
        cbor_pair_uint(&w, 2, e->row.kind);
        cbor_pair_uint(&w, 3, e->row.time);
        if (e->has_account)
                cbor_pair_bytes(&w, 4, e->account, KEY_SIZE);
        if (e->has_room)
                cbor_pair_bytes(&w, 5, e->room, ROOM_ID_SIZE);
        if (e->has_peer)
                cbor_pair_bytes(&w, 6, e->peer, KEY_SIZE);
        if (e->row.seq > 0)
                put_place(&w, e);
        put_what(&w, &e->row);
        return item_end(&w);
}

static void read_what(CborReader *r, uint64_t key, EventRow *e) {
        switch (key) {
        case 10:
                cbor_read_fixed(r, &e->id, sizeof(e->id));
                break;
        case 11:
                e->state = (MessageState)cbor_read_positive(r, _MESSAGE_STATE_MAX - 1);
                break;
        case 12:
                e->reason = (Code)cbor_read_positive(r, _CODE_MAX - 1);
                break;
        case 13:
                read_true(r, &e->request);
                break;
        case 14:
                e->presence = (Presence)cbor_read_positive(r, _PRESENCE_MAX - 1);
                break;
        case 15:
                read_true(r, &e->key_changed);
                break;
        case 16:
                cbor_read_fixed(r, e->other, KEY_SIZE);
                break;
        case 17:
                e->change = (RoomEventKind)cbor_read_uint_max(r, _ROOM_EVENT_MAX - 1);
                break;
        case 18:
                e->role = (RoomRole)cbor_read_uint_max(r, _ROOM_ROLE_MAX - 1);
                e->says = true;
                break;
        case 19:
                e->topic = cbor_read_some(r, ROOM_TOPIC_MAX);
                if (!utf8_is_valid(e->topic.data, e->topic.size) ||
                        memchr(e->topic.data, 0, e->topic.size))
                        cbor_refuse(r);
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

static void read_event(CborReader *r, uint64_t key, HandoverEvent *e) {
        switch (key) {
        case 1:
                e->row.cursor = cbor_read_uint_max(r, INT64_MAX);
                break;
        case 2:
                e->row.kind = (EventKind)cbor_read_positive(r, EVENT_ROOM);
                break;
        case 3:
                e->row.time = cbor_read_uint(r);
                break;
        case 4:
                cbor_read_fixed(r, e->account, KEY_SIZE);
                e->has_account = true;
                break;
        case 5:
                cbor_read_fixed(r, e->room, ROOM_ID_SIZE);
                e->has_room = true;
                break;
        case 6:
                cbor_read_fixed(r, e->peer, KEY_SIZE);
                e->has_peer = true;
                break;
        case 7:
                e->epoch = cbor_read_uint(r);
                break;
        case 8:
                cbor_read_fixed(r, e->device, KEY_SIZE);
                break;
        case 9:
                e->row.seq = cbor_read_positive(r, SEQ_MAX);
                break;
        default:
                read_what(r, key, &e->row);
        }
}

/* Each kind has what it is about. */
static bool event_is_consistent(const HandoverEvent *e, uint64_t seen) {
        const uint64_t place = CBOR_BIT(7) | CBOR_BIT(8) | CBOR_BIT(9);

        switch (e->row.kind) {
        case EVENT_RECEIVED:
        case EVENT_REQUEST:
        case EVENT_STATE:
                return (seen & place) == place && e->has_room != e->has_peer &&
                        (e->row.kind != EVENT_STATE || seen & CBOR_BIT(10));
        case EVENT_PRESENCE:
                return e->has_account;
        case EVENT_KEY:
                return e->has_account && seen & CBOR_BIT(16);
        case EVENT_ROOM:
                return e->has_room && seen & CBOR_BIT(17) &&
                        (e->row.says || e->row.topic.size == 0);
        default:
                return false;
        }
}

int handover_get_event(Bytes item, HandoverEvent *ret) {
        ItemReader i = item_open(item, HANDOVER_EVENT);
        uint64_t key;

        *ret = (HandoverEvent){};
        while (item_next(&i, &key))
                read_event(&i.r, key, ret);
        if (!event_is_consistent(ret, i.m.seen))
                cbor_refuse(&i.r);
        return item_close(&i, CBOR_BIT(1) | CBOR_BIT(2) | CBOR_BIT(3));
}
