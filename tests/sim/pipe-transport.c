/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "pipe-transport.h"

#include <utlist.h>

#include "loop-virtual.h"
#include "util/buffer.h"

/* What one write has put on the wire. */
typedef struct Piece {
        usec_t arrival;
        size_t size;
        struct Piece *prev, *next;
} Piece;

/* One direction. */
typedef struct Lane {
        Buffer bytes;
        Piece *pieces;
        usec_t last_arrival; /* nothing overtakes */
        uint64_t carried;
        bool ended, cut;
} Lane;

typedef struct End {
        Transport transport;
        Pipe *pipe;
        unsigned number;
        uint32_t wanted;
        bool read_enough, written_enough; /* until the next `ready`: PipeOptions.chunk */
        LoopTimer *timer;
} End;

struct Pipe {
        Loop *loop;
        PipeOptions options;
        End *ends[2]; /* NULL: freed */
        Lane lanes[2]; /* by the end that writes */
        unsigned n_refs;
        bool over;
};

static End *end_of(Transport *t) {
        return CONTAINER_OF(t, End, transport);
}

static Lane *lane_in(End *e) {
        return &e->pipe->lanes[!e->number];
}

static Lane *lane_out(End *e) {
        return &e->pipe->lanes[e->number];
}

static void lane_clear(Lane *l) {
        Piece *p, *tmp;

        DL_FOREACH_SAFE (l->pieces, p, tmp) {
                DL_DELETE(l->pieces, p);
                free(p);
        }
        buffer_clear(&l->bytes);
}

Pipe *pipe_unref(Pipe *p) {
        if (!p || --p->n_refs > 0)
                return NULL;
        for (int i = 0; i < 2; i++) {
                lane_clear(&p->lanes[i]);
                buffer_done(&p->lanes[i].bytes);
        }
        free(p);
        return NULL;
}

/* When a read has something to say: bytes, or the end. */
static usec_t readable_at(End *e) {
        Lane *l = lane_in(e);

        if (l->cut)
                return USEC_INFINITY;
        if (l->pieces)
                return l->pieces->arrival;
        return l->ended ? l->last_arrival : USEC_INFINITY;
}

static size_t lane_room(const Pipe *p, const Lane *l) {
        return l->cut ? p->options.capacity : p->options.capacity - buffer_size(&l->bytes);
}

static bool end_is_writable(End *e) {
        return !e->pipe->ends[!e->number] || lane_room(e->pipe, lane_out(e)) > 0;
}

static void end_update(End *e) {
        usec_t at = USEC_INFINITY;

        if (e->wanted & LOOP_READ)
                at = readable_at(e);
        if (e->wanted & LOOP_WRITE && end_is_writable(e))
                at = 0;
        loop_timer_set(e->timer, at == USEC_INFINITY ? at : MAX(at, loop_now(e->pipe->loop)));
}

static void pipe_update(Pipe *p) {
        for (int i = 0; i < 2; i++)
                if (p->ends[i])
                        end_update(p->ends[i]);
}

static void on_end_timer(void *userdata) {
        End *e = userdata;
        Pipe *p = e->pipe;
        unsigned number = e->number;
        uint32_t events = 0;

        e->read_enough = e->written_enough = false;
        if (readable_at(e) <= loop_now(p->loop))
                events |= LOOP_READ;
        if (end_is_writable(e))
                events |= LOOP_WRITE;
        events &= e->wanted;
        p->n_refs++;
        if (events != 0 && e->transport.ready)
                e->transport.ready(e->transport.userdata, events);
        if (p->ends[number] == e)
                end_update(e);
        pipe_unref(p);
}

static ssize_t lane_take(Lane *l, usec_t now, uint8_t *to, size_t n) {
        size_t done = 0;

        while (done < n && l->pieces && l->pieces->arrival <= now) {
                Piece *p = l->pieces;
                size_t k = MIN(n - done, p->size);

                memcpy(to + done, buffer_data(&l->bytes), k);
                buffer_consume(&l->bytes, k);
                done += k;
                p->size -= k;
                if (p->size == 0) {
                        DL_DELETE(l->pieces, p);
                        free(p);
                }
        }
        return (ssize_t)done;
}

