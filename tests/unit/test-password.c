/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include <pthread.h>
#include <sodium.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "crypto/hkdf.h"
#include "crypto/password.h"

static void unhex(const char *hex, uint8_t *ret, size_t size) {
        size_t n;

        CHECK(sodium_hex2bin(ret, size, hex, strlen(hex), NULL, &n, NULL) == 0);
        CHECK_EQ(n, size);
}

/* Bytes 0 to 63. */
static void output_count_up(uint8_t y[static OPRF_OUTPUT_SIZE]) {
        for (uint8_t i = 0; i < OPRF_OUTPUT_SIZE; i++)
                y[i] = i;
}

/* What argon2id_hash_raw() of libargon2 20171227, the reference implementation, makes of bytes 0 to
 * 63 with 16 zeros as salt, 1 lane and 64 bytes of output; what Python's hmac makes of both as
 * password.h has it. */
static const struct {
        PasswordCost cost;
        const char *hard, *backup, *login;
} KNOWN[] = {
        {{8, 1},
                "d57e96a0e76960a08d51b88fc0aab6e0bbb055d82626904333cf8163a06c36de"
                "278f8cf3f15d0a6e7752dcca01ef89b635e6f86618b77299da33ba4dbdd1b35c",
                "e4733a5c9cae60859ef13412145773ef8e820793a457445a9786a3fd3272bd8d",
                "ca5d1c24e1c1680486556f844679c051a5217e81dbe9a94170b5706968e66f40"},
        {{8, 2},
                "1f5ce16aa21b2d4ca52bbea49635e22e948fc5b2ff192e1ccb7df5d26f6fc44e"
                "738ba94aa36bd026ce436695918a1fa54356b9a57104846b029dd4f2a24d7418",
                "5baac1157e561fec5922ea37d52b20a2cff3c0d7148eab2790ced9d205683f18",
                "764b54b65b71a476533fb9fb72e42132afd26f36f34dff1e86dc876aa3133616"},
        {{1024, 3},
                "f04a276c4f952c822eab49cbd1c6b1af3fa309a59f52661d4a3727dfe2f7a91c"
                "28c8f16ab72d1ed2a5d8012f976627efcb96ace23d25885422622ff90fdf497f",
                "e30c530992b48e0c4f8afb63a67c389b737159abd56afd3a780902932c3112dc",
                "3cbe715a69be2098e9ac0f9870b32f9f83173942afa3e77bf0198b4671904e82"},
        {{1027, 3},
                "a8b2cf8afddb055a7c19952ef4dd9c47e0102905bbed49bc5bd1c3521aecc9ff"
                "84afe0d5319e2aaa4f8036bcfee189b27e8e182acfbeb615dc68e1784d7570ab",
                "b0925012582d6bd94890697199fd35f911e91df54b255282bb562fa4ef1f398f",
                "849368716771c82343a9cc8d1be2f8d871b44f8cb3130f533b94cf9877b89237"},
        {{8192, 1},
                "3fb6b6c7d6cc201c40f4bb04cc320099f6a9ba871a2905cca90955b482c30b2d"
                "f74d1f9c773e224d44dffdb9c410533e9944d6add30bf1274d726f0c960459cc",
                "2f5635955ba07fe2f68be458ba641a4234a2c500b1d18c3f215edb270b67035c",
                "97182c0e8178e4ac1c5890c7857c1ea3f6f16039b7599681a9b2794c90377e24"},
        /* PASSWORD_COST_DEFAULT */
        {{262144, 3},
                "b581fe2b7f6f025ff7ed7a8a81acf4f2f7cdab6fcf8222c118a0877e151a0a69"
                "64d01bf5ec2560a14a1386c5b126ea89ceb44dda0a2a8f7269f3075b3aea4045",
                "35e6dab68f4916864a96fec240160a643cc47c62b0f8d4a6c0d14ec8b7d0e3b2",
                "badf1f5c5c3bbb72b9f9a40002963380a40be5be22a66c767b7c3c34076df43a"},
};

TEST(stretching_gives_what_the_reference_implementation_gives) {
        uint8_t y[OPRF_OUTPUT_SIZE], want[KEY_SIZE];
        PasswordCost last = KNOWN[ELEMENTSOF(KNOWN) - 1].cost;

        CHECK_EQ(last.memory, PASSWORD_COST_DEFAULT.memory);
        CHECK_EQ(last.passes, PASSWORD_COST_DEFAULT.passes);
        output_count_up(y);
        for (size_t i = 0; i < ELEMENTSOF(KNOWN); i++) {
                PasswordKeys keys;

                if (KNOWN[i].cost.memory == last.memory && test_in_valgrind())
                        continue; /* minutes */
                CHECK_OK(password_stretch(y, &KNOWN[i].cost, &keys));
                unhex(KNOWN[i].backup, want, sizeof(want));
                CHECK(memcmp(keys.backup, want, sizeof(want)) == 0);
                unhex(KNOWN[i].login, want, sizeof(want));
                CHECK(memcmp(keys.login_seed, want, sizeof(want)) == 0);
        }
}

