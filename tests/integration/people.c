/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "people.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void key_make(Loop *loop, SignKey *ret) {
        uint8_t seed[KEY_SIZE];

        loop_random(loop, seed, sizeof(seed));
        sign_key_from_seed(seed, ret);
}

int someone_make(Loop *loop, const char *name, Someone *ret) {
        usec_t now = loop_realtime(loop), expires = now + 180 * USEC_PER_DAY;
        Certificate c = {.epoch = 1, .issued = now, .expires = expires};
        Record rec = {.epoch = 1, .seq = now / 1000, .issued = now, .expires = expires};
        int r;

        key_make(loop, &ret->account);
        key_make(loop, &ret->device);
        memcpy(c.account, sign_key_public(&ret->account), KEY_SIZE);
        memcpy(c.device, sign_key_public(&ret->device), KEY_SIZE);
        r = certificate_encode(&c, &ret->account, &ret->device, &ret->certificate);
        if (r < 0)
                return r;
        memcpy(rec.account, c.account, KEY_SIZE);
        snprintf(rec.name, sizeof(rec.name), "%s", name);
        rec.certificate = buffer_bytes(&ret->certificate);
        rec.listed = true;
        r = record_encode(&rec, &ret->account, &ret->record);
        if (r < 0)
                return r;
        ret->local = (LocalIdentity){.account = &ret->account,
                .device = &ret->device,
                .certificate = buffer_bytes(&ret->certificate),
                .record = buffer_bytes(&ret->record),
                .heartbeat = 30};
        loop_random(loop, ret->local.boot_nonce, BOOT_NONCE_SIZE);
        return 0;
}

void someone_done(Someone *s) {
        buffer_done(&s->certificate);
        buffer_done(&s->record);
        tls_identity_free(s->local.tls);
}

int loopback_connect(unsigned source, uint16_t port, SockAddr *ret_peer) {
        SockAddr from = {.in = {.sin_family = AF_INET}}, to = from;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

        if (fd < 0)
                return -errno;
        from.in.sin_addr.s_addr = htonl(0x7f000100 + source);
        to.in.sin_addr.s_addr = htonl(0x7f000001);
        to.in.sin_port = htons(port);
        if (bind(fd, &from.sa, sizeof(from.in)) < 0 || connect(fd, &to.sa, sizeof(to.in)) < 0) {
                r = -errno;
                safe_close(fd);
                return r;
        }
        *ret_peer = to;
        return fd;
}
