/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "config/check.h"

#include <net/if.h>

#include "util/sockaddr.h"

bool check_ip(const char *value) {
        SockAddr a;

        return sockaddr_parse_ip(value, 0, &a) >= 0;
}

bool check_listen(const char *value) {
        char host[HOST_SIZE];
        uint16_t port;

        return endpoint_parse(value, strlen(value), false, host, &port) >= 0 && check_ip(host);
}

bool check_interface(const char *value) {
        size_t n = strlen(value);

        /* The kernel takes nothing else (dev_valid_name). */
        if (n == 0 || n >= IFNAMSIZ || streq(value, ".") || streq(value, ".."))
                return false;
        return !strpbrk(value, "/: \t\n\v\f\r");
}

bool check_optional_path(const char *value) {
        return value[0] == 0 || value[0] == '/';
}
