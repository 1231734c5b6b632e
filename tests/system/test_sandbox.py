# SPDX-License-Identifier: GPL-3.0-or-later
"""What the services can do and cannot, tried from inside."""
import base64
import json
import pathlib
import re

import pytest

import boot
import trees
from service import STATE, drop_in, exchange, register, set_up_tracker, tracker_drop_in

TOP = trees.TOP
PROBE = "/usr/local/lib/probe.py"
OPEN = [f"{above}/open" for above in ("/usr/local", "/etc", "/var", "/srv", "/opt")]

# Tenths, as systemd-analyze counts for a system service without the machine.
EXPOSURES = {"p2pchatd.service": 20, "p2pchat-tracker.service": 12}

# In place of the program: Type=oneshot, so that starting ends when the probe does.
PROBE_INSTEAD = """[Service]
Type=oneshot
ExecStart=
ExecStart=/usr/bin/python3 {} {}
Restart=no
"""


@pytest.fixture(scope="module", name="alice")
def alice_fixture(box):
    return box.add_user("alice")


@pytest.fixture(scope="module", name="couple")
def couple_fixture(box, alice):
    """Two who have accounts."""
    bob = box.add_user("bob")
    register(set_up_tracker(box), alice, bob)
    return alice, bob


@pytest.fixture(scope="module", name="things")
def things_fixture(box, alice):
    """What the probe tries, all of it possible for alice or root outside of a sandbox."""
    box.put(PROBE, (TOP / "tests/system/probe.py").read_text(encoding="utf-8"), 0o755)
    box.run("mkdir", "-m", "1777", *OPEN)
    box.run("install", "-m", "4755", "/usr/bin/id", "/usr/local/bin/root-id")
    box.run("mknod", "-m", "666", "/dev/open", "c", "1", "3")
    box.run("install", "-d", "-m", "755", "/home/neighbour")
    for public in "/home/neighbour/public", "/tmp/public":
        box.put(public, "anybody may read this")
    alice.put(f"{alice.home}/.ssh/id_ed25519", "secret", 0o600)
    victim = alice.run("sh", "-c", "sleep infinity >/dev/null 2>&1 & echo $!").stdout.strip()
    alice.run("sh", "-c", "python3 -c 'import pty; pty.spawn([\"sleep\", \"infinity\"])' "
              "</dev/null >/dev/null 2>&1 &")
    plan = {"write": [*OPEN, "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock",
                      f"/run/user/{alice.uid}", alice.home],
            "read": [f"{alice.home}/.ssh/id_ed25519", "/home/neighbour/public",
                     "/tmp/public", "/dev/open"],
            "victim": int(victim)}
    box.put("/etc/probe.json", json.dumps(plan))
    outside = {}
    for who in alice, box:
        path = f"/var/tmp/outside-{getattr(who, 'name', 'root')}"
        who.run(PROBE, path)
        report = json.loads(box.run("cat", path).stdout)
        outside.update({what: result for what, result in report["results"].items()
                        if outside.get(what) != "done"})
    # These two depend on the kernel, and on the container that the boxes themselves may be in.
    assert {what for what, result in outside.items() if result != "done"} <= {"vsock", "keys"}, outside
    return sorted(outside)


def probe(box, path):
    report = json.loads(box.run("cat", path).stdout)
    box.run("rm", path)
    return report


DEVICES = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "mqueue",
           "hugepages", "log", "fd", "stdin", "stdout", "stderr", "char", "core"}


def check_prevented(report, things, own, but=()):
    assert sorted(report["results"]) == things
    assert [what for what, how in report["results"].items() if how == "done"] == [*but], report
    assert {path for path in report["folders"] if not path.startswith(f"{own}/")} == {own}
    assert set(report["devices"]) <= DEVICES, report["devices"]


