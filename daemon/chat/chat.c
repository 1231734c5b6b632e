/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The parts put together: state, problems, events. */

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include <utlist.h>

#include "chat/room.h"

int chat_error(ChatError *error, Code code, const char *format, ...) {
        va_list ap;

        error->name = code_name(code);
        va_start(ap, format);
        vsnprintf(error->text, sizeof(error->text), format, ap);
        va_end(ap);
        text_clean(error->text);
        return -ECANCELED;
}

int chat_require_login(Chat *c, ChatError *error) {
        if (account_is_active(c->parts.account))
                return 0;
        if (account_is_replaced(c->parts.account))
                return chat_error(error, CODE_REPLACED,
                        "This account is used on another device now: chatc login %s moves it back.",
                        chat_self(c)->name);
        if (account_exists(c->parts.account))
                return chat_error(error, CODE_NOT_LOGGED_IN, "Nobody is logged in: chatc login %s",
                        chat_self(c)->name);
        return chat_error(error, CODE_NOT_LOGGED_IN,
                "There is no account on this device yet: chatc register NAME makes one, and chatc "
                "login NAME uses one that another device has.");
}

bool chat_is_readable(const Chat *c) {
        return account_is_active(c->parts.account) || account_is_replaced(c->parts.account);
}

int chat_require_account(Chat *c, ChatError *error) {
        return chat_is_readable(c) ? 0 : chat_require_login(c, error);
}

const Identity *chat_self(const Chat *c) {
        return account_identity(c->parts.account);
}

void chat_properties_changed(Chat *c, unsigned properties) {
        for (size_t i = 0; i < c->n_listeners; i++)
                c->listeners[i].listener->properties_changed(c->listeners[i].userdata, properties);
}

void chat_add_listener(Chat *c, const ChatListener *listener, void *userdata) {
        assert(c->n_listeners < ELEMENTSOF(c->listeners));
        c->listeners[c->n_listeners].listener = listener;
        c->listeners[c->n_listeners++].userdata = userdata;
}

void chat_remove_listener(Chat *c, const void *userdata) {
        for (size_t i = 0; i < c->n_listeners; i++)
                if (c->listeners[i].userdata == userdata)
                        c->listeners[i] = c->listeners[--c->n_listeners];
}

void chat_add_checks(Chat *c, ChatChecksFn fn, void *userdata) {
        assert(c->n_checks < ELEMENTSOF(c->checks));
        c->checks[c->n_checks].fn = fn;
        c->checks[c->n_checks++].userdata = userdata;
}

void chat_remove_checks(Chat *c, const void *userdata) {
        for (size_t i = 0; i < c->n_checks; i++)
                if (c->checks[i].userdata == userdata)
                        c->checks[i] = c->checks[--c->n_checks];
}

void chat_set_problem(Chat *c, ChatProblem problem, const char *text) {
        snprintf(c->set_problem[problem], SET_PROBLEM_SIZE, "%s", text ?: "");
        text_clean(c->set_problem[problem]);
        chat_properties_changed(c, CHAT_STATE);
}

/* Questions that are answered later */

Operation *operation_new(Chat *c, ChatDoneFn fn, void *userdata) {
        Operation *o = malloc(sizeof(*o));
        ChatError e;

        if (!o) {
                chat_error(&e, CODE_STORAGE, "Out of memory.");
                fn(userdata, &e);
                return NULL;
        }
        *o = (Operation){.chat = c, .fn = fn, .userdata = userdata};
        DL_APPEND(c->operations, o);
        return o;
}

void operation_end(Operation *o, const ChatError *error) {
        ChatDoneFn fn = o->fn;
        void *userdata = o->userdata;

        DL_DELETE(o->chat->operations, o);
        free(o);
        if (fn)
                fn(userdata, error);
}

void chat_storage_error(ChatError *e, int error) {
        if (error == -ENOSPC)
                chat_error(e, CODE_STORAGE, "The disk is full: make room, then try again.");
        else
                chat_error(e, CODE_STORAGE, "The store failed: %s. Try again.", strerror(-error));
}

static void on_committed(void *userdata, int error) {
        Operation *o = userdata;
        ChatError e;

        if (error < 0)
                chat_storage_error(&e, error);
        operation_end(o, error < 0 ? &e : NULL);
}

