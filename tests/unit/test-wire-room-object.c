/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "room-sample.h"
#include "signed-cases.h"

/* Record */

static RoomRecord rec;

static int decode_record(const Buffer *object) {
        return room_record_decode(sample_bytes(object), &rec);
}

static int try_record(Bytes body) {
        _cleanup_(buffer_done) Buffer b = sign_body(SIGN_ROOM_CONTROL, body, 4, 0);

        return decode_record(&b);
}

TEST(room_record) {
        _cleanup_(buffer_done) Buffer b = sample_room_record_object(), again = BUFFER_NULL;
        SignKey device = sample_key(4);
        Bytes body = signed_body(&b);
        RoomRecord parsed;

        CHECK_OK(decode_record(&b));
        CHECK_STR(rec.name, "tea");
        CHECK(bytes_equal(rec.topic, sample_text("no coffee ☕")));
        CHECK(rec.access == ROOM_ACCESS_OPEN && rec.head.epoch == 70000 && rec.members == 300);
        CHECK(rec.seq == 70001 && rec.issued == SAMPLE_TIME && rec.has_door && rec.deleted);
        CHECK(key_equal(rec.owner, sample_certificate(3).account) && rec.n_transfers == 1);
        CHECK_OK(room_record_parse(sample_bytes(&b), &parsed));
        CHECK(memcmp(&parsed, &rec, sizeof(rec)) == 0);
        CHECK_OK(room_record_encode(&again, &rec, &device));
        CHECK(bytes_equal(sample_bytes(&again), sample_bytes(&b)));

        check_map(body, 0x3ffff, 0x77bf | CBOR_BIT(16), try_record);
        check_outer(&b, decode_record, false);
        check_uint(body, 1, 3);
        check_bytes(body, 2, rec.room, ROOM_ID_SIZE);
        check_text(body, 5, "tea");
        check_bytes(body, 8, rec.owner, KEY_SIZE);
        check_bytes(body, 15, rec.door_hash, SHA256_SIZE);
        for (size_t i = 0; i < buffer_size(&b); i++) {
                b.data[i] ^= 1;
                CHECK(decode_record(&b) < 0);
                b.data[i] ^= 1;
        }
        CHECK_EQ(map_try_with(body, 5, LITERAL("\x63Tea"), try_record), -EBADMSG);
        CHECK_EQ(map_try_with(body, 6, LITERAL("\x61\n"), try_record), -EBADMSG);
        CHECK_EQ(map_try_with(body, 7, LITERAL("\x03"), try_record), -EBADMSG);
        CHECK_EQ(map_try_with(body, 17, LITERAL("\xf4"), try_record), -EBADMSG);
        CHECK_EQ(map_try_with(body, 14, map_value(body, 13), try_record), -EBADMSG);
        CHECK_EQ(map_try_size(body, 4, ROOM_NONCE_SIZE, try_record), -EBADMSG);
        CHECK_EQ(map_try_size(body, 3, KEY_SIZE, try_record), -EBADMSG);
}

/* Of the founder, who needs no transfer. */
static Buffer founders_record(void (*change)(RoomRecord *), int want) {
        _cleanup_(buffer_done) Buffer certificate = sample_certificate_object(1);
        RoomRecord x = sample_room_record(1, sample_bytes(&certificate));
        SignKey device = sample_key(2);
        Buffer b = BUFFER_NULL;

        if (change)
                change(&x);
        CHECK_EQ(room_record_encode(&b, &x, &device), want);
        return b;
}

static void without_what_may_be_absent(RoomRecord *x) {
        x->topic = (Bytes){};
        x->members = 0;
        x->has_door = false;
}

static void of_another_room(RoomRecord *x) {
        x->room[5] ^= 1;
}

static void hidden(RoomRecord *x) {
        x->access = ROOM_ACCESS_HIDDEN;
}

static void before_the_genesis(RoomRecord *x) {
        x->head.epoch = 0;
}

static void without_name(RoomRecord *x) {
        memset(x->name, 0, sizeof(x->name));
}

static void of_somebody_else(RoomRecord *x) {
        memcpy(x->owner, sample_certificate(3).account, KEY_SIZE);
}

