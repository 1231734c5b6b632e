/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * People with stores and the local state of rooms, and no links: what one has the other is given by
 * hand, in the order in which rooms/ would send it.
 */

#include "sim-lab.h"

#include <ftw.h>
#include <unistd.h>

#include "crypto/hpke.h"
#include "rooms/state.h"
#include "store/prekey.h"
#include "util/fs.h"
#include "wire/mail.h"

#define MATES_MAX 6

typedef struct Mate {
        struct RoomsLab *lab;
        Person who;
        Identity self;
        char dir[64];
        Store *store;
        Rooms *rooms;
        Room *room; /* of the lab; NULL: not begun here */
        unsigned n_changed, what; /* by the hooks */
        unsigned n_notices;
        RoomNoticeKind notice;
        int settled;
        uint32_t next_id;
} Mate;

typedef struct RoomsLab {
        Sim sim;
        Mate mate[MATES_MAX];
        unsigned n;
        uint8_t id[ROOM_ID_SIZE]; /* of the room */
        bool deaf; /* entries are not handed on */
} RoomsLab;

static _unused_ const uint8_t *mate_account(const Mate *m) {
        return person_account(&m->who);
}

static _unused_ DbTxn *mate_txn(const Mate *m) {
        return store_write(m->store);
}

static Mate *mate_of(const Rooms *r) {
        return r->userdata;
}

static void lab_on_changed(Rooms *r, Room *room, unsigned what) {
        mate_of(r)->n_changed++;
        mate_of(r)->what |= what;
}

static void lab_on_settled(Rooms *r, int error) {
        mate_of(r)->settled = error;
}

static void lab_on_notify(Rooms *r, Room *room, const uint8_t account[static KEY_SIZE],
        RoomNoticeKind kind, Bytes proof) {
        mate_of(r)->n_notices++;
        mate_of(r)->notice = kind;
        CHECK(proof.size > 0);
}

static const RoomsHooks lab_hooks = {
        .changed = lab_on_changed, .settled = lab_on_settled, .notify = lab_on_notify};

/* The record names a prekey whose secret half is in the store. */
static void mate_make_record(Mate *m) {
        uint8_t seed[HPKE_SEED_SIZE];
        PrekeyRow row = {
                .id = 1, .suite = MAIL_SUITE_HPKE, .made = loop_realtime(m->lab->sim.loop)};
        Prekey prekey = {.id = 1, .suite = MAIL_SUITE_HPKE};
        Record rec;

        loop_random(m->lab->sim.loop, seed, sizeof(seed));
        hpke_key_derive(seed, row.secret, row.public);
        CHECK_OK(prekey_put(m->store, &row));
        CHECK_OK(record_decode(buffer_bytes(&m->who.record), &rec));
        prekey.key = (Bytes){.data = row.public, .size = sizeof(row.public)};
        rec.prekeys[0] = prekey;
        rec.n_prekeys = 1;
        rec.seq++;
        buffer_clear(&m->self.record);
        CHECK_OK(record_encode(&rec, &m->who.account, &m->self.record));
}

static void mate_open(Mate *m) {
        CHECK_OK(store_open(m->dir, m->lab->sim.loop, &m->store));
        CHECK_OK(rooms_open(
                m->lab->sim.loop, m->store, &m->self, &m->who.local, 1000, NULL, m, &m->rooms));
        m->rooms->hooks = &lab_hooks;
        rooms_begin(m->rooms);
        m->room = room_of(m->rooms, m->lab->id);
}

static void mate_close(Mate *m) {
        m->rooms = rooms_close(m->rooms);
        m->store = store_close(m->store);
        m->room = NULL;
}

static _unused_ void mate_restart(Mate *m) {
        mate_close(m);
        mate_open(m);
}

static void mate_start(RoomsLab *lab, Mate *m) {
        m->lab = lab;
        snprintf(m->dir, sizeof(m->dir), "/tmp/p2pchat-test-XXXXXX");
        CHECK(mkdtemp(m->dir));
        m->self = (Identity){.account = m->who.account,
                .device = m->who.device,
                .epoch = m->who.epoch,
                .logged_in = true};
        CHECK_OK(buffer_append(&m->self.certificate, buffer_data(&m->who.certificate),
                buffer_size(&m->who.certificate)));
        mate_open(m);
        mate_make_record(m);
        CHECK_OK(store_commit(m->store));
}

