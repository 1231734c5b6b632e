# SPDX-License-Identifier: GPL-3.0-or-later
# The network falls into three parts while everybody talks: each hears a third of it, and in the end all of it.

seed 11
users 6
trackers 3

0s t1 starts
0s t2 starts
0s t3 starts
0s alice starts
1s bob starts
2s carol starts
3s dave starts
4s erin starts
5s frank starts
15s alice makes the room
30s bob joins the room
31s carol joins the room
32s dave joins the room
33s erin joins the room
34s frank joins the room
1m alice writes to the room 3 times
2m the network is in 3 parts
2m1s alice writes to the room 20 times
2m1s bob writes to the room 7 times
2m2s carol writes to the room 30 times
3m dave writes to the room 5 times
3m erin is killed
3m1s erin writes to the room 3 times
4m erin starts
5m frank stops
5m carol writes to the room 4 times
6m all are joined
10m frank starts
12m quiet
