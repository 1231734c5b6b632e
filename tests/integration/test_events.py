# SPDX-License-Identifier: GPL-3.0-or-later
"""Events that can be read again, what has been read, what waits, and taking it back."""
import time
import uuid

import pytest

import harness
from harness import GLib

END = 2**64 - 1
PLACE = ("event", "cursor", "time")


def list_events(user, cursor=0, maximum=1000, **more):
    return user.call("ListEvents", "tua{sv}", cursor, maximum, more)


def all_events(user, cursor=0, maximum=1000, **more):
    """Page after page, as a client does it."""
    found = []
    while True:
        events, after = list_events(user, cursor, maximum, **more)
        if not events:
            assert after == cursor or cursor == 0
            return found, after
        assert len(events) <= maximum and events[-1]["cursor"] == after
        found += events
        cursor = after


def named(events, name):
    return [e for e in events if e["event"] == name]


def refused(user, method, kinds, *values):
    with pytest.raises(harness.BusError) as error:
        user.call(method, kinds, *values)
    assert error.value.message
    return error.value.name


def unread(user, other):
    return next(v["unread"] for v in user.list("ListConversations") if v["with"] == other)


def away(lab, name="bob"):
    """A user who is known to the tracker and not there."""
    user = lab.user(name).join()
    user.stop()
    return user


def test_events_and_signals_say_the_same(alice, bob):
    ids = [alice.send("bob", f"text {n}") for n in range(3)]
    alice.wait_delivered("bob", ids)
    bob.wait_signal("MessageReceived", lambda i, *_: i == ids[-1])
    signals = {"MessageReceived": ("id", "from", "room", "text"),
               "MessageStateChanged": ("id", "to", "state"), "PeerChanged": ("name", "presence")}
    for user in (alice, bob):
        kept, after = all_events(user)
        user.wait_signal(kept[-1]["event"], lambda *a, end=after: a[-1]["cursor"] == end)
        told = [e for e in user.events if e.name in signals and e.args[-1]["cursor"] <= after]
        assert [e["cursor"] for e in kept] == list(range(kept[0]["cursor"], after + 1))
        for event in kept:
            assert event["time"] > 0 and len(event["account"]) == 52, event
        heard = {e.args[-1]["cursor"]: e for e in told}
        for event in kept:
            signal = heard.pop(event["cursor"])
            assert signal.name == event["event"]
            arguments = dict(zip(signals[signal.name], signal.args))
            arguments = {k: v for k, v in arguments.items() if v != ""}
            assert arguments | signal.args[-1] == {k: v for k, v in event.items() if k not in ("event", "time")}
        assert not heard
    received = named(all_events(bob)[0], "MessageReceived")
    assert [e["id"] for e in received] == ids
    assert [e["text"] for e in received] == ["text 0", "text 1", "text 2"]
    states = named(all_events(alice)[0], "MessageStateChanged")
    assert [(e["id"], e["state"], e["to"]) for e in states if e["state"] != "stored"] == [
        (i, "delivered", "bob") for i in ids]   # stored: where a link was long in coming


def test_events_are_read_in_pages_and_survive_a_restart(alice, bob):
    ids = [alice.send("bob", str(n)) for n in range(10)]
    alice.wait_delivered("bob", ids)
    everything, after = all_events(bob)
    assert all_events(bob, maximum=3)[0] == everything
    middle = everything[4]["cursor"]
    assert all_events(bob, middle)[0] == everything[5:]
    assert list_events(bob, END) == ([], after)
    assert list_events(bob, 0, 0)[0] == everything   # 0: as many as there are in a page
    bob.restart()
    assert all_events(bob)[0][:len(everything)] == everything
    bob.wait_state("online")
    later = alice.send("bob", "later")
    harness.wait_until(lambda: later in [
        e["id"] for e in named(all_events(bob, after)[0], "MessageReceived")], what="the event")
    assert not [e for e in all_events(bob, after)[0] if e["cursor"] <= after]


def test_clients_keep_their_place(alice, bob):
    ids = [alice.send("bob", str(n)) for n in range(4)]
    alice.wait_delivered("bob", ids)
    everything, after = all_events(bob)
    assert list_events(bob, 0, client="bot")[0] == everything   # a new one: the oldest kept
    bob.call("AckEvents", "sta{sv}", "bot", everything[1]["cursor"], {})
    assert list_events(bob, 0, client="bot")[0] == everything[2:]
    assert list_events(bob, 0, client="other")[0] == everything
    bob.kill()
    bob.start()
    assert list_events(bob, 0, client="bot")[0][:len(everything) - 2] == everything[2:]
    bob.call("AckEvents", "sta{sv}", "bot", everything[0]["cursor"], {})   # never back
    assert list_events(bob, 0, client="bot")[0][0] == everything[2]
    bob.call("AckEvents", "sta{sv}", "bot", after, {})
    assert [e for e in list_events(bob, 0, client="bot")[0] if e["cursor"] <= after] == []
    assert refused(bob, "AckEvents", "sta{sv}", "bot", 10**9, {}) == "InvalidArgs"
    for name in ("", "a b", "x" * 65, "é"):
        assert refused(bob, "AckEvents", "sta{sv}", name, 2, {}) == "InvalidArgs"
        assert refused(bob, "ListEvents", "tua{sv}", 0, 1, {"client": name}) == "InvalidArgs"


def test_a_cursor_of_another_store_is_told_that_something_is_missing(alice, bob):
    alice.exchange(bob)
    _, after = all_events(bob)
    events, again = list_events(bob, after + 1000)
    assert [e["event"] for e in events] == ["Gap"] and again == after
    assert list_events(bob, again) == ([], after)


