/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/receipt.h"

#include <assert.h>

#define STATEMENT_VERSION 1

static void ranges_write(CborWriter *w, const SeqRange *ranges, size_t n) {
        assert(n > 0 && n <= RECEIPT_RANGES_MAX);
        cbor_put_array(w, 2 * n);
        for (size_t i = 0; i < n; i++) {
                cbor_put_uint(w, ranges[i].first);
                cbor_put_uint(w, ranges[i].last);
        }
}

/* Ascending, with at least one entry missing between two ranges. */
static size_t ranges_read(CborReader *r, SeqRange ranges[static RECEIPT_RANGES_MAX]) {
        size_t n = cbor_read_array(r, 2 * (size_t)RECEIPT_RANGES_MAX);
        uint64_t before = 0;

        if (n == 0 || n % 2 != 0) {
                cbor_refuse(r);
                return 0;
        }
        for (size_t i = 0; i < n / 2; i++) {
                SeqRange *x = &ranges[i];

                x->first = cbor_read_uint(r);
                x->last = cbor_read_uint(r);
                if (x->first == 0 || x->last < x->first || (i > 0 && x->first - 1 <= before))
                        cbor_refuse(r);
                before = x->last;
        }
        return n / 2;
}

static void read_version(CborReader *r) {
        if (cbor_read_uint(r) != STATEMENT_VERSION)
                cbor_refuse(r);
}

/* The body of a statement that DEVICE signed, and nobody else. */
static int statement_open(
        Bytes outer, SignContext context, const uint8_t device[static KEY_SIZE], Bytes *ret) {
        Signed s;
        int r;

        r = signed_decode(outer, &s);
        if (r < 0)
                return r;
        if (s.countersigned)
                return -EBADMSG;
        r = sign_verify(device, context, s.body.data, s.body.size, s.signature);
        if (r < 0)
                return r;
        *ret = s.body;
        return 0;
}

static int statement_seal(
        Buffer *out, SignContext context, const Buffer *body, const SignKey *device) {
        Bytes b = {.data = buffer_data(body), .size = buffer_size(body)};

        return signed_encode(out, context, b, device, NULL);
}

int receipt_encode(Buffer *out, const Receipt *rc, const SignKey *device) {
        _cleanup_(buffer_done) Buffer body = BUFFER_NULL;
        CborWriter w = cbor_writer(&body);

        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, STATEMENT_VERSION);
        cbor_pair_bytes(&w, 1, rc->conversation, SHA256_SIZE);
        cbor_pair_bytes(&w, 2, rc->author, KEY_SIZE);
        cbor_pair_uint(&w, 3, rc->epoch);
        cbor_pair_bytes(&w, 4, rc->device, KEY_SIZE);
        cbor_key(&w, 5);
        ranges_write(&w, rc->ranges, rc->n_ranges);
        cbor_pair_bytes(&w, 6, rc->hash, SHA256_SIZE);
        cbor_pair_uint(&w, 7, rc->state);
        cbor_pair_bytes(&w, 8, rc->reader, KEY_SIZE);
        cbor_map_end(&w);
        return w.error < 0 ? w.error : statement_seal(out, SIGN_RECEIPT, &body, device);
}

