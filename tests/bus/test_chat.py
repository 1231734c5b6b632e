# SPDX-License-Identifier: GPL-3.0-or-later
"""chatc chat: rooms on a terminal, and what happens where the service does not answer."""

import json
import os
import random
import re
import select
import signal
import time

import pytest

from conftest import DEADLINE
from terminal import finish, on_terminal, read_some

ERROR = "org.p2pchat.Chat1.Error."
STATUS = {"name": "alice", "account": "a" * 52, "state": "online"}
EXACT = "#den~dddd"                             # how it is called once it is known
ROOM = {"room": "#den", "room-id": "d" * 52, "topic": "bears", "members": 3, "online": 2,
        "joined": True, "role": "owner"}
MEMBERS = [{"name": "alice", "account": "a" * 52, "role": "owner", "presence": "online", "self": True},
           {"name": "bob", "account": "b" * 52, "role": "member", "presence": "offline"}]
NOISE = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")
HOSTILE = "\x1b]0;t\x07\x9b2J\u202e\r"


def message(number, **more):
    return {"id": f"01890000-0000-7000-8000-{number:012}", "from": "bob", "from-account": "b" * 52,
            "room": "#den", "room-id": "d" * 52, "text": f"text {number}", "sent": 1700000000000000,
            **more}


def event(cursor, kind="MessageReceived", **more):
    if kind == "MessageReceived":
        more = {**message(cursor), **more}
    return {"event": kind, "cursor": cursor, "time": 1700000000000000, "account": "b" * 52,
            "room": "#den", "room-id": "d" * 52, **more}


def happen(daemon, *events):
    daemon.set(events=daemon.get().get("events", []) + list(events))
    daemon.emit("PeerChanged", "somebody", "online", {"cursor": events[-1]["cursor"]})


def wait_for(predicate, what):
    end = time.monotonic() + DEADLINE
    while not predicate():
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.01)


class Terminal:
    """chatc chat on a terminal; what it shows, without colours and cursor movements."""

    def __init__(self, chatc, *args):
        self.pid, self.fd = on_terminal(chatc, "chat", *args)
        self.ended = False
        self.rest = b""

    def see(self, text):
        """Waits for this; returns what came, to its end."""
        while text.encode() not in (seen := NOISE.sub(b"", self.rest)):
            try:
                self.rest += read_some(self.fd)
            except OSError:
                pytest.fail(f"it ended: {self.end()}")
        seen, _, self.rest = seen.partition(text.encode())
        return seen.decode(errors="replace") + text

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        self.ended = True
        seen, status = finish(self.pid, self.fd)
        return NOISE.sub(b"", self.rest + seen).decode(errors="replace"), status


@pytest.fixture
def terminal(chatc):
    running = []

    def start(*args):
        running.append(Terminal(chatc, *args))
        return running[-1]

    yield start
    for one in running:
        if not one.ended:
            os.kill(one.pid, signal.SIGKILL)
            one.end()


@pytest.fixture
def den(mock_daemon):
    return mock_daemon(answers={"Status": STATUS, "ListRooms": [ROOM], "ListMembers": MEMBERS},
                       messages={"#den": [message(n) for n in range(3)]}, events=[event(1)])


# Rooms

