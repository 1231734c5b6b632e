/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A fuzzer is a file fuzz-<name>.c with one function in the form of libFuzzer, a folder
 * corpus/<name> of inputs to begin with, and a line in meson.build. The tests replay the corpus;
 * an input that once broke something stays in it. What must hold for any input is said by MUST(),
 * which works in every kind of build.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                                                                                    \
        do {                                                                                       \
                if (!(x)) {                                                                        \
                        fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #x);     \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)
