# SPDX-License-Identifier: GPL-3.0-or-later
# A tracker loses all that it had, and Alice is still there: what she has left for Bob is left again,
# so that it reaches him though she is not there when he comes back.

seed 8
users 2
trackers 2

0s t1 starts
0s t2 starts
0s alice starts
0s bob starts
10s alice writes to bob
20s bob writes to alice
1m alice and t2 are cut off
1m bob stops
2m alice writes to bob 10 times
10m t1 loses its disk
11m t1 starts
12m alice and t2 are joined
1h alice is destroyed
2h bob starts
2h10m quiet
