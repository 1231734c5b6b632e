# SPDX-License-Identifier: GPL-3.0-or-later
"""The services as systemd runs them: after crashes, hangs and refusals, at reloads and restarts, and
with the tracker's socket."""
import re

import pytest

import boot
from clients import Clients
from service import drop_in, example, exchange, register, set_up_tracker, tracker_drop_in

PAGE = "p2pchat-tracker.8"
STATE = "/var/lib/p2pchat-tracker"
CLIENTS = 200

# A crash; what only a watchdog notices, which does not wait for longer than a busy machine may need.
SIGNALS = {"KILL": "", "STOP": "[Service]\nWatchdogSec=10\n"}


@pytest.fixture(scope="module", name="address")
def address_fixture(box):
    return set_up_tracker(box)


@pytest.fixture(scope="module", name="couple")
def couple_fixture(box, address):
    users = [box.add_user(name) for name in ("alice", "bob")]
    register(address, *users)
    return users


@pytest.fixture(autouse=True)
def forget_starts(box, couple):
    """So many in so short a time are a test's only; systemd would refuse more."""
    for who in (box, *couple):
        who.systemctl("reset-failed")


def has(who, name, value, unit):
    """While its bus is gone, a service manager may not be heard."""
    return who.systemctl("show", "--value", f"--property={name}", unit, check=False).strip() == value


def wait_active(who, unit):
    boot.wait_until(lambda: has(who, "ActiveState", "active", unit), f"{unit} to run")


def wait_restart(who, unit):
    """The first that systemd did by itself."""
    boot.wait_until(lambda: has(who, "NRestarts", "1", unit), f"{unit} to be started again")
    wait_active(who, unit)


def hurt(who, unit, how):
    who.systemctl("kill", f"--signal={how}", "--kill-whom=main", unit)
    wait_restart(who, unit)


def test_systemd_finds_nothing_wrong(box, couple):
    for who, mode, units in ((box, "--system", ("p2pchat-tracker.socket", "p2pchat-tracker.service")),
                             (couple[0], "--user", ("p2pchatd.service", "p2pchatd-home.service"))):
        said = who.run("systemd-analyze", mode, "verify", *units).stdout
        assert "p2pchat" not in said, said


# The user's daemon


@pytest.mark.parametrize("how", SIGNALS)
def test_what_waited_arrives_when_the_daemon_was_hurt(couple, how):
    alice, bob = couple
    drop_in(alice, SIGNALS[how])
    alice.systemctl("restart", "p2pchatd")
    bob.systemctl("stop", "p2pchatd")
    texts = [f"before {how} {number}" for number in range(5)]
    for text in texts:
        alice.chatc("send", "bob", text)
    hurt(alice, "p2pchatd.service", how)
    bob.systemctl("start", "p2pchatd")
    exchange(alice, bob, f"after {how}")
    history = bob.chatc("history", "alice")
    assert [text for text in texts if history.count(text) != 1] == []
    drop_in(alice, None)
    alice.systemctl("restart", "p2pchatd")


def test_what_is_refused_is_not_tried_again(couple):
    alice, bob = couple
    path = f"{alice.home}/.config/p2pchat/p2pchatd.conf"
    alice.put(path, "heartbeat = 1;\n")
    for _ in range(2):
        alice.run("systemctl", "--user", "restart", "p2pchatd", check=False)
        assert alice.show("ActiveState") == "failed" and alice.show("NRestarts") == "0"
    alice.run("rm", path)
    exchange(alice, bob, "refused no more")


def test_a_bus_that_restarts(couple):
    alice, bob = couple
    alice.systemctl("kill", "--signal=KILL", "dbus.service")
    wait_restart(alice, "p2pchatd.service")
    exchange(alice, bob, "over another bus")


def failures(user):
    return [entry["MESSAGE"] for entry in user.box.journal("USER_UNIT=p2pchatd.service",
                                                           f"_UID={user.uid}")
            if "Failed with result" in entry["MESSAGE"]]


def test_lingering(box, couple):
    """An enabled daemon comes with the service manager of its user, as at a boot, before anybody logs
    in or asks for it, and goes with it in peace."""
    alice, bob = couple
    alice.systemctl("enable", "p2pchatd")
    before = failures(alice)
    for _ in range(3):
        box.systemctl("stop", f"user@{alice.uid}.service")
        bob.chatc("send", "alice", "to somebody who is away")
        box.systemctl("start", f"user@{alice.uid}.service")
        wait_active(alice, "p2pchatd.service")
        exchange(alice, bob, "lingering")
    assert failures(alice) == before
    alice.systemctl("disable", "p2pchatd")


# The tracker


@pytest.mark.parametrize("how", SIGNALS)
def test_a_tracker_that_was_hurt_knows_everybody(box, couple, address, how):
    tracker_drop_in(box, SIGNALS[how])
    box.systemctl("restart", "p2pchat-tracker")
    hurt(box, "p2pchat-tracker.service", how)
    tracker_drop_in(box, None)
    stranger = box.add_user(f"after-{how.lower()}")
    assert "NameTaken" in stranger.chatc("register", "alice", "--no-password", "--tracker", address,
                                         check=False)
    register(address, stranger)
    exchange(stranger, couple[0], f"after {how}")


