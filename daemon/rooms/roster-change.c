/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who may do what, and what it does. */

#include "rooms/roster-private.h"

int refuse(Why *why, int error, Code code, const char *text) {
        *why = (Why){.code = code, .text = text};
        return error;
}

static int moot(Why *why, const char *text) {
        return refuse(why, CHANGE_MOOT, CODE_OK, text);
}

static RoomRole rank_of(const State *s, const Act *a) {
        return a->block ? ROOM_ROLE_OWNER : state_rank(s, a->who);
}

/* Its author knew of the last removal of P. */
static bool knows_of_removal(const Act *a, const Person *p) {
        return a->block || !p || (a->epoch >= p->removed && a->hlc > p->removed_hlc);
}

static int check_admission(
        const State *s, const Act *a, const Person *p, const char *text, Why *why) {
        if (!knows_of_removal(a, p))
                return refuse(why, -EPERM, CODE_NOT_ALLOWED,
                        "it is from before the account's last removal from the room");
        if (rank_of(s, a) >= ROOM_ROLE_ADMIN)
                return 0;
        if (p && p->m.kicked)
                return refuse(why, -EPERM, CODE_NOT_ALLOWED,
                        "somebody who was removed is let in again by the owner or an admin only");
        if (s->access != ROOM_ACCESS_OPEN)
                return refuse(why, -EPERM, CODE_NOT_INVITED, text);
        return 0;
}

static int check_add(const State *s, const Act *a, const RoomChange *c, Why *why) {
        const Person *p = state_find(s, c->account);
        int r;

        if (p && p->m.member)
                return moot(why, "the account is a member already");
        if (p && p->m.invited && knows_of_removal(a, p))
                r = 0;
        else
                r = check_admission(s, a, p,
                        "the room is not open: the owner or an admin adds members, or invites them",
                        why);
        if (r < 0)
                return r;
        if (s->members >= ROSTER_MEMBERS_MAX)
                return refuse(why, -E2BIG, CODE_TOO_MANY, "the room has as many members as it can");
        if (!p && s->known >= ROSTER_PEOPLE_MAX)
                return refuse(why, -E2BIG, CODE_TOO_MANY,
                        "too many people have been in this room: a new one is needed");
        if ((p ? p->n_spans : 0) + c->n_heads > ROSTER_SPANS_MAX ||
                s->spans + c->n_heads > ROSTER_SPANS_TOTAL_MAX)
                return refuse(why, -E2BIG, CODE_TOO_MANY,
                        "the account has come and gone too often: it needs a new login");
        return CHANGE_WORKS;
}

static int check_invite(const State *s, const Act *a, const RoomChange *c, Why *why) {
        const Person *p = state_find(s, c->account);
        int r;

        if (p && p->m.member)
                return moot(why, "the account is a member already");
        if (p && p->m.invited)
                return moot(why, "the account is invited already");
        r = check_admission(s, a, p, "the room is not open: only the owner and admins invite", why);
        if (r < 0)
                return r;
        if (s->invited >= ROSTER_INVITED_MAX || (!p && s->known >= ROSTER_PEOPLE_MAX))
                return refuse(why, -E2BIG, CODE_TOO_MANY, "too many invitations are open");
        return CHANGE_WORKS;
}

static int check_leave(const State *s, const Act *a, const RoomChange *c, Why *why) {
        if (!a->block && !key_equal(a->who, c->account))
                return refuse(why, -EPERM, CODE_NOT_ALLOWED, "nobody leaves for another");
        if (key_equal(s->owner, c->account))
                return refuse(why, -EPERM, CODE_NOT_ALLOWED,
                        "the owner cannot leave: hand the room over, or delete it");
        return state_rank(s, c->account) == ROOM_ROLE_NONE ? moot(why, "the account is no member")
                                                           : CHANGE_WORKS;
}

static int check_remove(const State *s, const Act *a, const RoomChange *c, Why *why) {
        const Person *p = state_find(s, c->account);
        RoomRole rank = rank_of(s, a);

        if (key_equal(a->who, c->account))
                return refuse(why, -EPERM, CODE_NOT_ALLOWED, "nobody removes himself: he leaves");
        if (rank < ROOM_ROLE_ADMIN)
                return refuse(
                        why, -EPERM, CODE_NOT_ALLOWED, "only the owner and admins remove somebody");
        if (key_equal(s->owner, c->account))
                return refuse(why, -EPERM, CODE_NOT_ALLOWED, "nobody removes the owner");
        if (p && p->m.role >= rank)
                return refuse(why, -EPERM, CODE_NOT_ALLOWED, "only the owner removes an admin");
        if (!p || (!p->m.member && !p->m.invited))
                return moot(why, "the account is neither a member nor invited");
        return CHANGE_WORKS;
}

