/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "room-sample.h"
#include "signed-cases.h"

static RoomBlock got;

static int decode_block(const Buffer *object) {
        return room_block_decode(sample_bytes(object), &got);
}

static int decode_proposal(const Buffer *object) {
        RoomProposal p;

        return room_proposal_decode(sample_bytes(object), &p);
}

/* Signed as it is by the device of the sample. */
static int try_block(Bytes body) {
        _cleanup_(buffer_done) Buffer b = sign_body(SIGN_ROOM_CONTROL, body, 2, 0);

        return decode_block(&b);
}

static int try_proposal(Bytes body) {
        _cleanup_(buffer_done) Buffer b = sign_body(SIGN_ROOM_CONTROL, body, 4, 0);

        return decode_proposal(&b);
}

static int encode_block(const RoomBlock *b) {
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
        SignKey device = sample_key(2);
        int r;

        r = room_block_encode(&out, b, &device, NULL);
        CHECK(r >= 0 || buffer_size(&out) == 0);
        return r;
}

TEST(a_room_is_called_by_founder_and_nonce) {
        static const uint8_t founder[KEY_SIZE] = {1}, nonce[ROOM_NONCE_SIZE] = {2};
        uint8_t in[15 + KEY_SIZE + ROOM_NONCE_SIZE] = "p2pchat/1 room", want[SHA256_SIZE], id[32];

        in[15] = 1;
        in[15 + KEY_SIZE] = 2;
        sha256(in, sizeof(in), want);
        room_id(founder, nonce, id);
        CHECK(memcmp(id, want, SHA256_SIZE) == 0);
}

TEST(topics_are_one_line) {
        char longest[ROOM_TOPIC_MAX + 1];
        const struct {
                Bytes text;
                bool valid;
        } cases[] = {{{}, true}, {sample_text("no coffee ☕"), true},
                {sample_text("two\nlines"), false}, {LITERAL("\0"), false},
                {sample_text("\x7f"), false}, {sample_text("\xc2\x80"), false},
                {sample_text("\xc2\x9f"), false}, {sample_text("\xc2\xa0"), true},
                {sample_text("\xff"), false}, {{(uint8_t *)longest, ROOM_TOPIC_MAX}, true},
                {{(uint8_t *)longest, ROOM_TOPIC_MAX + 1}, false}};

        memset(longest, 'x', sizeof(longest));
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                CHECK_EQ(room_topic_is_valid(cases[i].text), cases[i].valid);
}

TEST(names_of_what_is_in_a_room) {
        CHECK_STR(room_role_name(ROOM_ROLE_OWNER), "owner");
        CHECK_STR(room_role_name((RoomRole)99), "none");
        CHECK_STR(room_access_name(ROOM_ACCESS_HIDDEN), "hidden");
        CHECK_STR(room_access_name((RoomAccess)99), "none");
        CHECK_STR(room_history_name(ROOM_HISTORY_JOINED), "joined");
        CHECK_STR(room_history_name((RoomHistory)99), "none");
}

TEST(control_head) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        const RoomHead h = {.epoch = 300, .hash = {[31] = 7}};
        RoomHead back;

        CHECK_OK(room_head_encode(&b, &h));
        CHECK(buffer_size(&b) <= ROOM_HEAD_MAX);
        CHECK_OK(room_head_decode(sample_bytes(&b), &back));
        CHECK(back.epoch == 300 && memcmp(back.hash, h.hash, SHA256_SIZE) == 0);
        check_uint(sample_bytes(&b), 0, 300);
        check_bytes(sample_bytes(&b), 1, h.hash, SHA256_SIZE);
        for (size_t n = 0; n < buffer_size(&b); n++)
                CHECK(room_head_decode((Bytes){b.data, n}, &back) < 0);
        buffer_clear(&b);
        CHECK_OK(room_head_encode(&b, &(RoomHead){}));
        CHECK_EQ(room_head_decode(sample_bytes(&b), &back), -EBADMSG); /* no entry is before it */
        buffer_clear(&b);
        CHECK_OK(room_head_encode(&b, &(RoomHead){.epoch = 1}));
        CHECK_EQ(room_head_decode(sample_bytes(&b), &back), -EBADMSG);
}

