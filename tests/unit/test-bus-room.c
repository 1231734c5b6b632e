/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rooms on the bus: calls, lists, signals, objects. */

#include "bus-fixture.h"

/* Calls */

TEST(a_room_is_answered_by_its_path) {
        const char *path;
        FakeCall c;

        set_up();
        call_until_open(CALL("CreateRoom", "sa{sv}", "#a", 3, "access", "s", "hidden", "topic", "s",
                "T", "history", "s", "joined"));
        CHECK_STR(f->chat.asked, "create-room|#a|hidden|joined|T");
        c = take_open();
        c.id(c.userdata, NULL, "rrrr");
        settle();
        CHECK(sd_bus_message_read(f->reply, "o", &path) > 0);
        CHECK_STR(path, BUS_ROOM_PREFIX "/rrrr");
        call_until_open(CALL("JoinRoom", "sa{sv}", "#a", 0));
        CHECK_STR(f->chat.asked, "join-room|#a|-|-");
        settle();
        CHECK_EQ(f->n_replies, 1); /* not before sending works */
        c = take_open();
        c.id(c.userdata, &(ChatError){"Timeout", "Nobody is there."}, NULL);
        settle();
        check_error(BUS_ERROR_PREFIX "Timeout", "Nobody is there.");
        f->chat.refuse = true;
        call_wait(CALL("CreateRoom", "sa{sv}", "#a", 0));
        check_error(BUS_ERROR_PREFIX "UnknownPeer", fake_refusal.text);
        CHECK_STR(f->chat.asked, "create-room|#a|-|-|-");
        call_wait(CALL("JoinRoom", "sa{sv}", "#a", 0));
        check_error(BUS_ERROR_PREFIX "UnknownPeer", fake_refusal.text);
        call_wait(CALL("CreateRoom", "sa{sv}", "#a", 1, "topic", "u", 5));
        check_error(BUS_ERROR_PREFIX "InvalidArgs", "'topic'");
        tear_down();
}

static sd_bus_message *call_with(const char *member, unsigned n) {
        static const char *const words[] = {"#a", "bob", "admin"};
        sd_bus_message *m = call_new(BUS_INTERFACE, member);

        for (unsigned i = 0; i < n; i++)
                CHECK(sd_bus_message_append(m, "s", words[i]) >= 0);
        CHECK(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        return m;
}

TEST(calls_are_answered_when_chat_says_so) {
        static const struct {
                const char *member;
                unsigned n_words;
                const char *asked;
        } table[] = {
                {"LeaveRoom", 1, "leave-room|#a|-|-"},
                {"DeleteRoom", 1, "delete-room|#a|-|-"},
                {"Invite", 2, "invite|#a|bob|-"},
                {"Kick", 2, "kick|#a|bob|-"},
                {"SetTopic", 2, "set-topic|#a|bob|-"},
                {"SetRole", 3, "set-role|#a|bob|admin"},
        };

        set_up();
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                FakeCall c;

                call_until_open(call_with(table[i].member, table[i].n_words));
                CHECK_STR(f->chat.asked, table[i].asked);
                settle();
                CHECK_EQ(f->n_replies, i);
                c = take_open();
                c.done(c.userdata, NULL);
                settle();
                check_empty_answer();
        }
        f->chat.refuse = true;
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                call_wait(call_with(table[i].member, table[i].n_words));
                check_error(BUS_ERROR_PREFIX "UnknownPeer", fake_refusal.text);
        }
        tear_down();
}

TEST(a_digest_is_of_people_and_of_rooms) {
        set_up();
        f->chat.digest = (ChatDigest){.digest = "d1", .messages = 7};
        call_wait(CALL("Digest", "sa{sv}", "bob", 0));
        CHECK_STR(f->chat.asked, "digest|bob|-|-");
        CHECK_STR(find_key(f->reply, "digest"), "d1");
        CHECK(sd_bus_message_rewind(f->reply, true) >= 0);
        CHECK_STR(find_key(f->reply, "messages"), "t7");
        CHECK(sd_bus_message_rewind(f->reply, true) >= 0);
        CHECK(!find_key(f->reply, "control-epoch"));
        f->chat.digest = (ChatDigest){
                .digest = "d1", .room = true, .control_epoch = 3, .control_hash = "c0"};
        call_wait(CALL("Digest", "sa{sv}", "#a", 0));
        CHECK_STR(find_key(f->reply, "messages"), "t0");
        CHECK(sd_bus_message_rewind(f->reply, true) >= 0);
        CHECK_STR(find_key(f->reply, "control-epoch"), "t3");
        CHECK(sd_bus_message_rewind(f->reply, true) >= 0);
        CHECK_STR(find_key(f->reply, "control-hash"), "c0");
        f->chat.refuse = true;
        call_wait(CALL("Digest", "sa{sv}", "#a", 0));
        check_error(BUS_ERROR_PREFIX "UnknownPeer", fake_refusal.text);
        tear_down();
}

