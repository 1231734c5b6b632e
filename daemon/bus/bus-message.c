/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Messages and conversations. */

#include "bus/bus-internal.h"

static void on_sent(void *userdata, const ChatError *error, const char *id) {
        BusOp *o = userdata;

        if (error)
                bus_op_refuse(o, error);
        else
                bus_op_reply_string(o, id);
}

static int method_send(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        ChatSend args = {};
        const BusOption options[] = {
                {"id", 's', &args.id},
                {"reply-to", 's', &args.reply_to},
                {"expires", 't', &args.expires},
                {},
        };
        BusOp *o;
        int r;

        r = sd_bus_message_read(m, "ss", &args.to, &args.text);
        if (r < 0)
                return r;
        r = bus_options_read(m, options, error);
        if (r < 0)
                return r;
        r = bus_op_open(b, m, error, &o);
        if (r < 0)
                return r;
        chat_send(b->chat, &args, on_sent, o);
        return 1;
}

void bus_message_details(BusDict *d, const ChatMessage *m) {
        bus_dict_string(d, "reply-to", m->reply_to);
        bus_dict_time(d, "expires", m->expires);
        bus_dict_time(d, "sent", m->sent);
        bus_dict_time(d, "stored", m->stored);
        bus_dict_time(d, "received", m->received);
        bus_dict_flag(d, "late", m->late);
        bus_dict_flag(d, "clock-ahead", m->clock_ahead);
        bus_dict_flag(d, "old-device", m->old_device);
        if (m->gap_before > 0)
                bus_dict_number(
                        d, "gap-before", (unsigned)MIN(m->gap_before, (uint64_t)UINT32_MAX));
}

static int message_append(sd_bus_message *reply, const ChatMessage *m) {
        BusDict d = bus_dict_open(reply);

        bus_dict_string(&d, "id", m->id);
        bus_dict_string(&d, "from", m->from);
        bus_dict_string(&d, "to", m->to);
        bus_dict_string(&d, "from-account", m->from_account);
        bus_dict_string(&d, "to-account", m->to_account);
        bus_dict_string(&d, "room", m->room);
        bus_dict_string(&d, "room-id", m->room_id);
        bus_dict_string(&d, "text", m->text);
        bus_dict_string(&d, "kind", m->kind);
        bus_dict_string(&d, "state", m->state);
        bus_dict_string(&d, "reason", m->reason);
        if (m->state && streq(m->state, "stored"))
                bus_dict_number(&d, "replicas", m->replicas);
        if (m->room && m->members > 0) {
                bus_dict_number(&d, "delivered-to", m->delivered_to);
                bus_dict_number(&d, "read-by", m->read_by);
                bus_dict_number(&d, "members", m->members);
        }
        bus_message_details(&d, m);
        return bus_dict_close(&d);
}

#define MESSAGE_ENTRIES 25

size_t bus_message_size(const ChatMessage *m) {
        return (size_t)MESSAGE_ENTRIES * BUS_DICT_ENTRY_SIZE + bus_string_size(m->id) +
                bus_string_size(m->from) + bus_string_size(m->to) +
                bus_string_size(m->from_account) + bus_string_size(m->to_account) +
                bus_string_size(m->room) + bus_string_size(m->room_id) + bus_string_size(m->text) +
                bus_string_size(m->kind) + bus_string_size(m->state) + bus_string_size(m->reason) +
                bus_string_size(m->reply_to);
}

/* A page that goes back from the newest must keep its newest rows when it is full, but they come
 * last. So the rest is only measured then, and those that fit are read a second time. */
typedef struct MessagePage {
        BusList list;
        bool backward;
        unsigned n;
        size_t sizes[BUS_LIST_MAX];
} MessagePage;

static bool on_message(void *userdata, const ChatMessage *m) {
        MessagePage *p = userdata;
        size_t size = bus_message_size(m);

        if (p->n == BUS_LIST_MAX)
                return false;
        p->sizes[p->n++] = size;
        if (!bus_list_takes(&p->list, size))
                return p->backward && p->list.r >= 0;
        p->list.r = message_append(p->list.reply, m);
        return p->list.r >= 0;
}

