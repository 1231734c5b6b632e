/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The device that was replaced: what it has is read piece by piece and sent, and what was sent
 * waits to be TAKEN. Nothing but the transfer's name is kept here: the other end knows how far it
 * got. */

#include "handover/private.h"

/* Pieces read in one go, and looks at rows of which nothing came: others want a turn as well. */
#define PIECES_AT_ONCE 4
#define LOOKS_AT_ONCE 16

/* Counts what there is; as much as is known of it. */
static uint64_t count_all(Handover *h) {
        uint64_t n = 0, rooms = 0;
        DbTxn *txn;

        if (store_read_begin(h->store, &txn) < 0)
                return 0;
        if (handover_count(txn, h->self, &n) >= 0 && h->callbacks->rooms_count)
                (void)h->callbacks->rooms_count(h->userdata, txn, &rooms);
        store_read_end(txn);
        return n + rooms;
}

/* The device that has the account now, as its record says; false: it is not known. */
static bool newest_device(Handover *h, uint8_t ret[static KEY_SIZE]) {
        Record rec;
        Bytes outer;

        if (store_get_replaced_by(store_write(h->store), &outer) <= 0 ||
                record_parse(outer, &rec) < 0)
                return false;
        memcpy(ret, rec.device.device, KEY_SIZE);
        return true;
}

/* What was given to a device gone since is given again: nobody else may have it. */
bool handover_give_begin(Handover *h) {
        uint8_t device[KEY_SIZE];
        int r;

        h->given = h->total = 0;
        h->asked = false;
        r = store_get_handover_give(store_write(h->store), &h->give);
        if (r < 0)
                return false;
        if (r == 0) {
                h->give = (HandoverGive){};
                loop_random(h->loop, h->give.transfer, sizeof(h->give.transfer));
                if (store_set_handover_give(h->store, &h->give) < 0)
                        return false;
        }
        if (h->give.done && newest_device(h, device) && key_equal(device, h->give.to))
                return false;
        h->total = count_all(h);
        return true;
}

/* This device is the active one: what it has goes on changing. */
void handover_give_stop(Handover *h) {
        HandoverGive g;

        if (store_get_handover_give(store_write(h->store), &g) > 0)
                (void)store_forget_handover_give(h->store);
}

void handover_give_offer(Other *o) {
        Handover *h = o->handover;
        HandoverFrame f = {.what = HANDOVER_OFFER, .items = h->total};

        if (!h->gives)
                return;
        f.waits = h->ask && !h->give.accepted;
        memcpy(f.transfer, h->give.transfer, sizeof(f.transfer));
        (void)handover_say(o, &f);
        if (f.waits && !h->asked) {
                h->asked = true;
                h->callbacks->ask(h->userdata);
        }
}

/* Reading */

static int read_rooms(Other *o, DbTxn *txn, size_t max, uint64_t *ret_n) {
        Handover *h = o->handover;

        if (!h->callbacks->rooms_read)
                return 0;
        return h->callbacks->rooms_read(
                h->userdata, txn, buffer_bytes(&o->position), max, &h->items, ret_n, &h->next);
}

static int read_part(Other *o, DbTxn *txn, size_t max, uint64_t *ret_n) {
        Handover *h = o->handover;

        switch (o->part) {
        case PART_STORE:
                return handover_read(txn, h->self, HANDOVER_BEFORE_ROOMS,
                        buffer_bytes(&o->position), max, &h->items, ret_n, &h->next);
        case PART_ROOMS:
                return read_rooms(o, txn, max, ret_n);
        default:
                return handover_read(txn, h->self, HANDOVER_AFTER_ROOMS, buffer_bytes(&o->position),
                        max, &h->items, ret_n, &h->next);
        }
}

/* Some more items, and the position after them. 1: there are; 0: this was the end. */
static int read_more(Other *o, DbTxn *txn) {
        Handover *h = o->handover;
        uint64_t n = 0;
        int r;

        r = read_part(o, txn, HANDOVER_PIECE_SIZE, &n);
        if (r < 0)
                return r;
        o->items += n;
        buffer_clear(&o->position);
        if (r == 0) {
                o->part++;
                return o->part < PART_END;
        }
        r = buffer_append(&o->position, buffer_data(&h->next), buffer_size(&h->next));
        return r < 0 ? r : 1;
}

static int position_write(const Other *o, uint8_t *to, size_t *ret_n) {
        Bytes p = buffer_bytes(&o->position);

        if (p.size > HANDOVER_POSITION_MAX - 1)
                return -EMSGSIZE;
        to[0] = (uint8_t)o->part;
        copy_bytes(to + 1, p.data, p.size);
        *ret_n = 1 + p.size;
        return 0;
}

