/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Somebody who leaves mail at a tracker, or takes it, as fast as that lets him:
 *
 *   postman PORT NAME
 *
 * The tracker is at PORT of 127.0.0.1. Keys follow from the NAME, so that whoever is called the
 * same later is the same; so do letters from the name of their recipient, a number and a size, and
 * anybody here can make the recipient's tokens. Reads commands, and answers each with a line of
 * JSON: how many went well, what was said to the others, and how long one of them took.
 *
 *   open | open-anonymous          a session
 *   register                       the name, with a key for mail
 *   deposit TO WHO FIRST N SIZE    letters from number FIRST on, with a token of the WHO-th
 *                                  contact; WHO 0: with a stamp, -1: with neither
 *   status TO FIRST N SIZE         how many are held, and gone
 *   withdraw TO FIRST N SIZE
 *   collected TO FIRST N SIZE
 *   collect                        the numbers of all that is there
 *   close
 *
 *   window N                       so many requests are awaited at a time, 48 where not said
 */

#include <stdio.h>

#include <systemd/sd-event.h>

#include "../bench/bench.h"
#include "crypto/stamp.h"
#include "net/greeting.h"
#include "net/loop-sd-event.h"
#include "net/tcp.h"
#include "node/node.h"
#include "people.h"
#include "wire/mailbox.h"

#define PREKEY 7
#define NUMBERS_MAX 100000
#define REASONS_MAX 8

typedef struct Identity {
        SignKey account, device;
        Buffer certificate, record;
} Identity;

/* What one command asks for. */
typedef struct Round {
        FrameType type;
        char to[NAME_SIZE];
        int who;
        unsigned first, n, size;
        unsigned next, busy, ok, held, gone;
        uint64_t started[NUMBERS_MAX], took[NUMBERS_MAX];
        size_t n_took;
        struct {
                char name[CODE_NAME_MAX + 1], text[128];
                unsigned n;
        } reasons[REASONS_MAX];
        size_t n_reasons;
} Round;

static sd_event *event;
static Loop *loop;
static Net *net;
static uint16_t port;
static Identity self;
static LocalIdentity local;
static Conn *conn;
static bool is_open, is_closed;
static unsigned window = 48;
static Round round_now;

static void key_of(const char *name, const char *what, SignKey *ret) {
        uint8_t seed[SHA256_SIZE];
        char text[NAME_SIZE + 16];

        snprintf(text, sizeof(text), "%s %s", name, what);
        sha256(text, strlen(text), seed);
        sign_key_from_seed(seed, ret);
}

static void identity_make(const char *name, Identity *ret) {
        usec_t now = loop_realtime(loop), expires = now + 100 * USEC_PER_DAY;
        Certificate c = {.epoch = 1, .issued = now, .expires = expires};
        Record rec = {.epoch = 1,
                .seq = now / 1000,
                .issued = now,
                .expires = expires,
                .suites = {MAIL_SUITE_HPKE},
                .n_suites = 1,
                .prekeys = {{MAIL_SUITE_HPKE, PREKEY, {c.device, KEY_SIZE}}},
                .n_prekeys = 1};

        key_of(name, "account", &ret->account);
        key_of(name, "device", &ret->device);
        memcpy(c.account, sign_key_public(&ret->account), KEY_SIZE);
        memcpy(c.device, sign_key_public(&ret->device), KEY_SIZE);
        bench_check(certificate_encode(&c, &ret->account, &ret->device, &ret->certificate), "name");
        memcpy(rec.account, c.account, KEY_SIZE);
        snprintf(rec.name, sizeof(rec.name), "%s", name);
        rec.certificate = buffer_bytes(&ret->certificate);
        bench_check(record_encode(&rec, &ret->account, &ret->record), "record");
}

/* Letters */

static void letter_make(unsigned number, unsigned size, Buffer *ret, uint8_t id[SHA256_SIZE]) {
        static uint8_t text[MAIL_ENVELOPE_MAX];
        Envelope e = {.suite = MAIL_SUITE_HPKE, .prekey = PREKEY, .ciphertext = {text, size}};

        memcpy(e.enc, &number, sizeof(number));
        memcpy(e.enc + 8, round_now.to, MIN(strlen(round_now.to), 24U));
        buffer_clear(ret);
        bench_check(envelope_encode(ret, &e), "envelope");
        envelope_id(buffer_bytes(ret), id);
}

