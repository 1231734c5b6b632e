# SPDX-License-Identifier: GPL-3.0-or-later
"""An account goes to another device with all that it has, whatever happens on the way."""
import pytest

from harness import BusError, wait_until

PASSWORD = "correct horse"
END = 2**64 - 1


def login(lab, device, verb="login"):
    path = lab.directory / "password"
    path.write_text(PASSWORD)
    done = device.chatc(verb, "anna", "--password-file", str(path), timeout=120)
    assert done.rc == 0, done
    return device.wait_state("online")


def handed_over(old, new):
    """The old one keeps nothing that the new one does not have."""
    old.wait_state("replaced")
    wait_until(lambda: not old.property("HandOver") and not new.property("HandOver"),
               what=f"{old.name} has handed over to {new.name}")


def shown(user, other):
    return [(m["id"], m["from"], m["text"]) for m in user.history(other)]


def texts(user, other):
    return [m["text"] for m in user.history(other)]


def unread(user, other):
    return next((v["unread"] for v in user.list("ListConversations") if v["with"] == other), 0)


def peer(user, name):
    return next(p for p in user.list("ListPeers", contacts=True) if p["name"] == name)


def waiting(user):
    return sorted(m["id"] for m in user.list("ListOutbox"))


def events_after(user, client):
    """Ids of messages that a client has not acknowledged."""
    events, _ = user.call("ListEvents", "tua{sv}", 0, 1000, {"client": client})
    return [e["id"] for e in events if e["event"] == "MessageReceived"]


@pytest.fixture(name="phone")
def phone_fixture(lab):
    """Anna's first device: bob knows her, and carol is away."""
    lab.tracker()
    phone = lab.user("phone").start()
    login(lab, phone, "register")
    bob, carol = lab.users("bob", "carol")
    for user in (bob, carol):
        user.wait_delivered("anna", [user.send("anna", f"{user.name} is here")])
        phone.wait_delivered(user.name, [phone.send(user.name, "so am I")])
    carol.stop()
    return phone, bob, carol


def test_all_of_it_is_there(lab, phone):
    phone, bob, carol = phone
    said = [bob.send("anna", f"line {n}") for n in range(30)]
    bob.wait_delivered("anna", said)
    phone.call("MarkRead", "sa{sv}", said[19], {})
    cursor = next(e["cursor"] for e in phone.call("ListEvents", "tua{sv}", 0, 1000, {})[0]
                  if e.get("id") == said[27])
    phone.call("AckEvents", "sta{sv}", "bot", cursor, {})
    phone.call("Verify", "sa{sv}", "bob", {"confirm": True})
    phone.call("RenameContact", "ssa{sv}", "bob", "robert", {})
    for n in range(5):
        phone.send("carol", f"for later {n}")
    before = {name: shown(phone, name) for name in ("robert", "carol")}
    queue = waiting(phone)
    assert len(queue) == 5 and unread(phone, "robert") == 10

    desk = login(lab, lab.user("desk").start())
    handed_over(phone, desk)
    assert {name: shown(desk, name) for name in before} == before
    assert waiting(desk) == queue
    assert unread(desk, "robert") == 10
    assert peer(desk, "robert")["verified"]
    assert events_after(desk, "bot") == said[28:]
    assert desk.signals("MessageReceived") == []  # which the user has heard of at the phone
    phone.stop()

    carol.start()
    wait_until(lambda: texts(carol, "anna")[-5:] == [f"for later {n}" for n in range(5)])
    wait_until(lambda: waiting(desk) == [])
    desk.wait_delivered("robert", [desk.send("robert", "from the desk")])
    wait_until(lambda: texts(bob, "anna").count("from the desk") == 1)
    assert len(texts(carol, "anna")) == len(set(texts(carol, "anna")))


def test_who_writes_meanwhile_and_back_again(lab, phone):
    phone, bob, _ = phone
    sent = [bob.send("anna", f"before {n}") for n in range(20)]
    desk = lab.user("desk").start()
    since = desk.mark()
    login(lab, desk)
    sent += [bob.send("anna", f"after {n}") for n in range(20)]
    handed_over(phone, desk)
    bob.wait_delivered("anna", sent)
    wait_until(lambda: {m["id"] for m in desk.history("bob")} >= set(sent))
    told = [e.args[0] for e in desk.signals("MessageReceived", since=since)]
    assert len(told) == len(set(told))
    ids = [m["id"] for m in desk.history("bob")]
    assert len(ids) == len(set(ids))

    login(lab, phone)
    handed_over(desk, phone)
    assert shown(phone, "bob") == shown(desk, "bob")
    with pytest.raises(BusError) as error:
        desk.send("bob", "from the desk")
    assert error.value.name == "Replaced"
    bob.wait_delivered("anna", [bob.send("anna", "welcome back")])
    assert texts(phone, "bob")[-1] == "welcome back"


def test_one_that_was_off_hands_over_when_it_is_back(lab, phone):
    phone, bob, carol = phone
    queue = [phone.send("carol", "for later")]
    phone.stop()
    desk = login(lab, lab.user("desk").start())
    bob.wait_delivered("anna", [bob.send("anna", "to the desk")])
    assert "bob is here" not in texts(desk, "bob")
    phone.start()
    handed_over(phone, desk)
    assert texts(desk, "bob") == ["bob is here", "so am I", "to the desk"]
    assert waiting(desk) == queue
    carol.start()
    wait_until(lambda: texts(carol, "anna").count("for later") == 1)


@pytest.mark.parametrize("killed", ("phone", "desk", "both"))
def test_it_goes_on_where_it_was_killed(lab, phone, killed):
    phone, bob, _ = phone
    sent = [phone.send("bob", "x" * 20000 + str(n)) for n in range(200)]
    phone.wait_delivered("bob", sent)
    before = shown(phone, "bob")
    desk = login(lab, lab.user("desk").start())
    for _ in range(4):
        for user in [user for user in (phone, desk) if killed in (user.name, "both")]:
            if user is desk:                    # somewhere between the first piece and the last
                wait_until(lambda: not desk.property("HandOver")
                           or desk.property("HandOver")["done"] > 0)
            user.kill()
            user.start()
    desk.wait_state("online")
    handed_over(phone, desk)
    wait_until(lambda: shown(desk, "bob") == before)
    desk.wait_delivered("bob", [desk.send("bob", "done")])
    assert texts(bob, "anna").count("done") == 1
