/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the user makes of people: contacts, requests, blocks. */

#include "bus/bus-internal.h"

int bus_method_accept(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_op_call(m, userdata, error, chat_accept);
}

int bus_method_remove_contact(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_op_call(m, userdata, error, chat_remove_contact);
}

int bus_method_block(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_op_call(m, userdata, error, chat_block);
}

int bus_method_unblock(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_op_call(m, userdata, error, chat_unblock);
}

int bus_method_add_contact(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *at = NULL;
        const BusOption options[] = {
                {"at", 's', &at},
                {},
        };
        Bus *b = userdata;
        BusOp *o;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        r = bus_options_read(m, options, error);
        if (r < 0)
                return r;
        r = bus_op_open(b, m, error, &o);
        if (r < 0)
                return r;
        chat_add_contact(b->chat, name, at, bus_op_done, o);
        return 1;
}

int bus_method_rename_contact(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_op_call_two(m, userdata, error, chat_rename_contact);
}

/* Requests */

#define REQUEST_ENTRIES 5

static bool on_request(void *userdata, const ChatRequest *r) {
        BusList *l = userdata;
        BusDict d;

        if (!bus_list_takes(l,
                    REQUEST_ENTRIES * BUS_DICT_ENTRY_SIZE + bus_string_size(r->name) +
                            bus_string_size(r->account) + bus_string_size(r->text)))
                return false;
        d = bus_dict_open(l->reply);
        bus_dict_string(&d, "name", r->name);
        bus_dict_string(&d, "account", r->account);
        bus_dict_string(&d, "text", r->text);
        bus_dict_time(&d, "received", r->received);
        bus_dict_number(&d, "messages", r->messages);
        l->r = bus_dict_close(&d);
        return l->r >= 0;
}

static int list_requests(
        Chat *c, const char *after, unsigned limit, BusList *l, bool *ret_more, ChatError *error) {
        return chat_list_requests(c, after, limit, on_request, l, ret_more, error);
}

int bus_method_list_requests(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_list_answer(m, userdata, error, list_requests);
}
