/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Who is watched, and what is known of them. Somebody is online while at least one tracker says so,
 * or he has proved to be on the LAN.
 * What a tracker said before it was lost counts for a while longer, so that one that starts again
 * does not look like everybody leaving; but it has to be said again.
 */

#include "directory/lan-private.h"
#include "net/keepalive.h"

/* Watched accounts */

Watched *watched_find(const Directory *d, const uint8_t *account) {
        Watched *w;

        HASH_FIND(hh, d->watched, account, KEY_SIZE, w);
        return w;
}

const KnownPresence *directory_presence(
        const Directory *d, const uint8_t account[static KEY_SIZE]) {
        Watched *w = watched_find(d, account);

        return w && w->heard ? &w->known : NULL;
}

/* The session over which it is said who is watched, NULL: none. */
static Session *watched_at(const Directory *d, const Tracker *t) {
        Session *s = d->claimed || d->seeking ? t->session : NULL;

        return s && session_state(s) == SESSION_CONNECTED ? s : NULL;
}

/* Whom an account knows is for its name to say; where it is itself, a device asks without one. */
static bool may_tell(const Directory *d, const uint8_t *account) {
        return directory_is_self(d, account) ? d->seeking : d->claimed;
}

static void on_watched(void *userdata, Code code, const char *text, Frame *ok) {
        queries_go_on(userdata);
}

/* False: the session has too many requests open, and is told the rest when one was answered. */
static bool tracker_list(Directory *d, Tracker *t, const uint8_t (*accounts)[KEY_SIZE], size_t n) {
        Watch watch = {.add = {.data = (const uint8_t *)accounts, .size = n * KEY_SIZE}};
        Session *s = watched_at(d, t);

        if (n == 0 || !s)
                return true;
        if (session_watch(s, &watch, on_watched, d) < 0)
                t->watch_again = true;
        else
                for (size_t i = 0; i < n; i++)
                        watched_find(d, accounts[i])->listed |= TRACKER_BIT(t);
        return !t->watch_again;
}

static bool tracker_list_all(Directory *d, Tracker *t) {
        uint8_t(*accounts)[KEY_SIZE] = malloc((size_t)WATCH_ACCOUNTS_MAX * KEY_SIZE);
        bool fits = true;
        Watched *w, *tmp;
        size_t n = 0;

        if (!accounts)
                return true;
        HASH_ITER (hh, d->watched, w, tmp) {
                if (w->listed & TRACKER_BIT(t) || !may_tell(d, w->account))
                        continue;
                memcpy(accounts[n++], w->account, KEY_SIZE);
                if (n < WATCH_ACCOUNTS_MAX)
                        continue;
                fits = tracker_list(d, t, accounts, n);
                n = 0;
                if (!fits)
                        break;
        }
        fits = fits && tracker_list(d, t, accounts, n);
        free(accounts);
        return fits;
}

/* The same for tokens. */
static bool tracker_show(Directory *d, Tracker *t, Watch *watch, Watched *const *of) {
        size_t n = watch->n_tokens;

        if (n == 0)
                return true;
        if (session_watch(watched_at(d, t), watch, on_watched, d) < 0)
                t->watch_again = true;
        else
                for (size_t i = 0; i < n; i++)
                        of[i]->showed |= TRACKER_BIT(t);
        watch->n_tokens = 0;
        return !t->watch_again;
}

static bool takes_tokens(const Directory *d, const Tracker *t) {
        const Session *s = watched_at(d, t);

        return s && session_has_feature(s, FEATURE_CONTACT_TOKENS);
}

static void tracker_show_all(Directory *d, Tracker *t) {
        Watched *w, *tmp, *of[WATCH_TOKENS_MAX];
        Watch watch = {};

        if (!takes_tokens(d, t))
                return;
        HASH_ITER (hh, d->watched, w, tmp) {
                if (!w->shows_token || buffer_size(&w->token) == 0 || w->showed & TRACKER_BIT(t) ||
                        !may_tell(d, w->account))
                        continue;
                of[watch.n_tokens] = w;
                watch.tokens[watch.n_tokens++] = buffer_bytes(&w->token);
                if (watch.n_tokens == WATCH_TOKENS_MAX && !tracker_show(d, t, &watch, of))
                        return;
        }
        (void)tracker_show(d, t, &watch, of);
}

/* What it was not told before: so each answer brings it nearer to the end. */
static void tracker_watch_more(Directory *d, Tracker *t) {
        t->watch_again = false;
        if (tracker_list_all(d, t))
                tracker_show_all(d, t);
}

void tracker_watch_all(Directory *d, Tracker *t) {
        Watched *w, *tmp;

        HASH_ITER (hh, d->watched, w, tmp) {
                w->listed &= ~TRACKER_BIT(t);
                w->showed &= ~TRACKER_BIT(t);
        }
        tracker_watch_more(d, t);
}

