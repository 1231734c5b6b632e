/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/hello.h"

int hello_encode(Buffer *out, const Hello *h) {
        CborWriter w = frame_begin(out, FRAME_HELLO, 0);

        cbor_key(&w, 3);
        cbor_put_array(&w, h->n_versions);
        for (size_t i = 0; i < h->n_versions; i++)
                cbor_put_uint(&w, h->versions[i]);
        if (h->expects)
                cbor_pair_bytes(&w, 4, h->expected, KEY_SIZE);
        cbor_pair_some(&w, 5, h->certificate);
        cbor_pair_some(&w, 6, h->record);
        cbor_pair_bytes(&w, 7, h->boot_nonce, BOOT_NONCE_SIZE);
        cbor_pair_uint(&w, 8, h->heartbeat);
        cbor_key(&w, 9);
        cbor_put_array(&w, h->n_features);
        for (size_t i = 0; i < h->n_features; i++)
                cbor_put_uint(&w, h->features[i]);
        if (h->time > 0)
                cbor_pair_uint(&w, 10, h->time);
        return frame_end(&w);
}

static void hello_read_lists(CborReader *r, Hello *h, uint64_t key) {
        if (key == 3) {
                h->n_versions = cbor_read_array(r, HELLO_VERSIONS_MAX);
                for (size_t i = 0; i < h->n_versions; i++)
                        h->versions[i] = cbor_read_uint(r);
        } else {
                h->n_features = cbor_read_array(r, HELLO_FEATURES_MAX);
                for (size_t i = 0; i < h->n_features; i++)
                        h->features[i] = (uint16_t)cbor_read_uint_max(r, UINT16_MAX);
        }
}

int hello_decode(Frame *f, Hello *ret) {
        CborReader *r = &f->reader;
        Hello h = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                switch (key) {
                case 3:
                case 9:
                        hello_read_lists(r, &h, key);
                        break;
                case 4:
                        cbor_read_fixed(r, h.expected, KEY_SIZE);
                        h.expects = true;
                        break;
                case 5:
                        h.certificate = cbor_read_some(r, CERTIFICATE_MAX);
                        break;
                case 6:
                        h.record = cbor_read_some(r, RECORD_MAX);
                        break;
                case 7:
                        cbor_read_fixed(r, h.boot_nonce, BOOT_NONCE_SIZE);
                        break;
                case 8:
                        h.heartbeat = (uint32_t)cbor_read_uint_max(r, UINT32_MAX);
                        break;
                case 10:
                        h.time = cbor_read_positive(r, UINT64_MAX);
                        break;
                default:
                        cbor_unknown_key(r, key);
                }
        e = frame_close(f, CBOR_BIT(3) | CBOR_BIT(7) | CBOR_BIT(8) | CBOR_BIT(9));
        if (e < 0)
                return e;
        h.heartbeat = CLAMP(h.heartbeat, HEARTBEAT_MIN, HEARTBEAT_MAX);
        *ret = h;
        return 0;
}

bool hello_has_version(const Hello *h, uint64_t version) {
        for (size_t i = 0; i < h->n_versions; i++)
                if (h->versions[i] == version)
                        return true;
        return false;
}

bool hello_has_feature(const Hello *h, uint16_t feature) {
        for (size_t i = 0; i < h->n_features; i++)
                if (h->features[i] == feature)
                        return true;
        return false;
}

void feed_head_write(CborWriter *w, const FeedHead *h) {
        cbor_map_begin(w);
        cbor_pair_uint(w, 0, h->epoch);
        cbor_pair_bytes(w, 1, h->device, KEY_SIZE);
        cbor_pair_uint(w, 2, h->seq);
        cbor_pair_bytes(w, 3, h->hash, SHA256_SIZE);
        cbor_map_end(w);
}

void feed_head_read(CborReader *r, FeedHead *h) {
        uint64_t key;
        CborMap m;

        cbor_read_map(r, &m);
        while (cbor_map_next(r, &m, &key))
                if (key == 0)
                        h->epoch = cbor_read_uint(r);
                else if (key == 1)
                        cbor_read_fixed(r, h->device, KEY_SIZE);
                else if (key == 2)
                        h->seq = cbor_read_uint(r);
                else if (key == 3)
                        cbor_read_fixed(r, h->hash, SHA256_SIZE);
                else
                        cbor_unknown_key(r, key);
        if ((m.seen & 0xf) != 0xf)
                cbor_refuse(r);
}

static int hello_ok_write(Buffer *out, const HelloOk *h, Bytes presence) {
        CborWriter w = frame_begin(out, FRAME_HELLO_OK, 0);

        cbor_pair_some(&w, 3, h->deposit_token);
        cbor_pair_some(&w, 4, h->presence_key);
        if (h->has_head) {
                cbor_key(&w, 5);
                feed_head_write(&w, &h->head);
        }
        cbor_pair_some(&w, 6, h->receipt);
        cbor_pair_some(&w, 7, presence);
        return frame_end(&w);
}

