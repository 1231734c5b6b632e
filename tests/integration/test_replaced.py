# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user sees of an account that moves from one device to another."""

import desktop

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
