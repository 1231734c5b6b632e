/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/tracker.h"

int record_frame_encode(Buffer *out, FrameType type, uint64_t request, Bytes record) {
        return frame_put_object(out, type, request, record);
}

int record_frame_decode(Frame *f, Bytes *ret_record) {
        return frame_decode_object(f, RECORD_MAX, ret_record);
}

int publish_encode(Buffer *out, uint64_t request, const Publish *p) {
        CborWriter w = frame_begin(out, FRAME_PUBLISH, request);

        cbor_pair_some(&w, 3, p->presence);
        cbor_pair_some(&w, 4, p->record);
        return frame_end(&w);
}

int publish_decode(Frame *f, Publish *ret) {
        Publish p = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3)
                        p.presence = cbor_read_some(&f->reader, PRESENCE_MAX);
                else if (key == 4)
                        p.record = cbor_read_some(&f->reader, RECORD_MAX);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, 0);
        if (e < 0)
                return e;
        *ret = p;
        return 0;
}

int lookup_encode(Buffer *out, uint64_t request, const Lookup *l) {
        CborWriter w = frame_begin(out, FRAME_LOOKUP, request);

        if (l->name[0])
                cbor_pair_text(&w, 3, l->name);
        else
                cbor_pair_bytes(&w, 4, l->account, KEY_SIZE);
        cbor_pair_some(&w, 5, l->token);
        return frame_end(&w);
}

int lookup_decode(Frame *f, Lookup *ret) {
        Lookup l = {};
        uint64_t key;
        Bytes name;
        int e;

        while (frame_next(f, &key))
                switch (key) {
                case 3:
                        name = cbor_read_text(&f->reader, NAME_MAX_LENGTH);
                        if (name_is_canonical(name.data, name.size))
                                memcpy(l.name, name.data, name.size);
                        else
                                cbor_refuse(&f->reader);
                        break;
                case 4:
                        cbor_read_fixed(&f->reader, l.account, KEY_SIZE);
                        break;
                case 5:
                        l.token = cbor_read_some(&f->reader, DEPOSIT_TOKEN_MAX);
                        break;
                default:
                        cbor_unknown_key(&f->reader, key);
                }
        e = frame_close(f, 0);
        if (e < 0)
                return e;
        if (!!(f->map.seen & CBOR_BIT(3)) == !!(f->map.seen & CBOR_BIT(4)))
                return -EBADMSG;
        *ret = l;
        return 0;
}

int lookup_answer_encode(Buffer *out, uint64_t request, const LookupAnswer *a) {
        CborWriter w = frame_begin(out, FRAME_OK, request);

        cbor_pair_bytes(&w, 3, a->record.data, a->record.size);
        cbor_pair_some(&w, 4, a->presence);
        cbor_pair_uint(&w, 5, a->last_seen);
        return frame_end(&w);
}

int lookup_answer_decode(Frame *f, LookupAnswer *ret) {
        LookupAnswer a = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3)
                        a.record = cbor_read_bytes(&f->reader, RECORD_MAX);
                else if (key == 4)
                        a.presence = cbor_read_some(&f->reader, PRESENCE_MAX);
                else if (key == 5)
                        a.last_seen = cbor_read_uint(&f->reader);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(3) | CBOR_BIT(5));
        if (e < 0)
                return e;
        *ret = a;
        return 0;
}

int list_peers_encode(Buffer *out, uint64_t request, const ListPeers *l) {
        CborWriter w = frame_begin(out, FRAME_LIST_PEERS, request);

        cbor_pair_some(&w, 3, l->after);
        cbor_pair_uint(&w, 4, l->limit);
        cbor_pair_bool(&w, 5, l->online);
        return frame_end(&w);
}

int list_peers_decode(Frame *f, ListPeers *ret) {
        ListPeers l = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3)
                        l.after = cbor_read_some(&f->reader, LIST_AFTER_MAX);
                else if (key == 4)
                        l.limit = cbor_read_uint(&f->reader);
                else if (key == 5)
                        l.online = cbor_read_bool(&f->reader);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(4) | CBOR_BIT(5));
        if (e < 0)
                return e;
        l.limit = CLAMP(l.limit, 1, LIST_PEERS_MAX);
        *ret = l;
        return 0;
}

int list_peers_answer_encode(Buffer *out, uint64_t request, const ListPeersAnswer *a) {
        CborWriter w = frame_begin(out, FRAME_OK, request);

        cbor_key(&w, 3);
        cbor_put_array(&w, a->n_peers);
        for (size_t i = 0; i < a->n_peers; i++) {
                cbor_map_begin(&w);
                cbor_pair_bytes(&w, 0, a->peers[i].record.data, a->peers[i].record.size);
                cbor_pair_some(&w, 1, a->peers[i].presence);
                cbor_map_end(&w);
        }
        cbor_pair_some(&w, 4, a->after);
        return frame_end(&w);
}

