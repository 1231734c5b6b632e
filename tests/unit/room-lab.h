/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A room at alice's, and entries of other members, made as they come. */

#include "store-lab.h"

#include "store/room.h"

#define MEMBERS 5
#define MEMBER(n)                                                                                  \
        ((uint8_t)(20 + 2 * (n))) /* number of the account's key; its device's is one more */

typedef struct RoomLab {
        Lab lab;
        Store *store; /* alice's */
        RoomRow room;
        Contact member[MEMBERS];
        Uuid next_id;
} RoomLab;

static inline DbTxn *room_txn(const RoomLab *l) {
        return store_write(l->store);
}

static inline void room_lab_new(RoomLab *l) {
        static const uint8_t id[SHA256_SIZE] = {0xa1, 0xb2};

        *l = (RoomLab){};
        lab_new(&l->lab);
        l->store = l->lab.alice.store;
        CHECK_OK(room_add(l->store, id, "kitchen", ROOM_JOINED, &l->room));
        for (unsigned i = 0; i < MEMBERS; i++) {
                SignKey account = sample_key(MEMBER(i));

                CHECK_OK(contact_mark(l->store, sign_key_public(&account), CONTACT_MEMBER));
                CHECK_EQ(contact_get(room_txn(l), sign_key_public(&account), &l->member[i]), 1);
        }
}

static inline void room_lab_free(RoomLab *l) {
        lab_free(&l->lab);
}

static inline RoomRow room_now(const RoomLab *l) {
        RoomRow r;

        CHECK_EQ(room_get(room_txn(l), l->room.number, &r), 1);
        return r;
}

static inline Conversation room_conversation(const RoomLab *l) {
        Conversation v;

        CHECK_EQ(conversation_get(room_txn(l), l->room.number, &v), 1);
        return v;
}

/* Entry SEQ of member N after the one with hash PREV (NULL: none), sent SENT ms after NOW. */
static inline Inner member_inner(
        const RoomLab *l, unsigned n, uint64_t seq, const uint8_t *prev, uint64_t sent) {
        Inner m = sample_inner(MEMBER(n), BOB);

        memcpy(m.conversation, l->room.id, SHA256_SIZE);
        m.id = uuid_number((uint32_t)(n * 100000 + seq));
        m.seq = seq;
        memset(m.prev, 0, SHA256_SIZE);
        if (prev)
                memcpy(m.prev, prev, SHA256_SIZE);
        m.sent = NOW + sent * USEC_PER_MSEC;
        m.hlc = m.sent / USEC_PER_MSEC << 16;
        m.expires = m.sent + ROOM_ENTRY_EXPIRES;
        m.control_head = (Bytes){.data = (const uint8_t *)"\xa0", .size = 1};
        return m;
}

static const uint8_t any_signature[SIGNATURE_SIZE] = {0x51, 0x60};

static inline NewRoomEntry room_entry(const RoomLab *l, uint32_t account, const Made *m) {
        return (NewRoomEntry){.room = l->room.number,
                .account = account,
                .inner = &m->inner,
                .bytes = buffer_bytes(&m->bytes),
                .hash = m->hash,
                .signature = {.data = any_signature, .size = SIGNATURE_SIZE},
                .now = NOW + MINUTE};
}

static inline RoomReceived room_take_entry(RoomLab *l, const NewRoomEntry *e) {
        RoomReceived ret;

        CHECK_OK(store_room_receive(l->store, e, &ret));
        return ret;
}

static inline RoomReceived room_take(RoomLab *l, unsigned n, const Made *m) {
        NewRoomEntry e = room_entry(l, l->member[n].number, m);

        return room_take_entry(l, &e);
}

/* A chain of member N's; entry i is sent at FIRST + i * STEP ms. */
static inline void member_chain(
        const RoomLab *l, Made *ret, unsigned n, size_t count, uint64_t first, uint64_t step) {
        for (size_t i = 0; i < count; i++) {
                Inner m =
                        member_inner(l, n, i + 1, i > 0 ? ret[i - 1].hash : NULL, first + i * step);

                make(&ret[i], &m);
        }
}

