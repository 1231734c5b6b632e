# SPDX-License-Identifier: GPL-3.0-or-later
"""File systems of a size, to be filled."""
import os
import pathlib
import subprocess


class SmallDisk:
    """A tmpfs at a directory that is still empty; only root can make one."""

    def __init__(self, path, size):
        self.path = pathlib.Path(path)
        self.filler = self.path / "somebody else's"
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "p2pchat-test",
                        self.path], check=True)

    def free(self):
        return os.statvfs(self.path).f_bavail * os.statvfs(self.path).f_frsize

    def fill(self):
        """Takes what there is, to the last page."""
        with open(self.filler, "ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 65536)
            except OSError:
                return

    def make_room(self):
        self.filler.unlink()

    def close(self):
        subprocess.run(["umount", "--lazy", self.path], check=True)
