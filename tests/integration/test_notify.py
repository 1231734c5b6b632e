# SPDX-License-Identifier: GPL-3.0-or-later
"""Notifications on the desktop: what is shown, when it goes, and what the user does with it."""
import os
import signal
import subprocess
import time

import pytest
from gi.repository import Gio, GLib

import desktop
from harness import Bus, Process, wait_until
from test_contacts import use_tracker
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


def notifications(user):
    """What the doctor says of them."""
    return next(row for row in user.call("Doctor") if row["check"] == "notifications")


def unread(user, other):
    return next(row["unread"] for row in user.list("ListConversations") if row["with"] == other)


class Patience:
    """Who failed is left alone for half a minute, however many rounds there are."""

    def __init__(self):
        self.begin = time.monotonic()

    def attempts(self):
        return 1 + int((time.monotonic() - self.begin) / 30)

    @staticmethod
    def wait_round():
        end = time.monotonic() + 1.1            # NOTIFIER_INTERVAL
        wait_until(lambda: time.monotonic() > end)


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


def test_messages_of_a_room_are_one_conversation(lab, alice, bob, screen):
    carol = lab.user("carol").join()
    alice.call("CreateRoom", "sa{sv}", "#r", {})
    for user in bob, carol:
        user.call("JoinRoom", "sa{sv}", "#r", {})
    say(bob, "first", "#r")
    first, = screen.wait(("bob in #r", "first"))
    last = say(carol, "second", "#r")
    second, = screen.wait(("carol in #r (2 unread)", "second"))
    assert second.id == first.id
    alice.call("MarkRead", "sa{sv}", last, {})
    screen.wait()
    say(bob, "third", "#r")
    shown, = screen.wait(("bob in #r", "third"))
    screen.act(shown.id)
    screen.wait()
    assert unread(alice, "#r") == 0


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


def test_goes_when_its_sender_is_blocked(alice, bob, screen):
    say(bob, "one")
    screen.wait(("bob", "one"))
    alice.call("Block", "sa{sv}", "bob", {})
    screen.wait()


def test_an_invitation_is_told(lab, alice, bob, screen):
    alice.exchange(bob)
    bob.call("CreateRoom", "sa{sv}", "#den", {"access": "hidden"})
    bob.call("Invite", "ssa{sv}", "#den", "alice", {})
    screen.wait(("bob invites you to #den", "Accept with chatc join, decline with chatc leave."))


def test_a_name_that_becomes_another_account_is_told(lab, alice, bob, screen):
    alice.exchange(bob)
    liar = lab.tracker("liar")
    lab.user("other", trackers=[liar.address()]).join("bob")
    use_tracker(alice, liar)
    screen.wait(("bob is not the account of that name any more",
                 "Another account has the name now. Nothing is sent by the name until you decide."))


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


def test_it_is_shown_once(lab, alice, bob, screen):
    carol = lab.user("carol").join()
    say(bob, "one")
    screen.wait(("bob", "one"))
    for text in "a", "b", "c":
        alice.exchange(carol, text)
        Patience.wait_round()
    say(carol, "hello")
    screen.wait(("bob", "one"), ("carol", "hello"))
    assert [shown.body for shown in screen.said] == ["one", "hello"]


def test_a_click_is_for_what_is_on_screen(alice, bob, screen):
    say(bob, "one")
    shown, = screen.wait(("bob", "one"))
    asked = screen.asked
    screen.does = "hangs"
    say(bob, "two")
    wait_until(lambda: screen.asked > asked, what="the next is on its way")
    screen.act(shown.id)
    alice.wait_signal("MessageStateChanged", lambda _id, _to, state, _more: state == "read")
    assert unread(alice, "bob") == 1


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


def test_what_is_on_its_way_at_the_end_goes_too(alice, bob, screen):
    screen.does = "holds"
    say(bob, "one")
    wait_until(lambda: screen.held, what="it is on its way")
    alice.popen.send_signal(signal.SIGTERM)
    wait_until(lambda: bob.status()["links"] == 0, what="the end of her links")
    screen.release()
    assert alice.wait_exit() == 0
    assert [shown.body for shown in screen.said] == ["one"]
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


