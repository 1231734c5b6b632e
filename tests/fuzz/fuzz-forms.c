/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The first byte chooses one of the text forms of addresses, keys, ids, names and numbers; the rest
 * is the text. What is taken is written again as it came, in lower case where case does not matter,
 * and what is refused leaves nothing behind. */

#include "fuzz.h"

#include <strings.h>

#include "cli/args.h"
#include "util/endpoint-key.h"
#include "wire/code.h"
#include "wire/name.h"

/* The text as a string of its own and as it is, which is not the same where it holds a zero. */
typedef struct Text {
        char *string;
        const char *data;
        size_t size;
} Text;

static bool is_same(const Text *t, const char *again) {
        return strlen(again) == t->size && memcmp(again, t->data, t->size) == 0;
}

static int try_endpoint(const Text *t) {
        char host[HOST_SIZE] = "untouched", again[ENDPOINT_SIZE];
        uint16_t port = 7;
        int r;

        r = endpoint_parse(t->data, t->size, false, host, &port);
        if (r < 0) {
                MUST(streq(host, "untouched") && port == 7);
                return r;
        }
        MUST(port > 0 && is_same(t, endpoint_format(host, port, again)));
        return 0;
}

/* Port 0 is what makes the difference. */
static int try_listen(const Text *t) {
        char host[HOST_SIZE], again[ENDPOINT_SIZE];
        uint16_t port;
        int r;

        r = endpoint_parse(t->data, t->size, true, host, &port);
        if (r < 0)
                return r;
        MUST(is_same(t, endpoint_format(host, port, again)));
        MUST((endpoint_parse(t->data, t->size, false, host, &port) == 0) == (port > 0));
        return 0;
}

/* What is taken beside that has a scope. */
static int try_scoped(const Text *t) {
        char host[HOST_SIZE] = "untouched", again[ENDPOINT_SIZE], strict[HOST_SIZE];
        uint16_t port = 7, other;
        int r;

        r = endpoint_parse_scoped(t->data, t->size, host, &port);
        if (r < 0) {
                MUST(streq(host, "untouched") && port == 7);
                MUST(endpoint_parse(t->data, t->size, false, strict, &other) < 0);
                return r;
        }
        MUST(port > 0 && is_same(t, endpoint_format(host, port, again)));
        MUST((endpoint_parse(t->data, t->size, false, strict, &other) < 0) == !!strchr(host, '%'));
        return 0;
}

/* There is such an interface or not. */
static int try_scoped_ip(const Text *t) {
        char again[ENDPOINT_SIZE], host[HOST_SIZE];
        uint16_t port;
        SockAddr a, b;
        int r;

        r = sockaddr_parse_scoped_ip(t->string, 7425, &a);
        if (r < 0)
                return strchr(t->string, '%') ? -EINVAL : r;
        sockaddr_format(&a, again);
        MUST(endpoint_parse_scoped(again, strlen(again), host, &port) == 0 && port == 7425);
        MUST(sockaddr_parse_scoped_ip(host, port, &b) == 0);
        return 0;
}

static int try_endpoint_key(const Text *t) {
        EndpointKey e = {.port = 7};
        char again[ENDPOINT_KEY_SIZE];
        int r;

        r = endpoint_key_parse(t->string, &e);
        if (r < 0)
                MUST(e.port == 7 && e.host[0] == 0 && bytes_are_zero(e.key, sizeof(e.key)));
        else
                MUST(strcasecmp(endpoint_key_format(&e, again), t->string) == 0);
        return r;
}

static int try_ip(const Text *t) {
        char again[ENDPOINT_SIZE], host[HOST_SIZE];
        uint8_t prefix[16], prefix_again[16];
        uint16_t port;
        SockAddr a, b;
        int r;

        r = sockaddr_parse_ip(t->string, 7425, &a);
        if (r < 0)
                return r;
        MUST(sockaddr_port(&a) == 7425 && sockaddr_size(&a) <= sizeof(a));
        sockaddr_format(&a, again);
        MUST(endpoint_parse(again, strlen(again), false, host, &port) == 0 && port == 7425);
        MUST(sockaddr_parse_ip(host, port, &b) == 0);
        sockaddr_prefix(&a, prefix);
        sockaddr_prefix(&b, prefix_again);
        MUST(memcmp(prefix, prefix_again, sizeof(prefix)) == 0);
        MUST(sockaddr_is_any(&a) == sockaddr_is_any(&b));
        MUST(sockaddr_is_loopback(&a) == sockaddr_is_loopback(&b));
        sockaddr_set_port(&a, 80);
        MUST(sockaddr_port(&a) == 80);
        return 0;
}

static int try_key(const Text *t) {
        uint8_t key[32] = {};
        char again[BASE32_KEY_SIZE + 1];
        int r;

        r = base32_decode_key(t->data, t->size, key);
        if (r < 0) {
                MUST(bytes_are_zero(key, sizeof(key)));
                return r;
        }
        MUST(t->size == BASE32_KEY_SIZE &&
                strcasecmp(base32_encode_key(key, again), t->string) == 0);
        return 0;
}

