# SPDX-License-Identifier: GPL-3.0-or-later
"""Strangers, contacts, other names, blocks, and a name that a tracker gives to somebody else."""
import signal

import pytest

import harness
from harness import BusError, Gio, GLib, wait_until

ASK = 'contacts = { accept = "ask"; };'


def call(user, method, *args, **more):
    return user.call(method, "s" * len(args) + "a{sv}", *args, more)


def refused(user, method, *args, **more):
    with pytest.raises(BusError) as error:
        call(user, method, *args, **more)
    return error.value.name


def sent_refused(user, to):
    with pytest.raises(BusError) as error:
        user.send(to, "hi")
    return error.value


def known(user, name):
    """Whoever has this name, contact or not."""
    return next((p for p in user.list("ListPeers", all=True) if p["name"] == name), None)


def account(user):
    return "@" + user.property("Account")


def peer_object(user, other):
    """The properties of the other's object, None where there is none."""
    objects = user.call("GetManagedObjects", "", interface="org.freedesktop.DBus.ObjectManager")
    found = objects.get(f"{harness.PATH}/peer/{other.property('Account')}")
    return found and found["org.p2pchat.Chat1.Peer"]


@pytest.fixture
def asking(lab, tracker):
    """Alice wants to be asked, and bob is a stranger."""
    return lab.user("alice", ASK).join(), lab.user("bob").join()


# strangers

def test_a_stranger_is_a_request_until_accepted(asking):
    alice, bob = asking
    bob.wait_delivered("alice", [bob.send("alice", "hi"), bob.send("alice", "are you there?")])
    event = alice.wait_signal("RequestReceived")
    assert event.args[:2] == ("bob", "hi")
    assert event.args[2]["account"] == bob.property("Account")
    assert alice.wait_signal("MessageReceived").args[4]["request"] is True
    request, = alice.list("ListRequests")
    assert request["name"] == "bob" and request["messages"] == 2
    assert request["text"] == "are you there?"
    assert [row["text"] for row in alice.history("bob")] == ["hi", "are you there?"]
    assert peer_object(alice, bob)["Contact"] is False
    assert alice.chatc_json("requests")[0]["account"] == bob.property("Account")

    done = alice.chatc("accept", "bob")
    assert (done.rc, done.out) == (0, ""), done
    assert alice.list("ListRequests") == []
    assert alice.peer("bob")["contact"] is True
    wait_until(lambda: peer_object(alice, bob)["Contact"], what="the object says so")
    since = alice.mark()
    bob.wait_delivered("alice", [bob.send("alice", "thanks")])
    assert "request" not in alice.wait_signal("MessageReceived", since=since).args[4]
    assert len(alice.signals("RequestReceived")) == 1
    events, _ = alice.call("ListEvents", "tua{sv}", 0, 0, {})
    assert [e["text"] for e in events if e["event"] == "RequestReceived"] == ["hi"]


def test_a_stranger_who_left_a_message_goes_by_his_name(asking):
    """Nobody has proved over a link who he is; what a tracker says of his name is asked for."""
    alice, bob = asking
    alice.stop()
    sent = bob.send("alice", "hi")
    wait_until(lambda: bob.history("alice")[0]["state"] == "stored", what="it is in the mailbox")
    bob.stop()
    alice.start()
    wait_until(lambda: [r["name"] for r in alice.list("ListRequests")] == ["bob"],
               what="the request of bob")
    assert alice.history("bob")[0]["id"] == sent


def test_answering_accepts(asking):
    alice, bob = asking
    bob.wait_delivered("alice", [bob.send("alice", "hi")])
    alice.wait_delivered("bob", [alice.send("bob", "hello")])
    assert alice.list("ListRequests") == []
    assert alice.peer("bob")["contact"] is True


def test_a_declined_request_may_come_again(asking):
    alice, bob = asking
    bob.wait_delivered("alice", [bob.send("alice", "hi")])
    call(alice, "RemoveContact", "bob")
    assert alice.list("ListRequests") == [] and peer_object(alice, bob) is None
    assert [row["text"] for row in alice.history("bob")] == ["hi"]
    since = alice.mark()
    bob.wait_delivered("alice", [bob.send("alice", "please")])
    assert alice.wait_signal("RequestReceived", since=since).args[:2] == ("bob", "please")
    assert alice.list("ListRequests")[0]["messages"] == 1


