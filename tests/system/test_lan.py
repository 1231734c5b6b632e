# SPDX-License-Identifier: GPL-3.0-or-later
"""Two laptops on one switch: their people installed the package and configured nothing."""
import contextlib
import json

import pytest

import boot
import net


def on_lan(user):
    """The names that people whom this one has found have given themselves."""
    peers = map(json.loads, user.chatc("--json", "peers", "--all").splitlines())
    return {peer["name"].partition("~")[0] for peer in peers if "lan" in peer.get("via", [])}


def await_others(user, people):
    others = {other.name for other in people if other is not user}
    boot.wait_until(lambda: on_lan(user) == others, f"{user.name} finds the others")


def talk(sender, receiver, text):
    sender.chatc("send", "--wait", "delivered", receiver.name, text)
    assert receiver.chatc("history", sender.name).count(text) == 1


@pytest.fixture(name="switch")
def switch_fixture(release, packages):
    """Two machines, with alice on the one, bob and carol on the other."""
    with contextlib.ExitStack() as stack:
        wire = stack.enter_context(net.Wire())
        here, there = (stack.enter_context(boot.Box(release, netns=end)) for end in wire.ends)
        for box in here, there:
            box.install(packages.debs["p2pchat"])
        yield wire, [here.add_user("alice"), there.add_user("bob"), there.add_user("carol")]


def test_without_any_tracker(switch):
    wire, people = switch
    for user in people:
        said = user.chatc("register", user.name, "--no-password", "--no-tracker")
        assert "for the LAN alone" in said
        boot.wait_until(lambda u=user: json.loads(u.chatc("--json", "status"))["state"] == "online",
                        f"{user.name} to be online")
        status = json.loads(user.chatc("--json", "status"))
        assert status["problems"] == [], status
    alice, bob, carol = people
    for user in people:
        await_others(user, people)
    for user, other in (alice, bob), (bob, alice), (alice, carol), (carol, bob):
        talk(user, other, f"{user.name} to {other.name}")

    # One goes away, and is written to meanwhile.
    bob.systemctl("stop", "p2pchatd")
    alice.chatc("send", "bob", "for when you are back")
    bob.systemctl("start", "p2pchatd")
    boot.wait_until(lambda: "for when you are back" in bob.chatc("history", "alice"),
                    "what was queued")

    # A cable is enough: there are the addresses that machines give themselves.
    for end in wire.ends:
        net.ip("-netns", end, "-4", "address", "flush", "dev", "wire0")
    talk(alice, bob, "still there?")
    talk(bob, alice, "still here")
