# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody is away: the other user, the tracker, or a daemon that was killed. Nothing gets lost."""
import time

import pytest
from gi.repository import GLib

import flood
import harness
import under
from flood import Flood

RETURN_WITHIN = 2 * under.SLOW                  # seconds from being online to the last message


def wait_arrival(user, ids, since=0):
    """Each of the ids was announced; returns when the last one was."""
    ids = set(ids)
    harness.wait_until(lambda: ids <= {e.args[0] for e in
                                       user.signals("MessageReceived", since=since)},
                       what=f"{len(ids)} messages reach {user.name}")
    return max(e.time for e in user.signals("MessageReceived", lambda i, *_: i in ids, since))


class Return:
    """Somebody who was away starts his daemon."""

    def __init__(self, user):
        self.user, self.mark = user, user.mark()
        begun = time.monotonic()
        user.start()
        self.online = user.wait_signal("PropertiesChanged", lambda interface, changed, gone:
                                       changed.get("State") == "online", since=self.mark).time
        self.took = self.online - begun         # what it takes on this machine, as it is now

    def check(self, *ids):
        """These had been waiting for him."""
        took = wait_arrival(self.user, ids, self.mark) - self.online
        # He is told of, called and written to, on three programs; a back-off is longer by far.
        assert took <= RETURN_WITHIN + 4 * self.took, \
            f"the last message came {took:.1f} s after the return, which took {self.took:.1f} s"


def wait_problem(user, word, timeout=120):
    """status names the problem, and says so of the tracker too."""
    def look():
        status = user.status()
        return status if any(word in p.lower() for p in status["problems"]) else None

    status = harness.wait_until(look, timeout, f"{user.name}'s status speaks of {word}")
    entry, = status["trackers"]
    assert entry["state"] != "connected" and entry["error"]
    assert user.property("Trackers")[0]["error"]


def wait_healed(user, timeout=120):
    def healed():
        status = user.status()
        return status["state"] == "online" and status["trackers"][0]["state"] == "connected" and \
            not any("tracker" in problem for problem in status["problems"])

    harness.wait_until(healed, timeout, f"{user.name} found the tracker again")


def test_messages_wait_for_bob_and_come_within_two_seconds_of_his_return(alice, bob):
    alice.exchange(bob)
    bob.stop()
    ids = [alice.send("bob", f"waiting {number}") for number in range(50)]
    states = [row["state"] for row in alice.history("bob")[1:]]
    assert len(states) == 50 and set(states) <= set(harness.WAITING)
    assert alice.property("Queued") == 50
    alice.restart()
    assert alice.property("Queued") == 50
    alice.kill()
    alice.start().wait_state("online")
    assert alice.property("Queued") == 50
    assert [row["id"] for row in alice.history("bob")][1:] == ids
    Return(bob).check(*ids)
    assert [row["id"] for row in bob.history("alice")][1:] == ids
    alice.wait_delivered("bob", ids)
    assert alice.property("Queued") == 0


@pytest.mark.parametrize("farewell", ("stop", "kill"))
def test_a_long_absence_does_not_make_the_return_slow(lab, alice, bob, farewell):
    """By now the attempts are far apart: bob's return counts, not the schedule. So it does for one
    who has started again since, and for one who has never met him."""
    again, stranger = lab.users("again", "stranger")
    alice.exchange(bob)
    again.exchange(bob)
    getattr(bob, farewell)()
    senders = alice, again, stranger
    ids = [user.send("bob", "are you there?") for user in senders]
    again.restart()
    harness.wait_until(lambda: all(user.peer("bob")["presence"] == "offline" for user in senders),
                       120, "bob is offline")
    end = time.monotonic() + 20
    harness.wait_until(lambda: time.monotonic() > end)  # back-off has no event to wait for
    Return(bob).check(*ids)


