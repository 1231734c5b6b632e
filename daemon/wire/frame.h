/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A frame is a big-endian u32 length and one deterministic CBOR map: key 0 its type, 1 a request
 * id (absent when 0), 2 a stream (absent when 0), from 3 on the fields of the message.
 *
 * The type comes first, so that the cap of the type is known after the first bytes, before memory
 * is spent on the rest.
 */

#include "wire/cbor.h"

typedef enum FrameType {
        FRAME_HELLO = 1,
        FRAME_HELLO_OK = 2,
        FRAME_PING = 3,
        FRAME_PONG = 4,
        FRAME_BYE = 5,
        FRAME_OK = 6,
        FRAME_ERROR = 7,

        /* Peer links */
        FRAME_MESSAGE = 16,
        FRAME_ACK = 17,
        FRAME_NACK = 18,
        FRAME_RECEIPT = 19,
        FRAME_VOID = 20,
        FRAME_TYPING = 21,
        FRAME_ROOM_SYNC = 22,
        FRAME_ROOM_ENTRIES = 23,
        FRAME_FILE = 24,
        FRAME_HANDOVER = 25,

        /* Requests to a tracker */
        FRAME_REGISTER = 32,
        FRAME_OPRF = 33,
        FRAME_LOGIN = 34,
        FRAME_PUBLISH = 35,
        FRAME_LOOKUP = 36,
        FRAME_LIST_PEERS = 37,
        FRAME_WATCH = 38,
        FRAME_DEPOSIT = 39,
        FRAME_COLLECT = 40,
        FRAME_COLLECTED = 41,
        FRAME_MAIL_STATUS = 42,
        FRAME_WITHDRAW = 43,
        FRAME_ROOM_PUBLISH = 44,
        FRAME_ROOM_LOOKUP = 45,
        FRAME_ROOM_LIST = 46,
        FRAME_CONNECT = 47,
        FRAME_ACCOUNT = 48,

        /* Pushes by a tracker */
        FRAME_PRESENCE = 64,
        FRAME_RECORD = 65,
        FRAME_ROOM_UPDATE = 66,
        FRAME_MAIL_WAITING = 67,
        FRAME_SESSION_REPLACED = 68,

        /* Types from here on are ignored by who does not know them. */
        FRAME_IGNORABLE = 128,
        FRAME_GRANT = 128,
        FRAME_ANNOUNCE = 129,
} FrameType;

#define FRAME_HEAD_SIZE 4
#define FRAME_HELLO_MAX (8 * 1024)
#define FRAME_CONTROL_MAX (64 * 1024)
#define FRAME_MESSAGE_MAX (128 * 1024)

/* Largest body of a type, 0 for a type that is refused. */
size_t frame_cap(uint64_t type);

/* Looks at N bytes received. 0: more is needed; 1: a whole frame of RET_SIZE bytes, its head
 * included, is there. -EMSGSIZE: over the cap of its type; -EBADMSG: not a frame;
 * -EPROTONOSUPPORT: an unknown type that may not be ignored. */
int frame_scan(const uint8_t *p, size_t n, size_t *ret_size);

/* A received frame, opened as far as its head. The body is read by the decoder of its type. */
typedef struct Frame {
        uint64_t type, request, stream;
        CborReader reader;
        CborMap map;
        size_t size; /* with head, for whoever charges it */
} Frame;

/* P is a whole frame of frame_scan(). */
int frame_open(const uint8_t *p, size_t n, Frame *ret);

/* Key by key through the body, then the check that ends it. */
bool frame_next(Frame *f, uint64_t *ret_key);
int frame_close(Frame *f, uint64_t required);

/* Appends a frame to OUT: begin, the fields from key 3 on, end. frame_end() returns the sticky
 * error and takes an unfinished frame back; -EMSGSIZE when it is over its cap. */
CborWriter frame_begin(Buffer *out, FrameType type, uint64_t request);
int frame_end(CborWriter *w);

/* A frame without fields. */
int frame_put_empty(Buffer *out, FrameType type, uint64_t request);
int frame_decode_empty(Frame *f);

/* One whose only field, 3, is an object of at most MAX bytes. */
int frame_put_object(Buffer *out, FrameType type, uint64_t request, Bytes object);
int frame_decode_object(Frame *f, size_t max, Bytes *ret);
