# SPDX-License-Identifier: GPL-3.0-or-later
"""chatc against a stand-in for the daemon: what is called, what is printed, how it exits."""

import json
import os
import re
import subprocess
import time

import pytest

import documented
from conftest import DEADLINE
from terminal import finish, on_terminal

ERROR = "org.p2pchat.Chat1.Error."
ID = "01890000-0000-7000-8000-00000000000a"
TIME = 1700000000000001
TIME_TEXT = "2023-11-14T22:13:20.000001Z"

STATUS = {"version": "0.2.0", "name": "alice", "account": "a" * 52, "fingerprint": "1234 5678",
          "state": "online", "queued": 0, "links": 1, "problems": ["the clock is wrong"],
          "trackers": [{"address": "t:7425#k", "state": "down", "error": "refused"}]}
LOGGED_OUT = {"version": "0.2.0", "name": "", "account": "", "state": "logged-out", "queued": 0,
              "links": 0, "trackers": [], "problems": []}
BOB = {"name": "bob", "account": "b" * 52, "presence": "online", "via": ["lan"], "endpoints": [],
       "verified": False}
EVE = {"name": "eve", "account": "e" * 52, "presence": "offline", "last-seen": TIME, "note": ""}


def lines(data):
    return [json.loads(line) for line in data.decode().split("\n") if line]


def failed(result, status, name):
    """RESULT ended with STATUS, and its last line on stderr is in the form of the contract."""
    last = result.stderr.decode().rstrip("\n").split("\n")[-1]
    assert result.returncode == status, result
    assert re.fullmatch(rf"chatc: {name}: \S.*", last), last
    return last


def messages(count, **more):
    return [{"id": f"id-{n:06}", "from": "bob", "to": "alice", "text": f"text {n}", "kind": "text",
             "state": "read", "sent": TIME + n, **more} for n in range(count)]


# What the command line is

def test_version_and_help_need_no_bus(chatc):
    empty = {"PATH": "/usr/bin:/bin"}
    version = chatc("--version", env=empty)
    assert version.returncode == 0 and re.fullmatch(rb"chatc \d+\.\d+\.\d+\n", version.stdout)
    everything = chatc("help", env=empty)
    assert everything.returncode == 0 and everything.stdout == chatc("--help", env=empty).stdout
    for verb in ("status", "register", "send", "peers", "chats", "history", "watch", "export"):
        assert verb.encode() in everything.stdout
        one = chatc("help", verb, env=empty)
        assert one.returncode == 0 and one.stdout.startswith(b"chatc " + verb.encode())
        assert chatc(verb, "--help", env=empty).stdout == one.stdout
    failed(chatc("help", "nothing", env=empty), 2, "Usage")


@pytest.mark.parametrize("words", [
    ["nonsense"], ["--nonsense"], ["-"], ["status", "word"], ["status", "--nonsense"],
    ["register"], ["register", "a", "b"], ["register", "a", "--tracker"],
    ["register", "a", "--no-password", "--password-file", "-"],
    ["register", "a", "--no-password", "--no-tracker", "--tracker", "t:1#k"],
    ["login"], ["logout", "a"], ["send"], ["send", "bob"], ["send", "bob", "-x"],
    ["send", "bob", "hi", "--wait", "stored"], ["send", "bob", "hi", "--timeout", "1"],
    ["send", "bob", "hi", "--wait", "read", "--timeout", "soon"],
    ["peers", "bob"], ["peers", "--all=1"], ["chats", "bob"], ["history"], ["history", "a", "b"],
    ["history", "a", "-n"], ["history", "a", "-n", "0"], ["history", "a", "-n", "-1"],
    ["history", "a", "-n", "5", "--all"], ["cancel"], ["create", "#a", "--private", "--hidden"],
    ["rename", "a"], ["outbox", "bob"], ["cancel", "1", "2"], ["read"], ["doctor", "--all"], ["verify"],
    ["verify", "bob", "--confirm", "--unconfirm"],
])
def test_wrong_command_lines(chatc, mock_daemon, words):
    daemon = mock_daemon()
    result = chatc(*words)
    failed(result, 2, "Usage")
    assert result.stdout == b"" and daemon.calls() == []


def test_hostile_command_line_is_escaped(chatc):
    last = failed(chatc("\x1b[2Jevil\nchatc: x"), 2, "Usage")
    assert "\\u001b[2Jevil\\nchatc: x" in last


# Who can be reached

@pytest.mark.parametrize("address", [None, "unix:path=/nonexistent/bus", "nonsense"])
def test_no_session_bus(chatc, address):
    env = {"PATH": "/usr/bin:/bin"}
    if address:
        env["DBUS_SESSION_BUS_ADDRESS"] = address
    for verb in (["status"], ["send", "bob", "hi"], ["peers", "--watch"], ["logout"]):
        result = chatc(*verb, env=env)
        failed(result, 3, "NoSessionBus")
        assert result.stdout == b""


def test_not_installed(chatc):
    for verb in (["status"], ["send", "bob", "hi", "--wait", "read"], ["history", "bob"]):
        assert "not installed" in failed(chatc(*verb), 3, "NotInstalled")


@pytest.mark.parametrize("command", ["/nonexistent/p2pchatd", "/bin/false"])
def test_failed_to_start(chatc, private_bus, command):
    private_bus.install(command)
    last = failed(chatc("status"), 3, "StartFailed")
    assert "systemctl --user status p2pchatd" in last
    assert "journalctl --user -u p2pchatd" in last


