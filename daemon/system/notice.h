/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What a notification says. Names and texts are other people's: nothing of them can pretend to be
 * markup, control the place where it is shown, or turn the direction of what stands around it.
 */

#include "util/macro.h"

/* Bytes of a name or text that are shown, before "…" and without what markup needs. */
#define NOTICE_TITLE_MAX 100
#define NOTICE_BODY_MAX 600

/* "&quot;" is the longest form of one byte; "…" has three. */
#define NOTICE_MARKUP_MAX 6
#define NOTICE_TITLE_SIZE (NOTICE_TITLE_MAX + 3 + 32)
#define NOTICE_BODY_SIZE (NOTICE_BODY_MAX * NOTICE_MARKUP_MAX + 3 + 1)

/* "bob", "bob (3 unread)". */
char *notice_title(const char *from, unsigned unread, char buf[static NOTICE_TITLE_SIZE]);

/* TEXT, cut between two characters where it is long. MARKUP: for a server that reads markup, so
 * that none is found. */
char *notice_body(const char *text, bool markup, char buf[static NOTICE_BODY_SIZE]);

/* Instead of a text that is not to be shown, or that has no form which could be. */
const char *notice_hidden(unsigned unread);
