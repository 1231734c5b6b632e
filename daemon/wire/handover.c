/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/handover.h"

enum {
        KEY_WHAT = 3,
        KEY_POSITION = 4, /* of OFFER: the transfer */
        KEY_ITEMS = 5, /* of OFFER: how many */
        KEY_SO_FAR = 6, /* of OFFER: waits */
};

int handover_encode(Buffer *out, const HandoverFrame *h) {
        CborWriter w = frame_begin(out, FRAME_HANDOVER, 0);

        cbor_pair_uint(&w, KEY_WHAT, h->what);
        if (h->what == HANDOVER_OFFER) {
                cbor_pair_bytes(&w, KEY_POSITION, h->transfer, HANDOVER_TRANSFER_SIZE);
                if (h->items > 0)
                        cbor_pair_uint(&w, KEY_ITEMS, h->items);
                if (h->waits)
                        cbor_pair_bool(&w, KEY_SO_FAR, true);
        } else {
                cbor_pair_some(&w, KEY_POSITION, h->position);
                cbor_pair_some(&w, KEY_ITEMS, h->piece);
                if (h->items > 0)
                        cbor_pair_uint(&w, KEY_SO_FAR, h->items);
        }
        return frame_end(&w);
}

static void read_offer(CborReader *r, uint64_t key, HandoverFrame *ret) {
        switch (key) {
        case KEY_POSITION:
                cbor_read_fixed(r, ret->transfer, HANDOVER_TRANSFER_SIZE);
                break;
        case KEY_ITEMS:
                ret->items = cbor_read_positive(r, UINT64_MAX);
                break;
        case KEY_SO_FAR:
                ret->waits = cbor_read_bool(r);
                if (!ret->waits)
                        cbor_refuse(r);
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

static void read_other(CborReader *r, uint64_t key, HandoverFrame *ret) {
        switch (key) {
        case KEY_POSITION:
                ret->position = cbor_read_some(r, HANDOVER_POSITION_MAX);
                if (ret->what == HANDOVER_DONE)
                        cbor_refuse(r);
                break;
        case KEY_ITEMS:
                ret->piece = cbor_read_some(r, HANDOVER_ITEM_MAX);
                if (ret->what != HANDOVER_PIECE)
                        cbor_refuse(r);
                break;
        case KEY_SO_FAR:
                ret->items = cbor_read_positive(r, UINT64_MAX);
                if (ret->what != HANDOVER_PIECE && ret->what != HANDOVER_GO)
                        cbor_refuse(r);
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

static uint64_t required(HandoverWhat what) {
        uint64_t keys = CBOR_BIT(KEY_WHAT);

        if (what != HANDOVER_GO && what != HANDOVER_DONE)
                keys |= CBOR_BIT(KEY_POSITION);
        return keys;
}

int handover_decode(Frame *f, HandoverFrame *ret) {
        CborReader *r = &f->reader;
        HandoverFrame h = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key)) {
                if (key == KEY_WHAT) {
                        h.what = (HandoverWhat)cbor_read_positive(r, HANDOVER_DONE);
                } else if (h.what == 0) {
                        cbor_refuse(r);
                } else if (h.what == HANDOVER_OFFER) {
                        read_offer(r, key, &h);
                } else
                        read_other(r, key, &h);
        }
        e = frame_close(f, required(h.what));
        if (e >= 0)
                *ret = h;
        return e;
}

int handover_item_next(Bytes *piece, Bytes *ret_item, uint64_t *ret_kind) {
        CborReader r = cbor_reader(piece->data, piece->size);
        uint64_t key, kind = 0;
        CborMap m;

        if (piece->size == 0)
                return 0;
        cbor_read_map(&r, &m);
        if (!cbor_map_next(&r, &m, &key) || key != 0)
                return -EBADMSG;
        kind = cbor_read_positive(&r, UINT64_MAX);
        while (cbor_map_next(&r, &m, &key))
                cbor_skip(&r);
        if (r.error < 0)
                return -EBADMSG;
        *ret_item = (Bytes){.data = piece->data, .size = (size_t)(r.p - piece->data)};
        *ret_kind = kind;
        piece->data += ret_item->size;
        piece->size -= ret_item->size;
        return 1;
}
