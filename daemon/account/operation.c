/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a user asks of the account, and waits for: one thing at a time. */

#include <stdio.h>

#include "account/password.h"
#include "util/log.h"

static void ask_go_on(Account *a);

static void use_tracker(Account *a) {
        a->callbacks->use_tracker(a->userdata, account_tracker(a));
}

static void standing_note(Account *a) {
        const Identity *i = &a->identity;

        a->was = (Standing){
                .claimed = i->claimed, .lan_only = i->lan_only, .logged_in = i->logged_in};
        memcpy(a->was.tracker, i->tracker, TRACKER_TEXT_MAX);
}

static void standing_restore(Account *a) {
        Identity *i = &a->identity;

        i->claimed = a->was.claimed;
        i->lan_only = a->was.lan_only;
        i->logged_in = a->was.logged_in && !i->replaced;
        memcpy(i->tracker, a->was.tracker, TRACKER_TEXT_MAX);
}

static void operation_end(Account *a, Code code, const char *text) {
        AccountDoneFn fn = a->fn;

        a->operation = OPERATION_NONE;
        a->fn = NULL;
        a->ask = NULL;
        a->taking_over = a->deleting = false;
        a->login_name[0] = 0;
        explicit_bzero(&a->kept, sizeof(a->kept));
        a->password = password_try_free(a->password);
        a->old_password = password_wipe(a->old_password);
        a->new_password = password_wipe(a->new_password);
        directory_forget(a->directory, a); /* an answer that comes now is to nothing */
        loop_timer_set(a->deadline, USEC_INFINITY);
        if (fn)
                fn(a->fn_userdata, code, text);
}

/* What is in memory must be what is on disk. */
void operation_fail(Account *a, Code code, const char *text) {
        a->operation = OPERATION_BEGUN; /* what the directory says while it stops is no news */
        a->publishing = false;
        standing_restore(a);
        if (account_is_replaced(a))
                account_watch_successor(a);
        else if (!account_is_active(a)) {
                directory_stop(a->directory);
                directory_begin_anew(a->directory, false);
        }
        use_tracker(a);
        operation_end(a, code, text);
}

void operation_fail_storage(Account *a, int error) {
        operation_fail(a, CODE_STORAGE,
                error == -ENOSPC ? "the disk is full: the account could not be kept"
                                 : "the account could not be written to disk");
}

/* The disk says what becomes of a decision. */
void operation_replaced(Account *a) {
        if (a->operation != OPERATION_NONE && a->operation != OPERATION_COMMIT && !a->taking_over)
                operation_fail(a, CODE_REPLACED, REPLACED);
}

/* True when nobody else is being served. */
bool operation_begin(Account *a, AccountDoneFn fn, void *userdata) {
        if (a->operation != OPERATION_NONE) {
                fn(userdata, CODE_TOO_MANY,
                        "another account operation is under way: wait for its answer");
                return false;
        }
        if (a->gone) {
                fn(userdata, CODE_TOO_MANY, "an account is being deleted: try again in a second");
                return false;
        }
        a->operation = OPERATION_BEGUN;
        a->fn = fn;
        a->fn_userdata = userdata;
        standing_note(a);
        return true;
}

#define NO_TRACKER                                                                                 \
        "no tracker is known: give one with --tracker host:port#key, name one in p2pchatd.conf, "  \
        "or take --no-tracker for the LAN alone"

/* A name that is claimed with keys that were never written is lost to everybody. Sessions say HELLO
 * with the record that is on disk now. */
static void on_saved(Account *a, int error) {
        if (error < 0) {
                if (a->taking_over)
                        login_undo(a);
                operation_fail_storage(a, error);
                return;
        }
        standing_note(a);
        a->asked = false;
        if (a->taking_over && !login_saved(a))
                return;
        use_tracker(a);
        if (directory_n_trackers(a->directory) == 0) {
                operation_fail(a, CODE_TRACKER_UNREACHABLE, NO_TRACKER);
                return;
        }
        directory_start(a->directory);
        a->operation = OPERATION_REGISTER;
}

