/* SPDX-License-Identifier: GPL-3.0-or-later */

/* People as objects, over a pair of sockets. */

#include "bus-fixture.h"

static const ChatPeer people[] = {
        {.name = "bob",
                .account = "bbbb",
                .presence = "online",
                .last_seen = 7,
                .via = (const char *const[]){"link", "tracker", NULL},
                .contact = true},
        {.name = "carol", .account = "cccc", .presence = "offline"},
};

static void set_up_people(size_t n) {
        set_up();
        f->chat.objects = people;
        f->chat.n_objects = n;
        f->chat.news = "Presence";
}

static sd_bus_message *call_at(const char *path, const char *interface, const char *member) {
        sd_bus_message *m;

        CHECK(sd_bus_message_new_method_call(f->client, &m, NULL, path, interface, member) >= 0);
        return m;
}

/* In a handler, as chat does it. */
static bool handled;

static int on_defer(sd_event_source *s, void *userdata) {
        void (*fn)(void) = (void (*)(void))userdata;

        fn();
        handled = true;
        return 0;
}

static void in_handler(void (*fn)(void)) {
        sd_event_source *s;

        CHECK(sd_event_add_defer(f->event, &s, on_defer, (void *)fn) >= 0);
        for (handled = false; !handled;)
                turn();
        sd_event_source_unref(s);
}

static void change(const char *account, ChatObjectChange what) {
        f->chat.listener->object_changed(f->chat.listener_userdata, account, what);
}

static void await_signals(unsigned n) {
        while (f->n_signals < n)
                turn();
        settle();
        CHECK_EQ(f->n_signals, n);
}

static void get(const char *path, const char *property) {
        sd_bus_message *m = call_at(path, "org.freedesktop.DBus.Properties", "Get");

        CHECK(sd_bus_message_append(m, "ss", BUS_PEER_INTERFACE, property) >= 0);
        call_wait(m);
}

TEST(properties_are_what_chat_says) {
        const char *s;
        uint64_t t;
        int b;

        set_up_people(2);
        get(BUS_PEER_PREFIX "/bbbb", "Name");
        CHECK(sd_bus_message_read(f->reply, "v", "s", &s) > 0);
        CHECK_STR(s, "bob");
        get(BUS_PEER_PREFIX "/bbbb", "LastSeen");
        CHECK(sd_bus_message_read(f->reply, "v", "t", &t) > 0);
        CHECK_EQ(t, 7);
        get(BUS_PEER_PREFIX "/bbbb", "Contact");
        CHECK(sd_bus_message_read(f->reply, "v", "b", &b) > 0 && b);
        get(BUS_PEER_PREFIX "/bbbb", "Via");
        CHECK(sd_bus_message_enter_container(f->reply, 'v', "as") > 0);
        CHECK(sd_bus_message_enter_container(f->reply, 'a', "s") > 0);
        CHECK(sd_bus_message_read(f->reply, "s", &s) > 0);
        CHECK_STR(s, "link");
        get(BUS_PEER_PREFIX "/cccc", "Note"); /* has none */
        CHECK(sd_bus_message_read(f->reply, "v", "s", &s) > 0);
        CHECK_STR(s, "");
        get(BUS_PEER_PREFIX "/cccc", "Endpoints");
        CHECK(sd_bus_message_enter_container(f->reply, 'v', "as") > 0);
        get(BUS_PEER_PREFIX "/dddd", "Name");
        check_error(SD_BUS_ERROR_UNKNOWN_OBJECT, "dddd");
        get(BUS_PEER_PREFIX "/bbbb/x", "Name");
        check_error(SD_BUS_ERROR_UNKNOWN_OBJECT, "bbbb/x");
        tear_down();
}

