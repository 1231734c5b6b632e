# SPDX-License-Identifier: GPL-3.0-or-later
"""What a message, a registration and a heartbeat cost in instructions, as callgrind counts them.

Instructions hardly depend on the machine or on what else it does, so that a change can be compared
with another day's figures. A program is some fifty times slower under callgrind; slow-clock.c slows
its clocks down as much, or every message would become a batch of its own.

The profiles stay in callgrind/ of the build directory, for callgrind_annotate.
"""
import contextlib
import os
import re
import shutil
import subprocess

import harness
from measure import SIZE, TOOLS, commits_of, few, report, run, two_users
from tracker import CONFIG, herd_of

SLOWER = 50
PROFILES = harness.BUILD / "callgrind"


def valgrind(name, *options):
    """A command to put before another; counts nothing until told."""
    PROFILES.mkdir(exist_ok=True)
    for old in PROFILES.glob(f"{name}.*"):
        old.unlink()
    return ["valgrind", "--quiet", "--tool=callgrind", *options,
            f"--callgrind-out-file={PROFILES / name}.%p"]


def slowed(env):
    return dict(env, P2PCHAT_SLOW=str(SLOWER), LD_PRELOAD=str(TOOLS / "slow-clock.so"))


def total(path):
    """Instructions in a profile."""
    return int(re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.MULTILINE).group(1))


def dump(name, process):
    """Instructions of a running program since it was last asked."""
    subprocess.run(["callgrind_control", "--dump", str(process.pid)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    dumps = PROFILES.glob(f"{name}.{process.pid}.*")
    return total(max(dumps, key=lambda path: int(path.suffix[1:])))


def restart(name, process, argv):
    """The same program, under callgrind."""
    process.stop()
    process.env = slowed(process.env)
    process.launch([*valgrind(name), *argv])


def through_the_bus():
    count, lab = few(4000, 500), harness.Lab()
    with contextlib.closing(lab):
        users = dict(zip(("sender", "recipient"), two_users(lab)))
        for name, user in users.items():
            restart(name, user, [harness.P2PCHATD])
        argv = [user.bus.address for user in users.values()] + ["bob"]
        run("flood", *argv, 500, 256, SIZE)     # links and caches are warm
        for name, user in users.items():
            dump(name, user)
        before = {name: commits_of(user) for name, user in users.items()}
        run("flood", *argv, count, 256, SIZE)
        for name, user in users.items():
            commits = commits_of(user) - before[name]
            report(f"instructions-{name}", dump(name, user) / count, "per message", count,
                   **{"messages-per-commit": count / max(commits, 1)})


def link_run(lab, count):
    """Instructions of sender and recipient in one run, set-up included. What else forks is LMDB's
    file being tried out, which is little."""
    directory = lab.directory / f"link-{count}"
    directory.mkdir()
    with subprocess.Popen([*valgrind("link"), TOOLS / "link", directory, str(count), "2048",
                           str(SIZE)], env=slowed(os.environ), stdout=subprocess.PIPE) as running:
        running.communicate()
    assert running.returncode == 0, "link has failed"
    own = PROFILES / f"link.{running.pid}"
    return total(own), max(total(path) for path in PROFILES.glob("link.*") if path != own)


def link_to_link():
    small, large, lab = few(4096, 256), few(16384, 1024), harness.Lab()
    with contextlib.closing(lab):
        runs = link_run(lab, small), link_run(lab, large)
    for name, few_, many in zip(("sender", "recipient"), *runs):
        report(f"instructions-link-{name}", (many - few_) / (large - small), "per message", large)


def at_a_tracker():
    count, lab = few(500, 50), harness.Lab()
    with contextlib.closing(lab):
        server = lab.tracker(config=CONFIG)
        restart("tracker", server, server.argv())
        with herd_of(server, "user") as herd:
            herd.step("open", 64, 64)           # whatever happens only once
            herd.step("register", 64, 64)
            dump("tracker", server)
            for name, step, numbers, unit in (
                    ("arrival", "open", (64 + count, 64), "per session"),
                    ("registration", "register", (64 + count, 64), "per name"),
                    ("heartbeat", "ping", (64 + count, 64, 20), "per heartbeat"),
                    ("end", "close", (), "for all"),
                    ("return", "open", (64 + count, 64), "per session")):
                done = herd.step(step, *numbers)
                spent = dump("tracker", server)
                if step != "close":
                    report(f"instructions-{name}", spent / done["n"], unit, done["n"])


def instructions(_lab):
    assert shutil.which("valgrind"), "valgrind is not installed; see tools/deps bench"
    through_the_bus()
    link_to_link()
    at_a_tracker()
