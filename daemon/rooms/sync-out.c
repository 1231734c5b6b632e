/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is said of a room: from committed rows only. */

#include "rooms/sync.h"

/* Bytes of objects in a frame of ROOM_SYNC, which leaves room for what is around them. */
#define OBJECTS_BYTES (48 * 1024)

int sync_send(SyncPeer *p, const RoomSync *m) {
        int r = room_sync_encode(link_output(p->link), m);

        link_queued(p->link);
        return r;
}

static RoomSync message(const SyncRoom *sr, RoomSyncOp op) {
        RoomSync m;

        memset(&m, 0, sizeof(m));
        m.op = op;
        memcpy(m.room, sr->room->row.id, SHA256_SIZE);
        return m;
}

void say_refused(SyncPeer *p, const uint8_t *room, Code code, const char *text) {
        RoomSync m = {.op = ROOM_SYNC_REFUSED};

        if (!quota_take(&p->refusals, 1, sync_now(p->sync)))
                return;
        memcpy(m.room, room, SHA256_SIZE);
        m.refused = (RoomRefused){.code = code, .text = text_bytes(text)};
        (void)sync_send(p, &m);
}

/* STATE */

int read_state(const SyncRoom *sr, DbTxn *txn, RoomState *ret, uint64_t *ret_change) {
        RoomRow row;
        int r;

        r = room_get(txn, sr->number, &row);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        *ret = (RoomState){.head.epoch = row.head_epoch};
        memcpy(ret->head.hash, row.head_hash, SHA256_SIZE);
        memcpy(ret->proposals, row.proposals_digest, ROOM_DIGEST_SIZE);
        memcpy(ret->feeds, row.feeds_digest, ROOM_DIGEST_SIZE);
        memcpy(ret->forks, row.forks_digest, ROOM_DIGEST_SIZE);
        if (ret_change)
                *ret_change = row.change;
        return 0;
}

/* For who is no member the log ends where he was removed; and where the user has left himself, for
 * who had left before him. But who asks to be let in does not know who is a member now. */
static bool is_closed(const RoomLink *rl) {
        const Room *room = rl->sr->room;

        return rl->outsider &&
                (room_is_joined(room) || room->row.status == ROOM_LEFT ||
                        room->row.status == ROOM_KICKED);
}

/* He does not learn from it that somebody writes; nor, once the owner has settled that, that
 * anything is done. */
static int hide_from_outsider(const RoomLink *rl, DbTxn *txn, RoomState *s) {
        Room *room = rl->sr->room;
        uint64_t last;
        int r;

        if (!is_closed(rl))
                return 0;
        memset(s->feeds, 0, ROOM_DIGEST_SIZE);
        memset(s->forks, 0, ROOM_DIGEST_SIZE);
        last = roster_concerned(room->roster, rl->peer->account);
        if (last == UINT64_MAX)
                return 0;
        memset(s->proposals, 0, ROOM_DIGEST_SIZE);
        if (last >= s->head.epoch)
                return 0;
        r = room_head_at(room, txn, last, s->head.hash);
        s->head.epoch = r > 0 ? last : 0;
        return MIN(r, 0);
}

bool states_equal(const RoomState *a, const RoomState *b) {
        return a->head.epoch == b->head.epoch &&
                memcmp(a->head.hash, b->head.hash, SHA256_SIZE) == 0 &&
                memcmp(a->proposals, b->proposals, ROOM_DIGEST_SIZE) == 0 &&
                memcmp(a->feeds, b->feeds, ROOM_DIGEST_SIZE) == 0 &&
                memcmp(a->forks, b->forks, ROOM_DIGEST_SIZE) == 0;
}

/* As the other end is told it. */
static int state_for(const RoomLink *rl, DbTxn *txn, RoomState *ret) {
        int r = read_state(rl->sr, txn, ret, NULL);

        return r < 0 ? r : hide_from_outsider(rl, txn, ret);
}

bool is_said(const RoomLink *rl, DbTxn *txn) {
        RoomState s;

        return rl->has_said && state_for(rl, txn, &s) >= 0 && states_equal(&rl->said, &s);
}

void say_state(RoomLink *rl, DbTxn *txn) {
        _cleanup_(store_read_endp) DbTxn *own = NULL;
        RoomSync m = message(rl->sr, ROOM_SYNC_STATE);

        if (!txn && store_read_begin(rl->sr->sync->rooms->store, &own) < 0)
                return;
        if (state_for(rl, txn ?: own, &m.state) < 0)
                return;
        if (sync_send(rl->peer, &m) < 0)
                return;
        rl->said = m.state;
        rl->has_said = true;
        rl->asks++;
        rl->asked_at = sync_now(rl->sr->sync);
}

