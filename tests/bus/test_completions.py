# SPDX-License-Identifier: GPL-3.0-or-later
"""Completions of chatc, as real shells make words of them."""

import os
import pty
import re
import select
import shlex
import signal
import socket
import subprocess
import time

import pytest

from conftest import BUILD, DEADLINE, REPO

FILES = REPO / "cli" / "completions"
IDS = [f"01890000-0000-7000-8000-00000000000{n}" for n in range(3)]
HOSTILE = ["$(touch pwned)", "`touch pwned`", "x;touch pwned", "a b", "-rf", "--json", "~root", "*",
           "x\ntouch pwned", "\x1b[2J", "", "b" * 33, "'", '"', "a:b", "\\", "..", "é", "#", "bob$HOME",
           "bob\ttouch", ":files", "&", "(x)", "<y", "{a,b}"]
SCENARIO = {
    "peers": [{"name": n, "presence": "online $(touch pwned) \x1b[2J"}
              for n in ["bob", "bobby", "carol.x", *HOSTILE]] +
             [{"name": n, "blocked": True} for n in ["mallory", *HOSTILE]],
    "conversations": [{"with": n} for n in ["bob", "dave", "#room", *HOSTILE]],
    "outbox": [{"id": i, "to": "bob\n\x1b[2J"} for i in [*IDS, "1; touch pwned", *HOSTILE]],
    "answers": {"ListRooms": [{"room": n, "topic": "t"} for n in ["#room", "#room-2", "#a~b2c3", *HOSTILE,
                                                                  "#$(touch pwned)", "#a~b2c", "#a~b$x3", "#~abcd",
                                                                  "#" + "a" * 33 + "~abcd"]],
                "ListMembers": [{"name": n, "role": "member"} for n in ["gina", "gina~b2c3", *HOSTILE,
                                                                       "gina~b2c", "~b2c3"]],
                "ListRequests": [{"name": n, "text": "hi"} for n in ["eve", *HOSTILE]]},
}
ROOMS = ["#a~b2c3", "#room", "#room-2"]


class Terminal:
    """A shell on a terminal; `ask` types a line, inserts all candidates for its last word, and
    returns the words that the shell then makes of the line."""

    def __init__(self, argv, env, setup, insert, directory):
        self.out = directory / "words"
        self.insert = insert
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.execve(argv[0], argv, {**env, "TERM": "dumb", "OUT": str(self.out)})
        self.type(setup + """
            words() { printf '%s\\0' "$@" > "$OUT.new"; mv "$OUT.new" "$OUT"; }
            words ready
            """)
        assert self.words() == ["ready"]

    def type(self, text):
        for line in text.strip().split("\n"):
            os.write(self.fd, line.strip().encode() + b"\r")

    def words(self):
        end = time.monotonic() + DEADLINE
        while not self.out.exists():
            assert time.monotonic() < end, self.seen.decode()
            if select.select([self.fd], [], [], 0.01)[0]:
                self.seen += os.read(self.fd, 4096)
        words = self.out.read_bytes().decode().split("\0")[:-1]
        self.out.unlink()
        return words

    def ask(self, line):
        os.write(self.fd, line.encode() + self.insert + b"\x01words \r")
        words = self.words()
        assert words[0] == "chatc"
        return words[1:]

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


class Fish:
    """fish says by itself what it would offer."""

    def __init__(self, env, directory):
        self.env = env
        self.directory = directory

    def ask(self, line):
        *before, last = shlex.split(line, comments=False) if not line.endswith(" ") \
            else [*shlex.split(line), ""]
        script = f"source {FILES / 'chatc.fish'}; complete -C $argv[1]"
        done = subprocess.run(["fish", "--no-config", "-c", script, line], env=self.env, text=True,
                              capture_output=True, timeout=DEADLINE, cwd=self.directory)
        assert done.returncode == 0 and done.stderr == "", done
        offered = [row.split("\t")[0] for row in done.stdout.splitlines()]
        return [*before[1:], *(offered or ([last] if last else []))]

    def close(self):
        pass


@pytest.fixture
def env(chatc, tmp_path):
    return {**chatc.env, "PATH": f"{BUILD / 'cli'}:{os.environ['PATH']}", "HOME": str(tmp_path)}


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request, env, tmp_path):
    directory = tmp_path / "here"
    directory.mkdir()
    (directory / "file-1").touch()
    if request.param == "bash":
        one = Terminal(["/bin/bash", "--norc", "--noprofile", "-i"], env, f"""
            bind 'set enable-bracketed-paste off'
            bind '"\\C-xi": insert-completions'
            source {FILES}/chatc.bash
            """, b"\x18i", directory)
    elif request.param == "zsh":
        one = Terminal(["/bin/zsh", "-f", "-i"], env, f"""
            unset zle_bracketed_paste; bindkey -e; unsetopt beep
            fpath=({FILES} $fpath); autoload -Uz compinit; compinit -u -D
            zle -C all-matches complete-word _generic; bindkey '^Xi' all-matches
            zstyle ':completion:all-matches:*' completer _all_matches _complete
            zstyle ':completion:all-matches:*' insert true
            """, b"\x18i", directory)
    else:
        one = Fish(env, directory)
    yield one
    one.close()
    assert not list(directory.glob("*pwned*"))


def offered(shell, line, typed=0):
    """What is offered for the last word of LINE, without the words before it."""
    return sorted(shell.ask(line)[len(line.split()) - 1 - (not line.endswith(" ")):])


