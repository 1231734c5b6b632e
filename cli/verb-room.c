/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rooms and who is in them, as lists; what else is done with rooms is one call each. */

#include "cli/bus.h"
#include "cli/json.h"
#include "cli/print.h"

#define NAME_WIDTH 16
#define TOPIC_START 60
#define ACCOUNT_START 9

static void print_note(const char *s) {
        if (!*s)
                return;
        fputs("  ", stdout);
        print_safe(stdout, s, NULL);
}

/* Who is known by his account alone is shown by its beginning: the whole of it is in --json. */
static void print_owner(const Chatc *c, const Value *room) {
        const char *owner = value_string(room, "owner");
        char start[ACCOUNT_START + sizeof("…")];

        if (*owner == '@' && strlen(owner) > ACCOUNT_START) {
                snprintf(start, sizeof(start), "%.*s…", ACCOUNT_START, owner);
                owner = start;
        }
        fputs("of ", stdout);
        print_sender(c, stdout, owner, value_string(room, "owner-account"));
}

/* Who is in it, one does not hear any more. */
static bool is_over(const char *status) {
        return streq(status, "left") || streq(status, "kicked") || streq(status, "deleted");
}

static void print_room(const Chatc *c, const Value *room) {
        const char *name = value_string(room, "room"), *status = value_string(room, "status");
        const char *problem = value_string(room, "problem"), *topic = value_string(room, "topic");
        uint64_t members = value_number(room, "members"), unread = value_number(room, "unread");
        uint64_t online = value_number(room, "online");

        print_safe(stdout, name, NULL);
        print_pad(stdout, strlen(name), NAME_WIDTH);
        if (members > 0) /* else nobody has told */
                printf("%llu member%s", (unsigned long long)members, PLURAL(members));
        if (members > 0 && (online > 0 || !is_over(status)))
                printf(", %llu online", (unsigned long long)online);
        if (members > 0)
                fputs("  ", stdout);
        if (*value_string(room, "owner"))
                print_owner(c, room);
        if (!streq(value_string(room, "access"), "open"))
                print_note(value_string(room, "access"));
        print_note(*status ? status : value_bool(room, "joined") ? "joined" : "");
        if (*value_string(room, "inviter")) {
                fputs(" by ", stdout);
                print_sender(c, stdout, value_string(room, "inviter"),
                        value_string(room, "inviter-account"));
        }
        if (unread > 0)
                printf("  %llu unread", (unsigned long long)unread);
        if (*topic) {
                fputs("  ", stdout);
                print_start(stdout, topic, TOPIC_START);
        }
        /* That it was left, or has ended, is no more than the status says. */
        if (*problem && (!*status || streq(status, "joined") || streq(status, "joining"))) {
                fputs("\n        ", stdout);
                print_safe(stdout, problem, NULL);
        }
        putchar('\n');
}

static int on_room(Chatc *c, const Value *room, void *userdata) {
        if (c->json)
                json_line(stdout, room);
        else
                print_room(c, room);
        return 0;
}

int verb_rooms(Chatc *c, char **argv) {
        _cleanup_(freep) char *words = NULL;
        bool all = false;
        const Option options[] = {
                {"--all", .flag = &all},
                {},
        };
        Args a;
        int r;

        r = chatc_args(c, argv, options, 0, SIZE_MAX, &a);
        if (r > 0)
                return r;
        if (a.n_words > 0) {
                words = args_join(&a, 0);
                if (!words)
                        return chatc_out_of_memory();
        }
        return call_list(c,
                &(Call){"ListRooms", {}, {{"words", .string = words}, {"all", .boolean = all}}},
                "room-id", on_room, NULL);
}

static int on_member(Chatc *c, const Value *member, void *userdata) {
        const char *name = value_string(member, "name");

        if (c->json) {
                json_line(stdout, member);
                return 0;
        }
        print_sender(c, stdout, name, value_string(member, "account"));
        print_pad(stdout, strlen(name), NAME_WIDTH);
        print_safe(stdout, value_string(member, "role"), NULL);
        print_note(value_string(member, "presence"));
        if (value_bool(member, "self"))
                print_note("you");
        if (value_bool(member, "provisional"))
                print_note("not confirmed by the owner yet");
        if (value_bool(member, "offered"))
                print_note("is offered the room, and has not accepted it yet");
        if (value_bool(member, "frozen"))
                print_note("has signed two histories, and is not heard from there on");
        putchar('\n');
        return 0;
}

int verb_members(Chatc *c, char **argv) {
        Args a;
        int r;

        r = chatc_args(c, argv, NULL, 1, 1, &a);
        if (r > 0)
                return r;
        return call_list(c, &(Call){"ListMembers", {a.words[0]}}, "account", on_member, NULL);
}
