/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The state of the service: Status, the properties, and their changes. */

#include "bus/bus-internal.h"

/* The number of messages that wait changes with every one that is sent, and with every one that has
 * arrived; nobody looks that often. */
#define ANNOUNCE_INTERVAL (20 * USEC_PER_MSEC)

/* Each row has the three keys, with an empty `error` where there is none: a table, not a bag. */
static int trackers_append(sd_bus_message *m, const ChatStatus *s) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "a{sv}");
        for (size_t i = 0; r >= 0 && i < s->n_trackers; i++) {
                const ChatTracker *t = &s->trackers[i];

                r = sd_bus_message_append(m, "a{sv}", 3, "address", "s", t->address, "state", "s",
                        t->state, "error", "s", t->error ?: "");
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Empty while nothing is handed over. */
static int hand_over_append(sd_bus_message *m, const ChatHandOver *h) {
        BusDict d = bus_dict_open(m);

        if (h->active) {
                bus_dict_string(&d, "direction", h->giving ? "give" : "take");
                bus_dict_u64(&d, "done", h->done);
                bus_dict_u64(&d, "total", h->total);
                bus_dict_bool(&d, "waiting", h->waiting);
        }
        return bus_dict_close(&d);
}

static int method_status(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Bus *b = userdata;
        ChatStatus s = {};
        BusDict d;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        chat_status(b->chat, &s);
        d = bus_dict_open(reply);
        bus_dict_string(&d, "version", P2PCHAT_VERSION);
        bus_dict_string(&d, "name", s.name);
        bus_dict_string(&d, "account", s.account);
        bus_dict_string(&d, "fingerprint", s.fingerprint);
        bus_dict_string(&d, "kept", s.kept);
        bus_dict_string(&d, "state", s.state);
        bus_dict_flag(&d, "no-tracker", s.lan_only);
        bus_dict_flag(&d, "password", s.password);
        bus_dict_string(&d, "key-at-rest", s.key_at_rest);
        bus_dict_string(&d, "presence", s.presence);
        bus_dict_string(&d, "note", s.note);
        bus_dict_flag(&d, "idle", s.idle);
        bus_dict_number(&d, "queued", s.queued);
        bus_dict_number(&d, "mail-stored", s.stored);
        bus_dict_number(&d, "mail-owed", s.owed);
        bus_dict_number(&d, "links", s.links);
        bus_dict_open_value(&d, "trackers", "aa{sv}");
        if (d.r >= 0)
                d.r = trackers_append(reply, &s);
        bus_dict_close_value(&d);
        if (s.hand_over.active) {
                bus_dict_open_value(&d, "hand-over", "a{sv}");
                if (d.r >= 0)
                        d.r = hand_over_append(reply, &s.hand_over);
                bus_dict_close_value(&d);
        }
        bus_dict_number(&d, "nearby", s.nearby);
        bus_dict_strings(&d, "found-trackers", s.found_trackers);
        bus_dict_strings(&d, "problems", s.problems);
        r = bus_dict_close(&d);
        if (r < 0)
                return r;
        bus_sent(b, sd_bus_send(b->connection, reply, NULL));
        return 1;
}

static int property_get_version(sd_bus *connection, const char *path, const char *interface,
        const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", P2PCHAT_VERSION);
}

static int property_get_string(sd_bus *connection, const char *path, const char *interface,
        const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        ChatStatus s = {};
        const char *value;

        chat_status(b->chat, &s);
        value = streq(property, "Name")       ? s.name
                : streq(property, "Account")  ? s.account
                : streq(property, "State")    ? s.state
                : streq(property, "Presence") ? s.presence
                : streq(property, "Note")     ? s.note
                                              : s.fingerprint;
        return sd_bus_message_append(reply, "s", value ?: "");
}

static int property_get_queued(sd_bus *connection, const char *path, const char *interface,
        const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        ChatStatus s = {};

        chat_status(b->chat, &s);
        return sd_bus_message_append(reply, "u", s.queued);
}

static int property_get_nearby(sd_bus *connection, const char *path, const char *interface,
        const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        ChatStatus s = {};

        chat_status(b->chat, &s);
        return sd_bus_message_append(reply, "u", s.nearby);
}

static int property_get_trackers(sd_bus *connection, const char *path, const char *interface,
        const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        ChatStatus s = {};

        chat_status(b->chat, &s);
        return trackers_append(reply, &s);
}

static int property_get_hand_over(sd_bus *connection, const char *path, const char *interface,
        const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        ChatStatus s = {};

        chat_status(b->chat, &s);
        return hand_over_append(reply, &s.hand_over);
}

void bus_on_properties_changed(void *userdata, unsigned properties) {
        Bus *b = userdata;
        usec_t now = loop_now(b->loop), at = usec_add(b->properties_announced, ANNOUNCE_INTERVAL);

        if (b->properties == 0 && properties != 0)
                loop_timer_set(b->properties_timer, MAX(now, at));
        b->properties |= properties;
}

void bus_on_properties_timer(void *userdata) {
        static const struct {
                ChatProperty property;
                const char *name;
        } table[] = {
                {CHAT_NAME, "Name"},
                {CHAT_ACCOUNT, "Account"},
                {CHAT_FINGERPRINT, "Fingerprint"},
                {CHAT_STATE, "State"},
                {CHAT_QUEUED, "Queued"},
                {CHAT_TRACKERS, "Trackers"},
                {CHAT_PRESENCE, "Presence"},
                {CHAT_NOTE, "Note"},
                {CHAT_NEARBY, "Nearby"},
                {CHAT_HAND_OVER, "HandOver"},
        };
        const char *names[ELEMENTSOF(table) + 1];
        Bus *b = userdata;
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (b->properties & table[i].property)
                        names[n++] = table[i].name;
        names[n] = NULL;
        b->properties = 0;
        b->properties_announced = loop_now(b->loop);
        bus_sent(b,
                sd_bus_emit_properties_changed_strv(
                        b->connection, BUS_PATH, BUS_INTERFACE, (char **)names));
}

#define BUS_PROPERTY(member, signature, get)                                                       \
        SD_BUS_PROPERTY(member, signature, get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

const sd_bus_vtable bus_status_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Status", SD_BUS_ARGS("a{sv}", options),
                SD_BUS_RESULT("a{sv}", status), method_status, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Doctor", SD_BUS_ARGS("a{sv}", options),
                SD_BUS_RESULT("aa{sv}", checks), bus_method_doctor, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Ring", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a{sv}", ring),
                bus_method_not_built, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Export", SD_BUS_ARGS("h", fd, "a{sv}", options), SD_BUS_NO_RESULT,
                bus_method_not_built, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Import", SD_BUS_ARGS("h", fd, "a{sv}", options),
                SD_BUS_RESULT("a{sv}", result), bus_method_not_built, BUS_ANYBODY),
        SD_BUS_PROPERTY("Version", "s", property_get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        BUS_PROPERTY("Name", "s", property_get_string),
        BUS_PROPERTY("Account", "s", property_get_string),
        BUS_PROPERTY("Fingerprint", "s", property_get_string),
        BUS_PROPERTY("State", "s", property_get_string),
        BUS_PROPERTY("Queued", "u", property_get_queued),
        BUS_PROPERTY("Trackers", "aa{sv}", property_get_trackers),
        BUS_PROPERTY("Presence", "s", property_get_string),
        BUS_PROPERTY("Note", "s", property_get_string),
        BUS_PROPERTY("Nearby", "u", property_get_nearby),
        BUS_PROPERTY("HandOver", "a{sv}", property_get_hand_over),
        SD_BUS_VTABLE_END,
};
