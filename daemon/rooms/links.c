/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * To whom there are to be links: in a room of a few to everybody, so that all hear what one says;
 * in a larger one to a few who are there, at random. Looked at when something has changed; where
 * too few can be reached, others are tried after a while, and ever more seldom.
 */

#include <utlist.h>

#include "rooms/state.h"
#include "rooms/sync.h"

#define REVIEW_FIRST USEC_PER_MINUTE
#define REVIEW_LAST (16 * USEC_PER_MINUTE)

/* So long who has left, or deleted, a room seeks somebody who hears of it. */
#define FAREWELL_LASTS (30 * USEC_PER_DAY)

typedef struct Held {
        uint8_t account[KEY_SIZE];
        bool wanted; /* by the review that is under way */
        UT_hash_handle hh;
} Held;

/* Accounts, for all rooms */

void links_want(Sync *s, const uint8_t *account, bool want) {
        const RoomsCallbacks *c = s->rooms->callbacks;
        Want *w;

        HASH_FIND(hh, s->wants, account, KEY_SIZE, w);
        if (!w && want) {
                w = calloc(1, sizeof(*w));
                if (!w)
                        return;
                memcpy(w->account, account, KEY_SIZE);
                HASH_ADD(hh, s->wants, account, KEY_SIZE, w);
                if (!TABLE_HAS(w)) {
                        free(w);
                        return;
                }
        }
        if (!w)
                return;
        w->n += want ? 1 : -1;
        if (w->n == (want ? 1 : 0) && c->want_link)
                c->want_link(s->rooms->userdata, account, want);
        if (w->n == 0) {
                HASH_DEL(s->wants, w);
                free(w);
        }
}

void links_hold(SyncRoom *sr, const uint8_t *account, bool hold) {
        Held *h;

        HASH_FIND(hh, sr->held, account, KEY_SIZE, h);
        if (hold) {
                uint32_t number;

                /* Only who has a row is dialled; that of before may be of a batch that failed. */
                if (room_account_number(sr->room, account, true, &number) < 0 || h)
                        return;
                h = calloc(1, sizeof(*h));
                if (!h)
                        return;
                memcpy(h->account, account, KEY_SIZE);
                HASH_ADD(hh, sr->held, account, KEY_SIZE, h);
                if (!TABLE_HAS(h)) {
                        free(h);
                        return;
                }
                links_want(sr->sync, account, true);
        } else if (h) {
                uint8_t copy[KEY_SIZE];

                memcpy(copy, h->account, KEY_SIZE);
                HASH_DEL(sr->held, h);
                free(h);
                links_want(sr->sync, copy, false);
        }
}

unsigned links_count_held(const SyncRoom *sr) {
        return HASH_COUNT(sr->held);
}

void links_let_go(SyncRoom *sr) {
        while (sr->held)
                links_hold(sr, sr->held->account, false);
}

/* One room */

typedef struct Choice {
        SyncRoom *sr;
        uint8_t (*list)[KEY_SIZE]; /* those who are there first */
        size_t n, n_online, allocated;
        unsigned linked;
} Choice;

static bool is_online(const SyncRoom *sr, const uint8_t *account) {
        Rooms *r = sr->sync->rooms;
        const RoomsCallbacks *c = r->callbacks;

        return sync_find_peer(sr->sync, account) ||
                (c->is_online && c->is_online(r->userdata, account));
}

static bool add_member(void *userdata, const RosterMember *m) {
        Choice *c = userdata;
        bool online;

        if (!m->member || key_equal(m->account, rooms_self(c->sr->sync->rooms)))
                return true;
        if (c->n == c->allocated)
                return false;
        online = is_online(c->sr, m->account);
        memcpy(c->list[c->n], m->account, KEY_SIZE);
        if (online) {
                memcpy(c->list[c->n], c->list[c->n_online], KEY_SIZE);
                memcpy(c->list[c->n_online++], m->account, KEY_SIZE);
        }
        c->n++;
        c->linked += sync_find_peer(c->sr->sync, m->account) != NULL;
        return true;
}

static void want(SyncRoom *sr, const uint8_t *account) {
        Held *h;

        links_hold(sr, account, true);
        HASH_FIND(hh, sr->held, account, KEY_SIZE, h);
        if (h)
                h->wanted = true;
}

