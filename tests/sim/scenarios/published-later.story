# SPDX-License-Identifier: GPL-3.0-or-later
# Bob has an account for the LAN alone, and hears of a tracker later: those who know him go on, and
# Carol, who is elsewhere, finds him.

seed 9
users 3
trackers 1

0s alice moves to LAN 1
0s bob moves to LAN 1
0s carol moves to LAN 2
0s bob knows no tracker
0s t1 starts
0s alice starts
0s bob starts
0s carol starts
2m alice writes to bob
3m bob writes to alice
5m carol writes to bob
10m t1 is killed
10m bob hears of the trackers
15m bob is killed
15m bob starts
20m t1 starts
25m bob moves to LAN 2
30m alice writes to bob
40m quiet
