/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A function of a secret key and a secret input that two sides work out together: one brings the
 * input and learns the output, the other brings the key and learns nothing. The mode OPRF of
 * RFC 9497 with the suite ristretto255-SHA512:
 *
 *     who has the input                           who has the key
 *     oprf_blind() ------------ blinded ------->  oprf_evaluate()
 *     oprf_finalize() <------- evaluated -------
 *
 * The same key and input give the same output, whatever the blind. Nothing proves which key was
 * used (that would be the mode VOPRF): with another one the output is just another one, and what is
 * made of it then opens nothing.
 *
 * Everything follows from the arguments. Randomness comes from the caller, who takes it from
 * loop_random(), OPRF_RANDOM_SIZE bytes for every key and every blind, never the same twice. Keys,
 * blinds, inputs and outputs are secrets and take the same time whatever they are; they are for the
 * caller to wipe. Elements, blinded and evaluated, are what travels.
 */

#include "util/buffer.h"

#define OPRF_KEY_SIZE 32 /* a key, and a blind: a number below the order of the group, not zero */
#define OPRF_ELEMENT_SIZE 32
#define OPRF_OUTPUT_SIZE 64
#define OPRF_SEED_SIZE 32
#define OPRF_RANDOM_SIZE 64
#define OPRF_INPUT_MAX 65535
#define OPRF_INFO_MAX 65535

void oprf_key_generate(
        const uint8_t random[static OPRF_RANDOM_SIZE], uint8_t ret_key[static OPRF_KEY_SIZE]);

/* DeriveKeyPair() of section 3.2.1, without the public key. INFO is of at most OPRF_INFO_MAX
 * bytes. */
void oprf_derive_key(const uint8_t seed[static OPRF_SEED_SIZE], Bytes info,
        uint8_t ret_key[static OPRF_KEY_SIZE]);

/* What to send, and the blind that oprf_finalize() wants back. -EINVAL for an input of more than
 * OPRF_INPUT_MAX bytes; an empty one is as good as any. */
int oprf_blind(Bytes input, const uint8_t random[static OPRF_RANDOM_SIZE],
        uint8_t ret_blind[static OPRF_KEY_SIZE], uint8_t ret_blinded[static OPRF_ELEMENT_SIZE]);

/* The same with a blind that is there already: -EINVAL, too, for one that is zero or not below the
 * order of the group. */
int oprf_blind_with(Bytes input, const uint8_t blind[static OPRF_KEY_SIZE],
        uint8_t ret_blinded[static OPRF_ELEMENT_SIZE]);

/* -EBADMSG for a blinded element that is none, that is not written in its one canonical form, or
 * that is the identity, of which the answer would say nothing. -EINVAL for a key that is zero or
 * not below the order of the group. */
int oprf_evaluate(const uint8_t key[static OPRF_KEY_SIZE],
        const uint8_t blinded[static OPRF_ELEMENT_SIZE],
        uint8_t ret_evaluated[static OPRF_ELEMENT_SIZE]);

/* The output, from the input and the blind of oprf_blind(). -EBADMSG for an evaluated element that
 * oprf_evaluate() would not take as a blinded one: it never makes such a one. -EINVAL as in
 * oprf_blind_with(). */
int oprf_finalize(Bytes input, const uint8_t blind[static OPRF_KEY_SIZE],
        const uint8_t evaluated[static OPRF_ELEMENT_SIZE], uint8_t ret[static OPRF_OUTPUT_SIZE]);
