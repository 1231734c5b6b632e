/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What sealed mail costs in arithmetic:
 *
 *   sealing seal COUNT SIZE    contents of SIZE bytes sealed for one prekey
 *   sealing open COUNT SIZE    one of them opened again and again
 *   sealing stamp COUNT        slices of TRIES nonces for a stamp that is never found
 */

#include "bench.h"

#include "crypto/hpke.h"
#include "crypto/sign.h"
#include "crypto/stamp.h"

#define TRIES 10000

typedef struct Bench {
        uint8_t secret[HPKE_KEY_SIZE], public[HPKE_KEY_SIZE], enc[HPKE_KEY_SIZE];
        uint8_t seed[HPKE_SEED_SIZE];
        Bytes info, content;
        Buffer sealed, opened;
        Stamp stamp;
} Bench;

static void seal_one(Bench *b) {
        buffer_clear(&b->sealed);
        b->seed[0]++;
        bench_check(
                hpke_seal(b->public, b->seed, b->info, (Bytes){}, b->content, b->enc, &b->sealed),
                "seal");
}

static void open_one(Bench *b) {
        buffer_clear(&b->opened);
        bench_check(hpke_open(b->secret, b->enc, b->info, (Bytes){}, buffer_bytes(&b->sealed),
                            &b->opened),
                "open");
}

static void try_slice(Bench *b) {
        if (stamp_search(&b->stamp, TRIES))
                bench_check(-EEXIST, "a stamp of 64 bits");
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
        static const uint8_t seed[HPKE_SEED_SIZE] = {1}, zero[32];
        static uint8_t info[57]; /* of an envelope: words, account, suite, prekey */
        Bench b = {.info = {.data = info, .size = sizeof(info)}};

        bench_check(crypto_init(), "libsodium");
        hpke_key_derive(seed, b.secret, b.public);
        stamp_init(&b.stamp, zero, zero, STAMP_BITS_MAX);
        if (argc == 3 && strcmp(argv[1], "stamp") == 0)
                return run(&b, try_slice, bench_number(argv[2]));
        if (argc == 4) {
                b.content.size = bench_number(argv[3]);
                b.content.data = calloc(1, b.content.size);
                if (!b.content.data)
                        bench_check(-ENOMEM, "memory");
                seal_one(&b);
                if (strcmp(argv[1], "seal") == 0)
                        return run(&b, seal_one, bench_number(argv[2]));
                if (strcmp(argv[1], "open") == 0)
                        return run(&b, open_one, bench_number(argv[2]));
        }
        fprintf(stderr, "usage: sealing seal|open COUNT SIZE | stamp COUNT\n");
        return 2;
}
