/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include <sodium.h>

#include "crypto/expand.h"
#include "crypto/oprf.h"
#include "crypto/sign.h"

static size_t unhex(const char *hex, uint8_t *ret, size_t max) {
        size_t n;

        CHECK(sodium_hex2bin(ret, max, hex, strlen(hex), NULL, &n, NULL) == 0);
        return n;
}

static void check_hex(const uint8_t *p, size_t n, const char *hex) {
        char text[2 * EXPAND_SIZE_MAX + 1];

        CHECK_STR(sodium_bin2hex(text, sizeof(text), p, n), hex);
}

/* An underscore and so many of the letter follow. */
#define Q128 "q128"
#define A512 "a512"

/* RFC 9380, appendix K.3 */
static const struct {
        const char *message, *uniform;
} EXPANDED[] = {
        {"", "6b9a7312411d92f921c6f68ca0b6380730a1a4d982c507211a90964c394179ba"},
        {"abc", "0da749f12fbe5483eb066a5f595055679b976e93abe9be6f0f6318bce7aca8dc"},
        {"abcdef0123456789", "087e45a86e2939ee8b91100af1583c4938e0f5fc6c9db4b107b83346bc967f58"},
        {Q128, "7336234ee9983902440f6bc35b348352013becd88938d2afec44311caf8356b3"},
        {A512, "57b5f7e766d5be68a6bfe1768e3c2b7f1228b3e4b3134956dd73a59b954c66f4"},
        {"",
                "41b037d1734a5f8df225dd8c7de38f851efdb45c372887be655212d07251b921"
                "b052b62eaed99b46f72f2ef4cc96bfaf254ebbbec091e1a3b9e4fb5e5b619d2e"
                "0c5414800a1d882b62bb5cd1778f098b8eb6cb399d5d9d18f5d5842cf5d13d7e"
                "b00a7cff859b605da678b318bd0e65ebff70bec88c753b159a805d2c89c55961"},
        {"abc",
                "7f1dddd13c08b543f2e2037b14cefb255b44c83cc397c1786d975653e36a6b11"
                "bdd7732d8b38adb4a0edc26a0cef4bb45217135456e58fbca1703cd6032cb134"
                "7ee720b87972d63fbf232587043ed2901bce7f22610c0419751c065922b48843"
                "1851041310ad659e4b23520e1772ab29dcdeb2002222a363f0c2b1c972b3efe1"},
        {"abcdef0123456789",
                "3f721f208e6199fe903545abc26c837ce59ac6fa45733f1baaf0222f8b7acb04"
                "24814fcb5eecf6c1d38f06e9d0a6ccfbf85ae612ab8735dfdf9ce84c372a77c8"
                "f9e1c1e952c3a61b7567dd0693016af51d2745822663d0c2367e3f4f0bed827f"
                "eecc2aaf98c949b5ed0d35c3f1023d64ad1407924288d366ea159f46287e61ac"},
        {Q128,
                "b799b045a58c8d2b4334cf54b78260b45eec544f9f2fb5bd12fb603eaee70db7"
                "317bf807c406e26373922b7b8920fa29142703dd52bdf280084fb7ef69da78af"
                "df80b3586395b433dc66cde048a258e476a561e9deba7060af40adf30c64249c"
                "a7ddea79806ee5beb9a1422949471d267b21bc88e688e4014087a0b592b695ed"},
        {A512,
                "05b0bfef265dcee87654372777b7c44177e2ae4c13a27f103340d9cd11c86cb2"
                "426ffcad5bd964080c2aee97f03be1ca18e30a1f14e27bc11ebbd650f305269c"
                "c9fb1db08bf90bfc79b42a952b46daf810359e7bc36452684784a64952c343c5"
                "2e5124cd1f71d474d5197fefc571a92929c9084ffe1112cf5eea5192ebff330b"},
};

TEST(messages_expand_as_in_rfc_9380) {
        const Bytes domain = text_bytes("QUUX-V01-CS02-with-expander-SHA512-256");

        for (size_t i = 0; i < ELEMENTSOF(EXPANDED); i++) {
                uint8_t uniform[128];
                size_t n = strlen(EXPANDED[i].uniform) / 2;
                char message[600];

                snprintf(message, sizeof(message), "%s", EXPANDED[i].message);
                if (streq(message, Q128) || streq(message, A512)) {
                        size_t letters = (size_t)atoi(message + 1);

                        message[4] = '_';
                        memset(message + 5, message[0], letters);
                        message[5 + letters] = '\0';
                }
                expand_message((Bytes[]){text_bytes(message)}, 1, domain, uniform, n);
                check_hex(uniform, n, EXPANDED[i].uniform);

                /* In parts it is the same message. */
                memset(uniform, 0, sizeof(uniform));
                expand_message((Bytes[]){{.data = (uint8_t *)message, .size = strlen(message) / 2},
                                       {}, text_bytes(message + strlen(message) / 2)},
                        3, domain, uniform, n);
                check_hex(uniform, n, EXPANDED[i].uniform);
        }
}