/* VECTOR */

typedef struct Telling {
        RoomLink *rl;
        Buffer items, read;
        bool full, reads;
        int error;
} Telling;

static void telling_flush(Telling *t, bool more) {
        RoomSync m = message(t->rl->sr, ROOM_SYNC_VECTOR);

        m.vector = (RoomVector){.items = buffer_bytes(&t->items),
                .full = t->full,
                .more = more,
                .read = buffer_bytes(&t->read)};
        if (t->error >= 0)
                t->error = sync_send(t->rl->peer, &m);
        buffer_clear(&t->items);
        buffer_clear(&t->read);
}

static bool tell_feed(void *userdata, DbTxn *txn, const RoomFeed *f) {
        Telling *t = userdata;
        Room *room = t->rl->sr->room;
        RoomVectorItem x = {.seq = f->feed.seq};
        uint8_t author[KEY_SIZE];
        uint64_t read = 0;

        memcpy(x.tag, f->tag, ROOM_TAG_SIZE);
        if (x.seq > 0)
                memcpy(x.hash, f->feed.hash, sizeof(x.hash));
        t->error = room_vector_append(&t->items, &x);
        if (t->error >= 0 && t->reads && f->feed.account != SELF_NUMBER &&
                room_feed_author(room, txn, f, author) > 0 &&
                key_equal(author, t->rl->peer->account) &&
                room_read_position(room, txn, f, &read) >= 0 && read > 0) {
                RoomWantItem y = {.seq = read};

                memcpy(y.tag, f->tag, ROOM_TAG_SIZE);
                t->error = room_want_append(&t->read, &y);
        }
        if (t->error >= 0 && room_vector_count(buffer_bytes(&t->items)) >= ROOM_VECTOR_MAX)
                telling_flush(t, true);
        return t->error >= 0;
}

/* Who has all that is here need only hear what was read of it. */
void say_read(RoomLink *rl, DbTxn *txn, uint64_t after, uint64_t change) {
        Telling t = {.rl = rl, .reads = true};

        if (room_feed_each(txn, rl->sr->number, after, tell_feed, &t) >= 0 && t.error >= 0 &&
                buffer_size(&t.read) > 0)
                telling_flush(&t, false);
        if (t.error >= 0) {
                rl->told = change;
                rl->tells = true;
        }
        buffer_done(&t.items);
        buffer_done(&t.read);
}

/* CHANGE: up to which the snapshot goes. */
void say_vector(RoomLink *rl, DbTxn *txn, uint64_t after, uint64_t change, bool full) {
        Telling t = {.rl = rl,
                .full = full,
                .reads = roster_count(rl->sr->room->roster) <= ROOMS_READ_MAX};

        /* Who is not in it, or not yet, has nothing to tell. */
        if (rl->sr->room->row.status != ROOM_JOINED)
                return;
        if (room_feed_each(txn, rl->sr->number, after, tell_feed, &t) >= 0 && t.error >= 0 &&
                (full || buffer_size(&t.items) > 0))
                telling_flush(&t, false);
        if (t.error >= 0) {
                rl->told = change;
                rl->tells = true;
        }
        buffer_done(&t.items);
        buffer_done(&t.read);
}

void say_first_vector(RoomLink *rl, DbTxn *txn, uint64_t change) {
        const Known *k = sync_known(rl->sr, rl->peer->account);

        say_vector(rl, txn, k ? k->level : 0, change, !k || k->level == 0);
}

/* Objects */

typedef struct Objects {
        RoomLink *rl;
        RoomSync m;
        Buffer bytes; /* of all of them: what the walk gives is good until it goes on */
        size_t size[ROOM_SYNC_OBJECTS_MAX], certificate[ROOM_SYNC_OBJECTS_MAX];
        size_t n, n_max;
        unsigned sent;
        bool full; /* the frame is */
        bool stops; /* there */
        int error;
} Objects;

static bool has_certificate(const RoomObjects *o, Bytes c) {
        for (size_t i = 0; i < o->n_certificates; i++)
                if (bytes_equal(o->certificates[i], c))
                        return true;
        return false;
}