def test_a_stranger_leaves_500_messages_and_hears_why_not_more(asking):
    alice, bob = asking
    ids = [bob.send("alice", f"{number}") for number in range(600)]
    bob.wait_delivered("alice", ids[:500])
    wait_until(lambda: bob.property("Queued") == 0, what="nothing waits any more")
    rows = {row["id"]: row for row in bob.history("alice")}
    assert {rows[i]["state"] for i in ids[:500]} == {"delivered"}
    assert {(rows[i]["state"], rows[i]["reason"]) for i in ids[500:]} == {("failed", "TooMany")}
    assert len(alice.history("bob")) == 500
    assert alice.list("ListRequests")[0]["messages"] == 500
    call(alice, "Accept", "bob")
    bob.wait_delivered("alice", [bob.send("alice", "now?")])


# contacts

def test_adding_renaming_and_removing(alice, bob):
    assert alice.chatc("add", "bob").rc == 0
    assert alice.chatc("add", "bob").rc == 0
    assert alice.peer("bob")["contact"] is True and peer_object(alice, bob)
    done = alice.chatc("add", "nobody")
    assert done.rc == 5 and "UnknownPeer" in done.err

    assert alice.chatc("rename", "bob", "Uncle").rc == 0
    assert alice.peer("bob") is None
    assert alice.peer("uncle")["claimed-name"] == "bob"
    alice.wait_delivered("uncle", [alice.send("uncle", "hi"), alice.send("bob", "hi")])
    bob.wait_delivered("alice", [bob.send("alice", "hello")])
    assert alice.wait_signal("MessageReceived").args[1] == "uncle"
    assert {row["with"] for row in alice.list("ListConversations")} == {"uncle"}
    wait_until(lambda: peer_object(alice, bob)["Name"] == "uncle", what="the object's name")
    alice.restart().wait_state("online")
    assert alice.peer("uncle")["contact"] is True
    assert alice.chatc("rename", "uncle", "").rc == 0
    assert alice.peer("bob") and "claimed-name" not in alice.peer("bob")

    bob.stop()
    waiting = alice.send("bob", "too late")
    assert refused(alice, "RemoveContact", "bob") == "NotAllowed"
    call(alice, "Cancel", waiting)
    assert alice.chatc("remove", "bob").rc == 0
    assert alice.peer("bob") is None and peer_object(alice, bob.start()) is None
    assert alice.history("bob")[0]["text"] == "hi"
    assert refused(alice, "RemoveContact", "bob") == "UnknownPeer"
    alice.wait_delivered("bob", [alice.send("bob", "and again")])
    assert alice.peer("bob")["contact"] is True


def test_oneself_and_nobody_are_no_contacts(alice, bob):
    for method in ("Accept", "AddContact", "RemoveContact", "Block", "Unblock"):
        for name in ("alice", account(alice)):
            assert refused(alice, method, name) == "InvalidArgs", method
        assert refused(alice, method, "nobody") == "UnknownPeer", method
        assert refused(alice, method, "") == "BadName", method
    assert refused(alice, "RenameContact", "bob", "x") == "UnknownPeer"
    call(alice, "AddContact", account(bob))
    assert alice.peer("bob")["contact"] is True
    for alias, name in (("a" * 33, "BadName"), ("a b", "BadName"), ("alice", "NameTaken")):
        assert refused(alice, "RenameContact", "bob", alias) == name


# somebody whose address one was told

@pytest.fixture
def no_tracker(lab, tracker):
    """Alice and bob have accounts, never heard of each other, and now the tracker is gone."""
    port = harness.free_port()
    alice = lab.user("alice").join()
    bob = lab.user("bob", f'listen = {{ address = "127.0.0.1"; port = {port}; }};').join()
    tracker.stop()
    return alice, bob, f"127.0.0.1:{port}#" + bob.property("Account")


def test_adding_at_an_address_needs_no_tracker(no_tracker):
    alice, bob, at = no_tracker
    done = alice.chatc("add", "bob", "--at", at)
    assert (done.rc, done.out) == (0, ""), done
    assert alice.peer("bob")["contact"] is True
    alice.exchange(bob)
    assert alice.chatc("add", "bob", "--at", at).rc == 0
    bob.exchange(alice, "hello")
    for user in (alice, bob):
        user.restart()
    waiting = alice.send("bob", "you are still there?")
    alice.wait_delivered("bob", [waiting])


