# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/check-report counts what passed, failed and was skipped, and misses nothing."""
import pathlib
import subprocess
import sys

import pytest

REPORT = pathlib.Path(__file__).resolve().parents[2] / "tools/check-report"

MESON = """project('x')
python = find_program('python3')
foreach name : ['{names}']
    test(name, python, args: files(name + '.py'), suite: 'unit', protocol: 'tap')
endforeach
test('plain', python, args: ['-c', ''], suite: 'bus')
test('pytest', find_program('{python}'), suite: ['bus', 'long'],
    args: ['-m', 'pytest', '--junitxml=' + meson.project_build_root() / 'x.xml', files('test_x.py')])
"""

PROGRAMS = {
    "good": "print('ok 1 - a\\nok 2 - b\\n1..2')",
    "bad": "print('ok 1 - a\\nnot ok 2 - wrong\\n1..2'); exit(1)",
    "crash": "import os; print('1..2\\nok 1 - a', flush=True); os.abort()",
    "short": "print('1..3\\nok 1 - a')",
    "unsteady": "import pathlib; p = pathlib.Path('tried'); e = p.exists(); p.touch()\n"
                "print('ok 1 - a' if e else 'not ok 1 - a', '1..1', sep='\\n'); exit(not e)",
    "skips": "print('1..2\\nok 1 - a # SKIP no such thing\\nok 2 - b')",
}

PYTEST = """import pytest
def test_a(): pass
def test_b(): assert False
def test_c(): pytest.skip('not here')
"""


@pytest.fixture(name="report")
def report_fixture(tmp_path):
    def report(names, *options):
        (tmp_path / "meson.build").write_text(
            MESON.format(names="', '".join(names), python=sys.executable))
        (tmp_path / "test_x.py").write_text(PYTEST)
        for name in names:
            (tmp_path / f"{name}.py").write_text(PROGRAMS[name])
        subprocess.run(["meson", "setup", tmp_path / "build", tmp_path], check=True,
                       stdout=subprocess.DEVNULL)
        done = subprocess.run([REPORT, *options, tmp_path / "build"], stdout=subprocess.PIPE,
                              encoding="utf-8", check=False)
        print(done.stdout)
        return done.returncode, done.stdout
    return report


def last_line(output):
    return output.splitlines()[-1]


def test_all_is_well(report):
    rc, output = report(["good"])
    assert (rc, last_line(output)) == (0, "3 passed, 0 failed, 0 skipped")


def test_a_failed_test_is_named(report):
    rc, output = report(["good", "bad"])
    assert (rc, last_line(output)) == (1, "4 passed, 1 failed, 0 skipped")
    assert "failed: unit/bad/wrong" in output


def test_a_program_that_ends_early_has_failed(report):
    rc, output = report(["crash", "short"])
    assert (rc, last_line(output)) == (1, "3 passed, 2 failed, 0 skipped")


def test_what_fails_once_is_named(report):
    rc, output = report(["good", "unsteady"], "--again")
    assert (rc, last_line(output)) == (0, "4 passed, 0 failed, 0 skipped")
    assert "unsteady: unit/unsteady/a:" in output


def test_once_more_is_only_asked_for(report):
    rc, output = report(["good", "unsteady"])
    assert (rc, last_line(output)) == (1, "3 passed, 1 failed, 0 skipped")


def test_what_fails_again_has_failed(report):
    rc, output = report(["good", "bad"], "--again")
    assert (rc, last_line(output)) == (1, "4 passed, 1 failed, 0 skipped")
    assert "unsteady" not in output


def test_a_skip_nobody_allowed_has_failed(report):
    rc, output = report(["skips"])
    assert (rc, last_line(output)) == (1, "2 passed, 1 failed, 0 skipped")
    assert "no such thing" in output


def test_long_adds_the_long_ones_and_counts_pytest(report):
    rc, output = report(["good"], "--long")
    assert (rc, last_line(output)) == (1, "4 passed, 2 failed, 0 skipped")
    assert "failed: bus/pytest/test_b" in output
