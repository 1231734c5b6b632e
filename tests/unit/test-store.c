/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Opening, the identity, contacts and their names, and rows that do not hold. */

#include "store-lab.h"

/* Opening */

static int reopen(Lab *lab, Person *p) {
        p->store = store_close(p->store);
        return store_open(p->dir, lab->loop, &p->store);
}

TEST(a_store_keeps_its_rows) {
        uint32_t a, b;
        Lab lab;

        lab_new(&lab);
        CHECK_EQ(store_port(lab.alice.store), 0);
        CHECK_OK(store_set_port(lab.alice.store, 54321));
        CHECK_OK(store_next_number(lab.alice.store, "counter", &a));
        CHECK_OK(store_next_number(lab.alice.store, "counter", &a));
        person_reopen(&lab, &lab.alice);
        CHECK_EQ(store_port(lab.alice.store), 54321);
        CHECK_OK(store_next_number(lab.alice.store, "counter", &b));
        CHECK_EQ(a, 2);
        CHECK_EQ(b, 3);
        lab_free(&lab);
}

static void write_schema(Person *p, uint32_t version, const char *name) {
        DbKey k = store_meta_key("schema");
        _cleanup_(buffer_done) Buffer row = BUFFER_NULL;

        row_start(&row);
        row_put_u32(&row, version);
        row_put_blob(&row, text_bytes(name));
        CHECK_OK(row_write(txn_of(p), TABLE_META, &k, &row));
}

static void file_of(const Person *p, char **ret, size_t *ret_size) {
        _cleanup_(freep) char *db = fs_join(p->dir, "db");
        _cleanup_(freep) char *file = fs_join(db, "data.mdb");

        CHECK_OK(fs_read_file(file, 1 << 20, ret, ret_size));
}

/* What is in P's directory is refused with R and stays as it is. */
static void check_refused(Lab *lab, Person *p, int r) {
        _cleanup_(freep) char *before = NULL;
        _cleanup_(freep) char *after = NULL;
        size_t size, after_size;

        p->store = store_close(p->store);
        file_of(p, &before, &size);
        CHECK_EQ(store_open(p->dir, lab->loop, &p->store), r);
        file_of(p, &after, &after_size);
        CHECK_EQ(size, after_size);
        CHECK(memcmp(before, after, size) == 0);
}

TEST(an_older_store_becomes_one_of_this_version) {
        RowReader row;
        Lab lab;
        DbValue v;

        lab_new(&lab);
        write_schema(&lab.alice, 1, "p2pchatd");
        lab.alice.store = store_close(lab.alice.store);
        CHECK_OK(store_open(lab.alice.dir, lab.loop, &lab.alice.store));
        CHECK_OK(store_commit(lab.alice.store));
        CHECK_EQ(store_meta_get(txn_of(&lab.alice), "schema", &v), 1);
        row = row_begin(v);
        CHECK_EQ(row_u32(&row), STORE_SCHEMA_VERSION);
        lab_free(&lab);
}

TEST(a_newer_or_foreign_store_is_refused_and_kept) {
        static const char *const other[] = {"something", "else", NULL};
        _cleanup_(freep) char *path = NULL;
        DbKey k = DB_KEY_NULL;
        Lab lab;
        Db *db;

        lab_new(&lab);
        write_schema(&lab.alice, STORE_SCHEMA_VERSION + 1, "p2pchatd");
        check_refused(&lab, &lab.alice, -EPROTONOSUPPORT);
        write_schema(&lab.bob, STORE_SCHEMA_VERSION, "p2pchat directory");
        check_refused(&lab, &lab.bob, -EMEDIUMTYPE);

        /* An LMDB file with other tables. */
        CHECK_OK(nftw(lab.bob.dir, lab_remove, 8, FTW_DEPTH | FTW_PHYS));
        path = fs_join(lab.bob.dir, "db");
        CHECK_OK(db_open(
                path, &(DbOptions){.tables = other, .map_size = 1 << 20, .loop = lab.loop}, &db));
        db_key_u8(&k, 1);
        CHECK_OK(db_put(db_write(db), 0, &k, "v", 1));
        db_close(db);
        check_refused(&lab, &lab.bob, -EMEDIUMTYPE);
        lab_free(&lab);
}

