/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What trackers are told of the rooms one is in: the record of a room by its owner, and by every
 * member that he is in it. Nothing of a hidden room. What changes within a moment is told once.
 */

#include "chat/room.h"

#include <stdio.h>

#define PUBLISH_DELAY (USEC_PER_SEC / 2)

/* A record is good for ROOM_RECORD_LIFETIME. */
#define REFRESH_INTERVAL USEC_PER_DAY

/* What was refused may be taken later: a clock was wrong, a name is free again. */
#define AGAIN_FIRST USEC_PER_MINUTE
#define AGAIN_LAST USEC_PER_HOUR

/* Who comes and goes is told of in rooms of so many. */
#define PRESENCE_MEMBERS_MAX 64

struct RoomPublic {
        uint32_t number;
        uint8_t id[SHA256_SIZE];
        bool due; /* at `again` */
        usec_t again, wait; /* the wait after the last refusal; 0: there was none */
        bool entered, has_door;
        uint8_t door[SHA256_SIZE];
        char refused[CHAT_ERROR_TEXT_SIZE]; /* why a tracker does not take the record, or "" */
        UT_hash_handle hh;
};

static RoomPublic *public_get(Chat *c, uint32_t number, bool add) {
        RoomPublic *p;

        HASH_FIND(hh, c->room_publics, &number, sizeof(number), p);
        if (p || !add)
                return p;
        p = calloc(1, sizeof(*p));
        if (!p)
                return NULL;
        p->number = number;
        HASH_ADD(hh, c->room_publics, number, sizeof(number), p);
        if (!TABLE_HAS(p))
                return mfree(p);
        return p;
}

static RoomPublic *public_find(Chat *c, const uint8_t *id) {
        RoomPublic *p, *tmp;

        HASH_ITER (hh, c->room_publics, p, tmp)
                if (memcmp(p->id, id, SHA256_SIZE) == 0)
                        return p;
        return NULL;
}

const char *room_refusal(Chat *c, uint32_t number) {
        const RoomPublic *p = public_get(c, number, false);

        return p && p->refused[0] ? p->refused : NULL;
}

/* The record */

/* The blocks by which the room went from its founder to who has it. */
static int add_transfers(Chat *c, DbTxn *txn, const RoomView *v, RoomRecord *rec) {
        _cleanup_(freep) RoomBlock *b = malloc(sizeof(*b));
        Bytes outer, certificate;
        int r;

        if (!b)
                return -ENOMEM;
        for (uint64_t epoch = 2; epoch <= v->control_epoch; epoch++) {
                bool transfer = false;

                r = room_block_get(txn, v->number, epoch, &outer);
                if (r == 0)
                        return -ENOENT; /* in the open batch, after which this is done again */
                if (r > 0)
                        r = room_block_parse(outer, b);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < b->n_changes; i++)
                        transfer |= b->changes[i].type == ROOM_CHANGE_ROLE &&
                                b->changes[i].role == ROOM_ROLE_OWNER;
                if (!transfer)
                        continue;
                if (rec->n_transfers == ROOM_TRANSFERS_MAX)
                        return -E2BIG;
                r = store_get_certificate(txn, b->device, b->device_epoch, &certificate);
                if (r <= 0)
                        return r < 0 ? r : -ENOENT;
                rec->transfers[rec->n_transfers++] =
                        (RoomTransfer){.block = outer, .certificate = certificate};
        }
        return 0;
}

static int make_record(Chat *c, DbTxn *txn, const RoomView *v, Buffer *out) {
        const LocalIdentity *local = account_local(c->parts.account);
        usec_t now = loop_realtime(c->parts.loop);
        uint8_t door[ROOM_DOOR_SIZE];
        _cleanup_(freep) RoomRecord *rec = calloc(1, sizeof(*rec));
        bool open = v->access == ROOM_ACCESS_OPEN;
        int r = 0;

        if (!rec)
                return -ENOMEM;
        memcpy(rec->room, v->id, ROOM_ID_SIZE);
        memcpy(rec->founder, v->founder, KEY_SIZE);
        memcpy(rec->nonce, v->nonce, ROOM_NONCE_SIZE);
        memcpy(rec->owner, v->owner, KEY_SIZE);
        memcpy(rec->name, v->name, NAME_SIZE);
        rec->access = v->access;
        rec->certificate = local->certificate;
        rec->head.epoch = v->control_epoch;
        memcpy(rec->head.hash, v->control_hash, SHA256_SIZE);
        rec->seq = now / USEC_PER_MSEC;
        rec->issued = now;
        rec->expires = now + ROOM_RECORD_LIFETIME;
        rec->deleted = v->status == ROOM_DELETED;
        if (open) {
                rec->topic = text_bytes(v->topic);
                rec->members = v->members;
        } else if (!rec->deleted) {
                r = rooms_door(c->parts.rooms, txn, v->number, door);
                if (r <= 0)
                        return r < 0 ? r : -ENOENT;
                rec->has_door = true;
                sha256(door, sizeof(door), rec->door_hash);
                explicit_bzero(door, sizeof(door));
        }
        if (!key_equal(v->owner, v->founder))
                r = add_transfers(c, txn, v, rec);
        if (r >= 0)
                r = room_record_encode(out, rec, &chat_self(c)->device);
        return r;
}

