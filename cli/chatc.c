/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/chatc.h"

#include <systemd/sd-bus.h>

const Verb verbs[] = {
        {"status", "", "who is logged in, what is connected, what is wrong", verb_status},
        {"register",
                "NAME [--tracker ADDRESS] [--no-password] [--no-tracker] [--password-file FILE|-]",
                "make a new account", verb_register},
        {"login", "NAME [--tracker ADDRESS] [--password-file FILE|-]",
                "use an existing account on this device, also one from another", verb_login},
        {"logout", "", "stop using the account on this device", verb_logout},
        {"passwd", "[--old-password-file FILE|-] [--password-file FILE|-]", "change the password",
                verb_passwd},
        {"delete-account", "[--password-file FILE|-] [--yes]", "give the account up for good",
                verb_delete_account},
        {"send", "TO TEXT… | TO -  [--id UUID] [--wait delivered|read [--timeout S]]",
                "send a message; '-' reads it from standard input", verb_send},
        {"peers", "[--all] [--watch]", "people: presence, last seen, how they are reached",
                verb_peers},
        {"presence", "[online|away|busy] [NOTE…]", "what contacts are shown of oneself",
                verb_presence},
        {"chats", "", "conversations with their last message", verb_chats},
        {"history", "WITH [-n N] [--before ID] [--all] | WITH --digest",
                "messages of a conversation, oldest first", verb_history},
        {"outbox", "", "what has not been delivered yet", verb_outbox},
        {"cancel", "ID", "take back a message that has not been delivered", verb_call},
        {"read", "WITH|ID", "mark a conversation, or a message and all before it, as read",
                verb_read},
        {"watch", "[--since CURSOR | --client NAME]", "everything that happens, as it happens",
                verb_watch},
        {"chat", "WITH", "a conversation on the terminal", verb_chat},
        {"search", "WORDS… [--with WITH]", "search in the texts", verb_call},
        {"rooms", "[--all] [WORDS…]", "rooms one is in, and those one could join", verb_rooms},
        {"create", "#ROOM [--private|--hidden] [--topic T] [--history all|joined]",
                "make a room and join it", verb_call},
        {"join", "#ROOM", "join a room", verb_call},
        {"leave", "#ROOM", "leave a room", verb_call},
        {"delete", "#ROOM", "delete a room of one's own", verb_call},
        {"members", "#ROOM", "who is in a room", verb_members},
        {"topic", "#ROOM TOPIC…", "set the topic of a room", verb_call},
        {"role", "#ROOM NAME member|admin|owner", "give a member another role", verb_call},
        {"invite", "#ROOM NAME", "invite somebody to a room", verb_call},
        {"kick", "#ROOM NAME", "remove somebody from a room", verb_call},
        {"requests", "", "strangers who wrote and wait for an answer", verb_requests},
        {"accept", "NAME", "make a stranger a contact, or keep who had a name", verb_call},
        {"add", "NAME [--at HOST:PORT#key]", "make somebody a contact", verb_call},
        {"rename", "NAME ALIAS", "show a contact under another name; '' takes it back", verb_call},
        {"remove", "NAME", "forget a contact, or decline a request", verb_call},
        {"block", "NAME", "take nothing from somebody any more", verb_call},
        {"unblock", "NAME", "undo block", verb_call},
        {"verify", "NAME [--confirm|--unconfirm]", "compare safety numbers", verb_verify},
        {"export", "[WITH] [FILE]", "history as signed JSON lines", verb_unsupported},
        {"import", "[--verify] FILE", "take an exported history in", verb_unsupported},
        {"ring", "[--format text|dot|json|svg]", "the ring as seen from here", verb_call},
        {"doctor", "", "what works and what does not, hop by hop", verb_doctor},
        {"help", "[VERB]", "this text, or the options of one verb", verb_help},
        {"__complete", "-- WORD…", "what may stand in place of the last word, for a shell",
                verb_complete},
        {},
};

const Verb *verb_find(const char *name) {
        for (const Verb *v = verbs; v->name; v++)
                if (streq(v->name, name))
                        return v;
        return NULL;
}

bool verb_is_hidden(const Verb *v) {
        return v->name[0] == '_';
}

