/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the files of node/ share. One subject a file: sessions (node-client.c), HELLO
 * (node-hello.c), people in memory (node-person.c), presence and last-seen (node-presence.c),
 * watching (node-watch.c), claims and records (node-register.c), LOOKUP (node-lookup.c),
 * LIST_PEERS (node-list.c), what a recipient of mail asks (node-mail.c), what a sender asks
 * (node-mail-deposit.c), rooms (node-room.h), accounts with a password (node-account.h), and what
 * is charged to addresses (node-prefix.c). Where an account ends: node-delete.c.
 */

#include <utlist.h>

#include "net/keepalive.h"
#include "node/key-hash.h"
#include "node/node.h"
#include "util/quota.h"
#include "util/table.h"
#include "wire/hello.h"
#include "wire/mailbox.h"
#include "wire/room-directory.h"
#include "wire/tracker.h"

/* Of one session. Over FRAMES or BYTES it is not read until it has room again; what it asks beyond
 * the others is refused. */
#define CLIENT_FRAMES 2000
#define CLIENT_BYTES (8 * 1024 * 1024)
#define CLIENT_QUOTA_INTERVAL (10 * USEC_PER_SEC)
#define CLIENT_REQUESTS_MAX 64
#define CLIENT_WATCHES_MAX 10000

/* Signatures on tokens are looked at as often as each watched account needs it once. */
#define CLIENT_TOKENS CLIENT_WATCHES_MAX
#define CLIENT_TOKENS_INTERVAL (100 * USEC_PER_SEC)

/* Of all sessions together: about 300 bytes each. */
#define NODE_WATCHES_MAX (4 * 1024 * 1024)

/* Addresses to which something is charged. */
#define NODE_PREFIXES_MAX 65536

/* What sessions without a certificate ask about mail, of one address in an hour. */
#define ANONYMOUS_MAIL_PER_HOUR 1000

/* Of a mailbox: what strangers have in it together, and who shows a token. */
#define MAIL_STRANGERS_ITEMS UINT64_C(32)
#define MAIL_STRANGERS_BYTES(all) ((all) / 8)
#define MAIL_CONTACT_SHARE(all) (((all) + 3) / 4)

/* A sender's clock may be ahead. */
#define MAIL_AHEAD USEC_PER_HOUR
_Static_assert(MAIL_LIFETIME_MAX + MAIL_AHEAD < DSTORE_TOMBSTONE_TIME, "nothing comes back");

/* A recipient hears that there is mail as often, at most. */
#define MAIL_TOLD_INTERVAL USEC_PER_SEC

/* Items that are over go in steps of so many, all that end in a minute together. */
#define MAIL_EXPIRE_BUDGET 100
#define MAIL_EXPIRE_DELAY USEC_PER_MINUTE

/* A last-seen time is on disk this much later, with all the others of that time in one commit. */
#define SEEN_DELAY USEC_PER_MINUTE
#define SEEN_AT_ONCE 1000

/* Who changes more often than this is shown to watchers as he is a moment later. */
#define CHANGES_BURST 4
#define CHANGES_INTERVAL (4 * USEC_PER_SEC)
#define CHANGES_HOLD USEC_PER_SEC

/* After a start, for so many heartbeats, who is not back yet does not count as offline. */
#define SETTLE_HEARTBEATS 3

/* Rooms that a session has entered, and all of them together: a seat is about 300 bytes, a room
 * that somebody has entered about 400. */
#define CLIENT_ROOMS_MAX 1000
#define NODE_SEATS_MAX (1024 * 1024)

/* Rooms that an account has published here and that still hold: 4 KB on disk. */
#define OWNED_ROOMS_MAX 100

/* Whose session has ended may be back within this, and nobody hears of it. */
#define SEAT_HOLD (2 * USEC_PER_SEC)

typedef struct Person Person;
typedef struct Room Room;
typedef struct Seat Seat;
typedef struct Client Client;
typedef struct ClientRequest ClientRequest;
typedef struct Watcher Watcher;
typedef struct Prefix Prefix;
typedef struct NodeAccounts NodeAccounts;
typedef struct LoginTry LoginTry;

typedef struct OnlineSlot {
        uint64_t serial;
        Person *person; /* NULL: gone */
} OnlineSlot;

struct Node {
        Net *net;
        Loop *loop;
        DStore *store;
        const NodeLimits *limits;
        uint8_t key[KEY_SIZE];
        TlsIdentity *tls;
        uint8_t boot_nonce[BOOT_NONCE_SIZE];
        KeyHash hash;
        NodeStats stats;

        Client *clients;
        Person *people;
        Watcher *watchers;
        size_t n_watchers;
        Client *pushing; /* with something to push */
        LoopDefer *push; /* once per turn of the loop */
        Person *held; /* who changed too often, in the order of their times */
        LoopTimer *hold;
        LoopTimer *settle; /* the end of the time after the start */
        bool settled;

        Person *unsaved; /* whose last-seen time is newer than on disk */
        LoopTimer *save;

