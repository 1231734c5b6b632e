# SPDX-License-Identifier: GPL-3.0-or-later
# Bob dies at the first, the second, … call of the world after a message has left, until he has seen
# its whole way: nothing is lost, and nothing is shown twice.

seed 2
users 2
trackers 1

0s t1 starts
0s alice starts
0s bob starts
10s bob writes to alice
1m alice writes to bob
1m bob is killed at call 1
1m5s bob starts
2m alice writes to bob
2m bob is killed at call 2
2m5s bob starts
3m alice writes to bob 3 times
3m bob is killed at call 3
3m5s bob starts
4m alice writes to bob
4m bob loses power at call 4
5m5s bob starts
6m alice writes to bob
6m bob is killed at call 5
6m5s bob starts
7m alice writes to bob
7m alice is killed at call 3
7m5s alice starts
8m alice writes to bob 5 times
8m alice loses power at call 5
9m alice starts
9m bob is killed at call 6
9m30s bob starts
10m quiet
