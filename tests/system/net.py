# SPDX-License-Identifier: GPL-3.0-or-later
"""Network namespaces of a test's own, for boxes that talk to each other."""
import itertools
import os
import subprocess

numbers = itertools.count(1)


def ip(*words):
    subprocess.run(["ip", *words], check=True)


class Wire:
    """A cable between two machines: `ends` are their names for ip-netns(8), `addresses` what they
    have on it."""
    addresses = ("192.0.2.1", "192.0.2.2")

    def __init__(self):
        number = next(numbers)
        self.ends = [f"p2pchat-{os.getpid()}-{number}-{end}" for end in "ab"]
        for end in self.ends:
            ip("netns", "add", end)
        ip("link", "add", "wire0", "netns", self.ends[0], "type", "veth",
           "peer", "name", "wire0", "netns", self.ends[1])
        for end, address in zip(self.ends, self.addresses):
            ip("-netns", end, "address", "add", f"{address}/24", "dev", "wire0")
            for device in "lo", "wire0":
                ip("-netns", end, "link", "set", device, "up")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for end in self.ends:
            ip("netns", "delete", end)
