/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/identity.h"

#include "util/sockaddr.h"
#include "util/usec.h"

/* Appends an object that readers take only up to MAX bytes. */
static int signed_encode_max(
        Buffer *out, SignContext context, const Buffer *body, const SignKey *key, size_t max) {
        size_t before = buffer_size(out);
        int r;

        r = signed_encode(out, context, buffer_bytes(body), key, NULL);
        if (r < 0 || buffer_size(out) - before <= max)
                return r;
        out->end = out->begin + before;
        return -EMSGSIZE;
}

/* An object of another version is refused as a whole: its meaning is not known here. */
static void read_version(CborReader *r) {
        if (cbor_read_uint(r) != IDENTITY_VERSION)
                cbor_refuse(r);
}

/* Device certificate: {0 version, 1 account, 2 device, 3 epoch, 4 issued, 5 expires} */

int certificate_encode(
        const Certificate *c, const SignKey *account, const SignKey *device, Buffer *out) {
        _cleanup_(buffer_done) Buffer body = BUFFER_NULL;
        CborWriter w = cbor_writer(&body);

        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, IDENTITY_VERSION);
        cbor_pair_bytes(&w, 1, c->account, KEY_SIZE);
        cbor_pair_bytes(&w, 2, c->device, KEY_SIZE);
        cbor_pair_uint(&w, 3, c->epoch);
        cbor_pair_uint(&w, 4, c->issued);
        cbor_pair_uint(&w, 5, c->expires);
        cbor_map_end(&w);
        if (w.error < 0)
                return w.error;
        return signed_encode(out, SIGN_DEVICE, buffer_bytes(&body), account, device);
}

static int certificate_decode_body(Bytes body, Certificate *ret) {
        CborReader r = cbor_reader(body.data, body.size);
        Certificate c = {};
        uint64_t key;
        CborMap m;
        int e;

        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                switch (key) {
                case 0:
                        read_version(&r);
                        break;
                case 1:
                        cbor_read_fixed(&r, c.account, KEY_SIZE);
                        break;
                case 2:
                        cbor_read_fixed(&r, c.device, KEY_SIZE);
                        break;
                case 3:
                        c.epoch = cbor_read_uint(&r);
                        break;
                case 4:
                        c.issued = cbor_read_uint(&r);
                        break;
                case 5:
                        c.expires = cbor_read_uint(&r);
                        break;
                default:
                        cbor_unknown_key(&r, key);
                }
        e = cbor_finish(&r, &m, 0x3f);
        if (e < 0)
                return e;
        if (c.expires <= c.issued)
                return -EBADMSG;
        *ret = c;
        return 0;
}

static int certificate_open(Bytes outer, Signed *s, Certificate *ret) {
        int r;

        if (outer.size > CERTIFICATE_MAX)
                return -EBADMSG;
        r = signed_decode(outer, s);
        return r < 0 ? r : certificate_decode_body(s->body, ret);
}

int certificate_parse(Bytes outer, Certificate *ret) {
        Signed s;

        return certificate_open(outer, &s, ret);
}

int certificate_decode(Bytes outer, Certificate *ret) {
        Certificate c;
        Signed s;
        int r;

        r = certificate_open(outer, &s, &c);
        if (r < 0)
                return r;
        if (!s.countersigned || !key_is_valid(c.account) || !key_is_valid(c.device))
                return -EKEYREJECTED;
        r = sign_verify(c.account, SIGN_DEVICE, s.body.data, s.body.size, s.signature);
        if (r < 0)
                return r;
        r = sign_verify(c.device, SIGN_DEVICE, s.body.data, s.body.size, s.countersignature);
        if (r < 0)
                return r;
        *ret = c;
        return 0;
}

/* Record: {0 version, 1 account, 2 name, 3 devices [{0 certificate, 1 prekeys [{0 suite, 1 id,
 * 2 key}]}], 4 epoch, 5 seq, 6 issued, 7 expires, 8 suites, 9 flags {0 listed, 1 presence,
 * 2 endpoints}, 10 successor, 11 identity changes} */

static void record_put_flags(CborWriter *w, const Record *rec) {
        cbor_map_begin(w);
        cbor_pair_bool(w, 0, rec->listed);
        cbor_pair_uint(w, 1, rec->presence);
        cbor_pair_uint(w, 2, rec->endpoints);
        cbor_map_end(w);
}

