/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The local network: datagrams that people, trackers and others say from many addresses, repeated
 * and altered, and calls that are answered well, badly, late or never. What must hold: nobody is
 * there who has not answered at that address; what was proved is not lost to what others say; the
 * table and the calls are bounded; whatever is due is done; what is told is what there is; and when
 * all is over nothing is left.
 */

#include "stateful.h"

#include "../unit/sim-lab.h"
#include "directory/lan-private.h"

enum {
        ALICE, /* who listens */
        BOB,
        BOB_NEWER, /* the same account on another device */
        BOB_TOO, /* another account of that name */
        CAROL,
        DAVE,
        EXPIRED, /* before the first second is over */
        ALICE_ELSEWHERE,
        _PEOPLE_MAX,
};

#define HOSTS 12
#define PROBES (LAN_PROBES_MAX + FINDERS)
#define PROOFS 1024
#define DATAGRAMS 8
#define FINDERS 4
#define CROWD_MAX 2048
#define TRACKERS 24
#define VERIFIED 8 /* of what this device says: it costs the most */
#define WAIT_MAX USEC_PER_HOUR

typedef struct Probe {
        uint8_t account[KEY_SIZE];
        SockAddr at;
        bool of_lan; /* else of somebody who looks for the account */
        DirectoryProbedFn fn; /* NULL: the place is free */
        void *userdata;
} Probe;

/* ACCOUNT has answered there. */
typedef struct Proof {
        uint8_t account[KEY_SIZE];
        SockAddr at;
        bool before; /* the step that is done now it was known */
} Proof;

typedef struct Datagram {
        Buffer bytes;
        const Person *by; /* NULL: altered, or of nobody that is known */
        Beacon beacon;
} Datagram;

typedef struct Finder {
        bool waits;
        char name[NAME_SIZE];
        uint8_t account[KEY_SIZE];
        uint8_t then; /* what its answer causes */
} Finder;

static Sim sim;
static Person people[_PEOPLE_MAX];
static SockAddr hosts[HOSTS];
static Directory *directory;

/* One run. */
static struct {
        Probe probes[PROBES];
        Proof proofs[PROOFS];
        size_t n_proofs;
        Datagram datagrams[DATAGRAMS];
        size_t n_datagrams; /* ever */
        Finder finders[FINDERS];
        uint64_t seq[_PEOPLE_MAX];
        bool watched[_PEOPLE_MAX], told[_PEOPLE_MAX];
        unsigned n_crowd;
        bool refuse; /* no call can be made */
        bool active; /* between start and stop */
        bool listens; /* says nothing */
        int starts; /* whose userdata is shown */
        uint64_t said; /* seq */
        unsigned n_said;
        usec_t cancelled; /* until then what is due waits */
} run;

static const uint8_t *own(void) {
        return person_account(&people[ALICE]);
}

static void make_people(void) {
        static const char *const names[_PEOPLE_MAX] = {
                [ALICE] = "alice",
                [BOB] = "bob",
                [BOB_TOO] = "bob",
                [CAROL] = "carol",
                [DAVE] = "dave",
                [EXPIRED] = "erin",
        };
        char text[64];

        sim_new(&sim, 1);
        for (int i = 0; i < _PEOPLE_MAX; i++)
                if (names[i])
                        person_new(&sim, names[i], &people[i]);
        person_on_device(&people[BOB], 2, &people[BOB_NEWER]);
        person_on_device(&people[ALICE], 2, &people[ALICE_ELSEWHERE]);
        person_sign(&people[EXPIRED], USEC_PER_SEC);
        sim_free(&sim);
        for (int i = 0; i < HOSTS; i++) {
                static const char *const nets[] = {"192.0.2.", "fe80::", "2001:db8::"};

                snprintf(text, sizeof(text), "%s%d", nets[i % 3], i + 2);
                MUST(sockaddr_parse_ip(text, 6004, &hosts[i]) == 0);
                if (i % 3 == 1)
                        hosts[i].in6.sin6_scope_id = 2;
        }
}

static bool same_place(const SockAddr *a, const SockAddr *b) {
        return sockaddr_same_host(a, b) && sockaddr_port(a) == sockaddr_port(b);
}

/* What must hold at any time */

