/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "rooms/handover-item.h"

#include "rooms/handover.h"
#include "store/room.h"

#define ENTRY_MAX (100 * 1024)

#define FLAGS_MAX 255

/* The fields of each kind, beside ITEM_KIND and ITEM_ROOM, which all must have. */
typedef struct ItemForm {
        uint64_t must, may;
        size_t object_max;
} ItemForm;

#define HAS(field) CBOR_BIT(ITEM_##field)
#define FEED_NAME (HAS(EPOCH) | HAS(DEVICE))

static const ItemForm forms[_ROOM_ITEM_MAX - ROOM_ITEM_ROOM] = {
        [ROOM_ITEM_ROOM - ROOM_ITEM_ROOM] = {0, HAS(NAME) | HAS(TIME) | HAS(HLC), 0},
        [ROOM_ITEM_BLOCK - ROOM_ITEM_ROOM] = {HAS(OBJECT), HAS(CERTIFICATE), ROOM_BLOCK_MAX},
        [ROOM_ITEM_PROPOSAL -
                ROOM_ITEM_ROOM] = {HAS(OBJECT), HAS(CERTIFICATE) | HAS(FLAGS), ROOM_PROPOSAL_MAX},
        [ROOM_ITEM_KEY - ROOM_ITEM_ROOM] = {HAS(EPOCH) | HAS(SECRET), 0, 0},
        [ROOM_ITEM_FEED - ROOM_ITEM_ROOM] = {FEED_NAME,
                HAS(ACCOUNT) | HAS(SEQ) | HAS(CERTIFICATE) | HAS(READ) | HAS(TOLD), 0},
        [ROOM_ITEM_FORK - ROOM_ITEM_ROOM] = {HAS(OBJECT), 0, ROOM_FORK_MAX},
        [ROOM_ITEM_STATUS - ROOM_ITEM_ROOM] = {HAS(STATE) | FEED_NAME,
                HAS(ACCOUNT) | HAS(TIME) | HAS(FLAGS) | HAS(NAME) | HAS(TOPIC) | HAS(NONCE) |
                        HAS(FOUNDER) | HAS(INVITED),
                0},
        [ROOM_ITEM_ENTRY - ROOM_ITEM_ROOM] = {HAS(OBJECT) | HAS(SIGNATURE),
                HAS(TIME) | HAS(FLAGS) | HAS(STATE) | HAS(SECRET) | HAS(STORED), ENTRY_MAX},
        [ROOM_ITEM_MARK - ROOM_ITEM_ROOM] = {FEED_NAME | HAS(SEQ), HAS(ACCOUNT) | HAS(READ), 0},
};

static const ItemForm *form_of(RoomItemKind kind) {
        return &forms[kind - ROOM_ITEM_ROOM];
}

/* Writing */

static void put_ranges(CborWriter *w, uint64_t key, const Ranges *r) {
        if (r->n == 0)
                return;
        cbor_key(w, key);
        cbor_put_array(w, 2 * r->n);
        for (size_t i = 0; i < r->n; i++) {
                cbor_put_uint(w, r->range[i].first);
                cbor_put_uint(w, r->range[i].last);
        }
}

static void put_number(CborWriter *w, uint64_t key, uint64_t v) {
        if (v > 0)
                cbor_pair_uint(w, key, v);
}

static void put_text(CborWriter *w, uint64_t key, Bytes text) {
        if (text.size == 0)
                return;
        cbor_key(w, key);
        cbor_put_text_bytes(w, text);
}

