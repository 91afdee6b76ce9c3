"""A report as sheets (titles, sentences, tables), whether a terminal, a page or a mail shows them in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_BLOCKS = "▁▂▃▄▅▆▇█"
SPARK_CELLS = 24
FIND_THE_REST = "`tracereplay corpus sql` finds them"  # of rows that no report has


@dataclass(frozen=True, slots=True)
class Spark:
    """Shares along a trend, 0 to 1, drawn small; None where there is nothing to take a share of."""

    values: Sequence[float | None]

    def cells(self, number: int) -> list[float | None]:
        """At most so many values: means of neighbours."""
        many = len(self.values)
        if many <= number:
            return list(self.values)
        edges = [place * many // number for place in range(number + 1)]
        return [_mean(self.values[begin:end]) for begin, end in pairwise(edges)]

    def __str__(self) -> str:
        """As characters; the highest bar is the highest share."""
        cells = self.cells(SPARK_CELLS)
        top = max((value for value in cells if value is not None), default=0.0) or 1.0
        return "".join(" " if v is None else _BLOCKS[min(int(v / top * 8), 7)] for v in cells)


Cell = str | Spark


@dataclass(frozen=True, slots=True)
class Sheet:
    """One part of a report.

    columns -- names, those of numbers (set right) end in `#`, which is not shown; rows -- as many cells each; more --
    rows left out, here or of the document already; calm -- nothing to worry about, None where that is not the question.
    """

    title: str
    lines: Sequence[str] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = field(default_factory=list)
    more: int = 0
    calm: bool | None = None

    def headings(self) -> list[tuple[str, bool]]:
        """(name, whether numbers stand under it) of each column."""
        return [(name.removesuffix("#"), name.endswith("#")) for name in self.columns]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
