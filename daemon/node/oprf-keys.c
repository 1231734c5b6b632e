/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "node/oprf-keys.h"

#include <assert.h>

#include "crypto/hash.h"
#include "db/db.h"

#define SCHEMA_NAME "p2pchat passwords"
#define SCHEMA_VERSION 1

/* Before every value: version, flags, key id, so that its form can change, or it can be sealed. */
#define HEAD_SIZE 3
static const uint8_t HEAD[HEAD_SIZE] = {1, 0, 0};

/* Address space, not disk: an account takes some hundred bytes. */
#define MAP_SIZE (UINT64_C(16) << 30)
#define ROOM_PERCENT 95
#define RESERVE_SIZE (UINT64_C(1) << 20)

/* A source that is known is written again when that was so long ago. */
#define SOURCE_RENEWAL USEC_PER_DAY

enum {
        TABLE_META, /* "schema", "seed" */
        TABLE_KEY, /* account, number -> id, key, memory, passes */
        TABLE_SOURCE, /* account, HMAC of the source -> time */
};

static const char *const TABLES[] = {
        [TABLE_META] = "meta",
        [TABLE_KEY] = "key",
        [TABLE_SOURCE] = "source",
        NULL,
};

#define KEY_KEY_SIZE (KEY_SIZE + 8)
#define KEY_ROW_SIZE (8 + OPRF_KEY_SIZE + 8 + 8)
#define SOURCE_HASH_SIZE 16
#define SOURCE_KEY_SIZE (KEY_SIZE + SOURCE_HASH_SIZE)
#define VALUE_MAX 64

struct OprfKeys {
        Loop *loop;
        Db *db;
        uint8_t seed[OPRF_SEED_SIZE];
};

void oprf_key_wipe(OprfKey *k) {
        explicit_bzero(k, sizeof(*k));
}

/* Values */

static int value_put(DbTxn *txn, unsigned table, const DbKey *k, const void *p, size_t n,
        const void *q, size_t m) {
        uint8_t value[HEAD_SIZE + VALUE_MAX];
        int r;

        assert(n + m <= VALUE_MAX);
        memcpy(value, HEAD, HEAD_SIZE);
        copy_bytes(value + HEAD_SIZE, p, n);
        copy_bytes(value + HEAD_SIZE + n, q, m);
        r = db_put(txn, table, k, value, HEAD_SIZE + n + m);
        explicit_bzero(value, sizeof(value));
        return r;
}

/* What follows the head; -EUCLEAN for what was not written by this version. */
static int value_body(DbValue v, size_t size, const uint8_t **ret) {
        if (v.size != HEAD_SIZE + size || memcmp(v.data, HEAD, HEAD_SIZE) != 0)
                return db_damaged(v.txn);
        *ret = v.data + HEAD_SIZE;
        return 0;
}

static DbKey meta_key(const char *name) {
        DbKey k = DB_KEY_NULL;

        db_key_bytes(&k, name, strlen(name));
        return k;
}

static DbKey account_prefix(const uint8_t account[static KEY_SIZE]) {
        DbKey k = DB_KEY_NULL;

        db_key_bytes(&k, account, KEY_SIZE);
        return k;
}

/* Opening and closing */

static int make_new(OprfKeys *o, DbTxn *txn) {
        DbKey schema = meta_key("schema"), seed = meta_key("seed");
        uint8_t version[sizeof(uint32_t)];
        int r;

        if (!db_is_new(o->db))
                return -EMEDIUMTYPE;
        db_set_u32(version, SCHEMA_VERSION);
        loop_random(o->loop, o->seed, sizeof(o->seed));
        r = value_put(txn, TABLE_META, &schema, version, sizeof(version), SCHEMA_NAME,
                STRLEN(SCHEMA_NAME));
        if (r >= 0)
                r = value_put(txn, TABLE_META, &seed, o->seed, sizeof(o->seed), NULL, 0);
        return r < 0 ? r : db_commit(o->db);
}

