/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the user does in rooms. */

#include <stdarg.h>
#include <stdio.h>

#include "rooms/state.h"

int rooms_error(RoomsError *e, Code code, const char *format, ...) {
        va_list args;

        e->code = code;
        va_start(args, format);
        vsnprintf(e->text, sizeof(e->text), format, args);
        va_end(args);
        return -ECANCELED;
}

int room_reason(RoomReason *e, RoomVerdict verdict, Code code, const char *format, ...) {
        va_list args;

        if (!e)
                return (int)verdict;
        e->code = code;
        va_start(args, format);
        vsnprintf(e->text, sizeof(e->text), format, args);
        va_end(args);
        return (int)verdict;
}

/* V of a change by the user, or an error of the store. */
static int result(int v, const RoomReason *why, RoomsError *e) {
        if (v < 0 || v == TAKEN || v == TAKEN_AGAIN)
                return MIN(v, 0);
        return rooms_error(e, why->code == CODE_OK ? CODE_NOT_ALLOWED : why->code, "%s",
                why->text[0] ? why->text : "the room does not allow that");
}

static int find_room(Rooms *r, uint32_t number, RoomsError *e, Room **ret) {
        *ret = room_by_number(r, number);
        return *ret ? 0 : rooms_error(e, CODE_UNKNOWN_ROOM, "no such room");
}

/* A room in which the user can do something. */
static int find_joined(Rooms *r, uint32_t number, RoomsError *e, Room **ret) {
        int x = find_room(r, number, e, ret);
        const RoomRow *row;

        if (x < 0)
                return x;
        row = &(*ret)->row;
        if (row->status == ROOM_DELETED)
                return rooms_error(e, CODE_UNKNOWN_ROOM, "#%s was deleted by its owner", row->name);
        if (row->status == ROOM_JOINING)
                return rooms_error(e, CODE_NOT_MEMBER,
                        "joining #%s is not done yet: no member has answered so far", row->name);
        if (row->status == ROOM_INVITED)
                return rooms_error(e, CODE_NOT_MEMBER,
                        "you are invited to #%s, and not in it yet: join it first", row->name);
        if (row->status == ROOM_KICKED)
                return rooms_error(e, CODE_NOT_MEMBER,
                        "you were removed from #%s: its owner or an admin can invite you again",
                        row->name);
        if (row->status != ROOM_JOINED)
                return rooms_error(
                        e, CODE_NOT_MEMBER, "you are not in #%s: join it first", row->name);
        if (row->flags & ROOM_FLAG_FORKED)
                return rooms_error(e, CODE_NOT_ALLOWED,
                        "the owner of #%s has signed two different states of it: it can only be "
                        "read from now on",
                        row->name);
        return 0;
}

/* 1: C can be done; 0: it is so already. */
static int may(Room *room, const RoomChange *c, RoomsError *e) {
        if (roster_may(room->roster, rooms_self(room->rooms), c))
                return 1;
        if (roster_code(room->roster) == CODE_OK)
                return 0;
        if (roster_code(room->roster) == CODE_NOT_INVITED) /* it is not he who wants in */
                return rooms_error(e, CODE_NOT_ALLOWED, "%s", roster_reason(room->roster));
        return rooms_error(e, roster_code(room->roster), "%s", roster_reason(room->roster));
}

static int change(Room *room, const RoomChange *c, Buffer *ret_proof, RoomsError *e) {
        RoomReason why = {};
        int x = may(room, c, e);

        return x <= 0 ? x : result(commit_change(room, c, ret_proof, &why), &why, e);
}

/* Create and delete, leave */

