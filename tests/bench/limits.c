/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What the building blocks can do here and now, without anything of p2pchat's around them:
 *
 *   limits store DIRECTORY COUNT BATCH     durable LMDB commits of BATCH values of 256 bytes
 *   limits rows DIRECTORY COUNT BATCH      the same, of the rows of a message
 *   limits names DIRECTORY COUNT BATCH     the same, of the rows of a name at a tracker
 *   limits bus ADDRESS COUNT WINDOW ANSWER  calls of a service that only answers, with a text of
 *                                          ANSWER bytes; WINDOW in flight
 *   limits agreements COUNT                a public key and a shared one of X25519, each time
 *   limits hashes COUNT                    SHA-256 of the 88 bytes of a stamp
 *   limits idle ADDRESS                    initialises our libraries, owns a name, waits for the
 *                                          end of standard input
 */

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <libconfig.h>
#include <lmdb.h>
#include <sodium.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "bench.h"

#define ECHO_NAME "org.p2pchat.Bench"
#define ECHO_PATH "/org/p2pchat/Bench"
#define VALUE_SIZE 256

static void store_check(int r, const char *what) {
        if (r == 0)
                return;
        fprintf(stderr, "%s: %s\n", what, mdb_strerror(r));
        exit(1);
}

static int run_store(const char *directory, size_t count, size_t batch) {
        uint8_t value[VALUE_SIZE] = {};
        MDB_env *env;
        MDB_txn *txn;
        MDB_dbi dbi;
        uint64_t *took, start;
        size_t commits = count / batch;

        took = calloc(commits, sizeof(*took));
        if (!took)
                bench_check(-ENOMEM, "calloc");
        store_check(mdb_env_create(&env), "mdb_env_create");
        store_check(mdb_env_set_mapsize(env, (size_t) 4 << 30), "mdb_env_set_mapsize");
        store_check(mdb_env_open(env, directory, 0, 0600), directory);
        store_check(mdb_txn_begin(env, NULL, 0, &txn), "mdb_txn_begin");
        store_check(mdb_dbi_open(txn, NULL, 0, &dbi), "mdb_dbi_open");
        store_check(mdb_txn_commit(txn), "mdb_txn_commit");

        start = bench_now();
        for (size_t i = 0; i < commits; i++) {
                uint64_t before = bench_now();

                store_check(mdb_txn_begin(env, NULL, 0, &txn), "mdb_txn_begin");
                for (size_t j = 0; j < batch; j++) {
                        uint64_t key = __builtin_bswap64(i * batch + j);
                        MDB_val k = { sizeof(key), &key }, v = { sizeof(value), value };

                        store_check(mdb_put(txn, dbi, &k, &v, 0), "mdb_put");
                }
                store_check(mdb_txn_commit(txn), "mdb_txn_commit");
                took[i] = bench_now() - before;
        }
        bench_print(took, commits, bench_now() - start);
        mdb_env_close(env);
        free(took);
        return 0;
}

#define ROWS(array) (sizeof(array) / sizeof((array)[0]))

typedef struct Row {
        const char *table;
        size_t key, value;
        bool same; /* the key: each row takes the place of the one before */
} Row;

/* Of a message of 256 bytes that is sent. Keys ascend. */
static const Row message_rows[] = {{"entry", 12, 487}, {"order", 92, 7}, {"id", 20, 55},
        {"outbox", 16, 27}, {"expiry", 24, 3}, {"feed", 4, 125, true},
        {"conversation", 4, 71, true}};

/* Of somebody at a tracker. Keys are hashes. */
static const Row name_rows[] = {{"name", 32, 420}, {"user", 32, 420}};

#define TABLES_MAX ROWS(message_rows)

typedef struct Rows {
        const Row *rows;
        size_t n;
        bool random;
        MDB_dbi tables[TABLES_MAX];
} Rows;

static void put_rows(MDB_txn *txn, const Rows *rows, uint64_t n) {
        uint8_t value[512] = {};

        for (size_t i = 0; i < rows->n; i++) {
                uint8_t key[128] = {};
                const Row *row = &rows->rows[i];
                uint64_t number = __builtin_bswap64(n);
                MDB_val k = {row->key, key}, v = {row->value, value};

                if (rows->random)
                        randombytes_buf(key, row->key);
                else if (!row->same)
                        memcpy(key + row->key - sizeof(number), &number, sizeof(number));
                store_check(mdb_put(txn, rows->tables[i], &k, &v, 0), "mdb_put");
        }
}

