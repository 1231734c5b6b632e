/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/room.h"

#include "wire/message.h"
#include "wire/room-internal.h"

#define ROOM_CONTEXT "p2pchat/1 room" /* and a zero byte */

void room_id(const uint8_t founder[static KEY_SIZE], const uint8_t nonce[static ROOM_NONCE_SIZE],
        uint8_t ret[static ROOM_ID_SIZE]) {
        uint8_t in[sizeof(ROOM_CONTEXT) + KEY_SIZE + ROOM_NONCE_SIZE], *p = in;

        p = room_put_bytes(p, ROOM_CONTEXT, sizeof(ROOM_CONTEXT));
        p = room_put_bytes(p, founder, KEY_SIZE);
        room_put_bytes(p, nonce, ROOM_NONCE_SIZE);
        sha256(in, sizeof(in), ret);
}

/* C0, DEL, and C1, which is U+0080 to U+009F. */
bool room_topic_is_valid(Bytes topic) {
        if (topic.size > ROOM_TOPIC_MAX || !utf8_is_valid(topic.data, topic.size))
                return false;
        for (size_t i = 0; i < topic.size; i++)
                if (topic.data[i] < 0x20 || topic.data[i] == 0x7f ||
                        (topic.data[i] == 0xc2 && topic.data[i + 1] < 0xa0))
                        return false;
        return true;
}

static const char *const ROLES[] = {"none", "member", "admin", "owner"};
static const char *const ACCESSES[] = {"none", "open", "private", "hidden"};
static const char *const HISTORIES[] = {"none", "all", "joined"};

const char *room_role_name(RoomRole r) {
        return (size_t)r < ELEMENTSOF(ROLES) ? ROLES[r] : ROLES[0];
}

const char *room_access_name(RoomAccess a) {
        return (size_t)a < ELEMENTSOF(ACCESSES) ? ACCESSES[a] : ACCESSES[0];
}

const char *room_history_name(RoomHistory h) {
        return (size_t)h < ELEMENTSOF(HISTORIES) ? HISTORIES[h] : HISTORIES[0];
}

/* Parts */

void room_head_write(CborWriter *w, const RoomHead *h) {
        cbor_map_begin(w);
        cbor_pair_uint(w, 0, h->epoch);
        cbor_pair_bytes(w, 1, h->hash, SHA256_SIZE);
        cbor_map_end(w);
}

/* Nobody signs the map around what is in a frame, and INNER bounds it: no ignorable keys. */
void room_head_read(CborReader *r, RoomHead *ret) {
        uint64_t key;
        CborMap m;

        cbor_read_map(r, &m);
        while (cbor_map_next(r, &m, &key))
                if (key == 0)
                        ret->epoch = cbor_read_uint_max(r, ROOM_COUNT_MAX);
                else if (key == 1)
                        cbor_read_fixed(r, ret->hash, SHA256_SIZE);
                else
                        cbor_refuse(r);
        if ((m.seen & 3) != 3 || (ret->epoch == 0) != bytes_are_zero(ret->hash, SHA256_SIZE))
                cbor_refuse(r);
}

int room_head_encode(Buffer *out, const RoomHead *h) {
        CborWriter w = cbor_writer(out);

        room_head_write(&w, h);
        return w.error;
}

int room_head_decode(Bytes in, RoomHead *ret) {
        CborReader r = cbor_reader(in.data, in.size);
        RoomHead h = {};
        int e;

        if (in.size > ROOM_HEAD_MAX)
                return -EBADMSG;
        room_head_read(&r, &h);
        e = cbor_finish(&r, NULL, 0);
        if (e < 0)
                return e;
        if (h.epoch == 0)
                return -EBADMSG;
        *ret = h;
        return 0;
}

void room_hashes_write(CborWriter *w, uint64_t key, const uint8_t (*list)[SHA256_SIZE], size_t n) {
        if (n == 0)
                return;
        cbor_key(w, key);
        cbor_put_array(w, n);
        for (size_t i = 0; i < n; i++)
                cbor_put_bytes(w, list[i], SHA256_SIZE);
}

