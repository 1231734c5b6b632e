# SPDX-License-Identifier: GPL-3.0-or-later
"""An entry in a room of a thousand, in the simulator: its time is that of links of 50 ms, of what
daemons wait for and of a commit each, without the processor's work."""
import json
import subprocess

import harness
from measure import few, report

MEMBERS = few(1000, 60)
ENTRIES = few(10, 3)


def big_room(_lab):
    done = subprocess.run([harness.BUILD / "tests/sim/sim-spread", str(MEMBERS), str(ENTRIES)],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
                          timeout=3600)
    room = json.loads(done.stdout)
    report("big-room-entry", room["last-ms"] / 1000, "s", ENTRIES, at_most=2,
           **{"is": f"simulated: from Send until the last of {MEMBERS - 1} members has it on disk",
              "worst": room["last-worst-ms"] / 1000, "median-member": room["median-ms"] / 1000,
              "hops-mean": room["hops-mean"], "hops-most": room["hops-most"],
              "links-mean": room["links-mean"], "links-most": room["links-most"]})
    report("big-room-bytes", room["bytes-a-member"] / 1024, "KiB", ENTRIES,
           **{"is": "of one member for one entry, in TLS records, without TCP and IP, "
              "acknowledgements included",
              "of-all-MiB": room["bytes"] / 2**20, "records": room["records-a-member"],
              "times-the-entry-came": room["entries-a-member"],
              "of-these-again": room["again-a-member"], "vectors": room["vectors-a-member"]})
    report("big-room-idle", room["idle-bytes-a-member-minute"] / 1024, "KiB/minute", ENTRIES,
           **{"is": "of one member while nobody writes, in TLS records"})
