/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Which people have an object of their own, and what is new about them. */

#include "chat/private.h"

typedef enum Property {
        PROPERTY_NAME,
        PROPERTY_PRESENCE,
        PROPERTY_NOTE,
        PROPERTY_LAST_SEEN,
        PROPERTY_ENDPOINTS,
        PROPERTY_VIA,
        PROPERTY_VERIFIED,
        PROPERTY_BLOCKED,
        PROPERTY_CONTACT,
        PROPERTY_KEY_CHANGED,
        _PROPERTY_MAX,
} Property;

/* What was told of each property, as a digest: it is only compared with the next one. */
struct Object {
        uint8_t account[KEY_SIZE];
        bool request, told;
        uint64_t digest[_PROPERTY_MAX];
        UT_hash_handle hh;
};

static Object *object_find(Chat *c, const uint8_t *account) {
        Object *o;

        HASH_FIND(hh, c->objects, account, KEY_SIZE, o);
        return o;
}

static void object_tell(Chat *c, const uint8_t *account, ChatObjectChange change) {
        char text[BASE32_KEY_SIZE + 1];

        base32_encode_key(account, text);
        for (size_t i = 0; i < c->n_listeners; i++)
                c->listeners[i].listener->object_changed(c->listeners[i].userdata, text, change);
}

/* NULL: there is one, or it is one of too many. */
static Object *object_new(Chat *c, const Contact *k) {
        bool request = !(k->flags & CONTACT_PINNED);
        Object *o;

        if ((request && c->n_request_objects >= CHAT_REQUEST_OBJECTS_MAX) ||
                object_find(c, k->account))
                return NULL;
        o = calloc(1, sizeof(*o));
        if (!o)
                return NULL;
        memcpy(o->account, k->account, KEY_SIZE);
        o->request = request;
        HASH_ADD(hh, c->objects, account, KEY_SIZE, o);
        if (!TABLE_HAS(o))
                return mfree(o);
        c->n_request_objects += request;
        return o;
}

void objects_add(Chat *c, const Contact *k) {
        if (k->flags & (CONTACT_PINNED | CONTACT_REQUEST) && object_new(c, k))
                object_tell(c, k->account, CHAT_OBJECT_ADDED);
}

void objects_change(Chat *c, const uint8_t *account) {
        if (object_find(c, account))
                object_tell(c, account, CHAT_OBJECT_CHANGED);
}

void objects_follow(Chat *c, const Contact *k) {
        bool contact = k->flags & CONTACT_PINNED;
        Object *o = object_find(c, k->account);

        if (!chat_is_readable(c))
                return;
        if (!o) {
                objects_add(c, k);
                return;
        }
        c->n_request_objects -= o->request;
        o->request = !contact;
        c->n_request_objects += o->request;
        if (contact || k->flags & CONTACT_REQUEST) {
                objects_change(c, k->account);
                return;
        }
        c->n_request_objects -= o->request;
        HASH_DEL(c->objects, o);
        object_tell(c, k->account, CHAT_OBJECT_REMOVED);
        free(o);
}

void objects_written_to(Chat *c, const uint8_t *account) {
        Object *o = object_find(c, account);
        DbTxn *txn;
        Contact k;

        if ((o && !o->request) || store_read_begin(c->parts.store, &txn) < 0)
                return;
        if (contact_get(txn, account, &k) > 0)
                objects_follow(c, &k);
        store_read_end(txn);
}

void objects_clear(Chat *c) {
        Object *o, *tmp;

        HASH_ITER (hh, c->objects, o, tmp) {
                HASH_DEL(c->objects, o);
                object_tell(c, o->account, CHAT_OBJECT_REMOVED);
                free(o);
        }
        c->n_request_objects = 0;
}

/* Asking */

static Object *object_find_text(Chat *c, const char *text) {
        uint8_t account[KEY_SIZE];

        return base32_decode_key(text, strlen(text), account) < 0 ? NULL : object_find(c, account);
}

const ChatPeer *chat_get_object(Chat *c, const char *account) {
        const Object *o = object_find_text(c, account);
        const ChatPeer *p = NULL;
        DbTxn *txn;
        Contact k;

        if (!o || store_read_begin(c->parts.store, &txn) < 0)
                return NULL;
        if (contact_get(txn, o->account, &k) > 0) {
                peer_view_contact(c, txn, &k, &c->object_view);
                p = &c->object_view.peer;
        }
        store_read_end(txn);
        return p;
}

void chat_each_object(Chat *c, ChatObjectFn fn, void *userdata) {
        char text[BASE32_KEY_SIZE + 1];
        Object *o, *tmp;

        HASH_ITER (hh, c->objects, o, tmp)
                if (!fn(userdata, base32_encode_key(o->account, text)))
                        return;
}

/* FNV-1a */
static uint64_t digest_add(uint64_t digest, const void *p, size_t n) {
        const uint8_t *b = p;

        for (size_t i = 0; i < n; i++)
                digest = (digest ^ b[i]) * UINT64_C(0x100000001b3);
        return digest;
}

#define DIGEST_EMPTY UINT64_C(0xcbf29ce484222325)

/* With the terminating zeros, so that no two lists look the same. */
uint64_t digest_strings(const char *const *list) {
        uint64_t digest = DIGEST_EMPTY;

        for (; list && *list; list++)
                digest = digest_add(digest, *list, strlen(*list) + 1);
        return digest;
}

uint64_t digest_string(const char *s) {
        return digest_strings((const char *const[]){s, NULL});
}

static uint64_t digest_of(const ChatPeer *p, Property property) {
        switch (property) {
        case PROPERTY_NAME:
                return digest_string(p->name);
        case PROPERTY_PRESENCE:
                return digest_string(p->presence);
        case PROPERTY_NOTE:
                return digest_string(p->note);
        case PROPERTY_LAST_SEEN:
                return p->last_seen;
        case PROPERTY_ENDPOINTS:
                return digest_strings(p->endpoints);
        case PROPERTY_VIA:
                return digest_strings(p->via);
        case PROPERTY_VERIFIED:
                return p->verified;
        case PROPERTY_BLOCKED:
                return p->blocked;
        case PROPERTY_KEY_CHANGED:
                return p->key_changed;
        default:
                return p->contact;
        }
}

size_t chat_object_news(
        Chat *c, const char *account, const char *ret_names[static CHAT_OBJECT_NEWS_MAX + 1]) {
        static const char *const names[] = {
                [PROPERTY_NAME] = "Name",
                [PROPERTY_PRESENCE] = "Presence",
                [PROPERTY_NOTE] = "Note",
                [PROPERTY_LAST_SEEN] = "LastSeen",
                [PROPERTY_ENDPOINTS] = "Endpoints",
                [PROPERTY_VIA] = "Via",
                [PROPERTY_VERIFIED] = "Verified",
                [PROPERTY_BLOCKED] = "Blocked",
                [PROPERTY_CONTACT] = "Contact",
                [PROPERTY_KEY_CHANGED] = "KeyChanged",
        };
        Object *o = object_find_text(c, account);
        const ChatPeer *p = o ? chat_get_object(c, account) : NULL;
        size_t n = 0;

        _Static_assert(_PROPERTY_MAX <= CHAT_OBJECT_NEWS_MAX, "all may be news");
        for (size_t i = 0; p && i < _PROPERTY_MAX; i++) {
                uint64_t digest = digest_of(p, i);

                if (!o->told || digest != o->digest[i])
                        ret_names[n++] = names[i];
                o->digest[i] = digest;
        }
        if (p)
                o->told = true;
        ret_names[n] = NULL;
        return n;
}
