# SPDX-License-Identifier: GPL-3.0-or-later
# Carol was away when Bob was removed, and gets the rest of what he had said before from Alice, after she has
# let Bob go for good.

seed 5
users 3
trackers 1

0s t1 starts
0s alice starts
0s carol starts
0s carol joins the room
0s bob starts
0s alice makes the room
0s bob joins the room
43s bob writes to the room
43s alice is killed
43.036s carol is killed
43.036s alice kicks bob
43.036s bob writes to the room
43.036s alice starts
1m11.036s quiet