def test_daemon_dies_before_it_answers(chatc, mock_daemon):
    mock_daemon(exit="Send")
    result = chatc("send", "bob", "hi")
    assert "journalctl" in failed(result, 3, "NoAnswer") and result.stdout == b""


def test_bus_dies(chatc, mock_daemon, private_bus):
    mock_daemon(peers=[BOB])
    running = chatc.start("peers", "--watch")
    assert running.stdout.readline()
    private_bus.stop()
    out, err = running.communicate(timeout=DEADLINE)
    assert running.returncode == 3 and err.startswith(b"chatc: NoSessionBus: ")


# Errors of the daemon

@pytest.mark.parametrize("name, status", [
    ("NotLoggedIn", 4), ("UnknownPeer", 5), ("UnknownRoom", 5), ("Timeout", 6), ("Blocked", 1),
    ("TooLong", 1), ("Storage", 1), ("NotSupported", 1), ("TrackerUnreachable", 1)])
def test_errors_have_their_exit_status(chatc, mock_daemon, name, status):
    mock_daemon(errors={"Send": [ERROR + name, "what was wrong \x1b[2J\nand what to do"]})
    result = chatc("send", "bob", "hi")
    assert "what was wrong \\u001b[2J\\nand what to do" in failed(result, status, name)
    assert result.stdout == b""


def test_foreign_errors_are_errors(chatc, mock_daemon):
    mock_daemon(errors={"Status": ["org.freedesktop.DBus.Error.LimitsExceeded", "too much"],
                        "Logout": ["org.freedesktop.DBus.Error.UnknownMethod", "no such method"]})
    failed(chatc("status"), 1, "LimitsExceeded")
    failed(chatc("logout"), 1, "NotSupported")


# status

def test_status(chatc, mock_daemon):
    daemon = mock_daemon(answers={"Status": STATUS})
    assert lines(chatc("status", "--json").stdout) == [STATUS]
    text = chatc("status")
    assert text.returncode == 0
    for part in (b"alice", b"online", b"t:7425#k", b"refused", b"the clock is wrong"):
        assert part in text.stdout
    assert b"chatc send" not in text.stdout and b"chatc send" in chatc().stdout
    daemon.set(answers={"Status": {**STATUS, "links": 0}})
    assert b"chatc peers --all" in chatc().stdout


def test_status_of_a_device_that_was_replaced(chatc, mock_daemon):
    mock_daemon(answers={"Status": {**STATUS, "state": "replaced", "queued": 3}})
    for words in ((), ("status",), ("status", "--json")):
        result = chatc(*words)
        assert failed(result, 4, "Replaced").endswith("'chatc login alice' moves it back.")
        assert b"alice" in result.stdout and b"replaced" in result.stdout
    assert b"queued       3" in chatc("status").stdout
    failed(chatc("presence"), 4, "NotLoggedIn")


@pytest.mark.parametrize("state, said", [
    ({"direction": "take", "done": 120, "total": 5000, "waiting": False},
     "from the other device, 120 of 5000 (2 %)"),
    ({"direction": "give", "done": 0, "total": 0, "waiting": False},
     "to the other device, 0 of 0"),
    ({"direction": "give", "done": 0, "total": 5000, "waiting": True},
     "waits until you let it go on: chatc accept alice"),
    ({"direction": "take", "done": 0, "total": 5000, "waiting": True},
     "waits, on the device that was used before, for chatc accept alice")])
def test_status_shows_a_hand_over(chatc, mock_daemon, state, said):
    daemon = mock_daemon(answers={"Status": {**STATUS, "hand-over": state}})
    assert f"hand-over    {said}" in chatc("status").stdout.decode().splitlines()
    assert lines(chatc("status", "--json").stdout)[0]["hand-over"] == state
    daemon.set(answers={"Status": {**STATUS, "hand-over": {}}})
    assert b"hand-over" not in chatc("status").stdout


def test_status_names_the_account_that_is_kept(chatc, mock_daemon):
    mock_daemon(answers={"Status": {**LOGGED_OUT, "kept": "alice"}})
    assert "chatc login alice" in failed(chatc("status"), 4, "NotLoggedIn")


def test_status_logged_out(chatc, mock_daemon):
    mock_daemon(answers={"Status": LOGGED_OUT})
    result = chatc("--json", "status")
    assert "chatc register NAME" in failed(result, 4, "NotLoggedIn")
    assert lines(result.stdout) == [
        {k: v for k, v in LOGGED_OUT.items() if k not in ("name", "account")}]
    failed(chatc(), 4, "NotLoggedIn")


# presence

def test_presence_shows_ones_own(chatc, mock_daemon):
    own = {"presence": "away", "note": HOSTILE, "idle": True}
    daemon = mock_daemon(answers={"Status": {**STATUS, **own}})
    assert lines(chatc("presence", "--json").stdout) == [own]
    text = chatc("presence").stdout.decode()
    assert text.startswith("away, as there is no input: ") and "\x1b" not in text
    assert b"presence     away" in chatc("status").stdout
    daemon.set(answers={"Status": {**STATUS, "presence": "busy"}})
    assert chatc("presence").stdout == b"busy\n"
    assert lines(chatc("presence", "--json").stdout) == [{"presence": "busy"}]
    daemon.set(answers={"Status": LOGGED_OUT})
    failed(chatc("presence"), 4, "NotLoggedIn")


@pytest.mark.parametrize("error, status", [("InvalidArgs", 1), ("TooLong", 1), ("NotLoggedIn", 4)])
def test_presence_that_is_refused(chatc, mock_daemon, error, status):
    mock_daemon(errors={"SetPresence": [ERROR + error, "say something else"]})
    failed(chatc("presence", "offline"), status, error)


