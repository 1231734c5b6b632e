# SPDX-License-Identifier: GPL-3.0-or-later
"""chatc watch: nothing is left out, nothing is repeated, and only what was written is acknowledged."""

import array
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time

import pytest
from gi.repository import Gio, GLib

from conftest import DEADLINE, HERE

ERROR = "org.p2pchat.Chat1.Error."
TIME = 1700000000000001
TIME_TEXT = "2023-11-14T22:13:20.000001Z"
WHEN = "2023-11-14 22:13:20 "
HOSTILE = "\x1b]0;t\x07\x1b[2J\r\x08\x7f\x9b31m\x85\u202egnp\u2066\u2069\t\u2028"


def message(cursor, **more):
    return {"event": "MessageReceived", "cursor": cursor, "time": TIME, "id": f"id-{cursor:06}",
            "from": "bob", "room": "", "text": f"text {cursor}", "account": "b" * 52, **more}


class Watching:
    """A chatc watch whose lines are read as they come, with a deadline."""

    def __init__(self, chatc, *args, **more):
        self.process = chatc.start("watch", *args, **more)
        self.rest = b""

    def line(self):
        end = time.monotonic() + DEADLINE
        while b"\n" not in self.rest:
            ready, _, _ = select.select([self.process.stdout], [], [], end - time.monotonic())
            assert ready, "no line came"
            chunk = self.process.stdout.read1(65536)
            assert chunk, f"it ended: {self.process.stderr.read()}"
            self.rest += chunk
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode()

    def ids(self, count):
        return [json.loads(self.line())["id"] for _ in range(count)]

    def end(self, signo=signal.SIGTERM):
        """Ends it; returns the exit status, and what it still wrote."""
        self.process.send_signal(signo)
        out, err = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, (self.rest + out).decode(), err.decode()


@pytest.fixture
def watch(chatc):
    running = []

    def start(*args, **more):
        running.append(Watching(chatc, *args, **more))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def wait_for(predicate, what):
    end = time.monotonic() + DEADLINE
    while not predicate():
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.01)


def happen(daemon, *events, announce=True):
    """What is kept grows by EVENTS; each is announced as the daemon announces it."""
    daemon.set(events=daemon.get().get("events", []) + list(events))
    for event in events if announce else []:
        daemon.emit("MessageReceived", event["id"], event["from"], "", event["text"],
                    {"cursor": event["cursor"]})


# Where it begins

def test_from_now_on(mock_daemon, watch):
    daemon = mock_daemon(events=[message(1), message(2)])
    running = watch("--json")
    wait_for(lambda: len(daemon.calls("ListEvents")) > 1, "its first question")
    happen(daemon, message(3), message(4))
    assert running.ids(2) == ["id-000003", "id-000004"]
    assert daemon.calls("ListEvents")[0] == ["ListEvents", [2**64 - 1, 250, {}]]
    assert running.end() == (-signal.SIGTERM, "", "")
    assert daemon.calls("AckEvents") == []


def test_since_a_cursor(mock_daemon, watch):
    daemon = mock_daemon(events=[message(n) for n in range(1, 11)], page=3)
    assert watch("--json", "--since", "0").ids(10) == [f"id-{n:06}" for n in range(1, 11)]
    assert watch("--json", "--since=7").ids(3) == ["id-000008", "id-000009", "id-000010"]
    assert daemon.calls("AckEvents") == []


def test_cursors_of_json_can_be_given_back(mock_daemon, watch):
    big = 2**53 + 1
    mock_daemon(events=[message(big), message(big + 1)])
    first = json.loads(watch("--json", "--since", "0").line())
    assert (first["cursor"], first["time"]) == (str(big), TIME_TEXT)
    assert watch("--json", "--since", first["cursor"]).ids(1) == [f"id-{big + 1:06}"]


def test_a_client_goes_on_where_it_was(mock_daemon, watch):
    daemon = mock_daemon(events=[message(n) for n in range(1, 8)], page=3)
    running = watch("--json", "--client", "bot")
    assert running.ids(7) == [f"id-{n:06}" for n in range(1, 8)]
    wait_for(lambda: daemon.get()["clients"].get("bot") == 7, "the last acknowledgement")
    assert [c[1] for c in daemon.calls("AckEvents")] == [
        ["bot", 3, {}], ["bot", 6, {}], ["bot", 7, {}]]
    running.end()
    happen(daemon, message(8), announce=False)
    again = watch("--json", "--client", "bot")
    assert again.ids(1) == ["id-000008"]
    assert all(c[1][2] == {"client": "bot"} for c in daemon.calls("ListEvents"))


@pytest.mark.parametrize("words", [
    ["word"], ["--since"], ["--since", "-1"], ["--since", "now"], ["--since", str(2**64 - 1)],
    ["--since", "1", "--client", "bot"], ["--client"], ["--all"]])
