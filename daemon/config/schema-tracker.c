/* SPDX-License-Identifier: GPL-3.0-or-later */

/* p2pchat-tracker.conf. The comments in conf/p2pchat-tracker.conf and p2pchat-tracker.conf(5)
 * explain the keys. */

#include "config/check.h"

#define CONFIG_STRUCT TrackerConfig
#include "config/schema.h"

#define NO_LIMIT .hint = "0 = no limit"

static const ConfigItem ITEMS[] = {
        ITEM_ENDPOINTS("listen", listen, "( \"[::]:7425\" )", 1, 64, .check = check_listen,
                .hint = "\"address:port\" with a numeric address, IPv6 in brackets"),
        ITEM_HOST("advertise", advertise, "\"\""),

        ITEM_BOOL("lan.enabled", lan.enabled, "true"),
        ITEM_INT("lan.port", lan.port, "6004", 1, 65535),
        ITEM_INT("lan.interval", lan.interval, "10", 2, 3600, .hint = "seconds"),
        ITEM_STRINGS("lan.interfaces", lan.interfaces, "( )", 0, 32, .check = check_interface,
                .hint = "the name of a network interface in quotes"),

        ITEM_INT("heartbeat.interval", heartbeat.interval, "30", 5, 3600, .hint = "seconds"),

        ITEM_BOOL("mailbox.enabled", mailbox.enabled, "true"),
        ITEM_INT("mailbox.max-items", mailbox.max_items, "1000", 1, 1000000),
        ITEM_SIZE("mailbox.max-bytes", mailbox.max_bytes, "\"8M\"", 1024, UINT64_C(1) << 40),
        ITEM_INT("mailbox.days", mailbox.days, "30", 1, 30),

        ITEM_ENDPOINT_KEYS("ring.peers", ring.peers, "( )", 0, 64, UNBUILT),
        ITEM_INT("ring.replicas", ring.replicas, "3", 1, 8, UNBUILT),
        ITEM_INT("ring.successors", ring.successors, "32", 1, 256, UNBUILT),
        ITEM_STRING("ring.certificate", ring.certificate, "\"\"", .check = check_optional_path,
                .hint = "an absolute path in quotes, or \"\"", UNBUILT),

        ITEM_INT("limits.connections", limits.connections, "100000", 0, UINT32_MAX, NO_LIMIT),
        ITEM_INT("limits.per-address", limits.per_address, "64", 0, UINT32_MAX, NO_LIMIT),
        ITEM_INT("limits.registrations-per-hour", limits.registrations_per_hour, "20", 0,
                UINT32_MAX, NO_LIMIT),
        ITEM_INT("limits.handshake", limits.handshake, "10", 0, UINT32_MAX,
                .hint = "seconds, 0 = no limit"),
        ITEM_SIZE("limits.relay-bytes", limits.relay_bytes, "\"0\"", 0, UINT64_C(1) << 60, NO_LIMIT,
                UNBUILT),
};

_Static_assert(ELEMENTSOF(ITEMS) <= CONFIG_KEYS_MAX, "ConfigOrigin has a line for each key");

const ConfigSchema config_schema_tracker = {
        .size = sizeof(TrackerConfig),
        .items = ITEMS,
        .n_items = ELEMENTSOF(ITEMS),
};
