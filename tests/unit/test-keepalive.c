/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "net/keepalive.h"

#define I (30 * USEC_PER_SEC)
#define START (1000 * USEC_PER_SEC)

TEST(a_busy_connection_is_left_alone) {
        usec_t now = START;
        Keepalive k;

        keepalive_start(&k, I, I, now);
        for (int i = 0; i < 100; i++) {
                now = k.next;
                CHECK_EQ(keepalive_step(&k, now - 1, I, now), KEEPALIVE_WAIT);
                CHECK_EQ(k.next, now - 1 + I);
        }
}

TEST(silence_is_answered_by_one_ping_and_then_the_end) {
        Keepalive k;

        keepalive_start(&k, I, I, START);
        CHECK_EQ(keepalive_step(&k, START, I, START + I - 1), KEEPALIVE_WAIT);
        CHECK_EQ(keepalive_step(&k, START, I, START + I), KEEPALIVE_PING);
        CHECK_EQ(k.next, START + I * 5 / 2);
        CHECK_EQ(keepalive_step(&k, START, I, k.next - 1), KEEPALIVE_WAIT);
        CHECK_EQ(keepalive_step(&k, START, I, k.next), KEEPALIVE_GONE);
}

TEST(any_byte_after_the_ping_saves_it) {
        usec_t heard;
        Keepalive k;

        keepalive_start(&k, I, I, START);
        CHECK_EQ(keepalive_step(&k, START, I, START + I), KEEPALIVE_PING);
        heard = START + I + 5;
        CHECK_EQ(keepalive_step(&k, heard, I, k.next), KEEPALIVE_PING);
        heard = k.next - 1;
        CHECK_EQ(keepalive_step(&k, heard, I, k.next), KEEPALIVE_WAIT);
        CHECK_EQ(k.next, heard + I);
        CHECK_EQ(keepalive_step(&k, heard, I, k.next), KEEPALIVE_PING);
}

TEST(jitter_moves_the_ping_and_not_the_end) {
        Keepalive k;

        keepalive_start(&k, I, I * 11 / 10, START);
        CHECK_EQ(keepalive_step(&k, START, I, START + I), KEEPALIVE_WAIT);
        CHECK_EQ(keepalive_step(&k, START, I, START + I * 11 / 10), KEEPALIVE_PING);
        CHECK_EQ(k.next, START + I * 5 / 2);
}

TEST(time_the_own_loop_lost_does_not_count) {
        Keepalive k;

        /* Stood still from before the ping until long after the end: there was no ping yet. */
        keepalive_start(&k, I, I, START);
        CHECK_EQ(keepalive_step(&k, START, I, START + 10 * I), KEEPALIVE_PING);
        CHECK_EQ(k.next, START + 11 * I);

        /* Once more before the end: what came in meanwhile has not been read yet. */
        CHECK_EQ(keepalive_step(&k, START, I, START + 20 * I), KEEPALIVE_WAIT);
        CHECK_EQ(k.next, START + 20 * I + I / 2);
        CHECK_EQ(keepalive_step(&k, START, I, k.next), KEEPALIVE_GONE);
}

TEST(who_is_asked_has_a_moment_to_answer) {
        usec_t asked = START + 3 * USEC_PER_SEC, stale = asked + USEC_PER_MSEC;
        Keepalive k;

        /* What had come before is read only now. */
        keepalive_start(&k, I, I, START);
        keepalive_ask(&k, asked);
        CHECK(k.next > asked && k.next <= asked + 5 * USEC_PER_SEC);
        CHECK_EQ(keepalive_step(&k, stale, I, k.next), KEEPALIVE_GONE);

        keepalive_start(&k, I, I, START);
        keepalive_ask(&k, asked);
        keepalive_answered(&k);
        CHECK_EQ(keepalive_step(&k, stale, I, k.next), KEEPALIVE_WAIT);
        CHECK_EQ(k.next, stale + I);

        /* The answer may be behind a lot that is on its way. */
        keepalive_start(&k, I, I, START);
        keepalive_ask(&k, asked);
        CHECK_EQ(keepalive_step(&k, k.next - 1, I, k.next), KEEPALIVE_WAIT);
        CHECK_EQ(keepalive_step(&k, k.heard, I, k.next), KEEPALIVE_PING);
}
