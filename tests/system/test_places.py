# SPDX-License-Identifier: GPL-3.0-or-later
"""Homes, states, configurations and buses that are not where most people have them, and systems
without user namespaces: the user service works there, with the drop-in that is documented where it
needs one, or says what is wrong and loses nothing."""
import contextlib

import pytest

import boot
from service import (STATE, drop_in, example, exchange, register, set_up_tracker)

PAGE = "p2pchatd.8"


@pytest.fixture(scope="module", name="address")
def address_fixture(box):
    return set_up_tracker(box)


@pytest.fixture(scope="module", name="bob")
def bob_fixture(box, address):
    bob = box.add_user("bob")
    register(address, bob)
    return bob


@pytest.fixture(scope="module", name="with_account")
def with_account_fixture(box, address):
    alice = box.add_user("alice")
    register(address, alice)
    return alice


@pytest.fixture(name="alice")
def alice_fixture(with_account):
    """As she was, whatever happened before."""
    with_account.systemctl("unset-environment", "XDG_STATE_HOME", "DBUS_SESSION_BUS_ADDRESS")
    drop_in(with_account, None)
    with_account.systemctl("restart", "p2pchatd")
    return with_account


def last_words(user):
    """What the daemon, or whoever set it up, logged since the last start."""
    since = user.show("InactiveExitTimestampMonotonic")
    return "\n".join(str(entry["MESSAGE"]) for entry in user.box.journal(f"_UID={user.uid}")
                     if int(entry["__MONOTONIC_TIMESTAMP"]) >= int(since))


def check_refused(user, *said):
    done = user.run("systemctl", "--user", "start", "p2pchatd", check=False)
    assert done.returncode != 0, done.stdout
    words = last_words(user)
    for text in said:
        assert text in words, words


def test_a_fresh_home(box):
    carl = box.add_user("carl")
    assert "p2pchat" not in carl.run("find", ".").stdout
    said = carl.run("busctl", "--user", "call", "org.p2pchat.Chat1", "/org/p2pchat/Chat1",
                     "org.p2pchat.Chat1", "Status", "a{sv}", "0").stdout
    assert "logged-out" in said
    modes = carl.run("stat", "--format=%a", STATE, ".config/p2pchat").stdout
    assert modes.split() == ["700", "700"]


# The state


@pytest.mark.parametrize("where", ["/home/alice/elsewhere", "/tmp/elsewhere",
                                   "/run/user/{uid}/elsewhere"])
def test_a_state_that_would_be_lost_is_refused(alice, where):
    where = where.format(uid=alice.uid)
    for there in False, True:
        if there:
            alice.run("mkdir", "-p", f"{where}/p2pchat")
        alice.systemctl("stop", "p2pchatd")
        alice.systemctl("set-environment", f"XDG_STATE_HOME={where}")
        check_refused(alice, f"The state directory {where}/p2pchat cannot be", "p2pchatd(8)")
    assert alice.run("find", where, "-type", "f").stdout == ""


def test_a_state_elsewhere(box, bob, address):
    carol = box.add_user("carol")
    carol.systemctl("set-environment", f"XDG_STATE_HOME={carol.home}/elsewhere")
    carol.run("mkdir", "-p", "elsewhere/p2pchat")
    drop_in(carol, example(PAGE, "The state, where"))
    register(address, carol)
    exchange(carol, bob, "from elsewhere")
    carol.systemctl("restart", "p2pchatd")
    assert "from elsewhere" in carol.chatc("history", "bob")
    assert carol.run("find", "elsewhere", "-name", "data.mdb").stdout


def test_a_state_on_another_disk(box, alice, bob):
    """By a symbolic link; one that leads nowhere, because the disk is not there, makes no account."""
    exchange(alice, bob, "before")
    alice.systemctl("stop", "p2pchatd")
    box.run("install", "-d", "-o", "alice", "-m", "700", "/srv/disk")
    alice.run("sh", "-c", f"mv {STATE} /srv/disk/state && ln -s /srv/disk/state {STATE}")
    alice.systemctl("start", "p2pchatd")
    exchange(alice, bob, "on another disk")
    alice.systemctl("stop", "p2pchatd")

    box.run("mv", "/srv/disk", "/srv/unplugged")
    check_refused(alice, STATE)
    box.run("mv", "/srv/unplugged", "/srv/disk")
    alice.systemctl("start", "p2pchatd")
    said = alice.chatc("history", "bob")
    assert "before" in said and "on another disk" in said
    alice.systemctl("stop", "p2pchatd")
    alice.run("sh", "-c", f"rm {STATE} && mv /srv/disk/state {STATE}")