def test_what_is_on_its_way_when_they_are_turned_off_goes_too(alice, bob, screen):
    screen.does = "holds"
    say(bob, "one")
    wait_until(lambda: screen.held, what="it is on its way")
    alice.configure("notify = { enabled = false; };")
    reload(alice)
    screen.release()
    screen.wait()
    assert [shown.body for shown in screen.said] == ["one"]


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


# The portal


def reply_parameters(text, *before):
    return [*before, GLib.Variant("a{sv}", {"activation-token": GLib.Variant("s", "t")}),
            GLib.Variant("s", text)]


@pytest.mark.parametrize("with_desktop", [False, True], ids=["alone", "beside"])
def test_the_portal_where_only_it_lets_one_reply(alice, bob, with_desktop):
    screen = desktop.Desktop(alice) if with_desktop else None
    portal = desktop.Portal(alice)
    wait_until(lambda: portal.registered == ["org.p2pchat.Chat"], what="it is asked")
    say(bob, "<dinner?>")
    shown, = portal.wait(("bob", "<dinner?>"))
    assert shown.actions == {"reply": ("Reply", "im.reply-with-text")}
    assert shown.hints["default-action"] == "default"
    assert shown.hints["category"] == "im.received"
    portal.act(shown.id, "reply", reply_parameters("at eight"))
    bob.wait_signal("MessageReceived", lambda _id, _who, _room, text, _more: text == "at eight")
    portal.wait()
    assert unread(alice, "bob") == 0
    say(bob, "or nine?")
    say(bob, "ten")
    shown, = portal.wait(("bob (2 unread)", "ten"))
    # With a place for the target that was not given.
    portal.act(shown.id, "reply", reply_parameters("ten", GLib.Variant("av", [])))
    bob.wait_signal("MessageReceived", lambda _id, _who, _room, text, _more: text == "ten")
    portal.wait()
    assert not screen or screen.said == []
    portal.close()
    say(bob, "without it")
    if screen:
        screen.wait(("bob", "without it"))
        screen.close()


def test_an_old_portal_is_for_where_there_is_nothing_else(alice, bob):
    portal = desktop.Portal(alice, version=1, registry=False)
    say(bob, "one")
    shown, = portal.wait(("bob", "one"))
    assert shown.actions == {} and "category" not in shown.hints
    say(bob, "two")
    screen = desktop.Desktop(alice)
    wait_until(lambda: "mock" in notifications(alice)["text"], what="it is asked")
    say(bob, "three")
    screen.wait(("bob (3 unread)", "three"))
    portal.wait()
    portal.close()
    screen.close()


def test_what_a_portal_may_not_do(alice, bob):
    portal, other = desktop.Portal(alice), desktop.Service(alice.bus, "org.example.Other")
    say(bob, "one")
    shown, = portal.wait(("bob", "one"))
    other.emit(desktop.PORTAL_PATH, desktop.PORTAL_INTERFACE, "ActionInvoked",
               GLib.Variant("(ssav)", (shown.id, "reply", reply_parameters("never said"))),
               portal.sender)
    portal.act("somebody", "reply", reply_parameters("to nobody"))
    portal.act(shown.id, "reply", [])
    portal.act(shown.id, "reply", [GLib.Variant("u", 7), GLib.Variant("(s)", ("x",))])
    portal.act(shown.id, "format", reply_parameters("the disk"))
    portal.act(shown.id, "default", [])
    portal.wait()
    assert unread(alice, "bob") == 0
    assert [m["text"] for m in alice.history("bob")] == ["one"]
    portal.close()
    other.close()


# A locked session


