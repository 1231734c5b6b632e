/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Rooms of the users of node-lab.h: records, and what is said about them over a session. */

#include "node-lab.h"
#include "wire/room-directory.h"

typedef struct LabRoom {
        User *owner;
        RoomRecord record; /* as it is signed next */
        uint8_t door[ROOM_DOOR_SIZE];
        RoomTransfer transfers[ROOM_TRANSFERS_MAX];
        Buffer kept[2 * ROOM_TRANSFERS_MAX]; /* what they point to */
        Buffer outer; /* as it was signed last */
} LabRoom;

static void lab_room_new(Lab *lab, User *owner, const char *name, LabRoom *x) {
        static uint8_t n_rooms;
        RoomRecord *rec = &x->record;

        *x = (LabRoom){.owner = owner};
        memcpy(rec->founder, user_account(owner), KEY_SIZE);
        rec->nonce[0] = ++n_rooms;
        room_id(rec->founder, rec->nonce, rec->room);
        snprintf(rec->name, sizeof(rec->name), "%s", name);
        rec->access = ROOM_ACCESS_OPEN;
        rec->members = 1;
        rec->head = (RoomHead){.epoch = 1, .hash = {1}};
        rec->seq = lab->realtime / USEC_PER_MSEC;
        rec->issued = lab->realtime;
        rec->expires = lab->realtime + 100 * USEC_PER_DAY;
}

/* From now on those find in who have this door. */
static _unused_ void lab_room_make_private(LabRoom *x, uint8_t door) {
        x->record.access = ROOM_ACCESS_PRIVATE;
        x->record.members = 0;
        x->record.has_door = true;
        memset(x->door, door, sizeof(x->door));
        sha256(x->door, sizeof(x->door), x->record.door_hash);
}

/* With the next seq. */
static Bytes lab_room_sign(LabRoom *x) {
        RoomRecord *rec = &x->record;

        rec->seq++;
        memcpy(rec->owner, user_account(x->owner), KEY_SIZE);
        rec->certificate = buffer_view(&x->owner->certificate);
        buffer_clear(&x->outer);
        CHECK_OK(room_record_encode(&x->outer, rec, &x->owner->device));
        return buffer_view(&x->outer);
}

/* HEIR is the owner from now on. */
static _unused_ void lab_room_give(LabRoom *x, User *heir, uint64_t epoch) {
        RoomBlock *b = calloc(1, sizeof(*b));
        RoomRecord *rec = &x->record;
        RoomTransfer *t = &rec->transfers[rec->n_transfers];
        Buffer *block = &x->kept[2 * rec->n_transfers], *certificate = block + 1;

        CHECK(b);
        memcpy(b->room, rec->room, ROOM_ID_SIZE);
        b->term = 1;
        b->epoch = epoch;
        b->prev[0] = 7;
        memcpy(b->account, user_account(x->owner), KEY_SIZE);
        b->device_epoch = x->owner->epoch;
        memcpy(b->device, sign_key_public(&x->owner->device), KEY_SIZE);
        b->hlc = b->sent = rec->issued;
        b->changes[b->n_changes] = (RoomChange){.type = ROOM_CHANGE_ROLE, .role = ROOM_ROLE_OWNER};
        memcpy(b->changes[b->n_changes++].account, user_account(heir), KEY_SIZE);
        b->settled[b->n_settled++][0] = 1;
        CHECK_OK(room_block_encode(block, b, &x->owner->device, NULL));
        CHECK_OK(buffer_append(certificate, buffer_data(&x->owner->certificate),
                buffer_size(&x->owner->certificate)));
        *t = (RoomTransfer){buffer_view(block), buffer_view(certificate)};
        rec->n_transfers++;
        rec->head.epoch = epoch;
        x->owner = heir;
        free(b);
}

static _unused_ void lab_room_done(LabRoom *x) {
        for (size_t i = 0; i < ELEMENTSOF(x->kept); i++)
                buffer_done(&x->kept[i]);
        buffer_done(&x->outer);
}