def test_a_room(den, terminal):
    here = terminal("#den")
    seen = here.see("bears; 3 members, 2 online")
    assert [f"bob: text {n}" in seen for n in range(4)] == [True] * 3 + [False]
    assert den.calls("ListMessages")[0][1] == ["#den", {"limit": 50}]
    happen(den, event(2, text="elsewhere", room="#lair", **{"room-id": "e" * 52}),
           event(3, text="to me alone", room="", **{"room-id": ""}),
           event(4, "RoomChanged", change="joined", name="carol"),
           event(5, "RoomChanged", change="topic", name="bob", topic="honey"),
           event(6, "RoomChanged", change="kicked", name=HOSTILE),
           event(7, text="here"))
    seen = here.see("bob: here")
    assert "elsewhere" not in seen and "to me" not in seen
    assert "* carol joined" in seen and "* bob changed the topic: honey" in seen
    assert r"* \u001b]0;t\u0007\u009b2J\u202e\r was removed" in seen
    wait_for(lambda: den.calls("MarkRead"), "what was shown is read")
    den.emit("TypingChanged", "carol", True, {"account": "c" * 52, "room": "#den",
                                              "room-id": "d" * 52})
    here.see("[#den, carol is writing] ")
    den.emit("TypingChanged", "bob", True, {"account": "b" * 52})
    den.emit("TypingChanged", "bob", True, {"account": "b" * 52, "room": "#den"})
    here.see("[#den, 2 are writing] ")
    happen(den, event(8, text="bob has written"))
    here.see("[#den, carol is writing] ")
    here.type("hi all")
    here.see("hi all")
    wait_for(lambda: den.calls("SetTyping"), "others learn it")
    assert den.calls("SetTyping") == [["SetTyping", [EXACT, True, {}]]]
    here.type("\r")
    here.see("alice: hi all")
    wait_for(lambda: den.calls("Send"), "it is sent")
    assert den.calls("Send")[0][1][:2] == [EXACT, "hi all"]


def test_commands_of_a_room(den, terminal):
    here = terminal("#den")
    here.see("bears; 3 members")
    here.type("/users\r")
    here.see("* alice, owner, online")
    here.see("bob, member, offline")
    here.type("/topic\r")
    here.see("* the topic is: bears")
    here.type("/topic no more  bears\r")
    wait_for(lambda: den.calls("SetTopic"), "the topic is set")
    assert den.calls("SetTopic") == [["SetTopic", [EXACT, "no more  bears", {}]]]
    den.set(errors={"DeleteRoom": [ERROR + "NotOwner", "Only its owner may delete it."]})
    for answer in ("", "no", "/quit"):
        here.type("/delete\r")
        here.see("cannot be undone")
        here.type(f"{answer}\r" if answer else "\rno\r")
        here.see("* #den stays")
    assert den.calls("DeleteRoom") == []
    here.type("/delete\r")
    here.see("cannot be undone")
    here.type("#den\r")
    here.see("* NotOwner: Only its owner may delete it.")
    den.set(errors={})
    here.type("/delete\r")
    here.see("cannot be undone")
    here.type("den\r")
    seen, status = here.end()
    assert status == 0 and "#den is deleted" in seen
    assert den.calls("DeleteRoom")[-1] == ["DeleteRoom", [EXACT, {}]]
    assert den.calls("Send") == []


def test_only_the_owner_is_asked_whether_it_goes(den, terminal):
    den.set(answers={"Status": STATUS, "ListRooms": [{**ROOM, "role": "member"}],
                     "ListMembers": MEMBERS})
    here = terminal("#den")
    here.see("bears; 3 members")
    here.type("/delete\r")
    here.see("* NotOwner: #den is not yours, and only its owner can delete it")
    here.type("/quit\r")
    _, status = here.end()
    assert status == 0 and den.calls("DeleteRoom") == []


def test_leaving(den, terminal):
    here = terminal("#den")
    here.see("bears; 3 members")
    den.set(errors={"LeaveRoom": [ERROR + "NotAllowed", "Hand it over first."]})
    here.type("/leave\r")
    here.see("* NotAllowed: Hand it over first.")
    den.set(errors={})
    here.type("/leave\r")
    seen, status = here.end()
    assert status == 0 and "you have left #den" in seen
    assert den.calls("LeaveRoom") == [["LeaveRoom", [EXACT, {}]]] * 2


def test_no_member(den, terminal):
    den.set(answers={"Status": STATUS, "ListRooms": [{**ROOM, "joined": False}]},
            errors={"Send": [ERROR + "NotMember", "You are no member."]})
    here = terminal("#den")
    here.see("you are no member of #den; /join makes you one")
    here.type("hi\r")
    here.see("* not sent: NotMember: You are no member.")
    den.set(answers={"Status": STATUS, "ListRooms": [ROOM],
                     "ListMessages": [message(7, text="welcome")]}, errors={})
    here.type("/join\r")
    here.see("* you are in #den")
    here.see("welcome")
    assert den.calls("JoinRoom") == [["JoinRoom", [EXACT, {}]]]


