"""What every report begins with: one sentence for each operation that failed or waited, then who blocked how often."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tracereplay.model.derived.judgement import is_known_to_fail
from tracereplay.model.derived.ranking import (
    attempts_met,
    blocking,
    blocking_unexplained,
    has_several_to_rank,
    only_delaying,
    verdict_of,
    worst_operation,
)
from tracereplay.model.explain import EXPLANATIONS
from tracereplay.model.result import Blocker, Culprit, Result, Summary
from tracereplay.reports.shared.wording import listing, moment, page_size_bytes, size_words, task_name
from tracereplay.units import format_duration

MAX_SUBJECTS = 3
MAX_WAITS = 2
MAX_SENTENCES = 3
_UNKNOWN_HOLDER = "an unknown holder of pages of "
_OF_FILE = {"locked_folio": "locked folios of ", "writeback": "writeback of "}
_ONLY_PAGES = re.compile(r"([\d,]+) pages?")


@dataclass(frozen=True, slots=True)
class Ranked:
    """A row of the ranking in words: `4 of 4`, `pin-thp (148)`, `task_reference`, `proved`, `from 5.049 s`.

    share -- with the operation where several are ranked: `1 of 2 longterm_pin`.
    size, brief_size -- `1 folio of 2 MiB (order 9)`, `1 folio of 2 MiB`; empty where the cause names no page.
    """

    share: str
    who: str
    cause: str
    sure: str
    size: str
    brief_size: str
    held: str
    waited: str
    blocker: Blocker
    of: int

    @property
    def facts(self) -> list[str]:
        """`task_reference`, `proved`, `1 folio of 2 MiB (order 9)`, `from 5.049 s, still held`: what there is of it."""
        found = (self.cause, self.sure, self.size, self.held)
        return list(dict.fromkeys(fact for fact in found if fact))  # cause and verdict may both be `unknown`


def sentences(result: Result) -> list[str]:
    """`pin-thp (148) blocked 4 of 4 failed cma_alloc; pin-shm (145) 2 of 4`: one for each operation, worst first."""
    called = {summary.operation: _called(summary, result) for summary in result.summary}
    found = (_sentence(summary, called[summary.operation]) for summary in result.summary)
    said = [sentence for sentence in found if sentence is not None]
    return said[:MAX_SENTENCES]


def title(result: Result) -> str | None:
    """`4 of 7 cma_alloc from "reserved" failed`, of the operation that failed most; None where none failed."""
    summary = worst_operation(result)
    if summary is None:
        return None
    area = f' from "{summary.area}"' if summary.area is not None and summary.operation == "cma_alloc" else ""
    if summary.failed:
        end = "failed" if is_known_to_fail(summary.operation, result.attempts) else "may have failed"
        return f"{summary.failed:,} of {summary.attempts:,} {_operation(summary)}{area} {end}"
    return f"{summary.delayed:,} of {summary.attempts:,} {_operation(summary)}{area} had to wait or try again"


def ranking(result: Result) -> list[Ranked]:
    """Who blocked or delayed attempts, by attempts blocked; the operation that failed most comes first."""
    unit = next((i.clock_unit for i in result.inputs), "ns")
    culprits = {culprit.id: culprit for attempt in result.attempts for culprit in attempt.culprits}
    page_size = page_size_bytes(result)
    rows = []
    several = sum(bool(summary.blockers) for summary in result.summary) > 1
    for summary in result.summary:
        for blocker in summary.blockers:
            of = [culprits[name] for name in blocker.culprit_ids if name in culprits]
            row = _ranked(blocker, summary, unit, of, page_size)
            rows.append(replace(row, share=f"{row.share} {_operation(summary)}") if several else row)
    return rows


def pages_cell(size: str) -> str:
    """A size below a heading that says pages: `3`, `1 folio of 2 MiB`, `1 folio of 2 MiB and 3 pages`."""
    only = _ONLY_PAGES.fullmatch(size)
    return only[1] if only is not None else size


def subject(blocker: Blocker) -> str:
    """Who or what it is, in words that can begin a sentence."""
    names = [task_name(blocker.holder)] if blocker.holder is not None else []
    if blocker.holder_name is not None:
        what = _OF_FILE.get(blocker.cause, "") if blocker.file is not None else ""
        names.append(f"{what}{blocker.holder_name}")
    if names:
        return listing(names)
    if blocker.allocated_by is not None and blocker.cause == "unmovable_allocation":
        return f"unmovable memory of {task_name(blocker.allocated_by)}"
    if blocker.allocated_by is not None:
        return f"{_UNKNOWN_HOLDER}{task_name(blocker.allocated_by)}"
    if blocker.cause in ("unknown", "extra_reference", "preexisting"):
        return "an unknown holder"
    return EXPLANATIONS[blocker.cause].title if blocker.cause in EXPLANATIONS else blocker.cause


def sureness(blocker: Blocker) -> str:
    """`proved`, `proved in 2 of 4`, `suggested` or `unknown`: over the attempts that it blocked or delayed."""
    sure, met = verdict_of(blocker), attempts_met(blocker)
    return f"proved in {blocker.proved} of {met}" if sure == "proved" and blocker.proved != met else sure or ""


def held_words(blocker: Blocker, unit: str) -> str:
    """`5.049 s to 17.110 s`, `from 4.864 s, still held`, `until 21.277 s`; empty where neither end was seen."""
    since = None if blocker.held_since_ns is None else moment(blocker.held_since_ns, unit)
    if blocker.release == "held_at_end":
        return f"from {since}, still held" if since else "still held at the end"
    if blocker.release == "seen" and blocker.released_ns is not None:
        until = moment(blocker.released_ns, unit)
        return f"{since} to {until}" if since else f"until {until}"
    return f"from {since}" if since else ""


def _called(summary: Summary, result: Result) -> str:
    """`failed cma_alloc`; `contig_alloc of unknown outcome` where none is known to have failed."""
    known = is_known_to_fail(summary.operation, result.attempts)
    return f"failed {_operation(summary)}" if known else f"{_operation(summary)} of unknown outcome"


def _operation(summary: Summary) -> str:
    """A log may show the page that was in the way, and not for whom."""
    return "unnamed operation" if summary.operation == "unknown" else summary.operation


def _sentence(summary: Summary, called: str) -> str | None:
    blocked, waits = blocking(summary), only_delaying(summary)[:MAX_WAITS]
    unsure = {sureness(b) for b in (*blocked[:MAX_SUBJECTS], *waits)} == {"suggested"}
    parts = [*_blocked(summary, called, blocked, each=not unsure), *_delayed(summary, waits, each=not unsure)]
    parts += _unexplained(summary, called, first=not parts)
    said = "; ".join(parts)
    return f"{said} ({'all ' if len(parts) > 1 else ''}suggested)" if unsure else said or None


def _unexplained(summary: Summary, called: str, *, first: bool) -> Iterator[str]:
    """The failed attempts without a known cause; `first`: with whose pages blocked them, where those are known."""
    number = len(summary.unexplained)
    if number and not first:
        yield f"{number:,} not explained"
    elif number and (found := blocking_unexplained(summary)):
        yield from _blocked(summary, called, found, each=False)
        yield "nothing recorded says why"
    elif number:
        which = f"the {called}" if summary.failed == 1 else f"{number:,} of {summary.failed:,} {called}"
        yield f"what blocked {which} is not known"


def _blocked(summary: Summary, called: str, blockers: Sequence[Blocker], *, each: bool) -> Iterator[str]:
    """A part for each number of attempts blocked, most first, then what blames no page; the first names the call."""
    by_number: dict[int, dict[str, None]] = {}
    without_pages = [blocker for blocker in blockers if not blocker.culprit_ids]
    blockers = [blocker for blocker in blockers if blocker.culprit_ids]
    for blocker in blockers[:MAX_SUBJECTS]:
        by_number.setdefault(len(blocker.blocked), {})[_named(blocker, each=each)] = None
    share = f" of {summary.failed:,}"
    for place, (number, names) in enumerate(by_number.items()):
        who = _together(names)
        if place:
            yield f"{who} {number:,}{share}"
        elif summary.failed == 1:
            yield f"{who} blocked the {called}"
        else:
            yield f"{who} blocked {number:,}{share} {called}"
    if len(blockers) > MAX_SUBJECTS:
        yield f"{len(blockers) - MAX_SUBJECTS} more blocked {'fewer' if len(by_number) > 1 else 'some'}"
    for blocker in without_pages:
        which = "the" if summary.failed == 1 else f"{len(blocker.blocked):,}{share}"
        yield f"{which} {called}: {subject(blocker)}"


def _together(names: Iterable[str]) -> str:
    """`a (1), b (2) and unknown holders of pages of c (3) and d (4)`: what they have in common is said once."""
    known: list[str] = []
    unknown: list[str] = []
    for name in names:
        (unknown if name.startswith(_UNKNOWN_HOLDER) else known).append(name)
    if len(unknown) > 1:
        tasks = listing(name.removeprefix(_UNKNOWN_HOLDER) for name in unknown)
        unknown = [f"unknown holders of pages of {tasks}"]
    return listing([*known, *unknown])


def _delayed(summary: Summary, blockers: Sequence[Blocker], *, each: bool) -> Iterator[str]:
    """Who made attempts wait and blocked none."""
    for blocker in blockers:
        number = f"{len(blocker.delayed):,}"
        what = number if summary.failed else f"{number} of {summary.attempts:,} {summary.operation}"
        how_long = f" for {format_duration(blocker.delay_ns)}" if blocker.delay_ns else ""
        yield f"{_named(blocker, each=each)} delayed {what}{how_long}"


def _named(blocker: Blocker, *, each: bool) -> str:
    sure = sureness(blocker)
    return subject(blocker) + (f" ({sure})" if each and sure not in ("proved", "") else "")


def _ranked(
    blocker: Blocker, summary: Summary, unit: str, culprits: Sequence[Culprit], page_size: int | None
) -> Ranked:
    of = summary.failed if blocker.blocked else summary.attempts
    share = f"{len(blocker.blocked):,} of {of:,}" if blocker.blocked else f"delayed {len(blocker.delayed):,}"
    return Ranked(
        share=share,
        who=subject(blocker),
        cause=blocker.cause,
        sure=sureness(blocker),
        size=size_words(culprits, page_size) if culprits else "",
        brief_size=size_words(culprits, page_size, brief=True) if culprits else "",
        held=held_words(blocker, unit),
        waited=format_duration(blocker.delay_ns) if blocker.delay_ns and unit == "ns" else "",
        blocker=blocker,
        of=of,
    )


def is_worth_a_ranking(result: Result, rows: Sequence[Ranked]) -> bool:
    """Whether there are several attempts to sum up."""
    return bool(rows) and has_several_to_rank(result)
