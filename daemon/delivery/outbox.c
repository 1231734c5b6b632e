/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Sending: from committed rows to frames, and what comes back. */

#include "delivery/private.h"

/* The window: what was sent and not acknowledged, in order. Acks come in order as well, so the
 * search ends at once. */

static bool window_is_full(const Peer *p) {
        return p->in_flight_n >= WINDOW_ENTRIES || p->in_flight_bytes >= WINDOW_BYTES;
}

static int window_add(Peer *p, const Uuid *id, size_t size) {
        if (!p->in_flight) {
                p->in_flight = calloc(WINDOW_ENTRIES, sizeof(*p->in_flight));
                if (!p->in_flight)
                        return -ENOMEM;
        }
        p->in_flight[(p->in_flight_first + p->in_flight_n++) % WINDOW_ENTRIES] =
                (Sent){.id = *id, .size = size};
        p->in_flight_bytes += size;
        return 0;
}

static bool window_begins_with(const Peer *p, const Uuid *id) {
        return p->in_flight_n > 0 && uuid_equal(&p->in_flight[p->in_flight_first].id, id);
}

static bool window_remove(Peer *p, const Uuid *id) {
        for (size_t i = 0; i < p->in_flight_n; i++) {
                Sent *s = &p->in_flight[(p->in_flight_first + i) % WINDOW_ENTRIES];

                if (!uuid_equal(&s->id, id))
                        continue;
                p->in_flight_bytes -= s->size;
                /* What is before it moves up; usually nothing is. */
                for (; i > 0; i--)
                        p->in_flight[(p->in_flight_first + i) % WINDOW_ENTRIES] =
                                p->in_flight[(p->in_flight_first + i - 1) % WINDOW_ENTRIES];
                p->in_flight_first = (p->in_flight_first + 1) % WINDOW_ENTRIES;
                p->in_flight_n--;
                return true;
        }
        return false;
}

void outbox_link_lost(Peer *p) {
        p->in_flight = mfree(p->in_flight);
        p->in_flight_first = p->in_flight_n = p->in_flight_bytes = 0;
        p->sent = (OutboxPosition){};
        p->pending = true;
}

bool peer_has_rows(Peer *p) {
        OutboxRow row;

        /* Where it cannot be told, the next attempt will. */
        return outbox_next(store_write(p->delivery->store), p->number, (OutboxPosition){}, &row) !=
                0;
}

/* Bursts */

/* What a frame adds to an entry that is not signed, generously. */
#define MESSAGE_OVERHEAD 64

typedef struct Burst {
        Peer *peer;
        DbTxn *txn;
        OutboxWalk rows;
        unsigned entries; /* sent since the last signature */
        size_t bytes;
} Burst;

/* By the device of now, entries of an earlier epoch too: the link's certificate is the one that
 * counts, and none goes along. */
static int burst_sign(const Burst *b, const Entry *e, uint8_t *signature, MessageFrame *ret) {
        uint8_t hash[SHA256_SIZE];
        int r;

        sha256(e->inner.data, e->inner.size, hash);
        r = entry_sign(&b->peer->delivery->self->device, hash, signature);
        if (r < 0)
                return r;
        ret->signature = (Bytes){.data = signature, .size = SIGNATURE_SIZE};
        return 0;
}

static int burst_send(Burst *b, const Uuid *id, const Entry *e, bool sign_it) {
        uint8_t signature[SIGNATURE_SIZE];
        Peer *p = b->peer;
        MessageFrame m = {.inner = e->inner};
        int r = 0;

        if (sign_it)
                r = burst_sign(b, e, signature, &m);
        if (r >= 0)
                r = message_encode(link_output(p->link), &m);
        return r < 0 ? r : window_add(p, id, e->inner.size);
}

/* There will be room for another entry when one of SIZE bytes has been sent. */
static bool burst_has_room(const Burst *b, size_t size) {
        const Peer *p = b->peer;

        return b->entries < BURST_ENTRIES_MAX && p->in_flight_n + 1 < WINDOW_ENTRIES &&
                p->in_flight_bytes + size < WINDOW_BYTES &&
                link_has_room(p->link, size + MESSAGE_OVERHEAD);
}

/* CUR, of SIZE bytes, continues into NEXT without a hole, and NEXT follows at once: the last entry
 * that is sent must be signed. */
static bool burst_goes_on(const Burst *b, const OutboxRow *cur, size_t size, const OutboxRow *next,
        size_t next_size) {
        return next->at.feed == cur->at.feed && next->at.seq == cur->at.seq + 1 &&
                b->bytes + next_size <= BURST_BYTES_MAX && burst_has_room(b, size);
}

/* The next row that is still to be sent, with its entry. Rows whose time is over are left for
 * outbox_expire(). */
static int next_row(Burst *b, usec_t now, OutboxRow *ret, Entry *ret_entry, bool *ret_expired) {
        int r;

        while ((r = outbox_walk_next(&b->rows, ret)) > 0) {
                if (ret->expires > now) {
                        r = entry_get(b->txn, ret->at.feed, ret->at.seq, ret_entry);
                        return r == 0 ? store_damaged(b->txn) : r;
                }
                *ret_expired = true;
        }
        return r;
}

