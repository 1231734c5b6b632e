/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "crypto/aead.h"
#include "crypto/hpke.h"
#include "map-cases.h"
#include "room-sample.h"

#define TEXT "tea is ready"

static const uint8_t KEY_[ROOM_KEY_SIZE] = {0x11, [31] = 0x12};

TEST(commitment_of_a_key) {
        uint8_t in[19 + 32 + 8 + 32] = "p2pchat/1 room-key", want[SHA256_SIZE], got[SHA256_SIZE];
        static const uint8_t room[ROOM_ID_SIZE] = {3};

        in[19] = 3;
        in[19 + 32 + 6] = 1; /* epoch 300 */
        in[19 + 32 + 7] = 44;
        memcpy(in + 19 + 40, KEY_, sizeof(KEY_));
        sha256(in, sizeof(in), want);
        room_key_commitment(room, 300, KEY_, got);
        CHECK(memcmp(got, want, SHA256_SIZE) == 0);
}

static int try_wrap(Bytes in) {
        RoomWrap w;

        return room_wrap_decode(in, &w);
}

TEST(wrap) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        RoomWrap want = sample_wrap(), got;
        Bytes in;

        CHECK_OK(room_wrap_encode(&b, &want));
        in = sample_bytes(&b);
        CHECK(in.size <= ROOM_WRAP_MAX);
        CHECK_OK(room_wrap_decode(in, &got));
        CHECK(memcmp(got.room, want.room, ROOM_ID_SIZE) == 0 && got.epoch == want.epoch);
        CHECK(key_equal(got.account, want.account) && got.prekey == 7);
        CHECK(memcmp(got.enc, want.enc, 32) == 0);
        CHECK(memcmp(got.ciphertext, want.ciphertext, sizeof(want.ciphertext)) == 0);
        check_uint(in, 0, 1);
        check_bytes(in, 1, want.room, ROOM_ID_SIZE);
        check_uint(in, 2, 70000);
        check_bytes(in, 3, want.account, KEY_SIZE);
        check_uint(in, 4, 7);
        check_bytes(in, 5, want.enc, 32);
        check_bytes(in, 6, want.ciphertext, 48);
        /* Nothing covers the map: not even keys that may be ignored elsewhere. */
        for (uint64_t key = 0; key < 70; key++)
                CHECK_EQ(map_try_with(in, key, key < 7 ? (Bytes){} : LITERAL("\x00"), try_wrap),
                        -EBADMSG);
        check_map_length(in, try_wrap);
        check_map_size(in, 1, 32, 32, try_wrap);
        check_map_size(in, 3, 32, 32, try_wrap);
        check_map_size(in, 5, 32, 32, try_wrap);
        check_map_size(in, 6, 48, 48, try_wrap);
        CHECK_EQ(map_try_with(in, 0, LITERAL("\x02"), try_wrap), -EBADMSG);
        CHECK_EQ(map_try_with(in, 2, LITERAL("\x00"), try_wrap), -EBADMSG);
}

typedef struct Wrapped {
        uint8_t secret[HPKE_KEY_SIZE], public[HPKE_KEY_SIZE], commitment[SHA256_SIZE];
        RoomWrap w;
} Wrapped;

static void wrap_key(Wrapped *x) {
        static const uint8_t seed[HPKE_SEED_SIZE] = {1}, fresh[HPKE_SEED_SIZE] = {2};
        const uint8_t room[ROOM_ID_SIZE] = {3}, account[KEY_SIZE] = {4};
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Prekey prekey = {.suite = MAIL_SUITE_HPKE, .id = 9};

        hpke_key_derive(seed, x->secret, x->public);
        prekey.key = (Bytes){x->public, sizeof(x->public)};
        room_key_commitment(room, 300, KEY_, x->commitment);
        CHECK_OK(room_wrap_seal(&b, room, 300, account, &prekey, KEY_, fresh));
        CHECK_OK(room_wrap_decode(sample_bytes(&b), &x->w));
        CHECK(x->w.epoch == 300 && x->w.prekey == 9);
        CHECK(key_equal(x->w.account, account) && key_equal(x->w.room, room));
}

