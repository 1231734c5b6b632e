# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for p2pchatd: the interface of dbus/org.p2pchat.Chat1.xml, answers from a scenario.

The scenario is a JSON object on standard input:
  errors      {method: [error name, message]}
  answers     {method: value of its answer}; the lists below are taken where it names none
  peers, conversations   lists of dictionaries
  messages    {with: [dictionaries]}, oldest first
  page        how many dictionaries a page holds at most (then it ends with `more`)
  outbox      list of dictionaries, oldest first
  events      list of dictionaries with a cursor, oldest first
  stuck       every answer holds all events and the cursor that was asked for
  clients     {name: cursor}, how far the named ones got
  states      [[state, details]…] sent for a message before Send is answered
  password    Login wants it, and answers BadPassword to others
  exit        method at which it ends without an answer
  version     its property Version
  lacks       methods, properties and signals that it does not have
"""

import json
import os
import pathlib
import sys
from xml.etree import ElementTree

from gi.repository import Gio, GLib

XML = pathlib.Path(__file__).resolve().parents[2] / "dbus" / "org.p2pchat.Chat1.xml"
CONTROL = """<node><interface name="org.p2pchat.Mock">
<method name="Calls"><arg type="s" direction="out"/></method>
<method name="Get"><arg type="s" direction="out"/></method>
<method name="Emit"><arg type="s" direction="in"/><arg type="s" direction="in"/></method>
<method name="Set"><arg type="s" direction="in"/></method></interface></node>"""
NAME = "org.p2pchat.Chat1"
PATH = "/org/p2pchat/Chat1"

TIMES = {"last-seen", "last-time", "expires", "sent", "stored", "received", "time", "cursor",
         "lost"}
scenario = json.load(sys.stdin)
calls = []


def variant(key, value):
    if isinstance(value, bool):
        return GLib.Variant("b", value)
    if isinstance(value, int):
        return GLib.Variant("t" if key in TIMES else "u", value)
    if isinstance(value, float):
        return GLib.Variant("d", value)
    if isinstance(value, dict):
        return GLib.Variant("a{sv}", dictionary(value))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return GLib.Variant("aa{sv}", [dictionary(v) for v in value])
    if isinstance(value, list) and value and isinstance(value[0], int):
        return GLib.Variant("ay", value)
    if isinstance(value, list):
        return GLib.Variant("as", value)
    return GLib.Variant("s", value)


def dictionary(value):
    return {k: variant(k, v) for k, v in value.items()}


def page(items, options, key, default, backward):
    """The part of ITEMS that the options ask for, cut to what a page holds."""
    ids = [i.get(key) for i in items]
    if "after" in options:
        items = items[ids.index(options["after"]) + 1:]
        backward = False
    if "before" in options:
        items = items[:ids.index(options["before"])]
    limit = min(options.get("limit", default), scenario.get("page", default))
    more = len(items) > limit
    items = (items[-limit:] if backward else items[:limit]) if more else items
    cut = more and limit < options.get("limit", default)
    return [dictionary(i) for i in items] + ([dictionary({"more": True})] if cut else [])


def send(connection, to, options):
    message_id = options.get("id", "01890000-0000-7000-8000-00000000000a").lower()
    for state, details in scenario.get("states", []):
        emit(connection, "MessageStateChanged", [message_id, to, state, details])
    return message_id


def list_events(cursor, maximum, options):
    events = scenario.get("events", [])
    if scenario.get("stuck"):
        return [dictionary(e) for e in events], cursor
    end = events[-1]["cursor"] if events else 0
    if cursor == 2**64 - 1:
        return [], end
    if cursor == 0 and "client" in options:
        cursor = scenario.setdefault("clients", {}).get(options["client"], 0)
    found = [e for e in events if e["cursor"] > cursor]
    found = found[:min(maximum or 1000, scenario.get("page", 1000))]
    return [dictionary(e) for e in found], found[-1]["cursor"] if found else cursor


def answer(connection, method, args):
    options = args[-1] if args else {}
    if method in scenario.get("answers", {}):
        value = scenario["answers"][method]
        return [dictionary(v) for v in value] if isinstance(value, list) else dictionary(value)
    if method == "Send":
        return send(connection, args[0], options)
    if method == "ListPeers":
        return page(scenario.get("peers", []), options, "name", 10**9, False)
    if method == "ListConversations":
        return page(scenario.get("conversations", []), options, "with", 10**9, False)
    if method == "ListMessages":
        return page(scenario.get("messages", {}).get(args[0], []), options, "id", 50, True)
    if method == "ListOutbox":
        return page(scenario.get("outbox", []), options, "id", 10**9, False)
    if method == "AckEvents":
        clients = scenario.setdefault("clients", {})
        clients[args[0]] = max(args[1], clients.get(args[0], 0))
    return {}


def emit(connection, signal, args):
    signature = {"b": "b"}
    types = "".join("a{sv}" if isinstance(a, dict) else signature.get(type(a).__name__[0], "s")
                    for a in args)
    body = [dictionary(a) if isinstance(a, dict) else a for a in args]
    connection.emit_signal(None, PATH, NAME, signal, GLib.Variant(f"({types})", body))


def on_call(connection, sender, path, interface, method, parameters, invocation):
    args = parameters.unpack()
    calls.append([method, args])
    if scenario.get("exit") == method:
        connection.flush_sync()         # what was answered before is not lost
        os._exit(1)
    error = scenario.get("errors", {}).get(method)
    if not error and method == "Login" and args[1] != scenario.get("password", args[1]):
        error = [f"{NAME}.Error.BadPassword", "the password is wrong"]
    if error:
        invocation.return_dbus_error(*error)
        return
    out = interface_info.lookup_method(method).out_args
    value = answer(connection, method, args) if method != "ListEvents" else list_events(*args)
    if not out:
        invocation.return_value(None)
        return
    if out[0].signature == "o":
        value = PATH + "/room/1"
    signature = "".join(o.signature for o in out)
    invocation.return_value(GLib.Variant(f"({signature})", value if len(out) > 1 else [value]))
    connection.flush_sync(None)


def on_control(connection, sender, path, interface, method, parameters, invocation):
    args = parameters.unpack()
    if method == "Emit":
        emit(connection, args[0], json.loads(args[1]))
    elif method == "Set":
        scenario.update(json.loads(args[0]))
    said = {"Calls": calls, "Get": scenario}.get(method)
    invocation.return_value(None if said is None else GLib.Variant("(s)", [json.dumps(said)]))


def property_value(connection, sender, path, interface, name):
    return GLib.Variant({"Queued": "u", "Nearby": "u", "Trackers": "aa{sv}",
                         "HandOver": "a{sv}"}.get(name, "s"),
                        {"Queued": 0, "Nearby": 0, "Trackers": [], "HandOver": {},
                         "Version": scenario.get("version", "")}.get(name, ""))


def interface_xml():
    root = ElementTree.parse(XML).getroot()
    interface = root.find("interface")
    for member in list(interface):
        if member.get("name") in scenario.get("lacks", []):
            interface.remove(member)
    return ElementTree.tostring(root, encoding="unicode")


bus = Gio.bus_get_sync(Gio.BusType.SESSION, None)
interface_info = Gio.DBusNodeInfo.new_for_xml(interface_xml()).lookup_interface(NAME)
bus.register_object(PATH, interface_info, on_call, property_value, None)
bus.register_object(PATH, Gio.DBusNodeInfo.new_for_xml(CONTROL).interfaces[0], on_control, None, None)
Gio.bus_own_name_on_connection(bus, NAME, Gio.BusNameOwnerFlags.NONE,
                               lambda *_: print("ready", flush=True), None)
GLib.MainLoop().run()
