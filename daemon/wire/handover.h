/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * An account moves to another device: what the one that was active has is handed to the one that
 * is, over a link between them, to who has said FEATURE_HANDOVER.
 *
 * HANDOVER {3 what, …}
 *   OFFER 1, the old device   {4 transfer, 5 items, 6 waits}
 *   GO    2, the new one      {4 position, 6 items so far}
 *   PIECE 3, the old one      {4 position, 5 items, 6 items so far}
 *   TAKEN 4, the new one      {4 position}
 *   END   5, the old one      {4 position}
 *   DONE  6, the new one      {}
 *
 * A piece is items one after the other, each a deterministic CBOR map whose key 0 is its kind; what
 * is in them is for who keeps it. A position says how far the old device has come in what it has;
 * to the new one it is bytes, which it keeps with what it got, and says again when it goes on.
 */

#include "wire/frame.h"

#define HANDOVER_TRANSFER_SIZE 16
#define HANDOVER_POSITION_MAX 128

/* A piece has at most HANDOVER_PIECE_SIZE; an item that is larger travels alone. */
#define HANDOVER_PIECE_SIZE (64 * 1024)
#define HANDOVER_ITEM_MAX (120 * 1024)

/* What may be said and not TAKEN yet. */
#define HANDOVER_WINDOW (1024 * 1024)

/* Kinds from here on are those of rooms. */
#define HANDOVER_KIND_ROOMS 64

typedef enum HandoverWhat {
        HANDOVER_OFFER = 1,
        HANDOVER_GO = 2,
        HANDOVER_PIECE = 3,
        HANDOVER_TAKEN = 4,
        HANDOVER_END = 5,
        HANDOVER_DONE = 6,
} HandoverWhat;

typedef struct HandoverFrame {
        HandoverWhat what;
        uint8_t transfer[HANDOVER_TRANSFER_SIZE]; /* OFFER: made once, random */
        bool waits; /* OFFER: the user of the old device is asked first */
        uint64_t items; /* OFFER: in all, about; PIECE: so far, this one's included; GO: so far */
        Bytes position; /* GO: empty from the start; PIECE: after it */
        Bytes piece; /* PIECE: may be empty, where there was nothing to say */
} HandoverFrame;

int handover_encode(Buffer *out, const HandoverFrame *h);
int handover_decode(Frame *f, HandoverFrame *ret);

/* The first item of *PIECE, which is moved on behind it. 1, 0 at the end, or -EBADMSG. */
int handover_item_next(Bytes *piece, Bytes *ret_item, uint64_t *ret_kind);