# register, login, logout

def test_register(chatc, mock_daemon):
    daemon = mock_daemon(answers={"Status": STATUS})
    result = chatc("register", "alice", "--no-password")
    assert result.returncode == 0 and result.stderr == b""
    for part in (b"alice", b"1234 5678", b"chatc history", b"chatc watch",
                 b"systemctl --user enable p2pchatd"):
        assert part in result.stdout
    result = chatc("--json", "register", "--no-tracker", "--no-password", "alice")
    assert lines(result.stdout) == [
        {"name": "alice", "account": "a" * 52, "fingerprint": "1234 5678"}]
    chatc("register", "alice", "--no-password", "--tracker", "t:7425#k")
    assert daemon.calls("Register") == [
        ["Register", ["alice", "", {"no-password": True}]],
        ["Register", ["alice", "", {"no-password": True, "no-tracker": True}]],
        ["Register", ["alice", "", {"no-password": True, "tracker": "t:7425#k"}]]]


ON_LAN = {**STATUS, "links": 0, "no-tracker": True, "trackers": [], "problems": []}


def test_a_new_account_needs_a_password_or_a_word(chatc, mock_daemon):
    daemon = mock_daemon(answers={"Status": LOGGED_OUT})
    failed(chatc("register", "alice"), 2, "Usage")
    daemon.set(answers={"Status": ON_LAN})
    failed(chatc("register", "anna"), 2, "Usage")       # another one
    daemon.set(answers={"Status": STATUS})
    failed(chatc("register", "alice"), 2, "Usage")      # this one has a name already
    assert daemon.calls("Register") == []


def test_publishing_an_account_of_the_lan(chatc, mock_daemon):
    daemon = mock_daemon(answers={"Status": ON_LAN})
    text = chatc("register", "alice", "--no-password", "--no-tracker").stdout
    assert b"for the LAN alone" in text and b"chatc register NAME --tracker ADDRESS" in text
    assert chatc("register", "Alice", "--tracker", "t:1#k").returncode == 0
    assert daemon.calls("Register")[1:] == [
        ["Register", ["Alice", "", {"no-password": True, "tracker": "t:1#k"}]]]


def test_status_on_the_lan_alone(chatc, mock_daemon):
    mock_daemon(answers={"Status": ON_LAN})
    assert lines(chatc("status", "--json").stdout) == [ON_LAN]
    text = chatc().stdout.decode()
    assert re.search(r"^tracker +none, this account is for the LAN alone$", text, re.MULTILINE)
    assert "problem" not in text and "chatc add NAME --at" in text


def test_register_failure_says_only_that(chatc, mock_daemon):
    mock_daemon(errors={"Register": [ERROR + "NameTaken", "alice is taken; try another name"]})
    result = chatc("register", "alice", "--no-password")
    failed(result, 1, "NameTaken")
    assert result.stdout == b""


def test_logout(chatc, mock_daemon):
    daemon = mock_daemon()
    assert chatc("logout").returncode == 0
    assert daemon.calls() == [["Logout", [{}]]]


# send

@pytest.mark.parametrize("words, text", [
    (["hi"], "hi"), (["hi", "there"], "hi there"), (["  a ", "", " b"], "  a    b"), ([""], ""),
    (["--", "--all", "-", "--"], "--all - --"), (["--", "-"], "-"), (["-", "x"], "- x"),
    (["a\nb\u202e€\x1b"], "a\nb\u202e€\x1b")])
def test_send_passes_the_text_unchanged(chatc, mock_daemon, words, text):
    daemon = mock_daemon()
    result = chatc("send", "bob", *words)
    assert (result.returncode, result.stdout) == (0, ID.encode() + b"\n"), result
    assert daemon.calls("Send") == [["Send", ["bob", text, {}]]]


@pytest.mark.parametrize("data, text", [
    (b"hi\n", "hi"), (b"hi\n\n", "hi\n"), (b"hi", "hi"), (b"", ""), (b"\n", ""),
    ("  zwei\n Zeilen ä ".encode(), "  zwei\n Zeilen ä "), (b"x" * 65537, "x" * 65537)],
    ids=["one", "two newlines", "no newline", "empty", "newline", "lines", "long"])
def test_send_from_standard_input(chatc, mock_daemon, data, text):
    daemon = mock_daemon()
    assert chatc("send", "bob", "-", stdin=data).returncode == 0
    assert daemon.calls("Send")[0][1][1] == text


@pytest.mark.parametrize("data, name", [
    (b"a\0b", "InvalidArgs"), (b"a\xff", "InvalidArgs"), (b"x" * 200_000, "TooLong")],
    ids=["NUL", "UTF-8", "long"])
def test_send_refuses_what_the_bus_cannot_carry(chatc, mock_daemon, data, name):
    daemon = mock_daemon()
    failed(chatc("send", "bob", "-", stdin=data), 1, name)
    assert daemon.calls() == []


def test_send_refuses_invalid_arguments(chatc, mock_daemon):
    daemon = mock_daemon()
    failed(chatc("send", "bob", b"\xff"), 1, "InvalidArgs")
    failed(chatc("send", b"b\xc3", "hi"), 1, "InvalidArgs")
    failed(chatc("send", "bob", "hi", "--id", b"\xff"), 1, "InvalidArgs")
    assert daemon.calls("Send") == []


