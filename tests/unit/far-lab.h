/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One person with all that sends and receives, and a far end that speaks to it as a peer. */

#include "stack-lab.h"

typedef struct World {
        Sim sim;
        Stack bob;
        Person alice;
        Far far; /* Alice's end */
        bool takes_typing; /* she says so in HELLO */
        Inner last; /* as Alice has written it; the body is not kept */
        uint8_t last_hash[SHA256_SIZE];
} World;

/* Alice dials and is greeted. RET is what with, which is valid until something else is taken. */
static _unused_ void world_greet(World *w, HelloOk *ret) {
        static const PipeOptions options = {.latency = 2 * USEC_PER_MSEC, .capacity = 1 << 20};
        Hello h = person_hello(&w->alice);
        Transport *ends[2];
        Frame f;
        Pipe *p;

        far_free(&w->far);
        w->alice.local.boot_nonce[0]++;
        memcpy(h.boot_nonce, w->alice.local.boot_nonce, BOOT_NONCE_SIZE);
        CHECK_OK(pipe_new(w->sim.loop, &options, ends, &p));
        far_begin(&w->far, &w->alice, TLS_CLIENT, LINK_ALPN, ends[0]);
        delivery_accept(w->bob.delivery, ends[1]);
        if (w->takes_typing)
                h.features[h.n_features++] = FEATURE_TYPING;
        far_send_hello(&w->far, &h);
        far_take(&w->far, FRAME_HELLO);
        f = far_take(&w->far, FRAME_HELLO_OK);
        CHECK_OK(hello_ok_decode(&f, ret));
        pipe_unref(p);
}

/* And the link is open. */
static _unused_ void world_link(World *w) {
        unsigned n = w->bob.n_up;
        HelloOk ok;

        world_greet(w, &ok);
        far_sent(&w->far, hello_ok_encode(conn_output(w->far.conn), &(HelloOk){}));
        SIM_UNTIL(&w->sim, w->bob.n_up == n + 1);
}

static _unused_ void world_new(World *w, uint8_t flags) {
        *w = (World){};
        sim_new(&w->sim, 1);
        stack_new(&w->sim, "bob", &w->bob);
        person_new(&w->sim, "alice", &w->alice);
        stack_knows(&w->bob, &w->alice, flags);
        world_link(w);
}

static _unused_ void world_free(World *w) {
        far_free(&w->far);
        stack_free(&w->bob);
        person_done(&w->alice);
        sim_free(&w->sim);
}

static _unused_ Buffer *far_output(World *w) {
        return conn_output(w->far.conn);
}

/* The next entry of Alice's feed, for the test to change before it is sent. */
static _unused_ Inner world_inner(World *w, const char *text) {
        usec_t now = loop_realtime(w->sim.loop);
        Inner m = {.epoch = w->alice.epoch,
                .seq = w->last.seq + 1,
                .hlc = now / USEC_PER_MSEC << 16,
                .sent = now,
                .expires = now + USEC_PER_DAY,
                .kind = KIND_TEXT,
                .body = text_bytes(text)};

        loop_random(w->sim.loop, &m.id, sizeof(m.id));
        conversation_direct(
                person_account(&w->alice), sign_key_public(&w->bob.self.account), m.conversation);
        memcpy(m.account, person_account(&w->alice), KEY_SIZE);
        memcpy(m.device, sign_key_public(&w->alice.device), KEY_SIZE);
        memcpy(m.prev, w->last_hash, SHA256_SIZE);
        return m;
}

/* As it stands; SIGNER may be NULL. It becomes the last entry of the feed. */
static _unused_ void world_say(World *w, const Inner *m, const SignKey *signer) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        uint8_t signature[SIGNATURE_SIZE];
        MessageFrame f = {};

        CHECK_OK(inner_encode(&b, m));
        f.inner = buffer_bytes(&b);
        sha256(f.inner.data, f.inner.size, w->last_hash);
        w->last = *m;
        w->last.body = (Bytes){};
        if (signer) {
                CHECK_OK(entry_sign(signer, w->last_hash, signature));
                f.signature = (Bytes){.data = signature, .size = SIGNATURE_SIZE};
        }
        far_sent(&w->far, message_encode(far_output(w), &f));
}

static _unused_ Inner world_write(World *w, const char *text, bool sign_it) {
        Inner m = world_inner(w, text);

        world_say(w, &m, sign_it ? &w->alice.device : NULL);
        return m;
}

/* The ids of the next ACK. */
static _unused_ size_t world_take_ack(World *w, Uuid ids[static ACK_IDS_MAX]) {
        Frame f = far_take(&w->far, FRAME_ACK);
        size_t n;

        CHECK_OK(ack_decode(&f, ids, &n));
        return n;
}

/* The next ACK is for this one alone. */
static _unused_ void check_ack(World *w, const Uuid *id) {
        Uuid ids[ACK_IDS_MAX];

        CHECK_EQ(world_take_ack(w, ids), 1);
        CHECK(uuid_equal(&ids[0], id));
}

static _unused_ void check_nack(World *w, const Uuid *id, Code code, bool permanent) {
        Frame f = far_take(&w->far, FRAME_NACK);
        Nack n;

        CHECK_OK(nack_decode(&f, &n));
        CHECK(uuid_equal(&n.id, id));
        CHECK_EQ(n.code, code);
        CHECK_EQ(n.permanent, permanent);
}

/* The next RECEIPT holds, and is Bob's about Alice's feed. */
static _unused_ Receipt world_take_receipt_of(World *w, ReceiptState state) {
        Frame f = far_take(&w->far, FRAME_RECEIPT);
        Bytes outer, certificate;
        Receipt rc;

        CHECK_OK(receipt_frame_decode(&f, &outer, &certificate));
        CHECK_OK(receipt_decode(outer, sign_key_public(&w->bob.self.device), &rc));
        CHECK(key_equal(rc.author, person_account(&w->alice)));
        CHECK(key_equal(rc.reader, sign_key_public(&w->bob.self.account)));
        CHECK_EQ(rc.state, state);
        return rc;
}

static _unused_ Receipt world_take_receipt(World *w) {
        return world_take_receipt_of(w, RECEIPT_DELIVERED);
}
