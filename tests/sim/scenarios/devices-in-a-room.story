# SPDX-License-Identifier: GPL-3.0-or-later
# A member of a room moves to another device and back: what was said is there, and all hold the same.

seed 10
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
40s alice writes to the room 3 times
41s bob writes to the room 3 times
1m bob2 starts
1m5s bob is alone
1m6s bob writes to the room 2 times
1m10s bob2 logs in
1m20s bob2 writes to the room 2 times
1m30s carol writes to the room
3m all are joined
4m alice2 starts
4m5s alice2 logs in
4m10s alice2 writes to the room
5m quiet
6m bob logs in
7m bob writes to the room
8m quiet
