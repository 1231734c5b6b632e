/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Calls, signals and properties of the D-Bus API. */

#include "bus-fixture.h"

/* Accounts */

TEST(register_is_answered_when_chat_says_so) {
        set_up();
        call_until_open(CALL("Register", "ssa{sv}", "alice", "secret", 3, "tracker", "s", "t:1#k",
                "no-password", "b", 1, "no-tracker", "b", 1));
        CHECK_STR(f->chat.asked, "register|alice|secret|t:1#k|11");
        settle();
        CHECK_EQ(f->n_replies, 0);
        FakeCall c = take_open();
        c.done(c.userdata, NULL);
        settle();
        CHECK_EQ(f->n_replies, 1);
        check_empty_answer();
        tear_down();
}

TEST(what_concerns_the_account_answers_the_error_of_chat) {
        set_up();
        call_until_open(CALL("Login", "ssa{sv}", "alice", "", 0));
        CHECK_STR(f->chat.asked, "login|alice||-");
        FakeCall c = take_open();
        c.done(c.userdata, &(ChatError){"BadPassword", "The password is wrong."});
        settle();
        check_error(BUS_ERROR_PREFIX "BadPassword", "The password is wrong.");
        call_until_open(CALL("Logout", "a{sv}", 0));
        CHECK_STR(f->chat.asked, "logout|-|-|-");
        c = take_open();
        c.done(c.userdata, NULL);
        settle();
        CHECK_EQ(f->n_replies, 2);
        check_empty_answer();
        call_until_open(CALL("ChangePassword", "ssa{sv}", "old one", "new one", 0));
        CHECK_STR(f->chat.asked, "change-password|old one|new one|-");
        c = take_open();
        c.done(c.userdata, NULL);
        settle();
        check_empty_answer();
        tear_down();
}

/* Sending */

TEST(send_answers_the_id_once) {
        const char *id;

        set_up();
        call_until_open(CALL("Send", "ssa{sv}", "bob", "hi \xe2\x9c\x93", 3, "id", "s", "i",
                "reply-to", "s", "r", "expires", "t", (uint64_t)7));
        CHECK_STR(f->chat.asked, "send|bob|hi \xe2\x9c\x93|i|r|7");
        FakeCall c = take_open();
        c.id(c.userdata, NULL, "the-id");
        settle();
        CHECK_EQ(f->n_replies, 1);
        CHECK(sd_bus_message_read(f->reply, "s", &id) > 0);
        CHECK_STR(id, "the-id");
        tear_down();
}

TEST(send_can_be_refused_at_once) {
        set_up();
        f->chat.refuse = true;
        call_wait(CALL("Send", "ssa{sv}", "nobody", "hi", 0));
        check_error(BUS_ERROR_PREFIX "UnknownPeer", fake_refusal.text);
        settle();
        CHECK_EQ(f->n_replies, 1);
        tear_down();
}

TEST(answers_come_in_the_order_of_chat) {
        const char *id;

        set_up();
        call_until_open(CALL("Send", "ssa{sv}", "bob", "one", 0));
        call_until_open(CALL("Send", "ssa{sv}", "bob", "two", 0));
        FakeCall two = take_open(), one = take_open();
        two.id(two.userdata, NULL, "2");
        settle();
        CHECK_EQ(f->n_replies, 1);
        CHECK(sd_bus_message_read(f->reply, "s", &id) > 0);
        CHECK_STR(id, "2");
        one.id(one.userdata, NULL, "1");
        settle();
        CHECK_EQ(f->n_replies, 2);
        tear_down();
}

TEST(unknown_options_are_ignored) {
        set_up();
        call_until_open(CALL("Send", "ssa{sv}", "bob", "hi", 3, "no-such", "u", 5, "other", "as", 1,
                "x", "more", "a{sv}", 1, "id", "s", "inner"));
        CHECK_STR(f->chat.asked, "send|bob|hi|-|-|0");
        tear_down();
}