size_t room_hashes_read(CborReader *r, uint8_t (*list)[SHA256_SIZE], size_t max) {
        size_t n = cbor_read_array(r, max);

        if (n == 0)
                cbor_refuse(r);
        for (size_t i = 0; i < n; i++)
                cbor_read_fixed(r, list[i], SHA256_SIZE);
        return n;
}

bool room_heads_are_valid(const FeedHead *heads, size_t n) {
        if (n > ROOM_HEADS_MAX)
                return false;
        for (size_t i = 0; i < n; i++) {
                if (heads[i].seq == 0 || heads[i].seq > SEQ_MAX)
                        return false;
                for (size_t k = 0; k < i; k++)
                        if (heads[k].epoch == heads[i].epoch &&
                                key_equal(heads[k].device, heads[i].device))
                                return false;
        }
        return true;
}

void room_heads_write(CborWriter *w, const FeedHead *heads, size_t n) {
        cbor_put_array(w, n);
        for (size_t i = 0; i < n; i++)
                feed_head_write(w, &heads[i]);
}

size_t room_heads_read(CborReader *r, FeedHead heads[static ROOM_HEADS_MAX]) {
        size_t n = cbor_read_array(r, ROOM_HEADS_MAX);

        if (n == 0)
                cbor_refuse(r);
        for (size_t i = 0; i < n; i++)
                feed_head_read(r, &heads[i]);
        return n;
}

bool room_name_is_valid(const char name[static NAME_SIZE]) {
        return name_is_canonical((const uint8_t *)name, strnlen(name, NAME_SIZE));
}

void room_name_read(CborReader *r, char ret[static NAME_SIZE]) {
        Bytes name = cbor_read_text(r, NAME_MAX_LENGTH);

        memset(ret, 0, NAME_SIZE);
        if (name_is_canonical(name.data, name.size))
                memcpy(ret, name.data, name.size);
        else
                cbor_refuse(r);
}

Bytes room_topic_read(CborReader *r) {
        Bytes topic = cbor_read_text(r, ROOM_TOPIC_MAX);

        if (topic.size == 0 || !room_topic_is_valid(topic))
                cbor_refuse(r);
        return topic;
}

int room_signed_open(Bytes outer, size_t max, Signed *ret) {
        int r;

        if (outer.size > max)
                return -EBADMSG;
        r = signed_decode(outer, ret);
        if (r < 0)
                return r;
        return ret->countersigned ? -EBADMSG : 0;
}

int room_signed_seal(Buffer *out, const Buffer *body, const SignKey *device, size_t max) {
        size_t before = buffer_size(out);
        int r;

        r = signed_encode(out, SIGN_ROOM_CONTROL, buffer_bytes(body), device, NULL);
        if (r >= 0 && buffer_size(out) - before > max)
                r = -EMSGSIZE;
        if (r < 0 && buffer_size(out) > before)
                out->end = out->begin + before;
        return r;
}

int room_signed_verify(const Signed *s, const uint8_t device[static KEY_SIZE]) {
        if (!key_is_valid(device))
                return -EKEYREJECTED;
        return sign_verify(device, SIGN_ROOM_CONTROL, s->body.data, s->body.size, s->signature);
}

bool room_author_is_certified(const Certificate *c, const uint8_t account[static KEY_SIZE],
        uint64_t device_epoch, const uint8_t device[static KEY_SIZE], uint64_t sent) {
        return key_equal(c->account, account) && c->epoch == device_epoch &&
                key_equal(c->device, device) && certificate_is_valid_at(c, sent);
}

/* Changes */

enum {
        CHANGE_TYPE = 0,
        CHANGE_ACCOUNT = 1,
        CHANGE_ROLE = 2,
        CHANGE_TEXT = 3,
        CHANGE_HEADS = 4,
        CHANGE_NONCE = 5,
        CHANGE_ACCESS = 6,
        CHANGE_HISTORY = 7,
};

