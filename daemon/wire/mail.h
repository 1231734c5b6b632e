/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Sealed mail: what is left at a directory for somebody who is away, and the objects by which the
 * right to leave it is proved and a lost key is repaired.
 *
 * Envelope {0 version, 1 suite, 2 prekey id, 3 enc, 4 ciphertext}: all that a directory sees.
 * Suite 1 is HPKE in base mode (RFC 9180) to a prekey of the recipient's record; its info
 * names the recipient, the suite and the prekey, so that an envelope opens nowhere else.
 *
 * Content, what is sealed {0 version, 1 kind, 2 body, 3 signature, 4 certificate, 5 record,
 * 6 deposit token, 7 presence key}, padded as ISO/IEC 7816-4 does: 0x80, then zeros. Base mode
 * proves no sender: the signature inside does, and what it covers names the conversation, which is
 * that of sender and reader.
 *
 * Deposit token {0 version, 1 account, 2 pseudonym, 3 expires}, signed by the recipient's account
 * key: whoever shows it is a contact of that account, or a device of it, where the pseudonym is
 * zero. That tells the directory that two deposits come from the same contact, not from whom.
 *
 * REKEY {0 version, 1 account, 2 items, 3 prekey}, signed by the recipient's account key: these
 * items cannot be opened here any more; seal them again to this prekey.
 *
 * Decoding checks form, keys and signatures; what depends on the clock or on what the reader
 * expects is asked separately. Times are µs, realtime.
 */

#include "wire/hello.h"
#include "wire/message.h"

#define MAIL_VERSION 1
#define MAIL_SUITE_HPKE 1
#define MAIL_KEY_SIZE 32 /* of that suite: X25519 */

#define MAIL_ENVELOPE_MAX (80 * 1024)
#define MAIL_LIFETIME_MAX (30 * USEC_PER_DAY) /* from sealing to the item's expiry */

/* Leading zero bits of a stranger's stamp (crypto/stamp.h): half a second of one processor. */
#define MAIL_STAMP_BITS 22

/* What is sealed is a multiple of this many bytes, so that its size tells little. */
#define MAIL_PADDING 256

typedef struct Envelope {
        uint64_t suite, prekey;
        uint8_t enc[MAIL_KEY_SIZE];
        Bytes ciphertext;
} Envelope;

int envelope_encode(Buffer *out, const Envelope *e);
int envelope_decode(Bytes in, Envelope *ret);

/* The item's id. */
static inline void envelope_id(Bytes envelope, uint8_t ret[static SHA256_SIZE]) {
        sha256(envelope.data, envelope.size, ret);
}

typedef enum ContentKind {
        CONTENT_MESSAGE = 1, /* body is INNER, and has a signature of its own */
        CONTENT_RECEIPT = 2, /* body is a signed object, as of the frame of that name */
        CONTENT_VOID = 3,
        CONTENT_ROOM = 4, /* a notice about a room; who has sealed it is a claim */
        _CONTENT_KIND_MAX,
} ContentKind;

typedef struct Content {
        ContentKind kind;
        Bytes body;
        uint8_t signature[SIGNATURE_SIZE]; /* of a message */
        Bytes certificate; /* of the device that signed */
        Bytes record; /* the sender's; empty: left out, like the next two */
        Bytes deposit_token; /* for an answer */
        Bytes presence_key;
} Content;

/* Appends the content with its padding. What fits a link fits an envelope. */
int content_encode(Buffer *out, const Content *c);
int content_decode(Bytes in, Content *ret);

/* Seals PLAINTEXT for ACCOUNT. SEED is fresh randomness. -EKEYREJECTED: not a usable key. */
int envelope_seal(Buffer *out, const uint8_t account[static KEY_SIZE], const Prekey *prekey,
        Bytes plaintext, const uint8_t seed[static MAIL_KEY_SIZE]);

/* Appends the plaintext of an envelope to ACCOUNT, for the prekey of that id: SUITE is what it was
 * made for. -EBADMSG: it does not open, or is in another suite. */
int envelope_open(Buffer *out, const uint8_t account[static KEY_SIZE], const Envelope *e,
        uint64_t suite, const uint8_t secret[static MAIL_KEY_SIZE]);

#define PSEUDONYM_SIZE 16
#define DEPOSIT_TOKEN_LIFETIME (180 * USEC_PER_DAY)

typedef struct DepositToken {
        uint8_t account[KEY_SIZE]; /* whose mailbox, and who signs */
        uint8_t pseudonym[PSEUDONYM_SIZE];
        uint64_t expires;
} DepositToken;

int deposit_token_encode(Buffer *out, const DepositToken *t, const SignKey *account);
int deposit_token_decode(Bytes outer, DepositToken *ret);

/* For a device of the account itself, which is no contact: the pseudonym is zero. */
bool deposit_token_is_own(const DepositToken *t) _pure_;

/* Form only: whose it would be, before the signature is worth looking at. */
int deposit_token_parse(Bytes outer, DepositToken *ret);

#define REKEY_ITEMS_MAX 64
#define REKEY_MAX 4096

typedef struct Rekey {
        uint8_t account[KEY_SIZE]; /* the recipient, who signs */
        uint8_t items[REKEY_ITEMS_MAX][SHA256_SIZE];
        size_t n_items; /* at least 1 */
        Prekey prekey;
} Rekey;

int rekey_encode(Buffer *out, const Rekey *r, const SignKey *account);
int rekey_decode(Bytes outer, Rekey *ret);
