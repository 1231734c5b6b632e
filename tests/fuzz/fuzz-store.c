/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rows of a user's store. The first byte chooses the table, the rest is the value. It is put where
 * a row of that table would be and read as the daemon does. */

#include "fuzz.h"

#include <ftw.h>
#include <sys/stat.h>

#include <systemd/sd-event.h>

#include "crypto/secret.h"
#include "net/loop-sd-event.h"
#include "store/history.h"
#include "store/presence-key.h"
#include "store/seal-private.h"

#define VALUE_MAX (256 * 1024)

/* Rows written before the batch is committed, so that it does not grow for ever. */
#define BATCH 1000

static char dir[] = "/tmp/p2pchat-fuzz-XXXXXX";
static Store *store;
static const uint8_t account[KEY_SIZE] = {1};
static const Uuid id = {{1}};

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static void clean_up(void) {
        store_close(store);
        (void)nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void put(unsigned table, const DbKey *key, const uint8_t *data, size_t size) {
        MUST(db_put(store_write(store), table, key, data, size) == 0);
}

static void put_number(unsigned table, const DbKey *key, uint32_t n) {
        _cleanup_(buffer_done) Buffer row = BUFFER_NULL;

        row_start(&row);
        row_put_u32(&row, n);
        put(table, key, buffer_data(&row), buffer_size(&row));
}

static DbKey key_of(const void *p, size_t n) {
        DbKey k = DB_KEY_NULL;

        db_key_bytes(&k, p, n);
        return k;
}

static DbKey key_u32(uint32_t n) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, n);
        return k;
}

static DbKey key_place(uint32_t n, uint64_t seq) {
        DbKey k = key_u32(n);

        db_key_u64(&k, seq);
        return k;
}

/* An own feed for the entries to be of. */
static void make_feed(void) {
        _cleanup_(buffer_done) Buffer row = BUFFER_NULL;
        static const Ranges none;
        static const uint8_t zero[KEY_SIZE];
        DbKey k = key_u32(1);

        row_start(&row);
        row_put_u32(&row, 1);
        row_put_u32(&row, SELF_NUMBER);
        row_put_u64(&row, 1);
        row_put_bytes(&row, zero, sizeof(zero));
        row_put_u64(&row, 1);
        row_put_bytes(&row, zero, sizeof(zero));
        row_put_ranges(&row, &none);
        row_put_bytes(&row, zero, sizeof(zero));
        put(TABLE_FEED, &k, buffer_data(&row), buffer_size(&row));
}

static void open_store(void) {
        sd_event *event;
        Loop *loop;

        MUST(crypto_init() >= 0);
        MUST(mkdtemp(dir));
        MUST(sd_event_default(&event) >= 0);
        MUST(loop_sd_event_new(event, &loop) >= 0);
        MUST(store_open(dir, loop, &store) >= 0);
        make_feed();
        MUST(atexit(clean_up) == 0);
}

static void check_ranges(const Ranges *r) {
        MUST(r->n <= RECEIPT_RANGES_MAX);
        for (size_t i = 0; i < r->n; i++) {
                MUST(r->range[i].first > r->dropped && r->range[i].first <= r->range[i].last);
                MUST(i == 0 || r->range[i - 1].last < r->range[i].first - 1);
                MUST(ranges_have(r, r->range[i].last));
        }
}

static int try_identity(const uint8_t *data, size_t size) {
        DbKey k = store_meta_key("identity");
        Identity i;
        int r;

        put(TABLE_META, &k, data, size);
        r = store_load_identity(store, &i);
        if (r <= 0)
                return r;
        MUST(strlen(i.name) < NAME_SIZE && strlen(i.tracker) < TRACKER_TEXT_MAX);
        MUST(store_save_identity(store, &i) >= 0);
        identity_done(&i);
        return r;
}

static int try_contact(const uint8_t *data, size_t size) {
        DbKey k = key_of(account, KEY_SIZE);
        char shown[SHOWN_NAME_SIZE];
        Contact c;
        int r;

        put(TABLE_ACCOUNT, &k, data, size);
        r = contact_get(store_write(store), account, &c);
        if (r <= 0)
                return r;
        MUST(strlen(c.name) < NAME_SIZE && c.record.size <= size);
        MUST(strlen(contact_shown_name(store_write(store), &c, shown)) < SHOWN_NAME_SIZE);
        return contact_set_last_seen(store, account, UINT64_MAX);
}

static int try_conversation(const uint8_t *data, size_t size) {
        DbKey k = key_u32(1);
        Conversation v;
        int r;

        put(TABLE_CONVERSATION, &k, data, size);
        r = conversation_get(store_write(store), 1, &v);
        return r <= 0 ? r : conversation_write(store, &v);
}

static int try_feed(const uint8_t *data, size_t size) {
        static Receipt rc;
        DbKey k = key_u32(2);
        Feed f;
        int r;

        put(TABLE_FEED, &k, data, size);
        r = feed_get(store_write(store), 2, &f);
        if (r <= 0)
                return r;
        check_ranges(&f.have);
        (void)store_make_receipt(store_write(store), 2, RECEIPT_READ, account, &rc);
        return feed_write(store, &f);
}

static int try_entry(const uint8_t *data, size_t size) {
        DbKey k = key_place(1, 1);
        HistoryRow h;
        int r;

        put(TABLE_ENTRY, &k, data, size);
        r = history_get(store_write(store), 1, 1, &h);
        if (r <= 0)
                return r;
        MUST(h.own && h.entry.state <= ENTRY_RECEIVED && h.entry.reason <= _CODE_MAX);
        MUST(h.entry.signature.size == 0 || h.entry.signature.size == SIGNATURE_SIZE);
        MUST(h.inner.body.size <= h.entry.inner.size && h.entry.inner.size <= size);
        return r;
}

