# SPDX-License-Identifier: GPL-3.0-or-later
"""Where chatc takes passwords from, and what it takes for none."""

import json
import os
import signal
import termios

import pytest

from terminal import finish, on_terminal, read_until
from test_chatc import ERROR, failed


def test_register_with_password(chatc, mock_daemon, tmp_path):
    daemon = mock_daemon()
    (tmp_path / "password").write_bytes("  pässwörd \nsecond line\n".encode())
    (tmp_path / "unended").write_bytes(b"secret")
    (tmp_path / "long").write_bytes(b"x" * 5000)
    (tmp_path / "zero").write_bytes(b"a\0b\n")
    (tmp_path / "latin").write_bytes(b"p\xe4ss\n")
    (tmp_path / "empty").write_bytes(b"")
    assert chatc("register", "a", "--password-file", tmp_path / "password").returncode == 0
    assert chatc("register", "a", "--password-file", tmp_path / "unended").returncode == 0
    assert chatc("register", "a", "--password-file", "-", stdin=b"stdin\n").returncode == 0
    assert [c[1][1] for c in daemon.calls("Register")] == ["  pässwörd ", "secret", "stdin"]
    failed(chatc("register", "a", "--password-file", tmp_path / "long"), 1, "BadPassword")
    failed(chatc("register", "a", "--password-file", tmp_path / "zero"), 1, "BadPassword")
    failed(chatc("register", "a", "--password-file", tmp_path / "latin"), 1, "InvalidArgs")
    failed(chatc("register", "a", "--password-file", tmp_path / "none"), 1, "InvalidArgs")
    failed(chatc("register", "a", "--password-file", tmp_path), 1, "InvalidArgs")
    failed(chatc("register", "a", "--password-file", tmp_path / "empty"), 1, "BadPassword")
    failed(chatc("register", "a", "--password-file", "-", stdin=b""), 1, "BadPassword")
    assert len(daemon.calls("Register")) == 3


def test_register_asks_twice_without_echo(chatc, mock_daemon):
    daemon = mock_daemon()
    pid, fd = on_terminal(chatc, "register", "alice")
    seen = b""
    for answer in (b"first-1", b"other-2", b"right-3", b"right-3"):
        seen += read_until(fd, b": ")
        os.write(fd, answer + b"\n")
    rest, status = finish(pid, fd)
    assert status == 0, seen + rest
    assert daemon.calls("Register")[0][1][1] == "right-3"
    for answer in (b"first-1", b"other-2", b"right-3"):
        assert answer not in seen + rest


def test_register_gives_up_on_two_passwords_that_differ(chatc, mock_daemon):
    daemon = mock_daemon()
    pid, fd = on_terminal(chatc, "register", "alice")
    seen = b""
    for number in range(6):
        seen += read_until(fd, b": ")
        os.write(fd, b"never-%d\n" % number)
    rest, status = finish(pid, fd)
    assert status == 1 and b"chatc: BadPassword: the two passwords were not the same." in rest
    assert b"never-" not in seen + rest
    assert daemon.calls("Register") == []


def test_a_password_that_is_too_long_is_refused(chatc, mock_daemon):
    daemon = mock_daemon()
    pid, fd = on_terminal(chatc, "register", "alice")
    read_until(fd, b": ")
    os.write(fd, b"x" * 2000 + b"\n")
    rest, status = finish(pid, fd)
    assert status == 1 and b"chatc: BadPassword: " in rest and b"xxx" not in rest
    assert daemon.calls("Register") == []


@pytest.mark.parametrize("typed", [b"\x04", b"begun\x04\x04"])
def test_the_end_of_input_is_no_password(chatc, mock_daemon, typed):
    """Neither an empty one nor what was typed so far; Ctrl-D in a line ends only what is read at once."""
    daemon = mock_daemon(password="secret")
    for verb, prompt in (("register", b"account: "), ("login", b"Password: ")):
        pid, fd = on_terminal(chatc, verb, "alice")
        read_until(fd, prompt)
        os.write(fd, typed)
        rest, status = finish(pid, fd)
        assert status == 1 and b"begun" not in rest
        assert rest.startswith(b"\r\nchatc: BadPassword: ") and b"ended" in rest
    assert daemon.calls("Register") == []
    assert daemon.calls("Login") == [["Login", ["alice", "", {}]]]