def test_send_with_id(chatc, mock_daemon):
    daemon = mock_daemon()
    other = "6BA7B810-9DAD-11D1-80B4-00C04FD430C8"
    result = chatc("send", "bob", "hi", "--json", "--id", other)
    assert lines(result.stdout) == [{"id": other.lower()}]
    assert daemon.calls("Send") == [["Send", ["bob", "hi", {"id": other}]]]


def test_send_notes_that_the_recipient_is_offline(chatc, mock_daemon):
    mock_daemon(peers=[BOB, EVE])
    for to in ("eve", "EVE", "@" + "e" * 52):
        result = chatc("send", to, "hi")
        assert result.returncode == 0 and b"offline" in result.stderr
    for words in (["bob", "hi"], ["#room", "hi"], ["eve", "hi", "--quiet"], ["nobody", "hi"]):
        assert chatc("send", *words).stderr == b""


@pytest.mark.parametrize("wanted, states", [
    ("delivered", ["stored", "delivered"]), ("delivered", ["read"]), ("read", ["delivered", "read"])])
def test_send_wait_sees_states_that_come_before_the_answer(chatc, mock_daemon, wanted, states):
    mock_daemon(states=[[s, {}] for s in states])
    result = chatc("send", "bob", "hi", "--wait", wanted)
    assert (result.returncode, result.stdout) == (0, ID.encode() + b"\n"), result


def test_send_wait_goes_on_until_the_state_is_there(chatc, mock_daemon):
    daemon = mock_daemon()
    running = chatc.start("send", "bob", "hi", "--wait", "read")
    assert running.stdout.readline() == ID.encode() + b"\n"
    daemon.emit("MessageStateChanged", ID[:-1] + "b", "bob", "read", {})
    daemon.emit("MessageStateChanged", ID, "bob", "stored", {})
    daemon.emit("MessageStateChanged", ID, "bob", "delivered", {})
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(0.3)
    daemon.emit("MessageStateChanged", ID, "bob", "read", {})
    assert running.wait(DEADLINE) == 0
    running.communicate()


@pytest.mark.parametrize("state, name", [("failed", "Failed"), ("expired", "Expired")])
def test_send_wait_ends_when_it_cannot_be_delivered(chatc, mock_daemon, state, name):
    mock_daemon(states=[[state, {"reason": "too many \x1b"}]])
    result = chatc("send", "bob", "hi", "--wait", "delivered")
    assert "too many \\u001b" in failed(result, 1, name)
    assert result.stdout == ID.encode() + b"\n"


def test_send_wait_times_out(chatc, mock_daemon):
    mock_daemon()
    result = chatc("send", "bob", "hi", "--wait", "delivered", "--timeout", "0.2")
    assert "stays queued" in failed(result, 6, "Timeout")
    assert result.stdout == ID.encode() + b"\n"


@pytest.mark.parametrize("position", [0, 100, 499])
def test_send_wait_of_a_repeated_id_looks_it_up(chatc, mock_daemon, position):
    mock_daemon(messages={"bob": messages(500)})
    result = chatc("send", "bob", "hi", "--wait", "read", "--id", f"id-{position:06}")
    assert result.returncode == 0, result


def test_send_wait_survives_a_restart_of_the_daemon(chatc, mock_daemon):
    daemon = mock_daemon()
    running = chatc.start("send", "bob", "hi", "--wait", "delivered")
    assert running.stdout.readline() == ID.encode() + b"\n"
    daemon.stop()
    assert b"stopped" in running.stderr.readline()
    # While it was away the receipt came: there is no signal, only the state.
    mock_daemon(messages={"bob": messages(3) + [{"id": ID, "state": "delivered"}]})
    assert running.wait(DEADLINE) == 0
    running.communicate()


# peers, chats, history

def test_peers(chatc, mock_daemon):
    daemon = mock_daemon(peers=[BOB, EVE])
    assert lines(chatc("peers", "--json").stdout) == [
        BOB, {"name": "eve", "account": "e" * 52, "presence": "offline", "last-seen": TIME_TEXT}]
    text = chatc("peers", "--all").stdout.decode().split("\n")
    assert text[0].split() == ["bob", "online", "via", "lan"]
    assert text[1].split() == ["eve", "offline", "last", "seen", "2023-11-14", "22:13:20"]
    assert [c[1] for c in daemon.calls()] == [[{}], [{"all": True}]]


def test_lists_are_read_page_by_page(chatc, mock_daemon):
    names = [f"user-{n}" for n in range(25)]
    mock_daemon(page=10, peers=[{"name": n} for n in names], outbox=messages(25),
                conversations=[{"with": n, "unread": 0} for n in names])
    assert [m["id"] for m in lines(chatc("outbox", "--json").stdout)] == [
        f"id-{n:06}" for n in range(25)]
    assert [p["name"] for p in lines(chatc("peers", "--json").stdout)] == names
    assert [p["with"] for p in lines(chatc("chats", "--json").stdout)] == names


def test_a_list_that_does_not_advance_ends(chatc, mock_daemon):
    mock_daemon(answers={"ListPeers": [BOB, {"more": True}]})
    assert chatc("peers", "--json").returncode == 0


def test_peers_watch(chatc, mock_daemon, private_bus):
    daemon = mock_daemon(peers=[BOB])
    running = chatc.start("peers", "--watch", "--json")
    assert json.loads(running.stdout.readline())["name"] == "bob"
    daemon.emit("PeerChanged", "bob", "away", {"account": "b" * 52})
    assert json.loads(running.stdout.readline()) == {
        "name": "bob", "presence": "away", "account": "b" * 52}
    daemon.emit("PeerChanged", "e\x1b[2J", "online\n", {})
    assert json.loads(running.stdout.readline())["name"] == "e\x1b[2J"
    private_bus.stop()
    assert running.wait(DEADLINE) == 3


