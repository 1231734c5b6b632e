/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the user does in a room that is known here. */

#include "chat/room.h"

#include <utlist.h>

/* Everything that is one change of one room, and is answered with the batch. */
typedef struct Change {
        const uint8_t *account; /* whom it is about */
        const char *text;
        RoomRole role;
} Change;

typedef int (*ChangeFn)(Rooms *r, uint32_t room, const Change *x, RoomsError *e);

/* Whom the user means in a room: a member by the name under which he is listed, or who else is
 * known here. */

typedef struct MemberSearch {
        Chat *chat;
        DbTxn *txn;
        const char *text;
        char name[NAME_SIZE]; /* TEXT as a plain name, or "" */
        unsigned n_shown, n_claimed;
        uint8_t shown[KEY_SIZE], claimed[KEY_SIZE];
} MemberSearch;

static bool look_at_member(void *userdata, const RoomMemberView *m) {
        MemberSearch *s = userdata;
        char shown[SHOWN_NAME_SIZE];

        if (streq(room_member_name(s->chat, s->txn, m->account, m->name, shown), s->text)) {
                s->n_shown++;
                memcpy(s->shown, m->account, KEY_SIZE);
        }
        if (s->name[0] && m->name && streq(m->name, s->name)) {
                s->n_claimed++;
                memcpy(s->claimed, m->account, KEY_SIZE);
        }
        return true;
}

static int find_exact(Chat *c, DbTxn *txn, const char *text, uint8_t *ret, ChatError *error) {
        Contact k;
        int r;

        if (text[0] == '@' && base32_decode_key(text + 1, strlen(text + 1), ret) >= 0)
                return 1;
        r = chat_find_contact(txn, text, &k, error);
        if (r > 0)
                memcpy(ret, k.account, KEY_SIZE);
        return r;
}

/* 1 with the account; 0: nobody who is known. */
static int find_member(Chat *c, DbTxn *txn, uint32_t room, const char *text,
        uint8_t ret[static KEY_SIZE], ChatError *error) {
        MemberSearch s = {.chat = c, .txn = txn, .text = text};
        char folded[SHOWN_NAME_SIZE];
        size_t n = strlen(text);
        int r;

        if (chat_is_self(c, text)) {
                memcpy(ret, sign_key_public(&chat_self(c)->account), KEY_SIZE);
                return 1;
        }
        if (text[0] == '@' || n == 0 || n >= sizeof(folded))
                return find_exact(c, txn, text, ret, error);
        for (size_t i = 0; i <= n; i++)
                folded[i] = ascii_lower(text[i]);
        s.text = folded;
        if (name_fold(text, n, s.name) < 0)
                s.name[0] = 0;
        r = rooms_each_member(c->parts.rooms, txn, room, look_at_member, &s);
        if (r < 0) {
                chat_storage_error(error, r);
                return -ECANCELED;
        }
        if (s.n_shown == 1) {
                memcpy(ret, s.shown, KEY_SIZE);
                return 1;
        }
        r = find_exact(c, txn, text, ret, error);
        if (r != 0)
                return r;
        if (s.n_claimed > 1)
                return chat_error(error, CODE_AMBIGUOUS_NAME,
                        "Several members call themselves %.40s: chatc members shows how each is "
                        "called here.",
                        text);
        if (s.n_claimed == 1)
                memcpy(ret, s.claimed, KEY_SIZE);
        return s.n_claimed == 1;
}

static int change(
        Chat *c, const char *room, const char *name, Change x, ChangeFn fn, ChatError *error) {
        DbTxn *txn = store_write(c->parts.store);
        uint8_t account[KEY_SIZE];
        RoomsError e = {};
        unsigned members;
        RoomRow row;
        int r;

        r = chat_require_login(c, error);
        if (r >= 0)
                r = room_find_known(c, txn, room, &row, error);
        if (r < 0)
                return r;
        if (name) {
                r = find_member(c, txn, row.number, name, account, error);
                if (r < 0)
                        return r;
                if (r == 0)
                        return chat_error(error, CODE_UNKNOWN_PEER,
                                "Nobody called %.64s is in %.64s: chatc members shows who is.",
                                name, room);
                x.account = account;
        }
        r = name && row.status == ROOM_JOINED &&
                        !rooms_has_member(c->parts.rooms, row.number, account, &members)
                ? chat_error(error, CODE_NOT_MEMBER,
                          "%.64s is no member of %.64s: chatc members shows who is.", name, room)
                : 0;
        if (r < 0)
                return r;
        return room_error(fn(c->parts.rooms, row.number, &x, &e), &e, error);
}

