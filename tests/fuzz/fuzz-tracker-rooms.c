/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Rooms at a directory node: three accounts publish, enter, leave, look up and list a few rooms, in
 * any order, while the node is restarted and time passes. What is told was signed; a room that is
 * deleted does not come back; who is in a room is told to those who are, of those who were; a
 * private room is told to who has had its door; every request has one answer, and when all have
 * gone nothing is kept of them.
 */

#include "stateful.h"
#include "store-dir.h"

#include "../unit/wire-sample.h"
#include "db/db.h"
#include "node/node-internal.h"
#include "util/log.h"

#define N_PEOPLE 3
#define N_ROOMS 4 /* each person founds one, and the first two */
#define N_DOORS 3 /* the last is nobody's */
#define REQUESTS_MAX 256
#define MADE_MAX 256
#define RESTARTS_MAX 8
#define GONE_TIME (30 * USEC_PER_SEC)

static const char *const NAMES[] = {"garden", "park", "garden"};

typedef struct Made {
        Buffer bytes;
        unsigned room;
        bool deleted, is_private;
} Made;

typedef struct Caller {
        RawEnd end;
        unsigned who;
        bool scripted, deaf, open;
        uint64_t asked[REQUESTS_MAX]; /* the type; 0: answered */
        unsigned about[REQUESTS_MAX]; /* which record of `made`, of a ROOM_PUBLISH */
        size_t n_asked;
        bool entered[N_ROOMS]; /* or did, over this session */
        uint8_t after[SHA256_SIZE];
        size_t after_size;
} Caller;

static StoreDir dir;
static StoreImage empty;
static Loop *loop;
static Net *net;
static DStore *store;
static Node *node;
static NodeLimits limits = {.heartbeat = 30, .handshake = 10};
static SignKey accounts[N_PEOPLE], devices[N_PEOPLE], node_key;
static Buffer certificates[N_PEOPLE], records[N_PEOPLE];
static uint8_t rooms[N_ROOMS][ROOM_ID_SIZE];
static Made made[MADE_MAX];
static unsigned n_made, n_restarts;
static bool was_in[N_ROOMS][N_PEOPLE]; /* somebody has said so, at any time */
static bool deleted[N_ROOMS]; /* acknowledged */
static Caller callers[N_PEOPLE];

static unsigned founder_of(unsigned room) {
        return room % N_PEOPLE;
}

static unsigned find_room(const uint8_t *id) {
        for (unsigned i = 0; i < N_ROOMS; i++)
                if (memcmp(rooms[i], id, ROOM_ID_SIZE) == 0)
                        return i;
        return N_ROOMS;
}

static const Made *find_made(Bytes b) {
        for (unsigned i = 0; i < n_made; i++)
                if (bytes_equal(buffer_bytes(&made[i].bytes), b))
                        return &made[i];
        return NULL;
}

static void make_door(unsigned n, uint8_t ret[static ROOM_DOOR_SIZE]) {
        memset(ret, 1 + (int)n, ROOM_DOOR_SIZE);
}

static void make_people(void) {
        for (unsigned i = 0; i < N_PEOPLE; i++) {
                Certificate c = {.epoch = 1,
                        .issued = VIRTUAL_REALTIME,
                        .expires = VIRTUAL_REALTIME + IDENTITY_LIFETIME};
                Record rec = {.epoch = 1,
                        .seq = VIRTUAL_REALTIME / USEC_PER_MSEC,
                        .issued = VIRTUAL_REALTIME,
                        .expires = VIRTUAL_REALTIME + IDENTITY_LIFETIME};

                accounts[i] = sample_key((uint8_t)(1 + i));
                devices[i] = sample_key((uint8_t)(20 + i));
                memcpy(c.account, sign_key_public(&accounts[i]), KEY_SIZE);
                memcpy(c.device, sign_key_public(&devices[i]), KEY_SIZE);
                MUST(certificate_encode(&c, &accounts[i], &devices[i], &certificates[i]) == 0);
                memcpy(rec.account, c.account, KEY_SIZE);
                snprintf(rec.name, sizeof(rec.name), "user%u", i);
                rec.certificate = buffer_bytes(&certificates[i]);
                MUST(record_encode(&rec, &accounts[i], &records[i]) == 0);
        }
        for (unsigned i = 0; i < N_ROOMS; i++) {
                uint8_t nonce[ROOM_NONCE_SIZE] = {(uint8_t)i};

                room_id(sign_key_public(&accounts[founder_of(i)]), nonce, rooms[i]);
        }
        node_key = sample_key(40);
}

