# SPDX-License-Identifier: GPL-3.0-or-later
"""chatc chat as its user sees it: on a terminal, and with lines that come from elsewhere."""
import json
import os
import re
import signal
import subprocess

import pytest

import harness
from harness import wait_until
from terminal import Terminal

HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\x08\x7f\x9b31m\u202egnp\u2066\t\u2028" + "end"
SHOWN = r"\u001b[2J\u001b]0;owned\u0007\r\u0008\u007f\u009b31m\u202egnp\u2066\t\u2028end"


@pytest.fixture
def open_chat(lab):
    """A terminal of this user's on which the conversation is open."""
    def start(user, other, *options, width=80, height=24, command=None, **env):
        terminal = Terminal(lab, user, width, height, **env)
        terminal.enter(command or f"{harness.CHATC} {' '.join(options)} chat {other}")
        terminal.see("[" + other if width >= 40 else "> ")
        return terminal

    return start


def said(terminal, text):
    """The rows that hold this, of those that have left the window too."""
    return [row for row in terminal.all_rows() if text in row]


def wait_marked(terminal, text, mark):
    def look():
        return any(re.search(rf"^\d\d:\d\d {mark} *\w+: {re.escape(text)}", row)
                   for row in terminal.all_rows())

    wait_until(look, what=f"{text!r} has the mark {mark}")


def test_two_people_talk(alice, bob, open_chat):
    alice.exchange(bob, "said before")
    bob.exchange(alice, "and answered")
    mine, theirs = open_chat(alice, "bob"), open_chat(bob, "alice")
    for terminal in (mine, theirs):
        wait_until(lambda t=terminal: [row.split(": ")[1] for row in t.rows() if ": " in row] == [
            "said before", "and answered"], what="what was said before")
    mine.enter("hi there")
    theirs.see("alice: hi there")
    wait_marked(mine, "hi there", "✓✓")         # it was on his screen
    assert alice.history("bob")[-1]["state"] == "read"
    assert bob.list("ListConversations")[0]["unread"] == 0
    theirs.enter("hello")
    mine.see("bob: hello")
    mine.see_last("[bob]")
    assert len(said(mine, "hi there")) == 1


def test_what_becomes_of_a_message(alice, bob, open_chat):
    alice.exchange(bob)
    bob.kill()
    mine = open_chat(alice, "bob")
    mine.see("offline")
    mine.enter("are you there?")
    wait_marked(mine, "are you there?", "[·^]")
    bob.start()
    wait_marked(mine, "are you there?", "✓ ")
    mine.see("* bob is online")
    bob.call("MarkRead", "sa{sv}", bob.history("alice")[-1]["id"], {})
    wait_marked(mine, "are you there?", "✓✓")
    assert len(said(mine, "are you there?")) == 1
    bob.kill()
    mine.see("* bob is offline")
    message = alice.send("bob", "from another window")
    alice.call("Cancel", "sa{sv}", message, {})
    mine.see("from another window")
    wait_marked(mine, "from another window", "✗")


def test_the_line_that_is_typed_stays_as_it_is(alice, bob, open_chat):
    alice.exchange(bob)
    mine = open_chat(alice, "bob")
    mine.type("half a lne")
    mine.press("Left", "Left")
    mine.see_last("[bob] half a lne")
    wait_until(lambda: mine.cursor()[0] == 14)
    for number in range(30):
        bob.send("alice", f"message {number}")
    mine.see("message 29")
    mine.see_last("[bob] half a lne")
    wait_until(lambda: mine.cursor() == (14, len(mine.rows()) - 1), what="the cursor is in it")
    mine.type("i")
    mine.see_last("[bob] half a line")
    assert len([row for row in mine.all_rows() if "half a" in row]) == 1
    mine.press("Enter")
    wait_until(lambda: bob.history("alice")[-1]["text"] == "half a line", what="it arrives whole")
    mine.press("Up")                            # what was said is at hand, and edited
    mine.see_last("[bob] half a line")
    mine.press("C-c")
    mine.see_last("[bob]")


