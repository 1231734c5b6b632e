# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that sleeps, and a wall clock that is set, under a daemon that runs."""
import os
import signal
import struct
import time

import pytest
from gi.repository import GLib

import harness
import under

HOUR = 3600
DAY = 24 * HOUR

# Without a reason to ask, a silent connection is gone after 75 s.
SOON = 40


class Clock:
    """What alice's daemon is told in place of the machine's clocks."""

    def __init__(self, user, path):
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self.realtime = self.boottime = 0
        self.write()
        library = under.BUILD / "tests/integration/other-clock.so"
        assert library.exists()                 # one that is not is passed over
        sanitizer = user.env.get("ASAN_OPTIONS", "")
        user.env = dict(user.env, P2PCHAT_CLOCK=str(path), LD_PRELOAD=str(library),
                        ASAN_OPTIONS=f"{sanitizer}:verify_asan_link_order=0".lstrip(":"))

    def write(self):
        os.pwrite(self.fd, struct.pack("qq", self.realtime, self.boottime), 0)

    def sleep(self, seconds):
        self.realtime += seconds
        self.boottime += seconds
        self.write()

    def step(self, seconds):
        self.realtime += seconds
        self.write()


@pytest.fixture
def world(lab, tmp_path):
    """A tracker, alice with a clock of her own, and bob, who have a link."""
    tracker = lab.tracker()
    alice, bob = lab.user("alice"), lab.user("bob").join()
    clock = Clock(alice, tmp_path / "clock")
    alice.join()
    alice.exchange(bob)
    assert alice.status()["links"] == 1
    yield tracker, alice, bob, clock
    os.close(clock.fd)


def freeze(*processes):
    for process in processes:
        process.popen.send_signal(signal.SIGSTOP)


def thaw(*processes):
    for process in processes:
        process.popen.send_signal(signal.SIGCONT)


def check_in_touch(alice, bob):
    """Both ways, and each message once."""
    for user, other in ((alice, bob), (bob, alice)):
        user.exchange(other, f"at {time.monotonic()}")
    texts = [row["text"] for row in bob.history("alice")]
    assert len(texts) == len(set(texts)), texts
    assert texts == [row["text"] for row in alice.history("bob")]


def shown_away(user, since):
    user.settle()
    return user.signals("PeerChanged", lambda _name, state, _: state != "online", since)


def test_what_has_gone_during_a_sleep_is_noticed_at_once(world):
    tracker, alice, bob, clock = world
    freeze(tracker, bob)
    message = alice.send("bob", "good morning")
    clock.sleep(HOUR)
    harness.wait_until(lambda: alice.property("State") != "online" and
                       alice.status()["links"] == 0, SOON, "alice has noticed")
    thaw(tracker, bob)
    alice.wait_state("online")
    alice.wait_delivered("bob", [message])
    alice.exchange(bob, "there you are")
    assert [row["text"] for row in bob.history("alice")] == ["hi", "good morning",
                                                             "there you are"]
    for user, other in ((alice, bob), (bob, alice)):
        harness.wait_until(lambda u=user, o=other: u.peer(o.name)["presence"] == "online",
                           what=f"{other.name} is there")


def test_a_sleep_without_consequences_has_none(world):
    _tracker, alice, bob, clock = world
    marks = alice.mark(), bob.mark()
    for _ in range(3):
        clock.sleep(HOUR)
        check_in_touch(alice, bob)
    assert not shown_away(alice, marks[0]) and not shown_away(bob, marks[1])
    assert alice.status()["links"] == 1
    assert "A link ended" not in alice.log()


@pytest.mark.parametrize("days", [1, -1])
def test_a_clock_that_is_set_by_a_day_and_back(world, days):
    _tracker, alice, bob, clock = world
    marks = alice.mark(), bob.mark()
    for step in (days * DAY, -days * DAY):
        clock.step(step)
        check_in_touch(alice, bob)
        before, begun = cpu_time(alice), time.monotonic()
        time.sleep(2)                           # in which it has nothing to do
        assert cpu_time(alice) - before < (time.monotonic() - begun) / 2, "it turns in circles"
    assert not shown_away(alice, marks[0]) and not shown_away(bob, marks[1])
    bob.restart().wait_state("online")          # whoever connects anew is let in as well
    alice.restart().wait_state("online")
    check_in_touch(alice, bob)


def cpu_time(process):
    with open(f"/proc/{process.pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_what_has_expired_by_the_clock_expires_at_once(world):
    _tracker, alice, bob, clock = world
    bob.stop()
    message = alice.send("bob", "only today", expires=GLib.Variant(
        "t", int((time.time() + 12 * HOUR) * 1e6)))
    clock.step(DAY)
    alice.wait_signal("MessageStateChanged", lambda i, _to, state, _: (i, state) ==
                      (message, "expired"), timeout=SOON)