static void secret_of(unsigned number, uint8_t ret[static WITHDRAW_SECRET_SIZE]) {
        sha256(&number, sizeof(number), ret);
}

/* The same for all of a round. */
static Bytes token_of(const SignKey *account) {
        static Buffer token;
        DepositToken t = {.pseudonym = {(uint8_t)round_now.who},
                .expires = loop_realtime(loop) + USEC_PER_DAY};

        memcpy(t.account, sign_key_public(account), KEY_SIZE);
        if (round_now.next == 0) {
                buffer_clear(&token);
                bench_check(deposit_token_encode(&token, &t, account), "token");
        }
        return buffer_bytes(&token);
}

static int write_deposit(Buffer *out, uint64_t request, const SignKey *to, Bytes envelope,
        const uint8_t *id, unsigned number) {
        Deposit d = {.envelope = envelope, .expires = loop_realtime(loop) + 10 * USEC_PER_DAY};
        uint8_t secret[WITHDRAW_SECRET_SIZE];
        Stamp s;

        memcpy(d.account, sign_key_public(to), KEY_SIZE);
        secret_of(number, secret);
        sha256(secret, sizeof(secret), d.withdraw_hash);
        if (round_now.who > 0)
                d.token = token_of(to);
        else if (round_now.who == 0) {
                stamp_init(&s, d.account, id, MAIL_STAMP_BITS);
                while (!stamp_search(&s, 1 << 20))
                        ;
                d.has_stamp = true;
                d.stamp = s.nonce;
        }
        return deposit_encode(out, request, &d);
}

static int write_status(Buffer *out, uint64_t request, const SignKey *to, const uint8_t *id) {
        MailStatus s = {.n_ids = 1};

        memcpy(s.account, sign_key_public(to), KEY_SIZE);
        memcpy(s.ids[0], id, SHA256_SIZE);
        return mail_status_encode(out, request, &s);
}

static int write_withdraw(
        Buffer *out, uint64_t request, const SignKey *to, const uint8_t *id, unsigned number) {
        Withdraw w;

        memcpy(w.account, sign_key_public(to), KEY_SIZE);
        memcpy(w.id, id, SHA256_SIZE);
        secret_of(number, w.secret);
        return withdraw_encode(out, request, &w);
}

/* Rounds */

static void round_ask(unsigned i) {
        static Buffer envelope;
        unsigned number = round_now.first + i;
        Buffer *out = conn_output(conn);
        uint8_t id[SHA256_SIZE];
        uint64_t request = i + 1;
        SignKey to;
        int r;

        key_of(round_now.to, "account", &to);
        letter_make(number, round_now.size, &envelope, id);
        round_now.started[i] = bench_now();
        switch (round_now.type) {
        case FRAME_DEPOSIT:
                r = write_deposit(out, request, &to, buffer_bytes(&envelope), id, number);
                break;
        case FRAME_MAIL_STATUS:
                r = write_status(out, request, &to, id);
                break;
        case FRAME_WITHDRAW:
                r = write_withdraw(out, request, &to, id, number);
                break;
        default:
                r = collected_encode(out, request, &(Collected){.ids = {id, SHA256_SIZE}});
        }
        bench_check(r, "request");
        conn_queued(conn);
}

static void round_go_on(void) {
        while (round_now.next < round_now.n && round_now.busy < window && !is_closed) {
                round_now.busy++;
                round_ask(round_now.next);
                round_now.next++;
        }
}

static void take_reason(Frame *f) {
        size_t i = 0;
        Refusal x;

        bench_check(refusal_decode(f, &x), "refusal");
        while (i < round_now.n_reasons && !streq(round_now.reasons[i].name, code_name(x.code)))
                i++;
        if (i == REASONS_MAX)
                return;
        if (i == round_now.n_reasons) {
                snprintf(round_now.reasons[i].name, sizeof(round_now.reasons[i].name), "%s",
                        code_name(x.code));
                snprintf(round_now.reasons[i].text, sizeof(round_now.reasons[i].text), "%.*s",
                        (int)x.text.size, x.text.data);
                round_now.reasons[i].n = 0;
                round_now.n_reasons++;
        }
        round_now.reasons[i].n++;
}

