/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* How a request of the user ends. */

#include "chat-lab.h"

typedef struct Answer {
        unsigned n;
        const char *error; /* NULL: it went well */
        char text[CHAT_ERROR_TEXT_SIZE], id[UUID_TEXT_SIZE];
} Answer;

static void on_answer(void *userdata, const ChatError *error) {
        Answer *a = userdata;

        a->n++;
        a->error = error ? error->name : NULL;
        snprintf(a->text, sizeof(a->text), "%s", error ? error->text : "");
}

static _unused_ void on_id(void *userdata, const ChatError *error, const char *id) {
        Answer *a = userdata;

        on_answer(a, error);
        snprintf(a->id, sizeof(a->id), "%s", error ? "" : id);
}
