/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Links with real TLS between pools, and between a pool and an end that does not behave. */

#include "test.h"

#include "link-lab.h"

/* Bob has a link with Carol, which nothing that Mallory does may touch. */
typedef struct World {
        Sim sim;
        Person bob, carol, mallory;
        Side b, c;
} World;

static void world_new(World *w) {
        sim_new(&w->sim, 1);
        person_new(&w->sim, "bob", &w->bob);
        person_new(&w->sim, "carol", &w->carol);
        person_new(&w->sim, "mallory", &w->mallory);
        side_new(&w->bob, &w->b);
        side_new(&w->carol, &w->c);
        sides_join(&w->c, &w->b);
}

static void check_carol(World *w) {
        unsigned n = w->c.n_frames;
        Link *l = link_find(w->b.pool, person_account(&w->carol));

        CHECK_EQ(w->c.n_closed, 0);
        CHECK(l);
        CHECK_OK(
                message_encode(link_output(l), &(MessageFrame){.inner = text_bytes("still here")}));
        link_queued(l);
        SIM_UNTIL(&w->sim, w->c.n_frames == n + 1);
}

static void world_free(World *w) {
        check_carol(w);
        side_free(&w->b);
        side_free(&w->c);
        person_done(&w->bob);
        person_done(&w->carol);
        person_done(&w->mallory);
        sim_free(&w->sim);
}

/* Good links */

TEST(two_pools_talk) {
        Bytes hi = text_bytes("hi"), ho = text_bytes("ho");
        World w;

        world_new(&w);
        CHECK(link_is_outgoing(w.c.link) && !link_is_outgoing(w.b.link));
        CHECK(key_equal(link_account(w.b.link), person_account(&w.carol)));
        CHECK_EQ(link_pool_count_open(w.b.pool), 1);
        side_send(&w.c, hi);
        side_send(&w.b, ho);
        SIM_UNTIL(&w.sim, w.b.n_frames && w.c.n_frames);
        CHECK(memcmp(buffer_data(&w.b.received), "hi", 2) == 0);
        CHECK(memcmp(buffer_data(&w.c.received), "ho", 2) == 0);
        world_free(&w);
}

TEST(the_owner_decides_when_a_link_opens) {
        Far f;
        Hello h;
        World w;

        world_new(&w);
        h = person_hello(&w.mallory);
        w.b.holds = true;
        pipe_unref(far_with(&f, &w.mallory, &w.b, TLS_CLIENT));
        far_send_hello(&f, &h);
        far_sent(&f, hello_ok_encode(conn_output(f.conn), &(HelloOk){}));
        SIM_UNTIL(&w.sim, w.b.n_hello == 2);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK(!f.is_closed && w.b.n_open == 1);
        link_confirm(w.b.asked, &(HelloOk){});
        CHECK_EQ(w.b.n_open, 2);
        far_take(&f, FRAME_HELLO_OK);
        far_free(&f);
        SIM_UNTIL(&w.sim, w.b.n_closed == 1);

        w.b.refuse = CODE_BLOCKED;
        pipe_unref(far_with(&f, &w.mallory, &w.b, TLS_CLIENT));
        far_send_hello(&f, &h);
        CHECK_EQ(far_bye(&f), CODE_BLOCKED);
        far_free(&f);
        CHECK_EQ(w.b.n_closed, 1); /* its owner knows */
        world_free(&w);
}

TEST(what_is_said_with_bye_is_heard) {
        Far f;
        World w;

        world_new(&w);
        far_link(&f, &w.mallory, &w.b, TLS_SERVER);
        far_sent(
                &f, bye_encode(conn_output(f.conn), CODE_REPLACED, "on another device", (Bytes){}));
        SIM_UNTIL(&w.sim, w.b.n_closed == 1);
        CHECK_EQ(w.b.code, CODE_REPLACED);
        CHECK_STR(w.b.text, "on another device");
        far_free(&f);
        world_free(&w);
}

/* Greetings that do not hold */

static Code said_with_bye(World *w, const Person *who, const Hello *h, TlsRole role) {
        unsigned n = w->b.n_hello;
        Code code;
        Far f;

        pipe_unref(far_with(&f, who, &w->b, role));
        far_send_hello(&f, h);
        code = far_bye(&f);
        far_free(&f);
        CHECK_EQ(w->b.n_hello, n); /* the owner was not asked */
        if (role == TLS_SERVER)
                CHECK_EQ(w->b.code, code); /* but knows what became of his dialling */
        check_carol(w);
        return code;
}

