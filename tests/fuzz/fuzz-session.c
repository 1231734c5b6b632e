/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What a tracker may say to a user: the daemon without bus and sockets, and at the tracker's
 * address an end that answers what was not asked, with records and presences of anybody, old ones
 * and long lists of them, or not at all. What must hold: a pinned contact stays who it is and its
 * record never becomes older; what is written to a name goes to somebody who has signed for that
 * name; nobody is online without having signed for it; every question has one answer; and nobody is
 * logged out.
 */

#include "stateful.h"
#include "store-dir.h"

#include "../unit/chat-lab.h"
#include "net/connect.h"
#include "wire/tracker.h"

#define TRACKER_HOST "tracker"
#define TRACKER_PORT 7600

enum {
        BOB, /* whom alice has pinned; each with another record of his */
        BOB_LATER,
        BOB_EARLIER,
        BOB_NEWER_DEVICE,
        BOB_OTHER_DEVICE, /* of the same epoch as the first */
        MALLORY, /* who says that he is called bob */
        CAROL,
        CAROL_RENAMED, /* to dave */
        DAVE,
        ALICE_ELSEWHERE,
        EXPIRED,
        _PEOPLE_MAX,
};

#define OPEN_MAX 64 /* questions of the daemon that wait */
#define SENT_MAX 64

/* Long lists in a run, at most: each record costs three signatures. */
#define LONG_MAX 3

/* What the daemon has asked. */
typedef struct Question {
        uint64_t type, id;
} Question;

/* What alice has sent, until it is on disk. */
typedef struct Sent {
        int to; /* a person, or -1: who is called as SentName says */
        const char *name;
        unsigned answers;
        bool kept;
        Uuid id;
} Sent;

static Sim setup;
static ChatLab alice;
static Person tracker, people[_PEOPLE_MAX];
static SignKey alice_account, alice_device;
static StoreDir dir;
static StoreImage begin;

static EndpointKey address; /* of the tracker */
static RawEnd far;
static bool scripted, polite, stops_at_answer;
static Question open_questions[OPEN_MAX];
static size_t n_open;
static Sent sent[SENT_MAX];
static size_t n_sent;
static unsigned lists_asked, lists_answered, n_long;
static usec_t time_left; /* of this run */
static bool was_online[_PEOPLE_MAX]; /* somebody has said it with a presence that is theirs */
static const Person *newest; /* of bob, as it was seen in the store */

/* People */

static void make_person(unsigned n, const char *name, const Person *account, uint64_t epoch) {
        Person *p = &people[n];

        person_begin(&setup, name, epoch, p);
        if (account)
                p->account = account->account;
        person_finish(p);
}

/* The record of another with another seq or name. */
static void make_record(unsigned n, unsigned of, const char *name, uint64_t seq) {
        Person *p = &people[n];

        make_person(n, name, &people[of], people[of].epoch);
        tls_identity_free(p->local.tls);
        p->device = people[of].device;
        MUST(tls_identity_new(&p->device, &p->local.tls) == 0);
        p->seq = seq;
        person_sign(p, IDENTITY_LIFETIME);
}

static void make_people(void) {
        make_person(BOB, "bob", NULL, 1);
        make_record(BOB_LATER, BOB, "bob", 200);
        make_record(BOB_EARLIER, BOB, "bob", 50);
        make_person(BOB_NEWER_DEVICE, "bob", &people[BOB], 2);
        make_person(BOB_OTHER_DEVICE, "bob", &people[BOB], 1);
        make_person(MALLORY, "bob", NULL, 1);
        make_person(CAROL, "carol", NULL, 1);
        make_record(CAROL_RENAMED, CAROL, "dave", 200);
        make_person(DAVE, "dave", NULL, 1);
        make_person(ALICE_ELSEWHERE, "alice", NULL, 2);
        people[ALICE_ELSEWHERE].account = alice_account;
        person_sign(&people[ALICE_ELSEWHERE], IDENTITY_LIFETIME);
        make_person(EXPIRED, "erin", NULL, 1);
        person_sign(&people[EXPIRED], 1);
        person_new(&setup, TRACKER_HOST, &tracker);
}

