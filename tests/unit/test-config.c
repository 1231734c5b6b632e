/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include <sys/stat.h>

#include "config/schema.h"
#include "rooms/roster.h"
#include "util/fs.h"

#define KEY "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const ConfigSchema *const DAEMON = &config_schema_daemon;
static const ConfigSchema *const TRACKER = &config_schema_tracker;

static int load(const ConfigSchema *schema, const char *text, void *config, ConfigError *e) {
        return config_load_text(schema, "x.conf", text, strlen(text), config, e);
}

static void check_loads(const ConfigSchema *schema, const char *text, void *config) {
        ConfigError e;

        if (load(schema, text, config, &e) < 0)
                test_fail(__FILE__, __LINE__, e.text);
}

TEST(defaults_of_the_daemon) {
        ConfigError e;
        DaemonConfig c;

        CHECK_OK(config_load(DAEMON, NULL, &c, &e));
        CHECK(!c.origin.file);
        CHECK_EQ(c.trackers.n, 0);
        CHECK_STR(c.listen.address, "::");
        CHECK_EQ(c.listen.port, 0);
        CHECK_EQ(c.listen.advertise.n, 0);
        CHECK(c.lan.enabled);
        CHECK_EQ(c.lan.port, 6004);
        CHECK_EQ(c.heartbeat.interval, 30);
        CHECK_EQ(c.contacts.accept, CONFIG_ACCEPT_ASK);
        CHECK_EQ(c.privacy.presence, CONFIG_AUDIENCE_ALL);
        CHECK_EQ(c.handover, CONFIG_HANDOVER_AUTO);
        CHECK_EQ(c.storage.max_size, 0);
        CHECK_EQ(c.storage.key, CONFIG_KEY_AUTO);
        CHECK(!c.storage.seal_messages);
        CHECK_EQ(c.limits.connections, 1000);
        CHECK_EQ(c.limits.per_address, 64);
        CHECK_EQ(c.limits.handshake, 10);
        CHECK(!c.node.enabled);
        config_free(DAEMON, &c);
}

TEST(defaults_of_the_tracker) {
        ConfigError e;
        TrackerConfig c;

        CHECK_OK(config_load(TRACKER, NULL, &c, &e));
        CHECK_EQ(c.listen.n, 1);
        CHECK_STR(c.listen.items[0].host, "::");
        CHECK_EQ(c.listen.items[0].port, 7425);
        CHECK_STR(c.advertise.host, "");
        CHECK_EQ(c.mailbox.max_bytes, 8 << 20);
        CHECK_EQ(c.ring.replicas, 3);
        CHECK_STR(c.ring.certificate, "");
        CHECK_EQ(c.limits.connections, 100000);
        CHECK_EQ(c.limits.registrations_per_hour, 20);
        config_free(TRACKER, &c);
}

