# SPDX-License-Identifier: GPL-3.0-or-later
"""Mailboxes of a tracker process: floods, its configuration, and the ways in which it may end."""
import os
import re
import shutil
import time

import pytest

import harness
from postman import Postman
from small_disk import SmallDisk
from strace import KillAt

SIZE = 400

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")


@pytest.fixture
def people(request):
    def one(*args, **how):
        postman = Postman(*args, **how)
        request.addfinalizer(postman.close)
        return postman

    return one


@pytest.fixture
def disks(request):
    def make(path, size):
        disk = SmallDisk(path, size)
        request.addfinalizer(disk.close)
        return disk

    return make


def recipient(people, tracker, name="bob"):
    return people(tracker, name).register()


def stranger(people, tracker):
    return people(tracker, "a stranger", command="open-anonymous")


def mail_shown(tracker):
    """Messages and bytes, as the status line says."""
    found = re.search(r"(\d+) messages? in mailboxes \((\d+) bytes\)", tracker.status_line())
    return found and tuple(map(int, found.groups()))


def test_a_flood_by_one_contact_leaves_room_for_the_others(lab, people):
    tracker = lab.tracker(config="mailbox = { max-items = 100; };")
    bob, flooder = recipient(people, tracker), stranger(people, tracker)
    done = flooder.ask("deposit", "bob", 1, 0, 200, SIZE)
    assert done["ok"] == 25, "a quarter"
    assert done["reasons"]["TooMany"][0] == 175
    assert "one contact" in done["reasons"]["TooMany"][1]
    refused = flooder.ask("deposit", "bob", -1, 0, 50, SIZE)
    assert refused["reasons"]["NotAllowed"][0] == 50
    assert flooder.ask("deposit", "bob", 2, 1000, 10, SIZE)["ok"] == 10
    assert flooder.ask("deposit", "bob", 0, 2000, 1, SIZE)["ok"] == 1, "with a stamp"
    assert bob.collect() == [*range(25), *range(1000, 1010), 2000]
    harness.wait_until(lambda: (mail_shown(tracker) or [0])[0] == 36, what="STATUS= counts them")
    assert bob.ask("collected", "bob", 0, 25, SIZE)["ok"] == 25
    assert flooder.ask("deposit", "bob", 1, 0, 25, SIZE)["ok"] == 25, "the same: taken already"
    assert flooder.ask("deposit", "bob", 1, 300, 25, SIZE)["ok"] == 25, "there is room again"
    assert bob.collect() == [*range(1000, 1010), 2000, *range(300, 325)]


def test_mailbox_keys_hold_from_a_reload_on(lab, people):
    tracker = lab.tracker(config="mailbox = { enabled = false; };")
    bob, sender = recipient(people, tracker), stranger(people, tracker)
    assert "NotSupported" in sender.ask("deposit", "bob", 1, 0, 1, SIZE)["reasons"]

    def reload(config):
        tracker.configure(config)
        tracker.reload()

    reload("mailbox = { enabled = true; max-items = 8; };")
    assert sender.ask("deposit", "bob", 1, 0, 5, SIZE)["ok"] == 2
    reload("mailbox = { enabled = true; max-bytes = \"8K\"; };")
    assert sender.ask("deposit", "bob", 1, 10, 9, SIZE)["ok"] == 2, "2K, of which there is some"
    reload("mailbox = { enabled = false; };")
    assert bob.collect() == [0, 1, 10, 11], "what is there is given out"
    assert bob.ask("collected", "bob", 0, 2, SIZE)["ok"] == 2
    assert bob.collect() == [10, 11]


def test_mail_and_tombstones_survive_a_restart(lab, people):
    tracker = lab.tracker()
    bob, sender = recipient(people, tracker), stranger(people, tracker)
    assert sender.ask("deposit", "bob", 1, 0, 20, SIZE)["ok"] == 20
    assert bob.ask("collected", "bob", 0, 5, SIZE)["ok"] == 5
    assert sender.ask("withdraw", "bob", 5, 5, SIZE)["ok"] == 5
    tracker.restart()
    harness.wait_until(lambda: (mail_shown(tracker) or [0])[0] == 10, what="STATUS= counts them")
    assert bob.ask("open")["open"] and sender.ask("open-anonymous")["open"]
    assert bob.collect() == [*range(10, 20)]
    assert sender.ask("deposit", "bob", 1, 0, 10, SIZE)["ok"] == 10
    assert sender.ask("status", "bob", 0, 20, SIZE)["gone"] == 10
    assert bob.collect() == [*range(10, 20)], "nothing has come back"


