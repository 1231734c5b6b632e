# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that are full, slow or broken, and stores that are not what they were."""
import fcntl
import os
import pathlib
import random
import re
import stat
import struct
import subprocess
import time

import pytest

import flood
import harness
import kernel
from harness import BusError
from strace import Strace

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems")


def bodies(prefix, count, size):
    return [f"{prefix} {number} " + "." * size for number in range(count)]


def problems(user):
    return " ".join(user.status()["problems"])


def checked(user, what):
    row, = [row for row in user.list("Doctor") if row["check"] == what]
    return row


def check_said_full(floods):
    errors = [error for flooded in floods for error in flooded.errors.values()]
    assert errors
    assert all(e.name == "Storage" and "full" in e.message for e in errors), errors[:3]


def maybe_kept(flooded):
    """Whose Send failed: one that was in the failed batch may have been kept all the same."""
    return {flooded.ids[index] for index in flooded.errors}


def check_conversation(alice, bob, floods):
    """Both have the same, each once; all that was accepted is there, and what it said."""
    rows = {user: user.history(other.name) for user, other in ((alice, bob), (bob, alice))}
    ids = [row["id"] for row in rows[alice]]
    assert [row["id"] for row in rows[bob]] == ids
    assert len(ids) == len(set(ids))
    texts = {row["id"]: row["text"] for row in rows[bob]}
    for flooded in floods:
        for index in flooded.answered:
            assert texts.get(flooded.ids[index]) == flooded.bodies[index], index


def wait_delivered(*users):
    for user in users:
        harness.wait_progress(lambda u=user: u.property("Queued") == 0,
                              lambda u=user: u.property("Queued"), 120,
                              f"{user.name}'s messages are delivered")


def begin(user, other, count, size, **more):
    return flood.Flood(user, other.name, bodies(user.name, count, size), window=8, **more).start()


# no room on the disk

@pytest.fixture(name="cramped")
def cramped_fixture(lab, tracker, disks):
    """alice on a disk of her own, and bob; they know each other."""
    alice = lab.user("alice")
    disk = disks(alice.state, "24M")
    alice.join()
    bob, = lab.users("bob")
    alice.exchange(bob)
    bob.exchange(alice)
    return alice, bob, disk


@root_only
def test_a_disk_that_fills_in_the_middle_of_traffic(cramped):
    alice, bob, disk = cramped
    floods = [begin(alice, bob, 8000, 2000, with_ids=True), begin(bob, alice, 8000, 2000)]
    harness.wait_until(lambda: all(len(f.answered) > 40 for f in floods), what="traffic")
    disk.fill()
    harness.wait_until(lambda: len(floods[0].errors) > 20, what="alice is told")
    for flooded in floods:
        flooded.halted = True
        flooded.finish()
    check_said_full(floods[:1])
    assert not floods[1].errors, "bob's disk has room"
    harness.wait_until(lambda: "full" in problems(alice), what="status says it")
    assert checked(alice, "disk")["state"] == "failed"
    assert "The disk is full" in alice.log()

    # Receipts find room, new messages none: neither her own nor others'.
    wait_delivered(alice)
    assert bob.property("Queued") > 0
    with pytest.raises(BusError) as refused:
        alice.send("bob", "more")
    assert refused.value.name == "Storage" and "full" in refused.value.message
    answered = min(floods[0].answered)
    given = floods[0].ids[answered]
    assert alice.send("bob", floods[0].bodies[answered], id=given) == given, "kept is kept"

    disk.make_room()
    wait_delivered(bob)
    assert "full" not in problems(alice)
    assert checked(alice, "disk")["state"] != "failed"
    for index in sorted(floods[0].errors):
        assert alice.send("bob", floods[0].bodies[index], id=floods[0].ids[index]) == \
            floods[0].ids[index]
        floods[0].answered.add(index)
    wait_delivered(alice)
    check_conversation(alice, bob, floods)


@root_only
def test_receipts_find_room_on_a_full_disk(cramped):
    """Many at once, where the store has no page left to write them to."""
    alice, bob, disk = cramped
    bob.stop()
    waiting = begin(alice, bob, 3000, 200, with_ids=True).finish()
    assert not waiting.errors
    disk.fill()

    def refused():
        try:
            alice.send("bob", "x" * 30000)
        except BusError as error:
            return error.name == "Storage" and "full" in error.message
        return False

    harness.wait_until(refused, what="the disk is full")
    bob.start().wait_state("online")
    wait_delivered(alice)
    assert "full" in problems(alice)
    disk.make_room()
    harness.wait_until(lambda: problems(alice) == "", what="it heals when it is looked at")
    alice.exchange(bob, "as before")
    check_conversation(alice, bob, [waiting])