TEST(a_wrapped_key_opens_for_whom_it_is) {
        uint8_t key[ROOM_KEY_SIZE] = {};
        Wrapped x;

        wrap_key(&x);
        CHECK_OK(room_wrap_open(&x.w, x.secret, x.commitment, key));
        CHECK(memcmp(key, KEY_, sizeof(key)) == 0);
        memset(key, 0, sizeof(key));
        x.w.account[0] ^= 1;
        CHECK_EQ(room_wrap_open(&x.w, x.secret, x.commitment, key), -EBADMSG);
        x.w.account[0] ^= 1;
        x.w.room[0] ^= 1;
        CHECK_EQ(room_wrap_open(&x.w, x.secret, x.commitment, key), -EBADMSG);
        x.w.room[0] ^= 1;
        x.w.epoch++;
        CHECK_EQ(room_wrap_open(&x.w, x.secret, x.commitment, key), -EBADMSG);
        x.w.epoch--;
        x.w.ciphertext[0] ^= 1;
        CHECK_EQ(room_wrap_open(&x.w, x.secret, x.commitment, key), -EBADMSG);
        x.w.ciphertext[0] ^= 1;
        x.w.enc[0] ^= 1;
        CHECK_EQ(room_wrap_open(&x.w, x.secret, x.commitment, key), -EBADMSG);
        x.w.enc[0] ^= 1;
        x.secret[3] ^= 1;
        CHECK_EQ(room_wrap_open(&x.w, x.secret, x.commitment, key), -EBADMSG);
        x.secret[3] ^= 1;
        x.commitment[31] ^= 1; /* another key than the owner has committed to */
        CHECK_EQ(room_wrap_open(&x.w, x.secret, x.commitment, key), -EBADMSG);
        CHECK(bytes_are_zero(key, sizeof(key)));
        x.commitment[31] ^= 1;
        CHECK_OK(room_wrap_open(&x.w, x.secret, x.commitment, key));
}

TEST(a_wrap_needs_a_prekey_of_the_suite) {
        static const uint8_t room[ROOM_ID_SIZE] = {3}, account[KEY_SIZE] = {4}, seed[32] = {5};
        static const uint8_t small[HPKE_KEY_SIZE] = {};
        const Prekey refused[] = {{.suite = 300, .key = {small, sizeof(small)}},
                {.suite = MAIL_SUITE_HPKE, .key = {small, sizeof(small) - 1}},
                {.suite = MAIL_SUITE_HPKE, .key = {small, sizeof(small)}}};
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;

        for (size_t i = 0; i < ELEMENTSOF(refused); i++)
                CHECK_EQ(room_wrap_seal(&b, room, 1, account, &refused[i], KEY_, seed),
                        -EKEYREJECTED);
        CHECK_EQ(buffer_size(&b), 0);
}

static int open_entry(const uint8_t *key, const Inner *m) {
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
        int r;

        CHECK_OK(buffer_append(&out, "before", 6));
        r = room_entry_open(key, m, &out);
        CHECK_EQ(buffer_size(&out), r < 0 ? 6 : 6 + STRLEN(TEXT));
        if (r == 0)
                CHECK(memcmp(buffer_data(&out), "before" TEXT, buffer_size(&out)) == 0);
        return r;
}

/* Whatever is in the way of reading it elsewhere: it is of this place and no other. */
TEST(an_entry_opens_where_it_was_written) {
        _cleanup_(buffer_done) Buffer body = BUFFER_NULL;
        Inner m = sample_entry(sample_text("head")), x;
        uint8_t other[ROOM_KEY_SIZE], changed[64];

        CHECK_OK(room_entry_seal(KEY_, &m, sample_text(TEXT), &body));
        CHECK_EQ(buffer_size(&body), STRLEN(TEXT) + ROOM_ENTRY_OVERHEAD);
        m.body = sample_bytes(&body);
        CHECK_OK(open_entry(KEY_, &m));
        memcpy(other, KEY_, sizeof(other));
        other[0] ^= 1;
        CHECK_EQ(open_entry(other, &m), -EBADMSG);
        for (size_t i = 0; i < m.body.size; i++) {
                memcpy(changed, body.data, m.body.size);
                changed[i] ^= 1;
                x = m;
                x.body.data = changed;
                CHECK_EQ(open_entry(KEY_, &x), -EBADMSG);
        }
        x = m;
        x.body.size = 15;
        CHECK_EQ(open_entry(KEY_, &x), -EBADMSG);
        for (unsigned i = 0; i < 8; i++) {
                x = m;
                x.conversation[0] ^= i == 0;
                x.account[0] ^= i == 1;
                x.device[0] ^= i == 2;
                x.id.bytes[0] ^= i == 3;
                x.epoch += i == 4;
                x.seq += i == 5;
                x.hlc += i == 6;
                x.kind += i == 7;
                CHECK_EQ(open_entry(KEY_, &x), -EBADMSG);
        }
        m.control_head = (Bytes){};
        CHECK_EQ(room_entry_seal(KEY_, &m, sample_text(TEXT), &body), -EBADMSG);
}

