/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delivery/mail.h"

#include <utlist.h>

/* Peers */

Peer *peer_find(const Delivery *d, const uint8_t *account) {
        Peer *p;

        HASH_FIND(hh, d->peers, account, KEY_SIZE, p);
        return p;
}

static void peer_link_lost(Peer *p);
static void confirming_drop(Delivery *d, const Link *l);

static void on_peer_timer(void *userdata) {
        Peer *p = userdata;

        if (p->link && link_is_open(p->link))
                outbox_pump(p); /* what was refused for now */
        else if (p->link) {
                confirming_drop(p->delivery, p->link);
                link_close(p->link, CODE_TIMEOUT, "the link did not open in time");
                peer_link_lost(p);
        } else if (peer_is_wanted(p))
                peer_want_link(p, false);
        else
                peer_forget(p);
}

Peer *peer_get(Delivery *d, const uint8_t *account, uint32_t number) {
        Peer *p = peer_find(d, account);

        if (p) {
                p->number = number; /* the one that was there may be of a batch that failed */
                return p;
        }
        p = calloc(1, sizeof(*p));
        if (!p)
                return NULL;
        p->delivery = d;
        p->number = number;
        p->since = loop_now(d->loop);
        memcpy(p->account, account, KEY_SIZE);
        conversation_direct(sign_key_public(&d->self->account), account, p->conversation);
        if (loop_timer_new(d->loop, on_peer_timer, p, &p->timer) >= 0)
                HASH_ADD(hh, d->peers, account, KEY_SIZE, p);
        if (!TABLE_HAS(p)) {
                loop_timer_free(p->timer);
                free(p);
                return NULL;
        }
        return p;
}

void peer_free(Peer *p) {
        HASH_DEL(p->delivery->peers, p);
        peer_stop_dialling(p);
        outbox_leave_turns(p);
        inbox_drop_held(p);
        inbox_drop_owed(p);
        loop_timer_free(p->timer);
        window_done(&p->window);
        free(p->sent);
        free(p->acks);
        free(p->receipts);
        outbox_drop_unfinished(p);
        typing_link_lost(p);
        loop_timer_free(p->typing_timer);
        free(p);
}

/* After the commit */

static void confirming_end(Confirming *c) {
        directory_forget(c->delivery->directory, c);
        DL_DELETE(c->delivery->confirming, c);
        free(c);
}

static void confirming_drop(Delivery *d, const Link *l) {
        Confirming *c, *tmp;

        DL_FOREACH_SAFE (d->confirming, c, tmp)
                if (c->link == l)
                        confirming_end(c);
}

void peer_turn_out(Peer *p, Code code, const char *text) {
        Delivery *d = p->delivery;

        peer_rooms_down(p);
        if (p->link) {
                confirming_drop(d, p->link);
                link_close(p->link, code, text);
        }
        if (p->up)
                d->callbacks->link_changed(d->userdata, p->account, false);
        peer_forget(p);
}

/* A stranger whose row was in a failed batch has a number that somebody else will get: nothing may
 * go to him under it. */
static void drop_unknown_peers(Delivery *d) {
        Peer *p, *tmp;
        Contact c;

        HASH_ITER (hh, d->peers, p, tmp) {
                int r = contact_get(store_write(d->store), p->account, &c);

                if (r > 0 && c.number == p->number)
                        continue;
                if (r < 0 || peer_is_held(p))
                        dialling_sweep_again(d); /* finds those of whom nothing can be found out */
                peer_turn_out(p, CODE_PEER_STORAGE, "the account could not be stored");
        }
}

/* What peers had said of own messages was in the batch: they say it again when they get them again.
 */
static void send_again_later(Delivery *d) {
        Peer *p, *tmp;

        HASH_ITER (hh, d->peers, p, tmp) {
                outbox_drop_unfinished(p);
                if (p->link && link_is_open(p->link))
                        outbox_send_again(p, SEND_AGAIN_DELAY);
        }
}

