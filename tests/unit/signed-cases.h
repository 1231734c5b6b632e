/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What every signed object must do: no bit of it can change, nothing can be added to what is not
 * signed, and it is taken up to its cap. Include after test.h.
 */

#include "map-cases.h"
#include "wire-sample.h"

typedef int (*ObjectDecode)(const Buffer *object);

/* Signs BODY, whatever it is. COUNTER 0: no counter-signature. */
static inline Buffer sign_body(SignContext context, Bytes body, uint8_t key, uint8_t counter) {
        SignKey k = sample_key(key), c = sample_key(counter);
        Buffer b = BUFFER_NULL;

        CHECK_OK(signed_encode(&b, context, body, &k, counter ? &c : NULL));
        return b;
}

static inline Bytes signed_body(const Buffer *object) {
        Signed s;

        CHECK_OK(signed_decode(sample_bytes(object), &s));
        return s.body;
}

/* Every single bit of an object matters: the body is signed, and what is around it has one form. */
static inline void check_every_bit(const Buffer *object, ObjectDecode decode) {
        for (size_t i = 0; i < 8 * buffer_size(object); i++) {
                object->data[i / 8] ^= (uint8_t)(1 << i % 8);
                CHECK(decode(object) < 0);
                object->data[i / 8] ^= (uint8_t)(1 << i % 8);
        }
        CHECK_OK(decode(object));
}

/* Nobody can make a second object out of one by adding to what is not signed. */
static inline void check_outer(const Buffer *object, ObjectDecode decode, bool countersigned) {
        MapPairs all = map_pairs(sample_bytes(object));

        CHECK_EQ(all.n, countersigned ? 3 : 2);
        for (uint64_t key = countersigned ? 3 : 2; key < 70; key++) {
                MapPairs x = all;
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL;

                map_insert(&x, key, key == 2 ? all.pair[1].value : LITERAL("\x00"));
                b = map_write(&x);
                CHECK_EQ(decode(&b), -EBADMSG);
        }
        for (size_t i = 0; i < all.n; i++) {
                MapPairs x = all;
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL;

                map_drop(&x, i);
                b = map_write(&x);
                CHECK(decode(&b) < 0);
        }
}

/* OBJECT, grown by a key that is ignored, is taken up to just MAX bytes. */
static inline void check_object_max(const Buffer *object, SignContext context, uint8_t key,
        uint8_t counter, size_t max, ObjectDecode decode) {
        static const uint8_t filler[8192];
        bool reached = false;
        size_t size = 0;

        CHECK(buffer_size(object) + 16 < max && max <= sizeof(filler));
        for (size_t n = max - buffer_size(object) - 16; size <= max; n++) {
                _cleanup_(buffer_done) Buffer value = BUFFER_NULL, body = BUFFER_NULL;
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
                MapPairs x = map_pairs(signed_body(object));

                echo_head(&value, 2, n);
                CHECK_OK(buffer_append(&value, filler, n));
                map_insert(&x, CBOR_KEY_IGNORABLE, sample_bytes(&value));
                body = map_write(&x);
                b = sign_body(context, sample_bytes(&body), key, counter);
                size = buffer_size(&b);
                CHECK_EQ(decode(&b), size <= max ? 0 : -EBADMSG);
                reached |= size == max;
        }
        CHECK(reached);
}

/* Keys with which anybody's signature holds: the constant one. */
static const uint8_t SMALL_ORDER_KEYS[][KEY_SIZE] = {
        {0}, {1}, {0xec, [1 ... 30] = 0xff, [31] = 0x7f}};
static const uint8_t CONSTANT_SIGNATURE[SIGNATURE_SIZE] = {1};

/* OBJECT with the constant signature in the place of the one under KEY. */
static inline Buffer with_constant_signature(const Buffer *object, uint64_t key) {
        MapPairs x = map_pairs(sample_bytes(object));

        memcpy((uint8_t *)x.pair[key].value.data + 2, CONSTANT_SIGNATURE, SIGNATURE_SIZE);
        return map_write(&x);
}
