# SPDX-License-Identifier: GPL-3.0-or-later
# Bob's disk fails when his record is renewed, and he announces himself at once. Nobody may see a
# prekey whose secret is not on his disk: what Alice then seals for him, she does not seal again.

seed 11
users 2
trackers 1

0s t1 starts
0s alice starts
0s bob starts
10s alice writes to bob
20s bob writes to alice
6d23h bob's disk fails 1000 times
7d20s bob and t1 are disconnected
7d40s bob is killed
7d40s bob's disk is good
7d1m alice writes to bob 10 times
7d2m alice is destroyed
7d1h bob starts
7d2h quiet
