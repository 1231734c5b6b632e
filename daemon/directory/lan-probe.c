/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Calling those who were heard, and those who are not heard any more. */

#include "directory/lan-private.h"

/* Silent for so long, in halves of an interval, somebody is missed. */
#define MISSED_HALVES 5

/* After a call that failed, doubled so many times. Who is heard there and cannot be called, behind
 * a firewall perhaps, is kept in mind: he would be a newcomer with each of his beacons, whom
 * everybody answers. */
#define RETRY_FIRST (2 * USEC_PER_SEC)
#define RETRY_DOUBLINGS 6
#define LOST_FAILURES_MAX 2

/* Whoever seems to be another program than the one that answered is called again, but not more
 * often than this: anybody can make it seem so. */
#define DOUBT_PAUSE (30 * USEC_PER_SEC)

static usec_t address_until(const LanAddress *a) {
        return usec_add(a->heard, MISSED_HALVES * a->interval / 2);
}

static bool may_call(const LanPeer *p) {
        return !p->directory->lan->settings.hides || lan_peer_is_known(p);
}

static bool wants_probe(const LanAddress *a) {
        return !a->probing && (!a->proved || a->missed || a->doubted || a->checked) &&
                may_call(a->peer);
}

static void take_person(LanPeer *p, const Greeting *g) {
        p->named = true;
        p->epoch = g->certificate.epoch;
        memcpy(p->device, g->certificate.device, KEY_SIZE);
        memcpy(p->person.name, g->record.name, NAME_SIZE);
}

/* The program there is the one that HELLO names: beacons of others count for nothing. */
static void address_proved(LanAddress *a, const Greeting *g) {
        Loop *l = net_loop(a->peer->directory->net);
        usec_t now = loop_now(l);

        if (!a->has_beacon || memcmp(a->nonce, g->hello.boot_nonce, BOOT_NONCE_SIZE) != 0) {
                memcpy(a->nonce, g->hello.boot_nonce, BOOT_NONCE_SIZE);
                a->seq = 0;
                a->base = INT64_MAX;
        }
        a->proved = true;
        a->unheard = a->has_beacon && (a->missed || a->checked);
        a->missed = a->doubted = a->checked = false;
        a->failures = 0;
        a->retry = now + DOUBT_PAUSE;
        a->heard = now;
        a->peer->person.last_seen = loop_realtime(l);
        take_person(a->peer, g);
        if (lan_peer_is_known(a->peer))
                lan_keep(a->peer->directory->lan, &a->at);
}

/* What has proved good stays so for as long as it is heard; who is not, or may be elsewhere now,
 * has a second chance. */
static void address_failed(LanAddress *a) {
        Loop *l = net_loop(a->peer->directory->net);
        bool lost = a->missed || a->checked;

        a->retry = loop_now(l) +
                loop_jitter(l, RETRY_FIRST << MIN(a->failures, (unsigned)RETRY_DOUBLINGS));
        a->missed |= a->checked;
        a->checked = a->doubted = false;
        if (++a->failures >= LOST_FAILURES_MAX && lost)
                lan_address_drop(a);
}

static void on_probed(void *userdata, int error, const Greeting *g, Bytes record) {
        LanAddress *a = userdata;
        LanPeer *p = a->peer;
        Directory *d = p->directory;
        bool was_proved = a->proved;

        a->probe = NULL;
        lan_probe_end(a);
        if (error == -ECANCELED) {
                a->retry = loop_now(net_loop(d->net)) + RETRY_FIRST;
                loop_timer_set(d->lan->timer, a->retry);
                return; /* everything ends: whoever else waits does so until then */
        }
        if (error >= 0 && directory_is_self(d, p->person.account))
                own_record_heard(d, &g->record, record);
        /* An older device of the account answers, where a newer one has proved to be somewhere. */
        if (error >= 0 && p->named && g->certificate.epoch < p->epoch)
                error = -ESTALE;
        if (error >= 0)
                address_proved(a, g);
        else
                address_failed(a);
        if (error >= 0 && !was_proved && d->callbacks->on_lan)
                d->callbacks->on_lan(d->userdata, p->person.account);
        lan_settle(p);
        lan_look(d);
}

static void probe_begin(LanAddress *a) {
        LanPeer *p = a->peer;
        Directory *d = p->directory;
        int r;

        a->probing = true;
        d->lan->n_probes++;
        r = d->callbacks->probe(d->userdata, p->person.account, &a->at, on_probed, a, &a->probe);
        if (r >= 0)
                return;
        lan_probe_end(a);
        a->retry = loop_now(net_loop(d->net)) + RETRY_FIRST; /* nobody was asked */
}

