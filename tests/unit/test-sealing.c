/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include <sodium.h>

#include "crypto/box.h"
#include "crypto/hpke-context.h"
#include "crypto/sign.h"
#include "crypto/stamp.h"

/* A group of lines "name: value" of the file of vectors, as far as the next blank line. */
typedef struct Group {
        const char *text;
        size_t size;
} Group;

static char vectors[16384];

static void vectors_load(void) {
        FILE *f = fopen(SOURCE_ROOT "/tests/data/rfc9180-a.2.1.txt", "re");
        size_t n;

        CHECK(f);
        n = fread(vectors, 1, sizeof(vectors) - 1, f);
        fclose(f);
        CHECK(n > 0 && n < sizeof(vectors) - 1);
        vectors[n] = '\0';
}

/* The first group that is found after *AT and begins with a line called NAME. */
static bool next_group(const char **at, const char *name, Group *ret) {
        char line[64];
        const char *p, *end;

        snprintf(line, sizeof(line), "\n\n%s:", name);
        p = strstr(*at, line);
        if (!p)
                return false;
        end = strstr(p + 2, "\n\n");
        *ret = (Group){.text = p, .size = end ? (size_t)(end - p) : strlen(p)};
        *at = p + ret->size;
        return true;
}

/* The value of NAME in G, in a buffer of its own for each of the last eight. */
static Bytes field(Group g, const char *name) {
        static uint8_t values[8][128];
        static unsigned turn;
        uint8_t *to = values[turn++ % ELEMENTSOF(values)];
        char line[64];
        const char *p;
        size_t n;

        snprintf(line, sizeof(line), "\n%s:", name);
        p = memmem(g.text, g.size, line, strlen(line));
        CHECK(p);
        p += strlen(line);
        CHECK(sodium_hex2bin(to, sizeof(values[0]), p, strcspn(p, "\n"), " ", &n, NULL) == 0);
        return (Bytes){.data = to, .size = n};
}

static uint64_t number(Group g, const char *name) {
        char line[64];
        const char *p;

        snprintf(line, sizeof(line), "\n%s:", name);
        p = memmem(g.text, g.size, line, strlen(line));
        CHECK(p);
        return strtoull(p + strlen(line), NULL, 10);
}

static const uint8_t *key_field(Group g, const char *name) {
        Bytes b = field(g, name);

        CHECK_EQ(b.size, HPKE_KEY_SIZE);
        return b.data;
}

static bool is_value(Group g, const char *name, const void *p, size_t n) {
        return bytes_equal(field(g, name), (Bytes){.data = p, .size = n});
}

static Group setup_vector(void) {
        const char *at = vectors;
        Group g;

        CHECK_OK(crypto_init());
        vectors_load();
        CHECK(next_group(&at, "mode", &g));
        CHECK_EQ(number(g, "mode"), 0);
        CHECK_EQ(number(g, "kem_id"), 0x20);
        CHECK_EQ(number(g, "kdf_id"), 1);
        CHECK_EQ(number(g, "aead_id"), 3);
        return g;
}

static void contexts(Group g, HpkeContext *ret_sender, HpkeContext *ret_recipient) {
        uint8_t enc[HPKE_KEY_SIZE];

        CHECK_OK(hpke_setup_sender(
                key_field(g, "pkRm"), key_field(g, "ikmE"), field(g, "info"), enc, ret_sender));
        CHECK(is_value(g, "enc", enc, sizeof(enc)));
        CHECK_OK(hpke_setup_recipient(key_field(g, "skRm"), enc, field(g, "info"), ret_recipient));
}

TEST(key_pairs_follow_from_their_seeds_as_in_rfc_9180) {
        uint8_t secret[HPKE_KEY_SIZE], public[HPKE_KEY_SIZE];
        Group g = setup_vector();

        hpke_key_derive(key_field(g, "ikmE"), secret, public);
        CHECK(is_value(g, "skEm", secret, sizeof(secret)));
        CHECK(is_value(g, "pkEm", public, sizeof(public)));
        hpke_key_derive(key_field(g, "ikmR"), secret, public);
        CHECK(is_value(g, "skRm", secret, sizeof(secret)));
        CHECK(is_value(g, "pkRm", public, sizeof(public)));
}

TEST(both_sides_come_to_the_secrets_of_rfc_9180) {
        HpkeContext c[2];
        Group g = setup_vector();

        contexts(g, &c[0], &c[1]);
        for (size_t i = 0; i < ELEMENTSOF(c); i++) {
                CHECK(is_value(g, "key", c[i].key, sizeof(c[i].key)));
                CHECK(is_value(g, "base_nonce", c[i].base_nonce, sizeof(c[i].base_nonce)));
                CHECK(is_value(
                        g, "exporter_secret", c[i].exporter_secret, sizeof(c[i].exporter_secret)));
        }
}

