/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Making a room, and joining one: which room a name means is asked of trackers first, and where
 * they know none or cannot be asked, of those with whom there are links.
 */

#include "chat/room.h"

#include <stdio.h>

#include <utlist.h>

/* Of those that wait for an answer. */
#define OPS_MAX 256

/* Rooms of one name that are told apart. */
#define OFFERS_MAX 8

typedef struct Offer {
        uint8_t id[SHA256_SIZE];
        uint8_t who[ROOMS_CANDIDATES_MAX][KEY_SIZE];
        size_t n_who;
} Offer;

struct RoomOp {
        Chat *chat;
        ChatIdFn fn;
        void *userdata;
        bool create;
        char shown[64]; /* as it was typed, for errors */
        RoomText text;
        bool known, invited; /* there is a row; and the user has not said anything to it */
        RoomRow row;
        Code tracker; /* what trackers said */

        Offer offers[OFFERS_MAX];
        size_t n_offers;

        RoomAccess access;
        RoomHistory history;
        char topic[ROOM_TOPIC_MAX + 1];
        uint32_t number; /* of the room that was made */
        uint8_t id[SHA256_SIZE]; /* of the room that it is in the end */
        RoomOp *prev, *next;
};

static void op_free(RoomOp *o) {
        Chat *c = o->chat;

        DL_DELETE(c->room_ops, o);
        directory_forget(c->parts.directory, o);
        store_forget(c->parts.store, o);
        rooms_forget(c->parts.rooms, o);
        room_ask_forget(c, o);
        free(o);
}

void room_ops_free_all(Chat *c) {
        while (c->room_ops)
                op_free(c->room_ops);
}

void room_ops_forget(Chat *c, void *userdata) {
        RoomOp *o;

        DL_FOREACH (c->room_ops, o)
                if (o->userdata == userdata)
                        o->fn = NULL;
}

static void op_end(RoomOp *o, const ChatError *error) {
        char id[BASE32_KEY_SIZE + 1];
        ChatIdFn fn = o->fn;
        void *userdata = o->userdata;

        base32_encode_key(o->id, id);
        op_free(o);
        if (fn)
                fn(userdata, error, error ? NULL : id);
}

static int op_new(
        Chat *c, const char *room, ChatIdFn fn, void *userdata, RoomOp **ret, ChatError *error) {
        RoomOp *o, *other;
        unsigned n;
        int r;

        r = chat_require_login(c, error);
        if (r < 0)
                return r;
        DL_COUNT(c->room_ops, other, n);
        if (n >= OPS_MAX)
                return chat_error(error, CODE_TOO_MANY,
                        "Too many rooms are being looked for: wait for answers.");
        o = calloc(1, sizeof(*o));
        if (!o)
                return chat_error(error, CODE_STORAGE, "Out of memory.");
        o->chat = c;
        o->fn = fn;
        o->userdata = userdata;
        snprintf(o->shown, sizeof(o->shown), "%s", room);
        text_clean(o->shown);
        r = room_text_parse(room, &o->text, error);
        if (r >= 0)
                r = room_resolve(store_write(c->parts.store), &o->text, &o->row, error);
        if (r < 0) {
                free(o);
                return r;
        }
        o->known = r > 0;
        o->invited = r > 0 && o->row.status == ROOM_INVITED;
        DL_APPEND(c->room_ops, o);
        *ret = o;
        return 0;
}

/* What others offer */

static Offer *offer_find(RoomOp *o, const uint8_t *id) {
        for (size_t i = 0; i < o->n_offers; i++)
                if (memcmp(o->offers[i].id, id, SHA256_SIZE) == 0)
                        return &o->offers[i];
        if (o->n_offers == OFFERS_MAX)
                return NULL;
        memcpy(o->offers[o->n_offers].id, id, SHA256_SIZE);
        return &o->offers[o->n_offers++];
}

