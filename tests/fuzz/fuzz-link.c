/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What is said on open links: a user's store and delivery, and two connections at a time of people
 * who send entries, acknowledgements, receipts and void statements in any order, most of them
 * signed as they should be. The user writes, takes back, is restarted and killed. What must hold:
 * nothing is shown that was not signed for, nothing twice, and nothing is acknowledged that is not
 * on disk and stays there; a message counts as delivered by a receipt alone, and waits in the
 * outbox until then.
 */

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
        bool received_for; /* somebody has signed for it */
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
        MUST(e->kind == EVENT_STATE && o && o->feed == e->feed && o->seq == e->seq);
        if (e->state == MESSAGE_DELIVERED)
                MUST(o->received_for);
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

static void send_entry(Script *in, Connection *c, Said *s) {
        uint8_t how = script_u8(in), signature[SIGNATURE_SIZE];
        const Person *signer = how & 2 ? script_person(in, s->author) : c->who;
        const Person *certified = how & 4 ? script_person(in, s->author) : c->who;
        MessageFrame f = {.inner = buffer_bytes(&s->bytes)};

        if (how & 4)
                f.certificate = certified->local.certificate;
        c->unsigned_said[c->n_unsigned++ % SAID_MAX] = s;
        if (!(how & 1)) {
                MUST(entry_sign(&signer->device, s->hash, signature) == 0);
                f.signature = (Bytes){.data = signature, .size = SIGNATURE_SIZE};
                for (size_t i = 0; i < MIN(c->n_unsigned, (size_t)SAID_MAX); i++)
                        c->unsigned_said[i]->proven |= signer == certified;
                c->n_unsigned = 0;
        }
        MUST(message_encode(&c->end.out, &f) == 0);
}

static void say_message(Script *in, Connection *c) {
        const Person *author = script_person(in, c->who);
        Said *s = n_said < SAID_MAX ? script_entry(in, author) : NULL;

        if (s)
                send_entry(in, c, s);
}

/* Once in a run: enough for more ranges than a receipt names, or for more than a stranger may
 * leave. Where there is a hole before each, each is signed. */
static void say_many(Script *in, Connection *c) {
        uint8_t how = script_u8(in), no_signature = 1;
        bool holes = how & 1;

        for (unsigned i = 0; !said_many && i < 8U * (how >> 1) && n_said < SAID_MAX; i++) {
                bool burst = !holes && i % BURST_ENTRIES_MAX < BURST_ENTRIES_MAX - 1;
                Said *s;

                heads[number_of(c->who)].seq += holes;
                s = script_entry(&(Script){}, c->who);
                MUST(s);
                send_entry(&(Script){.p = &no_signature, .end = &no_signature + burst}, c, s);
        }
        said_many = true;
}

static void say_again(Script *in, Connection *c) {
        if (n_said > 0)
                send_entry(in, c, &said[script_u8(in) % n_said]);
}

static Uuid script_id(Script *in) {
        uint8_t b = script_u8(in);
        Uuid id = {.bytes = {b, 1}};

        return b < 0xf0 && n_own > 0 ? own[b % n_own].id : id;
}

static void say_ack(Script *in, Connection *c) {
        Uuid ids[8];
        size_t n = 1 + script_u8(in) % ELEMENTSOF(ids);

        for (size_t i = 0; i < n; i++)
                ids[i] = script_id(in);
        MUST(ack_encode(&c->end.out, ids, n) == 0);
}

static void say_nack(Script *in, Connection *c) {
        uint8_t how = script_u8(in);
        Nack n = {.id = script_id(in),
                .code = (how & 0x1f) % _CODE_MAX,
                .permanent = how & 0x20,
                .retry_after = how & 0x40 ? script_number(in) : 0};
        Own *o = find_own(&n.id);

        n.retry_after = MIN(n.retry_after, (uint64_t)RETRY_AFTER_MAX);
        if (n.code == CODE_OK)
                n.code = CODE_FORK;
        if (o && n.permanent)
                o->refused = true;
        MUST(nack_encode(&c->end.out, &n) == 0);
}

/* Ascending, with something between them. */
static size_t script_ranges(Script *in, SeqRange *ranges) {
        size_t n = 0, most = 1 + script_u8(in) % 4U;
        uint64_t at = 0;

        while (n < most) {
                uint64_t first = at + 1 + (n > 0) + script_u8(in) % 4U;

                ranges[n] = (SeqRange){.first = first, .last = first + script_number(in)};
                if (ranges[n].last < first || ranges[n].last > SEQ_MAX)
                        ranges[n].last = SEQ_MAX;
                at = ranges[n++].last;
                if (at == SEQ_MAX)
                        break;
        }
        return n;
}