static int read_seed(OprfKeys *o, DbTxn *txn) {
        DbKey k = meta_key("seed");
        const uint8_t *body;
        DbValue v;
        int r;

        r = db_get(txn, TABLE_META, &k, &v);
        if (r > 0)
                r = value_body(v, sizeof(o->seed), &body);
        else if (r == 0)
                r = -EUCLEAN;
        if (r >= 0)
                memcpy(o->seed, body, sizeof(o->seed));
        return r;
}

static int check_schema(OprfKeys *o) {
        DbTxn *txn = db_write(o->db);
        DbKey k = meta_key("schema");
        const uint8_t *body;
        DbValue v;
        int r;

        r = db_get(txn, TABLE_META, &k, &v);
        if (r < 0)
                return r;
        if (r == 0)
                return make_new(o, txn);
        if (v.size < HEAD_SIZE || memcmp(v.data, HEAD, HEAD_SIZE) != 0)
                return -EPROTONOSUPPORT;
        body = v.data + HEAD_SIZE;
        if (v.size != HEAD_SIZE + sizeof(uint32_t) + STRLEN(SCHEMA_NAME) ||
                memcmp(body + sizeof(uint32_t), SCHEMA_NAME, STRLEN(SCHEMA_NAME)) != 0)
                return -EMEDIUMTYPE;
        return db_get_u32(body) > SCHEMA_VERSION ? -EPROTONOSUPPORT : read_seed(o, txn);
}

OprfKeys *oprf_keys_close(OprfKeys *o) {
        if (!o)
                return NULL;
        db_close(o->db);
        explicit_bzero(o, sizeof(*o));
        free(o);
        return NULL;
}

int oprf_keys_open(Loop *l, const char *dir, OprfKeys **ret) {
        OprfKeys *o = calloc(1, sizeof(*o));
        int r;

        if (!o)
                return -ENOMEM;
        o->loop = l;
        r = db_open(dir, &(DbOptions){.tables = TABLES, .map_size = MAP_SIZE, .loop = l}, &o->db);
        if (r >= 0)
                r = check_schema(o);
        if (r < 0) {
                oprf_keys_close(o);
                return r;
        }
        db_set_reserve(o->db, RESERVE_SIZE);
        *ret = o;
        return 0;
}

/* What stands for what there is not */

/* HMAC of WHAT with its zero byte, and of BODY, under the seed. */
static void derive(
        const OprfKeys *o, const char *what, Bytes body, uint8_t ret[static SHA256_SIZE]) {
        const Bytes parts[] = {{.data = (const uint8_t *)what, .size = strlen(what) + 1}, body};

        hmac_sha256(
                (Bytes){.data = o->seed, .size = sizeof(o->seed)}, parts, ELEMENTSOF(parts), ret);
}

void oprf_keys_nobody(const OprfKeys *o, const char *name, uint8_t ret_account[static KEY_SIZE]) {
        derive(o, "p2pchat/1 nobody", text_bytes(name), ret_account);
}

#define FAKE_INFO "p2pchat/1 fake" /* and a zero byte */

void oprf_keys_fake(const OprfKeys *o, const uint8_t account[static KEY_SIZE], OprfKey *ret,
        uint8_t ret_login[static KEY_SIZE]) {
        const Bytes who = {.data = account, .size = KEY_SIZE};
        uint8_t info[sizeof(FAKE_INFO) + KEY_SIZE], hash[SHA256_SIZE];
        OprfKey k = {};
        SignKey login;

        memcpy(info, FAKE_INFO, sizeof(FAKE_INFO));
        memcpy(info + sizeof(FAKE_INFO), account, KEY_SIZE);
        oprf_derive_key(o->seed, (Bytes){.data = info, .size = sizeof(info)}, k.key);
        derive(o, "p2pchat/1 fake id", who, hash);
        k.id = MAX(db_get_u64(hash) & INT64_MAX, UINT64_C(1));
        derive(o, "p2pchat/1 fake login", who, hash);
        sign_key_from_seed(hash, &login);
        memcpy(ret_login, sign_key_public(&login), KEY_SIZE);
        sign_key_wipe(&login);
        explicit_bzero(hash, sizeof(hash));
        *ret = k;
        oprf_key_wipe(&k);
}