void operation_await_commit(Operation *o) {
        ChatError e;
        int r;

        r = store_after_commit(o->chat->parts.store, on_committed, o);
        if (r >= 0)
                return;
        chat_storage_error(&e, r);
        operation_end(o, &e);
}

void operation_settle(Operation *o, int r, ChatError *error) {
        if (r >= 0) {
                operation_await_commit(o);
                return;
        }
        if (r != -ECANCELED)
                chat_storage_error(error, r);
        operation_end(o, error);
}

/* Events from below */

static bool on_contact(void *userdata, DbTxn *txn, const Contact *k) {
        Chat *c = userdata;

        if (contact_is_accepted(k) && account_is_active(c->parts.account))
                contact_watch(c, txn, k);
        objects_follow(c, k);
        return true;
}

/* What has an object, and who is watched. */
void chat_take_contacts(Chat *c) {
        DbTxn *txn;

        if (store_read_begin(c->parts.store, &txn) < 0)
                return;
        (void)contact_each(txn, NULL, on_contact, c);
        store_read_end(txn);
}

#define PROPERTIES_OF_ACCOUNT                                                                      \
        (CHAT_NAME | CHAT_ACCOUNT | CHAT_FINGERPRINT | CHAT_STATE | CHAT_QUEUED | CHAT_PRESENCE |  \
                CHAT_NOTE)

void chat_on_active(Chat *c, bool active) {
        c->name_problem[0] = 0;
        c->names.counted = false;
        told_note_seen(c);
        seen_save_all(c);
        told_free_all(c);
        if (active) {
                chat_events_begin_epoch(c);
                chat_take_contacts(c);
                room_objects_start(c);
                rooms_publish_start(c);
        } else {
                if (!chat_is_readable(c)) {
                        objects_clear(c);
                        room_objects_clear(c);
                }
                room_asks_end_all(c);
                rooms_publish_clear(c);
                rooms_told_clear(c);
        }
        chat_properties_changed(c, PROPERTIES_OF_ACCOUNT);
}

/* What is here is read as before; all that happens is at the other device. */
void chat_on_replaced(Chat *c) {
        chat_take_contacts(c);
        room_objects_start(c);
        chat_properties_changed(c, PROPERTIES_OF_ACCOUNT);
}

void chat_on_trackers_changed(Chat *c) {
        names_on_trackers(c);
        chat_properties_changed(c, CHAT_TRACKERS | CHAT_STATE);
}

void chat_on_name_refused(Chat *c, Code code, const char *text) {
        snprintf(c->name_problem, sizeof(c->name_problem),
                "A tracker does not register the name %s: %s", chat_self(c)->name, text);
}

/* Status */

/* The key in groups that can be read out. */
static void format_fingerprint(const char *account, char *buf) {
        for (size_t i = 0; i < BASE32_KEY_SIZE; i++) {
                if (i > 0 && i % 4 == 0)
                        *buf++ = ' ';
                *buf++ = account[i];
        }
        *buf = 0;
}

/* Others can connect to this device. */
static bool is_reachable(const Chat *c) {
        return account_endpoints(c->parts.account)->n > 0 &&
                !c->set_problem[CHAT_PROBLEM_NETWORK][0];
}

static const char *chat_state(const Chat *c) {
        const Directory *d = c->parts.directory;

        if (account_is_replaced(c->parts.account))
                return "replaced";
        if (!account_is_active(c->parts.account))
                return "logged-out";
        if (account_is_lan_only(c->parts.account))
                return is_reachable(c) ? "online" : "offline";
        if (directory_is_connected(d))
                return "online";
        return directory_n_trackers(d) > 0 && !directory_has_failed(d) ? "connecting" : "offline";
}

static void add_problem(Chat *c, size_t *n, const char *text) {
        if (!text[0] || *n >= PROBLEMS_MAX)
                return;
        snprintf(c->problem_text[*n], PROBLEM_SIZE, "%.*s", PROBLEM_SIZE - 1, text);
        c->problems[*n] = text_clean(c->problem_text[*n]);
        (*n)++;
}

