/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "directory/directory.h"

#include "directory/lan-private.h"

/* What a tracker refuses is announced again after so long, doubled each time. */
#define REFUSED_FIRST (5 * USEC_PER_SEC)
#define REFUSED_LAST (10 * USEC_PER_MINUTE)

/* However long the tracker asks to wait. */
#define RETRY_LAST USEC_PER_HOUR

bool directory_get_time(const Directory *d, usec_t *ret) {
        if (d->told_time == 0)
                return false;
        *ret = usec_add(d->told_time, loop_now(net_loop(d->net)) - d->told_at);
        return true;
}

/* Session callbacks */

static void announce_to(Directory *d, Session *s);

Tracker *tracker_of(Directory *d, const Session *s) {
        for (size_t i = 0; i < d->n; i++)
                if (d->trackers[i].session == s)
                        return &d->trackers[i];
        return NULL;
}

static void tracker_set_connected(Directory *d, Tracker *t, bool connected) {
        if (connected == t->connected)
                return;
        t->connected = connected;
        t->ready = false;
        t->announce_at = USEC_INFINITY; /* all is announced after connecting */
        t->refusal = CODE_OK;
        if (connected)
                presence_session_back(d, t);
        else
                presence_session_lost(d, t);
        if (connected)
                directory_rooms_session_back(d, t);
        else
                directory_rooms_session_lost(d, t);
}

static void on_session_state(void *userdata, Session *s) {
        Directory *d = userdata;
        Tracker *t = tracker_of(d, s);

        if (t)
                tracker_set_connected(d, t, session_state(s) == SESSION_CONNECTED);
        if (session_state(s) == SESSION_CONNECTED)
                announce_to(d, s);
        queries_go_on(d);
        d->callbacks->trackers_changed(d->userdata);
}

static void on_session_presence(void *userdata, Session *s, const PresencePush *push) {
        Directory *d = userdata;
        const Tracker *t = tracker_of(d, s);

        if (t)
                presence_pushed(d, t, push);
}

static void on_session_record(void *userdata, Session *s, Bytes outer) {
        Directory *d = userdata;
        Record record;
        Watched *w;

        if (record_decode(outer, &record) < 0)
                return;
        w = watched_find(d, record.account);
        if (!w)
                return;
        watched_take_device(w, record.epoch, record.device.device);
        w->shows_token = watched_asks_for_token(d, w, &record);
        watched_show_token(d, w);
        if (directory_is_self(d, record.account))
                own_record_heard(d, &record, outer);
        else
                d->callbacks->record(d->userdata, &record, outer);
}

/* Believed only when the record verifies, is this account's, and is newer, for which the account
 * looks: a push alone cannot log anyone out. */
static void on_session_replaced(void *userdata, Session *s, Bytes outer) {
        Directory *d = userdata;
        Record record;

        if (record_decode(outer, &record) >= 0 && directory_is_self(d, record.account))
                own_record_heard(d, &record, outer);
}

static void on_session_mail(void *userdata, Session *s) {
        Directory *d = userdata;

        if (d->callbacks->mail_waiting)
                d->callbacks->mail_waiting(d->userdata, s);
}

static void on_session_room(void *userdata, Session *s, const RoomUpdate *u) {
        Directory *d = userdata;
        const Tracker *t = tracker_of(d, s);

        if (t)
                directory_rooms_pushed(d, t, u);
}

static const SessionCallbacks session_callbacks = {
        .state = on_session_state,
        .presence = on_session_presence,
        .record = on_session_record,
        .mail_waiting = on_session_mail,
        .room_update = on_session_room,
        .replaced = on_session_replaced,
};

/* The list of trackers */

static void arm_announce_timer(Directory *d) {
        usec_t at = USEC_INFINITY;

        for (size_t i = 0; i < d->n; i++)
                at = MIN(at, d->trackers[i].announce_at);
        loop_timer_set(d->announce, at);
}

