/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The safety number, to be read out or scanned. */

#include "cli/bus.h"
#include "cli/json.h"
#include "cli/print.h"

#define GROUP 5 /* digits */
#define GROUPS_A_LINE 4

#define QR_WIDTH_MAX 177 /* of the largest there is */
#define QR_QUIET 4 /* light modules around it, without which no scanner finds it */

static void print_digits(const char *digits) {
        for (size_t i = 0; digits[i]; i++) {
                const char digit[] = {digits[i], '\0'};

                if (i % (GROUP * GROUPS_A_LINE) == 0)
                        fputs(i > 0 ? "\n    " : "    ", stdout);
                else if (i % GROUP == 0)
                        putchar(' ');
                print_safe(stdout, digit, NULL);
        }
        putchar('\n');
}

/* One of the width, then row after row; outside it is light. */
static bool is_light(const Value *qr, uint64_t width, uint64_t x, uint64_t y) {
        const Value *module;

        if (x - QR_QUIET >= width || y - QR_QUIET >= width)
                return true;
        module = qr->items[1 + (y - QR_QUIET) * width + (x - QR_QUIET)];
        return module->type != VALUE_NUMBER || module->number == 0;
}

/* Two modules in a character, the light ones drawn: right on a dark terminal, and where there are
 * colours, on any. */
static void print_qr(const Chatc *c, const Value *qr) {
        static const char *const halves[2][2] = {{" ", "▄"}, {"▀", "█"}};
        uint64_t width, whole;

        if (!qr || qr->type != VALUE_LIST || qr->n_items == 0 || qr->items[0]->type != VALUE_NUMBER)
                return;
        width = qr->items[0]->number;
        if (width == 0 || width > QR_WIDTH_MAX || qr->n_items != 1 + width * width)
                return;
        whole = width + 2 * QR_QUIET;
        putchar('\n');
        for (uint64_t y = 0; y < whole; y += 2) {
                fputs(c->colour ? "    \033[97;40m" : "    ", stdout);
                for (uint64_t x = 0; x < whole; x++)
                        fputs(halves[is_light(qr, width, x, y)][is_light(qr, width, x, y + 1)],
                                stdout);
                fputs(c->colour ? "\033[0m\n" : "\n", stdout);
        }
}

static void show(const Chatc *c, const char *name, const Value *answer) {
        bool verified = value_bool(answer, "verified");

        print_digits(value_string(answer, "safety-number"));
        if (isatty(STDOUT_FILENO))
                print_qr(c, value_get(answer, "qr"));
        putchar('\n');
        print_safe(stdout, name, NULL);
        puts(verified ? " is verified." : " is not verified.");
        if (verified || c->quiet)
                return;
        fputs("Compare this number with the one that ", stdout);
        print_safe(stdout, name, NULL);
        fputs(" sees, by telephone or side by side. If they are the same:\n"
              "    chatc verify ",
                stdout);
        print_safe(stdout, name, NULL);
        puts(" --confirm");
}

int verb_verify(Chatc *c, char **argv) {
        _cleanup_(value_freep) Value *answer = NULL;
        bool confirm = false, take_back = false;
        const Option options[] = {
                {"--confirm", .flag = &confirm},
                {"--unconfirm", .flag = &take_back},
                {},
        };
        Call call = {.method = "Verify"};
        Args a;
        int r;

        r = chatc_args(c, argv, options, 1, 1, &a);
        if (r > 0)
                return r;
        if (confirm && take_back)
                return chatc_fail(STATUS_USAGE, "Usage",
                        "--confirm excludes --unconfirm; see 'chatc help verify'.");
        call.args[0] = a.words[0];
        if (confirm || take_back)
                call.options[0] =
                        (CallOption){"confirm", .boolean = confirm, .negative = take_back};
        r = call_value(c, &call, &answer);
        if (r > 0)
                return r;
        if (c->json)
                json_line(stdout, answer);
        else
                show(c, a.words[0], answer);
        return 0;
}
