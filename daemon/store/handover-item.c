/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/handover-cbor.h"

#include "util/text.h"
#include "wire/account.h"

/* Sets */

static void pair_ranges(CborWriter *w, uint64_t key, const Ranges *r) {
        if (r->n == 0)
                return;
        cbor_key(w, key);
        cbor_put_array(w, 1 + 2 * r->n);
        cbor_put_uint(w, r->dropped);
        for (size_t i = 0; i < r->n; i++) {
                cbor_put_uint(w, r->range[i].first);
                cbor_put_uint(w, r->range[i].last);
        }
}

static void read_ranges(CborReader *r, Ranges *ret) {
        size_t n = cbor_read_array(r, 1 + 2 * (size_t)RECEIPT_RANGES_MAX);
        uint64_t before;

        if (n < 3 || n % 2 == 0) {
                cbor_refuse(r);
                return;
        }
        before = ret->dropped = cbor_read_uint_max(r, SEQ_MAX);
        for (size_t i = 0; i < n / 2; i++) {
                SeqRange *x = &ret->range[i];

                x->first = cbor_read_positive(r, SEQ_MAX);
                x->last = cbor_read_positive(r, SEQ_MAX);
                /* What follows the last that was dropped may touch it. */
                if (x->last < x->first || x->first <= before || (i > 0 && x->first - 1 == before))
                        cbor_refuse(r);
                before = x->last;
        }
        ret->n = r->error < 0 ? 0 : n / 2;
}

/* Prekeys and the presence key */

int handover_put_prekey(Buffer *out, const PrekeyRow *p) {
        CborWriter w;

        item_begin(&w, out, HANDOVER_PREKEY);
        cbor_pair_uint(&w, 1, p->id);
        cbor_pair_uint(&w, 2, p->suite);
        cbor_pair_bytes(&w, 3, p->secret, sizeof(p->secret));
        cbor_pair_bytes(&w, 4, p->public, sizeof(p->public));
        pair_positive(&w, 5, p->made);
        pair_positive(&w, 6, p->superseded);
        return item_end(&w);
}

int handover_get_prekey(Bytes item, PrekeyRow *ret) {
        ItemReader i = item_open(item, HANDOVER_PREKEY);
        PrekeyRow p = {};
        uint64_t key;
        int r;

        while (item_next(&i, &key))
                switch (key) {
                case 1:
                        p.id = cbor_read_uint_max(&i.r, INT64_MAX);
                        break;
                case 2:
                        p.suite = cbor_read_uint(&i.r);
                        break;
                case 3:
                        cbor_read_fixed(&i.r, p.secret, sizeof(p.secret));
                        break;
                case 4:
                        cbor_read_fixed(&i.r, p.public, sizeof(p.public));
                        break;
                case 5:
                        p.made = cbor_read_positive(&i.r, UINT64_MAX);
                        break;
                case 6:
                        p.superseded = cbor_read_positive(&i.r, UINT64_MAX);
                        break;
                default:
                        cbor_unknown_key(&i.r, key);
                }
        r = item_close(&i, CBOR_BIT(1) | CBOR_BIT(2) | CBOR_BIT(3) | CBOR_BIT(4));
        if (r >= 0)
                *ret = p;
        explicit_bzero(&p, sizeof(p));
        return r;
}

int handover_put_presence_key(Buffer *out, const uint8_t key[static BOX_KEY_SIZE]) {
        CborWriter w;

        item_begin(&w, out, HANDOVER_PRESENCE_KEY);
        cbor_pair_bytes(&w, 1, key, BOX_KEY_SIZE);
        return item_end(&w);
}

int handover_get_presence_key(Bytes item, uint8_t ret[static BOX_KEY_SIZE]) {
        ItemReader i = item_open(item, HANDOVER_PRESENCE_KEY);
        uint64_t key;

        while (item_next(&i, &key))
                if (key == 1)
                        cbor_read_fixed(&i.r, ret, BOX_KEY_SIZE);
                else
                        cbor_unknown_key(&i.r, key);
        return item_close(&i, CBOR_BIT(1));
}

/* People */

static void put_endpoints(CborWriter *w, const Endpoints *e) {
        if (e->n == 0)
                return;
        cbor_key(w, 8);
        cbor_put_array(w, e->n);
        for (size_t i = 0; i < e->n; i++)
                cbor_put_text(w, e->text[i]);
}

