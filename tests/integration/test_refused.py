# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused, with the error and the exit status of the contract, and nothing lost by it."""
import os
import re
import shutil
import stat
import subprocess
import time

import pytest

import harness
import kernel
import under
from harness import DEADLINE, BusError


def refused(result, rc, name):
    """chatc's answer: exit status, and the last line that names the error in one sentence."""
    last = result.err.splitlines()[-1] if result.err else ""
    assert result.rc == rc and last.startswith(f"chatc: {name}: "), result
    return last


@pytest.fixture
def newcomer(lab, tracker):
    return lab.user("newcomer").start()


# names

BAD_NAMES = ["", "a" * 33, "-a", ".a", "_a", "a b", "é", "a/b", "a~b", "#a", "@a", "a\n"]


def test_bad_names_are_refused(newcomer):
    for name in BAD_NAMES:
        with pytest.raises(BusError) as error:
            newcomer.register(name) if name else newcomer.call("Register", "ssa{sv}", "", "",
                                                               {"no-password": True})
        assert error.value.name == "BadName", name
        refused(newcomer.chatc("register", "--no-password", "--", name), 1, "BadName")
    assert newcomer.property("State") == "logged-out"
    newcomer.register("a" * 32).wait_state("online")
    assert newcomer.property("Name") == "a" * 32


def test_a_taken_name_is_refused_and_another_one_is_fine(newcomer, alice):
    with pytest.raises(BusError) as error:
        newcomer.register("alice")
    assert error.value.name == "NameTaken"
    refused(newcomer.chatc("register", "ALICE", "--no-password"), 1, "NameTaken")
    refused(newcomer.chatc("send", "alice", "hi"), 4, "NotLoggedIn")
    newcomer.register("alice2").wait_state("online")
    newcomer.exchange(alice)


def test_one_registers_once(alice):
    for name in ("alice", "other"):
        with pytest.raises(BusError) as error:
            alice.register(name)
        assert error.value.name == "AccountExists", name
    refused(alice.chatc("register", "other", "--no-password"), 1, "AccountExists")
    assert alice.property("Name") == "alice"
    alice.restart().wait_state("online")
    refused(alice.chatc("register", "other", "--no-password"), 1, "AccountExists")


def test_only_the_account_kept_here_logs_in_without_password(alice):
    alice.call("Logout")
    with pytest.raises(BusError):
        alice.call("Login", "ssa{sv}", "somebody", "", {})
    assert alice.property("State") == "logged-out"
    alice.call("Login", "ssa{sv}", "alice", "", {})
    alice.wait_state("online")


# texts

