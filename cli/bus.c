/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/bus.h"

#include <stdarg.h>
#include <systemd/sd-bus.h>

#include "util/text.h"

#include "cli/unit.h"
#include "cli/version.h"

#define CALL_TIMEOUT (30 * USEC_PER_SEC)

#define HOW_TO_SEE_WHY "see 'systemctl --user status p2pchatd' and 'journalctl --user -u p2pchatd'"

/* The error of a call: to where the caller wants it, which is standard error if he says nothing. */
static _printf_(4, 5) int call_fail(
        const Call *call, int status, const char *name, const char *format, ...) {
        _cleanup_(freep) char *text = NULL;
        va_list ap;
        int r;

        if (call->quiet || (call->expected && streq(call->expected, name)))
                return status;
        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                text = NULL;
                return chatc_out_of_memory();
        }
        if (!call->failure)
                return chatc_fail(status, name, "%s", text);
        snprintf(call->failure->name, sizeof(call->failure->name), "%s", name);
        free(call->failure->text);
        call->failure->text = TAKE_PTR(text);
        return status;
}

void call_failure_done(CallFailure *f) {
        f->text = mfree(f->text);
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

static int report_failed(const Call *call, const char *why) {
        return call_fail(call, STATUS_UNREACHABLE, "StartFailed",
                "p2pchatd could not be started (%s); " HOW_TO_SEE_WHY ".", why);
}

/* MESSAGE is what the bus says; systemd may know more. */
static int report_not_started(Chatc *c, const Call *call, const char *message) {
        _cleanup_(value_freep) Value *unit = unit_get(c);
        const char *why, *advice;

        if (unit && unit_reason(unit, &why, &advice))
                return call_fail(call, STATUS_UNREACHABLE, "StartFailed",
                        "p2pchatd could not be started (%s); what helps: %s", why, advice);
        return report_failed(call, message);
}

static int report_unreachable(Chatc *c, const Call *call, Reach reach, const char *message) {
        if (call->attached)
                return STATUS_UNREACHABLE;
        switch (reach) {
        case NOT_INSTALLED:
                return call_fail(call, STATUS_UNREACHABLE, "NotInstalled",
                        "p2pchatd is not installed for this session bus: no activation file of it "
                        "names " BUS_NAME "; install p2pchat, or start p2pchatd by hand.");
        case NOT_STARTED:
                return report_not_started(c, call, message);
        default:
                return call_fail(call, STATUS_UNREACHABLE, "NoAnswer",
                        "p2pchatd stopped or does not answer (%s); " HOW_TO_SEE_WHY ".", message);
        }
}

/* Turns a failed call into its exit status and the last line on standard error. */
static int report_error(
        Chatc *c, const Call *call, const sd_bus_error *e, char ret_error[static CALL_ERROR_SIZE]) {
        const char *name = e->name ? e->name : "org.freedesktop.DBus.Error.Failed";
        const char *message = e->message && *e->message ? e->message : "the daemon gave no reason";
        const char *known;
        Reach reach = error_reach(name);
        int status;

        if (reach != REACHED)
                return report_unreachable(c, call, reach, message);

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
        return call_fail(call, status, known, "%s", message);
}

static int report_lost(const Call *call, int r) {
        if (r == -ENOMEM)
                return chatc_out_of_memory();
        return call_fail(call, STATUS_UNREACHABLE, "NoSessionBus",
                "the connection to the session bus was lost (%s).", strerror(-r));
}

int bus_lost(int r) {
        return report_lost(&(Call){}, r);
}

bool bus_is_open(const Chatc *c) {
        return c->bus && sd_bus_is_open(c->bus) > 0;
}

static int bus_open_for(Chatc *c, const Call *call) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        const char *unique;
        int r;

        if (c->bus)
                return 0;
        r = sd_bus_open_user(&bus);
        if (r >= 0)
                r = sd_bus_get_unique_name(bus, &unique);
        if (r < 0)
                return call_fail(call, STATUS_UNREACHABLE, "NoSessionBus",
                        "no session bus is found by DBUS_SESSION_BUS_ADDRESS or "
                        "XDG_RUNTIME_DIR (%s); run chatc in the session of the user whose "
                        "messages these are.",
                        r == -ENOMEDIUM ? "neither is known here" : strerror(-r));
        c->bus = TAKE_PTR(bus);
        return 0;
}

