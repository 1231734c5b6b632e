/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <sodium.h>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/hkdf.h"
#include "crypto/safety-number.h"
#include "crypto/sign.h"

static size_t unhex(const char *hex, uint8_t *ret, size_t max) {
        size_t n;

        CHECK(sodium_hex2bin(ret, max, hex, strlen(hex), " ", &n, NULL) == 0);
        return n;
}

/* RFC 8032, section 7.1 */
static const struct {
        const char *seed, *public, *message, *signature;
} RFC8032[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
                "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
};

/* The second implementation of Ed25519 in this process, which speaks TLS with the same keys. */
static int gnutls_ed25519_verify(
        const uint8_t key[static KEY_SIZE], const void *p, size_t n, const uint8_t *signature) {
        const gnutls_datum_t x = {.data = (uint8_t *)key, .size = KEY_SIZE};
        const gnutls_datum_t data = {.data = (uint8_t *)p, .size = (unsigned)n};
        const gnutls_datum_t s = {.data = (uint8_t *)signature, .size = SIGNATURE_SIZE};
        gnutls_pubkey_t pubkey;
        int r;

        CHECK_OK(gnutls_pubkey_init(&pubkey));
        r = gnutls_pubkey_import_ecc_raw(pubkey, GNUTLS_ECC_CURVE_ED25519, &x, NULL);
        if (r == 0)
                r = gnutls_pubkey_verify_data2(pubkey, GNUTLS_SIGN_EDDSA_ED25519, 0, &data, &s);
        gnutls_pubkey_deinit(pubkey);
        return r;
}

static void gnutls_ed25519_sign(
        const SignKey *k, const void *p, size_t n, uint8_t ret[static SIGNATURE_SIZE]) {
        const gnutls_datum_t x = {.data = (uint8_t *)sign_key_public(k), .size = KEY_SIZE};
        const gnutls_datum_t seed = {.data = (uint8_t *)sign_key_seed(k), .size = KEY_SIZE};
        const gnutls_datum_t data = {.data = (uint8_t *)p, .size = (unsigned)n};
        gnutls_privkey_t privkey;
        gnutls_datum_t s;

        CHECK_OK(gnutls_privkey_init(&privkey));
        CHECK_OK(gnutls_privkey_import_ecc_raw(privkey, GNUTLS_ECC_CURVE_ED25519, &x, NULL, &seed));
        CHECK_OK(gnutls_privkey_sign_data2(privkey, GNUTLS_SIGN_EDDSA_ED25519, 0, &data, &s));
        CHECK_EQ(s.size, SIGNATURE_SIZE);
        memcpy(ret, s.data, SIGNATURE_SIZE);
        gnutls_free(s.data);
        gnutls_privkey_deinit(privkey);
}

TEST(ed25519_is_that_of_rfc_8032_in_both_libraries) {
        CHECK_OK(crypto_init());
        for (size_t i = 0; i < ELEMENTSOF(RFC8032); i++) {
                uint8_t seed[KEY_SIZE], public[KEY_SIZE], message[8], want[64], got[64];
                size_t n;
                SignKey k;

                CHECK_EQ(unhex(RFC8032[i].seed, seed, sizeof(seed)), KEY_SIZE);
                CHECK_EQ(unhex(RFC8032[i].public, public, sizeof(public)), KEY_SIZE);
                CHECK_EQ(unhex(RFC8032[i].signature, want, sizeof(want)), SIGNATURE_SIZE);
                n = unhex(RFC8032[i].message, message, sizeof(message));
                sign_key_from_seed(seed, &k);
                CHECK(key_equal(sign_key_public(&k), public));
                CHECK(key_equal(sign_key_seed(&k), seed));
                CHECK(key_is_valid(public));

                CHECK_OK(crypto_sign_detached(got, NULL, message, n, k.secret));
                CHECK(memcmp(got, want, sizeof(got)) == 0);
                gnutls_ed25519_sign(&k, message, n, got);
                CHECK(memcmp(got, want, sizeof(got)) == 0);
                CHECK(gnutls_ed25519_verify(public, message, n, want) >= 0);
        }
}