def test_one_can_write_to_somebody_never_met_who_is_away(alice, bob):
    bob.stop()
    ids = [alice.send("bob", "hello?"), alice.send("bob", "anybody?")]
    harness.wait_until(lambda: alice.peer("bob")["presence"] == "offline", what="bob is offline")
    assert alice.chatc("send", "bob", "through chatc").err, "chatc says that bob is offline"
    back = Return(bob)
    back.check(*ids)
    wait_arrival(bob, [message["id"] for message in alice.history("bob")], back.mark)
    assert [row["text"] for row in bob.history("alice")] == ["hello?", "anybody?", "through chatc"]


def test_both_were_away_and_both_had_something_to_say(alice, bob):
    alice.exchange(bob)
    bob.stop()
    first = [alice.send("bob", f"from alice {n}") for n in range(10)]
    alice.stop()
    bob.start()
    second = [bob.send("alice", f"from bob {n}") for n in range(10)]
    alice.start()
    alice.wait_delivered("bob", first)
    bob.wait_delivered("alice", second)
    assert [row["id"] for row in alice.history("bob")] == [row["id"] for row in
                                                           bob.history("alice")]


def test_a_link_goes_on_without_the_tracker(tracker, alice, bob):
    alice.exchange(bob)
    tracker.stop()
    alice.exchange(bob, "who needs a tracker")
    bob.exchange(alice, "not me")
    for user in (alice, bob):
        wait_problem(user, "tracker")
    assert alice.chatc("status").rc == 0
    assert "tracker" in alice.chatc("status").out.lower()


def test_contacts_are_found_without_the_tracker_after_a_restart(tracker, alice, bob):
    alice.exchange(bob)
    tracker.kill()
    bob.restart()
    alice.exchange(bob, "found you")
    alice.restart()
    alice.exchange(bob, "again")
    bob.kill()
    sent = alice.send("bob", "while you were gone")
    bob.start()
    alice.wait_delivered("bob", [sent])
    for user in (alice, bob):
        wait_problem(user, "tracker")


def test_bob_finds_alice_who_never_dialled_him(tracker, alice, bob):
    alice.exchange(bob)
    tracker.kill()
    alice.restart()
    bob.restart()
    bob.exchange(alice, "it is me")


@pytest.mark.parametrize("farewell", ("stop", "kill"))
def test_all_heals_by_itself_when_the_tracker_returns(lab, tracker, alice, bob, farewell):
    alice.exchange(bob)
    address = tracker.address()
    getattr(tracker, farewell)()
    wait_problem(alice, "tracker")
    tracker.start()
    assert tracker.address() == address
    for user in (alice, bob):
        wait_healed(user)
    lab.user("carol").join().exchange(alice, "I am new here")
    harness.wait_until(lambda: alice.peer("bob")["presence"] == "online", what="bob is online")


def test_a_daemon_starts_without_its_tracker_and_joins_it_later(tracker, alice, bob):
    tracker.stop()
    alice.stop()
    alice.start()
    wait_problem(alice, "tracker")
    tracker.start()
    wait_healed(alice)


def test_the_tracker_keeps_names_through_a_crash(lab, tracker, alice):
    alice.stop()
    tracker.kill()
    tracker.start()
    thief = lab.user("thief").start()
    with pytest.raises(harness.BusError) as refused:
        thief.register("alice")
    assert refused.value.name == "NameTaken"
    thief.register("carol").wait_state("online")
    waiting = thief.send("alice", "known though you are away")
    alice.start()
    thief.wait_delivered("alice", [waiting])


def test_a_restarted_tracker_does_not_make_everybody_leave(tracker, alice, bob):
    alice.exchange(bob)
    mark = alice.mark()
    tracker.restart()
    wait_healed(alice)
    wait_healed(bob)
    alice.exchange(bob, "no break")
    alice.settle()
    assert not alice.signals("PeerChanged", lambda name, presence, _: presence == "offline", mark)


def check_nothing_lost_nothing_doubled(sender, receiver, sent):
    """By what is stored: a daemon that is killed after a commit has not told of it."""
    harness.wait_progress(lambda: sender.property("Queued") == 0,
                          lambda: sender.property("Queued"), 120, "everything is delivered")
    mine, his = sender.history(receiver.name), receiver.history(sender.name)
    assert {row["state"] for row in mine} == {"delivered"}
    assert [row["id"] for row in his] == [row["id"] for row in mine], "one order on both sides"
    bodies = dict(zip(sent.ids, sent.bodies))
    assert {row["id"]: row["text"] for row in his} == bodies
    assert len(his) == len(bodies)


