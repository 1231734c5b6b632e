# SPDX-License-Identifier: GPL-3.0-or-later
"""Rooms as their members see them."""
import pytest

import harness
from company import wait_level
from harness import BusError, wait_until

PATH = harness.PATH + "/room/"


def call(user, method, *args, **more):
    return user.call(method, "s" * len(args) + "a{sv}", *args, more)


def refused(user, method, *args, **more):
    with pytest.raises(BusError) as error:
        call(user, method, *args, **more)
    assert error.value.message.endswith("."), error.value
    return error.value.name


def texts(user, room="#r"):
    return [row.get("text") for row in user.history(room)]


def digest(user, room="#r"):
    answer = call(user, "Digest", room)
    return answer["digest"], answer["messages"], answer["control-epoch"], answer["control-hash"]


def level(*users, room="#r"):
    """All hold the same entries, and the same control log. Returns the rows."""
    return wait_level(*users, room=room)


def members(user, room="#r"):
    return {row["name"]: row["role"] for row in user.list("ListMembers", room)}


def room(user, name="#r", **more):
    return next((row for row in user.list("ListRooms", **more) if row["room"] == name), None)


def objects(user):
    found = user.call("GetManagedObjects", "", interface="org.freedesktop.DBus.ObjectManager")
    return {path.removeprefix(PATH): rows[harness.NAME + ".Room"]
            for path, rows in found.items() if path.startswith(PATH)}


def changed(user, change, since=0, **details):
    """RoomChanged with this change and details."""
    return user.wait_signal("RoomChanged", lambda _room, what, more: what == change and all(
        more.get(key.replace("_", "-")) == value for key, value in details.items()), since)


def said(user, room_name, text, since=0):
    return user.wait_signal("MessageReceived", lambda _id, _from, room, words, _more:
                            (room, words) == (room_name, text), since)


@pytest.fixture
def pair(alice, bob):
    """Alice's room, with bob in it."""
    call(alice, "CreateRoom", "#r")
    call(bob, "JoinRoom", "#r")
    return alice, bob


@pytest.fixture
def three(lab, pair):
    carol = lab.user("carol").join()
    call(carol, "JoinRoom", "#r")
    wait_until(lambda: all(len(members(user)) == 3 for user in (*pair, carol)))
    return *pair, carol


# making and joining

def test_a_room_is_made_found_and_joined(alice, bob):
    path = call(alice, "CreateRoom", "#R", topic="tea and cake")
    assert path == PATH + room(alice)["room-id"]
    changed(alice, "created")
    found = room(bob)
    assert found["topic"] == "tea and cake" and found["owner-account"] == alice.property("Account")
    assert found["access"] == "open" and found["joined"] is False and "status" not in found
    assert call(bob, "JoinRoom", "#r") == path
    assert room(bob)["joined"] is True and room(bob)["role"] == "member"
    assert room(alice)["role"] == "owner" and room(alice)["owner"] == "alice"
    wait_until(lambda: members(alice) == members(bob) == {"alice": "owner", "bob": "member"})
    changed(alice, "joined", account=bob.property("Account"))
    wait_until(lambda: room(alice)["members"] == room(bob)["members"] == 2)
    wait_until(lambda: room(alice)["online"] == room(bob)["online"] == 2)
    assert "#r" in alice.peer("bob")["rooms"] and "#r" in bob.peer("alice")["rooms"]
    call(bob, "JoinRoom", "#r")


def test_who_is_in_an_open_room_is_seen_before_joining(lab, pair):
    carol = lab.user("carol").join()
    alice, bob = ({"name": f"{user.name}~{user.property('Account')[:4]}", "presence": "online",
                   "account": user.property("Account")} for user in pair)
    wait_until(lambda: carol.list("ListMembers", "#r") == [{**alice, "role": "owner"}, bob])
    assert room(carol)["owner"] == alice["name"]
    done = carol.chatc("members", "#r")
    assert done.rc == 0 and [line.split()[0] for line in done.out.splitlines()] == [
        alice["name"], bob["name"]]
    call(pair[0], "CreateRoom", "#study", access="private")
    for name in ("#study", "#nowhere"):
        assert refused(carol, "ListMembers", name) == "UnknownRoom"
        done = carol.chatc("members", name)
        assert done.rc == 5 and "chatc join" in done.err
    call(carol, "JoinRoom", "#r")
    wait_until(lambda: {row.get("role") for row in carol.list("ListMembers", "#r")} == {
        "owner", "member"})