def test_a_long_line_and_a_small_window(alice, bob, open_chat):
    alice.exchange(bob)
    mine = open_chat(alice, "bob", width=60, height=12)
    words = " ".join(f"word{n:02}" for n in range(40))
    mine.type(words)
    mine.see("word39")
    typed = [row for row in mine.rows() if "word" in row]
    assert "".join(typed).replace(" ", "") == "[bob]" + words.replace(" ", "")
    bob.send("alice", "in between " + "x" * 100)
    mine.see("bob: in between")
    wait_until(lambda: [row for row in mine.rows() if "word" in row] == typed, what="it is as it was")
    for size in ((30, 20), (100, 10), (44, 30)):
        mine.resize(*size)
        wait_until(lambda: "".join(row.strip() for row in mine.rows()).replace(" ", "").endswith(
            "]" + words.replace(" ", "")) or "".join(mine.rows()).replace(" ", "").endswith(
            ">" + words.replace(" ", "")), what=f"it is whole in a window of {size}")
        for text in ("word00", "in between"):
            wait_until(lambda t=text: len([row for row in mine.rows() if t in row]) == 1,
                       what=f"{text!r} is there once")
        assert all(len(row) <= size[0] for row in mine.rows())
    mine.press("Enter")
    wait_until(lambda: bob.history("alice")[-1]["text"] == words, what="it arrives whole")
    wait_marked(mine, "word00", "✓")


def test_who_is_writing(alice, bob, open_chat):
    alice.exchange(bob)
    bob.exchange(alice)
    mine, theirs = open_chat(alice, "bob"), open_chat(bob, "alice")
    mine.type("hm")
    theirs.see_last("[alice is writing]")
    mine.press("BSpace", "BSpace")
    theirs.see_last("[alice]")
    mine.type("well")
    theirs.see_last("[alice is writing]")
    mine.press("Enter")
    theirs.see("alice: well")
    theirs.see_last("[alice]")
    since = bob.mark()
    mine.enter("/users")
    mine.see("* bob, online")
    mine.type("a")
    bob.wait_signal("TypingChanged", since=since)
    mine.press("C-c")
    bob.wait_signal("TypingChanged", lambda who, on, _: not on, since=since)
    assert [e.args[1] for e in bob.signals("TypingChanged", since=since)] == [True, False]
    mine.type("going")
    theirs.see_last("[alice is writing]")
    os.kill(mine.foreground(), signal.SIGTERM)
    theirs.see_last("[alice]")


def test_what_was_said_elsewhere(alice, bob, open_chat):
    """More than a page is unread, and another program of one's own speaks too."""
    alice.exchange(bob)
    bob.wait_delivered("alice", [bob.send("alice", f"number {n};") for n in range(70)])
    mine = open_chat(alice, "bob")
    mine.see("number 69;")
    assert [len(said(mine, f"number {n};")) for n in range(70)] == [1] * 70
    wait_until(lambda: alice.list("ListConversations")[0]["unread"] == 0, what="all were read")
    bob.kill()
    mine.see_last("[bob, offline]")
    assert alice.chatc("--quiet", "send", "bob", "from another window").rc == 0
    wait_marked(mine, "from another window", "[·^]")
    assert len(said(mine, "number 69;")) == 1


def test_who_does_not_look_has_not_read(alice, bob, open_chat):
    alice.exchange(bob)
    mine = open_chat(alice, "bob")
    bob.send("alice", "one")
    wait_until(lambda: bob.history("alice")[-1]["state"] == "read", what="it was on the screen")
    mine.type("\x1b[O")                         # as a terminal says that the focus is elsewhere
    mine.wait_read()
    bob.wait_delivered("alice", [bob.send("alice", "two")])
    mine.see("bob: two")
    bob.exchange(alice, "three")
    mine.see("bob: three")
    assert [m["state"] for m in bob.history("alice")[-2:]] == ["delivered"] * 2
    assert alice.list("ListConversations")[0]["unread"] == 2
    mine.type("\x1b[I")
    wait_until(lambda: bob.history("alice")[-1]["state"] == "read", what="it was looked at")
    mine.type("\x1b[O")
    mine.wait_read()
    bob.exchange(alice, "four")
    mine.see("bob: four")
    mine.type("y")                              # who types looks
    wait_until(lambda: bob.history("alice")[-1]["state"] == "read", what="it was looked at")
    mine.see_last("[bob] y")


