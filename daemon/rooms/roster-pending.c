/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The provisional state: the final one, and what is proposed but not settled. The same set gives
 * the same state, and where there is too much of it, everybody keeps the same part.
 */

#include "rooms/roster-private.h"

typedef struct Item {
        RosterPending *p;
        const RoomProposal *proposal;
        RoomRole rank; /* of the proposer, in the final state */
        bool kick;
        bool over;
} Item;

static int number_compare(uint64_t a, uint64_t b) {
        return (a > b) - (a < b);
}

static int by_time(const RoomProposal *a, const RoomProposal *b) {
        return number_compare(a->hlc, b->hlc) ?: memcmp(a->hash, b->hash, SHA256_SIZE);
}

static int item_by_time(const void *a, const void *b) {
        const Item *x = a, *y = b;

        return by_time(x->proposal, y->proposal);
}

static int item_by_proposer(const void *a, const void *b) {
        const Item *x = a, *y = b;

        return memcmp(x->proposal->account, y->proposal->account, KEY_SIZE) ?: item_by_time(a, b);
}

/* Who counts first, and what is kept where there is too much. */
static int item_by_rank(const void *a, const void *b) {
        const Item *x = a, *y = b;

        if (x->over != y->over)
                return x->over ? 1 : -1;
        if (x->rank != y->rank)
                return x->rank > y->rank ? -1 : 1;
        if (x->kick != y->kick)
                return x->kick ? -1 : 1;
        return item_by_time(a, b);
}

static int pending_by_verdict(const void *a, const void *b) {
        const RosterPending *x = a, *y = b;

        if (x->verdict != y->verdict)
                return x->verdict < y->verdict ? -1 : 1;
        return by_time(x->proposal, y->proposal);
}

static bool can_be_proposed(const RoomProposal *p) {
        bool own = key_equal(p->account, p->change.account);

        switch (p->change.type) {
        case ROOM_CHANGE_ADD:
        case ROOM_CHANGE_INVITE:
        case ROOM_CHANGE_TOPIC:
                return true;
        case ROOM_CHANGE_LEAVE:
                return own;
        case ROOM_CHANGE_REMOVE:
                return !own;
        case ROOM_CHANGE_ROLE:
                return own && p->change.role == ROOM_ROLE_OWNER;
        default:
                return false;
        }
}

static void judge(RosterPending *p, RosterVerdict verdict, const char *why) {
        p->verdict = verdict;
        p->why = why;
}

/* False: P does not count, whatever else is pending. */
static bool may_count(const Roster *r, RosterPending *p) {
        const RoomProposal *proposal = p->proposal;

        if (memcmp(proposal->room, r->room, ROOM_ID_SIZE) != 0)
                judge(p, ROSTER_BAD, "the proposal is another room's");
        else if (!can_be_proposed(proposal))
                judge(p, ROSTER_BAD, "that can only be done by the owner, in a block");
        else if (roster_is_settled(r, proposal->hash))
                judge(p, ROSTER_SETTLED, "the owner has settled it");
        else if (proposal->head.epoch < r->settled_floor)
                judge(p, ROSTER_STALE, "it is too old: it has to be proposed again");
        else if (proposal->head.epoch > r->final.head.epoch)
                judge(p, ROSTER_AHEAD, "blocks that it builds on are missing");
        else
                return true;
        return false;
}

/* Marks what is over the bounds, and returns how many items are left; those come first, by rank. */
static size_t keep_within(Item *items, size_t n) {
        size_t run = 0, kept = 0;

        qsort(items, n, sizeof(*items), item_by_proposer);
        for (size_t i = 0; i < n; i++) {
                bool same = i > 0 &&
                        key_equal(items[i].proposal->account, items[i - 1].proposal->account);

                run = same ? run + 1 : 0;
                items[i].over = run >= ROSTER_PENDING_EACH_MAX && items[i].rank < ROOM_ROLE_ADMIN;
        }
        qsort(items, n, sizeof(*items), item_by_rank);
        for (size_t i = 0; i < n; i++) {
                if (!items[i].over && kept < ROSTER_PENDING_MAX) {
                        kept++;
                        continue;
                }
                judge(items[i].p, ROSTER_OVER, "too much is pending until the owner is back");
        }
        return kept;
}

static int account_compare(const void *a, const void *b) {
        return memcmp(*(const uint8_t *const *)a, *(const uint8_t *const *)b, KEY_SIZE);
}

