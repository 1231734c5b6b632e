/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/mail.h"

#include <assert.h>

#include "crypto/hpke.h"

static_assert(
        MAIL_KEY_SIZE == HPKE_KEY_SIZE && MAIL_KEY_SIZE == HPKE_SEED_SIZE, "as the suite says");

static void read_version(CborReader *r) {
        if (cbor_read_uint(r) != MAIL_VERSION)
                cbor_refuse(r);
}

/* Envelope */

int envelope_encode(Buffer *out, const Envelope *e) {
        CborWriter w = cbor_writer(out);

        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, MAIL_VERSION);
        cbor_pair_uint(&w, 1, e->suite);
        cbor_pair_uint(&w, 2, e->prekey);
        cbor_pair_bytes(&w, 3, e->enc, MAIL_KEY_SIZE);
        cbor_pair_bytes(&w, 4, e->ciphertext.data, e->ciphertext.size);
        cbor_map_end(&w);
        return w.error;
}

/* Nothing covers the map around the ciphertext: with a key that may be ignored anybody could make
 * many items of one. */
int envelope_decode(Bytes in, Envelope *ret) {
        CborReader r = cbor_reader(in.data, in.size);
        Envelope e = {};
        uint64_t key;
        CborMap m;
        int error;

        if (in.size > MAIL_ENVELOPE_MAX)
                return -EBADMSG;
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                switch (key) {
                case 0:
                        read_version(&r);
                        break;
                case 1:
                        e.suite = cbor_read_uint(&r);
                        break;
                case 2:
                        e.prekey = cbor_read_uint(&r);
                        break;
                case 3:
                        cbor_read_fixed(&r, e.enc, MAIL_KEY_SIZE);
                        break;
                case 4:
                        e.ciphertext = cbor_read_bytes(&r, MAIL_ENVELOPE_MAX);
                        break;
                default:
                        cbor_refuse(&r);
                }
        error = cbor_finish(&r, &m, 0x1f);
        if (error < 0)
                return error;
        *ret = e;
        return 0;
}

/* Content */

int content_encode(Buffer *out, const Content *c) {
        static const uint8_t padding[MAIL_PADDING] = {0x80};
        size_t before = buffer_size(out);
        CborWriter w = cbor_writer(out);

        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, MAIL_VERSION);
        cbor_pair_uint(&w, 1, c->kind);
        cbor_pair_bytes(&w, 2, c->body.data, c->body.size);
        if (c->kind == CONTENT_MESSAGE)
                cbor_pair_bytes(&w, 3, c->signature, SIGNATURE_SIZE);
        cbor_pair_bytes(&w, 4, c->certificate.data, c->certificate.size);
        cbor_pair_some(&w, 5, c->record);
        cbor_pair_some(&w, 6, c->deposit_token);
        cbor_pair_some(&w, 7, c->presence_key);
        cbor_map_end(&w);
        if (w.error < 0)
                return w.error;
        return buffer_append(
                out, padding, MAIL_PADDING - (buffer_size(out) - before) % MAIL_PADDING);
}

/* Without its padding; empty where there is none, or not the shortest. */
static Bytes content_strip(Bytes in) {
        size_t n = in.size;

        if (n == 0 || n % MAIL_PADDING != 0)
                return (Bytes){};
        while (n > 0 && in.data[n - 1] == 0)
                n--;
        if (n == 0 || in.data[n - 1] != 0x80 || in.size - n >= MAIL_PADDING)
                return (Bytes){};
        return (Bytes){.data = in.data, .size = n - 1};
}

