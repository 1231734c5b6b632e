# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is there and who was: PeerChanged for real changes only, last-seen over restarts."""
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

import desktop
import harness
from harness import BusError, free_port, wait_until


def presences(user, name, since=0):
    user.settle()
    return [e.args[1] for e in user.signals("PeerChanged", lambda who, *_: who == name, since)]


def test_each_change_is_told_once(alice, bob):
    alice.exchange(bob)
    alice.wait_signal("PeerChanged", lambda who, presence, _: (who, presence) == ("bob", "online"))
    for _ in range(3):
        bob.restart().wait_state("online")
        bob.exchange(alice)
        wait_until(lambda: presences(alice, "bob")[-1] == alice.peer("bob")["presence"] == "online")
    told = presences(alice, "bob")
    assert all(a != b for a, b in zip(told, told[1:])), told


def test_somebody_elses_address_is_no_news(alice, bob):
    alice.exchange(bob)
    wait_until(lambda: "tracker" in alice.peer("bob")["via"])
    mark = alice.mark()
    for _ in range(10):
        port = free_port()
        bob.configure(f'listen = {{ address = "127.0.0.1"; port = {port}; }};')
        bob.popen.send_signal(signal.SIGHUP)
        wait_until(lambda: f"127.0.0.1:{port}" in str(bob.call("Doctor")))
        bob.read_notify()
    wait_until(lambda: alice.peer("bob")["endpoints"] == [f"127.0.0.1:{port}"],
               what="the last change arrives")
    assert presences(alice, "bob", mark) == []


def test_last_seen_outlives_a_restart(alice, bob, tracker):
    before = time.time() * 1e6
    alice.exchange(bob)
    bob.stop()
    wait_until(lambda: alice.peer("bob")["presence"] == "offline")
    tracker.stop()                              # from now on alice has only what she kept
    wait_until(lambda: alice.property("Trackers")[0]["state"] != "connected")
    seen = alice.peer("bob")["last-seen"]
    assert before - 5e6 < seen < time.time() * 1e6 + 5e6
    alice.restart()
    assert alice.peer("bob")["last-seen"] == seen


def test_who_is_there_at_the_end_was_seen_then(alice, bob, tracker):
    alice.exchange(bob)
    wait_until(lambda: alice.peer("bob")["presence"] == "online")
    before = time.time() * 1e6
    alice.stop()
    bob.stop()
    tracker.stop()
    alice.start()
    assert before - 5e6 < alice.peer("bob")["last-seen"] < time.time() * 1e6 + 5e6


QUICK = "heartbeat = { interval = 5; };"


def seen_by_tracker(user, name):
    peer = user.peer(name)
    return peer["presence"] == "online" and "tracker" in peer["via"]


def test_who_was_linked_and_leaves_has_left(lab):
    """Without a tracker nobody but the link can say so."""
    lab.tracker(config=QUICK)
    alice, bob = lab.users("alice", "bob", config=QUICK)
    alice.exchange(bob)
    bob.stop()
    wait_until(lambda: alice.peer("bob")["presence"] == "offline")
    bob.configure(QUICK + "\ntrackers = ( );")
    bob.start()
    bob.send("alice", "from here")
    wait_until(lambda: alice.peer("bob")["presence"] == "online")
    assert "tracker" not in alice.peer("bob")["via"]
    bob.stop()
    wait_until(lambda: alice.peer("bob")["presence"] == "offline")


