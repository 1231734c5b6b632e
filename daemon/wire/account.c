/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/account.h"

/* OPRF */

int oprf_request_encode(Buffer *out, uint64_t request, const OprfRequest *o) {
        CborWriter w = frame_begin(out, FRAME_OPRF, request);

        if (o->name[0])
                cbor_pair_text(&w, 3, o->name);
        else
                cbor_pair_bytes(&w, 4, o->account, KEY_SIZE);
        cbor_pair_bytes(&w, 5, o->blinded, ACCOUNT_ELEMENT_SIZE);
        cbor_pair_bool(&w, 6, o->enrol);
        return frame_end(&w);
}

static void read_name(CborReader *r, char ret[static NAME_SIZE]) {
        Bytes name = cbor_read_text(r, NAME_MAX_LENGTH);

        if (name_is_canonical(name.data, name.size))
                memcpy(ret, name.data, name.size);
        else
                cbor_refuse(r);
}

int oprf_request_decode(Frame *f, OprfRequest *ret) {
        OprfRequest o = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                switch (key) {
                case 3:
                        read_name(&f->reader, o.name);
                        break;
                case 4:
                        cbor_read_fixed(&f->reader, o.account, KEY_SIZE);
                        break;
                case 5:
                        cbor_read_fixed(&f->reader, o.blinded, ACCOUNT_ELEMENT_SIZE);
                        break;
                case 6:
                        o.enrol = cbor_read_bool(&f->reader);
                        break;
                default:
                        cbor_unknown_key(&f->reader, key);
                }
        e = frame_close(f, CBOR_BIT(5) | CBOR_BIT(6));
        if (e < 0)
                return e;
        if (!!(f->map.seen & CBOR_BIT(3)) == !!(f->map.seen & CBOR_BIT(4)))
                return -EBADMSG;
        *ret = o;
        return 0;
}

int oprf_answer_encode(Buffer *out, uint64_t request, const OprfAnswer *a) {
        CborWriter w = frame_begin(out, FRAME_OK, request);

        cbor_pair_bytes(&w, 3, a->evaluated, ACCOUNT_ELEMENT_SIZE);
        cbor_pair_uint(&w, 4, a->key_id);
        cbor_pair_uint(&w, 5, a->memory);
        cbor_pair_uint(&w, 6, a->passes);
        return frame_end(&w);
}

int oprf_answer_decode(Frame *f, OprfAnswer *ret) {
        OprfAnswer a = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                switch (key) {
                case 3:
                        cbor_read_fixed(&f->reader, a.evaluated, ACCOUNT_ELEMENT_SIZE);
                        break;
                case 4:
                        a.key_id = cbor_read_positive(&f->reader, ACCOUNT_KEY_ID_MAX);
                        break;
                case 5:
                        a.memory = cbor_read_positive(&f->reader, ACCOUNT_MEMORY_MAX);
                        break;
                case 6:
                        a.passes = cbor_read_positive(&f->reader, ACCOUNT_PASSES_MAX);
                        break;
                default:
                        cbor_unknown_key(&f->reader, key);
                }
        e = frame_close(f, CBOR_BIT(3) | CBOR_BIT(4) | CBOR_BIT(5) | CBOR_BIT(6));
        if (e < 0)
                return e;
        *ret = a;
        return 0;
}

/* LOGIN */

static int login_input(
        Buffer *out, const uint8_t *exporter, const uint8_t *tracker, const OprfRequest *asked) {
        CborWriter w = cbor_writer(out);

        cbor_put_array(&w, 3);
        cbor_put_bytes(&w, exporter, LOGIN_EXPORTER_SIZE);
        cbor_put_bytes(&w, tracker, KEY_SIZE);
        if (asked->name[0])
                cbor_put_text(&w, asked->name);
        else
                cbor_put_bytes(&w, asked->account, KEY_SIZE);
        return w.error;
}

