# SPDX-License-Identifier: GPL-3.0-or-later
"""A tracker that is killed under its clients, and one that moves to another address."""
import collections
import signal
import socket
import subprocess
import time

import pytest

import harness
import kernel
from clients import Clients

CLIENTS = 200
BACK_WITHIN = 10                                # s, and as long as they took to come


@pytest.fixture
def crowd(lab):
    crowds = []

    def start(address, count):
        crowds.append(Clients(lab.directory / "crowd.log", address, count))
        return crowds[0]

    yield start
    for one in crowds:
        one.close()


def busiest_second(times):
    """The most that fall into any one second."""
    times = sorted(times)
    return max((sum(1 for t in times if start <= t < start + 1) for start in times), default=0)


def shown_gone(user, others):
    user.settle()
    return [event for event in user.events if event.name == "PeerChanged"
            and event.args[0] in others and event.args[1] == "offline"]


def test_two_hundred_clients_come_back_and_nobody_was_gone(lab, crowd):
    tracker = lab.tracker(config="limits = { per-address = 0; registrations-per-hour = 0; };")
    alice, bob, carol = lab.users("alice", "bob", "carol")
    for one, other in ((alice, bob), (bob, carol), (carol, alice)):
        one.exchange(other)
    begun = time.monotonic()
    clients = crowd(tracker.address(), CLIENTS)
    harness.wait_until(lambda: clients.count("ready") == 1, 240, "all are registered and seen")
    came = time.monotonic() - begun             # what it takes on this machine, as it is now
    said = len(clients.events())

    tracker.kill()
    harness.wait_until(lambda: clients.count("lost") == CLIENTS, 60, "all have lost it")
    tracker.start()
    harness.wait_until(
        lambda: len([1 for e in clients.events()[said:] if e[2] == "connected"]) >= CLIENTS, 120,
        "all are back")
    for user in (alice, bob, carol):
        user.wait_state("online")

    events = clients.events()[said:]
    lost = max(when for when, _, what in events if what == "lost")
    back = [when - lost for when, _, what in events if what == "connected"]
    failed = [when - lost for when, _, what in events if what == "failed"]
    seconds = collections.Counter(int(when) for when in back)
    print(f"back after {min(back):.2f} to {max(back):.2f} s; by second {dict(sorted(seconds.items()))}"
          f"; {len(failed)} attempts were in vain, at most {busiest_second(back + failed)} a second;"
          f" they had come in {came:.2f} s")
    assert len(back) == CLIENTS
    assert max(back) < BACK_WITHIN + came
    assert busiest_second(back + failed) < CLIENTS * 2 // 3, "they come in a crowd"

    # From then on everybody is heard of anew; nobody was ever said to be away.
    for one, other in ((alice, bob), (bob, carol), (carol, alice)):
        one.exchange(other, "still there?")
    assert not [e for e in clients.events()[said:] if e[2] == "offline"]
    assert not [event for user in (alice, bob, carol)
                for event in shown_gone(user, ("alice", "bob", "carol"))]
    assert "is registered" not in tracker.log(), "names are claimed once"


def test_peers_are_listed_as_before_while_there_is_no_tracker(lab, tracker):
    """Without links, so that nothing but the tracker has said that they are there."""
    alice, bob = lab.users("alice", "bob")
    alice.exchange(bob)
    bob.restart().wait_state("online")
    harness.wait_until(lambda: bob.peer("alice")["presence"] == "online", what="bob sees alice")
    assert bob.status()["links"] == 0
    tracker.kill()
    harness.wait_until(lambda: bob.property("State") != "online", what="bob has lost the tracker")
    assert bob.peer("alice")["presence"] == "online"
    tracker.start()
    bob.wait_state("online")
    assert bob.peer("alice")["presence"] == "online"
    assert not shown_gone(bob, ("alice",))


def test_somebody_who_left_meanwhile_is_known_to_be_gone(lab):
    """Not at once, but when everybody else has had the time to come back."""
    tracker = lab.tracker(config="heartbeat = { interval = 5; };")
    alice, bob = lab.users("alice", "bob", config="heartbeat = { interval = 5; };")
    alice.exchange(bob)
    tracker.kill()
    harness.wait_until(lambda: bob.property("State") != "online", what="bob has lost the tracker")
    alice.kill()
    tracker.start()
    bob.wait_state("online")
    bob.wait_signal("PeerChanged", lambda name, state, _: (name, state) == ("alice", "offline"),
                    timeout=120)
    assert bob.peer("alice")["presence"] == "offline"


class MovableUser(harness.User):
    """Whose machine has a file of host names of its own."""

    hosts = None

    def launch(self, argv, wait=True):
        script = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
        super().launch(["unshare", "--mount", "sh", "-c", script, "sh", self.hosts, *argv], wait)


@pytest.mark.skipif(subprocess.run(["unshare", "--mount", "true"], check=False,
                                   stderr=subprocess.DEVNULL).returncode != 0,
                    reason="a file of host names of one's own needs a mount namespace")
def test_a_tracker_that_moves_is_followed(lab):
    """By its name, while the clients run."""
    tracker = lab.tracker()
    hosts = lab.directory / "hosts"
    hosts.write_text("127.0.0.1 localhost tracker.example\n")
    address = tracker.address().replace("127.0.0.1", "tracker.example")
    users = []
    for name in ("alice", "bob"):
        users.append(lab.add(MovableUser(lab, name, None, [address])))
        users[-1].hosts = hosts
        users[-1].join()
    alice, bob = users
    alice.exchange(bob)

    tracker.stop()
    config = tracker.config.read_text()
    tracker.config.write_text(config.replace("127.0.0.1:", "127.0.0.2:"))
    hosts.write_text("127.0.0.1 localhost\n127.0.0.2 tracker.example\n")
    tracker.start()
    for user in users:
        harness.wait_until(lambda u=user: u.property("State") == "online" and [
            row["state"] for row in u.property("Trackers")] == ["connected"],
            what=f"{user.name} has found it")
    lab.tracker_addresses = lambda: [tracker.address()]
    lab.users("carol")[0].exchange(alice, "by a look-up at the new place")
    assert not shown_gone(alice, ("bob",)) and not shown_gone(bob, ("alice",))


def test_a_tracker_takes_the_socket_that_systemd_passes(lab):
    """With the first of the directories that it is given; its log level follows the signals."""
    tracker = lab.tracker(start=False)
    passed = harness.free_port()
    variables = {"STATE_DIRECTORY": f"{tracker.state}:/nonexistent", "NOTIFY_SOCKET":
                 tracker.notify_path, **lab.base_env()}
    tracker.launch(["systemd-socket-activate", f"--listen=127.0.0.1:{passed}",
                    *(f"--setenv={key}={value}" for key, value in variables.items()),
                    harness.TRACKER, "--config", tracker.config], wait=False)

    def is_awake():
        with socket.socket() as client:             # which is what has it started
            client.connect_ex(("127.0.0.1", passed))
        return tracker.is_ready()

    harness.wait_until(is_awake, what="the tracker runs")
    assert "systemd passes other sockets than `listen` names; they count" in tracker.log()
    assert kernel.listening_ports(tracker.pid) == [passed]
    address = tracker.address().replace(f":{tracker.port}#", f":{passed}#")
    lab.user("alice", trackers=[address]).join()

    for number, level in ((22, "debug"), (23, "info")):
        tracker.popen.send_signal(signal.SIGRTMIN + number)
        harness.wait_until(lambda said=f"The log level is {level} now": said in tracker.log())
