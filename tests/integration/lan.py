# SPDX-License-Identifier: GPL-3.0-or-later
"""People on local networks: real daemons, each on a machine of its own or several on one."""
import os
import pwd
import re
import shutil

import harness
import under
from networking import Placed

INTERVAL = 2                                    # s between beacons, the least there is
AWAY = 90                                       # s until silence is noticed: beacons get rare


class LanTracker(Placed, harness.Tracker):
    """Listens wherever its machine is plugged in."""

    def __init__(self, lab, host, address, config=""):
        self.host = host
        self.at = address
        super().__init__(lab, "tracker", config)

    def configure(self, config):
        super().configure(f"lan = {{ interval = {INTERVAL}; }};\n{config}")
        self.config.write_text(self.config.read_text().replace("127.0.0.1", self.at))


class Person(Placed, harness.User):
    """A user who listens wherever the machine is plugged in, and has no tracker unless told."""

    def __init__(self, lab, name, host, config="", trackers=(), system_user="root"):
        self.host = host
        self.uid = pwd.getpwnam(system_user).pw_uid     # the bus wants one that has groups
        self.account = None
        super().__init__(lab, name, config, list(trackers))
        self.program = harness.P2PCHATD
        if self.uid:
            self.give_away(lab)

    def give_away(self, lab):
        """To a user of this system who may not even be allowed to reach the program."""
        lab.directory.chmod(0o711)
        if not under.in_valgrind():
            self.program = shutil.copy(self.program, self.home)
        for directory, _, files in os.walk(self.home):
            for path in [directory, *(os.path.join(directory, name) for name in files)]:
                os.chown(path, self.uid, self.uid)
        os.chmod(self.notify_path, 0o666)

    def configure(self, config):
        for key, line in (("lan", f"lan = {{ interval = {INTERVAL}; }};"),
                          ("listen", 'listen = { address = "::"; };')):
            if not re.search(rf"^\s*{key}\s*=", config, re.MULTILINE):
                config = f"{line}\n{config}"
        super().configure(config)

    def launch(self, argv, wait=True):
        argv = [self.program, *argv[1:]]
        if self.uid:                            # who becomes another loses the signal of a parent
            argv = ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups",
                    "--pdeathsig", "KILL", *argv]
        super().launch(argv, wait)

    def register(self, name=None, **more):
        if not self.trackers:
            more.setdefault("no-tracker", True)
        super().register(name, **more)
        self.account = self.property("Account")
        return self

    def join(self, name=None):
        self.start().register(name)
        return self.wait_state("online") if self.trackers else self

    def row(self, other):
        """What is known of somebody, whatever he is called here."""
        return next((p for p in self.list("ListPeers") if p["account"] == other.account), None)

    def presence(self, other):
        """Strangers are in the list for as long as they are there."""
        row = self.row(other)
        return row["presence"] if row else "offline"

    def on_lan(self, other):
        row = self.row(other)
        return row is not None and row["presence"] == "online" and "lan" in row["via"]

    def wait_on_lan(self, *others, timeout=60):
        for other in others:
            harness.wait_until(lambda: self.on_lan(other),  # pylint: disable=cell-var-from-loop
                               timeout, f"{self.name} finds {other.name} on the network")
        return self

    def wait_presence(self, other, presence, timeout=60):
        harness.wait_until(lambda: self.presence(other) == presence, timeout,
                           f"{other.name} is {presence} to {self.name}")

    def wait_reaches(self, other, address):
        harness.wait_until(
            lambda: self.on_lan(other) and address in str(self.row(other)["endpoints"]),
            what=f"{self.name} finds {other.name} at {address}")

    def delivered(self, other, ids):
        rows = self.history("@" + other.account)
        return set(ids) <= {m["id"] for m in rows if m["state"] in harness.DELIVERED}

    def write(self, other, text):
        """A message that is waited for. Returns its id."""
        sent = self.send("@" + other.account, text)
        self.wait_delivered("@" + other.account, [sent])
        return sent


def presences(user, other, since):
    """What PeerChanged has told of somebody, who may have been called several names."""
    user.settle()
    names = {other.name, f"{other.name}~{other.account[:4]}"}
    return [e.args[1] for e in user.signals("PeerChanged", lambda who, *_: who in names, since)]


def wait_all_found(people, timeout=60):
    for person in people:
        person.wait_on_lan(*(other for other in people if other is not person), timeout=timeout)


def people(lab, network, count, family="both", config="", prefix=24):
    """So many at one switch, each on a machine of their own, registered. Returns the switch, the
    cables and the people."""
    switch, cables, persons = network.switch(prefix), [], []
    for n in range(1, count + 1):
        host = network.host()
        cables.append(switch.plug(host, n, family))
        persons.append(lab.add(Person(lab, f"user{n:02}", host, config)))
    for person in persons:
        person.join()
    return switch, cables, persons
