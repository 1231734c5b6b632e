# SPDX-License-Identifier: GPL-3.0-or-later
# Alice logs in on another device and back: history, what waits, what is unread and who is verified
# come along, and Bob can write throughout.

seed 1
users 3
trackers 1
devices 2

0s t1 starts
0s alice starts
0s bob starts
0s carol starts
30s alice writes to bob 3 times
40s bob writes to alice 70 times
50s alice catches up
55s alice reads what bob wrote
1m alice verifies bob
1m10s carol writes to alice 2 times
2m carol stops
2m10s alice writes to carol 5 times
3m alice2 starts
3m5s bob writes to alice
3m5.1s alice2 logs in
3m5.2s bob writes to alice 2 times
3m5.3s alice writes to bob 2 times
3m6s bob writes to alice 3 times
3m10s alice2 writes to bob
4m carol starts
5m quiet
6m bob writes to alice
6m10s alice logs in
6m10.1s alice2 writes to bob
6m10.5s bob writes to alice
7m alice reads what carol wrote
8m quiet
