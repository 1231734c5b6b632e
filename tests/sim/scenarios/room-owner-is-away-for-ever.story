# SPDX-License-Identifier: GPL-3.0-or-later
# Alice, whose room it is, is gone for ever. What waits for her for a week is settled by Bob, the
# admin whom she appointed first, and Carol, the second, goes by it.

seed 21
users 6
trackers 1

0s t1 starts
0s alice starts
0s bob starts
0s carol starts
0s dave starts
0s erin starts
0s frank starts
5s alice makes the hidden room
20s alice invites bob
20s alice invites carol
20s alice invites dave
20s alice invites erin
20s alice invites frank
40s bob joins the room
40s carol joins the room
40s dave joins the room
40s erin joins the room
40s frank joins the room
2m alice makes bob admin
3m alice makes carol admin
10m alice writes to the room 3 times
20m alice is destroyed
1h frank stops
1h erin stops
2h dave writes to the room
3h dave leaves the room
1d carol kicks erin
6d23h carol writes to the room
9d bob writes to the room
9d carol kicks frank
9d erin starts
9d frank starts
9d1h quiet
