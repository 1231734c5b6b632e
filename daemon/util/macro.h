/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Small things that every file uses: scope-bound cleanup, handing over, sizes.
 *
 * Cleanup functions for _cleanup_() take a pointer to the variable. DEFINE_CLEANUP(Type, fn)
 * makes `fnp` from `fn`, which takes the object itself and must accept NULL.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _pure_ __attribute__((pure))
#define _unused_ __attribute__((unused))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

/* Length of a string literal, without its terminating zero. */
#define STRLEN(s) (sizeof("" s "") - 1)

#define MIN(a, b)                                                                                  \
        ({                                                                                         \
                __typeof__(a) _a = (a);                                                            \
                __typeof__(b) _b = (b);                                                            \
                _a < _b ? _a : _b;                                                                 \
        })
#define MAX(a, b)                                                                                  \
        ({                                                                                         \
                __typeof__(a) _a = (a);                                                            \
                __typeof__(b) _b = (b);                                                            \
                _a > _b ? _a : _b;                                                                 \
        })

#define CLAMP(x, low, high)                                                                        \
        ({                                                                                         \
                __typeof__(x) _x = (x), _low = (low), _high = (high);                              \
                (_x < _low) ? _low : ((_x > _high) ? _high : _x);                                  \
        })

/* "1 link", "2 links". */
#define PLURAL(n) ((n) == 1 ? "" : "s")

/* The object that contains MEMBER at PTR. */
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define TAKE_PTR(p)                                                                                \
        ({                                                                                         \
                __typeof__(p) _p = (p);                                                            \
                (p) = NULL;                                                                        \
                _p;                                                                                \
        })

#define TAKE_FD(fd)                                                                                \
        ({                                                                                         \
                int _fd = (fd);                                                                    \
                (fd) = -EBADF;                                                                     \
                _fd;                                                                               \
        })

#define DEFINE_CLEANUP(type, fn)                                                                   \
        static inline void fn##p(type *p) {                                                        \
                if (*p)                                                                            \
                        fn(*p);                                                                    \
        }

static inline void freep(void *p) {
        free(*(void **)p);
}

/* Closes FD if it is one, keeps errno, returns what a closed descriptor variable should hold. */
static inline int safe_close(int fd) {
        int e = errno;

        if (fd >= 0)
                close(fd);
        errno = e;
        return -EBADF;
}

static inline void closep(int *fd) {
        safe_close(*fd);
}

static inline void *mfree(void *p) {
        free(p);
        return NULL;
}

static inline bool streq(const char *a, const char *b) {
        return strcmp(a, b) == 0;
}

/* memcpy that allows (NULL, 0), which the C standard does not. */
static inline void copy_bytes(void *to, const void *from, size_t n) {
        if (n > 0)
                memcpy(to, from, n);
}

static inline bool bytes_are_zero(const void *p, size_t n) {
        const uint8_t *b = p;
        uint8_t any = 0;

        for (size_t i = 0; i < n; i++)
                any |= b[i];
        return any == 0;
}
