/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Memory that runs out, for our own objects: the linker puts these in the place of malloc() and its
 * kin for programs that are linked with what meson.build calls failing_memory.
 */

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/macro.h"

/* Other threads and processes always get their memory. */
static _Thread_local struct {
        unsigned long calls;
        unsigned long fail_at; /* counted from 1; 0: never */
        bool failed;
        pid_t pid;
} memory;

/* From now on the N-th allocation fails, alone. */
static void memory_break(unsigned long n) {
        memory.calls = 0;
        memory.fail_at = n;
        memory.failed = false;
        memory.pid = getpid();
}

/* True where one has failed. */
static bool memory_heal(void) {
        memory.fail_at = 0;
        return memory.failed;
}

/* What each thread keeps of freed memory for itself counts as used: the program starts anew
 * without. */
__attribute__((constructor)) static void memory_count_exactly(int argc, char **argv) {
        static const char name[] = "GLIBC_TUNABLES";

        if (getenv(name) || getenv("P2PCHAT_PROGRAMS")) /* valgrind has no such thing */
                return;
        if (setenv(name, "glibc.malloc.tcache_count=0", 1) >= 0)
                (void)execv("/proc/self/exe", argv);
        abort();
}

/* Bytes in use, whoever has asked for them; the same always where that cannot be known. */
static _unused_ size_t memory_used(void) {
        struct mallinfo2 i = mallinfo2();

        return i.uordblks + i.hblkhd;
}

static bool memory_fails(void) {
        if (memory.fail_at == 0 || getpid() != memory.pid || ++memory.calls != memory.fail_at)
                return false;
        memory.failed = true;
        errno = ENOMEM;
        return true;
}

#define MEMORY_FUNCTION(type, name, parameters, arguments)                                         \
        type __real_##name parameters;                                                             \
        type __wrap_##name parameters;                                                             \
        type __wrap_##name parameters {                                                            \
                return memory_fails() ? NULL : __real_##name arguments;                            \
        }

MEMORY_FUNCTION(void *, malloc, (size_t n), (n))
MEMORY_FUNCTION(void *, calloc, (size_t n, size_t size), (n, size))
MEMORY_FUNCTION(void *, realloc, (void *p, size_t n), (p, n))
MEMORY_FUNCTION(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size))
MEMORY_FUNCTION(char *, strdup, (const char *s), (s))

int __wrap_asprintf(char **ret, const char *format, ...) _printf_(2, 3);

int __wrap_asprintf(char **ret, const char *format, ...) {
        va_list args;
        int r;

        if (memory_fails())
                return -1;
        va_start(args, format);
        r = vasprintf(ret, format, args);
        va_end(args);
        return r;
}