static const LocalIdentity *shown_self(const Directory *d) {
        return d->nameless ? &d->nobody : d->self;
}

static void tracker_start(Directory *d, Tracker *t) {
        if (!t->session &&
                session_new(
                        d->net, &t->address, shown_self(d), &session_callbacks, d, &t->session) < 0)
                t->session = NULL; /* shown as unreachable; tried again with the next start */
}

/* Whoever waits for an answer gets one. */
static void tracker_end(Directory *d, Tracker *t) {
        Session *s = TAKE_PTR(t->session);

        tracker_set_connected(d, t, false);
        if (s)
                session_fail_requests(s);
        session_free(s);
}

void directory_start(Directory *d) {
        d->started = true;
        for (size_t i = 0; i < d->n; i++)
                tracker_start(d, &d->trackers[i]);
}

void directory_stop(Directory *d) {
        d->started = false;
        for (size_t i = 0; i < d->n; i++)
                tracker_end(d, &d->trackers[i]);
        presence_expires_now(d);
        directory_rooms_expire_now(d);
        queries_go_on(d);
        d->callbacks->trackers_changed(d->userdata);
}

void directory_begin_anew(Directory *d, bool nameless) {
        if (nameless && d->nameless)
                return;
        d->nameless = nameless;
        d->nobody = *d->self;
        d->nobody.certificate = d->nobody.record = (Bytes){};
        for (size_t i = 0; i < d->n; i++)
                tracker_end(d, &d->trackers[i]);
        if (d->started)
                directory_start(d);
        d->callbacks->trackers_changed(d->userdata);
}

bool directory_is_nameless(const Directory *d) {
        return d->nameless;
}

static bool same_tracker(const EndpointKey *a, const EndpointKey *b) {
        return streq(a->host, b->host) && a->port == b->port && key_equal(a->key, b->key);
}

/* The old tracker, where it stays. */
static void tracker_take(Tracker *t, Directory *d) {
        for (size_t k = 0; k < d->n; k++) {
                Tracker *old = &d->trackers[k];

                if (!old->session || !same_tracker(&t->address, &old->address))
                        continue;
                *t = *old;
                old->session = NULL;
                old->connected = false;
                return;
        }
}

static unsigned first_slot(uint32_t taken) {
        unsigned i = 0;

        while (taken & UINT32_C(1) << i)
                i++;
        return i;
}

int directory_set_trackers(Directory *d, const EndpointKey *trackers, size_t n) {
        Tracker list[DIRECTORY_TRACKERS_MAX] = {};
        uint32_t taken = 0;

        if (n > DIRECTORY_TRACKERS_MAX)
                return -E2BIG;
        for (size_t i = 0; i < n; i++) {
                list[i] = (Tracker){.address = trackers[i],
                        .refused = BACKOFF_INIT(REFUSED_FIRST, REFUSED_LAST),
                        .announce_at = USEC_INFINITY};
                tracker_take(&list[i], d);
                if (list[i].session)
                        taken |= TRACKER_BIT(&list[i]);
        }
        for (size_t k = 0; k < d->n; k++)
                tracker_end(d, &d->trackers[k]);
        for (size_t i = 0; i < n; i++)
                if (!list[i].session) {
                        list[i].slot = first_slot(taken);
                        taken |= TRACKER_BIT(&list[i]);
                }
        memcpy(d->trackers, list, sizeof(list));
        d->n = n;
        arm_announce_timer(d);
        if (d->started)
                directory_start(d);
        d->callbacks->trackers_changed(d->userdata);
        return 0;
}

size_t directory_n_trackers(const Directory *d) {
        return d->n;
}

const Session *directory_session(const Directory *d, size_t i) {
        return d->trackers[i].session;
}

const EndpointKey *directory_tracker(const Directory *d, size_t i) {
        return &d->trackers[i].address;
}

Session *directory_ready_session(const Directory *d, size_t i) {
        return i < d->n && d->trackers[i].ready ? d->trackers[i].session : NULL;
}

