/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Rows of rooms, for the files of store/. */

#include "store/private.h"
#include "store/room.h"

/* The row as it is in R, with what is the store's own. */
int room_save(Store *s, const RoomRow *r);

/* The feed has a new head: SEQ and HASH, or 0 for none. Writes F and R with all that belongs to
 * them. */
int room_feed_set_head(Store *s, RoomRow *r, RoomFeed *f, uint64_t seq, const uint8_t *hash);

/* Something else of the feed has changed that others are told. */
int room_feed_touch(Store *s, RoomRow *r, RoomFeed *f);

/* Nobody has anything of an own feed from FIRST on. */
int room_marks_cut(Store *s, uint32_t room, uint32_t feed, uint64_t first);

/* The row by which an entry is found by its id. */
int room_id_write(Store *s, uint32_t room, const Inner *m, uint32_t feed);
int room_id_remove(Store *s, uint32_t room, const Inner *m, uint32_t feed);

static inline DbKey room_key(uint32_t room) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, room);
        return k;
}

static inline DbKey room_epoch_key(uint32_t room, uint64_t epoch) {
        DbKey k = room_key(room);

        db_key_u64(&k, epoch);
        return k;
}
