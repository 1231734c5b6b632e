/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Items of a hand-over as bytes: deterministic CBOR maps, kind first. Reading checks form and
 * bounds; strings point into the item. */

#include "store/handover.h"
#include "store/mail.h"
#include "store/prekey.h"
#include "store/presence-key.h"
#include "wire/hello.h"

/* {0 kind, 1 id, 2 suite, 3 secret, 4 public, 5 made, 6 superseded} */
int handover_put_prekey(Buffer *out, const PrekeyRow *p);
int handover_get_prekey(Bytes item, PrekeyRow *ret);

/* {0 kind, 1 key} */
int handover_put_presence_key(Buffer *out, const uint8_t key[static BOX_KEY_SIZE]);
int handover_get_presence_key(Bytes item, uint8_t ret[static BOX_KEY_SIZE]);

/* {0 kind, 1 account, 2 flags, 3 record, 4 alias, 5 last seen, 6 rival, 7 has its plain name,
 * 8 endpoints, 9 token, 10 presence key, 11 to 14 epochs of what was decided: DECIDED_} */
typedef struct HandoverPerson {
        uint8_t account[KEY_SIZE];
        uint8_t flags; /* of Contact */
        Bytes record; /* empty: none */
        char alias[NAME_SIZE];
        usec_t last_seen;
        bool has_rival;
        uint8_t rival[KEY_SIZE];
        bool named;
        Endpoints endpoints;
        Bytes token; /* empty: none */
        bool has_key;
        uint8_t key[BOX_KEY_SIZE];
        uint64_t decided[_DECIDED_MAX];
} HandoverPerson;

int handover_put_person(Buffer *out, const HandoverPerson *p);
int handover_get_person(Bytes item, HandoverPerson *ret);

/* {0 kind, 1 certificate} */
int handover_put_certificate(Buffer *out, Bytes outer);
int handover_get_certificate(Bytes item, Bytes *ret);

/* Which feed: {1 peer, 2 own, 3 epoch, 4 device} */
typedef struct HandoverFeedName {
        uint8_t peer[KEY_SIZE]; /* with whom the direct conversation is */
        bool own; /* else it is the peer's */
        uint64_t epoch;
        uint8_t device[KEY_SIZE];
} HandoverFeedName;

/* {…, 5 head, 6 its hash, 7 read, 8 cancelled, 9 expired, 10 refused}. A set is an array [dropped,
 * first, last, …] as Ranges has it, and absent where it is empty. */
typedef struct HandoverFeed {
        HandoverFeedName name;
        uint64_t seq;
        uint8_t hash[SHA256_SIZE];
        Ranges read; /* of the peer's: what the user has read */
        Ranges voids[VOID_REFUSED]; /* by reason - 1 */
} HandoverFeed;

int handover_put_feed(Buffer *out, const HandoverFeed *f);
int handover_get_feed(Bytes item, HandoverFeed *ret);

/* {0 kind, 1 INNER, 2 state, 3 flags, 4 reason, 5 stored, 6 received, 7 signature, 8 content, 9 in
 * the outbox, 10 read, 11 item id, 12 secret, 13 sealed, 14 expires, 15 trackers} */
typedef struct HandoverEntry {
        Entry entry; /* without feed and seq, which INNER has */
        bool own; /* with `content` */
        uint8_t content[SHA256_SIZE]; /* of an own one: what makes a second send the same */
        bool outbox;
        bool read;
        bool has_mail;
        MailItem mail; /* without recipient and place */
} HandoverEntry;

int handover_put_entry(Buffer *out, const HandoverEntry *e);
int handover_get_entry(Bytes item, HandoverEntry *ret);

/* {…, 5 have or receipts, 6 hash of the last entry of `have`, 7 read receipts, 8 delivered is owed,
 * 9 read is owed} */
typedef struct HandoverFeedEnd {
        HandoverFeedName name;
        Ranges have; /* own: what the peer has signed for */
        uint8_t hash[SHA256_SIZE]; /* the peer's */
        Ranges read;
        bool owes_delivered, owes_read;
} HandoverFeedEnd;

int handover_put_feed_end(Buffer *out, const HandoverFeedEnd *f);
int handover_get_feed_end(Bytes item, HandoverFeedEnd *ret);

/* {0 kind, 1 account (absent: the own one), 2 id, 3 content, 4 until} */
typedef struct HandoverId {
        bool has_account;
        uint8_t account[KEY_SIZE];
        Uuid id;
        uint8_t content[SHA256_SIZE];
        usec_t until;
} HandoverId;

int handover_put_id(Buffer *out, const HandoverId *h);
int handover_get_id(Bytes item, HandoverId *ret);

/* {0 kind, 1 presence, 2 note} */
int handover_put_chosen_presence(Buffer *out, const ChosenPresence *c);
int handover_get_chosen_presence(Bytes item, ChosenPresence *ret);

/* {0 kind, 1 tracker, 2 statement} */
int handover_put_password(Buffer *out, const PasswordRow *p);
int handover_get_password(Bytes item, PasswordRow *ret);

/* {0 kind, 1 name, 2 cursor, 3 time} */
typedef struct HandoverClient {
        char name[EVENT_CLIENT_NAME_MAX + 1];
        uint64_t cursor;
        usec_t time;
} HandoverClient;

int handover_put_client(Buffer *out, const HandoverClient *c);
int handover_get_client(Bytes item, HandoverClient *ret);

/* {0 kind, 1 cursor, 2 event, 3 time, 4 account (absent: the own one, or none), 5 room or 6 peer,
 * 7 epoch, 8 device, 9 seq, 10 id, 11 state, 12 reason, 13 request, 14 presence, 15 key changed,
 * 16 other, 17 change, 18 role, 19 topic (17 alone: before 0.8.0 it said neither)}. What is absent
 * is zero, or false. */
typedef struct HandoverEvent {
        EventRow row; /* without feed, account and room */
        bool has_account, has_room, has_peer; /* one of the last two: 7 to 9 are a place there */
        uint8_t account[KEY_SIZE]; /* whom it is about, or whose feed it is */
        uint8_t room[ROOM_ID_SIZE];
        uint8_t peer[KEY_SIZE];
        uint64_t epoch;
        uint8_t device[KEY_SIZE];
} HandoverEvent;

int handover_put_event(Buffer *out, const HandoverEvent *e);
int handover_get_event(Bytes item, HandoverEvent *ret);