int login_sign(const SignKey *login, const uint8_t exporter[static LOGIN_EXPORTER_SIZE],
        const uint8_t tracker[static KEY_SIZE], const OprfRequest *asked,
        uint8_t ret[static SIGNATURE_SIZE]) {
        _cleanup_(buffer_done) Buffer in = BUFFER_NULL;
        int r;

        r = login_input(&in, exporter, tracker, asked);
        if (r < 0)
                return r;
        return sign(login, SIGN_LOGIN, buffer_data(&in), buffer_size(&in), ret);
}

int login_verify(const uint8_t login[static KEY_SIZE],
        const uint8_t exporter[static LOGIN_EXPORTER_SIZE], const uint8_t tracker[static KEY_SIZE],
        const OprfRequest *asked, const uint8_t signature[static SIGNATURE_SIZE]) {
        _cleanup_(buffer_done) Buffer in = BUFFER_NULL;
        int r;

        r = login_input(&in, exporter, tracker, asked);
        if (r < 0)
                return r;
        return sign_verify(login, SIGN_LOGIN, buffer_data(&in), buffer_size(&in), signature);
}

int login_encode(Buffer *out, uint64_t request, const uint8_t signature[static SIGNATURE_SIZE]) {
        return frame_put_object(
                out, FRAME_LOGIN, request, (Bytes){.data = signature, .size = SIGNATURE_SIZE});
}

int login_decode(Frame *f, uint8_t ret_signature[static SIGNATURE_SIZE]) {
        uint8_t signature[SIGNATURE_SIZE];
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3)
                        cbor_read_fixed(&f->reader, signature, SIGNATURE_SIZE);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(3));
        if (e < 0)
                return e;
        memcpy(ret_signature, signature, SIGNATURE_SIZE);
        return 0;
}

int login_answer_encode(Buffer *out, uint64_t request, const LoginAnswer *a) {
        CborWriter w = frame_begin(out, FRAME_OK, request);

        cbor_pair_bytes(&w, 3, a->statement.data, a->statement.size);
        cbor_pair_bytes(&w, 4, a->record.data, a->record.size);
        return frame_end(&w);
}

int login_answer_decode(Frame *f, LoginAnswer *ret) {
        LoginAnswer a = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3)
                        a.statement = cbor_read_bytes(&f->reader, ACCOUNT_STATEMENT_MAX);
                else if (key == 4)
                        a.record = cbor_read_bytes(&f->reader, RECORD_MAX);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(3) | CBOR_BIT(4));
        if (e < 0)
                return e;
        *ret = a;
        return 0;
}

int account_encode(Buffer *out, uint64_t request, Bytes statement) {
        return frame_put_object(out, FRAME_ACCOUNT, request, statement);
}

int account_decode(Frame *f, Bytes *ret_statement) {
        return frame_decode_object(f, ACCOUNT_STATEMENT_MAX, ret_statement);
}

/* The statement */

#define STATEMENT_PASSWORD UINT64_C(0xf8) /* keys 3 to 7: all of them or none */
#define STATEMENT_REQUIRED UINT64_C(0x107)

int account_statement_encode(const AccountStatement *s, const SignKey *account, Buffer *out) {
        _cleanup_(buffer_done) Buffer body = BUFFER_NULL;
        CborWriter w = cbor_writer(&body);

        if (s->has_password &&
                (s->deleted || s->backup.size == 0 || s->backup.size > ACCOUNT_BACKUP_MAX))
                return -EINVAL;
        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, IDENTITY_VERSION);
        cbor_pair_bytes(&w, 1, s->account, KEY_SIZE);
        cbor_pair_uint(&w, 2, s->seq);
        if (s->has_password) {
                cbor_pair_uint(&w, 3, s->key_id);
                cbor_pair_uint(&w, 4, s->memory);
                cbor_pair_uint(&w, 5, s->passes);
                cbor_pair_bytes(&w, 6, s->login, KEY_SIZE);
                cbor_pair_bytes(&w, 7, s->backup.data, s->backup.size);
        }
        cbor_pair_uint(&w, 8, s->issued);
        if (s->deleted)
                cbor_pair_bool(&w, 9, true);
        cbor_map_end(&w);
        if (w.error < 0)
                return w.error;
        return signed_encode(out, SIGN_LOGIN, buffer_bytes(&body), account, NULL);
}

