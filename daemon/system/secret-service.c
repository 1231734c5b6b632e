/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "system/secret-service.h"

#include <ctype.h>
#include <stdio.h>

#include <systemd/sd-bus.h>

#define NAME "org.freedesktop.secrets"
#define OBJECT "/org/freedesktop/secrets"
#define INTERFACE "org.freedesktop.Secret."
#define PROPERTIES "org.freedesktop.DBus.Properties"

#define SCHEMA "org.p2pchat.StoreKey"
#define LABEL "p2pchat: key of the store"

/* How long the service has for an answer. Where it asks the user, that is not part of it. */
#define PATIENCE (30 * USEC_PER_SEC)

typedef enum Operation {
        OPERATION_NONE,
        OPERATION_GET,
        OPERATION_PUT,
        OPERATION_REMOVE,
} Operation;

struct SecretService {
        sd_bus *bus;
        const SecretCallbacks *callbacks;
        void *userdata;
        char id[2 * SECRET_ID_SIZE + 1];
        Operation operation;
        bool await; /* of OPERATION_GET */
        char secret[2 * SECRET_SIZE + 1]; /* of OPERATION_PUT */
        bool blocked; /* something is in the way */
        bool again; /* something has changed since it was begun */
        bool prompted; /* the user has been asked */
        bool last; /* the operation is over when the prompt is */
        char *session, *collection; /* objects of the service */
        sd_bus_slot *call, *completed;
};

static void begin(SecretService *s);
static void search(SecretService *s);

/* Ending */

static void forget(SecretService *s) {
        s->call = sd_bus_slot_unref(s->call);
        s->completed = sd_bus_slot_unref(s->completed);
}

static void done(SecretService *s, const uint8_t *secret) {
        forget(s);
        s->operation = OPERATION_NONE;
        explicit_bzero(s->secret, sizeof(s->secret));
        s->callbacks->done(s->userdata, secret);
}

static void block(SecretService *s, SecretState state, const char *error) {
        forget(s);
        s->blocked = true;
        s->callbacks->state(s->userdata, state, error ?: "");
        if (s->again && s->operation != OPERATION_NONE)
                begin(s);
}

static bool is_absent(const sd_bus_error *e) {
        static const char *const names[] = {SD_BUS_ERROR_SERVICE_UNKNOWN,
                SD_BUS_ERROR_NAME_HAS_NO_OWNER, "org.freedesktop.systemd1.NoSuchUnit",
                "org.freedesktop.systemd1.UnitMasked"};

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (sd_bus_error_has_name(e, names[i]))
                        return true;
        return strncmp(e->name ?: "", "org.freedesktop.DBus.Error.Spawn.",
                       STRLEN("org.freedesktop.DBus.Error.Spawn.")) == 0;
}

static void block_error(SecretService *s, const sd_bus_error *e) {
        if (sd_bus_error_has_name(e, INTERFACE "Error.IsLocked"))
                block(s, SECRET_LOCKED, e->message);
        else
                block(s, is_absent(e) ? SECRET_ABSENT : SECRET_FAILED, e->message ?: e->name);
}

static void block_errno(SecretService *s, int r) {
        block(s, SECRET_FAILED, strerror(-r));
}

/* Calls */

static int call_new(SecretService *s, const char *path, const char *interface, const char *method,
        sd_bus_message **ret) {
        return sd_bus_message_new_method_call(s->bus, ret, NAME, path, interface, method);
}

/* R: of putting the message together. */
static void call_send(SecretService *s, sd_bus_message *m, int r, sd_bus_message_handler_t fn) {
        s->call = sd_bus_slot_unref(s->call);
        if (r >= 0)
                r = sd_bus_call_async(s->bus, &s->call, m, fn, s, PATIENCE);
        if (r < 0)
                block_errno(s, r);
}

/* True when M is an error, which is in the way then. The slot is of no use any more. */
static bool call_failed(SecretService *s, sd_bus_message *m) {
        s->call = sd_bus_slot_unref(s->call);
        if (!sd_bus_message_is_method_error(m, NULL))
                return false;
        block_error(s, sd_bus_message_get_error(m));
        return true;
}

/* An object of the service; "/" stands for none. */
static int take_object(const char *path, char **ret) {
        char *copy = NULL;

        if (!streq(path, "/")) {
                copy = strdup(path);
                if (!copy)
                        return -ENOMEM;
        }
        free(*ret);
        *ret = copy;
        return 0;
}