static Code refused(World *w, const Person *who, const Hello *h) {
        Code code = said_with_bye(w, who, h, TLS_CLIENT);

        CHECK_EQ(w->b.n_closed, 0);
        CHECK_EQ(said_with_bye(w, who, h, TLS_SERVER), code);
        CHECK_EQ(w->b.n_closed, 1);
        w->b.n_closed = 0;
        return code;
}

TEST(a_certificate_of_another_device) {
        Person other;
        Hello h;
        World w;

        world_new(&w);
        person_on_device(&w.mallory, 2, &other);
        h = person_hello(&other);
        CHECK_EQ(refused(&w, &w.mallory, &h), CODE_INVALID_ARGS);
        h = person_hello(&w.carol); /* hers, word for word */
        CHECK_EQ(said_with_bye(&w, &w.mallory, &h, TLS_CLIENT), CODE_INVALID_ARGS);
        person_done(&other);
        world_free(&w);
}

TEST(a_certificate_or_record_that_has_expired) {
        Hello h;
        World w;

        world_new(&w);
        person_sign(&w.mallory, USEC_PER_HOUR);
        h = person_hello(&w.mallory);
        loop_virtual_step_realtime(w.sim.loop, USEC_PER_HOUR);
        CHECK_EQ(refused(&w, &w.mallory, &h), CODE_EXPIRED);
        person_sign(&w.mallory, USEC_PER_DAY);
        person_sign_record(&w.mallory, 1);
        loop_virtual_step_realtime(w.sim.loop, 1);
        h = person_hello(&w.mallory);
        CHECK_EQ(refused(&w, &w.mallory, &h), CODE_EXPIRED);
        world_free(&w);
}

/* Signs the body of Mallory's certificate anew, with another account where ACCOUNT is given. */
static Buffer forge_certificate(
        const Person *p, const uint8_t *account, const SignKey *signer, const SignKey *counter) {
        _cleanup_(buffer_done) Buffer body = BUFFER_NULL;
        Buffer out = BUFFER_NULL;
        Signed s;

        CHECK_OK(signed_decode(p->local.certificate, &s));
        CHECK_OK(buffer_append(&body, s.body.data, s.body.size));
        if (account) {
                uint8_t *at =
                        memmem(buffer_data(&body), buffer_size(&body), person_account(p), KEY_SIZE);

                CHECK(at);
                memcpy(at, account, KEY_SIZE);
        }
        CHECK_OK(signed_encode(&out, SIGN_DEVICE, buffer_bytes(&body), signer, counter));
        return out;
}

TEST(a_certificate_that_is_not_signed_as_it_should_be) {
        static const uint8_t small_order[KEY_SIZE] = {1};
        const Person *m;
        Buffer forged[5];
        Hello h;
        World w;

        world_new(&w);
        m = &w.mallory;
        forged[0] = forge_certificate(m, NULL, &m->account, NULL); /* no counter-signature */
        forged[1] = forge_certificate(m, NULL, &w.carol.account, &m->device);
        forged[2] = forge_certificate(m, NULL, &m->account, &m->account);
        /* Her device, said to be Carol's; and an account for which any signature holds. */
        forged[3] = forge_certificate(m, person_account(&w.carol), &m->account, &m->device);
        forged[4] = forge_certificate(m, small_order, &m->account, &m->device);
        for (size_t i = 0; i < ELEMENTSOF(forged); i++) {
                h = person_hello(m);
                h.certificate = buffer_bytes(&forged[i]);
                CHECK_EQ(refused(&w, m, &h), CODE_INVALID_ARGS);
                buffer_done(&forged[i]);
        }
        h = person_hello(m);
        h.certificate = (Bytes){};
        CHECK_EQ(refused(&w, m, &h), CODE_INVALID_ARGS);
        world_free(&w);
}

TEST(a_record_of_somebody_else) {
        Person other;
        Hello h;
        World w;

        world_new(&w);
        h = person_hello(&w.mallory);
        h.record = w.carol.local.record;
        CHECK_EQ(refused(&w, &w.mallory, &h), CODE_INVALID_ARGS);
        person_on_device(&w.mallory, 2, &other); /* the same account's other device */
        h.record = other.local.record;
        CHECK_EQ(refused(&w, &w.mallory, &h), CODE_INVALID_ARGS);
        h.record = (Bytes){};
        CHECK_EQ(refused(&w, &w.mallory, &h), CODE_INVALID_ARGS);
        h = person_hello(&w.mallory);
        buffer_data(&w.mallory.record)[buffer_size(&w.mallory.record) - 1] ^= 1;
        CHECK_EQ(refused(&w, &w.mallory, &h), CODE_INVALID_ARGS);
        person_done(&other);
        world_free(&w);
}

