/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Each call of LMDB fails in turn, alone or with all that come after it: whoever asked is told,
 * once, nothing is left half done, and when the disk is well again all goes on as before. */

#include "test.h"

#include "failing-disk.h"
#include "requests.h"
#include "stack-lab.h"

/* Returns whether there was a call that could fail. */
static bool ask_with_error(ChatLab *l, AskFn fn, unsigned long n, bool all) {
        Answer a = ask(l, ask_send, NULL), failed, again;
        bool broke;

        CHECK(!a.error);
        disk_break(n, all);
        failed = ask(l, fn, a.id);
        broke = disk_heal();
        sim_run(&l->sim,
                2 * USEC_PER_SEC); /* a store that cannot be opened is tried once a second */
        if (failed.error) {
                CHECK(broke);
                CHECK_STR(failed.error, "Storage");
                CHECK(failed.text[0]);
                again = ask(l, fn, a.id);
                if (again.error)
                        printf("# call %lu: %s\n", n, again.text);
                CHECK(!again.error);
        }
        if (fn == ask_logout)
                log_in(l);
        return broke;
}

TEST(whoever_asks_is_told_of_an_error_of_the_disk_and_may_ask_again) {
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_add_contact(&l, "bob", CONTACT_PINNED, NULL);
        CHECK_OK(store_commit(l.store));
        for (size_t i = 0; i < ELEMENTSOF(requests); i++)
                for (unsigned all = 0; all < 2; all++) {
                        unsigned queued = count_queued(&l);
                        unsigned long n = 1;

                        while (ask_with_error(&l, requests[i], n, all))
                                n++;
                        CHECK(n > 1);
                        /* What was refused was not kept, what was accepted was. */
                        if (requests[i] == ask_cancel)
                                CHECK_EQ(count_queued(&l), queued);
                        else if (requests[i] == ask_send)
                                CHECK_EQ(count_queued(&l), queued + 2 * n);
                        else
                                CHECK_EQ(count_queued(&l), queued + n);
                }
        chat_lab_free(&l);
}

/* Two people who know each other and write, with one disk for both of them. */

typedef struct Pair {
        Sim sim;
        Stack alice, bob;
} Pair;

/* What cannot be read now is told with the next batch. The looks of the test itself do not fail. */
static void on_events(void *userdata, int error) {
        unsigned long calls = disk.calls, fail_at = disk.fail_at;
        Stack *s = userdata;
        DbTxn *txn;

        disk.fail_at = 0;
        if (error >= 0 && store_read_begin(s->store, &txn) >= 0) {
                CHECK_OK(event_each(txn, s->told, stack_on_event, s));
                store_read_end(txn);
        }
        disk.fail_at = fail_at;
        disk.calls = calls;
}

static void pair_new(Pair *p) {
        sim_new(&p->sim, 1);
        stack_new(&p->sim, "alice", &p->alice);
        stack_new(&p->sim, "bob", &p->bob);
        stack_knows(&p->alice, &p->bob.who, CONTACT_PINNED);
        stack_knows(&p->bob, &p->alice.who, CONTACT_PINNED);
        store_set_events_fn(p->alice.store, on_events, &p->alice);
        store_set_events_fn(p->bob.store, on_events, &p->bob);
}

static void pair_free(Pair *p) {
        stack_free(&p->alice);
        stack_free(&p->bob);
        sim_free(&p->sim);
}

/* A receipt that could not be made is part of the next one. */
static void check_delivery(bool all) {
        unsigned long n = 0;
        bool broke;
        Pair p;

        pair_new(&p);
        do {
                stack_send(&p.alice, &p.bob.who, "with an error");
                disk_break(++n, all);
                sim_run(&p.sim, 10 * USEC_PER_SEC);
                broke = disk_heal();
                sim_run(&p.sim, 2 * USEC_PER_SEC);
                stack_send(&p.alice, &p.bob.who, "without");
                SIM_UNTIL(&p.sim, stack_count_outbox(&p.alice) == 0);
                on_events(&p.alice, 0);
                on_events(&p.bob, 0);
                CHECK_EQ(p.alice.n_delivered, 2 * n);
                CHECK_EQ(p.bob.n_shown, 2 * n); /* once each */
        } while (broke);
        CHECK(n > 10);
        CHECK_EQ(p.alice.n_failed + p.alice.n_expired, 0);
        pair_free(&p);
}

TEST(a_message_arrives_once_though_any_one_call_fails) {
        check_delivery(false);
}

TEST(a_message_arrives_once_though_the_disk_is_gone_for_a_while) {
        check_delivery(true);
}
