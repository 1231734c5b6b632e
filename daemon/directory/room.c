/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Rooms that were entered or published: every tracker that knows rooms is told, one request after
 * the other, once it has the account and again after each loss of the connection.
 */

#include "directory/private.h"

/* What a tracker refuses for a while is said again after so long, or when it says. */
#define AGAIN_TIME (10 * USEC_PER_SEC)
#define AGAIN_MAX USEC_PER_HOUR

static void rooms_go_on(Directory *d);

static DirectoryRoom *room_find(const Directory *d, const uint8_t *id) {
        DirectoryRoom *x;

        HASH_FIND(hh, d->rooms, id, ROOM_ID_SIZE, x);
        return x;
}

static int room_get(Directory *d, const uint8_t *id, DirectoryRoom **ret) {
        DirectoryRoom *x = room_find(d, id);

        *ret = x;
        if (x)
                return 0;
        if (HASH_COUNT(d->rooms) >= DIRECTORY_ROOMS_MAX)
                return -ENOBUFS;
        x = calloc(1, sizeof(*x));
        if (!x)
                return -ENOMEM;
        memcpy(x->id, id, ROOM_ID_SIZE);
        HASH_ADD(hh, d->rooms, id, ROOM_ID_SIZE, x);
        if (!TABLE_HAS(x)) {
                free(x);
                return -ENOMEM;
        }
        *ret = x;
        return 0;
}

static void room_free(Directory *d, DirectoryRoom *x) {
        room_forget_people(d, x);
        HASH_DEL(d->rooms, x);
        buffer_done(&x->record);
        buffer_done(&x->heard);
        free(x);
}

/* Nothing is to be said of it any more. */
static void room_free_idle(Directory *d, DirectoryRoom *x) {
        if (!x->entered && buffer_size(&x->record) == 0 && !x->to_leave && !x->entering)
                room_free(d, x);
}

void directory_rooms_free(Directory *d) {
        DirectoryRoom *x, *tmp;

        HASH_ITER (hh, d->rooms, x, tmp)
                room_free(d, x);
}

void directory_rooms_forget(Directory *d, void *userdata) {
        DirectoryRoom *x, *tmp;

        HASH_ITER (hh, d->rooms, x, tmp)
                if (x->userdata == userdata)
                        x->done = NULL;
}

/* Who is to be told */

static bool tracker_takes_rooms(const Tracker *t) {
        return t->ready && session_has_feature(t->session, FEATURE_ROOM_DIRECTORY);
}

static uint32_t all_trackers(const Directory *d) {
        uint32_t bits = 0;

        for (size_t i = 0; i < d->n; i++)
                if (tracker_takes_rooms(&d->trackers[i]))
                        bits |= TRACKER_BIT(&d->trackers[i]);
        return bits;
}

void directory_rooms_ready(Directory *d, const Tracker *t) {
        DirectoryRoom *x, *tmp;

        if (!tracker_takes_rooms(t))
                return;
        HASH_ITER (hh, d->rooms, x, tmp) {
                if (x->entered)
                        x->to_enter |= TRACKER_BIT(t);
                if (buffer_size(&x->record) > 0)
                        x->to_publish |= TRACKER_BIT(t);
        }
        rooms_go_on(d);
}

/* It forgets who is in a room by itself. */
void directory_rooms_session_lost(Directory *d, Tracker *t) {
        DirectoryRoom *x, *tmp;

        t->rooms = ROOMS_IDLE;
        t->rooms_at = 0;
        HASH_ITER (hh, d->rooms, x, tmp) {
                x->to_enter &= ~TRACKER_BIT(t);
                x->to_leave &= ~TRACKER_BIT(t);
                x->to_publish &= ~TRACKER_BIT(t);
                x->entering &= ~TRACKER_BIT(t);
                room_lose_people(d, x, TRACKER_BIT(t));
                room_free_idle(d, x);
        }
        directory_rooms_arm_timer(d);
}

void directory_rooms_session_back(Directory *d, const Tracker *t) {
        DirectoryRoom *x, *tmp;

        HASH_ITER (hh, d->rooms, x, tmp)
                room_renew_people(d, x, TRACKER_BIT(t));
        directory_rooms_arm_timer(d);
}

/* Answers */

/* Waiting may help. A lost connection is announced on anew anyway. */
static bool is_for_now(Code code) {
        return code == CODE_RATE_LIMITED || code == CODE_STORAGE || code == CODE_TIMEOUT ||
                code == CODE_NOT_LOGGED_IN;
}

