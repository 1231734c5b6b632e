/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rows that are sealed: what is in the file without the key, and what comes back with it. */

#include "crypto/secret.h"
#include "store-lab.h"
#include "store/mail.h"
#include "store/prekey.h"
#include "store/presence-key.h"
#include "store/room.h"
#include "store/seal-private.h"

#define CHECK_MEM(a, b, n) CHECK(memcmp((a), (b), (n)) == 0)

static const uint8_t MASTER[STORE_KEY_SIZE] = {1, 2, 3}, OTHER[STORE_KEY_SIZE] = {4, 5, 6};

static int store_try(Lab *lab, Person *p) {
        p->store = store_close(p->store);
        return store_open(p->dir, lab->loop, &p->store);
}

static void reopen_sealed(Lab *lab, Person *p, const uint8_t *master) {
        CHECK_OK(store_try(lab, p));
        CHECK_OK(store_unseal(p->store, master));
}

static StoreKeyInfo info_of(const Person *p) {
        StoreKeyInfo info;

        CHECK_OK(store_key_info(p->store, &info));
        return info;
}

static void seal(const Person *p, Keeping keeping, const uint8_t *master) {
        (void)info_of(p);
        CHECK_EQ(store_rekey(p->store, keeping, master), 0);
}

/* What of somebody's secrets the tests look for, each different. */
enum {
        SECRET_PREKEY = 0xa1,
        SECRET_PRESENCE,
        SECRET_CONTACT,
        SECRET_ROOM,
        SECRET_MAIL,
        _SECRET_END,
};

static void secret_make(uint8_t n, uint8_t ret[static 32]) {
        memset(ret, n, 32);
        ret[1] = ret[17] = (uint8_t)~n;
}

static MailItem mail_item(void) {
        MailItem m = {.recipient = 1, .at = {.feed = 2, .seq = 3}, .expires = NOW, .n_trackers = 1};

        secret_make(SECRET_MAIL, m.secret);
        return m;
}

static PrekeyRow prekey_number(uint64_t id) {
        PrekeyRow p = {.id = id, .suite = 1, .made = NOW};

        secret_make(SECRET_PREKEY, p.secret);
        p.secret[2] = (uint8_t)id;
        return p;
}

static void write_secrets(Person *p) {
        PrekeyRow one = prekey_number(1), two = prekey_number(2);
        uint8_t key[32];
        MailItem m = mail_item();

        CHECK_OK(store_save_identity(p->store, &p->self));
        CHECK_OK(prekey_put(p->store, &one));
        CHECK_OK(prekey_put(p->store, &two));
        secret_make(SECRET_PRESENCE, key);
        CHECK_OK(store_set_presence_key(p->store, key));
        secret_make(SECRET_CONTACT, key);
        CHECK_OK(store_set_contact_key(p->store, 7, key));
        secret_make(SECRET_ROOM, key);
        CHECK_OK(room_key_put(p->store, 3, 4, key));
        CHECK_OK(mail_item_put(p->store, &m));
        CHECK_OK(store_commit(p->store));
}

static void check_secrets(const Person *p) {
        uint8_t key[32], wanted[32];
        PrekeyRow row, two = prekey_number(2);
        uint64_t epoch;
        MailItem m;
        Identity i;

        CHECK_EQ(store_load_identity(p->store, &i), 1);
        CHECK_MEM(i.account.secret, p->self.account.secret, sizeof(SignKey));
        CHECK_MEM(i.device.secret, p->self.device.secret, sizeof(SignKey));
        identity_done(&i);
        CHECK_EQ(prekey_get(txn_of(p), 2, &row), 1);
        CHECK_MEM(row.secret, two.secret, 32);
        CHECK_EQ(prekey_newest(txn_of(p), &row), 1);
        CHECK_EQ(row.id, 2);
        CHECK_EQ(store_get_presence_key(txn_of(p), key), 1);
        secret_make(SECRET_PRESENCE, wanted);
        CHECK_MEM(key, wanted, 32);
        CHECK_EQ(store_get_contact_key(txn_of(p), 7, key), 1);
        secret_make(SECRET_CONTACT, wanted);
        CHECK_MEM(key, wanted, 32);
        CHECK_EQ(room_key_get(txn_of(p), 3, 4, key), 1);
        secret_make(SECRET_ROOM, wanted);
        CHECK_MEM(key, wanted, 32);
        CHECK_EQ(room_key_last(txn_of(p), 3, 9, &epoch, key), 1);
        CHECK_EQ(epoch, 4);
        CHECK_MEM(key, wanted, 32);
        secret_make(SECRET_MAIL, wanted);
        CHECK_EQ(mail_item_next(txn_of(p), 1, (OutboxPosition){}, &m), 1);
        CHECK_MEM(m.secret, wanted, 32);
}