TEST(options_of_another_type_are_refused_by_name) {
        static const char invalid[] = BUS_ERROR_PREFIX "InvalidArgs";

        set_up();
        call_wait(CALL("Send", "ssa{sv}", "bob", "hi", 1, "id", "u", 5));
        check_error(invalid, "'id'");
        call_wait(CALL("Send", "ssa{sv}", "bob", "hi", 1, "expires", "u", 5));
        check_error(invalid, "'expires'");
        call_wait(CALL("Send", "ssa{sv}", "bob", "hi", 1, "reply-to", "as", 0));
        check_error(invalid, "'reply-to'");
        call_wait(CALL("Register", "ssa{sv}", "a", "", 1, "no-password", "s", "yes"));
        check_error(invalid, "'no-password'");
        call_wait(CALL("Login", "ssa{sv}", "a", "", 1, "tracker", "b", 1));
        check_error(invalid, "'tracker'");
        call_wait(CALL("ListMessages", "sa{sv}", "a", 1, "before", "u", 1));
        check_error(invalid, "'before'");
        call_wait(CALL("ListConversations", "a{sv}", 1, "limit", "i", 1));
        check_error(invalid, "'limit'");
        call_wait(CALL("ListPeers", "a{sv}", 1, "all", "u", 1));
        check_error(invalid, "'all'");
        CHECK_EQ(f->chat.n_calls, 0);
        tear_down();
}

TEST(wrong_signatures_are_refused) {
        set_up();
        call_wait(CALL("Send", "ss", "bob", "hi"));
        check_error(SD_BUS_ERROR_INVALID_ARGS, "");
        call_wait(CALL("Status", "u", 5));
        check_error(SD_BUS_ERROR_INVALID_ARGS, "");
        CHECK_EQ(f->chat.n_calls, 0);
        tear_down();
}

static void sample_append(sd_bus_message *m, const char *signature) {
        for (const char *t = signature; *t; t++)
                switch (*t) {
                case 's':
                        CHECK(sd_bus_message_append(m, "s", "bob") >= 0);
                        break;
                case 't':
                        CHECK(sd_bus_message_append(m, "t", (uint64_t)0) >= 0);
                        break;
                case 'u':
                case 'b':
                        CHECK(sd_bus_message_append_basic(m, *t, &(int){0}) >= 0);
                        break;
                case 'h':
                        CHECK(sd_bus_message_append(m, "h", STDERR_FILENO) >= 0);
                        break;
                }
        CHECK(sd_bus_message_append(m, "a{sv}", 0) >= 0);
}

TEST(what_is_not_built_says_so) {
        static const struct {
                const char *member, *signature; /* without the options */
        } table[] = {
                {"Search", "s"},
                {"Ring", ""},
        };

        set_up();
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                sd_bus_message *m = call_new(BUS_INTERFACE, table[i].member);

                sample_append(m, table[i].signature);
                call_wait(m);
                check_error(BUS_ERROR_PREFIX "NotSupported", table[i].member);
        }
        CHECK_EQ(f->chat.n_calls, 0);
        tear_down();
}

/* Safety numbers */

static const char DIGITS[] = "300354477692869396892869876765458257569162576843440918079131";

static void set_up_number(bool verified) {
        set_up();
        f->chat.verification.verified = verified;
        memcpy(f->chat.verification.safety_number, DIGITS, sizeof(DIGITS));
}

static const char *answer_key(const char *key) {
        CHECK(sd_bus_message_rewind(f->reply, true) >= 0);
        return find_key(f->reply, key);
}

/* What every code has in three of its corners. */
static void check_finder(const uint8_t *modules, unsigned width, unsigned x, unsigned y) {
        static const char *const rows[7] = {
                "#######", "#     #", "# ### #", "# ### #", "# ### #", "#     #", "#######"};

        for (unsigned i = 0; i < 7; i++)
                for (unsigned k = 0; k < 7; k++)
                        CHECK_EQ(modules[(y + i) * width + x + k], rows[i][k] == '#');
}