@root_only
def test_a_daemon_starts_on_a_full_disk_and_delivers_what_it_has(cramped):
    alice, bob, disk = cramped
    bob.stop()
    given = [alice.send("bob", f"number {i}") for i in range(20)]
    disk.fill()
    alice.kill()
    disk.fill()
    alice.start().wait_state("online")
    bob.start().wait_state("online")
    alice.wait_delivered("bob", given)
    late = bob.send("alice", "to a full disk")
    disk.fill()
    harness.wait_until(lambda: disk.free() > 0 or "full" in problems(alice) or
                       late in {row["id"] for row in alice.history("bob")}, what="an answer")
    disk.make_room()
    bob.wait_delivered("alice", [late])
    alice.exchange(bob, "as before")


@root_only
def test_a_first_start_on_a_full_disk_is_refused_and_leaves_nothing_half(lab, tracker, disks):
    alice = lab.user("alice")
    disk = disks(alice.state, "1M")
    disk.fill()
    alice.start(wait=False)
    assert alice.wait_exit() == os.EX_TEMPFAIL
    assert "full" in alice.log() or "No space" in alice.log(), alice.log()
    disk.make_room()
    alice.join()


# no room in the store

def test_a_store_that_reaches_its_limit_in_the_middle_of_traffic(lab, tracker):
    alice, = lab.users("alice", config='storage = { max-size = "2M"; };')
    bob, = lab.users("bob")
    alice.exchange(bob)
    floods = [begin(bob, alice, 150, 16000), begin(alice, bob, 10, 100)]
    for flooded in floods:
        flooded.finish()
    assert not floods[0].errors and not floods[1].errors
    harness.wait_until(lambda: "nearly full" in problems(alice), 120, "status says it")
    assert checked(alice, "disk")["state"] != "ok"
    assert bob.property("Queued") > 0

    # Others' messages stop first; the user's own go on for a while.
    wait_delivered(alice)
    floods.append(begin(alice, bob, 100, 4000).finish())
    check_said_full(floods[2:])
    assert floods[2].answered
    wait_delivered(alice)
    assert bob.property("Queued") > 0

    alice.configure('storage = { max-size = "64M"; };')
    alice.popen.send_signal(harness.signal.SIGHUP)
    wait_delivered(bob)
    assert problems(alice) == ""
    alice.exchange(bob, "as before")
    check_conversation(alice, bob, floods)


# writes that fail

FAULTS = {
    "no-space": ("pwrite64", "error=ENOSPC", (3, 9)),
    "bad-disk": ("fdatasync", "error=EIO", (1, 3)),
    "every-fourth": ("fdatasync", "error=EIO", (2, 4)),
}


@pytest.mark.parametrize("call, error, when", FAULTS.values(), ids=FAULTS)
def test_what_a_failed_batch_takes_with_it_is_told_and_comes_again(alice, bob, call, error, when):
    alice.exchange(bob)
    bob.exchange(alice)
    floods = [flood.Flood(user, other.name, bodies(user.name, 300, 100), window=4, with_ids=True)
              for user, other in ((alice, bob), (bob, alice))]
    with Strace(alice, "-e", f"trace={call}", "-e", f"inject={call}:{error}:when="
                f"{when[0]}+{when[1]}"):
        for flooded in floods:
            flooded.start()
        for flooded in floods:
            flooded.finish()
    assert floods[0].errors, "the fault was not met"
    assert all(e.name == "Storage" for e in floods[0].errors.values()), floods[0].errors
    assert not floods[1].errors
    harness.wait_until(lambda: problems(alice) == "", what="it heals when it is looked at")
    for index in sorted(floods[0].errors):
        alice.send("bob", floods[0].bodies[index], id=floods[0].ids[index])
        floods[0].answered.add(index)
    wait_delivered(alice, bob)
    check_conversation(alice, bob, floods)
    assert problems(alice) == ""


def test_a_disk_that_is_gone_for_a_while(alice, bob):
    """Nor can the environment be opened again then."""
    alice.exchange(bob)
    with Strace(alice, "-e", "trace=fdatasync,openat", "-e", "inject=fdatasync:error=EIO", "-e",
                "inject=openat:error=EIO"):
        for number in range(3):
            with pytest.raises(BusError) as refused:
                alice.send("bob", f"number {number}")
            assert refused.value.name == "Storage"
        assert "Input/output error" in problems(alice)
        assert checked(alice, "store")["state"] == "failed"
        waiting = bob.send("alice", "are you there?")
    harness.wait_until(lambda: problems(alice) == "", what="it heals when it is looked at")
    alice.exchange(bob, "here I am")
    bob.wait_delivered("alice", [waiting])
    assert "The store can be written again" in alice.log()


