/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* People with all that sends and receives: a store on disk, a directory that knows nothing, and
 * delivery. They meet on the simulated network, where each listens at the host of his name. */

#include <ftw.h>

#include "delivery/delivery.h"
#include "directory/lan.h"
#include "sim-lab.h"
#include "store/history.h"
#include "util/fs.h"

#define STACK_PORT 7425

/* A message that was shown. */
typedef struct Shown {
        Uuid id;
        uint64_t seq, kind;
        uint8_t flags;
        Bytes body; /* allocated */
        struct Shown *prev, *next;
} Shown;

struct Stack;

/* Of a test that has rooms; it makes and frees what speaks of them. */
typedef struct StackRooms {
        void (*start)(struct Stack *s);
        void (*stop)(struct Stack *s);
        void (*link)(struct Stack *s, Link *l, const uint8_t account[static KEY_SIZE], bool up);
        int (*frame)(struct Stack *s, Link *l, Frame *f);
        void (*drained)(struct Stack *s, Link *l);
        void (*notice)(struct Stack *s, Bytes notice, Bytes record);
} StackRooms;

typedef struct Stack {
        Person who;
        char dir[64];
        Identity self;
        DeliverySettings settings;
        Store *store;
        Directory *directory;
        Delivery *delivery;
        Shown *shown;
        unsigned n_shown;
        unsigned n_delivered, n_failed, n_expired;
        Code reason; /* of the last one that failed or expired */
        unsigned n_up, n_down;
        unsigned n_typing, n_typed; /* began to write, and ended */
        Link *rooms; /* the last link that speaks of rooms */
        unsigned n_rooms_up, n_rooms_down, n_rooms_frames, n_notices;
        size_t notice_size, notice_record; /* of the last one */
        Link *own[4]; /* open links with other devices of the account, in the order they came */
        unsigned n_own, n_own_up, n_own_frames, n_own_records;
        uint64_t own_epoch; /* of the last record of the own account */
        uint64_t told; /* cursor of the last event */
        const StackRooms *room_hooks;
        void *mate; /* theirs */
} Stack;

static void stack_on_received(Stack *s, DbTxn *txn, uint32_t feed, uint64_t seq) {
        Shown *m = calloc(1, sizeof(*m));
        HistoryRow row;
        uint8_t *body;

        CHECK(m);
        CHECK_EQ(history_get(txn, feed, seq, &row), 1);
        body = malloc(row.inner.body.size + 1);
        CHECK(body);
        copy_bytes(body, row.inner.body.data, row.inner.body.size);
        *m = (Shown){.id = row.inner.id,
                .seq = seq,
                .kind = row.inner.kind,
                .flags = row.entry.flags,
                .body = {.data = body, .size = row.inner.body.size}};
        DL_APPEND(s->shown, m);
        s->n_shown++;
}

static bool stack_on_event(void *userdata, DbTxn *txn, const EventRow *e) {
        Stack *s = userdata;

        CHECK_EQ(e->cursor, s->told + 1);
        s->told = e->cursor;
        if (e->kind == EVENT_RECEIVED) {
                stack_on_received(s, txn, e->feed, e->seq);
                return true;
        }
        if (e->kind == EVENT_REQUEST || e->kind == EVENT_ROOM)
                return true;
        CHECK_EQ(e->kind, EVENT_STATE);
        s->n_delivered += e->state == MESSAGE_DELIVERED;
        s->n_failed += e->state == MESSAGE_FAILED;
        s->n_expired += e->state == MESSAGE_EXPIRED;
        if (e->state != MESSAGE_DELIVERED)
                s->reason = e->reason;
        return true;
}

static void stack_on_events(void *userdata, int error) {
        Stack *s = userdata;
        DbTxn *txn;

        if (error < 0)
                return;
        CHECK_OK(store_read_begin(s->store, &txn)); /* that is, it is on disk */
        CHECK_OK(event_each(txn, s->told, stack_on_event, s));
        store_read_end(txn);
}

static void stack_on_link_changed(void *userdata, const uint8_t account[static KEY_SIZE], bool up) {
        Stack *s = userdata;

        if (up)
                s->n_up++;
        else
                s->n_down++;
}

static void stack_on_typing(void *userdata, const uint8_t account[static KEY_SIZE], bool on) {
        Stack *s = userdata;

        if (on)
                s->n_typing++;
        else
                s->n_typed++;
}

static void stack_on_room_link(
        void *userdata, Link *l, const uint8_t account[static KEY_SIZE], bool up) {
        Stack *s = userdata;

        if (s->room_hooks)
                s->room_hooks->link(s, l, account, up);
        CHECK_EQ(up, l != NULL);
        CHECK(!up || (link_is_open(l) && key_equal(link_account(l), account)));
        s->rooms = l;
        if (up)
                s->n_rooms_up++;
        else
                s->n_rooms_down++;
}