/* The whole of a file, with every key at another value than its default. */
TEST(every_key_of_the_daemon_arrives) {
        DaemonConfig c;

        check_loads(DAEMON,
                "trackers  = ( \"t.example:7425#" KEY "\", \"[2001:db8::1]:1#" KEY "\" );\n"
                "listen    = { address = \"127.0.0.1\"; port = 65535;\n"
                "              advertise = [ \"a.b:1\" ]; };\n"
                "lan       = { enabled = false; port = 1; interval = 2;\n"
                "              interfaces = ( \"eth0\" ); dns-sd = false; };\n"
                "heartbeat = { interval = 5; away-after = 3600; };\n"
                "contacts  = { accept = \"all\"; };\n"
                "privacy   = { listed = false; presence = \"nobody\";\n"
                "              endpoints = \"contacts\"; };\n"
                "receipts  = { read = false; };\n"
                "handover  = \"ask\";\n"
                "storage   = { history-days = 7; max-size = \"3G\"; key = \"secret-service\"; "
                "seal-messages = true; };\n"
                "rooms     = { max-members = 10; };\n"
                "limits    = { connections = 4294967295; per-address = 0; handshake = 3600L; };\n"
                "notify    = { enabled = false; show-text = false; };\n"
                "node      = { enabled = true; port = 7; peers = ( \"n:2#" KEY
                "\" ); }; # no newline",
                &c);
        CHECK_EQ(c.trackers.n, 2);
        CHECK_STR(c.trackers.items[0].host, "t.example");
        CHECK_EQ(c.trackers.items[0].port, 7425);
        CHECK(bytes_are_zero(c.trackers.items[0].key, 32));
        CHECK_STR(c.trackers.items[1].host, "2001:db8::1");
        CHECK_STR(c.listen.address, "127.0.0.1");
        CHECK_EQ(c.listen.port, 65535);
        CHECK_STR(c.listen.advertise.items[0].host, "a.b");
        CHECK(!c.lan.enabled);
        CHECK_EQ(c.lan.interval, 2);
        CHECK_STR(c.lan.interfaces.items[0], "eth0");
        CHECK(!c.lan.dns_sd);
        CHECK_EQ(c.heartbeat.interval, 5);
        CHECK_EQ(c.heartbeat.away_after, 3600);
        CHECK_EQ(c.contacts.accept, CONFIG_ACCEPT_ALL);
        CHECK(!c.privacy.listed);
        CHECK_EQ(c.privacy.presence, CONFIG_AUDIENCE_NOBODY);
        CHECK_EQ(c.privacy.endpoints, CONFIG_AUDIENCE_CONTACTS);
        CHECK(!c.receipts.read);
        CHECK_EQ(c.handover, CONFIG_HANDOVER_ASK);
        CHECK_EQ(c.storage.history_days, 7);
        CHECK_EQ(c.storage.max_size, 3LL << 30);
        CHECK_EQ(c.storage.key, CONFIG_KEY_SECRET_SERVICE);
        CHECK(c.storage.seal_messages);
        CHECK_EQ(c.rooms.max_members, 10);
        CHECK_EQ(c.limits.connections, UINT32_MAX);
        CHECK_EQ(c.limits.per_address, 0);
        CHECK_EQ(c.limits.handshake, 3600);
        CHECK(!c.notify.show_text);
        CHECK(c.node.enabled);
        CHECK_EQ(c.node.peers.items[0].port, 2);
        for (size_t i = 0; i < DAEMON->n_items; i++)
                CHECK(c.origin.lines[i] > 0);
        config_free(DAEMON, &c);
}

TEST(every_key_of_the_tracker_arrives) {
        TrackerConfig c;

        check_loads(TRACKER,
                "listen    = ( \"127.0.0.1:1\", \"[::1]:2\" );  advertise = \"t.example\";\n"
                "heartbeat = { interval = 3600; };\n"
                "lan       = { enabled = false; port = 1; interval = 2;\n"
                "              interfaces = ( \"eth0\" ); };\n"
                "mailbox   = { enabled = false; max-items = 1; max-bytes = \"2048\"; days = 1; };\n"
                "ring      = { peers = ( \"r:3#" KEY "\" ); replicas = 1; successors = 4;\n"
                "              certificate = \"/etc/ring.pem\"; };\n"
                "limits    = { connections = 1; per-address = 2; registrations-per-hour = 3;\n"
                "              handshake = 4; relay-bytes = \"5M\"; };\n",
                &c);
        CHECK_EQ(c.listen.n, 2);
        CHECK_STR(c.listen.items[1].host, "::1");
        CHECK_STR(c.advertise.host, "t.example");
        CHECK_EQ(c.advertise.port, 0);
        CHECK_EQ(c.heartbeat.interval, 3600);
        CHECK(!c.lan.enabled);
        CHECK_EQ(c.lan.port, 1);
        CHECK_EQ(c.lan.interval, 2);
        CHECK_STR(c.lan.interfaces.items[0], "eth0");
        CHECK(!c.mailbox.enabled);
        CHECK_EQ(c.mailbox.max_bytes, 2048);
        CHECK_EQ(c.mailbox.days, 1);
        CHECK_EQ(c.ring.peers.n, 1);
        CHECK_STR(c.ring.certificate, "/etc/ring.pem");
        CHECK_EQ(c.limits.registrations_per_hour, 3);
        CHECK_EQ(c.limits.handshake, 4);
        CHECK_EQ(c.limits.relay_bytes, 5 << 20);
        for (size_t i = 0; i < TRACKER->n_items; i++)
                CHECK(c.origin.lines[i] > 0);
        config_free(TRACKER, &c);
}

