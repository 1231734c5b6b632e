/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Lines of the user's on a terminal: commands begin with a slash, everything else is a message. */

#include "cli/chat.h"

#include <stdio.h>
#include <strings.h>

#include "cli/print.h"

typedef struct Command {
        const char *name;
        const char *synopsis;
        const char *help;
        bool room; /* of rooms alone */
        void (*run)(Chat *chat, const char *rest);
} Command;

/* Calls */

static void on_answer(void *userdata, int status, const CallFailure *failure, const Value *answer) {
        Chat *chat = userdata;

        if (status == STATUS_UNREACHABLE)
                show_note(chat, "p2pchatd does not answer; try again when it is back");
        else if (status > 0)
                show_note(chat, "%s: %s", failure->name, failure->text ?: "");
        else if (chat->answered)
                chat->answered(chat, answer);
}

static void ask(Chat *chat, const Call *call, void (*answered)(Chat *chat, const Value *answer)) {
        if (chat->command.slot) {
                show_note(chat, "the command before is not done yet");
                return;
        }
        chat->answered = answered;
        chat->command.fn = on_answer;
        chat->command.userdata = chat;
        call_begin(chat->c, call, &chat->command);
}

/* Who is here */

static void print_user(FILE *f, const Value *user, bool first) {
        const char *presence = value_string(user, "presence"), *role = value_string(user, "role");
        const char *status = value_string(user, "note");

        fputs(first ? "" : "\n", f);
        print_safe(f, value_string(user, "name"), NULL);
        if (*role) {
                fputs(", ", f);
                print_safe(f, role, NULL);
        }
        if (!*presence && value_get(user, "online"))
                presence = value_bool(user, "online") ? "online" : "offline";
        if (*presence) {
                fputs(", ", f);
                print_safe(f, presence, NULL);
        }
        if (*status) {
                fputs(": ", f);
                print_safe(f, status, NULL);
        }
        if (value_number(user, "last-seen") > 0 && streq(presence, "offline")) {
                fputs(", last seen ", f);
                print_time(f, value_number(user, "last-seen"));
        }
        if (value_bool(user, "verified"))
                fputs(", verified", f);
}

static void show_users(Chat *chat, const Value *answer) {
        _cleanup_(freep) char *text = NULL;
        bool first = true;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return;
        for (size_t i = 0; answer && answer->type == VALUE_LIST && i < answer->n_items; i++) {
                const Value *user = answer->items[i];

                if (value_get(user, "more"))
                        fputs("\n…", f);
                if (value_get(user, "more") || (!chat->room && user != chat_find(chat, answer)))
                        continue;
                print_user(f, user, first);
                first = false;
        }
        if (fclose(f) == 0)
                show_note(chat, "%s",
                        !first               ? text
                                : chat->room ? "nobody who is in the room is known here"
                                             : "nobody of this name is known here yet");
}

static void run_users(Chat *chat, const char *rest) {
        const Call peers = {"ListPeers", {},
                {{"name", .string = chat->with}, {"all", .boolean = true}}, .attached = true};
        const Call members = {.method = "ListMembers", .args = {chat->with}, .attached = true};

        ask(chat, chat->room ? &members : &peers, show_users);
}

/* Rooms */

static void on_topic_set(Chat *chat, const Value *answer) {
        /* The event says it. */
}

static void show_topic(Chat *chat, const Value *answer) {
        const Value *room = answer ? chat_find(chat, answer) : NULL;
        const char *topic = value_string(room, "topic");

        if (!room)
                show_note(chat, "the topic is not known here");
        else if (*topic)
                show_note(chat, "the topic is: %s", topic);
        else
                show_note(chat, "there is no topic; /topic TEXT sets one");
}

/* Nobody else is asked for it. */
static void ask_for_room(Chat *chat, void (*answered)(Chat *chat, const Value *answer)) {
        const Call list = {"ListRooms", {},
                {{"words", .string = chat->words}, {"known", .boolean = true}}, .attached = true};

        ask(chat, &list, answered);
}

static void run_topic(Chat *chat, const char *rest) {
        const Call set = {.method = "SetTopic", .args = {chat->with, rest}, .attached = true};

        if (*rest)
                ask(chat, &set, on_topic_set);
        else
                ask_for_room(chat, show_topic);
}

/* What was said before is in no event. */
static void on_joined(Chat *chat, const Value *answer) {
        show_note(chat, "you are in %s", chat->name);
        chat->refresh = chat->resolve = true;
}

static void run_join(Chat *chat, const char *rest) {
        const Call call = {.method = "JoinRoom", .args = {chat->with}, .attached = true};

        ask(chat, &call, on_joined);
}

