/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * One user writes to another, without D-Bus: store, delivery and link of both, each in a process of
 * its own, durable on both disks, real TLS over loopback.
 *
 *   link DIRECTORY COUNT WINDOW SIZE
 *
 * WINDOW messages are on their way at a time. It is over when every one is delivered, by a signed
 * receipt that is on the sender's disk; the percentiles are the time until then, of each.
 */

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "bench.h"
#include "delivery/delivery.h"
#include "net/loop-sd-event.h"
#include "net/tcp.h"
#include "util/fs.h"

/* Messages written in one turn of the loop, as a burst of calls would be. */
#define TURN 256

typedef struct Person {
        const char *name;
        sd_event *event;
        Loop *loop;
        Net *net;
        Store *store;
        Directory *directory;
        Delivery *delivery;
        Listener *listener;
        Identity self;
        LocalIdentity local;
        Contact other;
        uint64_t told; /* cursor of the last event */

        /* The sender's */
        uint64_t *took; /* of each message: when it was written, in the end how long it took */
        size_t count, window, written, delivered;
        char *text;
        size_t size;
        LoopIo *more; /* ready for as long as it is armed */
} Person;

static void person_make(Person *p, const char *name, uint64_t now) {
        Certificate c = {.epoch = 1, .issued = now, .expires = now + IDENTITY_LIFETIME};
        Record record = {.epoch = 1,
                .seq = 1,
                .issued = now,
                .expires = c.expires,
                .suites = {1},
                .n_suites = 1};

        p->name = name;
        p->self.epoch = 1;
        sign_key_generate(&p->self.account);
        sign_key_generate(&p->self.device);
        memcpy(c.account, sign_key_public(&p->self.account), KEY_SIZE);
        memcpy(c.device, sign_key_public(&p->self.device), KEY_SIZE);
        bench_check(certificate_encode(&c, &p->self.account, &p->self.device, &p->self.certificate),
                "certificate");
        memcpy(record.account, c.account, KEY_SIZE);
        memcpy(record.name, name, strlen(name));
        record.certificate = buffer_bytes(&p->self.certificate);
        record.device = c;
        bench_check(record_encode(&record, &p->self.account, &p->self.record), "record");
}

/* Callbacks that nothing has to come of. */

static void on_nothing(void *userdata) {
}

static void on_record(void *userdata, const Record *record, Bytes outer) {
}

static void on_presence(void *userdata, const uint8_t account[static KEY_SIZE], bool online,
        usec_t last_seen, const PresenceRecord *p) {
}

static void on_name_refused(void *userdata, Code code, const char *text) {
}

static const DirectoryCallbacks directory_callbacks = {
        .trackers_changed = on_nothing,
        .record = on_record,
        .presence = on_presence,
        .name_refused = on_name_refused,
};

static void on_link_changed(void *userdata, const uint8_t account[static KEY_SIZE], bool up) {
}

static bool is_full(const Person *p) {
        return p->written == p->count || p->written - p->delivered >= p->window;
}

static bool on_event(void *userdata, DbTxn *txn, const EventRow *e) {
        Person *p = userdata;
        uint32_t n = db_get_u32(e->id.bytes + 12);

        p->told = e->cursor;
        if (e->kind != EVENT_STATE)
                return true;
        if (e->state != MESSAGE_DELIVERED)
                bench_check(-EPROTO, message_state_name(e->state));
        p->took[n] = bench_now() - p->took[n];
        p->delivered++;
        return true;
}

static void on_events(void *userdata, int error) {
        Person *p = userdata;
        DbTxn *txn;

        bench_check(error, "commit");
        bench_check(store_read_begin(p->store, &txn), "store");
        bench_check(event_each(txn, p->told, on_event, p), "events");
        store_read_end(txn);
        if (p->count == 0)
                return;
        if (p->delivered == p->count)
                sd_event_exit(p->event, 0);
        else if (!is_full(p))
                bench_check(loop_io_set_events(p->more, LOOP_READ), "epoll");
}

static const DeliveryCallbacks delivery_callbacks = {
        .link_changed = on_link_changed,
};

static void person_start(Person *p, const Person *other, const char *directory) {
        static const DeliverySettings settings = {.accept_all = true, .handshake = 10};
        char *dir = fs_join(directory, p->name);
        TlsIdentity *tls;
        Record record;

        bench_check(sd_event_new(&p->event), "sd_event_new");
        bench_check(loop_sd_event_new(p->event, &p->loop), "loop");
        bench_check(net_new(p->loop, &p->net), "net");
        bench_check(store_open(dir, p->loop, &p->store), dir);
        store_set_events_fn(p->store, on_events, p);
        bench_check(tls_identity_new(&p->self.device, &tls), "tls");
        p->local = (LocalIdentity){.tls = tls,
                .account = &p->self.account,
                .device = &p->self.device,
                .certificate = buffer_bytes(&p->self.certificate),
                .record = buffer_bytes(&p->self.record),
                .heartbeat = 30};
        loop_random(p->loop, p->local.boot_nonce, sizeof(p->local.boot_nonce));
        bench_check(record_decode(buffer_bytes(&other->self.record), &record), "record");
        bench_check(contact_learn(p->store, &record, buffer_bytes(&other->self.record),
                            loop_realtime(p->loop), CONTACT_PINNED, true, &p->other),
                "contact");
        bench_check(directory_new(p->net, &p->local, &directory_callbacks, p, &p->directory),
                "directory");
        bench_check(delivery_new(p->loop, p->store, p->net, p->directory, &p->self, &p->local,
                            &settings, &delivery_callbacks, p, &p->delivery),
                "delivery");
        free(dir);
}

