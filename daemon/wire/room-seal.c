/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/room-seal.h"

#include <assert.h>

#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "crypto/hpke.h"
#include "wire/mail.h"
#include "wire/room-internal.h"

static_assert(ROOM_WRAP_CIPHERTEXT_SIZE == ROOM_KEY_SIZE + HPKE_OVERHEAD &&
                ROOM_ENTRY_OVERHEAD == AEAD_OVERHEAD && ROOM_KEY_SIZE == AEAD_KEY_SIZE,
        "as the suites say");

/* Each with its zero byte. */
#define KEY_CONTEXT "p2pchat/1 room-key"
#define WRAP_CONTEXT "p2pchat/1 room-wrap"
#define ENTRY_CONTEXT "p2pchat/1 room-entry"
#define DOOR_CONTEXT "p2pchat/1 room-door"

#define CONTEXT_BYTES(s) ((Bytes){.data = (const uint8_t *)(s), .size = sizeof(s)})

void room_key_commitment(const uint8_t room[static ROOM_ID_SIZE], uint64_t epoch,
        const uint8_t key[static ROOM_KEY_SIZE], uint8_t ret[static SHA256_SIZE]) {
        uint8_t in[sizeof(KEY_CONTEXT) + ROOM_ID_SIZE + 8 + ROOM_KEY_SIZE], *p = in;

        p = room_put_bytes(p, KEY_CONTEXT, sizeof(KEY_CONTEXT));
        p = room_put_bytes(p, room, ROOM_ID_SIZE);
        p = room_put_be64(p, epoch);
        room_put_bytes(p, key, ROOM_KEY_SIZE);
        sha256(in, sizeof(in), ret);
        explicit_bzero(in, sizeof(in));
}

/* Wraps */

int room_wrap_encode(Buffer *out, const RoomWrap *x) {
        CborWriter w = cbor_writer(out);

        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, ROOM_VERSION);
        cbor_pair_bytes(&w, 1, x->room, ROOM_ID_SIZE);
        cbor_pair_uint(&w, 2, x->epoch);
        cbor_pair_bytes(&w, 3, x->account, KEY_SIZE);
        cbor_pair_uint(&w, 4, x->prekey);
        cbor_pair_bytes(&w, 5, x->enc, sizeof(x->enc));
        cbor_pair_bytes(&w, 6, x->ciphertext, sizeof(x->ciphertext));
        cbor_map_end(&w);
        return w.error;
}

/* Nothing covers the map: no ignorable keys. */
int room_wrap_decode(Bytes in, RoomWrap *ret) {
        CborReader r = cbor_reader(in.data, in.size);
        RoomWrap x = {};
        uint64_t key;
        CborMap m;
        int e;

        if (in.size > ROOM_WRAP_MAX)
                return -EBADMSG;
        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key))
                switch (key) {
                case 0:
                        if (cbor_read_uint(&r) != ROOM_VERSION)
                                cbor_refuse(&r);
                        break;
                case 1:
                        cbor_read_fixed(&r, x.room, ROOM_ID_SIZE);
                        break;
                case 2:
                        x.epoch = cbor_read_positive(&r, ROOM_COUNT_MAX);
                        break;
                case 3:
                        cbor_read_fixed(&r, x.account, KEY_SIZE);
                        break;
                case 4:
                        x.prekey = cbor_read_uint(&r);
                        break;
                case 5:
                        cbor_read_fixed(&r, x.enc, sizeof(x.enc));
                        break;
                case 6:
                        cbor_read_fixed(&r, x.ciphertext, sizeof(x.ciphertext));
                        break;
                default:
                        cbor_refuse(&r);
                }
        e = cbor_finish(&r, &m, 0x7f);
        if (e < 0)
                return e;
        *ret = x;
        return 0;
}

#define WRAP_AAD_SIZE (ROOM_ID_SIZE + 8 + KEY_SIZE)

static Bytes wrap_aad(const RoomWrap *w, uint8_t buf[static WRAP_AAD_SIZE]) {
        uint8_t *p = buf;

        p = room_put_bytes(p, w->room, ROOM_ID_SIZE);
        p = room_put_be64(p, w->epoch);
        room_put_bytes(p, w->account, KEY_SIZE);
        return (Bytes){.data = buf, .size = WRAP_AAD_SIZE};
}

int room_wrap_seal(Buffer *out, const uint8_t room[static ROOM_ID_SIZE], uint64_t epoch,
        const uint8_t account[static KEY_SIZE], const Prekey *prekey,
        const uint8_t key[static ROOM_KEY_SIZE], const uint8_t seed[static 32]) {
        _cleanup_(buffer_done) Buffer ciphertext = BUFFER_NULL;
        RoomWrap w = {.epoch = epoch, .prekey = prekey->id};
        uint8_t aad[WRAP_AAD_SIZE];
        int r;

        if (prekey->suite != MAIL_SUITE_HPKE || prekey->key.size != MAIL_KEY_SIZE)
                return -EKEYREJECTED;
        memcpy(w.room, room, ROOM_ID_SIZE);
        memcpy(w.account, account, KEY_SIZE);
        r = hpke_seal(prekey->key.data, seed, CONTEXT_BYTES(WRAP_CONTEXT), wrap_aad(&w, aad),
                (Bytes){.data = key, .size = ROOM_KEY_SIZE}, w.enc, &ciphertext);
        if (r < 0)
                return r;
        memcpy(w.ciphertext, buffer_data(&ciphertext), sizeof(w.ciphertext));
        return room_wrap_encode(out, &w);
}