/* Keys */

static DbKey key_key(const uint8_t account[static KEY_SIZE], uint64_t number) {
        DbKey k = account_prefix(account);

        db_key_u64(&k, number);
        return k;
}

/* Those of an account, in the order in which they were made. */
#define ROWS_MAX 16

typedef struct KeyRows {
        size_t n, current; /* current is n where that is not there */
        uint64_t number[ROWS_MAX], id[ROWS_MAX];
} KeyRows;

static int row_read(DbValue key, DbValue value, const uint8_t **ret) {
        if (key.size != KEY_KEY_SIZE)
                return db_damaged(key.txn);
        return value_body(value, KEY_ROW_SIZE, ret);
}

static int rows_read(
        DbTxn *txn, const uint8_t account[static KEY_SIZE], uint64_t current, KeyRows *ret) {
        DbKey prefix = account_prefix(account);
        DbValue key, value;
        const uint8_t *body;
        DbCursor c;
        int r;

        *ret = (KeyRows){};
        r = db_cursor_open(txn, TABLE_KEY, &prefix, NULL, false, &c);
        if (r < 0)
                return r;
        while (ret->n < ROWS_MAX && (r = db_cursor_next(&c, &key, &value)) > 0) {
                r = row_read(key, value, &body);
                if (r < 0)
                        break;
                ret->number[ret->n] = db_get_u64(key.data + KEY_SIZE);
                ret->id[ret->n++] = db_get_u64(body);
        }
        db_cursor_close(&c);
        for (ret->current = 0; ret->current < ret->n; ret->current++)
                if (ret->id[ret->current] == current)
                        break;
        return r < 0 ? r : 0;
}

static void rows_delete(DbTxn *txn, const uint8_t account[static KEY_SIZE], const KeyRows *rows,
        size_t from, size_t to) {
        for (size_t i = from; i < to; i++) {
                DbKey k = key_key(account, rows->number[i]);

                (void)db_del(txn, TABLE_KEY, &k);
        }
}

static int get_in(DbTxn *txn, const uint8_t account[static KEY_SIZE], uint64_t id, OprfKey *ret) {
        DbKey prefix = account_prefix(account);
        DbValue key, value;
        const uint8_t *body;
        DbCursor c;
        int r, found = 0;

        r = db_cursor_open(txn, TABLE_KEY, &prefix, NULL, false, &c);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&c, &key, &value)) > 0) {
                r = row_read(key, value, &body);
                if (r < 0)
                        break;
                if (db_get_u64(body) != id)
                        continue;
                ret->id = id;
                memcpy(ret->key, body + 8, OPRF_KEY_SIZE);
                ret->memory = db_get_u64(body + 8 + OPRF_KEY_SIZE);
                ret->passes = db_get_u64(body + 8 + OPRF_KEY_SIZE + 8);
                found = 1;
        }
        db_cursor_close(&c);
        return r < 0 ? r : found;
}

int oprf_keys_get(OprfKeys *o, const uint8_t account[static KEY_SIZE], uint64_t id, OprfKey *ret) {
        DbTxn *txn;
        int r;

        r = db_read_begin(o->db, &txn);
        if (r < 0)
                return r;
        r = get_in(txn, account, id, ret);
        db_read_end(txn);
        return r;
}

int oprf_keys_get_next(
        OprfKeys *o, const uint8_t account[static KEY_SIZE], uint64_t id, OprfKey *ret) {
        return get_in(db_write(o->db), account, id, ret);
}

