"""Numbers of page frames in the model: sections that matter stand side by side, others take no room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracereplay.whatif.page_rows import SECTION_BITS

SECTION_PAGES = 1 << SECTION_BITS
END_PFN = 1 << 40


@dataclass(frozen=True, slots=True)
class Frames:
    """sections int64[n], sorted: the section numbers (pfn >> SECTION_BITS) that have rows, in the order of the rows."""

    sections: npt.NDArray[np.int64]

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.sections) << SECTION_BITS

    def of(self, pfns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Frame numbers of these PFNs, -1 where the section has no rows."""
        section = pfns >> SECTION_BITS
        place = np.searchsorted(self.sections, section)
        place[place == len(self.sections)] = 0
        known = self.sections[place] == section if len(self.sections) else np.zeros(len(pfns), bool)
        return np.asarray(np.where(known, (place << SECTION_BITS) + (pfns & (SECTION_PAGES - 1)), -1))

    def pfns(self, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """PFNs of these frame numbers."""
        return np.asarray((self.sections[frames >> SECTION_BITS] << SECTION_BITS) + (frames & (SECTION_PAGES - 1)))

    def runs(self, start_pfn: int, end_pfn: int) -> list[tuple[int, int]]:
        """(first frame, pages) of the parts of a PFN range that have rows, one for each run of sections."""
        found: list[tuple[int, int]] = []
        first = np.searchsorted(self.sections, start_pfn >> SECTION_BITS)
        last = np.searchsorted(self.sections, (end_pfn - 1) >> SECTION_BITS, side="right")
        for place in range(int(first), int(last)):
            base = int(self.sections[place]) << SECTION_BITS
            low, high = max(start_pfn, base), min(end_pfn, base + SECTION_PAGES)
            frame = (place << SECTION_BITS) + low - base
            if found and found[-1][0] + found[-1][1] == frame:
                found[-1] = (found[-1][0], found[-1][1] + high - low)
            elif high > low:
                found.append((frame, high - low))
        return found


def frames_of(pfns: npt.NDArray[np.int64], spans: list[tuple[int, int]]) -> Frames:
    """Frames for every section that holds one of these PFNs, and all of these [start_pfn, end_pfn) spans."""
    parts = [np.unique(pfns[(pfns >= 0) & (pfns < END_PFN)] >> SECTION_BITS)]
    parts += [np.arange(low >> SECTION_BITS, ((high - 1) >> SECTION_BITS) + 1) for low, high in spans if high > low]
    return Frames(np.unique(np.concatenate(parts).astype(np.int64)))