def test_rooms_are_found_by_words(alice, bob):
    call(alice, "CreateRoom", "#garden", topic="Roses and bees")
    call(alice, "CreateRoom", "#kitchen", topic="Soup of roses")
    call(alice, "CreateRoom", "#cellar", access="hidden")
    call(alice, "CreateRoom", "#study", access="private", topic="secret")
    assert {r["room"] for r in alice.list("ListRooms")} == {"#garden", "#kitchen", "#cellar",
                                                           "#study"}
    wait_until(lambda: {r["room"] for r in bob.list("ListRooms")} == {"#garden", "#kitchen",
                                                                      "#study"})
    assert "topic" not in room(bob, "#study") and room(bob, "#study")["access"] == "private"
    assert {r["room"] for r in bob.list("ListRooms", words="ROSES")} == {"#garden", "#kitchen"}
    assert {r["room"] for r in bob.list("ListRooms", words="roses kit")} == {"#kitchen"}
    assert {r["room"] for r in bob.list("ListRooms", words="#garden")} == {"#garden"}
    assert bob.list("ListRooms", words="nothing") == []
    assert [r["room"] for r in bob.chatc_json("rooms", "roses", "bees")] == ["#garden"]
    account = alice.property("Account")         # who is called so by a tracker
    assert f" of alice~{account[:4]}  Roses and bees\n" in bob.chatc("rooms", "garden").out


# what is said

def test_messages_go_both_ways_and_all_end_with_the_same(three):
    alice, bob, carol = three
    marks = [user.mark() for user in three]
    ids = [user.send("#r", f"{user.name} says hi") for user in three]
    for user, mark in zip(three, marks):
        for other in three:
            if other is not user:
                event = said(user, "#r", f"{other.name} says hi", mark)
                assert event.args[1] == other.name
                assert event.args[4]["account"] == other.property("Account")
                assert event.args[4]["room-id"] == room(user)["room-id"]
    rows = level(*three)
    assert sorted(row[0] for row in rows) == sorted(ids)
    for user, message in zip(three, ids):
        user.wait_delivered("#r", [message])
        own, = (row for row in user.history("#r") if row["id"] == message)
        assert (own["delivered-to"], own["members"], own["to"]) == (2, 2, "#r")
    last = carol.history("#r")[-1]["id"]
    call(carol, "MarkRead", last)
    call(bob, "MarkRead", bob.history("#r")[-1]["id"])
    wait_until(lambda: next(row for row in alice.history("#r") if row["id"] == ids[0])["state"] ==
               "read", what="alice sees that all have read it")
    assert alice.list("ListOutbox") == []


def test_conversations_and_unread(pair):
    alice, bob = pair
    alice.send("#r", "one")
    alice.send("#r", "two")
    said(bob, "#r", "two")
    chat, = bob.list("ListConversations")
    assert (chat["with"], chat["unread"]) == ("#r", 2) and "account" not in chat
    assert chat["room-id"] == room(bob)["room-id"] and room(bob)["unread"] == 2
    call(bob, "MarkRead", chat["last-id"])
    chat, = bob.list("ListConversations")
    assert chat["unread"] == 0
    page = bob.list("ListMessages", "#r", limit=1)
    assert [row["text"] for row in page] == ["two"]
    page = bob.list("ListMessages", "#r", before=page[0]["id"])
    assert [row["text"] for row in page] == ["one"]


def test_a_repeated_id_is_sent_once(pair):
    alice, bob = pair
    message = "01890000-0000-7000-8000-00000000000a"
    for _ in range(3):
        assert alice.send("#r", "once", id=message) == message
    said(bob, "#r", "once")
    alice.send("#r", "end")
    said(bob, "#r", "end")
    assert texts(bob) == texts(alice) == ["once", "end"]
    assert refused(alice, "Send", "#r", "other", id=message) == "InvalidArgs"
    assert refused(alice, "Send", "bob", "once", id=message) == "InvalidArgs"
    assert refused(alice, "Cancel", message) == "NotAllowed"


