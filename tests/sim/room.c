/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What people do in the room of the world, which is called "#room": through chat/, as they write to
 * one another, and asked again until it is answered. Errands of one person are done one after the
 * other.
 */

#include <stdio.h>

#include <utlist.h>

#include "loop-virtual.h"
#include "room.h"

/* After these the same may be answered otherwise a little later. */
static bool is_transient(const ChatError *e, Deed deed) {
        static const char *const names[] = {"NotLoggedIn", "RateLimited", "Storage", "Timeout",
                "TooMany", "TrackerUnreachable", "PeerStorage", "PeerOffline", "Cancelled"};

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(e->name, names[i]))
                        return true;
        if (deed == DEED_INVITE && streq(e->name, "UnknownPeer"))
                return true; /* he has no account so far */
        return deed == DEED_JOIN && streq(e->name, "UnknownRoom");
}

/* These answers are right at times, as people act on what they know. */
static bool may_be_refused(const ChatError *e) {
        static const char *const names[] = {"NotAllowed", "NotMember", "NotInvited", "NotOwner",
                "RoomExists", "UnknownPeer", "UnknownRoom", "Blocked"};

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(e->name, names[i]))
                        return true;
        return false;
}

static bool is_heard(User *u) {
        return u->running && machine_call(u->machine);
}

/* Errands */

static const char *const deeds[_DEED_MAX] = {
        [DEED_MAKE] = "CreateRoom",
        [DEED_MAKE_PRIVATE] = "CreateRoom",
        [DEED_MAKE_HIDDEN] = "CreateRoom",
        [DEED_JOIN] = "JoinRoom",
        [DEED_LEAVE] = "LeaveRoom",
        [DEED_INVITE] = "Invite",
        [DEED_KICK] = "Kick",
        [DEED_ADMIN] = "SetRole",
        [DEED_GIVE] = "SetRole",
};

static void errand_free(Errand *e) {
        DL_DELETE(e->by->room.errands, e);
        free(e);
}

static void errand_was_done(Errand *e) {
        UserRoom *mine = &e->by->room;

        switch (e->deed) {
        case DEED_MAKE ... DEED_MAKE_HIDDEN:
                mine->founder = true;
                mine->in = true;
                break;
        case DEED_JOIN:
                mine->in = true;
                break;
        case DEED_KICK:
                room_note_kick(e->by, e->whom);
                break;
        default:
                break;
        }
}

static void on_errand(Errand *e, const ChatError *error) {
        User *u = e->by;

        if (!is_heard(u))
                return;
        e->waiting = false;
        user_ask_again(u);
        TRACE(u, "is answered %s: %s", deeds[e->deed], error ? error->name : "done");
        if (error && is_transient(error, e->deed))
                return;
        if (error && !may_be_refused(error))
                FAIL(u, "refused", "%s: %s: %s", deeds[e->deed], error->name, error->text);
        if (error)
                TRACE(u, "drops it: %s", error->text);
        else
                errand_was_done(e);
        errand_free(e);
}

static void on_room_done(void *userdata, const ChatError *error) {
        on_errand(userdata, error);
}

static void on_room_id(void *userdata, const ChatError *error, const char *id) {
        on_errand(userdata, error);
}

static const char *const accesses[] = {
        [DEED_MAKE] = "open",
        [DEED_MAKE_PRIVATE] = "private",
        [DEED_MAKE_HIDDEN] = "hidden",
};

static void begin(Errand *e) {
        Chat *chat = e->by->machine->parts->chat;
        char ref[USER_REF_SIZE];
        const char *whom = e->whom ? user_ref(e->whom, ref) : "";

        e->waiting = true;
        switch (e->deed) {
        case DEED_MAKE ... DEED_MAKE_HIDDEN:
                chat_create_room(chat,
                        &(ChatCreateRoom){.room = ROOM_CALLED, .access = accesses[e->deed]},
                        on_room_id, e);
                break;
        case DEED_JOIN:
                chat_join_room(chat, ROOM_CALLED, on_room_id, e);
                break;
        case DEED_LEAVE:
                e->by->room.was_out = true;
                e->by->room.in = false;
                chat_leave_room(chat, ROOM_CALLED, on_room_done, e);
                break;
        case DEED_INVITE:
                e->whom->room.reinstated |= e->whom->room.was_kicked;
                chat_invite(chat, ROOM_CALLED, whom, on_room_done, e);
                break;
        case DEED_KICK:
                e->whom->room.was_out = e->whom->room.was_kicked = true;
                room_note_kick_begins(e->by);
                chat_kick(chat, ROOM_CALLED, whom, on_room_done, e);
                break;
        case DEED_ADMIN:
                chat_set_role(chat, ROOM_CALLED, whom, "admin", on_room_done, e);
                break;
        case DEED_GIVE:
                user_ledger(e->by)->room_given = true;
                chat_set_role(chat, ROOM_CALLED, whom, "owner", on_room_done, e);
                break;
        case _DEED_MAX:
                break;
        }
}

void user_do(User *u, Deed deed, User *whom) {
        Errand *e;

        if (u->machine->destroyed)
                return;
        e = must(calloc(1, sizeof(*e)));
        *e = (Errand){.by = u, .whom = whom, .deed = deed};
        DL_APPEND(u->room.errands, e);
        user_ledger(u)->has_room = true;
        user_ledger(u)->room_hidden |= deed == DEED_MAKE_HIDDEN;
        TRACE(u, "wants to %s", deeds[deed]);
        room_ask_again(u);
}

