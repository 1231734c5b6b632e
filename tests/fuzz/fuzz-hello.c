/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The beginning of links: a pool with up to four connections at a time, accepted or dialled, to
 * ends that have keys and signed objects of their own and of each other, and say with them what the
 * script wants. What must hold: nobody is shown to the owner without a certificate and a record of
 * the key that TLS has shown; a refusal names a reason that there is; frames come in their order;
 * and when all is over nothing is left.
 */

#include "stateful.h"

#include "../unit/sim-lab.h"
#include "link/link.h"

enum {
        BOB, /* who is called here */
        BOB_ELSEWHERE, /* the same account on another device */
        ALICE,
        ALICE_NEWER,
        ALICE_AS_NEW, /* a third device, of the epoch of the second */
        CAROL,
        EXPIRED, /* before the first second is over */
        RECORD_EXPIRED,
        _PEOPLE_MAX,
};

#define SLOTS 4
#define HANDSHAKE 10 /* s */

typedef struct Slot {
        RawEnd end;
        const Person *who; /* whose key is shown */
        const Person *expected; /* of a dialled link */
        Link *link; /* known to the owner */
        bool confirmed, open;
        bool said_hello;
        bool scripted; /* the script sent something else than one HELLO as it should be formed */
        unsigned wrong; /* bits of codes: what is wrong with that HELLO */
        bool sent_ok; /* a whole HELLO_OK was sent, in however many pieces */
        bool heard_hello, heard_ok, heard_bye;
} Slot;

typedef enum Policy {
        POLICY_CONFIRM,
        POLICY_HOLD,
        POLICY_REFUSE,
        _POLICY_MAX,
} Policy;

static Sim sim;
static Person people[_PEOPLE_MAX];
static LinkPool *pool;
static Slot slots[SLOTS];
static Policy policy;

static void make_people(void) {
        sim_new(&sim, 1);
        person_new(&sim, "bob", &people[BOB]);
        person_on_device(&people[BOB], 2, &people[BOB_ELSEWHERE]);
        person_new(&sim, "alice", &people[ALICE]);
        person_on_device(&people[ALICE], 2, &people[ALICE_NEWER]);
        person_on_device(&people[ALICE], 2, &people[ALICE_AS_NEW]);
        person_new(&sim, "carol", &people[CAROL]);
        person_new(&sim, "dave", &people[EXPIRED]);
        person_sign(&people[EXPIRED], USEC_PER_SEC);
        person_new(&sim, "erin", &people[RECORD_EXPIRED]);
        person_sign_record(&people[RECORD_EXPIRED], USEC_PER_SEC);
        sim_free(&sim);
}

