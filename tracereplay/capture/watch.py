"""How a recording learns that an attempt failed: a second, tiny instance with the events that say so."""

from __future__ import annotations

import os
import select
from dataclasses import dataclass, field

from tracereplay.capture import wanted
from tracereplay.capture.instance import Instance
from tracereplay.errors import CaptureError

LINE_BYTES = 4096


@dataclass(slots=True)
class FailureWatch:
    """While open, `wait` tells of failures. Raises CaptureError where no event of this kernel tells any."""

    recording: Instance
    _handle: int = field(default=-1, init=False)

    def __enter__(self) -> FailureWatch:
        tracefs = self.recording.tracefs
        place = f"instances/{self.recording.name}_watch"
        (tracefs.root / place).mkdir()
        signs = [(sign.event, sign.filter_) for sign in wanted.FAILURES]
        if "off_r" in self.recording.probes:
            signs.append((f"{self.recording.name}/off_r", "ret != 0"))
        enabled = [
            event
            for event, condition in signs
            if tracefs.try_write(f"{place}/events/{event}/filter", condition)
            and tracefs.try_write(f"{place}/events/{event}/enable", "1")
        ]
        if not enabled:
            self._remove()
            raise CaptureError("no event of this kernel tells a failure", advice="record for a duration instead")
        self._handle = os.open(tracefs.root / place / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)
        self._remove()

    def wait(self, seconds: float) -> str | None:
        """The line of an event that says so, within this time; None = none came."""
        ready, _, _ = select.select([self._handle], [], [], seconds)
        if not ready:
            return None
        try:
            text = os.read(self._handle, LINE_BYTES)
        except BlockingIOError:
            return None
        lines = text.decode("utf-8", "replace").strip().splitlines()
        return lines[0].strip() if lines else None

    def _remove(self) -> None:
        self.recording.tracefs.remove_instance(f"{self.recording.name}_watch")
