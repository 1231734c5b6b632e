/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The service manager's end of sd_notify(3). */

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "test.h"

#include "util/macro.h"

#define NOTICE_SIZE 256

/* At a path of its own, which the caller unlinks. */
static int manager_listen(char path[static 64]) {
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        snprintf(path, 64, "/tmp/p2pchat-test-%d.notify", (int)getpid());
        memcpy(at.sun_path, path, strlen(path));
        CHECK(fd >= 0);
        CHECK_OK(bind(fd, (const struct sockaddr *)&at, sizeof(at)));
        CHECK_OK(setenv("NOTIFY_SOCKET", path, 1));
        return fd;
}

/* False when there is nothing to read. */
static bool manager_read(int fd, char text[static NOTICE_SIZE]) {
        ssize_t n = recv(fd, text, NOTICE_SIZE - 1, MSG_DONTWAIT);

        text[MAX(n, (ssize_t)0)] = 0;
        return n > 0;
}