int room_item_encode(Buffer *out, const RoomItem *it) {
        const uint64_t fields = form_of(it->kind)->must | form_of(it->kind)->may;
        CborWriter w = cbor_writer(out);

        cbor_map_begin(&w);
        cbor_pair_uint(&w, ITEM_KIND, it->kind);
        cbor_pair_bytes(&w, ITEM_ROOM, it->room, ROOM_ID_SIZE);
        if (it->has_account)
                cbor_pair_bytes(&w, ITEM_ACCOUNT, it->account, KEY_SIZE);
        if (fields & HAS(EPOCH))
                cbor_pair_uint(&w, ITEM_EPOCH, it->epoch);
        if (fields & HAS(DEVICE))
                cbor_pair_bytes(&w, ITEM_DEVICE, it->device, KEY_SIZE);
        put_number(&w, ITEM_SEQ, it->seq);
        cbor_pair_some(&w, ITEM_OBJECT, it->object);
        if (fields & HAS(SIGNATURE))
                cbor_pair_bytes(&w, ITEM_SIGNATURE, it->signature, SIGNATURE_SIZE);
        cbor_pair_some(&w, ITEM_CERTIFICATE, it->certificate);
        put_number(&w, ITEM_TIME, MIN(it->time, MESSAGE_TIME_MAX));
        put_number(&w, ITEM_FLAGS, it->flags);
        put_number(&w, ITEM_STATE, it->state);
        if (it->has_secret)
                cbor_pair_bytes(&w, ITEM_SECRET, it->secret, ROOM_KEY_SIZE);
        put_text(&w, ITEM_NAME, it->name);
        put_text(&w, ITEM_TOPIC, it->topic);
        if (it->kind == ROOM_ITEM_MARK)
                put_number(&w, ITEM_READ, it->mark_read);
        else
                put_ranges(&w, ITEM_READ, &it->read);
        put_ranges(&w, ITEM_TOLD, &it->told);
        put_number(&w, ITEM_HLC, it->hlc);
        if (it->has_founder) {
                cbor_pair_bytes(&w, ITEM_NONCE, it->nonce, ROOM_NONCE_SIZE);
                cbor_pair_bytes(&w, ITEM_FOUNDER, it->founder, KEY_SIZE);
        }
        put_number(&w, ITEM_INVITED, MIN(it->invited, MESSAGE_TIME_MAX));
        put_number(&w, ITEM_STORED, MIN(it->stored, MESSAGE_TIME_MAX));
        cbor_map_end(&w);
        return w.error;
}

/* Reading */

/* Ascending, with at least one number between two ranges. */
static void read_ranges(CborReader *r, Ranges *ret) {
        size_t n = cbor_read_array(r, 2 * (size_t)RECEIPT_RANGES_MAX);
        uint64_t before = 0;

        if (n == 0 || n % 2 != 0) {
                cbor_refuse(r);
                return;
        }
        for (size_t i = 0; i < n / 2; i++) {
                SeqRange *x = &ret->range[i];

                x->first = cbor_read_positive(r, SEQ_MAX);
                x->last = cbor_read_positive(r, SEQ_MAX);
                if (x->last < x->first || (i > 0 && x->first - 1 <= before))
                        cbor_refuse(r);
                before = x->last;
        }
        ret->n = n / 2;
}

static void read_name(CborReader *r, Bytes *ret) {
        *ret = cbor_read_text(r, NAME_SIZE - 1);
        if (r->error >= 0 && !name_is_canonical(ret->data, ret->size))
                cbor_refuse(r);
}

static void read_topic(CborReader *r, Bytes *ret) {
        *ret = cbor_read_text(r, ROOM_TOPIC_MAX);
        if (r->error >= 0 && (ret->size == 0 || !room_topic_is_valid(*ret)))
                cbor_refuse(r);
}

static void read_signed(CborReader *r, uint64_t key, RoomItem *it) {
        switch (key) {
        case ITEM_OBJECT:
                it->object = cbor_read_some(r, form_of(it->kind)->object_max);
                break;
        case ITEM_SIGNATURE:
                cbor_read_fixed(r, it->signature, SIGNATURE_SIZE);
                break;
        case ITEM_CERTIFICATE:
                it->certificate = cbor_read_some(r, CERTIFICATE_MAX);
                break;
        case ITEM_SECRET:
                it->has_secret = true;
                cbor_read_fixed(r, it->secret, ROOM_KEY_SIZE);
                break;
        default:
                cbor_refuse(r);
                break;
        }
}

