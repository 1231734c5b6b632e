# SPDX-License-Identifier: GPL-3.0-or-later
"""Alice says hi to Bob: what both see, over D-Bus, through chatc and with the desktop's tools."""
import os
import pty
import re
import subprocess
import threading
import uuid

import pytest

import harness
from gi.repository import Gio, GLib
from harness import DEADLINE

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
ACCOUNT = re.compile(r"[a-z2-7]{52}")


def by_id(rows, message):
    found = [row for row in rows if row["id"] == message]
    assert len(found) == 1, rows
    return found[0]


def test_both_have_the_message_and_the_sender_knows(alice, bob):
    sent = alice.send("bob", "hi")
    assert UUID.fullmatch(sent)
    alice.wait_delivered("bob", [sent])
    rows = alice.history("bob"), bob.history("alice")
    assert len(rows[0]) == len(rows[1]) == 1
    for row in rows[0] + rows[1]:
        assert (row["id"], row["from"], row["to"], row["text"], row["kind"]) == \
            (sent, "alice", "bob", "hi", "text")
        assert row["from-account"] == alice.property("Account")
        assert row["to-account"] == bob.property("Account")
        assert 0 < row["sent"] < row["expires"]
    assert (rows[0][0]["state"], rows[1][0]["state"]) == ("delivered", "received")
    assert rows[0][0]["sent"] == rows[1][0]["sent"]
    assert rows[1][0]["received"] > 0
    assert alice.property("Queued") == 0


def test_both_are_told_by_signals(alice, bob):
    marks = alice.mark(), bob.mark()
    sent = alice.send("bob", "hi")
    received = bob.wait_signal("MessageReceived", since=marks[1])
    assert received.args[:4] == (sent, "alice", "", "hi")
    assert received.args[4]["account"] == alice.property("Account")
    changed = alice.wait_signal("MessageStateChanged", lambda i, _to, state, _more: (i, state) == (
        sent, "delivered"), since=marks[0])
    assert changed.args[1] == "bob"
    assert changed.args[3]["account"] == bob.property("Account")
    answer = bob.send("alice", "hi yourself")
    assert alice.wait_signal("MessageReceived", since=marks[0]).args[:4] == \
        (answer, "bob", "", "hi yourself")
    assert len(bob.signals("MessageReceived", since=marks[1])) == 1


def test_a_signalled_message_can_be_read_at_once(alice, bob):
    for number in range(20):
        mark = bob.mark()
        sent = alice.send("bob", f"number {number}")
        bob.wait_signal("MessageReceived", lambda i, *_: i == sent, since=mark)
        assert bob.list("ListMessages", "alice", limit=1)[-1]["id"] == sent


def test_unicode_and_white_space_arrive_unchanged(alice, bob):
    texts = ["  padded \n\n", "\u202eright\u202c to left", "e\u0301 \U0001f600\u200d", "\x01\x1b[31m\x7f",
             "\ufeff", "a\r\nb\rc", "𝟘" * 16384]
    alice.wait_delivered("bob", [alice.send("bob", text) for text in texts])
    assert [row["text"] for row in bob.history("alice")] == texts
    assert [row["text"] for row in alice.history("bob")] == texts


def test_one_can_write_to_an_account_as_to_a_name(alice, bob):
    sent = alice.send("@" + bob.property("Account"), "hi")
    alice.wait_delivered("bob", [sent])
    assert by_id(bob.history("alice"), sent)["text"] == "hi"


def test_names_are_folded_to_lower_case(lab, tracker, bob):
    alice = lab.user("alice").join("Alice")
    assert alice.property("Name") == "alice"
    alice.wait_delivered("bob", [alice.send("BOB", "hi")])
    assert bob.history("Alice")[0]["from"] == "alice"


def test_a_stranger_is_heard_under_the_default_configuration(lab, tracker):
    alice, bob = lab.users("alice", "bob", config='contacts = { accept = "ask"; };')
    sent = alice.send("bob", "do you know me?")
    alice.wait_delivered("bob", [sent])
    assert by_id(bob.history("alice"), sent)["text"] == "do you know me?"


