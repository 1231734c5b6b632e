# SPDX-License-Identifier: GPL-3.0-or-later
# What Bob wrote with his old device, and nobody got, is supplied by his new one.

seed 5
users 5
trackers 1

0s t1 starts
0s alice starts
0s bob starts
0s carol starts
0s dave starts
10s alice makes the room
30s bob joins the room
31s carol joins the room
32s dave joins the room
1m6s bob is alone
1m6s bob writes to the room
1m6.1s bob stops
1m7s dave writes to the room
1m9s bob has a new device
2m all are joined
3m bob starts
4m bob writes to the room
9m quiet
