/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Rooms over open links: a user's store, delivery and rooms, and three connections at a time of the
 * owner of a room, an admin, a member, one who was removed, and one who was never in. Each may say
 * anything that members say to each other, whole or altered, in any order; the user joins, leaves,
 * writes, removes and deletes, and is restarted and killed. What must hold: what is shown and who
 * is in was signed by those who may, once each; what is told to be here is on disk; the digests are
 * those of what is here; who is not in learns nothing of a room; each question of the user's has
 * one answer; and nothing grows, or turns, without end.
 */

#include "room-hears.h"

/* Handlers at one time, and in a quiet hour. */
#define TURNS_AT_ONCE_MAX 4000
#define QUIET_TIME (10 * USEC_PER_MINUTE)
#define QUIET_TURNS_MAX 3000

static void hear_all(void) {
        Frame f;

        for (int i = 0; i < CONNECTIONS; i++) {
                while (raw_take(&connections[i].end, &f))
                        hear_frame(&connections[i], &f);
                if (buffer_size(&connections[i].end.out) > 0)
                        (void)raw_flush(&connections[i].end);
        }
}

/* After each turn it is looked what has been said: that must be on disk already. Returns how many
 * turns there were. */
static unsigned pass_time(usec_t time) {
        usec_t until = usec_add(loop_now(sim.loop), time), now = 0;
        unsigned n = 0, at_once = 0;

        for (int i = 0; i < CONNECTIONS; i++)
                (void)raw_flush(&connections[i].end);
        while (their_turn(sim.loop, until)) {
                at_once = loop_now(sim.loop) == now ? at_once + 1 : 0;
                now = loop_now(sim.loop);
                MUST(at_once < TURNS_AT_ONCE_MAX);
                n++;
                note_all();
                hear_all();
        }
        for (unsigned i = 0; i < ASKED_MAX; i++) {
                MUST(!joins[i].open || loop_now(sim.loop) - joins[i].at < JOIN_PATIENCE);
                MUST(!asks[i].open || loop_now(sim.loop) - asks[i].at < ASK_PATIENCE);
        }
        return n;
}

/* Links */

static Connection *free_connection(void) {
        for (int i = 0; i < CONNECTIONS; i++)
                if (!connections[i].end.transport)
                        return &connections[i];
        return NULL;
}

/* The user has dialled somebody. */
static void on_dialled(void *userdata, Transport *t) {
        FUZZ_OWN_MEMORY;
        const Person *who = userdata;
        Hello h = person_hello(who);
        Connection *c = free_connection();

        if (!c) {
                transport_free(t);
                return;
        }
        *c = (Connection){.who = who, .end.transport = t, .serves = true};
        h.features[h.n_features++] = FEATURE_ROOMS;
        raw_say_tls(&c->end, LINK_ALPN, sign_key_public(&who->device));
        MUST(hello_encode(&c->end.out, &h) == 0);
        MUST(hello_ok_encode(&c->end.out, &(HelloOk){}) == 0);
        (void)raw_flush(&c->end);
}

static void connect_to_bob(Script *in, Connection *c) {
        uint8_t how = script_u8(in);
        PipeOptions options = {
                .chunk = how >> 7 ? 100 : 0, .capacity = how & 0x40 ? 4096 : 1024 * 1024};
        Transport *t;
        Hello h;

        if (c->end.transport)
                raw_close(&c->end);
        t = raw_connect(&c->end, sim.loop, &options);
        *c = (Connection){.end = c->end,
                .who = &people[(how & 7) % _PEOPLE_MAX],
                .serves = !(how & 8),
                .mute = how & 16};
        h = person_hello(c->who);
        h.boot_nonce[0] = how >> 5 & 1;
        if (!c->mute)
                h.features[h.n_features++] = FEATURE_ROOMS;
        raw_say_tls(&c->end, LINK_ALPN, sign_key_public(&c->who->device));
        {
                FUZZ_THEIR_MEMORY;
                delivery_accept(bob.delivery, t);
        }
        MUST(hello_encode(&c->end.out, &h) == 0);
        pass_time(5 * USEC_PER_MSEC);
        if (c->end.transport)
                MUST(hello_ok_encode(&c->end.out, &(HelloOk){}) == 0);
        pass_time(5 * USEC_PER_MSEC);
}

/* Weeks, as the clock on the wall has them. */
static void step_clock(Script *in) {
        uint8_t how = script_u8(in);
        int64_t by = (int64_t)(how & 0x3f) * (int64_t)USEC_PER_HOUR * (how & 0x40 ? 24 : 1);

        loop_virtual_step_realtime(sim.loop, how & 0x80 ? -by : by);
        pass_time(USEC_PER_MSEC);
}

static void step(Script *in) {
        static void (*const frames[])(Script * in, Connection * c) = {tell_state, tell_block,
                tell_proposal, tell_entry, tell_again, tell_vector, tell_want, tell_wraps,
                tell_join, tell_refused, tell_ask, tell_offer, tell_notice, tell_fork, tell_records,
                tell_typing, tell_fork_of_log, tell_many, tell_frame};
        uint8_t op = script_u8(in), what = op & 0x1f;
        Connection *c = &connections[(op >> 5) % CONNECTIONS];

        if (what < ELEMENTSOF(frames)) {
                if (c->end.transport)
                        frames[what](in, c);
        } else
                switch (what) {
                case 19:
                case 20:
                        connect_to_bob(in, c);
                        break;
                case 21:
                        raw_close(&c->end);
                        break;
                case 22:
                        bob_restart(op & 0x20);
                        break;
                case 23 ... 26:
                        act_as_bob(in);
                        break;
                case 27:
                        step_clock(in);
                        break;
                case 28:
                        pass_time(USEC_PER_MSEC * 5);
                        break;
                default:
                        pass_time(MIN(script_time(in), 2 * USEC_PER_HOUR));
                }
}

static void run_begin(Script *in) {
        uint8_t how = script_u8(in);

        if (!people[ALICE].sim)
                make_world();
        n_costly = 0;
        store_image_put(&dir, &begin[2 - how % 3]);
        memcpy(chats, chats_begin, sizeof(chats));
        n_blocks = n_blocks_begin;
        n_proposals = n_said = n_forks = n_joins = n_asks = n_own = 0;
        memset(joins, 0, sizeof(joins));
        memset(asks, 0, sizeof(asks));
        claimed = false;
        online = 0;
        large = how & 0x80;
        bob.settings.accept_all = how & 0x40;
        sim_new(&sim, 1);
        for (unsigned i = 0; i < DAVE_NEWER; i++)
                if (how & 8U << i % 3)
                        MUST(network_listen(sim.network, people[i].name, STACK_PORT, on_dialled,
                                     &people[i]) == 0);
        bob_start();
        note_all();
}

static void run_end(void) {
        pass_time(USEC_PER_SEC);
        check_store();
        MUST(pass_time(QUIET_TIME) < QUIET_TURNS_MAX);
        check_store();
        bob_stop();
        for (unsigned i = 0; i < ASKED_MAX; i++)
                MUST(!joins[i].open && !asks[i].open);
        stack_forget_shown(&bob);
        sim_free(&sim);
}

void fuzz_one(const uint8_t *data, size_t size) {
        script_run(data, size, run_begin, step, run_end);
}
