/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The account statement and the backup in it. The low bits of the first byte say which; with SIGN
 * the rest is the body of a statement that a fixed key signs, or a backup that a fixed key seals,
 * so that what is behind the signature or the seal is reached too. */

#include "fuzz.h"

#include "mutate.h"
#include "same.h"

#include "../unit/account-sample.h"

enum {
        WHICH_STATEMENT,
        WHICH_BACKUP,
        _WHICH_MAX,
        SIGN = 0x80,
};

/* Of two statements one is newer, whichever is asked about first. */
static void check_order(const AccountStatement *s, Bytes outer) {
        FUZZ_OWN_MEMORY;
        _cleanup_(buffer_done) Buffer object = sample_statement_object(1, false);
        Bytes other = sample_bytes(&object);
        AccountStatement sample;
        int c, d;

        MUST(account_statement_decode(other, &sample) == 0);
        c = account_statement_compare(s, outer, &sample, other);
        d = account_statement_compare(&sample, other, s, outer);
        MUST((c > 0) == (d < 0) && (c < 0) == (d > 0));
        MUST(account_statement_compare(s, outer, s, outer) == 0);
}

static void check_statement(const AccountStatement *s) {
        MUST(s->has_password == (s->backup.size > 0));
        MUST(s->has_password == (s->key_id > 0 && s->memory > 0 && s->passes > 0));
        MUST(!s->deleted || !s->has_password);
        MUST(s->key_id <= ACCOUNT_KEY_ID_MAX && s->backup.size <= ACCOUNT_BACKUP_MAX);
        MUST(s->memory <= ACCOUNT_MEMORY_MAX && s->passes <= ACCOUNT_PASSES_MAX);
}

static int try_statement(Bytes outer, Bytes body) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;
        SignKey account = sample_key(1);
        AccountBackup backup;
        AccountStatement s;
        int form, r;

        form = account_statement_parse(outer, &s);
        if (form == 0) {
                check_statement(&s);
                check_order(&s, outer);
        }
        r = account_statement_decode(outer, &s);
        MUST(r < 0 || form == 0);
        if (r < 0)
                return r;
        MUST(outer.size <= ACCOUNT_STATEMENT_MAX && key_is_valid(s.account));
        if (s.has_password && account_backup_open(&s, SAMPLE_BACKUP_KEY, &backup) == -ENOMEM)
                return -ENOMEM;
        if (!has_ignorable(body) && key_equal(s.account, sign_key_public(&account)))
                check_same(account_statement_encode(&s, &account, &again), &again, outer);
        return 0;
}

static int try_backup(Bytes sealed, Bytes body) {
        AccountStatement s = sample_statement(1, sealed);
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;
        AccountBackup b;
        int r;

        r = account_backup_open(&s, SAMPLE_BACKUP_KEY, &b);
        if (r < 0)
                return r;
        MUST(name_is_canonical((const uint8_t *)b.name, strlen(b.name)));
        if (body.size > 0 && !has_ignorable(body))
                check_same(
                        account_backup_seal(&b, &s, SAMPLE_BACKUP_KEY, SAMPLE_BACKUP_NONCE, &again),
                        &again, sealed);
        return 0;
}

static void sign_input(Bytes body, Buffer *out) {
        FUZZ_OWN_MEMORY;
        SignKey account = sample_key(1);

        MUST(signed_encode(out, SIGN_LOGIN, body, &account, NULL) == 0);
}

/* As account_backup_seal() does it. */
static void seal_input(Bytes body, Buffer *out) {
        FUZZ_OWN_MEMORY;
        AccountStatement s = sample_statement(1, sample_text("to come"));
        uint8_t aad[17 + KEY_SIZE + 8 + 8] = "p2pchat/1 backup";

        memcpy(aad + 17, s.account, KEY_SIZE);
        for (int i = 0; i < 8; i++) {
                aad[17 + KEY_SIZE + i] = (uint8_t)(s.seq >> (56 - 8 * i));
                aad[17 + KEY_SIZE + 8 + i] = (uint8_t)(s.key_id >> (56 - 8 * i));
        }
        MUST(box_seal(SAMPLE_BACKUP_KEY, SAMPLE_BACKUP_NONCE,
                     (Bytes){.data = aad, .size = sizeof(aad)}, body, out) == 0);
}

void fuzz_one(const uint8_t *data, size_t size) {
        _cleanup_(buffer_done) Buffer made = BUFFER_NULL;
        Bytes in, outer, body = {};
        unsigned which;
        Signed s = {};
        int r;

        if (size == 0)
                return;
        which = (data[0] & ~(unsigned)SIGN) % _WHICH_MAX;
        in = outer = (Bytes){.data = data + 1, .size = size - 1};
        if (data[0] & SIGN) {
                if (which == WHICH_STATEMENT)
                        sign_input(in, &made);
                else
                        seal_input(in, &made);
                outer = sample_bytes(&made);
                body = in;
        }
        if (which == WHICH_STATEMENT) {
                r = signed_decode(outer, &s);
                MUST(r == 0 || r == -EBADMSG);
                r = try_statement(outer, s.body);
        } else
                r = try_backup(outer, body);
        MUST(r == 0 || r == -EBADMSG || r == -EKEYREJECTED || (r == -ENOMEM && fuzz_failed()));
}

#ifdef FUZZING_LIBFUZZER
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
        return mutate_input(data, size, max, seed, 1);
}
#endif
