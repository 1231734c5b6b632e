/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The row "keys": u8 keeping, u8 leaving, u8 scrub, u8 current, salt, check, then for each row key
 * u8 id, u8 flags, blob: its box under the master key, or the key itself where nothing is sealed
 * any more. */

#include "store/seal-private.h"

#include "crypto/hkdf.h"
#include "crypto/secret.h"

#define ROW_PURPOSE "p2pchat-row"
#define KEY_PURPOSE "p2pchat-row-key"
#define MASTER_PURPOSE "p2pchat-master-key"
#define CHECK_PURPOSE "p2pchat-master-key-check"

#define KEYS_ROW_MAX (128 + SEAL_KEYS_MAX * (8 + BOX_KEY_SIZE + BOX_OVERHEAD))

/* The longest names and keys there are, and what is between them. */
#define AAD_MAX (32 + DB_KEY_MAX + 64)

const char *keeping_name(Keeping k) {
        static const char *const names[] = {
                [KEEPING_NONE] = "none",
                [KEEPING_FILE] = "file",
                [KEEPING_CREDENTIAL] = "credential",
                [KEEPING_SECRET_SERVICE] = "secret-service",
        };

        return (unsigned)k < ELEMENTSOF(names) ? names[k] : "?";
}

static SealKey *key_find(Seal *seal, uint8_t id) {
        for (size_t i = 0; i < seal->n; i++)
                if (seal->keys[i].id == id)
                        return &seal->keys[i];
        return NULL;
}

/* Rows */

static Bytes row_aad(const uint8_t head[static ROW_HEAD_SIZE], unsigned table, Bytes key,
        uint8_t buf[static AAD_MAX]) {
        const char *name = store_table_name(table);
        size_t n = 0;

        copy_bytes(buf, ROW_PURPOSE, sizeof(ROW_PURPOSE));
        n += sizeof(ROW_PURPOSE);
        copy_bytes(buf + n, name, strlen(name) + 1);
        n += strlen(name) + 1;
        copy_bytes(buf + n, head, ROW_HEAD_SIZE);
        n += ROW_HEAD_SIZE;
        copy_bytes(buf + n, key.data, MIN(key.size, (size_t)DB_KEY_MAX));
        return (Bytes){.data = buf, .size = n + key.size};
}

static RowReader row_broken(DbValue v, int error) {
        return (RowReader){.error = error, .txn = v.txn};
}

static RowReader row_open_with(Seal *seal, DbValue v, unsigned table, Bytes key, Buffer *plain) {
        uint8_t aad[AAD_MAX];
        const SealKey *k;
        int r;

        if (!seal || v.size < ROW_HEAD_SIZE || v.data[0] != ROW_VERSION || v.data[1] != ROW_SEALED)
                return row_begin(v);
        if (!seal->open)
                return row_broken(v, -ENOKEY);
        k = key_find(seal, v.data[2]);
        if (!k || key.size > DB_KEY_MAX)
                return row_broken(v, -EUCLEAN);
        buffer_clear(plain);
        r = box_open(k->key, row_aad(v.data, table, key, aad),
                (Bytes){.data = v.data + ROW_HEAD_SIZE, .size = v.size - ROW_HEAD_SIZE}, plain);
        if (r < 0)
                return row_broken(v, r == -EBADMSG ? -EUCLEAN : r);
        return (RowReader){.p = buffer_data(plain),
                .end = buffer_data(plain) + buffer_size(plain),
                .txn = v.txn};
}

RowReader row_open(DbValue v, unsigned table, Bytes key, Buffer *plain) {
        const Store *s = v.txn ? db_userdata(v.txn) : NULL;

        return row_open_with(s ? s->seal : NULL, v, table, key, plain);
}

RowReader row_open_message(DbValue v, unsigned table, const DbKey *key) {
        Store *s = v.txn ? db_userdata(v.txn) : NULL;

        if (!s || !s->seal)
                return row_begin(v);
        s->next_opened = (s->next_opened + 1) % SEAL_OPENED;
        return row_open_with(s->seal, v, table, key_bytes(key), &s->opened[s->next_opened]);
}

