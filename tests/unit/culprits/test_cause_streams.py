"""Every cause is found in a stream of events, from the text of the trace to the result: none is there in vain."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cause_streams import STREAMS
from tracereplay.culprits.table import BY_CODE, CAUSES


def test_every_cause_has_a_stream() -> None:
    assert list(STREAMS) == [cause.code for cause in CAUSES]


@pytest.mark.parametrize("code", STREAMS)
def test_the_cause_is_found(code: str, tmp_path: Path) -> None:
    result = STREAMS[code](tmp_path)
    of_pages = {row.cause for attempt in result.attempts for row in attempt.culprits}
    of_attempts = {attempt.cause for attempt in result.attempts}
    assert code in (of_pages if BY_CODE[code].of_pages else of_attempts)
    if BY_CODE[code].of_pages:  # of a kernel log alone the table of causes is not asked
        assert any(source.role == "trace" for source in result.inputs)
