/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Hybrid public key encryption (RFC 9180) to one X25519 key: base mode of the suite
 * DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, one plaintext for each encapsulation.
 *
 * Who has sealed is not said: a signature inside does that. The mode "auth" would say it, but not
 * to somebody whose key was stolen: the thief could write to the victim as anybody (section 9.1.1),
 * and the successor of the RFC, draft-ietf-hpke-hpke, has no such mode. For "psk" there is no
 * secret that both would know.
 *
 * Everything follows from the arguments. Randomness comes from the caller, who takes it from
 * loop_random(), HPKE_SEED_SIZE bytes for every key pair and every seal, never the same twice.
 */

#include "util/buffer.h"

#define HPKE_KEY_SIZE 32 /* secret, public, encapsulated */
#define HPKE_SEED_SIZE 32
#define HPKE_OVERHEAD 16 /* the ciphertext is longer than the plaintext */

/* DeriveKeyPair() of section 7.1.3. */
void hpke_key_derive(const uint8_t seed[static HPKE_SEED_SIZE],
        uint8_t ret_secret[static HPKE_KEY_SIZE], uint8_t ret_public[static HPKE_KEY_SIZE]);

/* Appends the ciphertext to OUT. -EKEYREJECTED for a public key of small order, with which anybody
 * could open; -ENOMEM. OUT has changed on success only. */
int hpke_seal(const uint8_t public[static HPKE_KEY_SIZE], const uint8_t seed[static HPKE_SEED_SIZE],
        Bytes info, Bytes aad, Bytes plaintext, uint8_t ret_enc[static HPKE_KEY_SIZE], Buffer *out);

/* Appends the plaintext to OUT, which whoever does not want to leave it in memory ends with
 * buffer_wipe(). -EBADMSG for what was not sealed to this key with these INFO and AAD, whatever it
 * is; -ENOMEM. OUT has changed on success only. */
int hpke_open(const uint8_t secret[static HPKE_KEY_SIZE], const uint8_t enc[static HPKE_KEY_SIZE],
        Bytes info, Bytes aad, Bytes ciphertext, Buffer *out);
