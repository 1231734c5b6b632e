# SPDX-License-Identifier: GPL-3.0-or-later
"""The D-Bus contract: the XML, the running daemon, and callers who get it wrong."""
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

import harness
from harness import DEADLINE, Gio, GLib

XML = harness.REPOSITORY / "dbus/org.p2pchat.Chat1.xml"

BUILT = {"Register", "Login", "Logout", "ChangePassword", "Send", "ListPeers", "ListMessages",
         "ListConversations", "ListEvents", "AckEvents", "MarkRead", "ListOutbox", "Cancel",
         "Status", "Doctor", "Accept", "AddContact", "RemoveContact", "Block", "Unblock", "RenameContact", "ListRequests",
         "Verify", "SetPresence", "SetTyping", "Digest", "CreateRoom", "JoinRoom", "LeaveRoom",
         "DeleteRoom", "Invite", "Kick", "SetTopic", "SetRole", "ListRooms", "ListMembers",
         "DeleteAccount"}
NOT_BUILT = {"Search", "Export", "Import", "Ring"}
SIGNALS = {
    "MessageReceived": "ssssa{sv}", "MessageStateChanged": "sssa{sv}", "PeerChanged": "ssa{sv}",
    "RoomChanged": "ssa{sv}", "RequestReceived": "ssa{sv}", "TypingChanged": "sba{sv}",
    "SessionReplaced": "a{sv}"}
PROPERTIES = {"Version": "s", "Name": "s", "Account": "s", "Fingerprint": "s", "State": "s",
              "Presence": "s", "Note": "s", "Queued": "u", "Nearby": "u", "Trackers": "aa{sv}",
              "HandOver": "a{sv}"}
STANDARD = ("org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Peer",
            "org.freedesktop.DBus.Properties", "org.freedesktop.DBus.ObjectManager")


def interfaces_of(text):
    """Every interface of p2pchat's as plain data, without what is only a matter of writing."""
    found = {}
    for interface in ElementTree.fromstring(text).iter("interface"):
        name = interface.get("name")
        if name in STANDARD:
            continue
        members = {}
        for kind in ("method", "signal", "property"):
            for member in interface.findall(kind):
                default = "in" if kind == "method" else None
                arguments = tuple((a.get("name"), a.get("type"), a.get("direction", default))
                                  if kind == "method" else (a.get("name"), a.get("type"))
                                  for a in member.findall("arg"))
                notes = {a.get("name"): a.get("value") for a in member.findall("annotation")}
                change = notes.get("org.freedesktop.DBus.Property.EmitsChangedSignal", "true")
                members[kind, member.get("name")] = (
                    arguments, member.get("type"), member.get("access"),
                    change if kind == "property" else None)
        found[name] = members
    return found


def signature(members, kind, name, direction="in"):
    arguments = members[kind, name][0]
    return "".join(a[1] for a in arguments if kind == "signal" or a[2] == direction)


def test_the_xml_holds_the_whole_interface():
    members = interfaces_of(XML.read_text())[harness.NAME]
    assert {name for kind, name in members if kind == "method"} == BUILT | NOT_BUILT
    for name in BUILT | NOT_BUILT:
        assert signature(members, "method", name).endswith("a{sv}"), name
    assert {name: signature(members, "signal", name) for kind, name in members
            if kind == "signal"} == SIGNALS
    assert {name: members[kind, name][1] for kind, name in members if kind == "property"} == \
        PROPERTIES


def test_the_xml_is_what_the_daemon_prints_and_answers(lab):
    written = interfaces_of(XML.read_text())
    printed = subprocess.run([harness.P2PCHATD, "--bus-introspect"], capture_output=True,
                             timeout=DEADLINE, text=True)
    assert printed.returncode == 0, printed
    assert interfaces_of(printed.stdout) == written
    alice = lab.user("alice").start()
    answered = alice.call("Introspect", "", interface="org.freedesktop.DBus.Introspectable")
    assert interfaces_of(answered)[harness.NAME] == written[harness.NAME]


def sample(kind):
    return {"s": "bob", "a{sv}": {}, "t": 0, "u": 0, "b": False}[kind]


def call_raw(user, method, kinds, values, fds=None):
    """Answers the error's name, or "" when the call went well."""
    try:
        user.connection.call_with_unix_fd_list_sync(
            harness.NAME, harness.PATH, harness.NAME, method,
            GLib.Variant(f"({kinds})", tuple(values)), None, Gio.DBusCallFlags.NO_AUTO_START,
            60000, fds, None)
        return ""
    except GLib.Error as error:
        return harness.error_from(error).name


def arguments_of(method):
    members = interfaces_of(XML.read_text())[harness.NAME]
    return [a[1] for a in members["method", method][0] if a[2] == "in"]


def with_values(kinds, string="bob"):
    fds, values = None, []
    for kind in kinds:
        if kind == "h":
            fds = Gio.UnixFDList.new()
            with open("/dev/null", "rb+", buffering=0) as null:
                values.append(fds.append(null.fileno()))
        else:
            values.append(string if kind == "s" else sample(kind))
    return values, fds


