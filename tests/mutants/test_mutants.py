# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that break a promise on purpose: the tests that are said to notice it must fail.

A mutant is NAME.patch: what it breaks, lines "Caught-by: test_FILE.py::TEST" with tests of
tests/integration, and the change. They are built in a copy of the tree, one after the other. A patch
that does not apply any more has to follow the code that it breaks.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree

import pytest

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
MUTANTS = sorted(path.stem for path in HERE.glob("*.patch"))


def catchers(mutant):
    text = (HERE / f"{mutant}.patch").read_text(encoding="utf-8")
    return re.findall(r"^Caught-by: (\S+)$", text, re.MULTILINE)


def not_sources(directory, names):
    """Build directories, this one's too, and the repository's history."""
    return [name for name in names if name == ".git" or
            (pathlib.Path(directory) / name / "meson-private").exists()]


def run(*words, cwd):
    done = subprocess.run([str(word) for word in words], cwd=cwd, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          encoding="utf-8", errors="replace")
    assert done.returncode == 0, f"{' '.join(map(str, words))}:\n{done.stdout[-5000:]}"


class Tree:
    """The copy, with its programs built."""

    def __init__(self, top):
        self.top = top
        self.build = top / "build"
        shutil.copytree(TOP, top, ignore=not_sources, dirs_exist_ok=True)
        run("meson", "setup", "-Dtests=false", "-Doptimization=0", self.build, cwd=top)
        self.make()
        self.healthy = {}                       # test → its results without a mutant

    def make(self):
        run("ninja", "-C", self.build, cwd=self.top)

    def patch(self, mutant, *options):
        run("patch", "--strip=1", "--fuzz=0", "--no-backup-if-mismatch", "--batch", *options,
            f"--input={HERE / mutant}.patch", cwd=self.top)

    def log(self):
        return (self.top / "log").read_text(errors="replace")[-10000:]

    def test(self, name):
        """Results of the test's cases: passed, failed, error or skipped."""
        report = self.top / "report.xml"
        report.unlink(missing_ok=True)
        with open(self.top / "log", "wb") as log:
            subprocess.run(
                [sys.executable, "-m", "pytest", "-c", "pytest.ini", f"--junitxml={report}", name],
                cwd=self.top / "tests/integration", check=False, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
                env=dict(os.environ, P2PCHAT_BUILD=str(self.build), PYTHONDONTWRITEBYTECODE="1"))
        assert report.exists(), self.log()
        results = []
        for case in xml.etree.ElementTree.parse(report).iter("testcase"):
            tags = [child.tag for child in case]
            results.append("failed" if "failure" in tags else "error" if "error" in tags
                           else "skipped" if "skipped" in tags else "passed")
        return results

    def test_healthy(self, name):
        if name not in self.healthy:
            self.healthy[name] = self.test(name)
        return self.healthy[name]


@pytest.fixture(scope="module", name="tree")
def tree_fixture(tmp_path_factory):
    top = tmp_path_factory.mktemp("mutants")
    yield Tree(top)
    shutil.rmtree(top, ignore_errors=True)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mutant_is_caught(tree, mutant):
    names = catchers(mutant)
    assert names, f"{mutant}.patch names no test that catches it"
    tree.patch(mutant, "--dry-run")
    able = []
    for name in names:
        results = tree.test_healthy(name)
        if results and set(results) == {"skipped"}:
            continue                            # tests/allowed-skips says where
        assert results and set(results) == {"passed"}, \
            f"{name} without the mutant: {results}\n{tree.log()}"
        able.append(name)
    assert able, "none of its tests can run here"
    tree.patch(mutant)
    try:
        tree.make()
        for name in able:
            results = tree.test(name)
            assert "failed" in results, f"{name} did not notice {mutant}: {results}"
            print(f"{mutant}: caught by {name}")
    finally:
        tree.patch(mutant, "--reverse")
        tree.make()
