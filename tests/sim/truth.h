/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the files of users and ledger share: each message as it really is, what one person has
 * written to another, and what is known to be on a machine's disk. The latter is read after each
 * commit, by the store's own functions and only as far as it is new.
 */

#include "ledger.h"
#include "store/event.h"
#include "user.h"
#include "util/table.h"

typedef struct Prompt Prompt; /* prompt.h */
typedef struct Nearby Nearby; /* nearby.h */

typedef enum Cancelling {
        CANCEL_NOT,
        CANCEL_ASKED, /* it may have been taken back */
        CANCEL_DONE,
} Cancelling;

typedef struct Letter {
        Uuid id;
        char id_text[UUID_TEXT_SIZE];
        User *from, *to;
        char text[96]; /* who, to whom, which of them: no two are alike */
        usec_t worthless; /* realtime, from when on he does not want it to arrive; 0: never */
        usec_t expires; /* once it is kept: what has come of that */

        /* Between the sender and his program. */
        bool asked; /* at least once */
        bool waiting; /* for an answer of the program that runs */
        bool by_name; /* that two claim: it has to be refused */
        bool refused; /* for that */
        bool accepted;
        Cancelling cancelling;

        /* On the sender's disk. */
        bool kept;
        uint32_t feed;
        uint64_t epoch, seq;
        MessageState state;
        bool given_up; /* at some time */
        uint64_t known; /* the sender's last event before it */
        uint64_t failures; /* of the recipient's disk until then */

        uint64_t arrived; /* on the recipient's disk: the cursor of the event; 0: it is not */
        bool ahead; /* it is shown as one whose clock was ahead */
        bool seen; /* he has said that he has read it, and was answered */
        bool read; /* so says an event on his disk */
        bool left; /* a tracker has or had it on disk, or said so */

        usec_t kept_at; /* world time; 0: nobody waits for it, see prompt.h */
        struct Letter *late_prev, *late_next;

        struct Letter *prev, *next; /* in the sender's `open` */
        UT_hash_handle hh;
} Letter;

#define EPOCHS_MAX 256

/* What one has written to another with one device. That with seq 1 is the first. */
typedef struct Chain {
        Letter **letters;
        size_t n, allocated;
        uint64_t whole; /* up to this seq all have arrived */
} Chain;

/* What one has written to another, and how far that one says that he has read it. */
typedef struct Mail {
        User *from, *to;
        Letter **sent; /* in the order in which the sender wanted to send them */
        size_t n_sent, allocated_sent;
        Chain *chains; /* EPOCHS_MAX, from epoch 1 on; NULL: nobody has asked for one */
        size_t n_kept, n_arrived;
        uint64_t n_waiting; /* for the recipient */
        const Letter *last; /* of what has arrived, in the order of the sender */

        /* Up to these; NULL: nothing. */
        const Letter *read_wanted, *read_asked, *read_done;
        uint64_t events_when_asked; /* what came later may be unread */
        bool read_waiting;

        /* Whether the recipient blocks the sender: wants to, has asked for it, was answered. */
        bool block_wanted, block_asked, blocked;
        bool block_waiting;
        usec_t unblocked; /* world time; 0: never */
} Mail;

typedef struct Errand {
        User *by, *whom; /* WHOM may be NULL */
        Deed deed;
        bool waiting;
        struct Errand *prev, *next;
} Errand;

/* A message in the room. */
typedef struct Post {
        Uuid id;
        char id_text[UUID_TEXT_SIZE];
        User *from;
        char text[96];
        bool asked, waiting, accepted;
        bool kept; /* on the author's disk */
        bool dropped; /* he was told that he may not */
        bool before_kick; /* the founder had it when he removed the author */
        unsigned shown_to; /* while that is looked at: number of the machine + 1 */
        struct Post *prev, *next; /* in `open` */
        UT_hash_handle hh;
        uint64_t arrived[]; /* cursors of events, by users' machines */
} Post;

typedef struct UserRoom {
        Errand *errands; /* one after the other */
        Post *open; /* not accepted so far */
        unsigned n_posts;
        bool founder, in; /* has been answered that he is */
        bool was_out; /* wanted to leave at some time, or somebody to remove him */
        bool was_kicked, reinstated;
        bool forked; /* a twin has written */
        bool strict; /* the founder has removed him: */
        uint64_t kicked_at; /* the newest key epoch before that */
        uint64_t key_epoch; /* the same of him who is about to remove somebody */
        usec_t ended; /* the program last did */
        usec_t longest_absence;
} UserRoom;

struct User {
        Machine *machine;
        bool running, registered, registering;
        uint8_t account[KEY_SIZE];
        char account_text[BASE32_KEY_SIZE + 1]; /* "" until he has one */
        Letter *open; /* not accepted so far */
        LoopTimer *again; /* what was not answered, or not well */
        bool again_set;
        LoopTimer *watch; /* of people who are gone: see oracle-presence.c */
        usec_t watched; /* when it is to come, 0: not */
        struct {
                usec_t since; /* by this user's loop; 0: is not gone */
                uint64_t trackers; /* starts of all of them until then */
        } gone[MACHINES_MAX];

        /* What the program has said of others, by their machines. */
        struct {
                bool object; /* there is one */
                bool heard;
                Presence presence;
        } others[MACHINES_MAX];
        unsigned n_unknown_objects; /* of people who do not know yet that they have an account */
        uint64_t failures; /* of commits: what was said before the last of them may be said again */

        /* The client that hears signals. */
        bool listens, attached;
        uint64_t heard; /* cursor of the last event */

        /* The one that reads now and then, and acknowledges. */
        uint64_t acknowledged, acknowledging; /* answered well, at least asked for */
        bool acknowledge_waiting;

