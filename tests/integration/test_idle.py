# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs with nothing to do sleep: no polling, and next to no wake-ups."""
import collections
import os
import time

import pytest

import harness
import under
from strace import Strace

pytestmark = pytest.mark.skipif(under.in_valgrind(), reason="valgrind has calls of its own")

LONG = "P2PCHAT_LONG" in os.environ
SECONDS = 60 if LONG else 15
WAITS = ("epoll_wait", "epoll_pwait", "epoll_pwait2", "restart_syscall")
LOOKS = (", 0", ", 0, NULL, 8", ", {tv_sec=0, tv_nsec=0}, NULL, 8")

# A heartbeat: a PING or its answer, the clock that it sets, and what sd-event does around it.
HEARTBEAT = {"sendto", "recvfrom", "timerfd_settime", "gettid", "read", "epoll_ctl", "getrandom"}

# When people were last seen is written once, a minute later.
COMMIT = {"pwrite64", "pwritev", "fdatasync"}


class Nap:
    """What a process has called while nothing happened."""

    def __init__(self, process):
        begun = time.monotonic()
        with Strace(process) as trace:
            time.sleep(SECONDS)                 # nothing is waited for: this is what is measured
        self.seconds = time.monotonic() - begun
        calls = trace.calls()
        self.names = collections.Counter(call.name for call in calls)
        self.text = "\n".join(f"{call.name}({call.fd}{call.text}) = {call.result}"
                              for call in calls)
        # The loop looks again, without waiting, after each event: only a wait is a wake-up.
        self.wake_ups = sum(1 for call in calls if call.name in WAITS and call.result > 0
                            and not call.text.endswith(LOOKS))

    def check(self, rate, commits=0):
        """At most so many wake-ups a second, and none for its own sake."""
        others = set(self.names) - set(WAITS) - HEARTBEAT
        if self.names["fdatasync"] <= commits:
            others -= COMMIT
        assert not others, f"{others} in\n{self.text}"
        assert self.wake_ups <= rate * self.seconds, \
            f"{self.wake_ups} in {self.seconds:.1f} s:\n{self.text}"
        if rate == 0:                        # strace itself makes the loop go round once
            assert not set(self.names) - set(WAITS) - {"gettid"}, self.text


def wait_quiet(process):
    """Until what the start has left to do is done: last-seen times, status lines, caches."""
    last = [switches(process), time.monotonic()]

    def look():
        now = switches(process)
        if now != last[0]:
            last[:] = now, time.monotonic()
        return time.monotonic() - last[1] > 5

    harness.wait_until(look, 120, f"{process.name} has settled")


def switches(process):
    total = 0
    for task in os.listdir(f"/proc/{process.pid}/task"):
        with open(f"/proc/{process.pid}/task/{task}/status", encoding="utf-8") as status:
            total += sum(int(line.split()[1]) for line in status
                         if line.startswith("voluntary_ctxt_switches"))
    return total


def test_a_daemon_at_a_tracker(lab, tracker):
    alice, = lab.users("alice")
    wait_quiet(alice)
    Nap(alice).check(0.2)


def test_a_tracker_with_clients(lab, tracker):
    lab.users("alice", "bob")
    wait_quiet(tracker)
    Nap(tracker).check(0.4)


def test_a_tracker_without_clients(tracker):
    wait_quiet(tracker)
    Nap(tracker).check(0)


def test_a_daemon_without_an_account(lab):
    nobody = lab.user("nobody").start()
    wait_quiet(nobody)
    Nap(nobody).check(0)


def test_a_daemon_with_a_link(lab, tracker):
    """To the tracker and to a peer: twice the heartbeats."""
    alice, bob = lab.users("alice", "bob")
    alice.exchange(bob)
    wait_quiet(alice)
    Nap(alice).check(0.4, commits=1)
