# SPDX-License-Identifier: GPL-3.0-or-later
"""An account is given up for good: at the tracker and on the device, which goes on as if new."""

import pytest

from harness import BusError, wait_until

PASSWORD = "correct horse"


def file_of(lab, password=PASSWORD):
    path = lab.directory / "password"
    path.write_text(password + "\n")
    return path


def register(lab, name, *options):
    user = lab.user(name).start()
    done = user.chatc("register", name, *options)
    assert done.rc == 0, done
    return user.wait_state("online")


def check_new(user):
    """Nothing of an account is left, whoever looks."""
    assert user.property("State") == "logged-out" and user.property("Name") == ""
    assert user.chatc("status").rc == 4 and user.chatc("chats").rc == 4
    assert user.call("GetManagedObjects", "", interface="org.freedesktop.DBus.ObjectManager") == {}


def is_in_store(user, text):
    return text.encode() in (user.state / "db" / "data.mdb").read_bytes()


def test_an_account_is_deleted_and_another_one_is_made(lab):
    lab.tracker()
    anna = register(lab, "anna", "--password-file", file_of(lab))
    bob = register(lab, "bob", "--no-password")
    anna.exchange(bob)
    assert anna.chatc("create", "#tea").rc == 0
    before, pid = anna.property("Account"), anna.pid
    refused = anna.chatc("delete-account", "--yes", "--password-file", file_of(lab, "wrong horse"))
    assert refused.rc == 1 and "chatc: BadPassword: " in refused.err, refused
    assert anna.property("State") == "online"
    done = anna.chatc("delete-account", "--yes", "--password-file", file_of(lab))
    assert done.rc == 0 and done.out.startswith("anna is deleted."), done
    check_new(anna)
    wait_until(lambda: bob.peer("anna")["presence"] == "offline")
    # The same program serves whoever comes next, also by the name that is free now.
    assert anna.chatc("register", "anna", "--no-password").rc == 0
    anna.wait_state("online")
    assert anna.property("Account") != before and anna.pid == pid
    assert anna.chatc("chats").out == "" and anna.chatc("rooms").out == ""
    anna.stop()
    anna.start().wait_state("online")
    assert anna.property("Account") != before


def test_nothing_of_it_is_on_the_disk_and_the_next_start_is_one_of_a_new_device(lab):
    lab.tracker()
    anna, bob = lab.users("anna", "bob")
    anna.exchange(bob, "a text of nobody else")
    assert is_in_store(anna, "a text of nobody else")
    mark = anna.mark()
    anna.call("DeleteAccount", "sa{sv}", "", {})
    check_new(anna)
    anna.wait_signal("PropertiesChanged", lambda _, new, __: new.get("Name") == "", mark)
    assert not is_in_store(anna, "a text of nobody else")
    with pytest.raises(BusError) as refused:
        anna.call("DeleteAccount", "sa{sv}", "", {})
    assert refused.value.name == "NotLoggedIn"
    anna.restart()
    check_new(anna)


def test_an_account_for_the_lan_alone_is_deleted(lab):
    anna = lab.user("anna").start()
    assert anna.chatc("register", "anna", "--no-tracker").rc == 0
    assert anna.chatc("delete-account", "--yes").rc == 0
    check_new(anna)
    assert anna.chatc("register", "other", "--no-tracker").rc == 0
