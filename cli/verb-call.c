/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The verbs that are one method call: their words are its arguments, their options members of its
 * a{sv}, and the answer, if any, is shown as it comes. */

#include "cli/bus.h"
#include "cli/json.h"
#include "cli/print.h"

#define OPTIONS_MAX 4

typedef enum Answer {
        ANSWER_NONE,
        ANSWER_DICT,
        ANSWER_LIST,
} Answer;

typedef struct MethodOption {
        const char *name;
        const char *key;
        const char *text; /* what a flag stands for; NULL: true */
        bool flag;
} MethodOption;

typedef struct Method {
        const char *verb;
        const char *method;
        Answer answer;
        const char *cursor; /* of a paged list */
        size_t words; /* how many arguments there are */
        bool joined; /* the last one takes all words that are left */
        MethodOption options[OPTIONS_MAX + 1];
} Method;

static const Method methods[] = {
        {"cancel", "Cancel", .words = 1},
        {"search", "Search", ANSWER_LIST, "id", 1, true, .options = {{"--with", "with"}}},
        {"create", "CreateRoom", .words = 1,
                .options = {{"--private", "access", "private", true},
                        {"--hidden", "access", "hidden", true}, {"--topic", "topic"},
                        {"--history", "history"}}},
        {"join", "JoinRoom", .words = 1},
        {"leave", "LeaveRoom", .words = 1},
        {"delete", "DeleteRoom", .words = 1},
        {"topic", "SetTopic", .words = 2, .joined = true},
        {"role", "SetRole", .words = 3},
        {"invite", "Invite", .words = 2},
        {"kick", "Kick", .words = 2},
        {"accept", "Accept", .words = 1},
        {"add", "AddContact", .words = 1, .options = {{"--at", "at"}}},
        {"rename", "RenameContact", .words = 2},
        {"remove", "RemoveContact", .words = 1},
        {"block", "Block", .words = 1},
        {"unblock", "Unblock", .words = 1},
        {"ring", "Ring", ANSWER_DICT, .options = {{"--format", "format"}}},
};

static const Method *method_find(const char *verb) {
        for (size_t i = 0; i < ELEMENTSOF(methods); i++)
                if (streq(methods[i].verb, verb))
                        return &methods[i];
        abort(); /* the table of chatc.c gives this function to those verbs alone */
}

static int show(Chatc *c, const Value *dict, void *userdata) {
        if (c->json && dict->type == VALUE_DICT)
                json_line(stdout, dict);
        else if (dict->type == VALUE_DICT) {
                print_dict(stdout, dict);
                putchar('\n');
        }
        return 0;
}

static int find_offered(Chatc *c, const Value *member, void *userdata) {
        bool *found = userdata;

        *found = value_bool(member, "offered");
        return *found;
}

/* That it was taken is not all there is to say of it. It may have been accepted at once; and who
 * offers his room to himself takes an offer back. */
static void note_offer(Chatc *c, const Call *call) {
        const Call members = {.method = "ListMembers", .args = {call->args[0]}, .quiet = true};
        bool offered = false;

        if (c->quiet || !streq(call->method, "SetRole") || !streq(call->args[2], "owner"))
                return;
        (void)call_list(c, &members, "account", find_offered, &offered);
        if (!offered)
                return;
        fputs("chatc: ", stderr);
        print_safe(stderr, call->args[0], NULL);
        fputs(" is offered to ", stderr);
        print_safe(stderr, call->args[1], NULL);
        fputs("; it changes hands when the service there has accepted\n", stderr);
}

static int run_call(Chatc *c, const Method *m, const Call *call) {
        _cleanup_(value_freep) Value *answer = NULL;
        int r;

        if (m->answer == ANSWER_NONE) {
                r = call_void(c, call);
                if (r == 0)
                        note_offer(c, call);
                return r;
        }
        if (m->answer == ANSWER_LIST)
                return call_list(c, call, m->cursor, show, NULL);
        r = call_value(c, call, &answer);
        if (r > 0)
                return r;
        return show(c, answer, NULL);
}

/* Options of the command line into options of the call; two that set the same key are refused. */
static int fill_options(const Method *m, const bool *flags, const char *const *values, Call *call) {
        size_t n = 0;

        for (size_t i = 0; m->options[i].name; i++) {
                const MethodOption *o = &m->options[i];

                if (!flags[i] && !values[i])
                        continue;
                for (size_t k = 0; k < n; k++)
                        if (streq(call->options[k].key, o->key))
                                return chatc_fail(STATUS_USAGE, "Usage",
                                        "%s excludes the option before it; see 'chatc help %s'.",
                                        o->name, m->verb);
                call->options[n++] = (CallOption){o->key, .string = o->flag ? o->text : values[i],
                        .boolean = o->flag && !o->text};
        }
        return 0;
}

int verb_call(Chatc *c, char **argv) {
        const Method *m = method_find(c->verb->name);
        const char *values[OPTIONS_MAX] = {};
        bool flags[OPTIONS_MAX] = {}, open_end = m->joined;
        Option options[OPTIONS_MAX + 1] = {};
        Call call = {.method = m->method};
        _cleanup_(freep) char *joined = NULL;
        size_t n;
        Args a;
        int r;

        for (n = 0; m->options[n].name; n++)
                options[n] = (Option){m->options[n].name, m->options[n].flag ? &flags[n] : NULL,
                        m->options[n].flag ? NULL : &values[n]};
        r = chatc_args(c, argv, options, m->words, open_end ? SIZE_MAX : m->words, &a);
        if (r > 0)
                return r;
        r = fill_options(m, flags, values, &call);
        if (r > 0)
                return r;

        for (size_t i = 0; i < m->words; i++)
                call.args[i] = a.words[i];
        if (open_end) {
                joined = args_join(&a, m->words - 1);
                if (!joined)
                        return chatc_out_of_memory();
        }
        if (m->joined)
                call.args[m->words - 1] = joined;
        return run_call(c, m, &call);
}
