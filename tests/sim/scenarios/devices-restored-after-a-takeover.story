# SPDX-License-Identifier: GPL-3.0-or-later
# What comes back with Alice's old disk is of before she logged in elsewhere: it believes to be active,
# until it hears of the other one.

seed 5
users 3
trackers 1
devices 2

0s t1 starts
0s alice starts
0s bob starts
0s carol starts
20s alice writes to bob 3 times
25s bob writes to alice 3 times
1m alice's store is saved
1m10s alice writes to bob 2 times
2m alice2 starts
2m5s alice2 logs in
3m alice2 writes to bob 2 times
3m10s bob writes to alice 2 times
5m alice stops
5m5s alice's store is put back
5m6s alice is alone
5m7s alice starts
5m10s alice writes to bob 4 times
5m20s alice writes to carol 4 times
6m all are joined
7m bob writes to alice
8m quiet
9m alice logs in
10m alice writes to bob
11m quiet
