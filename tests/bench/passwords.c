/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What a login with a password costs in arithmetic:
 *
 *   passwords evaluate COUNT                what a tracker computes for each try
 *   passwords ask COUNT                     what a device computes before it stretches
 *   passwords stretch COUNT MEMORY PASSES   what makes a try slow, with so many KiB
 */

#include "bench.h"

#include "crypto/password.h"

typedef struct Bench {
        uint8_t key[OPRF_KEY_SIZE], random[OPRF_RANDOM_SIZE], blind[OPRF_KEY_SIZE];
        uint8_t element[OPRF_ELEMENT_SIZE], evaluated[OPRF_ELEMENT_SIZE], y[OPRF_OUTPUT_SIZE];
        Bytes password;
        PasswordCost cost;
        PasswordKeys keys;
} Bench;

static void evaluate_one(Bench *b) {
        bench_check(oprf_evaluate(b->key, b->element, b->evaluated), "evaluate");
}

/* The answer is that to another question, which takes as long. */
static void ask_one(Bench *b) {
        b->random[0]++;
        bench_check(oprf_blind(b->password, b->random, b->blind, b->element), "blind");
        bench_check(oprf_finalize(b->password, b->blind, b->evaluated, b->y), "finalize");
}

static void stretch_one(Bench *b) {
        b->y[0]++;
        bench_check(password_stretch(b->y, &b->cost, &b->keys), "stretch");
}

static int run(Bench *b, void (*one)(Bench *b), size_t count) {
        uint64_t *took = calloc(count, sizeof(*took)), start;

        if (!took)
                bench_check(-ENOMEM, "memory");
        start = bench_now();
        for (size_t i = 0; i < count; i++) {
                uint64_t before = bench_now();

                one(b);
                took[i] = bench_now() - before;
        }
        bench_print(took, count, bench_now() - start);
        free(took);
        return 0;
}

int main(int argc, char **argv) {
        static const uint8_t seed[OPRF_SEED_SIZE] = {1};
        Bench b = {.random = {[63] = 1}, .password = text_bytes("correct horse battery staple")};

        bench_check(crypto_init(), "libsodium");
        oprf_derive_key(seed, text_bytes("alice"), b.key);
        bench_check(oprf_blind(b.password, b.random, b.blind, b.element), "blind");
        evaluate_one(&b);
        if (argc == 3 && strcmp(argv[1], "evaluate") == 0)
                return run(&b, evaluate_one, bench_number(argv[2]));
        if (argc == 3 && strcmp(argv[1], "ask") == 0)
                return run(&b, ask_one, bench_number(argv[2]));
        if (argc == 5 && strcmp(argv[1], "stretch") == 0) {
                b.cost.memory = bench_number(argv[3]);
                b.cost.passes = bench_number(argv[4]);
                return run(&b, stretch_one, bench_number(argv[2]));
        }
        fprintf(stderr, "usage: passwords evaluate|ask COUNT | stretch COUNT MEMORY PASSES\n");
        return 2;
}