/* The file, as whoever copies it has it. */
static bool file_has(const char *dir, const void *what, size_t n) {
        char path[300], *data;
        size_t size;
        bool found;

        snprintf(path, sizeof(path), "%s/db/data.mdb", dir);
        CHECK_OK(fs_read_file(path, 256 << 20, &data, &size));
        found = memmem(data, size, what, n);
        free(data);
        return found;
}

static bool file_has_secrets(const Person *p) {
        bool found = file_has(p->dir, sign_key_seed(&p->self.account), KEY_SIZE) ||
                file_has(p->dir, sign_key_seed(&p->self.device), KEY_SIZE);
        uint8_t secret[32];

        for (unsigned n = SECRET_PREKEY; n < _SECRET_END; n++) {
                secret_make((uint8_t)n, secret);
                found |= file_has(p->dir, secret + 3, 14);
        }
        return found;
}

static void seal_lab_new(Lab *lab) {
        CHECK_OK(crypto_init());
        lab_new(lab);
}

TEST(secrets_are_in_the_file_where_nothing_is_sealed) {
        Lab lab;

        seal_lab_new(&lab);
        write_secrets(&lab.alice);
        CHECK(file_has_secrets(&lab.alice));
        CHECK(!info_of(&lab.alice).chosen && info_of(&lab.alice).in_use);
        seal(&lab.alice, KEEPING_NONE, NULL);
        CHECK_OK(store_try(&lab, &lab.alice));
        CHECK(info_of(&lab.alice).chosen);
        CHECK_EQ(store_keeping(lab.alice.store), KEEPING_NONE);
        check_secrets(&lab.alice);
        lab_free(&lab);
}

TEST(a_copy_without_the_key_is_of_no_use) {
        uint8_t key[32];
        PrekeyRow row;
        Identity i;
        Lab lab;

        seal_lab_new(&lab);
        seal(&lab.alice, KEEPING_FILE, MASTER);
        write_secrets(&lab.alice);
        check_secrets(&lab.alice);
        reopen_sealed(&lab, &lab.alice, MASTER);
        check_secrets(&lab.alice);

        /* Nobody can become this account, nor open its mail or its rooms. */
        CHECK(!file_has_secrets(&lab.alice));
        CHECK_OK(store_try(&lab, &lab.alice));
        CHECK_EQ(info_of(&lab.alice).keeping, KEEPING_FILE);
        CHECK(info_of(&lab.alice).in_use);
        CHECK_EQ(store_load_identity(lab.alice.store, &i), -ENOKEY);
        CHECK_EQ(prekey_get(txn_of(&lab.alice), 1, &row), -ENOKEY);
        CHECK_EQ(prekey_newest(txn_of(&lab.alice), &row), -ENOKEY);
        CHECK_EQ(store_get_presence_key(txn_of(&lab.alice), key), -ENOKEY);
        CHECK_EQ(room_key_get(txn_of(&lab.alice), 3, 4, key), -ENOKEY);
        CHECK_EQ(store_unseal(lab.alice.store, OTHER), -EKEYREJECTED);
        CHECK_EQ(store_load_identity(lab.alice.store, &i), -ENOKEY);
        lab_free(&lab);
}

TEST(nothing_is_written_openly_for_want_of_the_key) {
        PrekeyRow three = prekey_number(3);
        Lab lab;

        seal_lab_new(&lab);
        seal(&lab.alice, KEEPING_CREDENTIAL, MASTER);
        write_secrets(&lab.alice);
        CHECK_OK(store_try(&lab, &lab.alice));
        CHECK_EQ(prekey_put(lab.alice.store, &three), -ENOKEY);
        CHECK_EQ(store_commit(lab.alice.store), -ENOKEY);
        CHECK_EQ(store_rekey(lab.alice.store, KEEPING_FILE, OTHER), -EINVAL);
        CHECK_EQ(store_set_seal_messages(lab.alice.store, true), -ENOKEY);
        CHECK_OK(store_unseal(lab.alice.store, MASTER));
        check_secrets(&lab.alice);
        CHECK_EQ(prekey_get(txn_of(&lab.alice), 3, &three), 0);
        lab_free(&lab);
}

