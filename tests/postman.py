# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who leaves mail at a tracker, or takes it (integration/postman.c)."""
import json
import subprocess

import under

POSTMAN = under.BUILD / "tests/integration/postman"


class Postman:
    """Gone with the test; called the same later, it is the same account."""

    def __init__(self, tracker, name, command="open"):
        # pylint: disable-next=consider-using-with # close() ends it
        self.popen = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", POSTMAN, str(tracker.port), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.name = name
        if command:
            assert self.ask(command)["open"]

    def start(self, *words):
        self.popen.stdin.write(" ".join(map(str, words)) + "\n")
        self.popen.stdin.flush()

    def answer(self):
        line = self.popen.stdout.readline()
        assert line, f"{self.name} has ended"
        return json.loads(line)

    def ask(self, *words):
        self.start(*words)
        return self.answer()

    def register(self):
        assert self.ask("register")["ok"] == 1
        return self

    def collect(self):
        """The numbers of the letters that are there."""
        done = self.ask("collect")
        assert not done["closed"] and not done["reason"], done
        return done["numbers"]

    def close(self):
        self.popen.kill()
        self.popen.communicate()