def test_what_the_daemon_cannot_do(box, alice, things):
    drop_in(alice, PROBE_INSTEAD.format(PROBE, f"%h/{STATE}/probe"))
    alice.systemctl("start", "p2pchatd")
    drop_in(alice, None)
    check_prevented(probe(box, f"{alice.home}/{STATE}/probe"), things, f"{alice.home}/{STATE}",
                    but=["netlink"])


def test_what_the_tracker_cannot_do(box, things):
    box.systemctl("stop", "p2pchat-tracker.socket", "p2pchat-tracker.service")
    tracker_drop_in(box, PROBE_INSTEAD.format(PROBE, "%S/p2pchat-tracker/probe"))
    box.systemctl("start", "p2pchat-tracker.service")
    tracker_drop_in(box, None)
    box.systemctl("stop", "p2pchat-tracker.socket", "p2pchat-tracker.service")
    box.systemctl("start", "p2pchat-tracker.service")
    check_prevented(probe(box, "/var/lib/private/p2pchat-tracker/probe"), things,
                    "/var/lib/private/p2pchat-tracker", but=["netlink"])


def test_what_is_mounted_later_is_out_of_reach(box, couple):
    alice = couple[0]
    for path in "/media/late", "/mnt/late", "/srv/late":
        box.run("mkdir", path)
        box.run("mount", "-t", "tmpfs", "-o", "mode=1777", "late", path)
        alice.run("touch", f"{path}/outside")
        for pid in alice.show("MainPID"), box.show("MainPID"):
            inside = box.run("nsenter", f"--target={pid}", "--mount", "--user",
                             "--preserve-credentials", "touch", f"{path}/inside", check=False)
            assert inside.returncode == 1, inside.stdout


def test_what_the_processes_have_left(box, couple):
    for pid in couple[0].show("MainPID"), box.show("MainPID"):
        status = box.run("cat", f"/proc/{pid}/status").stdout
        for line in ("NoNewPrivs:\t1", "Seccomp:\t2", "Umask:\t0077", "CapPrm:\t0000000000000000",
                     "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"):
            assert f"\n{line}\n" in status, status
        assert re.search(r"^Max core file size +0 +0 ", box.run("cat", f"/proc/{pid}/limits").stdout,
                         re.MULTILINE)
        assert int(box.run("cat", f"/proc/{pid}/coredump_filter").stdout, 16) == 0x10


@pytest.mark.parametrize("unit", EXPOSURES)
def test_exposure(box, alice, unit):
    path = (alice if unit == "p2pchatd.service" else box).show("FragmentPath", unit)
    box.run("systemd-analyze", "security", "--no-pager", "--offline=true",
            f"--threshold={EXPOSURES[unit]}", path)


def test_everything_works_inside(couple):
    alice, bob = couple
    for user in couple:
        user.systemctl("reload", "p2pchatd")
        said = user.chatc("doctor")
        assert "failed" not in said, said
    exchange(alice, bob, "after a reload")
    for user in couple:
        user.systemctl("restart", "p2pchatd")
    exchange(alice, bob, "after a restart")


EAR = """import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ear.bind(("255.255.255.255", 6004))
    while True:
        print(ear.recv(2000).hex(), flush=True)
"""


def test_an_interface_that_comes_is_used(box, couple):
    """Both hear of it by netlink, and say on it by UDP that they are there."""
    alice = couple[0]
    alice.put(f"{alice.home}/.config/p2pchat/p2pchatd.conf", "lan = { enabled = true; };\n")
    alice.systemctl("reload", "p2pchatd")
    box.put("/usr/local/lib/ear.py", EAR)
    box.run("systemd-run", "--unit=ear", "--property=StandardOutput=file:/run/heard",
            "python3", "/usr/local/lib/ear.py")
    box.run("sh", "-ec", "ip link add lan0 type veth peer name far0; ip link set far0 up; "
            "ip address add 192.0.2.1/24 dev lan0; ip link set lan0 up")
    key = box.run("p2pchat-tracker", "--print-address").stdout.strip().partition("#")[2]
    for who in b"alice", base64.b32decode(f"{key.upper()}===="):
        boot.wait_until(
            lambda said=who.hex(): said in box.run("cat", "/run/heard", check=False).stdout,
            f"the beacon with {who}")
    box.run("ip", "link", "delete", "lan0")
    box.systemctl("stop", "ear")
    alice.run("rm", f"{alice.home}/.config/p2pchat/p2pchatd.conf")
    alice.systemctl("reload", "p2pchatd")