static int append_attributes(sd_bus_message *m, const SecretService *s) {
        return sd_bus_message_append(m, "a{ss}", 2, "xdg:schema", SCHEMA, "store", s->id);
}

/* Prompts */

static int on_completed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SecretService *s = userdata;
        int dismissed = true;

        (void)sd_bus_message_read(m, "b", &dismissed);
        forget(s);
        if (dismissed)
                block(s, SECRET_LOCKED, "");
        else if (s->last)
                done(s, NULL);
        else
                search(s);
        return 0;
}

static int on_prompted(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SecretService *s = userdata;

        if (!call_failed(s, m))
                s->callbacks->state(s->userdata, SECRET_PROMPTING, "");
        return 0;
}

/* The user is asked what the service wants to know. */
static void prompt(SecretService *s, const char *path) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        s->prompted = true;
        r = sd_bus_match_signal_async(s->bus, &s->completed, NAME, path, INTERFACE "Prompt",
                "Completed", on_completed, NULL, s);
        if (r >= 0)
                r = call_new(s, path, INTERFACE "Prompt", "Prompt", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "");
        call_send(s, m, r, on_prompted);
}

/* Unlocking */

static int on_unlocked(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SecretService *s = userdata;
        const char *path = "/";
        int r;

        if (call_failed(s, m))
                return 0;
        r = sd_bus_message_skip(m, "ao");
        if (r >= 0)
                r = sd_bus_message_read(m, "o", &path);
        if (r < 0)
                block_errno(s, r);
        else if (streq(path, "/"))
                search(s);
        else
                prompt(s, path);
        return 0;
}

static void unlock(SecretService *s, const char *object) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        if (s->prompted) { /* and it is locked nevertheless */
                block(s, SECRET_LOCKED, "");
                return;
        }
        r = call_new(s, OBJECT, INTERFACE "Service", "Unlock", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "ao", 1, object);
        call_send(s, m, r, on_unlocked);
}

/* What was found */

static int from_hex(const char *text, size_t n, uint8_t ret[static SECRET_SIZE]) {
        unsigned byte;

        if (n != (size_t)2 * SECRET_SIZE)
                return -EBADMSG;
        for (size_t i = 0; i < SECRET_SIZE; i++) {
                if (!isxdigit((unsigned char)text[2 * i]) ||
                        !isxdigit((unsigned char)text[2 * i + 1]) ||
                        sscanf(text + 2 * i, "%2x", &byte) != 1)
                        return -EBADMSG;
                ret[i] = (uint8_t)byte;
        }
        return 0;
}

static int read_secret(sd_bus_message *m, uint8_t ret[static SECRET_SIZE]) {
        const void *value;
        size_t n = 0;
        int r;

        r = sd_bus_message_enter_container(m, 'r', "oayays");
        if (r >= 0)
                r = sd_bus_message_skip(m, "oay");
        if (r >= 0)
                r = sd_bus_message_read_array(m, 'y', &value, &n);
        return r < 0 ? r : from_hex(value, n, ret);
}

static int on_secret(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        uint8_t secret[SECRET_SIZE];
        SecretService *s = userdata;
        int r;

        sd_bus_message_sensitive(m);
        if (call_failed(s, m))
                return 0;
        r = read_secret(m, secret);
        if (r == -EBADMSG)
                block(s, SECRET_FAILED,
                        "the secret with the attributes of the key is something else");
        else if (r < 0)
                block_errno(s, r);
        else
                done(s, secret);
        explicit_bzero(secret, sizeof(secret));
        return 0;
}

static void get_secret(SecretService *s, const char *item) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = call_new(s, item, INTERFACE "Item", "GetSecret", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "o", s->session);
        call_send(s, m, r, on_secret);
}

static int on_deleted(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SecretService *s = userdata;
        const char *path = "/";

        if (call_failed(s, m))
                return 0;
        (void)sd_bus_message_read(m, "o", &path);
        if (streq(path, "/"))
                done(s, NULL);
        else {
                s->last = true;
                prompt(s, path);
        }
        return 0;
}

static void delete_item(SecretService *s, const char *item) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = call_new(s, item, INTERFACE "Item", "Delete", &m);
        call_send(s, m, r, on_deleted);
}

