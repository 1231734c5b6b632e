# SPDX-License-Identifier: GPL-3.0-or-later
# Bob goes to his second device and back; the second does not hear of that. Both write to the room, and what
# nobody takes of that one any more the first says again.

seed 11
users 3
trackers 1
devices 2

0s t1 starts
0s alice starts
0s bob starts
0s carol starts
20s alice makes the room
30s bob joins the room
31s carol joins the room
40s bob writes to the room 3 times
1m bob2 starts
1m5s bob2 logs in
1m30s bob2 writes to the room
1m40s bob2 is alone
1m50s bob logs in
2m bob writes to the room 2 times
2m10s bob2 writes to the room 4 times
2m20s carol writes to the room
3m all are joined
5m bob writes to the room
6m quiet
