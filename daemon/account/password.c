/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "account/password.h"

/* What the thread works on: its own until it is done. */
typedef struct Stretch {
        OprfAnswer answer;
        uint8_t y[OPRF_OUTPUT_SIZE];
        PasswordKeys keys;
        PasswordCost cost;
        int error;
} Stretch;

struct PasswordTry {
        Account *account;
        char *password;
        OprfRequest asked;
        uint8_t blind[OPRF_KEY_SIZE];
        uint8_t tracker[KEY_SIZE];
        uint64_t key_id;
        LoopWork *work;
        PasswordFn fn;
};

char *password_wipe(char *password) {
        if (password)
                explicit_bzero(password, strlen(password));
        free(password);
        return NULL;
}

PasswordTry *password_try_free(PasswordTry *t) {
        if (!t)
                return NULL;
        loop_work_cancel(t->work);
        directory_forget(t->account->directory, t);
        password_wipe(t->password);
        explicit_bzero(t, sizeof(*t));
        free(t);
        return NULL;
}

static void stretch_free(Stretch *s) {
        explicit_bzero(s, sizeof(*s));
        free(s);
}

static void try_end(PasswordTry *t, Code code, const char *text, const PasswordKept *kept) {
        Account *a = t->account;
        PasswordFn fn = t->fn;

        a->password = password_try_free(t);
        fn(a, code, text, kept);
}

static void stretch_run(void *job) {
        Stretch *s = job;

        s->error = password_stretch(s->y, &s->cost, &s->keys);
}

static void on_stretched(void *job, void *userdata, bool cancelled) {
        PasswordTry *t = userdata;
        Stretch *s = job;
        PasswordKept kept;

        if (cancelled) {
                stretch_free(s);
                return;
        }
        t->work = NULL;
        if (s->error < 0) {
                stretch_free(s);
                try_end(t, CODE_STORAGE,
                        "there is not enough memory to stretch the password: close something and "
                        "try again",
                        NULL);
                return;
        }
        kept = (PasswordKept){
                .asked = t->asked, .key_id = t->key_id, .cost = s->cost, .keys = s->keys};
        memcpy(kept.tracker, t->tracker, KEY_SIZE);
        stretch_free(s);
        try_end(t, CODE_OK, "", &kept);
        explicit_bzero(&kept, sizeof(kept));
}

static int stretch_begin(PasswordTry *t, const OprfAnswer *a) {
        Account *account = t->account;
        Stretch *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->cost = (PasswordCost){.memory = a->memory, .passes = a->passes};
        r = password_cost_check(&s->cost, &account->password_least);
        if (r >= 0)
                r = oprf_finalize(text_bytes(t->password), t->blind, a->evaluated, s->y);
        if (r >= 0)
                r = loop_work_new(account->loop, LOOP_WORK_STRETCH, stretch_run, s, on_stretched, t,
                        &t->work);
        if (r < 0)
                stretch_free(s);
        return r;
}

static void on_oprf(
        void *userdata, Code code, const char *text, const uint8_t *tracker, const OprfAnswer *a) {
        PasswordTry *t = userdata;
        int r;

        if (code != CODE_OK) {
                try_end(t, code == _CODE_MAX ? CODE_NOT_ALLOWED : code, text, NULL);
                return;
        }
        memcpy(t->tracker, tracker, KEY_SIZE);
        t->key_id = a->key_id;
        r = stretch_begin(t, a);
        t->password = password_wipe(t->password);
        if (r == -ERANGE || r == -E2BIG)
                try_end(t, CODE_NOT_ALLOWED,
                        r == -ERANGE ? "the tracker wants the password to be easier to guess than "
                                       "this program allows: use another tracker"
                                     : "the tracker wants more work for a password than this "
                                       "program does: use another tracker",
                        NULL);
        else if (r == -ENOMEM)
                try_end(t, CODE_STORAGE, "out of memory", NULL);
        else if (r < 0)
                try_end(t, CODE_TRACKER_UNREACHABLE, "the tracker's answer does not hold", NULL);
}

static int try_ask(PasswordTry *t, const uint8_t *tracker) {
        uint8_t random[OPRF_RANDOM_SIZE];
        int r;

        loop_random(t->account->loop, random, sizeof(random));
        r = oprf_blind(text_bytes(t->password), random, t->blind, t->asked.blinded);
        explicit_bzero(random, sizeof(random));
        return r < 0 ? r : directory_oprf(t->account->directory, tracker, &t->asked, on_oprf, t);
}

Code password_try(Account *a, const char *password, const uint8_t *tracker, const OprfRequest *what,
        PasswordFn fn, PasswordTry **ret, const char **ret_text) {
        PasswordTry *t = calloc(1, sizeof(*t));
        int r = -ENOMEM;

        if (t) {
                *t = (PasswordTry){.account = a, .fn = fn, .asked = *what};
                t->password = strdup(password);
                if (t->password)
                        r = try_ask(t, tracker);
        }
        if (r >= 0) {
                *ret = t;
                return CODE_OK;
        }
        password_try_free(t);
        if (r == -EOPNOTSUPP)
                *ret_text = "the tracker keeps no passwords: use another one, or --no-password";
        else if (r == -ENOTCONN || r == -EBUSY)
                *ret_text = "the tracker that keeps the password is not there: try again later";
        else
                *ret_text = "out of memory";
        return r == -EOPNOTSUPP                 ? CODE_NOT_SUPPORTED
                : r == -ENOTCONN || r == -EBUSY ? CODE_TRACKER_UNREACHABLE
                                                : CODE_STORAGE;
}
