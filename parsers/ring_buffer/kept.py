"""Records of rare events that the scan copies as it meets them: reading them later takes no walk of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from tracereplay.parsers.binary.record_batch import IDS, SPARE_WORDS, Plan, RecordRows
from tracereplay.parsers.ring_buffer import page_kernels as kernels
from tracereplay.parsers.ring_buffer.pages import Clock, CpuPages
from tracereplay.schema import Window

I64 = npt.NDArray[np.int64]
LASTING_BYTES = 1 << 24  # more than this is let go after its first use


@dataclass(slots=True)
class KeptRecords:
    """Copies of the records of some events, by stream and place in the file.

    is_kept uint8[65536] by event id; room_bytes -- for all of them; parts -- (stream, rows int64[n, 4] = (raw time,
    event id, first word, bytes), words uint32); is_whole is false once there were too many of them.
    """

    is_kept: npt.NDArray[np.uint8]
    room_bytes: int
    parts: list[tuple[CpuPages, I64, npt.NDArray[np.uint32]]] = field(default_factory=list)
    n_bytes: int = 0
    is_whole: bool = True

    def add(self, other: KeptRecords) -> None:
        """Those of other streams, which come after these."""
        self.parts += other.parts
        self.n_bytes += other.n_bytes
        self.is_whole &= other.is_whole
        self._keep_few()

    def copy(self, pages: CpuPages, rows: I64, words: npt.NDArray[np.uint32]) -> None:
        """The next records of a stream."""
        if len(rows):
            self.parts.append((pages, rows.copy(), words.copy()))
            self.n_bytes += rows.nbytes + words.nbytes
            self._keep_few()

    def _keep_few(self) -> None:
        if self.n_bytes > self.room_bytes or not self.is_whole:
            self.is_kept = np.zeros_like(self.is_kept)
            self.forget()

    def forget(self) -> None:
        """Let the copies go: what is read later is read from the file."""
        self.is_whole = False
        self.parts.clear()

    def rows(
        self, plan: Plan, layout: I64, clock: Clock, window: Window | None = None, batch: int = 1 << 16
    ) -> Iterator[RecordRows]:
        """Records of the plan within the window, as `records.read_rows` has them. All its events must be kept."""
        if not self.parts:
            return
        streams = list({id(pages): pages for pages, _, _ in self.parts}.values())
        number = {id(pages): at for at, pages in enumerate(streams)}
        of = np.repeat([number[id(pages)] for pages, _, _ in self.parts], [len(rows) for _, rows, _ in self.parts])
        blob = np.concatenate([*(words for _, _, words in self.parts), _SPARE])
        first_words = accumulate((len(words) for _, _, words in self.parts), initial=0)
        moved = (part + np.array([0, 0, at, 0]) for (_, part, _), at in zip(self.parts, first_words, strict=False))
        rows = np.concatenate(list(moved))
        kind = plan.kind_of_id[np.array([pages.buffer for pages in streams])[of] * IDS + rows[:, 1]]
        of, rows, kind = of[kind >= 0], rows[kind >= 0], kind[kind >= 0]
        due = rows[:, 0].copy().view(np.uint64)
        for begin, end in pairwise(np.searchsorted(of, np.arange(len(streams) + 1)).tolist()):
            # A clock that steps back: such a record follows the one before it, whatever other streams have.
            np.maximum.accumulate(due[begin:end], out=due[begin:end])
        order = np.argsort(due, kind="stable")
        time_ns = _times(rows[order, 0], clock)
        start_ns, end_ns = (window or Window()).limits_ns
        inside = (start_ns <= time_ns) & (time_ns <= end_ns)
        order, time_ns = order[inside], time_ns[inside]
        cpu = np.array([pages.cpu for pages in streams])
        for begin in range(0, len(order), batch):
            some, times = order[begin : begin + batch], time_ns[begin : begin + batch]
            yield _loaded(rows[some], times, kind[some], cpu[of[some]], plan, layout, blob)


_SPARE = np.zeros(SPARE_WORDS, np.uint32)


def _times(raw: I64, clock: Clock) -> I64:
    if clock.mult:
        return np.array([clock.ns(stamp & (2**64 - 1)) for stamp in raw.tolist()], np.int64)
    moved: I64 = raw + np.int64(clock.ns(0))
    return moved


def _loaded(
    rows: I64, time_ns: I64, kind: I64, cpu: I64, plan: Plan, layout: I64, blob: npt.NDArray[np.uint32]
) -> RecordRows:
    """The numbers of these records, by the plan: few, so without a loop that would have to be loaded for it."""
    data, at, big = blob.view(np.uint8), rows[:, 2] * 4, bool(layout[kernels.BIG_ENDIAN])
    common = [_numbers(data, at + layout[part], 1, big) for part in (kernels.FLAGS_OFFSET, kernels.PREEMPT_OFFSET)]
    fields = np.zeros((len(rows), plan.field_at.shape[1]), np.int64)
    for number in np.unique(kind).tolist():
        mine = np.flatnonzero(kind == number)
        for offset, size, unused, mask, _, column in plan.field_at[number, : plan.n_fields[number]].tolist():
            value = _numbers(data, at[mine] + offset, size, big)
            fields[mine, column] = (value << unused >> unused) & mask
    return RecordRows(
        time_ns,
        cpu.astype(np.uint16),
        _numbers(data, at + layout[kernels.TID_OFFSET], 4, big).astype(np.int32),
        kind.astype(np.uint16),
        np.stack(common, axis=1).astype(np.uint8),
        fields,
        blob,
        np.stack([at, rows[:, 3]], axis=1),
    )


def _numbers(data: npt.NDArray[np.uint8], at: I64, size: int, big: bool) -> I64:
    """Unsigned numbers of `size` bytes at these places, as the bits of int64."""
    found = data[at[:, None] + np.arange(size)].astype(np.uint64)
    shifts = np.arange(size, dtype=np.uint64) * np.uint64(8)
    number: npt.NDArray[np.uint64] = (found << (shifts[::-1] if big else shifts)).sum(axis=1, dtype=np.uint64)
    return number.view(np.int64)
