/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The settings of the two programs, as plain structs with one nested struct per section of the
 * file. Whoever needs a setting is handed its section; there is no global configuration.
 *
 * config_load() always fills a fresh struct: defaults first, then the file (libconfig syntax, at
 * most CONFIG_FILE_MAX bytes). A reload loads into a second struct and swaps the two if that went
 * well, so a bad file never leaves half of itself behind. What a key may hold and what it holds by
 * default is said once, in the tables of schema-daemon.c and schema-tracker.c.
 *
 * Strings and lists belong to the struct and go with config_free(). Times are in the unit of the
 * file, which is seconds unless the name says days. In every limit 0 means "no limit".
 */

#include <stdio.h>

#include "util/endpoint-key.h"
#include "util/macro.h"

#define CONFIG_FILE_MAX (1024 * 1024)
#define CONFIG_KEYS_MAX 64
#define CONFIG_ERROR_SIZE 1024

typedef struct ConfigSchema ConfigSchema;

/* One line, fit for a terminal: "file:line: key: what is wrong; allowed: …". */
typedef struct ConfigError {
        char text[CONFIG_ERROR_SIZE];
} ConfigError;

/* First member of both structs: where the settings came from. */
typedef struct ConfigOrigin {
        char *file; /* NULL: defaults only */
        unsigned
                lines[CONFIG_KEYS_MAX]; /* by row of the schema, 0 where the file has no such key */
} ConfigOrigin;

typedef struct ConfigStrings {
        size_t n;
        char **items;
} ConfigStrings;

typedef struct ConfigEndpoints {
        size_t n;
        Endpoint *items;
} ConfigEndpoints;

typedef struct ConfigEndpointKeys {
        size_t n;
        EndpointKey *items;
} ConfigEndpointKeys;

typedef enum ConfigAccept {
        CONFIG_ACCEPT_ASK,
        CONFIG_ACCEPT_ALL,
} ConfigAccept;

typedef enum ConfigAudience {
        CONFIG_AUDIENCE_ALL,
        CONFIG_AUDIENCE_CONTACTS,
        CONFIG_AUDIENCE_NOBODY,
} ConfigAudience;

typedef enum ConfigHandover {
        CONFIG_HANDOVER_AUTO,
        CONFIG_HANDOVER_ASK,
} ConfigHandover;

typedef enum ConfigKey {
        CONFIG_KEY_AUTO,
        CONFIG_KEY_CREDENTIAL,
        CONFIG_KEY_SECRET_SERVICE,
        CONFIG_KEY_FILE,
        CONFIG_KEY_NONE,
} ConfigKey;

typedef struct DaemonConfig {
        ConfigOrigin origin;
        ConfigEndpointKeys trackers;
        struct ConfigListen {
                char *address; /* numeric */
                uint32_t port; /* 0: a free one is chosen once and kept */
                ConfigEndpoints advertise;
        } listen;
        struct ConfigLan {
                bool enabled;
                uint32_t port;
                uint32_t interval;
                ConfigStrings interfaces; /* none: all */
                bool dns_sd;
        } lan;
        struct ConfigHeartbeat {
                uint32_t interval;
                uint32_t away_after;
        } heartbeat;
        struct ConfigContacts {
                ConfigAccept accept;
        } contacts;
        struct ConfigPrivacy {
                bool listed;
                ConfigAudience presence;
                ConfigAudience endpoints;
        } privacy;
        struct ConfigReceipts {
                bool read;
        } receipts;
        ConfigHandover handover;
        struct ConfigStorage {
                uint32_t history_days;
                uint64_t max_size; /* bytes */
                ConfigKey key;
                bool seal_messages;
        } storage;
        struct ConfigRooms {
                uint32_t max_members;
        } rooms;
        struct ConfigLimits {
                uint32_t connections;
                uint32_t per_address;
                uint32_t handshake;
        } limits;
        struct ConfigNotify {
                bool enabled;
                bool show_text;
        } notify;
        struct ConfigNode {
                bool enabled;
                uint32_t port;
                ConfigEndpointKeys peers;
        } node;
} DaemonConfig;

typedef struct TrackerConfig {
        ConfigOrigin origin;
        ConfigEndpoints listen; /* numeric addresses, at least one */
        Endpoint advertise; /* host "": not set; port 0: the port listened on */
        struct ConfigTrackerLan {
                bool enabled;
                uint32_t port;
                uint32_t interval;
                ConfigStrings interfaces; /* none: all */
        } lan;
        struct ConfigTrackerHeartbeat {
                uint32_t interval;
        } heartbeat;
        struct ConfigMailbox {
                bool enabled;
                uint32_t max_items;
                uint64_t max_bytes;
                uint32_t days;
        } mailbox;
        struct ConfigRing {
                ConfigEndpointKeys peers;
                uint32_t replicas;
                uint32_t successors;
                char *certificate; /* absolute path, or "" */
        } ring;
        struct ConfigTrackerLimits {
                uint32_t connections;
                uint32_t per_address;
                uint32_t registrations_per_hour;
                uint32_t handshake;
                uint64_t relay_bytes;
        } limits;
} TrackerConfig;

/* The struct that goes with each is DaemonConfig and TrackerConfig. */
extern const ConfigSchema config_schema_daemon;
extern const ConfigSchema config_schema_tracker;

/*
 * Fills CONFIG from the defaults and, unless PATH is NULL, from the file there, which must exist.
 * What CONFIG held before is overwritten, not freed. On failure CONFIG holds nothing and RET_ERROR
 * says why: -EINVAL for a bad file, -EFBIG for one that is too large, else the errno of reading it.
 */
int config_load(const ConfigSchema *schema, const char *path, void *config, ConfigError *ret_error);

/* The same for a file that is already in memory; NAME stands for it in messages. TEXT need not end
 * with a zero byte. */
int config_load_text(const ConfigSchema *schema, const char *name, const char *text, size_t size,
        void *config, ConfigError *ret_error);

/* Frees what CONFIG owns and zeroes it; the struct itself is the caller's. */
void config_free(const ConfigSchema *schema, void *config);

/* One line on F for each key that the file sets and this version does not use yet. Returns how
 * many there are. */
size_t config_print_unbuilt(const ConfigSchema *schema, const void *config, FILE *f);

/* Calls FN for each key that A and B, two structs of one schema, have different values for, in the
 * order of the schema. UNBUILT: nothing uses the key yet. */
typedef void (*ConfigChangeFn)(void *userdata, const char *path, bool unbuilt);

void config_each_change(const ConfigSchema *schema, const void *a, const void *b, ConfigChangeFn fn,
        void *userdata);

/*
 * The file to read when the command line names none, or NULL when there is none and the defaults
 * hold. Daemon: $XDG_CONFIG_HOME/p2pchat/p2pchatd.conf (~/.config where that is not set), then the
 * system-wide file. Tracker: the system-wide file alone. -ENOMEM.
 */
int config_path_daemon(char **ret);
int config_path_tracker(char **ret);
