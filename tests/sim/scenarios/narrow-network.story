# SPDX-License-Identifier: GPL-3.0-or-later
# What waits for Bob is more than the network carries in the time of an ordinary answer.

seed 12
users 2
trackers 1

0s t1 starts
0s alice starts
0s bob starts
10s alice writes to bob
20s bob writes to alice
1m bob stops
2m alice writes to bob 30 times
10m alice is destroyed
11m the network takes 0.1s, up to 0s more, and carries 1000 bytes/s
12m bob starts
20m quiet
