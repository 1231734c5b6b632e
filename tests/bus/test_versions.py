# SPDX-License-Identifier: GPL-3.0-or-later
"""A daemon of another version than chatc, as after an upgrade: both do what they can, and chatc says
once how to come together."""

import re

import pytest

from conftest import DEADLINE
from test_chatc import ERROR, ID, LOGGED_OUT, STATUS, failed, lines
from test_completions import check_known


@pytest.fixture
def own(chatc, tmp_path):
    """The version of chatc, which has a place to remember things in."""
    chatc.env["XDG_RUNTIME_DIR"] = str(tmp_path)
    return chatc("--version").stdout.decode().split()[1]


def notes(result):
    return [line for line in result.stderr.decode().splitlines() if "p2pchatd " in line]


def test_an_older_daemon_is_told_of_once(chatc, mock_systemd, mock_daemon, own):
    mock_systemd(unit={"ActiveState": "active"})
    daemon = mock_daemon(version="0.0.9", answers={"Status": STATUS}, peers=[])
    first = chatc("status")
    assert first.returncode == 0 and len(first.stderr.splitlines()) == 1
    note, = notes(first)
    assert note.startswith("chatc: ") and "0.0.9" in note and own in note
    assert "systemctl --user restart p2pchatd" in note
    for verb in (["status"], ["send", "bob", "hi"], ["peers"], []):
        result = chatc(*verb)
        assert (result.returncode, result.stderr) == (0, b""), verb
    daemon.kill()
    # It was restarted, but still is not the version of this chatc.
    mock_daemon(version="0.1.0", answers={"Status": STATUS})
    assert "0.1.0" in notes(chatc("status"))[0]
    assert notes(chatc("status")) == []


@pytest.mark.parametrize("unit", [None, {"LoadState": "not-found"}, {"ActiveState": "inactive"}],
                         ids=["no systemd", "no unit", "another's"])
def test_an_older_daemon_that_systemd_did_not_start(chatc, mock_systemd, mock_daemon, own, unit):
    if unit:
        mock_systemd(unit=unit)
    mock_daemon(version="0.0.9", answers={"Status": STATUS})
    note, = notes(chatc("status"))
    assert "0.0.9" in note and "the next command starts it" in note and "systemctl" not in note


def test_the_same_version_is_not_worth_a_word(chatc, mock_daemon, own, tmp_path):
    mock_daemon(version=own, answers={"Status": {**STATUS, "version": own}})
    assert chatc("status").stderr == b""
    assert f"version      {own}\n" in chatc("status").stdout.decode()
    assert not list(tmp_path.glob("p2pchat*"))


def test_a_newer_daemon(chatc, mock_daemon, own):
    mock_daemon(version="99.0", answers={"Status": STATUS})
    note, = notes(chatc("status"))
    assert "99.0" in note and own in note and "newer" in note and "restart" not in note


def test_status_shows_both(chatc, mock_daemon, own):
    mock_daemon(version="0.0.9", answers={"Status": {**STATUS, "version": "0.0.9"}})
    line = chatc("status").stdout.decode().splitlines()[0]
    assert line.split()[0] == "version" and "0.0.9" in line and own in line
    assert lines(chatc("status", "--json").stdout) == [{**STATUS, "version": "0.0.9"}]


def test_nothing_else_changes(chatc, mock_daemon, own):
    """Not the output, not the exit status, nor what the last line of an error is."""
    daemon = mock_daemon(version="0.0.9", answers={"Status": LOGGED_OUT})
    result = chatc("--json", "status")
    assert lines(result.stdout) == [
        {k: v for k, v in LOGGED_OUT.items() if k not in ("name", "account")}]
    failed(result, 4, "NotLoggedIn")
    assert len(notes(result)) == 1
    daemon.kill()
    mock_daemon(version="0.0.9", errors={"Send": [ERROR + "Blocked", "no"]})
    result = chatc("send", "bob", "hi")
    failed(result, 1, "Blocked")
    assert len(notes(result)) == 1 and result.stdout == b""


def test_who_wants_no_notes_gets_none(chatc, mock_daemon, own):
    mock_daemon(version="0.0.9", answers={"Status": STATUS}, peers=[{"name": "bob"}])
    assert chatc("--quiet", "status").stderr == b""

    def completed():
        result = chatc("__complete", "--", "send", "b")
        assert result.stderr == b""
        return result.stdout.split()

    check_known(completed, [b"bob"])
    # Neither of them counts as having said it.
    assert notes(chatc("status"))


@pytest.mark.parametrize("directory", [None, "", "relative", "/nonexistent"])
def test_where_nothing_can_be_remembered_nothing_is_said(chatc, mock_daemon, own, directory):
    del chatc.env["XDG_RUNTIME_DIR"]
    if directory is not None:
        chatc.env["XDG_RUNTIME_DIR"] = directory
    mock_daemon(version="0.0.9", answers={"Status": {**STATUS, "version": "0.0.9"}})
    result = chatc("status")
    assert (result.returncode, result.stderr) == (0, b"") and b"0.0.9" in result.stdout


def test_a_hostile_version_is_text(chatc, mock_daemon, own):
    version = "\x1b[2J\nchatc: evil\u202e" + "9" * 100000
    mock_daemon(version=version, answers={"Status": {**STATUS, "version": version[:20]}})
    result = chatc("status")
    assert result.returncode == 0 and result.stderr.count(b"\n") == 1
    assert len(result.stderr) < 300 and b"\\u001b[2J\\nchatc: evil\\u202e" in result.stderr
    assert b"\x1b" not in result.stdout + result.stderr


