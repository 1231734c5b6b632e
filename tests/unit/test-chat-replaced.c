/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the user sees on a device whose account is used on another one now. */

#include "test.h"

#include "account/account.h"
#include "requests.h"
#include "rooms/state.h"

/* What was heard. */
static struct {
        unsigned n_replaced, properties, removed;
        char account[BASE32_KEY_SIZE + 1];
} heard;

static void on_told(void *userdata, const ChatEvent *e) {
        if (e->kind != CHAT_EVENT_REPLACED)
                return;
        heard.n_replaced++;
        snprintf(heard.account, sizeof(heard.account), "%s", e->account);
}

static void on_properties(void *userdata, unsigned properties) {
        heard.properties |= properties;
}

static void on_object(void *userdata, const char *account, ChatObjectChange change) {
        heard.removed += change == CHAT_OBJECT_REMOVED;
}

static const ChatListener listener = {.event = on_told,
        .properties_changed = on_properties,
        .object_changed = on_object,
        .room_object_changed = on_object};

/* Alice has written to bob, and made a room, when she takes her account over on another device. */

static void create_room(ChatLab *l, const char *id, Answer *a) {
        chat_create_room(l->chat, &(ChatCreateRoom){.room = "#tea"}, on_id, a);
}

static void see_other_device(ChatLab *l) {
        Record record;
        Person laptop;

        person_begin(&l->sim, "alice", 7, &laptop);
        laptop.account = *account_local(l->parts->account)->account;
        person_finish(&laptop);
        CHECK_OK(record_decode(laptop.local.record, &record));
        account_see_own_record(l->parts->account, &record, laptop.local.record);
        person_done(&laptop);
        sim_run(&l->sim, USEC_PER_SEC);
        CHECK(account_is_replaced(l->parts->account));
}

static void set_up(ChatLab *l, char id[static UUID_TEXT_SIZE]) {
        Answer a;

        chat_lab_begin(l);
        chat_lab_save_lan_identity(l);
        chat_lab_start(l);
        chat_lab_add_contact(l, "bob", CONTACT_PINNED, NULL);
        a = ask(l, ask_send, NULL);
        CHECK(!a.error);
        memcpy(id, a.id, UUID_TEXT_SIZE);
        CHECK(!ask(l, create_room, NULL).error);
        heard.n_replaced = heard.properties = heard.removed = 0;
        chat_add_listener(l->chat, &listener, NULL);
        see_other_device(l);
}

static void tear_down(ChatLab *l) {
        chat_lab_free(l);
}

static void start_again(ChatLab *l) {
        chat_lab_stop(l);
        chat_lab_start(l);
}

/* What changes something */

static void ask_register(ChatLab *l, const char *id, Answer *a) {
        chat_register(l->chat, &(ChatRegister){.name = "carol", .password = "", .no_tracker = true},
                on_answer, a);
}

static void ask_change_password(ChatLab *l, const char *id, Answer *a) {
        chat_change_password(l->chat, "", "a good password", on_answer, a);
}

static void ask_set_presence(ChatLab *l, const char *id, Answer *a) {
        chat_set_presence(l->chat, "busy", "", on_answer, a);
}

static void ask_set_typing(ChatLab *l, const char *id, Answer *a) {
        ChatError e;

        on_done(a, chat_set_typing(l->chat, "bob", true, &e), &e);
}

static void ask_set_typing_in_room(ChatLab *l, const char *id, Answer *a) {
        ChatError e;

        on_done(a, chat_set_typing(l->chat, "#tea", true, &e), &e);
}

static void ask_send_to_room(ChatLab *l, const char *id, Answer *a) {
        chat_send(l->chat, &(ChatSend){.to = "#tea", .text = "hi"}, on_id, a);
}

static void ask_remove_contact(ChatLab *l, const char *id, Answer *a) {
        chat_remove_contact(l->chat, "bob", on_answer, a);
}

static void ask_join_room(ChatLab *l, const char *id, Answer *a) {
        chat_join_room(l->chat, "#tea", on_id, a);
}

static void ask_leave_room(ChatLab *l, const char *id, Answer *a) {
        chat_leave_room(l->chat, "#tea", on_answer, a);
}

static void ask_delete_room(ChatLab *l, const char *id, Answer *a) {
        chat_delete_room(l->chat, "#tea", on_answer, a);
}

static void ask_invite(ChatLab *l, const char *id, Answer *a) {
        chat_invite(l->chat, "#tea", "bob", on_answer, a);
}

static void ask_kick(ChatLab *l, const char *id, Answer *a) {
        chat_kick(l->chat, "#tea", "bob", on_answer, a);
}

static void ask_set_topic(ChatLab *l, const char *id, Answer *a) {
        chat_set_topic(l->chat, "#tea", "green", on_answer, a);
}

