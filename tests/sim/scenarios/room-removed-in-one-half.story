# SPDX-License-Identifier: GPL-3.0-or-later
# Bob writes in one half while Alice removes him in the other: what he wrote after that is gone everywhere,
# and what the others say from then on is not for him.

seed 12
users 6
trackers 2

0s t1 starts
0s t2 starts
0s alice starts
1s bob starts
2s carol starts
3s dave starts
4s erin starts
5s frank starts
15s alice makes the room
30s bob joins the room
31s carol joins the room
32s dave joins the room
33s erin joins the room
34s frank joins the room
1m bob writes to the room 3 times
2m the network is in 2 parts
2m1s bob writes to the room 4 times
2m10s alice kicks bob
2m20s bob writes to the room 4 times
2m30s dave writes to the room 2 times
2m40s erin writes to the room 2 times
4m all are joined
6m alice writes to the room 2 times
6m carol writes to the room 2 times
8m quiet
