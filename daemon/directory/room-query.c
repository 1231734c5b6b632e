/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Questions about rooms to a tracker. What it answers is verified before anybody hears of it. */

#include "directory/private.h"

#define DOES_NOT_HOLD "the tracker's answer does not hold"

static int room_session(const Directory *d, Session **ret) {
        bool connected = false;

        for (size_t i = 0; i < d->n; i++) {
                Session *s = d->trackers[i].session;

                if (!s || session_state(s) != SESSION_CONNECTED)
                        continue;
                connected = true;
                *ret = s;
                if (session_has_feature(s, FEATURE_ROOM_DIRECTORY))
                        return 0;
        }
        return connected ? -EOPNOTSUPP : -ENOTCONN;
}

/* Looking up */

static bool answer_holds(const Query *q, const RoomLookupAnswer *a, RoomRecord *ret) {
        if (room_record_decode(a->record, ret) < 0)
                return false;
        return q->name[0] ? streq(ret->name, q->name)
                          : memcmp(ret->room, q->account, ROOM_ID_SIZE) == 0;
}

static void on_room_lookup(void *userdata, Code code, const char *text, Frame *ok) {
        Query *q = userdata, copy;
        RoomLookupAnswer a;
        RoomRecord rec;

        if (code != CODE_OK) {
                query_refuse(q, code, text);
                return;
        }
        if (room_lookup_answer_decode(ok, &a) < 0 || !answer_holds(q, &a, &rec)) {
                query_refuse(q, CODE_TRACKER_UNREACHABLE, DOES_NOT_HOLD);
                return;
        }
        copy = *q;
        query_free(q);
        if (!copy.room)
                return;
        if (rec.deleted)
                copy.room(copy.userdata, CODE_UNKNOWN_ROOM, "the room was deleted by its owner",
                        &(DirectoryRoomFound){.record = &rec, .outer = a.record});
        else
                copy.room(copy.userdata, CODE_OK, "",
                        &(DirectoryRoomFound){.record = &rec,
                                .outer = a.record,
                                .online = (const uint8_t(*)[KEY_SIZE])a.online,
                                .n_online = a.n_online,
                                .count = a.count});
}

int directory_room_lookup(Directory *d, const char *name, const uint8_t *room, const uint8_t *door,
        DirectoryRoomFn fn, void *userdata) {
        RoomLookup l = {.has_door = door};
        Session *s;
        Query *q;
        int r;

        r = room_session(d, &s);
        if (r < 0) {
                directory_wake(d);
                return r;
        }
        q = query_new(d, userdata);
        if (!q)
                return -ENOMEM;
        q->room = fn;
        if (name)
                memcpy(q->name, name, strnlen(name, NAME_MAX_LENGTH));
        else
                memcpy(q->account, room, ROOM_ID_SIZE);
        memcpy(l.name, q->name, NAME_SIZE);
        memcpy(l.room, q->account, ROOM_ID_SIZE);
        if (door)
                memcpy(l.door, door, ROOM_DOOR_SIZE);
        return query_sent(q, session_room_lookup(s, &l, on_room_lookup, q));
}

/* Listing */

/* Tells the callback of each room that holds; it may free nothing of the directory meanwhile. */
static void on_room_list(void *userdata, Code code, const char *text, Frame *ok) {
        _cleanup_(freep) RoomListAnswer *a = NULL;
        Query *q = userdata, copy;

        if (code != CODE_OK) {
                query_refuse(q, code, text);
                return;
        }
        a = malloc(sizeof(*a));
        if (!a || room_list_answer_decode(ok, a) < 0) {
                query_refuse(q, CODE_TRACKER_UNREACHABLE, DOES_NOT_HOLD);
                return;
        }
        for (size_t i = 0; i < a->n_rooms && q->room_each; i++) {
                Bytes outer = a->rooms[i].record;
                RoomRecord rec;

                if (room_record_decode(outer, &rec) >= 0 && !rec.deleted)
                        q->room_each(q->userdata, &rec, outer, a->rooms[i].online);
        }
        copy = *q;
        query_free(q);
        if (copy.list)
                copy.list(copy.userdata, CODE_OK, a->after);
}

int directory_room_list(Directory *d, Bytes words, Bytes after, unsigned limit,
        DirectoryRoomEachFn fn, DirectoryListFn done, void *userdata) {
        RoomList l = {.words = words, .after = after, .limit = limit};
        Session *s;
        Query *q;
        int r;

        r = room_session(d, &s);
        if (r < 0) {
                directory_wake(d);
                return r;
        }
        q = query_new(d, userdata);
        if (!q)
                return -ENOMEM;
        q->room_each = fn;
        q->list = done;
        return query_sent(q, session_room_list(s, &l, on_room_list, q));
}
