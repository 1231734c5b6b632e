/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The next block: whether it is one, and what it makes of the final state. */

#include "rooms/roster-private.h"

/* Of a hybrid logical clock: 48 bits of ms, 16 of a counter. */
static uint64_t time_of(uint64_t hlc) {
        return (hlc >> 16) * USEC_PER_MSEC;
}

static bool is_absence(uint64_t from, uint64_t to) {
        return to >= from && to - from >= ROSTER_TERM_ABSENCE;
}

typedef struct Search {
        const uint8_t *account;
        uint64_t appointed;
} Search;

static bool find_first(void *userdata, const Person *p) {
        Search *search = userdata;

        if (p->m.role == ROOM_ROLE_ADMIN &&
                (!search->account || p->m.appointed < search->appointed)) {
                search->account = p->m.account;
                search->appointed = p->m.appointed;
        }
        return true;
}

/* In the final state: a new term is opened on top of that. */
const uint8_t *roster_deputy(const Roster *r) {
        Search search = {};

        state_each(&r->final, find_first, &search);
        return search.account;
}

bool roster_is_settled(const Roster *r, const uint8_t proposal[static SHA256_SIZE]) {
        SettledHash *s;

        HASH_FIND(hh, r->settled, proposal, SHA256_SIZE, s);
        return s;
}

/* P would do something, has waited for long, and the owner has not answered it. */
static bool shows_absence(Roster *r, const RoomProposal *p, uint64_t sent) {
        Act a = {.who = p->account, .epoch = p->head.epoch, .hlc = p->hlc};
        Why why;

        return memcmp(p->room, r->room, ROOM_ID_SIZE) == 0 &&
                p->head.epoch <= r->final.head.epoch && p->head.epoch >= r->settled_floor &&
                !roster_is_settled(r, p->hash) && is_absence(time_of(p->hlc), sent) &&
                state_check(&r->final, &a, &p->change, &why) > CHANGE_MOOT;
}

static int check_term(Roster *r, const uint8_t account[static KEY_SIZE], uint64_t sent, Why *why) {
        const uint8_t *deputy = roster_deputy(r);

        if (!deputy || !key_equal(deputy, account))
                return refuse(why, -EPERM, CODE_NOT_ALLOWED,
                        "only the admin who was appointed first takes an absent owner's place");
        if (!is_absence(r->final.head.sent, sent))
                return refuse(why, -EPERM, CODE_NOT_ALLOWED,
                        "the owner is not absent: he has written a block within seven days");
        return 0;
}

bool roster_may_open_term(
        Roster *r, const uint8_t account[static KEY_SIZE], const RoomProposal *p, uint64_t sent) {
        if (r->final.deleted || r->final.head.epoch == 0) {
                refuse(&r->why, -EPERM, CODE_UNKNOWN_ROOM, "there is no such room");
                return false;
        }
        if (check_term(r, account, sent, &r->why) < 0)
                return false;
        if (shows_absence(r, p, sent))
                return true;
        refuse(&r->why, -EPERM, CODE_NOT_ALLOWED,
                "the owner is not absent: nothing has waited for him for seven days");
        return false;
}

/* Looks for a proposal that B settles and for which FITS holds. */
typedef bool (*FitsFn)(Roster *r, const RoomProposal *p, const void *with);

static int find_proof(Roster *r, const RoomBlock *b, FitsFn fits, const void *with, Why *why) {
        bool missing = false;

        for (size_t i = 0; i < b->n_settled; i++) {
                const RoomProposal *p = r->find ? r->find(r->userdata, b->settled[i]) : NULL;

                if (!p || memcmp(p->hash, b->settled[i], SHA256_SIZE) != 0)
                        missing = true;
                else if (fits(r, p, with))
                        return 0;
        }
        if (missing)
                return refuse(why, -ENOENT, CODE_NOT_ALLOWED,
                        "the proposal that the block rests on is not here");
        return -EPERM;
}

static bool fits_term(Roster *r, const RoomProposal *p, const void *with) {
        const RoomBlock *b = with;

        return shows_absence(r, p, b->sent);
}

static bool fits_transfer(Roster *r, const RoomProposal *p, const void *with) {
        const RoomChange *c = with;
        Act a = {.who = p->account, .epoch = p->head.epoch, .hlc = p->hlc};
        Why why;

        return memcmp(p->room, r->room, ROOM_ID_SIZE) == 0 &&
                p->head.epoch <= r->final.head.epoch && p->change.type == ROOM_CHANGE_ROLE &&
                key_equal(p->change.account, c->account) &&
                state_check(&r->final, &a, &p->change, &why) == CHANGE_ACCEPTS;
}

static int open_term(Roster *r, State *s, const RoomBlock *b, Why *why) {
        int k = check_term(r, b->account, b->sent, why);

        if (k < 0)
                return k;
        k = find_proof(r, b, fits_term, b, why);
        if (k == -EPERM)
                refuse(why, k, CODE_NOT_ALLOWED,
                        "the owner is not absent: nothing has waited for him for seven days");
        return k < 0 ? k : state_hand_over(s, b->account);
}

