/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of bus/ share: the object, open calls, options, and answers being written. */

#include <systemd/sd-bus.h>

#include "bus/bus.h"
#include "chat/chat.h"
#include "util/loop.h"

typedef struct BusClient BusClient;
typedef struct BusOp BusOp;
typedef struct BusChange BusChange;

struct Bus {
        sd_bus *connection;
        Chat *chat;

        sd_bus_slot **slots; /* of the vtables and the objects */
        sd_bus_slot *filter;
        LoopDefer *drain;
        BusOp *ops;
        BusClient *clients; /* those with open calls */
        unsigned n_ops;

        LoopTimer *properties_timer;
        Loop *loop;
        unsigned properties; /* changed and not announced yet, of ChatProperty */
        usec_t properties_announced;

        LoopTimer *changes_timer;
        BusChange *changes; /* of objects, not told so far; in order */

        bool complained;
};

/* The members of the interface by subject; each userdata is the Bus. */
extern const sd_bus_vtable bus_account_vtable[];
extern const sd_bus_vtable bus_message_vtable[];
extern const sd_bus_vtable bus_peer_vtable[];
extern const sd_bus_vtable bus_room_vtable[];
extern const sd_bus_vtable bus_status_vtable[];

int bus_add_vtables(sd_bus *connection, Bus *b, sd_bus_slot ***ret);
void bus_drop_vtables(sd_bus_slot **slots);

/* Flags of methods. Everybody on the session bus is the user: nothing is kept for the privileged.
 * Of a call with a secret sd-bus wipes question and answer from memory. */
#define BUS_ANYBODY SD_BUS_VTABLE_UNPRIVILEGED
#define BUS_SECRET (SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_SENSITIVE)