TEST(who_expects_somebody_else_or_is_not_who_was_dialled) {
        Transport *ends[2];
        Hello h;
        World w;
        Link *l;
        Far f;

        world_new(&w);
        h = person_hello(&w.mallory);
        h.expects = true;
        memcpy(h.expected, person_account(&w.carol), KEY_SIZE);
        CHECK_EQ(refused(&w, &w.mallory, &h), CODE_KEY_CHANGED);

        h = person_hello(&w.mallory); /* Bob believes to dial somebody else there */
        pipe_unref(wire_new(&w.sim, &ordinary, ends));
        far_begin(&f, &w.mallory, TLS_SERVER, LINK_ALPN, ends[0]);
        CHECK_OK(link_dialled(w.b.pool, ends[1], person_account(&w.carol), &l));
        far_send_hello(&f, &h);
        CHECK_EQ(far_bye(&f), CODE_KEY_CHANGED);
        CHECK_EQ(w.b.code, CODE_KEY_CHANGED);
        far_free(&f);
        world_free(&w);
}

TEST(the_own_device_and_no_version_in_common) {
        Hello h;
        World w;

        world_new(&w);
        h = person_hello(&w.bob); /* itself, through a router that sends it back */
        CHECK_EQ(said_with_bye(&w, &w.bob, &h, TLS_CLIENT), CODE_NOT_ALLOWED);
        h = person_hello(&w.mallory);
        h.versions[0] = 2;
        CHECK_EQ(refused(&w, &w.mallory, &h), CODE_NOT_SUPPORTED);
        world_free(&w);
}

/* Frames that do not hold */

/* The link ends, with these bytes said after an open link. */
static void ends_link(World *w, const void *p, size_t n, const char *text) {
        unsigned closed = w->b.n_closed, frames = w->b.n_frames;
        Far f;

        far_link(&f, &w->mallory, &w->b, TLS_CLIENT);
        far_send_bytes(&f, p, n);
        SIM_UNTIL(&w->sim, f.is_closed);
        CHECK_EQ(w->b.n_closed, closed + 1);
        CHECK_EQ(w->b.n_frames, frames);
        CHECK_STR(w->b.text, text);
        far_free(&f);
        check_carol(w);
}

TEST(frames_that_end_a_link) {
        World w;

        world_new(&w);
        ends_link(&w, "\x00\x02\x00\x01\xa1\x00\x10", 7, "a frame was larger than its type allows");
        ends_link(&w, "\xff\xff\xff\xff\xa1\x00\x10", 7, "a frame was larger than its type allows");
        ends_link(&w, "\0\0\0\x04\xa1\x00\x18\x03", 8, "a frame was not in canonical form");
        ends_link(&w, "\0\0\0\x05\xa2\x00\x03\x01\x00", 9, "a frame was not in canonical form");
        ends_link(&w, "\0\0\0\x03\x83\x00\x03", 7, "a frame was not in canonical form");
        ends_link(&w, "\0\0\0\0", 4, "a frame was not in canonical form");
        ends_link(&w, "\0\0\0\x04\xa1\x00\x18\x7f", 8, "a frame was of an unknown type");
        /* MESSAGE with a key below 64 that nobody knows, and one without what it is for */
        ends_link(&w, "\0\0\0\x08\xa3\x00\x10\x03\x41x\x09\x00", 12,
                "a frame was not in canonical form");
        ends_link(&w, "\0\0\0\x03\xa1\x00\x10", 7, "a frame was not in canonical form");
        /* more after the map */
        ends_link(&w, "\0\0\0\x04\xa1\x00\x04\x00", 8, "a frame was not in canonical form");
        world_free(&w);
}

TEST(unknown_types_that_may_be_ignored_are) {
        Far f;
        World w;

        world_new(&w);
        far_link(&f, &w.mallory, &w.b, TLS_CLIENT);
        far_send_bytes(&f, "\0\0\0\x04\xa1\x00\x18\xff", 8);
        far_send_bytes(&f, "\0\0\0\x08\xa2\x00\x19\xff\xff\x18\x63\x00", 12);
        CHECK(far_is_served(&f));
        CHECK_EQ(w.b.n_frames, 0);
        far_free(&f);
        world_free(&w);
}

