/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/message.h"

static DbKey entry_key(uint32_t feed, uint64_t seq) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, feed);
        db_key_u64(&k, seq);
        return k;
}

/* Entries: u8 state, u8 flags, u8 reason, u64 stored, u64 received, blob signature, INNER */

int entry_get(DbTxn *txn, uint32_t feed, uint64_t seq, Entry *ret) {
        Entry e = {.feed = feed, .seq = seq};
        DbKey k = entry_key(feed, seq);
        RowReader row;
        DbValue v;
        int r;

        r = db_get(txn, TABLE_ENTRY, &k, &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        e.state = (EntryState)row_u8(&row);
        e.flags = row_u8(&row);
        e.reason = (Code)row_u8(&row);
        e.stored = row_u64(&row);
        e.received = row_u64(&row);
        e.signature = row_blob(&row);
        e.inner = row_rest(&row);
        r = row_end(&row);
        if (r < 0)
                return r;
        *ret = e;
        return 1;
}

static int entry_write(Store *s, const Entry *e) {
        DbKey k = entry_key(e->feed, e->seq);

        row_start(&s->row);
        row_put_u8(&s->row, (uint8_t)e->state);
        row_put_u8(&s->row, e->flags);
        row_put_u8(&s->row, (uint8_t)e->reason);
        row_put_u64(&s->row, e->stored);
        row_put_u64(&s->row, e->received);
        row_put_blob(&s->row, e->signature);
        row_put_bytes(&s->row, e->inner.data, e->inner.size);
        return row_write(db_write(s->db), TABLE_ENTRY, &k, &s->row);
}

/* The order everybody shows a conversation in: (hlc, account, epoch, device, seq). */
static int order_write(Store *s, uint32_t conversation, const Inner *m, uint32_t feed) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, conversation);
        db_key_u64(&k, m->hlc);
        db_key_bytes(&k, m->account, KEY_SIZE);
        db_key_u64(&k, m->epoch);
        db_key_bytes(&k, m->device, KEY_SIZE);
        db_key_u64(&k, m->seq);
        row_start(&s->row);
        row_put_u32(&s->row, feed);
        return row_write(db_write(s->db), TABLE_ORDER, &k, &s->row);
}

/* Ids: u32 feed, u64 seq, content hash, u64 until */

static DbKey id_key(uint32_t account, const Uuid *id) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, account);
        db_key_bytes(&k, id, sizeof(*id));
        return k;
}

typedef struct IdRow {
        uint32_t feed;
        uint64_t seq;
        uint8_t content[SHA256_SIZE];
        usec_t until;
} IdRow;

