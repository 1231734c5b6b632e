# SPDX-License-Identifier: GPL-3.0-or-later
"""strace on a running process: to see its system calls, or to kill it in exactly one of them."""
import pathlib
import re
import signal
import subprocess
import typing

import harness

LINE = re.compile(r"^\d+\s+(\w+)\((\d*)(.*)\)\s+= (-?\d+|\?)(?: .*)?$")
UNFINISHED = re.compile(r"^(\d+)\s+(.*?)\s*<unfinished \.\.\.>$")
RESUMED = re.compile(r"^(\d+)\s+<\.\.\. \w+ resumed>(.*)$")


class Call(typing.NamedTuple):
    name: str
    fd: int                                     # of the first argument; -1 when it is none
    text: str                                   # all arguments; data as C strings, complete
    result: int                                 # -1 of a call that did not return


class Strace:
    """Attached as long as the with statement lasts."""

    def __init__(self, process, *arguments):
        self.process = process
        self.output = pathlib.Path(f"{process.log_path()}.strace")
        self.arguments = arguments
        self.popen = None

    def __enter__(self):
        self.popen = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "strace", "-f", "-p", str(self.process.pid), "-o",
             self.output, *self.arguments], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True)
        said = self.popen.stderr.readline()     # ended, or has the process in its hands
        if "attached" not in said:
            self.popen.wait()
            raise AssertionError(f"strace could not attach: {said}{self.popen.stderr.read()}")
        return self

    def __exit__(self, *_):
        self.popen.send_signal(signal.SIGINT)
        self.popen.communicate(timeout=harness.DEADLINE)

    def calls(self):
        """What was called, in the order in which the calls ended."""
        begun, calls = {}, []
        for line in self.output.read_text(errors="replace").splitlines():
            if match := UNFINISHED.match(line):
                begun[match[1]] = match[2]
                continue
            if match := RESUMED.match(line):
                line = f"{match[1]} {begun.pop(match[1])}{match[2]}"
            if match := LINE.match(line):
                calls.append(Call(match[1], int(match[2] or -1), match[3],
                                  -1 if match[4] == "?" else int(match[4])))
        return calls


class KillAt(Strace):
    """The process is killed when it enters this call for the number-th time from now on: the call
    itself does not happen any more. Whoever leaves the with statement finds the process dead."""

    def __init__(self, process, call, number=1):
        super().__init__(process, "-e", f"trace={call}", "-e",
                         f"inject={call}:signal=KILL:when={number}")
        self.what = f"{process.name} is killed in {call} number {number}"

    def __exit__(self, *exception):
        try:
            if exception[0] is None:
                harness.wait_until(lambda: not self.process.running(), what=self.what)
        finally:
            super().__exit__(*exception)
