/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Room keys: which are missing here, and how they go from one member to another. A wrap is made
 * anew for whoever asks, by any member who has the key, and is not kept.
 */

#include "rooms/state.h"
#include "store/prekey.h"
#include "wire/mail.h"

/* One that does not fit what the block has promised is of another chain, which has lost. */
int room_key_of(Room *room, DbTxn *txn, uint64_t epoch, uint8_t ret[static ROOM_KEY_SIZE]) {
        const uint8_t *commitment = roster_commitment(room->roster, epoch);
        uint8_t promised[SHA256_SIZE];
        int e;

        if (!commitment)
                return 0;
        e = room_key_get(txn, room->row.number, epoch, ret);
        if (e <= 0)
                return e;
        room_key_commitment(room->row.id, epoch, ret, promised);
        if (memcmp(promised, commitment, SHA256_SIZE) == 0)
                return 1;
        explicit_bzero(ret, ROOM_KEY_SIZE);
        return 0;
}

typedef struct Missing {
        Room *room;
        DbTxn *txn;
        uint64_t *list;
        size_t n, max;
        int error;
} Missing;

static bool find_missing(void *userdata, uint64_t epoch) {
        Missing *x = userdata;
        uint8_t key[ROOM_KEY_SIZE];

        if (!roster_entitled(x->room->roster, rooms_self(x->room->rooms), epoch))
                return true;
        x->error = room_key_of(x->room, x->txn, epoch, key);
        explicit_bzero(key, sizeof(key));
        if (x->error == 0)
                x->list[x->n++] = epoch;
        return x->error >= 0 && x->n < x->max;
}

int room_keys_missing(Room *room, DbTxn *txn, uint64_t *ret, size_t max, size_t *ret_n) {
        Missing x = {.room = room, .txn = txn, .list = ret, .max = max};

        if (max > 0)
                roster_each_key(room->roster, find_missing, &x);
        *ret_n = x.n;
        return MIN(x.error, 0);
}

int room_has_key(Room *room, DbTxn *txn) {
        uint64_t epoch = roster_key_epoch(room->roster, roster_head(room->roster)->epoch);
        uint8_t key[ROOM_KEY_SIZE];
        int e;

        e = epoch > 0 ? room_key_of(room, txn, epoch, key) : 0;
        explicit_bzero(key, sizeof(key));
        return e;
}

/* The prekey that ACCOUNT's record names first of those that can be used. 1 or 0. */
static int find_prekey(DbTxn *txn, const uint8_t account[static KEY_SIZE], Prekey *ret) {
        Record record;
        Contact c;
        int e;

        e = contact_get(txn, account, &c);
        if (e <= 0 || c.record.size == 0)
                return MIN(e, 0);
        if (record_parse(c.record, &record) < 0)
                return store_damaged(txn);
        for (size_t i = 0; i < record.n_prekeys; i++)
                if (record.prekeys[i].suite == MAIL_SUITE_HPKE &&
                        record.prekeys[i].key.size == MAIL_KEY_SIZE) {
                        *ret = record.prekeys[i];
                        return 1;
                }
        return 0;
}

int room_make_wrap(Room *room, DbTxn *txn, const uint8_t account[static KEY_SIZE], uint64_t epoch,
        Buffer *out) {
        uint8_t key[ROOM_KEY_SIZE], seed[32];
        Prekey prekey;
        int e;

        if (!roster_entitled(room->roster, account, epoch))
                return 0;
        e = find_prekey(txn, account, &prekey);
        if (e > 0)
                e = room_key_of(room, txn, epoch, key);
        if (e <= 0)
                return e;
        loop_random(room->rooms->loop, seed, sizeof(seed));
        e = room_wrap_seal(out, room->row.id, epoch, account, &prekey, key, seed);
        explicit_bzero(key, sizeof(key));
        explicit_bzero(seed, sizeof(seed));
        return e == -EKEYREJECTED ? 0 : e < 0 ? e : 1;
}

