# SPDX-License-Identifier: GPL-3.0-or-later
"""The account by DNS-SD, at an Avahi and a systemd-resolved that do what the test wants."""
import socket
import time
import types

import pytest

import avahi
import desktop
from harness import Bus, User, free_port, wait_until
from networking import Placed
from test_no_tracker import ON_LAN
from test_reload import reload

PUBLISHED = 'Avahi publishes "{}" and sees {}.'


class PlacedUser(Placed, User):
    pass


def settings(user, lan="", more=""):
    """On a loopback address nobody is looked for; no beacon reaches another test."""
    user.configure(f'listen = {{ address = "0.0.0.0"; port = {user.port}; }};\n'
                   f"lan = {{ port = {user.port}; {lan} }};\n{more}")


@pytest.fixture(name="bus")
def bus_fixture(lab):
    """The system bus of a machine on which nothing else runs."""
    return lab.add(Bus(lab, "machine", lab.base_env()))


@pytest.fixture(name="user")
def user_fixture(lab, tracker, bus):        # pylint: disable=unused-argument # alice goes there
    user = lab.user("alice")
    user.port = free_port()
    settings(user)
    user.env["DBUS_SYSTEM_BUS_ADDRESS"] = bus.address
    return user.join()


def doctor(user):
    row = next(row for row in user.call("Doctor") if row["check"] == "dns-sd")
    return row["state"], row["text"]


def wait_doctor(user, state, text):
    try:
        wait_until(lambda: doctor(user) == (state, text))
    except AssertionError:
        assert doctor(user) == (state, text)
        raise


def wait_ok(user, name="alice", sees="0 services"):
    wait_doctor(user, "ok", PUBLISHED.format(name, sees))


def wait_published(machine, *names):
    wait_until(lambda: [one[0] for one in machine.published()] == list(names),
               what=f"{names}; published: {machine.published()}")


def test_published_with_name_port_and_key(bus, user):
    wait_doctor(user, "off", "Avahi does not run.")
    machine = avahi.Avahi(bus)
    wait_ok(user)
    assert machine.published() == [
        ("alice", user.port, {b"v=1", b"account=" + user.property("Account").encode()})]
    user.call("Logout")
    wait_until(lambda: not machine.is_there(machine.client), what="nobody asks any more")
    wait_doctor(user, "off", "Without an account nobody is looked for.")
    user.call("Login", "ssa{sv}", "alice", "", {})
    wait_ok(user)


def test_only_when_a_beacon_would_say_so(bus, user):
    machine = avahi.Avahi(bus)
    wait_ok(user)
    group, = machine.committed
    settings(user)
    reload(user)
    for setting in "listed = false;", 'presence = "contacts";', 'endpoints = "contacts";':
        settings(user, more=f"privacy = {{ {setting} }};")
        reload(user)
        wait_doctor(user, "ok", "Avahi publishes nothing and sees 0 services.")
        wait_until(lambda: not machine.groups, what="it is withdrawn")
        machine.see("bob")
        wait_until(lambda: machine.resolvers, what="others are looked for")
        machine.lose("bob")
        settings(user)
        reload(user)
        wait_ok(user)
    assert group not in machine.committed and len(machine.committed) == 1
    for lan, text in ("dns-sd = false;", "lan.dns-sd is false."), \
                     ("enabled = false;", "lan.enabled is false."):
        settings(user, lan)
        reload(user)
        wait_doctor(user, "off", text)
        wait_until(lambda: not machine.is_there(machine.client), what="nobody asks any more")
        settings(user)
        reload(user)
        wait_ok(user)
    user.configure("lan = { enabled = true; };")
    reload(user)
    wait_doctor(user, "off", "This device listens on a loopback address only.")


def test_a_name_that_is_taken_gets_a_number(bus, user):
    machine = avahi.Avahi(bus, taken=("alice", "alice #2"))
    wait_ok(user, "alice #3")
    wait_published(machine, "alice #3")
    machine.taken.add("alice #3")
    machine.collide()
    wait_ok(user, "alice #4")
    assert len(machine.groups) == 1


def test_names_are_not_tried_for_ever(bus, user):
    machine = avahi.Avahi(bus, taken=(f"alice #{n}" for n in range(2, 1000)))
    machine.taken.add("alice")
    wait_doctor(user, "warning", "Avahi does not do its work: each name is taken already.")
    wait_until(lambda: not machine.groups, what="it is given up")
    assert machine.added == 33
    machine.taken.clear()
    machine.close()
    avahi.Avahi(bus)
    wait_ok(user)


def test_not_while_the_host_has_no_name(bus, user):
    machine = avahi.Avahi(bus, state=avahi.REGISTERING)
    wait_doctor(user, "ok", "Avahi publishes nothing and sees 0 services.")
    assert not machine.groups
    machine.become(avahi.RUNNING)
    wait_ok(user)
    machine.become(avahi.REGISTERING)
    wait_until(lambda: not machine.groups, what="it is withdrawn")
    machine.become(avahi.RUNNING)
    wait_ok(user)


