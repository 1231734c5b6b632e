/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Sending: from committed rows to frames, and what comes back. */

#include <utlist.h>

#include "delivery/mail.h"

/* Rows that one turn of one peer looks at, so that a million of them do not keep others waiting. */
#define TURN_ROWS 256
#define TURN_ROWS_SKIPPED 4096

/* What was refused for now comes again after this, whatever the other end says. */
#define RETRY_AFTER_FIRST 5
#define RETRY_AFTER_LAST 3600 /* s */
#define RETRY_TOGETHER USEC_PER_SEC

void outbox_link_lost(Peer *p) {
        window_done(&p->window);
        outbox_leave_turns(p);
        p->n_sent = 0;
        p->sent_feed = 0;
        p->send_again = 0;
        loop_random(p->delivery->loop, &p->jitter, sizeof(p->jitter));
        p->pending = true;
}

bool peer_has_rows(Peer *p) {
        OutboxRow row;

        /* Where it cannot be told, the next attempt will. */
        return outbox_next(store_write(p->delivery->store), p->number, (OutboxPosition){}, &row) !=
                0;
}

/* What this account has written comes in one feed after the other, but for what another device of
 * it has handed over: so each feed has an end of its own, beyond which there may be more. */

static OutboxPosition *sent_find(const Peer *p, uint32_t feed) {
        for (size_t i = 0; i < p->n_sent; i++)
                if (p->sent[i].feed == feed)
                        return &p->sent[i];
        return NULL;
}

static int sent_up_to(Peer *p, OutboxPosition at) {
        OutboxPosition *known = sent_find(p, at.feed);

        p->sent_feed = at.feed;
        if (known) {
                known->seq = at.seq;
                return 0;
        }
        if (p->n_sent == p->allocated_sent) {
                size_t n = MAX(2 * p->allocated_sent, (size_t)2);
                OutboxPosition *sent = reallocarray(p->sent, n, sizeof(*sent));

                if (!sent)
                        return -ENOMEM;
                p->sent = sent;
                p->allocated_sent = n;
        }
        p->sent[p->n_sent++] = at;
        return 0;
}

/* Bursts */

/* What a frame adds to an entry that is not signed, generously. */
#define MESSAGE_OVERHEAD 64

