# SPDX-License-Identifier: GPL-3.0-or-later
"""Both programs, built with AddressSanitizer and UBSan, in the sandboxes of their units."""
import os
import shutil
import subprocess

import pytest

import boot
import packages as packaging
import trees
from service import STATE, drop_in, exchange, register, set_up_tracker, tracker_drop_in

BUILD = """set -e
mkdir /b && cp -a /src /b/src && cd /b
meson setup --prefix=/usr --libexecdir=libexec --sysconfdir=/etc -Dtests=false \
        -Db_sanitize=address,undefined -Db_lundef=false build src
ninja -C build
cp build/daemon/p2pchatd build/daemon/p2pchat-tracker /out/
"""

# LeakSanitizer traces the process when it ends. The log is where the service may write.
INSTEAD = """[Service]
ExecStart=
ExecStart=/san/{}
Environment=ASAN_OPTIONS=log_path={}/report UBSAN_OPTIONS=log_path={}/report
SystemCallFilter=
SystemCallFilter=@system-service @debug
SystemCallFilter=~@privileged @resources
"""


@pytest.fixture(scope="module", name="programs")
def programs_fixture(release, tmp_path_factory):
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("san")
    packaging.copy_source(source)
    machine = f"p2pchat-san-{os.getpid()}"
    command = trees.nspawn(trees.tree(release, "full"), machine, "--volatile=overlay",
                           "--private-network", "--as-pid2", f"--bind-ro={source}:/src",
                           f"--bind={out}:/out", "/bin/sh", "-c", BUILD)
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, encoding="utf-8")
    finally:
        trees.leave_cgroups(machine)
    assert done.returncode == 0, done.stdout[-4000:]
    shutil.rmtree(source)
    out.chmod(0o755)
    out.parent.chmod(0o755)
    return out


def reports(box, *folders):
    done = box.run("find", *folders, "-name", "report.*", "-exec", "cat", "{}", "+")
    return done.stdout


def test_nothing_is_reported(release, packages, programs):
    with boot.Box(release, binds={programs: "/san"}) as box:
        box.install(*packages.all())
        tracker_drop_in(box, INSTEAD.format("p2pchat-tracker", *2 * ["%S/p2pchat-tracker"]))
        box.systemctl("restart", "p2pchat-tracker")
        address = set_up_tracker(box)
        alice, bob = users = [box.add_user(name) for name in ("alice", "bob")]
        for user in users:
            drop_in(user, INSTEAD.format("p2pchatd", *2 * [f"%h/{STATE}"]))
        register(address, alice, bob)
        exchange(alice, bob, "under observation")
        for user in users:
            user.systemctl("reload", "p2pchatd")
            assert "failed" not in user.chatc("doctor")
            user.systemctl("restart", "p2pchatd")
        box.systemctl("reload", "p2pchat-tracker")
        box.systemctl("restart", "p2pchat-tracker")
        exchange(alice, bob, "still under observation")
        for who, unit in ((alice, "p2pchatd.service"), (box, "p2pchat-tracker.service")):
            assert "asan" in box.run("cat", f"/proc/{who.show('MainPID', unit)}/maps").stdout
        for user in users:
            user.systemctl("stop", "p2pchatd")
            assert user.show("Result") == "success"
        box.systemctl("stop", "p2pchat-tracker.socket", "p2pchat-tracker.service")
        assert box.show("Result") == "success"
        folders = [f"{user.home}/{STATE}" for user in users]
        folders.append("/var/lib/private/p2pchat-tracker")
        assert reports(box, *folders) == ""

        # What would have been found.
        box.systemctl("start", "p2pchat-tracker")
        alice.systemctl("start", "p2pchatd")
        for who, unit, folder in ((alice, "p2pchatd.service", folders[0]),
                                  (box, "p2pchat-tracker.service", folders[-1])):
            who.systemctl("kill", "--signal=SEGV", "--kill-whom=main", unit)
            boot.wait_until(lambda where=folder: "AddressSanitizer" in reports(box, where),
                            f"a report of {unit}")
