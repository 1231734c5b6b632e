# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the key is kept that seals the keys of an account on the disk, and what happens without."""
import os
import shutil
import signal

import pytest

import harness
import under
from harness import BusError, wait_until
from keyring import Keyring

TEXT = "nobody but you is to read this"


def key_config(place, **more):
    lines = "".join(f" {k.replace('_', '-')} = {v};" for k, v in more.items())
    return f'storage = {{ key = "{place}";{lines} }};'


def kept(user):
    return user.status()["key-at-rest"]


def file_has(user, text):
    return text.encode() in (user.state / "db/data.mdb").read_bytes()


def item_doctor(user):
    row, = (row for row in user.call("Doctor") if row["check"] == "key")
    return row


def refuses(user, *sentences):
    """It ends with status 1, says why, and changes nothing."""
    before = (user.state / "db/data.mdb").read_bytes()
    user.start(wait=False)
    assert user.wait_exit() == 1
    for sentence in sentences:
        assert sentence in user.log(), user.log()
    assert (user.state / "db/data.mdb").read_bytes() == before


def remembers(user, secret):
    """Whether it is anywhere in what the daemon may write to."""
    with open(f"/proc/{user.pid}/maps", encoding="ascii") as maps, \
            open(f"/proc/{user.pid}/mem", "rb", 0) as memory:
        for line in maps:
            place, mode, *_ = line.split()
            if mode.startswith("rw"):
                begin, end = (int(part, 16) for part in place.split("-"))
                memory.seek(begin)
                if secret in memory.read(end - begin):
                    return True
    return False


def is_locked(user, sentence):
    """What a program hears while the key is waited for."""
    with pytest.raises(BusError) as refused:
        user.status()
    return refused.value.name == "Locked" and sentence in refused.value.message


def wait_open(user):
    """By itself: nobody asks."""
    wait_until(lambda: "runs, with the account" in user.log(), what=f"{user.name} goes on")
    user.wait_state("online")


def wait_locked(user, sentence):
    wait_until(lambda: user.owns_name() and is_locked(user, sentence), what=sentence)


@pytest.fixture
def eve(lab, tracker):
    """Somebody who is not there yet."""
    return lab.user("eve")


@pytest.fixture
def keyring(lab, eve):
    return Keyring(lab, eve).start()


def credential(user, key):
    directory = user.home / "credentials"
    directory.mkdir(exist_ok=True)
    (directory / "p2pchat.key").write_bytes(key)
    user.env["CREDENTIALS_DIRECTORY"] = str(directory)
    return directory / "p2pchat.key"


def test_a_file_where_there_is_nothing_better(eve):
    eve.join()
    assert kept(eve) == "file"
    key = eve.state / "key"
    assert key.stat().st_size == 32 and key.stat().st_mode & 0o777 == 0o600
    assert "sealed with the key in the file" in item_doctor(eve)["text"]
    assert "key at rest  file" in eve.chatc("status").out
    key.chmod(0o644)
    assert "chmod" in item_doctor(eve)["advice"]
    key.chmod(0o600)
    eve.restart().wait_state("online")


def test_without_the_file_it_does_not_start(eve):
    eve.join()
    eve.stop()
    key = eve.state / "key"
    good = key.read_bytes()

    key.unlink()
    refuses(eve, "which is missing; restore it", "The store was left as it is")
    assert not key.exists()
    for bad in (b"x" * 32, good[:-1], good + b"\n", b""):
        key.write_bytes(bad)
        key.chmod(0o600)
        refuses(eve, "restore that" if len(bad) == 32 else "is not a key of p2pchat")
        assert key.read_bytes() == bad
    key.write_bytes(good)
    key.chmod(0o640)
    refuses(eve, "Others may read the key", "chmod 600")
    key.chmod(0o600)
    eve.start().wait_state("online")


