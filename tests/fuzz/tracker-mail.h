/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Mail of fuzz-tracker.c: a few letters to each account, and what is known of each. */

#include "tracker-model.h"

#include "node/dstore.h"
#include "wire/mailbox.h"

#define NUMBERS 4 /* letters to an account */
#define N_LETTERS (_ACCOUNT_MAX * NUMBERS)
#define MAILBOX_ITEMS 8
#define MAILBOX_BYTES 8192

typedef struct LetterKnown {
        bool sent; /* in a deposit */
        bool kept; /* and that was acknowledged */
        bool ending; /* somebody has asked for its end */
        bool ended; /* and that was acknowledged */
        bool noted; /* a REKEY has been sent */
        usec_t expires; /* the earliest of what deposits have said */
} LetterKnown;

typedef struct MailKnown {
        LetterKnown letters[N_LETTERS];
} MailKnown;

/* What never changes; the number is in the secret too. */
typedef struct Letter {
        Buffer envelope;
        uint8_t id[SHA256_SIZE];
} Letter;

static Letter letters[N_LETTERS];
static Buffer tokens[_ACCOUNT_MAX][2]; /* for two contacts */
static Buffer expired_tokens[_ACCOUNT_MAX];
static Buffer rekeys[N_LETTERS];
static MailKnown mail;

static unsigned letter_account(unsigned n) {
        return n / NUMBERS;
}

static void make_rekey(unsigned n) {
        Rekey k = {.n_items = 1, .prekey = {1, 9, sample_text(SAMPLE_PREKEY)}};

        memcpy(k.account, account_key(letter_account(n)), KEY_SIZE);
        memcpy(k.items[0], letters[n].id, SHA256_SIZE);
        MUST(rekey_encode(&rekeys[n], &k, &accounts[letter_account(n)]) == 0);
}

/* Every fourth letter is to a prekey that few records have, and the texts differ in size. */
static void make_letters(void) {
        static const uint8_t text[2000];

        for (unsigned n = 0; n < N_LETTERS; n++) {
                Envelope e = {.suite = 1,
                        .prekey = n % 4 == 3 ? 8 : 7,
                        .enc = {(uint8_t)n},
                        .ciphertext = {text, 16 + 600 * (n % NUMBERS)}};

                MUST(envelope_encode(&letters[n].envelope, &e) == 0);
                envelope_id(sample_bytes(&letters[n].envelope), letters[n].id);
                make_rekey(n);
        }
        for (unsigned i = 0; i < _ACCOUNT_MAX; i++)
                for (uint8_t who = 0; who < 2; who++) {
                        DepositToken t = {.pseudonym = {1 + who},
                                .expires = VIRTUAL_REALTIME + DEPOSIT_TOKEN_LIFETIME};

                        memcpy(t.account, account_key(i), KEY_SIZE);
                        MUST(deposit_token_encode(&tokens[i][who], &t, &accounts[i]) == 0);
                        t.expires = VIRTUAL_REALTIME;
                        if (who == 0)
                                MUST(deposit_token_encode(&expired_tokens[i], &t, &accounts[i]) ==
                                        0);
                }
}

static void mail_forget(void) {
        for (unsigned n = 0; n < N_LETTERS; n++)
                mail.letters[n] = (LetterKnown){.expires = USEC_INFINITY};
}

static unsigned letter_find(Bytes envelope) {
        for (unsigned n = 0; n < N_LETTERS; n++)
                if (bytes_equal(sample_bytes(&letters[n].envelope), envelope))
                        return n;
        return N_LETTERS;
}

static void letter_secret(unsigned n, uint8_t ret[static WITHDRAW_SECRET_SIZE]) {
        memset(ret, (int)n, WITHDRAW_SECRET_SIZE);
}

/* What is asked: each returns the letter it is about. */