TEST(verify_answers_number_and_code) {
        const uint8_t *qr;
        const char *key;
        size_t n;

        set_up_number(false);
        call_wait(CALL("Verify", "sa{sv}", "bob", 0));
        CHECK_STR(f->chat.asked, "verify|bob|-|-");
        CHECK_STR(answer_key("safety-number"), DIGITS);
        CHECK_STR(answer_key("verified"), "false");
        CHECK_STR(answer_key("qr"), "ay");
        CHECK(sd_bus_message_rewind(f->reply, true) >= 0);
        CHECK(sd_bus_message_enter_container(f->reply, 'a', "{sv}") > 0);
        for (;;) {
                CHECK(sd_bus_message_enter_container(f->reply, 'e', "sv") > 0);
                CHECK(sd_bus_message_read(f->reply, "s", &key) > 0);
                if (streq(key, "qr"))
                        break;
                CHECK(sd_bus_message_skip(f->reply, "v") >= 0);
                CHECK(sd_bus_message_exit_container(f->reply) >= 0);
        }
        CHECK(sd_bus_message_enter_container(f->reply, 'v', "ay") > 0);
        CHECK(sd_bus_message_read_array(f->reply, 'y', (const void **)&qr, &n) > 0);
        CHECK_EQ(qr[0], 25);
        CHECK_EQ(n, 1 + 25 * 25);
        check_finder(qr + 1, 25, 0, 0);
        check_finder(qr + 1, 25, 18, 0);
        check_finder(qr + 1, 25, 0, 18);
        tear_down();
}

TEST(what_was_compared_is_answered_when_it_is_kept) {
        for (int confirm = 0; confirm < 2; confirm++) {
                set_up_number(!confirm);
                call_until_open(CALL("Verify", "sa{sv}", "bob", 1, "confirm", "b", confirm));
                CHECK_STR(f->chat.asked,
                        confirm ? "set-verified|bob|yes|-" : "set-verified|bob|no|-");
                settle();
                CHECK_EQ(f->n_replies, 0);
                FakeCall c = take_open();
                c.done(c.userdata, NULL);
                settle();
                CHECK_STR(answer_key("safety-number"), DIGITS);
                CHECK_STR(answer_key("verified"), confirm ? "true" : "false");

                call_until_open(CALL("Verify", "sa{sv}", "bob", 1, "confirm", "b", confirm));
                c = take_open();
                c.done(c.userdata, &(ChatError){"Storage", "The disk is full."});
                settle();
                check_error(BUS_ERROR_PREFIX "Storage", "The disk is full.");
                tear_down();
        }
}

TEST(nobody_unknown_is_verified) {
        set_up_number(false);
        f->chat.refuse = true;
        call_wait(CALL("Verify", "sa{sv}", "bob", 1, "confirm", "b", 1));
        check_error(BUS_ERROR_PREFIX "UnknownPeer", "Nobody");
        CHECK_EQ(f->chat.n_open, 0);
        tear_down();
}

/* Open calls */

TEST(open_calls_are_bounded) {
        set_up();
        for (unsigned i = 0; i < BUS_OPEN_PER_CLIENT_MAX; i++)
                call_send(CALL("Send", "ssa{sv}", "bob", "hi", 0));
        call_wait(CALL("Send", "ssa{sv}", "bob", "one too many", 0));
        check_error(BUS_ERROR_PREFIX "TooMany", "4096");
        CHECK_EQ(f->chat.n_open, BUS_OPEN_PER_CLIENT_MAX);
        FakeCall c = take_open();
        c.id(c.userdata, NULL, "1");
        call_until_open(CALL("Send", "ssa{sv}", "bob", "fits again", 0));
        CHECK_EQ(f->n_replies, 2);
        while (f->chat.n_open > 0) {
                c = take_open();
                c.id(c.userdata, NULL, "1");
        }
        while (f->n_replies < BUS_OPEN_PER_CLIENT_MAX + 2)
                turn();
        settle();
        CHECK_EQ(f->n_replies, BUS_OPEN_PER_CLIENT_MAX + 2);
        tear_down();
}

TEST(open_calls_are_forgotten_at_the_end) {
        set_up();
        call_until_open(CALL("Send", "ssa{sv}", "bob", "hi", 0));
        call_until_open(CALL("ListPeers", "a{sv}", 0));
        call_until_open(CALL("Logout", "a{sv}", 0));
        f->bus = bus_free(f->bus);
        CHECK_EQ(f->chat.n_forgotten, 3);
        CHECK_EQ(f->chat.n_open, 0);
        tear_down();
}

