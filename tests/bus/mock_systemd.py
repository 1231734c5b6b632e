# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for systemd --user with a p2pchatd.service, as much of it as chatc asks for.

The scenario is a JSON object, the argument:
  unit     properties of the unit, of which most have a usual value
  refuse   [error name, message] of StartUnit
  result   how the job ends that StartUnit makes: "done" if it is not said
  hangs    the job does not end
  starts   the scenario of the mock daemon that is started by it
"""

import json
import os
import pathlib
import signal
import subprocess
import sys

from gi.repository import Gio, GLib

HERE = pathlib.Path(__file__).resolve().parent
NAME = "org.freedesktop.systemd1"
PATH = "/org/freedesktop/systemd1"
UNIT = PATH + "/unit/p2pchatd_2eservice"
JOB = PATH + "/job/7"
XML = """<node><interface name="org.freedesktop.systemd1.Manager">
<method name="Subscribe"/>
<method name="LoadUnit"><arg type="s" direction="in"/><arg type="o" direction="out"/></method>
<method name="StartUnit"><arg type="s" direction="in"/><arg type="s" direction="in"/>
<arg type="o" direction="out"/></method></interface>
<interface name="org.freedesktop.DBus.Properties"><method name="GetAll">
<arg type="s" direction="in"/><arg type="a{sv}" direction="out"/></method></interface></node>"""
scenario = json.loads(sys.argv[1])
unit = {"LoadState": "loaded", "UnitFileState": "disabled", "ActiveState": "inactive",
        "Result": "success", "ExecMainStatus": 0, "PrivateUsers": True,
        "FragmentPath": "/usr/lib/systemd/user/p2pchatd.service", **scenario.get("unit", {})}
children = []


def start_daemon():
    daemon = subprocess.Popen([sys.executable, HERE / "mock_daemon.py"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    children.append(daemon)
    daemon.stdin.write(json.dumps(scenario["starts"]))
    daemon.stdin.close()
    daemon.stdout.readline()


def start_unit(invocation):
    if "refuse" in scenario:
        invocation.return_dbus_error(*scenario["refuse"])
        return
    invocation.return_value(GLib.Variant("(o)", (JOB,)))
    if scenario.get("hangs"):
        return
    if "starts" in scenario:
        start_daemon()
    result = scenario.get("result", "done")
    bus.emit_signal(None, PATH, NAME + ".Manager", "JobRemoved",
                    GLib.Variant("(uoss)", (7, JOB, "p2pchatd.service", result)))


def on_call(connection, sender, path, interface, method, parameters, invocation):
    if method == "StartUnit":
        start_unit(invocation)
    elif method == "LoadUnit":
        invocation.return_value(GLib.Variant("(o)", (UNIT,)))
    elif method == "GetAll":
        types = {str: "s", int: "i", bool: "b"}
        values = {k: GLib.Variant(types[type(v)], v) for k, v in unit.items()}
        invocation.return_value(GLib.Variant("(a{sv})", (values,)))
    else:
        invocation.return_value(None)


def stop():
    for child in children:
        child.kill()
    os._exit(0)


bus = Gio.bus_get_sync(Gio.BusType.SESSION, None)
manager, properties = Gio.DBusNodeInfo.new_for_xml(XML).interfaces
bus.register_object(PATH, manager, on_call, None, None)
bus.register_object(UNIT, properties, on_call, None, None)
GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGTERM, stop)
Gio.bus_own_name_on_connection(bus, NAME, Gio.BusNameOwnerFlags.NONE,
                               lambda *_: print("ready", flush=True), None)
GLib.MainLoop().run()
