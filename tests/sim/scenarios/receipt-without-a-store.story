# SPDX-License-Identifier: GPL-3.0-or-later
# Alice's disk fails when Bob's receipt comes, and her store cannot be opened for a moment. When it is
# back she looks for what she has to send, though nobody writes and nobody appears.

seed 1
users 2
trackers 1

0s t1 starts
0s alice starts
0s bob starts
30s alice writes to bob
2m alice writes to bob 10 times
2m0.03s alice's disk fails 4 times
30m quiet
