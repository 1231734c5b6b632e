/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "util/endpoint-key.h"

int endpoint_key_parse(const char *text, EndpointKey *ret) {
        const char *hash = strchr(text, '#');
        EndpointKey e = {};
        int r;

        if (!hash)
                return -EINVAL;
        r = endpoint_parse(text, (size_t)(hash - text), false, e.host, &e.port);
        if (r < 0)
                return r;
        r = base32_decode_key(hash + 1, strlen(hash + 1), e.key);
        if (r < 0)
                return r;
        *ret = e;
        return 0;
}

const char *endpoint_key_format(const EndpointKey *e, char buf[static ENDPOINT_KEY_SIZE]) {
        size_t n = strlen(endpoint_format(e->host, e->port, buf));

        buf[n] = '#';
        base32_encode_key(e->key, buf + n + 1);
        return buf;
}
