/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/version.h"

#include <fcntl.h>
#include <systemd/sd-bus.h>

#include "cli/bus.h"
#include "cli/print.h"
#include "cli/unit.h"

/* What the bus says is shown up to here. */
#define VERSION_LENGTH_MAX 32

bool version_differs(const char *version) {
        return *version && !streq(version, P2PCHAT_VERSION);
}

/* Whether nobody was told so far, for this daemon (its unique name on this bus) and this version of
 * chatc; the file that is made here remembers it until the session ends. Where there is no place to
 * remember it, it would be said again and again: so it is left to 'chatc status'. */
static bool is_news(sd_bus *bus, const char *daemon) {
        const char *dir = getenv("XDG_RUNTIME_DIR");
        _cleanup_(freep) char *path = NULL;
        char id[SD_ID128_STRING_MAX];
        _cleanup_(closep) int fd = -EBADF;
        sd_id128_t bus_id;

        if (!dir || dir[0] != '/' || !daemon || sd_bus_get_bus_id(bus, &bus_id) < 0)
                return false;
        if (asprintf(&path, "%s/p2pchat-told-" P2PCHAT_VERSION "-%s-%s", dir,
                    sd_id128_to_string(bus_id, id), daemon) < 0) {
                path = NULL;
                return false;
        }
        fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        return fd >= 0;
}

/* One that was started otherwise than by systemd is not restarted by it. */
static const char *advice(Chatc *c, const char *version) {
        _cleanup_(value_freep) Value *unit = NULL;

        if (strverscmp(version, P2PCHAT_VERSION) > 0)
                return " is newer than this chatc, " P2PCHAT_VERSION
                       "; use the chatc that was installed with it\n";
        unit = unit_get(c);
        if (streq(value_string(unit, "ActiveState"), "active"))
                return " still runs, and this is chatc " P2PCHAT_VERSION
                       "; to run the new one: systemctl --user restart p2pchatd\n";
        return " still runs, and this is chatc " P2PCHAT_VERSION
               "; to run the new one, end it: the next command starts it\n";
}

static void tell(Chatc *c, const char *version) {
        const char *what = advice(c, version);

        fflush(stdout);
        fputs("chatc: p2pchatd ", stderr);
        print_start(stderr, version, VERSION_LENGTH_MAX);
        fputs(what, stderr);
}

static int on_version(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *version;
        Chatc *c = userdata;

        c->version = VERSION_KNOWN;
        if (sd_bus_message_is_method_error(m, NULL) ||
                sd_bus_message_read(m, "v", "s", &version) < 0)
                return 0;
        if (version_differs(version) && is_news(c->bus, sd_bus_message_get_sender(m)))
                tell(c, version);
        return 0;
}

void version_ask(Chatc *c) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        if (c->quiet || c->version != VERSION_UNKNOWN)
                return;
        c->version = VERSION_KNOWN;
        r = sd_bus_message_new_method_call(
                c->bus, &m, BUS_NAME, BUS_PATH, "org.freedesktop.DBus.Properties", "Get");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", BUS_NAME, "Version");
        /* A daemon that is started by the call which follows is the installed one. */
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                r = sd_bus_call_async(c->bus, NULL, m, on_version, c, 0);
        if (r >= 0)
                c->version = VERSION_ASKED;
}

void version_take(Chatc *c) {
        while (c->version == VERSION_ASKED && sd_bus_process(c->bus, NULL) > 0)
                ;
}
