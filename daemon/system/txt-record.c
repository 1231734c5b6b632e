/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "system/txt-record.h"

#include <strings.h>

int txt_record_add(TxtRecord *t, Bytes string) {
        if (string.size > TXT_STRING_MAX || string.size >= sizeof(t->data) - t->size)
                return -E2BIG;
        t->data[t->size++] = (uint8_t)string.size;
        copy_bytes(t->data + t->size, string.data, string.size);
        t->size += string.size;
        return 0;
}

bool txt_record_next(const TxtRecord *t, size_t *offset, Bytes *ret) {
        size_t left = t->size - *offset;

        if (left == 0 || t->data[*offset] >= left)
                return false;
        *ret = (Bytes){.data = t->data + *offset + 1, .size = t->data[*offset]};
        *offset += 1 + ret->size;
        return true;
}

bool txt_string_split(Bytes string, Bytes *ret_key, Bytes *ret_value) {
        const uint8_t *p = string.size > 0 ? memchr(string.data, '=', string.size) : NULL;

        if (!p || p == string.data)
                return false;
        *ret_key = (Bytes){.data = string.data, .size = (size_t)(p - string.data)};
        *ret_value = (Bytes){.data = p + 1, .size = string.size - ret_key->size - 1};
        return true;
}

/* A key without a value comes first as well, and then there is none. */
bool txt_record_get(const TxtRecord *t, const char *key, Bytes *ret) {
        size_t offset = 0, n = strlen(key);
        Bytes s, k, v;

        while (txt_record_next(t, &offset, &s)) {
                if (s.size < n || strncasecmp((const char *)s.data, key, n) != 0)
                        continue;
                if (s.size == n)
                        return false;
                if (!txt_string_split(s, &k, &v) || k.size != n)
                        continue;
                *ret = v;
                return true;
        }
        return false;
}
