/* SPDX-License-Identifier: GPL-3.0-or-later */

/* People: who is known here, who is listed at the directory, who is there. */

#include <stdio.h>

#include <utlist.h>

#include "chat/room.h"

#define LISTED_MAX 2000 /* people of the directory in one answer */
#define PAGES_MAX 100 /* whatever is on them */
#define SHARED_ROOMS_MAX 32 /* that are told of one person */

/* One call of ListPeers, from the local rows to the last page of the directory. */
struct PeerList {
        Chat *chat;
        bool all;
        char *after, *name;
        char account[BASE32_KEY_SIZE + 1]; /* that NAME means, "" where it is not known here */
        unsigned limit;
        PeerView **views;
        size_t n, allocated, listed, pages;
        char (*room_names)[ROOM_SHOWN_SIZE]; /* of rooms one is in */
        ChatPeerFn fn;
        ChatPeersDoneFn done;
        void *userdata;
        PeerList *prev, *next;
};

static void list_free(PeerList *l) {
        DL_DELETE(l->chat->peer_lists, l);
        directory_forget(l->chat->parts.directory, l);
        for (size_t i = 0; i < l->n; i++) {
                free(l->views[i]->rooms);
                free(l->views[i]);
        }
        free(l->views);
        free(l->room_names);
        free(l->after);
        free(l->name);
        free(l);
}

void peer_lists_free_all(Chat *c) {
        while (c->peer_lists)
                list_free(c->peer_lists);
}

void peer_lists_forget(Chat *c, void *userdata) {
        PeerList *l, *tmp;

        DL_FOREACH_SAFE (c->peer_lists, l, tmp)
                if (l->userdata == userdata)
                        list_free(l);
}

static PeerView *list_add(PeerList *l) {
        PeerView *v;

        if (l->n == l->allocated) {
                size_t n = MAX(2 * l->allocated, (size_t)16);
                PeerView **views = reallocarray(l->views, n, sizeof(*views));

                if (!views)
                        return NULL;
                l->views = views;
                l->allocated = n;
        }
        v = calloc(1, sizeof(*v));
        if (v)
                l->views[l->n++] = v;
        return v;
}

static void view_add_endpoint(PeerView *v, size_t *n, const char *text, size_t size) {
        for (size_t i = 0; i < *n; i++)
                if (strlen(v->endpoint_text[i]) == size &&
                        memcmp(v->endpoint_text[i], text, size) == 0)
                        return;
        if (*n >= PRESENCE_ENDPOINTS_MAX || size >= sizeof(v->endpoint_text[0]))
                return;
        copy_bytes(v->endpoint_text[*n], text, size);
        v->endpoints[*n] = v->endpoint_text[*n];
        (*n)++;
}

static void view_add_via(PeerView *v, const char *via) {
        size_t n = 0;

        while (v->via[n])
                n++;
        if (n < ELEMENTSOF(v->via) - 1)
                v->via[n] = via;
}

static void view_finish(PeerView *v) {
        v->peer.name = v->name;
        v->peer.account = v->account;
        v->peer.endpoints = v->endpoints;
        v->peer.via = v->via;
        v->peer.note = v->note[0] ? v->note : NULL;
}

static size_t view_add_lan(const Chat *c, PeerView *v, size_t n, const uint8_t *account) {
        SockAddr at[LAN_ADDRESSES_MAX];
        size_t found = directory_lan_endpoints(c->parts.directory, account, at, ELEMENTSOF(at));
        char text[ENDPOINT_SIZE];

        for (size_t i = 0; i < found; i++) {
                sockaddr_format(&at[i], text);
                view_add_endpoint(v, &n, text, strlen(text));
        }
        if (found > 0)
                view_add_via(v, "lan");
        return n;
}

static const KnownPresence *heard_presence(const Chat *c, const Contact *k) {
        const KnownPresence *known = directory_presence(c->parts.directory, k->account);

        return known && known->online ? known : NULL;
}

