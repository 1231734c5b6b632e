/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rooms as the user sees them, with nobody else there. */

#include "test.h"

#include "chat-lab.h"
#include "chat/room.h"
#include "rooms/state.h"

typedef struct Answer {
        unsigned n;
        const char *error; /* NULL: it went well */
        char text[CHAT_ERROR_TEXT_SIZE], id[64];
} Answer;

static Answer answer;

static void on_id(void *userdata, const ChatError *error, const char *id) {
        answer.n++;
        answer.error = error ? error->name : NULL;
        snprintf(answer.text, sizeof(answer.text), "%s", error ? error->text : "");
        snprintf(answer.id, sizeof(answer.id), "%s", id ?: "");
}

static void on_done(void *userdata, const ChatError *error) {
        on_id(userdata, error, NULL);
}

/* NULL: it went well; else the error's name, which came with a sentence. */
static const char *settled(ChatLab *l) {
        size_t n;

        sim_run(&l->sim, 10 * USEC_PER_SEC);
        CHECK_EQ(answer.n, 1);
        answer.n = 0;
        n = strlen(answer.text);
        CHECK(!answer.error || (n > 1 && answer.text[n - 1] == '.' && answer.text[n - 2] != '.'));
        return answer.error;
}

#define CHECK_DONE(call)                                                                           \
        ({                                                                                         \
                const char *_error = call;                                                         \
                CHECK(!_error);                                                                    \
        })

static const char *create_with(ChatLab *l, const ChatCreateRoom *args) {
        chat_create_room(l->chat, args, on_id, NULL);
        return settled(l);
}

static const char *create(ChatLab *l, const char *room) {
        return create_with(l, &(ChatCreateRoom){.room = room});
}

typedef void (*ActFn)(Chat *c, const char *room, ChatDoneFn fn, void *userdata);

static const char *act(ChatLab *l, ActFn fn, const char *room) {
        fn(l->chat, room, on_done, NULL);
        return settled(l);
}

static const char *join(ChatLab *l, const char *room) {
        chat_join_room(l->chat, room, on_id, NULL);
        return settled(l);
}

static const char *set_topic(ChatLab *l, const char *room, const char *topic) {
        chat_set_topic(l->chat, room, topic, on_done, NULL);
        return settled(l);
}

static const char *send_text(ChatLab *l, const char *to, const char *text) {
        chat_send(l->chat, &(ChatSend){.to = to, .text = text}, on_id, NULL);
        return settled(l);
}

static void set_up(ChatLab *l) {
        chat_lab_begin(l);
        chat_lab_save_lan_identity(l);
        chat_lab_start(l);
        answer.n = 0;
}

/* Lists */

typedef struct Listed {
        char text[4096];
        unsigned n;
        bool done;
} Listed;

static Listed listed;

static void list_add(const char *a, const char *b) {
        size_t n = strlen(listed.text);

        listed.n++;
        snprintf(
                listed.text + n, sizeof(listed.text) - n, "%s%s=%s", n > 0 ? " " : "", a, b ?: "-");
}

static bool on_room(void *userdata, const ChatRoom *r) {
        list_add(r->room, r->status);
        return true;
}

static void on_rooms(void *userdata, const ChatError *error, bool more) {
        CHECK(!error);
        listed.done = true;
}

/* Without anybody being asked: at once. */
static const char *known_rooms(ChatLab *l) {
        listed = (Listed){};
        chat_list_rooms(
                l->chat, &(ChatListRooms){.known = true, .limit = 1000}, on_room, on_rooms, NULL);
        CHECK(listed.done);
        return listed.text;
}

static const char *rooms(ChatLab *l, const char *words, bool all) {
        listed = (Listed){};
        chat_list_rooms(l->chat, &(ChatListRooms){.words = words, .all = all, .limit = 1000},
                on_room, on_rooms, NULL);
        sim_run(&l->sim, 10 * USEC_PER_SEC);
        CHECK(listed.done);
        return listed.text;
}

static bool on_message(void *userdata, const ChatMessage *m) {
        CHECK_STR(m->room, m->to);
        list_add(m->text, m->state);
        return true;
}

static const char *history(ChatLab *l, const char *room) {
        ChatError e;
        bool more;

        listed = (Listed){};
        CHECK_OK(chat_list_messages(l->chat, &(ChatListMessages){.with = room, .limit = 1000},
                on_message, NULL, &more, &e));
        return listed.text;
}

