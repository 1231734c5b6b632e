/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Which rooms have an object of their own, and what is new about them. */

#include "chat/room.h"

typedef enum Property {
        PROPERTY_ROOM,
        PROPERTY_TOPIC,
        PROPERTY_OWNER,
        PROPERTY_MEMBERS,
        PROPERTY_ONLINE,
        PROPERTY_ACCESS,
        PROPERTY_JOINED,
        _PROPERTY_MAX,
} Property;

/* What was told of each property, as a digest: it is only compared with the next one. */
struct RoomObject {
        uint8_t id[SHA256_SIZE];
        uint32_t number;
        bool told;
        uint64_t digest[_PROPERTY_MAX];
        UT_hash_handle hh;
};

static RoomObject *object_find(Chat *c, const uint8_t *id) {
        RoomObject *o;

        HASH_FIND(hh, c->room_objects, id, SHA256_SIZE, o);
        return o;
}

static RoomObject *object_find_text(Chat *c, const char *text) {
        uint8_t id[SHA256_SIZE];

        return base32_decode_key(text, strlen(text), id) < 0 ? NULL : object_find(c, id);
}

static void object_tell(Chat *c, const uint8_t *id, ChatObjectChange change) {
        char text[BASE32_KEY_SIZE + 1];

        base32_encode_key(id, text);
        for (size_t i = 0; i < c->n_listeners; i++)
                if (c->listeners[i].listener->room_object_changed)
                        c->listeners[i].listener->room_object_changed(
                                c->listeners[i].userdata, text, change);
}

static void object_add(Chat *c, const uint8_t *id, uint32_t number) {
        RoomObject *o = calloc(1, sizeof(*o));

        if (!o)
                return;
        memcpy(o->id, id, SHA256_SIZE);
        o->number = number;
        HASH_ADD(hh, c->room_objects, id, SHA256_SIZE, o);
        if (TABLE_HAS(o))
                object_tell(c, id, CHAT_OBJECT_ADDED);
        else
                free(o);
}

static bool is_shown(RoomStatus s) {
        return s == ROOM_JOINED || s == ROOM_JOINING || s == ROOM_INVITED;
}

static void object_follow(Chat *c, const RoomRow *row) {
        RoomObject *o = object_find(c, row->id);

        if (!o && is_shown(row->status))
                object_add(c, row->id, row->number);
        else if (o && is_shown(row->status))
                object_tell(c, row->id, CHAT_OBJECT_CHANGED);
        else if (o) {
                HASH_DEL(c->room_objects, o);
                object_tell(c, row->id, CHAT_OBJECT_REMOVED);
                free(o);
                room_told_forget(c, row->number);
        }
}

void room_objects_follow(Chat *c, DbTxn *txn, uint32_t number) {
        RoomRow row;

        if (chat_is_readable(c) && room_get(txn, number, &row) > 0)
                object_follow(c, &row);
}

void room_objects_change(Chat *c, uint32_t number) {
        DbTxn *txn;

        if (store_read_begin(c->parts.store, &txn) < 0)
                return;
        room_objects_follow(c, txn, number);
        store_read_end(txn);
}

static bool on_room(void *userdata, DbTxn *txn, const RoomRow *row) {
        object_follow(userdata, row);
        return true;
}

void room_objects_start(Chat *c) {
        DbTxn *txn;

        if (store_read_begin(c->parts.store, &txn) < 0)
                return;
        (void)room_each(txn, on_room, c);
        store_read_end(txn);
}

void room_objects_clear(Chat *c) {
        RoomObject *o, *tmp;

        HASH_ITER (hh, c->room_objects, o, tmp) {
                HASH_DEL(c->room_objects, o);
                object_tell(c, o->id, CHAT_OBJECT_REMOVED);
                free(o);
        }
        c->room_view = mfree(c->room_view);
}

/* Asking */

static const ChatRoom *object_view(Chat *c, const RoomObject *o) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        _cleanup_(freep) RoomView *v = malloc(sizeof(*v));

        if (!c->room_view)
                c->room_view = malloc(sizeof(*c->room_view));
        if (!v || !c->room_view || store_read_begin(c->parts.store, &txn) < 0 ||
                rooms_view(c->parts.rooms, txn, o->number, v) <= 0)
                return NULL;
        room_show(c, txn, v, c->room_view);
        return &c->room_view->room;
}

const ChatRoom *chat_get_room(Chat *c, const char *id) {
        const RoomObject *o = object_find_text(c, id);

        return o ? object_view(c, o) : NULL;
}

void chat_each_room(Chat *c, ChatObjectFn fn, void *userdata) {
        char text[BASE32_KEY_SIZE + 1];
        RoomObject *o, *tmp;

        HASH_ITER (hh, c->room_objects, o, tmp)
                if (!fn(userdata, base32_encode_key(o->id, text)))
                        return;
}

static uint64_t digest_of(const ChatRoom *r, Property property) {
        switch (property) {
        case PROPERTY_ROOM:
                return digest_string(r->room);
        case PROPERTY_TOPIC:
                return digest_string(r->topic);
        case PROPERTY_OWNER:
                return digest_string(r->owner);
        case PROPERTY_MEMBERS:
                return r->members;
        case PROPERTY_ONLINE:
                return r->online;
        case PROPERTY_ACCESS:
                return digest_string(r->access);
        default:
                return r->joined;
        }
}

size_t chat_room_news(
        Chat *c, const char *id, const char *ret_names[static CHAT_ROOM_NEWS_MAX + 1]) {
        static const char *const names[] = {
                [PROPERTY_ROOM] = "Room",
                [PROPERTY_TOPIC] = "Topic",
                [PROPERTY_OWNER] = "Owner",
                [PROPERTY_MEMBERS] = "Members",
                [PROPERTY_ONLINE] = "Online",
                [PROPERTY_ACCESS] = "Access",
                [PROPERTY_JOINED] = "Joined",
        };
        RoomObject *o = object_find_text(c, id);
        const ChatRoom *r = o ? object_view(c, o) : NULL;
        size_t n = 0;

        _Static_assert(_PROPERTY_MAX <= CHAT_ROOM_NEWS_MAX, "all may be news");
        for (size_t i = 0; r && i < _PROPERTY_MAX; i++) {
                uint64_t digest = digest_of(r, i);

                if (!o->told || digest != o->digest[i])
                        ret_names[n++] = names[i];
                o->digest[i] = digest;
        }
        if (r)
                o->told = true;
        ret_names[n] = NULL;
        return n;
}
