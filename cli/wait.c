/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/wait.h"

#include <stdio.h>

/* Messages that may be newer than the one looked for and have come since the first question. */
#define LOOK_UP_PAGE 100

struct StateWait {
        Chatc *c;
        SignalHandler changed;
        SignalHandler owner;
        const char *id;
        MessageState state;
        char *reason;
        bool look_up;
};

MessageState message_state_from_string(const char *s) {
        static const char *const names[] = {
                "queued", "stored", "delivered", "read", "failed", "expired"};

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(s, names[i]))
                        return (MessageState)i;
        return _STATE_INVALID;
}

/* States only move forward: an answer may be older than a signal that came before it. */
static void state_take(StateWait *w, const char *state, const Value *details) {
        MessageState s = message_state_from_string(state);

        if (s < 0 || s <= w->state)
                return;
        w->state = s;
        free(w->reason);
        w->reason = strdup(value_string(details, "reason"));
}

/* Handlers run in bus_wait() only, when the id is known already. */
static void on_state_changed(const Value *args, void *userdata) {
        StateWait *w = userdata;

        if (args->n_items < 4 || args->items[0]->type != VALUE_STRING ||
                args->items[2]->type != VALUE_STRING || !streq(args->items[0]->string, w->id))
                return;
        state_take(w, args->items[2]->string, args->items[3]);
}

static void on_owner_changed(const Value *args, void *userdata) {
        StateWait *w = userdata;

        if (args->items[0]->boolean)
                w->look_up = true;
        else if (!w->c->quiet)
                fputs("chatc: p2pchatd stopped; waiting until it is back\n", stderr);
}

StateWait *state_wait_free(StateWait *w) {
        if (!w)
                return NULL;
        signal_done(&w->changed);
        signal_done(&w->owner);
        free(w->reason);
        return mfree(w);
}

int state_wait_new(Chatc *c, StateWait **ret) {
        _cleanup_(state_wait_freep) StateWait *w = NULL;
        int r;

        w = calloc(1, sizeof(*w));
        if (!w)
                return chatc_out_of_memory();
        w->c = c;
        w->changed = (SignalHandler){.fn = on_state_changed, .userdata = w};
        w->owner = (SignalHandler){.fn = on_owner_changed, .userdata = w};
        r = signal_subscribe(c, "MessageStateChanged", &w->changed);
        if (r > 0)
                return r;
        r = signal_subscribe_owner(c, &w->owner);
        if (r > 0)
                return r;
        *ret = TAKE_PTR(w);
        return 0;
}

static Value *list_messages(
        StateWait *w, const char *to, const char *key, const char *id, unsigned limit) {
        Call call = {"ListMessages", {to}, {{"limit", .number = limit}, {key, .string = id}},
                .quiet = true};
        Value *page = NULL;
        bool more;

        return call_page(w->c, &call, &page, &more) > 0 ? NULL : page;
}

/* There is no call for one message by its id: its successor leads back to it, and without one it is
 * among the newest. What cannot be found out here, the signal still tells. */
static void state_look_up(StateWait *w, const char *to) {
        _cleanup_(value_freep) Value *next = NULL, *page = NULL;

        next = list_messages(w, to, "after", w->id, 1);
        if (!next)
                return;
        page = next->n_items > 0
                ? list_messages(w, to, "before", value_string(next->items[0], "id"), 1)
                : list_messages(w, to, NULL, NULL, LOOK_UP_PAGE);
        for (size_t i = 0; page && i < page->n_items; i++)
                if (streq(value_string(page->items[i], "id"), w->id))
                        state_take(w, value_string(page->items[i], "state"), page->items[i]);
}

static int report_end(const StateWait *w) {
        const char *reason = w->reason && *w->reason ? w->reason : "no reason is known";

        if (w->state == STATE_EXPIRED)
                return chatc_fail(STATUS_ERROR, "Expired",
                        "the message was not delivered before its time was over: %s.", reason);
        return chatc_fail(STATUS_ERROR, "Failed", "the message cannot be delivered: %s.", reason);
}

static int report_timeout(const StateWait *w) {
        const char *text = "the message is not delivered yet; it stays queued and goes out later.";

        if (w->state == STATE_STORED)
                text = "the message is stored in a mailbox, but not delivered yet.";
        else if (w->state == STATE_DELIVERED)
                text = "the message is delivered, but not read yet.";
        return chatc_fail(STATUS_TIMEOUT, "Timeout", "%s", text);
}

int state_wait_run(StateWait *w, const char *to, const char *id, MessageState wanted,
        usec_t timeout, bool look_up) {
        usec_t deadline = usec_add(usec_monotonic(), timeout);
        bool timed_out;
        int r;

        w->id = id;
        w->look_up = look_up;
        for (;;) {
                if (w->look_up) {
                        w->look_up = false;
                        state_look_up(w, to);
                }
                if (w->state >= STATE_FAILED)
                        return report_end(w);
                if (w->state >= wanted)
                        return 0;
                r = bus_wait(w->c, deadline, &timed_out);
                if (r > 0)
                        return r;
                if (timed_out)
                        return report_timeout(w);
        }
}