static void read_endpoints(CborReader *r, Endpoints *ret) {
        size_t n = cbor_read_array(r, ENDPOINTS_MAX);

        if (n == 0)
                cbor_refuse(r);
        for (; ret->n < n && r->error >= 0; ret->n++) {
                Bytes b = cbor_read_text(r, sizeof(ret->text[0]) - 1);

                copy_bytes(ret->text[ret->n], b.data, b.size);
        }
        if (r->error < 0)
                ret->n = 0;
}

int handover_put_person(Buffer *out, const HandoverPerson *p) {
        CborWriter w;

        item_begin(&w, out, HANDOVER_PERSON);
        cbor_pair_bytes(&w, 1, p->account, KEY_SIZE);
        pair_positive(&w, 2, p->flags);
        cbor_pair_some(&w, 3, p->record);
        if (p->alias[0])
                cbor_pair_text(&w, 4, p->alias);
        pair_positive(&w, 5, p->last_seen);
        if (p->has_rival)
                cbor_pair_bytes(&w, 6, p->rival, KEY_SIZE);
        pair_true(&w, 7, p->named);
        put_endpoints(&w, &p->endpoints);
        cbor_pair_some(&w, 9, p->token);
        if (p->has_key)
                cbor_pair_bytes(&w, 10, p->key, BOX_KEY_SIZE);
        for (unsigned i = 0; i < _DECIDED_MAX; i++)
                pair_positive(&w, 11 + i, p->decided[i]);
        return item_end(&w);
}

static void read_alias(CborReader *r, char ret[static NAME_SIZE]) {
        Bytes b = cbor_read_text(r, NAME_SIZE - 1);

        if (!name_is_canonical(b.data, b.size))
                cbor_refuse(r);
        else
                copy_bytes(ret, b.data, b.size);
}

