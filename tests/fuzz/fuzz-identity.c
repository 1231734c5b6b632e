/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Signed objects. The low bits of the first byte choose the decoder. Without SIGN the rest is the
 * object as it came; with it the rest is a body that fixed keys sign, so that the decoders behind
 * the signature are reached too. */

#include "fuzz.h"

#include "mutate.h"
#include "same.h"

#include "../unit/wire-sample.h"

enum {
        WHICH_CERTIFICATE,
        WHICH_RECORD,
        WHICH_PRESENCE,
        WHICH_RECEIPT,
        WHICH_VOID,
        WHICH_DEPOSIT_TOKEN,
        WHICH_REKEY,
        WHICH_BEACON,
        _WHICH_MAX,
        SIGN = 0x80,
};

static SignKey account, device;

static bool is_ours(const uint8_t *key, const SignKey *k) {
        return key_equal(key, sign_key_public(k));
}

static int try_certificate(Bytes outer, Bytes body) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;
        Certificate c;
        int r;

        r = certificate_decode(outer, &c);
        if (r < 0)
                return r;
        MUST(c.expires > c.issued && key_is_valid(c.account) && key_is_valid(c.device));
        MUST(!certificate_is_valid_at(&c, c.expires));
        if (!has_ignorable(body) && is_ours(c.account, &account) && is_ours(c.device, &device))
                check_same(certificate_encode(&c, &account, &device, &again), &again, outer);
        return 0;
}

/* Version 1 writes no successor. */
static bool has_successor(Bytes body) {
        CborReader r = cbor_reader(body.data, body.size);
        bool successor = false;
        uint64_t key;
        CborMap m;

        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key)) {
                successor |= key == 10;
                cbor_skip(&r);
        }
        return successor;
}

/* Of two records one wins, whichever is asked about first. */
static void check_order(const Record *rec, Bytes outer) {
        FUZZ_OWN_MEMORY;
        _cleanup_(buffer_done) Buffer object = sample_record_object(1);
        Bytes other = sample_bytes(&object);
        Record sample;
        int c, d;

        MUST(record_decode(other, &sample) == 0);
        c = record_compare(rec, outer, &sample, other);
        d = record_compare(&sample, other, rec, outer);
        MUST((c > 0) == (d < 0) && (c < 0) == (d > 0));
        MUST(record_compare(rec, outer, rec, outer) == 0);
}

static int try_record(Bytes outer, Bytes body) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;
        Record rec, parsed;
        int form, r;

        form = record_parse(outer, &parsed);
        if (form == 0)
                check_order(&parsed, outer);
        r = record_decode(outer, &rec);
        MUST(r < 0 || form == 0);
        if (r < 0)
                return r;
        MUST(name_is_canonical((const uint8_t *)rec.name, strlen(rec.name)));
        MUST(rec.epoch == rec.device.epoch && key_equal(rec.account, rec.device.account));
        MUST(rec.n_suites <= RECORD_SUITES_MAX && rec.n_changes <= RECORD_CHANGES_MAX);
        MUST(rec.n_prekeys <= RECORD_PREKEYS_MAX);
        for (size_t i = 0; i < rec.n_prekeys; i++)
                MUST(rec.prekeys[i].key.size <= PREKEY_SIZE_MAX);
        MUST(rec.presence < _VISIBILITY_MAX && rec.endpoints < VISIBLE_NOBODY);
        if (!has_ignorable(body) && is_ours(rec.account, &account) && !has_successor(body))
                check_same(record_encode(&rec, &account, &again), &again, outer);
        return 0;
}

static int try_presence(Bytes outer, Bytes body) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;
        PresenceRecord p;
        uint64_t key;
        CborReader r;
        CborMap m;
        int form, e;

        form = presence_parse(outer, &p);
        e = presence_decode(outer, &p);
        MUST(e < 0 || form == 0);
        if (e < 0)
                return e;
        MUST(p.presence < _PRESENCE_MAX && p.n_endpoints <= PRESENCE_ENDPOINTS_MAX);
        MUST(p.note.size <= PRESENCE_NOTE_MAX);
        r = cbor_reader(body.data, body.size);
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key)) {
                if (key == 8) /* sealed endpoints, which version 1 does not write */
                        return 0;
                cbor_skip(&r);
        }
        if (!has_ignorable(body) && is_ours(p.device, &device))
                check_same(presence_encode(&p, &device, &again), &again, outer);
        return 0;
}

static void check_ranges(const SeqRange *ranges, size_t n) {
        MUST(n >= 1 && n <= RECEIPT_RANGES_MAX);
        for (size_t i = 0; i < n; i++) {
                MUST(ranges[i].first >= 1 && ranges[i].first <= ranges[i].last);
                MUST(i == 0 || ranges[i - 1].last < ranges[i].first - 1);
        }
}

