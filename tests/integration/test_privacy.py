# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is listed, who sees that somebody is there, and where: privacy.* of p2pchatd.conf."""

from harness import wait_until
from test_reload import reload


def privacy(**keys):
    values = {k: str(v).lower() if isinstance(v, bool) else f'"{v}"' for k, v in keys.items()}
    return "privacy = { %s };" % " ".join(f"{k} = {v};" for k, v in values.items())


def change(user, **keys):
    user.configure(privacy(**keys) if keys else "")
    reload(user)


def listed(user, name, **more):
    return name in [p["name"] for p in user.list("ListPeers", **more)]


def presence(user, name):
    """As a contact shows it, or who asks for one name: from the tracker, or from a link."""
    return (user.peer(name) or {"presence": "not shown"})["presence"]


def wait_presence(user, name, expected):
    wait_until(lambda: presence(user, name) == expected, what=f"{name} is {expected} to {user.name}")


def test_who_is_not_listed_is_found_by_name(lab, alice):
    bob = lab.user("bob", config=privacy(listed=False)).join()
    assert not listed(alice, "bob", all=True) and not listed(alice, "bob")
    assert listed(bob, "alice", all=True)
    alice.exchange(bob)
    carol = lab.user("carol").join()
    assert not listed(carol, "bob", all=True)
    change(bob)
    wait_until(lambda: listed(carol, "bob", all=True), what="bob is listed again")
    change(bob, listed=False)
    wait_until(lambda: not listed(carol, "bob", all=True), what="bob is not listed any more")
    bob.restart()
    bob.wait_state("online")
    assert not listed(carol, "bob", all=True), "it is in the record, and the record is kept"


def check_contacts_only(lab, alice, bob):
    """Alice is a contact of bob's; carol is not, and asks whomever she can."""
    carol = lab.user("carol").join()
    assert not listed(carol, "bob") and listed(carol, "bob", all=True)
    wait_presence(alice, "bob", "online")
    assert presence(carol, "bob") == "not shown"
    wait_until(lambda: "tracker" in alice.peer("bob")["via"], what="the tracker says it")
    seen = alice.mark()
    bob.kill()
    alice.wait_signal("PeerChanged", lambda n, p, *_: (n, p) == ("bob", "offline"), seen)
    bob.start()
    bob.wait_state("online")
    wait_presence(alice, "bob", "online")
    alice.restart()
    wait_presence(alice, "bob", "online")
    assert not carol.signals("PeerChanged", lambda n, *_: n == "bob")


def test_contacts_see_who_hides_from_others(lab, alice):
    bob = lab.user("bob", config=privacy(presence="contacts")).join()
    bob.exchange(alice)
    check_contacts_only(lab, alice, bob)


def test_hiding_from_others_can_begin_later(lab, alice):
    bob = lab.user("bob").join()
    bob.exchange(alice)
    wait_presence(alice, "bob", "online")
    change(bob, presence="contacts")
    check_contacts_only(lab, alice, bob)


def test_nobody_sees_who_hides(lab, alice):
    bob = lab.user("bob").join()
    alice.exchange(bob)
    carol = lab.user("carol").join()
    assert listed(carol, "bob")
    seen = alice.mark()
    change(bob, presence="nobody")
    wait_until(lambda: not listed(carol, "bob"), what="bob is not among who is there")
    assert listed(carol, "bob", all=True)
    row = next(p for p in carol.list("ListPeers", all=True) if p["name"] == "bob")
    assert row["presence"] == "offline" and "last-seen" not in row and not row.get("endpoints")
    alice.restart()
    alice.wait_state("online")
    assert not alice.signals("PeerChanged", lambda n, p, *_: (n, p) == ("bob", "online"), seen)
    alice.exchange(bob, "contacts know where he was")
    change(bob)
    wait_until(lambda: listed(carol, "bob"), what="bob is there again")
