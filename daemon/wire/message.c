/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/message.h"

#include <assert.h>

#define DIRECT_CONTEXT "p2pchat/1 direct"

void conversation_direct(const uint8_t a[static KEY_SIZE], const uint8_t b[static KEY_SIZE],
        uint8_t ret[static SHA256_SIZE]) {
        bool a_first = memcmp(a, b, KEY_SIZE) <= 0;
        const struct iovec parts[] = {
                {.iov_base = (char *)DIRECT_CONTEXT, .iov_len = STRLEN(DIRECT_CONTEXT)},
                {.iov_base = (uint8_t *)(a_first ? a : b), .iov_len = KEY_SIZE},
                {.iov_base = (uint8_t *)(a_first ? b : a), .iov_len = KEY_SIZE},
        };

        sha256_parts(parts, ELEMENTSOF(parts), ret);
}

int inner_encode(Buffer *out, const Inner *m) {
        CborWriter w = cbor_writer(out);

        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, MESSAGE_VERSION);
        cbor_pair_bytes(&w, 1, &m->id, sizeof(m->id));
        cbor_pair_bytes(&w, 2, m->conversation, SHA256_SIZE);
        cbor_pair_bytes(&w, 3, m->account, KEY_SIZE);
        cbor_pair_uint(&w, 4, m->epoch);
        cbor_pair_bytes(&w, 5, m->device, KEY_SIZE);
        cbor_pair_uint(&w, 6, m->seq);
        cbor_pair_bytes(&w, 7, m->prev, SHA256_SIZE);
        cbor_pair_uint(&w, 8, m->hlc);
        cbor_pair_uint(&w, 9, m->sent);
        cbor_pair_uint(&w, 10, m->expires);
        cbor_pair_uint(&w, 11, m->kind);
        cbor_pair_bytes(&w, 12, m->body.data, m->body.size);
        if (m->n_parents > 0) {
                cbor_key(&w, 13);
                cbor_put_array(&w, m->n_parents);
                for (size_t i = 0; i < m->n_parents; i++)
                        cbor_put_bytes(&w, m->parents[i], SHA256_SIZE);
        }
        if (m->has_reply_to)
                cbor_pair_bytes(&w, 14, &m->reply_to, sizeof(m->reply_to));
        cbor_pair_some(&w, 15, m->control_head);
        cbor_pair_some(&w, 16, m->ext);
        cbor_map_end(&w);
        return w.error;
}

static void inner_read_parents(CborReader *r, Inner *m) {
        m->n_parents = cbor_read_array(r, PARENTS_MAX);
        if (m->n_parents == 0)
                cbor_refuse(r); /* absence is the form of an empty list */
        for (size_t i = 0; i < m->n_parents; i++)
                cbor_read_fixed(r, m->parents[i], SHA256_SIZE);
}

static void inner_read_rest(CborReader *r, Inner *m, uint64_t key) {
        switch (key) {
        case 11:
                m->kind = cbor_read_uint(r);
                break;
        case 12:
                m->body = cbor_read_bytes(r, BODY_SIZE_MAX);
                break;
        case 13:
                inner_read_parents(r, m);
                break;
        case 14:
                cbor_read_fixed(r, &m->reply_to, sizeof(m->reply_to));
                m->has_reply_to = true;
                break;
        case 15:
                m->control_head = cbor_read_some(r, 64);
                break;
        case 16:
                m->ext = cbor_read_some(r, 2048);
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

static void inner_read_field(CborReader *r, Inner *m, uint64_t key) {
        switch (key) {
        case 0:
                if (cbor_read_uint(r) != MESSAGE_VERSION)
                        cbor_refuse(r);
                break;
        case 1:
                cbor_read_fixed(r, &m->id, sizeof(m->id));
                break;
        case 2:
                cbor_read_fixed(r, m->conversation, SHA256_SIZE);
                break;
        case 3:
                cbor_read_fixed(r, m->account, KEY_SIZE);
                break;
        case 4:
                m->epoch = cbor_read_uint(r);
                break;
        case 5:
                cbor_read_fixed(r, m->device, KEY_SIZE);
                break;
        case 6:
                m->seq = cbor_read_uint(r);
                break;
        case 7:
                cbor_read_fixed(r, m->prev, SHA256_SIZE);
                break;
        case 8:
                m->hlc = cbor_read_uint(r);
                break;
        case 9:
                m->sent = cbor_read_uint(r);
                break;
        case 10:
                m->expires = cbor_read_uint(r);
                break;
        default:
                inner_read_rest(r, m, key);
        }
}

/* The horizon of a message bounds how long every reader has to remember its id. */
static bool inner_times_are_valid(const Inner *m) {
        return m->sent <= MESSAGE_TIME_MAX && m->expires <= MESSAGE_TIME_MAX &&
                usec_sub(m->expires, m->sent) <= MESSAGE_LIFETIME_MAX;
}

int inner_decode(Bytes in, Inner *ret) {
        CborReader r = cbor_reader(in.data, in.size);
        Inner m = {};
        uint64_t key;
        CborMap map;
        int e;

        if (in.size > INNER_SIZE_MAX)
                return -EMSGSIZE;
        cbor_read_map(&r, &map);
        while (cbor_map_next(&r, &map, &key))
                inner_read_field(&r, &m, key);
        e = cbor_finish(&r, &map, 0x1fff);
        if (e < 0)
                return e;
        if (m.seq == 0 || m.seq > SEQ_MAX || bytes_are_zero(&m.id, sizeof(m.id)) ||
                !inner_times_are_valid(&m))
                return -EBADMSG;
        *ret = m;
        return 0;
}

int entry_sign(const SignKey *device, const uint8_t hash[static SHA256_SIZE],
        uint8_t ret[static SIGNATURE_SIZE]) {
        return sign(device, SIGN_MESSAGE, hash, SHA256_SIZE, ret);
}

int entry_verify(const uint8_t device[static KEY_SIZE], const uint8_t hash[static SHA256_SIZE],
        const uint8_t signature[static SIGNATURE_SIZE]) {
        return sign_verify(device, SIGN_MESSAGE, hash, SHA256_SIZE, signature);
}

int message_encode(Buffer *out, const MessageFrame *m) {
        CborWriter w = frame_begin(out, FRAME_MESSAGE, 0);

        cbor_pair_bytes(&w, 3, m->inner.data, m->inner.size);
        cbor_pair_some(&w, 4, m->signature);
        cbor_pair_some(&w, 5, m->certificate);
        return frame_end(&w);
}

int message_decode(Frame *f, MessageFrame *ret) {
        MessageFrame m = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3)
                        m.inner = cbor_read_bytes(&f->reader, INNER_SIZE_MAX);
                else if (key == 4)
                        m.signature = cbor_read_bytes(&f->reader, SIGNATURE_SIZE);
                else if (key == 5)
                        m.certificate = cbor_read_some(&f->reader, CERTIFICATE_MAX);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(3));
        if (e < 0)
                return e;
        if (f->map.seen & CBOR_BIT(4) && m.signature.size != SIGNATURE_SIZE)
                return -EBADMSG;
        *ret = m;
        return 0;
}