/* What was owed to peers leaves; of a failed batch they hear that it was not kept. */
static void on_batch(void *userdata, int error) {
        Delivery *d = userdata;
        Peer *p, *tmp;

        HASH_ITER (hh, d->peers, p, tmp) {
                if (p->owes)
                        inbox_settle(p, error);
                p->read &= error >= 0;
                p->grant &= error >= 0;
                if (p->anew) {
                        p->anew = false;
                        p->pending = true;
                        outbox_take_turn(p);
                }
                if (p->read || p->grant || (peer_has_unfinished(p) && error >= 0))
                        outbox_take_turn(p);
        }
        if (error < 0) {
                drop_unknown_peers(d);
                send_again_later(d);
                mail_batch_failed(d->mail);
        } else
                mail_owed_kept(d->mail);
}

int delivery_await_commit(Delivery *d) {
        int r;

        if (d->awaited == store_batch_number(d->store))
                return 0;
        r = store_after_commit(d->store, on_batch, d);
        if (r >= 0)
                d->awaited = store_batch_number(d->store);
        return r;
}

void delivery_store_failed(Delivery *d, const char *what, int r) {
        if (r != -ENOSPC && r != -EDQUOT && log_limit_take(&d->failures, loop_now(d->loop)))
                log_warning("%s: %s", what, strerror(-r));
}

/* Links */

/* Somebody to whom nothing is to be sent: strangers come and go, and leave nothing in memory; and
 * nothing on disk if they have said nothing. */
void peer_forget(Peer *p) {
        Delivery *d = p->delivery;
        Conversation v;
        Contact c;
        int r;

        r = contact_get(store_write(d->store), p->account, &c);
        if (r == 0 || (r > 0 && !(c.flags & CONTACT_PINNED) && !peer_is_held(p)))
                directory_unwatch(d->directory, p->account);
        if (r > 0 && c.flags == 0 && !peer_is_held(p) &&
                conversation_find(store_write(d->store), p->conversation, &v) == 0) {
                grant_forget(d, &c);
                (void)contact_forget(d->store, &c); /* or it stays, and nothing is lost */
        }
        peer_free(p);
}

void peer_let_go(Peer *p) {
        if (!p->link && p->state == PEER_IDLE && !p->read && !peer_has_unfinished(p) &&
                !peer_is_wanted(p))
                peer_forget(p);
}

/* P may be gone after this. */
static void peer_link_lost(Peer *p) {
        Delivery *d = p->delivery;
        bool was_up = p->up;

        if (was_up && (p->acked_feed > 0 || loop_now(d->loop) - p->up_since >= LINK_LASTING))
                p->since = loop_now(d->loop);
        else if (p->dialled[0])
                peer_endpoint_failed(p);
        p->up = p->read = p->grant = false;
        peer_rooms_down(p);
        p->link = NULL;
        typing_link_lost(p);
        inbox_drop_held(p);
        inbox_drop_owed(p);
        outbox_drop_unfinished(p); /* the next link begins with them */
        outbox_link_lost(p);
        if (was_up)
                d->callbacks->link_changed(d->userdata, p->account, false);
        if (peer_has_rows(p))
                mail_wake(d->mail, p->account, p->number);
        if (peer_is_wanted(p))
                peer_retry_later(p, USEC_INFINITY);
        else
                peer_forget(p);
}

void link_turn_away(Delivery *d, Link *l, Code code, const char *text) {
        Peer *p = peer_find(d, link_account(l));
        bool dialled = p && p->link == l;

        link_refuse(l, code, text);
        if (dialled)
                peer_link_lost(p);
}

/* There is a newer device of the account, as its newest record shows. */
static void link_turn_away_old(Delivery *d, Link *l) {
        Peer *p = peer_find(d, link_account(l));
        bool dialled = p && p->link == l;
        Contact c;
        int r;

        r = contact_get(store_write(d->store), link_account(l), &c);
        link_replaced(l, r > 0 ? c.record : (Bytes){});
        if (dialled)
                peer_link_lost(p);
}

void delivery_heard_record(Delivery *d, const uint8_t account[static KEY_SIZE]) {
        Peer *p = peer_find(d, account);
        const Certificate *had;
        Record record;
        Contact c;

        if (!p || !p->link || contact_get(store_write(d->store), account, &c) <= 0 ||
                record_parse(c.record, &record) < 0)
                return;
        had = link_certificate(p->link);
        if (record.epoch > had->epoch ||
                (record.epoch == had->epoch && !key_equal(record.device.device, had->device)))
                link_turn_away_old(d, p->link);
}