static const LanAddress *address_of(const Proof *p) {
        LanPeer *peer = lan_find(directory, p->account);
        const LanAddress *a = peer ? lan_address_find(peer, &p->at) : NULL;

        return a && a->proved ? a : NULL;
}

static Proof *find_proof(const uint8_t *account, const SockAddr *at) {
        for (size_t i = 0; i < run.n_proofs; i++)
                if (key_equal(run.proofs[i].account, account) && same_place(&run.proofs[i].at, at))
                        return &run.proofs[i];
        return NULL;
}

static void add_proof(const uint8_t *account, const SockAddr *at) {
        if (find_proof(account, at))
                return;
        MUST(run.n_proofs < PROOFS);
        memcpy(run.proofs[run.n_proofs].account, account, KEY_SIZE);
        run.proofs[run.n_proofs++].at = *at;
}

static bool count_person(void *userdata, const LanPerson *p) {
        SockAddr at[LAN_ADDRESSES_MAX];
        size_t *n = userdata, k;
        LanPerson same;

        MUST(directory_lan_get(directory, p->account, &same));
        MUST(!key_equal(p->account, own()) && strlen(p->note) <= PRESENCE_NOTE_MAX);
        k = directory_lan_endpoints(directory, p->account, at, ELEMENTSOF(at));
        MUST(k > 0);
        while (k-- > 0)
                MUST(find_proof(p->account, &at[k]));
        ++*n;
        return true;
}

/* From within callbacks as well. */
static void check_told(void) {
        EndpointKey trackers[LAN_TRACKERS_MAX + 1];
        size_t n = 0;

        directory_lan_each(directory, count_person, &n);
        MUST(directory_lan_count(directory) == n);
        MUST(directory_lan_trackers(directory, trackers, ELEMENTSOF(trackers)) <= LAN_TRACKERS_MAX);
}

static void check_address(const LanAddress *a) {
        usec_t now = loop_now(sim.loop), until = usec_add(a->heard, 5 * a->interval / 2);
        const Lan *lan = directory->lan;

        MUST(a->proved || (!a->missed && !a->doubted && !a->checked));
        MUST(!a->proved || find_proof(a->peer->person.account, &a->at));
        if (a->probing || now < run.cancelled)
                return;
        MUST(a->missed || until > now);
        if ((!a->proved || a->missed || a->doubted || a->checked) && a->retry <= now)
                MUST(lan->n_probes == LAN_PROBES_MAX || quota_wait(&lan->probes, 1, now) > 0 ||
                        fuzz_failed()); /* one made room for who could not be remembered */
}

static void check_all(void) {
        const Lan *lan = directory->lan;
        unsigned probing = 0, calls = 0;
        LanPeer *p, *tmp;
        LanPerson person;

        HASH_ITER (hh, lan->peers, p, tmp) {
                unsigned n = 0, proved = 0;

                for (size_t i = 0; i < LAN_ADDRESSES_MAX; i++) {
                        const LanAddress *a = &p->addresses[i];

                        if (!a->peer)
                                continue;
                        n++;
                        probing += a->probing;
                        proved += a->proved;
                        check_address(a);
                }
                MUST(n > 0 && p->there == (proved > 0));
        }
        for (size_t i = 0; i < PROBES; i++)
                calls += run.probes[i].fn && run.probes[i].of_lan;
        MUST(HASH_COUNT(lan->peers) <= LAN_PEERS_MAX);
        MUST(probing == lan->n_probes && probing == calls && probing <= LAN_PROBES_MAX);
        MUST(lan->started == run.active && (run.active || !lan->peers));
        for (int i = 0; i < _PEOPLE_MAX; i++)
                if (run.watched[i])
                        MUST(run.told[i] ==
                                directory_lan_get(directory, person_account(&people[i]), &person));
        check_told();
}

/* Callbacks */

static void on_trackers_changed(void *userdata) {
}

static void on_presence(void *userdata, const uint8_t account[static KEY_SIZE], bool online,
        usec_t last_seen, const PresenceRecord *p) {
        const KnownPresence *k = directory_presence(directory, account);
        LanPerson person;

        MUST(k && k->online == online);
        MUST(directory_lan_get(directory, account, &person) == online);
        for (int i = 0; i < _PEOPLE_MAX; i++)
                if (key_equal(account, person_account(&people[i])))
                        run.told[i] = online;
}