TEST(a_frame_that_is_cut_off_is_none) {
        Far f;
        World w;

        world_new(&w);
        far_link(&f, &w.mallory, &w.b, TLS_CLIENT);
        far_send_bytes(&f, "\0\0\0\x10\xa2\x00\x10\x03\x41x", 10);
        sim_run(&w.sim, USEC_PER_SEC);
        CHECK_EQ(w.b.n_closed, 0);
        f.conn = conn_shutdown(f.conn);
        SIM_UNTIL(&w.sim, w.b.n_closed == 1);
        CHECK_EQ(w.b.n_frames, 0);
        far_free(&f);
        world_free(&w);
}

/* What is sent before its time. */
static void ends_handshake(World *w, bool hello, FrameType type, bool twice) {
        Hello h = person_hello(&w->mallory);
        unsigned n = w->b.n_open;
        Buffer *out;
        Far f;

        w->b.holds = true;
        pipe_unref(far_with(&f, &w->mallory, &w->b, TLS_CLIENT));
        SIM_UNTIL(&w->sim, f.is_open);
        out = conn_output(f.conn);
        if (hello)
                far_sent(&f, hello_encode(out, &h));
        for (int i = 0; i < 1 + twice; i++)
                if (type == FRAME_HELLO)
                        far_sent(&f, hello_encode(out, &h));
                else if (type == FRAME_HELLO_OK)
                        far_sent(&f, hello_ok_encode(out, &(HelloOk){}));
                else if (type == FRAME_MESSAGE)
                        far_sent(
                                &f, message_encode(out, &(MessageFrame){.inner = text_bytes("x")}));
                else
                        far_send_empty(&f, type, 0);
        SIM_UNTIL(&w->sim, f.is_closed);
        CHECK_EQ(w->b.n_frames, 0);
        CHECK_EQ(w->b.n_open, n);
        far_free(&f);
        w->b.holds = false;
        check_carol(w);
}

TEST(everything_in_its_turn) {
        World w;

        world_new(&w);
        ends_handshake(&w, true, FRAME_HELLO, false); /* twice */
        ends_handshake(&w, false, FRAME_HELLO_OK, false);
        ends_handshake(&w, true, FRAME_HELLO_OK, true); /* twice */
        ends_handshake(&w, false, FRAME_MESSAGE, false);
        ends_handshake(&w, true, FRAME_MESSAGE, false);
        for (int hello = 0; hello < 2; hello++) {
                ends_handshake(&w, hello, FRAME_PING, false);
                ends_handshake(&w, hello, FRAME_PONG, false);
                ends_handshake(&w, hello, FRAME_IGNORABLE, false);
        }
        world_free(&w);
}

/* Time */

TEST(who_says_nothing_is_sent_away) {
        Transport *ends[2];
        usec_t start;
        Pipe *silent, *tls;
        Far f;
        World w;

        world_new(&w);
        start = loop_now(w.sim.loop);
        silent = wire_new(&w.sim, &ordinary, ends); /* not even TLS */
        link_accept(w.b.pool, ends[1]);
        tls = far_with(&f, &w.mallory, &w.b, TLS_CLIENT); /* no HELLO */
        sim_run(&w.sim, HANDSHAKE * USEC_PER_SEC - 1);
        CHECK(!pipe_is_over(silent) && !pipe_is_over(tls));
        SIM_UNTIL(&w.sim, f.is_closed && pipe_is_over(silent) && pipe_is_over(tls));
        CHECK(loop_now(w.sim.loop) < start + (HANDSHAKE + 1) * USEC_PER_SEC);
        transport_free(ends[0]);
        pipe_unref(silent);
        pipe_unref(tls);
        far_free(&f);
        CHECK_EQ(w.b.n_closed, 0); /* the owner never heard of them */
        world_free(&w);
}

/* The own program has stood still, and the other end's HELLO is there. */
TEST(who_has_spoken_in_time_is_heard) {
        Hello h;
        World w;
        Far f;

        world_new(&w);
        h = person_hello(&w.mallory);
        pipe_unref(far_with(&f, &w.mallory, &w.b, TLS_CLIENT));
        far_send_hello(&f, &h);
        sim_run(&w.sim, 1);
        CHECK(!far_has(&f, FRAME_HELLO_OK));
        loop_virtual_stall(w.sim.loop, 2 * HANDSHAKE * USEC_PER_SEC);
        far_take(&f, FRAME_HELLO_OK);
        far_free(&f);
        world_free(&w);
}

