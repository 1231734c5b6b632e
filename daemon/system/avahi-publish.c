/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Our service at Avahi: an entry group, which is made anew whenever what it says is another. */

#include <stdio.h>

#include "system/dns-sd-private.h"
#include "util/log.h"

#define PROTOCOL_ANY (-1)
#define INTERFACE_ANY (-1)

#define COLLISION_ERROR AVAHI_NAME ".CollisionError"

/* States of a group in avahi-common/defs.h. */
enum {
        GROUP_ESTABLISHED = 2,
        GROUP_COLLISION = 3,
        GROUP_FAILURE = 4,
};

static void add_next(DnsSd *d);

char *avahi_publication_name(const DnsSd *d, char buf[static DNS_SD_NAME_SIZE]) {
        char number[16] = "";

        if (d->avahi.renames > 0)
                snprintf(number, sizeof(number), " #%u", d->avahi.renames + 1);
        snprintf(buf, DNS_SD_NAME_SIZE, "%.*s%s", (int)(DNS_SD_NAME_SIZE - 1 - strlen(number)),
                d->settings.name, number);
        return buf;
}

static void publication_failed(Remote *o, const sd_bus_error *error) {
        DnsSd *d = o->dns_sd;

        d->avahi.publication = PUBLICATION_FAILED;
        dns_sd_note_error(error, d->avahi.publication_error);
        log_debug("Avahi does not publish the service: %s", d->avahi.publication_error);
        (void)remote_end(o);
}

static void collided(DnsSd *d) {
        Avahi *a = &d->avahi;

        (void)remote_end(&a->group);
        if (a->renames >= DNS_SD_RENAMES_MAX) {
                publication_failed(&a->group,
                        &SD_BUS_ERROR_MAKE_CONST(COLLISION_ERROR, "each name is taken already"));
                return;
        }
        a->renames++;
        a->publication = PUBLICATION_NONE;
        avahi_publish(d);
}

static int on_committed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void)remote_answered(userdata, m);
        return 0;
}

static int on_added(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Remote *o = userdata;
        DnsSd *d = o->dns_sd;

        if (sd_bus_message_is_method_error(m, COLLISION_ERROR)) {
                collided(d);
                return 0;
        }
        if (!remote_answered(o, m))
                return 0;
        d->avahi.n_added++;
        add_next(d);
        return 0;
}

static int append_txt(sd_bus_message *m, const TxtRecord *t) {
        size_t offset = 0;
        Bytes s;
        int r;

        r = sd_bus_message_open_container(m, 'a', "ay");
        while (r >= 0 && txt_record_next(t, &offset, &s))
                r = sd_bus_message_append_array(m, 'y', s.data, s.size);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* In Avahi's own domain, at its own host name. */
static int add_on(DnsSd *d, int interface) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const DnsSdSettings *s = &d->settings;
        char name[DNS_SD_NAME_SIZE];
        int r;

        r = remote_call_new(&d->avahi.group, "AddService", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "iiussssq", interface, PROTOCOL_ANY, 0,
                        avahi_publication_name(d, name), d->type, "", "", s->port);
        if (r >= 0)
                r = append_txt(m, &s->txt);
        return r < 0 ? r : remote_call(&d->avahi.group, m, on_added);
}

static int commit(DnsSd *d) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = remote_call_new(&d->avahi.group, "Commit", &m);
        return r < 0 ? r : remote_call(&d->avahi.group, m, on_committed);
}

static void add_next(DnsSd *d) {
        const DnsSdSettings *s = &d->settings;
        size_t n = s->everywhere ? 1 : s->n_interfaces, i = d->avahi.n_added;
        int r;

        if (i == n)
                r = commit(d);
        else
                r = add_on(d, s->everywhere ? INTERFACE_ANY : s->interfaces[i]);
        if (r < 0)
                remote_failed(&d->avahi.group, r);
}

static void group_made(Remote *o) {
        o->dns_sd->avahi.n_added = 0;
        add_next(o->dns_sd);
}

static void group_ended(Remote *o) {
        avahi_update(o->dns_sd);
}

const RemoteKind avahi_group = {
        .interface = AVAHI_NAME ".EntryGroup",
        .end = "Free",
        .made = group_made,
        .failed = publication_failed,
        .ended = group_ended,
};

void avahi_on_group_state(DnsSd *d, sd_bus_message *m) {
        Avahi *a = &d->avahi;
        const char *text;
        int32_t state;

        if (!streq(a->group.path, sd_bus_message_get_path(m) ?: "") ||
                sd_bus_message_read(m, "is", &state, &text) < 0)
                return;
        if (state == GROUP_ESTABLISHED)
                a->publication = PUBLICATION_THERE;
        else if (state == GROUP_COLLISION)
                collided(d);
        else if (state == GROUP_FAILURE)
                publication_failed(&a->group, &SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_FAILED, text));
}

void avahi_publish(DnsSd *d) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        Avahi *a = &d->avahi;
        int r;

        if (a->publication != PUBLICATION_NONE || !remote_is_none(&a->group))
                return;
        a->publication = PUBLICATION_ASKED;
        r = dns_sd_call_new(d, a->owner, "/", AVAHI_NAME ".Server", "EntryGroupNew", &m);
        if (r >= 0)
                r = remote_make(&a->group, m);
        if (r < 0)
                remote_failed(&d->avahi.group, r);
}

void avahi_withdraw(DnsSd *d) {
        d->avahi.publication = PUBLICATION_NONE;
        (void)remote_end(&d->avahi.group);
}

void avahi_publication_forget(DnsSd *d) {
        d->avahi.publication = PUBLICATION_NONE;
        remote_forget(&d->avahi.group);
}
