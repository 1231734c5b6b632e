/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "util/datagram.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

int datagram_send(const char *path, const void *p, size_t n, usec_t wait) {
        struct timeval limit = {.tv_sec = (time_t)(wait / USEC_PER_SEC),
                .tv_usec = (suseconds_t)(wait % USEC_PER_SEC)};
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        _cleanup_(closep) int fd = -EBADF;
        size_t length = strlen(path);

        if (length < 2 || length >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
                return -EINVAL;
        memcpy(to.sun_path, path, length);
        if (path[0] == '@')
                to.sun_path[0] = 0;
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (wait > 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
                return -errno;
        if (sendto(fd, p, n, MSG_NOSIGNAL | (wait > 0 ? 0 : MSG_DONTWAIT),
                    (const struct sockaddr *)&to,
                    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
                return -errno;
        return 0;
}