static int hand_over(Roster *r, State *s, const RoomBlock *b, const RoomChange *c, Why *why) {
        int k;

        if (c != &b->changes[b->n_changes - 1])
                return refuse(why, -EBADMSG, CODE_INVALID_ARGS,
                        "who hands the room over changes nothing more after it");
        if (state_rank(s, c->account) == ROOM_ROLE_NONE)
                return refuse(why, -EPERM, CODE_NOT_MEMBER, "only members have roles");
        k = find_proof(r, b, fits_transfer, c, why);
        if (k == -EPERM)
                refuse(why, k, CODE_NOT_ALLOWED,
                        "nobody becomes owner who has not accepted the owner's offer");
        return k < 0 ? k : state_hand_over(s, c->account);
}

/* In S: who makes the room, and what he says of it. */
static int found(Roster *r, State *s, const RoomBlock *b, Why *why) {
        const RoomChange *c = b->changes;
        uint8_t id[ROOM_ID_SIZE];
        Person *p;

        if (b->n_changes == 0 || c->type != ROOM_CHANGE_CREATE || b->term != 1 ||
                !bytes_are_zero(b->prev, SHA256_SIZE) ||
                !name_is_canonical(c->text.data, c->text.size) || c->access <= ROOM_ACCESS_NONE ||
                c->access >= _ROOM_ACCESS_MAX || c->history <= ROOM_HISTORY_NONE ||
                c->history >= _ROOM_HISTORY_MAX)
                return refuse(
                        why, -EBADMSG, CODE_INVALID_ARGS, "the log does not begin with a room");
        room_id(b->account, c->nonce, id);
        if (memcmp(id, r->room, ROOM_ID_SIZE) != 0)
                return refuse(why, -EBADMSG, CODE_INVALID_ARGS, "the founder is not this room's");
        memcpy(s->name, c->text.data, c->text.size);
        s->access = c->access;
        s->history = c->history;
        memcpy(s->founder, b->account, KEY_SIZE);
        memcpy(s->owner, b->account, KEY_SIZE);
        memcpy(s->nonce, c->nonce, ROOM_NONCE_SIZE);
        p = state_edit(s, b->account);
        if (!p)
                return -ENOMEM;
        p->m.member = p->m.was = true;
        p->m.role = ROOM_ROLE_OWNER;
        p->m.since = 1;
        s->members = 1;
        return 0;
}

/* Where B stands in the log. */
static int check_place(const Roster *r, const RoomBlock *b, Why *why) {
        const RosterHead *head = &r->final.head;

        if (memcmp(b->room, r->room, ROOM_ID_SIZE) != 0)
                return refuse(why, -EBADMSG, CODE_INVALID_ARGS, "the block is another room's");
        if (b->epoch <= head->epoch)
                return refuse(why, -ESTALE, CODE_NOT_ALLOWED,
                        "there is a block of that control epoch already");
        if (b->epoch > head->epoch + 1)
                return refuse(why, -EAGAIN, CODE_NOT_ALLOWED, "blocks before it are missing");
        if (r->final.deleted)
                return refuse(why, -ESHUTDOWN, CODE_UNKNOWN_ROOM, "the room was deleted");
        if (head->epoch > 0 && memcmp(b->prev, head->hash, SHA256_SIZE) != 0)
                return refuse(why, -EXDEV, CODE_NOT_ALLOWED, "the block continues another chain");
        return 0;
}

static int check_author(Roster *r, State *s, const RoomBlock *b, Why *why) {
        const RosterHead *head = &r->final.head;

        if (head->epoch == 0)
                return found(r, s, b, why);
        if (b->term == head->term && key_equal(b->account, s->owner))
                return 0;
        if (b->term == head->term)
                return refuse(why, -EPERM, CODE_NOT_OWNER, "only the owner writes blocks");
        if (b->term != head->term + 1)
                return refuse(why, -EBADMSG, CODE_INVALID_ARGS, "terms follow one another");
        return open_term(r, s, b, why);
}

static bool wants_key(const State *s, const RoomChange *c) {
        switch (c->type) {
        case ROOM_CHANGE_CREATE:
        case ROOM_CHANGE_LEAVE:
                return true;
        case ROOM_CHANGE_REMOVE: /* of a member: an invitation gives no key */
                return state_rank(s, c->account) != ROOM_ROLE_NONE;
        case ROOM_CHANGE_ADD:
                return s->history == ROOM_HISTORY_JOINED;
        default:
                return false;
        }
}

/* One after the other: a block may remove whom it has added before. */
bool roster_needs_key(const Roster *r, const RoomChange *changes, size_t n) {
        for (size_t i = 0; i < n; i++) {
                const RoomChange *c = &changes[i];

                if (c->type == ROOM_CHANGE_REMOVE || wants_key(&r->final, c))
                        return true;
        }
        return false;
}

