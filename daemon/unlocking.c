/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "unlocking.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "bus/waiting.h"
#include "crypto/secret.h"
#include "events.h"
#include "report.h"
#include "system/secret-service.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/notify.h"

/* So long it may take until the user is told that he waits; and, for a new store, until the key
 * goes into a file. */
#define QUIET_TIME (3 * USEC_PER_SEC)
#define CHOICE_TIME USEC_PER_MINUTE

#define SEE "see storage.key in p2pchatd.conf(5)"
#define LEFT_ALONE "The store was left as it is"

typedef enum Answer {
        ANSWER_FOUND, /* u->master has it */
        ANSWER_NONE,
        ANSWER_DONE,
        ANSWER_BLOCKED, /* the Secret Service cannot be used now */
} Answer;

enum {
        PENDING = 1,
        NEXT = 2, /* step */
};

/* What comes next. Each takes the answer of the one before. */
typedef int (*Step)(Unlocking *u);

struct Unlocking {
        UnlockingArgs args;
        StoreKeyInfo info;
        Keeping wanted;
        Step step;
        Answer answer;
        bool choosing, leaving; /* the Secret Service is not waited for */
        SecretState state; /* of the Secret Service */
        char error[256];
        uint8_t *master, *made; /* keys */
        SecretService *service;
        LoopDefer *defer;
        LoopTimer *quiet, *choice;
        char said[512];
        BusWaiting *waiting;
};

/* Files */

static int read_key(const char *path, bool private, uint8_t ret[static STORE_KEY_SIZE]) {
        uint8_t buf[STORE_KEY_SIZE + 1];
        _cleanup_(closep) int fd = -EBADF;
        struct stat st;
        ssize_t n;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (private && (st.st_mode & 077))
                return -EKEYREVOKED;
        n = read(fd, buf, sizeof(buf));
        if (n == STORE_KEY_SIZE)
                copy_bytes(ret, buf, STORE_KEY_SIZE);
        explicit_bzero(buf, sizeof(buf));
        return n < 0 ? -errno : n == STORE_KEY_SIZE ? 0 : -EBADMSG;
}

/* NULL without such a place. */
static char *key_path(const Unlocking *u, Keeping k) {
        const char *dir = getenv("CREDENTIALS_DIRECTORY");

        if (k == KEEPING_FILE)
                return fs_join(u->args.state_dir, UNLOCKING_FILE);
        return dir && dir[0] == '/' ? fs_join(dir, UNLOCKING_CREDENTIAL) : NULL;
}

static int fail_to_read(const Unlocking *u, Keeping k, const char *path, int r) {
        if (r == -EBADMSG)
                return report_start_failed(r,
                        "%s is not a key of p2pchatd, which has %d bytes; put the right one "
                        "there, " SEE ". " LEFT_ALONE,
                        path, STORE_KEY_SIZE);
        if (r == -EKEYREVOKED)
                return report_start_failed(
                        r, "Others may read the key in %s: chmod 600 %s", path, path);
        return report_start_failed(r, "The key of the store in %s cannot be read: %s. " LEFT_ALONE,
                path, strerror(-r));
}

static int fetch_file(Unlocking *u, Keeping k) {
        _cleanup_(freep) char *path = key_path(u, k);
        int r = path ? read_key(path, k == KEEPING_FILE, u->master) : -ENOENT;

        if (r < 0 && r != -ENOENT)
                return fail_to_read(u, k, path, r);
        u->answer = r < 0 ? ANSWER_NONE : ANSWER_FOUND;
        return NEXT;
}

/* The Secret Service */

static void go_on_later(Unlocking *u, Answer a) {
        u->answer = a;
        loop_timer_set(u->quiet, USEC_INFINITY);
        loop_timer_set(u->choice, USEC_INFINITY);
        loop_defer_arm(u->defer, true);
}

static const char *const state_texts[] = {
        [SECRET_ASKING] = "the Secret Service has not answered yet",
        [SECRET_PROMPTING] = "the key ring asks for its password: answer it",
        [SECRET_ABSENT] =
                "nobody offers the Secret Service on the session bus; log in to the desktop, "
                "or start a key ring (gnome-keyring, KWallet, KeePassXC)",
        [SECRET_NO_COLLECTION] = "the Secret Service has no default key ring; make one with the "
                                 "program of the desktop for it",
        [SECRET_LOCKED] =
                "the key ring is locked; unlock it with the program of the desktop for it, "
                "or log in to the desktop with its password",
        [SECRET_MISSING] = "the Secret Service does not have it; open the key ring that does, or "
                           "restore it",
        [SECRET_FAILED] = "the Secret Service does not do what it should",
};

