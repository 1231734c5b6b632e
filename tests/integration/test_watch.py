# SPDX-License-Identifier: GPL-3.0-or-later
"""chatc watch beside a daemon that works: what is killed in the middle of a flood loses nothing."""
import json
import os
import random
import subprocess

import pytest

import harness
from flood import Flood, wait_all_delivered

KILLS = 5
PER_KILL = 60


class Watch:
    """A watch that writes into a file, and the whole lines that are in it."""

    def __init__(self, user, number, *options):
        self.path = user.home / f"watch.{number}"
        self.errors = user.home / f"watch.{number}.err"
        with open(self.path, "wb") as out, open(self.errors, "wb") as err:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", harness.CHATC, "watch", "--json", *options],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=user.env)

    def events(self):
        assert self.process.returncode in (None, -9, -15), self.errors.read_text()
        lines = self.path.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def messages(self):
        return [e for e in self.events() if e["event"] == "MessageReceived"]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(60) == -15


@pytest.fixture
def start(bob):
    """Starts a watch of bob's."""
    running = []

    def start(*options):
        running.append(Watch(bob, len(running), *options))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.kill()
        assert not harness.COMPLAINT.search(one.errors.read_text())


def generator():
    seed = int(os.environ.get("P2PCHAT_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"P2PCHAT_SEED={seed} repeats this choice of moments")
    return random.Random(seed)


def flood(alice, bob):
    alice.exchange(bob)
    bodies = [f"{n} " + "." * (20000 if n % 23 == 0 else 40) for n in range(KILLS * PER_KILL)]
    return Flood(alice, "bob", bodies, window=16, with_ids=True)


def numbers(events):
    return [int(e["cursor"]) for e in events]


def test_a_watch_that_is_killed_goes_on_where_it_was(alice, bob, start):
    choice, sent = generator(), flood(alice, bob)
    runs = []

    def is_over():
        return any(m["id"] == sent.ids[-1] for m in runs[-1].messages())

    for number in range(KILLS):
        watch = start("--client", "bot")
        runs.append(watch)
        if number == 0:
            sent.start()
        goal = choice.randrange(1, PER_KILL)
        harness.wait_until(lambda: len(watch.messages()) >= goal or is_over(), 120,
                           f"{goal} lines of run {number}")
        watch.kill()
        if is_over():                           # a page is more than one line
            break
    sent.finish()
    assert not sent.errors
    wait_all_delivered(alice, [sent])
    last = start("--client", "bot")
    if not is_over():
        runs.append(last)
        harness.wait_until(is_over, 120, "the last line")

    # Every message at least once; what came again is the same, and nothing was skipped.
    seen = {}
    for run in runs:
        assert numbers(run.events()) == sorted(set(numbers(run.events())))
        for event in run.messages():
            assert seen.setdefault(event["cursor"], event) == event
    shown = [seen[key] for key in sorted(seen, key=int)]
    assert [m["id"] for m in shown if m["id"] in set(sent.ids)] == sent.ids
    assert [m["text"] for m in shown if m["id"] in set(sent.ids)] == sent.bodies
    for before, after in zip(runs, runs[1:]):
        assert numbers(after.events())[0] <= numbers(before.events())[-1] + 1

    # What it wrote it has acknowledged: the next run begins behind it.
    harness.wait_until(lambda: not bob.call("ListEvents", "tua{sv}", 0, 10, {"client": "bot"})[0],
                       what="all is acknowledged")
    last.stop()
    again = start("--client", "bot")
    text = alice.send("bob", "one more")
    harness.wait_until(again.events, 60, "the next event")
    harness.wait_until(lambda: [m["id"] for m in again.messages()] == [text], 60, "that one alone")


@pytest.mark.parametrize("options", [["--since", "0"], ["--client", "bot"]], ids=["since", "client"])
def test_a_watch_survives_its_daemon(alice, bob, start, options):
    choice, sent = generator(), flood(alice, bob)
    watch = start(*options)
    harness.wait_until(watch.messages, 60, "the first line")
    sent.start()
    for _ in range(KILLS):
        goal = len(watch.messages()) + choice.randrange(1, PER_KILL)
        harness.wait_until(lambda: len(watch.messages()) >= min(goal, len(sent.ids)), 120,
                           "more lines")
        bob.kill()
        bob.start()
    sent.finish()
    assert not sent.errors
    harness.wait_until(lambda: sent.ids[-1] in [m["id"] for m in watch.messages()], 120, "the last line")
    events = watch.events()
    assert numbers(events) == sorted(set(numbers(events)))
    assert "Gap" not in [e["event"] for e in events]
    shown = [m for m in watch.messages() if m["id"] in set(sent.ids)]
    assert [m["id"] for m in shown] == sent.ids
    assert [m["text"] for m in shown] == sent.bodies
    assert watch.process.poll() is None
    watch.stop()


def test_from_now_on(alice, bob, start):
    alice.exchange(bob)
    watch = start()
    # What it takes for the beginning is not seen from outside: it shows the first one it is there for.
    seen = []
    while not seen:
        alice.exchange(bob, "again")
        seen = watch.messages()
    assert {m["text"] for m in seen} == {"again"}
    sent = alice.send("bob", "the last")
    harness.wait_until(lambda: watch.messages()[-1]["id"] == sent, 60, "the last line")
    watch.stop()


def test_read_outbox_and_cancel(alice, bob):
    alice.exchange(bob)
    sent = alice.send("bob", "hi")
    alice.wait_delivered("bob", [sent])
    chat, = bob.chatc_json("chats")
    assert chat["unread"] == 2 and "2 unread" in bob.chatc("chats").out
    assert bob.chatc("read", sent).rc == 0
    chat, = bob.chatc_json("chats")
    assert chat["unread"] == 0 and "unread" not in bob.chatc("chats").out
    assert alice.chatc("cancel", sent).err.startswith("chatc: NotAllowed: ")

    bob.stop()
    first, second = alice.send("bob", "one"), alice.send("bob", "two")
    assert [m["id"] for m in alice.chatc_json("outbox")] == [first, second]
    assert [line.split()[0] for line in alice.chatc("outbox").out.splitlines()] == [first, second]
    assert alice.chatc("cancel", first).rc == 0
    assert [m["id"] for m in alice.chatc_json("outbox")] == [second]
    unknown = alice.chatc("cancel", "01890000-0000-7000-8000-00000000000a")
    assert unknown.rc == 1 and unknown.err.startswith("chatc: InvalidArgs: ")
    bob.start()
    alice.wait_delivered("bob", [second])
    assert alice.chatc_json("outbox") == []
    assert [m["text"] for m in bob.chatc_json("history", "alice")][-2:] == ["hi", "two"]


def test_doctor(alice):
    rows = alice.chatc_json("doctor")
    assert {"bus", "store", "trackers"} <= {row["check"] for row in rows}
    assert "failed" not in {row["state"] for row in rows}
    alice.stop()
    done = alice.chatc("doctor")
    assert done.rc == 3 and "daemon" in done.out and done.err.startswith("chatc: NotInstalled: ")
