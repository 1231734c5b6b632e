/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "directory/directory.h"

#include "directory/private.h"

/* Watched accounts */

static Watched *watched_find(const Directory *d, const uint8_t *account) {
        Watched *w;

        HASH_FIND(hh, d->watched, account, KEY_SIZE, w);
        return w;
}

const KnownPresence *directory_presence(
        const Directory *d, const uint8_t account[static KEY_SIZE]) {
        Watched *w = watched_find(d, account);

        return w && w->heard ? &w->known : NULL;
}

static void on_watched(void *userdata, Code code, const char *text, Frame *ok) {
        queries_go_on(userdata);
}

/* A session that has too many requests open is told everything anew when one was answered: watching
 * twice is watching. */
static void session_watch_accounts(Directory *d, Session *s, const uint8_t *accounts, size_t n) {
        Watch w = {.add = {.data = accounts, .size = n * KEY_SIZE}};

        if (n > 0 && session_watch(s, &w, on_watched, d) == -EBUSY)
                d->watch_again = true;
}

static void session_watch_all(Directory *d, Session *s) {
        uint8_t(*accounts)[KEY_SIZE] = malloc((size_t)WATCH_ACCOUNTS_MAX * KEY_SIZE);
        Watched *w, *tmp;
        size_t n = 0;

        if (!accounts)
                return;
        HASH_ITER (hh, d->watched, w, tmp) {
                memcpy(accounts[n++], w->account, KEY_SIZE);
                if (n == WATCH_ACCOUNTS_MAX) {
                        session_watch_accounts(d, s, accounts[0], n);
                        n = 0;
                }
        }
        session_watch_accounts(d, s, accounts[0], n);
        free(accounts);
}

void watch_go_on(Directory *d) {
        if (!d->watch_again)
                return;
        d->watch_again = false;
        for (size_t i = 0; i < d->n; i++)
                if (d->trackers[i].session &&
                        session_state(d->trackers[i].session) == SESSION_CONNECTED)
                        session_watch_all(d, d->trackers[i].session);
}

int directory_watch(Directory *d, const uint8_t account[static KEY_SIZE]) {
        Watched *w;

        if (watched_find(d, account))
                return 0;
        if (HASH_COUNT(d->watched) >= DIRECTORY_WATCHED_MAX)
                return -ENOBUFS;
        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        memcpy(w->account, account, KEY_SIZE);
        HASH_ADD(hh, d->watched, account, KEY_SIZE, w);
        for (size_t i = 0; i < d->n; i++)
                if (d->trackers[i].session &&
                        session_state(d->trackers[i].session) == SESSION_CONNECTED)
                        session_watch_accounts(d, d->trackers[i].session, w->account, 1);
        return 0;
}

void directory_unwatch(Directory *d, const uint8_t account[static KEY_SIZE]) {
        Watch remove = {.remove = {.data = account, .size = KEY_SIZE}};
        Watched *w = watched_find(d, account);

        if (!w)
                return;
        for (size_t i = 0; i < d->n; i++)
                if (d->trackers[i].session &&
                        session_state(d->trackers[i].session) == SESSION_CONNECTED)
                        (void)session_watch(d->trackers[i].session, &remove, NULL, NULL);
        HASH_DEL(d->watched, w);
        free(w);
}

/* The newer of what is known and P. */
static int watched_take(Watched *w, const PresenceRecord *p, usec_t now) {
        KnownPresence *k = &w->known;

        if (w->heard && (p->epoch < k->epoch || (p->epoch == k->epoch && p->seq < k->seq)))
                return -ESTALE;
        *k = (KnownPresence){.online = p->presence != PRESENCE_OFFLINE,
                .presence = p->presence,
                .last_seen = now,
                .epoch = p->epoch,
                .seq = p->seq};
        copy_bytes(k->note, p->note.data, p->note.size);
        for (size_t i = 0; i < p->n_endpoints; i++)
                if (p->endpoints[i].size < sizeof(k->endpoints[0]))
                        copy_bytes(k->endpoints[k->n_endpoints++], p->endpoints[i].data,
                                p->endpoints[i].size);
        w->heard = true;
        return 0;
}

/* Which device speaks for an account is the account's own word: a record or a certificate. */
static void watched_take_device(Watched *w, uint64_t epoch, const uint8_t *device) {
        if (w->has_device && epoch < w->epoch)
                return;
        w->has_device = true;
        w->epoch = epoch;
        memcpy(w->device, device, KEY_SIZE);
}

