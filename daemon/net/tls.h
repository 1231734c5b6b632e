/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * TLS 1.3 between raw Ed25519 keys (RFC 7250) over a Transport: mutual, ALPN mandatory, no tickets,
 * no 0-RTT, no server name. Who the other end is, is its key, read after the handshake; trusting it
 * is the caller's business, and only after the application's own hello: in TLS 1.3 a client's
 * handshake has succeeded before the server refuses its key.
 */

#include "crypto/sign.h"
#include "net/transport.h"

typedef enum TlsRole {
        TLS_CLIENT,
        TLS_SERVER,
} TlsRole;

/* A key pair and the settings, shared by sessions. */
typedef struct TlsIdentity TlsIdentity;

int tls_identity_new(const SignKey *key, TlsIdentity **ret);
TlsIdentity *tls_identity_free(TlsIdentity *i);

typedef struct TlsSession TlsSession;

/* The identity, the transport and ALPN must outlive the session. A server's takes GnuTLS' memory
 * when a whole first record has come, so that it is in tls_handshake() that this can fail. */
int tls_session_new(TlsIdentity *i, TlsRole role, const char *alpn, Transport *t, TlsSession **ret);
TlsSession *tls_session_free(TlsSession *s);

/* 0: done; -EAGAIN: call again when tls_wanted() is possible; else it failed. */
int tls_handshake(TlsSession *s);
uint32_t tls_wanted(TlsSession *s);

/* After the handshake. -EKEYREJECTED: no Ed25519 key, or one of small order. */
int tls_peer_key(TlsSession *s, uint8_t ret[static KEY_SIZE]);

/* N bytes that both ends have of this handshake and nobody else: the exporter of RFC 8446, section
 * 7.5, without a context. After the handshake. -EPROTO: GnuTLS has none. */
int tls_export(TlsSession *s, const char *label, uint8_t *ret, size_t n);

/* Up to N bytes; 0 at the end of the stream, -EAGAIN when nothing is there. */
ssize_t tls_read(TlsSession *s, void *p, size_t n);

/* A record at most. After -EAGAIN the next call must offer the same bytes again. */
ssize_t tls_write(TlsSession *s, const void *p, size_t n);

/* Says that nothing more will come; does not wait for the answer. */
void tls_bye(TlsSession *s);

/* Why the last call failed, for people. */
const char *tls_failure(TlsSession *s);