def test_who_is_at_the_address_has_to_be_the_one(lab, no_tracker):
    alice, bob, at = no_tracker
    where, _, key = at.partition("#")
    with pytest.raises(BusError) as error:
        call(alice, "AddContact", "carol", at=at)
    assert error.value.name == "UnknownPeer" and "but bob" in error.value.message
    assert alice.list("ListPeers") == [] and alice.chatc("add", "carol", "--at", at).rc == 5
    assert refused(alice, "AddContact", "bob", at=f"{where}#{alice.property('Account')}") == \
        "InvalidArgs"
    other = "aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaa"
    assert refused(alice, "AddContact", "bob", at=f"{where}#{other}") == "KeyChanged"
    assert refused(alice, "AddContact", "@" + other, at=at) == "InvalidArgs"
    assert refused(alice, "AddContact", "bob", at=f"127.0.0.1:1#{key}") == "UnknownPeer"
    for text in ("", "127.0.0.1", where, "127.0.0.1#" + key, f"127.0.0.1:0#{key}", at + "a"):
        assert refused(alice, "AddContact", "bob", at=text) == "InvalidArgs", text
    assert refused(alice, "AddContact", "a b", at=at) == "BadName"
    assert alice.list("ListPeers") == []

    call(alice, "Block", "@" + key)
    assert refused(alice, "AddContact", "bob", at=at) == "Blocked"
    call(alice, "Unblock", "@" + key)
    call(alice, "AddContact", "@" + key, at=at)
    assert alice.peer("bob")["contact"] is True
    call(alice, "RenameContact", "bob", "carol")
    assert refused(alice, "AddContact", "carol", at=f"{where}#{other}") == "NameTaken"


# blocks

def turned_away(user):
    """Waits until the user has come to somebody who has blocked him."""
    user.connection.call_sync(
        harness.NAME, "/org/freedesktop/LogControl1", "org.freedesktop.DBus.Properties", "Set",
        GLib.Variant("(ssv)", ("org.freedesktop.LogControl1", "LogLevel",
                               GLib.Variant("s", "debug"))), None, Gio.DBusCallFlags.NONE, -1, None)
    wait_until(lambda: "A link ended: Blocked" in user.log(), what="the link is refused")


def test_a_block_ends_the_link_and_what_waits_goes_on_later(alice, bob):
    alice.exchange(bob)
    bob.exchange(alice)
    assert alice.chatc("block", "bob").rc == 0
    wait_until(lambda: alice.status()["links"] == 0 and bob.status()["links"] == 0,
               what="the link ends")
    waiting = bob.send("alice", "are you angry?")
    assert sent_refused(alice, "bob").name == "Blocked"
    assert sent_refused(alice, account(bob)).name == "Blocked"
    done = alice.chatc("send", "bob", "hi")
    assert done.rc == 1 and "chatc: Blocked: " in done.err
    assert known(alice, "bob")["blocked"] is True
    assert peer_object(alice, bob)["Blocked"] is True
    turned_away(bob)
    alice.restart().wait_state("online")
    assert alice.property("Queued") == 0
    assert bob.property("Queued") == 1 and len(alice.history("bob")) == 2

    assert alice.chatc("unblock", "bob").rc == 0
    assert alice.chatc("unblock", "bob").rc == 0
    alice.exchange(bob, "no more")
    bob.wait_delivered("alice", [waiting])
    assert known(alice, "bob").get("blocked", False) is False


def test_messages_wait_for_who_is_blocked_meanwhile(lab):
    lab.tracker(config="mailbox = { enabled = false; };")   # where he would find it himself
    alice, bob = lab.users("alice", "bob")
    alice.exchange(bob)
    bob.stop()
    waiting = alice.send("bob", "later")
    call(alice, "Block", "bob")
    bob.start().wait_state("online")
    assert alice.property("Queued") == 1 and len(bob.history("alice")) == 1
    call(alice, "Unblock", "bob")
    alice.wait_delivered("bob", [waiting])


def test_who_was_never_seen_is_blocked_by_his_account(lab, asking):
    alice, bob = asking
    call(alice, "Block", account(bob))
    assert known(alice, account(bob))["blocked"] is True
    waiting = bob.send("alice", "hi")
    turned_away(bob)
    carol = lab.user("carol").join()
    carol.exchange(alice)                       # alice is there, and takes what others send
    assert bob.property("Queued") == 1 and alice.history(account(bob)) == []
    assert [r["name"] for r in alice.list("ListRequests")] == ["carol"]
    call(alice, "Unblock", account(bob))
    bob.send("alice", "and again")
    bob.wait_delivered("alice", [waiting])
    assert {r["name"] for r in alice.list("ListRequests")} == {"bob", "carol"}


# names that are only claimed

