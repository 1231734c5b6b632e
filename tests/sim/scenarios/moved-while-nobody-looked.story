# SPDX-License-Identifier: GPL-3.0-or-later
# Alice has a message for Bob from yesterday, and he has moved since. She starts and tries his old
# address, where nobody answers; when her tracker says where he is now she does not wait for that.

seed 1
users 2
trackers 1

0s t1 starts
0s alice starts
0s bob starts
30s alice writes to bob
1m bob stops
2m alice writes to bob
3m alice stops
4m bob moves
4m bob starts
20m alice starts
21m quiet
