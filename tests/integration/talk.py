# SPDX-License-Identifier: GPL-3.0-or-later
"""Two users who talk at once while their daemons go down and come back; they themselves do not."""
import os
import random
import time
import uuid

from gi.repository import Gio, GLib

import harness

WINDOW = 8
NOT_HANDED_OVER = ("ServiceUnknown", "NameHasNoOwner")


def generator():
    """The choice of moments; a failure can be tried again with it."""
    seed = int(os.environ.get("P2PCHAT_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"P2PCHAT_SEED={seed} makes the same choices")
    return random.Random(seed)


def newest(user, other, wanted):
    """id → state, read backwards until all that are wanted were found."""
    kept, before = {}, {}
    while not wanted <= set(kept):
        rows = user.list("ListMessages", other.name, limit=1000, **before)
        if not rows:
            break
        kept.update((row["id"], row["state"]) for row in rows)
        before = {"before": rows[0]["id"]}
    return kept


class Message:
    """What its sender knows of it."""

    def __init__(self, index, text):
        self.index = index
        self.id = str(uuid.uuid4())
        self.text = text
        self.answered = False
        self.tries = 0
        self.maybe_kept = False                 # a daemon had it and did not answer


class Talk:
    """Sends to one other in order, with a window of calls open; goes on after what went wrong."""

    def __init__(self, user, other):
        self.user = user
        self.other = other
        self.messages = []
        self.unknown = []                       # calls that ended without an answer
        self.open = 0
        self.left = 0                           # to be sent before it pauses
        self.wrong = []                         # answers that no Send should have

    # sending

    def go(self, count):
        self.left = count
        self.pump()

    def pause(self):
        self.left = 0

    def pump(self):
        while self.left > 0 and self.open < WINDOW:
            self.left -= 1
            number = len(self.messages)
            # Some fill a page of the store or more.
            text = f"{self.user.name} {number} " + "." * (8000 if number % 17 == 0 else 40)
            message = Message(number, text)
            self.messages.append(message)
            self.call(message)

    def call(self, message):
        self.open += 1
        message.tries += 1
        self.user.connection.call(
            harness.NAME, harness.PATH, harness.NAME, "Send",
            GLib.Variant("(ssa{sv})", (self.other.name, message.text,
                                       harness.options({"id": message.id}))), None,
            Gio.DBusCallFlags.NO_AUTO_START, 600000, None, self.on_answer, message)

    def on_answer(self, connection, task, message):
        self.open -= 1
        try:
            given = connection.call_finish(task).unpack()[0]
            message.answered = True
            if given != message.id:
                self.wrong.append(f"{message.id} was answered with {given}")
        except GLib.Error as error:
            self.take_error(message, harness.error_from(error))
        self.pump()

    def take_error(self, message, error):
        """The daemon is gone, or its disk: whether this message was kept is not known."""
        name = error.name.removeprefix("org.freedesktop.DBus.Error.")
        if name not in ("NoReply", "Storage", *NOT_HANDED_OVER):
            self.wrong.append(str(error))
        message.maybe_kept |= name not in NOT_HANDED_OVER
        self.unknown.append(message)
        self.left = 0

    def answered(self):
        return [m for m in self.messages if m.answered]

    def settle(self):
        """Until each call has its answer or its error."""
        self.pause()
        harness.wait_progress(lambda: self.open == 0, lambda: self.open,
                              what=f"{self.user.name}'s calls end")
        assert not self.wrong, "\n".join(self.wrong)

    # after the daemon was gone

    def recover(self, generator):
        """Some of what was not answered is repeated, the rest is given up."""
        unknown, self.unknown = self.unknown, []
        for message in sorted(unknown, key=lambda m: m.index):
            if generator.random() < 0.5:
                self.call(message)

    def mark(self):
        """Where a round begins: our message, our event, the other's event."""
        return len(self.messages), self.user.mark(), self.other.mark()

    def check_kept(self, mark):
        """Nothing that somebody was told since then has become untrue, whatever happened."""
        first, mine, theirs = mark
        sent = {m.id for m in self.messages[first:]}
        answered = {m.id for m in self.messages[first:] if m.answered}
        delivered = {e.args[0] for e in self.user.signals("MessageStateChanged", since=mine)
                     if e.args[2] == "delivered" and e.args[0] in sent}
        arrived = {e.args[0] for e in self.other.signals("MessageReceived", since=theirs)
                   if e.args[0] in sent}
        kept = newest(self.user, self.other, answered | delivered)
        assert answered <= set(kept), f"{len(answered - set(kept))} were answered, and are lost"
        lost = [i for i in delivered if kept.get(i) != "delivered"]
        assert not lost, f"{len(lost)} were delivered, and are not any more"
        lost = arrived - set(newest(self.other, self.user, arrived))
        assert not lost, f"{len(lost)} were shown to {self.other.name}, and are lost"

    def check_repeat(self, message):
        """Its id names this message for good."""
        assert self.user.send(self.other.name, message.text, id=message.id) == message.id
        try:
            self.user.send(self.other.name, "something else", id=message.id)
            raise AssertionError("one id was taken for two messages")
        except harness.BusError as error:
            assert error.name == "InvalidArgs", error

    # in the end

    def wait_delivered(self):
        harness.wait_progress(lambda: self.user.property("Queued") == 0,
                              lambda: self.user.property("Queued"), 120,
                              f"{self.user.name}'s messages are delivered")

    def check(self, mine, theirs):
        """MINE and THEIRS: the history at both ends, newest last."""
        rows = [row for row in mine if row["from"] == self.user.name]
        got = [row for row in theirs if row["from"] == self.user.name]
        ids, known = [row["id"] for row in rows], {m.id: m for m in self.messages}
        assert {row["state"] for row in rows} <= {"delivered"}
        assert len(ids) == len(set(ids)), "kept twice"
        assert [row["id"] for row in got] == ids, "what was kept arrives once, in order"
        assert set(ids) <= set(known), "nobody sent this"
        assert {m.id for m in self.answered()} <= set(ids), "an answered one is missing"
        assert set(ids) <= {m.id for m in self.messages if m.answered or m.maybe_kept}
        for one in (rows, got):
            assert all(known[row["id"]].text == row["text"] for row in one), "text changed"
        once = [known[i].index for i in ids if known[i].tries == 1]
        assert once == sorted(once), "in the order of the calls"
        self.check_signals(known)

    def check_signals(self, known):
        """The other's client heard of none twice, and in order; what its daemon had no time to
        tell is in the events."""
        told = [e.args[0] for e in self.other.signals("MessageReceived") if e.args[0] in known]
        assert len(told) == len(set(told)), "told twice"
        once = [known[i].index for i in told if known[i].tries == 1]
        assert once == sorted(once), "told in the order of the calls"


def acquaint(alice, bob):
    """Both talks, begun: from then on nobody has to be looked up any more."""
    talks = [Talk(alice, bob), Talk(bob, alice)]
    for talk in talks:
        talk.go(1)
        talk.settle()
        talk.wait_delivered()
    return talks


def check_all(alice, bob, talks):
    histories = {user: user.history(other.name) for user, other in ((alice, bob), (bob, alice))}
    assert [row["id"] for row in histories[alice]] == [row["id"] for row in histories[bob]], \
        "both see one conversation"
    for talk in talks:
        talk.check(histories[talk.user], histories[talk.other])
        row, = talk.other.list("ListConversations")
        mine = [m for m in histories[talk.other] if m["from"] == talk.user.name]
        assert row["unread"] == len(mine), "each counts once"


def wait_progress(talks, marks, goal):
    """Until so many calls were answered, or messages shown, since the marks."""
    def count():
        return sum(len([m for m in t.messages[first:] if m.answered]) + len(t.other.events) - seen
                   for t, (first, _, seen) in zip(talks, marks))

    harness.wait_progress(lambda: count() >= goal, count, 120, "the talk goes on")


def spin(choice):
    """A moment that falls anywhere into what the daemons are doing."""
    end = time.monotonic() + choice.uniform(0, 0.003)
    while time.monotonic() < end:
        pass