static int stack_on_room_frame(void *userdata, Link *l, Frame *f) {
        Stack *s = userdata;

        s->n_rooms_frames++;
        if (s->room_hooks)
                return s->room_hooks->frame(s, l, f);
        CHECK(l == s->rooms);
        return 0;
}

static void stack_on_room_drained(void *userdata, Link *l) {
        Stack *s = userdata;

        if (s->room_hooks)
                s->room_hooks->drained(s, l);
        else
                CHECK(l == s->rooms);
}

static void stack_on_room_notice(void *userdata, Bytes notice, Bytes record) {
        Stack *s = userdata;

        s->n_notices++;
        if (s->room_hooks)
                s->room_hooks->notice(s, notice, record);
        s->notice_size = notice.size;
        s->notice_record = record.size;
}

static void stack_on_own_link(void *userdata, Link *l, bool up) {
        Stack *s = userdata;
        unsigned i = 0;

        CHECK(link_is_own(l));
        if (up) {
                CHECK(link_is_open(l) && s->n_own < ELEMENTSOF(s->own));
                s->own[s->n_own++] = l;
                s->n_own_up++;
                return;
        }
        while (s->own[i] != l)
                CHECK(++i < s->n_own);
        memmove(&s->own[i], &s->own[i + 1], (s->n_own - i - 1) * sizeof(*s->own));
        s->own[--s->n_own] = NULL;
}

static int stack_on_own_frame(void *userdata, Link *l, Frame *f) {
        Stack *s = userdata;

        CHECK_EQ(f->type, FRAME_HANDOVER);
        s->n_own_frames++;
        return 0;
}

static void stack_on_own_record(void *userdata, const Record *record, Bytes outer) {
        Stack *s = userdata;
        Record r;

        CHECK(key_equal(record->account, person_account(&s->who)));
        CHECK_OK(record_decode(outer, &r));
        s->n_own_records++;
        s->own_epoch = record->epoch;
}

static const DeliveryCallbacks stack_callbacks = {
        .own_link = stack_on_own_link,
        .own_frame = stack_on_own_frame,
        .own_record = stack_on_own_record,
        .typing = stack_on_typing,
        .link_changed = stack_on_link_changed,
        .room_link = stack_on_room_link,
        .room_frame = stack_on_room_frame,
        .room_drained = stack_on_room_drained,
        .room_notice = stack_on_room_notice,
};

static void stack_on_directory_changed(void *userdata) {
}

static void stack_on_record(void *userdata, const Record *record, Bytes outer) {
}

static void stack_on_presence(void *userdata, const uint8_t account[static KEY_SIZE], bool online,
        usec_t last_seen, const PresenceRecord *p) {
}

static void stack_on_name_refused(void *userdata, Code code, const char *text) {
}

static void stack_on_tracker_ready(void *userdata, Session *session) {
        Stack *s = userdata;

        delivery_tracker_ready(s->delivery, session);
}

static int stack_on_probe(void *userdata, const uint8_t account[static KEY_SIZE],
        const SockAddr *at, DirectoryProbedFn fn, void *fn_userdata, void **ret_probe) {
        Stack *s = userdata;

        return delivery_probe(
                s->delivery, account, at, fn, fn_userdata, (DeliveryProbe **)ret_probe);
}

static void stack_on_probe_free(void *probe) {
        delivery_probe_free(probe);
}

static void stack_on_lan(void *userdata, const uint8_t account[static KEY_SIZE]) {
        Stack *s = userdata;

        delivery_on_lan(s->delivery, account);
}

static const DirectoryCallbacks stack_directory_callbacks = {
        .probe = stack_on_probe,
        .probe_free = stack_on_probe_free,
        .on_lan = stack_on_lan,
        .trackers_changed = stack_on_directory_changed,
        .record = stack_on_record,
        .presence = stack_on_presence,
        .tracker_ready = stack_on_tracker_ready,
        .name_refused = stack_on_name_refused,
};

static void stack_on_accept(void *userdata, Transport *t) {
        Stack *s = userdata;

        if (s->delivery)
                delivery_accept(s->delivery, t);
        else
                transport_free(t); /* the program does not run */
}

/* Reachable from now on. */
static _unused_ void stack_listen(Stack *s) {
        CHECK_OK(network_listen(s->who.sim->network, s->who.name, STACK_PORT, stack_on_accept, s));
}

static _unused_ void stack_hide(Stack *s) {
        network_close(s->who.sim->network, s->who.name, STACK_PORT);
}

