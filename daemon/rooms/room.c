/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The rooms in memory: each is its row and the roster that its control log folds to. What can be
 * read from the store in one step is not kept here. A batch that fails takes the rooms that it
 * concerned back to what is on disk.
 */

#include <stdio.h>

#include "rooms/state.h"

/* Finding */

/* A snapshot may be open, so it is read again in the batch. */
static Room *room_usable(Room *room) {
        if (room && room->lost) {
                if (room_load(room, store_write(room->rooms->store)) < 0)
                        return NULL;
                room->lost = false;
        }
        return room;
}

Room *room_of(Rooms *r, const uint8_t id[static SHA256_SIZE]) {
        Room *room;

        HASH_FIND(hh, r->rooms, id, SHA256_SIZE, room);
        return room_usable(room);
}

Room *room_by_number(Rooms *r, uint32_t number) {
        Room *room;

        HASH_FIND(by_number, r->numbers, &number, sizeof(number), room);
        return room_usable(room);
}

uint32_t rooms_find(Rooms *r, const uint8_t id[static SHA256_SIZE]) {
        const Room *room = room_of(r, id);

        return room ? room->row.number : 0;
}

bool room_is_member(const Room *room, const uint8_t account[static KEY_SIZE]) {
        return roster_is_member(room->roster, account);
}

RoomRole room_rank(const Room *room, const uint8_t account[static KEY_SIZE]) {
        return roster_rank(room->roster, account);
}

bool room_knows(const Room *room, const uint8_t account[static KEY_SIZE]) {
        return roster_member(room->roster, account) != NULL;
}

bool room_is_joined(const Room *room) {
        return room->row.status == ROOM_JOINED && !(room->row.flags & ROOM_FLAG_FORKED) &&
                room_is_member(room, rooms_self(room->rooms));
}

uint64_t room_head(const Room *room, uint8_t ret_hash[static SHA256_SIZE]) {
        const RosterHead *head = roster_head(room->roster);

        memcpy(ret_hash, head->hash, SHA256_SIZE);
        return head->epoch;
}

/* The table */

static Room *room_forget(Room *room) {
        Rooms *r = room->rooms;

        if (r->hooks && r->hooks->room_gone)
                r->hooks->room_gone(room);
        HASH_DEL(r->rooms, room);
        HASH_DELETE(by_number, r->numbers, room);
        roster_free(room->roster);
        control_forget_candidates(room);
        return mfree(room);
}

static Room *room_add_to_table(Rooms *r, const RoomRow *row) {
        Room *room = calloc(1, sizeof(*room));

        if (!room)
                return NULL;
        room->rooms = r;
        room->row = *row;
        room->roster = roster_new(row->id);
        if (!room->roster)
                return mfree(room);
        HASH_ADD(hh, r->rooms, row.id, SHA256_SIZE, room);
        if (!TABLE_HAS(room)) {
                roster_free(room->roster);
                return mfree(room);
        }
        HASH_ADD(by_number, r->numbers, row.number, sizeof(room->row.number), room);
        if (!room->by_number.tbl) {
                HASH_DEL(r->rooms, room);
                roster_free(room->roster);
                return mfree(room);
        }
        return room;
}

/* The roster is read anew from the blocks and proposals of TXN. */
int room_load(Room *room, DbTxn *txn) {
        _cleanup_(roster_freep) Roster *roster = NULL;
        int e;

        e = room_get(txn, room->row.number, &room->row);
        if (e <= 0)
                return e < 0 ? e : -ENOENT;
        e = control_fold(room, txn, room->row.head_epoch, &roster);
        if (e < 0)
                return e;
        roster_free(room->roster);
        room->roster = TAKE_PTR(roster);
        e = control_fold_pending(room, txn);
        return e < 0 ? e : marks_load(room, txn);
}

/* 1: it is not there. */
static int room_reload(Room *room) {
        DbTxn *txn;
        int e;

        room->lost = true;
        e = store_read_begin(room->rooms->store, &txn);
        if (e < 0)
                return e;
        e = room_load(room, txn);
        store_read_end(txn);
        room->lost = e < 0;
        return e == -ENOENT ? 1 : e;
}

/* The batch */

/* What `notify` is to be called with after the commit. */
typedef struct Owed {
        uint32_t room;
        uint8_t account[KEY_SIZE];
        RoomNoticeKind kind;
        Buffer proof;
        struct Owed *next;
} Owed;