def test_bad_texts_are_refused_and_nothing_is_kept(alice, bob):
    for text, name in (("", "InvalidArgs"), ("x" * 65537, "TooLong"), ("é" * 32769, "TooLong")):
        with pytest.raises(BusError) as error:
            alice.send("bob", text)
        assert error.value.name == name, len(text)
    refused(alice.chatc("send", "bob", ""), 1, "InvalidArgs")
    refused(alice.chatc("send", "bob", "-", stdin="\n"), 1, "InvalidArgs")
    refused(alice.chatc("send", "bob", "-", stdin=""), 1, "InvalidArgs")
    refused(alice.chatc("send", "bob", "-", stdin="x" * 65537), 1, "TooLong")
    refused(alice.chatc("send", "bob", "-", stdin="x" * 5000000), 1, "TooLong")
    refused(alice.chatc("send", "bob", "-", stdin=b"a\0b"), 1, "InvalidArgs")
    for raw in (b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"):
        refused(alice.chatc("send", "bob", "-", stdin=raw), 1, "InvalidArgs")
        refused(alice.chatc("send", "bob", raw), 1, "InvalidArgs")
    assert alice.history("bob") == []
    assert alice.property("Queued") == 0
    alice.exchange(bob)


def test_the_longest_text_is_accepted(alice, bob):
    texts = ["x" * 65536, "é" * 32768]
    ids = [alice.send("bob", text) for text in texts]
    done = alice.chatc("send", "bob", "-", stdin=texts[0] + "\n")
    assert done.rc == 0, done
    alice.wait_delivered("bob", [*ids, done.out.strip()])
    assert [row["text"] for row in bob.history("alice")] == [*texts, texts[0]]


def test_noncharacters_are_delivered_or_refused_but_never_lost(alice, bob):
    try:
        sent = alice.send("bob", "\ufffe\uffff\U0010ffff\ufdd0")
    except BusError:
        assert alice.history("bob") == []
    else:
        alice.wait_delivered("bob", [sent])
    alice.exchange(bob)


# whom one can write to

def test_an_unknown_peer_is_refused(alice):
    for to in ("nobody", "@" + "a" * 52, "@" + "b" * 51):
        with pytest.raises(BusError) as error:
            alice.send(to, "hi")
        assert error.value.name in ("UnknownPeer", "BadName"), to
    with pytest.raises(BusError) as error:
        alice.send("nobody", "hi")
    assert error.value.name == "UnknownPeer"
    refused(alice.chatc("send", "nobody", "hi"), 5, "UnknownPeer")
    assert alice.list("ListConversations") == []
    assert alice.property("Queued") == 0


def test_a_room_is_not_known(alice):
    with pytest.raises(BusError) as error:
        alice.send("#garden", "hi")
    assert error.value.name == "UnknownRoom"
    refused(alice.chatc("send", "#garden", "hi"), 5, "UnknownRoom")


def test_a_new_name_needs_the_tracker_and_nothing_is_kept(tracker, alice, bob):
    alice.exchange(bob)
    tracker.stop()
    harness.wait_until(lambda: alice.property("Trackers")[0]["state"] != "connected", 120,
                       "alice noticed")
    with pytest.raises(BusError) as error:
        alice.send("carol", "hi")
    assert error.value.name == "TrackerUnreachable"
    refused(alice.chatc("send", "carol", "hi"), 1, "TrackerUnreachable")
    assert [row["with"] for row in alice.list("ListConversations")] == ["bob"]
    assert alice.property("Queued") == 0
    alice.exchange(bob, "known")


def test_a_tracker_that_is_silent_costs_five_seconds_and_nothing_is_kept(tracker, alice, bob):
    tracker.popen.send_signal(harness.signal.SIGSTOP)
    start = time.monotonic()
    with pytest.raises(BusError) as error:
        alice.send("bob", "hi")
    assert error.value.name == "TrackerUnreachable"
    assert 4 < time.monotonic() - start < 20 * under.SLOW
    assert alice.list("ListConversations") == []
    tracker.popen.send_signal(harness.signal.SIGCONT)
    alice.exchange(bob)


# trackers

def test_registering_without_a_tracker_says_what_to_do(lab):
    alone = lab.user("alone", trackers=[]).start()
    done = alone.chatc("register", "alone", "--no-password")
    assert done.rc == 1
    assert "--tracker" in done.err, done
    assert alone.property("State") == "logged-out"


def test_registering_needs_a_tracker_that_answers_and_may_be_repeated(lab, tracker):
    tracker.address()
    alice = lab.user("alice").start()
    tracker.stop()
    done = alice.chatc("register", "alice", "--no-password")
    assert done.rc in (1, 6) and re.match("chatc: (TrackerUnreachable|Timeout): ",
                                          done.err.splitlines()[-1]), done
    tracker.start()
    done = alice.chatc("register", "alice", "--no-password")
    assert done.rc == 0, done
    alice.wait_state("online")


def test_the_tracker_given_with_the_account_is_remembered(lab, tracker):
    alice = lab.user("alice", trackers=[]).start()
    done = alice.chatc("register", "alice", "--no-password", "--tracker", tracker.address())
    assert done.rc == 0, done
    alice.restart().wait_state("online")
    assert [t["address"] for t in alice.property("Trackers")] == [tracker.address()]


def wrong_key(address):
    host, key = address.split("#")
    other = "a" if key[0] != "a" else "b"
    return f"{host}#{other}{key[1:]}"


def test_a_tracker_with_another_key_is_refused(lab, tracker):
    alice = lab.user("alice", trackers=[]).start()
    impostor = lab.tracker("impostor").address().split("#")[1]
    for key in (impostor, wrong_key(tracker.address()).split("#")[1]):
        address = f"127.0.0.1:{tracker.port}#{key}"
        done = alice.chatc("register", "alice", "--no-password", "--tracker", address)
        assert done.rc == 1 and "key" in done.err.splitlines()[-1], done
    done = alice.chatc("register", "alice", "--no-password", "--tracker", tracker.address())
    assert done.rc == 0, done


def test_a_tracker_whose_key_changed_is_named_and_contacts_go_on(tracker, alice, bob):
    alice.exchange(bob)
    tracker.stop()
    shutil.rmtree(tracker.state)
    tracker.start()
    status = harness.wait_until(
        lambda: (s := alice.status()) and "key" in s["trackers"][0]["error"].lower() and s, 120,
        "alice's status speaks of the key")
    assert status["trackers"][0]["state"] != "connected"
    assert any("key" in problem.lower() for problem in status["problems"])
    alice.exchange(bob, "still here")


def test_ill_formed_tracker_addresses_are_refused(lab, tracker):
    alice = lab.user("alice", trackers=[]).start()
    good = tracker.address()
    for address in ("", "x", good.split("#")[0], good[:-1], good + "a",
                    good.replace(f":{tracker.port}", ":0"),
                    good.replace(f":{tracker.port}", ":70000"),
                    good.replace(f":{tracker.port}", ""), good.replace("#", "##")):
        done = alice.chatc("register", "alice", "--no-password", "--tracker", address)
        assert done.rc in (1, 2) and done.err, (address, done)
    assert alice.property("State") == "logged-out"


# who is there to answer

def test_logged_out_is_said_with_its_own_exit_status(newcomer):
    assert newcomer.chatc("status").rc == 4
    assert newcomer.chatc().rc == 4
    assert "register" in newcomer.chatc().out + newcomer.chatc().err
    refused(newcomer.chatc("send", "bob", "hi"), 4, "NotLoggedIn")
    for method, kinds, values in (("Send", "ssa{sv}", ("bob", "hi", {})),
                                  ("ListPeers", "a{sv}", ({},)),
                                  ("ListMessages", "sa{sv}", ("bob", {})),
                                  ("ListConversations", "a{sv}", ({},)), ("Logout", "a{sv}", ({},))):
        with pytest.raises(BusError) as error:
            newcomer.call(method, kinds, *values)
        assert error.value.name == "NotLoggedIn", method


def test_a_daemon_that_does_not_run_is_said_with_its_own_exit_status(lab):
    alice = lab.user("alice", trackers=[])
    for args in (("status",), ("send", "bob", "hi"), ()):
        done = alice.chatc(*args)
        assert done.rc == 3 and done.err.startswith("chatc: "), done
    nobus = alice.chatc("status", env={"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent/bus"})
    assert nobus.rc == 3 and "bus" in nobus.err, nobus


# configuration

# key as written, value, what must be named: the key, and of a range its ends
WRONG = [
    ("daemon", "heartbeat = { interval = 4; };", ("heartbeat.interval", "5", "3600")),
    ("daemon", "heartbeat = { interval = 3601; };", ("heartbeat.interval", "5", "3600")),
    ("daemon", 'heartbeat = { interval = "often"; };', ("heartbeat.interval",)),
    ("daemon", "heartbeat = 5;", ("heartbeat",)),
    ("daemon", "heartbeat = { interva = 30; };", ("interva",)),
    ("daemon", "no-such-key = 1;", ("no-such-key",)),
    ("daemon", 'contacts = { accept = "some"; };', ("contacts.accept", "ask", "all")),
    ("daemon", "listen = { port = 65536; };", ("listen.port", "65535")),
    ("daemon", "lan = { interval = 1; };", ("lan.interval", "2", "3600")),
    ("daemon", "lan = { enabled = 1; };", ("lan.enabled",)),
    ("daemon", 'privacy = { presence = "some"; };', ("privacy.presence", "nobody")),
    ("daemon", 'trackers = ( "no-key:7425" );', ("trackers",)),
    ("daemon", "trackers = ( 5 );", ("trackers",)),
    ("daemon", 'handover = "never";', ("handover", "auto", "ask")),
    ("daemon", 'storage = { max-size = "much"; };', ("storage.max-size",)),
    ("tracker", "mailbox = { days = 31; };", ("mailbox.days", "1", "30")),
    ("tracker", "mailbox = { days = 0; };", ("mailbox.days", "1", "30")),
    ("tracker", "limits = { handshake = -1; };", ("limits.handshake",)),
    ("tracker", "heartbeat = { intervall = 30; };", ("intervall",)),
    ("tracker", "advertise = 5;", ("advertise",)),
]


def check_complaint(done, path, line, named):
    assert done.returncode == 1, done
    assert f"{path}:{line}" in done.stderr, done.stderr
    for word in named:
        assert word in done.stderr, (word, done.stderr)


@pytest.mark.parametrize("program, text, named", WRONG, ids=[text for _, text, _ in WRONG])
def test_a_wrong_configuration_names_file_line_key_and_range(lab, program, text, named):
    path = lab.directory / "wrong.conf"
    path.write_text("# a comment\n\n" + text + "\n")
    binary = harness.P2PCHATD if program == "daemon" else harness.TRACKER
    argv = [binary, "--config", path, "--state-dir", lab.directory / "unused"]
    env = dict(lab.base_env(), DBUS_SESSION_BUS_ADDRESS="unix:path=/nonexistent/bus")
    for more in (["--check-config"], []):
        done = subprocess.run([*argv, *more], capture_output=True, text=True, timeout=DEADLINE,
                              env=env)
        check_complaint(done, path, 3, named)
    assert not (lab.directory / "unused").exists()


def test_a_file_that_is_no_configuration_names_its_line(lab):
    path = lab.directory / "wrong.conf"
    for text, line in (("lan = }\n", 1), ("lan = (\n\n;\n", 3), ("\0\0", 1)):
        path.write_text(text)
        for binary in (harness.P2PCHATD, harness.TRACKER):
            done = subprocess.run([binary, "--config", path, "--check-config"], timeout=DEADLINE,
                                  capture_output=True, text=True, env=lab.base_env())
            check_complaint(done, path, line, ())
    missing = subprocess.run([harness.P2PCHATD, "--config", "/nonexistent/x", "--check-config"],
                             capture_output=True, text=True, timeout=DEADLINE, env=lab.base_env())
    assert missing.returncode == 1 and "/nonexistent/x" in missing.stderr


EVERY_DAEMON_KEY = """
trackers = ( );
listen = { address = "::"; port = 0; advertise = ( ); };
lan = { enabled = true; port = 6004; interval = 10; interfaces = ( ); };
heartbeat = { interval = 30; away-after = 300; };
contacts = { accept = "ask"; };
privacy = { listed = true; presence = "all"; endpoints = "all"; };
receipts = { read = true; };
handover = "auto";
storage = { history-days = 0; max-size = "0"; };
rooms = { max-members = 1000; };
limits = { connections = 1000; per-address = 64; handshake = 10; };
notify = { enabled = true; show-text = true; };
node = { enabled = false; port = 7425; peers = ( ); };
"""
EVERY_TRACKER_KEY = """
listen = ( "[::]:7425" );
advertise = "";
heartbeat = { interval = 30; };
lan = { enabled = true; port = 6004; interval = 10; interfaces = ( ); };
mailbox = { enabled = true; max-items = 1000; max-bytes = "8M"; days = 30; };
ring = { peers = ( ); replicas = 3; successors = 32; certificate = ""; };
limits = { connections = 100000; per-address = 64; registrations-per-hour = 20; handshake = 10;
           relay-bytes = "0"; };
"""


def test_every_documented_key_is_accepted(lab):
    path = lab.directory / "good.conf"
    for binary, text in ((harness.P2PCHATD, EVERY_DAEMON_KEY), (harness.TRACKER,
                                                                EVERY_TRACKER_KEY)):
        path.write_text(text)
        done = subprocess.run([binary, "--config", path, "--check-config"], capture_output=True,
                              text=True, timeout=DEADLINE, env=lab.base_env())
        assert done.returncode == 0, done
    path.write_text("node = { enabled = true; };\n")
    done = subprocess.run([harness.P2PCHATD, "--config", path, "--check-config"], timeout=DEADLINE,
                          capture_output=True, text=True, env=lab.base_env())
    assert done.returncode == 0 and "node" in done.stdout + done.stderr, \
        "a key whose feature is not built yet is pointed out"


def test_a_wrong_option_is_a_wrong_command_line(lab):
    for binary in (harness.P2PCHATD, harness.TRACKER):
        for args in (["--no-such-option"], ["--config"], ["surplus"]):
            done = subprocess.run([binary, *args], capture_output=True, text=True, timeout=DEADLINE,
                                  env=lab.base_env())
            assert done.returncode != 0 and done.stderr, (binary, args)
        for args in (["--help"], ["--version"]):
            done = subprocess.run([binary, *args], capture_output=True, text=True, timeout=DEADLINE,
                                  env=lab.base_env())
            assert done.returncode == 0 and done.stdout, (binary, args)


# what lies on disk

def test_a_second_daemon_on_the_same_state_says_so(lab, alice):
    second = lab.user("second")
    second.start(wait=False, args=["--config", alice.config, "--state-dir", alice.state])
    assert second.wait_exit() == 1
    assert re.search("already|another|in use|locked", second.log()), second.log()
    assert str(alice.state) in second.log()
    assert alice.running() and alice.property("State") == "online"


def test_a_second_tracker_on_the_same_state_says_so(lab, tracker):
    second = lab.tracker("second", start=False)
    second.state = tracker.state
    second.start(wait=False)
    assert second.wait_exit() == 1
    assert re.search("already|another|in use|locked", second.log()), second.log()
    assert tracker.running()


def modes_below(directory):
    yield directory, stat.S_IMODE(os.stat(directory).st_mode), True
    for folder, folders, files in os.walk(directory):
        for name in folders + files:
            path = os.path.join(folder, name)
            yield path, stat.S_IMODE(os.lstat(path).st_mode), name in folders


def test_nobody_else_can_read_what_is_kept(tracker, alice, bob):
    alice.exchange(bob)
    for directory in (alice.state, tracker.state):
        modes = list(modes_below(directory))
        assert len(modes) > 1
        for path, mode, is_folder in modes:
            assert mode == (0o700 if is_folder else 0o600), f"{path}: {mode:o}"


def test_foreign_files_in_the_state_directory_are_left_alone(lab, tracker):
    alice = lab.user("alice")
    alice.state.mkdir(mode=0o700)
    (alice.state / "notes.txt").write_text("mine")
    alice.join().restart()
    assert (alice.state / "notes.txt").read_text() == "mine"


def test_a_damaged_store_is_refused_and_kept(alice, bob):
    alice.exchange(bob)
    alice.stop()
    stores = [path for path in alice.state.rglob("*") if path.is_file() and
              path.read_bytes()[16:20] in (b"\xde\xc0\xef\xbe", b"\xbe\xef\xc0\xde")]
    assert stores
    for store in stores:
        with open(store, "r+b") as file:
            file.write(b"\xa5" * 16384)
    before = {store: store.read_bytes()[:65536] for store in stores}
    alice.start(wait=False)
    assert alice.wait_exit() == 1
    assert str(alice.state) in alice.log(), alice.log()
    assert {store: store.read_bytes()[:65536] for store in stores} == before


@pytest.mark.skipif(under.in_valgrind(), reason="valgrind needs some of its own")
def test_a_start_without_descriptors_says_why_it_fails(lab, tracker):
    alice = lab.user("alice")
    for limit in range(5, 13):
        done = subprocess.run(["prlimit", f"--nofile={limit}:{limit}", harness.P2PCHATD],
                              env=alice.env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=DEADLINE)
        assert done.returncode == os.EX_TEMPFAIL, (limit, done)
        assert "Too many open files" in done.stderr, (limit, done)


def test_sigterm_and_sigint_end_both_programs_well(lab, tracker, alice):
    for number in (harness.signal.SIGTERM, harness.signal.SIGINT):
        for process in (alice, tracker):
            process.popen.send_signal(number)
            assert process.wait_exit() == 0, process.log()
            process.start()
    alice.wait_state("online")
    newcomer = lab.user("newcomer").start()
    newcomer.popen.send_signal(harness.signal.SIGTERM)
    assert newcomer.wait_exit() == 0


def test_nobody_listens_before_there_is_an_account(lab, tracker):
    alice = lab.user("alice").start()
    assert kernel.listening_ports(alice.pid) == []
    alice.register().wait_state("online")
    port, = kernel.listening_ports(alice.pid)
    assert 61000 <= port     # which the kernel gives nobody who has not asked for it
    bob = lab.user("bob").join()
    harness.wait_until(lambda: any(place.endswith(f":{port}") for row in bob.list(
        "ListPeers", name="alice") for place in row.get("endpoints", [])), what="others know it")
    alice.kill()
    alice.start().wait_state("online")
    assert kernel.listening_ports(alice.pid) == [port]


# the tracker's address

def test_the_tracker_tells_its_address_while_it_runs(tracker):
    address = tracker.address()
    assert harness.ADDRESS.fullmatch(address)
    assert address.startswith(f"127.0.0.1:{tracker.port}#")
    harness.wait_until(lambda: address in tracker.read_notify(), what="STATUS= has the address")
    harness.wait_until(lambda: address in tracker.log(), what="the log has the address")
    assert tracker.restart().address() == address


def test_the_tracker_tells_what_it_advertises(lab):
    tracker = lab.tracker(config='advertise = "tracker.example";')
    assert tracker.address().startswith(f"tracker.example:{tracker.port}#")


def test_a_port_in_use_is_named(lab, tracker):
    second = lab.tracker("second", start=False)
    second.port = tracker.port
    second.configure("")
    second.start(wait=False)
    assert second.wait_exit() == 1
    assert str(tracker.port) in second.log()
