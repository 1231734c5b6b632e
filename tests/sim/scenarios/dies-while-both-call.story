# SPDX-License-Identifier: GPL-3.0-or-later
# Both call each other at once, and Bob loses power before he has said a word over the link that
# Alice has opened. He is back within seconds: his calls need not give way to that one.

seed 1
users 2
trackers 1

0s t1 starts
0s alice starts
0s bob starts
30s alice writes to bob
31s bob writes to alice
1m bob stops
2m bob starts
10m alice writes to bob
10m bob writes to alice
10m bob loses power at call 14
10m2s bob starts
20m quiet
