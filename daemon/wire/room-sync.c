/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/room-sync.h"

#include "wire/room-internal.h"

/* Packed lists */

RoomVectorItem room_vector_get(Bytes items, size_t i) {
        const uint8_t *p = items.data + i * ROOM_VECTOR_ITEM_SIZE;
        RoomVectorItem x = {.seq = room_get_be64(p + ROOM_TAG_SIZE)};

        memcpy(x.tag, p, ROOM_TAG_SIZE);
        memcpy(x.hash, p + ROOM_TAG_SIZE + 8, sizeof(x.hash));
        return x;
}

int room_vector_append(Buffer *items, const RoomVectorItem *x) {
        uint8_t item[ROOM_VECTOR_ITEM_SIZE], *p = item;

        p = room_put_bytes(p, x->tag, ROOM_TAG_SIZE);
        p = room_put_be64(p, x->seq);
        room_put_bytes(p, x->hash, sizeof(x->hash));
        return buffer_append(items, item, sizeof(item));
}

RoomWantItem room_want_get(Bytes items, size_t i) {
        const uint8_t *p = items.data + i * ROOM_WANT_ITEM_SIZE;
        RoomWantItem x = {.seq = room_get_be64(p + ROOM_TAG_SIZE)};

        memcpy(x.tag, p, ROOM_TAG_SIZE);
        return x;
}

int room_want_append(Buffer *items, const RoomWantItem *x) {
        uint8_t item[ROOM_WANT_ITEM_SIZE];

        room_put_be64(room_put_bytes(item, x->tag, ROOM_TAG_SIZE), x->seq);
        return buffer_append(items, item, sizeof(item));
}

static bool packed_is_valid(Bytes items, size_t item, size_t max) {
        return items.size % item == 0 && items.size / item <= max;
}

static Bytes packed_read(CborReader *r, size_t item, size_t max) {
        Bytes items = cbor_read_some(r, item * max);

        if (items.size % item != 0)
                cbor_refuse(r);
        return items;
}

/* What is true or not there. */
static void flag_write(CborWriter *w, uint64_t key, bool v) {
        if (v)
                cbor_pair_bool(w, key, true);
}

static bool flag_read(CborReader *r) {
        if (!cbor_read_bool(r))
                cbor_refuse(r);
        return true;
}

/* STATE */

static void state_write(CborWriter *w, const RoomState *s) {
        cbor_key(w, 5);
        room_head_write(w, &s->head);
        cbor_pair_bytes(w, 6, s->proposals, ROOM_DIGEST_SIZE);
        cbor_pair_bytes(w, 7, s->feeds, ROOM_DIGEST_SIZE);
        cbor_pair_bytes(w, 8, s->forks, ROOM_DIGEST_SIZE);
}

static void state_read(CborReader *r, RoomState *s, uint64_t key) {
        if (key == 5)
                room_head_read(r, &s->head);
        else if (key == 6)
                cbor_read_fixed(r, s->proposals, ROOM_DIGEST_SIZE);
        else if (key == 7)
                cbor_read_fixed(r, s->feeds, ROOM_DIGEST_SIZE);
        else if (key == 8)
                cbor_read_fixed(r, s->forks, ROOM_DIGEST_SIZE);
        else
                cbor_unknown_key(r, key);
}

/* CONTROL, PROPOSALS, WRAPS, FORK, RECORDS */

size_t room_sync_object_max(RoomSyncOp op, size_t *ret_n) {
        *ret_n = ROOM_SYNC_OBJECTS_MAX;
        switch (op) {
        case ROOM_SYNC_CONTROL:
                return ROOM_BLOCK_MAX;
        case ROOM_SYNC_PROPOSALS:
                return ROOM_PROPOSAL_MAX;
        case ROOM_SYNC_WRAPS:
                return ROOM_WRAP_MAX;
        case ROOM_SYNC_FORK:
                *ret_n = ROOM_SYNC_FORKS_MAX;
                return ROOM_FORK_MAX;
        case ROOM_SYNC_RECORDS:
                *ret_n = ROOM_SYNC_RECORDS_MAX;
                return RECORD_MAX;
        default:
                *ret_n = 0;
                return 0;
        }
}

static bool op_has_certificates(RoomSyncOp op) {
        return op == ROOM_SYNC_CONTROL || op == ROOM_SYNC_PROPOSALS;
}