static void take_answer(Frame *f) {
        MailStatusAnswer a;

        round_now.busy--;
        round_now.took[round_now.n_took++] =
                bench_now() - round_now.started[(f->request - 1) % NUMBERS_MAX];
        if (f->type == FRAME_ERROR)
                take_reason(f);
        else
                round_now.ok++;
        if (f->type == FRAME_OK && round_now.type == FRAME_MAIL_STATUS) {
                bench_check(mail_status_answer_decode(f, &a), "status");
                round_now.held += a.items[0].state == MAIL_HELD;
                round_now.gone += a.items[0].state == MAIL_GONE;
        }
}

/* COLLECT, page by page, one at a time. */

static void collect_page(Bytes after) {
        bench_check(collect_encode(
                            conn_output(conn), 1, &(Collect){.after = after, .limit = COLLECT_MAX}),
                "collect");
        conn_queued(conn);
        round_now.busy = 1;
}

static void take_page(Frame *f) {
        uint8_t after[COLLECT_AFTER_MAX];
        unsigned number;
        CollectAnswer a;
        Envelope e;

        round_now.busy = 0;
        if (f->type == FRAME_ERROR) {
                take_reason(f);
                return;
        }
        bench_check(collect_answer_decode(f, &a), "collect");
        for (size_t i = 0; i < a.n_items; i++) {
                bench_check(envelope_decode(a.items[i].envelope, &e), "envelope");
                memcpy(&number, e.enc, sizeof(number));
                printf("%s%u", round_now.ok++ > 0 ? ", " : "", number);
        }
        copy_bytes(after, a.after.data, a.after.size);
        if (a.after.size > 0)
                collect_page((Bytes){after, a.after.size});
}

/* The session */

static void on_open(void *userdata, const uint8_t key[static KEY_SIZE]) {
        bench_check(greeting_send(conn, &local, NULL), "HELLO");
}

static int on_frame(void *userdata, Frame *f) {
        switch (f->type) {
        case FRAME_HELLO_OK:
                is_open = true;
                break;
        case FRAME_OK:
        case FRAME_ERROR:
                if (round_now.type == FRAME_COLLECT)
                        take_page(f);
                else
                        take_answer(f);
                break;
        case FRAME_PING:
                bench_check(frame_put_empty(conn_output(conn), FRAME_PONG, f->request), "PONG");
                conn_queued(conn);
                break;
        default: /* MAIL_WAITING; the end is told by the connection */
                break;
        }
        if (round_now.type != FRAME_COLLECT)
                round_go_on();
        return 0;
}

static void on_closed(void *userdata, int error, const char *text) {
        is_closed = true;
}

static const ConnCallbacks callbacks = {.open = on_open, .frame = on_frame, .closed = on_closed};

static void wait_for(const bool *done) {
        while (!*done && !is_closed)
                bench_check(sd_event_run(event, UINT64_MAX), "loop");
}

static void session_close(void) {
        conn = conn_free(conn);
        is_open = false;
        is_closed = true;
}

static void session_open(bool anonymous) {
        Transport *t;
        SockAddr peer;
        int fd;

        session_close();
        is_closed = false;
        local = (LocalIdentity){.device = &self.device, .tls = local.tls, .heartbeat = 30};
        if (!anonymous) {
                local.account = &self.account;
                local.certificate = buffer_bytes(&self.certificate);
                local.record = buffer_bytes(&self.record);
        }
        fd = loopback_connect(1, port, &peer);
        bench_check(fd, "connect");
        bench_check(tcp_transport_new(loop, fd, &peer, NULL, &t), "transport");
        bench_check(conn_new(net, t, local.tls, TLS_CLIENT, NODE_ALPN, &callbacks, NULL, &conn),
                "connection");
        wait_for(&is_open);
        printf("{\"open\": %s}\n", is_open ? "true" : "false");
}

/* Commands */

