# SPDX-License-Identifier: GPL-3.0-or-later
"""Rooms whose members come and go, die, fill their disks and lose their tracker."""
import collections
import os
import shutil
import subprocess
import time
import uuid

import pytest

import flood
import lan
import talk
import under
from company import (ROOM, account, call, changes, digest, enter, events, members, received,
                     refusal, row_of, state, texts, wait_change, wait_level, wait_members,
                     wait_received, wait_texts)
from harness import BusError, wait_until
from small_disk import SmallDisk


def floods_of(users, count=40):
    """Everybody says so much at once."""
    return [flood.Flood(user, ROOM, [f"{user.name} {n}" for n in range(count)], window=4,
                        with_ids=True).start() for user in users]


def repeat_failed(flooded):
    """Whose daemon died does not know what became of it: the same id makes it safe."""
    for index in sorted(flooded.errors):
        given = flooded.user.send(ROOM, flooded.bodies[index], id=flooded.ids[index])
        assert given == flooded.ids[index]
        flooded.answered.add(index)


def in_turn(users, text):
    """Each says it having seen what was said before: in that order all show it. Two who know nothing
    of each other may do so in the same millisecond, in any order."""
    ids = []
    for user in users:
        wait_until(lambda u=user: set(ids) <= {row["id"] for row in u.history(ROOM)},
                   what=f"{user.name} has seen what was said before")
        ids.append(user.send(ROOM, f"{user.name} {text}"))
    return ids


def gone_for_good(user):
    """Nothing of it is left anywhere else."""
    user.kill()
    shutil.rmtree(user.state)


def check_told_once(user, ids):
    """Each of others' messages is one event, and at most one signal to a client that was there all
    the time: a daemon that is killed may not get to say what it has kept."""
    counted = collections.Counter(event["id"] for event in events(user)
                                  if event["event"] == "MessageReceived")
    assert counted == collections.Counter(ids)
    counted = collections.Counter(received(user))
    assert set(counted) <= set(ids) and set(counted.values()) == {1}


def test_who_was_away_finds_a_word_of_it_in_his_mailbox(lab, tracker):
    """After a minute, in which others do their work: this one comes first. The author is gone when
    it is found, and somebody else has what it tells of."""
    alice, bob, carol = people = enter(*lab.users("alice", "bob", "carol"))
    wait_level(*people)
    bob.stop()
    assert mailboxes(tracker) == 0
    sent = [alice.send(ROOM, text) for text in ("while bob is away", "and more")]
    wait_level(alice, carol)
    wait_until(lambda: time.sleep(1) or mailboxes(tracker) == 1, timeout=180,
               what="there is a word for bob")  # each look is a process
    gone_for_good(alice)
    bob.start()
    wait_received(bob, sent)
    wait_until(lambda: mailboxes(tracker) == 0, what="bob has it")
    assert texts(bob) == texts(carol) == ["while bob is away", "and more"]


def test_five_write_at_once_and_all_end_with_the_same(lab, tracker):
    alice, bob, carol, dave, eve = people = enter(
        *lab.users("alice", "bob", "carol", "dave", "eve"))
    wait_level(*people)
    eve.stop()
    floods = floods_of((alice, bob, carol, dave))
    wait_until(lambda: all(len(f.answered) > 5 for f in floods), what="everybody talks")
    for user in (bob, carol):
        user.kill()
    wait_until(lambda: len(floods[0].answered) > 20, what="the others go on")
    for user in (bob, carol):
        user.start()
    for flooded in floods:
        flooded.finish()
        repeat_failed(flooded)
    dave_said = set(floods[3].bodies)
    wait_texts(alice, dave_said)
    gone_for_good(dave)
    eve.start()
    rows = wait_level(alice, bob, carol, eve)
    assert dave_said <= {text for _, _, text, _ in rows}
    assert {row[0] for row in rows} == {i for f in floods for i in f.ids}
    printed = {user.chatc("history", ROOM, "--digest").out for user in (alice, bob, carol, eve)}
    assert len(printed) == 1 and printed.pop().startswith(digest(alice)[0])
    for user in (alice, bob, carol, eve):
        check_told_once(user, [i for i, who, _, _ in rows if who != account(user)])
    for user in (alice, eve):                   # who was not killed has told everything
        wait_received(user, [i for i, who, _, _ in rows if who != account(user)])


