/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Whoever tries passwords at a tracker, and stretches none: any login key is as wrong as another.
 *
 *   guesser PORT
 *
 * The tracker is at PORT of 127.0.0.1. Reads commands, and answers each with a line of JSON.
 *
 *   make SOURCE NAME        somebody of that name registers and sets a password: {"made": NAME}, or
 *                           {"refused": CODE} where there is no key for it
 *   try SOURCE NAME...      one try for each, over one session: a list of what was said to it and
 *                           in what time, in µs
 *
 * A session comes from the address SOURCE after 127.0.1.0.
 */

#include <systemd/sd-event.h>

#include "../bench/bench.h"
#include "crypto/oprf.h"
#include "net/loop-sd-event.h"
#include "net/tcp.h"
#include "node/node.h"
#include "people.h"
#include "wire/account.h"

typedef struct Answer {
        Code code; /* _CODE_MAX: has not come */
        size_t size; /* of the frame */
        OprfAnswer oprf;
} Answer;

typedef struct Guesser {
        sd_event *event;
        Loop *loop;
        Net *net;
        uint16_t port;
        Someone self;
        Conn *conn;
        uint8_t tracker[KEY_SIZE];
        bool greeted;
        uint64_t request;
        bool asks; /* the answer is that to an OPRF */
        Answer answer;
} Guesser;

static void queued(Guesser *g, int r) {
        bench_check(r, "frame");
        conn_queued(g->conn);
}

static void on_open(void *userdata, const uint8_t key[static KEY_SIZE]) {
        Guesser *g = userdata;
        Hello h = {.versions = {PROTOCOL_VERSION},
                .n_versions = 1,
                .certificate = g->self.local.certificate,
                .record = g->self.local.record,
                .heartbeat = 3600};

        memcpy(g->tracker, key, KEY_SIZE);
        loop_random(g->loop, h.boot_nonce, sizeof(h.boot_nonce));
        queued(g, hello_encode(conn_output(g->conn), &h));
}

static void take_answer(Guesser *g, Frame *f) {
        Refusal no;

        g->answer.size = f->size;
        if (f->type == FRAME_ERROR) {
                bench_check(refusal_decode(f, &no), "ERROR");
                g->answer.code = no.code;
                return;
        }
        if (g->asks)
                bench_check(oprf_answer_decode(f, &g->answer.oprf), "OPRF");
        g->answer.code = CODE_OK;
}

static int on_frame(void *userdata, Frame *f) {
        Guesser *g = userdata;

        if (f->type == FRAME_HELLO_OK)
                g->greeted = true;
        else if (f->type == FRAME_OK || f->type == FRAME_ERROR)
                take_answer(g, f);
        else if (f->type == FRAME_BYE)
                bench_check(-ECONNRESET, "the tracker ends the session");
        return 0;
}

static void on_closed(void *userdata, int error, const char *text) {
        fprintf(stderr, "guesser: %s\n", text);
        exit(1);
}

static const ConnCallbacks callbacks = {.open = on_open, .frame = on_frame, .closed = on_closed};

/* As somebody of that name, or as nobody. */
static void session_begin(Guesser *g, unsigned source, const char *name) {
        Transport *t;
        SockAddr peer;
        int fd;

        bench_check(someone_make(g->loop, name ?: "nobody", &g->self), "identity");
        bench_check(tls_identity_new(&g->self.device, &g->self.local.tls), "TLS");
        if (!name)
                g->self.local.certificate = g->self.local.record = (Bytes){};
        fd = loopback_connect(source, g->port, &peer);
        bench_check(fd, "connect");
        bench_check(tcp_transport_new(g->loop, fd, &peer, NULL, &t), "transport");
        bench_check(conn_new(g->net, t, g->self.local.tls, TLS_CLIENT, NODE_ALPN, &callbacks, g,
                            &g->conn),
                "connection");
        g->greeted = false;
        g->request = 100; /* and less than 256 always: written in as many bytes */
        while (!g->greeted)
                bench_check(sd_event_run(g->event, UINT64_MAX), "loop");
}

static void session_end(Guesser *g) {
        g->conn = conn_free(g->conn);
        someone_done(&g->self);
        g->self = (Someone){};
}

/* The answer to what was just queued. */
static const Answer *await(Guesser *g) {
        g->answer.code = _CODE_MAX;
        conn_queued(g->conn);
        while (g->answer.code == _CODE_MAX)
                bench_check(sd_event_run(g->event, UINT64_MAX), "loop");
        return &g->answer;
}

static OprfRequest oprf_request(Guesser *g, const char *name) {
        uint8_t random[OPRF_RANDOM_SIZE], blind[OPRF_KEY_SIZE];
        OprfRequest o = {};

        if (name)
                snprintf(o.name, sizeof(o.name), "%s", name);
        loop_random(g->loop, random, sizeof(random));
        bench_check(oprf_blind(text_bytes("guess"), random, blind, o.blinded), "blind");
        return o;
}

