# SPDX-License-Identifier: GPL-3.0-or-later
"""One account on several devices: the newest is the active one, and whoever writes to it goes on."""

import pytest

from harness import BusError, DELIVERED, wait_until

PASSWORD = "correct horse"


def login(lab, device):
    """The account anna on this device from now on, with name, password and tracker alone."""
    path = lab.directory / "password"
    path.write_text(PASSWORD)
    done = device.chatc("login", "anna", "--password-file", str(path))
    assert done.rc == 0, done
    return device.wait_state("online")


def people(lab, config=""):
    """Anna's phone, with an account that has a password, and bob, who know each other."""
    lab.tracker()
    phone = lab.user("phone", config).start()
    path = lab.directory / "password"
    path.write_text(PASSWORD)
    assert phone.chatc("register", "anna", "--password-file", str(path)).rc == 0
    bob = lab.user("bob").join()
    bob.wait_delivered("anna", [bob.send("anna", "to the phone")])
    phone.wait_delivered("bob", [phone.send("bob", "from the phone")])
    return phone, bob


def texts(user, other):
    return [m["text"] for m in user.history(other)]


def test_the_old_device_rests_and_everybody_goes_on_with_the_new_one(lab):
    phone, bob = people(lab)
    account = phone.property("Account")
    since = bob.mark()
    desk = login(lab, lab.user("desk").start())
    assert desk.property("Account") == account
    phone.wait_state("replaced")
    for n in range(20):
        bob.send("anna", f"{n} after it")
    wait_until(lambda: len([t for t in texts(desk, "bob") if t.endswith("after it")]) == 20)
    wait_until(lambda: bob.status()["queued"] == 0, what="all are receipted")
    assert [t for t in texts(desk, "bob") if "after" in t] == [f"{n} after it" for n in range(20)]
    desk.wait_delivered("bob", [desk.send("bob", "from the desk")])
    assert texts(bob, "anna").count("from the desk") == 1

    # The one that rests is still there for its user, and says what has become of it.
    assert texts(phone, "bob") == ["to the phone", "from the phone"]
    with pytest.raises(BusError) as e:
        phone.send("bob", "from the phone again")
    assert e.value.name == "Replaced"
    bob.settle()
    assert not [e for e in bob.events[since:] if "KeyChanged" in e.name]
    assert not bob.signals("MessageStateChanged",
                           lambda _id, _to, state, *_: state in ("failed", "expired"), since)
    assert all(m["state"] in DELIVERED for m in bob.history("anna") if m["from"] == "bob")


def test_what_waited_for_the_old_device_goes_to_the_new_one(lab):
    phone, bob = people(lab)
    phone.stop()
    sent = [bob.send("anna", f"{n} meanwhile") for n in range(10)]
    desk = login(lab, lab.user("desk").start())
    bob.wait_delivered("anna", sent)
    assert [t for t in texts(desk, "bob") if "meanwhile" in t] == [f"{n} meanwhile"
                                                                   for n in range(10)]
    # It learns on its return what has happened, and takes nothing more.
    phone.start()
    phone.wait_state("replaced")
    bob.wait_delivered("anna", [bob.send("anna", "to the desk")])
    assert "to the desk" in texts(desk, "bob")
    assert not [t for t in texts(phone, "bob") if t == "to the desk"]


def test_back_to_the_first_device(lab):
    phone, bob = people(lab)
    desk = login(lab, lab.user("desk").start())
    phone.wait_state("replaced")
    login(lab, phone)
    desk.wait_state("replaced")
    bob.wait_delivered("anna", [bob.send("anna", "back again")])
    assert texts(phone, "bob").count("back again") == 1
    phone.wait_delivered("bob", [phone.send("bob", "so it is")])
    assert texts(bob, "anna").count("so it is") == 1


NOT_THERE = 'listen = { address = "127.0.0.1"; advertise = ( "127.0.0.1:9" ); };'


def check_handed_over(phone, desk):
    """What was said on the phone is on the desk, and the phone has no more to give."""
    before = texts(phone, "bob")
    wait_until(lambda: texts(desk, "bob")[:len(before)] == before, what="the history is there")


@pytest.mark.parametrize("old, new", [("", NOT_THERE), (NOT_THERE, "")],
                         ids=["the new one calls", "the old one calls"])
def test_one_of_the_two_cannot_be_called(lab, old, new):
    phone, bob = people(lab, old)
    desk = login(lab, lab.user("desk", new).start())
    phone.wait_state("replaced")
    check_handed_over(phone, desk)


@pytest.mark.parametrize("audience", ["contacts", "nobody"])
def test_where_the_account_is_is_not_for_everybody(lab, audience):
    hidden = f'privacy = {{ presence = "{audience}"; endpoints = "contacts"; }};'
    phone, bob = people(lab, hidden)
    desk = login(lab, lab.user("desk", hidden).start())
    phone.wait_state("replaced")
    check_handed_over(phone, desk)
