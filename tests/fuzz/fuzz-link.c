/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What is said on open links: a user's store and delivery, and two connections at a time of people
 * who send entries, acknowledgements, receipts and void statements in any order, most of them
 * signed as they should be. The user writes, takes back, is restarted and killed. What must hold:
 * nothing is shown that was not signed for, nothing twice, and nothing is acknowledged that is not
 * on disk and stays there; a message counts as delivered by a receipt alone, and waits in the
 * outbox until then.
 */

#include "link-says.h"

/* What the user's end says */

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
        Grant grant;
        Bytes object, certificate;
        Void v;
        bool on;

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
        case FRAME_GRANT:
                MUST(grant_decode(f, &grant) == 0);
                break;
        case FRAME_TYPING:
                MUST(typing_decode(f, &on) == 0);
                break;
        case FRAME_ANNOUNCE:
                MUST(announce_decode(f, &object) == 0);
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

/* After each turn it is looked what has been said: that must be on disk already. */
static void pass_time(usec_t time) {
        usec_t until = usec_add(loop_now(sim.loop), time);
        Frame f;

        for (int i = 0; i < CONNECTIONS; i++)
                (void)raw_flush(&connections[i].end);
        while (their_turn(sim.loop, until))
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

static void read_as_bob(Script *in) {
        uint8_t which = script_u8(in);
        Contact c;
        int r;

        settle_batch();
        if (n_said == 0)
                return;
        r = contact_get(store_write(bob.store), person_account(said[which % n_said].author), &c);
        if (r > 0)
                r = store_mark_read(bob.store, c.number, &said[which % n_said].id,
                        loop_realtime(sim.loop), true, NULL);
        MUST(r >= 0 || r == -ENOENT);
        MUST(store_commit(bob.store) == 0);
}

static void say_of_bob(uint8_t how) {
        static const char *const presences[] = {"", "here", "there"};

        if (how & 0x20)
                delivery_set_presence(
                        bob.delivery, text_bytes(presences[how % ELEMENTSOF(presences)]));
        else
                delivery_type(bob.delivery, person_account(&people[how % _PEOPLE_MAX]), how & 0x10);
}

/* From the next link on; or what he does and is, which is said at once. */
static void block_as_bob(Script *in) {
        uint8_t how = script_u8(in);
        int r;

        if (how & 0x40) {
                say_of_bob(how);
                return;
        }
        settle_batch();
        r = contact_set_flags(bob.store, person_account(&people[how % _PEOPLE_MAX]),
                how & 0x80 ? CONTACT_BLOCKED : 0, how & 0x80 ? 0 : CONTACT_BLOCKED);
        MUST(r >= 0 || r == -ENOENT);
        MUST(store_commit(bob.store) == 0);
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

/* Bob has dialled alice. */
static void on_dialled(void *userdata, Transport *t) {
        FUZZ_OWN_MEMORY;
        Hello h = person_hello(&people[ALICE]);
        Connection *c = connections;

        while (c < connections + CONNECTIONS && c->end.transport)
                c++;
        if (c == connections + CONNECTIONS) {
                transport_free(t);
                return;
        }
        *c = (Connection){.who = &people[ALICE], .end.transport = t};
        raw_say_tls(&c->end, LINK_ALPN, sign_key_public(&c->who->device));
        MUST(hello_encode(&c->end.out, &h) == 0);
        MUST(hello_ok_encode(&c->end.out, &(HelloOk){}) == 0);
        (void)raw_flush(&c->end);
}

/* With the greeting, and perhaps a receipt and a presence in it. */
static void connect_to_bob(Script *in, Connection *c) {
        _cleanup_(buffer_done) Buffer receipt = BUFFER_NULL, presence = BUFFER_NULL;
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
        h.features[h.n_features++] = FEATURE_TYPING;
        if (how & 0x10) {
                script_receipt_object(in, c->who, &receipt);
                ok.receipt = buffer_bytes(&receipt);
        }
        if (how & 0x20) {
                presence = script_presence(in, c->who);
                ok.presence = buffer_bytes(&presence);
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
        case 13:
                read_as_bob(in);
                break;
        case 14:
                block_as_bob(in);
                break;
        default:
                pass_time(script_time(in));
        }
}

static void run_begin(Script *in) {
        uint8_t how = script_u8(in);

        if (!people[ALICE].sim)
                make_world();
        store_image_put(&dir, &begin);
        n_said = n_own = n_costly = 0;
        said_many = false;
        memset(heads, 0, sizeof(heads));
        bob.settings.accept_all = how & 1;
        bob.settings.say_typing = true;
        sim_new(&sim, 1);
        if (how & 2)
                MUST(network_listen(sim.network, "alice", STACK_PORT, on_dialled, NULL) == 0);
        bob_start();
}

/* Without a tracker nobody can say that somebody is there. */
static void check_presence(void) {
        const KnownPresence *k = directory_presence(bob.directory, person_account(&people[ALICE]));

        MUST(!k || !k->online);
}

static void run_end(void) {
        pass_time(USEC_PER_SEC);
        check_presence();
        check_store();
        bob_stop();
        MUST(bob.n_typing == bob.n_typed);
        stack_forget_shown(&bob);
        sim_free(&sim);
}

void fuzz_one(const uint8_t *data, size_t size) {
        script_run(data, size, run_begin, step, run_end);
}
