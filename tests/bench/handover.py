# SPDX-License-Identifier: GPL-3.0-or-later
"""An account goes to another device: how long it takes until all that the old one has is there, what
goes over the wire and the most memory that either needs. P2PCHAT_BENCH_MESSAGES says how many
messages; 1000000 is the long form."""
import os
import re
import time

import harness
import kernel
from measure import MIB, SIZE, disk_size, few, report, run
from tracker import cpu_us

KEY = 'storage = { key = "none"; };'            # what is filled in beforehand has no key


def login(lab, device, verb):
    path = lab.directory / "password"
    path.write_text("correct horse")
    done = device.chatc(verb, "anna", "--password-file", str(path), timeout=600)
    assert done.rc == 0, done


def said(old):
    """Bytes of all pieces, as the device says at the end."""
    return int(re.search(r"handed over to the active one: \d+ items, (\d+) bytes", old.log())[1])


def handover(lab):
    count = int(os.environ.get("P2PCHAT_BENCH_MESSAGES", few(100000, 2000)))
    lab.tracker()
    old, new = lab.user("old", KEY).start(), lab.user("new", KEY).start()
    bob = lab.user("bob").join()
    login(lab, old, "register")
    old.wait_state("online")
    bob.wait_delivered("anna", [bob.send("anna", "hello")])
    old.wait_delivered("bob", [old.send("bob", "hello")])
    bob.stop()
    old.stop()
    run("fill-history", old.state, "bob", count, SIZE)
    old.start()
    old.wait_state("online")
    before = {"disk": disk_size(new), "old": cpu_us(old.pid), "new": cpu_us(new.pid)}
    most = {"old": 0, "new": 0}
    login(lab, new, "login")
    begun, deadline = time.monotonic(), time.monotonic() + 3000
    old.wait_state("replaced")
    while old.property("HandOver") or new.property("HandOver"):
        for user in (old, new):
            most[user.name] = max(most[user.name], kernel.anonymous_memory(user.pid) / MIB)
        assert time.monotonic() < deadline, new.property("HandOver")
        time.sleep(0.1)
    took = time.monotonic() - begun
    if count <= 100000:                         # else it would take longer than all the rest
        assert len(new.history("bob")) == count + 2
    report("handover", took, "s", count, at_most=60 * count / 1000000 if count >= 1000000 else None,
           **{"is": f"messages of {SIZE} bytes", "per-second": count / took,
              "wire-bytes/message": said(old) / count,
              "disk-bytes/message": (disk_size(new) - before["disk"]) / count,
              "cpu-s-old": (cpu_us(old.pid) - before["old"]) / 1e6,
              "cpu-s-new": (cpu_us(new.pid) - before["new"]) / 1e6,
              **{f"most-memory-MiB-{name}": value for name, value in most.items()}})
