/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What there is of rooms, as items. The store does not change any more, so a position is a place in
 * it: a room, what of it, and where in that. All of it is read from the store and nothing from
 * memory, where there may be no rooms any more.
 */

#include "rooms/handover.h"

#include "rooms/handover-item.h"
#include "rooms/state.h"

/* The parts of a room, in the order in which they are needed. */
enum {
        PART_ROOM,
        PART_BLOCKS, /* each after those proposals that it rests on */
        PART_FORK, /* the two blocks by which its owner has forked the log */
        PART_PROPOSALS,
        PART_KEYS,
        PART_FEEDS,
        PART_FORKS,
        PART_STATUS,
        PART_ENTRIES,
        PART_MARKS,
        _PART_MAX,
};

typedef struct Place {
        uint32_t room; /* 0: before the first one */
        uint8_t part;
        uint64_t a, b; /* the last one that was given: epoch and its proposals, feed and seq, ... */
        uint8_t hash[SHA256_SIZE];
} Place;

typedef struct Walk {
        DbTxn *txn;
        const Identity *self;
        size_t max;
        Buffer *items;
        uint64_t n;
        usec_t taken_over; /* when the next device has begun */
        Place at;
        RoomRow row;
        RoomItem it;
        uint32_t *feeds; /* of the room, ascending */
        size_t n_feeds, n_allocated;
        RoomBlock *block;
        int result; /* 1: full; < 0: error */
} Walk;

/* So many entries can have come before this device heard that it was replaced. */
#define KNOWN_LOOK 4096

#define PLACE_SIZE (4 + 1 + 8 + 8 + SHA256_SIZE)

static int place_write(Buffer *out, const Place *p) {
        uint8_t bytes[PLACE_SIZE];

        buffer_clear(out);
        for (unsigned i = 0; i < 4; i++)
                bytes[i] = (uint8_t)(p->room >> (24 - 8 * i));
        bytes[4] = p->part;
        for (unsigned i = 0; i < 8; i++) {
                bytes[5 + i] = (uint8_t)(p->a >> (56 - 8 * i));
                bytes[13 + i] = (uint8_t)(p->b >> (56 - 8 * i));
        }
        memcpy(bytes + 21, p->hash, SHA256_SIZE);
        return buffer_append(out, bytes, sizeof(bytes));
}

static int place_read(Bytes b, Place *ret) {
        *ret = (Place){};
        if (b.size == 0)
                return 0;
        if (b.size != PLACE_SIZE || b.data[4] >= _PART_MAX)
                return -EINVAL;
        for (unsigned i = 0; i < 4; i++)
                ret->room = ret->room << 8 | b.data[i];
        ret->part = b.data[4];
        for (unsigned i = 0; i < 8; i++) {
                ret->a = ret->a << 8 | b.data[5 + i];
                ret->b = ret->b << 8 | b.data[13 + i];
        }
        memcpy(ret->hash, b.data + 21, SHA256_SIZE);
        return 0;
}

/* Giving */

static RoomItem *item_begin(Walk *w, RoomItemKind kind) {
        explicit_bzero(&w->it, sizeof(w->it));
        w->it.kind = kind;
        memcpy(w->it.room, w->row.id, ROOM_ID_SIZE);
        return &w->it;
}

/* True to go on: the place is to be moved on then. */
static bool item_give(Walk *w) {
        size_t before = buffer_size(w->items);
        int e;

        e = room_item_encode(w->items, &w->it);
        if (e >= 0 && before > 0 && buffer_size(w->items) > w->max) {
                w->items->end = w->items->begin + before;
                e = 1;
        }
        if (e != 0) {
                w->result = e;
                return false;
        }
        w->n++;
        return true;
}

static Bytes certificate_of(Walk *w, const uint8_t device[static KEY_SIZE], uint64_t epoch) {
        Bytes outer;

        return store_get_certificate(w->txn, device, epoch, &outer) > 0 ? outer : (Bytes){};
}

static int account_of(Walk *w, uint32_t number, RoomItem *it) {
        Contact c;
        int e;

        if (number == SELF_NUMBER)
                return 0;
        e = contact_get_by_number(w->txn, number, &c);
        if (e <= 0)
                return e < 0 ? e : store_damaged(w->txn);
        it->has_account = true;
        memcpy(it->account, c.account, KEY_SIZE);
        return 0;
}