typedef struct Burst {
        Peer *peer;
        DbTxn *txn;
        OutboxWalk rows;
        unsigned left, skipped; /* rows that this turn may send, that it has passed over */
        OutboxPosition passed; /* where there were too many to pass over */
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

static int burst_send(Burst *b, const Entry *e, bool sign_it) {
        uint8_t signature[SIGNATURE_SIZE];
        Peer *p = b->peer;
        MessageFrame m = {.inner = e->inner};
        int r = 0;

        if (sign_it)
                r = burst_sign(b, e, signature, &m);
        if (r >= 0)
                r = message_encode(link_output(p->link), &m);
        return r;
}

/* There will be room for another entry when one of SIZE bytes has been sent. */
static bool burst_has_room(const Burst *b, size_t size) {
        const Peer *p = b->peer;

        return b->entries < BURST_ENTRIES_MAX && p->window.n + 1 < WINDOW_ENTRIES &&
                p->window.bytes + size < WINDOW_BYTES && b->left > 0 &&
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
 * expiry.c. 0 when there is none, or when there were too many of those: `passed` is set then. */
static int next_row(Burst *b, usec_t now, OutboxRow *ret, Entry *ret_entry) {
        int r;

        while ((r = outbox_walk_next(&b->rows, ret)) > 0) {
                const OutboxPosition *sent = sent_find(b->peer, ret->at.feed);

                if (sent && ret->at.seq <= sent->seq) {
                        outbox_walk_end(&b->rows);
                        r = outbox_walk(b->txn, b->peer->number, *sent, &b->rows);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (ret->expires > now) {
                        r = entry_get(b->txn, ret->at.feed, ret->at.seq, ret_entry);
                        return r == 0 ? store_damaged(b->txn) : r;
                }
                if (++b->skipped == TURN_ROWS_SKIPPED) {
                        b->passed = ret->at;
                        b->left = 0;
                        return 0;
                }
        }
        return r;
}

static int pump(Burst *b, usec_t now) {
        Peer *p = b->peer;
        Entry entry, next_entry;
        OutboxRow cur, next;
        int r, more;

        more = next_row(b, now, &cur, &entry);
        while (more > 0 && b->left > 0 && !window_is_full(&p->window) && !link_is_full(p->link)) {
                Sent sent = {.id = cur.id, .at = cur.at, .size = (uint32_t)entry.inner.size};
                bool goes_on;

                b->left--;
                b->entries++;
                b->bytes += entry.inner.size;
                more = next_row(b, now, &next, &next_entry);
                goes_on = more > 0 &&
                        burst_goes_on(b, &cur, entry.inner.size, &next, next_entry.inner.size);
                r = burst_send(b, &entry, !goes_on);
                if (r >= 0)
                        r = window_add(&p->window, &sent);
                if (r < 0)
                        return r;
                r = sent_up_to(p, cur.at);
                if (r < 0)
                        return r;
                if (!goes_on)
                        b->entries = b->bytes = 0;
                cur = next;
                entry = next_entry;
        }
        if (b->passed.feed > 0)
                more = sent_up_to(p, b->passed);
        p->pending = more > 0 || b->passed.feed > 0;
        return more < 0 ? more : 0;
}

static void set_timer(Peer *p) {
        usec_t retry = window_first_retry(&p->window);

        loop_timer_set(p->timer, p->send_again > 0 ? MIN(retry, p->send_again) : retry);
}

void outbox_send_again(Peer *p, usec_t wait) {
        Loop *l = p->delivery->loop;

        p->send_again = loop_now(l) + loop_jitter(l, wait);
        set_timer(p);
}

/* What was refused for now and whose time has come, or has nearly come, in the order of the feed.
 * Each is signed for itself. */
static int pump_again(Burst *b, usec_t now) {
        Peer *p = b->peer;
        Sent *s;

        while (b->left > 0 && !link_is_full(p->link) &&
                (s = window_next_retry(&p->window, now + RETRY_TOGETHER)) != NULL) {
                Uuid id = s->id;
                OutboxRow row;
                Entry entry;
                int r;

                b->left--;
                r = outbox_get(b->txn, p->number, s->at, &row);
                if (r > 0)
                        r = entry_get(b->txn, s->at.feed, s->at.seq, &entry);
                if (r == 0) {
                        (void)window_remove(&p->window, &id); /* given up meanwhile */
                        continue;
                }
                if (r > 0)
                        r = burst_send(b, &entry, true);
                if (r < 0)
                        return r;
                window_set_retry(&p->window, s, 0);
        }
        set_timer(p);
        return 0;
}

static bool can_send(const Peer *p) {
        return p->link && link_is_open(p->link) && !link_is_full(p->link) && !p->delivery->behind;
}

void outbox_pump(Peer *p) {
        Delivery *d = p->delivery;
        usec_t now = loop_now(d->loop);
        Burst b = {.peer = p, .left = TURN_ROWS};
        bool again;
        int r;

        if (p->send_again > 0 && p->send_again <= now)
                outbox_link_lost(p);
        again = window_first_retry(&p->window) <= now;
        if (!can_send(p) || (!again && (!p->pending || window_is_full(&p->window))))
                return;
        r = store_read_begin(d->store, &b.txn);
        if (r < 0) {
                /* The store is being reopened. */
                loop_timer_set(p->timer, now + USEC_PER_SEC);
                return;
        }
        if (again)
                r = pump_again(&b, now);
        if (r >= 0 && p->pending)
                r = outbox_walk(b.txn, p->number, (OutboxPosition){}, &b.rows);
        if (r >= 0 && p->pending) {
                r = pump(&b, loop_realtime(d->loop));
                outbox_walk_end(&b.rows);
        }
        store_read_end(b.txn);
        link_queued(p->link);
        if (r < 0)
                delivery_store_failed(d, "An outgoing message could not be read", r);
        else if (b.left == 0 && can_send(p))
                outbox_take_turn(p);
}

/* Turns */

void outbox_leave_turns(Peer *p) {
        if (p->in_turn)
                DL_DELETE2(p->delivery->turns, p, turn_prev, turn_next);
        p->in_turn = false;
}

void outbox_take_turn(Peer *p) {
        Delivery *d = p->delivery;

        if (!p->in_turn)
                DL_APPEND2(d->turns, p, turn_prev, turn_next);
        p->in_turn = true;
        loop_timer_set(d->turn_timer, loop_now(d->loop));
}

/* Answers */

/* What was given up of a feed meant nothing to somebody who had nothing of it: now it does. */
static void note_feed(Peer *p, const Uuid *id) {
        const Sent *s = window_find(&p->window, id);

        if (!s || s->at.feed == p->acked_feed)
                return;
        p->acked_feed = s->at.feed;
        p->gave_up = true;
        outbox_take_turn(p);
}

int outbox_take_ack(Peer *p, Frame *f) {
        Uuid ids[ACK_IDS_MAX];
        size_t n;
        int r;

        r = ack_decode(f, ids, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                if (p->acked_feed != p->sent_feed)
                        note_feed(p, &ids[i]);
                (void)window_remove(&p->window, &ids[i]);
        }
        outbox_pump(p);
        return 0;
}

static int outbox_fail(Peer *p, const Nack *n) {
        Delivery *d = p->delivery;
        Failure f = {.id = &n->id,
                .state = n->code == CODE_EXPIRED ? ENTRY_EXPIRED : ENTRY_FAILED,
                .reason = n->code == _CODE_MAX ? CODE_NOT_ALLOWED : n->code,
                .now = loop_realtime(d->loop)};
        int r;

        r = delivery_await_commit(d);
        return r < 0 ? r : store_fail_message(d->store, p->number, &f);
}

/* It keeps its place in the window and is sent again alone: what is behind it goes on. The other
 * end knows best how long that takes; where it does not say, each refusal takes longer. */
static void outbox_delay(Peer *p, Sent *s, const Nack *n) {
        Loop *l = p->delivery->loop;
        uint64_t wait = RETRY_AFTER_FIRST;

        if (n->retry_after > 0)
                wait = n->retry_after;
        if (n->retry_after == 0 || n->code == CODE_FORK || n->code == _CODE_MAX)
                wait <<= MIN(s->refusals, 8U);
        wait = CLAMP(wait, (uint64_t)RETRY_AFTER_FIRST, (uint64_t)RETRY_AFTER_LAST);
        s->refusals++;
        wait *= USEC_PER_SEC;
        window_set_retry(&p->window, s, loop_now(l) + wait - wait / 10 + p->jitter % (wait / 5));
        set_timer(p);
}

int outbox_take_nack(Peer *p, Frame *f) {
        Sent *s;
        Nack n;
        int r;

        r = nack_decode(f, &n);
        if (r < 0)
                return r;
        s = window_find(&p->window, &n.id);
        if (!s || s->retry > 0)
                return 0; /* about nothing that was asked */
        r = n.code == CODE_FORK ? peer_take_fork(p, s->at) : 0;
        if (r != 0) {
                (void)window_remove(&p->window, &n.id);
                if (r < 0)
                        delivery_store_failed(
                                p->delivery, "A message could not be entered anew", r);
        } else if (n.permanent && !p->delivery->behind) {
                (void)window_remove(&p->window, &n.id);
                r = outbox_fail(p, &n);
                if (r < 0)
                        delivery_store_failed(
                                p->delivery, "A refused message could not be marked", r);
        } else
                outbox_delay(p, s, &n);
        outbox_pump(p);
        return 0;
}

static void on_delivered(void *userdata, const Uuid *id) {
        Peer *p = userdata;

        (void)window_remove(&p->window, id);
}

/* A receipt that speaks of more than one batch should hold is taken in pieces. */
static void take_receipt(Peer *p, Receipt *rc) {
        Delivery *d = p->delivery;
        Contact peer = {.number = p->number};
        int r;

        memcpy(peer.account, p->account, KEY_SIZE);
        r = delivery_await_commit(d); /* if it fails, the message goes out again */
        if (r >= 0)
                r = store_take_receipt(
                        d->store, d->self, &peer, rc, loop_realtime(d->loop), on_delivered, p);
        if (r >= 0)
                mail_take_back(d->mail, p->account, p->number);
        if (r > 0) {
                Receipt **unfinished = &p->unfinished[rc->state == RECEIPT_READ];

                free(*unfinished);
                *unfinished = rc;
                return;
        }
        free(rc);
        /* One that is about something else than what is known here changes nothing: a copy of the
         * store that was restored is behind what its recipient has seen. */
        if (r == -EBADMSG)
                log_debug("A receipt does not fit what was sent, and is ignored");
        else if (r < 0)
                delivery_store_failed(d, "A receipt could not be kept", r);
}

void outbox_drop_unfinished(Peer *p) {
        for (size_t i = 0; i < ELEMENTSOF(p->unfinished); i++)
                p->unfinished[i] = mfree(p->unfinished[i]);
}

int outbox_take_receipt_object(Peer *p, Bytes outer, const uint8_t *device) {
        _cleanup_(freep) Receipt *rc = malloc(sizeof(*rc));
        int r;

        if (!rc)
                return -ENOMEM;
        r = receipt_decode(outer, device, rc);
        if (r < 0)
                return r;
        if (!key_equal(rc->reader, p->account) ||
                !key_equal(rc->author, sign_key_public(&p->delivery->self->account)))
                return -ESRCH;
        peer_look_at_receipt(p, rc);
        take_receipt(p, TAKE_PTR(rc));
        return 0;
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

void outbox_on_turn(void *userdata) {
        Delivery *d = userdata;
        Peer *p = d->turns;

        if (!p)
                return;
        outbox_leave_turns(p);
        if (d->turns)
                loop_timer_set(d->turn_timer, loop_now(d->loop));
        for (size_t i = 0; i < ELEMENTSOF(p->unfinished); i++)
                if (p->unfinished[i])
                        take_receipt(p, TAKE_PTR(p->unfinished[i]));
        if (p->gave_up)
                voids_tell(p);
        if (p->grant)
                grant_say(p);
        outbox_pump(p);
        if (p->read)
                receipts_tell_read(p);
}
