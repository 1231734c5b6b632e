/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of DNS-SD share. */

#include <systemd/sd-bus.h>

#include "system/dns-sd.h"
#include "util/quota.h"

#define DNS_SD_ERROR_SIZE 160

/* Objects that a service has for us */

typedef struct Remote Remote;

typedef struct RemoteKind {
        const char *interface;
        const char *end; /* the method that ends it */
        void (*made)(Remote *o);
        void (*failed)(Remote *o, const sd_bus_error *error);
        void (*ended)(Remote *o); /* remote_end() was too early, and has been done now */
} RemoteKind;

/* Nothing, or asked for (CALL), or there (PATH). */
struct Remote {
        const RemoteKind *kind;
        DnsSd *dns_sd;
        char path[128];
        sd_bus_slot *call; /* the one whose answer is awaited */
        bool unwanted; /* when it is there */
};

/* A call of OWNER, which is not started for it. */
int dns_sd_call_new(DnsSd *d, const char *owner, const char *path, const char *interface,
        const char *member, sd_bus_message **ret);

/* By a method that answers with its path. */
int remote_make(Remote *o, sd_bus_message *m);

/* One at a time. The handler begins with remote_answered(), which says whether it went well, and
 * else calls `failed`. */
int remote_call_new(Remote *o, const char *member, sd_bus_message **ret);
int remote_call(Remote *o, sd_bus_message *m, sd_bus_message_handler_t fn);
bool remote_answered(Remote *o, sd_bus_message *m);

/* Without an answer. */
void remote_tell(Remote *o, const char *member);

/* `failed`, for a negative errno. */
void remote_failed(Remote *o, int r);

/* False where it is on its way still: `ended` comes later. */
bool remote_end(Remote *o);

/* Who had it has gone. */
void remote_forget(Remote *o);

/* Nothing is there or on its way. */
bool remote_is_none(const Remote *o);

/* Avahi */

typedef enum Publication {
        PUBLICATION_NONE,
        PUBLICATION_ASKED,
        PUBLICATION_THERE,
        PUBLICATION_FAILED,
} Publication;

/* A service that somebody offers, on one network and by one family of addresses. */
typedef struct Offer {
        Remote resolver; /* first */
        int interface, protocol;
        char name[DNS_SD_NAME_SIZE];
        char host[HOST_SIZE]; /* where it was found, and at which address last; "": not so far */
        SockAddr at;
        bool gone; /* freed when its resolver is */
        struct Offer *prev, *next;
} Offer;

typedef enum ServerState {
        SERVER_ABSENT,
        SERVER_ASKED,
        SERVER_FAILED,
        SERVER_BUSY, /* with its own name */
        SERVER_RUNS,
} ServerState;

typedef struct Avahi {
        ServerState state;
        char *owner; /* the unique name of who answered: nobody else is listened to */
        sd_bus_slot *call;
        char error[DNS_SD_ERROR_SIZE];

        Remote group;
        Publication publication;
        size_t n_added; /* interfaces */
        unsigned renames;
        char publication_error[DNS_SD_ERROR_SIZE];

        Remote browser;
        bool browse_failed;
        char browse_error[DNS_SD_ERROR_SIZE];
        Offer *offers; /* the oldest first */
        unsigned n_offers;
        Quota arrivals, moves;
} Avahi;

#define AVAHI_NAME "org.freedesktop.Avahi"

int avahi_watch(DnsSd *d);

/* Whoever has the name now is asked. */
void avahi_ask(DnsSd *d);
void avahi_forget(DnsSd *d);

/* As the settings have it. */
void avahi_update(DnsSd *d);

/* The name that it is published by, with its number. */
char *avahi_publication_name(const DnsSd *d, char buf[static DNS_SD_NAME_SIZE]);

void avahi_publish(DnsSd *d);
void avahi_withdraw(DnsSd *d);
void avahi_publication_forget(DnsSd *d);
void avahi_on_group_state(DnsSd *d, sd_bus_message *m);

void avahi_browse(DnsSd *d);
void avahi_browse_end(DnsSd *d);
void avahi_browse_forget(DnsSd *d);
void avahi_on_offer(DnsSd *d, sd_bus_message *m, bool there);
void avahi_on_browse_failed(DnsSd *d, sd_bus_message *m);
void avahi_on_resolved(DnsSd *d, sd_bus_message *m);

extern const RemoteKind avahi_group, avahi_browser;

/* systemd-resolved */

typedef struct Resolved {
        Remote service;
        Publication publication;
        bool absent;
        char error[DNS_SD_ERROR_SIZE];
} Resolved;

#define RESOLVED_NAME "org.freedesktop.resolve1"

void resolved_publish(DnsSd *d);
void resolved_withdraw(DnsSd *d);
void resolved_forget(DnsSd *d);

extern const RemoteKind resolved_service;

/* All of it */

struct DnsSd {
        sd_event *event;
        Loop *loop;
        const char *type;
        const DnsSdCallbacks *callbacks;
        void *userdata;
        DnsSdSettings settings;
        sd_bus *bus; /* NULL while there is nothing to do */
        bool lost; /* the bus */
        Avahi avahi;
        Resolved resolved;
};

/* Whether Avahi is there has come out: it does all, or systemd-resolved what it can. */
void dns_sd_choose(DnsSd *d);

/* On the networks that it is for? */
bool dns_sd_has_interface(const DnsSd *d, int interface);

void dns_sd_note_error(const sd_bus_error *e, char buf[static DNS_SD_ERROR_SIZE]);
bool dns_sd_is_absence(const sd_bus_error *e);