static int check_topic(const State *s, const Act *a, const RoomChange *c, Why *why) {
        if (rank_of(s, a) < ROOM_ROLE_ADMIN)
                return refuse(
                        why, -EPERM, CODE_NOT_ALLOWED, "only the owner and admins set the topic");
        if (!room_topic_is_valid(c->text))
                return refuse(why, -EBADMSG, CODE_INVALID_ARGS, "that is no topic");
        if (strlen(s->topic) == c->text.size &&
                (c->text.size == 0 || memcmp(s->topic, c->text.data, c->text.size) == 0))
                return moot(why, "that is the topic already");
        return CHANGE_WORKS;
}

/* The acceptance of an offer is the one change of role that is proposed. */
static int check_acceptance(const State *s, const Act *a, const RoomChange *c, Why *why) {
        if (c->role != ROOM_ROLE_OWNER || !key_equal(a->who, c->account))
                return refuse(why, -EPERM, CODE_NOT_OWNER, "only the owner changes roles");
        if (!s->offered || !key_equal(s->offer, a->who) || a->epoch < s->offer_epoch)
                return refuse(
                        why, -EPERM, CODE_NOT_ALLOWED, "the owner has not offered the room to him");
        return CHANGE_ACCEPTS;
}

static int check_role(const State *s, const Act *a, const RoomChange *c, Why *why) {
        const Person *p = state_find(s, c->account);

        if (!a->block)
                return check_acceptance(s, a, c, why);
        if (key_equal(s->owner, c->account))
                return refuse(why, -EPERM, CODE_NOT_ALLOWED,
                        "the owner keeps his role until he hands the room over");
        if (!p || !p->m.member)
                return refuse(why, -EPERM, CODE_NOT_MEMBER, "only members have roles");
        if (c->role <= ROOM_ROLE_NONE || c->role >= _ROOM_ROLE_MAX)
                return refuse(why, -EBADMSG, CODE_INVALID_ARGS, "there is no such role");
        return p->m.role == c->role ? moot(why, "the account has that role already") : CHANGE_WORKS;
}

static int check_offer(const State *s, const Act *a, const RoomChange *c, Why *why) {
        bool withdraws = key_equal(s->owner, c->account);

        if (!a->block)
                return refuse(why, -EPERM, CODE_NOT_OWNER, "only the owner gives the room away");
        if (withdraws)
                return s->offered ? CHANGE_WORKS : moot(why, "the room is offered to nobody");
        if (state_rank(s, c->account) == ROOM_ROLE_NONE)
                return refuse(
                        why, -EPERM, CODE_NOT_MEMBER, "the room can be offered to a member only");
        return s->offered && key_equal(s->offer, c->account)
                ? moot(why, "the room is offered to him already")
                : CHANGE_WORKS;
}

int state_check(const State *s, const Act *a, const RoomChange *c, Why *why) {
        *why = (Why){.code = CODE_OK, .text = NULL};
        if (s->deleted)
                return refuse(why, -ESHUTDOWN, CODE_UNKNOWN_ROOM, "the room was deleted");
        if (rank_of(s, a) == ROOM_ROLE_NONE)
                return refuse(why, -EPERM, CODE_NOT_MEMBER, "he is no member of the room");
        switch (c->type) {
        case ROOM_CHANGE_ADD:
                return check_add(s, a, c, why);
        case ROOM_CHANGE_REMOVE:
                return check_remove(s, a, c, why);
        case ROOM_CHANGE_LEAVE:
                return check_leave(s, a, c, why);
        case ROOM_CHANGE_ROLE:
                return check_role(s, a, c, why);
        case ROOM_CHANGE_TOPIC:
                return check_topic(s, a, c, why);
        case ROOM_CHANGE_INVITE:
                return check_invite(s, a, c, why);
        case ROOM_CHANGE_OFFER:
                return check_offer(s, a, c, why);
        case ROOM_CHANGE_DELETE:
                return a->block
                        ? CHANGE_WORKS
                        : refuse(why, -EPERM, CODE_NOT_OWNER, "only the owner deletes the room");
        default:
                return refuse(why, -EBADMSG, CODE_INVALID_ARGS, "that is no change of a room");
        }
}

