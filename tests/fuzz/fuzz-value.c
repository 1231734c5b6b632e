/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Answers and signals of any shape, as chatc reads and shows them. The first byte says which signal
 * it is. Then come the arguments: a letter of `types` and its content. Texts end with a zero byte,
 * and what a dictionary or a list holds with a '.'. */

#include "fuzz.h"

#include <sys/socket.h>

#include <systemd/sd-bus.h>

#include "shown.h"

#include "cli/chatc.h"
#include "cli/event.h"
#include "cli/json.h"
#include "cli/message.h"
#include "cli/print.h"
#include "cli/value.h"

#define BLANKS "        "
#define INDENT "\n" BLANKS
#define DEPTH_MAX 20

typedef struct Type {
        char letter;
        const char *signature;
} Type;

static const Type types[] = {
        {'s', "s"},
        {'o', "o"},
        {'b', "b"},
        {'y', "y"},
        {'n', "n"},
        {'q', "q"},
        {'i', "i"},
        {'u', "u"},
        {'x', "x"},
        {'t', "t"},
        {'d', "d"},
        {'v', "v"},
        {'D', "a{sv}"},
        {'L', "av"},
        {'R', "(sv)"},
};

typedef struct Input {
        const uint8_t *p, *end;
} Input;

static uint8_t take_byte(Input *in) {
        return in->p < in->end ? *in->p++ : 0;
}

static const Type *take_type(Input *in) {
        uint8_t letter = take_byte(in);

        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (types[i].letter == letter)
                        return &types[i];
        return &types[letter % ELEMENTSOF(types)];
}

static bool take_end(Input *in) {
        if (in->p < in->end && *in->p != '.')
                return false;
        take_byte(in);
        return true;
}

static int append_text(sd_bus_message *m, Input *in) {
        size_t n = strnlen((const char *)in->p, (size_t)(in->end - in->p));
        _cleanup_(freep) char *s = strndup((const char *)in->p, n);

        MUST(s);
        in->p += n;
        take_byte(in);
        return sd_bus_message_append_basic(m, 's', s);
}

static int append(sd_bus_message *m, Input *in, const Type *type, unsigned depth);

