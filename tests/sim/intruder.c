/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "intruder.h"

#include "machine.h"
#include "wire/beacon.h"

#define HEARD_MAX 64
#define HELD_MAX 32
#define PERSONS_MAX 4

/* Between two of his datagrams. */
#define PAUSE_MIN (50 * USEC_PER_MSEC)
#define PAUSE_MAX (3 * USEC_PER_SEC)
#define PAUSE_OF_FLOOD (5 * USEC_PER_MSEC)

typedef struct Heard {
        char from[HOST_SIZE];
        size_t size;
        uint8_t bytes[BEACON_MAX];
} Heard;

/* Whom he pretends to be, with keys of his own. */
typedef struct Person {
        SignKey account, device;
        Buffer certificate;
        uint8_t boot_nonce[BOOT_NONCE_SIZE];
} Person;

struct Intruder {
        World *world;
        Machine *machine;
        LoopTimer *timer;
        unsigned tricks; /* a bit for each */
        Heard heard[HEARD_MAX];
        unsigned n_heard;
        Transport *held[HELD_MAX]; /* connections that he is silent on */
        unsigned next_held;
        Person persons[PERSONS_MAX];
};

static uint64_t below(Intruder *i, uint64_t limit) {
        return world_random_below(i->world, limit);
}

static bool chance(Intruder *i, unsigned percent) {
        return below(i, 100) < percent;
}

/* What comes to him */

static void on_heard(void *userdata, const SockAddr *from, Bytes datagram) {
        Intruder *i = userdata;
        Heard *h = &i->heard[i->n_heard < HEARD_MAX ? i->n_heard++ : below(i, HEARD_MAX)];
        char text[ENDPOINT_SIZE];
        uint16_t port;

        if (datagram.size > sizeof(h->bytes))
                return;
        copy_bytes(h->bytes, datagram.data, datagram.size);
        h->size = datagram.size;
        sockaddr_format(from, text);
        (void)endpoint_parse(text, strlen(text), false, h->from, &port);
}

static void on_accept(void *userdata, Transport *t) {
        Intruder *i = userdata;

        if (chance(i, 50)) {
                transport_free(t);
                return;
        }
        transport_free(i->held[i->next_held]);
        i->held[i->next_held] = t;
        i->next_held = (i->next_held + 1) % HELD_MAX;
}

static void end_held(Intruder *i) {
        for (unsigned k = 0; k < HELD_MAX; k++)
                i->held[k] = transport_free(i->held[k]);
}

/* What he says */

static void say(Intruder *i, const char *as, Bytes datagram) {
        (void)host_say(i->machine->host, as, datagram, loop_now(i->machine->loop));
}

static const Machine *any_user(Intruder *i) {
        return i->world->machines[below(i, i->world->n_users)];
}

static Heard *any_heard(Intruder *i) {
        return i->n_heard > 0 ? &i->heard[below(i, i->n_heard)] : NULL;
}

static void replay(Intruder *i) {
        const Heard *h = any_heard(i);
        const char *as = NULL;

        if (!h)
                return;
        if (chance(i, 40))
                as = chance(i, 50) ? h->from : host_address(any_user(i)->host);
        say(i, as, (Bytes){h->bytes, h->size});
}

static void say_as_person(Intruder *i, Person *p, Beacon *b) {
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;

        b->port = WORLD_PORT;
        b->interval = 60;
        b->seq = loop_now(i->machine->loop) / USEC_PER_MSEC;
        b->presence = PRESENCE_ONLINE;
        b->asks = chance(i, 20);
        if (beacon_encode(b, &p->device, &out) >= 0)
                say(i, NULL, buffer_bytes(&out));
}

/* Signed by himself: as it is, or with a later number. */
static void sign_heard(Intruder *i, const Heard *h) {
        Beacon b;

        if (beacon_parse((Bytes){h->bytes, h->size}, &b) >= 0 && b.kind == BEACON_PERSON)
                say_as_person(i, &i->persons[0], &b);
}

static void alter(Intruder *i) {
        const Heard *h = any_heard(i);
        Heard changed;

        if (!h || h->size == 0)
                return;
        if (chance(i, 50)) {
                sign_heard(i, h);
                return;
        }
        changed = *h;
        changed.bytes[below(i, changed.size)] ^= (uint8_t)(1 + below(i, 255));
        if (chance(i, 20))
                changed.size = below(i, changed.size);
        say(i, chance(i, 50) ? h->from : NULL, (Bytes){changed.bytes, changed.size});
}

