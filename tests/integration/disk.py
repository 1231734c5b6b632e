# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk whose power can be cut: an ext4 file system in a file, mounted over a directory.

Mounts live in a namespace of the test's own, so that none is left whatever becomes of the test; a
loop device goes with its mount.
"""
import ctypes
import fcntl
import os
import pathlib
import struct
import subprocess

import pytest

CLONE_NEWNS = 0x00020000
EXT4_IOC_SHUTDOWN = 0x8004587D
GOING_FLAGS_NOLOGFLUSH = 2                      # not even the journal is written out
SIZE = 128 << 20                                # sparse


def command(*words):
    """mkfs and its like are not in everybody's PATH."""
    return subprocess.run([str(word) for word in words], capture_output=True, text=True,
                          check=False, timeout=120,
                          env=dict(os.environ, PATH=f"{os.environ['PATH']}:/usr/sbin:/sbin"))


def run(*words):
    done = command(*words)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr}"


def cannot_mount():
    """Why not, or an empty string; tools/check asks the machine the same (tests/allowed-skips)."""
    if os.geteuid() != 0:
        return "only root can mount a disk"
    if command("unshare", "--mount", "true").returncode != 0:
        return "no mount namespace can be made"
    if not pathlib.Path(command("losetup", "--find").stdout.strip() or "-").is_block_device():
        return "there is no loop device"
    return ""


def need_mounts():
    """Skips the test where nothing can be mounted; else what it mounts is seen by nobody else."""
    why = cannot_mount()
    if why:
        pytest.skip(why)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) < 0:
        raise OSError(ctypes.get_errno(), "unshare")
    run("mount", "--make-rprivate", "/")


class Disk:
    def __init__(self, image, place):
        self.image = image
        self.place = place
        place.mkdir(parents=True, mode=0o700, exist_ok=True)
        with open(image, "wb") as file:
            file.truncate(SIZE)
        run("mkfs.ext4", "-q", "-F", image)
        self.mount()
        place.chmod(0o700)

    def mount(self):
        run("mount", "-o", "loop", self.image, self.place)

    def cut(self):
        """From now on nothing reaches the disk, and what was only in memory is lost."""
        fd = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", GOING_FLAGS_NOLOGFLUSH))
        finally:
            os.close(fd)

    def again(self):
        """The power is back; nobody may have a file open."""
        run("umount", self.place)
        self.mount()

    def close(self):
        command("umount", "--lazy", self.place)