TEST(what_was_written_openly_before_is_read_and_leaves_the_file) {
        Lab lab;

        seal_lab_new(&lab);
        write_secrets(&lab.alice);
        CHECK(file_has_secrets(&lab.alice));
        seal(&lab.alice, KEEPING_SECRET_SERVICE, MASTER);
        check_secrets(&lab.alice);
        CHECK(!file_has_secrets(&lab.alice));
        reopen_sealed(&lab, &lab.alice, MASTER);
        check_secrets(&lab.alice);
        lab_free(&lab);
}

TEST(another_master_key_replaces_the_one_before) {
        StoreKeyInfo info;
        Lab lab;

        seal_lab_new(&lab);
        seal(&lab.alice, KEEPING_FILE, MASTER);
        write_secrets(&lab.alice);
        seal(&lab.alice, KEEPING_SECRET_SERVICE, OTHER);
        check_secrets(&lab.alice);
        CHECK_OK(store_try(&lab, &lab.alice));
        info = info_of(&lab.alice);
        CHECK(info.keeping == KEEPING_SECRET_SERVICE && info.leaving == KEEPING_FILE);
        CHECK_EQ(store_unseal(lab.alice.store, MASTER), -EKEYREJECTED);
        CHECK_OK(store_unseal(lab.alice.store, OTHER));
        check_secrets(&lab.alice);
        CHECK_OK(store_key_left(lab.alice.store));
        reopen_sealed(&lab, &lab.alice, OTHER);
        CHECK_EQ(info_of(&lab.alice).leaving, KEEPING_NONE);

        /* And to none. */
        seal(&lab.alice, KEEPING_NONE, NULL);
        CHECK_EQ(info_of(&lab.alice).leaving, KEEPING_SECRET_SERVICE);
        CHECK_OK(store_try(&lab, &lab.alice));
        check_secrets(&lab.alice);
        CHECK(file_has_secrets(&lab.alice));
        lab_free(&lab);
}

TEST(a_change_that_cannot_be_committed_changes_nothing) {
        Lab lab;

        seal_lab_new(&lab);
        seal(&lab.alice, KEEPING_FILE, MASTER);
        write_secrets(&lab.alice);
        store_fail(lab.alice.store, -EIO);
        CHECK_EQ(store_rekey(lab.alice.store, KEEPING_CREDENTIAL, OTHER), -EIO);
        CHECK_EQ(store_keeping(lab.alice.store), KEEPING_FILE);
        check_secrets(&lab.alice);
        reopen_sealed(&lab, &lab.alice, MASTER);
        check_secrets(&lab.alice);
        lab_free(&lab);
}

/* Rows that somebody else has put where they are. */

static DbKey prekey_row_key(uint64_t id) {
        DbKey k = DB_KEY_NULL;

        db_key_u64(&k, id);
        return k;
}

static void copy_row(const Person *p, unsigned table, const DbKey *from, unsigned to_table,
        const DbKey *to, int flip) {
        uint8_t copy[4096];
        DbValue v;
        size_t n;

        CHECK_EQ(db_get(txn_of(p), table, from, &v), 1);
        n = v.size;
        CHECK(n <= sizeof(copy));
        memcpy(copy, v.data, n);
        if (flip >= 0)
                copy[(size_t)flip % n] ^= 1;
        CHECK_OK(db_put(txn_of(p), to_table, to, copy, n));
}

TEST(sealed_rows_cannot_be_exchanged) {
        DbKey one = prekey_row_key(1), two = prekey_row_key(2),
              meta = store_meta_key("presence-key"), contact = DB_KEY_NULL;
        uint8_t key[32];
        PrekeyRow row;
        Lab lab;

        seal_lab_new(&lab);
        seal(&lab.alice, KEEPING_FILE, MASTER);
        write_secrets(&lab.alice);
        db_key_u32(&contact, 7);
        copy_row(&lab.alice, TABLE_PREKEY, &one, TABLE_PREKEY, &two, -1);
        CHECK_EQ(prekey_get(txn_of(&lab.alice), 1, &row), 1);
        CHECK_EQ(prekey_get(txn_of(&lab.alice), 2, &row), -EUCLEAN);

        /* Of the same form, in another table. */
        copy_row(&lab.alice, TABLE_PRESENCE_KEY, &contact, TABLE_META, &meta, -1);
        CHECK_EQ(store_get_presence_key(txn_of(&lab.alice), key), -EUCLEAN);
        CHECK_EQ(store_get_contact_key(txn_of(&lab.alice), 7, key), 1);
        lab_free(&lab);
}