void watch_go_on(Directory *d) {
        for (size_t i = 0; i < d->n; i++)
                if (d->trackers[i].watch_again && watched_at(d, &d->trackers[i]))
                        tracker_watch_more(d, &d->trackers[i]);
}

/* He may be there, or be a stranger no more, whom nobody has called so far. */
static void watched_look_on_lan(Directory *d, Watched *w) {
        LanPerson person;

        if (directory_lan_get(d, w->account, &person))
                presence_on_lan(d, &person, w->account);
        else
                lan_look(d);
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
        w->known.announced = PRESENCE_ONLINE;
        HASH_ADD(hh, d->watched, account, KEY_SIZE, w);
        if (!TABLE_HAS(w)) {
                free(w);
                return -ENOMEM;
        }
        for (size_t i = 0; i < d->n && may_tell(d, account); i++)
                if (!d->trackers[i].watch_again)
                        (void)tracker_list(d, &d->trackers[i], &w->account, 1);
        watched_look_on_lan(d, w);
        return 0;
}

void directory_unwatch(Directory *d, const uint8_t account[static KEY_SIZE]) {
        Watch remove = {.remove = {.data = account, .size = KEY_SIZE}};
        Watched *w = watched_find(d, account);
        Session *s;

        if (!w)
                return;
        for (size_t i = 0; i < d->n && may_tell(d, account); i++)
                if ((s = watched_at(d, &d->trackers[i])))
                        (void)session_watch(s, &remove, NULL, NULL);
        HASH_DEL(d->watched, w);
        watched_free(w);
}

void watched_free(Watched *w) {
        buffer_done(&w->token);
        buffer_done(&w->sealed);
        explicit_bzero(w->key, sizeof(w->key));
        explicit_bzero(w->other_key, sizeof(w->other_key));
        free(w);
}

bool watched_asks_for_token(const Directory *d, const Watched *w, const Record *record) {
        return record->presence == VISIBLE_CONTACTS ||
                (record->presence == VISIBLE_NOBODY && directory_is_self(d, w->account));
}

void watched_show_token(Directory *d, Watched *w) {
        w->showed = 0;
        if (!w->shows_token || buffer_size(&w->token) == 0 || !may_tell(d, w->account))
                return;
        for (size_t i = 0; i < d->n; i++) {
                Watch watch = {.tokens = {buffer_bytes(&w->token)}, .n_tokens = 1};
                Tracker *t = &d->trackers[i];

                if (takes_tokens(d, t) && !t->watch_again)
                        (void)tracker_show(d, t, &watch, &w);
        }
}

void directory_set_token(
        Directory *d, const uint8_t account[static KEY_SIZE], Bytes record, Bytes token) {
        Watched *w = watched_find(d, account);
        bool showed = w && w->shows_token;
        Record rec;

        if (!w)
                return;
        w->shows_token = record_parse(record, &rec) >= 0 && watched_asks_for_token(d, w, &rec);
        if (showed == w->shows_token && bytes_equal(buffer_bytes(&w->token), token))
                return;
        buffer_clear(&w->token);
        if (buffer_append(&w->token, token.data, token.size) >= 0)
                watched_show_token(d, w);
}

void presence_unseal(Directory *d, PresenceRecord *p) {
        const Watched *w = watched_find(d, p->account);

        if (p->sealed.size == 0 || !w)
                return;
        if (w->has_key && presence_open(p, w->key, &d->opened) >= 0)
                return;
        if (w->has_other_key)
                (void)presence_open(p, w->other_key, &d->opened);
}

/* Which device speaks for an account is the account's own word: a record or a certificate. */
void watched_take_device(Watched *w, uint64_t epoch, const uint8_t *device) {
        if (w->has_device && epoch < w->epoch)
                return;
        w->has_device = true;
        w->epoch = epoch;
        memcpy(w->device, device, KEY_SIZE);
}

/* Online or not */

static void watched_settle(Watched *w) {
        KnownPresence *k = &w->known;

        k->online = w->said != 0 && k->announced != PRESENCE_OFFLINE;
        k->by_tracker = k->online && w->said != LAN_BIT;
        k->presence = k->online ? k->announced : PRESENCE_OFFLINE;
        if (k->online && w->said == LAN_BIT && w->missed)
                k->presence = PRESENCE_AWAY;
        if (k->online)
                k->gone = false;
}

static void watched_say(Watched *w, uint32_t who, bool online) {
        w->lost &= ~who;
        w->said = online ? w->said | who : w->said & ~who;
        watched_settle(w);
}

/* Until AT at least the grace goes on. */
static void grace_until(Directory *d, usec_t at) {
        if (at >= d->grace_at)
                return;
        d->grace_at = at;
        loop_timer_set(d->grace, at);
}