TEST(advertise_takes_a_host_with_or_without_port) {
        static const struct {
                const char *value, *host;
                uint16_t port;
        } CASES[] = {
                {"t.example:99", "t.example", 99},
                {"::1", "::1", 0},
                {"[::1]", "::1", 0},
                {"[::1]:99", "::1", 99},
                {"192.0.2.1", "192.0.2.1", 0},
        };
        char text[100];
        TrackerConfig c;

        for (size_t i = 0; i < ELEMENTSOF(CASES); i++) {
                snprintf(text, sizeof(text), "advertise = \"%s\";", CASES[i].value);
                check_loads(TRACKER, text, &c);
                CHECK_STR(c.advertise.host, CASES[i].host);
                CHECK_EQ(c.advertise.port, CASES[i].port);
                config_free(TRACKER, &c);
        }
}

typedef struct BadCase {
        const char *text;
        const char *begin; /* of the message */
        const char *mention; /* somewhere in it */
} BadCase;

static void check_refused(const ConfigSchema *schema, const BadCase *bad) {
        union {
                DaemonConfig daemon;
                TrackerConfig tracker;
        } c;
        ConfigError e;

        if (load(schema, bad->text, &c, &e) != -EINVAL) {
                config_free(schema, &c);
                test_fail(__FILE__, __LINE__, bad->text);
        }
        if (strncmp(e.text, bad->begin, strlen(bad->begin)) != 0 || !strstr(e.text, bad->mention))
                test_fail(__FILE__, __LINE__, e.text);
        CHECK(bytes_are_zero(&c, schema->size));
}