TEST(record_of_the_founder) {
        static void (*const refused[])(RoomRecord *) = {
                of_another_room, hidden, before_the_genesis, without_name, of_somebody_else};
        Buffer b = founders_record(NULL, 0);

        CHECK_OK(decode_record(&b));
        CHECK(rec.n_transfers == 0 && !rec.deleted);
        buffer_done(&b);
        b = founders_record(without_what_may_be_absent, 0);
        CHECK_OK(decode_record(&b));
        CHECK(rec.topic.size == 0 && rec.members == 0 && !rec.has_door);
        buffer_done(&b);
        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                b = founders_record(refused[i], -EINVAL);
                CHECK_EQ(buffer_size(&b), 0);
        }
}

/* As the sample, with another block or another certificate beside it. */
static int try_transfer(Bytes block, uint8_t certificate) {
        _cleanup_(buffer_done) Buffer founder = sample_certificate_object(certificate);
        _cleanup_(buffer_done) Buffer owner = sample_certificate_object(3), b = BUFFER_NULL;
        RoomRecord x = sample_room_record(3, sample_bytes(&owner));
        SignKey device = sample_key(4);

        x.n_transfers = 1;
        x.transfers[0] = (RoomTransfer){block, sample_bytes(&founder)};
        CHECK_OK(room_record_encode(&b, &x, &device));
        return decode_record(&b);
}

static void transfer_block(RoomBlock *b, RoomRole role) {
        sample_block_head(b, 5);
        b->prev[0] = 1;
        b->n_changes = 1;
        b->changes[0] = sample_change(ROOM_CHANGE_ROLE);
        b->changes[0].role = role;
}

TEST(only_the_owner_of_then_hands_a_room_over) {
        static RoomBlock x;
        Buffer b = sample_transfer_object();

        CHECK_OK(try_transfer(sample_bytes(&b), 1));
        CHECK_EQ(try_transfer(sample_bytes(&b), 3), -EBADMSG); /* certificate of another */
        b.data[buffer_size(&b) - 1] ^= 1;
        CHECK_EQ(try_transfer(sample_bytes(&b), 1), -EBADMSG);
        buffer_done(&b);

        transfer_block(&x, ROOM_ROLE_ADMIN);
        b = sample_block_object(&x);
        CHECK_EQ(try_transfer(sample_bytes(&b), 1), -EBADMSG);
        buffer_done(&b);

        transfer_block(&x, ROOM_ROLE_OWNER);
        memcpy(x.changes[0].account, sample_certificate(5).account, KEY_SIZE); /* to another one */
        b = sample_block_object(&x);
        CHECK_EQ(try_transfer(sample_bytes(&b), 1), -EBADMSG);
        buffer_done(&b);

        transfer_block(&x, ROOM_ROLE_OWNER);
        x.room[0] ^= 1;
        b = sample_block_object(&x);
        CHECK_EQ(try_transfer(sample_bytes(&b), 1), -EBADMSG);
        buffer_done(&b);

        transfer_block(&x, ROOM_ROLE_OWNER);
        x.epoch = 70001; /* later than the record */
        b = sample_block_object(&x);
        CHECK_EQ(try_transfer(sample_bytes(&b), 1), -EBADMSG);
        buffer_done(&b);

        transfer_block(&x, ROOM_ROLE_OWNER);
        x.sent = sample_certificate(1).expires;
        b = sample_block_object(&x);
        CHECK_EQ(try_transfer(sample_bytes(&b), 1), -EBADMSG);
        buffer_done(&b);
}

/* A block that holds in itself, of somebody who was not the owner then. */
TEST(nobody_makes_himself_the_owner) {
        static RoomBlock x;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Certificate c = sample_certificate(3);
        SignKey device = sample_key(4);

        transfer_block(&x, ROOM_ROLE_OWNER);
        memcpy(x.account, c.account, KEY_SIZE);
        memcpy(x.device, c.device, KEY_SIZE);
        CHECK_OK(room_block_encode(&b, &x, &device, NULL));
        CHECK_EQ(try_transfer(sample_bytes(&b), 3), -EBADMSG);
}