static void add_key_problem(Chat *c, size_t *n_problems) {
        const char *first;
        unsigned n = names_count_changed(c, &first);
        char text[PROBLEM_SIZE], others[64] = "";

        if (n == 0)
                return;
        if (n > 1)
                snprintf(others, sizeof(others), " and those of %u other contacts are", n - 1);
        snprintf(text, sizeof(text),
                "The name of %s%s now given to another account: nothing is sent by it until you "
                "decide, see chatc peers.",
                first, n > 1 ? others : " is");
        add_problem(c, n_problems, text);
}

static void add_mail_problem(Chat *c, unsigned unopened, size_t *n_problems) {
        char text[PROBLEM_SIZE];

        if (unopened == 0)
                return;
        snprintf(text, sizeof(text),
                "%u %s of mail could not be opened with the keys of this device: chatc doctor says "
                "what to do.",
                unopened, unopened == 1 ? "piece" : "pieces");
        add_problem(c, n_problems, text);
}

static void add_room_problem(Chat *c, size_t *n_problems) {
        char text[PROBLEM_SIZE];
        unsigned n = rooms_count_unwell(c);

        if (n == 0)
                return;
        snprintf(text, sizeof(text),
                "Something is wrong with %u room%s: chatc doctor says what, and what to do.", n,
                PLURAL(n));
        add_problem(c, n_problems, text);
}

static void fill_trackers(Chat *c, ChatStatus *s, size_t *n_problems) {
        const Directory *d = c->parts.directory;
        char text[PROBLEM_SIZE + ENDPOINT_KEY_SIZE];

        s->n_trackers = directory_n_trackers(d);
        s->trackers = c->trackers;
        for (size_t i = 0; i < s->n_trackers; i++) {
                const Session *session = directory_session(d, i);
                char endpoint[ENDPOINT_SIZE];
                const EndpointKey *e = directory_tracker(d, i);

                endpoint_key_format(e, c->addresses[i]);
                c->trackers[i] = (ChatTracker){.address = c->addresses[i],
                        .state = session ? session_state_name(session) : "unreachable",
                        .error = session ? session_error(session) : ""};
                if (!c->trackers[i].error[0])
                        continue;
                snprintf(text, sizeof(text), "Tracker %s: %s",
                        endpoint_format(e->host, e->port, endpoint), c->trackers[i].error);
                add_problem(c, n_problems, text);
        }
        if (*n_problems > 0 && !directory_is_connected(d))
                add_problem(c, n_problems,
                        "No tracker is reached: contacts are reached at known addresses and on "
                        "the LAN.");
}

static void fill_own_presence(const Chat *c, ChatStatus *s) {
        OwnPresence own = account_own_presence(c->parts.account);

        s->presence = presence_name(own.presence);
        s->note = own.note;
        s->idle = own.idle;
}

/* Those that are not used anyway. */
static void fill_lan(Chat *c, ChatStatus *s) {
        const Directory *d = c->parts.directory;
        EndpointKey found[LAN_TRACKERS_MAX];
        size_t n = directory_lan_trackers(d, found, ELEMENTSOF(found)), shown = 0;

        for (size_t i = 0; i < n; i++) {
                bool used = false;

                for (size_t k = 0; k < directory_n_trackers(d); k++)
                        used |= key_equal(directory_tracker(d, k)->key, found[i].key);
                if (used)
                        continue;
                c->found_trackers[shown] = c->found_addresses[shown];
                endpoint_key_format(&found[i], c->found_addresses[shown++]);
        }
        c->found_trackers[shown] = NULL;
        s->found_trackers = c->found_trackers;
        s->nearby = (unsigned)directory_lan_count(d);
}

static unsigned count_queued(Chat *c) {
        uint64_t n, in_rooms;
        DbTxn *txn;

        if (store_read_begin(c->parts.store, &txn) < 0)
                return 0;
        n = outbox_count(txn);
        if (rooms_each_waiting(txn, NULL, NULL, &in_rooms) >= 0)
                n += in_rooms;
        store_read_end(txn);
        return (unsigned)MIN(n, (uint64_t)UINT32_MAX);
}

static bool has_password(const Chat *c) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        PasswordRow p;

        return store_read_begin(c->parts.store, &txn) >= 0 && store_get_password(txn, &p) > 0;
}

