/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A room's log that the input chooses: blocks and proposals by people of every rank. What must
 * hold: the roster says what the model says; other orders give the same digest; and where memory
 * runs out, nothing has changed.
 */

#include "fuzz.h"

__attribute__((noreturn, unused)) static void test_fail(
        const char *file, int line, const char *what) {
        fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
        abort();
}

#include "../unit/check.h"
#include "rooms/roster.h"

static bool their_memory_begins(void) {
        bool before = fuzz_pause();

        fuzz_resume(&(const bool){true});
        return before;
}

#define THEIR_MEMORY _unused_ _cleanup_(fuzz_resume) bool _theirs = their_memory_begins()

/* As the code under test, whose memory may run out; then once more, with enough of it. */
static int take_block(Roster *r, const RoomBlock *b) {
        uint8_t before[SHA256_SIZE], after[SHA256_SIZE];
        int k;

        roster_digest(r, true, before);
        {
                THEIR_MEMORY;

                k = roster_take_block(r, b);
        }
        if (k != -ENOMEM)
                return k;
        MUST(fuzz_failed());
        MUST(roster_code(r) == CODE_STORAGE);
        roster_digest(r, true, after);
        MUST(memcmp(before, after, SHA256_SIZE) == 0);
        return roster_take_block(r, b);
}

static int take_proposals(Roster *r, RosterPending *p, size_t n) {
        uint8_t final[SHA256_SIZE], now[SHA256_SIZE];
        int k;

        {
                THEIR_MEMORY;

                k = roster_take_proposals(r, p, n);
        }
        if (k != -ENOMEM)
                return k;
        MUST(fuzz_failed());
        roster_digest(r, false, final);
        roster_digest(r, true, now);
        MUST(memcmp(final, now, SHA256_SIZE) == 0);
        return roster_take_proposals(r, p, n);
}

#define roster_take_block take_block
#define roster_take_proposals take_proposals

#include "../unit/roster-random.h"

typedef struct Input {
        const uint8_t *p, *end;
} Input;

static unsigned from_input(void *userdata, unsigned n) {
        Input *in = userdata;

        return in->p < in->end ? *in->p++ % n : 0;
}

static RandomRoom room;

void fuzz_one(const uint8_t *data, size_t size) {
        Input in = {.p = data, .end = data + size};
        FUZZ_OWN_MEMORY;

        memset(&room, 0, sizeof(room));
        room.chance = from_input;
        room.userdata = &in;
        random_begin(&room);
        while (in.p < in.end)
                switch (chance(&room, 8)) {
                case 0:
                case 1:
                        random_block(&room);
                        break;
                case 2:
                        random_compare(&room);
                        break;
                case 3:
                        random_settle(&room);
                        break;
                default:
                        random_propose(&room);
                        break;
                }
        random_compare(&room);
        random_end(&room);
}
