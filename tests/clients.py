# SPDX-License-Identifier: GPL-3.0-or-later
"""Many clients of a tracker in one process (integration/crowd.c)."""
import pathlib
import re
import subprocess

import under

CROWD = under.BUILD / "tests/integration/crowd"


class Clients:
    """Each with all that a daemon has towards a tracker. ENTER: the words of a command that runs
    them elsewhere."""

    def __init__(self, log, address, count, enter=()):
        self.log = pathlib.Path(log)
        with open(self.log, "wb") as output:
            # pylint: disable-next=consider-using-with # close() ends it
            self.popen = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *enter, CROWD, "clients", address, str(count)],
                stdout=output, stderr=output)

    def events(self):
        """(seconds, number, what) of each, in order."""
        assert self.popen.poll() is None, self.log.read_text()
        found = (re.match(r"(\d+\.\d+) (\d+) (\w+)", line)
                 for line in self.log.read_text().splitlines())
        return [(float(m.group(1)), int(m.group(2)), m.group(3)) for m in found if m]

    def count(self, what, since=0):
        return len({number for when, number, said in self.events()
                    if said == what and when >= since})

    def close(self):
        self.popen.kill()
        self.popen.wait()