TEST(errors_name_file_line_key_and_what_is_allowed) {
        static const BadCase CASES[] = {
                {"\n\nlisten = {\n port = 65536; };",
                        "x.conf:4: listen.port: 65536 is out of range",
                        "allowed: an integer from 0 to 65535"},
                {"listen = { port = -1; };", "x.conf:1: listen.port: -1 ", "65535"},
                {"listen = { port = 4294967376; };", "x.conf:1: listen.port: 4294967376 ", "65535"},
                {"listen = { port = -4294967216; };", "x.conf:1: listen.port: -4294967216 ", ""},
                {"listen = { port = 4294967376L; };", "x.conf:1: listen.port: 4294967376 ", ""},
                {"listen = { /* \" */ port=/*\n*/4294967376/**/}; # 1234567890",
                        "x.conf:1: listen.port: 4294967376 ", ""},
                {"listen = { port = 12345678901.5; };", "x.conf:1: listen.port: ", "fraction"},
                {"listen = { port = 12345678901e2; };", "x.conf:1: listen.port: ", "fraction"},
                {"listen = { p1234567890 = 1; };", "x.conf:1: listen.p1234567890: there", "port"},
                {"listen = { address = \"\\\"1234567890\"; };", "x.conf:1: listen.address: \"\"123",
                        "67890\" is"},
                {"listen = { port = 0x100001d01; };", "x.conf:1: listen.port: ", "decimal"},
                {"listen = { port = 80.0; };", "x.conf:1: listen.port: ", "fraction"},
                {"listen = { port = \"80\"; };", "x.conf:1: listen.port: a string ", "an integer"},
                {"listen = { port = true; };", "x.conf:1: listen.port: a boolean ", "an integer"},
                {"listen = { port = { }; };", "x.conf:1: listen.port: a group ", "an integer"},
                {"listen = { address = \"localhost\"; };",
                        "x.conf:1: listen.address: \"localhost\"", "numeric"},
                {"listen = { advertise = ( \"a\" ); };", "x.conf:1: listen.advertise: \"a\"",
                        "\"host:port\""},
                {"listen = ( );", "x.conf:1: listen: ", "a group"},
                {"lan = { interval = 1; };", "x.conf:1: lan.interval: 1 ", "from 2 to 3600"},
                {"lan = { enabled = 1; };", "x.conf:1: lan.enabled: an integer ", "true or false"},
                {"lan = { interfaces = ( \"eth/0\" ); };",
                        "x.conf:1: lan.interfaces: ", "the name of"},
                {"heartbeat = { interval = 4; };", "x.conf:1: heartbeat.interval: 4 ", "5 to 3600"},
                {"contacts = { accept = \"yes\"; };", "x.conf:1: contacts.accept: \"yes\"",
                        "allowed: \"ask\" or \"all\""},
                {"contacts = { accept = 1; };", "x.conf:1: contacts.accept: ", "\"ask\""},
                {"storage = { max-size = 8; };", "x.conf:1: storage.max-size: ", "in quotes"},
                {"storage = { max-size = \"8Q\"; };", "x.conf:1: storage.max-size: \"8Q\"", "KMG"},
                {"storage = { max-size = \"99999999999999999999\"; };",
                        "x.conf:1: storage.max-size: ", "out of range"},
                {"storage = { max-size = \"17T\"; };", "x.conf:1: storage.max-size: ", "\"16T\""},
                {"trackers = \"a:1#" KEY "\";", "x.conf:1: trackers: a string ", "a list"},
                {"trackers = (\n\"a:1#" KEY "\",\n\"b:2\" );", "x.conf:3: trackers: \"b:2\"",
                        "host:port#key"},
                {"trackers = ( \"a:1#" KEY "a\" );", "x.conf:1: trackers: ", "52"},
                {"trackers = ( 7 );", "x.conf:1: trackers: an integer ", "host:port#key"},
                {"lan = {\n prot = 1; };", "x.conf:2: lan.prot: there is no such key",
                        "allowed: enabled, port, interval, interfaces"},
                {"tracker = ( );", "x.conf:1: tracker: there is no such key",
                        "allowed: trackers, listen, lan, heartbeat, "},
                {"lan = { port = 1;\n port = 2; };", "x.conf:2: duplicate", "port = 2"},
                {"handover = \"ask\";\nhandover = \"ask\";", "x.conf:2: duplicate", "handover"},
                {"lan = { port = ; };", "x.conf:1: ", "lan = { port = ; };"},
                {"lan = {\n\n", "x.conf:", "syntax error, in or before: lan = {"},
                {"handover = \"ask", "x.conf:", "syntax"},
                {"handover = \"ask\";\n \t@include \"/dev/null\"\n",
                        "x.conf:2: @include: ", "not supported"},
        };

        for (size_t i = 0; i < ELEMENTSOF(CASES); i++)
                check_refused(DAEMON, &CASES[i]);
}

/* What is configured is what a room can take. */
TEST(a_room_has_at_most_as_many_members_as_its_log_can_name) {
        DaemonConfig c;
        ConfigError e;
        char text[64];

        snprintf(text, sizeof(text), "rooms = { max-members = %d; };", ROSTER_MEMBERS_MAX);
        check_loads(DAEMON, text, &c);
        CHECK_EQ(c.rooms.max_members, ROSTER_MEMBERS_MAX);
        config_free(DAEMON, &c);
        snprintf(text, sizeof(text), "rooms = { max-members = %d; };", ROSTER_MEMBERS_MAX + 1);
        CHECK_EQ(load(DAEMON, text, &c, &e), -EINVAL);
        snprintf(text, sizeof(text), "allowed: an integer from 1 to %d", ROSTER_MEMBERS_MAX);
        CHECK(strstr(e.text, text));
}

