/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Everything that happens, from a cursor on. A signal is only a hint that there is something to
 * fetch: what is printed comes from ListEvents, page by page from this watch's own cursor, so that
 * neither a signal that was lost nor a daemon that was killed makes a hole or a repetition.
 *
 * With --client a cursor is acknowledged once the lines up to it are written; a write that failed
 * is not, and its lines come again.
 */

#include "cli/event.h"
#include "cli/bus-signal.h"

#define PAGE_MAX 250

/* Signals handled in a row before fetching: a steady stream of them must not put that off. */
#define SIGNALS_MAX 1000

/* What a call ends with when a signal handler ran meanwhile. */
#define INTERRUPTED "EINTR"

/* A daemon that is there and did not answer is asked again after this. */
#define RETRY (2 * USEC_PER_SEC)

typedef struct Watch {
        Chatc *c;
        const char *client;
        uint64_t cursor; /* all up to here is printed */
        uint64_t acked; /* and acknowledged up to here; UINT64_MAX: the first answer tells */
        bool started; /* the daemon has answered */
        bool present; /* it is on the bus */
        bool fetch; /* there may be something new */
        int failed; /* the exit status after a write in a handler */
        usec_t retry_at;
        SignalHandler events, owner;
} Watch;

static const int stops[] = {SIGINT, SIGTERM, SIGHUP};
static volatile sig_atomic_t stopped_by;

static void on_stop(int signo) {
        stopped_by = signo;
}

/* The first one ends the watch in order, and interrupts a write that nobody reads; the second ends
 * it at once. */
