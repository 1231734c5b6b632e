/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What others have and this end has not: whom it is asked of, and what comes of it. */

#include "rooms/sync.h"

#include <utlist.h>

/* What is told as it changes is on its way anyway: it is asked for only when it has not come. In a
 * large room it may be on no way that leads here. */
#define GRAFT_WAIT (500 * USEC_PER_MSEC)
#define GRAFT_WAIT_LARGE (150 * USEC_PER_MSEC)

/* After an answer that did not come, and twice that after the next. */
#define SILENT_FIRST (30 * USEC_PER_SEC)
#define SILENT_LAST (16 * USEC_PER_MINUTE)

/* Claims */

static bool same_tag(const uint8_t *a, const uint8_t *b) {
        return memcmp(a, b, ROOM_TAG_SIZE) == 0;
}

static Fetch *fetch_find(const SyncRoom *sr, const uint8_t *tag) {
        Fetch *f;

        HASH_FIND(hh, sr->fetches, tag, ROOM_TAG_SIZE, f);
        return f;
}

static void fetch_drop(SyncRoom *sr, const RoomLink *from) {
        Fetch *f, *tmp;

        HASH_ITER (hh, sr->fetches, f, tmp) {
                if (f->from != from)
                        continue;
                HASH_DEL(sr->fetches, f);
                free(f);
        }
}

static int fetch_add(SyncRoom *sr, RoomLink *from, const RoomWantItem *want) {
        Fetch *f = calloc(1, sizeof(*f));

        if (!f)
                return -ENOMEM;
        memcpy(f->tag, want->tag, ROOM_TAG_SIZE);
        f->seq = want->seq;
        f->from = from;
        HASH_ADD(hh, sr->fetches, tag, ROOM_TAG_SIZE, f);
        if (TABLE_HAS(f))
                return 0;
        free(f);
        return -ENOMEM;
}

/* What there is no room for is told again after what there was has been had. */
void claim_add(RoomLink *rl, const uint8_t *tag, uint64_t seq) {
        _cleanup_(buffer_done) Buffer packed = BUFFER_NULL;
        Bytes claims = buffer_bytes(&rl->claims);
        size_t n = room_want_count(claims);
        RoomWantItem x = {.seq = seq};

        memcpy(x.tag, tag, ROOM_TAG_SIZE);
        for (size_t i = 0; i < n; i++) {
                RoomWantItem y = room_want_get(claims, i);

                if (!same_tag(y.tag, tag))
                        continue;
                if (y.seq < seq && room_want_append(&packed, &x) >= 0)
                        memcpy((uint8_t *)buffer_data(&rl->claims) + i * ROOM_WANT_ITEM_SIZE,
                                buffer_data(&packed), ROOM_WANT_ITEM_SIZE);
                return;
        }
        if (n < CLAIMS_MAX)
                (void)room_want_append(&rl->claims, &x);
        else
                rl->claims_cut = true;
}

/* Up to where the feed is here, in the open batch; false: it does not take what comes next. */
static bool held(const SyncRoom *sr, DbTxn *txn, const uint8_t *tag, uint64_t *ret) {
        RoomFeed f;

        *ret = 0;
        if (room_feed_find_tag(txn, sr->number, tag, &f) <= 0)
                return true;
        *ret = f.feed.seq;
        return f.frozen == 0 || f.feed.seq + 1 < f.frozen;
}

/* Of what RL claims: the feeds that nobody else is asked for, up to WANT_FEEDS_MAX of them. What is
 * here by now is forgotten; and, with ASKED, what RL was asked for without giving any of it. */
static void claims_pick(RoomLink *rl, bool asked, Buffer *ret) {
        SyncRoom *sr = rl->sr;
        DbTxn *txn = store_write(sr->sync->rooms->store);
        Bytes claims = buffer_bytes(&rl->claims);
        Buffer kept = BUFFER_NULL;

        for (size_t i = 0; i < room_want_count(claims); i++) {
                RoomWantItem x = room_want_get(claims, i), want = x;
                const Fetch *f = fetch_find(sr, x.tag);
                uint64_t here;

                if (!held(sr, txn, x.tag, &here) || here >= x.seq)
                        continue;
                if (asked && f && f->from == rl && here <= f->seq)
                        continue;
                (void)room_want_append(&kept, &x);
                want.seq = here;
                if (ret && !f && room_want_count(buffer_bytes(ret)) < WANT_FEEDS_MAX &&
                        fetch_add(sr, rl, &want) >= 0)
                        (void)room_want_append(ret, &want);
        }
        buffer_done(&rl->claims);
        rl->claims = kept;
}

