/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is not the TLS that is spoken here, and what GnuTLS does in unusual moments. The other end
 * is GnuTLS itself, on the same kind of wire. */

#include "test.h"

#include "link-lab.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CTYPE-ALL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK"

typedef struct World {
        Sim sim;
        Person bob, mallory;
        Side b;
} World;

static void world_new(World *w) {
        sim_new(&w->sim, 1);
        person_new(&w->sim, "bob", &w->bob);
        person_new(&w->sim, "mallory", &w->mallory);
        side_new(&w->bob, &w->b);
}

static void world_free(World *w) {
        side_free(&w->b);
        person_done(&w->bob);
        person_done(&w->mallory);
        sim_free(&w->sim);
}

/* A client that GnuTLS would not let net/tls.c be. */
typedef struct Raw {
        World *world;
        gnutls_session_t session;
        gnutls_certificate_credentials_t credentials;
        Transport *transport;
        Pipe *pipe;
        bool is_done;
        int error;
        Buffer in;
} Raw;

static ssize_t raw_result(Raw *r, ssize_t k) {
        if (k >= 0)
                return k;
        gnutls_transport_set_errno(r->session, (int)-k);
        return -1;
}

static ssize_t on_pull(gnutls_transport_ptr_t p, void *data, size_t n) {
        Raw *r = p;

        return raw_result(r, r->transport->ops->read(r->transport, data, n));
}

static ssize_t on_push(gnutls_transport_ptr_t p, const void *data, size_t n) {
        Raw *r = p;

        return raw_result(r, r->transport->ops->write(r->transport, data, n));
}

static int on_pull_timeout(gnutls_transport_ptr_t p, unsigned ms) {
        return 1;
}

static int verify_nothing(gnutls_session_t session) {
        return 0;
}

static void on_ready(void *userdata, uint32_t events) {
        uint8_t buf[16384];
        Raw *r = userdata;
        ssize_t k = 0;

        if (!r->is_done)
                k = gnutls_handshake(r->session);
        if (k == 0)
                r->is_done = true;
        while (k >= 0 && (k = gnutls_record_recv(r->session, buf, sizeof(buf))) > 0)
                CHECK_OK(buffer_append(&r->in, buf, (size_t)k));
        if (k == 0 || (k < 0 && gnutls_error_is_fatal((int)k))) {
                r->error = k == 0 ? GNUTLS_E_SESSION_EOF : (int)k;
                r->transport->ops->want(r->transport, 0);
        } else
                r->transport->ops->want(r->transport, LOOP_READ);
}

/* The credentials are for the caller to fill before raw_start(). */
static void raw_new(World *w, const char *priority, const char *alpn, Raw *r) {
        gnutls_datum_t protocol = {.data = (unsigned char *)alpn, .size = 0};
        Transport *ends[2];

        *r = (Raw){.world = w};
        CHECK_OK(gnutls_init(&r->session,
                GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_ENABLE_RAWPK));
        CHECK_OK(gnutls_priority_set_direct(r->session, priority, NULL));
        CHECK_OK(gnutls_certificate_allocate_credentials(&r->credentials));
        gnutls_certificate_set_verify_function(r->credentials, verify_nothing);
        if (alpn) {
                protocol.size = (unsigned)strlen(alpn);
                CHECK_OK(gnutls_alpn_set_protocols(r->session, &protocol, 1, 0));
        }
        gnutls_transport_set_ptr(r->session, r);
        gnutls_transport_set_pull_function(r->session, on_pull);
        gnutls_transport_set_push_function(r->session, on_push);
        gnutls_transport_set_pull_timeout_function(r->session, on_pull_timeout);
        r->pipe = wire_new(&w->sim, &ordinary, ends);
        r->transport = ends[0];
        r->transport->ready = on_ready;
        r->transport->userdata = r;
        link_accept(w->b.pool, ends[1]);
}

