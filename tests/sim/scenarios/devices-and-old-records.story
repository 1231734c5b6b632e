# SPDX-License-Identifier: GPL-3.0-or-later
# A tracker that knows only old records tells Alice's new device of the old one: that is no news, and takes
# nothing from it.

seed 12
users 3
trackers 1
devices 2

0s t1 starts
0s alice starts
0s bob starts
0s carol starts
20s bob writes to alice 3 times
30s alice2 starts
40s alice2 logs in
1m alice2 writes to bob
1m30s alice2 stops
1m40s t1 knows old records
1m50s alice2 starts
2m10s alice2 writes to bob 2 times
2m20s bob writes to alice 2 times
3m alice2 is killed
3m1s alice2 starts
5m t1 lies no more
6m bob writes to alice
7m quiet