TEST(what_is_sealed_in_a_row_is_that_of_rfc_9180) {
        HpkeContext sender, recipient;
        const char *at = vectors;
        uint64_t next = 0;
        unsigned seen = 0;
        Group g;

        contexts(setup_vector(), &sender, &recipient);
        while (next_group(&at, "sequence_number", &g)) {
                uint64_t seq = number(g, "sequence_number");
                Buffer sealed = {}, opened = {};

                for (; next <= seq; next++) {
                        buffer_clear(&sealed);
                        buffer_clear(&opened);
                        CHECK_OK(hpke_context_seal(
                                &sender, field(g, "aad"), field(g, "pt"), &sealed));
                        CHECK_OK(hpke_context_open(
                                &recipient, field(g, "aad"), buffer_bytes(&sealed), &opened));
                        CHECK(bytes_equal(buffer_bytes(&opened), field(g, "pt")));
                }
                CHECK(bytes_equal(buffer_bytes(&sealed), field(g, "ct")));
                buffer_done(&sealed);
                buffer_done(&opened);
                seen++;
        }
        CHECK_EQ(seen, 6);
}

TEST(what_is_exported_is_that_of_rfc_9180) {
        HpkeContext c[2];
        const char *at = vectors;
        unsigned seen = 0;
        Group g;

        contexts(setup_vector(), &c[0], &c[1]);
        while (next_group(&at, "exporter_context", &g)) {
                uint8_t got[32];

                CHECK_EQ(number(g, "L"), sizeof(got));
                for (size_t i = 0; i < ELEMENTSOF(c); i++) {
                        hpke_context_export(&c[i], field(g, "exporter_context"), got);
                        CHECK(is_value(g, "exported_value", got, sizeof(got)));
                }
                seen++;
        }
        CHECK_EQ(seen, 3);
}

TEST(one_seal_is_the_first_of_rfc_9180) {
        Group g = setup_vector(), first;
        const char *at = vectors;
        uint8_t enc[HPKE_KEY_SIZE];
        Buffer out = {};

        CHECK(next_group(&at, "sequence_number", &first));
        CHECK_OK(buffer_append(&out, "kept", 4));
        CHECK_OK(hpke_seal(key_field(g, "pkRm"), key_field(g, "ikmE"), field(g, "info"),
                field(first, "aad"), field(first, "pt"), enc, &out));
        CHECK(is_value(g, "enc", enc, sizeof(enc)));
        CHECK(memcmp(buffer_data(&out), "kept", 4) == 0);
        buffer_consume(&out, 4);
        CHECK(bytes_equal(buffer_bytes(&out), field(first, "ct")));
        buffer_done(&out);
}

static const uint8_t SEED_A[HPKE_SEED_SIZE] = {1}, SEED_B[HPKE_SEED_SIZE] = {2};

TEST(anything_else_does_not_open) {
        uint8_t secret[HPKE_KEY_SIZE], public[HPKE_KEY_SIZE], other[HPKE_KEY_SIZE],
                enc[HPKE_KEY_SIZE];
        const Bytes info = text_bytes("info"), aad = text_bytes("aad");
        Buffer sealed = {}, out = {};

        CHECK_OK(crypto_init());
        hpke_key_derive(SEED_B, other, public);
        hpke_key_derive(SEED_A, secret, public);
        CHECK_OK(hpke_seal(public, SEED_B, info, aad, text_bytes("a text"), enc, &sealed));
        CHECK_EQ(buffer_size(&sealed), 6 + HPKE_OVERHEAD);
        CHECK_EQ(hpke_open(other, enc, info, aad, buffer_bytes(&sealed), &out), -EBADMSG);
        CHECK_EQ(hpke_open(secret, enc, aad, aad, buffer_bytes(&sealed), &out), -EBADMSG);
        CHECK_EQ(hpke_open(secret, enc, info, info, buffer_bytes(&sealed), &out), -EBADMSG);
        for (size_t i = 0; i < buffer_size(&sealed); i++)
                CHECK_EQ(hpke_open(secret, enc, info, aad,
                                 (Bytes){.data = buffer_data(&sealed), .size = i}, &out),
                        -EBADMSG);
        for (size_t i = 0; i < 8 * buffer_size(&sealed); i++) {
                buffer_data(&sealed)[i / 8] ^= (uint8_t)(1 << i % 8);
                CHECK_EQ(hpke_open(secret, enc, info, aad, buffer_bytes(&sealed), &out), -EBADMSG);
                buffer_data(&sealed)[i / 8] ^= (uint8_t)(1 << i % 8);
        }
        /* The last bit is ignored by X25519, and must not make a second form of the same mail. */
        for (size_t i = 0; i < 8 * sizeof(enc); i++) {
                enc[i / 8] ^= (uint8_t)(1 << i % 8);
                CHECK_EQ(hpke_open(secret, enc, info, aad, buffer_bytes(&sealed), &out), -EBADMSG);
                enc[i / 8] ^= (uint8_t)(1 << i % 8);
        }
        CHECK_EQ(buffer_size(&out), 0);
        CHECK_OK(hpke_open(secret, enc, info, aad, buffer_bytes(&sealed), &out));
        CHECK(bytes_equal(buffer_bytes(&out), text_bytes("a text")));
        buffer_done(&sealed);
        buffer_done(&out);
}

