# SPDX-License-Identifier: GPL-3.0-or-later
"""Upgrade, downgrade, removal and purge, with messages in the stores of running daemons."""
import re
import subprocess

import pytest

import boot
import net
import packages as packaging

STATE = ".local/state/p2pchat"
TRACKER_STATE = ("/var/lib/p2pchat-tracker", "/var/lib/private/p2pchat-tracker")

# Connects to the tracker until its input ends. Each refusal is a line.
CONNECTOR = """
import select, socket, sys
while not select.select([sys.stdin], [], [], 0.001)[0]:
    try:
        socket.create_connection(("127.0.0.1", 7425)).close()
    except OSError as error:
        print(error)
"""


def substitute(path, pattern, replacement):
    text, count = re.subn(pattern, replacement, path.read_text(), count=1)
    assert count == 1, path
    path.write_text(text)


@pytest.fixture(scope="module", name="newer")
def newer_fixture(release, tmp_path_factory):
    """The packages of a next version, which writes stores that this one does not know; built fast."""
    source = tmp_path_factory.mktemp("newer") / "source"
    packaging.copy_source(source)
    substitute(source / "meson.build", r"version: '[^']+'", "version: '99.0'")
    substitute(source / "debian/changelog", r"\(.*\)", "(99.0)")
    # Files have the time of that entry, and systemd looks at the time of a unit.
    substitute(source / "debian/changelog", r":\d\d \+", ":59 +")
    substitute(source / "systemd/p2pchatd.service.in", "Description=.*", "Description=the next one")
    substitute(source / "daemon/store/store.h", r"STORE_SCHEMA_VERSION \d+", "STORE_SCHEMA_VERSION 99")
    return packaging.build(release, source, "nocheck noopt")


class Lab:
    """A box with both packages, and users who know its tracker."""

    def __init__(self, box):
        self.box = box

    def user(self, name):
        address = self.box.run("p2pchat-tracker", "--print-address").stdout.strip().partition(":")[2]
        user = self.box.add_user(name)
        user.chatc("register", name, "--no-password", "--tracker", f"127.0.0.1:{address}")
        return user

    def digest(self, user):
        """Of all files of a user that p2pchatd has written; who has a store open is none of them."""
        return user.run("sh", "-c", f"find {STATE} .config -type f ! -name lock.mdb "
                        "-exec sha256sum {} +").stdout


@pytest.fixture(name="lab")
def lab_fixture(release, packages):
    # With a network, as two daemons find each other by its addresses.
    with net.Wire() as wire, boot.Box(release, netns=wire.ends[0]) as box:
        box.install(*packages.all())
        yield Lab(box)


def texts(user, other):
    return re.findall(r": (message \d+)$", user.chatc("history", other), re.MULTILINE)


def main_pid(user):
    return user.show("MainPID")


def test_an_upgrade_loses_nothing(lab, newer):
    box = lab.box
    alice, bob = lab.user("alice"), lab.user("bob")
    alice.chatc("send", "bob", "message 0", "--wait", "delivered")
    bob.systemctl("stop", "p2pchatd")
    for number in range(1, 4):
        alice.chatc("send", "bob", f"message {number}")
    mine = "advertise = \"tracker.example.org\";\n"
    box.put("/etc/p2pchat/p2pchat-tracker.conf", mine)
    daemon, tracker = main_pid(alice), box.show("MainPID")
    socket = box.show("InvocationID", "p2pchat-tracker.socket")

    with subprocess.Popen(box.command("python3", "-c", CONNECTOR), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, encoding="utf-8") as connector:
        box.install(*newer.all())
        assert connector.communicate(timeout=boot.PATIENCE) == ("", None)

    assert main_pid(alice) == daemon
    assert box.show("MainPID") != tracker
    assert box.show("ActiveState") == "active"
    assert box.show("InvocationID", "p2pchat-tracker.socket") == socket
    assert box.run("cat", "/etc/p2pchat/p2pchat-tracker.conf").stdout == mine
    assert box.run("sh", "-c", "ls /etc/p2pchat").stdout.split() == [
        "p2pchat-tracker.conf", "p2pchatd.conf"]

    # The daemon of alice is the old one, bob's the new one.
    expected = [f"message {number}" for number in range(4)]
    bob.systemctl("start", "p2pchatd")
    boot.wait_until(lambda: texts(bob, "alice") == expected, "what was sent before the upgrade")
    assert '"version":"99.0"' in bob.chatc("status", "--json")
    assert '"version":"99.0"' not in alice.chatc("status", "--json")
    alice.systemctl("restart", "p2pchatd")
    assert main_pid(alice) != daemon
    assert alice.show("Description") == "the next one"
    bob.chatc("send", "alice", "message 4", "--wait", "delivered")
    expected.append("message 4")
    assert texts(alice, "bob") == texts(bob, "alice") == expected
    assert alice.chatc("outbox") == ""


def test_a_newer_store_is_refused_unharmed(lab, packages, newer):
    box = lab.box
    alice = lab.user("alice")
    box.install(*newer.all())
    carol = lab.user("carol")
    carol.chatc("send", "alice", "message 1", "--wait", "delivered")
    box.install(*packages.all())
    alice.systemctl("restart", "p2pchatd")          # its store is older
    carol.systemctl("stop", "p2pchatd")
    before = lab.digest(carol)

    refused = carol.run("chatc", "history", "alice", check=False)
    assert refused.returncode == 3, refused.stdout
    entries = box.journal("_SYSTEMD_USER_UNIT=p2pchatd.service", f"_UID={carol.uid}")
    assert any("NewerVersion" in entry["MESSAGE"] for entry in entries), entries
    assert lab.digest(carol) == before

    box.install(*newer.all())
    carol.systemctl("reset-failed", "p2pchatd")
    assert texts(carol, "alice") == texts(alice, "carol") == ["message 1"]


def test_removal_and_purge(lab, packages):
    box = lab.box
    alice, bob = lab.user("alice"), lab.user("bob")
    alice.chatc("send", "bob", "message 1", "--wait", "delivered")
    address = box.run("p2pchat-tracker", "--print-address").stdout

    removed = box.run("dpkg", "--remove", "p2pchat", "p2pchat-tracker").stdout
    assert "not empty" not in removed
    assert box.run("pgrep", "--full", "p2pchat", check=False).stdout == ""
    assert box.run("ss", "--no-header", "--listening", "--tcp", "sport = 7425").stdout == ""
    alices = lab.digest(alice)
    assert "/db" in alices

    box.install(*packages.all())
    assert box.run("p2pchat-tracker", "--print-address").stdout == address
    assert lab.digest(alice) == alices
    assert texts(alice, "bob") == ["message 1"]
    bob.systemctl("start", "p2pchatd")
    alice.chatc("send", "bob", "message 2", "--wait", "delivered")
    assert texts(bob, "alice") == ["message 1", "message 2"]

    box.run("dpkg", "--purge", "p2pchat", "p2pchat-tracker")
    assert box.run("pgrep", "--full", "p2pchat", check=False).stdout == ""
    left = box.run("find", "/etc", "/usr", "/var/lib", "/var/cache", "/run/systemd",
                   "-name", "*p2pchat*").stdout
    assert left == ""
    assert box.systemctl("list-unit-files", "--quiet", "p2pchat*", check=False) == ""
    assert box.systemctl("--failed", "--quiet") == ""
    for user in alice, bob:
        assert "/db" in lab.digest(user)
