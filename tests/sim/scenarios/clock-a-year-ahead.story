# SPDX-License-Identifier: GPL-3.0-or-later
# Alice's clock was a year ahead when her record was made, which no tracker takes. When it is right
# she signs a new one, and is seen.

seed 1
users 2
trackers 1

0s t1 starts
0s alice starts
0s bob starts
30s alice writes to bob
1m bob writes to alice
10m alice stops
11m alice's clock goes forward by 400d
12m alice starts
20m alice's clock goes back by 400d
30m quiet