/* The key ring may be open by now. */
static void on_call(void *userdata) {
        Unlocking *u = userdata;

        if (u->service)
                secret_service_look(u->service);
}

/* The start is over as far as others can wait for it. */
static void say_waits(Unlocking *u) {
        char text[sizeof(u->said)];
        int r = 0;

        snprintf(text, sizeof(text),
                "The key of the store is %sin the Secret Service: %s%s%s%s; " SEE,
                u->info.keeping == KEEPING_SECRET_SERVICE ? "" : "to be ", state_texts[u->state],
                u->error[0] ? " (" : "", u->error, u->error[0] ? ")" : "");
        if (streq(text, u->said))
                return;
        memcpy(u->said, text, sizeof(text));
        log_event(LOG_WARNING, EVENT_KEY_AWAITED, LOG_FIELDS({"P2PCHAT_ERROR", text}), "%s", text);
        if (u->waiting)
                bus_waiting_set(u->waiting, text);
        else
                r = bus_waiting_new(u->args.event, text, on_call, u, &u->waiting);
        if (r < 0)
                log_error_errno(r, "Whoever calls p2pchatd is not told what it waits for");
        notify_ready(text);
}

static void on_secret_state(void *userdata, SecretState state, const char *error) {
        Unlocking *u = userdata;

        u->state = state;
        snprintf(u->error, sizeof(u->error), "%s", error);
        if (state == SECRET_PROMPTING) {
                /* There may be nobody who can be asked, and then that is over at once. */
                loop_timer_set(u->quiet, usec_add(loop_now(u->args.loop), QUIET_TIME));
                return;
        }
        if (u->choosing || u->leaving) {
                log_info("The Secret Service is not used: %s%s%s", state_texts[state],
                        error[0] ? ": " : "", error);
                secret_service_cancel(u->service);
                go_on_later(u, ANSWER_BLOCKED);
                return;
        }
        loop_timer_set(u->quiet, USEC_INFINITY);
        say_waits(u);
}

static void on_secret_done(void *userdata, const uint8_t *secret) {
        Unlocking *u = userdata;

        if (secret)
                copy_bytes(u->master, secret, STORE_KEY_SIZE);
        go_on_later(u, secret ? ANSWER_FOUND : ANSWER_NONE);
}

static void on_quiet(void *userdata) {
        say_waits(userdata);
}

/* A new store does not wait for ever for somebody who is not there. */
static void on_choice(void *userdata) {
        Unlocking *u = userdata;

        log_info("The Secret Service is not used: nobody has answered it for %u s",
                (unsigned)(CHOICE_TIME / USEC_PER_SEC));
        secret_service_cancel(u->service);
        go_on_later(u, ANSWER_BLOCKED);
}

static const SecretCallbacks secret_callbacks = {
        .state = on_secret_state,
        .done = on_secret_done,
};

static int use_service(Unlocking *u) {
        int r;

        u->state = SECRET_ASKING;
        u->error[0] = 0;
        loop_timer_set(u->quiet, usec_add(loop_now(u->args.loop), QUIET_TIME));
        if (u->service)
                return 0;
        r = secret_service_new(u->args.event, u->info.id, &secret_callbacks, u, &u->service);
        return r < 0 ? report_no_bus(r) : 0;
}

/* Places. AWAIT: it is there, sooner or later. */

static int fetch(Unlocking *u, Keeping k, bool await) {
        int r;

        if (k != KEEPING_SECRET_SERVICE)
                return fetch_file(u, k);
        r = use_service(u);
        if (r < 0)
                return r;
        secret_service_get(u->service, await);
        return PENDING;
}

static int put(Unlocking *u, Keeping k, const uint8_t key[static STORE_KEY_SIZE]) {
        _cleanup_(freep) char *path = NULL;
        int r;

        if (k == KEEPING_SECRET_SERVICE) {
                r = use_service(u);
                if (r < 0)
                        return r;
                secret_service_put(u->service, key);
                return PENDING;
        }
        path = key_path(u, k);
        r = path ? fs_write_file(path, key, STORE_KEY_SIZE) : -ENOMEM;
        return r < 0 ? report_start_failed(r, "The key of the store cannot be written to %s: %s",
                               path ?: "a file", strerror(-r))
                     : NEXT;
}