def test_commands(alice, bob, open_chat):
    alice.exchange(bob)
    mine = open_chat(alice, "bob")
    for command, answer in (("/users", "* bob, online"), ("/nothing", "there is no command /nothing"),
                            ("/leave", "* /leave is for rooms"), ("/delete", "* /delete is for rooms"),
                            ("/help", "/quit: end, as Ctrl-D does"), ("/quit now", "stands alone")):
        mine.enter(command)
        mine.see(answer)
    mine.enter("//usr is a folder")
    wait_until(lambda: bob.history("alice")[-1]["text"] == "/usr is a folder", what="a slash is sent")
    mine.type("/he")
    mine.press("Tab")
    mine.see_last("[bob] /help")
    mine.press("C-c")
    mine.see_last("[bob]")
    assert [m["text"] for m in bob.history("alice")] == ["hi", "/usr is a folder"]
    mine.type("/quit\rexpr 6 \\* 7\n")         # the rest is the shell's
    mine.see("42")
    assert bob.history("alice")[-1]["text"] == "/usr is a folder"


def test_what_is_refused(alice, open_chat):
    mine = open_chat(alice, "nobody")
    mine.see("nobody of this name is known here yet")
    mine.enter("hello")
    mine.see("* not sent: UnknownPeer: ")
    wait_marked(mine, "hello", "✗")
    mine.enter("x" * 10)
    wait_marked(mine, "x" * 10, "✗")


def test_hostile_text(alice, bob, open_chat):
    alice.exchange(bob)
    mine = open_chat(alice, "bob")
    title = mine.tmux("display-message", "-p", "#{pane_title}").stdout
    bob.send("alice", HOSTILE)
    bob.send("alice", "one\n12:00    alice: forged\n" + " " * 71 + "12:00    alice: forged too")
    mine.see("forged too")
    rows = mine.rows()
    flat = "".join(row.strip() for row in rows)
    assert SHOWN in flat and "bob: hi" not in flat and "alice: hi" in flat
    assert mine.tmux("display-message", "-p", "#{pane_title}").stdout == title
    for row in rows:
        assert not re.match(r"\d\d:\d\d \W* *alice: forged", row), row
    mine.paste("\x1b]0;owned\x07pasted\x9b31m text")
    mine.see_last("[bob] ]0;ownedpasted31m text")
    assert mine.tmux("display-message", "-p", "#{pane_title}").stdout == title


def test_pasting_several_lines(alice, bob, open_chat):
    alice.exchange(bob)
    mine = open_chat(alice, "bob")
    mine.paste("one\ntwo\n\nthree\n")
    mine.see("three")
    assert len(bob.history("alice")) == 1
    mine.press("Enter")
    wait_until(lambda: bob.history("alice")[-1]["text"] == "one\ntwo\n\nthree", what="one message")
    assert len(bob.history("alice")) == 2
    mine.see("alice: one")
    wait_until(lambda: [row.strip() for row in mine.rows()[-4:]] == ["two", "", "three", "[bob]"],
               what="its rows")


def test_a_service_that_restarts_in_the_middle(alice, bob, open_chat):
    alice.exchange(bob)
    mine = open_chat(alice, "bob")
    ids = [bob.send("alice", f"number {n};") for n in range(10)]
    mine.see("number 9;")
    mine.type("half")
    mine.see_last("[bob] half")
    for again in range(3):
        alice.kill() if again else alice.stop()
        mine.see_last("[bob, p2pchatd stopped] half")
        ids += [bob.send("alice", f"number {len(ids) + n};") for n in range(5)]
        mine.type(f"{again}")
        mine.press("Enter")
        mine.see(f"…  alice: half{again}")       # nobody has taken it yet
        mine.type("half")
        alice.start()
        mine.see(f"number {len(ids) - 1};")
        mine.see_last("[bob] half")
        wait_until(lambda: f"half{again}" in [m["text"] for m in bob.history("alice")])
    for number in range(len(ids)):
        assert len(said(mine, f"number {number};")) == 1
    for again in range(3):
        assert len(said(mine, f"alice: half{again}")) == 1
        assert [m["text"] for m in bob.history("alice")].count(f"half{again}") == 1
        wait_marked(mine, f"half{again}", "✓")
    assert len(said(mine, "p2pchatd is back")) == 3
    wait_until(lambda: bob.list("ListOutbox") == [], what="all were taken")
    wait_until(lambda: alice.list("ListConversations")[0]["unread"] == 0, what="all were read")


