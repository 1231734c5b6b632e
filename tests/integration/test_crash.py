# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 in exactly one moment: inside a commit, or right after it, before anybody was told."""
import signal
import uuid

import pytest

import flood
import harness
from harness import Gio, GLib
from reader import Survivor
from strace import KillAt

OTHER_TEXT = "something else under the same id"


def new_id():
    return str(uuid.uuid4())


def begin_send(user, to, *bodies, window=1):
    return flood.Flood(user, to, bodies, window=window, with_ids=True).start()


def check_repeats_add_nothing(user, to, given, text):
    """An id names one message for good."""
    before = len(user.history(to))
    assert user.send(to, text, id=given) == given
    with pytest.raises(harness.BusError) as refused:
        user.send(to, OTHER_TEXT, id=given)
    assert refused.value.name == "InvalidArgs"
    assert len(user.history(to)) == before


def check_both_have(alice, bob, ids):
    """Each once and in this order, delivered, told once, and counted once as unread."""
    alice.wait_delivered("bob", ids)
    assert [row["id"] for row in alice.history("bob")] == ids
    assert [row["id"] for row in bob.history("alice")] == ids
    row, = bob.list("ListConversations")
    assert row["unread"] == len(ids)
    Survivor(bob).check(ids, [])
    Survivor(alice).check([], ids)


def told(user, ids):
    user.settle()
    return [e.args[0] for e in user.signals("MessageReceived") if e.args[0] in ids]


@pytest.fixture(name="first")
def first_fixture(alice, bob):
    """They know each other and there is a link: what comes next is about the message alone."""
    first = alice.send("bob", "hi")
    alice.wait_delivered("bob", [first])
    return first


def test_killed_inside_the_commit_of_a_send(alice, bob, first):
    with KillAt(alice, "fdatasync"):
        sent = begin_send(alice, "bob", "was it kept?")
    harness.wait_until(sent.over, what="the bus gives up the call")
    assert not sent.answered, "answered, and not on disk"
    alice.start()
    assert sent.ids[0] not in [row["id"] for row in alice.history("bob")]
    assert alice.send("bob", "was it kept?", id=sent.ids[0]) == sent.ids[0]
    check_repeats_add_nothing(alice, "bob", sent.ids[0], "was it kept?")
    check_both_have(alice, bob, [first, *sent.ids])
    check_repeats_add_nothing(alice, "bob", sent.ids[0], "was it kept?")


def try_until_kept(attempt):
    """The call may have come for something else, before the message: then once more."""
    for _ in range(20):
        if attempt():
            return
    raise AssertionError("never killed between a commit and what follows it")


def test_killed_after_the_commit_of_a_send_before_its_reply(alice, bob, first):
    ids = [first]

    def attempt():
        with KillAt(alice, "sendmsg"):
            sent = begin_send(alice, "bob", "was it kept?")
        harness.wait_until(sent.over, what="the bus gives up the call")
        assert not sent.answered
        alice.start()
        ids.extend(sent.ids)
        kept = ids[-1] in [row["id"] for row in alice.history("bob")]
        assert alice.send("bob", "was it kept?", id=ids[-1]) == ids[-1]
        check_repeats_add_nothing(alice, "bob", ids[-1], "was it kept?")
        return kept

    try_until_kept(attempt)
    check_both_have(alice, bob, ids)
    check_repeats_add_nothing(alice, "bob", ids[-1], "was it kept?")


def test_killed_with_several_sends_in_flight(alice, bob, first):
    """Whatever was answered by then is there, in order; the rest is repeated and comes once."""
    with KillAt(alice, "fdatasync", 5):         # of ten batches or more: 32 share one at most
        sent = begin_send(alice, "bob", *(f"number {n}" for n in range(320)), window=32)
    harness.wait_until(sent.over, what="the bus gives up the open calls")
    alice.start()
    kept = [row["id"] for row in alice.history("bob")][1:]
    assert kept == sent.ids[:len(kept)], "in order"
    assert sent.answered <= set(range(len(kept)))
    for index in sorted(sent.errors):
        alice.send("bob", sent.bodies[index], id=sent.ids[index])
    check_both_have(alice, bob, [first, *sent.ids])


def test_killed_inside_the_commit_of_a_message_that_came(alice, bob, first):
    with KillAt(bob, "fdatasync"):
        given = alice.send("bob", "did it arrive?")
    assert told(bob, [given]) == []
    state, = [row["state"] for row in alice.history("bob") if row["id"] == given]
    assert state in harness.WAITING, "bob has not got it on disk"
    mark = bob.mark()
    bob.start()
    bob.wait_signal("MessageReceived", lambda i, *_: i == given, mark)
    check_both_have(alice, bob, [first, given])
    assert told(bob, [given]) == [given]


@pytest.mark.parametrize("call", ("sendmsg", "sendto"))
def test_killed_after_the_commit_of_a_message_before_anybody_is_told(alice, bob, first, call):
    """sendmsg is the signal to the user, sendto the ack and receipt to the other daemon."""
    ids = [first]

    def attempt():
        with KillAt(bob, call):
            ids.append(alice.send("bob", "has it arrived?"))
        state, = [row["state"] for row in alice.history("bob") if row["id"] == ids[-1]]
        assert state in harness.WAITING
        alice.popen.send_signal(signal.SIGSTOP)  # she has no time to send it again
        bob.start()
        kept = ids[-1] in [row["id"] for row in bob.history("alice")]
        alice.popen.send_signal(signal.SIGCONT)
        alice.wait_delivered("bob", ids)
        return kept

    try_until_kept(attempt)
    check_both_have(alice, bob, ids)


@pytest.mark.parametrize("call", ("fdatasync", "sendmsg"))
def test_killed_when_the_receipt_comes(alice, bob, first, call):
    """Inside its commit, or after it, before the user is told."""
    bob.popen.send_signal(signal.SIGSTOP)
    mark = alice.mark()
    given = alice.send("bob", "is it delivered?")
    alice.wait_signal("PropertiesChanged", lambda _, changed, *__: changed.get("Queued") == 1, mark)
    with KillAt(alice, call):
        bob.popen.send_signal(signal.SIGCONT)
    assert not alice.signals("MessageStateChanged",
                             lambda i, _to, state, _: (i, state) == (given, "delivered"))
    alice.start()
    check_both_have(alice, bob, [first, given])
    assert told(bob, [given]) == [given], "perhaps sent twice, but shown once"


def test_the_tracker_is_killed_inside_the_commit_of_a_name(lab, tracker):
    """Nobody was told that the name is theirs; when they are told, it is so for good."""
    alice, thief = lab.user("alice").start(), lab.user("thief").start()
    answers = []
    with KillAt(tracker, "fdatasync"):
        alice.connection.call(
            harness.NAME, harness.PATH, harness.NAME, "Register",
            GLib.Variant("(ssa{sv})", ("alice", "", harness.options({"no-password": True}))), None,
            Gio.DBusCallFlags.NO_AUTO_START, 60000, None,
            lambda connection, task: answers.append(task.had_error()))
    assert answers != [False], "answered, and not on disk"
    assert alice.property("State") != "online"
    tracker.start()
    harness.wait_until(lambda: answers, what="Register is answered")
    if answers[0]:
        alice.register()
    alice.wait_state("online")
    tracker.kill()
    tracker.start()
    with pytest.raises(harness.BusError) as refused:
        thief.register("alice")
    assert refused.value.name == "NameTaken"
