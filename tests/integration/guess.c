/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Whoever has copied a tracker's databases, and tries passwords at home.
 *
 *   guess DIRECTORY KEYS|- NAME      tries the lines of standard input
 *
 * With the keys (KEYS) he does what a device does. Without them (-) he makes a key himself, as the
 * right one is nowhere in what he has. Prints JSON: how many he tried, how often Argon2id was
 * called, how long one try took, and which was the right one; and whether the statement has yielded
 * to less: with a pass or half of the memory less, or with the password in place of what comes of
 * it.
 */

#include <dlfcn.h>
#include <sodium.h>

#include <systemd/sd-event.h>

#include "../bench/bench.h"
#include "crypto/password.h"
#include "net/loop-sd-event.h"
#include "node/dstore.h"
#include "node/oprf-keys.h"
#include "wire/account.h"

static unsigned n_calls;

/* In the place of libsodium's, which it calls. */
int crypto_pwhash_argon2id(unsigned char *const out, unsigned long long outlen,
        const char *const passwd, unsigned long long passwdlen, const unsigned char *const salt,
        unsigned long long opslimit, size_t memlimit, int alg) {
        static __typeof__(&crypto_pwhash_argon2id) real;

        if (!real)
                *(void **)&real = dlsym(RTLD_NEXT, "crypto_pwhash_argon2id");
        n_calls++;
        return real(out, outlen, passwd, passwdlen, salt, opslimit, memlimit, alg);
}

typedef struct Loot {
        uint8_t account[KEY_SIZE];
        uint8_t blob[ACCOUNT_STATEMENT_MAX];
        AccountStatement statement;
        OprfKey key;
} Loot;

static void on_name(void *userdata, int error, Bytes blob) {
        Loot *x = userdata;
        Record rec;

        bench_check(error, "directory");
        bench_check(record_decode(blob, &rec), "record");
        memcpy(x->account, rec.account, KEY_SIZE);
}

static void on_statement(void *userdata, int error, Bytes blob) {
        Loot *x = userdata;

        bench_check(error, "directory");
        bench_check(blob.size <= sizeof(x->blob) ? 0 : -E2BIG, "statement");
        copy_bytes(x->blob, blob.data, blob.size);
        bench_check(account_statement_decode(
                            (Bytes){.data = x->blob, .size = blob.size}, &x->statement),
                "statement");
}

static void read_directory(Loop *loop, const char *dir, const char *name, Loot *ret) {
        uint8_t key[SHA256_SIZE];
        DStore *store;

        bench_check(dstore_lmdb_open(loop, dir, &store), dir);
        directory_key_name(name, key);
        store->ops->rec_get(store, DIRECTORY_NAME, key, on_name, ret);
        directory_key_account(DIRECTORY_ACCT, ret->account, key);
        store->ops->rec_get(store, DIRECTORY_ACCT, key, on_statement, ret);
        dstore_close(store);
}

static void read_key(Loop *loop, const char *dir, Loot *x) {
        uint8_t random[OPRF_RANDOM_SIZE];
        OprfKeys *keys;
        int r;

        if (strcmp(dir, "-") == 0) {
                loop_random(loop, random, sizeof(random));
                oprf_key_generate(random, x->key.key);
                return;
        }
        bench_check(oprf_keys_open(loop, dir, &keys), dir);
        r = oprf_keys_get(keys, x->account, x->statement.key_id, &x->key);
        bench_check(r == 0 ? -ENOENT : r, "key");
        oprf_keys_close(keys);
}

/* What OPRF makes of a password. */
static void evaluate(const Loot *x, const char *password, uint8_t ret[static OPRF_OUTPUT_SIZE]) {
        const uint8_t random[OPRF_RANDOM_SIZE] = {1};
        uint8_t blind[OPRF_KEY_SIZE], element[OPRF_ELEMENT_SIZE], evaluated[OPRF_ELEMENT_SIZE];

        bench_check(oprf_blind(text_bytes(password), random, blind, element), "blind");
        bench_check(oprf_evaluate(x->key.key, element, evaluated), "evaluate");
        bench_check(oprf_finalize(text_bytes(password), blind, evaluated, ret), "finalize");
}

/* Whether what comes of Y is the login key, or opens the backup. */
static bool yields(const Loot *x, const uint8_t y[static OPRF_OUTPUT_SIZE], PasswordCost cost) {
        AccountBackup backup;
        PasswordKeys keys;
        SignKey login;

        bench_check(password_stretch(y, &cost, &keys), "stretch");
        sign_key_from_seed(keys.login_seed, &login);
        return key_equal(sign_key_public(&login), x->statement.login) ||
                account_backup_open(&x->statement, keys.backup, &backup) == 0;
}

static bool yields_to_less(const Loot *x, const char *password) {
        const PasswordCost cost = {.memory = x->statement.memory, .passes = x->statement.passes};
        uint8_t y[OPRF_OUTPUT_SIZE], plain[OPRF_OUTPUT_SIZE];
        PasswordCost half = cost, less = cost;

        evaluate(x, password, y);
        half.memory /= 2;
        less.passes--;
        bench_check(crypto_hash_sha512(plain, (const uint8_t *)password, strlen(password)), "hash");
        return yields(x, y, half) || yields(x, y, less) || yields(x, plain, cost);
}

int main(int argc, char **argv) {
        char line[256], found[256] = "";
        uint8_t y[OPRF_OUTPUT_SIZE];
        uint64_t start, took = 0;
        unsigned n = 0, calls;
        Loot x = {};
        sd_event *event;
        Loop *loop;

        if (argc != 4) {
                fprintf(stderr, "usage: guess DIRECTORY KEYS|- NAME\n");
                return 2;
        }
        bench_check(crypto_init(), "crypto");
        bench_check(sd_event_new(&event), "event loop");
        bench_check(loop_sd_event_new(event, &loop), "loop");
        read_directory(loop, argv[1], argv[3], &x);
        read_key(loop, argv[2], &x);
        for (; found[0] == '\0' && fgets(line, sizeof(line), stdin); n++) {
                line[strcspn(line, "\n")] = '\0';
                start = bench_now();
                evaluate(&x, line, y);
                if (yields(&x, y,
                            (PasswordCost){
                                    .memory = x.statement.memory, .passes = x.statement.passes}))
                        memcpy(found, line, sizeof(found));
                took += bench_now() - start;
        }
        calls = n_calls;
        printf("{\"tried\": %u, \"argon2id\": %u, \"ms\": %.1f, \"found\": \"%s\", "
               "\"memory\": %llu, \"passes\": %llu, \"yields-to-less\": %s}\n",
                n, calls, (double)took / 1e6 / (n ?: 1), found,
                (unsigned long long)x.statement.memory, (unsigned long long)x.statement.passes,
                found[0] && yields_to_less(&x, found) ? "true" : "false");
        loop_sd_event_free(loop);
        sd_event_unref(event);
        return 0;
}