def test_peers_are_seen_with_their_presence(alice, bob):
    def presence(value, since):
        return alice.wait_signal("PeerChanged", lambda name, now, _: (name, now) == ("bob", value),
                                 since=since)

    harness.wait_until(lambda: (alice.peer("bob") or {}).get("presence") == "online",
                       what="alice sees bob in the list")
    peer = alice.peer("bob")
    assert peer["account"] == bob.property("Account")
    assert not peer.get("verified") and not peer.get("blocked") and not peer.get("contact")
    alice.exchange(bob)
    peer = alice.peer("bob")
    assert peer["contact"] is True
    harness.wait_until(lambda: any(endpoint.startswith("127.0.0.1:") for endpoint in
                                   alice.peer("bob")["endpoints"]), what="alice knows where bob is")
    mark = alice.mark()
    bob.stop()
    assert presence("offline", mark).args[2]["account"] == peer["account"]
    peer = alice.peer("bob")
    assert peer["presence"] == "offline"
    assert peer["last-seen"] > 0
    mark = alice.mark()
    bob.start()
    assert presence("online", mark).args[2]["account"] == peer["account"]
    assert alice.peer("bob")["presence"] == "online"


def test_conversations_are_listed_with_their_last_message(alice, bob):
    assert alice.list("ListConversations") == []
    ids = [alice.send("bob", text) for text in ("one", "two")]
    alice.wait_delivered("bob", ids)
    mine, = alice.list("ListConversations")
    assert (mine["with"], mine["account"]) == ("bob", bob.property("Account"))
    assert (mine["last-id"], mine.get("unread", 0)) == (ids[1], 0)
    his, = bob.list("ListConversations")
    assert (his["with"], his["last-id"], his["unread"]) == ("alice", ids[1], 2)
    assert his["last-time"] > 0


def test_status_and_properties_say_who_and_how(lab, tracker):
    alice = lab.user("alice").start()
    assert (alice.property("State"), alice.property("Name"), alice.property("Account")) == \
        ("logged-out", "", "")
    mark = alice.mark()
    alice.register()
    alice.wait_signal("PropertiesChanged", lambda interface, changed, gone:
                      changed.get("State") == "online", since=mark)
    account = alice.property("Account")
    assert ACCOUNT.fullmatch(account)
    assert alice.property("Fingerprint")
    assert alice.property("Queued") == 0
    assert alice.property("Version")
    assert alice.property("HandOver") is not None
    entry, = alice.property("Trackers")
    assert (entry["address"], entry["state"]) == (tracker.address(), "connected")
    status = alice.status()
    assert (status["name"], status["account"], status["state"], status["queued"]) == \
        ("alice", account, "online", 0)
    assert status["version"] == alice.property("Version")
    assert status["problems"] == [] or "tracker" not in " ".join(status["problems"])


def test_history_is_paged_both_ways(alice, bob):
    ids = [alice.send("bob", f"message {number}") for number in range(25)]
    alice.wait_delivered("bob", ids)

    def page(**more):
        return [row["id"] for row in bob.list("ListMessages", "alice", **more)]

    assert page(limit=10) == ids[15:]
    assert page(limit=10, before=ids[15]) == ids[5:15]
    assert page(limit=10, before=ids[5]) == ids[:5]
    assert page(before=ids[0]) == []
    assert page(limit=10, after=ids[4]) == ids[5:15]
    assert page(after=ids[24]) == []
    assert page(limit=1000) == ids


def test_history_survives_a_restart_and_a_crash_of_both(alice, bob):
    alice.exchange(bob, "before")
    bob.restart()
    alice.restart()
    alice.exchange(bob, "between")
    for user in (alice, bob):
        user.kill()
        user.start()
    alice.exchange(bob, "after")
    for user, other in ((alice, "bob"), (bob, "alice")):
        assert [row["text"] for row in user.history(other)] == ["before", "between", "after"]


