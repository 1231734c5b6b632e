/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "fake-manager.h"

#include "loop-virtual.h"
#include "util/watchdog.h"

typedef struct Lab {
        Loop *loop;
        Watchdog *watchdog;
        char path[64];
        int fd;
} Lab;

static void lab_new(Lab *lab, const char *usec, const char *pid) {
        *lab = (Lab){};
        CHECK_OK(usec ? setenv("WATCHDOG_USEC", usec, 1) : unsetenv("WATCHDOG_USEC"));
        CHECK_OK(pid ? setenv("WATCHDOG_PID", pid, 1) : unsetenv("WATCHDOG_PID"));
        lab->fd = manager_listen(lab->path);
        CHECK_OK(loop_virtual_new(1, &lab->loop));
        CHECK_OK(watchdog_new(lab->loop, &lab->watchdog));
}

static void lab_free(Lab *lab) {
        watchdog_free(lab->watchdog);
        loop_virtual_free(lab->loop);
        CHECK_OK(close(lab->fd));
        CHECK_OK(unlink(lab->path));
}

/* How often it was said since the last time. */
static unsigned said(Lab *lab) {
        char text[NOTICE_SIZE];
        unsigned n = 0;

        for (; manager_read(lab->fd, text); n++)
                CHECK_STR(text, "WATCHDOG=1");
        return n;
}

TEST(it_is_said_twice_in_the_time) {
        char pid[16];
        Lab lab;

        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        lab_new(&lab, "60000000", pid);
        for (int i = 0; i < 100; i++) {
                loop_virtual_run(lab.loop, USEC_PER_MINUTE);
                CHECK_EQ(said(&lab), 2);
        }
        lab_free(&lab);
}

/* If it waited, this would not end. */
TEST(nobody_waits_for_a_manager_that_does_not_read) {
        unsigned unread;
        Lab lab;

        lab_new(&lab, "60000000", NULL);
        loop_virtual_run(lab.loop, 10 * USEC_PER_HOUR);
        unread = said(&lab);
        CHECK(unread > 0 && unread < 1200);
        loop_virtual_run(lab.loop, 2 * USEC_PER_SEC); /* it is in time, if only just */
        CHECK_EQ(said(&lab), 1);
        loop_virtual_run(lab.loop, USEC_PER_MINUTE);
        CHECK_EQ(said(&lab), 2);
        lab_free(&lab);
}

TEST(who_was_not_asked_says_nothing) {
        static const struct {
                const char *usec, *pid;
        } asked[] = {{NULL, NULL}, {"60000000", "1"}, {"0", NULL}, {"", NULL}, {"soon", NULL}};
        Lab lab;

        for (size_t i = 0; i < ELEMENTSOF(asked); i++) {
                lab_new(&lab, asked[i].usec, asked[i].pid);
                loop_virtual_run(lab.loop, USEC_PER_HOUR);
                CHECK_EQ(said(&lab), 0);
                lab_free(&lab);
        }
}