/* What a type must have, and what it may have. */
static const struct {
        uint8_t required, optional;
} FIELDS[_ROOM_CHANGE_MAX] = {
        [ROOM_CHANGE_CREATE] = {CBOR_BIT(CHANGE_TEXT) | CBOR_BIT(CHANGE_NONCE) |
                        CBOR_BIT(CHANGE_ACCESS) | CBOR_BIT(CHANGE_HISTORY),
                0},
        [ROOM_CHANGE_ADD] = {CBOR_BIT(CHANGE_ACCOUNT),
                CBOR_BIT(CHANGE_TEXT) | CBOR_BIT(CHANGE_HEADS)},
        [ROOM_CHANGE_REMOVE] = {CBOR_BIT(CHANGE_ACCOUNT), CBOR_BIT(CHANGE_HEADS)},
        [ROOM_CHANGE_ROLE] = {CBOR_BIT(CHANGE_ACCOUNT) | CBOR_BIT(CHANGE_ROLE), 0},
        [ROOM_CHANGE_TOPIC] = {0, CBOR_BIT(CHANGE_TEXT)},
        [ROOM_CHANGE_INVITE] = {CBOR_BIT(CHANGE_ACCOUNT), 0},
        [ROOM_CHANGE_OFFER] = {CBOR_BIT(CHANGE_ACCOUNT), 0},
        [ROOM_CHANGE_LEAVE] = {CBOR_BIT(CHANGE_ACCOUNT), CBOR_BIT(CHANGE_HEADS)},
};

static bool change_has(const RoomChange *c, unsigned field) {
        return (FIELDS[c->type].required | FIELDS[c->type].optional) & CBOR_BIT(field);
}

/* What its type, which is in range, asks of the values that it has. */
static bool change_is_valid(const RoomChange *c) {
        if (c->type == ROOM_CHANGE_CREATE)
                return name_is_canonical(c->text.data, c->text.size) &&
                        c->access > ROOM_ACCESS_NONE && c->access < _ROOM_ACCESS_MAX &&
                        c->history > ROOM_HISTORY_NONE && c->history < _ROOM_HISTORY_MAX;
        if (c->type == ROOM_CHANGE_ADD && c->text.size > 0 &&
                !name_is_canonical(c->text.data, c->text.size))
                return false;
        if (c->type == ROOM_CHANGE_TOPIC && !room_topic_is_valid(c->text))
                return false;
        if (c->type == ROOM_CHANGE_ROLE)
                return c->role > ROOM_ROLE_NONE && c->role < _ROOM_ROLE_MAX;
        return !change_has(c, CHANGE_HEADS) || room_heads_are_valid(c->heads, c->n_heads);
}

static void change_write(CborWriter *w, const RoomChange *c) {
        cbor_map_begin(w);
        cbor_pair_uint(w, CHANGE_TYPE, c->type);
        if (change_has(c, CHANGE_ACCOUNT))
                cbor_pair_bytes(w, CHANGE_ACCOUNT, c->account, KEY_SIZE);
        if (change_has(c, CHANGE_ROLE))
                cbor_pair_uint(w, CHANGE_ROLE, c->role);
        if (change_has(c, CHANGE_TEXT) && c->text.size > 0) {
                cbor_key(w, CHANGE_TEXT);
                cbor_put_text_bytes(w, c->text);
        }
        if (change_has(c, CHANGE_HEADS) && c->n_heads > 0) {
                cbor_key(w, CHANGE_HEADS);
                room_heads_write(w, c->heads, c->n_heads);
        }
        if (change_has(c, CHANGE_NONCE)) {
                cbor_pair_bytes(w, CHANGE_NONCE, c->nonce, ROOM_NONCE_SIZE);
                cbor_pair_uint(w, CHANGE_ACCESS, c->access);
                cbor_pair_uint(w, CHANGE_HISTORY, c->history);
        }
        cbor_map_end(w);
}

