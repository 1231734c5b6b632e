/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A story happens to a world, in this process. */

#include "crypto/hash.h"
#include "script.h"

#define ORACLE_SIZE 64

typedef struct Verdict {
        char oracle[ORACLE_SIZE]; /* that was violated, "" when all held */
        char text[512];
        usec_t time; /* simulated */
        uint64_t turns;
        size_t n_done; /* actions; the last of them was too much */
        uint8_t digest[SHA256_SIZE]; /* of the trace */
} Verdict;

/* TRACE may be NULL. */
void script_run(const Script *s, FILE *trace, Verdict *ret);
