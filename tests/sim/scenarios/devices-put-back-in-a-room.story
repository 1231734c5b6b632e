# SPDX-License-Identifier: GPL-3.0-or-later
# Stores are put back to what they were before their users wrote to the room, who write on: Bob less than
# what the others have of him, Carol as much. Nobody takes two with one number, and all is there once.

seed 13
users 3
trackers 1
devices 2

0s t1 starts
0s alice starts
0s bob starts
0s carol starts
20s alice makes the room
30s bob joins the room
31s carol joins the room
1m bob writes to the room 3 times
1m10s bob's store is saved
1m20s bob writes to the room 3 times
1m30s alice writes to the room
1m40s bob is killed
1m41s bob's store is put back
1m42s bob is alone
1m45s bob starts
1m50s bob writes to the room 2 times
2m all are joined
3m bob writes to the room
4m carol writes to the room
4m10s carol's store is saved
4m20s carol writes to the room 9 times
4m30s carol is killed
4m31s carol's store is put back
4m32s carol is alone
4m35s carol starts
4m40s carol writes to the room 9 times
5m all are joined
6m carol writes to the room
10m quiet
