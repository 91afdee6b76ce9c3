"""The one way loops are compiled: numba, cached where the user can write, without the GIL."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
import platformdirs
from numba.core import config as numba_config

config: Any = numba_config  # its settings are made at run time
P = ParamSpec("P")
R = TypeVar("R")


def _cache_folder() -> Path:
    """A folder for compiled kernels: the user's cache, or a private temporary folder where that is read-only."""
    folder = Path(platformdirs.user_cache_dir("tracereplay")) / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.mkdtemp(prefix="tracereplay-kernels-"))


# The package may be installed read-only, so compiled code never goes beside its source.
if "NUMBA_CACHE_DIR" not in os.environ:
    config.CACHE_DIR = str(_cache_folder())


def njit(function: Callable[P, R]) -> Callable[P, R]:
    """Compile on first call and keep the result; the plain function stays reachable as `.py_func`."""
    return cast("Callable[P, R]", numba.njit(cache=True, nogil=True)(function))


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Like `njit`, for helpers of a hot loop: their callers take them in whole, so passing tables costs nothing."""
    return cast("Callable[P, R]", numba.njit(cache=True, nogil=True, forceinline=True)(function))


def kernels_are_compiled() -> bool:
    """Whether an earlier run left compiled kernels (else the first use compiles, which takes some seconds)."""
    folder = Path(config.CACHE_DIR)
    return folder.is_dir() and any(folder.rglob("*.nbi"))
