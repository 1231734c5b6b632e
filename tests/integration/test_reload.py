# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGHUP: the new configuration as a whole or not at all, while links and sessions stay."""
import os
import re
import signal
import socket
import time

import kernel
from harness import free_port, wait_until


def sockets(process):
    """The inodes of the established TCP connections of a process."""
    established = set()
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{process.pid}/net/{table}", encoding="ascii") as lines:
            next(lines)
            for line in lines:
                fields = line.split()
                if fields[3] == "01":
                    established.add(fields[9])
    found = set()
    for fd in os.listdir(f"/proc/{process.pid}/fd"):
        try:
            target = os.readlink(f"/proc/{process.pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        inode = re.fullmatch(r"socket:\[(\d+)\]", target)
        if inode and inode.group(1) in established:
            found.add(inode.group(1))
    return found


def reload(process):
    """With what systemd wants to hear of it."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    said = process.reload()
    begin = re.search(r"^RELOADING=1\nMONOTONIC_USEC=(\d+)$", said, re.MULTILINE)
    assert begin and said.index("RELOADING=1") < said.index("READY=1"), said
    assert now <= int(begin.group(1)) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def listening(user):
    """The port of the first published endpoint."""
    row = next(r for r in user.call("Doctor") if r["check"] == "links")
    found = re.search(r"127\.0\.0\.1:(\d+)", row["text"])
    return int(found.group(1)) if found else None


def no_peer_change(user, since):
    user.settle()
    assert user.signals("PeerChanged", since=since) == []


def listen(port):
    return f'listen = {{ address = "127.0.0.1"; port = {port}; }};'


def ends_within(port, seconds):
    """A connection that says nothing is ended by the other side."""
    with socket.create_connection(("127.0.0.1", port)) as mute:
        mute.settimeout(seconds)
        try:
            while mute.recv(4096):
                pass
            return True
        except TimeoutError:
            return False
        except ConnectionError:
            return True


# What stays

def test_links_and_sessions_stay(alice, bob):
    alice.exchange(bob)
    bob.exchange(alice)
    before = [sockets(user) for user in (alice, bob)]
    assert all(len(found) >= 2 for found in before), before  # the tracker's and the link's
    marks = [user.mark() for user in (alice, bob)]
    alice.configure("heartbeat = { interval = 60; };\nlimits = { connections = 500; };")
    reload(alice)
    assert "heartbeat.interval" in alice.log() and "limits.connections" in alice.log()
    alice.exchange(bob, "after")
    bob.exchange(alice, "after")
    assert [sockets(user) for user in (alice, bob)] == before
    for user, mark in zip((alice, bob), marks):
        no_peer_change(user, mark)
    assert alice.status()["problems"] == []


def test_nothing_changed(alice, bob):
    alice.exchange(bob)
    before = sockets(alice)
    for _ in range(20):
        reload(alice)
    alice.exchange(bob, "again")
    assert sockets(alice) == before


# What is refused

def refused(user, file_part, *parts):
    """The last reload changed nothing, and says why in the journal and in status."""
    problem, = user.status()["problems"]
    for part in (str(file_part), *parts):
        assert part in problem, problem
    assert problem in user.log()
    row = next(r for r in user.call("Doctor") if r["check"] == "configuration")
    assert row["state"] == "failed" and row["text"].rstrip(".") == problem.rstrip("."), row


def test_a_bad_file_changes_nothing(alice, bob):
    alice.exchange(bob)
    before, port, mark = sockets(alice), listening(alice), alice.mark()
    good = alice.config.read_text()
    for bad, parts in (
            ("limits = { connections = -1; };", ("limits.connections", "0 to 4294967295")),
            ("limits = { per-address = 0; }; heartbeat = { interval = 4; };",
             ("heartbeat.interval", "5 to 3600")),
            ("no-such-key = 1;", ("no-such-key",)),
            ('trackers = ( "nonsense" );', ("trackers",)),
            ("listen = { port = 1234; ", ())):
        alice.config.write_text(f"# a comment\n{bad}\n")
        reload(alice)
        refused(alice, f"{alice.config}:", *parts)
        assert listening(alice) == port
    alice.config.write_text(good)
    reload(alice)
    assert alice.status()["problems"] == []
    alice.exchange(bob, "after")
    assert sockets(alice) == before
    no_peer_change(alice, mark)


def test_the_place_in_the_file_is_named(alice):
    alice.config.write_text("# one\n# two\nheartbeat = { interval = 4000; };\n")
    reload(alice)
    refused(alice, f"{alice.config}:3:", "heartbeat.interval", "5 to 3600")


def test_a_file_given_by_name_that_is_gone(lab, tracker, bob):
    alice = lab.user("alice")
    file = lab.directory / "alice.conf"
    file.write_text(alice.config.read_text())
    alice.start(args=["--config", file]).register().wait_state("online")
    alice.exchange(bob)
    before = sockets(alice)
    file.unlink()
    reload(alice)
    refused(alice, file, "No such file")
    alice.exchange(bob, "after")
    assert sockets(alice) == before


def test_without_a_file_the_defaults_hold(lab, tracker, bob):
    """As they do at a start: a file that was found by itself may also go by itself."""
    alice = lab.user("alice", 'contacts = { accept = "all"; };\n' + listen(0), trackers=[])
    alice.start().register(tracker=tracker.address()).wait_state("online")
    session = sockets(alice)
    alice.config.unlink()
    reload(alice)
    assert alice.status()["problems"] == []
    bob.exchange(alice)
    assert alice.wait_signal("MessageReceived").args[4]["request"] is True  # accept = "ask"
    assert session <= sockets(alice)


def test_a_port_that_is_taken_changes_nothing(alice, bob):
    port = listening(alice)
    other = free_port()
    with socket.create_server(("127.0.0.1", other)):
        alice.configure(listen(other) + '\ncontacts = { accept = "ask"; };')
        reload(alice)
        refused(alice, other, "in use")
    assert listening(alice) == port
    bob.exchange(alice)
    assert "request" not in alice.wait_signal("MessageReceived").args[4]


# What takes effect

def test_another_port(alice, bob):
    bob.exchange(alice)
    old, new, mark = listening(alice), free_port(), bob.mark()
    alice.configure(listen(new))
    reload(alice)
    assert listening(alice) == new
    wait_until(lambda: bob.peer("alice")["endpoints"] == [f"127.0.0.1:{new}"],
               what="bob hears of the new port")
    no_peer_change(bob, mark)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", old)) != 0, "the old port is still open"
    bob.restart().wait_state("online")
    bob.exchange(alice, "over the new port")
    alice.configure("")
    reload(alice)
    assert listening(alice) == old, "port 0 is the one that was kept"


def test_the_same_port_on_another_address(alice, bob):
    port = free_port()                  # the kernel gives one above to connections of other tests
    alice.configure(f'listen = {{ address = "127.0.0.2"; port = {port}; }};')
    reload(alice)
    wait_until(lambda: (bob.peer("alice") or {}).get("endpoints") == [f"127.0.0.2:{port}"])
    alice.configure(f'listen = {{ address = "0.0.0.0"; port = {port}; '
                    'advertise = ( "127.0.0.3:1" ); };')
    reload(alice)
    wait_until(lambda: bob.peer("alice")["endpoints"] == ["127.0.0.3:1"])
    alice.configure(f'listen = {{ address = "127.0.0.1"; port = {port}; }};')
    reload(alice)  # in the way of the one before
    wait_until(lambda: bob.peer("alice")["endpoints"] == [f"127.0.0.1:{port}"])
    bob.exchange(alice)


def test_the_chosen_port_stays(alice, bob):
    """With port 0, whatever the address."""
    alice.exchange(bob)
    ports = kernel.listening_ports(alice.pid)
    assert len(ports) == 1
    for address in ("0.0.0.0", "127.0.0.1"):
        alice.configure(f'listen = {{ address = "{address}"; }};')
        reload(alice)
        assert kernel.listening_ports(alice.pid) == ports
    bob.exchange(alice)


def test_strangers(alice, bob, lab):
    bob.exchange(alice, "a contact at once")
    alice.configure('contacts = { accept = "ask"; };')
    reload(alice)
    carol = lab.user("carol").join()
    carol.exchange(alice, "a request")
    event = alice.wait_signal("MessageReceived", lambda _id, name, *_: name == "carol")
    assert event.args[4]["request"] is True


def test_the_time_until_hello(alice):
    alice.configure("limits = { handshake = 0; };")
    reload(alice)
    assert not ends_within(listening(alice), 3)
    alice.configure("limits = { handshake = 1; };")
    reload(alice)
    assert ends_within(listening(alice), 60)


def test_connections_of_one_address(alice):
    alice.configure("limits = { per-address = 2; handshake = 0; };")
    reload(alice)
    port = listening(alice)
    with socket.create_connection(("127.0.0.1", port)), \
            socket.create_connection(("127.0.0.1", port)):
        assert ends_within(port, 60)
        alice.configure("limits = { per-address = 0; handshake = 0; };")
        reload(alice)
        assert not ends_within(port, 3)


def test_another_tracker(lab, alice, bob, tracker):
    alice.exchange(bob)
    before = sockets(alice)
    second = lab.tracker("second")
    alice.trackers = [tracker.address(), second.address()]
    alice.configure("")
    reload(alice)
    wait_until(lambda: [t["state"] for t in alice.property("Trackers")] == ["connected"] * 2)
    assert before <= sockets(alice), "the session with the first tracker and the link stay"
    alice.trackers = [second.address()]
    alice.configure("")
    reload(alice)
    assert [t["address"] for t in alice.property("Trackers")] == alice.trackers
    wait_until(lambda: [t["state"] for t in alice.property("Trackers")] == ["connected"])
    alice.exchange(bob, "the link stays")
    carol = lab.user("carol", trackers=[second.address()]).join()
    carol.exchange(alice)


def test_a_tracker_that_was_given_with_the_account_stays(lab, tracker):
    second = lab.tracker("second")
    alice = lab.user("alice").start().register(tracker=second.address()).wait_state("online")
    alice.configure("trackers = ( );")
    reload(alice)
    assert [t["address"] for t in alice.property("Trackers")] == [second.address()]
    assert "stays in use" in alice.log()


def test_a_key_that_is_not_built_is_said(alice):
    alice.configure("storage = { history-days = 5; };")
    reload(alice)
    assert "storage.history-days; it is not built yet" in alice.log()
    assert alice.status()["problems"] == []


def test_without_an_account(lab, tracker):
    alice = lab.user("alice").start()
    port = free_port()
    alice.configure(listen(port))
    reload(alice)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "no listener before there is an account"
    alice.register().wait_state("online")
    assert listening(alice) == port


# While something else goes on

def test_reloads_while_messages_flow(alice, bob):
    alice.exchange(bob)
    ids = []
    for number in range(300):
        if number % 30 == 0:
            alice.configure(f"heartbeat = {{ interval = {30 + number}; }};"
                            if number % 60 else "broken")
            for user in (alice, bob):
                user.popen.send_signal(signal.SIGHUP)
                user.read_notify()              # what nobody reads stops who says it
        ids.append(alice.send("bob", f"message {number}"))
    alice.wait_delivered("bob", ids)
    texts = [m["text"] for m in bob.history("alice") if m["text"].startswith("message ")]
    assert texts == [f"message {number}" for number in range(300)]


# The tracker

def tracker_config(tracker, *ports, more=""):
    doors = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    tracker.config.write_text(f"listen = ( {doors} );\n"
                              f"limits = {{ registrations-per-hour = 0; {more} }};\n")


def test_the_tracker_keeps_its_sessions(tracker, alice, bob):
    alice.exchange(bob)
    before, marks = sockets(tracker), [user.mark() for user in (alice, bob)]
    extra = free_port()
    tracker_config(tracker, tracker.port, extra, more="handshake = 1;")
    reload(tracker)
    assert sockets(tracker) == before
    assert ends_within(extra, 60)
    for user, mark in zip((alice, bob), marks):
        no_peer_change(user, mark)
        assert user.status()["state"] == "online"
    assert "Changed in the configuration: listen" in tracker.log()
    tracker_config(tracker, tracker.port)
    reload(tracker)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", extra)) != 0


def test_the_tracker_moves_to_another_address_of_its_port(tracker, alice):
    for doors in ('"[::]:{}"', '"127.0.0.1:{}"'):
        tracker.config.write_text(f"listen = ( {doors.format(tracker.port)} );\n"
                                  "lan = { enabled = false; };\n")
        reload(tracker)
        assert "the configuration was refused" not in tracker.read_notify()
        assert ends_within(tracker.port, 60)
    assert alice.status()["state"] == "online"
    assert "already in use" not in tracker.log()


def test_the_tracker_refuses_a_bad_file(tracker, alice):
    before = sockets(tracker)
    good = tracker.config.read_text()
    tracker.config.write_text("broken")
    reload(tracker)
    wait_until(lambda: "the new configuration was refused" in tracker.read_notify())
    for bad, part in (("limits = { connections = -1; };\n", f"{tracker.config}:1: limits.conn"),
                      ("broken", str(tracker.config)),
                      ('listen = ( "192.0.2.1:7425" );\n', "cannot listen on 192.0.2.1:7425")):
        tracker.config.write_text(bad)
        reload(tracker)
        assert part in tracker.log()
    tracker.config.unlink()
    reload(tracker)
    assert "No such file" in tracker.log()
    assert sockets(tracker) == before
    tracker.config.write_text(good)
    reload(tracker)
    assert "refused" not in tracker.status_line(), "STATUS= comes with READY=1"
    assert sockets(tracker) == before
    assert alice.status()["state"] == "online"