static void raw_start(Raw *r) {
        CHECK_OK(gnutls_credentials_set(r->session, GNUTLS_CRD_CERTIFICATE, r->credentials));
        r->transport->ops->want(r->transport, LOOP_READ | LOOP_WRITE);
}

static void raw_free(Raw *r) {
        gnutls_deinit(r->session);
        gnutls_certificate_free_credentials(r->credentials);
        transport_free(r->transport);
        pipe_unref(r->pipe);
        buffer_done(&r->in);
}

/* The pool ends it long before the time for HELLO is over, without a word to its owner. */
static void check_sent_away(Raw *r) {
        World *w = r->world;
        usec_t start = loop_now(w->sim.loop);

        raw_start(r);
        SIM_UNTIL(&w->sim, r->error < 0 && pipe_is_over(r->pipe));
        CHECK(loop_now(w->sim.loop) < start + USEC_PER_SEC);
        CHECK_EQ(buffer_size(&r->in), 0); /* not even HELLO */
        CHECK_EQ(w->b.n_hello + w->b.n_closed, 0);
        raw_free(r);
}

/* The key of a person's device, so that nothing but what the test changes is wrong. */
static void raw_use_key(Raw *r, const SignKey *key) {
        gnutls_datum_t x = {.data = (unsigned char *)sign_key_public(key), .size = KEY_SIZE};
        gnutls_datum_t k = {.data = (unsigned char *)sign_key_seed(key), .size = KEY_SIZE};
        gnutls_pcert_st pcert;
        gnutls_pubkey_t public;
        gnutls_privkey_t private;

        CHECK_OK(gnutls_pubkey_init(&public));
        CHECK_OK(gnutls_pubkey_import_ecc_raw(public, GNUTLS_ECC_CURVE_ED25519, &x, NULL));
        CHECK_OK(gnutls_pcert_import_rawpk(&pcert, public, 0));
        CHECK_OK(gnutls_privkey_init(&private));
        CHECK_OK(gnutls_privkey_import_ecc_raw(private, GNUTLS_ECC_CURVE_ED25519, &x, NULL, &k));
        CHECK_OK(gnutls_certificate_set_key(r->credentials, NULL, 0, &pcert, 1, private));
}

TEST(a_client_without_a_key) {
        World w;
        Raw r;

        world_new(&w);
        raw_new(&w, PRIORITY, LINK_ALPN, &r);
        check_sent_away(&r);
        world_free(&w);
}

/* A self-signed certificate of the device key. */
static void raw_use_x509(Raw *r, const SignKey *key) {
        gnutls_datum_t x = {.data = (unsigned char *)sign_key_public(key), .size = KEY_SIZE};
        gnutls_datum_t k = {.data = (unsigned char *)sign_key_seed(key), .size = KEY_SIZE};
        gnutls_x509_privkey_t private;
        gnutls_x509_crt_t crt;

        CHECK_OK(gnutls_x509_privkey_init(&private));
        CHECK_OK(gnutls_x509_privkey_import_ecc_raw(
                private, GNUTLS_ECC_CURVE_ED25519, &x, NULL, &k));
        CHECK_OK(gnutls_x509_crt_init(&crt));
        CHECK_OK(gnutls_x509_crt_set_version(crt, 3));
        CHECK_OK(gnutls_x509_crt_set_serial(crt, "\1", 1));
        CHECK_OK(gnutls_x509_crt_set_dn(crt, "CN=mallory", NULL));
        CHECK_OK(gnutls_x509_crt_set_activation_time(crt, 0));
        CHECK_OK(gnutls_x509_crt_set_expiration_time(crt, INT32_MAX));
        CHECK_OK(gnutls_x509_crt_set_key(crt, private));
        CHECK_OK(gnutls_x509_crt_sign2(crt, crt, private, GNUTLS_DIG_UNKNOWN, 0));
        CHECK_OK(gnutls_certificate_set_x509_key(r->credentials, &crt, 1, private));
        gnutls_x509_crt_deinit(crt);
        gnutls_x509_privkey_deinit(private);
}

