/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "crypto/aead.h"

#include <sodium.h>

int aead_seal(const uint8_t key[static AEAD_KEY_SIZE], const uint8_t nonce[static AEAD_NONCE_SIZE],
        Bytes aad, Bytes plaintext, Buffer *out) {
        uint8_t *to = buffer_reserve(out, plaintext.size + AEAD_OVERHEAD);

        if (!to)
                return -ENOMEM;
        crypto_aead_chacha20poly1305_ietf_encrypt(
                to, NULL, plaintext.data, plaintext.size, aad.data, aad.size, NULL, nonce, key);
        buffer_commit(out, plaintext.size + AEAD_OVERHEAD);
        return 0;
}

int aead_open(const uint8_t key[static AEAD_KEY_SIZE], const uint8_t nonce[static AEAD_NONCE_SIZE],
        Bytes aad, Bytes ciphertext, Buffer *out) {
        uint8_t *to;

        if (ciphertext.size < AEAD_OVERHEAD)
                return -EBADMSG;
        to = buffer_reserve(out, ciphertext.size - AEAD_OVERHEAD);
        if (!to)
                return -ENOMEM;
        if (crypto_aead_chacha20poly1305_ietf_decrypt(to, NULL, NULL, ciphertext.data,
                    ciphertext.size, aad.data, aad.size, nonce, key) < 0)
                return -EBADMSG;
        buffer_commit(out, ciphertext.size - AEAD_OVERHEAD);
        return 0;
}