int bus_open(Chatc *c) {
        return bus_open_for(c, &(Call){});
}

static int append_text(sd_bus_message *m, const Call *call, const char *key, const char *s) {
        int r;

        if (!utf8_is_valid(s, strlen(s)))
                return call_fail(call, STATUS_ERROR, "InvalidArgs",
                        "names and texts must be valid UTF-8; one that was given is not.");
        r = key ? sd_bus_message_append(m, "{sv}", key, "s", s) : sd_bus_message_append(m, "s", s);
        return r < 0 ? report_lost(call, r) : 0;
}

static int append_options(sd_bus_message *m, const Call *call) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (const CallOption *o = call->options; r >= 0 && o->key; o++) {
                if (o->string) {
                        int status = append_text(m, call, o->key, o->string);

                        if (status > 0)
                                return status;
                }
                if (o->boolean || o->negative)
                        r = sd_bus_message_append(m, "{sv}", o->key, "b", o->boolean);
                if (r >= 0 && o->number > 0)
                        r = sd_bus_message_append(m, "{sv}", o->key, "u", o->number);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? report_lost(call, r) : 0;
}

static int append_number(sd_bus_message *m, const Call *call, const CallNumber *n) {
        uint32_t u = (uint32_t)n->value;
        int r;

        r = sd_bus_message_append_basic(
                m, n->type, n->type == 't' ? (const void *)&n->value : (const void *)&u);
        return r < 0 ? report_lost(call, r) : 0;
}

