# SPDX-License-Identifier: GPL-3.0-or-later
"""avahi-daemon and systemd-resolved as their clients see them on the system bus."""
from gi.repository import Gio, GLib

from desktop import Service
from harness import wait_until

AVAHI = "org.freedesktop.Avahi"
RESOLVED = "org.freedesktop.resolve1"
TYPE = "_p2pchat._tcp"

REGISTERING, RUNNING = 1, 2                     # states of the server
ESTABLISHED, COLLISION = 2, 3                   # and of a group

SERVER_XML = f"""<node><interface name="{AVAHI}.Server">
<method name="GetState"><arg type="i" direction="out"/></method>
<method name="EntryGroupNew"><arg type="o" direction="out"/></method>
</interface><interface name="{AVAHI}.Server2">
<method name="ServiceBrowserPrepare"><arg type="i" direction="in"/><arg type="i" direction="in"/>
<arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="u" direction="in"/>
<arg type="o" direction="out"/></method>
<method name="ServiceResolverPrepare"><arg type="i" direction="in"/><arg type="i" direction="in"/>
<arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="s" direction="in"/>
<arg type="i" direction="in"/><arg type="u" direction="in"/><arg type="o" direction="out"/></method>
</interface></node>"""

GROUP_XML = f"""<node><interface name="{AVAHI}.EntryGroup">
<method name="AddService"><arg type="i" direction="in"/><arg type="i" direction="in"/>
<arg type="u" direction="in"/><arg type="s" direction="in"/><arg type="s" direction="in"/>
<arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="q" direction="in"/>
<arg type="aay" direction="in"/></method><method name="Commit"/><method name="Free"/>
</interface></node>"""

OBJECT_XML = """<node><interface name="{}"><method name="Start"/><method name="Free"/>
</interface></node>"""

RESOLVED_XML = f"""<node><interface name="{RESOLVED}.Manager">
<method name="RegisterService"><arg type="s" direction="in"/><arg type="s" direction="in"/>
<arg type="s" direction="in"/><arg type="q" direction="in"/><arg type="q" direction="in"/>
<arg type="q" direction="in"/><arg type="aa{{say}}" direction="in"/><arg type="o" direction="out"/>
</method></interface></node>"""

DNSSD_XML = f"""<node><interface name="{RESOLVED}.DnssdService"><method name="Unregister"/>
</interface></node>"""


class Failure(Exception):
    """The name and text of an error that is answered."""


class Answering(Service):
    def on_call(self, _connection, sender, path, _interface, method, parameters, call):
        self.client = sender
        try:
            answer = getattr(self, method)(path, *parameters.unpack())
        except Failure as failure:
            call.return_dbus_error(*failure.args)
            return
        if answer is not False:                 # False: never
            call.return_value(answer)