# a slow disk

def test_a_disk_that_stalls_for_20_seconds(lab, tracker):
    alice, bob = (lab.user(name) for name in ("alice", "bob"))
    alice.env["WATCHDOG_USEC"] = "60000000"
    alice.join()
    bob.join()
    alice.exchange(bob)
    bob.exchange(alice)
    sockets = {user: kernel.connections(user.pid) for user in (alice, bob)}
    assert all(sockets.values())
    mark = bob.mark()
    said = alice.read_notify().count("WATCHDOG=1")
    begun = time.monotonic()
    with Strace(alice, "-e", "trace=fdatasync", "-e",
                "inject=fdatasync:delay_enter=20000000:when=1"):
        floods = [flood.Flood(user, other.name, bodies(user.name, 20, 100), window=4).start()
                  for user, other in ((alice, bob), (bob, alice))]
        for flooded in floods:
            flooded.finish()
        assert time.monotonic() - begun > 19, "it did not stall"
        wait_delivered(alice, bob)
    assert not any(flooded.errors for flooded in floods)
    assert {user: kernel.connections(user.pid) for user in (alice, bob)} == sockets, \
        "no connection was given up"
    bob.settle()
    assert not bob.signals("PeerChanged", lambda name, presence, _: presence == "offline", mark)
    harness.wait_until(lambda: alice.read_notify().count("WATCHDOG=1") > said, 60,
                       "the watchdog is fed")
    assert "The disk is slow" in alice.log()
    slow = checked(alice, "store")
    took = re.search(r"slowest commit took (\d+\.\d) s", slow["text"])
    assert slow["state"] == "warning" and float(took.group(1)) >= 20, slow
    check_conversation(alice, bob, floods)


# the tracker

@root_only
def test_a_tracker_on_a_full_disk_refuses_names_and_goes_on_with_look_ups(lab, disks):
    tracker = lab.tracker(start=False)
    disk = disks(tracker.state, "2M")
    tracker.start()
    alice, bob, carol = (lab.user(name) for name in ("alice", "bob", "carol"))
    alice.join()
    bob.join()
    carol.start()
    disk.fill()

    def refused():
        with pytest.raises(BusError) as error:
            carol.register()
        return error.value.name == "Storage"

    harness.wait_until(refused, what="there is no room for another name")
    assert carol.property("State") == "logged-out"
    assert "cannot keep what comes: the disk is full" in tracker.log()
    harness.wait_until(lambda: "cannot be written" in tracker.read_notify(), what="STATUS= says so")
    alice.exchange(bob, "found")
    disk.make_room()

    def registered():
        try:
            return carol.register()
        except BusError:
            return None

    harness.wait_until(registered, what="there is room again").wait_state("online")
    carol.exchange(alice, "found too")
    assert "The directory can be written again" in tracker.log()
    harness.wait_until(lambda: "cannot be written" not in tracker.status_line(),
                       what="STATUS= says that it is over")


# stores that are refused

PAGE = 4096
LEAF = 2                            # P_LEAF of LMDB


def overwrite(path, at, data):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


def pages_with(path, pattern):
    """Leaves with such a row. LMDB takes old buffers for new pages, so that the text may be in any
    other page as well, between the end of its pointers and the first of its rows."""
    data = path.read_bytes()
    found = set()
    for match in re.finditer(pattern, data):
        page, at = divmod(match.start(), PAGE)
        flags, _, rows = struct.unpack_from("=HHH", data, page * PAGE + 10)
        if flags == LEAF and at >= rows:
            found.add(page)
    return found


def scatter(path):
    """Random bytes over all pages but the first two, which would be noticed at once."""
    generator = random.Random(1)
    for at in range(2 * PAGE, path.stat().st_size, PAGE):
        overwrite(path, at, generator.randbytes(64))


def make_newer(path, name):
    """The row that tells the version: u32, then whose store it is."""
    data = path.read_bytes()
    places = [match.start() for match in re.finditer(
        rb"\x00\x00\x00[\x01-\x0f](\x00\x00\x00.)?" + name, data, re.DOTALL)]
    assert places
    for at in places:
        overwrite(path, at, b"\0\0\0\xff")


