"""The text of `perf script`, plain or gzip: events as in trace text, in lines of perf's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tracereplay.losses import Loss
from tracereplay.parsers.text.blocks import text_blocks
from tracereplay.parsers.text.ftrace import Scan, TextTraceReader
from tracereplay.parsers.text.lines_ftrace import LineBlock
from tracereplay.parsers.text.lines_perf import PerfHeader, line_array, take_lines, whole_samples
from tracereplay.parsers.text.tables import TextTableBuilder


class PerfScriptReader(TextTraceReader):
    """perf script's text, opened and scanned once. Implements `base.TraceReader`.

    A call chain is a row of `kernel_stack` after its event, with the functions of kernel and user. Without
    --show-lost-events the text does not tell what was lost.
    """

    def __init__(self, path: str | Path, page_size_bytes: int = 4096) -> None:
        self._header = PerfHeader()
        super().__init__(path, page_size_bytes)
        header = self._header
        self.info = replace(self.info, kernel=header.kernel, machine=header.machine, clock="perf")
        if not any(loss.code == "lost_events" for loss in self.losses):
            self.losses.append(Loss("losses_not_told"))

    def _is_padded(self) -> bool:
        return False

    def _form(self) -> str:
        return "perf script"

    def _recorded_cpus(self, scan: Scan) -> int | None:  # noqa: ARG002 (those of the header may be offline)
        return self._header.online_cpus

    def _blocks(
        self,
        builder: TextTableBuilder,  # noqa: ARG002 (no field is read along with its line)
        losses: list[Loss],
    ) -> Iterator[tuple[int, LineBlock]]:
        number = 1
        for raw in whole_samples(text_blocks(self.path, losses)):
            text = line_array(raw)
            yield number, take_lines(text, self._header)
            number += len(text)
