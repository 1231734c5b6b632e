/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "util/macro.h"

/*
 * libconfig 1.5 cuts integers to 32 bits without a word, so that port = 4294967376 would be port
 * 80. This returns the text with an L, which makes it 64 bits, behind every decimal integer that is
 * long enough to suffer, and with an end of line at its end, since 1.5 takes no comment without.
 * Lines keep their numbers. RET is a new string; TEXT holds no zero byte. -ENOMEM.
 */
int config_widen(const char *text, size_t size, char **ret);