/* bus-event.c */
int bus_method_list_events(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_method_ack_events(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* bus-room.c */
int bus_method_digest(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* bus-contact.c */
int bus_method_accept(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_method_add_contact(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_method_remove_contact(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_method_rename_contact(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_method_block(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_method_unblock(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_method_list_requests(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* bus-verify.c */
int bus_method_verify(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* Answers NotSupported. */
int bus_method_not_built(sd_bus_message *m, void *userdata, sd_bus_error *error);

int bus_method_doctor(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* Looks at the result of sending something; the first failure is logged, the others are not. */
void bus_sent(Bus *b, int r);

/* Signals */

int bus_signal_new(Bus *b, const char *member, sd_bus_message **ret);

void bus_on_event(void *userdata, const ChatEvent *e);
void bus_on_typing_changed(
        void *userdata, const char *name, const char *account, const char *room, bool on);
void bus_on_properties_changed(void *userdata, unsigned properties);
void bus_on_properties_timer(void *userdata);

/* Objects */

#define BUS_OBJECT_SLOTS 5
#define BUS_OBJECT_ID_SIZE 64 /* an account, or the id of a room, as text */

int bus_add_log_control(sd_bus *connection, sd_bus_slot **ret);
int bus_add_objects(sd_bus *connection, Bus *b, sd_bus_slot *ret_slots[static BUS_OBJECT_SLOTS]);
void bus_on_object_changed(void *userdata, const char *account, ChatObjectChange change);
void bus_on_room_object_changed(void *userdata, const char *id, ChatObjectChange change);
void bus_on_changes_timer(void *userdata);

/* Nobody has seen the objects yet, or nobody will any more. */
void bus_forget_changes(Bus *b);

/* Options: the final a{sv} of every method */

typedef struct BusOption {
        const char *key;
        char type; /* of s, b, t, u */
        void *value; /* const char **, int *, uint64_t *, uint32_t *: left alone when not given */
        bool *given; /* or NULL */
} BusOption;

/* OPTIONS ends with an empty one. Others are skipped; one of another type than the table says is
 * an error. The strings live as long as M. */
int bus_options_read(sd_bus_message *m, const BusOption *options, sd_bus_error *error);

/* Dictionaries: after the first failure the calls do nothing, and bus_dict_close() answers it. Keys
 * without a value (NULL, "", time 0, a flag that is not set) are left out; numbers, bools and lists
 * always have one. */

typedef struct BusDict {
        sd_bus_message *m;
        int r;
} BusDict;

BusDict bus_dict_open(sd_bus_message *m);
void bus_dict_string(BusDict *d, const char *key, const char *value);
void bus_dict_strings(BusDict *d, const char *key, const char *const *values);
void bus_dict_time(BusDict *d, const char *key, usec_t value);
void bus_dict_flag(BusDict *d, const char *key, bool value);
void bus_dict_bool(BusDict *d, const char *key, bool value);
void bus_dict_number(BusDict *d, const char *key, unsigned value);
void bus_dict_u64(BusDict *d, const char *key, uint64_t value);
void bus_dict_open_value(BusDict *d, const char *key, const char *type);
void bus_dict_close_value(BusDict *d);
int bus_dict_close(BusDict *d);

/* What rows, events and signals say of a message beside its names and text; and its size in an
 * answer, generously. */
void bus_message_details(BusDict *d, const ChatMessage *m);
size_t bus_message_size(const ChatMessage *m);

/* Bytes of dictionaries, a little more than they take. */
#define BUS_DICT_ENTRY_SIZE 48 /* of a key and a value, its string aside */
size_t bus_string_size(const char *s);
size_t bus_strings_size(const char *const *values);

/* Answers of type aa{sv}: rows until they are BUS_ANSWER_SIZE_MAX. The last dictionary says `more`
 * when the answer holds less than the caller could expect: it is full, or there are more rows than
 * the limit that stands for one not given. Who gave a limit can count. */

typedef struct BusLimit {
        uint32_t rows;
        bool given;
} BusLimit;

#define BUS_OPTION_LIMIT(limit)                                                                    \
        { "limit", 'u', &(limit)->rows, &(limit)->given }

/* Checks what was given, or puts the default there. */
int bus_limit_check(BusLimit *l, sd_bus_error *error);

typedef struct BusList {
        sd_bus_message *reply;
        bool limited; /* by the caller */
        bool full;
        size_t size;
        int r;
} BusList;

int bus_list_begin(BusList *l, sd_bus_message *call, const BusLimit *limit);

/* Whether a row of SIZE bytes fits; from the first that does not, none does. */
bool bus_list_takes(BusList *l, size_t size);

/* Closes the list. MORE: chat has more rows. */
int bus_list_end(BusList *l, bool more);
void bus_list_done(BusList *l);

/* The whole of a method that lists what is paged by `after` and `limit`. FN fills L in. */
typedef int (*BusListFn)(
        Chat *c, const char *after, unsigned limit, BusList *l, bool *ret_more, ChatError *error);
int bus_list_answer(sd_bus_message *m, Bus *b, sd_bus_error *error, BusListFn fn);

/* Open calls: the answer comes later, once. */

struct BusOp {
        Bus *bus;
        sd_bus_message *call;
        BusClient *client;
        BusList list;
        bool held; /* done, and to be said when there is another Chat */
        BusOp *prev, *next;
};

int bus_op_open(Bus *b, sd_bus_message *m, sd_bus_error *error, BusOp **ret);

/* These answer and free it. REPLY is sent, whatever holds it. */
void bus_op_reply(BusOp *o, sd_bus_message *reply);
void bus_op_reply_string(BusOp *o, const char *s);
void bus_op_refuse(BusOp *o, const ChatError *error);
void bus_op_fail(BusOp *o, int r);

/* A ChatDoneFn: an empty answer, or the error. */
void bus_op_done(void *userdata, const ChatError *error);

/* A ChatPeersDoneFn: the list that was filled in meanwhile, or the error. */
void bus_op_list_done(void *userdata, const ChatError *error, bool more);

/* The whole of a method that takes one string, without options, and answers nothing. */
typedef void (*BusStringFn)(Chat *c, const char *s, ChatDoneFn done, void *userdata);
int bus_op_call(sd_bus_message *m, Bus *b, sd_bus_error *error, BusStringFn fn);

/* And of one that takes two. */
typedef void (*BusStringsFn)(
        Chat *c, const char *first, const char *second, ChatDoneFn done, void *userdata);
int bus_op_call_two(sd_bus_message *m, Bus *b, sd_bus_error *error, BusStringsFn fn);

/* Frees it without an answer. */
void bus_op_drop(BusOp *o);

/* Answers CALL with an error of chat's. */
int bus_reply_error(sd_bus_message *call, const ChatError *error);

/* Sets ERROR to one of the API's and returns -EINVAL, as handlers do. */
int bus_error_set(sd_bus_error *error, const char *name, const char *format, ...) _printf_(3, 4);