/* The recipient, until it is killed */

static void on_connection(void *userdata, int fd, const SockAddr *peer) {
        Person *p = userdata;
        Transport *t;

        bench_check(fd, "accept");
        bench_check(tcp_transport_new(p->loop, fd, peer, NULL, &t), "transport");
        delivery_accept(p->delivery, t);
}

static int on_end(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        Person *p = userdata;

        return sd_event_exit(p->event, 0);
}

/* FD takes the port; it is over when its other end closes. */
static void run_recipient(Person *p, const Person *other, const char *directory, int fd) {
        SockAddr a;
        uint16_t port;

        person_start(p, other, directory);
        bench_check(sockaddr_parse_ip("127.0.0.1", 0, &a), "address");
        bench_check(listener_new(p->loop, &a, on_connection, p, &p->listener), "listen");
        delivery_start(p->delivery);
        port = sockaddr_port(listener_address(p->listener));
        if (write(fd, &port, sizeof(port)) != sizeof(port))
                bench_check(-errno, "pipe");
        bench_check(sd_event_add_io(p->event, NULL, fd, EPOLLHUP, on_end, p), "pipe");
        bench_check(sd_event_loop(p->event), "loop");
        store_close(p->store);
}

/* The sender */

static void on_committed(void *userdata, int error) {
        Person *p = userdata;

        bench_check(error, "commit");
        delivery_wake(p->delivery, p->other.account);
}

static void write_one(Person *p) {
        uint8_t random[10];
        usec_t now = loop_realtime(p->loop);
        NewMessage m = {.self = &p->self,
                .to = &p->other,
                .text = {(const uint8_t *)p->text, p->size},
                .now = now};

        loop_random(p->loop, random, 6);
        db_set_u32(random + 6, (uint32_t)p->written);
        m.id = uuid_make_v7(now, random);
        p->took[p->written++] = bench_now();
        bench_check(store_send(p->store, &m), "send");
}

static void on_more(void *userdata, uint32_t events) {
        Person *p = userdata;

        for (int i = 0; i < TURN && !is_full(p); i++)
                write_one(p);
        bench_check(store_after_commit(p->store, on_committed, p), "after commit");
        if (is_full(p))
                bench_check(loop_io_set_events(p->more, 0), "epoll");
}

static double cpu_of(const struct rusage *u, size_t n) {
        return ((double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1e6 +
                       (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec)) /
                (double)n;
}

static void run_sender(Person *p, const Person *other, const char *directory, uint16_t port) {
        Endpoints e = {.n = 1};
        int fd;

        p->took = calloc(p->count, sizeof(*p->took));
        p->text = malloc(p->size);
        if (!p->took || !p->text)
                bench_check(-ENOMEM, "memory");
        memset(p->text, 'x', p->size);
        person_start(p, other, directory);
        snprintf(e.text[0], sizeof(e.text[0]), "127.0.0.1:%u", port);
        bench_check(store_set_endpoints(p->store, p->other.number, &e), "endpoints");
        delivery_start(p->delivery);
        fd = eventfd(1, EFD_CLOEXEC);
        if (fd < 0)
                bench_check(-errno, "eventfd");
        bench_check(loop_io_new(p->loop, fd, LOOP_READ, on_more, p, &p->more), "epoll");
}

static void report(Person *p, uint64_t whole, const struct rusage *recipient) {
        const DbStats *db = db_stats(p->store->db);
        struct rusage own;
        size_t n = p->count;

        (void)getrusage(RUSAGE_SELF, &own);
        printf("{\"n\": %zu, \"rate\": %.1f, ", n, (double)n * 1e9 / (double)whole);
        bench_print_times("p50", "p99", p->took, n);
        printf(", \"batch\": %.1f, \"slowest-commit\": %.1f, ", (double)n / (double)db->commits,
                (double)db->slowest / 1e3);
        printf("\"cpu-sender\": %.2f, \"cpu-recipient\": %.2f}\n", cpu_of(&own, n),
                cpu_of(recipient, n));
}

int main(int argc, char **argv) {
        Person alice = {}, bob = {};
        struct rusage recipient;
        uint64_t start, now;
        struct timespec t;
        uint16_t port;
        int fds[2];
        pid_t pid;

        if (argc != 5) {
                fprintf(stderr, "usage: link DIRECTORY COUNT WINDOW SIZE\n");
                return 2;
        }
        alice.count = bench_number(argv[2]);
        alice.window = bench_number(argv[3]);
        alice.size = bench_number(argv[4]);
        bench_check(crypto_init(), "crypto");
        (void)signal(SIGPIPE, SIG_IGN);
        clock_gettime(CLOCK_REALTIME, &t);
        now = (uint64_t)t.tv_sec * USEC_PER_SEC;
        person_make(&alice, "alice", now);
        person_make(&bob, "bob", now);
        if (pipe2(fds, O_CLOEXEC) < 0)
                bench_check(-errno, "pipe2");
        pid = fork();
        if (pid < 0)
                bench_check(-errno, "fork");
        if (pid == 0) {
                close(fds[0]);
                run_recipient(&bob, &alice, argv[1], fds[1]);
                return 0;
        }
        close(fds[1]);
        if (read(fds[0], &port, sizeof(port)) != sizeof(port))
                bench_check(-EIO, "recipient");
        run_sender(&alice, &bob, argv[1], port);
        start = bench_now();
        bench_check(sd_event_loop(alice.event), "loop");
        now = bench_now() - start;
        close(fds[0]);
        wait4(pid, NULL, 0, &recipient);
        report(&alice, now, &recipient);
        return 0;
}
