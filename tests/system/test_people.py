# SPDX-License-Identifier: GPL-3.0-or-later
"""Three people on two machines, who installed the packages and typed what the README says."""
import boot
import net


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
            user.systemctl("start", "p2pchatd")
            user.chatc("register", user.name, "--no-password", "--tracker", address)
        pairs = [(alice, bob), (bob, carol), (carol, alice), (alice, carol), (carol, bob)]
        for sender, receiver in pairs:
            sender.chatc("send", "--wait", "delivered", receiver.name,
                         f"{sender.name} to {receiver.name}")
        for sender, receiver in pairs:
            text = f"{sender.name} to {receiver.name}"
            for side, other in (sender, receiver), (receiver, sender):
                history = side.chatc("history", other.name)
                assert history.count(text) == 1, history
