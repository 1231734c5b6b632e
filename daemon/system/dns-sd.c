/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdio.h>

#include "system/bus-name.h"
#include "system/dns-sd-private.h"
#include "util/log.h"
#include "util/text.h"

/* Without the full stop that some have. */
void dns_sd_note_error(const sd_bus_error *e, char buf[static DNS_SD_ERROR_SIZE]) {
        const char *text = e->message ?: e->name ?: "no answer";
        size_t n = strlen(text);

        if (n > 0 && text[n - 1] == '.')
                n--;
        snprintf(buf, DNS_SD_ERROR_SIZE, "%.*s", (int)n, text);
        text_clean(buf);
}

bool dns_sd_is_absence(const sd_bus_error *e) {
        return sd_bus_error_has_names(
                e, SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER);
}

bool dns_sd_has_interface(const DnsSd *d, int interface) {
        for (size_t i = 0; i < d->settings.n_interfaces; i++)
                if (d->settings.interfaces[i] == interface)
                        return true;
        return d->settings.everywhere;
}

/* resolved is of no use where interfaces are excluded: it has its own list of them. */
void dns_sd_choose(DnsSd *d) {
        const DnsSdSettings *s = &d->settings;
        ServerState avahi = d->avahi.state;

        avahi_update(d);
        if (avahi == SERVER_BUSY || avahi == SERVER_RUNS)
                resolved_withdraw(d);
        else if (avahi != SERVER_ASKED && s->name[0] && s->everywhere)
                resolved_publish(d);
}

/* The bus */

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *before, *after;
        DnsSd *d = userdata;

        if (bus_name_read(m, &name, &before, &after) < 0)
                return 0;
        if (streq(name, RESOLVED_NAME))
                resolved_forget(d);
        else if (after[0])
                avahi_ask(d);
        else
                avahi_forget(d);
        dns_sd_choose(d);
        return 0;
}

static void forget(DnsSd *d) {
        avahi_forget(d);
        resolved_forget(d);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        DnsSd *d = userdata;

        d->lost = true;
        forget(d);
        return 0;
}

/* Whatever was published or asked for ends with the connection. */
static void disconnect(DnsSd *d) {
        forget(d);
        d->bus = sd_bus_close_unref(d->bus);
        d->lost = false;
}