static int run_rows(Rows *rows, const char *directory, size_t count, size_t batch) {
        uint64_t *took, start;
        size_t commits = count / batch;
        MDB_env *env;
        MDB_txn *txn;

        took = calloc(commits, sizeof(*took));
        if (!took)
                bench_check(-ENOMEM, "calloc");
        store_check(mdb_env_create(&env), "mdb_env_create");
        store_check(mdb_env_set_mapsize(env, (size_t)4 << 30), "mdb_env_set_mapsize");
        store_check(mdb_env_set_maxdbs(env, TABLES_MAX), "mdb_env_set_maxdbs");
        store_check(mdb_env_open(env, directory, 0, 0600), directory);
        store_check(mdb_txn_begin(env, NULL, 0, &txn), "mdb_txn_begin");
        for (size_t i = 0; i < rows->n; i++)
                store_check(mdb_dbi_open(txn, rows->rows[i].table, MDB_CREATE, &rows->tables[i]),
                        "table");
        store_check(mdb_txn_commit(txn), "mdb_txn_commit");

        start = bench_now();
        for (size_t i = 0; i < commits; i++) {
                uint64_t before = bench_now();

                store_check(mdb_txn_begin(env, NULL, 0, &txn), "mdb_txn_begin");
                for (size_t j = 0; j < batch; j++)
                        put_rows(txn, rows, i * batch + j);
                store_check(mdb_txn_commit(txn), "mdb_txn_commit");
                took[i] = bench_now() - before;
        }
        bench_print(took, commits, bench_now() - start);
        mdb_env_close(env);
        free(took);
        return 0;
}

static int run_message_rows(const char *directory, size_t count, size_t batch) {
        Rows rows = {.rows = message_rows, .n = ROWS(message_rows)};

        return run_rows(&rows, directory, count, batch);
}

static int run_name_rows(const char *directory, size_t count, size_t batch) {
        Rows rows = {.rows = name_rows, .n = ROWS(name_rows), .random = true};

        return run_rows(&rows, directory, count, batch);
}

static sd_bus *bus_open(sd_event *event, const char *address) {
        sd_bus *bus;

        bench_check(sd_bus_new(&bus), "sd_bus_new");
        bench_check(sd_bus_set_address(bus, address), address);
        bench_check(sd_bus_set_bus_client(bus, true), address);
        bench_check(sd_bus_start(bus), address);
        bench_check(sd_bus_attach_event(bus, event, 0), address);
        return bus;
}

static char *answer;

static int method_send(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        const char *to, *text;
        int r;

        r = sd_bus_message_read(message, "ss", &to, &text);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(message, "s", answer);
}

static const sd_bus_vtable echo_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Send", "ssa{sv}", "s", method_send, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END
};

static sd_event *echo_new(const char *address) {
        sd_event *event;
        sd_bus *bus;

        bench_check(sd_event_new(&event), "sd_event_new");
        bus = bus_open(event, address);
        bench_check(sd_bus_add_object_vtable(bus, NULL, ECHO_PATH, ECHO_NAME, echo_vtable, NULL),
                    "vtable");
        bench_check(sd_bus_request_name(bus, ECHO_NAME, 0), ECHO_NAME);
        return event;
}

/* Returns when the service owns its name. */
static pid_t echo_spawn(const char *address) {
        int ready[2];
        char byte;
        pid_t pid;

        if (pipe2(ready, O_CLOEXEC) < 0)
                bench_check(-errno, "pipe2");
        pid = fork();
        if (pid < 0)
                bench_check(-errno, "fork");
        if (pid == 0) {
                sd_event *event = echo_new(address);

                if (write(ready[1], "x", 1) != 1)
                        _exit(1);
                _exit(sd_event_loop(event) < 0);
        }
        close(ready[1]);
        if (read(ready[0], &byte, 1) != 1)
                bench_check(-EIO, "echo service");
        close(ready[0]);
        return pid;
}

typedef struct Calls {
        sd_event *event;
        sd_bus *bus;
        size_t count, window, sent, answered;
        uint64_t *took;
        char text[VALUE_SIZE + 1];
} Calls;

static void calls_go_on(Calls *calls);

static int on_answer(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Calls *calls = userdata;

        if (sd_bus_message_is_method_error(message, NULL))
                bench_check(-EIO, sd_bus_message_get_error(message)->message);
        /* One connection, one service: the answers come in the order of the calls. */
        calls->took[calls->answered] = bench_now() - calls->took[calls->answered];
        calls->answered++;
        calls_go_on(calls);
        return 0;
}

