/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Preloaded into a tracker: what it is sent, as it comes out of TLS, is appended to the file that
 * P2PCHAT_OVERHEARD names, as {session, size} and the bytes; no bytes are the end of a session.
 */

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <gnutls/gnutls.h>

typedef struct Head {
        uint64_t session;
        uint64_t size;
} Head;

static void note(const void *session, const void *p, size_t n) {
        Head head = {(uintptr_t)session, n};
        static int fd = -1;

        if (fd < 0)
                fd = open(getenv("P2PCHAT_OVERHEARD"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
                        0600);
        if (write(fd, &head, sizeof(head)) < 0 || (n > 0 && write(fd, p, n) < 0))
                abort();
}

ssize_t gnutls_record_recv(gnutls_session_t session, void *p, size_t n) {
        ssize_t (*real)(gnutls_session_t, void *, size_t) = dlsym(RTLD_NEXT, "gnutls_record_recv");
        ssize_t r = real(session, p, n);

        if (r > 0)
                note(session, p, (size_t)r);
        return r;
}

void gnutls_deinit(gnutls_session_t session) {
        void (*real)(gnutls_session_t) = dlsym(RTLD_NEXT, "gnutls_deinit");

        note(session, NULL, 0);
        real(session);
}
