/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What an item of a room says. The kinds below 64 are those of store/. */

#include "store/ranges.h"
#include "wire/room.h"

typedef enum RoomItemKind {
        ROOM_ITEM_ROOM = 64, /* there is this room */
        ROOM_ITEM_BLOCK,
        ROOM_ITEM_PROPOSAL,
        ROOM_ITEM_KEY,
        ROOM_ITEM_FEED,
        ROOM_ITEM_FORK,
        ROOM_ITEM_STATUS, /* what the user has to do with it; the control log has come before */
        ROOM_ITEM_ENTRY,
        ROOM_ITEM_MARK, /* what somebody has of an own feed */
        _ROOM_ITEM_MAX,
} RoomItemKind;

/* Fields, which are the keys in the map, 1 and up. Which of them a kind has is in handover-item.c:
 * one that it does not have is refused. Bytes point into the item. */
enum {
        ITEM_KIND,
        ITEM_ROOM,
        ITEM_ACCOUNT,
        ITEM_EPOCH,
        ITEM_DEVICE,
        ITEM_SEQ,
        ITEM_OBJECT,
        ITEM_SIGNATURE,
        ITEM_CERTIFICATE,
        ITEM_TIME,
        ITEM_FLAGS,
        ITEM_STATE,
        ITEM_SECRET,
        ITEM_NAME,
        ITEM_TOPIC,
        ITEM_READ,
        ITEM_TOLD,
        ITEM_HLC,
        ITEM_NONCE,
        ITEM_FOUNDER,
        ITEM_INVITED,
        ITEM_STORED,
        _ITEM_FIELDS_MAX,
};

typedef struct RoomItem {
        RoomItemKind kind;
        uint8_t room[ROOM_ID_SIZE];
        bool has_account;
        uint8_t account
                [KEY_SIZE]; /* FEED: its author, MARK: who has it, STATUS: the inviter; absent:
                                      the own one, all of them, nobody */
        uint64_t epoch; /* of `device`; KEY: of the key */
        uint8_t device[KEY_SIZE]; /* of a feed; STATUS: the one that says so */
        uint64_t seq; /* FEED: up to there the user has heard of it; MARK: held */
        Bytes object; /* BLOCK, PROPOSAL, FORK; ENTRY: INNER */
        uint8_t signature[SIGNATURE_SIZE];
        Bytes certificate; /* of who has signed, or of the feed; may be absent */
        uint64_t time; /* µs. ROOM: of the last message; ENTRY: received; STATUS: joined */
        uint64_t flags; /* of the kind; ENTRY: EntryFlags */
        uint64_t state; /* STATUS: RoomStatus; ENTRY: EntryState */
        bool has_secret;
        uint8_t secret[ROOM_KEY_SIZE]; /* KEY; ENTRY, of an own one: what was sent */
        Bytes name, topic;
        Ranges read, told; /* FEED */
        uint64_t mark_read; /* MARK: READ, as a number */
        uint64_t hlc; /* ROOM: of the conversation */
        bool has_founder;
        uint8_t nonce[ROOM_NONCE_SIZE], founder[KEY_SIZE]; /* STATUS: both or neither */
        uint64_t invited; /* STATUS: when */
        uint64_t stored; /* ENTRY */
} RoomItem;

/* ITEM_FLAGS */
enum {
        ROOM_ITEM_SETTLED = 1, /* PROPOSAL: a block rests on it */
        ROOM_ITEM_FAREWELL = 1, /* STATUS: that the user has left is still to be told */
        ROOM_ITEM_WHOLE = 2, /* STATUS: as commit_log_is_whole() */
};

int room_item_encode(Buffer *out, const RoomItem *it);

/* One item, and nothing after it. -EBADMSG. What is in RET has a secret: who is done with it wipes
 * it. */
int room_item_decode(Bytes in, RoomItem *ret);