/* The new owner hands nothing over to himself again, nor does a block count twice. */
TEST(transfers_follow_each_other) {
        _cleanup_(buffer_done) Buffer block = sample_transfer_object(), out = BUFFER_NULL;
        _cleanup_(buffer_done) Buffer founder = sample_certificate_object(1);
        _cleanup_(buffer_done) Buffer owner = sample_certificate_object(3);
        RoomRecord x = sample_room_record(3, sample_bytes(&owner));
        SignKey device = sample_key(4);

        x.n_transfers = 2;
        for (size_t i = 0; i < 2; i++)
                x.transfers[i] = (RoomTransfer){sample_bytes(&block), sample_bytes(&founder)};
        CHECK_OK(room_record_encode(&out, &x, &device));
        CHECK_EQ(decode_record(&out), -EBADMSG);
        CHECK_OK(room_record_parse(sample_bytes(&out), &rec));
        x.n_transfers = ROOM_TRANSFERS_MAX + 1;
        CHECK_EQ(room_record_encode(&out, &x, &device), -EINVAL);
}

TEST(which_record_is_newer) {
        _cleanup_(buffer_done) Buffer certificate = sample_certificate_object(1);
        RoomRecord a = sample_room_record(1, sample_bytes(&certificate)), b = a;
        Bytes x = sample_text("x"), y = sample_text("y");

        CHECK_EQ(room_record_compare(&a, x, &b, x), 0);
        CHECK((room_record_compare(&a, x, &b, y) > 0) == (room_record_compare(&b, y, &a, x) < 0));
        b.seq++;
        CHECK(room_record_compare(&a, x, &b, y) < 0);
        a.head.epoch++;
        CHECK(room_record_compare(&a, x, &b, y) > 0);
        b.deleted = true;
        CHECK(room_record_compare(&a, x, &b, y) < 0);
        a.n_transfers = 1;
        CHECK(room_record_compare(&a, x, &b, y) > 0);
        CHECK(room_record_compare(&b, y, &a, x) < 0);
}

/* Notice */

static RoomNotice notice;

static int decode_notice(const Buffer *object) {
        return room_notice_decode(sample_bytes(object), &notice);
}

static int try_notice(Bytes body) {
        _cleanup_(buffer_done) Buffer b = sign_body(SIGN_ROOM_CONTROL, body, 2, 0);

        return decode_notice(&b);
}

TEST(room_notice) {
        _cleanup_(buffer_done) Buffer b = sample_notice_object(), again = BUFFER_NULL;
        RoomNotice want = sample_notice(sample_text("proof"), sample_text("certificate"));
        SignKey device = sample_key(2);
        Bytes body = signed_body(&b);
        MapPairs x = map_pairs(body);

        check_every_bit(&b, decode_notice);
        check_outer(&b, decode_notice, false);
        CHECK_OK(decode_notice(&b));
        CHECK_STR(notice.name, "tea");
        CHECK(notice.what == ROOM_NOTICE_NEWS && notice.n_members == 2 && notice.has_founder);
        CHECK(key_equal(notice.to, want.to) && key_equal(notice.account, want.account));
        CHECK(bytes_equal(notice.proof, want.proof));
        CHECK(bytes_equal(notice.proof_certificate, want.proof_certificate));
        CHECK_OK(room_notice_encode(&again, &notice, &device));
        CHECK(bytes_equal(sample_bytes(&again), sample_bytes(&b)));

        /* Founder and nonce come together, a certificate not without the proof. */
        check_map_values(&x, try_notice);
        check_map_length(body, try_notice);
        for (uint64_t key = 0; key < 10; key++)
                CHECK_EQ(map_try_with(body, key, (Bytes){}, try_notice), -EBADMSG);
        CHECK_EQ(map_try_with(body, 10, (Bytes){}, try_notice), -EBADMSG);
        CHECK_OK(map_try_with(body, 11, (Bytes){}, try_notice));
        CHECK_OK(map_try_with(body, 12, (Bytes){}, try_notice));
        CHECK_EQ(map_try_with(body, 13, (Bytes){}, try_notice), -EBADMSG);
        CHECK_EQ(map_try_with(body, 14, (Bytes){}, try_notice), -EBADMSG);
        CHECK_EQ(map_try_size(body, 14, ROOM_NONCE_SIZE, try_notice), -EBADMSG);
        check_map_list(body, 12, ROOM_NOTICE_MEMBERS_MAX, KEY_SIZE, try_notice);
        CHECK_EQ(map_try_with(body, 4, LITERAL("\x00"), try_notice), -EBADMSG);
        CHECK_EQ(map_try_with(body, 4, LITERAL("\x04"), try_notice), -EBADMSG);
        CHECK_EQ(map_try_with(body, 1, LITERAL("\x01"), try_notice), -EBADMSG);
        CHECK_OK(map_try_size(body, 10, ROOM_BLOCK_MAX, try_notice));
        CHECK_EQ(map_try_size(body, 10, ROOM_BLOCK_MAX + 1, try_notice), -EBADMSG);
}

