/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/private.h"
#include "store/seal-private.h"

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
        row = row_open_message(v, TABLE_ENTRY, &k);
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
        if (e.state > ENTRY_RECEIVED || e.reason > _CODE_MAX ||
                (e.signature.size != 0 && e.signature.size != SIGNATURE_SIZE))
                return db_damaged(txn);
        *ret = e;
        return 1;
}

int entry_write(Store *s, const Entry *e) {
        DbKey k = entry_key(e->feed, e->seq);

        row_start(&s->row);
        row_put_u8(&s->row, (uint8_t)e->state);
        row_put_u8(&s->row, e->flags);
        row_put_u8(&s->row, (uint8_t)e->reason);
        row_put_u64(&s->row, e->stored);
        row_put_u64(&s->row, e->received);
        row_put_blob(&s->row, e->signature);
        row_put_bytes(&s->row, e->inner.data, e->inner.size);
        return row_write_message(s, TABLE_ENTRY, &k);
}

int entry_inner(DbTxn *txn, uint32_t feed, uint64_t seq, Inner *ret) {
        Entry e;
        int r;

        r = entry_get(txn, feed, seq, &e);
        if (r <= 0)
                return r;
        return inner_decode(e.inner, ret) < 0 ? db_damaged(txn) : 1;
}

static int entry_step(DbCursor *cursor, uint64_t *ret) {
        DbValue k, v;
        int r;

        r = db_cursor_next(cursor, &k, &v);
        if (r > 0 && k.size != 12)
                r = db_damaged(cursor->txn);
        if (r > 0)
                *ret = db_get_u64(k.data + 4);
        return r;
}

int entry_find(DbTxn *txn, uint32_t feed, uint64_t first, uint64_t last, uint64_t *ret) {
        DbKey prefix = DB_KEY_NULL, start = entry_key(feed, first);
        DbCursor cursor;
        uint64_t seq;
        int r;

        db_key_u32(&prefix, feed);
        r = db_cursor_open(txn, TABLE_ENTRY, &prefix, &start, false, &cursor);
        if (r < 0)
                return r;
        r = entry_step(&cursor, &seq);
        db_cursor_close(&cursor);
        if (r <= 0 || seq > last)
                return r < 0 ? r : 0;
        *ret = seq;
        return 1;
}

int entry_count(DbTxn *txn, uint32_t feed, uint64_t first, uint64_t last, uint64_t *ret) {
        DbKey prefix = DB_KEY_NULL, start = entry_key(feed, first);
        uint64_t seq, n = 0;
        DbCursor cursor;
        int r;

        db_key_u32(&prefix, feed);
        r = db_cursor_open(txn, TABLE_ENTRY, &prefix, &start, false, &cursor);
        if (r < 0)
                return r;
        while ((r = entry_step(&cursor, &seq)) > 0 && seq <= last)
                n++;
        db_cursor_close(&cursor);
        if (r < 0)
                return r;
        *ret = n;
        return 0;
}

int entry_find_before(DbTxn *txn, uint32_t feed, uint64_t seq, uint64_t *ret) {
        DbKey prefix = DB_KEY_NULL, start = entry_key(feed, seq);
        DbCursor cursor;
        int r;

        db_key_u32(&prefix, feed);
        r = db_cursor_open(txn, TABLE_ENTRY, &prefix, &start, true, &cursor);
        if (r < 0)
                return r;
        r = entry_step(&cursor, ret);
        db_cursor_close(&cursor);
        return r;
}

bool entry_has_hash(const Entry *e, const uint8_t hash[static SHA256_SIZE]) {
        uint8_t h[SHA256_SIZE];

        sha256(e->inner.data, e->inner.size, h);
        return memcmp(h, hash, SHA256_SIZE) == 0;
}

int entry_remove(Store *s, uint32_t feed, uint64_t seq) {
        DbKey k = entry_key(feed, seq);

        return db_del(db_write(s->db), TABLE_ENTRY, &k);
}

static DbKey order_key(uint32_t conversation, const Inner *m) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, conversation);
        db_key_u64(&k, m->hlc);
        db_key_bytes(&k, m->account, KEY_SIZE);
        db_key_u64(&k, m->epoch);
        db_key_bytes(&k, m->device, KEY_SIZE);
        db_key_u64(&k, m->seq);
        return k;
}

int order_remove(Store *s, uint32_t conversation, const Inner *m) {
        DbKey k = order_key(conversation, m);

        return db_del(db_write(s->db), TABLE_ORDER, &k);
}

