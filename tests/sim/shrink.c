/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "shrink.h"

#include <assert.h>

typedef struct Shrink {
        Script *best;
        unsigned at_once;
        ShrinkTryFn try;
        void *userdata;
} Shrink;

/* Makes candidate number I of BEST. False: there is none, or it would be the same. */
typedef bool (*CandidateFn)(const Script *best, size_t i, size_t parameter, Script *c);

static int make_candidate(Shrink *sh, CandidateFn fn, size_t i, size_t parameter, Script *ret) {
        Script c;
        int r;

        r = script_copy(sh->best, &c);
        if (r < 0)
                return r;
        if (!fn(sh->best, i, parameter, &c)) {
                script_done(&c);
                return 0;
        }
        *ret = c;
        return 1;
}

/* The first that fails, of the candidates I to LAST - 1, becomes the best: 1, and its number. 0:
 * none does. */
static int try_candidates(
        Shrink *sh, CandidateFn fn, size_t i, size_t last, size_t parameter, size_t *ret) {
        while (i < last) {
                size_t numbers[SHRINK_CANDIDATES_MAX], n = 0;
                Script c[SHRINK_CANDIDATES_MAX];
                int r = 0;

                for (; r >= 0 && i < last && n < sh->at_once; i++) {
                        r = make_candidate(sh, fn, i, parameter, &c[n]);
                        if (r > 0)
                                numbers[n++] = i;
                }
                if (r >= 0)
                        r = n > 0 ? sh->try(sh->userdata, c, n) : 0;
                if (r >= 0 && (size_t)r < n) {
                        script_done(sh->best);
                        *sh->best = c[r];
                        c[r] = (Script){};
                        *ret = numbers[r];
                }
                for (size_t k = 0; k < n; k++)
                        script_done(&c[k]);
                if (r < 0)
                        return r;
                if ((size_t)r < n)
                        return 1;
        }
        return 0;
}

/* As many of 0, 1, … as help; the same number again for as long as it helps. */
static int try_each(Shrink *sh, CandidateFn fn, bool *changed) {
        size_t i = 0;
        int r;

        while ((r = try_candidates(sh, fn, i, sh->best->n, 0, &i)) > 0)
                *changed = true;
        return r;
}

/* Actions */

/* All but the chunk of number I, of chunks of SIZE actions. */
static bool without_chunk(const Script *best, size_t i, size_t size, Script *c) {
        size_t from = i * size, to = MIN(from + size, c->n);

        memmove(c->actions + from, c->actions + to, (c->n - to) * sizeof(Action));
        c->n -= to - from;
        return true;
}

static int shrink_actions(Shrink *sh, bool *changed) {
        for (size_t size = MAX(sh->best->n / 2, (size_t)1);; size /= 2) {
                size_t i = 0;
                int r;

                /* The chunk that has taken the place of the one that is gone is next. */
                while ((r = try_candidates(sh, without_chunk, i, (sh->best->n + size - 1) / size,
                                size, &i)) > 0)
                        *changed = true;
                if (r < 0 || size == 1)
                        return r;
        }
}

/* Machines: from the last to the first, of each kind. */

static bool verb_has_other(Verb v) {
        return verb_has(v, 'B') || verb_has(v, 'Y');
}

static bool verb_has_machine(Verb v) {
        return verb_has(v, 'A') || verb_has(v, 'X') || verb_has(v, 'Z');
}

/* The world and the story without machine I, which does nothing but start. */
static bool without_machine(const Script *best, size_t i, size_t parameter, Script *c) {
        size_t n = 0;

        if (c->n_devices > 0)
                return false; /* somebody else's devices would have other names */
        if (i >= c->n_users + c->n_trackers || (i < c->n_users && c->n_users == 1))
                return false;
        for (size_t k = 0; k < c->n; k++) {
                Action a = c->actions[k];

                if (verb_has_machine(a.verb) && a.a == i) {
                        if (a.verb != VERB_START)
                                return false;
                        continue;
                }
                if (verb_has_other(a.verb) && a.b == i)
                        return false;
                a.a -= a.a > i;
                a.b -= a.b > i;
                c->actions[n++] = a;
        }
        c->n = n;
        *(i < c->n_users ? &c->n_users : &c->n_trackers) -= 1;
        return true;
}

