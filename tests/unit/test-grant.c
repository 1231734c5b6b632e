/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who gets over a link what contacts get, and who hears what somebody says of himself. */

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

/* Presence */

static void say_presence(const Person *who, Presence presence, const char *note, uint64_t seq,
        const SignKey *device, Buffer *out) {
        PresenceRecord p = {.epoch = who->epoch, .presence = presence, .seq = seq};

        memcpy(p.account, person_account(who), KEY_SIZE);
        memcpy(p.device, sign_key_public(device), KEY_SIZE);
        p.note = text_bytes(note);
        buffer_clear(out);
        CHECK_OK(presence_encode(&p, device, out));
}

/* Bob has news of himself; any bytes will do. */
static void publish(World *w, const char *presence) {
        delivery_set_presence(w->bob.delivery, text_bytes(presence));
}

static bool hears(World *w, const char *presence) {
        Frame f = far_take(&w->far, FRAME_ANNOUNCE);
        Bytes said;

        CHECK_OK(announce_decode(&f, &said));
        return bytes_equal(said, text_bytes(presence));
}

TEST(contacts_hear_news_at_once_and_nobody_else_does) {
        World w;

        world_new(&w, 0);
        publish(&w, "first");
        CHECK(far_is_served(&w.far));
        CHECK(!far_has(&w.far, FRAME_ANNOUNCE));
        set_flags(&w, CONTACT_PINNED);
        CHECK(hears(&w, "first"));
        publish(&w, "second");
        CHECK(hears(&w, "second"));
        CHECK_OK(contact_unpin(w.bob.store, person_account(&w.alice)));
        publish(&w, "third");
        CHECK(far_is_served(&w.far));
        CHECK(!far_has(&w.far, FRAME_ANNOUNCE));
        world_free(&w);
}

/* Whoever blocks many gives a key for each of them, and is turned away for too many presences. */
TEST(with_another_key_nothing_is_said_again) {
        World w;

        world_new(&w, CONTACT_PINNED);
        publish(&w, "first");
        CHECK(hears(&w, "first"));
        set_key(&w, 7);
        delivery_grant_anew(w.bob.delivery);
        check_grant(&w, 7);
        CHECK(far_is_served(&w.far));
        CHECK(!far_has(&w.far, FRAME_ANNOUNCE));
        world_free(&w);
}

static Bytes greeted_with(World *w) {
        HelloOk ok;

        world_greet(w, &ok);
        return ok.presence;
}

TEST(strangers_are_not_greeted_with_what_is_for_contacts) {
        World w;

        world_new(&w, 0);
        publish(&w, "presence");
        CHECK(bytes_equal(greeted_with(&w), text_bytes("presence")));
        delivery_set_settings(
                w.bob.delivery, &(DeliverySettings){.handshake = 10, .hide_presence = true});
        CHECK_EQ(greeted_with(&w).size, 0);
        set_flags(&w, CONTACT_PINNED);
        CHECK(bytes_equal(greeted_with(&w), text_bytes("presence")));
        world_free(&w);
}

static void announce(World *w, Presence presence, const char *note, uint64_t seq) {
        _cleanup_(buffer_done) Buffer said = BUFFER_NULL;

        say_presence(&w->alice, presence, note, seq, &w->alice.device, &said);
        far_sent(&w->far, announce_encode(far_output(w), buffer_bytes(&said)));
}

TEST(what_a_contact_says_of_himself_is_known) {
        const KnownPresence *known;
        unsigned n;
        World w;

        world_new(&w, CONTACT_PINNED);
        n = w.bob.n_up;
        announce(&w, PRESENCE_BUSY, "a\nb\033", 5);
        CHECK(far_is_served(&w.far));
        known = directory_presence(w.bob.directory, person_account(&w.alice));
        CHECK(known && known->announced == PRESENCE_BUSY);
        CHECK_STR(known->note, "a?b?");
        CHECK(!known->online); /* no tracker says so */
        CHECK_EQ(w.bob.n_up, n + 1);

        /* What is older changes nothing. */
        announce(&w, PRESENCE_AWAY, "", 4);
        CHECK(far_is_served(&w.far));
        CHECK_EQ(known->announced, PRESENCE_BUSY);
        CHECK_EQ(w.bob.n_up, n + 1);
        world_free(&w);
}

TEST(what_another_device_says_ends_the_link) {
        _cleanup_(buffer_done) Buffer said = BUFFER_NULL;
        World w;

        world_new(&w, CONTACT_PINNED);
        say_presence(&w.alice, PRESENCE_BUSY, "", 5, &w.bob.who.device, &said);
        far_sent(&w.far, announce_encode(far_output(&w), buffer_bytes(&said)));
        SIM_UNTIL(&w.sim, w.bob.n_down == 1);
        CHECK(!directory_presence(w.bob.directory, person_account(&w.alice)));
        world_free(&w);
}

TEST(who_announces_without_end_is_turned_away) {
        uint64_t n = 0;
        Refusal x;
        Frame f;
        World w;

        world_new(&w, CONTACT_PINNED);
        while (w.bob.n_down == 0) {
                announce(&w, n % 2 ? PRESENCE_BUSY : PRESENCE_AWAY, "", n + 1);
                sim_run(&w.sim, USEC_PER_SEC / 2);
                CHECK(++n < 200);
        }
        CHECK(n > 20);
        f = far_take(&w.far, FRAME_BYE);
        CHECK_OK(refusal_decode(&f, &x));
        CHECK_EQ(x.code, CODE_RATE_LIMITED);
        world_free(&w);
}
