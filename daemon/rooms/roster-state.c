/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "rooms/roster-private.h"

static Person *person_free(Person *p) {
        if (p)
                free(p->spans);
        free(p);
        return NULL;
}

DEFINE_CLEANUP(Person *, person_free)

void state_begin(State *s, State *below) {
        *s = *below;
        s->below = below;
        s->people = NULL;
        s->n_people = s->allocated = 0;
}

void state_done(State *s) {
        for (size_t i = 0; i < s->n_people; i++)
                person_free(s->people[i]);
        free(s->people);
        *s = (State){};
}

/* Where ACCOUNT is in S itself, or would be. */
static size_t find_place(const State *s, const uint8_t account[static KEY_SIZE], bool *ret_here) {
        size_t low = 0, high = s->n_people;

        *ret_here = false;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int c = memcmp(s->people[middle]->m.account, account, KEY_SIZE);

                if (c == 0) {
                        *ret_here = true;
                        return middle;
                }
                if (c < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

const Person *state_find(const State *s, const uint8_t account[static KEY_SIZE]) {
        for (; s; s = s->below) {
                bool here;
                size_t at = find_place(s, account, &here);

                if (here)
                        return s->people[at];
        }
        return NULL;
}

static int reserve_people(State *s, size_t more) {
        size_t n = s->n_people + more;
        Person **people;

        if (n <= s->allocated)
                return 0;
        n = MAX(n, s->allocated * 2);
        people = reallocarray(s->people, n, sizeof(*people));
        if (!people)
                return -ENOMEM;
        s->people = people;
        s->allocated = n;
        return 0;
}

static void insert_person(State *s, size_t at, Person *p) {
        memmove(s->people + at + 1, s->people + at, (s->n_people - at) * sizeof(*s->people));
        s->people[at] = p;
        s->n_people++;
}

static Person *person_copy(const Person *from) {
        _cleanup_(person_freep) Person *p = malloc(sizeof(Person));

        if (!p)
                return NULL;
        *p = *from;
        p->spans = NULL;
        if (from->n_spans > 0) {
                p->spans = reallocarray(NULL, from->n_spans, sizeof(*p->spans));
                if (!p->spans)
                        return NULL;
                memcpy(p->spans, from->spans, from->n_spans * sizeof(*p->spans));
        }
        return TAKE_PTR(p);
}

Person *state_edit(State *s, const uint8_t account[static KEY_SIZE]) {
        const Person *below = s->below ? state_find(s->below, account) : NULL;
        Person fresh = {};
        Person *p;
        bool here;
        size_t at = find_place(s, account, &here);

        if (here)
                return s->people[at];
        if (reserve_people(s, 1) < 0)
                return NULL;
        memcpy(fresh.m.account, account, KEY_SIZE);
        fresh.m.order = s->order + 1;
        p = person_copy(below ?: &fresh);
        if (!p)
                return NULL;
        insert_person(s, at, p);
        if (!below) {
                s->order++;
                s->known++;
        }
        return p;
}

int state_reserve(State *s) {
        return reserve_people(s->below, s->n_people);
}

void state_merge(State *s) {
        State *to = s->below;
        State merged = *s;

        for (size_t i = 0; i < s->n_people; i++) {
                Person *p = s->people[i];
                bool here;
                size_t at = find_place(to, p->m.account, &here);

                if (!here) {
                        insert_person(to, at, p);
                } else {
                        person_free(to->people[at]);
                        to->people[at] = p;
                }
        }
        free(s->people);
        merged.below = to->below;
        merged.people = to->people;
        merged.n_people = to->n_people;
        merged.allocated = to->allocated;
        *to = merged;
        *s = (State){};
}

void state_each(const State *s, PersonFn fn, void *userdata) {
        const State *below = s->below;
        size_t i = 0, k = 0, n_below = below ? below->n_people : 0;

        while (i < s->n_people || k < n_below) {
                const Person *p;
                int c = i == s->n_people ? 1
                        : k == n_below
                        ? -1
                        : memcmp(s->people[i]->m.account, below->people[k]->m.account, KEY_SIZE);

                p = c <= 0 ? s->people[i] : below->people[k];
                i += c <= 0;
                k += c >= 0;
                if (person_is_known(p) && !fn(userdata, p))
                        return;
        }
}
