# SPDX-License-Identifier: GPL-3.0-or-later
# Bob closes the lid for an hour; Alice's clock is set by a day meanwhile, and back. He wakes up where
# he was, and the next time elsewhere.

seed 8
users 3
trackers 0

0s alice moves to LAN 1
0s bob moves to LAN 1
0s carol moves to LAN 1
0s alice knows no tracker
0s bob knows no tracker
0s carol knows no tracker
0s alice starts
0s bob starts
0s carol starts
1m alice writes to bob
10m bob sleeps for 1h
11m alice writes to bob 5 times
30m alice's clock goes forward by 1d
40m alice writes to carol
1h alice's clock goes back by 1d
2h bob writes to alice
2h10m bob sleeps for 1h
2h20m bob is switched to LAN 2
3h20m bob moves to LAN 2
3h21m carol writes to bob
4h bob moves to LAN 1
4h10m quiet