static const char *const CONTEXTS[] = {
        [SIGN_DEVICE] = "p2pchat/1 device",
        [SIGN_RECORD] = "p2pchat/1 record",
        [SIGN_PRESENCE] = "p2pchat/1 presence",
        [SIGN_MESSAGE] = "p2pchat/1 message",
        [SIGN_RECEIPT] = "p2pchat/1 receipt",
        [SIGN_VOID] = "p2pchat/1 void",
        [SIGN_PREKEY] = "p2pchat/1 prekey",
        [SIGN_ROOM_CONTROL] = "p2pchat/1 room-control",
        [SIGN_ROOM_ENTRY] = "p2pchat/1 room-entry",
        [SIGN_BEACON] = "p2pchat/1 beacon",
        [SIGN_LOGIN] = "p2pchat/1 login",
        [SIGN_DEPOSIT] = "p2pchat/1 deposit",
        [SIGN_RING_CERTIFICATE] = "p2pchat/1 ring-certificate",
        [SIGN_EXPORT] = "p2pchat/1 export",
};

static const uint8_t SEED[KEY_SIZE] = {7, 7, 7};

TEST(what_is_signed_is_context_zero_bytes) {
        /* Around the size up to which no memory is allocated, too. */
        static const size_t sizes[] = {0, 1, 32, 1000, 1006, 1007, 1008, 1023, 1024, 1025, 100000};
        static uint8_t message[100000], input[100100];
        uint8_t want[64], got[64];
        SignKey k;

        CHECK_OK(crypto_init());
        CHECK_EQ(ELEMENTSOF(CONTEXTS), _SIGN_CONTEXT_MAX);
        sign_key_from_seed(SEED, &k);
        for (size_t i = 0; i < sizeof(message); i++)
                message[i] = (uint8_t)(i * 31);
        for (SignContext c = 0; c < _SIGN_CONTEXT_MAX; c++)
                for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                        size_t n = strlen(CONTEXTS[c]) + 1;

                        memcpy(input, CONTEXTS[c], n);
                        memcpy(input + n, message, sizes[i]);
                        crypto_sign_detached(want, NULL, input, n + sizes[i], k.secret);
                        CHECK_OK(sign(&k, c, message, sizes[i], got));
                        CHECK(memcmp(want, got, sizeof(got)) == 0);
                        CHECK_OK(sign_verify(sign_key_public(&k), c, message, sizes[i], got));
                        CHECK(gnutls_ed25519_verify(
                                      sign_key_public(&k), input, n + sizes[i], got) >= 0);
                }
}

TEST(a_signature_for_one_purpose_never_verifies_for_another) {
        uint8_t s[64];
        SignKey k;

        CHECK_OK(crypto_init());
        sign_key_from_seed(SEED, &k);
        for (SignContext made = 0; made < _SIGN_CONTEXT_MAX; made++) {
                CHECK_OK(sign(&k, made, "bytes", 5, s));
                for (SignContext c = 0; c < _SIGN_CONTEXT_MAX; c++)
                        CHECK_EQ(sign_verify(sign_key_public(&k), c, "bytes", 5, s),
                                c == made ? 0 : -EBADMSG);
        }
}

TEST(any_changed_bit_is_noticed) {
        uint8_t message[40] = {1, 2, 3}, s[64];
        SignKey k, other;

        CHECK_OK(crypto_init());
        sign_key_from_seed(SEED, &k);
        sign_key_generate(&other);
        CHECK_OK(sign(&k, SIGN_MESSAGE, message, sizeof(message), s));
        for (size_t i = 0; i < 8 * sizeof(message); i++) {
                message[i / 8] ^= (uint8_t)(1 << i % 8);
                CHECK_EQ(sign_verify(sign_key_public(&k), SIGN_MESSAGE, message, 40, s), -EBADMSG);
                message[i / 8] ^= (uint8_t)(1 << i % 8);
        }
        for (size_t i = 0; i < 8 * sizeof(s); i++) {
                s[i / 8] ^= (uint8_t)(1 << i % 8);
                CHECK_EQ(sign_verify(sign_key_public(&k), SIGN_MESSAGE, message, 40, s), -EBADMSG);
                s[i / 8] ^= (uint8_t)(1 << i % 8);
        }
        CHECK_EQ(sign_verify(sign_key_public(&k), SIGN_MESSAGE, message, 39, s), -EBADMSG);
        CHECK_EQ(sign_verify(sign_key_public(&other), SIGN_MESSAGE, message, 40, s), -EBADMSG);
        CHECK_OK(sign_verify(sign_key_public(&k), SIGN_MESSAGE, message, 40, s));
}

