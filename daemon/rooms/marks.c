/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What the others have of the own entries. A vector is an acknowledgement: whoever says that he
 * holds the own feed up to an entry has been told its hash. What an entry has once been said to be
 * it stays, whoever joins later.
 */

#include "rooms/state.h"

/* States that are told at once; of what is older nothing is. */
#define STATES_MAX 1024

/* In larger rooms everybody is looked at only so often. */
#define MARKS_PAUSE USEC_PER_SEC

static int own_feed(Room *room, DbTxn *txn, RoomFeed *ret) {
        const Identity *self = room->rooms->self;
        RoomFeedKey key = {.number = SELF_NUMBER,
                .account = rooms_self(room->rooms),
                .epoch = self->epoch,
                .device = sign_key_public(&self->device)};

        return room_feed_find(txn, room->row.number, &key, ret);
}

static bool highest_mark(void *userdata, DbTxn *txn, uint32_t account, const RoomMark *m) {
        uint64_t *highest = userdata;

        if (account != ROOM_MARK_TOLD)
                *highest = MAX(*highest, m->held);
        return true;
}

int marks_load(Room *room, DbTxn *txn) {
        RoomMark told;
        RoomFeed f;
        int e;

        room->own = 0;
        room->own_epoch = room->rooms->self->epoch;
        room->stored = room->delivered = room->read = 0;
        e = own_feed(room, txn, &f);
        if (e <= 0)
                return e;
        room->own = f.feed.number;
        e = room_mark_get(txn, room->row.number, ROOM_MARK_TOLD, room->own, &told);
        if (e > 0) {
                room->delivered = told.held;
                room->read = told.read;
        }
        return e < 0
                ? e
                : room_mark_each(txn, room->row.number, room->own, highest_mark, &room->stored);
}

typedef struct Count {
        Room *room;
        DbTxn *txn;
        Tally *tally;
} Count;

static bool count_member(void *userdata, const RosterMember *m) {
        Count *c = userdata;
        Tally *t = c->tally;
        Contact contact;
        RoomMark mark = {};

        if (!m->member || key_equal(m->account, rooms_self(c->room->rooms)))
                return true;
        t->error = contact_get(c->txn, m->account, &contact);
        if (t->error > 0)
                t->error =
                        room_mark_get(c->txn, c->room->row.number, contact.number, t->feed, &mark);
        if (t->error == 0)
                mark = (RoomMark){};
        if (t->error < 0 || t->n == t->allocated)
                return false;
        t->held[t->n] = mark.held;
        t->read[t->n++] = mark.read;
        return true;
}

static int tally_reserve(Tally *t, size_t n) {
        uint64_t *p;

        if (n <= t->allocated)
                return 0;
        p = reallocarray(t->held, n, sizeof(*p));
        if (!p)
                return -ENOMEM;
        t->held = p;
        p = reallocarray(t->read, n, sizeof(*p));
        if (!p)
                return -ENOMEM;
        t->read = p;
        t->allocated = n;
        return 0;
}

static int by_number(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

static int count(Room *room, DbTxn *txn, uint32_t feed, Tally *t) {
        t->good = false;
        t->room = room->row.number;
        t->feed = feed;
        t->n = 0;
        t->made++;
        t->error = tally_reserve(t, roster_count(room->roster) + 1);
        if (t->error >= 0)
                roster_each(
                        room->roster, count_member, &(Count){.room = room, .txn = txn, .tally = t});
        if (t->error < 0)
                return t->error;
        qsort(t->held, t->n, sizeof(*t->held), by_number);
        qsort(t->read, t->n, sizeof(*t->read), by_number);
        return 0;
}

/* How many of the N numbers are SEQ or more. */
static unsigned count_from(const uint64_t *list, size_t n, uint64_t seq) {
        size_t low = 0, high = n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (list[middle] < seq)
                        low = middle + 1;
                else
                        high = middle;
        }
        return (unsigned)(n - low);
}

void marks_forget(Rooms *r) {
        r->tally.good = false;
}

static MessageState state_at(uint64_t seq, uint64_t stored, uint64_t delivered, uint64_t read) {
        return seq <= read         ? MESSAGE_READ
                : seq <= delivered ? MESSAGE_DELIVERED
                : seq <= stored    ? MESSAGE_STORED
                                   : MESSAGE_QUEUED;
}

static int tell_state(Room *room, uint64_t seq, MessageState state) {
        Store *s = room->rooms->store;
        EventRow row = {.kind = EVENT_STATE,
                .time = loop_realtime(room->rooms->loop),
                .feed = room->own,
                .seq = seq,
                .state = state};
        Entry entry;
        Inner m;
        int e;

        e = entry_get(store_write(s), room->own, seq, &entry);
        if (e <= 0)
                return e;
        if (inner_decode(entry.inner, &m) < 0)
                return store_damaged(store_write(s));
        row.id = m.id;
        return event_add(s, &row);
}

static uint64_t lowest(uint64_t a, uint64_t b, uint64_t c) {
        return a < b ? MIN(a, c) : MIN(b, c);
}

static uint64_t highest(uint64_t a, uint64_t b, uint64_t c) {
        return a > b ? MAX(a, c) : MAX(b, c);
}

