/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Objects of rooms. The low bits of the first byte choose the decoder. Without SIGN the rest is the
 * object as it came; with it the rest is a body that a fixed key signs, so that the decoders behind
 * the signature are reached too. What is taken keeps to its bounds and is encoded again byte for
 * byte; what the encoder would refuse is refused. */

#include "fuzz.h"

#include "mutate.h"
#include "same.h"

#include "crypto/hpke.h"

#include "../unit/room-sample.h"

enum {
        WHICH_BLOCK,
        WHICH_PROPOSAL,
        WHICH_RECORD,
        WHICH_NOTICE,
        WHICH_FORK,
        WHICH_WRAP,
        WHICH_HEAD,
        WHICH_TEXT,
        _WHICH_MAX,
        SIGN = 0x80,
};

static SignKey founder, member; /* their devices */

static bool is_ours(const uint8_t *device, const SignKey *k) {
        return key_equal(device, sign_key_public(k));
}

static void check_change(const RoomChange *c) {
        MUST(c->type >= ROOM_CHANGE_CREATE && c->type < _ROOM_CHANGE_MAX);
        MUST(c->role < _ROOM_ROLE_MAX && c->access < _ROOM_ACCESS_MAX);
        MUST(c->history < _ROOM_HISTORY_MAX && c->text.size <= ROOM_TOPIC_MAX);
        MUST(c->n_heads <= ROOM_HEADS_MAX && room_topic_is_valid(c->text));
        for (size_t i = 0; i < c->n_heads; i++)
                MUST(c->heads[i].seq > 0 && c->heads[i].seq <= SEQ_MAX);
}

static int try_block(Bytes outer, Bytes body) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;
        static RoomBlock b;
        uint8_t hash[SHA256_SIZE];
        int form, r;

        form = room_block_parse(outer, &b);
        r = room_block_decode(outer, &b);
        MUST(r < 0 || form == 0);
        if (r < 0)
                return r;
        MUST(outer.size <= ROOM_BLOCK_MAX && b.epoch > 0 && b.term > 0);
        MUST(b.n_changes <= ROOM_CHANGES_MAX && b.n_settled <= ROOM_SETTLED_MAX);
        MUST((b.epoch == 1) == bytes_are_zero(b.prev, SHA256_SIZE));
        for (size_t i = 0; i < b.n_changes; i++) {
                check_change(&b.changes[i]);
                MUST((b.changes[i].type == ROOM_CHANGE_CREATE) == (b.epoch == 1 && i == 0));
        }
        sha256(body.data, body.size, hash);
        MUST(memcmp(hash, b.hash, SHA256_SIZE) == 0);
        if (!has_ignorable(body) && is_ours(b.device, &founder))
                check_same(room_block_encode(&again, &b, &founder, NULL), &again, outer);
        return 0;
}

static int try_proposal(Bytes outer, Bytes body) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;
        RoomProposal p;
        int form, r;

        form = room_proposal_parse(outer, &p);
        r = room_proposal_decode(outer, &p);
        MUST(r < 0 || form == 0);
        if (r < 0)
                return r;
        MUST(outer.size <= ROOM_PROPOSAL_MAX && p.head.epoch > 0);
        check_change(&p.change);
        if (!has_ignorable(body) && is_ours(p.device, &member))
                check_same(room_proposal_encode(&again, &p, &member, NULL), &again, outer);
        return 0;
}

/* Of two records one wins, whichever is asked about first. */
static void check_order(const RoomRecord *rec, Bytes outer) {
        FUZZ_OWN_MEMORY;
        _cleanup_(buffer_done) Buffer object = sample_room_record_object();
        Bytes other = sample_bytes(&object);
        RoomRecord sample;
        int c, d;

        MUST(room_record_parse(other, &sample) == 0);
        c = room_record_compare(rec, outer, &sample, other);
        d = room_record_compare(&sample, other, rec, outer);
        MUST((c > 0) == (d < 0) && (c < 0) == (d > 0));
        MUST(room_record_compare(rec, outer, rec, outer) == 0);
}

static int try_record(Bytes outer, Bytes body) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;
        uint8_t id[ROOM_ID_SIZE];
        RoomRecord rec;
        int form, r;

        form = room_record_parse(outer, &rec);
        if (form == 0)
                check_order(&rec, outer);
        r = room_record_decode(outer, &rec);
        MUST(r < 0 || form == 0);
        if (r < 0)
                return r;
        room_id(rec.founder, rec.nonce, id);
        MUST(memcmp(id, rec.room, ROOM_ID_SIZE) == 0 && rec.expires > rec.issued);
        MUST(name_is_canonical((const uint8_t *)rec.name, strlen(rec.name)));
        MUST(rec.access == ROOM_ACCESS_OPEN || rec.access == ROOM_ACCESS_PRIVATE);
        MUST(rec.n_transfers <= ROOM_TRANSFERS_MAX && room_topic_is_valid(rec.topic));
        MUST(rec.n_transfers > 0 || key_equal(rec.founder, rec.owner));
        if (!has_ignorable(body) && is_ours(rec.device.device, &member))
                check_same(room_record_encode(&again, &rec, &member), &again, outer);
        return 0;
}