static void list_write(CborWriter *w, uint64_t key, const Bytes *list, size_t n) {
        if (n == 0)
                return;
        cbor_key(w, key);
        cbor_put_array(w, n);
        for (size_t i = 0; i < n; i++)
                cbor_put_bytes(w, list[i].data, list[i].size);
}

static size_t list_read(CborReader *r, Bytes *list, size_t n_max, size_t size_max) {
        size_t n = cbor_read_array(r, n_max);

        if (n == 0)
                cbor_refuse(r);
        for (size_t i = 0; i < n; i++)
                list[i] = cbor_read_some(r, size_max);
        return n;
}

static void objects_write(CborWriter *w, const RoomObjects *o) {
        list_write(w, 5, o->objects, o->n_objects);
        list_write(w, 6, o->certificates, o->n_certificates);
        flag_write(w, 7, o->more);
}

static void objects_read(CborReader *r, RoomSyncOp op, RoomObjects *o, uint64_t key) {
        size_t n, max = room_sync_object_max(op, &n);

        if (key == 5)
                o->n_objects = list_read(r, o->objects, n, max);
        else if (key == 6 && op_has_certificates(op))
                o->n_certificates =
                        list_read(r, o->certificates, ROOM_SYNC_OBJECTS_MAX, CERTIFICATE_MAX);
        else if (key == 7 && op_has_certificates(op))
                o->more = flag_read(r);
        else
                cbor_unknown_key(r, key);
}

static bool objects_are_valid(RoomSyncOp op, const RoomObjects *o) {
        size_t n, max = room_sync_object_max(op, &n);

        if (o->n_objects == 0 || o->n_objects > n || o->n_certificates > ROOM_SYNC_OBJECTS_MAX ||
                (!op_has_certificates(op) && (o->n_certificates > 0 || o->more)))
                return false;
        for (size_t i = 0; i < o->n_objects; i++)
                if (o->objects[i].size == 0 || o->objects[i].size > max)
                        return false;
        for (size_t i = 0; i < o->n_certificates; i++)
                if (o->certificates[i].size == 0 || o->certificates[i].size > CERTIFICATE_MAX)
                        return false;
        return true;
}

/* VECTOR */

static void vector_write(CborWriter *w, const RoomVector *v) {
        cbor_pair_some(w, 5, v->items);
        flag_write(w, 6, v->full);
        flag_write(w, 7, v->more);
        cbor_pair_some(w, 8, v->read);
}

static void vector_read(CborReader *r, RoomVector *v, uint64_t key) {
        if (key == 5)
                v->items = packed_read(r, ROOM_VECTOR_ITEM_SIZE, ROOM_VECTOR_MAX);
        else if (key == 6)
                v->full = flag_read(r);
        else if (key == 7)
                v->more = flag_read(r);
        else if (key == 8)
                v->read = packed_read(r, ROOM_WANT_ITEM_SIZE, ROOM_HEADS_MAX);
        else
                cbor_unknown_key(r, key);
}

/* WANT */

static void want_write(CborWriter *w, const RoomWant *x) {
        cbor_pair_some(w, 5, x->feeds);
        if (x->has_control) {
                cbor_key(w, 6);
                room_head_write(w, &x->control);
        }
        if (x->n_keys > 0) {
                cbor_key(w, 7);
                cbor_put_array(w, x->n_keys);
        }
        for (size_t i = 0; i < x->n_keys; i++)
                cbor_put_uint(w, x->keys[i]);
        room_hashes_write(w, 8, x->accounts, x->n_accounts);
        cbor_pair_some(w, 9, x->entries);
        flag_write(w, 10, x->proposals);
        flag_write(w, 11, x->forks);
}

static void want_read_keys(CborReader *r, RoomWant *x) {
        x->n_keys = cbor_read_array(r, ROOM_WANT_KEYS_MAX);
        if (x->n_keys == 0)
                cbor_refuse(r);
        for (size_t i = 0; i < x->n_keys; i++)
                x->keys[i] = cbor_read_uint_max(r, ROOM_COUNT_MAX);
}