/* The same of the room that is meant, which takes the place of another where there are too many. */
static Offer *offer_have(RoomOp *o, const uint8_t *id) {
        Offer *f = offer_find(o, id);

        if (f)
                return f;
        f = &o->offers[OFFERS_MAX - 1];
        *f = (Offer){};
        memcpy(f->id, id, SHA256_SIZE);
        return f;
}

static void offer_add(RoomOp *o, Offer *f, const uint8_t *who) {
        if (!f || f->n_who == ROOMS_CANDIDATES_MAX ||
                key_equal(who, sign_key_public(&chat_self(o->chat)->account)))
                return;
        for (size_t i = 0; i < f->n_who; i++)
                if (key_equal(f->who[i], who))
                        return;
        memcpy(f->who[f->n_who++], who, KEY_SIZE);
}

/* Which of them: by their ids, as they may be typed. */
static int ambiguous_error(const RoomOp *o, ChatError *error) {
        char list[OFFERS_MAX * (ROOM_SHOWN_SIZE + 8)] = "", id[BASE32_KEY_SIZE + 1];
        size_t n = 0;

        for (size_t i = 0; i < o->n_offers; i++)
                n += (size_t)snprintf(list + n, sizeof(list) - n, "%s#%s~%.*s",
                        i == 0                         ? ""
                                : i + 1 == o->n_offers ? " or "
                                                       : ", ",
                        o->text.name, ROOM_SUFFIX_LENGTH, base32_encode_key(o->offers[i].id, id));
        return chat_error(error, CODE_AMBIGUOUS_NAME,
                "Several rooms are called #%s: say which one, %s.", o->text.name, list);
}

/* Joining */

static int join_failed(const RoomOp *o, Code code, const char *text, ChatError *error) {
        if (text && text[0]) {
                chat_error(error, code, "%s", text);
                room_sentence(error->text, sizeof(error->text));
                return -ECANCELED;
        }
        return chat_error(error, code, "%s could not be joined.", o->shown);
}

static void on_joined(void *userdata, uint32_t room, Code code, const char *text) {
        RoomOp *o = userdata;
        ChatError e;

        if (code == CODE_OK)
                op_end(o, NULL);
        else {
                join_failed(o, code, text, &e);
                op_end(o, &e);
        }
}

static int join(RoomOp *o, const Offer *f, ChatError *error) {
        Chat *c = o->chat;
        RoomsError e = {};

        memcpy(o->id, f->id, SHA256_SIZE);
        return room_error(rooms_join(c->parts.rooms,
                                  &(RoomsJoin){.id = f->id,
                                          .name = o->text.name,
                                          .exact = o->text.suffix[0],
                                          .candidates = f->who,
                                          .n_candidates = f->n_who},
                                  on_joined, o, &e),
                &e, error);
}

static void add_inviter(RoomOp *o, Offer *f) {
        Contact k;

        if (o->row.inviter != SELF_NUMBER &&
                contact_get_by_number(store_write(o->chat->parts.store), o->row.inviter, &k) > 0)
                offer_add(o, f, k.account);
}

/* Nobody has told of it. */
static int not_found(RoomOp *o, ChatError *error) {
        RoomsError ignored = {};
        Chat *c = o->chat;

        if (o->known && o->row.status == ROOM_DELETED) {
                if (o->invited) /* which is for nothing now */
                        (void)rooms_leave(c->parts.rooms, o->row.number, &ignored);
                return chat_error(
                        error, CODE_UNKNOWN_ROOM, "%s was deleted by its owner.", o->shown);
        }
        if (o->tracker == CODE_RATE_LIMITED)
                return chat_error(
                        error, CODE_RATE_LIMITED, "The tracker limits look-ups: try again later.");
        if (o->tracker == CODE_TRACKER_UNREACHABLE && !account_is_lan_only(c->parts.account))
                return chat_error(error, CODE_TRACKER_UNREACHABLE,
                        "No tracker could say which room %s is: %s.", o->shown,
                        directory_error(c->parts.directory));
        return chat_error(error, CODE_UNKNOWN_ROOM,
                "Nobody who could be asked knows a room called %s: chatc create makes one.",
                o->shown);
}