static int take_away(Unlocking *u, Keeping k) {
        _cleanup_(freep) char *path = NULL;
        int r;

        u->answer = ANSWER_NONE;
        if (k == KEEPING_SECRET_SERVICE) {
                r = use_service(u);
                if (r < 0)
                        return r;
                u->leaving = true;
                secret_service_remove(u->service);
                return PENDING;
        }
        if (k != KEEPING_FILE) /* what the administrator gives he takes */
                return NEXT;
        path = key_path(u, k);
        if (!path || (unlink(path) < 0 && errno != ENOENT)) {
                log_warning("The key that is of no use any more cannot be deleted: %s", path ?: "");
                u->answer = ANSWER_BLOCKED;
        }
        return NEXT;
}

/* Steps */

static int fail_store(Unlocking *u, int r) {
        report_store_refused(u->args.state_dir, r);
        return r;
}

static int step_end(Unlocking *u) {
        int r;

        r = store_scrub(u->args.store);
        if (r >= 0)
                r = store_set_seal_messages(u->args.store, u->args.config->seal_messages);
        return r < 0 ? fail_store(u, r) : 0;
}

static int step_change(Unlocking *u);

static int step_left(Unlocking *u) {
        int r;

        u->leaving = false;
        u->step = step_change;
        if (u->answer == ANSWER_BLOCKED)
                return NEXT; /* at the next start */
        r = store_key_left(u->args.store);
        return r < 0 ? fail_store(u, r) : NEXT;
}

static int step_leave(Unlocking *u) {
        if (u->info.leaving == KEEPING_NONE || u->info.leaving == u->info.keeping) {
                u->step = step_change;
                return NEXT;
        }
        u->step = step_left;
        return take_away(u, u->info.leaving);
}

static int rekey(Unlocking *u, const uint8_t *master) {
        int r;

        r = store_rekey(u->args.store, u->wanted, master);
        if (r == -EOVERFLOW)
                return report_start_failed(r,
                        "The key of the store was moved too often for messages that are sealed "
                        "with each of them; set storage.key back");
        if (r < 0)
                return fail_store(u, r);
        if (r > 0)
                log_warning("There is no room to overwrite the keys that were in the store before "
                            "it was sealed; it is tried again at the next start");
        if (u->wanted != u->info.keeping)
                log_notice("The key of the store is kept there from now on: %s",
                        keeping_name(u->wanted));
        r = store_key_info(u->args.store, &u->info);
        u->step = step_leave;
        return r < 0 ? fail_store(u, r) : NEXT;
}

static int step_read_back(Unlocking *u) {
        if (u->answer != ANSWER_FOUND || !secret_equal(u->master, u->made, STORE_KEY_SIZE))
                return report_start_failed(-EIO,
                        "The key of the store was not kept (%s): another one was read back. "
                        "The store was left as it is",
                        keeping_name(u->wanted));
        return rekey(u, u->master);
}

static int step_put(Unlocking *u) {
        u->step = step_read_back;
        memset(u->master, 0, STORE_KEY_SIZE);
        return fetch(u, u->wanted, true);
}

static int fail_no_credential(const char *what) {
        return report_start_failed(-ENOKEY,
                "%s: systemd has to give p2pchatd the credential " UNLOCKING_CREDENTIAL ", " SEE
                ". " LEFT_ALONE,
                what);
}

/* The key that is at the new place already was left there by a change that was interrupted, or is
 * the administrator's. */
static int step_fetched(Unlocking *u) {
        if (u->answer == ANSWER_FOUND)
                return rekey(u, u->master);
        if (u->wanted == KEEPING_CREDENTIAL)
                return fail_no_credential("The key of the store cannot become a credential");
        loop_random(u->args.loop, u->made, STORE_KEY_SIZE);
        u->step = step_put;
        return put(u, u->wanted, u->made);
}

static int step_change(Unlocking *u) {
        if (u->wanted == u->info.keeping) {
                u->step = step_end;
                return NEXT;
        }
        if (u->wanted == KEEPING_NONE)
                return rekey(u, NULL);
        u->step = step_fetched;
        return fetch(u, u->wanted, false);
}

