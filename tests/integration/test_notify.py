# SPDX-License-Identifier: GPL-3.0-or-later
"""Notifications on the desktop: what is shown, when it goes, and what the user does with it."""
import pytest

import desktop
from harness import wait_until
from test_reload import reload


@pytest.fixture(name="screen")
def screen_fixture(alice):
    server = desktop.Desktop(alice)
    yield server
    server.close()


def say(sender, text, to="alice"):
    number = sender.send(to, text)
    sender.wait_delivered(to, [number])
    return number


def unread(user, other):
    return next(row["unread"] for row in user.list("ListConversations") if row["with"] == other)


def test_one_for_each_conversation(lab, alice, bob, screen):
    carol = lab.user("carol").join()
    say(bob, "first")
    first, = screen.wait(("bob", "first"))
    assert first.replaced == 0
    assert first.hints == {"desktop-entry": "org.p2pchat.Chat", "category": "im.received", "urgency": 1}
    assert first.actions == {"default": "Mark as read"}
    for text in "second", "third":
        say(bob, text)
    say(carol, "hello")
    both = screen.wait(("bob (3 unread)", "third"), ("carol", "hello"))
    assert both[0].id == first.id == both[0].replaced
    assert both[1].replaced == 0
    assert {shown.hints["desktop-entry"] for shown in screen.said} == {"org.p2pchat.Chat"}


def test_goes_when_it_was_read_or_answered_elsewhere(alice, bob, screen):
    ids = [say(bob, text) for text in ("one", "two", "three")]
    screen.wait(("bob (3 unread)", "three"))
    alice.call("MarkRead", "sa{sv}", ids[0], {})
    screen.wait(("bob (2 unread)", "three"))
    alice.call("MarkRead", "sa{sv}", ids[2], {})
    screen.wait()
    say(bob, "four")
    screen.wait(("bob", "four"))
    alice.exchange(bob)
    screen.wait()
    assert unread(alice, "bob") == 1
    say(bob, "five")
    screen.wait(("bob (2 unread)", "five"))


def test_closing_it_is_not_reading(alice, bob, screen):
    say(bob, "one")
    shown, = screen.wait(("bob", "one"))
    screen.dismiss(shown.id)
    say(bob, "two")
    again, = screen.wait(("bob (2 unread)", "two"))
    assert again.replaced == 0 and again.id != shown.id
    assert unread(alice, "bob") == 2


def test_clicking_on_it_is_reading(alice, bob, screen):
    say(bob, "one")
    shown, = screen.wait(("bob", "one"))
    screen.act(shown.id)
    screen.wait()
    assert unread(alice, "bob") == 0


def test_goes_with_the_daemon_and_with_the_account(alice, bob, screen):
    say(bob, "one")
    screen.wait(("bob", "one"))
    alice.call("Logout")
    screen.wait()
    alice.call("Login", "ssa{sv}", "alice", "", {})
    alice.wait_state("online")
    say(bob, "two")
    screen.wait(("bob (2 unread)", "two"))
    alice.stop()
    screen.wait()


def test_strangers_who_ask_are_not_announced(lab, bob):
    dave = lab.user("dave", 'contacts = { accept = "ask"; };').join()
    screen = desktop.Desktop(dave)
    say(bob, "buy this", to="dave")
    dave.wait_signal("MessageReceived")
    dave.exchange(bob)                          # which accepts him
    say(bob, "sorry", to="dave")
    screen.wait(("bob (2 unread)", "sorry"))
    assert [shown.body for shown in screen.said] == ["sorry"]
    screen.close()


@pytest.mark.parametrize("capabilities, expected", [
    (("body", "body-markup", "actions"), "&lt;b&gt;&quot;a&quot; &amp;&amp; &#39;b&#39;&lt;/b&gt;"),
    (("body",), "<b>\"a\" && 'b'</b>"),
])
def test_markup_is_escaped_where_it_would_be_read(alice, bob, capabilities, expected):
    screen = desktop.Desktop(alice, capabilities)
    say(bob, "<b>\"a\" && 'b'</b>")
    shown, = screen.wait(("bob", expected))
    assert bool(shown.actions) == ("actions" in capabilities)
    screen.close()


def test_what_a_text_cannot_do_there(alice, bob, screen):
    say(bob, "a\x1b[2J\u009bb\u202egnp.exe\u2066 \u2028line\ttab\r\n\x7f")
    screen.wait(("bob", "a [2J bgnp.exe \nline tab \n "))
    say(bob, "ü" * 30000)
    screen.wait(("bob (2 unread)", "ü" * 300 + "…"))


def test_hidden_texts_and_none_at_all(alice, bob, screen):
    say(bob, "secret")
    screen.wait(("bob", "secret"))
    alice.configure("notify = { show-text = false; };")
    reload(alice)
    hidden, = screen.wait(("bob", "New message"))
    assert hidden.actions == {}
    say(bob, "another")
    screen.wait(("bob (2 unread)", "New messages"))
    alice.configure("notify = { enabled = false; };")
    reload(alice)
    screen.wait()
    ids = [say(bob, "unheard")]
    alice.wait_signal("MessageReceived", lambda number, *_: number == ids[0])
    alice.configure("")
    reload(alice)
    say(bob, "heard")
    screen.wait(("bob (4 unread)", "heard"))
    assert "unheard" not in [shown.body for shown in screen.said]


