/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * People and rooms as objects, /org/p2pchat/Chat1/peer/ACCOUNT and /room/ID, under the
 * ObjectManager above. Nothing is kept for them here: sd-bus asks what there is and what is known
 * of it when somebody wants to know. What has changed is collected for a moment: a storm is one
 * signal for each that changed.
 */

#include "bus/bus-internal.h"
#include "util/table.h"

#define CHANGES_DELAY (100 * USEC_PER_MSEC)
#define CHANGES_AT_ONCE 200 /* in one turn of the loop */

#define OBJECT_PATH_SIZE (STRLEN(BUS_PEER_PREFIX "/") + BUS_OBJECT_ID_SIZE)
#define NEWS_MAX CHAT_OBJECT_NEWS_MAX

_Static_assert(CHAT_ROOM_NEWS_MAX <= NEWS_MAX, "all may be news");

/* What chat knows of a kind of objects. */
typedef struct ObjectKind {
        const char *prefix, *interface;
        void (*each)(Chat *c, ChatObjectFn fn, void *userdata);
        size_t (*news)(Chat *c, const char *id, const char **ret_names);
} ObjectKind;

static size_t peer_news(Chat *c, const char *id, const char **ret_names) {
        return chat_object_news(c, id, ret_names);
}

static size_t room_news(Chat *c, const char *id, const char **ret_names) {
        return chat_room_news(c, id, ret_names);
}

static const ObjectKind peer_kind = {
        BUS_PEER_PREFIX, BUS_PEER_INTERFACE, chat_each_object, peer_news};
static const ObjectKind room_kind = {
        BUS_ROOM_PREFIX, BUS_ROOM_INTERFACE, chat_each_room, room_news};

/* Something of which clients have not been told the newest. */
struct BusChange {
        char path[OBJECT_PATH_SIZE];
        const ObjectKind *kind;
        bool existed, exists;
        UT_hash_handle hh;
};

/* sd-bus asks for the object first and for its properties right after. */
static int find_peer(sd_bus *connection, const char *path, const char *interface, void *userdata,
        void **ret_found, sd_bus_error *error) {
        const ChatPeer *p;
        Bus *b = userdata;

        if (!b || strncmp(path, BUS_PEER_PREFIX "/", STRLEN(BUS_PEER_PREFIX "/")) != 0)
                return 0;
        p = chat_get_object(b->chat, path + STRLEN(BUS_PEER_PREFIX "/"));
        if (!p)
                return 0;
        *ret_found = (void *)p;
        return 1;
}

static int find_room(sd_bus *connection, const char *path, const char *interface, void *userdata,
        void **ret_found, sd_bus_error *error) {
        const ChatRoom *r;
        Bus *b = userdata;

        if (!b || strncmp(path, BUS_ROOM_PREFIX "/", STRLEN(BUS_ROOM_PREFIX "/")) != 0)
                return 0;
        r = chat_get_room(b->chat, path + STRLEN(BUS_ROOM_PREFIX "/"));
        if (!r)
                return 0;
        *ret_found = (void *)r;
        return 1;
}

/* Changes */

static int emit_change(Bus *b, const BusChange *k) {
        /* What GetManagedObjects shows at the path, as sd-bus does for what it adds. */
        const char *const interfaces[] = {"org.freedesktop.DBus.Peer",
                "org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Properties",
                k->kind->interface, NULL};
        const char *names[NEWS_MAX + 1];
        size_t n;

        if (!k->exists)
                return k->existed ? sd_bus_emit_interfaces_removed_strv(
                                            b->connection, k->path, (char **)interfaces)
                                  : 0;
        n = k->kind->news(b->chat, k->path + strlen(k->kind->prefix) + 1, names);
        if (n == 0)
                return 0; /* it is as it was, or its row was not written after all */
        if (!k->existed)
                return sd_bus_emit_object_added(b->connection, k->path);
        return sd_bus_emit_properties_changed_strv(
                b->connection, k->path, k->kind->interface, (char **)names);
}

static void change_tell(Bus *b, BusChange *k) {
        HASH_DEL(b->changes, k);
        bus_sent(b, emit_change(b, k));
        free(k);
}

/* What is about to be seen in a list has been announced before. */
static void tell_added(Bus *b, const ObjectKind *kind) {
        BusChange *k, *tmp;

        HASH_ITER (hh, b->changes, k, tmp)
                if (!k->existed && k->kind == kind)
                        change_tell(b, k);
}

/* What there is */

typedef struct Nodes {
        const char *prefix;
        char **paths;
        size_t n, allocated;
        int r;
} Nodes;

static bool on_node(void *userdata, const char *id) {
        Nodes *l = userdata;

        if (l->n + 1 >= l->allocated) {
                size_t n = MAX(2 * l->allocated, (size_t)64);
                char **paths = reallocarray(l->paths, n, sizeof(*paths));

                if (!paths) {
                        l->r = -ENOMEM;
                        return false;
                }
                l->paths = paths;
                l->allocated = n;
        }
        if (asprintf(&l->paths[l->n], "%s/%s", l->prefix, id) < 0) {
                l->paths[l->n] = NULL;
                l->r = -ENOMEM;
                return false;
        }
        l->paths[++l->n] = NULL;
        return true;
}

static int enumerate(Bus *b, const ObjectKind *kind, char ***ret_nodes) {
        Nodes l = {.prefix = kind->prefix};

        if (b) {
                tell_added(b, kind);
                kind->each(b->chat, on_node, &l);
        }
        if (l.r < 0) {
                for (size_t i = 0; i < l.n; i++)
                        free(l.paths[i]);
                free(l.paths);
                return l.r;
        }
        *ret_nodes = l.paths;
        return 0;
}