static void content_read_field(CborReader *r, Content *c, uint64_t key) {
        switch (key) {
        case 0:
                read_version(r);
                break;
        case 1:
                c->kind = (ContentKind)cbor_read_positive(r, _CONTENT_KIND_MAX - 1);
                break;
        case 2:
                c->body = cbor_read_some(r, INNER_SIZE_MAX);
                break;
        case 3:
                cbor_read_fixed(r, c->signature, SIGNATURE_SIZE);
                break;
        case 4:
                c->certificate = cbor_read_some(r, CERTIFICATE_MAX);
                break;
        case 5:
                c->record = cbor_read_some(r, RECORD_MAX);
                break;
        case 6:
                c->deposit_token = cbor_read_some(r, DEPOSIT_TOKEN_MAX);
                break;
        case 7:
                c->presence_key = cbor_read_some(r, PRESENCE_KEY_MAX);
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

int content_decode(Bytes in, Content *ret) {
        Bytes content = content_strip(in);
        CborReader r = cbor_reader(content.data, content.size);
        Content c = {};
        uint64_t key;
        CborMap m;
        int e;

        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                content_read_field(&r, &c, key);
        e = cbor_finish(&r, &m, CBOR_BIT(0) | CBOR_BIT(1) | CBOR_BIT(2) | CBOR_BIT(4));
        if (e < 0)
                return e;
        if ((c.kind == CONTENT_MESSAGE) != !!(m.seen & CBOR_BIT(3)))
                return -EBADMSG;
        *ret = c;
        return 0;
}

/* Sealing */

#define INFO_CONTEXT "p2pchat/1 mail" /* and a zero byte */
#define INFO_SIZE (sizeof(INFO_CONTEXT) + KEY_SIZE + 2 + 8)

/* Who reads, in which suite, by which key: an envelope that somebody has readdressed does not
 * open. */
static void make_info(
        const uint8_t *account, uint64_t suite, uint64_t prekey, uint8_t ret[static INFO_SIZE]) {
        uint8_t *p = ret + sizeof(INFO_CONTEXT);

        memcpy(ret, INFO_CONTEXT, sizeof(INFO_CONTEXT));
        memcpy(p, account, KEY_SIZE);
        p += KEY_SIZE;
        *p++ = (uint8_t)(suite >> 8);
        *p++ = (uint8_t)suite;
        for (int shift = 56; shift >= 0; shift -= 8)
                *p++ = (uint8_t)(prekey >> shift);
}

int envelope_seal(Buffer *out, const uint8_t account[static KEY_SIZE], const Prekey *prekey,
        Bytes plaintext, const uint8_t seed[static MAIL_KEY_SIZE]) {
        _cleanup_(buffer_done) Buffer ciphertext = BUFFER_NULL;
        Envelope e = {.suite = prekey->suite, .prekey = prekey->id};
        uint8_t info[INFO_SIZE];
        int r;

        if (prekey->suite != MAIL_SUITE_HPKE || prekey->key.size != MAIL_KEY_SIZE)
                return -EKEYREJECTED;
        make_info(account, e.suite, e.prekey, info);
        r = hpke_seal(prekey->key.data, seed, (Bytes){.data = info, .size = sizeof(info)},
                (Bytes){}, plaintext, e.enc, &ciphertext);
        if (r < 0)
                return r;
        e.ciphertext = buffer_bytes(&ciphertext);
        return envelope_encode(out, &e);
}

int envelope_open(Buffer *out, const uint8_t account[static KEY_SIZE], const Envelope *e,
        uint64_t suite, const uint8_t secret[static MAIL_KEY_SIZE]) {
        uint8_t info[INFO_SIZE];

        if (e->suite != suite || suite != MAIL_SUITE_HPKE)
                return -EBADMSG;
        make_info(account, e->suite, e->prekey, info);
        return hpke_open(secret, e->enc, (Bytes){.data = info, .size = sizeof(info)}, (Bytes){},
                e->ciphertext, out);
}

/* Objects of the recipient's account key */

/* The body of what the account in it has signed. */
static int verify_body(
        const Signed *s, SignContext context, const uint8_t account[static KEY_SIZE]) {
        if (s->countersigned)
                return -EBADMSG;
        if (!key_is_valid(account))
                return -EKEYREJECTED;
        return sign_verify(account, context, s->body.data, s->body.size, s->signature);
}

int deposit_token_encode(Buffer *out, const DepositToken *t, const SignKey *account) {
        _cleanup_(buffer_done) Buffer body = BUFFER_NULL;
        CborWriter w = cbor_writer(&body);

        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, MAIL_VERSION);
        cbor_pair_bytes(&w, 1, t->account, KEY_SIZE);
        cbor_pair_bytes(&w, 2, t->pseudonym, PSEUDONYM_SIZE);
        cbor_pair_uint(&w, 3, t->expires);
        cbor_map_end(&w);
        if (w.error < 0)
                return w.error;
        return signed_encode(out, SIGN_DEPOSIT, buffer_bytes(&body), account, NULL);
}

static int token_parse_signed(Bytes outer, Signed *s, DepositToken *ret) {
        DepositToken t = {};
        CborReader r;
        uint64_t key;
        CborMap m;
        int e;

        if (outer.size > DEPOSIT_TOKEN_MAX)
                return -EBADMSG;
        e = signed_decode(outer, s);
        if (e < 0)
                return e;
        r = cbor_reader(s->body.data, s->body.size);
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                if (key == 0)
                        read_version(&r);
                else if (key == 1)
                        cbor_read_fixed(&r, t.account, KEY_SIZE);
                else if (key == 2)
                        cbor_read_fixed(&r, t.pseudonym, PSEUDONYM_SIZE);
                else if (key == 3)
                        t.expires = cbor_read_uint(&r);
                else
                        cbor_unknown_key(&r, key);
        e = cbor_finish(&r, &m, 0xf);
        if (e < 0)
                return e;
        *ret = t;
        return 0;
}

bool deposit_token_is_own(const DepositToken *t) {
        static const uint8_t none[PSEUDONYM_SIZE];

        return memcmp(t->pseudonym, none, sizeof(none)) == 0;
}

int deposit_token_parse(Bytes outer, DepositToken *ret) {
        Signed s;

        return token_parse_signed(outer, &s, ret);
}

int deposit_token_decode(Bytes outer, DepositToken *ret) {
        DepositToken t;
        Signed s;
        int e;

        e = token_parse_signed(outer, &s, &t);
        if (e >= 0)
                e = verify_body(&s, SIGN_DEPOSIT, t.account);
        if (e < 0)
                return e;
        *ret = t;
        return 0;
}

int rekey_encode(Buffer *out, const Rekey *k, const SignKey *account) {
        _cleanup_(buffer_done) Buffer body = BUFFER_NULL;
        CborWriter w = cbor_writer(&body);

        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, MAIL_VERSION);
        cbor_pair_bytes(&w, 1, k->account, KEY_SIZE);
        cbor_key(&w, 2);
        cbor_put_array(&w, k->n_items);
        for (size_t i = 0; i < k->n_items; i++)
                cbor_put_bytes(&w, k->items[i], SHA256_SIZE);
        cbor_key(&w, 3);
        prekey_write(&w, &k->prekey);
        cbor_map_end(&w);
        if (w.error < 0)
                return w.error;
        return signed_encode(out, SIGN_PREKEY, buffer_bytes(&body), account, NULL);
}

