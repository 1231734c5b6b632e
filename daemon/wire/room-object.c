/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/message.h"
#include "wire/room-internal.h"

static void read_exactly(CborReader *r, uint64_t want) {
        if (cbor_read_uint(r) != want)
                cbor_refuse(r);
}

static bool id_is_of(const uint8_t *room, const uint8_t *founder, const uint8_t *nonce) {
        uint8_t id[ROOM_ID_SIZE];

        room_id(founder, nonce, id);
        return memcmp(id, room, ROOM_ID_SIZE) == 0;
}

/* Record */

static bool record_is_valid(const RoomRecord *rec) {
        return room_name_is_valid(rec->name) && room_topic_is_valid(rec->topic) &&
                (rec->access == ROOM_ACCESS_OPEN || rec->access == ROOM_ACCESS_PRIVATE) &&
                rec->expires > rec->issued && rec->head.epoch > 0 &&
                rec->n_transfers <= ROOM_TRANSFERS_MAX &&
                (rec->n_transfers > 0 || key_equal(rec->founder, rec->owner)) &&
                id_is_of(rec->room, rec->founder, rec->nonce);
}

static void record_write_transfers(CborWriter *w, const RoomRecord *rec) {
        if (rec->n_transfers == 0)
                return;
        cbor_key(w, 16);
        cbor_put_array(w, rec->n_transfers);
        for (size_t i = 0; i < rec->n_transfers; i++) {
                const RoomTransfer *t = &rec->transfers[i];

                cbor_map_begin(w);
                cbor_pair_bytes(w, 0, t->block.data, t->block.size);
                cbor_pair_bytes(w, 1, t->certificate.data, t->certificate.size);
                cbor_map_end(w);
        }
}

int room_record_encode(Buffer *out, const RoomRecord *rec, const SignKey *device) {
        _cleanup_(buffer_done) Buffer body = BUFFER_NULL;
        CborWriter w = cbor_writer(&body);

        if (!record_is_valid(rec))
                return -EINVAL;
        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, ROOM_VERSION);
        cbor_pair_uint(&w, 1, ROOM_KIND_RECORD);
        cbor_pair_bytes(&w, 2, rec->room, ROOM_ID_SIZE);
        cbor_pair_bytes(&w, 3, rec->founder, KEY_SIZE);
        cbor_pair_bytes(&w, 4, rec->nonce, ROOM_NONCE_SIZE);
        cbor_pair_text(&w, 5, rec->name);
        if (rec->topic.size > 0) {
                cbor_key(&w, 6);
                cbor_put_text_bytes(&w, rec->topic);
        }
        cbor_pair_uint(&w, 7, rec->access);
        cbor_pair_bytes(&w, 8, rec->owner, KEY_SIZE);
        cbor_pair_bytes(&w, 9, rec->certificate.data, rec->certificate.size);
        cbor_key(&w, 10);
        room_head_write(&w, &rec->head);
        if (rec->members > 0)
                cbor_pair_uint(&w, 11, rec->members);
        cbor_pair_uint(&w, 12, rec->seq);
        cbor_pair_uint(&w, 13, rec->issued);
        cbor_pair_uint(&w, 14, rec->expires);
        if (rec->has_door)
                cbor_pair_bytes(&w, 15, rec->door_hash, SHA256_SIZE);
        record_write_transfers(&w, rec);
        if (rec->deleted)
                cbor_pair_bool(&w, 17, true);
        cbor_map_end(&w);
        return w.error < 0 ? w.error : room_signed_seal(out, &body, device, ROOM_RECORD_MAX);
}

static void record_read_transfer(CborReader *r, RoomTransfer *t) {
        uint64_t key;
        CborMap m;

        cbor_read_map(r, &m);
        while (cbor_map_next(r, &m, &key))
                if (key == 0)
                        t->block = cbor_read_some(r, ROOM_TRANSFER_MAX);
                else if (key == 1)
                        t->certificate = cbor_read_some(r, CERTIFICATE_MAX);
                else
                        cbor_unknown_key(r, key);
        if ((m.seen & 3) != 3)
                cbor_refuse(r);
}