TEST(a_store_that_was_never_written_to_can_be_opened_again) {
        _cleanup_(freep) char *path = NULL;
        static const char *const none[] = {NULL};
        Lab lab;
        Db *db;

        lab_new(&lab);
        lab.bob.store = store_close(lab.bob.store);
        CHECK_OK(nftw(lab.bob.dir, lab_remove, 8, FTW_DEPTH | FTW_PHYS));
        path = fs_join(lab.bob.dir, "db");
        CHECK_OK(db_open(
                path, &(DbOptions){.tables = none, .map_size = 1 << 20, .loop = lab.loop}, &db));
        db_close(db);
        CHECK_OK(reopen(&lab, &lab.bob));
        lab_free(&lab);
}

/* The identity */

TEST(the_identity_comes_back_as_it_was) {
        Identity i;
        Lab lab;

        lab_new(&lab);
        CHECK_EQ(store_load_identity(lab.alice.store, &i), 0);
        strcpy(lab.alice.self.tracker, "tracker.example:7425#key");
        lab.alice.self.epoch = 7;
        lab.alice.self.record_seq = 12345678901;
        for (int n = 0; n < 8; n++) {
                const Identity *was = &lab.alice.self;

                lab.alice.self.claimed = n & 1;
                lab.alice.self.logged_in = n & 2;
                lab.alice.self.lan_only = n & 4;
                CHECK_OK(store_save_identity(lab.alice.store, was));
                person_reopen(&lab, &lab.alice);
                CHECK_EQ(store_load_identity(lab.alice.store, &i), 1);
                CHECK(memcmp(&i.account, &was->account, sizeof(SignKey)) == 0);
                CHECK(memcmp(&i.device, &was->device, sizeof(SignKey)) == 0);
                CHECK_STR(i.name, "alice");
                CHECK_STR(i.tracker, was->tracker);
                CHECK(i.epoch == 7 && i.record_seq == 12345678901);
                CHECK(i.claimed == was->claimed && i.logged_in == was->logged_in);
                CHECK_EQ(i.lan_only, was->lan_only);
                CHECK_EQ(buffer_size(&i.record), buffer_size(&was->record));
                CHECK(memcmp(i.record.data, was->record.data, buffer_size(&i.record)) == 0);
                CHECK_EQ(buffer_size(&i.certificate), buffer_size(&was->certificate));
                identity_done(&i);
        }
        lab_free(&lab);
}

TEST(an_identity_without_keys_is_damage) {
        static const SignKey none;
        Identity i;
        Lab lab;

        lab_new(&lab);
        lab.alice.self.device = none;
        CHECK_OK(store_save_identity(lab.alice.store, &lab.alice.self));
        CHECK_EQ(store_load_identity(lab.alice.store, &i), -EUCLEAN);
        lab_free(&lab);
}

/* Contacts */

static const char *shown(const Person *p, const Contact *c) {
        static char buf[SHOWN_NAME_SIZE];

        return contact_shown_name(txn_of(p), c, buf);
}

static int resolves(const Person *p, const char *text) {
        uint8_t account[KEY_SIZE];
        SignKey k;
        int r;

        r = contact_resolve(txn_of(p), text, account);
        for (uint8_t n = 1; r > 0 && n < 20; n += 2) {
                k = sample_key(n);
                if (key_equal(account, sign_key_public(&k)))
                        return n;
        }
        return r > 0 ? 999 : r;
}

static const char *with_suffix(const char *name, const Contact *c) {
        static char text[SHOWN_NAME_SIZE];
        char account[BASE32_KEY_SIZE + 1];

        snprintf(text, sizeof(text), "%s~%.4s", name, base32_encode_key(c->account, account));
        return text;
}

