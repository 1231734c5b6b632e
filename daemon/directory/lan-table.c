/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who was heard, where, and what has become of it. Who is known, or has proved to be there, is kept
 * before others; of those the ones that were heard last. */

#include "directory/lan-private.h"

/* Of accounts at one address: one machine may have several users. */
#define ACCOUNTS_PER_ADDRESS 64

LanPeer *lan_find(const Directory *d, const uint8_t *account) {
        LanPeer *p;

        HASH_FIND(hh, d->lan->peers, account, KEY_SIZE, p);
        return p;
}

bool lan_is_known(const Directory *d, const uint8_t *account) {
        return watched_find(d, account) || directory_is_self(d, account);
}

bool lan_peer_is_known(const LanPeer *p) {
        return lan_is_known(p->directory, p->person.account);
}

static bool same_place(const SockAddr *a, const SockAddr *b) {
        return sockaddr_same_host(a, b) && sockaddr_port(a) == sockaddr_port(b);
}

/* Addresses */

void lan_address_drop(LanAddress *a) {
        lan_probe_end(a);
        *a = (LanAddress){};
}

LanAddress *lan_address_find(LanPeer *p, const SockAddr *at) {
        for (size_t i = 0; i < LAN_ADDRESSES_MAX; i++)
                if (p->addresses[i].peer && same_place(&p->addresses[i].at, at))
                        return &p->addresses[i];
        return NULL;
}

const LanAddress *lan_address_of_host(const LanPeer *p, const SockAddr *host) {
        for (size_t i = 0; i < LAN_ADDRESSES_MAX; i++) {
                const LanAddress *a = &p->addresses[i];

                if (a->peer && a->proved && sockaddr_same_host(&a->at, host))
                        return a;
        }
        return NULL;
}

/* A free place, or that of what was heard longest ago and has not proved good. What anybody can
 * HINT at takes no place but of one that was called in vain: else the right one would never be. */
static LanAddress *address_place(LanPeer *p, bool hint) {
        LanAddress *oldest = NULL;

        for (size_t i = 0; i < LAN_ADDRESSES_MAX; i++) {
                LanAddress *a = &p->addresses[i];

                if (!a->peer)
                        return a;
                if (a->proved || (hint && (a->probing || a->failures == 0)))
                        continue;
                if (!oldest || a->heard < oldest->heard)
                        oldest = a;
        }
        if (oldest)
                lan_address_drop(oldest);
        return oldest;
}

LanAddress *lan_address_get(LanPeer *p, const SockAddr *at, bool hint) {
        usec_t now = loop_now(net_loop(p->directory->net));
        LanAddress *a = lan_address_find(p, at);

        if (a)
                return a;
        a = address_place(p, hint);
        if (a)
                *a = (LanAddress){.peer = p,
                        .at = *at,
                        .interval = LAN_NAMED_INTERVAL,
                        .heard = now,
                        .base = INT64_MAX};
        return a;
}

/* People */

void lan_peer_drop(LanPeer *p) {
        Lan *lan = p->directory->lan;

        for (size_t i = 0; i < LAN_ADDRESSES_MAX; i++)
                if (p->addresses[i].peer)
                        lan_address_drop(&p->addresses[i]);
        lan_settle(p);
        HASH_DEL(lan->peers, p);
        free(p);
}

/* Who goes first to make room for somebody who is KNOWN or not; NULL: nobody does. */
static LanPeer *least(const Lan *lan, bool known) {
        LanPeer *p, *tmp, *found = NULL;

        HASH_ITER (hh, lan->peers, p, tmp) {
                if (lan_peer_is_known(p) || (p->there && !known))
                        continue;
                if (!found || p->there < found->there ||
                        (p->there == found->there && p->heard < found->heard))
                        found = p;
        }
        return found;
}

bool lan_has_room_at(const Directory *d, const SockAddr *host) {
        LanPeer *p, *tmp;
        unsigned n = 0;

        HASH_ITER (hh, d->lan->peers, p, tmp)
                for (size_t i = 0; i < LAN_ADDRESSES_MAX; i++)
                        if (p->addresses[i].peer && sockaddr_same_host(&p->addresses[i].at, host)) {
                                n++;
                                break;
                        }
        return n < ACCOUNTS_PER_ADDRESS;
}

LanPeer *lan_peer_get(Directory *d, const uint8_t *account) {
        LanPeer *p = lan_find(d, account), *other;
        Lan *lan = d->lan;

        if (p)
                return p;
        p = calloc(1, sizeof(*p));
        if (!p)
                return NULL;
        if (HASH_COUNT(lan->peers) >= LAN_PEERS_MAX) {
                other = least(lan, lan_is_known(d, account));
                if (!other) {
                        free(p);
                        return NULL;
                }
                lan_peer_drop(other);
        }
        p->directory = d;
        p->person.presence = PRESENCE_ONLINE;
        memcpy(p->person.account, account, KEY_SIZE);
        HASH_ADD(hh, lan->peers, person.account, KEY_SIZE, p);
        if (!TABLE_HAS(p)) {
                free(p);
                return NULL;
        }
        return p;
}

