"""A report as sections (titles, sentences, tables), whether a terminal, a page or a mail shows them in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_BLOCKS = "▁▂▃▄▅▆▇█"
SPARK_CELLS = 24
SHARE_CELLS = 8
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


@dataclass(frozen=True, slots=True)
class Traces:
    """Traces to open: (path, its name as shown)."""

    named: Sequence[tuple[str, str]]

    def __str__(self) -> str:
        return ", ".join(name for _, name in self.named)


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the largest of a column, 0 to 1, drawn as a bar."""

    value: float

    def __str__(self) -> str:
        return "█" * round(SHARE_CELLS * self.value)


Cell = str | Spark | Traces | Share


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; is_numeric -- the cells below it are numbers, aligned right."""

    name: str
    is_numeric: bool = False


def numeric(name: str) -> Column:
    """A column of numbers."""
    return Column(name, is_numeric=True)


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a report.

    columns -- a plain name stands for a column of text; rows -- one cell per column; more -- rows left out, here or by
    the document already; ok -- whether what it says is good news, None where it is neither.
    """

    title: str
    lines: Sequence[str] = ()
    columns: Sequence[str | Column] = ()
    rows: Sequence[Sequence[Cell]] = field(default_factory=list)
    more: int = 0
    ok: bool | None = None

    def headings(self) -> list[Column]:
        """The columns."""
        return [Column(one) if isinstance(one, str) else one for one in self.columns]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
