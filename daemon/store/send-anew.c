/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Own messages that are entered once more, in the feed of the present epoch: their place in an
 * older one is, or may be, taken by something else, which a store that was restored does not know.
 */

#include "store/private.h"

/* What is entered anew, of a feed of before the present epoch. 1 or 0. */
static int find_old(DbTxn *txn, const Identity *self, OutboxPosition at, Feed *ret_feed,
        Conversation *ret, Entry *ret_entry) {
        int r;

        r = feed_get(txn, at.feed, ret_feed);
        if (r > 0 && (ret_feed->account != SELF_NUMBER || ret_feed->epoch >= self->epoch))
                return 0;
        if (r > 0)
                r = conversation_get(txn, ret_feed->conversation, ret);
        return r > 0 ? entry_get(txn, at.feed, at.seq, ret_entry) : r;
}

/* M as the next of F, with BYTES that outlive what M was read from. */
static int make_entry(const Identity *self, const Feed *f, Inner *m, Buffer *bytes) {
        m->epoch = self->epoch;
        memcpy(m->device, sign_key_public(&self->device), KEY_SIZE);
        m->seq = f->seq + 1;
        memcpy(m->prev, f->hash, SHA256_SIZE);
        return inner_encode(bytes, m);
}

static int remove_old(
        Store *s, uint32_t recipient, OutboxPosition at, const Conversation *v, const Inner *m) {
        int r;

        r = outbox_remove(s, recipient, at);
        if (r >= 0)
                r = order_remove(s, v->number, m);
        return r < 0 ? r : entry_remove(s, at.feed, at.seq);
}

static int write_new(
        Store *s, uint32_t recipient, const Conversation *v, Feed *f, const Inner *m, Bytes bytes) {
        IdRow id;
        int r;

        r = id_get(db_write(s->db), SELF_NUMBER, &m->id, &id);
        if (r == 0)
                return db_damaged(db_write(s->db));
        id.feed = f->number;
        id.seq = m->seq;
        if (r >= 0)
                r = entry_write(s, &(Entry){.feed = f->number, .seq = m->seq, .inner = bytes});
        if (r >= 0)
                r = order_write(s, v->number, m, f->number);
        if (r >= 0)
                r = id_write(s, SELF_NUMBER, &m->id, &id);
        if (r >= 0)
                r = outbox_add(s, recipient, f->number, m);
        f->seq = m->seq;
        sha256(bytes.data, bytes.size, f->hash);
        return r < 0 ? r : feed_write(s, f);
}

int store_send_anew(Store *s, const Identity *self, uint32_t recipient, OutboxPosition at) {
        _cleanup_(buffer_done) Buffer old_bytes = BUFFER_NULL, bytes = BUFFER_NULL;
        Conversation v;
        Feed old, f;
        Inner m;
        Entry e;
        int r;

        r = find_old(db_write(s->db), self, at, &old, &v, &e);
        if (r > 0)
                r = buffer_append(&old_bytes, e.inner.data, e.inner.size) < 0 ? -ENOMEM : 1;
        if (r <= 0)
                return r;
        if (inner_decode(buffer_bytes(&old_bytes), &m) < 0)
                return db_damaged(db_write(s->db));
        r = remove_old(s, recipient, at, &v, &m);
        if (r >= 0)
                r = feed_open(
                        s, v.number, SELF_NUMBER, self->epoch, sign_key_public(&self->device), &f);
        if (r >= 0)
                r = feed_find_origin(db_write(s->db), &f);
        if (r >= 0)
                r = make_entry(self, &f, &m, &bytes);
        if (r >= 0)
                r = write_new(s, recipient, &v, &f, &m, buffer_bytes(&bytes));
        return r < 0 ? r : 1;
}

int store_enter_anew(Store *s, const Identity *self, uint32_t recipient, const Inner *m,
        const uint8_t content[static SHA256_SIZE]) {
        _cleanup_(buffer_done) Buffer bytes = BUFFER_NULL;
        IdRow id = {.until = usec_add(m->sent, ID_KEEP_OWN)};
        Inner again = *m;
        Conversation v;
        Feed f;
        int r;

        memcpy(id.content, content, SHA256_SIZE);
        r = conversation_find(db_write(s->db), m->conversation, &v);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        r = feed_open(s, v.number, SELF_NUMBER, self->epoch, sign_key_public(&self->device), &f);
        if (r >= 0)
                r = feed_find_origin(db_write(s->db), &f);
        if (r >= 0)
                r = make_entry(self, &f, &again, &bytes);
        if (r >= 0)
                r = id_write(s, SELF_NUMBER, &m->id, &id);
        return r < 0 ? r : write_new(s, recipient, &v, &f, &again, buffer_bytes(&bytes));
}

/* All of them, some at a time */

#define ANEW_ROWS 256

int store_set_send_anew(Store *s, bool on) {
        DbKey k = store_meta_key("send-anew");
        int r;

        if (!on) {
                r = db_del(db_write(s->db), TABLE_META, &k);
                return MIN(r, 0);
        }
        row_start(&s->row);
        return row_write(db_write(s->db), TABLE_META, &k, &s->row);
}

int store_is_to_send_anew(DbTxn *txn) {
        DbValue v;

        return store_meta_get(txn, "send-anew", &v);
}

static int read_rows(DbTxn *txn, const OutboxRow *after, OutboxRow rows[static ANEW_ROWS]) {
        OutboxWalk walk;
        int n = 0, r;

        r = outbox_walk_all(txn, after->recipient > 0 ? after : NULL, &walk);
        if (r < 0)
                return r;
        while (n < ANEW_ROWS && (r = outbox_walk_next(&walk, &rows[n])) > 0)
                n++;
        outbox_walk_end(&walk);
        return r < 0 ? r : n;
}

/* What another device has written, and handed over, is where it is. */
static int send_own_anew(Store *s, const Identity *self, uint32_t recipient, OutboxPosition at) {
        Feed f;
        int r;

        r = feed_get(db_write(s->db), at.feed, &f);
        if (r <= 0 || !key_equal(f.device, sign_key_public(&self->device)))
                return MIN(r, 0);
        return store_send_anew(s, self, recipient, at);
}

int store_send_all_anew(Store *s, const Identity *self, OutboxRow *after) {
        OutboxRow rows[ANEW_ROWS];
        int n, r = 0;

        n = read_rows(db_write(s->db), after, rows);
        for (int i = 0; r >= 0 && i < n; i++)
                r = send_own_anew(s, self, rows[i].recipient, rows[i].at);
        if (n < 0 || r < 0)
                return MIN(n, r);
        if (n == ANEW_ROWS) {
                *after = rows[n - 1];
                return 1;
        }
        return store_set_send_anew(s, false);
}

/* What somebody has of an own feed */

int store_is_behind(DbTxn *txn, const Identity *self,
        const uint8_t conversation[static SHA256_SIZE], const FeedHead *h) {
        Conversation v;
        Entry e;
        Feed f;
        int r;

        if (!key_equal(h->device, sign_key_public(&self->device)) || h->epoch < self->epoch)
                return 0;
        if (h->epoch > self->epoch)
                return 1;
        r = conversation_find(txn, conversation, &v);
        if (r > 0)
                r = feed_find(txn, v.number, SELF_NUMBER, h->epoch, h->device, &f);
        if (r <= 0)
                return r < 0 ? r : 1;
        if (h->seq >= f.seq)
                return h->seq > f.seq || memcmp(h->hash, f.hash, SHA256_SIZE) != 0;
        r = entry_get(txn, f.number, h->seq, &e);
        return r <= 0 ? r : !entry_has_hash(&e, h->hash);
}
