# SPDX-License-Identifier: GPL-3.0-or-later
"""A room of fifty: how long and how many bytes an entry takes to all of them, what nothing new costs,
what it takes in memory, and a member who comes back; beside an IRC server with as many clients."""
import contextlib
import os
import selectors
import shutil
import socket
import statistics
import subprocess
import time

import harness
import kernel
from idle import traffic
from measure import MIB, SIZE, few, report, summary

MEMBERS = few(50, 8)
PRESENT = 6                                     # when somebody comes back
PATH = os.environ["PATH"] + ":/usr/sbin"
ROOM = "#bench"


def make_room(lab):
    lab.tracker()
    people = [lab.user(f"u{n:02}") for n in range(MEMBERS)]
    for person in people:
        person.join()
    people[0].call("CreateRoom", "sa{sv}", ROOM, {})
    for person in people[1:]:
        person.call("JoinRoom", "sa{sv}", ROOM, {})
    harness.wait_until(lambda: all(len(p.list("ListMembers", ROOM)) == MEMBERS for p in people),
                       timeout=300, what="everybody knows everybody")
    return people


def say(people, text):
    """s until each of the others' clients has the signal."""
    begun = time.monotonic()
    message = people[0].send(ROOM, text)
    for person in people[1:]:
        person.wait_signal("MessageReceived", lambda id, *_: id == message)
    return [person.signals("MessageReceived", lambda id, *_: id == message)[0].time - begun
            for person in people[1:]]


def total_traffic(people):
    return sum(traffic(person.pid) for person in people)


def report_entries(people):
    say(people, "warm")
    time.sleep(few(5, 2))
    count, last = few(50, 5), []
    before = total_traffic(people)
    for n in range(count):
        last.append(max(say(people, f"{n} ".ljust(SIZE, "x"))) * 1000)
    time.sleep(few(5, 2))                       # what each tells the others that it has
    after = total_traffic(people)
    times = summary(last)
    report("room-entry", times["p50"], "ms", count, **times,
           **{"is": f"from Send until the last of {MEMBERS - 1} clients has the signal, durable "
              "everywhere"})
    # Each byte is counted at both of its ends.
    report("room-entry-bytes", (after - before) / 2 / count / 1024, "KiB", count,
           **{"is": "on all links together, acknowledged, with TCP, IP and Ethernet headers",
              "texts-alone": SIZE * (MEMBERS - 1) / 1024})


def report_idle(people):
    seconds = few(120, 10)
    time.sleep(few(60, 5))
    before = total_traffic(people)
    time.sleep(seconds)
    report("room-idle", (total_traffic(people) - before) / 2 / seconds * 60 / 1024 / MEMBERS,
           "KiB/minute", seconds, **{"is": "of one member, with all links to the others"})
    report("room-memory", statistics.median(kernel.anonymous_memory(p.pid) for p in people) / MIB,
           "MiB", MEMBERS, **{"is": "of a member's daemon, links included"})


def digest_of(person):
    return person.call("Digest", "sa{sv}", ROOM, {})["digest"]


def newest(person):
    rows = person.list("ListMessages", ROOM, limit=1)
    return rows[0]["id"] if rows else None


def report_return(people):
    """What was said while somebody was away, and the time until he has it."""
    count, away, there = few(10000, 500), people[-1], people[:PRESENT]
    for person in people[PRESENT:]:             # else all of them read meanwhile what is said
        person.stop()
    for n in range(count):
        last = people[0].send(ROOM, f"{n} ".ljust(SIZE, "x"))
    digest = digest_of(people[0])
    harness.wait_until(lambda: all(digest_of(p) == digest for p in there), timeout=600,
                       what="those who are there have all of it")
    begun = time.monotonic()
    away.start(wait=False)
    harness.wait_until(away.owns_name)
    harness.wait_until(lambda: newest(away) == last, timeout=600, what="the last of it is there")
    seconds = time.monotonic() - begun
    assert digest_of(away) == digest            # which takes a while: not asked for meanwhile
    report("room-return", seconds, "s", count, at_most=5,
           **{"is": "from the start of the daemon until its history is that of the "
              f"{PRESENT} others who are there"})