static void check_change(const RoomChange *a, const RoomChange *b) {
        CHECK_EQ(a->type, b->type);
        CHECK(bytes_equal(a->text, b->text));
        CHECK_EQ(a->role, b->role);
        CHECK_EQ(a->n_heads, b->n_heads);
        for (size_t i = 0; i < a->n_heads; i++)
                CHECK(a->heads[i].epoch == b->heads[i].epoch &&
                        a->heads[i].seq == b->heads[i].seq &&
                        key_equal(a->heads[i].device, b->heads[i].device) &&
                        memcmp(a->heads[i].hash, b->heads[i].hash, SHA256_SIZE) == 0);
        CHECK(a->access == b->access && a->history == b->history);
        CHECK(memcmp(a->nonce, b->nonce, ROOM_NONCE_SIZE) == 0);
}

TEST(block) {
        const RoomBlock *want = sample_block();
        _cleanup_(buffer_done) Buffer b = sample_block_object(want), again = BUFFER_NULL;
        uint8_t hash[SHA256_SIZE], own[SHA256_SIZE];
        SignKey device = sample_key(2);
        Bytes body = signed_body(&b);

        check_map(body, 0x3fff, 0x7ff, try_block);
        check_every_bit(&b, decode_block);
        check_outer(&b, decode_block, false);
        check_uint(body, 0, 1);
        check_uint(body, 1, 1);
        check_bytes(body, 2, want->room, ROOM_ID_SIZE);
        check_uint(body, 3, 2);
        check_uint(body, 4, 70000);
        check_bytes(body, 5, want->prev, SHA256_SIZE);
        check_bytes(body, 6, want->account, KEY_SIZE);
        check_uint(body, 7, 1);
        check_bytes(body, 8, want->device, KEY_SIZE);
        check_uint(body, 9, want->hlc);
        check_uint(body, 10, want->sent);
        check_bytes(body, 13, want->commitment, SHA256_SIZE);

        CHECK_OK(decode_block(&b));
        sha256(body.data, body.size, hash);
        CHECK(memcmp(got.hash, hash, SHA256_SIZE) == 0);
        CHECK(got.term == want->term && got.epoch == want->epoch && got.has_commitment);
        CHECK(key_equal(got.account, want->account) && key_equal(got.device, want->device));
        CHECK_EQ(got.n_changes, _ROOM_CHANGE_MAX - ROOM_CHANGE_ADD);
        for (size_t i = 0; i < got.n_changes; i++) {
                check_change(&got.changes[i], &want->changes[i]);
                if (got.changes[i].type != ROOM_CHANGE_TOPIC &&
                        got.changes[i].type != ROOM_CHANGE_DELETE)
                        CHECK(key_equal(got.changes[i].account, want->changes[i].account));
        }
        CHECK_EQ(got.n_settled, 2);
        CHECK(memcmp(got.settled, want->settled, 2 * sizeof(want->settled[0])) == 0);
        CHECK_OK(room_block_encode(&again, &got, &device, own));
        CHECK(bytes_equal(sample_bytes(&again), sample_bytes(&b)));
        CHECK(memcmp(own, hash, SHA256_SIZE) == 0);
        check_map_list(body, 12, 1, SHA256_SIZE, try_block);
}

/* A signature of another device, or for another purpose, is none. */
TEST(a_block_is_signed_by_the_device_it_names) {
        _cleanup_(buffer_done) Buffer b = sample_block_object(sample_block());
        _cleanup_(buffer_done) Buffer other = sign_body(SIGN_ROOM_CONTROL, signed_body(&b), 3, 0);
        _cleanup_(buffer_done) Buffer purpose = sign_body(SIGN_MESSAGE, signed_body(&b), 2, 0);
        _cleanup_(buffer_done) Buffer twice = sign_body(SIGN_ROOM_CONTROL, signed_body(&b), 2, 3);

        CHECK_EQ(decode_block(&other), -EBADMSG);
        CHECK_EQ(decode_block(&purpose), -EBADMSG);
        CHECK_EQ(decode_block(&twice), -EBADMSG);
        CHECK_OK(room_block_parse(sample_bytes(&other), &got)); /* form only */
        for (size_t i = 0; i < ELEMENTSOF(SMALL_ORDER_KEYS); i++) {
                RoomBlock *x = sample_block();
                _cleanup_(buffer_done) Buffer o = BUFFER_NULL, constant = BUFFER_NULL;

                memcpy(x->device, SMALL_ORDER_KEYS[i], KEY_SIZE);
                o = sample_block_object(x);
                constant = with_constant_signature(&o, 1);
                CHECK_EQ(decode_block(&constant), -EKEYREJECTED);
        }
}

