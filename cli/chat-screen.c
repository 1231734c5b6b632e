/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/chat-screen.h"

#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>

#include <readline/readline.h>

#include "cli/chatc.h"
#include "cli/print.h"

/* Lines that are painted again when the window changes, and whose marks can change. */
#define KEPT_MAX 500
#define KEPT_BYTES (2 * 1024 * 1024)

#define HISTORY_MAX 500

/* What readline takes for an input that has failed: anything else would finish the line. */
#define READ_ERROR (-2)

#define PASTE_PAUSE_MAX 1000 /* ms */

/* Enter may first end something else, such as the search for a character. */
#define CANCEL_KEYS 6

typedef struct Kept {
        Line line; /* owns its strings */
        size_t rows;
        size_t bytes;
} Kept;

static struct {
        Chatc *c;
        const ScreenHandler *handler;
        void *userdata;
        const char *const *commands;
        bool open;
        bool drawn; /* the line being edited is on the screen */
        bool entering, entered; /* it is being handled; it was */
        bool pasting;
        size_t paste_ends; /* characters of an end that did not come */
        bool cancelled; /* the line that is entered is none */
        bool prompt_due; /* a search had its own prompt when this one changed */
        bool interrupted; /* the last key was Ctrl-C */
        bool dumb; /* the terminal */
        bool focus_left; /* by the last key */
        bool focused; /* as far as the terminal tells */
        char *prompt;
        char *prompt_text; /* what it says, where there is room for it */
        char *edited; /* as the handler was told last */
        char *entries[HISTORY_MAX]; /* what was entered, oldest first */
        size_t n_entries, entry; /* the one that is shown; n_entries: none of them */
        char *unfinished; /* while one is shown */
        int rows, columns;
        size_t above; /* rows from the top of the window to the line being edited, at least */
        Kept kept[KEPT_MAX];
        size_t first, n_kept, bytes;
        int day; /* of the last line */
} screen;

/* The lines that are kept */

static Kept *kept_at(size_t i) {
        return &screen.kept[(screen.first + i) % KEPT_MAX];
}

static void kept_drop_first(void) {
        Kept *k = kept_at(0);

        free((char *)k->line.name);
        free((char *)k->line.account);
        free((char *)k->line.text);
        screen.bytes -= k->bytes;
        *k = (Kept){};
        screen.first = (screen.first + 1) % KEPT_MAX;
        screen.n_kept--;
}

static char *copy_or_null(const char *s) {
        return s ? strdup(s) : NULL;
}

static Kept *kept_add(const Line *l) {
        Kept *k;

        if (screen.n_kept == KEPT_MAX)
                kept_drop_first();
        k = kept_at(screen.n_kept++);
        *k = (Kept){.line = *l, .bytes = strlen(l->text)};
        k->line.name = copy_or_null(l->name);
        k->line.account = copy_or_null(l->account);
        k->line.text = strdup(l->text);
        if (!k->line.text)
                k->line.text = strdup("");
        screen.bytes += k->bytes;
        while (screen.bytes > KEPT_BYTES && screen.n_kept > 1)
                kept_drop_first();
        return k;
}

/* The window */

static void measure(void) {
        rl_get_screen_size(&screen.rows, &screen.columns);
        if (screen.rows <= 0 || screen.columns <= 0) {
                screen.rows = 24;
                screen.columns = 80;
        }
}

/* Rows of the line being edited, by estimate, one too many rather than too few. */
static size_t input_rows(void) {
        size_t columns = text_columns(rl_display_prompt ?: ""), rows = 1;
        size_t width = (size_t)screen.columns;

        for (const char *p = rl_line_buffer; *p; p++) {
                if (*p == '\n') {
                        rows += columns / width + 1;
                        columns = 0;
                } else
                        columns += (unsigned char)*p < 0x20 || *p == 0x7f ? 2 : 1;
        }
        return rows + columns / width;
}

/* Where the line being edited is now: it may have grown, and moved up what is above it. */
static void settle(void) {
        size_t rows = input_rows(), window = (size_t)screen.rows;

        screen.above = MIN(screen.above, window > rows ? window - rows : 0);
}

static void take_away(void) {
        if (!screen.drawn)
                return;
        settle();
        rl_clear_visible_line();
        screen.drawn = false;
}

static bool has_prompt_of_its_own(void) {
        return RL_ISSTATE(RL_STATE_ISEARCH | RL_STATE_NSEARCH | RL_STATE_NUMERICARG);
}