def check_known(ask, expected):
    """What the daemon knows is offered. It is waited for a second at most, and a busy machine may
    take longer: who is offered nothing presses the key again."""
    end = time.monotonic() + DEADLINE
    while (seen := ask()) != expected:
        assert time.monotonic() < end, seen


def test_verbs(shell):
    verbs = offered(shell, "chatc ")
    assert {"status", "send", "watch", "outbox", "cancel", "read", "doctor", "help"} <= set(verbs)
    assert not [v for v in verbs if not re.fullmatch("[a-z-]+", v)]
    assert offered(shell, "chatc se") == ["search", "send"]
    assert offered(shell, "chatc --json wat") == ["watch"]
    assert offered(shell, "chatc help hi") == ["history"]


def test_options(shell):
    assert offered(shell, "chatc --no") == ["--no-color"]
    assert offered(shell, "chatc watch --") == [
        "--client", "--help", "--json", "--no-color", "--quiet", "--since"]
    assert offered(shell, "chatc create --p") == ["--private"]
    assert offered(shell, "chatc send bob hi --wait ") == ["delivered", "read"]
    assert offered(shell, "chatc send bob hi --wait d") == ["delivered"]
    assert offered(shell, "chatc send bob hi --wait=d") == ["--wait=delivered"]
    assert offered(shell, "chatc presence ") == ["away", "busy", "online"]
    assert offered(shell, "chatc presence b") == ["busy"]
    assert offered(shell, "chatc presence busy ") == []


def test_names_come_from_the_daemon(shell, mock_daemon):
    mock_daemon(**SCENARIO)
    for line, names in (("chatc send bo", ["bob", "bobby"]), ("chatc send --id x car", ["carol.x"]),
                        ("chatc history d", ["dave"]), ("chatc read d", ["dave"]),
                        ("chatc block bobb", ["bobby"]), ("chatc unblock ", ["mallory"]),
                        ("chatc accept ", ["eve"]), ("chatc cancel ", IDS)):
        check_known(lambda asked=line: offered(shell, asked), names)


def test_names_are_words_and_nothing_else(shell, mock_daemon):
    mock_daemon(**SCENARIO)
    for line, names in (("chatc send ", [*ROOMS, "bob", "bobby", "carol.x", "mallory"]),
                        ("chatc history ", ["#room", "bob", "dave"]), ("chatc leave ", ROOMS),
                        ("chatc leave \\#room-", ["#room-2"]),
                        ("chatc kick \\#room g", ["gina", "gina~b2c3"])):
        check_known(lambda asked=line: offered(shell, asked), names)


def test_files(shell):
    assert offered(shell, "chatc register a --password-file fi") == ["file-1"]


def test_nothing_is_offered_where_nothing_is_known(shell, mock_daemon):
    daemon = mock_daemon(**SCENARIO)
    for line in ("chatc register ", "chatc watch --client ", "chatc send bob ",
                 "chatc history bob -n ", "chatc nonsense ", "chatc send -- bob "):
        assert offered(shell, line) == [], line
    assert daemon.calls() == []


# What chatc itself prints for them

def complete(chatc, *words, env=None):
    started = time.monotonic()
    done = chatc("__complete", "--", *words, env=env)
    assert done.stderr == b"" and time.monotonic() - started < DEADLINE / 2
    return [line.split("\t")[0] for line in done.stdout.decode().splitlines()]


def test_the_daemon_is_not_started(chatc, private_bus):
    mark = private_bus.dir / "started"
    private_bus.install(f"/bin/touch {mark}")
    assert complete(chatc, "send", "") == []
    assert complete(chatc, "cancel", "") == []
    assert not mark.exists()


def test_a_daemon_that_does_not_answer_is_not_waited_for(chatc, mock_daemon):
    daemon = mock_daemon(**SCENARIO)
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        assert complete(chatc, "send", "") == []
    finally:
        daemon.process.send_signal(signal.SIGCONT)


def test_a_bus_that_does_not_answer_is_not_waited_for(chatc, tmp_path):
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "mute"))
        mute.listen()
        env = {**chatc.env, "DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/mute"}
        assert complete(chatc, "send", "", env=env) == []
    assert complete(chatc, "send", "", env={"PATH": "/usr/bin:/bin"}) == []
    assert "send" in complete(chatc, "", env={"PATH": "/usr/bin:/bin"})


def test_a_daemon_that_refuses_is_passed_over(chatc, mock_daemon):
    mock_daemon(errors={m: ["org.p2pchat.Chat1.Error.NotSupported", "not yet"]
                        for m in ("ListRooms", "ListOutbox")}, peers=[{"name": "bob"}])
    check_known(lambda: complete(chatc, "send", ""), ["bob"])
    assert complete(chatc, "cancel", "") == []


def test_every_option_of_help_is_offered(chatc):
    for verb in complete(chatc, ""):
        synopsis = chatc("help", verb).stdout.decode().split("\n")[0]
        options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", synopsis))
        assert options <= set(complete(chatc, verb, "-")), verb


def test_what_it_prints_is_safe_to_show(chatc, mock_daemon):
    mock_daemon(**SCENARIO)
    for words in (["send", ""], ["cancel", ""], ["leave", ""], ["history", ""]):
        shown = chatc("__complete", "--", *words).stdout.decode()
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", shown)
        assert all(re.fullmatch("[a-z0-9#-][a-z0-9._~-]*", row.split("\t")[0]) for row in shown.splitlines())
