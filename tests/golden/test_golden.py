"""Every golden case says what was accepted; a new one needs no code here."""

from __future__ import annotations

import difflib

import pytest

from tests.golden.case import CASES, Case, cases, normalise

ALL = cases()


@pytest.mark.parametrize("case", ALL, ids=[case.name for case in ALL])
def test_case(case: Case) -> None:
    said = case.run()
    if said != case.expected:
        diff = "".join(
            difflib.unified_diff(
                case.expected.splitlines(keepends=True), said.splitlines(keepends=True), "accepted", "now", n=2
            )
        )
        pytest.fail(f"{diff}\nIf that is right: python -m tests.golden.accept {case.name}", pytrace=False)


def test_every_transcript_has_its_question() -> None:
    assert {path.stem for path in CASES.glob("*.txt")} == {case.name for case in ALL}


def test_normalise_hides_only_what_varies() -> None:
    sum_ = "0123456789abcdef" * 4
    assert normalise(f"some/where/trace.dat {sum_} 0x1e403", "some/where") == "CAPTURE/trace.dat SHA256 0x1e403"
