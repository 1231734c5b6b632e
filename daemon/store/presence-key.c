/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/presence-key.h"

#include "store/seal-private.h"

/* With the row's head: growing would leave copies of keys behind. */
#define KEY_ROW_MAX 64

static int key_read(DbTxn *txn, unsigned table, const DbKey *k, uint8_t *ret) {
        _cleanup_(buffer_wipe) Buffer plain = BUFFER_NULL;
        RowReader row;
        DbValue v;
        int r;

        r = db_get(txn, table, k, &v);
        if (r <= 0)
                return r;
        row = row_open(v, table, key_bytes(k), &plain);
        row_bytes(&row, ret, BOX_KEY_SIZE);
        r = row_end(&row);
        return r < 0 ? r : 1;
}

static int key_write(Store *s, unsigned table, const DbKey *k, const uint8_t *key) {
        if (!buffer_reserve(&s->row, KEY_ROW_MAX))
                return -ENOMEM;
        row_start(&s->row);
        row_put_bytes(&s->row, key, BOX_KEY_SIZE);
        return row_write_secret(s, table, k);
}

int store_get_presence_key(DbTxn *txn, uint8_t ret[static BOX_KEY_SIZE]) {
        DbKey k = store_meta_key("presence-key");

        return key_read(txn, TABLE_META, &k, ret);
}

int store_set_presence_key(Store *s, const uint8_t key[static BOX_KEY_SIZE]) {
        DbKey k = store_meta_key("presence-key");

        return key_write(s, TABLE_META, &k, key);
}

static DbKey contact_key(uint32_t account) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, account);
        return k;
}

int store_get_contact_key(DbTxn *txn, uint32_t account, uint8_t ret[static BOX_KEY_SIZE]) {
        DbKey k = contact_key(account);

        return key_read(txn, TABLE_PRESENCE_KEY, &k, ret);
}

int store_set_contact_key(Store *s, uint32_t account, const uint8_t *key) {
        DbTxn *txn = db_write(s->db);
        DbKey k = contact_key(account);
        uint8_t before[BOX_KEY_SIZE];
        int r;

        if (!key)
                return db_del(txn, TABLE_PRESENCE_KEY, &k);
        r = store_get_contact_key(txn, account, before);
        if (r > 0)
                r = memcmp(before, key, BOX_KEY_SIZE) == 0;
        explicit_bzero(before, sizeof(before));
        return r != 0 ? MIN(r, 0) : key_write(s, TABLE_PRESENCE_KEY, &k, key);
}