static void read_version(CborReader *r) {
        if (cbor_read_uint(r) != IDENTITY_VERSION)
                cbor_refuse(r);
}

static void statement_read_field(CborReader *r, AccountStatement *s, uint64_t key) {
        switch (key) {
        case 0:
                read_version(r);
                break;
        case 1:
                cbor_read_fixed(r, s->account, KEY_SIZE);
                break;
        case 2:
                s->seq = cbor_read_uint(r);
                break;
        case 3:
                s->key_id = cbor_read_positive(r, ACCOUNT_KEY_ID_MAX);
                break;
        case 4:
                s->memory = cbor_read_positive(r, ACCOUNT_MEMORY_MAX);
                break;
        case 5:
                s->passes = cbor_read_positive(r, ACCOUNT_PASSES_MAX);
                break;
        case 6:
                cbor_read_fixed(r, s->login, KEY_SIZE);
                break;
        case 7:
                s->backup = cbor_read_some(r, ACCOUNT_BACKUP_MAX);
                break;
        case 8:
                s->issued = cbor_read_uint(r);
                break;
        case 9:
                s->deleted = cbor_read_bool(r);
                if (!s->deleted)
                        cbor_refuse(r);
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

static int statement_parse_signed(Bytes outer, Signed *signature, AccountStatement *ret) {
        AccountStatement s = {};
        uint64_t key, password;
        CborReader r;
        CborMap m;
        int e;

        if (outer.size > ACCOUNT_STATEMENT_MAX)
                return -EBADMSG;
        e = signed_decode(outer, signature);
        if (e < 0)
                return e;
        r = cbor_reader(signature->body.data, signature->body.size);
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                statement_read_field(&r, &s, key);
        e = cbor_finish(&r, &m, STATEMENT_REQUIRED);
        if (e < 0)
                return e;
        password = m.seen & STATEMENT_PASSWORD;
        if (signature->countersigned || (password != 0 && password != STATEMENT_PASSWORD))
                return -EBADMSG;
        s.has_password = password != 0;
        if (s.deleted && s.has_password)
                return -EBADMSG;
        *ret = s;
        return 0;
}

int account_statement_parse(Bytes outer, AccountStatement *ret) {
        Signed s;

        return statement_parse_signed(outer, &s, ret);
}

int account_statement_decode(Bytes outer, AccountStatement *ret) {
        AccountStatement s;
        Signed signature;
        int e;

        e = statement_parse_signed(outer, &signature, &s);
        if (e < 0)
                return e;
        if (!key_is_valid(s.account) || (s.has_password && !key_is_valid(s.login)))
                return -EKEYREJECTED;
        e = sign_verify(s.account, SIGN_LOGIN, signature.body.data, signature.body.size,
                signature.signature);
        if (e < 0)
                return e;
        *ret = s;
        return 0;
}

int account_statement_compare(
        const AccountStatement *a, Bytes a_outer, const AccountStatement *b, Bytes b_outer) {
        uint8_t hash_a[SHA256_SIZE], hash_b[SHA256_SIZE];

        if (a->seq != b->seq)
                return a->seq > b->seq ? 1 : -1;
        if (a->deleted != b->deleted)
                return a->deleted ? 1 : -1;
        sha256(a_outer.data, a_outer.size, hash_a);
        sha256(b_outer.data, b_outer.size, hash_b);
        return memcmp(hash_a, hash_b, SHA256_SIZE);
}

/* The backup */

#define BACKUP_CONTEXT "p2pchat/1 backup" /* and a zero byte */
#define BACKUP_AAD_SIZE (sizeof(BACKUP_CONTEXT) + KEY_SIZE + 8 + 8)
#define BACKUP_PLAIN_MAX 128

static uint8_t *put_be64(uint8_t *p, uint64_t v) {
        for (int shift = 56; shift >= 0; shift -= 8)
                *p++ = (uint8_t)(v >> shift);
        return p;
}

/* An older backup does not open in a newer statement. */
static Bytes backup_aad(const AccountStatement *s, uint8_t buf[static BACKUP_AAD_SIZE]) {
        uint8_t *p = buf;

        memcpy(p, BACKUP_CONTEXT, sizeof(BACKUP_CONTEXT));
        p += sizeof(BACKUP_CONTEXT);
        memcpy(p, s->account, KEY_SIZE);
        p = put_be64(p + KEY_SIZE, s->seq);
        put_be64(p, s->key_id);
        return (Bytes){.data = buf, .size = BACKUP_AAD_SIZE};
}

int account_backup_seal(const AccountBackup *b, const AccountStatement *s,
        const uint8_t key[static BOX_KEY_SIZE], const uint8_t nonce[static BOX_NONCE_SIZE],
        Buffer *out) {
        _cleanup_(buffer_wipe) Buffer plain = BUFFER_NULL;
        uint8_t aad[BACKUP_AAD_SIZE];
        CborWriter w = cbor_writer(&plain);

        /* So that it never moves: what it leaves behind would not be wiped. */
        if (!buffer_reserve(&plain, BACKUP_PLAIN_MAX))
                return -ENOMEM;
        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, IDENTITY_VERSION);
        cbor_pair_bytes(&w, 1, b->seed, KEY_SIZE);
        cbor_pair_text(&w, 2, b->name);
        cbor_pair_uint(&w, 3, b->epoch);
        cbor_pair_uint(&w, 4, b->record_seq);
        cbor_pair_uint(&w, 5, b->made);
        cbor_map_end(&w);
        if (w.error < 0)
                return w.error;
        return box_seal(key, nonce, backup_aad(s, aad), buffer_bytes(&plain), out);
}

static int backup_read(Bytes in, AccountBackup *b) {
        CborReader r = cbor_reader(in.data, in.size);
        uint64_t key;
        CborMap m;

        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                switch (key) {
                case 0:
                        read_version(&r);
                        break;
                case 1:
                        cbor_read_fixed(&r, b->seed, KEY_SIZE);
                        break;
                case 2:
                        read_name(&r, b->name);
                        break;
                case 3:
                        b->epoch = cbor_read_uint(&r);
                        break;
                case 4:
                        b->record_seq = cbor_read_uint(&r);
                        break;
                case 5:
                        b->made = cbor_read_uint(&r);
                        break;
                default:
                        cbor_unknown_key(&r, key);
                }
        return cbor_finish(&r, &m, 0x3f);
}

static bool backup_is_of(const AccountBackup *b, const uint8_t account[static KEY_SIZE]) {
        SignKey k;
        bool is;

        sign_key_from_seed(b->seed, &k);
        is = key_equal(sign_key_public(&k), account);
        sign_key_wipe(&k);
        return is;
}

int account_backup_open(
        const AccountStatement *s, const uint8_t key[static BOX_KEY_SIZE], AccountBackup *ret) {
        _cleanup_(buffer_wipe) Buffer plain = BUFFER_NULL;
        uint8_t aad[BACKUP_AAD_SIZE];
        AccountBackup b = {};
        int r;

        r = box_open(key, backup_aad(s, aad), s->backup, &plain);
        if (r >= 0)
                r = backup_read(buffer_bytes(&plain), &b);
        if (r >= 0 && !backup_is_of(&b, s->account))
                r = -EBADMSG;
        if (r >= 0)
                *ret = b;
        account_backup_wipe(&b);
        return r;
}

void account_backup_wipe(AccountBackup *b) {
        explicit_bzero(b, sizeof(*b));
}
