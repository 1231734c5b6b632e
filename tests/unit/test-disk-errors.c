/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Each call of LMDB fails in turn, alone or with all that come after it: whoever asked is told,
 * once, nothing is left half done, and when the disk is well again all goes on as before. */

#include "test.h"

#include "failing-disk.h"
#include "requests.h"
#include "stack-lab.h"
#include "tracker-lab.h"

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

/* An account for the LAN alone, and its publication: as it was, or as it is to be. */

static void restart(ChatLab *l, const FakeTracker *k) {
        static const Endpoints here = {.text = {"192.0.2.1:7425"}, .n = 1};
        EndpointKey address = tracker_address(k);

        if (l->parts)
                chat_lab_stop(l);
        chat_lab_start(l);
        parts_set_trackers(l->parts, &address, 1);
        parts_publish(l->parts, &here);
        CHECK_OK(store_commit(l->store));
}

static void register_name(ChatLab *l, bool no_tracker, Answer *a) {
        *a = (Answer){};
        chat_register(l->chat,
                &(ChatRegister){.name = "alice",
                        .password = "",
                        .no_password = true,
                        .no_tracker = no_tracker},
                on_answer, a);
}

/* A store that cannot be opened is tried once a second. */
static bool heal_and_wait(ChatLab *l) {
        bool broke = disk_heal();

        sim_run(&l->sim, 2 * USEC_PER_SEC);
        return broke;
}

/* Until it is answered, by the tracker as well where it is asked. */
static void await_registered(ChatLab *l, FakeTracker *k, Answer *a) {
        for (unsigned i = 0; i < 30 && a->n == 0; i++) {
                sim_run(&l->sim, USEC_PER_SEC);
                if (k->far.conn && far_has(&k->far, FRAME_HELLO))
                        tracker_greet(k);
                if (k->far.conn && far_has(&k->far, FRAME_REGISTER))
                        tracker_ok(k, far_take(&k->far, FRAME_REGISTER).request);
        }
        CHECK_EQ(a->n, 1);
}

static bool is_nobody(const ChatLab *l) {
        return !account_exists(l->parts->account);
}

static bool is_on_lan(const ChatLab *l) {
        return account_is_active(l->parts->account) && account_is_lan_only(l->parts->account);
}

static bool is_published(const ChatLab *l) {
        return account_is_active(l->parts->account) && !account_is_lan_only(l->parts->account);
}

typedef struct Step {
        bool no_tracker;
        bool (*before)(const ChatLab *l), (*after)(const ChatLab *l);
} Step;

static const Step steps[] = {{true, is_nobody, is_on_lan}, {false, is_on_lan, is_published}};

static void take_step(ChatLab *l, FakeTracker *k, const Step *step) {
        Answer a;

        CHECK(step->before(l));
        register_name(l, step->no_tracker, &a);
        await_registered(l, k, &a);
        CHECK(!a.error && step->after(l));
}

/* Returns whether there was a call that could fail. */
static bool fail_step(size_t number, unsigned long n, bool all) {
        const Step *step = &steps[number];
        uint8_t account[KEY_SIZE];
        FakeTracker k;
        ChatLab l;
        Answer a;
        bool broke;

        chat_lab_begin(&l);
        tracker_new(&l.sim, &k);
        restart(&l, &k);
        for (size_t i = 0; i < number; i++)
                take_step(&l, &k, &steps[i]);
        memcpy(account, sign_key_public(&account_identity(l.parts->account)->account), KEY_SIZE);
        register_name(&l, step->no_tracker, &a);
        disk_break(n, all);
        await_registered(&l, &k, &a);
        broke = heal_and_wait(&l);
        CHECK(!a.error || (broke && streq(a.error, "Storage")));
        CHECK(a.error ? step->before(&l) : step->after(&l));
        tracker_hang_up(&k);
        restart(&l, &k);
        CHECK(a.error ? step->before(&l) : step->after(&l));
        if (a.error)
                take_step(&l, &k, step);
        CHECK(key_equal(account, sign_key_public(&account_identity(l.parts->account)->account)));
        tracker_free(&k);
        chat_lab_free(&l);
        return broke;
}

TEST(an_account_is_what_it_was_or_is_to_be_whatever_call_fails) {
        for (size_t i = 0; i < ELEMENTSOF(steps); i++)
                for (unsigned all = 0; all < 2; all++) {
                        unsigned long n = 1;

                        while (fail_step(i, n, all))
                                n++;
                        CHECK(n > 5);
                }
}
