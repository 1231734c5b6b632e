/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is said in a conversation: lines that go out, who writes, what was read. */

#include "cli/chat.h"

#include <sys/random.h>
#include <time.h>

/* A service that is there and did not answer is asked again after this. */
#define RETRY (2 * USEC_PER_SEC)

/* It forgets after 30 s that somebody writes. */
#define WRITES_AGAIN (10 * USEC_PER_SEC)

/* Sending */

static int make_id(char id[static UUID_TEXT_SIZE]) {
        uint8_t random[10];
        struct timespec now;
        Uuid uuid;

        if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
                return chatc_fail(
                        STATUS_ERROR, "NoMemory", "there is no randomness: %s.", strerror(errno));
        clock_gettime(CLOCK_REALTIME, &now);
        uuid = uuid_make_v7((usec_t)now.tv_sec * USEC_PER_SEC + (usec_t)now.tv_nsec / 1000, random);
        uuid_format(&uuid, id);
        return 0;
}

static void outgoing_drop_first(Chat *chat) {
        Outgoing *o = chat->first;

        chat->first = o->next;
        if (!chat->first)
                chat->last = NULL;
        chat->n_outgoing--;
        free(o->text);
        free(o);
}

int chat_say(Chat *chat, const char *text) {
        Outgoing *o = calloc(1, sizeof(*o));
        int r;

        if (!o)
                return chatc_out_of_memory();
        o->text = strdup(text);
        r = o->text ? make_id(o->id) : chatc_out_of_memory();
        if (r > 0) {
                free(o->text);
                free(o);
                return r;
        }
        if (chat->last)
                chat->last->next = o;
        else
                chat->first = o;
        chat->last = o;
        chat->n_outgoing++;
        chat_see(chat, o->id);
        show_own(chat, o);
        /* A message ends that its author writes. */
        chat->writes = chat->wrote = false;
        return 0;
}

/* An answer that was lost is asked for again: the id makes one message of both. */
static void on_sent(void *userdata, int status, const CallFailure *failure, const Value *answer) {
        Chat *chat = userdata;

        if (status == STATUS_UNREACHABLE) {
                chat->send_at = usec_add(usec_monotonic(), RETRY);
                return;
        }
        if (status > 0) {
                show_refused(chat, chat->first, failure);
                chat->failed = status;
        } else
                show_accepted(chat, chat->first->id);
        chat->resolve = chat->resolve || *chat->account == '\0';
        outgoing_drop_first(chat);
}

static void send_first(Chat *chat) {
        const Outgoing *o = chat->first;
        const Call call = {
                "Send", {chat->with, o->text}, {{"id", .string = o->id}}, .attached = true};

        call_begin(chat->c, &call, &chat->send);
}

/* What was read */

static void on_read(void *userdata, int status, const CallFailure *failure, const Value *answer) {
        Chat *chat = userdata;

        /* Unless something newer was read meanwhile. */
        if (status == STATUS_UNREACHABLE && chat->unread[0] == '\0')
                memcpy(chat->unread, chat->reading, sizeof(chat->unread));
}

static void mark_read(Chat *chat) {
        const Call call = {.method = "MarkRead", .args = {chat->reading}, .attached = true};

        memcpy(chat->reading, chat->unread, sizeof(chat->reading));
        chat->unread[0] = '\0';
        call_begin(chat->c, &call, &chat->read);
}

/* Who writes */

static void on_typed(void *userdata, int status, const CallFailure *failure, const Value *answer) {
}

static void say_writes(Chat *chat, bool on) {
        const Call call = {.method = "SetTyping",
                .args = {chat->with},
                .numbers = {{'b', on}},
                .attached = true};

        chat->wrote = on;
        chat->wrote_at = usec_monotonic();
        call_begin(chat->c, &call, &chat->type);
}

void chat_edited(Chat *chat, const char *line) {
        chat->writes = *line != '\0' && !chat_is_command(line) && !chat->question;
        if (!chat->present || chat->type.slot || chat->mode != CHAT_TERMINAL)
                return;
        if (chat->writes) {
                if (!chat->wrote || usec_monotonic() - chat->wrote_at > WRITES_AGAIN)
                        say_writes(chat, true);
        } else if (chat->wrote)
                say_writes(chat, false);
}

void chat_stop_writing(Chat *chat) {
        if (chat->wrote && chat->present && bus_is_open(chat->c) && !chat->type.slot)
                say_writes(chat, false);
}

void chat_talk_pump(Chat *chat, usec_t *deadline) {
        if (chat->first && !chat->send.slot && chat->present) {
                if (usec_monotonic() >= chat->send_at)
                        send_first(chat);
                else
                        *deadline = MIN(*deadline, chat->send_at);
        }
        if (chat->unread[0] && !chat->unattended && !chat->read.slot && chat->present)
                mark_read(chat);
        /* What was taken back while the service was told that it begins. */
        if (chat->wrote && !chat->writes && !chat->type.slot && chat->present)
                say_writes(chat, false);
}

void chat_talk_start(Chat *chat) {
        chat->send = (AsyncCall){.fn = on_sent, .userdata = chat};
        chat->read = (AsyncCall){.fn = on_read, .userdata = chat};
        chat->type = (AsyncCall){.fn = on_typed, .userdata = chat};
}

void chat_talk_done(Chat *chat) {
        call_abandon(&chat->send);
        call_abandon(&chat->read);
        call_abandon(&chat->type);
        while (chat->first)
                outgoing_drop_first(chat);
}