/* All that could be asked have answered. A room that is known here is the one that is meant; one
 * that was left or ended, only if the name means no other now. */
static int decide(RoomOp *o, ChatError *error) {
        bool in = o->known && o->row.status != ROOM_DELETED;
        Offer *f;

        if (in &&
                (o->row.status == ROOM_JOINING || o->row.status == ROOM_INVITED ||
                        o->text.suffix[0])) {
                f = offer_have(o, o->row.id);
                add_inviter(o, f);
                return join(o, f, error);
        }
        if (in) {
                f = offer_find(o, o->row.id);
                if (!f || o->n_offers > 1)
                        return ambiguous_error(o, error);
                return join(o, f, error);
        }
        if (o->n_offers > 1)
                return ambiguous_error(o, error);
        return o->n_offers == 1 ? join(o, &o->offers[0], error) : not_found(o, error);
}

/* Making */

static void on_published(void *userdata, Code code, const char *text) {
        RoomOp *o = userdata;
        RoomsError ignored = {};
        ChatError e;

        if (code != CODE_ROOM_EXISTS && code != CODE_TOO_MANY) {
                op_end(o, NULL); /* what trackers could not be told is told later */
                return;
        }
        (void)rooms_delete(o->chat->parts.rooms, o->number, &ignored);
        chat_error(&e, code, "%s", text && text[0] ? text : "A tracker refuses the room.");
        room_sentence(e.text, sizeof(e.text));
        op_end(o, &e);
}

static void on_created(void *userdata, int error) {
        RoomOp *o = userdata;
        Chat *c = o->chat;
        ChatError e;

        if (error < 0) {
                chat_storage_error(&e, error);
                op_end(o, &e);
                return;
        }
        if (o->access == ROOM_ACCESS_HIDDEN || !directory_is_connected(c->parts.directory) ||
                room_publish(c, o->number, on_published, o) <= 0)
                op_end(o, NULL);
}

static int room_exists_error(const RoomOp *o, ChatError *error) {
        return chat_error(error, CODE_ROOM_EXISTS,
                "There is a room called #%s: chatc join joins it, or choose another name.",
                o->text.name);
}

static int create(RoomOp *o, ChatError *error) {
        Chat *c = o->chat;
        RoomsError e = {};
        RoomRow row;
        int r;

        r = rooms_create(c->parts.rooms,
                &(RoomsCreate){.name = o->text.name,
                        .access = o->access,
                        .history = o->history,
                        .topic = o->topic},
                &o->number, &e);
        r = room_error(r, &e, error);
        if (r < 0)
                return r;
        r = room_get(store_write(c->parts.store), o->number, &row);
        if (r > 0) {
                memcpy(o->id, row.id, SHA256_SIZE);
                r = store_after_commit(c->parts.store, on_created, o);
        }
        if (r < 0) {
                chat_storage_error(error, r);
                return -ECANCELED;
        }
        return 0;
}

/* Asking, for both */

static void settle(RoomOp *o) {
        ChatError e;
        int r;

        r = chat_require_login(o->chat, &e); /* that may be over meanwhile */
        if (r >= 0 && !o->create)
                r = decide(o, &e);
        else if (r >= 0)
                r = o->n_offers > 0 ? room_exists_error(o, &e) : create(o, &e);
        if (r < 0)
                op_end(o, &e);
}

static void on_offer(void *userdata, const RoomsOffer *f) {
        RoomOp *o = userdata;
        Offer *mine;

        if (!f) {
                settle(o);
                return;
        }
        if (!streq(f->name, o->text.name) || !room_text_fits(&o->text, f->id))
                return;
        mine = offer_find(o, f->id);
        offer_add(o, mine, f->from);
        offer_add(o, mine, f->owner);
}

static void ask_others(RoomOp *o) {
        if (room_ask(o->chat, o->text.name, on_offer, o) < 0)
                settle(o);
}

