/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The roster as others see it. */

#include "rooms/roster-private.h"

#define MAX_MEMBERS_DEFAULT 1000

Roster *roster_new(const uint8_t room[static ROOM_ID_SIZE]) {
        Roster *r = calloc(1, sizeof(Roster));

        if (!r)
                return NULL;
        memcpy(r->room, room, ROOM_ID_SIZE);
        r->max_members = MAX_MEMBERS_DEFAULT;
        return r;
}

Roster *roster_free(Roster *r) {
        SettledHash *s, *next;

        if (!r)
                return NULL;
        HASH_ITER (hh, r->settled, s, next) {
                HASH_DEL(r->settled, s);
                free(s);
        }
        state_done(&r->pending);
        state_done(&r->final);
        free(r->keys);
        free(r);
        return NULL;
}

void roster_set_max(Roster *r, unsigned max_members) {
        r->max_members = MIN(max_members, (unsigned)ROSTER_MEMBERS_MAX);
}

void roster_set_find(Roster *r, RosterFindFn find, void *userdata) {
        r->find = find;
        r->userdata = userdata;
}

const char *roster_reason(const Roster *r) {
        return r->why.text ?: "nothing was refused";
}

Code roster_code(const Roster *r) {
        return r->why.code;
}

const RosterHead *roster_head(const Roster *r) {
        return &r->final.head;
}

const char *roster_name(const Roster *r) {
        return r->final.name;
}

const char *roster_topic(const Roster *r) {
        return roster_now(r)->topic;
}

RoomAccess roster_access(const Roster *r) {
        return r->final.access;
}

RoomHistory roster_history(const Roster *r) {
        return r->final.history;
}

const uint8_t *roster_founder(const Roster *r) {
        return r->final.founder;
}

const uint8_t *roster_nonce(const Roster *r) {
        return r->final.nonce;
}

const uint8_t *roster_owner(const Roster *r) {
        return r->final.owner;
}

bool roster_deleted(const Roster *r) {
        return r->final.deleted;
}

const uint8_t *roster_offered(const Roster *r) {
        const State *s = roster_now(r);

        return s->offered ? s->offer : NULL;
}

static const RosterMember *find_member(const State *s, const uint8_t account[static KEY_SIZE]) {
        const Person *p = state_find(s, account);

        return person_is_known(p) ? &p->m : NULL;
}

const RosterMember *roster_member(const Roster *r, const uint8_t account[static KEY_SIZE]) {
        return find_member(roster_now(r), account);
}

const RosterMember *roster_final_member(const Roster *r, const uint8_t account[static KEY_SIZE]) {
        return find_member(&r->final, account);
}

uint64_t roster_concerned(const Roster *r, const uint8_t account[static KEY_SIZE]) {
        const Person *p = state_find(&r->final, account);

        return !p ? 0 : p->m.member ? UINT64_MAX : p->removed;
}

bool roster_is_member(const Roster *r, const uint8_t account[static KEY_SIZE]) {
        return roster_rank(r, account) != ROOM_ROLE_NONE;
}

RoomRole roster_rank(const Roster *r, const uint8_t account[static KEY_SIZE]) {
        return state_rank(roster_now(r), account);
}

bool roster_is_invited(const Roster *r, const uint8_t account[static KEY_SIZE]) {
        const RosterMember *m = roster_member(r, account);

        return m && m->invited;
}

typedef struct Each {
        RosterMemberFn fn;
        void *userdata;
} Each;

static bool on_person(void *userdata, const Person *p) {
        Each *each = userdata;

        return each->fn(each->userdata, &p->m);
}

void roster_each(const Roster *r, RosterMemberFn fn, void *userdata) {
        Each each = {fn, userdata};

        state_each(roster_now(r), on_person, &each);
}

size_t roster_count(const Roster *r) {
        return roster_now(r)->members;
}

bool roster_may(Roster *r, const uint8_t who[static KEY_SIZE], const RoomChange *c) {
        const State *s = roster_now(r);
        Act a = {.who = who,
                .block = key_equal(s->owner, who),
                .epoch = s->head.epoch,
                .hlc = UINT64_MAX};

        if (s->head.epoch == 0) {
                refuse(&r->why, -EPERM, CODE_UNKNOWN_ROOM, "there is no such room");
                return false;
        }
        if (state_check(s, &a, c, &r->why) <= 0)
                return false;
        if (c->type == ROOM_CHANGE_ADD && s->members >= r->max_members) {
                refuse(&r->why, -E2BIG, CODE_TOO_MANY,
                        "the room has as many members as rooms.max-members allows");
                return false;
        }
        return true;
}