/* s->row as it is, or in a box. */
static int row_write_with(Store *s, const Seal *seal, unsigned table, const DbKey *key) {
        const uint8_t head[ROW_HEAD_SIZE] = {ROW_VERSION, ROW_SEALED, seal->current};
        const SealKey *k = key_find((Seal *)seal, seal->current);
        uint8_t aad[AAD_MAX], nonce[BOX_NONCE_SIZE];
        Bytes row = buffer_bytes(&s->row);
        int r;

        if (!k || row.size == 0)
                return row_write(db_write(s->db), table, key, &s->row);
        loop_random(s->loop, nonce, sizeof(nonce));
        buffer_clear(&s->sealed);
        r = buffer_append(&s->sealed, head, sizeof(head));
        if (r >= 0)
                r = box_seal(k->key, nonce, row_aad(head, table, key_bytes(key), aad),
                        (Bytes){.data = row.data + ROW_HEAD_SIZE, .size = row.size - ROW_HEAD_SIZE},
                        &s->sealed);
        if (r < 0)
                buffer_clear(&s->sealed); /* which fails the batch */
        return row_write(db_write(s->db), table, key, &s->sealed);
}

/* Nothing that is to be sealed is written without. */
static int seal_check(Store *s) {
        if (!s->seal || s->seal->open)
                return 0;
        db_fail(db_write(s->db), -ENOKEY);
        return -ENOKEY;
}

int row_write_secret(Store *s, unsigned table, const DbKey *key) {
        int r;

        r = seal_check(s);
        if (r >= 0)
                r = s->seal ? row_write_with(s, s->seal, table, key)
                            : row_write(db_write(s->db), table, key, &s->row);
        buffer_wipe(&s->row);
        return r;
}

int row_write_message(Store *s, unsigned table, const DbKey *key) {
        int r;

        r = seal_check(s);
        if (r < 0)
                return r;
        return s->seal && s->seal->messages ? row_write_with(s, s->seal, table, key)
                                            : row_write(db_write(s->db), table, key, &s->row);
}

/* Keys */

static void derive(
        const Seal *seal, const uint8_t *master, const char *purpose, uint8_t *ret, size_t n) {
        const Bytes info = text_bytes(purpose);

        hkdf((Bytes){.data = seal->salt, .size = sizeof(seal->salt)},
                (Bytes){.data = master, .size = STORE_KEY_SIZE}, &info, 1, ret, n);
}

static Bytes key_aad(const Seal *seal, uint8_t id, uint8_t buf[static AAD_MAX]) {
        copy_bytes(buf, KEY_PURPOSE, sizeof(KEY_PURPOSE));
        copy_bytes(buf + sizeof(KEY_PURPOSE), seal->salt, sizeof(seal->salt));
        buf[sizeof(KEY_PURPOSE) + sizeof(seal->salt)] = id;
        return (Bytes){.data = buf, .size = sizeof(KEY_PURPOSE) + sizeof(seal->salt) + 1};
}

static int key_take(SealKey *k, const Buffer *from, size_t size, void *to) {
        if (buffer_size(from) != size)
                return -EUCLEAN;
        copy_bytes(to, buffer_data(from), size);
        return 0;
}

/* WITH: what was derived from the master key; NULL: openly. */
static int key_wrap(Store *s, const Seal *seal, SealKey *k, const uint8_t *with) {
        Buffer box = BUFFER_NULL;
        uint8_t aad[AAD_MAX], nonce[BOX_NONCE_SIZE];
        int r;

        if (!with) {
                copy_bytes(k->wrapped, k->key, sizeof(k->key));
                k->n_wrapped = sizeof(k->key);
                return 0;
        }
        loop_random(s->loop, nonce, sizeof(nonce));
        r = box_seal(with, nonce, key_aad(seal, k->id, aad),
                (Bytes){.data = k->key, .size = sizeof(k->key)}, &box);
        if (r >= 0)
                r = key_take(k, &box, sizeof(k->wrapped), k->wrapped);
        k->n_wrapped = sizeof(k->wrapped);
        buffer_done(&box);
        return r;
}