static int apply_changes(Roster *r, State *s, const RoomBlock *b, Why *why) {
        Act a = {.who = b->account, .block = true, .epoch = b->epoch};
        bool needs_key = false;

        for (size_t i = 0; i < b->n_changes; i++) {
                const RoomChange *c = &b->changes[i];
                bool wants = wants_key(s, c);
                int k;

                if (c->type == ROOM_CHANGE_CREATE && i == 0 && b->epoch == 1)
                        k = CHANGE_WORKS; /* by found() */
                else if (c->type == ROOM_CHANGE_ROLE && c->role == ROOM_ROLE_OWNER &&
                        !key_equal(c->account, s->owner))
                        k = hand_over(r, s, b, c, why);
                else
                        k = state_change(s, &a, c, why);
                if (k < 0)
                        return k;
                needs_key |= wants && k == CHANGE_WORKS;
        }
        if (needs_key && !b->has_commitment)
                return refuse(why, -EBADMSG, CODE_INVALID_ARGS,
                        "the block needs a new room key, and has none");
        if (b->has_commitment && r->n_keys >= ROSTER_KEY_EPOCHS_MAX)
                return refuse(why, -E2BIG, CODE_TOO_MANY,
                        "the room has had too many keys: a new one is needed");
        return 0;
}

/* What B makes of the final state, in S on top of it. */
static int fold_block(Roster *r, State *s, const RoomBlock *b, Why *why) {
        int k = check_place(r, b, why);

        if (k < 0)
                return k;
        s->head = (RosterHead){.epoch = b->epoch, .term = b->term, .hlc = b->hlc, .sent = b->sent};
        memcpy(s->head.hash, b->hash, SHA256_SIZE);
        memcpy(s->head.author, b->account, KEY_SIZE);
        k = check_author(r, s, b, why);
        if (k >= 0)
                k = apply_changes(r, s, b, why);
        if (k == -ENOMEM)
                refuse(why, k, CODE_STORAGE, "out of memory");
        return k;
}

static int reserve_key(Roster *r) {
        size_t n = MAX((size_t)4, r->keys_allocated * 2);
        KeyEpoch *keys;

        if (r->n_keys < r->keys_allocated)
                return 0;
        keys = reallocarray(r->keys, n, sizeof(*keys));
        if (!keys)
                return -ENOMEM;
        r->keys = keys;
        r->keys_allocated = n;
        return 0;
}

static void forget_settled(Roster *r, SettledHash *s) {
        HASH_DEL(r->settled, s);
        free(s);
}

/* All of B, or none. */
static int note_settled(Roster *r, const RoomBlock *b) {
        for (size_t i = 0; i < b->n_settled; i++) {
                SettledHash *s;

                if (roster_is_settled(r, b->settled[i]))
                        continue;
                s = calloc(1, sizeof(SettledHash));
                if (s) {
                        memcpy(s->hash, b->settled[i], SHA256_SIZE);
                        s->epoch = b->epoch;
                        HASH_ADD(hh, r->settled, hash, SHA256_SIZE, s);
                }
                if (s && TABLE_HAS(s))
                        continue;
                free(s);
                while (r->settled) {
                        SettledHash *last =
                                ELMT_FROM_HH(r->settled->hh.tbl, r->settled->hh.tbl->tail);

                        if (last->epoch != b->epoch)
                                break;
                        forget_settled(r, last);
                }
                return -ENOMEM;
        }
        while (HASH_COUNT(r->settled) > ROSTER_SETTLED_KEPT) {
                r->settled_floor = r->settled->epoch;
                forget_settled(r, r->settled);
        }
        return 0;
}

static int commit(Roster *r, State *s, const RoomBlock *b) {
        int k = state_reserve(s);

        if (k >= 0)
                k = reserve_key(r);
        if (k >= 0)
                k = note_settled(r, b);
        if (k < 0)
                return refuse(&r->why, k, CODE_STORAGE, "out of memory");
        if (b->has_commitment) {
                KeyEpoch *key = &r->keys[r->n_keys++];

                key->epoch = b->epoch;
                memcpy(key->commitment, b->commitment, SHA256_SIZE);
        }
        state_done(&r->pending);
        state_merge(s);
        return 0;
}

static int try_block(Roster *r, const RoomBlock *b, bool takes) {
        State s;
        int k;

        state_begin(&s, &r->final);
        k = fold_block(r, &s, b, &r->why);
        if (k >= 0 && takes)
                k = commit(r, &s, b);
        state_done(&s);
        return MIN(k, 0);
}

int roster_take_block(Roster *r, const RoomBlock *b) {
        return try_block(r, b, true);
}

int roster_check_block(Roster *r, const RoomBlock *b) {
        return try_block(r, b, false);
}

int roster_compare_blocks(const RoomBlock *a, const RoomBlock *b, bool *ret_fork) {
        int c = memcmp(a->hash, b->hash, SHA256_SIZE);

        *ret_fork = false;
        if (c == 0)
                return 0;
        if (a->term != b->term)
                return a->term > b->term ? -1 : 1;
        *ret_fork = key_equal(a->account, b->account);
        return c < 0 ? -1 : 1;
}
