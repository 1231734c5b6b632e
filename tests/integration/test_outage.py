# SPDX-License-Identifier: GPL-3.0-or-later
"""People who go on while there is no tracker, by what they know of each other."""
import ipaddress
import time

import pytest

import harness
import under
from networking import Placed

# An attempt to connect is given 5 s: whoever waits for one that is in vain takes longer.
AT_ONCE = 4 * under.SLOW                        # s, and as long as they took to start


def check_once(user, other, sent):
    """All of these, in this order, and nothing else."""
    user.wait_delivered(other.name, [message for message, _ in sent])
    texts = [row["text"] for row in other.history(user.name) if row["from"] == user.name]
    assert texts == [text for _, text in sent]


def test_a_conversation_outlives_its_tracker(lab, tracker):
    alice, bob = lab.users("alice", "bob")
    pairs = {(alice, bob): [], (bob, alice): []}
    marks = alice.mark(), bob.mark()
    for number in range(30):
        for (user, other), sent in pairs.items():
            text = f"{number} of {user.name}"
            sent.append((user.send(other.name, text), text))
        if number == 10:
            tracker.kill()
    for (user, other), sent in pairs.items():
        check_once(user, other, sent)
        assert user.peer(other.name)["presence"] == "online"
        assert "link" in user.peer(other.name)["via"]
    for user, mark in zip((alice, bob), marks):
        assert not user.signals("PeerChanged", lambda _name, state, _: state == "offline", mark)


@pytest.mark.parametrize("who_calls", ["alice", "bob"])
def test_who_starts_again_finds_the_others_where_they_were(lab, tracker, who_calls):
    """Whoever was called knows as much of where the other is as who called."""
    alice, bob = lab.users("alice", "bob")
    alice.exchange(bob)
    tracker.kill()
    for user in (alice, bob):
        user.stop()
    for user in (alice, bob):
        user.start()
    caller, called = (alice, bob) if who_calls == "alice" else (bob, alice)
    assert caller.peer(called.name)["via"] == ["cache"]
    caller.exchange(called, "there you are")
    called.exchange(caller, "and you")
    for user, other in ((alice, bob), (bob, alice)):
        assert "link" in user.peer(other.name)["via"]
        assert user.peer(other.name)["presence"] == "online"


class PlacedTracker(Placed, harness.Tracker):
    """At an address of its machine."""

    def __init__(self, lab, host, address):
        self.host = host
        super().__init__(lab)
        self.config.write_text(self.config.read_text().replace("127.0.0.1", address))


class PlacedUser(Placed, harness.User):
    def __init__(self, lab, name, host, trackers):
        self.host = host
        super().__init__(lab, name, 'listen = { address = "::"; };', trackers)


def swallow(host, address):
    """What HOST sends there gets to nobody, and nobody says so."""
    host.ip("neighbour", "replace", address, "lladdr", "02:00:00:00:00:01", "nud", "permanent",
            "dev", "eth0")


@pytest.mark.parametrize("dead", [4, 6])
def test_one_family_that_is_dead_costs_a_moment(network, lab, dead):
    switch = network.switch()
    hosts = [network.host() for _ in range(3)]
    for number, host in enumerate(hosts):
        switch.plug(host, number + 1)
    tracker = lab.add(PlacedTracker(lab, hosts[0], switch.address(1))).start()
    alice, bob = (lab.add(PlacedUser(lab, name, host, [tracker.address()])).join()
                  for name, host in zip(("alice", "bob"), hosts[1:]))
    alice.exchange(bob)
    tracker.kill()
    begun = time.monotonic()
    for user in (alice, bob):
        user.restart()
    took = time.monotonic() - begun             # what it takes on this machine, as it is now
    known = alice.peer("bob")
    assert known["via"] == ["cache"]
    for family in (4, 6):
        assert str(ipaddress.ip_address(switch.address(3, family))) in str(known["endpoints"])

    swallow(hosts[1], switch.address(3, dead))
    begun = time.monotonic()
    alice.exchange(bob, "by the other way")
    assert time.monotonic() - begun < AT_ONCE + took