TEST(genesis) {
        _cleanup_(buffer_done) Buffer b = sample_block_object(sample_genesis());
        Bytes body = signed_body(&b);
        RoomBlock *x;

        check_map(body, 0x3fff, 0x7ff | CBOR_BIT(11) | CBOR_BIT(13), try_block);
        CHECK_OK(decode_block(&b));
        CHECK_EQ(got.changes[0].access, ROOM_ACCESS_PRIVATE);

        x = sample_genesis();
        x->term = 2;
        CHECK_EQ(encode_block(x), -EINVAL);
        x = sample_genesis();
        x->has_commitment = false;
        CHECK_EQ(encode_block(x), -EINVAL);
        x = sample_genesis();
        x->n_settled = 1;
        CHECK_EQ(encode_block(x), -EINVAL);
        x = sample_genesis();
        x->prev[31] = 1;
        CHECK_EQ(encode_block(x), -EINVAL);
        x = sample_genesis();
        x->changes[0] = x->changes[1];
        CHECK_EQ(encode_block(x), -EINVAL);
        x = sample_genesis();
        x->changes[1] = x->changes[0];
        CHECK_EQ(encode_block(x), -EINVAL);
        x = sample_genesis();
        x->room[0] ^= 1; /* of another founder or nonce */
        CHECK_EQ(encode_block(x), -EINVAL);
        CHECK_EQ(map_try_size(body, 2, 32, try_block), -EBADMSG);
        CHECK_EQ(map_try_size(body, 6, 32, try_block), -EBADMSG);
}

TEST(what_no_block_has) {
        RoomBlock *x = sample_block();

        x->epoch = 1;
        CHECK_EQ(encode_block(x), -EINVAL);
        x->epoch = 0;
        CHECK_EQ(encode_block(x), -EINVAL);
        x->epoch = ROOM_COUNT_MAX + 1;
        CHECK_EQ(encode_block(x), -EINVAL);
        x = sample_block();
        x->term = 0;
        CHECK_EQ(encode_block(x), -EINVAL);
        x = sample_block();
        memset(x->prev, 0, SHA256_SIZE);
        CHECK_EQ(encode_block(x), -EINVAL);
        x = sample_block();
        x->sent = MESSAGE_TIME_MAX + 1;
        CHECK_EQ(encode_block(x), -EINVAL);
        x = sample_block();
        memcpy(x->settled[1], x->settled[0], SHA256_SIZE);
        CHECK_EQ(encode_block(x), -EINVAL);
        x = sample_block();
        x->changes[2] = sample_change(ROOM_CHANGE_CREATE);
        CHECK_EQ(encode_block(x), -EINVAL);
        x = sample_block();
        x->changes[2].type = _ROOM_CHANGE_MAX;
        CHECK_EQ(encode_block(x), -EINVAL);
        x = sample_block();
        x->n_changes = ROOM_CHANGES_MAX + 1;
        CHECK_EQ(encode_block(x), -EINVAL);
        x = sample_block();
        x->n_settled = ROOM_SETTLED_MAX + 1;
        CHECK_EQ(encode_block(x), -EINVAL);
}

/* As many changes as a block may have go into it, unless they are large ones. */
TEST(full_blocks) {
        RoomBlock *x = sample_block();
        Buffer b;

        x->n_changes = ROOM_CHANGES_MAX;
        for (size_t i = 0; i < x->n_changes; i++)
                x->changes[i] = sample_change(ROOM_CHANGE_INVITE);
        x->n_settled = ROOM_SETTLED_MAX;
        for (size_t i = 0; i < x->n_settled; i++)
                x->settled[i][0] = (uint8_t)i;
        b = sample_block_object(x);
        CHECK_OK(decode_block(&b));
        CHECK(got.n_changes == ROOM_CHANGES_MAX && got.n_settled == ROOM_SETTLED_MAX);
        buffer_done(&b);
        for (size_t i = 0; i < x->n_changes; i++) {
                x->changes[i] = sample_change(ROOM_CHANGE_ADD);
                x->changes[i].n_heads = ROOM_HEADS_MAX;
                for (size_t k = 0; k < ROOM_HEADS_MAX; k++)
                        x->changes[i].heads[k] = (FeedHead){.epoch = k, .seq = 1};
        }
        CHECK_EQ(encode_block(x), -EMSGSIZE);
        x->n_changes = 32;
        CHECK_OK(encode_block(x));
}

/* A change as the only one of a proposal, given as the bytes of its map. */
static int try_change(Bytes change) {
        _cleanup_(buffer_done) Buffer b = sample_proposal_object(ROOM_CHANGE_TOPIC);

        return map_try_with(signed_body(&b), 9, change, try_proposal);
}

