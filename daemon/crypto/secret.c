/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "crypto/secret.h"

#include <sodium.h>

/* What is handed out ends where a page does. */
#define ALIGNMENT 16

void *secret_new(size_t n) {
        size_t size = (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        void *p = sodium_malloc(size);

        if (p)
                memset(p, 0, size);
        return p;
}

void *secret_free(void *p) {
        sodium_free(p);
        return NULL;
}

bool secret_equal(const void *a, const void *b, size_t n) {
        return sodium_memcmp(a, b, n) == 0;
}
