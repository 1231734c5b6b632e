/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The rows of a room, for the fuzzer of rows: made by the store itself, and then read and written
 * whatever has become of them. */

#include "store/room-private.h"

static const uint8_t ROOM_ID[SHA256_SIZE] = {0x77}, PROPOSAL[SHA256_SIZE] = {0x78};
static const uint8_t ROOM_SIGNATURE[SIGNATURE_SIZE] = {0x79};

/* What a function may say of such a room. */
static void check_room(int r) {
        MUST(r >= 0 || r == -EUCLEAN || r == -EPROTONOSUPPORT || r == -ENOENT || r == -EEXIST ||
                r == -EOVERFLOW || r == -ESTALE || r == -EROFS || r == -EINVAL ||
                (r == -ENOMEM && fuzz_failed()));
}

static NewRoomEntry room_entry(
        uint32_t room, uint32_t account, const Inner *m, const Buffer *bytes, const uint8_t *hash) {
        return (NewRoomEntry){.room = room,
                .account = account,
                .inner = m,
                .bytes = buffer_bytes(bytes),
                .hash = hash,
                .signature = {.data = ROOM_SIGNATURE, .size = SIGNATURE_SIZE},
                .content = hash,
                .now = m->sent};
}

static int room_say(Store *s, const Identity *who, uint32_t room, uint8_t n, usec_t at) {
        _cleanup_(buffer_done) Buffer bytes = BUFFER_NULL;
        Inner m = {.id = {{n}}, .kind = KIND_TEXT, .body = text_bytes("hello")};
        uint8_t hash[SHA256_SIZE];
        NewRoomEntry e;
        int r;

        r = store_room_prepare(s, who, room, at, &m);
        if (r >= 0)
                r = inner_encode(&bytes, &m);
        if (r < 0)
                return r;
        sha256(buffer_data(&bytes), buffer_size(&bytes), hash);
        e = room_entry(room, SELF_NUMBER, &m, &bytes, hash);
        return store_room_append(s, &e);
}

/* Entry SEQ of somebody, after nothing. */
static int room_hear(Store *s, uint32_t room, uint32_t account, uint8_t n, usec_t at) {
        _cleanup_(buffer_done) Buffer bytes = BUFFER_NULL;
        Inner m = {.id = {{n}},
                .account = {9},
                .epoch = 1,
                .device = {8},
                .seq = 1,
                .hlc = at / USEC_PER_MSEC << 16,
                .sent = at,
                .expires = at + ROOM_ENTRY_EXPIRES,
                .kind = KIND_TEXT,
                .body = text_bytes("hi")};
        uint8_t hash[SHA256_SIZE];
        RoomReceived what;
        NewRoomEntry e;
        int r;

        memcpy(m.conversation, ROOM_ID, SHA256_SIZE);
        r = inner_encode(&bytes, &m);
        if (r < 0)
                return r;
        sha256(buffer_data(&bytes), buffer_size(&bytes), hash);
        e = room_entry(room, account, &m, &bytes, hash);
        return store_room_receive(s, &e, &what);
}

static void make_room(Store *s, const Identity *who, uint32_t account, usec_t at) {
        const uint8_t key[ROOM_KEY_SIZE] = {1};
        uint32_t own, foreign;
        uint64_t seq;
        RoomRow room;

        MUST(room_add(s, ROOM_ID, "kitchen", ROOM_JOINED, &room) == 0);
        MUST(room_say(s, who, room.number, 0x71, at) == 0);
        MUST(room_say(s, who, room.number, 0x72, at) == 0);
        MUST(room_hear(s, room.number, account, 0x73, at) == 0);
        MUST(store_room_find_id(store_write(s), room.number, &(Uuid){{0x71}}, &own, &seq) == 1);
        MUST(store_room_find_id(store_write(s), room.number, &(Uuid){{0x73}}, &foreign, &seq) == 1);
        MUST(room_block_put(s, room.number, 1, text_bytes("genesis")) == 0);
        MUST(room_proposal_put(s, room.number, PROPOSAL, text_bytes("proposal"), at) == 0);
        MUST(room_settled_put(s, room.number, PROPOSAL, text_bytes("settled")) == 0);
        MUST(room_key_put(s, room.number, 1, key) == 0);
        MUST(room_fork_put(s, room.number, foreign, 5, text_bytes("proof")) == 1);
        MUST(room_mark_set(
                     s, room.number, account, &(RoomMark){.feed = own, .held = 2, .read = 1}) == 1);
        MUST(event_add(s,
                     &(EventRow){.kind = EVENT_ROOM,
                             .time = at,
                             .room = room.number,
                             .change = ROOM_EVENT_JOINED}) == 0);
}