static int id_get(DbTxn *txn, uint32_t account, const Uuid *id, IdRow *ret) {
        DbKey k = id_key(account, id);
        RowReader row;
        DbValue v;
        int r;

        r = db_get(txn, TABLE_ID, &k, &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        ret->feed = row_u32(&row);
        ret->seq = row_u64(&row);
        row_bytes(&row, ret->content, SHA256_SIZE);
        ret->until = row_u64(&row);
        r = row_end(&row);
        return r < 0 ? r : 1;
}

static int id_write(Store *s, uint32_t account, const Uuid *id, const IdRow *v) {
        DbKey k = id_key(account, id);

        row_start(&s->row);
        row_put_u32(&s->row, v->feed);
        row_put_u64(&s->row, v->seq);
        row_put_bytes(&s->row, v->content, SHA256_SIZE);
        row_put_u64(&s->row, v->until);
        return row_write(db_write(s->db), TABLE_ID, &k, &s->row);
}

int store_find_id(
        DbTxn *txn, uint32_t account, const Uuid *id, uint32_t *ret_feed, uint64_t *ret_seq) {
        IdRow v;
        int r;

        r = id_get(txn, account, id, &v);
        if (r <= 0 || v.seq == 0)
                return r < 0 ? r : 0;
        *ret_feed = v.feed;
        *ret_seq = v.seq;
        return 1;
}

/* Own messages */

/* What makes two sends the same: recipient, text, the message replied to and the expiry asked
 * for. */
static void content_hash(const NewMessage *m, uint8_t ret[static SHA256_SIZE]) {
        uint8_t expires[8];
        struct iovec parts[] = {
                {.iov_base = (uint8_t *)m->to->account, .iov_len = KEY_SIZE},
                {.iov_base = expires, .iov_len = sizeof(expires)},
                {.iov_base = (Uuid *)&m->reply_to, .iov_len = m->has_reply_to ? sizeof(Uuid) : 0},
                {.iov_base = (uint8_t *)m->text.data, .iov_len = m->text.size},
        };

        db_set_u64(expires, m->expires);
        sha256_parts(parts, ELEMENTSOF(parts), ret);
}

static int own_entry_make(
        const NewMessage *m, const Conversation *v, const Feed *f, Inner *ret, Buffer *out) {
        Inner i = {.id = m->id,
                .epoch = m->self->epoch,
                .seq = f->seq + 1,
                .hlc = hlc_next(v->hlc, m->now),
                .sent = m->now,
                .expires = m->expires ?: usec_add(m->now, MESSAGE_EXPIRES_DEFAULT),
                .kind = KIND_TEXT,
                .body = m->text,
                .has_reply_to = m->has_reply_to,
                .reply_to = m->reply_to};

        memcpy(i.conversation, v->hash, SHA256_SIZE);
        memcpy(i.account, sign_key_public(&m->self->account), KEY_SIZE);
        memcpy(i.device, sign_key_public(&m->self->device), KEY_SIZE);
        memcpy(i.prev, f->hash, SHA256_SIZE);
        *ret = i;
        return inner_encode(out, &i);
}

static int outbox_add(Store *s, uint32_t recipient, uint32_t feed, const Inner *m) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, recipient);
        db_key_u32(&k, feed);
        db_key_u64(&k, m->seq);
        row_start(&s->row);
        row_put_bytes(&s->row, &m->id, sizeof(m->id));
        row_put_u64(&s->row, m->expires);
        return row_write(db_write(s->db), TABLE_OUTBOX, &k, &s->row);
}

static int own_entry_write(Store *s, const NewMessage *m, const uint8_t *content, Conversation *v,
        Feed *f, const Inner *i, Bytes inner) {
        IdRow id = {.feed = f->number, .seq = i->seq, .until = usec_add(m->now, ID_KEEP_OWN)};
        int r;

        memcpy(id.content, content, SHA256_SIZE);
        r = entry_write(s, &(Entry){.feed = f->number, .seq = i->seq, .inner = inner});
        if (r >= 0)
                r = order_write(s, v->number, i, f->number);
        if (r >= 0)
                r = id_write(s, SELF_NUMBER, &m->id, &id);
        if (r >= 0)
                r = outbox_add(s, m->to->number, f->number, i);
        f->seq = i->seq;
        sha256(inner.data, inner.size, f->hash);
        if (r >= 0)
                r = feed_write(s, f);
        v->hlc = i->hlc;
        v->last_time = m->now;
        return r < 0 ? r : conversation_write(s, v);
}

int store_send(Store *s, const NewMessage *m) {
        _cleanup_(buffer_done) Buffer inner = BUFFER_NULL;
        uint8_t content[SHA256_SIZE];
        Conversation v;
        IdRow before;
        Inner i;
        Feed f;
        int r;

        content_hash(m, content);
        r = id_get(db_write(s->db), SELF_NUMBER, &m->id, &before);
        if (r < 0)
                return r;
        if (r > 0)
                return memcmp(before.content, content, SHA256_SIZE) == 0 ? 1 : -EEXIST;
        r = conversation_open_direct(s, sign_key_public(&m->self->account), m->to, &v);
        if (r < 0)
                return r;
        r = feed_open(
                s, v.number, SELF_NUMBER, m->self->epoch, sign_key_public(&m->self->device), &f);
        if (r < 0)
                return r;
        r = own_entry_make(m, &v, &f, &i, &inner);
        if (r < 0)
                return r;
        return own_entry_write(s, m, content, &v, &f, &i,
                (Bytes){.data = buffer_data(&inner), .size = buffer_size(&inner)});
}