TEST(a_name_is_shown_plain_for_who_was_there_first) {
        Person *p;
        Contact first, second;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        CHECK(learn(p->store, 7, "dave", 1, 1, CONTACT_REQUEST, false, &first) > 0);
        CHECK_STR(shown(p, &first), with_suffix("dave", &first)); /* nobody has said whose it is */
        CHECK_EQ(resolves(p, "dave"), 7);

        CHECK(learn(p->store, 7, "dave", 1, 1, 0, true, &first) > 0);
        CHECK_EQ(first.flags, CONTACT_REQUEST);
        CHECK_STR(shown(p, &first), "dave");
        CHECK(learn(p->store, 7, "dave", 1, 1, CONTACT_PINNED, true, &first) > 0);
        CHECK(learn(p->store, 9, "dave", 1, 1, CONTACT_PINNED, true, &second) > 0);
        CHECK_STR(shown(p, &first), "dave");
        CHECK_STR(shown(p, &second), with_suffix("dave", &second));
        CHECK_EQ(resolves(p, "dave"), 7);
        CHECK_EQ(resolves(p, with_suffix("dave", &second)), 9);
        CHECK_EQ(resolves(p, with_suffix("dave", &first)), 7);
        lab_free(&lab);
}

TEST(a_name_that_several_claim_is_ambiguous) {
        Contact first, second;
        char text[SHOWN_NAME_SIZE];
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        CHECK(learn(p->store, 7, "dave", 1, 1, 0, false, &first) > 0);
        CHECK(learn(p->store, 9, "dave", 1, 1, 0, false, &second) > 0);
        CHECK_EQ(resolves(p, "dave"), -ENOTUNIQ);
        CHECK_EQ(resolves(p, "DAVE"), -ENOTUNIQ);
        CHECK_EQ(resolves(p, with_suffix("dave", &first)), 7);
        strcpy(text, with_suffix("Dave", &second));
        for (char *c = strchr(text, '~'); *c; c++)
                *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
        CHECK_EQ(resolves(p, text), 9);
        CHECK_EQ(resolves(p, with_suffix("erin", &second)), 0);
        CHECK_EQ(resolves(p, "dav"), 0);
        CHECK_EQ(resolves(p, "daveb"), 0);
        lab_free(&lab);
}

TEST(an_account_is_meant_by_its_own_name_whatever_it_is_called) {
        char account[BASE32_KEY_SIZE + 2] = "@";
        SignKey unknown = sample_key(11);
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        base32_encode_key(p->other.account, account + 1);
        CHECK_EQ(resolves(p, account), BOB);
        base32_encode_key(sign_key_public(&unknown), account + 1);
        CHECK_EQ(resolves(p, account), 11);
        account[BASE32_KEY_SIZE] = 0;
        CHECK_EQ(resolves(p, account), -EINVAL);
        lab_free(&lab);
}

TEST(what_is_no_name_resolves_to_nobody) {
        static const char *const bad[] = {"", "~", "@", "bob~", "bob~abc", "bob~abcde", "~abcd",
                "b ob", "-bob", "bo\xc3\xb6", "012345678901234567890123456789012"};
        Lab lab;

        lab_new(&lab);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                CHECK_EQ(resolves(&lab.alice, bad[i]), -EINVAL);
        CHECK_EQ(resolves(&lab.alice, "bob"), BOB);
        CHECK_EQ(resolves(&lab.alice, "BOB"), BOB);
        lab_free(&lab);
}

TEST(a_new_name_drops_the_old_claim_but_keeps_what_was_pinned) {
        Contact c;
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        CHECK(learn(p->store, 7, "dave", 1, 1, 0, false, &c) > 0);
        CHECK(learn(p->store, 7, "david", 1, 2, 0, false, &c) > 0);
        CHECK_STR(c.name, "david");
        CHECK_EQ(resolves(p, "dave"), 0);
        CHECK_EQ(resolves(p, with_suffix("dave", &c)), 0);
        CHECK_EQ(resolves(p, "david"), 7);

        /* A stranger may take the old name now; it is not ambiguous. */
        CHECK(learn(p->store, 9, "dave", 1, 1, 0, false, &c) > 0);
        CHECK_EQ(resolves(p, "dave"), 9);

        /* Bob was pinned as bob: the name stays his, whatever he or others say. */
        CHECK(learn(p->store, BOB, "robert", 1, 2, 0, false, &c) > 0);
        CHECK_STR(shown(p, &c), with_suffix("robert", &c));
        CHECK(learn(p->store, 11, "bob", 1, 1, CONTACT_PINNED, true, &c) > 0);
        CHECK_EQ(resolves(p, "bob"), BOB);
        lab_free(&lab);
}

