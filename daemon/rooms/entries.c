/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Entries as they come, and those that may not stay. What is held of a feed follows from the
 * roster, from proofs of forks and from the account's other devices, and not from the order in
 * which all of that came: what turns out to be too much is cut off again.
 */

#include "rooms/state.h"

/* Devices that one account may bring into a room; each costs a few rows. */
#define FEEDS_EACH_MAX 64

/* The account behind a feed. 1 or 0. */
int room_feed_author(Room *room, DbTxn *txn, const RoomFeed *f, uint8_t ret[static KEY_SIZE]) {
        Contact c;
        int e;

        if (f->feed.account == SELF_NUMBER) {
                memcpy(ret, rooms_self(room->rooms), KEY_SIZE);
                return 1;
        }
        e = contact_get_by_number(txn, f->feed.account, &c);
        if (e > 0)
                memcpy(ret, c.account, KEY_SIZE);
        return e;
}

/* Cutting */

static int cut_from(Room *room, uint32_t feed, uint64_t first) {
        int e;

        e = store_room_cut(room->rooms->store, room->row.number, feed, first);
        if (e > 0)
                room->cutting = true; /* too much for one batch */
        if (e >= 0 && feed == room->own)
                e = marks_load(room, store_write(room->rooms->store));
        return e < 0 ? e : room_touch(room, ROOM_NEW_ENTRIES);
}

typedef struct FeedList {
        RoomFeed *list;
        size_t n, allocated, max;
        bool failed;
} FeedList;

static void feed_list_done(FeedList *l) {
        free(l->list);
}

static bool feed_list_add(void *userdata, DbTxn *txn, const RoomFeed *f) {
        FeedList *l = userdata;
        RoomFeed *list;

        if (l->max > 0 && l->n == l->max)
                return false;
        if (l->n == l->allocated) {
                list = realloc(l->list, (2 * l->n + 8) * sizeof(*list));
                if (!list) {
                        l->failed = true;
                        return false;
                }
                l->list = list;
                l->allocated = 2 * l->n + 8;
        }
        l->list[l->n++] = *f;
        return true;
}

static int feeds_of(Room *room, DbTxn *txn, uint32_t account, FeedList *ret) {
        int e;

        *ret = (FeedList){.max = FEEDS_EACH_MAX};
        e = room_feed_each_of(txn, room->row.number, account, feed_list_add, ret);
        return e < 0 ? e : ret->failed ? -ENOMEM : 0;
}

typedef struct FirstEntry {
        uint64_t seq;
        uint64_t hlc;
        int error;
} FirstEntry;

static bool first_entry(void *userdata, DbTxn *txn, const Entry *e) {
        FirstEntry *x = userdata;
        Inner m;

        x->seq = e->seq;
        x->error = inner_decode(e->inner, &m);
        x->hlc = m.hlc;
        return false;
}

/* The first entry of a feed after AFTER: seq 0 where there is none. */
static int find_first(DbTxn *txn, uint32_t feed, uint64_t after, FirstEntry *ret) {
        int e;

        *ret = (FirstEntry){};
        e = store_room_entries(txn, feed, after, first_entry, ret);
        return e < 0 ? e : ret->error;
}

/* The first entry of F that may not be held; 0: all may. */
static int find_barred(Room *room, DbTxn *txn, const RoomFeed *f, uint64_t *ret) {
        uint8_t account[KEY_SIZE];
        uint64_t barred, allowed;
        FirstEntry x;
        int e;

        *ret = 0;
        e = room_feed_author(room, txn, f, account);
        if (e <= 0)
                return e;
        barred = roster_barred(room->roster, account, f->feed.epoch, f->feed.device, 1);
        while (barred <= f->feed.seq) {
                allowed = roster_allowed(
                        room->roster, account, f->feed.epoch, f->feed.device, barred);
                e = find_first(txn, f->feed.number, barred - 1, &x);
                if (e < 0)
                        return e;
                if (x.seq > 0 && x.seq < allowed) {
                        *ret = x.seq;
                        break;
                }
                if (allowed > f->feed.seq)
                        break;
                barred = roster_barred(
                        room->roster, account, f->feed.epoch, f->feed.device, allowed);
        }
        if (f->frozen > 0 && f->frozen <= f->feed.seq)
                *ret = *ret > 0 ? MIN(*ret, f->frozen) : f->frozen;
        return 0;
}

