/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The terminal of a conversation: what is said above, the line being edited (GNU readline) below.
 * What is shown comes above the line being edited and leaves it as it is; the marks of lines that
 * are still in the window are changed in place. There is one terminal, and so one screen.
 *
 * The terminal is as it was before from screen_close() on, and while the program is stopped.
 */

#include "cli/chat-line.h"

typedef struct ScreenHandler {
        /* Enter: a line, or several that were pasted. */
        void (*entered)(void *userdata, const char *text);

        /* What is being written has changed. */
        void (*edited)(void *userdata, const char *text);

        /* Whether the user looks at it, where the terminal tells; any key says so as well. */
        void (*focused)(void *userdata, bool focused);

        /* Ctrl-D, Ctrl-C twice, or there is no terminal any more. */
        void (*ended)(void *userdata);
} ScreenHandler;

/* COMMANDS, which end with NULL, are what Tab completes. */
int screen_open(
        Chatc *c, const ScreenHandler *handler, void *userdata, const char *const *commands);
void screen_close(void);

/* Standard input can be read. */
void screen_input(void);

/* What signals ask for: Ctrl-C, another size of the window, Ctrl-Z. */
void screen_interrupt(void);
void screen_resize(void);
void screen_suspend(void);

/* Copies L. */
void screen_add(const Line *l);
void screen_note(const char *format, ...) _printf_(1, 2);

/* Of the message ID, if it is among the last lines; a mark never goes back. */
void screen_mark(const char *id, LineMark mark);

/* The text of the last lines for ID, or NULL. */
const char *screen_text(const char *id);

/* Stands before the line being edited, in brackets. */
void screen_prompt(const char *text);
