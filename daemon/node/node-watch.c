/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Watching accounts. What changed is noted per watcher and pushed once per turn of the loop, as it
 * is then; to a client that does not take its output, when it does again. So a push never queues up
 * behind an older one about the same account.
 */

#include "node/node-internal.h"
#include "wire/mail.h"

/* What the client has been told since it watches. */
typedef enum Told {
        TOLD_NOTHING,
        TOLD_ONLINE,
        TOLD_OFFLINE,
} Told;

/* Hashed as bytes: two pointers with nothing between them. */
typedef struct WatcherKey {
        Client *client;
        Person *person;
} WatcherKey;

struct Watcher {
        WatcherKey key;
        uint8_t pending; /* PUSH_… */
        uint8_t told;
        bool is_queued;
        bool is_asking; /* the store, for the record */
        bool knows_record; /* it was pushed, or is being asked for */
        bool is_unread; /* it could not be read */
        Viewer viewer; /* by the token that was shown, */
        usec_t contact_until; /* realtime */
        Watcher *client_prev, *client_next;
        Watcher *person_prev, *person_next;
        Watcher *queue_prev, *queue_next;
        UT_hash_handle hh;
};

static Watcher *watcher_find(Client *c, Person *a) {
        WatcherKey key = {.client = c, .person = a};
        unsigned hash = key_hash(&c->node->hash, &key, sizeof(key));
        Watcher *w;

        HASH_FIND_BYHASHVALUE(hh, c->node->watchers, &key, sizeof(key), hash, w);
        return w;
}

static Viewer watcher_viewer(const Watcher *w) {
        bool holds = w->contact_until > loop_realtime(w->key.client->node->loop);

        return holds ? w->viewer : VIEWER_ANYBODY;
}

static bool watcher_is_shown(const Watcher *w) {
        return person_is_shown(w->key.person, watcher_viewer(w));
}

static void client_stop_pushing(Client *c) {
        if (!c->is_pushing)
                return;
        c->is_pushing = false;
        DL_DELETE2(c->node->pushing, c, pushing_prev, pushing_next);
}

static void client_start_pushing(Client *c) {
        if (c->is_pushing)
                return;
        c->is_pushing = true;
        DL_APPEND2(c->node->pushing, c, pushing_prev, pushing_next);
        loop_defer_arm(c->node->push, true);
}

static void watcher_push(Watcher *w, unsigned what) {
        Client *c = w->key.client;

        w->pending |= (uint8_t)what;
        if (w->is_queued)
                return;
        w->is_queued = true;
        DL_APPEND2(c->pushes, w, queue_prev, queue_next);
        client_start_pushing(c);
}

static void watcher_dequeue(Watcher *w) {
        if (!w->is_queued)
                return;
        w->is_queued = false;
        DL_DELETE2(w->key.client->pushes, w, queue_prev, queue_next);
}

static void watcher_free(Watcher *w) {
        Client *c = w->key.client;
        Person *a = w->key.person;
        Node *n = c->node;

        if (w->is_asking)
                n->store->ops->forget(n->store, w);
        watcher_dequeue(w);
        DL_DELETE2(c->watchers, w, client_prev, client_next);
        c->n_watchers--;
        DL_DELETE2(a->watchers, w, person_prev, person_next);
        a->n_watchers--;
        HASH_DEL(n->watchers, w);
        n->n_watchers--;
        free(w);
        person_unref(a);
}

void client_unwatch(Client *c) {
        while (c->watchers)
                watcher_free(c->watchers);
        client_stop_pushing(c);
}

/* Pushing */

static void person_push(Person *a, unsigned what) {
        for (Watcher *w = a->watchers; w; w = w->person_next)
                watcher_push(w, what);
}

static void person_hold(Person *a, unsigned what) {
        Node *n = a->node;

        a->refs++;
        a->held = what;
        a->held_until = loop_now(n->loop) + CHANGES_HOLD;
        if (!n->held)
                loop_timer_set(n->hold, a->held_until);
        DL_APPEND2(n->held, a, held_prev, held_next);
}