def test_who_only_claims_a_name_gets_nothing_that_is_for_its_owner(lab, tracker):
    port = harness.free_port()
    alice = lab.user("alice", f'{ASK}\nlisten = {{ address = "127.0.0.1"; port = {port}; }};').join()
    bob = lab.user("bob").join()
    elsewhere = lab.tracker("elsewhere")
    mallory = lab.user("mallory", trackers=[elsewhere.address()]).join("bob")
    call(mallory, "AddContact", "alice", at=f"127.0.0.1:{port}#{alice.property('Account')}")
    mallory.wait_delivered("alice", [mallory.send("alice", "it is me, bob")])
    shown = "bob~" + mallory.property("Account")[:4]
    assert [r["name"] for r in alice.list("ListRequests")] == [shown]

    error = sent_refused(alice, "bob")
    assert error.name == "AmbiguousName"
    assert shown in error.message and account(bob) in error.message
    assert refused(alice, "AddContact", "bob") == "AmbiguousName"
    alice.wait_delivered(shown, [alice.send(account(mallory), "are you?")])
    call(alice, "RemoveContact", shown)
    call(alice, "Block", shown)
    alice.exchange(bob, "now it is clear who is meant")
    assert mallory.history("alice")[-1]["text"] == "are you?"


# names that point elsewhere

def use_tracker(user, tracker):
    user.trackers = [tracker.address()]
    user.configure("")
    user.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: [(t["address"], t["state"]) for t in user.property("Trackers")] ==
               [(tracker.address(), "connected")], what="the other tracker")


@pytest.fixture
def lied_to(lab, tracker, alice, bob):
    """Alice knows bob, and is at another tracker now, where somebody else is called so."""
    alice.exchange(bob)
    liar = lab.tracker("liar")
    other = lab.user("other", trackers=[liar.address()]).join("bob")
    use_tracker(alice, liar)
    alice.wait_signal("PeerChanged", lambda _name, _presence, more: more.get("key-changed"))
    return alice, bob, other, tracker


def test_a_name_that_points_elsewhere_is_loud_and_stops_sending(lied_to):
    alice, bob, other, tracker = lied_to
    error = sent_refused(alice, "bob")
    assert error.name == "KeyChanged" and account(other) in error.message
    assert "chatc accept bob" in error.message
    assert alice.chatc("send", "bob", "hi").rc == 1
    peer = alice.peer("bob")
    assert peer["account"] == bob.property("Account") and peer["key-changed"] is True
    assert "@" + peer["other-account"] == account(other)
    assert peer_object(alice, bob)["KeyChanged"] is True
    assert any("bob" in problem for problem in alice.status()["problems"])
    assert "KEY CHANGED" in alice.chatc("peers").out
    assert [c["state"] for c in alice.list("Doctor") if c["check"] == "contacts"] == ["failed"]
    done = alice.chatc("doctor")
    assert done.rc == 1 and "contacts" in done.err and "bob" in done.out
    alice.wait_delivered(account(bob), [alice.send(account(bob), "it is you I mean")])
    alice.restart().wait_state("online")
    assert sent_refused(alice, "bob").name == "KeyChanged"
    assert other.list("ListRequests") == [] and other.history("alice") == []

    since = alice.mark()
    use_tracker(alice, tracker)
    alice.wait_signal("PeerChanged", since=since, predicate=lambda _name, _presence, more:
                      more.get("key-changed") is False)
    alice.exchange(bob)
    assert not any("bob" in problem for problem in alice.status()["problems"])


def test_accepting_keeps_who_was_known(lied_to):
    alice, bob, other, _tracker = lied_to
    since = alice.mark()
    assert alice.chatc("accept", "bob").rc == 0
    alice.wait_signal("PeerChanged", since=since, predicate=lambda _name, _presence, more:
                      more.get("key-changed") is False)
    alice.wait_delivered("bob", [alice.send("bob", "still you")])
    assert bob.history("alice")[-1]["text"] == "still you"
    alice.restart().wait_state("online")
    alice.wait_delivered("bob", [alice.send("bob", "and from now on")])
    assert other.history("alice") == []


def test_removing_and_adding_takes_the_other_one(lied_to):
    alice, bob, other, _tracker = lied_to
    assert refused(alice, "AddContact", "bob") == "KeyChanged"
    call(alice, "RemoveContact", "bob")
    call(alice, "AddContact", "bob")
    assert alice.peer("bob")["account"] == other.property("Account")
    alice.wait_delivered("bob", [alice.send("bob", "welcome")])
    assert other.history("alice")[-1]["text"] == "welcome"
    old = "bob~" + bob.property("Account")[:4]
    assert [row["text"] for row in alice.history(old)] == ["hi"]
    assert [row["text"] for row in alice.history(account(bob))] == ["hi"]
