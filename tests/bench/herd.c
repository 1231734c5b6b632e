/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Many users of one tracker, as fast as it lets them.
 *
 *   herd PORT PREFIX SOURCE
 *
 * The tracker is at PORT of 127.0.0.1; the users are called PREFIX and a number, and come from the
 * addresses from SOURCE on after 127.0.1.0, HERD_PER_ADDRESS from each. Reads commands, and answers
 * each with a line of JSON: how many a second, and how long one of them took.
 *
 *   open N WINDOW         sessions, TCP, TLS and HELLO, until N are open
 *   register N WINDOW     names, of the first N that have none
 *   join N WINDOW         both: open, register
 *   publish N WINDOW      presence, of the first N
 *   watch N WINDOW        HERD_WATCHED others, by the first N
 *   ping N WINDOW ROUNDS  heartbeats, of the first N, each so often
 *   password N WINDOW     a new password, of the first N; stretched it is not
 *   login N WINDOW ROUNDS with that password, of the first N, each so often
 *   close                 ends all sessions; what follows opens them again
 *
 * At most WINDOW of them are awaited at a time.
 */

#include <sys/resource.h>

#include <systemd/sd-event.h>

#include "bench.h"
#include "crypto/oprf.h"
#include "net/loop-sd-event.h"
#include "net/tcp.h"
#include "node/node.h"
#include "people.h"
#include "wire/account.h"

#define HERD_PER_ADDRESS 10000
#define HERD_WATCHED 10

#define HERD_MAX 100000

typedef enum Step {
        STEP_OPEN,
        STEP_REGISTER,
        STEP_JOIN,
        STEP_PUBLISH,
        STEP_WATCH,
        STEP_PING,
        STEP_PASSWORD,
        STEP_LOGIN,
        _STEP_MAX,
} Step;

static const char *const steps[] = {
        "open", "register", "join", "publish", "watch", "ping", "password", "login"};

typedef struct Herd Herd;

typedef struct Member {
        Herd *herd;
        unsigned number;
        Someone self;
        Conn *conn;
        uint8_t tracker[KEY_SIZE];
        SignKey login;
        OprfRequest asked; /* of the password */
        bool asks;
        bool registered;
        unsigned left; /* rounds of the present step */
        uint64_t start; /* of this round */
} Member;

struct Herd {
        sd_event *event;
        Loop *loop;
        Net *net;
        uint16_t port;
        const char *prefix;
        unsigned source;
        Member *members;
        unsigned n, n_open, n_registered;

        /* The present step: members from NEXT to END have not begun it. */
        Step step;
        unsigned next, end, rounds, busy, window;
        uint64_t *took;
        size_t n_took;
};

static void herd_go_on(Herd *h);

static void member_done(Member *m);

static void member_queued(Member *m, int r) {
        bench_check(r, steps[m->herd->step]);
        conn_queued(m->conn);
}

static void member_publish(Member *m) {
        PresenceRecord p = {.epoch = 1, .presence = PRESENCE_ONLINE, .seq = 1};
        _cleanup_(buffer_done) Buffer presence = BUFFER_NULL;
        Publish publish;

        memcpy(p.account, sign_key_public(&m->self.account), KEY_SIZE);
        memcpy(p.device, sign_key_public(&m->self.device), KEY_SIZE);
        bench_check(presence_encode(&p, &m->self.device, &presence), "presence");
        publish = (Publish){.presence = buffer_bytes(&presence)};
        member_queued(m, publish_encode(conn_output(m->conn), 1, &publish));
}

static void member_watch(Member *m) {
        uint8_t accounts[HERD_WATCHED][KEY_SIZE];
        Watch w = {.add = {.data = accounts[0], .size = sizeof(accounts)}};
        Herd *h = m->herd;

        for (unsigned i = 0; i < HERD_WATCHED; i++) {
                const Member *other = &h->members[(m->number + 1 + i) % h->n_open];

                memcpy(accounts[i], sign_key_public(&other->self.account), KEY_SIZE);
        }
        member_queued(m, watch_encode(conn_output(m->conn), 1, &w));
}

static void member_register(Member *m) {
        member_queued(m,
                record_frame_encode(conn_output(m->conn), FRAME_REGISTER, 1, m->self.local.record));
}

/* What is blinded does not matter: the login key does not come of it. */
static void member_ask(Member *m) {
        uint8_t random[OPRF_RANDOM_SIZE], blind[OPRF_KEY_SIZE];

        m->asked = (OprfRequest){.enrol = m->herd->step == STEP_PASSWORD};
        if (m->asked.enrol) {
                memcpy(m->asked.account, sign_key_public(&m->self.account), KEY_SIZE);
                sign_key_generate(&m->login);
        } else
                snprintf(m->asked.name, NAME_SIZE, "%s%u", m->herd->prefix, m->number);
        loop_random(m->herd->loop, random, sizeof(random));
        bench_check(oprf_blind(text_bytes("password"), random, blind, m->asked.blinded), "blind");
        m->asks = true;
        member_queued(m, oprf_request_encode(conn_output(m->conn), 1, &m->asked));
}