TEST(a_client_with_certificates_of_the_web) {
        static const char *const priorities[] = {
                "NORMAL:-VERS-ALL:+VERS-TLS1.3",
                PRIORITY ":+CTYPE-CLI-X509", /* raw for the server only */
        };

        for (size_t i = 0; i < ELEMENTSOF(priorities); i++) {
                World w;
                Raw r;

                world_new(&w);
                raw_new(&w, priorities[i], LINK_ALPN, &r);
                raw_use_x509(&r, &w.mallory.device);
                check_sent_away(&r);
                world_free(&w);
        }
}

TEST(a_client_that_means_another_protocol) {
        static const char *const protocols[] = {"p2pchat-tracker/1", "p2pchat-link/2", "h2", NULL};

        for (size_t i = 0; i < ELEMENTSOF(protocols); i++) {
                World w;
                Raw r;

                world_new(&w);
                raw_new(&w, PRIORITY, protocols[i], &r);
                raw_use_key(&r, &w.mallory.device);
                check_sent_away(&r);
                world_free(&w);
        }
}

/* GnuTLS is not asked before there is a first record; whoever goes away before is gone. */
TEST(a_client_that_never_says_hello) {
        static const char *const said[] = {"", "\x16", "\x16\x03\x01\x02\x01half of a hello",
                "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x01\x01"};

        for (size_t i = 0; i < ELEMENTSOF(said); i++) {
                size_t n = strlen(said[i]);
                usec_t start;
                World w;
                Raw r;

                world_new(&w);
                raw_new(&w, PRIORITY, LINK_ALPN, &r);
                if (n > 0)
                        CHECK_EQ(r.transport->ops->write(r.transport, said[i], n), n);
                sim_run(&w.sim, USEC_PER_SEC);
                start = loop_now(w.sim.loop);
                r.transport = transport_free(r.transport);
                SIM_UNTIL(&w.sim, pipe_is_over(r.pipe));
                CHECK(loop_now(w.sim.loop) < start + USEC_PER_SEC); /* it is not waited for */
                CHECK_EQ(w.b.n_hello + w.b.n_closed, 0);
                raw_free(&r);
                world_free(&w);
        }
}

TEST(a_client_with_an_older_tls) {
        World w;
        Raw r;

        world_new(&w);
        raw_new(&w, "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CTYPE-ALL:+CTYPE-ALL", LINK_ALPN, &r);
        raw_use_key(&r, &w.mallory.device);
        check_sent_away(&r);
        world_free(&w);
}

TEST(a_client_with_a_key_of_another_kind) {
        gnutls_privkey_t private;
        gnutls_pubkey_t public;
        gnutls_pcert_st pcert;
        World w;
        Raw r;

        world_new(&w);
        raw_new(&w, PRIORITY, LINK_ALPN, &r);
        CHECK_OK(gnutls_privkey_init(&private));
        CHECK_OK(gnutls_privkey_generate2(private, GNUTLS_PK_ECDSA,
                GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0, NULL, 0));
        CHECK_OK(gnutls_pubkey_init(&public));
        CHECK_OK(gnutls_pubkey_import_privkey(public, private, 0, 0));
        CHECK_OK(gnutls_pcert_import_rawpk(&pcert, public, 0));
        CHECK_OK(gnutls_certificate_set_key(r.credentials, NULL, 0, &pcert, 1, private));
        check_sent_away(&r);
        world_free(&w);
}

/* For the public key 01 00 … this is a signature of anything, which GnuTLS believes. */
static int sign_with_small_order(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm,
        void *userdata, unsigned flags, const gnutls_datum_t *data, gnutls_datum_t *signature) {
        signature->data = gnutls_calloc(1, SIGNATURE_SIZE);
        if (!signature->data)
                return GNUTLS_E_MEMORY_ERROR;
        signature->data[0] = 1;
        signature->size = SIGNATURE_SIZE;
        return 0;
}

