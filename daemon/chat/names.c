/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Whether the names of contacts still point to them. Contacts are pinned: a name that a directory
 * gives to another account changes nothing but that the user is told, and nothing is sent by the
 * name until he has decided. So that he hears of it before he writes, the names are looked up now
 * and then, a few at a time.
 */

#include "chat/private.h"

#define AT_ONCE 10
#define INTERVAL USEC_PER_DAY

/* After a tracker has come, at most: it may be that all of its people come back just then. */
#define DELAY (10 * USEC_PER_SEC)

/* Until the same tracker is asked again, however often it goes and comes. */
#define PAUSE (10 * USEC_PER_MINUTE)

/* Telling */

static void tell_key(Chat *c, const Contact *k) {
        EventRow e = {.kind = EVENT_KEY,
                .time = loop_realtime(c->parts.loop),
                .account = k->number,
                .presence = contact_presence(c, k),
                .key_changed = k->flags & CONTACT_KEY_CHANGED};

        copy_bytes(e.other, k->rival, e.key_changed ? KEY_SIZE : 0);
        (void)event_add(c->parts.store, &e);
        c->names.counted = false;
        objects_change(c, k->account);
}

void chat_on_named(Chat *c, const char *name, const uint8_t account[static KEY_SIZE]) {
        Contact k;

        if (contact_hear_name(c->parts.store, name, account, &k) > 0)
                tell_key(c, &k);
        else
                objects_change(c, account); /* may be shown without a suffix now */
}

int contact_trust(Chat *c, const Contact *k) {
        Contact trusted = *k;
        int r;

        if (!(k->flags & CONTACT_KEY_CHANGED))
                return 0;
        trusted.flags &= (uint8_t)~CONTACT_KEY_CHANGED;
        r = contact_set_flags(c->parts.store, k->account, 0, CONTACT_KEY_CHANGED);
        if (r >= 0)
                tell_key(c, &trusted);
        return r;
}

int key_changed_error(const Contact *k, const char *name, ChatError *error) {
        char rival[BASE32_KEY_SIZE + 1];

        return chat_error(error, CODE_KEY_CHANGED,
                "The name %.40s is another account's now, @%s. Nothing was kept. To go on with who "
                "had it: chatc accept %.40s; to take the other one: chatc remove, then chatc add.",
                name, base32_encode_key(k->rival, rival), name);
}

void names_confirm(Chat *c, DbTxn *txn, const Contact *k) {
        char shown[SHOWN_NAME_SIZE];

        if (!streq(contact_shown_name(txn, k, shown), k->name))
                (void)directory_lookup(c->parts.directory, k->name, NULL, NULL, NULL);
}

static bool count_changed(void *userdata, DbTxn *txn, const Contact *k) {
        Chat *c = userdata;

        if (!(k->flags & CONTACT_KEY_CHANGED))
                return true;
        if (c->names.changed++ == 0)
                contact_shown_name(txn, k, c->names.first);
        return true;
}

unsigned names_count_changed(Chat *c, const char **ret_first) {
        if (!c->names.counted) {
                c->names.changed = 0;
                c->names.counted =
                        contact_each(store_write(c->parts.store), NULL, count_changed, c) >= 0;
        }
        *ret_first = c->names.first;
        return c->names.changed;
}

/* Asking */

static void names_go_on(Chat *c);

static void names_end(Chat *c, usec_t again) {
        usec_t now = loop_now(c->parts.loop);

        c->names.asking = false;
        c->names.done = now;
        loop_timer_set(c->names.timer, now + loop_jitter(c->parts.loop, again));
}

/* What there is to learn, chat_on_named() has heard. */
static void on_answer(void *userdata, Code code, const Record *record, Bytes outer,
        const PresenceRecord *presence) {
        Chat *c = userdata;

        c->names.open--;
        if (!c->names.asking)
                return;
        if (code == CODE_OK || code == CODE_UNKNOWN_PEER)
                names_go_on(c);
        else
                names_end(c, PAUSE);
}

typedef struct NextName {
        Chat *chat;
        char name[NAME_SIZE];
} NextName;

static bool take_name(void *userdata, DbTxn *txn, const Contact *k) {
        NextName *n = userdata;

        memcpy(n->chat->names.after, k->account, KEY_SIZE);
        if (!contact_is_accepted(k) || !k->name[0])
                return true;
        memcpy(n->name, k->name, NAME_SIZE);
        return false;
}

static void names_go_on(Chat *c) {
        while (c->names.asking && c->names.open < AT_ONCE) {
                NextName n = {.chat = c};
                DbTxn *txn;
                int r;

                r = store_read_begin(c->parts.store, &txn);
                if (r >= 0) {
                        r = contact_each(txn, c->names.after, take_name, &n);
                        store_read_end(txn);
                }
                if (r < 0 || !n.name[0]) {
                        names_end(c, r < 0 ? PAUSE : INTERVAL);
                        return;
                }
                c->names.open++;
                if (directory_lookup(c->parts.directory, n.name, NULL, on_answer, c) < 0)
                        on_answer(c, CODE_TRACKER_UNREACHABLE, NULL, (Bytes){}, NULL);
        }
}

void names_on_timer(void *userdata) {
        Chat *c = userdata;

        if (!account_is_active(c->parts.account) || !directory_is_connected(c->parts.directory))
                return; /* it is set again with the next tracker */
        c->names.asking = true;
        memset(c->names.after, 0, KEY_SIZE); /* which is nobody's key */
        names_go_on(c);
}

/* The tracker that answers questions now, NULL: none. */
static const uint8_t *asked_tracker(const Chat *c) {
        const Directory *d = c->parts.directory;

        for (size_t i = 0; i < directory_n_trackers(d); i++) {
                const Session *s = directory_session(d, i);

                if (s && session_state(s) == SESSION_CONNECTED)
                        return directory_tracker(d, i)->key;
        }
        return NULL;
}

void names_on_trackers(Chat *c) {
        const uint8_t *key = asked_tracker(c);
        usec_t at;
        bool same;

        if (!key) {
                c->names.connected = false;
                return;
        }
        same = key_equal(key, c->names.tracker);
        if (same && c->names.connected)
                return;
        c->names.connected = true;
        memcpy(c->names.tracker, key, KEY_SIZE);
        at = loop_now(c->parts.loop) + loop_random_below(c->parts.loop, DELAY);
        if (same && c->names.done > 0)
                at = MAX(at, c->names.done + PAUSE);
        loop_timer_set(c->names.timer, at);
}