def test_peers_watch_for_people(chatc, mock_daemon, private_bus):
    daemon = mock_daemon(peers=[{**BOB, "verified": True, "blocked": True}])
    running = chatc.start("peers", "--watch")
    assert running.stdout.readline().split() == b"bob  online  via lan  verified  blocked".split()
    daemon.emit("PeerChanged", "e\x1b[2J", "online\n", {})
    assert re.fullmatch(rb"....-..-.. ..:..:..  e\\u001b\[2J is online\\n\n",
                        running.stdout.readline())
    private_bus.stop()
    assert running.wait(DEADLINE) == 3


def test_chats(chatc, mock_daemon):
    chats = [{"with": "bob", "account": "b" * 52, "last-id": "id-000004", "last-time": TIME,
              "unread": 2}, {"with": "#room", "unread": 0}]
    mock_daemon(conversations=chats, messages={"bob": messages(5)})
    assert lines(chatc("chats", "--json").stdout) == [{**chats[0], "last-time": TIME_TEXT}, chats[1]]
    text = chatc("chats").stdout.decode().split("\n")
    assert text[0] == "bob  2 unread" and text[1].endswith("bob: text 4") and text[2] == "#room"


def test_history(chatc, mock_daemon):
    daemon = mock_daemon(messages={"bob": messages(120)})
    shown = chatc("history", "bob").stdout.decode().split("\n")[:-1]
    assert shown == [f"2023-11-14 22:13:20 bob: text {n}" for n in range(70, 120)]
    assert daemon.calls() == [["ListMessages", ["bob", {"limit": 50}]]]
    shown = lines(chatc("history", "bob", "-n", "2", "--before", "id-000010", "--json").stdout)
    assert [m["id"] for m in shown] == ["id-000008", "id-000009"]
    assert shown[0]["sent"] == "2023-11-14T22:13:20.000009Z"
    nothing = chatc("history", "nobody")
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (0, b"", b"")


@pytest.mark.parametrize("page", [7, 250, 1000])
@pytest.mark.parametrize("options, first", [(["--all"], 0), (["-n", "2100"], 400)])
def test_long_history_comes_whole_and_in_order(chatc, mock_daemon, page, options, first):
    daemon = mock_daemon(page=page, messages={"bob": messages(2500)})
    shown = lines(chatc("history", "bob", "--json", *options).stdout)
    assert [m["id"] for m in shown] == [f"id-{n:06}" for n in range(first, 2500)]
    assert all(c[1][1]["limit"] <= 1000 for c in daemon.calls())


def test_history_marks_what_is_out_of_the_ordinary(chatc, mock_daemon):
    mock_daemon(messages={"bob": [
        {"id": "1", "from": "alice", "text": "hi", "state": "failed", "reason": "blocked", "sent": TIME},
        {"id": "2", "from": "bob", "text": "hi", "sent": TIME, "late": True, "gap-before": 3},
        {"id": "3", "from": "bob", "kind": "poll", "sent": TIME}]})
    assert chatc("history", "bob").stdout.decode() == (
        "2023-11-14 22:13:20 alice [failed: blocked]: hi\n"
        "        (3 missing here)\n"
        "2023-11-14 22:13:20 bob [late]: hi\n"
        "2023-11-14 22:13:20 bob: (a message of the kind 'poll', which this version does not show)\n")


# What strangers can write

HOSTILE = "\x1b]0;t\x07\x1b[2J\r\x08\x7f\x9b31m\x85\u202egnp\u2066\u2069\t\u2028"


def test_hostile_names_and_texts_do_not_reach_the_terminal(chatc, mock_daemon):
    text = HOSTILE + "\n2023-11-14 22:13:20 alice: forged"
    mock_daemon(
        answers={"Status": {**STATUS, "name": HOSTILE, "problems": [HOSTILE]}},
        peers=[{"name": HOSTILE, "presence": HOSTILE, "note": HOSTILE, "via": [HOSTILE]}],
        conversations=[{"with": "bob", "unread": 1, "last-id": "x"}],
        messages={"bob": [{"id": "x", "from": HOSTILE, "text": text, "sent": TIME}]},
        errors={"Logout": [ERROR + "Storage", HOSTILE]})
    for words in (["status"], ["peers"], ["chats"], ["history", "bob"], ["logout"]):
        for options in ([], ["--json"]):
            result = chatc(*words, *options)
            output = (result.stdout + result.stderr).decode()
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", output)
    assert "\\u001b" in chatc("peers").stdout.decode()
    assert not re.search("^2023.*alice: forged", chatc("history", "bob").stdout.decode(), re.M)
    assert lines(chatc("history", "bob", "--json").stdout)[0]["text"] == text


def test_colour_on_a_terminal_only(chatc, mock_daemon):
    mock_daemon(messages={"bob": messages(1)})

    def shown(*options, **env):
        chatc.env.update(env)
        pid, fd = on_terminal(chatc, "history", "bob", *options)
        output, status = finish(pid, fd)
        assert status == 0
        return output

    assert b"\x1b[" in shown()
    assert b"\x1b[" not in shown("--no-color")
    assert b"\x1b[" not in shown("--json")
    assert b"\x1b[" not in chatc("history", "bob").stdout
    assert b"\x1b[" not in shown(NO_COLOR="1")


