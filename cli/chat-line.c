/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/chat-line.h"

#include <time.h>
#include <wchar.h>

#include "cli/chatc.h"
#include "cli/print.h"

#define TIME_COLUMNS 5 /* "12:03" */

/* Narrower windows do without the time, so that there is room for what was said. */
#define NARROW 40
#define COLUMNS_MIN 10

const char *line_mark_text(LineMark m) {
        static const char *const texts[] = {
                [MARK_NONE] = "  ",
                [MARK_SENDING] = "… ",
                [MARK_QUEUED] = "· ",
                [MARK_STORED] = "^ ",
                [MARK_DELIVERED] = "✓ ",
                [MARK_READ] = "✓✓",
                [MARK_FAILED] = "✗ ",
        };

        return texts[m];
}

const char *line_mark_name(LineMark m) {
        static const char *const names[] = {
                [MARK_NONE] = "",
                [MARK_SENDING] = "not accepted yet",
                [MARK_QUEUED] = "queued",
                [MARK_STORED] = "stored",
                [MARK_DELIVERED] = "delivered",
                [MARK_READ] = "read",
                [MARK_FAILED] = "failed",
        };

        return names[m];
}

LineMark line_mark_from_state(const char *state) {
        for (LineMark m = MARK_QUEUED; m <= MARK_FAILED; m++)
                if (streq(state, line_mark_name(m)))
                        return m;
        return streq(state, "expired") ? MARK_FAILED : MARK_NONE;
}

unsigned line_mark_column(unsigned columns) {
        return columns < NARROW ? 0 : TIME_COLUMNS + 1;
}

static unsigned char_columns(uint32_t c) {
        int n = wcwidth((wchar_t)c);

        return n < 0 ? 1 : (unsigned)n;
}

size_t text_columns(const char *s) {
        size_t left = strlen(s), columns = 0, size;
        uint32_t c;

        for (; left > 0; s += size, left -= size) {
                size = char_decode(s, left, &c);
                if (size == 0)
                        size = c = 1;
                columns += char_columns(c);
        }
        return columns;
}

static void print_clock(FILE *f, usec_t realtime) {
        time_t t = (time_t)MIN(realtime / USEC_PER_SEC, UINT64_C(253402300799));
        char buf[16] = "     ";
        struct tm tm;

        if (realtime > 0 && localtime_r(&t, &tm))
                strftime(buf, sizeof(buf), "%H:%M", &tm);
        fputs(buf, f);
}

typedef struct Wrap {
        FILE *f;
        size_t columns, indent; /* of the window, and of rows from the second on */
        size_t column, rows;
} Wrap;

static void wrap_row(Wrap *w) {
        fprintf(w->f, "\n%*s", (int)w->indent, "");
        w->column = w->indent;
        w->rows++;
}

/* Columns of the word at S, as far as it matters. */
static size_t word_columns(const Wrap *w, const char *s) {
        size_t left = strlen(s), columns = 0, size;
        uint32_t c;

        for (; left > 0 && *s != ' ' && *s != '\n' && columns <= w->columns;
                s += size, left -= size) {
                size = char_decode(s, left, &c);
                if (size == 0)
                        break;
                columns += char_columns(c);
        }
        return columns;
}

/* A word that fits into a row of its own is not broken; the blank before it stays where it is, or
 * is the end of the row. */
static void wrap_text(Wrap *w, const char *s) {
        size_t left = strlen(s), size, n;
        bool begins = true;
        uint32_t c;

        for (; left > 0; s += size, left -= size) {
                size = char_decode(s, left, &c);
                if (size == 0)
                        return; /* print_safe() leaves no such byte */
                if (c == '\n') {
                        wrap_row(w);
                        begins = false;
                        continue;
                }
                n = c == ' ' ? 1 : char_columns(c);
                if (c == ' ' && w->column == w->columns)
                        n = 0;
                else if (w->column + n > w->columns)
                        wrap_row(w);
                else if (begins && c != ' ' && w->column > w->indent) {
                        size_t word = word_columns(w, s);

                        if (w->column + word > w->columns && w->indent + word <= w->columns)
                                wrap_row(w);
                }
                begins = c == ' ';
                if (n > 0 || c != ' ')
                        fwrite(s, 1, size, w->f);
                w->column += n;
        }
}

static char *made_safe(const char *s, const char *newline) {
        char *text = NULL;
        size_t size;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return NULL;
        print_safe(f, s, newline);
        if (fclose(f) != 0)
                return mfree(text);
        return text;
}

static void print_head(const Chatc *c, Wrap *w, const Line *l) {
        _cleanup_(freep) char *name = NULL;
        size_t n;

        if (!l->name) {
                fputs(c->colour ? "\033[2m* " : "* ", w->f);
                w->column += 2;
                return;
        }
        name = made_safe(l->name, NULL);
        n = name ? text_columns(name) : 0;
        if (w->column + n + 2 > w->columns) {
                wrap_text(w, name ?: "");
                wrap_text(w, ": ");
                return;
        }
        print_sender(c, w->f, l->name, l->account ?: "");
        fputs(": ", w->f);
        w->column += n + 2;
}

size_t line_render(const Chatc *c, FILE *f, const Line *l, unsigned columns) {
        _cleanup_(freep) char *text = made_safe(l->text, "\n");
        Wrap w = {.f = f, .rows = 1};

        /* A row that is full to the last column makes some terminals begin the next one. */
        w.columns = MAX(columns, (unsigned)COLUMNS_MIN) - 1;
        if (line_mark_column(columns) > 0) {
                print_clock(f, l->time);
                fputc(' ', f);
        }
        fputs(line_mark_text(l->mark), f);
        fputc(' ', f);
        w.indent = w.column = line_mark_column(columns) + LINE_MARK_COLUMNS + 1;
        print_head(c, &w, l);
        wrap_text(&w, text ?: "(memory is out)");
        if (!l->name && c->colour)
                fputs("\033[0m", f);
        fputc('\n', f);
        return w.rows;
}
