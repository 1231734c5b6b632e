/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "config/item.h"

#include <inttypes.h>
#include <stdarg.h>

#define SIZE_TEXT_SIZE 24
#define SIZE_SUFFIXES "KMGTPE"

_Static_assert(sizeof(ConfigAccept) == sizeof(unsigned) &&
                sizeof(ConfigAudience) == sizeof(unsigned) &&
                sizeof(ConfigHandover) == sizeof(unsigned),
        "set_enum stores an unsigned");

static int bad(ItemError *e, const config_setting_t *s, const char *format, ...) _printf_(3, 4);

static int bad(ItemError *e, const config_setting_t *s, const char *format, ...) {
        va_list ap;

        e->line = config_setting_source_line(s);
        va_start(ap, format);
        vsnprintf(e->why, sizeof(e->why), format, ap);
        va_end(ap);
        return -EINVAL;
}

static const char *type_name(const config_setting_t *s) {
        switch (config_setting_type(s)) {
        case CONFIG_TYPE_GROUP:
                return "a group";
        case CONFIG_TYPE_INT:
        case CONFIG_TYPE_INT64:
                return "an integer";
        case CONFIG_TYPE_FLOAT:
                return "a number with a fraction";
        case CONFIG_TYPE_STRING:
                return "a string";
        case CONFIG_TYPE_BOOL:
                return "a boolean";
        case CONFIG_TYPE_ARRAY:
        case CONFIG_TYPE_LIST:
                return "a list";
        }
        return "nothing";
}

static int wrong_type(ItemError *e, const config_setting_t *s) {
        return bad(e, s, "%s is the wrong type", type_name(s));
}

static int not_allowed(ItemError *e, const config_setting_t *s, const char *value) {
        return bad(e, s, "\"%.80s\" is not valid", value);
}

static const char *size_format(uint64_t v, char buf[static SIZE_TEXT_SIZE]) {
        const char *suffix = NULL;

        for (const char *p = SIZE_SUFFIXES; *p && v > 0 && v % 1024 == 0; p++) {
                v /= 1024;
                suffix = p;
        }
        snprintf(buf, SIZE_TEXT_SIZE, "%" PRIu64 "%.1s", v, suffix ? suffix : "");
        return buf;
}

