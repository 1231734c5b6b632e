/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The people of fuzz-tracker.c, what they sign, and what is known to be on the tracker's disk. */

#include "stateful.h"

#include "../unit/wire-sample.h"
#include "loop-virtual.h"

enum {
        ALICE,
        BOB,
        CAROL,
        _ACCOUNT_MAX,
};

/* Alice has three, of which two have the same epoch. */
static const struct {
        unsigned account;
        uint64_t epoch;
} DEVICES[] = {
        {ALICE, 1},
        {ALICE, 2},
        {ALICE, 2},
        {BOB, 1},
        {CAROL, 1},
};

#define N_DEVICES ELEMENTSOF(DEVICES)
#define NOBODY N_DEVICES /* shows a key, and does not say whose it is */

static const char *const NAMES[] = {"alice", "bob", "carol", "dave"};

#define N_NAMES ELEMENTSOF(NAMES)
#define MADE_MAX 512
#define SEQ_FIRST (VIRTUAL_REALTIME / USEC_PER_MSEC)

/* What was signed in this run, a record or a presence. */
typedef struct Made {
        Buffer bytes;
        unsigned device;
        Record record; /* in BYTES; of a presence all zero */
} Made;

/* What is known to be on the node's disk, since it was acknowledged or told. */
typedef struct Known {
        const Made *newest[_ACCOUNT_MAX];
        int owner[N_NAMES]; /* an account, or -1 */
} Known;

static Loop *loop;
static SignKey accounts[_ACCOUNT_MAX], devices[N_DEVICES + 1], node_key;
static Buffer certificates[N_DEVICES];

static Made made[MADE_MAX];
static size_t n_made;
static Known known;

static usec_t now(void) {
        return loop_realtime(loop);
}

/* What is signed */

static void make_people(void) {
        for (unsigned i = 0; i < _ACCOUNT_MAX; i++)
                accounts[i] = sample_key((uint8_t)(1 + i));
        for (unsigned i = 0; i <= N_DEVICES; i++)
                devices[i] = sample_key((uint8_t)(20 + i));
        node_key = sample_key(40);
        for (unsigned i = 0; i < N_DEVICES; i++) {
                const SignKey *account = &accounts[DEVICES[i].account];
                Certificate c = {.epoch = DEVICES[i].epoch,
                        .issued = VIRTUAL_REALTIME,
                        .expires = VIRTUAL_REALTIME + IDENTITY_LIFETIME};

                memcpy(c.account, sign_key_public(account), KEY_SIZE);
                memcpy(c.device, sign_key_public(&devices[i]), KEY_SIZE);
                MUST(certificate_encode(&c, account, &devices[i], &certificates[i]) == 0);
        }
}

static const uint8_t *account_key(unsigned account) {
        return sign_key_public(&accounts[account]);
}

static unsigned account_of(const Made *m) {
        return DEVICES[m->device].account;
}

static unsigned name_of(const Made *m) {
        for (unsigned i = 0; i < N_NAMES; i++)
                if (streq(NAMES[i], m->record.name))
                        return i;
        abort();
}

static bool is_newer(const Made *a, const Made *b) {
        return record_compare(&a->record, sample_bytes(&a->bytes), &b->record,
                       sample_bytes(&b->bytes)) > 0;
}

static const Made *find_made(Bytes b) {
        for (size_t i = 0; i < n_made; i++)
                if (buffer_size(&made[i].bytes) == b.size &&
                        memcmp(buffer_data(&made[i].bytes), b.data, b.size) == 0)
                        return &made[i];
        return NULL;
}

static Made *made_new(unsigned device) {
        Made *m = &made[n_made++];

        MUST(n_made <= MADE_MAX);
        buffer_done(&m->bytes);
        *m = (Made){.device = device};
        return m;
}

static unsigned script_device(Script *in, unsigned own) {
        uint8_t b = script_u8(in);

        if (b < 0xe0 && own != NOBODY)
                return own;
        return b % N_DEVICES;
}

