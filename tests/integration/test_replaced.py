# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user sees of an account that moves from one device to another."""

import desktop
from harness import wait_until

PASSWORD = "correct horse"
TAKEN = ("anna is used on another device now",
         "What is here can still be read. If you have not done this, take the account back with "
         "chatc login, and change its password.")


def with_password(lab, user, verb):
    path = lab.directory / "password"
    path.write_text(PASSWORD + "\n")
    done = user.chatc(verb, "anna", "--password-file", path)
    assert done.rc == 0, done
    user.wait_state("online")
    return done.out


def test_who_was_replaced_hears_of_it_and_takes_the_account_back(lab):
    lab.tracker()
    phone, desk = lab.user("phone").start(), lab.user("desk").start()
    screen = desktop.Desktop(phone)
    try:
        with_password(lab, phone, "register")
        account, mark = phone.property("Account"), phone.mark()
        assert phone.chatc("create", "#tea").rc == 0
        assert with_password(lab, desk, "login").startswith("anna is used on this device now.")
        phone.wait_state("replaced")
        told = phone.wait_signal("SessionReplaced", since=mark)
        assert told.args[0]["account"] == account
        screen.wait(TAKEN)
    finally:
        screen.close()
    assert phone.property("Name") == "anna" and phone.property("Account") == account
    status = phone.chatc("status")
    assert status.rc == 4 and "'chatc login anna' moves it back" in status.err, status
    refused = phone.chatc("topic", "#tea", "green")
    assert refused.rc == 1 and "chatc: Replaced: " in refused.err, refused
    assert "#tea" in phone.chatc("rooms").out and phone.chatc("members", "#tea").rc == 0
    events, _ = phone.call("ListEvents", "tua{sv}", 0, 0, {})
    assert [e["event"] for e in events].count("SessionReplaced") == 1
    phone.restart()
    assert phone.property("State") == "replaced"
    assert phone.call("GetManagedObjects", "", interface="org.freedesktop.DBus.ObjectManager")
    mark = desk.mark()
    assert with_password(lab, phone, "login").startswith("anna is used on this device again.")
    desk.wait_signal("SessionReplaced", since=mark)
    assert desk.wait_state("replaced").property("Account") == account


QUESTION = ("Hand over what anna has here?",
            "The other device of the account waits for history, contacts and rooms.")


def two_devices(lab, config):
    """Anna's phone, which has written to bob, and her desk, where she logs in."""
    lab.tracker()
    phone, desk = lab.user("phone", config=config).start(), lab.user("desk").start()
    bob = lab.user("bob").join()
    with_password(lab, phone, "register")
    phone.wait_delivered("bob", [phone.send("bob", "from the phone")])
    bob.wait_delivered("anna", [bob.send("anna", "to the phone")])
    assert phone.chatc("create", "#tea").rc == 0
    with_password(lab, desk, "login")
    phone.wait_state("replaced")
    return phone, desk, bob


def check_handed_over(phone, desk):
    wait_until(lambda: phone.property("HandOver") == {} == desk.property("HandOver"),
               what="all is handed over")
    assert [m["text"] for m in desk.history("bob")] == ["from the phone", "to the phone"]
    assert desk.peer("bob")["contact"] and "#tea" in desk.chatc("rooms").out
    paths = desk.call("GetManagedObjects", "", interface="org.freedesktop.DBus.ObjectManager")
    assert len(paths) == 2                      # bob, and the room


def test_under_ask_nothing_goes_before_the_user_says_so(lab):
    phone, desk, _ = two_devices(lab, 'handover = "ask";')
    waits = wait_until(lambda: phone.property("HandOver").get("waiting") and phone.status())
    assert waits["hand-over"]["direction"] == "give"
    assert "waits until you let it go on: chatc accept anna" in phone.chatc("status").out
    wait_until(lambda: desk.property("HandOver").get("waiting"))
    row = next(r for r in desk.call("Doctor") if r["check"] == "hand-over")
    assert row["state"] == "warning" and desk.history("bob") == []
    mark = desk.mark()
    phone.restart()
    assert phone.property("HandOver")["waiting"]
    refused = desk.chatc("accept", "anna")
    assert refused.rc == 1 and "no hand-over waits on this device" in refused.err
    assert phone.chatc("accept", "anna").rc == 0
    check_handed_over(phone, desk)
    desk.wait_signal("PropertiesChanged", lambda _, new, __: "HandOver" in new, mark)
    assert phone.chatc("accept", "anna").rc == 1


def test_the_question_is_answered_on_the_desktop(lab):
    lab_user = lab.user
    screens = []

    def user(name, **more):
        made = lab_user(name, **more)
        if name == "phone":
            screens.append(desktop.Desktop(made))
        return made

    lab.user = user
    phone, desk, _ = two_devices(lab, 'handover = "ask";')
    screen, = screens
    try:
        asked, _ = screen.wait(QUESTION, TAKEN)
        assert asked.actions == {"choose": "Hand over"}
        screen.act(asked.id, "choose")
        check_handed_over(phone, desk)
        screen.wait(TAKEN)
    finally:
        screen.close()
