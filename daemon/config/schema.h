/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The table behind a configuration file: one row a key, and everything that is checked follows from
 * the row. A row names its field in the struct; AT() refuses to compile where the type of the field
 * is not that of the row.
 */

#include "config/config.h"

typedef enum ConfigType {
        CONFIG_BOOL, /* bool */
        CONFIG_INT, /* uint32_t, min to max */
        CONFIG_ENUM, /* an enum, one of names */
        CONFIG_SIZE, /* uint64_t bytes, min to max, written "8M" */
        CONFIG_STRING, /* char *, what check allows */
        CONFIG_HOST, /* Endpoint, "", "host" or "host:port" */
        CONFIG_STRINGS, /* ConfigStrings, min to max of them */
        CONFIG_ENDPOINTS, /* ConfigEndpoints, "host:port" each */
        CONFIG_ENDPOINT_KEYS, /* ConfigEndpointKeys, "host:port#key" each */
} ConfigType;

typedef struct ConfigItem {
        const char *path; /* "section.key", or "key" alone */
        ConfigType type;
        size_t offset;
        const char *fallback; /* the default, as it is written in a file */
        uint64_t min, max; /* of the value; in a list, of the number of its elements */
        const char *const *names; /* CONFIG_ENUM: in the order of its values, then NULL */
        bool (*check)(const char *value); /* of a string, or of each in a list */
        const char *hint; /* what is allowed, where type and range do not say it */
        bool unbuilt; /* accepted and checked, but nothing uses it yet */
} ConfigItem;

struct ConfigSchema {
        size_t size; /* of the struct, which begins with a ConfigOrigin */
        const ConfigItem *items;
        size_t n_items;
};

/* The file that includes this to write a table defines CONFIG_STRUCT. */
#define AT(member_type, member)                                                                    \
        _Generic(((CONFIG_STRUCT *)NULL)->member, member_type : offsetof(CONFIG_STRUCT, member))

#define ITEM_BOOL(key, member, standard, ...)                                                      \
        {                                                                                          \
                .path = key, .type = CONFIG_BOOL, .offset = AT(bool, member),                      \
                .fallback = standard, __VA_ARGS__                                                  \
        }
#define ITEM_INT(key, member, standard, low, high, ...)                                            \
        {                                                                                          \
                .path = key, .type = CONFIG_INT, .offset = AT(uint32_t, member),                   \
                .fallback = standard, .min = low, .max = high, __VA_ARGS__                         \
        }
#define ITEM_SIZE(key, member, standard, low, high, ...)                                           \
        {                                                                                          \
                .path = key, .type = CONFIG_SIZE, .offset = AT(uint64_t, member),                  \
                .fallback = standard, .min = low, .max = high, __VA_ARGS__                         \
        }
#define ITEM_ENUM(key, member, member_type, standard, values, ...)                                 \
        {                                                                                          \
                .path = key, .type = CONFIG_ENUM, .offset = AT(member_type, member),               \
                .fallback = standard, .names = values, __VA_ARGS__                                 \
        }
#define ITEM_STRING(key, member, standard, ...)                                                    \
        {                                                                                          \
                .path = key, .type = CONFIG_STRING, .offset = AT(char *, member),                  \
                .fallback = standard, __VA_ARGS__                                                  \
        }
#define ITEM_HOST(key, member, standard, ...)                                                      \
        {                                                                                          \
                .path = key, .type = CONFIG_HOST, .offset = AT(Endpoint, member),                  \
                .fallback = standard, __VA_ARGS__                                                  \
        }
#define ITEM_STRINGS(key, member, standard, low, high, ...)                                        \
        {                                                                                          \
                .path = key, .type = CONFIG_STRINGS, .offset = AT(ConfigStrings, member),          \
                .fallback = standard, .min = low, .max = high, __VA_ARGS__                         \
        }
#define ITEM_ENDPOINTS(key, member, standard, low, high, ...)                                      \
        {                                                                                          \
                .path = key, .type = CONFIG_ENDPOINTS, .offset = AT(ConfigEndpoints, member),      \
                .fallback = standard, .min = low, .max = high, __VA_ARGS__                         \
        }
#define ITEM_ENDPOINT_KEYS(key, member, standard, low, high, ...)                                  \
        {                                                                                          \
                .path = key, .type = CONFIG_ENDPOINT_KEYS,                                         \
                .offset = AT(ConfigEndpointKeys, member), .fallback = standard, .min = low,        \
                .max = high, __VA_ARGS__                                                           \
        }

#define UNBUILT .unbuilt = true