int rooms_create(Rooms *r, const RoomsCreate *c, uint32_t *ret, RoomsError *e) {
        RoomChange list[2] = {{.type = ROOM_CHANGE_CREATE,
                                      .text = text_bytes(c->name),
                                      .access = c->access,
                                      .history = c->history},
                {.type = ROOM_CHANGE_TOPIC, .text = text_bytes(c->topic ?: "")}};
        uint8_t id[ROOM_ID_SIZE];
        RoomReason why = {};
        Room *room;
        int x;

        if (!name_is_canonical((const uint8_t *)c->name, strlen(c->name)))
                return rooms_error(e, CODE_BAD_NAME, "'%s' is not a name of a room", c->name);
        if (!room_topic_is_valid(list[1].text))
                return rooms_error(e, CODE_TOO_LONG, "a topic is one line of at most %d bytes",
                        ROOM_TOPIC_MAX);
        x = store_check_room(r->store, STORE_PERCENT_OWN);
        if (x < 0)
                return x;
        loop_random(r->loop, list[0].nonce, sizeof(list[0].nonce));
        room_id(rooms_self(r), list[0].nonce, id);
        x = room_make(r, id, c->name, ROOM_JOINED, &room);
        if (x == -EEXIST)
                return rooms_error(e, CODE_ROOM_EXISTS, "you are in another room #%s", c->name);
        if (x < 0)
                return x;
        x = commit_genesis(room, list, list[1].text.size > 0 ? 2 : 1, &why);
        if (x != TAKEN)
                (void)room_set_status(room, ROOM_LEFT);
        else
                x = room_event(room, ROOM_EVENT_CREATED, rooms_self(r));
        *ret = room->row.number;
        return result(x, &why, e);
}

int rooms_delete(Rooms *r, uint32_t number, RoomsError *e) {
        const RoomChange c = {.type = ROOM_CHANGE_DELETE};
        RoomReason why = {};
        Room *room;
        int x;

        x = find_joined(r, number, e, &room);
        if (x >= 0)
                x = may(room, &c, e);
        if (x <= 0)
                return x;
        x = result(commit_alone(room, &c, &why), &why, e);
        if (x < 0)
                return x;
        room->row.farewell = true;
        return room_keep(room);
}

static int leave_now(Room *room) {
        int x = room_set_status(room, ROOM_LEFT);

        return x < 0 ? x : room_event(room, ROOM_EVENT_LEFT, rooms_self(room->rooms));
}

int rooms_leave(Rooms *r, uint32_t number, RoomsError *e) {
        RoomChange c = {.type = ROOM_CHANGE_LEAVE};
        RoomReason why = {};
        Room *room;
        int x;

        x = find_room(r, number, e, &room);
        if (x < 0)
                return x;
        if (room->row.status == ROOM_JOINING || room->row.status == ROOM_INVITED ||
                room->row.status == ROOM_KICKED ||
                (room->row.status == ROOM_JOINED && room->row.flags & ROOM_FLAG_FORKED))
                return leave_now(room);
        if (room->row.status == ROOM_LEFT)
                return rooms_error(e, CODE_NOT_MEMBER, "you have left #%s already", room->row.name);
        x = find_joined(r, number, e, &room);
        if (x < 0)
                return x;
        if (room_rank(room, rooms_self(r)) == ROOM_ROLE_OWNER)
                return rooms_error(e, CODE_NOT_ALLOWED,
                        "#%s is yours: give it to another member, or delete it", room->row.name);
        memcpy(c.account, rooms_self(r), KEY_SIZE);
        x = room_own_heads(room, store_write(r->store), c.heads, &c.n_heads);
        if (x >= 0)
                x = may(room, &c, e);
        if (x <= 0)
                return x;
        x = result(commit_propose(room, &c, NULL, &why), &why, e);
        if (x < 0)
                return x;
        room->row.farewell = true;
        return room_keep(room);
}

/* Members */

static int is_blocked(Rooms *r, const uint8_t account[static KEY_SIZE]) {
        Contact c;
        int x = contact_get(store_write(r->store), account, &c);

        return x > 0 ? (c.flags & CONTACT_BLOCKED) != 0 : x;
}

int rooms_invite(Rooms *r, uint32_t number, const uint8_t account[static KEY_SIZE], RoomsError *e) {
        RoomChange c = {.type = ROOM_CHANGE_INVITE};
        _cleanup_(buffer_done) Buffer proof = BUFFER_NULL;
        Room *room;
        int x;

        x = find_joined(r, number, e, &room);
        if (x >= 0)
                x = is_blocked(r, account);
        if (x > 0)
                return rooms_error(
                        e, CODE_BLOCKED, "this contact is blocked: unblock him to invite him");
        memcpy(c.account, account, KEY_SIZE);
        if (x >= 0)
                x = change(room, &c, &proof, e);
        /* Who is invited already, and may have missed or declined it, is told again. */
        if (x < 0 || !roster_is_invited(room->roster, account))
                return x;
        return room_owe_notice(room, account, ROOM_NOTICE_INVITED, buffer_bytes(&proof));
}