static void on_left(Chat *chat, const Value *answer) {
        show_note(chat, "you have left %s", chat->name);
        chat->leave = true;
}

static void run_leave(Chat *chat, const char *rest) {
        const Call call = {.method = "LeaveRoom", .args = {chat->with}, .attached = true};

        ask(chat, &call, on_left);
}

static void on_deleted(Chat *chat, const Value *answer) {
        show_note(chat, "%s is deleted", chat->name);
        chat->leave = true;
}

static void on_delete_answered(Chat *chat, const char *answer) {
        const Call call = {.method = "DeleteRoom", .args = {chat->with}, .attached = true};

        if (strcasecmp(answer, chat->name) == 0 || strcasecmp(answer, chat->name + 1) == 0)
                ask(chat, &call, on_deleted);
        else
                show_note(chat, "%s stays", chat->name);
}

/* Whoever cannot do it is not asked whether he means it. */
static void ask_whether_to_delete(Chat *chat, const Value *answer) {
        const Value *room = answer ? chat_find(chat, answer) : NULL;

        if (!room || !streq(value_string(room, "role"), "owner")) {
                show_note(chat, "NotOwner: %s is not yours, and only its owner can delete it",
                        chat->name);
                return;
        }
        show_note(chat,
                "this deletes %s for all its members and cannot be undone; type its name "
                "to do it, and anything else to keep it",
                chat->name);
        chat->question = on_delete_answered;
}

static void run_delete(Chat *chat, const char *rest) {
        ask_for_room(chat, ask_whether_to_delete);
}

/* The rest */

static void run_quit(Chat *chat, const char *rest) {
        chat->leave = true;
}

static void run_help(Chat *chat, const char *rest);

static const Command commands[] = {
        {"/users", "", "who is here", false, run_users},
        {"/topic", "[TEXT…]", "the topic of the room, or another one", true, run_topic},
        {"/join", "", "join the room, if one is not in it", true, run_join},
        {"/leave", "", "leave the room", true, run_leave},
        {"/delete", "", "delete a room of one's own, after a question", true, run_delete},
        {"/help", "", "this list", false, run_help},
        {"/quit", "", "end, as Ctrl-D does", false, run_quit},
};

const char *const chat_commands[] = {
        "/users", "/topic", "/join", "/leave", "/delete", "/help", "/quit", NULL};

static void run_help(Chat *chat, const char *rest) {
        _cleanup_(freep) char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return;
        for (size_t i = 0; i < ELEMENTSOF(commands); i++)
                if (chat->room || !commands[i].room)
                        fprintf(f, "%s%s%s: %s\n", commands[i].name,
                                *commands[i].synopsis ? " " : "", commands[i].synopsis,
                                commands[i].help);
        fputs("//TEXT: a line that begins with a slash\nmarks:", f);
        for (LineMark m = MARK_SENDING; m <= MARK_FAILED; m++) {
                const char *mark = line_mark_text(m);

                fprintf(f, "%s %.*s %s", m > MARK_SENDING ? "," : "", (int)strcspn(mark, " "), mark,
                        line_mark_name(m));
        }
        if (fclose(f) == 0)
                show_note(chat, "%s", text);
}

bool chat_is_command(const char *line) {
        return line[0] == '/' && line[1] != '/';
}

static void run_command(Chat *chat, const char *line) {
        size_t n = strcspn(line, " \t\n");
        const char *rest = line + n + strspn(line + n, " \t\n");

        for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
                const Command *command = &commands[i];

                if (strlen(command->name) != n || memcmp(command->name, line, n) != 0)
                        continue;
                if (command->room && !chat->room)
                        show_note(chat, "%s is for rooms", command->name);
                else if (*rest && !*command->synopsis)
                        show_note(chat, "%s stands alone; see /help", command->name);
                else
                        command->run(chat, rest);
                return;
        }
        show_note(chat,
                "there is no command %.*s; /help lists them, and a message that begins "
                "with a slash is written //…",
                (int)MIN(n, (size_t)32), line);
}

void chat_enter(Chat *chat, const char *line) {
        void (*question)(Chat * chat, const char *answer) = chat->question;
        _cleanup_(freep) char *text = strdup(line);
        size_t n = strlen(line);

        if (!text)
                return;
        if (question) {
                chat->question = NULL;
                question(chat, text);
                return;
        }
        /* What was pasted ends as a file does. */
        if (n > 1 && text[n - 1] == '\n')
                text[n - 1] = '\0';
        if (chat_is_command(text))
                run_command(chat, text);
        else
                chat->failed = chat_say(chat, text[0] == '/' ? text + 1 : text);
}