static int lab_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static _unused_ void lab_new(RoomsLab *lab, uint64_t seed, unsigned n) {
        static const char *const names[MATES_MAX] = {
                "alice", "bob", "carol", "dave", "erin", "frank"};

        *lab = (RoomsLab){.n = n};
        sim_new(&lab->sim, seed);
        for (unsigned i = 0; i < n; i++) {
                person_new(&lab->sim, names[i], &lab->mate[i].who);
                mate_start(lab, &lab->mate[i]);
        }
}

static void mate_free(Mate *m) {
        mate_close(m);
        buffer_done(&m->self.certificate);
        buffer_done(&m->self.record);
        person_done(&m->who);
        CHECK_OK(nftw(m->dir, lab_remove, 8, FTW_DEPTH | FTW_PHYS));
}

static _unused_ void lab_free(RoomsLab *lab) {
        for (unsigned i = 0; i < lab->n; i++)
                mate_free(&lab->mate[i]);
        sim_free(&lab->sim);
}

static void lab_commit(Mate *m) {
        CHECK_OK(store_commit(m->store));
}

/* Long enough for the owner to settle what is pending. */
static _unused_ void lab_pause(RoomsLab *lab) {
        sim_run(&lab->sim, USEC_PER_SEC);
}

/* Doing */

static _unused_ int lab_create(
        RoomsLab *lab, RoomAccess access, RoomHistory history, RoomsError *e) {
        RoomsCreate c = {.name = "kitchen", .access = access, .history = history, .topic = "soup"};
        Mate *m = &lab->mate[0];
        uint32_t number;
        int r;

        r = rooms_create(m->rooms, &c, &number, e);
        if (r < 0)
                return r;
        lab_commit(m);
        m->room = room_by_number(m->rooms, number);
        CHECK(m->room);
        memcpy(lab->id, m->room->row.id, ROOM_ID_SIZE);
        return 0;
}

static Uuid mate_uuid(Mate *m, uint32_t n) {
        Uuid u = {.bytes = {1, 0x9b, 0, 0, 0, 0, 0x70, 0, 0x80}};

        u.bytes[10] = mate_account(m)[0];
        u.bytes[11] = mate_account(m)[1];
        u.bytes[12] = (uint8_t)(n >> 24);
        u.bytes[13] = (uint8_t)(n >> 16);
        u.bytes[14] = (uint8_t)(n >> 8);
        u.bytes[15] = (uint8_t)n;
        return u;
}

static _unused_ int mate_say(Mate *m, const char *text, RoomsError *e) {
        RoomsMessage msg = {.id = mate_uuid(m, ++m->next_id),
                .text = text_bytes(text),
                .now = loop_realtime(m->lab->sim.loop)};
        int r;

        r = rooms_send(m->rooms, m->room->row.number, &msg, e);
        CHECK_OK(store_commit(m->store));
        return r;
}

static _unused_ void mate_says(Mate *m, const char *text) {
        RoomsError e = {};

        if (mate_say(m, text, &e) < 0)
                test_fail(__FILE__, __LINE__, e.text);
}

/* Handing over: lists of copies, as what is read is gone at the next write. */

typedef struct Thing {
        Buffer outer, certificate, signature;
        bool block;
        struct Thing *prev, *next;
} Thing;

static void things_free(Thing *list) {
        Thing *t, *next;

        DL_FOREACH_SAFE (list, t, next) {
                buffer_done(&t->outer);
                buffer_done(&t->certificate);
                buffer_done(&t->signature);
                free(t);
        }
}

static Thing *thing_new(Bytes outer, Bytes certificate) {
        Thing *t = calloc(1, sizeof(*t));

        CHECK(t);
        CHECK_OK(buffer_append(&t->outer, outer.data, outer.size));
        CHECK_OK(buffer_append(&t->certificate, certificate.data, certificate.size));
        return t;
}