static Receipt script_receipt(Script *in, const Person *reader) {
        uint8_t how = script_u8(in);
        Receipt rc = {.epoch = bob.self.epoch, .state = how & 1 ? RECEIPT_READ : RECEIPT_DELIVERED};

        rc.n_ranges = script_ranges(in, rc.ranges);
        conversation_direct(
                person_account(reader), sign_key_public(&bob.self.account), rc.conversation);
        memcpy(rc.author, sign_key_public(&bob.self.account), KEY_SIZE);
        memcpy(rc.device, sign_key_public(&bob.self.device), KEY_SIZE);
        memcpy(rc.reader, person_account(reader), KEY_SIZE);
        for (size_t i = 0; i < n_own; i++)
                if (own[i].seq == rc.ranges[rc.n_ranges - 1].last && own[i].came)
                        memcpy(rc.hash, own[i].hash, SHA256_SIZE);
        if (how & 2)
                rc.hash[0] ^= script_u8(in);
        if (how & 4)
                rc.epoch = script_u8(in);
        if (how & 8)
                rc.author[0] ^= 1;
        if (how & 16)
                memcpy(rc.reader, person_account(script_person(in, reader)), KEY_SIZE);
        if (how & 32)
                rc.conversation[0] ^= 1;
        return rc;
}

static void note_receipt(const Receipt *rc) {
        for (size_t i = 0; i < n_own; i++)
                for (size_t k = 0; k < rc->n_ranges; k++)
                        own[i].received_for |= own[i].seq >= rc->ranges[k].first &&
                                own[i].seq <= rc->ranges[k].last;
}

static void script_receipt_object(Script *in, const Person *who, Buffer *out) {
        Receipt rc = script_receipt(in, who);

        note_receipt(&rc);
        MUST(receipt_encode(out, &rc, &script_person(in, who)->device) == 0);
}

static void say_receipt(Script *in, Connection *c) {
        _cleanup_(buffer_done) Buffer object = BUFFER_NULL;

        script_receipt_object(in, c->who, &object);
        MUST(receipt_frame_encode(&c->end.out, buffer_bytes(&object)) == 0);
}

static void say_void(Script *in, Connection *c) {
        _cleanup_(buffer_done) Buffer object = BUFFER_NULL;
        const Person *author = script_person(in, c->who);
        uint8_t how = script_u8(in);
        Void v = {.epoch = how & 4 ? script_u8(in) : author->epoch, .reason = 1 + (how & 3)};

        v.n_ranges = script_ranges(in, v.ranges);
        conversation_direct(
                person_account(author), sign_key_public(&bob.self.account), v.conversation);
        memcpy(v.author, person_account(author), KEY_SIZE);
        memcpy(v.device, sign_key_public(&author->device), KEY_SIZE);
        if (how & 8)
                v.conversation[0] ^= 1;
        MUST(void_encode(&object, &v, &script_person(in, c->who)->device) == 0);
        MUST(void_frame_encode(&c->end.out, buffer_bytes(&object)) == 0);
}

static void say_frame(Script *in, Connection *c) {
        uint8_t type = script_u8(in);
        Bytes body;

        if (type < 0x80) {
                (void)frame_put_empty(&c->end.out, type, script_u8(in));
                return;
        }
        c->scripted = true;
        if (type < 0xc0) {
                script_alter(in, &c->end.out, c->end.out.begin);
                return;
        }
        body = script_bytes(in);
        MUST(buffer_append(&c->end.out, body.data, body.size) == 0);
}

/* What the user's end says */

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

static void take_ack(const Connection *c, Frame *f) {
        Uuid ids[ACK_IDS_MAX];
        size_t n;

        MUST(ack_decode(f, ids, &n) == 0);
        for (size_t i = 0; i < n; i++) {
                bool known = false;

                for (size_t k = 0; k < n_said; k++)
                        if (uuid_equal(&said[k].id, &ids[i]) && said[k].proven &&
                                key_equal(person_account(said[k].author), person_account(c->who))) {
                                known = said[k].acked = true;
                                MUST(is_kept(&said[k]));
                        }
                MUST(known);
        }
}

static void take_nack(Frame *f) {
        bool known = false;
        Nack n;

        MUST(nack_decode(f, &n) == 0);
        for (size_t k = 0; k < n_said; k++)
                known |= uuid_equal(&said[k].id, &n.id);
        MUST(known && (n.code != CODE_PEER_STORAGE || fuzz_failed()));
}

/* Each number that it names is of an entry that was sent, and is kept; one of several, where they
 * claim the same place. */
static void check_received(const Connection *c, const Receipt *rc, uint64_t seq) {
        for (size_t k = 0; k < n_said; k++)
                if (said[k].seq == seq && said[k].epoch == rc->epoch && said[k].proven &&
                        key_equal(person_account(said[k].author), person_account(c->who)) &&
                        is_kept(&said[k]))
                        return;
        MUST(false);
}

