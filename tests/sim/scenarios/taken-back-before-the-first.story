# SPDX-License-Identifier: GPL-3.0-or-later
# Alice takes her first message back while Bob is away. When he has opened a link to her and her second
# message comes over it, no message is missing before it.

seed 1
users 2
trackers 1

0s t1 starts
0s alice starts
0s bob starts
1m bob stops
1m10s alice writes to bob
1m20s alice takes back a message to bob
1m30s bob starts
2m30s bob writes to alice
3m alice writes to bob
4m quiet
