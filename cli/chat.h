/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A conversation: chatc chat WITH. The parts of it that know the service (chat-talk.c,
 * chat-follow.c), what is shown of it (chat-show.c) and the commands (chat-command.c). The terminal
 * is below them, in chat-screen.h.
 *
 * From chat_start() on no call waits: answers come while messages of the bus are handled, and
 * chat_pump() asks for what is due.
 */

#include "cli/bus-signal.h"
#include "cli/chat-line.h"

typedef enum ChatMode {
        CHAT_TERMINAL,
        CHAT_PLAIN, /* lines in, lines out */
        CHAT_JSON,
} ChatMode;

typedef struct Chat Chat;

/* A line that was entered and that the service has not accepted yet. */
typedef struct Outgoing Outgoing;

struct Outgoing {
        char id[UUID_TEXT_SIZE];
        char *text;
        Outgoing *next;
};

/* Ids that need not be shown again. */
#define SEEN_MAX 1024
#define UNKNOWN_MAX 64

/* Who else is writing just now, as far as the prompt names them. */
#define TYPING_MAX 8
#define TYPING_NAME_SIZE 64

typedef struct Typing {
        char account[BASE32_KEY_SIZE + 1];
        char name[TYPING_NAME_SIZE];
} Typing;

struct Chat {
        Chatc *c;
        ChatMode mode;
        const char *with; /* as it was given, or of a room EXACT */
        char *exact; /* "#name~XXXX" */
        bool room;
        char *name; /* as it is shown */
        char *account; /* of the other one; "": not known yet, or a room */
        char *room_id; /* "": not known yet */
        char *words; /* by which the room is found */
        bool known; /* what can be known of the two above */
        char *presence; /* of the other one */
        char *own_name, *own_account;

        /* What happens */
        uint64_t cursor; /* all up to here was taken */
        bool present; /* the service is on the bus */
        bool told_gone;
        bool fetch; /* there may be something new */
        bool refresh; /* there may be messages that no event tells of */
        bool resolve; /* who WITH is may have become known */
        usec_t retry_at;
        AsyncCall events, messages, who;
        SignalHandler signals, properties, owner;
        char (*seen)[UUID_TEXT_SIZE];
        size_t n_seen; /* ever */
        char unknown[UNKNOWN_MAX][UUID_TEXT_SIZE]; /* of one's own, looked for */
        size_t n_unknown;

        /* What is said */
        Outgoing *first, *last;
        size_t n_outgoing;
        AsyncCall send;
        usec_t send_at; /* not before */
        int failed; /* of CHAT_PLAIN: the exit status */

        /* What was read */
        bool unattended; /* nobody looks */
        char unread[UUID_TEXT_SIZE]; /* the newest that was shown and is not marked; "": none */
        char reading[UUID_TEXT_SIZE];
        AsyncCall read;

        /* Who writes */
        Typing typing[TYPING_MAX];
        size_t n_typing;
        bool writes, wrote; /* the user does; and the service knows */
        usec_t wrote_at;
        AsyncCall type;

        /* Commands */
        void (*answered)(Chat *chat, const Value *answer);
        void (*question)(Chat *chat, const char *answer);
        AsyncCall command;
        bool leave; /* the conversation is over */
};

/* Who it is, and what was said last, which chat_show_page() shows. Returns 0, or an exit status. */
int chat_start(Chat *chat, Value **ret_page);
void chat_show_page(Chat *chat, const Value *page);
void chat_done(Chat *chat);

/* Asks for what is due; *ret_deadline is when to come again, if nothing happens before. */
void chat_pump(Chat *chat, usec_t *ret_deadline);

/* A line of the user's: a message. */
int chat_say(Chat *chat, const char *text);

/* What the line being edited holds now. */
void chat_edited(Chat *chat, const char *line);

/* Whoever writes stops at the end of the conversation. */
void chat_stop_writing(Chat *chat);

/* A line of the user's on a terminal: a command, an answer or a message. */
void chat_enter(Chat *chat, const char *line);
bool chat_is_command(const char *line);
extern const char *const chat_commands[];

/* Whom, or what, the conversation is with, in a list of peers or rooms; NULL: not there. */
const Value *chat_find(const Chat *chat, const Value *list);

/* Messages that are shown, or need not be. */
bool chat_has_seen(const Chat *chat, const char *id);
void chat_see(Chat *chat, const char *id);

/* Of chat-talk.c, for chat-follow.c. */
void chat_talk_start(Chat *chat);
void chat_talk_pump(Chat *chat, usec_t *deadline);
void chat_talk_done(Chat *chat);

/* chat-show.c */
void show_message(Chat *chat, const Value *message);
void show_own(Chat *chat, const Outgoing *o);
void show_event(Chat *chat, const Value *event);
void show_state(Chat *chat, const char *id, const Value *event);
void show_accepted(Chat *chat, const char *id);
void show_refused(Chat *chat, const Outgoing *o, const CallFailure *failure);
void show_note(const Chat *chat, const char *format, ...) _printf_(2, 3);
void show_prompt(Chat *chat);