class Avahi(Answering):
    """One client at a time. DOES: "works", "hangs", "refuses", or answers with "nonsense"."""

    def __init__(self, bus, state=RUNNING, does="works", taken=(), old=False):
        super().__init__(bus, AVAHI)
        self.state = state
        self.does = does
        self.taken = set(taken)                 # names of others
        self.groups = {}                        # path: (name, port, TXT as a set of bytes), once added
        self.committed = set()
        self.browsers = {}                      # path: whether it was started
        self.resolvers = {}                     # path: the (interface, protocol, name) to resolve
        self.started = []                       # of them, in this order
        self.most = 0                           # resolvers at a time
        self.added = 0
        self.interfaces = []                    # of the services that were added
        self.last = 0
        xml = SERVER_XML.replace(".Server2", ".Server9") if old else SERVER_XML
        self.export("/", xml, self.on_call)
        self.own()

    def make(self, kind, xml):
        self.last += 1
        path = f"/Client0/{kind}{self.last}"
        self.export(path, xml, self.on_call)
        return path

    def tell(self, path, interface, member, signature, *values):
        self.emit(path, f"{AVAHI}.{interface}", member, GLib.Variant(signature, values), self.client)

    # the server

    def GetState(self, _path):                  # noqa: N802
        if self.does == "hangs":
            return False
        if self.does == "refuses":
            raise Failure("org.freedesktop.DBus.Error.AccessDenied", "not you")
        if self.does == "nonsense":
            return GLib.Variant("(i)", (-77,))
        return GLib.Variant("(i)", (self.state,))

    def is_there(self, name):
        return self.connection.call_sync(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner",
            GLib.Variant("(s)", (name,)), None, Gio.DBusCallFlags.NONE, -1, None).unpack()[0]

    def become(self, state):
        self.state = state
        self.emit("/", f"{AVAHI}.Server", "StateChanged", GLib.Variant("(is)", (state, "")))

    def EntryGroupNew(self, _path):             # noqa: N802
        path = self.make("EntryGroup", GROUP_XML)
        self.groups[path] = None
        return GLib.Variant("(o)", (path,))

    def ServiceBrowserPrepare(self, _path, interface, protocol, kind, _domain, _flags):  # noqa: N802
        assert (interface, protocol, kind) == (-1, -1, TYPE)
        path = self.make("ServiceBrowser", OBJECT_XML.format(f"{AVAHI}.ServiceBrowser"))
        self.browsers[path] = False
        return GLib.Variant("(o)", (path,))

    def ServiceResolverPrepare(self, _path, interface, protocol, name, kind, _domain,  # noqa: N802
                               family, _flags):
        assert (kind, family) == (TYPE, protocol)
        path = self.make("ServiceResolver", OBJECT_XML.format(f"{AVAHI}.ServiceResolver"))
        self.resolvers[path] = (interface, protocol, name)
        self.most = max(self.most, len(self.resolvers))
        return GLib.Variant("(o)", (path,))

    # its objects

    def Free(self, path):                       # noqa: N802
        self.committed.discard(path)
        next(objects for objects in (self.groups, self.browsers, self.resolvers)
             if path in objects).pop(path)

    def Start(self, path):                      # noqa: N802
        if path in self.browsers:
            self.browsers[path] = True
        else:
            self.started.append(self.resolvers[path])

    def AddService(self, path, interface, _protocol, _flags, name, kind, _domain, _host,  # noqa: N802
                   port, txt):
        assert kind == TYPE
        self.added += 1
        self.interfaces.append(interface)
        if name in self.taken:
            raise Failure(f"{AVAHI}.CollisionError", "Local name collision")
        self.groups[path] = (name, port, {bytes(text) for text in txt})

    def Commit(self, path):                     # noqa: N802
        self.committed.add(path)
        self.tell(path, "EntryGroup", "StateChanged", "(is)", ESTABLISHED, "")

    def collide(self):
        """Another machine has the name."""
        path, = self.committed
        self.committed.remove(path)
        self.tell(path, "EntryGroup", "StateChanged", "(is)", COLLISION, "taken")

    # what there is on the network

    def published(self):
        return [self.groups[path] for path in self.committed]

    def browser(self):
        """What the daemon says of it on another bus may be here sooner than its start is."""
        wait_until(lambda: any(self.browsers.values()), what="somebody browses")
        path, = (path for path, started in self.browsers.items() if started)
        return path

    def see(self, *names, interface=2, protocol=0, member="ItemNew"):
        for name in names:
            self.tell(self.browser(), "ServiceBrowser", member, "(iisssu)", interface, protocol, name,
                      TYPE, "local", 0)

    def lose(self, *names, **where):
        self.see(*names, member="ItemRemove", **where)

    def resolver(self, name):
        path, = (path for path, (_, _, other) in self.resolvers.items() if other == name)
        return path

    def resolve(self, name, address, port, txt, host="host.local"):
        path = self.resolver(name)
        interface, protocol, _ = self.resolvers[path]
        self.tell(path, "ServiceResolver", "Found", "(iissssisqaayu)", interface, protocol, name, TYPE,
                  "local", host, protocol, address, port, [list(text) for text in txt], 0)


class Resolved(Answering):
    """systemd-resolved, where the user may publish something or not."""

    def __init__(self, bus, refuses=None):
        super().__init__(bus, RESOLVED)
        self.refuses = refuses
        self.services = {}
        self.asked = 0
        self.export("/org/freedesktop/resolve1", RESOLVED_XML, self.on_call)
        self.export("/org/freedesktop/resolve1/dnssd/one", DNSSD_XML, self.on_call)
        self.own()

    def RegisterService(self, _path, _id, name, kind, port, _priority, _weight, txt):  # noqa: N802
        self.asked += 1
        if self.refuses:
            raise Failure("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", self.refuses)
        path = "/org/freedesktop/resolve1/dnssd/one"
        self.services[path] = (name, kind, port, {key: bytes(value) for key, value in txt[0].items()})
        return GLib.Variant("(o)", (path,))

    def Unregister(self, path):                 # noqa: N802
        del self.services[path]