def test_output_that_cannot_be_written_is_an_error(chatc, mock_daemon):
    mock_daemon(messages={"bob": messages(1)})
    with open("/dev/full", "w") as full:
        result = subprocess.run([chatc.program, "history", "bob"], env=chatc.env, stdout=full,
                                stderr=subprocess.PIPE, timeout=DEADLINE)
    assert result.returncode == 1 and result.stderr.startswith(b"chatc: Output: ")


# outbox, cancel, read

def test_outbox(chatc, mock_daemon):
    now = int(time.time()) * 10**6
    rows = [{"id": "id-1", "from": "alice", "to": "bob", "state": "queued", "sent": TIME,
             "text": "two\nlines " + "ä" * 80},
            {"id": "id-2", "from": "alice", "to": "eve", "state": "stored", "sent": now - 185 * 10**6,
             "text": "hi"}]
    daemon = mock_daemon(outbox=rows)
    assert [m["id"] for m in lines(chatc("outbox", "--json").stdout)] == ["id-1", "id-2"]
    first, second = chatc("outbox").stdout.decode().splitlines()
    assert re.fullmatch(r"id-1  bob +\d+ d +queued +two\\nlines ä{50}…", first), first
    assert re.fullmatch(r"id-2  eve +3 min +stored +hi", second), second
    daemon.set(outbox=[{**rows[1], "state": "failed", "reason": "eve has\nblocked you"}])
    assert re.search(rb" failed: eve has\\nblocked you +hi\n", chatc("outbox").stdout)


def test_outbox_without_anything_is_quiet(chatc, mock_daemon):
    mock_daemon()
    for options in ([], ["--json"]):
        result = chatc("outbox", *options)
        assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


@pytest.mark.parametrize("verb, method, error, status", [
    ("cancel", "Cancel", "NotAllowed", 1), ("cancel", "Cancel", "InvalidArgs", 1),
    ("read", "MarkRead", "InvalidArgs", 1), ("read", "MarkRead", "NotLoggedIn", 4)])
def test_ids_that_are_refused(chatc, mock_daemon, verb, method, error, status):
    mock_daemon(errors={method: [ERROR + error, "it was delivered already"]})
    failed(chatc(verb, ID), status, error)


def test_a_conversation_is_read_up_to_its_newest_message(chatc, mock_daemon):
    daemon = mock_daemon(messages={"bob": messages(3)})
    result = chatc("read", "bob")
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    assert daemon.calls("MarkRead") == [["MarkRead", [messages(3)[-1]["id"], {}]]]
    assert chatc("read", "carol").returncode == 0       # nothing there to be read
    assert len(daemon.calls("MarkRead")) == 1


# doctor

CHECKS = [
    {"check": "bus", "state": "ok", "text": "the bus answers."},
    {"check": "store", "state": "failed", "text": "the disk is full.", "advice": "make room."},
    {"check": "mailbox", "state": "off", "text": "there is none."},
    {"check": "trackers", "state": "failed", "text": "none answers." + HOSTILE}]


def test_doctor(chatc, mock_daemon):
    daemon = mock_daemon(answers={"Doctor": CHECKS[::2]})
    result = chatc("doctor")
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.decode() == ("bus            ok       the bus answers.\n"
                                      "mailbox        off      there is none.\n")
    daemon.set(answers={"Doctor": CHECKS})
    result = chatc("doctor")
    assert failed(result, 1, "Failed") == "chatc: Failed: 2 checks failed: store, trackers."
    assert "store          failed   the disk is full.\n                        make room.\n" in \
        result.stdout.decode()
    result = chatc("doctor", "--json")
    assert result.returncode == 1 and lines(result.stdout) == CHECKS
    assert "\x1b" not in (chatc("doctor").stdout + result.stdout).decode()


def test_doctor_has_colours_on_a_terminal_only(chatc, mock_daemon):
    mock_daemon(answers={"Doctor": [*CHECKS, {"check": "disk", "state": "warning", "text": "slow."}]})
    rows, status = finish(*on_terminal(chatc, "doctor"))
    assert status == 1
    for state, colour in (("ok", "32"), ("failed", "1;31"), ("warning", "1;33")):
        assert re.search(rf"\x1b\[{colour}m{state}", rows.decode()), state
    assert b"\x1b" not in finish(*on_terminal(chatc, "--no-color", "doctor"))[0]


def test_doctor_finds_out_why_there_is_nobody_to_ask(chatc, private_bus):
    def hops(result, status, name):
        last = failed(result, status, name)
        rows = lines(result.stdout)
        assert last == f"chatc: {name}: {rows[-1]['text']}"
        return [(r["check"], r["state"]) for r in rows]

    env = {"PATH": "/usr/bin:/bin"}
    assert hops(chatc("doctor", "--json", env=env), 3, "NoSessionBus") == [("bus", "failed")]
    answers = [("bus", "ok"), ("daemon", "failed")]
    assert hops(chatc("doctor", "--json"), 3, "NotInstalled") == answers
    private_bus.install("/bin/false")
    result = chatc("doctor", "--json")
    assert hops(result, 3, "StartFailed") == answers
    assert b"journalctl --user -u p2pchatd" in result.stdout
    text = chatc("doctor").stdout.decode().splitlines()
    assert text[0].split() == ["bus", "ok", "the", "session", "bus", "answers."]
    assert text[1].split()[:2] == ["daemon", "failed"]


# Safety numbers

