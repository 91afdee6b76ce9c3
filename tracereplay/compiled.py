"""The one way loops are compiled: numba, cached where the user can write, without the GIL."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba.core import config as numba_config
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.runtime.nrt import rtsys
from numba.core.types import unliteral

from tracereplay.baseline_cpu import use_baseline_cpu
from tracereplay.interpreted import interpreted
from tracereplay.kernel_cache import CompileLock, cache_folder

config: Any = numba_config  # its settings are made at run time
TRIED = {(0, 68)}  # versions of numba whose internals are used here; others take their own way
# References to arrays are not counted: in the replay that took more than half of the time.
BARE: dict[str, Any] = {"_nrt": False} if numba.version_info.short in TRIED else {}
NO_WAYS_IN: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
P = ParamSpec("P")
R = TypeVar("R")


# What compiled code depends on. Numba looks at the kernel's own file only, not at what that takes from others.
SOURCES = ("replay/state.py", "whatif/page_rows.py", "schema.py", "dev_t.py")


def kernel_sources(root: Path) -> list[Path]:
    """Every file that compiled code depends on, however deep its folder; each process walks them at its start."""
    found = [root / name for name in SOURCES if (root / name).exists()]
    for room in root.iterdir():  # one by one: rooms that are links are followed
        for folder, below, names in os.walk(room):
            below[:] = [name for name in below if name != "__pycache__"]
            found += [Path(folder, name) for name in names if name.endswith("_kernels.py")]
    return sorted(found)


def _digest_of_sources() -> str:
    digest = hashlib.blake2b(digest_size=8)
    for path in kernel_sources(Path(__file__).parent):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def cache_key(sources: str, numba_version: str) -> str:
    """The folder of compiled code: another numba overwrites files of the same name while this one reads them."""
    return hashlib.blake2b(f"{sources} {numba_version}".encode(), digest_size=8).hexdigest()


DIGEST = _digest_of_sources()
# Kernels that a wheel carries, by digest (`make wheel`). A build names here where they are to be kept.
SHIPPED = Path(os.environ.get("TRACEREPLAY_BUILD_KERNELS") or Path(__file__).parent / "kernels") / DIGEST
BUILDS = "TRACEREPLAY_BUILD_KERNELS" in os.environ
if BUILDS:
    SHIPPED.mkdir(parents=True, exist_ok=True)
SHIPS = SHIPPED.is_dir()
# The package may be installed read-only, so compiled code never goes beside its source.
config.CACHE_DIR = str(cache_folder(cache_key(DIGEST, numba.__version__)))
COMPILING = CompileLock(Path(config.CACHE_DIR) / "compiling")
use_baseline_cpu(config)


class _KernelCache(FunctionCache):
    """Compiled code of one function, from the wheel or else from the user's cache.

    Each file is stamped with the digest of all sources in place of the time of the function's own, which another
    installation changes. Code is loaded without first making numba ready to compile, which costs 0.15 s a process.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        name = f"{function.__module__}.{self._impl.filename_base}"
        self._shipped = IndexDataCacheFile(str(SHIPPED), name, DIGEST)  # type: ignore[no-untyped-call]
        if BUILDS:
            self._cache_file = self._shipped

    def load_overload(self, sig: object, target_context: Any) -> object:
        """The compiled code for this signature; None where it has to be compiled (numba gets ready for that itself)."""
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            if SHIPS:
                key = self._index_key(sig, target_context.codegen())  # type: ignore[no-untyped-call]
                data = self._shipped.load(key)  # type: ignore[no-untyped-call]
                if data is not None:
                    return self._impl.rebuild(target_context, data)
            found = self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]
            if found is not None:
                return found
            COMPILING.take()  # until `save_overload`, unless another process has compiled it meanwhile
            found = self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]
            if found is not None:
                COMPILING.give_back()
            return found

    def save_overload(self, sig: object, data: object) -> None:
        """Keep what was compiled, for this process and for those that wait for it."""
        super().save_overload(sig, data)  # type: ignore[no-untyped-call]
        COMPILING.give_back()


def _without_literals(dispatcher: Any) -> Any:
    """Compile a call with a constant as one with any number: numba would compile the function for each constant."""
    resolve = dispatcher.get_call_template

    def get_call_template(args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
        plain: Any = unliteral
        return resolve(tuple(map(plain, args)), {name: plain(kind) for name, kind in kws.items()})

    dispatcher.get_call_template = get_call_template
    return dispatcher


def njit(function: Callable[P, R]) -> Callable[P, R]:
    """Compile on first call and keep the result; the plain function stays reachable as `.py_func`.

    It works on arrays that it is given: to make one (np.empty, copy) it has no means.
    """
    if config.DISABLE_JIT:
        return interpreted(function)
    dispatcher: Any = _without_literals(numba.njit(cache=True, nogil=True, **BARE)(function))
    if numba.version_info.short in TRIED:
        dispatcher._cache = _KernelCache(function)
    return cast("Callable[P, R]", dispatcher)


def inner(function: Callable[P, R]) -> Callable[P, R]:
    """Like `njit`, for functions that only compiled ones call.

    They have no ways in from Python, which take time to compile; called from there, use the plain `.py_func`.
    """
    if config.DISABLE_JIT:
        return interpreted(function)
    return _helper(function)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Like `inner`, for helpers of a hot loop: their callers take them in whole, so passing tables costs nothing."""
    if config.DISABLE_JIT:
        return function
    return _helper(function, forceinline=True)


def _helper(function: Callable[P, R], *, forceinline: bool = False) -> Callable[P, R]:
    dispatcher: Any = numba.njit(cache=True, nogil=True, forceinline=forceinline, **NO_WAYS_IN, **BARE)(function)
    return cast("Callable[P, R]", _without_literals(dispatcher))


def merged(function: Callable[P, R]) -> Callable[P, R]:
    """For a small part of a kernel, or one called in one place: its caller compiles it as lines of its own.

    An `inner` function is optimised once more within each of its callers, with all that it calls.
    """
    if config.DISABLE_JIT:
        return function
    return cast("Callable[P, R]", numba.njit(inline="always", nogil=True, **BARE)(function))


def kernels_are_compiled() -> bool:
    """Whether the wheel or an earlier run brought compiled kernels; else the first use compiles, for some seconds."""
    folders = SHIPPED, Path(config.CACHE_DIR)
    return any(folder.is_dir() and any(folder.rglob("*.nbi")) for folder in folders)
