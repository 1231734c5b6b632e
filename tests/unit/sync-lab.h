/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* People with links and rooms: daemons but for what the user sees, on the simulated network. */

#include "crypto/hpke.h"
#include "rooms/sync.h"
#include "stack-lab.h"
#include "store/prekey.h"

#define MATES_MAX 8

typedef struct Mate {
        struct SyncLab *lab;
        Stack stack;
        Rooms *rooms;
        bool runs;
        uint32_t room;
        unsigned n_done;
        Code done; /* what became of joining */
        char text[320];
        unsigned n_typing, n_left, n_offers;
        Buffer left; /* the last notice that was left by mail */
        uint32_t next_id;
        Link *links[MATES_MAX];
        bool evil; /* what he hears goes to the test */
        void (*heard_fn)(struct Mate *m); /* after each frame, in its batch */
        unsigned heard[_ROOM_SYNC_MAX], n_entries; /* by op; of ROOM_ENTRIES */
        unsigned n_blocks; /* of CONTROL */
        Code refused; /* the last REFUSED */
        RoomState state; /* the last STATE */
} Mate;

typedef struct SyncLab {
        Sim sim;
        Mate mate[MATES_MAX];
        unsigned n;
        uint8_t id[ROOM_ID_SIZE];
        bool no_mail;
        bool lan; /* all who run are on one */
} SyncLab;

static _unused_ const uint8_t *mate_account(const Mate *m) {
        return person_account(&m->stack.who);
}

static Mate *lab_mate(SyncLab *lab, const uint8_t *account) {
        for (unsigned i = 0; i < lab->n; i++)
                if (key_equal(mate_account(&lab->mate[i]), account))
                        return &lab->mate[i];
        return NULL;
}

static _unused_ Room *mate_room(Mate *m) {
        Room *room = room_of(m->rooms, m->lab->id);

        CHECK(room);
        return room;
}

/* What rooms asks of the others */

static void mate_want_link(void *userdata, const uint8_t account[static KEY_SIZE], bool want) {
        Mate *m = userdata;

        (void)delivery_hold_link(m->stack.delivery, account, want);
}

static bool mate_is_online(void *userdata, const uint8_t account[static KEY_SIZE]) {
        Mate *m = userdata, *other = lab_mate(m->lab, account);

        return other && other->runs;
}

static int mate_leave_notice(void *userdata, const uint8_t account[static KEY_SIZE], Bytes notice) {
        Mate *m = userdata, *to = lab_mate(m->lab, account);

        m->n_left++;
        buffer_clear(&m->left);
        CHECK_OK(buffer_append(&m->left, notice.data, notice.size));
        if (to && to->runs && !m->lab->no_mail)
                rooms_notice(to->rooms, notice, m->stack.who.local.record);
        return 0;
}

static void mate_each_near(void *userdata, RoomsNearFn fn, void *fn_userdata) {
        Mate *m = userdata;

        for (unsigned i = 0; m->lab->lan && i < m->lab->n; i++) {
                const Mate *other = &m->lab->mate[i];

                if (other != m && other->runs && !fn(fn_userdata, mate_account(other)))
                        break;
        }
}

static void mate_on_typing(
        void *userdata, uint32_t room, const uint8_t account[static KEY_SIZE], bool on) {
        ((Mate *)userdata)->n_typing += on;
}

static const RoomsCallbacks mate_callbacks = {
        .want_link = mate_want_link,
        .is_online = mate_is_online,
        .leave_notice = mate_leave_notice,
        .typing = mate_on_typing,
        .each_near = mate_each_near,
};

/* What delivery asks of rooms */

static void mate_start(Stack *s) {
        Mate *m = s->mate;

        CHECK_OK(rooms_new(s->who.sim->loop, s->store, &s->self, &s->who.local, 1000,
                &mate_callbacks, m, &m->rooms));
        rooms_start(m->rooms);
        m->runs = true;
}

static void mate_stop(Stack *s) {
        Mate *m = s->mate;

        m->runs = false;
        m->rooms = rooms_free(m->rooms);
}

static void mate_link(Stack *s, Link *l, const uint8_t account[static KEY_SIZE], bool up) {
        Mate *m = s->mate;

        for (unsigned i = 0; i < m->lab->n; i++)
                if (key_equal(mate_account(&m->lab->mate[i]), account))
                        m->links[i] = l;
        if (!m->rooms)
                return;
        if (up)
                rooms_link_up(m->rooms, l);
        else
                rooms_link_down(m->rooms, account);
}

static int mate_hear(Mate *m, Frame *f) {
        RoomEntries *e = calloc(1, sizeof(*e));
        RoomSync *x = calloc(1, sizeof(*x));

        CHECK(e && x);
        if (f->type == FRAME_ROOM_ENTRIES) {
                CHECK_OK(room_entries_decode(f, e));
                m->n_entries += (unsigned)e->n_items;
        } else {
                CHECK_OK(room_sync_decode(f, x));
                m->heard[x->op]++;
                if (x->op == ROOM_SYNC_REFUSED)
                        m->refused = x->refused.code;
                if (x->op == ROOM_SYNC_STATE)
                        m->state = x->state;
                if (x->op == ROOM_SYNC_CONTROL)
                        m->n_blocks += (unsigned)x->objects.n_objects;
                if (x->op == ROOM_SYNC_OFFER)
                        m->n_offers += (unsigned)x->offer.n_rooms;
        }
        free(e);
        free(x);
        return 0;
}