TEST(errors_of_the_tracker) {
        static const BadCase CASES[] = {
                {"listen = ( );", "x.conf:1: listen: 0 elements are too few", "1 to 64"},
                {"listen = ( \"localhost:1\" );", "x.conf:1: listen: \"localhost:1\"", "numeric"},
                {"listen = ( \"[::]:0\" );", "x.conf:1: listen: \"[::]:0\"", "address:port"},
                {"advertise = \"a b\";", "x.conf:1: advertise: \"a b\"", "\"host:port\""},
                {"advertise = \"a:0\";", "x.conf:1: advertise: \"a:0\"", "\"host:port\""},
                {"mailbox = { days = 31; };", "x.conf:1: mailbox.days: 31 ", "1 to 30"},
                {"mailbox = { max-bytes = \"1\"; };", "x.conf:1: mailbox.max-bytes: ", "\"1K\""},
                {"ring = { replicas = 9; };", "x.conf:1: ring.replicas: 9 ", "1 to 8"},
                {"ring = { certificate = \"x\"; };", "x.conf:1: ring.certificate: ", "absolute"},
                {"trackers = ( );", "x.conf:1: trackers: there is no such key", "advertise"},
        };

        for (size_t i = 0; i < ELEMENTSOF(CASES); i++)
                check_refused(TRACKER, &CASES[i]);
}

TEST(messages_cannot_drive_a_terminal) {
        static const char *const TEXTS[] = {
                "handover = \"\\x1b[31m\\n\";",
                "handover = \"\xc2\x9b\x33m\xff\";",
                "handover \x1b[2J\x7f = 1;",
        };
        ConfigError e;
        DaemonConfig c;

        for (size_t i = 0; i < ELEMENTSOF(TEXTS); i++) {
                CHECK_EQ(load(DAEMON, TEXTS[i], &c, &e), -EINVAL);
                for (const char *p = e.text; *p; p++)
                        CHECK(*p >= ' ' && *p < 0x7f);
        }
}

TEST(zero_byte_is_refused_with_its_line) {
        static const char TEXT[] = "lan = { };\n\0handover = 1;";
        ConfigError e;
        DaemonConfig c;

        CHECK_EQ(config_load_text(DAEMON, "x.conf", TEXT, sizeof(TEXT) - 1, &c, &e), -EINVAL);
        CHECK(strstr(e.text, "x.conf:2: "));
}

TEST(deep_nesting_is_an_error) {
        static const char OPEN[] = "trackers = ";
        _cleanup_(freep) char *text = malloc(CONFIG_FILE_MAX);
        ConfigError e;
        DaemonConfig c;

        memset(text, '(', CONFIG_FILE_MAX);
        memcpy(text, OPEN, sizeof(OPEN) - 1);
        CHECK_EQ(config_load_text(DAEMON, "x.conf", text, CONFIG_FILE_MAX, &c, &e), -EINVAL);
}

TEST(too_many_elements) {
        char text[4096] = "trackers = ( \"a:1#" KEY "\"";
        ConfigError e;
        DaemonConfig c;

        for (int i = 0; i < 16; i++)
                strcat(text, ", \"a:1#" KEY "\"");
        strcat(text, " );");
        CHECK_EQ(load(DAEMON, text, &c, &e), -EINVAL);
        CHECK(strstr(e.text, "17 elements are too many; allowed: a list of at most 16, each "));
}

TEST(keys_not_built_yet_are_named) {
        _cleanup_(freep) char *out = NULL;
        size_t size;
        DaemonConfig c;
        FILE *f;

        check_loads(DAEMON,
                "listen = { port = 1; };\nnode = {\n enabled = true;\n port = 7; };\nhandover = "
                "\"ask\";",
                &c);
        f = open_memstream(&out, &size);
        CHECK_EQ(config_print_unbuilt(DAEMON, &c, f), 2);
        fclose(f);
        CHECK(strstr(out, "x.conf:3: node.enabled: "));
        CHECK(strstr(out, "x.conf:4: node.port: "));
        CHECK(!strstr(out, "listen") && !strstr(out, "handover"));
        config_free(DAEMON, &c);
}