/* Writing */

static void post_dropped(Post *p) {
        DL_DELETE(p->from->room.open, p);
        p->dropped = true;
}

static void on_posted(void *userdata, const ChatError *e, const char *id) {
        Post *p = userdata;
        User *u = p->from;

        if (!is_heard(u))
                return;
        p->waiting = false;
        if (e) {
                TRACE(u, "is answered \"%s\": %s", p->text, e->name);
                user_ask_again(u);
                if (is_transient(e, _DEED_MAX))
                        return;
                if (!may_be_refused(e))
                        FAIL(u, "refused", "\"%s\": %s: %s", p->text, e->name, e->text);
                if (p->kept && !u->room.was_out)
                        FAIL(u, "accepted-lost", "\"%s\" is kept, and %s: %s", p->text, e->name,
                                e->text);
                if (!u->room.errands)
                        post_dropped(p);
                return;
        }
        if (!streq(id, p->id_text))
                FAIL(u, "answer-wrong", "\"%s\" has the id %s", p->text, id);
        if (!p->kept)
                FAIL(u, "room-reply-before-commit", "\"%s\" is not on disk", p->text);
        p->accepted = true;
        DL_DELETE(u->room.open, p);
        TRACE(u, "may forget \"%s\"", p->text);
}

static void send_post(Post *p) {
        ChatSend args = {.to = ROOM_CALLED, .text = p->text, .id = p->id_text};

        p->asked = p->waiting = true;
        chat_send(p->from->machine->parts->chat, &args, on_posted, p);
}

static Post *post_new(User *u) {
        Ledger *l = user_ledger(u);
        Post *p = must(calloc(1, sizeof(*p) + l->n_users * sizeof(p->arrived[0])));
        uint8_t random[10];

        for (size_t i = 0; i < sizeof(random); i++)
                random[i] = (uint8_t)world_random_below(u->machine->world, 256);
        *p = (Post){.from = u, .id = uuid_make_v7(loop_realtime(u->machine->loop), random)};
        uuid_format(&p->id, p->id_text);
        snprintf(p->text, sizeof(p->text), "%s to all %u", u->machine->name, ++u->room.n_posts);
        HASH_ADD(hh, l->posts, id, sizeof(p->id), p);
        must(p->hh.tbl);
        return p;
}

void user_post(User *u) {
        Post *p;

        if (u->machine->destroyed)
                return;
        p = post_new(u);
        user_ledger(u)->has_room = true;
        DL_APPEND(u->room.open, p);
        TRACE(u, "wants to say \"%s\"", p->text);
        if (!u->running || !u->registered)
                return;
        if (u->room.errands)
                user_ask_again(u);
        else
                send_post(p);
}

/* Nobody asks again, and nothing is promised. */
static void on_posted_from(void *userdata, const ChatError *e, const char *id) {
}

void room_post_from(Machine *m, User *author) {
        ChatSend args = {.to = ROOM_CALLED};
        Post *p;

        if (!m->running || m->stopping || m->asleep)
                return;
        p = post_new(author);
        p->kept = true;
        args.text = p->text;
        args.id = p->id_text;
        machine_enter(m);
        world_trace(author->machine->world, m, "says \"%s\"", p->text);
        author->room.forked |= author->machine->has_twin;
        chat_send(m->parts->chat, &args, on_posted_from, NULL);
        machine_leave(m);
}

/* All that is here */

static void on_room_read(void *userdata, const ChatError *e) {
}

static bool on_newest(void *userdata, const ChatMessage *m) {
        snprintf(userdata, UUID_TEXT_SIZE, "%s", m->id);
        return false;
}

void user_read_room(User *u) {
        ChatListMessages args = {.with = ROOM_CALLED, .limit = 1};
        char id[UUID_TEXT_SIZE] = "";
        bool more;
        ChatError e;

        if (!u->running || !u->registered)
                return;
        if (chat_list_messages(u->machine->parts->chat, &args, on_newest, id, &more, &e) < 0 ||
                !id[0])
                return;
        chat_mark_read(u->machine->parts->chat, id, on_room_read, NULL);
}

/* The program comes and goes */

void room_ask_again(User *u) {
        Post *p, *tmp;
        Errand *e = u->room.errands;

        if (!u->running || !u->registered)
                return;
        if (e) {
                if (!e->waiting)
                        begin(e);
                return;
        }
        DL_FOREACH_SAFE (u->room.open, p, tmp)
                if (!p->waiting)
                        send_post(p);
}

usec_t room_absence(const User *u) {
        const UserRoom *r = &u->room;

        return u->running || r->ended == 0
                ? r->longest_absence
                : MAX(r->longest_absence, world_time(u->machine->world) - r->ended);
}

void room_user_started(User *u) {
        u->room.longest_absence = room_absence(u);
}

void room_user_ended(User *u) {
        Errand *e;
        Post *p;

        u->room.ended = world_time(u->machine->world);
        DL_FOREACH (u->room.errands, e)
                e->waiting = false;
        DL_FOREACH (u->room.open, p)
                p->waiting = false;
}

bool room_user_is_content(const User *u) {
        return !u->room.errands && !u->room.open;
}

void room_user_done(User *u) {
        while (u->room.errands)
                errand_free(u->room.errands);
}
