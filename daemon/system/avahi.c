/* SPDX-License-Identifier: GPL-3.0-or-later */

/* avahi-daemon: whether it is there, and what it says. */

#include <stdio.h>

#include "system/dns-sd-private.h"
#include "util/log.h"

#define SERVER AVAHI_NAME ".Server"

/* States of the server in avahi-common/defs.h. */
enum {
        AVAHI_RUNNING = 2,
};

static void set_state(DnsSd *d, int32_t state) {
        d->avahi.state = state == AVAHI_RUNNING ? SERVER_RUNS : SERVER_BUSY;
        /* While its host name is not certain, no service may be there. */
        if (d->avahi.state == SERVER_BUSY)
                avahi_withdraw(d);
        dns_sd_choose(d);
}

static int on_state(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        DnsSd *d = userdata;
        Avahi *a = &d->avahi;
        int32_t state;

        a->call = sd_bus_slot_unref(a->call);
        if (e) {
                a->state = dns_sd_is_absence(e) ? SERVER_ABSENT : SERVER_FAILED;
                dns_sd_note_error(e, a->error);
                log_debug("Avahi is not there: %s", a->error);
                dns_sd_choose(d);
                return 0;
        }
        a->owner = strdup(sd_bus_message_get_sender(m) ?: "");
        if (a->owner && sd_bus_message_read(m, "i", &state) >= 0)
                set_state(d, state);
        return 0;
}

void avahi_ask(DnsSd *d) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        avahi_forget(d);
        d->avahi.state = SERVER_ASKED;
        r = dns_sd_call_new(d, AVAHI_NAME, "/", SERVER, "GetState", &m);
        if (r >= 0)
                r = sd_bus_call_async(d->bus, &d->avahi.call, m, on_state, d, UINT64_MAX);
        if (r < 0)
                d->avahi.state = SERVER_FAILED;
}

/* Of those that are for others none comes: Avahi sends them to who has made the object. */
static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *text;
        DnsSd *d = userdata;
        int32_t state;

        if (!d->avahi.owner || !streq(d->avahi.owner, sd_bus_message_get_sender(m) ?: ""))
                return 0;
        if (sd_bus_message_is_signal(m, SERVER, "StateChanged")) {
                if (sd_bus_message_read(m, "is", &state, &text) >= 0)
                        set_state(d, state);
        } else if (sd_bus_message_is_signal(m, avahi_group.interface, "StateChanged"))
                avahi_on_group_state(d, m);
        else if (sd_bus_message_is_signal(m, avahi_browser.interface, "ItemNew"))
                avahi_on_offer(d, m, true);
        else if (sd_bus_message_is_signal(m, avahi_browser.interface, "ItemRemove"))
                avahi_on_offer(d, m, false);
        else if (sd_bus_message_is_signal(m, avahi_browser.interface, "Failure"))
                avahi_on_browse_failed(d, m);
        else if (sd_bus_message_is_signal(m, AVAHI_NAME ".ServiceResolver", "Found"))
                avahi_on_resolved(d, m);
        return 0;
}

int avahi_watch(DnsSd *d) {
        return sd_bus_add_match_async(
                d->bus, NULL, "type='signal',sender='" AVAHI_NAME "'", on_signal, NULL, d);
}

void avahi_forget(DnsSd *d) {
        Avahi *a = &d->avahi;

        a->call = sd_bus_slot_unref(a->call);
        avahi_publication_forget(d);
        avahi_browse_forget(d);
        free(TAKE_PTR(a->owner));
        a->renames = 0;
        a->state = SERVER_ABSENT;
}

void avahi_update(DnsSd *d) {
        if (d->avahi.state != SERVER_RUNS)
                return;
        if (d->settings.name[0] && (d->settings.everywhere || d->settings.n_interfaces > 0))
                avahi_publish(d);
        if (d->settings.browse)
                avahi_browse(d);
}