Session *directory_connected_session(const Directory *d) {
        for (size_t i = 0; i < d->n; i++)
                if (d->trackers[i].session &&
                        session_state(d->trackers[i].session) == SESSION_CONNECTED)
                        return d->trackers[i].session;
        return NULL;
}

bool directory_is_connected(const Directory *d) {
        return directory_connected_session(d) != NULL;
}

bool directory_has_failed(const Directory *d) {
        for (size_t i = 0; i < d->n; i++) {
                const Session *s = d->trackers[i].session;

                if (s && (session_state(s) == SESSION_CONNECTED || session_is_trying(s)))
                        return false;
        }
        return true;
}

bool directory_is_refused(const Directory *d) {
        for (size_t i = 0; i < d->n; i++)
                if (d->trackers[i].refusal == CODE_INVALID_ARGS)
                        return true;
        return false;
}

const char *directory_error(const Directory *d) {
        for (size_t i = 0; i < d->n; i++)
                if (d->trackers[i].session && session_error(d->trackers[i].session)[0])
                        return session_error(d->trackers[i].session);
        return d->n == 0 ? "no tracker is configured" : "no tracker has answered yet";
}

void directory_wake(Directory *d) {
        for (size_t i = 0; i < d->n; i++)
                if (d->trackers[i].session)
                        session_wake(d->trackers[i].session);
}

void directory_woke(Directory *d, usec_t slept) {
        if (d->told_time > 0)
                d->told_time = usec_add(d->told_time, slept);
        presence_slept(d, slept);
        d->lan->slept = usec_add(d->lan->slept, slept);
        directory_lan_changed(d);
        for (size_t i = 0; i < d->n; i++)
                if (d->trackers[i].session)
                        session_doubt(d->trackers[i].session);
}

/* Announcing */

/* Without this an account would stay unknown at a tracker that was short of something just then.
 * A refusal that waiting does not help costs a request now and then, where a session costs twenty
 * heartbeats. */
static void announce_again(Directory *d, const Session *s, Code refusal) {
        Tracker *t = tracker_of(d, s);
        Loop *l = net_loop(d->net);
        usec_t wait;

        if (!t)
                return;
        t->refusal = refusal;
        (void)backoff_next(&t->refused, l);
        wait = MAX(t->refused.wait, session_retry_after(s));
        wait = MIN(wait, RETRY_LAST);
        t->announce_at = loop_now(l) + wait + loop_random_below(l, wait / 5 + 1);
        arm_announce_timer(d);
        d->callbacks->trackers_changed(d->userdata);
}

/* A lost connection is announced on anew anyway. */
static bool is_refused(Code code) {
        return code != CODE_OK && code != CODE_NAME_TAKEN && code != CODE_BAD_NAME &&
                code != CODE_TRACKER_UNREACHABLE;
}

static void on_published(void *userdata, Code code, const char *text, Frame *ok) {
        Session *s = userdata;
        Directory *d = session_userdata(s);
        Tracker *t = tracker_of(d, s);

        if (is_refused(code))
                announce_again(d, s, code);
        else if (t && code == CODE_OK) {
                t->refusal = CODE_OK;
                backoff_reset(&t->refused);
        }
}

static void publish_to(Directory *d, Session *s, Bytes record) {
        Publish p = {.presence = buffer_bytes(&d->presence), .record = record};

        if (p.presence.size > 0 && session_publish(s, &p, on_published, s) == -EBUSY)
                announce_again(d, s, CODE_TOO_MANY);
}

static void tracker_set_ready(Directory *d, Session *s) {
        Tracker *t = tracker_of(d, s);
        bool was;

        if (!t)
                return;
        was = t->ready;
        t->ready = true;
        if (!was)
                directory_rooms_ready(d, t);
        if (d->callbacks->tracker_ready)
                d->callbacks->tracker_ready(d->userdata, s);
}

