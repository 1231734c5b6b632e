# SPDX-License-Identifier: GPL-3.0-or-later
# Alice's old device hears nothing of the new one for a while: both write and take in, and when they
# hear of one another one of them has it all.

seed 3
users 3
trackers 1
devices 2

0s t1 starts
0s alice starts
0s bob starts
0s carol starts
20s bob writes to alice 5 times
25s alice writes to bob 5 times
30s alice catches up
1m alice and t1 are cut off
1m alice2 starts
1m1s alice and alice2 are cut off
1m2s bob is not heard by alice2
1m5s alice2 logs in
1m10s alice writes to bob 3 times
1m20s carol writes to alice 3 times
1m30s alice2 writes to carol 3 times
1m40s bob writes to alice 3 times
2m alice writes to carol
3m alice catches up
4m alice2 catches up
10m all are joined
11m bob writes to alice
12m quiet
