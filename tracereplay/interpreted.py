"""Kernels run by Python itself (NUMBA_DISABLE_JIT=1), so that coverage and debuggers see them.

Compiled code reads and writes the fields of a row as attributes, counts in 64 bits and cuts off what it stores in a
narrower field. Here views of the tables do the same; kernels are called with them in place of the tables.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
import numpy.typing as npt

P = ParamSpec("P")
R = TypeVar("R")


class Record(np.void):  # type: ignore[misc]  # final in the stubs only
    """One row of a table: its fields are attributes that read as int and cut off what is too wide for them."""

    def __getattr__(self, name: str) -> int:
        try:
            return int(self[name])
        except (ValueError, KeyError):
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: int) -> None:
        self[name] = _cut(int(value), self.dtype[name])


class Table(np.ndarray[Any, np.dtype[np.void]]):
    """A table of such rows: its columns are attributes."""

    def __getattr__(self, name: str) -> npt.NDArray[Any]:
        if name not in (self.dtype.names or ()):
            raise AttributeError(name)
        return self.view(np.ndarray)[name]


def interpreted(function: Callable[P, R]) -> Callable[P, R]:
    """The kernel as a plain function that takes what the compiled one takes."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        plain = cast("Callable[..., R]", function)
        with np.errstate(over="ignore"):  # compiled code wraps around silently
            return plain(*map(_by_attribute, args), **kwargs)

    run.py_func = function  # type: ignore[attr-defined]
    return run


def _by_attribute(argument: Any) -> Any:
    """A view with attributes in the place of a table, also within a named tuple; anything else as it is."""
    if isinstance(argument, np.ndarray) and argument.dtype.names and not isinstance(argument, Table):
        return argument.view(np.dtype((Record, argument.dtype))).view(Table)
    if isinstance(argument, tuple) and hasattr(argument, "_fields"):
        return type(argument)(*map(_by_attribute, argument))
    return argument


def _cut(value: int, dtype: np.dtype[Any]) -> int:
    """The low bits of the value, as a field of this integer type holds them."""
    bits = 8 * dtype.itemsize
    low = value & ((1 << bits) - 1)
    return low - (1 << bits) if dtype.kind == "i" and low >> (bits - 1) else low