TEST(a_short_notice) {
        RoomNotice x = sample_notice((Bytes){}, (Bytes){});
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        SignKey device = sample_key(2);

        x.n_members = 0;
        x.has_founder = false;
        CHECK_OK(room_notice_encode(&b, &x, &device));
        check_map(signed_body(&b), 0x7fff & ~(CBOR_BIT(11) | CBOR_BIT(13) | CBOR_BIT(14)), 0x3ff,
                try_notice);
        CHECK_OK(decode_notice(&b));
        CHECK(!notice.has_founder && notice.n_members == 0 && notice.proof.size == 0);
}

/* Entries and forks */

TEST(the_signature_of_an_entry_covers_its_place) {
        Inner m = sample_entry((Bytes){});
        const RoomPosition at = room_position(&m);
        uint8_t hash[SHA256_SIZE] = {1}, s[SIGNATURE_SIZE];
        SignKey device = sample_key(2), other = sample_key(4);
        const uint8_t *key = sign_key_public(&device);

        CHECK_OK(room_entry_sign(&device, &at, hash, s));
        CHECK_OK(room_entry_verify(key, &at, hash, s));
        CHECK_EQ(room_entry_verify(sign_key_public(&other), &at, hash, s), -EBADMSG);
        for (size_t i = 0; i < sizeof(at); i++) {
                RoomPosition x = at;

                ((uint8_t *)&x)[i] ^= 1;
                CHECK_EQ(room_entry_verify(key, &x, hash, s), -EBADMSG);
        }
        hash[31] ^= 1;
        CHECK_EQ(room_entry_verify(key, &at, hash, s), -EBADMSG);
        CHECK_EQ(entry_verify(key, hash, s), -EBADMSG); /* nor is it one of a message */
}

static RoomFork fork_;

static int decode_fork(const Buffer *object) {
        return room_fork_decode(sample_bytes(object), &fork_);
}

static int parse_fork(Bytes in) {
        return room_fork_parse(in, &fork_);
}

TEST(proof_of_a_fork) {
        _cleanup_(buffer_done) Buffer b = sample_fork_object(), again = BUFFER_NULL;
        Bytes in = sample_bytes(&b);

        CHECK_OK(decode_fork(&b));
        CHECK(fork_.at.seq == 300 && fork_.entry[0].hash[0] == 0x71);
        CHECK_OK(room_fork_encode(&again, &fork_));
        CHECK(bytes_equal(sample_bytes(&again), in));
        check_every_bit(&b, decode_fork);
        for (uint64_t key = 0; key < 70; key++)
                CHECK_EQ(map_try_with(in, key, key < 12 ? (Bytes){} : LITERAL("\x00"), parse_fork),
                        -EBADMSG);
        check_map_length(in, parse_fork);
        check_map_size(in, 8, 1, CERTIFICATE_MAX, parse_fork);
        CHECK_EQ(map_try_with(in, 5, LITERAL("\x00"), parse_fork), -EBADMSG);
        CHECK_EQ(map_try_with(in, 6, map_value(in, 9), parse_fork), -EBADMSG); /* no fork at all */
        CHECK_EQ(map_try_size(in, 9, SHA256_SIZE, parse_fork), -EBADMSG); /* out of order */
}