/* With those that are left over from before CURRENT, and the oldest that wait. */
static int add_in(
        DbTxn *txn, const uint8_t account[static KEY_SIZE], uint64_t current, const OprfKey *k) {
        uint8_t body[KEY_ROW_SIZE];
        size_t waiting;
        KeyRows rows;
        DbKey key;
        int r;

        r = rows_read(txn, account, current, &rows);
        if (r < 0)
                return r;
        waiting = rows.current < rows.n ? rows.current + 1 : 0;
        if (rows.current < rows.n)
                rows_delete(txn, account, &rows, 0, rows.current);
        if (rows.n - waiting >= OPRF_KEYS_PENDING_MAX)
                rows_delete(txn, account, &rows, waiting, rows.n + 1 - OPRF_KEYS_PENDING_MAX);
        key = key_key(account, rows.n > 0 ? rows.number[rows.n - 1] + 1 : 1);
        db_set_u64(body, k->id);
        memcpy(body + 8, k->key, OPRF_KEY_SIZE);
        db_set_u64(body + 8 + OPRF_KEY_SIZE, k->memory);
        db_set_u64(body + 8 + OPRF_KEY_SIZE + 8, k->passes);
        r = value_put(txn, TABLE_KEY, &key, body, sizeof(body), NULL, 0);
        explicit_bzero(body, sizeof(body));
        return r;
}

int oprf_keys_add(OprfKeys *o, const uint8_t account[static KEY_SIZE], uint64_t current,
        const OprfKey *k, OprfKeysFn fn, void *userdata) {
        int r;

        r = db_check_room(o->db, ROOM_PERCENT);
        if (r < 0)
                return r == -EDQUOT ? -ENOSPC : r;
        r = db_after_commit(o->db, fn, userdata);
        if (r < 0)
                return r;
        r = add_in(db_write(o->db), account, current, k);
        if (r < 0)
                db_forget(o->db, userdata);
        return r;
}

/* Those of TABLE that are the account's. What goes wrong is the batch's. */
static void account_delete(DbTxn *txn, unsigned table, const uint8_t account[static KEY_SIZE]) {
        DbKey prefix = account_prefix(account);
        DbValue key, value;
        DbCursor c;

        if (db_cursor_open(txn, table, &prefix, NULL, false, &c) < 0)
                return;
        while (db_cursor_next(&c, &key, &value) > 0)
                if (db_cursor_del(&c) < 0)
                        break;
        db_cursor_close(&c);
}

int oprf_keys_settle(OprfKeys *o, const uint8_t account[static KEY_SIZE], uint64_t current) {
        DbTxn *txn = db_write(o->db);
        KeyRows rows;
        int r;

        r = rows_read(txn, account, current, &rows);
        if (r < 0)
                return r;
        if (current == 0) {
                account_delete(txn, TABLE_KEY, account);
                account_delete(txn, TABLE_SOURCE, account);
        } else if (rows.current < rows.n)
                rows_delete(txn, account, &rows, 0, rows.current);
        return db_error(txn);
}

int oprf_keys_remove(
        OprfKeys *o, const uint8_t account[static KEY_SIZE], OprfKeysFn fn, void *userdata) {
        DbTxn *txn;
        int r;

        r = db_after_commit(o->db, fn, userdata);
        if (r < 0)
                return r;
        txn = db_write(o->db);
        account_delete(txn, TABLE_KEY, account);
        account_delete(txn, TABLE_SOURCE, account);
        r = db_error(txn);
        if (r < 0)
                db_forget(o->db, userdata);
        return r;
}

int oprf_keys_crowded(OprfKeys *o, uint8_t after[static KEY_SIZE], unsigned budget,
        void (*fn)(void *userdata, const uint8_t account[static KEY_SIZE]), void *userdata) {
        DbKey start = key_key(after, UINT64_MAX);
        DbValue key, value;
        unsigned n = 0, same = 0;
        DbTxn *txn;
        DbCursor c;
        int r;

        r = db_read_begin(o->db, &txn);
        if (r < 0)
                return r;
        r = db_cursor_open(txn, TABLE_KEY, &DB_KEY_NULL, &start, false, &c);
        if (r < 0) {
                db_read_end(txn);
                return r;
        }
        while ((r = db_cursor_next(&c, &key, &value)) > 0) {
                bool again = key.size == KEY_KEY_SIZE && memcmp(key.data, after, KEY_SIZE) == 0;

                if (key.size != KEY_KEY_SIZE)
                        r = db_damaged(txn);
                if (r < 0 || (!again && n >= budget))
                        break;
                n++;
                same = again ? same + 1 : 0;
                memcpy(after, key.data, KEY_SIZE);
                if (same == 1)
                        fn(userdata, after);
        }
        db_cursor_close(&c);
        db_read_end(txn);
        return r;
}

