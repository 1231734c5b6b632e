/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Two people whose feed gets more holes than a receipt has ranges. */

#include "test.h"

#include "stack-lab.h"

#define HOLES 300
#define ENTRIES (2 * HOLES) /* the odd ones are taken back */

typedef struct World {
        Sim sim;
        Stack alice, bob;
} World;

static void world_new(World *w) {
        *w = (World){};
        sim_new(&w->sim, 1);
        stack_new(&w->sim, "alice", &w->alice);
        stack_new(&w->sim, "bob", &w->bob);
        stack_knows(&w->alice, &w->bob.who, CONTACT_PINNED);
        stack_knows(&w->bob, &w->alice.who, CONTACT_PINNED);
}

static void world_free(World *w) {
        stack_free(&w->alice);
        stack_free(&w->bob);
        sim_free(&w->sim);
}

/* Two messages, of which the first is taken back before it leaves. */
static void put_two(World *w) {
        Uuid odd = stack_put(&w->alice, &w->bob.who, text_bytes("taken back"), 0);

        CHECK_EQ(store_cancel(w->alice.store, &odd, loop_realtime(w->sim.loop)), 1);
        (void)stack_put(&w->alice, &w->bob.who, text_bytes("stays"), 0);
}

typedef struct Seen {
        unsigned n, delivered, failed, gaps;
} Seen;

static bool on_row(void *userdata, DbTxn *txn, const HistoryRow *row) {
        Seen *s = userdata;

        s->n++;
        s->delivered += row->delivered;
        s->failed += !row->delivered && row->entry.state == ENTRY_FAILED;
        s->gaps += row->gap_before > 0;
        return true;
}

/* All that the user is shown. */
static Seen history_of(Stack *s) {
        HistoryPage page = {.conversation = 1, .limit = 10 * ENTRIES};
        Seen seen = {};
        DbTxn *txn;
        bool more;

        CHECK_OK(store_read_begin(s->store, &txn));
        CHECK_OK(history_read(txn, &page, on_row, &seen, &more));
        store_read_end(txn);
        return seen;
}

static void check_all_is_well(World *w) {
        Seen a = history_of(&w->alice), b = history_of(&w->bob);

        CHECK_EQ(stack_count_outbox(&w->alice), 0);
        CHECK_EQ(a.n, ENTRIES);
        CHECK_EQ(a.delivered, HOLES);
        CHECK_EQ(a.failed, HOLES);
        CHECK_EQ(b.n, HOLES);
        CHECK_EQ(w->bob.n_shown, HOLES);
}

static void restart(Stack *s) {
        stack_stop(s);
        stack_start(s);
}

TEST(a_message_after_each_hole_arrives_over_one_link) {
        World w;

        world_new(&w);
        for (unsigned i = 1; i <= HOLES; i++) {
                put_two(&w);
                stack_send_off(&w.alice, &w.bob.who);
                delivery_gave_up(w.alice.delivery, person_account(&w.bob.who));
                SIM_UNTIL(&w.sim, w.alice.n_delivered == i);
        }
        CHECK_EQ(w.alice.n_up, 1);
        check_all_is_well(&w);
        SIM_UNTIL(&w.sim, history_of(&w.bob).gaps == 0); /* what will never come leaves none */
        restart(&w.alice);
        restart(&w.bob);
        check_all_is_well(&w);
        stack_send(&w.alice, &w.bob.who, "and on");
        SIM_UNTIL(&w.sim, w.alice.n_delivered == HOLES + 1);
        CHECK_EQ(w.bob.n_shown, HOLES + 1);
        CHECK_EQ(history_of(&w.bob).gaps, 0);
        world_free(&w);
}

/* Bob has opened the link, and of alice's feed he knows nothing yet when she says so. */
TEST(a_hole_at_the_beginning_is_closed_over_the_same_link) {
        World w;

        world_new(&w);
        stack_send(&w.bob, &w.alice.who, "hello");
        SIM_UNTIL(&w.sim, w.bob.n_delivered == 1);
        put_two(&w);
        delivery_gave_up(w.alice.delivery, person_account(&w.bob.who));
        sim_run(&w.sim, USEC_PER_SEC);
        stack_send_off(&w.alice, &w.bob.who);
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 1);
        SIM_UNTIL(&w.sim, history_of(&w.bob).gaps == 0);
        CHECK_EQ(w.bob.n_up, 1);
        world_free(&w);
}