def test_who_was_away_gets_it_from_whoever_is_there(three):
    alice, bob, carol = three
    level(*three)
    carol.stop()
    messages = [alice.send("#r", f"{n}") for n in range(20)]
    wait_until(lambda: texts(bob) == texts(alice))
    alice.stop()
    carol.start().wait_state("online")
    wait_until(lambda: [row["id"] for row in carol.history("#r")] == messages,
               what="carol has what alice wrote, from bob")
    carol.send("#r", "thanks")
    said(bob, "#r", "thanks")
    alice.start().wait_state("online")
    level(*three)


def test_everything_is_there_after_a_restart(pair):
    alice, bob = pair
    alice.send("#r", "before")
    said(bob, "#r", "before")
    wait_until(lambda: digest(bob)[2] == 2, what="alice has settled in a block that bob is in it")
    before = digest(bob)
    bob.kill()
    bob.start().wait_state("online")
    assert digest(bob) == before and texts(bob) == ["before"]
    assert members(bob) == {"alice": "owner", "bob": "member"}
    bob.send("#r", "after")
    said(alice, "#r", "after")
    level(*pair)


# topic, roles, going

def test_topic_and_roles(three):
    alice, bob, carol = three
    assert refused(bob, "SetTopic", "#r", "mine") == "NotAllowed"
    call(alice, "SetTopic", "#r", "new topic")
    for user in three:
        changed(user, "topic", topic="new topic", account=alice.property("Account"))
        assert room(user)["topic"] == "new topic"
        assert objects(user)[room(user)["room-id"]]["Topic"] == "new topic"
    call(alice, "SetRole", "#r", "bob", "admin")
    changed(bob, "role", account=bob.property("Account"), role="admin")
    call(bob, "SetTopic", "#r", "of an admin")
    wait_until(lambda: all(room(user)["topic"] == "of an admin" for user in three))
    call(alice, "SetRole", "#r", "bob", "member")
    wait_until(lambda: members(carol)["bob"] == "member")
    assert refused(alice, "SetRole", "#r", "bob", "king") == "InvalidArgs"
    assert refused(bob, "SetRole", "#r", "carol", "admin") in ("NotAllowed", "NotOwner")


def test_a_room_is_handed_over(pair):
    alice, bob = pair
    bob.stop()
    offered = alice.chatc("role", "#r", "bob", "owner")
    assert offered.rc == 0 and "#r is offered to bob" in offered.err
    row, = (m for m in alice.list("ListMembers", "#r") if m["name"] == "bob")
    assert row["offered"] and row["role"] == "member"
    bob.start()
    wait_until(lambda: members(alice) == members(bob) == {"bob": "owner", "alice": "admin"})
    call(alice, "LeaveRoom", "#r")
    wait_until(lambda: members(bob) == {"bob": "owner"})
    call(bob, "DeleteRoom", "#r")


def test_who_is_kicked_is_out(three):
    alice, bob, carol = three
    bob.send("#r", "before")
    said(carol, "#r", "before")
    level(*three)
    call(alice, "Kick", "#r", "bob")
    for user in (alice, carol):
        changed(user, "kicked", account=bob.property("Account"))
    changed(bob, "kicked")
    assert members(alice) == {"alice": "owner", "carol": "member"}
    wait_until(lambda: room(bob, all=True)["status"] == "kicked")
    assert refused(bob, "Send", "#r", "hi") == "NotMember"
    wait_until(lambda: room(carol)["joined"], what="carol has the new key")
    carol.send("#r", "without bob")
    said(alice, "#r", "without bob")
    level(alice, carol)
    assert texts(bob) == ["before"]
    assert room(bob)["room-id"] not in objects(bob)
    with pytest.raises(BusError, match="can invite you again") as error:
        call(bob, "JoinRoom", "#r")
    assert error.value.name == "NotAllowed", "open to others only"
    assert room(bob, all=True)["status"] == "kicked", "as before"
    call(alice, "Invite", "#r", "bob")
    changed(bob, "invited")
    changed(carol, "invited", account=bob.property("Account"))
    call(bob, "JoinRoom", "#r")
    bob.send("#r", "again")
    said(carol, "#r", "again")
    level(*three)


