/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rooms over links: getting in, what is said, and bringing each other up to date. */

#include "test.h"

#include "sync-lab.h"

#define ALICE (&lab.mate[0])
#define BOB (&lab.mate[1])
#define CAROL (&lab.mate[2])
#define DAVE (&lab.mate[3])

TEST(joining_and_talking) {
        SyncLab lab;

        lab_new(&lab, 2);
        lab_create(&lab, ROOM_ACCESS_OPEN);
        mate_says(ALICE, "before");
        mate_join(BOB, ALICE);
        mate_says(BOB, "from bob");
        mate_says(ALICE, "from alice");
        SIM_UNTIL(&lab.sim, mate_count(ALICE) == 3 && mate_count(BOB) == 3);
        CHECK_EQ(mate_count_readable(ALICE), 3);
        CHECK_EQ(mate_count_readable(BOB), 3);
        CHECK(mates_are_level(ALICE, BOB));
        lab_free(&lab);
}