/* Anybody can sign a presence; only that of the account's device says where the account is. */
static int presence_decode_of(const Watched *w, Bytes outer, PresenceRecord *ret) {
        if (presence_decode(outer, ret) < 0 || !w->has_device || ret->epoch != w->epoch ||
                !key_equal(ret->account, w->account) || !key_equal(ret->device, w->device))
                return -EBADMSG;
        return 0;
}

int directory_take_presence(Directory *d, const Certificate *c, Bytes presence, usec_t now) {
        Watched *w = watched_find(d, c->account);
        PresenceRecord p;
        int r;

        if (!w)
                return 0;
        watched_take_device(w, c->epoch, c->device);
        r = presence_decode_of(w, presence, &p);
        if (r >= 0)
                r = watched_take(w, &p, now);
        if (r >= 0)
                d->callbacks->presence(d->userdata, w->account, w->known.online, now, &p);
        return r;
}

void directory_learn(
        Directory *d, const Record *record, const PresenceRecord *presence, usec_t now) {
        Watched *w = watched_find(d, record->account);

        if (!w)
                return;
        watched_take_device(w, record->epoch, record->device.device);
        if (presence && presence->epoch == w->epoch && key_equal(presence->device, w->device))
                (void)watched_take(w, presence, now);
}

bool directory_get_time(const Directory *d, usec_t *ret) {
        if (d->told_time == 0)
                return false;
        *ret = usec_add(d->told_time, loop_now(net_loop(d->net)) - d->told_at);
        return true;
}

/* Without a tracker */

static void watched_forget_online(Watched *w) {
        w->known.online = false;
        w->known.presence = PRESENCE_OFFLINE;
}

static void on_grace_over(void *userdata) {
        Directory *d = userdata;
        Watched *w, *tmp;

        d->informed = false;
        HASH_ITER (hh, d->watched, w, tmp) {
                if (!w->heard || !w->known.online)
                        continue;
                watched_forget_online(w);
                d->callbacks->presence(d->userdata, w->account, false, w->known.last_seen, NULL);
        }
}

static void presence_expires_later(Directory *d) {
        usec_t grace = DIRECTORY_GRACE_HEARTBEATS * d->self->heartbeat * USEC_PER_SEC;

        if (directory_is_connected(d)) {
                d->informed = true;
                d->has_grace = false;
                loop_timer_set(d->grace, USEC_INFINITY);
        } else if (d->informed && !d->has_grace) {
                d->has_grace = true;
                loop_timer_set(d->grace, loop_now(net_loop(d->net)) + grace);
        }
}

/* Nobody is watched any more, and nobody is told. */
static void presence_expires_now(Directory *d) {
        Watched *w, *tmp;

        d->informed = d->has_grace = false;
        loop_timer_set(d->grace, USEC_INFINITY);
        HASH_ITER (hh, d->watched, w, tmp)
                watched_forget_online(w);
}

/* Session callbacks */

static void announce_to(Directory *d, Session *s);

static void on_session_state(void *userdata, Session *s) {
        Directory *d = userdata;

        if (session_state(s) == SESSION_CONNECTED)
                announce_to(d, s);
        presence_expires_later(d);
        queries_go_on(d);
        d->callbacks->trackers_changed(d->userdata);
}

/* A tracker may say that somebody is gone; that somebody is here needs the device's signature. */
static void on_session_presence(void *userdata, Session *s, const PresencePush *push) {
        Directory *d = userdata;
        Watched *w = watched_find(d, push->account);
        PresenceRecord p;
        bool have = false;

        if (push->online) { /* the time of last-seen is now */
                d->told_time = push->last_seen;
                d->told_at = loop_now(net_loop(d->net));
        }
        if (!w)
                return;
        if (push->presence.size > 0) {
                if (presence_decode_of(w, push->presence, &p) < 0 ||
                        watched_take(w, &p, push->last_seen) < 0)
                        return;
                have = true;
        } else if (push->online)
                return;
        w->heard = true;
        w->known.last_seen = push->last_seen;
        if (!push->online) {
                w->known.online = false;
                w->known.presence = PRESENCE_OFFLINE;
        }
        d->callbacks->presence(
                d->userdata, w->account, w->known.online, push->last_seen, have ? &p : NULL);
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
        d->callbacks->record(d->userdata, &record, outer);
}

/* Believed only when the record verifies, is this account's, and is newer: a push alone cannot log
 * anyone out. Acting on it comes with accounts on several devices. */
static void on_session_replaced(void *userdata, Session *s, Bytes outer) {
        Directory *d = userdata;
        Record record;

        if (record_decode(outer, &record) >= 0 &&
                key_equal(record.account, sign_key_public(d->self->account)))
                d->callbacks->record(d->userdata, &record, outer);
}