int order_write(Store *s, uint32_t conversation, const Inner *m, uint32_t feed) {
        DbKey k = order_key(conversation, m);

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

int id_get(DbTxn *txn, uint32_t account, const Uuid *id, IdRow *ret) {
        DbKey k = id_key(account, id);
        RowReader row;
        DbValue v;
        int r;

        r = db_get(txn, TABLE_ID, &k, &v);
        if (r <= 0)
                return r;
        row = row_open_message(v, TABLE_ID, &k);
        ret->feed = row_u32(&row);
        ret->seq = row_u64(&row);
        row_bytes(&row, ret->content, SHA256_SIZE);
        ret->until = row_u64(&row);
        r = row_end(&row);
        return r < 0 ? r : 1;
}

int id_write(Store *s, uint32_t account, const Uuid *id, const IdRow *v) {
        DbKey k = id_key(account, id);

        row_start(&s->row);
        row_put_u32(&s->row, v->feed);
        row_put_u64(&s->row, v->seq);
        row_put_bytes(&s->row, v->content, SHA256_SIZE);
        row_put_u64(&s->row, v->until);
        return row_write_message(s, TABLE_ID, &k);
}

int id_remove(Store *s, uint32_t account, const Uuid *id) {
        DbKey k = id_key(account, id);

        return db_del(db_write(s->db), TABLE_ID, &k);
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
static int content_hash(Buffer *scratch, const NewMessage *m, uint8_t ret[static SHA256_SIZE]) {
        uint8_t expires[8];
        int r;

        db_set_u64(expires, m->expires);
        buffer_clear(scratch);
        r = buffer_append(scratch, m->to->account, KEY_SIZE);
        if (r >= 0)
                r = buffer_append(scratch, expires, sizeof(expires));
        if (r >= 0 && m->has_reply_to)
                r = buffer_append(scratch, &m->reply_to, sizeof(m->reply_to));
        if (r >= 0)
                r = buffer_append(scratch, m->text.data, m->text.size);
        if (r >= 0)
                sha256(buffer_data(scratch), buffer_size(scratch), ret);
        return r;
}

/* What readers would refuse is not written. */
static bool can_be_sent(const NewMessage *m) {
        return m->text.size <= TEXT_SIZE_MAX && !bytes_are_zero(&m->id, sizeof(m->id)) &&
                m->now <= MESSAGE_TIME_MAX - MESSAGE_EXPIRES_MAX &&
                m->expires <= m->now + MESSAGE_EXPIRES_MAX;
}

static int note_head(void *userdata, DbTxn *txn, const Feed *f) {
        Feed *newest = userdata;

        if (f->seq > 0)
                memcpy(newest->hash, f->hash, SHA256_SIZE);
        return 0;
}

int feed_find_origin(DbTxn *txn, Feed *f) {
        if (f->seq > 0)
                return 0;
        return feed_each(txn, f->conversation, SELF_NUMBER, note_head, f);
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

        buffer_clear(out);
        memcpy(i.conversation, v->hash, SHA256_SIZE);
        memcpy(i.account, sign_key_public(&m->self->account), KEY_SIZE);
        memcpy(i.device, sign_key_public(&m->self->device), KEY_SIZE);
        memcpy(i.prev, f->hash, SHA256_SIZE);
        *ret = i;
        return inner_encode(out, &i);
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
        uint8_t content[SHA256_SIZE];
        Conversation v;
        IdRow before;
        Inner i;
        Feed f;
        int r;

        if (!can_be_sent(m))
                return -EINVAL;
        r = content_hash(&s->inner, m, content);
        if (r >= 0)
                r = id_get(db_write(s->db), SELF_NUMBER, &m->id, &before);
        if (r < 0)
                return r;
        if (r > 0)
                return memcmp(before.content, content, SHA256_SIZE) == 0 ? 1 : -EEXIST;
        r = store_check_room(s, STORE_PERCENT_OWN);
        if (r < 0)
                return r;
        r = conversation_open_direct(s, sign_key_public(&m->self->account), m->to, &v);
        if (r < 0)
                return r;
        r = feed_open(
                s, v.number, SELF_NUMBER, m->self->epoch, sign_key_public(&m->self->device), &f);
        if (r >= 0)
                r = feed_find_origin(db_write(s->db), &f);
        if (r >= 0)
                r = own_entry_make(m, &v, &f, &i, &s->inner);
        return r < 0 ? r : own_entry_write(s, m, content, &v, &f, &i, buffer_bytes(&s->inner));
}

/* Given up */

static int entry_give_up(Store *s, uint32_t recipient, OutboxPosition at, const Failure *f) {
        EventRow event = {.kind = EVENT_STATE,
                .time = f->now,
                .feed = at.feed,
                .seq = at.seq,
                .id = *f->id,
                .state = f->state == ENTRY_EXPIRED ? MESSAGE_EXPIRED : MESSAGE_FAILED,
                .reason = f->reason};
        Entry e;
        int r;

        r = outbox_remove(s, recipient, at);
        if (r > 0)
                r = entry_get(db_write(s->db), at.feed, at.seq, &e);
        if (r <= 0)
                return r;
        e.state = f->state;
        e.reason = f->reason;
        r = entry_write(s, &e);
        if (r >= 0)
                r = void_add(s, at.feed, at.seq, f->reason);
        if (r >= 0)
                r = event_add(s, &event);
        return r < 0 ? r : 1;
}

int store_fail_message(Store *s, uint32_t recipient, const Failure *f) {
        IdRow at;
        int r;

        r = id_get(db_write(s->db), SELF_NUMBER, f->id, &at);
        if (r <= 0)
                return r;
        return entry_give_up(s, recipient, (OutboxPosition){.feed = at.feed, .seq = at.seq}, f);
}

int store_cancel(Store *s, const Uuid *id, usec_t now) {
        Failure f = {.id = id, .state = ENTRY_FAILED, .reason = CODE_CANCELLED, .now = now};
        OutboxRow row;
        int r;

        r = outbox_find(db_write(s->db), id, &row);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        r = entry_give_up(s, row.recipient, row.at, &f);
        return r == 0 ? -EALREADY : r;
}