def test_it_is_said_while_something_is_watched(chatc, mock_systemd, mock_daemon, own):
    mock_systemd(unit={"ActiveState": "active"})
    daemon = mock_daemon(version="0.0.9", events=[])
    running = chatc.start("watch", "--json")
    try:
        assert b"systemctl --user restart p2pchatd" in running.stderr.readline()
    finally:
        running.terminate()
        running.communicate(timeout=DEADLINE)
    assert notes(chatc("send", "bob", "hi")) == []
    daemon.kill()
    mock_daemon(version="0.0.9", states=[["delivered", {}]])
    result = chatc("send", "--wait", "delivered", "bob", "hi")
    assert result.returncode == 0 and len(notes(result)) == 1


# What an older daemon does not have

WORDS = {
    "status": [], "register": ["alice", "--no-password"], "login": ["alice"], "logout": [],
    "passwd": ["--password-file", __file__],  # any first line will do
    "send": ["bob", "hi"], "peers": [], "chats": [], "history": ["bob"], "outbox": [],
    "cancel": [ID], "read": [ID], "watch": ["--since", "0"], "search": ["word"], "rooms": [],
    "create": ["#a"], "join": ["#a"], "leave": ["#a"], "delete": ["#a"], "members": ["#a"],
    "topic": ["#a", "t"], "role": ["#a", "bob", "admin"], "invite": ["#a", "bob"],
    "kick": ["#a", "bob"], "requests": [], "accept": ["bob"], "add": ["bob"],
    "rename": ["bob", "b"], "remove": ["bob"], "block": ["bob"], "unblock": ["bob"],
    "delete-account": ["--yes"], "verify": ["bob"], "chat": ["bob"], "ring": [], "doctor": [], "presence": ["busy"],
}
METHODS = [
    "Register", "Login", "Logout", "Send", "ListPeers", "ListConversations", "ListMessages",
    "ListOutbox", "Cancel", "MarkRead", "Digest", "ListEvents", "AckEvents", "Search", "ListRooms",
    "CreateRoom", "JoinRoom", "LeaveRoom", "DeleteRoom", "ListMembers", "SetTopic", "SetRole",
    "Invite", "Kick", "ListRequests", "Accept", "AddContact", "RenameContact", "RemoveContact",
    "Block", "Unblock", "Verify", "Ring", "Doctor", "Status",
    "SetPresence", "DeleteAccount"]


def test_no_verb_is_forgotten(chatc):
    listed = re.findall(r"^  ([a-z]\S*) ", chatc("help").stdout.decode(), re.M)
    assert sorted(set(listed) - {"help"}) == sorted(WORDS)


@pytest.mark.parametrize("verb", WORDS)
def test_a_method_that_is_not_there(chatc, mock_daemon, verb):
    mock_daemon(lacks=METHODS + ["Version"])
    result = chatc(verb, *WORDS[verb])
    assert "another version" in failed(result, 1, "NotSupported")
    assert result.stdout == b""


@pytest.mark.parametrize("method, verb", [
    ("ListPeers", ["send", "bob", "hi"]),
    ("ListMessages", ["send", "--id", ID, "--wait", "delivered", "bob", "hi"]),
    ("ListMessages", ["chats"]),
    ("Status", ["register", "alice", "--no-password"]),
    ("AckEvents", ["history", "bob"])])
def test_a_method_that_can_be_done_without(chatc, mock_daemon, method, verb):
    mock_daemon(lacks=[method, "Version", "State"], states=[["delivered", {}]],
                conversations=[{"with": "bob"}])
    result = chatc(*verb)
    assert (result.returncode, result.stderr) == (0, b"")


def test_a_signal_that_is_not_there(chatc, mock_daemon):
    mock_daemon(lacks=["MessageStateChanged"])
    result = chatc("send", "bob", "hi", "--wait", "delivered", "--timeout", "0.2")
    failed(result, 6, "Timeout")
    assert result.stdout.decode() == ID + "\n"


@pytest.mark.parametrize("json", [[], ["--json"]])
@pytest.mark.parametrize("verb", [v for v in WORDS if v != "watch"])
def test_keys_that_are_not_there(chatc, mock_daemon, verb, json):
    """Dictionaries that are there, and empty."""
    mock_daemon(peers=[{}], conversations=[{}], messages={"bob": [{}]}, outbox=[{}],
                answers={"Doctor": [{}], "Search": [{}], "ListRooms": [{}], "ListMembers": [{}],
                         "ListRequests": [{}]})
    result = chatc(*json, verb, *WORDS[verb])
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize("json", [[], ["--json"]])
def test_events_without_keys(chatc, mock_daemon, json):
    mock_daemon(events=[{"cursor": 1}, {"cursor": 2, "event": "MessageReceived"},
                        {"cursor": 3, "event": "OfAnotherVersion"}])
    running = chatc.start(*json, "watch", "--since", "0")
    try:
        assert [bool(running.stdout.readline()) for _ in range(2)] == [True, True]
        assert running.poll() is None
    finally:
        running.terminate()
        running.communicate(timeout=DEADLINE)
