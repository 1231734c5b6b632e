# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd shows to whoever looks after p2pchat: entries of the journal and status lines."""
import base64
import pathlib
import re
import types

import pytest

import boot
import net

TOP = pathlib.Path(__file__).resolve().parents[2]
IDS = dict(re.findall(r'#define EVENT_(\w+) "(\w+)"', (TOP / "daemon/events.h").read_text()))
NAMES = {ident: name for name, ident in IDS.items()}

TEXT = "the otter is in the boathouse"
ERROR, WARNING, INFO, DEBUG = "3", "4", "6", "7"


def configure(user, text):
    user.put(f"{user.home}/.config/p2pchat/p2pchatd.conf", text)
    return user.run("systemctl", "--user", "reload", "p2pchatd", check=False).returncode


def configure_tracker(box, text=""):
    box.put("/etc/p2pchat/p2pchat-tracker.conf", 'advertise = "127.0.0.1";\n' + text)
    return box.run("systemctl", "reload", "p2pchat-tracker", check=False).returncode


def status_becomes(show, pattern):
    boot.wait_until(lambda: re.fullmatch(pattern, show("StatusText")), f"a status like {pattern}")


def live(box):
    """Two people talk, others are refused; settings change, trackers come and go."""
    s = types.SimpleNamespace(box=box, status={})
    assert configure_tracker(box) == 0
    s.address = box.run("p2pchat-tracker", "--print-address").stdout.strip()
    s.alice, s.bob, s.carol = users = [box.add_user(name) for name in ("alice", "bob", "carol")]
    s.alice.systemctl("start", "p2pchatd")
    s.status["fresh"] = s.alice.show("StatusText")
    for user in s.alice, s.bob:
        user.chatc("register", user.name, "--no-password", "--tracker", s.address)
    s.alice.chatc("send", "--wait", "delivered", "bob", TEXT)
    status_becomes(s.alice.show, "online as alice, 1 link, 0 queued")
    s.accounts = {user.name: user.chatc("status", "--json").split('"account"')[1].split('"')[1]
                  for user in (s.alice, s.bob)}

    register = ("register", "--no-password", "--tracker", s.address)
    assert "NameTaken" in s.carol.chatc(*register, "alice", check=False)
    limits = "limits = { registrations-per-hour = 1; };\n"
    assert configure_tracker(box, limits) == 0
    assert "RateLimited" in s.carol.chatc(*register, "carol", check=False)
    assert configure_tracker(box, "limits = { connections = -1; };\n") != 0
    status_becomes(box.show, re.escape(s.address) + ": .*, 2 new names, 0 rooms with somebody in it; "
                   "the new configuration was refused, see the journal")
    assert configure_tracker(box, limits) == 0

    s.bob.systemctl("stop", "p2pchatd")
    s.alice.chatc("send", "bob", TEXT)
    status_becomes(s.alice.show, "online as alice, 0 links, 1 queued")
    assert configure(s.alice, "heartbeat = { interval = 45; };\n") == 0
    assert configure(s.alice, "heartbeat = { interval = what; };\n") != 0
    status_becomes(s.alice.show, "online as alice, 0 links, 1 queued; .*stays as it was.*")
    assert configure(s.alice, "heartbeat = { interval = 45; };\n") == 0

    box.systemctl("stop", "p2pchat-tracker.socket", "p2pchat-tracker.service")
    status_becomes(s.alice.show, "offline as alice, 0 links, 1 queued; Tracker .*")
    box.systemctl("start", "p2pchat-tracker")
    s.alice.chatc("doctor", check=False)            # whoever asks makes it try at once
    status_becomes(s.alice.show, "online as alice, 0 links, 1 queued")
    s.alice.chatc("logout")
    status_becomes(s.alice.show, "no account is logged in; chatc login alice")
    s.users = users
    return s


@pytest.fixture(scope="module", name="scene")
def scene_fixture(release, packages):
    """With an address, without which nobody can be found."""
    with net.Wire() as wire, boot.Box(release, netns=wire.ends[0]) as box:
        box.install(*packages.all())
        yield live(box)


def of_user(scene, user, *words):
    return scene.box.journal("_SYSTEMD_USER_UNIT=p2pchatd.service", f"_UID={user.uid}", *words)


def of_tracker(scene, *words):
    return scene.box.journal("_SYSTEMD_UNIT=p2pchat-tracker.service", *words)


