/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who is writing just now, over a link. */

#include "test.h"

#include "far-lab.h"

static void says(World *w, bool on) {
        far_sent(&w->far, typing_encode(far_output(w), on));
        CHECK(far_is_served(&w->far));
}

TEST(it_ends_when_it_is_said_or_not_said_again) {
        World w;

        world_new(&w, CONTACT_PINNED);
        says(&w, true);
        CHECK_EQ(w.bob.n_typing, 1);
        says(&w, false);
        CHECK_EQ(w.bob.n_typed, 1);
        says(&w, false);
        CHECK_EQ(w.bob.n_typed, 1);

        says(&w, true);
        for (int i = 0; i < 10; i++) {
                sim_run(&w.sim, TYPING_LASTS - USEC_PER_SEC);
                says(&w, true);
        }
        CHECK_EQ(w.bob.n_typing, 2);
        CHECK_EQ(w.bob.n_typed, 1);
        sim_run(&w.sim, TYPING_LASTS + USEC_PER_SEC);
        CHECK_EQ(w.bob.n_typed, 2);
        world_free(&w);
}

TEST(a_message_ends_it) {
        World w;

        world_new(&w, CONTACT_PINNED);
        says(&w, true);
        world_write(&w, "this", true);
        SIM_UNTIL(&w.sim, w.bob.n_shown == 1);
        CHECK_EQ(w.bob.n_typed, 1);
        says(&w, true);
        CHECK_EQ(w.bob.n_typing, 2);
        world_free(&w);
}

TEST(it_ends_with_the_link) {
        World w;

        world_new(&w, CONTACT_PINNED);
        says(&w, true);
        far_free(&w.far);
        SIM_UNTIL(&w.sim, w.bob.n_down == 1);
        CHECK_EQ(w.bob.n_typed, 1);

        world_link(&w);
        says(&w, true);
        delivery_block(w.bob.delivery, person_account(&w.alice));
        CHECK_EQ(w.bob.n_typed, 2);

        world_link(&w);
        says(&w, true);
        delivery_stop(w.bob.delivery);
        CHECK_EQ(w.bob.n_typed, 3);
        world_free(&w);
}

TEST(strangers_and_crowds_of_it_are_not_heard) {
        World w;

        world_new(&w, 0);
        says(&w, true);
        CHECK_EQ(w.bob.n_typing, 0);
        world_free(&w);

        world_new(&w, CONTACT_PINNED);
        for (int i = 0; i < 1000; i++)
                far_sent(&w.far, typing_encode(far_output(&w), i % 2 == 0));
        CHECK(far_is_served(&w.far));
        CHECK(w.bob.n_typing > 10 && w.bob.n_typing < 50);
        CHECK_EQ(w.bob.n_down, 0);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(w.bob.n_typed, w.bob.n_typing);
        says(&w, true);
        CHECK_EQ(w.bob.n_typing, w.bob.n_typed + 1);
        world_free(&w);
}

/* The other way round */

static void type(World *w, bool on) {
        delivery_type(w->bob.delivery, person_account(&w->alice), on);
}

static bool hears(World *w, bool expected) {
        bool on;
        Frame f;

        CHECK(far_is_served(&w->far));
        if (!far_has(&w->far, FRAME_TYPING))
                return false;
        f = far_take(&w->far, FRAME_TYPING);
        CHECK_OK(typing_decode(&f, &on));
        CHECK_EQ(on, expected);
        return true;
}

static void begin(World *w, uint8_t flags, bool takes, bool says) {
        world_new(w, flags);
        w->takes_typing = takes;
        world_link(w);
        delivery_set_settings(
                w->bob.delivery, &(DeliverySettings){.handshake = 10, .say_typing = says});
}

TEST(it_is_said_once_and_again_after_a_while) {
        World w;

        begin(&w, CONTACT_PINNED, true, true);
        type(&w, true);
        CHECK(hears(&w, true));
        type(&w, true);
        CHECK(!hears(&w, true));
        sim_run(&w.sim, TYPING_LASTS / 2);
        type(&w, true);
        CHECK(hears(&w, true));
        type(&w, false);
        CHECK(hears(&w, false));
        type(&w, false);
        CHECK(!hears(&w, false));
        type(&w, true);
        CHECK(hears(&w, true));
        (void)stack_send(&w.bob, &w.alice, "this");
        type(&w, true);
        CHECK(hears(&w, true));

        for (int i = 0; i < 1000; i++)
                type(&w, i % 2 == 0);
        for (unsigned n = 0;; n++) {
                CHECK(n < 100);
                if (!hears(&w, n % 2 != 0))
                        break;
        }
        world_free(&w);
}

TEST(it_is_said_to_nobody_else) {
        World w;

        begin(&w, CONTACT_PINNED, false, true);
        type(&w, true);
        CHECK(!hears(&w, true));
        world_free(&w);

        begin(&w, CONTACT_PINNED, true, false);
        type(&w, true);
        CHECK(!hears(&w, true));
        world_free(&w);

        begin(&w, 0, true, true);
        type(&w, true);
        CHECK(!hears(&w, true));
        far_free(&w.far);
        SIM_UNTIL(&w.sim, w.bob.n_down > 0);
        type(&w, true); /* and he is not called for it */
        world_free(&w);
}
