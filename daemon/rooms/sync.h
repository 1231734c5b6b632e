/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the files share that speak to others of rooms: sync*.c, live.c, join.c, links.c, notice.c.
 *
 * An open link whose other end takes rooms is a SyncPeer; a room that is spoken of over it is a
 * RoomLink; what a room needs for all of its links is a SyncRoom. Nothing of it is on disk, and all
 * of it is bounded: what others claim to have is asked for in pieces, and what is beyond a piece is
 * forgotten, to be told again.
 *
 *  - STATE says what one has, in four digests. It goes over a new link, and again where the other
 *    end has not been told what it is now and something is to be found out. Two that are level say
 *    it once each.
 *  - Who sees that they differ tells what he has of feeds (VECTOR), pushes what is pending and what
 *    proves forks, and asks for blocks that he does not know (WANT). What is claimed in a VECTOR is
 *    asked for, at one link at a time; one WANT is under way for each link and room, and its answer
 *    ends with ROOM_ENTRIES that say so. Without an answer for WANT_TIME another link is asked.
 *  - Nobody is believed: a claim is only a reason to ask, and what comes is judged by what is here.
 */

#include "rooms/private.h"
#include "util/quota.h"

#define WANT_TIME (10 * USEC_PER_SEC)

/* What comes so long after a STATE is an answer to it. */
#define STATE_TIME (30 * USEC_PER_SEC)

/* Feeds that others claim to have more of, and those of them in one WANT. */
#define CLAIMS_MAX 1024
#define WANT_FEEDS_MAX 128

/* Members that all have links to each other; of more, each holds a few. */
#define MESH_MAX 32
#define GOSSIP_LINKS 6
#define GOSSIP_EAGER 3

#define ENTROPY_INTERVAL USEC_PER_MINUTE
#define ENTROPY_LAST (16 * USEC_PER_MINUTE)

/* What an accusation costs: units of useless work that one peer may cause. */
#define WORK_QUOTA QUOTA_INIT(4000, 10 * USEC_PER_SEC)
#define COST_FRAME 1
#define COST_ANSWER 8 /* looks things up on the other's behalf */
#define COST_GIVEN 2 /* a frame of entries that he has asked for */
#define COST_JOIN 32
#define COST_BAD 64 /* somebody's signature does not hold */
#define COST_REFUSED 16 /* a proposal: what is pending was looked at for it */
#define COST_REFUSED_EPOCHS 8 /* a block: a unit for so many before it, which were folded */

typedef struct SyncRoom SyncRoom;

typedef struct SyncPeer {
        Sync *sync;
        Link *link;
        uint8_t account[KEY_SIZE];
        Quota work, refusals, joins, typing;
        bool asked; /* which rooms there are */
        Buffer notice; /* said last over this link, which nobody acknowledges */
        usec_t noticed;
        UT_hash_handle hh;
} SyncPeer;

/* What the other end has asked for, and how far that is answered. */
typedef enum GiveStage {
        GIVE_NOTHING,
        GIVE_CONTROL,
        GIVE_PROPOSALS,
        GIVE_FORKS,
        GIVE_KEYS,
        GIVE_RECORDS,
        GIVE_ENTRIES, /* single ones */
        GIVE_FEEDS,
        GIVE_DONE,
} GiveStage;

typedef struct Give {
        GiveStage stage;
        bool control, proposals, forks, all_keys;
        uint64_t epoch; /* blocks after it */
        uint64_t keys[ROOM_WANT_KEYS_MAX];
        size_t n_keys;
        uint8_t (*accounts)[KEY_SIZE];
        size_t n_accounts;
        Buffer entries, feeds; /* packed */
        size_t at; /* in feeds */
        uint64_t seq; /* of that feed: given up to here */
} Give;

/* Where a feed of which two versions are signed forks: above `low`, at `high` or before. */
typedef struct ForkSearch {
        bool active, moved; /* by the last answer */
        uint8_t tag[ROOM_TAG_SIZE];
        uint64_t low, high;
} ForkSearch;

enum {
        NEED_CONTROL = 1,
        NEED_PROPOSALS = 2,
        NEED_FORKS = 4,
};

