# SPDX-License-Identifier: GPL-3.0-or-later
# Bob's disk fills, fails and crawls while Alice writes: what he cannot keep he does not acknowledge.

seed 4
users 2
trackers 1

0s t1 starts
0s alice starts
0s bob starts
30s alice writes to bob
1m bob's disk is full
1m alice writes to bob 10 times
3m bob's disk is good
4m bob's disk fails 3 times
4m alice writes to bob 10 times
6m bob's disk takes 2s
6m alice writes to bob 10 times
6m bob writes to alice 10 times
8m bob loses power at call 9
9m bob's disk is good
9m bob starts
10m quiet