static usec_t grace_of(const Directory *d) {
        return DIRECTORY_GRACE_HEARTBEATS * d->self->heartbeat * USEC_PER_SEC;
}

/* While this machine slept nothing was heard either. But a tracker that has ended the session then
 * is given the time to be found again. */
static usec_t left_after_sleep(const Directory *d, usec_t time) {
        usec_t left = MAX(usec_sub(time, d->slept), d->self->heartbeat * USEC_PER_SEC);

        return MIN(time, left);
}

static void watched_lose(Directory *d, Watched *w, uint32_t who) {
        uint32_t lost = w->said & who & ~w->lost;
        usec_t now = loop_now(net_loop(d->net));

        if (lost == 0)
                return;
        w->lost |= lost;
        w->until = now + (now < d->slept_until ? left_after_sleep(d, grace_of(d)) : grace_of(d));
        w->renewed = false;
        grace_until(d, w->until);
}

void presence_session_lost(Directory *d, const Tracker *t) {
        Watched *w, *tmp;

        HASH_ITER (hh, d->watched, w, tmp)
                watched_lose(d, w, TRACKER_BIT(t));
}

/* Others have to find their way back as well, and may have begun to try later. Once only: else a
 * tracker that comes and goes without a word would prolong it without end. */
void presence_session_back(Directory *d, const Tracker *t) {
        Watched *w, *tmp;

        HASH_ITER (hh, d->watched, w, tmp)
                if (w->lost & TRACKER_BIT(t) && !w->renewed) {
                        w->renewed = true;
                        w->until = loop_now(net_loop(d->net)) + grace_of(d);
                }
}

void on_grace_over(void *userdata) {
        Directory *d = userdata;
        usec_t now = loop_now(net_loop(d->net)), next = USEC_INFINITY;
        Watched *w, *tmp;

        d->grace_at = USEC_INFINITY;
        HASH_ITER (hh, d->watched, w, tmp) {
                bool was = w->known.online;

                if (w->lost == 0)
                        continue;
                if (w->until > now) {
                        next = MIN(next, w->until);
                        continue;
                }
                watched_say(w, w->lost, false);
                if (was && !w->known.online)
                        d->callbacks->presence(
                                d->userdata, w->account, false, w->known.last_seen, NULL);
        }
        grace_until(d, next);
}

/* Trackers that do not answer any more are found out soon. */
void presence_slept(Directory *d, usec_t slept) {
        usec_t now = loop_now(net_loop(d->net));
        Watched *w, *tmp;

        if (slept == 0)
                return; /* and what is known of the last sleep still counts */
        d->slept = slept;
        d->slept_until = now + 2 * KEEPALIVE_ASK_TIME;
        HASH_ITER (hh, d->watched, w, tmp)
                w->until = MIN(w->until, now + left_after_sleep(d, usec_sub(w->until, now)));
        on_grace_over(d);
}

void presence_expires_now(Directory *d) {
        Watched *w, *tmp;

        d->grace_at = USEC_INFINITY;
        loop_timer_set(d->grace, USEC_INFINITY);
        HASH_ITER (hh, d->watched, w, tmp)
                watched_say(w, UINT32_MAX, false);
}

/* What is said */

static void known_take_endpoints(KnownPresence *k, const PresenceRecord *p) {
        for (size_t i = 0; i < p->n_endpoints; i++)
                if (p->endpoints[i].size < sizeof(k->endpoints[0]))
                        copy_bytes(k->endpoints[k->n_endpoints++], p->endpoints[i].data,
                                p->endpoints[i].size);
}

/* The newer of what is known and P. */
static int watched_take(Watched *w, const PresenceRecord *p, usec_t now) {
        KnownPresence *k = &w->known;

        if (w->heard && (p->epoch < k->epoch || (p->epoch == k->epoch && p->seq < k->seq)))
                return -ESTALE;
        *k = (KnownPresence){.gone = k->gone,
                .announced = p->presence,
                .last_seen = now,
                .epoch = p->epoch,
                .seq = p->seq};
        copy_bytes(k->note, p->note.data, p->note.size);
        text_clean(k->note);
        buffer_clear(&w->sealed);
        if (p->n_endpoints == 0) /* without memory the next presence will do */
                (void)buffer_append(&w->sealed, p->sealed.data, p->sealed.size);
        known_take_endpoints(k, p);
        w->heard = true;
        watched_settle(w);
        return 0;
}

/* Anybody can sign a presence; only that of the account's device says where the account is. */
static int presence_decode_of(Directory *d, const Watched *w, Bytes outer, PresenceRecord *ret) {
        if (presence_decode(outer, ret) < 0 || !w->has_device || ret->epoch != w->epoch ||
                !key_equal(ret->account, w->account) || !key_equal(ret->device, w->device))
                return -EBADMSG;
        presence_unseal(d, ret);
        return 0;
}

