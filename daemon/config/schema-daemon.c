/* SPDX-License-Identifier: GPL-3.0-or-later */

/* p2pchatd.conf. The comments in conf/p2pchatd.conf and p2pchatd.conf(5) explain the keys. */

#include "config/check.h"

#define CONFIG_STRUCT DaemonConfig
#include "config/schema.h"

#define NO_LIMIT .hint = "0 = no limit"

static const char *const ACCEPT_NAMES[] = {"ask", "all", NULL};
static const char *const PRESENCE_NAMES[] = {"all", "contacts", "nobody", NULL};
static const char *const ENDPOINTS_NAMES[] = {"all", "contacts", NULL};
static const char *const HANDOVER_NAMES[] = {"auto", "ask", NULL};
static const char *const KEY_NAMES[] = {
        "auto", "credential", "secret-service", "file", "none", NULL};

static const ConfigItem ITEMS[] = {
        ITEM_ENDPOINT_KEYS("trackers", trackers, "( )", 0, 16),

        ITEM_STRING("listen.address", listen.address, "\"::\"", .check = check_ip,
                .hint = "a numeric IPv4 or IPv6 address in quotes"),
        ITEM_INT("listen.port", listen.port, "0", 0, 65535, .hint = "0 = a free one, kept"),
        ITEM_ENDPOINTS("listen.advertise", listen.advertise, "( )", 0, 16),

        ITEM_BOOL("lan.enabled", lan.enabled, "true"),
        ITEM_INT("lan.port", lan.port, "6004", 1, 65535),
        ITEM_INT("lan.interval", lan.interval, "10", 2, 3600, .hint = "seconds"),
        ITEM_STRINGS("lan.interfaces", lan.interfaces, "( )", 0, 32, .check = check_interface,
                .hint = "the name of a network interface in quotes"),
        ITEM_BOOL("lan.dns-sd", lan.dns_sd, "true"),

        ITEM_INT("heartbeat.interval", heartbeat.interval, "30", 5, 3600, .hint = "seconds"),
        ITEM_INT("heartbeat.away-after", heartbeat.away_after, "300", 5, 3600, .hint = "seconds"),

        ITEM_ENUM("contacts.accept", contacts.accept, ConfigAccept, "\"ask\"", ACCEPT_NAMES),

        ITEM_BOOL("privacy.listed", privacy.listed, "true"),
        ITEM_ENUM("privacy.presence", privacy.presence, ConfigAudience, "\"all\"", PRESENCE_NAMES),
        ITEM_ENUM(
                "privacy.endpoints", privacy.endpoints, ConfigAudience, "\"all\"", ENDPOINTS_NAMES),

        ITEM_BOOL("receipts.read", receipts.read, "true"),

        ITEM_ENUM("handover", handover, ConfigHandover, "\"auto\"", HANDOVER_NAMES),

        ITEM_INT("storage.history-days", storage.history_days, "0", 0, 36500, NO_LIMIT, UNBUILT),
        ITEM_SIZE("storage.max-size", storage.max_size, "\"0\"", 0, UINT64_C(1) << 44, NO_LIMIT),
        ITEM_ENUM("storage.key", storage.key, ConfigKey, "\"auto\"", KEY_NAMES),
        ITEM_BOOL("storage.seal-messages", storage.seal_messages, "false"),

        /* As many as a control log may name: ROSTER_MEMBERS_MAX. */
        ITEM_INT("rooms.max-members", rooms.max_members, "1000", 1, 10000),

        ITEM_INT("limits.connections", limits.connections, "1000", 0, UINT32_MAX, NO_LIMIT),
        ITEM_INT("limits.per-address", limits.per_address, "64", 0, UINT32_MAX, NO_LIMIT),
        ITEM_INT("limits.handshake", limits.handshake, "10", 0, UINT32_MAX,
                .hint = "seconds, 0 = no limit"),

        ITEM_BOOL("notify.enabled", notify.enabled, "true"),
        ITEM_BOOL("notify.show-text", notify.show_text, "true"),

        ITEM_BOOL("node.enabled", node.enabled, "false", UNBUILT),
        ITEM_INT("node.port", node.port, "7425", 1, 65535, UNBUILT),
        ITEM_ENDPOINT_KEYS("node.peers", node.peers, "( )", 0, 64, UNBUILT),
};

_Static_assert(ELEMENTSOF(ITEMS) <= CONFIG_KEYS_MAX, "ConfigOrigin has a line for each key");

const ConfigSchema config_schema_daemon = {
        .size = sizeof(DaemonConfig),
        .items = ITEMS,
        .n_items = ELEMENTSOF(ITEMS),
};
