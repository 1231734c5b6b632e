/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * One attempt to reach a peer: all its endpoints, staggered as RFC 8305 has it. The first that
 * connects and proves to be the account wins. Where there are several, HELLO is said only on the
 * one that wins, so the other end sees one link and connections that came to nothing.
 */

#include <stdio.h>

#include "delivery/private.h"

/* Connections under way for one peer. */
#define ATTEMPTS_MAX 8

typedef struct Attempt {
        Race *race;
        char endpoint[CANDIDATE_SIZE]; /* "": free */
        LinkDial *dial; /* until it is connected */
        Link *link; /* then, until the other end has said who it is */
} Attempt;

struct Race {
        Peer *peer;
        LoopTimer *timer; /* the next endpoint's turn, or the end */
        usec_t end;
        Candidates candidates;
        size_t next;
        usec_t blocked; /* when the first endpoint that pauses may be tried */
        Attempt attempts[ATTEMPTS_MAX];
        unsigned n;
        bool appeared, looking_up, looked_up;
};

static Loop *race_loop(const Race *r) {
        return r->peer->delivery->loop;
}

static uint64_t random_of(Loop *l) {
        uint64_t v;

        loop_random(l, &v, sizeof(v));
        return v;
}

/* Returns until when it pauses. */
static usec_t endpoint_failed(Peer *p, const char *endpoint, bool wrong) {
        Delivery *d = p->delivery;
        DeadKey key = dead_key(p->account, endpoint);

        dead_add(&d->dead, &key, wrong, loop_now(d->loop), random_of(d->loop));
        return dead_until(&d->dead, &key);
}

static void race_endpoint_failed(Race *r, const char *endpoint, bool wrong) {
        usec_t until = endpoint_failed(r->peer, endpoint, wrong);

        r->blocked = MIN(r->blocked, until);
}

void peer_endpoint_failed(Peer *p) {
        (void)endpoint_failed(p, p->dialled, false);
}

/* Candidates */

static void race_add(Race *r, const char *text, size_t size, CandidateSource source) {
        Delivery *d = r->peer->delivery;
        char endpoint[CANDIDATE_SIZE];
        DeadKey key;

        if (size >= sizeof(endpoint))
                return;
        memcpy(endpoint, text, size);
        endpoint[size] = 0;
        key = dead_key(r->peer->account, endpoint);
        if (r->appeared)
                dead_excuse(&d->dead, &key, loop_now(d->loop));
        candidates_add(&r->candidates, endpoint, size, source, dead_until(&d->dead, &key));
}

static void race_order(Race *r, size_t from) {
        usec_t blocked = candidates_order(&r->candidates, from, loop_now(race_loop(r)));

        r->blocked = MIN(r->blocked, blocked);
}

static void race_add_announced(Race *r) {
        const Peer *p = r->peer;
        SockAddr lan[LAN_ADDRESSES_MAX];
        size_t n =
                directory_lan_endpoints(p->delivery->directory, p->account, lan, ELEMENTSOF(lan));
        char text[ENDPOINT_SIZE];
        const KnownPresence *k = directory_presence(p->delivery->directory, p->account);

        for (size_t i = 0; i < n; i++) {
                sockaddr_format(&lan[i], text);
                race_add(r, text, strlen(text), CANDIDATE_LAN);
        }
        for (size_t i = 0; k && k->online && i < k->n_endpoints; i++)
                race_add(r, k->endpoints[i], strlen(k->endpoints[i]), CANDIDATE_ANNOUNCED);
}

static void race_collect(Race *r) {
        Peer *p = r->peer;
        Endpoints cached;
        DbTxn *txn;
        int got;

        race_add_announced(r);
        if (store_read_begin(p->delivery->store, &txn) >= 0) {
                got = store_get_endpoints(txn, p->number, &cached);
                store_read_end(txn);
                for (size_t i = 0; got > 0 && i < cached.n; i++)
                        race_add(r, cached.text[i], strlen(cached.text[i]),
                                i == 0 ? CANDIDATE_REACHED : CANDIDATE_CACHED);
        }
        race_order(r, 0);
}

/* Attempts */

static void race_go_on(Race *r);

static void attempt_clear(Attempt *a) {
        Race *r = a->race;

        if (!a->endpoint[0])
                return;
        a->dial = link_dial_free(a->dial);
        if (a->link)
                link_abandon(a->link);
        *a = (Attempt){.race = r};
        r->n--;
}

static void attempt_failed(Attempt *a, bool wrong) {
        race_endpoint_failed(a->race, a->endpoint, wrong);
        attempt_clear(a);
}

static void on_dialled(void *userdata, int error, Link *l) {
        Attempt *a = userdata;

        a->dial = link_dial_free(a->dial);
        a->link = l;
        if (error >= 0)
                return;
        attempt_failed(a, false);
        race_go_on(a->race);
}

static bool attempt_begin(Race *r, const Candidate *c) {
        LinkPool *links = r->peer->delivery->links;
        Attempt *a = r->attempts;
        char host[HOST_SIZE];
        LinkAddress to = {.host = host, .account = r->peer->account, .raced = r->candidates.n > 1};

        while (a->endpoint[0])
                a++;
        if (endpoint_parse_scoped(c->endpoint, strlen(c->endpoint), host, &to.port) < 0 ||
                link_dial(links, &to, DIAL_TIME, on_dialled, a, &a->dial) < 0)
                return false;
        memcpy(a->endpoint, c->endpoint, sizeof(a->endpoint));
        r->n++;
        return true;
}

