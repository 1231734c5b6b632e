/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Brings what is in the outbox to whom it is for, and takes in what others bring. For who is away
 * it is sealed and left in a mailbox; it stays in the outbox all the same.
 *
 * Sending: each recipient with envelopes is a peer with a link, an attempt to get one, or a time of
 * the next attempt. What goes over a link is read from committed rows only, in feed order, in
 * bursts that are signed once; it stays in the outbox until the recipient's signed receipt.
 *
 * Receiving: an entry is taken when it is authenticated, by its own signature or by that of an
 * entry after it without a hole. It is acknowledged, receipted and shown after the commit.
 *
 * Other devices of this account may link to this one: what they say is for others to understand,
 * and they are nobody's peer. The device with the newest record of all is the active one.
 */

#include "directory/directory.h"
#include "link/link.h"
#include "store/message.h"

typedef struct Delivery Delivery;

typedef struct DeliveryCallbacks {
        /* The link to somebody is up or down; or it is up, and he has said something of himself. */
        void (*link_changed)(void *userdata, const uint8_t account[static KEY_SIZE], bool up);

        /* A contact with a link has begun to write, or does so no more. May be NULL. */
        void (*typing)(void *userdata, const uint8_t account[static KEY_SIZE], bool on);

        /* Mail was sealed to a prekey of this account that is not known here: its record has to
         * name another. May be NULL. */
        void (*prekey_missing)(void *userdata);

        /* A link whose other end speaks of rooms is open, after what the outbox had for it; or no
         * more, L is NULL then; delivery_hold_link() has to wait until it returns. The next three
         * are there if this one is; all may be NULL. */
        void (*room_link)(void *userdata, Link *l, const uint8_t account[static KEY_SIZE], bool up);

        /* ROOM_SYNC or ROOM_ENTRIES: a negative errno ends the link. */
        int (*room_frame)(void *userdata, Link *l, Frame *f);

        /* There is room for more, as LinkCallbacks has it. */
        void (*room_drained)(void *userdata, Link *l);

        /* A notice came by mail: anybody may have left it. RECORD came along and was not looked
         * at; it may be empty. */
        void (*room_notice)(void *userdata, Bytes notice, Bytes record);

        /* A link with another device of this account, which takes FRAME_HANDOVER, is open; or is no
         * more: L is valid during the call, and takes nothing then. The next two are there if this
         * one is; they may be NULL. The userdata of the link is for whoever is called here. */
        void (*own_link)(void *userdata, Link *l, bool up);

        /* HANDOVER: a negative errno ends the link. */
        int (*own_frame)(void *userdata, Link *l, Frame *f);

        /* There is room for more, as LinkCallbacks has it. */
        void (*own_drained)(void *userdata, Link *l);

        /* A record of this account, which verified, from a peer or another own device. May be NULL.
         * Not to be answered by delivery_retire() from within. */
        void (*own_record)(void *userdata, const Record *record, Bytes outer);

        /* A contact says that he has more of what this device has written in EPOCH, the present one
         * or a later one, than is here: the store was restored from a copy. He may be lying. It is
         * answered by delivery_hold_back() where it is believed. May be NULL. */
        void (*behind)(void *userdata, uint64_t epoch);
} DeliveryCallbacks;

typedef struct DeliverySettings {
        bool accept_all; /* strangers are contacts at once */
        unsigned handshake; /* s until HELLO; 0: no limit */
        unsigned stamp_bits; /* of work for a stranger's mailbox */
        bool say_read; /* contacts learn what of theirs the user reads */
        bool hide_presence; /* from strangers */
        bool say_typing; /* contacts learn when the user writes to them */
} DeliverySettings;

int delivery_new(Loop *loop, Store *store, Net *net, Directory *directory, const Identity *self,
        const LocalIdentity *local, const DeliverySettings *settings,
        const DeliveryCallbacks *callbacks, void *userdata, Delivery **ret);
Delivery *delivery_free(Delivery *d);

/* While started there are links; stopping ends them with BYE. Starting walks the outbox. */
void delivery_start(Delivery *d);
void delivery_stop(Delivery *d);

/* Nothing of the outbox is signed or sent any more until delivery_stop(): it gets another place. */
void delivery_hold_back(Delivery *d);

/* Another device is the active one, as RECORD, which verified and is copied, shows: all links end
 * with BYE {Replaced, RECORD}, and so does who links to this device from now on, other devices of
 * this account aside. Outbox, mail and receipts rest. Until delivery_start() or delivery_stop().
 * Once more with a newer one: links stay where they go to its device. */
void delivery_retire(Delivery *d, Bytes record);

/* Other devices of the account are dialled wherever they are known to be, with the back-off of
 * peers, until there is a link with the one that is wanted: with the active one, or, where this is
 * it, with any. Without effect while neither started nor retired. The active device dials by
 * itself where another one was (ENDPOINTS_OWN), until one was met since the start, or is wanted no
 * more. */
void delivery_want_own(Delivery *d, bool want);

/* Ends a link of own_link, which hears it, with BYE; whoever is wanted is dialled again. */
void delivery_close_own(Delivery *d, Link *l, Code code, const char *text);

/* Rows that were another device's are here now, durably: prekeys, people, messages that wait. */
void delivery_handed_over(Delivery *d);

void delivery_set_settings(Delivery *d, const DeliverySettings *settings);

/* The presence record of this device, for HELLO_OK; contacts with a link hear it now. */
void delivery_set_presence(Delivery *d, Bytes presence);

/* A connection that was accepted; the transport is taken over. */
void delivery_accept(Delivery *d, Transport *t);

/* A record of ACCOUNT was learned: its link ends where that shows another device. */
void delivery_heard_record(Delivery *d, const uint8_t account[static KEY_SIZE]);

