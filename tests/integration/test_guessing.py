# SPDX-License-Identifier: GPL-3.0-or-later
"""Who guesses passwords: with a tracker's databases, with a part of them, or by asking it."""
import contextlib
import itertools
import os
import shutil

import pytest

from guesser import Guesser, guess_at_home
from harness import wait_until

RIGHT, WRONG = "correct horse", ("123456", "password1")
OF_ONE = 10                 # tries of an account from one address, before anything is refused


def anna(lab):
    user = lab.user("anna").start()
    path = lab.directory / "password"
    path.write_text(RIGHT)
    assert user.chatc("register", "anna", "--password-file", path).rc == 0
    user.wait_state("online")
    return user, path


def guesser_of(tracker):
    return contextlib.closing(Guesser(tracker))


def test_databases_that_were_copied(lab):
    """The directory alone tests nothing; with the keys each guess costs one Argon2id."""
    tracker = lab.tracker()
    anna(lab)
    tracker.stop()
    copy = lab.directory / "copy"
    shutil.copytree(tracker.state, copy)
    guesses = (*WRONG, RIGHT, "never reached")
    with_both = guess_at_home(copy / "directory", copy / "oprf", "anna", guesses)
    assert (with_both["tried"], with_both["argon2id"]) == (3, 3), with_both
    assert with_both["found"] == RIGHT and not with_both["yields-to-less"], with_both
    assert with_both["memory"] >= 256 * 1024 and with_both["passes"] >= 3, with_both
    without = guess_at_home(copy / "directory", None, "anna", (RIGHT,))
    assert (without["tried"], without["found"]) == (1, ""), without


def test_the_key_is_nowhere_else(lab):
    """What evaluates passwords is in the one database only."""
    tracker = lab.tracker()
    with guesser_of(tracker) as guesser:
        guesser.make(1, "anna")
        key = guesser.try_at(2, "anna")[0]["key"].to_bytes(8, "big")
    tracker.stop()
    rows = (tracker.state / "oprf/data.mdb").read_bytes()
    secrets = [rows[at + 8:at + 40] for at in range(len(rows) - 40) if rows[at:at + 8] == key]
    assert secrets and all(any(secret) for secret in secrets)
    for path in tracker.state.rglob("*"):
        if path.is_file() and path.parent.name != "oprf":
            assert not any(secret in path.read_bytes() for secret in secrets), path


def test_wrong_unknown_and_throttled_look_alike(lab):
    tracker = lab.tracker()
    lab.user("bert").join()                             # he has no password
    with guesser_of(tracker) as guesser:
        guesser.make(1, "anna")
        names = ("anna", "bert", "nobo")
        said = {name: guesser.try_at(2, *[name] * (OF_ONE + 3)) for name in names}
        for name in names:
            codes = [done["code"] for done in said[name]]
            assert codes == ["BadPassword"] * OF_ONE + ["RateLimited"] * 3, codes
            assert len({done["key"] for done in said[name]}) == 1
            assert [done["sizes"] for done in said[name]] == [
                done["sizes"] for done in said["anna"]]
            assert len({done["sizes"][0] for done in said[name]}) == 1


def refused_in(said):
    """One more may be tried each minute, where the machine is slow."""
    return [done["code"] for done in said].count("RateLimited") > 1


def test_guesses_lock_nobody_out(lab):
    """Who lately logged in from there goes on, whatever others try from elsewhere."""
    tracker = lab.tracker()
    user, password = anna(lab)
    assert user.chatc("logout").rc == 0
    assert user.chatc("login", "anna", "--password-file", password).rc == 0
    with guesser_of(tracker) as guesser:
        tried = [guesser.try_at(source, *["anna"] * OF_ONE) for source in range(1, 13)]
        assert {done["code"] for done in tried[0]} == {"BadPassword"}
        assert refused_in(tried[-1])                    # nobody may any more from elsewhere
        tracker.restart()
        user.wait_state("online")
        tried = [guesser.try_at(source, *["anna"] * OF_ONE) for source in range(1, 13)]
        assert refused_in(tried[-1])
    assert user.chatc("logout").rc == 0
    assert user.chatc("login", "anna", "--password-file", password).rc == 0
    user.wait_state("online")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems")
def test_the_disk_of_the_keys_is_full(lab, disks):
    """Nobody sets a password any more, and who has one goes on."""
    tracker = lab.tracker(start=False)
    disk = disks(tracker.state / "oprf", "4M")
    tracker.start()
    user, password = anna(lab)
    numbers = itertools.count()
    with guesser_of(tracker) as guesser:
        disk.fill()
        wait_until(lambda: guesser.make(1, f"user{next(numbers)}").get("refused") == "Storage",
                   what="there is no room for another key")
        assert [done["code"] for done in guesser.try_at(2, "anna", "nobo")] == ["BadPassword"] * 2
        assert user.chatc("logout").rc == 0
        assert user.chatc("login", "anna", "--password-file", password).rc == 0
        assert "The database of passwords' keys fails: the disk is full" in tracker.log()
        disk.make_room()
        wait_until(lambda: guesser.make(1, f"user{next(numbers)}").get("made"),
                   what="there is room again")
    assert "The database of passwords' keys works again" in tracker.log()