/* The room, and what the user has to do with it */

static int give_room(Walk *w) {
        RoomItem *it = item_begin(w, ROOM_ITEM_ROOM);
        Conversation v;
        int e;

        if (w->at.a > 0)
                return 0;
        e = conversation_get(w->txn, w->row.number, &v);
        if (e <= 0)
                return e < 0 ? e : store_damaged(w->txn);
        it->name = text_bytes(w->row.name);
        it->time = v.last_time;
        it->hlc = v.hlc;
        if (item_give(w))
                w->at.a = 1;
        return 0;
}

static int give_status(Walk *w) {
        RoomItem *it = item_begin(w, ROOM_ITEM_STATUS);
        const RoomRow *row = &w->row;
        int e;

        if (w->at.a > 0)
                return 0;
        e = account_of(w, row->inviter, it);
        if (e < 0)
                return e;
        it->epoch = w->self->epoch;
        memcpy(it->device, sign_key_public(&w->self->device), KEY_SIZE);
        it->state = row->status;
        it->flags = (row->farewell ? ROOM_ITEM_FAREWELL : 0) |
                (commit_log_is_whole(w->txn, row, w->self, w->block) ? ROOM_ITEM_WHOLE : 0);
        it->time = row->joined;
        it->invited = row->invited;
        it->name = text_bytes(row->name);
        it->topic = text_bytes(row->topic);
        it->has_founder = !bytes_are_zero(row->founder, KEY_SIZE);
        memcpy(it->founder, row->founder, KEY_SIZE);
        memcpy(it->nonce, row->nonce, ROOM_NONCE_SIZE);
        if (item_give(w))
                w->at.a = 1;
        return 0;
}

/* The control log */

static bool give_signed(Walk *w, RoomItemKind kind, Bytes outer, uint64_t flags,
        const uint8_t device[static KEY_SIZE], uint64_t epoch) {
        RoomItem *it = item_begin(w, kind);

        it->object = outer;
        it->flags = flags;
        it->certificate = certificate_of(w, device, epoch);
        return item_give(w);
}

static bool give_proposal_object(Walk *w, Bytes outer, uint64_t flags) {
        _cleanup_(freep) RoomProposal *p = malloc(sizeof(*p));

        if (!p) {
                w->result = -ENOMEM;
                return false;
        }
        return room_proposal_parse(outer, p) < 0 ||
                give_signed(w, ROOM_ITEM_PROPOSAL, outer, flags, p->device, p->device_epoch);
}

/* The block of EPOCH, which may be one of a fork, and before it those that it rests on, of which
 * w->at.b have been given. 0: there is none. */
static int give_block(Walk *w, uint64_t epoch) {
        Bytes outer, settled;
        int e;

        e = room_block_get(w->txn, w->row.number, epoch, &outer);
        if (e <= 0)
                return e;
        if (room_block_parse(outer, w->block) < 0)
                return store_damaged(w->txn);
        for (; w->at.b < w->block->n_settled; w->at.b++) {
                e = room_settled_get(w->txn, w->row.number, w->block->settled[w->at.b], &settled);
                if (e < 0 || (e > 0 && !give_proposal_object(w, settled, ROOM_ITEM_SETTLED)))
                        return MIN(e, 0);
        }
        if (give_signed(w, ROOM_ITEM_BLOCK, outer, 0, w->block->device, w->block->device_epoch)) {
                w->at.a = epoch;
                w->at.b = 0;
        }
        return 1;
}

static int give_blocks(Walk *w) {
        int e = 0;

        while (w->result == 0 && w->at.a < w->row.head_epoch) {
                e = give_block(w, w->at.a + 1);
                if (e <= 0)
                        return e;
        }
        return 0;
}

static int give_fork(Walk *w) {
        int e = 1;

        if (!(w->row.flags & ROOM_FLAG_FORKED))
                return 0;
        if (w->at.a < ROOM_FORK_BLOCKS)
                w->at.a = ROOM_FORK_BLOCKS - 1;
        while (w->result == 0 && e > 0 && w->at.a <= ROOM_FORK_BLOCKS)
                e = give_block(w, w->at.a + 1);
        return MIN(e, 0);
}

