/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <assert.h>
#include <libconfig.h>
#include <stdarg.h>

#include "config/item.h"
#include "config/widen.h"
#include "util/fs.h"
#include "util/text.h"

typedef struct Loader {
        const ConfigSchema *schema;
        const char *name;
        const char *text;
        void *config;
        ConfigError *error;
} Loader;

static int fail(ConfigError *e, const char *format, ...) _printf_(2, 3);

/* What a message quotes comes from the file, so nothing in it may move the cursor of the terminal
 * that shows it. */
static int fail(ConfigError *e, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        vsnprintf(e->text, sizeof(e->text), format, ap);
        va_end(ap);
        text_clean(e->text);
        return -EINVAL;
}

static int fail_errno(ConfigError *e, const char *name, int r) {
        if (r == -EFBIG)
                fail(e, "%s: the file is larger than %d bytes, which no configuration needs", name,
                        CONFIG_FILE_MAX);
        else
                fail(e, "%s: cannot be read: %s", name, strerror(-r));
        return r;
}

/* Adds NAME to the list of names in BUF, unless it is there already. */
static void add_name(char *buf, size_t size, const char *name, size_t n) {
        size_t used = strlen(buf);
        const char *p = buf;

        while (*p) {
                size_t k = strcspn(p, ",");

                if (k == n && memcmp(p, name, n) == 0)
                        return;
                p += k;
                p += strspn(p, ", ");
        }
        snprintf(buf + used, size - used, "%s%.*s", used ? ", " : "", (int)n, name);
}

/* PREFIX is "" or "section.". */
static int fail_unknown(const Loader *l, const config_setting_t *s, const char *prefix) {
        char names[512] = "";
        size_t n = strlen(prefix);

        for (size_t i = 0; i < l->schema->n_items; i++) {
                const char *path = l->schema->items[i].path;

                if (strncmp(path, prefix, n) == 0)
                        add_name(names, sizeof(names), path + n, strcspn(path + n, "."));
        }
        return fail(l->error, "%s:%u: %s%.80s: there is no such key; allowed: %s", l->name,
                (unsigned)config_setting_source_line(s), prefix, config_setting_name(s), names);
}

static int load_item(const Loader *l, const config_setting_t *s, size_t row) {
        const ConfigItem *item = &l->schema->items[row];
        ConfigOrigin *origin = l->config;
        char allowed[ITEM_TEXT_SIZE];
        ItemError e;
        int r;

        r = item_set(item, s, l->config, &e);
        if (r == -EINVAL)
                return fail(l->error, "%s:%u: %s: %s; allowed: %s", l->name, e.line, item->path,
                        e.why, item_allowed(item, allowed));
        if (r < 0)
                return r;
        origin->lines[row] = MAX((unsigned)config_setting_source_line(s), 1U);
        return 0;
}

static int find_item(const ConfigSchema *schema, const char *prefix, const char *name) {
        size_t n = strlen(prefix);

        for (size_t i = 0; i < schema->n_items; i++)
                if (strncmp(schema->items[i].path, prefix, n) == 0 &&
                        streq(schema->items[i].path + n, name))
                        return (int)i;
        return -ENOENT;
}

static bool is_section(const ConfigSchema *schema, const char *name) {
        size_t n = strlen(name);

        for (size_t i = 0; i < schema->n_items; i++)
                if (strncmp(schema->items[i].path, name, n) == 0 && schema->items[i].path[n] == '.')
                        return true;
        return false;
}

