# SPDX-License-Identifier: GPL-3.0-or-later
"""Strangers at the door of a daemon and of a tracker: rubbish, silence and crowds."""
import contextlib
import random
import select
import socket
import ssl
import struct
import time

import pytest

import harness
import kernel
import under

LIMITS = "limits = { connections = 1000; per-address = %d; handshake = %d; %s};"


class Door:
    """A listening port, and somebody who can tell whether all is well behind it."""

    def __init__(self, lab, kind, per_address=0):
        self.lab = lab
        self.tracker = lab.tracker()
        self.alice, self.bob = lab.users("alice", "bob")
        self.alice.exchange(self.bob)
        self.process = self.tracker if kind == "tracker" else self.bob
        self.pid = self.process.pid
        self.port, = kernel.listening_ports(self.pid)
        self.limit(per_address=per_address)

    def limit(self, per_address=0, handshake=600):
        """Those who come from now on."""
        more = "registrations-per-hour = 0; " if self.process is self.tracker else ""
        self.process.configure(LIMITS % (per_address, handshake, more))
        self.process.reload()

    def knock(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def check_service(self):
        """The same process still serves: a new link, a new name and a look-up."""
        assert self.process.running() and self.process.pid == self.pid
        self.alice.restart()
        self.alice.exchange(self.bob, "still there?")
        carol = self.lab.user("carol").start()
        harness.wait_until(lambda: registers(carol), what="a newcomer is served")
        carol.wait_state("online").exchange(self.bob, "new here")


def registers(user):
    """False where the tracker has closed the door, which the last of a crowd may have filled."""
    try:
        user.register()
    except harness.BusError as error:
        if error.name != "TrackerUnreachable":
            raise
        return False
    return True


@pytest.fixture(params=("daemon", "tracker"))
def kind(request):
    return request.param


def wait_closed(connections, count, timeout=60):
    """Until so many of them were closed by the other side; returns how many are still open."""
    opened = set(connections)

    def look():
        ready, _, _ = select.select(list(opened), [], [], 0)
        for connection in ready:
            try:
                if not connection.recv(65536):
                    opened.discard(connection)
            except OSError:
                opened.discard(connection)
        return len(connections) - len(opened) >= count

    harness.wait_until(look, timeout, f"{count} of {len(connections)} connections are closed")
    return len(opened)


def push(connection, data):
    """Writes until all is written or the other side has had enough."""
    with contextlib.suppress(OSError):
        connection.sendall(data)


def client_hello(body):
    """body as the content of a TLS handshake record of type ClientHello."""
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(handshake).to_bytes(2, "big") + handshake


def test_rubbish_is_dropped(lab, kind):
    door = Door(lab, kind)
    generator = random.Random(12)
    rubbish = [
        b"\0" * 100000, b"\xff" * 100000, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1000,
        b"\x16\x03\x01\xff\xff" + b"\0" * 70000,                # a record beyond TLS' limit
        b"\x16\x03\x01\x00\x00" * 10000,                        # empty records
        b"\x15\x03\x03\x00\x02\x02\x28" * 10,                   # alerts
        b"\x17\x03\x03\x00\x20" + b"\0" * 32,                   # data before any key
        struct.pack(">I", 0xFFFFFFFF) + b"\xa0" * 1000,         # p2pchat's frame without TLS
        client_hello(b"\x03\x03" + b"\0" * 34), client_hello(b""),
        client_hello(b"\x03\x03" + bytes(32) + b"\0\0\x02\x13\x01\x01\0\xff\xff"),
        *(generator.randbytes(generator.randint(1, 20000)) for _ in range(50)),
        *(client_hello(generator.randbytes(generator.randint(1, 2000))) for _ in range(50))]
    connections = []
    for data in rubbish:
        connection = door.knock()
        push(connection, data)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        connections.append(connection)
    wait_closed(connections, len(connections))
    door.check_service()


def test_a_stream_without_end_takes_no_memory(lab, kind):
    door = Door(lab, kind)
    before = kernel.anonymous_memory(door.pid)
    for head in (b"", b"\x16\x03\x01\x40\x00\x01\xff\xff\xff"):
        with door.knock() as connection:
            push(connection, head + b"\x16\x03\x01\x40\x00" * 4_000_000)
    if not under.instrumented():                 # which keep what was freed
        assert kernel.anonymous_memory(door.pid) < before + (8 << 20)
    door.check_service()


def test_who_says_nothing_is_sent_away(lab, kind):
    door = Door(lab, kind)
    door.limit(handshake=1)
    start = time.monotonic()
    silent = door.knock()
    half = door.knock()
    half.sendall(b"\x16\x03\x01")
    wait_closed([silent, half], 2)
    assert time.monotonic() - start > 0.9, "it had its second"
    door.limit()                                # which is little for friends on a busy machine
    door.check_service()


def test_who_dribbles_is_sent_away_too(lab, kind):
    """Each byte is progress, the hello is what counts."""
    door = Door(lab, kind)
    door.limit(handshake=1)
    connection = door.knock()
    hello = client_hello(b"\x03\x03" + bytes(16000))
    state = [0, 0.0]

    def dribble():
        if time.monotonic() > state[1] + 0.05:
            state[1] = time.monotonic()
            try:
                connection.send(hello[state[0]:state[0] + 1])
                state[0] += 1
            except OSError:
                return True
        ready, _, _ = select.select([connection], [], [], 0)
        try:
            return bool(ready) and not connection.recv(4096)
        except OSError:
            return True

    harness.wait_until(dribble, 60, "the connection is closed")
    assert state[0] < len(hello)
    door.limit()
    door.check_service()


def test_a_crowd_from_one_address_is_limited(lab, kind):
    door = Door(lab, kind, per_address=8)
    crowd = [door.knock() for _ in range(40)]
    left = wait_closed(crowd, 32)
    assert left <= 8
    door.alice.exchange(door.bob, "not disturbed")
    for connection in crowd:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
    wait_closed(crowd, len(crowd))              # so that their places are free
    door.check_service()


def test_one_thousand_who_come_and_go(lab, kind):
    door = Door(lab, kind, per_address=64)
    files = kernel.open_files(door.pid)
    for number in range(1000):
        with door.knock() as connection:
            if number % 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if number % 3:
                push(connection, client_hello(b"\x03\x03" + bytes(50))[:number % 60])
    # Friends may have come meanwhile; what is left of the thousand would fill the 64 places.
    # Those not yet accepted hold no descriptor, but the friends wait behind them.
    harness.wait_until(lambda: kernel.waiting_connections(door.port) == 0 and
                       kernel.open_files(door.pid) <= files + 8,
                       what="all have been accepted, and descriptors are given back")
    door.check_service()


@pytest.mark.parametrize("alpn", ([], ["h2"], ["p2pchat-link/1"], ["p2pchat-tracker/1"]))
def test_tls_without_a_key_of_ones_own_is_refused(lab, kind, alpn):
    door = Door(lab, kind)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    with door.knock() as connection:
        with pytest.raises(OSError):            # ssl.SSLError is one
            secured = context.wrap_socket(connection)
            secured.sendall(struct.pack(">I", 3) + b"\xa1\x00\x01")
            if not secured.recv(1):
                raise ConnectionResetError("closed by the other side")
    door.check_service()