static void tracker_wait(Directory *d, Tracker *t) {
        usec_t now = loop_now(net_loop(d->net));
        usec_t wait = MAX(session_retry_after(t->session), AGAIN_TIME);

        t->rooms_at = now + loop_jitter(net_loop(d->net), MIN(wait, AGAIN_MAX)) + AGAIN_TIME / 10;
        directory_rooms_arm_timer(d);
}

static void on_entered(void *userdata, Code code, const char *text, Frame *ok) {
        Session *s = userdata;
        Directory *d = session_userdata(s);
        Tracker *t = tracker_of(d, s);
        DirectoryRoom *x, *tmp;

        if (!t)
                return;
        t->rooms = ROOMS_IDLE;
        HASH_ITER (hh, d->rooms, x, tmp) {
                if (!(x->entering & TRACKER_BIT(t)))
                        continue;
                x->entering &= ~TRACKER_BIT(t);
                if (code != CODE_OK && x->entered)
                        x->to_enter |= TRACKER_BIT(t);
                room_free_idle(d, x);
        }
        if (code != CODE_OK)
                tracker_wait(d, t);
        rooms_go_on(d);
}

static void room_answer(Directory *d, DirectoryRoom *x, Code code, const char *text) {
        DirectoryDoneFn done = x->done;
        uint8_t id[ROOM_ID_SIZE];

        x->done = NULL;
        if (done)
                done(x->userdata, code, text);
        else if (code != CODE_OK && !is_for_now(code) && d->callbacks->room_refused) {
                memcpy(id, x->id, ROOM_ID_SIZE);
                d->callbacks->room_refused(d->userdata, id, code, text);
        }
}

static void on_published(void *userdata, Code code, const char *text, Frame *ok) {
        Session *s = userdata;
        Directory *d = session_userdata(s);
        Tracker *t = tracker_of(d, s);
        DirectoryRoom *x;

        if (!t || t->rooms != ROOMS_PUBLISHING)
                return;
        t->rooms = ROOMS_IDLE;
        if (code == CODE_TRACKER_UNREACHABLE)
                return;
        x = room_find(d, t->room);
        if (is_for_now(code)) {
                if (x)
                        x->to_publish |= TRACKER_BIT(t);
                tracker_wait(d, t);
        }
        if (x)
                room_answer(d, x, code, text);
        rooms_go_on(d);
}

/* Requests */

static int tracker_enter(Directory *d, Tracker *t, RoomPublish *p) {
        uint32_t bit = TRACKER_BIT(t);
        DirectoryRoom *x, *tmp;

        p->record = (Bytes){};
        p->n_enter = p->n_leave = 0;
        HASH_ITER (hh, d->rooms, x, tmp) {
                if (x->to_leave & bit && p->n_leave < ROOM_ENTER_MAX)
                        memcpy(p->leave[p->n_leave++], x->id, ROOM_ID_SIZE);
                else if (x->to_enter & bit && p->n_enter < ROOM_ENTER_MAX) {
                        memcpy(p->enter[p->n_enter].room, x->id, ROOM_ID_SIZE);
                        p->enter[p->n_enter].has_door = x->has_door;
                        memcpy(p->enter[p->n_enter++].door, x->door, ROOM_DOOR_SIZE);
                } else
                        continue;
                x->entering |= bit;
        }
        return p->n_enter + p->n_leave > 0
                ? session_room_publish(t->session, p, on_entered, t->session)
                : 0;
}

/* What was asked is told, or is to be told again. */
static int tracker_entered(Directory *d, Tracker *t, int r) {
        uint32_t bit = TRACKER_BIT(t);
        DirectoryRoom *x, *tmp;
        int n = 0;

        HASH_ITER (hh, d->rooms, x, tmp) {
                if (!(x->entering & bit))
                        continue;
                n++;
                if (r < 0) {
                        x->entering &= ~bit;
                        continue;
                }
                if (x->to_leave & bit)
                        x->to_leave &= ~bit;
                else
                        x->to_enter &= ~bit;
        }
        if (r < 0)
                return r;
        if (n > 0)
                t->rooms = ROOMS_ENTERING;
        return n;
}