/* Older devices */

static int compare_devices(uint64_t a_epoch, const uint8_t *a, uint64_t b_epoch, const uint8_t *b) {
        uint8_t a_hash[SHA256_SIZE], b_hash[SHA256_SIZE];

        if (a_epoch != b_epoch)
                return a_epoch > b_epoch ? 1 : -1;
        sha256(a, KEY_SIZE, a_hash);
        sha256(b, KEY_SIZE, b_hash);
        return memcmp(b_hash, a_hash, SHA256_SIZE);
}

/* From when on nothing more of this device counts, as a newer one of its account has written:
 * UINT64_MAX where none has. What the newer one's first entry says is signed, and the same for all;
 * certificates are renewed. It is the hybrid clock that counts: what the newer device knew when it
 * wrote comes before, however wrong its own clock was. */
static int superseded_at(DbTxn *txn, const FeedList *feeds, uint64_t epoch,
        const uint8_t device[static KEY_SIZE], uint64_t *ret) {
        FirstEntry x;
        int e;

        *ret = UINT64_MAX;
        for (size_t i = 0; i < feeds->n; i++) {
                const Feed *f = &feeds->list[i].feed;

                if (f->seq == 0 || compare_devices(f->epoch, f->device, epoch, device) <= 0)
                        continue;
                e = find_first(txn, f->number, 0, &x);
                if (e < 0)
                        return e;
                if (x.seq > 0)
                        *ret = MIN(*ret, x.hlc);
        }
        return 0;
}

int entries_are_over(Room *room, const Inner *m) {
        DbTxn *txn = store_write(room->rooms->store);
        FeedList feeds __attribute__((cleanup(feed_list_done))) = {};
        uint64_t until;
        int e;

        e = feeds_of(room, txn, SELF_NUMBER, &feeds);
        if (e >= 0)
                e = superseded_at(txn, &feeds, m->epoch, m->device, &until);
        return e < 0 ? e : m->hlc >= until;
}

/* A device of ACCOUNT has begun to write, or something that one wrote is gone: then older ones may
 * write on, as they would have if it had never come. */
static int cut_superseded(Room *room, uint32_t account) {
        Store *s = room->rooms->store;
        FeedList feeds __attribute__((cleanup(feed_list_done))) = {};
        int e;

        e = feeds_of(room, store_write(s), account, &feeds);
        for (size_t i = 0; i < feeds.n && e >= 0 && feeds.n > 1; i++) {
                const RoomFeed *f = &feeds.list[i];
                uint64_t first = 0;
                uint64_t until;

                e = superseded_at(store_write(s), &feeds, f->feed.epoch, f->feed.device, &until);
                if (e >= 0 && until != UINT64_MAX)
                        e = store_room_first_at(store_write(s), f->feed.number, until, &first);
                if (e > 0)
                        e = room_feed_freeze(s, room->row.number, f->feed.number, first);
                else if (e >= 0 && until == UINT64_MAX && f->limit > 0)
                        e = room_feed_freeze(s, room->row.number, f->feed.number, 0);
                if (e >= 0 && first > 0)
                        e = cut_from(room, f->feed.number, first);
        }
        return e;
}