/* The other end is who it says and may come in. */
static void link_welcome(Delivery *d, Link *l, const Contact *c) {
        Peer *p = peer_get(d, c->account, c->number);
        _cleanup_(grant_done) GrantBuffer g = GRANT_BUFFER_NULL;
        _cleanup_(buffer_done) Buffer buf = BUFFER_NULL;
        HelloOk ok = {};

        if (!p || grant_make(d, c, &g) < 0) {
                link_turn_away(d, l, CODE_STORAGE, "out of memory");
                return;
        }
        if (p->link != l) {
                /* Being dialled at the same time: the pool has settled which one stays. */
                peer_rooms_down(p);
                peer_stop_dialling(p);
                p->link = l;
                p->dialled[0] = 0;
                /* The pool need not have a limit for handshakes; on_peer_timer() ends this. */
                loop_timer_set(p->timer, loop_now(d->loop) + ATTEMPT_TIME);
        }
        link_set_userdata(l, p);
        if (c->flags & CONTACT_PINNED || peer_is_held(p))
                link_trust(l);
        (void)directory_watch(d->directory, p->account);
        p->granted = contact_is_accepted(c);
        p->told_presence = p->granted || !d->settings.hide_presence;
        if (p->told_presence)
                ok.presence = buffer_bytes(&d->presence);
        ok.deposit_token = g.grant.deposit_token;
        ok.presence_key = g.grant.presence_key;
        inbox_greet(p, &ok, &buf);
        link_confirm(l, &ok);
}

static void learn_and_welcome(
        Delivery *d, Link *l, const Record *record, Bytes outer, bool confirmed) {
        Contact c;
        int r;

        r = contact_learn(d->store, record, outer, loop_realtime(d->loop), 0, confirmed, &c);
        if (r == -ESTALE)
                link_turn_away_old(d, l);
        else if (r == -EUSERS)
                link_turn_away(d, l, CODE_TOO_MANY, "too many strangers are known here already");
        else if (r < 0)
                link_turn_away(d, l, CODE_PEER_STORAGE,
                        "the account could not be stored; try again later");
        else if (c.flags & CONTACT_BLOCKED)
                link_turn_away(d, l, CODE_BLOCKED, "not wanted here");
        else {
                /* on_batch() looks whether the row came to be */
                (void)delivery_await_commit(d);
                link_welcome(d, l, &c);
        }
}

/* The directory has said whose name it is; without an answer the name is shown with a suffix. */
static void on_confirmed(void *userdata, Code code, const Record *record, Bytes outer,
        const PresenceRecord *presence) {
        Confirming *c = userdata;
        Delivery *d = c->delivery;
        Link *l = c->link;
        bool confirmed = code == CODE_OK && key_equal(record->account, link_account(l));
        Bytes own = link_record_outer(l);
        Record r;

        confirming_end(c);
        if (record_decode(own, &r) < 0) {
                link_turn_away(d, l, CODE_INVALID_ARGS, "the record does not hold");
                return;
        }
        learn_and_welcome(d, l, &r, own, confirmed);
}

/* A stranger's name is confirmed before the first message is shown. */
static bool confirm_name(Delivery *d, Link *l, const Record *record) {
        Confirming *c = calloc(1, sizeof(*c));

        if (!c)
                return false;
        *c = (Confirming){.delivery = d, .link = l};
        DL_APPEND(d->confirming, c);
        if (directory_lookup(d->directory, record->name, NULL, on_confirmed, c) < 0) {
                confirming_end(c);
                return false;
        }
        return true;
}

