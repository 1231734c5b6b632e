# SPDX-License-Identifier: GPL-3.0-or-later
"""What all benchmarks share: the measuring programs, medians over rounds, and one way to report."""
import json
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import harness  # noqa: E402
import kernel  # noqa: E402

TOOLS = harness.BUILD / "tests/bench"
QUICK = bool(os.environ.get("P2PCHAT_BENCH_QUICK"))     # to see that it works, not for figures
MIB = 1 << 20
SIZE = 256                                      # bytes of a text


def few(full, quick):
    return quick if QUICK else full


ROUNDS = few(5, 1)


def run(tool, *args):
    done = subprocess.run([TOOLS / tool, *map(str, args)], stdout=subprocess.PIPE, check=True,
                          timeout=1800)
    return json.loads(done.stdout)


def medians(results):
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


def report(name, value, unit, n, p50=None, p99=None, at_most=None, at_least=None, limit=None,
           **more):
    """One line. LIMIT is what the building blocks alone did in the same run; a ratio compares with
    it. MORE says in "limit-is" what it is, and whatever else is worth knowing."""
    goal = at_most if at_least is None else at_least
    line = {"name": name, "value": value, "unit": unit, "n": n, "p50": p50, "p99": p99,
            "goal": goal, "limit": limit, "ratio": value / limit if limit else None, **more}
    if goal is not None:
        line["goal-is"] = "at most" if at_least is None else "at least"
        line["reached"] = value <= goal if at_least is None else value >= goal
    print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in line.items()
                      if v is not None or k in ("p50", "p99", "limit", "ratio", "goal")}),
          flush=True)


def summary(times):
    """Median and 99th percentile of a list, as keywords for report()."""
    times = sorted(times)
    return {"p50": statistics.median(times), "p99": times[-1 - len(times) // 100]}


def store_limit(lab, batch, commits, what="store"):
    directory = lab.directory / f"limit-{what}-{batch}-{time.monotonic_ns()}"
    directory.mkdir()
    return run("limits", what, directory, commits * batch, batch)


def bus_limit(user, count, window, answer=36):
    """Calls of a service that only answers; an id has 36 bytes."""
    return run("limits", "bus", user.bus.address, count, window, answer)


def disk_size(process):
    return sum(f.stat().st_blocks * 512 for f in process.state.rglob("*") if f.is_file())


def commits_of(process):
    """Write transactions of a store so far: the higher number in LMDB's two meta pages."""
    total = 0
    for path in process.state.rglob("*"):
        if not path.is_file() or path.stat().st_size < 8192:
            continue
        with open(path, "rb") as file:
            pages = [file.read(4096), file.read(4096)]
        if struct.unpack_from("=I", pages[0], 16)[0] == 0xBEEFC0DE:
            total += max(struct.unpack_from("=Q", page, 144)[0] for page in pages)
    return total


def two_users(lab):
    """Alice and bob, who know each other, on buses with no client but the one that measures."""
    lab.tracker()
    alice, bob = lab.users("alice", "bob")
    alice.exchange(bob)
    for user in (alice, bob):                   # else each signal is also brought to this process
        user.connection.close_sync(None)
    return alice, bob


def start_times(user, rounds):
    """ms from exec to READY=1, of one start after the other."""
    took = []
    for _ in range(rounds):
        user.stop()
        start = time.monotonic()
        user.launch([harness.P2PCHATD], wait=False)
        user.notify.settimeout(60)              # the loop of the harness looks every 20 ms only
        while "READY=1" not in user.said:
            user.said += user.notify.recv(4096).decode()
        took.append((time.monotonic() - start) * 1000)
        user.notify.setblocking(False)
    return took


def report_start(name, user, rounds=10):
    took = start_times(user, rounds)
    times = summary(took)
    report(name, times["p50"], "ms", len(took), **times, at_most=50,
           **{"least": min(took), "memory-MiB": kernel.anonymous_memory(user.pid) / MIB})
