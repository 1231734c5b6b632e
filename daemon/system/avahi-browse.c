/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What is offered, as Avahi sees it: a browser tells that there is something, and a resolver for
 * each tells where, again whenever that changes. Our own is among it: what has its name may be
 * somebody else's later.
 */

#include <stdio.h>

#include <utlist.h>

#include "system/dns-sd-private.h"
#include "util/log.h"

#define ANY (-1)

static void offer_free(DnsSd *d, Offer *o) {
        DL_DELETE(d->avahi.offers, o);
        d->avahi.n_offers--;
        remote_forget(&o->resolver);
        free(o);
}

static void offer_end(DnsSd *d, Offer *o) {
        o->gone = true;
        if (remote_end(&o->resolver))
                offer_free(d, o);
}

static void resolver_made(Remote *r) {
        remote_tell(r, "Start");
}

/* Avahi has no room for it, or it is no more. */
static void resolver_failed(Remote *r, const sd_bus_error *error) {
        offer_free(r->dns_sd, (Offer *)r);
}

static void resolver_ended(Remote *r) {
        offer_free(r->dns_sd, (Offer *)r);
}

static const RemoteKind avahi_resolver = {
        .interface = AVAHI_NAME ".ServiceResolver",
        .end = "Free",
        .made = resolver_made,
        .failed = resolver_failed,
        .ended = resolver_ended,
};

/* Where it is */

/* The family that it was found by: the addresses of the other come with the offer there. */
static int resolve(DnsSd *d, Offer *o, const char *domain) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = dns_sd_call_new(
                d, d->avahi.owner, "/", AVAHI_NAME ".Server2", "ServiceResolverPrepare", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "iisssiu", o->interface, o->protocol, o->name, d->type,
                        domain, o->protocol, 0);
        return r < 0 ? r : remote_make(&o->resolver, m);
}

/* Where all places are taken, that of the oldest whose resolver can be ended. */
static bool make_room(DnsSd *d) {
        Offer *o;

        if (d->avahi.n_offers < DNS_SD_SERVICES_MAX)
                return true;
        DL_FOREACH (d->avahi.offers, o)
                if (o->resolver.path[0])
                        break;
        if (!o)
                return false;
        offer_end(d, o);
        return true;
}

static void offer_new(
        DnsSd *d, int32_t interface, int32_t protocol, const char *name, const char *domain) {
        Offer *o;

        if (!quota_take(&d->avahi.arrivals, 1, loop_now(d->loop)) || !make_room(d))
                return;
        o = calloc(1, sizeof(*o));
        if (!o)
                return;
        o->resolver = (Remote){.kind = &avahi_resolver, .dns_sd = d};
        o->interface = interface;
        o->protocol = protocol;
        snprintf(o->name, sizeof(o->name), "%s", name);
        DL_APPEND(d->avahi.offers, o);
        d->avahi.n_offers++;
        if (resolve(d, o, domain) < 0)
                offer_free(d, o);
}

static Offer *offer_find(DnsSd *d, int32_t interface, int32_t protocol, const char *name) {
        Offer *o;

        DL_FOREACH (d->avahi.offers, o)
                if (!o->gone && o->interface == interface && o->protocol == protocol &&
                        streq(o->name, name))
                        return o;
        return NULL;
}

static void offer_left(DnsSd *d, Offer *o) {
        if (o->host[0])
                d->callbacks->gone(d->userdata, &o->at);
        o->host[0] = 0;
}

void avahi_on_offer(DnsSd *d, sd_bus_message *m, bool there) {
        const char *name, *type, *domain;
        int32_t interface, protocol;
        uint32_t flags;
        Offer *o;

        if (!streq(d->avahi.browser.path, sd_bus_message_get_path(m) ?: "") ||
                sd_bus_message_read(
                        m, "iisssu", &interface, &protocol, &name, &type, &domain, &flags) < 0 ||
                strlen(name) >= DNS_SD_NAME_SIZE)
                return;
        o = offer_find(d, interface, protocol, name);
        if (o && !there) {
                offer_left(d, o);
                offer_end(d, o);
        } else if (!o && there && dns_sd_has_interface(d, interface))
                offer_new(d, interface, protocol, name, domain);
}

/* More than its bound is no service of ours. */
static int read_txt(sd_bus_message *m, TxtRecord *ret) {
        const void *p;
        size_t n;
        int r;

        ret->size = 0;
        r = sd_bus_message_enter_container(m, 'a', "ay");
        while (r >= 0 && (r = sd_bus_message_read_array(m, 'y', &p, &n)) > 0)
                r = txt_record_add(ret, (Bytes){.data = p, .size = n});
        return r;
}

