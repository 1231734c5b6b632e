/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * ROOM_PUBLISH: rooms are left and entered, and the record of one comes in. What the store has is
 * looked at first, for an answer that says what is wrong; it is decided when all rows are joined,
 * and where something has changed meanwhile all begins again.
 */

#include "node/node-room.h"

#define TRIES_MAX 3

/* What it costs to check one more signature. */
#define TRANSFER_COST 4U

typedef struct Intake {
        ClientRequest request;
        uint8_t *blob;
        RoomRecord record; /* points into it */
        bool is_new; /* nothing holds of the room here */
        bool has_name; /* the claim is the room's, or free */
        unsigned tries;
        Buffer owned; /* the next version */
        DStoreMerge merges[3];
        size_t n;
} Intake;

static void intake_begin(Intake *in);

static void intake_clear(ClientRequest *rq) {
        Intake *in = CONTAINER_OF(rq, Intake, request);

        buffer_done(&in->owned);
        free(in->blob);
}

static void intake_unreadable(Intake *in) {
        client_request_error(
                &in->request, CODE_STORAGE, "the tracker cannot read its directory", 60);
}

static void intake_stored(Intake *in) {
        Node *n = in->request.client->node;

        if (in->is_new && !in->record.deleted)
                n->stats.new_rooms++;
        client_request_ok(&in->request);
}

static void on_intake_merged(void *userdata, int error, const MergeResult *results) {
        Intake *in = userdata;
        Node *n = in->request.client->node;
        bool stale = false, kept = false;

        for (size_t i = 0; error >= 0 && i < in->n; i++) {
                stale |= results[i] == MERGE_STALE;
                kept |= results[i] == MERGE_STORED;
        }
        node_write_told(n, error, kept && !stale);
        if (error < 0)
                client_request_error(&in->request, CODE_STORAGE,
                        error == -ENOSPC ? "the tracker's disk is full; try again later"
                                         : "the tracker could not keep the record; try again later",
                        60);
        else if (!stale)
                intake_stored(in);
        else if (++in->tries < TRIES_MAX)
                intake_begin(in);
        else
                client_request_error(&in->request, CODE_RATE_LIMITED,
                        "too many records at once; send one after the other", 1);
}

static void intake_add(Intake *in, DirectoryKind kind, MergeFn fn, Bytes blob) {
        DStoreMerge *m = &in->merges[in->n++];
        const RoomRecord *rec = &in->record;

        *m = (DStoreMerge){.kind = kind, .merge = fn, .blob = blob};
        if (kind == DIRECTORY_ROOM)
                directory_key_room(rec->room, m->key);
        else if (kind == DIRECTORY_ROOMNAME)
                directory_key_roomname(rec->name, m->key);
        else
                directory_key_account(kind, rec->owner, m->key);
}

static Bytes intake_blob(const Intake *in) {
        return in->merges[0].blob;
}

static void intake_merge(Intake *in) {
        Node *n = in->request.client->node;

        if (in->has_name)
                intake_add(in, DIRECTORY_ROOMNAME, merge_roomname, intake_blob(in));
        intake_add(in, DIRECTORY_OWNED, merge_owned, buffer_bytes(&in->owned));
        n->store->ops->rec_merge(n->store, in->merges, in->n, on_intake_merged, in);
}

/* The rooms of an account */

static uint64_t get_u64(const uint8_t *p) {
        uint64_t v = 0;

        for (size_t i = 0; i < sizeof(v); i++)
                v = v << 8 | p[i];
        return v;
}

static int put_u64(Buffer *b, uint64_t v) {
        uint8_t be[sizeof(v)];

        for (size_t i = 0; i < sizeof(be); i++)
                be[i] = (uint8_t)(v >> (56 - 8 * i));
        return buffer_append(b, be, sizeof(be));
}

/* The same without this room and those that are over; then this one, unless it is deleted. The
 * number of rooms, or an error. */
static int owned_next(Bytes old, const RoomRecord *rec, uint64_t now, Buffer *ret) {
        int n = 0, r;

        buffer_clear(ret);
        r = put_u64(ret, (old.size > 0 ? get_u64(old.data) : 0) + 1);
        for (size_t i = OWNED_HEAD_SIZE; r >= 0 && i < old.size; i += OWNED_ENTRY_SIZE) {
                const uint8_t *entry = old.data + i;

                if (memcmp(entry, rec->room, ROOM_ID_SIZE) == 0 ||
                        get_u64(entry + ROOM_ID_SIZE) <= now)
                        continue;
                r = buffer_append(ret, entry, OWNED_ENTRY_SIZE);
                n++;
        }
        if (r < 0 || rec->deleted)
                return r < 0 ? r : n;
        r = buffer_append(ret, rec->room, ROOM_ID_SIZE);
        if (r >= 0)
                r = put_u64(ret, rec->expires);
        return r < 0 ? r : n + 1;
}