static void put_back(void) {
        if (screen.entering)
                return; /* readline draws the next one */
        rl_on_new_line();
        rl_redisplay();
        screen.drawn = true;
        settle();
}

/* Above the line being edited, which is not there now. */
static void paint(Kept *k) {
        k->rows = line_render(screen.c, rl_outstream, &k->line, (unsigned)screen.columns);
        screen.above = MIN(screen.above + k->rows, (size_t)screen.rows - 1);
}

static void repaint(void) {
        size_t i = screen.n_kept, rows = 0, room, used = input_rows();

        measure();
        room = (size_t)screen.rows > used ? (size_t)screen.rows - used : 1;
        while (i > 0 && rows < room) {
                char *text = NULL;
                size_t size;
                FILE *f = open_memstream(&text, &size);

                if (!f)
                        break;
                kept_at(i - 1)->rows =
                        line_render(screen.c, f, &kept_at(i - 1)->line, (unsigned)screen.columns);
                fclose(f);
                free(text);
                if (rows > 0 && rows + kept_at(i - 1)->rows > room)
                        break;
                rows += kept_at(--i)->rows;
        }
        fputs("\033[H\033[2J", rl_outstream);
        screen.above = 0;
        for (; i < screen.n_kept; i++)
                paint(kept_at(i));
        rl_forced_update_display();
        screen.drawn = true;
}

void screen_add(const Line *l) {
        time_t t = (time_t)(l->time / USEC_PER_SEC);
        char date[32];
        struct tm tm;

        take_away();
        if (l->time > 0 && localtime_r(&t, &tm) && tm.tm_yday + 1 != screen.day) {
                screen.day = tm.tm_yday + 1;
                strftime(date, sizeof(date), "%Y-%m-%d", &tm);
                paint(kept_add(&(Line){.text = date}));
        }
        paint(kept_add(l));
        put_back();
        fflush(rl_outstream);
}

void screen_note(const char *format, ...) {
        _cleanup_(freep) char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0)
                text = NULL;
        else
                screen_add(&(Line){.text = text});
}

static Kept *kept_find(const char *id, size_t *ret_below) {
        size_t rows = 0;

        for (size_t i = screen.n_kept; i > 0; i--) {
                Kept *k = kept_at(i - 1);

                rows += k->rows;
                *ret_below = rows;
                if (streq(k->line.id, id))
                        return k;
        }
        return NULL;
}

void screen_mark(const char *id, LineMark mark) {
        size_t below;
        Kept *k = kept_find(id, &below);

        if (!k || k->line.mark == MARK_NONE || mark <= k->line.mark)
                return;
        k->line.mark = mark;
        take_away();
        if (below <= screen.above)
                fprintf(rl_outstream, "\033[%zuA\033[%uG%s\033[%zuB\r", below,
                        line_mark_column((unsigned)screen.columns) + 1, line_mark_text(mark),
                        below);
        put_back();
        fflush(rl_outstream);
}

const char *screen_text(const char *id) {
        size_t below;
        const Kept *k = kept_find(id, &below);

        return k ? k->line.text : NULL;
}

/* The prompt */

static void show_prompt(void) {
        bool shown = screen.drawn;

        screen.prompt_due = has_prompt_of_its_own();
        if (screen.prompt_due || !screen.prompt)
                return;
        take_away();
        rl_set_prompt(screen.prompt);
        if (shown)
                put_back();
        fflush(rl_outstream);
}

static void make_prompt(void) {
        _cleanup_(freep) char *prompt = NULL;
        size_t size;
        FILE *f = open_memstream(&prompt, &size);

        if (!f)
                return;
        if (text_columns(screen.prompt_text) + 3 <= (size_t)screen.columns / 2) {
                fputc('[', f);
                print_safe(f, screen.prompt_text, NULL);
                fputs("] ", f);
        } else
                fputs("> ", f);
        if (fclose(f) != 0 || (screen.prompt && streq(prompt, screen.prompt)))
                return;
        free(screen.prompt);
        screen.prompt = TAKE_PTR(prompt);
        if (screen.open)
                show_prompt();
}

void screen_prompt(const char *text) {
        char *copy = strdup(text);

        if (!copy)
                return;
        free(screen.prompt_text);
        screen.prompt_text = copy;
        make_prompt();
}

/* The line being edited */

static const char paste_end[] = "\033[201~";

/* While something is pasted nothing else is done: it has to come at once, and if it has no end it
 * gets one. */
