/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Who is in a room and online, as trackers say: while at least one does. What a tracker said before
 * it was lost counts for a while longer, as with presence, so that one that starts again does not
 * look like everybody leaving; but it has to be said again.
 */

#include "directory/private.h"

RoomPerson *room_person_find(const DirectoryRoom *x, const uint8_t *account) {
        RoomPerson *p;

        HASH_FIND(hh, x->people, account, KEY_SIZE, p);
        return p;
}

static RoomPerson *person_get(Directory *d, DirectoryRoom *x, const uint8_t *account) {
        RoomPerson *p = room_person_find(x, account);

        if (p || d->n_room_people >= DIRECTORY_ROOM_PEOPLE_MAX)
                return p;
        p = calloc(1, sizeof(*p));
        if (!p)
                return NULL;
        memcpy(p->account, account, KEY_SIZE);
        HASH_ADD(hh, x->people, account, KEY_SIZE, p);
        if (!TABLE_HAS(p)) {
                free(p);
                return NULL;
        }
        d->n_room_people++;
        return p;
}

static void person_free(Directory *d, DirectoryRoom *x, RoomPerson *p) {
        HASH_DEL(x->people, p);
        d->n_room_people--;
        free(p);
}

void room_forget_people(Directory *d, DirectoryRoom *x) {
        RoomPerson *p, *tmp;

        HASH_ITER (hh, x->people, p, tmp)
                person_free(d, x, p);
        x->until = 0;
}

static void tell(Directory *d, const DirectoryRoom *x, const uint8_t *account, RoomPresence state) {
        DirectoryRoomUpdate u = {.room = x->id, .account = account, .state = state};

        if (d->callbacks->room_update)
                d->callbacks->room_update(d->userdata, &u);
}

/* Lost and found */

static usec_t grace_end(const Directory *d) {
        return loop_now(net_loop(d->net)) +
                DIRECTORY_GRACE_HEARTBEATS * d->self->heartbeat * USEC_PER_SEC;
}

void room_lose_people(Directory *d, DirectoryRoom *x, uint32_t who) {
        RoomPerson *p, *tmp;

        HASH_ITER (hh, x->people, p, tmp) {
                if (!(p->said & who & ~p->lost))
                        continue;
                p->lost |= who;
                x->until = grace_end(d);
                x->renewed = false;
        }
}

/* Others have to find their way back as well. Once only, as with presence. */
void room_renew_people(Directory *d, DirectoryRoom *x, uint32_t who) {
        if (x->until == 0 || x->renewed)
                return;
        x->renewed = true;
        x->until = grace_end(d);
}

/* Callbacks may enter and leave rooms: after each all is looked at again. True when there was
 * somebody. */
static bool expire_one(Directory *d, usec_t now) {
        RoomPerson *p, *ptmp;
        DirectoryRoom *x, *tmp;

        HASH_ITER (hh, d->rooms, x, tmp) {
                if (x->until == 0 || x->until > now)
                        continue;
                HASH_ITER (hh, x->people, p, ptmp) {
                        uint8_t account[KEY_SIZE];

                        p->said &= ~p->lost;
                        p->lost = 0;
                        if (p->said)
                                continue;
                        memcpy(account, p->account, KEY_SIZE);
                        person_free(d, x, p);
                        tell(d, x, account, ROOM_PRESENCE_OFFLINE);
                        return true;
                }
                x->until = 0;
        }
        return false;
}

void directory_rooms_expire(Directory *d, usec_t now) {
        while (expire_one(d, now))
                ;
}

void directory_rooms_expire_now(Directory *d) {
        DirectoryRoom *x, *tmp;

        HASH_ITER (hh, d->rooms, x, tmp)
                room_forget_people(d, x);
        directory_rooms_arm_timer(d);
}

/* What is said */

static void take_record(Directory *d, DirectoryRoom *x, Bytes outer) {
        DirectoryRoomUpdate u = {.outer = outer};
        RoomRecord rec, heard;
        Bytes before = buffer_bytes(&x->heard);

        if (room_record_decode(outer, &rec) < 0 || memcmp(rec.room, x->id, ROOM_ID_SIZE) != 0)
                return;
        if (before.size > 0 && room_record_parse(before, &heard) >= 0 &&
                room_record_compare(&rec, outer, &heard, before) <= 0)
                return;
        buffer_clear(&x->heard);
        (void)buffer_append(&x->heard, outer.data, outer.size);
        u.room = rec.room;
        u.record = &rec;
        if (d->callbacks->room_update)
                d->callbacks->room_update(d->userdata, &u);
}

static void take_entered(Directory *d, DirectoryRoom *x, const Tracker *t, const uint8_t *account) {
        RoomPerson *p = person_get(d, x, account);
        bool was;

        if (!p)
                return;
        was = p->said != 0;
        p->said |= TRACKER_BIT(t);
        p->lost &= ~TRACKER_BIT(t);
        if (!was)
                tell(d, x, account, ROOM_PRESENCE_ENTERED);
}

/* That he is offline is about this tracker: he may be at another. That he has left is his own
 * word. */
static void take_gone(Directory *d, DirectoryRoom *x, const Tracker *t, const uint8_t *account,
        RoomPresence state) {
        RoomPerson *p = room_person_find(x, account);

        if (!p)
                return;
        p->said &= ~TRACKER_BIT(t);
        p->lost &= p->said;
        if (state == ROOM_PRESENCE_OFFLINE && p->said)
                return;
        person_free(d, x, p);
        tell(d, x, account, state);
}

static DirectoryRoom *entered_room(const Directory *d, const uint8_t *id) {
        DirectoryRoom *x;

        HASH_FIND(hh, d->rooms, id, ROOM_ID_SIZE, x);
        return x && x->entered ? x : NULL;
}

void directory_rooms_pushed(Directory *d, const Tracker *t, const RoomUpdate *u) {
        DirectoryRoom *x = entered_room(d, u->room);

        if (x && u->record.size > 0)
                take_record(d, x, u->record);
        for (size_t i = 0; i < u->n_accounts; i++) {
                x = entered_room(d, u->room); /* a callback may have left it */
                if (!x)
                        return;
                if (key_equal(u->accounts[i], sign_key_public(d->self->account)))
                        continue;
                if (u->state == ROOM_PRESENCE_ENTERED)
                        take_entered(d, x, t, u->accounts[i]);
                else
                        take_gone(d, x, t, u->accounts[i], u->state);
        }
}
