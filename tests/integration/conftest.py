# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

import harness


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when != "teardown" and report.failed and harness.Lab.current:
        report.sections.append(("logs of the programs", harness.Lab.current.logs()))


@pytest.fixture
def lab():
    lab = harness.Lab()
    yield lab
    lab.close()


@pytest.fixture
def tracker(lab):
    return lab.tracker()


@pytest.fixture
def alice(lab, tracker):
    return lab.user("alice").join()


@pytest.fixture
def bob(lab, tracker):
    return lab.user("bob").join()
