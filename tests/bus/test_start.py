# SPDX-License-Identifier: GPL-3.0-or-later
"""Where systemd runs: chatc starts the daemon by it, and asks it why that failed."""

import getpass
import pathlib

import pytest

from conftest import DEADLINE
from test_chatc import LOGGED_OUT, STATUS, failed, lines

MASKED = {"unit": {"LoadState": "masked", "UnitFileState": "masked", "PrivateUsers": False},
          "refuse": ["org.freedesktop.systemd1.UnitMasked", "Unit p2pchatd.service is masked."]}
FAILED_UNIT = {"ActiveState": "failed", "Result": "exit-code"}
SANDBOX = {"unit": {**FAILED_UNIT, "ExecMainStatus": 217}, "result": "failed"}
REFUSED = {"unit": {**FAILED_UNIT, "ExecMainStatus": 1}, "result": "failed"}
FAILED = {"unit": {**FAILED_UNIT, "Result": "signal", "ExecMainStatus": 1}, "result": "failed"}
RESOURCES = {"unit": {**FAILED_UNIT, "Result": "resources", "StateChangeTimestampMonotonic": 8,
                      "InactiveEnterTimestampMonotonic": 7}, "result": "failed"}
# It was refused before, and started five times in a row.
LIMIT = {"unit": {**REFUSED["unit"], "StateChangeTimestampMonotonic": 8,
                  "InactiveEnterTimestampMonotonic": 7}, "result": "failed"}
LIMIT_AFTER_SUCCESS = {"unit": {**FAILED_UNIT, "Result": "start-limit-hit"}, "result": "failed"}
DEPENDENCY = {"unit": REFUSED["unit"], "result": "dependency"}
VANISHED = {"result": "done"}


@pytest.fixture
def forbidden(private_bus):
    """What the bus itself would start; it is not to."""
    mark = private_bus.dir / "started"
    private_bus.install(f"/usr/bin/touch {mark}")
    yield
    assert not mark.exists()


def test_it_is_started_by_systemd(chatc, mock_systemd, forbidden):
    mock_systemd(starts={"answers": {"Status": STATUS}})
    for _ in range(2):
        result = chatc("status")
        assert (result.returncode, result.stderr) == (0, b"")


def test_a_daemon_that_runs_is_not_started(chatc, mock_systemd, mock_daemon, forbidden):
    mock_systemd(refuse=["org.freedesktop.DBus.Error.Failed", "who asks?"])
    mock_daemon(answers={"Status": STATUS})
    assert chatc("status").returncode == 0


@pytest.mark.parametrize("systemd, parts", [
    (MASKED, ["masked", "systemctl --user unmask p2pchatd"]),
    (SANDBOX, ["user namespaces are off", "mkdir -p ~/.config/systemd/user/p2pchatd.service.d; ",
               "/doc/p2pchat/examples/no-user-namespaces.conf "
               "~/.config/systemd/user/p2pchatd.service.d/; systemctl --user daemon-reload"]),
    (REFUSED, ["configuration", "/p2pchatd --check-config; ", "journalctl --user -u p2pchatd"]),
    (FAILED, ["systemctl --user status p2pchatd", "journalctl --user -u p2pchatd"]),
    (RESOURCES, ["systemctl --user status p2pchatd", "journalctl --user -u p2pchatd"]),
    (LIMIT, ["too often", "journalctl --user -u p2pchatd", "; systemctl --user reset-failed"]),
    (LIMIT_AFTER_SUCCESS, ["too often", "; systemctl --user reset-failed"]),
    (DEPENDENCY, ["systemctl --user --failed", "journalctl --user -u p2pchatd"]),
    (VANISHED, ["condition", "systemctl --user status p2pchatd"])],
    ids=["masked", "sandbox", "refused", "failed", "resources", "limit", "limit-after-success",
         "dependency", "vanished"])
def test_why_it_was_not_started(chatc, mock_systemd, forbidden, systemd, parts):
    mock_systemd(**systemd)
    for verb in (["status"], ["watch"], ["send", "bob", "hi", "--wait", "read"]):
        last = failed(chatc(*verb), 3, "StartFailed")
        for part in parts:
            assert part in last