static int mate_frame(Stack *s, Link *l, Frame *f) {
        Mate *m = s->mate;

        int r = m->evil ? mate_hear(m, f) : rooms_frame(m->rooms, l, f);

        if (m->heard_fn)
                m->heard_fn(m);
        return r;
}

static void mate_drained(Stack *s, Link *l) {
        rooms_drained(((Mate *)s->mate)->rooms, l);
}

static void mate_notice(Stack *s, Bytes notice, Bytes record) {
        rooms_notice(((Mate *)s->mate)->rooms, notice, record);
}

static const StackRooms mate_hooks = {
        .start = mate_start,
        .stop = mate_stop,
        .link = mate_link,
        .frame = mate_frame,
        .drained = mate_drained,
        .notice = mate_notice,
};

/* With a record that names a prekey, by which he is given room keys. */
static void mate_make_record(Mate *m) {
        Stack *s = &m->stack;
        uint8_t seed[HPKE_SEED_SIZE];
        PrekeyRow row = {
                .id = 1, .suite = MAIL_SUITE_HPKE, .made = loop_realtime(m->lab->sim.loop)};
        Record rec;

        loop_random(m->lab->sim.loop, seed, sizeof(seed));
        hpke_key_derive(seed, row.secret, row.public);
        CHECK_OK(prekey_put(s->store, &row));
        CHECK_OK(record_decode(buffer_bytes(&s->who.record), &rec));
        rec.prekeys[0] = (Prekey){.id = 1,
                .suite = MAIL_SUITE_HPKE,
                .key = {.data = row.public, .size = sizeof(row.public)}};
        rec.n_prekeys = 1;
        rec.seq++;
        rec.certificate = buffer_bytes(&s->who.certificate);
        buffer_clear(&s->self.record);
        CHECK_OK(record_encode(&rec, &s->who.account, &s->self.record));
        s->who.local.record = buffer_bytes(&s->self.record);
        CHECK_OK(store_commit(s->store));
}

static void mate_new(SyncLab *lab, const char *name, Mate *m) {
        char dir[] = "/tmp/p2pchat-test-XXXXXX";
        Person who;

        m->lab = lab;
        CHECK(mkdtemp(dir));
        person_new(&lab->sim, name, &who);
        stack_begin(&who, dir, &m->stack);
        m->stack.room_hooks = &mate_hooks;
        m->stack.mate = m;
        stack_start(&m->stack);
        mate_make_record(m);
}

/* All know where the others are, and nothing else of them. */
static _unused_ void lab_new(SyncLab *lab, unsigned n) {
        static const char *const names[MATES_MAX] = {
                "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"};

        *lab = (SyncLab){.n = n};
        sim_new(&lab->sim, 1);
        for (unsigned i = 0; i < n; i++)
                mate_new(lab, names[i], &lab->mate[i]);
        for (unsigned i = 0; i < n; i++)
                for (unsigned k = 0; k < n; k++)
                        if (i != k)
                                stack_knows(&lab->mate[i].stack, &lab->mate[k].stack.who,
                                        CONTACT_MEMBER);
}

static _unused_ void lab_free(SyncLab *lab) {
        for (unsigned i = 0; i < lab->n; i++) {
                Mate *m = &lab->mate[i];

                if (!m->runs) {
                        m->stack.room_hooks = NULL;
                        m->stack.store = NULL;
                }
                stack_free(&m->stack);
                buffer_done(&m->left);
        }
        sim_free(&lab->sim);
}

/* Doing */

static void mate_commit(Mate *m) {
        CHECK_OK(store_commit(m->stack.store));
}

static _unused_ void lab_create(SyncLab *lab, RoomAccess access) {
        RoomsCreate c = {
                .name = "kitchen", .access = access, .history = ROOM_HISTORY_ALL, .topic = "soup"};
        Mate *m = &lab->mate[0];
        RoomsError e = {};

        if (rooms_create(m->rooms, &c, &m->room, &e) < 0)
                test_fail(__FILE__, __LINE__, e.text);
        mate_commit(m);
        memcpy(lab->id, room_by_number(m->rooms, m->room)->row.id, ROOM_ID_SIZE);
}

static void mate_on_done(void *userdata, uint32_t room, Code code, const char *text) {
        Mate *m = userdata;

        m->n_done++;
        m->done = code;
        m->room = room;
        snprintf(m->text, sizeof(m->text), "%s", text);
}

static _unused_ void mate_ask(Mate *m, const Mate *by) {
        RoomsJoin j = {.id = m->lab->id, .name = "kitchen", .n_candidates = by ? 1 : 0};
        RoomsError e = {};

        if (by)
                j.candidates = (const uint8_t(*)[KEY_SIZE])mate_account(by);
        if (rooms_join(m->rooms, &j, mate_on_done, m, &e) < 0)
                test_fail(__FILE__, __LINE__, e.text);
        mate_commit(m);
}

