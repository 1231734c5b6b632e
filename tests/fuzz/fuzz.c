/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "fuzz.h"

#include <stdarg.h>

/* Of one input, in a replay. */
#ifndef FAILURES_MAX
#define FAILURES_MAX 200
#endif

/* Other threads always get their memory. */
static _Thread_local struct {
        bool active;
        unsigned long made; /* allocations of this run so far */
        unsigned long fail_at; /* the one that fails, counted from 1 */
        bool from_there; /* and all after it */
        bool failed;
} run;

static bool next_fails(void) {
        if (!run.active)
                return false;
        run.made++;
        if (run.made != run.fail_at && !(run.failed && run.from_there))
                return false;
        run.failed = true;
        errno = ENOMEM;
        return true;
}

/* The linker puts these in place of what they are named after; see meson.build. */
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
int __wrap_asprintf(char **ret, const char *format, ...) _printf_(2, 3);
int __wrap_vasprintf(char **ret, const char *format, va_list args) _printf_(2, 0);

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
int __real_vasprintf(char **ret, const char *format, va_list args) _printf_(2, 0);

void *__wrap_malloc(size_t n) {
        return next_fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size) {
        return next_fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n) {
        return next_fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size) {
        return next_fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *s) {
        return next_fails() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n) {
        return next_fails() ? NULL : __real_strndup(s, n);
}

int __wrap_vasprintf(char **ret, const char *format, va_list args) {
        return next_fails() ? -1 : __real_vasprintf(ret, format, args);
}

int __wrap_asprintf(char **ret, const char *format, ...) {
        va_list args;
        int r;

        va_start(args, format);
        r = __wrap_vasprintf(ret, format, args);
        va_end(args);
        return r;
}

bool fuzz_failed(void) {
        return run.failed;
}

bool fuzz_pause(void) {
        bool before = run.active;

        run.active = false;
        return before;
}

void fuzz_resume(const bool *before) {
        run.active = *before;
}

/* Returns how many allocations the run made. A block of just this size lets the address sanitizer
 * see one byte too many. */
static unsigned long run_once(
        const uint8_t *data, size_t size, unsigned long fail_at, bool from_there) {
        _cleanup_(freep) uint8_t *exact = __real_malloc(size ? size : 1);

        MUST(exact);
        copy_bytes(exact, data, size);
        run.made = 0;
        run.fail_at = fail_at;
        run.from_there = from_there;
        run.failed = false;
        run.active = true;
        fuzz_one(exact, size);
        run.active = false;
        return run.made;
}

/* FNV-1a. */
static uint64_t hash(const uint8_t *data, size_t size) {
        uint64_t h = UINT64_C(0xcbf29ce484222325);

        for (size_t i = 0; i < size; i++)
                h = (h ^ data[i]) * UINT64_C(0x100000001b3);
        return h;
}

/* As engines do, and so as an input was found. */
static unsigned long run_twice(const uint8_t *data, size_t size) {
        unsigned long made = run_once(data, size, 0, false);
        uint64_t h = hash(data, size);

        if (made > 0)
                run_once(data, size, 1 + (h >> 1) % made, h & 1);
        return made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        run_twice(data, size);
        return 0;
}

void fuzz_replay(const uint8_t *data, size_t size) {
        unsigned long made = run_twice(data, size), step = made / FAILURES_MAX + 1;

        for (unsigned long i = 1; i <= made; i += step) {
                run_once(data, size, i, false);
                run_once(data, size, i, true);
        }
}
