# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed mail: what is for somebody who is away lies in mailboxes, and comes once however it comes."""
import shutil

import harness


def stored(user, other, ids, replicas=1):
    """All of them lie in mailboxes."""
    def look():
        rows = {m["id"]: m for m in user.history(other)}
        return all(rows[i]["state"] == "stored" and rows[i]["replicas"] == replicas for i in ids)

    harness.wait_until(look, what=f"{len(ids)} messages of {user.name} are stored")


def texts(user, other):
    return [m["text"] for m in user.history(other)]


def test_it_arrives_though_the_sender_is_gone_for_ever(alice, bob):
    alice.exchange(bob, "hello")
    bob.stop()
    ids = [alice.send("bob", f"sealed {n}") for n in range(5)]
    stored(alice, "bob", ids)
    alice.kill()
    shutil.rmtree(alice.state)                  # nothing of it is left anywhere else
    bob.start().wait_state("online")
    harness.wait_until(lambda: len(texts(bob, "alice")) == 6, what="the mail is collected")
    assert texts(bob, "alice") == ["hello"] + [f"sealed {n}" for n in range(5)]
    received = [e.args[0] for e in bob.signals("MessageReceived")]
    assert len(received) == len(set(received))


def test_a_name_never_seen_before_pays_with_work(alice, bob):
    """No link was ever there, so there is no token; the answer brings one."""
    bob.stop()
    sent = alice.send("bob", "we have not met")
    stored(alice, "bob", [sent])
    bob.start().wait_state("online")
    harness.wait_until(lambda: texts(bob, "alice") == ["we have not met"])
    alice.wait_delivered("bob", [sent])


def test_the_receipt_comes_by_mail_as_well(alice, bob):
    alice.exchange(bob)
    bob.stop()
    sent = alice.send("bob", "while you were away")
    stored(alice, "bob", [sent])
    alice.stop()
    bob.start().wait_state("online")
    harness.wait_until(lambda: len(texts(bob, "alice")) == 2)
    harness.wait_until(lambda: bob.status()["mail-owed"] == 0, what="the receipt is left")
    bob.stop()
    alice.start().wait_state("online")
    alice.wait_delivered("bob", [sent])


def test_what_was_read_meanwhile_is_told_by_mail(alice, bob):
    alice.exchange(bob)
    bob.stop()
    sent = alice.send("bob", "read this")
    stored(alice, "bob", [sent])
    alice.stop()
    bob.start().wait_state("online")
    harness.wait_until(lambda: len(texts(bob, "alice")) == 2)
    bob.call("MarkRead", "sa{sv}", sent, {})
    harness.wait_until(lambda: bob.status()["mail-owed"] == 0, what="the receipts are left")
    bob.stop()
    alice.start().wait_state("online")
    harness.wait_until(lambda: alice.history("bob")[-1]["state"] == "read")


def test_mail_and_link_both_bring_it_and_it_is_shown_once(alice, bob, tracker):
    alice.exchange(bob)
    bob.stop()
    ids = [alice.send("bob", f"twice {n}") for n in range(20)]
    stored(alice, "bob", ids)
    mark = bob.mark()
    bob.start().wait_state("online")
    alice.wait_delivered("bob", ids)
    last = alice.send("bob", "and on")
    bob.wait_signal("MessageReceived", lambda i, *_: i == last, mark)
    received = [e.args[0] for e in bob.signals("MessageReceived", since=mark)]
    assert sorted(received) == sorted([*ids, last])
    assert [m["id"] for m in bob.history("alice")[1:]] == [*ids, last]


def test_a_tracker_that_lost_its_disk_is_given_the_mail_again(lab, alice, bob, tracker):
    alice.exchange(bob)
    bob.stop()
    sent = alice.send("bob", "still here")
    stored(alice, "bob", [sent])
    tracker.stop()
    shutil.rmtree(tracker.state / "directory")  # its key is still there
    tracker.start()
    bob.start().wait_state("online")            # who has to be known there to have a mailbox
    alice.wait_delivered("bob", [sent])
    assert texts(bob, "alice") == ["hi", "still here"]


def test_what_was_taken_back_is_not_collected(alice, bob):
    alice.exchange(bob)
    bob.stop()
    gone, stays = (alice.send("bob", text) for text in ("forget it", "keep this"))
    stored(alice, "bob", [gone, stays])
    alice.call("Cancel", "sa{sv}", gone, {})
    harness.wait_until(lambda: alice.status()["mail-stored"] == 1, what="it is withdrawn")
    alice.kill()
    bob.start().wait_state("online")
    harness.wait_until(lambda: texts(bob, "alice") == ["hi", "keep this"])


def test_mail_survives_a_kill_of_everybody(alice, bob, tracker):
    alice.exchange(bob)
    bob.kill()
    ids = [alice.send("bob", f"through it all {n}") for n in range(10)]
    stored(alice, "bob", ids)
    tracker.kill()
    alice.kill()
    tracker.start()
    bob.start().wait_state("online")
    harness.wait_until(lambda: len(texts(bob, "alice")) == 11)
    assert [m["id"] for m in bob.history("alice")[1:]] == ids


def test_a_tracker_without_mailboxes(lab):
    lab.tracker(config="mailbox = { enabled = false; };")
    alice, bob = lab.users("alice", "bob")
    alice.exchange(bob)
    bob.stop()
    sent = alice.send("bob", "waits here")

    def told():
        row, = (r for r in alice.call("Doctor") if r["check"] == "mailbox")
        return row["state"] == "warning" and "mailbox.enabled" in row.get("advice", "")

    harness.wait_until(told, what="the doctor says that the tracker keeps no mail")
    assert [m["state"] for m in alice.history("bob")][1:] == ["queued"]
    bob.start()
    alice.wait_delivered("bob", [sent])


def test_mail_of_somebody_who_is_blocked_is_dropped(lab, alice, bob):
    alice.exchange(bob)
    bob.call("Block", "sa{sv}", "alice", {})
    bob.stop()
    sent = alice.send("bob", "let me in")
    stored(alice, "bob", [sent])
    bob.start().wait_state("online")
    harness.wait_until(lambda: bob.status()["mail-owed"] == 0)
    lab.user("carol").join().exchange(bob, "from carol")
    assert texts(bob, "alice") == ["hi"]
    assert alice.history("bob")[-1]["state"] in harness.WAITING


def test_a_stranger_by_mail_is_a_request(lab, tracker):
    bob = lab.user("bob", 'contacts = { accept = "ask"; };').join()
    alice = lab.user("alice").join()
    bob.stop()
    sent = alice.send("bob", "who are you?")
    stored(alice, "bob", [sent])
    alice.kill()
    bob.start().wait_state("online")
    event = bob.wait_signal("RequestReceived", lambda who, text, _: who == "alice")
    assert event.args[1] == "who are you?"
    message = bob.wait_signal("MessageReceived", lambda i, *_: i == sent)
    assert message.args[4]["request"] is True


def test_the_largest_message(alice, bob):
    alice.exchange(bob)
    bob.stop()
    text = "ä" * 32768
    sent = alice.send("bob", text)
    stored(alice, "bob", [sent])
    alice.kill()
    bob.start().wait_state("online")
    harness.wait_until(lambda: texts(bob, "alice")[1:] == [text])