int record_encode(const Record *rec, const SignKey *account, Buffer *out) {
        _cleanup_(buffer_done) Buffer body = BUFFER_NULL;
        CborWriter w = cbor_writer(&body);

        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, IDENTITY_VERSION);
        cbor_pair_bytes(&w, 1, rec->account, KEY_SIZE);
        cbor_pair_text(&w, 2, rec->name);
        cbor_key(&w, 3);
        cbor_put_array(&w, 1);
        cbor_map_begin(&w);
        cbor_pair_bytes(&w, 0, rec->certificate.data, rec->certificate.size);
        cbor_key(&w, 1);
        cbor_put_array(&w, rec->n_prekeys);
        for (size_t i = 0; i < rec->n_prekeys; i++)
                prekey_write(&w, &rec->prekeys[i]);
        cbor_map_end(&w);
        cbor_pair_uint(&w, 4, rec->epoch);
        cbor_pair_uint(&w, 5, rec->seq);
        cbor_pair_uint(&w, 6, rec->issued);
        cbor_pair_uint(&w, 7, rec->expires);
        cbor_key(&w, 8);
        cbor_put_array(&w, rec->n_suites);
        for (size_t i = 0; i < rec->n_suites; i++)
                cbor_put_uint(&w, rec->suites[i]);
        cbor_key(&w, 9);
        record_put_flags(&w, rec);
        cbor_key(&w, 11);
        cbor_put_array(&w, rec->n_changes);
        for (size_t i = 0; i < rec->n_changes; i++)
                cbor_put_bytes(&w, rec->changes[i].data, rec->changes[i].size);
        cbor_map_end(&w);
        if (w.error < 0)
                return w.error;
        return signed_encode_max(out, SIGN_RECORD, &body, account, RECORD_MAX);
}

void prekey_write(CborWriter *w, const Prekey *p) {
        cbor_map_begin(w);
        cbor_pair_uint(w, 0, p->suite);
        cbor_pair_uint(w, 1, p->id);
        cbor_pair_bytes(w, 2, p->key.data, p->key.size);
        cbor_map_end(w);
}

void prekey_read(CborReader *r, Prekey *ret) {
        uint64_t key;
        CborMap m;

        *ret = (Prekey){};
        cbor_read_map(r, &m);
        while (cbor_map_next(r, &m, &key))
                if (key == 0)
                        ret->suite = cbor_read_uint(r);
                else if (key == 1)
                        ret->id = cbor_read_uint(r);
                else if (key == 2)
                        ret->key = cbor_read_bytes(r, PREKEY_SIZE_MAX);
                else
                        cbor_unknown_key(r, key);
        if ((m.seen & 7) != 7)
                cbor_refuse(r);
}

static void record_read_prekeys(CborReader *r, Record *rec) {
        rec->n_prekeys = cbor_read_array(r, RECORD_PREKEYS_MAX);
        for (size_t i = 0; i < rec->n_prekeys; i++)
                prekey_read(r, &rec->prekeys[i]);
}

/* Exactly one device in version 1. */
static void record_read_devices(CborReader *r, Record *rec) {
        uint64_t key;
        CborMap m;

        if (cbor_read_array(r, 1) != 1)
                cbor_refuse(r);
        cbor_read_map(r, &m);
        while (cbor_map_next(r, &m, &key))
                if (key == 0)
                        rec->certificate = cbor_read_bytes(r, CERTIFICATE_MAX);
                else if (key == 1)
                        record_read_prekeys(r, rec);
                else
                        cbor_unknown_key(r, key);
        if ((m.seen & 3) != 3)
                cbor_refuse(r);
}

static void record_read_flags(CborReader *r, Record *rec) {
        uint64_t key;
        CborMap m;

        cbor_read_map(r, &m);
        while (cbor_map_next(r, &m, &key))
                if (key == 0)
                        rec->listed = cbor_read_bool(r);
                else if (key == 1)
                        rec->presence = (Visibility)cbor_read_uint_max(r, _VISIBILITY_MAX - 1);
                else if (key == 2)
                        rec->endpoints = (Visibility)cbor_read_uint_max(r, VISIBLE_CONTACTS);
                else
                        cbor_unknown_key(r, key);
        if ((m.seen & 7) != 7)
                cbor_refuse(r);
}

static void record_read_name(CborReader *r, Record *rec) {
        Bytes b = cbor_read_text(r, NAME_MAX_LENGTH);

        if (r->error < 0 || !name_is_canonical(b.data, b.size))
                cbor_refuse(r);
        else
                memcpy(rec->name, b.data, b.size);
}

static void record_read_suites(CborReader *r, Record *rec) {
        rec->n_suites = cbor_read_array(r, RECORD_SUITES_MAX);
        for (size_t i = 0; i < rec->n_suites; i++)
                rec->suites[i] = cbor_read_uint(r);
}

static void record_read_changes(CborReader *r, Record *rec) {
        rec->n_changes = cbor_read_array(r, RECORD_CHANGES_MAX);
        for (size_t i = 0; i < rec->n_changes; i++)
                rec->changes[i] = cbor_read_bytes(r, 256);
}