static void objects_flush(Objects *o, bool more) {
        const uint8_t *p = buffer_data(&o->bytes);
        RoomObjects *out = &o->m.objects;

        if (o->n == 0 || o->error < 0)
                return;
        *out = (RoomObjects){.more = more};
        for (size_t i = 0; i < o->n; i++) {
                Bytes c = {.data = p + o->size[i], .size = o->certificate[i]};

                out->objects[out->n_objects++] = (Bytes){.data = p, .size = o->size[i]};
                if (c.size > 0 && !has_certificate(out, c))
                        out->certificates[out->n_certificates++] = c;
                p = c.data + c.size;
        }
        o->error = sync_send(o->rl->peer, &o->m);
        o->sent++;
        o->n = 0;
        o->full = false;
        buffer_clear(&o->bytes);
}

static int objects_add(void *userdata, Bytes object, Bytes certificate) {
        Objects *o = userdata;

        if (o->n >= o->n_max ||
                buffer_size(&o->bytes) + object.size + certificate.size > OBJECTS_BYTES) {
                o->full = true;
                if (o->stops && o->n > 0)
                        return 1;
                objects_flush(o, true);
        }
        o->error = buffer_append(&o->bytes, object.data, object.size);
        if (o->error >= 0)
                o->error = buffer_append(&o->bytes, certificate.data, certificate.size);
        if (o->error < 0)
                return o->error;
        o->size[o->n] = object.size;
        o->certificate[o->n++] = certificate.size;
        return 0;
}

static Objects objects(RoomLink *rl, RoomSyncOp op) {
        Objects o = {.rl = rl, .m = message(rl->sr, op)};

        (void)room_sync_object_max(op, &o.n_max);
        o.n_max = MIN(o.n_max, (size_t)ROOM_SYNC_OBJECTS_MAX);
        return o;
}

/* Who is no member is told what is pending about himself. */
static int add_given(void *userdata, const RoomGiven *g) {
        const Objects *o = userdata;
        const RoomProposal *p = o->rl->sr->room->rooms->found;

        if (g->kind == ROOM_GIVEN_PROPOSAL && o->m.op == ROOM_SYNC_PROPOSALS && is_closed(o->rl) &&
                !key_equal(p->change.account, o->rl->peer->account))
                return 0;
        return objects_add(userdata, g->outer, g->certificate);
}

void say_proposals(RoomLink *rl, DbTxn *txn, const uint8_t *digest) {
        Objects o = objects(rl, ROOM_SYNC_PROPOSALS);

        if (room_proposals_each(rl->sr->room, txn, add_given, &o) >= 0)
                objects_flush(&o, false);
        buffer_done(&o.bytes);
        memcpy(rl->proposals_said, digest, ROOM_DIGEST_SIZE);
        rl->has_proposals_said = true;
}

static int add_proof(void *userdata, Bytes proof) {
        return objects_add(userdata, proof, (Bytes){});
}

void say_forks(RoomLink *rl, DbTxn *txn, const uint8_t *digest) {
        Objects o = objects(rl, ROOM_SYNC_FORK);

        if (room_forks_each(rl->sr->room, txn, add_proof, &o) >= 0)
                objects_flush(&o, false);
        buffer_done(&o.bytes);
        memcpy(rl->forks_said, digest, ROOM_DIGEST_SIZE);
        rl->has_forks_said = true;
}

void say_owner_fork(RoomLink *rl, DbTxn *txn) {
        Objects o = objects(rl, ROOM_SYNC_CONTROL);

        if (room_owner_fork_each(rl->sr->room, txn, add_given, &o) >= 0)
                objects_flush(&o, false);
        buffer_done(&o.bytes);
}

/* A transfer, and a new term, rest on a proposal that nobody has pending any more: it goes first,
 * and there is room for a few of those at the other end. */
#define RESTS_MAX 8

typedef struct Log {
        Objects blocks, rests;
        uint64_t epoch, last;
} Log;

static int add_to_log(void *userdata, const RoomGiven *g) {
        Log *l = userdata;
        int r;

        if (g->kind == ROOM_GIVEN_BLOCK && g->epoch > l->last)
                return 1;
        if (g->kind == ROOM_GIVEN_PROPOSAL)
                return l->rests.n >= RESTS_MAX ? 1
                                               : objects_add(&l->rests, g->outer, g->certificate);
        r = objects_add(&l->blocks, g->outer, g->certificate);
        if (r == 0)
                l->epoch = g->epoch;
        return r;
}

