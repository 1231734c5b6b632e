# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages between two users: two daemons, two buses, a tracker, all on this machine."""
import time

import harness
import kernel
from measure import (MIB, ROUNDS, SIZE, bus_limit, commits_of, disk_size, few, medians, report,
                     report_start, run, store_limit, two_users)

FRAME = 472                                     # of MESSAGE, with a text of SIZE bytes


def pipelined(lab):
    alice, bob = two_users(lab)
    count, results, bus, store, one = few(10000, 2000), [], [], [], []
    before = [commits_of(user) for user in (alice, bob)]
    for _ in range(ROUNDS):
        results.append(run("flood", alice.bus.address, bob.bus.address, "bob", count, 256, SIZE))
        bus.append(bus_limit(alice, count, 256))
        store.append(store_limit(lab, 100, 100))
        one.append(store_limit(lab, 1, 500))
    commits = [commits_of(user) - b for user, b in zip((alice, bob), before)]
    result = medians(results)
    report("pipelined", result["rate"], "messages/s", ROUNDS * count, result["p50"], result["p99"],
           at_least=25000, limit=medians(bus)["rate"],
           **{"limit-is": "D-Bus calls in flight",
              "store-100-a-commit": medians(store)["rate"] * 100,
              "store-1-a-commit": medians(one)["rate"],
              "messages-per-commit-sender": ROUNDS * count / max(commits[0], 1),
              "messages-per-commit-recipient": ROUNDS * count / max(commits[1], 1)})


def one_message(lab):
    alice, bob = two_users(lab)
    count, results, bus, store = few(1000, 200), [], [], []
    for _ in range(ROUNDS):
        results.append(run("flood", alice.bus.address, bob.bus.address, "bob", count, 1, SIZE))
        bus.append(bus_limit(alice, count, 1))
        store.append(store_limit(lab, 1, count, "rows"))
    result, call, commit = medians(results), medians(bus), medians(store)
    n, parts = ROUNDS * count, {"bus-call": call["p50"], "commit": commit["p50"]}
    report("one-message", result["signal-p50"], "ms", n, result["signal-p50"],
           result["signal-p99"], at_most=1.0, limit=call["p50"] + 2 * commit["p50"],
           **{"limit-is": "a D-Bus call and two commits of the rows of a message", **parts})
    report("one-message-p99", result["signal-p99"], "ms", n, at_most=3.0,
           limit=call["p99"] + 2 * commit["p99"],
           **{"limit-is": "the same, of the slowest hundredth of each"})
    report("one-message-reply", result["p50"], "ms", n, result["p50"], result["p99"],
           limit=call["p50"] + commit["p50"],
           **{"limit-is": "a D-Bus call and one commit", **parts})
    report("one-message-rate", result["rate"], "messages/s", n,
           **{"is": "one after the other, each until it is delivered"})


def link(lab):
    count, results, rows, tls = few(100000, 10000), [], [], []
    per_record = 16384 // FRAME
    for n in range(ROUNDS):
        directory = lab.directory / f"link-{n}"
        directory.mkdir()
        results.append(run("link", directory, count, 2048, SIZE))
        rows.append(store_limit(lab, 1000, 50, "rows"))
        tls.append(run("limits-tls", "records", 5000))
    result = medians(results)
    store, records = medians(rows)["rate"] * 1000, medians(tls)["rate"] * per_record
    report("link", result["rate"], "messages/s", ROUNDS * count, result["p50"], result["p99"],
           at_least=100000, limit=1 / (1 / store + 1 / records),
           **{"limit-is": "the rows at 1,000 a commit, then full TLS records",
              "rows-1000-a-commit": store, "tls-full-records": records,
              "messages-per-commit-sender": result["batch"],
              "slowest-commit": result["slowest-commit"],
              "cpu-us-sender": result["cpu-sender"],
              "cpu-us-recipient": result["cpu-recipient"]})


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


def million(lab):
    count = few(1000000, 20000)
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
    report_start("million-queued-start", alice)
    bob.start()
    seconds, most = drain(alice, (alice, bob), count)
    report("million-drain", count / seconds, "messages/s", count,
           **{f"most-memory-MiB-{name}": value for name, value in most.items()})
    for user in (alice, bob):
        report_start(f"million-stored-start-{user.name}", user)