def test_wrong_command_lines(chatc, mock_daemon, words):
    daemon = mock_daemon()
    result = chatc("watch", *words)
    assert result.returncode == 2 and result.stdout == b""
    assert re.search(rb"^chatc: Usage: \S.*\n\Z", result.stderr, re.M)
    assert daemon.calls() == []


@pytest.mark.parametrize("name, status", [
    ("NotLoggedIn", 4), ("InvalidArgs", 1), ("NotSupported", 1), ("Storage", 1)])
@pytest.mark.parametrize("method", ["ListEvents", "AckEvents"])
def test_errors_of_the_daemon_end_it(chatc, mock_daemon, name, status, method):
    mock_daemon(events=[message(1)], errors={method: [ERROR + name, "what \x1b was wrong"]})
    result = chatc("watch", "--client", "bot")
    assert result.returncode == status
    assert result.stderr.decode() == f"chatc: {name}: what \\u001b was wrong\n"


def test_who_cannot_be_reached(chatc, private_bus):
    assert b"NotInstalled" in chatc("watch").stderr
    private_bus.install("/bin/false")
    result = chatc("watch", "--since", "0")
    assert result.returncode == 3 and b"chatc: StartFailed: " in result.stderr


def test_it_starts_the_daemon(private_bus, watch):
    program = private_bus.dir / "start"
    program.write_text(f"#!/bin/sh\necho '{{}}' | exec {sys.executable} {HERE}/mock_daemon.py\n")
    program.chmod(0o755)
    private_bus.install(program)
    running = watch("--json")
    # Whoever owns the name now was started for it.
    connection = private_bus.connection()
    name = GLib.Variant("(s)", ("org.p2pchat.Chat1",))
    wait_for(lambda: connection.call_sync(
        "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner",
        name, None, Gio.DBusCallFlags.NONE, -1, None).unpack()[0], "the start of the daemon")
    assert running.process.poll() is None


# What it survives

def test_signals_are_hints_only(mock_daemon, watch):
    daemon = mock_daemon(events=[])
    running = watch("--json", "--since", "0")
    wait_for(lambda: daemon.calls("ListEvents"), "its first question")
    # Three happen, one is announced; then one that is announced twice and once too late.
    happen(daemon, message(1), message(2), announce=False)
    happen(daemon, message(3))
    assert running.ids(3) == ["id-000001", "id-000002", "id-000003"]
    happen(daemon, message(4))
    daemon.emit("MessageReceived", "id-000004", "bob", "", "text 4", {"cursor": 4})
    daemon.emit("MessageReceived", "id-000001", "bob", "", "text 1", {"cursor": 1})
    happen(daemon, message(5))
    assert running.ids(2) == ["id-000004", "id-000005"]
    assert running.end()[1] == ""


def test_a_daemon_that_comes_back(mock_daemon, watch):
    events = [message(n) for n in range(1, 10)]
    daemon = mock_daemon(events=events[:3])
    running = watch("--json", "--client", "bot")
    assert running.ids(3) == ["id-000001", "id-000002", "id-000003"]
    wait_for(lambda: daemon.get().get("clients", {}).get("bot") == 3, "the acknowledgement")
    for n in (5, 7, 9):
        daemon.kill()
        # What happened meanwhile is announced to nobody.
        daemon = mock_daemon(events=events[:n], clients={"bot": n - 2})
        assert running.ids(2) == [f"id-{n - 1:06}", f"id-{n:06}"]
        wait_for(lambda: daemon.get()["clients"]["bot"] == n, "the acknowledgement")
    happen(daemon, message(10))
    assert running.ids(1) == ["id-000010"]
    status, rest, err = running.end()
    assert rest == "" and err == "chatc: p2pchatd stopped; waiting until it is back\n" * 3


@pytest.mark.parametrize("method", ["ListEvents", "AckEvents"])
def test_a_daemon_that_dies_of_a_question(mock_daemon, watch, method):
    daemon = mock_daemon(events=[message(1)])
    running = watch("--json", "--client", "bot", "--quiet")
    assert running.ids(1) == ["id-000001"]
    wait_for(lambda: daemon.get().get("clients"), "the acknowledgement")
    daemon.set(events=[message(1), message(2)], exit=method)
    with contextlib.suppress(GLib.Error):       # it may be gone with its answer
        daemon.emit("PeerChanged", "bob", "away", {"cursor": 2})
    daemon.process.wait(DEADLINE)
    daemon = mock_daemon(events=[message(1), message(2)], clients={"bot": 1})
    assert running.ids(1) == ["id-000002"]
    wait_for(lambda: daemon.get()["clients"]["bot"] == 2, "the acknowledgement")
    assert running.end() == (-signal.SIGTERM, "", "")


