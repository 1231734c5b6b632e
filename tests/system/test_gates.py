# SPDX-License-Identifier: GPL-3.0-or-later
"""What the packages have to pass to enter Debian: autopkgtest, piuparts, and a reproducible build."""
import re
import subprocess

import boot
import net
import packages as packaging
import trees

LIMIT = 1200


def test_autopkgtest(release, packages, tmp_path):
    packaging.copy_source(tmp_path)
    with net.Wire() as wire, boot.Box(release, netns=wire.ends[0], binds={
            tmp_path: "/source", packages.folder: "/packages"}) as box:
        box.run("cp", "-a", "/source", "/var/tmp/")
        # "null": the machine to test on is this one.
        said = box.run("autopkgtest", "--no-built-binaries",
                       "--ignore-restrictions=isolation-container",
                       *(f"/packages/{package.name}" for package in packages.all()),
                       "/var/tmp/source/", "--", "null", check=False, timeout=LIMIT)
    results = dict(re.findall(r"^(\S+) +(PASS|FAIL|SKIP)\b", said.stdout, re.MULTILINE))
    tests = re.search("^Tests: (.*)", (trees.TOP / "debian/tests/control").read_text(), re.MULTILINE)
    assert results == dict.fromkeys(tests[1].split(), "PASS"), said.stdout[-8000:]
    assert said.returncode == 0, said.stdout[-2000:]


def test_piuparts(release, packages):
    """In a tree that has nothing of what they need but systemd and a bus, which every machine has,
    and which leave things behind of their own."""
    done = subprocess.run(
        ["piuparts", f"--distribution={release}", f"--existing-chroot={trees.tree(release, 'bare')}",
         "--keep-sources-list", "--fake-essential-packages=systemd-sysv,dbus-user-session",
         *packages.all()],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        encoding="utf-8", timeout=LIMIT)
    assert done.returncode == 0, done.stdout[-8000:]
    assert "PASS: All tests." in done.stdout


def test_two_builds_are_alike(release, tmp_path):
    """One with its tests and one without, where there is nothing but what Build-Depends names."""
    source, tested, quick = tmp_path / "source", tmp_path / "tested", tmp_path / "quick"
    packaging.copy_source(source)
    for out, options in (tested, ""), (quick, "nocheck"):
        out.mkdir()
        packaging.build_source(release, source, out, options, kind="build")
    assert re.search("^Fail: +0 *$", (tested / "build.log").read_text(), re.MULTILINE)
    names = sorted(path.name for path in tested.glob("*.deb"))
    assert [name.partition("_")[0] for name in names] == [
        "p2pchat-dbgsym", "p2pchat-tracker-dbgsym", "p2pchat-tracker", "p2pchat"]
    for name in names:
        assert (tested / name).read_bytes() == (quick / name).read_bytes(), name