static inline RoomFeed member_feed(const RoomLab *l, unsigned n) {
        SignKey device = sample_key((uint8_t)(MEMBER(n) + 1));
        RoomFeed f;

        CHECK_EQ(room_feed_find(room_txn(l), l->room.number,
                         &(RoomFeedKey){.number = l->member[n].number,
                                 .account = l->member[n].account,
                                 .epoch = 1,
                                 .device = sign_key_public(&device)},
                         &f),
                1);
        return f;
}

/* An own entry with that text, under the id with that number. As store_room_append(). */
static inline int room_say(RoomLab *l, uint32_t id, const char *text, usec_t now, RoomFeed *ret) {
        const Identity *self = &l->lab.alice.self;
        Inner m = {.id = uuid_number(id), .kind = KIND_TEXT, .body = text_bytes(text)};
        uint8_t content[SHA256_SIZE];
        NewRoomEntry e;
        Made made;
        int r;

        store_room_content(l->room.id, NULL, text_bytes(text), content);
        r = store_room_sent(room_txn(l), &m.id, content);
        if (r != 0)
                return r;
        r = store_room_prepare(l->store, self, l->room.number, now, &m);
        if (r < 0)
                return r;
        make(&made, &m);
        e = room_entry(l, SELF_NUMBER, &made);
        e.content = content;
        e.now = now;
        r = store_room_append(l->store, &e);
        made_done(&made);
        if (r == 0 && ret)
                CHECK_EQ(
                        room_feed_find(room_txn(l), l->room.number,
                                &(RoomFeedKey){
                                        .account = m.account, .epoch = m.epoch, .device = m.device},
                                ret),
                        1);
        return r;
}

/* The digest of the feeds, summed up anew from what is in the entries. */
typedef struct Summing {
        const RoomLab *lab;
        uint8_t digest[SHA256_SIZE];
        unsigned feeds;
} Summing;

static inline void sum_add(uint8_t d[static SHA256_SIZE], const uint8_t h[static SHA256_SIZE]) {
        unsigned carry = 0;

        for (int i = SHA256_SIZE - 1; i >= 0; i--) {
                carry += (unsigned)d[i] + h[i];
                d[i] = (uint8_t)carry;
                carry >>= 8;
        }
}

typedef struct LastEntry {
        uint64_t seq;
        uint8_t hash[SHA256_SIZE];
        uint64_t n;
} LastEntry;

static inline bool note_last(void *userdata, DbTxn *txn, const Entry *e) {
        LastEntry *l = userdata;

        l->seq = e->seq;
        l->n++;
        sha256(e->inner.data, e->inner.size, l->hash);
        return true;
}

static inline LastEntry last_entry(const RoomLab *l, uint32_t feed) {
        LastEntry last = {};

        CHECK_OK(store_room_entries(room_txn(l), feed, 0, note_last, &last));
        return last;
}

static inline bool sum_feed(void *userdata, DbTxn *txn, const RoomFeed *f) {
        Summing *s = userdata;
        LastEntry last = last_entry(s->lab, f->feed.number);
        uint8_t bytes[8 + 8 + SHA256_SIZE], hash[SHA256_SIZE];

        s->feeds++;
        CHECK_EQ(f->feed.seq, last.seq);
        CHECK(memcmp(f->feed.hash, last.hash, SHA256_SIZE) == 0);
        if (last.seq == 0)
                return true;
        memcpy(bytes, f->tag, 8);
        db_set_u64(bytes + 8, last.seq);
        memcpy(bytes + 16, last.hash, SHA256_SIZE);
        sha256(bytes, sizeof(bytes), hash);
        sum_add(s->digest, hash);
        return true;
}

static inline unsigned check_feeds_digest(const RoomLab *l) {
        Summing s = {.lab = l};
        RoomRow row = room_now(l);

        CHECK_OK(room_feed_each(room_txn(l), l->room.number, 0, sum_feed, &s));
        CHECK(memcmp(s.digest, row.feeds_digest, SHA256_SIZE) == 0);
        return s.feeds;
}