static void catch_signals(void) {
        const struct sigaction sa = {.sa_handler = on_stop, .sa_flags = (int)SA_RESETHAND};
        struct sigaction old;

        for (size_t i = 0; i < ELEMENTSOF(stops); i++)
                if (sigaction(stops[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
                        sigaction(stops[i], &sa, NULL);
}

/* A line goes out by one write, if the other end lets it: a watch that is killed leaves no half
 * lines in a file. One that is stopped does not wait for a reader that does not read. */
static int write_line(const char *line, size_t size) {
        while (size > 0) {
                ssize_t n = write(STDOUT_FILENO, line, size);

                if (n < 0 && errno != EINTR)
                        return chatc_fail(STATUS_ERROR, "Output",
                                "standard output cannot be written: %s.", strerror(errno));
                if (n > 0) {
                        line += n;
                        size -= (size_t)n;
                }
                if (size > 0 && stopped_by)
                        return STATUS_ERROR;
        }
        return 0;
}

static int print_event(const Chatc *c, const Value *event) {
        _cleanup_(freep) char *line = NULL;
        size_t size;
        FILE *f;

        f = open_memstream(&line, &size);
        if (!f)
                return chatc_out_of_memory();
        event_print(c, f, event);
        if (fclose(f) != 0)
                return chatc_out_of_memory();
        return write_line(line, size);
}

static void on_event_signal(const Value *args, void *userdata) {
        _cleanup_(event_freep) SignalEvent *e = NULL;
        Watch *w = userdata;
        uint64_t cursor;

        if (args->n_items == 0)
                return;
        cursor = value_number(args->items[args->n_items - 1], "cursor");
        if (cursor > 0) {
                w->fetch = w->fetch || cursor > w->cursor;
                return;
        }
        e = event_from_signal(w->events.member, args);
        if (e && w->failed == 0)
                w->failed = print_event(w->c, event_value(e));
}

static void on_owner_changed(const Value *args, void *userdata) {
        Watch *w = userdata;

        w->present = args->items[0]->boolean;
        w->retry_at = 0;
        if (w->present)
                w->fetch = true;
        else if (w->started && !w->c->quiet)
                fputs("chatc: p2pchatd stopped; waiting until it is back\n", stderr);
}

/* One page from FROM on. STATUS_UNREACHABLE with the bus still open: later, perhaps. */
static int page_fetch(Watch *w, uint64_t from, Value **ret_events, uint64_t *ret_next) {
        Call call = {
                .method = "ListEvents",
                .numbers = {{'t', from}, {'u', PAGE_MAX}},
                .options = {{"client", .string = w->client}},
                .attached = w->started,
                .all = true,
                .expected = INTERRUPTED,
        };
        _cleanup_(value_freep) Value *answer = NULL;
        int r;

        r = call_value(w->c, &call, &answer);
        if (r != 0)
                return r;
        if (answer->n_items < 2 || answer->items[0]->type != VALUE_LIST ||
                answer->items[1]->type != VALUE_U64)
                return chatc_fail(STATUS_ERROR, "BadAnswer",
                        "p2pchatd answered without a list and a cursor.");
        w->started = true;
        *ret_next = answer->items[1]->number;
        *ret_events = answer->items[0];
        answer->items[0] = NULL;
        return 0;
}

static int page_print(Watch *w, const Value *events) {
        int r;

        for (size_t i = 0; i < events->n_items && !stopped_by; i++) {
                r = print_event(w->c, events->items[i]);
                if (r > 0)
                        return r;
                w->cursor = value_number(events->items[i], "cursor");
        }
        return 0;
}

static int ack(Watch *w) {
        Call call = {
                .method = "AckEvents",
                .args = {w->client},
                .numbers = {{'t', w->cursor}},
                .attached = true,
                .expected = INTERRUPTED,
        };
        int r;

        if (!w->client || w->acked >= w->cursor)
                return 0;
        r = call_void(w->c, &call);
        if (r == 0)
                w->acked = w->cursor;
        return r;
}

/* Prints and acknowledges what there is; stopped early, what was printed. */
static int fetch_all(Watch *w) {
        for (;;) {
                _cleanup_(value_freep) Value *events = NULL;
                uint64_t before = w->cursor, next;
                int r;

                r = page_fetch(w, before, &events, &next);
                if (r != 0)
                        return r;
                if (w->acked == UINT64_MAX)
                        w->acked = events->n_items == 0 ? next : 0;
                r = page_print(w, events);
                if (r > 0)
                        return r;
                if (!stopped_by)
                        w->cursor = next;
                /* After a gap that leads back: this store is an older copy of the one before. */
                if (w->cursor < before)
                        w->acked = 0;
                r = ack(w);
                if (r > 0 || stopped_by)
                        return r;
                if (events->n_items == 0)
                        return 0;
                if (w->cursor == before)
                        return chatc_fail(STATUS_ERROR, "BadAnswer",
                                "p2pchatd answered with events that its cursor does not pass.");
        }
}

/* Fetches if there is a reason to. A daemon that does not answer is waited for: it tells when it is
 * back on the bus, and one that stayed there is asked again. */
static int fetch_if_due(Watch *w) {
        int r;

        if (!w->fetch || !w->present || usec_monotonic() < w->retry_at)
                return 0;
        w->fetch = false;
        r = fetch_all(w);
        if (r == STATUS_UNREACHABLE && w->started && bus_is_open(w->c)) {
                w->fetch = true;
                w->retry_at = usec_add(usec_monotonic(), RETRY);
                return 0;
        }
        return r;
}

/* A stop between looking at the flag and falling asleep must not be missed. */
static int sleep_unless_stopped(Watch *w, BusWake *ret) {
        usec_t deadline = w->fetch && w->present ? w->retry_at : USEC_INFINITY;
        sigset_t stop, before;
        int r = 0;

        sigemptyset(&stop);
        for (size_t i = 0; i < ELEMENTSOF(stops); i++)
                sigaddset(&stop, stops[i]);
        sigprocmask(SIG_BLOCK, &stop, &before);
        *ret = WAKE_SIGNAL;
        if (!stopped_by)
                r = bus_sleep(w->c, -1, deadline, &before, ret);
        sigprocmask(SIG_SETMASK, &before, NULL);
        return r;
}

static int watch_run(Watch *w) {
        BusWake wake;
        int r;

        while (!stopped_by) {
                r = bus_process(w->c, SIGNALS_MAX);
                if (r == 0)
                        r = w->failed;
                if (r == 0)
                        r = fetch_if_due(w);
                if (r == 0)
                        r = sleep_unless_stopped(w, &wake);
                if (r != 0)
                        return r;
                if (wake == WAKE_CLOSED) {
                        raise(SIGPIPE);
                        return chatc_fail(STATUS_ERROR, "Output", "standard output is closed.");
                }
        }
        return 0;
}

/* Subscribes before the first question, so that nothing falls between the two. */
static int watch_start(Watch *w, const char *since) {
        _cleanup_(value_freep) Value *none = NULL;
        int r;

        w->events = (SignalHandler){.fn = on_event_signal, .userdata = w};
        w->owner = (SignalHandler){.fn = on_owner_changed, .userdata = w};
        r = signal_subscribe(w->c, NULL, &w->events);
        if (r == 0)
                r = signal_subscribe_owner(w->c, &w->owner);
        if (r == 0 && !since && !w->client)
                r = page_fetch(w, UINT64_MAX, &none, &w->cursor);
        /* Until the bus says otherwise: a call that is made now starts it. */
        w->present = w->fetch = true;
        return r;
}

static int options_check(Watch *w, const char *since) {
        if (since && w->client)
                return chatc_fail(STATUS_USAGE, "Usage",
                        "--since and --client exclude each other: a client goes on where it was; "
                        "see 'chatc help watch'.");
        if (since && parse_number(since, 0, UINT64_MAX - 1, &w->cursor) < 0)
                return chatc_fail(STATUS_USAGE, "Usage",
                        "--since takes a cursor as --json prints it, or 0 for the oldest event "
                        "that is kept, not '%.40s'.",
                        since);
        return 0;
}

int verb_watch(Chatc *c, char **argv) {
        const char *since = NULL;
        Watch w = {.c = c, .acked = UINT64_MAX};
        const Option options[] = {
                {"--since", .value = &since},
                {"--client", .value = &w.client},
                {},
        };
        Args a;
        int r;

        r = chatc_args(c, argv, options, 0, 0, &a);
        if (r > 0)
                return r;
        r = options_check(&w, since);
        if (r > 0)
                return r;

        catch_signals();
        r = watch_start(&w, since);
        if (r == 0)
                r = watch_run(&w);
        signal_done(&w.events);
        signal_done(&w.owner);
        if (stopped_by) {
                /* A call that the signal interrupted may have been this one. */
                (void)ack(&w);
                raise(stopped_by);
        }
        return r;
}
