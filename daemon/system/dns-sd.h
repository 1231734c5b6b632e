/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Services on the local network by DNS-SD (RFC 6763), published and looked for by whoever does
 * that on this machine: Avahi, from 0.8 on; without it systemd-resolved, which can only publish,
 * and needs mDNS switched on and the leave of polkit. Neither is ever started for it. Both may come
 * late, end and come again.
 *
 * Nothing is waited for, and there is no timer: who does not answer is not asked again before he
 * has lost his name on the bus.
 */

#include "system/txt-record.h"
#include "util/loop.h"
#include "util/sockaddr.h"

typedef struct DnsSd DnsSd;
typedef struct sd_event sd_event;

/* The label of an instance: 63 bytes. */
#define DNS_SD_NAME_SIZE 64

#define DNS_SD_INTERFACES_MAX 32

/* Services that are watched at a time, each once on each network and over IPv4 and IPv6; a new one
 * takes the place of the oldest. So many new ones are looked at at once, and in an hour, and so
 * many that have moved. */
#define DNS_SD_SERVICES_MAX 256
#define DNS_SD_BURST 1024
#define DNS_SD_MOVES 256

/* How often another name is tried where somebody has the name already. */
#define DNS_SD_RENAMES_MAX 32

/* How a service is told for the doctor. */
#define DNS_SD_TEXT_SIZE 512

typedef struct DnsSdSettings {
        bool browse;
        /* ASCII without '%', and with a number where it is taken; "": nothing is published. */
        char name[DNS_SD_NAME_SIZE];
        uint16_t port;
        TxtRecord txt;
        int interfaces[DNS_SD_INTERFACES_MAX]; /* their indices; for both */
        size_t n_interfaces;
        bool everywhere; /* on all interfaces instead */
} DnsSdSettings;

/* AT has the port, and a scope where it is link-local; it is neither unspecified, nor loopback, nor
 * multicast. Beyond that it is what anybody on the network says, as often as he likes, and of this
 * machine's own service as well. */
typedef struct DnsSdCallbacks {
        void (*found)(void *userdata, const SockAddr *at, const TxtRecord *txt);
        /* A service that was found there is not there any more. */
        void (*gone)(void *userdata, const SockAddr *at);
} DnsSdCallbacks;

/* TYPE is "_name._tcp"; it and CALLBACKS outlive it. Nothing happens before dns_sd_set(). */
int dns_sd_new(sd_event *event, Loop *loop, const char *type, const DnsSdCallbacks *callbacks,
        void *userdata, DnsSd **ret);

/* What was published is withdrawn. */
DnsSd *dns_sd_free(DnsSd *d);

void dns_sd_set(DnsSd *d, const DnsSdSettings *s);

typedef enum DnsSdState {
        DNS_SD_ABSENT, /* nobody does it, or may do it */
        DNS_SD_FAILED,
        DNS_SD_WORKS,
} DnsSdState;

/* One sentence. */
DnsSdState dns_sd_describe(const DnsSd *d, char buf[static DNS_SD_TEXT_SIZE]);

DEFINE_CLEANUP(DnsSd *, dns_sd_free)