static _unused_ void mate_join(Mate *m, const Mate *by) {
        unsigned n = m->n_done;

        mate_ask(m, by);
        SIM_UNTIL(&m->lab->sim, m->n_done == n + 1);
        if (m->done != CODE_OK)
                test_fail(__FILE__, __LINE__, m->text);
}

static _unused_ void lab_room_of(SyncLab *lab, RoomAccess access) {
        lab_create(lab, access);
        for (unsigned i = 1; i < lab->n; i++)
                mate_join(&lab->mate[i], &lab->mate[0]);
        sim_run(&lab->sim, 5 * USEC_PER_SEC);
}

static _unused_ void mate_says(Mate *m, const char *text) {
        RoomsMessage msg = {.text = text_bytes(text), .now = loop_realtime(m->lab->sim.loop)};
        uint8_t random[10];
        RoomsError e = {};

        loop_random(m->lab->sim.loop, random, sizeof(random));
        msg.id = uuid_make_v7(msg.now, random);
        if (rooms_send(m->rooms, m->room, &msg, &e) < 0)
                test_fail(__FILE__, __LINE__, e.text);
        mate_commit(m);
}

/* Rules of a room of hundreds hold for more than three. */
static _unused_ void lab_large(SyncLab *lab) {
        for (unsigned i = 0; i < lab->n; i++) {
                Mate *m = &lab->mate[i];

                if (!m->runs)
                        continue;
                m->rooms->sync->mesh_max = 3;
                m->rooms->sync->gossip_links = 2;
                m->rooms->sync->gossip_eager = 1;
        }
}

static _unused_ void mate_goes(Mate *m) {
        stack_stop(&m->stack);
}

static _unused_ void mate_comes(Mate *m) {
        stack_start(&m->stack);
}

/* Neither reaches the other from now on, or again. */
static _unused_ void mates_part(Mate *a, Mate *b, bool apart) {
        Mate *both[] = {a, b};

        for (unsigned i = 0; i < 2; i++) {
                const uint8_t *other = mate_account(both[1 - i]);

                CHECK(contact_set_flags(both[i]->stack.store, other, apart ? CONTACT_BLOCKED : 0,
                              apart ? 0 : CONTACT_BLOCKED) >= 0);
                mate_commit(both[i]);
                if (apart)
                        delivery_block(both[i]->stack.delivery, other);
                else
                        delivery_wake(both[i]->stack.delivery, other);
        }
}

/* Seeing */

typedef struct Digest {
        uint8_t bytes[SHA256_SIZE], roster[SHA256_SIZE];
        uint64_t n, epoch;
        RoomRow row;
} Digest;

static _unused_ Digest mate_digest(Mate *m) {
        Digest d = {.row = mate_room(m)->row};
        DbTxn *txn;

        CHECK_OK(store_read_begin(m->stack.store, &txn));
        CHECK_OK(store_digest(txn, m->room, d.bytes, &d.n));
        store_read_end(txn);
        roster_digest(mate_room(m)->roster, true, d.roster);
        d.epoch = roster_head(mate_room(m)->roster)->epoch;
        return d;
}

static _unused_ bool mates_are_level(Mate *a, Mate *b) {
        Digest x = mate_digest(a), y = mate_digest(b);

        return x.epoch == y.epoch && x.n == y.n && memcmp(x.roster, y.roster, SHA256_SIZE) == 0 &&
                memcmp(x.bytes, y.bytes, SHA256_SIZE) == 0 &&
                memcmp(x.row.feeds_digest, y.row.feeds_digest, SHA256_SIZE) == 0 &&
                memcmp(x.row.proposals_digest, y.row.proposals_digest, SHA256_SIZE) == 0 &&
                memcmp(x.row.forks_digest, y.row.forks_digest, SHA256_SIZE) == 0;
}

/* All who run. */
static _unused_ bool lab_is_level(SyncLab *lab) {
        Mate *first = NULL;

        for (unsigned i = 0; i < lab->n; i++) {
                Mate *m = &lab->mate[i];

                if (!m->runs)
                        continue;
                if (first && !mates_are_level(first, m))
                        return false;
                first = first ?: m;
        }
        return true;
}

static _unused_ uint64_t mate_count(Mate *m) {
        return mate_digest(m).n;
}

/* Texts that can be read. */
static bool count_text(void *userdata, DbTxn *txn, const HistoryRow *row) {
        _cleanup_(buffer_done) Buffer plain = BUFFER_NULL;
        Mate *m = userdata;

        m->next_id += rooms_read_text(m->rooms, txn, m->room, &row->inner, &plain) > 0;
        return true;
}

static _unused_ unsigned mate_count_readable(Mate *m) {
        HistoryPage page = {.conversation = m->room, .limit = 1000};
        bool more;
        DbTxn *txn;

        m->next_id = 0;
        CHECK_OK(store_read_begin(m->stack.store, &txn));
        CHECK_OK(history_read(txn, &page, count_text, m, &more));
        store_read_end(txn);
        return m->next_id;
}