static const char *outbox(ChatLab *l, const char *after, unsigned limit, bool *ret_more) {
        ChatError e;

        listed = (Listed){};
        CHECK_OK(chat_list_outbox(l->chat, after, limit, on_message, NULL, ret_more, &e));
        return listed.text;
}

static bool on_member(void *userdata, const ChatMember *m) {
        list_add(m->name, m->role);
        return true;
}

/* Making, listing */

TEST(rooms_are_made_and_found_by_words) {
        ChatLab l;

        set_up(&l);
        CHECK_STR(rooms(&l, NULL, false), "");
        CHECK_DONE(create_with(&l, &(ChatCreateRoom){.room = "#Garden", .topic = "Roses, bees"}));
        CHECK_EQ(strlen(answer.id), BASE32_KEY_SIZE);
        CHECK_DONE(create_with(&l,
                &(ChatCreateRoom){.room = "#kitchen",
                        .access = "hidden",
                        .history = "joined",
                        .topic = "soup of roses"}));
        CHECK_STR(rooms(&l, NULL, false), "#garden=joined #kitchen=joined");
        CHECK_STR(known_rooms(&l), "#garden=joined #kitchen=joined");
        CHECK_STR(rooms(&l, "ROSES", false), "#garden=joined #kitchen=joined");
        CHECK_STR(rooms(&l, "roses  kit", false), "#kitchen=joined");
        CHECK_STR(rooms(&l, "kit\troses", false), "#kitchen=joined");
        CHECK_STR(rooms(&l, "#kit", false), "#kitchen=joined");
        CHECK_STR(rooms(&l, " #", false), "#garden=joined #kitchen=joined");
        CHECK_STR(rooms(&l, "rosest", false), "");
        CHECK_STR(create(&l, "#garden"), "RoomExists");
        CHECK_DONE(join(&l, "#garden"));
        CHECK_STR(join(&l, "#cellar"), "UnknownRoom");
        chat_lab_free(&l);
}

/* Each has its turn, and none is answered before it. */
TEST(several_questions_at_a_time) {
        ChatLab l;

        set_up(&l);
        CHECK_DONE(create(&l, "#a"));
        for (int i = 0; i < 3; i++)
                chat_join_room(l.chat, "#b", on_id, NULL);
        listed = (Listed){};
        chat_list_rooms(l.chat, &(ChatListRooms){.limit = 10}, on_room, on_rooms, NULL);
        sim_run(&l.sim, 60 * USEC_PER_SEC);
        CHECK_EQ(answer.n, 3);
        CHECK_STR(answer.error, "UnknownRoom");
        CHECK(listed.done);
        CHECK_STR(listed.text, "#a=joined");
        answer.n = 0;
        chat_join_room(l.chat, "#b", on_id, NULL);
        chat_join_room(l.chat, "#c", on_id, NULL);
        chat_lab_free(&l); /* and nobody is called any more */
        CHECK_EQ(answer.n, 0);
}

TEST(what_cannot_be_made_says_why) {
        char topic[ROOM_TOPIC_MAX + 2];
        ChatLab l;

        set_up(&l);
        memset(topic, 'x', sizeof(topic));
        topic[ROOM_TOPIC_MAX + 1] = 0;
        CHECK_STR(create(&l, "garden"), "BadName");
        CHECK_STR(create(&l, "#"), "BadName");
        CHECK_STR(create(&l, "#~abcd"), "BadName");
        CHECK_STR(create(&l, "#a~abcd"), "BadName");
        CHECK_STR(create(&l, "#a b"), "BadName");
        CHECK_STR(create_with(&l, &(ChatCreateRoom){"#a", .access = "shut"}), "InvalidArgs");
        CHECK_STR(create_with(&l, &(ChatCreateRoom){"#a", .history = "none"}), "InvalidArgs");
        CHECK_STR(create_with(&l, &(ChatCreateRoom){"#a", .topic = "a\nb"}), "InvalidArgs");
        CHECK_STR(create_with(&l, &(ChatCreateRoom){"#a", .topic = topic}), "TooLong");
        topic[ROOM_TOPIC_MAX] = 0;
        CHECK_DONE(create_with(&l, &(ChatCreateRoom){"#a", .topic = topic}));
        CHECK_STR(set_topic(&l, "#a", "\x01"), "InvalidArgs");
        CHECK_DONE(set_topic(&l, "#a", ""));
        chat_lab_free(&l);
}