TEST(expanding_writes_what_was_asked_for_and_no_more) {
        static uint8_t uniform[EXPAND_SIZE_MAX + 1], name[EXPAND_DOMAIN_MAX];
        static const size_t sizes[] = {0, 1, 63, 64, 65, EXPAND_SIZE_MAX - 1, EXPAND_SIZE_MAX};
        const Bytes domain = {.data = name, .size = sizeof(name)}, message = {};

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                size_t n = sizes[i];

                memset(uniform, 0xa5, sizeof(uniform));
                expand_message(&message, 1, domain, uniform, n);
                for (size_t k = n; k < sizeof(uniform); k++)
                        CHECK_EQ(uniform[k], 0xa5);
        }
        /* Its size is part of what is hashed, both bytes of it. */
        expand_message(&message, 1, domain, uniform, 256 + 32);
        expand_message(&message, 1, domain, uniform + 512, 32);
        CHECK(memcmp(uniform, uniform + 512, 32) != 0);
        CHECK(!bytes_are_zero(uniform + 256, 32));
}

/* RFC 9497, appendix A.1.1 */
#define SEED "a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3"
#define KEY_INFO "74657374206b6579"
#define KEY "5ebcea5ee37023ccb9fc2d2019f9d7737be85591ae8652ffa9ef0f4d37063b0e"
#define BLIND "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706"

static const struct {
        const char *input, *blinded, *evaluated, *output;
} VECTORS[] = {
        {"00", "609a0ae68c15a3cf6903766461307e5c8bb2f95e7e6550e1ffa2dc99e412803c",
                "7ec6578ae5120958eb2db1745758ff379e77cb64fe77b0b2d8cc917ea0869c7e",
                "527759c3d9366f277d8c6020418d96bb393ba2afb20ff90df23fb7708264e2f3"
                "ab9135e3bd69955851de4b1f9fe8a0973396719b7912ba9ee8aa7d0b5e24bcf6"},
        {"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
                "da27ef466870f5f15296299850aa088629945a17d1f5b7f5ff043f76b3c06418",
                "b4cbf5a4f1eeda5a63ce7b77c7d23f461db3fcab0dd28e4e17cecb5c90d02c25",
                "f4a74c9c592497375e796aa837e907b1a045d34306a749db9f34221f7e750cb4"
                "f2a6413a6bf6fa5e19ba6348eb673934a722a7ede2e7621306d18951e7cf2c73"},
};

TEST(keys_are_derived_as_in_rfc_9497) {
        uint8_t seed[OPRF_SEED_SIZE], info[16], key[OPRF_KEY_SIZE], other[OPRF_KEY_SIZE];
        Bytes from = {.data = info};

        CHECK_EQ(unhex(SEED, seed, sizeof(seed)), OPRF_SEED_SIZE);
        from.size = unhex(KEY_INFO, info, sizeof(info));
        oprf_derive_key(seed, from, key);
        check_hex(key, sizeof(key), KEY);

        /* Another for whatever is not the same. */
        from.size--;
        oprf_derive_key(seed, from, other);
        CHECK(memcmp(key, other, sizeof(key)) != 0);
        from.size++;
        seed[31] ^= 1;
        oprf_derive_key(seed, from, other);
        CHECK(memcmp(key, other, sizeof(key)) != 0);
        oprf_derive_key(seed, (Bytes){}, other);
        CHECK(memcmp(key, other, sizeof(key)) != 0);
}

TEST(the_function_is_that_of_rfc_9497) {
        uint8_t key[OPRF_KEY_SIZE], blind[OPRF_KEY_SIZE];

        unhex(KEY, key, sizeof(key));
        unhex(BLIND, blind, sizeof(blind));
        for (size_t i = 0; i < ELEMENTSOF(VECTORS); i++) {
                uint8_t bytes[32], element[OPRF_ELEMENT_SIZE], output[OPRF_OUTPUT_SIZE];
                Bytes input = {.data = bytes};

                input.size = unhex(VECTORS[i].input, bytes, sizeof(bytes));
                CHECK_OK(oprf_blind_with(input, blind, element));
                check_hex(element, sizeof(element), VECTORS[i].blinded);
                CHECK_OK(oprf_evaluate(key, element, element));
                check_hex(element, sizeof(element), VECTORS[i].evaluated);
                CHECK_OK(oprf_finalize(input, blind, element, output));
                check_hex(output, sizeof(output), VECTORS[i].output);
        }
}

