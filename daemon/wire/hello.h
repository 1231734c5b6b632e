/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What both ends say first, on links and on tracker sessions, and how a conversation ends.
 *
 * HELLO     {3 versions, 4 account expected, 5 certificate, 6 record, 7 boot nonce, 8 heartbeat s,
 *            9 features, 10 time}
 * HELLO_OK  {3 deposit token, 4 presence key, 5 head, 6 receipt, 7 presence}
 * GRANT     {3 deposit token, 4 presence key}
 * ANNOUNCE  {3 presence}
 * BYE       {3 reason, 4 text, 5 record}
 * ERROR     {3 code, 4 text, 5 retry-after s}
 */

#include "util/text.h"
#include "wire/code.h"
#include "wire/frame.h"
#include "wire/identity.h"

#define PROTOCOL_VERSION 1
#define HELLO_VERSIONS_MAX 8
#define HELLO_FEATURES_MAX 32
#define HEARTBEAT_MIN 5 /* s */
#define HEARTBEAT_MAX 3600
#define BOOT_NONCE_SIZE 16
#define DEPOSIT_TOKEN_MAX 512
#define FEATURE_CONTACT_TOKENS 1 /* of a tracker: WATCH and LOOKUP take tokens */
#define FEATURE_TYPING 2 /* of a peer: it takes TYPING */
#define FEATURE_ROOMS 3 /* of a peer: it takes ROOM_SYNC and ROOM_ENTRIES */
#define FEATURE_ROOM_DIRECTORY 4 /* of a tracker: ROOM_PUBLISH, ROOM_LOOKUP, ROOM_LIST */
#define FEATURE_ACCOUNTS 5 /* of a tracker: OPRF, LOGIN, ACCOUNT */
#define FEATURE_HANDOVER 6 /* of a peer: another device of its account may link to it */
#define PRESENCE_KEY_MAX 64

typedef struct Hello {
        uint64_t versions[HELLO_VERSIONS_MAX];
        size_t n_versions;
        bool expects; /* `expected` is there: whom the sender believes to be talking to */
        uint8_t expected[KEY_SIZE];
        Bytes certificate; /* empty: none, which only trackers do */
        Bytes record;
        uint8_t boot_nonce[BOOT_NONCE_SIZE]; /* new at each start of the program */
        uint32_t heartbeat; /* s */
        uint16_t features[HELLO_FEATURES_MAX];
        size_t n_features;
        uint64_t time; /* realtime of the sender, µs; 0: not told */
} Hello;

int hello_encode(Buffer *out, const Hello *h);
int hello_decode(Frame *f, Hello *ret);
bool hello_has_version(const Hello *h, uint64_t version) _pure_;
bool hello_has_feature(const Hello *h, uint16_t feature) _pure_;

/* The last entry held of a feed. */
typedef struct FeedHead {
        uint64_t epoch;
        uint8_t device[KEY_SIZE];
        uint64_t seq;
        uint8_t hash[SHA256_SIZE];
} FeedHead;

/* {0 epoch, 1 device, 2 seq, 3 hash} */
void feed_head_write(CborWriter *w, const FeedHead *h);
void feed_head_read(CborReader *r, FeedHead *h);

typedef struct HelloOk {
        Bytes deposit_token; /* contacts only */
        Bytes presence_key;
        bool has_head;
        FeedHead head; /* of the other's direct feed */
        Bytes receipt; /* the cumulative receipt for it, a signed object */
        Bytes presence; /* the sender's presence record, a signed object */
} HelloOk;

/* The presence is left out where the frame would be over its cap: it is the one part that can be
 * had elsewhere. */
int hello_ok_encode(Buffer *out, const HelloOk *h);
int hello_ok_decode(Frame *f, HelloOk *ret);

/* What a contact gets, over a link that was open before he was one, or when there is another key. A
 * peer that does not know it passes it over. */
typedef struct Grant {
        Bytes deposit_token, presence_key; /* empty: left out */
} Grant;

int grant_encode(Buffer *out, const Grant *g);
int grant_decode(Frame *f, Grant *ret);

/* The sender's newest presence record, to contacts over an open link; passed over as well. */
int announce_encode(Buffer *out, Bytes presence);
int announce_decode(Frame *f, Bytes *ret_presence);

#define REASON_TEXT_MAX 512

/* BYE and ERROR: an unknown code is _CODE_MAX, its text is kept. OK is a code of BYE only, where
 * nothing was wrong. */
typedef struct Refusal {
        Code code;
        Bytes text; /* a sentence for people; at most REASON_TEXT_MAX */
        uint64_t retry_after; /* s, ERROR only; at most RETRY_AFTER_MAX */
        Bytes record; /* BYE only: the newest record, with `Replaced` */
} Refusal;

/* A longer text is cut. */
int bye_encode(Buffer *out, Code code, const char *text, Bytes record);
int error_encode(Buffer *out, uint64_t request, Code code, const char *text, uint64_t retry_after);
int refusal_decode(Frame *f, Refusal *ret);
