/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The journal's end of its native protocol. */

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "test.h"

#include "util/log.h"

/* A journal that reads when it is asked to. */
typedef struct Journal {
        int fd;
        char path[64];
        char entry[16384]; /* the last one, with a line feed before it */
} Journal;

static void journal_start(Journal *j) {
        struct sockaddr_un at = {.sun_family = AF_UNIX};

        j->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        snprintf(j->path, sizeof(j->path), "/tmp/p2pchat-test-%d.journal", (int)getpid());
        (void)unlink(j->path);
        memcpy(at.sun_path, j->path, strlen(j->path));
        CHECK(j->fd >= 0);
        CHECK_OK(bind(j->fd, (const struct sockaddr *)&at, sizeof(at)));
        log_set_level(LOG_INFO);
        log_set_journal(j->path);
}

static bool journal_read(Journal *j) {
        ssize_t n = recv(j->fd, j->entry + 1, sizeof(j->entry) - 2, 0);

        if (n < 0)
                return false;
        j->entry[0] = '\n';
        j->entry[1 + n] = 0;
        return true;
}

static void journal_stop(Journal *j) {
        log_set_journal(NULL);
        close(j->fd);
        (void)unlink(j->path);
}

static bool journal_has(const Journal *j, const char *line) {
        char text[2048];

        snprintf(text, sizeof(text), "\n%s\n", line);
        return strstr(j->entry, text) != NULL;
}
