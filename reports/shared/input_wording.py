"""What was read and what it lacks, in words."""

from __future__ import annotations

from collections.abc import Sequence

from tracereplay.losses import LOSS_KINDS
from tracereplay.model.derived.inputs import losses_by_kind
from tracereplay.model.result import DataLoss, Input, Severity
from tracereplay.reports.shared.wording import count, listing, moment
from tracereplay.units import NS_PER_S

_LEVELS = {0: "production tracepoints recorded", 1: "log or stacks recorded", 2: "page_ref recorded"}
REFERENCES = 2  # the capture level


def input_facts(source: Input) -> list[str]:
    """Kernel, length, events, what was recorded: as far as known."""
    facts = [f"Linux {source.kernel}" if source.kernel else "kernel unknown"]
    if source.start_ns is not None and source.end_ns is not None and source.clock_unit == "ns":
        facts.append(f"{(source.end_ns - source.start_ns) / NS_PER_S:.1f} s")
    if source.events is not None:
        facts.append(count(source.events, "line" if source.role == "log" else "event"))
    if (
        source.capture_level == REFERENCES
        and "page_ref" not in source.capabilities
        and "kprobes" in source.capabilities
    ):
        facts.append("references recorded by kprobes")
    elif source.capture_level is not None:
        facts.append(_LEVELS.get(source.capture_level, f"capture level {source.capture_level}"))
    return facts


def loss_sentences(
    inputs: Sequence[Input], data_loss: Sequence[DataLoss], *, full: bool
) -> list[tuple[Severity, str, str]]:
    """(severity, what is lacking, advice) by kind, worst first; what is only informative in full reports only."""
    units = {source.id: source.clock_unit for source in inputs}
    return [
        (losses[0].severity, _lacking(losses, units.get(losses[0].input_id or "", "ns")), losses[0].advice)
        for losses in losses_by_kind(data_loss, full=full)
    ]


def _lacking(losses: list[DataLoss], unit: str) -> str:
    code = losses[0].code
    kind = LOSS_KINDS.get(code)
    facts = []
    numbers = [loss.count for loss in losses if loss.count is not None]
    if numbers:
        facts.append(f"{sum(numbers):,} of them")
    cpus = sorted({loss.cpu for loss in losses if loss.cpu is not None})
    if cpus:
        facts.append(f"CPU {listing(map(str, cpus))}" if len(cpus) <= 4 else f"{len(cpus)} CPUs")
    starts = [loss.start_ns for loss in losses if loss.start_ns is not None]
    ends = [loss.end_ns for loss in losses if loss.end_ns is not None]
    if starts and ends and min(starts) == max(ends):
        facts.append(f"at {moment(min(starts), unit)}")
    elif starts and ends:
        facts.append(f"{moment(min(starts), unit)} to {moment(max(ends), unit)}")
    elif ends:
        facts.append(f"before {moment(max(ends), unit)}")
    details = list(dict.fromkeys(loss.detail for loss in losses if loss.detail))
    facts += details[:1]
    return (kind.doc if kind else code) + (f" ({', '.join(facts)})" if facts else "")
