/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Peer links: connections that have proved to be account X, at most one open per account; of the
 * own account, at most one per device.
 *
 * Either end opens with HELLO. When it holds, the owner is asked (`hello`) and answers at once or
 * later with link_confirm() or link_refuse(); the link is open when both ends have said HELLO_OK.
 *
 * Two links between the same devices: a new boot nonce supersedes every older link; the same opener
 * again supersedes; if both dialled at once, the link of the smaller device id stays, unless the
 * other end calls again before it has said anything on that one. An open link that the other end
 * opens beside may be dead on its side or the other may be about to go: it is asked by PING, and
 * gives way when nothing comes back.
 */

#include "net/greeting.h"

typedef struct LinkPool LinkPool;
typedef struct Link Link;

typedef struct LinkCallbacks {
        /* The other end has proved to be G's account and device; G is valid during the call. */
        void (*hello)(void *userdata, Link *l, const Greeting *g, Bytes record);

        /* Both ends have said HELLO_OK; OK is the other's. */
        void (*open)(void *userdata, Link *l, const HelloOk *ok);

        /* MESSAGE and everything else that the link does not understand itself, once open. As in
         * ConnCallbacks. */
        int (*frame)(void *userdata, Link *l, Frame *f);
        void (*drained)(void *userdata, Link *l);

        /* The link is gone when this returns. CODE is what the other end said in BYE, or why this
         * end refused it; CODE_OK where the connection just ended. Not called for links that the
         * owner closed. */
        void (*closed)(void *userdata, Link *l, Code code, const char *text);

        /* The other end has shown a record that verified, of this account or of its own: in BYE, or
         * in the HELLO of a link with this very device. May be NULL. */
        void (*record)(void *userdata, const Record *record, Bytes outer);
} LinkCallbacks;

/* SELF and the callbacks outlive the pool. HANDSHAKE: s until HELLO, 0 for no limit. */
int link_pool_new(Net *net, const LocalIdentity *self, unsigned handshake,
        const LinkCallbacks *callbacks, void *userdata, LinkPool **ret);

/* Ends all links at once, without callbacks. */
LinkPool *link_pool_free(LinkPool *p);

/* Says BYE on all links and ends them, without callbacks. */
void link_pool_bye(LinkPool *p, Code code, const char *text);

/* The same with BYE {Replaced, RECORD}, the newest record of this account. */
void link_pool_replaced(LinkPool *p, Bytes record);

/* Open links with other accounts. */
void link_pool_set_handshake(LinkPool *p, unsigned handshake);
unsigned link_pool_count_open(const LinkPool *p);

/* The machine has slept, or the network is another one: open links that do not answer soon end. */
void link_pool_doubt(LinkPool *p);
Net *link_pool_net(const LinkPool *p);

/* Both take the transport over. A dialled link expects ACCOUNT at the other end. */
void link_accept(LinkPool *p, Transport *t);
int link_dialled(LinkPool *p, Transport *t, const uint8_t account[static KEY_SIZE], Link **ret);

/* Of a link that was dialled just now: see LinkAddress. */
void link_set_raced(Link *l);

/* Connects, then as link_dialled(). */
typedef struct LinkAddress {
        const char *host; /* numeric or a name */
        uint16_t port;
        const uint8_t *account;

        /* One of several attempts for this account: says HELLO only when the other end has proved
         * to be the account, so that of all attempts one is known there. */
        bool raced;
} LinkAddress;

typedef struct LinkDial LinkDial;

/* L, or NULL with a negative errno. Called once, never from within link_dial(). */
typedef void (*LinkDialFn)(void *userdata, int error, Link *l);

int link_dial(LinkPool *p, const LinkAddress *to, usec_t timeout, LinkDialFn fn, void *userdata,
        LinkDial **ret);

/* Gives up. Also to be called after the callback, or in it. */
LinkDial *link_dial_free(LinkDial *d);

/* Who is at an address? Connects and waits for the other end's HELLO, which is checked as that of a
 * link. Nothing is said, so that at the other end nothing comes of it; no link of this pool is
 * concerned. */
typedef struct LinkPeek LinkPeek;

/* G, whose HELLO holds and is of the account, is valid during the call; or NULL with a negative
 * errno: -EKEYREJECTED where somebody else answers, -EBADMSG where HELLO does not hold, -ETIMEDOUT,
 * or as connecting goes. Called once, never from within link_peek(); has to free the peek. */
typedef void (*LinkPeekFn)(void *userdata, int error, const Greeting *g);

/* TIMEOUT is for everything, connecting included. */
int link_peek(LinkPool *p, const LinkAddress *to, usec_t timeout, LinkPeekFn fn, void *userdata,
        LinkPeek **ret);
LinkPeek *link_peek_free(LinkPeek *p);

/* The open link to another account, or NULL. */
Link *link_find(LinkPool *p, const uint8_t account[static KEY_SIZE]);

/* The other end is somebody the user writes to, and may send as fast as it can be stored. Strangers
 * are slowed down, as what they send costs signatures and disk, and give way when there are too
 * many connections. */
void link_trust(Link *l);

/* Answers to `hello`. OK is encoded at once. */
void link_confirm(Link *l, const HelloOk *ok);
void link_refuse(Link *l, Code code, const char *text);

/* The same, for a device that RECORD, the newest of its account, shows to be the active one no
 * more. RECORD may be empty. */
void link_replaced(Link *l, Bytes record);

/* Ends a link of which the owner wants no more. */
void link_close(Link *l, Code code, const char *text);

/* Ends one that was dialled, and that another attempt has overtaken, without a word. */
void link_abandon(Link *l);

/* Where frames for an open link are appended; link_queued() after. */
Buffer *link_output(Link *l);
void link_queued(Link *l);
bool link_is_full(Link *l);

/* N more bytes would not make it full. */
bool link_has_room(Link *l, size_t n);

bool link_is_open(const Link *l);

/* After `hello`: the other end takes TYPING. */
bool link_takes_typing(const Link *l);

/* The same, of frames about rooms. */
bool link_takes_rooms(const Link *l);

/* The same, of frames of a hand-over. */
bool link_takes_handover(const Link *l);

/* After `hello`: the other end is another device of this account. */
bool link_is_own(const Link *l);
bool link_is_outgoing(const Link *l);

/* In `closed`: another link of the account stays, as far as this end or the other says, and there
 * was nothing wrong with this one. The other end says the same when its program stops in order. */
bool link_gave_way(const Link *l);
const SockAddr *link_peer(const Link *l);

/* After `hello`. The account is known from the start on dialled links. */
const uint8_t *link_account(const Link *l);
const Certificate *link_certificate(const Link *l);
Bytes link_certificate_outer(const Link *l);
Bytes link_record_outer(const Link *l);

/* For the owner. */
void link_set_userdata(Link *l, void *userdata);
void *link_userdata(const Link *l);
