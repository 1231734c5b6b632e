# SPDX-License-Identifier: GPL-3.0-or-later
"""A thousand connections that are up to no good: mute ones, raving ones, and all between."""
import resource
import socket
import subprocess
import time

import pytest

import harness
import kernel
import under

CROWD = harness.BUILD / "tests/integration/crowd"
KINDS = ("mute", "half", "noise", "tls", "rubbish", "huge", "drip", "ping")
WAITING = ("mute", "half", "tls", "drip")       # which the hand-shake time ends, and nothing else
HANDSHAKE = 10                                  # s, the default
MIB = 1 << 20

has_seconds = pytest.mark.skipif(under.in_valgrind(), reason="the hand-shake time holds in seconds, and "
                                 "in valgrind a thousand who connect take minutes")


class Crowd:
    """Callers at the door of a daemon or a tracker."""

    def __init__(self, lab, kind, port, addresses, **counts):
        self.log = lab.directory / "crowd.log"
        words = [str(word) for pair in counts.items() for word in pair]
        with open(self.log, "wb") as log:
            self.popen = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", CROWD, "callers",
                 "p2pchat-link/1" if kind == "daemon" else "p2pchat-tracker/1", str(port),
                 str(addresses), *words], stdout=log, stderr=log)

    def over(self):
        rc = self.popen.poll()
        assert rc in (None, 0), self.log.read_text()
        return rc == 0

    def wait_ready(self):
        harness.wait_until(lambda: "ready\n" in self.log.read_text() or self.over(), 120,
                           "the crowd is there")

    def closed(self):
        """Seconds that the connections lasted, by kind."""
        times = {}
        for line in self.log.read_text().splitlines():
            if line.startswith("closed"):
                _, kind, seconds = line.split()
                times.setdefault(kind, []).append(float(seconds))
        return times


class Town:
    """A tracker, alice and bob who talk, and somebody's door with its limits for those who come
    after them."""

    def __init__(self, lab, kind, limits=""):
        self.lab, self.kind = lab, kind
        self.tracker = lab.tracker()
        self.alice, self.bob = lab.users("alice", "bob")
        self.alice.exchange(self.bob)
        self.newcomer = lab.user("carol").start()       # whom nobody has met
        self.process = self.tracker if kind == "tracker" else self.bob
        self.port, = kernel.listening_ports(self.process.pid)
        more = "registrations-per-hour = 0; " if kind == "tracker" else ""
        self.process.configure(f"limits = {{ {more}{limits} }};")
        self.process.reload()

    def crowd(self, addresses, **counts):
        return Crowd(self.lab, self.kind, self.port, addresses, **counts)

    def memory(self):
        return kernel.anonymous_memory(self.process.pid)

    def go_on_during(self, crowd):
        """Messages, look-ups and newcomers while the crowd is there; returns the highest memory."""
        highest = self.memory()
        self.newcomer.register().wait_state("online")
        self.alice.exchange(self.newcomer, "a name never seen before")
        self.newcomer.exchange(self.bob, "a link never made before")
        assert not crowd.over(), "the crowd left before anything could be seen"
        while not crowd.over():
            highest = max(highest, self.memory())
            self.alice.exchange(self.bob, "not disturbed")
            self.bob.exchange(self.alice, "nor I")
        assert not self.lost()
        assert self.alice.property("State") == self.bob.property("State") == "online"
        return highest

    def lost(self):
        """Who of those that stay was seen to be gone."""
        self.alice.settle()
        self.bob.settle()
        return [event for user in (self.alice, self.bob) for event in user.signals(
            "PeerChanged", lambda name, state, _: name in ("alice", "bob") and state == "offline")]

    def check_memory(self, before, highest):
        if under.instrumented():                 # which keep what was freed
            return
        assert highest < before + 20 * MIB, f"{(highest - before) / MIB:.1f} MiB more"
        harness.wait_until(lambda: self.memory() < before + 3 * MIB, 60,
                           "the memory is given back")


