/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The people of fuzz-link.c, what they write, and what of it the user must have. */

#include "stateful.h"
#include "store-dir.h"

#include "../unit/stack-lab.h"

enum {
        ALICE, /* a contact */
        ALICE_NEWER, /* the same on another device */
        CAROL, /* a stranger */
        _PEOPLE_MAX,
};

#define CONNECTIONS 2
#define SAID_MAX 1000
#define OWN_MAX 100

/* What takes long is done so often in a run, at most. */
#define COSTLY_MAX 6
#define BIG_BODY 60000

/* An entry that somebody has written. */
typedef struct Said {
        const Person *author;
        Uuid id;
        uint64_t epoch, seq;
        uint8_t hash[SHA256_SIZE];
        Buffer bytes;
        bool proven; /* it was sent, and a signature that covers it */
        bool acked, shown;
} Said;

/* A message of the user's. */
typedef struct Own {
        Uuid id;
        uint32_t feed;
        uint64_t seq;
        unsigned to;
        bool received_for, read_for; /* somebody has signed for it */
        bool refused; /* for good, or taken back */
        usec_t expires;
        bool ended;
        uint8_t hash[SHA256_SIZE]; /* as it came over a link */
        bool came;
} Own;

typedef struct Connection {
        RawEnd end;
        const Person *who;
        bool scripted; /* nobody can tell what it has sent */
        bool heard_bye;
        Said *unsigned_said[SAID_MAX]; /* sent since the last signature */
        size_t n_unsigned;
} Connection;

static Sim sim;
static Person people[_PEOPLE_MAX];
static Stack bob;
static StoreDir dir;
static StoreImage begin, killed;
static unsigned n_costly;
static bool said_many;

static Connection connections[CONNECTIONS];
static Said said[SAID_MAX];
static size_t n_said;
static struct {
        uint64_t seq;
        uint8_t hash[SHA256_SIZE];
} heads[_PEOPLE_MAX];
static Own own[OWN_MAX];
static size_t n_own;

static unsigned number_of(const Person *p) {
        return (unsigned)(p - people);
}

/* What the user sees */

static Said *find_said_hash(const uint8_t *hash) {
        for (size_t i = 0; i < n_said; i++)
                if (memcmp(said[i].hash, hash, SHA256_SIZE) == 0)
                        return &said[i];
        return NULL;
}

static Own *find_own(const Uuid *id) {
        for (size_t i = 0; i < n_own; i++)
                if (uuid_equal(&own[i].id, id))
                        return &own[i];
        return NULL;
}

/* An entry of that account under that id. */
static bool is_shown(const Uuid *shown, const Person *author) {
        for (size_t i = 0; i < n_said; i++)
                if (said[i].shown && uuid_equal(&said[i].id, shown) &&
                        key_equal(person_account(said[i].author), person_account(author)))
                        return true;
        return false;
}

static Said *find_shown(const Uuid *id) {
        for (size_t i = 0; i < n_said; i++)
                if (said[i].shown && uuid_equal(&said[i].id, id))
                        return &said[i];
        return NULL;
}

static bool on_event(void *userdata, DbTxn *txn, const EventRow *e) {
        uint8_t hash[SHA256_SIZE];
        HistoryRow row;
        Said *s;
        Own *o;

        if (e->kind == EVENT_RECEIVED) {
                MUST(history_get(txn, e->feed, e->seq, &row) == 1);
                sha256(row.entry.inner.data, row.entry.inner.size, hash);
                s = find_said_hash(hash);
                MUST(s && s->proven && !is_shown(&s->id, s->author));
                s->shown = true;
                return true;
        }
        o = find_own(&e->id);
        if (!o && e->kind == EVENT_STATE && e->state == MESSAGE_READ) {
                MUST(find_shown(&e->id));
                return true;
        }
        if (e->kind == EVENT_REQUEST)
                return true; /* once more what has come */
        MUST(e->kind == EVENT_STATE && o && o->feed == e->feed && o->seq == e->seq);
        if (e->state == MESSAGE_DELIVERED)
                MUST(o->received_for);
        else if (e->state == MESSAGE_READ)
                MUST(o->read_for && o->ended);
        else if (e->state == MESSAGE_FAILED)
                MUST(o->refused);
        else
                MUST(e->state == MESSAGE_EXPIRED &&
                        (o->refused || o->expires <= loop_realtime(sim.loop)));
        o->ended = true;
        return true;
}

static void on_events(void *userdata, int error) {
        FUZZ_OWN_MEMORY;
        DbTxn *txn;

        if (error >= 0) {
                MUST(store_read_begin(bob.store, &txn) == 0);
                MUST(event_each(txn, bob.told, on_event, NULL) == 0);
                store_read_end(txn);
        }
        stack_on_events(&bob, error);
}

/* People and what they write */

static void make_bob(void) {
        Person who;

        person_new(&sim, "bob", &who);
        stack_begin(&who, dir.path, &bob);
        stack_start(&bob);
        stack_knows(&bob, &people[ALICE], CONTACT_PINNED);
        stack_stop(&bob);
        store_image_take(&dir, &begin);
}