/* Others' messages */

/* Beside its successor, which is here already, an entry must be the one that it was built on. */
static int fits_successor(DbTxn *txn, const Feed *f, const NewEntry *e, bool *ret) {
        Entry next;
        Inner m;
        int r;

        *ret = true;
        r = entry_get(txn, f->number, e->inner->seq + 1, &next);
        if (r <= 0)
                return r;
        r = inner_decode(next.inner, &m);
        if (r < 0)
                return -EUCLEAN;
        *ret = memcmp(m.prev, e->hash, SHA256_SIZE) == 0;
        return 0;
}

static bool fits_predecessor(const Feed *f, const NewEntry *e) {
        return e->inner->seq != f->seq + 1 || memcmp(e->inner->prev, f->hash, SHA256_SIZE) == 0;
}

/* Moves the head on; a refused entry counts in the chain, but no receipt will speak of it. */
static int feed_advance(Store *s, Feed *f, const NewEntry *e, bool kept) {
        bool last = f->have.n == 0 || e->inner->seq > f->have.range[f->have.n - 1].last;
        int r;

        if (kept) {
                r = ranges_add(&f->have, e->inner->seq, e->inner->seq);
                if (r < 0)
                        return r;
                if (last)
                        memcpy(f->have_hash, e->hash, SHA256_SIZE);
        }
        if (e->inner->seq > f->seq) {
                f->seq = e->inner->seq;
                memcpy(f->hash, e->hash, SHA256_SIZE);
        }
        return feed_write(s, f);
}

static bool stranger_is_full(const Contact *from, const Conversation *v, size_t size) {
        return !(from->flags & CONTACT_PINNED) &&
                (v->stranger_messages >= STRANGER_MESSAGES_MAX ||
                        v->stranger_bytes + size > STRANGER_BYTES_MAX);
}

static uint8_t foreign_flags(const Conversation *v, const Feed *f, const NewEntry *e, bool fork) {
        uint8_t flags = 0;

        if (e->inner->seq > 1 && !ranges_have(&f->have, e->inner->seq - 1))
                flags |= ENTRY_GAP;
        if (e->inner->hlc < v->hlc && usec_sub(e->now, e->inner->sent) > USEC_PER_MINUTE)
                flags |= ENTRY_LATE;
        if (hlc_time(e->inner->hlc) > usec_add(e->now, CLOCK_AHEAD_MAX))
                flags |= ENTRY_CLOCK_AHEAD;
        if (e->old_device)
                flags |= ENTRY_OLD_DEVICE;
        if (fork)
                flags |= ENTRY_FORK;
        return flags;
}

static int foreign_entry_write(
        Store *s, const NewEntry *e, Conversation *v, Feed *f, uint8_t flags) {
        IdRow id = {.feed = f->number,
                .seq = e->inner->seq,
                .until = usec_add(e->inner->expires, ID_KEEP_AFTER_EXPIRY)};
        Entry entry = {.feed = f->number,
                .seq = e->inner->seq,
                .state = ENTRY_RECEIVED,
                .flags = flags,
                .received = e->now,
                .signature = e->signature,
                .inner = e->bytes};
        int r;

        memcpy(id.content, e->hash, SHA256_SIZE);
        r = entry_write(s, &entry);
        if (r >= 0)
                r = order_write(s, v->number, e->inner, f->number);
        if (r >= 0)
                r = id_write(s, e->from->number, &e->inner->id, &id);
        v->hlc = hlc_merge(v->hlc, e->inner->hlc, e->now);
        v->last_time = e->now;
        v->unread++;
        if (!(e->from->flags & CONTACT_PINNED)) {
                v->stranger_messages++;
                v->stranger_bytes += e->bytes.size;
        }
        return r < 0 ? r : conversation_write(s, v);
}