TEST(another_output_or_cost_gives_other_keys) {
        static const PasswordCost costs[] = {{8, 1}, {8, 2}, {16, 1}};
        PasswordKeys seen[4];
        uint8_t y[OPRF_OUTPUT_SIZE];

        output_count_up(y);
        for (size_t i = 0; i < ELEMENTSOF(costs); i++)
                CHECK_OK(password_stretch(y, &costs[i], &seen[i]));
        y[63] ^= 1;
        CHECK_OK(password_stretch(y, &costs[0], &seen[3]));
        for (size_t i = 0; i < ELEMENTSOF(seen); i++) {
                CHECK(memcmp(seen[i].backup, seen[i].login_seed, KEY_SIZE) != 0);
                for (size_t j = 0; j < i; j++) {
                        CHECK(memcmp(seen[i].backup, seen[j].backup, KEY_SIZE) != 0);
                        CHECK(memcmp(seen[i].login_seed, seen[j].login_seed, KEY_SIZE) != 0);
                }
        }
}

static int check(uint64_t memory, uint64_t passes, PasswordCost least) {
        return password_cost_check(&(PasswordCost){.memory = memory, .passes = passes}, &least);
}

TEST(a_cost_is_taken_from_a_tracker_between_bounds_only) {
        const PasswordCost d = PASSWORD_COST_DEFAULT, min = PASSWORD_COST_MIN;

        CHECK_EQ(d.memory, 262144);
        CHECK_EQ(d.passes, 3);
        CHECK_OK(check(262144, 3, d));
        CHECK_OK(check(1048576, 16, d));
        CHECK_EQ(check(262143, 3, d), -ERANGE);
        CHECK_EQ(check(262144, 2, d), -ERANGE);
        CHECK_EQ(check(0, 0, d), -ERANGE);
        CHECK_EQ(check(1048577, 3, d), -E2BIG);
        CHECK_EQ(check(262144, 17, d), -E2BIG);
        CHECK_EQ(check(UINT64_MAX, UINT64_MAX, d), -E2BIG);
        /* What would be little again in 32 bits, or in bytes. */
        CHECK_EQ(check((1ULL << 32) + 262144, 3, d), -E2BIG);
        CHECK_EQ(check((1ULL << 54) + 262144, 3, d), -E2BIG);
        CHECK_EQ(check(262144, (1ULL << 32) + 3, d), -E2BIG);
        /* Much of the one is not worth little of the other. */
        CHECK_EQ(check(1048576, 2, d), -ERANGE);
        CHECK_EQ(check(262143, 16, d), -ERANGE);
        /* The simulator's. */
        CHECK_OK(check(8, 1, min));
        CHECK_EQ(check(7, 1, min), -ERANGE);
        CHECK_EQ(check(8, 0, min), -ERANGE);
}

TEST(a_cost_beyond_the_bounds_is_refused_by_stretching_itself) {
        static const PasswordCost costs[] = {
                {7, 1}, {8, 0}, {1048577, 1}, {8, 17}, {1ULL << 54, 1}, {8, (1ULL << 32) + 1}};
        uint8_t y[OPRF_OUTPUT_SIZE] = {};

        for (size_t i = 0; i < ELEMENTSOF(costs); i++) {
                PasswordKeys keys;

                memset(&keys, 0xff, sizeof(keys));
                CHECK_EQ(password_stretch(y, &costs[i], &keys), -EINVAL);
                CHECK(bytes_are_zero(&keys, sizeof(keys)));
        }
}