static int small_order_info(gnutls_privkey_t key, unsigned flags, void *userdata) {
        if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO)
                return GNUTLS_PK_EDDSA_ED25519;
        if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO)
                return GNUTLS_FLAGS_TO_SIGN_ALGO(flags) == GNUTLS_SIGN_EDDSA_ED25519;
        if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS)
                return 256;
        return -1;
}

TEST(a_client_whose_key_anybody_has) {
        static uint8_t small_order[KEY_SIZE] = {1};
        gnutls_datum_t x = {.data = small_order, .size = KEY_SIZE};
        gnutls_privkey_t private;
        gnutls_pubkey_t public;
        gnutls_pcert_st pcert;
        World w;
        Raw r;

        world_new(&w);
        raw_new(&w, PRIORITY, LINK_ALPN, &r);
        CHECK_OK(gnutls_pubkey_init(&public));
        CHECK_OK(gnutls_pubkey_import_ecc_raw(public, GNUTLS_ECC_CURVE_ED25519, &x, NULL));
        CHECK_OK(gnutls_pcert_import_rawpk(&pcert, public, 0));
        CHECK_OK(gnutls_privkey_init(&private));
        CHECK_OK(gnutls_privkey_import_ext4(
                private, NULL, sign_with_small_order, NULL, NULL, NULL, small_order_info, 0));
        CHECK_OK(gnutls_certificate_set_key(r.credentials, NULL, 0, &pcert, 1, private));
        check_sent_away(&r);
        world_free(&w);
}

/* Key updates. GnuTLS then says "again" although a record follows. */

static void raw_write(Raw *r, const Buffer *b) {
        size_t done = 0;

        while (done < buffer_size(b)) {
                ssize_t k = gnutls_record_send(
                        r->session, buffer_data(b) + done, buffer_size(b) - done);

                CHECK(k > 0);
                done += (size_t)k;
        }
}

static unsigned raw_count_pongs(const Raw *r) {
        size_t at = 0, size;
        unsigned n = 0;

        while (at < buffer_size(&r->in) &&
                frame_scan(buffer_data(&r->in) + at, buffer_size(&r->in) - at, &size) > 0) {
                Frame f;

                CHECK_OK(frame_open(buffer_data(&r->in) + at, size, &f));
                n += f.type == FRAME_PONG;
                at += size;
        }
        return n;
}

static void update_keys(int flags) {
        const unsigned rounds = 5; /* GnuTLS takes eight updates a second */
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
        usec_t start;
        Hello h;
        World w;
        Raw r;

        world_new(&w);
        raw_new(&w, PRIORITY, LINK_ALPN, &r);
        raw_use_key(&r, &w.mallory.device);
        raw_start(&r);
        SIM_UNTIL(&w.sim, r.is_done);
        h = person_hello(&w.mallory);
        CHECK_OK(hello_encode(&out, &h));
        CHECK_OK(hello_ok_encode(&out, &(HelloOk){}));
        raw_write(&r, &out);
        SIM_UNTIL(&w.sim, w.b.n_open == 1);
        start = loop_now(w.sim.loop);
        for (unsigned i = 0; i < rounds; i++) {
                buffer_clear(&out);
                CHECK_OK(frame_put_empty(&out, FRAME_PING, i));
                CHECK_OK(gnutls_session_key_update(r.session, flags));
                raw_write(&r, &out);
        }
        SIM_UNTIL(&w.sim, raw_count_pongs(&r) == rounds || r.error < 0);
        CHECK_OK(r.error);
        CHECK(loop_now(w.sim.loop) < start + USEC_PER_SEC);
        CHECK_EQ(w.b.n_closed, 0);
        raw_free(&r);
        world_free(&w);
}

TEST(keys_are_updated_in_the_middle) {
        update_keys(0);
        update_keys(GNUTLS_KU_PEER); /* and the other end asked to do the same */
}