/* Something is at this place of the feed, or its id is known. 0: neither. */
static int received_before(DbTxn *txn, const Feed *f, const NewEntry *e, Received *ret) {
        uint8_t hash[SHA256_SIZE];
        Entry held;
        IdRow id;
        int r;

        if (ranges_have(&f->have, e->inner->seq)) {
                r = entry_get(txn, f->number, e->inner->seq, &held);
                if (r < 0)
                        return r;
                *ret = RECEIVED_AGAIN; /* without a row it was counted, or pruned */
                if (r > 0) {
                        sha256(held.inner.data, held.inner.size, hash);
                        if (memcmp(hash, e->hash, SHA256_SIZE) != 0)
                                *ret = RECEIVED_FORK;
                }
                return 1;
        }
        r = id_get(txn, e->from->number, &e->inner->id, &id);
        if (r > 0)
                *ret = RECEIVED_AGAIN;
        return r;
}

int store_receive(Store *s, const NewEntry *e, Received *ret, uint32_t *ret_feed) {
        DbTxn *txn = db_write(s->db);
        Conversation v;
        bool fits;
        Feed f;
        int r;

        r = conversation_open_direct(s, sign_key_public(&e->self->account), e->from, &v);
        if (r >= 0)
                r = feed_open(s, v.number, e->from->number, e->inner->epoch, e->inner->device, &f);
        if (r < 0)
                return r;
        *ret_feed = f.number;
        r = received_before(txn, &f, e, ret);
        if (r < 0)
                return r;
        if (r > 0)
                return *ret == RECEIVED_AGAIN && !ranges_have(&f.have, e->inner->seq)
                        ? feed_advance(s, &f, e, true)
                        : 0;
        if (!fits_predecessor(&f, e)) {
                *ret = RECEIVED_FORK;
                return 0;
        }
        r = fits_successor(txn, &f, e, &fits);
        if (r < 0)
                return r;
        if (stranger_is_full(e->from, &v, e->bytes.size) ||
                (f.have.n == RECEIPT_RANGES_MAX && !ranges_have(&f.have, e->inner->seq - 1))) {
                *ret = RECEIVED_TOO_MANY;
                return 0;
        }
        if (e->inner->expires <= e->now) {
                *ret = RECEIVED_EXPIRED;
                return feed_advance(s, &f, e, false);
        }
        r = foreign_entry_write(s, e, &v, &f, foreign_flags(&v, &f, e, !fits));
        if (r < 0)
                return r;
        *ret = RECEIVED_NEW;
        return feed_advance(s, &f, e, true);
}

int store_keep_certificate(Store *s, const Certificate *c, Bytes outer) {
        DbTxn *txn = db_write(s->db);
        DbKey k = DB_KEY_NULL;
        DbValue v;
        int r;

        db_key_bytes(&k, c->device, KEY_SIZE);
        db_key_u64(&k, c->epoch);
        r = db_get(txn, TABLE_CERTIFICATE, &k, &v);
        if (r < 0)
                return r;
        if (r > 0 && v.size == ROW_HEAD_SIZE + outer.size &&
                memcmp(v.data + ROW_HEAD_SIZE, outer.data, outer.size) == 0)
                return 0;
        row_start(&s->row);
        row_put_bytes(&s->row, outer.data, outer.size);
        return row_write(txn, TABLE_CERTIFICATE, &k, &s->row);
}

