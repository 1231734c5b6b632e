# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts for the LAN alone: people who know each other's address, and no tracker at all."""
import shutil
import subprocess
import time

import pytest

import harness
import talk
from harness import BusError, Gio, GLib, wait_until

ROUNDS = 20
ON_LAN = {"no-tracker": True}


def on_lan(lab, name, trackers=()):
    """Registered for the LAN alone, at a port that others can be told."""
    port = harness.free_port()
    user = lab.user(name, f'listen = {{ address = "127.0.0.1"; port = {port}; }};', list(trackers))
    user.start().register(**ON_LAN).wait_state("online")
    user.at = f"127.0.0.1:{port}#" + user.property("Account")
    return user


@pytest.fixture
def pair(lab):
    alice, bob = on_lan(lab, "alice"), on_lan(lab, "bob")
    assert alice.chatc("add", "bob", "--at", bob.at).rc == 0
    return alice, bob


def test_two_rooms_with_one_name(lab):
    alice, bob, carol = (on_lan(lab, name) for name in ("alice", "bob", "carol"))
    ids = []
    for other in (alice, carol):
        assert bob.chatc("add", other.name, "--at", other.at).rc == 0
        bob.exchange(other)
        other.call("CreateRoom", "sa{sv}", "#tea", {})
        ids.append(other.list("ListRooms")[0]["room-id"])
    names = {f"#tea~{room_id[:4]}" for room_id in ids}
    with pytest.raises(BusError) as error:
        bob.call("JoinRoom", "sa{sv}", "#tea", {})
    assert error.value.name == "AmbiguousName"
    assert all(name in error.value.message for name in names)
    assert {row["room"] for row in bob.list("ListRooms", words="tea")} == names
    done = bob.chatc("join", f"#tea~{ids[1][:4]}")
    assert done.rc == 0, done
    wait_until(lambda: "bob" in [row["name"] for row in carol.list("ListMembers", "#tea")],
               what="bob is in carol's room")
    assert [row["name"] for row in alice.list("ListMembers", "#tea")] == ["alice"]
    bob.send("#tea", "hi")                      # the one that he is in
    wait_until(lambda: [row["text"] for row in carol.history("#tea")] == ["hi"], what="it is said")
    assert alice.history("#tea") == []


def is_on_lan(user):
    return user.status().get("no-tracker", False)


def publish(user, tracker):
    done = user.chatc("register", user.name, "--tracker", tracker.address())
    assert done.rc == 0, done
    assert not is_on_lan(user)
    user.wait_state("online")


def states(user, other):
    return [m["state"] for m in user.history(other.name) if m["from"] == user.name]


def test_a_conversation(pair):
    alice, bob = pair
    first = alice.send("bob", "hi")
    alice.wait_delivered("bob", [first])
    bob.wait_signal("MessageReceived", lambda *args: args[0] == first)
    bob.exchange(alice, "hello")
    bob.call("MarkRead", "sa{sv}", first, {})
    wait_until(lambda: states(alice, bob) == ["read"], what="it is read")

    # One after the other is away, and the other queues.
    bob.stop()
    waiting = [alice.send("bob", f"are you there? {n}") for n in range(3)]
    assert alice.property("Queued") == 3 and alice.property("State") == "online"
    alice.restart()
    bob.start()
    alice.wait_delivered("bob", waiting)
    alice.stop()
    answer = bob.send("alice", "now I am")
    bob.restart()
    alice.start()
    bob.wait_delivered("alice", [answer])
    assert [m["text"] for m in alice.history("bob")] == [m["text"] for m in bob.history("alice")]


def test_nothing_is_complained_of(pair):
    alice, bob = pair
    alice.exchange(bob)
    assert alice.status()["problems"] == [] and alice.property("Trackers") == []
    assert "online as alice on the LAN" in wait_until(
        lambda: "1 link" in alice.status_line() and alice.status_line())
    done = alice.chatc()
    assert "none, this account is for the LAN alone" in done.out and "problem" not in done.out
    checks = {c["check"]: c for c in alice.chatc_json("doctor")}
    assert checks["trackers"]["state"] == checks["mailbox"]["state"] == "off"
    assert checks["links"]["state"] == checks["account"]["state"] == "ok"

    # Whom nobody here knows cannot be looked up.
    done = alice.chatc("send", "carol", "hi")
    assert "chatc: TrackerUnreachable: " in done.err and "--at HOST:PORT#ACCOUNT" in done.err
    done = alice.chatc("login", "alice", "--tracker", "127.0.0.1:1#" + bob.property("Account"))
    assert "chatc: InvalidArgs: " in done.err
    assert alice.chatc("logout").rc == 0 and alice.property("State") == "logged-out"
    assert alice.chatc("login", "alice").rc == 0
    alice.wait_state("online").exchange(bob)


@pytest.mark.skipif(subprocess.run(["unshare", "--net", "true"], check=False,
                                   stderr=subprocess.DEVNULL).returncode != 0,
                    reason="interfaces of one's own need a network namespace")
def test_online_is_who_can_be_reached(lab):
    alice = lab.user("alice", 'listen = { address = "0.0.0.0"; };', trackers=[])
    alice.launch(["unshare", "--net", harness.P2PCHATD])
    alice.register(**ON_LAN).wait_state("offline")
    problem, = wait_until(lambda: alice.status()["problems"])
    assert "no network address" in problem and "offline as alice on the LAN" in wait_until(
        lambda: problem in alice.status_line() and alice.status_line())

    def ip(*words):
        subprocess.run(["nsenter", f"--net=/proc/{alice.pid}/ns/net", "ip", *words], check=True)

    def tells(state):
        alice.wait_signal("PropertiesChanged",
                          lambda _, changed, __: changed.get("State") == state, since)

    since = alice.mark()
    ip("link", "add", "here", "type", "veth", "peer", "name", "there")
    ip("address", "add", "169.254.7.1/16", "dev", "here")   # as a machine gives itself
    ip("link", "set", "here", "up")
    tells("online")
    assert alice.status()["problems"] == []
    since = alice.mark()
    ip("link", "delete", "here")
    tells("offline")