static int read_key(FILE *f) {
        struct pollfd fd = {.fd = fileno(f), .events = POLLIN};
        unsigned char c;
        ssize_t n;

        if (screen.pasting && (screen.paste_ends > 0 || poll(&fd, 1, PASTE_PAUSE_MAX) <= 0))
                return paste_end[screen.paste_ends++];
        do
                n = read(fileno(f), &c, 1);
        while (n < 0 && errno == EAGAIN && poll(&fd, 1, -1) > 0);
        return n == 1 ? c : READ_ERROR;
}

static void tell_edited(void) {
        if (screen.edited && streq(screen.edited, rl_line_buffer))
                return;
        free(screen.edited);
        screen.edited = strdup(rl_line_buffer);
        screen.handler->edited(screen.userdata, rl_line_buffer);
}

/* What was typed is shown again as a line of the conversation: it leaves nothing behind here. */
static int on_enter(int count, int key) {
        take_away();
        rl_on_new_line();
        return rl_newline(count, key);
}

/* What was entered before */

static void entered_add(const char *text) {
        char *copy = strdup(text);

        if (!copy)
                return;
        if (screen.n_entries == HISTORY_MAX) {
                free(screen.entries[0]);
                memmove(screen.entries, screen.entries + 1,
                        (HISTORY_MAX - 1) * sizeof(screen.entries[0]));
                screen.n_entries--;
        }
        screen.entries[screen.n_entries++] = copy;
}

/* Shows entry I; the one behind the last is the line that was being written. */
static int show_entry(size_t i) {
        if (i == screen.entry)
                return rl_ding();
        if (screen.entry == screen.n_entries) {
                free(screen.unfinished);
                screen.unfinished = strdup(rl_line_buffer);
        }
        screen.entry = i;
        rl_replace_line(i < screen.n_entries ? screen.entries[i] : screen.unfinished ?: "", 1);
        rl_point = rl_end;
        return 0;
}

static int on_older(int count, int key) {
        return show_entry(screen.entry > 0 ? screen.entry - 1 : 0);
}

static int on_newer(int count, int key) {
        return show_entry(MIN(screen.entry + 1, screen.n_entries));
}

static int on_oldest(int count, int key) {
        return show_entry(0);
}

static int on_newest(int count, int key) {
        return show_entry(screen.n_entries);
}

static int on_line_feed(int count, int key) {
        return rl_insert_text("\n") >= 0 ? 0 : 1;
}

static int on_clear_screen(int count, int key) {
        repaint();
        return 0;
}

static void tell_focused(bool focused) {
        if (focused == screen.focused)
                return;
        screen.focused = focused;
        screen.handler->focused(screen.userdata, focused);
}

static int on_focus_in(int count, int key) {
        tell_focused(true);
        return 0;
}

static int on_focus_out(int count, int key) {
        tell_focused(false);
        screen.focus_left = true;
        return 0;
}

/* xterm and most others say when the window gets and loses the focus, if they are asked. */
static void ask_focus(bool on) {
        if (!screen.dumb)
                fputs(on ? "\033[?1004h" : "\033[?1004l", rl_outstream);
        fflush(rl_outstream);
}

/* Controls cannot be seen while they are edited, and some terminals obey those above 127. */
static int on_paste(int count, int key) {
        _cleanup_(freep) char *pasted = NULL;
        int start = rl_point, r;
        char *to;

        screen.pasting = true;
        screen.paste_ends = 0;
        r = rl_bracketed_paste_begin(count, key);
        screen.pasting = false;
        if (rl_point <= start)
                return r;
        pasted = rl_copy_text(start, rl_point);
        to = pasted;
        for (const char *p = pasted; *p;) {
                size_t size;
                uint32_t c;

                size = char_decode(p, strlen(p), &c);
                if (size > 0 && (c == '\n' || c == '\t' || !char_is_unsafe(c))) {
                        memmove(to, p, size);
                        to += size;
                }
                p += MAX(size, (size_t)1);
        }
        *to = '\0';
        if ((int)strlen(pasted) == rl_point - start)
                return r;
        rl_begin_undo_group();
        rl_delete_text(start, rl_point);
        rl_point = start;
        rl_insert_text(pasted);
        rl_end_undo_group();
        return r;
}