static void want_read(CborReader *r, RoomWant *x, uint64_t key) {
        switch (key) {
        case 5:
                x->feeds = packed_read(r, ROOM_WANT_ITEM_SIZE, ROOM_WANT_FEEDS_MAX);
                break;
        case 6:
                room_head_read(r, &x->control);
                x->has_control = true;
                break;
        case 7:
                want_read_keys(r, x);
                break;
        case 8:
                x->n_accounts = room_hashes_read(r, x->accounts, ROOM_WANT_ACCOUNTS_MAX);
                break;
        case 9:
                x->entries = packed_read(r, ROOM_WANT_ITEM_SIZE, ROOM_WANT_ENTRIES_MAX);
                break;
        case 10:
                x->proposals = flag_read(r);
                break;
        case 11:
                x->forks = flag_read(r);
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

static bool want_is_valid(const RoomWant *x) {
        uint64_t before = 0;

        if (!packed_is_valid(x->feeds, ROOM_WANT_ITEM_SIZE, ROOM_WANT_FEEDS_MAX) ||
                !packed_is_valid(x->entries, ROOM_WANT_ITEM_SIZE, ROOM_WANT_ENTRIES_MAX) ||
                x->n_keys > ROOM_WANT_KEYS_MAX || x->n_accounts > ROOM_WANT_ACCOUNTS_MAX)
                return false;
        for (size_t i = 0; i < x->n_keys; i++) {
                if (x->keys[i] <= before)
                        return false;
                before = x->keys[i];
        }
        return x->feeds.size > 0 || x->has_control || x->n_keys > 0 || x->n_accounts > 0 ||
                x->entries.size > 0 || x->proposals || x->forks;
}

/* JOIN, REFUSED, ASK */

static void join_write(CborWriter *w, const RoomJoin *j) {
        cbor_pair_text(w, 5, j->name);
        cbor_pair_bytes(w, 6, j->record.data, j->record.size);
        if (j->n_heads > 0) {
                cbor_key(w, 7);
                room_heads_write(w, j->heads, j->n_heads);
        }
}

static void join_read(CborReader *r, RoomJoin *j, uint64_t key) {
        if (key == 5)
                room_name_read(r, j->name);
        else if (key == 6)
                j->record = cbor_read_some(r, RECORD_MAX);
        else if (key == 7)
                j->n_heads = room_heads_read(r, j->heads);
        else
                cbor_unknown_key(r, key);
}

static void refused_write(CborWriter *w, const RoomRefused *x) {
        cbor_pair_text(w, 5, code_name(x->code));
        cbor_key(w, 6);
        cbor_put_text_bytes(w, x->text);
}

static void refused_read(CborReader *r, RoomRefused *x, uint64_t key) {
        Bytes b;

        if (key == 5) {
                b = cbor_read_text(r, CODE_NAME_MAX);
                x->code = code_of_refusal((const char *)b.data, b.size);
        } else if (key == 6)
                x->text = cbor_read_text(r, REASON_TEXT_MAX);
        else
                cbor_unknown_key(r, key);
}

static void ask_write(CborWriter *w, const RoomAsk *a) {
        if (a->name[0])
                cbor_pair_text(w, 5, a->name);
        if (a->words.size > 0) {
                cbor_key(w, 6);
                cbor_put_text_bytes(w, a->words);
        }
}

static void ask_read(CborReader *r, RoomAsk *a, uint64_t key) {
        if (key == 5)
                room_name_read(r, a->name);
        else if (key == 6) {
                a->words = cbor_read_text(r, ROOM_WORDS_MAX);
                if (a->words.size == 0)
                        cbor_refuse(r);
        } else
                cbor_unknown_key(r, key);
}

static bool ask_is_valid(const RoomAsk *a) {
        if (a->name[0])
                return a->words.size == 0 && room_name_is_valid(a->name);
        return a->words.size <= ROOM_WORDS_MAX && utf8_is_valid(a->words.data, a->words.size);
}

/* OFFER */

static void summary_write(CborWriter *w, const RoomSummary *s) {
        cbor_map_begin(w);
        cbor_pair_bytes(w, 0, s->room, ROOM_ID_SIZE);
        cbor_pair_text(w, 1, s->name);
        if (s->topic.size > 0) {
                cbor_key(w, 2);
                cbor_put_text_bytes(w, s->topic);
        }
        cbor_pair_uint(w, 3, s->access);
        cbor_pair_bytes(w, 4, s->owner, KEY_SIZE);
        cbor_pair_uint(w, 5, s->members);
        cbor_pair_uint(w, 6, s->online);
        cbor_pair_bytes(w, 7, s->founder, KEY_SIZE);
        cbor_pair_bytes(w, 8, s->nonce, ROOM_NONCE_SIZE);
        cbor_map_end(w);
}

static void summary_read_field(CborReader *r, RoomSummary *s, uint64_t key) {
        switch (key) {
        case 0:
                cbor_read_fixed(r, s->room, ROOM_ID_SIZE);
                break;
        case 1:
                room_name_read(r, s->name);
                break;
        case 2:
                s->topic = room_topic_read(r);
                break;
        case 3:
                s->access = (RoomAccess)cbor_read_positive(r, _ROOM_ACCESS_MAX - 1);
                break;
        case 4:
                cbor_read_fixed(r, s->owner, KEY_SIZE);
                break;
        case 5:
                s->members = cbor_read_uint_max(r, UINT32_MAX);
                break;
        case 6:
                s->online = cbor_read_uint_max(r, UINT32_MAX);
                break;
        case 7:
                cbor_read_fixed(r, s->founder, KEY_SIZE);
                break;
        case 8:
                cbor_read_fixed(r, s->nonce, ROOM_NONCE_SIZE);
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

static bool summary_is_valid(const RoomSummary *s) {
        uint8_t id[ROOM_ID_SIZE];

        room_id(s->founder, s->nonce, id);
        return memcmp(id, s->room, ROOM_ID_SIZE) == 0 && room_name_is_valid(s->name) &&
                room_topic_is_valid(s->topic) && s->access > ROOM_ACCESS_NONE &&
                s->access < _ROOM_ACCESS_MAX;
}

static void summary_read(CborReader *r, RoomSummary *s) {
        uint64_t key;
        CborMap m;

        cbor_read_map(r, &m);
        while (cbor_map_next(r, &m, &key))
                summary_read_field(r, s, key);
        if ((m.seen & 0x1fb) != 0x1fb)
                cbor_refuse(r);
}

static void offer_write(CborWriter *w, const RoomOffer *o) {
        cbor_key(w, 5);
        cbor_put_array(w, o->n_rooms);
        for (size_t i = 0; i < o->n_rooms; i++)
                summary_write(w, &o->rooms[i]);
}

static void offer_read(CborReader *r, RoomOffer *o, uint64_t key) {
        if (key != 5) {
                cbor_unknown_key(r, key);
                return;
        }
        o->n_rooms = cbor_read_array(r, ROOM_OFFERS_MAX);
        for (size_t i = 0; i < o->n_rooms && r->error >= 0; i++)
                summary_read(r, &o->rooms[i]);
}

static bool offer_is_valid(const RoomOffer *o) {
        if (o->n_rooms > ROOM_OFFERS_MAX)
                return false;
        for (size_t i = 0; i < o->n_rooms; i++)
                if (!summary_is_valid(&o->rooms[i]))
                        return false;
        return true;
}

/* The frame */

static bool op_has_room(RoomSyncOp op) {
        return op != ROOM_SYNC_ASK && op != ROOM_SYNC_OFFER;
}

/* What is true of a frame that was decoded, and must be of one to be encoded. */
static bool sync_is_valid(const RoomSync *s) {
        switch (s->op) {
        case ROOM_SYNC_STATE:
        case ROOM_SYNC_TYPING:
                return true;
        case ROOM_SYNC_CONTROL:
        case ROOM_SYNC_PROPOSALS:
        case ROOM_SYNC_WRAPS:
        case ROOM_SYNC_FORK:
        case ROOM_SYNC_RECORDS:
                return objects_are_valid(s->op, &s->objects);
        case ROOM_SYNC_VECTOR:
                return packed_is_valid(s->vector.items, ROOM_VECTOR_ITEM_SIZE, ROOM_VECTOR_MAX) &&
                        packed_is_valid(s->vector.read, ROOM_WANT_ITEM_SIZE, ROOM_HEADS_MAX);
        case ROOM_SYNC_WANT:
                return want_is_valid(&s->want);
        case ROOM_SYNC_JOIN:
                return room_name_is_valid(s->join.name) && s->join.record.size > 0 &&
                        s->join.record.size <= RECORD_MAX &&
                        room_heads_are_valid(s->join.heads, s->join.n_heads);
        case ROOM_SYNC_REFUSED:
                return s->refused.code != CODE_OK && s->refused.text.size <= REASON_TEXT_MAX;
        case ROOM_SYNC_ASK:
                return ask_is_valid(&s->ask);
        case ROOM_SYNC_OFFER:
                return offer_is_valid(&s->offer);
        case ROOM_SYNC_NOTICE:
                return s->notice.size > 0 && s->notice.size <= ROOM_NOTICE_MAX;
        default:
                return false;
        }
}

static void sync_write(CborWriter *w, const RoomSync *s) {
        switch (s->op) {
        case ROOM_SYNC_STATE:
                state_write(w, &s->state);
                break;
        case ROOM_SYNC_VECTOR:
                vector_write(w, &s->vector);
                break;
        case ROOM_SYNC_WANT:
                want_write(w, &s->want);
                break;
        case ROOM_SYNC_JOIN:
                join_write(w, &s->join);
                break;
        case ROOM_SYNC_REFUSED:
                refused_write(w, &s->refused);
                break;
        case ROOM_SYNC_ASK:
                ask_write(w, &s->ask);
                break;
        case ROOM_SYNC_OFFER:
                offer_write(w, &s->offer);
                break;
        case ROOM_SYNC_NOTICE:
                cbor_pair_bytes(w, 5, s->notice.data, s->notice.size);
                break;
        case ROOM_SYNC_TYPING:
                cbor_pair_bool(w, 5, s->typing);
                break;
        default:
                objects_write(w, &s->objects);
        }
}

int room_sync_encode(Buffer *out, const RoomSync *s) {
        CborWriter w;

        if (!sync_is_valid(s))
                return -EINVAL;
        w = frame_begin(out, FRAME_ROOM_SYNC, 0);
        cbor_pair_uint(&w, 3, s->op);
        if (op_has_room(s->op))
                cbor_pair_bytes(&w, 4, s->room, ROOM_ID_SIZE);
        sync_write(&w, s);
        return frame_end(&w);
}

/* The fields of each op that must be there, the first two of all left out. */
static const uint16_t REQUIRED[_ROOM_SYNC_MAX] = {
        [ROOM_SYNC_STATE] = CBOR_BIT(5) | CBOR_BIT(6) | CBOR_BIT(7) | CBOR_BIT(8),
        [ROOM_SYNC_CONTROL] = CBOR_BIT(5),
        [ROOM_SYNC_PROPOSALS] = CBOR_BIT(5),
        [ROOM_SYNC_WRAPS] = CBOR_BIT(5),
        [ROOM_SYNC_JOIN] = CBOR_BIT(5) | CBOR_BIT(6),
        [ROOM_SYNC_REFUSED] = CBOR_BIT(5) | CBOR_BIT(6),
        [ROOM_SYNC_OFFER] = CBOR_BIT(5),
        [ROOM_SYNC_NOTICE] = CBOR_BIT(5),
        [ROOM_SYNC_FORK] = CBOR_BIT(5),
        [ROOM_SYNC_RECORDS] = CBOR_BIT(5),
        [ROOM_SYNC_TYPING] = CBOR_BIT(5),
};

static void sync_read_field(CborReader *r, RoomSync *s, uint64_t key) {
        switch (s->op) {
        case ROOM_SYNC_STATE:
                state_read(r, &s->state, key);
                break;
        case ROOM_SYNC_CONTROL:
        case ROOM_SYNC_PROPOSALS:
        case ROOM_SYNC_WRAPS:
        case ROOM_SYNC_FORK:
        case ROOM_SYNC_RECORDS:
                objects_read(r, s->op, &s->objects, key);
                break;
        case ROOM_SYNC_VECTOR:
                vector_read(r, &s->vector, key);
                break;
        case ROOM_SYNC_WANT:
                want_read(r, &s->want, key);
                break;
        case ROOM_SYNC_JOIN:
                join_read(r, &s->join, key);
                break;
        case ROOM_SYNC_REFUSED:
                refused_read(r, &s->refused, key);
                break;
        case ROOM_SYNC_ASK:
                ask_read(r, &s->ask, key);
                break;
        case ROOM_SYNC_OFFER:
                offer_read(r, &s->offer, key);
                break;
        case ROOM_SYNC_NOTICE:
                if (key == 5)
                        s->notice = cbor_read_some(r, ROOM_NOTICE_MAX);
                else
                        cbor_unknown_key(r, key);
                break;
        case ROOM_SYNC_TYPING:
                if (key == 5)
                        s->typing = cbor_read_bool(r);
                else
                        cbor_unknown_key(r, key);
                break;
        default:
                cbor_refuse(r);
        }
}

int room_sync_decode(Frame *f, RoomSync *ret) {
        uint64_t key, required;
        int e;

        memset(ret, 0, sizeof(*ret));
        while (frame_next(f, &key))
                if (key == 3)
                        ret->op = (RoomSyncOp)cbor_read_positive(&f->reader, _ROOM_SYNC_MAX - 1);
                else if (key == 4 && op_has_room(ret->op))
                        cbor_read_fixed(&f->reader, ret->room, ROOM_ID_SIZE);
                else
                        sync_read_field(&f->reader, ret, key);
        if (f->reader.error < 0)
                return f->reader.error;
        required = CBOR_BIT(3) | (op_has_room(ret->op) ? CBOR_BIT(4) : 0) | REQUIRED[ret->op];
        e = frame_close(f, required);
        if (e < 0)
                return e;
        return sync_is_valid(ret) ? 0 : -EBADMSG;
}

/* ROOM_ENTRIES */

int room_entries_encode(Buffer *out, const RoomEntries *e) {
        Bytes before = {};
        CborWriter w;

        if (e->n_items > ROOM_ENTRIES_MAX || (e->n_items == 0 && !e->done))
                return -EINVAL;
        for (size_t i = 1; i < e->n_items; i++)
                if (e->items[i].certificate.size == 0 && e->items[i - 1].certificate.size > 0)
                        return -EINVAL;
        w = frame_begin(out, FRAME_ROOM_ENTRIES, 0);
        cbor_pair_bytes(&w, 3, e->room, ROOM_ID_SIZE);
        if (e->n_items > 0) {
                cbor_key(&w, 4);
                cbor_put_array(&w, e->n_items);
        }
        for (size_t i = 0; i < e->n_items; i++) {
                const RoomEntriesItem *x = &e->items[i];
                bool same = bytes_equal(x->certificate, before);

                cbor_put_array(&w, 3);
                cbor_put_bytes(&w, x->inner.data, x->inner.size);
                cbor_put_bytes(&w, x->signature, SIGNATURE_SIZE);
                cbor_put_bytes(&w, x->certificate.data, same ? 0 : x->certificate.size);
                before = x->certificate;
        }
        flag_write(&w, 5, e->done);
        return frame_end(&w);
}

static void entries_read_item(CborReader *r, RoomEntriesItem *x, Bytes *io_certificate) {
        Bytes signature;

        if (cbor_read_array(r, 3) != 3)
                cbor_refuse(r);
        x->inner = cbor_read_some(r, INNER_SIZE_MAX);
        signature = cbor_read_bytes(r, SIGNATURE_SIZE);
        if (signature.size != SIGNATURE_SIZE)
                cbor_refuse(r);
        x->signature = signature.data;
        x->certificate = cbor_read_bytes(r, CERTIFICATE_MAX);
        /* One form: what is that of the entry before is not written again. */
        if (x->certificate.size == 0)
                x->certificate = *io_certificate;
        else if (bytes_equal(x->certificate, *io_certificate))
                cbor_refuse(r);
        *io_certificate = x->certificate;
}

int room_entries_decode(Frame *f, RoomEntries *ret) {
        Bytes certificate = {};
        uint64_t key;
        int e;

        memset(ret, 0, sizeof(*ret));
        while (frame_next(f, &key))
                if (key == 3)
                        cbor_read_fixed(&f->reader, ret->room, ROOM_ID_SIZE);
                else if (key == 4) {
                        ret->n_items = cbor_read_array(&f->reader, ROOM_ENTRIES_MAX);
                        if (ret->n_items == 0)
                                cbor_refuse(&f->reader);
                        for (size_t i = 0; i < ret->n_items && f->reader.error >= 0; i++)
                                entries_read_item(&f->reader, &ret->items[i], &certificate);
                } else if (key == 5)
                        ret->done = flag_read(&f->reader);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(3));
        if (e < 0)
                return e;
        return ret->n_items > 0 || ret->done ? 0 : -EBADMSG;
}