/* Reading it */

static bool on_room_entry(void *userdata, DbTxn *txn, const Entry *e) {
        MUST(e->signature.size == 0 || e->signature.size == SIGNATURE_SIZE);
        return true;
}

static bool on_room_mark(void *userdata, DbTxn *txn, uint32_t account, const RoomMark *m) {
        MUST(m->read <= m->held);
        return true;
}

static bool on_room_feed(void *userdata, DbTxn *txn, const RoomFeed *f) {
        const RoomRow *room = userdata;
        uint64_t seq;
        RoomFeed found;
        Bytes proof;

        MUST(f->feed.conversation == room->number);
        check_room(store_room_entries(txn, f->feed.number, 0, on_room_entry, NULL));
        check_room(store_room_first_at(txn, f->feed.number, 1, &seq));
        check_room(room_feed_find_tag(txn, room->number, f->tag, &found));
        check_room(room_feed_read(txn, f->feed.number, &seq));
        check_room(room_fork_get(txn, room->number, f->feed.number, &seq, &proof));
        check_room(room_mark_each(txn, room->number, f->feed.number, on_room_mark, NULL));
        return true;
}

static bool on_room_proposal(void *userdata, DbTxn *txn, const RoomProposalRow *p) {
        return true;
}

static bool on_room_fork(void *userdata, DbTxn *txn, uint32_t feed, uint64_t seq, Bytes proof) {
        return true;
}

static bool on_room(void *userdata, DbTxn *txn, const RoomRow *r) {
        uint8_t key[ROOM_KEY_SIZE], digest[SHA256_SIZE];
        RoomRow room = *r, found;
        uint64_t epoch, n;
        Bytes b;

        MUST(strlen(r->name) < NAME_SIZE && strlen(r->topic) <= ROOM_TOPIC_MAX);
        check_room(room_find_name(txn, r->name, &found));
        check_room(room_find(txn, r->id, &found));
        check_room(room_block_get(txn, r->number, 1, &b));
        check_room(room_proposal_each(txn, r->number, on_room_proposal, NULL));
        check_room(room_settled_get(txn, r->number, PROPOSAL, &b));
        check_room(room_key_last(txn, r->number, 9, &epoch, key));
        check_room(room_fork_each(txn, r->number, on_room_fork, NULL));
        check_room(room_feed_each(txn, r->number, 0, on_room_feed, &room));
        check_room(room_feed_each_of(txn, r->number, SELF_NUMBER, on_room_feed, &room));
        check_room(store_digest(txn, r->number, digest, &n));
        return true;
}

static void read_rooms(DbTxn *txn) {
        RoomRow room;

        check_room(room_find_name(txn, "kitchen", &room));
        check_room(room_find(txn, ROOM_ID, &room));
        check_room(room_each(txn, on_room, NULL));
}

/* Writing it */

static void write_room(Store *s, const Identity *who, uint32_t account, usec_t at) {
        DbTxn *txn = store_write(s);
        uint32_t feed;
        uint64_t seq;
        RoomRow room;
        int r;

        r = room_find(txn, ROOM_ID, &room);
        check_room(r);
        if (r <= 0)
                return;
        check_room(room_say(s, who, room.number, 0x74, at));
        check_room(room_hear(s, room.number, account, 0x75, at));
        check_room(store_room_mark_read(s, room.number, &(Uuid){{0x73}}, at, true));
        check_room(room_proposal_remove(s, room.number, PROPOSAL));
        r = store_room_find_id(txn, room.number, &(Uuid){{0x72}}, &feed, &seq);
        check_room(r);
        if (r > 0) {
                check_room(room_mark_set(
                        s, room.number, account, &(RoomMark){.feed = feed, .held = 9, .read = 9}));
                check_room(store_room_cut(s, room.number, feed, 2));
        }
        r = store_room_find_id(txn, room.number, &(Uuid){{0x73}}, &feed, &seq);
        check_room(r);
        if (r > 0) {
                check_room(room_fork_put(s, room.number, feed, 1, text_bytes("earlier")));
                check_room(room_feed_freeze(s, room.number, feed, 1));
                check_room(store_room_cut(s, room.number, feed, 1));
        }
        check_room(room_blocks_remove(s, room.number, 1));
        room.status = ROOM_LEFT;
        check_room(room_write(s, &room));
}