def test_without_a_tracker_it_says_what_to_do(lab):
    alice = lab.user("alice", trackers=[]).start()
    done = alice.chatc("register", "alice", "--no-password")
    assert done.rc == 1 and "chatc: TrackerUnreachable: " in done.err
    assert "--tracker host:port#key" in done.err and "--no-tracker" in done.err
    done = alice.chatc("register", "alice", "--no-password", "--no-tracker")
    assert done.rc == 0 and "for the LAN alone" in done.out
    assert alice.chatc("register", "anna", "--no-password").err.startswith("chatc: AccountExists: ")


def test_trackers_of_the_configuration_are_not_asked(lab, tracker):
    alice = on_lan(lab, "alice", [tracker.address()])
    alice.reload()
    bob = lab.user("bob").join()
    with pytest.raises(BusError) as error:
        bob.send("alice", "hi")
    assert error.value.name == "UnknownPeer"
    assert alice.property("Trackers") == []

    # Until the name is registered without a word about it: they are meant.
    assert alice.chatc("register", "alice").rc == 0
    assert alice.property("Trackers")[0]["address"] == tracker.address()
    bob.exchange(alice)


def test_one_is_published_and_then_the_other(lab, pair):
    alice, bob = pair
    alice.exchange(bob)
    account = alice.property("Account")
    tracker = lab.tracker()
    publish(alice, tracker)
    assert alice.property("Account") == account
    alice.exchange(bob, "you still know me")
    bob.exchange(alice, "of course")

    publish(bob, tracker)
    for user in (alice, bob):                   # PUBLISH and WATCH, without a restart
        wait_until(lambda: "tracker" in user.peer({"alice": "bob"}.get(user.name, "alice"))["via"],
                   what=f"{user.name} sees the other at the tracker")
    carol = lab.user("carol").join()
    carol.exchange(alice)

    # Mail as well: it waits at the tracker while both are never there at the same time.
    bob.stop()
    left = alice.send("bob", "for later")
    wait_until(lambda: states(alice, bob)[-1] == "stored", what="it is at the tracker")
    alice.stop()
    bob.start()
    bob.wait_signal("MessageReceived", lambda *args: args[0] == left)
    alice.start()
    alice.wait_delivered("bob", [left])


def test_a_name_that_is_taken(lab, pair, tracker):
    alice, bob = pair
    other = lab.user("other").join("alice")
    for _ in range(2):
        done = alice.chatc("register", "alice", "--tracker", tracker.address())
        assert done.rc == 1 and "chatc: NameTaken: " in done.err
        assert is_on_lan(alice) and alice.property("State") == "online"
        assert alice.property("Trackers") == [] and alice.status()["problems"] == []
        alice.exchange(bob)
        alice.restart().wait_state("online")
    bob.exchange(alice)
    assert bob.peer("alice")["account"] == alice.property("Account") != other.property("Account")


def test_a_tracker_that_is_away(lab, pair):
    alice, bob = pair
    tracker = lab.tracker()
    tracker.stop()
    for _ in range(2):
        with pytest.raises(BusError) as error:
            alice.register(tracker=tracker.address())
        assert error.value.name == "TrackerUnreachable"
        assert is_on_lan(alice)
        alice.exchange(bob)
    tracker.start()
    publish(alice, tracker)
    tracker.stop()
    wait_until(lambda: alice.property("State") == "offline", what="the tracker is gone")
    wait_until(lambda: "known addresses and on the LAN" in str(alice.status()["problems"]),
               what="it is said what works without it")
    bob.restart()
    alice.exchange(bob)


def begin(user, tracker):
    """Asks for publication, and waits for nothing."""
    user.connection.call(
        harness.NAME, harness.PATH, harness.NAME, "Register",
        GLib.Variant("(ssa{sv})", (user.nick, "", harness.options({"tracker": tracker.address()}))),
        None, Gio.DBusCallFlags.NO_AUTO_START, -1, None, lambda *_: None)
    user.connection.flush_sync()


def renew(user, number):
    """Another account, for the LAN alone."""
    user.stop()
    shutil.rmtree(user.state)
    user.nick = f"alice{number}"
    user.start().register(user.nick, **ON_LAN)
    return user.property("Account")


def test_killed_in_the_middle_of_it(lab, tracker):
    generator = talk.generator()
    carol = lab.user("carol").join()
    alice = lab.user("alice", trackers=[]).start()
    renew(alice, "")
    began = time.monotonic()
    alice.register(alice.nick, tracker=tracker.address())
    whole = time.monotonic() - began
    published = 0
    for number in range(ROUNDS):
        account = renew(alice, number)
        begin(alice, tracker)
        time.sleep(generator.uniform(0, 1.2 * whole))
        alice.kill()
        alice.start().wait_state("online")
        assert alice.property("Name") == alice.nick and alice.property("Account") == account
        published += not is_on_lan(alice)
        if is_on_lan(alice):
            assert alice.property("Trackers") == []
            alice.register(alice.nick, tracker=tracker.address()).wait_state("online")
        carol.wait_delivered(alice.nick, [carol.send(alice.nick, "is that you?")])
        assert carol.peer(alice.nick)["account"] == account
    print(f"{published} of {ROUNDS} were published before they were killed")