def settings(terminal, name):
    path = terminal.directory / name
    terminal.enter(f"stty -a > {path}.part; mv {path}.part {path}")
    wait_until(path.exists, what="stty -a")
    return path.read_text()


@pytest.mark.parametrize("way, status", [
    (["/quit", "Enter"], 0), (["C-d"], 0), (["C-c", "C-c"], 0),
    (signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGHUP, 128 + signal.SIGHUP),
    (signal.SIGQUIT, 128 + signal.SIGQUIT)], ids=str)
def test_the_terminal_is_left_as_it_was(lab, alice, bob, way, status):
    alice.exchange(bob)
    mine = Terminal(lab, alice)
    before = settings(mine, "before")
    mine.enter(f"ulimit -c 0; {harness.CHATC} chat bob; echo status=$?")
    mine.see("[bob]")
    mine.type("half")
    mine.see_last("[bob] half")
    if isinstance(way, list):
        mine.press("C-c")
        mine.see_last("[bob]")
        for keys in way:
            mine.press(keys)
    else:
        os.kill(mine.foreground(), way)
    mine.see(f"status={status}")
    assert settings(mine, "after") == before
    assert not [row for row in mine.rows() if "half" in row], "nothing of it stays behind"


def test_stopping_and_going_on(lab, alice, bob):
    alice.exchange(bob)
    mine = Terminal(lab, alice)
    before = settings(mine, "before")
    mine.enter(f"{harness.CHATC} chat bob")
    mine.see("[bob]")
    mine.type("half")
    mine.see_last("[bob] half")                 # what is not read yet goes with Ctrl-Z
    mine.press("C-z")
    mine.see_last("$")
    assert settings(mine, "stopped") == before
    bob.send("alice", "while you were away")
    mine.enter("fg")
    mine.see_last("[bob] half")
    mine.see("while you were away")
    mine.press("C-c")
    mine.see_last("[bob]")
    mine.press("C-d")
    mine.see_last("$")


def test_without_colours(alice, bob, open_chat):
    alice.exchange(bob)
    with_colours = open_chat(alice, "bob").raw()
    assert re.search("\x1b\\[[0-9;]*3[1-6]m.*alice", with_colours)
    plain = open_chat(alice, "bob", "--no-color", name="no-color").raw()
    asked = open_chat(alice, "bob", name="asked", NO_COLOR="1").raw()
    for screen in (plain, asked):
        assert "alice: " in screen and "\x1b[" not in screen


def test_a_room(lab, alice, bob):
    alice.exchange(bob)
    assert alice.chatc("create", "#den", "--topic", "bears").rc == 0
    alice.send("#den", "who is there?")
    assert bob.chatc("join", "#den").rc == 0
    mine, theirs = Terminal(lab, alice), Terminal(lab, bob)
    for terminal in (mine, theirs):
        terminal.enter(f"{harness.CHATC} chat '#den'; echo status=$?")
        terminal.see("* bears; 2 members")
        terminal.see("alice: who is there?")    # what was said before he came
    mine.enter("hi all")
    theirs.see("alice: hi all")
    theirs.type("ye")
    mine.see_last("[#den, bob is writing]")
    mine.enter("/users")
    mine.see("* alice, owner, online")
    mine.see("bob, member, online")
    theirs.type("s")
    theirs.press("Enter")
    mine.see("bob: yes")
    mine.see_last("[#den]")
    wait_marked(mine, "hi all", "✓✓")           # all have seen it
    mine.enter("/topic honey")
    theirs.see("* alice changed the topic: honey")
    theirs.enter("/delete")                     # who cannot do it is not asked
    theirs.see("* NotOwner: ")
    assert not said(theirs, "cannot be undone")
    theirs.enter("/leave")
    theirs.see("status=0")
    mine.see("* bob left")
    mine.enter("/leave")
    mine.see("* NotAllowed: ")
    mine.enter("/delete")
    mine.see("cannot be undone")
    mine.enter("no")
    mine.see("* #den stays")
    mine.enter("/delete")
    wait_until(lambda: len([row for row in mine.rows() if "cannot be undone" in row]) == 2)
    mine.enter("#den")
    mine.see("status=0")