def test_an_avahi_that_comes_again(bus, user):
    for _ in range(3):
        machine = avahi.Avahi(bus)
        wait_ok(user)
        machine.see("bob", "carol")
        wait_ok(user, sees="2 services")
        machine.close()
        wait_doctor(user, "off", "Avahi does not run.")


def test_an_avahi_that_never_answers(bus, user, lab):
    machine = avahi.Avahi(bus, does="hangs")
    wait_doctor(user, "warning", "Avahi has not answered so far.")
    bob = lab.user("bob").join()
    user.exchange(bob)
    machine.close()
    avahi.Avahi(bus)
    wait_ok(user)


@pytest.mark.parametrize("does, text", (
    ("refuses", "Avahi does not answer: not you."),
    ("nonsense", "Avahi has not answered so far."),
))
def test_an_avahi_that_answers_with(bus, user, does, text):
    machine = avahi.Avahi(bus, does=does)
    wait_doctor(user, "warning", text)
    machine.close()
    avahi.Avahi(bus)
    wait_ok(user)


def test_an_avahi_before_0_8(bus, user):
    machine = avahi.Avahi(bus, old=True)
    wait_until(lambda: "Avahi does not do its work: " in doctor(user)[1], what="it cannot look")
    wait_published(machine, "alice")


def test_others_come_and_go(bus, user):
    machine = avahi.Avahi(bus)
    wait_ok(user)
    machine.see("bob")
    machine.see("bob", protocol=1)
    machine.see("bob", interface=3)
    machine.see("bob")                          # no other one
    wait_ok(user, sees="3 services")
    machine.see("x" * 64)                       # no name in DNS
    machine.lose("carol")                       # was never there
    machine.see("carol")
    wait_until(lambda: len(machine.started) == 4, what="they are resolved")
    assert sorted(machine.started) == [(2, 0, "bob"), (2, 0, "carol"), (2, 1, "bob"), (3, 0, "bob")]
    machine.lose("bob")
    machine.lose("bob", interface=3)
    wait_until(lambda: sorted(machine.resolvers.values()) == [(2, 0, "carol"), (2, 1, "bob")],
               what="the others are freed")
    wait_ok(user, sees="2 services")


def test_who_is_called(network, lab, bus):
    switch, host = network.switch(), network.host()
    switch.plug(host, 1)
    user = lab.add(PlacedUser(lab, "alice", trackers=[]))
    user.host, user.port = host, free_port()
    settings(user)
    user.env["DBUS_SYSTEM_BUS_ADDRESS"] = bus.address
    user.start().register(**ON_LAN)
    machine = avahi.Avahi(bus)
    wait_ok(user)
    here = switch.address(1)
    with host.inside(), socket.create_server((here, 0)) as good, \
            socket.create_server((here, 0)) as bad, socket.create_server(("127.0.0.1", 0)) as loop:
        at, never, inside = (one.getsockname()[1] for one in (good, bad, loop))
        key = b"account=" + b"a" * 52
        services = [
            ("127.0.0.1", inside, (b"v=1", key)), ("::ffff:127.0.0.1", inside, (b"v=1", key)),
            ("0.0.0.0", never, (b"v=1", key)), ("224.0.0.1", never, (b"v=1", key)),
            ("198.51.100.1", never, (b"v=1", key)), ("no address", never, (b"v=1", key)),
            (here, 0, (b"v=1", key)), (here, never, ()), (here, never, (key,)),
            (here, never, (b"v=2", key)), (here, never, (b"v", b"v=1", key)),
            (here, never, (b"v=1", key[:-1])), (here, never, (b"v=1", key + b"a")),
            (here, never, (b"v=1", key[:-1] + b"b")), (here, never, (b"v=1", b"x" * 256, key)),
            (here, never, (*(b"x" * 200 for _ in range(100)), b"v=1", key)),
            (here, never, (b"v=1", b"account=" + user.property("Account").encode())),
            (here, at, (b"", b"V=1", b"v=2", key.upper().replace(b"ACC", b"Acc"))),
        ]
        machine.see(*map(str, range(len(services))))
        wait_until(lambda: len(machine.started) == len(services), what="they are resolved")
        for number, service in enumerate(services):
            machine.resolve(str(number), *service)
        good.settimeout(60)
        good.accept()[0].close()
        for one in bad, loop:
            one.setblocking(False)
            pytest.raises(BlockingIOError, one.accept)
        before = machine.resolver(str(number))
        machine.resolve(str(number), here, at + 1, service[2], host="other.local")
        wait_until(lambda: (2, 0, str(number)) in
                   [at for path, at in machine.resolvers.items() if path != before],
                   what="what moves is resolved anew")
        assert before not in machine.resolvers


def test_a_service_that_moves_all_the_time(bus, user):
    begin = time.monotonic()
    machine = avahi.Avahi(bus)
    wait_ok(user)
    machine.see("bob")
    moves = 0
    for turn in range(300):
        wait_until(lambda: machine.resolvers, what="bob is resolved")
        path = machine.resolver("bob")
        for host in "one", "two":
            machine.resolve("bob", "192.0.2.1", 1, (), f"{host}.local")
        if moves == 256:
            continue                            # as often in an hour
        wait_until(lambda path=path: path not in machine.resolvers, what="bob is resolved anew")
        moves += 1
    machine.see("carol")
    wait_until(lambda: (2, 0, "carol") in machine.started, what="all that is read")
    again = machine.started.count((2, 0, "bob")) - 1
    assert 256 <= again <= 257 + (time.monotonic() - begin) * 256 / 3600


