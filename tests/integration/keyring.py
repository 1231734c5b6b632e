# SPDX-License-Identifier: GPL-3.0-or-later
"""A real key ring on the bus of a user: gnome-keyring."""
import os
import socket
import struct

from gi.repository import Gio, GLib

from harness import DEADLINE, Process, connect, wait_until

NAME = "org.freedesktop.secrets"
SERVICE = "/org/freedesktop/secrets"
LOGIN = SERVICE + "/collection/login"
INTERFACE = "org.freedesktop.Secret."
PASSWORD = b"the password of the login"


class Keyring(Process):
    """It keeps what it has in the home of the user, as everybody's does."""

    def __init__(self, lab, user):
        super().__init__(lab.directory, f"{user.name}.keyring", user.env)
        self.user = user
        self.connection = connect(user.bus.address)
        lab.add(self)

    def start(self, locked=False):
        password = self.user.home / "keyring.password"
        password.write_bytes(PASSWORD)
        self.launch(["sh", "-c", "exec gnome-keyring-daemon --foreground --components=secrets "
                     f"{'' if locked else '--unlock'} <{password}"], False)
        wait_until(self.owns_name, what="the key ring is there")
        wait_until(lambda: self.is_locked() == locked, what="the key ring has its collection")
        return self

    def is_locked(self):
        try:
            return self.call(NAME, LOGIN, "org.freedesktop.DBus.Properties", "Get", "(ss)",
                             INTERFACE + "Collection", "Locked")[0]
        except GLib.Error:                      # it is not there yet
            return None

    def owns_name(self):
        assert self.running(), self.log()
        return self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                         "NameHasOwner", "(s)", NAME)[0]

    def call(self, name, path, interface, method, signature, *args):
        return self.connection.call_sync(
            name, path, interface, method, GLib.Variant(signature, args), None,
            Gio.DBusCallFlags.NO_AUTO_START, DEADLINE * 1000, None).unpack()

    def unlock(self):
        """As the login does it, which the key ring tells nobody."""
        packet = struct.pack(">II", 1, len(PASSWORD)) + PASSWORD
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(DEADLINE)
            control.connect(f"{self.user.env['XDG_RUNTIME_DIR']}/keyring/control")
            control.send(b"\0")
            control.send(struct.pack(">I", len(packet) + 4) + packet)
            assert control.recv(8) == struct.pack(">II", 8, 0)

    def unlock_on_the_bus(self):
        """As a program does it, which the key ring tells everybody."""
        _, session = self.call(NAME, SERVICE, INTERFACE + "Service", "OpenSession", "(sv)", "plain",
                               GLib.Variant("s", ""))
        self.call(NAME, SERVICE, "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface",
                  "UnlockWithMasterPassword", "(o(oayays))", LOGIN,
                  (session, b"", PASSWORD, "text/plain"))

    def lock(self):
        self.call(NAME, SERVICE, INTERFACE + "Service", "Lock", "(ao)", [LOGIN])

    def items(self):
        unlocked, locked = self.call(NAME, SERVICE, INTERFACE + "Service", "SearchItems", "(a{ss})",
                                     {"xdg:schema": "org.p2pchat.StoreKey"})
        return unlocked + locked

    def secret(self, item):
        _, session = self.call(NAME, SERVICE, INTERFACE + "Service", "OpenSession", "(sv)", "plain",
                               GLib.Variant("s", ""))
        (_, _, secret, _), = self.call(NAME, item, INTERFACE + "Item", "GetSecret", "(o)", session)
        return bytes.fromhex(bytes(secret).decode())

    def delete(self, item):
        self.call(NAME, item, INTERFACE + "Item", "Delete", "()")

    def stop(self):
        """It has no exit status of its own for SIGTERM."""
        self.kill()

    def close(self):
        self.connection.close_sync(None)
        super().close()