def test_a_tracker_that_has_forgotten_everybody_keeps_nobody_online(lab):
    tracker = lab.tracker(config=QUICK)
    alice, bob = lab.users("alice", "bob", config=QUICK)
    alice.exchange(bob)
    wait_until(lambda: seen_by_tracker(alice, "bob"))
    tracker.kill()
    bob.kill()
    for path in pathlib.Path(lab.directory).rglob("directory*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    tracker.start()
    alice.wait_state("online")
    wait_until(lambda: alice.peer("bob")["presence"] == "offline", 120)


def test_one_tracker_of_two_keeps_nobody_online(lab):
    first, second = (lab.tracker(name, config=QUICK) for name in ("first", "second"))
    alice = lab.user("alice", config=QUICK, trackers=[first.address(), second.address()]).join()
    bob = lab.user("bob", config=QUICK, trackers=[first.address()]).join()
    alice.exchange(bob)
    wait_until(lambda: seen_by_tracker(alice, "bob"))
    second.kill()                               # which knows nothing of bob
    second.start()
    wait_until(lambda: [row["state"] for row in alice.status()["trackers"]] == ["connected"] * 2)
    assert seen_by_tracker(alice, "bob")
    first.kill()
    bob.kill()
    wait_until(lambda: alice.peer("bob")["presence"] == "offline", 120)
    alice.wait_state("online")                  # at the second, which she may only now find again


# What one says of oneself

def says(user, name):
    peer = user.peer(name)
    return peer["presence"], peer.get("note")


def set_presence(user, presence, note=""):
    user.call("SetPresence", "ssa{sv}", presence, note, {})


def own(user):
    status = user.status()
    assert user.property("Presence") == status.get("presence", "")
    assert user.property("Note") == status.get("note", "")
    return status.get("presence"), status.get("note")


def test_contacts_see_what_one_says_of_oneself(alice, bob):
    alice.exchange(bob)
    wait_until(lambda: "tracker" in alice.peer("bob")["via"])
    mark = bob.mark()
    set_presence(bob, "busy", "in a meeting")
    assert own(bob) == ("busy", "in a meeting")
    bob.wait_signal("PropertiesChanged", lambda _, changed, *rest: (
        changed.get("Presence"), changed.get("Note")) == ("busy", "in a meeting"), mark)
    alice.wait_signal("PeerChanged", lambda who, presence, _: (who, presence) == ("bob", "busy"))
    wait_until(lambda: says(alice, "bob") == ("busy", "in a meeting"))
    bob.restart().wait_state("online")
    assert own(bob) == ("busy", "in a meeting")
    wait_until(lambda: says(alice, "bob") == ("busy", "in a meeting"))
    assert bob.chatc("presence", "online").rc == 0
    wait_until(lambda: says(alice, "bob") == ("online", None))
    bob.call("Logout")
    assert own(bob) == (None, None)
    assert bob.chatc("presence", "away").rc == 4
    bob.call("Login", "ssa{sv}", "bob", "", {})
    assert own(bob) == ("online", None)


def test_without_a_tracker_it_is_seen_over_the_link(lab):
    tracker = lab.tracker(config=QUICK)
    alice, bob = lab.users("alice", "bob", config=QUICK)
    alice.exchange(bob)
    tracker.stop()
    wait_until(lambda: "tracker" not in alice.peer("bob")["via"])
    assert says(alice, "bob") == ("online", None)
    set_presence(bob, "busy", "in a meeting")
    wait_until(lambda: says(alice, "bob") == ("busy", "in a meeting"))
    for number in range(20):
        set_presence(bob, ("busy", "away")[number % 2], f"number {number}")
    wait_until(lambda: says(alice, "bob") == ("away", "number 19"))
    assert "tracker" not in alice.peer("bob")["via"]
    bob.stop()
    wait_until(lambda: says(alice, "bob") == ("offline", None))

    bob.start()                                 # what he has said before is said with the greeting
    bob.send("alice", "from here")
    wait_until(lambda: says(alice, "bob") == ("away", "number 19"))


@pytest.mark.parametrize("presence, note, error", [
    ("offline", "", "InvalidArgs"), ("asleep", "", "InvalidArgs"), ("", "", "InvalidArgs"),
    ("busy", "two\nlines", "InvalidArgs"), ("busy", "\x9b2J", "InvalidArgs"),
    ("busy", "\u00fc" * 65, "TooLong")])
def test_what_one_is_not(alice, presence, note, error):
    with pytest.raises(BusError) as e:
        set_presence(alice, presence, note)
    assert e.value.name == error and own(alice) == ("online", None)


# Away by himself

def now():
    return time.time_ns() // 1000


def status_of(user):
    status = user.status()
    return status["presence"], status.get("idle", False)


def test_who_gives_no_input_is_away(machine, bob):
    eve, bus = machine
    login = desktop.Login(bus, os.getuid())
    eve.configure("heartbeat = { away-after = 3600; };")
    eve.join()
    eve.exchange(bob)
    wait_until(lambda: says(bob, "eve") == ("online", None))
    login.idle(now() - 3600 * 10**6)
    wait_until(lambda: says(bob, "eve") == ("away", None))
    assert status_of(eve) == ("away", True) and eve.property("Presence") == "away"
    assert eve.chatc("presence").out == "away, as there is no input\n"
    set_presence(eve, "online", "at home")      # which is said of the note, not of the input
    wait_until(lambda: says(bob, "eve") == ("away", "at home"))
    login.idle(0)
    wait_until(lambda: says(bob, "eve") == ("online", "at home"))
    assert status_of(eve) == ("online", False)


def test_away_begins_when_the_time_is_over(machine):
    eve, bus = machine
    login = desktop.Login(bus, os.getuid(), idle_since=now() - 1798 * 10**6)
    eve.configure("heartbeat = { away-after = 1800; };")
    eve.join()
    states = []

    def look():                                 # the time may be over before she is there
        states.append((status_of(eve), now() - login.idle_since))
        return states[-1][0] == ("away", True)
    wait_until(look)
    assert {state for state, _ in states[:-1]} <= {("online", False)}
    assert states[-1][1] >= 1800 * 10**6
    eve.configure("heartbeat = { away-after = 3600; };")
    eve.reload()
    wait_until(lambda: status_of(eve) == ("online", False))
    eve.configure("heartbeat = { away-after = 5; };")
    eve.reload()
    wait_until(lambda: status_of(eve) == ("away", True))


def test_what_was_said_counts_more_than_the_desktop(machine):
    eve, bus = machine
    login = desktop.Login(bus, os.getuid())
    eve.join()
    set_presence(eve, "busy", "presenting")
    mark = eve.mark()
    login.idle(now() - 3600 * 10**6)
    login.lock()                                # whose answer comes after that of the other
    login.idle(0)
    login.idle(now() - 3600 * 10**6)
    set_presence(eve, "away", "presenting")
    assert status_of(eve) == ("away", False)
    told = [e.args[1]["Presence"] for e in eve.signals("PropertiesChanged", since=mark)
            if "Presence" in e.args[1]]
    assert set(told) <= {"busy", "away"}
    set_presence(eve, "online")
    wait_until(lambda: status_of(eve) == ("away", True))
    login.idle(0)
    wait_until(lambda: status_of(eve) == ("online", False))


@pytest.mark.parametrize("kind, display", [("tty", True), ("unspecified", True), ("x11", False)])
def test_without_a_desktop_nobody_is_away(machine, kind, display):
    eve, bus = machine
    eve.join()
    login = desktop.Login(bus, os.getuid(), kind=kind, display=display,
                          idle_since=now() - 3600 * 10**6)
    wait_until(lambda: login.asked > 0)
    login.set_display(display)
    wait_until(lambda: login.asked > 1)
    assert status_of(eve) == ("online", False)


def test_logind_that_goes_takes_idleness_along(machine):
    eve, bus = machine
    login = desktop.Login(bus, os.getuid(), idle_since=now() - 3600 * 10**6)
    eve.join()
    wait_until(lambda: status_of(eve) == ("away", True))
    login.close()
    wait_until(lambda: status_of(eve) == ("online", False))
    login = desktop.Login(bus, os.getuid(), idle_since=now() - 3600 * 10**6)
    wait_until(lambda: status_of(eve) == ("away", True))
    bus.stop()
    wait_until(lambda: status_of(eve) == ("online", False))
    assert eve.running()


# Writing

def set_typing(user, to, on=True):
    user.call("SetTyping", "sba{sv}", to, on, {})


def wait_typing(user, other, on, since):
    account = user.peer(other.name)["account"]
    event = user.wait_signal("TypingChanged", lambda who, is_on, details: (
        (who, is_on, details) == (other.name, on, {"account": account})), since)
    return user.events.index(event) + 1


def test_who_writes_is_seen_until_the_message_comes(alice, bob):
    alice.exchange(bob)
    mark = alice.mark()
    set_typing(bob, "alice")
    place = wait_typing(alice, bob, True, mark)
    set_typing(bob, "alice", False)
    place = wait_typing(alice, bob, False, place)
    set_typing(bob, "@" + alice.property("Account"))
    place = wait_typing(alice, bob, True, place)
    cursor = alice.call("ListEvents", "tua{sv}", 2**64 - 1, 0, {})[1]
    bob.send("alice", "this")
    alice.wait_signal("MessageReceived", lambda _id, _who, _room, text, _: text == "this", mark)
    names = [e.name for e in alice.events[place:] if e.name in ("TypingChanged", "MessageReceived")]
    assert names == ["TypingChanged", "MessageReceived"]
    rows = alice.call("ListEvents", "tua{sv}", cursor, 0, {})[0]
    assert "TypingChanged" not in [row["event"] for row in rows]

    place = alice.mark()
    set_typing(bob, "alice")
    wait_typing(alice, bob, True, place)
    bob.stop()
    wait_typing(alice, bob, False, place)
    set_typing(alice, "bob")                    # nobody is there to see it, which is no error


def test_watch_shows_who_writes(alice, bob):
    alice.exchange(bob)
    shown = alice.home / "shown"
    with open(shown, "w", encoding="utf-8") as out, subprocess.Popen(
            [harness.CHATC, "watch", "--since", "0"], env=alice.env, stdout=out) as watch:
        try:
            wait_until(lambda: "is delivered" in shown.read_text(encoding="utf-8"))
            for on, words in (True, "bob is writing\n"), (False, "bob stopped writing\n"):
                set_typing(bob, "alice", on)
                wait_until(lambda: words in shown.read_text(encoding="utf-8"))
        finally:
            watch.kill()


@pytest.mark.parametrize("config", ["receipts = { read = false; };",
                                    'privacy = { presence = "nobody"; };'])
def test_who_shows_less_does_not_show_it(alice, bob, config):
    alice.exchange(bob)
    bob.configure(config)
    bob.reload()
    mark = alice.mark()
    set_typing(bob, "alice")
    alice.exchange(bob, "and an answer")        # which comes behind it
    assert alice.signals("TypingChanged", since=mark) == []


def test_to_whom_nobody_writes(lab, alice, bob):
    for to, error in (("nobody", "UnknownPeer"), ("alice", "InvalidArgs"), ("", "BadName"),
                      ("#room", "UnknownRoom")):
        with pytest.raises(BusError) as e:
            set_typing(alice, to)
        assert e.value.name == error
    alice.exchange(bob)
    alice.call("Block", "sa{sv}", "bob", {})
    with pytest.raises(BusError) as e:
        set_typing(alice, "bob")
    assert e.value.name == "Blocked"
    alice.call("Logout")
    with pytest.raises(BusError) as e:
        set_typing(alice, "bob")
    assert e.value.name == "NotLoggedIn"
