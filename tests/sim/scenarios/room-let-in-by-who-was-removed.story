# SPDX-License-Identifier: GPL-3.0-or-later
# Judy lets Bob in, and was removed by then, which neither knows: he is let in by Alice when they meet, and what he
# has written meanwhile counts.

seed 37
users 11
trackers 2
0s t2 starts
0s alice starts
0s bob starts
0s judy starts
0s alice makes the room
0s judy joins the room
25s the network is in 2 parts
25s alice kicks judy
25s bob joins the room
25.5s bob writes to the room
25.5s quiet