static int key_unwrap(const Seal *seal, SealKey *k, const uint8_t *with) {
        Buffer plain = BUFFER_NULL;
        uint8_t aad[AAD_MAX];
        int r;

        if (!with) {
                copy_bytes(k->key, k->wrapped, sizeof(k->key));
                return k->n_wrapped == sizeof(k->key) ? 0 : -EUCLEAN;
        }
        r = box_open(with, key_aad(seal, k->id, aad),
                (Bytes){.data = k->wrapped, .size = k->n_wrapped}, &plain);
        if (r >= 0)
                r = key_take(k, &plain, sizeof(k->key), k->key);
        buffer_wipe(&plain);
        return r == -EBADMSG ? -EUCLEAN : r;
}

/* The row of the keys */

static int seal_save(Store *s, const Seal *seal) {
        DbKey k = store_meta_key("keys");

        if (!buffer_reserve(&s->row, KEYS_ROW_MAX))
                return -ENOMEM;
        row_start(&s->row);
        row_put_u8(&s->row, (uint8_t)seal->keeping);
        row_put_u8(&s->row, (uint8_t)seal->leaving);
        row_put_u8(&s->row, seal->scrub);
        row_put_u8(&s->row, seal->current);
        row_put_bytes(&s->row, seal->salt, sizeof(seal->salt));
        row_put_bytes(&s->row, seal->check, sizeof(seal->check));
        for (size_t i = 0; i < seal->n; i++) {
                row_put_u8(&s->row, seal->keys[i].id);
                row_put_u8(&s->row, seal->keys[i].flags);
                row_put_blob(&s->row,
                        (Bytes){.data = seal->keys[i].wrapped, .size = seal->keys[i].n_wrapped});
        }
        return row_write(db_write(s->db), TABLE_META, &k, &s->row);
}

static void read_key(RowReader *row, Seal *seal) {
        SealKey *k = &seal->keys[seal->n++];
        Bytes wrapped;

        k->id = row_u8(row);
        k->flags = row_u8(row);
        wrapped = row_blob(row);
        if (k->id == 0 || wrapped.size > sizeof(k->wrapped)) {
                row->error = row->error < 0 ? row->error : -EUCLEAN;
                return;
        }
        copy_bytes(k->wrapped, wrapped.data, wrapped.size);
        k->n_wrapped = wrapped.size;
}

static int seal_read(RowReader *row, Seal *seal) {
        int r;

        seal->chosen = true;
        seal->keeping = (Keeping)row_u8(row);
        seal->leaving = (Keeping)row_u8(row);
        seal->scrub = row_u8(row);
        seal->current = row_u8(row);
        row_bytes(row, seal->salt, sizeof(seal->salt));
        row_bytes(row, seal->check, sizeof(seal->check));
        while (row_has_more(row) && seal->n < SEAL_KEYS_MAX)
                read_key(row, seal);
        r = row_end(row);
        if (r < 0)
                return r;
        if (seal->keeping >= _KEEPING_MAX || seal->leaving >= _KEEPING_MAX ||
                (seal->keeping == KEEPING_NONE) != (seal->current == 0) ||
                (seal->current != 0 && !key_find(seal, seal->current)))
                return db_damaged(row->txn);
        return 0;
}

static int unwrap_all(Seal *seal, const uint8_t *with) {
        int r = 0;

        for (size_t i = 0; i < seal->n && r >= 0; i++)
                r = key_unwrap(seal, &seal->keys[i], with);
        seal->open = r >= 0;
        return r;
}

int seal_load(Store *s) {
        RowReader row;
        DbValue v;
        int r;

        r = store_meta_get(db_write(s->db), "keys", &v);
        if (r <= 0)
                return r;
        s->seal = secret_new(sizeof(*s->seal));
        if (!s->seal)
                return -ENOMEM;
        row = row_begin(v);
        r = seal_read(&row, s->seal);
        if (r >= 0 && s->seal->keeping == KEEPING_NONE)
                r = unwrap_all(s->seal, NULL);
        return r == -EUCLEAN ? db_damaged(db_write(s->db)) : r;
}

