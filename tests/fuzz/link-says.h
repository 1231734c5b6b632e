/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the other ends of fuzz-link.c say: a function for each frame writes it, as the script wants
 * it, into what is sent next. */

#include "link-model.h"

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
        uint8_t how = script_u8(in);
        size_t n = 0, most = 1 + how % 4U;
        uint64_t at = 8 * (how >> 2);

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
                for (size_t k = 0; k < rc->n_ranges; k++) {
                        if (own[i].seq < rc->ranges[k].first || own[i].seq > rc->ranges[k].last)
                                continue;
                        own[i].received_for = true;
                        own[i].read_for |= rc->state == RECEIPT_READ;
                }
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

/* Of himself, or what somebody else has signed. */
static Buffer script_presence(Script *in, const Person *who) {
        uint8_t state = script_u8(in);

        return person_presence(script_person(in, who), state % _PRESENCE_MAX, state >> 4,
                state & 8 ? "alice:7425" : NULL);
}

static void say_presence(Script *in, Connection *c) {
        _cleanup_(buffer_done) Buffer presence = script_presence(in, c->who);

        MUST(announce_encode(&c->end.out, buffer_bytes(&presence)) == 0);
}

#define SCRIPT_ANNOUNCE 0x7f

static void say_frame(Script *in, Connection *c) {
        uint8_t type = script_u8(in);
        Bytes body;

        if (type == FRAME_TYPING) {
                MUST(typing_encode(&c->end.out, script_u8(in) & 1) == 0);
                return;
        }
        if (type == SCRIPT_ANNOUNCE) {
                say_presence(in, c);
                return;
        }
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