static int size_parse(const char *text, uint64_t *ret) {
        const char *p = text, *suffix;
        uint64_t v = 0;

        for (; *p >= '0' && *p <= '9'; p++)
                if (__builtin_mul_overflow(v, 10, &v) ||
                        __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
                        return -ERANGE;
        if (p == text)
                return -EINVAL;
        if (*p) {
                suffix = strchr(SIZE_SUFFIXES, *p);
                if (!suffix || p[1])
                        return -EINVAL;
                for (const char *q = SIZE_SUFFIXES; q <= suffix; q++)
                        if (__builtin_mul_overflow(v, 1024, &v))
                                return -ERANGE;
        }
        *ret = v;
        return 0;
}

/* "host" or "host:port", where port 0 in the result stands for no port. A bare IPv6 address needs
 * no brackets. */
static int host_parse(const char *text, Endpoint *ret) {
        char buf[HOST_SIZE + 8];
        Endpoint e = {};
        int r;

        if (text[0]) {
                r = endpoint_parse(text, strlen(text), false, e.host, &e.port);
                if (r < 0) {
                        bool v6 = strchr(text, ':') && text[0] != '[';
                        int n = snprintf(buf, sizeof(buf), v6 ? "[%s]:1" : "%s:1", text);

                        if (n < 0 || (size_t)n >= sizeof(buf))
                                return -EINVAL;
                        r = endpoint_parse(buf, (size_t)n, false, e.host, &e.port);
                        if (r < 0)
                                return r;
                        e.port = 0;
                }
        }
        *ret = e;
        return 0;
}

static int set_bool(const config_setting_t *s, bool *field, ItemError *e) {
        if (config_setting_type(s) != CONFIG_TYPE_BOOL)
                return wrong_type(e, s);
        *field = config_setting_get_bool(s);
        return 0;
}

static int set_int(
        const ConfigItem *item, const config_setting_t *s, uint32_t *field, ItemError *e) {
        int type = config_setting_type(s);
        long long v;

        if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
                return wrong_type(e, s);
        /* libconfig drops the upper half of a long hexadecimal number without a word. */
        if (config_setting_get_format(s) != CONFIG_FORMAT_DEFAULT)
                return bad(e, s, "the number is not decimal");
        v = type == CONFIG_TYPE_INT ? config_setting_get_int(s) : config_setting_get_int64(s);
        if (v < 0 || (uint64_t)v < item->min || (uint64_t)v > item->max)
                return bad(e, s, "%lld is out of range", v);
        *field = (uint32_t)v;
        return 0;
}

static int set_enum(
        const ConfigItem *item, const config_setting_t *s, unsigned *field, ItemError *e) {
        const char *value;

        if (config_setting_type(s) != CONFIG_TYPE_STRING)
                return wrong_type(e, s);
        value = config_setting_get_string(s);
        for (unsigned i = 0; item->names[i]; i++)
                if (streq(item->names[i], value)) {
                        *field = i;
                        return 0;
                }
        return not_allowed(e, s, value);
}

static int set_size(
        const ConfigItem *item, const config_setting_t *s, uint64_t *field, ItemError *e) {
        const char *value;
        uint64_t v;
        int r;

        if (config_setting_type(s) != CONFIG_TYPE_STRING)
                return wrong_type(e, s);
        value = config_setting_get_string(s);
        r = size_parse(value, &v);
        if (r == -EINVAL)
                return not_allowed(e, s, value);
        if (r < 0 || v < item->min || v > item->max)
                return bad(e, s, "\"%.80s\" is out of range", value);
        *field = v;
        return 0;
}

static int set_string(
        const ConfigItem *item, const config_setting_t *s, char **field, ItemError *e) {
        const char *value;
        char *copy;

        if (config_setting_type(s) != CONFIG_TYPE_STRING)
                return wrong_type(e, s);
        value = config_setting_get_string(s);
        if (item->check && !item->check(value))
                return not_allowed(e, s, value);
        copy = strdup(value);
        if (!copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        return 0;
}

static int set_host(const config_setting_t *s, Endpoint *field, ItemError *e) {
        const char *value;

        if (config_setting_type(s) != CONFIG_TYPE_STRING)
                return wrong_type(e, s);
        value = config_setting_get_string(s);
        return host_parse(value, field) < 0 ? not_allowed(e, s, value) : 0;
}

static size_t element_size(ConfigType type) {
        switch (type) {
        case CONFIG_STRINGS:
                return sizeof(char *);
        case CONFIG_ENDPOINTS:
                return sizeof(Endpoint);
        default:
                return sizeof(EndpointKey);
        }
}

static int parse_element(ConfigType type, const char *value, void *element) {
        Endpoint *endpoint = element;

        switch (type) {
        case CONFIG_STRINGS:
                *(char **)element = strdup(value);
                return *(char **)element ? 0 : -ENOMEM;
        case CONFIG_ENDPOINTS:
                return endpoint_parse(value, strlen(value), false, endpoint->host, &endpoint->port);
        default:
                return endpoint_key_parse(value, element);
        }
}

static void free_list(ConfigType type, void *elements, size_t n) {
        if (type == CONFIG_STRINGS)
                for (size_t i = 0; i < n; i++)
                        free(((char **)elements)[i]);
        free(elements);
}

static int set_element(
        const ConfigItem *item, const config_setting_t *s, void *element, ItemError *e) {
        const char *value;
        int r;

        if (config_setting_type(s) != CONFIG_TYPE_STRING)
                return wrong_type(e, s);
        value = config_setting_get_string(s);
        r = item->check && !item->check(value) ? -EINVAL
                                               : parse_element(item->type, value, element);
        return r == -EINVAL ? not_allowed(e, s, value) : r;
}

/* The three kinds of list have the same shape: a number, then a pointer. */
static int set_list(
        const ConfigItem *item, const config_setting_t *s, ConfigStrings *field, ItemError *e) {
        size_t size = element_size(item->type), n;
        char *elements;
        int r;

        if (config_setting_type(s) != CONFIG_TYPE_LIST &&
                config_setting_type(s) != CONFIG_TYPE_ARRAY)
                return wrong_type(e, s);
        n = (size_t)config_setting_length(s);
        if (n < item->min || n > item->max)
                return bad(e, s, "%zu elements are too %s", n, n < item->min ? "few" : "many");
        elements = calloc(n ? n : 1, size);
        if (!elements)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = set_element(
                        item, config_setting_get_elem(s, (unsigned)i), elements + i * size, e);
                if (r < 0) {
                        free_list(item->type, elements, i);
                        return r;
                }
        }
        free_list(item->type, field->items, field->n);
        field->n = n;
        field->items = (char **)elements;
        return 0;
}

_Static_assert(sizeof(ConfigStrings) == sizeof(ConfigEndpoints) &&
                sizeof(ConfigStrings) == sizeof(ConfigEndpointKeys) &&
                offsetof(ConfigStrings, items) == offsetof(ConfigEndpoints, items) &&
                offsetof(ConfigStrings, items) == offsetof(ConfigEndpointKeys, items),
        "set_list fills all of them");

int item_set(const ConfigItem *item, const config_setting_t *setting, void *config,
        ItemError *ret_error) {
        void *field = (char *)config + item->offset;

        switch (item->type) {
        case CONFIG_BOOL:
                return set_bool(setting, field, ret_error);
        case CONFIG_INT:
                return set_int(item, setting, field, ret_error);
        case CONFIG_ENUM:
                return set_enum(item, setting, field, ret_error);
        case CONFIG_SIZE:
                return set_size(item, setting, field, ret_error);
        case CONFIG_STRING:
                return set_string(item, setting, field, ret_error);
        case CONFIG_HOST:
                return set_host(setting, field, ret_error);
        case CONFIG_STRINGS:
        case CONFIG_ENDPOINTS:
        case CONFIG_ENDPOINT_KEYS:
                return set_list(item, setting, field, ret_error);
        }
        return -EINVAL;
}

void item_clear(const ConfigItem *item, void *config) {
        void *field = (char *)config + item->offset;
        ConfigStrings *list = field;

        switch (item->type) {
        case CONFIG_STRING:
                *(char **)field = mfree(*(char **)field);
                return;
        case CONFIG_STRINGS:
        case CONFIG_ENDPOINTS:
        case CONFIG_ENDPOINT_KEYS:
                free_list(item->type, list->items, list->n);
                *list = (ConfigStrings){};
                return;
        default:
                return; /* owns nothing */
        }
}

static bool strings_equal(const ConfigStrings *a, const ConfigStrings *b) {
        bool equal = a->n == b->n;

        for (size_t i = 0; equal && i < a->n; i++)
                equal = streq(a->items[i], b->items[i]);
        return equal;
}

static bool endpoints_equal(const Endpoint *a, const Endpoint *b) {
        return a->port == b->port && streq(a->host, b->host);
}

static bool endpoint_lists_equal(const ConfigEndpoints *a, const ConfigEndpoints *b) {
        bool equal = a->n == b->n;

        for (size_t i = 0; equal && i < a->n; i++)
                equal = endpoints_equal(&a->items[i], &b->items[i]);
        return equal;
}

static bool endpoint_key_lists_equal(const ConfigEndpointKeys *a, const ConfigEndpointKeys *b) {
        bool equal = a->n == b->n;

        for (size_t i = 0; equal && i < a->n; i++) {
                const EndpointKey *x = &a->items[i], *y = &b->items[i];

                equal = x->port == y->port && streq(x->host, y->host) &&
                        memcmp(x->key, y->key, sizeof(x->key)) == 0;
        }
        return equal;
}

bool item_equal(const ConfigItem *item, const void *a, const void *b) {
        const void *x = (const char *)a + item->offset, *y = (const char *)b + item->offset;

        switch (item->type) {
        case CONFIG_BOOL:
                return *(const bool *)x == *(const bool *)y;
        case CONFIG_INT:
                return *(const uint32_t *)x == *(const uint32_t *)y;
        case CONFIG_ENUM:
                return memcmp(x, y, sizeof(ConfigAccept)) == 0;
        case CONFIG_SIZE:
                return *(const uint64_t *)x == *(const uint64_t *)y;
        case CONFIG_STRING:
                return streq(*(char *const *)x, *(char *const *)y);
        case CONFIG_HOST:
                return endpoints_equal(x, y);
        case CONFIG_STRINGS:
                return strings_equal(x, y);
        case CONFIG_ENDPOINTS:
                return endpoint_lists_equal(x, y);
        case CONFIG_ENDPOINT_KEYS:
                return endpoint_key_lists_equal(x, y);
        }
        return false;
}

static void list_allowed(const ConfigItem *item, const char *what, char *buf) {
        if (item->min > 0)
                snprintf(buf, ITEM_TEXT_SIZE, "a list of %" PRIu64 " to %" PRIu64 ", each %s",
                        item->min, item->max, item->hint ? item->hint : what);
        else
                snprintf(buf, ITEM_TEXT_SIZE, "a list of at most %" PRIu64 ", each %s", item->max,
                        item->hint ? item->hint : what);
}

static void enum_allowed(const ConfigItem *item, char *buf) {
        size_t n = 0;

        for (size_t i = 0; item->names[i]; i++)
                n += (size_t)snprintf(
                        buf + n, ITEM_TEXT_SIZE - n, "%s\"%s\"", i ? " or " : "", item->names[i]);
}

static void range_allowed(const ConfigItem *item, char *buf) {
        char low[SIZE_TEXT_SIZE], high[SIZE_TEXT_SIZE];
        const char *hint = item->hint ? item->hint : "";
        const char *open = item->hint ? " (" : "", *close = item->hint ? ")" : "";

        if (item->type == CONFIG_SIZE)
                snprintf(buf, ITEM_TEXT_SIZE,
                        "a size in quotes from \"%s\" to \"%s\", in bytes or with one of %s%s%s%s",
                        size_format(item->min, low), size_format(item->max, high), SIZE_SUFFIXES,
                        open, hint, close);
        else
                snprintf(buf, ITEM_TEXT_SIZE, "an integer from %" PRIu64 " to %" PRIu64 "%s%s%s",
                        item->min, item->max, open, hint, close);
}

const char *item_allowed(const ConfigItem *item, char buf[static ITEM_TEXT_SIZE]) {
        switch (item->type) {
        case CONFIG_BOOL:
                return "true or false";
        case CONFIG_INT:
        case CONFIG_SIZE:
                range_allowed(item, buf);
                break;
        case CONFIG_ENUM:
                enum_allowed(item, buf);
                break;
        case CONFIG_STRING:
                return item->hint;
        case CONFIG_HOST:
                return "\"host\" or \"host:port\", or \"\"";
        case CONFIG_STRINGS:
                list_allowed(item, "a string", buf);
                break;
        case CONFIG_ENDPOINTS:
                list_allowed(item, "\"host:port\"", buf);
                break;
        case CONFIG_ENDPOINT_KEYS:
                list_allowed(item, "\"host:port#key\" with a key of 52 base32 characters", buf);
                break;
        }
        return buf;
}