int grant_encode(Buffer *out, const Grant *g) {
        CborWriter w = frame_begin(out, FRAME_GRANT, 0);

        cbor_pair_some(&w, 3, g->deposit_token);
        cbor_pair_some(&w, 4, g->presence_key);
        return frame_end(&w);
}

int grant_decode(Frame *f, Grant *ret) {
        CborReader *r = &f->reader;
        Grant g = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3)
                        g.deposit_token = cbor_read_some(r, DEPOSIT_TOKEN_MAX);
                else if (key == 4)
                        g.presence_key = cbor_read_some(r, PRESENCE_KEY_MAX);
                else
                        cbor_unknown_key(r, key);
        e = frame_close(f, 0);
        if (e < 0)
                return e;
        *ret = g;
        return 0;
}

int announce_encode(Buffer *out, Bytes presence) {
        return frame_put_object(out, FRAME_ANNOUNCE, 0, presence);
}

int announce_decode(Frame *f, Bytes *ret_presence) {
        return frame_decode_object(f, PRESENCE_MAX, ret_presence);
}

int hello_ok_encode(Buffer *out, const HelloOk *h) {
        int r;

        r = hello_ok_write(out, h, h->presence);
        if (r == -EMSGSIZE)
                r = hello_ok_write(out, h, (Bytes){});
        return r;
}

int hello_ok_decode(Frame *f, HelloOk *ret) {
        CborReader *r = &f->reader;
        HelloOk h = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                switch (key) {
                case 3:
                        h.deposit_token = cbor_read_some(r, DEPOSIT_TOKEN_MAX);
                        break;
                case 4:
                        h.presence_key = cbor_read_some(r, PRESENCE_KEY_MAX);
                        break;
                case 5:
                        feed_head_read(r, &h.head);
                        h.has_head = true;
                        break;
                case 6:
                        h.receipt = cbor_read_some(r, FRAME_HELLO_MAX);
                        break;
                case 7:
                        h.presence = cbor_read_some(r, PRESENCE_MAX);
                        break;
                default:
                        cbor_unknown_key(r, key);
                }
        e = frame_close(f, 0);
        if (e < 0)
                return e;
        *ret = h;
        return 0;
}

/* At most REASON_TEXT_MAX bytes of the sentence, cut between two characters. */
static void put_reason(CborWriter *w, uint64_t key, const char *text) {
        size_t n = strnlen(text, REASON_TEXT_MAX + 1);

        if (n > REASON_TEXT_MAX)
                for (n = REASON_TEXT_MAX; n > 0 && ((uint8_t)text[n] & 0xc0) == 0x80;)
                        n--;
        cbor_key(w, key);
        cbor_put_text_bytes(w, (Bytes){.data = (const uint8_t *)text, .size = n});
}

int bye_encode(Buffer *out, Code code, const char *text, Bytes record) {
        CborWriter w = frame_begin(out, FRAME_BYE, 0);

        cbor_pair_text(&w, 3, code_name(code));
        put_reason(&w, 4, text);
        cbor_pair_some(&w, 5, record);
        return frame_end(&w);
}

int error_encode(Buffer *out, uint64_t request, Code code, const char *text, uint64_t retry_after) {
        CborWriter w = frame_begin(out, FRAME_ERROR, request);

        retry_after = MIN(retry_after, (uint64_t)RETRY_AFTER_MAX);
        cbor_pair_text(&w, 3, code_name(code));
        put_reason(&w, 4, text);
        if (retry_after > 0)
                cbor_pair_uint(&w, 5, retry_after);
        return frame_end(&w);
}

int refusal_decode(Frame *f, Refusal *ret) {
        CborReader *r = &f->reader;
        Refusal x = {.code = _CODE_MAX};
        uint64_t key;
        Bytes b;
        int e;

        while (frame_next(f, &key))
                switch (key) {
                case 3:
                        b = cbor_read_text(r, CODE_NAME_MAX);
                        x.code = f->type == FRAME_BYE
                                ? code_from_name((const char *)b.data, b.size)
                                : code_of_refusal((const char *)b.data, b.size);
                        break;
                case 4:
                        x.text = cbor_read_text(r, REASON_TEXT_MAX);
                        break;
                case 5:
                        if (f->type == FRAME_BYE)
                                x.record = cbor_read_some(r, RECORD_MAX);
                        else
                                x.retry_after = cbor_read_positive(r, RETRY_AFTER_MAX);
                        break;
                default:
                        cbor_unknown_key(r, key);
                }
        e = frame_close(f, CBOR_BIT(3) | CBOR_BIT(4));
        if (e < 0)
                return e;
        *ret = x;
        return 0;
}