/* Who was active before stays so throughout, and is found by more people now. */
static void on_published(Account *a) {
        bool was_active = a->was.logged_in;

        a->publishing = false;
        use_tracker(a);
        if (was_active)
                account_publish(a, &a->endpoints);
        else
                a->callbacks->active(a->userdata, true);
}

static void on_gone(Account *a) {
        a->gone = true;
        a->callbacks->active(a->userdata, false);
        directory_stop(a->directory);
        operation_end(a, CODE_OK, "");
        a->callbacks->deleted(a->userdata);
}

static void on_decided(Account *a, int error) {
        if (error < 0) {
                if (a->taking_over)
                        login_undo(a);
                operation_fail_storage(a, error);
                return;
        }
        if (a->deleting) {
                on_gone(a);
                return;
        }
        if (a->identity.replaced) { /* meanwhile; who says so says the rest */
                a->publishing = false;
                operation_end(a, CODE_REPLACED, REPLACED);
                return;
        }
        account_look_later(a);
        if (a->publishing)
                on_published(a);
        else {
                if (a->want_active && directory_is_nameless(a->directory))
                        directory_begin_anew(a->directory, false); /* only the password was asked */
                use_tracker(a);
                a->callbacks->active(a->userdata, a->want_active);
                account_send_anew(a);
        }
        if (!a->want_active)
                directory_stop(a->directory);
        operation_end(a, CODE_OK, "");
}

static void operation_written(Account *a, int error) {
        if (a->operation == OPERATION_SAVE)
                on_saved(a, error);
        else if (a->operation == OPERATION_COMMIT)
                on_decided(a, error);
}

/* Of an operation that has ended meanwhile it says nothing about the present one. */
static void on_committed(void *userdata, int error) {
        Account *a = userdata;

        if (store_batch_number(a->store) > a->batch)
                operation_written(a, error);
}

static int after_commit(Account *a) {
        a->batch = store_batch_number(a->store);
        return store_after_commit(a->store, on_committed, a);
}

void operation_commit(Account *a, bool active) {
        int r;

        a->operation = OPERATION_COMMIT;
        loop_timer_set(a->deadline, USEC_INFINITY); /* the disk answers, whatever it says */
        a->want_active = active;
        a->identity.logged_in = active;
        r = store_save_identity(a->store, &a->identity);
        if (r >= 0)
                r = after_commit(a);
        if (r < 0)
                operation_written(a, r);
}

void operation_save(Account *a) {
        int r;

        a->operation = OPERATION_SAVE;
        r = after_commit(a);
        if (r < 0)
                operation_written(a, r);
}

/* The name is this account's. */
static void register_commit(Account *a) {
        a->identity.claimed = true;
        a->identity.lan_only = false;
        if (a->publishing)
                memcpy(a->identity.tracker, a->publish_at, TRACKER_TEXT_MAX);
        operation_commit(a, true);
}

static void on_registered(void *userdata, Code code, const char *text) {
        Account *a = userdata;

        if (a->operation != OPERATION_REGISTER)
                return;
        a->asked = false;
        if (code == CODE_TRACKER_UNREACHABLE || code == CODE_TIMEOUT)
                return; /* another attempt follows until the deadline */
        if (code != CODE_OK) {
                operation_fail(a, code == _CODE_MAX ? CODE_NOT_ALLOWED : code, text);
                return;
        }
        a->asked = true;
        if (a->taking_over)
                login_registered(a);
        else if (a->new_password) {
                a->operation = OPERATION_ASK;
                account_set_password(a);
        } else
                register_commit(a);
}

static void register_go_on(Account *a) {
        char text[SESSION_ERROR_SIZE + 64];

        if (a->operation != OPERATION_REGISTER || a->asked)
                return;
        if (directory_is_connected(a->directory)) {
                a->asked = directory_register(a->directory, on_registered, a) >= 0;
                return;
        }
        if (!directory_has_failed(a->directory))
                return;
        snprintf(text, sizeof(text), "no tracker could be reached: %s",
                directory_error(a->directory));
        operation_fail(a, CODE_TRACKER_UNREACHABLE, text);
}

