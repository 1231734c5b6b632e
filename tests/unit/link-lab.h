/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One end that is a LinkPool, and what its owner has heard. */

#include "link/link.h"
#include "sim-lab.h"

typedef struct Side {
        Person *self;
        LinkPool *pool;
        bool holds; /* hello is not answered */
        Code refuse; /* hello is refused with this */
        Link *link; /* the last one that opened, until it is closed */
        Link *asked;
        unsigned n_hello, n_open, n_closed, n_frames, n_drained;
        Code code; /* of the last end */
        char text[256];
        unsigned n_links; /* open now */
        unsigned n_records;
        uint64_t epoch; /* of the last record that came with BYE */
        Buffer received; /* bodies of MESSAGE, one after the other */
} Side;

static void side_on_hello(void *userdata, Link *l, const Greeting *g, Bytes record) {
        Side *s = userdata;

        s->n_hello++;
        CHECK(key_equal(link_account(l), g->record.account));
        CHECK(key_equal(link_certificate(l)->device, g->certificate.device));
        s->asked = l;
        if (s->refuse != CODE_OK)
                link_refuse(l, s->refuse, "not wanted by this test");
        else if (!s->holds)
                link_confirm(l, &(HelloOk){});
}

static void side_on_open(void *userdata, Link *l, const HelloOk *ok) {
        Side *s = userdata;

        s->n_open++;
        s->n_links++;
        link_set_userdata(l, s);
        s->link = l;
        CHECK(link_is_open(l));
}

static int side_on_frame(void *userdata, Link *l, Frame *f) {
        Side *s = userdata;
        MessageFrame m;
        int r;

        CHECK_EQ(f->type, FRAME_MESSAGE);
        r = message_decode(f, &m);
        if (r < 0)
                return r;
        s->n_frames++;
        return buffer_append(&s->received, m.inner.data, m.inner.size);
}

static void side_on_drained(void *userdata, Link *l) {
        ((Side *)userdata)->n_drained++;
}

static void side_on_closed(void *userdata, Link *l, Code code, const char *text) {
        Side *s = userdata;

        s->n_closed++;
        s->n_links -= link_userdata(l) != NULL;
        s->code = code;
        snprintf(s->text, sizeof(s->text), "%s", text);
        if (s->link == l)
                s->link = NULL;
}

static void side_on_record(void *userdata, const Record *record, Bytes outer) {
        Side *s = userdata;
        Record r;

        CHECK_OK(record_decode(outer, &r));
        s->n_records++;
        s->epoch = record->epoch;
}

static const LinkCallbacks side_callbacks = {
        .record = side_on_record,
        .hello = side_on_hello,
        .open = side_on_open,
        .frame = side_on_frame,
        .drained = side_on_drained,
        .closed = side_on_closed,
};

#define HANDSHAKE 10 /* s */

static void side_new(Person *self, Side *s) {
        *s = (Side){.self = self};
        CHECK_OK(link_pool_new(
                self->sim->net, &self->local, HANDSHAKE, &side_callbacks, s, &s->pool));
}

static void side_free(Side *s) {
        link_pool_free(s->pool);
        buffer_done(&s->received);
        *s = (Side){};
}

/* A wire between two ends, with the first one dialling. The caller unrefs it. */
static Pipe *wire_new(Sim *sim, const PipeOptions *options, Transport *ends[static 2]) {
        Pipe *p;

        CHECK_OK(pipe_new(sim->loop, options, ends, &p));
        return p;
}

static const PipeOptions ordinary = {.latency = 2 * USEC_PER_MSEC};

static _unused_ Pipe *side_dial(Side *from, Side *to, const PipeOptions *options) {
        Transport *ends[2];
        Pipe *p = wire_new(from->self->sim, options, ends);
        Link *l;

        link_accept(to->pool, ends[1]);
        CHECK_OK(link_dialled(from->pool, ends[0], person_account(to->self), &l));
        return p;
}

static _unused_ void sides_join(Side *from, Side *to) {
        pipe_unref(side_dial(from, to, &ordinary));
        SIM_UNTIL(from->self->sim, from->link && to->link);
}

static _unused_ void side_send(Side *s, Bytes inner) {
        CHECK(s->link);
        CHECK_OK(message_encode(link_output(s->link), &(MessageFrame){.inner = inner}));
        link_queued(s->link);
}

/* A far end that has dialled SIDE, or been dialled by it, as far as TLS. */
static _unused_ Pipe *far_with(Far *f, const Person *who, Side *side, TlsRole role) {
        Transport *ends[2];
        Pipe *p = wire_new(who->sim, &ordinary, ends);
        Link *l;

        far_begin(f, who, role, LINK_ALPN, ends[0]);
        if (role == TLS_CLIENT)
                link_accept(side->pool, ends[1]);
        else
                CHECK_OK(link_dialled(side->pool, ends[1], person_account(who), &l));
        return p;
}

/* As far as an open link. */
static _unused_ void far_link(Far *f, const Person *who, Side *side, TlsRole role) {
        Hello h = person_hello(who);
        unsigned n = side->n_open;

        pipe_unref(far_with(f, who, side, role));
        far_send_hello(f, &h);
        far_take(f, FRAME_HELLO_OK);
        far_sent(f, hello_ok_encode(conn_output(f->conn), &(HelloOk){}));
        SIM_UNTIL(who->sim, side->n_open > n);
}