def test_killed_at_random_moments(lab, tracker):
    """Any of them, and the tracker, while everybody writes."""
    generator = talk.generator()
    people = enter(*lab.users("alice", "bob", "carol", "dave"))
    ids = []
    for _ in range(30 if os.environ.get("P2PCHAT_LONG") else 3):
        floods, enough = floods_of(people, 12), generator.randrange(1, 30)
        wait_until(lambda f=floods, n=enough: sum(len(x.answered) for x in f) >= n, what="talk")
        victims = generator.sample([*people, tracker], generator.randrange(1, 5))
        for process in victims:
            process.kill()
        for process in victims:
            process.start()
        for flooded in floods:
            flooded.finish()
            repeat_failed(flooded)
            ids += flooded.ids
    rows = wait_level(*people)
    assert sorted(row[0] for row in rows) == sorted(ids)
    for user in people:
        own = {i for i, who, _, _ in rows if who == account(user)}
        check_told_once(user, [row[0] for row in rows if row[0] not in own])
        user.wait_delivered(ROOM, own)
    assert all(user.status()["queued"] == 0 for user in people)


def test_it_goes_on_without_the_tracker(lab, tracker):
    people = enter(*lab.users("alice", "bob", "carol"))
    said = in_turn(people, "before")
    wait_level(*people)
    tracker.kill()
    said += in_turn(people, "without")
    assert [row[0] for row in wait_level(*people)] == said
    for user in people:
        user.stop()
    for user in people:
        user.start()
    said += in_turn(people, "again")
    assert [row[0] for row in wait_level(*people)] == said
    for user in people:
        assert len(members(user)) == 3
        assert not [what for what, _ in changes(user) if what in ("left", "kicked", "deleted")]


def test_a_tracker_that_restarts_is_nobody_leaving(lab, tracker):
    alice, bob, carol = people = enter(*lab.users("alice", "bob", "carol"))
    for user in people:
        wait_until(lambda u=user: row_of(u)["online"] == 3, what="all are there")
    marks = [user.mark() for user in people]
    tracker.restart()
    for user in people:
        user.wait_state("online")
    found = lab.user("dave").join()
    wait_until(lambda: ROOM in [r["room"] for r in found.list("ListRooms")], what="it is listed")
    call(found, "JoinRoom", ROOM)
    for user, mark in zip(people, marks):
        wait_change(user, "joined", account(found), mark)
        assert {what for what, _ in changes(user, mark)} <= {"joined", "online"}
        assert len(members(user)) == 4


def test_everybody_sees_who_comes_and_goes(lab, tracker):
    alice, bob, carol = people = enter(*lab.users("alice", "bob", "carol"))
    dave = lab.user("dave").join()
    everybody = {account(user) for user in people}
    for _ in range(2):
        marks = [user.mark() for user in people]
        call(dave, "JoinRoom", ROOM)
        for user, mark in zip(people, marks):
            wait_change(user, "joined", account(dave), mark)
            wait_members(user, everybody | {account(dave)})
            wait_until(lambda u=user: (row_of(u)["members"], row_of(u)["online"]) == (4, 4))
        call(dave, "LeaveRoom", ROOM)
        for user, mark in zip(people, marks):
            wait_change(user, "left", account(dave), mark)
            wait_members(user, everybody)
            wait_until(lambda u=user: row_of(u)["members"] == 3)
            told = changes(user, mark)
            assert told.count(("joined", account(dave))) == 1
            assert told.count(("left", account(dave))) == 1
    marks, gone = [user.mark() for user in people], account(carol)
    carol.kill()
    for user, mark in list(zip(people, marks))[:2]:
        wait_change(user, "offline", gone, mark)
        assert set(members(user)) == everybody
        assert ("left", gone) not in changes(user, mark)
        wait_until(lambda u=user: row_of(u)["online"] == 2)
    carol.start()
    for user, mark in list(zip(people, marks))[:2]:
        wait_change(user, "online", gone, mark)
        assert {what for what, _ in changes(user, mark)} == {"offline", "online"}


