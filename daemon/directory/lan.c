/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Saying that this device is here, and hearing others say so. */

#include "directory/lan-private.h"

/* Of the verifications in a second, those that strangers may cause, and those that who is known may
 * from where he has not proved to be. The rest is for who speaks from where he is. */
#define UNKNOWN_VERIFICATIONS 20
#define ELSEWHERE_VERIFICATIONS 20

/* Of one source address, where it has not proved anything. */
#define SOURCE_VERIFICATIONS 5

/* Who speaks from where he is: not more often than this. */
#define VERIFIED_PAUSE (500 * USEC_PER_MSEC)

/* Copies of one datagram that come from one address within this are one. */
#define COPY_PAUSE USEC_PER_SEC

/* A beacon is late when it took so much longer than the quickest one: somebody may have kept it. */
#define LATE_USEC INT64_C(30000000)

/* Two clocks that nobody sets go apart by less than one part of so many. */
#define CLOCKS_APART 1000

/* A tracker that was not heard for so many of its intervals is not offered any more. */
#define TRACKER_INTERVALS 3

static Loop *lan_loop(const Directory *d) {
        return net_loop(d->net);
}

/* Saying */

static void beacon_of_self(Directory *d, Beacon *b) {
        PresenceRecord presence;
        Record record;

        b->certificate = d->self->certificate;
        memcpy(b->boot_nonce, d->self->boot_nonce, BOOT_NONCE_SIZE);
        b->port = d->lan->settings.port;
        b->presence = PRESENCE_ONLINE;
        if (record_parse(d->self->record, &record) >= 0)
                memcpy(b->name, record.name, NAME_SIZE);
        if (presence_parse(buffer_bytes(&d->presence), &presence) < 0)
                return;
        b->presence = presence.presence;
        copy_bytes(b->note, presence.note.data, presence.note.size);
}

static void lan_say(Directory *d, bool asks, unsigned next, bool leaves) {
        Lan *lan = d->lan;
        uint64_t ms = (loop_now(lan_loop(d)) - lan->born + lan->slept) / USEC_PER_MSEC;
        Beacon b = {.kind = BEACON_PERSON,
                .interval = CLAMP(next, BEACON_INTERVAL_MIN, BEACON_INTERVAL_MAX),
                .asks = asks,
                .leaves = leaves};

        beacon_of_self(d, &b);
        lan->seq = b.seq = MAX(lan->seq + 1, ms);
        lan->said = !leaves;
        buffer_clear(&lan->out);
        if (beacon_encode(&b, d->self->device, &lan->out) < 0)
                return;
        (void)lan->send(lan->userdata, buffer_bytes(&lan->out));
}

static void on_say(void *userdata, bool asks, unsigned next) {
        lan_say(userdata, asks, next, false);
}

void directory_lan_say_again(Directory *d) {
        announcer_changed(d->lan->announcer);
}

/* Budgets: who comes as what, before a signature is looked at */

/* All of an address counts: on one network the beginning is the same for everybody. */
static bool source_pays(Lan *lan, const SockAddr *from, usec_t now) {
        uint64_t key[3] = {};
        uint8_t hash[SHA256_SIZE];

        if (from->sa.sa_family == AF_INET6)
                memcpy(key, &from->in6.sin6_addr, sizeof(from->in6.sin6_addr));
        else
                memcpy(key, &from->in.sin_addr, sizeof(from->in.sin_addr));
        key[2] = lan->source_key;
        sha256(key, sizeof(key), hash);
        return quota_take(&lan->sources[hash[0]], 1, now);
}

static bool may_verify(Directory *d, LanPeer *p, const uint8_t *account, const SockAddr *from) {
        usec_t now = loop_now(lan_loop(d));
        Lan *lan = d->lan;
        Quota *of_kind;

        if (p && lan_address_of_host(p, from) && now - p->verified >= VERIFIED_PAUSE) {
                if (!quota_take(&lan->verifications, 1, now))
                        return false;
                p->verified = now;
                return true;
        }
        of_kind = account && lan_is_known(d, account) ? &lan->elsewhere : &lan->unknown;
        return source_pays(lan, from, now) && quota_take(of_kind, 1, now) &&
                quota_take(&lan->verifications, 1, now);
}

/* People */

/* Not later than others of this program, as far as can be told from when they came. */
static bool is_in_time(LanAddress *a, uint64_t seq, usec_t now) {
        int64_t offset = (int64_t)now - (int64_t)(seq * USEC_PER_MSEC), base = offset;

        if (a->base < INT64_MAX)
                base = MIN(offset, a->base + (int64_t)((now - a->heard) / CLOCKS_APART));
        if (offset - base >= LATE_USEC)
                return false;
        a->base = base;
        return true;
}

