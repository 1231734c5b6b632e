/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a stranger's service says of itself, as a record and as the strings that a record is made
 * of. */

#include "fuzz.h"

#include <strings.h>

#include "system/txt-record.h"

static const char *const keys[] = {"v", "account", "a"};

/* RFC 6763, section 6.4: the first string that is the key, or begins with it and '='. */
static bool get_by_the_book(const uint8_t *p, size_t n, const char *key, Bytes *ret) {
        size_t k = strlen(key);

        for (size_t length; n > 0 && *p < n; p += length, n -= length) {
                length = *p++;
                n--;
                if (length < k || strncasecmp((const char *)p, key, k) != 0 ||
                        (length > k && p[k] != '='))
                        continue;
                *ret = (Bytes){.data = p + k + 1, .size = length > k ? length - k - 1 : 0};
                return length > k;
        }
        return false;
}

static void try_get(const TxtRecord *t) {
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                Bytes value, want;
                bool found = txt_record_get(t, keys[i], &value);

                MUST(found == get_by_the_book(t->data, t->size, keys[i], &want));
                MUST(!found || (value.data == want.data && value.size == want.size));
        }
}

/* Its strings make the same record again, except for what is cut off at its end. */
static void try_again(const TxtRecord *t) {
        TxtRecord again = {};
        size_t offset = 0;
        Bytes s;

        while (txt_record_next(t, &offset, &s))
                MUST(txt_record_add(&again, s) == 0);
        MUST(again.size == offset && memcmp(again.data, t->data, offset) == 0);
}

/* Lines, as the array of a D-Bus message would bring them. */
static void try_strings(const uint8_t *data, size_t size) {
        TxtRecord t = {};
        size_t n;

        for (const uint8_t *p = data, *end = data + size; p < end; p += n + 1) {
                const uint8_t *line = memchr(p, '\n', (size_t)(end - p));
                size_t before = t.size;
                int r;

                n = (size_t)((line ?: end) - p);
                r = txt_record_add(&t, (Bytes){.data = p, .size = n});
                MUST(r == -E2BIG ? t.size == before : r == 0 && t.size == before + 1 + n);
                MUST(r == 0 || n > TXT_STRING_MAX || before + 1 + n > TXT_RECORD_MAX);
        }
        try_get(&t);
        try_again(&t);
}

void fuzz_one(const uint8_t *data, size_t size) {
        TxtRecord t = {.size = MIN(size, sizeof(t.data))};

        copy_bytes(t.data, data, t.size);
        try_get(&t);
        try_again(&t);
        try_strings(data, size);
}