TEST(records_never_go_back) {
        Contact c, d;
        Lab lab;
        Store *s;

        lab_new(&lab);
        s = lab.alice.store;
        CHECK(learn(s, 7, "dave", 2, 5, CONTACT_BLOCKED, false, &c) > 0);
        CHECK_EQ(learn(s, 7, "evil", 1, 9, 0, false, &d), -ESTALE);
        CHECK(learn(s, 7, "older", 2, 4, CONTACT_VERIFIED, false, &d) > 0);
        CHECK_STR(d.name, "dave");
        CHECK_EQ(d.record_seq, 5);
        CHECK_EQ(d.flags, CONTACT_BLOCKED | CONTACT_VERIFIED);
        CHECK_EQ(d.number, c.number);
        CHECK(learn(s, 7, "newer", 2, 6, 0, false, &d) > 0);
        CHECK_STR(d.name, "newer");
        CHECK(learn(s, 7, "newest", 3, 1, 0, false, &d) > 0);
        CHECK_EQ(d.epoch, 3);
        CHECK_EQ(learn(s, 7, "newer", 2, 7, 0, false, &d), -ESTALE);
        lab_free(&lab);
}

TEST(of_two_devices_with_one_epoch_the_same_one_wins_everywhere) {
        uint8_t a[SHA256_SIZE], b[SHA256_SIZE], winner, loser;
        SignKey x = sample_key(8), y = sample_key(12);
        Contact c;
        Lab lab;

        lab_new(&lab);
        sha256(sign_key_public(&x), KEY_SIZE, a);
        sha256(sign_key_public(&y), KEY_SIZE, b);
        winner = memcmp(a, b, SHA256_SIZE) < 0 ? 8 : 12;
        loser = winner == 8 ? 12 : 8;
        CHECK(learn_device(lab.alice.store, 7, winner, "won", 2, 1, 0, false, &c) > 0);
        CHECK_EQ(learn_device(lab.alice.store, 7, loser, "lost", 2, 9, 0, false, &c), -ESTALE);
        CHECK(learn_device(lab.bob.store, 7, loser, "lost", 2, 9, 0, false, &c) > 0);
        CHECK(learn_device(lab.bob.store, 7, winner, "won", 2, 1, 0, false, &c) > 0);
        CHECK_STR(c.name, "won");
        lab_free(&lab);
}

static bool count_contact(void *userdata, DbTxn *txn, const Contact *c) {
        unsigned *n = userdata;

        return ++*n < 3;
}

TEST(contacts_are_walked_and_changed_one_by_one) {
        Contact c, d;
        unsigned n = 0;
        SignKey nobody = sample_key(99);
        Lab lab;
        Store *s;

        lab_new(&lab);
        s = lab.alice.store;
        for (uint8_t i = 7; i <= 15; i += 2)
                CHECK(learn(s, i, "name", 1, 1, 0, false, &c) > 0);
        CHECK_OK(contact_each(store_write(s), NULL, count_contact, &n));
        CHECK_EQ(n, 3); /* as many as it wanted */
        CHECK_OK(contact_set_flags(s, c.account, CONTACT_PINNED | CONTACT_BLOCKED, 0));
        CHECK_OK(contact_set_flags(s, c.account, CONTACT_VERIFIED, CONTACT_BLOCKED));
        CHECK_OK(contact_set_last_seen(s, c.account, 2000));
        CHECK_OK(contact_set_last_seen(s, c.account, 1000));
        CHECK_EQ(contact_get_by_number(store_write(s), c.number, &d), 1);
        CHECK_EQ(d.flags, CONTACT_PINNED | CONTACT_VERIFIED);
        CHECK_EQ(d.last_seen, 2000);
        CHECK(key_equal(d.account, c.account));
        CHECK_EQ(d.record.size, c.record.size);
        CHECK_EQ(contact_set_flags(s, sign_key_public(&nobody), 1, 0), -ENOENT);
        CHECK_OK(contact_set_last_seen(s, sign_key_public(&nobody), 1));
        CHECK_EQ(contact_get_by_number(store_write(s), 77, &d), 0);
        lab_free(&lab);
}