static void make_identity(void) {
        Identity i = {.account = alice_account,
                .device = alice_device,
                .epoch = 1,
                .claimed = true,
                .logged_in = true};

        snprintf(i.name, sizeof(i.name), "alice");
        MUST(store_save_identity(alice.store, &i) >= 0);
        identity_done(&i);
}

static void make_contact(void) {
        Record record;
        Contact c;

        MUST(record_decode(people[BOB].local.record, &record) == 0);
        MUST(contact_learn(alice.store, &record, people[BOB].local.record,
                     loop_realtime(people[BOB].sim->loop), CONTACT_PINNED, true, &c) >= 0);
}

static void make_world(void) {
        store_dir_make(&dir, "db");
        snprintf(alice.dir, sizeof(alice.dir), "%s", dir.path);
        sim_new(&setup, 1);
        person_key(&setup, &alice_account);
        person_key(&setup, &alice_device);
        make_people();
        MUST(store_open(alice.dir, setup.loop, &alice.store) == 0);
        make_identity();
        make_contact();
        MUST(store_commit(alice.store) == 0);
        store_close(alice.store);
        sim_free(&setup);
        store_image_take(&dir, &begin);
}

static const Person *script_person(Script *in) {
        return &people[script_u8(in) % _PEOPLE_MAX];
}

static bool same_account(const Person *a, const Person *b) {
        return key_equal(person_account(a), person_account(b));
}

/* Bob's record in the store, as the one that it is. */
static void check_contact(void) {
        uint8_t account[KEY_SIZE];
        const Person *p = NULL;
        Record record;
        DbTxn *txn;
        Contact c;

        if (store_read_begin(alice.store, &txn) < 0) {
                MUST(fuzz_failed());
                return;
        }
        MUST(contact_get(txn, person_account(&people[BOB]), &c) == 1);
        MUST(c.flags & CONTACT_PINNED && record_parse(c.record, &record) == 0);
        MUST(contact_resolve(txn, "bob", account) == 1);
        MUST(key_equal(account, person_account(&people[BOB])));
        for (unsigned i = BOB; i <= BOB_OTHER_DEVICE; i++)
                if (record.seq == people[i].seq - 1 && record.epoch == people[i].epoch &&
                        key_equal(record.device.device, sign_key_public(&people[i].device)))
                        p = &people[i];
        MUST(p);
        if (p != newest) {
                Record old;

                MUST(record_parse(newest->local.record, &old) == 0);
                MUST(record_compare(&record, c.record, &old, newest->local.record) > 0);
                newest = p;
        }
        store_read_end(txn);
}

static void check_presence(void) {
        for (unsigned i = 0; i < _PEOPLE_MAX; i++) {
                const KnownPresence *k =
                        directory_presence(alice.parts->directory, person_account(&people[i]));
                bool said = false;

                for (unsigned j = 0; j < _PEOPLE_MAX; j++)
                        said |= was_online[j] && same_account(&people[i], &people[j]);
                MUST(!k || !k->online || said);
        }
}

/* The tracker */

static Buffer script_presence(Script *in, const Person *p) {
        static const char *const endpoints[] = {NULL, "192.0.2.1:7425", "[2001:db8::1]:1", "x:0"};
        uint8_t how = script_u8(in);

        was_online[p - people] |= how % _PRESENCE_MAX != PRESENCE_OFFLINE;
        return person_presence(p, how % _PRESENCE_MAX, how >> 4, endpoints[how >> 2 & 3]);
}

static uint64_t script_question(Script *in, uint64_t *ret_type) {
        uint8_t b = script_u8(in);
        Question q = {};

        if (n_open > 0 && b < 0xf0) {
                q = open_questions[b % n_open];
                memmove(&open_questions[b % n_open], &open_questions[b % n_open + 1],
                        (n_open - b % n_open - 1) * sizeof(q));
                n_open--;
        }
        *ret_type = q.type;
        return q.id > 0 ? q.id : b;
}