def test_the_key_is_forgotten_when_it_has_done_its_work(eve, keyring):
    """What it has opened is in memory that is locked, the key itself nowhere."""
    for place in ("file", "secret-service"):
        eve.configure(key_config(place))
        eve.restart() if eve.running() else eve.join()
        eve.restart().wait_state("online")
        key = (eve.state / "key").read_bytes() if place == "file" else \
            keyring.secret(*keyring.items())
        assert len(key) == 32 and kept(eve) == place
        assert remembers(eve, eve.status()["account"].encode())
        if not under.instrumented():
            assert not remembers(eve, key) and not remembers(eve, key.hex().encode())
            status = open(f"/proc/{eve.pid}/status", encoding="ascii").read()
            assert "VmLck:\t       0 kB" not in status, status


def test_a_copy_of_the_store_is_of_no_use(lab, eve):
    """Whoever has the directory of the store, and not the key, does not become its user."""
    eve.join()
    eve.stop()
    mallory = lab.user("mallory")
    shutil.copytree(eve.state / "db", mallory.state / "db")
    refuses(mallory, "which is missing")
    for place in ("none", "file", "credential", "secret-service"):
        mallory.configure(key_config(place))
        refuses(mallory, "which is missing")
    shutil.copy(mallory.state / "db/data.mdb", mallory.home / "stolen")
    (mallory.state / "key").write_bytes(os.urandom(32))
    (mallory.state / "key").chmod(0o600)
    refuses(mallory, "is not the one")
    eve.start().wait_state("online")


def test_a_credential(eve):
    key = credential(eve, os.urandom(32))
    good = key.read_bytes()
    eve.join()
    assert kept(eve) == "credential" and not (eve.state / "key").exists()
    eve.restart().wait_state("online")
    eve.stop()
    for bad in (os.urandom(32), good[:-1]):
        key.write_bytes(bad)
        refuses(eve, "restore that" if len(bad) == 32 else "is not a key of p2pchat")
    del eve.env["CREDENTIALS_DIRECTORY"]
    refuses(eve, "systemd has to give p2pchatd the credential p2pchat.key")
    credential(eve, good)
    eve.start().wait_state("online")


def test_a_store_of_before_stays_as_it_is(eve):
    eve.configure(key_config("none"))
    eve.join()
    assert kept(eve) == "none" and not (eve.state / "key").exists()
    assert "without encryption" in item_doctor(eve)["text"]
    eve.configure("")
    eve.restart().wait_state("online")
    assert kept(eve) == "none" and not (eve.state / "key").exists()


def test_the_key_goes_from_place_to_place(lab, eve, keyring, alice):
    credential(eve, os.urandom(32))
    eve.configure(key_config("none", seal_messages="true"))
    eve.join()
    account = eve.status()["account"]
    alice.exchange(eve, TEXT)
    assert file_has(eve, TEXT)
    for place in ("file", "secret-service", "credential", "file", "none", "secret-service", "none"):
        eve.configure(key_config(place, seal_messages="true"))
        eve.restart().wait_state("online")
        assert kept(eve) == place and eve.status()["account"] == account
        assert (eve.state / "key").exists() == (place == "file")
        assert len(keyring.items()) == (place == "secret-service")
        alice.exchange(eve, f"now it is in {place}")
        assert file_has(eve, f"now it is in {place}") == (place == "none")
    assert len(eve.history("alice")) == 8


def test_messages_are_sealed_if_wanted(eve, alice):
    eve.configure(key_config("file", seal_messages="true"))
    eve.join()
    alice.exchange(eve, TEXT)
    eve.exchange(alice, TEXT[::-1])
    assert not file_has(eve, TEXT) and not file_has(eve, TEXT[::-1])
    assert file_has(alice, TEXT)
    eve.configure(key_config("file"))
    eve.reload()
    alice.exchange(eve, "this may be seen")
    assert file_has(eve, "this may be seen")
    eve.restart().wait_state("online")
    assert [m["text"] for m in eve.history("alice")] == [TEXT, TEXT[::-1], "this may be seen"]


def test_the_key_ring_keeps_the_key(eve, keyring, alice):
    eve.join()
    assert kept(eve) == "secret-service" and not (eve.state / "key").exists()
    assert "Secret Service" in item_doctor(eve)["text"] and len(keyring.items()) == 1
    eve.restart().wait_state("online")

    # Once it runs it needs the key ring no more.
    keyring.kill()
    alice.exchange(eve, "still there?")
    eve.exchange(alice, "yes")
    assert kept(eve) == "secret-service"