static int send_piece(Other *o) {
        Sent *s = &o->sent[(o->first + o->n_sent) % SENT_MAX];
        Handover *h = o->handover;
        HandoverFrame f = {.what = o->going ? HANDOVER_PIECE : HANDOVER_END};
        int r;

        r = position_write(o, s->position, &s->n_position);
        if (r < 0)
                return r;
        s->size = buffer_size(&h->items);
        s->items = o->items;
        f.position = (Bytes){.data = s->position, .size = s->n_position};
        if (o->going) {
                f.piece = buffer_bytes(&h->items);
                f.items = o->items;
        }
        r = handover_say(o, &f);
        if (r < 0)
                return r;
        o->n_sent++;
        o->in_flight += s->size;
        h->bytes += s->size;
        return 0;
}

static bool may_send(const Other *o) {
        return o->going && o->n_sent < SENT_MAX - 1 &&
                o->in_flight + HANDOVER_PIECE_SIZE <= HANDOVER_WINDOW &&
                link_has_room(o->link, HANDOVER_PIECE_SIZE);
}

/* Pieces from one snapshot. 1: there may be more to send at once. */
static int send_some(Other *o, DbTxn *txn) {
        Handover *h = o->handover;
        unsigned pieces = 0;
        int r = 1;

        for (unsigned i = 0; i < LOOKS_AT_ONCE && pieces < PIECES_AT_ONCE && may_send(o); i++) {
                buffer_clear(&h->items);
                r = read_more(o, txn);
                if (r < 0)
                        return r;
                if (buffer_size(&h->items) > 0) {
                        int e = send_piece(o);

                        if (e < 0)
                                return e;
                        pieces++;
                }
                if (r == 0) {
                        o->going = false;
                        buffer_clear(&h->items);
                        return send_piece(o);
                }
        }
        return may_send(o);
}

int handover_give_more(Other *o) {
        Handover *h = o->handover;
        DbTxn *txn;
        int r;

        if (!h->gives || !may_send(o))
                return 0;
        r = store_read_begin(h->store, &txn);
        if (r >= 0) {
                r = send_some(o, txn);
                store_read_end(txn);
        }
        buffer_wipe(&h->items);
        if (r > 0)
                loop_timer_set(h->timer, loop_now(h->loop));
        if (r < 0)
                log_warning("What this device has cannot be handed over: %s", strerror(-r));
        return MIN(r, 0);
}

/* Frames */

static int give_go(Other *o, const HandoverFrame *f) {
        Handover *h = o->handover;
        int r = 0;

        if (!h->gives || (h->ask && !h->give.accepted))
                return -EBADMSG;
        o->first = o->n_sent = 0;
        o->in_flight = 0;
        o->part = PART_STORE;
        o->items = h->given = f->items;
        buffer_clear(&o->position);
        if (f->position.size > 0) {
                if (f->position.data[0] > PART_END)
                        return -EBADMSG;
                o->part = (Part)f->position.data[0];
                r = buffer_append(&o->position, f->position.data + 1, f->position.size - 1);
        }
        o->going = true;
        if (r >= 0 && o->part == PART_END) {
                o->going = false;
                buffer_clear(&h->items);
                r = send_piece(o);
        }
        return r < 0 ? r : handover_give_more(o);
}

static int give_taken(Other *o, Bytes position) {
        Handover *h = o->handover;

        for (unsigned i = 0; i < o->n_sent; i++) {
                const Sent *s = &o->sent[(o->first + i) % SENT_MAX];

                if (!bytes_equal((Bytes){.data = s->position, .size = s->n_position}, position))
                        continue;
                h->given = s->items;
                for (; o->n_sent > 0; i--) {
                        o->in_flight -= o->sent[o->first].size;
                        o->first = (o->first + 1) % SENT_MAX;
                        o->n_sent--;
                        if (i == 0)
                                break;
                }
                handover_news_soon(h);
                return handover_give_more(o);
        }
        return -EBADMSG;
}

static void on_done(void *userdata, int error) {
        Handover *h = userdata;

        if (error < 0) {
                h->give.done = false;
                return; /* it is offered again, and answered by DONE */
        }
        h->gives = false;
        log_info("What this device had was handed over to the active one: %llu items, %llu bytes",
                (unsigned long long)h->given, (unsigned long long)h->bytes);
        handover_want(h);
        handover_news(h);
}

static int give_done(Other *o) {
        Handover *h = o->handover;
        int r;

        if (!h->gives)
                return 0;
        h->given = o->items;
        h->give.done = true;
        memcpy(h->give.to, o->device, KEY_SIZE);
        r = store_set_handover_give(h->store, &h->give);
        if (r >= 0)
                r = store_after_commit(h->store, on_done, h);
        return r;
}

int handover_give_frame(Other *o, const HandoverFrame *f) {
        switch (f->what) {
        case HANDOVER_GO:
                return give_go(o, f);
        case HANDOVER_TAKEN:
                return give_taken(o, f->position);
        default:
                return give_done(o);
        }
}
