/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/mailbox.h"

#include <assert.h>

static void ids_write(CborWriter *w, const uint8_t *ids, size_t n) {
        cbor_put_array(w, n);
        for (size_t i = 0; i < n; i++)
                cbor_put_bytes(w, ids + i * SHA256_SIZE, SHA256_SIZE);
}

/* At least one. */
static size_t ids_read(CborReader *r, uint8_t (*buf)[SHA256_SIZE], size_t max) {
        size_t n = cbor_read_array(r, max);

        if (n == 0)
                cbor_refuse(r);
        for (size_t i = 0; i < n; i++)
                cbor_read_fixed(r, buf[i], SHA256_SIZE);
        return n;
}

int deposit_encode(Buffer *out, uint64_t request, const Deposit *d) {
        CborWriter w = frame_begin(out, FRAME_DEPOSIT, request);

        cbor_pair_bytes(&w, 3, d->account, KEY_SIZE);
        cbor_pair_bytes(&w, 4, d->envelope.data, d->envelope.size);
        cbor_pair_uint(&w, 5, d->expires);
        cbor_pair_bytes(&w, 6, d->withdraw_hash, SHA256_SIZE);
        cbor_pair_some(&w, 7, d->token);
        if (d->has_stamp)
                cbor_pair_uint(&w, 8, d->stamp);
        return frame_end(&w);
}

int deposit_decode(Frame *f, Deposit *ret) {
        CborReader *r = &f->reader;
        Deposit d = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                switch (key) {
                case 3:
                        cbor_read_fixed(r, d.account, KEY_SIZE);
                        break;
                case 4:
                        d.envelope = cbor_read_bytes(r, MAIL_ENVELOPE_MAX);
                        break;
                case 5:
                        d.expires = cbor_read_uint(r);
                        break;
                case 6:
                        cbor_read_fixed(r, d.withdraw_hash, SHA256_SIZE);
                        break;
                case 7:
                        d.token = cbor_read_some(r, DEPOSIT_TOKEN_MAX);
                        break;
                case 8:
                        d.stamp = cbor_read_uint(r);
                        d.has_stamp = true;
                        break;
                default:
                        cbor_unknown_key(r, key);
                }
        e = frame_close(f, CBOR_BIT(3) | CBOR_BIT(4) | CBOR_BIT(5) | CBOR_BIT(6));
        if (e < 0)
                return e;
        *ret = d;
        return 0;
}

int deposit_answer_encode(Buffer *out, uint64_t request, const DepositAnswer *a) {
        CborWriter w = frame_begin(out, FRAME_OK, request);

        cbor_pair_uint(&w, 3, a->replicas);
        cbor_pair_some(&w, 4, a->record);
        return frame_end(&w);
}

int deposit_answer_decode(Frame *f, DepositAnswer *ret) {
        DepositAnswer a = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3)
                        a.replicas = cbor_read_uint(&f->reader);
                else if (key == 4)
                        a.record = cbor_read_some(&f->reader, RECORD_MAX);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(3));
        if (e < 0)
                return e;
        if ((a.replicas == 0) != (a.record.size > 0))
                return -EBADMSG;
        *ret = a;
        return 0;
}

int collect_encode(Buffer *out, uint64_t request, const Collect *c) {
        CborWriter w = frame_begin(out, FRAME_COLLECT, request);

        cbor_pair_some(&w, 3, c->after);
        cbor_pair_uint(&w, 4, c->limit);
        return frame_end(&w);
}

int collect_decode(Frame *f, Collect *ret) {
        Collect c = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3)
                        c.after = cbor_read_some(&f->reader, COLLECT_AFTER_MAX);
                else if (key == 4)
                        c.limit = cbor_read_uint(&f->reader);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(4));
        if (e < 0)
                return e;
        c.limit = CLAMP(c.limit, 1, COLLECT_MAX);
        *ret = c;
        return 0;
}

int collect_answer_encode(Buffer *out, uint64_t request, const CollectAnswer *a) {
        CborWriter w = frame_begin(out, FRAME_OK, request);

        cbor_key(&w, 3);
        cbor_put_array(&w, a->n_items);
        for (size_t i = 0; i < a->n_items; i++) {
                cbor_map_begin(&w);
                cbor_pair_bytes(&w, 0, a->items[i].envelope.data, a->items[i].envelope.size);
                cbor_pair_uint(&w, 1, a->items[i].expires);
                cbor_map_end(&w);
        }
        cbor_pair_some(&w, 4, a->after);
        return frame_end(&w);
}

static void collect_read_item(CborReader *r, Bytes *ret_envelope, uint64_t *ret_expires) {
        uint64_t key;
        CborMap m;

        cbor_read_map(r, &m);
        while (cbor_map_next(r, &m, &key))
                if (key == 0)
                        *ret_envelope = cbor_read_bytes(r, MAIL_ENVELOPE_MAX);
                else if (key == 1)
                        *ret_expires = cbor_read_uint(r);
                else
                        cbor_unknown_key(r, key);
        if ((m.seen & 3) != 3)
                cbor_refuse(r);
}

