# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding each other with no server at all: real daemons on machines that are plugged together."""
import socket

import pytest

import kernel
import lan
from harness import DELIVERED, wait_until
from lan import presences
from networking import Ear


def check_twenty(network, lab, family):
    switch, cables, everybody = lan.people(lab, network, 20, family)
    lan.wait_all_found(everybody)
    mover, gone, back, *others = everybody
    friend = others[0]                          # PeerChanged is of those one knows
    for person in gone, back:
        friend.call("AddContact", "sa{sv}", "@" + person.account, {})
    for person in gone, back:                   # who has not been there for long is missed soon
        person.restart()
    lan.wait_all_found(everybody)
    mark = friend.mark()

    # One has another address at another interface, two are unplugged.
    for cable in cables[1:3]:
        cable.unplug()
    mover.host.down("eth0")
    mover.host.ip("link", "set", "eth0", "name", "lan0", "address", "02:00:00:00:77:01")
    mover.host.up("lan0")
    switch.number_at(mover.host, 101, family, "lan0")
    address = switch.address(101) if family == "both" else "fe80::ff:fe00:7701"
    for person in others:
        person.wait_reaches(mover, address)

    # One of them comes back.
    for person in gone, back:
        friend.wait_presence(person, "offline", lan.AWAY)
    cables[2].plug()
    for person in (mover, *others):
        person.wait_on_lan(back)
        back.wait_on_lan(person)
    for person in others:
        person.wait_presence(gone, "offline", lan.AWAY)
    assert presences(friend, gone, mark) == ["away", "offline"]
    assert presences(friend, back, mark) == ["away", "offline", "online"]
    back.write(mover, "all is well again")


def test_twenty_find_each_other(network, lab):
    check_twenty(network, lab, "both")


def test_a_router_passes_no_beacon_on(network, lab):
    """People on either side can connect to each other, and do not hear each other. Somebody who is
    on both sides hears and is heard by all."""
    sides = [network.switch(), network.switch()]
    router = network.router(*sides)
    people, ears = [], []
    for side, names in zip(sides, (("alice", "carol"), ("bob", "dave"))):
        ears.append(Ear(side, "br0"))
        for n, name in enumerate(names, 1):
            host = network.host()
            side.plug(host, n)
            host.ip("route", "add", "default", "via", side.address(254))
            host.ip("route", "add", "default", "via", side.address(254, 6))
            people.append(lab.add(lan.Person(lab, name, host)).join())
    alice, carol, bob, dave = people
    eve = lab.add(lan.Person(lab, "eve", router)).join()
    eve.wait_on_lan(*people)
    lan.wait_all_found([alice, carol, eve])
    lan.wait_all_found([bob, dave, eve])
    for person, others in (alice, (bob, dave)), (bob, (alice, carol)):
        assert not any(person.row(other) for other in others)
    port, = kernel.listening_ports(bob.pid)
    for address in sides[1].address(1), sides[1].address(1, 6):
        with alice.host.inside(), socket.create_connection((address, port), timeout=30):
            pass
    for ear, inside, side in zip(ears, ((alice, carol), (bob, dave)), ("eth0", "eth1")):
        theirs = {address for person in inside for address in person.host.addresses()}
        senders = {sender for sender, _ in ear.heard()}
        assert senders <= theirs | set(router.addresses(side))
        for person in inside:
            assert senders & set(person.host.addresses()), "the ear hears what there is"
        ear.close()


def test_twenty_over_ipv6_alone(network, lab):
    """Two tests after the other, so that they run side by side."""
    check_twenty(network, lab, "link-local")


def test_two_users_of_one_machine(network, lab):
    """Two user ids, one port for beacons: whoever comes later takes nothing from who was first, and
    hears what is said in answer."""
    switch, shared, elsewhere = network.switch(), network.host(), network.host()
    switch.plug(shared, 1)
    switch.plug(elsewhere, 2)
    alice = lab.add(lan.Person(lab, "alice", shared, system_user="daemon")).join()
    carol = lab.add(lan.Person(lab, "carol", elsewhere)).join()
    lan.wait_all_found([alice, carol])
    bob = lab.add(lan.Person(lab, "bob", shared, system_user="nobody")).join()
    lan.wait_all_found([alice, bob, carol])
    for one, other in (alice, bob), (bob, carol), (carol, alice):
        one.write(other, f"to {other.name}")
    alice.stop()
    for person in (bob, carol):
        person.wait_presence(alice, "offline")
    alice.start()
    lan.wait_all_found([alice, bob, carol])