# Answers


@pytest.fixture(name="kde")
def kde_fixture(alice):
    server = desktop.Desktop(alice, [*desktop.CAPABILITIES, "inline-reply"])
    yield server
    server.close()


def last_text(user, other):
    return user.history(other)[-1]["text"]


def test_a_reply_reaches_the_peer(alice, bob, kde):
    say(bob, "dinner?")
    shown, = kde.wait(("bob", "dinner?"))
    assert shown.actions == {"default": "Mark as read", "inline-reply": "Reply"}
    assert shown.hints["x-kde-reply-placeholder-text"] == "Reply to bob"
    kde.reply(shown.id, "at eight; \u202e<b>")
    bob.wait_signal("MessageReceived", lambda _id, who, _room, text, _more:
                    (who, text) == ("alice", "at eight; \u202e<b>"))
    kde.wait()
    assert unread(alice, "bob") == 0


def test_a_reply_that_cannot_be_sent_is_told(alice, bob, kde):
    say(bob, "dinner?")
    shown, = kde.wait(("bob", "dinner?"))
    kde.reply(shown.id, "x" * 70000)
    wait_until(lambda: any(title == "Your reply to bob was not sent" and
                           body.startswith("The text has 70000 bytes; at most 65,536 fit into a "
                                           "message.\nxxx") for title, body in kde.now()),
               what="the failure is told")
    assert last_text(alice, "bob") == "dinner?"
    assert ("bob", "dinner?") in kde.now()


def test_who_is_not_the_server_is_not_listened_to(alice, bob, kde):
    say(bob, "dinner?")
    shown, = kde.wait(("bob", "dinner?"))
    other = desktop.Desktop(alice, own=False)
    target = kde.sender
    for member, signature, *args in (
            ("NotificationReplied", "(us)", shown.id, "I was never here"),
            ("ActionInvoked", "(us)", shown.id, "default"),
            ("NotificationClosed", "(uu)", shown.id, 2)):
        other.signal(member, signature, *args)
        other.signal(member, signature, *args, to=target)
    # Neither are what is not ours, nor what makes no sense.
    for number in 0, shown.id + 1, 0xffffffff:
        kde.signal("NotificationReplied", "(us)", number, "nor this")
        kde.signal("ActionInvoked", "(us)", number, "default")
        kde.signal("NotificationClosed", "(uu)", number, 2)
    kde.signal("NotificationReplied", "(ss)", "7", "form")
    kde.signal("NotificationReplied", "(us)", shown.id, "")
    kde.signal("ActionInvoked", "(us)", shown.id, "reboot")
    kde.signal("Unheard", "(us)", shown.id, "default")
    kde.reply(shown.id, "the real one")
    bob.wait_signal("MessageReceived")
    assert [m["text"] for m in alice.history("bob")] == ["dinner?", "the real one"]
    other.close()


# Servers that are not there, and bad ones


def test_what_is_unread_when_a_server_comes(lab, alice, bob):
    carol = lab.user("carol").join()
    for number in range(5):
        say(bob, f"to be seen {number}")
    seen = say(carol, "to be read")
    alice.call("MarkRead", "sa{sv}", seen, {})
    screen = desktop.Desktop(alice)
    screen.wait(("bob (5 unread)", "to be seen 4"))
    assert len(screen.said) == 1
    screen.close()
    again = desktop.Desktop(alice)
    shown, = again.wait(("bob (5 unread)", "to be seen 4"))
    assert shown.replaced == 0
    again.close()
    assert "otification" not in alice.log()


@pytest.mark.parametrize("does", ["hangs", "fails"])
def test_a_server_that_does_not_work(alice, bob, does):
    bad = desktop.Desktop(alice, does=does)
    say(bob, "one")
    wait_until(lambda: bad.asked > 0, what="it is asked")
    for number in range(20):
        say(bob, f"more {number}")
        assert alice.status()["state"] == "online"
    assert bad.asked <= 2
    assert alice.log().count("Notifications:") == (does == "fails")
    assert "secret" not in alice.log()
    bad.close()
    good = desktop.Desktop(alice)
    good.wait(("bob (21 unread)", "more 19"))
    good.close()


def test_a_server_that_hangs_later(alice, bob, screen):
    say(bob, "one")
    screen.wait(("bob", "one"))
    asked = screen.asked
    screen.does = "hangs"
    for number in range(10):
        say(bob, f"more {number}")
    assert screen.asked <= asked + 1
    alice.restart()


def test_doctor(alice, bob):
    def check():
        return next(row for row in alice.call("Doctor") if row["check"] == "notifications")

    assert check()["state"] == "off" and "Nothing that shows notifications" in check()["text"]
    bad = desktop.Desktop(alice, does="fails")
    wait_until(lambda: check()["state"] == "warning")
    bad.close()
    screen = desktop.Desktop(alice)
    wait_until(lambda: check()["state"] == "ok")
    assert check()["text"] == "mock?[2J 1.0 shows new messages (actions, body, body-markup)."
    alice.configure("notify = { show-text = false; };")
    reload(alice)
    wait_until(lambda: "shows new messages without texts (" in check()["text"])
    alice.configure("notify = { enabled = false; };")
    reload(alice)
    wait_until(lambda: (check()["state"], check()["text"]) == ("off", "notify.enabled is false."))
    screen.close()
