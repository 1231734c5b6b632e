/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Events: as signals when they happen, as rows for those who come later. */

#include "bus/bus-internal.h"

/* The arguments of a signal by name, as ListEvents gives them, and what both say beside. */

static void message_arguments(BusDict *d, const ChatMessage *m) {
        bus_dict_string(d, "id", m->id);
        bus_dict_string(d, "from", m->from);
        bus_dict_string(d, "room", m->room);
        bus_dict_string(d, "text", m->text);
}

static void event_arguments(BusDict *d, const ChatEvent *e) {
        switch (e->kind) {
        case CHAT_EVENT_MESSAGE:
                message_arguments(d, e->message);
                break;
        case CHAT_EVENT_REQUEST:
                bus_dict_string(d, "name", e->message->from);
                bus_dict_string(d, "text", e->message->text);
                break;
        case CHAT_EVENT_STATE:
                bus_dict_string(d, "id", e->id);
                bus_dict_string(d, "to", e->to);
                bus_dict_string(d, "state", e->state);
                break;
        case CHAT_EVENT_PEER:
                bus_dict_string(d, "name", e->name);
                bus_dict_string(d, "presence", e->presence);
                break;
        case CHAT_EVENT_ROOM:
                bus_dict_string(d, "room", e->room);
                bus_dict_string(d, "change", e->change);
                break;
        case CHAT_EVENT_GAP:
                bus_dict_time(d, "lost", e->lost);
                break;
        case CHAT_EVENT_REPLACED:
                break; /* it has none */
        }
}

static void room_state_details(BusDict *d, const ChatEvent *e) {
        bus_dict_string(d, "room", e->room);
        bus_dict_number(d, "delivered-to", e->delivered_to);
        bus_dict_number(d, "read-by", e->read_by);
        bus_dict_number(d, "members", e->members);
}

static void event_details(BusDict *d, const ChatEvent *e) {
        const ChatMessage *m = e->message;

        bus_dict_string(d, "account", e->account);
        bus_dict_time(d, "cursor", e->cursor);
        bus_dict_string(d, "reason", e->reason);
        if (e->state && streq(e->state, "stored"))
                bus_dict_number(d, "replicas", e->replicas);
        if (e->kind == CHAT_EVENT_STATE && e->room)
                room_state_details(d, e);
        if (e->kind == CHAT_EVENT_ROOM) {
                bus_dict_string(d, "name", e->name);
                bus_dict_string(d, "role", e->role);
                bus_dict_string(d, "topic", e->topic);
                bus_dict_string(d, "inviter", e->inviter);
                bus_dict_string(d, "inviter-account", e->inviter_account);
        }
        bus_dict_string(d, "room-id", m ? m->room_id : e->room_id);
        bus_dict_flag(d, "request", e->request);
        if (e->key) {
                bus_dict_bool(d, "key-changed", e->key_changed);
                bus_dict_string(d, "other-account", e->other_account);
        }
        if (!m)
                return;
        if (e->kind == CHAT_EVENT_REQUEST)
                bus_dict_string(d, "id", m->id);
        if (m->kind && !streq(m->kind, "text"))
                bus_dict_string(d, "kind", m->kind);
        bus_message_details(d, m);
}

static const char *event_name(const ChatEvent *e) {
        static const char *const names[] = {
                [CHAT_EVENT_GAP] = "Gap",
                [CHAT_EVENT_MESSAGE] = "MessageReceived",
                [CHAT_EVENT_STATE] = "MessageStateChanged",
                [CHAT_EVENT_PEER] = "PeerChanged",
                [CHAT_EVENT_REQUEST] = "RequestReceived",
                [CHAT_EVENT_ROOM] = "RoomChanged",
                [CHAT_EVENT_REPLACED] = "SessionReplaced",
        };

        return names[e->kind];
}

/* Signals */

/* The text has been found to be UTF-8 already. For sd-bus to look again, a byte at a time, would be
 * a quarter of the signal's cost. */
static int append_text(sd_bus_message *s, const char *text) {
        size_t n = strlen(text);
        char *to;
        int r;

        r = sd_bus_message_append_string_space(s, n, &to);
        if (r >= 0)
                copy_bytes(to, text, n); /* it ends with a zero already */
        return r;
}

static int signal_append_message(sd_bus_message *s, const ChatMessage *m) {
        int r;

        r = sd_bus_message_append(s, "sss", m->id, m->from, m->room ?: "");
        return r < 0 ? r : append_text(s, m->text ?: "");
}