/* Asking */

static void on_lookup(void *userdata, Code code, const Record *record, Bytes outer,
        const PresenceRecord *presence) {
        Peer *p = userdata;
        Race *r = p->race;
        size_t before = r->candidates.n;

        r->looking_up = false;
        for (size_t i = 0; code == CODE_OK && presence && i < presence->n_endpoints; i++)
                race_add(r, (const char *)presence->endpoints[i].data, presence->endpoints[i].size,
                        CANDIDATE_ANNOUNCED);
        race_order(r, before);
        if (r->candidates.n == before)
                race_endpoint_failed(r, "", false);
        race_go_on(r);
}

/* Everything known has failed. Trackers are not woken for this: they say who appears when they are
 * back. Nor are they asked about somebody of whom they have said that he is away, or more often
 * than an endpoint would be dialled. */
static bool race_ask(Race *r) {
        Peer *p = r->peer;
        Delivery *d = p->delivery;
        const KnownPresence *k = directory_presence(d->directory, p->account);
        DeadKey key = dead_key(p->account, "");

        if (r->looked_up || (k && k->gone) || !directory_is_connected(d->directory))
                return false;
        if (r->appeared)
                dead_excuse(&d->dead, &key, loop_now(d->loop));
        if (dead_until(&d->dead, &key) > loop_now(d->loop)) {
                r->blocked = MIN(r->blocked, dead_until(&d->dead, &key));
                return false;
        }
        r->looked_up = r->looking_up =
                directory_lookup(d->directory, NULL, p->account, on_lookup, p) >= 0;
        return r->looking_up;
}

/* The race */

static void race_over(Race *r) {
        Peer *p = r->peer;
        usec_t blocked;

        for (size_t i = 0; i < ELEMENTSOF(r->attempts); i++)
                if (r->attempts[i].endpoint[0])
                        attempt_failed(&r->attempts[i], false);
        blocked = r->blocked;
        p->race = race_free(r);
        peer_retry_later(p, blocked);
}

/* Begins the next attempt; R may be gone after this. */
static void race_go_on(Race *r) {
        usec_t next = usec_add(loop_now(race_loop(r)), CONNECT_STAGGER);

        while (r->next < r->candidates.n && r->n < ATTEMPTS_MAX) {
                const Candidate *c = &r->candidates.list[r->next++];

                if (!attempt_begin(r, c)) {
                        race_endpoint_failed(r, c->endpoint, false);
                        continue;
                }
                loop_timer_set(r->timer, r->next < r->candidates.n ? MIN(next, r->end) : r->end);
                return;
        }
        if (r->n == 0 && !r->looking_up && !race_ask(r))
                race_over(r);
}

static void on_race_timer(void *userdata) {
        Race *r = userdata;

        if (loop_now(race_loop(r)) >= r->end) {
                race_over(r);
                return;
        }
        loop_timer_set(r->timer, r->end);
        race_go_on(r);
}

int race_begin(Peer *p, bool appeared) {
        Loop *l = p->delivery->loop;
        Race *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        *r = (Race){.peer = p,
                .end = loop_now(l) + ATTEMPT_TIME,
                .blocked = USEC_INFINITY,
                .appeared = appeared};
        for (size_t i = 0; i < ELEMENTSOF(r->attempts); i++)
                r->attempts[i].race = r;
        if (loop_timer_new(l, on_race_timer, r, &r->timer) < 0) {
                free(r);
                return -ENOMEM;
        }
        p->race = r;
        loop_timer_set(r->timer, r->end);
        race_collect(r);
        race_go_on(r);
        return 0;
}

void race_take_news(Peer *p) {
        Race *r = p->race;
        size_t before;

        if (!r)
                return;
        before = r->candidates.n;
        race_add_announced(r);
        race_order(r, before);
        if (r->candidates.n > before)
                race_go_on(r);
}

Race *race_free(Race *r) {
        if (!r)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(r->attempts); i++)
                attempt_clear(&r->attempts[i]);
        if (r->looking_up)
                directory_forget(r->peer->delivery->directory, r->peer);
        loop_timer_free(r->timer);
        free(r);
        return NULL;
}

static Attempt *race_find(const Peer *p, const Link *l) {
        for (size_t i = 0; p->race && i < ELEMENTSOF(p->race->attempts); i++)
                if (p->race->attempts[i].link == l)
                        return &p->race->attempts[i];
        return NULL;
}

bool race_won(Peer *p, const Link *l) {
        Attempt *a = race_find(p, l);

        if (!a)
                return false;
        memcpy(p->dialled, a->endpoint, sizeof(p->dialled));
        p->link = TAKE_PTR(a->link);
        p->race = race_free(p->race);
        loop_timer_set(p->timer, loop_now(p->delivery->loop) + ATTEMPT_TIME);
        return true;
}

bool race_link_gave_way(Peer *p, const Link *l) {
        Attempt *a = race_find(p, l);

        if (!a)
                return false;
        a->link = NULL;
        attempt_clear(a);
        race_go_on(p->race);
        return true;
}

bool race_link_lost(Peer *p, const Link *l, bool wrong) {
        Attempt *a = race_find(p, l);

        if (!a)
                return false;
        a->link = NULL;
        attempt_failed(a, wrong);
        race_go_on(p->race);
        return true;
}