GROUPS = [f"{n:05}" for n in range(1, 13)]
QR = [3, 1, 0, 1, 0, 1, 0, 1, 1, 0]
QR_LINES = ["    " + line for line in (
    "███████████", "███████████", "████▄▀▄████", "████▄▄█████", "███████████", "███████████")]


def verification(**more):
    return {"Verify": {"safety-number": "".join(GROUPS), "verified": False, "qr": QR, **more}}


def test_verify_prints_what_is_to_be_read_out(chatc, mock_daemon):
    daemon = mock_daemon(answers=verification())
    out = chatc("verify", "bob").stdout.decode()
    assert [line.split() for line in out.splitlines()[:3]] == [GROUPS[:4], GROUPS[4:8], GROUPS[8:]]
    assert "bob is not verified.\n" in out and "chatc verify bob --confirm" in out
    assert not set(out) & set("█▀▄")
    assert "--confirm" not in chatc("verify", "bob", "--quiet").stdout.decode()
    assert lines(chatc("verify", "bob", "--json").stdout) == [verification()["Verify"]]
    daemon.set(answers=verification(verified=True))
    assert chatc("verify", "bob").stdout.endswith(b"\nbob is verified.\n")


@pytest.mark.parametrize("words", [[], ["--no-color"]])
def test_verify_draws_the_code_on_a_terminal(chatc, mock_daemon, words):
    mock_daemon(answers=verification())
    out, status = finish(*on_terminal(chatc, "verify", "bob", *words))
    assert status == 0
    out = out.decode().replace("\r\n", "\n")
    if not words:
        assert out.count("\x1b[97;40m") == out.count("\x1b[0m") == len(QR_LINES)
        out = out.replace("\x1b[97;40m", "").replace("\x1b[0m", "")
    assert "\n" + "\n".join(QR_LINES) + "\n" in out and "\x1b" not in out


@pytest.mark.parametrize("qr", [[], [0], [3], QR[:-1], QR + [0], [178], "text", [True], {"a": 1}])
def test_verify_draws_no_code_that_is_none(chatc, mock_daemon, qr):
    mock_daemon(answers=verification(qr=qr))
    out, status = finish(*on_terminal(chatc, "verify", "bob"))
    assert status == 0 and b"is not verified" in out
    assert not set(out.decode()) & set("█▀▄")


def test_verify_lets_nothing_through_to_the_terminal(chatc, mock_daemon):
    mock_daemon(answers={"Verify": {"safety-number": HOSTILE}})
    out, status = finish(*on_terminal(chatc, "verify", HOSTILE, "--no-color"))
    assert status == 0
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]",
                         out.decode().replace("\r\n", "\n"))


# The verbs that are one call

@pytest.mark.parametrize("words, call", [
    (["outbox"], ["ListOutbox", [{}]]),
    (["cancel", ID], ["Cancel", [ID, {}]]),
    (["read", ID], ["MarkRead", [ID, {}]]),
    (["search", "two", "words", "--with", "bob"], ["Search", ["two words", {"with": "bob"}]]),
    (["rooms"], ["ListRooms", [{}]]),
    (["rooms", "--all"], ["ListRooms", [{"all": True}]]),
    (["rooms", "two", "words"], ["ListRooms", [{"words": "two words"}]]),
    (["create", "#a", "--hidden", "--topic", "T t", "--history", "joined"],
     ["CreateRoom", ["#a", {"access": "hidden", "topic": "T t", "history": "joined"}]]),
    (["join", "#a"], ["JoinRoom", ["#a", {}]]),
    (["leave", "#a"], ["LeaveRoom", ["#a", {}]]),
    (["delete", "#a"], ["DeleteRoom", ["#a", {}]]),
    (["members", "#a"], ["ListMembers", ["#a", {}]]),
    (["topic", "#a", "new", "topic"], ["SetTopic", ["#a", "new topic", {}]]),
    (["role", "#a", "bob", "admin"], ["SetRole", ["#a", "bob", "admin", {}]]),
    (["invite", "#a", "bob"], ["Invite", ["#a", "bob", {}]]),
    (["kick", "#a", "bob"], ["Kick", ["#a", "bob", {}]]),
    (["presence", "busy"], ["SetPresence", ["busy", "", {}]]),
    (["presence", "away", "at", "lunch"], ["SetPresence", ["away", "at lunch", {}]]),
    (["presence", "online", ""], ["SetPresence", ["online", "", {}]]),
    (["requests"], ["ListRequests", [{}]]),
    (["accept", "bob"], ["Accept", ["bob", {}]]),
    (["add", "bob", "--at", "h:1#k"], ["AddContact", ["bob", {"at": "h:1#k"}]]),
    (["rename", "bob", "rob"], ["RenameContact", ["bob", "rob", {}]]),
    (["remove", "bob"], ["RemoveContact", ["bob", {}]]),
    (["block", "bob"], ["Block", ["bob", {}]]),
    (["unblock", "bob"], ["Unblock", ["bob", {}]]),
    (["verify", "bob"], ["Verify", ["bob", {}]]),
    (["verify", "bob", "--confirm"], ["Verify", ["bob", {"confirm": True}]]),
    (["verify", "bob", "--unconfirm"], ["Verify", ["bob", {"confirm": False}]]),
    (["ring", "--format", "dot"], ["Ring", [{"format": "dot"}]]),
    (["doctor"], ["Doctor", [{}]]),
])
def test_verbs_that_are_one_call(chatc, mock_daemon, words, call):
    listed = {"name": "x", "note": HOSTILE, "count": 3, "last-seen": TIME, "on": True, "at": ["y"]}
    daemon = mock_daemon(answers={m: [listed] for m in (
        "ListOutbox", "Search", "ListRooms", "ListMembers", "ListRequests", "Doctor")})
    result = chatc(*words, "--json")
    assert result.returncode == 0 and daemon.calls() == [call]
    assert lines(result.stdout) in ([], [{}], [{**listed, "last-seen": TIME_TEXT}])
    assert "\x1b" not in chatc(*words).stdout.decode()
    daemon.set(errors={call[0]: [ERROR + "NotSupported", "this version does not have it"]})
    failed(chatc(*words), 1, "NotSupported")