/* So many of LIST, from a random one on; those that are held and linked stay. */
static void want_some(SyncRoom *sr, uint8_t (*list)[KEY_SIZE], size_t n, size_t some) {
        size_t first = n > 0 ? loop_random_below(sr->sync->rooms->loop, n) : 0, i;
        Held *h;

        for (i = 0; i < n && some > 0; i++) {
                HASH_FIND(hh, sr->held, list[i], KEY_SIZE, h);
                if (!h || h->wanted || !sync_find_peer(sr->sync, list[i]))
                        continue;
                h->wanted = true;
                some--;
        }
        for (i = 0; i < n && some > 0; i++) {
                const uint8_t *account = list[(first + i) % n];

                HASH_FIND(hh, sr->held, account, KEY_SIZE, h);
                if (h && h->wanted)
                        continue;
                want(sr, account);
                some--;
        }
}

static void choose_links(SyncRoom *sr, const Choice *c) {
        unsigned links = sr->sync->gossip_links;

        sr->mesh = c->n_online <= sr->sync->mesh_max;
        if (c->n <= sr->sync->mesh_max)
                for (size_t i = 0; i < c->n; i++)
                        want(sr, c->list[i]);
        else if (sr->mesh) {
                for (size_t i = 0; i < c->n_online; i++)
                        want(sr, c->list[i]);
                if (c->n_online < links)
                        want_some(
                                sr, c->list + c->n_online, c->n - c->n_online, links - c->n_online);
        } else
                want_some(sr, c->list, c->n_online, links);
}

/* In the list that is let go, accounts are copied: letting go may end links. */
static void let_go_of_others(SyncRoom *sr) {
        Held *h, *tmp, **list = NULL;
        size_t n = 0;

        list = calloc(HASH_COUNT(sr->held) + 1, sizeof(*list));
        if (!list)
                return;
        HASH_ITER (hh, sr->held, h, tmp) {
                if (!h->wanted && !join_has_candidate(sr, h->account))
                        list[n++] = h;
                h->wanted = false;
        }
        for (size_t i = 0; i < n; i++)
                links_hold(sr, list[i]->account, false);
        free(list);
}

/* Since the last thing that he has heard, or done, there. 0: no longer. */
static usec_t farewell_left(const SyncRoom *sr) {
        Rooms *r = sr->sync->rooms;
        Conversation v;

        if (!sr->room->row.farewell || conversation_get(store_write(r->store), sr->number, &v) <= 0)
                return 0;
        return MIN(usec_sub(usec_add(hlc_time(v.hlc), FAREWELL_LASTS), loop_realtime(r->loop)),
                FAREWELL_LASTS);
}

/* Who has left a room, or deleted it, tells somebody; from then on who asks is told. */
static bool seeks_others(SyncRoom *sr) {
        const RoomRow *row = &sr->room->row;
        usec_t left;

        if (!sync_is_speaking(sr))
                return false;
        if (row->status == ROOM_JOINED || row->status == ROOM_JOINING || row->status == ROOM_KICKED)
                return true;
        left = farewell_left(sr);
        if (left > 0)
                sync_due(sr, DUE_LINKS, sync_now(sr->sync) + left);
        return left > 0;
}

void links_on_due(SyncRoom *sr) {
        Choice c = {.sr = sr};
        usec_t now = sync_now(sr->sync);
        size_t least;

        sync_review(sr);
        if (seeks_others(sr)) {
                c.allocated = roster_count(sr->room->roster);
                c.list = calloc(c.allocated + 1, KEY_SIZE);
                if (c.list)
                        roster_each(sr->room->roster, add_member, &c);
                choose_links(sr, &c);
        }
        let_go_of_others(sr);
        free(c.list);
        least = MIN(c.n, (size_t)sr->sync->gossip_links);
        if (c.n <= sr->sync->mesh_max || c.linked >= least)
                sr->review = 0;
        else {
                sr->review = CLAMP(2 * sr->review, REVIEW_FIRST, REVIEW_LAST);
                sync_due(sr, DUE_LINKS, now + loop_jitter(sr->sync->rooms->loop, sr->review));
        }
}