int store_key_info(Store *s, StoreKeyInfo *ret) {
        DbValue v;
        int r;

        if (!s->seal) {
                s->seal = secret_new(sizeof(*s->seal));
                if (!s->seal)
                        return -ENOMEM;
                s->seal->open = true;
                loop_random(s->loop, s->seal->salt, sizeof(s->seal->salt));
        }
        r = store_meta_get(db_write(s->db), "identity", &v);
        if (r < 0)
                return r;
        *ret = (StoreKeyInfo){.chosen = s->seal->chosen,
                .in_use = r > 0,
                .keeping = s->seal->keeping,
                .leaving = s->seal->leaving};
        copy_bytes(ret->id, s->seal->salt, sizeof(ret->id));
        return 0;
}

Keeping store_keeping(const Store *s) {
        return s->seal ? s->seal->keeping : KEEPING_NONE;
}

int store_unseal(Store *s, const uint8_t master[static STORE_KEY_SIZE]) {
        uint8_t check[STORE_ID_SIZE], with[BOX_KEY_SIZE];
        int r;

        if (!s->seal || s->seal->keeping == KEEPING_NONE)
                return -EINVAL;
        derive(s->seal, master, CHECK_PURPOSE, check, sizeof(check));
        if (!secret_equal(check, s->seal->check, sizeof(check)))
                return -EKEYREJECTED;
        derive(s->seal, master, MASTER_PURPOSE, with, sizeof(with));
        r = unwrap_all(s->seal, with);
        explicit_bzero(with, sizeof(with));
        return r == -EUCLEAN ? db_damaged(db_write(s->db)) : r;
}

/* Another master key */

typedef struct Rekeying {
        Store *store;
        Seal *old, *new;
        size_t n_open; /* rows that were written openly */
} Rekeying;

static int reseal_row(Rekeying *x, unsigned table, const DbKey *key, DbValue v) {
        _cleanup_(buffer_wipe) Buffer plain = BUFFER_NULL;
        Store *s = x->store;
        RowReader row;
        Bytes content;
        int r;

        x->n_open += v.size >= ROW_HEAD_SIZE && v.data[1] != ROW_SEALED;
        row = row_open_with(x->old, v, table, key_bytes(key), &plain);
        content = row_rest(&row);
        r = row_end(&row);
        if (r < 0)
                return r;
        if (!buffer_reserve(&s->row, content.size + ROW_HEAD_SIZE))
                return -ENOMEM;
        row_start(&s->row);
        row_put_bytes(&s->row, content.data, content.size);
        r = row_write_with(s, x->new, table, key);
        buffer_wipe(&s->row);
        return r;
}

/* The first row at or after *KEY, whose key it becomes. */
static int next_row(Store *s, unsigned table, DbKey *key, DbValue *ret) {
        DbKey none = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k;
        int r;

        r = db_cursor_open(db_write(s->db), table, &none, key, false, &cursor);
        if (r < 0)
                return r;
        r = db_cursor_next(&cursor, &k, ret);
        db_cursor_close(&cursor);
        if (r > 0 && k.size > DB_KEY_MAX - 1)
                return db_damaged(db_write(s->db));
        if (r > 0) {
                *key = DB_KEY_NULL;
                db_key_bytes(key, k.data, k.size);
        }
        return r;
}

static int reseal_table(Rekeying *x, unsigned table) {
        DbKey key = DB_KEY_NULL;
        DbValue v;
        int r;

        while ((r = next_row(x->store, table, &key, &v)) > 0) {
                r = reseal_row(x, table, &key, v);
                if (r < 0)
                        return r;
                db_key_u8(&key, 0); /* what comes after it at the earliest */
        }
        return r;
}

static int reseal_all(Rekeying *x) {
        static const unsigned tables[] = {
                TABLE_PREKEY, TABLE_ROOM_KEY, TABLE_PRESENCE_KEY, TABLE_MAIL};
        static const char *const rows[] = {"identity", "presence-key"};
        DbTxn *txn = db_write(x->store->db);
        DbValue v;
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(rows) && r >= 0; i++) {
                DbKey key = store_meta_key(rows[i]);

                r = db_get(txn, TABLE_META, &key, &v);
                if (r > 0)
                        r = reseal_row(x, TABLE_META, &key, v);
        }
        for (size_t i = 0; i < ELEMENTSOF(tables) && r >= 0; i++)
                r = reseal_table(x, tables[i]);
        return r;
}

