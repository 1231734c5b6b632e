# SPDX-License-Identifier: GPL-3.0-or-later
# People without a tracker on two LANs, which become one and are two again; one of them is split by a
# switch, and a cable is pulled while messages are under way.

seed 7
users 5
trackers 0

0s alice moves to LAN 1
0s bob moves to LAN 1
0s carol moves to LAN 2
0s dave moves to LAN 2
0s erin moves to LAN 1
0s alice knows no tracker
0s bob knows no tracker
0s carol knows no tracker
0s dave knows no tracker
0s erin knows no tracker
0s the router is off
0s alice starts
0s bob starts
0s carol starts
0s dave starts
0s erin starts
1m alice writes to bob 5 times
2m alice writes to carol 5 times
10m the LANs are one
20m carol writes to alice 5 times
20m dave writes to erin 5 times
30m the LANs are apart
30m1s carol writes to alice 5 times
40m erin is switched to LAN 3
40m1s erin writes to alice 5 times
40m1s alice writes to erin 5 times
50m erin is switched to LAN 1
1h bob writes to alice 50 times
1h0.05s bob is unplugged
1h2m alice writes to bob 5 times
1h10m bob is plugged in
1h20m LANs lose and double 30 of 100, up to 2s late
1h20m bob writes to erin 5 times
1h40m bob is killed
1h41m bob starts
2h the LANs are one
2h1m the LANs are apart
2h2m quiet