static void record_read_transfers(CborReader *r, RoomRecord *rec) {
        rec->n_transfers = cbor_read_array(r, ROOM_TRANSFERS_MAX);
        if (rec->n_transfers == 0)
                cbor_refuse(r);
        for (size_t i = 0; i < rec->n_transfers; i++)
                record_read_transfer(r, &rec->transfers[i]);
}

static void record_read_rest(CborReader *r, RoomRecord *rec, uint64_t key) {
        switch (key) {
        case 9:
                rec->certificate = cbor_read_some(r, CERTIFICATE_MAX);
                break;
        case 10:
                room_head_read(r, &rec->head);
                break;
        case 11:
                rec->members = cbor_read_positive(r, UINT32_MAX);
                break;
        case 12:
                rec->seq = cbor_read_uint(r);
                break;
        case 13:
                rec->issued = cbor_read_uint(r);
                break;
        case 14:
                rec->expires = cbor_read_uint(r);
                break;
        case 15:
                cbor_read_fixed(r, rec->door_hash, SHA256_SIZE);
                rec->has_door = true;
                break;
        case 16:
                record_read_transfers(r, rec);
                break;
        case 17:
                rec->deleted = cbor_read_bool(r);
                if (!rec->deleted)
                        cbor_refuse(r);
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

static void record_read_field(CborReader *r, RoomRecord *rec, uint64_t key) {
        switch (key) {
        case 0:
                read_exactly(r, ROOM_VERSION);
                break;
        case 1:
                read_exactly(r, ROOM_KIND_RECORD);
                break;
        case 2:
                cbor_read_fixed(r, rec->room, ROOM_ID_SIZE);
                break;
        case 3:
                cbor_read_fixed(r, rec->founder, KEY_SIZE);
                break;
        case 4:
                cbor_read_fixed(r, rec->nonce, ROOM_NONCE_SIZE);
                break;
        case 5:
                room_name_read(r, rec->name);
                break;
        case 6:
                rec->topic = room_topic_read(r);
                break;
        case 7:
                rec->access = (RoomAccess)cbor_read_positive(r, ROOM_ACCESS_PRIVATE);
                break;
        case 8:
                cbor_read_fixed(r, rec->owner, KEY_SIZE);
                break;
        default:
                record_read_rest(r, rec, key);
        }
}

static int record_open(Bytes outer, Signed *s, RoomRecord *ret) {
        CborReader r;
        uint64_t key;
        CborMap m;
        int e;

        e = room_signed_open(outer, ROOM_RECORD_MAX, s);
        if (e < 0)
                return e;
        memset(ret, 0, sizeof(*ret));
        r = cbor_reader(s->body.data, s->body.size);
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                record_read_field(&r, ret, key);
        e = cbor_finish(&r, &m, 0x77bf);
        if (e < 0)
                return e;
        e = certificate_parse(ret->certificate, &ret->device);
        if (e < 0)
                return e;
        return record_is_valid(ret) && key_equal(ret->device.account, ret->owner) ? 0 : -EBADMSG;
}

int room_record_parse(Bytes outer, RoomRecord *ret) {
        Signed s;

        return record_open(outer, &s, ret);
}

/* The account that B makes owner; NULL: none. */
static const uint8_t *block_new_owner(const RoomBlock *b) {
        const uint8_t *owner = NULL;

        for (size_t i = 0; i < b->n_changes; i++)
                if (b->changes[i].type == ROOM_CHANGE_ROLE && b->changes[i].role == ROOM_ROLE_OWNER)
                        owner = b->changes[i].account;
        return owner;
}

/* B is where the block goes. IO_OWNER: who is the owner before and after it. */
static int transfer_check(const RoomTransfer *t, const uint8_t *room, RoomBlock *b,
        uint64_t *io_epoch, uint8_t io_owner[static KEY_SIZE]) {
        const uint8_t *next;
        Certificate c;
        int r;

        r = room_block_decode(t->block, b);
        if (r < 0)
                return r;
        r = certificate_decode(t->certificate, &c);
        if (r < 0)
                return r;
        next = block_new_owner(b);
        if (!next || memcmp(b->room, room, ROOM_ID_SIZE) != 0 || b->epoch <= *io_epoch ||
                !key_equal(b->account, io_owner) ||
                !room_author_is_certified(&c, b->account, b->device_epoch, b->device, b->sent))
                return -EBADMSG;
        *io_epoch = b->epoch;
        memcpy(io_owner, next, KEY_SIZE);
        return 0;
}

static int transfers_check(const RoomRecord *rec) {
        _cleanup_(freep) RoomBlock *b = NULL;
        uint8_t owner[KEY_SIZE];
        uint64_t epoch = 0;
        int r;

        if (rec->n_transfers == 0)
                return 0;
        b = malloc(sizeof(*b));
        if (!b)
                return -ENOMEM;
        memcpy(owner, rec->founder, KEY_SIZE);
        for (size_t i = 0; i < rec->n_transfers; i++) {
                r = transfer_check(&rec->transfers[i], rec->room, b, &epoch, owner);
                if (r < 0)
                        return r;
        }
        return key_equal(owner, rec->owner) && epoch <= rec->head.epoch ? 0 : -EBADMSG;
}

int room_record_decode(Bytes outer, RoomRecord *ret) {
        Signed s;
        int r;

        r = record_open(outer, &s, ret);
        if (r < 0)
                return r;
        r = certificate_decode(ret->certificate, &ret->device);
        if (r < 0)
                return r;
        r = room_signed_verify(&s, ret->device.device);
        return r < 0 ? r : transfers_check(ret);
}

static int compare_numbers(uint64_t a, uint64_t b) {
        return a < b ? -1 : a > b ? 1 : 0;
}

/* Epoch and hash of a block, of which nothing else counts here. */
static int transfer_head(Bytes block, RoomHead *ret) {
        CborReader r;
        uint64_t key;
        CborMap m;
        Signed s;
        int e;

        e = room_signed_open(block, ROOM_TRANSFER_MAX, &s);
        if (e < 0)
                return e;
        *ret = (RoomHead){};
        r = cbor_reader(s.body.data, s.body.size);
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                if (key == 4)
                        ret->epoch = cbor_read_positive(&r, ROOM_COUNT_MAX);
                else
                        cbor_skip(&r);
        sha256(s.body.data, s.body.size, ret->hash);
        return cbor_finish(&r, &m, CBOR_BIT(4));
}

/* Nobody can give away twice: of two that differ the older one is. */
static int compare_transfers(Bytes a, Bytes b) {
        RoomHead x, y;
        int r;

        if (transfer_head(a, &x) < 0 || transfer_head(b, &y) < 0)
                return 0; /* neither is a record that anybody takes */
        r = compare_numbers(y.epoch, x.epoch);
        return r != 0 ? r : memcmp(y.hash, x.hash, SHA256_SIZE);
}

static int compare_owners(const RoomRecord *a, const RoomRecord *b) {
        for (size_t i = 0; i < MIN(a->n_transfers, b->n_transfers); i++) {
                int r = compare_transfers(a->transfers[i].block, b->transfers[i].block);

                if (r != 0)
                        return r;
        }
        return compare_numbers(a->n_transfers, b->n_transfers);
}

int room_record_compare(const RoomRecord *a, Bytes a_outer, const RoomRecord *b, Bytes b_outer) {
        uint8_t x[SHA256_SIZE], y[SHA256_SIZE];
        int r;

        r = compare_owners(a, b);
        if (r == 0)
                r = compare_numbers(a->deleted, b->deleted);
        if (r == 0)
                r = compare_numbers(a->head.epoch, b->head.epoch);
        if (r == 0)
                r = compare_numbers(a->seq, b->seq);
        if (r != 0)
                return r;
        sha256(a_outer.data, a_outer.size, x);
        sha256(b_outer.data, b_outer.size, y);
        return memcmp(x, y, SHA256_SIZE);
}

/* Notice */

static bool notice_is_valid(const RoomNotice *n) {
        return room_name_is_valid(n->name) && n->what >= ROOM_NOTICE_INVITED &&
                n->what < _ROOM_NOTICE_MAX && n->sent <= MESSAGE_TIME_MAX &&
                n->n_members <= ROOM_NOTICE_MEMBERS_MAX &&
                (n->proof.size > 0 || n->proof_certificate.size == 0) &&
                (!n->has_founder || id_is_of(n->room, n->founder, n->nonce));
}

int room_notice_encode(Buffer *out, const RoomNotice *n, const SignKey *device) {
        _cleanup_(buffer_done) Buffer body = BUFFER_NULL;
        CborWriter w = cbor_writer(&body);

        if (!notice_is_valid(n))
                return -EINVAL;
        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, ROOM_VERSION);
        cbor_pair_uint(&w, 1, ROOM_KIND_NOTICE);
        cbor_pair_bytes(&w, 2, n->room, ROOM_ID_SIZE);
        cbor_pair_text(&w, 3, n->name);
        cbor_pair_uint(&w, 4, n->what);
        cbor_pair_bytes(&w, 5, n->account, KEY_SIZE);
        cbor_pair_uint(&w, 6, n->device_epoch);
        cbor_pair_bytes(&w, 7, n->device, KEY_SIZE);
        cbor_pair_bytes(&w, 8, n->to, KEY_SIZE);
        cbor_pair_uint(&w, 9, n->sent);
        cbor_pair_some(&w, 10, n->proof);
        cbor_pair_some(&w, 11, n->proof_certificate);
        room_hashes_write(&w, 12, n->members, n->n_members);
        if (n->has_founder) {
                cbor_pair_bytes(&w, 13, n->founder, KEY_SIZE);
                cbor_pair_bytes(&w, 14, n->nonce, ROOM_NONCE_SIZE);
        }
        cbor_map_end(&w);
        return w.error < 0 ? w.error : room_signed_seal(out, &body, device, ROOM_NOTICE_MAX);
}

static void notice_read_rest(CborReader *r, RoomNotice *n, uint64_t key) {
        switch (key) {
        case 8:
                cbor_read_fixed(r, n->to, KEY_SIZE);
                break;
        case 9:
                n->sent = cbor_read_uint(r);
                break;
        case 10:
                n->proof = cbor_read_some(r, ROOM_BLOCK_MAX);
                break;
        case 11:
                n->proof_certificate = cbor_read_some(r, CERTIFICATE_MAX);
                break;
        case 12:
                n->n_members = room_hashes_read(r, n->members, ROOM_NOTICE_MEMBERS_MAX);
                break;
        case 13:
                cbor_read_fixed(r, n->founder, KEY_SIZE);
                n->has_founder = true;
                break;
        case 14:
                cbor_read_fixed(r, n->nonce, ROOM_NONCE_SIZE);
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

static void notice_read_field(CborReader *r, RoomNotice *n, uint64_t key) {
        switch (key) {
        case 0:
                read_exactly(r, ROOM_VERSION);
                break;
        case 1:
                read_exactly(r, ROOM_KIND_NOTICE);
                break;
        case 2:
                cbor_read_fixed(r, n->room, ROOM_ID_SIZE);
                break;
        case 3:
                room_name_read(r, n->name);
                break;
        case 4:
                n->what = (RoomNoticeKind)cbor_read_positive(r, _ROOM_NOTICE_MAX - 1);
                break;
        case 5:
                cbor_read_fixed(r, n->account, KEY_SIZE);
                break;
        case 6:
                n->device_epoch = cbor_read_uint(r);
                break;
        case 7:
                cbor_read_fixed(r, n->device, KEY_SIZE);
                break;
        default:
                notice_read_rest(r, n, key);
        }
}

int room_notice_decode(Bytes outer, RoomNotice *ret) {
        CborReader r;
        uint64_t key;
        CborMap m;
        Signed s;
        int e;

        e = room_signed_open(outer, ROOM_NOTICE_MAX, &s);
        if (e < 0)
                return e;
        memset(ret, 0, sizeof(*ret));
        r = cbor_reader(s.body.data, s.body.size);
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                notice_read_field(&r, ret, key);
        e = cbor_finish(&r, &m, 0x3ff);
        if (e < 0)
                return e;
        if (!!(m.seen & CBOR_BIT(13)) != !!(m.seen & CBOR_BIT(14)) || !notice_is_valid(ret))
                return -EBADMSG;
        return room_signed_verify(&s, ret->device);
}

/* Entries and forks */

RoomPosition room_position(const struct Inner *m) {
        RoomPosition at = {.epoch = m->epoch, .seq = m->seq};

        memcpy(at.room, m->conversation, ROOM_ID_SIZE);
        memcpy(at.account, m->account, KEY_SIZE);
        memcpy(at.device, m->device, KEY_SIZE);
        return at;
}

#define POSITION_SIZE (ROOM_ID_SIZE + KEY_SIZE + 8 + KEY_SIZE + 8)

static uint8_t *position_put(uint8_t *p, const RoomPosition *at) {
        p = room_put_bytes(p, at->room, ROOM_ID_SIZE);
        p = room_put_bytes(p, at->account, KEY_SIZE);
        p = room_put_be64(p, at->epoch);
        p = room_put_bytes(p, at->device, KEY_SIZE);
        return room_put_be64(p, at->seq);
}

int room_entry_sign(const SignKey *device, const RoomPosition *at,
        const uint8_t hash[static SHA256_SIZE], uint8_t ret[static SIGNATURE_SIZE]) {
        uint8_t in[POSITION_SIZE + SHA256_SIZE];

        room_put_bytes(position_put(in, at), hash, SHA256_SIZE);
        return sign(device, SIGN_ROOM_ENTRY, in, sizeof(in), ret);
}

int room_entry_verify(const uint8_t device[static KEY_SIZE], const RoomPosition *at,
        const uint8_t hash[static SHA256_SIZE], const uint8_t signature[static SIGNATURE_SIZE]) {
        uint8_t in[POSITION_SIZE + SHA256_SIZE];

        room_put_bytes(position_put(in, at), hash, SHA256_SIZE);
        return sign_verify(device, SIGN_ROOM_ENTRY, in, sizeof(in), signature);
}

int room_fork_encode(Buffer *out, const RoomFork *f) {
        int order = memcmp(f->entry[0].hash, f->entry[1].hash, SHA256_SIZE);
        CborWriter w = cbor_writer(out);

        if (order == 0)
                return -EINVAL;
        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, ROOM_VERSION);
        cbor_pair_bytes(&w, 1, f->at.room, ROOM_ID_SIZE);
        cbor_pair_bytes(&w, 2, f->at.account, KEY_SIZE);
        cbor_pair_uint(&w, 3, f->at.epoch);
        cbor_pair_bytes(&w, 4, f->at.device, KEY_SIZE);
        cbor_pair_uint(&w, 5, f->at.seq);
        for (size_t i = 0; i < 2; i++) {
                size_t k = order < 0 ? i : 1 - i;

                cbor_pair_bytes(&w, 6 + 3 * i, f->entry[k].hash, SHA256_SIZE);
                cbor_pair_bytes(&w, 7 + 3 * i, f->entry[k].signature, SIGNATURE_SIZE);
                cbor_pair_bytes(
                        &w, 8 + 3 * i, f->entry[k].certificate.data, f->entry[k].certificate.size);
        }
        cbor_map_end(&w);
        return w.error;
}

/* Keys 6 to 11. */
static void fork_read_entry(CborReader *r, RoomFork *f, uint64_t key) {
        size_t i = (key - 6) / 3;

        if ((key - 6) % 3 == 0)
                cbor_read_fixed(r, f->entry[i].hash, SHA256_SIZE);
        else if ((key - 6) % 3 == 1)
                cbor_read_fixed(r, f->entry[i].signature, SIGNATURE_SIZE);
        else
                f->entry[i].certificate = cbor_read_some(r, CERTIFICATE_MAX);
}

/* Nobody signs the map: no ignorable keys. */
static void fork_read_field(CborReader *r, RoomFork *f, uint64_t key) {
        switch (key) {
        case 0:
                read_exactly(r, ROOM_VERSION);
                break;
        case 1:
                cbor_read_fixed(r, f->at.room, ROOM_ID_SIZE);
                break;
        case 2:
                cbor_read_fixed(r, f->at.account, KEY_SIZE);
                break;
        case 3:
                f->at.epoch = cbor_read_uint(r);
                break;
        case 4:
                cbor_read_fixed(r, f->at.device, KEY_SIZE);
                break;
        case 5:
                f->at.seq = cbor_read_positive(r, SEQ_MAX);
                break;
        case 6 ... 11:
                fork_read_entry(r, f, key);
                break;
        default:
                cbor_refuse(r);
        }
}

int room_fork_parse(Bytes in, RoomFork *ret) {
        CborReader r = cbor_reader(in.data, in.size);
        uint64_t key;
        CborMap m;
        int e;

        if (in.size > ROOM_FORK_MAX)
                return -EBADMSG;
        memset(ret, 0, sizeof(*ret));
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                fork_read_field(&r, ret, key);
        e = cbor_finish(&r, &m, 0xfff);
        if (e < 0)
                return e;
        return memcmp(ret->entry[0].hash, ret->entry[1].hash, SHA256_SIZE) < 0 ? 0 : -EBADMSG;
}

int room_fork_decode(Bytes in, RoomFork *ret) {
        int r;

        r = room_fork_parse(in, ret);
        for (size_t i = 0; i < 2 && r >= 0; i++) {
                Certificate c;

                r = certificate_decode(ret->entry[i].certificate, &c);
                if (r < 0)
                        break;
                if (!key_equal(c.account, ret->at.account) ||
                        (c.epoch <= ret->at.epoch &&
                                (c.epoch < ret->at.epoch || !key_equal(c.device, ret->at.device))))
                        return -EBADMSG;
                r = room_entry_verify(
                        c.device, &ret->at, ret->entry[i].hash, ret->entry[i].signature);
        }
        return r;
}

/* Tags and digests */

void room_feed_tag(const uint8_t account[static KEY_SIZE], uint64_t epoch,
        const uint8_t device[static KEY_SIZE], uint8_t ret[static ROOM_TAG_SIZE]) {
        uint8_t in[KEY_SIZE + 8 + KEY_SIZE], hash[SHA256_SIZE], *p = in;

        p = room_put_bytes(p, account, KEY_SIZE);
        p = room_put_be64(p, epoch);
        room_put_bytes(p, device, KEY_SIZE);
        sha256(in, sizeof(in), hash);
        memcpy(ret, hash, ROOM_TAG_SIZE);
}

void room_feed_hash(const uint8_t tag[static ROOM_TAG_SIZE], uint64_t seq,
        const uint8_t hash[static SHA256_SIZE], uint8_t ret[static SHA256_SIZE]) {
        uint8_t in[ROOM_TAG_SIZE + 8 + SHA256_SIZE], *p = in;

        p = room_put_bytes(p, tag, ROOM_TAG_SIZE);
        p = room_put_be64(p, seq);
        room_put_bytes(p, hash, SHA256_SIZE);
        sha256(in, sizeof(in), ret);
}

void room_digest_add(uint8_t d[static ROOM_DIGEST_SIZE], const uint8_t hash[static SHA256_SIZE]) {
        unsigned carry = 0;

        for (size_t i = ROOM_DIGEST_SIZE; i-- > 0;) {
                carry += (unsigned)d[i] + hash[i];
                d[i] = (uint8_t)carry;
                carry >>= 8;
        }
}

void room_digest_remove(
        uint8_t d[static ROOM_DIGEST_SIZE], const uint8_t hash[static SHA256_SIZE]) {
        unsigned borrow = 0;

        for (size_t i = ROOM_DIGEST_SIZE; i-- > 0;) {
                unsigned v = 0x100U + d[i] - hash[i] - borrow;

                d[i] = (uint8_t)v;
                borrow = v < 0x100;
        }
}