static void on_link_hello(void *userdata, Link *l, const Greeting *g, Bytes record) {
        Delivery *d = userdata;
        char shown[SHOWN_NAME_SIZE];
        Peer *p = peer_find(d, link_account(l));
        Contact c;
        int r;

        if (link_is_own(l)) {
                own_hello(d, l, g, record);
                return;
        }
        if (own_is_retired(d)) {
                link_replaced(l, own_newest(d));
                return;
        }
        if (p)
                (void)race_won(p, l);
        if (!visit_met(d, l, &g->record, record)) {
                link_turn_away(d, l, CODE_OK, "not who was looked for");
                return;
        }
        r = contact_get(store_write(d->store), g->record.account, &c);
        if (r > 0 &&
                (c.flags & CONTACT_PINNED ||
                        streq(contact_shown_name(store_write(d->store), &c, shown),
                                g->record.name)))
                learn_and_welcome(d, l, &g->record, record, false);
        else if (r < 0 || !confirm_name(d, l, &g->record))
                learn_and_welcome(d, l, &g->record, record, false);
}

static void on_link_open(void *userdata, Link *l, const HelloOk *ok) {
        Delivery *d = userdata;
        Peer *p = link_userdata(l);

        if (link_is_own(l)) {
                own_open(d, l);
                return;
        }
        p->link = l;
        p->up = true;
        p->acked_feed = 0;
        p->appeared = false;
        outbox_link_lost(p); /* nothing has been sent over this one */
        typing_link_lost(p);
        (void)peer_take_grant(
                p, &(Grant){.deposit_token = ok->deposit_token, .presence_key = ok->presence_key});
        if (ok->presence.size > 0)
                (void)directory_take_presence(
                        d->directory, link_certificate(l), ok->presence, loop_realtime(d->loop));
        if (ok->has_head)
                peer_look_behind(p, &ok->head);
        if (ok->receipt.size > 0)
                (void)outbox_take_receipt_object(p, ok->receipt, link_certificate(l)->device);
        mail_peer_reached(d->mail, p);
        if (p->n_receipts > 0)
                inbox_settle(p, 0);
        peer_reached(p);
        d->callbacks->link_changed(d->userdata, p->account, true);
        if (p->link == l)
                outbox_pump(p);
        /* After the first messages, which make the feed known that it is about. */
        if (p->link == l)
                voids_tell(p);
        p->said_read = false;
        if (p->link == l)
                receipts_tell_read(p);
        if (p->link == l)
                peer_rooms_up(p);
}

static int on_link_frame(void *userdata, Link *l, Frame *f) {
        Peer *p = link_userdata(l);

        if (link_is_own(l))
                return own_frame(userdata, l, f);
        if (p->link != l)
                return -EPROTO; /* another one has taken its place */
        switch (f->type) {
        case FRAME_MESSAGE:
                return inbox_take_message(p, f);
        case FRAME_ACK:
                return outbox_take_ack(p, f);
        case FRAME_NACK:
                return outbox_take_nack(p, f);
        case FRAME_RECEIPT:
                return outbox_take_receipt(p, f);
        case FRAME_VOID:
                return voids_take(p, f);
        case FRAME_GRANT:
                return grant_take_frame(p, f);
        case FRAME_TYPING:
                return typing_take_frame(p, f);
        case FRAME_ANNOUNCE:
                return presence_take_frame(p, f);
        case FRAME_ROOM_SYNC:
        case FRAME_ROOM_ENTRIES:
                return peer_take_room_frame(p, f);
        default:
                /* Reserved for what a newer version does; this one has announced no feature that
                 * would make the other end send it. */
                return -EPROTONOSUPPORT;
        }
}

static void on_link_drained(void *userdata, Link *l) {
        Peer *p = link_userdata(l);

        if (link_is_own(l)) {
                own_drained(userdata, l);
                return;
        }
        if (p->link == l)
                outbox_pump(p);
        if (p->link == l)
                peer_rooms_drained(p);
}

static void on_link_closed(void *userdata, Link *l, Code code, const char *text) {
        Delivery *d = userdata;
        Peer *p = peer_find(d, link_account(l));

        confirming_drop(d, l);
        visit_link_lost(d, l, code, text);
        own_closed(d, l, code);
        if (!p)
                return;
        log_debug("A link ended: %s%s%s", code_name(code), text[0] ? ", " : "", text);
        if (p->link == l && link_gave_way(l))
                p->dialled[0] = 0; /* the endpoint has done nothing wrong */
        if (p->link == l)
                peer_link_lost(p);
        else if (link_gave_way(l))
                (void)race_link_gave_way(p, l);
        else
                (void)race_link_lost(p, l, code == CODE_KEY_CHANGED || code == CODE_NOT_ALLOWED);
}

