# SPDX-License-Identifier: GPL-3.0-or-later
# Alice blocks Bob, who goes on writing, and comes again and again; so does she, whose program forgets
# nothing of it. When she hears him again, he still has what he wrote.

seed 1
users 3
trackers 1

0s t1 starts
0s alice starts
0s bob starts
0s carol starts
30s alice writes to bob
31s bob writes to alice
1m alice blocks bob
2m bob writes to alice 5 times
3m bob stops
5m bob starts
1h alice is killed
1h1m alice starts
2h bob writes to alice
3h t1 stops
3h1m t1 starts
4h bob moves
5h carol writes to alice
5h alice blocks carol
5h alice loses power
5h1m alice starts
6h carol writes to alice
1d alice unblocks bob
1d1h bob writes to alice
1d2h alice unblocks carol
1d2h alice writes to bob
1d2h alice writes to carol
1d3h quiet
