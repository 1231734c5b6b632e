/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/bus.h"

#include <systemd/sd-bus.h>
#include <time.h>

#include "util/text.h"

#define CALL_TIMEOUT (30 * USEC_PER_SEC)

#define HOW_TO_SEE_WHY "see 'systemctl --user status p2pchatd' and 'journalctl --user -u p2pchatd'"

usec_t monotonic_now(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

static const char *error_skip_prefix(const char *name, const char *prefix) {
        size_t n = strlen(prefix);

        return strncmp(name, prefix, n) == 0 ? name + n : NULL;
}

static int error_status(const char *name) {
        if (streq(name, "NotLoggedIn"))
                return STATUS_NOT_LOGGED_IN;
        if (streq(name, "UnknownPeer") || streq(name, "UnknownRoom"))
                return STATUS_UNKNOWN;
        if (streq(name, "Timeout"))
                return STATUS_TIMEOUT;
        return STATUS_ERROR;
}

typedef enum Reach {
        REACHED,
        NOT_INSTALLED,
        NOT_STARTED,
        NO_ANSWER,
} Reach;

/* Errors that the bus makes up when there is nobody to answer; a name that ends in a dot stands for
 * all that begin with it. */
static Reach error_reach(const char *name) {
        static const struct {
                const char *name;
                Reach reach;
        } table[] = {
                {"org.freedesktop.DBus.Error.ServiceUnknown", NOT_INSTALLED},
                {"org.freedesktop.DBus.Error.NameHasNoOwner", NOT_STARTED},
                {"org.freedesktop.DBus.Error.TimedOut", NOT_STARTED},
                {"org.freedesktop.DBus.Error.Spawn.", NOT_STARTED},
                {"org.freedesktop.systemd1.", NOT_STARTED},
                {"org.freedesktop.DBus.Error.NoReply", NO_ANSWER},
                {"org.freedesktop.DBus.Error.Timeout", NO_ANSWER},
                {"org.freedesktop.DBus.Error.Disconnected", NO_ANSWER},
                {"org.freedesktop.DBus.Error.AccessDenied", NO_ANSWER},
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                size_t n = strlen(table[i].name);
                bool whole = table[i].name[n - 1] != '.';

                if (whole ? streq(name, table[i].name) : strncmp(name, table[i].name, n) == 0)
                        return table[i].reach;
        }
        return REACHED;
}

static int report_unreachable(Reach reach, const char *message) {
        switch (reach) {
        case NOT_INSTALLED:
                return chatc_fail(STATUS_UNREACHABLE, "NotInstalled",
                        "p2pchatd is not installed for this session bus: no activation file of it "
                        "names " BUS_NAME "; install p2pchat, or start p2pchatd by hand.");
        case NOT_STARTED:
                return chatc_fail(STATUS_UNREACHABLE, "StartFailed",
                        "p2pchatd could not be started (%s); " HOW_TO_SEE_WHY ".", message);
        default:
                return chatc_fail(STATUS_UNREACHABLE, "NoAnswer",
                        "p2pchatd stopped or does not answer (%s); " HOW_TO_SEE_WHY ".", message);
        }
}

/* Turns a failed call into its exit status and the last line on standard error. */
static int report_error(
        const Call *call, const sd_bus_error *e, char ret_error[static CALL_ERROR_SIZE]) {
        const char *name = e->name ? e->name : "org.freedesktop.DBus.Error.Failed";
        const char *message = e->message && *e->message ? e->message : "the daemon gave no reason";
        const char *known;
        Reach reach = error_reach(name);
        int status;

        if (reach != REACHED)
                return call->quiet ? STATUS_UNREACHABLE : report_unreachable(reach, message);

        known = error_skip_prefix(name, BUS_ERROR_PREFIX);
        if (streq(name, SD_BUS_ERROR_UNKNOWN_METHOD) ||
                streq(name, SD_BUS_ERROR_UNKNOWN_INTERFACE) ||
                streq(name, SD_BUS_ERROR_UNKNOWN_OBJECT)) {
                known = "NotSupported";
                message = "the running p2pchatd is of another version and does not know this.";
        }
        status = known ? error_status(known) : STATUS_ERROR;
        if (!known)
                known = strrchr(name, '.') ? strrchr(name, '.') + 1 : name;
        snprintf(ret_error, CALL_ERROR_SIZE, "%s", known);
        if (!call->quiet && !(call->expected && streq(call->expected, known)))
                chatc_fail(status, known, "%s", message);
        return status;
}

static int report_lost(int r, bool quiet) {
        if (r == -ENOMEM)
                return chatc_out_of_memory();
        if (!quiet)
                chatc_fail(STATUS_UNREACHABLE, "NoSessionBus",
                        "the connection to the session bus was lost (%s).", strerror(-r));
        return STATUS_UNREACHABLE;
}

static int bus_open(Chatc *c, bool quiet) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        const char *unique;
        int r;

        if (c->bus)
                return 0;
        r = sd_bus_open_user(&bus);
        if (r >= 0)
                r = sd_bus_get_unique_name(bus, &unique);
        if (r < 0) {
                if (!quiet)
                        chatc_fail(STATUS_UNREACHABLE, "NoSessionBus",
                                "no session bus is found by DBUS_SESSION_BUS_ADDRESS or "
                                "XDG_RUNTIME_DIR (%s); run chatc in the session of the user whose "
                                "messages these are.",
                                r == -ENOMEDIUM ? "neither is known here" : strerror(-r));
                return STATUS_UNREACHABLE;
        }
        c->bus = TAKE_PTR(bus);
        return 0;
}