TEST(who_never_says_hello_ok_is_sent_away) {
        usec_t asked;
        Hello h;
        World w;
        Far f;

        world_new(&w);
        h = person_hello(&w.mallory);
        pipe_unref(far_with(&f, &w.mallory, &w.b, TLS_CLIENT));
        far_send_hello(&f, &h);
        far_take(&f, FRAME_HELLO_OK);
        asked = loop_now(w.sim.loop);
        sim_run(&w.sim, (HANDSHAKE - 1) * USEC_PER_SEC);
        CHECK(!f.is_closed);
        CHECK_EQ(far_bye(&f), CODE_TIMEOUT);
        CHECK(loop_now(w.sim.loop) < asked + (HANDSHAKE + 1) * USEC_PER_SEC);
        CHECK_EQ(w.b.n_open, 1);
        CHECK_EQ(w.b.n_closed, 1);
        far_free(&f);
        world_free(&w);
}

TEST(a_silent_peer_is_gone_after_two_and_a_half_heartbeats) {
        usec_t heard, interval;
        World w;
        Far f;

        world_new(&w);
        interval = w.bob.local.heartbeat * USEC_PER_SEC;
        far_link(&f, &w.mallory, &w.b, TLS_CLIENT);
        f.answers = false;
        heard = loop_now(w.sim.loop);
        far_take(&f, FRAME_PING);
        CHECK(loop_now(w.sim.loop) > heard + interval * 8 / 10);
        CHECK(loop_now(w.sim.loop) < heard + interval * 12 / 10);
        loop_virtual_run(w.sim.loop, heard + interval * 5 / 2 - 1 - loop_now(w.sim.loop));
        CHECK_EQ(w.b.n_closed, 0);
        sim_run(&w.sim, 10 * USEC_PER_MSEC);
        CHECK_EQ(w.b.n_closed, 1);
        CHECK_EQ(w.b.code, CODE_TIMEOUT);
        CHECK_EQ(far_bye(&f), CODE_TIMEOUT);
        far_free(&f);
        world_free(&w);
}

TEST(who_answers_pings_may_be_quiet_for_hours) {
        World w;
        Far f;

        world_new(&w);
        far_link(&f, &w.mallory, &w.b, TLS_SERVER);
        sim_run(&w.sim, 5 * USEC_PER_HOUR);
        CHECK_EQ(w.b.n_closed, 0);
        far_send_empty(&f, FRAME_PING, 12345);
        CHECK_EQ(far_take(&f, FRAME_PONG).request, 12345);
        far_free(&f);
        world_free(&w);
}

TEST(the_larger_heartbeat_counts) {
        Hello h;
        World w;
        Far f;

        world_new(&w);
        h = person_hello(&w.mallory);
        h.heartbeat = 300;
        pipe_unref(far_with(&f, &w.mallory, &w.b, TLS_CLIENT));
        far_send_hello(&f, &h);
        far_sent(&f, hello_ok_encode(conn_output(f.conn), &(HelloOk){}));
        far_take(&f, FRAME_HELLO_OK);
        f.answers = false;
        sim_run(&w.sim, 260 * USEC_PER_SEC);
        CHECK(!far_has(&f, FRAME_PING));
        sim_run(&w.sim, 489 * USEC_PER_SEC);
        CHECK(far_has(&f, FRAME_PING) && !f.is_closed);
        CHECK_EQ(far_bye(&f), CODE_TIMEOUT);
        far_free(&f);
        world_free(&w);
}

TEST(a_heartbeat_that_changes_holds_for_the_link) {
        World w;
        Far f;

        world_new(&w);
        far_link(&f, &w.mallory, &w.b, TLS_CLIENT);
        w.bob.local.heartbeat = 300;
        sim_run(&w.sim, USEC_PER_HOUR); /* it is looked at with the next PINGs */
        f.answers = false;
        far_send_empty(&f, FRAME_PING, 1);
        far_take(&f, FRAME_PONG);
        sim_run(&w.sim, 745 * USEC_PER_SEC);
        CHECK_EQ(w.b.n_closed, 0);
        sim_run(&w.sim, 10 * USEC_PER_SEC);
        CHECK_EQ(w.b.n_closed, 1);
        far_free(&f);
        world_free(&w);
}
