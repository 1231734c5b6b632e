# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that cannot start says why, in a sentence, and leaves what it finds as it is."""
import os
import subprocess

import pytest

from harness import DEADLINE, P2PCHATD, TRACKER, free_port


def start(lab, *argv, **environment):
    """Of a program that ends by itself: exit status, output, what it said."""
    done = subprocess.run(argv, env={**lab.base_env(), **environment}, timeout=DEADLINE,
                          capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_the_state_is_in_the_home_directory(lab, tmp_path):
    """Without a bus it gets no further, and the directory is its own alone."""
    environment = {"HOME": str(tmp_path), "XDG_STATE_HOME": "relative",
                   "DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/none"}
    rc, _, said = start(lab, P2PCHATD, **environment)
    assert rc == 1 and "session bus cannot be reached" in said, said
    assert (tmp_path / ".local/state/p2pchat").stat().st_mode & 0o777 == 0o700
    rc, _, said = start(lab, P2PCHATD, **{**environment, "HOME": ""})
    assert rc == 1 and "set HOME or XDG_STATE_HOME" in said, said


@pytest.mark.parametrize("program", [P2PCHATD, TRACKER], ids=["daemon", "tracker"])
def test_a_state_directory_that_cannot_be(lab, tmp_path, program):
    (tmp_path / "file").write_text("mine")
    rc, _, said = start(lab, program, "--state-dir", tmp_path / "file" / "state")
    assert rc == 1 and "Not a directory" in said, said
    assert (tmp_path / "file").read_text() == "mine"


def test_keys_of_a_tracker(lab, tmp_path):
    state, config = tmp_path / "state", tmp_path / "conf"
    config.write_text(f'listen = ( "127.0.0.1:{free_port()}" );\n')
    command = [TRACKER, "--config", config, "--state-dir", state]
    rc, address, _ = start(lab, *command, "--print-address")
    assert rc == 0 and address.startswith("127.0.0.1:")
    key = (state / "key").read_bytes()
    with open("/dev/full", "w") as full:
        done = subprocess.run([*command, "--print-address"], env=lab.base_env(), stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=DEADLINE)
    assert done.returncode == 1 and "cannot write the address: No space left" in done.stderr

    (state / "key").write_bytes(key[:-1])
    for arguments in ([], ["--print-address"]):
        rc, out, said = start(lab, *command, *arguments)
        assert rc == 1 and out == "" and "is damaged: restore it from a backup" in said, said
    assert (state / "key").read_bytes() == key[:-1]

    (state / "key").unlink()
    (state / "key").mkdir()
    rc, _, said = start(lab, *command)
    assert rc == 1 and "cannot read" in said and "Is a directory" in said, said
    (state / "key").rmdir()
    (state / "key.new").mkdir()  # where the new one is written first
    rc, _, said = start(lab, *command)
    assert rc == 1 and "cannot write" in said and "Is a directory" in said, said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give directories away")
def test_root_makes_no_key_for_the_service(lab, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 65534, 65534)
    rc, _, said = start(lab, TRACKER, "--state-dir", state, "--print-address")
    assert rc == 1 and "belongs to the service" in said, said
    assert list(state.iterdir()) == []