static void on_intake_owned(void *userdata, int error, Bytes blob) {
        Intake *in = userdata;
        Node *n = in->request.client->node;
        int r = error;

        if (r >= 0 && blob.size > 0 &&
                (blob.size < OWNED_HEAD_SIZE ||
                        (blob.size - OWNED_HEAD_SIZE) % OWNED_ENTRY_SIZE != 0))
                r = -EUCLEAN;
        node_store_told(n, NODE_STORE_READ, r);
        if (r >= 0)
                r = owned_next(blob, &in->record, loop_realtime(n->loop), &in->owned);
        if (r < 0)
                intake_unreadable(in);
        else if (r > OWNED_ROOMS_MAX && in->is_new)
                client_request_error(&in->request, CODE_TOO_MANY,
                        "this account has 100 rooms at this tracker; delete one first", 0);
        else
                intake_merge(in);
}

static void intake_count(Intake *in) {
        Node *n = in->request.client->node;
        uint8_t key[SHA256_SIZE];

        directory_key_account(DIRECTORY_OWNED, in->record.owner, key);
        n->store->ops->rec_get(n->store, DIRECTORY_OWNED, key, on_intake_owned, in);
}

/* Name and room */

static void on_intake_name(void *userdata, int error, Bytes blob) {
        Intake *in = userdata;
        Client *c = in->request.client;
        unsigned limit = c->node->limits->registrations_per_hour;
        RoomRecord holder;
        int r;

        r = node_room_read(c->node, error, blob, &holder);
        if (r < 0) {
                intake_unreadable(in);
                return;
        }
        in->has_name = r == 0 || memcmp(holder.room, in->record.room, ROOM_ID_SIZE) == 0 ||
                (!in->record.deleted &&
                        (holder.deleted || holder.expires <= loop_realtime(c->node->loop)));
        if (!in->has_name && !in->record.deleted)
                client_request_error(&in->request, CODE_ROOM_EXISTS,
                        "this name belongs to another room at this tracker", 0);
        else if (in->is_new && in->tries == 0 && !client_charge_address(c, CHARGE_ROOM, limit))
                client_request_error(&in->request, CODE_RATE_LIMITED,
                        "too many new rooms came from this address", MAX(3600 / limit, 1U));
        else
                intake_count(in);
}

static void intake_look_at_name(Intake *in) {
        Node *n = in->request.client->node;
        uint8_t key[SHA256_SIZE];

        directory_key_roomname(in->record.name, key);
        n->store->ops->rec_get(n->store, DIRECTORY_ROOMNAME, key, on_intake_name, in);
}

/* What is known is newer. */
static void intake_stale(Intake *in, const RoomRecord *known) {
        if (!key_equal(known->owner, in->record.owner))
                client_request_error(
                        &in->request, CODE_NOT_OWNER, "this room belongs to somebody else now", 0);
        else if (known->deleted)
                client_request_error(
                        &in->request, CODE_UNKNOWN_ROOM, "this room was deleted by its owner", 0);
        else
                client_request_ok(&in->request);
}

/* That a room is deleted which nobody knows here is nothing to be kept. */
static void on_intake_room(void *userdata, int error, Bytes blob) {
        Intake *in = userdata;
        Node *n = in->request.client->node;
        RoomRecord known;
        int r;

        r = node_room_read(n, error, blob, &known);
        in->is_new = r == 0 || (r > 0 && known.expires <= loop_realtime(n->loop));
        if (r < 0)
                intake_unreadable(in);
        else if (in->is_new && in->record.deleted)
                client_request_ok(&in->request);
        else if (in->is_new)
                intake_look_at_name(in);
        else if (room_record_compare(&in->record, intake_blob(in), &known, blob) < 0)
                intake_stale(in, &known);
        else if (!streq(known.name, in->record.name))
                client_request_error(
                        &in->request, CODE_INVALID_ARGS, "a room keeps the name that it has", 0);
        else
                intake_look_at_name(in);
}

static void intake_begin(Intake *in) {
        Node *n = in->request.client->node;

        in->n = 1; /* the room itself, which stays */
        n->store->ops->rec_get(n->store, DIRECTORY_ROOM, in->merges[0].key, on_intake_room, in);
}

static void intake_start(Client *c, uint64_t id, Bytes blob) {
        Intake *in = client_request_new(c, id, sizeof(*in));

        if (!in)
                return;
        in->request.clear = intake_clear;
        in->blob = malloc(blob.size);
        if (!in->blob) {
                client_request_error(&in->request, CODE_STORAGE, "the tracker is out of memory", 1);
                return;
        }
        memcpy(in->blob, blob.data, blob.size);
        blob.data = in->blob;
        if (room_record_parse(blob, &in->record) < 0) {
                client_request_error(
                        &in->request, CODE_INVALID_ARGS, "the record is ill-formed", 0);
                return;
        }
        intake_add(in, DIRECTORY_ROOM, merge_room, blob);
        intake_begin(in);
}