TEST(a_room_that_has_ended_makes_room_for_another) {
        char first[64];
        ChatLab l;

        set_up(&l);
        CHECK_DONE(create(&l, "#a"));
        memcpy(first, answer.id, sizeof(first));
        CHECK_DONE(send_text(&l, "#a", "old"));
        CHECK_STR(act(&l, chat_leave_room, "#a"), "NotAllowed");
        CHECK_DONE(act(&l, chat_delete_room, "#a"));
        CHECK_STR(send_text(&l, "#a", "more"), "UnknownRoom");
        CHECK_STR(join(&l, "#a"), "UnknownRoom");
        CHECK_STR(rooms(&l, NULL, false), "");
        CHECK_STR(rooms(&l, NULL, true), "#a=deleted");
        CHECK_STR(history(&l, "#a"), "old=queued");

        CHECK_DONE(create(&l, "#a"));
        CHECK(!streq(answer.id, first));
        CHECK_DONE(send_text(&l, "#a", "new"));
        CHECK_STR(history(&l, "#a"), "new=queued");
        snprintf(answer.id, sizeof(answer.id), "#a~%.4s", first);
        CHECK_STR(history(&l, answer.id), "old=queued");
        CHECK_STR(act(&l, chat_delete_room, answer.id), "UnknownRoom"); /* it was, before */
        chat_lab_free(&l);
}

/* As one that a tracker has refused, which its maker deletes at once. */
TEST(a_room_in_which_nothing_ever_was_is_in_no_list) {
        ChatLab l;

        set_up(&l);
        CHECK_DONE(create(&l, "#a"));
        CHECK_DONE(act(&l, chat_delete_room, "#a"));
        CHECK_STR(rooms(&l, NULL, true), "");
        CHECK_DONE(create(&l, "#a"));
        CHECK_STR(rooms(&l, NULL, true), "#a=joined");
        chat_lab_free(&l);
}

/* The record of a room that has changed hands is of all its blocks: with one of them not kept yet
 * there is none. */
TEST(what_is_published_is_on_disk) {
        Room *room;
        ChatLab l;

        set_up(&l);
        CHECK_DONE(create(&l, "#a"));
        room = room_by_number(l.parts->rooms, 1);
        CHECK(room);
        *(uint8_t *)roster_founder(room->roster) ^= 1; /* as if somebody else had made it */
        chat_set_topic(l.chat, "#a", "roses", on_done, NULL);
        CHECK_EQ(roster_head(room->roster)->epoch, 2);
        CHECK_EQ(room_publish(l.chat, 1, NULL, NULL), -ENOENT);
        CHECK_DONE(settled(&l));
        chat_lab_free(&l);
}

/* What is said */

TEST(what_nobody_else_has_waits) {
        char first[64];
        bool more;
        ChatLab l;

        set_up(&l);
        CHECK_DONE(create(&l, "#a"));
        CHECK_DONE(send_text(&l, "#A", "one"));
        memcpy(first, answer.id, sizeof(first));
        CHECK_DONE(send_text(&l, "#a", "two"));
        CHECK_STR(history(&l, "#a"), "one=queued two=queued");
        CHECK_STR(outbox(&l, NULL, 1000, &more), "one=queued two=queued");
        CHECK(!more);
        CHECK_STR(outbox(&l, NULL, 1, &more), "one=queued");
        CHECK(more);
        CHECK_STR(outbox(&l, first, 1000, &more), "two=queued");
        CHECK(!more);
        chat_cancel(l.chat, first, on_done, NULL);
        CHECK_STR(settled(&l), "NotAllowed");
        chat_mark_read(l.chat, first, on_done, NULL);
        CHECK_DONE(settled(&l));
        CHECK_STR(send_text(&l, "#b", "x"), "UnknownRoom");
        CHECK_STR(send_text(&l, "#a", ""), "InvalidArgs");
        chat_lab_free(&l);
}