static bool is_mine(Chat *c, const RoomView *v) {
        return v->has_owner && key_equal(v->owner, sign_key_public(&chat_self(c)->account)) &&
                v->access != ROOM_ACCESS_HIDDEN && v->access != ROOM_ACCESS_NONE && v->name[0] &&
                (v->status == ROOM_JOINED || v->status == ROOM_DELETED);
}

/* Being in it */

static void follow_membership(Chat *c, DbTxn *txn, const RoomView *v, RoomPublic *p) {
        Directory *d = c->parts.directory;
        bool open = v->access == ROOM_ACCESS_OPEN;
        uint8_t door[ROOM_DOOR_SIZE];
        bool known;

        if (v->status != ROOM_JOINED) {
                /* A room that has ended is still said to have, by who ended it. */
                if (p->entered && !(v->status == ROOM_DELETED && is_mine(c, v)))
                        directory_room_leave(d, v->id);
                p->entered = false;
                return;
        }
        if (v->access == ROOM_ACCESS_HIDDEN || v->access == ROOM_ACCESS_NONE)
                return;
        if (!open && rooms_door(c->parts.rooms, txn, v->number, door) <= 0)
                return;
        known = p->entered && (open || (p->has_door && memcmp(p->door, door, sizeof(door)) == 0));
        if (!known) {
                p->entered = directory_room_enter(d, v->id, open ? NULL : door) >= 0;
                p->has_door = !open;
        }
        if (!known && !open)
                memcpy(p->door, door, sizeof(door));
        explicit_bzero(door, sizeof(door));
}

int room_publish(Chat *c, uint32_t number, DirectoryDoneFn fn, void *userdata) {
        _cleanup_(freep) RoomView *v = malloc(sizeof(*v));
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        _cleanup_(buffer_done) Buffer record = {};
        RoomPublic *p = public_get(c, number, true);
        int r;

        if (!v || !p)
                return -ENOMEM;
        r = store_read_begin(c->parts.store, &txn);
        if (r >= 0)
                r = rooms_view(c->parts.rooms, txn, number, v);
        if (r <= 0)
                return r;
        p->due = false;
        p->refused[0] = 0;
        memcpy(p->id, v->id, SHA256_SIZE);
        follow_membership(c, txn, v, p);
        if (!is_mine(c, v))
                return 0;
        r = make_record(c, txn, v, &record);
        if (r >= 0)
                r = directory_room_publish(c->parts.directory, buffer_bytes(&record), fn, userdata);
        return r < 0 ? r : 1;
}

/* When */

static void plan(Chat *c) {
        usec_t next = c->publish_refresh;
        RoomPublic *p, *tmp;

        HASH_ITER (hh, c->room_publics, p, tmp)
                if (p->due)
                        next = MIN(next, p->again);
        loop_timer_set(c->publish_timer, next);
}

static bool note_room(void *userdata, DbTxn *txn, const RoomRow *row) {
        Chat *c = userdata;
        RoomPublic *p = public_get(c, row->number, true);

        if (p) {
                p->due = true;
                p->again = loop_now(c->parts.loop) + PUBLISH_DELAY;
        }
        return true;
}

static void refresh(Chat *c) {
        DbTxn *txn;

        c->publish_refresh = loop_now(c->parts.loop) + REFRESH_INTERVAL;
        if (store_read_begin(c->parts.store, &txn) < 0)
                return;
        (void)room_each(txn, note_room, c);
        store_read_end(txn);
}

void on_publish_timer(void *userdata) {
        Chat *c = userdata;
        usec_t now = loop_now(c->parts.loop);
        RoomPublic *p, *tmp;

        if (!account_is_active(c->parts.account))
                return;
        if (now >= c->publish_refresh)
                refresh(c);
        HASH_ITER (hh, c->room_publics, p, tmp) {
                if (!p->due || p->again > now)
                        continue;
                p->again = now + AGAIN_LAST; /* where the store cannot be read */
                (void)room_publish(c, p->number, NULL, c);
        }
        plan(c);
}

static void publish_in(Chat *c, RoomPublic *p, usec_t wait) {
        p->due = true;
        p->again = loop_now(c->parts.loop) + wait;
        plan(c);
}

void rooms_publish_start(Chat *c) {
        refresh(c);
        plan(c);
}

void rooms_publish_clear(Chat *c) {
        RoomPublic *p, *tmp;

        HASH_ITER (hh, c->room_publics, p, tmp) {
                HASH_DEL(c->room_publics, p);
                if (p->entered)
                        directory_room_leave(c->parts.directory, p->id);
                explicit_bzero(p, sizeof(*p));
                free(p);
        }
        loop_timer_set(c->publish_timer, USEC_INFINITY);
}

static bool is_deleted(Chat *c, uint32_t number) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        RoomRow row;

        return store_read_begin(c->parts.store, &txn) >= 0 && room_get(txn, number, &row) > 0 &&
                row.status == ROOM_DELETED;
}