static void ask_set_role(ChatLab *l, const char *id, Answer *a) {
        chat_set_role(l->chat, "#tea", "bob", "admin", on_answer, a);
}

static const AskFn changing[] = {ask_send, ask_cancel, ask_mark_read, ask_logout, ask_set_verified,
        ask_accept, ask_add_contact, ask_rename_contact, ask_remove_contact, ask_block, ask_unblock,
        ask_register, ask_change_password, ask_set_presence, ask_set_typing, ask_set_typing_in_room,
        ask_send_to_room, create_room, ask_join_room, ask_leave_room, ask_delete_room, ask_invite,
        ask_kick, ask_set_topic, ask_set_role};

/* And what does not */

static void ask_digest(ChatLab *l, const char *id, Answer *a) {
        ChatDigest d;
        ChatError e;

        on_done(a, chat_digest(l->chat, "#tea", &d, &e), &e);
}

static bool on_room(void *userdata, const ChatRoom *r) {
        return true;
}

static void ask_rooms(ChatLab *l, const char *id, Answer *a) {
        chat_list_rooms(l->chat, &(ChatListRooms){.all = true, .limit = 10}, on_room, on_peers, a);
}

static bool on_member(void *userdata, const ChatMember *m) {
        return true;
}

static void ask_members(ChatLab *l, const char *id, Answer *a) {
        ChatError e;
        bool more;

        on_done(a, chat_list_members(l->chat, "#tea", NULL, 10, on_member, NULL, &more, &e), &e);
}

static const AskFn reading[] = {ask_peers, ask_messages, ask_conversations, ask_outbox, ask_events,
        ask_ack_events, ask_verify, ask_requests, ask_digest, ask_rooms, ask_members};

TEST(nothing_is_changed_by_who_was_replaced) {
        char id[UUID_TEXT_SIZE];
        ChatLab l;

        set_up(&l, id);
        for (unsigned i = 0; i < 2; i++) {
                for (size_t k = 0; k < ELEMENTSOF(changing); k++) {
                        Answer a = ask(&l, changing[k], id);

                        CHECK_STR(a.error ?: "", "Replaced");
                        CHECK_STR(a.text,
                                "This account is used on another device now: chatc login alice "
                                "moves it back.");
                }
                CHECK_EQ(count_queued(&l), 1);
                start_again(&l);
        }
        tear_down(&l);
}

TEST(all_that_is_here_is_read_as_before) {
        char id[UUID_TEXT_SIZE];
        ChatLab l;

        set_up(&l, id);
        for (unsigned i = 0; i < 2; i++) {
                for (size_t k = 0; k < ELEMENTSOF(reading); k++)
                        CHECK_STR(ask(&l, reading[k], id).error ?: "", "");
                start_again(&l);
        }
        tear_down(&l);
}

static bool count_object(void *userdata, const char *id) {
        (*(unsigned *)userdata)++;
        return true;
}

static unsigned count_objects(ChatLab *l) {
        unsigned n = 0;

        chat_each_object(l->chat, count_object, &n);
        chat_each_room(l->chat, count_object, &n);
        return n;
}

TEST(being_replaced_is_told_once_and_seen_from_then_on) {
        char id[UUID_TEXT_SIZE];
        ChatStatus s;
        ChatLab l;

        set_up(&l, id);
        CHECK_EQ(heard.n_replaced, 1);
        CHECK(heard.properties & CHAT_STATE);
        CHECK_EQ(heard.removed, 0);
        for (unsigned i = 0; i < 2; i++) {
                chat_status(l.chat, &s);
                CHECK_STR(s.state, "replaced");
                CHECK_STR(s.name, "alice");
                CHECK_STR(s.presence, "");
                CHECK_STR(s.account, heard.account);
                CHECK_EQ(s.queued, 1);
                CHECK(!s.problems[0]);
                CHECK_EQ(count_objects(&l), 2);
                start_again(&l);
                CHECK_EQ(heard.n_replaced, 1);
        }
        tear_down(&l);
}

static void note_account(void *userdata, const ChatCheck *check) {
        char *text = userdata;

        if (streq(check->check, "account"))
                snprintf(text, 256, "%s: %s %s", check->state, check->text, check->advice ?: "");
        else if (streq(check->check, "trackers") || streq(check->check, "links"))
                CHECK_STR(check->state, "off");
}

TEST(the_doctor_says_what_has_happened_and_what_to_do) {
        char id[UUID_TEXT_SIZE], text[256] = "";
        ChatLab l;

        set_up(&l, id);
        chat_doctor(l.chat, note_account, text);
        CHECK_STR(text,
                "warning: alice is used on another device now; what is here can be read. chatc "
                "login alice moves it back.");
        tear_down(&l);
}
