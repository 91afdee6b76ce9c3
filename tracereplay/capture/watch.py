"""How a recording learns that an attempt failed: a second, tiny instance with the events that say so."""

from __future__ import annotations

import contextlib
import os
import re
import select
from dataclasses import dataclass, field

from tracereplay.capture import wanted
from tracereplay.capture.instance import Instance
from tracereplay.errors import CaptureError

LINE_BYTES = 8192  # a record of /dev/kmsg has at most so many
LOG_SIGN = re.compile(wanted.FAILURE_LINES)


@dataclass(slots=True)
class FailureWatch:
    """While open, `wait` tells of failures. Raises CaptureError where no event of this kernel tells any."""

    recording: Instance
    _events: int = field(default=-1, init=False)
    _log: int = field(default=-1, init=False)

    def __enter__(self) -> FailureWatch:
        tracefs = self.recording.tracefs
        place = f"instances/{self.recording.name}_watch"
        (tracefs.root / place).mkdir()
        signs = [(sign.event, sign.filter_) for sign in wanted.FAILURES]
        if "off_r" in self.recording.probes:
            signs.append((f"{self.recording.name}/off_r", "ret != 0"))
        enabled: set[str] = set()
        for event, condition in signs:
            if event not in enabled and tracefs.try_write(f"{place}/events/{event}/filter", condition):
                enabled |= {event} if tracefs.try_write(f"{place}/events/{event}/enable", "1") else set()
        if not enabled:
            self._remove()
            raise CaptureError("no event of this kernel tells a failure", advice="record for a duration instead")
        self._events = os.open(tracefs.root / place / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        with contextlib.suppress(OSError):  # without CAP_SYSLOG, the events alone
            self._log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
            os.lseek(self._log, 0, os.SEEK_END)
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            os.close(handle)
        self._remove()

    @property
    def _handles(self) -> list[int]:
        return [handle for handle in (self._events, self._log) if handle >= 0]

    def wait(self, seconds: float) -> str | None:
        """The event or the line of the log that says so, within this time; None = none came."""
        ready, _, _ = select.select(self._handles, [], [], seconds)
        for handle in ready:
            try:
                text = os.read(handle, LINE_BYTES).decode("utf-8", "replace")
            except OSError:  # nothing there after all, or lines of the log were overwritten
                continue
            if handle == self._log and not LOG_SIGN.search(text):
                continue
            lines = text.partition(";")[2].splitlines() if handle == self._log else text.strip().splitlines()
            if lines:
                return lines[0].strip()
        return None

    def _remove(self) -> None:
        self.recording.tracefs.remove_instance(f"{self.recording.name}_watch")