/* WANT */

/* Forks are searched for in sixteen steps at once. */
static void search_ask(const ForkSearch *f, Buffer *ret) {
        uint64_t n = f->high - f->low, parts = MIN(n, (uint64_t)ROOM_WANT_ENTRIES_MAX);
        RoomWantItem x;

        memcpy(x.tag, f->tag, ROOM_TAG_SIZE);
        for (uint64_t i = 1; i <= parts; i++) {
                x.seq = f->low + n / parts * i + n % parts * i / parts;
                (void)room_want_append(ret, &x);
        }
}

static bool add_control(RoomLink *rl, DbTxn *txn, RoomWant *w) {
        SyncRoom *sr = rl->sr;
        RoomState mine;

        if (!(rl->needs & NEED_CONTROL) || sr->control_from)
                return false;
        if (read_state(sr, txn, &mine, NULL) < 0)
                return false;
        w->has_control = true;
        w->control = mine.head;
        sr->control_from = rl;
        return true;
}

static bool add_keys(RoomLink *rl, DbTxn *txn, RoomWant *w) {
        SyncRoom *sr = rl->sr;
        uint64_t newest_first[ROOM_WANT_KEYS_MAX];
        size_t n;

        if (rl->keys_asked || sr->keys_from || rl->outsider ||
                room_keys_missing(sr->room, txn, newest_first, ROOM_WANT_KEYS_MAX, &n) < 0 ||
                n == 0)
                return false;
        for (size_t i = 0; i < n; i++)
                w->keys[i] = newest_first[n - 1 - i];
        w->n_keys = n;
        rl->keys_asked = true;
        sr->keys_from = rl;
        return true;
}

static bool add_records(RoomLink *rl, DbTxn *txn, RoomWant *w) {
        SyncRoom *sr = rl->sr;
        size_t n;

        if (sr->has_records || rl->records_asked || sr->records_from || rl->outsider ||
                room_records_missing(sr->room, txn, w->accounts, ROOM_SYNC_RECORDS_MAX, &n) < 0)
                return false;
        sr->has_records = n == 0;
        if (n == 0)
                return false;
        w->n_accounts = n;
        rl->records_asked = true;
        sr->records_from = rl;
        return true;
}

static void want_from(RoomLink *rl, usec_t now) {
        SyncRoom *sr = rl->sr;
        _cleanup_(buffer_done) Buffer feeds = BUFFER_NULL, entries = BUFFER_NULL;
        DbTxn *txn = store_write(sr->sync->rooms->store);
        RoomSync m = {.op = ROOM_SYNC_WANT};
        RoomWant *w = &m.want;
        bool any;

        if (rl->deadline > 0 || rl->silent_until > now)
                return;
        /* Who was removed while he was away is refused what members say; but may learn why. */
        if (rl->refused && !(rl->needs & NEED_CONTROL))
                return;
        memcpy(m.room, sr->room->row.id, SHA256_SIZE);
        any = add_control(rl, txn, w);
        w->proposals = rl->needs & NEED_PROPOSALS;
        w->forks = rl->needs & NEED_FORKS;
        any |= w->proposals || w->forks;
        any |= add_keys(rl, txn, w);
        any |= add_records(rl, txn, w);
        if (!(rl->needs & NEED_CONTROL) && !rl->outsider && room_is_joined(sr->room)) {
                if (rl->search.active)
                        search_ask(&rl->search, &entries);
                rl->search.moved = false;
                claims_pick(rl, false, &feeds);
        }
        w->feeds = buffer_bytes(&feeds);
        w->entries = buffer_bytes(&entries);
        any |= w->feeds.size > 0 || w->entries.size > 0;
        if (!any)
                return;
        rl->asked = rl->needs & ((w->has_control ? NEED_CONTROL : 0) | NEED_PROPOSALS | NEED_FORKS);
        rl->deadline = now + WANT_TIME;
        sync_due(sr, DUE_WANT, rl->deadline);
        if (sync_send(rl->peer, &m) < 0)
                want_given_up(rl);
}

