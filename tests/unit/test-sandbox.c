/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "sandbox.h"

TEST(the_namespace_is_the_one_that_systemd_makes) {
        CHECK(sandbox_is_user_namespace("         0          0          1\n"
                                        "      1000       1000          1\n"));
        CHECK(sandbox_is_user_namespace("      1000       1000          1\n"));
        CHECK(sandbox_is_user_namespace("         0          0          1\n")); /* root's */
}

TEST(other_namespaces_hide_nothing) {
        CHECK(!sandbox_is_user_namespace("         0          0 4294967295\n")); /* the system */
        CHECK(!sandbox_is_user_namespace("         0     100000      65536\n")); /* a container */
        CHECK(!sandbox_is_user_namespace("         0       1000          1\n")); /* unshare -r */
        CHECK(!sandbox_is_user_namespace("         0       1000          1\n"
                                         "         1     100000      65536\n")); /* rootless */
        CHECK(!sandbox_is_user_namespace(""));
}
