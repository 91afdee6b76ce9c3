"""Options of the test suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--all-captures`: score the captures beside the checkout too, not only those of the tree."""
    parser.addoption("--all-captures", action="store_true", help="also score ../shared/captures, where present")
