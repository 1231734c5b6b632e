# SPDX-License-Identifier: GPL-3.0-or-later
"""Real trackers and real daemons, each user on a session bus of his own.

Everything waits for an event with a generous deadline: a slow machine makes the tests slower, never
wrong. Whatever was started here ends here, and a word of a sanitizer in a log is a failure.
"""
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import typing

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import under  # noqa: E402

REPOSITORY = under.TOP
BUILD = under.BUILD
P2PCHATD = under.PROGRAMS / "daemon/p2pchatd"
TRACKER = under.PROGRAMS / "daemon/p2pchat-tracker"
CHATC = under.PROGRAMS / "cli/chatc"
DEADLINE = 60 * under.SLOW                      # seconds; of a program that has little to do

NAME = "org.p2pchat.Chat1"
PATH = "/org/p2pchat/Chat1"
ERROR = NAME + ".Error."
WAITING = ("queued", "stored")                  # not delivered, whether it lies in a mailbox or not
DELIVERED = ("delivered", "read")

ADDRESS = re.compile(r"[^\s:\[\]]+:\d+#[a-z2-7]{52}|\[[^\]\s]+\]:\d+#[a-z2-7]{52}")
COMPLAINT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|LeakSanitizer")

# The limits of Debian's session.conf: what dbus-daemon has built in stops at 128 open calls.
BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={directory}/bus</listen><auth>EXTERNAL</auth>
<servicedir>{directory}/services</servicedir>
<policy context="default"><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/><allow own="*"/><allow user="*"/></policy>
<limit name="max_incoming_bytes">1000000000</limit>
<limit name="max_outgoing_bytes">1000000000</limit>
<limit name="max_message_size">1000000000</limit>
<limit name="max_replies_per_connection">50000</limit>
<limit name="service_start_timeout">120000</limit></busconfig>
"""


class BusError(Exception):
    """An error answered over D-Bus; name without the prefix of p2pchat's own errors."""

    def __init__(self, name, message):
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


class Event(typing.NamedTuple):
    time: float                                 # time.monotonic() when it reached this client
    name: str
    args: tuple


class Result(typing.NamedTuple):
    rc: int
    out: str
    err: str


def wait_until(predicate, timeout=60, what="what was waited for"):
    """Turns the main loop until predicate() is true and returns what it said."""
    timeout = min(timeout, under.PATIENCE) * under.SLOW
    context = GLib.MainContext.default()
    end = time.monotonic() + timeout
    tick = GLib.timeout_add(20, lambda: True)   # some things (a process' end) are no loop events
    try:
        while True:
            value = predicate()
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"{what}: did not happen within {timeout} s")
            context.iteration(True)
            while context.pending():
                context.iteration(False)
    finally:
        GLib.source_remove(tick)


def wait_progress(done, measure, stall=60, what="progress"):
    """Waits as long as measure() keeps changing: for floods, whose length no deadline fits."""
    last = [measure(), time.monotonic()]

    def check():
        if done():
            return True
        now = measure()
        if now != last[0]:
            last[:] = now, time.monotonic()
        if time.monotonic() - last[1] > stall * under.SLOW:
            raise AssertionError(f"{what}: stuck at {now} for {stall} s")
        return False

    wait_until(check, timeout=3600, what=what)


PORTS = []                                      # sockets that keep others away from our ports