def test_what_is_not_built_yet_says_so(alice):
    for method in sorted(NOT_BUILT):
        kinds = arguments_of(method)
        values, fds = with_values(kinds)
        assert call_raw(alice, method, "".join(kinds), values, fds) == "NotSupported", method


def test_wrong_arguments_are_answered_not_fatal(alice, bob):
    pid = alice.pid
    for method in sorted(BUILT | NOT_BUILT):
        for kinds, values in (("", ()), ("x", (5,)), ("ss", ("a", "b")), ("aay", ([b"x"],)),
                              ("ssa{sv}x", ("bob", "hi", {}, 5))):
            error = call_raw(alice, method, kinds, values)
            assert error == "org.freedesktop.DBus.Error.InvalidArgs", (method, kinds, error)
    assert call_raw(alice, "NoSuchMethod", "a{sv}", ({},)) == \
        "org.freedesktop.DBus.Error.UnknownMethod"
    alice.exchange(bob)
    assert alice.running() and alice.pid == pid


STRANGE = ["", "#", "@", "@" + "a" * 52, "@" + "7" * 52, "#room", "a" * 33, "a" * 100000, "../x",
           "\x01", "\u202e", "é", "a b", "-a", ".", "bob~abcd", "*"]


def test_strange_names_are_answered_not_fatal(alice, bob):
    for method in sorted((BUILT | NOT_BUILT) - {"Logout", "DeleteAccount"}):
        kinds = arguments_of(method)
        if "s" not in kinds:
            continue
        for string in STRANGE:
            values, fds = with_values(kinds, string)
            call_raw(alice, method, "".join(kinds), values, fds)
    assert alice.property("State") == "online"
    alice.exchange(bob)


def test_options_of_the_wrong_type_are_refused_and_unknown_ones_ignored(alice, bob):
    sent = alice.send("bob", "hi", no_such_option="x", another=GLib.Variant("a{sv}", {}))
    alice.wait_delivered("bob", [sent])
    wrong = [("Send", ("bob", "hi"), {"id": 5}), ("Send", ("bob", "hi"), {"expires": "soon"}),
             ("ListMessages", ("bob",), {"limit": "all"}),
             ("ListMessages", ("bob",), {"before": 5}), ("ListMessages", ("bob",), {"before": "x"}),
             ("ListMessages", ("bob",), {"limit": 1001})]
    for method, values, more in wrong:
        kinds = "s" * len(values) + "a{sv}"
        with pytest.raises(harness.BusError) as refused:
            alice.call(method, kinds, *values, more)
        assert refused.value.name == "InvalidArgs", (method, more)
        assert refused.value.message
    assert len(alice.history("bob")) == 1


def test_properties_are_read_only(alice):
    for name, kind in PROPERTIES.items():
        assert alice.property(name) is not None
        if kind == "s":
            with pytest.raises(harness.BusError):
                alice.call("Set", "ssv", harness.NAME, name, GLib.Variant("s", "x"),
                           interface="org.freedesktop.DBus.Properties")
    with pytest.raises(harness.BusError):
        alice.property("NoSuchProperty")


def test_a_caller_who_leaves_before_the_answer_harms_nobody(alice, bob):
    for _ in range(20):
        client = harness.connect(alice.bus.address)
        for number in range(50):
            client.call(harness.NAME, harness.PATH, harness.NAME, "Send",
                        GLib.Variant("(ssa{sv})", ("bob", f"{number}", {})), None,
                        Gio.DBusCallFlags.NO_AUTO_START, 60000, None, None, None)
        client.flush_sync(None)
        client.close_sync(None)
    alice.exchange(bob, "still here")
    harness.wait_until(lambda: [row["id"] for row in bob.history("alice")] ==
                       [row["id"] for row in alice.history("bob")],
                       what="both hold the same messages")
    assert len(bob.history("alice")) <= 1001


def test_the_log_level_can_be_asked_and_set(alice):
    """org.freedesktop.LogControl1(5), for `systemctl --user service-log-level`."""
    interface = "org.freedesktop.LogControl1"

    def properties(method, signature, *values):
        return alice.connection.call_sync(
            harness.NAME, "/org/freedesktop/LogControl1", "org.freedesktop.DBus.Properties", method,
            GLib.Variant(signature, values), None, Gio.DBusCallFlags.NONE, -1, None).unpack()

    def set_level(level):
        properties("Set", "(ssv)", interface, "LogLevel", GLib.Variant("s", level))

    assert properties("GetAll", "(s)", interface)[0] == {
        "LogLevel": "info", "LogTarget": "console", "SyslogIdentifier": "p2pchatd"}
    for _ in range(3):
        set_level("debug")
    assert properties("Get", "(ss)", interface, "LogLevel") == ("debug",)
    with pytest.raises(GLib.Error, match="loud is not a log level"):
        set_level("loud")
    set_level("4")
    assert properties("Get", "(ss)", interface, "LogLevel") == ("warning",)
    assert alice.log().count("The log level is debug now") == 1, "only a change is logged"
