# SPDX-License-Identifier: GPL-3.0-or-later
"""The state directory is put back as it was some time ago, as from a backup or a snapshot."""
import shutil

import harness

NEWS = "begins epoch 2"


def copy(user):
    user.stop()
    kept = user.home / "copy"
    shutil.copytree(user.state, kept)
    user.start().wait_state("online")
    return kept


def put_back(user, kept):
    assert not user.running()
    shutil.rmtree(user.state)
    shutil.copytree(kept, user.state)


def write(user, to, what, n):
    texts = [f"{what} {i}" for i in range(n)]
    for text in texts:
        user.send(to, text)
    return texts


def heard(user, other):
    return sorted(m["text"] for m in user.history(other))


def settled(user, other):
    harness.wait_until(
        lambda: all(m["state"] in harness.DELIVERED for m in user.history(other)
                    if m["state"] != "received"), timeout=180,
        what=f"all that {user.name} wrote is delivered")


def test_what_is_written_on_an_old_copy_is_heard_once(alice, bob):
    alice.exchange(bob, "before")
    kept = copy(alice)
    lost = write(alice, "bob", "lost", 5)
    settled(alice, "bob")
    alice.stop()
    put_back(alice, kept)
    alice.start().wait_state("online")
    after = write(alice, "bob", "after", 3)
    settled(alice, "bob")
    harness.wait_until(lambda: "was restored from a copy" in alice.log() and NEWS in alice.log(),
                       what="the copy is recognised")
    assert heard(bob, "alice") == sorted(["before"] + lost + after)
    assert heard(alice, "bob") == sorted(["before"] + after)
    alice.stop()
    alice.start().wait_state("online")
    then = write(alice, "bob", "then", 2)
    settled(alice, "bob")
    assert heard(bob, "alice") == sorted(["before"] + lost + after + then)
    assert "begins epoch" not in alice.log()    # once is enough


def test_what_is_written_before_anybody_is_met(lab, alice, bob, tracker):
    """More than was lost, in the same places of the same feed."""
    alice.exchange(bob, "before")
    kept = copy(alice)
    lost = write(alice, "bob", "lost", 2)
    settled(alice, "bob")
    for process in (alice, bob, tracker):
        process.stop()
    put_back(alice, kept)
    alice.start()
    offline = write(alice, "bob", "offline", 5)
    assert "begins epoch" not in alice.log()    # which nobody could tell so far
    tracker.start()
    bob.start().wait_state("online")
    settled(alice, "bob")
    assert NEWS in alice.log()
    assert heard(bob, "alice") == sorted(["before"] + lost + offline)
    assert heard(alice, "bob") == sorted(["before"] + offline)


def test_what_waited_when_the_copy_was_made(alice, bob):
    """It was delivered since: once more is not once more heard."""
    alice.exchange(bob, "before")
    bob.stop()
    waiting = write(alice, "bob", "waiting", 4)
    kept = copy(alice)
    bob.start().wait_state("online")
    settled(alice, "bob")
    lost = write(alice, "bob", "lost", 1)
    settled(alice, "bob")
    alice.stop()
    put_back(alice, kept)
    alice.start().wait_state("online")
    after = write(alice, "bob", "after", 1)
    settled(alice, "bob")
    assert heard(bob, "alice") == sorted(["before"] + waiting + lost + after)
    received = [e.args[0] for e in bob.signals("MessageReceived")]
    assert len(received) == len(set(received))


def test_mail_that_an_old_copy_has_left(alice, bob):
    """Bob is away: nobody tells before it lies in his mailbox, under a number that was used."""
    alice.exchange(bob, "before")
    kept = copy(alice)
    lost = write(alice, "bob", "lost", 2)
    settled(alice, "bob")
    alice.stop()
    bob.stop()
    put_back(alice, kept)
    alice.start().wait_state("online")
    sealed = write(alice, "bob", "sealed", 3)
    harness.wait_until(lambda: all(m["state"] == "stored" for m in alice.history("bob")
                                   if m["text"].startswith("sealed")), what="it is stored")
    bob.start().wait_state("online")
    settled(alice, "bob")
    assert NEWS in alice.log()
    harness.wait_until(lambda: heard(bob, "alice") == sorted(["before"] + lost + sealed))
