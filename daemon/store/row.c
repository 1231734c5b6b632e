/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/row.h"

static const uint8_t *row_take(RowReader *r, size_t n) {
        const uint8_t *p = r->p;

        if (r->error >= 0 && (size_t)(r->end - r->p) < n)
                r->error = -EUCLEAN;
        if (r->error < 0)
                return NULL;
        r->p += n;
        return p;
}

RowReader row_begin(DbValue v) {
        RowReader r = {.p = v.data, .end = v.data + v.size, .txn = v.txn};
        const uint8_t *head = row_take(&r, ROW_HEAD_SIZE);

        if (head && (head[0] != ROW_VERSION || head[1] != 0 || head[2] != 0))
                r.error = -EPROTONOSUPPORT;
        return r;
}

uint8_t row_u8(RowReader *r) {
        const uint8_t *p = row_take(r, 1);

        return p ? *p : 0;
}

uint16_t row_u16(RowReader *r) {
        const uint8_t *p = row_take(r, 2);

        return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

uint32_t row_u32(RowReader *r) {
        const uint8_t *p = row_take(r, 4);

        return p ? db_get_u32(p) : 0;
}

uint64_t row_u64(RowReader *r) {
        const uint8_t *p = row_take(r, 8);

        return p ? db_get_u64(p) : 0;
}

void row_bytes(RowReader *r, void *to, size_t n) {
        const uint8_t *p = row_take(r, n);

        if (p)
                copy_bytes(to, p, n);
        else
                memset(to, 0, n);
}

Bytes row_blob(RowReader *r) {
        uint32_t n = row_u32(r);
        const uint8_t *p = row_take(r, n);

        return p ? (Bytes){.data = p, .size = n} : (Bytes){};
}

Bytes row_rest(RowReader *r) {
        size_t n = r->error < 0 ? 0 : (size_t)(r->end - r->p);
        const uint8_t *p = row_take(r, n);

        return p ? (Bytes){.data = p, .size = n} : (Bytes){};
}

int row_end(const RowReader *r) {
        int error = r->error < 0 ? r->error : r->p == r->end ? 0 : -EUCLEAN;

        return error == -EUCLEAN && r->txn ? db_damaged(r->txn) : error;
}

void row_start(Buffer *out) {
        static const uint8_t head[ROW_HEAD_SIZE] = {ROW_VERSION, 0, 0};

        buffer_clear(out);
        (void)buffer_append(out, head, sizeof(head));
}

/* A failed append leaves the buffer without its head, which row_write() sees: rows are never
 * written in part. */
void row_put_bytes(Buffer *out, const void *p, size_t n) {
        if (buffer_size(out) > 0 && buffer_append(out, p, n) < 0)
                buffer_clear(out);
}

void row_put_u8(Buffer *out, uint8_t v) {
        row_put_bytes(out, &v, 1);
}

void row_put_u16(Buffer *out, uint16_t v) {
        const uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};

        row_put_bytes(out, b, sizeof(b));
}

void row_put_u32(Buffer *out, uint32_t v) {
        uint8_t b[4];

        db_set_u32(b, v);
        row_put_bytes(out, b, sizeof(b));
}

void row_put_u64(Buffer *out, uint64_t v) {
        uint8_t b[8];

        db_set_u64(b, v);
        row_put_bytes(out, b, sizeof(b));
}

void row_put_blob(Buffer *out, Bytes b) {
        row_put_u32(out, (uint32_t)b.size);
        row_put_bytes(out, b.data, b.size);
}

int row_write(DbTxn *txn, unsigned table, const DbKey *key, const Buffer *row) {
        if (buffer_size(row) == 0)
                db_fail(txn, -ENOMEM); /* other rows that belong to this one are in the batch */
        return db_put(txn, table, key, buffer_data(row), buffer_size(row));
}