Presence contact_presence(const Chat *c, const Contact *k) {
        const KnownPresence *known = directory_presence(c->parts.directory, k->account);

        if (known && known->online)
                return known->presence;
        if (!delivery_has_link(c->parts.delivery, k->account))
                return PRESENCE_OFFLINE;
        return known && known->announced != PRESENCE_OFFLINE ? known->announced : PRESENCE_ONLINE;
}

/* People with a row of their own. */
void peer_view_contact(Chat *c, DbTxn *txn, const Contact *k, PeerView *v) {
        const KnownPresence *known = directory_presence(c->parts.directory, k->account);
        const KnownPresence *heard = heard_presence(c, k);
        bool link = delivery_has_link(c->parts.delivery, k->account);
        Endpoints cached = {};
        size_t n = 0;

        *v = (PeerView){.is_known = true};
        v->peer = (ChatPeer){.contact = k->flags & CONTACT_PINNED,
                .blocked = k->flags & CONTACT_BLOCKED,
                .verified = k->flags & CONTACT_VERIFIED,
                .last_seen = MAX(seen_last(c, k), known ? known->last_seen : 0)};
        contact_shown_name(txn, k, v->name);
        if (k->alias[0]) {
                memcpy(v->claimed, k->name, NAME_SIZE);
                v->peer.claimed_name = v->claimed;
        }
        v->peer.key_changed = k->flags & CONTACT_KEY_CHANGED;
        if (v->peer.key_changed)
                v->peer.other_account = base32_encode_key(k->rival, v->other);
        base32_encode_key(k->account, v->account);
        v->peer.presence = presence_name(contact_presence(c, k));
        if (known && (heard || link))
                snprintf(v->note, sizeof(v->note), "%s", known->note);
        if (link)
                view_add_via(v, "link");
        n = view_add_lan(c, v, 0, k->account);
        for (size_t i = 0; heard && i < known->n_endpoints; i++)
                view_add_endpoint(v, &n, known->endpoints[i], strlen(known->endpoints[i]));
        if (heard && known->by_tracker)
                view_add_via(v, "tracker");
        (void)store_get_endpoints(txn, k->number, &cached);
        if (n == 0 && cached.n > 0)
                view_add_via(v, "cache");
        for (size_t i = 0; !heard && i < cached.n; i++)
                view_add_endpoint(v, &n, cached.text[i], strlen(cached.text[i]));
        view_finish(v);
}

static bool list_wants(const PeerList *l, const PeerView *v) {
        if (l->account[0])
                return streq(v->account, l->account);
        if (l->name)
                return strcasecmp(v->name, l->name) == 0 ||
                        (l->name[0] == '@' && strcasecmp(v->account, l->name + 1) == 0);
        return l->all || v->peer.contact || !streq(v->peer.presence, "offline");
}

static void list_drop_last(PeerList *l) {
        free(l->views[--l->n]);
}

static bool on_contact(void *userdata, DbTxn *txn, const Contact *k) {
        PeerList *l = userdata;
        PeerView *v = list_add(l);

        if (!v)
                return false;
        peer_view_contact(l->chat, txn, k, v);
        if (!list_wants(l, v))
                list_drop_last(l);
        return true;
}

static PeerView *list_find(const PeerList *l, const char *account) {
        for (size_t i = 0; i < l->n; i++)
                if (streq(l->views[i]->account, account))
                        return l->views[i];
        return NULL;
}

/* People on the LAN without a row here. */
static bool on_nearby(void *userdata, const LanPerson *p) {
        char account[BASE32_KEY_SIZE + 1];
        PeerList *l = userdata;
        PeerView *v;

        base32_encode_key(p->account, account);
        if (list_find(l, account))
                return true;
        v = list_add(l);
        if (!v)
                return false;
        memcpy(v->account, account, sizeof(account));
        snprintf(v->name, sizeof(v->name), "%s~%.4s", p->name, account);
        v->peer.presence = presence_name(p->missed ? PRESENCE_AWAY : p->presence);
        v->peer.last_seen = p->last_seen;
        snprintf(v->note, sizeof(v->note), "%s", p->note);
        (void)view_add_lan(l->chat, v, 0, p->account);
        view_finish(v);
        if (!list_wants(l, v))
                list_drop_last(l);
        return true;
}

