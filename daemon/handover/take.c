/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The active device: items go into the batch, with the position after them, and TAKEN is said when
 * that is on disk. */

#include "handover/private.h"

#include <utlist.h>

static HandoverStage stage_of(uint64_t kind) {
        switch (kind) {
        case HANDOVER_PREKEY:
        case HANDOVER_PRESENCE_KEY:
                return HANDOVER_STAGE_KEYS;
        case HANDOVER_PERSON:
        case HANDOVER_CERTIFICATE:
                return HANDOVER_STAGE_PEOPLE;
        case HANDOVER_FEED:
        case HANDOVER_ENTRY:
        case HANDOVER_FEED_END:
        case HANDOVER_ID:
                return HANDOVER_STAGE_MESSAGES;
        default:
                return kind >= HANDOVER_KIND_ROOMS ? HANDOVER_STAGE_ROOMS : HANDOVER_STAGE_ALL;
        }
}

/* What is shown of all that is taken: the first that is not complete. */
static bool on_take(void *userdata, const HandoverTake *t) {
        Handover *h = userdata;

        if (t->done)
                return true;
        h->takes = true;
        h->take = *t;
        return false;
}

void handover_take_begin(Handover *h) {
        (void)store_each_handover_take(store_write(h->store), on_take, h);
}

/* After the commit */

static void say_taken(Other *o) {
        HandoverFrame f = {.what = o->take.done ? HANDOVER_DONE : HANDOVER_TAKEN};

        if (!o->take.done)
                f.position = (Bytes){.data = o->take.position, .size = o->take.n_position};
        o->dirty = false;
        (void)handover_say(o, &f);
}

/* Of a stage that has begun, all before it is complete. */
static void tell_stage(Other *o) {
        HandoverStage complete = o->take.done ? HANDOVER_STAGE_ALL
                : o->stage > 0                ? o->stage - 1
                                              : HANDOVER_STAGE_NONE;

        if (complete <= o->told)
                return;
        o->told = complete;
        o->handover->callbacks->taken(o->handover->userdata, complete);
}

static void show(Other *o) {
        Handover *h = o->handover;
        bool done = h->takes && o->take.done && key_equal(h->take.device, o->device);

        if (!h->takes || key_equal(h->take.device, o->device))
                h->take = o->take;
        if (done) {
                h->takes = false;
                handover_take_begin(h);
                handover_want(h);
                handover_news(h);
        } else
                handover_news_soon(h);
}

static void on_taken(void *userdata, int error) {
        Handover *h = userdata;
        Other *o, *tmp;

        h->awaits_commit = false;
        DL_FOREACH_SAFE (h->others, o, tmp) {
                if (!o->dirty)
                        continue;
                if (error < 0) {
                        handover_end_link(
                                o, CODE_STORAGE, "what was handed over cannot be kept now");
                        continue;
                }
                say_taken(o);
                tell_stage(o);
                show(o);
        }
}

static int await_commit(Handover *h) {
        int r;

        if (h->awaits_commit)
                return 0;
        r = store_after_commit(h->store, on_taken, h);
        h->awaits_commit = r >= 0;
        return r;
}

/* Items */

/* One after the other; what is written of the store's own is gathered between those of rooms. */
typedef struct Taking {
        Other *other;
        HandoverMerge *merge;
} Taking;

static int taking_pause(Taking *t) {
        HandoverMerge *m = t->merge;

        t->merge = NULL;
        return m ? handover_merge_end(m) : 0;
}

static int take_item(Taking *t, Bytes item, uint64_t kind) {
        Handover *h = t->other->handover;
        int r = 0;

        if (kind >= HANDOVER_KIND_ROOMS) {
                r = taking_pause(t);
                if (r >= 0 && h->callbacks->rooms_merge)
                        r = h->callbacks->rooms_merge(h->userdata, item);
        } else {
                if (!t->merge)
                        r = handover_merge_begin(
                                h->store, h->self, loop_realtime(h->loop), &t->merge);
                if (r >= 0)
                        r = handover_merge_item(t->merge, item);
        }
        if (r == -EBADMSG) {
                h->refused++;
                log_debug("An item of a hand-over is of no use here, and is left out");
                r = 0;
        }
        return MIN(r, 0);
}