static const uint64_t CHANGE_KEYS[_ROOM_CHANGE_MAX][2] = {
        /* known, required */
        [ROOM_CHANGE_ADD] = {0x1b, 0x3},
        [ROOM_CHANGE_REMOVE] = {0x13, 0x3},
        [ROOM_CHANGE_ROLE] = {0x7, 0x7},
        [ROOM_CHANGE_TOPIC] = {0x9, 0x1},
        [ROOM_CHANGE_INVITE] = {0x3, 0x3},
        [ROOM_CHANGE_LEAVE] = {0x13, 0x3},
};

/* What may be proposed. */
static const RoomChangeType PROPOSED[] = {ROOM_CHANGE_ADD, ROOM_CHANGE_REMOVE, ROOM_CHANGE_ROLE,
        ROOM_CHANGE_TOPIC, ROOM_CHANGE_INVITE, ROOM_CHANGE_LEAVE};

TEST(a_change_has_the_fields_of_its_type) {
        for (size_t k = 0; k < ELEMENTSOF(PROPOSED); k++) {
                RoomChangeType t = PROPOSED[k];
                _cleanup_(buffer_done) Buffer b = sample_proposal_object(t);

                check_map(map_value(signed_body(&b), 9), CHANGE_KEYS[t][0], CHANGE_KEYS[t][1],
                        try_change);
        }
}

TEST(a_change_has_nothing_of_another_type) {
        const struct {
                uint64_t key;
                Bytes value;
        } others[] = {{1,
                              LITERAL("\x58\x20"
                                      "01234567890123456789012345678901")},
                {2, LITERAL("\x01")}, {3, LITERAL("\x63tea")},
                {5,
                        LITERAL("\x50"
                                "0123456789012345")},
                {6, LITERAL("\x01")}, {7, LITERAL("\x01")}};

        for (size_t k = 0; k < ELEMENTSOF(PROPOSED); k++) {
                RoomChangeType t = PROPOSED[k];
                _cleanup_(buffer_done) Buffer b = sample_proposal_object(t);
                Bytes change = map_value(signed_body(&b), 9);

                for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                        bool known = CHANGE_KEYS[t][0] & CBOR_BIT(others[i].key);

                        CHECK_EQ(map_try_with(change, others[i].key, others[i].value, try_change),
                                known ? 0 : -EBADMSG);
                }
        }
}

static int encode_change(const RoomChange *c) {
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
        RoomProposal p = sample_proposal(c->type);
        SignKey device = sample_key(4);

        p.change = *c;
        return room_proposal_encode(&out, &p, &device, NULL);
}

TEST(values_of_a_change) {
        RoomChange c = sample_change(ROOM_CHANGE_ADD);
        RoomBlock *x;

        c.text = sample_text("Bob");
        CHECK_EQ(encode_change(&c), -EINVAL);
        c.text = (Bytes){};
        CHECK_OK(encode_change(&c));
        c.heads[1] = c.heads[0];
        CHECK_EQ(encode_change(&c), -EINVAL);
        c.heads[1].epoch++;
        CHECK_OK(encode_change(&c));
        c.heads[1].seq = 0;
        CHECK_EQ(encode_change(&c), -EINVAL);
        c.heads[1].seq = SEQ_MAX + 1;
        CHECK_EQ(encode_change(&c), -EINVAL);
        c.n_heads = ROOM_HEADS_MAX + 1;
        CHECK_EQ(encode_change(&c), -EINVAL);
        c = sample_change(ROOM_CHANGE_ROLE);
        c.role = ROOM_ROLE_NONE;
        CHECK_EQ(encode_change(&c), -EINVAL);
        c.role = _ROOM_ROLE_MAX;
        CHECK_EQ(encode_change(&c), -EINVAL);
        c = sample_change(ROOM_CHANGE_TOPIC);
        c.text = sample_text("two\nlines");
        CHECK_EQ(encode_change(&c), -EINVAL);
        c.text = (Bytes){};
        CHECK_OK(encode_change(&c));
        CHECK_EQ(try_change(LITERAL("\xa2\x00\x05\x03\x61\n")), -EBADMSG);
        CHECK_EQ(try_change(LITERAL("\xa2\x00\x05\x03\x60")), -EBADMSG);
        CHECK_OK(try_change(LITERAL("\xa1\x00\x05")));

        x = sample_genesis();
        x->changes[0].text = (Bytes){};
        CHECK_EQ(encode_block(x), -EINVAL);
        x = sample_genesis();
        x->changes[0].access = ROOM_ACCESS_NONE;
        CHECK_EQ(encode_block(x), -EINVAL);
        x = sample_genesis();
        x->changes[0].history = _ROOM_HISTORY_MAX;
        CHECK_EQ(encode_block(x), -EINVAL);
}