@pytest.mark.parametrize("family", ["ipv4", "link-local"])
def test_talk_and_what_waits_meanwhile(network, lab, family):
    _, (_, cable), (alice, bob) = lan.people(lab, network, 2, family)
    lan.wait_all_found([alice, bob])
    alice.write(bob, "hello")
    bob.write(alice, "hello yourself")
    bob.stop()
    first = [alice.send("@" + bob.account, f"for later {n}") for n in range(3)]
    alice.restart()
    cable.unplug()
    bob.start()
    second = bob.send("@" + alice.account, "while nothing is plugged in")
    cable.plug()
    alice.wait_delivered("@" + bob.account, first)
    bob.wait_delivered("@" + alice.account, [second])
    rows = bob.history("@" + alice.account)
    assert [m["text"] for m in rows if m["id"] in first] == [f"for later {n}" for n in range(3)]
    assert len({m["id"] for m in rows}) == len(rows) == 6


def test_the_tracker_dies_in_the_middle(network, lab):
    """A conversation goes on, and so does finding those who are known, wherever they are."""
    switch, hosts = network.switch(), [network.host() for _ in range(3)]
    for n, host in enumerate(hosts, 1):
        switch.plug(host, n)
    tracker = lab.add(lan.LanTracker(lab, hosts[2], switch.address(3))).start()
    alice, bob = (lab.add(lan.Person(lab, name, host, trackers=[tracker.address()])).join()
                  for name, host in zip(("alice", "bob"), hosts))
    lan.wait_all_found([alice, bob])
    wait_until(lambda: set(alice.row(bob)["via"]) >= {"lan", "tracker"}, what="it says so too")
    assert alice.row(bob)["name"] == "bob", "the tracker says the same"
    texts = [f"number {n}" for n in range(40)]
    sent = [alice.send("bob", text) for text in texts[:20]]
    tracker.kill()
    sent += [alice.send("bob", text) for text in texts[20:]]
    alice.wait_delivered("bob", sent)
    assert [m["text"] for m in bob.history("alice")] == texts
    wait_until(lambda: alice.property("State") != "online", what="alice knows that it is gone")
    assert alice.on_lan(bob) and alice.row(bob)["name"] == "bob"

    # Both begin anew, one of them with another address: there is nothing but the network.
    bob.stop()
    switch.number_at(bob.host, 77)
    bob.start()
    alice.restart()
    bob.wait_delivered("alice", [bob.send("alice", "still there?")])
    alice.wait_delivered("bob", [alice.send("bob", "always")])
    assert all(m["state"] in DELIVERED for m in alice.history("bob") if m["from"] == "alice")


def test_a_tracker_is_offered_and_never_taken(network, lab):
    switch, near, far = network.switch(), network.host(), network.host()
    switch.plug(near, 1)
    switch.plug(far, 2)
    tracker = lab.add(lan.LanTracker(lab, far, switch.address(2))).start()
    alice = lab.add(lan.Person(lab, "alice", near)).join()

    def offered():
        return tracker.address() in str(alice.status()), tracker.address() in str(
            alice.call("Doctor"))

    wait_until(lambda: offered() == (True, True), what="status and doctor name the tracker")
    assert tracker.address() in alice.chatc("status").out
    assert tracker.address() in alice.chatc("doctor").out
    assert alice.property("Trackers") == []
    alice.restart()
    wait_until(lambda: offered() == (True, True), what="the same after a restart")
    assert alice.property("Trackers") == []
    bob = lab.add(lan.Person(lab, "bob", near, trackers=[tracker.address()])).join()
    bob.wait_on_lan(alice)
    assert bob.call("ListPeers", "a{sv}", {"all": True}) and "tracker" not in bob.row(alice)["via"]