@pytest.fixture(params=("daemon", "tracker"))
def kind(request):
    return request.param


@has_seconds
def test_a_thousand_of_many_addresses(lab, kind):
    """With the limits that are the default."""
    town = Town(lab, kind)
    before = town.memory()
    crowd = town.crowd(100, **dict.fromkeys(KINDS, 125))
    highest = town.go_on_during(crowd)
    times = crowd.closed()
    assert {name: len(seconds) for name, seconds in times.items()} == dict.fromkeys(KINDS, 125)
    assert max(map(max, times.values())) < HANDSHAKE + 10 * under.SLOW
    town.check_memory(before, highest)


@has_seconds
def test_a_thousand_of_one_address_without_limits(lab, kind):
    """Nothing but the hand-shake time and what they say ends them."""
    town = Town(lab, kind, "connections = 0; per-address = 0;")
    before = town.memory()
    crowd = town.crowd(1, **dict.fromkeys(KINDS, 125))
    highest = town.go_on_during(crowd)
    times = crowd.closed()
    for name, seconds in times.items():
        assert len(seconds) == 125
        assert max(seconds) < HANDSHAKE + 10 * under.SLOW
        if name in WAITING:
            assert min(seconds) > HANDSHAKE - 1, "each has its time"
    for name in ("rubbish", "huge", "ping"):
        assert min(times[name]) < HANDSHAKE - 1, "who raves is not waited for"
    town.check_memory(before, highest)


@has_seconds
def test_half_of_a_hello_a_thousand_times(lab, kind):
    """Nobody is given a TLS session for that."""
    town = Town(lab, kind, "connections = 0; per-address = 0;")
    before = town.memory()
    town.check_memory(before, town.go_on_during(town.crowd(1, half=1000)))


def test_a_full_house_lets_newcomers_in(lab, kind):
    """The oldest who has not said who he is gives way."""
    town = Town(lab, kind, "connections = 30; per-address = 0; handshake = 600;")
    before = kernel.connected_ports(town.process.pid, town.port)
    assert before
    crowd = town.crowd(50, mute=100, tls=100)
    crowd.wait_ready()
    assert not crowd.over()
    for number in range(5):
        newcomer = lab.user(f"newcomer{number}").join()
        newcomer.exchange(town.bob, "may I?")
        newcomer.stop()
        town.alice.exchange(town.bob, "still here")
    harness.wait_until(lambda: sum(map(len, crowd.closed().values())) >= 200 - 30,
                       what="the others have been sent away")
    assert not crowd.over(), "nor does the crowd have to go"
    assert not town.lost()
    assert before <= kernel.connected_ports(town.process.pid, town.port), "known ones stay"
    crowd.popen.kill()
    crowd.popen.wait()


@has_seconds
def test_the_hand_shake_time_covers_tls(lab, kind):
    town = Town(lab, kind, "handshake = 1;")
    start = time.monotonic()
    crowd = town.crowd(1, mute=5, half=5, tls=5, drip=5)
    harness.wait_until(crowd.over, 120, "all are sent away")
    assert time.monotonic() - start > 0.9
    assert min(map(min, crowd.closed().values())) > 0.9, "each had its second"


def test_a_tracker_without_descriptors_says_so_and_comes_back(lab, tracker):
    alice = lab.user("alice").join()
    limits = resource.prlimit(tracker.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(tracker.pid, resource.RLIMIT_NOFILE, (3, limits[1]))   # it has more
    with socket.create_connection(("127.0.0.1", tracker.port)):
        harness.wait_until(lambda: "No connection can be taken: Too many open files" in
                           tracker.log(), what="the tracker says it")
    assert alice.status()["state"] == "online"
    resource.prlimit(tracker.pid, resource.RLIMIT_NOFILE, limits)
    lab.user("bob").join().exchange(alice, "in at last")
