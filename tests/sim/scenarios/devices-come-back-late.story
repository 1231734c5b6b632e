# SPDX-License-Identifier: GPL-3.0-or-later
# The old device is off when Alice logs in on the new one, and comes back the next day with what it has
# to say and to hand over.

seed 6
users 3
trackers 1
devices 2

0s t1 starts
0s alice starts
0s bob starts
0s carol starts
20s bob writes to alice 20 times
25s alice writes to bob 5 times
30s alice verifies bob
1m carol stops
1m5s alice writes to carol 3 times
2m alice stops
3m bob writes to alice 2 times
4m alice2 starts
4m5s alice2 logs in
5m bob writes to alice
6m carol starts
10m alice2 writes to carol
20h bob writes to alice
1d alice starts
1d1m quiet