static int tell_states(Room *room, uint64_t stored, uint64_t delivered, uint64_t read) {
        uint64_t first = lowest(room->stored, room->delivered, room->read) + 1;
        uint64_t last = highest(stored, delivered, read);
        RoomMark told = {.feed = room->own, .held = delivered, .read = read};
        int e = 0;

        if (last >= STATES_MAX)
                first = MAX(first, last - STATES_MAX + 1);
        for (uint64_t seq = first; seq <= last && e >= 0; seq++) {
                MessageState now = state_at(seq, stored, delivered, read);

                if (now != state_at(seq, room->stored, room->delivered, room->read))
                        e = tell_state(room, seq, now);
        }
        if (e >= 0 && (delivered > room->delivered || read > room->read))
                e = room_mark_set(room->rooms->store, room->row.number, ROOM_MARK_TOLD, &told);
        if (e < 0)
                return e;
        room->stored = stored;
        room->delivered = delivered;
        room->read = read;
        return room_touch(room, ROOM_NEW_MARKS);
}

static int look(Room *room) {
        DbTxn *txn = store_write(room->rooms->store);
        uint64_t stored, delivered, read;
        Tally *t = &room->rooms->tally;
        int e;

        room->marks_at = 0;
        if (room->own == 0)
                return 0;
        e = count(room, txn, room->own, t); /* of the batch: not for those who are shown it */
        if (e < 0)
                return e;
        stored = MAX(room->stored, t->n > 0 ? t->held[t->n - 1] : 0);
        delivered = MAX(room->delivered, t->n > 0 ? t->held[0] : 0);
        read = t->n > 0 && t->n < ROOMS_READ_MAX ? MAX(room->read, t->read[0]) : room->read;
        if (stored == room->stored && delivered == room->delivered && read == room->read)
                return 0;
        return tell_states(room, stored, delivered, read);
}

static void set_timer(Rooms *r) {
        usec_t first = USEC_INFINITY;

        ROOM_EACH(r, room)
        if (room->marks_at > 0)
                first = MIN(first, room->marks_at);
        loop_timer_set(r->marks_timer, first);
}

static void on_timer(void *userdata) {
        Rooms *r = userdata;
        usec_t now = loop_now(r->loop);
        int e;

        ROOM_EACH(r, room) {
                if (room->marks_at == 0 || room->marks_at > now)
                        continue;
                room->marks_at = 0;
                if (!room_by_number(
                            r, room->row.number)) /* cannot be read: what is told comes again */
                        continue;
                e = look(room);
                if (e < 0 && log_limit_take(&r->failures, now))
                        log_warning("cannot note what others have: %s", strerror(-e));
        }
        set_timer(r);
}

/* Who is a member has changed, or what one has. */
int marks_look(Room *room) {
        Rooms *r = room->rooms;

        if (roster_count(room->roster) <= ROOMS_READ_MAX)
                return look(room);
        if (room->marks_at == 0) {
                room->marks_at = usec_add(loop_now(r->loop), MARKS_PAUSE);
                set_timer(r);
        }
        return 0;
}

int marks_new(Rooms *r) {
        return loop_timer_new(r->loop, on_timer, r, &r->marks_timer);
}

void marks_free(Rooms *r) {
        r->marks_timer = loop_timer_free(r->marks_timer);
        free(r->tally.held);
        free(r->tally.read);
}

/* Whether the own entry SEQ begins with these bytes of its hash. */
static int has_hash(Room *room, const RoomFeed *f, uint64_t seq, Bytes hash) {
        uint8_t own[SHA256_SIZE];
        Entry entry;
        int e;

        if (seq > f->feed.seq || hash.size > SHA256_SIZE)
                return 0;
        if (seq == f->feed.seq)
                memcpy(own, f->feed.hash, SHA256_SIZE);
        else {
                e = entry_get(store_write(room->rooms->store), f->feed.number, seq, &entry);
                if (e <= 0)
                        return e;
                sha256(entry.inner.data, entry.inner.size, own);
        }
        return memcmp(own, hash.data, hash.size) == 0;
}

int room_note_mark(Room *room, const uint8_t account[static KEY_SIZE], const RoomFeed *f,
        uint64_t seq, Bytes hash, uint64_t read) {
        RoomMark m = {.feed = f->feed.number, .held = seq, .read = MIN(read, seq)};
        uint32_t number;
        int e;

        if (f->feed.account != SELF_NUMBER || seq == 0 ||
                key_equal(account, rooms_self(room->rooms)))
                return 0;
        e = hash.size > 0 ? has_hash(room, f, seq, hash) : 1;
        if (e > 0) /* that he is a member may be heard of later than what he has */
                e = room_account_number(room, account, false, &number);
        if (e > 0)
                e = room_mark_set(room->rooms->store, room->row.number, number, &m);
        if (e <= 0)
                return e;
        if (room->own == 0)
                e = marks_load(room, store_write(room->rooms->store));
        if (e >= 0)
                e = room_touch(room, ROOM_NEW_MARKS);
        return e < 0 ? e : marks_look(room);
}

int room_read_position(Room *room, DbTxn *txn, const RoomFeed *f, uint64_t *ret) {
        *ret = 0;
        if (f->feed.account == SELF_NUMBER)
                return 0;
        return room_feed_read(txn, f->feed.number, ret);
}

int rooms_count_delivered(Rooms *r, DbTxn *txn, uint32_t number, uint32_t feed, uint64_t seq,
        unsigned *ret_held, unsigned *ret_read, unsigned *ret_members) {
        Room *room = room_by_number(r, number);
        Tally *t = &r->tally;
        int e;

        *ret_held = *ret_read = *ret_members = 0;
        if (!room)
                return 0;
        if (!t->good || t->room != number || t->feed != feed) {
                e = count(room, txn, feed, t);
                if (e < 0)
                        return e;
                t->good = true;
        }
        *ret_held = count_from(t->held, t->n, seq);
        *ret_members = (unsigned)t->n;
        *ret_read = t->n < ROOMS_READ_MAX ? count_from(t->read, t->n, seq) : 0;
        return 1;
}
