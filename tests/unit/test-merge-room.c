/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rooms as a directory joins them: in whatever order their records come, replicas end up with the
 * same. */

#include "test.h"

#include "ring/merge.h"

#define NOW (UINT64_C(1800000000) * USEC_PER_SEC)
#define NOW_MS (NOW / USEC_PER_MSEC)
#define CHAIN_MAX 3

typedef struct Someone {
        SignKey account, device;
        Buffer certificate;
} Someone;

/* Founded by the first of them. */
typedef struct Made {
        Bytes blob;
        unsigned n_owners; /* by the last of `owners` */
        unsigned owners[CHAIN_MAX];
        uint64_t epochs[CHAIN_MAX]; /* when they became it */
        uint64_t seq, expires;
        bool deleted;
        const char *name;
        uint8_t nonce;
} Made;

static Someone people[3];

static void people_new(void) {
        CHECK_OK(crypto_init());
        for (size_t i = 0; i < ELEMENTSOF(people); i++) {
                Someone *p = &people[i];
                Certificate c = {.epoch = 1, .issued = NOW - 1000, .expires = NOW + USEC_PER_DAY};

                sign_key_generate(&p->account);
                sign_key_generate(&p->device);
                memcpy(c.account, sign_key_public(&p->account), KEY_SIZE);
                memcpy(c.device, sign_key_public(&p->device), KEY_SIZE);
                CHECK_OK(certificate_encode(&c, &p->account, &p->device, &p->certificate));
        }
}

static void people_free(void) {
        for (size_t i = 0; i < ELEMENTSOF(people); i++)
                buffer_done(&people[i].certificate);
}

static Buffer make_block(const Made *m, const RoomRecord *rec, unsigned i) {
        const Someone *from = &people[i == 0 ? 0 : m->owners[i - 1]];
        const Someone *to = &people[m->owners[i]];
        RoomBlock *b = calloc(1, sizeof(*b));
        Buffer out = BUFFER_NULL;

        CHECK(b);
        memcpy(b->room, rec->room, ROOM_ID_SIZE);
        b->term = 1;
        b->epoch = m->epochs[i];
        b->prev[0] = 7;
        memcpy(b->account, sign_key_public(&from->account), KEY_SIZE);
        b->device_epoch = 1;
        memcpy(b->device, sign_key_public(&from->device), KEY_SIZE);
        b->hlc = b->sent = NOW;
        b->changes[0] = (RoomChange){.type = ROOM_CHANGE_ROLE, .role = ROOM_ROLE_OWNER};
        memcpy(b->changes[0].account, sign_key_public(&to->account), KEY_SIZE);
        b->n_changes = 1;
        b->settled[0][0] = 1;
        b->n_settled = 1;
        CHECK_OK(room_block_encode(&out, b, &from->device, NULL));
        free(b);
        return out;
}

static void make(Made *m) {
        const Someone *owner = &people[m->n_owners > 0 ? m->owners[m->n_owners - 1] : 0];
        Buffer blocks[CHAIN_MAX] = {}, out = BUFFER_NULL;
        RoomRecord rec = {.access = ROOM_ACCESS_OPEN,
                .head = {.epoch = 100, .hash = {1}},
                .seq = m->seq,
                .issued = NOW - 1000,
                .expires = m->expires,
                .deleted = m->deleted,
                .n_transfers = m->n_owners};

        memcpy(rec.founder, sign_key_public(&people[0].account), KEY_SIZE);
        rec.nonce[0] = m->nonce;
        room_id(rec.founder, rec.nonce, rec.room);
        snprintf(rec.name, sizeof(rec.name), "%s", m->name);
        memcpy(rec.owner, sign_key_public(&owner->account), KEY_SIZE);
        rec.certificate = buffer_bytes(&owner->certificate);
        for (unsigned i = 0; i < m->n_owners; i++) {
                const Someone *from = &people[i == 0 ? 0 : m->owners[i - 1]];

                blocks[i] = make_block(m, &rec, i);
                rec.transfers[i] =
                        (RoomTransfer){buffer_bytes(&blocks[i]), buffer_bytes(&from->certificate)};
        }
        CHECK_OK(room_record_encode(&out, &rec, &owner->device));
        CHECK_OK(room_record_decode(buffer_bytes(&out), &rec));
        m->blob = (Bytes){buffer_data(&out), buffer_size(&out)};
        for (unsigned i = 0; i < m->n_owners; i++)
                buffer_done(&blocks[i]);
}

