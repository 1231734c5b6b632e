/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A configuration file, read as each of the two. What is taken is within its range, what is not has
 * a message. */

#include "fuzz.h"

#include "config/schema.h"

/* libconfig 1.5 loses the string that it was reading when the syntax turns out to be wrong. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void) {
        return "leak:libconfig.so\n";
}

typedef union Config {
        DaemonConfig daemon;
        TrackerConfig tracker;
} Config;

static void check_values(const ConfigSchema *schema, const void *config) {
        for (size_t i = 0; i < schema->n_items; i++) {
                const ConfigItem *item = &schema->items[i];
                const void *field = (const char *)config + item->offset;
                const ConfigStrings *list = field;

                switch (item->type) {
                case CONFIG_INT:
                        MUST(*(const uint32_t *)field >= item->min);
                        MUST(*(const uint32_t *)field <= item->max);
                        break;
                case CONFIG_SIZE:
                        MUST(*(const uint64_t *)field >= item->min);
                        MUST(*(const uint64_t *)field <= item->max);
                        break;
                case CONFIG_STRING:
                        MUST(item->check(*(char *const *)field));
                        break;
                case CONFIG_STRINGS:
                case CONFIG_ENDPOINTS:
                case CONFIG_ENDPOINT_KEYS:
                        MUST(list->n >= item->min && list->n <= item->max && list->items);
                        break;
                default:
                        break;
                }
        }
}

static void on_change(void *userdata, const char *key, bool unbuilt) {
        (*(size_t *)userdata)++;
}

static size_t count_changes(const ConfigSchema *schema, const void *a, const void *b) {
        size_t n = 0;

        config_each_change(schema, a, b, on_change, &n);
        return n;
}

/* What differs from the defaults stands in the file, and what has no effect is told. */
static void check_changes(const ConfigSchema *schema, const void *config) {
        FUZZ_OWN_MEMORY;
        const ConfigOrigin *origin = config;
        _cleanup_(freep) char *told = NULL;
        size_t set = 0, size;
        ConfigError e;
        Config defaults;
        FILE *f;

        MUST(count_changes(schema, config, config) == 0);
        MUST(config_load(schema, NULL, &defaults, &e) == 0);
        for (size_t i = 0; i < schema->n_items; i++)
                set += origin->lines[i] > 0;
        MUST(count_changes(schema, config, &defaults) <= set);
        config_free(schema, &defaults);

        f = open_memstream(&told, &size);
        MUST(f);
        MUST(config_print_unbuilt(schema, config, f) <= set);
        MUST(fclose(f) == 0);
        MUST((told[0] == 0) == (size == 0));
}

static void try_schema(const ConfigSchema *schema, const uint8_t *data, size_t size) {
        ConfigError e = {};
        Config c;
        int r;

        r = config_load_text(schema, "fuzz", (const char *)data, size, &c, &e);
        MUST(r <= 0);
        MUST(r != -ENOMEM || fuzz_failed());
        if (r == 0) {
                check_values(schema, &c);
                check_changes(schema, &c);
        } else {
                MUST(e.text[0] && memchr(e.text, 0, sizeof(e.text)));
                MUST(bytes_are_zero(&c, schema->size));
        }
        config_free(schema, &c);
}

void fuzz_one(const uint8_t *data, size_t size) {
        try_schema(&config_schema_daemon, data, size);
        try_schema(&config_schema_tracker, data, size);
}