def test_leaving(three):
    alice, bob, carol = three
    call(bob, "LeaveRoom", "#r")
    for user in (alice, carol):
        changed(user, "left", account=bob.property("Account"))
    assert room(bob)["status"] == "left" and room(bob)["joined"] is False, "a tracker lists it"
    assert refused(bob, "Send", "#r", "hi") == "NotMember"
    again = bob.chatc("leave", "#r")
    assert again.rc == 1 and again.err == "chatc: NotMember: You have left #r already.\n"
    wait_until(lambda: members(carol) == {"alice": "owner", "carol": "member"})
    out = alice.chatc("kick", "#r", "bob")
    assert out.err == "chatc: NotMember: bob is no member of #r: chatc members shows who is.\n"


def test_who_comes_back_is_told_who_comes(three):
    alice, bob, carol = three
    account = bob.property("Account")
    changed(carol, "online", account=account)
    call(carol, "LeaveRoom", "#r")
    bob.stop()
    wait_until(lambda: room(alice)["online"] == 1, what="the others know that bob is away")
    call(carol, "JoinRoom", "#r")
    mark = carol.mark()
    bob.start()
    changed(carol, "online", mark, account=account)


def test_deleting(three):
    alice, bob, carol = three
    alice.send("#r", "last words")
    said(bob, "#r", "last words")
    call(alice, "DeleteRoom", "#r")
    for user in three:
        changed(user, "deleted")
        assert room(user, all=True)["status"] == "deleted"
        wait_until(lambda: room(user) is None, what="it is in no list")
        assert refused(user, "Send", "#r", "hi") == "UnknownRoom"
    assert texts(bob) == ["last words"]
    path = call(bob, "CreateRoom", "#r")        # the name is free again
    assert call(carol, "JoinRoom", "#r") == path
    for _ in range(3):                          # and at once, for whoever has deleted it
        assert alice.chatc("create", "#again") == (0, "", "")
        assert alice.chatc("delete", "#again") == (0, "", "")
    mark, gone = bob.mark(), carol.property("Account")
    carol.stop()                                # he is told of that for the room there is
    event = changed(bob, "offline", mark, account=gone)
    bob.settle()
    told = bob.signals("RoomChanged", lambda _r, what, _m: what == "offline", mark)
    assert [e.args[2]["room-id"] for e in told] == [event.args[2]["room-id"]]
    assert PATH + event.args[2]["room-id"] == path


def test_gone_offline_is_not_left(pair):
    alice, bob = pair
    wait_until(lambda: room(alice)["online"] == 2)
    mark, account = alice.mark(), bob.property("Account")
    bob.stop()
    changed(alice, "offline", mark, account=account)
    wait_until(lambda: room(alice)["online"] == 1)
    assert members(alice) == {"alice": "owner", "bob": "member"}
    assert not alice.signals("RoomChanged", lambda _r, what, _m: what == "left", mark)
    bob.start()
    changed(alice, "online", mark, account=account)


def test_who_has_left_keeps_his_name(lab, three):
    alice, bob, carol = three
    carol.send("#r", "hello")
    said(alice, "#r", "hello")
    call(alice, "Kick", "#r", "carol")
    changed(carol, "kicked")
    alice.send("#r", "welcome")
    dave = lab.user("dave").join()
    call(dave, "JoinRoom", "#r")
    wait_until(lambda: texts(dave) == ["hello", "welcome"])
    assert [row["from"].partition("~")[0] for row in dave.history("#r")] == ["carol", "alice"]


