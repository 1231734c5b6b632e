# SPDX-License-Identifier: GPL-3.0-or-later
# A receipt could not be left for Alice, and then something of hers comes by mail: what is owed for
# that is left, whatever was refused before.

seed 1
users 4
trackers 1

0s alice moves to LAN 1
0s quiet
0s dave moves to LAN 1
0s alice writes to dave
22m42s dave sleeps for 3m53s
22m42s dave reads what alice wrote
22m42s alice writes to dave
23m27s the router is off
28m23s dave sleeps for 52s
28m23s quiet