void account_trackers_changed(Account *a) {
        account_look_at_times(a);
        register_go_on(a);
        ask_go_on(a);
}

void account_on_deadline(void *userdata) {
        Account *a = userdata;
        char text[SESSION_ERROR_SIZE + 64];

        snprintf(text, sizeof(text), "no answer from a tracker in time: %s",
                directory_error(a->directory));
        if (a->taking_over && a->operation == OPERATION_ASK)
                operation_password_done(a, CODE_TIMEOUT, text);
        else
                operation_fail(a, CODE_TIMEOUT, text);
}

bool account_tracker_is_good(const char *tracker) {
        EndpointKey e;

        return !tracker || !tracker[0] ||
                (strlen(tracker) < TRACKER_TEXT_MAX && endpoint_key_parse(tracker, &e) >= 0 &&
                        key_is_valid(e.key));
}

void account_set_tracker(char to[static TRACKER_TEXT_MAX], const char *tracker) {
        if (tracker && tracker[0])
                snprintf(to, TRACKER_TEXT_MAX, "%s", tracker);
}

static void refuse_second(const Account *a, AccountDoneFn fn, void *userdata) {
        fn(userdata, CODE_ACCOUNT_EXISTS,
                account_is_lan_only(a)
                        ? "this device has an account already, for the LAN alone: chatc register "
                          "with its name and --tracker publishes it"
                        : "this device has an account already: chatc login NAME activates it");
}

/* The record is made anew: who has no network has a wrong clock, perhaps, and no tracker takes what
 * is of the future. */
static void register_begin(Account *a) {
        int r;

        r = account_renew(a);
        if (r < 0) {
                operation_fail_storage(a, r);
                return;
        }
        loop_timer_set(a->deadline, loop_now(a->loop) + ACCOUNT_ANSWER_TIME);
        operation_save(a);
}

/* A longer one takes nobody much longer to type, and a guesser for ever. */
#define PASSWORD_LEAST 8

static bool password_is_good(const char *password, AccountDoneFn fn, void *userdata) {
        size_t n = strlen(password);

        if (n >= PASSWORD_LEAST && n <= PASSWORD_MAX)
                return true;
        fn(userdata, CODE_BAD_PASSWORD,
                n < PASSWORD_LEAST ? "a password has at least 8 characters: choose a longer one"
                                   : "a password has at most 1023 bytes: choose a shorter one");
        return false;
}

bool operation_note_password(Account *a, char **to, const char *password) {
        *to = password[0] ? strdup(password) : NULL;
        if (*to || !password[0])
                return true;
        operation_fail(a, CODE_STORAGE, "out of memory");
        return false;
}

void account_register(Account *a, const char *name, const char *password, const char *tracker,
        AccountDoneFn fn, void *userdata) {
        char folded[NAME_SIZE];

        if (name_fold(name, strlen(name), folded) < 0) {
                fn(userdata, CODE_BAD_NAME, BAD_NAME);
                return;
        }
        if (!account_tracker_is_good(tracker)) {
                fn(userdata, CODE_INVALID_ARGS, BAD_TRACKER);
                return;
        }
        if (account_exists(a) && !(account_is_lan_only(a) && streq(folded, a->identity.name))) {
                refuse_second(a, fn, userdata);
                return;
        }
        if (password[0] && !password_is_good(password, fn, userdata))
                return;
        if (!operation_begin(a, fn, userdata) ||
                !operation_note_password(a, &a->new_password, password))
                return;
        a->publishing = account_exists(a);
        a->publish_at[0] = 0;
        account_set_tracker(a->publishing ? a->publish_at : a->identity.tracker, tracker);
        memcpy(a->identity.name, folded, NAME_SIZE);
        register_begin(a);
}

void account_register_on_lan(Account *a, const char *name, AccountDoneFn fn, void *userdata) {
        char folded[NAME_SIZE];
        int r;

        if (name_fold(name, strlen(name), folded) < 0) {
                fn(userdata, CODE_BAD_NAME, BAD_NAME);
                return;
        }
        if (account_exists(a)) {
                refuse_second(a, fn, userdata);
                return;
        }
        if (!operation_begin(a, fn, userdata))
                return;
        memcpy(a->identity.name, folded, NAME_SIZE);
        a->identity.tracker[0] = 0;
        a->identity.lan_only = true;
        r = account_renew(a);
        if (r < 0)
                operation_fail_storage(a, r);
        else
                operation_commit(a, true);
}

