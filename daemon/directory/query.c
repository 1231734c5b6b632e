/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Questions to a tracker: look-ups, lists, the claim of a name. */

#include <utlist.h>

#include "directory/private.h"

Query *query_new(Directory *d, void *userdata) {
        Query *q = calloc(1, sizeof(*q));

        if (!q)
                return NULL;
        q->directory = d;
        q->userdata = userdata;
        DL_APPEND(d->queries, q);
        return q;
}

void query_free(Query *q) {
        DL_DELETE(q->directory->queries, q);
        free(q);
}

/* R is what the session said to the request. */
int query_sent(Query *q, int r) {
        if (r < 0)
                query_free(q);
        return r;
}

/* Takes the query off before it calls, so that callbacks may ask again or end everything. */
static void query_answer(Query *q, Code code, const char *text, const Record *record, Bytes outer,
        const PresenceRecord *presence, Bytes after) {
        Query copy = *q;

        query_free(q);
        if (copy.lookup)
                copy.lookup(copy.userdata, code, record, outer, presence);
        if (copy.list)
                copy.list(copy.userdata, code, after);
        if (copy.room)
                copy.room(copy.userdata, code, text, NULL);
        if (copy.done)
                copy.done(copy.userdata, code, text);
}

void query_refuse(Query *q, Code code, const char *text) {
        query_answer(q, code, text, NULL, (Bytes){}, NULL, (Bytes){});
}

void queries_free(Directory *d) {
        while (d->queries)
                query_free(d->queries);
}

void directory_forget(Directory *d, void *userdata) {
        Query *q;

        finds_forget(d, userdata);
        directory_rooms_forget(d, userdata);
        DL_FOREACH (d->queries, q)
                if (q->userdata == userdata) {
                        q->lookup = NULL;
                        q->peer = NULL;
                        q->list = NULL;
                        q->done = NULL;
                        q->room = NULL;
                        q->room_each = NULL;
                        q->oprf = NULL;
                        q->login = NULL;
                }
}

/* Claiming */

static void on_done(void *userdata, Code code, const char *text, Frame *ok) {
        query_refuse(userdata, code, text); /* CODE_OK is an answer without content as well */
}

int directory_register(Directory *d, DirectoryDoneFn fn, void *userdata) {
        Session *s = directory_connected_session(d);
        Query *q;

        if (!s)
                return -ENOTCONN;
        q = query_new(d, userdata);
        if (!q)
                return -ENOMEM;
        q->done = fn;
        return query_sent(q, session_register(s, d->self->record, on_done, q));
}

/* Looking up */

/* A presence that does not verify is no presence; who is online without one cannot be reached. */
static const PresenceRecord *presence_of(
        Directory *d, Bytes outer, const Record *record, PresenceRecord *buf) {
        if (outer.size == 0 || presence_decode(outer, buf) < 0 ||
                !key_equal(buf->account, record->account) ||
                !key_equal(buf->device, record->device.device) || buf->presence == PRESENCE_OFFLINE)
                return NULL;
        presence_unseal(d, buf);
        return buf;
}

static void take_lookup(Query *q, Code code, const char *text, Frame *ok) {
        Directory *d = q->directory;
        PresenceRecord presence;
        LookupAnswer a;
        Record record;

        if (code != CODE_OK) {
                query_refuse(q, code, text);
                return;
        }
        if (lookup_answer_decode(ok, &a) < 0 || record_decode(a.record, &record) < 0 ||
                (q->name[0] ? !streq(record.name, q->name)
                            : !key_equal(record.account, q->account))) {
                query_refuse(q, CODE_TRACKER_UNREACHABLE, "the tracker's answer does not hold");
                return;
        }
        if (directory_is_self(d, record.account))
                own_record_heard(d, &record, a.record);
        if (q->name[0] && q->directory->callbacks->named)
                q->directory->callbacks->named(q->directory->userdata, record.name, record.account);
        query_answer(q, CODE_OK, "", &record, a.record,
                presence_of(d, a.presence, &record, &presence), (Bytes){});
}

/* There is room for a question that waits. */
static void on_lookup(void *userdata, Code code, const char *text, Frame *ok) {
        Query *q = userdata;
        Directory *d = q->directory;

        take_lookup(q, code, text, ok);
        queries_go_on(d);
}