def test_no_texts_while_the_session_is_locked(machine, bob):
    eve, bus = machine
    login = desktop.Login(bus, os.getuid())
    eve.join()
    screen = desktop.Desktop(eve, [*desktop.CAPABILITIES, "inline-reply"])
    say(bob, "secret", to="eve")
    shown, = screen.wait(("bob", "secret"))
    login.lock()
    hidden, = screen.wait(("bob", "New message"))
    assert hidden.id == shown.id == hidden.replaced and hidden.actions == {}
    screen.signal("NotificationReplied", "(us)", hidden.id, "by somebody else")
    screen.signal("ActionInvoked", "(us)", hidden.id, "default")
    screen.wait(("bob", "New message"), ("Your reply was not sent", ""))
    say(bob, "another", to="eve")
    screen.wait(("bob (2 unread)", "New messages"), ("Your reply was not sent", ""))
    assert "another" not in [shown.body for shown in screen.said]
    assert "without texts, because the session is locked" in notifications(eve)["text"]
    login.lock(False)
    screen.wait(("bob (2 unread)", "another"), ("Your reply was not sent", "The session is locked."))
    assert [m["text"] for m in eve.history("bob")] == ["secret", "another"]
    screen.close()


def test_a_session_that_comes_and_goes(machine, bob):
    eve, bus = machine
    login = desktop.Login(bus, os.getuid(), locked=True, display=False)
    eve.join()
    screen = desktop.Desktop(eve)
    say(bob, "no session", to="eve")
    screen.wait(("bob", "no session"))
    login.set_display(True)
    screen.wait(("bob", "New message"))
    login.close()                               # as when it is started again
    screen.wait(("bob", "no session"))
    login = desktop.Login(bus, os.getuid(), locked=True)
    screen.wait(("bob", "New message"))
    bus.stop()
    screen.wait(("bob", "no session"))
    assert eve.status()["state"] == "online"
    screen.close()


def test_nothing_is_shown_before_logind_has_answered(machine, bob):
    eve, bus = machine
    eve.join().stop()
    bob.send("eve", "early")
    screen = desktop.Desktop(eve)
    login = desktop.Login(bus, os.getuid(), hangs=True)
    eve.start()                                 # from when on logind has ten seconds
    screen.wait(("bob", "New message"))
    login.close()
    screen.wait(("bob", "early"))
    screen.close()


def test_logind_is_asked_again_when_it_was_too_slow(machine, bob):
    eve, bus = machine
    login = desktop.Login(bus, os.getuid(), late=2)
    eve.join()
    wait_until(lambda: login.asked > 0, what="it is asked again")
    screen = desktop.Desktop(eve)
    login.lock()
    say(bob, "secret", to="eve")
    screen.wait(("bob", "New message"))
    login.lock(False)
    screen.wait(("bob", "secret"))
    screen.close()


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


def test_a_program_is_started_by_the_first_message_only(lab, tracker, bob):
    eve, starts = lab.user("eve"), lab.directory / "starts"
    (eve.bus.home / "services/notifications.service").write_text(
        f"[D-BUS Service]\nName={desktop.DESKTOP}\n"
        f"Exec=/bin/sh -c 'echo again >> {starts}; exit 1'\n")
    eve.bus.popen.send_signal(signal.SIGHUP)
    eve.join()
    assert notifications(eve)["state"] == "off"
    assert not starts.exists()
    patience = Patience()
    say(bob, "one", to="eve")
    wait_until(starts.exists, what="the attempt")
    for text in "two", "three":
        patience.wait_round()
        say(bob, text, to="eve")
    patience.wait_round()
    assert len(starts.read_text().splitlines()) <= patience.attempts()
    screen = desktop.Desktop(eve)
    screen.wait(("bob (3 unread)", "three"))
    assert "otification" not in eve.log()
    screen.close()


