# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who shouts at everybody on the local network (shouter.c)."""
import ipaddress
import json
import select
import subprocess

import under

SHOUTER = under.BUILD / "tests/integration/shouter"
MANY = ipaddress.IPv4Address("10.128.0.0")      # from here on are spoofed addresses


class Shouter:
    """On one machine of the network, and everybody's who only want the other's ear."""

    def __init__(self, host, victim):
        # pylint: disable-next=consider-using-with # close() ends it
        self.popen = subprocess.Popen(
            [*host.prefix, "setpriv", "--pdeathsig", "KILL", SHOUTER, "eth0",
             victim.mac()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self, *words):
        self.popen.stdin.write(" ".join(map(str, words)) + "\n")
        self.popen.stdin.flush()

    def answer(self):
        line = self.popen.stdout.readline()
        assert line, "the shouter has ended"
        return json.loads(line)

    def ask(self, *words):
        self.start(*words)
        return self.answer()

    def has_answered(self):
        return bool(select.select([self.popen.stdout], [], [], 0)[0])

    def close(self):
        self.popen.kill()
        self.popen.communicate()