static Code caller_room_say(Caller *c, const RoomPublish *p) {
        Frame f;

        caller_sent(c, room_publish_encode(conn_output(c->conn), ++c->last_request, p));
        f = caller_answer(c);
        return frame_code(&f);
}

static _unused_ Code caller_room_publish_bytes(Caller *c, Bytes record) {
        RoomPublish *p = calloc(1, sizeof(*p));
        Code code;

        CHECK(p);
        p->record = record;
        code = caller_room_say(c, p);
        free(p);
        return code;
}

static _unused_ Code caller_room_publish(Caller *c, LabRoom *x) {
        return caller_room_publish_bytes(c, lab_room_sign(x));
}

static _unused_ Code caller_room_enter(Caller *c, const uint8_t *room, const uint8_t *door) {
        RoomPublish *p = calloc(1, sizeof(*p));
        Code code;

        CHECK(p);
        memcpy(p->enter[p->n_enter].room, room, ROOM_ID_SIZE);
        p->enter[p->n_enter].has_door = door;
        if (door)
                memcpy(p->enter[p->n_enter].door, door, ROOM_DOOR_SIZE);
        p->n_enter++;
        code = caller_room_say(c, p);
        free(p);
        return code;
}

static _unused_ Code caller_room_leave(Caller *c, const uint8_t *room) {
        RoomPublish *p = calloc(1, sizeof(*p));
        Code code;

        CHECK(p);
        memcpy(p->leave[p->n_leave++], room, ROOM_ID_SIZE);
        code = caller_room_say(c, p);
        free(p);
        return code;
}

/* By name, or by id where NAME is NULL. What RET points to lives until the next call. */
static _unused_ Code caller_room_lookup(Caller *c, const char *name, const uint8_t *room,
        const uint8_t *door, RoomLookupAnswer *ret) {
        RoomLookup l = {.has_door = door};
        Frame f;

        if (name)
                snprintf(l.name, sizeof(l.name), "%s", name);
        else
                memcpy(l.room, room, ROOM_ID_SIZE);
        if (door)
                memcpy(l.door, door, ROOM_DOOR_SIZE);
        caller_sent(c, room_lookup_encode(conn_output(c->conn), ++c->last_request, &l));
        f = caller_answer(c);
        if (f.type == FRAME_OK)
                CHECK_OK(room_lookup_answer_decode(&f, ret));
        return frame_code(&f);
}

static _unused_ uint64_t caller_room_online(Caller *c, const LabRoom *x, const uint8_t *door) {
        RoomLookupAnswer a;

        CHECK_EQ(caller_room_lookup(c, NULL, x->record.room, door, &a), CODE_OK);
        return a.count;
}

/* The next that is about people, or about the record. */
static _unused_ RoomUpdate caller_take_room_update(Caller *c, bool record) {
        RoomUpdate u;

        for (;;) {
                Frame f = caller_take(c, FRAME_ROOM_UPDATE);

                CHECK_OK(room_update_decode(&f, &u));
                if (record == (u.record.size > 0))
                        return u;
        }
}

/* What is said next of people is this, of this one alone. */
static _unused_ void caller_check_room(
        Caller *c, const LabRoom *x, RoomPresence state, const User *who) {
        RoomUpdate u = caller_take_room_update(c, false);

        CHECK(memcmp(u.room, x->record.room, ROOM_ID_SIZE) == 0);
        CHECK_EQ(u.state, state);
        CHECK_EQ(u.n_accounts, 1);
        CHECK(key_equal(u.accounts[0], user_account(who)));
}

/* Whether anything is said of people, after what has been said until now. */
static _unused_ bool caller_hears_of_people(Caller *c) {
        Incoming *in, *tmp;
        bool heard = false;

        caller_sync(c);
        DL_FOREACH_SAFE (c->incoming, in, tmp) {
                RoomUpdate u;
                Frame f;

                if (in->type != FRAME_ROOM_UPDATE)
                        continue;
                CHECK_OK(frame_open(in->bytes, in->size, &f));
                CHECK_OK(room_update_decode(&f, &u));
                heard |= u.n_accounts > 0;
                DL_DELETE(c->incoming, in);
                free(in->bytes);
                free(in);
        }
        return heard;
}
