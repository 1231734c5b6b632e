/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/room-private.h"

#include <stdio.h>

/* Rooms: u8 status, u8 read-only and farewell, id, blob name, u64 head epoch, head hash, founder,
 * nonce, u32 inviter, u64 joined, u32 flags, blob topic, u64 change, the three digests */

enum {
        BIT_READ_ONLY = 1,
        BIT_FAREWELL = 2,
};

static bool texts_are_valid(Bytes name, Bytes topic) {
        return (name.size == 0 || name_is_canonical(name.data, name.size)) &&
                topic.size <= ROOM_TOPIC_MAX && utf8_is_valid(topic.data, topic.size) &&
                (topic.size == 0 || !memchr(topic.data, 0, topic.size));
}

static int room_read(uint32_t number, DbValue v, RoomRow *ret) {
        RowReader row = row_begin(v);
        Bytes name, topic;
        uint8_t bits;
        int r;

        *ret = (RoomRow){.number = number, .status = (RoomStatus)row_u8(&row)};
        bits = row_u8(&row);
        row_bytes(&row, ret->id, SHA256_SIZE);
        name = row_blob(&row);
        ret->head_epoch = row_u64(&row);
        row_bytes(&row, ret->head_hash, SHA256_SIZE);
        row_bytes(&row, ret->founder, KEY_SIZE);
        row_bytes(&row, ret->nonce, ROOM_NONCE_SIZE);
        ret->inviter = row_u32(&row);
        ret->invited = row_u64(&row);
        ret->joined = row_u64(&row);
        ret->flags = row_u32(&row);
        topic = row_blob(&row);
        ret->change = row_u64(&row);
        row_bytes(&row, ret->feeds_digest, SHA256_SIZE);
        row_bytes(&row, ret->proposals_digest, SHA256_SIZE);
        row_bytes(&row, ret->forks_digest, SHA256_SIZE);
        r = row_end(&row);
        if (r < 0)
                return r;
        if (ret->status < ROOM_JOINING || ret->status >= _ROOM_STATUS_MAX || bits > 3 ||
                !texts_are_valid(name, topic))
                return db_damaged(v.txn);
        ret->read_only = bits & BIT_READ_ONLY;
        ret->farewell = bits & BIT_FAREWELL;
        copy_bytes(ret->name, name.data, name.size);
        copy_bytes(ret->topic, topic.data, topic.size);
        return 1;
}

int room_save(Store *s, const RoomRow *r) {
        DbKey k = room_key(r->number);

        row_start(&s->row);
        row_put_u8(&s->row, (uint8_t)r->status);
        row_put_u8(&s->row,
                (uint8_t)((r->read_only ? BIT_READ_ONLY : 0) | (r->farewell ? BIT_FAREWELL : 0)));
        row_put_bytes(&s->row, r->id, SHA256_SIZE);
        row_put_blob(&s->row, text_bytes(r->name));
        row_put_u64(&s->row, r->head_epoch);
        row_put_bytes(&s->row, r->head_hash, SHA256_SIZE);
        row_put_bytes(&s->row, r->founder, KEY_SIZE);
        row_put_bytes(&s->row, r->nonce, ROOM_NONCE_SIZE);
        row_put_u32(&s->row, r->inviter);
        row_put_u64(&s->row, r->invited);
        row_put_u64(&s->row, r->joined);
        row_put_u32(&s->row, r->flags);
        row_put_blob(&s->row, text_bytes(r->topic));
        row_put_u64(&s->row, r->change);
        row_put_bytes(&s->row, r->feeds_digest, SHA256_SIZE);
        row_put_bytes(&s->row, r->proposals_digest, SHA256_SIZE);
        row_put_bytes(&s->row, r->forks_digest, SHA256_SIZE);
        return row_write(db_write(s->db), TABLE_ROOM, &k, &s->row);
}

int room_get(DbTxn *txn, uint32_t number, RoomRow *ret) {
        DbKey k = room_key(number);
        DbValue v;
        int r;

        r = db_get(txn, TABLE_ROOM, &k, &v);
        return r <= 0 ? r : room_read(number, v, ret);
}

int room_find(DbTxn *txn, const uint8_t id[static SHA256_SIZE], RoomRow *ret) {
        Conversation v;
        int r;

        r = conversation_find_room(txn, id, &v);
        if (r <= 0)
                return r;
        r = room_get(txn, v.number, ret);
        return r == 0 ? db_damaged(txn) : r;
}

int room_each(DbTxn *txn, RoomFn fn, void *userdata) {
        DbKey none = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k, v;
        RoomRow row;
        int r;

        r = db_cursor_open(txn, TABLE_ROOM, &none, NULL, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                r = k.size == 4 ? room_read(db_get_u32(k.data), v, &row) : db_damaged(txn);
                if (r < 0 || !fn(userdata, txn, &row))
                        break;
        }
        db_cursor_close(&cursor);
        return MIN(r, 0);
}

