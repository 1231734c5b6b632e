# SPDX-License-Identifier: GPL-3.0-or-later
"""What shows notifications on a user's desktop, and what says how his session is."""
import time
import typing

from gi.repository import Gio, GLib

from harness import connect, wait_until

DESKTOP = "org.freedesktop.Notifications"
DESKTOP_PATH = "/org/freedesktop/Notifications"
PORTAL = "org.freedesktop.portal.Desktop"
PORTAL_PATH = "/org/freedesktop/portal/desktop"
PORTAL_INTERFACE = "org.freedesktop.portal.Notification"
REGISTRY = "org.freedesktop.host.portal.Registry"
PROPERTIES = "org.freedesktop.DBus.Properties"
LOGIN = "org.freedesktop.login1"

CAPABILITIES = ("actions", "body", "body-markup")

DESKTOP_XML = f"""<node><interface name="{DESKTOP}">
<method name="GetCapabilities"><arg type="as" direction="out"/></method>
<method name="GetServerInformation"><arg type="s" direction="out"/><arg type="s" direction="out"/>
<arg type="s" direction="out"/><arg type="s" direction="out"/></method>
<method name="Notify"><arg type="s" direction="in"/><arg type="u" direction="in"/>
<arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="s" direction="in"/>
<arg type="as" direction="in"/><arg type="a{{sv}}" direction="in"/><arg type="i" direction="in"/>
<arg type="u" direction="out"/></method>
<method name="CloseNotification"><arg type="u" direction="in"/></method>
</interface></node>"""

PORTAL_XML = f"""<node><interface name="{PORTAL_INTERFACE}">
<method name="AddNotification"><arg type="s" direction="in"/><arg type="a{{sv}}" direction="in"/></method>
<method name="RemoveNotification"><arg type="s" direction="in"/></method>
<property name="version" type="u" access="read"/>
<property name="SupportedOptions" type="a{{sv}}" access="read"/>
</interface><interface name="{REGISTRY}">
<method name="Register"><arg type="s" direction="in"/><arg type="a{{sv}}" direction="in"/></method>
</interface></node>"""

LOGIN_XML = """<node><interface name="org.freedesktop.login1.User">
<property name="Display" type="(so)" access="read"/></interface>
<interface name="org.freedesktop.login1.Session">
<property name="Id" type="s" access="read"/>
<property name="User" type="(uo)" access="read"/>
<property name="Type" type="s" access="read"/>
<property name="IdleHint" type="b" access="read"/>
<property name="IdleSinceHint" type="t" access="read"/>
<property name="LockedHint" type="b" access="read"/></interface></node>"""

GET_XML = f"""<node><interface name="{PROPERTIES}"><method name="Get"><arg type="s" direction="in"/>
<arg type="s" direction="in"/><arg type="v" direction="out"/></method></interface></node>"""


class Shown(typing.NamedTuple):
    """A notification; one of the portal's has a text as its id."""
    id: object
    title: str
    body: str
    actions: dict                               # id: label
    hints: dict
    replaced: int = 0


class Service:
    """A program with a name on the bus of a user, which ends with close()."""

    def __init__(self, bus, name):
        self.connection = connect(bus.address)
        self.name = name

    @property
    def unique(self):
        return self.connection.get_unique_name()

    def export(self, path, xml, call, get=None):
        for interface in Gio.DBusNodeInfo.new_for_xml(xml).interfaces:
            self.connection.register_object(path, interface, call, get, None)

    def own(self):
        answer = self.connection.call_sync(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
            GLib.Variant("(su)", (self.name, 4)), None, Gio.DBusCallFlags.NONE, -1, None)
        assert answer.unpack() == (1,)
        return self

    def emit(self, path, interface, member, variant, to=None):
        self.connection.emit_signal(to, path, interface, member, variant)
        self.connection.flush_sync(None)

    def close(self):
        self.connection.close_sync(None)


class Desktop(Service):
    """org.freedesktop.Notifications. DOES: "works", "hangs", "fails", or "holds" its answers."""

    def __init__(self, user, capabilities=CAPABILITIES, does="works", own=True):
        super().__init__(user.bus, DESKTOP)
        self.user = user
        self.capabilities = capabilities
        self.does = does
        self.screen = {}                        # id: what is shown now
        self.said = []                          # all that was ever shown, in its order
        self.asked = 0
        self.held = []
        self.last_id = 6
        self.export(DESKTOP_PATH, DESKTOP_XML, self.on_call)
        if own:
            self.own()

    def on_call(self, _connection, sender, _path, _interface, method, parameters, call):
        self.sender = sender                    # the connection that notifications come from
        self.asked += 1
        if self.does == "hangs":
            return
        if self.does == "fails":
            call.return_dbus_error("org.example.Error.Busy", "the secret of the day")
            return
        answer = getattr(self, method)(*parameters.unpack())
        if self.does == "holds" and method == "Notify":
            self.held.append((call, answer))
        else:
            call.return_value(answer)

    def release(self):
        """Answers what was held."""
        for call, answer in self.held:
            call.return_value(answer)
        self.held.clear()
        self.connection.flush_sync(None)

    def GetCapabilities(self):                  # noqa: N802
        return GLib.Variant("(as)", (self.capabilities,))

    def GetServerInformation(self):             # noqa: N802
        return GLib.Variant("(ssss)", ("mock\x1b[2J", "nobody", "1.0", "1.2"))

    def Notify(self, _app, replaces, _icon, title, body, actions, hints, _timeout):  # noqa: N802
        if replaces:
            number = replaces
        else:
            self.last_id += 1
            number = self.last_id
        shown = Shown(number, title, body, dict(zip(actions[::2], actions[1::2])), hints, replaces)
        self.screen[number] = shown
        self.said.append(shown)
        return GLib.Variant("(u)", (number,))

    def CloseNotification(self, number):        # noqa: N802
        if self.screen.pop(number, None):
            self.signal("NotificationClosed", "(uu)", number, 3)

    def signal(self, member, signature, *args, to=None):
        self.emit(DESKTOP_PATH, DESKTOP, member, GLib.Variant(signature, args), to)

    # what the user does

    def dismiss(self, number):
        del self.screen[number]
        self.signal("NotificationClosed", "(uu)", number, 2)

    def act(self, number, action="default"):
        assert action in self.screen[number].actions
        self.signal("ActionInvoked", "(us)", number, action)

    def reply(self, number, text):
        assert "inline-reply" in self.screen[number].actions
        self.signal("NotificationReplied", "(us)", number, text)

    # what he sees

    def now(self):
        return sorted((shown.title, shown.body) for shown in self.screen.values())

    def wait(self, *expected):
        """Until exactly this is on screen; returns the notifications in the same order."""
        try:
            wait_until(lambda: self.now() == sorted(expected), what=f"{expected} is shown")
        except AssertionError as error:
            raise AssertionError(f"{error}; on screen: {self.now()}") from None
        return [next(shown for shown in self.screen.values() if (shown.title, shown.body) == one)
                for one in expected]


