# SPDX-License-Identifier: GPL-3.0-or-later
# What Alice left for Bob comes to him by mail and over a link, at about the same time and in either
# order. He is shown it once, and she takes back the rest.

seed 9
users 2
trackers 1

0s t1 starts
0s alice starts
0s bob starts
10s alice writes to bob
20s bob writes to alice
1m bob stops
2m alice writes to bob 50 times
3m bob starts
5m bob stops
6m alice writes to bob 50 times
7m bob is not heard by alice
7m bob starts
8m bob and alice are joined
9m bob stops
10m alice writes to bob 50 times
11m bob starts
11m0.3s bob loses power at call 3
12m bob starts
13m quiet