def has_joined(user, room):
    """False where nobody has answered in the two seconds that are given for it."""
    entered = user.chatc("join", room)
    assert entered.rc == 0 or entered.err.startswith("chatc: UnknownRoom: "), entered
    return entered.rc == 0


def test_a_room_without_any_tracker(network, lab):
    _, _, people = lan.people(lab, network, 3)
    lan.wait_all_found(people)
    alice, bob, carol = people
    made = alice.chatc("create", "#garden", "--topic", "roses")
    assert made.rc == 0, made
    for user in (bob, carol):
        wait_until(lambda u=user: "#garden" in u.chatc("rooms").out, what="it is listed")
        wait_until(lambda u=user: has_joined(u, "#garden"), what=f"{user.name} is in it")
    for user in people:
        wait_members(user, {u.account for u in people}, "#garden")
    for user in people:
        sent = user.chatc("send", "#garden", user.name, "--wait", "delivered", "--timeout", "60")
        assert sent.rc == 0, sent
    assert len(wait_level(*people, room="#garden")) == 3
    assert carol.chatc("history", "#garden", "--digest").out == \
        bob.chatc("history", "#garden", "--digest").out
    bob.stop()
    alice.send("#garden", "while bob is away")
    wait_texts(carol, ["while bob is away"], "#garden")
    alice.stop()
    bob.start()
    wait_texts(bob, ["while bob is away"], "#garden")


@pytest.mark.parametrize("access", ["private", "hidden"])
def test_an_invitation_reaches_who_was_away(lab, tracker, access):
    alice, bob, carol, dave = lab.users("alice", "bob", "carol", "dave")
    enter(alice, carol, room="#other")
    call(alice, "CreateRoom", ROOM, access=access, topic="secret")
    wanted = "NotInvited" if access == "private" else "UnknownRoom"
    for user in (bob, dave):
        assert refusal(user, "JoinRoom", ROOM).name == wanted
    alice.exchange(bob)
    bob.stop()
    wait_until(lambda: alice.peer("bob")["presence"] != "online", what="bob is gone")
    call(alice, "Invite", ROOM, "bob")
    call(alice, "Invite", ROOM, "carol")
    wait_change(carol, "invited")
    call(carol, "JoinRoom", ROOM)
    alice.send(ROOM, "psst")
    wait_level(alice, carol)
    wait_until(lambda: mailboxes(tracker) == 1, what="the invitation lies in a mailbox")
    bob.start()
    wait_change(bob, "invited")
    assert row_of(bob)["status"] == "invited"
    call(bob, "JoinRoom", ROOM)
    wait_level(alice, bob, carol)
    assert texts(bob) == ["psst"]
    assert refusal(dave, "JoinRoom", ROOM).name == wanted


