/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "finding.h"

#include <stdio.h>

#include "directory/lan.h"
#include "net/lan-socket.h"
#include "parts.h"

struct Finding {
        Loop *loop;
        Parts *parts;
        const DaemonConfig *config;
        LanSocket *socket;
        int error; /* of making it */
        LanSettings said;
        bool stopped;
};

const char *finding_off(const Parts *parts, const DaemonConfig *config) {
        SockAddr a;

        if (!parts_is_reachable(parts))
                return "Without an account nobody is looked for.";
        if (!config->lan.enabled)
                return "lan.enabled is false.";
        if (sockaddr_parse_ip(config->listen.address, 0, &a) < 0 || sockaddr_is_loopback(&a))
                return "This device listens on a loopback address only.";
        return NULL;
}

bool finding_may_be_seen(const DaemonConfig *config) {
        const struct ConfigPrivacy *p = &config->privacy;

        return p->listed && p->presence == CONFIG_AUDIENCE_ALL &&
                p->endpoints == CONFIG_AUDIENCE_ALL;
}

/* Between the socket and the directory */

static void on_received(void *userdata, const SockAddr *from, Bytes datagram) {
        Finding *f = userdata;

        directory_lan_heard(f->parts->directory, from, datagram);
}

/* Links may be dead though the endpoints of this device are the same. */
static void on_changed(void *userdata) {
        Finding *f = userdata;

        parts_woke(f->parts, 0);
}

static size_t on_known(void *userdata, SockAddr *ret, size_t max) {
        Finding *f = userdata;

        return directory_lan_known(f->parts->directory, ret, max);
}

static const LanSocketCallbacks socket_callbacks = {
        .received = on_received,
        .changed = on_changed,
        .known = on_known,
};

static int on_send(void *userdata, Bytes datagram) {
        Finding *f = userdata;

        return f->socket ? lan_socket_send(f->socket, datagram) : -ENOTCONN;
}

/* What holds now */

static void finding_end(Finding *f) {
        directory_lan_stop(f->parts->directory);
        f->socket = lan_socket_free(f->socket);
        f->error = 0;
}

/* While nobody can connect nothing is said, and it does not matter from where. */
static LanSocketSettings socket_settings(const Finding *f, const SockAddr *listening) {
        const struct ConfigLan *c = &f->config->lan;
        LanSocketSettings s = {.port = (uint16_t)c->port,
                .interfaces = (const char *const *)c->interfaces.items,
                .n_interfaces = c->interfaces.n};

        if (listening)
                s.from = *listening;
        else
                (void)sockaddr_parse_ip(f->config->listen.address, 0, &s.from);
        sockaddr_set_port(&s.from, 0);
        return s;
}

static void finding_begin(Finding *f, const SockAddr *listening) {
        LanSocketSettings socket = socket_settings(f, listening);
        bool seen = finding_may_be_seen(f->config);
        LanSettings said = {.interval = f->config->lan.interval, .hides = !seen};
        bool fresh;

        if (f->socket && !lan_socket_has(f->socket, &socket))
                f->socket = lan_socket_free(f->socket);
        fresh = !f->socket;
        if (fresh) {
                f->error = lan_socket_new(f->loop, &socket, &socket_callbacks, f, &f->socket);
                if (f->error < 0)
                        return;
        }
        /* A device that was replaced looks for the one that is active now. */
        if (listening && seen && account_is_active(f->parts->account))
                said.port = sockaddr_port(listening);
        if (!directory_lan_is_started(f->parts->directory) || said.port != f->said.port ||
                said.interval != f->said.interval || said.hides != f->said.hides)
                directory_lan_start(f->parts->directory, &said, on_send, f);
        else if (fresh)
                directory_lan_changed(f->parts->directory);
        f->said = said;
}

void finding_refresh(Finding *f, const SockAddr *listening) {
        if (f->stopped || finding_off(f->parts, f->config))
                finding_end(f);
        else
                finding_begin(f, listening);
}

void finding_stop(Finding *f) {
        f->stopped = true;
        finding_end(f);
}

/* For the doctor */

static void add_checks(void *userdata, ChatCheckFn fn, void *fn_userdata) {
        const Finding *f = userdata;
        const char *off = finding_off(f->parts, f->config);
        size_t n = directory_lan_count(f->parts->directory);
        LanSocketFacts facts = {};
        char text[512];

        if (f->socket)
                lan_socket_get_facts(f->socket, &facts);
        else
                snprintf(facts.problem, sizeof(facts.problem), "The socket cannot be made: %s.",
                        strerror(-f->error));
        if (facts.interfaces[0])
                snprintf(text, sizeof(text), "%zu account%s on the network of %s%s.", n,
                        n == 1 ? " is" : "s are", facts.interfaces,
                        f->said.port > 0 ? "" : "; this device does not say that it is there");
        else
                snprintf(text, sizeof(text), "No network is connected.");
        fn(fn_userdata,
                &(ChatCheck){.check = "lan",
                        .state = off               ? "off"
                                : facts.problem[0] ? "warning"
                                                   : "ok",
                        .text = off
                                ?: facts.problem[0] ? facts.problem
                                                    : text});
}

/* Putting it together */

int finding_new(Loop *loop, Parts *parts, const DaemonConfig *config, Finding **ret) {
        Finding *f = calloc(1, sizeof(*f));

        if (!f)
                return -ENOMEM;
        *f = (Finding){.loop = loop, .parts = parts, .config = config};
        chat_add_checks(parts->chat, add_checks, f);
        *ret = f;
        return 0;
}

Finding *finding_free(Finding *f) {
        if (!f)
                return NULL;
        finding_stop(f);
        chat_remove_checks(f->parts->chat, f);
        free(f);
        return NULL;
}