static void begin(Chat *c, const char *room, const char *name, Change x, ChangeFn fn,
        ChatDoneFn done, void *userdata) {
        Operation *o = operation_new(c, done, userdata);
        ChatError e;
        int r;

        if (!o)
                return;
        r = change(c, room, name, x, fn, &e);
        operation_settle(o, r, &e);
}

static int leave(Rooms *r, uint32_t room, const Change *x, RoomsError *e) {
        return rooms_leave(r, room, e);
}

void chat_leave_room(Chat *c, const char *room, ChatDoneFn fn, void *userdata) {
        begin(c, room, NULL, (Change){}, leave, fn, userdata);
}

typedef struct RoomNumbers {
        uint32_t *items;
        size_t n, allocated;
} RoomNumbers;

static bool note_number(void *userdata, DbTxn *txn, const RoomRow *row) {
        RoomNumbers *l = userdata;
        size_t n = MAX(2 * l->allocated, (size_t)64);

        if (l->n == l->allocated) {
                uint32_t *items = reallocarray(l->items, n, sizeof(*items));

                if (!items)
                        return false;
                l->items = items;
                l->allocated = n;
        }
        l->items[l->n++] = row->number;
        return true;
}

/* In which nobody else is. */
static bool is_empty(Chat *c, uint32_t room) {
        unsigned members = 0;

        return rooms_has_member(
                       c->parts.rooms, room, sign_key_public(&chat_self(c)->account), &members) &&
                members <= 1;
}

void chat_leave_rooms(Chat *c) {
        Rooms *rooms = c->parts.rooms;
        RoomNumbers l = {};
        RoomsError e;

        (void)room_each(store_write(c->parts.store), note_number, &l);
        for (size_t i = 0; i < l.n; i++)
                if (rooms_leave(rooms, l.items[i], &e) < 0 && is_empty(c, l.items[i]))
                        (void)rooms_delete(rooms, l.items[i], &e);
        free(l.items);
}

static int delete (Rooms *r, uint32_t room, const Change *x, RoomsError *e) {
        return rooms_delete(r, room, e);
}

void chat_delete_room(Chat *c, const char *room, ChatDoneFn fn, void *userdata) {
        begin(c, room, NULL, (Change){}, delete, fn, userdata);
}

static int kick(Rooms *r, uint32_t room, const Change *x, RoomsError *e) {
        return rooms_kick(r, room, x->account, e);
}

void chat_kick(Chat *c, const char *room, const char *name, ChatDoneFn fn, void *userdata) {
        begin(c, room, name, (Change){}, kick, fn, userdata);
}

static int set_topic(Rooms *r, uint32_t room, const Change *x, RoomsError *e) {
        return rooms_set_topic(r, room, x->text, e);
}

int room_check_topic(const char *topic, ChatError *error) {
        size_t n = strlen(topic);

        if (n > ROOM_TOPIC_MAX)
                return chat_error(error, CODE_TOO_LONG,
                        "The topic has %zu bytes; at most %d are allowed.", n, ROOM_TOPIC_MAX);
        if (!room_topic_is_valid(text_bytes(topic)))
                return chat_error(error, CODE_INVALID_ARGS,
                        "A topic is one line of UTF-8 without control characters.");
        return 0;
}

void chat_set_topic(Chat *c, const char *room, const char *topic, ChatDoneFn fn, void *userdata) {
        ChatError e;

        if (room_check_topic(topic, &e) < 0)
                fn(userdata, &e);
        else
                begin(c, room, NULL, (Change){.text = topic}, set_topic, fn, userdata);
}

static int set_role(Rooms *r, uint32_t room, const Change *x, RoomsError *e) {
        return rooms_set_role(r, room, x->account, x->role, e);
}

