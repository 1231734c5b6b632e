/* SPDX-License-Identifier: GPL-3.0-or-later */

/* rooms/roster.h against roster-model.h, and at its bounds. */

#include "test.h"

#include <time.h>

#include "roster-random.h"

static unsigned from_seed(void *userdata, unsigned n) {
        uint64_t *x = userdata;

        *x ^= *x << 13;
        *x ^= *x >> 7;
        *x ^= *x << 17;
        return (unsigned)((*x >> 20) % n);
}

typedef struct Totals {
        unsigned blocks, refused, terms, transfers;
        size_t seen;
} Totals;

static void run(uint64_t seed, Totals *t) {
        uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15);
        RandomRoom *room = calloc(1, sizeof(RandomRoom));

        CHECK(room);
        room->chance = from_seed;
        room->userdata = &x;
        random_begin(room);
        for (int step = 0; step < 60; step++) {
                if (chance(room, 3))
                        random_propose(room);
                else
                        random_block(room);
                if (step % 6 == 5)
                        random_compare(room);
                if (step % 20 == 19)
                        random_settle(room);
        }
        t->blocks += (unsigned)room->n_blocks;
        t->refused += room->refused;
        t->terms += room->terms;
        t->transfers += room->transfers;
        t->seen += room->seen;
        random_end(room);
        free(room);
}

TEST(any_order_gives_what_the_rules_say) {
        unsigned seeds = test_in_valgrind() ? 20 : 400;
        Totals t = {};

        for (unsigned seed = 1; seed <= seeds; seed++) {
                printf("# seed %u\n", seed);
                run(seed, &t);
        }
        printf("# %u blocks, %u terms, %u transfers; %u refused; %zu proposals counted\n",
                t.blocks, t.terms, t.transfers, t.refused, t.seen);
        /* It is about something. */
        CHECK(t.blocks > 2 * seeds && t.refused > seeds && t.seen > 5 * seeds);
        CHECK(test_in_valgrind() || (t.terms > 10 && t.transfers > 10));
}

/* Bounds */

static RosterLab lab;

static void many_key(unsigned n, uint8_t ret[static KEY_SIZE]) {
        sha256(&n, sizeof(n), ret);
}

static RoomChange many(RoomChangeType type, unsigned n) {
        RoomChange c = change(type, -1);

        many_key(n, c.account);
        return c;
}

static double seconds(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* N people come by TYPE; how many were taken. */
static unsigned come(RoomChangeType type, unsigned first, unsigned n) {
        unsigned taken = 0;

        while (taken < n) {
                RoomBlock *b = block_begin(&lab, lab.roster, 0);

                b->has_commitment = false;
                for (unsigned i = 0; i < ROOM_CHANGES_MAX && taken + i < n; i++)
                        block_add(b, many(type, first + taken + i));
                while (b->n_changes > 0 && block_take(&lab) == -E2BIG)
                        b->n_changes--;
                taken += (unsigned)b->n_changes;
                if (b->n_changes == 0)
                        break;
        }
        return taken;
}

TEST(members_and_invitations_are_bounded) {
        lab_begin(&lab, 0);
        block_found(&lab, 0, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        CHECK_OK(block_take(&lab));
        CHECK_EQ(come(ROOM_CHANGE_INVITE, 100000, 5000), ROSTER_INVITED_MAX);
        CHECK_EQ(come(ROOM_CHANGE_ADD, 100000, 10), 10); /* who has come is invited no more */
        CHECK_EQ(come(ROOM_CHANGE_INVITE, 200000, 5000), 10);
        CHECK_EQ(come(ROOM_CHANGE_ADD, 0, 20000), ROSTER_MEMBERS_MAX - 11);
        CHECK_EQ(roster_count(lab.roster), ROSTER_MEMBERS_MAX);
        CHECK_EQ(roster_code(lab.roster), CODE_TOO_MANY);
        lab_end(&lab);
}

TEST(people_who_came_and_went_are_bounded) {
        unsigned all = 1, n = 0;

        lab_begin(&lab, 0);
        block_found(&lab, 0, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        CHECK_OK(block_take(&lab));
        do {
                n = come(ROOM_CHANGE_ADD, all, 5000);
                for (unsigned i = 0; i < n; i += ROOM_CHANGES_MAX) {
                        RoomBlock *b = block_begin(&lab, lab.roster, 0);

                        for (unsigned k = i; k < n && k < i + ROOM_CHANGES_MAX; k++)
                                block_add(b, many(ROOM_CHANGE_LEAVE, all + k));
                        CHECK_OK(block_take(&lab));
                }
                all += n;
        } while (n == 5000);
        CHECK_EQ(all, ROSTER_PEOPLE_MAX);
        CHECK_EQ(roster_count(lab.roster), 1);
        lab_end(&lab);
}

/* A thousand people, three thousand blocks: figures, and that a block costs what it changes. */
TEST(a_long_log_is_folded) {
        double start, per_block, pending;
        RosterPending *p = calloc(1000, sizeof(*p));
        RoomProposal *list = calloc(1000, sizeof(*list));

        CHECK(p && list);
        lab_begin(&lab, 0);
        block_found(&lab, 0, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL);
        CHECK_OK(block_take(&lab));
        CHECK_EQ(come(ROOM_CHANGE_ADD, 0, 1000), 1000);
        per_block = 0;
        for (unsigned i = 0; i < 3000; i++) {
                RoomBlock *b = block_begin(&lab, lab.roster, 0);
                RoomChange c = many(i & 1 ? ROOM_CHANGE_ADD : ROOM_CHANGE_LEAVE, i / 2 % 1000);

                c.heads[c.n_heads++] = model_feed(0, i + 1);
                block_add(b, c);
                block_end(b);
                start = seconds();
                CHECK_OK(roster_take_block(lab.roster, b));
                per_block += seconds() - start;
        }
        for (unsigned i = 0; i < 1000; i++) {
                RoomProposal *q = &list[i];

                memcpy(q->room, lab.room, ROOM_ID_SIZE);
                many_key(i, q->account);
                q->change = many(ROOM_CHANGE_INVITE, 5000 + i);
                q->hlc = i;
                q->head.epoch = roster_head(lab.roster)->epoch;
                sha256(&i, sizeof(i), q->hash);
                p[i].proposal = q;
        }
        start = seconds();
        CHECK_OK(roster_take_proposals(lab.roster, p, 1000));
        pending = seconds() - start;
        CHECK_EQ(p[999].verdict, ROSTER_APPLIED);
        printf("# 3,000 blocks: %.1f ms; 1,000 proposals: %.1f ms\n", per_block * 1e3,
                pending * 1e3);
        free(p);
        free(list);
        lab_end(&lab);
}
