/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Two clients of somebody else's server, in one process: the first writes, the second reads, as
 * flood.c does with ours. TLS over loopback; whose key the server has is not looked at.
 */

#include <stdbool.h>

#include <gnutls/gnutls.h>

#include "bench.h"

#define TALKER_IN_MAX (256 * 1024)

typedef struct Talker {
        gnutls_session_t session;
        int fd;
        uint8_t in[TALKER_IN_MAX]; /* what came, and was not consumed yet */
        size_t n_in;
        uint8_t *out;
        size_t n_out, allocated;
} Talker;

/* Connects and does the handshake; nothing waits afterwards. */
void talker_open(Talker *t, const char *port);

/* What is said goes out with the next turn, as few records as it fits. */
void talker_say(Talker *t, const void *p, size_t n);
void talker_consume(Talker *t, size_t n);

/* Sends what was said, and waits until either has got something. */
void talkers_turn(Talker *a, Talker *b);

/* Sends what was said last, a farewell, and waits until the server has closed. */
void talker_close(Talker *t);

/* COUNT messages of SIZE bytes. With a window of 1 the next waits until the last one is there and
 * answered, and the times are those until it was there. */
typedef struct Work {
        size_t count, window, size;
        size_t sent, answered, received;
        uint64_t begun;
        uint64_t *took;
} Work;

void work_begin(Work *w, const char *count, const char *window, const char *size);
bool work_is_over(const Work *w);

/* True, and counted as sent, when it is time for one more. */
bool work_take(Work *w);

/* What is left over from before is not counted. */
void work_answered(Work *w);
void work_received(Work *w);
void work_print(Work *w);