static void on_change(void *userdata, const char *path, bool unbuilt) {
        char *text = userdata;

        CHECK(strlen(text) + strlen(path) + 3 < 512);
        sprintf(text + strlen(text), "%s %c;", path, unbuilt ? 'u' : 'n');
}

static void check_changes(
        const ConfigSchema *schema, const char *before, const char *after, const char *changes) {
        union {
                DaemonConfig daemon;
                TrackerConfig tracker;
        } a, b;
        char text[512] = "";
        ConfigError e;

        CHECK_OK(load(schema, before, &a, &e));
        CHECK_OK(load(schema, after, &b, &e));
        config_each_change(schema, &a, &a, on_change, text);
        CHECK_STR(text, "");
        config_each_change(schema, &a, &b, on_change, text);
        CHECK_STR(text, changes);
        config_free(schema, &a);
        config_free(schema, &b);
}

TEST(keys_that_changed_are_named) {
        check_changes(DAEMON, "", "# nothing but a comment", "");
        check_changes(
                DAEMON, "listen = { port = 1; };", "listen = { port = 2; };", "listen.port n;");
        check_changes(DAEMON, "", "heartbeat = { interval = 30; };", "");
        check_changes(DAEMON, "", "heartbeat = { interval = 31; };", "heartbeat.interval n;");
        check_changes(DAEMON, "", "node = { enabled = true; };", "node.enabled u;");
        check_changes(DAEMON, "", "contacts = { accept = \"all\"; };", "contacts.accept n;");
        check_changes(DAEMON, "", "listen = { address = \"::1\"; };", "listen.address n;");
        check_changes(DAEMON, "trackers = ( \"a:1#" KEY "\" );",
                "trackers = ( \"a:1#" KEY "\", \"b:1#" KEY "\" );", "trackers n;");
        check_changes(DAEMON, "trackers = ( \"a:1#" KEY "\" );", "trackers = ( \"a:2#" KEY "\" );",
                "trackers n;");
        check_changes(DAEMON, "listen = { advertise = ( \"a:1\" ); };",
                "listen = { advertise = ( \"b:1\" ); };", "listen.advertise n;");
        check_changes(DAEMON, "lan = { interfaces = ( \"a\" ); };",
                "lan = { interfaces = ( \"b\" ); };", "lan.interfaces n;");
        check_changes(TRACKER, "", "advertise = \"h\"; limits = { relay-bytes = \"1M\"; };",
                "advertise n;limits.relay-bytes u;");
}

TEST(a_bad_file_leaves_the_settings_in_use_alone) {
        DaemonConfig used, fresh;
        ConfigError e;

        check_loads(DAEMON, "heartbeat = { interval = 60; };", &used);
        CHECK_EQ(load(DAEMON, "heartbeat = { interval = 60; away-after = 0; };", &fresh, &e),
                -EINVAL);
        CHECK_EQ(used.heartbeat.interval, 60);
        CHECK_STR(used.listen.address, "::");
        config_free(DAEMON, &fresh);
        config_free(DAEMON, &used);
        config_free(DAEMON, &used);
}

static void check_unreadable(const char *path, int expected) {
        DaemonConfig c;
        ConfigError e;

        CHECK_EQ(config_load(DAEMON, path, &c, &e), expected);
        CHECK(strncmp(e.text, path, strlen(path)) == 0);
        CHECK(bytes_are_zero(&c, sizeof(c)));
}

