"""Times and PFNs at which an answer about an attempt's suspects may change; between two of them it does not.

Decisions compare the times of a suspect with each other and with these, and compute with none of them. So suspects that
lie alike between landmarks, and whose times follow each other alike, are decided alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracereplay.attempts.detected_attempt import DetectedAttempt
from tracereplay.attempts.waits import SLEEP_NS
from tracereplay.culprits.context import AnalysisContext

Ints = npt.NDArray[np.int64]
NEVER_NS = -1  # in the replay's tables


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Of one attempt: ascending times, and ascending PFNs (each the first page of what begins there)."""

    times_ns: Ints
    pfns: Ints

    @classmethod
    def of(cls, context: AnalysisContext, draft: DetectedAttempt) -> Landmarks:
        """What its suspects are compared with: begin, last call, end and waits of the attempt, losses, names, areas."""
        times = [NEVER_NS, 0, draft.start_ns, context.end_ns]
        times += [time_ns for time_ns in (draft.last_call_ns, draft.end_ns) if time_ns is not None]
        for wait in draft.waits:
            times += [wait.start_ns, wait.middle_ns, wait.end_ns - SLEEP_NS, wait.end_ns, wait.end_ns + SLEEP_NS]
        areas = [pfn for area in context.layout.cma_areas for pfn in (area.start_pfn, area.end_pfn)]
        known = np.array(times, np.int64)
        return cls(np.unique(np.concatenate([known, context.landmarks_ns])), np.unique(np.array(areas, np.int64)))

    def time_places(self, times_ns: Ints) -> Ints:
        """Where times lie: 2k + 1 at landmark k, even numbers between them. Any shape."""
        return _places(self.times_ns, times_ns)

    def pfn_places(self, pfns: Ints) -> Ints:
        """The same of PFNs."""
        return _places(self.pfns, pfns)


def _places(landmarks: Ints, values: Ints) -> Ints:
    return np.searchsorted(landmarks, values, "left") + np.searchsorted(landmarks, values, "right")
