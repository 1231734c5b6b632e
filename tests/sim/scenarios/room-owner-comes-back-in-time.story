# SPDX-License-Identifier: GPL-3.0-or-later
# Alice, whose room it is, is away for nearly a week, and much waits for her. Bob, whom she made an
# admin, does not take her place.

seed 23
users 5
trackers 1

0s t1 starts
0s alice starts
0s bob starts
0s carol starts
0s dave starts
0s erin starts
5s alice makes the room
20s bob joins the room
20s carol joins the room
20s dave joins the room
20s erin joins the room
2m alice makes bob admin
20m alice stops
1h dave leaves the room
1h dave stops
2h bob kicks erin
2h erin stops
6d23h bob writes to the room
6d23h10m alice starts
6d23h50m carol writes to the room
7d1h quiet
