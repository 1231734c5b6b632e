/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A user's store with rows that it cannot have written. It begins with a contact, messages of both
 * and what belongs to them, written by the store itself; the script alters, replaces, deletes and
 * adds rows of any table; and then all is read and written that a daemon reads and writes, after
 * opening it anew as well. Whatever is in it, nothing but an error may come of it.
 */

#include "stateful.h"

#include "room-rows.h"
#include "store-dir.h"

#include "../unit/sim-lab.h"
#include "store/history.h"

#define ROWS_MAX 16 /* changed in a run */

static Sim sim;
static Person bob, carol;
static Identity self;
static StoreDir dir;
static StoreImage begin;
static Store *store;
static Uuid id = {{1}}, foreign_id = {{2}};

/* The store to begin with */

static usec_t now(void) {
        return loop_realtime(sim.loop);
}

static Contact learn(const Person *p, uint8_t flags) {
        Record record;
        Contact c;

        MUST(record_decode(p->local.record, &record) == 0);
        MUST(contact_learn(store, &record, p->local.record, now(), flags, true, &c) >= 0);
        return c;
}

static void send_one(const Contact *to, uint8_t n) {
        NewMessage m = {
                .self = &self, .to = to, .id = {{n}}, .text = text_bytes("hello"), .now = now()};

        MUST(store_send(store, &m) == 0);
}

static void receive_one(const Contact *from, const Person *p, uint8_t n, uint64_t seq) {
        _cleanup_(buffer_done) Buffer bytes = BUFFER_NULL;
        uint8_t hash[SHA256_SIZE], signature[SIGNATURE_SIZE];
        Inner m = {.id = {{n}},
                .epoch = 1,
                .seq = seq,
                .hlc = now() / USEC_PER_MSEC << 16,
                .sent = now(),
                .expires = now() + USEC_PER_DAY,
                .kind = KIND_TEXT,
                .body = text_bytes("hi")};
        NewEntry e = {.self = &self, .from = from, .inner = &m, .hash = hash, .now = now()};
        ReceivedAt at;
        Received what;

        conversation_direct(person_account(p), sign_key_public(&self.account), m.conversation);
        memcpy(m.account, person_account(p), KEY_SIZE);
        memcpy(m.device, sign_key_public(&p->device), KEY_SIZE);
        MUST(inner_encode(&bytes, &m) == 0);
        e.bytes = buffer_bytes(&bytes);
        sha256(e.bytes.data, e.bytes.size, hash);
        MUST(entry_sign(&p->device, hash, signature) == 0);
        e.signature = (Bytes){.data = signature, .size = sizeof(signature)};
        MUST(store_receive(store, &e, &what, &at) == 0 && what == RECEIVED_NEW);
}

static void make_store(void) {
        Endpoints endpoints = {.text = {"192.0.2.1:7425"}, .n = 1};
        Certificate c;
        Contact b, k;

        MUST(store_open(dir.path, sim.loop, &store) == 0);
        MUST(store_save_identity(store, &self) >= 0 && store_set_port(store, 7425) >= 0);
        b = learn(&bob, CONTACT_PINNED);
        k = learn(&carol, CONTACT_REQUEST);
        send_one(&b, id.bytes[0]);
        send_one(&b, 3);
        send_one(&k, 4);
        receive_one(&b, &bob, foreign_id.bytes[0], 1);
        receive_one(&b, &bob, 5, 4);
        receive_one(&k, &carol, 6, 1);
        MUST(store_cancel(store, &(Uuid){{3}}, now()) >= 0);
        MUST(store_mark_read(store, b.number, &foreign_id, now(), true, NULL) >= 0);
        MUST(store_set_endpoints(store, b.number, &endpoints) >= 0);
        MUST(event_client_ack(store, "client", EVENT_CURSOR_FIRST, now()) >= 0);
        MUST(certificate_decode(bob.local.certificate, &c) == 0);
        MUST(store_keep_certificate(store, &c, bob.local.certificate) >= 0);
        make_room(store, &self, k.number, now());
        MUST(store_commit(store) == 0);
        store = store_close(store);
        store_image_take(&dir, &begin);
}

static void make_world(void) {
        sim_new(&sim, 1);
        store_dir_make(&dir, "db");
        person_key(&sim, &self.account);
        person_key(&sim, &self.device);
        self.epoch = 1;
        snprintf(self.name, sizeof(self.name), "alice");
        person_new(&sim, "bob", &bob);
        person_new(&sim, "carol", &carol);
        make_store();
        sim_free(&sim);
}

/* Changing it */