TEST(a_bit_of_a_sealed_row_cannot_be_changed) {
        DbKey one = prekey_row_key(1), two = prekey_row_key(2), keys = store_meta_key("keys");
        PrekeyRow row;
        DbValue v;
        size_t n;
        Lab lab;

        seal_lab_new(&lab);
        seal(&lab.alice, KEEPING_FILE, MASTER);
        write_secrets(&lab.alice);
        CHECK_EQ(db_get(txn_of(&lab.alice), TABLE_PREKEY, &one, &v), 1);
        n = v.size;
        for (size_t i = 0; i < n; i++) {
                copy_row(&lab.alice, TABLE_PREKEY, &one, TABLE_PREKEY, &two, -1);
                copy_row(&lab.alice, TABLE_PREKEY, &one, TABLE_PREKEY, &one, (int)i);
                CHECK(prekey_get(txn_of(&lab.alice), 1, &row) < 0);
                copy_row(&lab.alice, TABLE_PREKEY, &one, TABLE_PREKEY, &one, (int)i);
        }
        CHECK_EQ(prekey_get(txn_of(&lab.alice), 1, &row), 1);
        CHECK_OK(store_commit(lab.alice.store));

        /* Nor of the row with the keys: but for where it says that the key is, and what has to be
         * done yet, which is said in the open. */
        CHECK_EQ(db_get(txn_of(&lab.alice), TABLE_META, &keys, &v), 1);
        n = v.size;
        for (size_t i = 6; i < n; i++) {
                int r;

                copy_row(&lab.alice, TABLE_META, &keys, TABLE_META, &keys, (int)i);
                CHECK_OK(store_commit(lab.alice.store));
                r = store_try(&lab, &lab.alice);
                if (r >= 0)
                        r = store_unseal(lab.alice.store, MASTER);
                if (r >= 0)
                        r = prekey_get(txn_of(&lab.alice), 1, &row);
                /* A flag of a key is not what it is about. */
                CHECK(r < 0 || i == 3 + 4 + 32 + 16 + 1);
                if (!lab.alice.store)
                        break;
                copy_row(&lab.alice, TABLE_META, &keys, TABLE_META, &keys, (int)i);
                CHECK_OK(store_commit(lab.alice.store));
        }
        lab_free(&lab);
}

/* Messages */

static const char TEXT[] = "only for your eyes, and for nobody else's";

static void check_text(const Person *p, uint64_t seq) {
        Inner m = inner_at(p, own_feed(p).number, seq);

        CHECK_EQ(m.body.size, strlen(TEXT));
        CHECK_MEM(m.body.data, TEXT, strlen(TEXT));
}

TEST(messages_are_sealed_where_they_are_to_be) {
        Uuid id = uuid_number(1);
        Lab lab;

        seal_lab_new(&lab);
        seal(&lab.alice, KEEPING_FILE, MASTER);
        CHECK_OK(store_set_seal_messages(lab.alice.store, true));
        CHECK_OK(send_text(&lab.alice, 1, TEXT, NOW));
        CHECK_OK(send_text(&lab.alice, 2, TEXT, NOW));
        CHECK_OK(store_commit(lab.alice.store));
        CHECK(!file_has(lab.alice.dir, TEXT, strlen(TEXT)));
        reopen_sealed(&lab, &lab.alice, MASTER);
        check_text(&lab.alice, 1);

        /* It is known again, and can be taken back. */
        CHECK_EQ(send_text(&lab.alice, 1, TEXT, NOW), 1);
        CHECK_EQ(send_text(&lab.alice, 1, "other", NOW), -EEXIST);
        CHECK_OK(store_set_seal_messages(lab.alice.store, true));
        CHECK_EQ(store_cancel(lab.alice.store, &id, NOW), 1);
        check_text(&lab.alice, 1);
        lab_free(&lab);
}

