/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rooms as the user sees them: what there is to say of each, and who is in it. */

#include "chat/room.h"

#include <stdio.h>

#include <utlist.h>

static const char *status_name(RoomStatus s) {
        static const char *const names[_ROOM_STATUS_MAX] = {
                [ROOM_JOINING] = "joining",
                [ROOM_JOINED] = "joined",
                [ROOM_INVITED] = "invited",
                [ROOM_LEFT] = "left",
                [ROOM_KICKED] = "kicked",
                [ROOM_DELETED] = "deleted",
        };

        return s < ELEMENTSOF(names) && names[s] ? names[s] : "joining";
}

static bool is_known_key(const uint8_t key[static KEY_SIZE]) {
        static const uint8_t zeros[KEY_SIZE];

        return memcmp(key, zeros, KEY_SIZE) != 0;
}

void room_show_owner(Chat *c, DbTxn *txn, RoomShown *s, const char *claimed) {
        s->room.owner = s->room.owner_account = "";
        if (!is_known_key(s->owner_key))
                return;
        s->room.owner = room_member_name(c, txn, s->owner_key, claimed, s->owner);
        s->room.owner_account = base32_encode_key(s->owner_key, s->owner_account);
}

static void show_inviter(Chat *c, DbTxn *txn, uint32_t number, RoomShown *s) {
        Contact k;

        if (number == SELF_NUMBER || contact_get_by_number(txn, number, &k) <= 0)
                return;
        s->room.inviter = contact_shown_name(txn, &k, s->inviter);
        s->room.inviter_account = base32_encode_key(k.account, s->inviter_account);
}

static void show_problem(Chat *c, const RoomView *v, RoomShown *s) {
        if (v->read_only && v->why_read_only[0])
                snprintf(s->problem, sizeof(s->problem), "%s", v->why_read_only);
        else if (v->frozen > 0)
                snprintf(s->problem, sizeof(s->problem),
                        "%u member%s signed two messages with one number: nothing after them is "
                        "shown.",
                        v->frozen, v->frozen == 1 ? " has" : "s have");
        else if (room_refusal(c, v->number))
                snprintf(s->problem, sizeof(s->problem), "%s", room_refusal(c, v->number));
        room_sentence(s->problem, sizeof(s->problem));
        s->room.problem = s->problem[0] ? s->problem : NULL;
}

void room_show(Chat *c, DbTxn *txn, const RoomView *v, RoomShown *ret) {
        Conversation conversation;

        *ret = (RoomShown){};
        memcpy(ret->key, v->id, SHA256_SIZE);
        if (v->has_owner)
                memcpy(ret->owner_key, v->owner, KEY_SIZE);
        ret->over = v->status == ROOM_LEFT || v->status == ROOM_KICKED || v->status == ROOM_DELETED;
        snprintf(ret->topic, sizeof(ret->topic), "%s", v->topic);
        ret->room = (ChatRoom){
                .room = room_shown_name(txn, v->id, v->name, ret->name),
                .id = base32_encode_key(v->id, ret->id),
                .topic = ret->topic,
                .access = v->access == ROOM_ACCESS_NONE ? "" : room_access_name(v->access),
                .status = status_name(v->status),
                .role = v->role == ROOM_ROLE_NONE ? NULL : room_role_name(v->role),
                .members = v->members,
                .online = v->online,
                .joined = v->joined,
                .read_only = v->read_only,
        };
        if (conversation_get(txn, v->number, &conversation) > 0)
                ret->room.unread = conversation.unread;
        room_show_owner(c, txn, ret, rooms_claimed_name(c->parts.rooms, v->number, ret->owner_key));
        if (v->status == ROOM_INVITED)
                show_inviter(c, txn, v->inviter, ret);
        show_problem(c, v, ret);
}

typedef struct Unwell {
        Chat *chat;
        unsigned n;
} Unwell;

static bool count_unwell(void *userdata, DbTxn *txn, const RoomRow *row) {
        Unwell *u = userdata;

        u->n += row->status == ROOM_JOINED &&
                (row->read_only || room_refusal(u->chat, row->number));
        return true;
}

unsigned rooms_count_unwell(Chat *c) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        Unwell u = {.chat = c};

        if (store_read_begin(c->parts.store, &txn) >= 0)
                (void)room_each(txn, count_unwell, &u);
        return u.n;
}

