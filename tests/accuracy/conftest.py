"""Collects the scores of a run and prints them as one table at its end."""

from __future__ import annotations

import pytest

from tests.accuracy.report import table
from tests.support.captures import fixture_captures, shared_captures
from tests.support.scorer import Score

Scores = dict[tuple[str, bool], Score]
SCORES = pytest.StashKey[Scores]()


@pytest.fixture
def scores(pytestconfig: pytest.Config) -> Scores:
    """Scores by (capture, whether it has page_ref events), filled as captures are judged."""
    return pytestconfig.stash.setdefault(SCORES, {})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`judged_capture`: every capture of the tree, and with --all-captures those beside the checkout."""
    if "judged_capture" in metafunc.fixturenames:
        captures = fixture_captures() + (shared_captures() if metafunc.config.getoption("--all-captures") else [])
        metafunc.parametrize("judged_capture", captures, ids=[capture.name for capture in captures])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table."""
    if scores := config.stash.get(SCORES, None):
        terminalreporter.section("accuracy")
        for line in table(scores):
            terminalreporter.write_line(line)
