# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon is started by whoever asks for it, and when it cannot be, the user learns why."""
import json
import re

import pytest

import boot
import documented
from service import drop_in

NAME = "org.p2pchat.Chat1"
UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


@pytest.fixture(scope="module", name="tracker")
def tracker_fixture(box):
    """Its address, in a box that has a loopback only."""
    key = box.run("p2pchat-tracker", "--print-address").stdout.strip().partition("#")[2]
    return f"127.0.0.1:7425#{key}"


@pytest.fixture(scope="module", name="people")
def people_fixture(box, tracker):
    people = [box.add_user(name) for name in ("alice", "bob")]
    for user in people:
        user.chatc("register", user.name, "--no-password", "--tracker", tracker)
    return people


def stopped(user):
    user.systemctl("stop", "p2pchatd")
    assert user.show("ActiveState") == "inactive"
    return user


def sent(user, answer):
    """The id that was answered is that of the message."""
    identity = UUID.search(answer).group()
    rows = [json.loads(line) for line in user.chatc("history", "bob", "--json").splitlines()]
    assert [(row["id"], row["text"]) for row in rows][-1] == (identity, "hi")


def listed(user, answer):
    assert "'hi'" in answer or '"hi"' in answer, answer


# What each method that is called in README or a manual page has to show.
SHOWS = {"Send": sent, "ListMessages": listed}


@pytest.mark.parametrize("line", documented.lines())
def test_documented_lines_start_it(people, line):
    alice = stopped(people[0])
    said = alice.run("sh", "-c", line).stdout
    assert alice.show("ActiveState") == "active"
    method, = (name for name in SHOWS if re.search(rf"\b{name}\b", line))
    SHOWS[method](alice, said)


@pytest.mark.parametrize("line", [
    f"busctl --user introspect {NAME} /org/p2pchat/Chat1",
    f"gdbus introspect --session --dest {NAME} --object-path /org/p2pchat/Chat1"])
def test_introspection_starts_it(people, line):
    alice = stopped(people[0])
    said = alice.run("sh", "-c", line).stdout
    for member in "Send", "ListEvents", "MessageReceived", "Trackers":
        assert re.search(rf"\b{member}\b", said), said
    assert alice.show("ActiveState") == "active"


def test_chatc_starts_it_in_a_fresh_home(box, tracker):
    carol = box.add_user("carol")
    assert carol.run("find", ".", "-path", "*p2pchat*").stdout == ""
    said = carol.chatc("register", "carol", "--no-password", "--tracker", tracker)
    steps = [line.strip().split("  ")[0] for line in said.splitlines() if line.startswith("  ")]
    assert steps == ["chatc history NAME", "chatc watch", "systemctl --user enable p2pchatd",
                     "loginctl enable-linger"]
    rows = doctor(carol, 0)
    assert rows["sandbox"]["state"] == "ok" and "systemd keeps" in rows["sandbox"]["text"]
    assert rows["autostart"]["state"] == "off"
    assert rows["autostart"]["advice"] == steps[2]
    carol.run("sh", "-c", steps[2])                 # she lingers already, as all users of a box
    row = doctor(carol, 0)["autostart"]
    assert row["state"] == "ok" and "machine" in row["text"]


def doctor(user, status, *prefix):
    """The rows of `chatc doctor`, by hop; for a status that is not 0 without its last line."""
    done = user.run(*prefix, "chatc", "--json", "doctor", check=False)
    assert done.returncode == status, done.stdout
    rows = map(json.loads, filter(lambda line: line[0] == "{", done.stdout.splitlines()))
    return {row["check"]: row for row in rows}


def refused(user, *prefix):
    """What chatc says of a daemon that cannot be started; after a time-out it would say NoAnswer."""
    done = user.run(*prefix, "chatc", "status", check=False)
    assert done.returncode == 3 and done.stdout.startswith("chatc: StartFailed: "), done.stdout
    return done.stdout