TEST(all_holes_in_one_batch) {
        World w;

        world_new(&w);
        for (unsigned i = 0; i < HOLES; i++)
                put_two(&w);
        stack_send_off(&w.alice, &w.bob.who);
        SIM_UNTIL(&w.sim, w.alice.n_delivered == HOLES);
        CHECK_EQ(w.alice.n_up, 1);
        check_all_is_well(&w);
        /* The newest are said not to come. Of the others there is no word. */
        SIM_UNTIL(&w.sim, history_of(&w.bob).gaps == HOLES - RECEIPT_RANGES_MAX);
        world_free(&w);
}

static void copy_db(const char *from, const char *to) {
        char command[256];

        snprintf(command, sizeof(command), "rm -rf %s && cp -r %s %s", to, from, to);
        CHECK_OK(system(command));
}

/* Alice does not know that anything was delivered: all comes again, the old ones too. */
TEST(whatever_was_said_and_not_heard_is_said_again) {
        char copy[80];
        World w;

        world_new(&w);
        stack_stop(&w.bob);
        for (unsigned i = 0; i < HOLES; i++)
                put_two(&w);
        stack_send_off(&w.alice, &w.bob.who);
        stack_stop(&w.alice);
        snprintf(copy, sizeof(copy), "%s-copy", w.alice.dir);
        copy_db(w.alice.dir, copy);
        for (int round = 1; round <= 3; round++) {
                stack_start(&w.alice);
                if (round == 1)
                        stack_start(&w.bob);
                SIM_UNTIL(&w.sim, w.alice.n_delivered == (unsigned)round * HOLES);
                check_all_is_well(&w);
                stack_stop(&w.alice);
                if (round < 3)
                        copy_db(copy, w.alice.dir);
        }
        stack_start(&w.alice);
        check_all_is_well(&w);
        CHECK_OK(nftw(copy, stack_unlink, 8, FTW_DEPTH | FTW_PHYS));
        world_free(&w);
}

/* As she does after a backup of her store has come back; the link may end between two pieces. */
static void check_receipt_in_pieces(bool cut) {
        enum { SENT = 2 * RECEIPT_ENTRIES_MAX };
        char copy[80];
        World w;

        world_new(&w);
        stack_stop(&w.bob);
        for (unsigned i = 0; i < SENT; i++)
                (void)stack_put(&w.alice, &w.bob.who, text_bytes("hi"), 0);
        stack_send_off(&w.alice, &w.bob.who);
        stack_stop(&w.alice);
        snprintf(copy, sizeof(copy), "%s-copy", w.alice.dir);
        copy_db(w.alice.dir, copy);
        stack_start(&w.alice);
        stack_start(&w.bob);
        SIM_UNTIL(&w.sim, w.alice.n_delivered == SENT);
        stack_stop(&w.alice);
        copy_db(copy, w.alice.dir);

        w.alice.n_delivered = 0;
        stack_start(&w.alice);
        delivery_wake(w.alice.delivery, person_account(&w.bob.who));
        SIM_UNTIL(&w.sim, w.alice.n_delivered > 0);
        CHECK(w.alice.n_delivered < SENT);
        if (cut)
                restart(&w.bob);
        SIM_UNTIL(&w.sim, w.alice.n_delivered == SENT);
        CHECK_EQ(stack_count_outbox(&w.alice), 0);
        CHECK_EQ(w.bob.n_shown, SENT);
        CHECK_OK(nftw(copy, stack_unlink, 8, FTW_DEPTH | FTW_PHYS));
        world_free(&w);
}

TEST(a_receipt_for_more_than_a_batch_is_taken_in_pieces) {
        check_receipt_in_pieces(false);
}

TEST(the_rest_of_a_receipt_is_taken_when_its_link_is_gone) {
        check_receipt_in_pieces(true);
}