def test_invited(den, terminal):
    den.set(answers={"Status": STATUS,
                     "ListRooms": [{**ROOM, "joined": False, "status": "invited"}]})
    terminal("#den").see("you are invited to #den; /join accepts")


# What goes wrong

@pytest.mark.parametrize("method, name, status", [
    ("Status", "Storage", 1), ("ListMessages", "UnknownRoom", 5), ("ListMessages", "BadName", 1),
    ("ListEvents", "Storage", 1), ("ListMessages", "NotLoggedIn", 4)])
def test_what_is_wrong_at_the_beginning(mock_daemon, chatc, terminal, method, name, status):
    mock_daemon(answers={"Status": STATUS}, errors={method: [ERROR + name, "It is wrong."]})
    result = chatc("chat", "#den", stdin=b"hi\n")
    assert (result.returncode, result.stderr) == (status, f"chatc: {name}: It is wrong.\n".encode())
    seen, rc = terminal("#den").end()
    assert rc == status and seen == f"chatc: {name}: It is wrong.\r\n"


def test_nobody_is_logged_in(mock_daemon, chatc):
    mock_daemon(answers={"Status": {"state": "logged-out"}})
    result = chatc("chat", "bob", stdin=b"hi\n")
    assert result.returncode == 4 and result.stderr.startswith(b"chatc: NotLoggedIn: ")


def test_there_is_no_service(chatc, terminal):
    result = chatc("chat", "bob", stdin=b"hi\n")
    assert result.returncode == 3 and result.stderr.startswith(b"chatc: NotInstalled: ")
    seen, status = terminal("bob").end()
    assert status == 3 and seen.startswith("chatc: NotInstalled: ")


@pytest.mark.parametrize("args", [[], ["bob", "carol"], ["--all", "bob"]])
def test_usage(chatc, args):
    result = chatc("chat", *args)
    assert result.returncode == 2 and result.stderr.startswith(b"chatc: Usage: ")


def test_who_writes_is_seen_before_his_account_is_known(mock_daemon, terminal):
    daemon = mock_daemon(answers={"Status": STATUS})
    here = terminal("bob")
    here.see("nobody of this name is known here yet")
    daemon.emit("TypingChanged", "carol", True, {"account": "c" * 52})
    daemon.emit("TypingChanged", "bob", True, {"account": "b" * 52})
    here.see("[bob is writing] ")


def test_an_answer_that_is_lost_doubles_nothing(mock_daemon, terminal):
    lost = {"Send": ["org.freedesktop.DBus.Error.NoReply", "no reply"]}
    daemon = mock_daemon(answers={"Status": STATUS}, errors=lost)
    here = terminal("bob")
    here.see("nobody of this name is known here yet")
    here.type("one\rtwo\r")
    here.see("alice: two")
    wait_for(lambda: daemon.calls("Send"), "it is asked for once")
    daemon.set(errors={})
    wait_for(lambda: len(daemon.calls("Send")) >= 3, "both were sent")
    calls = [(args[1], args[2]["id"]) for _, args in daemon.calls("Send")]
    assert [text for text, _ in calls] == ["one"] * (len(calls) - 1) + ["two"]
    assert len(set(calls)) == 2 and len({name for _, name in calls}) == 2


def test_the_service_goes_and_comes(mock_daemon, private_bus, terminal):
    first = mock_daemon(answers={"Status": STATUS})
    here = terminal("bob")
    here.see("nobody of this name is known here yet")
    first.kill()
    here.see("[bob, p2pchatd stopped] ")
    here.type("one\r")
    here.see("alice: one")
    here.type("/users\r")
    here.see("p2pchatd does not answer")
    second = mock_daemon(answers={"Status": STATUS})
    here.see("p2pchatd is back")
    wait_for(lambda: second.calls("Send"), "it is sent")
    assert second.calls("Send")[0][1][:2] == ["bob", "one"]
    second.kill()
    here.see("[bob, p2pchatd stopped] ")
    here.type("two\rthree\r")
    here.see("alice: three")
    here.type("\x04")
    seen, status = here.end()
    assert status == 3 and "2 messages were not sent." in seen


