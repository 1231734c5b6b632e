/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * One of each object of rooms, made from the fixed keys of wire-sample.h: account 1 with device 2
 * has founded the room, account 3 with device 4 is its second member.
 */

#include "wire/room-directory.h"
#include "wire/room-seal.h"
#include "wire/room-sync.h"

#include "wire-sample.h"

#define SAMPLE_ROOM_NONCE                                                                          \
        { 0x21, [15] = 0x22 }

static inline void sample_room_id(uint8_t ret[static ROOM_ID_SIZE]) {
        static const uint8_t nonce[ROOM_NONCE_SIZE] = SAMPLE_ROOM_NONCE;

        room_id(sample_certificate(1).account, nonce, ret);
}

static inline RoomChange sample_change(RoomChangeType type) {
        RoomChange c = {.type = type};

        memcpy(c.account, sample_certificate(3).account, KEY_SIZE);
        switch (type) {
        case ROOM_CHANGE_CREATE:
                c.text = sample_text("tea");
                c.access = ROOM_ACCESS_PRIVATE;
                c.history = ROOM_HISTORY_JOINED;
                memcpy(c.nonce, (const uint8_t[ROOM_NONCE_SIZE])SAMPLE_ROOM_NONCE, ROOM_NONCE_SIZE);
                break;
        case ROOM_CHANGE_ADD:
                c.text = sample_text("bob");
                break;
        case ROOM_CHANGE_ROLE:
                c.role = ROOM_ROLE_ADMIN;
                break;
        case ROOM_CHANGE_TOPIC:
                c.text = sample_text("no coffee ☕");
                break;
        default:
                break;
        }
        if (type == ROOM_CHANGE_ADD || type == ROOM_CHANGE_REMOVE || type == ROOM_CHANGE_LEAVE) {
                c.n_heads = 2;
                c.heads[0] = (FeedHead){.epoch = 1, .device = {5}, .seq = 300, .hash = {6}};
                c.heads[1] = (FeedHead){.epoch = 2, .device = {5}, .seq = 1, .hash = {7}};
        }
        return c;
}

static inline void sample_block_head(RoomBlock *b, uint64_t epoch) {
        Certificate c = sample_certificate(1);

        *b = (RoomBlock){.term = 1,
                .epoch = epoch,
                .device_epoch = c.epoch,
                .hlc = SAMPLE_TIME / USEC_PER_MSEC << 16,
                .sent = SAMPLE_TIME};
        sample_room_id(b->room);
        memcpy(b->account, c.account, KEY_SIZE);
        memcpy(b->device, c.device, KEY_SIZE);
}

static inline RoomBlock *sample_genesis(void) {
        static RoomBlock b;

        sample_block_head(&b, 1);
        b.n_changes = 2;
        b.changes[0] = sample_change(ROOM_CHANGE_CREATE);
        b.changes[1] = sample_change(ROOM_CHANGE_TOPIC);
        b.has_commitment = true;
        b.commitment[0] = 0x31;
        return &b;
}

/* With one of each change that a later block may have. */
static inline RoomBlock *sample_block(void) {
        static RoomBlock b;

        sample_block_head(&b, 70000);
        b.term = 2;
        b.prev[0] = 0x32;
        for (RoomChangeType t = ROOM_CHANGE_ADD; t < _ROOM_CHANGE_MAX; t++)
                b.changes[b.n_changes++] = sample_change(t);
        b.n_settled = 2;
        b.settled[0][0] = 0x33;
        b.settled[1][31] = 0x34;
        b.has_commitment = true;
        b.commitment[0] = 0x35;
        return &b;
}

static inline Buffer sample_block_object(const RoomBlock *b) {
        SignKey device = sample_key(2);
        Buffer out = BUFFER_NULL;

        sample_must(room_block_encode(&out, b, &device, NULL));
        return out;
}

static inline RoomProposal sample_proposal(RoomChangeType type) {
        Certificate c = sample_certificate(3);
        RoomProposal p = {.head = {.epoch = 70000, .hash = {0x41}},
                .device_epoch = c.epoch,
                .hlc = SAMPLE_TIME / USEC_PER_MSEC << 16 | 1,
                .sent = SAMPLE_TIME + 1,
                .change = sample_change(type)};

        sample_room_id(p.room);
        memcpy(p.account, c.account, KEY_SIZE);
        memcpy(p.device, c.device, KEY_SIZE);
        return p;
}