TEST(endpoints_come_back_in_order) {
        Endpoints e = {}, f;
        Lab lab;

        lab_new(&lab);
        CHECK_EQ(store_get_endpoints(txn_of(&lab.alice), 1, &f), 0);
        for (size_t n = 0; n <= ENDPOINTS_MAX; n++) {
                CHECK_OK(store_set_endpoints(lab.alice.store, 1, &e));
                CHECK_EQ(store_get_endpoints(txn_of(&lab.alice), 1, &f), 1);
                CHECK(memcmp(&e, &f, sizeof(e)) == 0);
                if (n < ENDPOINTS_MAX)
                        memset(e.text[e.n++], 'a' + (int)n, 10 + 3 * n);
        }
        lab_free(&lab);
}

/* Rows that do not hold */

static DbKey key_u32(uint32_t n) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, n);
        return k;
}

static DbKey key_bytes(const void *p, size_t n) {
        DbKey k = DB_KEY_NULL;

        db_key_bytes(&k, p, n);
        return k;
}

/* A row, and what reads it. */
typedef struct Row {
        unsigned table;
        DbKey key;
        int (*read)(Lab *lab);
        bool open_end; /* takes all there is: a shorter one may be good as well */
} Row;

static int read_identity(Lab *lab) {
        Identity i;
        int r = store_load_identity(lab->alice.store, &i);

        if (r > 0)
                identity_done(&i);
        return r;
}

static int read_contact(Lab *lab) {
        Contact c;

        return contact_get(txn_of(&lab->alice), lab->alice.other.account, &c);
}

static int read_account_key(Lab *lab) {
        Contact c;

        return contact_get_by_number(txn_of(&lab->alice), lab->alice.other.number, &c);
}

static int read_name(Lab *lab) {
        return resolves(&lab->alice, "bob");
}

static int read_endpoints(Lab *lab) {
        Endpoints e;

        return store_get_endpoints(txn_of(&lab->alice), 1, &e);
}

static int read_counter(Lab *lab) {
        uint32_t n;

        return store_next_number(lab->alice.store, "counter", &n);
}

static int read_conversation(Lab *lab) {
        Conversation v;

        return conversation_get(txn_of(&lab->alice), 1, &v);
}

static int read_conversation_hash(Lab *lab) {
        uint8_t hash[SHA256_SIZE];
        Conversation v;

        conversation_direct(
                sign_key_public(&lab->alice.self.account), lab->alice.other.account, hash);
        return conversation_find(txn_of(&lab->alice), hash, &v);
}

static int read_feed(Lab *lab) {
        Feed f;

        return feed_get(txn_of(&lab->alice), 1, &f);
}

static int read_feed_key(Lab *lab) {
        Feed f;

        return feed_find(txn_of(&lab->alice), 1, SELF_NUMBER, 1,
                sign_key_public(&lab->alice.self.device), &f);
}

static int read_entry(Lab *lab) {
        HistoryRow h;

        return history_get(txn_of(&lab->alice), 1, 1, &h);
}

static int read_order(Lab *lab) {
        HistoryRow h;

        return history_last(txn_of(&lab->alice), 1, &h);
}

static int read_id(Lab *lab) {
        Uuid id = uuid_number(1);
        uint64_t seq;
        uint32_t feed;

        return store_find_id(txn_of(&lab->alice), SELF_NUMBER, &id, &feed, &seq);
}

