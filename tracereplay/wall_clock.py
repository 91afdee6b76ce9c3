"""The wall clock of a trace's times, where an input ties the two, and how a moment on it is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from tracereplay.units import NS_PER_S

EARLIEST_NS = 631_152_000 * NS_PER_S  # 1990: a machine without a battery begins in 1970, which tells nothing
LATEST_NS = 4_102_444_800 * NS_PER_S  # 2100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class WallClock:
    """offset_ns -- added to a time of the trace it gives ns since 1970, UTC; source -- what ties them, in words;
    step_ns -- how exactly."""

    offset_ns: int
    source: str
    step_ns: int = NS_PER_S // 1000

    def shifted(self, ns: int) -> WallClock:
        """The same for times from which `ns` was taken off."""
        return replace(self, offset_ns=self.offset_ns + ns)

    def words(self, time_ns: int) -> str | None:
        """`2026-11-20 12:00:05.078 UTC`, whole seconds where it is no more exact; None far from any plausible date."""
        ns = time_ns + self.offset_ns
        if not EARLIEST_NS <= ns < LATEST_NS:
            return None
        when = _EPOCH + timedelta(seconds=ns // NS_PER_S)
        fraction = f".{ns % NS_PER_S // 1_000_000:03d}" if self.step_ns < NS_PER_S else ""
        return f"{when:%Y-%m-%d %H:%M:%S}{fraction} UTC"