/* A directory says that it is his; but here it may be somebody else's. */
static void listed_name(Chat *c, const Record *record, PeerView *v) {
        uint8_t owner[KEY_SIZE];
        int r;

        r = contact_resolve(store_write(c->parts.store), record->name, owner);
        if (r == 0)
                snprintf(v->name, sizeof(v->name), "%s", record->name);
        else
                snprintf(v->name, sizeof(v->name), "%s~%.4s", record->name, v->account);
}

/* People of the directory without a row here. */
static void on_listed(void *userdata, const Record *record, const PresenceRecord *presence) {
        char account[BASE32_KEY_SIZE + 1];
        PeerList *l = userdata;
        PeerView *v;
        size_t n = 0;

        l->listed++;
        if (key_equal(record->account, sign_key_public(&chat_self(l->chat)->account)))
                return;
        base32_encode_key(record->account, account);
        v = list_find(l, account);
        if (v && v->is_known)
                return;
        if (v) { /* he is on the LAN as well */
                listed_name(l->chat, record, v);
                view_add_via(v, "tracker");
                return;
        }
        v = list_add(l);
        if (!v)
                return;
        memcpy(v->account, account, sizeof(account));
        listed_name(l->chat, record, v);
        v->peer.presence = presence ? presence_name(presence->presence) : "offline";
        for (size_t i = 0; presence && i < presence->n_endpoints; i++)
                view_add_endpoint(v, &n, (const char *)presence->endpoints[i].data,
                        presence->endpoints[i].size);
        if (presence)
                snprintf(v->note, sizeof(v->note), "%.*s", (int)presence->note.size,
                        (const char *)presence->note.data);
        text_clean(v->note);
        view_add_via(v, "tracker");
        view_finish(v);
        if (!list_wants(l, v))
                list_drop_last(l);
}

static int by_name(const void *a, const void *b) {
        const PeerView *const *x = a, *const *y = b;
        int c = strcmp((*x)->name, (*y)->name);

        return c != 0 ? c : strcmp((*x)->account, (*y)->account);
}

/* Rooms one is in, and who of those in the list is there as well */

typedef struct Joined {
        uint32_t *numbers;
        size_t n, allocated;
        bool failed;
} Joined;

static bool note_joined(void *userdata, DbTxn *txn, const RoomRow *row) {
        Joined *j = userdata;

        if (row->status != ROOM_JOINED)
                return true;
        if (j->n == j->allocated) {
                size_t n = MAX(2 * j->allocated, (size_t)16);
                uint32_t *numbers = reallocarray(j->numbers, n, sizeof(*numbers));

                if (!numbers) {
                        j->failed = true;
                        return false;
                }
                j->numbers = numbers;
                j->allocated = n;
        }
        j->numbers[j->n++] = row->number;
        return true;
}

static int by_account(const void *a, const void *b) {
        const PeerView *const *x = a, *const *y = b;

        return strcmp((*x)->account, (*y)->account);
}

typedef struct Sharing {
        PeerList *list; /* sorted by account */
        const char *room;
} Sharing;

static bool share_room(void *userdata, const RoomMemberView *m) {
        PeerView key, *k = &key, **found;
        Sharing *s = userdata;
        const char **rooms;

        base32_encode_key(m->account, key.account);
        found = bsearch(&k, s->list->views, s->list->n, sizeof(*s->list->views), by_account);
        if (!found || (*found)->n_rooms >= SHARED_ROOMS_MAX)
                return true;
        rooms = reallocarray((*found)->rooms, (*found)->n_rooms + 2, sizeof(*rooms));
        if (!rooms)
                return false;
        rooms[(*found)->n_rooms++] = s->room;
        rooms[(*found)->n_rooms] = NULL;
        (*found)->rooms = rooms;
        (*found)->peer.rooms = rooms;
        return true;
}

