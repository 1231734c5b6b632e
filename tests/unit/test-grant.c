/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who gets over a link what contacts get. */

#include "test.h"

#include "far-lab.h"
#include "store/presence-key.h"
#include "wire/mail.h"

static void set_key(World *w, uint8_t n) {
        uint8_t key[BOX_KEY_SIZE] = {n};

        CHECK_OK(store_set_presence_key(w->bob.store, key));
        CHECK_OK(store_commit(w->bob.store));
}

/* As chat/ does when somebody is accepted, or blocked. */
static void set_flags(World *w, uint8_t flags) {
        CHECK_OK(contact_set_flags(w->bob.store, person_account(&w->alice), flags, 0));
        delivery_wake(w->bob.delivery, person_account(&w->alice));
        CHECK_OK(store_commit(w->bob.store));
}

static void check_grant(World *w, uint8_t key) {
        Frame f = far_take(&w->far, FRAME_GRANT);
        DepositToken token;
        Grant g;

        CHECK_OK(grant_decode(&f, &g));
        CHECK_OK(deposit_token_decode(g.deposit_token, &token));
        CHECK(key_equal(token.account, sign_key_public(&w->bob.self.account)));
        CHECK(token.expires > loop_realtime(w->sim.loop));
        CHECK_EQ(g.presence_key.size, BOX_KEY_SIZE);
        CHECK_EQ(g.presence_key.data[0], key);
}

static void check_silent(World *w) {
        CHECK(far_is_served(&w->far));
        CHECK(!far_has(&w->far, FRAME_GRANT));
}

TEST(a_stranger_gets_nothing_until_accepted) {
        World w;

        world_new(&w, 0);
        set_key(&w, 7);
        delivery_grant_anew(w.bob.delivery);
        check_silent(&w);
        set_flags(&w, CONTACT_PINNED);
        check_grant(&w, 7);
        set_flags(&w, 0);
        check_silent(&w); /* once */
        world_free(&w);
}

TEST(another_key_is_given_to_those_who_are_there) {
        World w;

        world_new(&w, CONTACT_PINNED);
        set_key(&w, 7);
        check_silent(&w);
        delivery_grant_anew(w.bob.delivery);
        check_grant(&w, 7);
        set_key(&w, 8);
        delivery_grant_anew(w.bob.delivery);
        check_grant(&w, 8);
        check_silent(&w);
        world_free(&w);
}

TEST(somebody_blocked_gets_nothing) {
        World w;

        world_new(&w, CONTACT_PINNED);
        set_key(&w, 7);
        CHECK_OK(contact_set_flags(w.bob.store, person_account(&w.alice), CONTACT_BLOCKED, 0));
        delivery_grant_anew(w.bob.delivery);
        check_silent(&w);
        world_free(&w);
}

/* What another gives is kept, and what is no key of that size is not. */
TEST(what_a_contact_gives_is_kept) {
        static const uint8_t key[BOX_KEY_SIZE] = {9};
        uint8_t kept[BOX_KEY_SIZE];
        Contact alice;
        World w;

        world_new(&w, CONTACT_PINNED);
        CHECK_EQ(contact_get(store_write(w.bob.store), person_account(&w.alice), &alice), 1);
        for (size_t size = BOX_KEY_SIZE - 1; size <= BOX_KEY_SIZE; size++) {
                Grant g = {.presence_key = {.data = key, .size = size}};

                far_sent(&w.far, grant_encode(far_output(&w), &g));
                check_silent(&w);
                CHECK_EQ(store_get_contact_key(store_write(w.bob.store), alice.number, kept),
                        size == BOX_KEY_SIZE);
        }
        CHECK(memcmp(kept, key, BOX_KEY_SIZE) == 0);
        world_free(&w);
}