def mailboxes(tracker):
    """How many letters lie at the tracker."""
    rows = subprocess.run([under.BUILD / "tests/integration/mail-rows", tracker.state / "directory",
                           "item"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return len(rows.splitlines())


def test_an_invitation_lies_in_the_mailbox(lab, tracker):
    """Who invited is away himself when it is found; somebody else lets the guest in."""
    alice, bob, carol = lab.users("alice", "bob", "carol")
    call(alice, "CreateRoom", ROOM, access="hidden")
    call(alice, "Invite", ROOM, "carol")
    wait_change(carol, "invited")
    call(carol, "JoinRoom", ROOM)
    alice.exchange(bob)
    bob.stop()
    wait_until(lambda: alice.peer("bob")["presence"] != "online", what="bob is gone")
    call(alice, "Invite", ROOM, "bob")
    wait_until(lambda: mailboxes(tracker) == 1, what="the invitation lies in a mailbox")
    wait_level(alice, carol)
    alice.stop()
    bob.start().wait_state("online")
    wait_change(bob, "invited")
    call(bob, "JoinRoom", ROOM)
    carol.send(ROOM, "welcome")
    wait_texts(bob, ["welcome"])


def holds(user, message):
    """Whether the message is anywhere on the user's disk, sealed or not."""
    user.stop()
    identity = uuid.UUID(message).bytes
    return any(identity in path.read_bytes() for path in user.state.rglob("*") if path.is_file())


def test_who_was_away_learns_that_he_was_kicked(lab, tracker):
    alice, bob, carol = people = enter(*lab.users("alice", "bob", "carol"))
    early = in_turn(people, "early")
    wait_level(*people)
    victim = account(bob)
    bob.stop()
    call(alice, "Kick", ROOM, "bob")
    wait_change(carol, "kicked", victim)
    wait_until(lambda: row_of(carol)["joined"], what="carol has the new key")
    after = [user.send(ROOM, f"{user.name} after the kick") for user in (alice, carol)]
    wait_level(alice, carol)
    bob.start()
    wait_change(bob, "kicked")
    assert row_of(bob)["status"] == "kicked"
    assert refusal(bob, "Send", ROOM, "hi").name == "NotMember"
    assert [row["id"] for row in bob.history(ROOM)] == early
    assert {row[0] for row in wait_level(alice, carol)} == {*early, *after}
    call(alice, "SetTopic", ROOM, "without him")
    wait_level(alice, carol)
    last = carol.send(ROOM, "and nothing of this")
    wait_level(alice, carol)
    bob.restart()
    bob.wait_state("online")
    assert [row["id"] for row in bob.history(ROOM)] == early
    assert "topic" not in row_of(bob)
    for message, is_his in ((early[0], True), (after[0], False), (last, False)):
        assert holds(alice, message) and holds(bob, message) == is_his


def test_nobody_has_what_the_kicked_said_later(lab, tracker):
    """He wrote on while he did not know it."""
    alice, bob, carol = people = enter(*lab.users("alice", "bob", "carol"))
    early = in_turn(people, "early")
    wait_level(*people)
    for user in (alice, carol):
        user.stop()
    tracker.stop()
    late = [bob.send(ROOM, f"late {n}") for n in range(3)]
    victim = account(bob)
    bob.stop()
    tracker.start()
    for user in (alice, carol):
        user.start()
    call(alice, "Kick", ROOM, "bob")
    wait_change(carol, "kicked", victim)
    after = [alice.send(ROOM, "in peace")]
    wait_level(alice, carol)
    bob.start()
    wait_change(bob, "kicked")
    said = alice.send(ROOM, "and on")
    rows = {row[0] for row in wait_level(alice, carol)}
    assert rows == {*early, *after, said} and not rows & set(late)
    assert [row["id"] for row in bob.history(ROOM)] == early + late, "his own copy is his"


def test_it_is_handed_over_left_joined_and_deleted(lab, tracker):
    alice, bob, carol = people = enter(*lab.users("alice", "bob", "carol"))
    alice.send(ROOM, "of the first owner")
    call(alice, "SetRole", ROOM, "bob", "owner")
    for user in people:
        wait_until(lambda u=user: members(u).get(account(bob)) == "owner", what="bob has it")
    assert members(carol)[account(alice)] == "admin"
    call(alice, "LeaveRoom", ROOM)
    wait_members(carol, {account(bob), account(carol)})
    assert refusal(alice, "DeleteRoom", ROOM).name in ("NotMember", "NotOwner")
    bob.send(ROOM, "without alice")
    wait_level(bob, carol)
    call(alice, "JoinRoom", ROOM)
    alice.send(ROOM, "back as a member")
    rows = wait_level(*people)
    assert [row[2] for row in rows] == ["of the first owner", "without alice", "back as a member"]
    assert members(bob)[account(alice)] == "member"
    assert refusal(alice, "DeleteRoom", ROOM).name == "NotOwner"
    carol.stop()
    call(bob, "DeleteRoom", ROOM)
    wait_change(alice, "deleted")
    bob.stop()
    carol.start()                               # the owner is gone; alice tells
    wait_change(carol, "deleted")
    for user in (alice, carol):
        assert refusal(user, "Send", ROOM, "hi").name == "UnknownRoom"
        assert [row["text"] for row in user.history(ROOM)] == [row[2] for row in rows]
        user.restart()
        assert texts(user) == [row[2] for row in rows]
    assert refusal(carol, "JoinRoom", ROOM).name == "UnknownRoom"


def states_of(user, message):
    user.settle()
    return [(e.args[2], e.args[3]["delivered-to"], e.args[3]["read-by"]) for e in user.signals(
        "MessageStateChanged", lambda i, *_: i == message)]


def test_states_and_counts(lab, tracker):
    alice, bob, carol = enter(*lab.users("alice", "bob", "carol"))
    bob.stop()
    carol.stop()
    message = alice.send(ROOM, "to both")
    row, = alice.history(ROOM)
    assert (row["state"], row["members"]) == ("queued", 2)
    assert row.get("delivered-to", 0) == row.get("read-by", 0) == 0
    bob.start()

    def look(wanted, delivered, read):
        wait_until(lambda: [(m["state"], m["delivered-to"], m["read-by"])
                            for m in alice.history(ROOM)] == [(wanted, delivered, read)],
                   what=f"{wanted}, with {delivered} and read by {read}")

    look("stored", 1, 0)
    wait_texts(bob, ["to both"])
    call(bob, "MarkRead", message)
    look("stored", 1, 1)
    alice.restart()
    look("stored", 1, 1)
    carol.start()
    look("delivered", 2, 1)
    wait_texts(carol, ["to both"])
    call(carol, "MarkRead", message)
    look("read", 2, 2)
    told = [what for what, _, _ in states_of(alice, message)]
    assert list(dict.fromkeys(told)) == ["stored", "delivered", "read"], told
    assert told.count("delivered") == told.count("read") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems")
def test_a_member_with_a_full_disk(lab, tracker):
    bob = lab.user("bob")
    disk = SmallDisk(bob.state, "24M")
    try:
        alice, carol = lab.users("alice", "carol")
        bob.join()
        people = enter(alice, bob, carol)
        wait_level(*people)
        disk.fill()

        def full():
            try:
                bob.send(ROOM, "x" * 60000)
            except BusError as error:
                return error.name == "Storage" and "full" in error.message
            return False

        wait_until(full, what="bob's disk is full")
        talks = floods_of((alice, carol))
        for flooded in talks:
            flooded.finish()
            assert not flooded.errors
        wait_level(alice, carol)
        assert bob.running()
        disk.make_room()
        rows = wait_level(*people)
        assert {i for f in talks for i in f.ids} <= {row[0] for row in rows}
        bob.send(ROOM, "as before")
        wait_texts(alice, ["as before"])
    finally:
        bob.stop()
        disk.close()


def test_events_of_rooms_are_kept(lab, tracker):
    alice, bob = people = enter(*lab.users("alice", "bob"))
    alice.send(ROOM, "one")
    wait_level(*people)
    wait_received(bob, [alice.history(ROOM)[0]["id"]])
    call(alice, "SetTopic", ROOM, "tea")
    wait_change(bob, "topic")
    before = events(bob)
    end = before[-1]["cursor"]
    carol = lab.user("carol").join()
    bob.kill()
    call(carol, "JoinRoom", ROOM)
    message = carol.send(ROOM, "two")
    call(alice, "SetTopic", ROOM, "cake")
    bob.start()
    wait_until(lambda: message in [e.get("id") for e in events(bob, end)], what="the message")
    wait_until(lambda: "cake" in [e.get("topic") for e in events(bob, end)], what="the topic")
    bob.restart()
    kept = events(bob)
    assert [e["cursor"] for e in kept[:len(before)]] == [e["cursor"] for e in before]
    late = [e for e in kept if e["cursor"] > end]
    assert [e["cursor"] for e in late] == sorted({e["cursor"] for e in late})
    room_id = row_of(bob)["room-id"]
    told = [e for e in kept if e["event"] == "RoomChanged"]
    assert all((e["room"], e["room-id"]) == (ROOM, room_id) for e in told)
    assert [e["topic"] for e in told if e["change"] == "topic"] == ["tea", "cake"]
    assert [e["account"] for e in late if e.get("change") == "joined"] == [account(carol)]
    assert [(e["id"], e["room"], e["text"]) for e in late if e["event"] == "MessageReceived"] == [
        (message, ROOM, "two")]