bool room_was_never_in(RoomStatus status, uint64_t control_epoch) {
        return status == ROOM_LEFT && control_epoch == 0;
}

void room_show_more(Chat *c, const RoomHeard *h, RoomShown *s) {
        s->room.members = MAX(s->room.members, h->members);
        s->room.online = MAX(s->room.online, h->online);
        if (!s->room.access[0] && h->access != ROOM_ACCESS_NONE)
                s->room.access = room_access_name(h->access);
        if (!s->topic[0]) {
                snprintf(s->topic, sizeof(s->topic), "%s", h->topic);
                text_clean(s->topic);
        }
        if (!s->room.owner[0] && is_known_key(h->owner)) {
                _cleanup_(store_read_endp) DbTxn *txn = NULL;

                memcpy(s->owner_key, h->owner, KEY_SIZE);
                if (store_read_begin(c->parts.store, &txn) >= 0)
                        room_show_owner(c, txn, s, NULL);
        }
}

void room_show_heard(Chat *c, DbTxn *txn, const RoomHeard *h, RoomShown *ret) {
        *ret = (RoomShown){};
        memcpy(ret->key, h->id, SHA256_SIZE);
        memcpy(ret->owner_key, h->owner, KEY_SIZE);
        snprintf(ret->topic, sizeof(ret->topic), "%s", h->topic);
        ret->room = (ChatRoom){.room = room_shown_name(txn, h->id, h->name, ret->name),
                .id = base32_encode_key(h->id, ret->id),
                .topic = text_clean(ret->topic),
                .access = h->access == ROOM_ACCESS_NONE ? "" : room_access_name(h->access),
                .members = h->members,
                .online = h->online};
        room_show_owner(c, txn, ret, NULL);
}

/* Members: as many as the room has, sorted in memory. */

typedef struct MemberItem {
        uint8_t account[KEY_SIZE];
        char name[SHOWN_NAME_SIZE];
        RoomRole role;
        bool online, provisional, frozen, offered;
} MemberItem;

typedef struct MemberList {
        Chat *chat;
        DbTxn *txn;
        MemberItem *items;
        size_t n, allocated;
        bool failed;
        bool outside; /* the user is not in the room, and does not hear who comes and goes */
} MemberList;

static bool on_member(void *userdata, const RoomMemberView *m) {
        MemberList *l = userdata;
        MemberItem *i;

        if (l->n == l->allocated) {
                size_t n = MAX(2 * l->allocated, (size_t)64);
                MemberItem *items = reallocarray(l->items, n, sizeof(*items));

                if (!items) {
                        l->failed = true;
                        return false;
                }
                l->items = items;
                l->allocated = n;
        }
        i = &l->items[l->n++];
        *i = (MemberItem){.role = m->role,
                .online = m->online,
                .provisional = m->provisional,
                .frozen = m->frozen,
                .offered = m->offered};
        memcpy(i->account, m->account, KEY_SIZE);
        room_member_name(l->chat, l->txn, m->account, m->name, i->name);
        return true;
}

static int by_role_and_name(const void *a, const void *b) {
        const MemberItem *x = a, *y = b;
        int r;

        if (x->role != y->role)
                return x->role < y->role ? 1 : -1;
        r = strcmp(x->name, y->name);
        return r != 0 ? r : memcmp(x->account, y->account, KEY_SIZE);
}

/* NULL: it is not known. */
static const char *member_presence(const MemberList *l, const MemberItem *i, bool self) {
        Contact k = {};

        if (self)
                return presence_name(account_own_presence(l->chat->parts.account).presence);
        if (contact_get(l->txn, i->account, &k) > 0) {
                Presence p = contact_presence(l->chat, &k);

                if (p != PRESENCE_OFFLINE)
                        return presence_name(p);
        }
        if (i->online)
                return "online";
        return l->outside && !(k.flags & CONTACT_PINNED) ? NULL : "offline";
}

static bool member_is(const MemberItem *i, const char *text) {
        char account[BASE32_KEY_SIZE + 1];

        return streq(i->name, text) || streq(base32_encode_key(i->account, account), text);
}

