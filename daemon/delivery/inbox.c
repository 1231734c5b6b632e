/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Receiving: authenticate, dedupe, commit, and only then acknowledge. */

#include "delivery/private.h"

/* Of an entry that was held; a larger block goes back at once. */
#define HELD_KEEP 1024

void inbox_drop_held(Peer *p) {
        for (size_t i = 0; p->held && i < BURST_ENTRIES_MAX; i++)
                buffer_done(&p->held[i].bytes);
        p->held = mfree(p->held);
        p->n_held = p->held_bytes = 0;
}

/* What an entry on this link must be, whatever it says. Negative closes the link: the other end
 * signs for nothing that it has not written itself. */
static int check_entry(const Peer *p, const Inner *m) {
        if (memcmp(p->conversation, m->conversation, SHA256_SIZE) != 0 ||
                !key_equal(m->account, p->account))
                return -EBADMSG;
        return 0;
}

/* Same feed, next seq, and built on the one before. */
static bool continues(const Held *before, const Inner *m) {
        return m->epoch == before->inner.epoch && key_equal(m->device, before->inner.device) &&
                m->seq == before->inner.seq + 1 && memcmp(m->prev, before->hash, SHA256_SIZE) == 0;
}

static Bytes moved(Bytes b, Bytes from, Bytes to) {
        return b.size == 0 ? b : (Bytes){.data = to.data + (b.data - from.data), .size = b.size};
}

static int hold(Peer *p, const Inner *m, Bytes bytes, const uint8_t *hash) {
        Bytes copy;
        Held *h;
        int r;

        if (p->n_held >= BURST_ENTRIES_MAX || p->held_bytes + bytes.size > BURST_BYTES_MAX)
                return -EPROTO;
        if (!p->held) {
                p->held = calloc(BURST_ENTRIES_MAX, sizeof(*p->held));
                if (!p->held)
                        return -ENOMEM;
        }
        h = &p->held[p->n_held];
        buffer_clear(&h->bytes);
        r = buffer_append(&h->bytes, bytes.data, bytes.size);
        if (r < 0)
                return r;
        copy = buffer_bytes(&h->bytes);
        h->inner = *m;
        h->inner.body = moved(m->body, bytes, copy);
        h->inner.control_head = moved(m->control_head, bytes, copy);
        h->inner.ext = moved(m->ext, bytes, copy);
        memcpy(h->hash, hash, SHA256_SIZE);
        p->n_held++;
        p->held_bytes += bytes.size;
        return 0;
}

/* Small blocks wait for the next burst. */
static void held_done(Peer *p) {
        for (size_t i = 0; i < p->n_held; i++)
                if (p->held[i].bytes.allocated > HELD_KEEP)
                        buffer_done(&p->held[i].bytes);
        p->n_held = p->held_bytes = 0;
}

/* The certificate whose device signed: the link's, or the one beside the entry, which must be the
 * same account's and have been valid when the entry was written. */
static int find_signer(
        const Peer *p, const Inner *m, Bytes outer, Certificate *ret, bool *ret_old) {
        const Certificate *own = link_certificate(p->link);
        Certificate c;

        *ret_old = false;
        if (outer.size == 0) {
                *ret = *own;
                if (m->epoch == own->epoch && key_equal(m->device, own->device))
                        return 0;
                /* Handed-over entries are signed again by the account's newest device. */
                *ret_old = true;
                return device_compare(own->epoch, own->device, m->epoch, m->device) > 0 ? 0
                                                                                        : -EBADMSG;
        }
        if (certificate_decode(outer, &c) < 0 || !key_equal(c.account, p->account) ||
                c.epoch != m->epoch || !key_equal(c.device, m->device) || m->sent >= c.expires)
                return -EBADMSG;
        *ret_old = c.epoch < own->epoch;
        if (*ret_old && m->sent >= own->issued)
                return -EBADMSG;
        *ret = c;
        return 0;
}

static void nack(Peer *p, const Uuid *id, Code code, bool permanent) {
        if (!p->link || !link_is_open(p->link))
                return;
        (void)nack_encode(link_output(p->link),
                &(Nack){.id = *id,
                        .code = code,
                        .permanent = permanent,
                        .retry_after = permanent ? 0 : 30});
        link_queued(p->link);
}

static OwedReceipt *owe_receipt(Peer *p, uint32_t feed) {
        for (size_t i = 0; i < p->n_receipts; i++)
                if (p->receipts[i].feed == feed)
                        return &p->receipts[i];
        /* Bounded by what one batch takes in. Without memory it is said at the next link. */
        if (p->n_receipts == p->allocated_receipts) {
                size_t n = MAX(2 * p->allocated_receipts, (size_t)4);
                OwedReceipt *receipts = reallocarray(p->receipts, n, sizeof(*receipts));

                if (!receipts)
                        return NULL;
                p->receipts = receipts;
                p->allocated_receipts = n;
        }
        p->receipts[p->n_receipts] = (OwedReceipt){.feed = feed};
        return &p->receipts[p->n_receipts++];
}