# The configuration


GOOD, BAD = "heartbeat = { interval = 20; };\n", "heartbeat = { interval = 1; };\n"


def check_read(user, path):
    """What is written to PATH counts, at a reload and at a start."""
    user.put(path, GOOD)
    user.systemctl("start", "p2pchatd")
    user.put(path, BAD)
    assert user.run("systemctl", "--user", "reload", "p2pchatd", check=False).returncode != 0
    assert "heartbeat" in user.run("chatc", "status", check=False).stdout
    user.systemctl("stop", "p2pchatd")
    check_refused(user, "heartbeat")
    user.put(path, GOOD)
    user.systemctl("start", "p2pchatd")
    user.systemctl("reload", "p2pchatd")
    assert "heartbeat" not in user.run("chatc", "status", check=False).stdout
    user.run("rm", path)


def test_a_configuration_that_came_later(alice):
    check_read(alice, f"{alice.home}/.config/p2pchat/p2pchatd.conf")


def test_a_configuration_elsewhere(box):
    """Nothing is needed where the service manager itself is told of it."""
    dave = box.add_user("dave")
    box.put(f"/run/systemd/system/user@{dave.uid}.service.d/test.conf",
            f"[Service]\nEnvironment=XDG_CONFIG_HOME={dave.home}/elsewhere\n")
    box.systemctl("daemon-reload")
    box.systemctl("restart", f"user@{dave.uid}")
    dave.wait_for_manager()
    check_read(dave, f"{dave.home}/elsewhere/p2pchat/p2pchatd.conf")


def test_a_configuration_elsewhere_for_services(box):
    doris = box.add_user("doris")
    doris.systemctl("set-environment", f"XDG_CONFIG_HOME={doris.home}/elsewhere")
    doris.run("mkdir", "elsewhere")
    check_refused(doris, "elsewhere/p2pchat/p2pchatd.conf: cannot be read", "p2pchatd(8)")
    drop_in(doris, example(PAGE, "gives only its services"))
    check_read(doris, f"{doris.home}/elsewhere/p2pchat/p2pchatd.conf")


def test_a_configuration_that_is_a_link(alice):
    alice.run("mkdir", "dotfiles")
    alice.run("ln", "-s", f"{alice.home}/dotfiles/p2pchatd.conf", ".config/p2pchat/")
    alice.systemctl("stop", "p2pchatd")
    check_refused(alice, "p2pchatd.conf: cannot be read")
    drop_in(alice, example(PAGE, "A configuration file that is a symbolic link"))
    check_read(alice, f"{alice.home}/dotfiles/p2pchatd.conf")
    alice.run("rm", ".config/p2pchat/p2pchatd.conf")


# Homes


def visible(user, path):
    """Whether the daemon of this user finds PATH."""
    done = user.box.run("test", "-e", f"/proc/{user.show('MainPID')}/root{path}", check=False)
    return done.returncode == 0


def add_user_at(box, name, home):
    box.run("useradd", "--create-home", f"--home-dir={home}", "--shell=/bin/bash", name)
    box.run("chown", "-R", f"{name}:", f"{home}/")
    box.run("loginctl", "enable-linger", name)
    user = boot.User(box, name)
    user.wait_for_manager()
    user.put(f"{home}/.ssh/id_ed25519", "secret", 0o600)
    return user


def test_a_home_elsewhere(box, bob, address):
    box.run("mkdir", "-p", "/srv/homes")
    erin = add_user_at(box, "erin", "/srv/homes/erin")
    register(address, erin)
    exchange(erin, bob, "far from home")
    assert visible(erin, f"{erin.home}/{STATE}/db") and not visible(erin, f"{erin.home}/.ssh")


def test_a_home_that_is_a_link(box, bob, address):
    box.run("mkdir", "-p", "/data/me")
    box.run("ln", "-s", "/data/me", "/home/frank")
    frank = add_user_at(box, "frank", "/home/frank")
    register(address, frank)
    exchange(frank, bob, "by another name")
    assert not visible(frank, "/home/frank/.ssh") and visible(frank, "/data/me/.ssh")
    drop_in(frank, example(PAGE, "A home directory that is itself"))
    frank.systemctl("restart", "p2pchatd")
    exchange(frank, bob, "by no other name")
    assert not visible(frank, "/home/frank/.ssh") and not visible(frank, "/data/me/.ssh")


