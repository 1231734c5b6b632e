/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Socket addresses and their text forms: "192.0.2.1:7425", "[2001:db8::1]:7425",
 * "[fe80::1%eth0]:7425", "tracker.example:7425". What comes after '%' is an interface of this
 * machine, the scope that the address is valid in: no text of others has one.
 */

#include <netinet/in.h>
#include <sys/socket.h>

#include "util/macro.h"
#include "util/usec.h"

/* An IPv6 literal in brackets with a scope and a port; a host name is at most 253 characters. */
#define HOST_SIZE 256
#define ENDPOINT_SIZE 264

typedef union SockAddr {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
} SockAddr;

socklen_t sockaddr_size(const SockAddr *a) _pure_;
uint16_t sockaddr_port(const SockAddr *a) _pure_;
void sockaddr_set_port(SockAddr *a, uint16_t port);

/* From a numeric address without brackets; -EINVAL for anything else, host names included. */
int sockaddr_parse_ip(const char *text, uint16_t port, SockAddr *ret);

/* The same, and "fe80::1%eth0" or "fe80::1%2"; -ENODEV when there is no such interface. */
int sockaddr_parse_scoped_ip(const char *text, uint16_t port, SockAddr *ret);

/* "ip:port" with brackets around IPv6, an IPv4-mapped address as IPv4, a scope by the name of its
 * interface, or its index when that is gone. */
const char *sockaddr_format(const SockAddr *a, char buf[static ENDPOINT_SIZE]);

bool sockaddr_is_loopback(const SockAddr *a) _pure_;
bool sockaddr_is_any(const SockAddr *a) _pure_;

/* The same address and scope, whatever the port. */
bool sockaddr_same_host(const SockAddr *a, const SockAddr *b) _pure_;

/* The bytes that a limit per address counts by: all of IPv4, the /64 of IPv6. */
void sockaddr_prefix(const SockAddr *a, uint8_t ret[static 16]);

/* Splits "host:port" or "[v6]:port". The host is a numeric address or made of letters, digits,
 * '-' and '.'; the port is 1 to 65535, or 0 where ALLOW_ZERO. -EINVAL otherwise. */
int endpoint_parse(const char *text, size_t n, bool allow_zero, char ret_host[static HOST_SIZE],
        uint16_t *ret_port);

/* The same, and a host may be a link-local address with a scope, for text of this machine or its
 * user. Whether there is such an interface is not looked at. */
int endpoint_parse_scoped(
        const char *text, size_t n, char ret_host[static HOST_SIZE], uint16_t *ret_port);

/* The reverse of both; puts brackets around a host with a colon. */
const char *endpoint_format(const char *host, uint16_t port, char buf[static ENDPOINT_SIZE]);

/* RFC 8305 section 4: the order in which addresses of these families are tried, which are given in
 * order of preference. Families take turns, beginning with that of the first; within a family the
 * order stays. RET_ORDER has N places. */
void families_interleave(const int *families, size_t n, size_t *ret_order);

/* RFC 8305 section 5: how long after one attempt the next one begins, unless the first has failed
 * before. */
#define CONNECT_STAGGER (250 * USEC_PER_MSEC)