static void take_receipt(const Connection *c, Bytes object) {
        Receipt rc;

        MUST(receipt_decode(object, sign_key_public(&bob.self.device), &rc) == 0);
        MUST(key_equal(rc.author, person_account(c->who)) && rc.state == RECEIPT_DELIVERED);
        MUST(key_equal(rc.reader, sign_key_public(&bob.self.account)));
        for (size_t i = 0; i < rc.n_ranges; i++) {
                MUST(rc.ranges[i].last - rc.ranges[i].first < n_said);
                for (uint64_t seq = rc.ranges[i].first; seq <= rc.ranges[i].last; seq++)
                        check_received(c, &rc, seq);
        }
        for (size_t k = 0; k < n_said; k++)
                if (memcmp(said[k].hash, rc.hash, SHA256_SIZE) == 0)
                        return;
        MUST(false);
}

/* The feed has one entry at each number, and each is built on the one before. */
static void take_message(const Connection *c, Frame *f) {
        uint8_t hash[SHA256_SIZE];
        MessageFrame frame;
        Inner m;
        Own *o;

        MUST(message_decode(f, &frame) == 0 && inner_decode(frame.inner, &m) == 0);
        o = find_own(&m.id);
        MUST(o && o->seq == m.seq && m.epoch == bob.self.epoch);
        MUST(key_equal(m.account, sign_key_public(&bob.self.account)));
        MUST(key_equal(person_account(&people[o->to]), person_account(c->who)));
        sha256(frame.inner.data, frame.inner.size, hash);
        MUST(!o->came || memcmp(o->hash, hash, SHA256_SIZE) == 0);
        memcpy(o->hash, hash, SHA256_SIZE);
        o->came = true;
        for (size_t i = 0; i < n_own; i++)
                if (own[i].came && own[i].feed == o->feed && own[i].seq + 1 == m.seq)
                        MUST(memcmp(own[i].hash, m.prev, SHA256_SIZE) == 0);
        if (frame.signature.size > 0)
                MUST(entry_verify(sign_key_public(&bob.self.device), hash, frame.signature.data) ==
                        0);
}

static void take_hello_ok(Connection *c, Frame *f) {
        HelloOk ok;

        MUST(hello_ok_decode(f, &ok) == 0);
        if (ok.receipt.size > 0)
                take_receipt(c, ok.receipt);
}

static void take_bye(Connection *c, Frame *f) {
        Refusal x;

        MUST(refusal_decode(f, &x) == 0 && x.code < _CODE_MAX);
        c->heard_bye = true;
}

static void take_frame(Connection *c, Frame *f) {
        Bytes object, certificate;
        Void v;

        MUST(!c->heard_bye);
        switch (f->type) {
        case FRAME_ACK:
                take_ack(c, f);
                break;
        case FRAME_NACK:
                take_nack(f);
                break;
        case FRAME_RECEIPT:
                MUST(receipt_frame_decode(f, &object, &certificate) == 0);
                take_receipt(c, object);
                break;
        case FRAME_VOID:
                MUST(void_frame_decode(f, &object, &certificate) == 0);
                MUST(void_decode(object, sign_key_public(&bob.self.device), &v) == 0);
                break;
        case FRAME_MESSAGE:
                take_message(c, f);
                break;
        case FRAME_HELLO_OK:
                take_hello_ok(c, f);
                break;
        case FRAME_BYE:
                take_bye(c, f);
                break;
        case FRAME_PING:
                MUST(frame_put_empty(&c->end.out, FRAME_PONG, f->request) == 0);
                break;
        default:
                MUST(f->type == FRAME_HELLO || f->type == FRAME_PONG);
        }
}

static bool turn(usec_t until) {
        FUZZ_THEIR_MEMORY;

        return loop_virtual_turn(sim.loop, until);
}

/* After each turn it is looked what has been said: that must be on disk already. */
static void pass_time(usec_t time) {
        usec_t until = usec_add(loop_now(sim.loop), time);
        Frame f;

        for (int i = 0; i < CONNECTIONS; i++)
                (void)raw_flush(&connections[i].end);
        while (turn(until))
                for (int i = 0; i < CONNECTIONS; i++)
                        while (raw_take(&connections[i].end, &f))
                                take_frame(&connections[i], &f);
}

/* The user */

/* One that has run out of memory is over before the user's turn. */
static void settle_batch(void) {
        MUST(store_commit(bob.store) == 0 || fuzz_failed());
        store_read_end(look());
}