static void common_options(Chatc *c, Option ret[static 4]) {
        ret[0] = (Option){"--json", .flag = &c->json};
        ret[1] = (Option){"--no-color", .flag = &c->no_color};
        ret[2] = (Option){"--quiet", .flag = &c->quiet};
        ret[3] = (Option){};
}

static void settle_colour(Chatc *c) {
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

        c->colour = !c->json && !c->no_color && !(no_color && *no_color) && isatty(STDOUT_FILENO) &&
                term && !streq(term, "dumb");
}

/* Rooms are among what it is given. */
static bool takes_room(const Verb *v) {
        return strncmp(v->synopsis, "#ROOM", 5) == 0 || strncmp(v->synopsis, "TO ", 3) == 0 ||
                strncmp(v->synopsis, "WITH", 4) == 0;
}

int chatc_args(Chatc *c, char **argv, const Option *options, size_t min, size_t max, Args *ret) {
        const Verb *v = c->verb;
        char error[ARGS_ERROR_SIZE];
        Option common[4];
        Args a;

        common_options(c, common);
        if (args_parse(argv, options, common, &a, error) < 0)
                return chatc_fail(
                        STATUS_USAGE, "Usage", "%s; see 'chatc help %s'.", error, v->name);
        if (a.n_words < min || a.n_words > max)
                return chatc_fail(STATUS_USAGE, "Usage",
                        "too %s arguments; it is 'chatc %s%s%s'%s.",
                        a.n_words < min ? "few" : "many", v->name, *v->synopsis ? " " : "",
                        v->synopsis,
                        a.n_words < min && takes_room(v)
                                ? ", and a shell takes '#' for a comment unless it is quoted"
                                : "");
        settle_colour(c);
        *ret = a;
        return 0;
}

int verb_unsupported(Chatc *c, char **argv) {
        return chatc_fail(STATUS_ERROR, "NotSupported", "this version does not have '%s' yet.",
                c->verb->name);
}

/* --help and --version may stand anywhere before "--" too, and need nothing else to be right. */
static bool has_flag(char **argv, const char *flag) {
        for (char **arg = argv; *arg && !streq(*arg, "--"); arg++)
                if (streq(*arg, flag))
                        return true;
        return false;
}

static int run_verb(Chatc *c, const char *name, char **argv) {
        c->verb = verb_find(name);
        if (!c->verb)
                return chatc_fail(STATUS_USAGE, "Usage",
                        "there is no verb '%.100s'; see 'chatc help'.", name);
        if (has_flag(argv, "--help")) {
                help_verb(c->verb);
                return 0;
        }
        return c->verb->run(c, argv);
}

static int run(Chatc *c, char **argv) {
        char error[ARGS_ERROR_SIZE], **arg = argv;
        Option common[4];
        Args none = {};

        common_options(c, common);
        while (*arg && (*arg)[0] == '-')
                arg++;
        if (*arg) {
                char *verb = *arg;

                /* What stands before the verb is parsed on its own. */
                *arg = NULL;
                if (has_flag(argv, "--help"))
                        return run_verb(c, "help", arg);
                if (args_parse(argv, NULL, common, &none, error) < 0 || none.n_words > 0)
                        return chatc_fail(STATUS_USAGE, "Usage", "%s; see 'chatc help'.",
                                none.n_words > 0 ? "'-' is not a verb" : error);
                return run_verb(c, verb, arg + 1);
        }

        if (has_flag(argv, "--help"))
                return run_verb(c, "help", arg);
        if (has_flag(argv, "--version")) {
                puts("chatc " P2PCHAT_VERSION);
                return 0;
        }
        c->bare = true;
        return run_verb(c, "status", argv);
}

int main(int argc, char **argv) {
        Chatc c = {};
        int status;

        if (argc < 1)
                return STATUS_USAGE;
        status = run(&c, argv + 1);
        sd_bus_flush_close_unref(c.bus);
        if (fflush(stdout) != 0 || ferror(stdout)) {
                if (status == STATUS_OK || status == STATUS_NOT_LOGGED_IN)
                        status = chatc_fail(
                                STATUS_ERROR, "Output", "standard output cannot be written.");
        }
        return status;
}