static void change_read_field(CborReader *r, RoomChange *c, uint64_t key) {
        switch (key) {
        case CHANGE_TYPE:
                c->type = (RoomChangeType)cbor_read_positive(r, _ROOM_CHANGE_MAX - 1);
                break;
        case CHANGE_ACCOUNT:
                cbor_read_fixed(r, c->account, KEY_SIZE);
                break;
        case CHANGE_ROLE:
                c->role = (RoomRole)cbor_read_positive(r, _ROOM_ROLE_MAX - 1);
                break;
        case CHANGE_TEXT:
                c->text = cbor_read_text(r, ROOM_TOPIC_MAX);
                if (c->text.size == 0)
                        cbor_refuse(r);
                break;
        case CHANGE_HEADS:
                c->n_heads = room_heads_read(r, c->heads);
                break;
        case CHANGE_NONCE:
                cbor_read_fixed(r, c->nonce, ROOM_NONCE_SIZE);
                break;
        case CHANGE_ACCESS:
                c->access = (RoomAccess)cbor_read_positive(r, _ROOM_ACCESS_MAX - 1);
                break;
        case CHANGE_HISTORY:
                c->history = (RoomHistory)cbor_read_positive(r, _ROOM_HISTORY_MAX - 1);
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

static void change_read(CborReader *r, RoomChange *c) {
        uint64_t key, fields;
        CborMap m;

        cbor_read_map(r, &m);
        while (cbor_map_next(r, &m, &key))
                change_read_field(r, c, key);
        fields = m.seen & ~CBOR_BIT(CHANGE_TYPE);
        if (r->error < 0 || c->type == 0 ||
                (fields & FIELDS[c->type].required) != FIELDS[c->type].required ||
                (fields & ~(uint64_t)(FIELDS[c->type].required | FIELDS[c->type].optional)) != 0 ||
                !change_is_valid(c))
                cbor_refuse(r);
}

/* Blocks */

static bool genesis_is_valid(const RoomBlock *b) {
        uint8_t id[ROOM_ID_SIZE];

        if (b->term != 1 || b->n_changes == 0 || b->n_settled > 0 || !b->has_commitment ||
                b->changes[0].type != ROOM_CHANGE_CREATE)
                return false;
        room_id(b->account, b->changes[0].nonce, id);
        return memcmp(id, b->room, ROOM_ID_SIZE) == 0;
}

static bool block_is_valid(const RoomBlock *b) {
        if (b->term == 0 || b->term > ROOM_COUNT_MAX || b->epoch == 0 ||
                b->epoch > ROOM_COUNT_MAX || b->sent > MESSAGE_TIME_MAX ||
                (b->epoch == 1) != bytes_are_zero(b->prev, SHA256_SIZE))
                return false;
        for (size_t i = 0; i < b->n_changes; i++)
                if (b->changes[i].type == ROOM_CHANGE_CREATE && (b->epoch > 1 || i > 0))
                        return false;
        for (size_t i = 0; i < b->n_settled; i++)
                for (size_t k = 0; k < i; k++)
                        if (memcmp(b->settled[i], b->settled[k], SHA256_SIZE) == 0)
                                return false;
        return b->epoch > 1 || genesis_is_valid(b);
}

static int block_write(Buffer *body, const RoomBlock *b) {
        CborWriter w = cbor_writer(body);

        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, ROOM_VERSION);
        cbor_pair_uint(&w, 1, ROOM_KIND_BLOCK);
        cbor_pair_bytes(&w, 2, b->room, ROOM_ID_SIZE);
        cbor_pair_uint(&w, 3, b->term);
        cbor_pair_uint(&w, 4, b->epoch);
        cbor_pair_bytes(&w, 5, b->prev, SHA256_SIZE);
        cbor_pair_bytes(&w, 6, b->account, KEY_SIZE);
        cbor_pair_uint(&w, 7, b->device_epoch);
        cbor_pair_bytes(&w, 8, b->device, KEY_SIZE);
        cbor_pair_uint(&w, 9, b->hlc);
        cbor_pair_uint(&w, 10, b->sent);
        if (b->n_changes > 0) {
                cbor_key(&w, 11);
                cbor_put_array(&w, b->n_changes);
        }
        for (size_t i = 0; i < b->n_changes; i++)
                change_write(&w, &b->changes[i]);
        room_hashes_write(&w, 12, b->settled, b->n_settled);
        if (b->has_commitment)
                cbor_pair_bytes(&w, 13, b->commitment, SHA256_SIZE);
        cbor_map_end(&w);
        return w.error;
}

static int seal(Buffer *out, const Buffer *body, const SignKey *device, size_t max,
        uint8_t ret_hash[SHA256_SIZE]) {
        int r;

        r = room_signed_seal(out, body, device, max);
        if (r >= 0 && ret_hash)
                sha256(buffer_data(body), buffer_size(body), ret_hash);
        return r;
}

int room_block_encode(
        Buffer *out, const RoomBlock *b, const SignKey *device, uint8_t ret_hash[SHA256_SIZE]) {
        _cleanup_(buffer_done) Buffer body = BUFFER_NULL;
        int r;

        if (b->n_changes > ROOM_CHANGES_MAX || b->n_settled > ROOM_SETTLED_MAX ||
                !block_is_valid(b))
                return -EINVAL;
        for (size_t i = 0; i < b->n_changes; i++)
                if (b->changes[i].type < ROOM_CHANGE_CREATE ||
                        b->changes[i].type >= _ROOM_CHANGE_MAX || !change_is_valid(&b->changes[i]))
                        return -EINVAL;
        r = block_write(&body, b);
        return r < 0 ? r : seal(out, &body, device, ROOM_BLOCK_MAX, ret_hash);
}

static void read_version_and_kind(CborReader *r, uint64_t key, uint64_t kind) {
        if (cbor_read_uint(r) != (key == 0 ? ROOM_VERSION : kind))
                cbor_refuse(r);
}

static void block_read_changes(CborReader *r, RoomBlock *b) {
        b->n_changes = cbor_read_array(r, ROOM_CHANGES_MAX);
        if (b->n_changes == 0)
                cbor_refuse(r);
        for (size_t i = 0; i < b->n_changes && r->error >= 0; i++)
                change_read(r, &b->changes[i]);
}

static void block_read_rest(CborReader *r, RoomBlock *b, uint64_t key) {
        switch (key) {
        case 7:
                b->device_epoch = cbor_read_uint(r);
                break;
        case 8:
                cbor_read_fixed(r, b->device, KEY_SIZE);
                break;
        case 9:
                b->hlc = cbor_read_uint(r);
                break;
        case 10:
                b->sent = cbor_read_uint(r);
                break;
        case 11:
                block_read_changes(r, b);
                break;
        case 12:
                b->n_settled = room_hashes_read(r, b->settled, ROOM_SETTLED_MAX);
                break;
        case 13:
                cbor_read_fixed(r, b->commitment, SHA256_SIZE);
                b->has_commitment = true;
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

static void block_read_field(CborReader *r, RoomBlock *b, uint64_t key) {
        switch (key) {
        case 0:
        case 1:
                read_version_and_kind(r, key, ROOM_KIND_BLOCK);
                break;
        case 2:
                cbor_read_fixed(r, b->room, ROOM_ID_SIZE);
                break;
        case 3:
                b->term = cbor_read_uint(r);
                break;
        case 4:
                b->epoch = cbor_read_uint(r);
                break;
        case 5:
                cbor_read_fixed(r, b->prev, SHA256_SIZE);
                break;
        case 6:
                cbor_read_fixed(r, b->account, KEY_SIZE);
                break;
        default:
                block_read_rest(r, b, key);
        }
}

static int block_open(Bytes outer, Signed *s, RoomBlock *ret) {
        CborReader r;
        uint64_t key;
        CborMap m;
        int e;

        e = room_signed_open(outer, ROOM_BLOCK_MAX, s);
        if (e < 0)
                return e;
        memset(ret, 0, sizeof(*ret));
        r = cbor_reader(s->body.data, s->body.size);
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                block_read_field(&r, ret, key);
        e = cbor_finish(&r, &m, 0x7ff);
        if (e < 0)
                return e;
        if (!block_is_valid(ret))
                return -EBADMSG;
        sha256(s->body.data, s->body.size, ret->hash);
        return 0;
}

int room_block_parse(Bytes outer, RoomBlock *ret) {
        Signed s;

        return block_open(outer, &s, ret);
}

int room_block_decode(Bytes outer, RoomBlock *ret) {
        Signed s;
        int r;

        r = block_open(outer, &s, ret);
        return r < 0 ? r : room_signed_verify(&s, ret->device);
}

/* Proposals */

/* What only the owner does, and so never asks for. */
static bool change_is_for_blocks(RoomChangeType t) {
        return t == ROOM_CHANGE_CREATE || t == ROOM_CHANGE_DELETE || t == ROOM_CHANGE_OFFER;
}

static bool proposal_is_valid(const RoomProposal *p) {
        return p->sent <= MESSAGE_TIME_MAX && p->head.epoch > 0 &&
                p->head.epoch <= ROOM_COUNT_MAX && !change_is_for_blocks(p->change.type);
}

int room_proposal_encode(
        Buffer *out, const RoomProposal *p, const SignKey *device, uint8_t ret_hash[SHA256_SIZE]) {
        _cleanup_(buffer_done) Buffer body = BUFFER_NULL;
        CborWriter w = cbor_writer(&body);

        if (p->change.type < ROOM_CHANGE_CREATE || p->change.type >= _ROOM_CHANGE_MAX ||
                !change_is_valid(&p->change) || !proposal_is_valid(p))
                return -EINVAL;
        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, ROOM_VERSION);
        cbor_pair_uint(&w, 1, ROOM_KIND_PROPOSAL);
        cbor_pair_bytes(&w, 2, p->room, ROOM_ID_SIZE);
        cbor_key(&w, 3);
        room_head_write(&w, &p->head);
        cbor_pair_bytes(&w, 4, p->account, KEY_SIZE);
        cbor_pair_uint(&w, 5, p->device_epoch);
        cbor_pair_bytes(&w, 6, p->device, KEY_SIZE);
        cbor_pair_uint(&w, 7, p->hlc);
        cbor_pair_uint(&w, 8, p->sent);
        cbor_key(&w, 9);
        change_write(&w, &p->change);
        cbor_map_end(&w);
        if (w.error < 0)
                return w.error;
        return seal(out, &body, device, ROOM_PROPOSAL_MAX, ret_hash);
}

static void proposal_read_field(CborReader *r, RoomProposal *p, uint64_t key) {
        switch (key) {
        case 0:
        case 1:
                read_version_and_kind(r, key, ROOM_KIND_PROPOSAL);
                break;
        case 2:
                cbor_read_fixed(r, p->room, ROOM_ID_SIZE);
                break;
        case 3:
                room_head_read(r, &p->head);
                break;
        case 4:
                cbor_read_fixed(r, p->account, KEY_SIZE);
                break;
        case 5:
                p->device_epoch = cbor_read_uint(r);
                break;
        case 6:
                cbor_read_fixed(r, p->device, KEY_SIZE);
                break;
        case 7:
                p->hlc = cbor_read_uint(r);
                break;
        case 8:
                p->sent = cbor_read_uint(r);
                break;
        case 9:
                change_read(r, &p->change);
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

static int proposal_open(Bytes outer, Signed *s, RoomProposal *ret) {
        CborReader r;
        uint64_t key;
        CborMap m;
        int e;

        e = room_signed_open(outer, ROOM_PROPOSAL_MAX, s);
        if (e < 0)
                return e;
        memset(ret, 0, sizeof(*ret));
        r = cbor_reader(s->body.data, s->body.size);
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                proposal_read_field(&r, ret, key);
        e = cbor_finish(&r, &m, 0x3ff);
        if (e < 0)
                return e;
        if (!proposal_is_valid(ret))
                return -EBADMSG;
        sha256(s->body.data, s->body.size, ret->hash);
        return 0;
}

int room_proposal_parse(Bytes outer, RoomProposal *ret) {
        Signed s;

        return proposal_open(outer, &s, ret);
}

int room_proposal_decode(Bytes outer, RoomProposal *ret) {
        Signed s;
        int r;

        r = proposal_open(outer, &s, ret);
        return r < 0 ? r : room_signed_verify(&s, ret->device);
}
