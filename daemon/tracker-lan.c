/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tracker-lan.h"

#include "net/announcer.h"
#include "net/lan-socket.h"
#include "util/log.h"
#include "wire/beacon.h"

struct TrackerLan {
        Loop *loop;
        const SignKey *key;
        const Node *node;
        LanSocket *socket;
        Announcer *announcer;
        unsigned interval; /* s */
        uint16_t port; /* with the next: as the beacon has them */
        char host[HOST_SIZE];
        usec_t born; /* when the boot nonce was made, or a little later */
        uint64_t seq;
        bool said; /* that it is here */
        Buffer out;
};

/* Saying */

static void say(TrackerLan *t, bool asks, unsigned next, bool leaves) {
        Beacon b = {.kind = BEACON_TRACKER,
                .port = t->port,
                .interval = CLAMP(next, BEACON_INTERVAL_MIN, BEACON_INTERVAL_MAX),
                .asks = asks,
                .leaves = leaves};
        uint64_t ms = (loop_now(t->loop) - t->born) / USEC_PER_MSEC;

        t->seq = b.seq = MAX(t->seq + 1, ms);
        memcpy(b.boot_nonce, node_boot_nonce(t->node), BOOT_NONCE_SIZE);
        memcpy(b.key, sign_key_public(t->key), KEY_SIZE);
        memcpy(b.host, t->host, sizeof(b.host));
        buffer_clear(&t->out);
        if (beacon_encode(&b, t->key, &t->out) < 0)
                return;
        (void)lan_socket_send(t->socket, buffer_bytes(&t->out));
        t->said = !leaves;
}

static void on_say(void *userdata, bool asks, unsigned next) {
        say(userdata, asks, next, false);
}

static void stop(TrackerLan *t) {
        announcer_stop(t->announcer);
        if (t->said)
                say(t, false, 0, true);
        t->socket = lan_socket_free(t->socket);
}

/* Hearing. No signature is looked at: who made one for nothing would be answered as well, and not
 * more often than the announcer lets be answered in all. */
static void on_received(void *userdata, const SockAddr *from, Bytes datagram) {
        TrackerLan *t = userdata;
        Beacon b;

        if (beacon_parse(datagram, &b) >= 0 && b.asks && !key_equal(b.key, sign_key_public(t->key)))
                announcer_met(t->announcer, 0);
}

static void on_changed(void *userdata) {
        TrackerLan *t = userdata;

        announcer_changed(t->announcer);
}

static const LanSocketCallbacks callbacks = {
        .received = on_received,
        .changed = on_changed,
};

/* Settings */

/* One that means all addresses is worth more than one that does not, and IPv6's means IPv4's. */
static unsigned worth(const SockAddr *a) {
        if (sockaddr_is_loopback(a))
                return 0;
        return sockaddr_is_any(a) ? 2 + (a->sa.sa_family == AF_INET6) : 1;
}

static bool best_door(const Doors *d, SockAddr *ret) {
        SockAddr best = {};
        unsigned most = 0;

        for (size_t i = 0; i < d->n; i++) {
                const SockAddr *a = listener_address(d->doors[i].listener);

                if (worth(a) > most) {
                        best = *a;
                        most = worth(a);
                }
        }
        *ret = best;
        return most > 0;
}

static int open_socket(TrackerLan *t, const TrackerConfig *config, SockAddr from) {
        LanSocketSettings s = {.port = (uint16_t)config->lan.port,
                .from = from,
                .interfaces = (const char *const *)config->lan.interfaces.items,
                .n_interfaces = config->lan.interfaces.n};
        LanSocketFacts facts;
        int r;

        sockaddr_set_port(&s.from, 0);
        if (t->socket && lan_socket_has(t->socket, &s))
                return 0;
        stop(t);
        r = lan_socket_new(t->loop, &s, &callbacks, t, &t->socket);
        if (r < 0)
                return r;
        lan_socket_get_facts(t->socket, &facts);
        if (facts.problem[0])
                log_warning("On the local network: %s", facts.problem);
        return 0;
}

void tracker_lan_set(TrackerLan *t, const TrackerConfig *config, const Doors *doors) {
        const Endpoint *advertise = &config->advertise;
        uint16_t port;
        SockAddr door;
        int r;

        if (!config->lan.enabled || !best_door(doors, &door)) {
                stop(t);
                return;
        }
        r = open_socket(t, config, door);
        if (r < 0) {
                log_error_errno(
                        r, "This tracker does not say on the local network that it is there");
                return;
        }
        port = advertise->port ?: sockaddr_port(&door);
        if (announcer_is_started(t->announcer) && t->interval == config->lan.interval &&
                t->port == port && streq(t->host, advertise->host))
                return;
        t->interval = config->lan.interval;
        t->port = port;
        memcpy(t->host, advertise->host, sizeof(t->host));
        announcer_start(t->announcer, t->interval);
}

int tracker_lan_new(Loop *l, const SignKey *key, const Node *node, TrackerLan **ret) {
        TrackerLan *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return -ENOMEM;
        *t = (TrackerLan){.loop = l, .key = key, .node = node, .born = loop_now(l)};
        r = announcer_new(l, on_say, t, &t->announcer);
        if (r < 0) {
                free(t);
                return r;
        }
        *ret = t;
        return 0;
}

TrackerLan *tracker_lan_free(TrackerLan *t) {
        if (!t)
                return NULL;
        stop(t);
        announcer_free(t->announcer);
        buffer_done(&t->out);
        free(t);
        return NULL;
}
