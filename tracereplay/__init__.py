"""tracereplay: which pages made a CMA allocation or a memory offline fail, why, and who holds them."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as in typing, without loading it: Ctrl-C shows a traceback until cli.main begins
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    from tracereplay.answers import Result
    from tracereplay.errors import InputError, UsageError
    from tracereplay.session import Session

__version__ = "0.1.0"
__all__ = ["InputError", "Result", "Session", "UsageError", "__version__", "open"]
# Where the other names are defined. They are imported when used: numba and pyarrow take a second.
_HOMES = {"InputError": "errors", "Result": "answers", "Session": "session", "UsageError": "errors"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


def open(  # the verb of the library, as in gzip.open
    paths: str | Path | Sequence[str | Path] = (),
    *,
    layout: str | Path | None = None,
    kernel_log: str | Path | None = None,
    page_size_bytes: int | None = None,
    page_owner: str | Path | Sequence[str | Path] | None = None,
    page_pinner: str | Path | None = None,
    kpageflags: str | Path | None = None,
    kpagecount: str | Path | None = None,
    same_machine: bool = False,
    sha256: bool = False,
    progress: Callable[[str, float | None], None] | None = None,
) -> Session:
    """Open one trace or several, recognised by their content, with what is known beside them.

    A zip archive stands for the largest trace in it, or for the kernel log of an Android bugreport; `zip!member` names
    one file of it. A kernel log may be one of the paths. A folder that holds a trace, as `record` makes it, stands for
    the trace and the files beside it: kernel log, layout, page_owner, page_pinner, and copies of kpageflags and
    kpagecount from before. What is named here wins.
    layout -- a snapshot directory or a TOML file; kernel_log -- dmesg of the same boot, page_size_bytes -- of its
    machine, where the log does not say; page_owner, page_pinner -- the debugfs files (who allocated pages older than
    the trace, with the file of its stacks where that is another; Android: who put pinned ones); kpageflags, kpagecount
    -- copies of /proc's, from before the trace or for an inventory without one; same_machine -- the traces are of one
    machine and boot, to be read as one; sha256 -- the SHA-256 of inputs over 64 MiB too, in documents; progress --
    called with what is being done and how far (0..1 or None).
    The session is a context manager. Raises InputError naming the file that cannot be read, UsageError without any.
    """
    from tracereplay.session import Session  # noqa: PLC0415 (numba and pyarrow are loaded only when needed)

    given = [paths] if isinstance(paths, str | os.PathLike) else paths
    names: Sequence[str] = [os.fspath(path) for path in given]
    sides: dict[str, Any] = {
        "layout": layout,
        "kernel_log": kernel_log,
        "page_owner": page_owner,
        "page_pinner": page_pinner,
        "kpageflags": kpageflags,
        "kpagecount": kpagecount,
    }
    if any(os.path.isdir(name) for name in names):
        from tracereplay.discovery.folder import opened_folders  # noqa: PLC0415

        names, sides = opened_folders(names, sides, same_machine=same_machine)
    from tracereplay.discovery.archive import opened_archives  # noqa: PLC0415

    opened = opened_archives(names, sides)
    from tracereplay.discovery.beside import logs_as_options  # noqa: PLC0415

    names, sides = logs_as_options(opened.inputs, opened.options)
    return Session(
        names,
        **sides,
        page_size_bytes=page_size_bytes,
        same_machine=same_machine,
        sha256=sha256,
        progress=progress,
    )
