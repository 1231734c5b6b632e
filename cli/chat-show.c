/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is shown of a conversation: on a terminal, as plain lines, as JSON. */

#include "cli/chat.h"

#include <stdarg.h>
#include <time.h>

#include "cli/chat-screen.h"
#include "cli/event.h"
#include "cli/json.h"
#include "cli/message.h"
#include "cli/print.h"

/* Of a message that a note is about. */
#define START_CHARACTERS 40

static usec_t now(void) {
        struct timespec t;

        clock_gettime(CLOCK_REALTIME, &t);
        return (usec_t)t.tv_sec * USEC_PER_SEC;
}

static const char *first_of(const char *a, const char *b) {
        return *a ? a : b;
}

/* Notes */

static void note(const Chat *chat, usec_t time, const char *text) {
        if (chat->mode == CHAT_TERMINAL)
                screen_add(&(Line){.time = time, .text = text});
        else if (!chat->c->quiet) {
                fputs("chatc: ", stderr);
                print_safe(stderr, text, NULL);
                fputc('\n', stderr);
        }
}

static _printf_(3, 0) void note_format(
        const Chat *chat, usec_t time, const char *format, va_list ap) {
        _cleanup_(freep) char *text = NULL;

        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        else
                note(chat, time, text);
}

void show_note(const Chat *chat, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        note_format(chat, now(), format, ap);
        va_end(ap);
}

/* At the time of an event, which may have come later. */
static _printf_(3, 4) void note_event(
        const Chat *chat, const Value *event, const char *format, ...) {
        uint64_t time = value_number(event, "time");
        va_list ap;

        va_start(ap, format);
        note_format(chat, time > 0 ? time : now(), format, ap);
        va_end(ap);
}

/* Messages */

/* The text as it came, or what stands for it, and in brackets what is out of the ordinary. */
static char *message_text(const Value *m) {
        static const char *const flags[] = {"request", "late", "clock-ahead", "old-device"};
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        message_print_text(f, m, "\n");
        for (size_t i = 0; i < ELEMENTSOF(flags); i++)
                if (value_bool(m, flags[i]))
                        fprintf(f, " [%s]", flags[i]);
        if (fclose(f) != 0)
                return mfree(text);
        return text;
}

/* A message of one's own will not arrive. */
static void show_reason(const Chat *chat, const char *id, const Value *event) {
        const char *said = chat->mode == CHAT_TERMINAL ? screen_text(id) : NULL;
        _cleanup_(freep) char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return;
        fputs(value_string(event, "state"), f);
        if (said) {
                fputs(": \"", f);
                print_start(f, said, START_CHARACTERS);
                fputc('"', f);
        }
        fprintf(f, ": %s", first_of(value_string(event, "reason"), "no reason is known"));
        if (fclose(f) == 0)
                note(chat, now(), text);
}

static void screen_message(Chat *chat, const Value *m) {
        const char *account = first_of(value_string(m, "from-account"), value_string(m, "account"));
        uint64_t gap = value_number(m, "gap-before"), sent = value_number(m, "sent");
        _cleanup_(freep) char *text = message_text(m);
        Line l = {
                .time = sent > 0 ? sent : value_number(m, "received"),
                .name = value_string(m, "from"),
                .account = account,
                .text = text ?: "",
        };

        if (gap > 0)
                note(chat, l.time, "messages before this one are missing");
        snprintf(l.id, sizeof(l.id), "%s", value_string(m, "id"));
        if (streq(account, chat->own_account))
                l.mark = line_mark_from_state(value_string(m, "state"));
        screen_add(&l);
}

void show_message(Chat *chat, const Value *m) {
        if (chat->mode == CHAT_TERMINAL)
                screen_message(chat, m);
        else
                show_event(chat, m);
}

void show_own(Chat *chat, const Outgoing *o) {
        Line l = {
                .time = now(),
                .mark = MARK_SENDING,
                .name = chat->own_name,
                .account = chat->own_account,
                .text = o->text,
        };

        if (chat->mode != CHAT_TERMINAL)
                return;
        memcpy(l.id, o->id, sizeof(l.id));
        screen_add(&l);
}

void show_accepted(Chat *chat, const char *id) {
        JsonLine j;

        if (chat->mode == CHAT_TERMINAL)
                screen_mark(id, MARK_QUEUED);
        else if (chat->mode == CHAT_JSON) {
                j = json_begin(stdout);
                json_member(&j, "id", id);
                json_end(&j);
                fflush(stdout);
        }
}

