/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Feeds of direct conversations and their entries, as another device of the account had them. */

#include "store/handover-private.h"

int merge_flush(HandoverMerge *m) {
        int r = 0;

        m->open = false;
        if (m->feed_changed)
                r = feed_write(m->store, &m->feed);
        if (r >= 0 && m->read_changed)
                r = read_save(m->store, m->feed.number, &m->read);
        if (r >= 0 && m->conversation_changed)
                r = conversation_write(m->store, &m->conversation);
        m->feed_changed = m->conversation_changed = m->read_changed = false;
        return r;
}

/* Nobody but this device has anything of the feed that it writes to, nor can an older one have been
 * in a higher epoch. */
static bool is_written_here(const HandoverMerge *m, const HandoverFeedName *n) {
        return n->own &&
                (n->epoch > m->self->epoch ||
                        (n->epoch == m->self->epoch &&
                                key_equal(n->device, sign_key_public(&m->self->device))));
}

static int place_open_peer(HandoverMerge *m, const uint8_t *account, Contact *ret) {
        int r;

        if (key_equal(account, sign_key_public(&m->self->account)))
                return -EBADMSG;
        r = contact_get(db_write(m->store->db), account, ret);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        memcpy(m->peer, account, KEY_SIZE);
        m->peer_number = ret->number;
        m->peer_is_stranger = !(ret->flags & CONTACT_PINNED);
        return 0;
}

static bool is_same_feed(const HandoverFeedName *a, const HandoverFeedName *b) {
        return a->own == b->own && a->epoch == b->epoch && key_equal(a->device, b->device) &&
                key_equal(a->peer, b->peer);
}

/* The feed that an item is about. -EBADMSG: it can be none of this account's, or is not there,
 * unless ADD. */
static int place_open(HandoverMerge *m, const HandoverFeedName *n, bool add) {
        DbTxn *txn = db_write(m->store->db);
        uint32_t author;
        Contact peer;
        int r;

        if (m->open && is_same_feed(&m->name, n))
                return 0;
        r = merge_flush(m);
        if (r < 0)
                return r;
        if (is_written_here(m, n))
                return -EBADMSG;
        r = place_open_peer(m, n->peer, &peer);
        if (r < 0)
                return r;
        author = n->own ? SELF_NUMBER : peer.number;
        r = conversation_open_direct(
                m->store, sign_key_public(&m->self->account), &peer, &m->conversation);
        if (r >= 0 && add)
                r = feed_open(
                        m->store, m->conversation.number, author, n->epoch, n->device, &m->feed);
        else if (r >= 0) {
                r = feed_find(txn, m->conversation.number, author, n->epoch, n->device, &m->feed);
                if (r == 0)
                        return -EBADMSG;
        }
        if (r >= 0)
                r = store_load_read(txn, m->feed.number, &m->read);
        if (r < 0)
                return r;
        m->name = *n;
        m->open = true;
        return 0;
}

static int unite_voids(HandoverMerge *m, const HandoverFeed *f) {
        bool changed = false;
        Ranges ranges;
        int r = 0;

        for (VoidReason why = VOID_CANCELLED; r >= 0 && why <= VOID_REFUSED; why++) {
                r = void_load(db_write(m->store->db), m->feed.number, why, &ranges);
                if (r >= 0 && ranges_unite(&ranges, &f->voids[why - 1])) {
                        r = void_save(m->store, m->feed.number, why, &ranges);
                        changed = true;
                }
        }
        return r < 0 ? r : changed;
}

static int unite_read(HandoverMerge *m, const HandoverFeed *f) {
        uint64_t n;
        int r;

        if (f->name.own || f->read.n == 0)
                return 0;
        r = merge_flush(m);
        if (r >= 0)
                r = read_unite(m->store, &m->feed, &f->read, &n);
        if (r >= 0)
                r = store_load_read(db_write(m->store->db), m->feed.number, &m->read);
        if (r < 0)
                return r;
        m->open = true;
        if (n == 0)
                return 0;
        m->conversation.unread -= (uint32_t)MIN(n, (uint64_t)m->conversation.unread);
        m->conversation_changed = true;
        return 1;
}

