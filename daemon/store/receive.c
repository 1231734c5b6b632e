/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Others' messages. */

#include "store/private.h"

/* Whether the entry can follow what is known to be the feed's head, or be it. */
static bool fits_head(const Feed *f, const NewEntry *e) {
        uint64_t seq = e->inner->seq;

        if (f->seq > 0 && seq == f->seq)
                return memcmp(e->hash, f->hash, SHA256_SIZE) == 0;
        if (f->seq > 0 && seq == f->seq + 1)
                return memcmp(e->inner->prev, f->hash, SHA256_SIZE) == 0;
        return true; /* the first of a feed names the head of an older one, or nothing */
}

/* What fills a gap should be what its neighbours were built on; else it and they are marked. */
static int find_misfits(
        DbTxn *txn, const Feed *f, const NewEntry *e, bool *ret_before, bool *ret_after) {
        uint64_t seq = e->inner->seq;
        Entry n;
        Inner m;
        int r;

        *ret_before = *ret_after = false;
        if (seq >= f->seq)
                return 0; /* fits_head() knows better */
        r = seq > 1 ? entry_get(txn, f->number, seq - 1, &n) : 0;
        if (r < 0)
                return r;
        *ret_before = r > 0 && !entry_has_hash(&n, e->inner->prev);
        r = entry_get(txn, f->number, seq + 1, &n);
        if (r <= 0)
                return r;
        r = inner_decode(n.inner, &m);
        if (r < 0)
                return db_damaged(txn);
        *ret_after = memcmp(m.prev, e->hash, SHA256_SIZE) != 0;
        return 0;
}

static int entry_mark_fork(Store *s, uint32_t feed, uint64_t seq) {
        Entry e;
        int r;

        r = entry_get(db_write(s->db), feed, seq, &e);
        if (r <= 0)
                return r;
        e.flags |= ENTRY_FORK;
        return entry_write(s, &e);
}

/* What the cumulative receipt does not say, or from now on no more. Without the row of its last
 * entry it has no hash; who wrote it sends it again if he does not know. */
static int say_beyond(DbTxn *txn, const NewEntry *e, SeqRange beyond, ReceivedAt *at) {
        Entry last;
        int r;

        if (beyond.last == e->inner->seq) {
                memcpy(at->beyond_hash, e->hash, SHA256_SIZE);
        } else {
                r = entry_get(txn, at->feed, beyond.last, &last);
                if (r <= 0)
                        return r;
                sha256(last.inner.data, last.inner.size, at->beyond_hash);
        }
        at->beyond = beyond;
        return 0;
}

/* Moves the head on; a refused entry counts in the chain, but no receipt will speak of it. */
static int feed_advance(Store *s, Feed *f, const NewEntry *e) {
        if (e->inner->seq > f->seq) {
                f->seq = e->inner->seq;
                memcpy(f->hash, e->hash, SHA256_SIZE);
        }
        return feed_write(s, f);
}

static int feed_keep(Store *s, Feed *f, const NewEntry *e, ReceivedAt *at) {
        bool last = f->have.n == 0 || e->inner->seq > f->have.range[f->have.n - 1].last;
        SeqRange beyond;
        int r;

        beyond = ranges_push(&f->have, e->inner->seq, e->inner->seq);
        if (beyond.first > 0) {
                r = say_beyond(db_write(s->db), e, beyond, at);
                if (r < 0)
                        return r;
        }
        if (last)
                memcpy(f->have_hash, e->hash, SHA256_SIZE);
        return feed_advance(s, f, e);
}

static bool stranger_is_full(const Contact *from, const Conversation *v, size_t size) {
        return !(from->flags & CONTACT_PINNED) &&
                (v->stranger_messages >= STRANGER_MESSAGES_MAX ||
                        v->stranger_bytes + size > STRANGER_BYTES_MAX);
}

static int is_missing(DbTxn *txn, const Feed *f, uint64_t seq) {
        Entry e;
        int r;

        if (seq > f->have.dropped)
                return !ranges_have(&f->have, seq);
        r = entry_get(txn, f->number, seq, &e);
        return r < 0 ? r : r == 0 && seq < f->have.dropped;
}

static uint8_t foreign_flags(const Conversation *v, const NewEntry *e, bool gap, bool fork) {
        uint8_t flags = 0;

        if (gap)
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
        bool stranger = !(e->from->flags & CONTACT_PINNED);
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
        EventRow event = {.kind = EVENT_RECEIVED,
                .time = e->now,
                .feed = f->number,
                .seq = e->inner->seq,
                .request = stranger};
        int unread, r;

        unread = e->inner->seq < f->seq ? read_take_late(s, f->number, e->inner->seq) : 1;
        if (unread < 0)
                return unread;
        memcpy(id.content, e->hash, SHA256_SIZE);
        r = entry_write(s, &entry);
        if (r >= 0)
                r = order_write(s, v->number, e->inner, f->number);
        if (r >= 0)
                r = id_write(s, e->from->number, &e->inner->id, &id);
        if (r >= 0)
                r = event_add(s, &event);
        if (r >= 0 && stranger && v->stranger_messages == 0) {
                event.kind = EVENT_REQUEST;
                r = event_add(s, &event);
        }
        v->hlc = hlc_merge(v->hlc, e->inner->hlc, e->now);
        v->last_time = e->now;
        v->unread += (uint32_t)unread;
        if (r >= 0 && stranger)
                r = contact_set_flags(s, e->from->account, CONTACT_REQUEST, 0);
        if (stranger) {
                v->stranger_messages++;
                v->stranger_bytes += e->bytes.size;
        }
        return r < 0 ? r : conversation_write(s, v);
}