struct RoomLink {
        SyncPeer *peer;
        SyncRoom *sr;
        bool outsider; /* is no member: is told of the control log, and nothing else */
        bool refused; /* the other end does not speak of the room */
        bool asked_in; /* he was asked to let the user in, as he did not count him in */

        RoomState said, theirs; /* as told last */
        bool has_said, has_theirs;
        unsigned asks; /* STATEs said that are no answers, and that none has answered */
        usec_t asked_at;
        uint64_t told; /* change number up to which he knows the vector, if `tells` */
        bool tells;
        Quota states, vectors; /* said again without something new */
        Quota repeats; /* STATEs in answer to one that is no news, where this end has none either */
        uint8_t proposals_said[ROOM_DIGEST_SIZE], forks_said[ROOM_DIGEST_SIZE];
        bool has_proposals_said, has_forks_said;

        unsigned needs;
        Buffer claims; /* packed as in WANT: up to where he has it */
        bool claims_cut; /* there were more */
        bool keys_asked, records_asked;
        usec_t deadline; /* of the WANT that is under way; 0: there is none */
        unsigned asked; /* NEED_* in it */
        ForkSearch search;
        unsigned stalled; /* times that no answer came */
        usec_t silent_until; /* after that */
        Give give;
        bool admitted; /* in the open batch: he gets all that he needs after it */
        usec_t types; /* the other one, until then; 0: does not */
        struct RoomLink *prev, *next;
};

/* A feed that is being asked for. */
typedef struct Fetch {
        uint8_t tag[ROOM_TAG_SIZE];
        uint64_t seq; /* what was here of it then */
        RoomLink *from;
        UT_hash_handle hh;
} Fetch;

/* Of entries that came in the open batch, where a few pass them on. */
#define FRESH_MAX 64

typedef struct Fresh {
        uint32_t feed;
        uint64_t first, last;
        uint8_t from[KEY_SIZE];
} Fresh;

/* What is known of a member beyond his link. */
#define KNOWN_MAX 256

typedef struct Known {
        uint8_t account[KEY_SIZE];
        uint64_t level; /* change number at which we were level, or less; 0: never */
        uint64_t used; /* the one that was not for longest goes first */
        UT_hash_handle hh;
} Known;

/* Who has something in his mailbox that says that there is something new. */
typedef struct Noticed {
        uint8_t account[KEY_SIZE];
        UT_hash_handle hh;
} Noticed;

typedef struct Join {
        uint8_t candidates[ROOMS_CANDIDATES_MAX][KEY_SIZE];
        size_t n, at;
        bool active;
        bool asked[ROOMS_CANDIDATES_MAX]; /* JOIN was said, in this round */
        uint8_t asking[KEY_SIZE]; /* who was asked last, */
        usec_t answer_by; /* and has until then; 0: nobody is */
        usec_t give_up; /* FN is told then; 0: it was, or there is none */
        usec_t step_by; /* the next ones' turn */
        usec_t round; /* the wait before all are tried once more */
        bool refused; /* by somebody who is in the room */
        bool was_invited; /* before */
        RoomsDoneFn fn;
        void *userdata;
        Code code; /* of the last refusal */
        char text[160];
} Join;

/* Why a room is looked at, and when. */
typedef enum Due {
        DUE_LINKS, /* to whom there should be links */
        DUE_WANT,
        DUE_GIVE,
        DUE_VECTOR,
        DUE_STATE, /* the control log is another one */
        DUE_ENTROPY,
        DUE_HEAL, /* something could not be kept */
        DUE_JOIN,
        DUE_NEWS,
        DUE_TYPING,
        _DUE_MAX,
} Due;

struct SyncRoom {
        Sync *sync;
        Room *room;
        uint32_t number;
        RoomLink *links;
        usec_t due[_DUE_MAX];
        bool has_records; /* of all members, since the roster or the links have changed last */
        Fetch *fetches;
        RoomLink *control_from, *keys_from, *records_from; /* who is asked for them */