TEST(the_order_of_the_two_does_not_matter) {
        _cleanup_(buffer_done) Buffer certificate = sample_certificate_object(1);
        RoomFork f = sample_fork(sample_bytes(&certificate)), g = f;
        _cleanup_(buffer_done) Buffer a = BUFFER_NULL, b = BUFFER_NULL;

        g.entry[0] = f.entry[1];
        g.entry[1] = f.entry[0];
        CHECK_OK(room_fork_encode(&a, &f));
        CHECK_OK(room_fork_encode(&b, &g));
        CHECK(bytes_equal(sample_bytes(&a), sample_bytes(&b)));
        f.entry[1] = f.entry[0];
        buffer_clear(&a);
        CHECK_EQ(room_fork_encode(&a, &f), -EINVAL);
        CHECK_EQ(buffer_size(&a), 0);
}

/* Signed again by EPOCH of the account of key N, whose device is key D. */
static int try_fork_by(uint8_t n, uint8_t d, uint64_t epoch) {
        _cleanup_(buffer_done) Buffer certificate = BUFFER_NULL, b = BUFFER_NULL;
        SignKey account = sample_key(n), device = sample_key(d);
        Certificate c = sample_certificate(n);
        RoomFork f;

        c.epoch = epoch;
        memcpy(c.device, sign_key_public(&device), KEY_SIZE);
        CHECK_OK(certificate_encode(&c, &account, &device, &certificate));
        f = sample_fork(sample_bytes(&certificate));
        f.at.epoch = 2;
        for (size_t i = 0; i < 2; i++)
                CHECK_OK(room_entry_sign(&device, &f.at, f.entry[i].hash, f.entry[i].signature));
        CHECK_OK(room_fork_encode(&b, &f));
        return decode_fork(&b);
}

TEST(a_fork_is_proved_by_the_author_alone) {
        CHECK_OK(try_fork_by(1, 2, 2));
        CHECK_OK(try_fork_by(1, 7, 3)); /* handed over to a newer device */
        CHECK_EQ(try_fork_by(1, 7, 2), -EBADMSG);
        CHECK_EQ(try_fork_by(1, 2, 1), -EBADMSG);
        CHECK_EQ(try_fork_by(3, 2, 2), -EBADMSG);
}

/* Tags and digests */

TEST(tags_and_digests) {
        uint8_t in[72] = {1}, hash[SHA256_SIZE], tag[ROOM_TAG_SIZE], got[SHA256_SIZE];
        static const uint8_t account[KEY_SIZE] = {1}, device[KEY_SIZE] = {[31] = 2};

        in[38] = 1; /* epoch 300 */
        in[39] = 44;
        in[71] = 2;
        sha256(in, sizeof(in), hash);
        room_feed_tag(account, 300, device, tag);
        CHECK(memcmp(tag, hash, ROOM_TAG_SIZE) == 0);

        memset(in, 0, sizeof(in));
        memcpy(in, tag, ROOM_TAG_SIZE);
        in[15] = 5;
        in[16] = 6;
        sha256(in, 48, hash);
        room_feed_hash(tag, 5, (const uint8_t[SHA256_SIZE]){6}, got);
        CHECK(memcmp(got, hash, SHA256_SIZE) == 0);
}

TEST(a_digest_is_of_a_set) {
        uint8_t d[ROOM_DIGEST_SIZE] = {}, e[ROOM_DIGEST_SIZE] = {}, item[4][SHA256_SIZE];

        for (uint8_t i = 0; i < 4; i++)
                sha256(&i, 1, item[i]);
        memset(item[3], 0xff, SHA256_SIZE);
        for (size_t i = 0; i < 4; i++)
                room_digest_add(d, item[i]);
        for (size_t i = 4; i-- > 0;)
                room_digest_add(e, item[i]);
        CHECK(memcmp(d, e, sizeof(d)) == 0);
        room_digest_remove(d, item[1]);
        CHECK(memcmp(d, e, sizeof(d)) != 0);
        room_digest_remove(d, item[3]);
        room_digest_remove(d, item[0]);
        CHECK(memcmp(d, item[2], sizeof(d)) == 0);
        room_digest_remove(d, item[2]);
        CHECK(bytes_are_zero(d, sizeof(d)));
        room_digest_remove(d, (const uint8_t[SHA256_SIZE]){[31] = 1});
        CHECK(memcmp(d, item[3], sizeof(d)) == 0); /* -1 */
        room_digest_add(d, (const uint8_t[SHA256_SIZE]){[31] = 1});
        CHECK(bytes_are_zero(d, sizeof(d)));
}