TEST(proposal) {
        for (size_t k = 0; k < ELEMENTSOF(PROPOSED); k++) {
                RoomChangeType t = PROPOSED[k];
                _cleanup_(buffer_done) Buffer b = sample_proposal_object(t), again = BUFFER_NULL;
                RoomProposal want = sample_proposal(t), p;
                uint8_t hash[SHA256_SIZE], own[SHA256_SIZE];
                SignKey device = sample_key(4);
                Bytes body = signed_body(&b);

                check_map(body, 0x3ff, 0x3ff, try_proposal);
                check_every_bit(&b, decode_proposal);
                check_outer(&b, decode_proposal, false);
                check_uint(body, 0, 1);
                check_uint(body, 1, 2);
                check_bytes(body, 2, want.room, ROOM_ID_SIZE);
                check_bytes(map_value(body, 3), 1, want.head.hash, SHA256_SIZE);
                check_bytes(body, 4, want.account, KEY_SIZE);
                check_uint(body, 5, 1);
                check_bytes(body, 6, want.device, KEY_SIZE);
                check_uint(body, 7, want.hlc);
                check_uint(body, 8, want.sent);
                CHECK_OK(room_proposal_decode(sample_bytes(&b), &p));
                sha256(body.data, body.size, hash);
                CHECK(memcmp(p.hash, hash, SHA256_SIZE) == 0);
                check_change(&p.change, &want.change);
                CHECK_EQ(p.head.epoch, 70000);
                CHECK_OK(room_proposal_encode(&again, &p, &device, own));
                CHECK(bytes_equal(sample_bytes(&again), sample_bytes(&b)));
                CHECK(memcmp(own, hash, SHA256_SIZE) == 0);
        }
}

TEST(what_no_proposal_has) {
        static const RoomChangeType types[] = {
                ROOM_CHANGE_CREATE, ROOM_CHANGE_DELETE, ROOM_CHANGE_OFFER};
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
        RoomProposal p = sample_proposal(ROOM_CHANGE_INVITE);
        SignKey device = sample_key(4);

        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                RoomChange c = sample_change(types[i]);

                CHECK_EQ(encode_change(&c), -EINVAL);
        }
        CHECK_EQ(try_change(LITERAL("\xa1\x00\x07")), -EBADMSG);
        p.head.epoch = 0;
        CHECK_EQ(room_proposal_encode(&out, &p, &device, NULL), -EINVAL);
        p = sample_proposal(ROOM_CHANGE_INVITE);
        p.sent = MESSAGE_TIME_MAX + 1;
        CHECK_EQ(room_proposal_encode(&out, &p, &device, NULL), -EINVAL);
        CHECK_EQ(buffer_size(&out), 0);
}

/* What one kind signs does not pass for another. */
TEST(kinds_are_kept_apart) {
        _cleanup_(buffer_done) Buffer b = sample_block_object(sample_block());
        _cleanup_(buffer_done) Buffer p = sample_proposal_object(ROOM_CHANGE_ADD);

        CHECK_EQ(decode_proposal(&b), -EBADMSG);
        CHECK_EQ(decode_block(&p), -EBADMSG);
        CHECK_EQ(map_try_with(signed_body(&b), 1, LITERAL("\x02"), try_block), -EBADMSG);
        CHECK_EQ(map_try_with(signed_body(&p), 1, LITERAL("\x01"), try_proposal), -EBADMSG);
        CHECK_EQ(map_try_with(signed_body(&b), 0, LITERAL("\x02"), try_block), -EBADMSG);
}

TEST(objects_have_an_end) {
        _cleanup_(buffer_done) Buffer p = sample_proposal_object(ROOM_CHANGE_INVITE);

        check_object_max(&p, SIGN_ROOM_CONTROL, 4, 0, ROOM_PROPOSAL_MAX, decode_proposal);
}

TEST(a_certificate_says_who_has_signed) {
        Certificate c = sample_certificate(1), other = sample_certificate(3);
        uint64_t t = SAMPLE_TIME;

        CHECK(room_author_is_certified(&c, c.account, 1, c.device, t));
        CHECK(room_author_is_certified(&c, c.account, 1, c.device, 0)); /* renewed since */
        CHECK(!room_author_is_certified(&c, c.account, 1, c.device, c.expires));
        CHECK(!room_author_is_certified(&c, c.account, 2, c.device, t));
        CHECK(!room_author_is_certified(&c, other.account, 1, c.device, t));
        CHECK(!room_author_is_certified(&c, c.account, 1, other.device, t));
}