static int append_variant(sd_bus_message *m, Input *in, unsigned depth) {
        const Type *type = take_type(in);
        int r;

        r = sd_bus_message_open_container(m, 'v', type->signature);
        if (r >= 0)
                r = append(m, in, type, depth + 1);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* A text and a variant: an entry of a dictionary, or a structure. */
static int append_pair(sd_bus_message *m, Input *in, char container, unsigned depth) {
        int r;

        r = sd_bus_message_open_container(m, container, "sv");
        if (r >= 0)
                r = append_text(m, in);
        if (r >= 0)
                r = append_variant(m, in, depth);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_array(sd_bus_message *m, Input *in, bool dict, unsigned depth) {
        int r;

        r = sd_bus_message_open_container(m, 'a', dict ? "{sv}" : "v");
        while (r >= 0 && !take_end(in))
                r = dict ? append_pair(m, in, 'e', depth) : append_variant(m, in, depth);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append(sd_bus_message *m, Input *in, const Type *type, unsigned depth) {
        uint64_t raw = 0;
        int boolean;

        if (depth > DEPTH_MAX)
                return -ELOOP;
        switch (type->letter) {
        case 's':
                return append_text(m, in);
        case 'o':
                return sd_bus_message_append_basic(m, 'o', "/a/b");
        case 'b':
                boolean = take_byte(in) & 1;
                return sd_bus_message_append_basic(m, 'b', &boolean);
        case 'v':
                return append_variant(m, in, depth);
        case 'D':
        case 'L':
                return append_array(m, in, type->letter == 'D', depth);
        case 'R':
                return append_pair(m, in, 'r', depth);
        default:
                for (size_t i = 0; i < sizeof(raw); i++)
                        raw |= (uint64_t)take_byte(in) << (8 * i);
                return sd_bus_message_append_basic(m, type->letter, &raw);
        }
}

/* Messages are of a bus; nobody is at the other end of this one. */
static sd_bus *open_bus(void) {
        sd_id128_t id = {};
        sd_bus *bus;
        int fds[2];

        MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        MUST(sd_bus_new(&bus) >= 0);
        MUST(sd_bus_set_fd(bus, fds[0], fds[0]) >= 0);
        MUST(sd_bus_set_server(bus, true, id) >= 0);
        MUST(sd_bus_start(bus) >= 0);
        return bus;
}

/* NULL: it is not what a bus lets through, as a text that is no UTF-8, or hundreds of arguments. */
static sd_bus_message *make_message(Input *in) {
        FUZZ_OWN_MEMORY;
        static sd_bus *bus;
        sd_bus_message *m;

        if (!bus)
                bus = open_bus();
        MUST(sd_bus_message_new_signal(bus, &m, "/a", "a.b", "C") >= 0);
        while (in->p < in->end)
                if (append(m, in, take_type(in), 0) < 0)
                        return sd_bus_message_unref(m);
        if (sd_bus_message_seal(m, 1, 0) < 0)
                return sd_bus_message_unref(m);
        MUST(sd_bus_message_rewind(m, true) >= 0);
        return m;
}

typedef void (*ShowFn)(const Chatc *c, FILE *f, const Value *v);
typedef void (*CheckFn)(const char *text, size_t n);

static void show(ShowFn fn, const Chatc *c, const Value *v, CheckFn check) {
        FUZZ_OWN_MEMORY;
        _cleanup_(freep) char *text = NULL;
        size_t n;
        FILE *f;

        f = open_memstream(&text, &n);
        MUST(f);
        fn(c, f, v);
        MUST(fclose(f) == 0);
        check(text, n);
}

static void show_json(const Chatc *c, FILE *f, const Value *v) {
        json_line(f, v);
}

static void show_dict(const Chatc *c, FILE *f, const Value *v) {
        print_dict(f, v);
}

static void show_message(const Chatc *c, FILE *f, const Value *v) {
        FILE *before = stdout;

        stdout = f;
        message_print(c, v);
        stdout = before;
}

static void is_line(const char *text, size_t n) {
        MUST(n > 0 && text[n - 1] == '\n');
        shown_is_one_line(text, n - 1);
}

/* Its lines but the first are indented, and so is what is missing before it. */
static void is_message(const char *text, size_t n) {
        const char *p = text, *last = text + n - 1, *end;

        MUST(n > 0 && *last == '\n');
        if (strncmp(p, BLANKS, STRLEN(BLANKS)) == 0) {
                end = strchr(p, '\n');
                MUST(p[STRLEN(BLANKS)] == '(' && end < last);
                shown_is_one_line(p, (size_t)(end - p));
                p = end + 1;
        }
        for (; (end = strchr(p, '\n')) < last; p = end + 1) {
                shown_is_one_line(p, (size_t)(end - p));
                MUST(strncmp(end, INDENT, STRLEN(INDENT)) == 0);
        }
        shown_is_one_line(p, (size_t)(last - p));
}

static const Chatc plain, json = {.json = true};

static void show_event(const Value *v) {
        show(event_print, &plain, v, is_line);
        show(event_print, &json, v, shown_is_json_line);
}

static void show_all(const Value *v) {
        show_event(v);
        show(show_json, &plain, v, shown_is_json_line);
        show(show_dict, &plain, v, shown_is_one_line);
        show(show_message, &plain, v, is_message);
}

static void try_signal(size_t which, const Value *args) {
        static const char *const members[] = {"MessageReceived", "MessageStateChanged",
                "PeerChanged", "RoomChanged", "RequestReceived", "TypingChanged", "SessionReplaced",
                "Gap", "Unknown"};

        _cleanup_(event_freep) SignalEvent *e = NULL;

        e = event_from_signal(members[which % ELEMENTSOF(members)], args);
        MUST(e || fuzz_failed());
        if (e)
                show_event(event_value(e));
}

void fuzz_one(const uint8_t *data, size_t size) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(value_freep) Value *first = NULL, *all = NULL;
        Input in = {data + 1, data + size};
        size_t n;
        int r;

        if (size == 0)
                return;
        m = make_message(&in);
        if (!m)
                return;
        r = value_read(m, &first);
        MUST(r == 0 || r == -EBADMSG || (r == -ENOMEM && fuzz_failed()));
        MUST(sd_bus_message_rewind(m, true) >= 0);
        r = value_read_all(m, &all);
        MUST(r == 0 || r == -EBADMSG || (r == -ENOMEM && fuzz_failed()));
        if (r < 0)
                return;
        for (size_t i = 0; i < all->n_items; i++)
                show_all(all->items[i]);
        try_signal(data[0], all);
        if (first)
                value_take_more(first);
        n = all->n_items;
        if (value_take_more(all))
                MUST(all->n_items == n - 1);
}