/* None, or what must not be taken for one. */
static Bytes script_wrong_token(Script *in, unsigned account) {
        Bytes token = sample_bytes(&tokens[account][0]);

        switch (script_u8(in) % 4) {
        case 0:
                return (Bytes){};
        case 1:
                return sample_bytes(&tokens[(account + 1) % _ACCOUNT_MAX][0]);
        case 2:
                return sample_bytes(&expired_tokens[account]);
        default:
                token.size--;
                return token;
        }
}

static unsigned write_deposit(Script *in, Buffer *out, uint64_t request) {
        uint8_t how = script_u8(in), secret[WITHDRAW_SECRET_SIZE];
        unsigned n = how % N_LETTERS;
        Deposit d = {.envelope = sample_bytes(&letters[n].envelope),
                .expires = now() + script_number(in) * USEC_PER_HOUR};

        if (how & 0x40)
                d.token = sample_bytes(&tokens[letter_account(n)][how >> 7]);
        else if (how & 0x80)
                d.token = script_wrong_token(in, letter_account(n));
        else
                d.has_stamp = true; /* of no bits, as a rule: any will do */
        memcpy(d.account, account_key(letter_account(n)), KEY_SIZE);
        letter_secret(n, secret);
        sha256(secret, sizeof(secret), d.withdraw_hash);
        MUST(deposit_encode(out, request, &d) == 0);
        mail.letters[n].sent = true;
        mail.letters[n].expires = MIN(mail.letters[n].expires, d.expires);
        return n;
}

static unsigned write_withdraw(Script *in, Buffer *out, uint64_t request) {
        uint8_t how = script_u8(in);
        unsigned n = how % N_LETTERS;
        Withdraw w = {};

        memcpy(w.account, account_key(letter_account(n)), KEY_SIZE);
        memcpy(w.id, letters[n].id, SHA256_SIZE);
        letter_secret(n, w.secret);
        if (how & 0x80) /* a wrong one, which ends nothing */
                w.secret[0] ^= 0xff;
        else
                mail.letters[n].ending = true;
        MUST(withdraw_encode(out, request, &w) == 0);
        return how & 0x80 ? N_LETTERS : n;
}

static unsigned write_status(Script *in, Buffer *out, uint64_t request) {
        unsigned n = script_u8(in) % N_LETTERS;
        MailStatus s = {.n_ids = 1};

        memcpy(s.account, account_key(letter_account(n)), KEY_SIZE);
        memcpy(s.ids[0], letters[n].id, SHA256_SIZE);
        MUST(mail_status_encode(out, request, &s) == 0);
        return n;
}

static void write_collect(Script *in, Buffer *out, uint64_t request) {
        static const uint8_t after[8] = {0, 0, 0, 0, 0, 0, 0, 1};
        uint8_t how = script_u8(in);
        Collect x = {.limit = how % 16};

        if (how & 0x80)
                x.after = (Bytes){after, how & 0x40 ? sizeof(after) : 3};
        MUST(collect_encode(out, request, &x) == 0);
}

/* One of its own account DEVICE's, which may be nobody's; with a REKEY or not. */
static unsigned write_collected(Script *in, unsigned device, Buffer *out, uint64_t request) {
        uint8_t how = script_u8(in);
        unsigned own = device == NOBODY ? 0 : DEVICES[device].account;
        unsigned n = how % N_LETTERS;
        bool holds = device != NOBODY && letter_account(n) == own;
        Collected x = {.ids = {letters[n].id, how & 0x40 ? 0 : SHA256_SIZE}};

        if (how & 0x80)
                x.rekey = sample_bytes(&rekeys[n]);
        mail.letters[n].noted |= holds && x.rekey.size > 0;
        mail.letters[n].ending |= holds && x.ids.size > 0;
        MUST(collected_encode(out, request, &x) == 0);
        return holds && x.ids.size > 0 ? n : N_LETTERS;
}

/* What is answered */

/* Nothing that has ended comes back before its time is long over. */
static bool letter_is_over(const LetterKnown *l) {
        return l->ended && now() < l->expires;
}

