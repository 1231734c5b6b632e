/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What daemon/finding.c does with sockets: the LAN of a user's daemon. */

#include "directory/lan.h"
#include "machine.h"

#define LAN_INTERVAL 10 /* s */

static int on_say(void *userdata, Bytes datagram) {
        Machine *m = userdata;
        unsigned lan = host_lan(m->host);

        if (!machine_call(m))
                return -EIO; /* unheard as well */
        world_trace(m->world, m, "says %zu bytes on LAN %u", datagram.size, lan);
        return host_say(m->host, NULL, datagram, loop_now(m->loop));
}

static void on_heard(void *userdata, const SockAddr *from, Bytes datagram) {
        Machine *m = userdata;

        directory_lan_heard(m->parts->directory, from, datagram);
}

void machine_lan_start(Machine *m) {
        LanSettings settings = {.port = WORLD_PORT, .interval = LAN_INTERVAL};

        if (host_hear(m->host, on_heard, m) >= 0)
                directory_lan_start(m->parts->directory, &settings, on_say, m);
}

void machine_lan_stop(Machine *m) {
        directory_lan_stop(m->parts->directory);
        (void)host_hear(m->host, NULL, NULL);
}

void machine_network_changed(Machine *m) {
        if (!m->running || m->stopping || m->kind != MACHINE_DAEMON || m->asleep)
                return;
        machine_enter(m);
        if (directory_lan_is_started(m->parts->directory))
                directory_lan_changed(m->parts->directory);
        parts_woke(m->parts, 0);
        machine_leave(m);
}
