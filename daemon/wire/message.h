/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The message, its feed, and the frames that carry it over a link.
 *
 * INNER is what the author wrote, the same bytes on a link, in a mailbox, in a hand-over and in an
 * export. {0 version, 1 id, 2 conversation, 3 account, 4 epoch, 5 device, 6 seq, 7 prev, 8 hlc,
 * 9 sent, 10 expires, 11 kind, 12 body, 13 parents, 14 reply-to, 15 control head, 16 ext}
 *
 * A feed is all that one (account, epoch, device) wrote in one conversation: seq counts from 1
 * without a hole and prev is the SHA-256 of the INNER before. The signature of an entry is over
 * SHA-256(INNER), and through prev it vouches for those before it.
 */

#include "util/text.h"
#include "wire/code.h"
#include "wire/frame.h"
#include "wire/identity.h"
#include "wire/receipt.h"

#define MESSAGE_VERSION 1
#define TEXT_SIZE_MAX 65536
#define BODY_SIZE_MAX (TEXT_SIZE_MAX + 1024) /* a room's ciphertext is longer than its text */
#define INNER_SIZE_MAX (BODY_SIZE_MAX + 4096)
#define PARENTS_MAX 4

/* Times of a message: not beyond the year 9999, which is as far as RFC 3339 goes, and with at most
 * a year from `sent` to `expires`. */
#define MESSAGE_TIME_MAX (UINT64_C(253402300800) * USEC_PER_SEC - 1)
#define MESSAGE_LIFETIME_MAX (365 * USEC_PER_DAY)

/* A burst on a link is signed once, at its last entry. */
#define BURST_ENTRIES_MAX 64
#define BURST_BYTES_MAX (1024 * 1024)

typedef enum MessageKind {
        KIND_TEXT = 1,
        KIND_EDIT = 2,
        KIND_DELETE = 3,
        KIND_REACTION = 4,
        KIND_ATTACHMENT = 5,
        KIND_ROOM_KEY = 6,
        KIND_REKEY = 7,
} MessageKind;

/* No feed gets there, and one more is still a number. */
#define SEQ_MAX (UINT64_MAX / 2)

typedef struct Inner {
        Uuid id;
        uint8_t conversation[SHA256_SIZE];
        uint8_t account[KEY_SIZE];
        uint64_t epoch;
        uint8_t device[KEY_SIZE];
        uint64_t seq; /* 1 to SEQ_MAX */
        uint8_t prev[SHA256_SIZE];
        uint64_t hlc; /* 48 bits ms, 16 bits counter */
        uint64_t sent; /* µs, realtime */
        uint64_t expires; /* µs, realtime */
        uint64_t kind; /* MessageKind, or what a newer version knows */
        Bytes body;
        uint8_t parents[PARENTS_MAX][SHA256_SIZE];
        size_t n_parents;
        bool has_reply_to;
        Uuid reply_to;
        Bytes control_head; /* rooms */
        Bytes ext; /* a CBOR item, kept as it came */
} Inner;

int inner_encode(Buffer *out, const Inner *m);
int inner_decode(Bytes in, Inner *ret);

/* SHA-256("p2pchat/1 direct" ‖ the two accounts, the smaller one first) */
void conversation_direct(const uint8_t a[static KEY_SIZE], const uint8_t b[static KEY_SIZE],
        uint8_t ret[static SHA256_SIZE]);

/* Signature of an entry, over SHA-256(INNER). */
int entry_sign(const SignKey *device, const uint8_t hash[static SHA256_SIZE],
        uint8_t ret[static SIGNATURE_SIZE]);
int entry_verify(const uint8_t device[static KEY_SIZE], const uint8_t hash[static SHA256_SIZE],
        const uint8_t signature[static SIGNATURE_SIZE]);

/* MESSAGE {3 INNER, 4 signature, 5 certificate}: the signature is absent inside a burst, the
 * certificate where it is the link's own. */
typedef struct MessageFrame {
        Bytes inner;
        Bytes signature; /* empty or SIGNATURE_SIZE */
        Bytes certificate;
} MessageFrame;

int message_encode(Buffer *out, const MessageFrame *m);
int message_decode(Frame *f, MessageFrame *ret);

/* ACK {3 ids} */
#define ACK_IDS_MAX 1024

int ack_encode(Buffer *out, const Uuid *ids, size_t n);
int ack_decode(Frame *f, Uuid ids[static ACK_IDS_MAX], size_t *ret_n);

/* NACK {3 id, 4 code, 5 permanent, 6 retry-after s} */
typedef struct Nack {
        Uuid id;
        Code code; /* _CODE_MAX: one this version does not know */
        bool permanent;
        uint64_t retry_after; /* at most RETRY_AFTER_MAX */
} Nack;

int nack_encode(Buffer *out, const Nack *n);
int nack_decode(Frame *f, Nack *ret);

/* TYPING {3 on}: to who has said FEATURE_TYPING. For TYPING_LASTS, unless it is said again. */
#define TYPING_LASTS (30 * USEC_PER_SEC)

int typing_encode(Buffer *out, bool on);
int typing_decode(Frame *f, bool *ret_on);
