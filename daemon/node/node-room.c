/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who is in which room. */

#include "node/node-room.h"

Room *node_room_find(Node *n, const uint8_t id[static ROOM_ID_SIZE]) {
        unsigned hash = key_hash(&n->hash, id, ROOM_ID_SIZE);
        Room *x;

        HASH_FIND_BYHASHVALUE(hh, n->rooms, id, ROOM_ID_SIZE, hash, x);
        return x;
}

static Seat *seat_find(Room *x, const uint8_t *account) {
        SeatKey key = {.room = x};
        Node *n = x->node;
        unsigned hash;
        Seat *t;

        memcpy(key.account, account, KEY_SIZE);
        hash = key_hash(&n->hash, &key, sizeof(key));
        HASH_FIND_BYHASHVALUE(hh, n->seats, &key, sizeof(key), hash, t);
        return t;
}

static Room *room_free(Room *x) {
        Node *n = x->node;

        node_room_forget_due(x);
        if (x->watch)
                n->store->ops->unwatch(x->watch);
        n->store->ops->forget(n->store, x);
        if (TABLE_HAS(x))
                HASH_DEL(n->rooms, x);
        free(x->shown);
        free(x);
        return NULL;
}

/* Shown */

static void seat_hide(Seat *t) {
        Room *x = t->key.room;

        if (!t->is_shown)
                return;
        t->is_shown = false;
        x->shown[t->slot] = x->shown[--x->n_shown];
        x->shown[t->slot]->slot = t->slot;
}

/* Without memory it is not; those in the room hear of it all the same. */
static void seat_show(Seat *t) {
        Room *x = t->key.room;

        if (t->is_shown)
                return;
        if (x->n_shown == x->allocated_shown) {
                size_t size = MAX(2 * x->allocated_shown, (size_t)8);
                Seat **p = reallocarray(x->shown, size, sizeof(*p));

                if (!p)
                        return;
                x->shown = p;
                x->allocated_shown = size;
        }
        t->is_shown = true;
        t->slot = x->n_shown;
        x->shown[x->n_shown++] = t;
}

/* Seats */

void seat_set_state(Seat *t, RoomPresence state) {
        Room *x = t->key.room;

        t->state = state;
        t->serial = ++x->serial;
        DL_DELETE2(x->seats, t, prev, next);
        DL_APPEND2(x->seats, t, prev, next);
        node_room_changed(x);
}

void seat_stop_leaving(Seat *t) {
        if (!t->is_leaving)
                return;
        t->is_leaving = false;
        DL_DELETE2(t->key.room->node->leaving, t, leaving_prev, leaving_next);
}

static void seat_attach(Seat *t, Client *c) {
        Room *x = t->key.room;

        seat_stop_leaving(t);
        t->client = c;
        DL_APPEND2(c->seats, t, client_prev, client_next);
        c->n_seats++;
        if (x->n_present++ == 0)
                x->node->stats.rooms++;
}

static void seat_detach(Seat *t) {
        Client *c = t->client;
        Room *x = t->key.room;

        seat_hide(t);
        t->client = NULL;
        t->is_admitted = t->wants_record = false;
        DL_DELETE2(c->seats, t, client_prev, client_next);
        c->n_seats--;
        if (--x->n_present == 0)
                x->node->stats.rooms--;
}

Seat *seat_free(Seat *t) {
        Room *x = t->key.room;
        Node *n = x->node;

        if (t->client)
                seat_detach(t);
        seat_stop_leaving(t);
        DL_DELETE2(x->seats, t, prev, next);
        HASH_DEL(n->seats, t);
        n->n_seats--;
        free(t);
        if (!x->seats)
                room_free(x);
        return NULL;
}

static bool seat_may_enter(const Seat *t) {
        const Room *x = t->key.room;

        return x->is_known &&
                (x->access == ROOM_ACCESS_OPEN ||
                        (t->has_door && memcmp(t->door_hash, x->door_hash, SHA256_SIZE) == 0));
}

/* Entering is how one shows oneself to those in the room. Everybody else sees who lets everybody
 * see him. */
static void seat_settle(Seat *t) {
        const Person *a = t->client->person;
        const Room *x = t->key.room;
        bool was = t->is_admitted;

        t->is_admitted = seat_may_enter(t);
        if (!t->is_admitted || !is_audience(a->audience, VIEWER_CONTACT))
                seat_hide(t);
        else if (x->access != ROOM_ACCESS_OPEN || is_audience(a->audience, VIEWER_ANYBODY))
                seat_show(t);
        if (!t->is_admitted || was)
                return;
        if (is_audience(a->audience, VIEWER_CONTACT) && t->state != ROOM_PRESENCE_ENTERED)
                seat_set_state(t, ROOM_PRESENCE_ENTERED);
        t->told = 0;
        node_room_changed(t->key.room);
}

/* Rooms */

