/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* People of rooms-lab.h who go from one device to another, and take their rooms along. */

#include "rooms-lab.h"
#include "rooms/handover.h"
#include "store/handover.h"

static _unused_ bool count_event(void *userdata, DbTxn *txn, const EventRow *e) {
        ++*(unsigned *)userdata;
        return true;
}

static _unused_ unsigned count_events(Mate *m) {
        unsigned n = 0;

        CHECK_OK(event_each(mate_txn(m), 0, count_event, &n));
        return n;
}

static _unused_ bool count_one_received(void *userdata, DbTxn *txn, const EventRow *e) {
        *(unsigned *)userdata += e->kind == EVENT_RECEIVED;
        return true;
}

static _unused_ unsigned count_received(Mate *m) {
        unsigned n = 0;

        CHECK_OK(event_each(mate_txn(m), 0, count_one_received, &n));
        return n;
}

static _unused_ unsigned unread(Mate *m) {
        Conversation v;

        CHECK_EQ(conversation_get(mate_txn(m), m->room->row.number, &v), 1);
        return v.unread;
}

static _unused_ Bytes next_item(Bytes *in) {
        uint64_t kind;
        Bytes item;

        CHECK_EQ(handover_item_next(in, &item, &kind), 1);
        return item;
}

/* What the store hands over by itself. */
static _unused_ void hand_over_store(Mate *from, Mate *to, HandoverPart part) {
        _cleanup_(buffer_done) Buffer items = BUFFER_NULL, next = BUFFER_NULL;
        Bytes left;
        uint64_t n;
        DbTxn *txn;

        CHECK_OK(store_read_begin(from->store, &txn));
        CHECK_EQ(handover_read(txn, &from->self, part, (Bytes){}, SIZE_MAX, &items, &n, &next), 0);
        store_read_end(txn);
        left = buffer_bytes(&items);
        while (left.size > 0)
                CHECK(handover_merge(to->store, &to->self, next_item(&left),
                              loop_realtime(to->lab->sim.loop)) >= 0);
        lab_commit(to);
}

static _unused_ uint64_t take_piece(Mate *to, const Buffer *items) {
        Bytes left = buffer_bytes(items);
        uint64_t n = 0;

        while (left.size > 0) {
                CHECK_EQ(rooms_handover_merge(to->rooms, next_item(&left)), 1);
                n++;
        }
        lab_commit(to);
        to->room = room_of(to->rooms, to->lab->id);
        return n;
}

/* All that FROM has, in pieces of MAX; TO is started again after each EVERY-th one (0: never). */
static _unused_ uint64_t hand_over(Mate *from, Mate *to, size_t max, unsigned every) {
        _cleanup_(buffer_done) Buffer items = BUFFER_NULL, at = BUFFER_NULL, next = BUFFER_NULL;
        uint64_t all = 0, n, count;
        unsigned pieces = 0;
        DbTxn *txn;
        int more;

        lab_commit(from);
        hand_over_store(from, to, HANDOVER_BEFORE_ROOMS);
        do {
                buffer_clear(&items);
                CHECK_OK(store_read_begin(from->store, &txn));
                CHECK_OK(rooms_handover_count(txn, &count));
                more = rooms_handover_read(
                        txn, &from->self, buffer_bytes(&at), max, &items, &n, &next);
                CHECK(more >= 0);
                CHECK(buffer_size(&next) <= ROOMS_HANDOVER_POSITION_MAX);
                CHECK(n <= 1 || buffer_size(&items) <= max);
                CHECK_EQ(take_piece(to, &items), n);
                store_read_end(txn);
                all += n;
                buffer_clear(&at);
                CHECK_OK(buffer_append(&at, buffer_data(&next), buffer_size(&next)));
                if (every > 0 && ++pieces % every == 0)
                        mate_restart(to);
        } while (more > 0);
        hand_over_store(from, to, HANDOVER_AFTER_ROOMS);
        CHECK(all <= count);
        return all;
}

/* The first items, up to where the room is as all are and no entry is here. */
static _unused_ void hand_over_until_joined(Mate *from, Mate *to) {
        _cleanup_(buffer_done) Buffer items = BUFFER_NULL, at = BUFFER_NULL, next = BUFFER_NULL;
        uint64_t n;
        DbTxn *txn;

        lab_commit(from);
        CHECK_OK(store_read_begin(from->store, &txn));
        for (;;) {
                buffer_clear(&items);
                CHECK_EQ(rooms_handover_read(
                                 txn, &from->self, buffer_bytes(&at), 1, &items, &n, &next),
                        1);
                take_piece(to, &items);
                buffer_clear(&at);
                CHECK_OK(buffer_append(&at, buffer_data(&next), buffer_size(&next)));
                if (to->room->row.status == ROOM_JOINED)
                        break;
                CHECK_EQ(to->room->row.status, ROOM_LEFT);
        }
        store_read_end(txn);
}

/* The user goes to another device: SLOT is his from now on, and has nothing. */
static _unused_ Mate *move(RoomsLab *lab, unsigned from, unsigned slot) {
        lab_pause(lab);
        lab_clone(lab, from, slot, true);
        lab->mate[slot].next_id = lab->mate[from].next_id + 1000;
        return &lab->mate[slot];
}

/* And back, to the device that he had before. */
static _unused_ void move_back(Mate *from, Mate *to) {
        lab_pause(from->lab);
        CHECK(key_equal(mate_account(from), mate_account(to)));
        to->who.epoch = from->who.epoch + 1;
        person_sign(&to->who, IDENTITY_LIFETIME);
        to->self.epoch = to->who.epoch;
        buffer_clear(&to->self.certificate);
        CHECK_OK(buffer_append(&to->self.certificate, buffer_data(&to->who.certificate),
                buffer_size(&to->who.certificate)));
        to->next_id = from->next_id + 1000;
        mate_restart(to);
}

/* Every two of them tell each other all, but none of OFF. */
static _unused_ void level_without(RoomsLab *lab, const Mate *off) {
        for (unsigned round = 0; round < 6; round++) {
                lab_pause(lab);
                for (unsigned i = 0; i < lab->n; i++)
                        for (unsigned k = 0; k < lab->n; k++)
                                if (i != k && &lab->mate[i] != off && &lab->mate[k] != off)
                                        give(&lab->mate[i], &lab->mate[k]);
        }
}

static _unused_ void mate_reads_up_to(Mate *m, const Uuid *id) {
        CHECK_EQ(store_room_mark_read(
                         m->store, m->room->row.number, id, loop_realtime(m->lab->sim.loop), true),
                1);
        rooms_read(m->rooms, m->room->row.number);
        lab_commit(m);
}

static _unused_ void begin(RoomsLab *lab, uint64_t seed, RoomAccess access) {
        RoomsError e = {};
        Mate *alice = &lab->mate[0];

        lab_new(lab, seed, 4);
        CHECK_OK(lab_create(lab, access, ROOM_HISTORY_ALL, &e));
        for (unsigned i = 1; i < 3; i++) {
                CHECK_OK(rooms_invite(
                        alice->rooms, alice->room->row.number, mate_account(&lab->mate[i]), &e));
                lab_commit(alice);
                mate_join(&lab->mate[i], alice);
        }
        level_without(lab, &lab->mate[3]);
}