static inline Buffer sample_proposal_object(RoomChangeType type) {
        RoomProposal p = sample_proposal(type);
        SignKey device = sample_key(4);
        Buffer out = BUFFER_NULL;

        sample_must(room_proposal_encode(&out, &p, &device, NULL));
        return out;
}

/* By which the founder makes account 3 the owner. */
static inline Buffer sample_transfer_object(void) {
        static RoomBlock b;

        sample_block_head(&b, 5);
        b.prev[0] = 0x36;
        b.n_changes = 1;
        b.changes[0] = sample_change(ROOM_CHANGE_ROLE);
        b.changes[0].role = ROOM_ROLE_OWNER;
        b.n_settled = 1;
        b.settled[0][0] = 0x37;
        return sample_block_object(&b);
}

/* Of account N, which with transfers is 3. CERTIFICATE is its own. */
static inline RoomRecord sample_room_record(uint8_t n, Bytes certificate) {
        RoomRecord rec = {.nonce = SAMPLE_ROOM_NONCE,
                .name = "tea",
                .topic = sample_text("no coffee ☕"),
                .access = ROOM_ACCESS_OPEN,
                .certificate = certificate,
                .head = {.epoch = 70000, .hash = {0x51}},
                .members = 300,
                .seq = 70001,
                .issued = SAMPLE_TIME,
                .expires = SAMPLE_TIME + ROOM_RECORD_LIFETIME,
                .has_door = true,
                .door_hash = {0x52}};

        sample_room_id(rec.room);
        memcpy(rec.founder, sample_certificate(1).account, KEY_SIZE);
        rec.device = sample_certificate(n);
        memcpy(rec.owner, rec.device.account, KEY_SIZE);
        return rec;
}

/* After a transfer, with every field. */
static inline Buffer sample_room_record_object(void) {
        _cleanup_(buffer_done) Buffer founder = sample_certificate_object(1);
        _cleanup_(buffer_done) Buffer owner = sample_certificate_object(3);
        _cleanup_(buffer_done) Buffer block = sample_transfer_object();
        RoomRecord rec = sample_room_record(3, sample_bytes(&owner));
        SignKey device = sample_key(4);
        Buffer out = BUFFER_NULL;

        rec.n_transfers = 1;
        rec.transfers[0] = (RoomTransfer){sample_bytes(&block), sample_bytes(&founder)};
        rec.deleted = true;
        sample_must(room_record_encode(&out, &rec, &device));
        return out;
}

/* With every field; account 1 tells account 3. */
static inline RoomNotice sample_notice(Bytes proof, Bytes certificate) {
        Certificate c = sample_certificate(1);
        RoomNotice n = {.name = "tea",
                .what = ROOM_NOTICE_NEWS,
                .device_epoch = c.epoch,
                .sent = SAMPLE_TIME,
                .proof = proof,
                .proof_certificate = certificate,
                .members = {{0x61}, {0x62}},
                .n_members = 2,
                .has_founder = true,
                .nonce = SAMPLE_ROOM_NONCE};

        sample_room_id(n.room);
        memcpy(n.account, c.account, KEY_SIZE);
        memcpy(n.device, c.device, KEY_SIZE);
        memcpy(n.founder, c.account, KEY_SIZE);
        memcpy(n.to, sample_certificate(3).account, KEY_SIZE);
        return n;
}

static inline Buffer sample_notice_object(void) {
        RoomNotice n = sample_notice(sample_text("proof"), sample_text("certificate"));
        SignKey device = sample_key(2);
        Buffer out = BUFFER_NULL;

        sample_must(room_notice_encode(&out, &n, &device));
        return out;
}

/* An entry of account 1 in the room; its body is still to come. */
static inline Inner sample_entry(Bytes control_head) {
        Inner m = sample_inner(1, 3);

        sample_room_id(m.conversation);
        m.control_head = control_head;
        return m;
}

/* Account 1 has signed two entries with one number. */
static inline RoomFork sample_fork(Bytes certificate) {
        Inner m = sample_entry((Bytes){});
        SignKey device = sample_key(2);
        RoomFork f = {.at = room_position(&m)};

        for (size_t i = 0; i < 2; i++) {
                f.entry[i].hash[0] = (uint8_t)(0x71 + i);
                f.entry[i].certificate = certificate;
                sample_must(room_entry_sign(&device, &f.at, f.entry[i].hash, f.entry[i].signature));
        }
        return f;
}