TEST(files) {
        char dir[] = "/tmp/p2pchat-test-XXXXXX";
        _cleanup_(freep) char *big = calloc(1, CONFIG_FILE_MAX + 1), *path = NULL;
        DaemonConfig c;
        ConfigError e;

        CHECK(mkdtemp(dir));
        path = fs_join(dir, "x.conf");
        check_unreadable(path, -ENOENT);
        check_unreadable(dir, -EISDIR);
        memset(big, '\n', CONFIG_FILE_MAX + 1);
        CHECK_OK(fs_write_file(path, big, CONFIG_FILE_MAX + 1));
        check_unreadable(path, -EFBIG);
        CHECK_OK(fs_write_file(path, big, CONFIG_FILE_MAX));
        CHECK_OK(config_load(DAEMON, path, &c, &e));
        CHECK_STR(c.origin.file, path);
        config_free(DAEMON, &c);
        CHECK_OK(unlink(path));
        CHECK_OK(rmdir(dir));
}

TEST(search_order) {
        char dir[] = "/tmp/p2pchat-test-XXXXXX";
        _cleanup_(freep) char *home = NULL, *a = NULL, *b = NULL, *found = NULL;
        const char *names[] = {".config/p2pchat", ".config", "xdg/p2pchat", "xdg", ""};

        CHECK(mkdtemp(dir));
        home = fs_join(dir, "xdg");
        for (int i = 2; i >= 0; i -= 2) {
                _cleanup_(freep) char *d = fs_join(dir, names[i]);
                char **file = i ? &a : &b;

                CHECK_OK(fs_mkdir_p(d));
                *file = fs_join(d, "p2pchatd.conf");
                CHECK_OK(fs_write_file(*file, "", 0));
        }
        setenv("HOME", dir, true);
        setenv("XDG_CONFIG_HOME", home, true);
        CHECK_OK(config_path_daemon(&found));
        CHECK_STR(found, a);
        found = mfree(found);
        setenv("XDG_CONFIG_HOME", "xdg", true); /* relative: as if not set */
        CHECK_OK(config_path_daemon(&found));
        CHECK_STR(found, b);
        found = mfree(found);
        CHECK_OK(unlink(b));
        CHECK_OK(symlink("nowhere", b)); /* reading it fails, instead of other settings */
        CHECK_OK(config_path_daemon(&found));
        CHECK_STR(found, b);
        found = mfree(found);
        CHECK_OK(unlink(b));
        CHECK_OK(config_path_daemon(&found));
        CHECK(!found || streq(found, "/etc/p2pchat/p2pchatd.conf"));
        found = mfree(found);
        CHECK_OK(config_path_tracker(&found));
        CHECK(!found || streq(found, "/etc/p2pchat/p2pchat-tracker.conf"));
        CHECK_OK(unlink(a));
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_(freep) char *d = fs_join(dir, names[i]);

                CHECK_OK(rmdir(d));
        }
}

static bool field_equal(const ConfigItem *item, const void *a, const void *b) {
        static const size_t SIZES[] = {
                [CONFIG_BOOL] = sizeof(bool),
                [CONFIG_INT] = sizeof(uint32_t),
                [CONFIG_ENUM] = sizeof(unsigned),
                [CONFIG_SIZE] = sizeof(uint64_t),
                [CONFIG_HOST] = sizeof(Endpoint),
        };
        const void *x = (const char *)a + item->offset, *y = (const char *)b + item->offset;
        const ConfigEndpoints *l = x, *m = y;

        switch (item->type) {
        case CONFIG_STRING:
                return streq(*(char *const *)x, *(char *const *)y);
        case CONFIG_ENDPOINTS:
                return l->n == m->n && memcmp(l->items, m->items, l->n * sizeof(Endpoint)) == 0;
        case CONFIG_STRINGS:
        case CONFIG_ENDPOINT_KEYS: /* empty by default */
                return l->n == 0 && m->n == 0;
        default:
                return memcmp(x, y, SIZES[item->type]) == 0;
        }
}

static char *read_source(const char *name) {
        char *path = fs_join(SOURCE_ROOT, name), *text;

        CHECK_OK(fs_read_file(path, CONFIG_FILE_MAX, &text, NULL));
        free(path);
        return text;
}