static void say_as_bob(Script *in) {
        uint8_t how = script_u8(in);
        Own *o = &own[n_own];
        DbTxn *txn;

        if (n_own == OWN_MAX)
                return;
        settle_batch();
        *o = (Own){.to = how & 1 ? CAROL : ALICE,
                .expires = loop_realtime(sim.loop) +
                        (how & 2 ? USEC_PER_HOUR : MESSAGE_EXPIRES_DEFAULT)};
        txn = look();
        if (o->to == CAROL) {
                Contact c;

                if (contact_get(txn, person_account(&people[CAROL]), &c) == 0)
                        o->to = ALICE;
        }
        store_read_end(txn);
        o->id = stack_put(&bob, &people[o->to], text_bytes("from bob"), o->expires);
        n_own++;
        MUST(store_commit(bob.store) == 0);
        txn = look();
        MUST(store_find_id(txn, SELF_NUMBER, &o->id, &o->feed, &o->seq) == 1);
        store_read_end(txn);
        FUZZ_THEIR_MEMORY;
        delivery_wake(bob.delivery, person_account(&people[o->to]));
}

static void cancel_as_bob(Script *in) {
        Uuid id = script_id(in);
        Own *o = find_own(&id);

        settle_batch();
        if (!o || store_cancel(bob.store, &id, loop_realtime(sim.loop)) < 0)
                return;
        o->refused = true;
        MUST(store_commit(bob.store) == 0);
        FUZZ_THEIR_MEMORY;
        delivery_gave_up(bob.delivery, person_account(&people[o->to]));
}

static void bob_start(void) {
        stack_start(&bob);
        store_set_events_fn(bob.store, on_events, NULL);
}

static void bob_stop(void) {
        for (int i = 0; i < CONNECTIONS; i++)
                raw_close(&connections[i].end);
        memset(connections, 0, sizeof(connections));
        FUZZ_THEIR_MEMORY;
        stack_stop(&bob);
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

static void bob_restart(bool kill_him) {
        if (n_costly++ >= COSTLY_MAX)
                return;
        if (kill_him)
                store_image_take(&dir, &killed);
        bob_stop();
        if (kill_him)
                store_image_put(&dir, &killed);
        bob_start();
        check_store();
}

/* With the greeting, and perhaps a receipt in it. */
static void connect_to_bob(Script *in, Connection *c) {
        _cleanup_(buffer_done) Buffer receipt = BUFFER_NULL;
        uint8_t how = script_u8(in);
        PipeOptions options = {.chunk = how >> 6, .capacity = 1024 * 1024};
        HelloOk ok = {};
        Transport *t;
        Hello h;

        if (c->end.transport)
                return;
        *c = (Connection){.who = &people[how % _PEOPLE_MAX]};
        h = person_hello(c->who);
        h.boot_nonce[0] = how >> 2 & 3;
        if (how & 0x10) {
                script_receipt_object(in, c->who, &receipt);
                ok.receipt = buffer_bytes(&receipt);
        }
        t = raw_connect(&c->end, sim.loop, &options);
        raw_say_tls(&c->end, LINK_ALPN, sign_key_public(&c->who->device));
        {
                FUZZ_THEIR_MEMORY;
                delivery_accept(bob.delivery, t);
        }
        MUST(hello_encode(&c->end.out, &h) == 0);
        pass_time(5 * USEC_PER_MSEC);
        if (c->end.transport)
                MUST(hello_ok_encode(&c->end.out, &ok) == 0);
}

static void step(Script *in) {
        static void (*const frames[])(Script * in, Connection * c) = {
                say_message, say_again, say_ack, say_nack, say_receipt, say_void, say_frame};
        uint8_t op = script_u8(in);
        Connection *c = &connections[op >> 4 & 1];

        switch (op & 0x0f) {
        case 0:
                connect_to_bob(in, c);
                break;
        case 1 ... ELEMENTSOF(frames):
                if (c->end.transport)
                        frames[(op & 0x0f) - 1](in, c);
                break;
        case 8:
                raw_close(&c->end);
                break;
        case 9:
                bob_restart(op & 0x10);
                break;
        case 10:
                say_as_bob(in);
                break;
        case 11:
                cancel_as_bob(in);
                break;
        case 12:
                if (c->end.transport)
                        say_many(in, c);
                break;
        default:
                pass_time(script_time(in));
        }
}

static void run_begin(Script *in) {
        if (!people[ALICE].sim)
                make_world();
        store_image_put(&dir, &begin);
        n_said = n_own = n_costly = 0;
        said_many = false;
        memset(heads, 0, sizeof(heads));
        bob.settings.accept_all = script_u8(in) & 1;
        sim_new(&sim, 1);
        bob_start();
}

void fuzz_one(const uint8_t *data, size_t size) {
        Script in = {.p = data, .end = data + size};
        FUZZ_OWN_MEMORY;

        run_begin(&in);
        while (script_more(&in))
                step(&in);
        pass_time(USEC_PER_SEC);
        check_store();
        bob_stop();
        stack_forget_shown(&bob);
        sim_free(&sim);
}