def test_another_room_of_that_name(lab, alice, bob):
    """What is typed is for the room that is on the screen, whatever else has its name here."""
    carol = lab.user("carol").join()
    assert alice.chatc("create", "#den").rc == 0
    assert bob.chatc("join", "#den").rc == 0
    alice.send("#den", "in the old one")
    wait_until(lambda: bob.history("#den"), what="bob has it")
    assert alice.chatc("delete", "#den").rc == 0
    bob.wait_signal("RoomChanged", lambda _room, what, _more: what == "deleted")
    assert carol.chatc("create", "#den").rc == 0
    assert bob.chatc("join", "#den").rc == 0
    terminal = Terminal(lab, bob)
    terminal.enter(f"{harness.CHATC} chat '#den'; echo status=$?")
    terminal.see("* 2 members")
    assert carol.chatc("kick", "#den", "bob").rc == 0
    terminal.see("* you were removed")
    terminal.enter("who hears this?")
    terminal.see("* not sent: NotMember: You were removed from #den")
    terminal.enter("/users")
    terminal.see(", owner")                     # of who is not in it, not all is known
    terminal.enter("/delete")
    terminal.see("* NotOwner: #den~")
    assert "in the old one" not in "\n".join(terminal.rows())
    terminal.enter("/quit")
    terminal.see("status=0")


def test_a_room_that_nobody_knows(lab, alice):
    terminal = Terminal(lab, alice)
    terminal.enter(f"{harness.CHATC} chat '#nowhere'; echo status=$?")
    terminal.see("* no room called #nowhere is known here; /join looks for it")
    terminal.enter("/join")
    terminal.see("* UnknownRoom: Nobody who could be asked")
    terminal.press("C-d")
    terminal.see("status=0")


# Lines from elsewhere

def test_lines_from_a_pipe(alice, bob):
    alice.exchange(bob)
    done = alice.chatc("chat", "bob", stdin="one\n\n/users is no command here\nthree")
    assert done == (0, "", "")
    assert [m["text"] for m in alice.history("bob")] == ["hi", "one", "/users is no command here",
                                                         "three"]
    done = alice.chatc_json("chat", "bob", stdin="four\n")
    assert alice.history("bob")[-1]["id"] == done[0]["id"]
    done = alice.chatc("chat", "nobody", stdin="five\nsix\n")
    assert done.rc == 5 and done.out == "" and done.err.startswith("chatc: UnknownPeer: ")
    done = alice.chatc("chat", "bob", stdin="x" * 70000)
    assert done.rc == 1 and done.err.startswith("chatc: TooLong: ")
    done = alice.chatc("chat", "bob", stdin=b"a\0b\n")
    assert done.rc == 1 and done.err.startswith("chatc: InvalidArgs: ")
    done = alice.chatc("chat", "No Name", stdin="a\n")
    assert done.rc == 1 and done.err.startswith("chatc: BadName: ")
    alice.stop()
    done = alice.chatc("chat", "bob", stdin="a\n")
    assert done.rc == 3 and done.err.startswith("chatc: NotInstalled: ")


def test_lines_in_and_out(alice, bob):
    alice.exchange(bob)
    with subprocess.Popen([harness.CHATC, "--json", "chat", "bob"], env=alice.env, text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as chat:
        chat.stdin.write("hello\n")
        chat.stdin.flush()
        sent = json.loads(chat.stdout.readline())["id"]
        states = [json.loads(chat.stdout.readline())]
        while states[-1]["state"] not in harness.DELIVERED:
            states.append(json.loads(chat.stdout.readline()))
        assert {state["id"] for state in states} == {sent}
        alice.restart()
        text = bob.send("alice", "after the restart")
        while (event := json.loads(chat.stdout.readline()))["event"] != "MessageReceived":
            pass
        assert event["id"] == text and event["text"] == "after the restart"
        chat.stdin.write("last")
        rest, errors = chat.communicate(timeout=harness.DEADLINE)
        assert chat.returncode == 0
        assert errors == ("chatc: p2pchatd stopped; waiting until it is back\n"
                          "chatc: p2pchatd is back\n")
        assert alice.history("bob")[-1]["text"] == "last"
