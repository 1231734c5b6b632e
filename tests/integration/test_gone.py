# SPDX-License-Identifier: GPL-3.0-or-later
"""A wire that is cut without a word: who is behind it is known to be gone in time.

Data that nobody acknowledges says so after 30 s, silence after 75 s; a PING is data too.
"""
import time

import pytest

import harness
from networking import Placed

UNACKNOWLEDGED, SILENCE = 30, 75                # s
SLACK = 15                                      # s, for a machine that is busy


class PlacedTracker(Placed, harness.Tracker):
    pass


class PlacedUser(Placed, harness.User):
    pass


class Place:
    """The tracker and bob at one end of a wire, alice at the other."""

    def __init__(self, lab, network):
        self.switch, near, far = network.switch(), network.host(), network.host()
        self.switch.plug(near, 1)
        self.cable = self.switch.plug(far, 2)
        self.tracker = lab.add(PlacedTracker(lab))
        self.tracker.host = near
        text = self.tracker.config.read_text()
        self.tracker.config.write_text(text.replace("127.0.0.1", self.switch.address(1)))
        self.tracker.start()
        self.bob = self.user(lab, "bob", near, 1)
        self.alice = self.user(lab, "alice", far, 2)
        self.alice.exchange(self.bob)
        self.bob.exchange(self.alice)

    def user(self, lab, name, host, number):
        config = f'listen = {{ address = "{self.switch.address(number)}"; }};'
        user = lab.add(PlacedUser(lab, name, config, [self.tracker.address()]))
        user.host = host
        return user.join()

    def cut(self):
        self.cable.cut()
        return time.monotonic()

    def check_all_heals(self):
        self.cable.plug()
        self.alice.wait_state("online", timeout=180)
        self.alice.exchange(self.bob, "back again")


@pytest.fixture
def place(network, lab):
    return Place(lab, network)


def links(user):
    return user.status()["links"]


def test_silence_is_noticed(place):
    """By everybody at the other end, with nothing to say but heartbeats."""
    mark = place.bob.mark()
    start = place.cut()
    harness.wait_until(lambda: links(place.bob) == 0, SILENCE + SLACK, "bob's link ends")
    took = time.monotonic() - start
    assert took > UNACKNOWLEDGED / 2, f"after {took:.0f} s already"
    place.bob.wait_signal("PeerChanged", lambda name, state, _: (name, state) == (
        "alice", "offline"), since=mark, timeout=SILENCE + SLACK - took)
    harness.wait_until(lambda: place.alice.property("State") != "online",
                       SILENCE + SLACK, "alice has lost the tracker")
    place.check_all_heals()


def test_data_that_nobody_takes_is_noticed_sooner(place):
    start = place.cut()
    place.alice.send("bob", "are you there?")
    harness.wait_until(lambda: links(place.alice) == 0, UNACKNOWLEDGED + SLACK,
                       "alice's link ends")
    took = time.monotonic() - start
    assert took > UNACKNOWLEDGED / 2, f"after {took:.0f} s already"
    place.check_all_heals()
    texts = [row["text"] for row in place.bob.history("alice")]
    assert texts.count("are you there?") == 1


def test_a_short_cut_is_nothing(place):
    """Less than what counts as gone: no link is lost, and what was sent arrives."""
    mark = place.bob.mark()
    place.cut()
    sent = place.alice.send("bob", "across the gap")
    time.sleep(UNACKNOWLEDGED / 2)              # nothing is waited for: nothing may happen
    assert links(place.alice) == links(place.bob) == 1
    place.cable.plug()
    place.alice.wait_delivered("bob", [sent])
    place.bob.settle()
    assert not place.bob.signals("PeerChanged", since=mark)
