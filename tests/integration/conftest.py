# SPDX-License-Identifier: GPL-3.0-or-later
import os

import pytest

import harness
import networking
from small_disk import SmallDisk


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when != "teardown" and report.failed and harness.Lab.current:
        report.sections.append(("logs of the programs", harness.Lab.current.logs()))


@pytest.fixture
def lab():
    lab = harness.Lab()
    yield lab
    lab.close()


@pytest.fixture
def disks(lab):
    """Makes small ones."""
    made = []

    def make(path, size):
        made.append(SmallDisk(path, size))
        return made[-1]

    yield make
    for process in reversed(lab.processes):
        process.stop()
    for disk in made:
        disk.close()


@pytest.fixture
def network():
    """To be asked for before the lab: the programs end while they are still plugged in."""
    if os.geteuid() != 0 or not networking.can_plug():
        pytest.skip("machines and switches are network namespaces, veth and a bridge")
    net = networking.Network()
    yield net
    net.close()


@pytest.fixture
def tracker(lab):
    return lab.tracker()


@pytest.fixture
def alice(lab, tracker):
    return lab.user("alice").join()


@pytest.fixture
def bob(lab, tracker):
    return lab.user("bob").join()


@pytest.fixture
def machine(lab, tracker):
    """The system bus of the machine of eve, who is not there yet."""
    eve = lab.user("eve")
    bus = lab.add(harness.Bus(lab, "machine", lab.base_env()))
    eve.env["DBUS_SYSTEM_BUS_ADDRESS"] = bus.address
    return eve, bus