TEST(the_manager_knows_all) {
        unsigned n = 0;

        set_up_people(2);
        call_wait(call_at(BUS_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"));
        CHECK(sd_bus_message_enter_container(f->reply, 'a', "{oa{sa{sv}}}") > 0);
        while (sd_bus_message_skip(f->reply, "{oa{sa{sv}}}") > 0)
                n++;
        CHECK_EQ(n, 2);
        tear_down();
}

static void storm(void) {
        for (int i = 0; i < 1000; i++) {
                change("bbbb", CHAT_OBJECT_CHANGED);
                change("cccc", CHAT_OBJECT_CHANGED);
        }
}

TEST(a_storm_is_one_signal_for_each) {
        const char *interface;

        set_up_people(2);
        in_handler(storm);
        await_signals(2);
        CHECK_EQ(f->chat.n_news, 2);
        CHECK_STR(sd_bus_message_get_path(f->signal), BUS_PEER_PREFIX "/cccc");
        CHECK_STR(sd_bus_message_get_member(f->signal), "PropertiesChanged");
        CHECK(sd_bus_message_read(f->signal, "s", &interface) > 0);
        CHECK_STR(interface, BUS_PEER_INTERFACE);
        in_handler(storm);
        await_signals(4);
        tear_down();
}

static void add_bob(void) {
        change("bbbb", CHAT_OBJECT_ADDED);
        change("bbbb", CHAT_OBJECT_CHANGED);
}

static void come_and_go(void) {
        change("bbbb", CHAT_OBJECT_ADDED);
        change("bbbb", CHAT_OBJECT_REMOVED);
}

static void go_and_come(void) {
        change("bbbb", CHAT_OBJECT_REMOVED);
        change("bbbb", CHAT_OBJECT_ADDED);
}

static void go(void) {
        change("bbbb", CHAT_OBJECT_REMOVED);
}

static const char *last_signal(void) {
        return sd_bus_message_get_member(f->signal);
}

TEST(coming_and_going) {
        set_up_people(1);
        in_handler(add_bob);
        await_signals(1);
        CHECK_STR(last_signal(), "InterfacesAdded");
        in_handler(go_and_come);
        await_signals(2);
        CHECK_STR(last_signal(), "PropertiesChanged");
        in_handler(go);
        await_signals(3);
        CHECK_STR(last_signal(), "InterfacesRemoved");
        in_handler(come_and_go);
        in_handler(add_bob); /* so that there is something to wait for */
        await_signals(4);
        CHECK_STR(last_signal(), "InterfacesAdded");
        tear_down();
}

TEST(what_a_list_shows_was_announced_before) {
        set_up_people(2);
        in_handler(add_bob);
        CHECK_EQ(f->n_signals, 0);
        call_wait(call_at(BUS_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"));
        CHECK_EQ(f->n_signals, 1);
        CHECK_STR(last_signal(), "InterfacesAdded");
        in_handler(storm);
        await_signals(3);
        tear_down();
}

/* A row that was not written after all, or everything as it was before. */
TEST(no_news_is_no_signal) {
        set_up_people(0);
        in_handler(add_bob);
        in_handler(storm);
        f->chat.objects = people;
        f->chat.n_objects = 2;
        f->chat.news = NULL;
        while (f->chat.n_news < 2)
                turn();
        settle();
        CHECK_EQ(f->n_signals, 0);
        tear_down();
}

static void crowd(void) {
        char account[16];

        for (int i = 0; i < 10000; i++) {
                snprintf(account, sizeof(account), "a%d", i);
                change(account, CHAT_OBJECT_REMOVED);
        }
}

TEST(a_crowd_goes_in_pieces) {
        unsigned most = 0;

        set_up_people(0);
        in_handler(crowd);
        while (f->n_signals < 10000) {
                unsigned n = f->n_signals;

                turn();
                most = MAX(most, f->n_signals - n);
        }
        CHECK(most < 1000);
        tear_down();
}

TEST(changes_that_nobody_heard_of_are_forgotten) {
        set_up_people(2);
        in_handler(storm);
        tear_down();
}