def names(entries):
    return [NAMES[entry["MESSAGE_ID"]] for entry in entries if entry.get("MESSAGE_ID") in NAMES]


def last(entries, name):
    found = [entry for entry in entries if entry.get("MESSAGE_ID") == IDS[name]]
    assert found, f"{name} is not among {names(entries)}"
    return found[-1]


def test_a_fresh_daemon_says_what_to_do(scene):
    assert scene.status["fresh"] == "no account is logged in; chatc register NAME"


def test_events_of_the_daemon(scene):
    entries = of_user(scene, scene.alice)
    told = names(entries)
    order = ["STARTED", "TRACKER_REACHED", "LOGGED_IN", "CONFIG_CHANGED", "CONFIG_READ",
             "CONFIG_REFUSED", "TRACKER_LOST", "TRACKER_REACHED", "LOGGED_OUT"]
    for name in told:
        if order and name == order[0]:
            del order[0]
    assert not order, (order, told)

    login = last(entries, "LOGGED_IN")
    assert (login["P2PCHAT_NAME"], login["P2PCHAT_ACCOUNT"], login["PRIORITY"]) == \
        ("alice", scene.accounts["alice"], INFO)
    assert login["SYSLOG_IDENTIFIER"] == "p2pchatd" and login["_TRANSPORT"] == "journal"
    assert last(entries, "CONFIG_CHANGED")["P2PCHAT_CONFIG_KEY"] == "heartbeat.interval"
    refused = last(entries, "CONFIG_REFUSED")
    assert refused["PRIORITY"] == ERROR and "p2pchatd.conf:1" in refused["P2PCHAT_ERROR"]
    lost = last(entries, "TRACKER_LOST")
    assert (lost["PRIORITY"], lost["P2PCHAT_TRACKER"]) == (WARNING, scene.address)
    assert lost["P2PCHAT_STATE"] == "unreachable" and lost["P2PCHAT_ERROR"] in lost["MESSAGE"]
    assert last(entries, "LOGGED_OUT")["P2PCHAT_QUEUED"] == "1"
    assert last(of_user(scene, scene.bob), "STOPPED")["P2PCHAT_NAME"] == "bob"


def test_events_of_the_tracker(scene):
    entries = of_tracker(scene)
    assert last(entries, "NODE_STARTED")["P2PCHAT_TRACKER"] == scene.address
    assert scene.address in scene.box.show("StatusText")
    registered = {entry["P2PCHAT_NAME"]: entry for entry in entries
                  if entry.get("MESSAGE_ID") == IDS["NODE_REGISTERED"]}
    assert {name: entry["P2PCHAT_ACCOUNT"] for name, entry in registered.items()} == scene.accounts
    assert {entry["PRIORITY"] for entry in registered.values()} == {INFO}
    taken = last(entries, "NODE_NAME_REFUSED")
    assert (taken["P2PCHAT_NAME"], taken["P2PCHAT_CODE"]) == ("alice", "NameTaken")
    limited = last(entries, "NODE_RATE_LIMITED")
    assert (limited["P2PCHAT_NAME"], limited["PRIORITY"]) == ("carol", WARNING)
    assert limited["P2PCHAT_ADDRESS"]
    assert last(entries, "NODE_CONFIG_READ")["P2PCHAT_TRACKER"] == scene.address
    assert "connections" in last(entries, "NODE_CONFIG_REFUSED")["P2PCHAT_ERROR"]
    assert last(entries, "NODE_STOPPED")["P2PCHAT_REGISTRATIONS"] == "2"
    shown = [entry for entry in entries if "P2PCHAT_ADDRESS" in entry]
    assert {entry["MESSAGE_ID"] for entry in shown} == {IDS["NODE_RATE_LIMITED"]}


def test_events_are_found_by_their_fields(scene):
    found = scene.box.journal("P2PCHAT_NAME=alice", f"MESSAGE_ID={IDS['LOGGED_IN']}")
    assert [entry["MESSAGE"] for entry in found] == ["alice is logged in"]


def test_the_catalog_explains_them(scene):
    said = scene.box.run("journalctl", "--no-pager", "--catalog",
                         f"MESSAGE_ID={IDS['NODE_RATE_LIMITED']}").stdout
    assert "carol is not registered" in said
    assert "Subject: Too many new names from one address" in said
    assert "limits.registrations-per-hour" in said
    known = scene.box.run("journalctl", "--no-pager", "--list-catalog").stdout
    assert all(ident in known for ident in IDS.values())


