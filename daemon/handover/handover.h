/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The account has moved: the device that was replaced gives what it has to the one that is active
 * now, over a link between the two (wire/handover.h).
 *
 * Giving: what is here does not change any more, so one walk over it is exact. Each piece waits for
 * its TAKEN, up to a window; where the link is cut the other end says how far it got.
 *
 * Taking: the items of a piece and the position after it go into one batch, and TAKEN is said after
 * its commit. So whatever ends, on either side, nothing is taken twice or missing.
 */

#include "link/link.h"
#include "store/handover.h"

typedef struct Handover Handover;

/* What has come altogether, durably, of what an older device gives; each may be said again. */
typedef enum HandoverStage {
        HANDOVER_STAGE_NONE,
        HANDOVER_STAGE_KEYS, /* prekeys: mail that could not be opened may be now */
        HANDOVER_STAGE_PEOPLE,
        HANDOVER_STAGE_MESSAGES, /* with what waits to be sent */
        HANDOVER_STAGE_ROOMS,
        HANDOVER_STAGE_ALL, /* events, clients, settings */
} HandoverStage;

typedef struct HandoverCallbacks {
        /* handover_get_state() says something else: at most twice a second, but for its ends. */
        void (*changed)(void *userdata);

        /* STAGE and those before it are here. */
        void (*taken)(void *userdata, HandoverStage stage);

        /* The user of this device, which was replaced, is to say whether what it has is given. */
        void (*ask)(void *userdata);

        /* A link with another device of the account is wanted, or not any more. */
        void (*want)(void *userdata, bool want);

        /* Ends a link. */
        void (*end)(void *userdata, Link *l, Code code, const char *text);

        /* The part of rooms, as rooms/ has it; all may be NULL together. */
        int (*rooms_read)(void *userdata, DbTxn *txn, Bytes position, size_t max, Buffer *items,
                uint64_t *ret_n, Buffer *next);
        int (*rooms_merge)(void *userdata, Bytes item);
        int (*rooms_count)(void *userdata, DbTxn *txn, uint64_t *ret);
} HandoverCallbacks;

/* SELF and the callbacks outlive it. */
int handover_new(Loop *loop, Store *store, const Identity *self, const HandoverCallbacks *callbacks,
        void *userdata, Handover **ret);
Handover *handover_free(Handover *h);

/* Looks at what SELF is and what is on disk: gives, takes or neither. To be called when either has
 * changed: the account is active, was replaced, or neither. */
void handover_start(Handover *h);

/* A link with another device of the account is up or down: as DeliveryCallbacks has it. */
void handover_own_link(Handover *h, Link *l, bool up);
int handover_frame(Handover *h, Link *l, Frame *f);
void handover_drained(Handover *h, Link *l);

/* Whether the user is asked before anything is given; and he says yes: -ENOENT where nothing waits
 * for that. */
void handover_set_ask(Handover *h, bool ask);
int handover_accept(Handover *h);

typedef struct HandoverState {
        bool active; /* else all is zero */
        bool giving; /* this device was replaced; else it takes */
        bool waiting; /* for the user of the device that gives */
        uint64_t done, total; /* items, about */
        uint64_t refused; /* since the start: taken from an older device, and of no use */
} HandoverState;

void handover_get_state(const Handover *h, HandoverState *ret);