/* What others may know */

/* Datagrams get lost: a call that is answered at once is no reason to say anything. */
static bool is_missed(const LanPeer *p) {
        for (size_t i = 0; i < LAN_ADDRESSES_MAX; i++) {
                const LanAddress *a = &p->addresses[i];

                if (a->peer && a->proved && (!a->missed || a->failures == 0))
                        return false;
        }
        return true;
}

static bool is_there(const LanPeer *p) {
        for (size_t i = 0; i < LAN_ADDRESSES_MAX; i++)
                if (p->addresses[i].peer && p->addresses[i].proved)
                        return true;
        return false;
}

static void person_of(const LanPeer *p, LanPerson *ret) {
        *ret = p->person;
        ret->missed = is_missed(p);
}

static bool same_person(const LanPerson *a, const LanPerson *b) {
        return a->presence == b->presence && a->missed == b->missed && streq(a->name, b->name) &&
                streq(a->note, b->note);
}

void lan_settle(LanPeer *p) {
        Directory *d = p->directory;
        bool there = is_there(p);
        LanPerson now;

        person_of(p, &now);
        if (there == p->there && (!there || same_person(&now, &p->told)))
                return;
        if (!directory_is_self(d, now.account)) {
                d->lan->n_there += there;
                d->lan->n_there -= p->there;
        }
        p->there = there;
        p->told = now;
        presence_on_lan(d, there ? &now : NULL, now.account);
        if (d->callbacks->lan_changed)
                d->callbacks->lan_changed(d->userdata);
}

bool directory_lan_get(const Directory *d, const uint8_t account[static KEY_SIZE], LanPerson *ret) {
        const LanPeer *p = lan_find(d, account);

        if (!p || !p->there)
                return false;
        person_of(p, ret);
        return true;
}

void directory_lan_each(const Directory *d, LanPersonFn fn, void *userdata) {
        LanPeer *p, *tmp;
        LanPerson person;

        HASH_ITER (hh, d->lan->peers, p, tmp) {
                if (!p->there || directory_is_self(d, p->person.account))
                        continue;
                person_of(p, &person);
                if (!fn(userdata, &person))
                        return;
        }
}

size_t directory_lan_count(const Directory *d) {
        return d->lan->n_there;
}

size_t directory_lan_endpoints(
        const Directory *d, const uint8_t account[static KEY_SIZE], SockAddr *ret, size_t max) {
        const LanPeer *p = lan_find(d, account);
        usec_t heard[LAN_ADDRESSES_MAX];
        size_t n = 0, k;

        for (size_t i = 0; p && i < LAN_ADDRESSES_MAX && max > 0; i++) {
                const LanAddress *a = &p->addresses[i];

                if (!a->peer || !a->proved || (n == max && a->heard <= heard[n - 1]))
                        continue;
                n = MIN(n + 1, max);
                for (k = n - 1; k > 0 && heard[k - 1] < a->heard; k--) {
                        heard[k] = heard[k - 1];
                        ret[k] = ret[k - 1];
                }
                heard[k] = a->heard;
                ret[k] = a->at;
        }
        return n;
}

/* Who is known */

void lan_keep(Lan *lan, const SockAddr *host) {
        for (size_t i = 0; i < MIN(lan->n_kept, (size_t)LAN_KEPT_MAX); i++)
                if (sockaddr_same_host(&lan->kept[i], host))
                        return;
        lan->kept[lan->n_kept++ % LAN_KEPT_MAX] = *host;
}

static size_t published_addresses(const KnownPresence *k, SockAddr *ret, size_t max) {
        char host[HOST_SIZE];
        uint16_t port;
        size_t n = 0;

        for (size_t i = 0; i < k->n_endpoints && n < max; i++)
                if (endpoint_parse(k->endpoints[i], strlen(k->endpoints[i]), false, host, &port) >=
                                0 &&
                        sockaddr_parse_ip(host, port, &ret[n]) >= 0)
                        n++;
        return n;
}

size_t directory_lan_known(const Directory *d, SockAddr *ret, size_t max) {
        const Lan *lan = d->lan;
        size_t n = MIN(lan->n_kept, (size_t)LAN_KEPT_MAX);
        Watched *w, *tmp;

        n = MIN(n, max);
        copy_bytes(ret, lan->kept, n * sizeof(*ret));
        HASH_ITER (hh, d->watched, w, tmp)
                n += published_addresses(&w->known, ret + n, max - n);
        return n;
}
