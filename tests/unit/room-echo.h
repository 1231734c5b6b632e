/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What frame-echo.h does, for the frames about rooms; and what both are made of.
 */

#include "wire/room-directory.h"
#include "wire/room-sync.h"

/* What frame_echo() returns when the frame was taken, but something of it has no place in the
 * struct: an unknown code, a value that was brought into its range, a certificate. */
#define ECHO_LOSSY 1

/* What the wire has under KEY of a frame that is not read yet. */
static inline uint64_t echo_uint(const Frame *f, uint64_t key) {
        CborReader r = f->reader;
        CborMap map = f->map;
        uint64_t at, v = 0;

        while (cbor_map_next(&r, &map, &at))
                if (at == key)
                        v = cbor_read_uint(&r);
                else
                        cbor_skip(&r);
        return v;
}

static inline int echo_room_sync(Frame *f, Buffer *out) {
        static RoomSync s;
        int r;

        r = room_sync_decode(f, &s);
        if (r < 0)
                return r;
        r = room_sync_encode(out, &s);
        return r < 0                                                       ? r
                : s.op == ROOM_SYNC_REFUSED && s.refused.code == _CODE_MAX ? ECHO_LOSSY
                                                                           : 0;
}

static inline int echo_room_list(Frame *f, Buffer *out) {
        uint64_t limit = echo_uint(f, 5);
        RoomList l;
        int r;

        r = room_list_decode(f, &l);
        if (r < 0)
                return r;
        r = room_list_encode(out, f->request, &l);
        return r < 0 ? r : limit != l.limit ? ECHO_LOSSY : 0;
}

static inline int echo_room(Frame *f, Buffer *out) {
        static RoomEntries entries;
        static RoomPublish publish;
        static RoomUpdate update;
        RoomLookup lookup;
        int r;

        switch (f->type) {
        case FRAME_ROOM_SYNC:
                return echo_room_sync(f, out);
        case FRAME_ROOM_ENTRIES:
                r = room_entries_decode(f, &entries);
                return r < 0 ? r : room_entries_encode(out, &entries);
        case FRAME_ROOM_PUBLISH:
                r = room_publish_decode(f, &publish);
                return r < 0 ? r : room_publish_encode(out, f->request, &publish);
        case FRAME_ROOM_LOOKUP:
                r = room_lookup_decode(f, &lookup);
                return r < 0 ? r : room_lookup_encode(out, f->request, &lookup);
        case FRAME_ROOM_LIST:
                return echo_room_list(f, out);
        default:
                r = room_update_decode(f, &update);
                return r < 0 ? r : room_update_encode(out, &update);
        }
}

static inline int echo_ok_room_lookup(Frame *f, Buffer *out) {
        static RoomLookupAnswer a;
        int r;

        r = room_lookup_answer_decode(f, &a);
        return r < 0 ? r : room_lookup_answer_encode(out, f->request, &a);
}

static inline int echo_ok_room_list(Frame *f, Buffer *out) {
        static RoomListAnswer a;
        int r;

        r = room_list_answer_decode(f, &a);
        return r < 0 ? r : room_list_answer_encode(out, f->request, &a);
}
