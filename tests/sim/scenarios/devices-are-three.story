# SPDX-License-Identifier: GPL-3.0-or-later
# From the first to the second to the third, each of which still gives something when the next one takes
# over, and back to the first.

seed 8
users 3
trackers 1
devices 3

0s t1 starts
0s alice starts
0s bob starts
0s carol starts
20s bob writes to alice 120 times
25s alice writes to bob 20 times
1m alice2 starts
1m5s alice2 logs in
1m6s alice loses power at call 12
1m7s bob writes to alice 3 times
1m10s alice2 writes to bob
2m alice3 starts
2m2s alice3 logs in
2m2.5s alice2 is killed at call 5
3m alice3 writes to carol
4m alice2 starts
4m1s bob writes to alice 2 times
5m alice starts
6m quiet
7m alice logs in
7m1s carol writes to alice 3 times
8m quiet