void show_refused(Chat *chat, const Outgoing *o, const CallFailure *failure) {
        if (chat->mode != CHAT_TERMINAL) {
                chatc_complain(failure->name, "%s", failure->text ?: "");
                return;
        }
        screen_mark(o->id, MARK_FAILED);
        show_note(chat, "not sent: %s: %s", failure->name, failure->text ?: "");
}

void show_state(Chat *chat, const char *id, const Value *event) {
        LineMark mark = line_mark_from_state(value_string(event, "state"));

        if (chat->mode == CHAT_JSON) {
                show_event(chat, event);
                return;
        }
        if (chat->mode == CHAT_TERMINAL)
                screen_mark(id, mark);
        if (mark == MARK_FAILED)
                show_reason(chat, id, event);
}

/* What else happens */

static void screen_room(Chat *chat, const Value *event) {
        static const struct {
                const char *change, *somebody, *self, *nobody;
        } table[] = {
                {"created", "made the room", "you made the room", "the room was made"},
                {"joined", "joined", "you joined", "somebody joined"},
                {"left", "left", "you left", "somebody left"},
                {"invited", "was invited", "you were invited", "somebody was invited"},
                {"kicked", "was removed", "you were removed", "somebody was removed"},
                {"role", "has another role", "you have another role", "a role has changed"},
                {"topic", "changed the topic", "you changed the topic", "the topic was changed"},
                {"deleted", "deleted the room", "you deleted the room", "the room was deleted"},
                {"online", "is online", "you are online", "the room is online"},
                {"offline", "is offline", "you are offline", "the room is offline"},
                {"replaced", "uses another device now", "you use another device now",
                        "somebody uses another device now"},
                {"fork", "has signed two histories, and is not heard from there on",
                        "two histories are signed by you", "somebody has signed two histories"},
        };
        const char *change = value_string(event, "change"), *name = value_string(event, "name");
        const char *detail = first_of(value_string(event, "topic"), value_string(event, "role"));
        const char *inviter = value_string(event, "inviter");
        bool self = streq(value_string(event, "account"), chat->own_account);

        detail = first_of(detail, value_string(event, "reason"));
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (streq(change, table[i].change)) {
                        change = self ? table[i].self : table[i].somebody;
                        if (!self && *name == '\0')
                                change = table[i].nobody;
                        break;
                }
        if (self)
                name = "";
        note_event(chat, event, "%s%s%s%s%s%s%s", name, *name ? " " : "", change,
                *inviter ? " by " : "", inviter, *detail ? ": " : "", detail);
}

/* As `watch` says it, without its time and colours. */
static void screen_event(Chat *chat, const Value *event) {
        _cleanup_(freep) char *text = NULL;
        Chatc plain = *chat->c;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return;
        plain.colour = false;
        event_print_text(&plain, f, event);
        if (fclose(f) == 0)
                note(chat, value_number(event, "time"), text);
}

void show_event(Chat *chat, const Value *event) {
        const char *kind = value_string(event, "event");

        if (chat->mode == CHAT_TERMINAL) {
                if (streq(kind, "RoomChanged"))
                        screen_room(chat, event);
                else
                        screen_event(chat, event);
                return;
        }
        if (chat->mode == CHAT_PLAIN && !streq(kind, "MessageReceived") && !streq(kind, "Gap"))
                return;
        event_print(chat->c, stdout, event);
        fflush(stdout);
}

/* The prompt */

void show_prompt(Chat *chat) {
        _cleanup_(freep) char *text = NULL;
        size_t size;
        FILE *f;

        if (chat->mode != CHAT_TERMINAL)
                return;
        f = open_memstream(&text, &size);
        if (!f)
                return;
        fputs(chat->name, f);
        if (chat->told_gone)
                fputs(", p2pchatd stopped", f);
        else if (chat->n_typing > 1)
                fprintf(f, ", %zu are writing", chat->n_typing);
        else if (chat->n_typing == 1 && chat->room)
                fprintf(f, ", %s is writing", chat->typing[0].name);
        else if (chat->n_typing == 1)
                fputs(" is writing", f);
        else if (*chat->presence && !streq(chat->presence, "online"))
                fprintf(f, ", %s", chat->presence);
        if (fclose(f) == 0)
                screen_prompt(text);
}