def test_what_was_said_before_one_joined(alice, bob):
    call(alice, "CreateRoom", "#r", history="joined")
    alice.send("#r", "before")
    call(bob, "JoinRoom", "#r")
    wait_until(lambda: len(bob.history("#r")) == 1)
    row, = bob.history("#r")
    assert (row["kind"], row["reason"]) == ("sealed", "before-joining") and "text" not in row
    assert bob.chatc("history", "#r").out.endswith(": (from before you joined)\n")
    alice.send("#r", "after")
    said(bob, "#r", "after")
    assert digest(bob) == digest(alice)


# private rooms

def test_a_private_room_takes_who_is_invited(lab, pair):
    alice, bob = pair
    carol = lab.user("carol").join()
    call(alice, "CreateRoom", "#den", access="private")
    assert refused(bob, "JoinRoom", "#den") == "NotInvited"
    row = room(bob, "#den", all=True)
    assert "status" not in row and row["access"] == "private", "who was never in has not left"
    assert row["owner"] == "alice" and refused(bob, "Send", "#den", "x") == "UnknownRoom"
    for again in (False, True):                 # declined, and invited once more
        mark = bob.mark()
        call(alice, "Invite", "#den", "bob")
        changed(bob, "invited", mark, account=bob.property("Account"), inviter="alice")
        row = room(bob, "#den")
        assert (row["status"], row["inviter"], row["owner"]) == ("invited", "alice", "alice")
        assert "#den" in bob.chatc("rooms").out and "invited by alice" in bob.chatc("rooms").out
        assert refused(bob, "Send", "#den", "x") == "NotMember"
        if not again:
            call(bob, "LeaveRoom", "#den")
            assert "status" not in room(bob, "#den", all=True)
    call(alice, "CreateRoom", "#attic", access="private")
    call(alice, "Invite", "#attic", "bob")
    wait_until(lambda: room(bob, "#attic", known=True), what="bob is invited")
    call(alice, "DeleteRoom", "#attic")
    wait_until(lambda: room(alice, "#attic") is None)
    assert refused(bob, "JoinRoom", "#attic") == "UnknownRoom"
    assert room(bob, "#attic", known=True) is None, "there is nothing to be invited to"
    call(bob, "JoinRoom", "#den")
    bob.send("#den", "psst")
    said(alice, "#den", "psst")
    assert refused(carol, "JoinRoom", "#den") == "NotInvited"
    assert refused(bob, "Invite", "#den", "carol") == "NotAllowed"
    level(alice, bob, room="#den")


# wrong use

def test_wrong_use_is_refused(three):
    alice, bob, carol = three
    first = call(alice, "JoinRoom", "#r")
    assert call(alice, "JoinRoom", "#r") == first
    assert refused(alice, "CreateRoom", "#r") == "RoomExists"
    assert refused(alice, "JoinRoom", "#nowhere") == "UnknownRoom"
    for method, more in (("LeaveRoom", ()), ("DeleteRoom", ()), ("Kick", ("bob",)),
                         ("Invite", ("bob",)), ("SetTopic", ("t",)), ("SetRole", ("bob", "admin")),
                         ("ListMembers", ()), ("Send", ("hi",)), ("Digest", ())):
        assert refused(alice, method, "#nowhere", *more) == "UnknownRoom", method
        for name in ("r", "", "#", "#a b", "#" + "a" * 33, "@r", "#r~abc"):
            if method != "Send" and method != "Digest" or name.startswith("#"):
                assert refused(alice, method, name, *more) == "BadName", (method, name)
    assert alice.history("#nowhere") == []
    assert refused(alice, "LeaveRoom", "#r") == "NotAllowed"
    assert refused(bob, "DeleteRoom", "#r") == "NotOwner"
    assert refused(bob, "Kick", "#r", "alice") == "NotAllowed"
    assert refused(bob, "Kick", "#r", "carol") == "NotAllowed"
    assert refused(alice, "Kick", "#r", "nobody-known") == "UnknownPeer"
    call(alice, "SetRole", "#r", "bob", "admin")
    call(alice, "SetRole", "#r", "carol", "admin")
    wait_until(lambda: members(bob) == {"alice": "owner", "bob": "admin", "carol": "admin"})
    assert refused(bob, "Kick", "#r", "carol") == "NotAllowed"
    assert refused(bob, "Kick", "#r", "alice") == "NotAllowed"
    assert refused(alice, "SetTopic", "#r", "x" * 513) == "TooLong"
    assert refused(alice, "SetTopic", "#r", "two\nlines") == "InvalidArgs"
    assert refused(alice, "CreateRoom", "#x", access="closed") == "InvalidArgs"
    assert refused(alice, "CreateRoom", "#x", history="some") == "InvalidArgs"
    assert refused(alice, "CreateRoom", "#x", topic="two\nlines") == "InvalidArgs"
    level(*three)


