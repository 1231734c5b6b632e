/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "pipe-transport.h"

#include <utlist.h>

#include "loop-virtual.h"
#include "net/tcp.h"
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
        usec_t unacknowledged; /* since when something waits that is held up, or its ack */
        uint64_t carried;
        bool ended, cut;
        bool held; /* nothing arrives now */
        bool lost; /* whoever wrote it is gone without a word */
} Lane;

typedef struct End {
        Transport transport;
        Pipe *pipe;
        unsigned number;
        Loop *loop;
        uint32_t wanted;
        int error; /* the connection is over */
        bool read_enough, written_enough; /* until the next `ready`: PipeOptions.chunk */
        LoopTimer *timer;
} End;

struct Pipe {
        Loop *loops[2];
        PipeOptions options;
        const PipeHooks *hooks; /* NULL: no machines */
        void *userdata;
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

/* When E gives up waiting for acknowledgements. */
static usec_t gives_up_at(End *e) {
        return usec_add(lane_out(e)->unacknowledged, TCP_UNACKNOWLEDGED_MAX);
}

static int end_error(End *e) {
        if (!e->error && gives_up_at(e) <= loop_now(e->loop))
                e->error = -ETIMEDOUT;
        return e->error;
}

/* When a read has something to say: bytes, or the end. */
static usec_t readable_at(End *e) {
        Lane *l = lane_in(e);

        if (end_error(e) < 0)
                return 0;
        if (l->cut || l->held || l->lost)
                return USEC_INFINITY;
        if (l->pieces)
                return l->pieces->arrival;
        return l->ended ? l->last_arrival : USEC_INFINITY;
}

static size_t lane_room(const Pipe *p, const Lane *l) {
        return l->cut ? p->options.capacity : p->options.capacity - buffer_size(&l->bytes);
}

/* What END has written needs both directions to be acknowledged. */
static bool is_held(const Pipe *p) {
        return p->lanes[0].held || p->lanes[1].held;
}

/* The other end is gone, and it can be learned. */
static bool end_is_alone(End *e) {
        return !e->pipe->ends[!e->number] && !lane_out(e)->cut && !is_held(e->pipe);
}

static bool end_is_writable(End *e) {
        return e->error || end_is_alone(e) || lane_room(e->pipe, lane_out(e)) > 0;
}

static void end_update(End *e) {
        usec_t at = USEC_INFINITY;

        if (e->wanted & LOOP_READ)
                at = readable_at(e);
        if (e->wanted & LOOP_WRITE && end_is_writable(e))
                at = 0;
        if (e->wanted)
                at = MIN(at, gives_up_at(e));
        loop_timer_set(e->timer, at == USEC_INFINITY ? at : MAX(at, loop_now(e->loop)));
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
        if (readable_at(e) <= loop_now(e->loop))
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

        if (end_error(e) < 0)
                return e->error;
        if (e->read_enough || readable_at(e) > loop_now(e->loop))
                return -EAGAIN;
        if (!l->pieces)
                return 0;
        k = lane_take(l, loop_now(e->loop), p, chunk > 0 ? MIN(n, chunk) : n);
        e->read_enough = chunk > 0;
        pipe_update(e->pipe);
        return k;
}

/* Whatever comes after it arrives after it. */
static usec_t lane_arrival(Pipe *p, unsigned end, size_t n, usec_t now) {
        Lane *l = &p->lanes[end];
        usec_t delay = p->hooks ? p->hooks->delay(p->userdata, end, n, now) : p->options.latency;

        l->last_arrival = MAX(l->last_arrival, now + delay);
        return l->last_arrival;
}

static void await_ack(Pipe *p, unsigned end, usec_t now) {
        Lane *l = &p->lanes[end];

        if (is_held(p))
                l->unacknowledged = MIN(l->unacknowledged, now);
}

static ssize_t lane_put(Pipe *p, unsigned end, const void *data, size_t n, usec_t now) {
        Piece *piece = malloc(sizeof(*piece));
        Lane *l = &p->lanes[end];

        if (!piece || buffer_append(&l->bytes, data, n) < 0) {
                free(piece);
                return -ENOMEM;
        }
        *piece = (Piece){.arrival = lane_arrival(p, end, n, now), .size = n};
        DL_APPEND(l->pieces, piece);
        await_ack(p, end, now);
        pipe_update(p);
        return (ssize_t)n;
}

static ssize_t pipe_write(Transport *t, const void *p, size_t n) {
        End *e = end_of(t);
        Pipe *pipe = e->pipe;
        Lane *l = lane_out(e);
        size_t chunk = pipe->options.chunk, k = MIN(n, lane_room(pipe, l));

        if (pipe->hooks && !pipe->hooks->call(pipe->userdata, e->number, n))
                return (ssize_t)n;
        if (end_error(e) < 0)
                return e->error;
        if (l->ended || end_is_alone(e))
                return -EPIPE;
        if (e->written_enough || k == 0)
                return -EAGAIN;
        if (chunk > 0)
                k = MIN(k, chunk);
        e->written_enough = chunk > 0;
        l->carried += k;
        if (l->cut)
                return (ssize_t)k;
        return lane_put(pipe, e->number, p, k, loop_now(e->loop));
}

static void pipe_want(Transport *t, uint32_t events) {
        End *e = end_of(t);

        e->wanted = events;
        end_update(e);
}

static void lane_end(End *e) {
        Lane *l = lane_out(e);

        if (l->ended)
                return;
        l->ended = true;
        e->pipe->over = true;
        (void)lane_arrival(e->pipe, e->number, 0, loop_now(e->loop));
        pipe_update(e->pipe);
}

static void pipe_end(Transport *t) {
        End *e = end_of(t);
        const Pipe *p = e->pipe;

        if (!p->hooks || p->hooks->call(p->userdata, e->number, 0))
                lane_end(e);
}

static void pipe_free(Transport *t) {
        End *e = end_of(t);
        Pipe *p = e->pipe;

        if (e->error)
                lane_out(e)->lost = true; /* there is no connection that could be ended */
        lane_end(e);
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
        *e = (End){
                .transport.ops = &pipe_ops, .pipe = p, .number = number, .loop = p->loops[number]};
        r = loop_timer_new(e->loop, on_end_timer, e, &e->timer);
        if (r < 0) {
                free(e);
                return r;
        }
        loop_virtual_set_arrival(e->timer);
        p->ends[number] = e;
        p->n_refs++;
        return 0;
}

int pipe_new_between(Loop *const loops[static 2], const PipeOptions *options,
        const PipeHooks *hooks, void *userdata, Transport *ret_ends[static 2], Pipe **ret) {
        Pipe *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        *p = (Pipe){.loops = {loops[0], loops[1]},
                .options = *options,
                .hooks = hooks,
                .userdata = userdata,
                .n_refs = 1,
                .lanes[0].unacknowledged = USEC_INFINITY,
                .lanes[1].unacknowledged = USEC_INFINITY};
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

int pipe_new(Loop *l, const PipeOptions *options, Transport *ret_ends[static 2], Pipe **ret) {
        return pipe_new_between((Loop *const[]){l, l}, options, NULL, NULL, ret_ends, ret);
}

void pipe_cut(Pipe *p, unsigned directions) {
        for (unsigned i = 0; i < 2; i++)
                if (directions & (i == 0 ? PIPE_FORTH : PIPE_BACK)) {
                        p->lanes[i].cut = true;
                        lane_clear(&p->lanes[i]);
                }
        pipe_update(p);
}

static bool lane_waits(const Lane *l) {
        return l->pieces || l->ended;
}

/* Sent again, all of it. */
static void lane_resume(Pipe *p, unsigned end, usec_t now) {
        Lane *l = &p->lanes[end];
        Piece *piece;

        l->unacknowledged = USEC_INFINITY;
        if (!lane_waits(l) || l->last_arrival <= now)
                return;
        l->last_arrival = now;
        DL_FOREACH (l->pieces, piece)
                if (piece->arrival > now)
                        piece->arrival = lane_arrival(p, end, piece->size, now);
        (void)lane_arrival(p, end, 0, now);
}

/* Who is gone answers what still comes with RST. */
static void learn_of_loss(Pipe *p, unsigned end, bool waited) {
        End *e = p->ends[end];

        if (e && !p->ends[!end] && waited && !e->error)
                e->error = -ECONNRESET;
}

void pipe_hold(Pipe *p, unsigned end, bool held, usec_t now) {
        bool before = is_held(p);

        p->lanes[end].held = held;
        for (unsigned i = 0; i < 2; i++) {
                bool waited = p->lanes[i].unacknowledged < USEC_INFINITY;

                if (is_held(p) && !before && lane_waits(&p->lanes[i]))
                        await_ack(p, i, now);
                if (!is_held(p)) {
                        lane_resume(p, i, now);
                        learn_of_loss(p, i, waited);
                }
        }
        pipe_update(p);
}

void pipe_lose(Pipe *p, unsigned end) {
        p->lanes[end].lost = true;
}

void pipe_reset(Pipe *p) {
        for (unsigned i = 0; i < 2; i++)
                if (p->ends[i] && !p->ends[i]->error)
                        p->ends[i]->error = -ECONNRESET;
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

bool pipe_is_freed(const Pipe *p) {
        return !p->ends[0] && !p->ends[1];
}
