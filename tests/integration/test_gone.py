# SPDX-License-Identifier: GPL-3.0-or-later
"""A wire that is cut without a word: who is behind it is known to be gone in time.

Data that nobody acknowledges says so after 30 s, silence after 75 s; a PING is data too.
"""
import contextlib
import subprocess
import time

import pytest

import harness

UNACKNOWLEDGED, SILENCE = 30, 75                # s
SLACK = 15                                      # s, for a machine that is busy


def run(*words):
    subprocess.run([str(word) for word in words], check=True, timeout=60)


class Network:
    """Two hosts at a switch whose ports can be unplugged, each a network namespace."""

    def __init__(self):
        self.holders = []
        self.switch, *self.hosts = (self.namespace() for _ in range(3))
        self.ip(self.switch, "link", "add", "br0", "type", "bridge")
        self.ip(self.switch, "link", "set", "br0", "up")
        for number, host in enumerate(self.hosts, 1):
            self.ip(self.switch, "link", "add", f"port{number}", "type", "veth", "peer", "name",
                    "eth0", "netns", host)
            self.ip(self.switch, "link", "set", f"port{number}", "master", "br0", "up")
            for name in ("lo", "eth0"):
                self.ip(host, "link", "set", name, "up")
            self.ip(host, "address", "add", f"{self.address(number)}/24", "dev", "eth0")

    def namespace(self):
        holder = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sh", "-c",
                                   "echo ready; exec sleep infinity"], stdout=subprocess.PIPE)
        assert holder.stdout.readline() == b"ready\n"
        self.holders.append(holder)
        return holder.pid

    @staticmethod
    def prefix(host):
        return ["nsenter", f"--net=/proc/{host}/ns/net"]

    @staticmethod
    def address(number):
        return f"10.77.0.{number}"

    def ip(self, host, *words):
        run(*self.prefix(host), "ip", *words)

    def unplug(self, number):
        self.ip(self.switch, "link", "set", f"port{number}", "nomaster")

    def plug(self, number):
        self.ip(self.switch, "link", "set", f"port{number}", "master", "br0")

    def close(self):
        for holder in self.holders:
            holder.kill()
            holder.wait()


def has_networks():
    with contextlib.suppress(OSError, subprocess.SubprocessError, AssertionError):
        Network().close()
        return True
    return False


class Placed:
    """What is started is started on a host."""

    host = None

    def launch(self, argv, wait=True):
        super().launch([*Network.prefix(self.host), *argv], wait)


class PlacedTracker(Placed, harness.Tracker):
    pass


class PlacedUser(Placed, harness.User):
    pass


class Place:
    """The tracker and bob at one end of a wire, alice at the other."""

    def __init__(self, lab):
        self.network = Network()
        near, far = self.network.hosts
        self.tracker = lab.add(PlacedTracker(lab))
        self.tracker.host = near
        text = self.tracker.config.read_text()
        self.tracker.config.write_text(text.replace("127.0.0.1", self.network.address(1)))
        self.tracker.start()
        self.bob = self.user(lab, "bob", near, 1)
        self.alice = self.user(lab, "alice", far, 2)
        self.alice.exchange(self.bob)
        self.bob.exchange(self.alice)

    def user(self, lab, name, host, number):
        config = f'listen = {{ address = "{self.network.address(number)}"; }};'
        user = lab.add(PlacedUser(lab, name, config, [self.tracker.address()]))
        user.host = host
        return user.join()

    def cut(self):
        self.network.unplug(2)
        return time.monotonic()

    def check_all_heals(self):
        self.network.plug(2)
        self.alice.wait_state("online", timeout=180)
        self.alice.exchange(self.bob, "back again")


@pytest.fixture
def place(lab):
    if not has_networks():
        pytest.skip("a wire that can be cut needs network namespaces, veth and a bridge")
    place = Place(lab)
    yield place
    place.network.close()


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
    place.network.plug(2)
    place.alice.wait_delivered("bob", [sent])
    place.bob.settle()
    assert not place.bob.signals("PeerChanged", since=mark)
