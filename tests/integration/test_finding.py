# SPDX-License-Identifier: GPL-3.0-or-later
"""Beacons: who says where that he is there, and who keeps silent."""
import base64
import socket

import pytest

import harness
from harness import wait_until
from networking import Ear, Placed
from test_doctor import wait_check
from test_reload import reload

LEAVES = b"\x0b\xf5"                            # 11: true
LAN = "enabled = true; interval = 2;"


class PlacedTracker(Placed, harness.Tracker):
    pass


class PlacedUser(Placed, harness.User):
    pass


def wait_heard(ear, senders, is_meant):
    """From all of them, and from nobody else."""
    heard = set()

    def is_heard():
        heard.update(sender for sender, datagram in ear.heard() if is_meant(datagram))
        return heard >= set(senders)
    wait_until(is_heard, what=f"{senders}; heard: {heard}")
    assert heard == set(senders)


class Place:
    """Alice with a tracker of her own at a switch, where somebody listens."""

    def __init__(self, lab, network):
        self.lab, self.network, self.other = lab, network, None
        self.switch, self.host, far = network.switch(), network.host(), network.host()
        self.switch.plug(self.host, 1)
        self.switch.plug(far, 2)
        self.ear = Ear(far)
        self.tracker = lab.add(PlacedTracker(lab))
        self.tracker.host = self.host
        self.tracker.start()
        self.alice = lab.add(PlacedUser(lab, "alice", self.settings(), [self.tracker.address()]))
        self.alice.host = self.host
        self.alice.join()
        self.link_local, = (address for address in self.host.addresses()
                            if address.startswith("fe80:"))

    @staticmethod
    def settings(lan=LAN, address="::", more=""):
        return f'listen = {{ address = "{address}"; }};\nlan = {{ {lan} }};\n{more}'

    def reload(self, *args, **kwargs):
        self.alice.configure(self.settings(*args, **kwargs))
        reload(self.alice)

    def wait_heard(self, *senders, what=b"alice"):
        wait_heard(self.ear, senders, lambda datagram: what in datagram)

    def check_silent(self):
        """Whoever says something does so at once."""
        self.ear.heard()
        if self.other:
            self.other.restart()
        else:
            self.other = self.lab.add(
                PlacedUser(self.lab, "other", self.settings(), self.alice.trackers))
            self.other.host = self.host
            self.other.join()
        self.wait_heard(self.switch.address(1), self.link_local, what=b"other")
        assert not any(b"alice" in datagram for _, datagram in self.ear.heard())


@pytest.fixture(name="place")
def place_fixture(network, lab):
    place = Place(lab, network)
    yield place
    place.ear.close()


def heard_of(place):
    return place.switch.address(1), place.link_local


def test_from_the_start_to_the_end(place):
    place.wait_heard(*heard_of(place))
    wait_check(place.alice, "lan", lambda row: "eth0" in row["text"] and row["state"] == "ok")
    place.alice.call("Logout")
    place.wait_heard(*heard_of(place), what=LEAVES)
    wait_check(place.alice, "lan", lambda row: row["state"] == "off" and "account" in row["text"])
    place.alice.call("Login", "ssa{sv}", "alice", "", {})
    place.wait_heard(*heard_of(place))
    place.alice.stop()
    place.wait_heard(*heard_of(place), what=LEAVES)


def test_where_nobody_can_connect_nothing_is_said(place):
    place.wait_heard(*heard_of(place))
    place.reload(address="0.0.0.0")
    place.ear.heard()
    place.wait_heard(place.switch.address(1))
    place.host.ip("address", "add", "10.99.0.1/24", "dev", "eth0")
    place.reload(address="10.99.0.1")
    place.ear.heard()
    place.wait_heard("10.99.0.1")
    place.host.ip("address", "delete", "10.99.0.1/24", "dev", "eth0")
    place.reload(address="127.0.0.1")
    wait_check(place.alice, "lan", lambda row: row["state"] == "off" and "loopback" in row["text"])
    place.check_silent()


@pytest.mark.parametrize("more", ["listed = false;", 'presence = "contacts";',
                                  'endpoints = "contacts";'])
