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

static void try_schema(const ConfigSchema *schema, const uint8_t *data, size_t size) {
        union {
                DaemonConfig daemon;
                TrackerConfig tracker;
        } c;
        ConfigError e = {};
        int r;

        r = config_load_text(schema, "fuzz", (const char *)data, size, &c, &e);
        MUST(r <= 0);
        MUST(r != -ENOMEM || fuzz_failed());
        if (r == 0)
                check_values(schema, &c);
        else
                MUST(e.text[0] && memchr(e.text, 0, sizeof(e.text)));
        config_free(schema, &c);
}

void fuzz_one(const uint8_t *data, size_t size) {
        try_schema(&config_schema_daemon, data, size);
        try_schema(&config_schema_tracker, data, size);
}