/* The WANT is over, however. */
static void want_end(RoomLink *rl, bool answered) {
        SyncRoom *sr = rl->sr;

        rl->deadline = 0;
        rl->needs &= ~rl->asked;
        rl->asked = 0;
        claims_pick(rl, true, NULL);
        fetch_drop(sr, rl);
        if (sr->control_from == rl)
                sr->control_from = NULL;
        if (sr->keys_from == rl)
                sr->keys_from = NULL;
        if (sr->records_from == rl)
                sr->records_from = NULL;
        if (!answered)
                rl->search.active = false;
}

void want_answered(RoomLink *rl) {
        if (rl->deadline == 0)
                return;
        want_end(rl, true);
        rl->stalled = 0;
        rl->search.active &= rl->search.moved;
        if (rl->claims_cut && buffer_size(&rl->claims) == 0) {
                rl->claims_cut = false;
                say_state(rl, NULL); /* what he tells then is the rest */
        }
        sync_due(rl->sr, DUE_WANT, sync_now(rl->sr->sync));
}

void want_progressed(RoomLink *rl) {
        if (rl->deadline > 0)
                rl->deadline = sync_now(rl->sr->sync) + WANT_TIME;
}

/* The link is going. */
void want_given_up(RoomLink *rl) {
        want_end(rl, false);
}

void want_soon(SyncRoom *sr) {
        sync_due(sr, DUE_WANT, sync_now(sr->sync) + (sr->mesh ? GRAFT_WAIT : GRAFT_WAIT_LARGE));
}

static void want_timed_out(RoomLink *rl, usec_t now) {
        unsigned shift = MIN(rl->stalled, 8u);
        usec_t wait = MIN(SILENT_FIRST << shift, SILENT_LAST);

        log_debug("A member does not answer what he was asked about a room");
        rl->stalled++;
        rl->silent_until = now + wait;
        want_end(rl, false);
        live_plan_entropy(rl->sr);
}

/* Whoever has most of what is missing is not known: a random one begins. */
void want_on_due(SyncRoom *sr) {
        usec_t now = sync_now(sr->sync);
        unsigned n = 0, first;
        RoomLink *rl, *next;

        DL_FOREACH_SAFE (sr->links, rl, next) {
                n++;
                if (rl->deadline > 0 && rl->deadline <= now)
                        want_timed_out(rl, now);
                if (rl->deadline > 0)
                        sync_due(sr, DUE_WANT, rl->deadline);
        }
        if (n == 0)
                return;
        first = (unsigned)loop_random_below(sr->sync->rooms->loop, n);
        for (unsigned round = 0; round < 2; round++) {
                unsigned i = 0;

                DL_FOREACH (sr->links, rl)
                        if ((i++ >= first) == (round == 0))
                                want_from(rl, now);
        }
}

/* Where a feed forks */

void search_begin(RoomLink *rl, const uint8_t *tag, uint64_t low, uint64_t high) {
        if (rl->search.active || high <= low)
                return;
        /* It begins while an answer is read, which is none to it: that does not end it. */
        rl->search = (ForkSearch){.active = true, .moved = true, .low = low, .high = high};
        memcpy(rl->search.tag, tag, ROOM_TAG_SIZE);
        sync_due(rl->sr, DUE_WANT, sync_now(rl->sr->sync));
}

void search_found(RoomLink *rl, const uint8_t *tag, uint64_t seq, bool same) {
        ForkSearch *f = &rl->search;

        if (!f->active || !same_tag(f->tag, tag))
                return;
        if (same)
                f->low = MAX(f->low, seq);
        else
                f->high = MIN(f->high, seq - 1);
        f->active = f->low < f->high;
        f->moved = true;
}