/* A tracker's word on which room has the name is not disputed by neighbours. */
static void on_lookup(
        void *userdata, Code code, const char *text, const DirectoryRoomFound *found) {
        RoomOp *o = userdata;
        const RoomRecord *record = found ? found->record : NULL;
        Offer *f;

        o->tracker = code;
        if (o->create && code == CODE_UNKNOWN_ROOM) {
                settle(o);
                return;
        }
        if (code != CODE_OK || record->deleted || !room_text_fits(&o->text, record->room)) {
                if (record && record->deleted && o->known &&
                        memcmp(record->room, o->row.id, SHA256_SIZE) == 0)
                        o->row.status = ROOM_DELETED;
                ask_others(o);
                return;
        }
        f = offer_find(o, record->room);
        for (size_t i = 0; i < found->n_online; i++)
                offer_add(o, f, found->online[i]);
        offer_add(o, f, record->owner);
        settle(o);
}

/* A room that is known here is asked for by its id: that finds it whoever has the name. */
static void ask_tracker(RoomOp *o) {
        Chat *c = o->chat;
        bool by_id = o->known && !o->create &&
                (o->row.status == ROOM_JOINING || o->row.status == ROOM_INVITED ||
                        o->text.suffix[0]);
        int r;

        r = directory_room_lookup(c->parts.directory, by_id ? NULL : o->text.name,
                by_id ? o->row.id : NULL, NULL, on_lookup, o);
        if (r >= 0)
                return;
        o->tracker = CODE_TRACKER_UNREACHABLE;
        ask_others(o);
}

void chat_join_room(Chat *c, const char *room, ChatIdFn fn, void *userdata) {
        ChatError e;
        RoomOp *o;

        if (op_new(c, room, fn, userdata, &o, &e) < 0) {
                fn(userdata, &e, NULL);
                return;
        }
        if (o->known && o->row.status == ROOM_JOINED) {
                memcpy(o->id, o->row.id, SHA256_SIZE);
                op_end(o, NULL);
                return;
        }
        ask_tracker(o);
}

static int read_create(RoomOp *o, const ChatCreateRoom *args, ChatError *error) {
        const char *access = args->access ?: "open", *history = args->history ?: "all";

        for (RoomAccess a = ROOM_ACCESS_OPEN; a < _ROOM_ACCESS_MAX; a++)
                if (streq(access, room_access_name(a)))
                        o->access = a;
        if (o->access == ROOM_ACCESS_NONE)
                return chat_error(error, CODE_INVALID_ARGS,
                        "access is open, private or hidden, not %.40s.", access);
        for (RoomHistory h = ROOM_HISTORY_ALL; h < _ROOM_HISTORY_MAX; h++)
                if (streq(history, room_history_name(h)))
                        o->history = h;
        if (o->history == ROOM_HISTORY_NONE)
                return chat_error(
                        error, CODE_INVALID_ARGS, "history is all or joined, not %.40s.", history);
        if (o->text.suffix[0])
                return chat_error(error, CODE_BAD_NAME,
                        "What follows the ~ is given by the room itself: leave it out.");
        if (o->known && (o->row.status == ROOM_JOINED || o->row.status == ROOM_JOINING))
                return room_exists_error(o, error);
        if (!args->topic)
                return 0;
        if (room_check_topic(args->topic, error) < 0)
                return -ECANCELED;
        snprintf(o->topic, sizeof(o->topic), "%s", args->topic);
        return 0;
}

void chat_create_room(Chat *c, const ChatCreateRoom *args, ChatIdFn fn, void *userdata) {
        ChatError e;
        RoomOp *o;

        if (op_new(c, args->room, fn, userdata, &o, &e) < 0) {
                fn(userdata, &e, NULL);
                return;
        }
        o->create = true;
        if (read_create(o, args, &e) < 0)
                op_end(o, &e);
        else if (o->access == ROOM_ACCESS_HIDDEN)
                settle(o); /* nobody is to hear of it, by a question either */
        else
                ask_tracker(o);
}