static bool show_members(
        MemberList *l, const char *after, unsigned limit, ChatMemberFn fn, void *userdata) {
        char account[BASE32_KEY_SIZE + 1];
        size_t i = 0;

        while (after && i < l->n && !member_is(&l->items[i], after))
                i++;
        if (after && i < l->n)
                i++;
        for (; i < l->n; i++) {
                const MemberItem *m = &l->items[i];
                bool self = key_equal(m->account, sign_key_public(&chat_self(l->chat)->account));

                if (limit-- == 0 ||
                        !fn(userdata,
                                &(ChatMember){.name = m->name,
                                        .account = base32_encode_key(m->account, account),
                                        .role = m->role == ROOM_ROLE_NONE ? NULL
                                                                          : room_role_name(m->role),
                                        .presence = member_presence(l, m, self),
                                        .self = self,
                                        .provisional = m->provisional,
                                        .frozen = m->frozen,
                                        .offered = m->offered}))
                        return true;
        }
        return false;
}

int chat_list_members(Chat *c, const char *room, const char *after, unsigned limit, ChatMemberFn fn,
        void *userdata, bool *ret_more, ChatError *error) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        MemberList l = {.chat = c};
        RoomRow row;
        int r;

        *ret_more = false;
        r = store_read_begin(c->parts.store, &txn);
        if (r < 0) {
                chat_storage_error(error, r);
                return r;
        }
        r = room_find_known(c, txn, room, &row, error);
        if (r < 0)
                return r;
        l.txn = txn;
        l.outside = row.status != ROOM_JOINED;
        r = rooms_each_member(c->parts.rooms, txn, row.number, on_member, &l);
        if (r >= 0 && l.failed)
                r = -ENOMEM;
        if (r >= 0 && l.n > 0)
                qsort(l.items, l.n, sizeof(*l.items), by_role_and_name);
        if (r >= 0)
                *ret_more = show_members(&l, after, limit, fn, userdata);
        else
                chat_storage_error(error, r);
        free(l.items);
        return MIN(r, 0);
}

/* Who is online in an open room in which the user is not: a tracker tells anybody. */

struct RoomVisit {
        Chat *chat;
        RoomText text;
        MemberList list;
        unsigned naming; /* answers to come on what trackers call them */
        char *after;
        unsigned limit;
        ChatError unknown; /* where nobody tells of it */
        ChatMemberFn fn;
        ChatPeersDoneFn done;
        void *userdata;
        RoomVisit *prev, *next;
};

static void visit_free(RoomVisit *v) {
        DL_DELETE(v->chat->room_visits, v);
        directory_forget(v->chat->parts.directory, v);
        free(v->list.items);
        free(v->after);
        free(v);
}

void room_visits_free_all(Chat *c) {
        while (c->room_visits)
                visit_free(c->room_visits);
}

void room_visits_forget(Chat *c, void *userdata) {
        RoomVisit *v, *tmp;

        DL_FOREACH_SAFE (c->room_visits, v, tmp)
                if (v->userdata == userdata)
                        visit_free(v);
}

static void visit_end(RoomVisit *v, const ChatError *error, bool more) {
        ChatError copy = error ? *error : (ChatError){};
        ChatPeersDoneFn done = v->done;
        void *userdata = v->userdata;

        visit_free(v);
        done(userdata, error ? &copy : NULL, more);
}

static void visit_answer(RoomVisit *v) {
        MemberList *l = &v->list;
        bool more = false;
        DbTxn *txn;

        if (store_read_begin(v->chat->parts.store, &txn) >= 0) {
                l->txn = txn;
                if (l->n > 0)
                        qsort(l->items, l->n, sizeof(*l->items), by_role_and_name);
                more = show_members(l, v->after, v->limit, v->fn, v->userdata);
                store_read_end(txn);
        }
        visit_end(v, NULL, more);
}

static void visit_take_name(RoomVisit *v, const Record *record) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;

        if (store_read_begin(v->chat->parts.store, &txn) < 0)
                return;
        for (size_t i = 0; i < v->list.n; i++)
                if (key_equal(v->list.items[i].account, record->account))
                        room_member_name(
                                v->chat, txn, record->account, record->name, v->list.items[i].name);
}

static void on_visited_name(void *userdata, Code code, const Record *record, Bytes outer,
        const PresenceRecord *presence) {
        RoomVisit *v = userdata;

        if (record)
                visit_take_name(v, record);
        if (--v->naming == 0)
                visit_answer(v);
}

