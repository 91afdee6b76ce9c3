"""Numbers at any place of a record, against what Python reads there."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from tracereplay.parsers.binary.load_kernels import load, load_small, load_word


@numba.njit
def _loaded(words: Any, at: int, size: int, big: int) -> Any:
    return load(words, at, size, big)


@numba.njit
def _small(words: Any, at: int, size: int, big: int) -> Any:
    return load_small(words, at, size, big)


@numba.njit
def _word(words: Any, at: int, _size: int, big: int) -> Any:
    return load_word(words, at, big)


@pytest.mark.parametrize(
    ("load_one", "sizes", "step"), [(_loaded, (1, 2, 4, 8), 1), (_small, (1, 2, 4), 1), (_word, (4,), 4)]
)
def test_numbers_at_every_place(load_one: Any, sizes: tuple[int, ...], step: int) -> None:
    data = np.random.default_rng(7).integers(128, 256, 64, np.uint8).tobytes()  # every number has its highest bit
    words = np.frombuffer(data + bytes(8), np.uint32)
    for at in range(0, 56, step):
        for size in sizes:
            for big, order in ((0, "little"), (1, "big")):
                wanted = int.from_bytes(data[at : at + size], order)  # type: ignore[arg-type]
                assert load_one(words, at, size, big) & (1 << 64) - 1 == wanted