static void answer_lookup(Script *in, uint64_t id) {
        const Person *p = script_person(in);
        _cleanup_(buffer_done) Buffer presence = script_presence(in, p);
        uint8_t how = script_u8(in);
        LookupAnswer a = {.record = p->local.record, .last_seen = script_number(in)};

        if (how & 1)
                a.presence = buffer_bytes(&presence);
        MUST(lookup_answer_encode(&far.out, id, &a) == 0);
}

/* Up to a hundred, over and over, with or without more behind them. */
static void answer_list(Script *in, uint64_t id) {
        static ListPeersAnswer a;
        uint8_t how = script_u8(in), first = script_u8(in);

        a.n_peers = how & 0x80 && n_long++ < LONG_MAX ? LIST_PEERS_MAX : how & 0x0f;
        a.after = (Bytes){};
        for (size_t i = 0; i < a.n_peers; i++)
                a.peers[i].record = people[(first + i) % _PEOPLE_MAX].local.record;
        if (how & 0x40)
                a.after = text_bytes("there is more");
        MUST(list_peers_answer_encode(&far.out, id, &a) == 0);
}

static void say_error(Script *in, uint64_t id) {
        uint8_t code = script_u8(in);

        MUST(error_encode(&far.out, id, code % _CODE_MAX, code & 0x80 ? "" : "says the tracker",
                     script_number(in) % RETRY_AFTER_MAX) == 0);
}

/* As it should be, with the bits of HOW for what is not. */
static void say_answer(Script *in) {
        uint8_t how = script_u8(in);
        uint64_t type, id = script_question(in, &type);

        if (how & 1)
                type = script_u8(in);
        if (how & 2)
                say_error(in, id);
        else if (type == FRAME_LOOKUP)
                answer_lookup(in, id);
        else if (type == FRAME_LIST_PEERS)
                answer_list(in, id);
        else
                MUST(frame_put_empty(&far.out, FRAME_OK, id) == 0);
}

static void push_presence(Script *in) {
        uint8_t how = script_u8(in);
        const Person *p = script_person(in), *of = how & 1 ? script_person(in) : p;
        _cleanup_(buffer_done) Buffer presence = script_presence(in, p);
        PresencePush push = {.online = !(how & 2), .last_seen = script_number(in)};

        memcpy(push.account, person_account(of), KEY_SIZE);
        if (!(how & 4))
                push.presence = buffer_bytes(&presence);
        (void)presence_push_encode(&far.out, &push);
}

static void push_record(Script *in) {
        FrameType type = script_u8(in) & 1 ? FRAME_SESSION_REPLACED : FRAME_RECORD;

        MUST(record_frame_encode(&far.out, type, 0, script_person(in)->local.record) == 0);
}

static void say_hello(Script *in) {
        uint8_t how = script_u8(in);
        Hello h = {.versions = {how & 1 ? script_number(in) : PROTOCOL_VERSION},
                .n_versions = 1,
                .heartbeat = how & 2 ? (uint32_t)script_number(in) : 30};

        if (!(how & 4))
                MUST(hello_encode(&far.out, &h) == 0);
        if (!(how & 8))
                MUST(hello_ok_encode(&far.out, &(HelloOk){}) == 0);
}

static void say_bye(Script *in) {
        uint8_t how = script_u8(in);
        Bytes record = how & 0x80 ? script_person(in)->local.record : (Bytes){};

        MUST(bye_encode(&far.out, how % _CODE_MAX, "says the tracker", record) == 0);
}

static void say_frame(Script *in) {
        uint8_t type = script_u8(in);
        Bytes body;

        if (type < 0x80) {
                (void)frame_put_empty(&far.out, type, script_u8(in));
                return;
        }
        scripted = true;
        if (type < 0xc0) {
                script_alter(in, &far.out, far.out.begin);
                return;
        }
        body = script_bytes(in);
        MUST(buffer_append(&far.out, body.data, body.size) == 0);
}

