# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/demo: both messages arrive, and nothing is left behind however it ends."""
import os
import pathlib
import pty
import select
import signal
import subprocess
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
DEMO = TOP / "tools/demo"
BUILD = pathlib.Path(os.environ.get("P2PCHAT_BUILD") or TOP / "build")
PATIENCE = 60


def left_behind(folder):
    """Directories in folder, and living processes that know its name."""
    found = [str(path) for path in folder.iterdir()]
    for process in pathlib.Path("/proc").iterdir():
        try:
            if process.name.isdigit() and str(folder).encode() in (process / "cmdline").read_bytes():
                found.append((process / "cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            pass                    # it has just ended
    return found


def assert_nothing_left(folder):
    end = time.monotonic() + PATIENCE
    while (found := left_behind(folder)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not found


@pytest.fixture(name="surroundings")
def surroundings_fixture(tmp_path):
    # Its own name is in no command line but those of the demo; the paths of sockets are short.
    folder = pathlib.Path("/tmp") / f"demo-test-{os.getpid()}-{tmp_path.name[-12:]}"
    folder.mkdir(mode=0o700)
    yield {**os.environ, "TMPDIR": str(folder), "P2PCHAT_BUILD": str(BUILD), "P2PCHAT_BUILT": "1"}
    folder.rmdir()


def test_both_messages_arrive(surroundings, tmp_path):
    done = subprocess.run([DEMO], env=surroundings, cwd=tmp_path, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
                          timeout=PATIENCE * 5, check=False)
    print(done.stdout)
    assert done.returncode == 0
    assert "alice$ chatc send bob hi\n" in done.stdout
    bobs_view = done.stdout.partition("bob$ chatc history alice\n")[2]
    assert "hi" in bobs_view.partition("bob$")[0]
    assert "Both messages arrived." in done.stdout
    assert not left_behind(pathlib.Path(surroundings["TMPDIR"]))


def test_a_program_that_does_not_start_is_a_failure(surroundings, tmp_path):
    (tmp_path / "daemon").mkdir()
    tracker = tmp_path / "daemon/p2pchat-tracker"
    tracker.write_text("#!/bin/sh\necho this disk is broken >&2\nexit 1\n")
    tracker.chmod(0o755)
    done = subprocess.run([DEMO], env={**surroundings, "P2PCHAT_BUILD": str(tmp_path)},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
                          timeout=PATIENCE * 5, check=False)
    assert done.returncode == 1
    assert "demo: the tracker does not start" in done.stdout
    assert "this disk is broken" in done.stdout
    assert_nothing_left(pathlib.Path(surroundings["TMPDIR"]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_nothing_behind(surroundings, number):
    with subprocess.Popen([DEMO], env=surroundings, stdout=subprocess.PIPE, encoding="utf-8",
                          stdin=subprocess.DEVNULL,
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as demo:
        for line in demo.stdout:
            if "alice$ chatc register" in line:
                break
        demo.send_signal(number)
        assert demo.wait(PATIENCE) != 0
    assert_nothing_left(pathlib.Path(surroundings["TMPDIR"]))


class Terminal:
    """The demo on a terminal of its own; closing it hangs up."""

    def __init__(self, environment):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(DEMO, ["demo"], environment)
        self.seen = ""
        self.status = None

    def wait_for(self, words):
        end = time.monotonic() + PATIENCE * 5
        while words not in self.seen:
            assert time.monotonic() < end, f"no '{words}' in: {self.seen}"
            if select.select([self.fd], [], [], 1)[0]:
                self.seen += os.read(self.fd, 4096).decode(errors="replace")
        self.seen = self.seen.partition(words)[2]

    def type(self, line):
        os.write(self.fd, line.encode())

    def wait(self):
        """The status of the demo; what it did not end by itself is killed."""
        end = time.monotonic() + PATIENCE
        while self.status is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.status = status
            elif time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.01)
        return self.status

    def close(self):
        os.close(self.fd)
        self.wait()


@pytest.fixture(name="terminal")
def terminal_fixture(surroundings):
    terminal = Terminal(surroundings)
    yield terminal
    terminal.close()
    assert_nothing_left(pathlib.Path(surroundings["TMPDIR"]))


def test_on_a_terminal_a_shell_follows(terminal, tmp_path):
    terminal.wait_for("Three things to try")
    terminal.wait_for("demo$ ")
    terminal.type("alice send bob 'and again' && alice history bob | grep -c again\n")
    terminal.wait_for("\r\n1\r\n")
    # tail can be interrupted from its first word on; shells and Python lose a Ctrl-C now and then.
    (tmp_path / "words").write_text("waiting for more\n")
    terminal.type(f"tail -f {tmp_path}/words\n")
    terminal.wait_for("waiting for more\r\n")
    terminal.type("\x03")
    terminal.wait_for("demo$ ")
    terminal.type("exit\n")
    assert terminal.wait() == 0


def test_closing_the_terminal_leaves_nothing_behind(terminal):
    terminal.wait_for("Three things to try")
