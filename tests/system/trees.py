#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""trees.py [make | RELEASE-KIND]: Debian trees for tests that want a whole system.

A tree is made once, from the archive that apt uses here, and kept in $P2PCHAT_TREES, else in
${XDG_CACHE_HOME:-~/.cache}/p2pchat. Nothing writes to it afterwards: a container runs it below an
overlay that is thrown away. KIND is "bare", nothing but what is essential, "build", which has what the
packages say that building them takes, "full", which has systemd, what building and checking the
packages takes, and what they depend on, or "matrix", which has what tools/matrix needs.

"make" makes what tests/system boots; exit status 3: this machine starts no containers, 4: it does not
reach an archive. With a name it makes that tree and prints where it is.
"""
import contextlib
import ctypes
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
DEPS = TOP / "tools/deps"
RELEASES = ("bookworm", "trixie")
UNUSED = 24 * 3600                  # seconds
PR_SET_PDEATHSIG = 1                # prctl(2)

FULL = """
systemd systemd-sysv libpam-systemd dbus dbus-user-session dbus-broker libglib2.0-bin
python3 python3-gi python3-dbus python3-pytest python3-pytest-timeout
iproute2 procps strace kmod
build-essential fakeroot lintian appstream desktop-file-utils groff mandoc man-db autopkgtest patch xz-utils
bzip2 libasan8 libubsan1 debsums adduser
""".split()


class Unavailable(Exception):
    """This machine cannot have it; KIND as in tests/allowed-skips."""

    def __init__(self, kind, why):
        super().__init__(why)
        self.kind = kind


def cache():
    chosen = os.environ.get("P2PCHAT_TREES")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = pathlib.Path(chosen or os.path.join(base, "p2pchat")).resolve()
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def locked(path):
    """Two test programs make one thing once."""
    with open(path, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_logged(command, log, **options):
    with open(log, "wb") as output:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output,
                              stderr=subprocess.STDOUT, check=False, **options).returncode


# Containers


def cgroups():
    """Where PID 1 is not systemd the cgroup hierarchies are nobody's: a container gets a group of its
    own in each, else several of them would share one."""
    if os.path.isdir("/run/systemd/system"):
        return []
    top = pathlib.Path("/sys/fs/cgroup")
    if (top / "cgroup.procs").exists():     # the only hierarchy
        return [top]
    return [path for path in (top / "systemd", top / "unified") if path.is_dir()]


def enter_cgroups(machine):
    for hierarchy in cgroups():
        group = hierarchy / machine
        group.mkdir(exist_ok=True)
        (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")


def begin_container(machine):
    """In the process that becomes systemd-nspawn: when the test dies it ends what it runs."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    enter_cgroups(machine)


