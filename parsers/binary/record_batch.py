"""Which binary records are read and which of their fields, and a batch of them as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IDS = 1 << 16  # event ids have 16 bits
SPARE_WORDS = 2  # kernels read whole words: this many may lie after the last byte


@dataclass(slots=True)
class Plan:
    """Which records are read and which of their fields.

    kind_of_id int64[buffers * 65536] (-1 = skipped); per kind: n_fields, field_at int64[kinds, fields, 6] as the kernel
    takes it, keep int64[kinds]: 1 = the record's bytes are kept too; blank -- so many first columns are 0 where a kind
    has no number for them (the others then hold anything).
    """

    kind_of_id: npt.NDArray[np.int64]
    n_fields: npt.NDArray[np.int64]
    field_at: npt.NDArray[np.int64]
    keep: npt.NDArray[np.int64]
    blank: int

    @classmethod
    def make(
        cls,
        kinds: Sequence[tuple[int, Sequence[tuple[int, int, bool]], bool]],
        width: int,
        wanted: npt.NDArray[np.bool_],
        blank: int = 0,
    ) -> Plan:
        """From (event id, [(offset, size, signed) ...], keep the bytes) per kind; `width` columns of fields.

        A place of offset -1 takes no number. wanted bool[buffers, 65536]: which buffer an event is read from.
        """
        kind_of_id = np.full(wanted.shape, -1, np.int64)
        n_fields = np.zeros(len(kinds), np.int64)
        field_at = np.zeros((len(kinds), width, 6), np.int64)
        keep = np.zeros(len(kinds), np.int64)
        for kind, (event_id, fields, kept) in enumerate(kinds):
            kind_of_id[wanted[:, event_id], event_id] = kind
            keep[kind] = kept
            for column, (offset, size, signed) in enumerate(fields):
                if offset < 0:
                    continue
                unused = 64 - 8 * size if signed else 0
                mask = -1 if signed or size == 8 else (1 << 8 * size) - 1
                field_at[kind, n_fields[kind]] = offset, size, unused, mask, size == 8 and offset % 4, column
                n_fields[kind] += 1
        return cls(kind_of_id.reshape(-1), n_fields, field_at, keep, blank)


@dataclass(slots=True)
class RecordRows:
    """Records in time order: arrays of n rows; fields int64[n, width]; blob_at int64[n, 2] = (start, length)
    in bytes of blob, the kept records."""

    time_ns: npt.NDArray[np.int64]
    cpu: npt.NDArray[np.uint16]
    tid: npt.NDArray[np.int32]
    kind: npt.NDArray[np.uint16]
    common: npt.NDArray[np.uint8]
    fields: npt.NDArray[np.int64]
    blob: npt.NDArray[np.uint32]
    blob_at: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.time_ns)
