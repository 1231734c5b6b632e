/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The key of the store, at the start: had from where it is kept, made for a new store, and moved
 * where the configuration has another place. Nothing else is done with the store before.
 *
 * A store that is sealed with a key that cannot be had is not opened, and never gets another key. A
 * key file or a credential that is missing ends the start; the Secret Service is waited for. A key
 * that moves is made anew, written to its new place and read back before the store is sealed with
 * it, and only then the old one goes; whatever is interrupted is completed at the next start.
 */

#include "config/config.h"
#include "store/seal.h"

typedef struct Unlocking Unlocking;
typedef struct sd_event sd_event;

#define UNLOCKING_CREDENTIAL "p2pchat.key" /* in $CREDENTIALS_DIRECTORY */
#define UNLOCKING_FILE "key" /* in the state directory */

typedef struct UnlockingArgs {
        sd_event *event;
        Loop *loop;
        Store *store;
        const char *state_dir;
        const struct ConfigStorage *config; /* outlives it */
        /* 0: the store is open, and as the configuration says; else the start has failed, which
         * was logged. It may free it. */
        void (*done)(void *userdata, int r);
        void *userdata;
} UnlockingArgs;

/* 1: to be waited for; 0 or negative: as done() says, and nobody is called. Where the user has to
 * do something for it, READY is said with that as the status, and whoever calls on the session bus
 * is answered with it (bus/waiting.h), until unlocking_free(). */
int unlocking_new(const UnlockingArgs *args, Unlocking **ret);
Unlocking *unlocking_free(Unlocking *u);

/* Tells the service manager that there is nothing to read before the key is there; 0. */
int unlocking_reload(const Unlocking *u);

DEFINE_CLEANUP(Unlocking *, unlocking_free)