        Client *mailing; /* who will hear that there is mail, in the order of their times */
        LoopTimer *mail_tell;
        LoopTimer *mail_expire;
        uint64_t mail_next; /* realtime, when the next item ends; 0: there is none */

        OnlineSlot *online; /* in order of their serials; some may be gone */
        size_t n_online_slots, allocated_online_slots;
        uint64_t online_serial;

        Prefix *prefixes;

        Room *rooms; /* that somebody has entered */
        Seat *seats;
        size_t n_seats;
        Room *rooms_due; /* with something to push */
        Room *rooms_held; /* which change too often, in the order of their times */
        Seat *leaving; /* whose session has ended, in the order of their times */
        LoopTimer *room_timer;

        NodeAccounts *accounts; /* NULL: no passwords are kept */

        const NodeCallbacks *callbacks; /* NULL: nobody hears */
        void *userdata;
        int store_errors[_NODE_STORE_USE_MAX]; /* as they were told last */
        bool store_damaged; /* and told */
};

/* Somebody of interest: has a session, is watched, or left a moment ago. */
struct Person {
        Node *node;
        uint8_t key[KEY_SIZE];
        unsigned refs;
        DStoreWatch *watch;

        /* What the newest record says. */
        bool registered, listed;
        Visibility audience; /* of its presence */
        uint64_t epoch;
        uint8_t device[KEY_SIZE];

        Client *client; /* that speaks for it */
        uint8_t *presence; /* as it was signed; NULL: not online */
        size_t presence_size;
        size_t online_slot;
        usec_t last_seen; /* realtime */
        bool is_unsaved;
        Person *unsaved_prev, *unsaved_next;
        Watcher *watchers;
        unsigned n_watchers;
        Quota changes; /* told to watchers */
        unsigned held; /* PUSH_…, until `held_until` */
        usec_t held_until;
        Person *held_prev, *held_next;
        UT_hash_handle hh;
};

typedef enum ClientState {
        CLIENT_CONNECTED, /* HELLO has not come yet */
        CLIENT_CHECKING, /* it has, and the store is asked */
        CLIENT_OPEN,
} ClientState;

struct Client {
        Node *node;
        Conn *conn;
        ClientState state;
        LoopTimer *timer; /* until HELLO its deadline, then the keep-alive */
        Keepalive keepalive;
        Quota pings, tokens;
        uint8_t key[KEY_SIZE]; /* the device's, proved by TLS */
        uint32_t heartbeat; /* s, of the client's HELLO */
        Person *person; /* NULL: it did not say who it is */
        uint64_t epoch;
        uint8_t *record; /* of HELLO, until the store has it or a newer one */
        size_t record_size;
        ClientRequest *requests;
        unsigned n_requests;
        Watcher *watchers;
        unsigned n_watchers;
        Watcher *pushes;
        bool is_pushing;
        Client *pushing_prev, *pushing_next;
        Seat *seats;
        unsigned n_seats;
        LoginTry *login; /* a password that was evaluated; NULL: none waits */
        usec_t proven; /* when that of the session's account was last proven; 0: never */
        uint64_t proven_key; /* the id of its key */
        bool rooms_behind; /* some of them have not been told all: when the output has drained */
        usec_t mail_told; /* the last MAIL_WAITING */
        usec_t mail_due; /* the next one; 0: none */
        Client *mailing_prev, *mailing_next;
        Client *prev, *next;
};

/* A request that waits for the store. First member of what the request needs besides. */
struct ClientRequest {
        Client *client;
        uint64_t id; /* 0: nobody waits for an answer */
        void (*clear)(ClientRequest *rq); /* frees what it holds; may be NULL */
        ClientRequest *prev, *next;
};

static inline Bytes client_record(const Client *c) {
        return (Bytes){.data = c->record, .size = c->record_size};
}

static inline Bytes person_presence(const Person *a) {
        return (Bytes){.data = a->presence, .size = a->presence_size};
}

/* Who asks about somebody. */
typedef enum Viewer {
        VIEWER_ANYBODY,
        VIEWER_CONTACT,
        VIEWER_SELF, /* a device of the account, which was replaced */
} Viewer;

/* A contact, or somebody else, may know whether it is online, and when it was. */
static inline bool is_audience(Visibility audience, Viewer v) {
        return audience == VISIBLE_ALL || v == VIEWER_SELF ||
                (audience == VISIBLE_CONTACTS && v == VIEWER_CONTACT);
}

/* Online as far as those may know. */
static inline bool person_is_shown(const Person *a, Viewer v) {
        return a->presence && a->registered && is_audience(a->audience, v);
}

/* Sessions. After client_bye() and client_free() there is no session any more. */
void client_new(Node *n, Transport *t);
Client *client_free(Client *c);
void client_bye(Client *c, Code code, const char *text, Bytes record);
void client_opened(Client *c);

/* The end of each encoder: R is what it returned. */
void client_queued(Client *c, int r);

