# SPDX-License-Identifier: GPL-3.0-or-later
"""People as objects: the ObjectManager and the properties, and what becomes of a lost bus."""
import os
import signal
import xml.etree.ElementTree as ElementTree

import pytest

import harness
from harness import NAME, PATH, BusError, Gio, GLib, wait_until

PEER = NAME + ".Peer"
KEYS = {"Name": "name", "Account": "account", "Presence": "presence", "Note": "note",
        "LastSeen": "last-seen", "Endpoints": "endpoints", "Via": "via", "Verified": "verified",
        "Blocked": "blocked", "Contact": "contact", "KeyChanged": "key-changed"}


class Watcher:
    """What the signals of the ObjectManager and of all objects say, in order."""

    def __init__(self, user):
        self.user = user
        self.seen = []
        for interface, member in (("org.freedesktop.DBus.ObjectManager", None),
                                  ("org.freedesktop.DBus.Properties", "PropertiesChanged")):
            user.connection.signal_subscribe(NAME, interface, member, None, None,
                                             Gio.DBusSignalFlags.NONE, self.on_signal)
        user.connection.call_sync("org.freedesktop.DBus", "/", "org.freedesktop.DBus.Peer", "Ping",
                                  None, None, Gio.DBusCallFlags.NONE, -1, None)

    def on_signal(self, _connection, _sender, path, _interface, name, args):
        args = args.unpack()
        if name == "PropertiesChanged" and args[0] == PEER:
            assert args[2] == []
            self.seen.append(("changed", path, args[1]))
        elif name == "InterfacesAdded":
            self.seen.append(("added", args[0], args[1][PEER]))
        elif name == "InterfacesRemoved":
            assert PEER in args[1]
            self.seen.append(("removed", args[0], None))

    def of(self, kind, path=None):
        return [s for s in self.seen if s[0] == kind and path in (None, s[1])]

    def told(self, name):
        """The values of a property, of all objects."""
        return [values[name] for _, _, values in self.seen if name in (values or {})]

    def wait(self, kind, path, **values):
        """The first such signal that has these values."""
        def look():
            for _, _, properties in self.of(kind, path):
                if all(properties.get(k) == v for k, v in values.items()):
                    return properties or True
            return None
        try:
            return wait_until(look)
        except AssertionError:
            raise AssertionError(f"not {kind} {values}, but {self.seen}") from None


def path_of(user, other):
    return f"{PATH}/peer/{other.property('Account')}"


def call_at(user, path, interface, method, signature=None, *args):
    try:
        return user.connection.call_sync(
            NAME, path, interface, method, GLib.Variant(signature, args) if signature else None,
            None, Gio.DBusCallFlags.NONE, 60000, None).unpack()
    except GLib.Error as error:
        raise harness.error_from(error) from None


def properties(user, path):
    return call_at(user, path, "org.freedesktop.DBus.Properties", "GetAll", "(s)", PEER)[0]


