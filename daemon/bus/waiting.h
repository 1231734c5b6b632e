/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The name on the bus before there is anything to answer with: every call gets one error, which
 * says what is waited for. bus_request_name() takes the name over. */

#include "util/macro.h"

typedef struct BusWaiting BusWaiting;
typedef struct sd_event sd_event;

/* Somebody has called, and was answered. */
typedef void (*BusWaitingFn)(void *userdata);

/* WHY: a sentence, as the message of the error Locked. -EEXIST: another process has the name. */
int bus_waiting_new(
        sd_event *event, const char *why, BusWaitingFn fn, void *userdata, BusWaiting **ret);

/* Another sentence from now on. */
void bus_waiting_set(BusWaiting *w, const char *why);

/* The name is free again. */
BusWaiting *bus_waiting_free(BusWaiting *w);

DEFINE_CLEANUP(BusWaiting *, bus_waiting_free)
