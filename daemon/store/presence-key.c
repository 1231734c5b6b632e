/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/presence-key.h"

static int key_read(int found, DbValue v, uint8_t *ret) {
        RowReader row;
        int r;

        if (found <= 0)
                return found;
        row = row_begin(v);
        row_bytes(&row, ret, BOX_KEY_SIZE);
        r = row_end(&row);
        return r < 0 ? r : 1;
}

static int key_write(Store *s, unsigned table, const DbKey *k, const uint8_t *key) {
        row_start(&s->row);
        row_put_bytes(&s->row, key, BOX_KEY_SIZE);
        return row_write(db_write(s->db), table, k, &s->row);
}

int store_get_presence_key(DbTxn *txn, uint8_t ret[static BOX_KEY_SIZE]) {
        DbValue v;

        return key_read(store_meta_get(txn, "presence-key", &v), v, ret);
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
        DbValue v;

        return key_read(db_get(txn, TABLE_PRESENCE_KEY, &k, &v), v, ret);
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
