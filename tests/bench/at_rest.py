# SPDX-License-Identifier: GPL-3.0-or-later
"""What it costs to seal on the disk: nothing, the keys of the account alone, and all messages."""
from measure import ROUNDS, SIZE, disk_size, few, medians, report, run
from tracker import cpu_us

CONFIGS = {"nothing": 'storage = { key = "none"; };',
           "keys": 'storage = { key = "file"; };',
           "messages": 'storage = { key = "file"; seal-messages = true; };'}


def couple(lab, n, config):
    users = lab.users(f"alice{n}", f"bob{n}", config=config)
    users[0].exchange(users[1])
    for user in users:                          # else each signal is also brought to this process
        user.connection.close_sync(None)
    return users


def sealed(lab):
    count, done, used = few(10000, 2000), {}, {}
    lab.tracker()
    couples = {what: couple(lab, n, config) for n, (what, config) in enumerate(CONFIGS.items())}
    for what, users in couples.items():
        done[what] = []
        used[what] = [disk_size(users[1]), sum(cpu_us(user.pid) for user in users)]
    for _ in range(ROUNDS):                     # in turn: the machine is the same for all of them
        for what, (alice, bob) in couples.items():
            done[what].append(run("flood", alice.bus.address, bob.bus.address, bob.name, count, 256,
                                  SIZE))
    first = medians(done["nothing"])["rate"]
    for what, users in couples.items():
        result, n = medians(done[what]), ROUNDS * count
        disk = disk_size(users[1]) - used[what][0]
        cpu = sum(cpu_us(user.pid) for user in users) - used[what][1]
        report(f"sealed-{what}", result["rate"], "messages/s", n, result["p50"], result["p99"],
               limit=first, **{"limit-is": "with nothing sealed", "disk-bytes-each": disk / n,
                               "cpu-us-each": cpu / n})
