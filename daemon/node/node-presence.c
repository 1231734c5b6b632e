/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who is online, in memory only, and when somebody last was, on disk but without haste. */

#include "node/node-internal.h"

/* The online list: in order of arrival, so that a page can go on where the last one ended though
 * people come and go. */

static void online_compact(Node *n) {
        size_t k = 0;

        for (size_t i = 0; i < n->n_online_slots; i++)
                if (n->online[i].person) {
                        n->online[k] = n->online[i];
                        n->online[k].person->online_slot = k;
                        k++;
                }
        n->n_online_slots = k;
}

static int online_add(Person *a) {
        Node *n = a->node;

        if (n->n_online_slots >= 2 * (size_t)n->stats.online + 64)
                online_compact(n);
        if (n->n_online_slots == n->allocated_online_slots) {
                size_t size = MAX(2 * n->allocated_online_slots, (size_t)64);
                OnlineSlot *p = reallocarray(n->online, size, sizeof(*p));

                if (!p)
                        return -ENOMEM;
                n->online = p;
                n->allocated_online_slots = size;
        }
        a->online_slot = n->n_online_slots++;
        n->online[a->online_slot] = (OnlineSlot){.serial = ++n->online_serial, .person = a};
        n->stats.online++;
        return 0;
}

static void online_remove(Person *a) {
        a->node->online[a->online_slot].person = NULL;
        a->node->stats.online--;
}

size_t node_online_find(const Node *n, uint64_t serial) {
        size_t low = 0, high = n->n_online_slots;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (n->online[middle].serial <= serial)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

/* Last seen */

int node_seen_decode(Bytes blob, usec_t *ret) {
        uint64_t be;

        if (blob.size != sizeof(be))
                return -ENOENT;
        memcpy(&be, blob.data, sizeof(be));
        *ret = __builtin_bswap64(be);
        return 0;
}

static void seen_mark(Person *a) {
        Node *n = a->node;

        if (a->is_unsaved)
                return;
        a->is_unsaved = true;
        a->refs++;
        if (!n->unsaved)
                loop_timer_set(n->save, loop_now(n->loop) + SEEN_DELAY);
        DL_APPEND2(n->unsaved, a, unsaved_prev, unsaved_next);
}

/* Nobody is told, so a time that gets lost is no more than that. */
static void seen_save(Person *a) {
        uint64_t be = __builtin_bswap64(a->last_seen);
        DStoreMerge m = {.kind = DIRECTORY_SEEN,
                .merge = merge_seen,
                .blob = {.data = (const uint8_t *)&be, .size = sizeof(be)}};
        Node *n = a->node;

        directory_key_account(DIRECTORY_SEEN, a->key, m.key);
        if (a->registered) /* still */
                n->store->ops->rec_merge(n->store, &m, 1, NULL, NULL);
        DL_DELETE2(n->unsaved, a, unsaved_prev, unsaved_next);
        a->is_unsaved = false;
        person_unref(a);
}

void node_save_seen(Node *n, bool all) {
        for (unsigned i = 0; n->unsaved && (all || i < SEEN_AT_ONCE); i++)
                seen_save(n->unsaved);
        if (n->unsaved)
                loop_timer_set(n->save, loop_now(n->loop) + USEC_PER_SEC / 10);
}

/* Presence */

int person_online(Person *a, uint8_t *presence, size_t size) {
        int r = a->presence ? 0 : online_add(a);

        if (r < 0) {
                free(presence);
                return r;
        }
        free(a->presence);
        a->presence = presence;
        a->presence_size = size;
        person_changed(a, PUSH_PRESENCE);
        return 0;
}

void person_offline(Person *a) {
        if (!a->presence)
                return;
        online_remove(a);
        a->presence = mfree(a->presence);
        a->presence_size = 0;
        a->last_seen = loop_realtime(a->node->loop);
        if (a->registered && a->audience != VISIBLE_NOBODY)
                seen_mark(a);
        person_changed(a, PUSH_PRESENCE);
}