static void member_set_password(Member *m, const OprfAnswer *key) {
        static const uint8_t backup[160];
        _cleanup_(buffer_done) Buffer statement = BUFFER_NULL;
        uint64_t now = loop_realtime(m->herd->loop);
        AccountStatement s = {.seq = now / USEC_PER_MSEC,
                .has_password = true,
                .key_id = key->key_id,
                .memory = key->memory,
                .passes = key->passes,
                .backup = {.data = backup, .size = sizeof(backup)},
                .issued = now};

        memcpy(s.account, sign_key_public(&m->self.account), KEY_SIZE);
        memcpy(s.login, sign_key_public(&m->login), KEY_SIZE);
        bench_check(account_statement_encode(&s, &m->self.account, &statement), "statement");
        member_queued(m, account_encode(conn_output(m->conn), 2, buffer_bytes(&statement)));
}

static void member_log_in(Member *m) {
        uint8_t exporter[LOGIN_EXPORTER_SIZE], signature[SIGNATURE_SIZE];

        bench_check(conn_export(m->conn, LOGIN_EXPORTER_LABEL, exporter, sizeof(exporter)), "TLS");
        bench_check(login_sign(&m->login, exporter, m->tracker, &m->asked, signature), "sign");
        member_queued(m, login_encode(conn_output(m->conn), 2, signature));
}

/* There are two questions in each of these. */
static void member_go_on(Member *m, Frame *f) {
        OprfAnswer key;

        m->asks = false;
        bench_check(oprf_answer_decode(f, &key), "OPRF");
        if (m->asked.enrol)
                member_set_password(m, &key);
        else
                member_log_in(m);
}

static void on_open(void *userdata, const uint8_t key[static KEY_SIZE]) {
        Member *m = userdata;

        memcpy(m->tracker, key, KEY_SIZE);
        bench_check(greeting_send(m->conn, &m->self.local, NULL), "HELLO");
}

static void take_hello_ok(Member *m) {
        Herd *h = m->herd;

        h->n_open++;
        if (h->step == STEP_JOIN)
                member_register(m);
        else
                member_done(m);
}

/* ERROR, BYE, or what nobody has asked for. */
static void member_refused(const Member *m, Frame *f) {
        Refusal refusal = {.text = {.data = (const uint8_t *)"?", .size = 1}};

        (void)refusal_decode(f, &refusal);
        fprintf(stderr, "%s%u: frame %llu: %.*s\n", m->herd->prefix, m->number,
                (unsigned long long)f->type, (int)refusal.text.size, refusal.text.data);
        exit(1);
}

static int on_frame(void *userdata, Frame *f) {
        Member *m = userdata;

        switch (f->type) {
        case FRAME_HELLO_OK:
                take_hello_ok(m);
                break;
        case FRAME_OK:
                if (m->asks) {
                        member_go_on(m, f);
                        break;
                }
                if (m->herd->step == STEP_REGISTER || m->herd->step == STEP_JOIN) {
                        m->registered = true;
                        m->herd->n_registered++;
                }
                member_done(m);
                break;
        case FRAME_PONG:
                member_done(m);
                break;
        case FRAME_PING:
                member_queued(m, frame_put_empty(conn_output(m->conn), FRAME_PONG, f->request));
                break;
        case FRAME_HELLO:
        case FRAME_PRESENCE:
        case FRAME_RECORD:
                break;
        default:
                member_refused(m, f);
        }
        return 0;
}

static void on_closed(void *userdata, int error, const char *text) {
        const Member *m = userdata;

        fprintf(stderr, "%s%u: %s\n", m->herd->prefix, m->number, text);
        exit(1);
}

static const ConnCallbacks callbacks = {.open = on_open, .frame = on_frame, .closed = on_closed};

static void member_connect(Member *m) {
        unsigned source = m->herd->source + m->number / HERD_PER_ADDRESS;
        Herd *h = m->herd;
        Transport *t;
        SockAddr peer;
        int fd;

        fd = loopback_connect(source, h->port, &peer);
        bench_check(fd, "connect");
        bench_check(tcp_transport_new(h->loop, fd, &peer, NULL, &t), "transport");
        bench_check(conn_new(h->net, t, m->self.local.tls, TLS_CLIENT, NODE_ALPN, &callbacks, m,
                            &m->conn),
                "connection");
}

