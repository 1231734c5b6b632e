/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "util/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "util/fs.h"
#include "util/macro.h"

#define STATUS_SIZE 512

void notify_status(const char *text) {
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        _cleanup_(closep) int fd = -EBADF;
        char line[STATUS_SIZE];
        size_t n = path ? strlen(path) : 0;

        if (n < 2 || n >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
                return;
        memcpy(to.sun_path, path, n);
        if (path[0] == '@')
                to.sun_path[0] = 0; /* the abstract name space */
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return;
        snprintf(line, sizeof(line), "STATUS=%s", text);
        (void)sendto(fd, line, strlen(line), MSG_NOSIGNAL, (const struct sockaddr *)&to,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}
