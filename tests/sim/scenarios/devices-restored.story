# SPDX-License-Identifier: GPL-3.0-or-later
# Alice's disk is as it was ten minutes ago, twice: once she says something before anybody can tell her,
# and once not. She goes on in another epoch, and nothing is lost but what the disk had lost.

seed 4
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
2m alice writes to bob 5 times
2m10s bob writes to alice 5 times
2m20s alice writes to carol 2 times
11m alice is killed
11m1s alice's store is put back
11m2s alice is alone
11m3s alice starts
11m10s alice writes to bob 2 times
11m20s bob writes to alice
12m all are joined
13m alice writes to bob
14m quiet
15m alice's store is saved
16m alice writes to carol 3 times
17m alice stops
17m5s alice's store is put back
17m6s alice starts
18m alice writes to carol
19m quiet