/* The store has the record of its HELLO, or a newer one. */
void client_drop_record(Client *c);

/* Answers; none where the id is 0. */
void client_ok(Client *c, uint64_t id);
void client_error(Client *c, uint64_t id, Code code, const char *text, uint64_t retry_after);

/* For a frame that is in canonical form but not what its type says. */
void client_malformed(Client *c);

/* SIZE is that of the struct that begins with ClientRequest. NULL: refused, with an answer. */
void *client_request_new(Client *c, uint64_t id, size_t size);
void client_request_free(ClientRequest *rq);

/* Answer and free. */
void client_request_ok(ClientRequest *rq);
void client_request_error(ClientRequest *rq, Code code, const char *text, uint64_t retry_after);

/* HELLO */
void client_hello(Client *c, Frame *f);

/* The newest record of an account beats this session's device. */
bool node_device_is_older(uint64_t epoch, const uint8_t device[static KEY_SIZE],
        uint64_t newest_epoch, const uint8_t newest_device[static KEY_SIZE]);
void client_replace(Client *c, Bytes record);

/* Accounts. person_get() makes one and takes a reference. */
int person_get(Node *n, const uint8_t key[static KEY_SIZE], Person **ret);
Person *person_find(Node *n, const uint8_t key[static KEY_SIZE]);
Person *person_unref(Person *a);

/* REC is what the store has of A: news where it could not be read when A was made. */
void person_learn(Person *a, const Record *rec);

/* The store has nothing of A any more. */
void person_forget(Person *a);

/* Presence */
int person_online(Person *a, uint8_t *presence, size_t size); /* takes the memory */
void person_offline(Person *a);
void node_save_seen(Node *n, bool all);
size_t node_online_find(const Node *n, uint64_t serial);
int node_seen_decode(Bytes blob, usec_t *ret);

/* Watching */
enum {
        PUSH_RECORD = 1,
        PUSH_PRESENCE = 2,
};

void client_watch(Client *c, Frame *f);
void person_changed(Person *a, unsigned what);
void client_unwatch(Client *c);
void node_settle(Node *n);
void node_push(Node *n);
void node_push_held(Node *n, bool all);
void client_drained(Client *c);

/* What the store has answered. */
void node_store_told(Node *n, NodeStoreUse use, int error);

/* After a write. KEPT: something new was. Where nothing was, going well proves no room. */
void node_write_told(Node *n, int error, bool kept);

/* The record that a read has found: 1, 0 where there is none, or an error. Whoever runs the node
 * hears of that. */
int node_record_read(Node *n, int error, Bytes blob, Record *ret);

/* Claims and records */
void client_register(Client *c, Frame *f);
void client_publish(Client *c, Frame *f);
void client_refresh(Client *c); /* with the record of its HELLO */

/* Addresses */
typedef enum Charge {
        CHARGE_CLAIM,
        CHARGE_MAIL,
        CHARGE_ROOM,
        CHARGE_ACCOUNT,
        _CHARGE_MAX,
} Charge;

/* One unit of WHAT, to the address that the session comes from. PER_HOUR 0: no limit. */
bool client_charge_address(Client *c, Charge what, unsigned per_hour);
void node_prefixes_free(Node *n);

/* Whether TOKEN is ACCOUNT's word that this client is a contact of his, or another device of his
 * own, and until when (realtime). A Viewer, or -EBUSY: it has shown too many of them. */
int client_check_token(
        Client *c, Bytes token, const uint8_t account[static KEY_SIZE], usec_t *ret_until);

/* Reading */
void client_lookup(Client *c, Frame *f);
void client_list(Client *c, Frame *f);

/* Mail */
void client_collect(Client *c, Frame *f);
void client_collected(Client *c, Frame *f);
void client_tell_mail(Client *c); /* if there is any */
void client_forget_mail(Client *c);
void node_tell_mail(Node *n); /* whoever is to hear of it by now */
void node_expire_mail(Node *n);
void node_mail_added(Node *n, const uint8_t account[static KEY_SIZE], uint64_t expires);
void node_count_mail(Node *n);
void client_deposit(Client *c, Frame *f);
void client_mail_status(Client *c, Frame *f);
void client_withdraw(Client *c, Frame *f);

/* Rooms */
void client_room_publish(Client *c, Frame *f);
void client_room_lookup(Client *c, Frame *f);
void client_room_list(Client *c, Frame *f);
void client_leave_rooms(Client *c); /* it ends */
void client_rooms_drained(Client *c);
void node_push_rooms(Node *n);
void node_on_room_timer(Node *n);
void node_rooms_free(Node *n);

/* Accounts */
void client_oprf(Client *c, Frame *f);
void client_login(Client *c, Frame *f);
void client_account(Client *c, Frame *f);
void node_accounts_free(Node *n);

/* The account of this session was deleted. */
#define TEXT_DELETED "this account was deleted"

/* As node_record_read(). */
int node_room_read(Node *n, int error, Bytes blob, RoomRecord *ret);