def test_the_bus_goes(mock_daemon, private_bus, terminal):
    mock_daemon(answers={"Status": STATUS})
    here = terminal("bob")
    here.see("nobody of this name is known here yet")
    private_bus.stop()
    seen, status = here.end()
    assert status == 3 and "chatc: NoSessionBus: " in seen


KEYS = ["\x01", "\x05", "\x0b", "\x15", "\x17", "\x19", "\x1by", "\x10", "\x0e", "\x1b[A", "\x1b[B",
        "\x1b[C", "\x1b[D", "\x7f", "\x1b[3~", "\x1bb", "\x1bf", "\x1bd", "\x1bu", "\x1bt", "\x1f", "\x1b.",
        "\t", "\x1b", "\x07", "\x0c", "\x1b5", "\x1b-", "\x16", "\x11", "\x12", "\x18", "\r",
        "\x0f", "\x1b<", "\x1b>", "\x1br", "\x1d", "\x1b#", "\x1b[5~", "\x1b[6~", "\n", "hello ", "日本 ",
        "/us", "long" * 30, "\x1b[200~pasted\ntext\x1b[201~", "\x1b[O", "\x1b[I", "\x1b\r"]


@pytest.mark.parametrize("mode", ["emacs", "vi"])
def test_any_keys(mock_daemon, chatc, terminal, tmp_path, mode):
    """What is typed, in whatever order, does not end it: see the notes on readline in chat-screen.c."""
    choice = random.Random(int(os.environ.get("P2PCHAT_SEED") or 1))
    (tmp_path / "inputrc").write_text(f"set editing-mode {mode}\n")
    chatc.env["INPUTRC"] = str(tmp_path / "inputrc")
    daemon = mock_daemon(answers={"Status": STATUS}, peers=[{"name": "bob", "account": "b" * 52}])
    here = terminal("bob")
    here.see("[bob] ")
    keys = ["\x1d", "\x11", "\x1by", *(choice.choice(KEYS) for _ in range(600))]
    for key in keys:
        here.type(key)
        while select.select([here.fd], [], [], 0)[0]:
            here.rest += read_some(here.fd)
    here.type("\x1b[201~")
    happen(daemon, event(1, room="", text="still here"))
    here.see("still here")
    os.kill(here.pid, signal.SIGTERM)
    seen, status = here.end()
    assert status == -signal.SIGTERM, seen


def test_a_paste_without_an_end(den, terminal):
    here = terminal("#den")
    here.see("[#den] ")
    here.type("\x1b[200~" + "x" * 64)
    here.see("x" * 64)
    here.type("\r")
    here.see("alice: ")
    here.see("x" * 60)


def test_events_as_json(den, chatc):
    chat = chatc.start("--json", "chat", "#DEN", stdin=-1)
    try:
        chat.stdin.write(b"hi\n")
        chat.stdin.flush()
        assert "id" in json.loads(chat.stdout.readline())
        den.emit("TypingChanged", "carol", True, {"account": "c" * 52, "room": "#den"})
        happen(den, event(2, "RoomChanged", change="joined", name="carol"),
               event(3, room="", **{"room-id": ""}), event(4, text=HOSTILE))
        lines = [json.loads(chat.stdout.readline()) for _ in range(3)]
        assert [line["event"] for line in lines] == ["TypingChanged", "RoomChanged",
                                                     "MessageReceived"]
        assert lines[2]["text"] == HOSTILE and lines[2]["cursor"] == "4"
        assert not select.select([chat.stdout], [], [], 0)[0]
        assert den.calls("MarkRead") == [] and den.calls("SetTyping") == []
    finally:
        out, err = chat.communicate(timeout=DEADLINE)
    assert (chat.returncode, out, err) == (0, b"", b"")