static int try_receipt(Bytes outer, Bytes body) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;
        static Receipt rc;
        int r;

        r = receipt_decode(outer, sign_key_public(&device), &rc);
        if (r < 0)
                return r;
        check_ranges(rc.ranges, rc.n_ranges);
        MUST(rc.state == RECEIPT_DELIVERED || rc.state == RECEIPT_READ);
        if (!has_ignorable(body))
                check_same(receipt_encode(&again, &rc, &device), &again, outer);
        return 0;
}

static int try_void(Bytes outer, Bytes body) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;
        static Void v;
        int r;

        r = void_decode(outer, sign_key_public(&device), &v);
        if (r < 0)
                return r;
        check_ranges(v.ranges, v.n_ranges);
        if (!has_ignorable(body))
                check_same(void_encode(&again, &v, &device), &again, outer);
        return 0;
}

static int try_deposit_token(Bytes outer, Bytes body) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;
        DepositToken t;
        int r;

        r = deposit_token_decode(outer, &t);
        if (r < 0)
                return r;
        MUST(outer.size <= DEPOSIT_TOKEN_MAX && key_is_valid(t.account));
        if (!has_ignorable(body) && is_ours(t.account, &account))
                check_same(deposit_token_encode(&again, &t, &account), &again, outer);
        return 0;
}

static int try_rekey(Bytes outer, Bytes body) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;
        Rekey k;
        int r;

        r = rekey_decode(outer, &k);
        if (r < 0)
                return r;
        MUST(outer.size <= REKEY_MAX && key_is_valid(k.account));
        MUST(k.n_items >= 1 && k.n_items <= REKEY_ITEMS_MAX);
        if (!has_ignorable(body) && is_ours(k.account, &account))
                check_same(rekey_encode(&again, &k, &account), &again, outer);
        return 0;
}

static int try_beacon(Bytes outer, Bytes body) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;
        Beacon b;
        int r;

        r = beacon_parse(outer, &b);
        if (r < 0)
                return r;
        MUST(outer.size <= BEACON_MAX && b.port > 0 && b.seq <= BEACON_SEQ_MAX);
        MUST(b.interval >= BEACON_INTERVAL_MIN && b.interval <= BEACON_INTERVAL_MAX);
        MUST(b.presence != PRESENCE_OFFLINE && b.presence < _PRESENCE_MAX);
        if (b.kind == BEACON_PERSON)
                MUST(name_is_canonical((const uint8_t *)b.name, strlen(b.name)) && !b.host[0]);
        else
                MUST(!b.name[0] && !b.note[0] && b.certificate.size == 0);
        r = beacon_verify(outer, &b, false);
        if (r < 0)
                return r;
        MUST(beacon_verify(outer, &b, true) == 0);
        if (!has_ignorable(body) &&
                is_ours(b.kind == BEACON_PERSON ? b.device.device : b.key, &device))
                check_same(beacon_encode(&b, &device, &again), &again, outer);
        return 0;
}

static const struct {
        int (*try)(Bytes outer, Bytes body);
        SignContext context;
        const SignKey *by, *counter;
} kinds[_WHICH_MAX] = {
        [WHICH_CERTIFICATE] = {try_certificate, SIGN_DEVICE, &account, &device},
        [WHICH_RECORD] = {try_record, SIGN_RECORD, &account, NULL},
        [WHICH_PRESENCE] = {try_presence, SIGN_PRESENCE, &device, NULL},
        [WHICH_RECEIPT] = {try_receipt, SIGN_RECEIPT, &device, NULL},
        [WHICH_VOID] = {try_void, SIGN_VOID, &device, NULL},
        [WHICH_DEPOSIT_TOKEN] = {try_deposit_token, SIGN_DEPOSIT, &account, NULL},
        [WHICH_REKEY] = {try_rekey, SIGN_PREKEY, &account, NULL},
        [WHICH_BEACON] = {try_beacon, SIGN_BEACON, &device, NULL},
};

/* As the object's own kind would be signed. */
static int seal(unsigned which, Bytes body, Buffer *out) {
        FUZZ_OWN_MEMORY;

        return signed_encode(
                out, kinds[which].context, body, kinds[which].by, kinds[which].counter);
}

void fuzz_one(const uint8_t *data, size_t size) {
        _cleanup_(buffer_done) Buffer sealed = BUFFER_NULL;
        Signed s = {};
        unsigned which;
        Bytes outer;
        int r;

        if (size == 0)
                return;
        account = sample_key(1);
        device = sample_key(2);
        which = (data[0] & ~(unsigned)SIGN) % _WHICH_MAX;
        outer = (Bytes){.data = data + 1, .size = size - 1};
        if (data[0] & SIGN) {
                MUST(seal(which, outer, &sealed) == 0);
                outer = sample_bytes(&sealed);
        }
        r = signed_decode(outer, &s);
        MUST(r == 0 || r == -EBADMSG);
        r = kinds[which].try(outer, s.body);
        MUST(r == 0 || r == -EBADMSG || r == -EKEYREJECTED || (r == -ENOMEM && fuzz_failed()));
}

#ifdef FUZZING_LIBFUZZER
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
        return mutate_input(data, size, max, seed, 1);
}
#endif