def report_rooms(lab, people):
    """Many rooms in one daemon, each with an owner and one of five others, who is there."""
    count, said, keeper = few(100, 10), 10, lab.user("keeper").join()
    share = -(-count // 5)                      # one peer may join twenty a minute
    keeper.stop()
    keeper.start()
    time.sleep(few(5, 2))
    before = kernel.anonymous_memory(keeper.pid)
    for n in range(count):
        keeper.call("CreateRoom", "sa{sv}", f"#r{n:03}", {})
        people[1 + n // share].call("JoinRoom", "sa{sv}", f"#r{n:03}", {})
        for line in range(said):
            keeper.send(f"#r{n:03}", f"{line} ".ljust(SIZE, "x"))
    keeper.stop()
    keeper.start()
    time.sleep(few(20, 5))                      # until links are there, and all is level
    report("room-each", (kernel.anonymous_memory(keeper.pid) - before) / count / 1024, "KiB",
           count, **{"is": f"anonymous memory of a daemon for each room, with two members and "
                     f"{said} entries, after its start, with links to the five others"})


NGIRCD = """[Global]
Name = irc.bench
Info = bench
Listen = 127.0.0.1
Ports = {port}
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxPenaltyTime = 0
[Options]
DNS = no
Ident = no
PAM = no
"""


class Client:
    """One connection of an IRC client, RFC 2812."""

    def __init__(self, port, name):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.say(f"NICK {name}\r\nUSER {name} 0 * :{name}\r\n")

    def say(self, line):
        self.socket.sendall(line.encode())

    def lines(self):
        self.buffer += self.socket.recv(65536)
        *lines, self.buffer = self.buffer.split(b"\r\n")
        for line in lines:
            if line.startswith(b"PING"):
                self.say(line.decode().replace("PING", "PONG", 1) + "\r\n")
        return lines


def await_all(clients, word):
    """s, by time.monotonic(), at which the last of CLIENTS has got a line with WORD."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        while selector.get_map():
            ready = selector.select(60)
            assert ready, "the IRC server does not answer"
            for key, _ in ready:
                if any(word in line for line in key.data.lines()):
                    selector.unregister(key.fileobj)
    return time.monotonic()


@contextlib.contextmanager
def ngircd(lab):
    port = harness.free_port()
    config = lab.directory / "ngircd.conf"
    config.write_text(NGIRCD.format(port=port))
    with subprocess.Popen(["ngircd", "-n", "-f", config], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, env=dict(os.environ, PATH=PATH)) as running:
        try:
            harness.wait_until(lambda: listens(port), 30, "ngircd listens")
            yield port
        finally:
            running.kill()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def report_irc(lab):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "ngircd"],
                          stdout=subprocess.PIPE, text=True, check=False)
    with ngircd(lab) as port:
        clients = [Client(port, f"u{n:02}") for n in range(MEMBERS)]
        for client in clients:
            await_all([client], b" 001 ")
            client.say(f"JOIN {ROOM}\r\n")
            await_all([client], b" 366 ")
        last = []
        for n in range(few(500, 20)):
            begun = time.monotonic()
            clients[0].say(f"PRIVMSG {ROOM} :{n:06} {'x' * (SIZE - 7)}\r\n")
            last.append((await_all(clients[1:], f":{n:06} ".encode()) - begun) * 1000)
    times = summary(last)
    report("room-irc", times["p50"], "ms", len(last), **times, beside="room-entry",
           system=f"ngircd {done.stdout.partition('-')[0]}",
           keeps="nothing; a server, without TLS, and one process reads for all")


def room(lab):
    people = make_room(lab)
    report_entries(people)
    report_idle(people)
    report_return(people)
    report_rooms(lab, people)
    if shutil.which("ngircd", path=PATH):
        report_irc(lab)