def test_one_logs_out_and_in_again(alice, bob):
    alice.exchange(bob)
    account = alice.property("Account")
    alice.call("Logout")
    assert alice.property("State") == "logged-out"
    with pytest.raises(harness.BusError) as refused:
        alice.send("bob", "not now")
    assert refused.value.name == "NotLoggedIn"
    waiting = bob.send("alice", "are you there?")
    alice.call("Login", "ssa{sv}", "alice", "", {})
    alice.wait_state("online")
    assert alice.property("Account") == account
    bob.wait_delivered("alice", [waiting])
    alice.exchange(bob, "back")


def test_sending_again_with_the_same_id_is_one_message(alice, bob):
    for version in (uuid.uuid4(), uuid.uuid1(), uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8057")):
        chosen = str(version)
        assert [alice.send("bob", "once", id=chosen) for _ in range(3)] == [chosen] * 3
        alice.wait_delivered("bob", [chosen])
        assert alice.send("bob", "once", id=chosen) == chosen
    last = alice.send("bob", "last")
    alice.wait_delivered("bob", [last])
    assert [row["text"] for row in bob.history("alice")] == ["once"] * 3 + ["last"]
    harness.wait_until(lambda: len(bob.signals("MessageReceived")) >= 4, what="four signals")
    assert len(bob.signals("MessageReceived")) == 4


def test_what_is_sent_together_with_a_repetition_goes_out_too(alice, bob):
    """A client that has lost its connection repeats what it is not sure of, and goes on."""
    chosen = alice.send("bob", "once")
    alice.wait_delivered("bob", [chosen])
    texts = [("once", {"id": GLib.Variant("s", chosen)}), ("second", {}), ("third", {})]
    for text, more in texts:                    # all are waiting when the daemon looks
        alice.connection.call(
            harness.NAME, harness.PATH, harness.NAME, "Send",
            GLib.Variant("(ssa{sv})", ("bob", text, more)), None,
            Gio.DBusCallFlags.NO_AUTO_START, 60000, None, None, None)
    harness.wait_until(lambda: [(row["text"], row["state"]) for row in alice.history("bob")] == [
        (text, "delivered") for text, _ in texts], what="the two that are new are delivered")


def test_an_id_is_not_used_for_something_else(alice, bob):
    chosen = str(uuid.uuid4())
    alice.send("bob", "this", id=chosen)
    for to, text in (("bob", "that"), ("alice", "this")):
        with pytest.raises(harness.BusError) as refused:
            alice.send(to, text, id=chosen)
        assert refused.value.name == "InvalidArgs"
    for wrong in ("", "x", chosen + "0", chosen[:-1] + "g"):
        with pytest.raises(harness.BusError) as refused:
            alice.send("bob", "this", id=wrong)
        assert refused.value.name == "InvalidArgs"
    alice.restart()
    with pytest.raises(harness.BusError):
        alice.send("bob", "that", id=chosen)
    assert alice.send("bob", "this", id=chosen) == chosen
    alice.wait_delivered("bob", [chosen])
    assert [row["text"] for row in bob.history("alice")] == ["this"]


def test_a_third_one_reads_nothing_of_it(lab, alice, bob):
    carol = lab.user("carol").join()
    alice.exchange(bob)
    carol.exchange(bob, "hi from carol")
    assert [row["text"] for row in bob.history("alice")] == ["hi"]
    assert [row["text"] for row in bob.history("carol")] == ["hi from carol"]
    assert carol.history("alice") == []
    assert len(carol.history("bob")) == 1


def test_one_can_write_to_oneself_or_is_told_why_not(alice):
    try:
        sent = alice.send("alice", "note to self")
    except harness.BusError as refused:
        assert refused.name in ("NotAllowed", "InvalidArgs")
        assert alice.history("alice") == []
        assert alice.property("Queued") == 0
    else:
        alice.wait_delivered("alice", [sent])
        assert len(alice.history("alice")) == 1


# chatc

def test_chatc_takes_two_people_from_nothing_to_an_answer(lab, tracker):
    alice, bob = (lab.user(name).start() for name in ("alice", "bob"))
    for user in (alice, bob):
        done = user.chatc("register", user.name, "--no-password")
        assert done.rc == 0, done
        for hint in ("chatc history", "chatc watch", "systemctl --user"):
            assert hint in done.out + done.err
    sent = alice.chatc("send", "bob", "hi", "there", "--wait", "delivered", "--timeout", "60")
    assert sent.rc == 0, sent
    assert UUID.fullmatch(sent.out.removesuffix("\n")) and sent.out.endswith("\n")
    row, = bob.chatc_json("history", "alice")
    assert (row["id"], row["from"], row["text"]) == (sent.out.strip(), "alice", "hi there")
    assert row["state"] == "received"
    assert TIME.fullmatch(row["sent"]) and TIME.fullmatch(row["received"])
    answer, = bob.chatc_json("send", "--wait=delivered", "alice", "hi", "yourself")
    assert [row["id"] for row in alice.chatc_json("history", "bob")] == \
        [sent.out.strip(), answer["id"]]
    shown = alice.chatc("history", "bob")
    assert shown.rc == 0 and "hi there" in shown.out and "hi yourself" in shown.out
    assert shown.out.index("hi there") < shown.out.index("hi yourself")
    assert "\x1b" not in shown.out
    assert [row["text"] for row in alice.chatc_json("history", "bob", "-n", "1")] == ["hi yourself"]


def test_chatc_shows_status_peers_and_chats(alice, bob):
    alice.exchange(bob)
    for verb in ((), ("status",)):
        status, = alice.chatc_json(*verb)
        assert (status["name"], status["state"], status["queued"]) == ("alice", "online", 0)
        assert status["account"] == alice.property("Account")
        assert status["trackers"][0]["state"] == "connected"
    assert alice.chatc().rc == 0
    assert "bob" in alice.chatc("peers").out
    peer = next(p for p in alice.chatc_json("peers") if p["name"] == "bob")
    assert (peer["presence"], peer["account"]) == ("online", bob.property("Account"))
    assert "bob" in alice.chatc("chats").out
    chat, = alice.chatc_json("chats")
    assert chat["with"] == "bob" and TIME.fullmatch(chat["last-time"])
    empty = alice.chatc("history", "nobody-i-know")
    assert (empty.rc, empty.out) == (0, "")


def test_chatc_sends_what_it_is_given(alice, bob):
    long = "long \u2713 " * 7000
    given = [
        (("send", "bob", "two", " words "), None, "two  words "),
        (("send", "bob", "-"), "a line\n", "a line"),
        (("send", "bob", "-"), "two newlines\n\n", "two newlines\n"),
        (("send", "bob", "-"), long, long),
        (("send", "bob", "--", "--wait"), None, "--wait"),
        (("send", "--id", "6BA7B810-9DAD-11D1-80B4-00C04FD430C8", "bob", "-"), "x", "x"),
    ]
    for args, stdin, _ in given:
        done = alice.chatc(*args, stdin=stdin)
        assert done.rc == 0, done
    rows = alice.history("bob")
    assert [row["text"] for row in rows] == [text for _, _, text in given]
    assert rows[-1]["id"] == "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    alice.wait_delivered("bob", [row["id"] for row in rows])


def test_chatc_stops_waiting_when_told_but_the_message_goes_on(alice, bob):
    alice.exchange(bob)
    bob.stop()
    done = alice.chatc("send", "bob", "later", "--wait", "delivered", "--timeout", "1")
    assert done.rc == 6, done
    assert done.err.splitlines()[-1].startswith("chatc: Timeout: ")
    assert UUID.fullmatch(done.out.strip())
    bob.start()
    alice.wait_delivered("bob", [done.out.strip()])


def test_chatc_keeps_control_characters_off_the_terminal(alice, bob):
    alice.wait_delivered("bob", [alice.send("bob", "bell\x07 title\x1b]0;gotcha\x07 \x9b2J end")])
    leader, follower = pty.openpty()
    shown = bytearray()

    def read():
        try:
            while part := os.read(leader, 4096):
                shown.extend(part)
        except OSError:                         # EIO: the last writer is gone
            pass

    reader = threading.Thread(target=read)
    reader.start()
    done = subprocess.run([harness.CHATC, "history", "alice"], stdin=follower, stdout=follower,
                          stderr=follower, env=dict(bob.env, TERM="xterm-256color"),
                          timeout=DEADLINE)
    os.close(follower)
    reader.join()
    os.close(leader)
    assert done.returncode == 0
    assert b"end" in shown and b"gotcha" in shown
    assert b"\x07" not in shown and b"\x1b]" not in shown and b"\xc2\x9b" not in shown


def test_chatc_knows_its_verbs(alice):
    for args in (("help",), ("--help",), ("help", "send"), ("--version",)):
        done = alice.chatc(*args)
        assert done.rc == 0 and done.out, args
    for args in (("no-such-verb",), ("--no-such-option",), ("send", "bob"), ("send",),
                 ("history",), ("register",), ("send", "bob", "x", "--wait", "nonsense"),
                 ("history", "bob", "-n", "x")):
        done = alice.chatc(*args)
        assert done.rc == 2 and not done.out and done.err, (args, done)


# the desktop's tools

BUSCTL = ["busctl", "--user", "call", harness.NAME, harness.PATH, harness.NAME]


def test_busctl_and_gdbus_send_as_the_readme_says(alice, bob):
    readme = (harness.REPOSITORY / "README.md").read_text().replace("\\\n", " ")
    lines = re.findall(r"^[\s$]*((?:busctl|gdbus) .*Send\b.*)$", readme, re.MULTILINE)
    assert {line.split()[0] for line in lines} == {"busctl", "gdbus"}, lines
    for line in lines:
        done = subprocess.run(line, shell=True, env=alice.env, timeout=DEADLINE,
                              capture_output=True, text=True)
        assert done.returncode == 0 and UUID.search(done.stdout), (line, done)
    rows = alice.history("bob")
    assert len(rows) == len(lines)
    alice.wait_delivered("bob", [row["id"] for row in rows])


def test_busctl_sends_and_reads_the_state(alice, bob):
    done = subprocess.run([*BUSCTL, "Send", "ssa{sv}", "bob", "hi", "0"], env=alice.env,
                          timeout=DEADLINE, capture_output=True, text=True)
    assert done.returncode == 0, done
    sent = UUID.search(done.stdout).group()
    assert done.stdout == f's "{sent}"\n'
    alice.wait_delivered("bob", [sent])
    state = subprocess.run(["busctl", "--user", "get-property", harness.NAME, harness.PATH,
                            harness.NAME, "State"], env=alice.env, timeout=DEADLINE,
                           capture_output=True, text=True)
    assert state.stdout == 's "online"\n', state


def test_the_bus_starts_the_daemon_and_takes_it_along(lab, tracker):
    alice = lab.user("alice")
    (alice.bus.home / "services" / f"{harness.NAME}.service").write_text(
        f"[D-BUS Service]\nName={harness.NAME}\nExec={harness.P2PCHATD}\n")
    done = alice.chatc("register", "alice", "--no-password")
    assert done.rc == 0, done
    assert alice.chatc("status").rc == 0
    pid = alice.connection.call_sync(
        "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
        "GetConnectionUnixProcessID", harness.GLib.Variant("(s)", (harness.NAME,)), None,
        harness.Gio.DBusCallFlags.NONE, -1, None).unpack()[0]
    alice.bus.kill()
    harness.wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 60, "the daemon leaves too")
