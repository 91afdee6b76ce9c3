"""What inputs hold and lack, and which causes they can prove: their rows in documents, and the answer of `info`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tracereplay.attempts.events import TELLTALE_EVENTS
from tracereplay.culprits.table import CAUSES, not_checkable
from tracereplay.inputs import PAGE_REF_EVENTS, capture_level, describe_trace, digest, sha256, size_bytes
from tracereplay.losses import Loss
from tracereplay.model.explain import EXPLANATIONS
from tracereplay.model.info import CannotProve, InfoResult, InputInfo
from tracereplay.model.result import DataLoss, Input, Role, Tool
from tracereplay.parsers.base import TraceInfo
from tracereplay.parsers.catalog import SPECS
from tracereplay.parsers.catalog.probes import ROLES, TELLING_ROLES
from tracereplay.parsers.files.packed import seekable_copy
from tracereplay.parsers.snapshots.layout_tables import LayoutSnapshot
from tracereplay.units import to_valid_utf8

if TYPE_CHECKING:
    from tracereplay.parsers.kernel_log import KernelLog

# References that kprobes see taken, against the count that migration is refused with, prove these.
PROVED_BY_PROBES = ("pin_short", "task_reference", "extra_reference")
# Such an input is digested in 0.05 s by SHA-256 as well.
SHA256_BYTES = 1 << 26
KERNEL_EVENTS = frozenset(SPECS)  # tracepoints that every kernel may have, none of them a vendor's


def describe_traces(infos: Sequence[TraceInfo], has_log: bool) -> list[Input]:
    """The rows of traces, without digests; kprobes on references are level 2, as page_ref events are."""
    described: list[Input] = []
    for number, info in enumerate(infos):
        probed = has_probes(info.by_event)
        row = describe_trace(info, f"trace-{number}", level=2 if probed else capture_level(info, has_log))
        row.capabilities += ["kprobes"] if probed else []
        described.append(row)
    return described


def describe_log(log: KernelLog, path: Path) -> Input:
    """The row of a kernel log, without digest."""
    return Input(
        id="log-0", path=to_valid_utf8(path), role="log", format="kernel log", kernel=log.kernel, events=log.lines
    )


def describe_layout(snapshot: LayoutSnapshot, path: str | Path) -> Input:
    """The row of a layout."""
    return Input(id="layout-0", path=to_valid_utf8(path), role="layout", format=snapshot.source, kernel=snapshot.kernel)


def describe_copy(role: Role, format_: str, input_id: str, path: Path, kernel: str | None = None) -> Input:
    """The row of a copy of a file of /proc or debugfs, without digest."""
    return Input(id=input_id, path=to_valid_utf8(path), role=role, format=format_, kernel=kernel)


def with_digests(
    described: Sequence[Input], contents: Mapping[str, Path], *, sha256_of_all: bool = False
) -> list[Input]:
    """The same rows with digests; contents -- id of an input -> the file that holds its bytes, perhaps packed.

    Raises InputError where one cannot be read any more.
    """
    for row in described:
        if row.id in contents:
            path = contents[row.id] if row.role == "trace" else seekable_copy(contents[row.id])
            row.digest = digest(path)
            row.sha256 = sha256(path) if sha256_of_all or size_bytes(path) <= SHA256_BYTES else None
    return list(described)


def missing_events(by_event: Mapping[str, int]) -> list[Loss]:
    """What a trace lacks for the question, whatever it was recorded for."""
    losses = [] if by_event.keys() & TELLTALE_EVENTS or has_probes(by_event) else [Loss("attempt_events_missing")]
    return losses if _has_references(by_event) else [*losses, Loss("page_ref_missing")]


def recordable_names(by_event: Mapping[str, int]) -> frozenset[str]:
    """What `-e` of trace-cmd may name of these events: `kmem`, `kmem:mm_page_free`."""
    named = [(SPECS[name].system, name) for name, number in by_event.items() if number and name in SPECS]
    return frozenset([*(system for system, _ in named), *(f"{system}:{name}" for system, name in named)])


def has_probes(by_event: Mapping[str, int]) -> bool:
    """Whether kprobes record references or offlines."""
    return any(by_event.get(name) for name, role in ROLES.items() if role in TELLING_ROLES)


def _has_references(by_event: Mapping[str, int]) -> bool:
    """Whether takers of references are on record: by page_ref events or by kprobes."""
    return any(by_event.get(name) for name in PAGE_REF_EVENTS) or has_probes(by_event)


def describe_capabilities(
    tool: Tool,
    inputs: Sequence[Input],
    data_loss: Sequence[DataLoss],
    by_event_of: Mapping[str, Mapping[str, int]],
    by_event: Mapping[str, int],
    has_log: bool,
) -> InfoResult:
    """The answer of `info`.

    by_event_of -- id of a trace -> its events by name; by_event -- those of all machines; has_log -- beside them.
    """
    missing = dict(not_checkable([*by_event, *(["kernel log"] if has_log or "console" in by_event else [])]))
    if has_probes(by_event):
        missing = {code: what for code, what in missing.items() if code not in PROVED_BY_PROBES}
    return InfoResult(
        tool=tool,
        inputs=[_with_events(one, by_event_of.get(one.id, {})) for one in inputs],
        data_loss=list(data_loss),
        can_prove=[cause.code for cause in CAUSES if cause.ceiling == "proved" and cause.code not in missing],
        cannot_prove=list(_cannot_prove(missing)),
        capture_next=_capture_next(missing),
    )


def _with_events(row: Input, by_event: Mapping[str, int]) -> InputInfo:
    values = {name: getattr(row, name) for name in row.__struct_fields__}
    return InputInfo(**values, by_event=dict(by_event))


def _cannot_prove(missing: Mapping[str, str]) -> Iterator[CannotProve]:
    for code, what in missing.items():
        yield CannotProve(cause=code, missing=what)
    for cause in CAUSES:
        if cause.ceiling == "suggested":
            yield CannotProve(cause=cause.code, missing="an established case: until then suggested at most")


def _capture_next(missing: Mapping[str, str]) -> list[str]:
    steps: list[str] = []
    for code in missing:
        steps += [step for step in EXPLANATIONS[code].capture_next if step not in steps]
    return steps
