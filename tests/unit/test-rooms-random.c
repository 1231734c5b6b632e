/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Whatever was done, whoever heard of it first, and in whatever order: once all have told each
 * other everything, they show the same. By chance, from seeds that are fixed.
 */

#include "test.h"

#include "rooms-lab.h"

#define SEEDS 12
#define STEPS 120

typedef struct Bag {
        Thing *list[512];
        unsigned kind[512];
        size_t n;
} Bag;

enum { BAG_CONTROL, BAG_ENTRY, BAG_FORK };

static void bag_add(Bag *b, Thing *list, unsigned kind) {
        Thing *t, *next;

        DL_FOREACH_SAFE (list, t, next) {
                t->prev = t->next = NULL;
                if (b->n < ELEMENTSOF(b->list)) {
                        b->kind[b->n] = kind;
                        b->list[b->n++] = t;
                } else {
                        t->prev = t;
                        things_free(t);
                }
        }
}

static void bag_fill(Bag *b, Mate *from) {
        FeedsSeen s = mate_feeds(from);
        Thing *list = NULL;

        CHECK_OK(room_blocks_each(from->room, mate_txn(from), 0, thing_given, &list));
        CHECK_OK(room_proposals_each(from->room, mate_txn(from), thing_given, &list));
        bag_add(b, list, BAG_CONTROL);
        for (size_t i = 0; i < s.n; i++) {
                list = NULL;
                CHECK_OK(room_entries_each(from->room, mate_txn(from), s.list[i].feed.number, 0,
                        thing_supplied, &list));
                bag_add(b, list, BAG_ENTRY);
        }
        list = NULL;
        CHECK_OK(room_forks_each(from->room, mate_txn(from), thing_proof, &list));
        bag_add(b, list, BAG_FORK);
}

static void take_one(Mate *to, const Thing *t, unsigned kind) {
        const RoomEntryIn in = {.inner = buffer_bytes(&t->outer),
                .signature = buffer_bytes(&t->signature),
                .certificate = buffer_bytes(&t->certificate)};
        RoomReason why = {};
        int r;

        if (kind == BAG_CONTROL)
                r = mate_take_thing(to, t, &why);
        else if (kind == BAG_ENTRY)
                r = room_take_entry(to->room, &in, NULL, &why);
        else
                r = room_take_fork(to->room, buffer_bytes(&t->outer), &why);
        CHECK(r >= 0 && r != TAKEN_BAD);
}

static uint64_t pick(RoomsLab *lab, uint64_t n) {
        return loop_random_below(lab->sim.loop, n);
}

/* Some of what FROM has reaches TO, in any order, some of it twice. */
static void muddle(RoomsLab *lab, Mate *from, Mate *to) {
        Bag b = {};

        bag_fill(&b, from);
        for (size_t i = 0; b.n > 0 && i < b.n; i++) {
                size_t at = pick(lab, b.n);

                take_one(to, b.list[at], b.kind[at]);
        }
        for (size_t i = 0; i < b.n; i++) {
                b.list[i]->prev = b.list[i];
                things_free(b.list[i]);
        }
        lab_commit(from);
        lab_commit(to);
}

static bool is_in(const Mate *m) {
        return m->room && m->room->row.status == ROOM_JOINED;
}

static void act_on_other(Mate *m, Mate *other, uint64_t what) {
        uint32_t number = m->room->row.number;
        RoomReason why = {};
        RoomsError e = {};
        int r = 0;

        if (m == other)
                return;
        switch (what) {
        case 0:
                r = rooms_kick(m->rooms, number, mate_account(other), &e);
                break;
        case 1:
                r = rooms_invite(m->rooms, number, mate_account(other), &e);
                break;
        case 2:
                r = rooms_set_role(m->rooms, number, mate_account(other),
                        (RoomRole)(ROOM_ROLE_MEMBER + pick(m->lab, 3)), &e);
                break;
        default:
                if (is_in(other) || key_equal(mate_account(m), mate_account(other)))
                        break;
                r = mate_ask(other, m, &why);
                give(m, other);
        }
        CHECK(r >= 0 || r == -ECANCELED);
}

static void act(RoomsLab *lab, Mate *m) {
        Mate *other = &lab->mate[pick(lab, lab->n)];
        char text[32];
        RoomsError e = {};
        int r = 0;

        snprintf(text, sizeof(text), "%u", m->next_id);
        switch (pick(lab, 12)) {
        case 0:
        case 1:
                act_on_other(m, other, pick(lab, 4));
                break;
        case 2:
                r = rooms_set_topic(m->rooms, m->room->row.number, text, &e);
                break;
        case 3:
                if (pick(lab, 4) == 0)
                        r = rooms_leave(m->rooms, m->room->row.number, &e);
                break;
        case 4:
                mate_restart(m);
                break;
        case 5:
                lab_pause(lab);
                break;
        default:
                r = mate_say(m, text, &e);
        }
        CHECK(r >= 0 || r == -ECANCELED);
        lab_commit(m);
}

static void step(RoomsLab *lab) {
        Mate *a = &lab->mate[pick(lab, lab->n)], *b = &lab->mate[pick(lab, lab->n)];

        sim_run(&lab->sim, pick(lab, 20) * USEC_PER_MSEC);
        if (a->room && b->room && a != b && pick(lab, 3) == 0) {
                if (pick(lab, 2) == 0)
                        muddle(lab, a, b);
                else
                        give(a, b);
        } else if (is_in(a)) {
                act(lab, a);
        }
}

static void run(uint64_t seed, RoomAccess access, bool twins) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *first = NULL;
        unsigned level = 0;

        lab_new(&lab, seed, 5);
        CHECK_OK(lab_create(&lab, access, ROOM_HISTORY_ALL, &e));
        for (unsigned i = 1; i < 5; i++) {
                CHECK_OK(rooms_invite(lab.mate[0].rooms, lab.mate[0].room->row.number,
                        mate_account(&lab.mate[i]), &e));
                mate_join(&lab.mate[i], &lab.mate[0]);
        }
        lab_level(&lab);
        if (twins) {
                lab_clone(&lab, 2, 3, seed % 2);
                lab_clone(&lab, 1, 4, seed / 2 % 2);
                clone_joins(&lab.mate[3], &lab.mate[0]);
                clone_joins(&lab.mate[4], &lab.mate[0]);
                lab.mate[3].next_id = lab.mate[4].next_id = 1000;
        }
        for (unsigned i = 0; i < STEPS; i++)
                step(&lab);
        for (unsigned i = 0; i < 3; i++)
                lab_level(&lab);
        for (unsigned i = 0; i < lab.n; i++) {
                if (!is_in(&lab.mate[i]))
                        continue;
                level++;
                if (first)
                        check_level(first, &lab.mate[i]);
                else
                        first = &lab.mate[i];
        }
        printf("# seed %u: %u are in, epoch %u, %u entries\n", (unsigned)seed, level,
                (unsigned)mate_digest(first).epoch, (unsigned)mate_digest(first).n);
        lab_free(&lab);
}

TEST(members_end_with_the_same) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++)
                run(seed, seed % 2 ? ROOM_ACCESS_OPEN : ROOM_ACCESS_PRIVATE, false);
}
TEST(so_they_do_where_some_write_from_two_stores) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++)
                run(seed, seed % 2 ? ROOM_ACCESS_OPEN : ROOM_ACCESS_PRIVATE, true);
}
