/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/handover-state.h"

#define TAKE_PREFIX "handover-take/"

/* Giving: transfer, u8 flags, device */

enum {
        GIVE_ACCEPTED = 1,
        GIVE_DONE = 2,
};

int store_get_handover_give(DbTxn *txn, HandoverGive *ret) {
        HandoverGive g = {};
        uint8_t flags;
        RowReader row;
        DbValue v;
        int r;

        r = store_meta_get(txn, "handover-give", &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        row_bytes(&row, g.transfer, sizeof(g.transfer));
        flags = row_u8(&row);
        row_bytes(&row, g.to, sizeof(g.to));
        r = row_end(&row);
        if (r < 0)
                return r;
        g.accepted = flags & GIVE_ACCEPTED;
        g.done = flags & GIVE_DONE;
        *ret = g;
        return 1;
}

int store_set_handover_give(Store *s, const HandoverGive *g) {
        DbKey k = store_meta_key("handover-give");

        row_start(&s->row);
        row_put_bytes(&s->row, g->transfer, sizeof(g->transfer));
        row_put_u8(
                &s->row, (uint8_t)((g->accepted ? GIVE_ACCEPTED : 0) | (g->done ? GIVE_DONE : 0)));
        row_put_bytes(&s->row, g->to, sizeof(g->to));
        return row_write(db_write(s->db), TABLE_META, &k, &s->row);
}

int store_forget_handover_give(Store *s) {
        DbKey k = store_meta_key("handover-give");

        return db_del(db_write(s->db), TABLE_META, &k);
}

/* Taking: transfer, u64 items, u64 total, u8 done, position */

static DbKey take_key(const uint8_t device[static KEY_SIZE]) {
        DbKey k = store_meta_key(TAKE_PREFIX);

        db_key_bytes(&k, device, KEY_SIZE);
        return k;
}

static int take_read(const uint8_t *device, DbValue v, HandoverTake *ret) {
        RowReader row = row_begin(v);
        HandoverTake t = {};
        Bytes position;
        int r;

        memcpy(t.device, device, KEY_SIZE);
        row_bytes(&row, t.transfer, sizeof(t.transfer));
        t.items = row_u64(&row);
        t.total = row_u64(&row);
        t.done = row_u8(&row);
        position = row_rest(&row);
        r = row_end(&row);
        if (r < 0)
                return r;
        if (position.size > sizeof(t.position))
                return db_damaged(v.txn);
        copy_bytes(t.position, position.data, position.size);
        t.n_position = position.size;
        *ret = t;
        return 1;
}

int store_get_handover_take(DbTxn *txn, const uint8_t device[static KEY_SIZE], HandoverTake *ret) {
        DbKey k = take_key(device);
        DbValue v;
        int r;

        r = db_get(txn, TABLE_META, &k, &v);
        return r <= 0 ? r : take_read(device, v, ret);
}

int store_set_handover_take(Store *s, const HandoverTake *t) {
        DbKey k = take_key(t->device);

        row_start(&s->row);
        row_put_bytes(&s->row, t->transfer, sizeof(t->transfer));
        row_put_u64(&s->row, t->items);
        row_put_u64(&s->row, t->total);
        row_put_u8(&s->row, t->done);
        row_put_bytes(&s->row, t->position, t->n_position);
        return row_write(db_write(s->db), TABLE_META, &k, &s->row);
}

int store_each_handover_take(DbTxn *txn, HandoverTakeFn fn, void *userdata) {
        DbKey prefix = store_meta_key(TAKE_PREFIX);
        DbCursor cursor;
        DbValue k, v;
        int r;

        r = db_cursor_open(txn, TABLE_META, &prefix, NULL, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                HandoverTake t;

                if (k.size != prefix.size + KEY_SIZE)
                        continue;
                r = take_read(k.data + prefix.size, v, &t);
                if (r < 0 || !fn(userdata, &t))
                        break;
        }
        db_cursor_close(&cursor);
        return MIN(r, 0);
}
