"""What the HTML report embeds: the result's rows as columns, every text once.

Nothing is computed here; names of tasks, files and areas are put into the words that all reports share. A column
holds numbers, or indices into `texts`; null stays null. Rows of an attempt are adjacent: `culprits_at[i]` is the
first culprit of attempt i, `culprits_at[i + 1]` the first of the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tracereplay.model.derived.area import area_span, mapped_tries, shown_map
from tracereplay.model.derived.holding import releaser, taker
from tracereplay.model.derived.occupancy import Occupancy, occupancies
from tracereplay.model.derived.ranking import cause_order
from tracereplay.model.result import Culprit, Result
from tracereplay.reports.shared.attempt_wording import headline, headline_word, verdict
from tracereplay.reports.shared.holder_wording import holder_name, likely, process_lines
from tracereplay.reports.shared.premise_wording import failed_premises, why
from tracereplay.reports.shared.state_wording import OCCUPANCY_WORDS, USE_WORDS
from tracereplay.reports.shared.wording import clock_unit, file_name, page_size_bytes, task_name

Column = list[Any]
Columns = dict[str, Column]
MAX_AREAS = 8


class Texts:
    """Every text once; `put` gives its number, None for None."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def put(self, text: str | None) -> int | None:
        """The number of a text."""
        return None if text is None else self.numbers.setdefault(text, len(self.numbers))


def report_data(result: Result) -> dict[str, Any]:
    """All that the page's scripts read."""
    texts = Texts()
    stacks = {stack.id: number for number, stack in enumerate(result.stacks)}
    page_size = page_size_bytes(result)
    put = texts.put
    units = {source.id: source.clock_unit for source in result.inputs}
    tables = {
        "attempts": _attempts(result, page_size, texts),
        "tries": _rows(
            ((t.index, t.start_pfn, t.end_pfn, t.start_ns, t.end_ns, texts.put(t.result), t.first_blocking_pfn,
              t.map_try, shown_map(t, mapped))
             for a in result.attempts for mapped in [mapped_tries(a)] for t in a.tries),
            "index", "start_pfn", "end_pfn", "start_ns", "end_ns", "result", "first_blocking_pfn", "map_try",
            "shown_map",
        ),
        "waits": _rows(
            ((texts.put(w.kind), w.start_ns, w.end_ns, w.start_pfn, w.pages) for a in result.attempts for w in a.waits),
            "kind", "start_ns", "end_ns", "start_pfn", "pages",
        ),
        "map": _rows(
            ((m.try_index, m.start_pfn, m.pages, texts.put(m.state)) for a in result.attempts for m in a.map),
            "try", "start_pfn", "pages", "state",
        ),
        "uses": _rows(
            ((u.start_pfn, u.pages, texts.put(u.use)) for a in result.attempts for u in a.uses),
            "start_pfn", "pages", "use",
        ),
        "culprits": _culprits(result, texts),
        "evidence": _rows(
            ((texts.put(e.event), e.time_ns, e.tid, e.cpu, texts.put(e.text), stacks.get(e.stack_id or ""))
             for a in result.attempts for c in a.culprits for e in c.evidence),
            "event", "time_ns", "tid", "cpu", "text", "stack",
        ),
        "losses": _rows(
            ((put(x.code), put(x.severity), x.count, x.cpu, x.start_ns, x.end_ns, put(x.detail or None), put(x.advice),
              put(units.get(x.input_id or "", "ns"))) for x in result.data_loss),
            "code", "severity", "count", "cpu", "start_ns", "end_ns", "detail", "advice", "clock_unit",
        ),
        "blame": _rows(
            ((texts.put(b.cause), texts.put(b.holder), b.attempts, b.tries, b.pages, b.page_tries, b.held_ns_max,
              b.delay_ns, b.proved, b.suggested) for b in result.blame),
            "cause", "holder", "attempts", "tries", "pages", "page_tries", "held_ns_max", "delay_ns", "proved",
            "suggested",
        ),
    }  # fmt: skip
    occupancy = [_occupancy(area, result, texts) for area in occupancies(result)[:MAX_AREAS]]
    order = [put(cause) for cause in cause_order(result)]
    return {
        "texts": list(texts.numbers),
        "tables": tables,
        "occupancy": occupancy,
        "stacks": [stack.frames for stack in result.stacks],
        "page_size": page_size,
        "cause_order": order,
        "use_words": list(USE_WORDS.items()),
        "pageblock_pages": result.layout.pageblock_pages if result.layout else None,
    }