/* Those who are removed by somebody of higher rank. */
typedef struct Struck {
        const uint8_t **accounts;
        size_t n;
} Struck;

static bool is_struck(const Struck *struck, const uint8_t *account) {
        return struck->n > 0 &&
                bsearch(&account, struck->accounts, struck->n, sizeof(*struck->accounts),
                        account_compare);
}

/* ITEMS are by rank: whoever could strike a proposer has come before him. */
static void strike(const State *final, const Item *items, size_t n, Struck *struck) {
        for (size_t i = 0; i < n;) {
                RoomRole rank = items[i].rank;
                size_t before = struck->n;

                for (; i < n && items[i].rank == rank; i++) {
                        const RoomProposal *p = items[i].proposal;
                        Struck earlier = {struck->accounts, before};

                        if (rank >= ROOM_ROLE_ADMIN && items[i].kick &&
                                state_rank(final, p->change.account) < rank &&
                                !is_struck(&earlier, p->account))
                                struck->accounts[struck->n++] = p->change.account;
                }
                qsort(struck->accounts, struck->n, sizeof(*struck->accounts), account_compare);
        }
}

static int apply(State *s, RosterPending *pending, const Struck *struck) {
        const RoomProposal *p = pending->proposal;
        Act a = {.who = p->account, .epoch = p->head.epoch, .hlc = p->hlc};
        Why why;
        int k;

        if (p->change.type != ROOM_CHANGE_LEAVE && is_struck(struck, p->account)) {
                judge(pending, ROSTER_NO_RIGHT, "its author has been removed");
                return 0;
        }
        k = state_change(s, &a, &p->change, &why);
        if (k == -ENOMEM)
                return k;
        if (k == CHANGE_WORKS)
                judge(pending, ROSTER_APPLIED, NULL);
        else if (k == CHANGE_ACCEPTS)
                judge(pending, ROSTER_ACCEPTANCE, "it waits for the owner's block");
        else
                judge(pending, k == CHANGE_MOOT ? ROSTER_MOOT : ROSTER_NO_RIGHT, why.text);
        return 0;
}

/* Whether the final state says otherwise of those whom the proposals have changed. */
static void mark_provisional(State *s) {
        for (size_t i = 0; i < s->n_people; i++) {
                RosterMember *m = &s->people[i]->m;
                const Person *final = state_find(s->below, m->account);

                m->provisional = !final || final->m.member != m->member ||
                        final->m.invited != m->invited || final->m.kicked != m->kicked ||
                        final->m.role != m->role || final->m.was != m->was;
        }
}

/* ACCOUNTS has room for N. */
static int fold(State *s, Item *items, size_t n, const uint8_t **accounts) {
        Struck struck = {.accounts = accounts};

        strike(s->below, items, n, &struck);
        qsort(items, n, sizeof(*items), item_by_time);
        for (size_t i = 0; i < n; i++) {
                int k = apply(s, items[i].p, &struck);

                if (k < 0)
                        return k;
        }
        mark_provisional(s);
        return 0;
}

int roster_take_proposals(Roster *r, RosterPending *p, size_t n) {
        _cleanup_(freep) Item *items = NULL;
        _cleanup_(freep) const uint8_t **accounts = NULL;
        size_t k = 0, kept;
        int q;

        state_done(&r->pending);
        if (n == 0)
                return 0;
        items = reallocarray(NULL, n, sizeof(*items));
        accounts = reallocarray(NULL, n, sizeof(*accounts));
        if (!items || !accounts)
                return refuse(&r->why, -ENOMEM, CODE_STORAGE, "out of memory");
        for (size_t i = 0; i < n; i++)
                if (may_count(r, &p[i]))
                        items[k++] = (Item){
                                .p = &p[i],
                                .proposal = p[i].proposal,
                                .rank = state_rank(&r->final, p[i].proposal->account),
                                .kick = p[i].proposal->change.type == ROOM_CHANGE_REMOVE,
                        };
        kept = keep_within(items, k);
        state_begin(&r->pending, &r->final);
        q = fold(&r->pending, items, kept, accounts);
        if (q < 0) {
                state_done(&r->pending);
                return refuse(&r->why, q, CODE_STORAGE, "out of memory");
        }
        qsort(p, n, sizeof(*p), pending_by_verdict);
        return 0;
}