/* A whole round trip, with randomness that begins with FIRST. */
static void evaluate(const uint8_t key[static OPRF_KEY_SIZE], Bytes input, uint8_t first,
        uint8_t ret_blinded[static OPRF_ELEMENT_SIZE], uint8_t ret[static OPRF_OUTPUT_SIZE]) {
        const uint8_t random[OPRF_RANDOM_SIZE] = {first, [63] = 7};
        uint8_t blind[OPRF_KEY_SIZE], evaluated[OPRF_ELEMENT_SIZE];

        CHECK_OK(oprf_blind(input, random, blind, ret_blinded));
        CHECK_OK(oprf_evaluate(key, ret_blinded, evaluated));
        CHECK_OK(oprf_finalize(input, blind, evaluated, ret));
}

TEST(what_comes_out_depends_on_key_and_input_and_on_no_blind) {
        static const uint8_t random[OPRF_RANDOM_SIZE] = {1, 2, 3}, other[OPRF_RANDOM_SIZE] = {9};
        static uint8_t longest[OPRF_INPUT_MAX];
        const Bytes inputs[] = {{}, text_bytes("a"), text_bytes("correct horse battery staple"),
                {.data = longest, .size = sizeof(longest)},
                {.data = longest, .size = sizeof(longest) - 1}};
        uint8_t key[OPRF_KEY_SIZE], key2[OPRF_KEY_SIZE], seen[16][OPRF_OUTPUT_SIZE];
        size_t n = 0;

        oprf_key_generate(random, key);
        oprf_key_generate(other, key2);
        for (size_t i = 0; i < ELEMENTSOF(inputs); i++) {
                uint8_t blinded[2][OPRF_ELEMENT_SIZE], output[OPRF_OUTPUT_SIZE];

                evaluate(key, inputs[i], 1, blinded[0], seen[n++]);
                evaluate(key, inputs[i], 2, blinded[1], output);
                CHECK(memcmp(blinded[0], blinded[1], OPRF_ELEMENT_SIZE) != 0);
                CHECK(memcmp(output, seen[n - 1], sizeof(output)) == 0);
                evaluate(key2, inputs[i], 1, blinded[0], seen[n++]);
        }
        for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < i; j++)
                        CHECK(memcmp(seen[i], seen[j], OPRF_OUTPUT_SIZE) != 0);
}

TEST(an_input_that_is_too_long_is_refused) {
        static uint8_t bytes[OPRF_INPUT_MAX + 1];
        const Bytes input = {.data = bytes, .size = sizeof(bytes)};
        const uint8_t random[OPRF_RANDOM_SIZE] = {1};
        uint8_t blind[OPRF_KEY_SIZE], element[OPRF_ELEMENT_SIZE], output[OPRF_OUTPUT_SIZE];

        CHECK_EQ(oprf_blind(input, random, blind, element), -EINVAL);
        CHECK_OK(oprf_blind(text_bytes("x"), random, blind, element));
        CHECK_EQ(oprf_blind_with(input, blind, element), -EINVAL);
        CHECK_EQ(oprf_finalize(input, blind, element, output), -EINVAL);
}

/* The order of the group and the prime of its field, both little-endian. */
static const uint8_t ORDER[OPRF_KEY_SIZE] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6,
        0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
static const uint8_t PRIME[OPRF_ELEMENT_SIZE] = {0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};

TEST(a_key_or_blind_that_is_no_number_below_the_order_is_refused) {
        const Bytes input = text_bytes("input");
        uint8_t bad[5][OPRF_KEY_SIZE] = {}, last[OPRF_KEY_SIZE], good[OPRF_KEY_SIZE] = {1};
        uint8_t element[OPRF_ELEMENT_SIZE], to[OPRF_ELEMENT_SIZE], output[OPRF_OUTPUT_SIZE];

        memcpy(bad[1], ORDER, sizeof(ORDER)); /* bad[0] is zero */
        memcpy(bad[2], ORDER, sizeof(ORDER));
        bad[2][0]++;
        memset(bad[3], 0xff, sizeof(bad[3]));
        bad[4][0] = 1;
        bad[4][31] = 0x80; /* one, and a bit that libsodium alone would not look at */
        memcpy(last, ORDER, sizeof(last));
        last[0]--;
        CHECK_OK(oprf_blind_with(input, good, element));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                CHECK_EQ(oprf_evaluate(bad[i], element, to), -EINVAL);
                CHECK_EQ(oprf_blind_with(input, bad[i], to), -EINVAL);
                CHECK_EQ(oprf_finalize(input, bad[i], element, output), -EINVAL);
        }
        CHECK_OK(oprf_evaluate(last, element, to));
        CHECK_OK(oprf_finalize(input, last, to, output)); /* of minus one, twice */
        CHECK(memcmp(to, element, sizeof(to)) != 0);
        CHECK_OK(oprf_evaluate(last, to, to));
        CHECK(memcmp(to, element, sizeof(to)) == 0);
}