static ssize_t pipe_read(Transport *t, void *p, size_t n) {
        End *e = end_of(t);
        Lane *l = lane_in(e);
        size_t chunk = e->pipe->options.chunk;
        ssize_t k;

        if (e->read_enough || readable_at(e) > loop_now(e->pipe->loop))
                return -EAGAIN;
        if (!l->pieces)
                return 0;
        k = lane_take(l, loop_now(e->pipe->loop), p, chunk > 0 ? MIN(n, chunk) : n);
        e->read_enough = chunk > 0;
        pipe_update(e->pipe);
        return k;
}

static ssize_t pipe_write(Transport *t, const void *p, size_t n) {
        End *e = end_of(t);
        Pipe *pipe = e->pipe;
        Lane *l = lane_out(e);
        size_t chunk = pipe->options.chunk, k = MIN(n, lane_room(pipe, l));
        Piece *piece;

        if (l->ended || (!l->cut && !pipe->ends[!e->number]))
                return -EPIPE;
        if (e->written_enough || k == 0)
                return -EAGAIN;
        if (chunk > 0)
                k = MIN(k, chunk);
        e->written_enough = chunk > 0;
        l->carried += k;
        if (l->cut)
                return (ssize_t)k;
        piece = malloc(sizeof(*piece));
        if (!piece || buffer_append(&l->bytes, p, k) < 0) {
                free(piece);
                return -ENOMEM;
        }
        l->last_arrival = MAX(l->last_arrival, loop_now(pipe->loop) + pipe->options.latency);
        *piece = (Piece){.arrival = l->last_arrival, .size = k};
        DL_APPEND(l->pieces, piece);
        pipe_update(pipe);
        return (ssize_t)k;
}

static void pipe_want(Transport *t, uint32_t events) {
        End *e = end_of(t);

        e->wanted = events;
        end_update(e);
}

static void pipe_end(Transport *t) {
        End *e = end_of(t);
        Lane *l = lane_out(e);

        if (l->ended)
                return;
        l->ended = true;
        e->pipe->over = true;
        l->last_arrival = MAX(l->last_arrival, loop_now(e->pipe->loop) + e->pipe->options.latency);
        pipe_update(e->pipe);
}

static void pipe_free(Transport *t) {
        End *e = end_of(t);
        Pipe *p = e->pipe;

        pipe_end(t);
        p->ends[e->number] = NULL;
        lane_clear(lane_in(e)); /* nobody reads it any more */
        pipe_update(p);
        loop_timer_free(e->timer);
        free(e);
        pipe_unref(p);
}

static const TransportOps pipe_ops = {
        .read = pipe_read,
        .write = pipe_write,
        .want = pipe_want,
        .end = pipe_end,
        .free = pipe_free,
};

static int end_new(Pipe *p, unsigned number) {
        End *e = calloc(1, sizeof(*e));
        int r;

        if (!e)
                return -ENOMEM;
        *e = (End){.transport.ops = &pipe_ops, .pipe = p, .number = number};
        r = loop_timer_new(p->loop, on_end_timer, e, &e->timer);
        if (r < 0) {
                free(e);
                return r;
        }
        loop_virtual_set_arrival(e->timer);
        p->ends[number] = e;
        p->n_refs++;
        return 0;
}

int pipe_new(Loop *l, const PipeOptions *options, Transport *ret_ends[static 2], Pipe **ret) {
        Pipe *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        *p = (Pipe){.loop = l, .options = *options, .n_refs = 1};
        if (p->options.capacity == 0)
                p->options.capacity = PIPE_CAPACITY;
        r = end_new(p, 0);
        if (r >= 0)
                r = end_new(p, 1);
        if (r < 0) {
                if (p->ends[0])
                        transport_free(&p->ends[0]->transport);
                pipe_unref(p);
                return r;
        }
        ret_ends[0] = &p->ends[0]->transport;
        ret_ends[1] = &p->ends[1]->transport;
        *ret = p;
        return 0;
}

void pipe_cut(Pipe *p, unsigned directions) {
        for (unsigned i = 0; i < 2; i++)
                if (directions & (i == 0 ? PIPE_FORTH : PIPE_BACK)) {
                        p->lanes[i].cut = true;
                        lane_clear(&p->lanes[i]);
                }
        pipe_update(p);
}

void pipe_set_latency(Pipe *p, usec_t latency) {
        p->options.latency = latency;
}

uint64_t pipe_carried(const Pipe *p, unsigned direction) {
        return p->lanes[direction == PIPE_FORTH ? 0 : 1].carried;
}

bool pipe_is_over(const Pipe *p) {
        return p->over;
}