/* The program starts, with what is on disk. */
static void stack_start(Stack *s) {
        Sim *sim = s->who.sim;
        EventBounds told;
        DbTxn *txn;

        loop_random(sim->loop, s->who.local.boot_nonce, BOOT_NONCE_SIZE);
        CHECK_OK(store_open(s->dir, sim->loop, &s->store));
        CHECK_OK(store_read_begin(s->store, &txn));
        CHECK_OK(event_bounds(txn, &told));
        store_read_end(txn);
        s->told = told.last;
        store_set_events_fn(s->store, stack_on_events, s);
        CHECK_OK(directory_new(
                sim->net, &s->who.local, &stack_directory_callbacks, s, &s->directory));
        CHECK_OK(delivery_new(sim->loop, s->store, sim->net, s->directory, &s->self, &s->who.local,
                &s->settings, &stack_callbacks, s, &s->delivery));
        delivery_start(s->delivery);
        if (s->room_hooks)
                s->room_hooks->start(s);
        stack_listen(s);
}

/* The program ends, with BYE to everybody. */
static void stack_stop(Stack *s) {
        stack_hide(s);
        if (s->room_hooks)
                s->room_hooks->stop(s);
        s->delivery = delivery_free(s->delivery);
        s->directory = directory_free(s->directory);
        s->store = store_close(s->store);
}

/* Of somebody whom others may know already; he is the callee's. Nothing runs yet. */
static void stack_begin(Person *who, const char *dir, Stack *s) {
        *s = (Stack){.settings = {.handshake = 10}};
        snprintf(s->dir, sizeof(s->dir), "%s", dir);
        s->who = *who;
        *who = (Person){};
        s->who.local.account = &s->who.account;
        s->who.local.device = &s->who.device;
        s->self = (Identity){
                .account = s->who.account, .device = s->who.device, .epoch = s->who.epoch};
        memcpy(s->self.name, s->who.name, NAME_SIZE);
        CHECK_OK(buffer_append(&s->self.certificate, s->who.local.certificate.data,
                s->who.local.certificate.size));
        CHECK_OK(
                buffer_append(&s->self.record, s->who.local.record.data, s->who.local.record.size));
}

/* In a new directory. */
static _unused_ void stack_new_of(Person *who, Stack *s) {
        char dir[] = "/tmp/p2pchat-test-XXXXXX";

        CHECK(mkdtemp(dir));
        stack_begin(who, dir, s);
        stack_start(s);
}

static _unused_ void stack_new(Sim *sim, const char *name, Stack *s) {
        Person who;

        person_new(sim, name, &who);
        stack_new_of(&who, s);
}

static int stack_unlink(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static _unused_ void stack_forget_shown(Stack *s) {
        Shown *m, *tmp;

        DL_FOREACH_SAFE (s->shown, m, tmp) {
                free((void *)m->body.data);
                free(m);
        }
        s->shown = NULL;
        s->n_shown = 0;
}

static _unused_ void stack_free(Stack *s) {
        stack_stop(s);
        stack_forget_shown(s);
        identity_done(&s->self);
        person_done(&s->who);
        CHECK_OK(nftw(s->dir, stack_unlink, 8, FTW_DEPTH | FTW_PHYS));
}

/* Whom S knows, and where he has been reached before. */
static _unused_ Contact stack_knows(Stack *s, const Person *other, uint8_t flags) {
        Endpoints e = {.n = 1};
        Record record;
        Contact c;

        CHECK_OK(record_decode(other->local.record, &record));
        CHECK(contact_learn(s->store, &record, other->local.record, loop_realtime(s->who.sim->loop),
                      flags, true, &c) >= 0);
        snprintf(e.text[0], sizeof(e.text[0]), "%s:%u", other->name, STACK_PORT);
        CHECK(store_set_endpoints(s->store, c.number, &e) >= 0);
        CHECK_OK(store_commit(s->store));
        CHECK_EQ(contact_get(store_write(s->store), person_account(other), &c), 1);
        return c;
}

/* As a user does: on disk first, then on its way. EXPIRES may be 0. */
static _unused_ Uuid stack_put(Stack *s, const Person *to, Bytes text, usec_t expires) {
        NewMessage m = {.self = &s->self,
                .text = text,
                .expires = expires,
                .now = loop_realtime(s->who.sim->loop)};
        uint8_t random[10];
        Contact c;

        loop_random(s->who.sim->loop, random, sizeof(random));
        m.id = uuid_make_v7(m.now, random);
        CHECK_EQ(contact_get(store_write(s->store), person_account(to), &c), 1);
        m.to = &c;
        CHECK_OK(store_send(s->store, &m));
        return m.id;
}

static _unused_ void stack_send_off(Stack *s, const Person *to) {
        CHECK_OK(store_commit(s->store));
        delivery_wake(s->delivery, person_account(to));
}

static _unused_ Uuid stack_send(Stack *s, const Person *to, const char *text) {
        Uuid id = stack_put(s, to, text_bytes(text), 0);

        stack_send_off(s, to);
        return id;
}

static _unused_ uint64_t stack_count_outbox(Stack *s) {
        uint64_t n;
        DbTxn *txn;

        CHECK_OK(store_read_begin(s->store, &txn));
        n = outbox_count(txn);
        store_read_end(txn);
        return n;
}
