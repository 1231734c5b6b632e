/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "publishing.h"

#include <net/if.h>
#include <stdio.h>

#include "directory/lan.h"
#include "finding.h"
#include "net/addresses.h"
#include "parts.h"
#include "system/dns-sd.h"

#define SERVICE_TYPE "_p2pchat._tcp"

/* Of the TXT record. */
#define KEY_VERSION "v"
#define KEY_ACCOUNT "account"
#define VERSION "1"

struct Publishing {
        Parts *parts;
        const DaemonConfig *config;
        DnsSd *dns_sd;
        AddressWatch *watch; /* interfaces have numbers, which come and go */
        uint16_t port;
        bool stopped;
};

/* Why nobody is looked for; NULL: somebody is. */
static const char *off(const Publishing *p) {
        const DaemonConfig *c = p->config;
        const char *why = finding_off(p->parts, c);

        if (why)
                return why;
        if (!account_is_active(p->parts->account))
                return "Another device of the account is active.";
        return c->lan.dns_sd ? NULL : "lan.dns-sd is false.";
}

static void set_interfaces(DnsSdSettings *s, const ConfigStrings *names) {
        unsigned index;

        s->everywhere = names->n == 0;
        for (size_t i = 0; i < names->n && s->n_interfaces < DNS_SD_INTERFACES_MAX; i++) {
                index = if_nametoindex(names->items[i]);
                if (index > 0)
                        s->interfaces[s->n_interfaces++] = (int)index;
        }
}

static void set_service(const Publishing *p, DnsSdSettings *s) {
        const Identity *i = account_identity(p->parts->account);
        char account[STRLEN(KEY_ACCOUNT "=") + BASE32_KEY_SIZE + 1] = KEY_ACCOUNT "=";

        base32_encode_key(sign_key_public(&i->account), account + STRLEN(KEY_ACCOUNT "="));
        s->port = p->port;
        snprintf(s->name, sizeof(s->name), "%s", i->name);
        (void)txt_record_add(&s->txt, text_bytes(KEY_VERSION "=" VERSION));
        (void)txt_record_add(&s->txt, text_bytes(account));
}

static void apply(Publishing *p) {
        DnsSdSettings s = {.browse = !p->stopped && !off(p)};

        if (s.browse) {
                set_interfaces(&s, &p->config->lan.interfaces);
                if (p->port > 0 && finding_may_be_seen(p->config))
                        set_service(p, &s);
        }
        dns_sd_set(p->dns_sd, &s);
}

void publishing_refresh(Publishing *p, uint16_t port) {
        p->port = port;
        apply(p);
}

void publishing_stop(Publishing *p) {
        p->stopped = true;
        apply(p);
}

static void on_addresses(void *userdata) {
        apply(userdata);
}

/* What others publish */

/* Anybody can have anything published: whoever is not on a network of ours is not called. */
static bool is_on_link(const SockAddr *at) {
        _cleanup_(freep) LocalAddress *local = NULL;
        size_t n;

        if (local_addresses(&local, &n) < 0)
                return false;
        for (size_t i = 0; i < n; i++)
                if (local_address_reaches(&local[i], at))
                        return true;
        return false;
}

static void on_found(void *userdata, const SockAddr *at, const TxtRecord *txt) {
        Publishing *p = userdata;
        const Identity *i = account_identity(p->parts->account);
        uint8_t account[KEY_SIZE];
        Bytes version, key;

        if (!txt_record_get(txt, KEY_VERSION, &version) ||
                !bytes_equal(version, text_bytes(VERSION)) ||
                !txt_record_get(txt, KEY_ACCOUNT, &key) ||
                base32_decode_key((const char *)key.data, key.size, account) < 0 ||
                memcmp(account, sign_key_public(&i->account), KEY_SIZE) == 0 || !is_on_link(at))
                return;
        directory_lan_candidate(p->parts->directory, account, at);
}

static void on_gone(void *userdata, const SockAddr *at) {
        Publishing *p = userdata;

        directory_lan_withdrawn(p->parts->directory, at);
}

static const DnsSdCallbacks dns_sd_callbacks = {
        .found = on_found,
        .gone = on_gone,
};

/* For the doctor */

static void add_checks(void *userdata, ChatCheckFn fn, void *fn_userdata) {
        static const char *const states[] = {
                [DNS_SD_ABSENT] = "off",
                [DNS_SD_FAILED] = "warning",
                [DNS_SD_WORKS] = "ok",
        };
        const Publishing *p = userdata;
        char text[DNS_SD_TEXT_SIZE];
        const char *why = off(p);
        DnsSdState state = dns_sd_describe(p->dns_sd, text);

        fn(fn_userdata,
                &(ChatCheck){.check = "dns-sd",
                        .state = why ? "off" : states[state],
                        .text = why ?: text,
                        .advice = !why && state == DNS_SD_FAILED
                                ? "Look at the journal of avahi-daemon, and start it again."
                                : NULL});
}

/* Putting it together */

int publishing_new(
        sd_event *event, Loop *loop, Parts *parts, const DaemonConfig *config, Publishing **ret) {
        _cleanup_(publishing_freep) Publishing *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        p->parts = parts;
        p->config = config;
        chat_add_checks(parts->chat, add_checks, p);
        r = dns_sd_new(event, loop, SERVICE_TYPE, &dns_sd_callbacks, p, &p->dns_sd);
        if (r >= 0)
                r = address_watch_new(loop, on_addresses, p, &p->watch);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(p);
        return 0;
}

Publishing *publishing_free(Publishing *p) {
        if (!p)
                return NULL;
        chat_remove_checks(p->parts->chat, p);
        address_watch_free(p->watch);
        dns_sd_free(p->dns_sd);
        free(p);
        return NULL;
}
