# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts with a password: it is set, changed and asked for, and nobody but the user ever has it."""

import pytest

from harness import BusError, wait_until

FIRST, SECOND = "correct horse", "battery staple"


def file_of(lab, password):
    path = lab.directory / "password"
    path.write_text(password + "\nanother line\n")
    return str(path)


def anna(lab, password=FIRST):
    user = lab.user("anna").start()
    done = user.chatc("register", "anna", "--password-file", file_of(lab, password))
    assert done.rc == 0, done
    return user.wait_state("online")


def refused(result, name, status=1):
    assert result.rc == status and f"chatc: {name}: " in result.err, result


def test_a_password_is_set_and_asked_for(lab):
    lab.tracker()
    user = anna(lab)
    assert user.status().get("password")
    assert user.chatc("logout").rc == 0
    refused(user.chatc("login", "anna"), "BadPassword")
    refused(user.chatc("login", "anna", "--password-file", file_of(lab, SECOND)), "BadPassword")
    assert user.property("State") == "logged-out"
    assert user.chatc("login", "anna", "--password-file", file_of(lab, FIRST)).rc == 0
    user.wait_state("online")


def test_a_password_is_changed(lab):
    lab.tracker()
    user = anna(lab)

    def passwd(old, new):
        old_file, new_file = lab.directory / "old", lab.directory / "new"
        old_file.write_text(old)
        new_file.write_text(new)
        return user.chatc("passwd", "--old-password-file", old_file, "--password-file", new_file)

    refused(passwd(SECOND, SECOND), "BadPassword")
    refused(passwd(FIRST, "short"), "BadPassword")
    assert passwd(FIRST, SECOND).rc == 0
    refused(passwd(FIRST, FIRST), "BadPassword")
    user.stop()
    user.start().wait_state("online")
    assert user.chatc("logout").rc == 0
    refused(user.chatc("login", "anna", "--password-file", file_of(lab, FIRST)), "BadPassword")
    assert user.chatc("login", "anna", "--password-file", file_of(lab, SECOND)).rc == 0


def test_a_first_password_for_an_account_without_one(lab):
    lab.tracker()
    bob = lab.user("bob").join()
    assert not bob.status().get("password")
    refused(bob.chatc("passwd", "--old-password-file", file_of(lab, FIRST),
                      "--password-file", "-", stdin=SECOND), "BadPassword")
    assert bob.chatc("passwd", "--password-file", "-", stdin=FIRST + "\n").rc == 0
    assert bob.status().get("password")
    assert bob.chatc("logout").rc == 0
    refused(bob.chatc("login", "bob"), "BadPassword")
    assert bob.chatc("login", "bob", "--password-file", file_of(lab, FIRST)).rc == 0


def test_what_cannot_have_a_password(lab):
    lab.tracker()
    carl = lab.user("carl").start()
    refused(carl.chatc("register", "carl", "--password-file", file_of(lab, "short")), "BadPassword")
    for more in ({"no-password": True}, {"no-tracker": True}):
        with pytest.raises(BusError) as e:
            carl.call("Register", "ssa{sv}", "carl", FIRST, more)
        assert e.value.name == "InvalidArgs"
    with pytest.raises(BusError) as e:
        carl.call("Register", "ssa{sv}", "carl", "", {})
    assert e.value.name == "BadPassword"
    assert carl.chatc("register", "carl", "--no-tracker").rc == 0
    refused(carl.chatc("passwd", "--password-file", file_of(lab, FIRST)), "NotAllowed")
    dora = lab.user("dora").start()
    with pytest.raises(BusError) as e:
        dora.call("Login", "ssa{sv}", "anna", FIRST, {})
    assert e.value.name == "BadPassword"       # whether anna exists is not told
    assert dora.property("State") == "logged-out"


def test_registering_is_repeated_after_a_tracker_that_died(lab):
    tracker = lab.tracker()
    user = lab.user("anna").start()
    tracker.kill()
    refused(user.chatc("register", "anna", "--password-file", file_of(lab, FIRST)),
            "TrackerUnreachable")
    assert user.property("State") == "logged-out"
    tracker.start()
    assert user.chatc("register", "anna", "--password-file", file_of(lab, FIRST)).rc == 0
    user.wait_state("online")
    tracker.stop()
    wait_until(lambda: user.property("State") != "online", what="the tracker is missed")
    refused(user.chatc("passwd", "--old-password-file", file_of(lab, FIRST), "--password-file", "-",
                       stdin=SECOND), "TrackerUnreachable")


def test_nobody_else_has_the_password(lab):
    tracker = lab.tracker()
    user = anna(lab)
    user.stop()
    tracker.stop()
    for process in (user, tracker):
        for path in process.state.rglob("*"):
            if path.is_file():
                assert FIRST.encode() not in path.read_bytes(), path
    assert FIRST not in "".join(text for _, text in (*user.logs(), *tracker.logs()))
