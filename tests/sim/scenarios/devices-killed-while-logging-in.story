# SPDX-License-Identifier: GPL-3.0-or-later
# Alice logs in on one device and the other in turn, and each dies at a later call of the world while it
# takes over. She logs in once more, and all is there.

seed 11
users 2
trackers 1
devices 2

0s t1 starts
0s alice starts
0s bob starts
0s alice2 starts
20s alice writes to bob 3 times
30s bob writes to alice 3 times
1m alice2 logs in
1m alice2 is killed at call 27
1m1s bob writes to alice
1m5s alice2 starts
3m alice logs in
3m alice is killed at call 29
3m1s bob writes to alice
3m5s alice starts
5m alice2 logs in
5m alice2 is killed at call 31
5m1s bob writes to alice
5m5s alice2 starts
7m alice logs in
7m alice is killed at call 33
7m1s bob writes to alice
7m5s alice starts
9m alice2 logs in
9m alice2 is killed at call 35
9m1s bob writes to alice
9m5s alice2 starts
10m50s quiet
11m alice logs in
11m alice is killed at call 37
11m1s bob writes to alice
11m5s alice starts
13m alice2 logs in
13m alice2 is killed at call 39
13m1s bob writes to alice
13m5s alice2 starts
15m alice logs in
15m alice is killed at call 1
15m1s bob writes to alice
15m5s alice starts
17m alice2 logs in
17m alice2 is killed at call 3
17m1s bob writes to alice
17m5s alice2 starts
19m alice logs in
19m alice is killed at call 5
19m1s bob writes to alice
19m5s alice starts
20m50s quiet
21m alice2 logs in
21m alice2 is killed at call 7
21m1s bob writes to alice
21m5s alice2 starts
23m alice logs in
23m alice is killed at call 9
23m1s bob writes to alice
23m5s alice starts
25m alice2 logs in
25m alice2 is killed at call 11
25m1s bob writes to alice
25m5s alice2 starts
27m alice logs in
27m alice is killed at call 13
27m1s bob writes to alice
27m5s alice starts
29m alice2 logs in
29m alice2 is killed at call 15
29m1s bob writes to alice
29m5s alice2 starts
31m alice logs in
31m alice is killed at call 17
31m1s bob writes to alice
31m5s alice starts
33m alice2 logs in
33m alice2 is killed at call 19
33m1s bob writes to alice
33m5s alice2 starts
35m alice logs in
35m alice is killed at call 21
35m1s bob writes to alice
35m5s alice starts
37m alice2 logs in
37m alice2 is killed at call 23
37m1s bob writes to alice
37m5s alice2 starts
38m50s quiet
39m alice logs in
39m alice is killed at call 25
39m1s bob writes to alice
39m5s alice starts
41m quiet