def test_it_does_not_start_a_daemon_that_was_stopped(mock_daemon, private_bus, watch):
    daemon = mock_daemon(events=[])
    running = watch("--json", "--since", "0")
    wait_for(lambda: daemon.calls("ListEvents"), "its first question")
    mark = private_bus.dir / "started"
    private_bus.install(f"/bin/touch {mark}")
    daemon.kill()
    assert running.process.stderr.readline()
    daemon = mock_daemon(events=[message(1)])
    assert running.ids(1) == ["id-000001"]
    assert not mark.exists()


def test_a_flood(mock_daemon, watch):
    """More signals than are handled in a row, and more events than are in a page."""
    daemon = mock_daemon(events=[])
    running = watch("--json", "--client", "bot")
    wait_for(lambda: daemon.calls("ListEvents"), "its first question")
    for n in range(1, 1501, 50):
        happen(daemon, *[message(k) for k in range(n, n + 50)])
    assert running.ids(1500) == [f"id-{n:06}" for n in range(1, 1501)]
    wait_for(lambda: daemon.get()["clients"]["bot"] == 1500, "the last acknowledgement")
    assert running.end()[1] == ""


def test_a_daemon_whose_cursor_stands_still(chatc, mock_daemon):
    daemon = mock_daemon(events=[{**message(1), "cursor": 0}], stuck=True)
    result = chatc("watch", "--since", "0")
    assert result.returncode == 1 and result.stderr.startswith(b"chatc: BadAnswer: ")
    assert len(daemon.calls()) == 1


def test_the_bus_goes(mock_daemon, private_bus, watch):
    daemon = mock_daemon()
    running = watch()
    wait_for(lambda: daemon.calls("ListEvents"), "its first question")
    private_bus.stop()
    _, err = running.process.communicate(timeout=DEADLINE)
    assert running.process.returncode == 3
    assert err.decode().strip().split("\n")[-1].startswith("chatc: NoSessionBus: ")


# What is acknowledged

def test_what_cannot_be_written_is_not_acknowledged(chatc, mock_daemon):
    daemon = mock_daemon(events=[message(n) for n in range(1, 4)])
    with open("/dev/full", "w") as full:
        result = subprocess.run([chatc.program, "watch", "--client", "bot"], env=chatc.env,
                                stdout=full, stderr=subprocess.PIPE, timeout=DEADLINE)
    assert result.returncode == 1 and result.stderr.startswith(b"chatc: Output: ")
    assert result.stderr.count(b"\n") == 1
    assert daemon.calls("AckEvents") == []


def test_a_reader_that_goes_away_ends_it(mock_daemon, watch):
    daemon = mock_daemon(events=[message(1)])
    running = watch("--client", "bot")
    running.line()
    wait_for(lambda: daemon.calls("AckEvents"), "the acknowledgement")
    running.process.stdout.close()
    assert running.process.wait(DEADLINE) == -signal.SIGPIPE


def second_line_is_stuck(pipe):
    """Some of it is in the pipe, which holds 64 KiB; all of it does not go in."""
    size = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, size)
    return size[0] > 45000


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_in_the_middle_of_a_line(mock_daemon, watch, signo):
    """Nobody reads: what is in the pipe may be acknowledged, the line that does not fit may not."""
    events = [message(n, text=str(n) + "x" * 40000) for n in range(1, 31)]
    daemon = mock_daemon(events=events, page=1)
    running = watch("--json", "--client", "bot")

    def acks():
        return len(daemon.calls("AckEvents"))

    # A pipe holds 64 KiB: the second line stops in its middle.
    wait_for(lambda: acks() == 1 and len(daemon.calls("ListEvents")) == 2, "the first line")
    wait_for(lambda: second_line_is_stuck(running.process.stdout), "the second line")
    running.process.send_signal(signo)
    assert running.process.wait(DEADLINE) == -signo
    out = running.process.stdout.read().decode()
    whole = [json.loads(line) for line in out.split("\n")[:-1]]
    assert [w["cursor"] for w in whole] == ["1"]
    assert daemon.get()["clients"]["bot"] == 1
    assert watch("--json", "--client", "bot").ids(2) == ["id-000002", "id-000003"]


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle_of_a_page(mock_daemon, watch, signo):
    """What was written of it is acknowledged, and no more."""
    daemon = mock_daemon(events=[message(n, text=str(n) + "x" * 40000) for n in range(1, 31)])
    running = watch("--json", "--client", "bot")
    wait_for(lambda: second_line_is_stuck(running.process.stdout), "the second line")
    running.process.send_signal(signo)
    assert running.process.wait(DEADLINE) == -signo
    assert [c[1] for c in daemon.calls("AckEvents")] == [["bot", 1, {}]]
    assert running.process.stdout.read().decode().count("\n") == 1


# What is shown

