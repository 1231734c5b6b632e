/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/greeting.h"

int greeting_send(Conn *c, const LocalIdentity *self, const uint8_t *expected) {
        Hello h = {.versions = {PROTOCOL_VERSION},
                .n_versions = 1,
                .expects = expected != NULL,
                .certificate = self->certificate,
                .record = self->record,
                .heartbeat = self->heartbeat,
                .features = {FEATURE_TYPING, FEATURE_ROOMS, FEATURE_HANDOVER},
                .n_features = 3};
        int r;

        if (expected)
                memcpy(h.expected, expected, KEY_SIZE);
        memcpy(h.boot_nonce, self->boot_nonce, BOOT_NONCE_SIZE);
        r = hello_encode(conn_output(c), &h);
        conn_queued(c);
        return r;
}

static Code refuse(Code code, const char *text, const char **ret_text) {
        *ret_text = text;
        return code;
}

Code greeting_check(const Hello *h, const uint8_t tls_key[static KEY_SIZE], const uint8_t *self,
        const uint8_t *expected, usec_t realtime, Greeting *ret, const char **ret_text) {
        Greeting g = {.hello = *h};

        if (!hello_has_version(h, PROTOCOL_VERSION))
                return refuse(CODE_NOT_SUPPORTED, "no protocol version in common", ret_text);
        if (self && h->expects && !key_equal(h->expected, self))
                return refuse(
                        CODE_KEY_CHANGED, "the account that HELLO expects is not here", ret_text);
        if (certificate_decode(h->certificate, &g.certificate) < 0)
                return refuse(CODE_INVALID_ARGS, "the device certificate does not hold", ret_text);
        if (!key_equal(g.certificate.device, tls_key))
                return refuse(
                        CODE_INVALID_ARGS, "the device certificate is for another key", ret_text);
        if (!certificate_is_valid_at(&g.certificate, realtime))
                return refuse(CODE_EXPIRED, "the device certificate has expired", ret_text);
        if (expected && !key_equal(g.certificate.account, expected))
                return refuse(CODE_KEY_CHANGED, "another account answers there", ret_text);
        if (record_decode(h->record, &g.record) < 0)
                return refuse(CODE_INVALID_ARGS, "the record does not hold", ret_text);
        if (!key_equal(g.record.account, g.certificate.account) ||
                !key_equal(g.record.device.device, tls_key) ||
                g.record.epoch != g.certificate.epoch)
                return refuse(CODE_INVALID_ARGS, "the record is for another device", ret_text);
        if (g.record.expires <= realtime)
                return refuse(CODE_EXPIRED, "the record has expired", ret_text);
        *ret = g;
        return CODE_OK;
}
