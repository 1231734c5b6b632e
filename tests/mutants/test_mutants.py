# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that break a promise on purpose: the tests that are said to notice it must fail.

A mutant is NAME.patch: what it breaks, lines "Caught-by: test_FILE.py::TEST" with tests of
tests/integration, and the change. Those in tests/sim/mutants name no test: a story of the simulator
notices them, or a seed. They are built in copies of the tree, one after the other. A patch that does not apply
any more has to follow the code that it breaks.
"""
import contextlib
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
MUTANTS = sorted(HERE.glob("*.patch"))
SIMULATED = sorted((TOP / "tests/sim/mutants").glob("*.patch"))
STORIES = sorted((TOP / "tests/sim/scenarios").glob("*.story"))
SEEDS = "1-100"
DEVICE_SEEDS = "1-50"

# Seconds that a test waits for what a mutant does not do. Healthy programs have all the time they
# need.
PATIENCE = 15

# What the tests of tests/integration start.
PROGRAMS = ("daemon/p2pchatd", "daemon/p2pchat-tracker", "cli/chatc", "tests/integration/postman",
            "tests/integration/other-clock.so")


def catchers(mutant):
    return re.findall(r"^Caught-by: (\S+)$", mutant.read_text(encoding="utf-8"), re.MULTILINE)


def name_of(mutant):
    return mutant.stem


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
    """The copy, with its programs built, or the targets only."""

    def __init__(self, top, options, targets=()):
        self.top = top
        self.build = top / "build"
        self.targets = targets
        shutil.copytree(TOP, top, ignore=not_sources, dirs_exist_ok=True)
        run("meson", "setup", *options, self.build, cwd=top)
        self.make()
        self.healthy = {}                       # test → its results without a mutant

    def make(self):
        run("ninja", "-C", self.build, *self.targets, cwd=self.top)

    def patch(self, mutant, *options):
        run("patch", "--strip=1", "--fuzz=0", "--no-backup-if-mismatch", "--batch", *options,
            f"--input={mutant}", cwd=self.top)

    @contextlib.contextmanager
    def mutated(self, mutant):
        self.patch(mutant)
        try:
            self.make()
            yield
        finally:
            self.patch(mutant, "--reverse")
            self.make()

    def log(self):
        return (self.top / "log").read_text(errors="replace")[-10000:]

    def test(self, name, **env):
        """Results of the test's cases: passed, failed, error or skipped."""
        report = self.top / "report.xml"
        report.unlink(missing_ok=True)
        with open(self.top / "log", "wb") as log:
            subprocess.run(
                [sys.executable, "-m", "pytest", "-c", "pytest.ini", f"--junitxml={report}", name],
                cwd=self.top / "tests/integration", check=False, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
                env=dict(os.environ, P2PCHAT_BUILD=str(self.build), PYTHONDONTWRITEBYTECODE="1",
                         **env))
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
    yield Tree(top, ["-Doptimization=0"], PROGRAMS)
    shutil.rmtree(top, ignore_errors=True)


@pytest.fixture(scope="module", name="simulator")
def simulator_fixture(tmp_path_factory):
    top = tmp_path_factory.mktemp("simulator")
    yield Tree(top, ["-Doptimization=2"], ["tests/sim/sim"])
    shutil.rmtree(top, ignore_errors=True)


@pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
def test_mutant_is_caught(tree, mutant):
    names = catchers(mutant)
    assert names, f"{mutant} names no test that catches it"
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
    with tree.mutated(mutant):
        for name in able:
            results = tree.test(name, P2PCHAT_PATIENCE=str(PATIENCE))
            assert "failed" in results, f"{name} did not notice {mutant.stem}: {results}"
            print(f"{mutant.stem}: caught by {name}")


@pytest.mark.parametrize("mutant", SIMULATED, ids=name_of)
def test_simulator_catches(simulator, mutant):
    """That stories and seeds hold without a mutant are tests of their own."""
    simulator.patch(mutant, "--dry-run")
    with simulator.mutated(mutant):
        for subjects in (STORIES, ("--devices", "--seeds", DEVICE_SEEDS), ("--seeds", SEEDS)):
            done = subprocess.run(
                [simulator.build / "tests/sim/sim", "--stop-at-first", *subjects],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                check=False, encoding="utf-8", errors="replace")
            if done.returncode != 0:
                break
    assert done.returncode == 1, \
        f"no story and no seed of {DEVICE_SEEDS} or {SEEDS} noticed {mutant.stem}:\n{done.stdout}"
    print(f"{mutant.stem}: caught by {done.stdout.splitlines()[0]}")