static int signal_append(sd_bus_message *s, const ChatEvent *e) {
        int r;

        switch (e->kind) {
        case CHAT_EVENT_MESSAGE:
                return signal_append_message(s, e->message);
        case CHAT_EVENT_STATE:
                return sd_bus_message_append(s, "sss", e->id, e->to, e->state);
        case CHAT_EVENT_PEER:
                return sd_bus_message_append(s, "ss", e->name, e->presence);
        case CHAT_EVENT_ROOM:
                return sd_bus_message_append(s, "ss", e->room, e->change);
        case CHAT_EVENT_REQUEST:
                r = sd_bus_message_append(s, "s", e->message->from);
                return r < 0 ? r : append_text(s, e->message->text ?: "");
        case CHAT_EVENT_REPLACED:
                return 0;
        default:
                return -EINVAL; /* gaps are for those who ask */
        }
}

static int emit(Bus *b, const ChatEvent *e) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *s = NULL;
        BusDict d;
        int r;

        r = bus_signal_new(b, event_name(e), &s);
        if (r >= 0)
                r = signal_append(s, e);
        if (r < 0)
                return r;
        d = bus_dict_open(s);
        event_details(&d, e);
        r = bus_dict_close(&d);
        return r < 0 ? r : sd_bus_send(b->connection, s, NULL);
}

void bus_on_event(void *userdata, const ChatEvent *e) {
        bus_sent(userdata, emit(userdata, e));
}

static int emit_typing(Bus *b, const char *name, const char *account, const char *room, bool on) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *s = NULL;
        BusDict d;
        int r;

        r = bus_signal_new(b, "TypingChanged", &s);
        if (r >= 0)
                r = sd_bus_message_append(s, "sb", name, on);
        if (r < 0)
                return r;
        d = bus_dict_open(s);
        bus_dict_string(&d, "account", account);
        bus_dict_string(&d, "room", room);
        r = bus_dict_close(&d);
        return r < 0 ? r : sd_bus_send(b->connection, s, NULL);
}

void bus_on_typing_changed(
        void *userdata, const char *name, const char *account, const char *room, bool on) {
        bus_sent(userdata, emit_typing(userdata, name, account, room, on));
}

/* Rows */

#define EVENT_ENTRIES 20 /* beside those of a message */

static size_t event_size(const ChatEvent *e) {
        return (size_t)EVENT_ENTRIES * BUS_DICT_ENTRY_SIZE +
                (e->message ? bus_message_size(e->message) : 0) + bus_string_size(e->id) +
                bus_string_size(e->to) + bus_string_size(e->name) + bus_string_size(e->account) +
                bus_string_size(e->other_account) + bus_string_size(e->room) +
                bus_string_size(e->room_id) + bus_string_size(e->topic) +
                bus_string_size(e->inviter) + bus_string_size(e->inviter_account);
}

static bool on_event(void *userdata, const ChatEvent *e) {
        BusList *l = userdata;
        BusDict d;

        if (!bus_list_takes(l, event_size(e)))
                return false;
        d = bus_dict_open(l->reply);
        bus_dict_string(&d, "event", event_name(e));
        bus_dict_time(&d, "time", e->time); /* a signal is heard when it happens */
        event_arguments(&d, e);
        event_details(&d, e);
        l->r = bus_dict_close(&d);
        return l->r >= 0;
}

static int events_send(Bus *b, sd_bus_message *call, const ChatListEvents *args, BusList *l) {
        ChatError refusal = {};
        uint64_t next;
        int r;

        r = chat_list_events(b->chat, args, on_event, l, &next, &refusal);
        if (r < 0)
                return refusal.name ? bus_reply_error(call, &refusal) : r;
        /* What did not fit comes after `next`, which is all that a caller has to know. */
        l->full = false;
        r = bus_list_end(l, false);
        if (r >= 0)
                r = sd_bus_message_append(l->reply, "t", next);
        if (r < 0)
                return r;
        bus_sent(b, sd_bus_send(b->connection, l->reply, NULL));
        return 1;
}

int bus_method_list_events(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ChatListEvents args = {};
        const BusOption options[] = {
                {"client", 's', &args.client},
                {},
        };
        BusList list;
        int r;

        r = sd_bus_message_read(m, "tu", &args.cursor, &args.max);
        if (r < 0)
                return r;
        r = bus_options_read(m, options, error);
        if (r < 0)
                return r;
        if (args.max == 0 || args.max > BUS_LIST_MAX)
                args.max = BUS_LIST_MAX;
        r = bus_list_begin(&list, m, &(BusLimit){.rows = args.max, .given = true});
        if (r < 0)
                return r;
        r = events_send(userdata, m, &args, &list);
        bus_list_done(&list);
        return r;
}

int bus_method_ack_events(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        const char *client;
        uint64_t cursor;
        BusOp *o;
        int r;

        r = sd_bus_message_read(m, "st", &client, &cursor);
        if (r < 0)
                return r;
        r = bus_op_open(b, m, error, &o);
        if (r < 0)
                return r;
        chat_ack_events(b->chat, client, cursor, bus_op_done, o);
        return 1;
}
