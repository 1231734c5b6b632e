# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests that boot a Debian system; they skip where this machine cannot."""
import functools
import pathlib
import sys

import pytest

import boot
import packages as packaging
import trees

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))     # clients.py, documented.py


@functools.lru_cache(maxsize=None)
def why_not(release):
    try:
        trees.check_containers()
        trees.tree(release, "full")
    except trees.Unavailable as error:
        return str(error)
    return None


@pytest.fixture(scope="module", params=trees.RELEASES)
def release(request):
    reason = why_not(request.param)
    if reason:
        pytest.skip(reason)
    return request.param


@pytest.fixture(scope="module", name="packages")
def packages_fixture(release):
    return packaging.build(release)


@pytest.fixture(scope="module", name="box")
def box_fixture(release, packages):
    """Both packages installed; the tracker runs, nobody has an account yet."""
    with boot.Box(release) as box:
        box.install(*packages.all())
        yield box
