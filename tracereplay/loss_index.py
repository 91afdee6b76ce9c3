"""An index of losses: which of them touch an interval. Beside `losses`, which loads no numpy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tracereplay.losses import Loss


class LossIndex:
    """Losses that hide events, by (id, loss), indexed for looking up which of them touch an interval.

    Sorted by start, those that may touch an interval are neighbours. Intervals between the same starts and ends have
    the same answer, which is made once and shared.
    """

    def __init__(self, losses: Iterable[tuple[str, Loss]]) -> None:
        times = np.iinfo(np.int64)
        hiding = [(name, loss) for name, loss in losses if loss.kind.hides_events]
        starts = np.array([times.min if one.start_ns is None else one.start_ns for _, one in hiding], np.int64)
        ends = np.array([times.max if one.end_ns is None else one.end_ns for _, one in hiding], np.int64)
        self._places = np.argsort(starts, kind="stable")  # in the order of the losses as given
        self._names = [name for name, _ in hiding]
        self._starts, self._ends = starts[self._places], ends[self._places]
        self._latest = np.maximum.accumulate(self._ends)  # the latest end up to each
        self._sorted_ends = np.sort(ends)
        self._answers: dict[tuple[int, int], list[str]] = {}

    def touching(self, start_ns: int, end_ns: int) -> Sequence[str]:
        """Ids of the losses whose interval overlaps [start_ns, end_ns], in their order; a list that is shared."""
        begun = int(np.searchsorted(self._starts, end_ns, "right"))
        over = int(np.searchsorted(self._sorted_ends, start_ns, "left"))
        answer = self._answers.get((begun, over))
        if answer is None:
            first = int(np.searchsorted(self._latest, start_ns, "left"))
            near = self._places[first:begun][self._ends[first:begun] >= start_ns]
            answer = self._answers[begun, over] = [self._names[place] for place in np.sort(near).tolist()]
        return answer
