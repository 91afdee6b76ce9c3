"""What does each premise of a proof cost? Writes benchmarks/premise_cost.md, a row per capture with page_ref events.

.venv/bin/python -m benchmarks.premise_cost [CAPTURE_DIR ...]

Counted are the pages that are really held and named with a right cause: how many of them are `proved`, and of the
others which premises fail. With captures named, their rows are printed and nothing is written.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import capture_results
from tests.support.captures import fixture_captures, has_page_ref, shared_captures, truth_of
from tests.support.scorer import Document, Row, Truth, held_pages, judged_culprits, right_causes, rows_by_pfn

TABLE = Path(__file__).with_suffix(".md")
HEADER = ("capture", "rightly named", "proved", "share", "premises that fail (pages)")


@dataclass(slots=True)
class Cost:
    """Pages of one capture, or of several; those of which several premises fail count under each."""

    named: int = 0
    proved: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.named + other.named, self.proved + other.proved, self.failed + other.failed)

    def cells(self, name: str) -> str:
        """A row of the table."""
        share = f"{self.proved / self.named:.1%}" if self.named else "-"
        failed = ", ".join(f"{code} {pages}" for code, pages in sorted(self.failed.items()))
        return f"| {' | '.join((name, str(self.named), str(self.proved), share, failed or '-'))} |"


def cost_of(truth: Truth, document: Document) -> Cost:
    """What the premises cost in one result."""
    cost = Cost()
    for rows in _rightly_named(truth, document):
        cost.named += 1
        if any(row["verdict"] == "proved" for row in rows):
            cost.proved += 1
        else:
            cost.failed.update({code for row in rows for code in row["premises_failed"]})
    return cost


def _rightly_named(truth: Truth, document: Document) -> Iterator[list[Row]]:
    """The rows with a right cause of each page that is held, where there are any."""
    named = rows_by_pfn(document["attempts"])
    for culprit in judged_culprits(truth):
        right = right_causes(culprit, has_page_ref=True)
        for pfn in sorted(held_pages(culprit)):
            if rows := [row for row in named.get(pfn, []) if row["cause"] in right]:
                yield rows


def main(*paths: str) -> None:
    """The named captures, else all there are."""
    captures = [Path(path) for path in paths] or sorted([*fixture_captures(), *shared_captures()], key=lambda c: c.name)
    lines = [f"| {' | '.join(HEADER)} |", "|---|---|---|---|---|"]
    total = Cost()
    for capture in captures:
        if not has_page_ref(capture):
            continue
        cost = cost_of(truth_of(capture), capture_results.blame(capture))
        capture_results.blame.cache_clear()
        total += cost
        if cost.named:
            lines.append(cost.cells(capture.name))
            sys.stderr.write(f"{lines[-1]}\n")
    lines.append(total.cells("**all**"))
    if paths:
        sys.stdout.write("\n".join(lines) + "\n")
    else:
        TABLE.write_text(PREFACE + "\n".join(lines) + "\n")


PREFACE = """# What the premises of a proof cost

Written by `python -m benchmarks.premise_cost`, over the captures with page_ref events of `fixtures/` and of
`../shared/captures`. A verdict is `proved` where all premises of its cause hold (`tracereplay explain premises`). This
table says how many pages that are really held, and are named with a right cause, stay proved, and which premises fail
on the others. A page of which several fail counts under each.

`established` and `shown` cost by decision: no capture with a near miss confirms the cause yet, or no event shows it.

"""

if __name__ == "__main__":
    main(*sys.argv[1:])
