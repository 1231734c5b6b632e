# SPDX-License-Identifier: GPL-3.0-or-later
"""Safety numbers: both ends see the same one, and each keeps what its user has said of it."""
import re

import pytest

import harness
from harness import NAME, PATH, Gio, GLib

SIZE = 25  # of a QR code of version 2, in modules
CORRECTED = 28  # bytes of data; those that correct errors come after them


def verify(user, name, **more):
    return user.call("Verify", "sa{sv}", name, more)


def is_data(x, y):
    """Neither a finder with its margin and the format, nor the timing, nor the alignment."""
    return not (x < 9 and y < 9 or x >= SIZE - 8 and y < 9 or x < 9 and y >= SIZE - 8
                or x == 6 or y == 6 or 16 <= x <= 20 and 16 <= y <= 20)


def read_code(qr):
    """The digits of a QR code (ISO/IEC 18004) of version 2 and level M, that nothing damages."""
    masks = (lambda i, j: (i + j) % 2, lambda i, j: i % 2, lambda i, j: j % 3,
             lambda i, j: (i + j) % 3, lambda i, j: (i // 2 + j // 3) % 2,
             lambda i, j: i * j % 2 + i * j % 3, lambda i, j: (i * j % 2 + i * j % 3) % 2,
             lambda i, j: ((i + j) % 2 + i * j % 3) % 2)
    assert qr[0] == SIZE and len(qr) == 1 + SIZE * SIZE and set(qr[1:]) == {0, 1}
    rows = [qr[1 + y * SIZE:][:SIZE] for y in range(SIZE)]
    level = (rows[8][0] << 1 | rows[8][1]) ^ 0b10
    mask = (rows[8][2] << 2 | rows[8][3] << 1 | rows[8][4]) ^ 0b101
    assert level == 0b00
    bits = ""
    columns = [x for x in range(SIZE - 1, 0, -2) if x > 6] + [5, 3, 1]
    for number, right in enumerate(columns):
        for y in range(SIZE) if number % 2 else reversed(range(SIZE)):
            for x in (right, right - 1):
                if is_data(x, y):
                    bits += str(rows[y][x] ^ (masks[mask](y, x) == 0))
    bits = bits[:8 * CORRECTED]
    assert bits[:4] == "0001", "digits"
    count = int(bits[4:14], 2)
    assert count % 3 == 0
    return "".join(f"{int(bits[14 + 10 * i:24 + 10 * i], 2):03}" for i in range(count // 3))


def test_both_ends_see_the_same_number_and_nobody_else_does(lab, alice, bob):
    carol = lab.user("carol").join()
    alice.exchange(bob)
    alice.exchange(carol)
    bob.exchange(carol)
    seen = {(a.name, b.name): verify(a, b.name)
            for a in (alice, bob, carol) for b in (alice, bob, carol) if a != b}
    for (a, b), answer in seen.items():
        assert re.fullmatch(r"\d{60}", answer["safety-number"])
        assert answer["verified"] is False
        assert answer == seen[b, a]
        assert read_code(bytes(answer["qr"])) == answer["safety-number"]
    assert len({answer["safety-number"] for answer in seen.values()}) == 3


def test_who_was_compared_stays_verified_on_one_side(alice, bob):
    def shown():
        path = f"{PATH}/peer/{bob.property('Account')}"
        verified, = alice.connection.call_sync(
            NAME, path, "org.freedesktop.DBus.Properties", "Get",
            GLib.Variant("(ss)", (NAME + ".Peer", "Verified")), None, Gio.DBusCallFlags.NONE,
            60000, None).unpack()
        return verified, alice.peer("bob").get("verified", False), verify(alice, "bob")["verified"]

    alice.exchange(bob)
    assert shown() == (False, False, False)
    assert verify(alice, "bob", confirm=True)["verified"] is True
    assert shown() == (True, True, True)
    alice.kill()
    alice.start()
    alice.wait_state("online")
    assert shown() == (True, True, True)
    assert verify(bob, "alice")["verified"] is False
    assert verify(alice, "bob", confirm=False)["verified"] is False
    assert shown() == (False, False, False)


def test_nobody_unknown_is_verified(alice, bob):
    for confirm in ({}, {"confirm": True}):
        for name in ("nobody", "@" + "a" * 52):
            with pytest.raises(harness.BusError) as error:
                verify(alice, name, **confirm)
            assert error.value.name == "UnknownPeer"


def test_chatc_shows_the_number_in_groups(alice, bob):
    alice.exchange(bob)
    number = verify(alice, "bob")["safety-number"]
    result = alice.chatc("verify", "bob")
    assert result.rc == 0
    assert re.findall(r"\b\d{5}\b", result.out) == re.findall(".{5}", number)
    assert "bob is not verified" in result.out
    assert "bob is verified" in alice.chatc("verify", "bob", "--confirm").out
    assert "verified" in alice.chatc("peers").out
    assert alice.chatc_json("verify", "bob")[0]["verified"] is True
    assert "bob is not verified" in alice.chatc("verify", "bob", "--unconfirm").out