def test_a_thousand_services(bus, user):
    begin = time.monotonic()
    machine = avahi.Avahi(bus)
    wait_ok(user)
    machine.see(*(f"one {n}" for n in range(1000)))
    wait_until(lambda: len(machine.started) == 256, what="as many as there are places for")
    wait_ok(user, sees="256 services")
    machine.see("bob")                          # in the place of another
    wait_until(lambda: (2, 0, "bob") in machine.started, what="the last one is resolved")
    machine.lose(*(f"one {n}" for n in range(1000)))
    wait_ok(user, sees="1 service")
    wait_until(lambda: list(machine.resolvers.values()) == [(2, 0, "bob")], what="all are freed")
    assert machine.most == 256
    machine.see(*(f"two {n}" for n in range(1000)))
    machine.lose("bob")
    wait_until(lambda: (2, 0, "bob") not in machine.resolvers.values(), what="all that is read")
    allowed = 1024 + int((time.monotonic() - begin) * 1024 / 3600) + 1
    assert len(machine.started) <= 257 + allowed - 1001     # in an hour, the thousand included
    wait_published(machine, "alice")


def test_only_avahi_is_listened_to(bus, user):
    machine = avahi.Avahi(bus)
    wait_ok(user)
    impostor = desktop.Service(bus, "org.example.Impostor")
    impostor.client, impostor.browser = machine.client, machine.browser
    impostor.tell = types.MethodType(avahi.Avahi.tell, impostor)
    avahi.Avahi.see(impostor, "mallory")
    impostor.tell("/", "Server", "StateChanged", "(is)", avahi.REGISTERING, "")
    group, = machine.committed
    impostor.tell(group, "EntryGroup", "StateChanged", "(is)", avahi.COLLISION, "")
    machine.see("bob")
    wait_until(lambda: machine.started, what="what Avahi says")
    user.settle()
    assert machine.started == [(2, 0, "bob")] and machine.added == 1
    wait_ok(user, sees="1 service")


def test_on_the_interfaces_that_are_named(bus, user):
    machine = avahi.Avahi(bus)
    wait_ok(user)
    settings(user, 'interfaces = ( "lo", "no-such-one" );')
    reload(user)
    wait_until(lambda: len(machine.interfaces) == 2, what="it is published anew")
    assert machine.interfaces == [-1, socket.if_nametoindex("lo")]
    wait_ok(user)
    machine.see("bob", interface=1000)
    machine.see("carol", interface=socket.if_nametoindex("lo"))
    wait_until(lambda: machine.started, what="somebody is there")
    wait_ok(user, sees="1 service")
    settings(user, 'interfaces = ( "no-such-one" );')
    reload(user)
    wait_doctor(user, "ok", "Avahi publishes nothing and sees 0 services.")


def test_neither_is_started(bus, user):
    for name in avahi.AVAHI, avahi.RESOLVED:
        (bus.home / f"services/{name}.service").write_text(
            f"[D-BUS Service]\nName={name}\nExec=/bin/touch {bus.home}/started\n")
    user.restart()
    wait_doctor(user, "off", "Avahi does not run.")
    user.settle()
    assert not (bus.home / "started").exists()


def test_resolved_publishes_where_avahi_is_not(bus, user):
    resolved = avahi.Resolved(bus)
    wait_doctor(user, "ok", 'systemd-resolved publishes "alice"; it cannot look for others.')
    (name, kind, port, txt), = resolved.services.values()
    assert (name, kind, port) == ("alice", avahi.TYPE, user.port)
    assert txt == {"v": b"1", "account": user.property("Account").encode()}
    machine = avahi.Avahi(bus)
    wait_ok(user)
    wait_until(lambda: not resolved.services, what="Avahi does it alone")
    machine.close()
    wait_until(lambda: resolved.services, what="there is nobody else")
    resolved.close()
    wait_doctor(user, "off", "Avahi does not run.")
    avahi.Resolved(bus)
    wait_doctor(user, "ok", 'systemd-resolved publishes "alice"; it cannot look for others.')


def test_resolved_may_not(bus, user):
    resolved = avahi.Resolved(bus, refuses="Interactive authentication required.")
    wait_doctor(user, "off", "Avahi does not run, and systemd-resolved does not publish: "
                "Interactive authentication required.")
    asked = resolved.asked
    reload(user)
    user.settle()
    assert resolved.asked == asked              # what it has refused it is not asked again
    avahi.Avahi(bus)
    wait_ok(user)


def test_resolved_has_interfaces_of_its_own(bus, user):
    settings(user, 'interfaces = ( "lo" );')
    reload(user)
    resolved = avahi.Resolved(bus)
    wait_doctor(user, "off", "Avahi does not run.")
    assert resolved.asked == 0
