# SPDX-License-Identifier: GPL-3.0-or-later
"""Several people in one room: what they do there, and what they see of it."""
import harness
from harness import wait_until

ROOM = "#r"


def call(user, method, *args, **more):
    return user.call(method, "s" * len(args) + "a{sv}", *args, more)


def enter(owner, *others, room=ROOM, **more):
    """Made by the first, joined by all others, and all know of all."""
    call(owner, "CreateRoom", room, **more)
    for user in others:
        call(user, "JoinRoom", room)
    everybody = (owner, *others)
    accounts = {user.property("Account") for user in everybody}
    for user in everybody:
        wait_members(user, accounts, room)
    return everybody


def members(user, room=ROOM):
    return {row["account"]: row["role"] for row in user.list("ListMembers", room)}


def wait_members(user, accounts, room=ROOM):
    wait_until(lambda: set(members(user, room)) == set(accounts),
               what=f"{user.name} sees {len(accounts)} members of {room}")


def row_of(user, room=ROOM):
    """What is known of the room here, without asking anybody."""
    rows = user.list("ListRooms", known=True, all=True)
    return next((row for row in rows if row["room"] == room), {})


def texts(user, room=ROOM):
    return [row.get("text") for row in user.history(room)]


def wait_texts(user, wanted, room=ROOM):
    wait_until(lambda: set(wanted) <= set(texts(user, room)),
               what=f"{user.name} has {len(wanted)} messages in {room}")


def digest(user, room=ROOM):
    answer = call(user, "Digest", room)
    return answer["digest"], answer["messages"], answer["control-epoch"], answer["control-hash"]


def wait_level(*users, room=ROOM):
    """All hold the same entries and the same control log, and show the same. Returns the rows."""
    found, shown = {}, []

    def same():
        found.update((user.name, digest(user, room)) for user in users)
        return len(set(found.values())) == 1

    def look():
        """More may come while it is looked at."""
        if same():
            before = dict(found)
            shown[:] = [[(row["id"], row["from-account"], row["text"], row["sent"])
                         for row in user.history(room)] for user in users]
            return same() and found == before
        return False

    try:
        wait_until(look, what=f"{len(users)} have the same history of {room}")
    except AssertionError as error:
        raise AssertionError(f"{error}: {found}") from None
    assert all(rows == shown[0] for rows in shown)
    assert len({row[0] for row in shown[0]}) == len(shown[0]), "nothing is shown twice"
    return shown[0]


def received(user, room=ROOM, since=0):
    """The ids of which this client was told, one by one."""
    user.settle()
    return [e.args[0] for e in user.signals(
        "MessageReceived", lambda _id, _from, where, *_: where == room, since)]


def wait_received(user, ids, room=ROOM, since=0):
    wait_until(lambda: set(ids) <= set(received(user, room, since)),
               what=f"{user.name} is told of {len(ids)} messages in {room}")


def events(user, cursor=0):
    """All that is kept after a cursor, page after page."""
    found = []
    while True:
        page, after = user.call("ListEvents", "tua{sv}", cursor, 0, {})
        if not page:
            return found
        found += page
        cursor = after


def changes(user, since=0, room=ROOM):
    """What RoomChanged has told: (change, account)."""
    user.settle()
    return [(e.args[1], e.args[2].get("account")) for e in user.signals(
        "RoomChanged", lambda where, *_: where == room, since)]


def wait_change(user, change, account=None, since=0, room=ROOM):
    return user.wait_signal("RoomChanged", lambda where, what, more: (where, what) == (
        room, change) and account in (None, more.get("account")), since)


def account(user):
    return user.property("Account")


def state(user, message, room=ROOM):
    row, = (row for row in user.history(room) if row["id"] == message)
    return row["state"]


def refusal(user, method, *args, **more):
    """The error, which has to be one."""
    try:
        answer = call(user, method, *args, **more)
    except harness.BusError as error:
        return error
    raise AssertionError(f"{method}{args} of {user.name} was not refused: {answer}")
