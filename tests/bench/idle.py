# SPDX-License-Identifier: GPL-3.0-or-later
"""A daemon with nothing to do: one tracker, no link, LAN off. And how long its start takes."""
import contextlib
import os
import pathlib
import re
import subprocess
import time

import kernel
from measure import MIB, TOOLS, few, report, report_start

HEADERS = 14 + 20 + 32                          # Ethernet, IPv4, TCP with timestamps


@contextlib.contextmanager
def bare_program(address):
    """A process with our libraries and a bus name, and nothing else."""
    with subprocess.Popen([TOOLS / "limits", "idle", address], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as bare:
        bare.stdout.readline()
        yield bare.pid
        bare.stdin.close()
        bare.wait()


def wake_ups(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        status = pathlib.Path(f"/proc/{pid}/task/{task}/status").read_text()
        total += int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])
    return total


def traffic(pid):
    """Bytes of all TCP connections of a process so far, with the headers of a network card."""
    done = subprocess.run(["ss", "-tinpH"], stdout=subprocess.PIPE, text=True, check=True)
    total = 0
    for line in done.stdout.replace("\n\t", " ").splitlines():
        if f"pid={pid}," in line:
            numbers = {key: int(value) for key, value in re.findall(r"(\w+):(\d+)\b", line)}
            total += numbers.get("bytes_sent", 0) + numbers.get("bytes_received", 0)
            total += HEADERS * (numbers.get("segs_out", 0) + numbers.get("segs_in", 0))
    assert total > 0, "the daemon has no connection"
    return total


def idle(lab):
    seconds = few(120, 35)
    lab.tracker()
    alice = lab.user("alice").join()
    alice.connection.close_sync(None)
    time.sleep(2)                               # what a start leaves behind settles
    before = wake_ups(alice.pid), traffic(alice.pid)
    time.sleep(seconds)
    after = wake_ups(alice.pid), traffic(alice.pid)
    with bare_program(alice.bus.address) as bare:
        limit = kernel.anonymous_memory(bare)
        memory = kernel.anonymous_memory(alice.pid)
    report("idle-memory", memory / MIB, "MiB", 1, at_most=3, limit=limit / MIB,
           **{"limit-is": "a program with the same libraries and a bus name"})
    report("idle-wake-ups", (after[0] - before[0]) / seconds, "1/s", seconds, at_most=0.2)
    report("idle-traffic", (after[1] - before[1]) * 60 / seconds / 1024, "KiB/minute", seconds,
           at_most=4, **{"is": "both directions, with TCP, IP and Ethernet headers"})


def start(lab):
    """From exec to READY=1, which comes with the name on the bus, of a registered user."""
    lab.tracker()
    report_start("start", lab.user("alice").join(), few(20, 5))
