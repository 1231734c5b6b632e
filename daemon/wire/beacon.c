/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/beacon.h"

#define BEACON_VERSION 1

int beacon_encode(const Beacon *b, const SignKey *key, Buffer *out) {
        _cleanup_(buffer_done) Buffer body = BUFFER_NULL;
        size_t before = buffer_size(out);
        CborWriter w = cbor_writer(&body);
        int r;

        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, BEACON_VERSION);
        cbor_pair_uint(&w, 1, b->kind);
        cbor_pair_uint(&w, 2, b->port);
        cbor_pair_bytes(&w, 3, b->boot_nonce, BOOT_NONCE_SIZE);
        cbor_pair_uint(&w, 4, b->seq);
        cbor_pair_uint(&w, 5, b->interval);
        if (b->kind == BEACON_PERSON) {
                cbor_pair_bytes(&w, 6, b->certificate.data, b->certificate.size);
                cbor_pair_text(&w, 7, b->name);
        } else
                cbor_pair_bytes(&w, 8, b->key, KEY_SIZE);
        if (b->host[0])
                cbor_pair_text(&w, 9, b->host);
        if (b->asks)
                cbor_pair_bool(&w, 10, true);
        if (b->leaves)
                cbor_pair_bool(&w, 11, true);
        if (b->presence == PRESENCE_AWAY || b->presence == PRESENCE_BUSY)
                cbor_pair_uint(&w, 12, b->presence);
        if (b->note[0])
                cbor_pair_text(&w, 13, b->note);
        cbor_map_end(&w);
        if (w.error < 0)
                return w.error;
        r = signed_encode(out, SIGN_BEACON, buffer_bytes(&body), key, NULL);
        if (r < 0 || buffer_size(out) - before <= BEACON_MAX)
                return r;
        out->end = out->begin + before;
        return -EMSGSIZE;
}

/* Optional flags are there when they are true. */
static bool read_true(CborReader *r) {
        bool v = cbor_read_bool(r);

        if (!v)
                cbor_refuse(r);
        return v;
}

static void read_name(CborReader *r, char ret[static NAME_SIZE]) {
        Bytes b = cbor_read_text(r, NAME_MAX_LENGTH);

        if (name_is_canonical(b.data, b.size))
                copy_bytes(ret, b.data, b.size);
        else
                cbor_refuse(r);
}

/* Whatever an endpoint can have as its host. */
static void read_host(CborReader *r, char ret[static HOST_SIZE]) {
        Bytes b = cbor_read_text(r, HOST_SIZE - 1);
        char text[HOST_SIZE] = {}, endpoint[ENDPOINT_SIZE];
        uint16_t port;

        copy_bytes(text, b.data, b.size);
        if (!text[0] || strlen(text) != b.size)
                cbor_refuse(r);
        endpoint_format(text, 1, endpoint);
        if (endpoint_parse(endpoint, strlen(endpoint), false, ret, &port) < 0)
                cbor_refuse(r);
}

static void read_note(CborReader *r, char ret[static PRESENCE_NOTE_MAX + 1]) {
        Bytes b = cbor_read_text(r, PRESENCE_NOTE_MAX);

        if (b.size == 0 || memchr(b.data, 0, b.size))
                cbor_refuse(r);
        else
                memcpy(ret, b.data, b.size);
}

/* What is said of online is that nothing is said. */
static Presence read_presence(CborReader *r) {
        Presence p = (Presence)cbor_read_uint_max(r, _PRESENCE_MAX - 1);

        if (p != PRESENCE_AWAY && p != PRESENCE_BUSY)
                cbor_refuse(r);
        return p;
}

static bool read_head(CborReader *r, uint64_t key, Beacon *b) {
        switch (key) {
        case 0:
                if (cbor_read_uint(r) != BEACON_VERSION)
                        cbor_refuse(r);
                return true;
        case 1:
                b->kind = (BeaconKind)cbor_read_uint_max(r, _BEACON_KIND_MAX - 1);
                return true;
        case 2:
                b->port = (uint16_t)cbor_read_positive(r, UINT16_MAX);
                return true;
        case 3:
                cbor_read_fixed(r, b->boot_nonce, BOOT_NONCE_SIZE);
                return true;
        case 4:
                b->seq = cbor_read_uint_max(r, BEACON_SEQ_MAX);
                return true;
        case 5:
                b->interval = (uint32_t)cbor_read_uint_max(r, BEACON_INTERVAL_MAX);
                return true;
        default:
                return false;
        }
}

static void read_field(CborReader *r, uint64_t key, Beacon *b) {
        switch (key) {
        case 6:
                b->certificate = cbor_read_some(r, CERTIFICATE_MAX);
                break;
        case 7:
                read_name(r, b->name);
                break;
        case 8:
                cbor_read_fixed(r, b->key, KEY_SIZE);
                break;
        case 9:
                read_host(r, b->host);
                break;
        case 10:
                b->asks = read_true(r);
                break;
        case 11:
                b->leaves = read_true(r);
                break;
        case 12:
                b->presence = read_presence(r);
                break;
        case 13:
                read_note(r, b->note);
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

#define HEAD (CBOR_BIT(0) | CBOR_BIT(1) | CBOR_BIT(2) | CBOR_BIT(3) | CBOR_BIT(4) | CBOR_BIT(5))
#define OF_PERSON (CBOR_BIT(6) | CBOR_BIT(7))
#define OF_TRACKER CBOR_BIT(8)
#define ONLY_PERSON (OF_PERSON | CBOR_BIT(12) | CBOR_BIT(13))
#define ONLY_TRACKER (OF_TRACKER | CBOR_BIT(9))

static int parse_body(Bytes body, Beacon *ret) {
        CborReader r = cbor_reader(body.data, body.size);
        Beacon b = {.presence = PRESENCE_ONLINE};
        uint64_t key;
        CborMap m;
        int e;

        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                if (!read_head(&r, key, &b))
                        read_field(&r, key, &b);
        e = cbor_finish(&r, &m, HEAD | (b.kind == BEACON_PERSON ? OF_PERSON : OF_TRACKER));
        if (e < 0)
                return e;
        if (b.interval < BEACON_INTERVAL_MIN ||
                m.seen & (b.kind == BEACON_PERSON ? ONLY_TRACKER : ONLY_PERSON))
                return -EBADMSG;
        *ret = b;
        return 0;
}

int beacon_parse(Bytes outer, Beacon *ret) {
        Signed s;
        Beacon b;
        int r;

        if (outer.size > BEACON_MAX)
                return -EBADMSG;
        r = signed_decode(outer, &s);
        if (r >= 0 && s.countersigned)
                r = -EBADMSG;
        if (r >= 0)
                r = parse_body(s.body, &b);
        if (r >= 0 && b.kind == BEACON_PERSON)
                r = certificate_parse(b.certificate, &b.device);
        if (r < 0)
                return r;
        *ret = b;
        return 0;
}

int beacon_verify(Bytes outer, const Beacon *b, bool certified) {
        const uint8_t *key = b->kind == BEACON_PERSON ? b->device.device : b->key;
        Certificate c;
        Signed s;
        int r;

        r = signed_decode(outer, &s);
        if (r >= 0 && b->kind == BEACON_PERSON && !certified)
                r = certificate_decode(b->certificate, &c);
        if (r >= 0 && b->kind == BEACON_TRACKER && !key_is_valid(key))
                r = -EKEYREJECTED;
        return r < 0 ? r : sign_verify(key, SIGN_BEACON, s.body.data, s.body.size, s.signature);
}
