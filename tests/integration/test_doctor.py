# SPDX-License-Identifier: GPL-3.0-or-later
"""Doctor names the hop that fails and says what to do."""
import os
import socket
import subprocess

import pytest

from harness import P2PCHATD, free_port, wait_until

ORDER = ["bus", "account", "configuration", "store", "disk", "clock", "key", "sandbox", "trackers",
         "links", "contacts", "rooms", "mailbox", "outbox", "notifications", "lan", "dns-sd"]


def checks(user, name):
    return [row for row in user.call("Doctor") if row["check"] == name]


def check(user, name):
    row, = checks(user, name)
    return row


def wait_check(user, name, predicate):
    return wait_until(lambda: next((r for r in checks(user, name) if predicate(r)), None),
                      what=f"{name} as expected; last: {checks(user, name)}")


def test_a_healthy_daemon(alice, bob):
    alice.exchange(bob)
    wait_check(alice, "mailbox", lambda row: row["state"] == "ok")     # the tracker is asked for it
    rows = alice.call("Doctor")
    assert [row["check"] for row in rows] == ORDER
    for row in rows:
        assert row["text"].endswith("."), row
        if row["check"] == "store" and "slowest commit took" in row["text"]:
            continue                            # which may have been long: others use the disk too
        assert row["state"] == ("off" if row["check"] in ("lan", "notifications", "dns-sd") else "ok"), row
        assert "advice" not in row, row
    assert alice.trackers[0] in check(alice, "trackers")["text"]
    assert "0600" in check(alice, "key")["text"]
    assert "1 open" in check(alice, "links")["text"]
    assert "127.0.0.1:" in check(alice, "links")["text"]
    assert check(alice, "outbox")["text"] == "Nothing waits."
    assert check(alice, "rooms")["text"] == "A member of 0 rooms."
    assert alice.status()["problems"] == []


def test_without_an_account(lab, tracker):
    alice = lab.user("alice").start()
    assert [row["check"] for row in alice.call("Doctor")] == ORDER
    assert "register" in check(alice, "account")["advice"]
    assert check(alice, "trackers")["state"] == check(alice, "links")["state"] == "off"
    alice.register().wait_state("online").call("Logout")
    row = check(alice, "account")
    assert (row["state"], row["advice"]) == ("warning", "chatc login alice")
    assert check(alice, "links")["state"] == "off"


def test_a_tracker_that_is_gone(alice, tracker):
    tracker.stop()
    row = wait_check(alice, "trackers", lambda r: r["state"] == "failed")
    assert "unreachable" in row["text"] and alice.trackers[0] in row["text"]
    assert "p2pchat-tracker" in row["advice"]
    wait_until(lambda: "Tracker" in str(alice.status()["problems"]), what="status says it too")
    tracker.start()
    wait_check(alice, "trackers", lambda r: r["state"] == "ok" and "advice" not in r)


def test_each_tracker_is_named(lab, alice, tracker):
    gone = lab.tracker("gone")
    address = gone.address()
    gone.stop()
    bob = lab.user("bob", trackers=[alice.trackers[0], address]).join()
    wait_until(lambda: [r["state"] for r in checks(bob, "trackers")] == ["ok", "failed"])
    assert address in checks(bob, "trackers")[1]["text"]


def test_a_tracker_with_another_key(lab, alice, tracker):
    other = lab.tracker("other").address()
    address = alice.trackers[0].split("#")[0] + "#" + other.split("#")[1]
    bob = lab.user("bob", trackers=[alice.trackers[0]]).join()
    bob.stop()
    bob.trackers = [address]
    bob.configure("")
    bob.start()
    row = wait_check(bob, "trackers", lambda r: r["state"] == "failed")
    assert "key" in row["text"] and "--print-address" in row["advice"], row


def test_no_tracker_at_all(lab, tracker, alice):
    alice.stop()
    alice.trackers = []
    alice.configure("")
    alice.start()
    row = check(alice, "trackers")
    assert row["state"] == "warning" and "trackers" in row["advice"]


