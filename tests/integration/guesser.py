# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever guesses passwords: at a tracker (guesser.c), or at home with its databases (guess.c)."""
import json
import select
import subprocess

from harness import BUILD, DEADLINE

TOOLS = BUILD / "tests/integration"


class Guesser:
    """Comes from whatever address of the loopback network he likes."""

    def __init__(self, tracker):
        self.popen = subprocess.Popen([TOOLS / "guesser", str(tracker.port)], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, *words):
        self.popen.stdin.write(" ".join(map(str, words)) + "\n")
        self.popen.stdin.flush()
        ready, _, _ = select.select([self.popen.stdout], [], [], DEADLINE)
        line = self.popen.stdout.readline() if ready else ""
        assert line, f"{words}: the guesser has ended, or the tracker does not answer"
        return json.loads(line)

    def make(self, source, name):
        """Somebody of that name, with a password that nobody knows."""
        return self.say("make", source, name)

    def try_at(self, source, *names):
        """Over one session: what was said to each, and in what time (µs)."""
        return self.say("try", source, *names)

    def close(self):
        self.popen.kill()
        self.popen.communicate()


def guess_at_home(directory, keys, name, guesses):
    done = subprocess.run([TOOLS / "guess", directory, keys or "-", name], text=True, check=True,
                          input="\n".join((*guesses, "")), stdout=subprocess.PIPE, timeout=300)
    return json.loads(done.stdout)