def test_no_text_and_no_secret_is_in_the_journal(scene):
    everything = scene.box.run("journalctl", "--no-pager", "--all", "--output=export").stdout
    assert scene.address in everything
    secrets = [TEXT, base64.b64encode(TEXT.encode()).decode().rstrip("="), TEXT.encode().hex()]
    assert not [secret for secret in secrets if secret in everything]
    public = {*scene.accounts.values(), scene.address.split("#")[1], *NAMES}
    for entry in of_tracker(scene) + [e for user in scene.users for e in of_user(scene, user)]:
        for name, value in entry.items():
            if name == "MESSAGE" or name.startswith("P2PCHAT_"):
                long = set(re.findall(r"[A-Za-z0-9+=_-]{32,}", value)) - public
                assert not long or "P2PCHAT_ACCOUNT" in entry, (name, value)


def test_a_start_that_fails_is_found_with_its_unit(scene):
    scene.carol.systemctl("stop", "p2pchatd")
    scene.carol.put(f"{scene.carol.home}/.config/p2pchat/p2pchatd.conf", "broken")
    for number in range(1, 11):             # it ends as soon as it has said it
        scene.carol.run("systemctl", "--user", "start", "p2pchatd", check=False)
        told = names(of_user(scene, scene.carol))
        assert told.count("START_FAILED") == number, told
        scene.carol.systemctl("reset-failed", "p2pchatd")
    failed = last(of_user(scene, scene.carol), "START_FAILED")
    assert failed["PRIORITY"] == ERROR and "p2pchatd.conf:" in failed["P2PCHAT_ERROR"]


def test_nobody_waits_for_a_journal_that_does_not_read(scene):
    """More entries than its queue takes, while it stands still; then it learns how many it missed."""
    scene.bob.systemctl("start", "p2pchatd")
    room = int(scene.box.run("cat", "/proc/sys/net/unix/max_dgram_qlen").stdout)
    set_level = ("busctl --user set-property org.p2pchat.Chat1 /org/freedesktop/LogControl1 "
                 "org.freedesktop.LogControl1 LogLevel s ")
    two_entries = f"{set_level} debug && {set_level} info"
    scene.box.systemctl("kill", "--kill-whom=main", "--signal=SIGSTOP", "systemd-journald")
    try:
        scene.bob.run("sh", "-c", f"for i in $(seq {room + 100}); do {two_entries} || exit 1; done")
    finally:
        scene.box.systemctl("kill", "--kill-whom=main", "--signal=SIGCONT", "systemd-journald")

    def missing():
        scene.bob.run("sh", "-c", two_entries)
        return [entry for entry in of_user(scene, scene.bob)
                if re.match(r"The journal did not read: \d+ entries", entry["MESSAGE"])]

    boot.wait_until(missing, "the journal to be told what it missed")


def debug_lines(entries):
    return [entry for entry in entries if entry["PRIORITY"] == DEBUG]


def test_the_log_level_of_the_daemon_can_be_changed(scene):
    level = ("systemctl", "--user", "service-log-level", "p2pchatd.service")
    assert scene.alice.run(*level).stdout.strip() == "info"
    scene.alice.run(*level, "debug")
    assert scene.alice.run(*level).stdout.strip() == "debug"
    assert scene.alice.run(*level, "loud", check=False).returncode != 0
    scene.alice.run(*level, "info")


def test_the_log_level_of_the_tracker_can_be_changed(scene):
    assert not debug_lines(of_tracker(scene))

    def send(number):
        scene.box.systemctl("kill", "--kill-whom=main", f"--signal=SIGRTMIN+{number}",
                            "p2pchat-tracker")

    send(22)
    boot.wait_until(lambda: "The log level is debug now" in [
        entry["MESSAGE"] for entry in of_tracker(scene)], "the level to change")
    scene.bob.systemctl("restart", "p2pchatd")
    boot.wait_until(lambda: debug_lines(of_tracker(scene)), "a session that is shown")
    send(23)
    boot.wait_until(lambda: "The log level is info now" in [
        entry["MESSAGE"] for entry in of_tracker(scene)], "the level to change back")
