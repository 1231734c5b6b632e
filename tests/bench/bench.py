#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the whole program: two users, two buses, a tracker, all on this machine.

Prints one line of JSON with what was measured, the limit that the same disk and the same bus gave
in the same run, and the ratio of the two. It fails when something breaks, never because of a time.
"""
import contextlib
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
ROUNDS = 5
SIZE = 256
FRAME = 472                                     # of MESSAGE, with a text of SIZE bytes
MIB = 1 << 20


def run(tool, *args):
    done = subprocess.run([TOOLS / tool, *map(str, args)], stdout=subprocess.PIPE, check=True,
                          timeout=600)
    return json.loads(done.stdout)


def medians(results):
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


def report(name, value, unit, n, p50=None, p99=None, limit=None, ratio=None, **more):
    line = {"name": name, "value": value, "unit": unit, "n": n, "p50": p50, "p99": p99,
            "limit": limit, "ratio": ratio, **more}
    print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in line.items()}),
          flush=True)


def store_limit(lab, batch, commits, what="store"):
    directory = lab.directory / f"limit-{batch}-{time.monotonic_ns()}"
    directory.mkdir()
    return run("limits", what, directory, commits * batch, batch)


def commits_of(user):
    """Write transactions of a daemon's store so far: the higher number in LMDB's two meta pages."""
    total = 0
    for path in user.state.rglob("*"):
        if not path.is_file() or path.stat().st_size < 8192:
            continue
        with open(path, "rb") as file:
            pages = [file.read(4096), file.read(4096)]
        if struct.unpack_from("=I", pages[0], 16)[0] == 0xBEEFC0DE:
            total += max(struct.unpack_from("=Q", page, 144)[0] for page in pages)
    return total


def two_users(lab):
    lab.tracker()
    alice, bob = lab.users("alice", "bob")
    alice.exchange(bob)
    for user in (alice, bob):                   # else each signal is also brought to this process
        user.connection.close_sync(None)
    return alice, bob


def bench_pipelined(lab):
    """Through D-Bus on both ends, durable on both, acknowledged, 256 calls in flight."""
    alice, bob = two_users(lab)
    count, results, bus, store, one = 10000, [], [], [], []
    before = [commits_of(user) for user in (alice, bob)]
    for _ in range(ROUNDS):
        results.append(run("flood", alice.bus.address, bob.bus.address, "bob", count, 256, SIZE))
        bus.append(run("limits", "bus", alice.bus.address, count, 256))
        store.append(store_limit(lab, 100, 100))
        one.append(store_limit(lab, 1, 500))
    commits = [commits_of(user) - b for user, b in zip((alice, bob), before)]
    result, limit = medians(results), medians(bus)["rate"]
    report("pipelined", result["rate"], "messages/s", ROUNDS * count, result["p50"], result["p99"],
           limit, result["rate"] / limit, goal=25000,
           **{"limit-is": "D-Bus calls in flight",
              "store-100-a-commit": medians(store)["rate"] * 100,
              "store-1-a-commit": medians(one)["rate"],
              "messages-per-commit-sender": ROUNDS * count / max(commits[0], 1),
              "messages-per-commit-recipient": ROUNDS * count / max(commits[1], 1)})


def bench_one(lab):
    """From Send() until the recipient's client has the signal, nothing else going on."""
    alice, bob = two_users(lab)
    count, results, bus, store = 1000, [], [], []
    for _ in range(ROUNDS):
        results.append(run("flood", alice.bus.address, bob.bus.address, "bob", count, 1, SIZE))
        bus.append(run("limits", "bus", alice.bus.address, count, 1))
        store.append(store_limit(lab, 1, count))
    result, call, commit = medians(results), medians(bus)["p50"], medians(store)["p50"]
    limit = call + 2 * commit
    report("one-message", result["p50"], "ms", ROUNDS * count, result["p50"], result["p99"], limit,
           result["p50"] / limit, goal=1.0,
           **{"limit-is": "a D-Bus call and two commits", "bus-call": call, "commit": commit,
              "until-delivered-rate": result["rate"]})


def bench_link(lab):
    """Link to link without D-Bus, durable on both; what a store and a TLS connection alone can do
    with the same rows and frames, one after the other, is the limit."""
    count, results, rows, tls = 100000, [], [], []
    per_record = 16384 // FRAME
    for n in range(ROUNDS):
        directory = lab.directory / f"link-{n}"
        directory.mkdir()
        results.append(run("link", directory, count, 2048, SIZE))
        rows.append(store_limit(lab, 1000, 50, "rows"))
        tls.append(run("limits", "tls", 5000))
    result = medians(results)
    store, records = medians(rows)["rate"] * 1000, medians(tls)["rate"] * per_record
    limit = 1 / (1 / store + 1 / records)
    report("link", result["rate"], "messages/s", ROUNDS * count, result["p50"], result["p99"],
           limit, result["rate"] / limit, goal=100000,
           **{"limit-is": "the rows at 1,000 a commit, then full TLS records",
              "rows-1000-a-commit": store, "tls-full-records": records,
              "messages-per-commit-sender": result["batch"],
              "slowest-commit": result["slowest-commit"],
              "cpu-us-sender": result["cpu-sender"],
              "cpu-us-recipient": result["cpu-recipient"]})