def leave_cgroups(machine):
    """After its last process has gone."""
    for hierarchy in cgroups():
        for folder, _, _ in os.walk(hierarchy / machine, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def nspawn(tree, machine, *options):
    """The command line; its process enters its groups first."""
    enter = (f"import sys, os; sys.path.insert(0, {str(TOP / 'tests/system')!r}); import trees; "
             "trees.begin_container(sys.argv[1]); os.execvp(sys.argv[2], sys.argv[2:])")
    return ["env", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", sys.executable, "-Bc", enter, machine,
            "systemd-nspawn", "--quiet", f"--directory={tree}", f"--machine={machine}",
            "--register=no", "--keep-unit", "--console=pipe", *options]


def check_containers():
    """Raises Unavailable unless a container really starts here."""
    if os.geteuid() != 0:
        raise Unavailable("no-root", "a container is started by root")
    if not shutil.which("systemd-nspawn"):
        raise Unavailable("no-containers", "there is no systemd-nspawn")
    machine = f"p2pchat-probe-{os.getpid()}"
    done = subprocess.run(
        nspawn("/", machine, "--volatile=yes", "--private-network", "--as-pid2", "/usr/bin/true"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        encoding="utf-8", errors="replace")
    leave_cgroups(machine)
    if done.returncode != 0:
        raise Unavailable("no-containers",
                          f"systemd-nspawn starts none here: {done.stdout.strip()[-200:]}")


# Making trees


def archive():
    """The archive of Debian that apt is configured with; without one, what mmdebstrap takes."""
    with contextlib.suppress(OSError):
        done = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, encoding="utf-8")
        found = re.findall(r"^Debian\|Debian\|(.*)", done.stdout, re.MULTILINE)
        return sorted(set(found))[:1]
    return []


def build_depends():
    control = TOP / "debian/control"
    field = re.search(r"^Build-Depends:(.*(?:\n[ \t].*)*)", control.read_text(encoding="utf-8"),
                      re.MULTILINE)
    # A profile such as <!nocheck> means nothing to apt-get satisfy.
    return re.sub(r"<!?[a-z][^<>]*>|\s+", " ", field[1]).strip(" ,")


def recipe(kind):
    """Arguments of mmdebstrap."""
    options = ["--quiet", "--variant=minbase", "--aptopt=Acquire::Languages \"none\""]
    if kind == "bare":
        return options
    if kind == "build":
        # What builds packages for Debian has this file.
        options += ["--customize-hook=echo 127.0.0.1 localhost >\"$1/etc/hosts\""]
    if kind == "matrix":
        return options + [f"--customize-hook=copy-in {DEPS} /root",
                          "--customize-hook=chroot \"$1\" /root/deps build test matrix"]
    packages = FULL if kind == "full" else ["build-essential"]
    apt = "chroot \"$1\" env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends"
    return options + [f"--include={','.join(packages)}",
                      f"--customize-hook={apt} satisfy '{build_depends()}'"]


def recipe_id(kind):
    said = "\n".join(recipe(kind)).encode().replace(bytes(DEPS), b"deps")
    return hashlib.sha256(said + DEPS.read_bytes() * (kind == "matrix")).hexdigest()


def path_of(release, kind):
    """Its name says of which recipe it is, so that two versions of this source do not take turns."""
    return cache() / (release if kind == "bare" else f"{release}-{kind}-{recipe_id(kind)[:8]}")


def remove_old(path):
    """Trees of other recipes that nobody has used for a while."""
    for lock in path.parent.glob(f"{path.name.rpartition('-')[0]}-????????.lock"):
        old = lock.with_suffix("")
        if old != path and time.time() - lock.stat().st_mtime > UNUSED:
            subprocess.run(["rm", "-rf", "--one-file-system", old, lock, f"{old}.log"], check=True)


def make(release, kind, path):
    if not shutil.which("mmdebstrap"):
        raise Unavailable("no-archive", "there is no mmdebstrap")
    print(f"Making a {kind} tree of {release} in {path}", file=sys.stderr, flush=True)
    new = path.with_name(path.name + ".new")
    log = path.with_name(path.name + ".log")
    subprocess.run(["rm", "-rf", "--one-file-system", new], check=True)
    if run_logged(["mmdebstrap", *recipe(kind), release, new, *archive()], log) != 0:
        words = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        if run_logged(["mmdebstrap", "--quiet", "--variant=minbase", "--simulate", release,
                       os.devnull, *archive()], log.with_suffix(".probe")) != 0:
            raise Unavailable("no-archive", f"the archive of {release} is out of reach")
        raise RuntimeError(f"mmdebstrap made no {kind} tree of {release}:\n{words}")
    new.rename(path)
    remove_old(path)


def tree(release, kind):
    """The path of a tree, which is made unless it is there."""
    path = path_of(release, kind)
    with locked(path.with_name(path.name + ".lock")):
        if not path.is_dir():
            make(release, kind, path)
    return path


def main():
    name = sys.argv[1] if len(sys.argv) == 2 else "make"
    found = re.fullmatch(r"(\w+)-(bare|build|full|matrix)", name)
    if not found and name != "make":
        print(__doc__.partition("\n\n")[0], file=sys.stderr)
        return 2
    try:
        if found:
            print(tree(found[1], found[2]))
            return 0
        check_containers()
        for release in RELEASES:
            tree(release, "full")
    except Unavailable as error:
        print(f"No tests in a booted system: {error}", file=sys.stderr)
        return 4 if error.kind == "no-archive" else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
