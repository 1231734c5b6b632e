# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's avahi-daemon on machines of a network: whoever hears no beacon finds others by it."""
import itertools
import re

import pytest

import harness
from harness import wait_until
from networking import Placed
from test_dns_sd import doctor, wait_doctor
from test_no_tracker import ON_LAN

CONFIG = """[server]
host-name={}
use-ipv4=yes
use-ipv6=yes
[publish]
publish-workstation=no
"""

# Its process id and socket have one place in the file system only.
START = ("mount -t tmpfs none /run && mkdir /run/avahi-daemon && "
         'exec avahi-daemon --file="$0" --no-rlimits --no-drop-root --no-chroot')


class PlacedUser(Placed, harness.User):
    pass


class Avahi(Placed, harness.Process):
    def __init__(self, lab, host, name, bus):
        super().__init__(lab.directory, f"{name}.avahi",
                         dict(lab.base_env(), DBUS_SYSTEM_BUS_ADDRESS=bus.address))
        self.host = host
        self.config = lab.directory / f"{name}.avahi.conf"
        self.config.write_text(CONFIG.format(f"host-{name}"))

    def start(self):
        self.launch(["unshare", "--mount", "--propagation", "private", "sh", "-c", START,
                     self.config], wait=False)
        return self


class Machine:
    """With a system bus, an Avahi, and a user who knows no tracker, and whose beacons go to a port
    where nobody else listens."""

    def __init__(self, lab, switch, network, name, number):
        self.host = network.host()
        self.cable = switch.plug(self.host, number)
        self.bus = lab.add(harness.Bus(lab, f"{name}.machine", lab.base_env()))
        self.avahi = lab.add(Avahi(lab, self.host, name, self.bus)).start()
        config = f'listen = {{ address = "::"; }};\nlan = {{ port = {6100 + number}; }};'
        self.user = lab.add(PlacedUser(lab, name, config, []))
        self.user.host = self.host
        self.user.env["DBUS_SYSTEM_BUS_ADDRESS"] = self.bus.address

    def start(self, name=None):
        self.user.start().register(name, **ON_LAN)
        self.account = self.user.property("Account")


@pytest.fixture(name="switch")
def switch_fixture(network):
    return network.switch()


@pytest.fixture(name="near")
def near_fixture(lab, switch, network):
    return Machine(lab, switch, network, "alice", 1)


@pytest.fixture(name="far")
def far_fixture(lab, switch, network):
    return Machine(lab, switch, network, "bob", 2)


def published(machine):
    match = re.match('Avahi publishes "(.*)" and', doctor(machine.user)[1])
    return match and match[1]


def wait_published(machine):
    wait_until(lambda: published(machine) == machine.user.name, what="it is published")


def found(machine, other):
    """What the user there has of another one, who is there now."""
    return next((peer for peer in machine.user.list("ListPeers")
                 if peer["account"] == other.account and peer["presence"] == "online"
                 and "lan" in peer["via"]), None)


def wait_found(*machines):
    for machine, other in itertools.permutations(machines, 2):
        wait_until(lambda machine=machine, other=other: found(machine, other),
                   what=f"{machine.user.name} finds {other.user.name}")


def test_found(near, far):
    near.start()
    far.start()
    wait_found(near, far)
    near.user.exchange(far.user)
    far.user.exchange(near.user)
    far.user.stop()
    wait_until(lambda: not found(near, far), what="he is known to have left")
    far.user.start()
    wait_found(near, far)


def test_an_address_that_changes(switch, near, far):
    near.start()
    far.start()
    wait_found(near, far)
    switch.number_at(far.host, 7, family="ipv4")
    wait_until(lambda: f"{switch.address(7)}:" in str(found(near, far)),
               what="he is found there")
    near.user.exchange(far.user)


def test_an_avahi_that_is_killed(near, far):
    near.start()
    wait_published(near)
    near.avahi.kill()
    wait_doctor(near.user, "off", "Avahi does not run.")
    far.start()
    near.avahi.start()
    wait_found(near, far)


def test_two_of_one_name(near, far):
    near.start()
    wait_published(near)
    far.start("alice")
    wait_until(lambda: {published(near), published(far)} == {"alice", "alice #2"},
               what="one of them has a number")
    wait_found(near, far)