/* S + L instead of S verifies with who does not compare: a signature would have two forms. */
TEST(a_signature_has_one_form) {
        static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6,
                0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
        unsigned carry = 0;
        uint8_t s[64];
        SignKey k;

        CHECK_OK(crypto_init());
        sign_key_from_seed(SEED, &k);
        CHECK_OK(sign(&k, SIGN_MESSAGE, "m", 1, s));
        for (int i = 0; i < 32; i++) {
                carry += s[32 + i] + order[i];
                s[32 + i] = (uint8_t)carry;
                carry >>= 8;
        }
        CHECK_EQ(sign_verify(sign_key_public(&k), SIGN_MESSAGE, "m", 1, s), -EBADMSG);
}

/* The eight points of small order, and the other encodings that lead to them: y not reduced, sign
 * bit set where x is zero. */
static const char *const SMALL_ORDER[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

TEST(keys_of_small_order_are_refused) {
        static const uint8_t constant[64] = {1}; /* R the neutral point, S zero */
        uint8_t key[KEY_SIZE];

        CHECK_OK(crypto_init());
        for (size_t i = 0; i < ELEMENTSOF(SMALL_ORDER); i++) {
                CHECK_EQ(unhex(SMALL_ORDER[i], key, sizeof(key)), KEY_SIZE);
                CHECK(!key_is_valid(key));
                for (int n = 0; n < 16; n++) {
                        uint8_t message = (uint8_t)n;

                        CHECK_EQ(sign_verify(key, SIGN_DEVICE, &message, 1, constant), -EBADMSG);
                }
        }
}

TEST(keys_that_are_no_points_of_the_group_are_refused) {
        uint8_t torsion[KEY_SIZE], mixed[KEY_SIZE], no_point[KEY_SIZE] = {2};
        uint8_t unreduced[KEY_SIZE], scalar[32] = {5};
        SignKey k;

        CHECK_OK(crypto_init());
        sign_key_from_seed(SEED, &k);
        unhex(SMALL_ORDER[4], torsion, sizeof(torsion));
        CHECK_OK(crypto_core_ed25519_add(mixed, sign_key_public(&k), torsion));
        CHECK(!key_is_valid(mixed));

        CHECK(!key_is_valid(no_point));
        CHECK_OK(crypto_scalarmult_ed25519_base_noclamp(unreduced, scalar));
        CHECK(key_is_valid(unreduced));
        memset(unreduced, 0xff, sizeof(unreduced)); /* 2^255 - 1 is 18 */
        CHECK(!key_is_valid(unreduced));
}

TEST(generated_keys_differ_and_work) {
        uint8_t s[64];
        SignKey a, b;

        CHECK_OK(crypto_init());
        sign_key_generate(&a);
        sign_key_generate(&b);
        CHECK(!key_equal(sign_key_public(&a), sign_key_public(&b)));
        CHECK(key_is_valid(sign_key_public(&a)));
        CHECK_OK(sign(&a, SIGN_LOGIN, "x", 1, s));
        CHECK_OK(sign_verify(sign_key_public(&a), SIGN_LOGIN, "x", 1, s));
        sign_key_wipe(&a);
        CHECK(bytes_are_zero(&a, sizeof(a)));
}

static void check_hash(const void *p, size_t n, const char *hex) {
        uint8_t want[SHA256_SIZE], got[SHA256_SIZE];

        CHECK_EQ(unhex(hex, want, sizeof(want)), SHA256_SIZE);
        sha256(p, n, got);
        CHECK(memcmp(want, got, sizeof(got)) == 0);
        for (size_t cut = 0; cut <= n; cut += n / 7 + 1) {
                const struct iovec parts[] = {
                        {.iov_base = (void *)p, .iov_len = cut},
                        {},
                        {.iov_base = (uint8_t *)p + cut, .iov_len = n - cut},
                };

                sha256_parts(parts, ELEMENTSOF(parts), got);
                CHECK(memcmp(want, got, sizeof(got)) == 0);
        }
}

TEST(sha256_is_that_of_fips_180_4) {
        static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        static char million[1000000];

        check_hash("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        check_hash("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        check_hash(two_blocks, strlen(two_blocks),
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
        memset(million, 'a', sizeof(million));
        check_hash(million, sizeof(million),
                "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* RFC 4231, sections 4.2, 4.3 and 4.7: short keys, and one that is longer than a block. */
static const struct {
        const char *key, *data, *mac;
} RFC4231[] = {
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"4a656665", "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {"aa", "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
};

TEST(hmac_is_that_of_rfc_4231) {
        CHECK_OK(crypto_init());
        for (size_t i = 0; i < ELEMENTSOF(RFC4231); i++) {
                const Bytes data = text_bytes(RFC4231[i].data);
                uint8_t key[131], want[SHA256_SIZE], got[SHA256_SIZE];
                size_t n = unhex(RFC4231[i].key, key, sizeof(key));

                if (n == 1) {
                        n = sizeof(key);
                        memset(key, key[0], n);
                }
                CHECK_EQ(unhex(RFC4231[i].mac, want, sizeof(want)), SHA256_SIZE);
                for (size_t cut = 0; cut <= data.size; cut += 5) {
                        const Bytes parts[] = {{.data = data.data, .size = cut}, {},
                                {.data = data.data + cut, .size = data.size - cut}};

                        hmac_sha256((Bytes){.data = key, .size = n}, parts, ELEMENTSOF(parts), got);
                        CHECK(memcmp(want, got, sizeof(got)) == 0);
                }
        }
}

/* Those of libsignal's tests, which have a byte for the kind of key in front. */
static const struct {
        const char *id, *key, *half;
} SIGNAL[] = {
        {"+14152222222", "0506863bc66d02b40d27b8d49ca7c09e9239236f9d7d25d6fcca5ce13c7064d868",
                "300354477692869396892869876765"},
        {"+14153333333", "05f781b6fb32fed9ba1cf2de978d4d5da28dc34046ae814402b5c0dbd96fda907b",
                "458257569162576843440918079131"},
};

TEST(half_a_safety_number_is_that_of_signal) {
        CHECK_OK(crypto_init());
        for (size_t i = 0; i < ELEMENTSOF(SIGNAL); i++) {
                char got[SAFETY_NUMBER_HALF_SIZE + 1];
                uint8_t key[33];

                CHECK_EQ(unhex(SIGNAL[i].key, key, sizeof(key)), sizeof(key));
                safety_number_half(
                        text_bytes(SIGNAL[i].id), (Bytes){.data = key, .size = sizeof(key)}, got);
                CHECK_STR(got, SIGNAL[i].half);
        }
}

TEST(a_safety_number_is_the_same_at_both_ends_and_no_other_pair_has_it) {
        static const uint8_t accounts[3][KEY_SIZE] = {{1}, {2}, {3}};
        char numbers[3][SAFETY_NUMBER_SIZE + 1], halves[2][SAFETY_NUMBER_HALF_SIZE + 1];
        bool swap;

        CHECK_OK(crypto_init());
        for (size_t i = 0; i < 3; i++) {
                const uint8_t *a = accounts[i], *b = accounts[(i + 1) % 3];
                char other[SAFETY_NUMBER_SIZE + 1];

                safety_number(a, b, numbers[i]);
                safety_number(b, a, other);
                CHECK_STR(numbers[i], other);
                CHECK_EQ(strspn(numbers[i], "0123456789"), SAFETY_NUMBER_SIZE);
                for (size_t k = 0; k < i; k++)
                        CHECK(!streq(numbers[k], numbers[i]));
        }
        /* The smaller half comes first. */
        for (size_t i = 0; i < 2; i++)
                safety_number_half((Bytes){.data = accounts[i], .size = KEY_SIZE},
                        (Bytes){.data = accounts[i], .size = KEY_SIZE}, halves[i]);
        swap = strcmp(halves[0], halves[1]) > 0;
        CHECK(strncmp(numbers[0], halves[swap], SAFETY_NUMBER_HALF_SIZE) == 0);
        CHECK_STR(numbers[0] + SAFETY_NUMBER_HALF_SIZE, halves[!swap]);
}

/* RFC 5869, appendix A, test cases 1 to 3: the last has neither salt nor info. */
static const struct {
        const char *ikm, *salt, *info, *prk, *okm;
} RFC5869[] = {
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
                "f0f1f2f3f4f5f6f7f8f9",
                "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
                "34007208d5b887185865"},
        {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627"
         "28292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
                "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f8081828384858687"
                "88898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
                "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7"
                "d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
                "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
                "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
                "cc30c58179ec3e87c14c01d5c1f3434f1d87"},
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
                "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
                "9d201395faa4b61a96c8"},
};

TEST(hkdf_rfc_5869) {
        for (size_t i = 0; i < ELEMENTSOF(RFC5869); i++) {
                uint8_t ikm[80], salt[80], info[80], prk[SHA256_SIZE], want[82], got[82];
                Bytes key = {ikm, unhex(RFC5869[i].ikm, ikm, sizeof(ikm))};
                Bytes s = {salt, unhex(RFC5869[i].salt, salt, sizeof(salt))};
                Bytes whole = {info, unhex(RFC5869[i].info, info, sizeof(info))};
                Bytes parts[] = {{info, whole.size / 3},
                        {info + whole.size / 3, whole.size - whole.size / 3}};
                size_t n;

                CHECK_EQ(unhex(RFC5869[i].prk, want, sizeof(want)), SHA256_SIZE);
                hkdf_extract(s, &key, 1, prk);
                CHECK(memcmp(prk, want, SHA256_SIZE) == 0);
                n = unhex(RFC5869[i].okm, want, sizeof(want));
                hkdf_expand(prk, parts, 2, got, n);
                CHECK(memcmp(got, want, n) == 0);
                memset(got, 0, sizeof(got));
                hkdf(s, key, &whole, 1, got, n);
                CHECK(memcmp(got, want, n) == 0);
        }
}

/* As much as it can give, which is what the other implementation in this process gives. */
TEST(hkdf_to_its_end) {
        static uint8_t got[HKDF_SIZE_MAX], want[HKDF_SIZE_MAX];
        const uint8_t prk[SHA256_SIZE] = {7};
        const gnutls_datum_t key = {.data = (uint8_t *)prk, .size = sizeof(prk)};
        const gnutls_datum_t info = {.data = (uint8_t *)"info", .size = 4};
        const Bytes part = text_bytes("info");

        hkdf_expand(prk, &part, 1, got, sizeof(got));
        CHECK_OK(gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &key, &info, want, sizeof(want)));
        CHECK(memcmp(got, want, sizeof(got)) == 0);
}

/* RFC 8439, section 2.8.2 */
static const char RFC8439_TEXT[] =
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
        "future, sunscreen would be it.";
static const char RFC8439_SEALED[] =
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca96712"
        "82fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58"
        "fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116"
        "1ae10b594f09e26a7e902ecbd0600691";

TEST(aead_rfc_8439) {
        uint8_t key[AEAD_KEY_SIZE], nonce[AEAD_NONCE_SIZE], aad[12], want[160];
        _cleanup_(buffer_done) Buffer sealed = BUFFER_NULL, out = BUFFER_NULL;
        Bytes with = {aad, sizeof(aad)}, in;
        size_t n;

        for (size_t i = 0; i < sizeof(key); i++)
                key[i] = (uint8_t)(0x80 + i);
        unhex("070000004041424344454647", nonce, sizeof(nonce));
        unhex("50515253c0c1c2c3c4c5c6c7", aad, sizeof(aad));
        n = unhex(RFC8439_SEALED, want, sizeof(want));
        CHECK_OK(aead_seal(key, nonce, with, text_bytes(RFC8439_TEXT), &sealed));
        in = buffer_bytes(&sealed);
        CHECK(bytes_equal(in, (Bytes){want, n}));
        CHECK_OK(aead_open(key, nonce, with, in, &out));
        CHECK(bytes_equal(buffer_bytes(&out), text_bytes(RFC8439_TEXT)));
        buffer_clear(&out);
        for (size_t i = 0; i < 8 * n; i++) {
                sealed.data[i / 8] ^= (uint8_t)(1 << i % 8);
                CHECK_EQ(aead_open(key, nonce, with, in, &out), -EBADMSG);
                sealed.data[i / 8] ^= (uint8_t)(1 << i % 8);
        }
        for (size_t i = 0; i < n; i++)
                CHECK_EQ(aead_open(key, nonce, with, (Bytes){in.data, i}, &out), -EBADMSG);
        with.size--;
        CHECK_EQ(aead_open(key, nonce, with, in, &out), -EBADMSG);
        with.size++;
        nonce[0] ^= 1;
        CHECK_EQ(aead_open(key, nonce, with, in, &out), -EBADMSG);
        CHECK_EQ(buffer_size(&out), 0);
}