static bool give_pending(void *userdata, DbTxn *txn, const RoomProposalRow *p) {
        Walk *w = userdata;

        if (w->at.a > 0 && memcmp(p->hash, w->at.hash, SHA256_SIZE) <= 0)
                return true;
        if (!give_proposal_object(w, p->outer, 0))
                return false;
        w->at.a = 1;
        memcpy(w->at.hash, p->hash, SHA256_SIZE);
        return true;
}

static int give_proposals(Walk *w) {
        return room_proposal_each(w->txn, w->row.number, give_pending, w);
}

static int give_keys(Walk *w) {
        uint64_t epoch;
        int e = 1;

        while (w->result == 0 && (e = room_key_next(w->txn, w->row.number, w->at.a, &epoch)) > 0) {
                RoomItem *it = item_begin(w, ROOM_ITEM_KEY);

                it->epoch = epoch;
                it->has_secret = true;
                e = room_key_get(w->txn, w->row.number, epoch, it->secret);
                if (e < 0)
                        break;
                if (e == 0 || item_give(w))
                        w->at.a = epoch;
        }
        return MIN(e, 0);
}

/* Feeds */

static int add_feed(void *userdata, DbTxn *txn, const Feed *f) {
        Walk *w = userdata;
        uint32_t *list = w->feeds;
        size_t i = w->n_feeds;

        if (i == w->n_allocated) {
                list = reallocarray(list, 2 * i + 16, sizeof(*list));
                if (!list)
                        return -ENOMEM;
                w->feeds = list;
                w->n_allocated = 2 * i + 16;
        }
        list[w->n_feeds++] = f->number;
        return 0;
}