def test_rooms_are_lines_that_harm_nobody(chatc, mock_daemon):
    rows = [{"room": "#a", "room-id": "r" * 52, "members": 3, "online": 1, "owner": "bob",
             "access": "private", "status": "joined", "joined": True, "unread": 2,
             "topic": HOSTILE, "problem": HOSTILE}, {"room": "#b~abcd", "members": 1, "online": 0}]
    mock_daemon(answers={"ListRooms": rows})
    out = chatc("rooms").stdout.decode().splitlines()
    assert len(out) == 3 and "\x1b" not in "".join(out)
    assert out[0].startswith("#a  ")
    for part in ("3 members, 1 online", "of bob", "private", "joined", "2 unread"):
        assert part in out[0]
    assert out[2].startswith("#b~abcd ") and "1 member, 0 online" in out[2]
    assert lines(chatc("rooms", "--json").stdout) == rows


def test_members_are_lines_that_harm_nobody(chatc, mock_daemon):
    rows = [{"name": "alice", "account": "a" * 52, "role": "owner", "presence": "online",
             "self": True},
            {"name": HOSTILE, "account": "b" * 52, "role": "member", "provisional": True}]
    mock_daemon(answers={"ListMembers": rows})
    out = chatc("members", "#a").stdout.decode().splitlines()
    assert len(out) == 2 and "\x1b" not in "".join(out)
    assert out[0].split() == ["alice", "owner", "online", "you"]
    assert "member" in out[1] and "not confirmed" in out[1]
    assert lines(chatc("members", "#a", "--json").stdout) == rows


def test_a_digest_is_one_line(chatc, mock_daemon):
    daemon = mock_daemon(answers={"Digest": {"digest": "d" * 64, "messages": 1,
                                             "control-epoch": 3, "control-hash": "c" * 64}})
    line = f"{'d' * 64}  1 message  control 3 {'c' * 64}\n"
    assert chatc("history", "#a", "--digest").stdout.decode() == line
    assert daemon.calls() == [["Digest", ["#a", {}]]]
    assert lines(chatc("history", "#a", "--digest", "--json").stdout) == [
        {"digest": "d" * 64, "messages": 1, "control-epoch": 3, "control-hash": "c" * 64}]
    daemon.set(answers={"Digest": {"digest": "d" * 64, "messages": 0}})
    assert chatc("history", "bob", "--digest").stdout.decode() == "d" * 64 + "  0 messages\n"
    for more in (["--all"], ["-n", "3"], ["--before", ID]):
        failed(chatc("history", "bob", "--digest", *more), 2, "Usage")


def test_an_own_message_says_how_many_members_have_it(chatc, mock_daemon):
    mock_daemon(messages={"#a": [{"id": ID, "from": "al", "text": "hi", "sent": TIME, "room": "#a",
                                  "state": "stored", "delivered-to": 2, "members": 3}]})
    assert "al [stored by 2 of 3]: hi" in chatc("history", "#a").stdout.decode()


def test_requests_are_lines_that_harm_nobody(chatc, mock_daemon):
    rows = [{"name": "eve", "account": "e" * 52, "text": HOSTILE, "received": TIME, "messages": 2},
            {"name": "mallory~mmmm", "account": "m" * 52, "messages": 0}]
    mock_daemon(answers={"ListRequests": rows})
    out = chatc("requests").stdout.decode().splitlines()
    assert len(out) == 2 and "\x1b" not in "".join(out)
    assert out[0].startswith("eve ") and "2 messages" in out[0]
    assert out[1].startswith("mallory~mmmm ") and "0 messages" in out[1]
    assert lines(chatc("requests", "--json").stdout) == [{**rows[0], "received": TIME_TEXT}, rows[1]]


def test_a_changed_key_is_loud(chatc, mock_daemon):
    mock_daemon(peers=[{"name": "uncle", "account": "b" * 52, "presence": "offline",
                        "contact": True, "claimed-name": "bob", "key-changed": True,
                        "other-account": "o" * 52}])
    line = chatc("peers").stdout.decode()
    assert "registered as bob" in line and "KEY CHANGED" in line and "@" + "o" * 52 in line


@pytest.mark.parametrize("words", [
    ["export", "bob"],
    ["import", "--verify", "file"]])
def test_verbs_that_are_not_there_yet(chatc, words):
    failed(chatc(*words), 1, "NotSupported")


# README and the man pages

def test_documented_lines_work(mock_daemon, private_bus):
    daemon = mock_daemon()
    examples = documented.lines()
    assert {e.split()[0] for e in examples} == {"busctl", "gdbus"}
    for example in examples:
        result = subprocess.run(
            ["sh", "-c", example], capture_output=True, text=True, timeout=DEADLINE,
            env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": private_bus.address})
        assert result.returncode == 0, (example, result)
    sent = sum(bool(re.search(r"\bSend\b", e)) for e in examples)
    assert daemon.calls("Send") == [["Send", ["bob", "hi", {}]]] * sent