/* Lists */

static const ChatRoom rooms[] = {
        {.room = "#a",
                .id = "aaaa",
                .topic = "T",
                .access = "private",
                .owner = "bob",
                .owner_account = "bbbb",
                .status = "joined",
                .role = "admin",
                .problem = "P",
                .members = 3,
                .online = 2,
                .unread = 4,
                .joined = true,
                .read_only = true},
        {.room = "#b~cccc", .id = "cccc", .topic = "", .access = "open", .owner = ""},
};

TEST(rooms_come_as_they_are_found) {
        FakeCall c;

        set_up();
        call_until_open(CALL("ListRooms", "a{sv}", 3, "words", "s", "two words", "after", "s", "#0",
                "all", "b", 1));
        CHECK_STR(f->chat.asked, "rooms|two words|#0|10|1000");
        c = take_open();
        CHECK(c.room(c.userdata, &rooms[0]));
        settle();
        CHECK_EQ(f->n_replies, 0);
        CHECK(c.room(c.userdata, &rooms[1]));
        c.peers_done(c.userdata, NULL, false);
        settle();
        CHECK_STR(row_key("room"), "#a");
        CHECK_STR(row_key("room-id"), "aaaa");
        CHECK_STR(row_key("topic"), "T");
        CHECK_STR(row_key("access"), "private");
        CHECK_STR(row_key("owner"), "bob");
        CHECK_STR(row_key("owner-account"), "bbbb");
        CHECK_STR(row_key("status"), "joined");
        CHECK_STR(row_key("role"), "admin");
        CHECK_STR(row_key("problem"), "P");
        CHECK_STR(row_key("members"), "u3");
        CHECK_STR(row_key("online"), "u2");
        CHECK_STR(row_key("unread"), "u4");
        CHECK_STR(row_key("joined"), "true");
        CHECK_STR(row_key("read-only"), "true");

        call_until_open(CALL("ListRooms", "a{sv}", 1, "known", "b", 1));
        CHECK_STR(f->chat.asked, "rooms|-|-|01|1000");
        c = take_open();
        CHECK(c.room(c.userdata, &rooms[1]));
        c.peers_done(c.userdata, NULL, false);
        settle();
        CHECK_STR(row_key("room"), "#b~cccc");
        CHECK_STR(row_key("joined"), "false");
        CHECK(!row_key("status") && !row_key("unread") && !row_key("topic"));

        call_until_open(CALL("ListRooms", "a{sv}", 0));
        c = take_open();
        c.peers_done(c.userdata, &fake_refusal, false);
        settle();
        check_error(BUS_ERROR_PREFIX "UnknownPeer", fake_refusal.text);
        tear_down();
}

TEST(members_are_listed_in_pages) {
        static const ChatMember members[] = {
                {"bob", "bbbb", "owner", "online", .self = true},
                {"eve", "eeee", "member", "offline", .provisional = true},
        };

        set_up();
        f->chat.members = members;
        f->chat.n_members = 2;
        call_wait(CALL("ListMembers", "sa{sv}", "#a", 1, "after", "s", "al"));
        CHECK_STR(f->chat.asked, "members|#a|al|-");
        CHECK_STR(row_key("name"), "bob");
        CHECK_STR(row_key("account"), "bbbb");
        CHECK_STR(row_key("role"), "owner");
        CHECK_STR(row_key("presence"), "online");
        CHECK_STR(row_key("self"), "true");
        CHECK(!row_key("provisional"));
        f->chat.members = &members[1];
        f->chat.n_members = 1;
        call_wait(CALL("ListMembers", "sa{sv}", "#a", 0));
        CHECK_STR(row_key("provisional"), "true");
        CHECK(!row_key("self"));
        f->chat.refuse = true;
        call_wait(CALL("ListMembers", "sa{sv}", "#a", 0));
        check_error(BUS_ERROR_PREFIX "UnknownPeer", fake_refusal.text);
        call_wait(CALL("ListMembers", "sa{sv}", "#a", 1, "limit", "u", 0));
        check_error(BUS_ERROR_PREFIX "InvalidArgs", "limit");
        tear_down();
}

