# SPDX-License-Identifier: GPL-3.0-or-later
# Alice's clock was an hour ahead when she said where she is. When it is right again she has lost power
# and is somewhere else, and Bob, who has heard of her place before, believes her.

seed 1
users 2
trackers 1

0s t1 starts
0s alice starts
0s bob starts
30s alice writes to bob
1m bob writes to alice
2m alice's clock goes forward by 1h
2m1s alice moves
3m alice's clock goes back by 1h
4m alice loses power
5m alice moves
5m alice starts
20m bob writes to alice
25m quiet