class Portal(Service):
    """org.freedesktop.portal.Notification."""

    def __init__(self, user, version=2, purposes=("im.reply-with-text",), registry=True):
        super().__init__(user.bus, PORTAL)
        self.user = user
        self.version = version
        self.purposes = purposes
        self.registry = registry
        self.registered = []
        self.screen = {}
        self.export(PORTAL_PATH, PORTAL_XML, self.on_call, self.on_get)
        self.own()

    def on_get(self, _connection, _sender, _path, _interface, name):
        if name == "version":
            return GLib.Variant("u", self.version)
        return GLib.Variant("a{sv}", {"category": GLib.Variant("as", ["im.received"]),
                                      "button-purpose": GLib.Variant("as", self.purposes)})

    def on_call(self, _connection, sender, _path, interface, method, parameters, call):
        self.sender = sender
        if interface == REGISTRY and not self.registry:
            call.return_dbus_error("org.freedesktop.DBus.Error.UnknownMethod", "No such interface")
            return
        getattr(self, method)(*parameters.unpack())
        call.return_value(None)

    def Register(self, application, _options):  # noqa: N802
        self.registered.append(application)

    def AddNotification(self, key, values):     # noqa: N802
        actions = {b["action"]: (b["label"], b.get("purpose")) for b in values.get("buttons", ())}
        self.screen[key] = Shown(key, values["title"], values["body"], actions, values)

    def RemoveNotification(self, key):          # noqa: N802
        self.screen.pop(key, None)

    def act(self, key, action, parameters, to=None):
        self.emit(PORTAL_PATH, PORTAL_INTERFACE, "ActionInvoked",
                  GLib.Variant("(ssav)", (key, action, parameters)), to or self.sender)

    now = Desktop.now
    wait = Desktop.wait


class Login(Service):
    """logind, with one session of the user."""

    def __init__(self, bus, uid, locked=False, display=True, hangs=False, late=0, kind="wayland",
                 idle_since=0):
        super().__init__(bus, LOGIN)
        self.locked = locked
        self.display = display
        self.kind = kind
        self.uid = uid
        self.idle_since = idle_since            # µs; 0: there is input
        self.late = late                        # so often an answer does not come in time
        self.asked = 0                          # one question at a time: the one before is done with
        self.user_path = f"/org/freedesktop/login1/user/_{uid}"
        self.session_path = "/org/freedesktop/login1/session/_32"
        if hangs:
            self.export(self.user_path, GET_XML, lambda *_: None)
        elif late:
            self.export(self.user_path, GET_XML, self.on_late)
        else:
            self.export(self.user_path, LOGIN_XML, None, self.on_get)
        self.export(self.session_path, LOGIN_XML, None, self.on_get)
        self.own()

    def on_late(self, *args):
        call = args[-1]
        if self.late > 0:
            self.late -= 1                      # as who asked is told when his patience is over
            call.return_dbus_error("org.freedesktop.DBus.Error.NoReply", "No answer in time")
        else:
            call.return_value(GLib.Variant("(v)", (self.on_get(*args[:4], "Display"),)))

    def on_get(self, _connection, _sender, _path, _interface, name):
        session = {"LockedHint": ("b", self.locked), "Id": ("s", "2"), "Type": ("s", self.kind),
                   "User": ("(uo)", (self.uid, self.user_path)),
                   "IdleHint": ("b", self.idle_since > 0),
                   "IdleSinceHint": ("t", self.idle_since or time.time_ns() // 1000)}
        if name in session:
            return GLib.Variant(*session[name])
        self.asked += 1
        return GLib.Variant("(so)", ("2", self.session_path) if self.display else ("", "/"))

    def changed(self, path, interface, name, value):
        self.emit(path, PROPERTIES, "PropertiesChanged",
                  GLib.Variant("(sa{sv}as)", (interface, {name: value}, [])))

    def lock(self, locked=True):
        self.locked = locked
        self.changed(self.session_path, LOGIN + ".Session", "LockedHint",
                     GLib.Variant("b", locked))

    def idle(self, since):
        self.idle_since = since
        self.changed(self.session_path, LOGIN + ".Session", "IdleHint", GLib.Variant("b", since > 0))

    def set_display(self, display):
        self.display = display
        self.changed(self.user_path, LOGIN + ".User", "Display",
                     self.on_get(None, None, None, None, "Display"))
