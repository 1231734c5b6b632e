# SPDX-License-Identifier: GPL-3.0-or-later
"""Rooms of a user who goes to another device, and back."""
import pytest

from company import call, row_of, texts, wait_level, wait_texts
from harness import BusError, wait_until

PASSWORD = "correct horse"
ROOMS = {"#garden": "open", "#den": "private", "#cave": "hidden"}


def device(lab, name, verb):
    """Bob's, with his account."""
    user = lab.user(name).start()
    log_in(lab, user, verb)
    return user


def log_in(lab, user, verb="login"):
    path = lab.directory / "password"
    path.write_text(PASSWORD + "\n")
    done = user.chatc(verb, "bob", "--password-file", str(path), timeout=120)
    assert done.rc == 0, done
    user.wait_state("online")


def unread(user):
    return {room: row_of(user, room).get("unread") for room in ROOMS}


def listed(user, room):
    return next((row for row in user.list("ListRooms") if row["room"] == room), {})


def shown(user):
    return {room: [(row["id"], row["from"], row.get("text")) for row in user.history(room)]
            for room in ROOMS}


def wait_taken(user, wanted):
    """All of his rooms are here, with all that is in them."""
    for room in ROOMS:
        wait_until(lambda room=room: row_of(user, room).get("joined"), what=f"{room} is here")
        wait_texts(user, wanted[room], room)


def talk(one, other, text):
    """One line of each in each room, to the other."""
    for room in ROOMS:
        for user, to in ((one, other), (other, one)):
            line = f"{text} of {user.name} in {room}"
            wait_until(lambda user=user, room=room: row_of(user, room).get("joined"))
            user.send(room, line)
            wait_texts(to, [line], room)


@pytest.fixture(name="desk")
def desk_fixture(lab):
    """Bob, at his first device, in three rooms with alice; #den is his own."""
    lab.tracker()
    alice = lab.user("alice").join()
    desk = device(lab, "desk", "register")
    desk.exchange(alice)
    for room, access in ROOMS.items():
        owner, other = (desk, alice) if room == "#den" else (alice, desk)
        call(owner, "CreateRoom", room, access=access, topic=f"what {room} is for")
        if access != "open":
            call(owner, "Invite", room, "alice" if other is alice else "bob")
            wait_until(lambda other=other, room=room: row_of(other, room).get("status") == "invited")
        call(other, "JoinRoom", room)
    talk(desk, alice, "hello")
    return alice, desk


def test_rooms_go_along_and_come_back(lab, desk):
    alice, desk = desk
    for room in ROOMS:
        call(desk, "MarkRead", desk.history(room)[-1]["id"])
    alice.send("#cave", "bob: have you seen it?")
    wait_texts(desk, ["bob: have you seen it?"], "#cave")
    wait_until(lambda: unread(desk) == {"#garden": 0, "#den": 0, "#cave": 1})
    call(alice, "MarkRead", alice.history("#garden")[-1]["id"])
    alice.stop()
    desk.send("#den", "nobody hears this")      # but the next device
    call(desk, "SetTopic", "#den", "tea")
    before = shown(desk)

    laptop = device(lab, "laptop", "login")
    desk.wait_signal("SessionReplaced")
    wait_taken(laptop, {room: texts(desk, room) for room in ROOMS})
    assert shown(laptop) == before == shown(desk)
    wait_until(lambda: laptop.property("HandOver") == {}, what="all is handed over")
    assert unread(laptop) == {"#garden": 0, "#den": 0, "#cave": 1}
    for room, access in ROOMS.items():
        row, was = row_of(laptop, room), row_of(desk, room)
        assert row["access"] == access
        assert [row.get(key) for key in ("role", "topic", "room-id", "members")] == [
            was.get(key) for key in ("role", "topic", "room-id", "members")]
        with pytest.raises(BusError) as error:
            desk.send(room, "too late")
        assert error.value.name == "Replaced"
    desk.stop()

    alice.start().wait_state("online")
    wait_texts(alice, ["nobody hears this"], "#den")
    talk(laptop, alice, "from the laptop")
    dave = lab.user("dave").join()              # to whom trackers say who is there
    wait_until(lambda: listed(dave, "#garden").get("online") == 2, what="two are in #garden")
    wait_until(lambda: listed(dave, "#den").get("access") == "private", what="#den is listed")
    assert not listed(dave, "#cave")
    assert not laptop.status().get("problems")
    wait_until(lambda: row_of(alice, "#den")["topic"] == "tea")
    call(laptop, "Kick", "#den", "alice")       # which only the owner can do, by a new key
    wait_until(lambda: row_of(alice, "#den").get("status") == "kicked")
    call(laptop, "Invite", "#den", "alice")
    wait_until(lambda: row_of(alice, "#den").get("status") == "invited")
    call(alice, "JoinRoom", "#den")
    for room in ROOMS:
        call(laptop, "MarkRead", laptop.history(room)[-1]["id"])
        wait_level(laptop, alice, room=room)
    before = shown(laptop)

    desk.start()
    log_in(lab, desk)
    laptop.wait_signal("SessionReplaced")
    wait_taken(desk, {room: texts(laptop, room) for room in ROOMS})
    wait_until(lambda: desk.property("HandOver") == {}, what="all is handed back")
    assert shown(desk) == before
    assert unread(desk) == {room: 0 for room in ROOMS}
    laptop.stop()
    talk(desk, alice, "at the desk again")
    for room in ROOMS:
        wait_level(desk, alice, room=room)
        assert not row_of(alice, room).get("read-only")