static void list_peers_read_entry(CborReader *r, Bytes *ret_record, Bytes *ret_presence) {
        uint64_t key;
        CborMap m;

        cbor_read_map(r, &m);
        while (cbor_map_next(r, &m, &key))
                if (key == 0)
                        *ret_record = cbor_read_bytes(r, RECORD_MAX);
                else if (key == 1)
                        *ret_presence = cbor_read_some(r, PRESENCE_MAX);
                else
                        cbor_unknown_key(r, key);
        if (!(m.seen & CBOR_BIT(0)))
                cbor_refuse(r);
}

int list_peers_answer_decode(Frame *f, ListPeersAnswer *ret) {
        uint64_t key;

        *ret = (ListPeersAnswer){};
        while (frame_next(f, &key))
                if (key == 3) {
                        ret->n_peers = cbor_read_array(&f->reader, LIST_PEERS_MAX);
                        for (size_t i = 0; i < ret->n_peers; i++)
                                list_peers_read_entry(
                                        &f->reader, &ret->peers[i].record, &ret->peers[i].presence);
                } else if (key == 4)
                        ret->after = cbor_read_some(&f->reader, LIST_AFTER_MAX);
                else
                        cbor_unknown_key(&f->reader, key);
        return frame_close(f, CBOR_BIT(3));
}

static void accounts_write(CborWriter *w, uint64_t key, Bytes accounts) {
        size_t n = accounts.size / KEY_SIZE;

        if (n == 0)
                return;
        cbor_key(w, key);
        cbor_put_array(w, n);
        for (size_t i = 0; i < n; i++)
                cbor_put_bytes(w, accounts.data + i * KEY_SIZE, KEY_SIZE);
}

int watch_encode(Buffer *out, uint64_t request, const Watch *watch) {
        CborWriter w = frame_begin(out, FRAME_WATCH, request);

        accounts_write(&w, 3, watch->add);
        accounts_write(&w, 4, watch->remove);
        if (watch->n_tokens > 0) {
                cbor_key(&w, 5);
                cbor_put_array(&w, watch->n_tokens);
        }
        for (size_t i = 0; i < watch->n_tokens; i++)
                cbor_put_bytes(&w, watch->tokens[i].data, watch->tokens[i].size);
        return frame_end(&w);
}

static void tokens_read(CborReader *r, Watch *w) {
        w->n_tokens = cbor_read_array(r, WATCH_TOKENS_MAX);
        if (w->n_tokens == 0)
                cbor_refuse(r);
        for (size_t i = 0; i < w->n_tokens; i++)
                w->tokens[i] = cbor_read_some(r, DEPOSIT_TOKEN_MAX);
}

static Bytes accounts_read(CborReader *r, uint8_t (*buf)[KEY_SIZE]) {
        size_t n = cbor_read_array(r, WATCH_ACCOUNTS_MAX);

        if (n == 0)
                cbor_refuse(r);
        for (size_t i = 0; i < n; i++)
                cbor_read_fixed(r, buf[i], KEY_SIZE);
        return (Bytes){.data = buf[0], .size = n * KEY_SIZE};
}

int watch_decode(Frame *f, uint8_t (*buf)[KEY_SIZE], Watch *ret) {
        Watch w = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3)
                        w.add = accounts_read(&f->reader, buf);
                else if (key == 4)
                        w.remove = accounts_read(&f->reader, buf + WATCH_ACCOUNTS_MAX);
                else if (key == 5)
                        tokens_read(&f->reader, &w);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, 0);
        if (e < 0)
                return e;
        *ret = w;
        return 0;
}

int presence_push_encode(Buffer *out, const PresencePush *p) {
        CborWriter w = frame_begin(out, FRAME_PRESENCE, 0);

        cbor_pair_bytes(&w, 3, p->account, KEY_SIZE);
        cbor_pair_bool(&w, 4, p->online);
        cbor_pair_uint(&w, 5, p->last_seen);
        cbor_pair_some(&w, 6, p->presence);
        return frame_end(&w);
}

int presence_push_decode(Frame *f, PresencePush *ret) {
        PresencePush p = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                switch (key) {
                case 3:
                        cbor_read_fixed(&f->reader, p.account, KEY_SIZE);
                        break;
                case 4:
                        p.online = cbor_read_bool(&f->reader);
                        break;
                case 5:
                        p.last_seen = cbor_read_uint(&f->reader);
                        break;
                case 6:
                        p.presence = cbor_read_some(&f->reader, PRESENCE_MAX);
                        break;
                default:
                        cbor_unknown_key(&f->reader, key);
                }
        e = frame_close(f, CBOR_BIT(3) | CBOR_BIT(4) | CBOR_BIT(5));
        if (e < 0)
                return e;
        *ret = p;
        return 0;
}
