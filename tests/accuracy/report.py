"""The accuracy table: one line per capture, totals with and without page_ref events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.support.scorer import Score

# Title -> the figure as written; captures are rows.
COLUMNS = ("ops", "extra", "cause", "first", "pages", "culprits", "holders", "false", "wrong!", "blanket")


def figures(score: Score) -> tuple[str, ...]:
    """The figures of one row, in the order of `COLUMNS`."""
    return (
        f"{score.ops_right}/{score.ops}",
        str(score.extra),
        f"{score.causes_right}/{score.causes}",
        f"{score.first_found}/{score.first}",
        f"{score.share / score.counted:.0%}" if score.counted else "-",
        f"{score.culprits_found}/{score.culprits}",
        f"{score.holders_found}/{score.holders}",
        str(score.false_pages),
        str(score.wrong_proved),
        str(score.blanket),
    )


def table(scores: Mapping[tuple[str, bool], Score]) -> Iterator[str]:
    """Lines of the table; keys are (capture, whether it has page_ref events)."""
    yield _line("capture", COLUMNS)
    for (name, _), score in sorted(scores.items()):
        yield _line(name, figures(score))
    for title, wanted in (("with page_ref", True), ("without page_ref", False)):
        some = [score for (_, has_page_ref), score in scores.items() if has_page_ref is wanted]
        if some:
            yield _line(title, figures(sum(some, Score())))


def _line(name: str, cells: tuple[str, ...]) -> str:
    return f"{name:30}" + "".join(f"{cell:>10}" for cell in cells)