/* The row with that number, of a table with at least one. */
static bool find_row(unsigned table, unsigned n, DbKey *ret_key, Buffer *ret_value) {
        DbTxn *txn = store_write(store);
        uint64_t rows = db_count(txn, table);
        DbValue k, v;
        DbCursor c;

        if (rows == 0)
                return false;
        MUST(db_cursor_open(txn, table, &DB_KEY_NULL, NULL, false, &c) == 0);
        for (n %= rows; db_cursor_next(&c, &k, &v) > 0 && n > 0; n--)
                continue;
        *ret_key = DB_KEY_NULL;
        db_key_bytes(ret_key, k.data, k.size);
        MUST(buffer_append(ret_value, v.data, v.size) == 0);
        db_cursor_close(&c);
        return true;
}

static void alter_key(Script *in, DbKey *k) {
        Bytes b = script_bytes(in);

        if (b.size > 0) {
                *k = DB_KEY_NULL;
                db_key_bytes(k, b.data, MIN(b.size, (size_t)DB_KEY_MAX));
        } else if (k->size > 0)
                k->data[script_u8(in) % k->size] = script_u8(in);
}

static void change_row(Script *in) {
        unsigned table = script_u8(in) % _TABLE_MAX;
        uint8_t which = script_u8(in), how = script_u8(in);
        _cleanup_(buffer_done) Buffer value = BUFFER_NULL;
        DbTxn *txn = store_write(store);
        DbKey k = DB_KEY_NULL;

        (void)find_row(table, which, &k, &value);
        if (how & 1)
                alter_key(in, &k);
        if (how & 2)
                script_alter(in, &value, value.begin);
        if (how & 4) {
                Bytes b = script_bytes(in);

                buffer_clear(&value);
                MUST(buffer_append(&value, b.data, b.size) == 0);
        }
        if (k.size == 0)
                return;
        if (how & 8)
                (void)db_del(txn, table, &k);
        else
                MUST(db_put(txn, table, &k, buffer_data(&value), buffer_size(&value)) == 0);
}

/* Using it. What a function may say of such a store: */
static void check(int r) {
        MUST(r >= 0 || r == -EUCLEAN || r == -EPROTONOSUPPORT || r == -ENOTUNIQ || r == -ENOENT ||
                r == -EALREADY || r == -EEXIST || r == -EOVERFLOW || r == -ESTALE ||
                r == -EBADMSG || (r == -ENOMEM && fuzz_failed()));
}

static bool on_contact(void *userdata, DbTxn *txn, const Contact *c) {
        char shown[SHOWN_NAME_SIZE];
        Endpoints e = {};

        MUST(strlen(contact_shown_name(txn, c, shown)) < SHOWN_NAME_SIZE);
        check(store_get_endpoints(txn, c->number, &e));
        MUST(e.n <= ENDPOINTS_MAX);
        return true;
}

static bool on_message(void *userdata, DbTxn *txn, const HistoryRow *row) {
        MUST(row->inner.body.size <= row->entry.inner.size);
        return true;
}

static int on_feed(void *userdata, DbTxn *txn, const Feed *f) {
        uint64_t gap = 0;
        Receipt rc;
        Ranges r;

        check(store_make_receipt(
                txn, f->number, RECEIPT_READ, sign_key_public(&self.account), &rc));
        check(store_load_receipt(txn, f->number, &r));
        check(store_load_read(txn, f->number, &r));
        check(store_gap_before(txn, f, 5, &gap));
        return 0;
}

static void on_void(void *userdata, const Void *v) {
        MUST(v->n_ranges >= 1 && v->n_ranges <= RECEIPT_RANGES_MAX);
}

static bool on_conversation(void *userdata, DbTxn *txn, const Conversation *v) {
        HistoryPage page = {.conversation = v->number, .peer = v->peer, .limit = 10};
        HistoryRow last;
        bool more;

        check(history_read(txn, &page, on_message, NULL, &more));
        page.before = &id;
        check(history_read(txn, &page, on_message, NULL, &more));
        page.before = NULL;
        page.after = &foreign_id;
        check(history_read(txn, &page, on_message, NULL, &more));
        check(history_last(txn, v->number, &last));
        check(feed_each(txn, v->number, v->peer, on_feed, NULL));
        check(feed_each(txn, v->number, SELF_NUMBER, on_feed, NULL));
        check(store_make_voids(txn, &self, v->hash, on_void, NULL));
        return true;
}

static bool on_event(void *userdata, DbTxn *txn, const EventRow *e) {
        HistoryRow row;

        check(history_get(txn, e->feed, e->seq, &row));
        return true;
}