def test_a_masked_unit(people):
    alice = stopped(people[0])
    alice.systemctl("mask", "p2pchatd")
    said = refused(alice)
    assert "masked" in said
    assert [(hop, row["state"]) for hop, row in doctor(alice, 3).items()] == [
        ("bus", "ok"), ("unit", "failed"), ("daemon", "failed")]
    alice.run("sh", "-c", said.rpartition("what helps: ")[2])
    assert "alice" in alice.chatc("status")


def test_a_program_that_does_not_start(people):
    alice = stopped(people[0])
    path = f"{alice.home}/.config/systemd/user/p2pchatd.service.d/broken.conf"
    alice.put(path, "[Service]\nExecStart=\nExecStart=/nonexistent\n")
    alice.systemctl("daemon-reload")
    for _ in range(2):
        assert "journalctl --user -u p2pchatd" in refused(alice)
    assert doctor(alice, 3)["daemon"]["state"] == "failed"
    alice.run("rm", path)
    alice.systemctl("daemon-reload")
    alice.systemctl("reset-failed", "p2pchatd")
    alice.chatc("status")


def test_a_configuration_that_is_refused(people):
    """Each try names a way to the reason, those beyond the limit of starts too; when it is mended, the
    advice that was given last is enough."""
    alice = stopped(people[0])
    path = f"{alice.home}/.config/p2pchat/p2pchatd.conf"
    alice.put(path, "broken")
    drop_in(alice, "[Unit]\nStartLimitIntervalSec=1h\n")
    said = refused(alice)
    shown = alice.run("sh", "-c", said.rpartition("what helps: ")[2], check=False).stdout
    assert "p2pchatd.conf:" in shown.splitlines()[0], shown
    row = doctor(alice, 3)["unit"]
    assert row["state"] == "failed" and "configuration" in row["text"]
    for _ in range(5):
        said = refused(alice)
    assert "too often" in said and "too often" in doctor(alice, 3)["unit"]["text"]
    alice.run("rm", path)
    shown = alice.run("sh", "-c", said.rpartition("what helps: ")[2]).stdout
    assert "p2pchatd.conf:" in shown, shown
    assert "alice" in alice.chatc("status")
    drop_in(alice, None)


def test_a_home_without_room_for_the_state(box):
    erin = box.add_user("erin")
    erin.run("touch", ".local")
    said = refused(erin)
    assert "systemctl --user --failed" in said
    assert "p2pchatd-home.service" in erin.systemctl("--failed")
    erin.run("rm", ".local")
    assert erin.run("chatc", "status", check=False).returncode == 4


def test_a_system_user(box):
    """The unit is not for them; chatc says so instead of waiting for it."""
    box.run("useradd", "--system", "--create-home", "--shell=/bin/sh", "robot")
    box.run("loginctl", "enable-linger", "robot")
    robot = boot.User(box, "robot")
    robot.wait_for_manager()
    assert "condition" in refused(robot)


def test_without_user_namespaces(box):
    """A service manager that may not make them is what kernel.unprivileged_userns_clone=0 leads to,
    and does not reach what else runs on this machine."""
    dave = box.add_user("dave")
    box.put(f"/etc/systemd/system/user@{dave.uid}.service.d/no.conf",
            "[Service]\nRestrictNamespaces=~user\nNoNewPrivileges=yes\n")
    box.systemctl("daemon-reload")
    box.systemctl("restart", f"user@{dave.uid}.service")
    dave.wait_for_manager()
    inside = ["systemd-run", "--user", "--pipe", "--wait", "--quiet"]

    said = refused(dave, *inside)
    assert "user namespaces" in said
    rows = doctor(dave, 3, *inside)
    assert list(rows) == ["bus", "unit", "namespaces", "autostart", "daemon"]
    assert rows["unit"]["state"] == rows["namespaces"]["state"] == "failed"
    advice = said.rpartition("what helps: ")[2]
    assert rows["namespaces"]["advice"] == advice.strip()
    dave.run("sh", "-c", advice)
    assert dave.run("chatc", "status", check=False).returncode == 4
    row = doctor(dave, 0)["sandbox"]
    assert row["state"] == "warning" and "no-user-namespaces.conf" in row["advice"]
