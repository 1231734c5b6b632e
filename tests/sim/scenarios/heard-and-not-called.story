# SPDX-License-Identifier: GPL-3.0-or-later
# Bob says that he is there and lets nobody in: that is no reason for everybody to answer him, and to
# call him, with each of his beacons.

seed 4
users 4
trackers 1

0s the network takes 0.9s, up to 0s more, and carries 0 bytes/s
0s alice moves to LAN 1
0s bob moves to LAN 1
0s carol moves to LAN 1
0s dave moves to LAN 1
0s t1 starts
0s alice starts
0s bob starts
0s carol starts
0s dave starts
1h quiet