@pytest.mark.parametrize("number", range(4))
def test_a_tracker_that_is_killed_has_what_it_has_acknowledged(lab, people, number):
    tracker = lab.tracker(config="mailbox = { max-items = 10000; };")
    bob, sender = recipient(people, tracker), people(tracker, "alice")
    assert sender.ask("deposit", "bob", 9, 5000, 500, SIZE)["ok"] == 500
    sender.start("deposit", "bob", 1, 0, 1500, SIZE)
    bob.start("collected", "bob", 5000, 500, SIZE)
    time.sleep(0.1 * number)                    # whenever that is, it holds
    tracker.kill()
    left, taken = sender.answer(), bob.answer()
    tracker.start()
    assert bob.ask("open")["open"] and sender.ask("open")["open"]
    there = bob.collect()
    mine, others = [n for n in there if n < 5000], [n for n in there if n >= 5000]
    # Requests are answered in order: so many from the first on.
    assert mine == [*range(len(mine))] and left["ok"] <= len(mine) <= left["ok"] + 48
    assert others == [*range(5500 - len(others), 5500)]
    assert taken["ok"] <= 500 - len(others) <= taken["ok"] + 48
    assert sender.ask("status", "bob", 5000, 500, SIZE)["gone"] == 500 - len(others)
    print(f"{left['ok']} deposits and {taken['ok']} removals were acknowledged when it was killed")
    assert sender.ask("deposit", "bob", 1, 0, 1500, SIZE)["ok"] == 1500
    assert len(bob.collect()) == 1500 + len(others), "each is there once"


def test_a_tracker_that_is_killed_inside_a_commit_has_promised_nothing(lab, people):
    tracker = lab.tracker()
    bob, sender = recipient(people, tracker), stranger(people, tracker)
    with KillAt(tracker, "fdatasync"):
        sender.start("deposit", "bob", 1, 0, 10, SIZE)
    done = sender.answer()
    assert done["closed"] and done["ok"] == 0
    tracker.start()
    assert bob.ask("open")["open"] and sender.ask("open-anonymous")["open"]
    assert sender.ask("deposit", "bob", 1, 0, 10, SIZE)["ok"] == 10
    with KillAt(tracker, "fdatasync"):
        bob.start("collected", "bob", 0, 10, SIZE)
    done = bob.answer()
    assert done["closed"] and done["ok"] == 0
    tracker.start()
    assert bob.ask("open")["open"]
    assert bob.collect() == [*range(10)]


@root_only
def test_a_tracker_on_a_full_disk_gives_mail_out_and_takes_none(lab, people, disks):
    tracker = lab.tracker(start=False)
    disk = disks(tracker.state, "40M")
    tracker.start()
    bob, sender = recipient(people, tracker), stranger(people, tracker)
    assert sender.ask("deposit", "bob", 1, 0, 200, 4000)["ok"] == 200
    disk.fill()
    done = sender.ask("deposit", "bob", 2, 1000, 100, 20000)
    assert done["reasons"]["Storage"][0] + done["ok"] == 100 and done["reasons"]["Storage"][0] > 0
    assert "disk is full" in done["reasons"]["Storage"][1]
    kept = [*range(200), *range(1000, 1000 + done["ok"])]
    assert bob.collect() == kept
    assert sender.ask("withdraw", "bob", 0, 50, 4000)["ok"] == 50
    assert bob.ask("collected", "bob", 50, 150, 4000)["ok"] == 150
    assert bob.collect() == kept[200:]
    said = tracker.log()
    assert said.count("cannot keep what comes: the disk is full") == 1
    assert "can be written again" not in said
    disk.make_room()
    harness.wait_until(lambda: sender.ask("deposit", "bob", 2, 2000, 1, SIZE)["ok"] == 1,
                       what="there is room again")
    assert "can be written again" in tracker.log()
    assert sender.ask("deposit", "bob", 1, 0, 200, 4000)["ok"] == 200
    assert bob.collect() == [*kept[200:], 2000], "tombstones were written on the full disk"


def test_a_tracker_whose_directory_is_lost_takes_the_mail_anew(lab, people):
    tracker = lab.tracker()
    bob, sender = recipient(people, tracker), stranger(people, tracker)
    assert sender.ask("deposit", "bob", 1, 0, 10, SIZE)["ok"] == 10
    tracker.stop()
    shutil.rmtree(tracker.state / "directory")
    tracker.start()
    assert sender.ask("open-anonymous")["open"]
    done = sender.ask("status", "bob", 0, 10, SIZE)
    assert done["ok"] == 10 and done["held"] == done["gone"] == 0
    assert "UnknownPeer" in sender.ask("deposit", "bob", 1, 0, 10, SIZE)["reasons"]
    assert bob.ask("open")["open"]
    bob.register()
    assert bob.collect() == []
    assert sender.ask("deposit", "bob", 1, 0, 10, SIZE)["ok"] == 10
    assert bob.collect() == [*range(10)]