static int thing_given(void *userdata, const RoomGiven *g) {
        Thing **list = userdata, *t = thing_new(g->outer, g->certificate);

        t->block = g->kind == ROOM_GIVEN_BLOCK;
        DL_APPEND(*list, t);
        return 0;
}

static int thing_supplied(
        void *userdata, uint64_t seq, Bytes inner, Bytes signature, Bytes certificate) {
        Thing **list = userdata, *t = thing_new(inner, certificate);

        CHECK_OK(buffer_append(&t->signature, signature.data, signature.size));
        DL_APPEND(*list, t);
        return 0;
}

static int thing_proof(void *userdata, Bytes proof) {
        Thing **list = userdata, *t = thing_new(proof, (Bytes){});

        DL_APPEND(*list, t);
        return 0;
}

static _unused_ int mate_take_thing(Mate *to, const Thing *t, RoomReason *why) {
        Bytes certificate = buffer_bytes(&t->certificate);
        RoomCertificates c = {.list = &certificate, .n = 1};
        int r;

        r = t->block ? room_take_block(to->room, buffer_bytes(&t->outer), &c, why)
                     : room_take_proposal(to->room, buffer_bytes(&t->outer), &c, why);
        CHECK(r >= 0 && r != TAKEN_BAD);
        return r;
}

static void give_control(Mate *from, Mate *to) {
        uint8_t hash[SHA256_SIZE];
        uint64_t epoch = room_head(to->room, hash);
        Thing *list = NULL, *t;

        if (room_has_head(from->room, mate_txn(from), epoch, hash) <= 0)
                epoch = 0;
        CHECK_OK(room_blocks_each(from->room, mate_txn(from), epoch, thing_given, &list));
        CHECK_OK(room_proposals_each(from->room, mate_txn(from), thing_given, &list));
        CHECK_OK(room_owner_fork_each(from->room, mate_txn(from), thing_given, &list));
        DL_FOREACH (list, t) {
                RoomReason why = {};

                (void)mate_take_thing(to, t, &why);
        }
        things_free(list);
}

static void give_records(Mate *from, Mate *to) {
        uint8_t accounts[MATES_MAX][KEY_SIZE];
        _cleanup_(buffer_done) Buffer copy = BUFFER_NULL;
        RoomReason why;
        size_t n;

        CHECK_OK(room_records_missing(to->room, mate_txn(to), accounts, MATES_MAX, &n));
        for (size_t i = 0; i < n; i++) {
                Bytes record;

                if (room_record_of(from->room, mate_txn(from), accounts[i], &record) <= 0)
                        continue;
                buffer_clear(&copy);
                CHECK_OK(buffer_append(&copy, record.data, record.size));
                CHECK_EQ(room_take_record(to->room, buffer_bytes(&copy), &why), TAKEN);
        }
}

static void give_keys(Mate *from, Mate *to) {
        uint64_t epochs[64];
        RoomReason why;
        size_t n;

        CHECK_OK(room_keys_missing(to->room, mate_txn(to), epochs, 64, &n));
        for (size_t i = 0; i < n; i++) {
                _cleanup_(buffer_done) Buffer wrap = BUFFER_NULL;

                if (room_make_wrap(from->room, mate_txn(from), mate_account(to), epochs[i], &wrap) >
                        0)
                        CHECK_EQ(room_take_wrap(to->room, buffer_bytes(&wrap), &why), TAKEN);
        }
}

static void give_forks(Mate *from, Mate *to) {
        Thing *list = NULL, *t;
        RoomReason why;

        CHECK_OK(room_forks_each(from->room, mate_txn(from), thing_proof, &list));
        DL_FOREACH (list, t)
                CHECK(room_take_fork(to->room, buffer_bytes(&t->outer), &why) != TAKEN_BAD);
        things_free(list);
}

typedef struct FeedsSeen {
        RoomFeed list[64];
        size_t n;
} FeedsSeen;

static bool see_feed(void *userdata, DbTxn *txn, const RoomFeed *f) {
        FeedsSeen *s = userdata;

        CHECK(s->n < ELEMENTSOF(s->list));
        s->list[s->n++] = *f;
        return true;
}

static _unused_ FeedsSeen mate_feeds(Mate *m) {
        FeedsSeen s = {};

        CHECK_OK(room_feed_each(mate_txn(m), m->room->row.number, 0, see_feed, &s));
        return s;
}

