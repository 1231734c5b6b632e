/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdarg.h>

#include "cli/chatc.h"
#include "cli/print.h"

void chatc_complain(const char *name, const char *format, ...) {
        _cleanup_(freep) char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0)
                text = NULL;

        fflush(stdout);
        fputs("chatc: ", stderr);
        print_safe(stderr, name, NULL);
        fputs(": ", stderr);
        print_safe(stderr, text ? text : "memory is out.", NULL);
        fputc('\n', stderr);
}
