# SPDX-License-Identifier: GPL-3.0-or-later
# What Carol writes after her disk was put back goes over a link in one go: some of it is refused for its
# number, and the receipt that comes with the refusal must not be taken for that.

seed 226
users 4
trackers 1
devices 2

0s quiet
0s carol's store is saved
0s carol writes to bob
0.25s carol stops
0.312s carol's store is put back
0.312s carol writes to bob 3 times
0.312s bob writes to carol
0.312s quiet