int merge_feed(HandoverMerge *m, Bytes item) {
        _cleanup_(freep) HandoverFeed *f = malloc(sizeof(*f));
        int r, changed;

        if (!f)
                return -ENOMEM;
        r = handover_get_feed(item, f);
        if (r >= 0)
                r = place_open(m, &f->name, true);
        if (r >= 0)
                r = changed = unite_voids(m, f);
        if (r >= 0)
                r = unite_read(m, f);
        if (r < 0)
                return r;
        changed |= r;
        if (f->seq > m->feed.seq) {
                m->feed.seq = f->seq;
                memcpy(m->feed.hash, f->hash, SHA256_SIZE);
                m->feed_changed = true;
        }
        return changed || m->feed_changed;
}

/* Entries */

typedef struct Merging {
        const HandoverEntry *item;
        Inner inner;
        uint8_t hash[SHA256_SIZE];
        OutboxPosition at;
} Merging;

/* What was sent is sent no more where either device knows that it has arrived or was given up. */
static int own_entry_unite(HandoverMerge *m, const Merging *e, Entry *here) {
        DbTxn *txn = db_write(m->store->db);
        OutboxRow row;
        bool waits;
        int r;

        r = outbox_get(txn, m->peer_number, e->at, &row);
        if (r < 0)
                return r;
        waits = r > 0;
        if (e->item->outbox)
                return 0; /* nothing that is not known here */
        if (waits) {
                r = outbox_remove(m->store, m->peer_number, e->at);
                if (r >= 0)
                        r = e->item->has_mail ? mail_item_put(m->store, &e->item->mail)
                                              : mail_item_remove(m->store, m->peer_number, e->at);
        } else if (!entry_is_given_up(here) || entry_is_given_up(&e->item->entry))
                return 0;
        if (r < 0)
                return r;
        r = entry_get(txn, e->at.feed, e->at.seq, here);
        if (r <= 0)
                return r;
        here->state = e->item->entry.state;
        here->reason = e->item->entry.reason;
        r = entry_write(m->store, here);
        return r < 0 ? r : 1;
}

/* The place counts as had, and there is nothing to read in it. */
static void count_as_had(HandoverMerge *m, const Merging *e) {
        Feed *f = &m->feed;

        if (m->name.own)
                return;
        if (!ranges_have(&f->have, e->at.seq) && e->at.seq > f->have.dropped) {
                bool last = f->have.n == 0 || e->at.seq > f->have.range[f->have.n - 1].last;

                (void)ranges_push(&f->have, e->at.seq, e->at.seq);
                if (last)
                        memcpy(f->have_hash, e->hash, SHA256_SIZE);
                m->feed_changed = true;
        }
}

static void advance_head(HandoverMerge *m, const Merging *e) {
        if (e->at.seq <= m->feed.seq)
                return;
        m->feed.seq = e->at.seq;
        memcpy(m->feed.hash, e->hash, SHA256_SIZE);
        m->feed_changed = true;
}

/* Read or not as it was on the other device, whatever was read here around it. */
static bool entry_take_read(HandoverMerge *m, const Merging *e) {
        bool here = ranges_have(&m->read, e->at.seq);

        if (here == e->item->read)
                return here;
        if ((here ? ranges_remove(&m->read, e->at.seq)
                  : ranges_add(&m->read, e->at.seq, e->at.seq)) < 0)
                return here; /* for want of ranges */
        m->read_changed = true;
        return !here;
}

int handover_told(HandoverMerge *m, uint32_t feed, uint64_t seq) {
        Entry e;
        int r;

        r = entry_get(db_write(m->store->db), feed, seq, &e);
        if (r <= 0 || !(e.flags & ENTRY_UNTOLD))
                return MIN(r, 0);
        e.flags &= (uint8_t)~ENTRY_UNTOLD;
        return entry_write(m->store, &e);
}

/* The other device had not heard yet that it is not the active one any more: that a message came is
 * to be heard here. */
static int say_received(HandoverMerge *m, const Merging *e) {
        int r;

        r = event_add(m->store,
                &(EventRow){.kind = EVENT_RECEIVED,
                        .time = m->now,
                        .feed = e->at.feed,
                        .seq = e->at.seq,
                        .request = m->peer_is_stranger});
        return r < 0 ? r : handover_told(m, e->at.feed, e->at.seq);
}

static int foreign_entry_add(HandoverMerge *m, const Merging *e) {
        usec_t received = e->item->entry.received, shown = MIN(received, m->now);
        bool read = entry_take_read(m, e);

        count_as_had(m, e);
        m->conversation.unread += !read;
        m->conversation.last_time = MAX(m->conversation.last_time, shown);
        if (m->peer_is_stranger) {
                m->conversation.stranger_messages++;
                m->conversation.stranger_bytes += e->item->entry.inner.size;
        }
        return !read && m->taken_over > 0 && received > m->taken_over ? say_received(m, e) : 0;
}