TEST(doctor_answers_the_bus_and_what_chat_says) {
        static const ChatCheck checks[] = {
                {.check = "store", .state = "ok", .text = "Fine."},
                {.check = "disk", .state = "failed", .text = "Full.", .advice = "Make room."},
        };

        set_up();
        f->chat.checks = checks;
        f->chat.n_checks = ELEMENTSOF(checks);
        call_wait(CALL("Doctor", "a{sv}", 0));
        CHECK_STR(row_key("check"), "bus");
        CHECK_STR(row_key("state"), "ok");
        CHECK(!row_key("advice"));
        CHECK(sd_bus_message_rewind(f->reply, true) >= 0);
        CHECK(sd_bus_message_enter_container(f->reply, 'a', "a{sv}") > 0);
        CHECK(sd_bus_message_skip(f->reply, "a{sv}") >= 0);
        CHECK_STR(find_key(f->reply, "check"), "store");
        CHECK_STR(find_key(f->reply, "advice"), "Make room.");
        tear_down();
}

/* Signals and properties */

/* The event loop must have the time before the bus asks for it, as it has in a handler. */
static int on_defer(sd_event_source *s, void *userdata) {
        void (*fn)(void) = (void (*)(void))userdata;

        fn();
        return 0;
}

static void in_handler(void (*fn)(void)) {
        sd_event_source *s;
        int enabled = SD_EVENT_ONESHOT;

        CHECK(sd_event_add_defer(f->event, &s, on_defer, (void *)fn) >= 0);
        while (enabled != SD_EVENT_OFF) { /* a turn may be another's */
                turn();
                CHECK(sd_event_source_get_enabled(s, &enabled) >= 0);
        }
        sd_event_source_unref(s);
}

static const char *details_key(const char *arguments, const char *key) {
        CHECK(sd_bus_message_rewind(f->signal, true) >= 0);
        CHECK(sd_bus_message_skip(f->signal, arguments) >= 0);
        return find_key(f->signal, key);
}

static void tell(const ChatEvent *e) {
        f->chat.listener->event(f->chat.listener_userdata, e);
}

TEST(a_received_message_is_told_with_its_details) {
        const ChatMessage m = {.id = "i",
                .from = "alice",
                .from_account = "aaaa",
                .text = "hi",
                .kind = "text",
                .sent = 5,
                .received = 6,
                .gap_before = 2};
        const char *id, *from, *room, *text;

        set_up();
        settle();
        tell(&(ChatEvent){.kind = CHAT_EVENT_MESSAGE,
                .cursor = 7,
                .time = 8,
                .message = &m,
                .account = "aaaa",
                .request = true});
        while (f->n_signals == 0)
                turn();
        CHECK(sd_bus_message_is_signal(f->signal, BUS_INTERFACE, "MessageReceived") > 0);
        CHECK(sd_bus_message_has_signature(f->signal, "ssssa{sv}") > 0);
        CHECK(sd_bus_message_read(f->signal, "ssss", &id, &from, &room, &text) > 0);
        CHECK_STR(id, "i");
        CHECK_STR(from, "alice");
        CHECK_STR(room, "");
        CHECK_STR(text, "hi");
        CHECK_STR(details_key("ssss", "account"), "aaaa");
        CHECK_STR(details_key("ssss", "sent"), "t5");
        CHECK_STR(details_key("ssss", "received"), "t6");
        CHECK_STR(details_key("ssss", "gap-before"), "u2");
        CHECK_STR(details_key("ssss", "request"), "true");
        CHECK_STR(details_key("ssss", "cursor"), "t7");
        CHECK(!details_key("ssss", "kind"));
        tear_down();
}