def test_a_port_that_is_taken(lab, tracker):
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        alice = lab.user("alice", f'listen = {{ address = "127.0.0.1"; port = {port}; }};').join()
        row = check(alice, "links")
        assert row["state"] == "failed" and str(port) in row["text"], row
        assert "listen.port" in row["advice"]
        assert any(str(port) in problem for problem in alice.status()["problems"])
    wait_check(alice, "links", lambda r: r["state"] == "ok" and str(port) in r["text"])
    assert alice.status()["problems"] == []


def test_what_waits(alice, bob):
    alice.exchange(bob)
    bob.stop()
    for text in ("one", "two"):
        alice.send("bob", text)
    text = check(alice, "outbox")["text"]
    assert "2 messages wait for 1 person" in text, text
    bob.start()
    wait_check(alice, "outbox", lambda r: r["text"] == "Nothing waits.")


def test_what_waits_in_rooms(alice, bob):
    alice.exchange(bob)
    alice.call("CreateRoom", "sa{sv}", "#alone", {})
    alice.send("#alone", "nobody else is here")
    assert "1 message waits for 1 room, the oldest since 2" in check(alice, "outbox")["text"]
    bob.stop()
    alice.send("bob", "one")
    text = check(alice, "outbox")["text"]
    assert "2 messages wait for 1 person and 1 room, the oldest since 2" in text, text


def test_rooms(lab, alice, bob, tracker):
    alice.exchange(bob)
    bob.call("CreateRoom", "sa{sv}", "#den", {"access": "private"})
    bob.call("Invite", "ssa{sv}", "#den", "alice", {})
    row = wait_check(alice, "rooms", lambda r: "invited" in r["text"])
    assert (row["state"], row["text"]) == ("ok", "A member of 0 rooms, and invited to 1.")
    bob.stop()
    tracker.stop()
    alice.call("CreateRoom", "sa{sv}", "#tea", {})
    alice.stop()
    tracker.start()
    bob.start().wait_state("online")
    bob.call("CreateRoom", "sa{sv}", "#tea", {})
    assert check(bob, "rooms") == {"check": "rooms", "state": "ok", "text": "A member of 2 rooms."}
    alice.start().wait_state("online")          # her room has the name here, and his has it there
    row = wait_check(alice, "rooms", lambda r: r["state"] == "warning")
    assert row["text"].startswith("#tea: A tracker does not list the room: "), row
    assert "chatc invite '#tea'" in row["advice"]
    assert any("chatc doctor" in problem for problem in alice.status()["problems"])
    assert bob.status()["problems"] == []
    assert "A tracker does not list" in alice.chatc("rooms").out


def test_keys_that_others_may_read(alice):
    os.chmod(alice.state / "db/data.mdb", 0o644)
    row = check(alice, "key")
    assert row["state"] == "warning" and "chmod" in row["advice"]


@pytest.mark.skipif(subprocess.run(["unshare", "--net", "true"], check=False,
                                   stderr=subprocess.DEVNULL).returncode != 0,
                    reason="interfaces of one's own need a network namespace")
def test_a_network_that_comes_later(alice):
    """As for a daemon that starts before the network, or on a laptop that moves."""
    alice.stop()
    alice.configure('listen = { address = "0.0.0.0"; };')
    alice.launch(["unshare", "--net", P2PCHATD])
    wait_check(alice, "links", lambda row: "connect to 127.0.0.1:" in row["text"])

    def ip(*words):
        subprocess.run(["nsenter", f"--net=/proc/{alice.pid}/ns/net", "ip", *words], check=True)

    ip("link", "add", "here", "type", "veth", "peer", "name", "there")
    ip("address", "add", "10.77.0.1/24", "dev", "here")
    ip("link", "set", "here", "up")
    wait_check(alice, "links", lambda row: "connect to 10.77.0.1:" in row["text"])
    ip("link", "delete", "here")
    wait_check(alice, "links", lambda row: "connect to 127.0.0.1:" in row["text"])


def test_an_address_that_is_said_to_others(alice):
    """Where a router passes a port on."""
    alice.stop()
    alice.configure('listen = { address = "127.0.0.1"; advertise = ( "chat.example:7425" ); };')
    alice.start()
    wait_check(alice, "links", lambda row: "connect to chat.example:7425" in row["text"])
