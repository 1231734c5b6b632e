/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Requests to a tracker, their answers and its pushes. A request has an id; the answer, OK or
 * ERROR, has the same. Records and presence travel as signed objects: who receives one verifies it
 * before believing anything.
 *
 * REGISTER    {3 record}                       -> OK {}
 * PUBLISH     {3 presence, 4 record}           -> OK {}               (either may be absent)
 * LOOKUP      {3 name | 4 account, 5 token}    -> OK {3 record, 4 presence, 5 last-seen}
 * LIST_PEERS  {3 after, 4 limit, 5 online}     -> OK {3 [{0 record, 1 presence}], 4 after}
 * WATCH       {3 [accounts], 4 [accounts], 5 [tokens]}  -> OK {}      (add, remove)
 * push PRESENCE {3 account, 4 online, 5 last-seen, 6 presence}
 * push RECORD   {3 record}
 *
 * A token is a deposit token (wire/mail.h): who has one of somebody's is a contact, and learns the
 * presence that is for contacts. Only for trackers with FEATURE_CONTACT_TOKENS.
 */

#include "wire/hello.h"

/* REGISTER and push RECORD. */
int record_frame_encode(Buffer *out, FrameType type, uint64_t request, Bytes record);
int record_frame_decode(Frame *f, Bytes *ret_record);

typedef struct Publish {
        Bytes presence, record; /* empty: absent */
} Publish;

int publish_encode(Buffer *out, uint64_t request, const Publish *p);
int publish_decode(Frame *f, Publish *ret);

/* By name, or by account where `name` is empty. */
typedef struct Lookup {
        char name[NAME_SIZE];
        uint8_t account[KEY_SIZE];
        Bytes token; /* of the account that is looked for; or empty */
} Lookup;

int lookup_encode(Buffer *out, uint64_t request, const Lookup *l);
int lookup_decode(Frame *f, Lookup *ret);

typedef struct LookupAnswer {
        Bytes record;
        Bytes presence; /* empty: not online */
        uint64_t last_seen; /* µs, realtime; 0: not known */
} LookupAnswer;

int lookup_answer_encode(Buffer *out, uint64_t request, const LookupAnswer *a);
int lookup_answer_decode(Frame *f, LookupAnswer *ret);

#define LIST_PEERS_MAX 100 /* entries in an answer */
#define LIST_AFTER_MAX 64

typedef struct ListPeers {
        Bytes after; /* empty: from the start; else what an answer said */
        uint64_t limit;
        bool online; /* only who is online */
} ListPeers;

int list_peers_encode(Buffer *out, uint64_t request, const ListPeers *l);
int list_peers_decode(Frame *f, ListPeers *ret);

typedef struct ListPeersAnswer {
        struct {
                Bytes record, presence; /* presence empty: not online */
        } peers[LIST_PEERS_MAX];
        size_t n_peers;
        Bytes after; /* empty: this was the last page */
} ListPeersAnswer;

/* -EMSGSIZE where the records do not fit a frame: the tracker then takes fewer. */
int list_peers_answer_encode(Buffer *out, uint64_t request, const ListPeersAnswer *a);
int list_peers_answer_decode(Frame *f, ListPeersAnswer *ret);

#define WATCH_ACCOUNTS_MAX 1000 /* in either list; two full ones are over the frame's cap */

#define WATCH_TOKENS_MAX 64

typedef struct Watch {
        Bytes add, remove; /* accounts one after the other */
        Bytes tokens[WATCH_TOKENS_MAX]; /* of accounts that are watched, these or others */
        size_t n_tokens;
} Watch;

int watch_encode(Buffer *out, uint64_t request, const Watch *w);
/* The lists are copied into BUF, as many as 2 * WATCH_ACCOUNTS_MAX accounts. */
int watch_decode(Frame *f, uint8_t (*buf)[KEY_SIZE], Watch *ret);

typedef struct PresencePush {
        uint8_t account[KEY_SIZE];
        bool online; /* as the tracker sees it; `presence` proves where */
        uint64_t last_seen;
        Bytes presence;
} PresencePush;

int presence_push_encode(Buffer *out, const PresencePush *p);
int presence_push_decode(Frame *f, PresencePush *ret);