static int read_outbox(Lab *lab) {
        OutboxRow row;

        return outbox_next(txn_of(&lab->alice), lab->alice.other.number, (OutboxPosition){}, &row);
}

static int read_receipt(Lab *lab) {
        Ranges r;

        return store_load_receipt(txn_of(&lab->alice), 1, &r);
}

static int read_certificate(Lab *lab) {
        Bytes b;

        return store_get_certificate(
                txn_of(&lab->alice), sign_key_public(&lab->alice.self.device), 1, &b);
}

static bool stop(void *userdata, DbTxn *txn, const EventRow *e) {
        return false;
}

static int read_event(Lab *lab) {
        return event_each(txn_of(&lab->alice), 0, stop, NULL);
}

static int read_client(Lab *lab) {
        uint64_t cursor;

        return event_client_get(txn_of(&lab->alice), "client", &cursor);
}

static int read_read(Lab *lab) {
        Ranges r;

        return store_load_read(txn_of(&lab->alice), 1, &r);
}

static int read_void(Lab *lab) {
        static const Feed f = {.number = 1};
        uint64_t gap;

        return store_gap_before(txn_of(&lab->alice), &f, 7, &gap);
}

static void no_matter(void *userdata, const Uuid *id) {
}

static void put_ranges(Lab *lab) {
        _cleanup_(buffer_done) Buffer row = BUFFER_NULL;
        Ranges r = {.range = {{1, 5}, {8, 9}}, .n = 2};
        DbKey k = key_u32(1);

        row_start(&row);
        row_put_ranges(&row, &r);
        CHECK_OK(row_write(txn_of(&lab->alice), TABLE_RECEIPT, &k, &row));
        CHECK_OK(row_write(txn_of(&lab->alice), TABLE_READ, &k, &row));
        db_key_u8(&k, VOID_CANCELLED);
        CHECK_OK(row_write(txn_of(&lab->alice), TABLE_VOID, &k, &row));
}

/* One good row of each table. */
static void write_rows(Lab *lab) {
        Person *p = &lab->alice;
        Endpoints e = {.text = {"192.0.2.1:7425", "[2001:db8::1]:80"}, .n = 2};
        Certificate c = sample_certificate(ALICE);
        uint32_t n;

        CHECK_OK(store_save_identity(p->store, &p->self));
        CHECK_OK(store_set_endpoints(p->store, 1, &e));
        CHECK_OK(store_next_number(p->store, "counter", &n));
        CHECK_OK(send_text(p, 1, "a text", NOW));
        CHECK_OK(store_keep_certificate(p->store, &c, buffer_bytes(&p->self.certificate)));
        put_ranges(lab);
        CHECK_OK(event_add(
                p->store, &(EventRow){.kind = EVENT_STATE, .feed = 1, .seq = 1, .time = NOW}));
        CHECK_OK(event_client_ack(p->store, "client", EVENT_CURSOR_FIRST, NOW));
}