static void on_line(char *line) {
        _cleanup_(freep) char *text = line;

        if (screen.drawn)
                screen.above = 0; /* by another key than Enter: it stays where it was */
        screen.drawn = false;
        screen.entered = true;
        if (text && *text && !screen.cancelled)
                entered_add(text);
        screen.entry = screen.n_entries;
        if (screen.cancelled) {
                screen.cancelled = false;
                return;
        }
        screen.entering = true;
        if (!text)
                screen.handler->ended(screen.userdata);
        else if (*text)
                screen.handler->entered(screen.userdata, text);
        screen.entering = false;
}

void screen_input(void) {
        int left = 0;

        screen.interrupted = screen.entered = false;
        do {
                screen.focus_left = false;
                rl_callback_read_char();
                screen.drawn = true;
                /* What follows a line that ends the conversation is for whoever reads then. */
        } while (!screen.entered && ioctl(STDIN_FILENO, FIONREAD, &left) == 0 && left > 0);
        settle();
        if (!screen.focus_left && !RL_ISSTATE(RL_STATE_MOREINPUT))
                tell_focused(true);
        if (screen.prompt_due)
                show_prompt();
        tell_edited();
}

/* Completion */

static char *complete_command(const char *text, int state) {
        static size_t next;

        if (state == 0)
                next = 0;
        while (screen.commands[next]) {
                const char *command = screen.commands[next++];

                if (strncmp(command, text, strlen(text)) == 0)
                        return strdup(command);
        }
        return NULL;
}

static char **complete(const char *text, int start, int end) {
        rl_attempted_completion_over = 1;
        return start == 0 && *text == '/' ? rl_completion_matches(text, complete_command) : NULL;
}

static void show_matches(char **matches, int n, int longest) {
        _cleanup_(freep) char *list = NULL;
        size_t size;
        FILE *f = open_memstream(&list, &size);

        if (!f)
                return;
        for (int i = 1; i <= n; i++)
                fprintf(f, i > 1 ? " %s" : "%s", matches[i]);
        if (fclose(f) == 0)
                screen_note("%s", list);
}

/* Beginning and end */

/* Whatever leads to OLD, in the bindings of readline and of the user. */
static void rebind(rl_command_func_t *old, rl_command_func_t *new) {
        Keymap maps[] = {emacs_standard_keymap, vi_insertion_keymap, vi_movement_keymap};

        for (size_t i = 0; i < ELEMENTSOF(maps); i++) {
                char **keys = rl_invoking_keyseqs_in_map(old, maps[i]);

                for (char **key = keys; key && *key; key++) {
                        rl_bind_keyseq_in_map(*key, new, maps[i]);
                        free(*key);
                }
                free(keys);
        }
}

static int on_nothing(int count, int key) {
        return rl_ding();
}

/* It gives up where there was nothing to yank. */
static int on_yank_pop(int count, int key) {
        if (rl_last_func != rl_yank && rl_last_func != on_yank_pop)
                return rl_ding();
        rl_last_func = rl_yank;
        return rl_yank_pop(count, key);
}

/* readline 8.2 frees what it has freed when lines of its history are edited, searched and undone,
 * so the history is one of our own. Through its callback interface, what gives up (as Ctrl-G does)
 * jumps to where nobody is any more, a quoted insert reads from where there is nothing, and so
 * does the search for a character, or a count, at times. These do nothing; Meta-Enter is a line
 * feed, which is what a quoted insert is good for. */
static void unbind_risks(void) {
        rl_command_func_t *const risks[] = {rl_quoted_insert, rl_abort, rl_universal_argument,
                rl_digit_argument, rl_vi_arg_digit, rl_char_search, rl_backward_char_search,
                rl_reverse_search_history, rl_forward_search_history, rl_noninc_reverse_search,
                rl_noninc_forward_search, rl_noninc_reverse_search_again,
                rl_noninc_forward_search_again, rl_history_search_backward,
                rl_history_search_forward, rl_history_substr_search_backward,
                rl_history_substr_search_forward, rl_operate_and_get_next, rl_fetch_history,
                rl_yank_nth_arg, rl_yank_last_arg, rl_revert_line, rl_insert_comment,
                rl_call_last_kbd_macro, rl_start_kbd_macro, rl_vi_search, rl_vi_search_again,
                rl_vi_fetch_history, rl_vi_redo};

        for (size_t i = 0; i < ELEMENTSOF(risks); i++)
                rebind(risks[i], on_nothing);
        rebind(rl_yank_pop, on_yank_pop);
}