TEST(states_and_peers_are_told) {
        const char *id, *to, *state;

        set_up();
        settle();
        tell(&(ChatEvent){.kind = CHAT_EVENT_STATE,
                .cursor = 9,
                .id = "i",
                .to = "bob",
                .account = "bbbb",
                .state = "failed",
                .reason = "refused"});
        while (f->n_signals == 0)
                turn();
        CHECK(sd_bus_message_is_signal(f->signal, BUS_INTERFACE, "MessageStateChanged") > 0);
        CHECK(sd_bus_message_read(f->signal, "sss", &id, &to, &state) > 0);
        CHECK_STR(id, "i");
        CHECK_STR(to, "bob");
        CHECK_STR(state, "failed");
        CHECK_STR(details_key("sss", "account"), "bbbb");
        CHECK_STR(details_key("sss", "reason"), "refused");
        CHECK_STR(details_key("sss", "cursor"), "t9");
        tell(&(ChatEvent){.kind = CHAT_EVENT_PEER,
                .cursor = 10,
                .name = "bob",
                .account = "bbbb",
                .presence = "online"});
        while (f->n_signals == 1)
                turn();
        CHECK(sd_bus_message_is_signal(f->signal, BUS_INTERFACE, "PeerChanged") > 0);
        CHECK_STR(details_key("ss", "account"), "bbbb");
        tear_down();
}

TEST(who_is_writing_is_told) {
        const char *from;
        int on;

        set_up();
        settle();
        f->chat.listener->typing_changed(f->chat.listener_userdata, "bob", "bbbb", NULL, true);
        while (f->n_signals == 0)
                turn();
        CHECK(sd_bus_message_is_signal(f->signal, BUS_INTERFACE, "TypingChanged") > 0);
        CHECK(sd_bus_message_read(f->signal, "sb", &from, &on) > 0);
        CHECK_STR(from, "bob");
        CHECK(on);
        CHECK_STR(details_key("sb", "account"), "bbbb");
        CHECK(!details_key("sb", "cursor"));

        call_wait(CALL("SetTyping", "sba{sv}", "bob", true, 0));
        check_empty_answer();
        CHECK_STR(f->chat.asked, "set-typing|bob|on|-");
        f->chat.refuse = true;
        call_wait(CALL("SetTyping", "sba{sv}", "eve", false, 0));
        check_error(BUS_ERROR_PREFIX "UnknownPeer", "Nobody");
        CHECK_STR(f->chat.asked, "set-typing|eve|off|-");
        tear_down();
}

static void log_in(void) {
        static const ChatTracker tracker = {"t:1#k", "refused", "another key"};
        static const char *const problems[] = {"The clock is wrong.", NULL};

        f->chat.status = (ChatStatus){.name = "alice",
                .account = "aaaa",
                .fingerprint = "ffff",
                .state = "online",
                .presence = "away",
                .note = "at lunch",
                .idle = true,
                .queued = 3,
                .links = 2,
                .trackers = &tracker,
                .n_trackers = 1,
                .problems = problems};
}

TEST(status_is_what_chat_says) {
        set_up();
        call_wait(CALL("Status", "a{sv}", 0));
        CHECK_STR(find_key(f->reply, "state"), "logged-out");
        CHECK(sd_bus_message_rewind(f->reply, true) >= 0);
        CHECK(!find_key(f->reply, "name"));
        CHECK(sd_bus_message_rewind(f->reply, true) >= 0);
        CHECK(!find_key(f->reply, "kept"));
        f->chat.status.kept = "alice";
        call_wait(CALL("Status", "a{sv}", 0));
        CHECK_STR(find_key(f->reply, "kept"), "alice");
        log_in();
        call_wait(CALL("Status", "a{sv}", 0));
        static const char *const expected[][2] = {{"version", P2PCHAT_VERSION}, {"name", "alice"},
                {"account", "aaaa"}, {"fingerprint", "ffff"}, {"state", "online"},
                {"presence", "away"}, {"note", "at lunch"}, {"idle", "true"}, {"queued", "u3"},
                {"links", "u2"}, {"trackers", "aa{sv}"}, {"problems", "as"}};
        for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
                CHECK(sd_bus_message_rewind(f->reply, true) >= 0);
                CHECK_STR(find_key(f->reply, expected[i][0]), expected[i][1]);
        }
        tear_down();
}