static int try_notice(Bytes outer, Bytes body) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;
        RoomNotice n;
        int r;

        r = room_notice_decode(outer, &n);
        if (r < 0)
                return r;
        MUST(outer.size <= ROOM_NOTICE_MAX && n.n_members <= ROOM_NOTICE_MEMBERS_MAX);
        MUST(n.what >= ROOM_NOTICE_INVITED && n.what < _ROOM_NOTICE_MAX);
        if (!has_ignorable(body) && is_ours(n.device, &founder))
                check_same(room_notice_encode(&again, &n, &founder), &again, outer);
        return 0;
}

static int try_fork(Bytes in, Bytes body) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;
        RoomFork f;
        int form, r;

        form = room_fork_parse(in, &f);
        r = room_fork_decode(in, &f);
        MUST(r < 0 || form == 0);
        if (form < 0)
                return form;
        MUST(f.at.seq > 0 && memcmp(f.entry[0].hash, f.entry[1].hash, SHA256_SIZE) < 0);
        if (r != -ENOMEM)
                check_same(room_fork_encode(&again, &f), &again, in);
        return r;
}

static int try_wrap(Bytes in, Bytes body) {
        static const uint8_t seed[HPKE_SEED_SIZE] = {1}, commitment[SHA256_SIZE];
        uint8_t secret[HPKE_KEY_SIZE], public[HPKE_KEY_SIZE], key[ROOM_KEY_SIZE];
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;
        RoomWrap w;
        int r;

        r = room_wrap_decode(in, &w);
        if (r < 0)
                return r;
        check_same(room_wrap_encode(&again, &w), &again, in);
        hpke_key_derive(seed, secret, public);
        r = room_wrap_open(&w, secret, commitment, key);
        MUST(r == -EBADMSG || (r == -ENOMEM && fuzz_failed()));
        return 0;
}

static int try_head(Bytes in, Bytes body) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;
        RoomHead h;
        int r;

        r = room_head_decode(in, &h);
        if (r < 0)
                return r;
        MUST(h.epoch > 0 && !bytes_are_zero(h.hash, SHA256_SIZE));
        check_same(room_head_encode(&again, &h), &again, in);
        return 0;
}

/* Anything can be sealed, opens again, and nowhere else. */
static int try_text(Bytes in, Bytes body) {
        _cleanup_(buffer_done) Buffer sealed = BUFFER_NULL, out = BUFFER_NULL;
        static const uint8_t key[ROOM_KEY_SIZE] = {2};
        Inner m = sample_entry(sample_text("head"));
        int r;

        r = room_entry_seal(key, &m, in, &sealed);
        if (r < 0)
                return r;
        m.body = buffer_bytes(&sealed);
        MUST(m.body.size == in.size + ROOM_ENTRY_OVERHEAD);
        r = room_entry_open(key, &m, &out);
        if (r < 0) {
                MUST(r == -ENOMEM && fuzz_failed());
                return r;
        }
        MUST(bytes_equal(buffer_bytes(&out), in));
        m.body = in;
        buffer_clear(&out);
        r = room_entry_open(key, &m, &out);
        MUST(r == -EBADMSG || (r == -ENOMEM && fuzz_failed()));
        return 0;
}

static const struct {
        int (*try)(Bytes outer, Bytes body);
        const SignKey *by; /* NULL: nobody signs it */
} kinds[_WHICH_MAX] = {
        [WHICH_BLOCK] = {try_block, &founder},
        [WHICH_PROPOSAL] = {try_proposal, &member},
        [WHICH_RECORD] = {try_record, &member},
        [WHICH_NOTICE] = {try_notice, &founder},
        [WHICH_FORK] = {try_fork, NULL},
        [WHICH_WRAP] = {try_wrap, NULL},
        [WHICH_HEAD] = {try_head, NULL},
        [WHICH_TEXT] = {try_text, NULL},
};

static int seal(unsigned which, Bytes body, Buffer *out) {
        FUZZ_OWN_MEMORY;

        return signed_encode(out, SIGN_ROOM_CONTROL, body, kinds[which].by, NULL);
}

void fuzz_one(const uint8_t *data, size_t size) {
        _cleanup_(buffer_done) Buffer sealed = BUFFER_NULL;
        Signed s = {};
        unsigned which;
        Bytes outer;
        int r;

        if (size == 0)
                return;
        founder = sample_key(2);
        member = sample_key(4);
        which = (data[0] & ~(unsigned)SIGN) % _WHICH_MAX;
        outer = (Bytes){.data = data + 1, .size = size - 1};
        if (kinds[which].by) {
                if (data[0] & SIGN) {
                        MUST(seal(which, outer, &sealed) == 0);
                        outer = sample_bytes(&sealed);
                }
                r = signed_decode(outer, &s);
                MUST(r == 0 || r == -EBADMSG);
        }
        r = kinds[which].try(outer, s.body);
        MUST(r == 0 || r == -EBADMSG || r == -EKEYREJECTED || (r == -ENOMEM && fuzz_failed()));
}

#ifdef FUZZING_LIBFUZZER
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
        return mutate_input(data, size, max, seed, 1);
}
#endif