/* Entries after AFTER; where the chain turns out to be another one, one before, and so on. */
static int give_feed(Mate *from, Mate *to, const RoomFeed *f, uint64_t after) {
        Thing *list = NULL, *t;
        uint8_t a[SHA256_SIZE], b[SHA256_SIZE];
        int r = TAKEN_AGAIN;
        bool level = room_head(from->room, a) == room_head(to->room, b) &&
                memcmp(a, b, SHA256_SIZE) == 0;

        CHECK_OK(room_entries_each(
                from->room, mate_txn(from), f->feed.number, after, thing_supplied, &list));
        DL_FOREACH (list, t) {
                const RoomEntryIn in = {.inner = buffer_bytes(&t->outer),
                        .signature = buffer_bytes(&t->signature),
                        .certificate = buffer_bytes(&t->certificate),
                        .level = level};
                RoomEntryAt at;
                RoomReason why = {};

                r = room_take_entry(to->room, &in, &at, &why);
                CHECK(r >= 0 && r != TAKEN_BAD);
                if (r == TAKEN_STALE || r == TAKEN_FORK)
                        break;
        }
        things_free(list);
        return r;
}

static void give_entries(Mate *from, Mate *to) {
        FeedsSeen s = mate_feeds(from);

        for (size_t i = 0; i < s.n; i++) {
                RoomFeed held = {};
                uint64_t after = 0;

                if (room_feed_find_tag(mate_txn(to), to->room->row.number, s.list[i].tag, &held) >
                        0)
                        after = held.feed.seq;
                if (held.feed.seq == s.list[i].feed.seq && after > 0 &&
                        memcmp(held.feed.hash, s.list[i].feed.hash, SHA256_SIZE) != 0)
                        after--;
                while (give_feed(from, to, &s.list[i], after) == TAKEN_STALE && after > 0)
                        after--;
        }
}

/* TO tells what it has of FROM's feeds. */
static void give_marks(Mate *from, Mate *to) {
        FeedsSeen s = mate_feeds(to);

        for (size_t i = 0; i < s.n; i++) {
                const RoomFeed *f = &s.list[i];
                RoomFeed own;
                uint64_t read;

                if (f->feed.seq == 0 ||
                        room_feed_find_tag(mate_txn(from), from->room->row.number, f->tag, &own) <=
                                0)
                        continue;
                CHECK_OK(room_read_position(to->room, mate_txn(to), f, &read));
                CHECK(room_note_mark(from->room, mate_account(to), &own, f->feed.seq,
                              (Bytes){.data = f->feed.hash, .size = 8}, read) >= 0);
        }
}

/* All that FROM has and TO can use. */
static _unused_ void give(Mate *from, Mate *to) {
        if (!from->room || !to->room)
                return;
        give_control(from, to);
        give_records(from, to);
        give_forks(from, to);
        if (!from->lab->deaf)
                give_entries(from, to);
        give_keys(from, to);
        give_marks(from, to);
        lab_commit(from);
        lab_commit(to);
}

/* Everybody with everybody, until that changes nothing any more. */
static _unused_ void lab_level(RoomsLab *lab) {
        for (unsigned round = 0; round < 6; round++) {
                lab_pause(lab);
                for (unsigned i = 0; i < lab->n; i++)
                        for (unsigned k = 0; k < lab->n; k++)
                                if (i != k)
                                        give(&lab->mate[i], &lab->mate[k]);
        }
}

/* M asks BY to let him in. */
static _unused_ int mate_ask(Mate *m, Mate *by, RoomReason *why) {
        FeedHead heads[ROOM_HEADS_MAX];
        size_t n;
        int r;

        CHECK_OK(room_begin(m->rooms, m->lab->id, "kitchen", ROOM_JOINING, 0, &m->room));
        CHECK_OK(room_own_heads(m->room, mate_txn(m), heads, &n));
        lab_commit(m);
        r = room_admit(by->room, mate_account(m), m->who.name, heads, n, why);
        CHECK(r >= 0);
        lab_commit(by);
        return r;
}