/* Row keys that nothing is sealed with any more go; all those of NEW but messages are written anew.
 */
static void drop_keys(Seal *seal) {
        size_t n = 0;

        for (size_t i = 0; i < seal->n; i++)
                if (seal->keys[i].flags & SEAL_KEY_MESSAGES)
                        seal->keys[n++] = seal->keys[i];
        explicit_bzero(&seal->keys[n], (seal->n - n) * sizeof(seal->keys[0]));
        seal->n = n;
}

static int add_key(Store *s, Seal *seal) {
        uint8_t id = 1;
        SealKey *k;

        if (seal->n == SEAL_KEYS_MAX)
                return -EOVERFLOW;
        while (key_find(seal, id))
                id++;
        k = &seal->keys[seal->n++];
        *k = (SealKey){.id = id, .flags = seal->messages ? SEAL_KEY_MESSAGES : 0};
        loop_random(s->loop, k->key, sizeof(k->key));
        seal->current = id;
        return 0;
}

/* From what NEW is a copy of. */
static int seal_change(Store *s, Seal *seal, Keeping keeping, const uint8_t *master) {
        uint8_t with[BOX_KEY_SIZE];
        int r = 0;

        seal->leaving = seal->keeping == keeping ? KEEPING_NONE : seal->keeping;
        seal->chosen = true;
        seal->keeping = keeping;
        seal->current = 0;
        memset(seal->check, 0, sizeof(seal->check));
        drop_keys(seal);
        if (master) {
                derive(seal, master, CHECK_PURPOSE, seal->check, sizeof(seal->check));
                derive(seal, master, MASTER_PURPOSE, with, sizeof(with));
                r = add_key(s, seal);
        }
        for (size_t i = 0; i < seal->n && r >= 0; i++)
                r = key_wrap(s, seal, &seal->keys[i], master ? with : NULL);
        explicit_bzero(with, sizeof(with));
        return r;
}

int store_rekey(Store *s, Keeping keeping, const uint8_t *master) {
        _cleanup_(secret_freep) Seal *seal = secret_new(sizeof(*seal));
        Rekeying x = {.store = s, .old = s->seal, .new = seal};
        int r;

        if (!seal)
                return -ENOMEM;
        if (!s->seal || !s->seal->open || (keeping == KEEPING_NONE) != !master)
                return -EINVAL;
        *seal = *s->seal;
        r = seal_change(s, seal, keeping, master);
        if (r >= 0)
                r = reseal_all(&x);
        seal->scrub = keeping != KEEPING_NONE && (seal->scrub || x.n_open > 0);
        if (r >= 0)
                r = seal_save(s, seal);
        buffer_wipe(&s->row);
        if (r < 0)
                db_fail(db_write(s->db), r);
        r = db_commit(s->db);
        if (r < 0)
                return r;
        secret_free(s->seal);
        s->seal = TAKE_PTR(seal);
        return store_scrub(s);
}

/* The row with the same keys. */
static int seal_note(Store *s) {
        int r;

        r = seal_save(s, s->seal);
        buffer_wipe(&s->row);
        return r < 0 ? r : db_commit(s->db);
}

int store_key_left(Store *s) {
        s->seal->leaving = KEEPING_NONE;
        return seal_note(s);
}

int store_scrub(Store *s) {
        int r;

        if (!s->seal || !s->seal->scrub)
                return 0;
        r = db_compact(s->db);
        if (r < 0)
                return r == -ENOSPC || r == -EDQUOT ? 1 : r;
        s->seal->scrub = false;
        return seal_note(s);
}

int store_set_seal_messages(Store *s, bool on) {
        SealKey *k;
        int r;

        if (!s->seal || !s->seal->open)
                return s->seal ? -ENOKEY : 0;
        k = key_find(s->seal, s->seal->current);
        if (on && k && !(k->flags & SEAL_KEY_MESSAGES)) {
                k->flags |= SEAL_KEY_MESSAGES;
                r = seal_note(s);
                if (r < 0) {
                        k->flags &= (uint8_t)~SEAL_KEY_MESSAGES; /* as on disk */
                        return r;
                }
        }
        s->seal->messages = on;
        return 0;
}