int rooms_kick(Rooms *r, uint32_t number, const uint8_t account[static KEY_SIZE], RoomsError *e) {
        RoomChange c = {.type = ROOM_CHANGE_REMOVE};
        _cleanup_(buffer_done) Buffer proof = BUFFER_NULL;
        Room *room;
        int x;

        x = find_joined(r, number, e, &room);
        if (x < 0)
                return x;
        if (key_equal(account, rooms_self(r)))
                return rooms_error(e, CODE_NOT_ALLOWED, "that is you: leave the room instead");
        if (!room_is_member(room, account))
                return rooms_error(e, CODE_NOT_MEMBER, "this is no member of #%s", room->row.name);
        memcpy(c.account, account, KEY_SIZE);
        x = room_heads_of(room, store_write(r->store), account, c.heads, &c.n_heads);
        if (x >= 0)
                x = change(room, &c, &proof, e);
        if (x < 0 || buffer_size(&proof) == 0)
                return x;
        return room_owe_notice(room, account, ROOM_NOTICE_REMOVED, buffer_bytes(&proof));
}

int rooms_set_topic(Rooms *r, uint32_t number, const char *topic, RoomsError *e) {
        RoomChange c = {.type = ROOM_CHANGE_TOPIC, .text = text_bytes(topic)};
        Room *room;
        int x;

        x = find_joined(r, number, e, &room);
        if (x < 0)
                return x;
        if (!room_topic_is_valid(c.text))
                return rooms_error(e, CODE_TOO_LONG, "a topic is one line of at most %d bytes",
                        ROOM_TOPIC_MAX);
        return change(room, &c, NULL, e);
}

int rooms_set_role(Rooms *r, uint32_t number, const uint8_t account[static KEY_SIZE], RoomRole role,
        RoomsError *e) {
        RoomChange c = {.type = role == ROOM_ROLE_OWNER ? ROOM_CHANGE_OFFER : ROOM_CHANGE_ROLE,
                .role = role == ROOM_ROLE_OWNER ? ROOM_ROLE_NONE : role};
        Room *room;
        int x;

        x = find_joined(r, number, e, &room);
        if (x < 0)
                return x;
        if (!room_is_member(room, account))
                return rooms_error(e, CODE_NOT_MEMBER, "this is no member of #%s", room->row.name);
        memcpy(c.account, account, KEY_SIZE);
        return change(room, &c, NULL, e);
}

int room_admit(Room *room, const uint8_t account[static KEY_SIZE], const char *name,
        const FeedHead *heads, size_t n_heads, RoomReason *why) {
        RoomChange c = {.type = ROOM_CHANGE_ADD, .text = text_bytes(name)};
        const RosterMember *known = roster_member(room->roster, account);

        if (!room_is_joined(room))
                return room_reason(why, TAKEN_REFUSED, CODE_NOT_MEMBER,
                        "this member cannot let anybody in now");
        if (room_is_member(room, account))
                return TAKEN_AGAIN;
        memcpy(c.account, account, KEY_SIZE);
        /* Who comes back goes on after what he wrote while he was out. Who has never been in was
         * let in by somebody who could not do that any more: all that he wrote then counts. */
        if (known && known->was) {
                c.n_heads = n_heads;
                copy_bytes(c.heads, heads, n_heads * sizeof(*heads));
        }
        if (!roster_may(room->roster, rooms_self(room->rooms), &c))
                return room_reason(why, TAKEN_REFUSED, roster_code(room->roster), "%s",
                        roster_reason(room->roster));
        return commit_propose(room, &c, NULL, why);
}

/* Writing */

/* Where the own feed goes on, once the user has been out of the room: not where it was cut. RET is
 * what comes before the entry then. */
