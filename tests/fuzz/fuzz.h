/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A fuzzer is a file fuzz-<name>.c with one function, fuzz_one(); a row in meson.build; and a
 * folder corpus/<name> of inputs to begin with. The tests replay the corpus; an input that once
 * broke something stays in it. docs/TESTING.md says how to run one.
 *
 * What must hold for any input is said by MUST(), which works in every kind of build.
 *
 * Memory that runs out: every input is run once as it is, and then again with one of the
 * allocations failing that it made the first time: alone, or with all that come after it. A hash
 * of the input says which, so that an input always does the same; the replay takes them in turn.
 * It is the allocations of our own objects that fail, by malloc() and its kin, strdup() and
 * asprintf(), not those that libraries make for themselves. So
 *
 *  - what the code under test returns is asked together with fuzz_failed();
 *  - memory that the fuzzer wants for itself is taken in a scope that begins with FUZZ_OWN_MEMORY;
 *  - what outlives a run (an open store) is made when it is first needed, which is in a run without
 *    failures, and each run begins with the same state, so that what is found can be replayed.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/macro.h"

/* Runs the code under test with DATA, which is a block of just SIZE bytes. */
void fuzz_one(const uint8_t *data, size_t size);

/* An allocation has failed in this run. */
bool fuzz_failed(void);

#define FUZZ_OWN_MEMORY _unused_ _cleanup_(fuzz_resume) bool _own_memory = fuzz_pause()

bool fuzz_pause(void);
void fuzz_resume(const bool *before);

#define MUST(x)                                                                                    \
        do {                                                                                       \
                if (!(x)) {                                                                        \
                        fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #x);     \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

/* For the programs that run fuzzers: the entry that libFuzzer and AFL++ know, and one that has
 * each allocation fail in turn, or where there are very many of them some out of all parts of
 * the run. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void fuzz_replay(const uint8_t *data, size_t size);