        /* On disk as of the last commit. */
        uint64_t events; /* cursor of the last one */
        struct {
                uint64_t cursor, digest;
        } * noted; /* events, in their order */
        size_t n_noted, allocated_noted;
        uint64_t n_queued; /* own messages that wait */
        usec_t latest; /* the latest that the wall clock has shown */

        UserRoom room;
};

/* An envelope, by its id. */
typedef struct Sealed {
        uint8_t id[SHA256_SIZE];
        User *from, *to;
        Letter *letter; /* NULL: of a receipt */
        bool forged;
        usec_t expires; /* realtime, of the tracker */

        /* Trackers, a bit for each */
        uint32_t held;
        uint32_t removed; /* at its sender's or recipient's word */
        uint32_t owed; /* to its recipient: it was held, and nobody but him has ended that */
        uint32_t doubted;
        UT_hash_handle hh;
} Sealed;

struct Ledger {
        World *world;
        Prompt *prompt;
        Nearby *nearby;
        Letter *letters; /* by id */
        unsigned n_users; /* who will be there */
        Mail *mail; /* from, to: numbers of their machines */
        Sealed *sealed;
        Post *posts; /* by id */
        bool has_room, room_hidden, room_given;
        bool room_succeeded; /* an absent owner was; as of the last time that all was quiet */
        usec_t tracker_latest[MACHINES_MAX]; /* that its wall clock has shown */
};

/* The simulator does not go on without memory. */
static inline void *must(void *p) {
        if (!p)
                abort();
        return p;
}

static inline usec_t later(usec_t a, usec_t b) {
        return MAX(a, b);
}

static inline Ledger *user_ledger(const User *u) {
        return u->machine->world->ledger;
}

static inline Mail *mail_between(const User *from, const User *to) {
        Ledger *l = user_ledger(from);

        return &l->mail[(size_t)from->machine->number * l->n_users + to->machine->number];
}

/* NULL: there are no such epochs. */
static inline Chain *mail_chain(Mail *m, uint64_t epoch) {
        if (!m->chains)
                m->chains = must(calloc(EPOCHS_MAX, sizeof(*m->chains)));
        return epoch > 0 && epoch <= EPOCHS_MAX ? &m->chains[epoch - 1] : NULL;
}

/* Which of a sender's messages to one person is how far behind; 0: none. */
static inline uint64_t letter_place(const Letter *l) {
        return l ? l->epoch << 48 | l->seq : 0;
}

/* On its way, whether it lies in a mailbox meanwhile or not. */
static inline bool letter_waits(const Letter *l) {
        return l->kept && (l->state == MESSAGE_QUEUED || l->state == MESSAGE_STORED);
}

/* A disk that has failed is tried again now and then; until that goes well, nothing can be read. */
static inline bool user_has_store(const User *u) {
        StoreHealth h;

        store_get_health(u->machine->store, &h);
        return h.open_error == 0;
}

/* A message that is to be sent. */
Letter *letter_new(User *from, User *to);

/* NULL: nobody has written such a one. */
Letter *letter_find(const Ledger *l, const Uuid *id);
Letter *letter_find_text(const Ledger *l, const char *id);

/* How others mean him: by his name, or by his account where somebody else bears the name; "" where
 * he has none so far. */
#define USER_REF_SIZE (BASE32_KEY_SIZE + 2)
const char *user_ref(const User *u, char buf[static USER_REF_SIZE]);

/* NULL: nobody has registered it. */
User *ledger_find_user(const Ledger *l, const uint8_t *account);

#define FAIL(u, oracle, format, ...)                                                               \
        world_fail((u)->machine->world, oracle, "%s: " format, (u)->machine->name, ##__VA_ARGS__)
#define TRACE(u, ...) world_trace((u)->machine->world, (u)->machine, __VA_ARGS__)

/* Whose program speaks; NULL: nobody who could be heard. */
User *acting_user(void);

/* user.c: everything that was not answered, or not well, in a while. */
void user_ask_again(User *u);

/* rows.c */

/* Of what is told of an event, signal or answer. What may change after it has happened is left
 * out: states of messages, names. */
uint64_t event_digest(const ChatEvent *e);

/* An event is on disk. Those of the room may be about what is not there any more, and are left out
 * then. */
void rows_note_event(User *u, const ChatEvent *e);
bool rows_may_skip(const User *u, uint64_t after, uint64_t before);

/* Of the event with this cursor; NULL: none is on disk. */
const uint64_t *rows_digest(const User *u, uint64_t cursor);

/* Whoever was told all may be told to go on from there. */
bool rows_may_be_end(const User *u, uint64_t cursor);

/* At the start of a program: all that has been committed is there, and nothing that the one before
 * had not committed when it died. */
void rows_check_start(User *u);

/* client.c */
void client_started(User *u);
void client_registered(User *u);
void client_ended(User *u);
bool client_is_content(const User *u);

/* oracle-presence.c */
int presence_new(User *u);
void presence_free(User *u);
void presence_started(User *u);
void presence_ended(User *u);

/* An event that says so is on disk. */
void presence_note(User *u, const User *other, Presence presence);

/* Everybody runs: everybody is shown as online to those who know him. */
void presence_check_quiet(User *u);

/* oracle-history.c: what U's daemon shows of a conversation at any time, and both when all is
 * quiet. */
void history_check(User *u, User *with);
void history_check_quiet(User *u, User *with);

/* oracle-mail.c: what lies in mailboxes. */
void mail_check_quiet(User *u);
void mail_check_trackers_quiet(Ledger *l);
void mail_free_sealed(Ledger *l);

/* oracle-queue.c: the outbox, and what the daemon says of itself. */
void queue_check(User *u);
void queue_check_quiet(User *u);
