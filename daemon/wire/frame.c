/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/frame.h"

enum {
        KEY_TYPE = 0,
        KEY_REQUEST = 1,
        KEY_STREAM = 2,
};

/* Map head, key 0 and the shortest form of a 64-bit type. */
#define TYPE_PEEK_MAX 11

size_t frame_cap(uint64_t type) {
        switch (type) {
        case FRAME_HELLO:
        case FRAME_HELLO_OK:
                return FRAME_HELLO_MAX;
        case FRAME_MESSAGE:
        case FRAME_ROOM_ENTRIES:
        case FRAME_FILE:
        case FRAME_HANDOVER:
        case FRAME_DEPOSIT:
        case FRAME_OK: /* answers to COLLECT and LIST_PEERS are among them */
                return FRAME_MESSAGE_MAX;
        case FRAME_PING ... FRAME_BYE:
        case FRAME_ERROR:
        case FRAME_ACK ... FRAME_ROOM_SYNC:
        case FRAME_REGISTER ... FRAME_WATCH:
        case FRAME_COLLECT ... FRAME_ACCOUNT:
        case FRAME_PRESENCE ... FRAME_SESSION_REPLACED:
                return FRAME_CONTROL_MAX;
        default:
                return type >= FRAME_IGNORABLE ? FRAME_CONTROL_MAX : 0;
        }
}

static uint32_t read_be32(const uint8_t *p) {
        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Type of a body of SIZE bytes of which N are there. 0: not enough yet. */
static int peek_type(const uint8_t *p, size_t n, size_t size, uint64_t *ret) {
        CborReader r = cbor_reader(p, MIN(n, (size_t)TYPE_PEEK_MAX));
        uint64_t key, type;

        /* Read by hand as far as the head: the map's own count may exceed what has arrived. */
        if (n == 0)
                return 0;
        if (p[0] < 0xa1 || p[0] > 0xb7)
                return -EBADMSG;
        r.p++;
        r.left[0] = 2;
        key = cbor_read_uint(&r);
        type = cbor_read_uint(&r);
        if (r.error < 0)
                return n < TYPE_PEEK_MAX && n < size ? 0 : -EBADMSG;
        if (key != KEY_TYPE)
                return -EBADMSG;
        *ret = type;
        return 1;
}

int frame_scan(const uint8_t *p, size_t n, size_t *ret_size) {
        uint64_t type;
        uint32_t size;
        int r;

        if (n < FRAME_HEAD_SIZE)
                return 0;
        size = read_be32(p);
        if (size > FRAME_MESSAGE_MAX)
                return -EMSGSIZE;
        if (size < 3)
                return -EBADMSG;
        r = peek_type(p + FRAME_HEAD_SIZE, MIN(n - FRAME_HEAD_SIZE, (size_t)size), size, &type);
        if (r <= 0)
                return r;
        if (frame_cap(type) == 0)
                return -EPROTONOSUPPORT;
        if (size > frame_cap(type))
                return -EMSGSIZE;
        if (n - FRAME_HEAD_SIZE < size)
                return 0;
        *ret_size = FRAME_HEAD_SIZE + (size_t)size;
        return 1;
}

int frame_open(const uint8_t *p, size_t n, Frame *ret) {
        Frame f = {.size = n};
        uint64_t key;

        f.reader = cbor_reader(p + FRAME_HEAD_SIZE, n - FRAME_HEAD_SIZE);
        cbor_read_map(&f.reader, &f.map);
        while (cbor_map_next(&f.reader, &f.map, &key)) {
                if (key > KEY_STREAM) {
                        cbor_map_unread(&f.map);
                        break;
                }
                if (key == KEY_TYPE)
                        f.type = cbor_read_uint(&f.reader);
                else if (key == KEY_REQUEST)
                        f.request = cbor_read_uint(&f.reader);
                else
                        f.stream = cbor_read_uint(&f.reader);
        }
        /* A zero has its form already, absence. */
        if (f.reader.error < 0 || !(f.map.seen & CBOR_BIT(KEY_TYPE)) ||
                (f.request == 0 && f.map.seen & CBOR_BIT(KEY_REQUEST)) ||
                (f.stream == 0 && f.map.seen & CBOR_BIT(KEY_STREAM)))
                return -EBADMSG;
        *ret = f;
        return 0;
}

bool frame_next(Frame *f, uint64_t *ret_key) {
        return cbor_map_next(&f->reader, &f->map, ret_key);
}

int frame_close(Frame *f, uint64_t required) {
        return cbor_finish(&f->reader, &f->map, required);
}

CborWriter frame_begin(Buffer *out, FrameType type, uint64_t request) {
        CborWriter w = cbor_writer(out);
        size_t start = buffer_size(out);

        w.error = buffer_append(out, "\0\0\0\0", FRAME_HEAD_SIZE);
        cbor_map_begin(&w);
        /* Also where the append failed: frame_end() must take nothing back of what was before. */
        w.map[0].at = start + FRAME_HEAD_SIZE;
        cbor_pair_uint(&w, KEY_TYPE, type);
        if (request != 0)
                cbor_pair_uint(&w, KEY_REQUEST, request);
        return w;
}

int frame_end(CborWriter *w) {
        size_t start = w->map[0].at - FRAME_HEAD_SIZE, size = 0;
        uint64_t type = 0;
        uint8_t *p = NULL;

        cbor_map_end(w);
        if (w->error >= 0) {
                p = buffer_data(w->out) + start;
                size = buffer_size(w->out) - start - FRAME_HEAD_SIZE;
                if (peek_type(p + FRAME_HEAD_SIZE, size, size, &type) < 0 || size > frame_cap(type))
                        w->error = -EMSGSIZE;
        }
        if (w->error < 0) {
                if (buffer_size(w->out) > start)
                        w->out->end = w->out->begin + start;
                return w->error;
        }
        for (int i = 0; i < FRAME_HEAD_SIZE; i++)
                p[i] = (uint8_t)(size >> (24 - 8 * i));
        return 0;
}

int frame_put_empty(Buffer *out, FrameType type, uint64_t request) {
        CborWriter w = frame_begin(out, type, request);

        return frame_end(&w);
}

int frame_decode_empty(Frame *f) {
        uint64_t key;

        while (frame_next(f, &key))
                cbor_unknown_key(&f->reader, key);
        return frame_close(f, 0);
}

int frame_put_object(Buffer *out, FrameType type, uint64_t request, Bytes object) {
        CborWriter w = frame_begin(out, type, request);

        cbor_pair_bytes(&w, 3, object.data, object.size);
        return frame_end(&w);
}

int frame_decode_object(Frame *f, size_t max, Bytes *ret) {
        Bytes object = {};
        uint64_t key;
        int e;

        while (frame_next(f, &key))
                if (key == 3)
                        object = cbor_read_bytes(&f->reader, max);
                else
                        cbor_unknown_key(&f->reader, key);
        e = frame_close(f, CBOR_BIT(3));
        if (e < 0)
                return e;
        *ret = object;
        return 0;
}