static int call_build(Chatc *c, const Call *call, bool start, sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(c->bus, &m, BUS_NAME, BUS_PATH, BUS_NAME, call->method);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, start);
        if (r < 0)
                return report_lost(call, r);
        if (call->secret)
                sd_bus_message_sensitive(m);
        for (const char *const *arg = call->args; *arg; arg++) {
                r = append_text(m, call, NULL, *arg);
                if (r > 0)
                        return r;
        }
        for (const CallNumber *n = call->numbers; n->type; n++) {
                r = append_number(m, call, n);
                if (r > 0)
                        return r;
        }
        r = append_options(m, call);
        if (r > 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

/* START: the bus may start the daemon. */
static int call_attempt(
        Chatc *c, const Call *call, bool start, sd_bus_error *error, sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = call_build(c, call, start, &m);
        if (r > 0)
                return r;
        r = sd_bus_call(c->bus, m, call->timeout ? call->timeout : CALL_TIMEOUT, error, ret);
        return MIN(r, 0);
}

static bool nobody_there(const sd_bus_error *e) {
        return sd_bus_error_has_name(e, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
                sd_bus_error_has_name(e, SD_BUS_ERROR_SERVICE_UNKNOWN);
}

/* dbus-daemon does not hear of it when what it asked systemd to start fails, and lets its clients
 * wait. So systemd is asked here, where there is one; the bus starts the daemon where there is not.
 */
static int call_start(Chatc *c, const Call *call, sd_bus_error *error, sd_bus_message **ret) {
        UnitStart start = unit_start();
        int r;

        sd_bus_error_free(error);
        if (start == UNIT_STARTING)
                return call_fail(call, STATUS_UNREACHABLE, "NoAnswer",
                        "p2pchatd is still starting; try again, and " HOW_TO_SEE_WHY ".");
        if (start == UNIT_FAILED)
                return report_not_started(c, call, "the service failed");
        /* What systemd knows of the unit is of an earlier start. */
        if (start == UNIT_DEPENDENCY_FAILED)
                return report_failed(
                        call, "a unit that it needs failed: systemctl --user --failed");
        r = call_attempt(c, call, start == UNIT_NOT_THERE, error, ret);
        if (r < 0 && start == UNIT_STARTED && nobody_there(error))
                return report_not_started(
                        c, call, "it ended at once, or a condition of its unit does not hold");
        return r;
}

int call_run(Chatc *c, const Call *call, Value **ret, char ret_error[static CALL_ERROR_SIZE]) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        ret_error[0] = '\0';
        r = bus_open_for(c, call);
        if (r > 0)
                return r;
        if (!call->attached)
                version_ask(c);
        r = call_attempt(c, call, false, &error, &reply);
        if (r < 0 && nobody_there(&error) && !call->attached)
                r = call_start(c, call, &error, &reply);
        if (r > 0)
                return r;
        if (!c->listening)
                version_take(c);
        if (r < 0)
                return bus_is_open(c) ? report_error(c, call, &error, ret_error)
                                      : report_lost(call, r);
        if (!ret)
                return 0;
        *ret = NULL;
        if (sd_bus_message_is_empty(reply))
                return 0;
        r = call->all ? value_read_all(reply, ret) : value_read(reply, ret);
        if (r < 0)
                return call_fail(call, STATUS_ERROR, "BadAnswer",
                        "p2pchatd answered in an unknown form (%s).", strerror(-r));
        return 0;
}

int call_value(Chatc *c, const Call *call, Value **ret) {
        _cleanup_(value_freep) Value *v = NULL;
        char error[CALL_ERROR_SIZE];
        int r;

        r = call_run(c, call, &v, error);
        if (r > 0)
                return r;
        if (!v)
                return call_fail(
                        call, STATUS_ERROR, "BadAnswer", "p2pchatd answered with nothing.");
        *ret = TAKE_PTR(v);
        return 0;
}

int call_void(Chatc *c, const Call *call) {
        char error[CALL_ERROR_SIZE];

        return call_run(c, call, NULL, error);
}

static void async_end(AsyncCall *a, int status, CallFailure *failure, const Value *answer) {
        a->slot = sd_bus_slot_unref(a->slot);
        a->fn(a->userdata, status, failure, answer);
        call_failure_done(failure);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const sd_bus_error *error = sd_bus_message_get_error(m);
        _cleanup_(value_freep) Value *answer = NULL;
        AsyncCall *a = userdata;
        CallFailure failure = {};
        const Call call = {.attached = true, .failure = &failure};
        char name[CALL_ERROR_SIZE];
        int status = 0, r;

        if (error)
                status = report_error(a->c, &call, error, name);
        else if (!sd_bus_message_is_empty(m)) {
                r = a->all ? value_read_all(m, &answer) : value_read(m, &answer);
                if (r < 0)
                        status = call_fail(&call, STATUS_ERROR, "BadAnswer",
                                "p2pchatd answered in an unknown form (%s).", strerror(-r));
        }
        async_end(a, status, &failure, answer);
        return 0;
}

void call_begin(Chatc *c, const Call *call, AsyncCall *a) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        CallFailure failure = {};
        Call with_failure = *call;
        int status, r;

        a->c = c;
        a->all = call->all;
        with_failure.failure = &failure;
        status = bus_open_for(c, &with_failure);
        if (status == 0)
                status = call_build(c, &with_failure, false, &m);
        if (status == 0) {
                r = sd_bus_call_async(c->bus, &a->slot, m, on_answer, a,
                        call->timeout ? call->timeout : CALL_TIMEOUT);
                if (r < 0)
                        status = report_lost(&with_failure, r);
        }
        if (status > 0)
                async_end(a, status, &failure, NULL);
}

void call_abandon(AsyncCall *a) {
        a->slot = sd_bus_slot_unref(a->slot);
}

int call_page(Chatc *c, const Call *call, Value **ret, bool *ret_more) {
        _cleanup_(value_freep) Value *v = NULL;
        int r;

        r = call_value(c, call, &v);
        if (r > 0)
                return r;
        if (v->type != VALUE_LIST)
                return call_fail(
                        call, STATUS_ERROR, "BadAnswer", "p2pchatd answered without a list.");
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
