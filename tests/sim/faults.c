/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "faults.h"

#include "ledger.h"
#include "loop-virtual.h"
#include "machine.h"
#include "wire/mail.h"
#include "wire/message.h"

/* Certificates and presence take that much. */
#define SKEW_MAX (30 * USEC_PER_SEC)

/* One way: a start has eight or nine round trips, and is prompt when they are done in 1.5 s. */
#define SLOW (60 * USEC_PER_MSEC)

void machine_disturbed(Machine *m) {
        m->disturbed = m->world->now;
}

static bool clock_is_wrong(const Machine *m) {
        usec_t there = loop_realtime(m->loop) - loop_now(m->loop);
        usec_t here = loop_realtime(m->world->loop) - loop_now(m->world->loop);

        return MAX(there, here) - MIN(there, here) > SKEW_MAX;
}

usec_t machine_calm_since(const Machine *m) {
        if (!m->running || m->stopping || m->asleep || m->dies_in > 0 || m->disk.full ||
                m->disk.failing > 0 || m->disk.slow > 0 || m->nat || m->unplugged || m->forging ||
                m->lies || m->world->no_router || host_is_cut(m->host) || clock_is_wrong(m))
                return USEC_INFINITY;
        return m->disturbed;
}

void machine_set_disk(Machine *m, const Disk *disk) {
        machine_disturbed(m);
        m->disk = *disk;
}

void machine_set_nat(Machine *m, bool nat) {
        machine_disturbed(m);
        m->nat = nat;
        host_set_nat(m->host, nat);
}

void machine_set_forging(Machine *m, bool forging) {
        machine_disturbed(m);
        m->forging = forging;
}

void machine_set_lies(Machine *m, unsigned lies) {
        machine_disturbed(m);
        if (m->kind == MACHINE_TRACKER && m->lies != lies)
                ledger_mail_doubted(m);
        m->lies = lies;
}

void machine_forgive(Machine *m) {
        machine_disturbed(m);
        machine_set_lies(m, 0);
        m->dies_in = 0;
        m->disk = (Disk){};
        m->forging = false;
        machine_set_nat(m, false);
        machine_plug(m, true);
        if (m->skew != 0)
                machine_step_clock(m, -m->skew); /* which the daemon notices */
}

static void set_cut(Machine *from, Machine *to, bool cut) {
        World *w = from->world;

        machine_disturbed(from);
        machine_disturbed(to);
        network_set_cut(w->network, from->host, to->host, cut, w->now);
}

void world_cut(Machine *from, Machine *to) {
        world_trace(from->world, from, "is cut from %s", to->name);
        set_cut(from, to, true);
}

void world_heal(Machine *a, Machine *b) {
        world_trace(a->world, a, "is healed with %s", b->name);
        set_cut(a, b, false);
        set_cut(b, a, false);
}

void world_heal_all(World *w) {
        for (unsigned i = 0; i < w->n_machines; i++)
                for (unsigned k = 0; k < i; k++)
                        if (network_is_cut(w->machines[i]->host, w->machines[k]->host) ||
                                network_is_cut(w->machines[k]->host, w->machines[i]->host))
                                world_heal(w->machines[i], w->machines[k]);
}

void world_reset(Machine *a, Machine *b) {
        machine_disturbed(a);
        machine_disturbed(b);
        network_reset(a->world->network, a->host, b->host);
}

static void all_disturbed(World *w) {
        for (unsigned i = 0; i < w->n_machines; i++)
                machine_disturbed(w->machines[i]);
}

void world_set_path(World *w, const Path *path) {
        all_disturbed(w);
        w->is_slow = path->latency + path->jitter > SLOW || path->bandwidth > 0;
        network_set_path(w->network, path);
}

/* LANs */

void machine_switch_to_lan(Machine *m, unsigned lan) {
        machine_disturbed(m);
        host_set_lan(m->host, lan, m->world->now);
}

void machine_plug(Machine *m, bool in) {
        if (m->unplugged == !in)
                return;
        machine_disturbed(m);
        m->unplugged = !in;
        host_plug(m->host, in, m->world->now);
        machine_network_changed(m);
}

void world_join_lans(World *w, bool joined) {
        all_disturbed(w);
        network_join_lans(w->network, joined, w->now);
}

void world_set_router(World *w, bool up) {
        all_disturbed(w);
        w->no_router = !up;
        network_set_router(w->network, up, w->now);
}

void world_set_lan_faults(World *w, const LanFaults *faults) {
        all_disturbed(w);
        w->lossy = faults->lost > 0;
        network_set_lan_faults(w->network, faults);
}

/* What was signed, with another text. */
static int change_text(Bytes inner, Buffer *out) {
        Inner m;
        int r;

        r = buffer_append(out, inner.data, inner.size);
        if (r >= 0)
                r = inner_decode(buffer_bytes(out), &m);
        if (r >= 0 && m.body.size > 0)
                ((uint8_t *)m.body.data)[m.body.size - 1] ^= 1;
        return r;
}

/* People who lie: the linker puts this in the place of message_encode(). */

int __real_message_encode(Buffer *out, const MessageFrame *m);
int __wrap_message_encode(Buffer *out, const MessageFrame *m);

int __wrap_message_encode(Buffer *out, const MessageFrame *m) {
        const Machine *liar = world_acting();
        _cleanup_(buffer_done) Buffer changed = BUFFER_NULL;
        MessageFrame lie = *m;
        int r;

        ledger_hear_message(m->inner);
        if (!liar || !liar->forging || m->signature.size == 0)
                return __real_message_encode(out, m);
        r = change_text(m->inner, &changed);
        lie.inner = buffer_bytes(&changed);
        return r < 0 ? r : __real_message_encode(out, &lie);
}

/* The same for what is sealed. */

int __real_content_encode(Buffer *out, const Content *c);
int __wrap_content_encode(Buffer *out, const Content *c);

int __wrap_content_encode(Buffer *out, const Content *c) {
        const Machine *liar = world_acting();
        _cleanup_(buffer_done) Buffer changed = BUFFER_NULL;
        Content lie = *c;
        int r;

        if (c->kind == CONTENT_MESSAGE)
                ledger_hear_message(c->body);
        if (!liar || !liar->forging || c->kind != CONTENT_MESSAGE)
                return __real_content_encode(out, c);
        r = change_text(c->body, &changed);
        lie.body = buffer_bytes(&changed);
        return r < 0 ? r : __real_content_encode(out, &lie);
}