static void receipt_read_field(CborReader *r, Receipt *rc, uint64_t key) {
        switch (key) {
        case 0:
                read_version(r);
                break;
        case 1:
                cbor_read_fixed(r, rc->conversation, SHA256_SIZE);
                break;
        case 2:
                cbor_read_fixed(r, rc->author, KEY_SIZE);
                break;
        case 3:
                rc->epoch = cbor_read_uint(r);
                break;
        case 4:
                cbor_read_fixed(r, rc->device, KEY_SIZE);
                break;
        case 5:
                rc->n_ranges = ranges_read(r, rc->ranges);
                break;
        case 6:
                cbor_read_fixed(r, rc->hash, SHA256_SIZE);
                break;
        case 7:
                rc->state = (ReceiptState)cbor_read_uint_max(r, RECEIPT_READ);
                if (rc->state < RECEIPT_DELIVERED)
                        cbor_refuse(r);
                break;
        case 8:
                cbor_read_fixed(r, rc->reader, KEY_SIZE);
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

int receipt_decode(Bytes outer, const uint8_t device[static KEY_SIZE], Receipt *ret) {
        CborReader r;
        uint64_t key;
        CborMap m;
        Bytes body;
        int e;

        e = statement_open(outer, SIGN_RECEIPT, device, &body);
        if (e < 0)
                return e;
        *ret = (Receipt){};
        r = cbor_reader(body.data, body.size);
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                receipt_read_field(&r, ret, key);
        return cbor_finish(&r, &m, 0x1ff);
}

int void_encode(Buffer *out, const Void *v, const SignKey *device) {
        _cleanup_(buffer_done) Buffer body = BUFFER_NULL;
        CborWriter w = cbor_writer(&body);

        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, STATEMENT_VERSION);
        cbor_pair_bytes(&w, 1, v->conversation, SHA256_SIZE);
        cbor_pair_bytes(&w, 2, v->author, KEY_SIZE);
        cbor_pair_uint(&w, 3, v->epoch);
        cbor_pair_bytes(&w, 4, v->device, KEY_SIZE);
        cbor_key(&w, 5);
        ranges_write(&w, v->ranges, v->n_ranges);
        cbor_pair_uint(&w, 6, v->reason);
        cbor_map_end(&w);
        return w.error < 0 ? w.error : statement_seal(out, SIGN_VOID, &body, device);
}

static void void_read_field(CborReader *r, Void *v, uint64_t key) {
        switch (key) {
        case 0:
                read_version(r);
                break;
        case 1:
                cbor_read_fixed(r, v->conversation, SHA256_SIZE);
                break;
        case 2:
                cbor_read_fixed(r, v->author, KEY_SIZE);
                break;
        case 3:
                v->epoch = cbor_read_uint(r);
                break;
        case 4:
                cbor_read_fixed(r, v->device, KEY_SIZE);
                break;
        case 5:
                v->n_ranges = ranges_read(r, v->ranges);
                break;
        case 6:
                v->reason = cbor_read_positive(r, UINT64_MAX);
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

int void_decode(Bytes outer, const uint8_t device[static KEY_SIZE], Void *ret) {
        CborReader r;
        uint64_t key;
        CborMap m;
        Bytes body;
        int e;

        e = statement_open(outer, SIGN_VOID, device, &body);
        if (e < 0)
                return e;
        *ret = (Void){};
        r = cbor_reader(body.data, body.size);
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                void_read_field(&r, ret, key);
        return cbor_finish(&r, &m, 0x7f);
}

static int statement_frame_encode(Buffer *out, FrameType type, Bytes statement) {
        CborWriter w = frame_begin(out, type, 0);

        cbor_pair_bytes(&w, 3, statement.data, statement.size);
        return frame_end(&w);
}

static int statement_frame_decode(Frame *f, Bytes *ret_statement, Bytes *ret_certificate) {
        Bytes statement = {}, certificate = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3)
                        statement = cbor_read_bytes(&f->reader, FRAME_CONTROL_MAX);
                else if (key == 4)
                        certificate = cbor_read_some(&f->reader, CERTIFICATE_MAX);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(3));
        if (e < 0)
                return e;
        *ret_statement = statement;
        *ret_certificate = certificate;
        return 0;
}

int receipt_frame_encode(Buffer *out, Bytes receipt) {
        return statement_frame_encode(out, FRAME_RECEIPT, receipt);
}

int receipt_frame_decode(Frame *f, Bytes *ret_receipt, Bytes *ret_certificate) {
        return statement_frame_decode(f, ret_receipt, ret_certificate);
}

int void_frame_encode(Buffer *out, Bytes statement) {
        return statement_frame_encode(out, FRAME_VOID, statement);
}

int void_frame_decode(Frame *f, Bytes *ret_statement, Bytes *ret_certificate) {
        return statement_frame_decode(f, ret_statement, ret_certificate);
}