static int do_add(State *s, const RoomChange *c) {
        Person *p = state_edit(s, c->account);
        int r;

        if (!p)
                return -ENOMEM;
        r = spans_open(s, p, c->heads, c->n_heads);
        if (r < 0)
                return r;
        s->invited -= p->m.invited;
        s->members++;
        p->m.member = p->m.was = true;
        p->m.invited = p->m.kicked = false;
        p->m.role = ROOM_ROLE_MEMBER;
        p->m.since = s->head.epoch;
        memset(p->m.name, 0, sizeof(p->m.name));
        copy_bytes(p->m.name, c->text.data, MIN(c->text.size, (size_t)NAME_MAX_LENGTH));
        return 0;
}

static int do_remove(State *s, const Act *a, const RoomChange *c) {
        Person *p = state_edit(s, c->account);
        int r = 0;

        if (!p)
                return -ENOMEM;
        if (p->m.member)
                r = spans_close(s, p, c->heads, c->n_heads);
        if (r < 0)
                return r;
        s->members -= p->m.member;
        s->invited -= p->m.invited;
        p->m.member = p->m.invited = false;
        p->m.kicked = c->type == ROOM_CHANGE_REMOVE;
        p->m.role = ROOM_ROLE_NONE;
        p->m.appointed = 0;
        if (a->block)
                p->removed = a->epoch;
        else
                p->removed_hlc = a->hlc;
        if (s->offered && key_equal(s->offer, c->account))
                s->offered = false;
        return 0;
}

static int set_role(State *s, const uint8_t account[static KEY_SIZE], RoomRole role) {
        Person *p = state_edit(s, account);

        if (!p)
                return -ENOMEM;
        p->m.role = role;
        p->m.appointed = role == ROOM_ROLE_ADMIN ? ++s->appointed : 0;
        return 0;
}

int state_hand_over(State *s, const uint8_t account[static KEY_SIZE]) {
        int r = set_role(s, s->owner, ROOM_ROLE_ADMIN);

        if (r >= 0)
                r = set_role(s, account, ROOM_ROLE_OWNER);
        if (r < 0)
                return r;
        memcpy(s->owner, account, KEY_SIZE);
        s->offered = false;
        return 0;
}

static int do_invite(State *s, const RoomChange *c) {
        Person *p = state_edit(s, c->account);

        if (!p)
                return -ENOMEM;
        p->m.invited = true;
        s->invited++;
        return 0;
}

static int do_offer(State *s, const Act *a, const RoomChange *c) {
        s->offered = !key_equal(s->owner, c->account);
        memcpy(s->offer, c->account, KEY_SIZE);
        s->offer_epoch = a->epoch;
        return 0;
}

static int do_topic(State *s, const RoomChange *c) {
        memset(s->topic, 0, sizeof(s->topic));
        copy_bytes(s->topic, c->text.data, c->text.size);
        return 0;
}

static int do_change(State *s, const Act *a, const RoomChange *c) {
        switch (c->type) {
        case ROOM_CHANGE_ADD:
                return do_add(s, c);
        case ROOM_CHANGE_REMOVE:
        case ROOM_CHANGE_LEAVE:
                return do_remove(s, a, c);
        case ROOM_CHANGE_ROLE:
                return c->role == ROOM_ROLE_OWNER ? state_hand_over(s, c->account)
                                                  : set_role(s, c->account, c->role);
        case ROOM_CHANGE_TOPIC:
                return do_topic(s, c);
        case ROOM_CHANGE_INVITE:
                return do_invite(s, c);
        case ROOM_CHANGE_OFFER:
                return do_offer(s, a, c);
        case ROOM_CHANGE_DELETE:
                s->deleted = true;
                return 0;
        default:
                return -EBADMSG;
        }
}

int state_change(State *s, const Act *a, const RoomChange *c, Why *why) {
        int r = state_check(s, a, c, why), k;

        if (r != CHANGE_WORKS)
                return r;
        k = do_change(s, a, c);
        return k < 0 ? refuse(why, k, CODE_STORAGE, "out of memory") : r;
}
