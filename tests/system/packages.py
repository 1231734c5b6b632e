# SPDX-License-Identifier: GPL-3.0-or-later
"""The Debian packages of this source, built in a tree as an ordinary user without a network.

What was built is kept in the build directory, under a name made from the source and the tree, so
that all test programs share it. Packages of older sources are removed.
"""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import typing

import trees

TOP = trees.TOP
BUILD = pathlib.Path(os.environ.get("P2PCHAT_BUILD") or TOP / "build")

BUILD_AND_CHECK = """set -e
mkdir /b && cp -a /src /b/src && chown -R nobody /b && cd /b/src
as() { setpriv --reuid=nobody --clear-groups env HOME=/b LC_ALL=C.UTF-8 "$@"; }
as DEB_BUILD_OPTIONS="$OPTIONS" dpkg-buildpackage --no-sign --build=binary >/out/build.log 2>&1
cd .. && cp ./*.deb ./*.changes ./*.buildinfo /out/
[ -x /usr/bin/lintian ] || exit 0       # in a tree with nothing but what a build takes
rc=0
as lintian --suppress-tags initial-upload-closes-no-bugs --fail-on error,warning ./*.changes \
        >/out/lintian.log 2>&1 || rc=$?
echo $rc >/out/lintian.rc
"""


class Packages(typing.NamedTuple):
    folder: pathlib.Path            # beside the packages: .changes, build.log, lintian.log and .rc
    debs: typing.Dict[str, pathlib.Path]        # name of the package → its file

    def all(self):
        """The two that people install, without the debugging symbols."""
        return [self.debs["p2pchat"], self.debs["p2pchat-tracker"]]


def source_files():
    """What belongs to the source, in the order of the names; where git cannot say it, all of it."""
    if (TOP / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(
            ["git", "-C", TOP, "-c", f"safe.directory={TOP}", "ls-files", "-z", "--cached",
             "--others", "--exclude-standard"], stdout=subprocess.PIPE, check=True)
        names = [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    else:
        below = [path.relative_to(TOP) for path in TOP.rglob("*")]
        names = [str(path) for path in below if not re.match(r"build|obj-|\.git$", path.parts[0])]
    return sorted(name for name in names if (TOP / name).is_file())


def copy_source(destination):
    for name in source_files():
        to = destination / name
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TOP / name, to)


def fingerprint(source, *more):
    digest = hashlib.sha256("\0".join(more).encode())
    for path in sorted(source.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(source)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def build_source(release, source, out, options, kind="full"):
    """Builds SOURCE into the new directory OUT, in a tree of that kind."""
    tree = trees.tree(release, kind)
    machine = f"p2pchat-build-{os.getpid()}"
    try:
        done = subprocess.run(
            trees.nspawn(tree, machine, "--volatile=overlay", "--private-network", "--as-pid2",
                         f"--bind-ro={source}:/src", f"--bind={out}:/out",
                         f"--setenv=OPTIONS={options}", "/bin/sh", "-c", BUILD_AND_CHECK),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            encoding="utf-8", errors="replace")
    finally:
        trees.leave_cgroups(machine)
    log = out / "build.log"
    said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    assert done.returncode == 0, f"{said[-4000:]}\n{done.stdout}"


def build(release, source=None, options="nocheck"):
    """The packages of this source, or of that in another directory. The tests of the build have run
    by themselves already, so they do not run again; OPTIONS is $DEB_BUILD_OPTIONS."""
    keep = BUILD / "packages"
    keep.mkdir(parents=True, exist_ok=True)
    with trees.locked(keep / f".{release}.lock"):
        copy = keep / f".{release}.source"
        shutil.rmtree(copy, ignore_errors=True)
        if source:
            shutil.copytree(source, copy, symlinks=True)
        else:
            copy_source(copy)
        kind = "this" if source is None else "other"
        name = fingerprint(copy, options, trees.recipe_id("full"))
        folder = keep / f"{release}-{kind}-{name}"
        if not folder.is_dir():
            for old in keep.glob(f"{release}-{kind}-*"):
                shutil.rmtree(old)
            new = keep / f".{release}.new"
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir()
            build_source(release, copy, new, options)
            new.rename(folder)
        shutil.rmtree(copy)
    debs = {path.name.partition("_")[0]: path for path in folder.glob("*.deb")}
    return Packages(folder, debs)
