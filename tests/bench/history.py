# SPDX-License-Identifier: GPL-3.0-or-later
"""A conversation of ten million messages: its pages through D-Bus, the start beside it, its room."""
import os
import time

import harness
from gi.repository import Gio, GLib
from measure import SIZE, bus_limit, disk_size, few, report, report_start, run, summary
from tracker import cpu_us

PAGE = 50                                       # messages that a client shows at once


def page(user, **options):
    """Bytes of a page of the conversation, and ms until it is here, before it is unpacked."""
    args = GLib.Variant("(sa{sv})", ("alice", harness.options({"limit": PAGE, **options})))
    start = time.perf_counter()
    answer = user.connection.call_sync(harness.NAME, harness.PATH, harness.NAME, "ListMessages",
                                       args, None, Gio.DBusCallFlags.NO_AUTO_START, -1, None)
    took = (time.perf_counter() - start) * 1000
    assert answer.get_child_value(0).n_children() >= PAGE
    return answer.get_size(), took


def forget_cache(user):
    """What the kernel holds of the store's file; the daemon must not run."""
    for path in user.state.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def history(lab):
    count, rounds = few(10000000, 20000), few(500, 50)
    lab.tracker()
    alice, bob = lab.users("alice", "bob")
    alice.exchange(bob)
    for user in (alice, bob):                   # what is filled in, alice has not written
        user.stop()
    before, start = disk_size(bob), time.monotonic()
    ids = run("fill-history", bob.state, "alice", count, SIZE)
    seconds = time.monotonic() - start
    report("history-disk", (disk_size(bob) - before) / count, "bytes/message", count,
           **{"is": f"with texts of {SIZE} bytes", "filled-per-second": count / seconds})
    forget_cache(bob)
    bob.start()
    size, cold = page(bob)
    cpu = cpu_us(bob.pid)
    last = [page(bob)[1] for _ in range(rounds)]
    cpu = (cpu_us(bob.pid) - cpu) / rounds
    middle = [page(bob, before=ids[1 + n % 9])[1] for n in range(rounds)]
    bus = bus_limit(bob, 1000, 1, size)["p50"]
    for name, took in (("last-page", last), ("middle-page", middle)):
        times = summary(took)
        report(f"history-{name}", times["p50"], "ms", rounds, **times, at_most=5, limit=bus,
               **{"limit-is": f"a D-Bus call with an answer of {size} bytes", "messages": PAGE,
              "cpu-us-last-page": cpu})
    report("history-first-page-cold", cold, "ms", 1,
           **{"is": "the last page, as the first thing after a start, nothing in the page cache"})
    report_start("history-start", bob)
