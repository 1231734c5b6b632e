# SPDX-License-Identifier: GPL-3.0-or-later
# The old device hands nothing over before its user has said so; meanwhile the new one is in use.

seed 9
users 3
trackers 1
devices 2

0s t1 starts
0s alice starts
0s bob starts
0s carol starts
20s bob writes to alice 5 times
30s alice asks before it hands over
1m alice2 starts
1m5s alice2 logs in
2m alice2 writes to bob
3m bob writes to alice
4m alice is killed
4m10s alice starts
5m alice accepts the hand-over
5m1s alice is killed at call 3
5m5s alice starts
6m quiet
