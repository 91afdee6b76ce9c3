"""Tables of texts that have been read once, for the compiled loop that looks them up (`line_kernels`)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tracereplay.parsers.text.fast import intern_kernels as kernels

Words = npt.NDArray[np.uint64]


def words_of(raw: npt.NDArray[np.uint8]) -> Words:
    """The same memory as numbers of eight bytes, one for each byte that seven follow."""
    return np.ndarray((max(len(raw) - 7, 0),), np.uint64, raw, 0, (1,))


class InternTable:
    """Texts by the space they are in, each with a number that stands for it. room -- the most it holds."""

    def __init__(self, room: int) -> None:
        self.slots = np.zeros(4 << room.bit_length(), np.int32)
        self.known = np.zeros((room, kernels.KNOWN_FIELDS), np.int64)
        self.texts = np.zeros(8 * room, np.uint64)
        self.used = np.zeros(2, np.int64)

    def __len__(self) -> int:
        return int(self.used[0])

    @property
    def half_full(self) -> bool:
        """Whether half of its room is taken."""
        return bool(2 * self.used[0] > len(self.known) or 2 * self.used[1] > len(self.texts))

    def insert(self, text: bytes | bytearray, namespace: int, value: int | None) -> bool:
        """Add a text and its value (None: lines with it are left to the patterns); whether there was room for it."""
        words = words_of(np.frombuffer(text + bytes(16), np.uint8))
        row = int(kernels.insert(words, 0, len(text), namespace, self.slots, self.known, self.texts, self.used))
        if row >= 0:
            self.known[row, kernels.VALUE] = value or 0
            self.known[row, kernels.USE_PATTERNS] = value is None
        return row >= 0

    def text(self, row: int) -> str:
        """The text of a row."""
        at, length = self.known[row, kernels.AT], self.known[row, kernels.LENGTH]
        return self.texts[at : at + (length + 7) // 8].tobytes()[:length].decode()

    def clear(self) -> None:
        """Forget all."""
        self.slots[:] = 0
        self.used[:] = 0