static int own_entry_add(HandoverMerge *m, const Merging *e) {
        usec_t shown = MIN(e->inner.sent, m->now);
        int r = 0;

        m->conversation.last_time = MAX(m->conversation.last_time, shown);
        if (e->item->outbox)
                r = outbox_add(m->store, m->peer_number, e->at.feed, &e->inner);
        return r < 0 || !e->item->has_mail ? r : mail_item_put(m->store, &e->item->mail);
}

static int entry_add(HandoverMerge *m, const Merging *e) {
        uint32_t author = m->name.own ? SELF_NUMBER : m->peer_number;
        Entry entry = e->item->entry;
        IdRow id = {.feed = e->at.feed,
                .seq = e->at.seq,
                .until = m->name.own ? usec_add(e->inner.sent, ID_KEEP_OWN)
                                     : usec_add(e->inner.expires, ID_KEEP_AFTER_EXPIRY)};
        int r;

        entry.feed = e->at.feed;
        entry.seq = e->at.seq;
        entry.flags &= (uint8_t)~ENTRY_UNTOLD;
        if (!m->name.own)
                entry.flags |= ENTRY_UNTOLD;
        memcpy(id.content, m->name.own ? e->item->content : e->hash, SHA256_SIZE);
        r = entry_write(m->store, &entry);
        if (r >= 0)
                r = order_write(m->store, m->conversation.number, &e->inner, e->at.feed);
        if (r >= 0)
                r = id_write(m->store, author, &e->inner.id, &id);
        if (r >= 0)
                r = m->name.own ? own_entry_add(m, e) : foreign_entry_add(m, e);
        if (r < 0)
                return r;
        advance_head(m, e);
        m->conversation.hlc = hlc_merge(m->conversation.hlc, e->inner.hlc, m->now);
        m->conversation_changed = true;
        return 1;
}

/* With whom the conversation is that an own entry names. */
static int find_peer(HandoverMerge *m, const Inner *i, uint8_t ret[static KEY_SIZE]) {
        Conversation v;
        Contact peer;
        int r;

        if (m->open && memcmp(m->conversation.hash, i->conversation, SHA256_SIZE) == 0) {
                memcpy(ret, m->peer, KEY_SIZE);
                return 0;
        }
        r = conversation_find(db_write(m->store->db), i->conversation, &v);
        if (r > 0)
                r = contact_get_by_number(db_write(m->store->db), v.peer, &peer);
        if (r > 0)
                memcpy(ret, peer.account, KEY_SIZE);
        return r < 0 ? r : r == 0 ? -EBADMSG : 0;
}

/* Which feed it says to be of, in the conversation of this account with the peer. */
static int entry_place(HandoverMerge *m, Merging *e) {
        HandoverFeedName n = {
                .own = key_equal(e->inner.account, sign_key_public(&m->self->account)),
                .epoch = e->inner.epoch};
        int r = 0;

        memcpy(n.device, e->inner.device, KEY_SIZE);
        if (n.own)
                r = find_peer(m, &e->inner, n.peer);
        else
                memcpy(n.peer, e->inner.account, KEY_SIZE);
        if (r >= 0)
                r = place_open(m, &n, false);
        if (r < 0)
                return r;
        if (memcmp(m->conversation.hash, e->inner.conversation, SHA256_SIZE) != 0)
                return -EBADMSG;
        e->at = (OutboxPosition){.feed = m->feed.number, .seq = e->inner.seq};
        return n.own == e->item->own ? 0 : -EBADMSG;
}

/* What is here was here first: two devices believed to be the active one, or one of them was
 * restored from a copy. What the user has written on the other one is not lost: whoever has it by
 * its id takes it once. */
static int merge_fork(HandoverMerge *m, const Merging *e) {
        IdRow id;
        int r;

        if (!m->name.own || entry_is_given_up(&e->item->entry))
                return 0;
        r = id_get(db_write(m->store->db), SELF_NUMBER, &e->inner.id, &id);
        if (r != 0)
                return MIN(r, 0);
        r = merge_flush(m);
        if (r >= 0)
                r = store_enter_anew(
                        m->store, m->self, m->peer_number, &e->inner, e->item->content);
        return r < 0 ? r : 1;
}