TEST(nothing_and_much_can_be_sealed) {
        static const size_t sizes[] = {0, 1, 255, 80 << 10};
        static uint8_t much[80 << 10];
        uint8_t secret[HPKE_KEY_SIZE], public[HPKE_KEY_SIZE], enc[HPKE_KEY_SIZE];

        CHECK_OK(crypto_init());
        memset(much, 'x', sizeof(much));
        hpke_key_derive(SEED_A, secret, public);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                const Bytes text = {.data = much, .size = sizes[i]};
                Buffer sealed = {}, out = {};

                CHECK_OK(hpke_seal(public, SEED_B, (Bytes){}, (Bytes){}, text, enc, &sealed));
                CHECK_OK(hpke_open(secret, enc, (Bytes){}, (Bytes){}, buffer_bytes(&sealed), &out));
                CHECK(bytes_equal(buffer_bytes(&out), text));
                buffer_done(&sealed);
                buffer_done(&out);
        }
}

/* The points of small order on the curve and on its twist, and the other encodings of them: not
 * reduced, and with the bit that does not count. */
static const char *const SMALL_ORDER[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

TEST(keys_of_small_order_are_refused) {
        uint8_t secret[HPKE_KEY_SIZE], public[HPKE_KEY_SIZE], weak[HPKE_KEY_SIZE],
                enc[HPKE_KEY_SIZE];
        const Bytes nothing = {}, sealed = text_bytes("sixteen bytes and some more");
        Buffer out = {};

        CHECK_OK(crypto_init());
        hpke_key_derive(SEED_A, secret, public);
        for (size_t i = 0; i < 2 * ELEMENTSOF(SMALL_ORDER); i++) {
                HpkeContext c;

                CHECK_OK(sodium_hex2bin(weak, 32, SMALL_ORDER[i / 2], 64, NULL, NULL, NULL));
                weak[31] |= (uint8_t)(i % 2 << 7);
                CHECK_EQ(hpke_seal(weak, SEED_B, nothing, nothing, nothing, enc, &out),
                        -EKEYREJECTED);
                CHECK_EQ(hpke_setup_recipient(secret, weak, nothing, &c), -EKEYREJECTED);
                CHECK_EQ(hpke_open(secret, weak, nothing, nothing, sealed, &out), -EBADMSG);
        }
        CHECK_EQ(buffer_size(&out), 0);
        buffer_done(&out);
}

/* draft-irtf-cfrg-xchacha-03, appendix A.3.1 */
static const char BOX_TEXT[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
                               "only one tip for the future, sunscreen would be it.";
static const char BOX_AAD[] = "50515253c0c1c2c3c4c5c6c7";
static const char BOX_SEALED[] = "404142434445464748494a4b4c4d4e4f5051525354555657"
                                 "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
                                 "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
                                 "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
                                 "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780a"
                                 "cf49";

TEST(a_box_is_that_of_the_draft) {
        uint8_t key[BOX_KEY_SIZE], aad_bytes[12], want[sizeof(BOX_SEALED) / 2];
        const Bytes aad = {.data = aad_bytes, .size = sizeof(aad_bytes)};
        const Bytes sealed = {.data = want, .size = sizeof(want)};
        Buffer out = {};

        CHECK_OK(crypto_init());
        for (size_t i = 0; i < sizeof(key); i++)
                key[i] = (uint8_t)(0x80 + i);
        CHECK_OK(sodium_hex2bin(aad_bytes, 12, BOX_AAD, strlen(BOX_AAD), NULL, NULL, NULL));
        CHECK_OK(sodium_hex2bin(
                want, sizeof(want), BOX_SEALED, strlen(BOX_SEALED), NULL, NULL, NULL));
        CHECK_OK(box_seal(key, want, aad, text_bytes(BOX_TEXT), &out));
        CHECK_EQ(buffer_size(&out), strlen(BOX_TEXT) + BOX_OVERHEAD);
        CHECK(bytes_equal(buffer_bytes(&out), sealed));

        buffer_clear(&out);
        CHECK_OK(buffer_append(&out, "kept ", 5));
        CHECK_OK(box_open(key, aad, sealed, &out));
        buffer_consume(&out, 5);
        CHECK(bytes_equal(buffer_bytes(&out), text_bytes(BOX_TEXT)));
        buffer_done(&out);
}

TEST(any_other_box_stays_shut) {
        static const uint8_t key[BOX_KEY_SIZE] = {1}, other[BOX_KEY_SIZE] = {2};
        static const uint8_t nonce[BOX_NONCE_SIZE] = {3};
        const Bytes aad = text_bytes("presence");
        Buffer box = {}, out = {};

        CHECK_OK(crypto_init());
        CHECK_OK(box_seal(key, nonce, aad, text_bytes("192.0.2.1:1"), &box));
        CHECK_EQ(box_open(other, aad, buffer_bytes(&box), &out), -EBADMSG);
        CHECK_EQ(box_open(key, text_bytes("record"), buffer_bytes(&box), &out), -EBADMSG);
        for (size_t i = 0; i < buffer_size(&box); i++)
                CHECK_EQ(box_open(key, aad, (Bytes){.data = buffer_data(&box), .size = i}, &out),
                        -EBADMSG);
        for (size_t i = 0; i < 8 * buffer_size(&box); i++) {
                buffer_data(&box)[i / 8] ^= (uint8_t)(1 << i % 8);
                CHECK_EQ(box_open(key, aad, buffer_bytes(&box), &out), -EBADMSG);
                buffer_data(&box)[i / 8] ^= (uint8_t)(1 << i % 8);
        }
        CHECK_EQ(buffer_size(&out), 0);

        buffer_clear(&box);
        CHECK_OK(box_seal(key, nonce, aad, (Bytes){}, &box));
        CHECK_OK(box_open(key, aad, buffer_bytes(&box), &out));
        CHECK_EQ(buffer_size(&out), 0);
        buffer_done(&box);
        buffer_done(&out);
}

static const uint8_t ACCOUNT[32] = {4, 5, 6}, ITEM[32] = {7, 8, 9};

/* The formula of stamp.h, as it stands there. */
static unsigned zero_bits(const uint8_t account[32], const uint8_t item[32], uint64_t nonce) {
        uint8_t input[16 + 32 + 32 + 8] = "p2pchat/1 stamp", hash[SHA256_SIZE];
        unsigned n = 0;

        memcpy(input + 16, account, 32);
        memcpy(input + 48, item, 32);
        for (unsigned i = 0; i < 8; i++)
                input[80 + i] = (uint8_t)(nonce >> (56 - 8 * i));
        sha256(input, sizeof(input), hash);
        while (n < 256 && !(hash[n / 8] & 0x80 >> n % 8))
                n++;
        return n;
}

TEST(the_first_nonce_that_will_do_is_found_in_slices_of_any_size) {
        static const unsigned slices[] = {1, 7, 1000, UINT32_MAX};
        uint64_t want = 0;

        while (zero_bits(ACCOUNT, ITEM, want) < 12)
                want++;
        for (size_t i = 0; i < ELEMENTSOF(slices); i++) {
                uint64_t turns = 1;
                Stamp s;

                stamp_init(&s, ACCOUNT, ITEM, 12);
                CHECK(!stamp_search(&s, 0));
                while (!stamp_search(&s, slices[i]))
                        turns++;
                CHECK_EQ(s.nonce, want);
                CHECK_EQ(turns, want / slices[i] + 1);
        }
}

TEST(a_stamp_has_as_many_bits_as_it_has_and_is_for_one_item_of_one_mailbox) {
        for (uint64_t nonce = 0; nonce < 3000; nonce++) {
                unsigned n = zero_bits(ACCOUNT, ITEM, nonce);

                CHECK(stamp_is_valid(ACCOUNT, ITEM, nonce, 0));
                CHECK(stamp_is_valid(ACCOUNT, ITEM, nonce, n));
                CHECK(!stamp_is_valid(ACCOUNT, ITEM, nonce, n + 1));
                CHECK(!stamp_is_valid(ACCOUNT, ITEM, nonce, STAMP_BITS_MAX));
                CHECK_EQ(stamp_is_valid(ITEM, ACCOUNT, nonce, 1),
                        zero_bits(ITEM, ACCOUNT, nonce) > 0);
        }
}