static int on_probe(void *userdata, const uint8_t account[static KEY_SIZE], const SockAddr *at,
        DirectoryProbedFn fn, void *fn_userdata, void **ret_probe) {
        LanPeer *peer = lan_find(directory, account);
        const LanAddress *a = fn_userdata;
        Probe *p = run.probes;

        if (run.refuse)
                return -ENETUNREACH;
        while (p->fn)
                MUST(++p < run.probes + PROBES);
        *p = (Probe){.at = *at, .fn = fn, .userdata = fn_userdata};
        p->of_lan = peer && a >= peer->addresses && a < peer->addresses + LAN_ADDRESSES_MAX;
        memcpy(p->account, account, KEY_SIZE);
        MUST(run.active && !key_equal(account, own()));
        *ret_probe = p;
        return 0;
}

static void on_probe_free(void *probe) {
        Probe *p = probe;

        MUST(p->fn);
        p->fn = NULL;
}

static void on_lan(void *userdata, const uint8_t account[static KEY_SIZE]) {
        SockAddr at;

        MUST(directory_lan_endpoints(directory, account, &at, 1) == 1);
}

static void on_lan_changed(void *userdata) {
        check_told();
}

static const DirectoryCallbacks callbacks = {
        .trackers_changed = on_trackers_changed,
        .presence = on_presence,
        .probe = on_probe,
        .probe_free = on_probe_free,
        .on_lan = on_lan,
        .lan_changed = on_lan_changed,
};

static int on_send(void *userdata, Bytes datagram) {
        Beacon b;

        MUST(run.active && userdata == &run.probes[run.starts % PROBES]);
        MUST(beacon_parse(datagram, &b) == 0);
        if (run.n_said++ < VERIFIED)
                MUST(beacon_verify(datagram, &b, false) == 0);
        MUST(key_equal(b.device.account, own()) && b.seq > run.said);
        MUST(b.leaves || !run.listens);
        run.said = b.seq;
        return run.refuse ? -ENETUNREACH : 1;
}

/* Hearing */

static const SockAddr *script_host(Script *in) {
        return &hosts[script_u8(in) % HOSTS];
}

/* A newer word of the program that is known there: it leaves. */
static bool may_leave(const LanAddress *a, const Datagram *d) {
        return d->by && d->beacon.leaves &&
                key_equal(a->peer->person.account, person_account(d->by)) &&
                memcmp(a->nonce, d->beacon.boot_nonce, BOOT_NONCE_SIZE) == 0 &&
                (!a->has_beacon || d->beacon.seq > a->seq);
}

static size_t count_addresses(void) {
        LanPeer *p, *tmp;
        size_t n = 0;

        HASH_ITER (hh, directory->lan->peers, p, tmp)
                for (size_t i = 0; i < LAN_ADDRESSES_MAX; i++)
                        n += p->addresses[i].peer != NULL;
        return n;
}

/* Nobody goes but those who leave, and, where it is full, strangers for who is known; and nobody
 * comes by what is not signed. */
static void hear(const Datagram *d, const SockAddr *from) {
        bool full = HASH_COUNT(directory->lan->peers) == LAN_PEERS_MAX;
        size_t n = count_addresses();

        for (size_t i = 0; i < run.n_proofs; i++) {
                Proof *p = &run.proofs[i];
                const LanAddress *a = address_of(p);

                p->before = a && !may_leave(a, d) && (!full || lan_peer_is_known(a->peer));
        }
        {
                FUZZ_THEIR_MEMORY;

                directory_lan_heard(directory, from, buffer_bytes(&d->bytes));
        }
        for (size_t i = 0; i < run.n_proofs; i++)
                MUST(!run.proofs[i].before || address_of(&run.proofs[i]));
        MUST(d->by || count_addresses() <= n);
}

static Datagram *next_datagram(void) {
        Datagram *d = &run.datagrams[run.n_datagrams++ % DATAGRAMS];

        buffer_done(&d->bytes);
        *d = (Datagram){};
        return d;
}