static Owed *owed_free(Owed *o) {
        while (o) {
                Owed *next = o->next;

                buffer_done(&o->proof);
                free(o);
                o = next;
        }
        return NULL;
}

int room_owe_notice(
        Room *room, const uint8_t account[static KEY_SIZE], RoomNoticeKind kind, Bytes proof) {
        Owed *o = calloc(1, sizeof(*o));

        if (!o || buffer_append(&o->proof, proof.data, proof.size) < 0) {
                owed_free(o);
                return -ENOMEM;
        }
        o->room = room->row.number;
        o->kind = kind;
        memcpy(o->account, account, KEY_SIZE);
        o->next = room->rooms->owed;
        room->rooms->owed = o;
        return room_touch(room, 0);
}

/* What was done in the batch has not been done. */
static void take_back(Rooms *r) {
        Room *room, *next;
        int e;

        HASH_ITER (hh, r->rooms, room, next) {
                if (!room->dirty && !room->what)
                        continue;
                room->what = 0;
                room->dirty = false;
                e = room_reload(room);
                if (e > 0)
                        room_forget(room);
                else if (e < 0 && log_limit_take(&r->failures, loop_now(r->loop)))
                        log_warning("cannot read a room again: %s", strerror(-e));
        }
}

static void tell_changed(Rooms *r, Room *room) {
        const RoomsCallbacks *c = r->callbacks;
        uint32_t number = room->row.number;
        unsigned what = room->news;

        room->news = 0;
        room = room_by_number(r, number);
        if (!room)
                return;
        if (r->hooks && r->hooks->changed)
                r->hooks->changed(r, room, what);
        if (c && c->changed)
                c->changed(r->userdata, number);
        if (c && c->publish && what & (ROOM_NEW_CONTROL | ROOM_NEW_STATUS | ROOM_NEW_PROPOSALS))
                c->publish(r->userdata, number);
}

static void tell_owed(Rooms *r) {
        Owed *list = TAKE_PTR(r->owed);

        for (Owed *o = list; o; o = o->next) {
                Room *room = room_by_number(r, o->room);

                if (room && r->hooks && r->hooks->notify)
                        r->hooks->notify(r, room, o->account, o->kind, buffer_bytes(&o->proof));
        }
        owed_free(list);
}

static Room *find_news(Rooms *r) {
        ROOM_EACH(r, room)
        if (room->news)
                return room;
        return NULL;
}

/* The callbacks may begin another batch, and change what they are told of. Nothing is allocated:
 * who is not told that somebody was removed goes on speaking to him. */
static void tell_all(Rooms *r) {
        Room *room;

        ROOM_EACH(r, each) {
                each->news |= each->what;
                each->what = 0;
                each->dirty = false;
        }
        while ((room = find_news(r)))
                tell_changed(r, room);
        tell_owed(r);
}

static void on_batch(void *userdata, int error) {
        Rooms *r = userdata;

        r->awaited = 0;
        marks_forget(r);
        if (error < 0) {
                take_back(r);
                r->owed = owed_free(r->owed);
        }
        if (r->hooks && r->hooks->settled)
                r->hooks->settled(r, error);
        if (error >= 0) {
                tell_all(r);
                entries_go_on_cutting(r);
        }
}

int rooms_await_commit(Rooms *r) {
        int e;

        if (r->awaited == store_batch_number(r->store))
                return 0;
        e = store_after_commit(r->store, on_batch, r);
        if (e >= 0)
                r->awaited = store_batch_number(r->store);
        return e;
}

int room_touch(Room *room, unsigned what) {
        int e;

        room->what |= what;
        room->dirty = true;
        marks_forget(room->rooms);
        e = room_get(store_write(room->rooms->store), room->row.number, &room->row);
        return e < 0 ? e : rooms_await_commit(room->rooms);
}

int room_keep(Room *room) {
        int e;

        room->dirty = true;
        e = room_write(room->rooms->store, &room->row);
        return e < 0 ? e : rooms_await_commit(room->rooms);
}

/* Begins with memory, which a failed batch gives up again: nothing of the room is told before. */
int room_make(Rooms *r, const uint8_t id[static SHA256_SIZE], const char *name, RoomStatus status,
        Room **ret) {
        RoomRow row;
        Room *room;
        int e;

        e = room_add(r->store, id, name, status, &row);
        if (e < 0)
                return e;
        room = room_add_to_table(r, &row);
        if (!room)
                return -ENOMEM;
        control_prepare(room, room->roster);
        *ret = room;
        return room_touch(room, ROOM_NEW_STATUS);
}

