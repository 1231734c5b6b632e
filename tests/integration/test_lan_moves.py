# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to a machine while nobody looks: interfaces come, go and are renamed, a laptop is
carried to another network, a clock is set. All of it heals by itself."""
import os

import lan
from harness import wait_until
from lan import presences
from test_waking import DAY, Clock


def two(network, lab, **more):
    switch, cables, (alice, bob) = lan.people(lab, network, 2, **more)
    lan.wait_all_found([alice, bob])
    alice.write(bob, "hello")
    bob.write(alice, "hello yourself")
    return switch, cables, alice, bob


def check_well(alice, bob):
    lan.wait_all_found([alice, bob])
    alice.write(bob, "and now?")
    bob.write(alice, "as before")


def test_an_interface_is_renamed(network, lab):
    _, _, alice, bob = two(network, lab, family="link-local")
    for old, new in ("eth0", "wlp3s0"), ("wlp3s0", "eth0"):
        alice.host.down(old)
        alice.host.ip("link", "set", old, "name", new)
        alice.host.up(new)
        alice.wait_reaches(bob, f"%{new}]")
        check_well(alice, bob)


def test_a_bridge_for_containers_appears(network, lab):
    """As Docker makes it, first without and then with a container; and it goes away again."""
    _, _, alice, bob = two(network, lab)
    mark = alice.mark()
    alice.host.ip("link", "add", "docker0", "type", "bridge")
    alice.host.ip("address", "add", "172.17.0.1/16", "brd", "+", "dev", "docker0")
    alice.host.up("docker0")
    check_well(alice, bob)

    container = network.host()
    alice.host.ip("link", "add", "veth1", "type", "veth", "peer", "name", "eth0", "netns",
                  container.holder.pid)
    alice.host.ip("link", "set", "veth1", "master", "docker0", "up")
    container.ip("address", "add", "172.17.0.2/16", "brd", "+", "dev", "eth0")
    container.up("eth0")
    carol = lab.add(lan.Person(lab, "carol", container)).join()
    lan.wait_all_found([alice, carol])
    carol.write(alice, "from within")
    assert carol.row(bob) is None, "the networks stay two"
    carol.stop()
    alice.host.ip("link", "delete", "docker0")
    alice.wait_presence(carol, "offline")
    check_well(alice, bob)
    assert presences(alice, bob, mark) == [], "nobody noticed"


def test_a_laptop_is_carried_to_another_network(network, lab):
    _, cables, alice, bob = two(network, lab)
    other, host = network.switch(), network.host()
    other.plug(host, 1)
    carol = lab.add(lan.Person(lab, "carol", host)).join()
    cables[1].unplug()
    waiting = alice.send("@" + bob.account, "when you are back")
    cables[1].plug(other)
    other.number_at(bob.host, 2)
    lan.wait_all_found([bob, carol])
    bob.write(carol, "here I am")
    alice.wait_presence(bob, "offline", lan.AWAY)
    cables[1].plug(cables[0].switch)
    cables[0].switch.number_at(bob.host, 2)
    lan.wait_all_found([alice, bob])
    alice.wait_delivered("@" + bob.account, [waiting])


def test_a_clock_is_set(network, lab, tmp_path):
    """By a day, forwards and backwards: who was there stays, who comes is found."""
    switch, hosts = network.switch(), [network.host() for _ in range(3)]
    for n, host in enumerate(hosts, 1):
        switch.plug(host, n)
    alice, bob, carol = (lab.add(lan.Person(lab, name, host))
                         for name, host in zip(("alice", "bob", "carol"), hosts))
    clock = Clock(alice, tmp_path / "clock")
    alice.join()
    bob.join()
    check_well(alice, bob)
    for step in DAY, -2 * DAY:
        mark = alice.mark(), bob.mark()
        clock.step(step)
        check_well(alice, bob)
        carol.join() if not carol.account else carol.start()
        lan.wait_all_found([alice, bob, carol])
        carol.write(alice, "what time is it?")
        carol.stop()
        assert presences(alice, bob, mark[0]) == presences(bob, alice, mark[1]) == []
    os.close(clock.fd)