def test_alice_is_killed_in_the_middle_of_a_flood(alice, bob):
    """What was answered is there; what was not is repeated with its id and still is one message."""
    sent = Flood(alice, "bob", flood.texts(3000, seed=8), with_ids=True).start()
    for goal in (500, 1200, 2000):
        harness.wait_progress(lambda: len(sent.answered) >= goal, lambda: len(sent.answered))
        sent.halted = True
        alice.kill()
        harness.wait_until(sent.over, what="the bus gives up the open calls")
        alice.start()
        kept = {row["id"] for row in alice.history("bob")}
        assert {sent.ids[index] for index in sent.answered} <= kept
        sent.halted = False
        for index in sorted(sent.errors):
            sent.call(index)
        sent.errors.clear()
        sent.start()
    sent.finish()
    assert not sent.errors
    check_nothing_lost_nothing_doubled(alice, bob, sent)


def test_bob_is_killed_in_the_middle_of_a_flood(alice, bob):
    sent = Flood(alice, "bob", flood.texts(3000, seed=9)).start()
    for goal in (500, 1200, 2000):
        harness.wait_progress(lambda: len(bob.signals("MessageReceived")) >= goal,
                              lambda: len(bob.signals("MessageReceived")))
        bob.kill()
        bob.start()
    sent.finish()
    assert not sent.errors
    check_nothing_lost_nothing_doubled(alice, bob, sent)
    assert [row["id"] for row in alice.history("bob")] == sent.ids


def test_the_tracker_is_killed_in_the_middle_of_a_flood(tracker, alice, bob):
    sent = Flood(alice, "bob", flood.texts(2000, seed=10)).start()
    harness.wait_progress(lambda: len(sent.answered) >= 500, lambda: len(sent.answered))
    tracker.kill()
    sent.finish()
    tracker.start()
    assert not sent.errors
    check_nothing_lost_nothing_doubled(alice, bob, sent)


def test_sigterm_in_the_middle_of_a_flood_keeps_what_was_answered(alice, bob):
    sent = Flood(alice, "bob", flood.texts(2000, seed=11), with_ids=True).start()
    harness.wait_progress(lambda: len(sent.answered) >= 500, lambda: len(sent.answered))
    sent.halted = True
    alice.stop()
    harness.wait_until(sent.over, what="every open call is answered")
    alice.start()
    kept = {row["id"] for row in alice.history("bob")}
    assert {sent.ids[index] for index in sent.answered} <= kept
    sent.halted = False
    for index in sorted(sent.errors):
        sent.call(index)
    sent.errors.clear()
    sent.start()
    sent.finish()
    check_nothing_lost_nothing_doubled(alice, bob, sent)


def test_what_cannot_be_delivered_in_time_expires_then(alice, bob):
    alice.exchange(bob)
    bob.stop()
    patient = alice.send("bob", "whenever you can")
    now = time.time()
    urgent = [alice.send("bob", f"dinner in {seconds} s",
                         expires=GLib.Variant("t", int((now + seconds) * 1e6)))
              for seconds in (5, 4)]
    for message, seconds in zip(urgent, (5, 4)):
        alice.wait_signal("MessageStateChanged", lambda i, *more, m=message:
                          i == m and "expired" in more)
        assert time.time() >= now + seconds     # not before
    states = {row["id"]: (row["state"], row.get("reason")) for row in alice.history("bob")}
    assert [states[i][0] for i in urgent] == ["expired", "expired"]
    assert states[patient][0] in harness.WAITING
    harness.wait_until(lambda: alice.property("Queued") == 1, what="the count without the expired")
    bob.start()
    wait_arrival(bob, [patient])
    assert not set(urgent) & {row["id"] for row in bob.history("alice")}
