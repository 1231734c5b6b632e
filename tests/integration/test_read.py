# SPDX-License-Identifier: GPL-3.0-or-later
"""What has been read, and who learns of it."""
from harness import wait_until
from test_reload import reload

SILENT = 'contacts = { accept = "all"; }; receipts = { read = false; };'
ASKS = 'contacts = { accept = "ask"; };'


def states(user, other):
    return [m["state"] for m in user.history(other)]


def wait_states(user, other, expected):
    wait_until(lambda: states(user, other) == expected, what=f"{other} says {expected}")


def told(user, ids):
    """The states of these messages that were told, in order, of each; but whether one lay in a
    mailbox, as it does when a link is long in coming."""
    return [[e.args[2] for e in user.signals(
        "MessageStateChanged", lambda i, _to, state, _more, one=one: i == one and state != "stored")]
            for one in ids]


def send_all(user, other, *texts):
    ids = [user.send(other, text) for text in texts]
    user.wait_delivered(other, ids)
    return ids


def read(user, message):
    user.call("MarkRead", "sa{sv}", message, {})


def check_unread(author, reader, ids):
    """What was said over the link came, in order, before what is said now: nothing about those."""
    author.exchange(reader, "nothing else was said")
    reader.exchange(author, "nor was it now")
    shown = {m["id"]: m["state"] for m in author.history(reader.name)}
    assert [shown[i] for i in ids] == ["delivered"] * len(ids)


def test_the_author_learns_what_was_read(alice, bob):
    ids = send_all(alice, "bob", *"abcd")
    read(bob, ids[1])
    wait_states(alice, "bob", ["read"] * 2 + ["delivered"] * 2)
    wait_until(lambda: told(alice, ids) == [["delivered", "read"]] * 2 + [["delivered"]] * 2)
    assert next(c for c in alice.list("ListConversations"))["state"] == "delivered"
    alice.restart()
    alice.wait_state("online")
    assert states(alice, "bob") == ["read"] * 2 + ["delivered"] * 2
    assert bob.chatc("read", "alice").rc == 0
    wait_states(alice, "bob", ["read"] * 4)
    wait_until(lambda: told(alice, ids) == [["delivered", "read"]] * 4)
    assert alice.chatc("send", "bob", "e", "--wait", "delivered").rc == 0


def test_an_author_who_is_away_learns_it_over_the_next_link(alice, bob):
    ids = send_all(alice, "bob", "a", "b")
    alice.kill()
    read(bob, ids[-1])
    bob.restart()
    alice.start()
    bob.wait_state("online")
    alice.wait_state("online")
    alice.exchange(bob)
    wait_until(lambda: states(alice, "bob")[:2] == ["read"] * 2, what="both are read")
    wait_until(lambda: told(alice, ids) == [["delivered", "read"]] * 2)


def test_waiting_for_it_on_the_command_line(alice, bob):
    alice.exchange(bob)
    since = bob.mark()
    sender = alice.chatc_json
    first = alice.send("bob", "read me")
    bob.wait_signal("MessageReceived", lambda i, *_: i == first, since=since)
    read(bob, first)
    result = sender("send", "bob", "read me", "--id", first, "--wait", "read")
    assert result[0]["id"] == first


def test_nobody_learns_what_is_read_in_silence(lab, alice):
    bob = lab.user("bob", config=SILENT).join()
    ids = send_all(alice, "bob", "a", "b")
    answer = send_all(bob, "alice", "c")
    read(bob, ids[-1])
    read(alice, answer[0])
    wait_until(lambda: [m["state"] for m in bob.history("alice") if m["id"] in answer] == ["read"],
               what="what others say is shown")
    check_unread(alice, bob, ids)
    bob.configure('contacts = { accept = "all"; };')
    reload(bob)
    later = send_all(alice, "bob", "d")
    read(bob, later[0])
    wait_until(lambda: alice.history("bob")[-1]["state"] == "read", what="from now on it is said")
    check_unread(alice, bob, ids)
    bob.restart()
    bob.wait_state("online")
    check_unread(alice, bob, ids)


def test_a_stranger_learns_it_once_accepted(lab, alice):
    bob = lab.user("bob", config=ASKS).join()
    ids = send_all(alice, "bob", "a", "b")
    read(bob, ids[-1])
    later = send_all(alice, "bob", "c")
    assert states(alice, "bob") == ["delivered"] * 3
    bob.call("Accept", "sa{sv}", "alice", {})
    wait_states(alice, "bob", ["read", "read", "delivered"])
    read(bob, later[0])
    wait_states(alice, "bob", ["read"] * 3)


def test_a_stranger_learns_it_once_answered(lab, alice):
    bob = lab.user("bob", config=ASKS).join()
    ids = send_all(alice, "bob", "a", "b")
    read(bob, ids[-1])
    assert bob.list("ListConversations")[0]["unread"] == 0
    later = send_all(alice, "bob", "c")
    shown = {m["id"]: m["state"] for m in alice.history("bob")}
    assert [shown[i] for i in ids + later] == ["delivered"] * 3
    send_all(bob, "alice", "an answer")
    wait_until(lambda: [m["state"] for m in alice.history("bob") if m["id"] in ids] == ["read"] * 2,
               what="the stranger is none any more")
    assert [m["state"] for m in alice.history("bob") if m["id"] in later] == ["delivered"]


def test_looking_is_not_reading(alice, bob):
    ids = send_all(alice, "bob", "a", "b")
    for words in (["history", "alice"], ["chats"], ["history", "--all", "alice"]):
        assert bob.chatc(*words).rc == 0
    check_unread(alice, bob, ids)
