/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Each allocation fails in turn while something is made or done: that fails with -ENOMEM or goes
 * well without, nothing is left of it, and it can be done again. */

#include "test.h"

#include <sys/socket.h>

#include <systemd/sd-event.h>

#include "config/config.h"
#include "failing-memory.h"
#include "net/addresses.h"
#include "net/lan-socket.h"
#include "net/loop-sd-event.h"
#include "net/tcp.h"
#include "node/key-file.h"
#include "node/node.h"
#include "requests.h"
#include "session/session.h"
#include "util/fs.h"
#include "util/watchdog.h"

typedef struct Lab {
        ChatLab chat; /* whose parts are given to what is made */
        sd_event *event;
        Loop *loop; /* a real one */
        DStore *names;
        SignKey key;
        char names_dir[64], other_dir[64];
} Lab;

static void lab_new(Lab *lab) {
        *lab = (Lab){
                .names_dir = "/tmp/p2pchat-test-XXXXXX", .other_dir = "/tmp/p2pchat-test-XXXXXX"};
        chat_lab_new(&lab->chat);
        CHECK(mkdtemp(lab->names_dir) && mkdtemp(lab->other_dir));
        CHECK_OK(sd_event_new(&lab->event));
        CHECK_OK(loop_sd_event_new(lab->event, &lab->loop));
        CHECK_OK(dstore_lmdb_open(lab->loop, lab->names_dir, &lab->names));
        sign_key_generate(&lab->key);
        CHECK_OK(setenv("WATCHDOG_USEC", "60000000", 1));
}

static void lab_free(Lab *lab) {
        dstore_close(lab->names);
        loop_sd_event_free(lab->loop);
        sd_event_unref(lab->event);
        chat_lab_free(&lab->chat);
        CHECK_OK(nftw(lab->names_dir, chat_lab_unlink, 8, FTW_DEPTH | FTW_PHYS));
        CHECK_OK(nftw(lab->other_dir, chat_lab_unlink, 8, FTW_DEPTH | FTW_PHYS));
}

/* Makes and frees; where that takes no memory again when it was there once, what is used stays. */
typedef int (*MakeFn)(Lab *lab);

static int make_loop(Lab *lab) {
        Loop *l;
        int r = loop_sd_event_new(lab->event, &l);

        if (r >= 0)
                loop_sd_event_free(l);
        return r;
}

static int make_sources(Lab *lab) {
        LoopTimer *t = NULL;
        LoopDefer *d = NULL;
        LoopIo *io = NULL;
        int fds[2], r;

        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
        r = loop_timer_new(lab->loop, NULL, NULL, &t);
        if (r >= 0)
                r = loop_defer_new(lab->loop, LOOP_DEFER_SOON, NULL, NULL, &d);
        if (r >= 0)
                r = loop_io_new(lab->loop, fds[0], LOOP_READ, NULL, NULL, &io);
        loop_io_free(io);
        loop_defer_free(d);
        loop_timer_free(t);
        close(fds[0]);
        close(fds[1]);
        return r;
}

static int make_watch_of_addresses(Lab *lab) {
        AddressWatch *w = NULL;
        int r = address_watch_new(lab->loop, NULL, NULL, &w);

        address_watch_free(w);
        return r;
}

static int make_lan_socket(Lab *lab) {
        static const LanSocketCallbacks callbacks;
        const char *interface = "no-such-one";
        LanSocket *s = NULL;
        int r;

        r = lan_socket_new(lab->loop,
                &(LanSocketSettings){.interfaces = &interface, .n_interfaces = 1}, &callbacks, NULL,
                &s);
        lan_socket_free(s);
        return r;
}

static int make_watchdog(Lab *lab) {
        Watchdog *w = NULL;
        int r = watchdog_new(lab->loop, &w);

        watchdog_free(w);
        return r;
}

static int make_listener(Lab *lab) {
        Listener *l = NULL;
        SockAddr a;
        int r;

        CHECK_OK(sockaddr_parse_ip("127.0.0.1", 0, &a));
        r = listener_new(lab->loop, &a, NULL, NULL, &l);
        listener_free(l);
        return r;
}

static int make_transport(Lab *lab) {
        Transport *t = NULL;
        SockAddr peer;
        int fds[2], r;

        CHECK_OK(sockaddr_parse_ip("192.0.2.1", 9, &peer));
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
        r = tcp_transport_new(lab->loop, fds[0], &peer, NULL, &t); /* takes it in any case */
        transport_free(t);
        close(fds[1]);
        return r;
}

static int dial_host(Lab *lab, const char *host) {
        DialTarget to = {.host = host, .port = 9, .timeout = USEC_PER_SEC};
        Dial *d = NULL;
        int r;

        CHECK(sd_event_run(lab->event, 0) >= 0);
        r = dial_new(lab->loop, &to, NULL, NULL, &d);
        dial_free(d);
        return r;
}