# Session buses


@contextlib.contextmanager
def bus_at(user, address):
    pid = user.run("dbus-daemon", "--session", f"--address={address}", "--fork",
                   "--print-pid").stdout.strip()
    user.systemctl("stop", "p2pchatd")
    user.systemctl("set-environment", f"DBUS_SESSION_BUS_ADDRESS={address}")
    try:
        yield {"DBUS_SESSION_BUS_ADDRESS": address}
    finally:
        user.systemctl("stop", "p2pchatd")
        user.run("kill", pid)


def test_a_bus_without_a_path(alice):
    with bus_at(alice, "unix:abstract=/tmp/bus-of-alice") as env:
        alice.systemctl("start", "p2pchatd")
        assert "alice" in alice.chatc("status", env=env)


def test_a_bus_in_tmp(alice):
    with bus_at(alice, "unix:path=/tmp/bus-of-alice") as env:
        check_refused(alice, "The session bus cannot be reached", "p2pchatd(8)")
        drop_in(alice, example(PAGE, "A session bus with a path in"))
        alice.systemctl("start", "p2pchatd")
        assert "alice" in alice.chatc("status", env=env)


def test_a_bus_that_knows_nothing_of_systemd(alice):
    """It starts the daemon itself, without a sandbox."""
    with bus_at(alice, "unix:path=/tmp/bus-of-alice") as env:
        assert "alice" in alice.chatc("status", env=env)
        assert alice.show("MainPID") == "0"


@pytest.mark.parametrize("bus", ["dbus-daemon", "dbus-broker"])
def test_both_buses(box, address, bob, bus):
    user = box.add_user(bus)
    box.systemctl("--global", "disable" if bus == "dbus-daemon" else "enable", "dbus-broker.service")
    box.systemctl("restart", f"user@{user.uid}")
    user.wait_for_manager()
    register(address, user)
    assert bus in user.systemctl("status", "dbus.service")
    assert user.show("MainPID") != "0"
    exchange(user, bob, "through it")
    user.systemctl("restart", "p2pchatd")
    exchange(user, bob, "through it again")


# User namespaces


@pytest.fixture(name="no_user_namespaces")
def no_user_namespaces_fixture(box, alice):
    """None for alice, as with kernel.unprivileged_userns_clone=0: the service manager may make none.
    The switches of the kernel are the whole machine's."""
    folder = f"/run/systemd/system/user@{alice.uid}.service.d"
    box.put(f"{folder}/test.conf", "[Service]\nRestrictNamespaces=~user\n")
    box.systemctl("daemon-reload")
    box.systemctl("restart", f"user@{alice.uid}")
    alice.wait_for_manager()
    yield
    box.run("rm", "-r", folder)
    box.systemctl("daemon-reload")
    box.systemctl("restart", f"user@{alice.uid}")
    alice.wait_for_manager()


@pytest.mark.usefixtures("no_user_namespaces")
def test_without_user_namespaces(box, alice, bob):
    alice.run("systemctl", "--user", "start", "p2pchatd", check=False)
    assert alice.show("ExecMainStatus") == "217" and alice.show("NRestarts") == "0"

    alice.run("sh", "-ec", example(PAGE, "until the user goes without what needs them"))
    alice.systemctl("start", "p2pchatd")
    exchange(alice, bob, "in the open")
    alice.systemctl("reload", "p2pchatd")
    status = box.run("cat", f"/proc/{alice.show('MainPID')}/status").stdout
    assert "\nNoNewPrivs:\t1\n" in status and "\nSeccomp:\t2\n" in status
    assert visible(alice, f"{alice.home}/.config")


def test_a_key_that_systemd_gives(box, address):
    dora = box.add_user("dora")
    dora.run("sh", "-c", "umask 077; mkdir keys; head -c 32 /dev/urandom >keys/p2pchat.key")
    drop_in(dora, example("p2pchatd.conf.5", "makes the drop-in that gives it"))
    register(address, dora)
    assert "key at rest  credential" in dora.chatc("status")
    dora.systemctl("restart", "p2pchatd")
    assert "key at rest  credential" in dora.chatc("status")
    assert dora.run("find", STATE, "-name", "key").stdout == ""

    dora.systemctl("stop", "p2pchatd")
    drop_in(dora, None)
    check_refused(dora, "systemd has to give p2pchatd the credential p2pchat.key")