def free_port():
    """A port no connection gets by chance, as it is below the range the kernel hands out, and no
    other test: while this process lives it has a name that says so, whoever listens there or not."""
    while True:
        port = random.SystemRandom().randrange(10000, 30000)
        ours = socket.socket(socket.AF_UNIX)
        try:
            ours.bind(f"\0p2pchat-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
            PORTS.append(ours)
            return port
        except OSError:
            ours.close()


def to_variant(value):
    if isinstance(value, GLib.Variant):
        return value
    if isinstance(value, bool):
        return GLib.Variant("b", value)
    if isinstance(value, int):
        return GLib.Variant("u", value)
    return GLib.Variant("s", value)


def options(values):
    return {key: to_variant(value) for key, value in values.items()}


def error_from(error):
    name = Gio.DBusError.get_remote_error(error) or "local"
    Gio.DBusError.strip_remote_error(error)
    return BusError(name.removeprefix(ERROR), error.message)


def connect(address):
    """One more client of a bus; its life does not hang on this process'."""
    connection = Gio.DBusConnection.new_for_address_sync(
        address,
        Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
        | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
    connection.set_exit_on_close(False)
    return connection


class Process:
    """A program under test: log, readiness by sd_notify, and an end that is always seen."""

    def __init__(self, directory, name, env):
        self.directory = pathlib.Path(directory)
        self.name = name
        self.env = env
        self.popen = None
        self.starts = 0
        self.said = ""                          # everything it told the service manager
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.notify_path = str(self.directory / f"{name}.notify")
        self.notify.bind(self.notify_path)
        # Who tells its state often waits when a dozen of them have not been read.
        self.watch = GLib.io_add_watch(self.notify.fileno(), GLib.PRIORITY_DEFAULT, GLib.IO_IN,
                                       self.on_notify)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen is not None and self.popen.poll() is None

    def log_path(self):
        return self.directory / f"{self.name}.{self.starts}.log"

    def log(self):
        return self.log_path().read_text(errors="replace")

    def on_notify(self, *_):
        self.read_notify()
        return True

    def read_notify(self):
        while True:
            try:
                self.said += self.notify.recv(4096).decode() + "\n"
            except BlockingIOError:
                return self.said

    def status_line(self):
        """What `systemctl status` would show now."""
        return self.read_notify().rpartition("STATUS=")[2].partition("\n")[0]

    def launch(self, argv, wait=True):
        assert not self.running(), f"{self.name} runs already"
        self.starts += 1
        self.read_notify()
        self.said = ""
        with open(self.log_path(), "wb") as log:
            self.popen = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *map(str, argv)], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=dict(self.env, NOTIFY_SOCKET=self.notify_path))
        if wait:
            wait_until(self.is_ready, what=f"{self.name} is ready")

    def is_ready(self):
        if not self.running():
            raise AssertionError(f"{self.name} ended with {self.popen.returncode}:\n{self.log()}")
        return "READY=1" in self.read_notify()

    def reload(self):
        """SIGHUP; returns what it told the service manager until it was ready again."""
        self.read_notify()
        self.said = ""
        self.popen.send_signal(signal.SIGHUP)
        wait_until(lambda: "READY=1" in self.read_notify(), what=f"{self.name} has reloaded")
        assert self.running(), self.log()
        return self.said

    def wait_exit(self, timeout=60):
        wait_until(lambda: not self.running(), timeout, f"end of {self.name}")
        return self.popen.returncode

    def stop(self):
        """SIGTERM, which every program answers with exit status 0."""
        if not self.running():
            return
        self.popen.send_signal(signal.SIGCONT)  # a test may have stopped it and failed
        self.popen.send_signal(signal.SIGTERM)
        rc = self.wait_exit()
        assert rc == 0, f"{self.name}: SIGTERM gave exit status {rc}\n{self.log()}"

    def kill(self):
        if self.popen is not None:
            self.popen.kill()
            self.popen.wait()

    def close(self):
        self.kill()
        GLib.source_remove(self.watch)
        self.notify.close()

    def logs(self):
        for number in range(1, self.starts + 1):
            path = self.directory / f"{self.name}.{number}.log"
            if path.exists():
                yield path.name, path.read_text(errors="replace")
        if self.popen is not None and self.popen.poll() is not None:
            yield self.name, f"ended with {self.popen.returncode}\n"