static void calls_go_on(Calls *calls) {
        int r;

        for (; calls->sent < calls->count && calls->sent - calls->answered < calls->window;
             calls->sent++) {
                calls->took[calls->sent] = bench_now();
                r = sd_bus_call_method_async(calls->bus, NULL, ECHO_NAME, ECHO_PATH, ECHO_NAME,
                                             "Send", on_answer, calls, "ssa{sv}", "bob",
                                             calls->text, 0);
                bench_check(r, "Send");
        }
        if (calls->answered == calls->count)
                sd_event_exit(calls->event, 0);
}

static int run_bus(const char *address, size_t count, size_t window, size_t answer_size) {
        Calls calls = { .count = count, .window = window };
        uint64_t start;
        pid_t echo;

        answer = calloc(1, answer_size + 1);
        if (!answer)
                bench_check(-ENOMEM, "calloc");
        memset(answer, 'x', answer_size);
        echo = echo_spawn(address);
        calls.took = calloc(count, sizeof(*calls.took));
        if (!calls.took)
                bench_check(-ENOMEM, "calloc");
        memset(calls.text, 'x', VALUE_SIZE);
        bench_check(sd_event_new(&calls.event), "sd_event_new");
        calls.bus = bus_open(calls.event, address);
        start = bench_now();
        calls_go_on(&calls);
        bench_check(sd_event_loop(calls.event), "loop");
        bench_print(calls.took, count, bench_now() - start);

        kill(echo, SIGTERM);
        waitpid(echo, NULL, 0);
        sd_bus_flush_close_unref(calls.bus);
        sd_event_unref(calls.event);
        free(calls.took);
        return 0;
}

static int run_agreements(size_t count) {
        uint8_t secret[32] = {1}, public[32], shared[32];
        uint64_t *took = calloc(count, sizeof(*took)), start;

        if (!took)
                bench_check(-ENOMEM, "calloc");
        if (sodium_init() < 0)
                bench_check(-EIO, "libsodium");
        start = bench_now();
        for (size_t i = 0; i < count; i++) {
                uint64_t before = bench_now();

                crypto_scalarmult_base(public, secret);
                if (crypto_scalarmult(shared, secret, public) < 0)
                        bench_check(-EIO, "crypto_scalarmult");
                memcpy(secret, shared, sizeof(secret));
                took[i] = bench_now() - before;
        }
        bench_print(took, count, bench_now() - start);
        free(took);
        return 0;
}

/* One measurement: reading the clock takes as long as a hash. */
static int run_hashes(size_t count) {
        uint64_t took, start = bench_now();
        uint8_t input[88] = {};

        for (size_t i = 0; i < count; i++)
                if (gnutls_hash_fast(GNUTLS_DIG_SHA256, input, sizeof(input), input) < 0)
                        bench_check(-EIO, "gnutls_hash_fast");
        took = bench_now() - start;
        printf("{\"n\": %zu, \"rate\": %.1f}\n", count, (double)count * 1e9 / (double)took);
        return 0;
}

static int on_stdin(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int run_idle(const char *address) {
        config_t config;
        sd_event *event;

        config_init(&config);
        if (gnutls_global_init() < 0 || sodium_init() < 0)
                bench_check(-EIO, "libraries");
        printf("%s\n", mdb_version(NULL, NULL, NULL));
        event = echo_new(address);
        bench_check(sd_event_add_io(event, NULL, STDIN_FILENO, EPOLLIN, on_stdin, NULL), "stdin");
        fflush(stdout);
        return sd_event_loop(event) < 0;
}

int main(int argc, char **argv) {
        if (argc == 5 && strcmp(argv[1], "store") == 0)
                return run_store(argv[2], bench_number(argv[3]), bench_number(argv[4]));
        if (argc == 5 && strcmp(argv[1], "rows") == 0)
                return run_message_rows(argv[2], bench_number(argv[3]), bench_number(argv[4]));
        if (argc == 5 && strcmp(argv[1], "names") == 0)
                return run_name_rows(argv[2], bench_number(argv[3]), bench_number(argv[4]));
        if (argc == 6 && strcmp(argv[1], "bus") == 0)
                return run_bus(argv[2], bench_number(argv[3]), bench_number(argv[4]),
                        bench_number(argv[5]));
        if (argc == 3 && strcmp(argv[1], "agreements") == 0)
                return run_agreements(bench_number(argv[2]));
        if (argc == 3 && strcmp(argv[1], "hashes") == 0)
                return run_hashes(bench_number(argv[2]));
        if (argc == 3 && strcmp(argv[1], "idle") == 0)
                return run_idle(argv[2]);
        fprintf(stderr, "usage: limits store|rows|names DIRECTORY COUNT BATCH | "
                        "bus ADDRESS COUNT WINDOW ANSWER | agreements|hashes COUNT | "
                        "idle ADDRESS\n");
        return 2;
}