TEST(one_id_is_one_message) {
        const char *id = "01890000-0000-7000-8000-00000000000a";
        ChatLab l;

        set_up(&l);
        CHECK_DONE(create(&l, "#a"));
        CHECK_DONE(create(&l, "#b"));
        for (int i = 0; i < 2; i++) {
                chat_send(l.chat, &(ChatSend){.to = "#a", .text = "x", .id = id}, on_id, NULL);
                CHECK_DONE(settled(&l));
                CHECK_STR(answer.id, id);
        }
        CHECK_STR(history(&l, "#a"), "x=queued");
        chat_send(l.chat, &(ChatSend){.to = "#a", .text = "y", .id = id}, on_id, NULL);
        CHECK_STR(settled(&l), "InvalidArgs");
        chat_send(l.chat, &(ChatSend){.to = "#b", .text = "x", .id = id}, on_id, NULL);
        CHECK_STR(settled(&l), "InvalidArgs");
        CHECK_STR(history(&l, "#b"), "");
        chat_lab_free(&l);
}

TEST(the_digest_is_that_of_what_is_said) {
        ChatDigest before, after;
        ChatError e;
        ChatLab l;

        set_up(&l);
        CHECK_DONE(create(&l, "#a"));
        CHECK_OK(chat_digest(l.chat, "#a", &before, &e));
        CHECK(before.room && before.messages == 0 && before.control_epoch > 0);
        CHECK_EQ(strlen(before.digest), 64);
        CHECK_DONE(send_text(&l, "#a", "x"));
        CHECK_OK(chat_digest(l.chat, "#a", &after, &e));
        CHECK_EQ(after.messages, 1);
        CHECK(!streq(before.digest, after.digest));
        CHECK_STR(before.control_hash, after.control_hash);
        CHECK_DONE(set_topic(&l, "#a", "t"));
        chat_lab_stop(&l);
        chat_lab_start(&l);
        CHECK_OK(chat_digest(l.chat, "#a", &before, &e));
        CHECK_STR(before.digest, after.digest);
        CHECK(before.control_epoch > after.control_epoch);
        CHECK_EQ(chat_digest(l.chat, "#b", &after, &e), -ECANCELED);
        CHECK_STR(e.name, "UnknownRoom");
        CHECK_EQ(chat_digest(l.chat, "nobody", &after, &e), -ECANCELED);
        CHECK_STR(e.name, "UnknownPeer");
        chat_lab_free(&l);
}

/* People */

TEST(who_is_in_a_room) {
        ChatError e;
        bool more;
        ChatLab l;

        set_up(&l);
        chat_lab_add_contact(&l, "bob", CONTACT_PINNED, NULL);
        chat_lab_add_contact(&l, "mallory", CONTACT_PINNED | CONTACT_BLOCKED, NULL);
        CHECK_OK(store_commit(l.store));
        CHECK_DONE(create(&l, "#a"));
        listed = (Listed){};
        CHECK_OK(chat_list_members(l.chat, "#a", NULL, 10, on_member, NULL, &more, &e));
        CHECK_STR(listed.text, "alice=owner");
        chat_kick(l.chat, "#a", "bob", on_done, NULL);
        CHECK_STR(settled(&l), "NotMember");
        chat_kick(l.chat, "#a", "nobody", on_done, NULL);
        CHECK_STR(settled(&l), "UnknownPeer");
        chat_kick(l.chat, "#a", "alice", on_done, NULL);
        CHECK_STR(settled(&l), "NotAllowed");
        chat_set_role(l.chat, "#a", "bob", "admin", on_done, NULL);
        CHECK_STR(settled(&l), "NotMember");
        chat_set_role(l.chat, "#a", "bob", "king", on_done, NULL);
        CHECK_STR(settled(&l), "InvalidArgs");
        chat_invite(l.chat, "#a", "mallory", on_done, NULL);
        CHECK_STR(settled(&l), "Blocked");
        chat_invite(l.chat, "#a", "bob", on_done, NULL);
        CHECK_DONE(settled(&l));
        chat_invite(l.chat, "#a", "nobody", on_done, NULL);
        CHECK_STR(settled(&l), "TrackerUnreachable");
        CHECK_EQ(chat_list_members(l.chat, "#b", NULL, 10, on_member, NULL, &more, &e), -ECANCELED);
        CHECK_STR(e.name, "UnknownRoom");
        CHECK_EQ(chat_set_typing(l.chat, "#b", true, &e), -ECANCELED);
        CHECK_STR(e.name, "UnknownRoom");
        CHECK_OK(chat_set_typing(l.chat, "#a", true, &e));
        chat_lab_free(&l);
}

static bool on_there(void *userdata, const ChatMember *m) {
        list_add(m->name, m->presence);
        return true;
}