/* As a rule one that holds, by its founder. */
static unsigned script_record(Script *in, unsigned own) {
        uint8_t how = script_u8(in), seq = script_u8(in), door[ROOM_DOOR_SIZE];
        unsigned n = n_made++, room = how & 0x80 ? how % N_ROOMS : own % N_ROOMS;
        unsigned owner = founder_of(room);
        Made *m = &made[n];
        RoomRecord rec = {.nonce = {(uint8_t)room},
                .access = how & 4 ? ROOM_ACCESS_PRIVATE : ROOM_ACCESS_OPEN,
                .head = {.epoch = 1, .hash = {1}},
                .seq = VIRTUAL_REALTIME / USEC_PER_MSEC + seq,
                .issued = VIRTUAL_REALTIME,
                .expires = VIRTUAL_REALTIME + (how & 8 ? USEC_PER_HOUR : 90 * USEC_PER_DAY),
                .certificate = buffer_bytes(&certificates[owner]),
                .has_door = how & 4,
                .deleted = how & 0x40};

        memcpy(rec.founder, sign_key_public(&accounts[owner]), KEY_SIZE);
        memcpy(rec.owner, rec.founder, KEY_SIZE);
        memcpy(rec.room, rooms[room], ROOM_ID_SIZE);
        snprintf(rec.name, sizeof(rec.name), "%s",
                NAMES[(room + (how >> 4 & 1)) % ELEMENTSOF(NAMES)]);
        if (!rec.has_door && how & 0x20)
                rec.topic = sample_text("roses and thorns");
        make_door(how & 1, door);
        if (rec.has_door)
                sha256(door, sizeof(door), rec.door_hash);
        buffer_clear(&m->bytes);
        m->room = room;
        m->deleted = rec.deleted;
        m->is_private = rec.has_door;
        MUST(room_record_encode(&m->bytes, &rec, &devices[owner]) == 0);
        return n;
}

/* What the node says */

static const Made *take_record(Bytes record, bool may_be_deleted) {
        const Made *m = find_made(record);

        MUST(m && (may_be_deleted || !m->deleted));
        MUST(m->deleted || !deleted[m->room]);
        return m;
}

static void take_lookup(Frame *f) {
        static RoomLookupAnswer a;
        const Made *m;

        MUST(room_lookup_answer_decode(f, &a) == 0);
        m = take_record(a.record, true);
        MUST(!m->deleted || a.count == 0);
        for (size_t i = 0; i < a.n_online; i++)
                for (unsigned k = 0; k < N_PEOPLE; k++)
                        MUST(!key_equal(a.online[i], sign_key_public(&accounts[k])) ||
                                was_in[m->room][k]);
}

static void take_list(Caller *c, Frame *f) {
        static RoomListAnswer a;

        MUST(room_list_answer_decode(f, &a) == 0);
        for (size_t i = 0; i < a.n_rooms; i++)
                MUST(!take_record(a.rooms[i].record, false)->is_private || a.rooms[i].online == 0);
        MUST(a.after.size == 0 || a.after.size == SHA256_SIZE);
        memcpy(c->after, a.after.data ?: c->after, a.after.size);
        c->after_size = a.after.size;
}

static void take_answer(Caller *c, Frame *f) {
        uint64_t type;
        Refusal x;

        if (c->scripted)
                return;
        MUST(f->request > 0 && f->request <= c->n_asked && c->asked[f->request - 1] != 0);
        type = c->asked[f->request - 1];
        c->asked[f->request - 1] = 0;
        if (f->type == FRAME_ERROR) {
                MUST(refusal_decode(f, &x) == 0 && x.code < _CODE_MAX);
                MUST(x.code != CODE_STORAGE || fuzz_failed());
        } else if (type == FRAME_ROOM_LOOKUP)
                take_lookup(f);
        else if (type == FRAME_ROOM_LIST)
                take_list(c, f);
        else {
                unsigned n = c->about[f->request - 1];

                MUST(frame_decode_empty(f) == 0);
                if (n < MADE_MAX)
                        MUST(made[n].room < N_ROOMS && founder_of(made[n].room) == c->who);
        }
}

static void take_update(Caller *c, Frame *f) {
        static RoomUpdate u;
        unsigned room;

        MUST(room_update_decode(f, &u) == 0);
        room = find_room(u.room);
        MUST(room < N_ROOMS && (c->scripted || c->entered[room]));
        if (u.record.size > 0)
                MUST(find_made(u.record) && find_made(u.record)->room == room);
        for (size_t i = 0; i < u.n_accounts; i++) {
                unsigned k = 0;

                while (k < N_PEOPLE && !key_equal(u.accounts[i], sign_key_public(&accounts[k])))
                        k++;
                MUST(k < N_PEOPLE && k != c->who && was_in[room][k]);
        }
}