NAMES = {"daemon": b"p2pchatd", "tracker": b"p2pchat directory"}
DAMAGES = {
    "cut": (lambda path, kind: os.truncate(path, path.stat().st_size // 2), "damaged"),
    "cut-short": (lambda path, kind: os.truncate(path, 100), "damaged"),
    "zeroed": (lambda path, kind: overwrite(path, 0, bytes(2 * PAGE)), "damaged"),
    "random": (lambda path, kind: scatter(path), "damaged"),
    "text": (lambda path, kind: path.write_text("this is no store\n"), "damaged"),
    "newer": (lambda path, kind: make_newer(path, NAMES[kind]), "newer version"),
}


@pytest.fixture(name="kept")
def kept_fixture(lab, tracker):
    """A tracker and a daemon with something in their stores, stopped."""
    alice, bob = lab.users("alice", "bob")
    alice.exchange(bob)
    for process in (alice, tracker):
        process.stop()
    return {"daemon": (alice, alice.state / "db/data.mdb"),
            "tracker": (tracker, tracker.state / "directory/data.mdb")}


def check_refused(process, *said):
    process.start(wait=False)
    assert process.wait_exit() == 1
    log = pathlib.Path(process.log_path()).read_text()
    for text in (str(process.state), *said):
        assert text in log, log


@pytest.mark.parametrize("damage, said", DAMAGES.values(), ids=DAMAGES)
def test_a_store_that_is_not_what_it_was_is_refused_and_kept(kept, damage, said):
    for kind, (process, store) in kept.items():
        good = store.read_bytes()
        damage(store, kind)
        bad = store.read_bytes()
        check_refused(process, said)
        assert store.read_bytes() == bad
        store.write_bytes(good)
        process.start()


def test_the_store_of_the_other_program_is_refused_and_kept(kept):
    stores = {kind: store.read_bytes() for kind, (_, store) in kept.items()}
    for kind, (process, store) in kept.items():
        foreign = next(data for other, data in stores.items() if other != kind)
        store.write_bytes(foreign)
        check_refused(process, "move it away")
        assert store.read_bytes() == foreign


def test_a_store_in_use_is_refused(kept):
    for process, store in kept.values():
        directory = os.open(store.parent, os.O_RDONLY)
        fcntl.flock(directory, fcntl.LOCK_EX)
        check_refused(process, "in use")
        os.close(directory)
        process.start()


def read_only(path):
    subprocess.run(["mount", "--bind", path, path], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)


@root_only
def test_a_store_that_cannot_be_written_is_refused_and_kept(kept):
    for process, store in kept.values():
        before = store.read_bytes()
        read_only(process.state)
        try:
            check_refused(process, "mount its file system writable")
        finally:
            subprocess.run(["umount", process.state], check=True)
        assert store.read_bytes() == before
        process.start()


# Root that has to ask, like everybody else.
OVERRIDE = "-dac_override,-dac_read_search"
ASKING = ["setpriv", "--inh-caps", OVERRIDE, "--bounding-set", OVERRIDE] if os.geteuid() == 0 \
    else []


def test_a_store_without_permission_is_refused_and_kept(kept):
    for kind, (process, store) in kept.items():
        before = store.read_bytes()
        argv = [harness.P2PCHATD] if kind == "daemon" else process.argv()
        for path, mode in ((store, 0o400), (store.parent, 0o500), (process.state, 0o500)):
            for made in (process.state / "lock", store.parent / "lock.mdb"):
                made.unlink(missing_ok=True)
            old = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode)
            process.launch([*ASKING, *argv], False)
            assert process.wait_exit() == 1
            path.chmod(old)
            log = pathlib.Path(process.log_path()).read_text()
            assert str(process.state) in log and "chmod" in log, log
        assert store.read_bytes() == before
        process.start()


def test_permissions_are_no_advice_where_something_else_is_wrong(kept):
    for process, store in kept.values():
        aside = store.parent.rename(store.parent.with_suffix(".aside"))
        store.parent.write_text("no directory")
        check_refused(process, "for writing: Not a directory")
        log = pathlib.Path(process.log_path()).read_text()
        assert "chmod" not in log and "mount" not in log, log
        store.parent.unlink()
        aside.rename(store.parent)
        process.start()


# damage that shows while they run

def test_a_page_that_is_damaged_while_running_is_said_and_survived(alice, bob):
    alice.exchange(bob)
    sent = begin(bob, alice, 300, 300).finish()
    wait_delivered(bob)
    alice.stop()
    store = alice.state / "db/data.mdb"
    pages = pages_with(store, rb"bob 15\d ")
    assert pages
    for page in pages:
        overwrite(store, page * PAGE, bytes(PAGE))
    alice.start().wait_state("online")
    with pytest.raises(BusError) as error:
        alice.history("bob")
    assert error.value.name == "Storage" and "damaged" in error.value.message
    assert "damaged" in problems(alice)
    assert checked(alice, "store")["state"] == "failed"
    assert alice.running() and sent.ids
    harness.wait_until(lambda: "The store is damaged" in alice.log(), what="the log says it")
    for user in (alice, bob):
        user.stop()
