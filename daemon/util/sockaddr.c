/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "util/sockaddr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>

socklen_t sockaddr_size(const SockAddr *a) {
        return a->sa.sa_family == AF_INET6 ? sizeof(a->in6) : sizeof(a->in);
}

uint16_t sockaddr_port(const SockAddr *a) {
        return ntohs(a->sa.sa_family == AF_INET6 ? a->in6.sin6_port : a->in.sin_port);
}

void sockaddr_set_port(SockAddr *a, uint16_t port) {
        if (a->sa.sa_family == AF_INET6)
                a->in6.sin6_port = htons(port);
        else
                a->in.sin_port = htons(port);
}

int sockaddr_parse_ip(const char *text, uint16_t port, SockAddr *ret) {
        SockAddr a = {};

        if (inet_pton(AF_INET, text, &a.in.sin_addr) == 1)
                a.sa.sa_family = AF_INET;
        else if (inet_pton(AF_INET6, text, &a.in6.sin6_addr) == 1)
                a.sa.sa_family = AF_INET6;
        else
                return -EINVAL;
        sockaddr_set_port(&a, port);
        *ret = a;
        return 0;
}

/* Splits "fe80::1%eth0". */
static int parse_scope(const char *text, uint16_t port, SockAddr *ret, const char **ret_scope) {
        const char *scope = strchr(text, '%');
        char ip[INET6_ADDRSTRLEN] = "";
        SockAddr a;

        if (!scope || (size_t)(scope - text) >= sizeof(ip))
                return -EINVAL;
        memcpy(ip, text, (size_t)(scope - text));
        scope++;
        if (sockaddr_parse_ip(ip, port, &a) < 0 || a.sa.sa_family != AF_INET6 ||
                !IN6_IS_ADDR_LINKLOCAL(&a.in6.sin6_addr) || scope[0] == 0 ||
                strlen(scope) >= IF_NAMESIZE)
                return -EINVAL;
        *ret = a;
        *ret_scope = scope;
        return 0;
}

static unsigned parse_index(const char *text) {
        unsigned index = 0;

        for (; *text >= '0' && *text <= '9' && index < UINT16_MAX; text++)
                index = index * 10 + (unsigned)(*text - '0');
        return *text ? 0 : index;
}

int sockaddr_parse_scoped_ip(const char *text, uint16_t port, SockAddr *ret) {
        const char *scope;
        SockAddr a;
        int r;

        if (!strchr(text, '%'))
                return sockaddr_parse_ip(text, port, ret);
        r = parse_scope(text, port, &a, &scope);
        if (r < 0)
                return r;
        a.in6.sin6_scope_id = if_nametoindex(scope) ?: parse_index(scope);
        if (a.in6.sin6_scope_id == 0)
                return -ENODEV;
        *ret = a;
        return 0;
}

static bool is_mapped(const SockAddr *a) {
        return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr);
}

static const uint8_t *ipv4_bytes(const SockAddr *a) {
        return is_mapped(a) ? a->in6.sin6_addr.s6_addr + 12 : (const uint8_t *)&a->in.sin_addr;
}

static void format_scope(unsigned scope, char *p, size_t n) {
        char name[IF_NAMESIZE];

        if (if_indextoname(scope, name))
                snprintf(p, n, "%%%s", name);
        else
                snprintf(p, n, "%%%u", scope);
}

const char *sockaddr_format(const SockAddr *a, char buf[static ENDPOINT_SIZE]) {
        char ip[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE] = "?";

        if (a->sa.sa_family == AF_INET6 && !is_mapped(a)) {
                inet_ntop(AF_INET6, &a->in6.sin6_addr, ip, INET6_ADDRSTRLEN);
                if (a->in6.sin6_scope_id != 0)
                        format_scope(a->in6.sin6_scope_id, ip + strlen(ip), 1 + IF_NAMESIZE);
        } else
                inet_ntop(AF_INET, ipv4_bytes(a), ip, INET6_ADDRSTRLEN);
        return endpoint_format(ip, sockaddr_port(a), buf);
}

bool sockaddr_is_loopback(const SockAddr *a) {
        if (a->sa.sa_family == AF_INET6 && !is_mapped(a))
                return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
        return ipv4_bytes(a)[0] == 127;
}