/* What is asked of a tracker */

static void ask_go_on(Account *a) {
        char text[SESSION_ERROR_SIZE + 64];

        if (a->operation != OPERATION_ASK || a->asked)
                return;
        if (directory_is_connected(a->directory)) {
                a->asked = true;
                a->ask(a);
                return;
        }
        if (!directory_has_failed(a->directory))
                return;
        snprintf(text, sizeof(text), "no tracker could be reached: %s",
                directory_error(a->directory));
        operation_fail(a, CODE_TRACKER_UNREACHABLE, text);
}

void operation_at_tracker(Account *a, void (*ask)(Account *a)) {
        a->ask = ask;
        a->asked = false;
        loop_timer_set(a->deadline, loop_now(a->loop) + ACCOUNT_ANSWER_TIME);
        if (!account_is_active(a)) {
                if (!account_is_replaced(a))
                        directory_begin_anew(a->directory, true);
                use_tracker(a);
                if (directory_n_trackers(a->directory) == 0) {
                        operation_fail(a, CODE_TRACKER_UNREACHABLE, NO_TRACKER);
                        return;
                }
                directory_start(a->directory);
        }
        a->operation = OPERATION_ASK; /* what is said while it starts is no news */
        ask_go_on(a);
}

/* Changing the password */

void operation_password_done(Account *a, Code code, const char *text) {
        if (a->operation != OPERATION_ASK)
                return;
        if (code != CODE_OK && a->taking_over)
                log_warning("The tracker keeps an older backup of this account: %s", text);
        else if (code != CODE_OK) {
                operation_fail(a, code, text);
                return;
        }
        if (account_exists(a) && !a->publishing)
                operation_commit(a, a->taking_over || a->identity.logged_in);
        else
                register_commit(a);
}

static void on_old_proven(Account *a, Code code, const char *text, const DirectoryLogin *l) {
        if (code != CODE_OK)
                operation_fail(a, code, text);
        else
                account_set_password(a);
}

static void change_ask(Account *a) {
        if (a->old_password)
                password_prove(a, a->old_password, NULL, on_old_proven);
        else
                account_set_password(a);
}

/* 1, 0, or an error of the store. */
static int has_password(Account *a) {
        PasswordRow row;

        return store_get_password(store_write(a->store), &row);
}

void account_change_password(
        Account *a, const char *old, const char *password, AccountDoneFn fn, void *userdata) {
        if (!account_is_active(a))
                fn(userdata, CODE_NOT_LOGGED_IN, "no account is logged in");
        else if (account_is_lan_only(a))
                fn(userdata, CODE_NOT_ALLOWED,
                        "this account is for the LAN alone: a password is kept by a tracker");
        else if (has_password(a) < 0)
                fn(userdata, CODE_STORAGE, "the store cannot be read");
        else if (has_password(a) > 0 && !old[0])
                fn(userdata, CODE_BAD_PASSWORD, "this account has a password: give the old one");
        else if (has_password(a) == 0 && old[0])
                fn(userdata, CODE_BAD_PASSWORD,
                        "this account has no password yet: leave the old one empty");
        else if (password_is_good(password, fn, userdata) && operation_begin(a, fn, userdata) &&
                operation_note_password(a, &a->new_password, password) &&
                operation_note_password(a, &a->old_password, old))
                operation_at_tracker(a, change_ask);
}

void account_logout(Account *a, AccountDoneFn fn, void *userdata) {
        if (!account_is_active(a))
                fn(userdata, CODE_NOT_LOGGED_IN, "no account is logged in");
        else if (operation_begin(a, fn, userdata))
                operation_commit(a, false);
}

void account_forget(Account *a, void *userdata) {
        if (a->fn_userdata == userdata)
                a->fn = NULL;
}