static int by_number(const void *a, const void *b) {
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

static int list_feeds(Walk *w) {
        int e;

        w->n_feeds = 0;
        e = feed_each_in(w->txn, w->row.number, add_feed, w);
        if (w->n_feeds > 0)
                qsort(w->feeds, w->n_feeds, sizeof(*w->feeds), by_number);
        return e;
}

/* Up to where the user has heard of the feed: what came here after the next device had the account
 * he is to hear of there. */
static int find_known(Walk *w, const RoomFeed *f, uint64_t *ret) {
        uint64_t seq = f->feed.seq;
        Entry entry;
        int e;

        *ret = f->feed.account == SELF_NUMBER ? seq : 0;
        for (unsigned n = 0; *ret == 0 && seq > 0 && n < KNOWN_LOOK; n++, seq--) {
                e = entry_get(w->txn, f->feed.number, seq, &entry);
                if (e < 0)
                        return e;
                if (e > 0 && entry.received <= w->taken_over)
                        *ret = seq;
        }
        return 0;
}

static int give_feed(Walk *w, const RoomFeed *f) {
        RoomItem *it = item_begin(w, ROOM_ITEM_FEED);
        int e;

        e = account_of(w, f->feed.account, it);
        if (e >= 0)
                e = find_known(w, f, &it->seq);
        if (e >= 0 && f->feed.account != SELF_NUMBER)
                e = store_load_read(w->txn, f->feed.number, &it->read);
        if (e >= 0 && f->feed.account != SELF_NUMBER)
                e = store_load_read_receipt(w->txn, f->feed.number, &it->told);
        if (e < 0)
                return e;
        it->epoch = f->feed.epoch;
        memcpy(it->device, f->feed.device, KEY_SIZE);
        it->certificate = certificate_of(w, f->feed.device, f->feed.epoch);
        if (item_give(w))
                w->at.a = f->feed.number;
        return 0;
}

static bool give_proof(void *userdata, DbTxn *txn, uint32_t feed, uint64_t seq, Bytes proof) {
        Walk *w = userdata;

        if (feed <= w->at.a)
                return true;
        item_begin(w, ROOM_ITEM_FORK)->object = proof;
        if (!item_give(w))
                return false;
        w->at.a = feed;
        return true;
}

static int give_forks(Walk *w) {
        return room_fork_each(w->txn, w->row.number, give_proof, w);
}

/* Entries. What was sent under an own id is known as long as the id is. */
static int own_content(Walk *w, const Entry *entry, RoomItem *it) {
        Inner m;
        int e;

        if (inner_decode(entry->inner, &m) < 0)
                return store_damaged(w->txn);
        e = store_room_content_of(w->txn, entry->feed, &m, it->secret);
        it->has_secret = e > 0;
        return MIN(e, 0);
}

static bool give_entry(void *userdata, DbTxn *txn, const Entry *entry) {
        Walk *w = userdata;
        RoomItem *it = item_begin(w, ROOM_ITEM_ENTRY);
        int e = 0;

        it->object = entry->inner;
        it->state = entry->state;
        it->flags = entry->flags;
        it->time = entry->received;
        it->stored = entry->stored;
        if (entry->signature.size != SIGNATURE_SIZE)
                e = store_damaged(txn);
        else
                memcpy(it->signature, entry->signature.data, SIGNATURE_SIZE);
        if (e >= 0 && entry->state != ENTRY_RECEIVED)
                e = own_content(w, entry, it);
        if (e < 0)
                w->result = e;
        if (e < 0 || !item_give(w))
                return false;
        w->at.b = entry->seq;
        return true;
}

static int give_entries(Walk *w, const RoomFeed *f) {
        int e;

        if (w->at.a != f->feed.number) {
                w->at.a = f->feed.number;
                w->at.b = 0;
        }
        e = store_room_entries(w->txn, f->feed.number, w->at.b, give_entry, w);
        if (e >= 0 && w->result == 0)
                w->at.b = UINT64_MAX;
        return e;
}

static bool give_mark(void *userdata, DbTxn *txn, uint32_t account, const RoomMark *m) {
        Walk *w = userdata;
        RoomItem *it;
        RoomFeed f;
        int e;

        if (account < w->at.b)
                return true;
        e = room_feed_get(txn, w->row.number, m->feed, &f);
        it = item_begin(w, ROOM_ITEM_MARK);
        if (e == 0)
                e = store_damaged(txn);
        if (e > 0 && account != ROOM_MARK_TOLD)
                e = account_of(w, account, it);
        if (e < 0) {
                w->result = e;
                return false;
        }
        it->epoch = f.feed.epoch;
        memcpy(it->device, f.feed.device, KEY_SIZE);
        it->seq = m->held;
        it->mark_read = m->read;
        if (m->held > 0 && !item_give(w))
                return false;
        w->at.b = (uint64_t)account + 1;
        return true;
}

static int give_marks(Walk *w, const RoomFeed *f) {
        if (f->feed.account != SELF_NUMBER)
                return 0;
        if (w->at.a != f->feed.number) {
                w->at.a = f->feed.number;
                w->at.b = 0;
        }
        return room_mark_each(w->txn, w->row.number, f->feed.number, give_mark, w);
}

/* FN for each feed from the place on; that of the place itself may not be done with. */
static int each_feed(Walk *w, int (*fn)(Walk *w, const RoomFeed *f), uint64_t first) {
        RoomFeed f;
        int e;

        e = list_feeds(w);
        for (size_t i = 0; i < w->n_feeds && e >= 0 && w->result == 0; i++) {
                if (w->feeds[i] < first)
                        continue;
                e = room_feed_get(w->txn, w->row.number, w->feeds[i], &f);
                if (e > 0)
                        e = fn(w, &f);
        }
        return e;
}

/* All of it */

static int give_part(Walk *w) {
        switch (w->at.part) {
        case PART_ROOM:
                return give_room(w);
        case PART_BLOCKS:
                return give_blocks(w);
        case PART_FORK:
                return give_fork(w);
        case PART_PROPOSALS:
                return give_proposals(w);
        case PART_KEYS:
                return give_keys(w);
        case PART_FEEDS:
                return each_feed(w, give_feed, w->at.a + 1);
        case PART_FORKS:
                return give_forks(w);
        case PART_STATUS:
                return give_status(w);
        case PART_ENTRIES:
                return each_feed(w, give_entries, w->at.a);
        default:
                return each_feed(w, give_marks, w->at.a);
        }
}

static bool next_room(void *userdata, DbTxn *txn, const RoomRow *r) {
        Walk *w = userdata;

        if (r->number <= w->at.room)
                return true;
        w->row = *r;
        return false;
}

/* 1; 0: that was the last. */
static int go_to_next_room(Walk *w) {
        int e;

        w->row.number = 0;
        e = room_each(w->txn, next_room, w);
        if (e < 0 || w->row.number == 0)
                return e;
        w->at = (Place){.room = w->row.number};
        return 1;
}

static int walk(Walk *w) {
        int e = 1;

        if (w->at.room > 0)
                e = room_get(w->txn, w->at.room, &w->row);
        else
                e = go_to_next_room(w);
        while (e > 0) {
                e = give_part(w);
                if (e < 0 || w->result != 0)
                        return e < 0 ? e : w->result;
                if (++w->at.part < _PART_MAX) {
                        w->at = (Place){.room = w->at.room, .part = w->at.part};
                        e = 1;
                } else
                        e = go_to_next_room(w);
        }
        return e;
}

static usec_t replaced_at(DbTxn *txn) {
        Certificate c;
        Record r;
        Bytes outer;

        if (store_get_replaced_by(txn, &outer) <= 0 || record_parse(outer, &r) < 0 ||
                certificate_parse(r.certificate, &c) < 0)
                return USEC_INFINITY;
        return c.issued;
}

int rooms_handover_read(DbTxn *txn, const Identity *self, Bytes position, size_t max, Buffer *items,
        uint64_t *ret_n, Buffer *ret_next) {
        _cleanup_(freep) Walk *w = calloc(1, sizeof(*w));
        Place end = {.room = UINT32_MAX, .part = _PART_MAX - 1};
        int e, more;

        *ret_n = 0;
        if (!w)
                return -ENOMEM;
        *w = (Walk){.txn = txn, .self = self, .max = max, .items = items};
        w->taken_over = replaced_at(txn);
        e = place_read(position, &w->at);
        if (e >= 0 && w->at.room == end.room)
                return place_write(ret_next, &end);
        w->block = malloc(sizeof(*w->block));
        if (e >= 0 && !w->block)
                e = -ENOMEM;
        more = e < 0 ? e : walk(w);
        if (more >= 0)
                e = place_write(ret_next, more > 0 ? &w->at : &end);
        *ret_n = w->n;
        free(w->feeds);
        free(w->block);
        explicit_bzero(&w->it, sizeof(w->it));
        return more < 0 ? more : e < 0 ? e : more;
}

/* Counting */

typedef struct Counting {
        uint64_t n;
        uint32_t room;
        int error;
} Counting;

static bool count_fork(void *userdata, DbTxn *txn, uint32_t feed, uint64_t seq, Bytes proof) {
        ++((Counting *)userdata)->n;
        return true;
}

static bool count_mark(void *userdata, DbTxn *txn, uint32_t account, const RoomMark *m) {
        ++((Counting *)userdata)->n;
        return true;
}

static int count_feed(void *userdata, DbTxn *txn, const Feed *f) {
        Counting *c = userdata;

        c->n += 1 + f->seq;
        return f->account == SELF_NUMBER ? room_mark_each(txn, c->room, f->number, count_mark, c)
                                         : 0;
}

static bool count_room(void *userdata, DbTxn *txn, const RoomRow *r) {
        Counting *c = userdata;
        uint64_t key = 0;
        size_t pending = 0, settled = 0;
        int e;

        c->room = r->number;
        c->n += 2 + r->head_epoch + (r->flags & ROOM_FLAG_FORKED ? 2 : 0);
        e = room_proposal_count(txn, r->number, &pending);
        if (e >= 0)
                e = room_settled_count(txn, r->number, &settled);
        c->n += pending + settled;
        while (e >= 0 && (e = room_key_next(txn, r->number, key, &key)) > 0)
                c->n++;
        if (e >= 0)
                e = room_fork_each(txn, r->number, count_fork, c);
        if (e >= 0)
                e = feed_each_in(txn, r->number, count_feed, c);
        c->error = e;
        return e >= 0;
}

int rooms_handover_count(DbTxn *txn, uint64_t *ret) {
        Counting c = {};
        int e;

        e = room_each(txn, count_room, &c);
        *ret = c.n;
        return e < 0 ? e : c.error;
}