static void look_at_outbox(DbTxn *txn) {
        uint32_t recipient = 0;
        Entry entry;
        OutboxRow row;
        OutboxWalk w;

        for (int i = 0; i < 10 && outbox_next_recipient(txn, recipient, &recipient) > 0; i++)
                check(outbox_next(txn, recipient, (OutboxPosition){}, &row));
        check(outbox_find(txn, &id, &row));
        if (outbox_walk_all(txn, NULL, &w) < 0)
                return;
        for (int i = 0; i < 50 && outbox_walk_next(&w, &row) > 0; i++)
                check(entry_get(txn, row.at.feed, row.at.seq, &entry));
        outbox_walk_end(&w);
}

static void read_all(DbTxn *txn) {
        uint8_t account[KEY_SIZE];
        char candidates[CANDIDATES_SIZE];
        EventBounds bounds;
        uint64_t cursor;
        Bytes b;

        check(contact_each(txn, NULL, on_contact, NULL));
        check(conversation_each(txn, on_conversation, NULL));
        check(event_bounds(txn, &bounds));
        check(event_each(txn, 0, on_event, NULL));
        check(event_client_get(txn, "client", &cursor));
        check(contact_resolve(txn, "bob", account));
        check(contact_resolve(txn, "carol~aaaa", account));
        MUST(strlen(contact_candidates(txn, "bob", candidates)) < CANDIDATES_SIZE);
        check(store_get_certificate(txn, sign_key_public(&bob.device), 1, &b));
        look_at_outbox(txn);
        read_rooms(txn);
}

static void write_contacts(void) {
        Contact c;

        check(contact_hear_name(store, "bob", person_account(&carol), &c));
        check(contact_hear_name(store, "bob", person_account(&bob), &c));
        check(contact_rename(store, person_account(&bob), "robert"));
        check(contact_unpin(store, person_account(&bob)));
        check(contact_pin(store, person_account(&carol)));
        check(contact_mark(store, (const uint8_t[KEY_SIZE]){7}, CONTACT_BLOCKED));
        if (contact_get(store_write(store), person_account(&carol), &c) > 0)
                check(contact_forget(store, &c));
}

static void write_some(void) {
        Failure failure = {.id = &id, .state = ENTRY_FAILED, .reason = CODE_BLOCKED, .now = now()};
        DbTxn *txn = store_write(store);
        OutboxRow row;
        Identity i;
        Contact c;
        int r;

        r = store_load_identity(store, &i);
        check(r);
        if (r > 0)
                identity_done(&i);
        (void)store_port(store);
        r = contact_get(txn, person_account(&bob), &c);
        check(r);
        if (r > 0) {
                NewMessage m = {.self = &self,
                        .to = &c,
                        .id = {{9}},
                        .text = text_bytes("more"),
                        .now = now()};

                check(store_send(store, &m));
                check(store_mark_read(store, c.number, &foreign_id, now(), true, NULL));
                check(store_fail_message(store, c.number, &failure));
        }
        check(store_cancel(store, &id, now()));
        check(outbox_first_to_expire(store, &row));
        check(contact_set_flags(store, person_account(&carol), CONTACT_PINNED, CONTACT_REQUEST));
        check(contact_set_last_seen(store, person_account(&carol), UINT64_MAX));
        write_contacts();
        write_room(store, &self, 2, now());
}

static void use_store(void) {
        FUZZ_THEIR_MEMORY;
        read_all(store_write(store));
        write_some();
}

/* The next start of the program. False where the store is refused. */
static bool reopen_store(void) {
        FUZZ_THEIR_MEMORY;
        int r;

        (void)store_commit(store);
        store = store_close(store);
        r = store_open(dir.path, sim.loop, &store);
        MUST(r == 0 || r == -EUCLEAN || r == -EPROTONOSUPPORT || r == -EMEDIUMTYPE ||
                fuzz_failed());
        if (r < 0)
                store = NULL;
        return r == 0;
}

void fuzz_one(const uint8_t *data, size_t size) {
        Script in = {.p = data, .end = data + size};
        FUZZ_OWN_MEMORY;

        if (!bob.sim)
                make_world();
        store_image_put(&dir, &begin);
        sim_new(&sim, 1);
        MUST(store_open(dir.path, sim.loop, &store) == 0);
        for (int i = 0; i < ROWS_MAX && script_more(&in); i++)
                change_row(&in);
        use_store();
        if (reopen_store())
                use_store();
        store = store_close(store);
        sim_free(&sim);
}
