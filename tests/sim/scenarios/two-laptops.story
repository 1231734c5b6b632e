# SPDX-License-Identifier: GPL-3.0-or-later
# Two on one switch: unplugged and plugged in, with another address, elsewhere and back.

seed 1
users 2
trackers 1

0s alice moves to LAN 1
0s bob moves to LAN 1
0s t1 starts
0s alice starts
0s bob starts
10m bob is unplugged
20m bob is plugged in
30m bob moves
39m the router is off
40m bob moves to LAN 2
50m bob moves to LAN 1
55m the router is on
1h bob is killed
2h quiet