int room_begin(Rooms *r, const uint8_t id[static SHA256_SIZE], const char *name, RoomStatus status,
        uint32_t inviter, Room **ret) {
        Room *room = room_of(r, id);
        int e = 0;

        if (!room)
                e = room_make(r, id, name, status, &room);
        if (e < 0)
                return e;
        *ret = room;
        if (room->row.status == ROOM_JOINED || room->row.status == ROOM_DELETED)
                return 0;
        if (status == ROOM_INVITED)
                room->row.inviter = inviter;
        if (room->row.name[0] == '\0')
                snprintf(room->row.name, sizeof(room->row.name), "%s", name);
        room->row.farewell = false;
        return room_set_status(room, status);
}

int room_set_status(Room *room, RoomStatus status) {
        RoomStatus before = room->row.status;
        int e;

        room->row.status = status;
        if (status == ROOM_JOINED && before != ROOM_JOINED)
                room->row.joined = loop_realtime(room->rooms->loop);
        room->row.read_only = room->row.flags & ROOM_FLAG_FORKED || status == ROOM_LEFT ||
                status == ROOM_KICKED || status == ROOM_DELETED;
        e = room_keep(room);
        if (e == -EEXIST) { /* in another room of this name: it has to be called by its id */
                room->row.name[0] = '\0';
                e = room_keep(room);
        }
        return e < 0 ? e : room_touch(room, ROOM_NEW_STATUS);
}

void rooms_set_max_members(Rooms *r, unsigned max_members) {
        r->max_members = max_members;
        ROOM_EACH(r, room)
        roster_set_max(room->roster, max_members);
}

/* Start and end */

static bool load_row(void *userdata, DbTxn *txn, const RoomRow *row) {
        Rooms *r = userdata;
        Room *room = room_add_to_table(r, row);
        int e;

        if (!room)
                return false;
        e = room_load(room, txn);
        if (e < 0) {
                log_warning("a room cannot be read: %s", strerror(-e));
                room->lost = true;
        }
        return true;
}

static int load_all(Rooms *r) {
        DbTxn *txn;
        int e;

        e = store_read_begin(r->store, &txn);
        if (e < 0)
                return e;
        e = room_each(txn, load_row, r);
        store_read_end(txn);
        return e;
}

int rooms_open(Loop *loop, Store *store, const Identity *self, const LocalIdentity *local,
        unsigned max_members, const RoomsCallbacks *callbacks, void *userdata, Rooms **ret) {
        Rooms *r = calloc(1, sizeof(*r));
        int e;

        if (!r)
                return -ENOMEM;
        *r = (Rooms){.loop = loop,
                .store = store,
                .self = self,
                .local = local,
                .max_members = max_members,
                .callbacks = callbacks,
                .userdata = userdata,
                .failures = {.quota = QUOTA_INIT(5, USEC_PER_MINUTE)}};
        r->block = calloc(1, sizeof(*r->block));
        r->other = calloc(1, sizeof(*r->other));
        r->proposal = calloc(1, sizeof(*r->proposal));
        r->found = calloc(1, sizeof(*r->found));
        e = r->block && r->other && r->proposal && r->found ? commit_new(r) : -ENOMEM;
        if (e >= 0)
                e = marks_new(r);
        if (e >= 0)
                e = load_all(r);
        if (e < 0) {
                rooms_close(r);
                return e;
        }
        *ret = r;
        return 0;
}

Rooms *rooms_close(Rooms *r) {
        Room *room, *next;

        if (!r)
                return NULL;
        store_forget(r->store, r);
        HASH_ITER (hh, r->rooms, room, next) {
                room_forget(room);
        }
        owed_free(r->owed);
        commit_free(r);
        marks_free(r);
        free(r->block);
        free(r->other);
        free(r->proposal);
        free(r->found);
        return mfree(r);
}

/* It may be another device now, or another epoch, with an own feed of its own. */
void rooms_begin(Rooms *r) {
        int e;

        r->started = true;
        ROOM_EACH(r, room) {
                e = room->lost ? 0 : marks_load(room, store_write(r->store));
                if (e < 0 && log_limit_take(&r->failures, loop_now(r->loop)))
                        log_warning("cannot read what others have of a room: %s", strerror(-e));
        }
        commit_begin(r);
}

void rooms_end(Rooms *r) {
        r->started = false;
        commit_end(r);
}
