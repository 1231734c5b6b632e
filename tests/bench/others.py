# SPDX-License-Identifier: GPL-3.0-or-later
"""Other systems with the same work: messages of the same size from one user to another.

Servers run with a configuration of their own in the lab's directory, on loopback only, and end with
it. What each keeps on disk, and when, is told with its figures: none of them waits for the disk.
"""
import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import time

import harness
import kernel
from idle import wake_ups
from measure import MIB, ROUNDS, SIZE, few, medians, report, run

MOSQUITTO = """listener {port} 127.0.0.1
certfile {directory}/cert.pem
keyfile {directory}/key.pem
allow_anonymous true
user {user}
set_tcp_nodelay true
max_inflight_messages 0
max_queued_messages 0
persistence true
persistence_location {directory}/
{more}
"""
# As it comes prosody lets Nagle's algorithm delay answers, and rests for a millisecond or more after
# each 4 KiB that it reads.
PROSODY = """run_as_root = true
daemonize = false
data_path = "{directory}"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ }}
s2s_ports = {{ }}
c2s_direct_tls_ports = {{ {port} }}
ssl = {{ certificate = "{directory}/cert.pem", key = "{directory}/key.pem" }}
network_settings = {{ nagle = false, read_size = 65536, min_wait = 0.000001 }}
authentication = "insecure"
insecure_open_authentication = "Yes please, I know what I'm doing!"
modules_enabled = {{ "saslauth", "tls", "presence", "message", {more} }}
modules_disabled = {{ "s2s", "offline" }}
default_archive_policy = true
log = {{ warn = "{directory}/log" }}
VirtualHost "localhost"
"""
PATH = os.environ["PATH"] + ":/usr/sbin"


def version(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, env=dict(os.environ, PATH=PATH))
    return done.stdout.strip()


def debian_version(package):
    """Of an installed package, without Debian's own revision."""
    done = version("dpkg-query", "-W", "-f", "${Version}", package)
    return done.rpartition("-")[0].rpartition(":")[2]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def server(lab, name, config, argv, more):
    """A server with its CONFIG; gives its process and its port."""
    directory = lab.directory / f"{name}-{time.monotonic_ns()}"
    directory.mkdir()
    port = harness.free_port()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost", "-days",
                    "2", "-keyout", directory / "key.pem", "-out", directory / "cert.pem"],
                   check=True, stderr=subprocess.DEVNULL)
    path = directory / "config.lua"             # a suffix that prosody insists on
    path.write_text(config.format(port=port, directory=directory, user=getpass.getuser(),
                                  more=more))
    with open(directory / "output", "wb") as output, subprocess.Popen(
            [*argv, path], stdout=output, stderr=output,
            env=dict(os.environ, PATH=PATH)) as running:
        try:
            harness.wait_until(lambda: listens(port), 30, f"{name} listens")
            yield running, port
        except BaseException:
            print((directory / "output").read_text(errors="replace")[-2000:], file=sys.stderr)
            raise
        finally:
            running.kill()


def report_work(name, system, keeps, measure_one, count=20000):
    """COUNT pipelined, and others one at a time; MEASURE_ONE takes count and window."""
    for beside, count, window in (("pipelined", few(count, 1000), 256),
                                  ("one-message", few(1000, 100), 1)):
        result = medians([measure_one(count, window) for _ in range(ROUNDS)])
        value, unit = (result["rate"], "messages/s") if window > 1 else (result["p50"], "ms")
        report(f"{name}-{beside}", value, unit, ROUNDS * count, result["p50"], result["p99"],
               beside=beside, system=system, keeps=keeps)


def report_idle(name, system, pid):
    seconds = few(30, 5)
    time.sleep(2)
    before = wake_ups(pid)
    time.sleep(seconds)
    woken = (wake_ups(pid) - before) / seconds
    for beside, value, unit in (("idle-memory", kernel.anonymous_memory(pid) / MIB, "MiB"),
                                ("idle-wake-ups", woken, "1/s")):
        report(f"{name}-{beside}", value, unit, 1, beside=beside, system=system,
               keeps="server without clients" if name != "tox" else "node without friends")


def mosquitto(lab):
    system = f"mosquitto {debian_version('mosquitto')}"
    for save, more, keeps in (
            ("", "autosave_interval 1800", "a snapshot every half hour"),
            ("-saved", "autosave_interval 1\nautosave_on_changes true",
             "all it has, written anew and synced after it has answered")):
        for qos in (1, 2):
            with server(lab, "mosquitto", MOSQUITTO, ["mosquitto", "-c"], more) as (running, port):
                report_work(f"mosquitto{save}-qos{qos}",
                            f"{system}, QoS {qos}{save.replace('-', ', ')}", keeps,
                            lambda count, window: run("other/mqtt", port, qos, count, window,
                                                      SIZE), 2000 if save else 20000)
                if not save and qos == 1:
                    report_idle("mosquitto", system, running.pid)


def prosody(lab):
    system = f"prosody {debian_version('prosody')}"
    argv = ["prosody", "-F", "--config"]
    for archive, more, keeps in (("", "", "nothing"),
                                 ("-archive", '"mam"', "an archive in files; no fsync")):
        with server(lab, "prosody", PROSODY, argv, more) as (running, port):
            report_work(f"prosody{archive}", system + archive.replace("-", ", "), keeps,
                        lambda count, window: run("other/xmpp", port, count, window, SIZE),
                        2000 if archive else 20000)
            if not archive:
                report_idle("prosody", system, running.pid)


def tox(_lab):
    system = f"c-toxcore {debian_version('libtoxcore-dev')}"
    for how in ("busy", "interval"):
        report_work(f"tox-{how}", f"{system}, {how}", "nothing",
                    lambda count, window: run("other/tox", how, count if window > 1 else
                                              few(50, 10), window, SIZE))  # receipts take long
    with subprocess.Popen([harness.BUILD / "tests/bench/other/tox", "idle"]) as running:
        try:
            report_idle("tox", system, running.pid)
        finally:
            running.kill()


def others(lab):
    if shutil.which("mosquitto", path=PATH):
        mosquitto(lab)
    if shutil.which("prosody", path=PATH):
        prosody(lab)
    if (harness.BUILD / "tests/bench/other/tox").exists():
        tox(lab)
