# SPDX-License-Identifier: GPL-3.0-or-later
# Bob has a new device, whose disk is full when it starts: it can make no certificate, and HELLO says to
# the tracker that somebody is there. When there is room again the tracker has to hear who it is, or
# Bob gets no mail over a session that lasts.

seed 22
users 2
trackers 1

0s t1 starts
0s alice starts
0s bob starts
10s alice writes to bob
1m bob stops
1m5s bob has a new device
1m10s bob's disk is full
1m11s bob starts
2m bob's disk is good
10m alice and bob are cut off
11m alice writes to bob 3 times
12m alice is destroyed
15m quiet