int merge_entry(HandoverMerge *m, Bytes item) {
        DbTxn *txn = db_write(m->store->db);
        HandoverEntry h;
        Merging e = {.item = &h};
        Entry here;
        IdRow id;
        int r;

        r = handover_get_entry(item, &h);
        if (r >= 0)
                r = inner_decode(h.entry.inner, &e.inner);
        if (r >= 0)
                r = entry_place(m, &e);
        if (r < 0)
                return r;
        h.mail.recipient = m->peer_number;
        h.mail.at = e.at;
        sha256(h.entry.inner.data, h.entry.inner.size, e.hash);
        r = entry_get(txn, e.at.feed, e.at.seq, &here);
        if (r < 0)
                return r;
        if (r > 0) {
                if (!entry_has_hash(&here, e.hash))
                        return merge_fork(m, &e);
                return m->name.own ? own_entry_unite(m, &e, &here) : 0;
        }
        r = id_get(txn, m->name.own ? SELF_NUMBER : m->peer_number, &e.inner.id, &id);
        if (r > 0)
                count_as_had(m, &e);
        return r < 0 ? r : r > 0 ? 0 : entry_add(m, &e);
}

/* The end of a feed */

/* What the peer has signed for is not sent again. */
static int outbox_sweep(HandoverMerge *m, const Ranges *delivered) {
        OutboxPosition at = {.feed = m->feed.number};
        OutboxRow row;
        int r;

        while ((r = outbox_next(db_write(m->store->db), m->peer_number, at, &row)) > 0 &&
                row.at.feed == m->feed.number) {
                at = row.at;
                if (!ranges_have(delivered, at.seq))
                        continue; /* or so old that the row itself tells */
                r = outbox_remove(m->store, m->peer_number, at);
                if (r < 0)
                        break;
        }
        return MIN(r, 0);
}

static int unite_receipts(HandoverMerge *m, const HandoverFeedEnd *f) {
        Ranges ranges;
        int r;

        r = store_load_receipt(db_write(m->store->db), m->feed.number, &ranges);
        if (r < 0 || !ranges_unite(&ranges, &f->have))
                return MIN(r, 0);
        r = receipt_save(m->store, m->feed.number, &ranges);
        if (r >= 0)
                r = outbox_sweep(m, &ranges);
        return r < 0 ? r : 1;
}

static int unite_have(HandoverMerge *m, const HandoverFeedEnd *f) {
        Ranges *have = &m->feed.have;
        uint64_t last = have->n > 0 ? have->range[have->n - 1].last : 0;

        if (!ranges_unite(have, &f->have))
                return 0;
        if (have->range[have->n - 1].last > last)
                memcpy(m->feed.have_hash, f->hash, SHA256_SIZE);
        m->feed_changed = true;
        return 1;
}

static int unite_read_receipts(HandoverMerge *m, const HandoverFeedEnd *f) {
        Ranges ranges;
        int r;

        r = store_load_read_receipt(db_write(m->store->db), m->feed.number, &ranges);
        if (r < 0 || !ranges_unite(&ranges, &f->read))
                return MIN(r, 0);
        r = read_receipt_save(m->store, m->feed.number, &ranges);
        return r < 0 ? r : 1;
}

/* Any mark will do: nothing has been sealed for it here. */
static int owe(HandoverMerge *m, ReceiptState state) {
        return mail_owe(m->store,
                &(MailOwed){.account = m->peer_number,
                        .feed = m->feed.number,
                        .state = state,
                        .mark = m->now});
}

/* A set that ends beyond the head is none of this feed. */
static bool is_within(const HandoverMerge *m, const Ranges *r) {
        return r->n == 0 || r->range[r->n - 1].last <= m->feed.seq;
}

int merge_feed_end(HandoverMerge *m, Bytes item) {
        _cleanup_(freep) HandoverFeedEnd *f = malloc(sizeof(*f));
        int r, changed;

        if (!f)
                return -ENOMEM;
        r = handover_get_feed_end(item, f);
        if (r >= 0)
                r = place_open(m, &f->name, false);
        if (r < 0)
                return r;
        if (!is_within(m, &f->have) || !is_within(m, &f->read))
                return -EBADMSG;
        r = changed = f->name.own ? unite_receipts(m, f) : unite_have(m, f);
        if (r >= 0)
                r = unite_read_receipts(m, f);
        if (r < 0)
                return r;
        changed |= r;
        if (f->owes_delivered)
                r = owe(m, RECEIPT_DELIVERED);
        if (r >= 0 && f->owes_read)
                r = owe(m, RECEIPT_READ);
        if (r >= 0)
                r = merge_flush(m);
        return r < 0 ? r : changed;
}
