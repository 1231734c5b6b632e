/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What give.c and take.c share; handover.c has what both need. */

#include "handover/handover.h"
#include "store/handover-state.h"
#include "util/log.h"

/* The first byte of a position: which part comes next. The rest is that part's own. */
typedef enum Part {
        PART_STORE,
        PART_ROOMS,
        PART_STORE_AFTER,
        PART_END,
} Part;

/* Pieces that may be on their way: with small ones the window is wide. */
#define SENT_MAX 64

typedef struct Sent {
        uint8_t position[HANDOVER_POSITION_MAX];
        size_t n_position;
        size_t size;
        uint64_t items; /* so far, with this one */
} Sent;

/* A link with another device of the account. */
typedef struct Other {
        Handover *handover;
        Link *link;
        uint8_t device[KEY_SIZE];
        struct Other *prev, *next;

        /* To a newer one: */
        bool gives;
        bool going; /* GO was said, and END not yet */
        Part part;
        Buffer position; /* within the part: what was read so far */
        uint64_t items;
        Sent sent[SENT_MAX]; /* a ring */
        unsigned first, n_sent;
        size_t in_flight;

        /* From an older one: */
        bool takes; /* there was an OFFER of TAKE */
        bool waits;
        HandoverTake take; /* as in the open batch */
        bool dirty; /* it is to be said that something was taken, after the commit */
        HandoverStage stage, told; /* of the items that came last; said to be complete */
} Other;

struct Handover {
        Loop *loop;
        Store *store;
        const Identity *self;
        const HandoverCallbacks *callbacks;
        void *userdata;
        Other *others;
        bool ask, asked;
        bool wanted; /* a link */
        bool awaits_commit;
        bool rests; /* handover_start() has seen that this device was replaced */

        bool gives; /* this device was replaced, and has a row: */
        HandoverGive give;
        uint64_t given, total;
        uint64_t bytes; /* of pieces that were said, since the start */

        bool takes; /* something that is not complete: the last of what is taken */
        bool waits;
        HandoverTake take;
        uint64_t refused;

        LoopTimer *timer; /* to go on giving */
        LoopTimer *news_timer;
        usec_t told; /* `changed` was called */
        Buffer items, next; /* scratch */
};

/* News, at once or soon. */
void handover_news(Handover *h);
void handover_news_soon(Handover *h);
void handover_want(Handover *h);
int handover_say(Other *o, const HandoverFrame *f);

/* Not from within a frame of it. O is gone then. */
void handover_end_link(Other *o, Code code, const char *text);

/* give.c: true where there is something to give. */
bool handover_give_begin(Handover *h);
void handover_give_offer(Other *o);
int handover_give_frame(Other *o, const HandoverFrame *f);
int handover_give_more(Other *o);
void handover_give_stop(Handover *h);

void handover_take_begin(Handover *h);
int handover_take_frame(Other *o, const HandoverFrame *f);
void handover_take_ended(Other *o);
