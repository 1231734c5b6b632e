# SPDX-License-Identifier: GPL-3.0-or-later
"""People who installed the packages and typed what the README says."""
import json

import boot
import net


def join(user, address):
    user.systemctl("start", "p2pchatd")
    user.chatc("register", user.name, "--no-password", "--tracker", address)


def endpoints(user, name):
    peers = map(json.loads, user.chatc("--json", "peers", "--all").splitlines())
    return next((peer.get("endpoints", []) for peer in peers if peer["name"] == name), [])


def test_three_people_on_two_machines(release, packages):
    with net.Wire() as wire, boot.Box(release, netns=wire.ends[0]) as here, \
            boot.Box(release, netns=wire.ends[1]) as there:
        here.install(*packages.all())
        there.install(packages.debs["p2pchat"])
        here.put("/etc/p2pchat/p2pchat-tracker.conf", f'advertise = "{wire.addresses[0]}";\n')
        here.systemctl("reload", "p2pchat-tracker")
        address = here.run("p2pchat-tracker", "--print-address").stdout.strip()
        assert address.startswith(f"{wire.addresses[0]}:7425#")

        alice, bob, carol = here.add_user("alice"), here.add_user("bob"), there.add_user("carol")
        for user in alice, bob, carol:
            join(user, address)
        pairs = [(alice, bob), (bob, carol), (carol, alice), (alice, carol), (carol, bob)]
        for sender, receiver in pairs:
            sender.chatc("send", "--wait", "delivered", receiver.name,
                         f"{sender.name} to {receiver.name}")
        for sender, receiver in pairs:
            text = f"{sender.name} to {receiver.name}"
            for side, other in (sender, receiver), (receiver, sender):
                history = side.chatc("history", other.name)
                assert history.count(text) == 1, history


def test_a_network_that_comes_later(release, packages):
    """A machine that boots without one: its people reach each other, and others them soon after."""
    with net.Wire() as wire:
        net.ip("-netns", wire.ends[0], "address", "flush", "dev", "wire0")
        with boot.Box(release, netns=wire.ends[0]) as box:
            box.install(*packages.all())
            address = box.run("p2pchat-tracker", "--print-address").stdout.strip()
            alice, bob = box.add_user("alice"), box.add_user("bob")
            join(alice, address)
            join(bob, address)
            alice.chatc("send", "--wait", "delivered", "bob", "nobody else is here")
            net.ip("-netns", wire.ends[0], "address", "add", f"{wire.addresses[0]}/24", "dev", "wire0")
            boot.wait_until(
                lambda: any(endpoint.startswith(f"{wire.addresses[0]}:")
                            for endpoint in endpoints(bob, "alice")),
                "alice's address to be known")