def embedded(data: dict[str, Any]) -> str:
    """The data as JSON that may stand inside a script element: nothing in it can end the element or open a comment."""
    text = msgspec.json.encode(data).decode()
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _occupancy(area: Occupancy, result: Result, texts: Texts) -> dict[str, Any]:
    """What the chart of one area needs; attempts by their rows."""
    numbers = {id(attempt): row for row, attempt in enumerate(result.attempts)}
    units = {source.id: source.clock_unit for source in result.inputs}
    return {
        "scope": texts.put(area.scope), "unit": units.get(area.input_id or "", "ns"), "total": area.total,
        "top": area.top, "never_seen": area.never_seen, "times": area.times,
        "states": [(name, texts.put(OCCUPANCY_WORDS[name]), pages) for name, pages in area.pages.items()],
        "attempts": [numbers[id(attempt)] for attempt in area.attempts],
    }  # fmt: skip


def _rows(rows: Iterable[tuple[Any, ...]], *names: str) -> Columns:
    columns = [list(column) for column in zip(*rows, strict=True)]
    return dict(zip(names, columns or [[] for _ in names], strict=True))


def _attempts(result: Result, page_size: int | None, texts: Texts) -> Columns:
    put = texts.put
    rows = []
    for a in result.attempts:
        span = area_span(a) or (None, None)
        rows.append(
            (put(a.id), put(headline_word(a)), put(a.operation), put(a.area), put(headline(a, page_size)),
             put(task_name(a.task)), put(a.errno), put(a.cause), put(verdict(a, result)), a.start_ns, a.end_ns,
             a.request.pages, *span, put(clock_unit(result, a)))
        )  # fmt: skip
    columns = _rows(
        rows, "id", "outcome", "operation", "area", "headline", "task", "errno", "cause", "verdict", "start_ns",
        "end_ns", "pages", "start_pfn", "end_pfn", "clock_unit",
    )  # fmt: skip
    for name in ("tries", "waits", "map", "uses", "culprits"):
        columns[f"{name}_at"] = _starts(len(getattr(a, name)) for a in result.attempts)
    return columns


def _culprits(result: Result, texts: Texts) -> Columns:
    rows = [_culprit(number, c, result, texts) for number, a in enumerate(result.attempts) for c in a.culprits]
    columns = _rows(
        rows, "attempt", "start_pfn", "pages", "cause", "verdict", "effect", "primary", "holder", "taken_by",
        "released_by", "mechanism", "allocated_by", "file", "held_since_ns", "released_ns", "release", "delay_ns",
        "blocked_tries", "candidates", "why", "premises", "capture_next", "order", "processes", "gfp",
    )  # fmt: skip
    columns["evidence_at"] = _starts(len(c.evidence) for a in result.attempts for c in a.culprits)
    return columns


def _culprit(attempt: int, c: Culprit, result: Result, texts: Texts) -> tuple[Any, ...]:
    put = texts.put
    holder, took, released = holder_name(c), taker(c), releaser(c)
    return (
        attempt, c.start_pfn, c.pages, put(c.cause), put(c.verdict), put(c.effect), int(c.primary),
        put(f"{likely(c)}{holder}" if holder else None), put(task_name(took) if took else None),
        put(task_name(released) if released else None), put(c.mechanism), put(_allocated_by(c)),
        put(file_name(c.file) if c.file else None), c.held_since_ns, c.released_ns, put(c.release), c.delay_ns,
        [number for tries in c.blocked_tries for number in tries],
        put(", ".join(c.candidates) or None), put(why([c], result)),
        [put(line) for line in failed_premises(c)], [put(step) for step in c.capture_next],
        c.order,
        put("; ".join(process_lines(c, result)) or None),
        put(c.allocated_by.gfp if c.allocated_by else None),
    )  # fmt: skip


def _allocated_by(c: Culprit) -> str | None:
    """The task and the order."""
    if c.allocated_by is None:
        return None
    order = f", order {c.allocated_by.order}" if c.allocated_by.order is not None else ""
    return task_name(c.allocated_by) + order


def _starts(lengths: Iterable[int]) -> list[int]:
    starts = [0]
    for length in lengths:
        starts.append(starts[-1] + length)
    return starts