/* What could not be read is read again a little later, for all who watch. Not where it is
 * damaged. */
static void on_unread(Watcher *w, int error) {
        Person *a = w->key.person;

        w->is_unread = true;
        if (error == -EUCLEAN)
                return;
        if (a->held)
                a->held |= PUSH_RECORD;
        else
                person_hold(a, PUSH_RECORD);
}

static void on_push_record(void *userdata, int error, Bytes blob) {
        Watcher *w = userdata;
        Client *c = w->key.client;

        w->is_asking = false;
        if (error < 0) {
                on_unread(w, error);
                return;
        }
        if (blob.size > 0)
                client_queued(c, record_frame_encode(conn_output(c->conn), FRAME_RECORD, 0, blob));
        /* Presence that came without a record meant nothing. */
        if (w->is_unread)
                watcher_push(w, PUSH_PRESENCE);
        w->is_unread = false;
}

static void push_record(Watcher *w) {
        Node *n = w->key.client->node;
        uint8_t key[SHA256_SIZE];

        w->is_asking = w->knows_record = true;
        directory_key_account(DIRECTORY_USER, w->key.person->key, key);
        n->store->ops->rec_get(n->store, DIRECTORY_USER, key, on_push_record, w);
}

/* That somebody is away is worth a word to who was told the contrary. To who has just begun to
 * watch as well, as what he knew before may be wrong; but not before everybody had the time to come
 * back after a restart. */
static bool push_is_due(const Watcher *w) {
        const Person *a = w->key.person;

        if (watcher_is_shown(w) || w->told == TOLD_ONLINE)
                return true;
        return w->told == TOLD_NOTHING && a->registered && a->node->settled;
}

static void push_presence(Watcher *w) {
        Person *a = w->key.person;
        Client *c = w->key.client;
        PresencePush p = {.online = watcher_is_shown(w)};

        if (!push_is_due(w))
                return;
        memcpy(p.account, a->key, KEY_SIZE);
        if (p.online) {
                p.presence = person_presence(a);
                p.last_seen = loop_realtime(a->node->loop);
        } else if (a->registered && is_audience(a->audience, watcher_viewer(w)))
                p.last_seen = a->last_seen;
        w->told = p.online ? TOLD_ONLINE : TOLD_OFFLINE;
        client_queued(c, presence_push_encode(conn_output(c->conn), &p));
}

/* True when all was pushed; else the rest follows when the output has drained. */
static bool client_push(Client *c) {
        while (c->pushes) {
                Watcher *w = c->pushes;
                unsigned what = w->pending;

                if (conn_is_full(c->conn))
                        return false;
                watcher_dequeue(w);
                w->pending = 0;
                /* Which device speaks for somebody is in the record: without it the presence is
                 * worth nothing to the client. */
                if (what & PUSH_RECORD || (watcher_is_shown(w) && !w->knows_record))
                        push_record(w);
                if (what & PUSH_PRESENCE)
                        push_presence(w);
        }
        return true;
}

void node_push(Node *n) {
        while (n->pushing) {
                Client *c = n->pushing;

                client_stop_pushing(c);
                (void)client_push(c);
        }
}

void client_drained(Client *c) {
        if (c->pushes)
                client_start_pushing(c);
}

void node_push_held(Node *n, bool all) {
        while (n->held && (all || n->held->held_until <= loop_now(n->loop))) {
                Person *a = n->held;
                unsigned what = a->held;

                DL_DELETE2(n->held, a, held_prev, held_next);
                a->held = 0;
                (void)quota_take(&a->changes, 1, loop_now(n->loop));
                person_push(a, what);
                person_unref(a);
        }
        loop_timer_set(n->hold, n->held ? n->held->held_until : USEC_INFINITY);
}

/* A change is told at once. Of many in a short time the first few are, and then what has come of
 * them: each would cost a push for everybody who watches. */
void person_changed(Person *a, unsigned what) {
        if (what == 0 || !a->watchers)
                return;
        if (a->held)
                a->held |= what;
        else if (quota_take(&a->changes, 1, loop_now(a->node->loop)))
                person_push(a, what);
        else
                person_hold(a, what);
}

