# SPDX-License-Identifier: GPL-3.0-or-later
"""Twenty people on a local network and no server: finding each other, having nothing to do, and
somebody who shouts. Each is on a machine of their own, a network namespace."""
import contextlib
import statistics
import time

import harness
import kernel
import lan
import networking
import shouting
from idle import wake_ups
from measure import MIB, few, report

PEOPLE = 20
RATE = 100000                                   # datagrams a second, of one who shouts


def found_after(people):
    """s from the start of all until each has all others in the list, as somebody sees who looks at
    all lists in turn."""
    for person in people:
        person.stop()
    start, when = time.monotonic(), {}
    for person in people:
        person.start(wait=False)
    for person in people:
        harness.wait_until(person.owns_name)
    while len(when) < PEOPLE:
        for person in people:
            if person not in when and len(person.list("ListPeers")) == PEOPLE - 1:
                when[person] = time.monotonic() - start
    return list(when.values())


def report_found(people):
    rounds = [found_after(people) for _ in range(few(5, 1))]
    report("lan-found", statistics.median(max(when) for when in rounds), "s",
           len(rounds), at_most=3,
           **{"is": "from the start of 20 daemons at once until the last has found the last",
              "median-person": statistics.median(sum(rounds, []))})


def report_idle(switch, people):
    seconds = few(240, 40)
    time.sleep(few(180, 10))                    # until beacons are as rare as they get
    before = switch.carried(), [wake_ups(person.pid) for person in people]
    time.sleep(seconds)
    after = switch.carried(), [wake_ups(person.pid) for person in people]
    size, packets = (a - b for a, b in zip(after[0], before[0]))
    report("lan-traffic", size * 60 / seconds / 1024, "KiB/minute", seconds,
           **{"is": "of all 20, with IP and Ethernet headers", "packets": packets * 60 / seconds})
    report("lan-wake-ups", statistics.median(a - b for a, b in zip(after[1], before[1])) / seconds,
           "1/s", seconds, at_most=0.1 + PEOPLE / 30)
    report("lan-memory", statistics.median(kernel.anonymous_memory(p.pid) for p in people) / MIB,
           "MiB", PEOPLE)


def report_flood(switch, victim, enemy):
    seconds, pid = few(20, 3), victim.pid
    switch.plug(enemy, 66)
    shouter = shouting.Shouter(enemy, victim.host)
    shouter.ask("accounts", 20000, 9, "mallory")
    memory, spent = kernel.anonymous_memory(pid), kernel.processor_time(pid)
    done = shouter.ask("say", seconds * RATE, RATE, shouting.MANY, 1000000)
    report("lan-flood", (kernel.processor_time(pid) - spent) / done["seconds"] * 100,
           "% of a core", done["said"],
           **{"datagrams-per-s": done["said"] / done["seconds"],
              "memory-MiB": (kernel.anonymous_memory(pid) - memory) / MIB,
              "is": "beacons of 20,000 accounts from a million addresses"})
    shouter.close()


def nearby(lab):
    with contextlib.closing(networking.Network()) as network:
        switch, _, people = lan.people(lab, network, PEOPLE, config="lan = { };", prefix=8)
        lan.wait_all_found(people)
        report_found(people)
        for person in people:                   # who reads signals wakes their daemon
            person.connection.close_sync(None)
        report_idle(switch, people)
        report_flood(switch, people[0], network.host())
        for person in people:
            person.stop()
