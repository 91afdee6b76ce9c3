"""Who holds a page, who took the reference and who released it, in words; the same task is named once."""

from __future__ import annotations

from collections.abc import Sequence

from tracereplay.model.derived.hold_timeline import Lane
from tracereplay.model.derived.holding import has_holder, known_by_allocator, outlived, releaser, taker
from tracereplay.model.result import Culprit, Process, Result, Task
from tracereplay.reports.shared.wording import listing, moment, size_words, task_name

NOT_SEEN = "holder not seen"
LONGEST_COMMAND = 240  # characters


def holder_name(c: Culprit) -> str | None:
    """The task, the driver or file, or both."""
    names = ([task_name(c.holder)] if c.holder else []) + ([c.holder_name] if c.holder_name else [])
    return listing(names) if names else None


def likely(c: Culprit) -> str:
    """`probably ` where a task is named that is not proved to be the holder."""
    return "" if c.holder_verdict == "proved" or c.holder is None else "probably "


def whose(c: Culprit) -> str | None:
    """`held by pin-vmsplice (145)`; without a holder `taken by ...`; None where neither is known."""
    if known_by_allocator(c):
        return f"allocated by {task_name(c.allocated_by)}"
    if (holder := holder_name(c)) is not None:
        return f"{likely(c)}held by {holder}{_exited(c, c.holder)}"
    return f"taken by {task_name(c.taken_by)}{_exited(c, c.taken_by)}" if c.taken_by is not None else None


def _exited(c: Culprit, task: Task | None) -> str:
    return ", which has exited" if outlived(c, task) else ""


def lane_holder(lane: Lane) -> str:
    """`pin-vmsplice (145)`, `taken by ...`, or that no holder was seen."""
    c = lane.first
    if (name := holder_name(c)) is not None:
        return f"{likely(c)}{name}"
    if c.taken_by is not None and (taken := whose(c)) is not None:
        return taken
    return NOT_SEEN + (f", allocated by {task_name(c.allocated_by)}" if c.allocated_by else "")


def lane_label(lane: Lane, page_size: int | None) -> str:
    """`pin-vmsplice (145), 8 pages`; each page is counted once."""
    return f"{lane_holder(lane)}, {size_words(lane.culprits, page_size, brief=True)}"


def process_lines(c: Culprit, result: Result) -> list[str]:
    """Command and control group of the processes of its holder, or of who took the reference, where listed."""
    pids = {task.pid or task.tid for task in (c.holder, c.taken_by) if task is not None}
    return [_process_line(process) for process in result.processes if process.pid in pids]


def _process_line(process: Process) -> str:
    facts = [("command", process.cmdline), ("control group", process.cgroup)]
    said = "; ".join(f"{name} {shorten(text)}" for name, text in facts if text)
    return f"process {process.pid}: {said or 'a kernel thread, or one without a command'}"


def shorten(text: str) -> str:
    """At most LONGEST_COMMAND characters of a text."""
    return text if len(text) <= LONGEST_COMMAND else f"{text[:LONGEST_COMMAND]}..."


def story(culprits: Sequence[Culprit], unit: str) -> str:
    """Holder, taker and releaser with their times: `taken by a (1) at 6.1 s; held by b (2), released at 8.2 s`.

    culprits -- alike but for place and time; at least one.
    """
    c = culprits[0]
    via = f" through {c.mechanism}" if c.mechanism else ""
    since = [one.held_since_ns for one in culprits if one.held_since_ns is not None]
    took = taker(c)
    who = whose(c) or NOT_SEEN
    if took is None:
        head = who + via + (f" since {moment(min(since), unit)}" if since else "")
    elif not has_holder(c):
        head = who + via + _taken_at(since, unit)
    else:
        head = f"taken by {task_name(took)}{_exited(c, took)}{_taken_at(since, unit)}; {who}{via}"
    return head + _release(culprits, unit)


def _taken_at(since: Sequence[int], unit: str) -> str:
    """One moment, or the first of several."""
    if not since:
        return ""
    first = moment(min(since), unit)
    return f" at {first}" if first == moment(max(since), unit) else f" from {first} on"


def _release(culprits: Sequence[Culprit], unit: str) -> str:
    c = culprits[0]
    if c.release == "held_at_end":
        return ", still held when the trace ends"
    until = [one.released_ns for one in culprits if one.released_ns is not None]
    if c.release != "seen" or not until:
        return ""
    when = f" at {moment(max(until), unit)}"
    by = releaser(c)
    return f", released{when}" if by is None else f"; released by {task_name(by)}{when}"
