"""A result, or the answer of `info` or `page`, without what identifies a machine or its owner, for passing on.

Names of tasks, files, areas, inputs and functions outside the core kernel become tokens (`task-1`, `module-2`), the
same name the same token throughout the document. In free text only words that this project or every kernel uses are
kept, so a text that quotes the input in a new way loses words instead of giving them away. Numbers stay (PFNs, times,
counts, tids), inode numbers do not.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import TypeVar

import msgspec

from tracereplay.model.allowlist import FTRACE_EVENTS
from tracereplay.model.info import InfoResult
from tracereplay.model.page import Life, PageEvent, PageLife
from tracereplay.model.pseudonyms import Pseudonymizer
from tracereplay.model.result import Allocation, Attempt, Blocker, Culprit, File, Result, Task
from tracereplay.model.whatif import WhatIf

_PLACE = re.compile(r'\A(zone |CMA area "|)(.*?)("?)\Z', re.DOTALL)

_COMM = re.compile(r"\bcomm=([^,+]*)")
_FS = re.compile(r"\bfs=([^,+]*)")

DocumentT = TypeVar("DocumentT", Result, InfoResult, PageLife, WhatIf)


def redacted(result: Result) -> Result:
    """A copy with tokens for names; its shape, its numbers and its verdicts are those of `result`."""
    result = _copy(result)
    pseudonyms = Pseudonymizer(_comms(result), _names(result))
    result.processes = [pseudonyms.process(process) for process in result.processes]
    _head(result, pseudonyms)
    if result.layout is not None:
        result.layout.source = pseudonyms.text(result.layout.source)
        for zone in result.layout.zones:
            zone.name = pseudonyms.area(zone.name)
        for area in result.layout.cma_areas:
            area.name = pseudonyms.area(area.name)
    for stack in result.stacks:
        stack.frames = [pseudonyms.frame(frame) for frame in stack.frames]
    for attempt in result.attempts:
        _attempt(attempt, pseudonyms)
    for counter in result.counters:
        counter.scope, counter.name = pseudonyms.area(counter.scope), pseudonyms.text(counter.name)
    for blame in result.blame:
        blame.holder = pseudonyms.holder(blame.holder)
    for summary in result.summary:
        summary.area = None if summary.area is None else pseudonyms.area(summary.area)
        for blocker in summary.blockers:
            _blocker(blocker, pseudonyms)
    return result


def redacted_info(info: InfoResult, known_events: Collection[str]) -> InfoResult:
    """The same of the answer of `info`. known_events -- the kernel's own tracepoints; any other may be a vendor's."""
    info = _copy(info)
    pseudonyms = Pseudonymizer(())
    _head(info, pseudonyms)
    for source in info.inputs:
        source.by_event = {
            name if name in known_events or name in FTRACE_EVENTS else pseudonyms.token("event", name): number
            for name, number in source.by_event.items()
        }
    return info


def redacted_page(life: PageLife) -> PageLife:
    """The same of the answer of `page`."""
    life = _copy(life)
    pseudonyms = Pseudonymizer(comm for one in life.lives for comm in _comms_of_life(one))
    _head(life, pseudonyms)
    if life.where is not None:
        life.where = ", ".join(_place(name, pseudonyms) for name in life.where.split(", "))
    for one in life.lives:
        one.allocated_by = pseudonyms.task(one.allocated_by)
        for event in one.events:
            _page_event(event, pseudonyms)
    return life


def redacted_whatif(document: WhatIf) -> WhatIf:
    """The same of the answer of `whatif`: policies name tasks and file systems."""
    document = _copy(document)
    pseudonyms = Pseudonymizer(comm for policy in document.policies for comm in _COMM.findall(policy.name))
    _head(document, pseudonyms)
    document.blame.sha256 = None
    for policy in document.policies:
        policy.name = _policy(policy.name, pseudonyms)
        policy.parameters = {
            key: _policy(f"{key.rpartition('.')[2]}={value}", pseudonyms).partition("=")[2]
            for key, value in policy.parameters.items()
        }
    for one in document.model:
        for hidden in one.hidden_pages:
            hidden.zone = pseudonyms.area(hidden.zone)
    for placed in document.placement:
        placed.scope = placed.scope if placed.scope == "all areas" else pseudonyms.area(placed.scope)
    for counter in document.counters:
        counter.scope = pseudonyms.area(counter.scope)
    return document


def _policy(text: str, pseudonyms: Pseudonymizer) -> str:
    """A policy as it was named, without the names of tasks and of file systems that not every kernel has."""
    text = _COMM.sub(lambda found: f"comm={pseudonyms.comm(found[1])}", text)
    return _FS.sub(lambda found: f"fs={pseudonyms.text(found[1])}", text)


def _copy(document: DocumentT) -> DocumentT:
    return msgspec.convert(msgspec.to_builtins(document), type(document))


def _head(document: Result | InfoResult | PageLife | WhatIf, pseudonyms: Pseudonymizer) -> None:
    """The command line, the inputs, and what they lack."""
    for source in document.inputs:
        pseudonyms.input(source)
    for loss in document.data_loss:
        pseudonyms.loss(loss)
    if document.tool is not None:
        argv = document.tool.argv
        document.tool.argv = [pseudonyms.argument(argument, place) for place, argument in enumerate(argv)]


def _names(result: Result) -> Iterator[tuple[str, str | None]]:
    """Names of files and units by kind, which the names of holders repeat."""
    for attempt in result.attempts:
        yield from _names_of_task(attempt.task)
        for c in attempt.culprits:
            yield from _names_of_file(c.file)
            for task in (c.holder, c.allocated_by, c.taken_by, c.released_by):
                yield from _names_of_task(task)
    for process in result.processes:
        yield from (("command", process.cmdline), ("cgroup", process.cgroup), ("unit", process.part_of))


def _names_of_file(file: File | None) -> Iterator[tuple[str, str | None]]:
    if file is not None:
        yield from (("device", file.device), ("mount", file.mount), ("path", file.path))


def _names_of_task(task: Task | Allocation | None) -> Iterator[tuple[str, str | None]]:
    if task is not None:
        yield "unit", task.part_of


def _comms(result: Result) -> Iterator[str | None]:
    yield from (process.comm for process in result.processes)
    for attempt in result.attempts:
        yield attempt.task.comm if attempt.task else None
        for c in attempt.culprits:
            tasks = (c.holder, c.allocated_by, c.taken_by, c.released_by)
            yield from (task.comm for task in tasks if task is not None)


def _attempt(attempt: Attempt, pseudonyms: Pseudonymizer) -> None:
    attempt.area = None if attempt.area is None else pseudonyms.area(attempt.area)
    attempt.task = pseudonyms.task(attempt.task)
    attempt.capture_next = [pseudonyms.text(step) for step in attempt.capture_next]
    for culprit in attempt.culprits:
        _culprit(culprit, pseudonyms)


def _culprit(culprit: Culprit, pseudonyms: Pseudonymizer) -> None:
    culprit.holder = pseudonyms.task(culprit.holder)
    culprit.taken_by = pseudonyms.task(culprit.taken_by)
    culprit.released_by = pseudonyms.task(culprit.released_by)
    culprit.allocated_by = pseudonyms.task(culprit.allocated_by)
    culprit.holder_name = None if culprit.holder_name is None else pseudonyms.text(culprit.holder_name)
    culprit.mechanism = None if culprit.mechanism is None else pseudonyms.text(culprit.mechanism)
    culprit.capture_next = [pseudonyms.text(step) for step in culprit.capture_next]
    if culprit.file is not None:
        culprit.file = pseudonyms.file(culprit.file)
    for item in culprit.evidence:
        item.text = pseudonyms.text(item.text)


def _blocker(blocker: Blocker, pseudonyms: Pseudonymizer) -> None:
    blocker.holder = pseudonyms.task(blocker.holder)
    blocker.allocated_by = pseudonyms.task(blocker.allocated_by)
    blocker.holder_name = None if blocker.holder_name is None else pseudonyms.text(blocker.holder_name)
    blocker.mechanism = None if blocker.mechanism is None else pseudonyms.text(blocker.mechanism)
    blocker.file = None if blocker.file is None else pseudonyms.file(blocker.file)


def _comms_of_life(life: Life) -> Iterator[str | None]:
    if life.allocated_by is not None:
        yield life.allocated_by.comm
    for event in life.events:
        yield event.comm
        yield from (held.comm for held in event.after.open_references)


def _place(text: str, pseudonyms: Pseudonymizer) -> str:
    """A zone, block or area, as `Session.page` names them."""
    return _PLACE.sub(lambda found: found[1] + pseudonyms.area(found[2]) + found[3], text, count=1)


def _page_event(event: PageEvent, pseudonyms: Pseudonymizer) -> None:
    event.comm = None if event.comm is None else pseudonyms.comm(event.comm)
    event.text = pseudonyms.text(event.text)
    after = event.after
    after.flags = [pseudonyms.text(flag) for flag in after.flags]
    after.file = None if after.file is None else pseudonyms.file(after.file)
    for held in after.open_references:
        held.comm = None if held.comm is None else pseudonyms.comm(held.comm)