def test_the_end_of_input_instead_of_the_second_time(chatc, mock_daemon):
    daemon = mock_daemon()
    pid, fd = on_terminal(chatc, "register", "alice")
    read_until(fd, b": ")
    os.write(fd, b"\n")  # an empty password, which the second one must not equal
    read_until(fd, b"again: ")
    os.write(fd, b"\x04")
    rest, status = finish(pid, fd)
    assert status == 1 and b"chatc: BadPassword: " in rest
    assert daemon.calls("Register") == []


def test_a_terminal_that_goes_is_no_password(chatc, mock_daemon):
    daemon = mock_daemon()
    pid, fd = on_terminal(chatc, "register", "alice")
    read_until(fd, b": ")
    os.close(fd)
    _, status = os.waitpid(pid, 0)
    # The kernel wakes who reads from it, and then sends the signal: either may be noticed first.
    assert os.waitstatus_to_exitcode(status) in (-signal.SIGHUP, 1)
    assert daemon.calls("Register") == []


def test_interrupted_question_restores_the_terminal(chatc, mock_daemon):
    daemon = mock_daemon()
    pid, fd = on_terminal(chatc, "register", "alice")
    read_until(fd, b": ")
    assert not termios.tcgetattr(fd)[3] & termios.ECHO
    os.write(fd, b"\x03")
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGINT
    assert termios.tcgetattr(fd)[3] & termios.ECHO
    os.close(fd)
    assert daemon.calls("Register") == []


def test_login(chatc, mock_daemon):
    daemon = mock_daemon(password="secret")
    failed(chatc("login", "alice"), 1, "BadPassword")
    result = chatc("login", "alice", "--password-file", "-", "--tracker", "t:1#k", stdin=b"secret\n")
    assert result.returncode == 0 and b"alice" in result.stdout
    assert daemon.calls("Login") == [
        ["Login", ["alice", "", {}]], ["Login", ["alice", "secret", {"tracker": "t:1#k"}]]]


def test_login_on_a_new_device_asks_at_once(chatc, mock_daemon):
    daemon = mock_daemon(answers={"Status": {"state": "logged-out"}},
                         errors={"Login": [ERROR + "NotLoggedIn", "no account is kept here"]})
    failed(chatc("login", "alice"), 4, "NotLoggedIn")
    daemon.set(errors={})
    pid, fd = on_terminal(chatc, "login", "alice")
    seen = read_until(fd, b"Password: ")
    os.write(fd, b"secret\n")
    rest, status = finish(pid, fd)
    assert status == 0 and b"secret" not in seen + rest
    assert daemon.calls("Login")[1:] == [["Login", ["alice", "secret", {}]]]


@pytest.mark.parametrize("status, said", [
    ({"state": "logged-out"}, "alice is used on this device now. History, contacts and rooms follow"),
    ({"state": "replaced", "name": "alice"}, "alice is used on this device again."),
    ({"state": "logged-out", "kept": "alice"}, "alice is logged in on this device."),
    ({"state": "online", "name": "alice"}, "alice is logged in on this device.")])
def test_login_says_where_the_account_was(chatc, mock_daemon, status, said):
    mock_daemon(answers={"Status": status})
    assert chatc("login", "alice").stdout.decode().startswith(said)
    assert chatc("--quiet", "login", "alice").stdout == b""
    assert json.loads(chatc("--json", "login", "alice").stdout) == {"name": "alice"}


def test_login_without_password_asks_nothing(chatc, mock_daemon):
    daemon = mock_daemon()
    pid, fd = on_terminal(chatc, "login", "alice")
    seen, status = finish(pid, fd)
    assert status == 0 and b"assword" not in seen
    assert daemon.calls("Login") == [["Login", ["alice", "", {}]]]


def test_login_asks_on_a_terminal(chatc, mock_daemon):
    daemon = mock_daemon(password="secret")
    pid, fd = on_terminal(chatc, "login", "alice")
    seen = read_until(fd, b"Password: ")
    os.write(fd, b"secret\n")
    rest, status = finish(pid, fd)
    assert status == 0 and b"BadPassword" not in seen + rest and b"secret" not in seen + rest
    assert daemon.calls("Login")[-1][1][1] == "secret"