static size_t list_rows(Lab *lab, Row *ret) {
        Person *p = &lab->alice;
        DbKey feed_key = DB_KEY_NULL, event = DB_KEY_NULL, voided = key_u32(1), entry = key_u32(1),
              outbox = key_u32(p->other.number), id,
              certificate = key_bytes(sign_key_public(&p->self.device), KEY_SIZE);
        Uuid u = uuid_number(1);
        Conversation v;
        DbCursor cursor;
        DbValue k, value;
        size_t n = 0;

        CHECK_EQ(conversation_get(txn_of(p), 1, &v), 1);
        db_key_u32(&feed_key, 1);
        db_key_u32(&feed_key, SELF_NUMBER);
        db_key_u64(&feed_key, 1);
        db_key_bytes(&feed_key, sign_key_public(&p->self.device), KEY_SIZE);
        db_key_u64(&entry, 1);
        db_key_u32(&outbox, 1);
        db_key_u64(&outbox, 1);
        id = key_u32(SELF_NUMBER);
        db_key_bytes(&id, &u, sizeof(u));
        db_key_u64(&certificate, 1);
        db_key_u64(&event, EVENT_CURSOR_FIRST);
        db_key_u8(&voided, VOID_CANCELLED);

        ret[n++] = (Row){TABLE_META, store_meta_key("identity"), read_identity, false};
        ret[n++] = (Row){TABLE_META, store_meta_key("counter"), read_counter, false};
        ret[n++] = (Row){TABLE_ACCOUNT, key_bytes(p->other.account, KEY_SIZE), read_contact, false};
        ret[n++] = (Row){TABLE_ACCOUNT_KEY, key_u32(p->other.number), read_account_key, false};
        ret[n++] = (Row){TABLE_NAME, key_bytes("bob", 3), read_name, false};
        ret[n++] = (Row){TABLE_ENDPOINT, key_u32(1), read_endpoints, false};
        ret[n++] = (Row){TABLE_CONVERSATION, key_u32(1), read_conversation, false};
        ret[n++] = (Row){TABLE_CONVERSATION_HASH, key_bytes(v.hash, SHA256_SIZE),
                read_conversation_hash, false};
        ret[n++] = (Row){TABLE_FEED, key_u32(1), read_feed, false};
        ret[n++] = (Row){TABLE_FEED_KEY, feed_key, read_feed_key, false};
        ret[n++] = (Row){TABLE_ENTRY, entry, read_entry, false};
        ret[n++] = (Row){TABLE_ID, id, read_id, false};
        ret[n++] = (Row){TABLE_OUTBOX, outbox, read_outbox, false};
        ret[n++] = (Row){TABLE_RECEIPT, key_u32(1), read_receipt, false};
        ret[n++] = (Row){TABLE_READ, key_u32(1), read_read, false};
        ret[n++] = (Row){TABLE_VOID, voided, read_void, false};
        ret[n++] = (Row){TABLE_EVENT, event, read_event, false};
        ret[n++] = (Row){TABLE_CLIENT, key_bytes("client", 6), read_client, false};
        ret[n++] = (Row){TABLE_CERTIFICATE, certificate, read_certificate, true};

        /* The key of the order holds most of the row. */
        CHECK_OK(db_cursor_open(txn_of(p), TABLE_ORDER, &DB_KEY_NULL, NULL, false, &cursor));
        CHECK_EQ(db_cursor_next(&cursor, &k, &value), 1);
        ret[n++] = (Row){TABLE_ORDER, key_bytes(k.data, k.size), read_order, false};
        db_cursor_close(&cursor);
        return n;
}

static uint8_t *row_copy(Lab *lab, const Row *row, size_t *ret_size) {
        uint8_t *copy;
        DbValue v;

        CHECK_EQ(db_get(txn_of(&lab->alice), row->table, &row->key, &v), 1);
        copy = malloc(v.size + 1);
        CHECK(copy);
        memcpy(copy, v.data, v.size);
        copy[v.size] = 0x5a;
        *ret_size = v.size;
        return copy;
}

static int read_as(Lab *lab, const Row *row, const uint8_t *value, size_t size) {
        CHECK_OK(db_put(txn_of(&lab->alice), row->table, &row->key, value, size));
        return row->read(lab);
}

/* Rows of contacts that were written first had nothing behind the record: no alias, no rival; and
 * later ones not what was decided when. */
static bool is_earlier_form(const Row *row, size_t missing) {
        const size_t decided = _DECIDED_MAX * sizeof(uint64_t);

        return row->table == TABLE_ACCOUNT &&
                (missing == decided || missing == decided + 2 * sizeof(uint32_t));
}

