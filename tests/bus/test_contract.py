# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface as written in dbus/ is the one the daemon has."""

import subprocess
import xml.etree.ElementTree as ElementTree

from conftest import BUILD, DEADLINE, REPO

NAME = "org.p2pchat.Chat1"


def members(text):
    """{(kind, name): (arguments, type and access, annotations)} of the interface."""
    found = {}
    interface, = (i for i in ElementTree.fromstring(text).iter("interface")
                  if i.get("name") == NAME)
    for member in interface:
        if member.tag == "annotation":
            continue
        default = "in" if member.tag == "method" else "out"
        arguments = [(a.get("type"), a.get("name"), a.get("direction", default))
                     for a in member.findall("arg")]
        annotations = {a.get("name"): a.get("value") for a in member.findall("annotation")}
        key = member.tag, member.get("name")
        assert key not in found, f"{key} is there twice"
        found[key] = arguments, (member.get("type"), member.get("access")), annotations
    return found


def printed():
    return subprocess.run([BUILD / "daemon" / "p2pchatd", "--bus-introspect"], check=True,
                          capture_output=True, text=True, timeout=DEADLINE, env={}).stdout


def test_the_daemon_has_what_is_written():
    written, real = members((REPO / "dbus" / f"{NAME}.xml").read_text()), members(printed())
    assert sorted(real) == sorted(written)
    for key, member in written.items():
        assert real[key] == member, key


def test_every_method_ends_in_options_and_every_argument_has_a_name():
    for (kind, name), (arguments, _, _) in members(printed()).items():
        assert all(argument[1] for argument in arguments), name
        if kind == "method":
            inputs = [a[:2] for a in arguments if a[2] == "in"]
            assert inputs[-1] == ("a{sv}", "options"), name
        elif kind == "signal":
            assert arguments[-1][:2] == ("a{sv}", "details"), name


def test_properties_are_read_only_and_announced():
    changes = "org.freedesktop.DBus.Property.EmitsChangedSignal"
    for (kind, name), (_, (_, access), annotations) in members(printed()).items():
        if kind == "property":
            assert access == "read", name
            assert annotations.get(changes, "true") == ("const" if name == "Version" else "true")