static bool same(Bytes a, Bytes b) {
        return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

/* The owner */

static Slot *slot_of(const Link *l) {
        return &slots[sockaddr_port(link_peer(l))];
}

static void slot_decide(Slot *s, Policy what) {
        FUZZ_THEIR_MEMORY;

        if (what == POLICY_CONFIRM) {
                s->confirmed = true;
                link_confirm(s->link, &(HelloOk){});
        } else if (what == POLICY_REFUSE)
                link_refuse(TAKE_PTR(s->link), CODE_BLOCKED, "not wanted by this test");
}

static void on_hello(void *userdata, Link *l, const Greeting *g, Bytes record) {
        usec_t now = loop_realtime(sim.loop);
        Slot *s = slot_of(l);

        MUST(!s->link && !s->confirmed);
        MUST(same(link_certificate_outer(l), s->who->local.certificate));
        MUST(same(record, s->who->local.record) && same(link_record_outer(l), record));
        MUST(key_equal(link_account(l), person_account(s->who)));
        MUST(key_equal(g->record.account, person_account(s->who)));
        MUST(!key_equal(link_certificate(l)->device, sign_key_public(&people[BOB].device)));
        MUST(link_is_own(l) == key_equal(link_account(l), person_account(&people[BOB])));
        MUST(!s->expected || key_equal(person_account(s->expected), link_account(l)));
        MUST(certificate_is_valid_at(&g->certificate, now) && g->record.expires > now);
        MUST(s->scripted || s->wrong == 0);
        s->link = l;
        slot_decide(s, policy);
}

/* Of two there is one at most: of the own account there are other devices. */
static bool are_rivals(const Link *a, const Link *b) {
        return key_equal(link_account(a), link_account(b)) &&
                (!link_is_own(a) ||
                        key_equal(link_certificate(a)->device, link_certificate(b)->device));
}

static void on_open(void *userdata, Link *l, const HelloOk *ok) {
        Slot *s = slot_of(l);

        MUST(s->link == l && s->confirmed && !s->open && s->sent_ok && link_is_open(l));
        s->open = true;
        MUST(link_find(pool, link_account(l)) == (link_is_own(l) ? NULL : l));
        for (int i = 0; i < SLOTS; i++)
                MUST(&slots[i] == s || !slots[i].open || !are_rivals(slots[i].link, l));
}

static int on_frame(void *userdata, Link *l, Frame *f) {
        MUST(slot_of(l)->open && link_is_open(l) && f->type <= FRAME_ANNOUNCE);
        return 0;
}

static void on_drained(void *userdata, Link *l) {
        MUST(slot_of(l)->open);
}

static void on_closed(void *userdata, Link *l, Code code, const char *text) {
        for (int i = 0; i < SLOTS; i++)
                if (slots[i].link == l) {
                        slots[i].link = NULL;
                        slots[i].open = false;
                }
}

static void on_record(void *userdata, const Record *record, Bytes outer) {
        Record r;

        MUST(record_decode(outer, &r) == 0 && r.epoch == record->epoch);
}

static const LinkCallbacks callbacks = {
        .record = on_record,
        .hello = on_hello,
        .open = on_open,
        .frame = on_frame,
        .drained = on_drained,
        .closed = on_closed,
};

/* The other ends */

static const Person *script_person(Script *in) {
        return &people[script_u8(in) % _PEOPLE_MAX];
}

static void connect_slot(Script *in, size_t i) {
        uint8_t how = script_u8(in);
        PipeOptions options = {.latency = USEC_PER_MSEC, .chunk = how >> 4};
        Slot *s = &slots[i];
        Transport *t;
        Link *l = NULL;

        if (s->end.transport)
                return;
        *s = (Slot){.who = script_person(in)};
        t = raw_connect(&s->end, sim.loop, &options);
        MUST(sockaddr_parse_ip("192.0.2.1", (uint16_t)i, &t->peer) == 0);
        raw_say_tls(&s->end, how & 1 ? "p2pchat-tracker/1" : LINK_ALPN,
                sign_key_public(&s->who->device));
        if (how & 6)
                s->expected = script_person(in);
        FUZZ_THEIR_MEMORY;
        if (s->expected)
                MUST(link_dialled(pool, t, person_account(s->expected), &l) == 0 || fuzz_failed());
        else
                link_accept(pool, t);
        if (l && how & 4)
                link_set_raced(l);
}

#define WRONG(code) (1U << (code))

static unsigned find_wrong(
        const Slot *s, const Hello *h, const Person *certificate, const Person *record) {
        bool expired = certificate == &people[EXPIRED] || record == &people[EXPIRED] ||
                record == &people[RECORD_EXPIRED];
        unsigned wrong = 0;

        if (!hello_has_version(h, PROTOCOL_VERSION))
                wrong |= WRONG(CODE_NOT_SUPPORTED);
        if (h->expects && !key_equal(h->expected, person_account(&people[BOB])))
                wrong |= WRONG(CODE_KEY_CHANGED);
        if (s->expected && !key_equal(person_account(certificate), person_account(s->expected)))
                wrong |= WRONG(CODE_KEY_CHANGED);
        if (certificate != s->who || record != s->who)
                wrong |= WRONG(CODE_INVALID_ARGS);
        if (certificate == &people[BOB])
                wrong |= WRONG(CODE_NOT_ALLOWED);
        if (expired && loop_realtime(sim.loop) >= VIRTUAL_REALTIME + USEC_PER_SEC)
                wrong |= WRONG(CODE_EXPIRED);
        return wrong;
}

/* Each bit of HOW stands for a field that is not as it should be. */
static void say_hello(Script *in, Slot *s) {
        uint8_t how = script_u8(in);
        const Person *certificate = how & 1 ? script_person(in) : s->who;
        const Person *record = how & 2 ? script_person(in) : s->who;
        Hello h = person_hello(certificate);

        h.record = record->local.record;
        if (how & 4)
                h.versions[0] = script_number(in);
        h.expects = how & 8;
        memcpy(h.expected, person_account(h.expects ? script_person(in) : &people[BOB]), KEY_SIZE);
        if (how & 16)
                h.boot_nonce[0] = script_u8(in);
        if (how & 32)
                h.heartbeat = (uint32_t)script_number(in);
        if (how & 64)
                h.certificate = h.record = (Bytes){};
        s->scripted |= s->said_hello;
        s->said_hello = true;
        s->wrong = find_wrong(s, &h, certificate, record);
        if (how & 64)
                s->wrong |= WRONG(CODE_INVALID_ARGS);
        MUST(hello_encode(&s->end.out, &h) == 0);
}

static void say_hello_ok(Script *in, Slot *s) {
        uint8_t how = script_u8(in);
        HelloOk ok = {.has_head = how & 1};

        if (how & 2)
                ok.receipt = script_bytes(in);
        if (how & 4)
                ok.presence = script_bytes(in);
        if (how & 8)
                ok.deposit_token = script_bytes(in);
        if (how & 16) {
                ok.presence_key = script_bytes(in);
                ok.presence_key.size = MIN(ok.presence_key.size, (size_t)PRESENCE_KEY_MAX);
        }
        s->scripted = true;
        MUST(hello_ok_encode(&s->end.out, &ok) == 0);
}

static void say_frame(Script *in, Slot *s) {
        uint8_t how = script_u8(in);
        Bytes body;

        s->scripted = true;
        if (how < 0x80) {
                MUST(frame_put_empty(&s->end.out, how % 80, script_u8(in)) <= 0);
                return;
        }
        if (how < 0xa0) {
                MUST(bye_encode(&s->end.out, how % _CODE_MAX, "a reason",
                             how & 1 ? script_person(in)->local.record : (Bytes){}) == 0);
                return;
        }
        body = script_bytes(in);
        MUST(buffer_append(&s->end.out, body.data, body.size) == 0);
}

/* What has been said by the pool. */
static void listen_to(Slot *s) {
        Frame f;

        while (raw_take(&s->end, &f)) {
                MUST(!s->heard_bye);
                MUST(s->heard_hello == (f.type != FRAME_HELLO) || f.type == FRAME_BYE);
                MUST(s->heard_ok || f.type == FRAME_HELLO || f.type == FRAME_HELLO_OK ||
                        f.type == FRAME_BYE || f.type == FRAME_PING);
                if (f.type == FRAME_HELLO_OK) {
                        MUST(s->confirmed && !s->heard_ok);
                        s->heard_ok = true;
                }
                s->heard_hello |= f.type == FRAME_HELLO;
                if (f.type == FRAME_BYE) {
                        Refusal x;

                        MUST(refusal_decode(&f, &x) == 0 && x.code < _CODE_MAX);
                        s->heard_bye = true;
                        MUST(s->scripted || s->wrong == 0 || fuzz_failed() || x.code == CODE_OK ||
                                x.code == CODE_TIMEOUT || s->wrong & WRONG(x.code));
                }
        }
}

static void play(Sim *s, usec_t time) {
        FUZZ_THEIR_MEMORY;

        sim_run(s, time);
}

/* Whether a whole frame of that type is in what was sent after the TLS greeting. */
static bool raw_has_said(const RawEnd *e, uint64_t type) {
        const uint8_t *p = buffer_data(&e->said);
        size_t left = buffer_size(&e->said), size;
        Frame f;

        if (left == 0)
                return false;
        for (size = 1 + p[0] + KEY_SIZE; size < left;) {
                p += size;
                left -= size;
                if (frame_scan(p, left, &size) <= 0)
                        break;
                if (frame_open(p, size, &f) == 0 && f.type == type)
                        return true;
        }
        return false;
}

static void pass_time(usec_t time) {
        unsigned n_open = 0;

        for (int i = 0; i < SLOTS; i++) {
                slots[i].scripted |= !raw_flush(&slots[i].end);
                slots[i].sent_ok |= raw_has_said(&slots[i].end, FRAME_HELLO_OK);
        }
        play(&sim, time);
        for (int i = 0; i < SLOTS; i++) {
                listen_to(&slots[i]);
                n_open += slots[i].open && !link_is_own(slots[i].link);
        }
        MUST(link_pool_count_open(pool) == n_open);
}

static void slot_close(Slot *s) {
        raw_close(&s->end);
        s->scripted = true;
}

static void speak(Script *in, Slot *s, unsigned op) {
        if (op == 2 || op == 3)
                say_hello(in, s);
        else if (op == 4)
                say_hello_ok(in, s);
        else if (op == 5)
                say_frame(in, s);
        else {
                s->scripted = true;
                script_alter(in, &s->end.out, s->end.out.begin);
        }
}

static void step(Script *in) {
        uint8_t op = script_u8(in);
        Slot *s = &slots[op >> 4 & (SLOTS - 1)];

        switch (op & 0x0f) {
        case 0:
        case 1:
                connect_slot(in, (size_t)(s - slots));
                break;
        case 2 ... 6:
                if (s->end.transport)
                        speak(in, s, op & 0x0f);
                break;
        case 7:
                slot_close(s);
                break;
        case 8:
                policy = (op >> 4) % _POLICY_MAX;
                break;
        case 9:
                if (s->link && !s->confirmed)
                        slot_decide(s, script_u8(in) % _POLICY_MAX);
                break;
        case 10:
                if (s->link)
                        link_trust(s->link);
                break;
        case 11:
                if (s->link) {
                        link_close(TAKE_PTR(s->link), CODE_OK, "by this test");
                        s->open = false;
                }
                break;
        default:
                pass_time(script_time(in));
        }
}

void fuzz_one(const uint8_t *data, size_t size) {
        FUZZ_OWN_MEMORY;
        Script in = {.p = data, .end = data + size};
        unsigned sources;

        if (!people[BOB].sim)
                make_people();
        sim_new(&sim, 1);
        MUST(link_pool_new(sim.net, &people[BOB].local, HANDSHAKE, &callbacks, NULL, &pool) == 0);
        sources = loop_virtual_count_sources(sim.loop);
        policy = POLICY_CONFIRM;
        while (script_more(&in))
                step(&in);
        pass_time(USEC_PER_SEC);
        for (int i = 0; i < SLOTS; i++)
                slot_close(&slots[i]);
        pass_time(USEC_PER_MINUTE);
        MUST(loop_virtual_count_sources(sim.loop) == sources);
        pool = link_pool_free(pool);
        sim_free(&sim);
        memset(slots, 0, sizeof(slots));
}
