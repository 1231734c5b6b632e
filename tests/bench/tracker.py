# SPDX-License-Identifier: GPL-3.0-or-later
"""A tracker with many users: what each costs, how fast they come, register and show that they live.

The users are on the same machine, as many processes (herd.c) as it takes, so that a tracker never
has more than its share of the cores: figures in CPU time say what it could do alone.
"""
import contextlib
import json
import os
import pathlib
import resource
import statistics
import subprocess

import kernel
from measure import TOOLS, commits_of, disk_size, few, report, run, store_limit
from postman import Postman

CONFIG = """limits = { registrations-per-hour = 0; per-address = 0; };
heartbeat = { interval = 3600; };"""            # none but those that are measured
HERD = 25000                                    # users of one process, where it takes several


def tracker_of(lab):
    return lab.tracker(config=CONFIG)


def cpu_us(pid):
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1000


class Herd:
    """See herd.c; a step adds what the tracker spent on each, in µs of CPU time."""

    def __init__(self, tracker, prefix, source=1):
        self.tracker = tracker
        self.popen = subprocess.Popen(
            [TOOLS / "herd", str(tracker.port), prefix, str(source)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)

    def step(self, name, *numbers):
        before = cpu_us(self.tracker.pid)
        self.popen.stdin.write(" ".join(map(str, (name, *numbers))) + "\n")
        self.popen.stdin.flush()
        line = self.popen.stdout.readline()
        assert line, f"{name}: the herd has ended"
        done = json.loads(line)
        done["cpu-us"] = (cpu_us(self.tracker.pid) - before) / done["n"]
        return done

    def close(self):
        self.popen.kill()
        self.popen.communicate()


def herd_of(*args):
    return contextlib.closing(Herd(*args))


def tracker(lab):
    count, server = few(10000, 500), tracker_of(lab)
    handshakes = run("limits-tls", "handshakes", few(4000, 200))
    echo = run("limits-tls", "echo", few(2000, 100), 20)
    before = kernel.anonymous_memory(server.pid)
    with herd_of(server, "user") as herd:
        opened = herd.step("open", count, 64)
        herd.step("register", count, count)
        herd.step("publish", count, count)
        herd.step("watch", count, count)
        memory = kernel.anonymous_memory(server.pid) - before
        pings = herd.step("ping", count, count, 20)
        alone = herd.step("ping", 1, 1, 50)
        herd.step("close")
        returned = herd.step("open", count, 64)
    for name, done in (("arrivals", opened), ("returns", returned)):
        report(f"tracker-{name}", done["rate"], "sessions/s", count, done["p50"], done["p99"],
               limit=handshakes["rate"],
               **{"limit-is": "handshakes of bare GnuTLS, both ends here",
                  "cpu-us": done["cpu-us"]})
    report("tracker-memory", memory / count / 1024, "KiB/client", count, at_most=25,
           **{"is": "registered, online, each watching ten others"})
    report("tracker-heartbeats", pings["rate"], "1/s", pings["n"], pings["p50"], pings["p99"],
           at_least=60000, limit=echo["rate"],
           **{"limit-is": "words and their echo through bare GnuTLS and epoll",
              "cpu-us": pings["cpu-us"], "alone-p50": alone["p50"]})


def fill(server, first, count):
    server.stop()
    subprocess.run([TOOLS / "fill-directory", server.state, str(first), str(count)], check=True)
    os.sync()
    server.start()


def registrations(lab):
    count, server, present = few(2000, 200), tracker_of(lab), 0
    handshakes = run("limits-tls", "handshakes", few(4000, 200))
    names = store_limit(lab, 500, few(40, 4), "names")
    for users in few((0, 10000, 100000, 1000000), (0, 1000)):
        if users > present:
            fill(server, present + 1, users - present)
            present = users
        with herd_of(server, f"r{users}-") as herd:
            joined = herd.step("join", count, 64)
            herd.step("open", 2 * count, 64)
            single = herd.step("register", count + count // 10, 1)
            commits = commits_of(server)
            registered = herd.step("register", 2 * count, count)
            commits = commits_of(server) - commits
        present += 2 * count
        report(f"register-at-{users}", registered["rate"], "names/s", registered["n"],
               single["p50"], single["p99"], at_least=1000, limit=names["rate"] * 500,
               **{"is": "in sessions that are open; p50 and p99 are one at a time",
                  "limit-is": "the rows at 500 a commit, in an empty store",
                  "names-per-commit": registered["n"] / max(commits, 1),
                  "cpu-us": registered["cpu-us"]})
        report(f"arrive-at-{users}", joined["rate"], "users/s", count, joined["p50"],
               joined["p99"], at_least=1000, limit=handshakes["rate"],
               **{"is": "TCP, TLS, HELLO, and a name that is new",
                  "limit-is": "handshakes of bare GnuTLS, both ends here",
                  "cpu-us": joined["cpu-us"]})


def descriptors(wanted):
    """As many as there may be in a process; root may take more than it was given."""
    with contextlib.suppress(ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def connections(lab):
    goal = few(100000, 1000)
    may = descriptors(goal + 1000) - 100        # the tracker has some besides
    count, server = min(goal, may), tracker_of(lab)
    before = kernel.anonymous_memory(server.pid)
    with contextlib.ExitStack() as stack:
        steps, herds = [], []
        for first in range(0, count, HERD):
            herd = stack.enter_context(herd_of(server, f"c{first}-", 1 + first // 10000))
            mine = min(count - first, HERD)
            steps += [herd.step("open", n, 64) for n in range(mine // 5, mine + 1, mine // 5)]
            herds.append((herd, mine // 5 * 5))
        alive = sum(herd.step("ping", n, n, 1)["n"] for herd, n in herds)
        memory = kernel.anonymous_memory(server.pid) - before
    more = {} if may >= goal else {"in-the-way": f"{may + 100} descriptors for a process"}
    report("tracker-connections", alive, "sessions", count, at_least=goal,
           **{"rate-of-the-last": steps[-1]["rate"], "cpu-us-of-the-first": steps[0]["cpu-us"],
              "cpu-us-of-the-last": steps[-1]["cpu-us"],
              "KiB-each": memory / alive / 1024, **more})


LETTER = 1024                                   # bytes of what is sealed
LETTERS = 1800                                  # of one session at once, below its limit


def mailboxes(lab):
    """Each sender has a recipient, and a session of his own, which may ask 2000 times at once."""
    pairs = few(8, 1)
    server = lab.tracker(config="""limits = { registrations-per-hour = 0; };
mailbox = { max-items = 100000; max-bytes = "1G"; };""")
    with contextlib.ExitStack() as stack:
        def people(name):
            return [stack.enter_context(contextlib.closing(Postman(server, f"{name}{i}")))
                    for i in range(pairs)]

        recipients, senders = people("recipient"), people("sender")
        for one in recipients:
            one.register()
        memory, disk, commits = (kernel.anonymous_memory(server.pid), disk_size(server),
                                 commits_of(server))
        cpu = cpu_us(server.pid)
        done = [sender.ask("deposit", to.name, 1, 0, LETTERS, LETTER)
                for sender, to in zip(senders, recipients)]
        count = sum(one["ok"] for one in done)
        assert count == pairs * LETTERS
        report("mail-deposits", statistics.median(one["rate"] for one in done), "1/s", count,
               done[0]["p50"], done[0]["p99"],
               **{"is": "durable, 48 in flight in one session, with a token",
                  "cpu-us": (cpu_us(server.pid) - cpu) / count,
                  "deposits-per-commit": count / max(commits_of(server) - commits, 1)})
        report("mail-memory", (kernel.anonymous_memory(server.pid) - memory) / count, "B/item",
               count, at_most=64, **{"disk-bytes": (disk_size(server) - disk) / count,
                                     "is": f"of {LETTER} bytes that are sealed"})
        senders[0].ask("close")
        senders[0].ask("open")
        senders[0].ask("window", 1)
        alone = senders[0].ask("deposit", recipients[0].name, 2, LETTERS, few(500, 50), LETTER)
        report("mail-deposit-alone", alone["p50"], "ms", alone["ok"], alone["p50"], alone["p99"],
               **{"is": "one at a time, each with its commit"})
        cpu = cpu_us(server.pid)
        taken = [one.ask("collect") for one in recipients]
        count = sum(len(one["numbers"]) for one in taken)
        report("mail-collects", statistics.median(one["rate"] for one in taken), "items/s", count,
               **{"is": "page by page, of up to 64", "cpu-us": (cpu_us(server.pid) - cpu) / count})
        cpu = cpu_us(server.pid)
        done = [one.ask("collected", one.name, 0, LETTERS, LETTER) for one in recipients]
        report("mail-removals", statistics.median(one["rate"] for one in done), "1/s",
               pairs * LETTERS, done[0]["p50"], done[0]["p99"],
               **{"is": "durable, one item a request, 48 in flight",
                  "cpu-us": (cpu_us(server.pid) - cpu) / (pairs * LETTERS)})