/* Of a peer, it is the word of a device that is the active one no more. */
static void on_link_record(void *userdata, const Record *record, Bytes outer) {
        Delivery *d = userdata;
        Contact c;

        if (!is_own_account(d, record->account)) {
                if (contact_get(store_write(d->store), record->account, &c) > 0)
                        (void)contact_learn(
                                d->store, record, outer, loop_realtime(d->loop), 0, false, &c);
        } else if (d->callbacks->own_record)
                d->callbacks->own_record(d->userdata, record, outer);
}

static const LinkCallbacks link_callbacks = {
        .record = on_link_record,
        .hello = on_link_hello,
        .open = on_link_open,
        .frame = on_link_frame,
        .drained = on_link_drained,
        .closed = on_link_closed,
};

/* The owner's side */

int delivery_new(Loop *loop, Store *store, Net *net, Directory *directory, const Identity *self,
        const LocalIdentity *local, const DeliverySettings *settings,
        const DeliveryCallbacks *callbacks, void *userdata, Delivery **ret) {
        Delivery *d = calloc(1, sizeof(*d));
        int r;

        if (!d)
                return -ENOMEM;
        *d = (Delivery){.loop = loop,
                .store = store,
                .net = net,
                .directory = directory,
                .self = self,
                .local = local,
                .settings = *settings,
                .callbacks = callbacks,
                .userdata = userdata,
                .failures = {.quota = QUOTA_INIT(10, 10 * USEC_PER_MINUTE)}};
        r = link_pool_new(net, local, settings->handshake, &link_callbacks, d, &d->links);
        if (r >= 0)
                r = dialling_new(d);
        if (r >= 0)
                r = loop_timer_new(loop, outbox_on_turn, d, &d->turn_timer);
        if (r >= 0)
                r = loop_timer_new(loop, nearer_look, d, &d->nearer_timer);
        if (r >= 0)
                r = own_new(d);
        if (r >= 0)
                r = mail_new(d, &d->mail);
        if (r >= 0)
                r = loop_timer_new(loop, expiry_on_timer, d, &d->expiry_timer);
        if (r < 0) {
                delivery_free(d);
                return r;
        }
        *ret = d;
        return 0;
}

void delivery_end(Delivery *d, Bytes record) {
        Peer *p, *tmp;

        d->started = d->behind = false;
        visits_end(d);
        probes_end(d);
        while (d->confirming)
                confirming_end(d->confirming);
        mail_stop(d->mail);
        dialling_stop(d); /* before the links are gone that are being opened */
        loop_timer_set(d->expiry_timer, USEC_INFINITY);
        loop_timer_set(d->nearer_timer, USEC_INFINITY);
        HASH_ITER (hh, d->peers, p, tmp)
                peer_rooms_down(p);
        holds_free(d);
        own_stop(d);
        if (record.size > 0)
                link_pool_replaced(d->links, record);
        else
                link_pool_bye(d->links, CODE_OK, "logged out or stopped");
        HASH_ITER (hh, d->peers, p, tmp)
                peer_free(p);
}

void delivery_stop(Delivery *d) {
        delivery_end(d, (Bytes){});
}

Delivery *delivery_free(Delivery *d) {
        if (!d)
                return NULL;
        if (d->expiry_timer) /* which is made last: all that is to be stopped is there */
                delivery_stop(d);
        store_forget(d->store, d);
        link_pool_free(d->links);
        dialling_free(d);
        own_free(d);
        mail_free(d->mail);
        loop_timer_free(d->turn_timer);
        loop_timer_free(d->expiry_timer);
        loop_timer_free(d->nearer_timer);
        buffer_done(&d->presence);
        newcomers_free(d);
        free(d);
        return NULL;
}

void delivery_start(Delivery *d) {
        if (own_is_retired(d)) {
                /* What was said there of this device is so no more. */
                own_rise(d);
                link_pool_bye(d->links, CODE_OK, "this device is active again");
        }
        d->started = true;
        dialling_start(d);
        mail_start(d->mail);
        loop_timer_set(d->expiry_timer, loop_now(d->loop));
        own_look(d);
}