static const Answer *ask(Guesser *g, const OprfRequest *o) {
        bench_check(oprf_request_encode(conn_output(g->conn), ++g->request, o), "OPRF");
        g->asks = true;
        return await(g);
}

static void must_ok(const Answer *a, const char *what) {
        if (a->code == CODE_OK)
                return;
        fprintf(stderr, "guesser: %s: %s\n", what, code_name(a->code));
        exit(1);
}

/* A login key that nobody will find, and a backup that nobody can open. */
static void set_password(Guesser *g, const OprfAnswer *key) {
        static const uint8_t backup[160];
        _cleanup_(buffer_done) Buffer statement = BUFFER_NULL;
        AccountStatement s = {.seq = loop_realtime(g->loop) / USEC_PER_MSEC,
                .has_password = true,
                .key_id = key->key_id,
                .memory = key->memory,
                .passes = key->passes,
                .backup = {.data = backup, .size = sizeof(backup)},
                .issued = loop_realtime(g->loop)};
        SignKey login;

        sign_key_generate(&login);
        memcpy(s.account, sign_key_public(&g->self.account), KEY_SIZE);
        memcpy(s.login, sign_key_public(&login), KEY_SIZE);
        bench_check(account_statement_encode(&s, &g->self.account, &statement), "statement");
        bench_check(account_encode(conn_output(g->conn), ++g->request, buffer_bytes(&statement)),
                "ACCOUNT");
}

static void make(Guesser *g, unsigned source, const char *name) {
        OprfRequest o = oprf_request(g, NULL);
        OprfAnswer key;

        session_begin(g, source, name);
        g->asks = false;
        bench_check(record_frame_encode(conn_output(g->conn), FRAME_REGISTER, ++g->request,
                            g->self.local.record),
                "REGISTER");
        must_ok(await(g), "REGISTER");
        memcpy(o.account, sign_key_public(&g->self.account), KEY_SIZE);
        o.enrol = true;
        if (ask(g, &o)->code != CODE_OK) {
                session_end(g);
                printf("{\"refused\": \"%s\"}\n", code_name(g->answer.code));
                return;
        }
        key = g->answer.oprf;
        set_password(g, &key);
        g->asks = false;
        must_ok(await(g), "ACCOUNT");
        session_end(g);
        printf("{\"made\": \"%s\"}\n", name);
}

static void try_one(Guesser *g, const char *name, const char *separator) {
        uint8_t exporter[LOGIN_EXPORTER_SIZE], signature[SIGNATURE_SIZE];
        OprfRequest o = oprf_request(g, name);
        uint64_t start, asked, done;
        size_t size;
        SignKey login;

        sign_key_generate(&login);
        start = bench_now();
        must_ok(ask(g, &o), "OPRF");
        asked = bench_now() - start;
        size = g->answer.size;
        bench_check(conn_export(g->conn, LOGIN_EXPORTER_LABEL, exporter, sizeof(exporter)), "TLS");
        bench_check(login_sign(&login, exporter, g->tracker, &o, signature), "sign");
        start = bench_now();
        bench_check(login_encode(conn_output(g->conn), ++g->request, signature), "LOGIN");
        g->asks = false;
        (void)await(g);
        done = bench_now() - start;
        printf("%s{\"name\": \"%s\", \"code\": \"%s\", \"oprf\": %.3f, \"login\": %.3f, "
               "\"sizes\": [%zu, %zu], \"key\": %llu}",
                separator, name, code_name(g->answer.code), (double)asked / 1e3, (double)done / 1e3,
                size, g->answer.size, (unsigned long long)g->answer.oprf.key_id);
}

static void command(Guesser *g, char *line) {
        const char *verb = strtok(line, " \n"), *number = strtok(NULL, " \n");
        const char *separator = "[";
        unsigned source;

        if (!verb || !number)
                bench_check(-EINVAL, "command");
        source = (unsigned)bench_number(number);
        if (strcmp(verb, "make") == 0) {
                make(g, source, strtok(NULL, " \n"));
                return;
        }
        session_begin(g, source, NULL);
        for (const char *name = strtok(NULL, " \n"); name; name = strtok(NULL, " \n")) {
                try_one(g, name, separator);
                separator = ", ";
        }
        printf("]\n");
        session_end(g);
}

int main(int argc, char **argv) {
        static char line[65536];
        Guesser g = {};

        if (argc != 2) {
                fprintf(stderr, "usage: guesser PORT\n");
                return 2;
        }
        g.port = (uint16_t)bench_number(argv[1]);
        setvbuf(stdout, NULL, _IOLBF, 0);
        bench_check(crypto_init(), "crypto");
        bench_check(sd_event_new(&g.event), "event loop");
        bench_check(loop_sd_event_new(g.event, &g.loop), "loop");
        bench_check(net_new(g.loop, &g.net), "net");
        while (fgets(line, sizeof(line), stdin))
                command(&g, line);
        return 0; /* what there is goes with the process */
}
