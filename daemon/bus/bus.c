/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "bus/bus-internal.h"

#include <systemd/sd-event.h>
#include <utlist.h>

#include "util/log.h"

static const sd_bus_vtable *const vtables[] = {
        bus_account_vtable,
        bus_message_vtable,
        bus_peer_vtable,
        bus_room_vtable,
        bus_status_vtable,
};

#define N_SLOTS (ELEMENTSOF(vtables) + BUS_OBJECT_SLOTS + 1)

static const ChatListener listener = {
        .event = bus_on_event,
        .object_changed = bus_on_object_changed,
        .room_object_changed = bus_on_room_object_changed,
        .properties_changed = bus_on_properties_changed,
        .typing_changed = bus_on_typing_changed,
};

int bus_method_not_built(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return sd_bus_reply_method_errorf(m, BUS_ERROR_PREFIX "NotSupported",
                "%s is not built yet; it comes with a later version.",
                sd_bus_message_get_member(m));
}

void bus_drop_vtables(sd_bus_slot **slots) {
        for (size_t i = 0; slots && i < N_SLOTS; i++)
                sd_bus_slot_unref(slots[i]);
        free(slots);
}

int bus_add_vtables(sd_bus *connection, Bus *b, sd_bus_slot ***ret) {
        sd_bus_slot **slots = calloc(N_SLOTS, sizeof(*slots));
        int r = 0;

        if (!slots)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(vtables); i++)
                r = sd_bus_add_object_vtable(
                        connection, &slots[i], BUS_PATH, BUS_INTERFACE, vtables[i], b);
        if (r >= 0)
                r = bus_add_objects(connection, b, slots + ELEMENTSOF(vtables));
        if (r >= 0)
                r = bus_add_log_control(connection, &slots[N_SLOTS - 1]);
        if (r < 0) {
                bus_drop_vtables(slots);
                return r;
        }
        *ret = slots;
        return 0;
}

/* What cannot be sent is lost: the bus does not read, or is gone. Saying so for each of thousands
 * would only make it worse. */
void bus_sent(Bus *b, int r) {
        if (r >= 0 || b->complained)
                return;
        b->complained = true;
        if (r == -ENOBUFS)
                log_warning(
                        "The session bus takes messages slower than they come; signals and answers "
                        "are lost. Clients see all messages in the history.");
        else
                log_error_errno(r, "Cannot send on the session bus");
}

int bus_signal_new(Bus *b, const char *member, sd_bus_message **ret) {
        return sd_bus_message_new_signal(b->connection, ret, BUS_PATH, BUS_INTERFACE, member);
}

/* Attached to sd-event a connection handles one message a turn of the loop, each with a wait and
 * its book-keeping around it. So once one has come, those behind it are handled in the same turn.
 */
#define BUS_MESSAGES_AT_ONCE 32

static int on_any_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;

        /* sd-bus ends the loop with this. */
        if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Local", "Disconnected") > 0)
                log_error("The session bus is gone, and p2pchatd goes with it");
        loop_defer_arm(b->drain, true);
        return 0;
}

static void on_drain(void *userdata) {
        Bus *b = userdata;
        int n = 0;

        while (n++ < BUS_MESSAGES_AT_ONCE && sd_bus_process(b->connection, NULL) > 0)
                ;
        loop_defer_arm(b->drain, false); /* the rest is for the loop, as other input is */
}

int bus_new_on(sd_bus *connection, sd_event *event, Loop *loop, Chat *chat, Bus **ret) {
        _cleanup_(bus_freep) Bus *b = calloc(1, sizeof(*b));
        int r;

        if (!b)
                return -ENOMEM;
        b->loop = loop;
        b->chat = chat;
        b->connection = sd_bus_ref(connection);
        r = loop_timer_new(loop, bus_on_properties_timer, b, &b->properties_timer);
        if (r < 0)
                return r;
        r = loop_timer_new(loop, bus_on_changes_timer, b, &b->changes_timer);
        if (r < 0)
                return r;
        r = loop_defer_new(loop, LOOP_DEFER_SOON, on_drain, b, &b->drain);
        if (r < 0)
                return r;
        r = sd_bus_add_filter(connection, &b->filter, on_any_message, b);
        if (r < 0)
                return r;
        r = bus_add_vtables(connection, b, &b->slots);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(connection, event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        chat_add_listener(chat, &listener, b);
        *ret = TAKE_PTR(b);
        return 0;
}

int bus_new(sd_event *event, Loop *loop, Chat *chat, Bus **ret) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *connection = NULL;
        _cleanup_(bus_freep) Bus *b = NULL;
        int r;

        r = sd_bus_open_user_with_description(&connection, "session");
        if (r < 0)
                return r;
        r = sd_bus_set_exit_on_disconnect(connection, true);
        if (r < 0)
                return r;
        r = bus_new_on(connection, event, loop, chat, &b);
        if (r < 0)
                return r;
        connection = sd_bus_unref(connection);
        *ret = TAKE_PTR(b);
        return 0;
}

int bus_request_name(Bus *b) {
        int r;

        bus_forget_changes(b); /* who comes now sees them as they are */
        /* Nobody gives it away but who waits (waiting.h). */
        r = sd_bus_request_name(b->connection, BUS_NAME, SD_BUS_NAME_REPLACE_EXISTING);
        return r < 0 ? r : 0;
}

static void leave_chat(Bus *b) {
        static const ChatError gone = {"NotLoggedIn", "The account was deleted meanwhile."};
        BusOp *o, *next;

        DL_FOREACH_SAFE (b->ops, o, next) {
                chat_forget(b->chat, o);
                if (!o->held)
                        bus_op_refuse(o, &gone);
        }
        chat_remove_listener(b->chat, b);
        while (b->changes) /* whose objects go */
                bus_on_changes_timer(b);
        bus_forget_changes(b);
}

void bus_set_chat(Bus *b, Chat *chat) {
        BusOp *o, *next;

        if (b->chat)
                leave_chat(b);
        b->chat = chat;
        if (!chat)
                return;
        chat_add_listener(chat, &listener, b);
        bus_on_properties_changed(b, CHAT_ALL_PROPERTIES);
        DL_FOREACH_SAFE (b->ops, o, next)
                bus_op_done(o, NULL);
}

Bus *bus_free(Bus *b) {
        BusOp *o, *next;

        if (!b)
                return NULL;
        DL_FOREACH_SAFE (b->ops, o, next) {
                if (b->chat)
                        chat_forget(b->chat, o);
                bus_op_drop(o);
        }
        if (b->chat)
                chat_remove_listener(b->chat, b);
        loop_timer_free(b->properties_timer);
        if (b->changes_timer)
                bus_forget_changes(b);
        loop_timer_free(b->changes_timer);
        loop_defer_free(b->drain);
        sd_bus_slot_unref(b->filter);
        bus_drop_vtables(b->slots);
        sd_bus_flush_close_unref(b->connection);
        free(b);
        return NULL;
}
