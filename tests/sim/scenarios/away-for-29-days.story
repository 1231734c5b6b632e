# SPDX-License-Identifier: GPL-3.0-or-later
# What Alice leaves for Bob is at a tracker that he does not reach for 29 days. Meanwhile his prekey
# is renewed four times, and she is destroyed: he can still open it.

seed 7
users 2
trackers 2

0s t1 starts
0s t2 starts
0s alice starts
0s bob starts
10s alice writes to bob
20s bob writes to alice
1m bob and t2 are cut off
1m bob and alice are cut off
1m alice and t1 are cut off
2m alice writes to bob 10 times
10m alice is destroyed
29d bob and t2 are joined
29d1h quiet