int room_take_wrap(Room *room, Bytes bytes, RoomReason *why) {
        Store *s = room->rooms->store;
        const uint8_t *commitment;
        uint8_t key[ROOM_KEY_SIZE];
        PrekeyRow prekey;
        RoomWrap w;
        int e;

        if (room_wrap_decode(bytes, &w) < 0 || memcmp(w.room, room->row.id, ROOM_ID_SIZE) != 0)
                return TAKEN_BAD;
        if (!key_equal(w.account, rooms_self(room->rooms)))
                return TAKEN_AGAIN;
        commitment = roster_commitment(room->roster, w.epoch);
        if (!commitment)
                return w.epoch > roster_head(room->roster)->epoch
                        ? TAKEN_NOT_NOW
                        : room_reason(why, TAKEN_REFUSED, CODE_INVALID_ARGS,
                                  "there is no key of this epoch");
        e = room_key_of(room, store_write(s), w.epoch, key);
        if (e == 0)
                e = prekey_get(store_write(s), w.prekey, &prekey);
        else if (e > 0) {
                explicit_bzero(key, sizeof(key));
                return TAKEN_AGAIN;
        }
        if (e == 0)
                return room_reason(why, TAKEN_REFUSED, CODE_EXPIRED,
                        "it was made for a prekey that is not known any more");
        if (e < 0)
                return e;
        e = room_wrap_open(&w, prekey.secret, commitment, key);
        explicit_bzero(&prekey, sizeof(prekey));
        if (e < 0) /* it may be for a key of that number on another device */
                return e == -ENOMEM ? e
                                    : room_reason(why, TAKEN_REFUSED, CODE_INVALID_ARGS,
                                              "it does not open here");
        e = room_key_put(s, room->row.number, w.epoch, key);
        explicit_bzero(key, sizeof(key));
        if (e >= 0)
                e = room_touch(room, ROOM_NEW_KEYS);
        return e < 0 ? e : TAKEN;
}

/* Records, which have the prekeys */

typedef struct Recordless {
        Room *room;
        DbTxn *txn;
        uint8_t (*list)[KEY_SIZE];
        size_t n, max;
        int error;
} Recordless;

static bool find_recordless(void *userdata, const RosterMember *m) {
        Recordless *x = userdata;
        Contact c;

        if (!m->member || key_equal(m->account, rooms_self(x->room->rooms)))
                return true;
        x->error = contact_get(x->txn, m->account, &c);
        if (x->error == 0 || (x->error > 0 && c.record.size == 0))
                memcpy(x->list[x->n++], m->account, KEY_SIZE);
        return x->error >= 0 && x->n < x->max;
}

int room_records_missing(
        Room *room, DbTxn *txn, uint8_t (*ret)[KEY_SIZE], size_t max, size_t *ret_n) {
        Recordless x = {.room = room, .txn = txn, .list = ret, .max = max};

        if (max > 0)
                roster_each(room->roster, find_recordless, &x);
        *ret_n = x.n;
        return MIN(x.error, 0);
}

int room_record_of(Room *room, DbTxn *txn, const uint8_t account[static KEY_SIZE], Bytes *ret) {
        Contact c;
        int e;

        if (key_equal(account, rooms_self(room->rooms))) {
                *ret = buffer_bytes(&room->rooms->self->record);
                return ret->size > 0;
        }
        e = contact_get(txn, account, &c);
        if (e > 0)
                *ret = c.record;
        return e > 0 ? c.record.size > 0 : e;
}

int room_take_record(Room *room, Bytes outer, RoomReason *why) {
        Rooms *r = room->rooms;
        usec_t now = loop_realtime(r->loop);
        Record record;
        Contact c;
        int e;

        e = record_decode(outer, &record);
        if (e < 0)
                return e == -ENOMEM ? e : TAKEN_BAD;
        if (key_equal(record.account, rooms_self(r)))
                return TAKEN_AGAIN;
        if (!room_knows(room, record.account))
                return room_reason(
                        why, TAKEN_REFUSED, CODE_NOT_MEMBER, "this is nobody of the room's");
        if (record_is_ahead(&record, now))
                return room_reason(
                        why, TAKEN_REFUSED, CODE_INVALID_ARGS, "the record is from the future");
        e = contact_learn(r->store, &record, outer, now, CONTACT_MEMBER, false, &c);
        if (e == -ESTALE)
                return TAKEN_AGAIN;
        if (e >= 0)
                e = room_touch(room, 0);
        return e < 0 ? e : TAKEN;
}
