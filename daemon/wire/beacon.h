/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The beacon: what a device or a tracker says to everybody on the local network, one datagram, a
 * signed object.
 *
 * {0 version, 1 kind, 2 port, 3 boot nonce, 4 seq, 5 interval, 6 certificate, 7 name, 8 key,
 *  9 host, 10 asks, 11 leaves, 12 presence, 13 note}
 *
 * It is said from the address that it speaks of, so it has none in it. Anybody can repeat it from
 * elsewhere: it is a reason to look there and proves nothing about who is there.
 */

#include "wire/hello.h"
#include "util/sockaddr.h"

/* Fits into the smallest packet that IPv6 knows. */
#define BEACON_MAX 1200

#define BEACON_SEQ_MAX (UINT64_C(1) << 50)
#define BEACON_INTERVAL_MIN 2 /* s */
#define BEACON_INTERVAL_MAX 3600

typedef enum BeaconKind {
        BEACON_PERSON, /* somebody's device: has a certificate, whose device signs, and a name */
        BEACON_TRACKER, /* has a key, which signs, and perhaps the host it is to be known by */
        _BEACON_KIND_MAX,
} BeaconKind;

typedef struct Beacon {
        BeaconKind kind;
        uint16_t port; /* TCP */
        uint8_t boot_nonce[BOOT_NONCE_SIZE]; /* as in HELLO */
        uint64_t seq; /* ms since the nonce was made; greater than before */
        uint32_t interval; /* s until the next one, at most */
        Bytes certificate;
        Certificate device; /* decoded from it */
        char name[NAME_SIZE]; /* a claim */
        uint8_t key[KEY_SIZE];
        char host[HOST_SIZE]; /* "": where the datagram comes from */
        bool asks; /* is new, and wants to hear who is there */
        bool leaves; /* is about to go */
        Presence presence; /* online, away or busy */
        char note[PRESENCE_NOTE_MAX + 1];
} Beacon;

/* KEY is the device's or the tracker's. -EMSGSIZE: over BEACON_MAX. */
int beacon_encode(const Beacon *b, const SignKey *key, Buffer *out);

/* Form only: for finding out whether the signatures are worth their time. Points into OUTER. */
int beacon_parse(Bytes outer, Beacon *ret);

/* The signatures and keys of B, which was parsed from OUTER. CERTIFIED: its certificate was found
 * good before. -EBADMSG or -EKEYREJECTED. */
int beacon_verify(Bytes outer, const Beacon *b, bool certified);