static usec_t script_expires(uint8_t how) {
        switch (how >> 5) {
        case 5:
                return now() + USEC_PER_HOUR;
        case 6:
                return MAX(now(), VIRTUAL_REALTIME + 1);
        case 7:
                return now() + 2 * IDENTITY_LIFETIME;
        default:
                return VIRTUAL_REALTIME + IDENTITY_LIFETIME;
        }
}

/* Usually the caller's own; as a rule one that holds. */
static const Made *script_record(Script *in, unsigned own) {
        unsigned device = script_device(in, own);
        uint8_t how = script_u8(in), seq = script_u8(in);
        Record rec = {.epoch = DEVICES[device].epoch,
                .seq = SEQ_FIRST + seq,
                .issued = VIRTUAL_REALTIME,
                .expires = script_expires(how),
                .listed = how & 4,
                .presence = (how >> 3 & 3) % _VISIBILITY_MAX,
                .prekeys = {{1, seq % 8 == 7 ? 8 : 7, sample_text(SAMPLE_PREKEY)}},
                .n_prekeys = seq % 8 != 6,
                .certificate = sample_bytes(&certificates[device])};
        Made *m = made_new(device);

        if (seq >= 0xf8)
                rec.seq += 2 * USEC_PER_DAY / USEC_PER_MSEC;
        memcpy(rec.account, account_key(DEVICES[device].account), KEY_SIZE);
        snprintf(rec.name, sizeof(rec.name), "%s", NAMES[how % N_NAMES]);
        MUST(record_encode(&rec, &accounts[DEVICES[device].account], &m->bytes) == 0);
        MUST(record_parse(sample_bytes(&m->bytes), &m->record) == 0);
        return m;
}

static const Made *script_presence(Script *in, unsigned own) {
        unsigned device = script_device(in, own);
        uint8_t how = script_u8(in);
        PresenceRecord p = {.epoch = DEVICES[device].epoch,
                .presence = how % _PRESENCE_MAX,
                .seq = script_number(in),
                .n_endpoints = how >> 2 & 3};
        Made *m = made_new(device);

        for (size_t i = 0; i < p.n_endpoints; i++)
                p.endpoints[i] = sample_text("192.0.2.1:7425");
        memcpy(p.account, account_key(DEVICES[device].account), KEY_SIZE);
        memcpy(p.device, sign_key_public(&devices[device]), KEY_SIZE);
        MUST(presence_encode(&p, &devices[device], &m->bytes) == 0);
        return m;
}

/* The model */

/* When the claim of ACCOUNT to a name may be over at the earliest. */
static usec_t claim_end(unsigned account, unsigned name) {
        usec_t end = USEC_INFINITY;

        for (size_t i = 0; i < n_made; i++)
                if (made[i].record.name[0] && account_of(&made[i]) == account &&
                        name_of(&made[i]) == name)
                        end = MIN(end, made[i].record.expires);
        return end;
}

/* Perhaps there is one that is newer than M, and no answer to who asks for it any more. */
static bool may_be_gone(const Made *m) {
        if (m->record.expires <= now())
                return true;
        for (size_t i = 0; i < n_made; i++)
                if (made[i].record.name[0] && account_of(&made[i]) == account_of(m) &&
                        is_newer(&made[i], m) &&
                        (made[i].record.expires <= now() ||
                                !streq(made[i].record.name, m->record.name)))
                        return true;
        return false;
}

static void know(const Made *m) {
        const Made **newest = &known.newest[account_of(m)];

        if (!*newest || is_newer(m, *newest))
                *newest = m;
}

static void know_owner(const Made *m) {
        int *owner = &known.owner[name_of(m)];

        MUST(*owner < 0 || *owner == (int)account_of(m) ||
                claim_end((unsigned)*owner, name_of(m)) <= now());
        *owner = (int)account_of(m);
        know(m);
}