static void read_person(CborReader *r, uint64_t key, HandoverPerson *p) {
        switch (key) {
        case 1:
                cbor_read_fixed(r, p->account, KEY_SIZE);
                break;
        case 2:
                p->flags = (uint8_t)cbor_read_positive(r, UINT8_MAX);
                break;
        case 3:
                p->record = cbor_read_some(r, RECORD_MAX);
                break;
        case 4:
                read_alias(r, p->alias);
                break;
        case 5:
                p->last_seen = cbor_read_positive(r, UINT64_MAX);
                break;
        case 6:
                cbor_read_fixed(r, p->rival, KEY_SIZE);
                p->has_rival = true;
                break;
        case 7:
                read_true(r, &p->named);
                break;
        case 8:
                read_endpoints(r, &p->endpoints);
                break;
        case 9:
                p->token = cbor_read_some(r, DEPOSIT_TOKEN_MAX);
                break;
        case 10:
                cbor_read_fixed(r, p->key, BOX_KEY_SIZE);
                p->has_key = true;
                break;
        case 11 ... 11 + _DECIDED_MAX - 1:
                p->decided[key - 11] = cbor_read_positive(r, UINT64_MAX);
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

int handover_get_person(Bytes item, HandoverPerson *ret) {
        ItemReader i = item_open(item, HANDOVER_PERSON);
        uint64_t key;

        *ret = (HandoverPerson){};
        while (item_next(&i, &key))
                read_person(&i.r, key, ret);
        return item_close(&i, CBOR_BIT(1));
}

int handover_put_certificate(Buffer *out, Bytes outer) {
        CborWriter w;

        item_begin(&w, out, HANDOVER_CERTIFICATE);
        cbor_pair_bytes(&w, 1, outer.data, outer.size);
        return item_end(&w);
}

int handover_get_certificate(Bytes item, Bytes *ret) {
        ItemReader i = item_open(item, HANDOVER_CERTIFICATE);
        uint64_t key;

        while (item_next(&i, &key))
                if (key == 1)
                        *ret = cbor_read_some(&i.r, CERTIFICATE_MAX);
                else
                        cbor_unknown_key(&i.r, key);
        return item_close(&i, CBOR_BIT(1));
}

/* Feeds */

#define FEED_NAME_KEYS (CBOR_BIT(1) | CBOR_BIT(3) | CBOR_BIT(4))

static void put_feed_name(CborWriter *w, const HandoverFeedName *n) {
        cbor_pair_bytes(w, 1, n->peer, KEY_SIZE);
        pair_true(w, 2, n->own);
        cbor_pair_uint(w, 3, n->epoch);
        cbor_pair_bytes(w, 4, n->device, KEY_SIZE);
}

/* False: the key is none of these. */
static bool read_feed_name(CborReader *r, uint64_t key, HandoverFeedName *n) {
        switch (key) {
        case 1:
                cbor_read_fixed(r, n->peer, KEY_SIZE);
                return true;
        case 2:
                read_true(r, &n->own);
                return true;
        case 3:
                n->epoch = cbor_read_uint(r);
                return true;
        case 4:
                cbor_read_fixed(r, n->device, KEY_SIZE);
                return true;
        default:
                return false;
        }
}

int handover_put_feed(Buffer *out, const HandoverFeed *f) {
        CborWriter w;

        item_begin(&w, out, HANDOVER_FEED);
        put_feed_name(&w, &f->name);
        if (f->seq > 0) {
                cbor_pair_uint(&w, 5, f->seq);
                cbor_pair_bytes(&w, 6, f->hash, SHA256_SIZE);
        }
        pair_ranges(&w, 7, &f->read);
        for (size_t i = 0; i < ELEMENTSOF(f->voids); i++)
                pair_ranges(&w, 8 + i, &f->voids[i]);
        return item_end(&w);
}

int handover_get_feed(Bytes item, HandoverFeed *ret) {
        ItemReader i = item_open(item, HANDOVER_FEED);
        bool hashed = false;
        uint64_t key;

        *ret = (HandoverFeed){};
        while (item_next(&i, &key)) {
                if (read_feed_name(&i.r, key, &ret->name))
                        continue;
                if (key == 5) {
                        ret->seq = cbor_read_positive(&i.r, SEQ_MAX);
                } else if (key == 6) {
                        cbor_read_fixed(&i.r, ret->hash, SHA256_SIZE);
                        hashed = true;
                } else if (key == 7) {
                        read_ranges(&i.r, &ret->read);
                } else if (key < 8 + ELEMENTSOF(ret->voids)) {
                        read_ranges(&i.r, &ret->voids[key - 8]);
                } else
                        cbor_unknown_key(&i.r, key);
        }
        /* What has been read is never dropped, and nothing is read of an own feed. */
        if (hashed != (ret->seq > 0) || ret->read.dropped > 0 || (ret->name.own && ret->read.n > 0))
                cbor_refuse(&i.r);
        return item_close(&i, FEED_NAME_KEYS);
}

int handover_put_feed_end(Buffer *out, const HandoverFeedEnd *f) {
        CborWriter w;

        item_begin(&w, out, HANDOVER_FEED_END);
        put_feed_name(&w, &f->name);
        pair_ranges(&w, 5, &f->have);
        if (!f->name.own && f->have.n > 0)
                cbor_pair_bytes(&w, 6, f->hash, SHA256_SIZE);
        pair_ranges(&w, 7, &f->read);
        pair_true(&w, 8, f->owes_delivered);
        pair_true(&w, 9, f->owes_read);
        return item_end(&w);
}

int handover_get_feed_end(Bytes item, HandoverFeedEnd *ret) {
        ItemReader i = item_open(item, HANDOVER_FEED_END);
        bool hashed = false;
        uint64_t key;

        *ret = (HandoverFeedEnd){};
        while (item_next(&i, &key)) {
                if (read_feed_name(&i.r, key, &ret->name))
                        continue;
                switch (key) {
                case 5:
                        read_ranges(&i.r, &ret->have);
                        break;
                case 6:
                        cbor_read_fixed(&i.r, ret->hash, SHA256_SIZE);
                        hashed = true;
                        break;
                case 7:
                        read_ranges(&i.r, &ret->read);
                        break;
                case 8:
                        read_true(&i.r, &ret->owes_delivered);
                        break;
                case 9:
                        read_true(&i.r, &ret->owes_read);
                        break;
                default:
                        cbor_unknown_key(&i.r, key);
                }
        }
        if (hashed != (!ret->name.own && ret->have.n > 0) ||
                (ret->name.own && (ret->owes_delivered || ret->owes_read)))
                cbor_refuse(&i.r);
        return item_close(&i, FEED_NAME_KEYS);
}

/* Entries */

#define MAIL_KEYS (CBOR_BIT(11) | CBOR_BIT(12) | CBOR_BIT(13) | CBOR_BIT(14))

static void put_mail(CborWriter *w, const MailItem *m) {
        cbor_pair_bytes(w, 11, m->id, sizeof(m->id));
        cbor_pair_bytes(w, 12, m->secret, sizeof(m->secret));
        cbor_pair_uint(w, 13, m->sealed);
        cbor_pair_uint(w, 14, m->expires);
        cbor_pair_some(w, 15,
                (Bytes){.data = m->trackers[0], .size = m->n_trackers * sizeof(m->trackers[0])});
}

int handover_put_entry(Buffer *out, const HandoverEntry *e) {
        CborWriter w;

        item_begin(&w, out, HANDOVER_ENTRY);
        cbor_pair_bytes(&w, 1, e->entry.inner.data, e->entry.inner.size);
        pair_positive(&w, 2, e->entry.state);
        pair_positive(&w, 3, e->entry.flags);
        pair_positive(&w, 4, e->entry.reason);
        pair_positive(&w, 5, e->entry.stored);
        pair_positive(&w, 6, e->entry.received);
        cbor_pair_some(&w, 7, e->entry.signature);
        if (e->own)
                cbor_pair_bytes(&w, 8, e->content, SHA256_SIZE);
        pair_true(&w, 9, e->outbox);
        pair_true(&w, 10, e->read);
        if (e->has_mail)
                put_mail(&w, &e->mail);
        return item_end(&w);
}

static void read_mail(CborReader *r, uint64_t key, MailItem *m) {
        Bytes b;

        switch (key) {
        case 11:
                cbor_read_fixed(r, m->id, sizeof(m->id));
                break;
        case 12:
                cbor_read_fixed(r, m->secret, sizeof(m->secret));
                break;
        case 13:
                m->sealed = cbor_read_uint(r);
                break;
        case 14:
                m->expires = cbor_read_uint(r);
                break;
        case 15:
                b = cbor_read_some(r, sizeof(m->trackers));
                if (b.size % KEY_SIZE != 0)
                        cbor_refuse(r);
                copy_bytes(m->trackers, b.data, b.size);
                m->n_trackers = b.size / KEY_SIZE;
                break;
        default:
                cbor_unknown_key(r, key);
        }
}

static void read_entry(CborReader *r, uint64_t key, HandoverEntry *e) {
        switch (key) {
        case 1:
                e->entry.inner = cbor_read_some(r, INNER_SIZE_MAX);
                break;
        case 2:
                e->entry.state = (EntryState)cbor_read_positive(r, ENTRY_RECEIVED);
                break;
        case 3:
                e->entry.flags = (uint8_t)cbor_read_positive(r, UINT8_MAX);
                break;
        case 4:
                e->entry.reason = (Code)cbor_read_positive(r, _CODE_MAX);
                break;
        case 5:
                e->entry.stored = cbor_read_positive(r, UINT64_MAX);
                break;
        case 6:
                e->entry.received = cbor_read_positive(r, UINT64_MAX);
                break;
        case 7:
                e->entry.signature = cbor_read_some(r, SIGNATURE_SIZE);
                if (e->entry.signature.size != SIGNATURE_SIZE)
                        cbor_refuse(r);
                break;
        case 8:
                cbor_read_fixed(r, e->content, SHA256_SIZE);
                e->own = true;
                break;
        case 9:
                read_true(r, &e->outbox);
                break;
        case 10:
                read_true(r, &e->read);
                break;
        default:
                read_mail(r, key, &e->mail);
        }
}

/* What an own one has, and what the peer's. */
static bool entry_is_consistent(const HandoverEntry *e, uint64_t seen) {
        bool given_up = e->entry.state == ENTRY_FAILED || e->entry.state == ENTRY_EXPIRED;

        if ((seen & MAIL_KEYS) != 0 && (seen & MAIL_KEYS) != MAIL_KEYS)
                return false;
        if (seen & CBOR_BIT(15) && !e->has_mail)
                return false;
        if (e->own)
                return e->entry.state != ENTRY_RECEIVED && !e->read &&
                        e->entry.signature.size == 0 && !(e->outbox && given_up);
        return e->entry.state == ENTRY_RECEIVED && !e->outbox && !e->has_mail;
}

int handover_get_entry(Bytes item, HandoverEntry *ret) {
        ItemReader i = item_open(item, HANDOVER_ENTRY);
        uint64_t key;

        *ret = (HandoverEntry){};
        while (item_next(&i, &key))
                read_entry(&i.r, key, ret);
        ret->has_mail = i.m.seen & CBOR_BIT(11);
        if (!entry_is_consistent(ret, i.m.seen))
                cbor_refuse(&i.r);
        return item_close(&i, CBOR_BIT(1));
}

/* Ids, settings */

int handover_put_id(Buffer *out, const HandoverId *h) {
        CborWriter w;

        item_begin(&w, out, HANDOVER_ID);
        if (h->has_account)
                cbor_pair_bytes(&w, 1, h->account, KEY_SIZE);
        cbor_pair_bytes(&w, 2, &h->id, sizeof(h->id));
        cbor_pair_bytes(&w, 3, h->content, SHA256_SIZE);
        cbor_pair_uint(&w, 4, h->until);
        return item_end(&w);
}

int handover_get_id(Bytes item, HandoverId *ret) {
        ItemReader i = item_open(item, HANDOVER_ID);
        uint64_t key;

        *ret = (HandoverId){};
        while (item_next(&i, &key))
                switch (key) {
                case 1:
                        cbor_read_fixed(&i.r, ret->account, KEY_SIZE);
                        ret->has_account = true;
                        break;
                case 2:
                        cbor_read_fixed(&i.r, &ret->id, sizeof(ret->id));
                        break;
                case 3:
                        cbor_read_fixed(&i.r, ret->content, SHA256_SIZE);
                        break;
                case 4:
                        ret->until = cbor_read_uint(&i.r);
                        break;
                default:
                        cbor_unknown_key(&i.r, key);
                }
        return item_close(&i, CBOR_BIT(2) | CBOR_BIT(3) | CBOR_BIT(4));
}

int handover_put_chosen_presence(Buffer *out, const ChosenPresence *c) {
        CborWriter w;

        item_begin(&w, out, HANDOVER_CHOSEN_PRESENCE);
        cbor_pair_uint(&w, 1, c->presence);
        if (c->note[0])
                cbor_pair_text(&w, 2, c->note);
        return item_end(&w);
}

int handover_get_chosen_presence(Bytes item, ChosenPresence *ret) {
        ItemReader i = item_open(item, HANDOVER_CHOSEN_PRESENCE);
        uint64_t key;
        Bytes b;

        *ret = (ChosenPresence){};
        while (item_next(&i, &key))
                switch (key) {
                case 1:
                        ret->presence = (Presence)cbor_read_positive(&i.r, _PRESENCE_MAX - 1);
                        break;
                case 2:
                        b = cbor_read_text(&i.r, PRESENCE_NOTE_MAX);
                        if (b.size == 0 || memchr(b.data, 0, b.size))
                                cbor_refuse(&i.r);
                        else
                                copy_bytes(ret->note, b.data, b.size);
                        break;
                default:
                        cbor_unknown_key(&i.r, key);
                }
        return item_close(&i, CBOR_BIT(1));
}

int handover_put_password(Buffer *out, const PasswordRow *p) {
        CborWriter w;

        item_begin(&w, out, HANDOVER_PASSWORD);
        cbor_pair_bytes(&w, 1, p->tracker, KEY_SIZE);
        cbor_pair_bytes(&w, 2, p->statement.data, p->statement.size);
        return item_end(&w);
}

int handover_get_password(Bytes item, PasswordRow *ret) {
        ItemReader i = item_open(item, HANDOVER_PASSWORD);
        uint64_t key;

        *ret = (PasswordRow){};
        while (item_next(&i, &key))
                switch (key) {
                case 1:
                        cbor_read_fixed(&i.r, ret->tracker, KEY_SIZE);
                        break;
                case 2:
                        ret->statement = cbor_read_some(&i.r, ACCOUNT_STATEMENT_MAX);
                        break;
                default:
                        cbor_unknown_key(&i.r, key);
                }
        return item_close(&i, CBOR_BIT(1) | CBOR_BIT(2));
}
