# SPDX-License-Identifier: GPL-3.0-or-later
"""A terminal that is a real one for the programs in it: tmux with a socket of its own, a shell in it,
and the screen as its user sees it."""
import array
import fcntl
import os
import socket
import subprocess
import termios

import harness
from harness import wait_until

WIDTH, HEIGHT = 80, 24


class Terminal(harness.Process):
    """The tmux server of one user, and the only window in it."""

    def __init__(self, lab, user, width=WIDTH, height=HEIGHT, name="tmux", **env):
        directory = user.home / name
        directory.mkdir()
        super().__init__(directory, name, dict(user.env, PS1="$ ", SHELL="/bin/sh", **env))
        self.socket = directory / "socket"
        self.launch(["tmux", "-S", self.socket, "-f", "/dev/null", "-D"], wait=False)
        wait_until(self.is_listening, what="tmux listens")
        self.tmux("set-option", "-g", "status", "off")
        self.tmux("new-session", "-d", "-x", str(width), "-y", str(height), "exec /bin/sh")
        self.see("$")
        lab.add(self)

    def is_listening(self):
        assert self.running(), self.log()
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def stop(self):
        """What is in it hears that its terminal has gone."""
        if self.running():
            self.tmux("kill-server", check=False)
            self.wait_exit()

    def tmux(self, *args, check=True):
        done = subprocess.run(["tmux", "-S", self.socket, *args], env=self.env, timeout=harness.DEADLINE,
                              capture_output=True, text=True, errors="replace")
        assert not check or done.returncode == 0, done.stderr
        return done

    # what is typed

    def type(self, text):
        self.tmux("send-keys", "-l", "--", text)

    def press(self, *keys):
        self.tmux("send-keys", *keys)

    def enter(self, text):
        self.type(text)
        self.press("Enter")

    def paste(self, text):
        """As a terminal does it for a program that can tell pasting from typing."""
        self.tmux("set-buffer", "--", text)
        self.tmux("paste-buffer", "-p", "-r")

    def wait_read(self):
        """Until the program that has the terminal has read all that was typed."""
        with open(self.tmux("display-message", "-p", "#{pane_tty}").stdout.strip(), "rb", 0,
                  opener=lambda path, flags: os.open(path, flags | os.O_NOCTTY)) as tty:
            size = array.array("i", [0])
            wait_until(lambda: fcntl.ioctl(tty, termios.FIONREAD, size) == 0 and size[0] == 0,
                       what="what was typed is read")

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def foreground(self):
        """The process that has the terminal now."""
        shell = self.tmux("display-message", "-p", "#{pane_pid}").stdout.strip()
        with open(f"/proc/{shell}/stat", encoding="utf-8") as stat:
            return int(stat.read().rpartition(")")[2].split()[5])

    # what is seen

    def rows(self):
        """Those of the window, without blanks at their ends, up to the last that shows anything."""
        text = self.tmux("capture-pane", "-p").stdout
        return [row.rstrip() for row in text.rstrip("\n").split("\n")]

    def all_rows(self):
        """With what has left the window at its top."""
        text = self.tmux("capture-pane", "-p", "-S", "-").stdout
        return [row.rstrip() for row in text.rstrip("\n").split("\n")]

    def raw(self):
        """With the colours."""
        return self.tmux("capture-pane", "-p", "-e").stdout

    def cursor(self):
        """Column and row, from 0."""
        said = self.tmux("display-message", "-p", "#{cursor_x} #{cursor_y}").stdout
        return tuple(int(number) for number in said.split())

    def see(self, text, timeout=60):
        """Waits for a row that holds this; returns it."""
        def look():
            return next((row for row in self.rows() if text in row), None)

        try:
            return wait_until(look, timeout, f"{text!r} is on the screen")
        except AssertionError as error:
            raise AssertionError(f"{error}\n" + "\n".join(self.rows())) from None

    def see_last(self, text, timeout=60):
        """Waits until the last row is this: the line that is being edited."""
        try:
            return wait_until(lambda: self.rows()[-1] == text, timeout, f"{text!r} is the last row")
        except AssertionError as error:
            raise AssertionError(f"{error}\n" + "\n".join(self.rows())) from None
