/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * systemd-resolved: it publishes a service, on every interface that has mDNS switched on, for as
 * long as we are on the bus, if polkit lets the user do so. What others publish its interface does
 * not tell. Of a name that somebody else has it makes no other one.
 */

#include <stdio.h>

#include "system/dns-sd-private.h"
#include "util/log.h"

#define PATH "/org/freedesktop/resolve1"

static void service_made(Remote *o) {
        o->dns_sd->resolved.publication = PUBLICATION_THERE;
}

static void service_failed(Remote *o, const sd_bus_error *error) {
        Resolved *r = &o->dns_sd->resolved;

        r->publication = PUBLICATION_FAILED;
        r->absent = dns_sd_is_absence(error);
        dns_sd_note_error(error, r->error);
        log_debug("systemd-resolved does not publish the service: %s", r->error);
}

static void service_ended(Remote *o) {
        dns_sd_choose(o->dns_sd);
}

const RemoteKind resolved_service = {
        .interface = RESOLVED_NAME ".DnssdService",
        .end = "Unregister",
        .made = service_made,
        .failed = service_failed,
        .ended = service_ended,
};

static int append_txt(sd_bus_message *m, const TxtRecord *t) {
        char key_text[TXT_STRING_MAX + 1];
        Bytes s, key, value;
        size_t offset = 0;
        int r;

        r = sd_bus_message_open_container(m, 'a', "a{say}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{say}");
        while (r >= 0 && txt_record_next(t, &offset, &s)) {
                if (!txt_string_split(s, &key, &value))
                        continue;
                snprintf(key_text, sizeof(key_text), "%.*s", (int)key.size, key.data);
                r = sd_bus_message_open_container(m, 'e', "say");
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", key_text);
                if (r >= 0)
                        r = sd_bus_message_append_array(m, 'y', value.data, value.size);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* By an id that is ours alone among those of this machine. */
static int service_register(DnsSd *d) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const DnsSdSettings *s = &d->settings;
        char id[64];
        int r;

        snprintf(id, sizeof(id), "%.40s-%d", d->type, (int)getpid());
        r = dns_sd_call_new(
                d, RESOLVED_NAME, PATH, RESOLVED_NAME ".Manager", "RegisterService", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "sssqqq", id, s->name, d->type, s->port, 0, 0);
        if (r >= 0)
                r = append_txt(m, &s->txt);
        return r < 0 ? r : remote_make(&d->resolved.service, m);
}

void resolved_publish(DnsSd *d) {
        Resolved *o = &d->resolved;
        int r;

        if (o->publication != PUBLICATION_NONE || !remote_is_none(&o->service))
                return;
        o->publication = PUBLICATION_ASKED;
        r = service_register(d);
        if (r < 0)
                remote_failed(&o->service, r);
}

void resolved_withdraw(DnsSd *d) {
        d->resolved.publication = PUBLICATION_NONE;
        (void)remote_end(&d->resolved.service);
}

void resolved_forget(DnsSd *d) {
        d->resolved.publication = PUBLICATION_NONE;
        remote_forget(&d->resolved.service);
}
