/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A conversation. Nothing here polls: the loop sleeps until the bus, standard input or a signal
 * wakes it, or until something is to be tried again.
 */

#include <signal.h>

#include "cli/chat-screen.h"
#include "cli/chat.h"

/* Messages of the bus in a row before anything else is looked at. */
#define MESSAGES_MAX 1000

/* Lines that were read and not accepted yet; more are left to wait where they are. */
#define OUTGOING_MAX 64

/* Twice the longest text there is: what is longer still is not worth reading to its end. */
#define LINE_MAX_SIZE (128 * 1024)

static const int stops[] = {SIGTERM, SIGHUP, SIGQUIT};
static const int others[] = {SIGINT, SIGWINCH, SIGTSTP};
static volatile sig_atomic_t stopped_by, interrupted, resized, suspended;

static void on_stop(int signo) {
        stopped_by = signo;
}

static void on_other(int signo) {
        if (signo == SIGINT)
                interrupted = true;
        else if (signo == SIGWINCH)
                resized = true;
        else
                suspended = true;
}

/* A stop interrupts a write that the terminal does not take; the others wait for it. */
static void catch_signals(void) {
        const struct sigaction stop = {.sa_handler = on_stop};
        const struct sigaction other = {.sa_handler = on_other, .sa_flags = SA_RESTART};
        struct sigaction old;

        for (size_t i = 0; i < ELEMENTSOF(stops); i++)
                if (sigaction(stops[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
                        sigaction(stops[i], &stop, NULL);
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                sigaction(others[i], &other, NULL);
}

/* Lines from elsewhere */

typedef struct Input {
        char *buf;
        size_t n;
        bool ended;
} Input;

static int say_line(Chat *chat, char *line, size_t n) {
        if (memchr(line, '\0', n))
                return chatc_fail(STATUS_ERROR, "InvalidArgs",
                        "a line holds a zero byte, which no message can; send text only.");
        line[n] = '\0';
        return n > 0 ? chat_say(chat, line) : 0;
}

static int input_read(Chat *chat, Input *in) {
        size_t start = 0;
        ssize_t n;
        int r = 0;

        if (!in->buf)
                in->buf = malloc(LINE_MAX_SIZE + 1);
        if (!in->buf)
                return chatc_out_of_memory();
        n = read(STDIN_FILENO, in->buf + in->n, LINE_MAX_SIZE - in->n);
        if (n < 0)
                return errno == EINTR || errno == EAGAIN
                        ? 0
                        : chatc_fail(STATUS_ERROR, "InvalidArgs",
                                  "standard input cannot be read: %s.", strerror(errno));
        in->ended = n == 0;
        in->n += (size_t)n;
        for (char *end; r == 0 && (end = memchr(in->buf + start, '\n', in->n - start));) {
                size_t size = (size_t)(end - in->buf) - start;

                r = say_line(chat, in->buf + start, size);
                start += size + 1;
        }
        if (r == 0 && in->ended && in->n > start) {
                r = say_line(chat, in->buf + start, in->n - start);
                start = in->n;
        }
        in->n -= start;
        memmove(in->buf, in->buf + start, in->n);
        if (r == 0 && in->n == LINE_MAX_SIZE)
                return chatc_fail(STATUS_ERROR, "TooLong",
                        "a line is longer than 65,536 bytes; send it in parts.");
        return r;
}

/* The service is not there, and nobody else would start it. */
static int send_rest(Chat *chat) {
        for (const Outgoing *o = chat->first; o; o = o->next) {
                const Call call = {"Send", {chat->with, o->text}, {{"id", .string = o->id}}};
                int r = call_void(chat->c, &call);

                if (r > 0)
                        return r;
                show_accepted(chat, o->id);
        }
        return 0;
}

/* The loop */

static void entered(void *userdata, const char *text) {
        chat_enter(userdata, text);
}

static void edited(void *userdata, const char *text) {
        chat_edited(userdata, text);
}

static void focused(void *userdata, bool is) {
        Chat *chat = userdata;

        chat->unattended = !is;
}

static void ended(void *userdata) {
        Chat *chat = userdata;

        chat->leave = true;
}

static const ScreenHandler screen_handler = {entered, edited, focused, ended};

static int sleep_unless_called(Chat *chat, int fd, usec_t deadline, BusWake *ret) {
        sigset_t all, before;
        int r = 0;

        sigemptyset(&all);
        for (size_t i = 0; i < ELEMENTSOF(stops); i++)
                sigaddset(&all, stops[i]);
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                sigaddset(&all, others[i]);
        sigprocmask(SIG_BLOCK, &all, &before);
        *ret = WAKE_SIGNAL;
        if (!stopped_by && !interrupted && !resized && !suspended)
                r = bus_sleep(chat->c, fd, deadline, &before, ret);
        sigprocmask(SIG_SETMASK, &before, NULL);
        return r;
}

static void handle_signals(void) {
        if (resized) {
                resized = false;
                screen_resize();
        }
        if (interrupted) {
                interrupted = false;
                screen_interrupt();
        }
        if (suspended) {
                suspended = false;
                screen_suspend();
        }
}

static int run_terminal(Chat *chat) {
        usec_t deadline;
        BusWake wake;
        int r = 0;

        while (r == 0 && !stopped_by && !chat->leave) {
                r = bus_process(chat->c, MESSAGES_MAX);
                handle_signals();
                if (r > 0 || chat->leave)
                        break;
                chat_pump(chat, &deadline);
                r = sleep_unless_called(chat, STDIN_FILENO, deadline, &wake);
                if (r == 0 && wake == WAKE_CLOSED)
                        break;
                if (r == 0 && wake == WAKE_INPUT)
                        screen_input();
        }
        return r;
}

static int run_lines(Chat *chat, Input *in) {
        bool reads;
        usec_t deadline;
        BusWake wake;
        int r = 0;

        while (r == 0 && !stopped_by) {
                r = bus_process(chat->c, MESSAGES_MAX);
                if (r == 0)
                        r = chat->failed;
                if (r > 0 || (in->ended && !chat->first))
                        break;
                chat_pump(chat, &deadline);
                if (in->ended && !chat->present && !chat->send.slot)
                        return send_rest(chat);
                reads = !in->ended && chat->n_outgoing < OUTGOING_MAX;
                r = sleep_unless_called(chat, reads ? STDIN_FILENO : -1, deadline, &wake);
                if (r == 0 && wake == WAKE_CLOSED) {
                        raise(SIGPIPE);
                        return chatc_fail(STATUS_ERROR, "Output", "standard output is closed.");
                }
                if (r == 0 && wake == WAKE_INPUT)
                        r = input_read(chat, in);
        }
        return r;
}

static int talk_on_terminal(Chat *chat, const Value *page) {
        int r;

        r = screen_open(chat->c, &screen_handler, chat, chat_commands);
        if (r > 0)
                return r;
        show_prompt(chat);
        chat_show_page(chat, page);
        r = run_terminal(chat);
        chat_stop_writing(chat);
        screen_close();
        if (r == 0 && chat->first && !stopped_by)
                return chatc_fail(STATUS_UNREACHABLE, "NoAnswer",
                        "p2pchatd does not answer; %zu message%s not sent.", chat->n_outgoing,
                        chat->n_outgoing == 1 ? " was" : "s were");
        return r;
}

static int talk_in_lines(Chat *chat) {
        Input in = {};
        int r;

        r = run_lines(chat, &in);
        free(in.buf);
        return r;
}

int verb_chat(Chatc *c, char **argv) {
        _cleanup_(value_freep) Value *page = NULL;
        Chat chat = {.c = c};
        Args a;
        int r;

        r = chatc_args(c, argv, NULL, 1, 1, &a);
        if (r > 0)
                return r;
        chat.with = a.words[0];
        chat.room = chat.with[0] == '#';
        if (c->json)
                chat.mode = CHAT_JSON;
        else
                chat.mode =
                        isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) ? CHAT_TERMINAL : CHAT_PLAIN;
        r = chat_start(&chat, &page);
        if (r == 0) {
                if (chat.mode == CHAT_TERMINAL)
                        catch_signals();
                r = chat.mode == CHAT_TERMINAL ? talk_on_terminal(&chat, page)
                                               : talk_in_lines(&chat);
        }
        chat_done(&chat);
        if (stopped_by) {
                signal(stopped_by, SIG_DFL);
                raise(stopped_by);
        }
        return r;
}
