# SPDX-License-Identifier: GPL-3.0-or-later
# Alice writes to Bob while he is away, closes her lid, and is there again when he is back. Both have
# moved meanwhile, and the tracker has lost power. He gets everything, and she learns that he has.

seed 1
users 2
trackers 1

0s t1 starts
0s alice starts
0s bob starts
10s bob writes to alice
20s alice reads what bob wrote
1m bob stops

1h alice writes to bob 50 times
1h30s alice sleeps for 1d
1d2h t1 loses power
1d3h t1 starts

1d4h alice moves
1d12h alice writes to bob
2d bob moves
2d bob starts
2d10s bob reads what alice wrote
2d1h quiet