static void hear_person(Script *in) {
        uint8_t who = script_u8(in) % _PEOPLE_MAX, how = script_u8(in);
        const SockAddr *from = script_host(in);
        const Person *p = &people[who];
        Datagram *d = next_datagram();
        Beacon *b = &d->beacon;

        run.seq[who] = MAX(run.seq[who] + 1, (loop_now(sim.loop) - VIRTUAL_START) / USEC_PER_MSEC);
        *b = (Beacon){.kind = BEACON_PERSON,
                .port = how & 128 ? 7002 : 7001,
                .seq = how & 1 ? MIN(script_number(in), BEACON_SEQ_MAX) : run.seq[who],
                .interval = how & 4 ? (uint32_t)(2 + script_number(in) % 3599) : 10,
                .certificate = buffer_bytes(&p->certificate),
                .presence = how & 32 ? PRESENCE_AWAY : PRESENCE_ONLINE,
                .asks = how & 8,
                .leaves = how & 16};
        memcpy(b->boot_nonce, p->local.boot_nonce, BOOT_NONCE_SIZE);
        b->boot_nonce[0] ^= how & 2;
        memcpy(b->name, p->name, NAME_SIZE);
        if (how & 32)
                snprintf(b->note, sizeof(b->note), "a\nnote");
        if (!(how & 64))
                d->by = p;
        MUST(beacon_encode(b, d->by ? &p->device : &people[CAROL].account, &d->bytes) == 0);
        hear(d, from);
}

static void hear_again(Script *in, bool alter) {
        const Datagram *old = &run.datagrams[script_u8(in) % DATAGRAMS];
        const SockAddr *from = script_host(in);
        Datagram d = *old;

        d.bytes = BUFFER_NULL;
        MUST(buffer_append(&d.bytes, buffer_data(&old->bytes), buffer_size(&old->bytes)) == 0);
        if (alter)
                script_alter(in, &d.bytes, d.bytes.begin);
        if (!bytes_equal(buffer_bytes(&d.bytes), buffer_bytes(&old->bytes)))
                d.by = NULL;
        hear(&d, from);
        buffer_done(&d.bytes);
}

static void hear_tracker(Script *in) {
        uint8_t seed[KEY_SIZE] = {script_u8(in) % TRACKERS, 0x7a}, how = script_u8(in);
        const SockAddr *from = script_host(in);
        Datagram *d = next_datagram();
        SignKey key;

        sign_key_from_seed(seed, &key);
        d->beacon = (Beacon){.kind = BEACON_TRACKER,
                .port = 7425,
                .seq = script_number(in),
                .interval = 10,
                .asks = how & 1,
                .leaves = how & 2};
        memcpy(d->beacon.key, sign_key_public(&key), KEY_SIZE);
        if (how & 4)
                snprintf(d->beacon.host, HOST_SIZE, "tracker.example");
        d->beacon.seq = MIN(d->beacon.seq, BEACON_SEQ_MAX);
        MUST(beacon_encode(&d->beacon, &key, &d->bytes) == 0);
        hear(d, from);
}

/* Somebody else names many whom nobody has heard. */
static void name_crowd(unsigned n) {
        while (n-- > 0 && run.n_crowd < CROWD_MAX) {
                uint8_t account[KEY_SIZE] = {0xc0};
                char text[32];
                SockAddr at;

                memcpy(account + 1, &run.n_crowd, sizeof(run.n_crowd));
                snprintf(text, sizeof(text), "10.0.%u.%u", run.n_crowd >> 8, run.n_crowd & 0xff);
                MUST(sockaddr_parse_ip(text, 7001, &at) == 0);
                run.n_crowd++;
                FUZZ_THEIR_MEMORY;
                directory_lan_candidate(directory, account, &at);
        }
}

static void name_person(Script *in) {
        const uint8_t *account = person_account(&people[script_u8(in) % _PEOPLE_MAX]);
        SockAddr at = *script_host(in);

        sockaddr_set_port(&at, 7001);
        FUZZ_THEIR_MEMORY;
        directory_lan_candidate(directory, account, &at);
}

/* Calls are answered */

static const Person *script_device(const uint8_t *account, bool newest) {
        const Person *found = NULL;

        for (int i = 0; i < _PEOPLE_MAX; i++)
                if (key_equal(account, person_account(&people[i])) && (!found || newest))
                        found = &people[i];
        return found;
}