static void take_frame(Caller *c, Frame *f) {
        switch (f->type) {
        case FRAME_HELLO_OK:
                c->open = true;
                break;
        case FRAME_OK:
        case FRAME_ERROR:
                take_answer(c, f);
                break;
        case FRAME_ROOM_UPDATE:
                take_update(c, f);
                break;
        case FRAME_PING:
                MUST(frame_put_empty(&c->end.out, FRAME_PONG, f->request) == 0);
                break;
        default:
                break;
        }
}

static void pass_time(usec_t time) {
        usec_t until = usec_add(loop_now(loop), time);
        Frame f;

        for (unsigned i = 0; i < N_PEOPLE; i++)
                callers[i].scripted |= !raw_flush(&callers[i].end);
        while (their_turn(loop, until))
                for (unsigned i = 0; i < N_PEOPLE; i++)
                        while (!callers[i].deaf && raw_take(&callers[i].end, &f))
                                take_frame(&callers[i], &f);
}

/* The node */

static void node_start(void) {
        MUST(dstore_lmdb_open(loop, dir.path, &store) == 0);
        MUST(node_new(net, store, &node_key, &limits, &node) == 0);
}

static void node_stop(void) {
        for (unsigned i = 0; i < N_PEOPLE; i++)
                raw_close(&callers[i].end);
        FUZZ_THEIR_MEMORY;
        node = node_free(node);
        store = dstore_close(store);
}

/* What the callers say */

static void ask(Caller *c, uint64_t type) {
        c->about[c->n_asked] = MADE_MAX;
        c->asked[c->n_asked++] = type;
}

/* Up to the account's registration. */
static void caller_connect(Script *in, unsigned who) {
        PipeOptions options = {.chunk = script_u8(in) & 7};
        Hello h = {.versions = {PROTOCOL_VERSION}, .n_versions = 1, .heartbeat = HEARTBEAT_MAX};
        Caller *c = &callers[who];
        Transport *t;

        if (c->end.transport)
                return;
        *c = (Caller){.who = who};
        t = raw_connect(&c->end, loop, &options);
        MUST(sockaddr_parse_ip("192.0.2.1", 7000, &t->peer) == 0);
        raw_say_tls(&c->end, NODE_ALPN, sign_key_public(&devices[who]));
        {
                FUZZ_THEIR_MEMORY;
                node_accept(node, t);
        }
        h.record = buffer_bytes(&records[who]);
        h.certificate = buffer_bytes(&certificates[who]);
        MUST(hello_encode(&c->end.out, &h) == 0);
        pass_time(USEC_PER_SEC);
        ask(c, FRAME_REGISTER);
        MUST(record_frame_encode(&c->end.out, FRAME_REGISTER, c->n_asked, h.record) == 0);
        pass_time(USEC_PER_SEC);
}

static void say_publish(Script *in, Caller *c) {
        static RoomPublish p;
        uint8_t how = script_u8(in);

        p.record = (Bytes){};
        p.n_enter = p.n_leave = 0;
        ask(c, FRAME_ROOM_PUBLISH);
        if (how & 1 && n_made < MADE_MAX) {
                unsigned n = script_record(in, c->who);

                c->about[c->n_asked - 1] = n;
                p.record = buffer_bytes(&made[n].bytes);
        }
        for (unsigned i = 0; i < N_ROOMS && how & 2; i++) {
                uint8_t b = script_u8(in);

                if (!(b & 1))
                        continue;
                memcpy(p.enter[p.n_enter].room, rooms[i], ROOM_ID_SIZE);
                p.enter[p.n_enter].has_door = b & 2;
                make_door((b >> 2) % N_DOORS, p.enter[p.n_enter++].door);
                c->entered[i] = was_in[i][c->who] = true;
        }
        if (how & 4)
                memcpy(p.leave[p.n_leave++], rooms[how >> 3 & 3], ROOM_ID_SIZE);
        if (p.record.size == 0 && p.n_enter + p.n_leave == 0)
                memcpy(p.leave[p.n_leave++], rooms[0], ROOM_ID_SIZE);
        MUST(room_publish_encode(&c->end.out, c->n_asked, &p) == 0);
}

static void say_lookup(Script *in, Caller *c) {
        uint8_t how = script_u8(in);
        RoomLookup l = {.has_door = how & 2};

        ask(c, FRAME_ROOM_LOOKUP);
        if (how & 1)
                snprintf(l.name, sizeof(l.name), "%s", NAMES[(how >> 2) % ELEMENTSOF(NAMES)]);
        else
                memcpy(l.room, rooms[how >> 2 & 3], ROOM_ID_SIZE);
        make_door((how >> 5) % N_DOORS, l.door);
        MUST(room_lookup_encode(&c->end.out, c->n_asked, &l) == 0);
}