static void read_numbers(CborReader *r, uint64_t key, RoomItem *it) {
        switch (key) {
        case ITEM_EPOCH:
                it->epoch = cbor_read_uint(r);
                break;
        case ITEM_SEQ:
                it->seq = cbor_read_positive(r, SEQ_MAX);
                break;
        case ITEM_TIME:
                it->time = cbor_read_positive(r, MESSAGE_TIME_MAX);
                break;
        case ITEM_FLAGS:
                it->flags = cbor_read_positive(r, FLAGS_MAX);
                break;
        case ITEM_STATE:
                it->state = cbor_read_positive(
                        r, it->kind == ROOM_ITEM_STATUS ? _ROOM_STATUS_MAX - 1 : ENTRY_RECEIVED);
                break;
        case ITEM_HLC:
                it->hlc = cbor_read_positive(r, UINT64_MAX);
                break;
        case ITEM_INVITED:
                it->invited = cbor_read_positive(r, MESSAGE_TIME_MAX);
                break;
        case ITEM_STORED:
                it->stored = cbor_read_positive(r, MESSAGE_TIME_MAX);
                break;
        default:
                read_signed(r, key, it);
                break;
        }
}

static void read_field(CborReader *r, uint64_t key, RoomItem *it) {
        switch (key) {
        case ITEM_ROOM:
                cbor_read_fixed(r, it->room, ROOM_ID_SIZE);
                break;
        case ITEM_ACCOUNT:
                it->has_account = true;
                cbor_read_fixed(r, it->account, KEY_SIZE);
                break;
        case ITEM_DEVICE:
                cbor_read_fixed(r, it->device, KEY_SIZE);
                break;
        case ITEM_NAME:
                read_name(r, &it->name);
                break;
        case ITEM_TOPIC:
                read_topic(r, &it->topic);
                break;
        case ITEM_READ:
                if (it->kind == ROOM_ITEM_MARK)
                        it->mark_read = cbor_read_positive(r, SEQ_MAX);
                else
                        read_ranges(r, &it->read);
                break;
        case ITEM_TOLD:
                read_ranges(r, &it->told);
                break;
        case ITEM_NONCE:
                cbor_read_fixed(r, it->nonce, ROOM_NONCE_SIZE);
                break;
        case ITEM_FOUNDER:
                it->has_founder = true;
                cbor_read_fixed(r, it->founder, KEY_SIZE);
                break;
        default:
                read_numbers(r, key, it);
                break;
        }
}

/* What goes together, or is said of what was said. */
static bool is_sound(const RoomItem *it, uint64_t seen) {
        if (((seen & HAS(NONCE)) != 0) != ((seen & HAS(FOUNDER)) != 0))
                return false;
        switch (it->kind) {
        case ROOM_ITEM_PROPOSAL:
                return it->flags <= ROOM_ITEM_SETTLED;
        case ROOM_ITEM_STATUS:
                return it->flags <= (ROOM_ITEM_FAREWELL | ROOM_ITEM_WHOLE);
        case ROOM_ITEM_ENTRY:
                return it->state != ENTRY_FAILED && it->state != ENTRY_EXPIRED;
        case ROOM_ITEM_MARK:
                return it->mark_read <= it->seq;
        default:
                return true;
        }
}

int room_item_decode(Bytes in, RoomItem *ret) {
        CborReader r = cbor_reader(in.data, in.size);
        uint64_t key, fields = 0;
        CborMap m;
        int e;

        *ret = (RoomItem){};
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key)) {
                if (key == ITEM_KIND) {
                        uint64_t kind = cbor_read_uint(&r);

                        if (kind < ROOM_ITEM_ROOM || kind >= _ROOM_ITEM_MAX)
                                return -EBADMSG;
                        ret->kind = (RoomItemKind)kind;
                        fields = form_of(ret->kind)->must | form_of(ret->kind)->may | HAS(ROOM);
                } else if (key < _ITEM_FIELDS_MAX && fields & CBOR_BIT(key))
                        read_field(&r, key, ret);
                else
                        return -EBADMSG;
        }
        if (ret->kind == 0)
                return -EBADMSG;
        e = cbor_finish(&r, &m, HAS(KIND) | HAS(ROOM) | form_of(ret->kind)->must);
        return e < 0 ? e : is_sound(ret, m.seen) ? 0 : -EBADMSG;
}