        /* live.c */
        uint32_t own_feed;
        uint64_t own_seq; /* given to all who have links */
        uint64_t pushed_epoch; /* own blocks */
        bool brought; /* proposals that are new in the open batch, by others */
        bool forked_told;
        Fresh fresh[FRESH_MAX];
        size_t n_fresh;
        usec_t entropy; /* the present interval */
        RoomState entropy_state; /* as it was at the last round */

        /* links.c */
        struct Held *held; /* accounts for this room */
        bool mesh;
        usec_t review; /* the wait before others are tried */

        Known *known;
        uint64_t known_used;
        Noticed *noticed; /* members, once each */
        Join join;
        usec_t typed; /* the user does; when it was said last */
        UT_hash_handle hh;
};

/* Accounts to which links are wanted, for all rooms. */
typedef struct Want {
        uint8_t account[KEY_SIZE];
        unsigned n; /* rooms that want it */
        UT_hash_handle hh;
} Want;

/* People of the local network who are dialled to be asked which rooms there are. */
#define ASK_NEAR_MAX 32

typedef struct Ask {
        RoomsOfferFn fn;
        void *userdata;
        usec_t end;
        unsigned open; /* answers to come */
        unsigned dialled; /* of NEAR, who have no link yet */
        uint8_t near[ASK_NEAR_MAX][KEY_SIZE]; /* links that are held for it */
        size_t n_near;
        char words[ROOM_WORDS_MAX + 1];
        bool active;
} Ask;

struct Sync {
        Rooms *rooms;
        SyncPeer *peers;
        SyncRoom *table; /* by number */
        Want *wants;
        LoopTimer *timer;
        usec_t next;
        Ask ask;
        unsigned mesh_max, gossip_links, gossip_eager; /* MESH_MAX and so on; less in tests */
        Quota strangers; /* invitations by people who are not known */
};

/* sync.c */
SyncRoom *sync_room(Room *room); /* made if need be; NULL: out of memory */
SyncRoom *sync_find_room(const Sync *s, uint32_t number);
SyncPeer *sync_find_peer(const Sync *s, const uint8_t *account);
RoomLink *room_link_find(const SyncRoom *sr, const SyncPeer *p);
RoomLink *room_link_get(SyncRoom *sr, SyncPeer *p);
void room_link_free(RoomLink *rl);

/* Who of those with links is a member now; and who is not any more. */
void sync_review(SyncRoom *sr);
void sync_due(SyncRoom *sr, Due due, usec_t at);
void sync_by(Sync *s, usec_t at);
bool sync_charge(SyncPeer *p, unsigned units);

/* The same after the work: it may be owed. False: no more is to be done for now. */
bool sync_owe(SyncPeer *p, unsigned units);
bool sync_is_speaking(const SyncRoom *sr);
Known *sync_known(SyncRoom *sr, const uint8_t *account);
usec_t sync_now(const Sync *s);
unsigned sync_count_links(const SyncRoom *sr);

/* sync-out.c */
int sync_send(SyncPeer *p, const RoomSync *m);
void say_refused(SyncPeer *p, const uint8_t *room, Code code, const char *text);
int read_state(const SyncRoom *sr, DbTxn *txn, RoomState *ret, uint64_t *ret_change);
bool states_equal(const RoomState *a, const RoomState *b);

/* TXN: the snapshot that is open, as there is one at a time; or NULL. */
void say_state(RoomLink *rl, DbTxn *txn);
bool is_said(const RoomLink *rl, DbTxn *txn); /* STATE would be the same as last time */
void say_read(RoomLink *rl, DbTxn *txn, uint64_t after, uint64_t change);
void say_vector(RoomLink *rl, DbTxn *txn, uint64_t after, uint64_t change, bool full);

/* What has changed since both were level, or all: RL is told of changes from then on. */
void say_first_vector(RoomLink *rl, DbTxn *txn, uint64_t change);
void say_proposals(RoomLink *rl, DbTxn *txn, const uint8_t *digest);
void say_forks(RoomLink *rl, DbTxn *txn, const uint8_t *digest);
void say_owner_fork(RoomLink *rl, DbTxn *txn);