/* What cannot be read is left out. */
static void list_add_rooms(PeerList *l) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        Joined j = {};

        if (l->n == 0 || store_read_begin(l->chat->parts.store, &txn) < 0)
                return;
        if (room_each(txn, note_joined, &j) >= 0 && !j.failed && j.n > 0)
                l->room_names = calloc(j.n, sizeof(*l->room_names));
        if (l->room_names)
                qsort(l->views, l->n, sizeof(*l->views), by_account);
        for (size_t i = 0; l->room_names && i < j.n; i++)
                (void)rooms_each_member(l->chat->parts.rooms, txn, j.numbers[i], share_room,
                        &(Sharing){.list = l,
                                .room = room_number_name(
                                        l->chat, txn, j.numbers[i], l->room_names[i])});
        free(j.numbers);
}

/* AFTER is the name or the account that the page before ended on. */
static size_t list_start(const PeerList *l) {
        if (!l->after)
                return 0;
        for (size_t i = 0; i < l->n; i++)
                if (streq(l->views[i]->name, l->after) || streq(l->views[i]->account, l->after))
                        return i + 1;
        for (size_t i = 0; i < l->n; i++)
                if (strcmp(l->views[i]->name, l->after) > 0)
                        return i;
        return l->n;
}

static void list_answer(PeerList *l) {
        ChatPeersDoneFn done = l->done;
        void *userdata = l->userdata;
        unsigned shown = 0;
        bool more = false;

        list_add_rooms(l);
        if (l->n > 0)
                qsort(l->views, l->n, sizeof(*l->views), by_name);
        for (size_t i = list_start(l); i < l->n; i++) {
                if (shown++ >= l->limit || !l->fn(userdata, &l->views[i]->peer)) {
                        more = true;
                        break;
                }
        }
        list_free(l);
        done(userdata, NULL, more);
}

static void on_page(void *userdata, Code code, Bytes after) {
        PeerList *l = userdata;

        /* What the directory does not say is left out: the local rows are an answer as well. */
        if (code != CODE_OK || after.size == 0 || l->listed >= LISTED_MAX ||
                ++l->pages >= PAGES_MAX ||
                directory_list(l->chat->parts.directory, !l->all, after, on_listed, on_page, l) < 0)
                list_answer(l);
}

static PeerList *list_new(
        Chat *c, const ChatListPeers *args, ChatPeerFn fn, ChatPeersDoneFn done, void *userdata) {
        PeerList *l = calloc(1, sizeof(*l));

        if (!l)
                return NULL;
        *l = (PeerList){.chat = c,
                .all = args->all,
                .limit = args->limit,
                .fn = fn,
                .done = done,
                .userdata = userdata};
        DL_APPEND(c->peer_lists, l);
        l->after = args->after ? strdup(args->after) : NULL;
        l->name = args->name ? strdup(args->name) : NULL;
        return l;
}

void chat_list_peers(
        Chat *c, const ChatListPeers *args, ChatPeerFn fn, ChatPeersDoneFn done, void *userdata) {
        uint8_t account[KEY_SIZE];
        ChatError e;
        PeerList *l;
        DbTxn *txn;
        int r;

        if (chat_require_account(c, &e) < 0) {
                done(userdata, &e, false);
                return;
        }
        l = list_new(c, args, fn, done, userdata);
        if (l && l->name && contact_resolve(store_write(c->parts.store), l->name, account) > 0)
                base32_encode_key(account, l->account);
        r = l ? store_read_begin(c->parts.store, &txn) : -ENOMEM;
        if (r >= 0) {
                r = contact_each(txn, NULL, on_contact, l);
                store_read_end(txn);
        }
        if (r < 0) {
                if (l)
                        list_free(l);
                chat_error(&e, CODE_STORAGE, "The store could not be read: %s.", strerror(-r));
                done(userdata, &e, false);
                return;
        }
        directory_lan_each(c->parts.directory, on_nearby, l);
        if ((l->name && l->n > 0) || !account_is_active(c->parts.account) ||
                directory_list(c->parts.directory, !l->all && !l->name, (Bytes){}, on_listed,
                        on_page, l) < 0)
                list_answer(l);
}

