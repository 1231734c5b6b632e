/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * net/tls.h without cryptography, for the fuzzers: each end says the protocol that it speaks and
 * its key, is believed, and what follows goes as it is. So a hostile end is a few bytes of an
 * input, has whatever key it wants, and costs no handshake. TLS itself is GnuTLS' business; what is
 * ours of it is tried by tests/unit/test-tls.c.
 */

#include "net/tls.h"

#include "util/buffer.h"
#include "util/loop.h"

struct TlsIdentity {
        SignKey key;
};

struct TlsSession {
        const TlsIdentity *identity;
        const char *alpn;
        Transport *transport;
        Buffer out; /* of the greeting */
        bool said;
        uint8_t heard[256 + KEY_SIZE]; /* length of the protocol, protocol, key */
        size_t n_heard;
};

int tls_identity_new(const SignKey *key, TlsIdentity **ret) {
        TlsIdentity *i = malloc(sizeof(*i));

        if (!i)
                return -ENOMEM;
        i->key = *key;
        *ret = i;
        return 0;
}

TlsIdentity *tls_identity_free(TlsIdentity *i) {
        free(i);
        return NULL;
}

int tls_session_new(
        TlsIdentity *i, TlsRole role, const char *alpn, Transport *t, TlsSession **ret) {
        TlsSession *s = malloc(sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (TlsSession){.identity = i, .alpn = alpn, .transport = t};
        *ret = s;
        return 0;
}

TlsSession *tls_session_free(TlsSession *s) {
        if (!s)
                return NULL;
        buffer_done(&s->out);
        free(s);
        return NULL;
}

static int say_greeting(TlsSession *s) {
        uint8_t length = (uint8_t)strlen(s->alpn);
        int r;

        if (!s->said) {
                r = buffer_append(&s->out, &length, 1);
                if (r >= 0)
                        r = buffer_append(&s->out, s->alpn, length);
                if (r >= 0)
                        r = buffer_append(&s->out, sign_key_public(&s->identity->key), KEY_SIZE);
                if (r < 0)
                        return r;
                s->said = true;
        }
        while (buffer_size(&s->out) > 0) {
                ssize_t k = s->transport->ops->write(
                        s->transport, buffer_data(&s->out), buffer_size(&s->out));

                if (k < 0)
                        return (int)k;
                buffer_consume(&s->out, (size_t)k);
        }
        return 0;
}

static size_t heard_wanted(const TlsSession *s) {
        return s->n_heard == 0 ? 1 : 1 + (size_t)s->heard[0] + KEY_SIZE;
}

int tls_handshake(TlsSession *s) {
        int r = say_greeting(s);

        while (r >= 0 && s->n_heard < heard_wanted(s)) {
                ssize_t k = s->transport->ops->read(
                        s->transport, s->heard + s->n_heard, heard_wanted(s) - s->n_heard);

                if (k <= 0)
                        return k == 0 ? -ECONNRESET : (int)k;
                s->n_heard += (size_t)k;
        }
        if (r < 0)
                return r;
        return s->heard[0] == strlen(s->alpn) && memcmp(s->heard + 1, s->alpn, s->heard[0]) == 0
                ? 0
                : -EPROTO;
}

uint32_t tls_wanted(TlsSession *s) {
        return buffer_size(&s->out) > 0 ? LOOP_WRITE : LOOP_READ;
}

int tls_peer_key(TlsSession *s, uint8_t ret[static KEY_SIZE]) {
        const uint8_t *key = s->heard + 1 + s->heard[0];

        if (!key_is_valid(key))
                return -EKEYREJECTED;
        memcpy(ret, key, KEY_SIZE);
        return 0;
}

/* The same at both ends. */
int tls_export(TlsSession *s, const char *label, uint8_t *ret, size_t n) {
        const uint8_t *own = sign_key_public(&s->identity->key),
                      *key = s->heard + 1 + s->heard[0];

        for (size_t i = 0; i < n; i++)
                ret[i] = own[i % KEY_SIZE] ^ key[i % KEY_SIZE] ^ (uint8_t)label[0];
        return 0;
}

ssize_t tls_read(TlsSession *s, void *p, size_t n) {
        return s->transport->ops->read(s->transport, p, n);
}

ssize_t tls_write(TlsSession *s, const void *p, size_t n) {
        return s->transport->ops->write(s->transport, p, n);
}

void tls_bye(TlsSession *s) {
}

const char *tls_failure(TlsSession *s) {
        return "the connection failed";
}