static int pump(Burst *b, usec_t now, bool *ret_expired) {
        Peer *p = b->peer;
        Entry entry, next_entry;
        OutboxRow cur, next;
        int r, more;

        more = next_row(b, now, &cur, &entry, ret_expired);
        while (more > 0 && !window_is_full(p) && !link_is_full(p->link)) {
                bool goes_on;

                b->entries++;
                b->bytes += entry.inner.size;
                more = next_row(b, now, &next, &next_entry, ret_expired);
                goes_on = more > 0 &&
                        burst_goes_on(b, &cur, entry.inner.size, &next, next_entry.inner.size);
                r = burst_send(b, &cur.id, &entry, !goes_on);
                if (r < 0)
                        return r;
                p->sent = cur.at;
                if (!goes_on)
                        b->entries = b->bytes = 0;
                cur = next;
                entry = next_entry;
        }
        p->pending = more > 0;
        return more < 0 ? more : 0;
}

void outbox_expire(Peer *p) {
        Delivery *d = p->delivery;
        usec_t now = loop_realtime(d->loop);
        OutboxPosition at = {};
        OutboxRow row;

        while (outbox_next(store_write(d->store), p->number, at, &row) > 0) {
                Failure f = {
                        .id = &row.id, .state = ENTRY_EXPIRED, .reason = CODE_EXPIRED, .now = now};

                at = row.at;
                if (row.expires <= now && store_fail_message(d->store, p->number, &f) <= 0)
                        break;
        }
}

void outbox_pump(Peer *p) {
        Delivery *d = p->delivery;
        usec_t now = loop_realtime(d->loop);
        Burst b = {.peer = p};
        bool expired = false;
        int r;

        if (!p->pending || !p->link || !link_is_open(p->link) || window_is_full(p) ||
                link_is_full(p->link))
                return;
        r = store_read_begin(d->store, &b.txn);
        if (r < 0) {
                peer_retry_later(p); /* the store is being reopened */
                return;
        }
        r = outbox_walk(b.txn, p->number, p->sent, &b.rows);
        if (r >= 0) {
                r = pump(&b, now, &expired);
                outbox_walk_end(&b.rows);
        }
        store_read_end(b.txn);
        link_queued(p->link);
        if (expired)
                outbox_expire(p);
        if (r < 0)
                log_warning(
                        "An outgoing message could not be read from the store: %s", strerror(-r));
}

/* Answers */

int outbox_take_ack(Peer *p, Frame *f) {
        Uuid ids[ACK_IDS_MAX];
        size_t n;
        int r;

        r = ack_decode(f, ids, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                if (window_remove(p, &ids[i]))
                        backoff_reset(&p->backoff);
        outbox_pump(p);
        return 0;
}

static int outbox_fail(Peer *p, const Nack *n) {
        Delivery *d = p->delivery;
        Failure f = {.id = &n->id,
                .state = n->code == CODE_EXPIRED ? ENTRY_EXPIRED : ENTRY_FAILED,
                .reason = n->code == _CODE_MAX ? CODE_NOT_ALLOWED : n->code,
                .now = loop_realtime(d->loop)};

        return store_fail_message(d->store, p->number, &f);
}

int outbox_take_nack(Peer *p, Frame *f) {
        Nack n;
        int r;

        r = nack_decode(f, &n);
        if (r < 0)
                return r;
        if (!window_remove(p, &n.id))
                return 0; /* about nothing that was asked */
        if (n.permanent) {
                r = outbox_fail(p, &n);
                if (r < 0)
                        log_warning("A refused message could not be marked: %s", strerror(-r));
        } else {
                /* Stays in the outbox; sent again over the next link, or when the peer can. */
                loop_timer_set(p->timer,
                        loop_now(p->delivery->loop) +
                                loop_jitter(p->delivery->loop,
                                        CLAMP(n.retry_after, 5, 3600) * USEC_PER_SEC));
        }
        outbox_pump(p);
        return 0;
}

static void on_delivered(void *userdata, const Uuid *id) {
        Peer *p = userdata;

        /* The acks have come before; without them the first is the one. */
        if (window_begins_with(p, id))
                (void)window_remove(p, id);
}

/* A receipt that speaks of more than one batch should hold is taken in pieces. */
static void take_receipt(Peer *p, Receipt *rc) {
        Delivery *d = p->delivery;
        Contact peer = {.number = p->number};
        int r;

        memcpy(peer.account, p->account, KEY_SIZE);
        r = store_take_receipt(
                d->store, d->self, &peer, rc, loop_realtime(d->loop), on_delivered, p);
        if (r > 0 && delivery_await_commit(d) >= 0) {
                free(p->unfinished);
                p->unfinished = rc;
                return;
        }
        free(rc);
        /* One that is about something else than what is known here changes nothing: a copy of the
         * store that was restored is behind what its recipient has seen. */
        if (r == -EBADMSG)
                log_debug("A receipt does not fit what was sent, and is ignored");
        else if (r < 0)
                log_warning("A receipt could not be kept: %s", strerror(-r));
}

void outbox_go_on_with_receipt(Peer *p) {
        take_receipt(p, TAKE_PTR(p->unfinished));
}

int outbox_take_receipt_object(Peer *p, Bytes outer, const uint8_t *device) {
        _cleanup_(freep) Receipt *rc = malloc(sizeof(*rc));
        int r;

        if (!rc)
                return -ENOMEM;
        r = receipt_decode(outer, device, rc);
        if (r >= 0)
                take_receipt(p, TAKE_PTR(rc));
        return r;
}

int outbox_take_receipt(Peer *p, Frame *f) {
        Bytes outer, certificate;
        int r;

        r = receipt_frame_decode(f, &outer, &certificate);
        if (r < 0)
                return r;
        r = outbox_take_receipt_object(p, outer, link_certificate(p->link)->device);
        outbox_pump(p);
        return r == -EBADMSG ? r : 0;
}
