/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/name.h"

#include "util/text.h"

static bool is_letter_or_digit(uint8_t c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool name_is_canonical(const uint8_t *p, size_t n) {
        if (n == 0 || n > NAME_MAX_LENGTH || !is_letter_or_digit(p[0]))
                return false;
        for (size_t i = 1; i < n; i++)
                if (!is_letter_or_digit(p[i]) && p[i] != '.' && p[i] != '_' && p[i] != '-')
                        return false;
        return true;
}

int name_fold(const char *text, size_t n, char ret[static NAME_SIZE]) {
        char name[NAME_SIZE] = {};

        if (n > NAME_MAX_LENGTH)
                return -EINVAL;
        for (size_t i = 0; i < n; i++)
                name[i] = ascii_lower(text[i]);
        if (!name_is_canonical((const uint8_t *)name, n))
                return -EINVAL;
        memcpy(ret, name, sizeof(name));
        return 0;
}