static void say_list(Script *in, Caller *c) {
        static const char *const words[] = {"", "gar", "ROSES thorns", "weeds"};
        uint8_t how = script_u8(in);
        RoomList l = {.limit = how >> 4, .words = sample_text(words[how & 3])};

        ask(c, FRAME_ROOM_LIST);
        if (how & 4)
                l.after = (Bytes){c->after, c->after_size};
        MUST(room_list_encode(&c->end.out, c->n_asked, &l) == 0);
}

static void say_raw(Script *in, Caller *c) {
        Bytes body = script_bytes(in);

        c->scripted = true;
        MUST(buffer_append(&c->end.out, body.data, body.size) == 0);
}

/* That a room is deleted is known where the store has it. */
static void on_kept(void *userdata, int error, Bytes blob) {
        const Made *m = blob.size > 0 ? find_made(blob) : NULL;
        unsigned room = *(unsigned *)userdata;

        MUST(error < 0 || blob.size == 0 || (m && m->room == room));
        if (m && !m->deleted)
                MUST(!deleted[room] || loop_realtime(loop) > VIRTUAL_REALTIME + USEC_PER_HOUR);
        deleted[room] = m && m->deleted;
}

static void check_store(void) {
        uint8_t key[SHA256_SIZE];

        for (unsigned i = 0; i < N_ROOMS; i++) {
                directory_key_room(rooms[i], key);
                store->ops->rec_get(store, DIRECTORY_ROOM, key, on_kept, &i);
        }
}

static void step(Script *in) {
        static void (*const say[])(Script * in, Caller * c) = {
                say_publish, say_lookup, say_list, say_raw};
        uint8_t op = script_u8(in);
        Caller *c = &callers[(op >> 4) % N_PEOPLE];

        switch (op & 0x0f) {
        case 0:
                caller_connect(in, (op >> 4) % N_PEOPLE);
                break;
        case 1 ... 4:
                if (c->end.transport && c->n_asked < REQUESTS_MAX)
                        say[(op & 0x0f) - 1](in, c);
                break;
        case 5:
                if (c->end.transport && c->n_asked < REQUESTS_MAX) {
                        c->scripted = true;
                        script_alter(in, &c->end.out, c->end.out.begin);
                }
                break;
        case 6:
                raw_close(&c->end);
                break;
        case 7:
                c->deaf = op & 0x80;
                c->scripted |= c->deaf;
                break;
        case 8:
                if (n_restarts++ < RESTARTS_MAX) {
                        node_stop();
                        node_start();
                        check_store();
                }
                break;
        default:
                pass_time(script_time(in));
        }
}

static void check_end(void) {
        pass_time(GONE_TIME);
        for (unsigned i = 0; i < N_PEOPLE; i++) {
                Caller *c = &callers[i];

                for (size_t k = 0; k < c->n_asked && c->open && !c->scripted && !c->end.over &&
                        c->end.transport && !fuzz_failed();
                        k++)
                        MUST(c->asked[k] == 0);
                raw_close(&c->end);
        }
        pass_time(GONE_TIME + SEEN_DELAY);
        MUST(!node->clients && !node->people && !node->rooms && !node->seats && !node->leaving);
        MUST(node->n_seats == 0 && node->stats.rooms == 0 && !node->rooms_due);
        MUST(!node->rooms_held);
}

static void run_begin(Script *in) {
        if (!dir.path[0]) {
                log_set_level(LOG_ERR);
                store_dir_make(&dir, ".");
                make_people();
                MUST(loop_virtual_new(1, &loop) == 0 && net_new(loop, &net) == 0);
                node_start();
                node_stop();
                net = net_free(net);
                loop = loop_virtual_free(loop);
                store_image_take(&dir, &empty);
        }
        store_image_put(&dir, &empty);
        n_made = n_restarts = 0;
        memset(was_in, 0, sizeof(was_in));
        memset(deleted, 0, sizeof(deleted));
        MUST(loop_virtual_new(1, &loop) == 0 && net_new(loop, &net) == 0);
        node_start();
}

static void run_end(void) {
        check_end();
        check_store();
        node_stop();
        net = net_free(net);
        loop = loop_virtual_free(loop);
}

void fuzz_one(const uint8_t *data, size_t size) {
        script_run(data, size, run_begin, step, run_end);
}