static unsigned page_count_newest(const MessagePage *p, const BusList *empty) {
        BusList l = *empty;
        unsigned n = 0;

        while (n < p->n && bus_list_takes(&l, p->sizes[p->n - 1 - n]))
                n++;
        return n;
}

static int page_read(
        Chat *c, ChatListMessages *args, MessagePage *p, bool *ret_more, ChatError *error) {
        p->n = 0;
        return chat_list_messages(c, args, on_message, p, ret_more, error);
}

static int page_read_newest(Chat *c, sd_bus_message *call, const BusLimit *limit,
        ChatListMessages *args, MessagePage *p, ChatError *error) {
        bool more;
        int r;

        bus_list_done(&p->list);
        r = bus_list_begin(&p->list, call, limit);
        if (r < 0)
                return r;
        args->limit = page_count_newest(p, &p->list);
        r = page_read(c, args, p, &more, error);
        p->list.full = true;
        return r;
}

static int page_send(Bus *b, sd_bus_message *call, const BusLimit *limit, ChatListMessages *args,
        MessagePage *p) {
        ChatError refusal = {};
        bool more = false;
        int r;

        r = page_read(b->chat, args, p, &more, &refusal);
        if (r >= 0 && p->list.full && p->backward)
                r = page_read_newest(b->chat, call, limit, args, p, &refusal);
        if (r < 0)
                return refusal.name ? bus_reply_error(call, &refusal) : r;
        r = bus_list_end(&p->list, more);
        if (r < 0)
                return r;
        bus_sent(b, sd_bus_send(b->connection, p->list.reply, NULL));
        return 1;
}

static int method_list_messages(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ChatListMessages args = {};
        BusLimit limit = {};
        const BusOption options[] = {
                {"before", 's', &args.before},
                {"after", 's', &args.after},
                BUS_OPTION_LIMIT(&limit),
                {},
        };
        MessagePage page;
        int r;

        r = sd_bus_message_read(m, "s", &args.with);
        if (r < 0)
                return r;
        r = bus_options_read(m, options, error);
        if (r < 0)
                return r;
        r = bus_limit_check(&limit, error);
        if (r < 0)
                return r;
        args.limit = limit.rows;
        page.backward = !args.after;
        r = bus_list_begin(&page.list, m, &limit);
        if (r < 0)
                return r;
        r = page_send(userdata, m, &limit, &args, &page);
        bus_list_done(&page.list);
        return r;
}

#define CONVERSATION_ENTRIES 9

static bool on_conversation(void *userdata, const ChatConversation *v) {
        BusList *l = userdata;
        BusDict d;

        if (!bus_list_takes(l,
                    CONVERSATION_ENTRIES * BUS_DICT_ENTRY_SIZE + bus_string_size(v->with) +
                            bus_string_size(v->account) + bus_string_size(v->room_id) +
                            bus_string_size(v->last_id) + bus_string_size(v->state)))
                return false;
        d = bus_dict_open(l->reply);
        bus_dict_string(&d, "with", v->with);
        bus_dict_string(&d, "account", v->account);
        bus_dict_string(&d, "room-id", v->room_id);
        bus_dict_string(&d, "last-id", v->last_id);
        bus_dict_time(&d, "last-time", v->last_time);
        bus_dict_number(&d, "unread", v->unread);
        bus_dict_string(&d, "state", v->state);
        l->r = bus_dict_close(&d);
        return l->r >= 0;
}

static int list_send(
        Bus *b, sd_bus_message *call, BusListFn fn, const char *after, unsigned limit, BusList *l) {
        ChatError refusal = {};
        bool more = false;
        int r;

        r = fn(b->chat, after, limit, l, &more, &refusal);
        if (r < 0)
                return refusal.name ? bus_reply_error(call, &refusal) : r;
        r = bus_list_end(l, more);
        if (r < 0)
                return r;
        bus_sent(b, sd_bus_send(b->connection, l->reply, NULL));
        return 1;
}