int collect_answer_decode(Frame *f, CollectAnswer *ret) {
        CollectAnswer a = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3) {
                        a.n_items = cbor_read_array(&f->reader, COLLECT_MAX);
                        for (size_t i = 0; i < a.n_items; i++)
                                collect_read_item(
                                        &f->reader, &a.items[i].envelope, &a.items[i].expires);
                } else if (key == 4)
                        a.after = cbor_read_some(&f->reader, COLLECT_AFTER_MAX);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(3));
        if (e < 0)
                return e;
        *ret = a;
        return 0;
}

int collected_encode(Buffer *out, uint64_t request, const Collected *c) {
        CborWriter w = frame_begin(out, FRAME_COLLECTED, request);

        if (c->ids.size > 0) {
                cbor_key(&w, 3);
                ids_write(&w, c->ids.data, c->ids.size / SHA256_SIZE);
        }
        cbor_pair_some(&w, 4, c->rekey);
        return frame_end(&w);
}

int collected_decode(Frame *f, uint8_t (*buf)[SHA256_SIZE], Collected *ret) {
        Collected c = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3)
                        c.ids = (Bytes){.data = buf[0],
                                .size = SHA256_SIZE * ids_read(&f->reader, buf, COLLECTED_MAX)};
                else if (key == 4)
                        c.rekey = cbor_read_some(&f->reader, REKEY_MAX);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, 0);
        if (e < 0)
                return e;
        *ret = c;
        return 0;
}

int mail_status_encode(Buffer *out, uint64_t request, const MailStatus *s) {
        CborWriter w = frame_begin(out, FRAME_MAIL_STATUS, request);

        assert(s->n_ids > 0 && s->n_ids <= MAIL_STATUS_MAX);
        cbor_pair_bytes(&w, 3, s->account, KEY_SIZE);
        cbor_key(&w, 4);
        ids_write(&w, s->ids[0], s->n_ids);
        return frame_end(&w);
}

int mail_status_decode(Frame *f, MailStatus *ret) {
        MailStatus s = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3)
                        cbor_read_fixed(&f->reader, s.account, KEY_SIZE);
                else if (key == 4)
                        s.n_ids = ids_read(&f->reader, s.ids, MAIL_STATUS_MAX);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(3) | CBOR_BIT(4));
        if (e < 0)
                return e;
        *ret = s;
        return 0;
}

int mail_status_answer_encode(Buffer *out, uint64_t request, const MailStatusAnswer *a) {
        CborWriter w = frame_begin(out, FRAME_OK, request);

        cbor_key(&w, 3);
        cbor_put_array(&w, a->n_items);
        for (size_t i = 0; i < a->n_items; i++) {
                cbor_map_begin(&w);
                cbor_pair_uint(&w, 0, a->items[i].state);
                cbor_pair_some(&w, 1, a->items[i].rekey);
                cbor_map_end(&w);
        }
        return frame_end(&w);
}

static void mail_status_read_item(CborReader *r, MailState *ret_state, Bytes *ret_rekey) {
        uint64_t key;
        CborMap m;

        cbor_read_map(r, &m);
        while (cbor_map_next(r, &m, &key))
                if (key == 0)
                        *ret_state = (MailState)cbor_read_uint_max(r, _MAIL_STATE_MAX - 1);
                else if (key == 1)
                        *ret_rekey = cbor_read_some(r, REKEY_MAX);
                else
                        cbor_unknown_key(r, key);
        if (!(m.seen & CBOR_BIT(0)))
                cbor_refuse(r);
}

int mail_status_answer_decode(Frame *f, MailStatusAnswer *ret) {
        MailStatusAnswer a = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3) {
                        a.n_items = cbor_read_array(&f->reader, MAIL_STATUS_MAX);
                        for (size_t i = 0; i < a.n_items; i++)
                                mail_status_read_item(
                                        &f->reader, &a.items[i].state, &a.items[i].rekey);
                } else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(3));
        if (e < 0)
                return e;
        *ret = a;
        return 0;
}

int withdraw_encode(Buffer *out, uint64_t request, const Withdraw *d) {
        CborWriter w = frame_begin(out, FRAME_WITHDRAW, request);

        cbor_pair_bytes(&w, 3, d->account, KEY_SIZE);
        cbor_pair_bytes(&w, 4, d->id, SHA256_SIZE);
        cbor_pair_bytes(&w, 5, d->secret, WITHDRAW_SECRET_SIZE);
        return frame_end(&w);
}

int withdraw_decode(Frame *f, Withdraw *ret) {
        Withdraw w = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3)
                        cbor_read_fixed(&f->reader, w.account, KEY_SIZE);
                else if (key == 4)
                        cbor_read_fixed(&f->reader, w.id, SHA256_SIZE);
                else if (key == 5)
                        cbor_read_fixed(&f->reader, w.secret, WITHDRAW_SECRET_SIZE);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(3) | CBOR_BIT(4) | CBOR_BIT(5));
        if (e < 0)
                return e;
        *ret = w;
        return 0;
}

int mail_waiting_encode(Buffer *out, uint64_t items) {
        CborWriter w = frame_begin(out, FRAME_MAIL_WAITING, 0);

        cbor_pair_uint(&w, 3, items);
        return frame_end(&w);
}

int mail_waiting_decode(Frame *f, uint64_t *ret_items) {
        uint64_t items = 0;
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3)
                        items = cbor_read_uint(&f->reader);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(3));
        if (e < 0)
                return e;
        *ret_items = items;
        return 0;
}
