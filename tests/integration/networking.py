# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines and switches, each a network namespace without a name: it is gone with the test, or with
the test's process."""
import contextlib
import ctypes
import itertools
import json
import os
import pathlib
import socket
import struct
import subprocess

CLONE_NEWNET = 0x40000000                       # of sched.h
FAMILIES = ("ipv4", "link-local", "ipv6", "both")   # what an interface has addresses of

libc = ctypes.CDLL(None, use_errno=True)


def enter(path):
    with open(path, "rb") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), f"{path} cannot be entered")


class Host:
    """A machine that has nothing but its loopback interface, until it is plugged in."""

    def __init__(self):
        # pylint: disable-next=consider-using-with # close() ends it
        self.holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sh", "-c",
             "echo ready; exec sleep infinity"], stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"ready\n"
        self.namespace = f"/proc/{self.holder.pid}/ns/net"
        self.prefix = ["nsenter", f"--net={self.namespace}"]
        self.set("ipv6/conf/default/accept_dad", 0)     # link-local addresses are there at once
        self.set("ipv4/conf/default/arp_notify", 1)     # who has an address now says so
        self.ip("link", "set", "lo", "up")

    @contextlib.contextmanager
    def inside(self):
        """A socket that is opened within is this machine's, and so is a program started there."""
        with open("/proc/thread-self/ns/net", "rb") as home:
            enter(self.namespace)
            try:
                yield self
            finally:
                enter(f"/proc/self/fd/{home.fileno()}")

    def run(self, *words):
        with self.inside():
            return subprocess.run([str(word) for word in words], check=True, timeout=60,
                                  stdout=subprocess.PIPE, text=True).stdout

    def ip(self, *words):
        return self.run("ip", *words)

    def set(self, name, value):
        with self.inside():                     # the directory is that of whoever opens it
            pathlib.Path("/proc/sys/net", name).write_text(f"{value}\n", encoding="ascii")

    def up(self, interface):
        self.ip("link", "set", interface, "up")

    def down(self, interface):
        self.ip("link", "set", interface, "down")

    def addresses(self, interface="eth0"):
        """Without their prefixes; those of IPv6 that are for this link only as well."""
        row, = json.loads(self.ip("-json", "address", "show", "dev", interface))
        return [address["local"] for address in row["addr_info"]]

    def mac(self, interface="eth0"):
        row, = json.loads(self.ip("-json", "link", "show", "dev", interface))
        return row["address"]

    def close(self):
        self.holder.kill()
        self.holder.communicate()


class Cable:
    """From a port of a switch to an interface of a machine."""
    numbers = itertools.count(1)

    def __init__(self, switch, host, interface):
        self.switch, self.host, self.interface = switch, host, interface
        self.port = f"port{next(self.numbers)}"
        switch.ip("link", "add", self.port, "type", "veth", "peer", "name", interface,
                  "netns", host.holder.pid)
        self.plug()

    def plug(self, switch=None):
        """In again, or into another switch."""
        if switch and switch is not self.switch:
            self.switch.ip("link", "set", self.port, "netns", switch.holder.pid)
            self.switch = switch
        self.switch.ip("link", "set", self.port, "master", "br0", "up")

    def unplug(self):
        """The machine notices, as its interface has no carrier; nobody else does."""
        self.switch.down(self.port)

    def cut(self):
        """Nobody notices."""
        self.switch.ip("link", "set", self.port, "nomaster")


class Switch(Host):
    """What comes in goes out at all its ports."""

    def __init__(self, number, prefix):
        super().__init__()
        self.number = number
        self.prefix = prefix                    # of IPv4: how many may be on it
        self.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        self.up("br0")

    def address(self, n, family=4):
        """The N-th on this network."""
        return f"10.77.{self.number}.{n}" if family == 4 else f"fd77:{self.number:x}::{n:x}"

    def plug(self, host, n, family="both", interface="eth0"):
        """Joins the interface of a machine that has the N-th address. Returns the cable."""
        cable = Cable(self, host, interface)
        self.number_at(host, n, family, interface)
        host.up(interface)
        return cable

    def number_at(self, host, n, family="both", interface="eth0"):
        """Gives an interface the N-th address, in the place of what it had."""
        assert family in FAMILIES
        host.ip("address", "flush", "dev", interface, "scope", "global")
        host.set(f"ipv6/conf/{interface}/disable_ipv6", int(family == "ipv4"))
        if family in ("ipv4", "both"):
            host.ip("address", "add", f"{self.address(n)}/{self.prefix}", "brd", "+", "dev", interface)
        if family in ("ipv6", "both"):
            host.ip("address", "add", f"{self.address(n, 6)}/64", "dev", interface, "nodad")


    def carried(self):
        """Bytes and packets that have come in at all its ports, with their Ethernet headers."""
        rows = json.loads(self.ip("-json", "-statistics", "link", "show", "type", "veth"))
        return tuple(sum(row["stats64"]["rx"][what] for row in rows)
                     for what in ("bytes", "packets"))


class Network:
    """All that one test plugs together."""

    def __init__(self):
        self.all = []

    def add(self, host):
        self.all.append(host)
        return host

    def switch(self, prefix=24):
        return self.add(Switch(sum(isinstance(host, Switch) for host in self.all), prefix))

    def host(self):
        return self.add(Host())

    def router(self, *switches):
        """Between switches, with address 254 at each; eth0 is at the first."""
        router = self.host()
        for number, switch in enumerate(switches):
            switch.plug(router, 254, interface=f"eth{number}")
        router.set("ipv4/ip_forward", 1)
        router.set("ipv6/conf/all/forwarding", 1)
        return router

    def close(self):
        for host in self.all:
            host.close()


class Ear:
    """Anybody on the network who listens to beacons."""

    def __init__(self, host, interface="eth0", port=6004):
        self.sockets = []
        with host.inside():
            index = socket.if_nametoindex(interface)
            four = self.socket(socket.AF_INET, port)
            four.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                            struct.pack("=4s4si", socket.inet_aton("239.255.60.4"), bytes(4), index))
            six = self.socket(socket.AF_INET6, port)
            six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                           socket.inet_pton(socket.AF_INET6, "ff02::6004")
                           + struct.pack("=i", index))

    def socket(self, family, port):
        ear = socket.socket(family, socket.SOCK_DGRAM)
        self.sockets.append(ear)
        ear.setblocking(False)
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            ear.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        ear.bind(("", port))
        return ear

    def heard(self):
        """Sender and datagram of all that has come since it was asked last."""
        found = []
        for ear in self.sockets:
            with contextlib.suppress(BlockingIOError):
                while True:
                    datagram, sender = ear.recvfrom(65536)
                    found.append((sender[0].partition("%")[0], datagram))
        return found

    def close(self):
        for ear in self.sockets:
            ear.close()


def can_plug():
    network = Network()
    with contextlib.suppress(OSError, subprocess.SubprocessError, AssertionError):
        try:
            network.switch().plug(network.host(), 1)
            return True
        finally:
            network.close()
    return False


class Placed:
    """What is started is started on a machine; mixed into harness.Tracker and harness.User."""
    host = None

    def launch(self, argv, wait=True):
        super().launch([*self.host.prefix, *argv], wait)
