/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What those in a room are told: who has come, left, or is offline, and the newest record. The
 * seats of a room are in the order of their last changes, and each client knows up to which of them
 * it has been told: what changes twice before is told once, as it is then. Changes that come often
 * are gathered for CHANGES_HOLD.
 */

#include "node/node-room.h"

/* Who enters is told who is there; in a room with more than that, who came or changed last. */
#define SNAPSHOT_MAX 1000

void node_arm_room_timer(Node *n) {
        usec_t at = USEC_INFINITY;

        if (n->rooms_held)
                at = n->rooms_held->held_until;
        if (n->leaving)
                at = MIN(at, n->leaving->gone_at);
        loop_timer_set(n->room_timer, at);
}

void node_room_forget_due(Room *x) {
        Node *n = x->node;

        if (x->is_due)
                DL_DELETE2(n->rooms_due, x, due_prev, due_next);
        if (x->is_held)
                DL_DELETE2(n->rooms_held, x, held_prev, held_next);
        x->is_due = x->is_held = false;
}

static void room_make_due(Room *x) {
        x->is_due = true;
        DL_APPEND2(x->node->rooms_due, x, due_prev, due_next);
        loop_defer_arm(x->node->push, true);
}

void node_room_changed(Room *x) {
        Node *n = x->node;

        if (x->is_due || x->is_held)
                return;
        if (quota_take(&x->changes, 1, loop_now(n->loop))) {
                room_make_due(x);
                return;
        }
        x->is_held = true;
        x->held_until = loop_now(n->loop) + CHANGES_HOLD;
        DL_APPEND2(n->rooms_held, x, held_prev, held_next);
        node_arm_room_timer(n);
}

/* Who came before this client, and has gone since, is nobody it has to be told of. */
static bool seat_hears_of(const Seat *t, const Seat *other, RoomPresence state) {
        return other != t && other->serial > t->told && other->state == state &&
                (t->told > 0 || state == ROOM_PRESENCE_ENTERED);
}

static void update_send(Client *c, RoomUpdate *u) {
        if (u->n_accounts > 0)
                client_queued(c, room_update_encode(conn_output(c->conn), u));
        u->n_accounts = 0;
}

static void seat_tell_state(Seat *t, Seat *first, RoomPresence state) {
        RoomUpdate u;

        u.record = (Bytes){};
        u.state = state;
        u.n_accounts = 0;
        memcpy(u.room, t->key.room->id, ROOM_ID_SIZE);
        for (const Seat *other = first; other; other = other->next) {
                if (!seat_hears_of(t, other, state))
                        continue;
                memcpy(u.accounts[u.n_accounts++], other->key.account, KEY_SIZE);
                if (u.n_accounts == ROOM_UPDATE_ACCOUNTS_MAX)
                        update_send(t->client, &u);
        }
        update_send(t->client, &u);
}

/* What it has not heard is at the end of the list. */
void seat_tell(Seat *t) {
        Room *x = t->key.room;
        Seat *first = NULL;
        unsigned n = 0;

        if (t->told == x->serial)
                return;
        if (conn_is_full(t->client->conn)) {
                t->client->rooms_behind = true;
                return;
        }
        for (Seat *other = x->seats->prev; other->serial > t->told; other = other->prev) {
                first = other;
                if (other == x->seats || (t->told == 0 && ++n == SNAPSHOT_MAX))
                        break;
        }
        for (RoomPresence state = ROOM_PRESENCE_ENTERED; first && state < _ROOM_PRESENCE_MAX;
                state++)
                seat_tell_state(t, first, state);
        t->told = x->serial;
}

static void on_room_record(void *userdata, int error, Bytes blob) {
        RoomUpdate u = {.record = blob};
        Room *x = userdata;
        RoomRecord rec;
        int r;

        x->is_asking = false;
        r = node_room_read(x->node, error, blob, &rec);
        memcpy(u.room, x->id, ROOM_ID_SIZE);
        for (Seat *t = x->seats; t; t = t->next) {
                if (!t->wants_record)
                        continue;
                if (r > 0 && conn_is_full(t->client->conn)) {
                        t->client->rooms_behind = true;
                        continue;
                }
                t->wants_record = false;
                if (r > 0)
                        client_queued(
                                t->client, room_update_encode(conn_output(t->client->conn), &u));
        }
}

void node_room_tell_record(Room *x) {
        Node *n = x->node;
        uint8_t key[SHA256_SIZE];

        if (x->is_asking)
                return;
        x->is_asking = true;
        directory_key_room(x->id, key);
        n->store->ops->rec_get(n->store, DIRECTORY_ROOM, key, on_room_record, x);
}

/* Who has gone may be forgotten when everybody who is there knows it. */
static void room_collect(Room *x) {
        uint64_t known = x->serial;

        for (const Seat *t = x->seats; t; t = t->next)
                if (t->client && t->is_admitted)
                        known = MIN(known, t->told);
        for (Seat *t = x->seats, *next; t && t->serial <= known; t = next) {
                next = t->next;
                if (!t->client && !t->is_leaving)
                        seat_free(t); /* and the room with the last one, when NEXT is NULL */
        }
}

static void room_push(Room *x) {
        bool wanted = false;

        for (Seat *t = x->seats; t; t = t->next) {
                if (t->client && t->is_admitted)
                        seat_tell(t);
                wanted |= t->wants_record;
        }
        if (wanted)
                node_room_tell_record(x);
        room_collect(x);
}

void node_push_rooms(Node *n) {
        while (n->rooms_due) {
                Room *x = n->rooms_due;

                node_room_forget_due(x);
                room_push(x);
        }
}

/* It has room again. */
void client_rooms_drained(Client *c) {
        if (!c->rooms_behind)
                return;
        c->rooms_behind = false;
        for (Seat *t = c->seats; t; t = t->client_next) {
                if (t->is_admitted)
                        seat_tell(t);
                if (t->wants_record)
                        node_room_tell_record(t->key.room);
        }
}

void node_on_room_timer(Node *n) {
        usec_t now = loop_now(n->loop);

        while (n->leaving && n->leaving->gone_at <= now) {
                Seat *t = n->leaving;

                seat_stop_leaving(t);
                seat_set_state(t, ROOM_PRESENCE_OFFLINE);
        }
        while (n->rooms_held && n->rooms_held->held_until <= now) {
                Room *x = n->rooms_held;

                node_room_forget_due(x);
                (void)quota_take(&x->changes, 1, now);
                room_make_due(x);
        }
        node_arm_room_timer(n);
}