/* Who is out of the room keeps what he wrote there, and what he has read. */
int entries_cut_barred(Room *room) {
        DbTxn *txn = store_write(room->rooms->store);
        FeedList feeds __attribute__((cleanup(feed_list_done))) = {};
        int e;

        if (room->row.status != ROOM_JOINED)
                return 0;
        e = room_feed_each(txn, room->row.number, 0, feed_list_add, &feeds);
        if (e >= 0 && feeds.failed)
                e = -ENOMEM;
        for (size_t i = 0; i < feeds.n && e >= 0; i++) {
                uint64_t first = 0;

                if (feeds.list[i].feed.seq > 0)
                        e = find_barred(room, txn, &feeds.list[i], &first);
                if (e >= 0 && first > 0)
                        e = cut_from(room, feeds.list[i].feed.number, first);
                if (e >= 0 && first > 0)
                        e = cut_superseded(room, feeds.list[i].feed.account);
        }
        return e;
}

void entries_go_on_cutting(Rooms *r) {
        int e;

        ROOM_EACH(r, room) {
                if (!room->cutting || room->lost)
                        continue;
                room->cutting = false;
                e = entries_cut_barred(room);
                if (e < 0 && log_limit_take(&r->failures, loop_now(r->loop)))
                        log_warning("cannot remove entries of a room: %s", strerror(-e));
        }
}

/* Taking */

typedef struct Taking {
        Room *room;
        Inner m;
        uint8_t hash[SHA256_SIZE];
        const RoomEntryIn *in;
        AuthorProof author;
        uint32_t number; /* of the account */
        RoomFeedKey key;
        RoomFeed feed; /* number 0: not there yet */
        RoomEntryAt *at;
        RoomReason *why;
} Taking;

/* The entry that is here in its place: 1 for this one, -EEXIST for another, 0 for none. */
static int compare_with_held(const Taking *t, Entry *ret) {
        uint8_t hash[SHA256_SIZE];
        int e;

        if (t->feed.feed.number == 0 || t->m.seq > t->feed.feed.seq)
                return 0;
        e = entry_get(store_write(t->room->rooms->store), t->feed.feed.number, t->m.seq, ret);
        if (e <= 0)
                return e;
        sha256(ret->inner.data, ret->inner.size, hash);
        return memcmp(hash, t->hash, SHA256_SIZE) == 0 ? 1 : -EEXIST;
}

/* Keeps the proof in FEED, and drops what it forbids. 1: it says something new. Where the feed is
 * one's own, what is lost by that is said anew, with OTHER (may be NULL), which is not here. */
static int keep_fork(Room *room, uint32_t feed, const RoomFork *f, const Inner *other) {
        Store *s = room->rooms->store;
        bool own = key_equal(f->at.account, rooms_self(room->rooms)) && !room->taking;
        _cleanup_(buffer_done) Buffer proof = BUFFER_NULL;
        _cleanup_(again_freep) Again *again = NULL;
        uint32_t account;
        int e;

        e = room_fork_encode(&proof, f);
        if (e >= 0 && own)
                e = again_collect(room, &again, feed, f->at.seq);
        if (e >= 0 && own && other)
                e = again_add(room, &again, other);
        if (e >= 0)
                e = room_fork_put(s, room->row.number, feed, f->at.seq, buffer_bytes(&proof));
        if (e <= 0)
                return e;
        e = cut_from(room, feed, f->at.seq);
        if (e >= 0 && f->at.seq == 1)
                e = room_account_number(room, f->at.account, true, &account);
        if (e >= 0 && f->at.seq == 1)
                e = cut_superseded(room, account);
        if (e >= 0)
                e = room_event(room, ROOM_EVENT_FORK, f->at.account);
        if (e >= 0)
                e = room_touch(room, ROOM_NEW_FORKS);
        if (e >= 0 && own) {
                if (again_is_about(room, f->at.account, f->at.epoch, f->at.device))
                        again_begin_epoch(room, "a room has something else under the same number");
                e = again_write(room, again);
        }
        return e < 0 ? e : 1;
}