static void member_begin(Member *m) {
        m->start = bench_now();
        switch (m->herd->step) {
        case STEP_OPEN:
        case STEP_JOIN:
                member_connect(m);
                break;
        case STEP_REGISTER:
                member_register(m);
                break;
        case STEP_PUBLISH:
                member_publish(m);
                break;
        case STEP_WATCH:
                member_watch(m);
                break;
        case STEP_PING:
                member_queued(m, frame_put_empty(conn_output(m->conn), FRAME_PING, 1));
                break;
        case STEP_PASSWORD:
        case STEP_LOGIN:
                member_ask(m);
                break;
        default:
                break;
        }
}

static void member_done(Member *m) {
        Herd *h = m->herd;

        h->took[h->n_took++] = bench_now() - m->start;
        if (--m->left > 0) {
                member_begin(m);
                return;
        }
        h->busy--;
        herd_go_on(h);
}

static void herd_go_on(Herd *h) {
        for (; h->next < h->end && h->busy < h->window; h->next++, h->busy++) {
                h->members[h->next].left = h->rounds;
                member_begin(&h->members[h->next]);
        }
}

/* Keys and signatures of the people to come are made before the clock runs. */
static void herd_grow(Herd *h, unsigned n) {
        char name[NAME_SIZE];

        for (; h->n < n; h->n++) {
                Member *m = &h->members[h->n];

                *m = (Member){.herd = h, .number = h->n};
                snprintf(name, sizeof(name), "%s%u", h->prefix, m->number);
                bench_check(someone_make(h->loop, name, &m->self), "identity");
                bench_check(tls_identity_new(&m->self.device, &m->self.local.tls), "TLS");
        }
}

/* Where the members begin that have not done this step yet. */
static unsigned step_first(const Herd *h) {
        switch (h->step) {
        case STEP_OPEN:
        case STEP_JOIN:
                return h->n_open;
        case STEP_REGISTER:
                return h->n_registered;
        default:
                return 0;
        }
}

static void herd_step(Herd *h, unsigned n, unsigned window, unsigned rounds) {
        uint64_t start;

        h->next = step_first(h);
        h->end = n;
        h->window = window;
        h->rounds = rounds;
        h->n_took = 0;
        if (n <= h->next || n > HERD_MAX || window == 0 || rounds == 0)
                bench_check(-ERANGE, steps[h->step]);
        if (h->step == STEP_OPEN || h->step == STEP_JOIN)
                herd_grow(h, n);
        else if (n > h->n_open)
                bench_check(-ERANGE, steps[h->step]);
        h->took = calloc((size_t)(n - h->next) * rounds, sizeof(*h->took));
        if (!h->took)
                bench_check(-ENOMEM, "memory");
        start = bench_now();
        herd_go_on(h);
        while (h->busy > 0)
                bench_check(sd_event_run(h->event, UINT64_MAX), "loop");
        bench_print(h->took, h->n_took, bench_now() - start);
        free(h->took);
}

static void herd_close(Herd *h) {
        uint64_t start = bench_now(), took = 0;

        for (; h->n_open > 0; h->n_open--)
                h->members[h->n_open - 1].conn = conn_free(h->members[h->n_open - 1].conn);
        bench_print(&took, 1, bench_now() - start);
}

static void herd_command(Herd *h, const char *line) {
        unsigned n, window, rounds = 1;
        char step[16];

        if (strcmp(line, "close\n") == 0) {
                herd_close(h);
                return;
        }
        if (sscanf(line, "%15s %u %u %u", step, &n, &window, &rounds) < 3)
                bench_check(-EINVAL, line);
        for (h->step = 0; h->step < _STEP_MAX; h->step++)
                if (strcmp(step, steps[h->step]) == 0)
                        break;
        if (h->step == _STEP_MAX)
                bench_check(-EINVAL, line);
        herd_step(h, n, window, rounds);
}

int main(int argc, char **argv) {
        Herd h = {};
        struct rlimit l;
        char line[128];

        if (argc != 4) {
                fprintf(stderr, "usage: herd PORT PREFIX SOURCE\n");
                return 2;
        }
        h.port = (uint16_t)bench_number(argv[1]);
        h.prefix = argv[2];
        h.source = (unsigned)bench_number(argv[3]);
        (void)getrlimit(RLIMIT_NOFILE, &l);
        l.rlim_cur = l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
        setvbuf(stdout, NULL, _IOLBF, 0);
        h.members = calloc(HERD_MAX, sizeof(*h.members));
        bench_check(h.members ? 0 : -ENOMEM, "memory");
        bench_check(crypto_init(), "crypto");
        bench_check(sd_event_new(&h.event), "event loop");
        bench_check(loop_sd_event_new(h.event, &h.loop), "loop");
        bench_check(net_new(h.loop, &h.net), "net");
        while (fgets(line, sizeof(line), stdin))
                herd_command(&h, line);
        return 0; /* what there is goes with the process */
}