int bus_list_answer(sd_bus_message *m, Bus *b, sd_bus_error *error, BusListFn fn) {
        const char *after = NULL;
        BusLimit limit = {};
        const BusOption options[] = {
                {"after", 's', &after},
                BUS_OPTION_LIMIT(&limit),
                {},
        };
        BusList list;
        int r;

        r = bus_options_read(m, options, error);
        if (r < 0)
                return r;
        r = bus_limit_check(&limit, error);
        if (r < 0)
                return r;
        r = bus_list_begin(&list, m, &limit);
        if (r < 0)
                return r;
        r = list_send(b, m, fn, after, limit.rows, &list);
        bus_list_done(&list);
        return r;
}

static int list_conversations(
        Chat *c, const char *after, unsigned limit, BusList *l, bool *ret_more, ChatError *error) {
        return chat_list_conversations(c, after, limit, on_conversation, l, ret_more, error);
}

static int method_list_conversations(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_list_answer(m, userdata, error, list_conversations);
}

static bool on_waiting(void *userdata, const ChatMessage *m) {
        BusList *l = userdata;

        if (!bus_list_takes(l, bus_message_size(m)))
                return false;
        l->r = message_append(l->reply, m);
        return l->r >= 0;
}

static int list_outbox(
        Chat *c, const char *after, unsigned limit, BusList *l, bool *ret_more, ChatError *error) {
        return chat_list_outbox(c, after, limit, on_waiting, l, ret_more, error);
}

static int method_list_outbox(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_list_answer(m, userdata, error, list_outbox);
}

static int method_mark_read(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_op_call(m, userdata, error, chat_mark_read);
}

static int method_set_typing(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ChatError refusal;
        Bus *b = userdata;
        const char *to;
        int on, r;

        r = sd_bus_message_read(m, "sb", &to, &on);
        if (r < 0)
                return r;
        if (chat_set_typing(b->chat, to, on, &refusal) < 0)
                return bus_reply_error(m, &refusal);
        bus_sent(b, sd_bus_reply_method_return(m, NULL));
        return 1;
}

static int method_cancel(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_op_call(m, userdata, error, chat_cancel);
}

const sd_bus_vtable bus_message_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Send", SD_BUS_ARGS("s", to, "s", text, "a{sv}", options),
                SD_BUS_RESULT("s", id), method_send, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("ListConversations", SD_BUS_ARGS("a{sv}", options),
                SD_BUS_RESULT("aa{sv}", conversations), method_list_conversations, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("ListMessages", SD_BUS_ARGS("s", with, "a{sv}", options),
                SD_BUS_RESULT("aa{sv}", messages), method_list_messages, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Digest", SD_BUS_ARGS("s", with, "a{sv}", options),
                SD_BUS_RESULT("a{sv}", digest), bus_method_digest, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("ListEvents", SD_BUS_ARGS("t", cursor, "u", max, "a{sv}", options),
                SD_BUS_RESULT("aa{sv}", events, "t", next), bus_method_list_events, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("AckEvents",
                SD_BUS_ARGS("s", client, "t", cursor, "a{sv}", options), SD_BUS_NO_RESULT,
                bus_method_ack_events, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("MarkRead", SD_BUS_ARGS("s", id, "a{sv}", options),
                SD_BUS_NO_RESULT, method_mark_read, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("ListOutbox", SD_BUS_ARGS("a{sv}", options),
                SD_BUS_RESULT("aa{sv}", messages), method_list_outbox, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_ARGS("s", id, "a{sv}", options), SD_BUS_NO_RESULT,
                method_cancel, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Search", SD_BUS_ARGS("s", words, "a{sv}", options),
                SD_BUS_RESULT("aa{sv}", messages), bus_method_not_built, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("SetTyping", SD_BUS_ARGS("s", to, "b", on, "a{sv}", options),
                SD_BUS_NO_RESULT, method_set_typing, BUS_ANYBODY),
        SD_BUS_SIGNAL_WITH_ARGS("MessageReceived",
                SD_BUS_ARGS("s", id, "s", from, "s", room, "s", text, "a{sv}", details), 0),
        SD_BUS_SIGNAL_WITH_ARGS("MessageStateChanged",
                SD_BUS_ARGS("s", id, "s", to, "s", state, "a{sv}", details), 0),
        SD_BUS_SIGNAL_WITH_ARGS(
                "TypingChanged", SD_BUS_ARGS("s", from, "b", on, "a{sv}", details), 0),
        SD_BUS_VTABLE_END,
};
