# SPDX-License-Identifier: GPL-3.0-or-later
"""A name on the network is a claim: whoever likes can make it."""
import pytest

import lan
from harness import BusError


def refused(user, to):
    with pytest.raises(BusError) as error:
        user.send(to, "which of you?")
    return error.value


@pytest.fixture(name="claimants")
def claimants_fixture(network, lab):
    """Alice, and two who say that they are bob."""
    switch, people = network.switch(), []
    for n, (directory, name) in enumerate((("alice", "alice"), ("bob", "bob"), ("rob", "bob")), 1):
        host = network.host()
        switch.plug(host, n)
        person = lab.add(lan.Person(lab, directory, host))
        people.append(person.join(name))
    lan.wait_all_found(people)
    return people


def claim(person):
    return f"bob~{person.account[:4]}"


def test_two_claim_one_name(claimants):
    alice, bob, rob = claimants
    assert alice.row(bob)["name"] == claim(bob)
    assert alice.row(rob)["name"] == claim(rob)
    error = refused(alice, "bob")
    assert error.name == "AmbiguousName"
    assert bob.account in error.message and rob.account in error.message
    assert not alice.history("@" + bob.account)

    # What says which one is enough.
    alice.write(bob, "you")
    assert not rob.history("@" + alice.account)


def test_who_is_pinned_is_never_replaced(claimants):
    alice, bob, rob = claimants
    rob.stop()
    alice.wait_presence(rob, "offline")
    alice.write(bob, "so you are bob")
    assert alice.row(bob)["name"] == "bob"
    bob.stop()
    alice.wait_presence(bob, "offline")
    rob.start()
    alice.wait_on_lan(rob)
    assert alice.row(rob)["name"] == claim(rob)
    waiting = alice.send("bob", "for the real one")
    alice.write(rob, "who are you?")
    assert alice.row(bob)["presence"] == "offline" and alice.row(bob)["name"] == "bob"
    assert [m["text"] for m in rob.history("@" + alice.account)] == ["who are you?"]
    bob.start()
    alice.wait_delivered("bob", [waiting])