/* The name of a room that was deleted is free at once. */
void chat_on_room_publish(Chat *c, uint32_t room) {
        RoomPublic *p = public_get(c, room, true);

        if (!p || !account_is_active(c->parts.account))
                return;
        if (is_deleted(c, room)) {
                (void)room_publish(c, room, NULL, c);
                return;
        }
        p->wait = 0;
        publish_in(c, p, PUBLISH_DELAY);
}

/* A record of before the room was given away is refused rightly. */
static bool is_mine_now(Chat *c, uint32_t number) {
        _cleanup_(freep) RoomView *v = malloc(sizeof(*v));
        _cleanup_(store_read_endp) DbTxn *txn = NULL;

        return v && store_read_begin(c->parts.store, &txn) >= 0 &&
                rooms_view(c->parts.rooms, txn, number, v) > 0 && is_mine(c, v);
}

void chat_on_room_refused(
        Chat *c, const uint8_t id[static SHA256_SIZE], Code code, const char *text) {
        RoomPublic *p = public_find(c, id);

        if (!p || !is_mine_now(c, p->number))
                return;
        snprintf(p->refused, sizeof(p->refused), "A tracker does not list the room: %s", text);
        text_clean(p->refused);
        room_objects_change(c, p->number);
        if (p->due)
                return; /* by what another tracker has said */
        p->wait = CLAMP(2 * p->wait, AGAIN_FIRST, AGAIN_LAST);
        publish_in(c, p, p->wait);
}

void chat_clock_changed(Chat *c) {
        RoomPublic *p, *tmp;

        HASH_ITER (hh, c->room_publics, p, tmp)
                if (p->refused[0]) {
                        p->wait = 0;
                        publish_in(c, p, PUBLISH_DELAY);
                }
}

/* Who is there */

/* What was last told of somebody in a room. */
struct RoomTold {
        struct {
                uint32_t room;
                uint8_t account[KEY_SIZE];
        } key;
        UT_hash_handle hh;
};

/* Whether it is news. Who is not in the table is not there. */
static bool told_change(Chat *c, uint32_t room, const uint8_t *account, bool online) {
        RoomTold *t, key = {.key.room = room};

        memcpy(key.key.account, account, KEY_SIZE);
        HASH_FIND(hh, c->room_told, &key.key, sizeof(key.key), t);
        if (online == (t != NULL))
                return false;
        if (t) {
                HASH_DEL(c->room_told, t);
                free(t);
                return true;
        }
        t = calloc(1, sizeof(*t));
        if (!t)
                return false;
        t->key = key.key;
        HASH_ADD(hh, c->room_told, key, sizeof(t->key), t);
        if (!TABLE_HAS(t)) {
                free(t);
                return false;
        }
        return true;
}

void rooms_told_clear(Chat *c) {
        RoomTold *t, *tmp;

        HASH_ITER (hh, c->room_told, t, tmp) {
                HASH_DEL(c->room_told, t);
                free(t);
        }
}

void room_told_forget(Chat *c, uint32_t room) {
        RoomTold *t, *tmp;

        HASH_ITER (hh, c->room_told, t, tmp) {
                if (t->key.room != room)
                        continue;
                HASH_DEL(c->room_told, t);
                free(t);
        }
}

/* Rooms go on being spoken of when they are over: who is there then is nobody's news. */
static bool is_over(DbTxn *txn, uint32_t room) {
        RoomRow row;

        return room_get(txn, room, &row) <= 0 ||
                (row.status != ROOM_JOINED && row.status != ROOM_JOINING);
}

void chat_on_room_presence(
        Chat *c, uint32_t room, const uint8_t account[static KEY_SIZE], bool online) {
        EventRow e = {.kind = EVENT_ROOM,
                .time = loop_realtime(c->parts.loop),
                .room = room,
                .change = online ? ROOM_EVENT_ONLINE : ROOM_EVENT_OFFLINE};
        DbTxn *txn = store_write(c->parts.store);
        unsigned members;
        Contact k;

        room_objects_change(c, room);
        if (key_equal(account, sign_key_public(&chat_self(c)->account)) ||
                !rooms_has_member(c->parts.rooms, room, account, &members) ||
                members > PRESENCE_MEMBERS_MAX || contact_get(txn, account, &k) <= 0 ||
                is_over(txn, room) || !told_change(c, room, account, online))
                return;
        e.account = k.number;
        (void)event_add(c->parts.store, &e);
}

void chat_on_room_update(Chat *c, const DirectoryRoomUpdate *u) {
        uint32_t room = rooms_find(c->parts.rooms, u->room);

        if (room == 0 || !u->account)
                return;
        rooms_presence(c->parts.rooms, u->account, u->state == ROOM_PRESENCE_ENTERED);
}

bool chat_room_is_online(Chat *c, const uint8_t account[static KEY_SIZE]) {
        RoomPublic *p, *tmp;

        HASH_ITER (hh, c->room_publics, p, tmp)
                if (p->entered && directory_room_is_online(c->parts.directory, p->id, account))
                        return true;
        return false;
}