static void check_truncated(Lab *lab, const Row *row) {
        _cleanup_(freep) uint8_t *good = NULL;
        size_t size;

        good = row_copy(lab, row, &size);
        CHECK(row->read(lab) >= 0);
        for (size_t n = 0; n < size; n++)
                if (is_earlier_form(row, size - n))
                        CHECK(read_as(lab, row, good, n) >= 0);
                else if (n < ROW_HEAD_SIZE || !row->open_end)
                        CHECK_EQ(read_as(lab, row, good, n), -EUCLEAN);
        if (!row->open_end)
                CHECK_EQ(read_as(lab, row, good, size + 1), -EUCLEAN);
        for (size_t i = 0; i < ROW_HEAD_SIZE; i++) {
                good[i]++;
                CHECK_EQ(read_as(lab, row, good, size), -EPROTONOSUPPORT);
                good[i]--;
        }
        CHECK_OK(db_put(txn_of(&lab->alice), row->table, &row->key, good, size));
        CHECK(row->read(lab) >= 0);
}

TEST(a_truncated_row_or_one_of_another_version_is_an_error) {
        Row rows[32];
        size_t n;
        Lab lab;

        lab_new(&lab);
        write_rows(&lab);
        n = list_rows(&lab, rows);
        for (size_t i = 0; i < n; i++)
                check_truncated(&lab, &rows[i]);
        CHECK_OK(store_commit(lab.alice.store));
        lab_free(&lab);
}

/* Everything that reads rows in passing. */
static void use_all(Lab *lab) {
        Person *p = &lab->alice;
        Uuid id = uuid_number(1);
        Contact peer = p->other;
        Receipt rc = {.ranges = {{1, 1}}, .n_ranges = 1};
        unsigned n = 0;

        (void)contact_each(txn_of(p), NULL, count_contact, &n);
        (void)store_fail_message(p->store, peer.number,
                &(Failure){.id = &id, .state = ENTRY_FAILED, .reason = CODE_BLOCKED});
        (void)store_take_receipt(p->store, &p->self, &peer, &rc, NOW, no_matter, NULL);
        (void)store_make_receipt(
                txn_of(p), 1, RECEIPT_DELIVERED, sign_key_public(&p->self.account), &rc);
        (void)send_text(p, 2, "another", NOW);
}

static void damage(Lab *lab, const Row *row, const uint8_t *good, size_t size) {
        _cleanup_(freep) uint8_t *bad = malloc(size);

        CHECK(bad && size > ROW_HEAD_SIZE);
        memcpy(bad, good, size);
        for (long i = random() % 8; i >= 0; i--)
                bad[ROW_HEAD_SIZE + (size_t)random() % (size - ROW_HEAD_SIZE)] =
                        (uint8_t)(random() % 3 ? random() : 0xff);
        (void)read_as(lab, row, bad, size);
}

TEST(garbage_in_a_row_never_brings_the_program_down) {
        uint8_t *good[32];
        size_t size[32], n;
        Row rows[32];
        Lab lab;

        lab_new(&lab);
        write_rows(&lab);
        n = list_rows(&lab, rows);
        for (size_t i = 0; i < n; i++)
                good[i] = row_copy(&lab, &rows[i], &size[i]);
        srandom(3);
        for (unsigned round = 0; round < 3000; round++) {
                size_t i = (size_t)random() % n;

                damage(&lab, &rows[i], good[i], size[i]);
                use_all(&lab);
                for (i = 0; i < n; i++)
                        CHECK_OK(db_put(
                                txn_of(&lab.alice), rows[i].table, &rows[i].key, good[i], size[i]));
        }
        for (size_t i = 0; i < n; i++)
                free(good[i]);
        lab_free(&lab);
}

TEST(what_cannot_be_put_together_fails_the_whole_batch) {
        _cleanup_(buffer_done) Buffer row = BUFFER_NULL;
        DbKey k = key_u32(1);
        Lab lab;

        lab_new(&lab);
        CHECK_OK(store_commit(lab.alice.store));
        CHECK_OK(store_set_port(lab.alice.store, 1));
        CHECK_EQ(row_write(txn_of(&lab.alice), TABLE_FEED, &k, &row), -ENOMEM);
        CHECK_EQ(store_commit(lab.alice.store), -ENOMEM);
        CHECK_EQ(store_port(lab.alice.store), 0);
        lab_free(&lab);
}
