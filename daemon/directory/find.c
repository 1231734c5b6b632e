/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Looking for somebody wherever he may be: at trackers, whose word on a name counts, and on the
 * LAN, where everybody is called what he likes. */

#include <utlist.h>

#include "directory/lan-private.h"

struct Find {
        Directory *directory;
        char name[NAME_SIZE]; /* "": by account */
        uint8_t account[KEY_SIZE];
        bool asking; /* trackers */
        Code refused; /* what they said */
        void *probe; /* of who is on the LAN */
        DirectoryFindFn fn; /* NULL: nobody waits any more */
        void *userdata;
        Find *prev, *next;
};

static void find_free(Find *f) {
        Directory *d = f->directory;

        if (f->probe)
                d->callbacks->probe_free(f->probe);
        DL_DELETE(d->finds, f);
        free(f);
}

/* The questions that they have asked go as well. */
void finds_free(Directory *d) {
        while (d->finds)
                find_free(d->finds);
}

void finds_forget(Directory *d, void *userdata) {
        Find *f, *tmp;

        DL_FOREACH_SAFE (d->finds, f, tmp) {
                if (f->userdata != userdata)
                        continue;
                f->fn = NULL;
                if (!f->asking)
                        find_free(f);
        }
}

static void find_answer(Find *f, Code code, const DirectoryFound *found) {
        DirectoryFindFn fn = f->fn;
        void *userdata = f->userdata;

        find_free(f);
        if (fn)
                fn(userdata, code, found);
}

/* Who claims a name */

typedef struct Claims {
        const char *name;
        uint8_t accounts[DIRECTORY_CLAIMANTS_MAX][KEY_SIZE];
        size_t n;
} Claims;

static bool claims_add(Claims *c, const uint8_t *account) {
        for (size_t i = 0; i < c->n; i++)
                if (key_equal(c->accounts[i], account))
                        return true;
        memcpy(c->accounts[c->n++], account, KEY_SIZE);
        return c->n < ELEMENTSOF(c->accounts);
}

static bool take_claim(void *userdata, const LanPerson *p) {
        Claims *c = userdata;

        return !streq(p->name, c->name) || claims_add(c, p->account);
}

static void find_claims(const Find *f, Claims *c) {
        c->name = f->name;
        if (c->n < ELEMENTSOF(c->accounts))
                directory_lan_each(f->directory, take_claim, c);
}

static void find_ambiguous(Find *f, const Claims *c) {
        DirectoryFound found = {
                .claimants = (const uint8_t(*)[KEY_SIZE])c->accounts, .n_claimants = c->n};

        find_answer(f, CODE_AMBIGUOUS_NAME, &found);
}

/* On the LAN */

static void on_probed(void *userdata, int error, const Greeting *g, Bytes record) {
        Find *f = userdata;
        DirectoryFound found = {.outer = record};

        f->probe = NULL;
        if (error < 0 || (f->name[0] && !streq(g->record.name, f->name))) {
                find_answer(f, f->refused, NULL);
                return;
        }
        found.record = &g->record;
        find_answer(f, CODE_OK, &found);
}

/* 1 when he is asked, 0 when he is not there; -ENOTUNIQ: several have the name, which was said. */
static int find_on_lan(Find *f) {
        Directory *d = f->directory;
        Claims c = {};
        SockAddr at;

        if (f->name[0]) {
                find_claims(f, &c);
                if (c.n > 1) {
                        find_ambiguous(f, &c);
                        return -ENOTUNIQ;
                }
                if (c.n == 0)
                        return 0;
                memcpy(f->account, c.accounts[0], KEY_SIZE);
        }
        return directory_lan_endpoints(d, f->account, &at, 1) > 0 &&
                d->callbacks->probe(d->userdata, f->account, &at, on_probed, f, &f->probe) >= 0;
}

/* At trackers */

static void on_looked_up(void *userdata, Code code, const Record *record, Bytes outer,
        const PresenceRecord *presence) {
        Find *f = userdata;
        DirectoryFound found = {
                .record = record, .outer = outer, .presence = presence, .confirmed = true};
        Claims c = {};

        f->asking = false;
        f->refused = code;
        if (!f->fn) {
                find_free(f);
                return;
        }
        if (code != CODE_OK) {
                if (find_on_lan(f) == 0)
                        find_answer(f, code, NULL);
                return;
        }
        if (f->name[0]) {
                (void)claims_add(&c, record->account);
                find_claims(f, &c);
        }
        if (c.n > 1)
                find_ambiguous(f, &c);
        else
                find_answer(f, CODE_OK, &found);
}

int directory_find(Directory *d, const char *name, const uint8_t *account, DirectoryFindFn fn,
        void *userdata) {
        Find *f = calloc(1, sizeof(*f));
        int r;

        if (!f)
                return -ENOMEM;
        *f = (Find){.directory = d,
                .refused = CODE_TRACKER_UNREACHABLE,
                .fn = fn,
                .userdata = userdata};
        if (name)
                memcpy(f->name, name, strnlen(name, NAME_MAX_LENGTH));
        else
                memcpy(f->account, account, KEY_SIZE);
        DL_APPEND(d->finds, f);
        f->asking = true;
        if (directory_lookup(d, name, account, on_looked_up, f) >= 0)
                return 0;
        f->asking = false;
        r = find_on_lan(f);
        if (r == 0)
                find_free(f);
        return r == 0 ? -ENOTCONN : 0;
}