void inbox_owe_receipt(Peer *p, uint32_t feed) {
        p->owes = true;
        (void)owe_receipt(p, feed);
}

/* Where there is no memory, it is sent again over the next link. */
static void owe_beyond(Peer *p, const ReceivedAt *at) {
        OwedReceipt *owed = owe_receipt(p, at->feed);
        Ranges *b;
        bool last;

        if (!owed)
                return;
        if (!owed->beyond)
                owed->beyond = calloc(1, sizeof(*owed->beyond));
        b = owed->beyond;
        if (!b)
                return;
        last = b->n == 0 || at->beyond.last >= b->range[b->n - 1].last;
        if (ranges_add(b, at->beyond.first, at->beyond.last) >= 0 && last)
                memcpy(owed->beyond_hash, at->beyond_hash, SHA256_SIZE);
}

/* Bounded by what one batch takes in. Without memory the receipt speaks for itself. */
static void owe_ack(Peer *p, const Uuid *id, const ReceivedAt *at) {
        p->owes = true;
        (void)owe_receipt(p, at->feed);
        if (at->beyond.first > 0)
                owe_beyond(p, at);
        if (p->n_acks == p->allocated_acks) {
                size_t n = MAX(2 * p->allocated_acks, (size_t)16);
                Uuid *acks = reallocarray(p->acks, n, sizeof(*acks));

                if (!acks)
                        return;
                p->acks = acks;
                p->allocated_acks = n;
        }
        p->acks[p->n_acks++] = *id;
}

static int take_entry(Peer *p, const Contact *from, const Inner *m, Bytes bytes,
        const uint8_t *hash, Bytes signature, bool old_device, bool *ret_new) {
        Delivery *d = p->delivery;
        NewEntry e = {.self = d->self,
                .from = from,
                .inner = m,
                .bytes = bytes,
                .hash = hash,
                .signature = signature,
                .old_device = old_device,
                .now = loop_realtime(d->loop)};
        ReceivedAt at;
        Received what;
        int r;

        r = store_receive(d->store, &e, &what, &at);
        if (r < 0)
                return r;
        switch (what) {
        case RECEIVED_NEW:
                owe_ack(p, &m->id, &at);
                typing_end(p);
                *ret_new = true;
                break;
        case RECEIVED_AGAIN:
                owe_ack(p, &m->id, &at);
                break;
        case RECEIVED_EXPIRED:
                nack(p, &m->id, CODE_EXPIRED, true);
                break;
        case RECEIVED_FORK:
                nack(p, &m->id, CODE_FORK, false);
                r = store_contest(d->store, at.feed, m->seq); /* a receipt may come first */
                if (r < 0)
                        return r;
                break;
        case RECEIVED_TOO_MANY:
                nack(p, &m->id, CODE_TOO_MANY, true);
                break;
        }
        return delivery_await_commit(d);
}

/* All that is held, then the signed entry itself. RET_TAKEN: how many of them. */
static int take_proven(Peer *p, const Inner *m, const MessageFrame *f, const uint8_t *hash,
        const Certificate *signer, bool old, size_t *ret_taken) {
        Delivery *d = p->delivery;
        bool is_new = false;
        Contact from;
        int r;

        *ret_taken = 0;
        r = contact_get(store_write(d->store), p->account, &from);
        if (r == 0)
                r = -ENOENT;
        if (r >= 0)
                r = newcomer_take(p, &from);
        if (r >= 0 && contact_is_accepted(&from))
                peer_grant(p);
        for (size_t i = 0; r >= 0 && i < p->n_held; i++) {
                r = take_entry(p, &from, &p->held[i].inner, buffer_bytes(&p->held[i].bytes),
                        p->held[i].hash, (Bytes){}, old, &is_new);
                *ret_taken += r >= 0;
        }
        if (r >= 0)
                r = take_entry(p, &from, m, f->inner, hash, f->signature, old, &is_new);
        if (r >= 0 && is_new)
                r = store_keep_certificate(d->store, signer,
                        f->certificate.size > 0 ? f->certificate : link_certificate_outer(p->link));
        return r;
}

static int take_burst(Peer *p, const Inner *m, const MessageFrame *f, const uint8_t *hash) {
        Certificate signer;
        size_t taken;
        bool old;
        int r;

        r = find_signer(p, m, f->certificate, &signer, &old);
        if (r >= 0)
                r = entry_verify(signer.device, hash, f->signature.data);
        if (r < 0)
                return r;
        r = take_proven(p, m, f, hash, &signer, old, &taken);
        if (r == -EUSERS) {
                for (size_t i = taken; i < p->n_held; i++)
                        nack(p, &p->held[i].inner.id, CODE_RATE_LIMITED, false);
                nack(p, &m->id, CODE_RATE_LIMITED, false);
        } else if (r < 0) {
                delivery_store_failed(p->delivery, "A message could not be stored", r);
                /* So that the sender comes again over this link; with what was taken before the
                 * failure inbox_settle() deals. */
                for (size_t i = taken; i < p->n_held; i++)
                        nack(p, &p->held[i].inner.id, CODE_PEER_STORAGE, false);
                nack(p, &m->id, CODE_PEER_STORAGE, false);
        }
        held_done(p);
        return 0;
}