def test_a_key_ring_that_is_locked_is_waited_for(eve, keyring, alice):
    eve.join()
    eve.stop()
    keyring.lock()
    eve.start()
    wait_locked(eve, "the key ring is locked; unlock it")
    assert "the key ring is locked" in eve.status_line()
    result = eve.chatc("status")
    assert result.rc == 1 and result.err.startswith("chatc: Locked: "), result

    # It goes on by itself when the key ring says that it is open.
    keyring.unlock_on_the_bus()
    wait_open(eve)
    alice.exchange(eve, "good morning")
    eve.stop()

    # One that the login opens says nothing; whoever asks makes it look.
    keyring.lock()
    eve.start()
    wait_locked(eve, "the key ring is locked; unlock it")
    keyring.unlock()
    wait_until(lambda: eve.chatc("status").rc == 0, what="the key ring is open")
    eve.stop()

    # It can be told to stop, or to read its configuration, meanwhile.
    keyring.lock()
    eve.start()
    wait_locked(eve, "the key ring is locked; unlock it")
    eve.reload()
    eve.stop()


def test_a_key_ring_that_is_not_there_is_waited_for(lab, eve, keyring):
    eve.join()
    eve.stop()
    keyring.kill()
    eve.start()
    wait_locked(eve, "nobody offers the Secret Service")
    keyring.start(locked=True)
    wait_locked(eve, "the key ring is locked; unlock it")
    keyring.unlock_on_the_bus()
    wait_open(eve)
    eve.stop()

    # It ends while it is asked.
    keyring.popen.send_signal(signal.SIGSTOP)
    eve.start()
    wait_locked(eve, "has not answered yet")
    keyring.kill()
    wait_locked(eve, "nobody offers the Secret Service")

    # And without the entry there is no key, nor is another one made.
    keyring.start()
    wait_open(eve)
    eve.stop()
    keyring.delete(*keyring.items())
    eve.start()
    wait_locked(eve, "does not have it")
    assert keyring.items() == []


def test_a_new_store_does_not_wait(eve, lab):
    """For a key ring that is locked, and has nobody who could be asked."""
    keyring = Keyring(lab, eve).start()
    keyring.lock()
    eve.join()
    assert kept(eve) == "file" and "The Secret Service is not used" in eve.log()
    eve.stop()

    # Where it was asked for, it does.
    eve.configure(key_config("secret-service"))
    eve.start()
    wait_locked(eve, "the key ring is locked; unlock it")
    assert (eve.state / "key").exists()
    keyring.unlock_on_the_bus()
    wait_open(eve)
    assert kept(eve) == "secret-service" and not (eve.state / "key").exists()


# Calls that leave something behind, and which of each: those of the start itself come first.
KILLED_IN = [("rename", 1), ("unlink", 1), ("fsync", 1), ("fsync", 2), ("fdatasync", 1),
             ("fdatasync", 2), ("fdatasync", 3), ("sendmsg", 7), ("sendmsg", 9), ("sendmsg", 11)]
if os.environ.get("P2PCHAT_LONG"):
    KILLED_IN = [(call, n) for call in ("rename", "unlink", "fsync", "fdatasync", "sendmsg",
                                        "pwrite64") for n in range(1, 25)]


def test_killed_while_the_key_goes_elsewhere(eve, keyring):
    """There and back, killed each time, and each time completed by the next start."""
    eve.configure(key_config("file"))
    eve.join()
    account, killed = eve.status()["account"], 0
    eve.stop()
    for call, n in KILLED_IN:
        for place in ("secret-service", "file"):
            eve.configure(key_config(place))
            eve.launch(["strace", "-D", "-f", "-o", eve.home / "strace", "-e", f"trace={call}",
                        "-e", f"inject={call}:signal=KILL:when={n}", harness.P2PCHATD], False)
            wait_until(lambda: not eve.running() or "READY=1" in eve.read_notify())
            killed += not eve.running()
            eve.kill()
            eve.start().wait_state("online")
            assert kept(eve) == place and eve.status()["account"] == account
            assert (eve.state / "key").exists() == (place == "file")
            assert len(keyring.items()) == (place == "secret-service")
            eve.stop()
    assert killed >= len(KILLED_IN)