void node_settle(Node *n) {
        for (Watcher *w = n->watchers; w; w = w->hh.next)
                if (w->told == TOLD_NOTHING)
                        watcher_push(w, PUSH_PRESENCE);
}

/* WATCH */

static int watch_add(Client *c, const uint8_t key[static KEY_SIZE]) {
        Node *n = c->node;
        Person *a;
        Watcher *w;
        int r;

        r = person_get(n, key, &a);
        if (r < 0)
                return r;
        if (watcher_find(c, a)) {
                person_unref(a);
                return 0;
        }
        w = calloc(1, sizeof(*w));
        if (w) {
                w->key = (WatcherKey){.client = c, .person = a};
                HASH_ADD_KEYPTR_BYHASHVALUE(hh, n->watchers, &w->key, sizeof(w->key),
                        key_hash(&n->hash, &w->key, sizeof(w->key)), w);
        }
        if (!w || !TABLE_HAS(w)) {
                free(w);
                person_unref(a);
                return -ENOMEM;
        }
        n->n_watchers++;
        DL_APPEND2(c->watchers, w, client_prev, client_next);
        c->n_watchers++;
        DL_APPEND2(a->watchers, w, person_prev, person_next);
        a->n_watchers++;
        watcher_push(w, watcher_is_shown(w) ? PUSH_RECORD | PUSH_PRESENCE : PUSH_PRESENCE);
        return 0;
}

static void watch_remove(Client *c, const uint8_t key[static KEY_SIZE]) {
        Person *a = person_find(c->node, key);
        Watcher *w = a ? watcher_find(c, a) : NULL;

        if (w)
                watcher_free(w);
}

/* Where everybody or nobody may see it, being a contact makes no difference. Whoever watches hears
 * of a record that says otherwise, and shows his token again. */
static int watch_show_token(Client *c, Bytes token) {
        DepositToken t;
        usec_t until;
        Watcher *w;
        Person *a;
        int r;

        if (deposit_token_parse(token, &t) < 0)
                return 0;
        a = person_find(c->node, t.account);
        w = a ? watcher_find(c, a) : NULL;
        if (!w || a->audience == VISIBLE_ALL ||
                (a->audience == VISIBLE_NOBODY && !deposit_token_is_own(&t)))
                return 0;
        r = client_check_token(c, token, t.account, &until);
        if (r <= 0)
                return r;
        w->viewer = MAX(w->viewer, (Viewer)r);
        w->contact_until = MAX(w->contact_until, until);
        watcher_push(w, PUSH_PRESENCE);
        return 0;
}

static bool watch_has_room(const Client *c, size_t n) {
        return n <= CLIENT_WATCHES_MAX - c->n_watchers &&
                n <= NODE_WATCHES_MAX - c->node->n_watchers;
}

void client_watch(Client *c, Frame *f) {
        uint8_t buf[2 * WATCH_ACCOUNTS_MAX][KEY_SIZE];
        Watch watch;
        int r = 0;

        if (watch_decode(f, buf, &watch) < 0) {
                client_malformed(c);
                return;
        }
        for (size_t i = 0; i < watch.remove.size; i += KEY_SIZE)
                watch_remove(c, watch.remove.data + i);
        if (!watch_has_room(c, watch.add.size / KEY_SIZE)) {
                client_error(c, f->request, CODE_TOO_MANY, "too many accounts are watched", 0);
                return;
        }
        for (size_t i = 0; i < watch.add.size && r >= 0; i += KEY_SIZE)
                r = watch_add(c, watch.add.data + i);
        for (size_t i = 0; i < watch.n_tokens && r >= 0; i++)
                r = watch_show_token(c, watch.tokens[i]);
        if (r == -EBUSY)
                client_error(c, f->request, CODE_RATE_LIMITED, "too many tokens were shown", 10);
        else if (r < 0)
                client_error(c, f->request, CODE_STORAGE, "the tracker is out of memory", 1);
        else
                client_ok(c, f->request);
}