/* Names. One that the user is in has its name to itself; of others it is looked for. */

static int rank(RoomStatus s) {
        return s == ROOM_JOINING || s == ROOM_JOINED ? 2 : s == ROOM_INVITED ? 1 : 0;
}

static DbKey name_key(const char *name) {
        DbKey k = DB_KEY_NULL;

        db_key_bytes(&k, name, strlen(name));
        return k;
}

/* The room the user is in that has the name. 1 or 0. */
static int name_holder(DbTxn *txn, const char *name, RoomRow *ret) {
        DbKey k = name_key(name);
        uint32_t number;
        RowReader row;
        DbValue v;
        int r;

        r = name[0] ? db_get(txn, TABLE_ROOM_NAME, &k, &v) : 0;
        if (r <= 0)
                return r;
        row = row_begin(v);
        number = row_u32(&row);
        r = row_end(&row);
        if (r >= 0)
                r = room_get(txn, number, ret);
        if (r > 0 && (rank(ret->status) < 2 || !streq(ret->name, name)))
                return db_damaged(txn);
        return r;
}

typedef struct NameSearch {
        const char *name;
        RoomRow *best;
        bool found;
} NameSearch;

static bool search_name(void *userdata, DbTxn *txn, const RoomRow *r) {
        NameSearch *n = userdata;

        if (streq(r->name, n->name) && (!n->found || rank(r->status) > rank(n->best->status))) {
                *n->best = *r;
                n->found = true;
        }
        return true;
}

int room_find_name(DbTxn *txn, const char *name, RoomRow *ret) {
        NameSearch search = {.name = name, .best = ret};
        int r;

        r = name_holder(txn, name, ret);
        if (r != 0 || !name[0])
                return r;
        r = room_each(txn, search_name, &search);
        return r < 0 ? r : search.found;
}

/* Whether the room may have its name: -EEXIST, or 0. */
static int name_check(DbTxn *txn, const RoomRow *row) {
        RoomRow holder;
        int r;

        if (rank(row->status) < 2)
                return 0;
        r = name_holder(txn, row->name, &holder);
        if (r <= 0)
                return r;
        return holder.number == row->number ? 0 : -EEXIST;
}

static int name_give(Store *s, const RoomRow *r) {
        DbKey k = name_key(r->name);

        if (rank(r->status) < 2 || !r->name[0])
                return 0;
        row_start(&s->row);
        row_put_u32(&s->row, r->number);
        return row_write(db_write(s->db), TABLE_ROOM_NAME, &k, &s->row);
}

static int name_take_back(Store *s, const RoomRow *r) {
        DbKey k = name_key(r->name);

        if (rank(r->status) < 2 || !r->name[0])
                return 0;
        return MIN(db_del(db_write(s->db), TABLE_ROOM_NAME, &k), 0);
}

int room_add(Store *s, const uint8_t id[static SHA256_SIZE], const char *name, RoomStatus status,
        RoomRow *ret) {
        RoomRow row = {.status = status};
        Conversation v;
        int r;

        if (!texts_are_valid(text_bytes(name), (Bytes){}))
                return -EINVAL;
        r = room_find(db_write(s->db), id, ret);
        if (r != 0)
                return r;
        memcpy(row.id, id, SHA256_SIZE);
        snprintf(row.name, sizeof(row.name), "%s", name);
        r = name_check(db_write(s->db), &row);
        if (r >= 0)
                r = store_check_room(s, STORE_PERCENT_OWN);
        if (r >= 0)
                r = conversation_add_room(s, id, &v);
        if (r < 0)
                return r;
        row.number = v.number;
        r = room_save(s, &row);
        if (r >= 0)
                r = name_give(s, &row);
        if (r >= 0)
                *ret = row;
        return r;
}

int room_write(Store *s, const RoomRow *row) {
        RoomRow before, after = *row;
        int r;

        if (row->status < ROOM_JOINING || row->status >= _ROOM_STATUS_MAX ||
                !texts_are_valid(text_bytes(row->name), text_bytes(row->topic)))
                return -EINVAL;
        r = room_get(db_write(s->db), row->number, &before);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        r = name_check(db_write(s->db), row);
        if (r >= 0)
                r = name_take_back(s, &before);
        if (r >= 0)
                r = name_give(s, row);
        if (r < 0)
                return r;
        memcpy(after.id, before.id, SHA256_SIZE);
        after.change = before.change;
        memcpy(after.feeds_digest, before.feeds_digest, SHA256_SIZE);
        memcpy(after.proposals_digest, before.proposals_digest, SHA256_SIZE);
        memcpy(after.forks_digest, before.forks_digest, SHA256_SIZE);
        return room_save(s, &after);
}
