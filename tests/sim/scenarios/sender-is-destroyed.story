# SPDX-License-Identifier: GPL-3.0-or-later
# Alice writes to Bob while he is away, and then neither she nor her machine is there any more. What
# lies in his mailbox reaches him, and that of Carol, who never wrote to him before.

seed 6
users 3
trackers 1

0s t1 starts
0s alice starts
0s bob starts
0s carol starts
10s alice writes to bob
20s bob writes to alice
1m bob stops

1h alice writes to bob 20 times
1h carol writes to bob
1h1m alice is destroyed
1h1m carol is destroyed
2h bob starts
2h10m quiet
