/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What hpke.c is made of: a context seals many plaintexts, one after the other. Here for the
 * vectors of RFC 9180; the program seals one.
 */

#include "crypto/hash.h"
#include "crypto/hpke.h"

#define HPKE_NONCE_SIZE 12

typedef struct HpkeContext {
        uint8_t key[32];
        uint8_t base_nonce[HPKE_NONCE_SIZE];
        uint8_t exporter_secret[SHA256_SIZE];
        uint64_t seq; /* of the next plaintext */
} HpkeContext;

/* SetupBaseS() and SetupBaseR() of section 5.1.1. -EKEYREJECTED where the key of the other side is
 * of small order. The caller wipes the context. */
int hpke_setup_sender(const uint8_t public[static HPKE_KEY_SIZE],
        const uint8_t seed[static HPKE_SEED_SIZE], Bytes info,
        uint8_t ret_enc[static HPKE_KEY_SIZE], HpkeContext *ret);
int hpke_setup_recipient(const uint8_t secret[static HPKE_KEY_SIZE],
        const uint8_t enc[static HPKE_KEY_SIZE], Bytes info, HpkeContext *ret);

/* As hpke_seal() and hpke_open(); what does not open has no sequence number. */
int hpke_context_seal(HpkeContext *c, Bytes aad, Bytes plaintext, Buffer *out);
int hpke_context_open(HpkeContext *c, Bytes aad, Bytes ciphertext, Buffer *out);

/* Section 5.3, with a length of 32. */
void hpke_context_export(const HpkeContext *c, Bytes exporter_context, uint8_t ret[static 32]);