TEST(messages_of_before_are_read_and_sealed_when_they_are_written_again) {
        Uuid id = uuid_number(1);
        DbKey k = DB_KEY_NULL;
        DbValue v;
        Lab lab;

        seal_lab_new(&lab);
        CHECK_OK(send_text(&lab.alice, 1, TEXT, NOW));
        CHECK_OK(store_commit(lab.alice.store));
        CHECK(file_has(lab.alice.dir, TEXT, strlen(TEXT)));
        seal(&lab.alice, KEEPING_FILE, MASTER);
        CHECK_OK(store_set_seal_messages(lab.alice.store, true));
        check_text(&lab.alice, 1);
        db_key_u32(&k, own_feed(&lab.alice).number);
        db_key_u64(&k, 1);
        CHECK_EQ(db_get(txn_of(&lab.alice), TABLE_ENTRY, &k, &v), 1);
        CHECK_EQ(v.data[1], 0);
        CHECK_EQ(store_cancel(lab.alice.store, &id, NOW), 1);
        CHECK_EQ(db_get(txn_of(&lab.alice), TABLE_ENTRY, &k, &v), 1);
        CHECK_EQ(v.data[1], ROW_SEALED);
        check_text(&lab.alice, 1);

        /* From now on openly again, if that is what the user wants. */
        CHECK_OK(store_set_seal_messages(lab.alice.store, false));
        CHECK_OK(send_text(&lab.alice, 2, "in the open", NOW));
        CHECK_OK(store_commit(lab.alice.store));
        CHECK(file_has(lab.alice.dir, "in the open", 11));
        lab_free(&lab);
}

TEST(messages_come_along_when_the_key_goes_elsewhere) {
        uint8_t master[STORE_KEY_SIZE] = {};
        Lab lab;

        seal_lab_new(&lab);
        seal(&lab.alice, KEEPING_FILE, MASTER);
        for (uint8_t i = 0; i < 4; i++) {
                CHECK_OK(store_set_seal_messages(lab.alice.store, true));
                CHECK_OK(send_text(&lab.alice, 1U + i, TEXT, NOW));
                master[0] = i;
                seal(&lab.alice, i % 2 ? KEEPING_FILE : KEEPING_SECRET_SERVICE, master);
        }
        reopen_sealed(&lab, &lab.alice, master);
        for (uint64_t seq = 1; seq <= 4; seq++)
                check_text(&lab.alice, seq);
        seal(&lab.alice, KEEPING_NONE, NULL);
        CHECK_OK(send_text(&lab.alice, 5, TEXT, NOW));
        CHECK_OK(store_try(&lab, &lab.alice));
        for (uint64_t seq = 1; seq <= 5; seq++)
                check_text(&lab.alice, seq);
        lab_free(&lab);
}

TEST(so_many_messages_can_be_looked_at_at_a_time) {
        Entry e[SEAL_OPENED];
        uint32_t feed;
        Inner m;
        Lab lab;

        seal_lab_new(&lab);
        seal(&lab.alice, KEEPING_FILE, MASTER);
        CHECK_OK(store_set_seal_messages(lab.alice.store, true));
        for (uint32_t i = 0; i < SEAL_OPENED; i++)
                CHECK_OK(send_text(&lab.alice, 1 + i, TEXT, NOW));
        feed = own_feed(&lab.alice).number;
        for (uint32_t i = 0; i < SEAL_OPENED; i++)
                CHECK_EQ(entry_get(txn_of(&lab.alice), feed, 1 + i, &e[i]), 1);
        for (uint32_t i = 0; i < SEAL_OPENED; i++) {
                CHECK_OK(inner_decode(e[i].inner, &m));
                CHECK_EQ(m.seq, 1 + i);
        }
        lab_free(&lab);
}

/* The memory of keys */

TEST(keys_are_in_memory_of_their_own) {
        uint8_t *p;

        CHECK_OK(crypto_init());
        p = secret_new(STORE_KEY_SIZE);
        CHECK(p && bytes_are_zero(p, STORE_KEY_SIZE));
        secret_free(p);
        CHECK(secret_equal("abc", "abc", 3) && !secret_equal("abc", "abd", 3));
        CHECK(!secret_free(NULL));
}
