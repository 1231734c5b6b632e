/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who has an object, and what is told of it. */

#include "test.h"

#include "chat-lab.h"

typedef struct Heard {
        unsigned added, changed, removed;
} Heard;

static void on_event(void *userdata, const ChatEvent *e) {
}

static void on_properties_changed(void *userdata, unsigned properties) {
}

static void on_object_changed(void *userdata, const char *account, ChatObjectChange change) {
        Heard *h = userdata;

        CHECK_EQ(strlen(account), BASE32_KEY_SIZE);
        if (change == CHAT_OBJECT_ADDED)
                h->added++;
        else if (change == CHAT_OBJECT_CHANGED)
                h->changed++;
        else
                h->removed++;
}

static const ChatListener listener = {
        .event = on_event,
        .properties_changed = on_properties_changed,
        .object_changed = on_object_changed,
};

static bool count(void *userdata, const char *account) {
        (*(unsigned *)userdata)++;
        return true;
}

static unsigned count_objects(ChatLab *l) {
        unsigned n = 0;

        chat_each_object(l->chat, count, &n);
        return n;
}

static void no_answer(void *userdata, const ChatError *error) {
        CHECK(!error);
}

TEST(contacts_and_who_wrote_have_objects_while_somebody_is_logged_in) {
        char bob[BASE32_KEY_SIZE + 1], carol[BASE32_KEY_SIZE + 1], dave[BASE32_KEY_SIZE + 1];
        Heard h = {};
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_stop(&l);
        chat_lab_add_contact(&l, "bob", CONTACT_PINNED, bob);
        chat_lab_add_contact(&l, "carol", CONTACT_REQUEST, carol);
        chat_lab_add_contact(&l, "dave", 0, dave);
        CHECK_OK(store_commit(l.store));
        chat_lab_start(&l);
        chat_add_listener(l.chat, &listener, &h);
        CHECK_EQ(count_objects(&l), 2);
        CHECK_STR(chat_get_object(l.chat, bob)->name, "bob");
        CHECK(chat_get_object(l.chat, bob)->contact);
        CHECK(!chat_get_object(l.chat, carol)->contact);
        CHECK(!chat_get_object(l.chat, dave));
        CHECK(!chat_get_object(l.chat, "nonsense"));
        chat_logout(l.chat, no_answer, NULL);
        sim_run(&l.sim, USEC_PER_SEC);
        CHECK_EQ(h.removed, 2);
        CHECK_EQ(count_objects(&l), 0);
        CHECK(!chat_get_object(l.chat, bob));
        chat_login(l.chat, "alice", "", NULL, no_answer, NULL);
        sim_run(&l.sim, USEC_PER_SEC);
        CHECK_EQ(h.added, 2);
        CHECK_EQ(count_objects(&l), 2);
        chat_lab_free(&l);
}

static void no_id(void *userdata, const ChatError *error, const char *id) {
        CHECK(!error);
}

static void send_to(ChatLab *l, const char *to) {
        chat_send(l->chat, &(ChatSend){.to = to, .text = "hi"}, no_id, NULL);
        sim_run(&l->sim, USEC_PER_SEC);
}

TEST(writing_makes_a_contact_and_an_object) {
        const char *news[CHAT_OBJECT_NEWS_MAX + 1];
        char bob[BASE32_KEY_SIZE + 1], carol[BASE32_KEY_SIZE + 1];
        Heard h = {};
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_stop(&l);
        chat_lab_add_contact(&l, "bob", 0, bob);
        chat_lab_add_contact(&l, "carol", CONTACT_REQUEST, carol);
        CHECK_OK(store_commit(l.store));
        chat_lab_start(&l);
        chat_add_listener(l.chat, &listener, &h);
        send_to(&l, "bob");
        CHECK_EQ(h.added, 1);
        CHECK(chat_get_object(l.chat, bob)->contact);
        CHECK_EQ(chat_object_news(l.chat, carol, news), CHAT_OBJECT_NEWS_MAX);
        CHECK_EQ(chat_object_news(l.chat, carol, news), 0);
        CHECK(!news[0]);
        send_to(&l, "carol");
        CHECK_EQ(h.added, 1);
        CHECK(h.changed > 0);
        CHECK_EQ(chat_object_news(l.chat, carol, news), 1);
        CHECK_STR(news[0], "Contact");
        h = (Heard){};
        send_to(&l, "bob");
        send_to(&l, "carol");
        CHECK_EQ(h.added + h.changed + h.removed, 0);
        chat_lab_free(&l);
}