static int try_uuid(const Text *t) {
        char again[UUID_TEXT_SIZE];
        Uuid u = {};
        int r;

        r = uuid_parse(t->string, &u);
        MUST((r < 0) == bytes_are_zero(&u, sizeof(u)));
        MUST(r < 0 || strcasecmp(uuid_format(&u, again), t->string) == 0);
        return r;
}

/* Ids that are made sort by time, and read back. */
static int try_new_uuid(const Text *t) {
        uint8_t bytes[2 * sizeof(uint64_t) + 2] = {};
        uint64_t first, second;
        char text[UUID_TEXT_SIZE];
        Uuid a, b, again;

        copy_bytes(bytes, t->data, MIN(t->size, sizeof(bytes)));
        memcpy(&first, bytes, sizeof(first));
        memcpy(&second, bytes + sizeof(first), sizeof(second));
        first %= USEC_PER_MSEC << 48;
        second %= USEC_PER_MSEC << 48;
        a = uuid_make_v7(first, bytes);
        b = uuid_make_v7(second, bytes);
        MUST(uuid_parse(uuid_format(&a, text), &again) == 0 && uuid_equal(&a, &again));
        MUST((first / USEC_PER_MSEC < second / USEC_PER_MSEC) == (memcmp(&a, &b, sizeof(a)) < 0));
        return 0;
}

/* Each address once, and those of a family in their order. */
static int try_families(const Text *t) {
        int families[8] = {};
        size_t order[ELEMENTSOF(families)], n = MIN(t->size, ELEMENTSOF(families));

        for (size_t i = 0; i < n; i++)
                families[i] = t->data[i] & 1 ? AF_INET6 : AF_INET;
        families_interleave(families, n, order);
        for (size_t i = 0; i < n; i++) {
                MUST(order[i] < n);
                for (size_t k = 0; k < i; k++)
                        MUST(order[k] != order[i] &&
                                (families[order[k]] != families[order[i]] || order[k] < order[i]));
        }
        return 0;
}

static int try_name(const Text *t) {
        char name[NAME_SIZE] = "", again[NAME_SIZE];
        int r;

        r = name_fold(t->data, t->size, name);
        MUST(r == 0 || (name[0] == 0 && !name_is_canonical((const uint8_t *)t->data, t->size)));
        if (r < 0)
                return r;
        MUST(strlen(name) == t->size && strcasecmp(name, t->string) == 0);
        MUST(name_is_canonical((const uint8_t *)name, t->size));
        MUST(name_fold(name, t->size, again) == 0 && streq(name, again));
        return 0;
}

static int try_code(const Text *t) {
        Code c = code_from_name(t->data, t->size);

        MUST(c >= 0 && c <= _CODE_MAX);
        MUST(code_of_refusal(t->data, t->size) == (c == CODE_OK ? _CODE_MAX : c));
        if (c == _CODE_MAX)
                return -EINVAL;
        MUST(is_same(t, code_name(c)));
        return 0;
}

static int try_number(const Text *t) {
        uint64_t n = 7;
        char again[24];
        int r;

        r = parse_number(t->string, 10, UINT64_MAX - 10, &n);
        if (r < 0) {
                MUST(n == 7);
                return r;
        }
        MUST(n >= 10 && n <= UINT64_MAX - 10);
        snprintf(again, sizeof(again), "%llu", (unsigned long long)n);
        MUST(streq(t->string + strspn(t->string, "0"), again));
        return 0;
}

static int try_seconds(const Text *t) {
        usec_t usec = 7;
        int r;

        r = parse_seconds(t->string, &usec);
        if (r < 0) {
                MUST(usec == 7);
                return r;
        }
        MUST(t->string[strspn(t->string, "0123456789.")] == 0);
        MUST(t->string[0] != '.' && t->string[strlen(t->string) - 1] != '.');
        MUST(usec / USEC_PER_SEC == strtoull(t->string, NULL, 10));
        return 0;
}

void fuzz_one(const uint8_t *data, size_t size) {
        static int (*const tries[])(const Text *t) = {
                try_endpoint,
                try_listen,
                try_endpoint_key,
                try_ip,
                try_key,
                try_uuid,
                try_name,
                try_code,
                try_number,
                try_seconds,
                try_new_uuid,
                try_families,
                try_scoped,
                try_scoped_ip,
        };
        FUZZ_OWN_MEMORY; /* none of them takes any */
        _cleanup_(freep) char *string = NULL;
        Text t;
        int r;

        if (size == 0)
                return;
        string = strndup((const char *)data + 1, size - 1);
        MUST(string);
        t = (Text){string, (const char *)data + 1, size - 1};
        r = tries[data[0] % ELEMENTSOF(tries)](&t);
        MUST(r == 0 || r == -EINVAL);
}