/* HELD and T's entry have one number. */
static int take_forked(Taking *t, const Entry *held) {
        Rooms *r = t->room->rooms;
        _cleanup_(buffer_done) Buffer kept = BUFFER_NULL;
        RoomFork f = {.at = room_position(&t->m)};
        Bytes certificate;
        int e;

        if (held->signature.size != SIGNATURE_SIZE)
                return store_damaged(store_write(r->store));
        e = author_certificate(r, store_write(r->store), t->m.device, t->m.epoch, &certificate);
        if (e > 0)
                e = buffer_append(&kept, certificate.data, certificate.size);
        if (e < 0)
                return e;
        sha256(held->inner.data, held->inner.size, f.entry[0].hash);
        memcpy(f.entry[0].signature, held->signature.data, SIGNATURE_SIZE);
        memcpy(f.entry[1].hash, t->hash, SHA256_SIZE);
        memcpy(f.entry[1].signature, t->in->signature.data, SIGNATURE_SIZE);
        f.entry[0].certificate = buffer_bytes(&kept);
        f.entry[1].certificate = t->author.outer.size > 0 ? t->author.outer : buffer_bytes(&kept);
        e = keep_fork(t->room, t->feed.feed.number, &f, &t->m);
        return e < 0 ? e : e > 0 ? TAKEN_FORK : TAKEN_AGAIN;
}

/* Something else is here under this number, of the feed that this device goes on with: its store is
 * a copy from before. What the others have stays, and what is here is said anew, before anybody
 * has both. */
static int take_own(Taking *t, const RoomReceived *x) {
        Room *room = t->room;
        _cleanup_(again_freep) Again *again = NULL;
        int e, v;

        e = again_collect(room, &again, x->feed, t->m.seq);
        if (e >= 0)
                e = cut_from(room, x->feed, t->m.seq);
        if (e < 0)
                return e;
        again_begin_epoch(room, "a room has something else under the same number");
        v = room_take_entry(room, t->in, t->at, t->why);
        e = v < 0 ? v : again_write(room, again);
        return e < 0 ? e : v;
}

static int take_form(Taking *t, RoomHead *ret_head) {
        Inner *m = &t->m;

        if (inner_decode(t->in->inner, m) < 0 || t->in->signature.size != SIGNATURE_SIZE ||
                memcmp(m->conversation, t->room->row.id, SHA256_SIZE) != 0 ||
                room_head_decode(m->control_head, ret_head) < 0 || ret_head->epoch == 0)
                return TAKEN_BAD;
        sha256(t->in->inner.data, t->in->inner.size, t->hash);
        return TAKEN;
}

static bool is_in(const Room *room) {
        return room->row.status == ROOM_JOINED || room->row.status == ROOM_JOINING;
}

/* Whether the roster lets it in. */
static int take_right(Taking *t, const RoomHead *head) {
        Room *room = t->room;
        const Inner *m = &t->m;

        if (!is_in(room) && !room->taking)
                return room_reason(
                        t->why, TAKEN_REFUSED, CODE_NOT_MEMBER, "this account is not in the room");
        if (head->epoch > roster_head(room->roster)->epoch && !t->in->level &&
                !(room->row.flags & ROOM_FLAG_FORKED))
                return TAKEN_NOT_NOW;
        if (!room_knows(room, m->account))
                return TAKEN_NOT_NOW;
        if (!is_in(room)) /* who is out of it keeps what he had */
                return TAKEN;
        if (!roster_allows(room->roster, m->account, m->epoch, m->device, m->seq))
                return room_reason(t->why, TAKEN_REFUSED, CODE_NOT_MEMBER,
                        "the author was no member when he wrote that");
        return TAKEN;
}