static int take_items(Other *o, Bytes piece) {
        Taking t = {.other = o};
        uint64_t kind;
        Bytes item;
        int r, end;

        while ((r = handover_item_next(&piece, &item, &kind)) > 0) {
                o->stage = MAX(o->stage, stage_of(kind));
                r = take_item(&t, item, kind);
                if (r < 0)
                        break;
        }
        end = taking_pause(&t);
        return r < 0 ? r : end;
}

/* What has been written of a piece that cannot be completed must not stay. */
static int take_piece(Other *o, const HandoverFrame *f) {
        Handover *h = o->handover;
        int r;

        r = store_check_room(h->store, STORE_PERCENT_MAIL);
        if (r < 0)
                return r;
        r = take_items(o, f->piece);
        if (r >= 0) {
                copy_bytes(o->take.position, f->position.data, f->position.size);
                o->take.n_position = f->position.size;
                o->take.items = f->items;
                r = store_set_handover_take(h->store, &o->take);
        }
        if (r >= 0)
                r = await_commit(h);
        if (r < 0) {
                store_fail(h->store, r);
                return r;
        }
        o->dirty = true;
        return 0;
}

static int take_end(Other *o) {
        int r;

        o->take.done = true;
        o->take.items = MAX(o->take.items, o->take.total);
        r = store_set_handover_take(o->handover->store, &o->take);
        if (r >= 0)
                r = await_commit(o->handover);
        if (r >= 0)
                o->dirty = true;
        return r;
}

/* Frames */

static int say_go(Other *o) {
        HandoverFrame f = {.what = HANDOVER_GO,
                .position = {.data = o->take.position, .size = o->take.n_position},
                .items = o->take.items};

        return handover_say(o, &f);
}

/* What is on disk: the open batch may have more of it, from a link before this one, and may fail.
 */
static int find_committed(Other *o, HandoverTake *ret) {
        Handover *h = o->handover;
        DbTxn *txn;
        int r;

        r = store_read_begin(h->store, &txn);
        if (r < 0)
                return r;
        r = store_get_handover_take(txn, o->device, ret);
        store_read_end(txn);
        return r;
}

/* What was taken of the same transfer before is not asked for again. */
static int take_resume(Other *o, const HandoverFrame *f) {
        Handover *h = o->handover;
        HandoverTake t;
        int r;

        r = find_committed(o, &t);
        if (r < 0)
                return r;
        if (r > 0 && memcmp(t.transfer, f->transfer, sizeof(t.transfer)) == 0) {
                o->take = t;
                o->take.total = f->items;
                return 0;
        }
        o->take = (HandoverTake){.total = f->items};
        memcpy(o->take.device, o->device, KEY_SIZE);
        memcpy(o->take.transfer, f->transfer, sizeof(o->take.transfer));
        r = handover_merge_reset(h->store);
        return r < 0 ? r : store_set_handover_take(h->store, &o->take);
}

/* Its user has been asked, or is to be asked: that is said over the same link. */
static bool may_come_again(const Other *o, const HandoverFrame *f) {
        return (o->waits || !f->waits) &&
                memcmp(o->take.transfer, f->transfer, sizeof(f->transfer)) == 0;
}

static int take_offer(Other *o, const HandoverFrame *f) {
        Handover *h = o->handover;
        int r;

        if (h->self->replaced || !h->self->logged_in || (o->takes && !may_come_again(o, f)))
                return -EBADMSG;
        if (o->takes && !o->waits)
                return 0; /* said when the link opened and when the user said yes, both at once */
        r = take_resume(o, f);
        if (r < 0)
                return r;
        o->takes = true;
        o->waits = f->waits;
        if (o->take.done)
                return handover_say(o, &(HandoverFrame){.what = HANDOVER_DONE});
        h->takes = true;
        h->waits = o->waits;
        h->take = o->take;
        handover_want(h);
        handover_news_soon(h);
        return o->waits ? 0 : say_go(o);
}

int handover_take_frame(Other *o, const HandoverFrame *f) {
        if (f->what == HANDOVER_OFFER)
                return take_offer(o, f);
        if (!o->takes || o->waits || o->take.done || o->handover->self->replaced)
                return -EBADMSG;
        return f->what == HANDOVER_END ? take_end(o) : take_piece(o, f);
}

/* The link is gone: what is here so far is made use of. */
void handover_take_ended(Other *o) {
        Handover *h = o->handover;

        if (o->stage > o->told && !o->take.done && !h->self->replaced) {
                o->told = o->stage;
                h->callbacks->taken(h->userdata, o->stage);
        }
}
