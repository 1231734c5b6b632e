/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/event.h"

#include <time.h>

#include "cli/chatc.h"
#include "cli/json.h"
#include "cli/message.h"
#include "cli/print.h"
#include "cli/value.h"

#define ARGS_MAX 4

typedef struct EventKind {
        const char *name;
        void (*print)(const Chatc *c, FILE *f, const Value *event);
        const char *args[ARGS_MAX + 1]; /* of the signal, without its dictionary */
} EventKind;

static void print_name(const Chatc *c, FILE *f, const Value *event, const char *key) {
        print_sender(c, f, value_string(event, key), value_string(event, "account"));
}

static void print_reason(FILE *f, const Value *event) {
        const char *reason = value_string(event, "reason");

        if (*reason == '\0')
                return;
        fputs(": ", f);
        print_safe(f, reason, NULL);
}

static void print_message(const Chatc *c, FILE *f, const Value *event) {
        const char *room = value_string(event, "room");
        uint64_t gap = value_number(event, "gap-before");

        print_name(c, f, event, "from");
        if (*room) {
                fputs(" in ", f);
                print_safe(f, room, NULL);
        }
        message_print_marks(f, event);
        if (gap > 0)
                fprintf(f, " (%llu missing before)", (unsigned long long)gap);
        fputs(": ", f);
        message_print_text(f, event, NULL);
}

static void print_state(const Chatc *c, FILE *f, const Value *event) {
        print_safe(f, value_string(event, "id"), NULL);
        fputs(" to ", f);
        print_name(c, f, event, "to");
        fputs(" is ", f);
        print_safe(f, value_string(event, "state"), NULL);
        print_reason(f, event);
}

static void print_peer(const Chatc *c, FILE *f, const Value *event) {
        print_name(c, f, event, "name");
        if (value_bool(event, "key-changed")) {
                fputs(": KEY CHANGED, the name belongs to @", f);
                print_safe(f, value_string(event, "other-account"), NULL);
                fputs(" now; nothing is sent by it until you decide", f);
                return;
        }
        if (value_get(event, "key-changed")) {
                fputs(" is who the name means: messages are sent by it again", f);
                return;
        }
        fputs(" is ", f);
        print_safe(f, value_string(event, "presence"), NULL);
}

static void print_room(const Chatc *c, FILE *f, const Value *event) {
        static const char *const news[] = {"role", "topic"};

        print_safe(f, value_string(event, "room"), NULL);
        fputs(": ", f);
        print_safe(f, value_string(event, "change"), NULL);
        if (*value_string(event, "name")) {
                fputc(' ', f);
                print_name(c, f, event, "name");
        }
        for (size_t i = 0; i < ELEMENTSOF(news); i++)
                if (*value_string(event, news[i])) {
                        fputs(": ", f);
                        print_safe(f, value_string(event, news[i]), NULL);
                }
        if (*value_string(event, "inviter")) {
                fputs(" by ", f);
                print_sender(c, f, value_string(event, "inviter"),
                        value_string(event, "inviter-account"));
        }
        print_reason(f, event);
}

static void print_request(const Chatc *c, FILE *f, const Value *event) {
        print_name(c, f, event, "name");
        fputs(" wants to write to you: ", f);
        message_print_text(f, event, NULL);
}

static void print_typing(const Chatc *c, FILE *f, const Value *event) {
        const char *room = value_string(event, "room");

        print_name(c, f, event, "from");
        fputs(value_bool(event, "on") ? " is writing" : " stopped writing", f);
        if (*room) {
                fputs(" in ", f);
                print_safe(f, room, NULL);
        }
}

static void print_replaced(const Chatc *c, FILE *f, const Value *event) {
        fputs("the account is used on another device now; chatc login moves it back", f);
}

static void print_gap(const Chatc *c, FILE *f, const Value *event) {
        uint64_t lost = value_number(event, "lost");

        if (lost > 0)
                fprintf(f, "(%llu events before this are no longer kept)",
                        (unsigned long long)lost);
        else
                fputs("(events may be missing here: the store was put back to an older state)", f);
}

static const EventKind kinds[] = {
        {"MessageReceived", print_message, {"id", "from", "room", "text"}},
        {"MessageStateChanged", print_state, {"id", "to", "state"}},
        {"PeerChanged", print_peer, {"name", "presence"}},
        {"RoomChanged", print_room, {"room", "change"}},
        {"RequestReceived", print_request, {"name", "text"}},
        {"TypingChanged", print_typing, {"from", "on"}},
        {"SessionReplaced", print_replaced, {}},
        {"Gap", print_gap, {}},
};

static const EventKind *kind_find(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (streq(kinds[i].name, name))
                        return &kinds[i];
        return NULL;
}

void event_print_text(const Chatc *c, FILE *f, const Value *event) {
        const EventKind *kind = kind_find(value_string(event, "event"));

        if (kind)
                kind->print(c, f, event);
        else
                print_dict(f, event);
}

void event_print(const Chatc *c, FILE *f, const Value *event) {
        uint64_t at = value_number(event, "time");

        if (c->json) {
                json_line(f, event);
                return;
        }
        if (at > 0) {
                print_time(f, at);
                fputc(' ', f);
        }
        event_print_text(c, f, event);
        fputc('\n', f);
}

struct SignalEvent {
        Value dict, name, time;
};

static void event_add(SignalEvent *e, const char *key, Value *item) {
        e->dict.keys[e->dict.n_items] = (char *)key;
        e->dict.items[e->dict.n_items++] = item;
}

SignalEvent *event_free(SignalEvent *e) {
        if (!e)
                return NULL;
        free(e->dict.items);
        free(e->dict.keys);
        return mfree(e);
}

SignalEvent *event_from_signal(const char *member, const Value *args) {
        _cleanup_(event_freep) SignalEvent *e = NULL;
        const EventKind *kind = kind_find(member);
        const Value *details = NULL;
        size_t size = ARGS_MAX + 2;

        if (args->n_items > 0 && args->items[args->n_items - 1]->type == VALUE_DICT) {
                details = args->items[args->n_items - 1];
                size += details->n_items;
        }
        e = calloc(1, sizeof(*e));
        if (!e)
                return NULL;
        e->dict.type = VALUE_DICT;
        e->dict.items = calloc(size, sizeof(*e->dict.items));
        e->dict.keys = calloc(size, sizeof(*e->dict.keys));
        if (!e->dict.items || !e->dict.keys)
                return NULL;

        e->name = (Value){VALUE_STRING, .string = (char *)member};
        e->time = (Value){VALUE_U64, .number = (uint64_t)time(NULL) * USEC_PER_SEC};
        event_add(e, "event", &e->name);
        if (!value_get(details, "time"))
                event_add(e, "time", &e->time);
        for (size_t i = 0; kind && kind->args[i] && i < args->n_items; i++)
                if (args->items[i] != details)
                        event_add(e, kind->args[i], args->items[i]);
        for (size_t i = 0; details && i < details->n_items; i++)
                if (!value_get(&e->dict, details->keys[i]))
                        event_add(e, details->keys[i], details->items[i]);
        return TAKE_PTR(e);
}

const Value *event_value(const SignalEvent *e) {
        return &e->dict;
}
