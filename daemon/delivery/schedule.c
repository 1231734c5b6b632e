/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delivery/schedule.h"

#include "crypto/hash.h"
#include "util/table.h"

/* Up to a tenth more or less. */
static usec_t jitter(usec_t t, uint64_t random) {
        return t - t / 10 + random % (t / 5 + 1);
}

usec_t schedule_wait(usec_t age, uint64_t random) {
        return jitter(CLAMP(age / 2, SCHEDULE_FIRST, SCHEDULE_LAST), random);
}

/* Dead endpoints. In the order of their failures, oldest first: uthash keeps that of adding. */

struct Dead {
        DeadKey key;
        unsigned failures;
        usec_t failed, until;
        UT_hash_handle hh;
};

DeadKey dead_key(const uint8_t account[static KEY_SIZE], const char *endpoint) {
        uint8_t bytes[KEY_SIZE + CANDIDATE_SIZE] = {}, hash[SHA256_SIZE];
        DeadKey key;

        memcpy(bytes, account, KEY_SIZE);
        memcpy(bytes + KEY_SIZE, endpoint, strnlen(endpoint, CANDIDATE_SIZE));
        sha256(bytes, sizeof(bytes), hash);
        memcpy(key.bytes, hash, sizeof(key.bytes));
        return key;
}

static Dead *dead_find(const DeadList *d, const DeadKey *key) {
        Dead *e;

        HASH_FIND(hh, d->table, key, sizeof(*key), e);
        return e;
}

static void dead_drop(DeadList *d, Dead *e) {
        HASH_DEL(d->table, e);
        free(e);
}

void dead_add(DeadList *d, const DeadKey *key, bool wrong, usec_t now, uint64_t random) {
        Dead *e = dead_find(d, key);
        usec_t pause;

        if (e)
                HASH_DEL(d->table, e);
        else {
                if (HASH_COUNT(d->table) >= DEAD_MAX)
                        dead_drop(d, d->table);
                e = calloc(1, sizeof(*e));
                if (!e)
                        return;
                e->key = *key;
        }
        pause = e->failures < 16 ? DEAD_PAUSE_FIRST << e->failures : SCHEDULE_LAST;
        pause = CLAMP(pause, wrong ? DEAD_PAUSE_WRONG : 0, SCHEDULE_LAST);
        e->failures++;
        e->failed = now;
        e->until = now + jitter(pause, random);
        HASH_ADD(hh, d->table, key, sizeof(e->key), e);
        if (!TABLE_HAS(e))
                free(e);
}

void dead_forget(DeadList *d, const DeadKey *key) {
        Dead *e = dead_find(d, key);

        if (e)
                dead_drop(d, e);
}

void dead_excuse(DeadList *d, const DeadKey *key, usec_t now) {
        Dead *e = dead_find(d, key);
        usec_t at;

        if (!e)
                return;
        at = MAX(now, e->failed + DEAD_PAUSE_FIRST);
        e->until = MIN(e->until, at);
}

usec_t dead_until(const DeadList *d, const DeadKey *key) {
        const Dead *e = dead_find(d, key);

        return e ? e->until : 0;
}

size_t dead_count(const DeadList *d) {
        return HASH_COUNT(d->table);
}

void dead_done(DeadList *d) {
        while (d->table)
                dead_drop(d, d->table);
}

/* Candidates */

bool candidates_add(
        Candidates *c, const char *endpoint, size_t size, CandidateSource source, usec_t until) {
        Candidate *a = &c->list[c->n];
        char host[HOST_SIZE];
        uint16_t port;
        int r;

        if (c->n == CANDIDATES_MAX || size >= sizeof(a->endpoint))
                return false;
        r = source == CANDIDATE_LAN ? endpoint_parse_scoped(endpoint, size, host, &port)
                                    : endpoint_parse(endpoint, size, false, host, &port);
        if (r < 0)
                return false;
        for (size_t i = 0; i < c->n; i++)
                if (strlen(c->list[i].endpoint) == size &&
                        memcmp(c->list[i].endpoint, endpoint, size) == 0)
                        return false;
        *a = (Candidate){.source = source, .until = until};
        memcpy(a->endpoint, endpoint, size);
        c->n++;
        return true;
}

/* Names are a family of their own: what they resolve to is tried in turns as well. */
static int candidate_family(const Candidate *a) {
        SockAddr address;
        char host[HOST_SIZE];
        uint16_t port;

        if (endpoint_parse_scoped(a->endpoint, strlen(a->endpoint), host, &port) < 0 ||
                sockaddr_parse_scoped_ip(host, port, &address) < 0)
                return AF_UNSPEC;
        return address.sa.sa_family;
}

static bool candidate_is_behind(const Candidate *a, const Candidate *b) {
        bool failed_a = a->until > 0, failed_b = b->until > 0;

        return failed_a != failed_b ? failed_a : a->source > b->source;
}

static void candidates_interleave(Candidate *list, size_t n) {
        Candidate sorted[CANDIDATES_MAX];
        size_t order[CANDIDATES_MAX];
        int families[CANDIDATES_MAX] = {};

        for (size_t i = 0; i < n; i++)
                families[i] = candidate_family(&list[i]);
        families_interleave(families, n, order);
        for (size_t i = 0; i < n; i++)
                sorted[i] = list[order[i]];
        memcpy(list, sorted, n * sizeof(*list));
}

usec_t candidates_order(Candidates *c, size_t from, usec_t now) {
        usec_t first = USEC_INFINITY;
        size_t n = from, fresh, lan;

        /* Those that may be tried, by insertion, which keeps the order of equals. */
        for (size_t i = from; i < c->n; i++) {
                Candidate a = c->list[i];
                size_t k = n;

                if (a.until > now) {
                        first = MIN(first, a.until);
                        continue;
                }
                for (; k > from && candidate_is_behind(&c->list[k - 1], &a); k--)
                        c->list[k] = c->list[k - 1];
                c->list[k] = a;
                n++;
        }
        c->n = n;
        for (fresh = from; fresh < n && c->list[fresh].until == 0; fresh++)
                continue;
        for (lan = from; lan < fresh && c->list[lan].source == CANDIDATE_LAN; lan++)
                continue;
        candidates_interleave(c->list + from, lan - from);
        candidates_interleave(c->list + lan, fresh - lan);
        candidates_interleave(c->list + fresh, n - fresh);
        return first;
}
