# SPDX-License-Identifier: GPL-3.0-or-later
# Bob goes on to another LAN, from where he still reaches Alice: they are not neighbours any more.

seed 3
users 2
trackers 1

0s alice moves to LAN 1
0s bob moves to LAN 1
0s t1 starts
0s alice starts
0s bob starts
10m bob moves to LAN 2
1h bob moves to LAN 1
1h10m quiet