def test_two_hundred_clients_are_not_refused(box, address, tmp_path):
    enter = ["nsenter", f"--target={box.leader}", "--net"]
    clients = Clients(tmp_path / "log", address, CLIENTS, enter)
    try:
        boot.wait_until(lambda: clients.count("ready") == 1, "everybody to see the others")
        begun = len(clients.events())
        before = box.show("MainPID")
        for _ in range(3):
            box.systemctl("reload", "p2pchat-tracker")
        assert box.show("MainPID") == before
        assert not [event for event in clients.events()[begun:] if event[2] in ("lost", "failed")]

        box.systemctl("restart", "p2pchat-tracker")
        boot.wait_until(lambda: len([1 for event in clients.events()[begun:]
                                     if event[2] == "connected"]) >= CLIENTS, "all are back")
        said = [event[2] for event in clients.events()[begun:]]
        assert (said.count("lost"), said.count("connected"), said.count("failed")) == (
            CLIENTS, CLIENTS, 0)
    finally:
        clients.close()


def connects(box, port):
    """Whether somebody listens there in the box."""
    done = box.run("python3", "-c", "import socket, sys; socket.create_connection("
                   f"('127.0.0.1', {port}), 5).close()", check=False)
    return done.returncode == 0


def test_a_connection_starts_the_service(box, couple):
    alice, bob = couple
    box.systemctl("stop", "p2pchat-tracker.service")
    assert connects(box, 7425)
    wait_active(box, "p2pchat-tracker.service")
    box.run("sh", "-ec", example(PAGE, "so to stop it takes both"))
    assert not connects(box, 7425)
    box.systemctl("start", "p2pchat-tracker.service")
    assert box.show("ActiveState", "p2pchat-tracker.socket") == "active"
    exchange(alice, bob, "after a pause")


def test_another_port(box, address):
    """The socket's own wins over `listen`; that they differ is logged once."""
    folder = "/run/systemd/system/p2pchat-tracker.socket.d"
    box.put(f"{folder}/test.conf", example(PAGE, "to a drop-in"))
    box.systemctl("daemon-reload")
    box.run("sh", "-ec", example(PAGE, "and holds after"))
    assert connects(box, 7426) and not connects(box, 7425)
    box.systemctl("reload", "p2pchat-tracker")
    said = [entry["MESSAGE"] for entry in box.journal(f"_PID={box.show('MainPID')}")]
    assert len([text for text in said if "other sockets than" in text]) == 1, said

    assert set_up_tracker(box, 'listen = ( "[::]:7426" );\n').startswith("127.0.0.1:7426#")
    carol = box.add_user("carol")
    register(address.replace(":7425#", ":7426#"), carol)
    box.run("rm", "-r", folder)
    set_up_tracker(box)
    box.systemctl("daemon-reload")
    box.systemctl("stop", "p2pchat-tracker.socket", "p2pchat-tracker.service")
    box.systemctl("start", "p2pchat-tracker.service")
    assert connects(box, 7425)


def test_without_the_socket(box, couple):
    alice, bob = couple
    box.run("sh", "-ec", example(PAGE, "Without the socket the service listens by itself"))
    set_up_tracker(box, 'listen = ( "[::]:7425", "127.0.0.1:7427" );\n')
    boot.wait_until(lambda: connects(box, 7425) and connects(box, 7427), "both ports")
    exchange(alice, bob, "without a socket of systemd")
    set_up_tracker(box)
    boot.wait_until(lambda: not connects(box, 7427), "only one port")
    box.systemctl("stop", "p2pchat-tracker")
    assert not connects(box, 7425)
    box.systemctl("unmask", "p2pchat-tracker.socket")
    box.systemctl("start", "p2pchat-tracker")
    assert box.show("ActiveState", "p2pchat-tracker.socket") == "active"


def test_both_families(box):
    """One socket for IPv6 and IPv4."""
    for family, host in (("AF_INET", "127.0.0.1"), ("AF_INET6", "::1")):
        box.run("python3", "-c", f"import socket; socket.socket(socket.{family}).connect("
                f"('{host}', 7425))")


def test_a_refused_configuration(box, address):
    path = "/etc/p2pchat/p2pchat-tracker.conf"
    good = box.run("cat", path).stdout
    box.put(path, "heartbeat = 1;\n")
    done = box.run("systemctl", "reload", "p2pchat-tracker", check=False)
    assert done.returncode != 0 and box.show("ActiveState") == "active"
    boot.wait_until(lambda: "refused" in box.show("StatusText"), "it to be said")
    box.put(path, good)
    box.systemctl("reload", "p2pchat-tracker")
    boot.wait_until(lambda: "refused" not in box.show("StatusText"), "it to be good again")
    assert box.run("p2pchat-tracker", "--print-address").stdout.strip() == address


def test_the_address_is_the_same_at_any_time(box, couple):
    """Before the first start, by root, who makes the key where the service then finds it; while it
    runs, and after. Others are told who may."""
    def address():
        return box.run("p2pchat-tracker", "--print-address").stdout.strip()

    box.systemctl("stop", "p2pchat-tracker.socket", "p2pchat-tracker.service")
    box.run("rm", "-r", STATE, "/var/lib/private/p2pchat-tracker")
    told = couple[0].run("p2pchat-tracker", "--print-address", check=False)
    assert told.returncode == 1 and "be root" in told.stdout
    before = address()
    assert re.fullmatch(r"127\.0\.0\.1:7425#[a-z2-7]{52}", before)
    box.systemctl("start", "p2pchat-tracker")
    assert address() == before and before in box.show("StatusText")
    assert box.run("stat", "--format=%a", "/var/lib/private/p2pchat-tracker/").stdout == "700\n"
    told = couple[0].run("p2pchat-tracker", "--print-address", check=False)
    assert told.returncode == 1 and "be root" in told.stdout
    box.systemctl("stop", "p2pchat-tracker.socket", "p2pchat-tracker.service")
    assert address() == before
    box.systemctl("start", "p2pchat-tracker")
    assert box.run("find", "/var/lib/private/p2pchat-tracker", "-user", "root").stdout == ""
    assert before in box.show("StatusText")