static _unused_ void mate_join(Mate *m, Mate *by) {
        RoomReason why = {};

        if (mate_ask(m, by, &why) == TAKEN_REFUSED)
                test_fail(__FILE__, __LINE__, why.text);
        give(by, m);
        give(m, by);
        give(by, m);
        CHECK_EQ(m->room->row.status, ROOM_JOINED);
}

/* A second store of the same person on the same device, as after a restored backup. */
static _unused_ void lab_clone(RoomsLab *lab, unsigned from, unsigned to, bool other_device) {
        Mate *a = &lab->mate[from], *b = &lab->mate[to];
        Person who = a->who;
        PrekeyRow row;

        mate_free(b);
        *b = (Mate){};
        person_on_device(&who, who.epoch + other_device, &b->who);
        if (!other_device) {
                b->who.device = a->who.device;
                person_sign(&b->who, IDENTITY_LIFETIME);
        }
        mate_start(lab, b);
        CHECK_EQ(prekey_get(mate_txn(a), 1, &row), 1);
        CHECK_OK(prekey_put(b->store, &row));
        lab_commit(b);
}

/* N brings its state to what the owner has, as the same member on another store. */
static _unused_ void clone_joins(Mate *clone, Mate *by) {
        CHECK_OK(
                room_begin(clone->rooms, clone->lab->id, "kitchen", ROOM_JOINING, 0, &clone->room));
        lab_commit(clone);
        give(by, clone);
        give(by, clone);
        CHECK_EQ(clone->room->row.status, ROOM_JOINED);
}

/* Seeing */

typedef struct Text {
        Mate *mate;
        char text[512]; /* all messages, "a|b|" */
        unsigned n;
} Text;

static bool text_add(void *userdata, DbTxn *txn, const HistoryRow *row) {
        Text *t = userdata;
        _cleanup_(buffer_done) Buffer plain = BUFFER_NULL;
        size_t at = strlen(t->text);
        int r;

        r = rooms_read_text(t->mate->rooms, txn, t->mate->room->row.number, &row->inner, &plain);
        if (r > 0)
                snprintf(t->text + at, sizeof(t->text) - at, "%.*s|", (int)buffer_size(&plain),
                        (const char *)buffer_data(&plain));
        else
                snprintf(t->text + at, sizeof(t->text) - at, "?|");
        t->n++;
        return true;
}

static _unused_ const char *mate_reads(Mate *m) {
        static Text t;
        HistoryPage page = {.conversation = m->room->row.number, .limit = 1000};
        bool more;
        DbTxn *txn;

        t = (Text){.mate = m};
        CHECK_OK(store_read_begin(m->store, &txn));
        CHECK_OK(history_read(txn, &page, text_add, &t, &more));
        store_read_end(txn);
        return t.text;
}

typedef struct Digest {
        uint8_t bytes[SHA256_SIZE];
        uint64_t n;
        uint8_t roster[SHA256_SIZE];
        uint64_t epoch;
} Digest;

static _unused_ Digest mate_digest(Mate *m) {
        Digest d = {};
        DbTxn *txn;

        CHECK_OK(store_read_begin(m->store, &txn));
        CHECK_OK(store_digest(txn, m->room->row.number, d.bytes, &d.n));
        store_read_end(txn);
        roster_digest(m->room->roster, true, d.roster);
        d.epoch = roster_head(m->room->roster)->epoch;
        return d;
}

/* Both show the same, and would find nothing to tell each other. */
static _unused_ void check_level(Mate *a, Mate *b) {
        Digest x = mate_digest(a), y = mate_digest(b);

        CHECK_EQ(x.epoch, y.epoch);
        CHECK(memcmp(x.roster, y.roster, SHA256_SIZE) == 0);
        CHECK_EQ(x.n, y.n);
        CHECK(memcmp(x.bytes, y.bytes, SHA256_SIZE) == 0);
        CHECK(memcmp(a->room->row.feeds_digest, b->room->row.feeds_digest, SHA256_SIZE) == 0);
        CHECK(memcmp(a->room->row.proposals_digest, b->room->row.proposals_digest, SHA256_SIZE) ==
                0);
        CHECK(memcmp(a->room->row.forks_digest, b->room->row.forks_digest, SHA256_SIZE) == 0);
}