static bool is_same_program(const LanAddress *a, const Beacon *b) {
        return memcmp(a->nonce, b->boot_nonce, BOOT_NONCE_SIZE) == 0;
}

/* He is being called there, or is to be: until that has shown who is there, another beacon soon
 * after says nothing that is worth a signature. Later ones keep him in mind. */
static bool is_called(LanPeer *p, const SockAddr *from, const Beacon *b) {
        usec_t now = loop_now(lan_loop(p->directory));
        SockAddr at = *from;
        const LanAddress *a;

        sockaddr_set_port(&at, b->port);
        a = lan_address_find(p, &at);
        return a && a->has_beacon && !a->proved && is_same_program(a, b) &&
                now - a->heard < a->interval / 2;
}

/* One that was said before another that is known: somebody repeats it. */
static bool is_repeated(const LanPeer *p, const Beacon *b) {
        for (size_t i = 0; i < LAN_ADDRESSES_MAX; i++) {
                const LanAddress *a = &p->addresses[i];

                if (a->peer && a->has_beacon && is_same_program(a, b) && b->seq <= a->seq)
                        return true;
        }
        return false;
}

static void take_person(LanPeer *p, const Beacon *b) {
        if (p->named && !key_equal(p->device, b->device.device))
                return; /* who it is now, HELLO will say */
        p->named = true;
        p->epoch = b->device.epoch;
        memcpy(p->device, b->device.device, KEY_SIZE);
        memcpy(p->person.name, b->name, NAME_SIZE);
        p->person.presence = b->presence;
        memcpy(p->person.note, b->note, sizeof(p->person.note));
        text_clean(p->person.note);
}

/* It is signed, newer than what was heard of that program, and nobody says it for another. */
static void take_leave(LanPeer *p, const Beacon *b) {
        for (size_t i = 0; i < LAN_ADDRESSES_MAX; i++)
                if (p->addresses[i].peer && is_same_program(&p->addresses[i], b))
                        lan_address_drop(&p->addresses[i]);
        lan_settle(p);
        lan_look(p->directory); /* calls have ended, and P goes when nothing is left of him */
}

/* Returns true when somebody is to be called. */
static bool address_heard(LanAddress *a, const Beacon *b, usec_t now) {
        if (a->proved && !is_same_program(a, b)) {
                a->doubted = true;
                return true;
        }
        if (!is_same_program(a, b))
                a->base = INT64_MAX;
        memcpy(a->nonce, b->boot_nonce, BOOT_NONCE_SIZE);
        a->has_beacon = true;
        a->seq = b->seq;
        a->interval = b->interval * USEC_PER_SEC;
        if (!is_in_time(a, b->seq, now) && a->proved) {
                a->doubted = true;
                return true;
        }
        a->heard = now;
        a->unheard = false;
        if (a->proved && a->missed)
                a->missed = false;
        return !a->proved;
}

/* A beacon that holds, from somewhere. */
static void peer_heard(LanPeer *p, const SockAddr *from, const Beacon *b, bool again) {
        Directory *d = p->directory;
        usec_t now = loop_now(lan_loop(d));
        SockAddr at = *from;
        LanAddress *a;
        bool call;

        p->heard = now;
        sockaddr_set_port(&at, b->port);
        if (b->leaves) {
                take_leave(p, b);
                return;
        }
        a = lan_address_get(p, &at, again);
        if (!a)
                return;
        call = address_heard(a, b, now);
        if (!again && (!p->named || (a->proved && !a->doubted)))
                take_person(p, b);
        if (a->proved && !a->doubted)
                p->person.last_seen = loop_realtime(lan_loop(d));
        lan_settle(p);
        if (call)
                lan_look(d);
}

/* The same datagram again: there is one for each interface and family, which costs no signature.
 * But anybody can repeat it from anywhere. */
static void copy_heard(LanPeer *p, const SockAddr *from, const Beacon *b) {
        Directory *d = p->directory;
        usec_t now = loop_now(lan_loop(d));
        SockAddr at = *from;
        const LanAddress *a;

        sockaddr_set_port(&at, b->port);
        a = lan_address_find(p, &at);
        if (b->leaves || (a && now - a->heard < COPY_PAUSE) ||
                (!a && !source_pays(d->lan, from, now)))
                return;
        peer_heard(p, from, b, true);
}

static bool is_newcomer(const LanPeer *p, const Beacon *b) {
        for (size_t i = 0; i < LAN_ADDRESSES_MAX; i++)
                if (p->addresses[i].peer && is_same_program(&p->addresses[i], b))
                        return false;
        return true;
}