static void make_world(void) {
        sim_new(&sim, 1);
        store_dir_make(&dir, "db");
        person_new(&sim, "alice", &people[ALICE]);
        person_on_device(&people[ALICE], 2, &people[ALICE_NEWER]);
        person_new(&sim, "carol", &people[CAROL]);
        make_bob();
        sim_free(&sim);
}

static const Person *script_person(Script *in, const Person *usual) {
        uint8_t b = script_u8(in);

        return b < 0xe0 ? usual : &people[b % _PEOPLE_MAX];
}

/* The next entry of the author's feed; each bit of HOW changes a field of it. */
static Inner script_inner(Script *in, const Person *author) {
        static uint8_t big[BIG_BODY];
        uint8_t how = script_u8(in), more = how & 0x80 ? script_u8(in) : 0;
        usec_t now = loop_realtime(sim.loop);
        unsigned number = number_of(author);
        Inner m = {.epoch = author->epoch,
                .seq = heads[number].seq + 1,
                .hlc = now / USEC_PER_MSEC << 16,
                .sent = now,
                .expires = now + USEC_PER_DAY,
                .kind = KIND_TEXT,
                .body = text_bytes("hello")};

        m.id.bytes[0] = (uint8_t)(n_said + 1);
        m.id.bytes[1] = (uint8_t)((n_said + 1) >> 8);
        m.id.bytes[2] = (uint8_t)number;
        memcpy(m.prev, heads[number].hash, SHA256_SIZE);
        if (how & 1)
                m.seq = script_number(in);
        if (how & 2)
                memset(m.prev, script_u8(in), SHA256_SIZE);
        if (how & 4 && n_said > 0)
                m.id = said[script_u8(in) % n_said].id;
        if (how & 8)
                m.body = script_bytes(in);
        if (how & 16)
                m.expires = now + script_time(in);
        if (how & 32)
                m.hlc += script_number(in) << 16;
        if (how & 64)
                m.kind = script_u8(in);
        if (more & 1)
                m.epoch = script_u8(in) & 3;
        if (more & 2)
                author = script_person(in, author);
        if (more & 4 && n_costly++ < COSTLY_MAX) {
                memset(big, 'x', sizeof(big));
                m.body = (Bytes){.data = big, .size = sizeof(big)};
        }
        memcpy(m.account, person_account(author), KEY_SIZE);
        memcpy(m.device, sign_key_public(&author->device), KEY_SIZE);
        conversation_direct(
                person_account(author), sign_key_public(&bob.self.account), m.conversation);
        if (more & 8)
                m.conversation[0] ^= 1;
        if (more & 16)
                m.sent += script_time(in);
        if (more & 32) { /* its time is over */
                m.sent -= USEC_PER_HOUR;
                m.expires = now - USEC_PER_MINUTE;
        }
        if (more & 64) { /* it was under way for long */
                m.sent -= USEC_PER_HOUR;
                m.hlc -= USEC_PER_HOUR / USEC_PER_MSEC << 16;
        }
        m.seq = CLAMP(m.seq, UINT64_C(1), SEQ_MAX);
        m.expires = CLAMP(m.expires, m.sent, m.sent + MESSAGE_LIFETIME_MAX);
        return m;
}

/* NULL where it cannot be written. */
static Said *script_entry(Script *in, const Person *author) {
        Inner m = script_inner(in, author);
        Said *s = &said[n_said];

        buffer_clear(&s->bytes);
        if (inner_encode(&s->bytes, &m) < 0)
                return NULL;
        n_said++;
        *s = (Said){
                .author = author, .id = m.id, .epoch = m.epoch, .seq = m.seq, .bytes = s->bytes};
        sha256(buffer_data(&s->bytes), buffer_size(&s->bytes), s->hash);
        heads[number_of(author)].seq = m.seq;
        memcpy(heads[number_of(author)].hash, s->hash, SHA256_SIZE);
        return s;
}

/* What is on disk */

/* A store that has run out of memory is opened again, at most once a second. */
static DbTxn *look(void) {
        DbTxn *txn;

        if (store_read_begin(bob.store, &txn) < 0) {
                MUST(fuzz_failed());
                loop_virtual_stall(sim.loop, USEC_PER_SEC);
                MUST(store_read_begin(bob.store, &txn) == 0);
        }
        return txn;
}

/* The entry is on disk, or its id is: it came before, perhaps under another number. */
static bool is_kept(const Said *s) {
        DbTxn *txn = look();
        uint32_t feed;
        uint64_t seq;
        Contact c;
        bool kept;

        kept = contact_get(txn, person_account(s->author), &c) == 1 &&
                store_find_id(txn, c.number, &s->id, &feed, &seq) == 1;
        store_read_end(txn);
        return kept;
}

static void check_store(void) {
        unsigned waiting = 0;
        DbTxn *txn;

        for (size_t k = 0; k < n_said; k++)
                MUST(!(said[k].acked || said[k].shown) || is_kept(&said[k]));
        for (size_t i = 0; i < n_own; i++)
                waiting += !own[i].ended;
        txn = look();
        MUST(outbox_count(txn) == waiting);
        store_read_end(txn);
}
