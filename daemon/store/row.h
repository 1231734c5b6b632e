/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Values as they are stored: a head {version, flags, key id}, then big-endian integers, fixed bytes
 * and blobs with their length in front. The head is there from the first version on, so that a row
 * can change its form or be sealed under a key later without a new store.
 *
 * Reading has a sticky error: a row that is shorter than it should be, or of a version that is not
 * known, gives zeros and row_end() says -EUCLEAN or -EPROTONOSUPPORT.
 */

#include "db/db.h"
#include "util/buffer.h"
#include "wire/cbor.h"

#define ROW_VERSION 1
#define ROW_HEAD_SIZE 3

typedef struct RowReader {
        const uint8_t *p, *end;
        int error;
        DbTxn *txn; /* where it was read */
} RowReader;

RowReader row_begin(DbValue v);
uint8_t row_u8(RowReader *r);
uint16_t row_u16(RowReader *r);
uint32_t row_u32(RowReader *r);
uint64_t row_u64(RowReader *r);
void row_bytes(RowReader *r, void *to, size_t n);

/* Points into the value. */
Bytes row_blob(RowReader *r);

/* All that is left. */
Bytes row_rest(RowReader *r);
int row_end(const RowReader *r);

/* There is something that rows of an earlier form do not have. */
static inline bool row_has_more(const RowReader *r) {
        return r->error >= 0 && r->p < r->end;
}

/* Clears OUT and writes the head. */
void row_start(Buffer *out);
void row_put_u8(Buffer *out, uint8_t v);
void row_put_u16(Buffer *out, uint16_t v);
void row_put_u32(Buffer *out, uint32_t v);
void row_put_u64(Buffer *out, uint64_t v);
void row_put_bytes(Buffer *out, const void *p, size_t n);
void row_put_blob(Buffer *out, Bytes b);

/* Writes what was put; -ENOMEM, for the whole batch, when a put failed for want of memory. */
int row_write(DbTxn *txn, unsigned table, const DbKey *key, const Buffer *row);
