# SPDX-License-Identifier: GPL-3.0-or-later
# Both devices die at one call of the world after the other, while the account is taken over and what
# the old one has is handed over.

seed 2
users 3
trackers 1
devices 2

0s t1 starts
0s alice starts
0s bob starts
0s carol starts
20s bob writes to alice 200 times
30s alice writes to bob 30 times
40s alice reads what bob wrote
45s alice catches up
50s carol writes to alice 5 times
1m alice2 starts
1m5s alice2 logs in
1m5s alice2 is killed at call 3
1m6s alice2 starts
1m6s alice2 is killed at call 6
1m8s alice2 starts
1m8s alice2 loses power at call 9
1m10s bob writes to alice
1m20s alice2 starts
1m25s alice2 is killed at call 11
1m26s alice is killed at call 1
1m27s alice2 starts
1m28s alice starts
1m28s alice is killed at call 4
1m29s alice starts
1m29s alice is killed at call 7
1m30s alice starts
1m30s alice loses power at call 10
1m32s alice2 is killed at call 2
1m33s alice2 starts
1m40s alice starts
1m40s alice2 is killed at call 14
1m41s alice2 starts
1m41s alice is killed at call 13
1m42s alice starts
1m42s alice2 is killed at call 17
1m43s alice2 starts
1m43s alice2 is killed at call 20
1m44s alice2 starts
1m44s alice is killed at call 16
1m45s alice starts
1m45s alice is killed at call 19
1m46s alice starts
1m46s alice2 is killed at call 25
1m47s alice2 starts
1m47s alice is killed at call 22
1m48s alice starts
2m quiet
