/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "crypto/box.h"

#include <sodium.h>

int box_seal(const uint8_t key[static BOX_KEY_SIZE], const uint8_t nonce[static BOX_NONCE_SIZE],
        Bytes aad, Bytes plaintext, Buffer *out) {
        uint8_t *to = buffer_reserve(out, plaintext.size + BOX_OVERHEAD);

        if (!to)
                return -ENOMEM;
        memcpy(to, nonce, BOX_NONCE_SIZE);
        crypto_aead_xchacha20poly1305_ietf_encrypt(to + BOX_NONCE_SIZE, NULL, plaintext.data,
                plaintext.size, aad.data, aad.size, NULL, nonce, key);
        buffer_commit(out, plaintext.size + BOX_OVERHEAD);
        return 0;
}

int box_open(const uint8_t key[static BOX_KEY_SIZE], Bytes aad, Bytes box, Buffer *out) {
        uint8_t *to;

        if (box.size < BOX_OVERHEAD)
                return -EBADMSG;
        to = buffer_reserve(out, box.size - BOX_OVERHEAD);
        if (!to)
                return -ENOMEM;
        if (crypto_aead_xchacha20poly1305_ietf_decrypt(to, NULL, NULL, box.data + BOX_NONCE_SIZE,
                    box.size - BOX_NONCE_SIZE, aad.data, aad.size, box.data, key) < 0)
                return -EBADMSG;
        buffer_commit(out, box.size - BOX_OVERHEAD);
        return 0;
}
