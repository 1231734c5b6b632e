/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Stories of the simulator in child processes, whatever becomes of these. */

#include "test.h"

#include <signal.h>
#include <sys/stat.h>

#include "trial.h"

#define TRIALS_MAX 16

typedef struct Lab {
        unsigned n_done, enough;
        Verdict verdicts[TRIALS_MAX];
} Lab;

static bool note(void *userdata, size_t i, const Verdict *v) {
        Lab *lab = userdata;

        lab->verdicts[i] = *v;
        return ++lab->n_done != lab->enough;
}

static void hold(void *userdata, size_t i, Verdict *ret) {
        ret->turns = 100 + i;
}

static void fail_by_oracle(void *userdata, size_t i, Verdict *ret) {
        snprintf(ret->oracle, sizeof(ret->oracle), "shown-twice");
        snprintf(ret->text, sizeof(ret->text), "bob: number %zu", i);
}

static void crash(void *userdata, size_t i, Verdict *ret) {
        fprintf(stderr, "\nnumber %zu must not be\nand more\n", i);
        raise(SIGABRT);
}

static void end_badly(void *userdata, size_t i, Verdict *ret) {
        exit(3);
}

static void never_end(void *userdata, size_t i, Verdict *ret) {
        for (;;)
                ret->turns++;
}

static void leave_a_file(void *userdata, size_t i, Verdict *ret) {
        char path[sizeof(ret->text) + 8];
        FILE *f;

        snprintf(ret->text, sizeof(ret->text), "%s", getenv("TMPDIR"));
        snprintf(path, sizeof(path), "%s/left", ret->text);
        f = fopen(path, "we");
        ret->turns = f && fclose(f) == 0;
        raise(SIGKILL);
}

static void try(void (*run)(void *userdata, size_t i, Verdict *ret), size_t n, unsigned at_once,
        unsigned enough, Lab *lab) {
        Trials t = {
                .at_once = at_once, .cpu_seconds = 1, .run = run, .done = note, .userdata = lab};

        *lab = (Lab){.enough = enough};
        CHECK_OK(trials_run(&t, n));
}

TEST(each_story_has_its_verdict) {
        for (unsigned at_once = 0; at_once <= 20; at_once += 5) {
                Lab lab;

                try(hold, 10, at_once, 0, &lab);
                CHECK_EQ(lab.n_done, 10);
                for (size_t i = 0; i < 10; i++) {
                        CHECK_STR(lab.verdicts[i].oracle, "");
                        CHECK_EQ(lab.verdicts[i].turns, 100 + i);
                }
        }
}

TEST(enough_is_enough) {
        Lab lab;

        try(fail_by_oracle, 10, 1, 3, &lab);
        CHECK_EQ(lab.n_done, 3);
        CHECK_STR(lab.verdicts[2].oracle, "shown-twice");
        CHECK_STR(lab.verdicts[2].text, "bob: number 2");
        CHECK_STR(lab.verdicts[3].oracle, "");
}

TEST(a_crash_says_why) {
        Lab lab;

        try(crash, 2, 2, 0, &lab);
        CHECK_STR(lab.verdicts[1].oracle, "crashes");
        CHECK_STR(lab.verdicts[1].text, "Aborted: number 1 must not be");
        try(end_badly, 1, 1, 0, &lab);
        CHECK_STR(lab.verdicts[0].oracle, "crashes");
        CHECK_STR(lab.verdicts[0].text, "exit status 3");
}

TEST(what_does_not_end_is_ended) {
        Lab lab;

        try(never_end, 2, 2, 1, &lab);
        CHECK_EQ(lab.n_done, 1);
        CHECK(streq(lab.verdicts[0].oracle, "hangs") || streq(lab.verdicts[1].oracle, "hangs"));
}

static bool be_told(void *userdata, size_t i, const Verdict *v) {
        CHECK_OK(raise(SIGTERM));
        return true;
}

TEST(who_is_told_to_end_does) {
        Trials t = {.at_once = 1, .cpu_seconds = 1, .run = hold, .done = be_told};

        CHECK_EQ(trials_run(&t, 3), -EINTR);
}

TEST(nothing_is_left_on_the_disk) {
        struct stat st;
        Lab lab;

        /* SIGKILL is what a limit sends at last. */
        try(leave_a_file, 1, 1, 0, &lab);
        CHECK_STR(lab.verdicts[0].oracle, "hangs");
        CHECK_EQ(lab.verdicts[0].turns, 1);
        CHECK_EQ(stat(lab.verdicts[0].text, &st), -1);
        CHECK_EQ(errno, ENOENT);
}