/* What there is to say without keeping anything new. 0: the entry is to be kept, if it can be. */
static int received_before(DbTxn *txn, const Feed *f, const NewEntry *e, Received *ret) {
        bool old = e->inner->seq <= f->have.dropped;
        Entry held;
        IdRow id;
        int r;

        if (old || ranges_have(&f->have, e->inner->seq)) {
                r = entry_get(txn, f->number, e->inner->seq, &held);
                if (r < 0)
                        return r;
                if (r > 0) {
                        *ret = entry_has_hash(&held, e->hash) ? RECEIVED_AGAIN : RECEIVED_FORK;
                        return 1;
                }
                /* Without a row it is an old one that comes late, or one that was counted because
                 * of its id, or that was pruned after its time. Anything else is not here. */
                if (!old) {
                        r = id_get(txn, e->from->number, &e->inner->id, &id);
                        *ret = r > 0 || e->inner->expires <= e->now ? RECEIVED_AGAIN
                                                                    : RECEIVED_FORK;
                        return r < 0 ? r : 1;
                }
        } else if (!fits_head(f, e)) {
                *ret = RECEIVED_FORK;
                return 1;
        }
        r = id_get(txn, e->from->number, &e->inner->id, &id);
        if (r > 0)
                *ret = RECEIVED_AGAIN;
        return r;
}

static int receive_kept(Store *s, const NewEntry *e, Conversation *v, Feed *f, ReceivedAt *at) {
        bool before, after;
        int gap = 0, r;

        r = find_misfits(db_write(s->db), f, e, &before, &after);
        if (r >= 0 && e->inner->seq > 1)
                r = gap = is_missing(db_write(s->db), f, e->inner->seq - 1);
        if (r < 0)
                return r;
        r = foreign_entry_write(s, e, v, f, foreign_flags(v, e, gap, before || after));
        if (r >= 0 && before)
                r = entry_mark_fork(s, f->number, e->inner->seq - 1);
        if (r >= 0 && after)
                r = entry_mark_fork(s, f->number, e->inner->seq + 1);
        return r < 0 ? r : feed_keep(s, f, e, at);
}

/* An old one, or the id under another seq, where nothing is to be read. */
static int receive_again(Store *s, Feed *f, const NewEntry *e, ReceivedAt *at) {
        uint64_t seq;
        int r;

        r = entry_find(db_write(s->db), f->number, e->inner->seq, e->inner->seq, &seq);
        if (r == 0)
                r = read_add(s, f->number, e->inner->seq);
        return r < 0 ? r : feed_keep(s, f, e, at);
}

static int receive_into(Store *s, const NewEntry *e, int room, Conversation *v, Feed *f,
        Received *ret, ReceivedAt *at) {
        int r;

        r = received_before(db_write(s->db), f, e, ret);
        if (r < 0)
                return r;
        if (r > 0 && (*ret == RECEIVED_FORK || ranges_have(&f->have, e->inner->seq)))
                return 0;
        if (r > 0)
                return receive_again(s, f, e, at);
        if (stranger_is_full(e->from, v, e->bytes.size)) {
                *ret = RECEIVED_TOO_MANY;
                return feed_advance(s, f, e);
        }
        if (e->inner->expires <= e->now) {
                *ret = RECEIVED_EXPIRED;
                return feed_advance(s, f, e);
        }
        if (room < 0)
                return room;
        *ret = RECEIVED_NEW;
        return receive_kept(s, e, v, f, at);
}

/* Without room nothing new is begun. */
static int conversation_for(Store *s, const NewEntry *e, int room, Conversation *ret) {
        int r;

        if (room >= 0)
                return conversation_open_direct(
                        s, sign_key_public(&e->self->account), e->from, ret);
        r = conversation_find(db_write(s->db), e->inner->conversation, ret);
        return r == 0 ? room : r;
}

static int feed_for(Store *s, const NewEntry *e, int room, const Conversation *v, Feed *ret) {
        const Inner *m = e->inner;
        int r;

        if (room >= 0)
                return feed_open(s, v->number, e->from->number, m->epoch, m->device, ret);
        r = feed_find(db_write(s->db), v->number, e->from->number, m->epoch, m->device, ret);
        return r == 0 ? room : r;
}

int store_receive(Store *s, const NewEntry *e, Received *ret, ReceivedAt *ret_at) {
        int room = store_check_room(s, STORE_PERCENT_MAIL), r;
        DbTxn *txn = db_write(s->db);
        const Inner *m = e->inner;
        Conversation v;
        Feed f;

        r = conversation_for(s, e, room, &v);
        if (r < 0)
                return r;
        if (stranger_is_full(e->from, &v, e->bytes.size)) {
                r = feed_find(txn, v.number, e->from->number, m->epoch, m->device, &f);
                if (r == 0)
                        *ret = RECEIVED_TOO_MANY; /* nor has a full stranger new feeds */
        } else {
                r = feed_for(s, e, room, &v, &f);
                r = r < 0 ? r : 1;
        }
        if (r <= 0)
                return r;
        *ret_at = (ReceivedAt){.feed = f.number};
        return receive_into(s, e, room, &v, &f, ret, ret_at);
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