static int tracker_publish(Directory *d, Tracker *t, RoomPublish *p) {
        DirectoryRoom *x, *tmp;
        int r;

        p->n_enter = p->n_leave = 0;
        HASH_ITER (hh, d->rooms, x, tmp) {
                if (!(x->to_publish & TRACKER_BIT(t)))
                        continue;
                p->record = buffer_bytes(&x->record);
                r = session_room_publish(t->session, p, on_published, t->session);
                if (r < 0)
                        return r;
                x->to_publish &= ~TRACKER_BIT(t);
                memcpy(t->room, x->id, ROOM_ID_SIZE);
                t->rooms = ROOMS_PUBLISHING;
                return 1;
        }
        return 0;
}

/* Entering comes first: it is what others wait for. */
static void tracker_go_on(Directory *d, Tracker *t, RoomPublish *p) {
        int r;

        if (!tracker_takes_rooms(t) || t->rooms != ROOMS_IDLE ||
                t->rooms_at > loop_now(net_loop(d->net)))
                return;
        t->rooms_at = 0;
        r = tracker_entered(d, t, tracker_enter(d, t, p));
        if (r == 0)
                r = tracker_publish(d, t, p);
        if (r < 0 && r != -ENOTCONN)
                tracker_wait(d, t); /* too much else is being asked */
}

static void rooms_go_on(Directory *d) {
        _cleanup_(freep) RoomPublish *p = NULL;

        if (!d->rooms)
                return;
        p = malloc(sizeof(*p));
        for (size_t i = 0; p && i < d->n; i++)
                tracker_go_on(d, &d->trackers[i], p);
}

void directory_rooms_arm_timer(Directory *d) {
        usec_t at = USEC_INFINITY;
        DirectoryRoom *x, *tmp;

        for (size_t i = 0; i < d->n; i++)
                if (d->trackers[i].rooms_at > 0)
                        at = MIN(at, d->trackers[i].rooms_at);
        HASH_ITER (hh, d->rooms, x, tmp)
                if (x->until > 0)
                        at = MIN(at, x->until);
        loop_timer_set(d->room_timer, at);
}

void on_room_timer(void *userdata) {
        Directory *d = userdata;
        usec_t now = loop_now(net_loop(d->net));

        directory_rooms_expire(d, now);
        /* Also those that have nothing to be told just now, or no session: else this timer would
         * come at once, again and again. */
        for (size_t i = 0; i < d->n; i++)
                if (d->trackers[i].rooms_at <= now)
                        d->trackers[i].rooms_at = 0;
        rooms_go_on(d);
        directory_rooms_arm_timer(d);
}

/* What the account says */

int directory_room_publish(Directory *d, Bytes record, DirectoryDoneFn fn, void *userdata) {
        DirectoryRoom *x;
        RoomRecord rec;
        Buffer copy = BUFFER_NULL;
        int r;

        if (room_record_parse(record, &rec) < 0 ||
                !key_equal(rec.owner, sign_key_public(d->self->account)))
                return -EBADMSG;
        if (buffer_append(&copy, record.data, record.size) < 0)
                return -ENOMEM;
        r = room_get(d, rec.room, &x);
        if (r < 0) {
                buffer_done(&copy);
                return r;
        }
        buffer_done(&x->record);
        x->record = copy;
        x->done = fn;
        x->userdata = userdata;
        x->to_publish = all_trackers(d);
        rooms_go_on(d);
        return 0;
}

int directory_room_enter(
        Directory *d, const uint8_t room[static ROOM_ID_SIZE], const uint8_t *door) {
        DirectoryRoom *x;
        int r;

        r = room_get(d, room, &x);
        if (r < 0)
                return r;
        if (x->entered && x->has_door == !!door &&
                (!door || memcmp(x->door, door, ROOM_DOOR_SIZE) == 0))
                return 0;
        x->entered = true;
        x->has_door = door;
        if (door)
                memcpy(x->door, door, ROOM_DOOR_SIZE);
        x->to_enter = all_trackers(d);
        x->to_leave = 0;
        rooms_go_on(d);
        return 0;
}

void directory_room_leave(Directory *d, const uint8_t room[static ROOM_ID_SIZE]) {
        DirectoryRoom *x = room_find(d, room);

        if (!x)
                return;
        if (x->entered)
                x->to_leave = all_trackers(d);
        x->entered = false;
        x->done = NULL;
        x->to_enter = x->to_publish = 0;
        buffer_done(&x->record);
        room_forget_people(d, x);
        rooms_go_on(d);
        room_free_idle(d, x);
}

bool directory_room_is_online(const Directory *d, const uint8_t room[static ROOM_ID_SIZE],
        const uint8_t account[static KEY_SIZE]) {
        const DirectoryRoom *x = room_find(d, room);

        return x && room_person_find(x, account);
}
