# SPDX-License-Identifier: GPL-3.0-or-later
"""A terminal for chatc, whose other end is the test."""

import os
import pty
import select

from conftest import DEADLINE


def read_some(fd):
    assert select.select([fd], [], [], DEADLINE)[0], "it waits for what it does not say"
    return os.read(fd, 4096)


def read_until(fd, text):
    seen = b""
    while text not in seen:
        seen += read_some(fd)
    return seen


def on_terminal(chatc, *args):
    """Starts chatc on a terminal of its own; returns its pid and the other end."""
    pid, fd = pty.fork()
    if pid == 0:
        try:
            os.execve(chatc.program, [chatc.program, *args], chatc.env)
        finally:
            os._exit(127)
    return pid, fd


def finish(pid, fd):
    seen = b""
    try:
        while chunk := read_some(fd):
            seen += chunk
    except OSError:
        pass
    os.close(fd)
    return seen, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