static Greeting greeting_of(const Probe *p, uint8_t how, Bytes *ret_record) {
        const Person *who = script_device(p->account, how & 8);
        Greeting g = {.certificate.epoch = 1};

        *ret_record = (Bytes){};
        if (who) {
                *ret_record = buffer_bytes(&who->record);
                MUST(record_decode(*ret_record, &g.record) == 0);
                g.certificate = g.record.device;
                memcpy(g.hello.boot_nonce, who->local.boot_nonce, BOOT_NONCE_SIZE);
        } else {
                memcpy(g.record.account, p->account, KEY_SIZE);
                snprintf(g.record.name, NAME_SIZE, how & 16 ? "carol" : "bob");
        }
        g.hello.boot_nonce[0] ^= how & 2;
        return g;
}

static void answer(Script *in) {
        static const int errors[] = {-ECONNREFUSED, -ETIMEDOUT, -ECANCELED, -EKEYREJECTED};
        uint8_t which = script_u8(in), how = script_u8(in);
        DirectoryProbedFn fn;
        size_t k = which;
        const LanPeer *peer;
        Bytes record;
        Greeting g;
        Probe p;

        while (!run.probes[k % PROBES].fn)
                if (k++ == which + (size_t)PROBES)
                        return;
        p = run.probes[k % PROBES];
        run.probes[k % PROBES].fn = NULL;
        fn = p.fn;
        if (how & 1) {
                FUZZ_THEIR_MEMORY;

                if (errors[how >> 1 & 3] == -ECANCELED)
                        run.cancelled = loop_now(sim.loop) + 2 * USEC_PER_SEC;
                fn(p.userdata, errors[how >> 1 & 3], NULL, (Bytes){});
                return;
        }
        g = greeting_of(&p, how, &record);
        peer = lan_find(directory, p.account);
        if (p.of_lan && !(peer && peer->named && g.certificate.epoch < peer->epoch))
                add_proof(p.account, &p.at);
        FUZZ_THEIR_MEMORY;
        fn(p.userdata, 0, &g, record);
}

/* Owners */

static void do_watch(size_t i, bool watch) {
        FUZZ_THEIR_MEMORY;
        const uint8_t *account = person_account(&people[i]);
        bool watched = false;

        for (int k = 0; k < _PEOPLE_MAX; k++)
                if (key_equal(account, person_account(&people[k])))
                        run.told[k] = run.told[k] && run.watched[k] && watch;
        if (watch)
                watched = directory_watch(directory, account) >= 0;
        else
                directory_unwatch(directory, account);
        MUST(watched == watch || fuzz_failed());
        for (int k = 0; k < _PEOPLE_MAX; k++)
                if (key_equal(account, person_account(&people[k])))
                        run.watched[k] = watched;
}

static void do_start(Script *in) {
        LanSettings s = {.interval = 10 + script_u8(in) % 60};
        int next = run.starts + 1;

        s.port = script_u8(in) & 3 ? 7001 : 0;
        {
                FUZZ_THEIR_MEMORY;

                directory_lan_start(directory, &s, on_send, &run.probes[next % PROBES]);
        }
        run.starts = next;
        run.active = true;
        run.listens = s.port == 0;
}

static void do_stop(void) {
        {
                FUZZ_THEIR_MEMORY;

                directory_lan_stop(directory);
        }
        run.active = false;
}

static void find(unsigned i, unsigned whom, uint8_t then);

static void on_found(void *userdata, Code code, const DirectoryFound *found) {
        FUZZ_OWN_MEMORY;
        Finder *f = userdata;
        LanPerson person;

        MUST(f->waits);
        f->waits = false;
        MUST((code == CODE_OK || code == CODE_AMBIGUOUS_NAME) == (found != NULL));
        if (code == CODE_OK && f->name[0])
                MUST(streq(found->record->name, f->name) && !found->confirmed);
        else if (code == CODE_OK)
                MUST(key_equal(found->record->account, f->account) && !found->confirmed);
        else if (found) {
                MUST(found->n_claimants >= 2 && found->n_claimants <= DIRECTORY_CLAIMANTS_MAX);
                for (size_t i = 0; i < found->n_claimants; i++)
                        MUST(directory_lan_get(directory, found->claimants[i], &person) &&
                                streq(person.name, f->name));
        }
        switch (f->then & 7) {
        case 1:
                find(f->then >> 3, f->then >> 5, 0);
                break;
        case 2:
                do_stop();
                break;
        case 3:
        case 4:
                do_watch(BOB, f->then & 1);
                break;
        case 5:
                directory_forget(directory, &run.finders[f->then >> 3 & (FINDERS - 1)]);
                run.finders[f->then >> 3 & (FINDERS - 1)].waits = false;
                break;
        default:
                break;
        }
}