void node_room_learn(Room *x, const RoomRecord *rec) {
        x->is_known = !rec->deleted && rec->expires > loop_realtime(x->node->loop);
        x->access = rec->access;
        memcpy(x->door_hash, rec->door_hash, SHA256_SIZE);
        for (Seat *t = x->seats, *next; t; t = next) {
                next = t->next; /* T may go to the end, where nothing is left to be done with it */
                if (t->client)
                        seat_settle(t);
        }
}

static void on_room_changed(void *userdata, Bytes blob) {
        Room *x = userdata;
        RoomRecord rec;

        if (node_room_read(x->node, 0, blob, &rec) <= 0)
                return;
        for (Seat *t = x->seats; t; t = t->next)
                t->wants_record = t->client != NULL;
        node_room_learn(x, &rec);
        node_room_changed(x);
}

static void on_room_read(void *userdata, int error, Bytes blob) {
        Room *x = userdata;
        RoomRecord rec;

        if (node_room_read(x->node, error, blob, &rec) > 0)
                node_room_learn(x, &rec);
}

static Room *room_get(Node *n, const uint8_t *id) {
        Room *x = node_room_find(n, id);
        uint8_t key[SHA256_SIZE];

        if (x)
                return x;
        x = calloc(1, sizeof(*x));
        if (!x)
                return NULL;
        x->node = n;
        x->changes = QUOTA_INIT(CHANGES_BURST, CHANGES_INTERVAL);
        memcpy(x->id, id, ROOM_ID_SIZE);
        directory_key_room(id, key);
        if (n->store->ops->watch(n->store, DIRECTORY_ROOM, key, on_room_changed, x, &x->watch) < 0)
                return room_free(x);
        HASH_ADD_KEYPTR_BYHASHVALUE(
                hh, n->rooms, x->id, ROOM_ID_SIZE, key_hash(&n->hash, x->id, ROOM_ID_SIZE), x);
        if (!TABLE_HAS(x))
                return room_free(x);
        n->store->ops->rec_get(n->store, DIRECTORY_ROOM, key, on_room_read, x);
        return x;
}

/* Entering and leaving */

static Seat *seat_new(Room *x, const uint8_t *account) {
        Node *n = x->node;
        Seat *t = calloc(1, sizeof(*t));

        if (!t)
                return NULL;
        t->key.room = x;
        memcpy(t->key.account, account, KEY_SIZE);
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, n->seats, &t->key, sizeof(t->key),
                key_hash(&n->hash, &t->key, sizeof(t->key)), t);
        if (!TABLE_HAS(t)) {
                free(t);
                return NULL;
        }
        n->n_seats++;
        DL_PREPEND2(x->seats, t, prev, next); /* nothing of it has changed so far */
        return t;
}

static int seat_get(Client *c, const uint8_t *id, Seat **ret) {
        Node *n = c->node;
        Room *x = room_get(n, id);
        Seat *t = x ? seat_find(x, c->person->key) : NULL;

        if (!t && x && n->n_seats < NODE_SEATS_MAX)
                t = seat_new(x, c->person->key);
        if (!t && x && !x->seats)
                room_free(x);
        if (!t)
                return -EBUSY;
        *ret = t;
        return 0;
}

/* Where it has been in the room until a moment ago nobody has noticed. It is told who is there in
 * any case. */
int client_enter_room(Client *c, const uint8_t id[static ROOM_ID_SIZE], const uint8_t *door) {
        Seat *t;
        int r;

        r = seat_get(c, id, &t);
        if (r < 0)
                return r;
        if (t->client != c && c->n_seats >= CLIENT_ROOMS_MAX) {
                if (!t->client && t->state == ROOM_PRESENCE_NONE)
                        seat_free(t);
                return -EDQUOT;
        }
        if (t->client && t->client != c)
                seat_detach(t);
        if (!t->client)
                seat_attach(t, c);
        t->has_door = door;
        if (door)
                sha256(door, ROOM_DOOR_SIZE, t->door_hash);
        t->is_admitted = false;
        t->wants_record = true;
        seat_settle(t);
        node_room_changed(t->key.room);
        return 0;
}

void client_leave_room(Client *c, const uint8_t id[static ROOM_ID_SIZE]) {
        Room *x = node_room_find(c->node, id);
        Seat *t = x ? seat_find(x, c->person->key) : NULL;

        if (!t || t->client != c)
                return;
        seat_detach(t);
        if (t->state == ROOM_PRESENCE_ENTERED)
                seat_set_state(t, ROOM_PRESENCE_LEFT);
        else
                seat_free(t);
}

void client_leave_rooms(Client *c) {
        Node *n = c->node;

        if (!c->seats)
                return;
        while (c->seats) {
                Seat *t = c->seats;

                seat_detach(t);
                if (t->state != ROOM_PRESENCE_ENTERED) {
                        seat_free(t);
                        continue;
                }
                t->is_leaving = true;
                t->gone_at = loop_now(n->loop) + SEAT_HOLD;
                DL_APPEND2(n->leaving, t, leaving_prev, leaving_next);
        }
        node_arm_room_timer(n);
}

void node_rooms_free(Node *n) {
        while (n->seats)
                seat_free(n->seats);
}
