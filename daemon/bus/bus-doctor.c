/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Doctor: the bus is looked at here, the rest by chat. */

#include "bus/bus-internal.h"

static void on_check(void *userdata, const ChatCheck *c) {
        BusList *l = userdata;
        BusDict d;

        if (l->r < 0)
                return;
        d = bus_dict_open(l->reply);
        bus_dict_string(&d, "check", c->check);
        bus_dict_string(&d, "state", c->state);
        bus_dict_string(&d, "text", c->text);
        bus_dict_string(&d, "advice", c->advice);
        l->r = bus_dict_close(&d);
}

/* That the question has come this far is the best proof that the bus works. */
static void check_bus(const Bus *b, BusList *l) {
        if (b->complained)
                on_check(l,
                        &(ChatCheck){.check = "bus",
                                .state = "warning",
                                .text = "The session bus works now, but some messages to clients "
                                        "were lost on it.",
                                .advice = "See the journal of p2pchatd; what was lost is in the "
                                          "history."});
        else
                on_check(l,
                        &(ChatCheck){.check = "bus",
                                .state = "ok",
                                .text = "The session bus carries " BUS_NAME "."});
}

int bus_method_doctor(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        BusList l;
        int r;

        r = bus_list_begin(&l, m, &(BusLimit){});
        if (r < 0)
                return r;
        check_bus(b, &l);
        chat_doctor(b->chat, on_check, &l);
        r = bus_list_end(&l, false);
        if (r >= 0)
                bus_sent(b, sd_bus_send(b->connection, l.reply, NULL));
        bus_list_done(&l);
        return r < 0 ? r : 1;
}