/* Numbers and times */

static bool with_default_number(const Script *best, size_t i, size_t parameter, Script *c) {
        Action *a = &c->actions[i];
        bool is_other = verb_has(a->verb, 'N') && a->n != verb_default(a->verb);

        a->n = verb_default(a->verb);
        return is_other;
}

static bool with_half_number(const Script *best, size_t i, size_t parameter, Script *c) {
        Action *a = &c->actions[i];
        uint64_t least = verb_default(a->verb) + 1;

        if (!verb_has(a->verb, 'N') || a->n <= least)
                return false;
        a->n = MAX(a->n / 2, least);
        return true;
}

static bool with_number_less_one(const Script *best, size_t i, size_t parameter, Script *c) {
        Action *a = &c->actions[i];

        return verb_has(a->verb, 'N') && a->n-- > verb_default(a->verb) + 1;
}

/* Rounded to the unit below which nobody speaks of times this long. */
static usec_t rounded(usec_t t) {
        usec_t unit = t >= USEC_PER_DAY ? USEC_PER_HOUR
                : t >= USEC_PER_HOUR    ? USEC_PER_MINUTE
                : t >= USEC_PER_SEC     ? USEC_PER_SEC
                                        : USEC_PER_MSEC;

        return t / unit * unit;
}

static bool with_shorter_times(const Script *best, size_t i, size_t parameter, Script *c) {
        Action *a = &c->actions[i];
        usec_t t = a->t, u = a->u;

        a->t = rounded(t / 2);
        a->u = rounded(u / 2);
        return a->t != t || a->u != u;
}

/* What happens before action I lasts as long as SHORTER says. */
static bool with_gap(size_t i, usec_t (*shorter)(usec_t gap), Script *c) {
        usec_t before = i > 0 ? c->actions[i - 1].at : 0;
        usec_t gap = c->actions[i].at - before, less = gap - shorter(gap);

        for (size_t k = i; k < c->n; k++)
                c->actions[k].at -= less;
        return less > 0;
}

static usec_t no_gap(usec_t gap) {
        return 0;
}

static usec_t half_gap(usec_t gap) {
        return rounded(gap / 2);
}

static bool without_gap(const Script *best, size_t i, size_t parameter, Script *c) {
        return with_gap(i, no_gap, c);
}

static bool with_half_gap(const Script *best, size_t i, size_t parameter, Script *c) {
        return with_gap(i, half_gap, c);
}

static bool with_round_gap(const Script *best, size_t i, size_t parameter, Script *c) {
        return with_gap(i, rounded, c);
}

static int shrink_all(Shrink *sh) {
        static const CandidateFn simpler[] = {with_default_number, with_half_number,
                with_number_less_one, with_shorter_times, without_gap, with_half_gap,
                with_round_gap};
        bool changed = true;
        int r = 0;

        while (changed && r >= 0) {
                size_t i = 0;

                changed = false;
                r = shrink_actions(sh, &changed);
                while (r >= 0 &&
                        (r = try_candidates(sh, without_machine, 0,
                                 sh->best->n_users + sh->best->n_trackers, 0, &i)) > 0)
                        changed = true;
                for (size_t k = 0; r >= 0 && k < ELEMENTSOF(simpler); k++)
                        r = try_each(sh, simpler[k], &changed);
        }
        return r;
}

int shrink(Script *s, unsigned at_once, ShrinkTryFn try, void *userdata) {
        Shrink sh = {.best = s, .try = try, .userdata = userdata};
        int r;

        sh.at_once = CLAMP(at_once, 1U, (unsigned)SHRINK_CANDIDATES_MAX);
        r = shrink_all(&sh);
        return r == -ETIME ? 0 : r;
}