@contextlib.contextmanager
def bare_program(address):
    """A process with our libraries and a bus name, and nothing else."""
    with subprocess.Popen([TOOLS / "limits", "idle", address], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as bare:
        bare.stdout.readline()
        yield bare.pid
        bare.stdin.close()
        bare.wait()


def idle_user(lab):
    lab.tracker()
    alice = lab.user("alice").join()
    alice.connection.close_sync(None)
    time.sleep(2)                               # what a start leaves behind settles
    return alice


def bench_idle_memory(lab):
    """Anonymous memory, one tracker, no link, LAN off."""
    alice = idle_user(lab)
    with bare_program(alice.bus.address) as bare:
        limit = kernel.anonymous_memory(bare)
        value = kernel.anonymous_memory(alice.pid)
    report("idle-memory", value / MIB, "MiB", 1, limit=limit / MIB, ratio=value / limit, goal=3,
           **{"limit-is": "a program with the same libraries and a bus name"})


def wake_ups(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        status = pathlib.Path(f"/proc/{pid}/task/{task}/status").read_text()
        total += int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])
    return total


def bench_idle_wake_ups(lab, seconds=60):
    alice = idle_user(lab)
    before = wake_ups(alice.pid)
    time.sleep(seconds)
    value = (wake_ups(alice.pid) - before) / seconds
    report("idle-wake-ups", value, "1/s", seconds, goal=0.2)


def start_times(user, rounds):
    """ms from exec to READY=1, of one start after the other, sorted."""
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
    return sorted(took)


def bench_start(lab):
    """From exec to READY=1, and to the name on the bus, of a registered user."""
    lab.tracker()
    took = start_times(lab.user("alice").join(), 20)
    report("start", statistics.median(took), "ms", len(took), statistics.median(took), took[-1],
           goal=50)


def disk_size(user):
    return sum(f.stat().st_blocks * 512 for f in user.state.rglob("*") if f.is_file())


def drain(sender, users, count):
    """Until nothing waits any more; the most memory that was seen meanwhile, of each."""
    most, begun = {user.name: 0 for user in users}, None
    while True:
        queued = sender.property("Queued")
        if begun is None and queued < count:
            begun = time.monotonic()
        for user in users:
            most[user.name] = max(most[user.name], kernel.anonymous_memory(user.pid) / MIB)
        if queued == 0:
            return time.monotonic() - begun, most
        time.sleep(0.1)


def bench_million(lab, count=1000000):
    """A million messages for somebody who is away: their room, the start beside them, and how
    fast they go when he comes back; then the start with as many in the history."""
    lab.tracker()
    alice, bob = lab.users("alice", "bob")
    alice.exchange(bob)
    for user in (alice, bob):                   # a client that asks, and gets no signals
        user.connection.close_sync(None)
        user.connection = harness.connect(user.bus.address)
    bob.stop()
    before = disk_size(alice)
    queued = run("flood", alice.bus.address, "-", "bob", count, 256, SIZE)
    report("million-queue", queued["rate"], "messages/s", count, queued["p50"], queued["p99"],
           **{"memory-MiB": kernel.anonymous_memory(alice.pid) / MIB,
              "disk-bytes-each": (disk_size(alice) - before) / count})
    took = start_times(alice, 10)
    report("million-queued-start", statistics.median(took), "ms", len(took),
           statistics.median(took), took[-1], goal=50,
           **{"memory-MiB": kernel.anonymous_memory(alice.pid) / MIB})
    bob.start()
    seconds, most = drain(alice, (alice, bob), count)
    report("million-drain", count / seconds, "messages/s", count,
           **{f"most-memory-MiB-{name}": value for name, value in most.items()})
    for user in (alice, bob):
        took = start_times(user, 10)
        report(f"million-stored-start-{user.name}", statistics.median(took), "ms", len(took),
               statistics.median(took), took[-1], goal=50,
               **{"memory-MiB": kernel.anonymous_memory(user.pid) / MIB})


BENCHES = {"pipelined": bench_pipelined, "one-message": bench_one, "link": bench_link,
           "idle-memory": bench_idle_memory, "idle-wake-ups": bench_idle_wake_ups,
           "start": bench_start, "million": bench_million}


def main():
    names = sys.argv[1:] or list(BENCHES)
    for name in names:
        lab = harness.Lab()
        try:
            BENCHES[name](lab)
        except BaseException:
            print(lab.logs(), file=sys.stderr)
            raise
        finally:
            lab.close()


if __name__ == "__main__":
    main()