static void drop(Made *made, size_t n) {
        for (size_t i = 0; i < n; i++)
                free((void *)made[i].blob.data);
}

static MergeResult merged(MergeFn fn, const Made *old, const Made *new) {
        MergeResult result;

        CHECK_OK(fn(old ? old->blob : (Bytes){}, new->blob, NOW, &result));
        return result;
}

/* From what must lose against all behind it to what wins. */
static Made in_order[] = {
        {.seq = NOW_MS + 9, .expires = NOW, .deleted = true}, /* has expired */
        {.seq = NOW_MS, .expires = NOW + 10},
        {.seq = NOW_MS + 1, .expires = NOW + 9},
        {.seq = NOW_MS, .expires = NOW + 10, .deleted = true},
        {.seq = NOW_MS, .expires = NOW + 10, .n_owners = 1, .owners = {2}, .epochs = {90}},
        {.seq = NOW_MS,
                .expires = NOW + 10,
                .n_owners = 3, /* what she gives away once more, however long the story */
                .owners = {2, 1, 2},
                .epochs = {50, 51, 52}},
        {.seq = 1, .expires = NOW + 10, .n_owners = 1, .owners = {1}, .epochs = {5}},
        {.seq = 2, .expires = NOW + 10, .n_owners = 1, .owners = {1}, .epochs = {5}},
        {.seq = 1,
                .expires = NOW + 10,
                .n_owners = 1,
                .owners = {1},
                .epochs = {5},
                .deleted = true},
        {.seq = 1, .expires = NOW + 10, .n_owners = 2, .owners = {1, 0}, .epochs = {5, 9}},
        {.seq = 1,
                .expires = NOW + 10,
                .n_owners = 2,
                .owners = {1, 2},
                .epochs = {5, 7},
                .deleted = true},
};

TEST(records_of_a_room_have_one_order) {
        size_t n = ELEMENTSOF(in_order);

        people_new();
        for (size_t i = 0; i < n; i++) {
                in_order[i].name = "garden";
                make(&in_order[i]);
        }
        for (size_t i = 0; i < n; i++) {
                CHECK_EQ(merged(merge_room, NULL, &in_order[i]), MERGE_STORED);
                CHECK_EQ(merged(merge_room, &in_order[i], &in_order[i]), MERGE_SAME);
                for (size_t k = 0; k < i; k++) {
                        CHECK_EQ(merged(merge_room, &in_order[k], &in_order[i]), MERGE_STORED);
                        CHECK_EQ(merged(merge_room, &in_order[i], &in_order[k]), MERGE_STALE);
                }
        }
        drop(in_order, n);
        people_free();
}

/* Histories of owners at random, forged ones among them as far as anybody can forge. */
TEST(in_whatever_order_they_come_the_same_is_left) {
        enum { N = 24, ROUNDS = 200 };
        Made made[N];
        Bytes left = {};

        people_new();
        srandom(7);
        for (unsigned i = 0; i < N; i++) {
                Made *m = &made[i];

                *m = (Made){.name = "garden",
                        .n_owners = (unsigned)random() % (CHAIN_MAX + 1),
                        .seq = NOW_MS - (uint64_t)random() % 3,
                        .expires = NOW + (uint64_t)random() % 3,
                        .deleted = random() % 3 == 0};
                for (unsigned k = 0; k < m->n_owners; k++) {
                        m->owners[k] = (unsigned)random() % 3;
                        m->epochs[k] = (k > 0 ? m->epochs[k - 1] : 1) + 1 + (uint64_t)random() % 3;
                }
                make(m);
        }
        for (int round = 0; round < ROUNDS; round++) {
                Bytes held = {};

                for (unsigned i = N - 1; i > 0; i--) {
                        unsigned k = (unsigned)random() % (i + 1);
                        Made m = made[i];

                        made[i] = made[k];
                        made[k] = m;
                }
                for (unsigned i = 0; i < N; i++) {
                        MergeResult result;

                        CHECK_OK(merge_room(held, made[i].blob, NOW, &result));
                        if (result == MERGE_STORED)
                                held = made[i].blob;
                }
                if (round == 0)
                        left = held;
                CHECK(bytes_equal(left, held));
        }
        drop(made, N);
        people_free();
}

