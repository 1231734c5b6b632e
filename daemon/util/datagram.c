/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "util/datagram.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

/* More empty datagrams than fit the smallest buffer that a socket can have, 4608 bytes on 64 bits,
 * of which each takes some 600. */
#define DRAIN_COUNT 16

/* How long each send() may wait, > 0. */
static int set_wait(int fd, usec_t wait) {
        struct timeval limit = {.tv_sec = (time_t)(wait / USEC_PER_SEC),
                .tv_usec = (suseconds_t)(wait % USEC_PER_SEC)};

        return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ? -errno : 0;
}

/* A socket that sends to PATH only, and waits for as long as WAIT. */
static int datagram_socket(const char *path, usec_t wait) {
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        _cleanup_(closep) int fd = -EBADF;
        size_t length = strlen(path);
        int r;

        if (length < 2 || length >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
                return -EINVAL;
        memcpy(to.sun_path, path, length);
        if (path[0] == '@')
                to.sun_path[0] = 0;
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | (wait > 0 ? 0 : SOCK_NONBLOCK), 0);
        if (fd < 0)
                return -errno;
        r = wait > 0 ? set_wait(fd, wait) : 0;
        if (r < 0)
                return r;
        if (connect(fd, (const struct sockaddr *)&to,
                    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int datagram_send(const char *path, const void *p, size_t n, usec_t wait) {
        _cleanup_(closep) int fd = datagram_socket(path, wait);

        if (fd < 0)
                return fd;
        return send(fd, p, n, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The last one finds room only when the first of them has been read, and so all before it. */
int datagram_drain(const char *path, usec_t wait) {
        _cleanup_(closep) int fd = datagram_socket(path, wait);
        usec_t end = usec_add(usec_monotonic(), wait), left;
        int r;

        if (fd < 0)
                return fd;
        if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){0}, sizeof(int)) < 0)
                return -errno;
        for (int i = 0; i < DRAIN_COUNT; i++) {
                left = usec_sub(end, usec_monotonic());
                if (left == 0)
                        return -EAGAIN;
                r = set_wait(fd, left);
                if (r < 0)
                        return r;
                if (send(fd, "", 0, MSG_NOSIGNAL) < 0)
                        return -errno;
        }
        return 0;
}