static const char *who_is_there(ChatLab *l) {
        ChatError e;
        bool more;

        listed = (Listed){};
        CHECK_OK(chat_list_members(l->chat, "#a", NULL, 10, on_there, NULL, &more, &e));
        return listed.text;
}

/* Who is not in a room does not hear who comes and goes. */
TEST(who_is_there_is_not_known_of_a_room_that_is_over) {
        uint8_t account[KEY_SIZE] = {7};
        RoomReason why;
        RoomRow row;
        ChatLab l;

        set_up(&l);
        CHECK_DONE(create(&l, "#a"));
        CHECK_EQ(room_find_name(store_write(l.store), "a", &row), 1);
        CHECK_EQ(room_admit(room_by_number(l.parts->rooms, row.number), account, "erin", NULL, 0,
                         &why),
                TAKEN);
        CHECK_OK(store_commit(l.store));
        sim_run(&l.sim, USEC_PER_SEC); /* until it is settled */
        CHECK_STR(who_is_there(&l), "alice=online erin~a4aa=offline");
        CHECK_DONE(act(&l, chat_delete_room, "#a"));
        CHECK_STR(who_is_there(&l), "alice=online erin~a4aa=-");
        chat_lab_free(&l);
}

/* Events and objects */

static void on_event(void *userdata, const ChatEvent *e) {
        if (e->kind == CHAT_EVENT_ROOM)
                list_add(e->room, e->change);
}

static void on_properties(void *userdata, unsigned properties) {
}

static void on_object(void *userdata, const char *account, ChatObjectChange change) {
}

static unsigned n_objects;

static void on_room_object(void *userdata, const char *id, ChatObjectChange change) {
        if (change == CHAT_OBJECT_ADDED)
                n_objects++;
        else if (change == CHAT_OBJECT_REMOVED)
                n_objects--;
}

static bool on_topic_event(void *userdata, const ChatEvent *e) {
        if (e->kind == CHAT_EVENT_ROOM && streq(e->change, "topic"))
                list_add(e->change, e->topic);
        return true;
}

static const char *topic_events(ChatLab *l) {
        const ChatListEvents args = {.max = 1000};
        ChatError e;
        uint64_t next;

        listed = (Listed){};
        CHECK_OK(chat_list_events(l->chat, &args, on_topic_event, NULL, &next, &e));
        return listed.text;
}

TEST(an_event_tells_of_the_topic_of_then) {
        ChatLab l;

        set_up(&l);
        CHECK_DONE(create(&l, "#a"));
        CHECK_DONE(set_topic(&l, "#a", "tea"));
        CHECK_STR(topic_events(&l), "topic=tea");
        CHECK_DONE(set_topic(&l, "#a", "cake"));
        CHECK_STR(topic_events(&l), "topic=tea topic=cake");
        CHECK_DONE(set_topic(&l, "#a", ""));
        CHECK_STR(topic_events(&l), "topic=tea topic=cake topic=");
        chat_lab_free(&l);
}

TEST(a_room_is_an_object_while_one_is_in_it) {
        const char *names[CHAT_ROOM_NEWS_MAX + 1];
        const ChatListener listener = {.event = on_event,
                .properties_changed = on_properties,
                .object_changed = on_object,
                .room_object_changed = on_room_object};
        char id[64];
        ChatLab l;

        set_up(&l);
        n_objects = 0;
        chat_add_listener(l.chat, &listener, &l);
        CHECK_DONE(create_with(&l, &(ChatCreateRoom){"#a", .topic = "t"}));
        memcpy(id, answer.id, sizeof(id));
        CHECK_EQ(n_objects, 1);
        CHECK_STR(chat_get_room(l.chat, id)->topic, "t");
        CHECK_EQ(chat_room_news(l.chat, id, names), CHAT_ROOM_NEWS_MAX);
        CHECK_EQ(chat_room_news(l.chat, id, names), 0);
        CHECK_DONE(set_topic(&l, "#a", "u"));
        CHECK_EQ(chat_room_news(l.chat, id, names), 1);
        CHECK_STR(names[0], "Topic");
        listed = (Listed){};
        CHECK_DONE(act(&l, chat_delete_room, "#a"));
        CHECK_STR(listed.text, "#a=deleted");
        CHECK_EQ(n_objects, 0);
        CHECK(!chat_get_room(l.chat, id));
        chat_remove_listener(l.chat, &l);
        chat_lab_free(&l);
}