uint64_t roster_key_epoch(const Roster *r, uint64_t control_epoch) {
        size_t low = 0, high = r->n_keys;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (r->keys[middle].epoch <= control_epoch)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low > 0 ? r->keys[low - 1].epoch : 0;
}

const uint8_t *roster_commitment(const Roster *r, uint64_t epoch) {
        size_t low = 0, high = r->n_keys;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (r->keys[middle].epoch == epoch)
                        return r->keys[middle].commitment;
                if (r->keys[middle].epoch < epoch)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

bool roster_entitled(const Roster *r, const uint8_t account[static KEY_SIZE], uint64_t key_epoch) {
        const RosterMember *m = roster_member(r, account), *final;

        if (!m || !m->member || !roster_commitment(r, key_epoch))
                return false;
        if (r->final.history == ROOM_HISTORY_ALL)
                return true;
        final = roster_final_member(r, account);
        return final && final->member && key_epoch >= roster_key_epoch(r, final->since);
}

void roster_each_key(const Roster *r, RosterKeyFn fn, void *userdata) {
        for (size_t i = r->n_keys; i-- > 0;)
                if (!fn(userdata, r->keys[i].epoch))
                        return;
}

/* The digest */

/* A chain of hashes: no memory, so it cannot fail. */
static void digest_bytes(uint8_t d[static SHA256_SIZE], const void *p, size_t n) {
        struct iovec parts[] = {{d, SHA256_SIZE}, {(void *)p, n}};

        sha256_parts(parts, ELEMENTSOF(parts), d);
}

static void digest_number(uint8_t d[static SHA256_SIZE], uint64_t n) {
        uint8_t bytes[8];

        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t)(n >> 8 * (7 - i));
        digest_bytes(d, bytes, sizeof(bytes));
}

static bool digest_person(void *userdata, const Person *p) {
        const RosterMember *m = &p->m;
        uint8_t *d = userdata;

        digest_bytes(d, m->account, KEY_SIZE);
        digest_bytes(d, m->name, strlen(m->name));
        digest_number(d, m->role);
        digest_number(d, m->member | m->was << 1 | m->kicked << 2 | m->invited << 3);
        digest_number(d, m->since);
        digest_number(d, m->order);
        digest_number(d, m->appointed);
        digest_number(d, p->removed);
        digest_number(d, p->removed_hlc);
        digest_number(d, p->n_spans);
        for (size_t i = 0; i < p->n_spans; i++) {
                digest_number(d, p->spans[i].epoch);
                digest_bytes(d, p->spans[i].device, KEY_SIZE);
                digest_number(d, p->spans[i].from);
                digest_number(d, p->spans[i].to);
                digest_number(d, p->spans[i].least);
                digest_bytes(d, p->spans[i].hash, SHA256_SIZE);
        }
        return true;
}

void roster_digest(const Roster *r, bool provisional, uint8_t ret[static SHA256_SIZE]) {
        const State *s = provisional ? roster_now(r) : &r->final;

        memset(ret, 0, SHA256_SIZE);
        digest_bytes(ret, r->room, ROOM_ID_SIZE);
        digest_number(ret, s->head.epoch);
        digest_number(ret, s->head.term);
        digest_bytes(ret, s->head.hash, SHA256_SIZE);
        digest_bytes(ret, s->name, strlen(s->name));
        digest_bytes(ret, s->topic, strlen(s->topic));
        digest_number(ret, s->access);
        digest_number(ret, s->history);
        digest_bytes(ret, s->founder, KEY_SIZE);
        digest_bytes(ret, s->nonce, ROOM_NONCE_SIZE);
        digest_bytes(ret, s->owner, KEY_SIZE);
        digest_number(ret, s->offered);
        if (s->offered) {
                digest_bytes(ret, s->offer, KEY_SIZE);
                digest_number(ret, s->offer_epoch);
        }
        digest_number(ret, s->deleted);
        digest_number(ret, s->members);
        digest_number(ret, s->invited);
        digest_number(ret, s->spans);
        state_each(s, digest_person, ret);
}