/* What the record says, and that it is for this session to say it. NULL: nothing is wrong. */

static const char *record_time_error(const RoomRecord *rec, uint64_t now) {
        if (rec->expires <= now || !certificate_is_valid_at(&rec->device, now))
                return "the record or its certificate has expired";
        if (room_record_is_ahead(rec, now) ||
                rec->expires > now + ROOM_RECORD_LIFETIME + RECORD_AHEAD_MAX)
                return "the record is from the future: the clock of this device may be wrong";
        return NULL;
}

static const char *record_form_error(const RoomRecord *rec) {
        if (rec->access == ROOM_ACCESS_HIDDEN)
                return "a hidden room is not published";
        if (rec->access == ROOM_ACCESS_OPEN)
                return rec->has_door ? "an open room has no door" : NULL;
        if (rec->topic.size > 0 || rec->members > 0)
                return "a private room is published without its topic and number of members";
        if (!rec->has_door && !rec->deleted)
                return "a private room is published with its door";
        return NULL;
}

static Code record_error(Client *c, Bytes blob, const char **ret) {
        RoomRecord rec;

        *ret = "the record does not hold: bad form, key, signature or owner";
        if (room_record_parse(blob, &rec) < 0)
                return CODE_INVALID_ARGS;
        *ret = record_form_error(&rec);
        if (!*ret)
                *ret = record_time_error(&rec, loop_realtime(c->node->loop));
        if (*ret)
                return CODE_INVALID_ARGS;
        *ret = "a room is published by its owner, over a session of the device that signs";
        if (!key_equal(rec.owner, c->person->key) || !key_equal(rec.device.device, c->key))
                return CODE_NOT_OWNER;
        *ret = "too many records with a long history of owners";
        if (rec.n_transfers > 0 && !conn_charge(c->conn, TRANSFER_COST * (unsigned)rec.n_transfers))
                return CODE_RATE_LIMITED;
        *ret = "the record does not hold: bad form, key, signature or owner";
        return room_record_decode(blob, &rec) < 0 ? CODE_INVALID_ARGS : CODE_OK;
}

/* ROOM_PUBLISH */

/* Everybody who is in a room is told, and tells who enters. */
static bool enter_charge(Client *c, const RoomPublish *p) {
        uint64_t cost = 0;

        for (size_t i = 0; i < p->n_enter; i++) {
                const Room *x = node_room_find(c->node, p->enter[i].room);

                if (x)
                        cost += x->n_present / 64;
        }
        return conn_charge(c->conn, MIN(cost, CLIENT_FRAMES / 4U));
}

static int enter_all(Client *c, const RoomPublish *p) {
        int r = 0;

        for (size_t i = 0; i < p->n_enter && r >= 0; i++)
                r = client_enter_room(
                        c, p->enter[i].room, p->enter[i].has_door ? p->enter[i].door : NULL);
        return r;
}

static void publish(Client *c, uint64_t id, const RoomPublish *p) {
        const char *wrong;
        Code code;
        int r;

        for (size_t i = 0; i < p->n_leave; i++)
                client_leave_room(c, p->leave[i]);
        if (!enter_charge(c, p)) {
                client_error(c, id, CODE_RATE_LIMITED, "too many large rooms are entered", 10);
                return;
        }
        r = enter_all(c, p);
        if (r < 0) {
                client_error(c, id, CODE_TOO_MANY,
                        r == -EDQUOT ? "a session enters 1000 rooms at most"
                                     : "too many rooms are entered at this tracker",
                        r == -EDQUOT ? 0 : 60);
                return;
        }
        if (p->record.size == 0) {
                client_ok(c, id);
                return;
        }
        code = record_error(c, p->record, &wrong);
        if (code == CODE_OK)
                intake_start(c, id, p->record);
        else
                client_error(c, id, code, wrong, code == CODE_RATE_LIMITED ? 10 : 0);
}

void client_room_publish(Client *c, Frame *f) {
        _cleanup_(freep) RoomPublish *p = malloc(sizeof(*p));

        if (!p)
                client_error(c, f->request, CODE_STORAGE, "the tracker is out of memory", 1);
        else if (room_publish_decode(f, p) < 0)
                client_malformed(c);
        else if (!c->person || !c->person->registered)
                client_error(c, f->request, CODE_NOT_LOGGED_IN,
                        "this session is of no registered account", 0);
        else
                publish(c, f->request, p);
}