static void round_print(uint64_t whole) {
        printf("{\"n\": %zu, \"ok\": %u, \"held\": %u, \"gone\": %u, \"closed\": %s, "
               "\"reasons\": {",
                round_now.n_took, round_now.ok, round_now.held, round_now.gone,
                is_closed ? "true" : "false");
        for (size_t i = 0; i < round_now.n_reasons; i++)
                printf("%s\"%s\": [%u, \"%s\"]", i > 0 ? ", " : "", round_now.reasons[i].name,
                        round_now.reasons[i].n, round_now.reasons[i].text);
        printf("}");
        if (round_now.n_took > 0) {
                printf(", \"rate\": %.1f, ", (double)round_now.n_took * 1e9 / (double)whole);
                bench_print_times("p50", "p99", round_now.took, round_now.n_took);
        }
        printf("}\n");
}

static void round_run(void) {
        uint64_t start = bench_now();

        round_now.next = round_now.busy = round_now.ok = round_now.held = round_now.gone = 0;
        round_now.n_took = round_now.n_reasons = 0;
        if (round_now.n > NUMBERS_MAX)
                bench_check(-ERANGE, "letters");
        round_go_on();
        while ((round_now.busy > 0 || round_now.next < round_now.n) && !is_closed)
                bench_check(sd_event_run(event, UINT64_MAX), "loop");
        round_print(bench_now() - start);
}

static void run_register(void) {
        round_now = (Round){.type = FRAME_REGISTER, .n = 1, .next = 1, .busy = 1};
        bench_check(record_frame_encode(
                            conn_output(conn), FRAME_REGISTER, 1, buffer_bytes(&self.record)),
                "record");
        conn_queued(conn);
        while (round_now.busy > 0 && !is_closed)
                bench_check(sd_event_run(event, UINT64_MAX), "loop");
        round_print(1);
}

static void run_collect(void) {
        uint64_t start = bench_now();

        round_now = (Round){.type = FRAME_COLLECT};
        printf("{\"numbers\": [");
        collect_page((Bytes){});
        while (round_now.busy > 0 && !is_closed)
                bench_check(sd_event_run(event, UINT64_MAX), "loop");
        printf("], \"closed\": %s, \"reason\": \"%s\", \"rate\": %.1f}\n",
                is_closed ? "true" : "false",
                round_now.n_reasons > 0 ? round_now.reasons[0].name : "",
                (double)round_now.ok * 1e9 / (double)(bench_now() - start));
}

static void run_letters(const char *line) {
        char word[16];
        int n;

        if (sscanf(line, "deposit %31s %d %u %u %u", round_now.to, &round_now.who, &round_now.first,
                    &round_now.n, &round_now.size) == 5) {
                round_now.type = FRAME_DEPOSIT;
                round_run();
                return;
        }
        n = sscanf(line, "%15s %31s %u %u %u", word, round_now.to, &round_now.first, &round_now.n,
                &round_now.size);
        round_now.type = streq(word, "status") ? FRAME_MAIL_STATUS
                : streq(word, "withdraw")      ? FRAME_WITHDRAW
                : streq(word, "collected")     ? FRAME_COLLECTED
                                               : 0;
        if (n != 5 || round_now.type == 0)
                bench_check(-EINVAL, line);
        round_run();
}

static void run_command(const char *line) {
        if (streq(line, "open\n") || streq(line, "open-anonymous\n"))
                session_open(streq(line, "open-anonymous\n"));
        else if (streq(line, "register\n"))
                run_register();
        else if (streq(line, "collect\n"))
                run_collect();
        else if (streq(line, "close\n")) {
                session_close();
                printf("{}\n");
        } else if (sscanf(line, "window %u", &window) == 1)
                printf("{}\n");
        else
                run_letters(line);
}

_Static_assert(NAME_SIZE > 31, "names are read with a limit of 31");

int main(int argc, char **argv) {
        char line[256];

        if (argc != 3) {
                fprintf(stderr, "usage: postman PORT NAME\n");
                return 2;
        }
        port = (uint16_t)bench_number(argv[1]);
        setvbuf(stdout, NULL, _IOLBF, 0);
        bench_check(crypto_init(), "crypto");
        bench_check(sd_event_new(&event), "event loop");
        bench_check(loop_sd_event_new(event, &loop), "loop");
        bench_check(net_new(loop, &net), "net");
        identity_make(argv[2], &self);
        bench_check(tls_identity_new(&self.device, &local.tls), "TLS");
        while (fgets(line, sizeof(line), stdin))
                run_command(line);
        return 0; /* what there is goes with the process */
}