void lan_probe_end(LanAddress *a) {
        Directory *d = a->peer->directory;

        if (!a->probing)
                return;
        if (a->probe)
                d->callbacks->probe_free(a->probe);
        a->probe = NULL;
        a->probing = false;
        d->lan->n_probes--;
}

/* Looking at everybody: whose time is over, who is to be called, and when that is next */

typedef struct Look {
        usec_t now, next;
        bool full; /* no more calls now */
} Look;

static void peer_mark(LanPeer *p, usec_t now) {
        for (size_t i = 0; i < LAN_ADDRESSES_MAX; i++) {
                LanAddress *a = &p->addresses[i];

                if (!a->peer || address_until(a) > now)
                        continue;
                /* Who answers and is not heard is behind a router now, on another network. */
                if ((!a->proved && !a->probing) || (a->unheard && !a->missed) || !may_call(p))
                        lan_address_drop(a);
                else if (a->proved && !a->missed) {
                        a->missed = true;
                        a->retry = now;
                }
        }
        lan_settle(p);
}

/* Nothing is known of him yet, and nothing is under way. */
static bool is_waited_for(const LanPeer *p) {
        for (size_t i = 0; i < LAN_ADDRESSES_MAX; i++)
                if (p->addresses[i].peer && (p->addresses[i].proved || p->addresses[i].probing))
                        return false;
        return true;
}

/* FIRST: at one address, if at all, so that everybody is called once before anybody is twice. */
static void peer_call(LanPeer *p, bool first, Look *look) {
        Lan *lan = p->directory->lan;

        for (size_t i = 0; i < LAN_ADDRESSES_MAX && !look->full; i++) {
                LanAddress *a = &p->addresses[i];

                if (!a->peer || !wants_probe(a) || a->retry > look->now)
                        continue;
                if (first && !is_waited_for(p))
                        return;
                if (lan->n_probes >= LAN_PROBES_MAX)
                        look->full = true; /* one that ends looks again */
                else if (!quota_take(&lan->probes, 1, look->now)) {
                        look->full = true;
                        look->next = look->now + quota_wait(&lan->probes, 1, look->now);
                } else
                        probe_begin(a);
        }
}

/* False when nothing is known of P any more. */
static bool peer_next(const LanPeer *p, Look *look) {
        bool any = false;

        for (size_t i = 0; i < LAN_ADDRESSES_MAX; i++) {
                const LanAddress *a = &p->addresses[i];

                any |= a->peer != NULL;
                if (!a->peer || a->probing)
                        continue;
                if (!a->missed)
                        look->next = MIN(look->next, address_until(a));
                if (wants_probe(a) && a->retry > look->now)
                        look->next = MIN(look->next, a->retry);
        }
        return any;
}

static usec_t trackers_look(Lan *lan, usec_t now, bool *ret_changed) {
        usec_t next = USEC_INFINITY;

        for (size_t i = 0; i < LAN_TRACKERS_MAX; i++) {
                LanTracker *t = &lan->trackers[i];

                if (t->until > 0 && t->until <= now) {
                        *t = (LanTracker){};
                        *ret_changed = true;
                } else if (t->until > 0)
                        next = MIN(next, t->until);
        }
        return next;
}

void lan_look(Directory *d) {
        Lan *lan = d->lan;
        Look look = {.now = loop_now(net_loop(d->net)), .next = USEC_INFINITY};
        bool tracker_gone = false;
        LanPeer *p, *tmp;

        if (lan->looking || !lan->started)
                return;
        lan->looking = true; /* who is told of it may cause another look: this one sees it all */
        HASH_ITER (hh, lan->peers, p, tmp)
                peer_mark(p, look.now);
        for (unsigned pass = 0; pass < 4 && !look.full; pass++)
                HASH_ITER (hh, lan->peers, p, tmp)
                        if (lan_peer_is_known(p) == (pass % 2 == 0))
                                peer_call(p, pass < 2, &look);
        HASH_ITER (hh, lan->peers, p, tmp)
                if (!peer_next(p, &look))
                        lan_peer_drop(p);
        look.next = MIN(look.next, trackers_look(lan, look.now, &tracker_gone));
        loop_timer_set(lan->timer, look.next);
        lan->looking = false;
        if (tracker_gone && d->callbacks->lan_changed)
                d->callbacks->lan_changed(d->userdata);
}

void lan_on_timer(void *userdata) {
        lan_look(userdata);
}