TEST(properties_can_be_read_and_not_set) {
        static const char *const types[] = {
                "s", "s", "s", "s", "s", "s", "s", "u", "aa{sv}", "a{sv}", NULL};
        static const char *const names[] = {"Version", "Name", "Account", "Fingerprint", "State",
                "Presence", "Note", "Queued", "Trackers", "HandOver", NULL};
        sd_bus_message *m;

        set_up();
        log_in();
        for (size_t i = 0; names[i]; i++) {
                m = call_new("org.freedesktop.DBus.Properties", "Get");
                CHECK(sd_bus_message_append(m, "ss", BUS_INTERFACE, names[i]) >= 0);
                call_wait(m);
                CHECK(!sd_bus_message_get_error(f->reply));
                CHECK(sd_bus_message_verify_type(f->reply, 'v', types[i]) > 0);
        }
        m = call_new("org.freedesktop.DBus.Properties", "Set");
        CHECK(sd_bus_message_append(m, "ssv", BUS_INTERFACE, "Name", "s", "bob") >= 0);
        call_wait(m);
        CHECK(sd_bus_message_get_error(f->reply));
        m = call_new("org.freedesktop.DBus.Properties", "GetAll");
        CHECK(sd_bus_message_append(m, "s", BUS_INTERFACE) >= 0);
        call_wait(m);
        CHECK_STR(find_key(f->reply, "Fingerprint"), "ffff");
        tear_down();
}

static void change_much(void) {
        const ChatListener *e = f->chat.listener;

        for (unsigned i = 1; i <= 100; i++) {
                f->chat.status.queued = i;
                e->properties_changed(f->chat.listener_userdata, CHAT_QUEUED);
        }
        f->chat.status.state = "online";
        f->chat.status.presence = "busy";
        f->chat.status.note = "no calls";
        e->properties_changed(f->chat.listener_userdata, CHAT_STATE | CHAT_PRESENCE | CHAT_NOTE);
}

static void change_queued(void) {
        f->chat.status.queued++;
        f->chat.listener->properties_changed(f->chat.listener_userdata, CHAT_QUEUED);
}

TEST(changes_of_properties_are_told_together) {
        uint64_t start, end;

        set_up();
        settle();
        in_handler(change_much);
        while (f->n_signals == 0)
                turn();
        CHECK(sd_bus_message_is_signal(
                      f->signal, "org.freedesktop.DBus.Properties", "PropertiesChanged") > 0);
        CHECK_STR(details_key("s", "Queued"), "u100");
        CHECK_STR(details_key("s", "State"), "online");
        CHECK_STR(details_key("s", "Presence"), "busy");
        CHECK_STR(details_key("s", "Note"), "no calls");
        CHECK(!details_key("s", "Name"));
        settle();
        CHECK_EQ(f->n_signals, 1);

        /* One after the other: at most one signal in 20 ms, and the last value is told. */
        CHECK(sd_event_now(f->event, CLOCK_MONOTONIC, &start) >= 0);
        for (unsigned i = 0; i < 500; i++)
                in_handler(change_queued);
        while (!streq(details_key("s", "Queued") ?: "", "u600"))
                turn();
        CHECK(sd_event_now(f->event, CLOCK_MONOTONIC, &end) >= 0);
        CHECK(f->n_signals <= 2 + (end - start) / (20 * USEC_PER_MSEC));
        CHECK(!details_key("s", "State"));
        tear_down();
}

static void change_hand_over(void) {
        f->chat.status.hand_over = (ChatHandOver){.active = true, .done = 7, .total = 9};
        f->chat.listener->properties_changed(f->chat.listener_userdata, CHAT_HAND_OVER);
}

/* The dictionary that is the value of KEY, or of the property. */
static void enter_hand_over(const char *key) {
        const char *k;

        CHECK(sd_bus_message_rewind(f->reply, true) >= 0);
        if (key) {
                CHECK(sd_bus_message_enter_container(f->reply, 'a', "{sv}") > 0);
                while (sd_bus_message_enter_container(f->reply, 'e', "sv") > 0) {
                        CHECK(sd_bus_message_read(f->reply, "s", &k) > 0);
                        if (streq(k, key))
                                break;
                        CHECK(sd_bus_message_skip(f->reply, "v") >= 0);
                        CHECK(sd_bus_message_exit_container(f->reply) >= 0);
                }
        }
        CHECK(sd_bus_message_enter_container(f->reply, 'v', "a{sv}") > 0);
}