static void visit_take(RoomVisit *v, const DirectoryRoomFound *found) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        MemberList *l = &v->list;

        if (store_read_begin(v->chat->parts.store, &txn) < 0)
                return;
        l->txn = txn;
        for (size_t i = 0; i < found->n_online; i++)
                if (!on_member(l,
                            &(RoomMemberView){.account = found->online[i],
                                    .role = key_equal(found->online[i], found->record->owner)
                                            ? ROOM_ROLE_OWNER
                                            : ROOM_ROLE_NONE,
                                    .online = true}))
                        return;
}

static void on_visited(
        void *userdata, Code code, const char *text, const DirectoryRoomFound *found) {
        RoomVisit *v = userdata;

        if (code != CODE_OK || found->record->deleted ||
                found->record->access != ROOM_ACCESS_OPEN ||
                !room_text_fits(&v->text, found->record->room)) {
                visit_end(v, &v->unknown, false);
                return;
        }
        visit_take(v, found);
        for (size_t i = 0; i < v->list.n; i++)
                if (v->list.items[i].name[0] == '@' &&
                        directory_lookup(v->chat->parts.directory, NULL, v->list.items[i].account,
                                on_visited_name, v) >= 0)
                        v->naming++;
        if (v->naming == 0)
                visit_answer(v);
}

void chat_visit_room(Chat *c, const char *room, const char *after, unsigned limit, ChatMemberFn fn,
        ChatPeersDoneFn done, void *userdata) {
        RoomVisit *v = calloc(1, sizeof(*v));
        ChatError e;

        if (!v) {
                chat_error(&e, CODE_STORAGE, "Out of memory.");
                done(userdata, &e, false);
                return;
        }
        *v = (RoomVisit){.chat = c,
                .list = {.chat = c, .outside = true},
                .after = after ? strdup(after) : NULL,
                .limit = limit,
                .fn = fn,
                .done = done,
                .userdata = userdata};
        DL_APPEND(c->room_visits, v);
        room_unknown_error(room, &v->unknown);
        if (chat_require_account(c, &e) < 0 || room_text_parse(room, &v->text, &e) < 0)
                visit_end(v, &e, false);
        else if (!v->text.name[0] ||
                directory_room_lookup(c->parts.directory, v->text.name, NULL, NULL, on_visited, v) <
                        0)
                visit_end(v, &v->unknown, false);
}

/* What two have to have in common */

static void format_hash(const uint8_t hash[static SHA256_SIZE], char buf[static 65]) {
        for (size_t i = 0; i < SHA256_SIZE; i++)
                snprintf(buf + 2 * i, 3, "%02x", hash[i]);
}

/* 1 with the conversation, 0 where nothing was said yet. */
static int find_conversation(Chat *c, DbTxn *txn, const char *with, uint32_t *ret,
        ChatDigest *digest, ChatError *error) {
        uint8_t hash[SHA256_SIZE];
        Conversation v;
        RoomRow row;
        Contact peer;
        int r;

        if (with[0] == '#') {
                r = room_find_known(c, txn, with, &row, error);
                if (r < 0)
                        return r;
                digest->room = true;
                digest->control_epoch = row.head_epoch;
                format_hash(row.head_hash, digest->control_hash);
                *ret = row.number;
                return 1;
        }
        r = chat_find_known(c, txn, with, &peer, error);
        if (r < 0)
                return r;
        conversation_direct(sign_key_public(&chat_self(c)->account), peer.account, hash);
        r = conversation_find(txn, hash, &v);
        if (r < 0) {
                chat_storage_error(error, r);
                return -ECANCELED;
        }
        *ret = v.number;
        return r;
}

int chat_digest(Chat *c, const char *with, ChatDigest *ret, ChatError *error) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        uint8_t digest[SHA256_SIZE];
        uint32_t conversation;
        int r;

        *ret = (ChatDigest){};
        r = chat_require_account(c, error);
        if (r < 0)
                return r;
        r = store_read_begin(c->parts.store, &txn);
        if (r < 0) {
                chat_storage_error(error, r);
                return r;
        }
        r = find_conversation(c, txn, with, &conversation, ret, error);
        if (r < 0)
                return r;
        if (r == 0)
                sha256(NULL, 0, digest); /* of nothing */
        else
                r = store_digest(txn, conversation, digest, &ret->messages);
        if (r < 0) {
                chat_storage_error(error, r);
                return r;
        }
        format_hash(digest, ret->digest);
        return 0;
}

void chat_on_room_changed(Chat *c, uint32_t room) {
        room_objects_change(c, room);
        chat_properties_changed(c, CHAT_QUEUED);
}
