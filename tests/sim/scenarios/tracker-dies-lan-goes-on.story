# SPDX-License-Identifier: GPL-3.0-or-later
# The tracker dies in the middle of a conversation and stays dead: those on one LAN go on, also those
# who start then, and who has been met there is written to. Carol is elsewhere and has to wait.

seed 6
users 4
trackers 1

0s alice moves to LAN 1
0s bob moves to LAN 1
0s dave moves to LAN 1
0s carol moves to LAN 2
0s t1 starts
0s alice starts
0s bob starts
0s carol starts
1m alice writes to bob 5 times
1m alice writes to carol
2m bob writes to alice 5 times
2m0.1s t1 is killed
2m1s alice writes to bob 5 times
3m alice writes to carol
20m bob is killed
21m bob starts
22m alice writes to bob 5 times
25m bob moves
26m alice writes to bob 5 times
26m bob writes to alice 5 times
1h bob reads what alice wrote
2h alice writes to bob 20 times
2h30m the router is off
3h bob writes to alice 20 times
3h10m dave starts
4h t1 starts
4h10m quiet