int store_get_certificate(
        DbTxn *txn, const uint8_t device[static KEY_SIZE], uint64_t epoch, Bytes *ret) {
        DbKey k = DB_KEY_NULL;
        RowReader row;
        DbValue v;
        int r;

        db_key_bytes(&k, device, KEY_SIZE);
        db_key_u64(&k, epoch);
        r = db_get(txn, TABLE_CERTIFICATE, &k, &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        *ret = row_rest(&row);
        r = row_end(&row);
        return r < 0 ? r : 1;
}

/* Receipts */

int store_make_receipt(
        DbTxn *txn, uint32_t feed, const uint8_t self[static KEY_SIZE], Receipt *ret) {
        Conversation v;
        Contact author;
        Feed f;
        int r;

        r = feed_get(txn, feed, &f);
        if (r > 0)
                r = conversation_get(txn, f.conversation, &v);
        if (r > 0)
                r = contact_get_by_number(txn, f.account, &author);
        if (r <= 0 || f.have.n == 0)
                return r < 0 ? r : 0;
        *ret = (Receipt){.epoch = f.epoch, .state = RECEIPT_DELIVERED, .n_ranges = f.have.n};
        memcpy(ret->conversation, v.hash, SHA256_SIZE);
        memcpy(ret->author, author.account, KEY_SIZE);
        memcpy(ret->device, f.device, KEY_SIZE);
        memcpy(ret->ranges, f.have.range, f.have.n * sizeof(SeqRange));
        memcpy(ret->hash, f.have_hash, SHA256_SIZE);
        memcpy(ret->reader, self, KEY_SIZE);
        return 1;
}

/* Finds the own feed that a receipt of PEER's speaks of, and checks what it says of it. */
static int receipt_find_feed(
        DbTxn *txn, const Identity *self, const Contact *peer, const Receipt *rc, Feed *ret) {
        uint64_t last = rc->ranges[rc->n_ranges - 1].last;
        uint8_t hash[SHA256_SIZE];
        Conversation v;
        Entry e;
        int r;

        if (!key_equal(rc->author, sign_key_public(&self->account)) ||
                !key_equal(rc->reader, peer->account))
                return -EBADMSG;
        conversation_direct(rc->author, rc->reader, hash);
        if (memcmp(hash, rc->conversation, SHA256_SIZE) != 0)
                return -EBADMSG;
        r = conversation_find(txn, rc->conversation, &v);
        if (r > 0)
                r = feed_find(txn, v.number, SELF_NUMBER, rc->epoch, rc->device, ret);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        if (last > ret->seq)
                return -EBADMSG;
        r = entry_get(txn, ret->number, last, &e);
        if (r <= 0)
                return r; /* pruned: nothing to compare with */
        sha256(e.inner.data, e.inner.size, hash);
        return memcmp(hash, rc->hash, SHA256_SIZE) == 0 ? 1 : -EBADMSG;
}

int store_load_receipt(DbTxn *txn, uint32_t feed, Ranges *ret) {
        DbKey k = DB_KEY_NULL;
        RowReader row;
        DbValue v;
        int r;

        ret->n = 0;
        db_key_u32(&k, feed);
        r = db_get(txn, TABLE_RECEIPT, &k, &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        row_read_ranges(&row, ret);
        r = row_end(&row);
        return r < 0 ? r : 1;
}

static int receipt_save(Store *s, uint32_t feed, const Ranges *ranges) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, feed);
        row_start(&s->row);
        row_put_ranges(&s->row, ranges);
        return row_write(db_write(s->db), TABLE_RECEIPT, &k, &s->row);
}

/* Envelopes of FEED whose seq is in RANGES go. */
static int outbox_drop_covered(Store *s, uint32_t recipient, uint32_t feed, const Ranges *ranges,
        MessageStateFn fn, void *userdata) {
        DbKey prefix = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k, v;
        int r;

        db_key_u32(&prefix, recipient);
        db_key_u32(&prefix, feed);
        r = db_cursor_open(db_write(s->db), TABLE_OUTBOX, &prefix, NULL, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                uint64_t seq = k.size == prefix.size + 8 ? db_get_u64(k.data + prefix.size) : 0;
                RowReader row = row_begin(v);
                Uuid id;

                if (seq > ranges->range[ranges->n - 1].last)
                        break;
                if (!ranges_have(ranges, seq))
                        continue;
                row_bytes(&row, &id, sizeof(id));
                r = db_cursor_del(&cursor);
                if (r < 0)
                        break;
                fn(userdata, &id, ENTRY_QUEUED, true, CODE_OK);
        }
        db_cursor_close(&cursor);
        return r < 0 ? r : 0;
}