int inbox_take_message(Peer *p, Frame *f) {
        uint8_t hash[SHA256_SIZE];
        MessageFrame frame;
        Inner m;
        int r;

        r = message_decode(f, &frame);
        if (r >= 0)
                r = inner_decode(frame.inner, &m);
        if (r >= 0)
                r = check_entry(p, &m);
        if (r < 0)
                return r;
        sha256(frame.inner.data, frame.inner.size, hash);
        if (p->n_held > 0 && !continues(&p->held[p->n_held - 1], &m))
                return -EPROTO; /* the entry before a hole must be signed */
        if (frame.signature.size == 0)
                return hold(p, &m, frame.inner, hash);
        return take_burst(p, &m, &frame, hash);
}

/* After the commit */

static void say_receipt(Peer *p, const Receipt *rc) {
        _cleanup_(buffer_done) Buffer object = BUFFER_NULL;

        if (receipt_encode(&object, rc, &p->delivery->self->device) < 0)
                return; /* said again at the next link */
        (void)receipt_frame_encode(link_output(p->link), buffer_bytes(&object));
}

/* Before the cumulative one, which makes its author drop what this one speaks of. */
static void say_beyond(Peer *p, const Receipt *cumulative, const OwedReceipt *owed) {
        _cleanup_(freep) Receipt *rc = malloc(sizeof(*rc));

        if (!rc)
                return;
        *rc = *cumulative;
        rc->n_ranges = owed->beyond->n;
        memcpy(rc->ranges, owed->beyond->range, rc->n_ranges * sizeof(SeqRange));
        memcpy(rc->hash, owed->beyond_hash, SHA256_SIZE);
        say_receipt(p, rc);
}

static void send_receipts(Peer *p, const OwedReceipt *owed) {
        Delivery *d = p->delivery;
        _cleanup_(freep) Receipt *rc = malloc(sizeof(*rc));
        DbTxn *txn;
        int r;

        if (!rc || store_read_begin(d->store, &txn) < 0)
                return;
        r = store_make_receipt(
                txn, owed->feed, RECEIPT_DELIVERED, sign_key_public(&d->self->account), rc);
        store_read_end(txn);
        if (r <= 0)
                return;
        if (owed->beyond && owed->beyond->n > 0)
                say_beyond(p, rc, owed);
        say_receipt(p, rc);
}

void inbox_drop_owed(Peer *p) {
        for (size_t i = 0; i < p->n_receipts; i++)
                free(p->receipts[i].beyond);
        p->n_acks = p->n_receipts = 0;
        p->owes = false;
}

static void refuse_owed(Peer *p) {
        for (size_t i = 0; i < p->n_acks; i++)
                nack(p, &p->acks[i], CODE_PEER_STORAGE, false);
}

static void send_owed(Peer *p) {
        for (size_t i = 0; i < p->n_acks; i += ACK_IDS_MAX)
                (void)ack_encode(
                        link_output(p->link), p->acks + i, MIN(p->n_acks - i, (size_t)ACK_IDS_MAX));
        for (size_t i = 0; i < p->n_receipts; i++)
                send_receipts(p, &p->receipts[i]);
        link_queued(p->link);
}

void inbox_settle(Peer *p, int error) {
        if (p->link && link_is_open(p->link)) {
                if (error < 0)
                        refuse_owed(p);
                else
                        send_owed(p);
        }
        inbox_drop_owed(p);
}

/* A receipt larger than this goes as a frame of its own instead of in HELLO_OK. */
#define GREETING_RECEIPT_MAX 3072

/* What is held of the other's feed, for HELLO_OK. BUF keeps the receipt's bytes. */
void inbox_greet(Peer *p, HelloOk *ok, Buffer *buf) {
        Delivery *d = p->delivery;
        const Certificate *c = link_certificate(p->link);
        Conversation v;
        DbTxn *txn;
        Feed f;
        int r;

        if (store_read_begin(d->store, &txn) < 0)
                return;
        r = conversation_find(txn, p->conversation, &v);
        if (r > 0)
                r = feed_find(txn, v.number, p->number, c->epoch, c->device, &f);
        if (r > 0 && f.seq > 0) {
                ok->has_head = true;
                ok->head = (FeedHead){.epoch = f.epoch, .seq = f.seq};
                memcpy(ok->head.device, f.device, KEY_SIZE);
                memcpy(ok->head.hash, f.hash, SHA256_SIZE);
                r = receipt_make(d, txn, f.number, RECEIPT_DELIVERED, buf);
        }
        store_read_end(txn);
        if (r <= 0 || !ok->has_head)
                return;
        if (buffer_size(buf) <= GREETING_RECEIPT_MAX)
                ok->receipt = buffer_bytes(buf);
        else
                (void)owe_receipt(p, f.number); /* with inbox_settle() once the link is open */
}
