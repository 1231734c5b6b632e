# SPDX-License-Identifier: GPL-3.0-or-later
"""meson install puts everything where it belongs, below the prefix it was given and nowhere else."""
import os
import pathlib
import re
import shutil
import subprocess
from xml.etree import ElementTree

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
VERSION = re.search(r"version: '([^']+)'", (TOP / "meson.build").read_text())[1]

PROGRAM, DATA = 0o755, 0o644
COMMON = {
    "bin/chatc": PROGRAM,
    "lib/systemd/catalog/p2pchat-tracker.catalog": DATA,
    "lib/systemd/catalog/p2pchatd.catalog": DATA,
    "libexec/p2pchatd": PROGRAM,
    "sbin/p2pchat-tracker": PROGRAM,
    "share/applications/org.p2pchat.Chat.desktop": DATA,
    "share/bash-completion/completions/chatc": DATA,
    "share/dbus-1/interfaces/org.p2pchat.Chat1.Peer.xml": DATA,
    "share/dbus-1/interfaces/org.p2pchat.Chat1.Room.xml": DATA,
    "share/dbus-1/interfaces/org.p2pchat.Chat1.xml": DATA,
    "share/dbus-1/services/org.p2pchat.Chat1.service": DATA,
    "share/doc/p2pchat/examples/no-user-namespaces.conf": DATA,
    "share/fish/vendor_completions.d/chatc.fish": DATA,
    "share/man/man1/chatc.1": DATA,
    "share/man/man5/org.p2pchat.Chat1.5": DATA,
    "share/man/man5/p2pchat-tracker.conf.5": DATA,
    "share/man/man5/p2pchatd.conf.5": DATA,
    "share/man/man8/p2pchat-tracker.8": DATA,
    "share/man/man8/p2pchatd.8": DATA,
    "share/metainfo/org.p2pchat.Chat.metainfo.xml": DATA,
    "share/zsh/site-functions/_chatc": DATA,
}
CONFIGURATION = {"p2pchat/p2pchat-tracker.conf": DATA, "p2pchat/p2pchatd.conf": DATA}
UNITS = {"user": ("p2pchatd.service", "p2pchatd-home.service"),
         "system": ("p2pchat-tracker.service", "p2pchat-tracker.socket")}


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          encoding="utf-8", **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


def below(top, files):
    return {f"{top}/{name}": mode for name, mode in files.items()}


def files_in(destination):
    return {str(path.relative_to(destination)): path.stat().st_mode & 0o7777
            for path in destination.rglob("*") if not path.is_dir()}


def unit_dir(kind):
    """Where systemd.pc of this system has units of this kind, or the usual place without it."""
    done = subprocess.run(["pkg-config", f"--variable=systemd{kind}unitdir", "systemd"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
                          encoding="utf-8")
    return done.stdout.strip().lstrip("/") or f"usr/lib/systemd/{kind}"


@pytest.fixture(scope="module", name="build")
def build_fixture(tmp_path_factory):
    build = tmp_path_factory.mktemp("install") / "build"
    run("meson", "setup", "--buildtype=plain", "-Dtests=false", "--prefix=/usr",
        "--libexecdir=libexec", build, TOP)
    run("ninja", "-C", build)
    return build


def install(build, destination):
    run("meson", "install", "-C", build, "--no-rebuild", "--quiet",
        env={**os.environ, "DESTDIR": str(destination)}, umask=0o077)
    return destination


@pytest.fixture(scope="module", name="installed")
def installed_fixture(build, tmp_path_factory):
    return install(build, tmp_path_factory.mktemp("usr"))


def test_files_and_modes_of_a_system_installation(installed):
    expected = {**below("usr", COMMON), **below("etc", CONFIGURATION),
                **{f"{unit_dir(kind)}/{unit}": DATA for kind in UNITS for unit in UNITS[kind]}}
    assert files_in(installed) == expected


@pytest.mark.parametrize("program", ["bin/chatc", "libexec/p2pchatd", "sbin/p2pchat-tracker"])
def test_programs_run_from_there(installed, program):
    assert VERSION in run(installed / "usr" / program, "--version")


def test_the_version_is_the_same_everywhere():
    metainfo = ElementTree.parse(TOP / "conf/org.p2pchat.Chat.metainfo.xml")
    releases = [release.get("version") for release in metainfo.iter("release")]
    changelog = re.search(r"\((.*)\)", (TOP / "debian/changelog").read_text())[1]
    assert (releases[0], changelog) == (VERSION, VERSION)
    assert re.findall("^## (.*)", (TOP / "NEWS.md").read_text(), re.MULTILINE) == releases


def test_activation_and_units_name_what_was_installed(installed):
    files = {path.name: path.read_text() for path in installed.rglob("*.service")}
    assert "ExecStart=/usr/libexec/p2pchatd\n" in files["p2pchatd.service"]
    assert "ExecStart=/usr/sbin/p2pchat-tracker\n" in files["p2pchat-tracker.service"]
    activation = files["org.p2pchat.Chat1.service"]
    assert "Exec=/usr/libexec/p2pchatd\n" in activation
    assert "SystemdService=p2pchatd.service\n" in activation


def verified(unit, tmp_path):
    """What systemd-analyze says of a unit. For an ordinary user it needs a place to write and user
    mode, in which DynamicUser= has no meaning and is refused from 257 on."""
    command = ["systemd-analyze", "verify", "--man=no"]
    if os.geteuid() == 0:
        return run(*command, unit)
    unit.write_text(unit.read_text().replace("DynamicUser=yes\n", ""))
    return run(*command, "--user", unit,
               env={**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)})


def test_systemd_finds_nothing_wrong_with_the_units(installed, tmp_path):
    assert shutil.which("systemd-analyze")
    units = [tmp_path / path.name for path in installed.rglob("systemd/*/p2pchat*.s*")]
    for path in installed.rglob("systemd/*/p2pchat*.s*"):     # it wants the programs to exist
        (tmp_path / path.name).write_text(re.sub(
            "^(Exec(Start|Reload)=)/usr", rf"\1{installed}/usr", path.read_text(),
            flags=re.MULTILINE))
    assert len(units) == 4
    for unit in units:
        said = verified(unit, tmp_path)
        assert unit.name not in said, said


def test_another_prefix_keeps_everything_below_it(build, tmp_path):
    run("meson", "configure", "-Dprefix=/opt/p2pchat", build)
    run("ninja", "-C", build)
    expected = {**COMMON, **below("etc", CONFIGURATION),
                **{f"lib/systemd/{kind}/{unit}": DATA for kind in UNITS for unit in UNITS[kind]}}
    destination = install(build, tmp_path)
    assert files_in(destination) == below("opt/p2pchat", expected)
    unit = destination / "opt/p2pchat/lib/systemd/user/p2pchatd.service"
    assert "ExecStart=/opt/p2pchat/libexec/p2pchatd\n" in unit.read_text()
