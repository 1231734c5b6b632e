# SPDX-License-Identifier: GPL-3.0-or-later
# People with passwords write to each other and in a room, and could log in elsewhere.

seed 3
users 3
trackers 1
devices 2

0s t1 starts
0s alice starts
0s bob starts
0s carol starts
30s alice writes to bob
1m bob writes to alice 3 times
1m alice catches up
2m alice reads what bob wrote
3m alice verifies bob
5m quiet
6m carol makes the room
6m10s alice joins the room
7m alice writes to the room 3 times
8m alice's store is saved
9m alice is killed
9m10s alice starts
9m20s bob writes to alice
10m quiet
