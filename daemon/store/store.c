/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/private.h"
#include "store/seal-private.h"

#include <sys/statvfs.h>

#include "crypto/secret.h"
#include "util/fs.h"

#define SCHEMA_NAME "p2pchatd"

/* Address space, not disk: the file grows as it is used. */
#define MAP_SIZE_MIN (UINT64_C(16) << 30)

/* On disk, for acks, receipts and deletions when it is full. */
#define RESERVE_SIZE (UINT64_C(8) << 20)

static const char *const TABLES[] = {
        [TABLE_META] = "meta",
        [TABLE_ACCOUNT] = "account",
        [TABLE_ACCOUNT_KEY] = "account-key",
        [TABLE_NAME] = "name",
        [TABLE_CLAIM] = "claim",
        [TABLE_CONVERSATION] = "conversation",
        [TABLE_CONVERSATION_HASH] = "conversation-hash",
        [TABLE_FEED] = "feed",
        [TABLE_FEED_KEY] = "feed-key",
        [TABLE_ENTRY] = "entry",
        [TABLE_ORDER] = "order",
        [TABLE_ID] = "id",
        [TABLE_OUTBOX] = "outbox",
        [TABLE_RECEIPT] = "receipt",
        [TABLE_ENDPOINT] = "endpoint",
        [TABLE_CERTIFICATE] = "certificate",
        [TABLE_EXPIRY] = "expiry",
        [TABLE_READ] = "read",
        [TABLE_EVENT] = "event",
        [TABLE_VOID] = "void",
        [TABLE_CLIENT] = "client",
        [TABLE_PREKEY] = "prekey",
        [TABLE_MAIL] = "mail",
        [TABLE_MAIL_OWED] = "mail-owed",
        [TABLE_TOKEN] = "token",
        [TABLE_READ_RECEIPT] = "read-receipt",
        [TABLE_PRESENCE_KEY] = "presence-key",
        [TABLE_ROOM] = "room",
        [TABLE_ROOM_NAME] = "room-name",
        [TABLE_ROOM_BLOCK] = "room-block",
        [TABLE_ROOM_PROPOSAL] = "room-proposal",
        [TABLE_ROOM_KEY] = "room-key",
        [TABLE_ROOM_FORK] = "room-fork",
        [TABLE_ROOM_MARK] = "room-mark",
        [TABLE_ROOM_FEED] = "room-feed",
        [TABLE_ROOM_CHANGE] = "room-change",
        [TABLE_ROOM_TAG] = "room-tag",
        [TABLE_ROOM_ID] = "room-id",
        [TABLE_ROOM_SETTLED] = "room-settled",
        [_TABLE_MAX] = NULL,
};

const char *store_table_name(unsigned table) {
        return TABLES[table];
}

DbKey store_meta_key(const char *key) {
        DbKey k = DB_KEY_NULL;

        db_key_bytes(&k, key, strlen(key));
        return k;
}

int store_meta_get(DbTxn *txn, const char *key, DbValue *ret) {
        DbKey k = store_meta_key(key);

        return db_get(txn, TABLE_META, &k, ret);
}

static int store_write_schema(Store *s) {
        DbKey k = store_meta_key("schema");

        row_start(&s->row);
        row_put_u32(&s->row, STORE_SCHEMA_VERSION);
        row_put_blob(&s->row, text_bytes(SCHEMA_NAME));
        return row_write(db_write(s->db), TABLE_META, &k, &s->row);
}

/* The first row of a new store, and the question to an old one, which from now on has rows that
 * older programs do not know. */
static int store_check_schema(Store *s) {
        DbTxn *txn = db_write(s->db);
        DbKey k = store_meta_key("schema");
        RowReader row;
        uint32_t version;
        DbValue v;
        Bytes name;
        int r;

        r = db_get(txn, TABLE_META, &k, &v);
        if (r < 0)
                return r;
        if (r == 0 && !db_is_new(s->db))
                return -EMEDIUMTYPE;
        if (r == 0) {
                r = store_write_schema(s);
                return r < 0 ? r : db_commit(s->db);
        }
        row = row_begin(v);
        version = row_u32(&row);
        name = row_blob(&row);
        if (row.error < 0)
                return row.error;
        if (name.size != STRLEN(SCHEMA_NAME) || memcmp(name.data, SCHEMA_NAME, name.size) != 0)
                return -EMEDIUMTYPE;
        if (version > STORE_SCHEMA_VERSION)
                return -EPROTONOSUPPORT;
        return version < STORE_SCHEMA_VERSION ? store_write_schema(s) : 0;
}