/* Bytes of address space that this process has. */
static rlim_t address_space(void) {
        unsigned long pages = 0;
        FILE *f = fopen("/proc/self/statm", "re");

        if (!f || fscanf(f, "%lu", &pages) != 1)
                pages = 0;
        if (f)
                fclose(f);
        return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* In a process of its own: 0 if it went as it should. */
static int stretch_without_memory(void) {
        const PasswordCost cost = {.memory = 128 * 1024, .passes = 1}, small = {1024, 1};
        struct rlimit limit;
        PasswordKeys keys;
        uint8_t y[OPRF_OUTPUT_SIZE] = {};

        if (getrlimit(RLIMIT_AS, &limit) < 0)
                return 10;
        limit.rlim_cur = address_space() + (32 << 20);
        if (setrlimit(RLIMIT_AS, &limit) < 0)
                return 11;
        memset(&keys, 0xff, sizeof(keys));
        if (password_stretch(y, &cost, &keys) != -ENOMEM)
                return 12;
        if (!bytes_are_zero(&keys, sizeof(keys)))
                return 13;
        return password_stretch(y, &small, &keys) == 0 ? 0 : 14; /* it goes on with less */
}

TEST(without_the_memory_there_are_no_keys) {
        int status;
        pid_t pid;

        if (test_in_valgrind())
                return; /* which has to live within the limit as well */
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
                _exit(stretch_without_memory());
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(WIFEXITED(status));
        CHECK_EQ(WEXITSTATUS(status), 0);
}

/* What a worker thread is given, away from its stack. */
static struct {
        uint8_t y[OPRF_OUTPUT_SIZE];
        PasswordCost cost;
        PasswordKeys keys;
        int r;
} work;

#define STACK_SIZE (1 << 20)
#define STACK_ABOVE (1 << 16)

/* Far from where a thread that ends leaves its own traces, which would cover others. */
static __attribute__((noinline)) void work_deep_down(void) {
        volatile uint8_t above[STACK_ABOVE];

        above[0] = 1;
        work.r = password_stretch(work.y, &work.cost, &work.keys);
        above[STACK_ABOVE - 1] = above[0];
}

static void *work_run(void *arg) {
        work_deep_down();
        return NULL;
}

/* No eight bytes of SECRET, wherever they may lie. */
static void check_gone(const uint8_t *stack, const uint8_t *secret, size_t n) {
        for (size_t i = 0; i + 8 <= n; i += 8)
                CHECK(!memmem(stack, STACK_SIZE, secret + i, 8));
}

TEST(nothing_stays_on_the_stack_of_the_thread) {
        uint8_t hard[OPRF_OUTPUT_SIZE], randomised[SHA256_SIZE];
        const Bytes parts[] = {{work.y, sizeof(work.y)}, {hard, sizeof(hard)}};
        _cleanup_(freep) uint8_t *stack = NULL;
        pthread_attr_t attributes;
        pthread_t thread;

        if (test_in_valgrind())
                return; /* it knows that nobody is to look at a stack that is gone */
        output_count_up(work.y);
        work.cost = KNOWN[0].cost;
        unhex(KNOWN[0].hard, hard, sizeof(hard));
        hkdf_extract((Bytes){}, parts, ELEMENTSOF(parts), randomised);

        CHECK_OK(posix_memalign((void **)&stack, (size_t)sysconf(_SC_PAGESIZE), STACK_SIZE));
        memset(stack, 0, STACK_SIZE);
        CHECK_OK(pthread_attr_init(&attributes));
        CHECK_OK(pthread_attr_setstack(&attributes, stack, STACK_SIZE));
        CHECK_OK(pthread_create(&thread, &attributes, work_run, NULL));
        CHECK_OK(pthread_join(thread, NULL));
        pthread_attr_destroy(&attributes);

        CHECK_OK(work.r);
        check_gone(stack, hard, sizeof(hard));
        check_gone(stack, randomised, sizeof(randomised));
        check_gone(stack, work.keys.backup, sizeof(work.keys.backup));
        check_gone(stack, work.keys.login_seed, sizeof(work.keys.login_seed));
}

/* What a login is made of, from the password on: two devices get the same keys, a typing mistake
 * gets others. */
TEST(a_password_gives_the_same_keys_on_every_device) {
        static const char *const typed[] = {
                "a good password", "a good password", "A good password"};
        static const uint8_t seed[OPRF_SEED_SIZE] = {1};
        PasswordKeys keys[ELEMENTSOF(typed)];
        uint8_t key[OPRF_KEY_SIZE];
        SignKey login[2];

        oprf_derive_key(seed, text_bytes("alice"), key);
        for (uint8_t i = 0; i < ELEMENTSOF(typed); i++) {
                const uint8_t random[OPRF_RANDOM_SIZE] = {(uint8_t)(i + 1)};
                uint8_t blind[OPRF_KEY_SIZE], element[OPRF_ELEMENT_SIZE], y[OPRF_OUTPUT_SIZE];

                CHECK_OK(oprf_blind(text_bytes(typed[i]), random, blind, element));
                CHECK_OK(oprf_evaluate(key, element, element));
                CHECK_OK(oprf_finalize(text_bytes(typed[i]), blind, element, y));
                CHECK_OK(password_stretch(y, &PASSWORD_COST_MIN, &keys[i]));
        }
        CHECK(memcmp(&keys[0], &keys[1], sizeof(keys[0])) == 0);
        CHECK(memcmp(keys[0].backup, keys[2].backup, sizeof(keys[0].backup)) != 0);
        CHECK(memcmp(keys[0].login_seed, keys[2].login_seed, KEY_SIZE) != 0);
        sign_key_from_seed(keys[0].login_seed, &login[0]);
        sign_key_from_seed(keys[1].login_seed, &login[1]);
        CHECK(key_equal(sign_key_public(&login[0]), sign_key_public(&login[1])));
        CHECK(key_is_valid(sign_key_public(&login[0])));

        password_keys_wipe(&keys[0]);
        CHECK(bytes_are_zero(&keys[0], sizeof(keys[0])));
}