static int go_on(Room *room, Inner *m, FeedHead *ret) {
        uint64_t seq, end;

        seq = roster_allowed(room->roster, m->account, m->epoch, m->device, m->seq);
        if (seq == m->seq)
                return 0;
        if (seq == UINT64_MAX ||
                !roster_resume(room->roster, m->account, m->epoch, m->device, seq, ret, &end))
                return -EROFS;
        m->seq = seq;
        memcpy(m->prev, ret->hash, SHA256_SIZE);
        return 1;
}

static int seal(Room *room, Inner *m, Bytes text, Buffer *head, Buffer *body) {
        uint8_t key[ROOM_KEY_SIZE];
        RoomHead at;
        int x;

        at.epoch = room_head(room, at.hash);
        x = room_head_encode(head, &at);
        if (x < 0)
                return x;
        m->control_head = buffer_bytes(head);
        x = room_entry_key(room, store_write(room->rooms->store), m, key);
        if (x > 0)
                x = room_entry_seal(key, m, text, body);
        else if (x == 0)
                x = -ENOKEY;
        explicit_bzero(key, sizeof(key));
        m->body = buffer_bytes(body);
        return x;
}

static int write_entry(Room *room, const RoomsMessage *in, const uint8_t *content) {
        Rooms *r = room->rooms;
        _cleanup_(buffer_done) Buffer head = BUFFER_NULL, body = BUFFER_NULL, bytes = BUFFER_NULL;
        Inner m = {.id = in->id,
                .kind = KIND_TEXT,
                .has_reply_to = in->has_reply_to,
                .reply_to = in->reply_to};
        uint8_t hash[SHA256_SIZE], signature[SIGNATURE_SIZE];
        NewRoomEntry n = {.room = room->row.number,
                .account = SELF_NUMBER,
                .inner = &m,
                .hash = hash,
                .signature = {.data = signature, .size = sizeof(signature)},
                .content = content,
                .now = in->now};
        RoomPosition at;
        FeedHead resume;
        int x;

        x = store_room_prepare(r->store, r->self, room->row.number, in->now, &m);
        if (x >= 0)
                x = entries_are_over(room, &m);
        x = x > 0 ? -EROFS : x < 0 ? x : go_on(room, &m, &resume);
        if (x > 0)
                n.resume = &resume;
        if (x >= 0)
                x = seal(room, &m, in->text, &head, &body);
        if (x >= 0)
                x = inner_encode(&bytes, &m);
        if (x < 0)
                return x;
        n.bytes = buffer_bytes(&bytes);
        sha256(n.bytes.data, n.bytes.size, hash);
        at = room_position(&m);
        x = room_entry_sign(&r->self->device, &at, hash, signature);
        if (x >= 0)
                x = author_keep_own(r);
        return x < 0 ? x : store_room_append(r->store, &n);
}

int rooms_send(Rooms *r, uint32_t number, const RoomsMessage *m, RoomsError *e) {
        uint8_t content[SHA256_SIZE];
        Room *room;
        int x;

        x = find_room(r, number, e, &room);
        if (x < 0)
                return x;
        store_room_content(room->row.id, m->has_reply_to ? &m->reply_to : NULL, m->text, content);
        x = store_room_sent(store_write(r->store), &m->id, content);
        if (x == 0)
                x = find_joined(r, number, e, &room);
        else if (x > 0)
                return 1;
        if (x >= 0)
                x = write_entry(room, m, content);
        switch (x) {
        case -EEXIST:
                return rooms_error(e, CODE_INVALID_ARGS, "another message was sent under this id");
        case -ENOKEY:
                return rooms_error(e, CODE_NOT_ALLOWED,
                        "#%s has a new key, which this device does not have yet: any member who "
                        "is online brings it; try again then",
                        room->row.name);
        case -EROFS:
                return rooms_error(e, CODE_NOT_ALLOWED,
                        "nobody in #%s takes more from this device: it has written two entries "
                        "with one number, or a newer device has taken over",
                        room->row.name);
        default:
                break;
        }
        if (x >= 0 && (room->own == 0 || room->own_epoch != r->self->epoch))
                x = marks_load(room, store_write(r->store));
        return x < 0 ? x : room_touch(room, ROOM_NEW_ENTRIES);
}

void rooms_read(Rooms *r, uint32_t number) {
        Room *room = room_by_number(r, number);

        if (room)
                (void)room_touch(room, ROOM_NEW_MARKS);
}