def test_lock_and_idleness_of_the_session_are_seen(box, couple):
    """logind is asked from inside, about a session that is there for it alone."""
    alice = couple[0]
    alice.put(f"{alice.home}/.config/p2pchat/p2pchatd.conf",
              'listen = { address = "127.0.0.1"; };\nheartbeat = { away-after = 5; };\n')
    alice.systemctl("reload", "p2pchatd")

    def said():
        return re.search("^.*notifications.*$", alice.chatc("doctor"), re.MULTILINE)[0]

    assert "locked" not in said()
    box.run("systemd-run", "--unit=display", "--property=PAMName=login", "--property=User=alice",
            "--setenv=XDG_SESSION_TYPE=x11", "--setenv=XDG_SESSION_CLASS=user", "sleep", "infinity")
    session = boot.wait_until(lambda: box.run(
        "loginctl", "show-user", "alice", "--property=Display", "--value").stdout.strip(), "a session")
    path = box.run("busctl", "call", "org.freedesktop.login1", "/org/freedesktop/login1",
                   "org.freedesktop.login1.Manager", "GetSession", "s", session).stdout.split('"')[1]
    for locked in "true", "false", "true":
        box.run("busctl", "call", "org.freedesktop.login1", path, "org.freedesktop.login1.Session",
                "SetLockedHint", "b", locked)
        boot.wait_until(lambda: ("locked" in said()) == (locked == "true"), f"locked: {locked}")
    for idle, presence in ("true", "away"), ("false", "online"), ("true", "away"):
        box.run("busctl", "call", "org.freedesktop.login1", path, "org.freedesktop.login1.Session",
                "SetIdleHint", "b", idle)
        boot.wait_until(lambda: alice.chatc("presence").startswith(presence), f"idle: {idle}")
    box.systemctl("stop", "display")
    boot.wait_until(lambda: "locked" not in said(), "the end of the session")
    boot.wait_until(lambda: alice.chatc("presence").strip() == "online", "she is not idle any more")


# Core dumps


def crash(user, how):
    user.systemctl("kill", f"--signal={how}", "--kill-whom=main", "p2pchatd")
    boot.wait_until(lambda: user.show("NRestarts") == "1" and user.show("ActiveState") == "active",
                    "a restart")


def test_a_crash_leaves_no_secrets(box, couple):
    """No core dump; with the limit lifted, one in which nothing is found that was said. What a last
    one has in it shows that it would be found; where the kernel gives them to a program out here
    there is none to look at."""
    alice, bob = couple
    state = f"{alice.home}/{STATE}"
    limited = f"[Unit]\nStartLimitIntervalSec=0\n[Service]\nWorkingDirectory={state}\n"
    lifted = limited + "LimitCORE=infinity\n"
    cases = [(limited, "SEGV", []), (limited, "ABRT", [])]
    if not pathlib.Path("/proc/sys/kernel/core_pattern").read_bytes().startswith(b"|"):
        cases += [(lifted, "SEGV", [False]), (lifted + "CoredumpFilter=all\n", "SEGV", [True])]
    for settings, how, found in cases:
        drop_in(alice, settings)
        alice.systemctl("restart", "p2pchatd")
        exchange(alice, bob, "a secret")
        crash(alice, how)
        cores = box.run("find", state, "-name", "core*").stdout.split()
        assert [box.run("grep", "-qaF", "a secret", core, check=False).returncode == 0
                for core in cores] == found
        box.run("rm", "-f", *cores)
    drop_in(alice, None)
    alice.systemctl("restart", "p2pchatd")
