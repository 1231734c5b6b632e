# SPDX-License-Identifier: GPL-3.0-or-later
"""A session bus of one's own and, on it, a stand-in for p2pchatd that says what a test wants."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from gi.repository import Gio, GLib

HERE = pathlib.Path(__file__).resolve().parent
REPO = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))
import under  # noqa: E402

BUILD = under.PROGRAMS
DEADLINE = 30 * under.SLOW  # seconds; nothing here takes long, a busy machine may

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={dir}/bus</listen><auth>EXTERNAL</auth>
<servicedir>{dir}/services</servicedir>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>
"""


class PrivateBus:
    """A dbus-daemon that knows no service but those a test installs."""

    def __init__(self, directory):
        self.dir = directory
        self.services = directory / "services"
        self.services.mkdir()
        (directory / "bus.conf").write_text(BUS_CONFIG.format(dir=directory))
        read, write = os.pipe()
        self.process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={directory}/bus.conf", "--nofork", "--nopidfile",
             f"--print-address={write}"],
            pass_fds=[write], stderr=open(directory / "bus.log", "w"))
        os.close(write)
        with os.fdopen(read) as pipe:
            self.address = pipe.readline().strip()
        assert self.address, "the bus did not start"

    def install(self, command):
        """Makes COMMAND the program that the bus starts for org.p2pchat.Chat1."""
        (self.services / "org.p2pchat.Chat1.service").write_text(
            f"[D-BUS Service]\nName=org.p2pchat.Chat1\nExec={command}\n")
        self.connection().call_sync(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ReloadConfig",
            None, None, Gio.DBusCallFlags.NONE, -1, None)

    def connection(self):
        return Gio.DBusConnection.new_for_address_sync(
            self.address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
            | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)

    def stop(self):
        self.process.terminate()
        self.process.wait(DEADLINE)


class MockDaemon:
    """The stand-in, in a process of its own; see mock_daemon.py for what a scenario may hold."""

    def __init__(self, bus, scenario):
        self.process = subprocess.Popen(
            [sys.executable, HERE / "mock_daemon.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": bus.address})
        self.process.stdin.write(json.dumps(scenario))
        self.process.stdin.close()
        assert self.process.stdout.readline() == "ready\n"
        self.control = bus.connection()

    def _control(self, method, *args):
        variant = GLib.Variant("(" + "s" * len(args) + ")", args)
        return self.control.call_sync(
            "org.p2pchat.Chat1", "/org/p2pchat/Chat1", "org.p2pchat.Mock", method, variant, None,
            Gio.DBusCallFlags.NO_AUTO_START, -1, None)

    def calls(self, method=None):
        """What was called, as [method, [arguments]], in order."""
        calls = json.loads(self._control("Calls").unpack()[0])
        return [c for c in calls if method in (None, c[0])]

    def emit(self, signal, *args):
        self._control("Emit", signal, json.dumps(args))

    def set(self, **scenario):
        self._control("Set", json.dumps(scenario))

    def get(self):
        """The scenario as it has become."""
        return json.loads(self._control("Get").unpack()[0])

    def kill(self):
        self.process.kill()
        self.process.wait(DEADLINE)

    def stop(self):
        self.process.terminate()
        self.process.wait(DEADLINE)


class MockSystemd:
    """A stand-in for systemd --user; see mock_systemd.py."""

    def __init__(self, bus, scenario):
        self.process = subprocess.Popen(
            [sys.executable, HERE / "mock_systemd.py", json.dumps(scenario)],
            stdout=subprocess.PIPE, text=True,
            env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": bus.address})
        assert self.process.stdout.readline() == "ready\n"

    def stop(self):
        self.process.terminate()
        self.process.wait(DEADLINE)


@pytest.fixture
def private_bus(tmp_path):
    bus = PrivateBus(tmp_path)
    yield bus
    bus.stop()


@pytest.fixture
def mock_daemon(private_bus):
    """Starts a stand-in with the given scenario; the last one is stopped at the end."""
    running = []

    def start(**scenario):
        running.append(MockDaemon(private_bus, scenario))
        return running[-1]

    yield start
    for daemon in running:
        daemon.stop()


@pytest.fixture
def mock_systemd(private_bus):
    running = []

    def start(**scenario):
        running.append(MockSystemd(private_bus, scenario))
        return running[-1]

    yield start
    for systemd in running:
        systemd.stop()


class Chatc:
    def __init__(self, bus):
        self.program = BUILD / "cli" / "chatc"
        self.env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "xterm",
                    "DBUS_SESSION_BUS_ADDRESS": bus.address}
        self.env.update(under.options())

    def __call__(self, *args, stdin=b"", env=None):
        """Runs to the end, without a controlling terminal; output as bytes."""
        return subprocess.run(
            [self.program, *args], input=stdin, capture_output=True, timeout=DEADLINE,
            env=self.env if env is None else env, start_new_session=True)

    def start(self, *args, **more):
        return subprocess.Popen([self.program, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=self.env, start_new_session=True, **more)


@pytest.fixture
def chatc(private_bus):
    return Chatc(private_bus)