/* With as many open as a session takes, a question waits for an answer to another. */
static int query_look_up(Query *q, Session *s) {
        const Watched *w = q->name[0] ? NULL : watched_find(q->directory, q->account);
        Lookup l = {};
        int r;

        memcpy(l.name, q->name, NAME_SIZE);
        memcpy(l.account, q->account, KEY_SIZE);
        if (w && w->shows_token && session_has_feature(s, FEATURE_CONTACT_TOKENS))
                l.token = buffer_bytes(&w->token);
        r = session_lookup(s, &l, on_lookup, q);
        q->waiting = r == -EBUSY;
        return r;
}

static Query *first_waiting(const Directory *d) {
        Query *q;

        DL_FOREACH (d->queries, q)
                if (q->waiting)
                        return q;
        return NULL;
}

static void arm_query_timer(Directory *d) {
        const Query *q = first_waiting(d);

        loop_timer_set(d->query_timer, q ? q->deadline : USEC_INFINITY);
}

void queries_go_on(Directory *d) {
        Query *q;
        int r;

        while ((q = first_waiting(d))) {
                Session *s = directory_connected_session(d);

                /* Whoever is refused may ask again, which wakes the trackers. */
                if (!s && !directory_has_failed(d))
                        break;
                r = s ? query_look_up(q, s) : -ENOTCONN;
                if (r == -EBUSY)
                        break;
                if (r < 0)
                        query_refuse(q, CODE_TRACKER_UNREACHABLE, "no tracker could be reached");
        }
        arm_query_timer(d);
        watch_go_on(d);
}

void on_query_timer(void *userdata) {
        Directory *d = userdata;
        Query *q;

        while ((q = first_waiting(d)) && q->deadline <= loop_now(net_loop(d->net)))
                query_refuse(q, CODE_TRACKER_UNREACHABLE, "no tracker could be reached in time");
        arm_query_timer(d);
}

int directory_lookup(Directory *d, const char *name, const uint8_t *account, DirectoryLookupFn fn,
        void *userdata) {
        Session *s = directory_connected_session(d);
        Query *q;
        int r;

        if (!s)
                directory_wake(d);
        if (!s && directory_has_failed(d))
                return -ENOTCONN;
        q = query_new(d, userdata);
        if (!q)
                return -ENOMEM;
        q->lookup = fn;
        q->deadline = loop_now(net_loop(d->net)) + SESSION_REQUEST_TIME;
        if (name)
                memcpy(q->name, name, strnlen(name, NAME_MAX_LENGTH));
        else
                memcpy(q->account, account, KEY_SIZE);
        r = s ? query_look_up(q, s) : 0;
        if (r < 0 && r != -EBUSY)
                return query_sent(q, r);
        q->waiting = !s || r == -EBUSY;
        arm_query_timer(d);
        return 0;
}

void directory_ask_own(Directory *d, Session *s) {
        Query *q = query_new(d, NULL);

        if (!q)
                return;
        memcpy(q->account, sign_key_public(d->self->account), KEY_SIZE);
        (void)query_sent(q, query_look_up(q, s));
}

/* Listing */

static void on_list(void *userdata, Code code, const char *text, Frame *ok) {
        Query *q = userdata;
        _cleanup_(freep) ListPeersAnswer *a = NULL;

        if (code != CODE_OK) {
                query_refuse(q, code, text);
                return;
        }
        a = malloc(sizeof(*a));
        if (!a || list_peers_answer_decode(ok, a) < 0) {
                query_refuse(q, CODE_TRACKER_UNREACHABLE, "the tracker's answer does not hold");
                return;
        }
        for (size_t i = 0; i < a->n_peers && q->peer; i++) {
                Bytes outer = a->peers[i].presence;
                PresenceRecord presence;
                Record record;

                if (record_decode(a->peers[i].record, &record) >= 0)
                        q->peer(q->userdata, &record,
                                presence_of(q->directory, outer, &record, &presence));
        }
        query_answer(q, CODE_OK, "", NULL, (Bytes){}, NULL, a->after);
}

int directory_list(Directory *d, bool online, Bytes after, DirectoryPeerFn fn, DirectoryListFn done,
        void *userdata) {
        Session *s = directory_connected_session(d);
        Query *q;

        if (!s)
                return -ENOTCONN;
        q = query_new(d, userdata);
        if (!q)
                return -ENOMEM;
        q->peer = fn;
        q->list = done;
        return query_sent(q,
                session_list_peers(s,
                        &(ListPeers){.after = after, .limit = LIST_PEERS_MAX, .online = online},
                        on_list, q));
}