class Tracker(Process):
    def __init__(self, lab, name="tracker", config=""):
        super().__init__(lab.directory, name, lab.base_env())
        self.port = free_port()
        self.config = lab.directory / f"{name}.conf"
        self.state = lab.directory / f"{name}.state"
        self.configure(config)

    def configure(self, config):
        defaults = {"limits": "limits = { registrations-per-hour = 0; };",
                    "lan": "lan = { enabled = false; };"}
        lines = [line for key, line in defaults.items() if f"{key} =" not in config]
        self.config.write_text("\n".join(
            [f'listen = ( "127.0.0.1:{self.port}" );', *lines, config, ""]))

    def argv(self):
        return [TRACKER, "--config", self.config, "--state-dir", self.state]

    def start(self, wait=True):
        self.launch(self.argv(), wait)
        return self

    def restart(self):
        self.stop()
        return self.start()

    def address(self):
        done = subprocess.run([*self.argv(), "--print-address"], env=self.env,
                              timeout=DEADLINE, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.removesuffix("\n")


class Bus(Process):
    """A dbus-daemon that knows nothing but what is put into its services directory."""

    def __init__(self, lab, name, env):
        super().__init__(lab.directory, name, env)
        self.home = lab.directory / f"{name}.d"
        (self.home / "services").mkdir(parents=True)
        config = self.home / "session.conf"
        config.write_text(BUS_CONFIG.format(directory=self.home))
        self.address = f"unix:path={self.home}/bus"
        self.launch(["dbus-daemon", "--config-file", config, "--nofork", "--nopidfile"], False)
        wait_until(lambda: self.is_listening(), what=f"{name} listens")

    def is_listening(self):
        assert self.running(), self.log()
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(f"{self.home}/bus") == 0


class User(Process):
    """One user on a machine of his own: home, session bus, daemon, chatc, and a D-Bus client."""

    def __init__(self, lab, name, config=None, trackers=None):
        self.home = lab.directory / name
        for part in ("config/p2pchat", "state", "data", "cache", "run"):
            (self.home / part).mkdir(parents=True, mode=0o700)
        env = dict(lab.base_env(), HOME=str(self.home), XDG_CONFIG_HOME=str(self.home / "config"),
                   XDG_STATE_HOME=str(self.home / "state"), XDG_DATA_HOME=str(self.home / "data"),
                   XDG_CACHE_HOME=str(self.home / "cache"), XDG_RUNTIME_DIR=str(self.home / "run"))
        super().__init__(lab.directory, name, env)
        self.config = self.home / "config/p2pchat/p2pchatd.conf"
        self.state = self.home / "state/p2pchat"
        self.trackers = lab.tracker_addresses() if trackers is None else trackers
        self.configure(config or "")
        self.bus = Bus(lab, f"{name}.bus", env)
        self.env = dict(env, DBUS_SESSION_BUS_ADDRESS=self.bus.address,
                        DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={self.home}/run/system_bus_socket")
        self.events = []
        self.closed = ""                        # why the client lost the bus, if it did
        self.connection = connect(self.bus.address)
        self.connection.connect("closed", self.on_closed)
        self.connection.signal_subscribe(None, NAME, None, PATH, None,
                                         Gio.DBusSignalFlags.NONE, self.on_signal)
        self.connection.signal_subscribe(None, "org.freedesktop.DBus.Properties", None, PATH, NAME,
                                         Gio.DBusSignalFlags.NONE, self.on_signal)

    def configure(self, config):
        """Writes the configuration; a key in config replaces what the tests have as default."""
        trackers = ", ".join(f'"{address}"' for address in self.trackers)
        defaults = {
            "trackers": f"trackers = ( {trackers} );",
            "listen": 'listen = { address = "127.0.0.1"; };',
            "lan": "lan = { enabled = false; };",
            "contacts": 'contacts = { accept = "all"; };',
        }
        lines = [line for key, line in defaults.items()
                 if not re.search(rf"^\s*{key}\s*=", config, re.MULTILINE)]
        self.config.write_text("\n".join([*lines, config, ""]))

    def start(self, wait=True, args=()):
        if self.popen is not None:              # of one that was killed the bus learns a moment later
            wait_until(lambda: not self.owns_name(), what=f"{self.name} has left the bus")
        self.launch([P2PCHATD, *args], wait)
        if wait:
            wait_until(self.owns_name, what=f"{self.name} owns {NAME}")
        return self

    def restart(self):
        self.stop()
        return self.start()

    def owns_name(self):
        answer = self.connection.call_sync(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
            "NameHasOwner", GLib.Variant("(s)", (NAME,)), None, Gio.DBusCallFlags.NONE, -1, None)
        return answer.unpack()[0]

    # signals

    def on_closed(self, _connection, _by_the_bus, error):
        self.closed = f"lost the bus: {error.message if error else 'closed here'}\n"

    def on_signal(self, _connection, _sender, _path, _interface, name, args):
        self.events.append(Event(time.monotonic(), name, args.unpack()))

    def signals(self, name, predicate=lambda *args: True, since=0):
        """Those that have come; settle() before, where one that is on its way would matter."""
        return [e for e in self.events[since:] if e.name == name and predicate(*e.args)]

    def wait_signal(self, name, predicate=lambda *args: True, since=0, timeout=60):
        """The first such signal from events[since] on; one that came already counts."""
        place = [since]

        def look():
            while place[0] < len(self.events):
                event = self.events[place[0]]
                place[0] += 1
                if event.name == name and predicate(*event.args):
                    return event
            return None

        return wait_until(look, timeout, f"{self.name} sees {name}")

    def settle(self):
        """Until all that the daemon has told so far is in events: its answer comes after that. Of
        one that has ended the bus has read everything when it gives up its name."""
        if self.running():
            self.call("Ping", "", interface="org.freedesktop.DBus.Peer")
        else:
            wait_until(lambda: not self.owns_name(), what=f"{self.name} has left the bus")
        wait_until(lambda: not GLib.MainContext.default().pending())

    def mark(self):
        """Where in events begins what is told from now on."""
        self.settle()
        return len(self.events)

    # calls

    def call(self, method, signature="a{sv}", *args, interface=NAME, timeout=60):
        """A call of the daemon; a dict is turned into a{sv}. One value comes without its tuple."""
        values = tuple(options(a) if isinstance(a, dict) else a for a in args)
        if signature == "a{sv}" and not args:
            values = ({},)
        try:
            answer = self.connection.call_sync(
                NAME, PATH, interface, method, GLib.Variant(f"({signature})", values), None,
                Gio.DBusCallFlags.NO_AUTO_START, timeout * under.SLOW * 1000, None)
        except GLib.Error as error:
            raise error_from(error) from None
        values = answer.unpack()
        return values[0] if len(values) == 1 else values

    def send(self, to, text, **more):
        return self.call("Send", "ssa{sv}", to, text, {k.replace("_", "-"): v for k, v in
                                                        more.items()})

    def property(self, name):
        return self.call("Get", "ss", NAME, name, interface="org.freedesktop.DBus.Properties")

    def status(self):
        return self.call("Status")

    def list(self, method, *args, **more):
        """The dictionaries of one answer, without the one that says there is more."""
        rows = self.call(method, "s" * len(args) + "a{sv}", *args, more)
        return [row for row in rows if "more" not in row]

    def history(self, other):
        """All messages with somebody, oldest first, paged backwards from the newest."""
        rows = []
        while True:
            more = {"before": rows[0]["id"]} if rows else {}
            page = self.list("ListMessages", other, limit=1000, **more)
            if not page:
                return rows
            rows = page + rows

    def peer(self, name):
        return next((p for p in self.list("ListPeers") if p["name"] == name), None)

    # what a user does first

    def register(self, name=None, **more):
        more.setdefault("no-password", True)
        self.call("Register", "ssa{sv}", name or self.name, "", more)
        return self

    def wait_state(self, state, timeout=120):
        wait_until(lambda: self.property("State") == state, timeout, f"{self.name} is {state}")
        return self

    def join(self, name=None):
        """Started, registered and online: how most tests begin."""
        return self.start().register(name).wait_state("online")

    def wait_delivered(self, other, ids, timeout=120):
        ids = set(ids)
        wait_until(lambda: ids <= {m["id"] for m in self.history(other)
                                   if m["state"] in DELIVERED},
                   timeout, f"{len(ids)} messages of {self.name} are delivered")

    def exchange(self, other, text="hi"):
        """One message to the other and its receipt: from then on both know each other."""
        self.wait_delivered(other.name, [self.send(other.name, text)])

    def chatc(self, *args, stdin=None, env=None, timeout=60):
        text = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run([CHATC, *args], env=dict(self.env, **(env or {})),
                              timeout=timeout * under.SLOW, capture_output=True,
                              input=text if text is not None else b"")
        result = Result(done.returncode, done.stdout.decode(errors="replace"),
                        done.stderr.decode(errors="replace"))
        assert not COMPLAINT.search(result.err), result.err
        assert done.returncode >= 0, f"chatc {args} died of signal {-done.returncode}"
        return result

    def chatc_json(self, *args, **more):
        result = self.chatc("--json", *args, **more)
        assert result.rc == 0, result
        return [json.loads(line) for line in result.out.splitlines()]

    def close(self):
        super().close()
        self.bus.close()

    def logs(self):
        yield from super().logs()
        yield f"{self.name}'s client", self.closed
        yield from self.bus.logs()


class Lab:
    """All that one test starts, in one directory that goes with it."""

    current = None                              # one at a time; its logs explain a failure

    def __init__(self):
        Lab.current = self
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="p2pchat-"))
        self.processes = []

    @staticmethod
    def base_env():
        return dict(under.options(), PATH=os.environ["PATH"], LANG="C.UTF-8", HOME="/nonexistent")

    def add(self, process):
        self.processes.append(process)
        return process

    def tracker(self, name="tracker", config="", start=True):
        tracker = self.add(Tracker(self, name, config))
        return tracker.start() if start else tracker

    def tracker_addresses(self):
        return [p.address() for p in self.processes if isinstance(p, Tracker)][:1]

    def user(self, name, config=None, trackers=None):
        return self.add(User(self, name, config, trackers))

    def users(self, *names, config=None):
        """Registered and online at the lab's tracker."""
        return [self.user(name, config).join() for name in names]

    def logs(self):
        return "\n".join(f"----- {name}\n{text[-20000:]}" for process in self.processes
                         for name, text in process.logs() if text)

    def close(self):
        Lab.current = None
        problems = []
        for process in reversed(self.processes):
            try:
                process.stop()
            except AssertionError as error:
                problems.append(str(error))
            process.close()
        for process in self.processes:
            problems += [f"{name}: {COMPLAINT.search(text).group()}"
                         for name, text in process.logs() if COMPLAINT.search(text)]
        logs = self.logs() if problems else ""
        shutil.rmtree(self.directory, ignore_errors=True)
        assert not problems, "\n".join(problems) + "\n" + logs