static int enumerate_peers(sd_bus *connection, const char *prefix, void *userdata,
        char ***ret_nodes, sd_bus_error *error) {
        return enumerate(userdata, &peer_kind, ret_nodes);
}

static int enumerate_rooms(sd_bus *connection, const char *prefix, void *userdata,
        char ***ret_nodes, sd_bus_error *error) {
        return enumerate(userdata, &room_kind, ret_nodes);
}

/* A bool is a byte, and sd-bus reads an int. */
static int property_get_flag(sd_bus *connection, const char *path, const char *interface,
        const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "b", *(const bool *)userdata);
}

#define PEER_PROPERTY(member, signature, get, field)                                               \
        SD_BUS_PROPERTY(member, signature, get, offsetof(ChatPeer, field),                         \
                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

static const sd_bus_vtable peer_vtable[] = {
        SD_BUS_VTABLE_START(0),
        PEER_PROPERTY("Name", "s", NULL, name),
        SD_BUS_PROPERTY(
                "Account", "s", NULL, offsetof(ChatPeer, account), SD_BUS_VTABLE_PROPERTY_CONST),
        PEER_PROPERTY("Presence", "s", NULL, presence),
        PEER_PROPERTY("Note", "s", NULL, note),
        PEER_PROPERTY("LastSeen", "t", NULL, last_seen),
        PEER_PROPERTY("Endpoints", "as", NULL, endpoints),
        PEER_PROPERTY("Via", "as", NULL, via),
        PEER_PROPERTY("Verified", "b", property_get_flag, verified),
        PEER_PROPERTY("Blocked", "b", property_get_flag, blocked),
        PEER_PROPERTY("Contact", "b", property_get_flag, contact),
        PEER_PROPERTY("KeyChanged", "b", property_get_flag, key_changed),
        SD_BUS_VTABLE_END,
};

#define ROOM_PROPERTY(member, signature, get, field)                                               \
        SD_BUS_PROPERTY(member, signature, get, offsetof(ChatRoom, field),                         \
                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

static const sd_bus_vtable room_vtable[] = {
        SD_BUS_VTABLE_START(0),
        ROOM_PROPERTY("Room", "s", NULL, room),
        SD_BUS_PROPERTY("RoomId", "s", NULL, offsetof(ChatRoom, id), SD_BUS_VTABLE_PROPERTY_CONST),
        ROOM_PROPERTY("Topic", "s", NULL, topic),
        ROOM_PROPERTY("Owner", "s", NULL, owner),
        ROOM_PROPERTY("Members", "u", NULL, members),
        ROOM_PROPERTY("Online", "u", NULL, online),
        ROOM_PROPERTY("Access", "s", NULL, access),
        ROOM_PROPERTY("Joined", "b", property_get_flag, joined),
        SD_BUS_VTABLE_END,
};

int bus_add_objects(sd_bus *connection, Bus *b, sd_bus_slot *ret_slots[static BUS_OBJECT_SLOTS]) {
        int r;

        r = sd_bus_add_object_manager(connection, &ret_slots[0], BUS_PATH);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(connection, &ret_slots[1], BUS_PEER_PREFIX,
                        BUS_PEER_INTERFACE, peer_vtable, find_peer, b);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(
                        connection, &ret_slots[2], BUS_PEER_PREFIX, enumerate_peers, b);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(connection, &ret_slots[3], BUS_ROOM_PREFIX,
                        BUS_ROOM_INTERFACE, room_vtable, find_room, b);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(
                        connection, &ret_slots[4], BUS_ROOM_PREFIX, enumerate_rooms, b);
        return r < 0 ? r : 0;
}

void bus_on_changes_timer(void *userdata) {
        Bus *b = userdata;

        for (unsigned i = 0; b->changes && i < CHANGES_AT_ONCE; i++)
                change_tell(b, b->changes); /* the oldest */
        if (b->changes)
                loop_timer_set(b->changes_timer, loop_now(b->loop));
}

static void note_change(Bus *b, const ObjectKind *kind, const char *id, ChatObjectChange change) {
        char path[OBJECT_PATH_SIZE];
        BusChange *k;

        snprintf(path, sizeof(path), "%s/%s", kind->prefix, id);
        HASH_FIND_STR(b->changes, path, k);
        if (!k) {
                k = calloc(1, sizeof(*k));
                if (!k)
                        return;
                memcpy(k->path, path, sizeof(path));
                k->kind = kind;
                k->existed = change != CHAT_OBJECT_ADDED;
                if (!b->changes)
                        loop_timer_set(b->changes_timer, loop_now(b->loop) + CHANGES_DELAY);
                HASH_ADD_STR(b->changes, path, k);
                if (!TABLE_HAS(k)) {
                        free(k);
                        return;
                }
        }
        k->exists = change != CHAT_OBJECT_REMOVED;
}

void bus_on_object_changed(void *userdata, const char *account, ChatObjectChange change) {
        note_change(userdata, &peer_kind, account, change);
}

void bus_on_room_object_changed(void *userdata, const char *id, ChatObjectChange change) {
        note_change(userdata, &room_kind, id, change);
}

void bus_forget_changes(Bus *b) {
        BusChange *k, *tmp;

        HASH_ITER (hh, b->changes, k, tmp) {
                HASH_DEL(b->changes, k);
                free(k);
        }
        loop_timer_set(b->changes_timer, USEC_INFINITY);
}
