# SPDX-License-Identifier: GPL-3.0-or-later
# The old device is gone for ever: the new one goes on with the backup, and what lay in the mailbox.

seed 7
users 3
trackers 1
devices 2

0s t1 starts
0s alice starts
0s bob starts
0s carol starts
20s bob writes to alice 5 times
25s alice writes to bob 5 times
1m alice is destroyed
1m10s bob writes to alice 3 times
2m alice2 starts
2m5s alice2 logs in
3m bob writes to alice
4m alice2 writes to carol
5m quiet
