# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tracker can learn of mail: its traffic inside of TLS, and its disk, as it sees them itself."""
import base64
import collections
import hashlib
import struct
import subprocess

import harness
import under

TEXT = "meet me at the harbour at seven, and bring the blue umbrella"
HELLO, DEPOSIT, COLLECT, COLLECTED, MAIL_STATUS, WITHDRAW = 1, 39, 40, 41, 42, 43
TOMBSTONE = 3 + 1 + 8 + 16                      # state, expiry, pseudonym
TABLES = ("entry", "item", "note", "due", "usage")


# CBOR, as much of it as frames have

def argument(data, at):
    low = data[at] & 31
    if low < 24:
        return low, at + 1
    size = {24: 1, 25: 2, 26: 4, 27: 8}[low]
    return int.from_bytes(data[at + 1:at + 1 + size], "big"), at + 1 + size


def decode_at(data, at):
    major = data[at] >> 5
    number, at = argument(data, at)
    if major in (2, 3):
        return data[at:at + number], at + number
    if major == 4:
        items = []
        for _ in range(number):
            item, at = decode_at(data, at)
            items.append(item)
        return items, at
    if major == 5:
        pairs = {}
        for _ in range(number):
            key, at = decode_at(data, at)
            pairs[key], at = decode_at(data, at)
        return pairs, at
    return {0: number, 1: -1 - number, 7: number == 21}[major], at


def decode(data):
    value, at = decode_at(data, 0)
    assert at == len(data)
    return value


# the traffic

def overheard(path):
    """What came in each session, in the order of their begin."""
    data, at, streams, current = path.read_bytes(), 0, [], {}
    while at < len(data):
        session, size = struct.unpack_from("=QQ", data, at)
        at += 16
        if size == 0:
            current.pop(session, None)
        elif session not in current:
            current[session] = bytearray()
            streams.append(current[session])
        if size > 0:
            current[session] += data[at:at + size]
        at += size
    return [bytes(stream) for stream in streams]


def frames(stream):
    at = 0
    while at + 4 <= len(stream):
        size = int.from_bytes(stream[at:at + 4], "big")
        if at + 4 + size > len(stream):
            return
        body = stream[at + 4:at + 4 + size]
        yield decode(body), body
        at += 4 + size


def sent(path):
    """Frames that the tracker was sent: {type: [(fields, bytes)]}."""
    found = collections.defaultdict(list)
    for stream in overheard(path):
        for fields, body in frames(stream):
            found[fields[0]].append((fields, body))
    return found


# the disk

def rows(tracker, account):
    """Of the mailbox of this account, and what is due of it."""
    mailbox = hashlib.sha256(b"m" + account).digest()
    done = subprocess.run([under.BUILD / "tests/integration/mail-rows", tracker.state / "directory",
                           *TABLES], check=True, stdout=subprocess.PIPE, text=True)
    found = {table: {} for table in TABLES}
    for line in done.stdout.splitlines():
        table, key, value = line.split()
        if mailbox in bytes.fromhex(key):
            found[table][bytes.fromhex(key)] = bytes.fromhex(value.strip("-"))
    return found


def raw(text):
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))


def names_of(user, account):
    """All by which the tracker could tell that something is of this user."""
    return {"account": account, "name": user.name.encode(), "text": TEXT.encode(),
            "words": b"umbrella"}


def state_of(user, message):
    return next(m["state"] for m in user.history("bob") if m["id"] == message)


def check_silent(what, data, secrets):
    for name, secret in secrets.items():
        assert secret not in data, f"{what} has the sender's {name}"


def test_a_tracker_learns_no_more_of_mail_than_the_page_says(lab, tmp_path):
    tracker = lab.tracker(start=False)
    path = tmp_path / "overheard"
    sanitizer = tracker.env.get("ASAN_OPTIONS", "")
    tracker.env = dict(tracker.env, P2PCHAT_OVERHEARD=str(path),
                       LD_PRELOAD=str(under.BUILD / "tests/integration/overhear.so"),
                       ASAN_OPTIONS=f"{sanitizer}:verify_asan_link_order=0".lstrip(":"))
    tracker.start()
    alice, bob = lab.users("alice", "bob")
    alice.exchange(bob)
    bob.exchange(alice)
    bob.stop()
    bob.start().wait_state("online")
    alice.exchange(bob, "on another link, in whose greeting is a token")
    alices, bobs = raw(bob.peer("alice")["account"]), raw(alice.peer("bob")["account"])
    secrets = names_of(alice, alices)
    bob.stop()
    before = len(sent(path)[DEPOSIT])
    message = alice.send("bob", TEXT)
    harness.wait_until(lambda: state_of(alice, message) == "stored", 60, "it lies in the mailbox")

    # What the tracker was sent.
    heard = sent(path)
    assert alices in b"".join(body for _, body in heard[HELLO]), "this test hears what there is"
    deposits = heard[DEPOSIT][before:]
    assert len(deposits) == 1
    fields, body = deposits[0]
    assert set(fields) == {0, 1, 3, 4, 5, 6, 7}, "account, envelope, expires, withdraw hash, token"
    assert fields[3] == bobs and len(fields[6]) == 32
    envelope = decode(fields[4])
    assert set(envelope) == {0, 1, 2, 3, 4} and (len(envelope[4]) - 16) % 256 == 0
    token = decode(decode(fields[7])[0])
    assert set(token) == {0, 1, 2, 3} and token[1] == bobs and len(token[2]) == 16
    check_silent("the deposit", body, secrets)

    # What it keeps.
    kept = rows(tracker, bobs)
    assert len(kept["item"]) == 1 and len(kept["due"]) == len(kept["entry"]) and not kept["note"]
    (item,) = kept["item"].values()
    assert item[3 + 32 + 8:] == fields[4], "id and expiry, and the envelope as it came"
    # Of what a slow link had left there before, and brought then, a tombstone is there.
    (entry,) = (value for value in kept["entry"].values() if len(value) > TOMBSTONE)
    assert len(entry) == 3 + 1 + 8 + 16 + 8 + 8 + 32, "state, expiry, pseudonym, serial, size, hash"
    assert token[2] in entry and fields[6] in entry
    for table in TABLES:
        for key, value in kept[table].items():
            check_silent(f"a row of {table}", key + value, secrets)
    assert TEXT.encode() not in b"".join(
        file.read_bytes() for file in tracker.state.rglob("*") if file.is_file())

    # The rest of its life: it is collected, and taken back.
    bob.start().wait_state("online")
    alice.wait_delivered("bob", [message])
    harness.wait_until(lambda: not rows(tracker, bobs)["item"], what="it is gone from the mailbox")
    allowed = {DEPOSIT: {0, 1, 3, 4, 5, 6, 7, 8}, COLLECT: {0, 1, 3, 4}, COLLECTED: {0, 1, 3, 4},
               MAIL_STATUS: {0, 1, 3, 4}, WITHDRAW: {0, 1, 3, 4, 5}}
    for kind, keys in allowed.items():
        for fields, body in sent(path)[kind]:
            assert set(fields) <= keys
            assert TEXT.encode() not in body
    assert {len(value) for value in rows(tracker, bobs)["entry"].values()} == {TOMBSTONE}
