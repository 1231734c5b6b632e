# SPDX-License-Identifier: GPL-3.0-or-later
"""The Debian packages: nothing that Debian's own tools find fault with, and all of it at its place."""
import re

import pytest

from trees import TOP

VERSION = re.search(r"version: '([^']+)'", (TOP / "meson.build").read_text())[1]
MAN = sorted(path.name for path in (TOP / "docs/man").iterdir())


@pytest.fixture(scope="module", name="files")
def files_fixture(box):
    """What the packages have installed."""
    return box.run("dpkg", "--listfiles", "p2pchat", "p2pchat-tracker").stdout.split()


def test_lintian_is_content(packages):
    assert (packages.folder / "lintian.log").read_text() == ""
    assert (packages.folder / "lintian.rc").read_text() == "0\n"


def test_the_metainfo_is_valid(box):
    said = box.run("appstreamcli", "validate", "--no-net", "--pedantic",
                   "/usr/share/metainfo/org.p2pchat.Chat.metainfo.xml").stdout
    assert not re.search("^[EW]:", said, re.MULTILINE), said


def test_the_desktop_entry_is_valid(box):
    assert box.run("desktop-file-validate",
                   "/usr/share/applications/org.p2pchat.Chat.desktop").stdout == ""


@pytest.mark.parametrize("name", MAN)
def test_groff_has_no_warning_for(name, box, files):
    page = next(path for path in files if path.endswith(f"/{name}.gz"))
    # The locale of a user; tables are what man(1) finds in the first line.
    said = box.run("sh", "-c", f"zcat {page} | groff -t -ww -man -Tutf8 -z").stdout
    assert said == ""
    assert box.run("man", "--where", page).stdout.strip() == page


def test_systemd_has_no_warning_for_the_units(box, files):
    units = [path for path in files if re.search(r"/systemd/(system|user)/.+\..+", path)]
    assert {"p2pchat-tracker.service", "p2pchat-tracker.socket", "p2pchatd.service"} <= {
        path.rpartition("/")[2] for path in units}
    someone = box.add_user("someone")
    for unit in units:
        if "/user/" in unit:
            assert someone.run("systemd-analyze", "--user", "verify", unit).stdout == ""
        else:
            assert box.run("systemd-analyze", "verify", unit).stdout == ""


def test_what_runs_after_the_installation(box):
    for unit in "p2pchat-tracker.service", "p2pchat-tracker.socket":
        assert box.systemctl("is-enabled", unit) == "enabled\n"
        assert box.systemctl("is-active", unit) == "active\n"
    # A user's daemon is started by who needs it.
    everybody = box.run("systemctl", "--global", "is-enabled", "p2pchatd.service", check=False)
    assert everybody.stdout == "disabled\n"
    assert box.run("pgrep", "--exact", "p2pchatd", check=False).returncode == 1
    assert box.systemctl("is-system-running") == "running\n"


@pytest.mark.parametrize("program", ["chatc", "p2pchat-tracker", "/usr/libexec/p2pchatd"])
def test_the_version_of(program, box):
    assert VERSION in box.run(program, "--version").stdout


def test_configuration_is_the_administrators(box):
    for package, file in ("p2pchat", "p2pchatd"), ("p2pchat-tracker", "p2pchat-tracker"):
        known = box.run("dpkg-query", "--show", "--showformat=${Conffiles}", package).stdout
        assert [line.split()[0] for line in known.strip().splitlines()] == [
            f"/etc/p2pchat/{file}.conf"]


@pytest.mark.parametrize("shell", [
    ("bash", "-c", ". /usr/share/bash-completion/completions/chatc && complete -p chatc"),
    ("zsh", "-fc", "autoload -Uz compinit && compinit -D && print $_comps[chatc]"),
    ("fish", "-c", "complete --do-complete 'chatc sen'"),
], ids=lambda words: words[0])
def test_completion_is_where_a_shell_looks(shell, box):
    assert re.search("_chatc|^send", box.run(*shell).stdout)
