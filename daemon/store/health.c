/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How the store is, in figures and in words. */

#include <stdio.h>

#include "store/store.h"

void store_get_health(Store *s, StoreHealth *ret) {
        const DbStats *stats = db_stats(s->db);
        DbRoom room;

        db_get_room(s->db, &room); /* which may open what was closed */
        *ret = (StoreHealth){.last_error = stats->last_error,
                .open_error = stats->open_error,
                .slowest_commit = stats->slowest,
                .last_commit = stats->last,
                .used = room.used,
                .limit = room.limit,
                .free = room.free,
                .reserve = room.reserve,
                .full = room.full,
                .damaged = stats->damaged};
}

void store_set_watch(Store *s, DbWatchFn fn, void *userdata) {
        db_set_watch(s->db, fn, userdata);
}

void store_set_max_size(Store *s, uint64_t size) {
        db_set_limit(s->db, size);
}

int store_check_room(Store *s, unsigned percent) {
        return db_check_room(s->db, percent);
}

static const char DAMAGED[] =
        "The store is damaged: stop p2pchatd, and restore its state directory "
        "from a backup or move it away.";

const char *store_error_text(int error, char buf[static STORE_TEXT_SIZE]) {
        if (error == -ENOSPC)
                return "The disk is full: nothing new is kept until there is room again.";
        if (error == -EDQUOT)
                return "The store is full: raise storage.max-size in p2pchatd.conf and reload.";
        if (error == -EUCLEAN)
                return DAMAGED;
        snprintf(buf, STORE_TEXT_SIZE, "The disk cannot be written: %s.", strerror(-error));
        return buf;
}

const char *store_problem(const StoreHealth *h, char buf[static STORE_TEXT_SIZE]) {
        uint64_t percent = h->used / MAX(h->limit / 100, (uint64_t)1);

        if (h->damaged)
                return DAMAGED;
        if (h->open_error < 0)
                return store_error_text(h->open_error, buf);
        if (h->full)
                return store_error_text(-ENOSPC, buf);
        if (percent >= STORE_PERCENT_OWN)
                return store_error_text(-EDQUOT, buf);
        if (percent >= STORE_PERCENT_MAIL)
                return "The store is nearly full, and takes no messages from others: raise "
                       "storage.max-size in p2pchatd.conf and reload.";
        /* One that was for want of room is over. */
        if (h->last_error < 0 && h->last_error != -ENOSPC)
                return store_error_text(h->last_error, buf);
        return NULL;
}