static inline Buffer sample_fork_object(void) {
        _cleanup_(buffer_done) Buffer certificate = sample_certificate_object(1);
        RoomFork f = sample_fork(sample_bytes(&certificate));
        Buffer out = BUFFER_NULL;

        sample_must(room_fork_encode(&out, &f));
        return out;
}

static inline RoomWrap sample_wrap(void) {
        RoomWrap w = {.epoch = 70000, .account = {0x81}, .prekey = 7, .enc = {0x82}};

        sample_room_id(w.room);
        w.ciphertext[47] = 0x83;
        return w;
}

static inline RoomSync sample_sync(RoomSyncOp op) {
        RoomSync s = {.op = op};

        if (op != ROOM_SYNC_ASK && op != ROOM_SYNC_OFFER)
                sample_room_id(s.room);
        return s;
}

static inline RoomSummary sample_summary(void) {
        RoomSummary s = {.name = "tea",
                .topic = sample_text("no coffee ☕"),
                .access = ROOM_ACCESS_OPEN,
                .owner = {0x91},
                .members = 300,
                .online = 2,
                .nonce = SAMPLE_ROOM_NONCE};

        sample_room_id(s.room);
        memcpy(s.founder, sample_certificate(1).account, KEY_SIZE);
        return s;
}

static const uint8_t SAMPLE_VECTOR[] = "tag 1234\0\0\0\0\0\0\1\54hash5678"
                                       "tag 2345\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
static const uint8_t SAMPLE_WANT[] = "tag 1234\0\0\0\0\0\0\1\54tag 2345\0\0\0\0\0\0\0";

#define SAMPLE_PACKED(array) ((Bytes){.data = (array), .size = sizeof(array)})

static inline void sample_sync_objects(RoomSync *s) {
        s->objects.n_objects = 2;
        s->objects.objects[0] = sample_text("first");
        s->objects.objects[1] = sample_text("second");
        if (s->op == ROOM_SYNC_CONTROL || s->op == ROOM_SYNC_PROPOSALS) {
                s->objects.n_certificates = 1;
                s->objects.certificates[0] = sample_text("certificate");
                s->objects.more = true;
        }
}

/* One of each op with every field that there is. */
static inline RoomSync sample_sync_full(RoomSyncOp op) {
        RoomSync s = sample_sync(op);

        switch (op) {
        case ROOM_SYNC_STATE:
                s.state = (RoomState){{70000, {0xa1}}, {0xa2}, {0xa3}, {0xa4}};
                break;
        case ROOM_SYNC_VECTOR:
                s.vector = (RoomVector){.items = SAMPLE_PACKED(SAMPLE_VECTOR),
                        .full = true,
                        .more = true,
                        .read = SAMPLE_PACKED(SAMPLE_WANT)};
                break;
        case ROOM_SYNC_WANT:
                s.want = (RoomWant){.feeds = SAMPLE_PACKED(SAMPLE_WANT),
                        .has_control = true,
                        .control = {2, {0xa5}},
                        .keys = {1, 300},
                        .n_keys = 2,
                        .accounts = {{0xa6}, {0xa7}},
                        .n_accounts = 2,
                        .entries = SAMPLE_PACKED(SAMPLE_WANT),
                        .proposals = true,
                        .forks = true};
                break;
        case ROOM_SYNC_JOIN:
                s.join = (RoomJoin){.name = "bob", .record = sample_text("record"), .n_heads = 1};
                s.join.heads[0] = sample_change(ROOM_CHANGE_ADD).heads[0];
                break;
        case ROOM_SYNC_REFUSED:
                s.refused = (RoomRefused){CODE_NOT_INVITED, sample_text("only who is invited")};
                break;
        case ROOM_SYNC_ASK:
                s.ask.words = sample_text("tea time");
                break;
        case ROOM_SYNC_OFFER:
                s.offer.n_rooms = 1;
                s.offer.rooms[0] = sample_summary();
                break;
        case ROOM_SYNC_NOTICE:
                s.notice = sample_text("notice");
                break;
        case ROOM_SYNC_TYPING:
                s.typing = true;
                break;
        default:
                sample_sync_objects(&s);
        }
        return s;
}
