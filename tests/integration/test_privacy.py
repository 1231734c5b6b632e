# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is listed, who sees that somebody is there, and where: privacy.* of p2pchatd.conf."""

from harness import free_port, wait_until
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
    wait_until(lambda: not listed(carol, "bob"), what="bob is not among who is there")
    assert listed(carol, "bob", all=True)
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
    alice.exchange(bob)         # who becomes a contact with this, and gets a token over this link
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

    def hides():                                # his record and where he is are two messages
        row = next(p for p in carol.list("ListPeers", all=True) if p["name"] == "bob")
        return row["presence"] == "offline" and "last-seen" not in row and not row.get("endpoints")
    wait_until(hides, what="nothing of bob is shown any more")
    alice.restart()
    alice.wait_state("online")
    assert not alice.signals("PeerChanged", lambda n, p, *_: (n, p) == ("bob", "online"), seen)
    alice.exchange(bob, "contacts know where he was")
    change(bob)
    wait_until(lambda: listed(carol, "bob"), what="bob is there again")


# Where somebody is

HIDDEN = privacy(endpoints="contacts")
NO_MAIL = "mailbox = { enabled = false; };"


def move(user, more):
    """To a port where nobody has been told to look for him."""
    user.stop()
    port = free_port()
    user.configure(f'listen = {{ address = "127.0.0.1"; port = {port}; }}; {more}')
    user.start()
    user.wait_state("online")
    return port


def shown_endpoints(user, name):
    return next(p for p in user.list("ListPeers", all=True) if p["name"] == name).get("endpoints", [])


def never_comes(sender, receiver, message):
    """Somebody else's, sent later, has come, and the sender has looked for its recipient."""
    assert sender.status()["links"] == 0
    assert message not in [m["id"] for m in receiver.history(sender.name)]
    assert next(m for m in sender.history(receiver.name) if m["id"] == message)["state"] == "queued"


def test_contacts_find_whom_strangers_do_not(lab):
    tracker = lab.tracker(config=NO_MAIL)
    alice, bob, carol = (lab.user(name).join() for name in ("alice", "bob", "carol"))
    bob.exchange(alice)
    bob.exchange(alice, "the key has come over the link")
    port = move(bob, HIDDEN)
    stranger = carol.send("bob", "from a stranger")
    alice.exchange(bob, "the contact has opened where he is")
    wait_until(lambda: shown_endpoints(alice, "bob") == [f"127.0.0.1:{port}"], what="alice sees it")
    assert presence(alice, "bob") == "online" and listed(carol, "bob")
    assert shown_endpoints(carol, "bob") == []
    never_comes(carol, bob, stranger)
    disk = b"".join(f.read_bytes() for f in tracker.state.rglob("data.mdb"))
    assert b"carol" in disk and f"127.0.0.1:{port}".encode() not in disk
    bob.configure(f'listen = {{ address = "127.0.0.1"; port = {port}; }};')
    reload(bob)
    carol.wait_delivered("bob", [stranger])


def test_hiding_begins_while_it_runs(lab):
    lab.tracker(config=NO_MAIL)
    alice, bob = (lab.user(name).join() for name in ("alice", "bob"))
    alice.exchange(bob)         # who becomes a contact with this, and gets the key over this link
    bob.exchange(alice)
    change(bob, endpoints="contacts")
    carol = lab.user("carol").join()
    wait_until(lambda: shown_endpoints(carol, "bob") == [], what="carol does not see where he is")
    move(bob, HIDDEN)
    alice.exchange(bob, "found again")
    never_comes(carol, bob, carol.send("bob", "from a stranger"))


def test_who_is_blocked_finds_nobody_any_more(lab):
    lab.tracker(config=NO_MAIL)
    alice, bob, carol = (lab.user(name).join() for name in ("alice", "bob", "carol"))
    for contact in (alice, carol):
        bob.exchange(contact)
    move(bob, HIDDEN)
    for contact in (alice, carol):
        contact.exchange(bob)
    bob.call("Block", "sa{sv}", "carol", {})
    alice.exchange(bob, "who has got the new key")
    port = move(bob, HIDDEN)
    lost = carol.send("bob", "from somebody blocked")
    alice.exchange(bob, "found again")
    wait_until(lambda: shown_endpoints(alice, "bob") == [f"127.0.0.1:{port}"], what="alice sees it")
    assert f"127.0.0.1:{port}" not in shown_endpoints(carol, "bob")
    never_comes(carol, bob, lost)
