"""What would have helped a corpus, as sections: one ranked table, then the same by the values of a column."""

from __future__ import annotations

from collections.abc import Sequence

from tracereplay.model.corpus import CorpusWhatIf, Saved
from tracereplay.reports.corpus.sections import MAX_GROUPS, broken_sections, percent
from tracereplay.reports.shared.sections import Column, Section, numeric
from tracereplay.reports.shared.style import Style
from tracereplay.reports.shared.wording import count

NUMBERS = ("failed", "saved", "still", "unknown", "newly", "saved of failed", "95 %")
COLUMNS: tuple[str | Column, ...] = ("this one change", *(numeric(name) for name in NUMBERS))


def whatif_sections(answer: CorpusWhatIf, style: Style) -> list[Section]:
    """The best change first."""
    best = answer.policies[0] if answer.policies else None
    said = f"{best.policy} would have saved {best.saved:,} of {count(best.failed, 'failure')}" if best else "no policy"
    lines = [f"{count(answer.outcome.analysed, 'trace')} replayed"]
    if answer.where:
        lines.insert(0, f"only where {' and '.join(answer.where)}")
    lines.append("the interval is of traces, and counts what is unknown against and for the change")
    ok = None if best is None or not best.failed else best.saved > 0
    sections = [Section(said, lines, COLUMNS, [_row(one) for one in answer.policies], ok=ok)]
    if answer.by is not None:
        sections.append(_groups(answer.by, answer.groups, style))
    return sections + broken_sections(answer.outcome, style)


def _groups(by: str, rows: Sequence[Saved], style: Style) -> Section:
    shown = rows if style.full else rows[:MAX_GROUPS]
    found = [(one.value if one.value is not None else "-", *_row(one)) for one in shown]
    return Section(f"By {by}", (), (by, *COLUMNS), found, len(rows) - len(shown))


def _row(one: Saved) -> tuple[str, ...]:
    saved = f"{one.saved:,}" + (f" (upper {one.saved_upper:,})" if one.saved_upper else "")
    between = "-" if one.low is None or one.high is None else f"{percent(one.low)} to {percent(one.high)}"
    return (
        one.policy, f"{one.failed:,}", saved, f"{one.still_fails:,}", f"{one.unknown:,}", f"{one.newly_fails:,}",
        percent(one.share) or "-", between,
    )  # fmt: skip