def managed(user):
    objects, = call_at(user, PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
    assert all(PEER in interfaces for interfaces in objects.values()), objects
    return {path: interfaces[PEER] for path, interfaces in objects.items()}


def written(name):
    text = (harness.REPOSITORY / f"dbus/{name}.xml").read_text(encoding="utf-8")
    return interface_of(text, name)


def interface_of(text, name):
    found, = (i for i in ElementTree.fromstring(text).iter("interface") if i.get("name") == name)
    return [(m.tag, m.get("name"), m.get("type"), m.get("access"),
             [(a.get("name"), a.get("value")) for a in m.findall("annotation")])
            for m in found if m.tag != "annotation"]


# The contract

def test_the_interface_is_the_written_one(alice, bob):
    alice.exchange(bob)
    text, = call_at(alice, path_of(alice, bob), "org.freedesktop.DBus.Introspectable", "Introspect")
    assert interface_of(text, PEER) == written(PEER)
    assert {member[1] for member in written(PEER)} == set(KEYS)
    text, = call_at(alice, PATH, "org.freedesktop.DBus.Introspectable", "Introspect")
    assert {n.get("name") for n in ElementTree.fromstring(text).findall("node")} == {"peer", "room"}


def test_rooms_have_their_interface_written_down():
    assert [member[1:3] for member in written(NAME + ".Room")] == [
        ("Room", "s"), ("RoomId", "s"), ("Topic", "s"), ("Owner", "s"), ("Members", "u"),
        ("Online", "u"), ("Access", "s"), ("Joined", "b")]
    assert all(member[0] == "property" and member[3] == "read"
               for member in written(NAME + ".Room"))


def test_objects_say_what_list_peers_says(alice, bob):
    alice.exchange(bob)
    wait_until(lambda: "tracker" in alice.peer("bob").get("via", []))
    path = path_of(alice, bob)
    assert list(managed(alice)) == [path]

    def said():                                 # by one after the other: it may change meanwhile
        values, row = properties(alice, path), alice.peer("bob")
        listed = {name: row.get(KEYS[name], type(value)()) for name, value in values.items()}
        return values, managed(alice)[path], listed
    wait_until(lambda: (three := said())[0] == three[1] == three[2], what="all say the same")


def test_nobody_there(alice, bob):
    """Neither an account that is not known nor what is none has an object."""
    assert managed(alice) == {}
    for path in (path_of(alice, bob), f"{PATH}/peer/x", f"{PATH}/peer/{'a' * 52}/x",
                 f"{PATH}/peer", f"{PATH}/room/x"):
        with pytest.raises(BusError) as error:
            properties(alice, path)
        assert "UnknownObject" in error.value.name or "UnknownInterface" in error.value.name


# Coming, changing, going

def test_a_contact_comes_changes_and_goes(alice, bob):
    watcher, path = Watcher(alice), path_of(alice, bob)
    alice.exchange(bob)
    added = watcher.wait("added", path, Name="bob", Contact=True)
    assert set(added) == set(KEYS)
    wait_until(lambda: watcher.told("Presence")[-1:] == ["online"])
    wait_until(lambda: "link" in properties(alice, path)["Via"])
    bob.stop()
    watcher.wait("changed", path, Presence="offline")
    bob.start()
    wait_until(lambda: watcher.told("Presence")[-1:] == ["online"])
    assert properties(alice, path)["LastSeen"] > 0
    assert len(watcher.of("added")) == 1
    alice.call("Logout")
    watcher.wait("removed", path)
    assert managed(alice) == {}
    watcher.seen.clear()
    alice.call("Login", "ssa{sv}", "alice", "", {"no-password": True})
    watcher.wait("added", path, Name="bob")
    assert list(managed(alice)) == [path]


def test_nobody_comes_unannounced(lab, tracker, alice):
    """Whoever is written to is told of, also while somebody asks for all objects all the time."""
    others = lab.users(*(f"other{n}" for n in range(4)))
    watcher, open_calls = Watcher(alice), [0]

    def answered(connection, result):
        connection.call_finish(result)
        open_calls[0] -= 1

    def call(path, interface, method, arguments=None):
        open_calls[0] += 1
        alice.connection.call(NAME, path, interface, method, arguments, None,
                              Gio.DBusCallFlags.NONE, 60000, None, answered)

    for other in others:
        for number in range(400):
            if number == 100:
                call(PATH, NAME, "Send", GLib.Variant("(ssa{sv})", (other.name, "hi", {})))
            call(PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        wait_until(lambda: open_calls[0] == 0)
    for other in others:
        watcher.wait("added", path_of(alice, other), Name=other.name, Contact=True)
    for other in others:
        kinds = [kind for kind, path, _ in watcher.seen if path == path_of(alice, other)]
        assert kinds[0] == "added" and kinds.count("added") == 1


def test_old_events_bring_nobody_back(alice, bob):
    bob.exchange(alice)
    alice.exchange(bob)
    watcher = Watcher(alice)
    assert list(managed(alice)) == [path_of(alice, bob)]
    alice.call("Logout")
    watcher.wait("removed", path_of(alice, bob))
    watcher.seen.clear()
    assert alice.call("ListEvents", "tua{sv}", 0, 100, {})[0]
    assert managed(alice) == {}
    alice.mark()
    assert not watcher.of("added")


def test_a_refused_message_makes_nobody_a_contact(lab, tracker, alice, bob):
    carol, = lab.users("carol")
    used = alice.send("bob", "to bob")
    with pytest.raises(BusError) as refused:
        alice.send("carol", "to carol", id=used)
    assert refused.value.name == "InvalidArgs"
    assert path_of(alice, carol) not in managed(alice)
    assert not alice.peer("carol").get("contact")


def test_what_stays_the_same_is_not_told(alice, bob):
    alice.exchange(bob)
    assert len(managed(alice)) == 1             # whom this shows has been announced
    watcher, path = Watcher(alice), path_of(alice, bob)
    for times in (1, 2):
        for step, presence in ((bob.stop, "offline"), (bob.start, "online")):
            step()                              # what comes and goes within a moment is not told
            wait_until(lambda what=presence, n=times: watcher.told("Presence").count(what) >= n)
    bob.exchange(alice)
    wait_until(lambda: "link" in properties(alice, path)["Via"])
    alice.settle()
    for _, _, changed in watcher.of("changed"):
        assert not {"Name", "Account", "Note", "Verified", "Blocked", "Contact"} & set(changed)
    known = {}
    for _, _, changed in watcher.of("changed"):
        assert all(known.get(name) != value for name, value in changed.items()), changed
        known.update(changed)


def test_messages_change_nothing(alice, bob):
    watcher = Watcher(alice)
    alice.exchange(bob)
    bob.exchange(alice)
    wait_until(lambda: [set(via) for via in watcher.told("Via")[-1:]] == [{"link", "tracker"}])
    mark = len(watcher.seen)
    alice.wait_delivered("bob", [alice.send("bob", f"message {n}") for n in range(200)])
    alice.settle()
    assert watcher.seen[mark:] == []


def test_people_who_write_have_objects(lab, tracker, bob):
    alice = lab.user("alice", 'contacts = { accept = "ask"; };').join()
    watcher, path = Watcher(alice), path_of(alice, bob)
    bob.exchange(alice)
    assert watcher.wait("added", path, Name="bob")["Contact"] is False
    alice.restart().wait_state("online")
    assert managed(alice)[path]["Contact"] is False
    alice.exchange(bob, "an answer accepts")
    watcher.wait("changed", path, Contact=True)
    assert managed(alice)[path]["Contact"] is True


def test_who_is_only_listed_has_none(lab, tracker, bob):
    alice = lab.user("alice", 'contacts = { accept = "ask"; };').join()
    alice.call("ListPeers", "a{sv}", {"all": True})
    assert managed(alice) == {}


def test_the_client_library_of_gnome_follows(alice, bob):
    alice.exchange(bob)
    manager = Gio.DBusObjectManagerClient.new_sync(
        alice.connection, Gio.DBusObjectManagerClientFlags.DO_NOT_AUTO_START, NAME, PATH, None, None)
    path = path_of(alice, bob)
    wait_until(lambda: [o.get_object_path() for o in manager.get_objects()] == [path])

    def presence():
        return manager.get_interface(path, PEER).get_cached_property("Presence").unpack()

    wait_until(lambda: presence() == "online")
    bob.stop()
    wait_until(lambda: presence() == "offline")
    alice.call("Logout")
    wait_until(lambda: manager.get_objects() == [])


# The bus goes

def lose_bus(user, how=signal.SIGKILL):
    user.bus.popen.send_signal(how)
    assert user.wait_exit() == os.EX_TEMPFAIL, user.log()
    assert "session bus" in user.log().splitlines()[-1], user.log()


def new_bus(user):
    """As if the user had logged in again."""
    user.bus.kill()
    user.bus.launch(["dbus-daemon", "--config-file", user.bus.home / "session.conf", "--nofork",
                     "--nopidfile"], False)
    wait_until(user.bus.is_listening)
    user.connection = harness.connect(user.bus.address)
    user.closed = ""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_idle_daemon_ends_with_the_bus(alice, bob, how):
    alice.exchange(bob)
    lose_bus(alice, how)
    wait_until(lambda: bob.peer("alice")["presence"] == "offline")
    new_bus(alice)
    alice.start().wait_state("online").exchange(bob, "back")
    assert len(alice.history("bob")) == 2


def test_nothing_answered_is_lost_with_the_bus(alice, bob):
    alice.exchange(bob)
    client = harness.connect(alice.bus.address)
    answered = []

    def on_answer(connection, result, text):
        try:
            answered.append((connection.call_finish(result).unpack()[0], text))
        except GLib.Error:
            pass                                # no answer: it may have been kept or not

    for number in range(3000):
        text = f"message {number}"
        client.call(NAME, PATH, NAME, "Send", GLib.Variant("(ssa{sv})", ("bob", text, {})), None,
                    Gio.DBusCallFlags.NONE, -1, None, on_answer, text)
    wait_until(lambda: len(answered) > 300)
    lose_bus(alice)
    wait_until(client.is_closed)
    new_bus(alice)
    alice.start().wait_state("online")
    kept = {m["id"]: m["text"] for m in alice.history("bob")}
    assert all(kept.get(message) == text for message, text in answered)
    alice.wait_delivered("bob", kept)
    texts = [m["text"] for m in bob.history("alice")]
    assert len(texts) == len(set(texts)) == len(kept)