/* A tracker that is new to this account takes its presence only once it has the name. */
static void on_registered(void *userdata, Code code, const char *text, Frame *ok) {
        Session *s = userdata;
        Directory *d = session_userdata(s);

        if (code == CODE_NAME_TAKEN || code == CODE_BAD_NAME)
                d->callbacks->name_refused(d->userdata, code, text);
        else if (is_refused(code)) {
                if (code == CODE_INVALID_ARGS)
                        directory_ask_own(d, s); /* who has a newer record, perhaps */
                announce_again(d, s, code);
        } else if (d->claimed && session_state(s) == SESSION_CONNECTED) {
                publish_to(d, s, (Bytes){});
                tracker_set_ready(d, s);
        }
}

static void register_at(Directory *d, Session *s) {
        if (session_register(s, d->self->record, on_registered, s) == -EBUSY)
                announce_again(d, s, CODE_TOO_MANY);
}

static void on_announce_timer(void *userdata) {
        Directory *d = userdata;

        for (size_t i = 0; i < d->n; i++) {
                Tracker *t = &d->trackers[i];

                if (t->announce_at > loop_now(net_loop(d->net)))
                        continue;
                t->announce_at = USEC_INFINITY;
                if (t->connected && d->claimed)
                        register_at(d, t->session);
        }
        arm_announce_timer(d);
}

/* While its name is no tracker's, whom the account watches is no business of theirs either. */
static void announce_to(Directory *d, Session *s) {
        if (d->claimed)
                register_at(d, s);
        if ((d->claimed || d->seeking) && tracker_of(d, s))
                tracker_watch_all(d, tracker_of(d, s));
}

void directory_announce(Directory *d, bool claimed, Bytes presence) {
        bool first = claimed && !d->claimed;

        d->claimed = claimed;
        buffer_clear(&d->presence);
        directory_lan_say_again(d);
        if (buffer_append(&d->presence, presence.data, presence.size) < 0 || !claimed)
                return;
        for (size_t i = 0; i < d->n; i++) {
                Session *s = d->trackers[i].session;

                if (!s || session_introduce(s) || session_state(s) != SESSION_CONNECTED)
                        continue;
                if (first)
                        announce_to(d, s);
                else
                        publish_to(d, s, d->self->record);
        }
}

int directory_new(Net *net, const LocalIdentity *self, const DirectoryCallbacks *callbacks,
        void *userdata, Directory **ret) {
        Directory *d = calloc(1, sizeof(*d));

        if (!d)
                return -ENOMEM;
        *d = (Directory){.net = net,
                .self = self,
                .callbacks = callbacks,
                .userdata = userdata,
                .grace_at = USEC_INFINITY};
        if (loop_timer_new(net_loop(net), on_query_timer, d, &d->query_timer) < 0 ||
                loop_timer_new(net_loop(net), on_announce_timer, d, &d->announce) < 0 ||
                loop_timer_new(net_loop(net), on_grace_over, d, &d->grace) < 0 ||
                loop_timer_new(net_loop(net), on_room_timer, d, &d->room_timer) < 0 ||
                lan_new(d) < 0) {
                directory_free(d);
                return -ENOMEM;
        }
        *ret = d;
        return 0;
}

Directory *directory_free(Directory *d) {
        Watched *w, *tmp;

        if (!d)
                return NULL;
        for (size_t i = 0; i < d->n; i++)
                session_free(d->trackers[i].session);
        finds_free(d);
        queries_free(d);
        directory_rooms_free(d);
        lan_free(d);
        loop_timer_free(d->query_timer);
        loop_timer_free(d->grace);
        loop_timer_free(d->room_timer);
        loop_timer_free(d->announce);
        HASH_ITER (hh, d->watched, w, tmp) {
                HASH_DEL(d->watched, w);
                watched_free(w);
        }
        buffer_done(&d->presence);
        buffer_done(&d->opened);
        free(d);
        return NULL;
}
