# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is there and who was: PeerChanged for real changes only, last-seen over restarts."""
import pathlib
import shutil
import signal
import time

from harness import free_port, wait_until


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
    assert alice.status()["state"] == "online"