static int make_dial(Lab *lab) {
        return dial_host(lab, "127.0.0.1");
}

static int make_admission(Lab *lab) {
        Admission *a = admission_new(1, 1);

        if (!a)
                return -ENOMEM;
        admission_free(a);
        return 0;
}

static int make_session(Lab *lab) {
        EndpointKey address = {.host = "127.0.0.1", .port = 9};
        static const SessionCallbacks callbacks;
        Session *s = NULL;
        int r;

        r = session_new(lab->chat.sim.net, &address, account_local(lab->chat.parts->account),
                &callbacks, NULL, &s);
        session_free(s);
        return r;
}

static int make_parts(Lab *lab) {
        PartsArgs args = chat_lab_parts(&lab->chat);
        Parts *p = NULL;
        int r = parts_new(&args, &p);

        parts_free(p);
        return r;
}

static int make_store(Lab *lab) {
        Store *s = NULL;
        int r = store_open(lab->other_dir, lab->loop, &s);

        store_close(s);
        return r;
}

static int make_node(Lab *lab) {
        static const NodeLimits limits = {.heartbeat = 30, .handshake = 10};
        Node *n = NULL;
        int r;

        r = node_new(lab->chat.sim.net, lab->names, &lab->key, &limits, &n);
        node_free(n);
        return r;
}

static int find_configuration(Lab *lab) {
        _cleanup_(freep) char *daemon = NULL, *tracker = NULL;
        int r = config_path_daemon(&daemon);

        return r < 0 ? r : config_path_tracker(&tracker);
}

static int use_files(Lab *lab) {
        _cleanup_(freep) char *dir = fs_join(lab->other_dir, "a/b");
        int fd = -EBADF, r;

        if (!dir)
                return -ENOMEM;
        r = fs_mkdir_p(dir);
        if (r >= 0)
                r = fs_lock_dir(dir, &fd);
        safe_close(fd);
        if (r >= 0)
                r = node_key_create(dir, &lab->key);
        return r < 0 ? r : node_key_read(dir, &lab->key);
}

TEST(nothing_is_left_of_what_could_not_be_made) {
        static const struct {
                const char *what;
                MakeFn make;
        } cases[] = {
                {"a loop", make_loop},
                {"sources of a loop", make_sources},
                {"a watch of addresses", make_watch_of_addresses},
                {"a socket to the local network", make_lan_socket},
                {"a watchdog", make_watchdog},
                {"a listener", make_listener},
                {"a transport", make_transport},
                {"a dial", make_dial},
                {"limits of connections", make_admission},
                {"a session", make_session},
                {"the parts of a daemon", make_parts},
                {"a store", make_store},
                {"a node", make_node},
                {"a path of the configuration", find_configuration},
                {"files", use_files},
        };
        Lab lab;

        lab_new(&lab);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                bool failed = true;

                CHECK_OK(cases[i].make(&lab)); /* what is kept for good is there now */
                for (unsigned long n = 1; failed; n++) {
                        size_t before = memory_used();
                        int r;

                        memory_break(n);
                        r = cases[i].make(&lab);
                        failed = memory_heal();
                        if (r != 0 && !(failed && r == -ENOMEM))
                                printf("# %s, allocation %lu: %s\n", cases[i].what, n,
                                        strerror(-r));
                        CHECK(r == 0 || (failed && r == -ENOMEM));
                        if (memory_used() != before)
                                printf("# %s, allocation %lu: %zu bytes more are used\n",
                                        cases[i].what, n, memory_used() - before);
                        CHECK_EQ(memory_used(), before);
                }
        }
        lab_free(&lab);
}

/* Returns whether there was an allocation that could fail. */
static bool ask_without_memory(ChatLab *l, AskFn fn, unsigned long n) {
        Answer a = ask(l, ask_send, NULL), failed;
        bool broke;

        CHECK(!a.error);
        memory_break(n);
        failed = ask(l, fn, a.id);
        broke = memory_heal();
        if (failed.error) {
                CHECK(broke);
                CHECK_STR(failed.error, "Storage");
                CHECK(!ask(l, fn, a.id).error);
        }
        if (fn == ask_logout)
                log_in(l);
        return broke;
}

TEST(whoever_asks_is_told_that_memory_is_out_and_may_ask_again) {
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_add_contact(&l, "bob", CONTACT_PINNED, NULL);
        CHECK_OK(store_commit(l.store));
        for (size_t i = 0; i < ELEMENTSOF(requests); i++) {
                unsigned queued = count_queued(&l);
                unsigned long n = 1;

                while (ask_without_memory(&l, requests[i], n))
                        n++;
                if (requests[i] == ask_cancel)
                        CHECK_EQ(count_queued(&l), queued);
                else if (requests[i] == ask_send)
                        CHECK_EQ(count_queued(&l), queued + 2 * n);
                else
                        CHECK_EQ(count_queued(&l), queued + n);
        }
        chat_lab_free(&l);
}