/* Neither side takes ELEMENT, and neither writes anything then. */
static void check_refused(const uint8_t element[static OPRF_ELEMENT_SIZE]) {
        static const uint8_t key[OPRF_KEY_SIZE] = {5};
        uint8_t to[OPRF_ELEMENT_SIZE] = {}, output[OPRF_OUTPUT_SIZE] = {};

        CHECK_EQ(oprf_evaluate(key, element, to), -EBADMSG);
        CHECK_EQ(oprf_finalize(text_bytes("input"), key, element, output), -EBADMSG);
        CHECK(bytes_are_zero(to, sizeof(to)));
        CHECK(bytes_are_zero(output, sizeof(output)));
}

/* a + b, and a - b where that is not negative. */
static void add(uint8_t *a, const uint8_t *b) {
        sodium_add(a, b, OPRF_ELEMENT_SIZE);
}

static void subtract_from(uint8_t *b, const uint8_t *a) {
        unsigned borrow = 0;

        for (size_t i = 0; i < OPRF_ELEMENT_SIZE; i++) {
                unsigned d = 256u + a[i] - b[i] - borrow;

                borrow = d < 256;
                b[i] = (uint8_t)d;
        }
}

TEST(the_identity_is_refused) {
        uint8_t element[OPRF_ELEMENT_SIZE] = {};

        check_refused(element);
        memcpy(element, PRIME, sizeof(element)); /* zero again, in another form */
        check_refused(element);
}

TEST(an_element_in_another_than_its_canonical_form_is_refused) {
        static const uint8_t key[OPRF_KEY_SIZE] = {3};
        uint8_t element[OPRF_ELEMENT_SIZE], other[OPRF_ELEMENT_SIZE];
        unsigned small = 0;

        for (uint8_t i = 0; i < 50; i++) {
                CHECK_OK(oprf_blind_with((Bytes){.data = &i, .size = 1}, key, element));
                CHECK_OK(oprf_evaluate(key, element, other));
                memcpy(other, element, sizeof(other));
                other[31] |= 0x80; /* a bit above the field */
                check_refused(other);
                memcpy(other, element, sizeof(other));
                subtract_from(other, PRIME); /* the negative of what stands for the element */
                check_refused(other);
        }
        /* Whatever is below 19 fits into 255 bits with the prime added to it. */
        for (uint8_t i = 1; i < 19; i++) {
                memset(element, 0, sizeof(element));
                element[0] = i;
                small += oprf_evaluate(key, element, other) == 0;
                add(element, PRIME);
                check_refused(element);
        }
        CHECK(small > 0); /* some of them are elements, so that only the form was wrong */
        memset(element, 0xff, sizeof(element));
        check_refused(element);
}

/* Half of all numbers below the prime are even, and of these a quarter or so stands for an element;
 * libsodium says of which, and the result is always an element again. */
TEST(random_bytes_are_an_element_or_are_refused) {
        static const uint8_t key[OPRF_KEY_SIZE] = {3};
        static const uint8_t seed[randombytes_SEEDBYTES] = {1};
        static uint8_t stream[1024][OPRF_ELEMENT_SIZE];
        unsigned good = 0;

        randombytes_buf_deterministic(stream, sizeof(stream), seed);
        for (size_t i = 0; i < ELEMENTSOF(stream); i++) {
                uint8_t to[OPRF_ELEMENT_SIZE], output[OPRF_OUTPUT_SIZE];

                stream[i][31] &= 0x7f;
                stream[i][0] &= 0xfe;
                if (!crypto_core_ristretto255_is_valid_point(stream[i])) {
                        check_refused(stream[i]);
                        continue;
                }
                good++;
                CHECK_OK(oprf_evaluate(key, stream[i], to));
                CHECK(crypto_core_ristretto255_is_valid_point(to));
                CHECK_OK(oprf_finalize((Bytes){}, key, stream[i], output));
        }
        CHECK(good > ELEMENTSOF(stream) / 8 && good < ELEMENTSOF(stream) / 2);
}