/* Blocks after EPOCH, as many as fit a frame: 1, with *EPOCH moved on, or 0. */
int say_control(RoomLink *rl, DbTxn *txn, uint64_t *epoch);
void say_keys(RoomLink *rl, DbTxn *txn, const uint64_t *epochs, size_t n);

/* Entries after *SEQ of FEED, as many as fit a frame, to all in TO: 1, with *SEQ moved on, or 0.
 * LAST: none beyond it. */
int say_entries(RoomLink **to, size_t n, DbTxn *txn, uint32_t feed, uint64_t *seq, uint64_t last);

/* sync-give.c */
void give_begin(RoomLink *rl, const RoomWant *w);

/* All that a new member needs. */
void give_all(RoomLink *rl);
void give_done(Give *g);
void give_on_due(SyncRoom *sr);

/* sync-in.c */
int take_frame(SyncPeer *p, Frame *f);

/* sync-want.c */
void claim_add(RoomLink *rl, const uint8_t *tag, uint64_t seq);
void want_on_due(SyncRoom *sr);
void want_soon(SyncRoom *sr);
void want_answered(RoomLink *rl); /* all of it */
void want_progressed(RoomLink *rl);
void want_given_up(RoomLink *rl);
void search_begin(RoomLink *rl, const uint8_t *tag, uint64_t low, uint64_t high);
void search_found(RoomLink *rl, const uint8_t *tag, uint64_t seq, bool same);

/* live.c */
void live_begin(SyncRoom *sr);
void live_changed(SyncRoom *sr, unsigned what);
void live_fresh(SyncRoom *sr, uint32_t feed, uint64_t seq, const uint8_t *from);
void live_on_vector(SyncRoom *sr);
void live_on_state(SyncRoom *sr);
void live_on_entropy(SyncRoom *sr);
void live_on_heal(SyncRoom *sr);
void note_all_held(
        RoomLink *rl, DbTxn *txn); /* sync-in.c: RL is level, and has what was written here */
void live_not_kept(Sync *s);
void live_plan_entropy(SyncRoom *sr);
void live_on_typing(SyncRoom *sr);
void live_take_typing(RoomLink *rl, bool on);

/* join.c */
void join_changed(SyncRoom *sr);
void join_on_due(SyncRoom *sr);
void join_link_up(SyncRoom *sr, SyncPeer *p);
void join_link_down(SyncRoom *sr, const uint8_t *account);
void join_refused(SyncRoom *sr, const SyncPeer *p, const RoomRefused *r);

/* The other end, a member, does not count the user in, who is in by a pending proposal alone: whose
 * that is may have been removed meanwhile. So this one is asked to let him in, once a link. */
void join_not_counted(RoomLink *rl);
bool join_has_candidate(const SyncRoom *sr, const uint8_t *account);
void join_begin_again(SyncRoom *sr); /* after a start */
void join_end(SyncRoom *sr);
void join_settled(SyncRoom *sr, int error);
void take_join(SyncPeer *p, const RoomSync *m);
void join_add_candidate(SyncRoom *sr, const uint8_t *account);

/* links.c */
void links_on_due(SyncRoom *sr);
void links_let_go(SyncRoom *sr);
void links_want(Sync *s, const uint8_t *account, bool want);
void links_hold(SyncRoom *sr, const uint8_t *account, bool hold);
unsigned links_count_held(const SyncRoom *sr);

/* notice.c */
void notice_say(SyncRoom *sr, const uint8_t *account, RoomNoticeKind kind, Bytes proof);
void notice_on_news(SyncRoom *sr);
void notice_link_down(SyncPeer *p);
void notice_plan_news(SyncRoom *sr);
void notice_is_here(SyncRoom *sr, const uint8_t *account); /* and may be told again */
void notice_forget_all(SyncRoom *sr);
void take_notice(Sync *s, SyncPeer *p, Bytes outer);
void take_ask(SyncPeer *p, const RoomAsk *a);
void take_offer(SyncPeer *p, const RoomOffer *o);
void ask_on_due(Sync *s);
void ask_look(Sync *s);
void ask_link_up(SyncPeer *p);
void ask_stop(Sync *s);
