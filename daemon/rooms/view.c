/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What there is to see of rooms. */

#include <stdio.h>

#include "rooms/state.h"

static bool is_online(const Rooms *r, const uint8_t account[static KEY_SIZE]) {
        const RoomsCallbacks *c = r->callbacks;

        if (key_equal(account, rooms_self(r)))
                return true;
        if (c && c->link && c->link(r->userdata, account))
                return true;
        return c && c->is_online && c->is_online(r->userdata, account);
}

typedef struct Census {
        const Rooms *rooms;
        unsigned online;
} Census;

static bool count_online(void *userdata, const RosterMember *m) {
        Census *c = userdata;

        c->online += m->member && is_online(c->rooms, m->account);
        return true;
}

typedef struct Forks {
        const Room *room;
        unsigned n;
} Forks;

/* Of who is no member any more, nothing is expected. */
static bool count_fork(void *userdata, DbTxn *txn, uint32_t feed, uint64_t seq, Bytes proof) {
        Forks *x = userdata;
        RoomFeed f;
        Contact c;

        if (room_feed_get(txn, x->room->row.number, feed, &f) <= 0)
                return true;
        if (f.feed.account == SELF_NUMBER)
                x->n += room_is_member(x->room, rooms_self(x->room->rooms));
        else if (contact_get_by_number(txn, f.feed.account, &c) > 0)
                x->n += room_is_member(x->room, c.account);
        return true;
}

static const char *why_read_only(const Room *room) {
        if (room->row.flags & ROOM_FLAG_FORKED)
                return "the owner has signed two different states of the room";
        switch (room->row.status) {
        case ROOM_LEFT:
                return "you have left the room";
        case ROOM_KICKED:
                return "you were removed from the room";
        case ROOM_DELETED:
                return "the owner has deleted the room";
        default:
                return "";
        }
}

static int view(Room *room, DbTxn *txn, RoomView *ret) {
        Rooms *r = room->rooms;
        const RosterHead *head = roster_head(room->roster);
        const RoomRow *row = &room->row;
        Census census = {.rooms = r};
        Forks forks = {.room = room};
        int e;

        *ret = (RoomView){.number = row->number,
                .has_owner = head->epoch > 0,
                .access = roster_access(room->roster),
                .history = roster_history(room->roster),
                .status = row->status,
                .role = room_rank(room, rooms_self(r)),
                .read_only = row->read_only,
                .members = (unsigned)roster_count(room->roster),
                .term = head->term,
                .control_epoch = head->epoch,
                .inviter = row->inviter};
        memcpy(ret->id, row->id, sizeof(ret->id));
        snprintf(ret->name, sizeof(ret->name), "%s",
                row->name[0] ? row->name : roster_name(room->roster));
        snprintf(ret->topic, sizeof(ret->topic), "%s", roster_topic(room->roster));
        snprintf(ret->why_read_only, sizeof(ret->why_read_only), "%s", why_read_only(room));
        memcpy(ret->control_hash, head->hash, SHA256_SIZE);
        if (ret->has_owner) {
                memcpy(ret->owner, roster_owner(room->roster), KEY_SIZE);
                memcpy(ret->founder, roster_founder(room->roster), KEY_SIZE);
                memcpy(ret->nonce, roster_nonce(room->roster), ROOM_NONCE_SIZE);
        }
        roster_each(room->roster, count_online, &census);
        ret->online = census.online;
        e = room_is_joined(room) ? room_has_key(room, txn) : 0;
        ret->joined = e > 0;
        if (e >= 0)
                e = room_fork_each(txn, row->number, count_fork, &forks);
        ret->frozen = forks.n;
        return e < 0 ? e : 1;
}

int rooms_view(Rooms *r, DbTxn *txn, uint32_t number, RoomView *ret) {
        Room *room = room_by_number(r, number);

        return room ? view(room, txn, ret) : 0;
}

int rooms_each(Rooms *r, DbTxn *txn, RoomViewFn fn, void *userdata) {
        RoomView v;
        int e;

        ROOM_EACH(r, room) {
                e = room->lost ? 0 : view(room, txn, &v);
                if (e < 0)
                        return e;
                if (e > 0 && !fn(userdata, &v))
                        break;
        }
        return 0;
}

typedef struct Listing {
        Room *room;
        DbTxn *txn;
        RoomMemberFn fn;
        void *userdata;
} Listing;

static bool feed_is_forked(void *userdata, DbTxn *txn, const RoomFeed *f) {
        bool *forked = userdata;

        *forked = f->forked > 0;
        return !*forked;
}

static bool has_forked(const Listing *l, const uint8_t account[static KEY_SIZE]) {
        uint32_t number = SELF_NUMBER;
        bool forked = false;
        Contact c;

        if (!key_equal(account, rooms_self(l->room->rooms))) {
                if (contact_get(l->txn, account, &c) <= 0)
                        return false;
                number = c.number;
        }
        (void)room_feed_each_of(l->txn, l->room->row.number, number, feed_is_forked, &forked);
        return forked;
}

static bool is_offered(const Room *room, const uint8_t *account) {
        const uint8_t *offered = roster_offered(room->roster);

        return offered && key_equal(offered, account);
}

static bool list_member(void *userdata, const RosterMember *m) {
        Listing *l = userdata;
        const RoomMemberView v = {.account = m->account,
                .name = m->name,
                .role = m->role,
                .provisional = m->provisional,
                .online = is_online(l->room->rooms, m->account),
                .frozen = m->member && has_forked(l, m->account),
                .offered = is_offered(l->room, m->account)};

        return !m->member || l->fn(l->userdata, &v);
}

bool rooms_has_member(
        Rooms *r, uint32_t number, const uint8_t account[static KEY_SIZE], unsigned *ret_members) {
        Room *room = room_by_number(r, number);

        *ret_members = room ? (unsigned)roster_count(room->roster) : 0;
        return room && room_is_member(room, account);
}

int rooms_each_member(Rooms *r, DbTxn *txn, uint32_t number, RoomMemberFn fn, void *userdata) {
        Listing l = {.room = room_by_number(r, number), .txn = txn, .fn = fn, .userdata = userdata};

        if (!l.room)
                return -ENOENT;
        roster_each(l.room->roster, list_member, &l);
        return 0;
}

const char *rooms_claimed_name(Rooms *r, uint32_t number, const uint8_t account[static KEY_SIZE]) {
        const Room *room = room_by_number(r, number);
        const RosterMember *m = room ? roster_member(room->roster, account) : NULL;

        return m ? m->name : "";
}

const char *rooms_log_name(Rooms *r, uint32_t number) {
        const Room *room = room_by_number(r, number);

        return room ? roster_name(room->roster) : "";
}