/* Whether he is there is not for this to say: nobody would take it back. */
int directory_take_presence(Directory *d, const Certificate *c, Bytes presence, usec_t now) {
        Watched *w = watched_find(d, c->account);
        PresenceRecord p;
        int r;

        if (!w)
                return 0;
        watched_take_device(w, c->epoch, c->device);
        r = presence_decode_of(d, w, presence, &p);
        if (r >= 0)
                r = watched_take(w, &p, now);
        if (r >= 0 && w->known.online)
                d->callbacks->presence(d->userdata, w->account, true, now, &p);
        return r;
}

/* The answer may be older than what a tracker says meanwhile, so it counts like the word of one
 * that was lost: until somebody confirms it. */
void directory_learn(
        Directory *d, const Record *record, const PresenceRecord *presence, usec_t now) {
        Watched *w = watched_find(d, record->account);

        if (!w)
                return;
        watched_take_device(w, record->epoch, record->device.device);
        if (!presence || presence->epoch != w->epoch || !key_equal(presence->device, w->device) ||
                watched_take(w, presence, now) < 0)
                return;
        watched_say(w, ANSWER_BIT, true);
        watched_lose(d, w, ANSWER_BIT);
}

/* That somebody is gone needs no signature. It is about this tracker: he may be at another. */
static void take_offline(Directory *d, Watched *w, const Tracker *t, const PresencePush *push) {
        bool was = w->known.online;

        watched_say(w, TRACKER_BIT(t) | ANSWER_BIT, false);
        if (was && w->known.online)
                return;
        w->heard = true;
        w->known.gone = w->said == 0;
        w->known.last_seen = push->last_seen;
        d->callbacks->presence(d->userdata, w->account, false, push->last_seen, NULL);
}

/* That he is there needs the device's signature; an old one will do where a newer is known. */
static void take_online(Directory *d, Watched *w, const Tracker *t, const PresencePush *push) {
        bool was = w->known.online;
        PresenceRecord p;
        int r;

        if (presence_decode_of(d, w, push->presence, &p) < 0)
                return;
        r = watched_take(w, &p, push->last_seen);
        watched_say(w, TRACKER_BIT(t), true);
        if (r >= 0 || was != w->known.online)
                d->callbacks->presence(d->userdata, w->account, w->known.online, w->known.last_seen,
                        r >= 0 ? &p : NULL);
}

void presence_pushed(Directory *d, const Tracker *t, const PresencePush *push) {
        Watched *w = watched_find(d, push->account);

        if (push->online) { /* the time of last-seen is now */
                d->told_time = push->last_seen;
                d->told_at = loop_now(net_loop(d->net));
        }
        if (w && push->online)
                take_online(d, w, t, push);
        else if (w)
                take_offline(d, w, t, push);
}

/* What he says of himself there is as new as can be. */
void presence_on_lan(Directory *d, const LanPerson *person, const uint8_t *account) {
        Watched *w = watched_find(d, account);
        usec_t last_seen;

        if (!w || (!person && !(w->said & LAN_BIT)))
                return;
        w->heard = true;
        if (person) {
                w->missed = person->missed;
                w->known.announced = person->presence;
                memcpy(w->known.note, person->note, sizeof(w->known.note));
                w->known.last_seen = MAX(w->known.last_seen, person->last_seen);
        }
        watched_say(w, LAN_BIT, person != NULL);
        last_seen = w->known.last_seen;
        d->callbacks->presence(d->userdata, w->account, w->known.online, last_seen, NULL);
}

/* What could not be opened before can be now, perhaps. */
static void watched_key_changed(Directory *d, Watched *w) {
        PresenceRecord p = {.sealed = buffer_bytes(&w->sealed)};

        memcpy(p.account, w->account, KEY_SIZE);
        presence_unseal(d, &p);
        if (p.n_endpoints == 0)
                return;
        known_take_endpoints(&w->known, &p);
        buffer_clear(&w->sealed);
        if (w->known.online)
                d->callbacks->presence(d->userdata, w->account, true, w->known.last_seen, NULL);
}

void directory_set_presence_key(
        Directory *d, const uint8_t account[static KEY_SIZE], const uint8_t *key) {
        Watched *w = watched_find(d, account);

        if (!w)
                return;
        w->has_key = key;
        if (!key)
                return;
        memcpy(w->key, key, sizeof(w->key));
        watched_key_changed(d, w);
}

void directory_set_other_presence_key(Directory *d, const uint8_t account[static KEY_SIZE],
        const uint8_t key[static BOX_KEY_SIZE]) {
        Watched *w = watched_find(d, account);

        if (!w)
                return;
        w->has_other_key = true;
        memcpy(w->other_key, key, sizeof(w->other_key));
        watched_key_changed(d, w);
}
