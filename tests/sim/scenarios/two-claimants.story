# SPDX-License-Identifier: GPL-3.0-or-later
# Carol calls herself Bob as well. Nobody can say by that name which of them is meant, but for those
# who know one already.

seed 5
users 4
trackers 0

0s carol bears bob's name
0s alice moves to LAN 1
0s bob moves to LAN 1
0s carol moves to LAN 1
0s dave moves to LAN 1
0s alice knows no tracker
0s bob knows no tracker
0s carol knows no tracker
0s dave knows no tracker
0s alice starts
0s bob starts
0s dave starts
2m dave writes to bob
3m carol starts
6m alice writes to bob
7m alice writes to carol
8m bob writes to carol
9m carol writes to alice
9m dave writes to bob
10m an intruder comes to LAN 1
11m the intruder claims names
15m dave writes to alice
20m bob is unplugged
30m alice writes to bob
40m quiet