def test_passwd(chatc, mock_daemon, tmp_path):
    daemon = mock_daemon(answers={"Status": {"password": True}})
    (tmp_path / "old").write_text("old secret\n")
    done = chatc("passwd", "--old-password-file", tmp_path / "old", "--password-file", "-",
                 stdin=b"new secret\n")
    assert done.returncode == 0 and b"changed" in done.stdout
    daemon.set(answers={})
    assert chatc("passwd", "--password-file", "-", stdin=b"new secret\n").returncode == 0
    failed(chatc("passwd", "--old-password-file", "-", "--password-file", "-"), 2, "Usage")
    failed(chatc("passwd", "now"), 2, "Usage")
    failed(chatc("passwd"), 2, "Usage")
    assert daemon.calls("ChangePassword") == [
        ["ChangePassword", ["old secret", "new secret", {}]],
        ["ChangePassword", ["", "new secret", {}]]]


HERE = {"name": "alice", "state": "online"}


def delete_on_terminal(chatc, *answers):
    pid, fd = on_terminal(chatc, "delete-account")
    seen = b""
    for answer in answers:
        seen += read_until(fd, b": ")
        os.write(fd, answer + b"\n")
    rest, status = finish(pid, fd)
    return seen + rest, status


def test_delete_account(chatc, mock_daemon, tmp_path):
    daemon = mock_daemon(answers={"Status": {**HERE, "password": True}})
    (tmp_path / "secret").write_text("a secret\n")
    done = chatc("delete-account", "--yes", "--password-file", tmp_path / "secret")
    assert done.returncode == 0
    assert done.stdout == b"alice is deleted. Nothing of it is left on this device.\n"
    failed(chatc("delete-account"), 2, "Usage")
    failed(chatc("delete-account", "--yes"), 2, "Usage")
    failed(chatc("delete-account", "alice"), 2, "Usage")
    daemon.set(answers={"Status": HERE})
    assert chatc("delete-account", "--yes", "--quiet").stdout == b""
    assert daemon.calls("DeleteAccount") == [
        ["DeleteAccount", ["a secret", {}]], ["DeleteAccount", ["", {}]]]
    daemon.set(errors={"DeleteAccount": [ERROR + "BadPassword", "the password is wrong"]})
    failed(chatc("delete-account", "--yes"), 1, "BadPassword")
    daemon.set(answers={"Status": {"state": "logged-out"}})
    failed(chatc("delete-account", "--yes"), 4, "NotLoggedIn")


def test_delete_account_asks_for_the_name_and_the_password(chatc, mock_daemon):
    daemon = mock_daemon(answers={"Status": {**HERE, "password": True}})
    seen, status = delete_on_terminal(chatc, b"Alice", b"a-secret-1")
    assert status == 0 and b"a-secret-1" not in seen and b"at the tracker" in seen
    assert daemon.calls("DeleteAccount") == [["DeleteAccount", ["a-secret-1", {}]]]


@pytest.mark.parametrize("typed", [b"", b"bob", b"yes", b"alice "])
def test_delete_account_deletes_nothing_unless_the_name_is_typed(chatc, mock_daemon, typed):
    daemon = mock_daemon(answers={"Status": HERE})
    seen, status = delete_on_terminal(chatc, typed)
    assert status == 1 and b"chatc: NotDeleted: " in seen
    assert daemon.calls("DeleteAccount") == []


def test_delete_account_on_a_device_that_was_replaced(chatc, mock_daemon):
    daemon = mock_daemon(answers={"Status": {**HERE, "state": "replaced", "password": True}})
    seen, status = delete_on_terminal(chatc, b"alice")
    assert status == 0 and b"stays in use on the other device" in seen
    assert b"is used on the other one as before" in seen
    assert daemon.calls("DeleteAccount") == [["DeleteAccount", ["", {}]]]


def test_passwd_asks_without_echo(chatc, mock_daemon):
    daemon = mock_daemon(answers={"Status": {"password": True}})
    pid, fd = on_terminal(chatc, "passwd")
    seen = b""
    for answer in (b"old-one-1", b"new-one-2", b"new-one-2"):
        seen += read_until(fd, b": ")
        os.write(fd, answer + b"\n")
    rest, status = finish(pid, fd)
    assert status == 0 and b"-one-" not in seen + rest
    assert daemon.calls("ChangePassword") == [["ChangePassword", ["old-one-1", "new-one-2", {}]]]