int say_control(RoomLink *rl, DbTxn *txn, uint64_t *epoch) {
        Log l = {.blocks = objects(rl, ROOM_SYNC_CONTROL),
                .rests = objects(rl, ROOM_SYNC_PROPOSALS),
                .epoch = *epoch,
                .last = UINT64_MAX};
        int r;

        if (is_closed(rl)) /* how others came and went is not his */
                l.last = roster_concerned(rl->sr->room->roster, rl->peer->account);
        l.blocks.stops = l.rests.stops = true;
        r = room_blocks_each(rl->sr->room, txn, *epoch, add_to_log, &l);
        if (r >= 0) {
                objects_flush(&l.rests, false);
                objects_flush(&l.blocks, r > 0);
        }
        buffer_done(&l.rests.bytes);
        buffer_done(&l.blocks.bytes);
        if (r > 0 && l.epoch == *epoch)
                r = 0; /* one that fits no frame, which there is not */
        *epoch = l.epoch;
        return r;
}

void say_keys(RoomLink *rl, DbTxn *txn, const uint64_t *epochs, size_t n) {
        _cleanup_(buffer_done) Buffer wrap = BUFFER_NULL;
        Objects o = objects(rl, ROOM_SYNC_WRAPS);
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++) {
                buffer_clear(&wrap);
                r = room_make_wrap(rl->sr->room, txn, rl->peer->account, epochs[i], &wrap);
                if (r > 0)
                        r = objects_add(&o, buffer_bytes(&wrap), (Bytes){});
        }
        if (r >= 0)
                objects_flush(&o, false);
        buffer_done(&o.bytes);
}

/* Entries */

typedef struct Giving {
        RoomEntries e;
        Buffer bytes; /* INNER, signature, certificate of each */
        size_t inner[ROOM_ENTRIES_MAX], certificate[ROOM_ENTRIES_MAX];
        size_t size;
        uint64_t seq, last;
        int error;
} Giving;

static int give_entry(
        void *userdata, uint64_t seq, Bytes inner, Bytes signature, Bytes certificate) {
        Giving *g = userdata;
        RoomEntriesItem x = {.inner = inner, .certificate = certificate};

        if (seq > g->last || signature.size != SIGNATURE_SIZE)
                return 2;
        if (g->e.n_items >= ROOM_ENTRIES_MAX ||
                g->size + room_entries_size(&x) > ROOM_ENTRIES_BYTES_MAX)
                return 1;
        g->error = buffer_append(&g->bytes, inner.data, inner.size);
        if (g->error >= 0)
                g->error = buffer_append(&g->bytes, signature.data, signature.size);
        if (g->error >= 0)
                g->error = buffer_append(&g->bytes, certificate.data, certificate.size);
        if (g->error < 0)
                return g->error;
        g->inner[g->e.n_items] = inner.size;
        g->certificate[g->e.n_items++] = certificate.size;
        g->size += room_entries_size(&x);
        g->seq = seq;
        return 0;
}

static void giving_point(Giving *g) {
        const uint8_t *p = buffer_data(&g->bytes);

        for (size_t i = 0; i < g->e.n_items; i++) {
                RoomEntriesItem *x = &g->e.items[i];

                x->inner = (Bytes){.data = p, .size = g->inner[i]};
                x->signature = p + x->inner.size;
                x->certificate =
                        (Bytes){.data = x->signature + SIGNATURE_SIZE, .size = g->certificate[i]};
                p = x->certificate.data + x->certificate.size;
        }
}

int say_entries(RoomLink **to, size_t n, DbTxn *txn, uint32_t feed, uint64_t *seq, uint64_t last) {
        const SyncRoom *sr = to[0]->sr;
        Giving *g = calloc(1, sizeof(*g));
        _cleanup_(buffer_done) Buffer frame = BUFFER_NULL;
        bool more;
        int r;

        if (!g)
                return -ENOMEM;
        g->last = last;
        memcpy(g->e.room, sr->room->row.id, SHA256_SIZE);
        r = room_entries_each(sr->room, txn, feed, *seq, give_entry, g);
        more = r == 1;
        if (r >= 0 && g->e.n_items > 0) {
                giving_point(g);
                r = room_entries_encode(&frame, &g->e);
        }
        for (size_t i = 0; r >= 0 && i < n && buffer_size(&frame) > 0; i++) {
                (void)buffer_append(
                        link_output(to[i]->peer->link), buffer_data(&frame), buffer_size(&frame));
                link_queued(to[i]->peer->link);
        }
        if (r >= 0 && g->e.n_items > 0)
                *seq = g->seq;
        if (r >= 0)
                r = more && g->e.n_items > 0;
        buffer_done(&g->bytes);
        free(g);
        return r;
}
