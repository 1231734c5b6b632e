/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A store that is given up, and used again. */

#include "store-lab.h"

static uint64_t count_rows(Person *p) {
        uint64_t n = 0;

        for (unsigned i = 0; i < _TABLE_MAX; i++)
                n += db_count(txn_of(p), i);
        return n;
}

static void fill(Lab *lab) {
        Made m[3];

        make_chain(m, 3);
        for (size_t i = 0; i < 3; i++)
                CHECK_EQ(receive(lab, &m[i]), RECEIVED_NEW);
        CHECK_OK(send_text(&lab->bob, 77, "hi", NOW));
        CHECK_OK(store_save_identity(lab->bob.store, &lab->bob.self));
        CHECK_OK(store_set_port(lab->bob.store, 54321));
        chain_done(m, 3);
}

/* The row that says what the store is, and nothing else. */
static void check_new(Lab *lab, Person *p) {
        uint32_t number;
        Identity i;

        CHECK_EQ(count_rows(p), 1);
        CHECK_EQ(store_port(p->store), 0);
        CHECK_EQ(store_load_identity(p->store, &i), 0);
        CHECK_OK(store_next_number(p->store, "account", &number));
        CHECK_EQ(number, 1);
        person_reopen(lab, p);
        CHECK_EQ(count_rows(p), 2);
        CHECK_EQ(event_add(p->store, &(EventRow){.kind = EVENT_REPLACED}), 0);
        CHECK_OK(store_commit(p->store));
}

static bool is_in_file(Person *p, const void *what, size_t n) {
        _cleanup_(freep) char *db = fs_join(p->dir, "db");
        _cleanup_(freep) char *file = fs_join(db, "data.mdb");
        _cleanup_(freep) char *bytes = NULL;
        size_t size;

        CHECK_OK(fs_read_file(file, 16 << 20, &bytes, &size));
        return memmem(bytes, size, what, n);
}

TEST(keys_and_texts_are_not_in_the_file_any_more) {
        const uint8_t *seed;
        Lab lab;

        lab_new(&lab);
        fill(&lab);
        CHECK_OK(send_text(&lab.bob, 78, "a secret of bob's", NOW));
        CHECK_OK(store_give_up(lab.bob.store));
        CHECK_OK(store_commit(lab.bob.store));
        seed = sign_key_seed(&lab.bob.self.account);
        CHECK(is_in_file(&lab.bob, seed, KEY_SIZE));
        CHECK(is_in_file(&lab.bob, "a secret of bob's", 17));
        CHECK_OK(store_begin_anew(lab.bob.store));
        CHECK(!is_in_file(&lab.bob, seed, KEY_SIZE));
        CHECK(!is_in_file(&lab.bob, "a secret of bob's", 17));
        lab_free(&lab);
}

TEST(a_store_begins_anew) {
        Lab lab;

        lab_new(&lab);
        fill(&lab);
        CHECK(count_rows(&lab.bob) > 20);
        CHECK_OK(store_give_up(lab.bob.store));
        CHECK_OK(store_commit(lab.bob.store));
        CHECK_OK(store_begin_anew(lab.bob.store));
        check_new(&lab, &lab.bob);
        lab_free(&lab);
}

TEST(what_was_given_up_is_gone_at_the_next_start) {
        Lab lab;

        lab_new(&lab);
        fill(&lab);
        CHECK_OK(store_give_up(lab.bob.store));
        CHECK_EQ(store_is_given_up(txn_of(&lab.bob)), 1);
        person_reopen(&lab, &lab.bob);
        CHECK_EQ(store_is_given_up(txn_of(&lab.bob)), 0);
        check_new(&lab, &lab.bob);
        lab_free(&lab);
}

TEST(what_was_not_given_up_durably_stays) {
        uint64_t n;
        Lab lab;

        lab_new(&lab);
        fill(&lab);
        CHECK_OK(store_commit(lab.bob.store));
        n = count_rows(&lab.bob);
        CHECK_OK(store_give_up(lab.bob.store));
        store_fail(lab.bob.store, -EIO);
        CHECK(store_commit(lab.bob.store) < 0);
        person_reopen(&lab, &lab.bob);
        CHECK_EQ(count_rows(&lab.bob), n);
        lab_free(&lab);
}
