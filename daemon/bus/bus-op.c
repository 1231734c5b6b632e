/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Calls whose answer comes later. Each holds its message, and is counted for its sender. */

#include "bus/bus-internal.h"

#include <stdarg.h>
#include <stdio.h>

#include <utlist.h>

/* A client with open calls. There are few, and those that call are found first. */
struct BusClient {
        BusClient *prev, *next;
        unsigned n_ops;
        char sender[];
};

int bus_error_set(sd_bus_error *error, const char *name, const char *format, ...) {
        char full[STRLEN(BUS_ERROR_PREFIX) + 64];
        va_list ap;

        snprintf(full, sizeof(full), BUS_ERROR_PREFIX "%s", name);
        va_start(ap, format);
        sd_bus_error_setfv(error, full, format, ap);
        va_end(ap);
        return -EINVAL;
}

int bus_reply_error(sd_bus_message *call, const ChatError *error) {
        char full[STRLEN(BUS_ERROR_PREFIX) + 64];

        snprintf(full, sizeof(full), BUS_ERROR_PREFIX "%s", error->name);
        return sd_bus_reply_method_error(call, &SD_BUS_ERROR_MAKE_CONST(full, error->text));
}

static BusClient *client_get(Bus *b, const char *sender) {
        size_t n = strlen(sender);
        BusClient *c;

        DL_FOREACH (b->clients, c)
                if (streq(c->sender, sender))
                        return c;
        c = malloc(sizeof(*c) + n + 1);
        if (!c)
                return NULL;
        c->n_ops = 0;
        memcpy(c->sender, sender, n + 1);
        DL_PREPEND(b->clients, c);
        return c;
}

static int client_charge(Bus *b, sd_bus_message *m, sd_bus_error *error, BusClient **ret) {
        const char *sender = sd_bus_message_get_sender(m);
        BusClient *c;

        if (b->n_ops >= BUS_OPEN_MAX)
                return bus_error_set(error, "TooMany",
                        "%u calls of all clients wait for their answers; try again later.",
                        b->n_ops);
        c = client_get(b, sender ?: "");
        if (!c)
                return -ENOMEM;
        if (c->n_ops >= BUS_OPEN_PER_CLIENT_MAX)
                return bus_error_set(error, "TooMany",
                        "%u of your calls wait for their answers; send more when some have come.",
                        c->n_ops);
        c->n_ops++;
        b->n_ops++;
        *ret = c;
        return 0;
}

static void client_discharge(Bus *b, BusClient *c) {
        b->n_ops--;
        if (--c->n_ops > 0)
                return;
        DL_DELETE(b->clients, c);
        free(c);
}

int bus_op_open(Bus *b, sd_bus_message *m, sd_bus_error *error, BusOp **ret) {
        BusOp *o = malloc(sizeof(*o));
        int r;

        if (!o)
                return -ENOMEM;
        *o = (BusOp){.bus = b};
        r = client_charge(b, m, error, &o->client);
        if (r < 0) {
                free(o);
                return r;
        }
        o->call = sd_bus_message_ref(m);
        DL_APPEND(b->ops, o);
        *ret = o;
        return 0;
}

int bus_op_call_two(sd_bus_message *m, Bus *b, sd_bus_error *error, BusStringsFn fn) {
        const char *first, *second;
        BusOp *o;
        int r;

        r = sd_bus_message_read(m, "ss", &first, &second);
        if (r < 0)
                return r;
        r = bus_op_open(b, m, error, &o);
        if (r < 0)
                return r;
        fn(b->chat, first, second, bus_op_done, o);
        return 1;
}

int bus_op_call(sd_bus_message *m, Bus *b, sd_bus_error *error, BusStringFn fn) {
        const char *s;
        BusOp *o;
        int r;

        r = sd_bus_message_read(m, "s", &s);
        if (r < 0)
                return r;
        r = bus_op_open(b, m, error, &o);
        if (r < 0)
                return r;
        fn(b->chat, s, bus_op_done, o);
        return 1;
}

void bus_op_drop(BusOp *o) {
        Bus *b = o->bus;

        DL_DELETE(b->ops, o);
        client_discharge(b, o->client);
        bus_list_done(&o->list);
        sd_bus_message_unref(o->call);
        free(o);
}

void bus_op_reply(BusOp *o, sd_bus_message *reply) {
        bus_sent(o->bus, sd_bus_send(o->bus->connection, reply, NULL));
        bus_op_drop(o);
}

void bus_op_reply_string(BusOp *o, const char *s) {
        bus_sent(o->bus, sd_bus_reply_method_return(o->call, "s", s));
        bus_op_drop(o);
}

void bus_op_refuse(BusOp *o, const ChatError *error) {
        bus_sent(o->bus, bus_reply_error(o->call, error));
        bus_op_drop(o);
}

void bus_op_fail(BusOp *o, int r) {
        bus_sent(o->bus, sd_bus_reply_method_errno(o->call, r, NULL));
        bus_op_drop(o);
}

void bus_op_done(void *userdata, const ChatError *error) {
        BusOp *o = userdata;

        if (error) {
                bus_op_refuse(o, error);
                return;
        }
        bus_sent(o->bus, sd_bus_reply_method_return(o->call, NULL));
        bus_op_drop(o);
}

void bus_op_list_done(void *userdata, const ChatError *error, bool more) {
        BusOp *o = userdata;
        int r;

        if (error) {
                bus_op_refuse(o, error);
                return;
        }
        r = bus_list_end(&o->list, more);
        if (r < 0)
                bus_op_fail(o, r);
        else
                bus_op_reply(o, o->list.reply);
}
