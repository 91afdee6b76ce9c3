"""Entries of the page stream that still know the number of their event, by which they are put in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracereplay.parsers.probes.folios import Folios
from tracereplay.parsers.probes.rows import Ints, Mask, ProbeRows
from tracereplay.schema import ARGS, ORDER, PFN


@dataclass(frozen=True, slots=True)
class Part:
    """Entries made of one probe's events: as `schema.PageStream`, with the event's number and its probe's name."""

    seq: Ints
    time_ns: Ints
    cpu: Ints
    tid: Ints
    irq: npt.NDArray[np.uint8]
    op: npt.NDArray[np.uint8]
    args: Ints

    def __len__(self) -> int:
        return len(self.seq)

    def take(self, chosen: Mask) -> Part:
        """Some of the entries."""
        return Part(
            self.seq[chosen],
            self.time_ns[chosen],
            self.cpu[chosen],
            self.tid[chosen],
            self.irq[chosen],
            self.op[chosen],
            self.args[chosen],
        )

    def kept(self) -> Part:
        """Without entries whose page could not be known."""
        return self.take(self.args[:, PFN] >= 0)

    @staticmethod
    def joined(parts: Sequence[Part]) -> Part:
        """All, one after the other."""
        if not parts:
            none, no_kinds = np.empty(0, np.int64), np.empty(0, np.uint8)
            return Part(none, none, none, none, no_kinds, no_kinds, np.empty((0, len(ARGS)), np.int64))
        return Part(
            np.concatenate([part.seq for part in parts]),
            np.concatenate([part.time_ns for part in parts]),
            np.concatenate([part.cpu for part in parts]),
            np.concatenate([part.tid for part in parts]),
            np.concatenate([part.irq for part in parts]),
            np.concatenate([part.op for part in parts]),
            np.concatenate([part.args for part in parts]),
        )


def part_of_rows(rows: ProbeRows, pfns: Ints, folios: Folios, places: Ints | None = None) -> Part:
    """Entries for these rows (`places`: of rows that give several, or none) about these pages; op and args to fill."""
    at = np.arange(len(rows)) if places is None else places
    args = np.zeros((len(at), len(ARGS)), np.int64)
    args[:, PFN], args[:, ORDER] = pfns, folios.orders(pfns)
    op = np.zeros(len(at), np.uint8)
    return Part(rows.seq[at], rows.time_ns[at], rows.cpu[at], rows.tid[at], rows.irq[at], op, args)