int store_take_receipt(Store *s, const Identity *self, const Contact *peer, const Receipt *rc,
        MessageStateFn fn, void *userdata) {
        Ranges ranges, now;
        Feed f;
        int r;

        r = receipt_find_feed(db_write(s->db), self, peer, rc, &f);
        if (r < 0)
                return r;
        r = store_load_receipt(db_write(s->db), f.number, &ranges);
        if (r < 0)
                return r;
        now.n = rc->n_ranges;
        memcpy(now.range, rc->ranges, rc->n_ranges * sizeof(SeqRange));
        for (size_t i = 0; i < now.n; i++) {
                r = ranges_add(&ranges, now.range[i].first, now.range[i].last);
                if (r < 0)
                        return -EBADMSG;
        }
        r = outbox_drop_covered(s, peer->number, f.number, &ranges, fn, userdata);
        return r < 0 ? r : receipt_save(s, f.number, &ranges);
}

int store_fail_message(Store *s, const Identity *self, const Contact *peer, const Uuid *id,
        EntryState state, Code reason) {
        DbTxn *txn = db_write(s->db);
        _cleanup_(freep) uint8_t *copy = NULL;
        DbKey k = DB_KEY_NULL;
        DbValue v;
        IdRow at;
        Entry e;
        int r;

        r = id_get(txn, SELF_NUMBER, id, &at);
        if (r <= 0)
                return r;
        db_key_u32(&k, peer->number);
        db_key_u32(&k, at.feed);
        db_key_u64(&k, at.seq);
        r = db_get(txn, TABLE_OUTBOX, &k, &v);
        if (r > 0)
                r = entry_get(txn, at.feed, at.seq, &e);
        if (r <= 0)
                return r;
        copy = malloc(e.inner.size);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, e.inner.data, e.inner.size);
        e.inner.data = copy;
        e.signature = (Bytes){};
        e.state = state;
        e.reason = reason;
        r = entry_write(s, &e);
        return r < 0 ? r : db_del(txn, TABLE_OUTBOX, &k);
}

/* The outbox */

static int outbox_read(DbValue k, DbValue v, OutboxRow *ret) {
        RowReader row = row_begin(v);
        OutboxRow o = {};
        int r;

        if (k.size != 16)
                return -EUCLEAN;
        o.recipient = db_get_u32(k.data);
        o.at.feed = db_get_u32(k.data + 4);
        o.at.seq = db_get_u64(k.data + 8);
        row_bytes(&row, &o.id, sizeof(o.id));
        o.expires = row_u64(&row);
        r = row_end(&row);
        if (r < 0)
                return r;
        *ret = o;
        return 1;
}

static int outbox_first(DbTxn *txn, const DbKey *prefix, const DbKey *start, OutboxRow *ret) {
        DbCursor cursor;
        DbValue k, v;
        int r;

        r = db_cursor_open(txn, TABLE_OUTBOX, prefix, start, false, &cursor);
        if (r < 0)
                return r;
        r = db_cursor_next(&cursor, &k, &v);
        if (r > 0)
                r = outbox_read(k, v, ret);
        db_cursor_close(&cursor);
        return r;
}

int outbox_next(DbTxn *txn, uint32_t recipient, OutboxPosition after, OutboxRow *ret) {
        DbKey prefix = DB_KEY_NULL, start;

        db_key_u32(&prefix, recipient);
        start = prefix;
        db_key_u32(&start, after.feed);
        db_key_u64(&start, after.seq + 1);
        return outbox_first(txn, &prefix, &start, ret);
}

int outbox_next_recipient(DbTxn *txn, uint32_t after, uint32_t *ret) {
        DbKey none = DB_KEY_NULL, start = DB_KEY_NULL;
        OutboxRow o;
        int r;

        if (after == UINT32_MAX)
                return 0;
        db_key_u32(&start, after + 1);
        r = outbox_first(txn, &none, &start, &o);
        if (r > 0)
                *ret = o.recipient;
        return r;
}

int outbox_remove(Store *s, uint32_t recipient, OutboxPosition at) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, recipient);
        db_key_u32(&k, at.feed);
        db_key_u64(&k, at.seq);
        return db_del(db_write(s->db), TABLE_OUTBOX, &k);
}

uint64_t outbox_count(DbTxn *txn) {
        return db_count(txn, TABLE_OUTBOX);
}