def test_a_start_that_takes_long_is_not_a_failed_one(chatc, mock_systemd, forbidden):
    mock_systemd(unit={"ActiveState": "activating"}, hangs=True)
    running = chatc.start("doctor", "--json")
    out, err = running.communicate(timeout=2 * DEADLINE)    # chatc waits for as long as one
    last = err.decode().splitlines()[-1]
    assert running.returncode == 3 and last.startswith("chatc: NoAnswer: ")
    assert "still starting" in last and "systemctl --user status p2pchatd" in last
    unit, = (row for row in lines(out) if row["check"] == "unit")
    assert unit["state"] == "warning" and "starting" in unit["text"]


def test_a_systemd_without_the_unit(chatc, mock_systemd, private_bus):
    """Then the bus is asked: it may have a daemon of its own."""
    mock_systemd(unit={"LoadState": "not-found"},
                 refuse=["org.freedesktop.systemd1.NoSuchUnit", "Unit p2pchatd.service not found."])
    failed(chatc("status"), 3, "NotInstalled")
    private_bus.install("/bin/false")
    failed(chatc("status"), 3, "StartFailed")


def test_completion_starts_nothing(chatc, mock_systemd, forbidden):
    mock_systemd(starts={"peers": [{"name": "bob"}]})
    result = chatc("__complete", "--", "send", "b")
    assert (result.stdout, result.stderr) == (b"", b"")


# doctor

def hops(result):
    return {row["check"]: row for row in lines(result.stdout)}


def test_doctor_without_a_daemon(chatc, mock_systemd, forbidden):
    mock_systemd(**MASKED)
    result = chatc("doctor", "--json")
    last = failed(result, 3, "StartFailed")
    rows = hops(result)
    assert [(hop, row["state"]) for hop, row in rows.items()] == [
        ("bus", "ok"), ("unit", "failed"), ("daemon", "failed")]
    assert "masked" in rows["unit"]["text"]
    assert last == f"chatc: StartFailed: {rows['daemon']['text']}"


def test_doctor_without_user_namespaces(chatc, mock_systemd, forbidden):
    mock_systemd(**SANDBOX)
    result = chatc("doctor", "--json")
    failed(result, 3, "StartFailed")
    rows = hops(result)
    assert list(rows) == ["bus", "unit", "namespaces", "autostart", "daemon"]
    assert "user namespaces" in rows["unit"]["text"] and rows["autostart"]["state"] == "off"
    assert "no-user-namespaces.conf" in rows["daemon"]["text"]


@pytest.mark.parametrize("systemd, text", [
    (REFUSED, "refused"), (FAILED, "failed: signal"), (LIMIT, "too often")],
    ids=["refused", "failed", "limit"])
def test_doctor_shows_a_unit_that_failed(chatc, mock_systemd, forbidden, systemd, text):
    mock_systemd(**systemd)
    result = chatc("doctor", "--json")
    failed(result, 3, "StartFailed")
    row = hops(result)["unit"]
    assert row["state"] == "failed" and text in row["text"]


LINGERS = pathlib.Path("/var/lib/systemd/linger", getpass.getuser()).exists()


@pytest.mark.parametrize("file, state, advice", [
    ("disabled", "off", "systemctl --user enable p2pchatd"),
    ("enabled", "ok", "" if LINGERS else "loginctl enable-linger")])
def test_doctor_says_whether_it_starts_by_itself(
        chatc, mock_systemd, mock_daemon, file, state, advice):
    mock_systemd(unit={"UnitFileState": file})
    mock_daemon(answers={"Doctor": [{"check": "bus", "state": "ok", "text": "it works."}]})
    result = chatc("doctor", "--json")
    assert result.returncode == 0
    bus, row = lines(result.stdout)
    assert (bus["check"], row["check"], row["state"]) == ("bus", "autostart", state)
    assert advice in row.get("advice", "")
    assert result.stderr == b"" and b"autostart" in chatc("doctor").stdout


# The next steps of register

def test_register_names_the_lines_that_start_the_service(chatc, mock_systemd, mock_daemon):
    mock_daemon(answers={"Status": LOGGED_OUT})
    enable, linger = "systemctl --user enable p2pchatd ", "loginctl enable-linger "
    text = chatc("register", "alice", "--no-password").stdout.decode()
    assert enable in text and "where systemd runs" in text and linger not in text
    mock_systemd()
    text = chatc("register", "alice", "--no-password").stdout.decode()
    assert enable in text and linger in text and "where systemd runs" not in text
