# SPDX-License-Identifier: GPL-3.0-or-later
# The tracker cannot read its directory while Alice comes back. When it can it takes her presence, though
# it has known her all the time as somebody of whom nothing is known.

seed 1
users 2
trackers 1

0s t1 starts
0s alice starts
0s bob starts
30s alice writes to bob
5m alice stops
10m t1's disk fails 15 times
10m alice starts
11m t1's disk is good
20m quiet