void delivery_set_settings(Delivery *d, const DeliverySettings *settings) {
        Peer *p, *tmp;

        d->settings = *settings;
        link_pool_set_handshake(d->links, settings->handshake);
        HASH_ITER (hh, d->peers, p, tmp)
                if (p->up)
                        peer_tell_read(p);
}

void delivery_set_presence(Delivery *d, Bytes presence) {
        buffer_clear(&d->presence);
        if (buffer_append(&d->presence, presence.data, presence.size) < 0)
                buffer_clear(&d->presence);
        presence_announce_all(d);
}

void delivery_accept(Delivery *d, Transport *t) {
        if (d->started || own_is_retired(d))
                link_accept(d->links, t);
        else
                transport_free(t);
}

/* Somebody with rows; NULL where there is no room now: the walk will find him. */
static Peer *peer_remember(Delivery *d, const uint8_t *account, bool urgent) {
        OutboxRow row;
        Peer *p = NULL;
        Contact c;
        int r;

        r = contact_get(store_write(d->store), account, &c);
        if (r > 0 && c.flags & CONTACT_BLOCKED)
                return NULL;
        if (r > 0)
                r = outbox_next(store_write(d->store), c.number, (OutboxPosition){}, &row);
        if (r == 0)
                return hold_find_peer(d, account);
        if (r > 0 && peer_has_place(d, urgent))
                p = peer_get(d, account, c.number);
        if (!p)
                dialling_sweep_again(d);
        return p;
}

/* For somebody who is not kept in memory there is still the mail. */
static void seal_later(Delivery *d, const uint8_t *account) {
        Contact c;

        if (contact_get(store_write(d->store), account, &c) > 0)
                mail_wake(d->mail, account, c.number);
}

void delivery_wake(Delivery *d, const uint8_t account[static KEY_SIZE]) {
        Peer *p = peer_find(d, account);

        if (!d->started)
                return;
        expiry_look(d);
        if (!p)
                p = peer_remember(d, account, false);
        if (!p) {
                seal_later(d, account);
                return;
        }
        p->pending = true;
        p->since = loop_now(d->loop);
        p->typing_said = 0; /* a message ends it at the other end */
        if (p->link) {
                link_trust(p->link); /* whom the user answers is a stranger no more */
                peer_grant(p);
                peer_tell_read(p);
                outbox_pump(p);
        } else {
                mail_wake(d->mail, p->account, p->number);
                peer_want_link(p, false);
        }
}

void delivery_tracker_ready(Delivery *d, Session *s) {
        mail_tracker_ready(d->mail, s);
}

void delivery_mail_waiting(Delivery *d, Session *s) {
        mail_waiting(d->mail, s);
}

void delivery_appeared(Delivery *d, const uint8_t account[static KEY_SIZE]) {
        Peer *p = peer_find(d, account);

        if (is_own_account(d, account)) {
                own_look(d);
                return;
        }
        if (!d->started || (p && (p->up || !peer_is_wanted(p))))
                return;
        if (!p)
                p = peer_remember(d, account, true);
        if (!p)
                return;
        p->appeared = true;
        p->since = loop_now(d->loop);
        if (p->state == PEER_DIALLING)
                race_take_news(p);
        else
                peer_want_link(p, true);
}

void delivery_woke(Delivery *d) {
        if (!d->started && !own_is_retired(d))
                return;
        link_pool_doubt(d->links);
        own_look(d);
        if (!d->started)
                return;
        dialling_woke(d);
        expiry_look(d);
}

void delivery_block(Delivery *d, const uint8_t account[static KEY_SIZE]) {
        Peer *p = peer_find(d, account);

        if (p)
                peer_turn_out(p, CODE_BLOCKED, "not wanted here");
}

void delivery_get_mail(const Delivery *d, DeliveryMail *ret) {
        mail_get(d->mail, ret);
}

unsigned delivery_count_links(const Delivery *d) {
        return link_pool_count_open(d->links);
}

bool delivery_has_link(const Delivery *d, const uint8_t account[static KEY_SIZE]) {
        return link_find(d->links, account) != NULL;
}
