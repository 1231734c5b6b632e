# SPDX-License-Identifier: GPL-3.0-or-later
# An older copy of Bob's state runs, in which there is no secret for what Alice has sealed. He says so,
# and his record names another prekey; she finds that when she is back, and seals again for him.

seed 10
users 2
trackers 1

0s t1 starts
0s alice starts
0s bob starts
10s alice writes to bob
20s bob writes to alice
1m bob stops
2h alice writes to bob 10 times
2h1m alice stops
2h2m bob loses the newest prekey
3h bob starts
3h10m bob stops
4h alice starts
4h10m alice is destroyed
5h bob starts
5h10m quiet