int ack_encode(Buffer *out, const Uuid *ids, size_t n) {
        CborWriter w = frame_begin(out, FRAME_ACK, 0);

        assert(n <= ACK_IDS_MAX);
        cbor_key(&w, 3);
        cbor_put_array(&w, n);
        for (size_t i = 0; i < n; i++)
                cbor_put_bytes(&w, &ids[i], sizeof(ids[i]));
        return frame_end(&w);
}

int ack_decode(Frame *f, Uuid ids[static ACK_IDS_MAX], size_t *ret_n) {
        size_t n = 0;
        uint64_t key;
        int e;

        while (frame_next(f, &key)) {
                if (key != 3) {
                        cbor_unknown_key(&f->reader, key);
                        continue;
                }
                n = cbor_read_array(&f->reader, ACK_IDS_MAX);
                for (size_t i = 0; i < n; i++)
                        cbor_read_fixed(&f->reader, &ids[i], sizeof(ids[i]));
        }
        e = frame_close(f, CBOR_BIT(3));
        if (e < 0)
                return e;
        *ret_n = n;
        return 0;
}

int nack_encode(Buffer *out, const Nack *n) {
        CborWriter w = frame_begin(out, FRAME_NACK, 0);

        cbor_pair_bytes(&w, 3, &n->id, sizeof(n->id));
        cbor_pair_text(&w, 4, code_name(n->code));
        cbor_pair_bool(&w, 5, n->permanent);
        if (n->retry_after > 0)
                cbor_pair_uint(&w, 6, MIN(n->retry_after, (uint64_t)RETRY_AFTER_MAX));
        return frame_end(&w);
}

int nack_decode(Frame *f, Nack *ret) {
        Nack n = {};
        uint64_t key;
        Bytes b;
        int e;

        while (frame_next(f, &key))
                switch (key) {
                case 3:
                        cbor_read_fixed(&f->reader, &n.id, sizeof(n.id));
                        break;
                case 4:
                        b = cbor_read_text(&f->reader, CODE_NAME_MAX);
                        n.code = code_of_refusal((const char *)b.data, b.size);
                        break;
                case 5:
                        n.permanent = cbor_read_bool(&f->reader);
                        break;
                case 6:
                        n.retry_after = cbor_read_positive(&f->reader, RETRY_AFTER_MAX);
                        break;
                default:
                        cbor_unknown_key(&f->reader, key);
                }
        e = frame_close(f, CBOR_BIT(3) | CBOR_BIT(4) | CBOR_BIT(5));
        if (e < 0)
                return e;
        *ret = n;
        return 0;
}

int typing_encode(Buffer *out, bool on) {
        CborWriter w = frame_begin(out, FRAME_TYPING, 0);

        cbor_pair_bool(&w, 3, on);
        return frame_end(&w);
}

int typing_decode(Frame *f, bool *ret_on) {
        bool on = false;
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3)
                        on = cbor_read_bool(&f->reader);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(3));
        if (e < 0)
                return e;
        *ret_on = on;
        return 0;
}