static int on_created(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *item = "/", *path = "/";
        SecretService *s = userdata;
        int r;

        if (call_failed(s, m))
                return 0;
        r = sd_bus_message_read(m, "oo", &item, &path);
        if (r < 0)
                block_errno(s, r);
        else if (streq(path, "/"))
                done(s, NULL);
        else {
                s->last = true;
                prompt(s, path);
        }
        return 0;
}

static int append_item(sd_bus_message *m, const SecretService *s) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", INTERFACE "Item.Label", "s", LABEL);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", INTERFACE "Item.Attributes");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a{ss}");
        if (r >= 0)
                r = append_attributes(m, s);
        for (int i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static void create_item(SecretService *s) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = call_new(s, s->collection, INTERFACE "Collection", "CreateItem", &m);
        if (r >= 0)
                r = sd_bus_message_sensitive(m);
        if (r >= 0)
                r = append_item(m, s);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "oayays");
        if (r >= 0)
                r = sd_bus_message_append(m, "o", s->session);
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', NULL, 0);
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', s->secret, strlen(s->secret));
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "text/plain");
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "b", true);
        call_send(s, m, r, on_created);
}

/* Where nothing was found. What a collection has that is locked is not known to all of them. */

static void found_nothing(SecretService *s, bool locked) {
        if (locked && s->operation == OPERATION_REMOVE)
                block(s, SECRET_LOCKED, "");
        else if (locked)
                unlock(s, s->collection);
        else if (s->operation == OPERATION_PUT)
                create_item(s);
        else if (s->operation == OPERATION_GET && s->await)
                block(s, SECRET_MISSING, "");
        else
                done(s, NULL);
}

static int on_locked(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SecretService *s = userdata;
        int locked = false, r;

        if (call_failed(s, m))
                return 0;
        r = sd_bus_message_read(m, "v", "b", &locked);
        if (r < 0)
                block_errno(s, r);
        else
                found_nothing(s, locked);
        return 0;
}

static void ask_locked(SecretService *s) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = call_new(s, s->collection, PROPERTIES, "Get", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", INTERFACE "Collection", "Locked");
        call_send(s, m, r, on_locked);
}

static void found_nothing_yet(SecretService *s) {
        if (s->collection)
                ask_locked(s);
        else if (s->operation == OPERATION_REMOVE)
                done(s, NULL);
        else
                block(s,
                        s->operation == OPERATION_GET && s->await ? SECRET_MISSING
                                                                  : SECRET_NO_COLLECTION,
                        "");
}

static void found(SecretService *s, const char *item) {
        switch (s->operation) {
        case OPERATION_GET:
                get_secret(s, item);
                break;
        case OPERATION_REMOVE:
                delete_item(s, item);
                break;
        default: /* what is there is replaced */
                found_nothing_yet(s);
        }
}

/* The first of a list; "" where it is empty. */
static int read_first(sd_bus_message *m, const char **ret) {
        const char *path;
        int r;

        *ret = "";
        r = sd_bus_message_enter_container(m, 'a', "o");
        while (r >= 0 && (r = sd_bus_message_read(m, "o", &path)) > 0)
                if (!**ret)
                        *ret = path;
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int on_search(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *unlocked = "", *locked = "";
        SecretService *s = userdata;
        int r;

        if (call_failed(s, m))
                return 0;
        r = read_first(m, &unlocked);
        if (r >= 0)
                r = read_first(m, &locked);
        if (r < 0)
                block_errno(s, r);
        else if (*unlocked)
                found(s, unlocked);
        else if (*locked && s->operation == OPERATION_REMOVE)
                block(s, SECRET_LOCKED, "");
        else if (*locked)
                unlock(s, locked);
        else
                found_nothing_yet(s);
        return 0;
}

static void search(SecretService *s) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = call_new(s, OBJECT, INTERFACE "Service", "SearchItems", &m);
        if (r >= 0)
                r = append_attributes(m, s);
        call_send(s, m, r, on_search);
}

/* Beginning */

static int on_alias(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SecretService *s = userdata;
        const char *path = "/";
        int r;

        if (call_failed(s, m))
                return 0;
        r = sd_bus_message_read(m, "o", &path);
        if (r >= 0)
                r = take_object(path, &s->collection);
        if (r < 0)
                block_errno(s, r);
        else
                search(s);
        return 0;
}