static int take_signature(Taking *t) {
        const Inner *m = &t->m;
        RoomPosition at = room_position(m);
        Bytes certificate = t->in->certificate;
        const RoomCertificates list = {.list = &certificate, .n = certificate.size > 0};
        int e;

        e = author_prove(t->room->rooms, &list,
                &(Author){.account = m->account,
                        .epoch = m->epoch,
                        .device = m->device,
                        .sent = m->sent},
                &t->author);
        if (e <= 0)
                return e < 0 ? e : TAKEN_BAD;
        e = room_entry_verify(m->device, &at, t->hash, t->in->signature.data);
        return e == -ENOMEM ? e : e < 0 ? TAKEN_BAD : TAKEN;
}

/* What other devices of the account have to do with it. */
static int take_device(Taking *t) {
        DbTxn *txn = store_write(t->room->rooms->store);
        FeedList feeds __attribute__((cleanup(feed_list_done))) = {};
        uint64_t until;
        int e;

        e = feeds_of(t->room, txn, t->number, &feeds);
        if (e < 0 || (feeds.n <= 1 && t->feed.feed.number > 0) || feeds.n == 0)
                return e < 0 ? e : TAKEN;
        if (feeds.n == FEEDS_EACH_MAX && t->feed.feed.number == 0)
                return room_reason(t->why, TAKEN_REFUSED, CODE_TOO_MANY,
                        "the author writes from too many devices");
        e = superseded_at(txn, &feeds, t->m.epoch, t->m.device, &until);
        if (e >= 0 && t->m.hlc >= until)
                return room_reason(t->why, TAKEN_REFUSED, CODE_REPLACED,
                        "the author has written from a newer device before");
        return e < 0 ? e : TAKEN;
}

static int take_received(Taking *t, const RoomReceived *x) {
        Room *room = t->room;
        Entry held;
        int e;

        t->at->feed = x->feed;
        switch (x->taken) {
        case ROOM_ENTRY_NEW:
                e = author_keep(room->rooms, &t->author);
                if (e >= 0 && t->feed.feed.seq == 0)
                        e = cut_superseded(room, t->number);
                if (e >= 0)
                        e = room_touch(room, ROOM_NEW_ENTRIES);
                if (e >= 0 && again_is_about(room, t->m.account, t->m.epoch, t->m.device))
                        again_begin_epoch(room, "a room has something of it that is not here");
                return e < 0 ? e : TAKEN;
        case ROOM_ENTRY_AGAIN:
                return TAKEN_AGAIN;
        case ROOM_ENTRY_GAP:
                t->at->gap = true;
                return TAKEN_NOT_NOW;
        case ROOM_ENTRY_FORK:
                e = x->at == t->m.seq
                        ? entry_get(store_write(room->rooms->store), x->feed, x->at, &held)
                        : 0;
                if (e < 0)
                        return e;
                t->at->misfit = e == 0;
                if (e > 0 && t->feed.feed.seq - t->m.seq < ROOM_CUT_MAX &&
                        again_is_about(room, t->m.account, t->m.epoch, t->m.device))
                        return take_own(t, x);
                return e > 0 ? take_forked(t, &held) : TAKEN_STALE;
        default:
                return room_reason(t->why, TAKEN_REFUSED, CODE_FORK,
                        "the author has signed two entries with one number");
        }
}

/* All holds: into the store. */
static int take_in(Taking *t) {
        Room *room = t->room;
        Rooms *r = room->rooms;
        FeedHead resume;
        uint64_t end;
        NewRoomEntry n = {.room = room->row.number,
                .account = t->number,
                .inner = &t->m,
                .bytes = t->in->inner,
                .hash = t->hash,
                .signature = t->in->signature,
                .quiet = room->row.status == ROOM_JOINING || t->m.sent < room->row.joined,
                .was = t->in->was,
                .now = loop_realtime(r->loop)};
        RoomReceived x;
        int e;

        if (roster_resume(
                    room->roster, t->m.account, t->m.epoch, t->m.device, t->m.seq, &resume, &end) &&
                t->feed.feed.seq == end)
                n.resume = &resume;
        e = store_room_receive(r->store, &n, &x);
        return e < 0 ? e : take_received(t, &x);
}

