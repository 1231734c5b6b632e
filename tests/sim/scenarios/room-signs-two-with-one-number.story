# SPDX-License-Identifier: GPL-3.0-or-later
# Leo's disk was copied, and both write to the room, in different parts: everybody holds the proof in the
# end, and nothing that he wrote from there on.

seed 4
users 12
trackers 2

0s t1 starts
0s t2 starts
0s alice starts
0s bob starts
0s carol starts
0s dave starts
0s leo starts
5s alice makes the room
20s leo joins the room
30s bob joins the room
31s carol joins the room
32s dave joins the room
1m leo writes to the room 2 times
9m33s leo stops
9m35s leo has a twin
9m36s the network is in 2 parts
9m36s leo starts
9m36s leo's old device starts
9m38s leo's old device writes to the room
9m56s leo writes to the room 2 times
14m36s leo's old device stops
14m37s all are joined
16m leo writes to the room
20m alice writes to the room
30m quiet
