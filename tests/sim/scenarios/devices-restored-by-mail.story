# SPDX-License-Identifier: GPL-3.0-or-later
# What Alice wrote before her disk was put back, and what she writes after that, both go into Dave's
# mailbox, with the same numbers: his receipt for the one must not be taken for the other.

seed 42
users 4
trackers 1
devices 2

0s t1 starts
0s dave starts
0s alice starts
28s alice's store is saved
28s dave sleeps for 10s
28s alice writes to dave
34s alice stops
34.062s alice's store is put back
34.062s alice starts
34.062s alice writes to dave 3 times
34.062s quiet
