# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten thousand messages: each exactly once, in order, unchanged, and known to be delivered."""
import signal

import flood
from flood import Flood

COUNT = 10000


def check_both_sides(alice, bob, floods):
    """Both histories hold the floods and nothing else; every message of one's own is delivered."""
    histories = alice.history("bob"), bob.history("alice")
    for rows, me in zip(histories, ("alice", "bob")):
        assert len(rows) == sum(len(f.bodies) for f in floods)
        for sent in floods:
            flood.check_feed(rows, sent.user.name, sent)
        states = {row["state"] for row in rows if row["from"] == me}
        assert states <= {"delivered"}, states
    return histories


def check_told_once(user, sent):
    """The recipient's client got each message by signal, once, in order."""
    user.wait_signal("MessageReceived", lambda message, *_: message == sent.ids[-1])
    told = user.signals("MessageReceived")
    assert [event.args[0] for event in told] == sent.ids
    assert all(event.args[3] == body for event, body in zip(told, sent.bodies))


def test_ten_thousand_from_alice_to_bob(alice, bob):
    sent = Flood(alice, "bob", flood.texts(COUNT, seed=1)).start().finish()
    assert not sent.errors
    flood.wait_all_delivered(alice, [sent])
    check_both_sides(alice, bob, [sent])
    check_told_once(bob, sent)
    assert (alice.property("Queued"), bob.property("Queued")) == (0, 0)


def test_ten_thousand_in_both_directions_at_once(alice, bob):
    floods = [Flood(alice, "bob", flood.texts(COUNT, seed=2)),
              Flood(bob, "alice", flood.texts(COUNT, seed=3))]
    for sent in floods:
        sent.start()
    for sent in floods:
        sent.finish()
        assert not sent.errors
    for sent in floods:
        flood.wait_all_delivered(sent.user, [sent])
    histories = check_both_sides(alice, bob, floods)
    assert [row["id"] for row in histories[0]] == [row["id"] for row in histories[1]], \
        "both see the conversation in one order"
    check_told_once(bob, floods[0])
    check_told_once(alice, floods[1])


def test_nothing_is_missing_after_both_start_again(alice, bob):
    sent = Flood(alice, "bob", flood.texts(2000, seed=4)).start().finish()
    flood.wait_all_delivered(alice, [sent])
    alice.restart()
    bob.restart()
    check_both_sides(alice, bob, [sent])
    alice.exchange(bob, "one more")
    assert len(bob.history("alice")) == 2001


def test_a_flood_to_several_at_once(lab, alice, bob):
    carol = lab.user("carol").join()
    floods = [Flood(alice, "bob", flood.texts(1000, seed=5), window=64),
              Flood(alice, "carol", flood.texts(1000, seed=6), window=64),
              Flood(bob, "carol", flood.texts(1000, seed=7), window=64)]
    for sent in floods:
        sent.start()
    for sent in floods:
        sent.finish()
        assert not sent.errors
    flood.wait_all_delivered(alice, floods[:2])
    flood.wait_all_delivered(bob, floods[2:])
    flood.check_feed(bob.history("alice"), "alice", floods[0])
    flood.check_feed(carol.history("alice"), "alice", floods[1])
    flood.check_feed(carol.history("bob"), "bob", floods[2])


def test_a_burst_to_somebody_new_waits_for_one_look_up_and_keeps_its_order(tracker, alice, bob):
    tracker.popen.send_signal(signal.SIGSTOP)
    sent = Flood(alice, "bob", [f"number {n}" for n in range(300)], window=300).start()
    alice.status()                              # all the calls before this one were read
    tracker.popen.send_signal(signal.SIGCONT)
    sent.finish()
    assert not sent.errors
    flood.wait_all_delivered(alice, [sent])
    check_both_sides(alice, bob, [sent])