static void take_new(
        Directory *d, LanPeer *p, const SockAddr *from, Bytes datagram, const Beacon *b) {
        uint8_t certificate[SHA256_SIZE];
        bool certified, newcomer;

        sha256(b->certificate.data, b->certificate.size, certificate);
        certified = p && memcmp(certificate, p->certificate, SHA256_SIZE) == 0;
        if (!may_verify(d, p, b->device.account, from) ||
                beacon_verify(datagram, b, certified) < 0 ||
                !certificate_is_valid_at(&b->device, loop_realtime(lan_loop(d))))
                return;
        if (!p && (b->leaves || !lan_has_room_at(d, from)))
                return;
        p = p ?: lan_peer_get(d, b->device.account);
        if (!p)
                return;
        memcpy(p->certificate, certificate, SHA256_SIZE);
        sha256(datagram.data, datagram.size, p->last);
        newcomer = !b->leaves && is_newcomer(p, b);
        peer_heard(p, from, b, false);
        if (newcomer || b->asks)
                announcer_met(d->lan->announcer, HASH_COUNT(d->lan->peers));
}

static void person_heard(Directory *d, const SockAddr *from, Bytes datagram, const Beacon *b) {
        LanPeer *p = lan_find(d, b->device.account);
        uint8_t hash[SHA256_SIZE];

        if (key_equal(b->device.device, sign_key_public(d->self->device)))
                return;
        if (p && p->named && b->device.epoch < p->epoch)
                return;
        if (p) {
                sha256(datagram.data, datagram.size, hash);
                if (memcmp(hash, p->last, SHA256_SIZE) == 0) {
                        copy_heard(p, from, b);
                        return;
                }
                if (is_repeated(p, b) || (!b->leaves && is_called(p, from, b)))
                        return;
        }
        take_new(d, p, from, datagram, b);
}

/* Trackers */

static LanTracker *tracker_place(Lan *lan, const uint8_t *key) {
        LanTracker *free_place = NULL;

        for (size_t i = 0; i < LAN_TRACKERS_MAX; i++) {
                LanTracker *t = &lan->trackers[i];

                if (t->until == 0)
                        free_place = free_place ?: t;
                else if (key_equal(t->address.key, key))
                        return t;
        }
        return free_place;
}

/* One that is link-local is worth nothing in a configuration, which has no scope. */
static int tracker_address(const SockAddr *from, const Beacon *b, EndpointKey *ret) {
        char text[ENDPOINT_SIZE];
        SockAddr at = *from;

        *ret = (EndpointKey){.port = b->port};
        memcpy(ret->key, b->key, KEY_SIZE);
        sockaddr_set_port(&at, b->port);
        if (b->host[0])
                memcpy(ret->host, b->host, HOST_SIZE);
        else if (at.sa.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&at.in6.sin6_addr))
                return -EADDRNOTAVAIL;
        else {
                sockaddr_format(&at, text);
                return endpoint_parse(text, strlen(text), false, ret->host, &ret->port);
        }
        return 0;
}

static void tracker_heard(Directory *d, const SockAddr *from, Bytes datagram, const Beacon *b) {
        LanTracker *t = tracker_place(d->lan, b->key);
        usec_t now = loop_now(lan_loop(d));
        EndpointKey address;
        bool is_new;

        if (!t || tracker_address(from, b, &address) < 0 ||
                (t->until > 0 && b->seq <= t->seq &&
                        memcmp(t->nonce, b->boot_nonce, BOOT_NONCE_SIZE) == 0))
                return;
        if (!may_verify(d, NULL, NULL, from) || beacon_verify(datagram, b, false) < 0)
                return;
        is_new = t->until == 0 || !streq(address.host, t->address.host) ||
                address.port != t->address.port;
        *t = (LanTracker){.address = address,
                .seq = b->seq,
                .until = b->leaves ? 1
                                   : usec_add(now, TRACKER_INTERVALS * b->interval * USEC_PER_SEC)};
        memcpy(t->nonce, b->boot_nonce, BOOT_NONCE_SIZE);
        lan_look(d);
        if (is_new && !b->leaves && d->callbacks->lan_changed)
                d->callbacks->lan_changed(d->userdata);
}

size_t directory_lan_trackers(const Directory *d, EndpointKey *ret, size_t max) {
        size_t n = 0;

        for (size_t i = 0; i < LAN_TRACKERS_MAX && n < max; i++)
                if (d->lan->trackers[i].until > 0)
                        ret[n++] = d->lan->trackers[i].address;
        return n;
}

/* Hearing */

void directory_lan_heard(Directory *d, const SockAddr *from, Bytes datagram) {
        Beacon b;

        if (!d->lan->started || beacon_parse(datagram, &b) < 0)
                return;
        if (b.kind == BEACON_PERSON)
                person_heard(d, from, datagram, &b);
        else
                tracker_heard(d, from, datagram, &b);
}

