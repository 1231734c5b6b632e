# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of events, the catalogs of the journal and the manual pages say the same."""
import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ("p2pchatd", "p2pchat-tracker")
EVENTS = (TOP / "daemon/events.h").read_text()
SOURCES = "".join(path.read_text() for path in sorted((TOP / "daemon").rglob("*.c")))


def events(program):
    """Name → id."""
    part = EVENTS.split(f"/* {program} */")[1].split("/* p2pchat-tracker */")[0]
    return dict(re.findall(r'^#define EVENT_(\w+) "([0-9a-f]{32})"$', part, re.M))


def catalog(program):
    """Id → (the lines before the text, the text)."""
    text = (TOP / f"systemd/{program}.catalog").read_text()
    found = {}
    for entry in re.split(r"^-- ", text, flags=re.M)[1:]:
        ident, head, body = re.fullmatch(r"(\w+)\n(.*?)\n\n(.*)", entry, re.S).groups()
        assert ident not in found
        found[ident] = (head, body)
    return found


def man(program):
    return (TOP / f"docs/man/{program}.8").read_text().replace("\\-", "-")


def fields(text):
    return set(re.findall(r"P2PCHAT_\w+", text))


def test_ids_are_given_once():
    everything = re.findall(r'"([0-9a-f]{32})"', EVENTS)
    assert len(set(everything)) == len(everything) == sum(len(events(name)) for name in PROGRAMS)
    assert len(everything) == EVENTS.count("#define EVENT_")


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_event_is_explained_and_listed(program):
    assert events(program)
    assert set(catalog(program)) == set(events(program).values())
    listed = dict(re.findall(r"^\.B ([0-9a-f]{32})\n(.+)$", man(program), re.M))
    for name, ident in events(program).items():
        head, body = catalog(program)[ident]
        assert ident in listed, f"{program}(8) does not list {name}"
        assert re.match(r"Subject: .{8,}\nDefined-By: p2pchat\n"
                        rf"Documentation: man:{re.escape(program)}\(8\)$", head), head
        assert "@" not in head + body, "journalctl knows no variables with a digit in the name"
        assert body.strip() and max(map(len, body.splitlines())) <= 80
    assert set(listed) == set(events(program).values())


@pytest.mark.parametrize("program", PROGRAMS)
def test_fields_are_described(program):
    assert fields("".join(map("".join, catalog(program).values()))) <= fields(man(program))


def test_every_event_happens_and_every_field_is_described():
    for program in PROGRAMS:
        for name in events(program):
            assert re.search(rf"\bEVENT_{name}\b", SOURCES), f"{name} is never logged"
    used = fields(" ".join(re.findall(r'\{"(P2PCHAT_\w+)"', SOURCES)))
    assert used <= fields(EVENTS) | {"P2PCHAT_NOT_SHOWN"}
    assert used <= fields(man("p2pchatd")) | fields(man("p2pchat-tracker"))


def test_journalctl_takes_the_catalogs(tmp_path):
    database = tmp_path / "var/lib/systemd/catalog"
    source = tmp_path / "usr/lib/systemd/catalog"
    for path in (database, source):
        path.mkdir(parents=True)
    for program in PROGRAMS:
        name = f"{program}.catalog"
        (source / name).write_text((TOP / "systemd" / name).read_text())
    subprocess.run(["journalctl", f"--root={tmp_path}", "--update-catalog"], check=True)
    listed = subprocess.run(["journalctl", f"--root={tmp_path}", "--list-catalog"], check=True,
                            stdout=subprocess.PIPE, encoding="utf-8").stdout
    for program in PROGRAMS:
        for ident, (head, _) in catalog(program).items():
            subject = re.match("Subject: (.*)", head)[1]
            assert f"{ident} p2pchat: {subject}" in listed, listed