static void connect_bus(DnsSd *d) {
        int r;

        r = sd_bus_open_system_with_description(&d->bus, "dns-sd");
        if (r >= 0)
                r = sd_bus_attach_event(d->bus, d->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_match_signal_async(d->bus, NULL, "org.freedesktop.DBus.Local", NULL,
                        "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, NULL, d);
        if (r >= 0)
                r = bus_name_watch(d->bus, AVAHI_NAME, on_owner_changed, d);
        if (r >= 0)
                r = bus_name_watch(d->bus, RESOLVED_NAME, on_owner_changed, d);
        if (r >= 0)
                r = avahi_watch(d);
        if (r < 0) {
                log_debug("DNS-SD: there is no system bus: %s", strerror(-r));
                disconnect(d);
                return;
        }
        avahi_ask(d);
}

/* For the owner */

static bool same_interfaces(const DnsSdSettings *a, const DnsSdSettings *b) {
        return a->everywhere == b->everywhere && a->n_interfaces == b->n_interfaces &&
                memcmp(a->interfaces, b->interfaces, a->n_interfaces * sizeof(int)) == 0;
}

static bool same_service(const DnsSdSettings *a, const DnsSdSettings *b) {
        return streq(a->name, b->name) && a->port == b->port && a->txt.size == b->txt.size &&
                memcmp(a->txt.data, b->txt.data, a->txt.size) == 0;
}

void dns_sd_set(DnsSd *d, const DnsSdSettings *s) {
        bool interfaces = !same_interfaces(s, &d->settings);
        bool service = interfaces || !same_service(s, &d->settings);
        bool browse = interfaces || s->browse != d->settings.browse;

        d->settings = *s;
        if (d->lost || (!s->browse && !s->name[0]))
                disconnect(d);
        if (!s->browse && !s->name[0])
                return;
        if (!d->bus) {
                connect_bus(d);
                return;
        }
        if (service) {
                d->avahi.renames = 0;
                avahi_withdraw(d);
                resolved_withdraw(d);
        }
        if (browse)
                avahi_browse_end(d);
        dns_sd_choose(d);
}

int dns_sd_new(sd_event *event, Loop *loop, const char *type, const DnsSdCallbacks *callbacks,
        void *userdata, DnsSd **ret) {
        DnsSd *d = calloc(1, sizeof(*d));

        if (!d)
                return -ENOMEM;
        d->event = event;
        d->loop = loop;
        d->type = type;
        d->callbacks = callbacks;
        d->userdata = userdata;
        d->avahi.group = (Remote){.kind = &avahi_group, .dns_sd = d};
        d->avahi.browser = (Remote){.kind = &avahi_browser, .dns_sd = d};
        d->avahi.arrivals = QUOTA_INIT(DNS_SD_BURST, USEC_PER_HOUR);
        d->avahi.moves = QUOTA_INIT(DNS_SD_MOVES, USEC_PER_HOUR);
        d->resolved.service = (Remote){.kind = &resolved_service, .dns_sd = d};
        *ret = d;
        return 0;
}

DnsSd *dns_sd_free(DnsSd *d) {
        if (!d)
                return NULL;
        disconnect(d);
        free(d);
        return NULL;
}

/* For the doctor */

static DnsSdState describe_avahi(const DnsSd *d, char *buf) {
        char name[DNS_SD_NAME_SIZE], published[128] = "publishes nothing";
        const Avahi *a = &d->avahi;

        if (a->publication == PUBLICATION_FAILED || a->browse_failed) {
                snprintf(buf, DNS_SD_TEXT_SIZE, "Avahi does not do its work: %s.",
                        a->browse_failed ? a->browse_error : a->publication_error);
                return DNS_SD_FAILED;
        }
        if (a->publication == PUBLICATION_THERE)
                snprintf(published, sizeof(published), "publishes \"%s\"",
                        avahi_publication_name(d, name));
        else if (a->publication == PUBLICATION_ASKED)
                snprintf(published, sizeof(published), "is about to publish \"%s\"",
                        avahi_publication_name(d, name));
        snprintf(buf, DNS_SD_TEXT_SIZE, "Avahi %s and sees %u service%s.", published, a->n_offers,
                PLURAL(a->n_offers));
        return DNS_SD_WORKS;
}

static DnsSdState describe_resolved(const DnsSd *d, char *buf) {
        const Resolved *r = &d->resolved;

        if (r->publication == PUBLICATION_THERE) {
                snprintf(buf, DNS_SD_TEXT_SIZE,
                        "systemd-resolved publishes \"%s\"; it cannot look for others.",
                        d->settings.name);
                return DNS_SD_WORKS;
        }
        if (r->publication == PUBLICATION_FAILED && !r->absent)
                snprintf(buf, DNS_SD_TEXT_SIZE,
                        "Avahi does not run, and systemd-resolved does not publish: %s.", r->error);
        else
                snprintf(buf, DNS_SD_TEXT_SIZE, "Avahi does not run.");
        return DNS_SD_ABSENT;
}

DnsSdState dns_sd_describe(const DnsSd *d, char buf[static DNS_SD_TEXT_SIZE]) {
        switch (d->avahi.state) {
        case SERVER_BUSY:
        case SERVER_RUNS:
                return describe_avahi(d, buf);
        case SERVER_ASKED:
                snprintf(buf, DNS_SD_TEXT_SIZE, "Avahi has not answered so far.");
                return DNS_SD_FAILED;
        case SERVER_FAILED:
                snprintf(buf, DNS_SD_TEXT_SIZE, "Avahi does not answer: %s.", d->avahi.error);
                return DNS_SD_FAILED;
        case SERVER_ABSENT:
                break;
        }
        if (d->bus && !d->lost)
                return describe_resolved(d, buf);
        snprintf(buf, DNS_SD_TEXT_SIZE, "There is no system bus.");
        return DNS_SD_ABSENT;
}