static int try_id(const uint8_t *data, size_t size) {
        DbKey k = key_u32(1);
        uint64_t seq;
        uint32_t feed;

        db_key_bytes(&k, &id, sizeof(id));
        put(TABLE_ID, &k, data, size);
        return store_find_id(store_write(store), 1, &id, &feed, &seq);
}

static int try_outbox(const uint8_t *data, size_t size) {
        DbKey k = key_place(1, (uint64_t)1 << 32);
        OutboxRow row;

        db_key_u32(&k, 7);
        put(TABLE_OUTBOX, &k, data, size);
        return outbox_next(store_write(store), 1, (OutboxPosition){}, &row);
}

static int try_receipt(const uint8_t *data, size_t size) {
        DbKey k = key_u32(1);
        Ranges ranges;
        int r;

        put(TABLE_RECEIPT, &k, data, size);
        r = store_load_receipt(store_write(store), 1, &ranges);
        if (r > 0)
                check_ranges(&ranges);
        return r;
}

static int try_endpoints(const uint8_t *data, size_t size) {
        DbKey k = key_u32(1);
        Endpoints e;
        int r;

        put(TABLE_ENDPOINT, &k, data, size);
        r = store_get_endpoints(store_write(store), 1, &e);
        if (r <= 0)
                return r;
        MUST(e.n <= ENDPOINTS_MAX);
        for (size_t i = 0; i < e.n; i++)
                MUST(strnlen(e.text[i], sizeof(e.text[i])) < sizeof(e.text[i]));
        return store_set_endpoints(store, 1, &e);
}

static bool on_event(void *userdata, DbTxn *txn, const EventRow *e) {
        MUST(e->kind >= EVENT_RECEIVED && e->kind <= EVENT_KEY);
        MUST(e->state < _MESSAGE_STATE_MAX && e->presence < _PRESENCE_MAX && e->reason < _CODE_MAX);
        return false;
}

static int try_event(const uint8_t *data, size_t size) {
        DbKey k = DB_KEY_NULL;

        db_key_u64(&k, EVENT_CURSOR_FIRST);
        put(TABLE_EVENT, &k, data, size);
        return event_each(store_write(store), 0, on_event, NULL);
}

static int try_client(const uint8_t *data, size_t size) {
        DbKey k = key_of("client", STRLEN("client"));
        uint64_t cursor;

        put(TABLE_CLIENT, &k, data, size);
        return event_client_get(store_write(store), "client", &cursor);
}

static int try_read(const uint8_t *data, size_t size) {
        DbKey k = key_u32(1);
        Ranges ranges;
        int r;

        put(TABLE_READ, &k, data, size);
        r = store_load_read(store_write(store), 1, &ranges);
        if (r > 0)
                check_ranges(&ranges);
        return r;
}

static int try_void(const uint8_t *data, size_t size) {
        DbKey k = key_u32(2);
        uint64_t gap = 0;
        Feed f = {.number = 2};
        int r;

        db_key_u8(&k, VOID_EXPIRED);
        put(TABLE_VOID, &k, data, size);
        r = store_gap_before(store_write(store), &f, 100, &gap);
        MUST(gap <= 99);
        return r;
}

/* Row keys, and a row that claims to be sealed with one of them. */
static int try_keys(const uint8_t *data, size_t size) {
        static const uint8_t master[STORE_KEY_SIZE], row[64] = {ROW_VERSION, ROW_SEALED, 1};
        DbKey k = store_meta_key("keys"), sealed = store_meta_key("presence-key");
        uint8_t key[BOX_KEY_SIZE];
        StoreKeyInfo info;
        int r;

        put(TABLE_META, &k, data, size);
        put(TABLE_META, &sealed, row, sizeof(row));
        r = seal_load(store);
        if (r >= 0 && store_keeping(store) != KEEPING_NONE)
                MUST(store_unseal(store, master) < 0);
        if (r >= 0) {
                MUST(store_key_info(store, &info) == 0 && info.keeping < _KEEPING_MAX);
                MUST(store_get_presence_key(store_write(store), key) < 0);
        }
        store->seal = secret_free(store->seal);
        MUST(db_del(store_write(store), TABLE_META, &k) == 1);
        MUST(db_del(store_write(store), TABLE_META, &sealed) == 1);
        return r;
}

void fuzz_one(const uint8_t *data, size_t size) {
        FUZZ_OWN_MEMORY;
        static int (*const tries[])(const uint8_t *data, size_t size) = {
                try_identity,
                try_contact,
                try_conversation,
                try_feed,
                try_entry,
                try_id,
                try_outbox,
                try_receipt,
                try_endpoints,
                try_event,
                try_client,
                try_read,
                try_void,
                try_keys,
        };
        static unsigned runs;
        DbKey k = key_u32(1);
        int r;

        if (size < 1 || size > VALUE_MAX)
                return;
        if (!store)
                open_store();
        put_number(TABLE_ACCOUNT_KEY, &k, 1);
        r = tries[data[0] % ELEMENTSOF(tries)](data + 1, size - 1);
        MUST(r >= 0 || r == -EUCLEAN || r == -EPROTONOSUPPORT);
        MUST(db_error(store_write(store)) == 0);
        if (++runs % BATCH == 0)
                MUST(store_commit(store) == 0);
}