static int append_text(sd_bus_message *m, const char *key, const char *s, bool quiet) {
        int r;

        if (!utf8_is_valid(s, strlen(s))) {
                if (!quiet)
                        chatc_fail(STATUS_ERROR, "InvalidArgs",
                                "names and texts must be valid UTF-8; one that was given is not.");
                return STATUS_ERROR;
        }
        r = key ? sd_bus_message_append(m, "{sv}", key, "s", s) : sd_bus_message_append(m, "s", s);
        return r < 0 ? report_lost(r, quiet) : 0;
}

static int append_options(sd_bus_message *m, const Call *call) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (const CallOption *o = call->options; r >= 0 && o->key; o++) {
                if (o->string) {
                        int status = append_text(m, o->key, o->string, call->quiet);

                        if (status > 0)
                                return status;
                }
                if (o->boolean)
                        r = sd_bus_message_append(m, "{sv}", o->key, "b", 1);
                if (r >= 0 && o->number > 0)
                        r = sd_bus_message_append(m, "{sv}", o->key, "u", o->number);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? report_lost(r, call->quiet) : 0;
}

static int call_build(Chatc *c, const Call *call, sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(c->bus, &m, BUS_NAME, BUS_PATH, BUS_NAME, call->method);
        if (r < 0)
                return report_lost(r, call->quiet);
        if (call->secret)
                sd_bus_message_sensitive(m);
        for (const char *const *arg = call->args; *arg; arg++) {
                r = append_text(m, NULL, *arg, call->quiet);
                if (r > 0)
                        return r;
        }
        r = append_options(m, call);
        if (r > 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int call_run(Chatc *c, const Call *call, Value **ret, char ret_error[static CALL_ERROR_SIZE]) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        int r;

        ret_error[0] = '\0';
        r = bus_open(c, call->quiet);
        if (r > 0)
                return r;
        r = call_build(c, call, &m);
        if (r > 0)
                return r;
        r = sd_bus_call(c->bus, m, CALL_TIMEOUT, &error, &reply);
        if (r < 0)
                return sd_bus_is_open(c->bus) > 0 ? report_error(call, &error, ret_error)
                                                  : report_lost(r, call->quiet);
        if (!ret)
                return 0;
        *ret = NULL;
        if (sd_bus_message_is_empty(reply))
                return 0;
        r = value_read(reply, ret);
        if (r < 0) {
                if (!call->quiet)
                        chatc_fail(STATUS_ERROR, "BadAnswer",
                                "p2pchatd answered in an unknown form (%s).", strerror(-r));
                return STATUS_ERROR;
        }
        return 0;
}

int call_value(Chatc *c, const Call *call, Value **ret) {
        _cleanup_(value_freep) Value *v = NULL;
        char error[CALL_ERROR_SIZE];
        int r;

        r = call_run(c, call, &v, error);
        if (r > 0)
                return r;
        if (!v) {
                if (!call->quiet)
                        chatc_fail(STATUS_ERROR, "BadAnswer", "p2pchatd answered with nothing.");
                return STATUS_ERROR;
        }
        *ret = TAKE_PTR(v);
        return 0;
}

int call_void(Chatc *c, const Call *call) {
        char error[CALL_ERROR_SIZE];

        return call_run(c, call, NULL, error);
}

int call_page(Chatc *c, const Call *call, Value **ret, bool *ret_more) {
        _cleanup_(value_freep) Value *v = NULL;
        int r;

        r = call_value(c, call, &v);
        if (r > 0)
                return r;
        if (v->type != VALUE_LIST) {
                if (!call->quiet)
                        chatc_fail(STATUS_ERROR, "BadAnswer", "p2pchatd answered without a list.");
                return STATUS_ERROR;
        }
        *ret_more = value_take_more(v);
        *ret = TAKE_PTR(v);
        return 0;
}

/* The option by which the next page is asked for, behind those of CALL. */
static CallOption *call_option_after(Call *call) {
        for (size_t i = 0; i < CALL_OPTIONS_MAX; i++)
                if (!call->options[i].key) {
                        call->options[i].key = "after";
                        return &call->options[i];
                }
        return &call->options[CALL_OPTIONS_MAX - 1];
}

int call_list(Chatc *c, const Call *call, const char *cursor, CallListFn fn, void *userdata) {
        _cleanup_(freep) char *after = NULL;
        Call page_call = *call;
        CallOption *option = call_option_after(&page_call);
        int r;

        for (;;) {
                _cleanup_(value_freep) Value *page = NULL;
                const char *last;
                bool more;

                option->string = after;
                r = call_page(c, &page_call, &page, &more);
                if (r > 0)
                        return r;
                for (size_t i = 0; i < page->n_items; i++) {
                        r = fn(c, page->items[i], userdata);
                        if (r > 0)
                                return r;
                }
                if (!more || page->n_items == 0)
                        return 0;
                last = value_string(page->items[page->n_items - 1], cursor);
                if (*last == '\0' || (after && streq(last, after)))
                        return 0;
                free(after);
                after = strdup(last);
                if (!after)
                        return chatc_out_of_memory();
        }
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(value_freep) Value *args = NULL;
        SignalHandler *h = userdata;

        args = calloc(1, sizeof(*args));
        if (!args)
                return 0;
        args->type = VALUE_LIST;
        args->items = calloc(8, sizeof(*args->items));
        if (!args->items)
                return 0;
        args->allocated = 8;
        while (args->n_items < args->allocated && sd_bus_message_at_end(m, true) == 0) {
                if (value_read(m, &args->items[args->n_items]) < 0)
                        return 0;
                args->n_items++;
        }
        h->fn(args, h->userdata);
        return 0;
}

int signal_subscribe(Chatc *c, const char *member, SignalHandler *h) {
        int r;

        r = bus_open(c, false);
        if (r > 0)
                return r;
        r = sd_bus_match_signal(
                c->bus, &h->slot, BUS_NAME, BUS_PATH, BUS_NAME, member, on_signal, h);
        return r < 0 ? report_lost(r, false) : 0;
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *old, *new;
        SignalHandler *h = userdata;
        Value present = {.type = VALUE_BOOL}, *items[] = {&present};
        Value args = {.type = VALUE_LIST, .items = items, .n_items = 1};

        if (sd_bus_message_read(m, "sss", &name, &old, &new) < 0)
                return 0;
        present.boolean = *new != '\0';
        h->fn(&args, h->userdata);
        return 0;
}

int signal_subscribe_owner(Chatc *c, SignalHandler *h) {
        int r;

        r = bus_open(c, false);
        if (r > 0)
                return r;
        r = sd_bus_add_match(c->bus, &h->slot,
                "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" BUS_NAME "'",
                on_owner_changed, h);
        return r < 0 ? report_lost(r, false) : 0;
}

void signal_done(SignalHandler *h) {
        h->slot = sd_bus_slot_unref(h->slot);
}

int bus_wait(Chatc *c, usec_t deadline, bool *ret_timeout) {
        usec_t now, left = UINT64_MAX;
        int r;

        /* First, or a steady stream of signals would put the end off. */
        *ret_timeout = false;
        if (deadline != USEC_INFINITY) {
                now = monotonic_now();
                if (now >= deadline) {
                        *ret_timeout = true;
                        return 0;
                }
                left = deadline - now;
        }
        r = sd_bus_process(c->bus, NULL);
        if (r < 0)
                return report_lost(r, false);
        if (r > 0)
                return 0;
        r = sd_bus_wait(c->bus, left);
        if (r < 0 && r != -EINTR)
                return report_lost(r, false);
        return 0;
}
