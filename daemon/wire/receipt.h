/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the two ends of a feed say about it, each a signed object in a frame of its own: the reader
 * what arrived, the author what never will.
 *
 * RECEIPT, VOID {3 signed object, 4 certificate where it is not the link's own}
 *
 * Both name sequence numbers as ranges that ascend and do not touch, so that a set has one form.
 * Decoding checks form and signature; whether the key that signed may speak for the account is for
 * the caller to find out. What is in RET after a failure means nothing.
 */

#include "crypto/hash.h"
#include "wire/frame.h"
#include "wire/identity.h"
#include "wire/signed.h"

typedef struct SeqRange {
        uint64_t first, last; /* both inside; first >= 1 */
} SeqRange;

#define RECEIPT_RANGES_MAX 256

typedef enum ReceiptState {
        RECEIPT_DELIVERED = 2,
        RECEIPT_READ = 3,
} ReceiptState;

/* RECEIPT: cumulative statement of the reader, signed by the reader's device: these entries of
 * that feed are on this disk. {0 version, 1 conversation, 2 author, 3 epoch, 4 device, 5 ranges
 * [first, last, …], 6 hash of the last entry, 7 state, 8 reader} */
typedef struct Receipt {
        uint8_t conversation[SHA256_SIZE];
        uint8_t author[KEY_SIZE];
        uint64_t epoch;
        uint8_t device[KEY_SIZE];
        SeqRange ranges[RECEIPT_RANGES_MAX];
        size_t n_ranges; /* at least 1 */
        uint8_t hash[SHA256_SIZE];
        ReceiptState state;
        uint8_t reader[KEY_SIZE];
} Receipt;

int receipt_encode(Buffer *out, const Receipt *rc, const SignKey *device);
int receipt_decode(Bytes outer, const uint8_t device[static KEY_SIZE], Receipt *ret);
int receipt_frame_encode(Buffer *out, Bytes receipt);
int receipt_frame_decode(Frame *f, Bytes *ret_receipt, Bytes *ret_certificate);

typedef enum VoidReason {
        VOID_CANCELLED = 1,
        VOID_EXPIRED = 2,
        VOID_REFUSED = 3,
} VoidReason;

/* VOID: the author's statement that these entries of the feed will not come, which closes a gap.
 * Signed by the feed's device or a newer one of the account. {0 version, 1 conversation, 2 author,
 * 3 epoch, 4 device, 5 ranges, 6 reason} */
typedef struct Void {
        uint8_t conversation[SHA256_SIZE];
        uint8_t author[KEY_SIZE];
        uint64_t epoch;
        uint8_t device[KEY_SIZE];
        SeqRange ranges[RECEIPT_RANGES_MAX];
        size_t n_ranges; /* at least 1 */
        uint64_t reason; /* VoidReason, or what a newer version knows */
} Void;

int void_encode(Buffer *out, const Void *v, const SignKey *device);
int void_decode(Bytes outer, const uint8_t device[static KEY_SIZE], Void *ret);
int void_frame_encode(Buffer *out, Bytes statement);
int void_frame_decode(Frame *f, Bytes *ret_statement, Bytes *ret_certificate);