static int step_opened(Unlocking *u) {
        Keeping k = u->info.keeping;
        int r;

        if (u->answer != ANSWER_FOUND && k == KEEPING_CREDENTIAL)
                return fail_no_credential("The messages are sealed with a credential");
        if (u->answer != ANSWER_FOUND)
                return report_start_failed(-ENOKEY,
                        "The messages are sealed with the key in %s/" UNLOCKING_FILE
                        ", which is missing; restore it, " SEE ". " LEFT_ALONE,
                        u->args.state_dir);
        r = store_unseal(u->args.store, u->master);
        if (r == -EKEYREJECTED)
                return report_start_failed(r,
                        "The key that is there (%s) is not the one that the messages are sealed "
                        "with; restore that, " SEE ". " LEFT_ALONE,
                        keeping_name(k));
        u->step = step_leave;
        return r < 0 ? fail_store(u, r) : NEXT;
}

static int step_open(Unlocking *u) {
        if (u->info.keeping == KEEPING_NONE) {
                u->step = step_leave;
                return NEXT;
        }
        u->step = step_opened;
        return fetch(u, u->info.keeping, true);
}

static int step_chosen(Unlocking *u) {
        u->choosing = false;
        u->wanted = u->answer == ANSWER_BLOCKED ? KEEPING_FILE : KEEPING_SECRET_SERVICE;
        u->step = step_change;
        return NEXT;
}

static bool has_credential(const Unlocking *u) {
        _cleanup_(freep) char *path = key_path(u, KEEPING_CREDENTIAL);

        return path && access(path, F_OK) == 0;
}

static int step_choose(Unlocking *u) {
        static const Keeping settings[] = {
                [CONFIG_KEY_CREDENTIAL] = KEEPING_CREDENTIAL,
                [CONFIG_KEY_SECRET_SERVICE] = KEEPING_SECRET_SERVICE,
                [CONFIG_KEY_FILE] = KEEPING_FILE,
                [CONFIG_KEY_NONE] = KEEPING_NONE,
        };
        ConfigKey setting = u->args.config->key;

        u->step = step_open;
        if (setting != CONFIG_KEY_AUTO)
                u->wanted = settings[setting];
        else if (u->info.chosen || u->info.in_use)
                u->wanted = u->info.keeping;
        else if (has_credential(u))
                u->wanted = KEEPING_CREDENTIAL;
        else {
                u->choosing = true;
                u->step = step_chosen;
                loop_timer_set(u->choice, usec_add(loop_now(u->args.loop), CHOICE_TIME));
                return fetch(u, KEEPING_SECRET_SERVICE, false);
        }
        return NEXT;
}

static int go_on(Unlocking *u) {
        int r;

        do
                r = u->step(u);
        while (r == NEXT);
        return r;
}

static void on_answer(void *userdata) {
        Unlocking *u = userdata;
        int r;

        loop_defer_arm(u->defer, false);
        r = go_on(u);
        if (r > 0)
                return;
        u->service = secret_service_free(u->service); /* whose end is nobody's business any more */
        u->master = secret_free(u->master);
        u->made = secret_free(u->made);
        u->args.done(u->args.userdata, r);
}

int unlocking_new(const UnlockingArgs *args, Unlocking **ret) {
        _cleanup_(unlocking_freep) Unlocking *u = calloc(1, sizeof(*u));
        int r;

        r = u ? 0 : -ENOMEM;
        if (r >= 0) {
                *u = (Unlocking){.args = *args,
                        .step = step_choose,
                        .master = secret_new(STORE_KEY_SIZE),
                        .made = secret_new(STORE_KEY_SIZE)};
                r = u->master && u->made ? 0 : -ENOMEM;
        }
        if (r >= 0)
                r = loop_defer_new(args->loop, LOOP_DEFER_SOON, on_answer, u, &u->defer);
        if (r >= 0)
                r = loop_timer_new(args->loop, on_quiet, u, &u->quiet);
        if (r >= 0)
                r = loop_timer_new(args->loop, on_choice, u, &u->choice);
        if (r >= 0)
                r = store_key_info(args->store, &u->info);
        if (r < 0)
                return report_start_failed(r, "Starting failed: %s", strerror(-r));
        r = go_on(u);
        if (r > 0)
                *ret = TAKE_PTR(u);
        return r;
}

int unlocking_reload(const Unlocking *u) {
        notify_reloading();
        log_notice("The configuration is read when the key of the store is there, and p2pchatd "
                   "is started again");
        notify_ready(u->said);
        return 0;
}

Unlocking *unlocking_free(Unlocking *u) {
        if (!u)
                return NULL;
        bus_waiting_free(u->waiting);
        secret_service_free(u->service);
        loop_defer_free(u->defer);
        loop_timer_free(u->quiet);
        loop_timer_free(u->choice);
        secret_free(u->master);
        secret_free(u->made);
        free(u);
        return NULL;
}
