/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/tls.h"

#include <assert.h>
#include <stdio.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "util/buffer.h"
#include "util/loop.h"

#define PRIORITY_BASE                                                                              \
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CTYPE-ALL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK"               \
        ":-SIGN-ALL:+SIGN-EDDSA-ED25519:-GROUP-ALL"

/* Libraries without ML-KEM refuse the whole string, so it is tried first. */
static const char *const PRIORITIES[] = {
        PRIORITY_BASE ":+GROUP-X25519-MLKEM768:+GROUP-X25519",
        PRIORITY_BASE ":+GROUP-X25519",
};

/* DER around the 32 bytes (RFC 8410): SubjectPublicKeyInfo and PrivateKeyInfo. */
static const uint8_t SPKI_HEAD[] = {
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
static const uint8_t PKCS8_HEAD[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b,
        0x65, 0x70, 0x04, 0x22, 0x04, 0x20};

/* A full record with its overhead. */
#define READ_AHEAD 16640

struct TlsIdentity {
        gnutls_certificate_credentials_t credentials;
        gnutls_priority_t priority;
};

struct TlsSession {
        gnutls_session_t session; /* NULL: nobody has begun */
        TlsIdentity *identity;
        TlsRole role;
        const char *alpn;
        Transport *transport;
        Buffer ahead; /* read from the transport, not yet asked for by GnuTLS */
        bool drained; /* the last read took all there was */
        bool dry; /* the transport had nothing when it was last asked */
        size_t resume; /* a record of this many bytes is waiting to go out */
        int failure;
        char failure_text[128];
};

/* Keys are judged after the handshake, in one place for both roles. Nothing is accepted by this. */
static int verify_later(gnutls_session_t session) {
        return 0;
}

static int set_key(gnutls_certificate_credentials_t credentials, const SignKey *key) {
        uint8_t public[sizeof(SPKI_HEAD) + KEY_SIZE], private[sizeof(PKCS8_HEAD) + KEY_SIZE];
        gnutls_datum_t spki = {.data = public, .size = sizeof(public)};
        gnutls_datum_t pkcs8 = {.data = private, .size = sizeof(private)};
        int r;

        memcpy(public, SPKI_HEAD, sizeof(SPKI_HEAD));
        memcpy(public + sizeof(SPKI_HEAD), sign_key_public(key), KEY_SIZE);
        memcpy(private, PKCS8_HEAD, sizeof(PKCS8_HEAD));
        memcpy(private + sizeof(PKCS8_HEAD), sign_key_seed(key), KEY_SIZE);
        r = gnutls_certificate_set_rawpk_key_mem(
                credentials, &spki, &pkcs8, GNUTLS_X509_FMT_DER, NULL, 0, NULL, 0, 0);
        explicit_bzero(private, sizeof(private));
        return r;
}

int tls_identity_new(const SignKey *key, TlsIdentity **ret) {
        TlsIdentity *i = calloc(1, sizeof(*i));
        int r;

        if (!i)
                return -ENOMEM;
        r = gnutls_certificate_allocate_credentials(&i->credentials);
        if (r >= 0)
                r = set_key(i->credentials, key);
        if (r >= 0) {
                gnutls_certificate_set_verify_function(i->credentials, verify_later);
                r = GNUTLS_E_INVALID_REQUEST;
                for (size_t k = 0; k < ELEMENTSOF(PRIORITIES) && r < 0; k++)
                        r = gnutls_priority_init2(&i->priority, PRIORITIES[k], NULL, 0);
        }
        if (r < 0) {
                tls_identity_free(i);
                return r == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EOPNOTSUPP;
        }
        *ret = i;
        return 0;
}

TlsIdentity *tls_identity_free(TlsIdentity *i) {
        if (!i)
                return NULL;
        if (i->priority)
                gnutls_priority_deinit(i->priority);
        if (i->credentials)
                gnutls_certificate_free_credentials(i->credentials);
        free(i);
        return NULL;
}

/* Transport callbacks */

static ssize_t transport_result(TlsSession *s, ssize_t k) {
        if (k >= 0)
                return k;
        gnutls_transport_set_errno(s->session, (int)-k);
        return -1;
}

/* GnuTLS asks for the head of a record, its body, and the next head: three system calls a record.
 * So as much as is there is read at once, and a read that was not filled is not tried again in the
 * same turn: the transport says when there is more. */
static ssize_t on_pull(gnutls_transport_ptr_t p, void *data, size_t n) {
        TlsSession *s = p;
        uint8_t *to;
        ssize_t k;

        if (buffer_size(&s->ahead) == 0) {
                if (s->drained) {
                        s->drained = false;
                        s->dry = true;
                        return transport_result(s, -EAGAIN);
                }
                to = buffer_reserve(&s->ahead, READ_AHEAD);
                k = to ? s->transport->ops->read(s->transport, to, READ_AHEAD) : -ENOMEM;
                if (k <= 0) {
                        s->dry = k == -EAGAIN;
                        buffer_done(&s->ahead);
                        return transport_result(s, k);
                }
                s->drained = k < READ_AHEAD;
                buffer_commit(&s->ahead, (size_t)k);
        }
        assert(s->ahead.data);
        n = MIN(n, buffer_size(&s->ahead));
        memcpy(data, buffer_data(&s->ahead), n);
        buffer_consume(&s->ahead, n);
        return (ssize_t)n;
}

static ssize_t on_push(gnutls_transport_ptr_t p, const void *data, size_t n) {
        TlsSession *s = p;

        return transport_result(s, s->transport->ops->write(s->transport, data, n));
}

/* Only asked for by blocking use. */
static int on_pull_timeout(gnutls_transport_ptr_t p, unsigned ms) {
        return 1;
}

static int session_begin(TlsSession *s) {
        gnutls_datum_t protocol = {
                .data = (unsigned char *)s->alpn, .size = (unsigned)strlen(s->alpn)};
        unsigned end = s->role == TLS_SERVER ? GNUTLS_SERVER : GNUTLS_CLIENT;
        int r;

        r = gnutls_init(&s->session,
                end | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_ENABLE_RAWPK | GNUTLS_NO_TICKETS);
        if (r >= 0)
                r = gnutls_priority_set(s->session, s->identity->priority);
        if (r >= 0)
                r = gnutls_credentials_set(
                        s->session, GNUTLS_CRD_CERTIFICATE, s->identity->credentials);
        if (r >= 0)
                r = gnutls_alpn_set_protocols(s->session, &protocol, 1, GNUTLS_ALPN_MANDATORY);
        if (r < 0)
                return r;
        if (s->role == TLS_SERVER)
                gnutls_certificate_server_set_request(s->session, GNUTLS_CERT_REQUIRE);
        gnutls_handshake_set_timeout(s->session, GNUTLS_INDEFINITE_TIMEOUT);
        gnutls_transport_set_ptr(s->session, s);
        gnutls_transport_set_pull_function(s->session, on_pull);
        gnutls_transport_set_push_function(s->session, on_push);
        gnutls_transport_set_pull_timeout_function(s->session, on_pull_timeout);
        return 0;
}

int tls_session_new(
        TlsIdentity *i, TlsRole role, const char *alpn, Transport *t, TlsSession **ret) {
        TlsSession *s = calloc(1, sizeof(*s));
        int r = 0;

        if (!s)
                return -ENOMEM;
        *s = (TlsSession){.identity = i, .role = role, .alpn = alpn, .transport = t};
        if (role == TLS_CLIENT)
                r = session_begin(s);
        if (r < 0) {
                tls_session_free(s);
                return r == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EOPNOTSUPP;
        }
        *ret = s;
        return 0;
}

TlsSession *tls_session_free(TlsSession *s) {
        if (!s)
                return NULL;
        if (s->session)
                gnutls_deinit(s->session);
        buffer_done(&s->ahead);
        free(s);
        return NULL;
}

/* -EAGAIN for what only needs another call, and the failure kept for people otherwise. */
static int tls_error(TlsSession *s, ssize_t r) {
        if (r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED)
                return -EAGAIN;
        s->failure = (int)r;
        if (r == GNUTLS_E_PREMATURE_TERMINATION || r == GNUTLS_E_PULL_ERROR ||
                r == GNUTLS_E_PUSH_ERROR)
                return -ECONNRESET;
        if (r == GNUTLS_E_MEMORY_ERROR)
                return -ENOMEM;
        return -EPROTO;
}

/* GNUTLS_ALPN_MANDATORY refuses who offers something else, and lets in who offers nothing. */
static bool speaks_protocol(const TlsSession *s) {
        gnutls_datum_t selected;

        return gnutls_alpn_get_selected_protocol(s->session, &selected) >= 0 &&
                selected.size == strlen(s->alpn) &&
                memcmp(selected.data, s->alpn, selected.size) == 0;
}

#define RECORD_HEAD 5
#define RECORD_HANDSHAKE 22
#define FIRST_READ 512 /* a ClientHello is smaller */

/* RFC 8446 section 5.1. What is no such record, or too long, is for GnuTLS to refuse. */
static bool has_first_record(const TlsSession *s) {
        const uint8_t *p = buffer_data(&s->ahead);
        size_t n = buffer_size(&s->ahead);

        if (!p)
                return false;
        if (n > 0 && p[0] != RECORD_HANDSHAKE)
                return true;
        return n >= RECORD_HEAD &&
                (n >= RECORD_HEAD + (size_t)(p[3] << 8 | p[4]) || n > READ_AHEAD);
}

/* Of GnuTLS a session takes 19 KiB from the start. Who has not said a whole ClientHello is not
 * worth that: a thousand who connect and say nothing would cost what a thousand friends do. */
static int await_first_record(TlsSession *s) {
        while (!has_first_record(s)) {
                uint8_t *to = buffer_reserve(&s->ahead, FIRST_READ);
                ssize_t k = to ? s->transport->ops->read(s->transport, to, FIRST_READ) : -ENOMEM;

                if (k == -EAGAIN)
                        return -EAGAIN;
                if (k <= 0)
                        return tls_error(
                                s, k == 0 ? GNUTLS_E_PREMATURE_TERMINATION : GNUTLS_E_PULL_ERROR);
                buffer_commit(&s->ahead, (size_t)k);
        }
        return 0;
}

int tls_handshake(TlsSession *s) {
        int r = 0;

        if (!s->session) {
                r = await_first_record(s);
                if (r < 0)
                        return r;
                r = session_begin(s);
                if (r < 0)
                        return tls_error(s, r);
        }
        do
                r = gnutls_handshake(s->session);
        while (r < 0 && r != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(r));
        if (r >= 0 && speaks_protocol(s))
                return 0;
        if (r >= 0)
                r = GNUTLS_E_NO_APPLICATION_PROTOCOL;
        if (r != GNUTLS_E_AGAIN)
                (void)gnutls_alert_send_appropriate(s->session, r);
        return tls_error(s, r);
}

uint32_t tls_wanted(TlsSession *s) {
        return s->session && gnutls_record_get_direction(s->session) ? LOOP_WRITE : LOOP_READ;
}

int tls_peer_key(TlsSession *s, uint8_t ret[static KEY_SIZE]) {
        const gnutls_datum_t *spki;
        unsigned n = 0;

        if (gnutls_certificate_type_get2(s->session, GNUTLS_CTYPE_PEERS) != GNUTLS_CRT_RAWPK)
                return -EKEYREJECTED;
        spki = gnutls_certificate_get_peers(s->session, &n);
        if (!spki || n != 1 || spki->size != sizeof(SPKI_HEAD) + KEY_SIZE ||
                memcmp(spki->data, SPKI_HEAD, sizeof(SPKI_HEAD)) != 0 ||
                !key_is_valid(spki->data + sizeof(SPKI_HEAD)))
                return -EKEYREJECTED;
        memcpy(ret, spki->data + sizeof(SPKI_HEAD), KEY_SIZE);
        return 0;
}

int tls_export(TlsSession *s, const char *label, uint8_t *ret, size_t n) {
        int r;

        r = gnutls_prf_rfc5705(s->session, strlen(label), label, 0, NULL, n, (char *)ret);
        if (r < 0)
                return r == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EPROTO;
        return 0;
}

ssize_t tls_read(TlsSession *s, void *p, size_t n) {
        ssize_t r;

        /* After a key update GnuTLS says "again" although there may be more: it means what it says
         * only when the transport had nothing left. */
        do {
                s->dry = false;
                r = gnutls_record_recv(s->session, p, n);
        } while (r == GNUTLS_E_INTERRUPTED || (r == GNUTLS_E_AGAIN && !s->dry));
        return r >= 0 ? r : tls_error(s, r);
}

ssize_t tls_write(TlsSession *s, const void *p, size_t n) {
        ssize_t r;

        /* What could not go out is with GnuTLS already: it is resumed, never handed over again. */
        if (s->resume > 0)
                r = gnutls_record_send(s->session, NULL, 0);
        else
                r = gnutls_record_send(s->session, p, n);
        if (r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED) {
                s->resume = n;
                return -EAGAIN;
        }
        s->resume = 0;
        return r >= 0 ? r : tls_error(s, r);
}

void tls_bye(TlsSession *s) {
        if (s->session)
                (void)gnutls_bye(s->session, GNUTLS_SHUT_WR);
}

const char *tls_failure(TlsSession *s) {
        const char *text;

        if (s->failure == GNUTLS_E_PREMATURE_TERMINATION)
                return "the other end is gone";
        if (s->failure == GNUTLS_E_FATAL_ALERT_RECEIVED) {
                const char *name = gnutls_alert_get_name(gnutls_alert_get(s->session));

                return name ?: "refused by the other end";
        }
        if (s->failure >= 0)
                return "closed";
        /* A sentence with its full stop, for the middle of another one. */
        text = gnutls_strerror(s->failure);
        snprintf(s->failure_text, sizeof(s->failure_text), "%.*s", (int)strcspn(text, "."), text);
        return s->failure_text;
}