/* Who is in a room in which one is not, others are asked. */
TEST(members_of_a_room_that_is_not_known_come_later) {
        const ChatMember member = {.name = "bob~bbbb", .account = "bbbb", .presence = "online"};
        FakeCall c;

        set_up();
        f->chat.outside = true;
        call_until_open(CALL("ListMembers", "sa{sv}", "#a", 1, "after", "s", "al"));
        CHECK_STR(f->chat.asked, "visit|#a|al|-");
        c = take_open();
        CHECK(c.member(c.userdata, &member));
        c.peers_done(c.userdata, NULL, false);
        settle();
        CHECK_STR(row_key("name"), "bob~bbbb");
        CHECK_STR(row_key("presence"), "online");
        CHECK(!row_key("role"));
        call_until_open(CALL("ListMembers", "sa{sv}", "#a", 0));
        c = take_open();
        c.peers_done(c.userdata, &fake_refusal, false);
        settle();
        check_error(BUS_ERROR_PREFIX "UnknownPeer", fake_refusal.text);
        tear_down();
}

/* Signals */

static void tell(const ChatEvent *e) {
        unsigned n = f->n_signals;

        f->chat.listener->event(f->chat.listener_userdata, e);
        while (f->n_signals == n)
                turn();
}

static void ask_events(const ChatEvent *e) {
        f->chat.events = e;
        f->chat.n_events = 1;
        call_wait(CALL("ListEvents", "tua{sv}", (uint64_t)0, 10, 0));
        f->chat.events = NULL;
}

TEST(being_replaced_is_a_signal_and_a_row) {
        const ChatEvent e = {.kind = CHAT_EVENT_REPLACED, .cursor = 7, .account = "aaaa"};

        set_up();
        settle(); /* what is short and comes with the greeting is not looked at by sd-bus */
        tell(&e);
        CHECK_STR(sd_bus_message_get_member(f->signal), "SessionReplaced");
        CHECK_STR(sd_bus_message_get_signature(f->signal, true), "a{sv}");
        CHECK_STR(find_key(f->signal, "account"), "aaaa");
        ask_events(&e);
        CHECK_STR(row_key("event"), "SessionReplaced");
        CHECK_STR(row_key("account"), "aaaa");
        tear_down();
}

TEST(a_change_is_a_signal_and_a_row) {
        const ChatEvent e = {.kind = CHAT_EVENT_ROOM,
                .cursor = 7,
                .room = "#a",
                .room_id = "aaaa",
                .change = "role",
                .role = "admin",
                .name = "bob",
                .account = "bbbb"};
        const char *room, *change;

        set_up();
        tell(&e);
        CHECK_STR(sd_bus_message_get_member(f->signal), "RoomChanged");
        CHECK(sd_bus_message_read(f->signal, "ss", &room, &change) > 0);
        CHECK_STR(room, "#a");
        CHECK_STR(change, "role");
        CHECK_STR(find_key(f->signal, "account"), "bbbb");
        ask_events(&e);
        CHECK_STR(row_key("event"), "RoomChanged");
        CHECK_STR(row_key("room"), "#a");
        CHECK_STR(row_key("room-id"), "aaaa");
        CHECK_STR(row_key("change"), "role");
        CHECK_STR(row_key("name"), "bob");
        CHECK_STR(row_key("role"), "admin");
        CHECK_STR(row_key("cursor"), "t7");
        tear_down();
}

TEST(a_message_of_a_room_names_it) {
        const ChatMessage m = {.id = "the-id",
                .from = "eve",
                .to = "#a",
                .from_account = "eeee",
                .room = "#a",
                .room_id = "aaaa",
                .text = "hi",
                .kind = "text",
                .state = "received"};
        const ChatEvent e = {
                .kind = CHAT_EVENT_MESSAGE, .cursor = 7, .message = &m, .account = "eeee"};
        const char *id, *from, *room;

        set_up();
        tell(&e);
        CHECK(sd_bus_message_read(f->signal, "sss", &id, &from, &room) > 0);
        CHECK_STR(room, "#a");
        ask_events(&e);
        CHECK_STR(row_key("room"), "#a");
        CHECK_STR(row_key("room-id"), "aaaa");
        CHECK_STR(row_key("account"), "eeee");
        tear_down();
}