static void get_hand_over(void) {
        sd_bus_message *m = call_new("org.freedesktop.DBus.Properties", "Get");

        CHECK(sd_bus_message_append(m, "ss", BUS_INTERFACE, "HandOver") >= 0);
        call_wait(m);
        enter_hand_over(NULL);
}

TEST(a_hand_over_is_shown_while_it_goes_on) {
        set_up();
        log_in();
        call_wait(CALL("Status", "a{sv}", 0));
        CHECK(!find_key(f->reply, "hand-over"));
        get_hand_over();
        CHECK(!find_key(f->reply, "done"));
        settle();
        f->n_signals = 0;
        in_handler(change_hand_over);
        while (f->n_signals == 0)
                turn();
        CHECK_STR(details_key("s", "HandOver"), "a{sv}");
        get_hand_over();
        CHECK_STR(find_key(f->reply, "done"), "t7");
        get_hand_over();
        CHECK_STR(find_key(f->reply, "total"), "t9");
        get_hand_over();
        CHECK_STR(find_key(f->reply, "direction"), "take");
        f->chat.status.hand_over.giving = f->chat.status.hand_over.waiting = true;
        call_wait(CALL("Status", "a{sv}", 0));
        enter_hand_over("hand-over");
        CHECK_STR(find_key(f->reply, "direction"), "give");
        enter_hand_over("hand-over");
        CHECK_STR(find_key(f->reply, "waiting"), "true");
        tear_down();
}

TEST(the_end_of_an_account_is_said_when_nothing_is_left_of_it) {
        Chat *next = calloc(1, sizeof(*next));
        FakeCall deletion;

        CHECK(next);
        set_up();
        log_in();
        call_until_open(CALL("DeleteAccount", "sa{sv}", "secret", 0));
        CHECK_STR(f->chat.asked, "delete-account|secret|-|-");
        deletion = take_open();
        call_until_open(CALL("Send", "ssa{sv}", "bob", "hi", 0));
        deletion.done(deletion.userdata, NULL);
        settle();
        CHECK_EQ(f->n_replies, 0);
        bus_set_chat(f->bus, NULL);
        CHECK(!f->chat.listener);
        CHECK_EQ(f->chat.n_open, 0); /* it is forgotten */
        settle();
        CHECK_EQ(f->n_replies, 1);
        check_error(BUS_ERROR_PREFIX "NotLoggedIn", "deleted");
        f->n_signals = 0;
        next->status =
                (ChatStatus){.name = "", .account = "", .fingerprint = "", .state = "logged-out"};
        bus_set_chat(f->bus, next);
        settle();
        CHECK_EQ(f->n_replies, 2);
        CHECK(!sd_bus_message_get_error(f->reply));
        while (f->n_signals == 0)
                turn();
        CHECK_STR(details_key("s", "State"), "logged-out");
        CHECK(next->listener);
        call_send(CALL("Login", "ssa{sv}", "alice", "", 0));
        while (next->n_open == 0)
                turn();
        CHECK_STR(next->asked, "login|alice||-");
        tear_down();
        free(next);
}

TEST(a_deletion_that_is_refused_is_answered_at_once) {
        FakeCall deletion;

        set_up();
        call_until_open(CALL("DeleteAccount", "sa{sv}", "wrong", 0));
        deletion = take_open();
        deletion.done(deletion.userdata, &fake_refusal);
        settle();
        CHECK_EQ(f->n_replies, 1);
        check_error(BUS_ERROR_PREFIX "UnknownPeer", fake_refusal.text);
        tear_down();
}

TEST(introspection_needs_no_bus) {
        _cleanup_(freep) char *xml = NULL;
        size_t n;
        FILE *out = open_memstream(&xml, &n);

        CHECK(out);
        CHECK_OK(bus_introspect(out));
        CHECK_OK(fclose(out));
        CHECK(strstr(xml, "<interface name=\"org.p2pchat.Chat1\">"));
        CHECK(strstr(xml, "<method name=\"Send\">"));
        CHECK(strstr(xml, "<arg type=\"s\" name=\"text\" direction=\"in\"/>"));
        CHECK(strstr(xml, "<property name=\"Trackers\" type=\"aa{sv}\" access=\"read\">"));
}
