# SPDX-License-Identifier: GPL-3.0-or-later
# What Alice and Bob say on their LAN is said again by somebody else, from where he is and from where
# they are, also after they have gone without a word.

seed 2
users 3
trackers 1

0s alice moves to LAN 1
0s bob moves to LAN 1
0s carol moves to LAN 1
0s t1 starts
0s alice starts
0s bob starts
0s carol starts
1m an intruder comes to LAN 1
5m the intruder replays beacons
20m bob loses power
40m bob starts
45m the intruder alters beacons
1h alice is switched to LAN 2
1h30m alice is switched to LAN 1
1h45m the intruder claims names
2h the intruder floods
2h1m the intruder stops
2h2m quiet
