/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/password.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>

#include "cli/chatc.h"

#define TRIES_MAX 3

static volatile sig_atomic_t caught_signal;

char *password_free(char *p) {
        if (p)
                explicit_bzero(p, PASSWORD_SIZE);
        return mfree(p);
}

/* Signals are let in only while nothing is being read, so that none is lost between the look at
 * caught_signal and a read() that blocks for good. */
static int wait_for_input(int fd, const sigset_t *while_waiting) {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        if (ppoll(&p, 1, NULL, while_waiting) < 0)
                return -errno;
        return 0;
}

/* One line from FD. Returns > 0, or 0 where the input ended before the line did. -ENOBUFS: longer
 * than a password can be; -EINVAL: a zero byte; -EINTR is passed on, since it means that a signal
 * asks to stop. WHILE_WAITING: the signals that may not come while waiting; NULL where none is
 * blocked. */
static int read_line(int fd, const sigset_t *while_waiting, char buf[static PASSWORD_SIZE]) {
        size_t n = 0;

        for (;;) {
                ssize_t k;
                int r;

                r = while_waiting ? wait_for_input(fd, while_waiting) : 0;
                if (r < 0)
                        return r;
                k = read(fd, buf + n, 1);
                if (k < 0)
                        return -errno;
                if (k == 0 || buf[n] == '\n') {
                        buf[n] = '\0';
                        return k > 0;
                }
                if (buf[n] == '\0')
                        return -EINVAL;
                if (++n == PASSWORD_SIZE)
                        return -ENOBUFS;
        }
}

static int report(int r, const char *where) {
        if (r == -ENOBUFS)
                return chatc_fail(STATUS_ERROR, "BadPassword",
                        "the password from %s is longer than %d bytes.", where, PASSWORD_SIZE - 1);
        if (r == -EINVAL)
                return chatc_fail(STATUS_ERROR, "BadPassword",
                        "the password from %s holds a zero byte.", where);
        if (r == -ENODATA)
                return chatc_fail(STATUS_ERROR, "BadPassword",
                        "the input from %s ended before there was a password.", where);
        return chatc_fail(STATUS_ERROR, "InvalidArgs", "the password cannot be read from %s: %s.",
                where, strerror(-r));
}

int password_read_file(const char *file, char **ret) {
        _cleanup_(password_freep) char *buf = NULL;
        _cleanup_(closep) int opened = -EBADF;
        int r;

        buf = calloc(1, PASSWORD_SIZE);
        if (!buf)
                return chatc_out_of_memory();
        if (!streq(file, "-")) {
                opened = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
                if (opened < 0)
                        return report(-errno, file);
        }
        r = read_line(opened < 0 ? STDIN_FILENO : opened, NULL, buf);
        if (r == 0 && !buf[0])
                r = -ENODATA;
        if (r < 0)
                return report(r, streq(file, "-") ? "standard input" : file);
        *ret = TAKE_PTR(buf);
        return 0;
}

static int open_terminal(void) {
        return open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
}

bool password_can_ask(void) {
        _cleanup_(closep) int fd = open_terminal();

        return fd >= 0;
}

static void on_stop_signal(int signo) {
        caught_signal = signo;
}

static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

/* Asks with echo off, from before the prompt: people type ahead. */
static int ask_hidden(
        int fd, const char *prompt, const sigset_t *while_waiting, char buf[static PASSWORD_SIZE]) {
        struct termios shown, hidden;
        int r;

        if (tcgetattr(fd, &shown) < 0)
                return -errno;
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        hidden.c_lflag |= ECHONL | ICANON;
        if (tcsetattr(fd, TCSAFLUSH, &hidden) < 0)
                return -errno;
        dprintf(fd, "%s: ", prompt);
        r = read_line(fd, while_waiting, buf);
        (void)tcsetattr(fd, TCSAFLUSH, &shown);
        if (r == 0) { /* Ctrl-D, which is not echoed as a new line */
                (void)!write(fd, "\n", 1);
                return -ENODATA;
        }
        return r;
}

/* A signal that would end the program does so only after the terminal has been put right again. */
static int read_hidden(int fd, const char *prompt, char buf[static PASSWORD_SIZE]) {
        struct sigaction action = {.sa_handler = on_stop_signal}, old[ELEMENTSOF(stop_signals)];
        sigset_t blocked, before;
        int r;

        sigemptyset(&blocked);
        for (size_t i = 0; i < ELEMENTSOF(stop_signals); i++)
                sigaddset(&blocked, stop_signals[i]);
        sigprocmask(SIG_BLOCK, &blocked, &before);
        caught_signal = 0;
        for (size_t i = 0; i < ELEMENTSOF(stop_signals); i++)
                sigaction(stop_signals[i], &action, &old[i]);
        r = ask_hidden(fd, prompt, &before, buf);
        for (size_t i = 0; i < ELEMENTSOF(stop_signals); i++)
                sigaction(stop_signals[i], &old[i], NULL);
        if (caught_signal) {
                explicit_bzero(buf, PASSWORD_SIZE);
                (void)!write(fd, "\n", 1);
                raise(caught_signal);
        }
        sigprocmask(SIG_SETMASK, &before, NULL);
        return r;
}

static int ask_once(int fd, const char *prompt, char **ret) {
        _cleanup_(password_freep) char *buf = NULL;
        int r;

        buf = calloc(1, PASSWORD_SIZE);
        if (!buf)
                return chatc_out_of_memory();
        r = read_hidden(fd, prompt, buf);
        if (r < 0)
                return report(r, "the terminal");
        *ret = TAKE_PTR(buf);
        return 0;
}

int terminal_ask(const char *prompt, char **ret) {
        _cleanup_(password_freep) char *buf = calloc(1, PASSWORD_SIZE);
        _cleanup_(closep) int fd = open_terminal();
        int r;

        if (!buf)
                return chatc_out_of_memory();
        dprintf(fd, "%s: ", prompt);
        r = read_line(fd, NULL, buf);
        if (r == 0)
                (void)!write(fd, "\n", 1); /* Ctrl-D is not echoed as a new line */
        if (r <= 0)
                buf[0] = '\0';
        *ret = TAKE_PTR(buf);
        return 0;
}

int password_ask(const char *prompt, bool twice, char **ret) {
        _cleanup_(closep) int fd = open_terminal();
        int r;

        if (fd < 0)
                return chatc_fail(STATUS_USAGE, "Usage",
                        "a password is needed and there is no terminal to ask on; give it with "
                        "--password-file.");
        for (unsigned i = 0; i < TRIES_MAX; i++) {
                _cleanup_(password_freep) char *first = NULL, *second = NULL;

                r = ask_once(fd, prompt, &first);
                if (r != 0)
                        return r;
                if (twice) {
                        r = ask_once(fd, "The same again", &second);
                        if (r != 0)
                                return r;
                }
                if (!twice || streq(first, second)) {
                        *ret = TAKE_PTR(first);
                        return 0;
                }
                dprintf(fd, "The two are not the same.\n");
        }
        return chatc_fail(STATUS_ERROR, "BadPassword", "the two passwords were not the same.");
}