void chat_set_role(Chat *c, const char *room, const char *name, const char *role, ChatDoneFn fn,
        void *userdata) {
        ChatError e;

        for (RoomRole i = ROOM_ROLE_MEMBER; i < _ROOM_ROLE_MAX; i++)
                if (streq(role, room_role_name(i))) {
                        begin(c, room, name, (Change){.role = i}, set_role, fn, userdata);
                        return;
                }
        chat_error(&e, CODE_INVALID_ARGS, "A role is member, admin or owner, not %.40s.", role);
        fn(userdata, &e);
}

/* Inviting: a name never seen is looked up, and whoever is invited is a contact. */

struct Inviting {
        Chat *chat;
        Operation *operation;
        uint32_t room;
        char name[128];
        Inviting *prev, *next;
};

static void inviting_free(Inviting *i) {
        DL_DELETE(i->chat->invitings, i);
        chat_forget(i->chat, i);
        free(i);
}

void invitings_free_all(Chat *c) {
        while (c->invitings)
                inviting_free(c->invitings);
}

/* 1: done with the batch; 0: he is to become a contact first. */
static int invite(Chat *c, uint32_t room, const char *name, ChatError *error) {
        DbTxn *txn = store_write(c->parts.store);
        uint8_t account[KEY_SIZE];
        RoomsError e = {};
        Contact k;
        int r;

        r = find_member(c, txn, room, name, account, error);
        if (r <= 0)
                return r;
        r = contact_get(txn, account, &k);
        if (r > 0 && k.flags & CONTACT_BLOCKED)
                return contact_blocked_error(name, error);
        if (r > 0 && k.flags & CONTACT_KEY_CHANGED && !chat_is_exact(name))
                return key_changed_error(&k, name, error);
        if (!key_equal(account, sign_key_public(&chat_self(c)->account)) &&
                (r == 0 || !(k.flags & CONTACT_PINNED)))
                return 0;
        r = rooms_invite(c->parts.rooms, room, account, &e);
        r = room_error(r, &e, error);
        return r < 0 ? r : 1;
}

static void on_contact_added(void *userdata, const ChatError *error) {
        Inviting *i = userdata;
        Operation *o = i->operation;
        ChatError e;
        int r;

        if (error) {
                inviting_free(i);
                operation_end(o, error);
                return;
        }
        r = invite(i->chat, i->room, i->name, &e);
        if (r == 0)
                r = chat_error(&e, CODE_UNKNOWN_PEER, "Nobody known here is %.64s.", i->name);
        inviting_free(i);
        operation_settle(o, r, &e);
}

static int look_up(Chat *c, Operation *o, uint32_t room, const char *name, ChatError *error) {
        Inviting *i;

        if (strlen(name) >= sizeof(i->name))
                return chat_error(error, CODE_BAD_NAME, "A name has at most 32 characters.");
        i = calloc(1, sizeof(*i));
        if (!i)
                return -ENOMEM;
        *i = (Inviting){.chat = c, .operation = o, .room = room};
        memcpy(i->name, name, strlen(name) + 1);
        DL_APPEND(c->invitings, i);
        chat_add_contact(c, name, NULL, on_contact_added, i);
        return 0;
}

void chat_invite(Chat *c, const char *room, const char *name, ChatDoneFn fn, void *userdata) {
        Operation *o = operation_new(c, fn, userdata);
        ChatError e;
        RoomRow row;
        int r;

        if (!o)
                return;
        r = chat_require_login(c, &e);
        if (r >= 0)
                r = room_find_known(c, store_write(c->parts.store), room, &row, &e);
        if (r >= 0)
                r = invite(c, row.number, name, &e);
        if (r == 0)
                r = look_up(c, o, row.number, name, &e);
        else if (r > 0) {
                operation_await_commit(o);
                return;
        }
        if (r < 0)
                operation_settle(o, r, &e);
}

/* Sending and typing are for send.c and typing.c */

int room_type(Chat *c, const char *room, bool on, ChatError *error) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        RoomRow row;
        int r;

        r = store_read_begin(c->parts.store, &txn);
        if (r < 0) {
                chat_storage_error(error, r);
                return r;
        }
        r = room_find_known(c, txn, room, &row, error);
        if (r < 0)
                return r;
        if (row.status != ROOM_JOINED)
                return chat_error(error, CODE_NOT_MEMBER,
                        "You are no member of %.64s: chatc join first.", room);
        if (delivery_says_typing(c->parts.delivery))
                rooms_type(c->parts.rooms, row.number, on);
        return 0;
}