TEST(a_state_in_a_room_counts_members) {
        ChatEvent e = {.kind = CHAT_EVENT_STATE,
                .cursor = 7,
                .id = "the-id",
                .to = "#a",
                .state = "stored",
                .room = "#a",
                .room_id = "aaaa",
                .account = "aaaa",
                .replicas = 2,
                .delivered_to = 2,
                .members = 3};

        set_up();
        tell(&e);
        CHECK_STR(sd_bus_message_get_member(f->signal), "MessageStateChanged");
        ask_events(&e);
        CHECK_STR(row_key("room"), "#a");
        CHECK_STR(row_key("delivered-to"), "u2");
        CHECK_STR(row_key("read-by"), "u0");
        CHECK_STR(row_key("members"), "u3");
        CHECK_STR(row_key("replicas"), "u2");
        e.room = e.room_id = NULL;
        ask_events(&e);
        CHECK(!row_key("room") && !row_key("members"));
        tear_down();
}

TEST(own_messages_of_a_room_say_who_has_them) {
        static const ChatMessage m = {.id = "the-id",
                .from = "al",
                .to = "#a",
                .room = "#a",
                .text = "hi",
                .kind = "text",
                .state = "delivered",
                .delivered_to = 3,
                .read_by = 1,
                .members = 3};

        set_up();
        f->chat.messages = &m;
        f->chat.n_messages = 1;
        call_wait(CALL("ListMessages", "sa{sv}", "#a", 0));
        CHECK_STR(row_key("room"), "#a");
        CHECK_STR(row_key("delivered-to"), "u3");
        CHECK_STR(row_key("read-by"), "u1");
        CHECK_STR(row_key("members"), "u3");
        tear_down();
}

TEST(who_types_where) {
        set_up();
        settle();
        f->chat.listener->typing_changed(f->chat.listener_userdata, "bob", "bbbb", "#a", true);
        while (f->n_signals == 0)
                turn();
        CHECK(sd_bus_message_skip(f->signal, "sb") > 0);
        CHECK_STR(find_key(f->signal, "room"), "#a");
        tear_down();
}

/* Objects */

static void get(const char *path, const char *name) {
        sd_bus_message *m;

        CHECK(sd_bus_message_new_method_call(
                      f->client, &m, NULL, path, "org.freedesktop.DBus.Properties", "Get") >= 0);
        CHECK(sd_bus_message_append(m, "ss", BUS_ROOM_INTERFACE, name) >= 0);
        call_wait(m);
}

static void check_string(const char *name, const char *value) {
        const char *s;

        get(BUS_ROOM_PREFIX "/aaaa", name);
        CHECK(sd_bus_message_read(f->reply, "v", "s", &s) > 0);
        CHECK_STR(s, value);
}

static void await_signal(const char *member) {
        unsigned n = f->n_signals;

        while (f->n_signals == n)
                turn();
        CHECK_STR(sd_bus_message_get_member(f->signal), member);
        CHECK_STR(sd_bus_message_get_path(f->signal),
                streq(member, "PropertiesChanged") ? BUS_ROOM_PREFIX "/aaaa" : BUS_PATH);
}

static void change(ChatObjectChange how) {
        f->chat.listener->room_object_changed(f->chat.listener_userdata, "aaaa", how);
}

TEST(a_room_is_an_object) {
        uint32_t u;
        int b;

        set_up();
        f->chat.rooms = rooms;
        f->chat.n_rooms = 1;
        check_string("Room", "#a");
        check_string("RoomId", "aaaa");
        check_string("Topic", "T");
        check_string("Owner", "bob");
        check_string("Access", "private");
        get(BUS_ROOM_PREFIX "/aaaa", "Members");
        CHECK(sd_bus_message_read(f->reply, "v", "u", &u) > 0 && u == 3);
        get(BUS_ROOM_PREFIX "/aaaa", "Online");
        CHECK(sd_bus_message_read(f->reply, "v", "u", &u) > 0 && u == 2);
        get(BUS_ROOM_PREFIX "/aaaa", "Joined");
        CHECK(sd_bus_message_read(f->reply, "v", "b", &b) > 0 && b);
        get(BUS_ROOM_PREFIX "/cccc", "Room");
        check_error(SD_BUS_ERROR_UNKNOWN_OBJECT, "cccc");
        tear_down();
}

TEST(a_room_comes_changes_and_goes) {
        set_up();
        settle();
        f->chat.news = "Topic";
        f->chat.rooms = rooms;
        f->chat.n_rooms = 1;
        change(CHAT_OBJECT_ADDED);
        await_signal("InterfacesAdded");
        change(CHAT_OBJECT_CHANGED);
        await_signal("PropertiesChanged");
        f->chat.n_rooms = 0;
        change(CHAT_OBJECT_REMOVED);
        await_signal("InterfacesRemoved");
        tear_down();
}