static void record_read_field(CborReader *r, Record *rec, uint64_t key) {
        switch (key) {
        case 0:
                read_version(r);
                break;
        case 1:
                cbor_read_fixed(r, rec->account, KEY_SIZE);
                break;
        case 2:
                record_read_name(r, rec);
                break;
        case 3:
                record_read_devices(r, rec);
                break;
        case 4:
                rec->epoch = cbor_read_uint(r);
                break;
        case 5:
                rec->seq = cbor_read_uint(r);
                break;
        case 6:
                rec->issued = cbor_read_uint(r);
                break;
        case 7:
                rec->expires = cbor_read_uint(r);
                break;
        case 8:
                record_read_suites(r, rec);
                break;
        case 9:
                record_read_flags(r, rec);
                break;
        case 10:
                cbor_read_some(r, 512);
                break;
        case 11:
                record_read_changes(r, rec);
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

static int record_parse_signed(Bytes outer, Signed *s, Record *ret) {
        Record rec = {};
        CborReader r;
        Signed device;
        uint64_t key;
        CborMap m;
        int e;

        if (outer.size > RECORD_MAX)
                return -EBADMSG;
        e = signed_decode(outer, s);
        if (e < 0)
                return e;
        r = cbor_reader(s->body.data, s->body.size);
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                record_read_field(&r, &rec, key);
        e = cbor_finish(&r, &m, 0xbff);
        if (e >= 0)
                e = certificate_open(rec.certificate, &device, &rec.device);
        if (e < 0)
                return e;
        if (s->countersigned || !key_equal(rec.device.account, rec.account) ||
                rec.device.epoch != rec.epoch || rec.expires <= rec.issued)
                return -EBADMSG;
        *ret = rec;
        return 0;
}

int record_parse(Bytes outer, Record *ret) {
        Signed s;

        return record_parse_signed(outer, &s, ret);
}

int record_decode(Bytes outer, Record *ret) {
        Record rec;
        Signed s;
        int e;

        e = record_parse_signed(outer, &s, &rec);
        if (e < 0)
                return e;
        /* Which also finds out whether the account is a key at all: it is the same. */
        e = certificate_decode(rec.certificate, &rec.device);
        if (e >= 0)
                e = sign_verify(rec.account, SIGN_RECORD, s.body.data, s.body.size, s.signature);
        if (e < 0)
                return e;
        *ret = rec;
        return 0;
}

static int compare_u64(uint64_t a, uint64_t b) {
        return a < b ? -1 : a > b;
}

int device_compare(uint64_t a_epoch, const uint8_t a[static KEY_SIZE], uint64_t b_epoch,
        const uint8_t b[static KEY_SIZE]) {
        uint8_t ha[SHA256_SIZE], hb[SHA256_SIZE];

        if (a_epoch != b_epoch || key_equal(a, b))
                return compare_u64(a_epoch, b_epoch);
        sha256(a, KEY_SIZE, ha);
        sha256(b, KEY_SIZE, hb);
        return memcmp(hb, ha, SHA256_SIZE); /* the lower one wins */
}

int record_compare(const Record *a, Bytes a_outer, const Record *b, Bytes b_outer) {
        uint8_t ha[SHA256_SIZE], hb[SHA256_SIZE];
        int c;

        c = device_compare(a->epoch, a->device.device, b->epoch, b->device.device);
        if (c != 0)
                return c;
        c = compare_u64(a->seq, b->seq);
        if (c != 0)
                return c;
        sha256(a_outer.data, a_outer.size, ha);
        sha256(b_outer.data, b_outer.size, hb);
        return memcmp(ha, hb, SHA256_SIZE);
}

/* Presence: {0 version, 1 account, 2 epoch, 3 device, 4 endpoints, 5 presence, 6 note, 7 seq,
 * 8 endpoints sealed for contacts} */

static void presence_put_endpoints(CborWriter *w, const PresenceRecord *p) {
        cbor_put_array(w, p->n_endpoints);
        for (size_t i = 0; i < p->n_endpoints; i++)
                cbor_put_text_bytes(w, p->endpoints[i]);
}

int presence_encode(const PresenceRecord *p, const SignKey *device, Buffer *out) {
        _cleanup_(buffer_done) Buffer body = BUFFER_NULL;
        CborWriter w = cbor_writer(&body);

        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, IDENTITY_VERSION);
        cbor_pair_bytes(&w, 1, p->account, KEY_SIZE);
        cbor_pair_uint(&w, 2, p->epoch);
        cbor_pair_bytes(&w, 3, p->device, KEY_SIZE);
        cbor_key(&w, 4);
        presence_put_endpoints(&w, p);
        cbor_pair_uint(&w, 5, p->presence);
        cbor_key(&w, 6);
        cbor_put_text_bytes(&w, p->note);
        cbor_pair_uint(&w, 7, p->seq);
        cbor_pair_some(&w, 8, p->sealed);
        cbor_map_end(&w);
        if (w.error < 0)
                return w.error;
        return signed_encode_max(out, SIGN_PRESENCE, &body, device, PRESENCE_MAX);
}

static void presence_read_endpoints(CborReader *r, PresenceRecord *p) {
        p->n_endpoints = cbor_read_array(r, PRESENCE_ENDPOINTS_MAX);
        for (size_t i = 0; i < p->n_endpoints; i++) {
                char host[HOST_SIZE];
                uint16_t port;

                p->endpoints[i] = cbor_read_text(r, ENDPOINT_SIZE - 1);
                if (r->error >= 0 &&
                        endpoint_parse((const char *)p->endpoints[i].data, p->endpoints[i].size,
                                false, host, &port) < 0)
                        cbor_refuse(r);
        }
}

static Bytes presence_account(const PresenceRecord *p) {
        return (Bytes){.data = p->account, .size = KEY_SIZE};
}

int presence_seal(const PresenceRecord *p, const uint8_t key[static BOX_KEY_SIZE],
        const uint8_t nonce[static BOX_NONCE_SIZE], Buffer *out) {
        _cleanup_(buffer_done) Buffer plain = BUFFER_NULL;
        CborWriter w = cbor_writer(&plain);

        presence_put_endpoints(&w, p);
        if (w.error < 0)
                return w.error;
        return box_seal(key, nonce, presence_account(p), buffer_bytes(&plain), out);
}

int presence_open(PresenceRecord *p, const uint8_t key[static BOX_KEY_SIZE], Buffer *buf) {
        PresenceRecord opened = *p;
        CborReader r;
        int e;

        buffer_clear(buf);
        e = box_open(key, presence_account(p), p->sealed, buf);
        if (e < 0)
                return e;
        r = cbor_reader(buffer_data(buf), buffer_size(buf));
        presence_read_endpoints(&r, &opened);
        if (r.error < 0 || r.p != r.end)
                return -EBADMSG;
        *p = opened;
        return 0;
}

static void presence_read_note(CborReader *r, PresenceRecord *p) {
        p->note = cbor_read_text(r, PRESENCE_NOTE_MAX);
        if (p->note.size > 0 && memchr(p->note.data, 0, p->note.size))
                cbor_refuse(r);
}

static void presence_read_field(CborReader *r, PresenceRecord *p, uint64_t key) {
        switch (key) {
        case 0:
                read_version(r);
                break;
        case 1:
                cbor_read_fixed(r, p->account, KEY_SIZE);
                break;
        case 2:
                p->epoch = cbor_read_uint(r);
                break;
        case 3:
                cbor_read_fixed(r, p->device, KEY_SIZE);
                break;
        case 4:
                presence_read_endpoints(r, p);
                break;
        case 5:
                p->presence = (Presence)cbor_read_uint_max(r, _PRESENCE_MAX - 1);
                break;
        case 6:
                presence_read_note(r, p);
                break;
        case 7:
                p->seq = cbor_read_uint(r);
                break;
        case 8:
                p->sealed = cbor_read_some(r, PRESENCE_MAX);
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

static int presence_parse_signed(Bytes outer, Signed *s, PresenceRecord *ret) {
        PresenceRecord p = {};
        CborReader r;
        uint64_t key;
        CborMap m;
        int e;

        if (outer.size > PRESENCE_MAX)
                return -EBADMSG;
        e = signed_decode(outer, s);
        if (e < 0)
                return e;
        r = cbor_reader(s->body.data, s->body.size);
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                presence_read_field(&r, &p, key);
        e = cbor_finish(&r, &m, 0xff);
        if (e < 0)
                return e;
        if (s->countersigned)
                return -EBADMSG;
        *ret = p;
        return 0;
}

int presence_parse(Bytes outer, PresenceRecord *ret) {
        Signed s;

        return presence_parse_signed(outer, &s, ret);
}

int presence_decode(Bytes outer, PresenceRecord *ret) {
        PresenceRecord p;
        Signed s;
        int e;

        e = presence_parse_signed(outer, &s, &p);
        if (e < 0)
                return e;
        if (!key_is_valid(p.device))
                return -EKEYREJECTED;
        e = sign_verify(p.device, SIGN_PRESENCE, s.body.data, s.body.size, s.signature);
        if (e < 0)
                return e;
        *ret = p;
        return 0;
}

const char *presence_name(Presence p) {
        static const char *const names[_PRESENCE_MAX] = {
                [PRESENCE_OFFLINE] = "offline",
                [PRESENCE_ONLINE] = "online",
                [PRESENCE_AWAY] = "away",
                [PRESENCE_BUSY] = "busy",
        };

        return p >= 0 && p < _PRESENCE_MAX ? names[p] : "offline";
}
