# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian tree booted with systemd as PID 1, and its users; see trees.py.

The container runs below an overlay in memory, so it forgets everything when it is closed. Commands
run in its namespaces, with an environment that holds only what a login sets.
"""
import itertools
import json
import os
import pathlib
import shlex
import signal
import subprocess
import tempfile
import time

import trees

PATIENCE = 120                      # seconds for what takes one; only what hangs waits so long
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PAUSE = 0.05

numbers = itertools.count(1)


def wait_until(condition, what, patience=PATIENCE):
    """What CONDITION returns when that is true for the first time."""
    end = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(PAUSE)
    return found


class Failed(AssertionError):
    """A command that should have succeeded; says what it printed."""

    def __init__(self, done):
        words = " ".join(shlex.quote(str(word)) for word in done.args)
        super().__init__(f"{words}\nexit status {done.returncode}\n{done.stdout}")


def complete(command, check, **options):
    options.setdefault("timeout", PATIENCE)
    if "input" not in options:
        options["stdin"] = subprocess.DEVNULL
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          encoding="utf-8", errors="replace", **options)
    if check and done.returncode != 0:
        raise Failed(done)
    return done


class User:
    """An ordinary user of a box, with a service manager of his own that lingers."""

    def __init__(self, box, name):
        self.box, self.name = box, name
        self.uid = int(box.run("id", "-u", name).stdout)
        self.home = box.run("sh", "-c", f"echo ~{name}").stdout.strip()

    def command(self, *words, env=None):
        """The words that run a command as this user, for subprocess.Popen() and its like."""
        environment = {"HOME": self.home, "USER": self.name, "LOGNAME": self.name, "PATH": PATH,
                       "LANG": "C.UTF-8", "XDG_RUNTIME_DIR": f"/run/user/{self.uid}", **(env or {})}
        return self.box.command("setpriv", f"--reuid={self.uid}", f"--regid={self.uid}",
                                "--init-groups", "env", f"--chdir={self.home}", *words,
                                env=environment)

    def run(self, *words, check=True, env=None, **options):
        return complete(self.command(*words, env=env), check, **options)

    def systemctl(self, *words, **options):
        return self.run("systemctl", "--user", *words, **options).stdout

    def show(self, name, unit="p2pchatd.service"):
        """A property of a unit of this user."""
        return self.systemctl("show", "--value", f"--property={name}", unit).strip()

    def chatc(self, *words, **options):
        return self.run("chatc", *words, **options).stdout

    def put(self, path, text, mode=0o644):
        """A file of this user, below his home directory; so are the directories above it."""
        self.run("sh", "-c", f"mkdir -p {shlex.quote(os.path.dirname(path))} && "
                 f"cat >{shlex.quote(path)} && chmod {mode:o} {shlex.quote(path)}", input=text)

    def wait_for_manager(self):
        wait_until(lambda: self.run("systemctl", "--user", "is-system-running", "--wait",
                                    check=False).stdout.strip() in ("running", "degraded"),
                   f"the service manager of {self.name}")


class Box:
    def __init__(self, release, *, kind="full", netns=None, binds=None):
        """NETNS is the name of an ip-netns(8); without one the box has a loopback and nothing else.
        BINDS: paths out here and where they are inside, read-only."""
        self.release = release
        self.machine = f"p2pchat-{os.getpid()}-{next(numbers)}"
        tree = trees.tree(release, kind)
        network = (f"--network-namespace-path=/run/netns/{netns}" if netns
                   else "--private-network")
        # pylint: disable-next=consider-using-with # close() ends it
        self.console = tempfile.NamedTemporaryFile(prefix=f"{self.machine}-", suffix=".log")
        # pylint: disable-next=consider-using-with
        self.nspawn = subprocess.Popen(
            trees.nspawn(tree, self.machine, "--volatile=overlay", network,
                         *(f"--bind-ro={out}:{inside}" for out, inside in (binds or {}).items()),
                         "--boot", "systemd.unit=multi-user.target"),
            stdin=subprocess.DEVNULL, stdout=self.console, stderr=subprocess.STDOUT)
        self.leader = self.group = None
        try:
            self.leader = wait_until(self._find_leader, "PID 1 of the box")
            self.group = self._make_group()
            wait_until(self._is_up, "the box to boot")
            # As the installer of Debian leaves it: a machine knows its own name.
            name = self.run("uname", "--nodename").stdout
            self.put("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _find_leader(self):
        """PID 1 of the box is what nspawn started in a PID namespace of its own."""
        assert self.nspawn.poll() is None, self._said()
        ours = os.readlink("/proc/self/ns/pid")
        children = pathlib.Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children")
        for pid in children.read_text(encoding="ascii").split():
            try:
                status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
                command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
                if (os.readlink(f"/proc/{pid}/ns/pid") != ours and "\nNSpid:" in status and
                        b"systemd.unit=" in command and not command.startswith(b"systemd-nspawn")):
                    return int(pid)
            except OSError:
                pass                # it has just ended
        return None

    def _make_group(self):
        """A control group inside the box for what we run there: logind asks in which one its callers
        are, and those of other containers' processes it cannot name."""
        lines = pathlib.Path(f"/proc/{self.leader}/cgroup").read_text(encoding="ascii").splitlines()
        above = next(line for line in lines if line.startswith("0::")).removeprefix("0::/")
        top = pathlib.Path("/sys/fs/cgroup/unified")
        top = top if top.is_dir() else top.parent
        group = top / above.removesuffix("/init.scope") / "test.scope"
        group.mkdir(exist_ok=True)
        return group

    def _is_up(self):
        assert self.nspawn.poll() is None, self._said()
        state = self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip()
        return state in ("running", "degraded")

    def _said(self):
        return pathlib.Path(self.console.name).read_text(encoding="utf-8", errors="replace")

    def close(self):
        """Its PID 1 takes everything in it along."""
        if self.leader and self.nspawn.poll() is None:
            os.kill(self.leader, signal.SIGKILL)
        else:
            self.nspawn.kill()
        self.nspawn.wait()
        trees.leave_cgroups(self.machine)
        self.console.close()

    def command(self, *words, env=None):
        """The words that run a command as root inside, for subprocess.Popen() and its like."""
        environment = env or {"HOME": "/root", "USER": "root", "PATH": PATH, "LANG": "C.UTF-8"}
        return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', f"{self.group}/cgroup.procs",
                "nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--net", "--pid",
                "--cgroup", "--root", "--wd", "env", "-i",
                *(f"{name}={value}" for name, value in environment.items()), *map(str, words)]

    def run(self, *words, check=True, env=None, **options):
        return complete(self.command(*words, env=env), check, **options)

    def systemctl(self, *words, **options):
        return self.run("systemctl", *words, **options).stdout

    def show(self, name, unit="p2pchat-tracker.service"):
        """A property of a unit of the system."""
        return self.systemctl("show", "--value", f"--property={name}", unit).strip()

    def add_user(self, name):
        self.run("useradd", "--create-home", "--shell=/bin/bash", name)
        self.run("loginctl", "enable-linger", name)
        user = User(self, name)
        user.wait_for_manager()
        return user

    def put(self, path, text, mode=0o644):
        self.run("sh", "-c", f"mkdir -p {shlex.quote(os.path.dirname(path))} && "
                 f"cat >{shlex.quote(path)} && chmod {mode:o} {shlex.quote(path)}", input=text)

    def install(self, *packages):
        """Packages from out here, as dpkg alone does it: there is no network."""
        inside = []
        for package in map(pathlib.Path, packages):
            inside.append(f"/var/tmp/{package.name}")
            with open(package, "rb") as data:
                subprocess.run(self.command("tee", inside[-1]), stdin=data, check=True,
                               stdout=subprocess.DEVNULL)
        return self.run("dpkg", "--install", *inside, env={
            "PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"})

    def journal(self, *words):
        """Its entries, oldest first, as dictionaries."""
        self.run("journalctl", "--sync")
        said = self.run("journalctl", "--no-pager", "--quiet", "--output=json", "--all", *words)
        return [json.loads(line) for line in said.stdout.splitlines()]