/* Events */

/* What was last said of somebody's presence: the same again is no news. */
struct Told {
        uint8_t account[KEY_SIZE];
        Presence presence;
        UT_hash_handle hh;
};

static bool is_news(Chat *c, const uint8_t *account, Presence presence) {
        Told *t;

        HASH_FIND(hh, c->told, account, KEY_SIZE, t);
        if (t && t->presence == presence)
                return false;
        if (!t) {
                t = calloc(1, sizeof(*t));
                if (!t)
                        return true;
                memcpy(t->account, account, KEY_SIZE);
                HASH_ADD(hh, c->told, account, KEY_SIZE, t);
                if (!TABLE_HAS(t)) {
                        free(t);
                        return true;
                }
        }
        t->presence = presence;
        return true;
}

void told_free_all(Chat *c) {
        Told *t, *tmp;

        HASH_ITER (hh, c->told, t, tmp) {
                HASH_DEL(c->told, t);
                free(t);
        }
}

/* In the batch, so that somebody whose row is in it as well is told of with it. */
static void tell_account(Chat *c, const uint8_t *account) {
        DbTxn *txn = store_write(c->parts.store);
        EventRow e = {.kind = EVENT_PRESENCE, .time = loop_realtime(c->parts.loop)};
        Contact k;

        /* Who only connects is not told of: there may be many, and they leave nothing behind. */
        if (contact_get(txn, account, &k) <= 0 || !(k.flags & (CONTACT_PINNED | CONTACT_REQUEST)))
                return;
        objects_change(c, account);
        e.account = k.number;
        e.presence = contact_presence(c, &k);
        if (is_news(c, account, e.presence))
                (void)event_add(c->parts.store, &e);
}

static void note_account(Chat *c, const uint8_t *account, usec_t at, bool there) {
        Contact k;

        if (contact_get(store_write(c->parts.store), account, &k) > 0)
                seen_note(c, &k, at, there);
}

void told_note_seen(Chat *c) {
        Told *t, *tmp;

        HASH_ITER (hh, c->told, t, tmp)
                if (t->presence != PRESENCE_OFFLINE)
                        note_account(c, t->account, loop_realtime(c->parts.loop), false);
}

void chat_on_link_changed(Chat *c, const uint8_t account[static KEY_SIZE], bool up) {
        note_account(c, account, loop_realtime(c->parts.loop), up);
        tell_account(c, account);
}

void chat_on_presence(Chat *c, const uint8_t account[static KEY_SIZE], bool online,
        usec_t last_seen, const PresenceRecord *p) {
        if (online)
                delivery_appeared(c->parts.delivery, account);
        note_account(c, account, MIN(last_seen, loop_realtime(c->parts.loop)), online);
        tell_account(c, account);
}

void chat_on_lan_changed(Chat *c) {
        chat_properties_changed(c, CHAT_NEARBY);
}

/* A contact's record was renewed. One with an older epoch is a replay, and ignored. */
void chat_on_record(Chat *c, const Record *record, Bytes outer) {
        Contact k;

        if (!key_equal(record->account, sign_key_public(&chat_self(c)->account)) &&
                contact_get(store_write(c->parts.store), record->account, &k) > 0)
                (void)contact_learn(
                        c->parts.store, record, outer, loop_realtime(c->parts.loop), 0, false, &k);
        objects_change(c, record->account);
}