static void take_frame(Frame *f) {
        if (f->type == FRAME_PING) {
                MUST(frame_put_empty(&far.out, FRAME_PONG, f->request) == 0);
                return;
        }
        if (f->type < FRAME_REGISTER || f->type > FRAME_ACCOUNT)
                return;
        MUST(f->request > 0);
        if (n_open < OPEN_MAX)
                open_questions[n_open++] = (Question){.type = f->type, .id = f->request};
}

/* With the key that alice expects. */
static void on_accept(void *userdata, Transport *t) {
        FUZZ_OWN_MEMORY;

        raw_close(&far);
        far = (RawEnd){.transport = t};
        n_open = 0;
        raw_say_tls(&far, "p2pchat-tracker/1",
                sign_key_public(scripted && !polite ? &people[MALLORY].device : &tracker.device));
        if (polite) {
                say_hello(&(Script){});
                (void)raw_flush(&far);
        }
}

static void pass_time(usec_t time) {
        Frame f;

        (void)raw_flush(&far);
        {
                FUZZ_THEIR_MEMORY;
                sim_run(&alice.sim, time);
        }
        while (raw_take(&far, &f))
                take_frame(&f);
        check_contact();
        check_presence();
        MUST(account_is_active(alice.parts->account) || account_is_replaced(alice.parts->account));
}

/* The user */

/* Whoever it went to is called so, or is who was meant. */
static void check_recipient(const Sent *s) {
        OutboxRow row;
        DbTxn *txn;
        Contact c;
        bool is_theirs = false;

        MUST(store_read_begin(alice.store, &txn) == 0);
        MUST(outbox_find(txn, &s->id, &row) == 1);
        MUST(contact_get_by_number(txn, row.recipient, &c) == 1 && c.flags & CONTACT_PINNED);
        for (int i = 0; i < _PEOPLE_MAX; i++)
                is_theirs |= key_equal(c.account, person_account(&people[i])) &&
                        (s->to >= 0 ? same_account(&people[i], &people[s->to])
                                    : streq(people[i].name, s->name));
        MUST(is_theirs);
        store_read_end(txn);
}

static void on_sent(void *userdata, const ChatError *error, const char *id) {
        FUZZ_OWN_MEMORY;
        Sent *s = userdata;

        MUST(s->answers++ == 0);
        s->kept = !error;
        if (!error) {
                MUST(uuid_parse(id, &s->id) == 0);
                check_recipient(s);
        }
}

static void send_message(Script *in) {
        static const char *const names[] = {"bob", "carol", "dave", "erin"};
        uint8_t b = script_u8(in);
        Sent *s = &sent[n_sent];
        char to[BASE32_KEY_SIZE + 2];

        if (n_sent == SENT_MAX)
                return;
        n_sent++;
        *s = (Sent){
                .to = b & 0x80 ? (int)(b % _PEOPLE_MAX) : -1, .name = names[b % ELEMENTSOF(names)]};
        if (s->to < 0 && streq(s->name, "bob"))
                s->to = BOB;
        if (b & 0x80) {
                to[0] = '@';
                base32_encode_key(person_account(&people[s->to]), to + 1);
        } else
                snprintf(to, sizeof(to), "%s", s->name);
        FUZZ_THEIR_MEMORY;
        chat_send(alice.chat, &(ChatSend){.to = to, .text = "hi"}, on_sent, s);
}

static bool on_peer(void *userdata, const ChatPeer *p) {
        MUST(p->name[0] && strlen(p->account) == BASE32_KEY_SIZE && p->presence);
        return true;
}

static void log_out_and_in(void) {
        FUZZ_THEIR_MEMORY;
        directory_stop(alice.parts->directory);
        directory_start(alice.parts->directory);
}

static void on_peers(void *userdata, const ChatError *error, bool more) {
        FUZZ_OWN_MEMORY;

        lists_answered++;
        if (!stops_at_answer)
                return;
        stops_at_answer = false;
        log_out_and_in();
}

