/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What an entry says, and the keys for that. */

#include "rooms/state.h"

int room_entry_key(Room *room, DbTxn *txn, const Inner *m, uint8_t ret[static ROOM_KEY_SIZE]) {
        uint64_t epoch;
        RoomHead head;

        if (room_head_decode(m->control_head, &head) < 0)
                return -EBADMSG;
        if (head.epoch > roster_head(room->roster)->epoch)
                return 0; /* whoever wrote it knew more of the control log */
        epoch = roster_key_epoch(room->roster, head.epoch);
        return epoch > 0 ? room_key_of(room, txn, epoch, ret) : 0;
}

bool rooms_is_barred(Rooms *r, uint32_t number, const Inner *m) {
        Room *room = room_by_number(r, number);
        uint64_t epoch;
        RoomHead head;

        if (!room || room_head_decode(m->control_head, &head) < 0 ||
                head.epoch > roster_head(room->roster)->epoch)
                return false;
        epoch = roster_key_epoch(room->roster, head.epoch);
        return epoch > 0 && !roster_entitled(room->roster, rooms_self(r), epoch);
}

int rooms_read_text(Rooms *r, DbTxn *txn, uint32_t number, const Inner *m, Buffer *out) {
        Room *room = room_by_number(r, number);
        uint8_t key[ROOM_KEY_SIZE];
        int e;

        e = room ? room_entry_key(room, txn, m, key) : -EBADMSG;
        if (e <= 0)
                return e;
        e = room_entry_open(key, m, out);
        explicit_bzero(key, sizeof(key));
        return e < 0 ? e : 1;
}

int rooms_door(Rooms *r, DbTxn *txn, uint32_t number, uint8_t ret[static SHA256_SIZE]) {
        Room *room = room_by_number(r, number);
        uint8_t key[ROOM_KEY_SIZE];
        uint64_t epoch;
        int e;

        epoch = room ? roster_key_epoch(room->roster, roster_head(room->roster)->epoch) : 0;
        e = epoch > 0 ? room_key_of(room, txn, epoch, key) : 0;
        if (e <= 0)
                return e;
        room_door(room->row.id, key, ret);
        explicit_bzero(key, sizeof(key));
        return 1;
}
