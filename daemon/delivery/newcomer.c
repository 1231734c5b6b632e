/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * People who write for the first time leave a row for good, and anybody can make accounts. So they
 * are charged to the address that they come from: who has none left waits, and is not refused.
 */

#include "delivery/private.h"

/* New people an hour from one address (/64 of IPv6). */
#define NEWCOMERS 100

/* Addresses that are remembered. */
#define ADDRESSES_MAX 4096

struct Newcomers {
        uint8_t address[16];
        Quota quota;
        UT_hash_handle hh;
};

static void newcomers_drop(Delivery *d, Newcomers *n) {
        HASH_DEL(d->newcomers, n);
        free(n);
}

void newcomers_free(Delivery *d) {
        while (d->newcomers)
                newcomers_drop(d, d->newcomers);
}

/* The table is in order of arrival: the oldest go when they owe nothing, or for want of room. */
static void newcomers_trim(Delivery *d, usec_t now) {
        while (d->newcomers &&
                (quota_is_full(&d->newcomers->quota, now) ||
                        HASH_COUNT(d->newcomers) >= ADDRESSES_MAX))
                newcomers_drop(d, d->newcomers);
}

static bool newcomer_charge(Delivery *d, const SockAddr *from) {
        usec_t now = loop_now(d->loop);
        uint8_t address[16];
        Newcomers *n;

        sockaddr_prefix(from, address);
        HASH_FIND(hh, d->newcomers, address, sizeof(address), n);
        if (!n) {
                newcomers_trim(d, now);
                n = calloc(1, sizeof(*n));
                if (!n)
                        return false;
                memcpy(n->address, address, sizeof(address));
                n->quota = QUOTA_INIT(NEWCOMERS, USEC_PER_HOUR);
                HASH_ADD(hh, d->newcomers, address, sizeof(address), n);
                if (!TABLE_HAS(n)) {
                        free(n);
                        return false;
                }
        }
        return quota_take(&n->quota, 1, now);
}

int newcomer_take(Peer *p, Contact *from) {
        Delivery *d = p->delivery;
        Bytes outer = link_record_outer(p->link);
        Record record;
        int r;

        if (from->flags & (CONTACT_PINNED | CONTACT_REQUEST))
                return 0;
        if (!newcomer_charge(d, link_peer(p->link)))
                return -EUSERS;
        if (!d->settings.accept_all) {
                from->flags |= CONTACT_REQUEST;
                return contact_set_flags(d->store, p->account, CONTACT_REQUEST, 0);
        }
        r = record_parse(outer, &record);
        if (r >= 0)
                r = contact_learn(d->store, &record, outer, loop_realtime(d->loop), CONTACT_PINNED,
                        false, from);
        if (r >= 0)
                link_trust(p->link);
        return r;
}