def test_one_line_for_each_event(mock_daemon, watch):
    events = [
        {"event": "Gap", "lost": 12, "cursor": 12},
        message(13, text="two\nlines", sent=TIME, late=True),
        message(14, room="#room", request=True, **{"gap-before": 2}),
        {"event": "MessageStateChanged", "id": "id-1", "to": "bob", "state": "failed",
         "reason": "blocked", "account": "b" * 52},
        {"event": "PeerChanged", "name": "bob", "presence": "away", "account": "b" * 52},
        {"event": "RoomChanged", "room": "#room", "change": "joined", "name": "bob"},
        {"event": "RoomChanged", "room": "#room", "change": "topic", "name": "bob",
         "topic": "two\nlines"},
        {"event": "RequestReceived", "name": "eve", "text": "hi"},
        {"event": "PeerChanged", "name": "eve", "presence": "offline", "key-changed": True,
         "other-account": "oooo"},
        {"event": "PeerChanged", "name": "eve", "presence": "offline", "key-changed": False},
        {"event": "SessionReplaced"},
        {"event": "Unheard", "of": "it"},
    ]
    for n, event in enumerate(events):
        event.update(cursor=n + 12, time=TIME)
    mock_daemon(events=events)
    running = watch("--since", "0")
    assert [running.line() for _ in events] == [
        WHEN + "(12 events before this are no longer kept)",
        WHEN + "bob [late]: two\\nlines",
        WHEN + "bob in #room [request] (2 missing before): text 14",
        WHEN + "id-1 to bob is failed: blocked",
        WHEN + "bob is away",
        WHEN + "#room: joined bob",
        WHEN + "#room: topic bob: two\\nlines",
        WHEN + "eve wants to write to you: hi",
        WHEN + "eve: KEY CHANGED, the name belongs to @oooo now; nothing is sent by it until you "
        "decide",
        WHEN + "eve is who the name means: messages are sent by it again",
        WHEN + "the account is used on another device now; chatc login moves it back",
        WHEN + f"event Unheard  of it  cursor 23  time {WHEN.strip()}"]
    running = watch("--json", "--since", "0")
    shown = [json.loads(running.line()) for _ in events]
    assert shown == [{k: v for k, v in {**e, "cursor": str(e["cursor"]), "time": TIME_TEXT,
                                        **({"sent": TIME_TEXT} if "sent" in e else {})}.items()
                      if v != ""} for e in events]


def test_what_is_not_kept_is_shown_as_it_comes(mock_daemon, watch):
    daemon = mock_daemon(events=[message(1)])
    text, js = watch("--since", "0"), watch("--since", "0", "--json")
    text.line(), js.line()
    daemon.emit("TypingChanged", "bob", True, {"account": "b" * 52})
    daemon.emit("TypingChanged", "bob\x1b", False, {"account": "b" * 52, "room": "#a\x1b"})
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d bob is writing", text.line())
    assert text.line().endswith("bob\\u001b stopped writing in #a\\u001b")
    event = json.loads(js.line())
    assert event.pop("time").endswith("Z")
    assert event == {"event": "TypingChanged", "from": "bob", "on": True, "account": "b" * 52}


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_hostile_texts_do_not_reach_the_terminal(mock_daemon, watch, options):
    forged = HOSTILE + "\n2023-11-14 22:13:20 alice: forged"
    keys = ["id", "from", "room", "text", "to", "state", "reason", "name", "presence", "change"]
    names = ["MessageReceived", "MessageStateChanged", "PeerChanged", "RoomChanged",
             "RequestReceived", "SessionReplaced", "Gap", forged]
    mock_daemon(events=[{"event": name, "cursor": n + 1, "time": TIME, **dict.fromkeys(keys, forged)}
                        for n, name in enumerate(names)])
    running = watch("--since", "0", *options)
    for name in names:
        line = running.line()
        assert not re.search("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", line)
        assert not line.startswith("2023-11-14 22:13:20 alice: forged")
        if options:
            assert json.loads(line)["text"] == forged and json.loads(line)["event"] == name


def test_colour_on_a_terminal_only(chatc, mock_daemon, watch):
    mock_daemon(events=[message(1)])
    assert "\x1b" not in watch("--since", "0").line()
    for options, coloured in ([], True), (["--no-color"], False):
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(chatc.program, [chatc.program, "watch", "--since", "0", *options], chatc.env)
        seen = b""
        while b"\n" not in seen:
            seen += os.read(fd, 4096)
        assert (b"\x1b[" in seen) == coloured
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(fd)


def test_the_longest_text_is_one_line(mock_daemon, watch):
    mock_daemon(events=[message(1, text="\x01" * 65536), message(2)])
    running = watch("--json", "--since", "0")
    assert json.loads(running.line())["text"] == "\x01" * 65536
    assert running.ids(1) == ["id-000002"]