void chat_status(Chat *c, ChatStatus *ret) {
        bool active = account_is_active(c->parts.account);
        ChatStatus s = {.state = chat_state(c), .problems = c->problems};
        char text[STORE_TEXT_SIZE];
        DeliveryMail mail;
        StoreHealth health;
        size_t n = 0;

        s.key_at_rest = keeping_name(store_keeping(c->parts.store));
        s.name = s.account = s.fingerprint = s.presence = s.note = s.kept = "";
        if (account_exists(c->parts.account) && !chat_is_readable(c))
                s.kept = chat_self(c)->name;
        if (chat_is_readable(c)) {
                snprintf(c->name, sizeof(c->name), "%s", chat_self(c)->name);
                base32_encode_key(sign_key_public(&chat_self(c)->account), c->account);
                format_fingerprint(c->account, c->fingerprint);
                s.name = c->name;
                s.account = c->account;
                s.fingerprint = c->fingerprint;
                s.lan_only = account_is_lan_only(c->parts.account);
                s.password = has_password(c);
        }
        if (active) {
                fill_own_presence(c, &s);
                fill_trackers(c, &s, &n);
        }
        fill_lan(c, &s);
        handover_fill(c, &s.hand_over);
        s.queued = count_queued(c);
        delivery_get_mail(c->parts.delivery, &mail);
        s.stored = (unsigned)MIN(mail.envelopes, (uint64_t)UINT32_MAX);
        s.owed = (unsigned)MIN(mail.owed, (uint64_t)UINT32_MAX);
        s.links = delivery_count_links(c->parts.delivery);
        store_get_health(c->parts.store, &health);
        add_problem(c, &n, store_problem(&health, text) ?: "");
        for (size_t i = 0; i < _CHAT_PROBLEM_MAX; i++)
                if (c->set_problem[i][0])
                        c->problems[n++] = c->set_problem[i];
        add_problem(c, &n, c->name_problem);
        add_key_problem(c, &n);
        if (active) {
                add_room_problem(c, &n);
                add_mail_problem(c, mail.unopened, &n);
        }
        c->problems[n] = NULL;
        *ret = s;
}

/* Making and ending */

int chat_new(const ChatParts *parts, Chat **ret) {
        Chat *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        c->parts = *parts;
        r = loop_timer_new(parts->loop, on_seen_timer, c, &c->seen_timer);
        if (r >= 0)
                r = loop_timer_new(parts->loop, names_on_timer, c, &c->names.timer);
        if (r >= 0)
                r = loop_timer_new(parts->loop, on_publish_timer, c, &c->publish_timer);
        if (r < 0) {
                loop_timer_free(c->names.timer);
                loop_timer_free(c->seen_timer);
                free(c);
                return r;
        }
        chat_events_start(c);
        *ret = c;
        return 0;
}

Chat *chat_free(Chat *c) {
        Operation *o, *tmp;

        if (!c)
                return NULL;
        told_note_seen(c);
        seen_save_all(c);
        loop_timer_free(c->seen_timer);
        loop_timer_free(c->names.timer);
        directory_forget(c->parts.directory, c);
        room_ops_free_all(c);
        room_lists_free_all(c);
        room_visits_free_all(c);
        room_asks_end_all(c);
        invitings_free_all(c);
        rooms_publish_clear(c);
        rooms_told_clear(c);
        loop_timer_free(c->publish_timer);
        store_forget(c->parts.store, c);
        pending_free_all(c);
        peer_lists_free_all(c);
        meetings_free_all(c);
        told_free_all(c);
        objects_clear(c);
        room_objects_clear(c);
        DL_FOREACH_SAFE (c->operations, o, tmp) {
                account_forget(c->parts.account, o);
                store_forget(c->parts.store, o);
                DL_DELETE(c->operations, o);
                free(o);
        }
        free(c->accepted);
        free(c);
        return NULL;
}

void chat_forget(Chat *c, void *userdata) {
        Operation *o;

        DL_FOREACH (c->operations, o)
                if (o->userdata == userdata)
                        o->fn = NULL;
        for (size_t i = 0; i < c->n_accepted; i++)
                if (c->accepted[i].userdata == userdata)
                        c->accepted[i].fn = NULL;
        pending_forget(c, userdata);
        peer_lists_forget(c, userdata);
        room_ops_forget(c, userdata);
        room_lists_forget(c, userdata);
        room_visits_forget(c, userdata);
}