int room_take_entry(Room *room, const RoomEntryIn *in, RoomEntryAt *ret, RoomReason *why) {
        RoomEntryAt at = {};
        Taking t = {.room = room, .in = in, .at = ret ?: &at, .why = why};
        RoomHead head;
        Entry held;
        int e;

        *t.at = at;
        e = take_form(&t, &head);
        if (e != TAKEN)
                return e;
        t.at->seq = t.m.seq;
        room_feed_tag(t.m.account, t.m.epoch, t.m.device, t.at->tag);
        e = take_right(&t, &head);
        if (e == TAKEN)
                e = room_account_number(room, t.m.account, true, &t.number) < 0 ? -EIO : TAKEN;
        if (e != TAKEN)
                return e;
        t.key = (RoomFeedKey){.number = t.number,
                .account = t.m.account,
                .epoch = t.m.epoch,
                .device = t.m.device};
        e = room_feed_find(store_write(room->rooms->store), room->row.number, &t.key, &t.feed);
        if (e < 0)
                return e;
        if (e == 0)
                t.feed = (RoomFeed){};
        if (compare_with_held(&t, &held) == 1)
                return TAKEN_AGAIN;
        if (t.feed.frozen > 0 && t.m.seq >= t.feed.frozen)
                return room_reason(why, TAKEN_REFUSED,
                        t.feed.forked > 0 ? CODE_FORK : CODE_REPLACED,
                        "nothing more is taken of this feed");
        e = take_signature(&t);
        if (e == TAKEN)
                e = take_device(&t);
        return e == TAKEN ? take_in(&t) : e;
}

int entries_open_feed(Room *room, const RoomFeedKey *key, RoomFeed *ret) {
        Store *s = room->rooms->store;
        FeedList feeds __attribute__((cleanup(feed_list_done))) = {};
        int e;

        e = room_feed_find(store_write(s), room->row.number, key, ret);
        if (e != 0)
                return e;
        e = feeds_of(room, store_write(s), key->number, &feeds);
        if (e < 0 || feeds.n == FEEDS_EACH_MAX)
                return MIN(e, 0);
        e = room_feed_open(s, room->row.number, key, ret);
        return e < 0 ? e : 1;
}

/* Proofs of forks */

int room_take_fork(Room *room, Bytes proof, RoomReason *why) {
        Store *s = room->rooms->store;
        RoomFeedKey key;
        RoomFeed feed;
        uint32_t number;
        RoomFork f;
        int e;

        e = room_fork_decode(proof, &f);
        if (e < 0 || memcmp(f.at.room, room->row.id, ROOM_ID_SIZE) != 0)
                return e == -ENOMEM ? e : TAKEN_BAD;
        if (!is_in(room) && !room->taking)
                return room_reason(
                        why, TAKEN_REFUSED, CODE_NOT_MEMBER, "this account is not in the room");
        if (!room_knows(room, f.at.account))
                return TAKEN_NOT_NOW;
        e = room_account_number(room, f.at.account, true, &number);
        if (e < 0)
                return e;
        key = (RoomFeedKey){.number = number,
                .account = f.at.account,
                .epoch = f.at.epoch,
                .device = f.at.device};
        e = room_feed_find(store_write(s), room->row.number, &key, &feed);
        if (e > 0 && feed.forked > 0 && feed.forked <= f.at.seq)
                return TAKEN_AGAIN;
        if (e == 0) {
                e = entries_open_feed(room, &key, &feed);
                if (e == 0)
                        return room_reason(why, TAKEN_REFUSED, CODE_TOO_MANY,
                                "the author writes from too many devices");
        }
        if (e >= 0)
                e = keep_fork(room, feed.feed.number, &f, NULL);
        return e < 0 ? e : e > 0 ? TAKEN_FORK : TAKEN_AGAIN;
}