static int load_section(const Loader *l, const config_setting_t *s) {
        const char *section = config_setting_name(s);
        char prefix[64];
        int r;

        snprintf(prefix, sizeof(prefix), "%s.", section);
        if (!config_setting_is_group(s))
                return fail(l->error,
                        "%s:%u: %s: the wrong type; allowed: a group, %s = { key = value; … };",
                        l->name, (unsigned)config_setting_source_line(s), section, section);
        for (int i = 0; i < config_setting_length(s); i++) {
                const config_setting_t *child = config_setting_get_elem(s, (unsigned)i);
                int row = find_item(l->schema, prefix, config_setting_name(child));

                if (row < 0)
                        return fail_unknown(l, child, prefix);
                r = load_item(l, child, (size_t)row);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int load_root(const Loader *l, const config_setting_t *root) {
        int r;

        for (int i = 0; i < config_setting_length(root); i++) {
                const config_setting_t *s = config_setting_get_elem(root, (unsigned)i);
                const char *name = config_setting_name(s);
                int row = find_item(l->schema, "", name);

                if (row >= 0)
                        r = load_item(l, s, (size_t)row);
                else if (is_section(l->schema, name))
                        r = load_section(l, s);
                else
                        r = fail_unknown(l, s, "");
                if (r < 0)
                        return r;
        }
        return 0;
}

/* libconfig names neither the key nor the place in the line, so the line itself has to do; where it
 * is blank, the last one before it that is not. */
static int fail_parse(const Loader *l, const config_t *parser) {
        unsigned line = (unsigned)config_error_line(parser);
        const char *p = "", *next = l->text;

        for (unsigned i = 0; i < line && *next; i++) {
                const char *begin = next + strspn(next, " \t\r");

                if (*begin && *begin != '\n')
                        p = begin;
                next += strcspn(next, "\n");
                next += *next == '\n';
        }
        return fail(l->error, "%s:%u: %s, in or before: %.*s", l->name, line,
                config_error_text(parser), (int)MIN(strcspn(p, "\r\n"), (size_t)100), p);
}

static unsigned line_of(const char *text, const char *at) {
        unsigned line = 1;

        for (const char *p = text; p < at; p++)
                line += *p == '\n';
        return line;
}

/*
 * libconfig would open whatever file an @include names while it parses, and not all versions can be
 * told not to. It looks for the word at the beginning of a line only, after blanks.
 */
static int refuse_includes(const Loader *l) {
        for (const char *p = l->text; p; p = strchr(p, '\n')) {
                p += strspn(p, "\n");
                p += strspn(p, " \t");
                if (strncmp(p, "@include", STRLEN("@include")) == 0)
                        return fail(l->error,
                                "%s:%u: @include: not supported here; put all keys into one file",
                                l->name, line_of(l->text, p));
        }
        return 0;
}

static void destroy_parser(config_t *parser) {
        config_destroy(parser);
}

static int load_file_text(const Loader *l) {
        _cleanup_(destroy_parser) config_t parser;
        int r;

        config_init(&parser);
        r = refuse_includes(l);
        if (r < 0)
                return r;
        if (!config_read_string(&parser, l->text))
                return fail_parse(l, &parser);
        return load_root(l, config_root_setting(&parser));
}

static int load_default(const ConfigItem *item, void *config) {
        _cleanup_(destroy_parser) config_t parser;
        _cleanup_(freep) char *text = NULL;
        ItemError e;
        int r;

        config_init(&parser);
        if (asprintf(&text, "value = %s;\n", item->fallback) < 0) {
                text = NULL;
                return -ENOMEM;
        }
        r = config_read_string(&parser, text) ? 0 : -EINVAL;
        if (r == 0)
                r = item_set(item, config_lookup(&parser, "value"), config, &e);
        assert(r != -EINVAL);
        return r;
}

static int load_defaults(const ConfigSchema *schema, void *config) {
        int r;

        for (size_t i = 0; i < schema->n_items; i++) {
                r = load_default(&schema->items[i], config);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int load_all(const Loader *l, size_t size) {
        _cleanup_(freep) char *copy = NULL;
        ConfigOrigin *origin = l->config;
        Loader own = *l;
        const char *nul;
        int r;

        r = load_defaults(l->schema, l->config);
        if (r < 0 || !l->name)
                return r;
        origin->file = strdup(l->name);
        if (!origin->file)
                return -ENOMEM;
        nul = memchr(l->text, 0, size);
        if (nul)
                return fail(l->error, "%s:%u: a zero byte; the file must be plain text", l->name,
                        line_of(l->text, nul));
        r = config_widen(l->text, size, &copy);
        if (r < 0)
                return r;
        own.text = copy;
        return load_file_text(&own);
}

int config_load_text(const ConfigSchema *schema, const char *name, const char *text, size_t size,
        void *config, ConfigError *ret_error) {
        Loader l = {
                .schema = schema,
                .name = name,
                .text = text,
                .config = config,
                .error = ret_error,
        };
        int r;

        memset(config, 0, schema->size);
        r = size > CONFIG_FILE_MAX ? -EFBIG : load_all(&l, size);
        if (r < 0 && r != -EINVAL)
                fail_errno(ret_error, name ? name : "defaults", r);
        if (r < 0)
                config_free(schema, config);
        return r;
}

int config_load(
        const ConfigSchema *schema, const char *path, void *config, ConfigError *ret_error) {
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;
        int r;

        if (path) {
                r = fs_read_file(path, CONFIG_FILE_MAX, &text, &size);
                if (r < 0) {
                        memset(config, 0, schema->size);
                        return fail_errno(ret_error, path, r);
                }
        }
        return config_load_text(schema, path, text, size, config, ret_error);
}

void config_free(const ConfigSchema *schema, void *config) {
        ConfigOrigin *origin = config;

        for (size_t i = 0; i < schema->n_items; i++)
                item_clear(&schema->items[i], config);
        free(origin->file);
        memset(config, 0, schema->size);
}

void config_each_change(const ConfigSchema *schema, const void *a, const void *b, ConfigChangeFn fn,
        void *userdata) {
        for (size_t i = 0; i < schema->n_items; i++) {
                const ConfigItem *item = &schema->items[i];

                if (!item_equal(item, a, b))
                        fn(userdata, item->path, item->unbuilt);
        }
}

size_t config_print_unbuilt(const ConfigSchema *schema, const void *config, FILE *f) {
        const ConfigOrigin *origin = config;
        size_t n = 0;

        for (size_t i = 0; i < schema->n_items; i++) {
                if (!schema->items[i].unbuilt || origin->lines[i] == 0)
                        continue;
                fprintf(f, "%s:%u: %s: accepted, but not built yet: it has no effect\n",
                        origin->file, origin->lines[i], schema->items[i].path);
                n++;
        }
        return n;
}
