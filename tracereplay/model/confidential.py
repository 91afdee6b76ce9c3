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

from tracereplay.model.info import InfoResult
from tracereplay.model.known_words import FTRACE_EVENTS
from tracereplay.model.page import Life, PageEvent, PageLife
from tracereplay.model.result import Attempt, Blocker, Culprit, Result
from tracereplay.model.tokens import Tokens

_PLACE = re.compile(r'\A(zone |CMA area "|)(.*?)("?)\Z', re.DOTALL)

DocumentT = TypeVar("DocumentT", Result, InfoResult, PageLife)


def confidential(result: Result) -> Result:
    """A copy with tokens for names; its shape, its numbers and its verdicts are those of `result`."""
    result = _copy(result)
    tokens = Tokens(_comms(result))
    _head(result, tokens)
    if result.layout is not None:
        result.layout.source = tokens.text(result.layout.source)
        for zone in result.layout.zones:
            zone.name = tokens.area(zone.name)
        for area in result.layout.cma_areas:
            area.name = tokens.area(area.name)
    for stack in result.stacks:
        stack.frames = [tokens.frame(frame) for frame in stack.frames]
    for attempt in result.attempts:
        _attempt(attempt, tokens)
    for counter in result.counters:
        counter.scope, counter.name = tokens.area(counter.scope), tokens.text(counter.name)
    for blame in result.blame:
        blame.holder = tokens.holder(blame.holder)
    for summary in result.summary:
        summary.area = None if summary.area is None else tokens.area(summary.area)
        for blocker in summary.blockers:
            _blocker(blocker, tokens)
    return result


def confidential_info(info: InfoResult, known_events: Collection[str]) -> InfoResult:
    """The same of the answer of `info`. known_events -- the kernel's own tracepoints; any other may be a vendor's."""
    info = _copy(info)
    tokens = Tokens(())
    _head(info, tokens)
    for source in info.inputs:
        source.by_event = {
            name if name in known_events or name in FTRACE_EVENTS else tokens.token("event", name): number
            for name, number in source.by_event.items()
        }
    return info


def confidential_page(life: PageLife) -> PageLife:
    """The same of the answer of `page`."""
    life = _copy(life)
    tokens = Tokens(comm for one in life.lives for comm in _comms_of_life(one))
    _head(life, tokens)
    if life.where is not None:
        life.where = ", ".join(_place(name, tokens) for name in life.where.split(", "))
    for one in life.lives:
        one.allocated_by = tokens.task(one.allocated_by)
        for event in one.events:
            _page_event(event, tokens)
    return life


def _copy(document: DocumentT) -> DocumentT:
    return msgspec.convert(msgspec.to_builtins(document), type(document))


def _head(document: Result | InfoResult | PageLife, tokens: Tokens) -> None:
    """The command line, the inputs, and what they lack."""
    for source in document.inputs:
        tokens.input(source)
    for loss in document.data_loss:
        tokens.loss(loss)
    if document.tool is not None:
        argv = document.tool.argv
        document.tool.argv = [tokens.argument(argument, place) for place, argument in enumerate(argv)]


def _comms(result: Result) -> Iterator[str | None]:
    for attempt in result.attempts:
        yield attempt.task.comm if attempt.task else None
        for c in attempt.culprits:
            tasks = (c.holder, c.allocated_by, c.taken_by, c.released_by)
            yield from (task.comm for task in tasks if task is not None)


def _attempt(attempt: Attempt, tokens: Tokens) -> None:
    attempt.area = None if attempt.area is None else tokens.area(attempt.area)
    attempt.task = tokens.task(attempt.task)
    attempt.capture_next = [tokens.text(step) for step in attempt.capture_next]
    for culprit in attempt.culprits:
        _culprit(culprit, tokens)


def _culprit(culprit: Culprit, tokens: Tokens) -> None:
    culprit.holder = tokens.task(culprit.holder)
    culprit.taken_by = tokens.task(culprit.taken_by)
    culprit.released_by = tokens.task(culprit.released_by)
    culprit.allocated_by = tokens.task(culprit.allocated_by)
    culprit.holder_name = None if culprit.holder_name is None else tokens.text(culprit.holder_name)
    culprit.mechanism = None if culprit.mechanism is None else tokens.text(culprit.mechanism)
    culprit.capture_next = [tokens.text(step) for step in culprit.capture_next]
    if culprit.file is not None:
        culprit.file = tokens.file(culprit.file)
    for item in culprit.evidence:
        item.text = tokens.text(item.text)


def _blocker(blocker: Blocker, tokens: Tokens) -> None:
    blocker.holder = tokens.task(blocker.holder)
    blocker.allocated_by = tokens.task(blocker.allocated_by)
    blocker.holder_name = None if blocker.holder_name is None else tokens.text(blocker.holder_name)
    blocker.mechanism = None if blocker.mechanism is None else tokens.text(blocker.mechanism)
    blocker.file = None if blocker.file is None else tokens.file(blocker.file)


def _comms_of_life(life: Life) -> Iterator[str | None]:
    if life.allocated_by is not None:
        yield life.allocated_by.comm
    for event in life.events:
        yield event.comm
        yield from (held.comm for held in event.after.open_references)


def _place(text: str, tokens: Tokens) -> str:
    """A zone, block or area, as `Session.page` names them."""
    return _PLACE.sub(lambda found: found[1] + tokens.area(found[2]) + found[3], text, count=1)


def _page_event(event: PageEvent, tokens: Tokens) -> None:
    event.comm = None if event.comm is None else tokens.comm(event.comm)
    event.text = tokens.text(event.text)
    after = event.after
    after.flags = [tokens.text(flag) for flag in after.flags]
    after.file = None if after.file is None else tokens.file(after.file)
    for held in after.open_references:
        held.comm = None if held.comm is None else tokens.comm(held.comm)