/* With the same id, as after a restored snapshot, in another place: another key. */
TEST(no_key_is_used_twice) {
        _cleanup_(buffer_done) Buffer a = BUFFER_NULL, b = BUFFER_NULL, c = BUFFER_NULL;
        Inner m = sample_entry(sample_text("head"));

        CHECK_OK(room_entry_seal(KEY_, &m, sample_text(TEXT), &a));
        m.seq++;
        CHECK_OK(room_entry_seal(KEY_, &m, sample_text(TEXT), &b));
        m.seq--;
        m.epoch++;
        CHECK_OK(room_entry_seal(KEY_, &m, sample_text(TEXT), &c));
        CHECK(memcmp(a.data, b.data, STRLEN(TEXT)) != 0);
        CHECK(memcmp(a.data, c.data, STRLEN(TEXT)) != 0);
        CHECK(memcmp(b.data, c.data, STRLEN(TEXT)) != 0);
}

/* As the protocol says it, from HMAC and the AEAD alone. */
TEST(an_entry_is_sealed_as_the_protocol_says) {
        static const uint8_t nonce[AEAD_NONCE_SIZE], one = 1;
        _cleanup_(buffer_done) Buffer body = BUFFER_NULL, info = BUFFER_NULL, aad = BUFFER_NULL;
        _cleanup_(buffer_done) Buffer text = BUFFER_NULL;
        uint8_t prk[SHA256_SIZE], key[SHA256_SIZE], be[5][8] = {};
        Inner m = sample_entry(sample_text("head"));
        const uint64_t numbers[] = {m.epoch, m.seq, m.hlc, m.kind};
        const Bytes ikm = {KEY_, sizeof(KEY_)};
        Bytes parts[2];

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                for (size_t k = 0; k < 8; k++)
                        be[i][k] = (uint8_t)(numbers[i] >> (56 - 8 * k));
        CHECK_OK(room_entry_seal(KEY_, &m, sample_text(TEXT), &body));
        hmac_sha256((Bytes){m.conversation, 32}, &ikm, 1, prk);
        CHECK_OK(buffer_append(&info, "p2pchat/1 room-entry", 21));
        CHECK_OK(buffer_append(&info, m.account, 32));
        CHECK_OK(buffer_append(&info, be[0], 8));
        CHECK_OK(buffer_append(&info, m.device, 32));
        CHECK_OK(buffer_append(&info, be[1], 8));
        CHECK_OK(buffer_append(&info, &m.id, 16));
        parts[0] = sample_bytes(&info);
        parts[1] = (Bytes){&one, 1};
        hmac_sha256((Bytes){prk, 32}, parts, 2, key);
        CHECK_OK(buffer_append(&aad, m.conversation, 32));
        CHECK_OK(buffer_append(&aad, m.account, 32));
        CHECK_OK(buffer_append(&aad, be[0], 8));
        CHECK_OK(buffer_append(&aad, m.device, 32));
        for (size_t i = 1; i < 4; i++)
                CHECK_OK(buffer_append(&aad, be[i], 8));
        CHECK_OK(aead_open(key, nonce, sample_bytes(&aad), sample_bytes(&body), &text));
        CHECK(bytes_equal(sample_bytes(&text), sample_text(TEXT)));
}

TEST(the_door_is_of_room_and_key) {
        static const uint8_t room[ROOM_ID_SIZE] = {3}, other[ROOM_ID_SIZE] = {4}, one = 1;
        uint8_t a[ROOM_DOOR_SIZE], b[ROOM_DOOR_SIZE], prk[SHA256_SIZE], want[SHA256_SIZE];
        const Bytes ikm = {KEY_, sizeof(KEY_)},
                    parts[] = {LITERAL("p2pchat/1 room-door\0"), {&one, 1}};

        hmac_sha256((Bytes){room, 32}, &ikm, 1, prk);
        hmac_sha256((Bytes){prk, 32}, parts, 2, want);
        room_door(room, KEY_, a);
        CHECK(memcmp(a, want, sizeof(a)) == 0);
        room_door(other, KEY_, b);
        CHECK(memcmp(a, b, sizeof(a)) != 0);
        room_door(room, other, b);
        CHECK(memcmp(a, b, sizeof(a)) != 0);
}
