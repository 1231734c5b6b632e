/* SPDX-License-Identifier: GPL-3.0-or-later */

/* ROOM_LOOKUP: a name leads to a room, the room to its newest record and to some of those that are
 * online in it. Of a private room who is there is told to those who show its door. */

#include "node/node-room.h"

typedef struct Find {
        ClientRequest request;
        RoomLookup asked;
} Find;

static void find_unknown(Find *x) {
        client_request_error(&x->request, CODE_UNKNOWN_ROOM,
                x->asked.name[0] ? "no room has this name here" : "this room is not known here", 0);
}

static void find_unreadable(Find *x) {
        client_request_error(
                &x->request, CODE_STORAGE, "the tracker cannot read its directory", 60);
}

static bool find_may_see(const Find *x, const RoomRecord *rec) {
        uint8_t hash[SHA256_SIZE];

        if (rec->deleted)
                return false;
        if (rec->access == ROOM_ACCESS_OPEN)
                return true;
        sha256(x->asked.door, ROOM_DOOR_SIZE, hash);
        return x->asked.has_door && rec->has_door && memcmp(hash, rec->door_hash, SHA256_SIZE) == 0;
}

/* As many as fit, beginning with any. */
static void choose_online(const Room *room, Loop *l, RoomLookupAnswer *a) {
        size_t at = room->n_shown > 0 ? loop_random_below(l, room->n_shown) : 0;

        a->count = room->n_shown;
        a->n_online = MIN(room->n_shown, (size_t)ROOM_ONLINE_MAX);
        for (size_t i = 0; i < a->n_online; i++) {
                const Seat *t = room->shown[(at + i) % room->n_shown];

                memcpy(a->online[i], t->key.account, KEY_SIZE);
        }
}

static void find_answer(Find *x, const RoomRecord *rec, Bytes blob) {
        Client *c = x->request.client;
        const Room *room = node_room_find(c->node, rec->room);
        RoomLookupAnswer a = {.record = blob};

        if (room && find_may_see(x, rec))
                choose_online(room, c->node->loop, &a);
        client_queued(c, room_lookup_answer_encode(conn_output(c->conn), x->request.id, &a));
        client_request_free(&x->request);
}

/* One that is deleted is shown by its record, which says so. */
static void on_find_room(void *userdata, int error, Bytes blob) {
        Find *x = userdata;
        Node *n = x->request.client->node;
        RoomRecord rec;
        int r;

        r = node_room_read(n, error, blob, &rec);
        if (r < 0)
                find_unreadable(x);
        else if (r == 0 || rec.expires <= loop_realtime(n->loop) ||
                (x->asked.name[0] && !streq(rec.name, x->asked.name)))
                find_unknown(x);
        else
                find_answer(x, &rec, blob);
}

static void find_room(Find *x) {
        Node *n = x->request.client->node;
        uint8_t key[SHA256_SIZE];

        directory_key_room(x->asked.room, key);
        n->store->ops->rec_get(n->store, DIRECTORY_ROOM, key, on_find_room, x);
}

static void on_find_name(void *userdata, int error, Bytes blob) {
        Find *x = userdata;
        RoomRecord rec;
        int r;

        r = node_room_read(x->request.client->node, error, blob, &rec);
        if (r < 0)
                find_unreadable(x);
        else if (r == 0)
                find_unknown(x);
        else {
                memcpy(x->asked.room, rec.room, ROOM_ID_SIZE);
                find_room(x);
        }
}

void client_room_lookup(Client *c, Frame *f) {
        Node *n = c->node;
        uint8_t key[SHA256_SIZE];
        RoomLookup asked;
        Find *x;

        if (room_lookup_decode(f, &asked) < 0) {
                client_malformed(c);
                return;
        }
        if (conn_is_full(c->conn)) {
                client_error(c, f->request, CODE_RATE_LIMITED, "read the answers first", 1);
                return;
        }
        x = client_request_new(c, f->request, sizeof(*x));
        if (!x)
                return;
        x->asked = asked;
        if (!asked.name[0]) {
                find_room(x);
                return;
        }
        directory_key_roomname(asked.name, key);
        n->store->ops->rec_get(n->store, DIRECTORY_ROOMNAME, key, on_find_name, x);
}