@pytest.mark.parametrize("does", ["hangs", "fails"])
def test_a_server_that_does_not_work(alice, bob, does):
    patience = Patience()
    bad = desktop.Desktop(alice, does=does)
    say(bob, "one")
    wait_until(lambda: bad.asked > 0, what="it is asked")
    for number in range(20):
        say(bob, f"more {number}")
        assert alice.status()["state"] == "online"
        if number % 5 == 0:
            patience.wait_round()
    # Once when it came, which is before there was anything to show.
    assert bad.asked <= 1 + patience.attempts()
    # How long it hangs is seen 25 s later, which is not waited for but may be over.
    assert alice.log().count("Notifications:") in ([1] if does == "fails" else [0, 1])
    assert "of the day" not in alice.log()
    bad.close()
    good = desktop.Desktop(alice)
    good.wait(("bob (21 unread)", "more 19"))
    good.close()


def test_a_server_that_hangs_later(alice, bob, screen):
    say(bob, "one")
    screen.wait(("bob", "one"))
    asked, patience = screen.asked, Patience()
    screen.does = "hangs"
    for number in range(10):
        say(bob, f"more {number}")
    assert screen.asked <= asked + patience.attempts()
    alice.restart()


def test_doctor(alice, bob):
    def check():
        return notifications(alice)

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


# A real one


class Dunst(Process):
    """Debian's dunst on a display of its own; it has no reply, but all that goes before."""

    def __init__(self, lab, user):
        super().__init__(lab.directory, "dunst", user.env)
        self.user = user
        self.display = None

    def start(self):
        if not self.display:
            self.display = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "Xvfb", "-displayfd", "1", "-nolisten", "tcp",
                 "-screen", "0", "640x480x24"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self.env = dict(self.env, DISPLAY=f":{self.display.stdout.readline().strip()}")
        config = self.directory / "dunstrc"
        config.write_text("[global]\nmarkup = full\n[urgency_normal]\ntimeout = 0\n")
        self.launch(["dunst", "-config", config], wait=False)
        wait_until(lambda: notifications(self.user)["text"].startswith("dunst "), what="dunst")
        return self

    def restart(self):
        self.stop()
        return self.start()

    def close(self):
        super().close()
        self.display.terminate()
        self.display.wait()

    def call(self, method, interface="org.dunstproject.cmd0", signature="()", *args):
        return self.user.connection.call_sync(
            desktop.DESKTOP, desktop.DESKTOP_PATH, interface, method, GLib.Variant(signature, args),
            None, Gio.DBusCallFlags.NO_AUTO_START, -1, None).unpack()

    def count(self):
        return self.call("Get", desktop.PROPERTIES, "(ss)", "org.dunstproject.cmd0",
                         "displayedLength")[0]

    def wait_count(self, number):
        wait_until(lambda: self.count() == number, what=f"{number} on the screen")

    def history(self):
        """Of those that were closed, the last one first."""
        return self.call("NotificationListHistory")[0]


def test_dunst(lab, alice, bob):
    dunst = lab.add(Dunst(lab, alice)).start()
    first = say(bob, "<b>dinner</b> & more?")
    dunst.wait_count(1)
    alice.call("MarkRead", "sa{sv}", first, {})
    dunst.wait_count(0)
    last = dunst.history()[0]
    assert (last["appname"], last["summary"], last["category"]) == ("p2pchat", "bob", "im.received")
    assert "body-markup" in notifications(alice)["text"]
    assert last["body"] == "&lt;b&gt;dinner&lt;/b&gt; &amp; more?"
    for text in "at eight", "or nine":
        say(bob, text)
    wait_until(lambda: unread(alice, "bob") == 2)
    dunst.wait_count(1)
    dunst.restart()
    dunst.wait_count(1)
    dunst.call("NotificationCloseLast")
    dunst.wait_count(0)
    assert dunst.history()[0]["summary"] == "bob (2 unread)"
    assert unread(alice, "bob") == 2
    say(bob, "or ten")
    dunst.wait_count(1)
    dunst.call("NotificationAction", "org.dunstproject.cmd0", "(u)", 0)
    wait_until(lambda: unread(alice, "bob") == 0, what="it is read")
    dunst.wait_count(0)