/* Sources */

static DbKey source_key(const OprfKeys *o, const uint8_t account[static KEY_SIZE],
        const uint8_t source[static OPRF_SOURCE_SIZE]) {
        uint8_t both[KEY_SIZE + OPRF_SOURCE_SIZE], hash[SHA256_SIZE];
        DbKey k = account_prefix(account);

        memcpy(both, account, KEY_SIZE);
        memcpy(both + KEY_SIZE, source, OPRF_SOURCE_SIZE);
        derive(o, "p2pchat/1 source", (Bytes){.data = both, .size = sizeof(both)}, hash);
        db_key_bytes(&k, hash, SOURCE_HASH_SIZE);
        return k;
}

/* When it was, or 0. */
static int source_time(DbTxn *txn, const DbKey *k, uint64_t *ret) {
        const uint8_t *body;
        DbValue v;
        int r;

        *ret = 0;
        r = db_get(txn, TABLE_SOURCE, k, &v);
        if (r <= 0)
                return r;
        r = value_body(v, 8, &body);
        if (r >= 0)
                *ret = db_get_u64(body);
        return r;
}

/* A clock that was set back does not make it longer. */
static bool is_within(uint64_t then, uint64_t now, uint64_t time) {
        return then != 0 && then <= now + USEC_PER_DAY && now < then + time;
}

int oprf_keys_knows(OprfKeys *o, const uint8_t account[static KEY_SIZE],
        const uint8_t source[static OPRF_SOURCE_SIZE], uint64_t now) {
        DbKey k = source_key(o, account, source);
        uint64_t then;
        DbTxn *txn;
        int r;

        r = db_read_begin(o->db, &txn);
        if (r < 0)
                return r;
        r = source_time(txn, &k, &then);
        db_read_end(txn);
        return r < 0 ? r : is_within(then, now, OPRF_SOURCE_TIME);
}

/* The oldest goes where there are as many as there may be. */
static int sources_make_room(DbTxn *txn, const uint8_t account[static KEY_SIZE]) {
        DbKey prefix = account_prefix(account), oldest = DB_KEY_NULL;
        uint64_t time = UINT64_MAX;
        DbValue key, value;
        const uint8_t *body;
        unsigned n = 0;
        DbCursor c;
        int r;

        r = db_cursor_open(txn, TABLE_SOURCE, &prefix, NULL, false, &c);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&c, &key, &value)) > 0) {
                r = key.size == SOURCE_KEY_SIZE ? value_body(value, 8, &body) : db_damaged(txn);
                if (r < 0)
                        break;
                n++;
                if (db_get_u64(body) >= time)
                        continue;
                time = db_get_u64(body);
                oldest = DB_KEY_NULL;
                db_key_bytes(&oldest, key.data, key.size);
        }
        db_cursor_close(&c);
        if (r >= 0 && n >= OPRF_SOURCES_MAX)
                r = db_del(txn, TABLE_SOURCE, &oldest);
        return r < 0 ? r : 0;
}

int oprf_keys_remember(OprfKeys *o, const uint8_t account[static KEY_SIZE],
        const uint8_t source[static OPRF_SOURCE_SIZE], uint64_t now) {
        DbKey k = source_key(o, account, source);
        uint8_t body[8];
        uint64_t then;
        DbTxn *txn;
        int r;

        r = db_check_room(o->db, ROOM_PERCENT);
        if (r < 0)
                return r;
        txn = db_write(o->db);
        r = source_time(txn, &k, &then);
        if (r < 0 || is_within(then, now, SOURCE_RENEWAL))
                return r;
        if (then == 0)
                r = sources_make_room(txn, account);
        db_set_u64(body, now);
        return r < 0 ? r : value_put(txn, TABLE_SOURCE, &k, body, sizeof(body), NULL, 0);
}

void oprf_keys_forget(OprfKeys *o, void *userdata) {
        db_forget(o->db, userdata);
}
