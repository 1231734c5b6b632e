/* SPDX-License-Identifier: GPL-3.0-or-later */

/* People. */

#include "bus/bus-internal.h"

#define PEER_ENTRIES 16

static size_t peer_size(const ChatPeer *p) {
        return (size_t)PEER_ENTRIES * BUS_DICT_ENTRY_SIZE + bus_string_size(p->name) +
                bus_string_size(p->account) + bus_string_size(p->presence) +
                bus_string_size(p->note) + bus_string_size(p->claimed_name) +
                bus_string_size(p->other_account) + bus_strings_size(p->endpoints) +
                bus_strings_size(p->via) + bus_strings_size(p->rooms);
}

static bool on_peer(void *userdata, const ChatPeer *p) {
        BusOp *o = userdata;
        BusList *l = &o->list;
        BusDict d;

        if (!bus_list_takes(l, peer_size(p)))
                return false;
        d = bus_dict_open(l->reply);
        bus_dict_string(&d, "name", p->name);
        bus_dict_string(&d, "account", p->account);
        bus_dict_string(&d, "presence", p->presence);
        bus_dict_string(&d, "note", p->note);
        bus_dict_time(&d, "last-seen", p->last_seen);
        if (p->endpoints && *p->endpoints)
                bus_dict_strings(&d, "endpoints", p->endpoints);
        if (p->via && *p->via)
                bus_dict_strings(&d, "via", p->via);
        if (p->rooms && *p->rooms)
                bus_dict_strings(&d, "rooms", p->rooms);
        bus_dict_flag(&d, "verified", p->verified);
        bus_dict_flag(&d, "blocked", p->blocked);
        bus_dict_flag(&d, "contact", p->contact);
        bus_dict_string(&d, "claimed-name", p->claimed_name);
        bus_dict_flag(&d, "key-changed", p->key_changed);
        bus_dict_string(&d, "other-account", p->other_account);
        l->r = bus_dict_close(&d);
        return l->r >= 0;
}

static int method_list_peers(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        ChatListPeers args = {};
        BusLimit limit = {};
        int all = false;
        const BusOption options[] = {
                {"all", 'b', &all},
                {"after", 's', &args.after},
                {"name", 's', &args.name},
                BUS_OPTION_LIMIT(&limit),
                {},
        };
        BusOp *o;
        int r;

        r = bus_options_read(m, options, error);
        if (r < 0)
                return r;
        r = bus_limit_check(&limit, error);
        if (r < 0)
                return r;
        args.all = all;
        args.limit = limit.rows;
        r = bus_op_open(b, m, error, &o);
        if (r < 0)
                return r;
        r = bus_list_begin(&o->list, m, &limit);
        if (r < 0) {
                bus_op_drop(o);
                return r;
        }
        chat_list_peers(b->chat, &args, on_peer, bus_op_list_done, o);
        return 1;
}

static int method_set_presence(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_op_call_two(m, userdata, error, chat_set_presence);
}

const sd_bus_vtable bus_peer_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("ListPeers", SD_BUS_ARGS("a{sv}", options),
                SD_BUS_RESULT("aa{sv}", peers), method_list_peers, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("SetPresence",
                SD_BUS_ARGS("s", presence, "s", note, "a{sv}", options), SD_BUS_NO_RESULT,
                method_set_presence, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Accept", SD_BUS_ARGS("s", name, "a{sv}", options),
                SD_BUS_NO_RESULT, bus_method_accept, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("AddContact", SD_BUS_ARGS("s", name, "a{sv}", options),
                SD_BUS_NO_RESULT, bus_method_add_contact, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("RemoveContact", SD_BUS_ARGS("s", name, "a{sv}", options),
                SD_BUS_NO_RESULT, bus_method_remove_contact, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Block", SD_BUS_ARGS("s", name, "a{sv}", options), SD_BUS_NO_RESULT,
                bus_method_block, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Unblock", SD_BUS_ARGS("s", name, "a{sv}", options),
                SD_BUS_NO_RESULT, bus_method_unblock, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("RenameContact",
                SD_BUS_ARGS("s", name, "s", alias, "a{sv}", options), SD_BUS_NO_RESULT,
                bus_method_rename_contact, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("ListRequests", SD_BUS_ARGS("a{sv}", options),
                SD_BUS_RESULT("aa{sv}", requests), bus_method_list_requests, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Verify", SD_BUS_ARGS("s", name, "a{sv}", options),
                SD_BUS_RESULT("a{sv}", result), bus_method_verify, BUS_ANYBODY),
        SD_BUS_SIGNAL_WITH_ARGS(
                "PeerChanged", SD_BUS_ARGS("s", name, "s", presence, "a{sv}", details), 0),
        SD_BUS_SIGNAL_WITH_ARGS(
                "RequestReceived", SD_BUS_ARGS("s", name, "s", text, "a{sv}", details), 0),
        SD_BUS_VTABLE_END,
};
