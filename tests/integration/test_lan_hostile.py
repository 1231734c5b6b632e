# SPDX-License-Identifier: GPL-3.0-or-later
"""Beacons of those who mean no good: nobody is there who is not, nobody is called elsewhere, and no
flood takes more than its share."""
import contextlib
import socket
import time

import pytest

import harness
import kernel
import lan
import shouting
import under
from networking import Ear

RATE = 100000                                   # datagrams a second
CORE = 0.3                                      # of one, that a flood may take
MEMORY = 8 << 20


class Trap:
    """Counts who connects, and says nothing to them."""

    def __init__(self, host, port):
        with host.inside():
            self.socket = socket.create_server(("", port), family=socket.AF_INET6, backlog=1024,
                                               dualstack_ipv6=True)
        self.socket.setblocking(False)
        self.held = []

    def count(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.held.append(self.socket.accept()[0])
        return len(self.held)

    def close(self):
        for held in self.held:
            held.close()
        self.socket.close()


class Place:
    """Alice and bob, who know each other, and mallory's machine, where one can hear and shout."""

    def __init__(self, network, lab):
        self.network, self.lab = network, lab
        self.switch, self.mallory = network.switch(prefix=8), network.host()
        self.switch.plug(self.mallory, 66, "ipv4")
        self.ear = Ear(self.mallory)
        self.said = {}                          # by address
        with self.mallory.inside():
            self.mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        self.alice, self.bob = self.newcomer("alice", 1), self.newcomer("bob", 2)
        lan.wait_all_found([self.alice, self.bob])
        self.alice.write(self.bob, "hello")
        self.bob.write(self.alice, "hello yourself")

    def say(self, datagram):
        self.mouth.sendto(datagram, ("255.255.255.255", 6004))

    def beacons_of(self, person):
        """All that were heard so far, each once."""
        for sender, datagram in self.ear.heard():
            self.said.setdefault(sender, {})[datagram] = True
        return list(self.said[person.address])

    def newcomer(self, name, n):
        host = self.network.host()
        cable = self.switch.plug(host, n, "ipv4")
        person = self.lab.add(lan.Person(self.lab, name, host)).join()
        person.cable, person.address = cable, self.switch.address(n)
        return person

    def close(self):
        self.ear.close()
        self.mouth.close()


@pytest.fixture(name="place")
def place_fixture(network, lab):
    place = Place(network, lab)
    yield place
    place.close()


def flips(datagram):
    for at, byte in enumerate(datagram):
        yield datagram[:at] + bytes([byte ^ (1 << at % 8)]) + datagram[at + 1:]


def test_what_is_no_beacon(place):
    """Each beginning of one, one with something behind it, and one with any byte changed, said from
    where bob is not: nobody calls there, and nobody is taken for another."""
    alice, bob = place.alice, place.bob
    real = place.beacons_of(bob)[-1]
    port, = kernel.listening_ports(bob.pid)
    before, mark = alice.row(bob), alice.mark()
    trap = Trap(place.mallory, port)
    wrong = [real[:n] for n in range(len(real))]
    wrong += [real + bytes(n) for n in (1, 1200 - len(real), 1201 - len(real), 60000)]
    wrong += flips(real)
    for datagram in wrong:
        place.say(datagram)
        time.sleep(0.004)                       # as fast as it is read
    carol = place.newcomer("carol", 3)
    alice.wait_on_lan(carol)                    # so all that was said before has been heard
    assert trap.count() == 0
    trap.close()
    assert {p["account"] for p in alice.list("ListPeers")} == {bob.account, carol.account}
    assert alice.row(bob)["endpoints"] == before["endpoints"]
    assert lan.presences(alice, bob, mark) == []


def test_replayed_from_another_machine(place):
    """As long as bob is there it changes nothing. When he has gone, and even his address is taken
    by somebody who repeats all he has said, he is not there."""
    alice, bob = place.alice, place.bob
    port, = kernel.listening_ports(bob.pid)
    trap = Trap(place.mallory, port)
    before, mark = alice.row(bob), alice.mark()

    def repeat():
        for datagram in place.beacons_of(bob):
            place.say(datagram)
        time.sleep(0.05)

    def somebody_looks():
        repeat()
        return trap.count() > 0

    harness.wait_until(somebody_looks, what="somebody looks there")
    carol = place.newcomer("carol", 3)
    alice.wait_on_lan(carol)
    assert lan.presences(alice, bob, mark) == []
    assert before["endpoints"][0] in alice.row(bob)["endpoints"]
    assert place.switch.address(66) not in str(alice.row(bob)["endpoints"])
    alice.write(bob, "still you")
    trap.close()

    bob.kill()
    bob.cable.unplug()
    place.switch.number_at(place.mallory, 2, "ipv4")

    def is_gone():
        repeat()
        return alice.presence(bob) == "offline"

    harness.wait_until(is_gone, lan.AWAY, "bob is gone")
    mark = alice.mark()
    for _ in range(20):
        repeat()
    carol.restart()
    alice.wait_on_lan(carol)
    assert lan.presences(alice, bob, mark) == [] and alice.presence(bob) == "offline"
    place.switch.number_at(place.mallory, 66, "ipv4")
    bob.cable.plug()
    bob.start()
    alice.wait_on_lan(bob)


@pytest.fixture(name="shouter")
def shouter_fixture(place):
    shouter = shouting.Shouter(place.mallory, place.alice.host)
    yield shouter
    shouter.close()


def flood(place, shouter, what, sources, until):
    """RATE datagrams a second from so many sources, until what is waited for has come and each
    source has been used; what that took of the processors' time and the memory of alice."""
    shouter.ask(*what)
    pid, begun, said = place.alice.pid, time.monotonic(), 0
    memory, spent = kernel.anonymous_memory(pid), kernel.processor_time(pid)
    while said < sources or not until():
        shouter.start("say", RATE, RATE, shouting.MANY + said % sources, RATE)
        harness.wait_until(shouter.has_answered, what="it is said")
        said += shouter.answer()["said"]
        assert said < 30 * sources, "what is waited for does not come"
    return ((kernel.processor_time(pid) - spent) / (time.monotonic() - begun),
            kernel.anonymous_memory(pid) - memory)


def test_floods(place, shouter):
    """Noise, beacons of bob's that somebody else has signed, and those of thousands who are as good
    as anybody, from a million addresses. Meanwhile people talk, and who is known is found."""
    alice, bob = place.alice, place.bob
    carol = place.newcomer("carol", 3)
    lan.wait_all_found([alice, carol])
    alice.write(carol, "hello")
    carol.stop()
    alice.wait_presence(carol, "offline")
    before, mark = alice.row(bob)["endpoints"], alice.mark()
    figures = {}
    sent = [alice.send("@" + bob.account, "in the noise")]
    figures["noise"] = flood(place, shouter, ["noise", 1000, 600], RATE,
                             lambda: alice.delivered(bob, sent))
    forged = ["forge", 20000, 9, place.beacons_of(bob)[-1].hex()]
    figures["forged"] = flood(place, shouter, forged, 2 * RATE, lambda: True)
    carol.start(wait=False)                     # while it is as loud as it gets
    figures["strangers"] = flood(place, shouter, ["accounts", 20000, 9, "mallory"], 1000000,
                                 lambda: alice.on_lan(carol))
    print(figures)
    assert "offline" not in lan.presences(alice, bob, mark)
    assert alice.row(bob)["endpoints"] == before
    assert {p["account"] for p in alice.list("ListPeers")} == {bob.account, carol.account}
    if not under.instrumented():
        assert all(core < CORE and memory < MEMORY for core, memory in figures.values()), figures
