# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is there and who was: PeerChanged for real changes only, last-seen over restarts."""
import signal
import time

from harness import free_port, wait_until


def presences(user, name, since=0):
    return [e.args[1] for e in user.signals("PeerChanged", lambda who, *_: who == name, since)]


def test_each_change_is_told_once(alice, bob):
    alice.exchange(bob)
    alice.wait_signal("PeerChanged", lambda who, presence, _: (who, presence) == ("bob", "online"))
    for _ in range(3):
        bob.restart().wait_state("online")
        bob.exchange(alice)
    told = presences(alice, "bob")
    assert all(a != b for a, b in zip(told, told[1:])), told
    assert told[-1] == alice.peer("bob")["presence"] == "online"


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