static void person_make(Intruder *i, Person *p) {
        Loop *l = i->world->loop;
        usec_t now = loop_realtime(l);
        Certificate c = {.epoch = 1, .issued = now, .expires = now + IDENTITY_LIFETIME};

        sign_key_generate(&p->account);
        sign_key_generate(&p->device);
        memcpy(c.account, sign_key_public(&p->account), KEY_SIZE);
        memcpy(c.device, sign_key_public(&p->device), KEY_SIZE);
        loop_random(l, p->boot_nonce, sizeof(p->boot_nonce));
        buffer_clear(&p->certificate);
        (void)certificate_encode(&c, &p->account, &p->device, &p->certificate);
}

static void claim(Intruder *i, Person *p) {
        Beacon b = {.kind = BEACON_PERSON, .certificate = buffer_bytes(&p->certificate)};

        memcpy(b.boot_nonce, p->boot_nonce, sizeof(b.boot_nonce));
        snprintf(b.name, sizeof(b.name), "%s", any_user(i)->called);
        say_as_person(i, p, &b);
}

static void flood(Intruder *i) {
        if (chance(i, 50)) {
                person_make(i, &i->persons[0]);
                claim(i, &i->persons[0]);
        } else
                alter(i);
}

static void act(Intruder *i, Trick trick) {
        switch (trick) {
        case TRICK_REPLAY:
                replay(i);
                break;
        case TRICK_ALTER:
                alter(i);
                break;
        case TRICK_CLAIM:
                claim(i, &i->persons[below(i, PERSONS_MAX)]);
                break;
        case TRICK_FLOOD:
                flood(i);
                break;
        case _TRICK_MAX:
                break;
        }
}

static void on_time(void *userdata) {
        Intruder *i = userdata;
        usec_t pause = PAUSE_MIN + below(i, PAUSE_MAX - PAUSE_MIN);
        Trick trick;

        if (i->tricks & 1U << TRICK_FLOOD)
                pause = PAUSE_OF_FLOOD;
        do
                trick = below(i, _TRICK_MAX);
        while (!(i->tricks & 1U << trick));
        act(i, trick);
        loop_timer_set(i->timer, loop_now(i->machine->loop) + pause);
}

/* He comes and goes */

static int make(World *w) {
        Intruder *i = calloc(1, sizeof(*i));
        int r;

        if (!i)
                return -ENOMEM;
        w->intruder = i;
        i->world = w;
        r = w->n_machines < MACHINES_MAX ? machine_new(w, MACHINE_INTRUDER, "mallory", &i->machine)
                                         : -ENOSPC;
        if (r < 0)
                return r;
        w->machines[w->n_machines++] = i->machine;
        for (unsigned k = 0; k < PERSONS_MAX; k++)
                person_make(i, &i->persons[k]);
        return loop_timer_new(i->machine->loop, on_time, i, &i->timer);
}

void intruder_come(World *w, unsigned lan) {
        Intruder *i;
        int r = 0;

        if (!w->intruder)
                r = make(w);
        i = w->intruder;
        if (r >= 0) {
                end_held(i);
                machine_move_to_lan(i->machine, lan);
                r = host_hear(i->machine->host, on_heard, i);
        }
        if (r >= 0 && chance(i, 70))
                r = host_listen(i->machine->host, WORLD_PORT, on_accept, i);
        if (r < 0)
                world_fail(w, "no-world", "no intruder: %s", strerror(-r));
}

void intruder_do(World *w, Trick trick) {
        Intruder *i = w->intruder;

        if (!i)
                return;
        world_trace(w, i->machine, "begins trick %u", trick);
        i->tricks |= 1U << trick;
        loop_timer_set(i->timer, loop_now(i->machine->loop) + PAUSE_MIN);
}

void intruder_stop(World *w) {
        Intruder *i = w->intruder;

        if (!i)
                return;
        i->tricks = 0;
        loop_timer_set(i->timer, USEC_INFINITY);
        end_held(i);
        host_close(i->machine->host);
}

void intruder_free(World *w) {
        Intruder *i = w->intruder;

        if (!i)
                return;
        end_held(i);
        host_close(i->machine->host);
        loop_timer_free(i->timer);
        for (unsigned k = 0; k < PERSONS_MAX; k++)
                buffer_done(&i->persons[k].certificate);
        free(i);
        w->intruder = NULL;
}