TEST(a_name_goes_to_the_room_that_comes_first) {
        Made rooms[] = {
                {.seq = NOW_MS, .expires = NOW + 10},
                {.seq = NOW_MS + 1, .expires = NOW + 10},
                {.seq = NOW_MS + 2, .expires = NOW + 10, .deleted = true},
                {.seq = NOW_MS, .expires = NOW},
                {.seq = NOW_MS + 9, .expires = NOW + 99, .nonce = 1},
        };
        size_t n = ELEMENTSOF(rooms);
        const Made *first = &rooms[0], *newer = &rooms[1], *deleted = &rooms[2],
                   *expired = &rooms[3], *other = &rooms[4];

        people_new();
        for (size_t i = 0; i < n; i++) {
                rooms[i].name = "garden";
                make(&rooms[i]);
        }
        CHECK_EQ(merged(merge_roomname, NULL, first), MERGE_STORED);
        CHECK_EQ(merged(merge_roomname, first, other), MERGE_STALE);
        CHECK_EQ(merged(merge_roomname, first, newer), MERGE_STORED);
        CHECK_EQ(merged(merge_roomname, newer, first), MERGE_SAME);
        CHECK_EQ(merged(merge_roomname, newer, deleted), MERGE_STORED);
        CHECK_EQ(merged(merge_roomname, deleted, other), MERGE_STORED);
        CHECK_EQ(merged(merge_roomname, expired, other), MERGE_STORED);
        drop(rooms, n);
        people_free();
}

TEST(two_rooms_do_not_join_and_rubbish_is_told) {
        Made a = {.seq = NOW_MS, .expires = NOW + 10, .name = "a"};
        Made b = {.seq = NOW_MS, .expires = NOW + 10, .name = "a", .nonce = 1};
        Made ahead = {.seq = NOW_MS + USEC_PER_DAY / 1000 + 1, .expires = NOW + 10, .name = "a"};
        Bytes rubbish = {.data = (const uint8_t *)"rubbish", .size = 7};
        MergeResult result;

        people_new();
        make(&a);
        make(&b);
        make(&ahead);
        CHECK_EQ(merge_room(a.blob, b.blob, NOW, &result), -EUCLEAN);
        CHECK_EQ(merge_room(rubbish, a.blob, NOW, &result), -EUCLEAN);
        CHECK_EQ(merge_roomname(rubbish, a.blob, NOW, &result), -EUCLEAN);
        CHECK_EQ(merge_room((Bytes){}, ahead.blob, NOW, &result), -EBADMSG);
        CHECK_EQ(merge_roomname((Bytes){}, ahead.blob, NOW, &result), -EBADMSG);
        for (size_t n = 0; n < a.blob.size; n++)
                CHECK_EQ(merge_room((Bytes){}, (Bytes){a.blob.data, n}, NOW, &result), -EBADMSG);
        drop(&a, 1);
        drop(&b, 1);
        drop(&ahead, 1);
        people_free();
}

TEST(the_rooms_of_an_account_go_version_by_version) {
        uint8_t first[OWNED_HEAD_SIZE + OWNED_ENTRY_SIZE] = {[7] = 1};
        uint8_t second[OWNED_HEAD_SIZE] = {[7] = 2};
        Bytes a = {first, sizeof(first)}, b = {second, sizeof(second)};
        MergeResult result;

        CHECK_OK(merge_owned((Bytes){}, a, NOW, &result));
        CHECK_EQ(result, MERGE_STORED);
        CHECK_OK(merge_owned((Bytes){}, b, NOW, &result));
        CHECK_EQ(result, MERGE_STALE);
        CHECK_OK(merge_owned(a, b, NOW, &result));
        CHECK_EQ(result, MERGE_STORED);
        CHECK_OK(merge_owned(a, a, NOW, &result)); /* somebody else was quicker */
        CHECK_EQ(result, MERGE_STALE);
        CHECK_EQ(merge_owned(a, (Bytes){first, 9}, NOW, &result), -EBADMSG);
        CHECK_EQ(merge_owned((Bytes){first, 3}, a, NOW, &result), -EUCLEAN);
}