bool sockaddr_is_any(const SockAddr *a) {
        if (a->sa.sa_family == AF_INET6 && !is_mapped(a))
                return IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
        return bytes_are_zero(ipv4_bytes(a), 4);
}

bool sockaddr_same_host(const SockAddr *a, const SockAddr *b) {
        if (a->sa.sa_family != b->sa.sa_family)
                return false;
        if (a->sa.sa_family == AF_INET)
                return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
        return IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr) &&
                a->in6.sin6_scope_id == b->in6.sin6_scope_id;
}

void sockaddr_prefix(const SockAddr *a, uint8_t ret[static 16]) {
        memset(ret, 0, 16);
        if (a->sa.sa_family == AF_INET6 && !is_mapped(a))
                memcpy(ret, a->in6.sin6_addr.s6_addr, 8);
        else
                memcpy(ret + 12, ipv4_bytes(a), 4);
}

static int parse_port(const char *p, size_t n, bool allow_zero, uint16_t *ret) {
        unsigned v = 0;

        if (n == 0 || n > 5 || (n > 1 && p[0] == '0'))
                return -EINVAL;
        for (size_t i = 0; i < n; i++) {
                if (p[i] < '0' || p[i] > '9')
                        return -EINVAL;
                v = v * 10 + (unsigned)(p[i] - '0');
        }
        if (v > 65535 || (v == 0 && !allow_zero))
                return -EINVAL;
        *ret = (uint16_t)v;
        return 0;
}

static bool host_is_name(const char *p, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z') ||
                            (p[i] >= '0' && p[i] <= '9') || p[i] == '-' || p[i] == '.'))
                        return false;
        return n > 0;
}

static bool host_is_ipv6(const char *host, bool scoped) {
        const char *scope;
        SockAddr a;

        if (scoped && parse_scope(host, 0, &a, &scope) >= 0)
                return true;
        return sockaddr_parse_ip(host, 0, &a) >= 0 && a.sa.sa_family == AF_INET6;
}

static int endpoint_split(const char *text, size_t n, bool allow_zero, bool scoped,
        char ret_host[static HOST_SIZE], uint16_t *ret_port) {
        const char *colon = memrchr(text, ':', n), *host = text;
        size_t hn = colon ? (size_t)(colon - text) : 0;
        bool v6 = hn >= 2 && host[0] == '[' && host[hn - 1] == ']';
        char buf[HOST_SIZE] = {};
        uint16_t port;
        int r;

        if (!colon || hn >= HOST_SIZE)
                return -EINVAL;
        r = parse_port(colon + 1, n - hn - 1, allow_zero, &port);
        if (r < 0)
                return r;
        if (v6) {
                host++;
                hn -= 2;
        }
        memcpy(buf, host, hn);
        if (v6 ? strlen(buf) != hn || !host_is_ipv6(buf, scoped) : !host_is_name(buf, hn))
                return -EINVAL;
        memcpy(ret_host, buf, HOST_SIZE);
        *ret_port = port;
        return 0;
}

int endpoint_parse(const char *text, size_t n, bool allow_zero, char ret_host[static HOST_SIZE],
        uint16_t *ret_port) {
        return endpoint_split(text, n, allow_zero, false, ret_host, ret_port);
}

int endpoint_parse_scoped(
        const char *text, size_t n, char ret_host[static HOST_SIZE], uint16_t *ret_port) {
        return endpoint_split(text, n, false, true, ret_host, ret_port);
}

const char *endpoint_format(const char *host, uint16_t port, char buf[static ENDPOINT_SIZE]) {
        bool v6 = strchr(host, ':') != NULL;

        snprintf(buf, ENDPOINT_SIZE, "%s%.*s%s:%u", v6 ? "[" : "", HOST_SIZE - 1, host,
                v6 ? "]" : "", port);
        return buf;
}

void families_interleave(const int *families, size_t n, size_t *ret_order) {
        size_t done = 0;

        /* Round after round, the next of each family, in the order in which they appear. */
        for (size_t round = 0; done < n; round++)
                for (size_t i = 0; i < n; i++) {
                        size_t before = 0;

                        for (size_t k = 0; k < i; k++)
                                before += families[k] == families[i];
                        if (before == round)
                                ret_order[done++] = i;
                }
}
