/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <strings.h>

#include "cli/bus.h"
#include "cli/json.h"
#include "cli/print.h"
#include "cli/wait.h"

/* Twice the longest text there is: what is longer still is not worth reading to its end. */
#define STDIN_MAX (128 * 1024)

typedef struct SendOptions {
        const char *id;
        const char *wait;
        const char *timeout;
        MessageState wanted;
        usec_t limit;
} SendOptions;

static int options_check(SendOptions *o) {
        o->limit = USEC_INFINITY;
        if (o->timeout && !o->wait)
                return chatc_fail(
                        STATUS_USAGE, "Usage", "--timeout needs --wait; see 'chatc help send'.");
        if (o->timeout && parse_seconds(o->timeout, &o->limit) < 0)
                return chatc_fail(STATUS_USAGE, "Usage",
                        "--timeout takes seconds, such as 30 or 0.5, not '%.40s'.", o->timeout);
        if (!o->wait)
                return 0;
        o->wanted = message_state_from_string(o->wait);
        if (o->wanted != STATE_DELIVERED && o->wanted != STATE_READ)
                return chatc_fail(STATUS_USAGE, "Usage",
                        "--wait takes 'delivered' or 'read', not '%.40s'.", o->wait);
        return 0;
}

static int text_from_stdin(char **ret) {
        _cleanup_(freep) char *buf = NULL;
        size_t n;

        buf = malloc(STDIN_MAX + 1);
        if (!buf)
                return chatc_out_of_memory();
        n = fread(buf, 1, STDIN_MAX + 1, stdin);
        if (ferror(stdin))
                return chatc_fail(STATUS_ERROR, "InvalidArgs", "standard input cannot be read: %s.",
                        strerror(errno));
        if (n > STDIN_MAX)
                return chatc_fail(STATUS_ERROR, "TooLong",
                        "the text is longer than 65,536 bytes; send it in parts.");
        if (n > 0 && buf[n - 1] == '\n')
                n--;
        if (memchr(buf, '\0', n))
                return chatc_fail(STATUS_ERROR, "InvalidArgs",
                        "the text holds a zero byte, which no message can; send text only.");
        buf[n] = '\0';
        *ret = TAKE_PTR(buf);
        return 0;
}

static int text_obtain(const Args *a, char **ret) {
        if (a->n_words == 2 && a->literal == a->n_words && streq(a->words[1], "-"))
                return text_from_stdin(ret);
        *ret = args_join(a, 1);
        return *ret ? 0 : chatc_out_of_memory();
}

static void print_id(const Chatc *c, const char *id) {
        JsonLine j;

        if (c->json) {
                j = json_begin(stdout);
                json_member(&j, "id", id);
                json_end(&j);
        } else {
                print_safe(stdout, id, NULL);
                putchar('\n');
        }
        /* A script that reads this line goes on at once, whatever --wait does after it. */
        fflush(stdout);
}

static int note_if_offline(Chatc *c, const Value *peer, void *userdata) {
        const char *to = userdata;
        bool match = to[0] == '@' ? streq(value_string(peer, "account"), to + 1)
                                  : strcasecmp(value_string(peer, "name"), to) == 0;

        if (!match)
                return 0;
        if (streq(value_string(peer, "presence"), "offline")) {
                fputs("chatc: ", stderr);
                print_safe(stderr, to, NULL);
                fputs(" is offline; the message waits and goes out when they are back\n", stderr);
        }
        return 1;
}

/* Whoever one has written to is a contact and in the list; a daemon that knows the option `name`
 * answers with this one alone. */
static void note_recipient(Chatc *c, const char *to) {
        Call call = {"ListPeers", {}, {{"name", .string = to}}, .quiet = true};

        if (c->quiet || to[0] == '#')
                return;
        (void)call_list(c, &call, "name", note_if_offline, (void *)to);
}

int verb_send(Chatc *c, char **argv) {
        _cleanup_(state_wait_freep) StateWait *wait = NULL;
        _cleanup_(value_freep) Value *id = NULL;
        _cleanup_(freep) char *text = NULL;
        SendOptions o = {};
        const Option options[] = {
                {"--id", .value = &o.id},
                {"--wait", .value = &o.wait},
                {"--timeout", .value = &o.timeout},
                {},
        };
        const char *to;
        Args a;
        int r;

        r = chatc_args(c, argv, options, 2, SIZE_MAX, &a);
        if (r > 0)
                return r;
        r = options_check(&o);
        if (r > 0)
                return r;
        r = text_obtain(&a, &text);
        if (r > 0)
                return r;
        to = a.words[0];

        if (o.wait) {
                r = state_wait_new(c, &wait);
                if (r > 0)
                        return r;
        }
        r = call_value(c, &(Call){"Send", {to, text}, {{"id", .string = o.id}}}, &id);
        if (r > 0)
                return r;
        if (id->type != VALUE_STRING)
                return chatc_fail(STATUS_ERROR, "BadAnswer", "p2pchatd answered without an id.");
        print_id(c, id->string);
        note_recipient(c, to);
        if (!wait)
                return 0;
        return state_wait_run(wait, to, id->string, o.wanted, o.limit, o.id != NULL);
}
