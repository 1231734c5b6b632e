# SPDX-License-Identifier: GPL-3.0-or-later
"""The system calls of a daemon: what it has read is on disk before anybody hears of it.

The store is written by LMDB: pages, fdatasync, and then the page that makes the commit valid,
through a descriptor that is open with O_DSYNC. Only after that the next step may be seen outside.
"""
import os
import pathlib
import re
import uuid

import pytest

import flood
import harness
from strace import Strace

TRACED = "trace=recvmsg,recvfrom,read,sendmsg,sendto,write,writev,pwrite64,pwritev,fdatasync"
READS = ("recvmsg", "recvfrom", "read")
WRITES = ("sendmsg", "sendto", "write", "writev", "pwrite64", "pwritev")

# So rare that a link carries nothing but messages and what answers them.
QUIET = "heartbeat = { interval = 3600; };"


def trace(process):
    return Strace(process, "-e", TRACED, "-yy", "-s", "1000000")


def synchronous_files(process):
    """Descriptors whose writes are on disk when they return."""
    fds = set()
    for path in pathlib.Path(f"/proc/{process.pid}/fdinfo").iterdir():
        flags = int(re.search(r"^flags:\s+0(\d+)", path.read_text(), re.MULTILINE)[1], 8)
        if flags & os.O_DSYNC:
            fds.add(int(path.name))
    return fds


class Reader:
    """Walks through the calls and knows what has been read and is not on disk yet."""

    def __init__(self, calls, synchronous, tracker_port):
        self.calls = calls
        self.synchronous = synchronous
        self.tracker = f":{tracker_port}]"
        self.synced = False                     # the pages are, the page that counts is not
        self.commits = 0

    def is_link(self, call):
        return "<TCP" in call.text[:8] and self.tracker not in call.text[:200]

    def take_commit(self, call):
        if "data.mdb>" not in call.text[:4096] or call.result < 0:
            return False
        if call.name == "fdatasync":
            self.synced = call.result == 0
            return False
        done = self.synced and call.fd in self.synchronous
        self.synced = False                     # a page written later needs one of its own
        self.commits += done
        return done

    def walk(self):
        """(call, is it a read, is it a write, number of commits before it)."""
        for call in self.calls:
            if call.name == "fdatasync" or "data.mdb>" in call.text[:4096]:
                self.take_commit(call)
            elif call.result > 0:
                yield call, call.name in READS, call.name in WRITES, self.commits


def check_steps(reader, ids):
    """One message at a time: whatever goes out stands on a commit that is newer than what came in
    before. Returns how often each kind of output was seen."""
    since, seen = None, {"reply": 0, "signal": 0, "frame": 0}
    for call, is_read, is_write, commits in reader.walk():
        ours = any(i in call.text for i in ids)
        link = reader.is_link(call)
        if not ours and not link:
            continue
        if is_read:
            since = commits
        elif is_write:
            what = "frame" if link else "signal" if "MessageStateChanged" in call.text or \
                "MessageReceived" in call.text else "reply"
            assert since is None or commits > since, \
                f"{what} {sum(seen.values()) + 1} left before the commit: {call.text[:3000]}"
            seen[what] += 1
    return seen


@pytest.fixture(name="quiet")
def quiet_fixture(lab, tracker):
    alice, bob = lab.users("alice", "bob", config=QUIET)
    alice.exchange(bob)
    bob.exchange(alice)
    return alice, bob


def step(sender, receiver, number):
    """A message, until both know that it arrived."""
    mine, his = sender.mark(), receiver.mark()
    given = sender.send(receiver.name, f"message {number}", id=str(uuid.uuid4()))
    receiver.wait_signal("MessageReceived", lambda i, *_: i == given, his)
    sender.wait_signal("MessageStateChanged",
                       lambda i, _to, state, _: (i, state) == (given, "delivered"), mine)
    return given


def test_every_step_is_on_disk_before_the_next_one_is_seen(tracker, quiet):
    """Send and its reply, a message and its ack and signal, a receipt and its signal."""
    alice, bob = quiet
    synchronous = synchronous_files(alice)
    ids = []
    with trace(alice) as traced:
        for number in range(5):
            ids += step(alice, bob, number), step(bob, alice, number)
    seen = check_steps(Reader(traced.calls(), synchronous, tracker.port), ids)
    assert seen["reply"] == 5, seen             # Send
    assert seen["signal"] >= 10, seen           # five that came, five that were delivered
    assert seen["frame"] >= 10, seen            # five messages, five acks


def test_every_reply_of_a_flood_stands_on_a_commit(tracker, quiet):
    alice, bob = quiet
    synchronous = synchronous_files(alice)
    floods = [flood.Flood(user, to, [f"number {n}" for n in range(300)], window=32, with_ids=True)
              for user, to in ((alice, "bob"), (bob, "alice"))]
    with trace(alice) as traced:
        for sent in floods:
            sent.start()
        for sent in floods:
            sent.finish()
        flood.wait_all_delivered(alice, floods[:1])
    called, answered = {}, {}
    reader = Reader(traced.calls(), synchronous, tracker.port)
    wanted = re.compile("|".join(floods[0].ids))
    for call, is_read, is_write, commits in reader.walk():
        if reader.is_link(call):
            continue
        for given in wanted.findall(call.text):
            # The call comes first, then the reply; what is told of it later says it once more.
            if is_read:
                called.setdefault(given, commits)
            elif is_write:
                answered.setdefault(given, commits)
    assert set(called) == set(answered) == set(floods[0].ids)
    early = [i for i in floods[0].ids if answered[i] <= called[i]]
    assert not early, f"{len(early)} replies left before their commit"
