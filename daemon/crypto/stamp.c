/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "crypto/stamp.h"

#include <assert.h>
#include <endian.h>

#include "crypto/hash.h"

static const char CONTEXT[] = "p2pchat/1 stamp"; /* The terminating zero is part of it. */

void stamp_init(
        Stamp *s, const uint8_t account[static 32], const uint8_t item[static 32], unsigned bits) {
        static_assert(sizeof(CONTEXT) + 32 + 32 == STAMP_PREFIX_SIZE, "what is hashed has a gap");

        assert(bits <= STAMP_BITS_MAX);
        *s = (Stamp){.bits = bits};
        memcpy(s->input, CONTEXT, sizeof(CONTEXT));
        memcpy(s->input + sizeof(CONTEXT), account, 32);
        memcpy(s->input + sizeof(CONTEXT) + 32, item, 32);
}

static bool stamp_try(Stamp *s) {
        const uint64_t nonce = htobe64(s->nonce);
        uint8_t hash[SHA256_SIZE];
        uint64_t first;

        memcpy(s->input + STAMP_PREFIX_SIZE, &nonce, sizeof(nonce));
        sha256(s->input, sizeof(s->input), hash);
        memcpy(&first, hash, sizeof(first));
        return s->bits == 0 || be64toh(first) >> (64 - s->bits) == 0;
}

bool stamp_search(Stamp *s, unsigned tries) {
        for (; tries > 0; tries--, s->nonce++)
                if (stamp_try(s))
                        return true;
        return false;
}

bool stamp_is_valid(const uint8_t account[static 32], const uint8_t item[static 32], uint64_t nonce,
        unsigned bits) {
        Stamp s;

        stamp_init(&s, account, item, bits);
        s.nonce = nonce;
        return stamp_try(&s);
}
