/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "delivery/window.h"

/* Slots are named by their index and 1, so that 0 is none. */
struct WindowSlot {
        Sent sent;
        uint16_t next, prev; /* in the order of sending, or the next free one */
        uint16_t chain; /* of the same bucket */
};

/* Grows by doubling; a window that has become empty gives back more than that. */
#define WINDOW_FIRST 16

static WindowSlot *slot_of(const Window *w, uint16_t i) {
        return &w->slots[i - 1];
}

/* The ids are the own user's, so that nobody chooses them to collide; the last bytes are random. */
static uint16_t *bucket_of(const Window *w, const Uuid *id) {
        uint32_t h;

        memcpy(&h, id->bytes + sizeof(id->bytes) - sizeof(h), sizeof(h));
        h ^= h >> 15;
        return &w->buckets[h & (w->allocated - 1)];
}

static void chain_in(Window *w, uint16_t i) {
        uint16_t *bucket = bucket_of(w, &slot_of(w, i)->sent.id);

        slot_of(w, i)->chain = *bucket;
        *bucket = i;
}

void window_done(Window *w) {
        free(w->slots);
        free(w->buckets);
        *w = (Window){};
}

static int window_grow(Window *w) {
        uint16_t n = w->allocated == 0 ? WINDOW_FIRST : (uint16_t)(2 * w->allocated);
        uint16_t *buckets = calloc(n, sizeof(*buckets));
        WindowSlot *slots = reallocarray(w->slots, n, sizeof(*slots));

        if (slots)
                w->slots = slots;
        if (!slots || !buckets) {
                free(buckets);
                return -ENOMEM;
        }
        free(w->buckets);
        w->buckets = buckets;
        for (uint16_t i = n; i > w->allocated; i--) {
                slot_of(w, i)->next = w->free;
                w->free = i;
        }
        w->allocated = n;
        for (uint16_t i = w->first; i > 0; i = slot_of(w, i)->next)
                chain_in(w, i);
        return 0;
}

bool window_is_full(const Window *w) {
        return w->n >= WINDOW_ENTRIES || w->bytes >= WINDOW_BYTES ||
                w->n_waiting >= WINDOW_WAITING_MAX;
}

int window_add(Window *w, const Sent *s) {
        WindowSlot *slot;
        uint16_t i;
        int r;

        if (w->free == 0) {
                r = w->allocated < WINDOW_ENTRIES ? window_grow(w) : -ENOBUFS;
                if (r < 0)
                        return r;
        }
        i = w->free;
        slot = slot_of(w, i);
        w->free = slot->next;
        *slot = (WindowSlot){.sent = *s, .prev = w->last};
        if (w->last > 0)
                slot_of(w, w->last)->next = i;
        else
                w->first = i;
        w->last = i;
        chain_in(w, i);
        w->n++;
        w->bytes += s->size;
        return 0;
}

Sent *window_find(Window *w, const Uuid *id) {
        if (w->n == 0)
                return NULL;
        for (uint16_t i = *bucket_of(w, id); i > 0; i = slot_of(w, i)->chain)
                if (uuid_equal(&slot_of(w, i)->sent.id, id))
                        return &slot_of(w, i)->sent;
        return NULL;
}

static void slot_remove(Window *w, uint16_t i) {
        WindowSlot *slot = slot_of(w, i);

        if (slot->prev > 0)
                slot_of(w, slot->prev)->next = slot->next;
        else
                w->first = slot->next;
        if (slot->next > 0)
                slot_of(w, slot->next)->prev = slot->prev;
        else
                w->last = slot->prev;
        w->n--;
        w->n_waiting -= slot->sent.retry > 0;
        w->bytes -= slot->sent.size;
        slot->next = w->free;
        w->free = i;
}

bool window_remove(Window *w, const Uuid *id) {
        if (w->n == 0)
                return false;
        for (uint16_t *at = bucket_of(w, id); *at > 0; at = &slot_of(w, *at)->chain) {
                uint16_t i = *at;

                if (!uuid_equal(&slot_of(w, i)->sent.id, id))
                        continue;
                *at = slot_of(w, i)->chain;
                slot_remove(w, i);
                if (w->n == 0 && w->allocated > WINDOW_FIRST)
                        window_done(w);
                return true;
        }
        return false;
}

void window_set_retry(Window *w, Sent *s, usec_t retry) {
        w->n_waiting += (retry > 0) - (s->retry > 0);
        s->retry = retry;
}

Sent *window_next_retry(Window *w, usec_t now) {
        for (uint16_t i = w->n_waiting > 0 ? w->first : 0; i > 0; i = slot_of(w, i)->next) {
                Sent *s = &slot_of(w, i)->sent;

                if (s->retry > 0 && s->retry <= now)
                        return s;
        }
        return NULL;
}

usec_t window_first_retry(const Window *w) {
        usec_t first = USEC_INFINITY;

        for (uint16_t i = w->n_waiting > 0 ? w->first : 0; i > 0; i = slot_of(w, i)->next)
                if (slot_of(w, i)->sent.retry > 0)
                        first = MIN(first, slot_of(w, i)->sent.retry);
        return first;
}