static void list_peers(Script *in) {
        uint8_t how = script_u8(in);
        ChatListPeers l = {.all = how & 1, .limit = 1 + (how >> 2)};

        if (how & 2)
                l.name = people[how % _PEOPLE_MAX].name;
        lists_asked++;
        FUZZ_THEIR_MEMORY;
        chat_list_peers(alice.chat, &l, on_peer, on_peers, NULL);
}

static void on_check(void *userdata, const ChatCheck *check) {
        MUST(check->check && check->state && check->text[0]);
}

static void look_around(Script *in) {
        ChatStatus s;

        FUZZ_THEIR_MEMORY;
        chat_status(alice.chat, &s);
        chat_doctor(alice.chat, on_check, NULL);
}

/* Who is not answered comes back every minute, so days of it take too long. */
static usec_t script_wait(Script *in) {
        usec_t t = MIN(script_time(in), time_left);

        time_left -= t;
        return t + USEC_PER_MSEC;
}

/* To none, one or two, of which the second does not answer; or as by logging out and in, at once
 * or when the next list is answered. */
static void change_trackers(Script *in) {
        uint8_t how = script_u8(in);
        EndpointKey list[3] = {address, address, address};

        list[1].port++;
        stops_at_answer = how & 8;
        if ((how & 3) == 3) {
                log_out_and_in();
                return;
        }
        FUZZ_THEIR_MEMORY;
        if (!stops_at_answer)
                MUST(directory_set_trackers(
                             alice.parts->directory, list + (how >> 2 & 1), how & 3) == 0 ||
                        fuzz_failed());
}

static void step(Script *in) {
        static void (*const frames[])(Script * in) = {
                say_answer, say_answer, push_presence, push_record, say_hello, say_bye, say_frame};
        static void (*const acts[])(Script * in) = {send_message, list_peers, look_around};
        uint8_t op = script_u8(in);

        switch (op & 0x0f) {
        case 0 ... ELEMENTSOF(frames) - 1:
                if (far.transport)
                        frames[op & 0x0f](in);
                break;
        case 7 ... 9:
                acts[(op & 0x0f) - 7](in);
                break;
        case 10:
                raw_close(&far);
                break;
        case 11:
                polite = op & 0x10;
                scripted |= op & 0x20;
                break;
        case 12:
                change_trackers(in);
                break;
        default:
                pass_time(script_wait(in));
        }
}

static void run_begin(Script *in) {
        if (!people[BOB].sim)
                make_world();
        store_image_put(&dir, &begin);
        scripted = stops_at_answer = false;
        polite = script_u8(in) & 1;
        n_sent = n_open = lists_asked = lists_answered = n_long = 0;
        time_left = 3 * USEC_PER_HOUR;
        memset(was_online, 0, sizeof(was_online));
        newest = &people[BOB];
        address = (EndpointKey){.port = TRACKER_PORT};
        snprintf(address.host, sizeof(address.host), "%s", TRACKER_HOST);
        memcpy(address.key, sign_key_public(&tracker.device), KEY_SIZE);
        sim_new(&alice.sim, 1);
        MUST(network_listen(alice.sim.network, TRACKER_HOST, TRACKER_PORT, on_accept, NULL) == 0);
        MUST(store_open(alice.dir, alice.sim.loop, &alice.store) == 0);
        chat_lab_start(&alice);
        parts_set_trackers(alice.parts, &address, 1);
        parts_publish(alice.parts, &(Endpoints){.text = {"192.0.2.7:7425"}, .n = 1});
        pass_time(20 * USEC_PER_MSEC);
}

static void run_end(void) {
        raw_close(&far);
        pass_time(USEC_PER_MINUTE);
        raw_close(&far);
        for (size_t i = 0; i < n_sent; i++)
                MUST(sent[i].answers == 1 || fuzz_failed());
        MUST(lists_answered == lists_asked || fuzz_failed());
        {
                FUZZ_THEIR_MEMORY;
                chat_lab_stop(&alice);
                alice.store = store_close(alice.store);
        }
        raw_close(&far);
        sim_free(&alice.sim);
}

void fuzz_one(const uint8_t *data, size_t size) {
        script_run(data, size, run_begin, step, run_end);
}