static void read_alias(SecretService *s) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = call_new(s, OBJECT, INTERFACE "Service", "ReadAlias", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "default");
        call_send(s, m, r, on_alias);
}

static int on_session(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SecretService *s = userdata;
        const char *path = "/";
        int r;

        if (call_failed(s, m))
                return 0;
        r = sd_bus_message_skip(m, "v");
        if (r >= 0)
                r = sd_bus_message_read(m, "o", &path);
        if (r >= 0)
                r = take_object(path, &s->session);
        if (r < 0)
                block_errno(s, r);
        else
                read_alias(s);
        return 0;
}

static void begin(SecretService *s) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        forget(s);
        s->blocked = s->again = s->last = false;
        if (s->session) {
                read_alias(s);
                return;
        }
        r = call_new(s, OBJECT, INTERFACE "Service", "OpenSession", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "sv", "plain", "s", "");
        call_send(s, m, r, on_session);
}

/* Something is another way there now. */
static void changed(SecretService *s) {
        if (s->operation == OPERATION_NONE)
                return;
        if (s->blocked)
                begin(s);
        else
                s->again = true;
}

/* Prompts are somebody's, and nothing has changed while they are open. */
static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        if (!streq(sd_bus_message_get_interface(m) ?: "", INTERFACE "Prompt"))
                changed(userdata);
        return 0;
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *before, *after = "";
        SecretService *s = userdata;

        if (sd_bus_message_read(m, "sss", &name, &before, &after) < 0)
                return 0;
        if (!streq(name, NAME)) {
                /* Who logs in to a desktop may have unlocked the key ring, of which gnome-keyring
                 * says nothing; but the desktop comes. */
                if (name[0] != ':' && *after)
                        changed(s);
                return 0;
        }
        if (*before) {
                s->session = mfree(s->session);
                s->collection = mfree(s->collection);
                s->prompted = false;
        }
        if (s->operation == OPERATION_NONE)
                return 0;
        if (*after) {
                changed(s); /* or it was started for what is being asked */
                return 0;
        }
        s->again = false; /* who ends whenever he is asked is not started for ever */
        block(s, SECRET_ABSENT, "");
        return 0;
}

void secret_service_cancel(SecretService *s) {
        forget(s);
        s->operation = OPERATION_NONE;
}

void secret_service_look(SecretService *s) {
        changed(s);
}

void secret_service_get(SecretService *s, bool await) {
        s->operation = OPERATION_GET;
        s->await = await;
        begin(s);
}

void secret_service_put(SecretService *s, const uint8_t secret[static SECRET_SIZE]) {
        for (size_t i = 0; i < SECRET_SIZE; i++)
                snprintf(s->secret + 2 * i, 3, "%02x", secret[i]);
        s->operation = OPERATION_PUT;
        begin(s);
}

void secret_service_remove(SecretService *s) {
        s->operation = OPERATION_REMOVE;
        begin(s);
}

static int service_connect(SecretService *s, sd_event *event) {
        int r;

        r = sd_bus_open_user_with_description(&s->bus, "secrets");
        if (r >= 0)
                r = sd_bus_attach_event(s->bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_add_match_async(s->bus, NULL,
                        "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'",
                        on_owner_changed, NULL, s);
        if (r >= 0)
                r = sd_bus_add_match_async(s->bus, NULL,
                        "type='signal',sender='" NAME "',path_namespace='" OBJECT "'", on_signal,
                        NULL, s);
        return r;
}

int secret_service_new(sd_event *event, const uint8_t id[static SECRET_ID_SIZE],
        const SecretCallbacks *callbacks, void *userdata, SecretService **ret) {
        _cleanup_(secret_service_freep) SecretService *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->callbacks = callbacks;
        s->userdata = userdata;
        for (size_t i = 0; i < SECRET_ID_SIZE; i++)
                snprintf(s->id + 2 * i, 3, "%02x", id[i]);
        r = service_connect(s, event);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

SecretService *secret_service_free(SecretService *s) {
        if (!s)
                return NULL;
        forget(s);
        sd_bus_close_unref(s->bus);
        explicit_bzero(s->secret, sizeof(s->secret));
        free(s->session);
        free(s->collection);
        free(s);
        return NULL;
}