def test_who_is_not_for_everybody_is_not_announced(place, more):
    place.wait_heard(*heard_of(place))
    place.reload(more=f"privacy = {{ {more} }};")
    place.wait_heard(*heard_of(place), what=LEAVES)
    wait_check(place.alice, "lan", lambda row: "does not say that it is there" in row["text"])
    place.check_silent()
    place.reload()
    place.wait_heard(*heard_of(place))


def test_settings_have_effect_at_once(place):
    place.wait_heard(*heard_of(place))
    other = Ear(place.network.all[2], port=6005)
    first, place.ear = place.ear, other
    try:
        place.reload(lan=f"{LAN} port = 6005;")
        place.wait_heard(*heard_of(place))
    finally:
        place.ear = first
        other.close()
    place.reload(lan=f'{LAN} interfaces = ( "eth1" );')
    wait_check(place.alice, "lan", lambda row: "lan.interfaces" in row["text"])
    place.check_silent()
    place.switch.plug(place.host, 3, interface="eth1", family="ipv4")
    place.wait_heard(place.switch.address(3))
    place.host.down("eth1")
    place.reload(lan="enabled = false;")
    wait_check(place.alice, "lan", lambda row: row["text"] == "lan.enabled is false.")
    place.check_silent()


def test_a_port_that_another_program_keeps(place):
    place.alice.stop()
    with place.host.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", 6004))
        place.alice.start()
        wait_check(place.alice, "lan", lambda row: row["state"] == "warning"
                   and row["text"] == "Another program keeps UDP port 6004 for itself.")
        place.ear.heard()
        place.wait_heard(place.link_local)
    place.wait_heard(*heard_of(place))


class AnnouncedTracker(PlacedTracker):
    """At a switch, where somebody listens."""

    def __init__(self, lab, network):
        super().__init__(lab)
        self.switch, self.host, self.far = network.switch(), network.host(), network.host()
        self.switch.plug(self.host, 1)
        self.switch.plug(self.far, 2)
        self.ear = Ear(self.far)
        self.set("[::]")
        self.start()
        self.key = base64.b32decode(self.address().partition("#")[2].upper() + "====")
        self.link_local, = (address for address in self.host.addresses()
                            if address.startswith("fe80:"))

    def set(self, address, lan="interval = 3600;", more=""):
        self.config.write_text(
            f'listen = ( "{address}:{self.port}" );\nlan = {{ {lan} }};\n{more}\n')

    def wait_heard(self, *senders, what=b""):
        wait_heard(self.ear, senders, lambda datagram: self.key in datagram and what in datagram)


@pytest.fixture(name="announced")
def announced_fixture(network, lab):
    tracker = lab.add(AnnouncedTracker(lab, network))
    yield tracker
    tracker.ear.close()


def test_a_tracker_announces_itself(announced):
    both = announced.switch.address(1), announced.link_local
    announced.wait_heard(*both)
    announced.set("[::]", more='advertise = "tracker.example";')
    announced.reload()
    announced.wait_heard(*both, what=b"tracker.example")
    announced.set("[::]", lan="enabled = false;")
    announced.reload()
    announced.wait_heard(*both, what=LEAVES)
    announced.set(announced.switch.address(1))
    announced.reload()
    announced.ear.heard()
    announced.wait_heard(announced.switch.address(1))
    announced.stop()
    announced.wait_heard(announced.switch.address(1), what=LEAVES)
    announced.set("127.0.0.1")
    announced.start()
    announced.set("[::]", more='advertise = "tracker.example";')
    announced.reload()
    announced.wait_heard(*both, what=b"tracker.example")


def test_a_tracker_answers_who_is_new(lab, announced):
    """Without a newcomer it would say nothing more for an hour."""
    heard = []

    def has_said_all():
        heard.extend(datagram for _, datagram in announced.ear.heard())
        return len(heard) == 9                  # three times, twice by IPv4 and once by IPv6
    wait_until(has_said_all, what=f"three beacons; heard: {heard}")
    alice = lab.add(PlacedUser(lab, "alice", Place.settings()))
    alice.host = announced.far
    alice.start().register(**{"no-tracker": True})
    announced.wait_heard(announced.switch.address(1), announced.link_local)


def test_a_tracker_says_why_it_is_not_heard(announced):
    announced.stop()
    with announced.host.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", 6004))
        announced.start()
        wait_until(lambda: "On the local network: Another program keeps UDP port 6004 for itself."
                   in announced.log(), what="the reason")