/* The commitment is public, and so need not be compared in constant time. */
int room_wrap_open(const RoomWrap *w, const uint8_t secret[static 32],
        const uint8_t commitment[static SHA256_SIZE], uint8_t ret_key[static ROOM_KEY_SIZE]) {
        _cleanup_(buffer_wipe) Buffer key = BUFFER_NULL;
        uint8_t aad[WRAP_AAD_SIZE], hash[SHA256_SIZE];
        int r;

        r = hpke_open(secret, w->enc, CONTEXT_BYTES(WRAP_CONTEXT), wrap_aad(w, aad),
                (Bytes){.data = w->ciphertext, .size = sizeof(w->ciphertext)}, &key);
        if (r < 0)
                return r;
        room_key_commitment(w->room, w->epoch, buffer_data(&key), hash);
        if (memcmp(hash, commitment, SHA256_SIZE) != 0)
                return -EBADMSG;
        memcpy(ret_key, buffer_data(&key), ROOM_KEY_SIZE);
        return 0;
}

/* Entries */

/* The key is used for this entry and no other: its number is in it, or a text that is entered anew
 * under its id would use a key twice. */
static void entry_key(const uint8_t *room_key, const Inner *m, uint8_t ret[static AEAD_KEY_SIZE]) {
        const Bytes room = {.data = m->conversation, .size = ROOM_ID_SIZE},
                    ikm = {.data = room_key, .size = ROOM_KEY_SIZE};
        uint8_t place[KEY_SIZE + 8 + KEY_SIZE + 8 + sizeof(m->id)], *p = place;
        const Bytes info[] = {CONTEXT_BYTES(ENTRY_CONTEXT), {.data = place, .size = sizeof(place)}};

        p = room_put_bytes(p, m->account, KEY_SIZE);
        p = room_put_be64(p, m->epoch);
        p = room_put_bytes(p, m->device, KEY_SIZE);
        p = room_put_be64(p, m->seq);
        room_put_bytes(p, &m->id, sizeof(m->id));
        hkdf(room, ikm, info, ELEMENTSOF(info), ret, AEAD_KEY_SIZE);
}

#define ENTRY_AAD_SIZE (ROOM_ID_SIZE + KEY_SIZE + 8 + KEY_SIZE + 8 + 8 + 8)

static Bytes entry_aad(const Inner *m, uint8_t buf[static ENTRY_AAD_SIZE]) {
        uint8_t *p = buf;

        p = room_put_bytes(p, m->conversation, ROOM_ID_SIZE);
        p = room_put_bytes(p, m->account, KEY_SIZE);
        p = room_put_be64(p, m->epoch);
        p = room_put_bytes(p, m->device, KEY_SIZE);
        p = room_put_be64(p, m->seq);
        p = room_put_be64(p, m->hlc);
        room_put_be64(p, m->kind);
        return (Bytes){.data = buf, .size = ENTRY_AAD_SIZE};
}

static const uint8_t NONCE[AEAD_NONCE_SIZE];

int room_entry_seal(
        const uint8_t key[static ROOM_KEY_SIZE], const Inner *m, Bytes text, Buffer *out) {
        uint8_t aad[ENTRY_AAD_SIZE], k[AEAD_KEY_SIZE];
        int r;

        if (m->control_head.size == 0)
                return -EBADMSG;
        entry_key(key, m, k);
        r = aead_seal(k, NONCE, entry_aad(m, aad), text, out);
        explicit_bzero(k, sizeof(k));
        return r;
}

int room_entry_open(const uint8_t key[static ROOM_KEY_SIZE], const Inner *m, Buffer *out) {
        uint8_t aad[ENTRY_AAD_SIZE], k[AEAD_KEY_SIZE];
        int r;

        entry_key(key, m, k);
        r = aead_open(k, NONCE, entry_aad(m, aad), m->body, out);
        explicit_bzero(k, sizeof(k));
        return r;
}

void room_door(const uint8_t room[static ROOM_ID_SIZE], const uint8_t key[static ROOM_KEY_SIZE],
        uint8_t ret[static ROOM_DOOR_SIZE]) {
        const Bytes info = CONTEXT_BYTES(DOOR_CONTEXT);

        hkdf((Bytes){.data = room, .size = ROOM_ID_SIZE},
                (Bytes){.data = key, .size = ROOM_KEY_SIZE}, &info, 1, ret, ROOM_DOOR_SIZE);
}
