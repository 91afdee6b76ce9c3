"""The progress bar of `corpus run`: traces done, how many a second, the time left."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracereplay.corpus.run import Summary


class RunProgress:
    """Called by the run; shows a bar on stderr where that is a terminal.

    count -- lists the traces once more: how many there are is known long before the run has reached the last one.
    """

    def __init__(self, quiet: bool, count: Callable[[], Iterable[Any]]) -> None:
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            transient=True,
            disable=quiet or not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("traces", total=None, rate="")
        self._count = count
        self._ended = threading.Event()

    def __enter__(self) -> RunProgress:
        if not self._bar.disable:
            self._bar.start()
            threading.Thread(target=self._find_total, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        if not self._bar.disable:  # one that was never started ends rich before 14 with an empty line
            self._bar.stop()

    def __call__(self, summary: Summary) -> None:
        """Where the run stands."""
        broken = sum(n for status, n in summary.by_status.items() if status != "analysed")
        self._bar.update(
            self._task, completed=summary.done, description=f"traces ({broken:,} broken)" if broken else "traces"
        )
        speed = self._bar.tasks[self._task].speed
        self._bar.update(self._task, rate=f"{speed:.1f}/s" if speed else "")

    def _find_total(self) -> None:
        total = 0
        for _ in self._count():
            total += 1
            if self._ended.is_set():
                return
        self._bar.update(self._task, total=total)