/* "#key = …" is a setting, "# Some words" is not. */
static void uncomment(char *text) {
        for (char *p = text; p; p = strchr(p, '\n')) {
                p += strspn(p, "\n ");
                if (p[0] == '#' && p[1] >= 'a' && p[1] <= 'z')
                        p[0] = ' ';
        }
}

static void check_example(const ConfigSchema *schema, const char *name, bool uncommented) {
        _cleanup_(freep) char *text = read_source(name);
        union {
                DaemonConfig daemon;
                TrackerConfig tracker;
                ConfigOrigin origin;
        } c, defaults;
        ConfigError e;

        if (uncommented)
                uncomment(text);
        check_loads(schema, text, &c);
        CHECK_OK(config_load(schema, NULL, &defaults, &e));
        for (size_t i = 0; i < schema->n_items; i++) {
                if (!field_equal(&schema->items[i], &c, &defaults))
                        test_fail(name, (int)c.origin.lines[i], schema->items[i].path);
                if ((c.origin.lines[i] > 0) != uncommented)
                        test_fail(name, 0, schema->items[i].path);
        }
        config_free(schema, &c);
        config_free(schema, &defaults);
}

TEST(shipped_files_show_every_key_with_its_default) {
        check_example(DAEMON, "conf/p2pchatd.conf", true);
        check_example(TRACKER, "conf/p2pchat-tracker.conf", true);
}

TEST(shipped_files_change_nothing) {
        check_example(DAEMON, "conf/p2pchatd.conf", false);
        check_example(TRACKER, "conf/p2pchat-tracker.conf", false);
}

/* The escapes that the pages use: \- and \(dq. */
static void unescape_man(char *text) {
        char *to = text;

        for (const char *p = text; *p;) {
                if (strncmp(p, "\\(dq", 4) == 0) {
                        *to++ = '"';
                        p += 4;
                } else if (*p == '\\')
                        p++;
                else
                        *to++ = *p++;
        }
        *to = 0;
}

static void check_man_page(const ConfigSchema *schema, const char *name) {
        _cleanup_(freep) char *text = read_source(name);
        char line[200];

        unescape_man(text);
        for (size_t i = 0; i < schema->n_items; i++) {
                const ConfigItem *item = &schema->items[i];

                snprintf(line, sizeof(line), "\n.BR %s \" = %s%s\"\n", item->path, item->fallback,
                        item->unbuilt ? " *" : "");
                if (!strstr(text, line))
                        test_fail(name, 0, item->path);
        }
}

TEST(man_pages_name_every_key_its_default_and_whether_it_works) {
        check_man_page(DAEMON, "docs/man/p2pchatd.conf.5");
        check_man_page(TRACKER, "docs/man/p2pchat-tracker.conf.5");
}

TEST(endpoint_with_key) {
        static const char TEXT[] = "[2001:db8::1]:7425#" KEY;
        char buf[ENDPOINT_KEY_SIZE];
        EndpointKey e;

        CHECK_OK(endpoint_key_parse(TEXT, &e));
        CHECK_STR(endpoint_key_format(&e, buf), TEXT);
        CHECK_OK(endpoint_key_parse("a:1#"
                                    "BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                &e));
        CHECK_EQ(e.key[0], 8);
        CHECK_EQ(endpoint_key_parse("", &e), -EINVAL);
        CHECK_EQ(endpoint_key_parse("a:1", &e), -EINVAL);
        CHECK_EQ(endpoint_key_parse("a:1#", &e), -EINVAL);
        CHECK_EQ(endpoint_key_parse("a:0#" KEY, &e), -EINVAL);
        CHECK_EQ(endpoint_key_parse("#" KEY, &e), -EINVAL);
        CHECK_EQ(endpoint_key_parse("a:1#" KEY "#", &e), -EINVAL);
        CHECK_EQ(endpoint_key_parse("a:1#aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", &e),
                -EINVAL);
}