/* Committed rows for ACCOUNT have been added to the outbox, or it has become a contact. */
void delivery_wake(Delivery *d, const uint8_t account[static KEY_SIZE]);

/* Messages to ACCOUNT were given up, durably: it is told that they will not come. */
void delivery_gave_up(Delivery *d, const uint8_t account[static KEY_SIZE]);

/* The tracker of this session can be asked about mail; it has some for this account. */
void delivery_tracker_ready(Delivery *d, Session *s);
void delivery_mail_waiting(Delivery *d, Session *s);

/* Messages of ACCOUNT were read, in the present batch: it is told once that is kept. */
void delivery_read(Delivery *d, const uint8_t account[static KEY_SIZE]);

/* Whether contacts are to learn of what is read now. */
bool delivery_says_read(const Delivery *d);

/* Whether anybody is to be told that the user writes just now. */
bool delivery_says_typing(const Delivery *d);

/* There is another presence key, which is given to all contacts. */
void delivery_grant_anew(Delivery *d);

/* ACCOUNT has proved to be at one more address of the local network: as delivery_appeared(), and a
 * link to it goes that way soon, unless it does, or the other end has opened it. */
void delivery_on_lan(Delivery *d, const uint8_t account[static KEY_SIZE]);

/* The user writes to ACCOUNT just now, or does so no more: said to a contact where there is a link,
 * and nobody is dialled for it. To be repeated while he does. */
void delivery_type(Delivery *d, const uint8_t account[static KEY_SIZE], bool on);

/* The open link to somebody over which rooms may be spoken of, or NULL. */
Link *delivery_room_link(const Delivery *d, const uint8_t account[static KEY_SIZE]);

/* Somebody with a row, to whom a link is wanted although there is nothing for him, or is so no
 * more: he is dialled, and again when the link ends, as if there were something in the outbox, but
 * after all for whom there is. Forgotten by delivery_stop(). -ENOBUFS: too many are held;
 * -ENOTCONN while not started. */
#define DELIVERY_HOLDS_MAX 512

int delivery_hold_link(Delivery *d, const uint8_t account[static KEY_SIZE], bool hold);

/* Leaves a notice about a room in the mailbox of somebody with a row, unless there is a link, over
 * which it is to be said. Kept in memory only, until it is left: a few for each. -ENOBUFS: there
 * are too many, -ENOENT: there is no row, -EACCES: he is blocked. */
#define DELIVERY_NOTICE_MAX (48 * 1024)

int delivery_leave_room_notice(Delivery *d, const uint8_t account[static KEY_SIZE], Bytes notice);

/* ACCOUNT, which may be the own one, was heard of: no more waiting before the next attempt. */
void delivery_appeared(Delivery *d, const uint8_t account[static KEY_SIZE]);

/* The machine has slept, its clock was set, or the network is another one: links that do not answer
 * soon end, everybody for whom something waits is tried at once, wherever he was, and what goes by
 * the wall clock is looked at. */
void delivery_woke(Delivery *d);

/* Dials HOST:PORT once, where ACCOUNT has to answer, known or not. FN is called once: with CODE_OK
 * and the RECORD of who is there, and then says whether the link is to go on; or with what was
 * wrong, CODE_KEY_CHANGED where somebody else answers. -ENOTCONN while not started. */
typedef bool (*DeliveryVisitFn)(
        void *userdata, Code code, const char *text, const Record *record, Bytes outer);
int delivery_visit(Delivery *d, const uint8_t account[static KEY_SIZE], const char *host,
        uint16_t port, DeliveryVisitFn fn, void *userdata);

/* Those for USERDATA are given up, without a word. */
void delivery_forget_visits(Delivery *d, void *userdata);

/* Who is at AT, which may have a scope? Connects, waits for the other end's HELLO, which has to be
 * ACCOUNT's, says nothing and ends: of this nothing is kept, here or there, and a link to the
 * account goes on. */
#define DELIVERY_PROBES_MAX 24 /* at once: LAN_PROBES_MAX, and look-ups */

typedef struct DeliveryProbe DeliveryProbe;

/* The probe is over, and gone. G and RECORD, the one in it as it came, are valid during the call;
 * NULL and empty on an error, which is one of LinkPeekFn, or -ECANCELED when delivery stops. */
typedef void (*DeliveryProbeFn)(void *userdata, int error, const Greeting *g, Bytes record);

/* FN is called once, later. -ENOTCONN while not started, -EBUSY: too many at once. */
int delivery_probe(Delivery *d, const uint8_t account[static KEY_SIZE], const SockAddr *at,
        DeliveryProbeFn fn, void *userdata, DeliveryProbe **ret);

/* Gives up, without a call. */
DeliveryProbe *delivery_probe_free(DeliveryProbe *p);

/* ACCOUNT has been blocked: its link ends, and nobody dials it. What waits for it goes on waiting;
 * delivery_wake() is for when it is blocked no more. */
void delivery_block(Delivery *d, const uint8_t account[static KEY_SIZE]);

/* Sealed mail, for status and doctor. */
typedef struct DeliveryMail {
        unsigned trackers; /* that can be asked */
        uint64_t envelopes; /* of own messages, in mailboxes as far as known */
        uint64_t owed; /* receipts to be sealed */
        Code refused; /* why the last one was not taken; CODE_OK when it was */
        unsigned unopened; /* pieces of mail for this account, whose key is not here */
} DeliveryMail;

void delivery_get_mail(const Delivery *d, DeliveryMail *ret);

unsigned delivery_count_links(const Delivery *d);
bool delivery_has_link(const Delivery *d, const uint8_t account[static KEY_SIZE]);