TEST(a_crowd_that_writes_is_bounded) {
        char name[32], bob[BASE32_KEY_SIZE + 1];
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_stop(&l);
        for (unsigned i = 0; i < CHAT_REQUEST_OBJECTS_MAX + 50; i++) {
                snprintf(name, sizeof(name), "stranger%u", i);
                chat_lab_add_contact(&l, name, CONTACT_REQUEST, NULL);
        }
        chat_lab_add_contact(&l, "bob", CONTACT_PINNED, bob);
        CHECK_OK(store_commit(l.store));
        chat_lab_start(&l);
        CHECK_EQ(count_objects(&l), CHAT_REQUEST_OBJECTS_MAX + 1);
        CHECK(chat_get_object(l.chat, bob)); /* contacts are not counted */
        send_to(&l, "stranger1");
        send_to(&l, "stranger2");
        CHECK(count_objects(&l) >= CHAT_REQUEST_OBJECTS_MAX + 1);
        chat_lab_free(&l);
}

/* When people were there last */

static usec_t last_seen(ChatLab *l, const char *account) {
        return chat_get_object(l->chat, account)->last_seen;
}

static void push(ChatLab *l, const char *account, bool online, usec_t at) {
        uint8_t key[KEY_SIZE];

        CHECK_OK(base32_decode_key(account, strlen(account), key));
        chat_on_presence(l->chat, key, online, at, NULL);
}

static uint64_t count_writes(ChatLab *l) {
        return db_stats(l->store->db)->writes;
}

TEST(when_somebody_was_there_is_written_without_haste) {
        char bob[BASE32_KEY_SIZE + 1];
        uint64_t writes;
        usec_t now, seen;
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_stop(&l);
        chat_lab_add_contact(&l, "bob", CONTACT_PINNED, bob);
        CHECK_OK(store_commit(l.store));
        chat_lab_start(&l);
        sim_run(&l.sim, USEC_PER_SEC);
        now = loop_realtime(l.sim.loop);
        push(&l, bob, false, now - USEC_PER_DAY); /* that he is offline is an event */
        sim_run(&l.sim, USEC_PER_MSEC);
        writes = count_writes(&l);
        for (usec_t i = 0; i < 1000; i++) {
                push(&l, bob, false, now - USEC_PER_DAY + i * USEC_PER_SEC);
                sim_run(&l.sim, USEC_PER_MSEC);
        }
        CHECK_EQ(last_seen(&l, bob), now - USEC_PER_DAY + 999 * USEC_PER_SEC);
        CHECK_EQ(count_writes(&l), writes);
        sim_run(&l.sim, 2 * USEC_PER_MINUTE);
        CHECK_EQ(count_writes(&l), writes + 1);
        sim_run(&l.sim, USEC_PER_HOUR);
        CHECK_EQ(count_writes(&l), writes + 1);
        push(&l, bob, false, loop_realtime(l.sim.loop) + USEC_PER_DAY); /* a clock that is ahead */
        CHECK_EQ(last_seen(&l, bob), loop_realtime(l.sim.loop));
        seen = last_seen(&l, bob);
        chat_lab_stop(&l); /* before the minute is over */
        CHECK_OK(store_commit(l.store));
        chat_lab_start(&l);
        CHECK_EQ(last_seen(&l, bob), seen);
        chat_lab_free(&l);
}