/* It was kept before somebody asked, and nobody has taken it since. */
static bool letter_must_be_there(unsigned n, const MailKnown *before) {
        return before->letters[n].kept && !mail.letters[n].ending &&
                now() < mail.letters[n].expires;
}

static void check_status(unsigned n, const MailKnown *before, Frame *f) {
        MailStatusAnswer a;

        MUST(mail_status_answer_decode(f, &a) == 0 && a.n_items == 1);
        MUST(a.items[0].state != MAIL_HELD || mail.letters[n].sent);
        MUST(a.items[0].state != MAIL_GONE || mail.letters[n].ending);
        MUST(a.items[0].state != MAIL_HELD || !letter_is_over(&before->letters[n]));
        MUST(a.items[0].state == MAIL_HELD || !letter_must_be_there(n, before));
        if (a.items[0].rekey.size > 0)
                MUST(mail.letters[n].noted && a.items[0].state == MAIL_HELD &&
                        bytes_equal(a.items[0].rekey, sample_bytes(&rekeys[n])));
}

static void check_collect(unsigned account, const MailKnown *before, Frame *f) {
        bool seen[N_LETTERS] = {};
        static CollectAnswer a;

        MUST(collect_answer_decode(f, &a) == 0 && a.n_items <= MAILBOX_ITEMS);
        for (size_t i = 0; i < a.n_items; i++) {
                unsigned n = letter_find(a.items[i].envelope);

                MUST(n < N_LETTERS && letter_account(n) == account && !seen[n]);
                MUST(mail.letters[n].sent && !letter_is_over(&before->letters[n]));
                MUST(a.items[i].expires >= mail.letters[n].expires);
                seen[n] = true;
        }
}

static void on_letter(void *userdata, int error, const DStoreFound *found) {
        MUST(error == 0);
        *(DStoreItemState *)userdata = found[0].state;
}

/* On disk, not only in memory. */
static DStoreItemState letter_on_disk(DStore *store, unsigned n) {
        DStoreItemState state = ITEM_UNKNOWN;
        uint8_t key[SHA256_SIZE];

        directory_key_account(DIRECTORY_MAIL, account_key(letter_account(n)), key);
        store->ops->set_find(store, key, &letters[n].id, 1, on_letter, &state);
        return state;
}

/* It was kept, or its prekey is not that of the record. */
static void check_deposit(DStore *store, unsigned n, Frame *f) {
        DepositAnswer a;

        MUST(deposit_answer_decode(f, &a) == 0);
        if (a.replicas == 0)
                MUST(find_made(a.record) && account_of(find_made(a.record)) == letter_account(n));
        else {
                MUST(letter_on_disk(store, n) != ITEM_UNKNOWN || now() >= mail.letters[n].expires);
                mail.letters[n].kept = true;
        }
}

/* What all mailboxes hold is what each holds. */

static void on_mail_usage(void *userdata, int error, const DStoreUsage *u) {
        MUST(error == 0 && u->items <= _ACCOUNT_MAX * MAILBOX_ITEMS && u->listed <= u->items);
        *(DStoreUsage *)userdata = *u;
}

static void check_mailboxes(DStore *store) {
        DStoreUsage all, sum = {}, one;
        uint8_t key[SHA256_SIZE];

        store->ops->set_usage(store, NULL, on_mail_usage, &all);
        for (unsigned i = 0; i < _ACCOUNT_MAX; i++) {
                directory_key_account(DIRECTORY_MAIL, account_key(i), key);
                store->ops->set_usage(store, key, on_mail_usage, &one);
                MUST(one.items <= MAILBOX_ITEMS && one.bytes <= MAILBOX_BYTES + REKEY_MAX);
                sum.items += one.items;
                sum.bytes += one.bytes;
                sum.listed += one.listed;
                sum.tombstones += one.tombstones;
        }
        MUST(all.items == sum.items && all.bytes == sum.bytes && all.listed == sum.listed &&
                all.tombstones == sum.tombstones);
}
