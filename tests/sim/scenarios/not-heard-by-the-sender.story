# SPDX-License-Identifier: GPL-3.0-or-later
# Bob hears Alice, and she does not hear him: she has to send again what he has long had.

seed 3
users 2
trackers 1

0s t1 starts
0s alice starts
0s bob starts
30s alice writes to bob
1m bob is not heard by alice
1m alice writes to bob 10 times
5m bob writes to alice 3 times
10m bob and alice are joined
11m alice and bob are disconnected
12m quiet