static const SessionCallbacks session_callbacks = {
        .state = on_session_state,
        .presence = on_session_presence,
        .record = on_session_record,
        .replaced = on_session_replaced,
};

/* The list of trackers */

static void tracker_start(Directory *d, Tracker *t) {
        if (!t->session &&
                session_new(d->net, &t->address, d->self, &session_callbacks, d, &t->session) < 0)
                t->session = NULL; /* shown as unreachable; tried again with the next start */
}

/* Whoever waits for an answer gets one. */
static void tracker_end(Tracker *t) {
        Session *s = TAKE_PTR(t->session);

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
        presence_expires_now(d);
        for (size_t i = 0; i < d->n; i++)
                tracker_end(&d->trackers[i]);
        queries_go_on(d);
        d->callbacks->trackers_changed(d->userdata);
}

static bool same_tracker(const EndpointKey *a, const EndpointKey *b) {
        return streq(a->host, b->host) && a->port == b->port && key_equal(a->key, b->key);
}

int directory_set_trackers(Directory *d, const EndpointKey *trackers, size_t n) {
        Tracker list[DIRECTORY_TRACKERS_MAX] = {};

        if (n > DIRECTORY_TRACKERS_MAX)
                return -E2BIG;
        for (size_t i = 0; i < n; i++) {
                list[i].address = trackers[i];
                for (size_t k = 0; k < d->n; k++)
                        if (d->trackers[k].session &&
                                same_tracker(&trackers[i], &d->trackers[k].address))
                                list[i].session = TAKE_PTR(d->trackers[k].session);
        }
        for (size_t k = 0; k < d->n; k++)
                tracker_end(&d->trackers[k]);
        memcpy(d->trackers, list, sizeof(list));
        d->n = n;
        if (d->started)
                directory_start(d);
        presence_expires_later(d);
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

bool directory_is_informed(const Directory *d) {
        return d->informed;
}

bool directory_has_failed(const Directory *d) {
        for (size_t i = 0; i < d->n; i++) {
                const Session *s = d->trackers[i].session;

                if (s && (session_state(s) == SESSION_CONNECTED || session_is_trying(s)))
                        return false;
        }
        return true;
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

/* Announcing */

static void publish_to(Directory *d, Session *s, Bytes record) {
        Publish p = {.presence = buffer_bytes(&d->presence), .record = record};

        if (p.presence.size > 0)
                (void)session_publish(s, &p, NULL, NULL);
}

/* A tracker that is new to this account takes its presence only once it has the name. */
static void on_registered(void *userdata, Code code, const char *text, Frame *ok) {
        Session *s = userdata;
        Directory *d = session_userdata(s);

        if (code == CODE_NAME_TAKEN || code == CODE_BAD_NAME)
                d->callbacks->name_refused(d->userdata, code, text);
        else if (d->claimed && session_state(s) == SESSION_CONNECTED)
                publish_to(d, s, (Bytes){});
}

static void register_at(Directory *d, Session *s) {
        if (session_register(s, d->self->record, on_registered, s) < 0)
                publish_to(d, s, (Bytes){});
}

static void announce_to(Directory *d, Session *s) {
        if (d->claimed)
                register_at(d, s);
        session_watch_all(d, s);
}

void directory_announce(Directory *d, bool claimed, Bytes presence) {
        bool first = claimed && !d->claimed;

        d->claimed = claimed;
        buffer_clear(&d->presence);
        if (buffer_append(&d->presence, presence.data, presence.size) < 0 || !claimed)
                return;
        for (size_t i = 0; i < d->n; i++) {
                Session *s = d->trackers[i].session;

                if (!s || session_state(s) != SESSION_CONNECTED)
                        continue;
                if (first)
                        register_at(d, s);
                else
                        publish_to(d, s, d->self->record);
        }
}

int directory_new(Net *net, const LocalIdentity *self, const DirectoryCallbacks *callbacks,
        void *userdata, Directory **ret) {
        Directory *d = calloc(1, sizeof(*d));

        if (!d)
                return -ENOMEM;
        *d = (Directory){.net = net, .self = self, .callbacks = callbacks, .userdata = userdata};
        if (loop_timer_new(net_loop(net), on_query_timer, d, &d->query_timer) < 0 ||
                loop_timer_new(net_loop(net), on_grace_over, d, &d->grace) < 0) {
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
        queries_free(d);
        loop_timer_free(d->query_timer);
        loop_timer_free(d->grace);
        HASH_ITER (hh, d->watched, w, tmp) {
                HASH_DEL(d->watched, w);
                free(w);
        }
        buffer_done(&d->presence);
        free(d);
        return NULL;
}
