"""Which inputs an answer rests on, and whether events of them were lost."""

from __future__ import annotations

from collections.abc import Sequence

from tracereplay.model.result import DataLoss, Input, Severity

LOSSES: tuple[Severity, ...] = ("loss", "error")  # of what was recorded and lost, or cannot be read
WORST_FIRST: tuple[Severity, ...] = ("error", "loss", "notice", "info")


def main_inputs(inputs: Sequence[Input]) -> list[Input]:
    """The traces, else the logs, else the snapshots of pages; the rest was given beside them."""
    traces = [i for i in inputs if i.role in ("trace", "dataset")] or [i for i in inputs if i.role == "log"]
    return traces or [i for i in inputs if i.role in ("kpageflags", "page_owner")][:1]


def is_lossy(source: Input, data_loss: Sequence[DataLoss]) -> bool:
    """Whether events of it were lost."""
    return any(loss.severity in LOSSES for loss in data_loss if loss.input_id in (source.id, None))


def losses_by_kind(data_loss: Sequence[DataLoss], *, full: bool) -> list[list[DataLoss]]:
    """The losses of each code, worst first; those that only inform in full reports only."""
    kinds: dict[str, list[DataLoss]] = {}
    for loss in data_loss:
        if full or loss.severity != "info":
            kinds.setdefault(loss.code, []).append(loss)
    return sorted(kinds.values(), key=lambda losses: WORST_FIRST.index(losses[0].severity))