static void bind_keys(void) {
        Keymap maps[] = {emacs_standard_keymap, vi_insertion_keymap, vi_movement_keymap};

        unbind_risks();
        rebind(rl_get_previous_history, on_older);
        rebind(rl_get_next_history, on_newer);
        rebind(rl_beginning_of_history, on_oldest);
        rebind(rl_end_of_history, on_newest);
        rebind(rl_clear_screen, on_clear_screen);
        rl_bind_keyseq_in_map("\033\r", on_line_feed, emacs_standard_keymap);
        for (size_t i = 0; i < ELEMENTSOF(maps); i++) {
                rl_bind_key_in_map('\r', on_enter, maps[i]);
                rl_bind_key_in_map('\n', on_enter, maps[i]);
                rl_bind_keyseq_in_map("\033[200~", on_paste, maps[i]);
                rl_bind_keyseq_in_map("\033[I", on_focus_in, maps[i]);
                rl_bind_keyseq_in_map("\033[O", on_focus_out, maps[i]);
        }
}

/* The daemon speaks UTF-8, and so does chatc, whatever LANG says. */
static void settle_locale(void) {
        if (!setlocale(LC_CTYPE, "") || !streq(nl_langinfo(CODESET), "UTF-8"))
                setlocale(LC_CTYPE, "C.UTF-8");
}

int screen_open(
        Chatc *c, const ScreenHandler *handler, void *userdata, const char *const *commands) {
        const char *term = getenv("TERM");

        settle_locale();
        screen.c = c;
        screen.handler = handler;
        screen.userdata = userdata;
        screen.commands = commands;
        screen.focused = true;
        screen.dumb = !term || streq(term, "dumb");

        rl_readline_name = "chatc";
        rl_instream = stdin;
        rl_outstream = stdout;
        rl_getc_function = read_key;
        rl_catch_signals = 0;
        rl_catch_sigwinch = 0;
        rl_change_environment = 0;
        rl_attempted_completion_function = complete;
        rl_completion_display_matches_hook = show_matches;
        rl_initialize();
        bind_keys();
        rl_variable_bind("horizontal-scroll-mode", "off");
        rl_variable_bind("bind-tty-special-chars", "off"); /* one of them is a quoted insert */
        measure();
        if (!screen.prompt)
                screen_prompt("");
        rl_callback_handler_install(screen.prompt ?: "> ", on_line);
        ask_focus(true);
        screen.open = screen.drawn = true;
        return 0;
}

void screen_close(void) {
        if (!screen.open)
                return;
        take_away();
        screen.open = false;
        ask_focus(false);
        rl_callback_handler_remove();
        fflush(rl_outstream);
        while (screen.n_entries > 0)
                free(screen.entries[--screen.n_entries]);
        screen.unfinished = mfree(screen.unfinished);
        while (screen.n_kept > 0)
                kept_drop_first();
        screen.prompt = mfree(screen.prompt);
        screen.prompt_text = mfree(screen.prompt_text);
        screen.edited = mfree(screen.edited);
}

/* The line is thrown away, and whatever readline was in the middle of ends: by the key that does
 * so, as what it frees where a signal interrupts it is freed again later. */
static void start_over(void) {
        screen.cancelled = true;
        for (int i = 0; i < CANCEL_KEYS && screen.cancelled; i++) {
                rl_stuff_char('\r');
                rl_callback_read_char();
                screen.drawn = true;
        }
        screen.cancelled = false;
}

void screen_interrupt(void) {
        bool empty = rl_end == 0 && !has_prompt_of_its_own();

        if (empty && screen.interrupted) {
                screen.handler->ended(screen.userdata);
                return;
        }
        start_over();
        if (empty)
                screen_note("Ctrl-C again leaves, and so do Ctrl-D and /quit");
        screen.interrupted = true;
        tell_edited();
}

void screen_resize(void) {
        rl_reset_screen_size();
        measure();
        if (screen.prompt_text)
                make_prompt();
        repaint();
        fflush(rl_outstream);
}

/* Stops the program as Ctrl-Z does everywhere; goes on when it is continued. */
void screen_suspend(void) {
        struct sigaction old;

        take_away();
        ask_focus(false);
        rl_deprep_terminal();
        fflush(rl_outstream);
        sigaction(SIGTSTP, &(struct sigaction){.sa_handler = SIG_DFL}, &old);
        raise(SIGTSTP);
        sigaction(SIGTSTP, &old, NULL);
        rl_prep_terminal(1);
        ask_focus(true);
        screen_resize();
}