void directory_lan_candidate(
        Directory *d, const uint8_t account[static KEY_SIZE], const SockAddr *at) {
        usec_t now = loop_now(lan_loop(d));
        LanPeer *p = lan_find(d, account);

        if (!d->lan->started || key_equal(account, sign_key_public(d->self->account)) ||
                (p && lan_address_find(p, at)))
                return;
        if (!source_pays(d->lan, at, now) || (!p && !lan_has_room_at(d, at)))
                return;
        p = p ?: lan_peer_get(d, account);
        if (!p)
                return;
        p->heard = now;
        (void)lan_address_get(p, at, true);
        lan_look(d);
}

void directory_lan_withdrawn(Directory *d, const SockAddr *at) {
        LanPeer *p, *tmp;
        LanAddress *a;

        if (!d->lan->started)
                return;
        HASH_ITER (hh, d->lan->peers, p, tmp) {
                a = lan_address_find(p, at);
                if (a && a->proved && !a->has_beacon)
                        a->checked = true;
        }
        lan_look(d);
}

/* Beginning and ending */

void directory_lan_start(
        Directory *d, const LanSettings *settings, LanSendFn send, void *userdata) {
        Lan *lan = d->lan;

        if (lan->said && settings->port == 0)
                lan_say(d, false, 0, true);
        lan->settings = *settings;
        lan->send = send;
        lan->userdata = userdata;
        lan->started = true;
        if (settings->port > 0)
                announcer_start(lan->announcer, settings->interval);
        else
                announcer_stop(lan->announcer);
}

bool directory_lan_is_started(const Directory *d) {
        return d->lan->started;
}

void directory_lan_changed(Directory *d) {
        Lan *lan = d->lan;
        LanPeer *p, *tmp;

        if (!lan->started)
                return;
        /* Some are not reached any more, perhaps, and those who are have not heard of it. */
        HASH_ITER (hh, lan->peers, p, tmp)
                for (size_t i = 0; i < LAN_ADDRESSES_MAX; i++)
                        if (p->addresses[i].proved) {
                                p->addresses[i].checked = true;
                                p->addresses[i].retry = loop_now(lan_loop(d));
                        }
        announcer_changed(lan->announcer);
        lan_look(d);
}

void directory_lan_stop(Directory *d) {
        Lan *lan = d->lan;
        LanPeer *p, *tmp;

        if (!lan->started)
                return;
        announcer_stop(lan->announcer);
        if (lan->said)
                lan_say(d, false, 0, true);
        lan->started = false;
        loop_timer_set(lan->timer, USEC_INFINITY);
        memset(lan->trackers, 0, sizeof(lan->trackers));
        HASH_ITER (hh, lan->peers, p, tmp)
                lan_peer_drop(p);
}

int lan_new(Directory *d) {
        Loop *l = lan_loop(d);
        Lan *lan = calloc(1, sizeof(*lan));
        int r;

        if (!lan)
                return -ENOMEM;
        *lan = (Lan){.born = loop_now(l),
                .probes = QUOTA_INIT(LAN_PROBES, USEC_PER_SEC),
                .verifications = QUOTA_INIT(LAN_VERIFICATIONS, USEC_PER_SEC),
                .unknown = QUOTA_INIT(UNKNOWN_VERIFICATIONS, USEC_PER_SEC),
                .elsewhere = QUOTA_INIT(ELSEWHERE_VERIFICATIONS, USEC_PER_SEC)};
        for (size_t i = 0; i < LAN_SOURCES; i++)
                lan->sources[i] = QUOTA_INIT(SOURCE_VERIFICATIONS, USEC_PER_SEC);
        loop_random(l, &lan->source_key, sizeof(lan->source_key));
        d->lan = lan;
        r = loop_timer_new(l, lan_on_timer, d, &lan->timer);
        return r < 0 ? r : announcer_new(l, on_say, d, &lan->announcer);
}

/* Nobody is told. */
void lan_free(Directory *d) {
        Lan *lan = d->lan;
        LanPeer *p, *tmp;

        if (!lan)
                return;
        HASH_ITER (hh, lan->peers, p, tmp) {
                for (size_t i = 0; i < LAN_ADDRESSES_MAX; i++)
                        if (p->addresses[i].peer)
                                lan_address_drop(&p->addresses[i]);
                HASH_DEL(lan->peers, p);
                free(p);
        }
        announcer_free(lan->announcer);
        loop_timer_free(lan->timer);
        buffer_done(&lan->out);
        free(lan);
        d->lan = NULL;
}