static void find(unsigned i, unsigned whom, uint8_t then) {
        const Person *p = &people[whom >> 1 & (_PEOPLE_MAX - 1)];
        Finder *f = &run.finders[i % FINDERS];
        bool by_name = whom & 1;

        if (f->waits || key_equal(person_account(p), own()))
                return;
        *f = (Finder){.waits = true, .then = then};
        if (by_name)
                memcpy(f->name, p->name, NAME_SIZE);
        memcpy(f->account, person_account(p), KEY_SIZE);
        FUZZ_THEIR_MEMORY;
        if (directory_find(directory, by_name ? p->name : NULL, person_account(p), on_found, f) <
                0) {
                MUST(f->waits);
                f->waits = false;
        }
}

static void look_again(uint8_t how) {
        usec_t slept = USEC_PER_SEC << (how >> 4);
        FUZZ_THEIR_MEMORY;

        if (how & 1)
                directory_lan_changed(directory);
        else if (how & 2)
                directory_lan_say_again(directory);
        else {
                loop_virtual_stall(sim.loop, slept);
                directory_woke(directory, slept);
        }
}

static void pass_time(usec_t time) {
        FUZZ_THEIR_MEMORY;

        sim_run(&sim, time);
}

static void act(Script *in, uint8_t op) {
        switch (op & 15) {
        case 4:
                hear_tracker(in);
                break;
        case 5:
                name_person(in);
                break;
        case 8:
                do_watch((op >> 5) % _PEOPLE_MAX, op & 16);
                break;
        case 9:
                look_again(script_u8(in));
                break;
        case 10:
                do_start(in);
                break;
        case 11:
                do_stop();
                break;
        case 12: {
                uint8_t whom = script_u8(in);

                find(op >> 4, whom, script_u8(in));
                break;
        }
        case 13:
                name_crowd(16 * (op >> 4));
                break;
        case 14:
                run.refuse = op & 16;
                break;
        default:
                pass_time(MIN(script_time(in), WAIT_MAX));
        }
}

static void step(Script *in) {
        uint8_t op = script_u8(in);

        switch (op & 15) {
        case 0:
        case 1:
                hear_person(in);
                break;
        case 2:
        case 3:
                hear_again(in, op & 1);
                break;
        case 6:
        case 7:
                answer(in);
                break;
        default:
                act(in, op);
        }
        pass_time(0);
        check_all();
}

/* With a tracker that cannot be reached, or with none. */
static bool begin(Script *in) {
        bool tracker = script_u8(in) & 1;
        EndpointKey k = {.host = "203.0.113.1", .port = 7425, .key = {1}};

        FUZZ_THEIR_MEMORY;
        if (directory_new(sim.net, &people[ALICE].local, &callbacks, NULL, &directory) < 0)
                return false;
        if (tracker && directory_set_trackers(directory, &k, 1) >= 0)
                directory_start(directory);
        return true;
}

void fuzz_one(const uint8_t *data, size_t size) {
        FUZZ_OWN_MEMORY;
        Script in = {.p = data, .end = data + size};
        unsigned sources;

        if (!people[ALICE].sim)
                make_people();
        sim_new(&sim, 1);
        memset(&run, 0, sizeof(run));
        sources = loop_virtual_count_sources(sim.loop);
        if (begin(&in)) {
                while (script_more(&in))
                        step(&in);
                for (size_t i = 0; i < FINDERS; i++)
                        run.finders[i].then = 0;
                directory = directory_free(directory);
        } else
                MUST(fuzz_failed());
        for (size_t i = 0; i < PROBES; i++)
                MUST(!run.probes[i].fn);
        for (size_t i = 0; i < DATAGRAMS; i++)
                buffer_done(&run.datagrams[i].bytes);
        MUST(loop_virtual_count_sources(sim.loop) == sources);
        sim_free(&sim);
}