static void rekey_read_items(CborReader *r, Rekey *k) {
        k->n_items = cbor_read_array(r, REKEY_ITEMS_MAX);
        if (k->n_items == 0)
                cbor_refuse(r);
        for (size_t i = 0; i < k->n_items; i++)
                cbor_read_fixed(r, k->items[i], SHA256_SIZE);
}

int rekey_decode(Bytes outer, Rekey *ret) {
        Rekey k = {};
        CborReader r;
        uint64_t key;
        CborMap m;
        Signed s;
        int e;

        if (outer.size > REKEY_MAX)
                return -EBADMSG;
        e = signed_decode(outer, &s);
        if (e < 0)
                return e;
        r = cbor_reader(s.body.data, s.body.size);
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                if (key == 0)
                        read_version(&r);
                else if (key == 1)
                        cbor_read_fixed(&r, k.account, KEY_SIZE);
                else if (key == 2)
                        rekey_read_items(&r, &k);
                else if (key == 3)
                        prekey_read(&r, &k.prekey);
                else
                        cbor_unknown_key(&r, key);
        e = cbor_finish(&r, &m, 0xf);
        if (e >= 0)
                e = verify_body(&s, SIGN_PREKEY, k.account);
        if (e < 0)
                return e;
        *ret = k;
        return 0;
}
