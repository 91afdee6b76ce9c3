"""Texts as stretches of one block of bytes: taken, read and distinguished without making strings of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracereplay.parsers.text.fast import word_kernels as kernels

Ints = npt.NDArray[np.int64]


def slots_for(texts: int) -> npt.NDArray[np.int32]:
    """An empty table for telling so many texts apart."""
    return np.zeros(1 << max(2 * texts, 2).bit_length(), np.int32)


@dataclass(slots=True)
class Spans:
    """Texts raw[begin[i]:end[i]], which are UTF-8. raw uint8[bytes]; begin, end int64[texts]."""

    raw: npt.NDArray[np.uint8]
    begin: Ints
    end: Ints

    @classmethod
    def of(cls, texts: pa.StringArray) -> Spans:
        """The same texts, not copied; nulls are empty."""
        _, offsets, data = texts.buffers()
        if not len(texts) or data is None:
            return cls(np.zeros(0, np.uint8), np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64))
        bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
        return cls(np.frombuffer(data, np.uint8), bounds[:-1], bounds[1:])

    def __len__(self) -> int:
        return len(self.begin)

    def __getitem__(self, row: int) -> str:
        return self.raw[self.begin[row] : self.end[row]].tobytes().decode()

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Spans:
        """The texts of these rows."""
        return Spans(self.raw, self.begin[rows], self.end[rows])

    def arrow(self) -> pa.StringArray:
        """As an Arrow array."""
        offsets = np.empty(len(self) + 1, np.int32)
        out = np.empty(int((self.end - self.begin).sum()), np.uint8)
        kernels.copy_texts(self.raw, self.begin, self.end, offsets, out)
        return pa.Array.from_buffers(pa.string(), len(self), [None, pa.py_buffer(offsets), pa.py_buffer(out)])

    def after(self, other: Spans) -> Spans:
        """The other's texts, then these."""
        moved = len(other.raw)
        return Spans(
            np.concatenate([other.raw, self.raw]),
            np.concatenate([other.begin, self.begin + moved]),
            np.concatenate([other.end, self.end + moved]),
        )

    def distinct(self) -> tuple[Ints, list[str]]:
        """(number of each text among the distinct ones, those in the order they are met)."""
        codes, spans = np.empty(len(self), np.int64), np.empty((len(self), 2), np.int64)
        found = kernels.tell_apart(self.raw, self.begin, self.end, slots_for(len(self)), spans, codes)
        first = Spans(self.raw, spans[:found, 0], spans[:found, 1])
        return codes, [first[row] for row in range(len(first))]

    def numbers(self, type_: pa.DataType, hexadecimal: bool = False) -> pa.Array | None:
        """Plain numbers as int64 or uint64; None where some text is none, or the type is another."""
        if type_ not in (pa.int64(), pa.uint64()):
            return None
        out = np.empty(len(self), np.int64)
        signed = type_ == pa.int64()
        read = kernels.read_numbers(self.raw, self.begin, self.end, int(hexadecimal), int(signed), out)
        return pa.array(out if signed else out.view(np.uint64)) if read == len(self) else None

    def words(self, keys: Sequence[str]) -> tuple[npt.NDArray[np.bool_], list[Spans]]:
        """Which texts are `key=value` words in this order, and the values of each key in them."""
        names = [f"{key}=".encode() for key in keys]
        words, fits = np.empty((len(keys), len(self), 2), np.int64), np.empty(len(self), np.bool_)
        ends = np.cumsum([len(name) for name in names])
        kernels.split_words(self.raw, self.begin, self.end, np.frombuffer(b"".join(names), np.uint8), ends, words, fits)
        return fits, [Spans(self.raw, values[fits, 0], values[fits, 1]) for values in words]