static uint64_t map_size(const char *dir) {
        struct statvfs f;
        uint64_t size = statvfs(dir, &f) < 0 ? 0 : (uint64_t)f.f_blocks * f.f_frsize;

        return MAX(size, MAP_SIZE_MIN) / 65536 * 65536;
}

int store_open(const char *dir, Loop *loop, Store **ret) {
        _cleanup_(freep) char *path = fs_join(dir, "db");
        Store *s = calloc(1, sizeof(*s));
        int r;

        if (!path || !s) {
                free(s);
                return -ENOMEM;
        }
        s->loop = loop;
        r = db_open(path,
                &(DbOptions){
                        .tables = TABLES, .map_size = map_size(dir), .loop = loop, .userdata = s},
                &s->db);
        if (r >= 0)
                r = store_check_schema(s);
        if (r >= 0)
                r = store_is_given_up(db_write(s->db));
        if (r > 0)
                r = store_begin_anew(s);
        if (r >= 0)
                r = seal_load(s);
        if (r >= 0)
                (void)expiry_fill(
                        s); /* a full disk is no reason not to open; expiry is late then */
        if (r < 0) {
                store_close(s);
                return r;
        }
        db_set_reserve(s->db, RESERVE_SIZE);
        *ret = s;
        return 0;
}

Store *store_close(Store *s) {
        if (!s)
                return NULL;
        db_close(s->db);
        buffer_wipe(&s->row); /* may have held keys */
        buffer_done(&s->inner);
        secret_free(s->seal);
        buffer_done(&s->sealed);
        for (size_t i = 0; i < SEAL_OPENED; i++)
                buffer_wipe(&s->opened[i]);
        free(s);
        return NULL;
}

DbTxn *store_write(Store *s) {
        return db_write(s->db);
}

int store_read_begin(Store *s, DbTxn **ret) {
        return db_read_begin(s->db, ret);
}

void store_read_end(DbTxn *txn) {
        db_read_end(txn);
}

int store_after_commit(Store *s, DbCommitFn fn, void *userdata) {
        return db_after_commit(s->db, fn, userdata);
}

void store_forget(Store *s, void *userdata) {
        db_forget(s->db, userdata);
}

uint64_t store_batch_number(const Store *s) {
        return db_batch_number(s->db);
}

int store_damaged(DbTxn *txn) {
        return db_damaged(txn);
}

int store_commit(Store *s) {
        return db_commit(s->db);
}

void store_fail(Store *s, int error) {
        db_fail(db_write(s->db), error);
}

int store_next_number(Store *s, const char *counter, uint32_t *ret) {
        DbTxn *txn = db_write(s->db);
        DbKey k = store_meta_key(counter);
        uint32_t n = 0;
        DbValue v;
        int r;

        r = db_get(txn, TABLE_META, &k, &v);
        if (r < 0)
                return r;
        if (r > 0) {
                RowReader row = row_begin(v);

                n = row_u32(&row);
                r = row_end(&row);
                if (r < 0)
                        return r;
        }
        if (n == UINT32_MAX)
                return -EOVERFLOW;
        row_start(&s->row);
        row_put_u32(&s->row, n + 1);
        r = row_write(txn, TABLE_META, &k, &s->row);
        if (r < 0)
                return r;
        *ret = n + 1;
        return 0;
}

uint16_t store_port(Store *s) {
        DbValue v;

        if (store_meta_get(db_write(s->db), "port", &v) > 0) {
                RowReader row = row_begin(v);
                uint16_t port = row_u16(&row);

                return row_end(&row) < 0 ? 0 : port;
        }
        return 0;
}

int store_set_port(Store *s, uint16_t port) {
        DbKey k = store_meta_key("port");

        row_start(&s->row);
        row_put_u16(&s->row, port);
        return row_write(db_write(s->db), TABLE_META, &k, &s->row);
}
