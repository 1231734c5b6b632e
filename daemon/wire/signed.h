/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A signed object: {0: body as a byte string, 1: signature, 2: counter-signature}. The signatures
 * cover the body as it came, so verification never encodes again (the idea of COSE_Sign1,
 * RFC 9052).
 */

#include "crypto/sign.h"
#include "wire/cbor.h"

typedef struct Signed {
        Bytes body;
        uint8_t signature[SIGNATURE_SIZE];
        bool countersigned;
        uint8_t countersignature[SIGNATURE_SIZE];
} Signed;

/* Form only. Who reads an object that has one signature refuses a counter-signature, which nothing
 * would check. */
int signed_decode(Bytes outer, Signed *ret);

/* Appends the object. COUNTER may be NULL. */
int signed_encode(
        Buffer *out, SignContext context, Bytes body, const SignKey *key, const SignKey *counter);