static int read_address(const char *text, uint16_t port, int32_t interface, SockAddr *ret) {
        SockAddr a;

        if (port == 0 || sockaddr_parse_ip(text, port, &a) < 0 || sockaddr_is_any(&a) ||
                sockaddr_is_loopback(&a))
                return -EINVAL;
        if (a.sa.sa_family == AF_INET && IN_MULTICAST(ntohl(a.in.sin_addr.s_addr)))
                return -EINVAL;
        if (a.sa.sa_family == AF_INET6 && IN6_IS_ADDR_MULTICAST(&a.in6.sin6_addr))
                return -EINVAL;
        if (a.sa.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&a.in6.sin6_addr))
                a.in6.sin6_scope_id = (uint32_t)interface;
        *ret = a;
        return 0;
}

static Offer *offer_by_path(DnsSd *d, const char *path) {
        Offer *o;

        DL_FOREACH (d->avahi.offers, o)
                if (o->resolver.path[0] && streq(o->resolver.path, path))
                        return o;
        return NULL;
}

/* At another host or port. A resolver of Avahi 0.8 then joins what it hears to what it knew: a port
 * to the address of another host. What a fresh one says belongs together. */
static void offer_moved(DnsSd *d, Offer *o, const char *domain) {
        if (!quota_take(&d->avahi.moves, 1, loop_now(d->loop)))
                return;
        offer_left(d, o);
        (void)remote_end(&o->resolver);
        if (resolve(d, o, domain) < 0)
                offer_free(d, o);
}

void avahi_on_resolved(DnsSd *d, sd_bus_message *m) {
        const char *name, *type, *domain, *host, *address;
        int32_t interface, protocol, family;
        uint16_t port;
        TxtRecord txt;
        SockAddr at;
        Offer *o;

        o = offer_by_path(d, sd_bus_message_get_path(m) ?: "");
        if (!o ||
                sd_bus_message_read(m, "iissssisq", &interface, &protocol, &name, &type, &domain,
                        &host, &family, &address, &port) < 0 ||
                read_txt(m, &txt) < 0 || strlen(host) >= sizeof(o->host) ||
                read_address(address, port, o->interface, &at) < 0)
                return;
        if (o->host[0] && (!streq(o->host, host) || sockaddr_port(&o->at) != port)) {
                offer_moved(d, o, domain);
                return;
        }
        snprintf(o->host, sizeof(o->host), "%s", host);
        o->at = at;
        d->callbacks->found(d->userdata, &at, &txt);
}

/* That there is something */

static void offers_clear(DnsSd *d) {
        Offer *o, *next;

        DL_FOREACH_SAFE (d->avahi.offers, o, next)
                offer_end(d, o);
}

static void browser_failed(Remote *o, const sd_bus_error *error) {
        DnsSd *d = o->dns_sd;

        d->avahi.browse_failed = true;
        dns_sd_note_error(error, d->avahi.browse_error);
        log_debug("Avahi does not look for services: %s", d->avahi.browse_error);
        (void)remote_end(o);
        offers_clear(d);
}

static int on_started(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void)remote_answered(userdata, m);
        return 0;
}

static void browser_made(Remote *o) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = remote_call_new(o, "Start", &m);
        if (r >= 0)
                r = remote_call(o, m, on_started);
        if (r < 0)
                remote_failed(o, r);
}

static void browser_ended(Remote *o) {
        avahi_update(o->dns_sd);
}

const RemoteKind avahi_browser = {
        .interface = AVAHI_NAME ".ServiceBrowser",
        .end = "Free",
        .made = browser_made,
        .failed = browser_failed,
        .ended = browser_ended,
};

void avahi_on_browse_failed(DnsSd *d, sd_bus_message *m) {
        const char *text;

        if (streq(d->avahi.browser.path, sd_bus_message_get_path(m) ?: "") &&
                sd_bus_message_read(m, "s", &text) >= 0)
                browser_failed(
                        &d->avahi.browser, &SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_FAILED, text));
}

void avahi_browse(DnsSd *d) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        Avahi *a = &d->avahi;
        int r;

        if (a->browse_failed || !remote_is_none(&a->browser))
                return;
        r = dns_sd_call_new(d, a->owner, "/", AVAHI_NAME ".Server2", "ServiceBrowserPrepare", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "iissu", ANY, ANY, d->type, "", 0);
        if (r >= 0)
                r = remote_make(&a->browser, m);
        if (r < 0)
                remote_failed(&a->browser, r);
}

void avahi_browse_end(DnsSd *d) {
        d->avahi.browse_failed = false;
        (void)remote_end(&d->avahi.browser);
        offers_clear(d);
}

void avahi_browse_forget(DnsSd *d) {
        d->avahi.browse_failed = false;
        remote_forget(&d->avahi.browser);
        while (d->avahi.offers)
                offer_free(d, d->avahi.offers);
}