def test_reading_is_counted(alice, bob):
    ids = [alice.send("bob", str(n)) for n in range(5)]
    alice.wait_delivered("bob", ids)
    assert unread(bob, "alice") == 5
    start = list_events(bob, END)[1]
    bob.call("MarkRead", "sa{sv}", ids[2], {})
    assert unread(bob, "alice") == 2
    assert [m["state"] for m in bob.history("alice")] == ["read"] * 3 + ["received"] * 2
    state, = named(all_events(bob, start)[0], "MessageStateChanged")
    assert (state["id"], state["state"], state["to"]) == (ids[2], "read", "bob")
    bob.call("MarkRead", "sa{sv}", ids[0], {})
    assert unread(bob, "alice") == 2
    bob.kill()
    bob.start()
    assert unread(bob, "alice") == 2
    answer = bob.send("alice", "an answer")
    bob.call("MarkRead", "sa{sv}", answer, {})
    assert unread(bob, "alice") == 0
    assert refused(bob, "MarkRead", "sa{sv}", "no id", {}) == "InvalidArgs"
    assert refused(bob, "MarkRead", "sa{sv}", str(uuid.uuid4()), {}) == "InvalidArgs"


def outbox(user, **more):
    """Without the state: after three seconds it may change, while the rows are listed."""
    rows = user.list("ListOutbox", **more)
    assert {row.pop("state") for row in rows} <= set(harness.WAITING)
    return rows


def test_the_outbox_lists_what_waits(lab, alice):
    away(lab)
    away(lab, "carol")
    ids = {name: [alice.send(name, f"{name} {n}") for n in range(7)] for name in ("bob", "carol")}
    rows = outbox(alice)
    for name, sent in ids.items():
        mine = [r for r in rows if r["to"] == name]
        assert [r["id"] for r in mine] == sent
        assert [r["text"] for r in mine] == [f"{name} {n}" for n in range(7)]
    paged, after = [], {}
    while True:
        page = outbox(alice, limit=3, **after)
        if not page:
            break
        paged += page
        after = {"after": page[-1]["id"]}
    assert paged == rows and alice.property("Queued") == 14
    for wrong in ("x", str(uuid.uuid4())):
        assert refused(alice, "ListOutbox", "a{sv}", {"after": wrong}) == "InvalidArgs"


def test_what_waits_can_be_taken_back(lab):
    lab.tracker(config="mailbox = { enabled = false; };")   # where he might find it first
    alice = lab.user("alice").join()
    bob = away(lab)
    kept, taken, last = [alice.send("bob", text) for text in ("kept", "taken back", "last")]
    start = list_events(alice, END)[1]
    alice.call("Cancel", "sa{sv}", taken, {})
    assert [r["id"] for r in alice.list("ListOutbox")] == [kept, last]
    message = next(m for m in alice.history("bob") if m["id"] == taken)
    assert (message["state"], message["reason"]) == ("failed", "cancelled")
    state, = named(all_events(alice, start)[0], "MessageStateChanged")
    assert (state["id"], state["state"], state["reason"]) == (taken, "failed", "cancelled")
    assert refused(alice, "Cancel", "sa{sv}", taken, {}) == "NotAllowed"
    assert refused(alice, "Cancel", "sa{sv}", str(uuid.uuid4()), {}) == "InvalidArgs"
    assert refused(alice, "Cancel", "sa{sv}", "no id", {}) == "InvalidArgs"
    alice.restart()
    bob.start()
    alice.wait_delivered("bob", [kept, last])
    assert [m["text"] for m in bob.history("alice")] == ["kept", "last"]
    harness.wait_until(lambda: not any("gap-before" in m for m in bob.history("alice")),
                       what="bob knows that nothing is missing")
    assert refused(alice, "Cancel", "sa{sv}", kept, {}) == "NotAllowed"
    assert alice.list("ListOutbox") == []
    assert alice.send("bob", "taken back", id=taken) == taken   # its id is still known
    assert [m["text"] for m in bob.history("alice")] == ["kept", "last"]


def test_a_gap_that_will_not_be_filled_is_none(lab, alice):
    """Also when the message is given up later than those after it arrived."""
    bob = lab.user("bob", config='contacts = { accept = "ask"; };').join()
    first = alice.send("bob", "the first")
    alice.wait_delivered("bob", [first])
    bob.stop()
    soon = int((time.time() + 3) * 1e6)
    short = alice.send("bob", "gone in three seconds", expires=GLib.Variant("t", soon))
    harness.wait_until(lambda: alice.history("bob")[-1]["state"] == "expired", what="it expires")
    last = alice.send("bob", "the last")
    bob.start()
    alice.wait_delivered("bob", [last])
    assert short not in [m["id"] for m in bob.history("alice")]
    harness.wait_until(lambda: not any("gap-before" in m for m in bob.history("alice")),
                       what="bob knows that nothing is missing")
    bob.restart()
    assert not any("gap-before" in m for m in bob.history("alice"))


def test_a_large_page_of_events_is_cut_and_goes_on(alice, bob):
    ids = [alice.send("bob", "x" * 65536) for _ in range(100)]
    alice.wait_delivered("bob", ids)
    page, after = list_events(bob, 0, 1000)
    assert 0 < len(page) < 100 and after == page[-1]["cursor"]
    assert [e["id"] for e in named(all_events(bob)[0], "MessageReceived")] == ids