def test_who_is_blocked_is_not_invited(pair):
    alice, bob = pair
    bob.exchange(alice)
    call(alice, "CreateRoom", "#den", access="private")
    call(alice, "Block", "bob")
    assert refused(alice, "Invite", "#den", "bob") == "Blocked"
    call(alice, "Unblock", "bob")
    call(alice, "Invite", "#den", "bob")


def test_a_deleted_room_is_unknown(pair, lab):
    alice, bob = pair
    call(alice, "DeleteRoom", "#r")
    changed(bob, "deleted")
    for user in (alice, bob, lab.user("carol").join()):
        assert refused(user, "JoinRoom", "#r") == "UnknownRoom"


def test_in_two_rooms_of_one_name(alice, bob, tracker):
    alice.exchange(bob)
    bob.stop()
    tracker.stop()
    mine = call(alice, "CreateRoom", "#r")
    alice.stop()
    tracker.start()
    bob.start().wait_state("online")
    path = call(bob, "CreateRoom", "#r")
    alice.start().wait_state("online")
    other = "#r~" + path.removeprefix(PATH)[:4]
    assert call(alice, "JoinRoom", "#r") == mine
    assert call(alice, "JoinRoom", other) == path
    alice.send(other, "to bob")
    said(bob, "#r", "to bob")
    alice.send("#r", "to nobody")
    for _ in range(2):
        assert (texts(alice, other), texts(alice)) == (["to bob"], ["to nobody"])
        assert set(members(alice, other)) == {"alice", "bob"} and set(members(alice)) == {"alice"}
        assert {row["room"] for row in alice.list("ListRooms")} == {"#r", other}
        alice.stop()
        alice.start().wait_state("online")
    bob.send("#r", "and back")
    said(alice, other, "and back")
    call(alice, "LeaveRoom", other)
    wait_until(lambda: set(members(bob)) == {"bob"})
    assert set(members(alice)) == {"alice"}


def test_the_member_over_the_limit(lab, tracker):
    limit = "rooms = { max-members = 2; };"
    alice, bob, carol = lab.users("alice", "bob", "carol", config=limit)
    call(alice, "CreateRoom", "#r")
    call(bob, "JoinRoom", "#r")
    assert refused(carol, "JoinRoom", "#r") == "TooMany"
    assert members(alice) == {"alice": "owner", "bob": "member"}


# chatc

def test_the_verbs_of_rooms(pair):
    alice, bob = pair
    assert alice.chatc("create", "#tea", "--topic", "with milk").rc == 0
    assert bob.chatc("join", "#tea").rc == 0
    sent = alice.chatc("send", "#tea", "hello", "there", "--wait", "delivered", "--timeout", "60")
    assert sent.rc == 0, sent
    assert bob.chatc("history", "#tea").out.endswith(" alice: hello there\n")
    assert bob.chatc("members", "#tea").out.split("\n")[0].startswith("alice ")
    wait_until(lambda: alice.chatc("history", "#tea", "--digest").out ==
               bob.chatc("history", "#tea", "--digest").out)
    assert bob.chatc("leave", "#tea").rc == 0
    assert bob.chatc("leave", "#nowhere").rc == 5
    assert alice.chatc("role", "#tea", "alice", "owner") == (0, "", ""), "there was no offer"
    assert alice.chatc("delete", "#tea").rc == 0
    assert "#r " in bob.chatc("rooms").out
    unquoted = bob.chatc("join")                # what a shell makes of chatc join #tea
    assert unquoted.rc == 2 and "quoted" in unquoted.err
