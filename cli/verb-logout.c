/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/bus.h"

int verb_logout(Chatc *c, char **argv) {
        Args a;
        int r;

        r = chatc_args(c, argv, NULL, 0, 0, &a);
        if (r > 0)
                return r;
        r = call_void(c, &(Call){.method = "Logout"});
        if (r > 0)
                return r;
        if (!c->quiet && !c->json)
                puts("Logged out; what is queued stays on this device.");
        return 0;
}
